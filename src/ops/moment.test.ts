import assert from 'node:assert/strict'
import test from 'node:test'
import { momentOf } from './moment.ts'

const now = Date.UTC(2026, 10, 28, 12)
const cases: readonly (readonly [text: string, iso: string])[] = [
  ['0s', '2026-11-28T12:00:00.000Z'],
  ['6h', '2026-11-28T06:00:00.000Z'],
  ['1d12h', '2026-11-27T00:00:00.000Z'],
  ['0', '1970-01-01T00:00:00.000Z'],
  ['1795860000', '2026-11-28T10:00:00.000Z'],
  ['1795860000.5', '2026-11-28T10:00:00.500Z'],
  ['2026-11-25T10:00:00Z', '2026-11-25T10:00:00.000Z'],
]
for (const [text, iso] of cases)
  test(`${text} is ${iso}`, () => {
    assert.equal(new Date(momentOf(text, now)).toISOString(), iso)
  })

for (const text of ['', 'soon', '6 h'])
  test(`${JSON.stringify(text)} is no time`, () => {
    assert.throws(() => momentOf(text, now), { message: /is no time: seconds, .* or 6h \(ago\) were expected$/ })
  })
