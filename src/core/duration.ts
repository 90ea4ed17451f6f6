/** Prometheus durations: `1h30m`, `90s`, `1y2w`; whole numbers, units in falling order, each at most once. */
import { quote } from './text.ts'

const unitsMs = [
  ['y', 31_536_000_000],
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const
const shape = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/

/** Milliseconds, or undefined when `text` is not a duration. `0` alone is one. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0
  if (text === '') return undefined
  const match = shape.exec(text)
  if (match === null) return undefined
  let totalMs = 0
  for (let i = 0; i < unitsMs.length; i++) {
    const digits = match[i + 1]
    if (digits !== undefined) totalMs += Number(digits) * unitsMs[i]![1]
  }
  return totalMs * 1e6 > 9.223372036854775e18 ? undefined : totalMs
}

/** The shortest text with the same value: years and weeks only when they divide it, as Prometheus prints it. */
export function formatDuration(totalMs: number): string {
  if (totalMs === 0) return '0s'
  let rest = Math.abs(totalMs)
  let text = totalMs < 0 ? '-' : ''
  for (const [unit, sizeMs] of unitsMs) {
    const exactOnly = unit === 'y' || unit === 'w'
    if (exactOnly && rest % sizeMs !== 0) continue
    const count = Math.floor(rest / sizeMs)
    if (count > 0) {
      text += `${count}${unit}`
      rest -= count * sizeMs
    }
  }
  return text
}

const goUnitsNs: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['μs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 6e10],
  ['h', 3.6e12],
])

/** A duration as Go writes it (`1h2m0.5s`), in nanoseconds, or why it is none, in Go's words. */
export function goDuration(text: string): { ns: number } | { error: string } {
  const invalid = { error: `time: invalid duration ${quote(text)}` }
  const sign = text.startsWith('-') ? -1 : 1
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return { ns: 0 }
  if (rest === '') return invalid
  let ns = 0
  while (rest !== '') {
    const count = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0]
    if (count === undefined) return invalid
    const unit = /^[^\d.]*/.exec(rest.slice(count.length))![0]
    if (unit === '') return { error: `time: missing unit in duration ${quote(text)}` }
    const unitNs = goUnitsNs.get(unit)
    if (unitNs === undefined) return { error: `time: unknown unit ${quote(unit)} in duration ${quote(text)}` }
    ns += Number(count) * unitNs
    rest = rest.slice(count.length + unit.length)
  }
  return { ns: sign * ns }
}

/** A duration as Go writes it, in milliseconds; undefined where it is none. */
export function goDurationMs(text: string): number | undefined {
  const read = goDuration(text)
  return 'ns' in read ? read.ns / 1e6 : undefined
}
