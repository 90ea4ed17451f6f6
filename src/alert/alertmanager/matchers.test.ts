/** Matchers as texts: what they mean, how they are printed, how they are refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { matchesAll, matcherText, parseMatchers } from './matchers.ts'

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
