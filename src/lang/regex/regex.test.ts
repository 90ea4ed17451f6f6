/** Matchers and anchored expressions: Go's syntax, linear time, and the shortcuts agree with the expression. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { compileAnchored, compileRe2, makeMatcher } from './regex.ts'

for (const [source, hits, misses] of [
  ['foo', ['foo'], ['foobar', 'xfoo', '']],
  ['foo|bar', ['foo', 'bar'], ['foobar', '']],
  ['fo+', ['fo', 'fooo'], ['f', 'foob']],
  ['.*', ['', 'anything', 'two\nlines'], []],
  ['.+', ['x'], ['']],
  ['(?i)Foo', ['foo', 'FOO'], ['fo']],
  ['(foo|bar)?', ['', 'foo'], ['fo']],
  ['foo.*', ['foo', 'foobar'], ['xfoo']],
  ['.*bar', ['bar', 'foobar'], ['barx']],
  ['.*ob.*', ['foobar'], ['fubar']],
  ['[a-c]{2}', ['ab', 'cc'], ['abc', 'd']],
  ['a\\.b', ['a.b'], ['axb']],
  ['\\d+', ['123'], ['12x']],
  ['(?P<n>x)y', ['xy'], ['x']],
  ['été', ['été'], ['ete']],
  ['host-1.', ['host-10', 'host-1x'], ['host-1', 'host-20', 'xhost-10', '']],
  ['ab?c', ['abc', 'ac'], ['abbc', 'bc']],
  ['ab*c.', ['acx', 'abbcx'], ['ac', 'bcx']],
  ['ab{0,1}c', ['ac', 'abc'], ['abbc']],
  ['ab+', ['abb'], ['a']],
  ['a😀?b.', ['abx', 'a😀bx'], ['a', '😀bx']],
  ['ab[12]|cd.', ['ab1', 'cdx'], ['ab', 'cd']],
] as const)
  test(`${source} is anchored on both sides`, () => {
    const compiled = compileAnchored(source)
    for (const text of hits) assert.ok(compiled.test(text), `${source} matches ${JSON.stringify(text)}`)
    for (const text of misses) assert.ok(!compiled.test(text), `${source} does not match ${JSON.stringify(text)}`)
  })

for (const source of ['(', '[a', 'a**', '(?=x)', '(?<!x)', '\\1', 'a{2,1}', '*'])
  test(`${source} is refused: not Go's syntax`, () => {
    assert.throws(() => compileAnchored(source), { name: 'BadRegexError' })
  })

test('matchers: the four kinds, and what each says of an absent label', () => {
  // An absent label is an empty one.
  for (const [kind, value, present, absent] of [
    ['=', 'a', true, false],
    ['=', '', false, true],
    ['!=', 'a', false, true],
    ['!=', '', true, false],
    ['=~', 'a|b', true, false],
    ['=~', '.*', true, true],
    ['!~', 'a|b', false, true],
    ['!~', '.+', false, true],
  ] as const) {
    const matcher = makeMatcher(kind, 'x', value)
    assert.equal(matcher.matches('a'), present, `${kind}"${value}" and a`)
    assert.equal(matcher.matches(''), absent, `${kind}"${value}" and nothing`)
  }
})

test('an expression that would backtrack for ever takes linear time', () => {
  const compiled = compileAnchored('(a+)+$')
  assert.ok(!compiled.test(`${'a'.repeat(20_000)}b`))
})

test('alternations that are tested by a set agree with the expression, on 2,000 seeded texts', () => {
  const seed = 20_261_128
  const random = seededRandom(seed)
  const letters = ['a', 'b', '.', '|', '(', ')', 'ab', '']
  const text = (): string => Array.from({ length: below(random, 4) }, () => letters[below(random, 3)]).join('')
  for (let i = 0; i < 2000; i++) {
    const words = Array.from({ length: 1 + below(random, 4) }, text)
    const source = words.map(word => word.replaceAll('.', '\\.')).join('|')
    const compiled = compileAnchored(source)
    const plain = compileRe2(`^(?s:${source})$`, source)
    for (const candidate of [...words, text(), `${words[0] ?? ''}x`])
      assert.equal(compiled.test(candidate), plain.matcher(candidate).find(), `seed ${seed}: ${source} on ${candidate}`)
  }
})
