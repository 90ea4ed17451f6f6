/** Go's time layouts: the reference time written out. Source: the public documentation of Go's time package. */

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

function nextWord(layout: string, at: number): string | undefined {
  const fraction = /^[.,](?:0+|9+)(?!\d)/.exec(layout.slice(at))
  if (fraction !== null) return fraction[0]
  return words.find(
    word => layout.startsWith(word, at) && !((word === 'Jan' || word === 'Mon') && /^[a-z]/.test(layout.slice(at + 3))),
  )
}

const pad = (n: number, size = 2): string => String(n).padStart(size, '0')

export function formatGoTime(layout: string, ms: number, subNs: number, offsetMinutes: number, zone: string): string {
  const local = new Date(ms + offsetMinutes * 60_000)
  const ns = `${pad(((ms % 1000) + 1000) % 1000, 3)}${pad(subNs, 6)}`
  const zoneText = (separator: string): string =>
    `${offsetMinutes < 0 ? '-' : '+'}${pad(Math.floor(Math.abs(offsetMinutes) / 60))}${separator}${pad(Math.abs(offsetMinutes) % 60)}`
  let out = ''
  for (let at = 0; at < layout.length;) {
    const word = nextWord(layout, at)
    if (word === undefined) {
      out += layout[at++]
      continue
    }
    at += word.length
    if (/^[.,]/.test(word)) {
      const digits = ns.slice(0, word.length - 1)
      if (word[1] === '0') out += word[0] + digits
      else {
        const kept = digits.replace(/0+$/, '')
        if (kept !== '') out += word[0] + kept
      }
      continue
    }
    switch (word) {
      case 'January':
        out += months[local.getUTCMonth()]!
        break
      case 'Jan':
        out += months[local.getUTCMonth()]!.slice(0, 3)
        break
      case 'Monday':
        out += days[local.getUTCDay()]!
        break
      case 'Mon':
        out += days[local.getUTCDay()]!.slice(0, 3)
        break
      case 'MST':
        out += zone === '' ? zoneText('') : zone
        break
      case '2006':
        out += pad(local.getUTCFullYear(), 4)
        break
      case '002':
        out += pad(
          Math.floor(
            (Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()) -
              Date.UTC(local.getUTCFullYear(), 0, 1)) /
              86_400_000,
          ) + 1,
          3,
        )
        break
      case '06':
        out += pad(local.getUTCFullYear() % 100)
        break
      case '01':
        out += pad(local.getUTCMonth() + 1)
        break
      case '1':
        out += String(local.getUTCMonth() + 1)
        break
      case '02':
        out += pad(local.getUTCDate())
        break
      case '_2':
        out += String(local.getUTCDate()).padStart(2)
        break
      case '2':
        out += String(local.getUTCDate())
        break
      case '15':
        out += pad(local.getUTCHours())
        break
      case '03':
        out += pad(local.getUTCHours() % 12 || 12)
        break
      case '3':
        out += String(local.getUTCHours() % 12 || 12)
        break
      case '04':
        out += pad(local.getUTCMinutes())
        break
      case '4':
        out += String(local.getUTCMinutes())
        break
      case '05':
        out += pad(local.getUTCSeconds())
        break
      case '5':
        out += String(local.getUTCSeconds())
        break
      case 'PM':
        out += local.getUTCHours() >= 12 ? 'PM' : 'AM'
        break
      case 'pm':
        out += local.getUTCHours() >= 12 ? 'pm' : 'am'
        break
      case '-0700':
        out += zoneText('')
        break
      case '-07:00':
        out += zoneText(':')
        break
      case '-07:00:00':
        out += `${zoneText(':')}:00`
        break
      case '-07':
        out += zoneText('').slice(0, 3)
        break
      case 'Z0700':
        out += offsetMinutes === 0 ? 'Z' : zoneText('')
        break
      case 'Z07:00':
        out += offsetMinutes === 0 ? 'Z' : zoneText(':')
        break
      default:
        out += offsetMinutes === 0 ? 'Z' : zoneText('').slice(0, 3)
    }
  }
  return out
}

/** Minutes east of UTC of an IANA zone at a local time; undefined for a zone that is not known. */
function zoneOffset(zone: string, localMs: number): number | undefined {
  if (zone === 'UTC' || zone === '') return 0
  const at = (ms: number): number | undefined => {
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

/** Reads a time; undefined when the text does not follow the layout. `make` gets milliseconds, nanoseconds within, minutes east, zone. */
export function parseGoTime<T>(
  layout: string,
  text: string,
  zone: string,
  make: (ms: number, subNs: number, offsetMinutes: number, zone: string) => T,
): T | undefined {
  let year = 1,
    month = 1,
    day = 1,
    hour = 0,
    minute = 0,
    second = 0,
    ns = 0
  let isPm: boolean | undefined
  let offset: number | undefined,
    zoneName = zone
  let rest = text
  const take = (pattern: RegExp): string | undefined => {
    const match = pattern.exec(rest)
    if (match === null) return undefined
    rest = rest.slice(match[0].length)
    return match[0]
  }
  for (let at = 0; at < layout.length;) {
    const word = nextWord(layout, at)
    if (word === undefined) {
      if (rest[0] !== layout[at]) return undefined
      rest = rest.slice(1)
      at++
      continue
    }
    at += word.length
    let got: string | undefined
    if (/^[.,]/.test(word)) {
      got = take(/^[.,]\d+/)
      if (got === undefined) {
        if (word[1] === '9') continue
        return undefined
      }
      ns = Number(got.slice(1, 10).padEnd(9, '0'))
      continue
    }
    switch (word) {
      case 'January':
        got = take(/^[A-Za-z]+/)
        month = months.findIndex(m => m.toLowerCase() === got?.toLowerCase()) + 1
        break
      case 'Jan':
        got = take(/^[A-Za-z]{3}/)
        month = months.findIndex(m => m.slice(0, 3).toLowerCase() === got?.toLowerCase()) + 1
        break
      case 'Monday':
        got = take(/^[A-Za-z]+/)
        break
      case 'Mon':
        got = take(/^[A-Za-z]{3}/)
        break
      case 'MST':
        got = take(/^(?:[A-Z]{3,4}|[+-]\d{2})/)
        if (got !== undefined) {
          zoneName = got
          if (got === 'UTC') offset = 0
        }
        break
      case '2006':
        got = take(/^\d{4}/)
        year = Number(got)
        break
      case '06':
        got = take(/^\d{2}/)
        year = Number(got) + (Number(got) >= 69 ? 1900 : 2000)
        break
      case '002':
        got = take(/^\d{3}/)
        day = Number(got)
        break
      case '01':
        got = take(/^\d{2}/)
        month = Number(got)
        break
      case '1':
        got = take(/^\d{1,2}/)
        month = Number(got)
        break
      case '02':
        got = take(/^\d{2}/)
        day = Number(got)
        break
      case '2':
      case '_2':
        got = take(/^ ?\d{1,2}/)
        day = Number(got)
        break
      case '15':
      case '03':
        got = take(/^\d{2}/)
        hour = Number(got)
        break
      case '3':
        got = take(/^\d{1,2}/)
        hour = Number(got)
        break
      case '04':
        got = take(/^\d{2}/)
        minute = Number(got)
        break
      case '4':
        got = take(/^\d{1,2}/)
        minute = Number(got)
        break
      case '05':
      case '5': {
        got = take(word === '05' ? /^\d{2}/ : /^\d{1,2}/)
        second = Number(got)
        // A fraction may follow the seconds although the layout has none.
        const fraction = /^[.,](?:0+|9+)/.test(layout.slice(at)) ? undefined : take(/^[.,]\d+/)
        if (fraction !== undefined) ns = Number(fraction.slice(1, 10).padEnd(9, '0'))
        break
      }
      case 'PM':
      case 'pm':
        got = take(/^(?:AM|PM|am|pm)/)
        isPm = got?.toLowerCase() === 'pm'
        break
      default: {
        got = take(word.startsWith('Z') ? /^(?:Z|[+-]\d{2}(?::?\d{2})?)/ : /^[+-]\d{2}(?::?\d{2})?/)
        if (got === undefined) return undefined
        const digits = got.replaceAll(/[^0-9]/g, '').padEnd(4, '0')
        offset =
          got === 'Z'
            ? 0
            : (got.startsWith('-') ? -1 : 1) * (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4)))
        zoneName = offset === 0 ? 'UTC' : ''
      }
    }
    if (got === undefined) return undefined
  }
  if (rest !== '') return undefined
  if (isPm === true && hour < 12) hour += 12
  if (isPm === false && hour === 12) hour = 0
  if (month < 1 || month > 12 || day < 1 || day > 366 || hour > 23 || minute > 59 || second > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second, 0)
  if (day <= 31 && date.getUTCMonth() !== month - 1) return undefined
  const minutes = offset ?? zoneOffset(zone, date.getTime())
  if (minutes === undefined) return undefined
  return make(date.getTime() - minutes * 60_000 + Math.floor(ns / 1e6), ns % 1e6, minutes, zoneName)
}
