/** A range of time on the command line. */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { momentOf } from './moment.ts'

export interface Range {
  fromMs: number
  toMs: number
}

const forms = '2026-11-01T10:00:00Z/15m, 15m/2026-11-01T10:00:00Z, START/END, or 15m for the time until now'

/**
 * As ISO 8601 writes intervals: `START/END`, `START/DURATION`, `DURATION/END`; a duration alone ends now. Throws
 * BadDataError.
 */
export function rangeOf(text: string, nowMs: number): Range {
  const [first = '', second = 'now', ...rest] = text.split('/')
  if (rest.length > 0) throw bad(text)
  const [firstMs, secondMs] = [parseDurationMs(first), parseDurationMs(second)]
  const range = rangeBetween()
  if (!(range.toMs > range.fromMs)) throw new BadDataError(`the range ${text} ends before it begins`)
  return range

  function rangeBetween(): Range {
    if (firstMs !== undefined && secondMs !== undefined) throw bad(text)
    if (firstMs !== undefined) {
      const toMs = timeOf(second, nowMs)
      return { fromMs: toMs - firstMs, toMs }
    }
    const fromMs = timeOf(first, nowMs)
    return { fromMs, toMs: secondMs === undefined ? timeOf(second, nowMs) : fromMs + secondMs }
  }
}

function timeOf(text: string, nowMs: number): number {
  return text === 'now' ? nowMs : momentOf(text, nowMs)
}

function bad(text: string): BadDataError {
  return new BadDataError(`${JSON.stringify(text)} is no range of time: ${forms} were expected`)
}
