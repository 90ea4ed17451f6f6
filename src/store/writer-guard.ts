/**
 * What keeps a signal from writing: a full disk, another writer on its prefix, or a bucket that was never reached. Also
 * the rule that rounds of its background work never overlap.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { encodeUtf8 } from '#core/text.ts'
import { Fence } from './fencing.ts'
import type { Durability, Wal } from './wal.ts'

export interface WriterGuardOptions {
  clock: Clock
  files: Files
  log: Log
  /** The signal's name in log lines. */
  signal: string
  directory: string
  bucket: Bucket
  /** Where the epochs of the prefix lie; ends in `/`. */
  epochPrefix: string
  durability: Durability
  /** Below this nothing is accepted. */
  freeBytesMin: number
  readOnly: boolean
  /**
   * Milliseconds for which an answer of the bucket about its writer is good. 0: it is asked each time. A writer that
   * takes over waits as long before it accepts anything, unless the one before it is known to have ended.
   */
  leaseMs: number
}

/** So long an append waits for the bucket's answer about its writer. */
const askMs = 1000
/** How often the bucket is asked where nothing is written, and how often for takeovers of long ago, too. */
const watchEveryMs = 60_000
const thoroughEveryMs = 600_000

export class WriterGuard {
  readonly #options: WriterGuardOptions
  readonly #wal: () => Wal
  readonly #backlogBytes: () => number
  #fence: Fence | undefined
  /** When the bucket last said that the prefix is ours, and when it was last asked in vain. */
  #confirmedMs = -Infinity
  #askedInVainMs = -Infinity
  #askedInVain: string | undefined
  /** When takeovers of long ago were looked for last. */
  #thoroughMs = -Infinity
  #asking: Promise<void> | undefined
  /** How often the bucket answered. */
  #answers = 0
  #maintenance: Promise<void> = Promise.resolve()
  #diskFull: string | undefined
  #handedOver: string | undefined
  /** Why the bucket could not be reached yet. */
  #away: string | undefined

  constructor(options: WriterGuardOptions, wal: () => Wal, backlogBytes: () => number) {
    this.#options = options
    this.#wal = wal
    this.#backlogBytes = backlogBytes
  }

  /** Takes the prefix over. Rejects when the bucket is away. */
  async claim(owner: string): Promise<void> {
    const { bucket, epochPrefix, leaseMs, clock, files, directory } = this.#options
    const fence = await Fence.claim(bucket, epochPrefix, owner)
    const path = `${directory}/epoch`
    const { predecessor } = fence
    // Also in `bucket` mode: where the log was emptied, its chain of links begins anew, and keeps nobody out.
    if (predecessor !== undefined && !predecessor.hasStopped && leaseMs > 0)
      if ((await this.#readEpoch(path)) !== predecessor.epoch) await sleep(clock, leaseMs)
    await files.writeAtomic(path, encodeUtf8(String(fence.epoch))).catch((error: unknown) => {
      this.#options.log.warn('the epoch could not be noted on the disk', { error: messageOf(error) })
    })
    this.#fence = fence
    this.#confirmedMs = clock.monotonicMs()
  }

  /** The last epoch that a process on this directory had; its end is certain, because we have the directory now. */
  async #readEpoch(path: string): Promise<number | undefined> {
    try {
      return Number(Buffer.from(await this.#options.files.read(path)).toString())
    } catch {
      return undefined
    }
  }

  noteReached(): void {
    this.#away = undefined
  }

  noteAway(reason: string): void {
    this.#away = reason
  }

  /** The prefix was claimed: until then nothing is put into a bucket that may be another's, or of a newer program. */
  get hasClaimed(): boolean {
    return this.#fence !== undefined
  }

  /** Why nothing can be written, if so. */
  get problem(): string | undefined {
    const wal = this.#wal()
    const away = this.#options.durability === 'bucket' ? (this.#away ?? wal.trouble) : undefined
    return wal.fenced ?? this.#handedOver ?? this.#diskFull ?? away
  }

  /** Why the bucket was never reached. */
  get awaySinceStart(): string | undefined {
    return this.#away
  }

  /** Why the bucket is away, as far as the last thing that it was asked says. */
  get away(): string | undefined {
    return this.#away ?? this.#askedInVain ?? this.#wal().trouble ?? this.#wal().shipTrouble
  }

  /** Throws UnavailableError when nothing may be appended now. */
  admit(ready: boolean): void {
    if (this.#options.readOnly) throw new UnavailableError('this process serves queries only', 60)
    if (this.#handedOver !== undefined) throw new UnavailableError(this.#handedOver, 60)
    if (!ready)
      throw this.#away === undefined
        ? new UnavailableError('the process is starting', 2)
        : new UnavailableError(`the bucket is away: ${this.#away}`, 5)
    if (this.#diskFull !== undefined) throw new UnavailableError(this.#diskFull, 30)
    this.#wal().requireRoom()
  }

  /**
   * Throws UnavailableError when another writer took the prefix over. After our own hand-over nothing is left to write.
   */
  requirePrefix(): void {
    const { fenced } = this.#wal()
    if (fenced !== undefined && fenced !== this.#handedOver) throw new UnavailableError(fenced, 60)
  }

  /** Throws UnavailableError where the prefix is handed over, now or before: its successor may have looked already. */
  requireOwnPrefix(): void {
    if (this.#handedOver !== undefined) throw new UnavailableError(this.#handedOver, 60)
    this.requirePrefix()
  }

  /**
   * Leaves the prefix to another writer: accepts nothing more, flushes everything, and takes an epoch that no Tercet
   * writes by. Throws UnavailableError when another writer has it already. After a failure appends are accepted as
   * before; a second call does nothing.
   */
  async handOver(successor: string, flush: () => Promise<void>): Promise<void> {
    if (this.#handedOver !== undefined) return
    const { log, signal } = this.#options
    this.#handedOver = `handed over to ${successor}; send there`
    try {
      await flush()
      // What was admitted just before the first and appended just after it.
      await flush()
      await this.#fence?.giveAway(successor)
    } catch (error) {
      this.#handedOver = undefined
      throw error
    }
    this.#wal().fence(this.#handedOver)
    log.info("the bucket is another one's", { signal, successor })
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

  /** Is the prefix ours, as far as the bucket says? Always false before the bucket was reached. */
  async mayWrite(): Promise<boolean> {
    if (this.#fence === undefined) return false
    if (this.#options.clock.monotonicMs() - this.#confirmedMs > this.#options.leaseMs) await this.watchFence()
    return this.#wal().fenced === undefined
  }

  /**
   * Throws UnavailableError when another writer has the prefix. A bucket that does not answer in a second says nothing,
   * and is not asked again for a while: what this process takes in meanwhile is kept on its own disk.
   */
  async confirmPrefix(): Promise<void> {
    const { clock, leaseMs } = this.#options
    const nowMs = clock.monotonicMs()
    const isDue = nowMs - this.#confirmedMs > leaseMs || leaseMs === 0
    if (this.#fence !== undefined && isDue && nowMs - this.#askedInVainMs > askMs * 10) {
      // A question that was under way already counts: its answer comes in time.
      const before = this.#answers
      const late = sleep(clock, askMs).then(() => {
        if (this.#answers > before) return
        this.#askedInVainMs = clock.monotonicMs()
        this.#askedInVain = `it did not answer in ${askMs} ms`
      })
      await (leaseMs === 0 ? this.watchFence() : Promise.race([this.watchFence(), late]))
    }
    this.requirePrefix()
    const { fenced } = this.#wal()
    if (fenced !== undefined) throw new UnavailableError(fenced, 60)
  }

  /**
   * The same for what lies in the bucket already, where a replaced writer may have put it: waits for the bucket's
   * answer, and throws UnavailableError when there is none. `isDoubtful`: an older answer is not good enough.
   */
  async confirmKept(isDoubtful: boolean): Promise<void> {
    const { clock, leaseMs } = this.#options
    if (isDoubtful || leaseMs === 0 || clock.monotonicMs() - this.#confirmedMs > leaseMs) {
      // An answer that is under way may be older than what was put.
      await this.#asking
      const before = this.#answers
      await this.watchFence()
      if (this.#answers === before) throw new UnavailableError('the bucket does not say who its writer is', 5)
    }
    const { fenced } = this.#wal()
    if (fenced !== undefined) throw new UnavailableError(fenced, 60)
  }

  /** A round's look at the fence: where writing asks often enough, or the bucket is remote, now and then. */
  async watchFenceNow(): Promise<void> {
    const { clock, leaseMs } = this.#options
    const nowMs = clock.monotonicMs()
    if (leaseMs > 0 && nowMs - this.#confirmedMs < watchEveryMs) return
    const isThorough = leaseMs === 0 || nowMs - this.#thoroughMs >= thoroughEveryMs
    if (isThorough) this.#thoroughMs = nowMs
    await this.watchFence(isThorough)
  }

  /** Asks the bucket who its writer is. `isThorough`: also when many takeovers may have passed. */
  watchFence(isThorough = false): Promise<void> {
    this.#asking ??= this.#ask(isThorough).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(isThorough: boolean): Promise<void> {
    const { log, signal, clock } = this.#options
    const askedMs = clock.monotonicMs()
    try {
      const newer = await (isThorough ? this.#fence?.replacedLongAgoBy() : this.#fence?.replacedBy())
      this.#answers++
      this.#noteEmptied()
      if (newer === undefined) {
        this.#confirmedMs = askedMs
        this.#askedInVainMs = -Infinity
        this.#askedInVain = undefined
      } else if (this.#wal().fenced === undefined) {
        this.#wal().fence(`another writer (epoch ${newer}) took over the bucket`)
        log.error('another writer took over the bucket, nothing is written any more', { signal, epoch: newer })
      }
    } catch (error) {
      this.#askedInVainMs = clock.monotonicMs()
      this.#askedInVain = messageOf(error)
      log.warn('the bucket could not be asked for its writer', { signal, error: messageOf(error) })
    }
  }

  #noteEmptied(): void {
    const restored = this.#fence?.restored ?? 0
    if (restored === this.#restored) return
    this.#restored = restored
    this.#isEmptied = true
    this.#options.log.error('the bucket was emptied or made again: what lay there is gone, what is in memory is put', {
      signal: this.#options.signal,
    })
  }
  #restored = 0
  #isEmptied = false

  /** Was the bucket emptied since this was asked last? Its part of the log went with it. */
  takeEmptied(): boolean {
    const isEmptied = this.#isEmptied
    this.#isEmptied = false
    return isEmptied
  }

  /** Says in the bucket that nothing more is written. */
  async stop(): Promise<void> {
    if (this.#fence === undefined || this.#wal().fenced !== undefined) return
    await this.#fence.stop().catch((error: unknown) => {
      this.#options.log.warn('the bucket could not be told that its writer stops', { error: messageOf(error) })
    })
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
