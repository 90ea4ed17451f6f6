/**
 * What keeps a signal from writing: a full disk, or another writer on its prefix. Also the rule that rounds of its
 * background work never overlap.
 */
import type { Clock } from '#core/clock.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { Fence } from './fencing.ts'
import type { Wal } from './wal.ts'

export interface WriterGuardOptions {
  clock: Clock
  files: Files
  log: Log
  /** The signal's name in log lines. */
  signal: string
  directory: string
  /** Below this nothing is accepted. */
  freeBytesMin: number
  readOnly: boolean
}

export class WriterGuard {
  readonly #options: WriterGuardOptions
  readonly #wal: Wal
  readonly #backlogBytes: () => number
  #fence: Fence | undefined
  #maintenance: Promise<void> = Promise.resolve()
  #diskFull: string | undefined
  #handedOver: string | undefined

  constructor(options: WriterGuardOptions, wal: Wal, backlogBytes: () => number) {
    this.#options = options
    this.#wal = wal
    this.#backlogBytes = backlogBytes
  }

  holdFence(fence: Fence): void {
    this.#fence = fence
  }

  /** Why nothing can be written, if so. */
  get problem(): string | undefined {
    return this.#wal.fenced ?? this.#handedOver ?? this.#diskFull
  }

  /** Throws UnavailableError when nothing may be appended now. */
  admit(ready: boolean): void {
    if (this.#options.readOnly) throw new UnavailableError('this process serves queries only', 60)
    if (!ready) throw new UnavailableError('the process is starting', 2)
    if (this.#handedOver !== undefined) throw new UnavailableError(this.#handedOver, 60)
    if (this.#diskFull !== undefined) throw new UnavailableError(this.#diskFull, 30)
  }

  /**
   * Throws UnavailableError when another writer took the prefix over. After our own hand-over nothing is left to write.
   */
  requirePrefix(): void {
    const { fenced } = this.#wal
    if (fenced !== undefined && this.#handedOver === undefined) throw new UnavailableError(fenced, 60)
  }

  /**
   * Leaves the prefix to another writer: accepts nothing more, flushes everything, and takes an epoch that no Tercet
   * writes by. After a failure appends are accepted as before; a second call does nothing.
   */
  async handOver(bucket: Bucket, epochPrefix: string, successor: string, flush: () => Promise<void>): Promise<void> {
    if (this.#handedOver !== undefined) return
    this.#handedOver = `handed over to ${successor}; send there`
    try {
      await flush()
      // What was admitted just before the first and appended just after it.
      await flush()
      await Fence.giveAway(bucket, epochPrefix, successor)
    } catch (error) {
      this.#handedOver = undefined
      throw error
    }
    this.#wal.fence(this.#handedOver)
    this.#options.log.info("the bucket is another one's", { signal: this.#options.signal, successor })
  }

  async watchDisk(): Promise<void> {
    const { files, directory, freeBytesMin, log, signal } = this.#options
    const free = await files.freeBytes(directory)
    if (free >= freeBytesMin) {
      this.#diskFull = undefined
      return
    }
    this.#diskFull =
      `the disk of ${directory} has ${free} bytes free, ${freeBytesMin} are kept free; ` +
      `${this.#backlogBytes()} bytes wait for the bucket`
    log.error('nothing is accepted: the disk is full', { signal, free, wanted: freeBytesMin })
  }

  /** Asks the bucket whether the prefix is still ours. */
  async mayWrite(): Promise<boolean> {
    await this.watchFence()
    return this.#wal.fenced === undefined
  }

  async watchFence(): Promise<void> {
    const { log, signal } = this.#options
    try {
      const newer = await this.#fence?.replacedBy()
      if (newer !== undefined && this.#wal.fenced === undefined) {
        this.#wal.fence(`another writer (epoch ${newer}) took over the bucket`)
        log.error('another writer took over the bucket, nothing is written any more', { signal, epoch: newer })
      }
    } catch (error) {
      log.warn('the bucket could not be asked for its writer', { signal, error: messageOf(error) })
    }
  }

  /** Runs the work after what is under way, also when that failed. */
  async inMaintenance(work: () => Promise<void>): Promise<void> {
    const run = this.#maintenance.catch(() => {}).then(work)
    this.#maintenance = run
    await run
  }

  /** Resolves when no round is under way any more. */
  async finished(): Promise<void> {
    await this.#maintenance.catch(() => {})
  }
}
