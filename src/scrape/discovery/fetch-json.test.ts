/** Answers of discoveries: what is no JSON, and what would take the memory. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseAnswer } from './fetch-json.ts'

test('an answer is counted before it is parsed: one of empty elements, or nested without end, is refused', () => {
  assert.deepEqual(parseAnswer(Buffer.from('[{"targets":["a"]}]'), 'u'), [{ targets: ['a'] }])
  const cases: [answer: string, message: RegExp][] = [
    ['[', /^BadDataError: u did not answer with JSON$/],
    [`[${'{},'.repeat(1_000_000)}{}]`, /^BadDataError: the answer of u is refused: .* has more than \d+ elements/],
    [`${'['.repeat(9999)}`, /^BadDataError: the answer of u is refused: .* more than 512 deep at byte 512/],
  ]
  for (const [answer, message] of cases) assert.throws(() => parseAnswer(Buffer.from(answer), 'u'), message)
})
