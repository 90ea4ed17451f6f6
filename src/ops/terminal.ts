/** Drawing in a terminal: a chart of lines, colours by level, sizes that read well. Pure: text out. */
import { greatest, least } from '#core/lists.ts'
import { ownOf } from '#core/own.ts'

const blocks = '▁▂▃▄▅▆▇█'
const colors: Readonly<Record<string, number>> = {
  critical: 35,
  fatal: 35,
  error: 31,
  warn: 33,
  warning: 33,
  info: 32,
  debug: 36,
  trace: 90,
  dim: 90,
}

export interface ChartLine {
  name: string
  values: readonly (number | undefined)[]
}

/** `color`: a level, or `dim`. */
export function colored(text: string, color: string, isOn: boolean): string {
  const code = ownOf(colors, color)
  return isOn && code !== undefined ? `\x1b[${code}m${text}\x1b[0m` : text
}

const units = ['', 'k', 'M', 'G', 'T']
/** Four digits and a unit of thousands: 1234567 is 1.235M. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size !== 0 && size < 0.001) return value.toExponential(1)
  const at = size < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(size) / 3))
  return `${Number((value / 1000 ** at).toPrecision(4))}${units[at] ?? ''}`
}

const isKnown = (value: number | undefined): value is number => value !== undefined && Number.isFinite(value)

/** One row: bars of the values, the last, the least and the greatest, and the name. `columns`: of the terminal. */
export function sparkRow({ name, values }: ChartLine, columns: number): string {
  const known = values.filter(isKnown)
  const last = known.at(-1)
  const low = least(known)
  const high = greatest(known)
  const width = Math.max(10, Math.min(60, columns - 60))
  let bars = ''
  for (let i = 0; i < width; i++) {
    const from = Math.floor((i / width) * values.length)
    const to = Math.max(from + 1, Math.floor(((i + 1) / width) * values.length))
    bars += barOf(values.slice(from, to).filter(isKnown), low, high)
  }
  const range = last === undefined ? 'no values' : `${shortNumber(last)} (${shortNumber(low)} to ${shortNumber(high)})`
  return `${bars}  ${range}  ${name}`
}

/** Of the mean; a blank where there is none. */
function barOf(values: readonly number[], low: number, high: number): string {
  if (values.length === 0) return ' '
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return blocks.charAt(high === low ? 3 : Math.min(7, Math.floor(((mean - low) / (high - low)) * 8)))
}

/** Control characters of a line are shown, not obeyed: a log line can't move the cursor. */
export function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, c =>
    c < '\u0020' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '�',
  )
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'critical']
/** Levels at least as grave as one; undefined where that is none. */
export function levelsFrom(least: string): string[] | undefined {
  const at = levels.indexOf(least === 'warning' ? 'warn' : least === 'fatal' ? 'critical' : least)
  return at < 0 ? undefined : [...levels.slice(at), ...(at <= 5 ? ['fatal'] : []), ...(at <= 3 ? ['warning'] : [])]
}
