/** Texts as numbers: plain ones, durations (nanoseconds), sizes (bytes), IPv4 addresses and times. */

const unitsNs: Readonly<Record<string, number>> = {
  ns: 1,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  h: 3.6e12,
  d: 8.64e13,
  w: 6.048e14,
  y: 3.1536e16,
}
const unitsBytes: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 1e3,
  KB: 1e3,
  M: 1e6,
  MB: 1e6,
  G: 1e9,
  GB: 1e9,
  T: 1e12,
  TB: 1e12,
  Ki: 1024,
  KiB: 1024,
  Mi: 1024 ** 2,
  MiB: 1024 ** 2,
  Gi: 1024 ** 3,
  GiB: 1024 ** 3,
  Ti: 1024 ** 4,
  TiB: 1024 ** 4,
}
const plain = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/
const grouped = /^-?(?:0|[1-9][\d_]*)(?:\.[\d_]+)?$/
const durations = /^-?(?:[\d._]+(?:ns|µs|ms|[smhdwy]))+$/
const duration = /([\d._]+)(ns|µs|ms|[smhdwy])/g
const sizes = /^-?(?:[\d._]+(?:[KMGT]i?B?|B))+(?:\d[\d_]*)?$/
const size = /([\d._]+)([KMGT]i?B?|B|)/g
const largestInt64 = 2 ** 63

/** Can a number, a time or an address begin with it? Letters are ruled out but those of Inf. */
function beginsAsNumber(text: string): boolean {
  const code = text.charCodeAt(0)
  return (code >= 48 && code <= 57) || code === 45 || code === 43 || code === 46 || (code | 32) === 105
}

/** A number without a unit and without an exponent; NaN for anything else. */
export function plainNumberOf(text: string): number {
  if (plain.test(text)) return Number(text)
  return grouped.test(text) && text.includes('_') ? Number(text.replaceAll('_', '')) : NaN
}

/** Sums of parts that are no whole numbers lose their fractions, as int64 has none. */
function summed(text: string, part: RegExp, units: Readonly<Record<string, number>>): number {
  let total = 0
  for (const [, digits = '', unit = ''] of text.matchAll(part)) {
    const value = plainNumberOf(digits)
    if (Number.isNaN(value)) return NaN
    total += Math.trunc(value * units[unit]!)
  }
  return (text.startsWith('-') ? -1 : 1) * Math.min(total, largestInt64)
}

/** `1h30m`, `-5s`, `1.5µs` in nanoseconds; NaN for anything else. */
export function durationOf(text: string): number {
  return durations.test(text) ? summed(text, duration, unitsNs) : NaN
}

/** `10KB`, `1.5GiB` in bytes; NaN for anything else. */
export function sizeOf(text: string): number {
  return sizes.test(text) ? summed(text, size, unitsBytes) : NaN
}

/** A number with or without a unit; NaN for what is none. */
export function toNumber(text: string): number {
  if (plain.test(text)) return Number(text)
  if (text === '' || !beginsAsNumber(text)) return NaN
  const simple = plainNumberOf(text)
  if (!Number.isNaN(simple)) return simple
  const span = durationOf(text)
  if (!Number.isNaN(span)) return span
  const bytes = sizeOf(text)
  return Number.isNaN(bytes) ? programNumberOf(text) : bytes
}

/** Numbers as programs write them: exponents, infinities, other bases. */
function programNumberOf(text: string): number {
  if (/^[+-]?inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : NaN
  }
  const based = /^([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+)$/.exec(text)
  if (based === null) return NaN
  const value = Number(based[2]!.replaceAll('_', ''))
  return value < largestInt64 ? (based[1] === '-' ? -value : value) : NaN
}

/** An IPv4 address as a number; undefined for anything else. */
export function ipv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,9})$/.exec(text)
  if (match === null || text.length > 15) return undefined
  const parts = match.slice(1).map(Number)
  return parts.some(p => p > 255) ? undefined : ((parts[0]! * 256 + parts[1]!) * 256 + parts[2]!) * 256 + parts[3]!
}

/** A point in time in whole milliseconds and the nanoseconds within. */
export interface Instant {
  ms: number
  subNs: number
}

const zoneForm = /^(?:Z|([+-])(\d\d):(\d\d))?$/

/** The number of the digits in a range; NaN where one is none. */
function digitsIn(text: string, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48
    if (!(digit >= 0 && digit <= 9)) return NaN
    value = value * 10 + digit
  }
  return value
}

const dash = 45
const colon = 58
const point = 46

/** RFC 3339, also without a zone (UTC) or with a space for the T; undefined for anything else. */
export function instantOf(text: string): Instant | undefined {
  const { length } = text
  if (length < 19 || text.charCodeAt(4) !== dash || text.charCodeAt(7) !== dash) return undefined
  if (text.charCodeAt(13) !== colon || text.charCodeAt(16) !== colon) return undefined
  if (text[10] !== 'T' && text[10] !== ' ') return undefined
  const year = digitsIn(text, 0, 4)
  if (!(year >= 1677 && year <= 2262)) return undefined
  let end = 19
  if (text.charCodeAt(end) === point) {
    end++
    while (end < length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++
  }
  const digits = end - 20
  if (digits === 0 || digits > 9) return undefined
  const fraction = digits > 0 ? digitsIn(text, 20, end) * 10 ** (9 - digits) : 0
  const hour = digitsIn(text, 11, 13)
  const minute = digitsIn(text, 14, 16)
  let ms = Date.UTC(year, digitsIn(text, 5, 7) - 1, digitsIn(text, 8, 10), hour, minute, digitsIn(text, 17, 19))
  if (Number.isNaN(ms)) return undefined
  if (end !== length - 1 || text[end] !== 'Z') {
    const zone = zoneForm.exec(text.slice(end))
    if (zone === null) return undefined
    if (zone[1] !== undefined) ms -= (zone[1] === '-' ? -1 : 1) * (Number(zone[2]) * 60 + Number(zone[3])) * 60_000
  }
  return { ms: ms + Math.floor(fraction / 1e6), subNs: fraction % 1e6 }
}

/** What can be compared as a number: also times (nanoseconds) and IPv4 addresses. NaN for anything else. */
export function comparableNumberOf(text: string): number {
  if (plain.test(text)) return Number(text)
  if (text === '' || !beginsAsNumber(text)) return NaN
  const number = toNumber(text)
  if (!Number.isNaN(number)) return number
  const instant = instantOf(text)
  if (instant !== undefined) return instant.ms * 1e6 + instant.subNs
  return ipv4(text) ?? NaN
}

/** A whole number that is not negative, in decimal digits; undefined for anything else. */
export function countOf(text: string): number | undefined {
  return /^(?:0|[1-9][\d_]*)$/.test(text) ? Number(text.replaceAll('_', '')) : undefined
}
