/** Checks of what can only be wrong through a bug. They stop the process; bad data has its own errors (errors.ts). */

export class BugError extends Error {
  override name = 'BugError'
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new BugError(`bug: ${what}`)
}

/** Ends a switch over a closed union: fails to compile when a member is missing. */
export function unreachable(value: never): never {
  throw new BugError(`bug: unhandled case ${JSON.stringify(value)}`)
}
