/**
 * Data that can't be written, whatever is tried, must not hold up the data behind it: it is set aside. A world that
 * fails for the moment (the disk, the bucket, a writer that was replaced) is another matter: then all waits.
 */
import { ConflictError, NotFoundError, UnavailableError } from './errors.ts'

/** Does the error come from the data, and not from the world around it? */
export function isPoison(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  if ([UnavailableError, ConflictError, NotFoundError].some(kind => error instanceof kind)) return false
  const isOfBucket = 'kind' in error && error.kind === 'bucket'
  // Errors of the system have a code: ENOSPC, EIO.
  const isOfSystem = 'code' in error && typeof error.code === 'string' && !error.code.startsWith('ERR_')
  return !isOfBucket && !isOfSystem
}
