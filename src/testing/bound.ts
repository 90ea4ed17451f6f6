/** Bounds of a number, as an expectation names them. */
import { BadDataError } from '#core/errors.ts'

/** A number means exactly that one. */
export type Bound = number | { atMost?: number; atLeast?: number }

/** JavaScript takes any object: a bound without a number would hold always. Throws BadDataError. */
export function checkBound(bound: Bound): void {
  const isGiven = typeof bound === 'number' || (typeof bound === 'object' && bound !== null)
  const entries = isGiven && typeof bound !== 'number' ? Object.entries(bound) : []
  const numbers = entries.filter(([name, value]) => value !== undefined && (name === 'atMost' || name === 'atLeast'))
  const isRight = numbers.length > 0 && numbers.every(([, value]) => typeof value === 'number' && !Number.isNaN(value))
  if (!isGiven || (typeof bound !== 'number' && !isRight))
    throw new BadDataError('an expectation needs a number, atMost or atLeast')
}

export function isWithin(value: number, bound: Bound): boolean {
  if (typeof bound === 'number') return Object.is(value, bound) || value === bound
  return value <= (bound.atMost ?? Infinity) && value >= (bound.atLeast ?? -Infinity)
}

/** Whether more than what was found could be too much. */
export function hasUpperEnd(bound: Bound): boolean {
  return typeof bound === 'number' || bound.atMost !== undefined
}

/** `3`, `at most 3`, `at least 1 and at most 3`. */
export function boundText(bound: Bound): string {
  if (typeof bound === 'number') return String(bound)
  const parts = [
    ...(bound.atLeast === undefined ? [] : [`at least ${bound.atLeast}`]),
    ...(bound.atMost === undefined ? [] : [`at most ${bound.atMost}`]),
  ]
  return parts.join(' and ')
}
