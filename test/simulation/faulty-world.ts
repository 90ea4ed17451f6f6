/** A disk and a bucket with faults, as one process sees them until it crashes. What lies behind them outlives it. */
import { BucketError, type Bucket, type ObjectInfo } from '#bucket/bucket.ts'
import type { MemoryBucket } from '#bucket/memory.ts'
import type { MemoryFiles } from '#core/memory-files.ts'
import type { AppendFile, Files } from '#core/files.ts'
import { below, type Random } from '#core/random.ts'

const forever = new Promise<never>(() => {})

/** The life of one process: after `crash` no operation of it does anything or comes back. */
export class Life {
  readonly #random: Random
  #operationsLeft: number
  crashed = false

  /** Dies at the given operation, counted over disk and bucket. */
  constructor(random: Random, operationsLeft: number) {
    this.#random = random
    this.#operationsLeft = operationsLeft
  }

  chance(oneIn: number): boolean {
    return below(this.#random, oneIn) === 0
  }
  below(limit: number): number {
    return below(this.#random, limit)
  }

  /** Counts an operation; true when the process dies in the middle of it. */
  dies(): boolean {
    if (!this.crashed && --this.#operationsLeft <= 0) {
      this.crashed = true
      return true
    }
    return false
  }
}

/** The disk: an append that is interrupted by the crash leaves a torn tail. */
export class FaultyFiles implements Files {
  readonly #inner: MemoryFiles
  readonly #life: Life

  constructor(inner: MemoryFiles, life: Life) {
    this.#inner = inner
    this.#life = life
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    if (this.#life.crashed) return forever
    if (this.#life.dies()) return forever
    const result = await work()
    return this.#life.crashed ? forever : result
  }

  async openAppend(path: string): Promise<AppendFile> {
    const file = await this.#do(() => this.#inner.openAppend(path))
    return {
      append: async bytes => {
        if (this.#life.crashed) return forever
        if (this.#life.dies()) {
          await file.append(bytes.slice(0, this.#life.below(bytes.length + 1)))
          return forever
        }
        await file.append(bytes)
      },
      cutTo: length => this.#do(() => file.cutTo(length)),
      sync: () => this.#do(() => file.sync()),
      close: () => this.#do(() => file.close()),
    }
  }

  read(path: string): Promise<Uint8Array> {
    return this.#do(() => this.#inner.read(path))
  }
  readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#do(() => this.#inner.readRange(path, offset, length))
  }
  writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
    return this.#do(() => this.#inner.writeAtomic(path, bytes))
  }
  list(directory: string): Promise<string[]> {
    return this.#do(() => this.#inner.list(directory))
  }
  listDirectories(directory: string): Promise<string[]> {
    return this.#do(() => this.#inner.listDirectories(directory))
  }
  size(path: string): Promise<number> {
    return this.#do(() => this.#inner.size(path))
  }
  remove(path: string): Promise<void> {
    return this.#do(() => this.#inner.remove(path))
  }
  removeDirectory(directory: string): Promise<void> {
    return this.#do(() => this.#inner.removeDirectory(directory))
  }
  freeBytes(): Promise<number> {
    return this.#do(() => this.#inner.freeBytes())
  }
}

/** The bucket: refuses (503) now and then, and loses replies to what it did. */
export class FaultyBucket implements Bucket {
  readonly description = 'faulty'
  readonly #inner: MemoryBucket
  readonly #life: Life
  /** One in so many operations fails; 0 = none. */
  faultOneIn: number

  constructor(inner: MemoryBucket, life: Life, faultOneIn: number) {
    this.#inner = inner
    this.#life = life
    this.faultOneIn = faultOneIn
  }

  async #do<T>(operation: string, work: () => Promise<T>): Promise<T> {
    if (this.#life.crashed) return forever
    const fails = this.faultOneIn > 0 && this.#life.chance(this.faultOneIn)
    if (fails && this.#life.chance(2)) throw new BucketError(operation, this.description, 'SlowDown', true)
    // The crash may come before or after the store has done it.
    if (this.#life.dies()) {
      if (this.#life.chance(2)) await work().catch(() => {})
      return forever
    }
    const result = await work()
    if (this.#life.crashed) return forever
    if (fails) throw new BucketError(operation, this.description, 'ECONNRESET', true)
    return result
  }

  put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    return this.#do('put', () => this.#inner.put(key, bytes, options))
  }
  putFile(key: string, path: string): Promise<void> {
    return this.#do('put', () => this.#inner.putFile(key, path))
  }
  get(key: string): Promise<Uint8Array> {
    return this.#do('get', () => this.#inner.get(key))
  }
  getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#do('get', () => this.#inner.getRange(key, offset, length))
  }
  size(key: string): Promise<number> {
    return this.#do('head', () => this.#inner.size(key))
  }
  list(prefix: string): Promise<ObjectInfo[]> {
    return this.#do('list', () => this.#inner.list(prefix))
  }
  listDirectories(prefix: string): Promise<string[]> {
    return this.#do('list', () => this.#inner.listDirectories(prefix))
  }
  delete(key: string): Promise<void> {
    return this.#do('delete', () => this.#inner.delete(key))
  }
}
