/** What callers hand over: programs without types misspell names of fields, which would be left out in silence. */
import { BadDataError } from '#core/errors.ts'
import { closeOf } from '#core/nearest.ts'

/** Throws BadDataError for what is no object, and for a field that is not among `known`. `what`: `startTercet`. */
export function refuseUnknown(what: string, given: unknown, known: Readonly<Record<string, true>>): void {
  if (typeof given !== 'object' || given === null) throw new BadDataError(`${what} takes an object`)
  const names = Object.keys(known)
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue
    const close = closeOf(name, names)
    const hint = close === undefined ? `it has ${names.join(', ')}` : `the nearest is ${JSON.stringify(close)}`
    throw new BadDataError(`${what} has no ${JSON.stringify(name)}; ${hint}`)
  }
}

/** Throws BadDataError. `what`: `addMetrics`. */
export function refuseNoList(what: string, given: unknown): void {
  if (!Array.isArray(given)) throw new BadDataError(`${what} takes an array`)
}
