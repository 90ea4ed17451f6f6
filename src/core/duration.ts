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

/** Why a text is no duration, in the words of Prometheus. */
export function durationProblem(text: string): string {
  if (text === '') return 'empty duration string'
  const unfit = `not a valid duration string: ${quote(text)}`
  let last = -1
  let rest = text
  while (rest !== '') {
    const [whole, , unit] = /^([0-9]+)([^0-9]+)/.exec(rest) ?? []
    if (whole === undefined) return unfit
    const place = unitsMs.findIndex(([name]) => name === unit)
    if (place < 0) return `unknown unit ${quote(unit!)} in duration ${quote(text)}`
    if (place <= last) return unfit
    last = place
    rest = rest.slice(whole.length)
  }
  return 'duration out of range'
}
