/** Ranges of time as the command line has them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rangeOf } from './range-text.ts'

const now = Date.parse('2026-11-01T12:00:00Z')
const at = (time: string): number => Date.parse(`2026-11-01T${time}Z`)

const right: readonly (readonly [text: string, from: string, to: string])[] = [
  ['2026-11-01T10:00:00Z/15m', '10:00:00', '10:15:00'],
  ['15m/2026-11-01T10:00:00Z', '09:45:00', '10:00:00'],
  ['2026-11-01T10:00:00Z/2026-11-01T11:00:00Z', '10:00:00', '11:00:00'],
  ['2026-11-01T10:00:00Z', '10:00:00', '12:00:00'],
  ['1793527200/1h', '10:00:00', '11:00:00'],
  ['15m', '11:45:00', '12:00:00'],
  ['15m/now', '11:45:00', '12:00:00'],
]
for (const [text, from, to] of right)
  test(text, () => assert.deepEqual(rangeOf(text, now), { fromMs: at(from), toMs: at(to) }))

for (const text of [
  '',
  '15m/15m',
  'yesterday',
  'a/b/c',
  '2026-11-01T10:00:00Z/2026-11-01T09:00:00Z',
  'now/now',
  '0/now/',
])
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => rangeOf(text, now), { name: 'BadDataError' })
  })
