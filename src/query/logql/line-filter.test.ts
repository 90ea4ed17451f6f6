/** Texts that every match of an expression contains. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
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
