/** Times as LogsQL and its API write them: parts of RFC 3339, Unix times, and distances from now. */
import { parseDurationMs } from '#core/duration.ts'

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
}

/** `1.5h`, `1h30m`, `-5m`; undefined for something else. */
export function parseSpanMs(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1
  const body = text.replace(/^[+-]/, '')
  if (body === '') return undefined
  const plain = parseDurationMs(body)
  if (plain !== undefined && body !== '0') return sign * plain
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w|y))+$/.test(body)) return undefined
  let total = 0
  for (const [, number, unit] of body.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d|w|y)/g))
    total += Number(number) * unitsMs[unit!]!
  return sign * total
}

/** A point in time with the length of what was written: a year, a day, a second ... `widthMs` 0 for a point. */
export function parseMoment(text: string, nowMs: number): { ms: number; widthMs: number } | undefined {
  if (text === 'now') return { ms: nowMs, widthMs: 0 }
  const distance = parseSpanMs(text.replace(/^now/, ''))
  if (distance !== undefined && (/^now[+-]/.test(text) || /^-?[\d.]+[a-zµ]/.test(text)))
    return { ms: text.startsWith('now+') ? nowMs + distance : nowMs - Math.abs(distance), widthMs: 0 }
  if (/^-?\d+(\.\d+)?$/.test(text) && text.replace('-', '').split('.')[0]!.length !== 4) {
    const digits = text.replace('-', '').split('.')[0]!.length
    const value = Number(text)
    const ms = digits <= 11 ? value * 1000 : digits <= 14 ? value : digits <= 17 ? value / 1000 : value / 1e6
    return { ms, widthMs: 0 }
  }
  const match =
    /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(
      text,
    )
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction, zone] = match
  const offsetMinutes =
    zone === undefined || zone === 'Z'
      ? 0
      : (zone.startsWith('-') ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2)))
  const at = (y: number, mo: number, d: number): number =>
    Date.UTC(y, mo, d, Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0)) - offsetMinutes * 60_000
  const y = Number(year)
  const mo = Number(month ?? 1) - 1
  const d = Number(day ?? 1)
  const ms = at(y, mo, d) + (fraction === undefined ? 0 : Number(`0.${fraction}`) * 1000)
  let widthMs: number
  if (fraction !== undefined) widthMs = 0
  else if (second !== undefined) widthMs = 1000
  else if (minute !== undefined) widthMs = 60_000
  else if (hour !== undefined) widthMs = 3_600_000
  else if (day !== undefined) widthMs = 86_400_000
  else if (month !== undefined) widthMs = at(y, mo + 1, 1) - at(y, mo, 1)
  else widthMs = at(y + 1, 0, 1) - at(y, 0, 1)
  return { ms, widthMs }
}
