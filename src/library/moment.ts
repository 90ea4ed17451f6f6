/** Times and durations as callers give them. */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'

/** A Date, Unix milliseconds, or a text of RFC 3339. */
export type Moment = Date | number | string
/** Milliseconds, or a text as `5m`, `1h30m`. */
export type Duration = number | string

/** Unix milliseconds. Throws BadDataError. */
export function momentMs(moment: Moment): number {
  const ms = typeof moment === 'number' ? moment : new Date(moment).getTime()
  if (!Number.isFinite(ms)) throw new BadDataError(`${String(moment)} is no time: give a Date, Unix ms or RFC 3339`)
  return ms
}

/** Throws BadDataError. */
export function durationMs(duration: Duration): number {
  const ms = typeof duration === 'string' ? parseDurationMs(duration) : duration
  if (typeof ms !== 'number' || !(ms >= 0 && ms < Infinity))
    throw new BadDataError(`${duration} is no duration: give milliseconds, or 5m, 1h`)
  return ms
}
