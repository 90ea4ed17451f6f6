/** A bucket that another thread has open: this one only reads. */
import { NotFoundError } from '#core/errors.ts'
import type { Bucket, ObjectInfo } from './bucket.ts'

/** What the thread with the bucket is asked. */
export interface BucketReads {
  get(key: string): Promise<Uint8Array>
  getRange(key: string, offset: number, length: number): Promise<Uint8Array>
  size(key: string): Promise<number>
  list(prefix: string): Promise<ObjectInfo[]>
  listDirectories(prefix: string): Promise<string[]>
  evict(prefix: string): Promise<void>
}

/** Reads by asking; whatever changes the bucket is a bug. */
export class DistantBucket implements Bucket {
  readonly description: string
  readonly gapBytes: number | undefined
  readonly #reads: BucketReads

  constructor(description: string, reads: BucketReads, gapBytes?: number) {
    this.description = description
    this.#reads = reads
    this.gapBytes = gapBytes
  }

  get(key: string): Promise<Uint8Array> {
    return this.#reads.get(key)
  }
  getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#reads.getRange(key, offset, length)
  }
  size(key: string): Promise<number> {
    return this.#reads.size(key)
  }
  list(prefix: string): Promise<ObjectInfo[]> {
    return this.#reads.list(prefix)
  }
  listDirectories(prefix: string): Promise<string[]> {
    return this.#reads.listDirectories(prefix)
  }
  evict(prefix: string): Promise<void> {
    return this.#reads.evict(prefix)
  }

  put(key: string): Promise<void> {
    return this.#refuse(key)
  }
  putFile(key: string): Promise<void> {
    return this.#refuse(key)
  }
  delete(key: string): Promise<void> {
    return this.#refuse(key)
  }

  #refuse(key: string): Promise<void> {
    return Promise.reject(new Error(`${this.description} is read here, and ${key} is not written`))
  }
}

/** Reads from one bucket what it has, and the rest from another. */
export class BucketOfTwo extends DistantBucket {
  constructor(first: Bucket, second: BucketReads) {
    const orElse = async <T>(read: (reads: BucketReads | Bucket) => Promise<T>): Promise<T> => {
      try {
        return await read(first)
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error
        return read(second)
      }
    }
    super(first.description, {
      get: key => orElse(reads => reads.get(key)),
      getRange: (key, offset, length) => orElse(reads => reads.getRange(key, offset, length)),
      size: key => orElse(reads => reads.size(key)),
      list: prefix => first.list(prefix),
      listDirectories: prefix => first.listDirectories(prefix),
      evict: prefix => second.evict(prefix),
    })
  }
}
