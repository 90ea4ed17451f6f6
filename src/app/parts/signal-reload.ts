/** What a signal does when files are read again: it looks into its bucket for what others have put there. */
import { isAway } from '#bucket/bucket.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Signal } from '#store/signal.ts'

/** A bucket that is away is no fault of a file: the reload succeeds, and rounds look for the bucket by themselves. */
export function reloadOf(signal: Pick<Signal, 'name' | 'refresh'>, log: Log): () => Promise<void> {
  return async () => {
    try {
      await signal.refresh()
    } catch (error) {
      if (!isAway(error)) throw error
      log.warn('the bucket could not be looked at in a reload', { signal: signal.name, reason: messageOf(error) })
    }
  }
}
