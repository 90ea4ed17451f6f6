/** JSON values of senders as texts again. */
import { BadDataError } from '#core/errors.ts'

/** `value`, which was parsed, as JSON. Throws BadDataError where it is nested deeper than the stack reaches. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (error) {
    throw new BadDataError('a JSON value is nested too deep', { cause: error })
  }
}
