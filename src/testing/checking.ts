/** How an expectation asks, and what it says of what it found. */
import { hasUpperEnd, type Bound } from './bound.ts'
import type { Failure } from './failure.ts'

/** What an expectation found; undefined: it holds. */
export type Outcome = Failure | undefined

/** Looks, again where that is wanted, until the expectation holds. Throws TelemetryAssertionError. */
export type Check = (look: () => Promise<Outcome>) => Promise<void>

/** An answer that is not whole does not prove that there is no more. */
export function notWhole(query: string, warnings: readonly string[], bound: Bound = 0): Outcome {
  if (warnings.length === 0 || !hasUpperEnd(bound)) return undefined
  const message = `${query}: the answer is not whole, so that nothing can be said`
  return { message, actual: warnings, expected: [], operator: 'isWhole', evidence: warnings }
}
