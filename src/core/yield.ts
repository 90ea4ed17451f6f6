/** Long background work gives way to other work in between. */
import type { Clock } from './clock.ts'

/**
 * A function to be awaited often: when it last yielded `everyMs` or more milliseconds ago, pending I/O and timers run
 * before it resolves.
 */
export function yieldEvery(clock: Clock, everyMs = 10): () => Promise<void> {
  let resumedMs = 0
  return async () => {
    if (clock.monotonicMs() - resumedMs < everyMs) return
    await clock.yield()
    resumedMs = clock.monotonicMs()
  }
}
