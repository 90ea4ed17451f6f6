/** What start timestamps say of counters: when one began to count, 0 where that is unknown. Times are milliseconds. */

/**
 * Was a counter reset between two samples, by their start timestamps? One that points at the sample before is a reset
 * of a delta series only: those have known starts throughout.
 */
export function isStartReset(previousStart: number, previous: number, start: number, at: number): boolean {
  if (start === 0 || start >= at || start < previous) return false
  if (start > previous) return true
  return previousStart <= previous && previousStart !== 0 && previousStart !== previous
}

/** Does a sample claim to have begun before the sample in front of it, and not together with it? */
export function overlaps(previousStart: number, previous: number, start: number): boolean {
  return start !== 0 && start < previous && start !== previousStart
}
