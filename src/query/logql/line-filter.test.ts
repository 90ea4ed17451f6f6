/** Texts that every match of an expression contains. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom, type Random } from '#core/random.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { foldedLiteral, requiredLiteral } from './line-filter.ts'

test('the longest plain stretch of an expression', () => {
  for (const [source, literal] of [
    ['path=/api/[a-z]+/9 status=5..', '/9 status=5'],
    ['colou?r shade', 'r shade'],
    ['ab.cd', undefined],
    ['error|warn', undefined],
    ['x(?i)error', undefined],
    ['x(?si)error', undefined],
    ['(?i)error', undefined],
    ['(?s:a)error', 'error'],
    [String.raw`a\.bc\dxyz`, 'a.bc'],
    ['(x[])]yz)', undefined],
    ['([[:alpha:])]xyz)', undefined],
    ['([^])]xyz)tail', 'tail'],
    [String.raw`(\Q)\E)abc`, undefined],
    [String.raw`\101bcd`, undefined],
    ['wxyz{b|cde}', undefined],
    ['wxyz{2}cde', 'wxy'],
    ['{"a":', '{"a":'],
    ['abc😀?d', 'abc'],
    ['foo[[:x]', 'foo'],
  ] as const)
    assert.equal(requiredLiteral(source), literal, source)
})

test('of one that ignores case: in small letters, without those that have relatives beyond ASCII', () => {
  for (const [source, folded] of [
    ['(?i)CONNECTION reset.*orders/77', { text: 'connection re', isWhole: false }],
    ['(?i)Timeout', { text: 'timeout', isWhole: true }],
    ['(?i)tImEoUt in', { text: 'timeout in', isWhole: true }],
    ['(?i)task', undefined],
    ['(?i)ERREUR fatale: é', { text: 'erreur fatale: ', isWhole: false }],
    ['(?i)a|b', undefined],
    ['(?i)x(?-i)ABCD', undefined],
    ['(?is)timeout', undefined],
    ['timeout', undefined],
  ] as const)
    assert.deepEqual(foldedLiteral(source), folded, source)
})

test('a line that matches contains the text, and one that contains a whole text matches', () => {
  const random = seededRandom(8)
  const letters = ['a', 'E', 'k', 'K', 's', '\u212a', '\u017f', 'r', 'R', ' ', '.', 'é']
  const word = (length: number): string =>
    Array.from({ length }, () => letters[below(random, letters.length)]!).join('')
  let found = 0
  for (let i = 0; i < 20_000; i++) {
    const source = `(?i)${word(3 + below(random, 3))}`
    const folded = foldedLiteral(source)
    if (folded === undefined) continue
    const line = `${word(2)}${below(random, 2) === 0 ? source.slice(4).toUpperCase() : word(6)}${word(2)}`
    const isThere = line.replaceAll(/[A-Z]/g, letter => letter.toLowerCase()).includes(folded.text)
    const isMatch = compileRe2(source).matcher(line).find()
    if (isMatch) {
      found++
      assert.ok(isThere, `${source} in ${line}`)
    }
    if (folded.isWhole) assert.equal(isMatch, isThere, `${source} in ${line}`)
  }
  assert.ok(found > 200, String(found))
})

/** A random expression, and a text that it finds. */
function madeOf(random: Random, depth: number): { source: string; text: string } {
  const pick = <T>(list: readonly T[]): T => list[below(random, list.length)]!
  const atoms: readonly (readonly [source: string, text: string])[] = [
    ['a', 'a'],
    ['bc', 'bc'],
    ['😀', '😀'],
    ['é', 'é'],
    ['{', '{'],
    ['}', '}'],
    [']', ']'],
    ['"', '"'],
    [',', ','],
    ['1', '1'],
    ['.', 'x'],
    [String.raw`\.`, '.'],
    [String.raw`\)`, ')'],
    [String.raw`\[`, '['],
    [String.raw`\|`, '|'],
    [String.raw`\d`, '7'],
    [String.raw`\101`, 'A'],
    [String.raw`\x41b`, 'Ab'],
    [String.raw`\x{1F600}`, '😀'],
    [String.raw`\pL`, 'z'],
    [String.raw`\Q).[\E`, ').['],
    ['[])]', pick([']', ')'])],
    ['[^]a]', ')'],
    ['[[:alpha:])]', pick(['q', ')'])],
    ['[[:x]', pick(['[', ':', 'x'])],

    [String.raw`[\])(|]`, pick([']', ')', '(', '|'])],
  ]
  let source = ''
  let text = ''
  for (let n = 1 + below(random, 5); n > 0; n--) {
    let one: readonly [string, string] = pick(below(random, 3) === 0 ? atoms : atoms.slice(0, 10))
    if (depth > 0 && below(random, 4) === 0) {
      const [a, b] = [madeOf(random, depth - 1), madeOf(random, depth - 1)]
      const open = pick(['(', '(?:', '(?P<n>', '(?s:'])
      one = below(random, 2) === 0 ? [`${open}${a.source})`, a.text] : [`${open}${a.source}|${b.source})`, b.text]
    }
    const isMany = one[0].length > 1 && !/^(\\[^Q]|\\x.*\}|\[.*\]|\(.*\)|😀)$/su.test(one[0])
    const last = isMany ? Array.from(one[1]).at(-1)! : one[1]
    const before = isMany ? one[1].slice(0, one[1].length - last.length) : ''
    const [quantifier, times] = pick([
      ...none,
      ['?', 0],
      ['*', 2],
      ['+', 1],
      ['{2}', 2],
      ['{0,1}', 0],
      ['*?', 0],
    ] as const)
    source += one[0] + quantifier
    text += quantifier === '' ? one[1] : before + last.repeat(times)
  }
  return { source, text }
}
const none = Array.from({ length: 10 }, () => ['', 1] as const)

test('whatever an expression is made of, a line that it finds contains its text', () => {
  const random = seededRandom(21)
  let matches = 0
  let texts = 0
  for (let i = 0; i < 6000; i++) {
    const parts = Array.from({ length: 1 + below(random, 2) }, () => madeOf(random, 2))
    const source = parts.map(part => part.source).join('|')
    let regex
    try {
      regex = compileRe2(source)
    } catch {
      continue
    }
    const line = parts.at(-1)!.text
    if (!regex.matcher(line).find()) continue
    matches++
    const literal = requiredLiteral(source)
    if (literal === undefined) continue
    texts++
    assert.ok(Buffer.from(line).includes(Buffer.from(literal)), `${JSON.stringify(literal)} of ${source} in ${line}`)
  }
  assert.ok(matches > 3000 && texts > 200, `${matches} ${texts}`)
})
