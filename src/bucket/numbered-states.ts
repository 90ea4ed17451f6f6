/**
 * What changes in the bucket is kept as numbered states, each an object that is written once. An object that is
 * overwritten can fall back: a request of before, given up and repeated, may reach the store after the one that
 * followed it.
 */
import { ConflictError, NotFoundError } from '#core/errors.ts'
import type { Bucket } from './bucket.ts'

export interface NumberedState {
  number: number
  bytes: Uint8Array
}

/** The newest state from a known one on, after which none is missing. Of n newer ones it reads about 2 log2 n. */
export async function newestState(
  known: NumberedState,
  read: (number: number) => Promise<Uint8Array>,
): Promise<NumberedState> {
  let newest = known
  let missing = Infinity
  for (let step = 1; missing === Infinity; step *= 2) {
    const found = await stateAt(read, newest.number + step)
    if (found === undefined) missing = newest.number + step
    else newest = found
  }
  while (missing - newest.number > 1) {
    const middle = Math.floor((newest.number + missing) / 2)
    const found = await stateAt(read, middle)
    if (found === undefined) missing = middle
    else newest = found
  }
  return newest
}

/** Undefined when it is not there. */
export async function stateAt(
  read: (number: number) => Promise<Uint8Array>,
  number: number,
): Promise<NumberedState | undefined> {
  try {
    return { number, bytes: await read(number) }
  } catch (error) {
    if (error instanceof NotFoundError) return undefined
    throw error
  }
}

/** False when another state stands at the key: an attempt that failed may have arrived later. */
export async function putState(bucket: Bucket, key: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await bucket.put(key, bytes, { ifAbsent: true })
    return true
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    return Buffer.compare(await bucket.get(key), bytes) === 0
  }
}
