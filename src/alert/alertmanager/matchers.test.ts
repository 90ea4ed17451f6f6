/** Matchers as texts: what they mean, how they are printed, how they are refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { isSameMatcher, matchesAll, matcherText, parseMatcher, parseMatchers } from './matchers.ts'

/** Text, matchers as they are printed, then label sets: `+` match, `-` do not. */
const cases: readonly (readonly [string, string, ...string[]])[] = [
  ['a=b', 'a="b"', '+ a=b', '- a=c', '-'],
  ['a="b"', 'a="b"', '+ a=b', '- a=bb'],
  ['a=""', 'a=""', '+', '- a=b'],
  ['a!=b', 'a!="b"', '- a=b', '+ a=c', '+'],
  ['a=~"b.*"', 'a=~"b.*"', '+ a=b', '+ a=bcd', '- a=abc', '-'],
  ['a!~b|c', 'a!~"b|c"', '- a=b', '- a=c', '+ a=d', '+'],
  ['{a="b", c!="d"}', 'a="b" c!="d"', '+ a=b', '- a=b c=d', '- c=x'],
  ['{}', '', '+', '+ a=b'],
  ['  { a = b , }  ', 'a="b"', '+ a=b'],
  ['"a b"="c\\"d"', '"a b"="c\\"d"'],
  ['a="x\\ny"', 'a="x\\ny"'],
  ['a=b=c', 'a="b=c"', '+ a=b=c'],
]
for (const [text, printed, ...sets] of cases)
  test(`matchers: ${text}`, () => {
    const matchers = parseMatchers(text)
    assert.equal(matchers.map(matcherText).join(' '), printed)
    for (const set of sets) {
      const [sign, ...pairs] = set.split(' ')
      const labels = new Map(pairs.map(pair => [pair.slice(0, 1), pair.slice(2)]))
      assert.equal(
        matchesAll(matchers, name => labels.get(name) ?? ''),
        sign === '+',
        set,
      )
    }
  })

for (const text of ['a', 'a=b}', '{a=b', 'a="b', '=b', 'a=~"("', '{a="b" c="d"}', 'a=="b" x', 'a<b'])
  test(`refused: ${text}`, () => {
    assert.throws(() => parseMatchers(text), BadDataError)
  })

/** Filters of the API, as Alertmanager 0.33 reads them: the matcher, or the reason of a refusal. */
const filters: readonly (readonly [string, string | RegExp])[] = [
  ['a="1"', 'a="1"'],
  ['a=1', 'a="1"'],
  [' a = "1" ', 'a="1"'],
  ['a="1", ', 'a="1"'],
  ['a=1,', 'a="1,"'],
  ['a=', 'a=""'],
  ['a!~.+', 'a!~".+"'],
  ['ü=é', '"ü"="é"'],
  ['"d.e"="f\\"g"', '"d.e"="f\\"g"'],
  ['a="\\x"', 'a="\\\\x"'],
  ["a='1'", 'a="\'1\'"'],
  ['{a="1"}', /^unexpected open or close brace: \{a="1"\}$/],
  ['a="1",b="2"', /^matcher value contains unescaped double quote: "1",b="2"$/],
  ['a==', 'a="="'],
  ['a=="1"', /^matcher value contains unescaped double quote: ="1"$/],
  ['a="1', /^matcher value contains unescaped double quote: "1$/],
  ['d.e=f"g', /^bad matcher format: d\.e=f"g$/],
  ['', /^bad matcher format: $/],
  ['a=~"("', /^error parsing regexp: missing closing \): `\^\(\?:\(\)\$`$/],
]
for (const [text, expected] of filters)
  test(`a filter: ${text}`, () => {
    if (typeof expected === 'string') assert.equal(matcherText(parseMatcher(text)), expected)
    else assert.throws(() => parseMatcher(text), { name: 'BadDataError', message: expected })
  })

test('a silence is found by its own matchers, not by what they would match', () => {
  const own = parseMatcher('a=~"1|2"')
  assert.deepEqual(
    ['a=~"1|2"', 'a=~"2|1"', 'a="1"', 'a!~"1|2"', 'b=~"1|2"'].map(text => isSameMatcher(own, parseMatcher(text))),
    [true, false, false, false, false],
  )
})

test('a long filter of blanks is refused in time that grows with its length', () => {
  // Quadratic, it would take minutes.
  const blanks = ' '.repeat(1_000_000)
  assert.throws(() => parseMatcher(`"a"=b${blanks}x`), /^BadDataError: bad matcher format/)
  assert.throws(() => parseMatcher(`a=${blanks}"x`), /unescaped double quote/)
})
