/** Times as LogsQL and its API write them: parts of RFC 3339, Unix times, distances from now. In nanoseconds. */
import { instantOf } from './numbers.ts'

export const leastNs = -(2n ** 63n)
export const mostNs = 2n ** 63n - 1n
const secondNs = 1_000_000_000n
const limit31 = 2n ** 31n

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
}

/** Milliseconds, which may have a fraction, in nanoseconds. */
export function nsOfMs(ms: number): bigint {
  const whole = Math.floor(ms)
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6))
}

/** Durations of parameters, as Prometheus has them: `1h30m`, `-5m`, seconds without a unit. Whole milliseconds. */
export function parameterDurationMs(text: string): number | undefined {
  if (/[\d.]$/.test(text)) {
    const seconds = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : NaN
    return Number.isNaN(seconds) ? undefined : Math.trunc(seconds * 1000)
  }
  if (!/^(?:-?(?:\d+\.?\d*|\.\d+)(?:ms|[smhdwy]))+$/.test(text)) return undefined
  let total = 0
  let isNegative = false
  for (const [, sign, digits, unit] of text.matchAll(/(-?)(\d+\.?\d*|\.\d+)(ms|[smhdwy])/g)) {
    isNegative ||= sign === '-'
    total += (isNegative ? -1 : 1) * Number(digits) * unitsMs[unit!]!
  }
  return Math.trunc(total)
}

/** Seconds, milliseconds, microseconds or nanoseconds, by their size. */
function scaledUnixNs(value: bigint): bigint {
  const size = value < 0n ? -value - 1n : value
  if (size < limit31) return value * secondNs
  if (size < limit31 * 1000n) return value * 1_000_000n
  if (size < limit31 * 1_000_000n) return value * 1000n
  return value
}

/** A Unix time of any unit, whole, with a fraction or with an exponent. */
export function unixNs(text: string): bigint | undefined {
  const match = /^([+-]?\d+)(?:\.(\d+))?(?:[eE](\d+))?$/.exec(text)
  if (match === null || text.length > 40) return undefined
  const [, whole = '', fraction = '', exponent] = match
  if (exponent !== undefined) {
    const zeros = Number(exponent) - fraction.length
    if (zeros < 0 || zeros > 18) return undefined
    return inInt64(scaledUnixNs(BigInt(whole + fraction) * 10n ** BigInt(zeros)))
  }
  // A fraction makes the number one of a smaller unit, three digits at a time.
  const digits = fraction.padEnd(Math.ceil(fraction.length / 3) * 3, '0')
  return inInt64(scaledUnixNs(BigInt(whole + digits)))
}

function inInt64(value: bigint): bigint | undefined {
  return value >= leastNs && value <= mostNs ? value : undefined
}

const calendarForms: Readonly<Record<number, RegExp>> = {
  4: /^\d{4}$/,
  7: /^\d{4}-\d\d$/,
  10: /^\d{4}-\d\d-\d\d$/,
  13: /^\d{4}-\d\d-\d\dT\d\d$/,
  16: /^\d{4}-\d\d-\d\dT\d\d:\d\d$/,
  19: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/,
}
const calendarStart = '0000-01-01T00:00:00'

/** A moment of a query or a parameter; without a zone it is UTC. Undefined for what is none. */
export function momentNs(text: string, nowNs: bigint): bigint | undefined {
  if (text === 'now') return nowNs
  const zone = text.length > 6 ? /([+-])(\d\d):(\d\d)$/.exec(text) : null
  const bare = (zone === null ? text : text.slice(0, -6)).replace(/Z$/, '')
  if (/[^0-9]$/.test(bare) || bare.startsWith('-') || bare.startsWith('now')) {
    const ms = parameterDurationMs(bare.replace(/^now/, ''))
    return ms === undefined ? undefined : nowNs - BigInt(Math.abs(ms)) * 1_000_000n
  }
  if (bare.length !== 4 && !text.includes('-')) return unixNs(text)
  const offsetNs =
    zone === null ? 0n : (zone[1] === '+' ? -1n : 1n) * (BigInt(zone[2]!) * 3600n + BigInt(zone[3]!) * 60n) * secondNs
  if (calendarForms[bare.length]?.test(bare) === true) {
    const ns = calendarNs(bare + calendarStart.slice(bare.length))
    return ns === undefined ? undefined : ns + offsetNs
  }
  if (!/T.*(?:Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const longer = /^(.*\.\d{9})\d+(.*)$/.exec(text)
  return calendarNs(longer === null ? text : longer[1]! + longer[2]!)
}

/** A whole date and time whose parts are in their ranges. */
function calendarNs(text: string): bigint | undefined {
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = [5, 8, 11, 14, 17].map(at =>
    Number(text.slice(at, at + 2)),
  )
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined
  if (day > new Date(Date.UTC(Number(text.slice(0, 4)), month, 0)).getUTCDate()) return undefined
  const instant = instantOf(text)
  return instant === undefined ? undefined : BigInt(instant.ms) * 1_000_000n + BigInt(instant.subNs)
}

/** The last nanosecond of what a text names: of a year, a day, a second, a millisecond, or the moment itself. */
export function endOfMomentNs(startNs: bigint, text: string): bigint {
  const bare = text.endsWith('Z') ? text.slice(0, -1) : text.replace(/[+-]\d\d:\d\d$/, '')
  const isDate = bare[4] === '-'
  if (bare.length === 4) return monthsLater(startNs, 12) - 1n
  if (bare.length === 7 && isDate) return monthsLater(startNs, 1) - 1n
  const widthNs = isDate ? widthsNs[bare.length] : undefined
  return startNs + (widthNs ?? 1n) - 1n
}

const widthsNs: Readonly<Record<number, bigint>> = {
  10: 86_400n * secondNs,
  13: 3_600n * secondNs,
  16: 60n * secondNs,
  19: secondNs,
  23: 1_000_000n,
}

function monthsLater(ns: bigint, months: number): bigint {
  const ms = Number(ns / 1_000_000n)
  const date = new Date(ms)
  date.setUTCMonth(date.getUTCMonth() + months)
  return BigInt(date.getTime()) * 1_000_000n + (ns % 1_000_000n)
}
