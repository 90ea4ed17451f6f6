/** Go's time layouts: the reference time written out. Source: the public documentation of Go's time package. */
import { ownOf } from '#core/own.ts'

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const
/** Longest first where one begins another. */
const words = [
  'January',
  'Jan',
  'Monday',
  'Mon',
  'MST',
  '2006',
  '002',
  '01',
  '02',
  '03',
  '04',
  '05',
  '06',
  '_2',
  '15',
  'PM',
  'pm',
  '-07:00:00',
  '-07:00',
  '-0700',
  '-07',
  'Z07:00',
  'Z0700',
  'Z07',
  '1',
  '2',
  '3',
  '4',
  '5',
] as const

type LayoutWord = (typeof words)[number]

function isLayoutWord(word: string): word is LayoutWord {
  return words.some(known => known === word)
}

/** The word of the layout that begins at the place; fractions of a second (`.000`, `,999`) too. */
function nextWord(layout: string, at: number): string | undefined {
  const fraction = /^[.,](?:0+|9+)(?!\d)/.exec(layout.slice(at))
  if (fraction !== null) return fraction[0]
  return words.find(
    word => layout.startsWith(word, at) && !((word === 'Jan' || word === 'Mon') && /^[a-z]/.test(layout.slice(at + 3))),
  )
}

const pad = (n: number, size = 2): string => String(n).padStart(size, '0')
const dayMs = 86_400_000

/** A time in its zone: `date` has the local time as if it were UTC. */
interface ZonedTime {
  date: Date
  offsetMinutes: number
  zone: string
}

function dayOfYear(date: Date): number {
  const midnight = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate())
  return Math.floor((midnight - Date.UTC(date.getUTCFullYear(), 0, 1)) / dayMs) + 1
}

function offsetText(offsetMinutes: number, separator: string): string {
  const minutes = Math.abs(offsetMinutes)
  return `${offsetMinutes < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}${separator}${pad(minutes % 60)}`
}

const monthOf = (date: Date): string => months[date.getUTCMonth()] ?? ''
const dayOf = (date: Date): string => days[date.getUTCDay()] ?? ''
const hourOf12 = (date: Date): number => date.getUTCHours() % 12 || 12
const isAfternoon = (date: Date): boolean => date.getUTCHours() >= 12

/** How each word of a layout is written. */
const writers: Readonly<Record<LayoutWord, (time: ZonedTime) => string>> = {
  January: ({ date }) => monthOf(date),
  Jan: ({ date }) => monthOf(date).slice(0, 3),
  Monday: ({ date }) => dayOf(date),
  Mon: ({ date }) => dayOf(date).slice(0, 3),
  MST: ({ zone, offsetMinutes }) => (zone === '' ? offsetText(offsetMinutes, '') : zone),
  '2006': ({ date }) => pad(date.getUTCFullYear(), 4),
  '06': ({ date }) => pad(date.getUTCFullYear() % 100),
  '002': ({ date }) => pad(dayOfYear(date), 3),
  '01': ({ date }) => pad(date.getUTCMonth() + 1),
  '1': ({ date }) => String(date.getUTCMonth() + 1),
  '02': ({ date }) => pad(date.getUTCDate()),
  _2: ({ date }) => String(date.getUTCDate()).padStart(2),
  '2': ({ date }) => String(date.getUTCDate()),
  '15': ({ date }) => pad(date.getUTCHours()),
  '03': ({ date }) => pad(hourOf12(date)),
  '3': ({ date }) => String(hourOf12(date)),
  '04': ({ date }) => pad(date.getUTCMinutes()),
  '4': ({ date }) => String(date.getUTCMinutes()),
  '05': ({ date }) => pad(date.getUTCSeconds()),
  '5': ({ date }) => String(date.getUTCSeconds()),
  PM: ({ date }) => (isAfternoon(date) ? 'PM' : 'AM'),
  pm: ({ date }) => (isAfternoon(date) ? 'pm' : 'am'),
  '-0700': ({ offsetMinutes }) => offsetText(offsetMinutes, ''),
  '-07:00': ({ offsetMinutes }) => offsetText(offsetMinutes, ':'),
  '-07:00:00': ({ offsetMinutes }) => `${offsetText(offsetMinutes, ':')}:00`,
  '-07': ({ offsetMinutes }) => offsetText(offsetMinutes, '').slice(0, 3),
  Z0700: ({ offsetMinutes }) => (offsetMinutes === 0 ? 'Z' : offsetText(offsetMinutes, '')),
  'Z07:00': ({ offsetMinutes }) => (offsetMinutes === 0 ? 'Z' : offsetText(offsetMinutes, ':')),
  Z07: ({ offsetMinutes }) => (offsetMinutes === 0 ? 'Z' : offsetText(offsetMinutes, '').slice(0, 3)),
}

/** `.000` keeps its digits, `.999` drops zeros at the end. `ns` has nine digits. */
function writeFraction(word: string, ns: string): string {
  const digits = ns.slice(0, word.length - 1)
  const kept = word[1] === '0' ? digits : digits.replace(/0+$/, '')
  return kept === '' ? '' : `${word.slice(0, 1)}${kept}`
}

/**
 * A time in a layout. `ms` since the epoch, `subNs` within the millisecond, minutes east of UTC, the zone's short
 * name.
 */
export function formatGoTime(layout: string, ms: number, subNs: number, offsetMinutes: number, zone: string): string {
  const time: ZonedTime = { date: new Date(ms + offsetMinutes * 60_000), offsetMinutes, zone }
  const ns = `${pad(((ms % 1000) + 1000) % 1000, 3)}${pad(subNs, 6)}`
  let out = ''
  for (let at = 0; at < layout.length;) {
    const word = nextWord(layout, at)
    if (word === undefined) {
      out += layout.slice(at, at + 1)
      at++
      continue
    }
    at += word.length
    out += isLayoutWord(word) ? writers[word](time) : writeFraction(word, ns)
  }
  return out
}

const localTimesMs = Date.UTC(1800, 0, 1)

/** Minutes east of UTC of an IANA zone at a local time; undefined for a zone that is not known. */
function zoneOffset(zone: string, localMs: number): number | undefined {
  if (zone === 'UTC' || zone === '') return 0
  const at = (timeMs: number): number | undefined => {
    // Before that every zone had the time of its place, which the calendar below can't say of years before 100.
    const ms = Math.max(timeMs, localTimesMs)
    try {
      const parts = new Intl.DateTimeFormat('en-US', {
        timeZone: zone,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      }).formatToParts(new Date(ms))
      const get = (type: string): number => Number(parts.find(p => p.type === type)!.value)
      return Math.round(
        (Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'), get('second')) -
          Math.floor(ms / 1000) * 1000) /
          60_000,
      )
    } catch {
      return undefined
    }
  }
  const first = at(localMs)
  return first === undefined ? undefined : at(localMs - first * 60_000)
}

/** Languages in which zones have short names; each has those of its own parts of the world. */
const zoneLanguages = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-ZA', 'ja-JP']
/** Zones whose names no language has, as the database of zones names them. */
const zoneNames: Readonly<Record<string, string>> = {
  'Asia/Hong_Kong': 'HKT',
  'Asia/Jakarta': 'WIB',
  'Asia/Karachi': 'PKT',
  'Asia/Manila': 'PST',
  'Asia/Seoul': 'KST',
  'Asia/Shanghai': 'CST',
  'Asia/Taipei': 'CST',
  'Europe/Moscow': 'MSK',
}

/** Since then nearly all places have the time of a zone. */
const zonesMs = Date.UTC(1930, 0, 1)

/** A zone's short name at a time, `CEST`; its distance from UTC where it has none. */
function shortZone(zone: string, ms: number, offsetMinutes: number): string {
  if (zone === '' || zone === 'UTC') return 'UTC'
  // The local mean time of a place.
  if (ms < zonesMs && offsetMinutes % 15 !== 0) return 'LMT'
  const known = ownOf(zoneNames, zone)
  if (known !== undefined) return known
  for (const language of zoneLanguages) {
    const format = new Intl.DateTimeFormat(language, { timeZone: zone, timeZoneName: 'short' })
    const name = format.formatToParts(new Date(ms)).find(({ type }) => type === 'timeZoneName')?.value ?? ''
    if (/^[A-Z]{3,5}$/.test(name) && name !== 'GST') return name
  }
  const digits = offsetText(offsetMinutes, '')
  return digits.endsWith('00') ? digits.slice(0, -2) : digits
}

/** What has been read of a time. Fields that a layout does not name stay as Go has them. */
class TimeReader {
  #rest: string
  year = 0
  month = 1
  day = 1
  hour = 0
  minute = 0
  second = 0
  ns = 0
  isPm: boolean | undefined
  /** Minutes east of UTC, where the text says. */
  offset: number | undefined
  zone: string

  constructor(text: string, zone: string) {
    this.#rest = text
    this.zone = zone
  }

  get isAtEnd(): boolean {
    return this.#rest === ''
  }

  /** The text at the place, if it fits; the place moves behind it. */
  take(pattern: RegExp): string | undefined {
    const match = pattern.exec(this.#rest)
    if (match === null) return undefined
    this.#rest = this.#rest.slice(match[0].length)
    return match[0]
  }

  takeCharacter(character: string | undefined): boolean {
    if (character === undefined || !this.#rest.startsWith(character)) return false
    this.#rest = this.#rest.slice(character.length)
    return true
  }

  /** A number, handed to `set`; false where there is none. */
  number(pattern: RegExp, set: (value: number) => void): boolean {
    const text = this.take(pattern)
    if (text === undefined) return false
    set(Number(text))
    return true
  }

  /** A month's name, by as many letters as `lettersMax`. */
  monthName(pattern: RegExp, lettersMax: number): boolean {
    const text = this.take(pattern)?.toLowerCase()
    this.month = months.findIndex(name => name.slice(0, lettersMax).toLowerCase() === text) + 1
    return text !== undefined
  }

  fraction(text: string): void {
    this.ns = Number(text.slice(1, 10).padEnd(9, '0'))
  }

  zoneName(): boolean {
    const text = this.take(/^(?:[A-Z]{3,4}|[+-]\d{2})/)
    if (text === undefined) return false
    this.zone = text
    if (text === 'UTC') this.offset = 0
    return true
  }

  zoneOffset(pattern: RegExp): boolean {
    const text = this.take(pattern)
    if (text === undefined) return false
    const digits = text.replaceAll(/[^0-9]/g, '').padEnd(4, '0')
    const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4))
    this.offset = text === 'Z' ? 0 : (text.startsWith('-') ? -1 : 1) * minutes
    this.zone = this.offset === 0 ? 'UTC' : ''
    return true
  }

  halfOfDay(): boolean {
    const text = this.take(/^(?:AM|PM|am|pm)/)
    if (text === undefined) return false
    this.isPm = text.toLowerCase() === 'pm'
    return true
  }
}

type ReadWord = (reader: TimeReader) => boolean
const two = /^\d{2}/
const oneOrTwo = /^\d{1,2}/
const signedOffset = /^[+-]\d{2}(?::?\d{2})?/
const offsetOrZ = /^(?:Z|[+-]\d{2}(?::?\d{2})?)/
const readMonth =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.number(pattern, value => (reader.month = value))
const readDay =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.number(pattern, value => (reader.day = value))
const readHour =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.number(pattern, value => (reader.hour = value))
const readMinute =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.number(pattern, value => (reader.minute = value))
const readSecond =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.number(pattern, value => (reader.second = value))
const readOffset =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.zoneOffset(pattern)
const readAny =
  (pattern: RegExp): ReadWord =>
  reader =>
    reader.take(pattern) !== undefined

/** How each word of a layout is read; false: the text does not follow it. */
const readers: Readonly<Record<LayoutWord, ReadWord>> = {
  January: reader => reader.monthName(/^[A-Za-z]+/, Infinity),
  Jan: reader => reader.monthName(/^[A-Za-z]{3}/, 3),
  Monday: readAny(/^[A-Za-z]+/),
  Mon: readAny(/^[A-Za-z]{3}/),
  MST: reader => reader.zoneName(),
  '2006': reader => reader.number(/^\d{4}/, value => (reader.year = value)),
  '06': reader => reader.number(two, value => (reader.year = value + (value >= 69 ? 1900 : 2000))),
  '002': readDay(/^\d{3}/),
  '01': readMonth(two),
  '1': readMonth(oneOrTwo),
  '02': readDay(two),
  _2: readDay(/^ ?\d{1,2}/),
  '2': readDay(/^ ?\d{1,2}/),
  '15': readHour(two),
  '03': readHour(two),
  '3': readHour(oneOrTwo),
  '04': readMinute(two),
  '4': readMinute(oneOrTwo),
  '05': readSecond(two),
  '5': readSecond(oneOrTwo),
  PM: reader => reader.halfOfDay(),
  pm: reader => reader.halfOfDay(),
  '-0700': readOffset(signedOffset),
  '-07:00': readOffset(signedOffset),
  '-07:00:00': readOffset(signedOffset),
  '-07': readOffset(signedOffset),
  Z0700: readOffset(offsetOrZ),
  'Z07:00': readOffset(offsetOrZ),
  Z07: readOffset(offsetOrZ),
}

const fractionInLayout = /^[.,](?:0+|9+)/
const fractionInText = /^[.,]\d+/

/** Reads by the layout from `at` on; the place behind it, or undefined where the text does not follow. */
function readNext(reader: TimeReader, layout: string, at: number): number | undefined {
  const word = nextWord(layout, at)
  if (word === undefined) return reader.takeCharacter(layout[at]) ? at + 1 : undefined
  const next = at + word.length
  if (!isLayoutWord(word)) {
    const fraction = reader.take(fractionInText)
    if (fraction !== undefined) reader.fraction(fraction)
    else if (word[1] !== '9') return undefined
    return next
  }
  if (!readers[word](reader)) return undefined
  // A fraction may follow the seconds although the layout has none.
  if ((word === '05' || word === '5') && !fractionInLayout.test(layout.slice(next))) {
    const fraction = reader.take(fractionInText)
    if (fraction !== undefined) reader.fraction(fraction)
  }
  return next
}

/** Milliseconds of the local time as if it were UTC; undefined where a field is out of its range. */
function localMsOf(reader: TimeReader): number | undefined {
  const { year, month, day, minute, second, isPm } = reader
  let { hour } = reader
  if (isPm === true && hour < 12) hour += 12
  if (isPm === false && hour === 12) hour = 0
  if (month < 1 || month > 12 || day < 1 || day > 366 || hour > 23 || minute > 59 || second > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second, 0)
  return day <= 31 && date.getUTCMonth() !== month - 1 ? undefined : date.getTime()
}

/**
 * Reads a time; undefined when the text does not follow the layout. `make` gets milliseconds since the epoch,
 * nanoseconds within them, minutes east of UTC, and the zone's name.
 */
export function parseGoTime<T>(
  layout: string,
  text: string,
  zone: string,
  make: (ms: number, subNs: number, offsetMinutes: number, zone: string) => T,
): T | undefined {
  const reader = new TimeReader(text, zone)
  for (let at = 0; at < layout.length;) {
    const next = readNext(reader, layout, at)
    if (next === undefined) return undefined
    at = next
  }
  if (!reader.isAtEnd) return undefined
  const localMs = localMsOf(reader)
  if (localMs === undefined) return undefined
  const known = reader.offset ?? zoneOffset(zone, localMs)
  const minutes = known ?? 0
  const { ns } = reader
  const ms = localMs - minutes * 60_000 + Math.floor(ns / 1e6)
  // A zone that is not known counts as UTC.
  const name = known === undefined ? 'UTC' : reader.zone === zone ? shortZone(zone, ms, minutes) : reader.zone
  return make(ms, ns % 1e6, minutes, name)
}
