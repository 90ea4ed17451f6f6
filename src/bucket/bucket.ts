/**
 * Immutable objects by key: the only database. Keys are `/`-separated and never begin with `/`. Errors: NotFoundError,
 * ConflictError (a conditional put lost), and for the world's failures BucketError, which says what was tried.
 */

import type { RequestCounts } from './store-requests.ts'

/** An object as a listing has it. */
export interface ObjectInfo {
  key: string
  bytes: number
  modifiedMs: number
}

export interface PutOptions {
  /** ConflictError when the object is there already; of several at once exactly one wins. */
  ifAbsent?: boolean
  /** Milliseconds after which the caller waits no longer, further attempts included. */
  withinMs?: number
}

/** Where immutable objects lie by key. */
export interface Bucket {
  /** For messages: where it is. */
  readonly description: string
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void>
  /** Uploads a local file. */
  putFile(key: string, path: string): Promise<void>
  get(key: string): Promise<Uint8Array>
  /**
   * At most `length` bytes from `offset`; fewer at the object's end. They may be put into `room`, which has `length`
   * bytes at least.
   */
  getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array>
  size(key: string): Promise<number>
  /** Every object below a prefix, in bytewise order of keys. */
  list(prefix: string): Promise<ObjectInfo[]>
  /** The next path elements below a prefix that ends in `/` (or is empty), without the slash, in order. */
  listDirectories(prefix: string): Promise<string[]>
  /** Removing what is not there is no error. */
  delete(key: string): Promise<void>
  /** Lets go of copies of the objects below a prefix: they turned out to be damaged, and may be repaired. */
  evict?(prefix: string): Promise<void>
  /** So many bytes take about as long as one more request: where that is known, a gap of them is read over. */
  readonly gapBytes?: number | undefined
  /** Counters of requests, where the bucket is asked over a network. */
  readonly requests?: RequestCounts | undefined
  /**
   * The process stops: a store that answers nothing for `graceMs` is asked nothing more, and what is under way is
   * given up.
   */
  windDown?(graceMs: number): void
}

/** The bucket could not do what it was asked, for reasons of its own. */
export class BucketError extends Error {
  override name = 'BucketError'
  readonly kind = 'bucket'
  /** put, get, list, delete ... */
  readonly operation: string
  /** Worth trying again? */
  readonly transient: boolean
  /** The store's own code: AccessDenied, NoSuchBucket, ECONNREFUSED ... */
  readonly code: string

  constructor(operation: string, description: string, code: string, transient: boolean, options?: ErrorOptions) {
    const reason = options?.cause instanceof Error ? options.cause.message : code
    super(`bucket ${description}: ${operation} failed: ${code}${reason === code ? '' : `: ${reason}`}`, options)
    this.operation = operation
    this.code = code
    this.transient = transient
  }
}

/** Is the store merely away, so that trying again may help? `error` may wrap what the store said. */
export function isAway(error: unknown): boolean {
  if (error instanceof BucketError) return error.transient
  return error instanceof Error && error.cause !== undefined && isAway(error.cause)
}

/** The same bucket, every key below a prefix (which ends in `/` or is empty). */
export class PrefixedBucket implements Bucket {
  readonly description: string
  readonly #inner: Bucket
  readonly #prefix: string

  constructor(inner: Bucket, prefix: string) {
    this.#inner = inner
    this.#prefix = prefix
    this.description = prefix === '' ? inner.description : `${inner.description}/${prefix}`
  }

  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    return this.#inner.put(this.#prefix + key, bytes, options)
  }
  putFile(key: string, path: string): Promise<void> {
    return this.#inner.putFile(this.#prefix + key, path)
  }
  get(key: string): Promise<Uint8Array> {
    return this.#inner.get(this.#prefix + key)
  }
  getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    return this.#inner.getRange(this.#prefix + key, offset, length, room)
  }
  size(key: string): Promise<number> {
    return this.#inner.size(this.#prefix + key)
  }
  async list(prefix: string): Promise<ObjectInfo[]> {
    return (await this.#inner.list(this.#prefix + prefix)).map(o => ({ ...o, key: o.key.slice(this.#prefix.length) }))
  }
  listDirectories(prefix: string): Promise<string[]> {
    return this.#inner.listDirectories(this.#prefix + prefix)
  }
  get requests(): RequestCounts | undefined {
    return this.#inner.requests
  }
  get gapBytes(): number | undefined {
    return this.#inner.gapBytes
  }
  windDown(graceMs: number): void {
    this.#inner.windDown?.(graceMs)
  }
  delete(key: string): Promise<void> {
    return this.#inner.delete(this.#prefix + key)
  }
}
