/** Buckets as a worker has them: directories, which it opens itself, and what it asks the main thread for. */
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { BucketOfTwo, DistantBucket, type BucketReads } from '#bucket/distant.ts'
import { NotFoundError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import type { Link } from './link.ts'
import type { WorkerBucket } from './settings.ts'

export type MainLink = Link<MainCalls, WorkerCalls>

/** What the process was started with; throws NotFoundError for a signal that it does not have. */
export function served<T>(settings: T | undefined): T {
  if (settings === undefined) throw new NotFoundError('no worker serves this')
  return settings
}

/** Blocks that a worker is asked for were seen in their directory: where that is not there, it is gone. */
export function openBucket(link: MainLink, signal: SignalName, place: WorkerBucket): Bucket {
  const { directory, description, gapBytes } = place
  return directory === undefined
    ? new DistantBucket(description, readsOf(link, signal), gapBytes)
    : new DirectoryBucket(directory, true)
}

/** What is staged for the bucket is with the main thread. */
export function tracesBucket(link: MainLink, { directory, description, gapBytes }: WorkerBucket): Bucket {
  const reads = readsOf(link, 'traces')
  if (directory === undefined) return new DistantBucket(description, reads, gapBytes)
  return new BucketOfTwo(new DirectoryBucket(directory, true), reads)
}

function readsOf(link: MainLink, signal: SignalName): BucketReads {
  return {
    get: key => link.call('bucketGet', { signal, key }),
    getRange: (key, offset, length) => link.call('bucketRange', { signal, key, offset, length }),
    size: key => link.call('bucketSize', { signal, key }),
    list: key => link.call('bucketList', { signal, key }),
    listDirectories: key => link.call('bucketDirectories', { signal, key }),
    evict: key => link.call('bucketEvict', { signal, key }),
  }
}
