/** A bucket that counts what an object store is asked, and is paid for: by signal, kind of request and kind of key. */
import type { Bucket, ObjectInfo, PutOptions } from '#bucket/bucket.ts'
import { dollarsPerMillion } from '#bucket/request-prices.ts'
import type { BucketOperation } from '#bucket/store-requests.ts'
import { sleep, type Clock } from '#core/clock.ts'

/** A listing answers so many keys a request. */
const keysPerPage = 1000

const keyKinds: readonly (readonly [RegExp, string])[] = [
  [/\/tercet\/wal\/released/, 'log ledger'],
  [/\/tercet\/wal\/[0-9A-Z]{26}-/, 'log segment'],
  [/\/tercet\/wal\/\d{10}-/, 'joined links'],
  [/\/tercet\/wal\//, 'log link'],
  [/\/tercet\/epoch\//, 'epoch'],
  [/\/tercet\//, 'other state'],
  [/upload-mark$/, 'upload mark'],
  [/meta(\.compacted)?\.json$/, 'meta'],
  [/(deletion|no-compact)-mark\.json$/, 'deletion mark'],
  [/bloom-\d+$/, 'bloom'],
  [/\.tsdb\.gz$/, 'log index'],
  [/tokens$/, 'token filter'],
  [/columns$/, 'columns'],
  [/\/index$/, 'index'],
  [/tombstones/, 'tombstones'],
  [/data\.parquet$/, 'parquet'],
  [/\/chunks\/\d+$|:[0-9a-f]+:/, 'chunks'],
]

function kindOfKey(key: string): string {
  return keyKinds.find(([pattern]) => pattern.test(key))?.[1] ?? 'other'
}

export interface RequestCount {
  signal: string
  request: BucketOperation
  key: string
  count: number
  bytes: number
}

/** What was counted, over several buckets. */
export class RequestLedger {
  readonly #counts = new Map<string, RequestCount>()
  /** Called for each request. */
  onRequest: (signal: string, request: BucketOperation, key: string, bytes: number) => void = () => {}

  add(signal: string, request: BucketOperation, key: string, bytes: number, count = 1): void {
    this.onRequest(signal, request, key, bytes)
    const kind = kindOfKey(key)
    const name = `${signal} ${request} ${kind}`
    let entry = this.#counts.get(name)
    if (entry === undefined) this.#counts.set(name, (entry = { signal, request, key: kind, count: 0, bytes: 0 }))
    entry.count += count
    entry.bytes += bytes
  }

  /** The dearest first. */
  all(): RequestCount[] {
    return [...this.#counts.values()].sort((a, b) => dollarsOf(b) - dollarsOf(a) || b.count - a.count)
  }
  count(request: BucketOperation, signal?: string): number {
    return this.all().reduce(
      (sum, one) => sum + (one.request === request && (signal ?? one.signal) === one.signal ? one.count : 0),
      0,
    )
  }
  clear(): void {
    this.#counts.clear()
  }
}

export function dollarsOf({ request, count }: Pick<RequestCount, 'request' | 'count'>): number {
  return (count * dollarsPerMillion[request]) / 1e6
}

/** `latencyMs`: each request takes as long by the clock. */
export class CountingBucket implements Bucket {
  readonly description: string
  /** As the bucket of an S3 store has it. */
  readonly gapBytes = 1024 * 1024
  readonly #inner: Bucket
  readonly #signal: string
  readonly #ledger: RequestLedger
  readonly #clock: Clock
  readonly #modified = new Map<string, number>()
  latencyMs: number

  constructor(inner: Bucket, signal: string, ledger: RequestLedger, clock: Clock, latencyMs = 0) {
    this.#inner = inner
    this.#signal = signal
    this.#ledger = ledger
    this.#clock = clock
    this.latencyMs = latencyMs
    this.description = `counted ${signal}`
  }

  async #counted<T>(request: BucketOperation, key: string, work: () => Promise<T>, bytesOf: (result: T) => number) {
    if (this.latencyMs > 0) await sleep(this.#clock, this.latencyMs)
    let bytes = 0
    try {
      const result = await work()
      bytes = bytesOf(result)
      return result
    } finally {
      this.#ledger.add(this.#signal, request, key, bytes)
    }
  }

  async put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    await this.#counted(
      'put',
      key,
      () => this.#inner.put(key, bytes, options),
      () => bytes.length,
    )
    this.#modified.set(key, this.#clock.nowMs())
  }
  async putFile(key: string, path: string): Promise<void> {
    await this.#counted(
      'put',
      key,
      async () => {
        await this.#inner.putFile(key, path)
        return this.#inner.size(key)
      },
      bytes => bytes,
    )
    this.#modified.set(key, this.#clock.nowMs())
  }
  get(key: string): Promise<Uint8Array> {
    return this.#counted(
      'get',
      key,
      () => this.#inner.get(key),
      bytes => bytes.length,
    )
  }
  getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#counted(
      'get',
      key,
      () => this.#inner.getRange(key, offset, length),
      bytes => bytes.length,
    )
  }
  size(key: string): Promise<number> {
    return this.#counted(
      'head',
      key,
      () => this.#inner.size(key),
      () => 0,
    )
  }
  async list(prefix: string): Promise<ObjectInfo[]> {
    const found = await this.#counted(
      'list',
      prefix,
      () => this.#inner.list(prefix),
      () => 0,
    )
    const more = Math.ceil(found.length / keysPerPage) - 1
    if (more > 0) this.#ledger.add(this.#signal, 'list', prefix, 0, more)
    // The time of the clock, whatever that of the disk is.
    return found.map(object => ({ ...object, modifiedMs: this.#modified.get(object.key) ?? object.modifiedMs }))
  }
  listDirectories(prefix: string): Promise<string[]> {
    return this.#counted(
      'list',
      prefix,
      () => this.#inner.listDirectories(prefix),
      () => 0,
    )
  }
  delete(key: string): Promise<void> {
    this.#modified.delete(key)
    return this.#counted(
      'delete',
      key,
      () => this.#inner.delete(key),
      () => 0,
    )
  }
}
