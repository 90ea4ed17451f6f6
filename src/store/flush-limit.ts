/** How long a flush goes on trying: rounds of background work wait for it meanwhile. */
import { UnavailableError } from '#core/errors.ts'

export const flushGiveUpMs = 60_000

/** What was cut is kept, and goes into the bucket by itself when that is possible. `trouble`: the last failure. */
export function flushGaveUp(trouble: string | undefined): UnavailableError {
  const reason = trouble ?? 'it does not answer'
  return new UnavailableError(`the bucket did not take all of it in ${flushGiveUpMs / 1000} s: ${reason}`, 30)
}
