/** Places in an interval: work that repeats is spread over it, each piece always at the same place. */

/** Milliseconds of the next moment after `nowMs` at the place that `key` has in every interval. */
export function nextDueMs(key: string, intervalMs: number, nowMs: number): number {
  const offsetMs = hashOf(key) % intervalMs
  return Math.floor((nowMs - offsetMs) / intervalMs) * intervalMs + offsetMs + intervalMs
}

/** A timer that is later, or earlier, than its interval and this: the clock was set meanwhile. */
const setMs = 60_000

/**
 * The time of work that was due at `dueMs` and begins now: the planned one, although timers are early or late by a
 * little, but where the clock was set meanwhile, which makes what was planned a time of another day.
 */
export function timeOfRunMs(dueMs: number, intervalMs: number, nowMs: number): number {
  return Math.abs(nowMs - dueMs) > intervalMs + setMs ? nowMs : dueMs
}

/** A number of 32 bits that is the same for the same text (FNV-1a, mixed). */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
