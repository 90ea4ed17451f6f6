/** Time intervals: which moments they hold, and what is refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseSettings } from '#lang/settings/section.ts'
import { isWithin, readTimeIntervals, type TimeInterval } from './time-intervals.ts'

function read(interval: string): TimeInterval {
  const [found] = readTimeIntervals(parseSettings(`[{ name: t, time_intervals: [${interval}] }]`, 'am.yml').list())
  assert.ok(found)
  return found
}

/** Interval, then moments in UTC: `+` within, `-` not. 2026-02-28 is a Saturday. */
const cases: readonly (readonly [string, ...string[]])[] = [
  ['{}', '+ 2026-02-28T00:00'],
  [
    '{ times: [{ start_time: "09:00", end_time: "17:00" }] }',
    '- 2026-03-02T08:59',
    '+ 2026-03-02T09:00',
    '+ 2026-03-02T16:59',
    '- 2026-03-02T17:00',
  ],
  ['{ times: [{ start_time: "00:00", end_time: "24:00" }] }', '+ 2026-03-02T00:00', '+ 2026-03-02T23:59'],
  ['{ weekdays: ["monday:friday"] }', '+ 2026-03-02T00:00', '- 2026-02-28T12:00', '- 2026-03-01T12:00'],
  ['{ weekdays: ["saturday", "0"] }', '+ 2026-02-28T12:00', '+ 2026-03-01T12:00', '- 2026-03-02T00:00'],
  ['{ days_of_month: ["1:3"] }', '+ 2026-03-01T00:00', '+ 2026-03-03T23:59', '- 2026-03-04T00:00'],
  [
    '{ days_of_month: ["-1"] }',
    '+ 2026-02-28T12:00',
    '- 2026-03-28T12:00',
    '+ 2026-03-31T12:00',
    '+ 2028-02-29T12:00',
    '- 2028-02-28T12:00',
  ],
  ['{ days_of_month: ["-3:-1"] }', '+ 2026-02-26T00:00', '- 2026-02-25T23:59', '+ 2026-04-28T00:00'],
  ['{ days_of_month: ["30:31"] }', '- 2026-02-28T12:00', '+ 2026-03-30T12:00'],
  ['{ months: ["january:march", "12"] }', '+ 2026-02-28T00:00', '- 2026-04-01T00:00', '+ 2026-12-31T23:59'],
  ['{ years: ["2026:2027"] }', '+ 2026-01-01T00:00', '+ 2027-12-31T23:59', '- 2028-01-01T00:00'],
  ['{ weekdays: [monday], months: [march] }', '+ 2026-03-02T00:00', '- 2026-03-03T00:00', '- 2026-04-06T00:00'],
  [
    '{ location: Europe/Berlin, times: [{ start_time: "09:00", end_time: "10:00" }] }',
    '+ 2026-02-28T08:30',
    '- 2026-02-28T09:30',
    '+ 2026-07-01T07:30',
    '- 2026-07-01T08:30',
  ],
  ['{ weekdays: [monday] }, { weekdays: [tuesday] }', '+ 2026-03-02T00:00', '+ 2026-03-03T00:00', '- 2026-03-04T00:00'],
]
for (const [text, ...moments] of cases)
  test(`within: ${text}`, () => {
    const interval = read(text)
    for (const moment of moments)
      assert.equal(isWithin(interval, Date.parse(`${moment.slice(2)}Z`)), moment.startsWith('+'), moment)
  })

const refusals: readonly (readonly [string, RegExp])[] = [
  ['{ times: [{ start_time: "17:00", end_time: "09:00" }] }', /start_time must be before end_time/],
  ['{ times: [{ start_time: "9:00", end_time: "17:00" }] }', /is no time like 17:30/],
  ['{ times: [{ start_time: "09:60", end_time: "17:00" }] }', /is no time like 17:30/],
  ['{ times: [{ start_time: "09:00", end_time: "24:01" }] }', /is no time like 17:30/],
  ['{ weekdays: ["friday:monday"] }', /is no range of 0 to 6/],
  ['{ weekdays: [someday] }', /is no range of 0 to 6/],
  ['{ days_of_month: ["0"] }', /0 is no day of a month/],
  ['{ days_of_month: ["32"] }', /is no range of -31 to 31/],
  ['{ months: ["may:april"] }', /is no range of 1/],
  ['{ years: ["2026:2027:2028"] }', /is no range of 0 to 9999/],
  ['{ location: Moon/Crater }', /unknown time zone Moon\/Crater/],
  ['{ hours: ["1"] }', /hours/],
]
for (const [text, message] of refusals)
  test(`refused: ${text}`, () => {
    assert.throws(() => read(text), message)
  })

test('an interval needs a name', () => {
  assert.throws(() => readTimeIntervals(parseSettings('[{ time_intervals: [] }]', 'am.yml').list()), /missing name/)
})
