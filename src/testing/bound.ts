/** Bounds of a number, as an expectation names them. */
import { BadDataError } from '#core/errors.ts'
import { refuseUnknown } from '#library/fields.ts'

/** A number means exactly that one. */
export type Bound = number | { atMost?: number; atLeast?: number }

const ends: Readonly<Record<'atMost' | 'atLeast', true>> = { atMost: true, atLeast: true }

/** Throws BadDataError for a bound without a number, or with anything else: it would hold for every value. */
export function checkBound(bound: Bound): void {
  if (typeof bound === 'number') return
  // Programs without types hand over anything.
  const fields = (bound as Bound | null | undefined) ?? {}
  if (typeof fields === 'object') refuseUnknown('a bound', fields, ends)
  const given: unknown[] = Object.values(fields).filter(end => end !== undefined)
  if (given.length === 0 || !given.every(end => typeof end === 'number' && !Number.isNaN(end)))
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
