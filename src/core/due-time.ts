/** Places in an interval: work that repeats is spread over it, each piece always at the same place. */

/** Milliseconds of the next moment after `nowMs` at the place that `key` has in every interval. */
export function nextDueMs(key: string, intervalMs: number, nowMs: number): number {
  const offsetMs = hashOf(key) % intervalMs
  return Math.floor((nowMs - offsetMs) / intervalMs) * intervalMs + offsetMs + intervalMs
}

/** A number of 32 bits that is the same for the same text (FNV-1a, mixed). */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
