/** Messages and positions, printing, and a differential run against the grammar of Prometheus' own UI. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parser as lezer } from '@prometheus-io/lezer-promql'
import { BadQueryError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { parsePromql } from './parser.ts'
import { formatExpr, printExpr } from './printer.ts'

test('what is wrong, and where', () => {
  const cases: [query: string, message: string][] = [
    ['', 'unknown position: parse error: no expression found in input'],
    ['up}', "1:3: parse error: unexpected character: '}'"],
    ['(up))', "1:6: parse error: unexpected right parenthesis ')'"],
    ['up{job>"a"}', "1:7: parse error: unexpected character inside braces: '>'"],
    ['up{7}', "1:4: parse error: unexpected character inside braces: '7'"],
    ['up{a:b="c"}', "1:5: parse error: unexpected character inside braces: ':'"],
    ['up{job=="a"}', '1:8: parse error: unexpected "=" in label matching, expected string'],
    ['up[2m3h]', '1:4: parse error: not a valid duration string: "2m3h"'],
    ['up[2ys]', '1:4: parse error: unknown unit "ys" in duration "2ys"'],
    ["up['2m']", "1:4: parse error: unexpected character in duration expression: '\\''"],
    ['"\\xg1"', "1:1: parse error: illegal character U+0067 'g' in escape sequence"],
    ['{"a" b}', '1:6: parse error: unexpected identifier "b" in label matching, expected "," or "}"'],
    ['{} 1', '1:4: parse error: unexpected number "1"'],
    ['3.1.', '1:1: parse error: bad number or duration syntax: "3.1."'],
    [`1e999`, '1:1: parse error: error parsing number: strconv.ParseFloat: parsing "1e999": value out of range'],
    ['up =~ up', "1:4: parse error: unexpected character after '=': '~'"],
    ['- = up', '1:3: parse error: unexpected "="'],
    ['foo bar', '1:5: parse error: unexpected identifier "bar"'],
    ['sum by (x', '1:10: parse error: unclosed left parenthesis'],
    ['1 +', '1:4: parse error: unexpected end of input'],
    [
      'foo offset',
      '1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()',
    ],
    ['foo[5m', '1:7: parse error: unclosed left bracket'],
    ['foo[5m]@', '1:9: parse error: unexpected end of input in @, expected timestamp'],
    ['{}', '1:1: parse error: vector selector must contain at least one non-empty matcher'],
    ['{a=~".*"}', '1:1: parse error: vector selector must contain at least one non-empty matcher'],
    ['foo{a="b', '1:7: parse error: unterminated quoted string'],
    ['foo{a b}', '1:7: parse error: unexpected identifier "b" in label matching, expected label matching operator'],
    ['foo and on (a) group_left () bar', '1:1: parse error: no grouping allowed for "and" operation'],
    ['foo{__name__="bar"}', '1:1: parse error: metric name must not be set twice: "foo" or "bar"'],
    ['1 and 1', '1:1: parse error: set operator "and" not allowed in binary scalar expression'],
    ['foo + bool bar', '1:5: parse error: bool modifier can only be used on comparison operators'],
    ['sum(1, 2)', '1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2'],
    ['rate(foo[5m], 1)', '1:1: parse error: expected 1 argument(s) in call to "rate", got 2'],
    ['foo[5m][5m]', '1:8: parse error: ranges only allowed for vector selectors'],
    ['foo[0s]', '1:5: parse error: duration must be greater than 0'],
    ['abs(foo,)', '1:8: parse error: trailing commas not allowed in function call args'],
    [
      '-"a"',
      '1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string"',
    ],
    ['foo\n  + $', "2:5: parse error: unexpected character: '$'"],
    ['12x', '1:1: parse error: bad number or duration syntax: "12"'],
  ]
  for (const [query, message] of cases)
    assert.throws(
      () => parsePromql(query),
      (error: Error) => {
        assert.equal(error.message, message, query)
        return true
      },
    )
})

test('printing gives back the same tree', () => {
  const cases: [query: string, printed: string][] = [
    [
      'sum by(job)(rate(foo{a="b",c=~"x|y"}[5m]   offset 1h))',
      'sum by (job) (rate(foo{a="b",c=~"x|y"}[5m] offset 1h))',
    ],
    ['a+on(x)group_left(y)b', 'a + on (x) group_left (y) b'],
    ['foo@1.5', 'foo @ 1.500'],
    ['-foo', '-foo'],
    ['{"a b",c="d"}', '{__name__="a b",c="d"}'],
    ['foo[1d:5m] @ end()', 'foo[1d:5m] @ end()'],
    ['topk(3,foo)', 'topk(3, foo)'],
    ['1h30m+5', '1h30m + 5'],
    ['foo[(5m+step())*2]', 'foo[(5m + step()) * 2]'],
    ['a == bool b', 'a == bool b'],
    ['a + fill(0) b', 'a + fill (0) b'],
  ]
  for (const [query, printed] of cases) {
    assert.equal(printExpr(parsePromql(query)), printed)
    assert.equal(printExpr(parsePromql(printed)), printed)
  }
  assert.match(
    formatExpr(
      parsePromql(`sum by (a) (rate(foo{${Array.from({ length: 12 }, (_, i) => `label${i}="value"`).join(',')}}[5m]))`),
    ),
    /^sum by \(a\) \(\n {2}rate\(\n {4}foo/,
  )
})

/** Functions that the release of Prometheus' grammar which the UI uses does not know. */
const ownFunctions: readonly string[] = ['min_of', 'max_of']

test('the grammar of the UI takes what we take', () => {
  const directory = new URL('../../query/promql/testdata/', import.meta.url)
  let count = 0
  for (const file of readdirSync(directory)) {
    for (const line of readFileSync(new URL(file, directory), 'utf8').split('\n')) {
      const query = /^eval (?:instant at \S+|range from \S+ to \S+ step \S+) (.+)$/.exec(line)?.[1]
      // That grammar does not know two of the newest modifiers' places.
      if (query === undefined || /anchored|smoothed/.test(query)) continue
      if (ownFunctions.some(name => query.includes(`${name}(`))) continue
      let ours = true
      try {
        parsePromql(query)
      } catch (error) {
        assert.ok(error instanceof BadQueryError)
        ours = false
      }
      let theirs = true
      lezer.parse(query).iterate({
        enter: node => {
          if (node.type.isError) theirs = false
        },
      })
      if (ours) assert.ok(theirs, `the grammar of Prometheus does not take ${query}; see ownFunctions`)
      count++
    }
  }
  assert.ok(count > 80)
})

test('mutated queries end with a tree or with a BadQueryError', () => {
  const seeds = [
    'sum by (job) (rate(foo{a="b",c=~"d.*"}[5m:1m] offset 1h @ 12))',
    '-foo{"a.b"!="x"} ^ 2 and on (a) group_left (b) bar',
    'histogram_quantile(0.9, x[1h30m])',
    "foo{a:b='\\x41'} @ start() smoothed",
    'a + fill(0) b </ 3',
    'foo[max(1m, step())]',
    '{"x"} 0x1F .5e-3 Inf',
  ]
  const random = seededRandom(7)
  const alphabet = [...'(){}[]:,@=~!<>+-*/%^."\'`\\ \n#0159aemsxyz_é', 'by', 'offset', 'sum', '5m']
  for (let round = 0; round < 20_000; round++) {
    let text = seeds[below(random, seeds.length)]!
    for (let edits = 1 + below(random, 4); edits > 0; edits--) {
      const at = below(random, text.length + 1)
      text = text.slice(0, at) + alphabet[below(random, alphabet.length)]! + text.slice(at + below(random, 3))
    }
    try {
      const printed = printExpr(parsePromql(text))
      assert.equal(printExpr(parsePromql(printed)), printed, text)
    } catch (error) {
      assert.ok(error instanceof BadQueryError, `${text}: ${String(error)}`)
    }
  }
})

test('deep nesting and long input end with an error, not with the stack', () => {
  assert.throws(() => parsePromql(`${'('.repeat(5000)}1${')'.repeat(5000)}`), /nests deeper than 250 levels/)
  assert.throws(() => parsePromql('-'.repeat(100_000)), BadQueryError)
})
