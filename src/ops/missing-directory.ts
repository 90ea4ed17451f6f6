/** Directories that are named as buckets and are not there: a process finds nothing in them, and says nothing of it. */
import { existsSync } from 'node:fs'
import type { Bucket } from '#bucket/bucket.ts'

/** False for stores, and for buckets in memory. */
export function isMissingDirectory({ description }: Pick<Bucket, 'description'>): boolean {
  return /^[^:]*\//.test(description) && !existsSync(description)
}
