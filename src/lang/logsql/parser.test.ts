/**
 * Mutated LogsQL queries are parsed or refused with a place, nothing else. What queries mean is tested in
 * test/end-to-end/logsql.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadQueryError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseLogsql } from './parser.ts'

const queries = [
  'error',
  '"user login" -failed app:=web',
  '{app=~"a|b", x!="y"} level:in(error, warn)',
  '_time:[2026-11-20, 2026-11-21) i(err*)',
  '_time:5m offset 1h | stats by (_time:1h, level) count() if (a:b) as n, quantile(0.9, ms)',
  'ms:range(1, 15] ip:ipv4_range("10.0.0.0/8")',
  '_msg:~"a.+b" | extract "a=<b> c=<d>" from x | math a + b * 2 as y',
  '* | sort by (a desc) limit 5 rank as r | fields a, b* | uniq by (a) with hits',
  '* | replace_regexp ("a(b)", "$1") at f | format "<a> <q:b>" as c',
  '_time:day_range[08:00, 18:00) seq("a", "b") len_range(1, inf) | top 3 by (a)',
]

test('20,000 mutated queries', () => {
  const random = seededRandom(21)
  const alphabet = '(){}[]|:,"`\'=~!<>*-+. abms1\\/#'
  for (let i = 0; i < 20_000; i++) {
    let query = queries[below(random, queries.length)]!
    for (let k = 0; k <= below(random, 4); k++) {
      const at = below(random, query.length + 1)
      query =
        below(random, 2) === 0
          ? query.slice(0, at) + alphabet[below(random, alphabet.length)]! + query.slice(at)
          : query.slice(0, at) + query.slice(at + 1)
    }
    try {
      parseLogsql(query, 1_795_000_000_000_000_000n)
    } catch (error) {
      assert.ok(error instanceof BadQueryError, `${JSON.stringify(query)}: ${String(error)}`)
    }
  }
})
