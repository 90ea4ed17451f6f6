/** Tries at the start what the process will need of its bucket, and names what fails. */
import { BadDataError, ConflictError, messageOf } from '#core/errors.ts'
import type { Random } from '#core/random.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Bucket } from './bucket.ts'

export type ProbeOperation = 'list' | 'put' | 'get' | 'ranged get' | 'conditional put' | 'delete'

/**
 * Throws BadDataError with the operation and the store's reason; `explain` has better words for a reason, and what to
 * do. `prefix` ends in `/`.
 */
export async function probeBucket(
  bucket: Bucket,
  prefix: string,
  readOnly: boolean,
  random: Random,
  explain: (operation: ProbeOperation, error: unknown) => string = (_, error) => messageOf(error),
): Promise<void> {
  const key = `${prefix}probe-${random.u32().toString(16)}`
  const body = encodeUtf8('tercet probe')
  const attempt = async (operation: ProbeOperation, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      const reason = explain(operation, error)
      throw new BadDataError(`the bucket can't be used: ${operation} failed: ${reason}`, { cause: error })
    }
  }
  await attempt('list', () => bucket.listDirectories(''))
  if (readOnly) return
  await attempt('put', () => bucket.put(key, body))
  try {
    await attempt('get', async () => {
      if (Buffer.compare(await bucket.get(key), body) !== 0) throw new Error('other bytes came back than were put')
    })
    await attempt('ranged get', async () => {
      if (Buffer.compare(await bucket.getRange(key, 7, 5), body.subarray(7)) !== 0)
        throw new Error('a range came back with other bytes')
    })
    await attempt('conditional put', async () => {
      try {
        await bucket.put(key, body, { ifAbsent: true })
      } catch (error) {
        if (error instanceof ConflictError) return
        throw error
      }
      throw new Error('the store overwrote an object in spite of If-None-Match: two writers could not be told apart')
    })
  } finally {
    await attempt('delete', () => bucket.delete(key))
  }
}
