/** Dates of any double. The right values are those of Prometheus 3.14 on amd64. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { goDate } from './go-calendar.ts'

const cases: [
  seconds: number,
  minute: number,
  hour: number,
  day: number,
  month: number,
  weekday: number,
  year: number,
][] = [
  [4_102_444_799.9, 59, 23, 31, 12, 4, 2099],
  [-86_400, 0, 0, 31, 12, 3, 1969],
  [8.64e12, 0, 0, 13, 9, 6, 275_760],
  [-8.7e12, 20, 13, 22, 12, 6, -273_723],
  [-1e15, 13, 22, 29, 6, 0, -31_686_769],
  [123_456_789_012_345_680, 21, 5, 26, 11, 3, 3_912_191_873],
  [9.2e18, 33, 11, 31, 8, 5, 291_536_396_232],
  [-9.2e18, 26, 12, 3, 5, 2, -291_536_392_293],
  // What is no number of 64 bits is the least one, and wraps around.
  [Infinity, 30, 15, 4, 12, 0, 292_277_026_596],
  [-Infinity, 30, 15, 4, 12, 0, 292_277_026_596],
  [NaN, 30, 15, 4, 12, 0, 292_277_026_596],
  [1e300, 30, 15, 4, 12, 0, 292_277_026_596],
]

for (const [seconds, ...wanted] of cases)
  test(`the date of ${seconds}`, () => {
    const { date, year } = goDate(seconds)
    const found = [
      date.getUTCMinutes(),
      date.getUTCHours(),
      date.getUTCDate(),
      date.getUTCMonth() + 1,
      date.getUTCDay(),
    ]
    assert.deepEqual([...found, year], wanted)
  })
