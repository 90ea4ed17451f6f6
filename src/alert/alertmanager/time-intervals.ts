/** Time intervals: when routes are mute or active. Source: Alertmanager's public documentation of time_interval. */
import type { Section, Setting } from '#lang/settings/section.ts'

/** Ends are in the range, but for times, whose end is not. Days of a month may count from its end. */
interface Range {
  from: number
  through: number
}
interface Interval {
  times: Range[]
  weekdays: Range[]
  days: Range[]
  months: Range[]
  years: Range[]
  location: string
}
/** A named set of intervals; a moment is in it when one of the intervals holds the moment. */
export interface TimeInterval {
  name: string
  intervals: Interval[]
}

const weekdayNames = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const monthNames = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
]

function rangeOf(setting: Setting, one: (text: string) => number | undefined, least: number, most: number): Range {
  const text = setting.text().trim().toLowerCase()
  const [from, through = from, more] = text.split(':')
  const a = one(from!.trim())
  const b = one(through!.trim())
  if (
    more !== undefined ||
    a === undefined ||
    b === undefined ||
    a < least ||
    a > most ||
    b < least ||
    b > most ||
    (a > 0 === b > 0 && a > b)
  )
    return setting.refuse(`${JSON.stringify(text)} is no range of ${least} to ${most}`)
  return { from: a, through: b }
}
const named =
  (names: readonly string[], first: number) =>
  (text: string): number | undefined => {
    const at = names.indexOf(text)
    return at >= 0 ? at + first : /^\d+$/.test(text) ? Number(text) : undefined
  }
const whole = (text: string): number | undefined => (/^-?\d+$/.test(text) ? Number(text) : undefined)

function minuteOf(section: Section, name: string): number {
  const match = /^(\d\d):(\d\d)$/.exec(section.text(name))
  const minutes = match === null ? NaN : Number(match[1]) * 60 + Number(match[2])
  return Number.isNaN(minutes) || minutes > 1440 || Number(match![2]) > 59
    ? section.refuse(`${name} ${JSON.stringify(section.text(name))} is no time like 17:30`)
    : minutes
}

function readInterval(setting: Setting): Interval {
  const section = setting.section()
  const interval: Interval = {
    times: section.list('times').map(t => {
      const s = t.section()
      const range = { from: minuteOf(s, 'start_time'), through: minuteOf(s, 'end_time') }
      s.finish()
      if (range.from >= range.through) s.refuse('start_time must be before end_time')
      return range
    }),
    weekdays: section.list('weekdays').map(s => rangeOf(s, named(weekdayNames, 0), 0, 6)),
    days: section.list('days_of_month').map(s => {
      const range = rangeOf(s, whole, -31, 31)
      if (range.from === 0 || range.through === 0) s.refuse('0 is no day of a month')
      return range
    }),
    months: section.list('months').map(s => rangeOf(s, named(monthNames, 1), 1, Infinity)),
    years: section.list('years').map(s => rangeOf(s, whole, 0, 9999)),
    location: section.text('location', 'UTC'),
  }
  section.finish()
  try {
    new Intl.DateTimeFormat('en', { timeZone: interval.location === 'Local' ? undefined : interval.location })
  } catch {
    section.refuse(`unknown time zone ${interval.location}`)
  }
  return interval
}

/** Reads time_intervals. Refuses ranges out of bounds and unknown time zones. */
export function readTimeIntervals(list: readonly Setting[]): TimeInterval[] {
  return list.map(setting => {
    const section = setting.section()
    const interval = { name: section.text('name'), intervals: section.list('time_intervals').map(readInterval) }
    if (interval.name === '') section.refuse('missing name in time interval')
    section.finish()
    return interval
  })
}

function partsOf(
  ms: number,
  location: string,
): { minute: number; weekday: number; day: number; month: number; year: number; lastDay: number } {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: location === 'Local' ? undefined : location,
    hourCycle: 'h23',
    weekday: 'short',
    day: 'numeric',
    month: 'numeric',
    year: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  }).formatToParts(ms)
  const get = (type: string): string => parts.find(p => p.type === type)?.value ?? '0'
  const month = Number(get('month'))
  const year = Number(get('year'))
  return {
    minute: Number(get('hour')) * 60 + Number(get('minute')),
    weekday: weekdayNames.findIndex(name => name.startsWith(get('weekday').toLowerCase())),
    day: Number(get('day')),
    month,
    year,
    lastDay: new Date(Date.UTC(year, month, 0)).getUTCDate(),
  }
}

/** Whether an interval holds a moment (milliseconds since the epoch), in its own time zone. */
export function isWithin({ intervals }: TimeInterval, ms: number): boolean {
  return intervals.some(({ times, weekdays, days, months, years, location }) => {
    const now = partsOf(ms, location)
    const inAny = (ranges: readonly Range[], value: number): boolean =>
      ranges.length === 0 || ranges.some(r => value >= r.from && value <= r.through)
    const dayOf = (day: number): number => (day < 0 ? now.lastDay + day + 1 : day)
    return (
      (times.length === 0 || times.some(t => now.minute >= t.from && now.minute < t.through)) &&
      inAny(weekdays, now.weekday) &&
      inAny(months, now.month) &&
      inAny(years, now.year) &&
      (days.length === 0 ||
        days.some(r => now.day >= Math.max(1, dayOf(r.from)) && now.day <= Math.min(now.lastDay, dayOf(r.through))))
    )
  })
}
