/** Texts of labels as numbers. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { toBytes, toDurationNs, toDurationSeconds, toFloat } from './conversions.ts'

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

test('durations of one unit and of several are read alike', () => {
  for (const [text, ns] of [
    ['1.5ms', 1_500_000],
    ['.5s', 5e8],
    ['3.h', 1.08e13],
    ['7µs', 7000],
    ['7\u03bcs', 7000],
    ['0.4ns', 0],
    ['1h0.5m', 3.63e12],
    ['-2s', -2e9],
    ['0', 0],
  ] as const)
    assert.equal(toDurationNs(text), ns, text)
  for (const text of ['', '.', '.s', '1.2.3s', '5', 's', '99999999999999999999s', '1e3s', '1 s', '5constructor'])
    assert.equal(typeof toDurationNs(text), 'object', text)
})

test('floats, usual and unusual', () => {
  for (const [text, value] of [
    ['12', 12],
    ['0.25', 0.25],
    ['.5', 0.5],
    ['5.', 5],
    ['007', 7],
    ['-1.5', -1.5],
    ['1e3', 1000],
    ['1_000', 1000],
    ['0x1p4', 16],
    ['Inf', Infinity],
  ] as const)
    assert.equal(toFloat(text), value, text)
  for (const text of ['', '.', '1.2.3', '1,5', '9'.repeat(400), 'x']) assert.equal(typeof toFloat(text), 'object', text)
})

test('durations are quoted as Go quotes them: what is not ASCII as bytes (Loki 3.7.6)', () => {
  assert.deepEqual(toDurationNs('1ä'), {
    error: String.raw`time: unknown unit "\xc3\xa4" in duration "1\xc3\xa4"`,
  })
  assert.deepEqual(toDurationNs('\ta"'), { error: String.raw`time: invalid duration "\x09a\""` })
})
