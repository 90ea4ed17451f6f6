/** LogQL's grammar against what Loki accepts and refuses, its messages, its printed form, and mutated queries. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { BadQueryError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseLogql } from './parser.ts'
import { formatLogql } from './printer.ts'

const corpus = JSON.parse(readFileSync(new URL('../../../fixtures/logql/corpus.json', import.meta.url), 'utf8')) as [
  string,
  boolean,
][]

test('255 queries: accepted and refused as by Loki', () => {
  const different: string[] = []
  for (const [query, isAccepted] of corpus) {
    let error: unknown
    try {
      parseLogql(query)
    } catch (caught) {
      error = caught
    }
    if ((error === undefined) !== isAccepted) different.push(`${query}: ${String(error)}`)
    if (error !== undefined) assert.ok(error instanceof BadQueryError, `${query}: ${String(error)}`)
  }
  assert.deepEqual(different, [])
})

test('what is printed means the same', () => {
  for (const [query, isAccepted] of corpus) {
    if (!isAccepted) continue
    const printed = formatLogql(parseLogql(query))
    // What is no number has no literal.
    if (/NaN|Inf/.test(printed)) continue
    assert.equal(formatLogql(parseLogql(printed)), printed, query)
  }
})

test('messages and places', () => {
  const cases: [string, RegExp][] = [
    ['{app="a"', /^parse error at line 1, col 9: syntax error: unexpected \$end/],
    ['({app="a"}) |= "x"', /^parse error at line 0, col 13: syntax error: unexpected \|=/],
    ['', /^parse error : syntax error: unexpected \$end/],
    ['{}', /^parse error : queries require at least one regexp or equality matcher/],
    ['sum_over_time({a="b"}[5m])', /^parse error : invalid aggregation sum_over_time without unwrap/],
    ['rate({a="b"}[5m]) by (x)', /^parse error : grouping not allowed for rate aggregation/],
    ['topk(rate({a="b"}[5m]))', /^parse error : parameter required for operation topk/],
    ['{a="b"} | regexp "x"', /at least one named capture must be supplied/],
    ['{a="\\q"}', /col 4: invalid char escape/],
  ]
  for (const [query, message] of cases)
    assert.throws(
      () => parseLogql(query),
      (error: Error) => {
        assert.match(error.message, message, query)
        return true
      },
    )
})

test('mutated queries are parsed or refused, nothing else', () => {
  const random = seededRandom(11)
  const alphabet = '{}()[]|=~!<>"`,. abjson5mby\\_-+*/^%#é\n'
  for (let i = 0; i < 20_000; i++) {
    let query = corpus[below(random, corpus.length)]![0]
    for (let k = 0; k <= below(random, 3); k++) {
      const at = below(random, query.length + 1)
      const char = alphabet[below(random, alphabet.length)]!
      query =
        below(random, 2) === 0 ? query.slice(0, at) + char + query.slice(at) : query.slice(0, at) + query.slice(at + 1)
    }
    try {
      parseLogql(query)
    } catch (error) {
      assert.ok(error instanceof BadQueryError, `${JSON.stringify(query)}: ${String(error)}`)
    }
  }
})
