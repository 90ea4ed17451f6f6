/** A time on the command line. */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'

/** Milliseconds since the epoch: from Unix seconds, RFC 3339, or a duration before now. Throws BadDataError. */
export function momentOf(text: string, nowMs: number): number {
  const agoMs = parseDurationMs(text)
  if (agoMs !== undefined && /[a-z]/.test(text)) return nowMs - agoMs
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (Number.isNaN(ms))
    throw new BadDataError(
      `${JSON.stringify(text)} is no time: seconds, 2026-11-25T10:00:00Z or 6h (ago) were expected`,
    )
  return ms
}
