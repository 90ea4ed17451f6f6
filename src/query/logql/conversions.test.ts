/** Texts of labels as numbers. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { toBytes, toDurationNs, toDurationSeconds } from './conversions.ts'

test('byte sizes: units of 1000 and of 1024, whole bytes; names that every object has are no units', () => {
  const cases: [text: string, bytes: number | string][] = [
    ['5', 5],
    ['1.5kB', 1500],
    ['1 KiB', 1024],
    ['1,000', 1000],
    ['2MiB', 2 * 1024 ** 2],
    ['5parsecs', 'unhandled size name: parsecs'],
    ['5constructor', 'unhandled size name: constructor'],
    ['5__proto__', 'unhandled size name: __proto__'],
  ]
  for (const [text, expected] of cases)
    assert.deepEqual(toBytes(text), typeof expected === 'string' ? { error: expected } : expected, text)
})

test('durations in seconds; a unit that is not known is named', () => {
  assert.equal(toDurationSeconds('1m30s'), 90)
  for (const [text, unit] of [
    ['5toString', 'toString'],
    ['1s5x', 'x'],
  ])
    assert.deepEqual(toDurationSeconds(text!), {
      error: `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`,
    })
})

test('durations are quoted as Go quotes them: what is not ASCII as bytes (Loki 3.7.6)', () => {
  assert.deepEqual(toDurationNs('1ä'), {
    error: String.raw`time: unknown unit "\xc3\xa4" in duration "1\xc3\xa4"`,
  })
  assert.deepEqual(toDurationNs('\ta"'), { error: String.raw`time: invalid duration "\x09a\""` })
})
