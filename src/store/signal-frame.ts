/**
 * The frame that the three signals share: the write-ahead log, the fence, admission, and the order in which a signal
 * opens, works in the background, flushes, and closes. A signal extends it with its own heads, blocks and queries.
 */
import { makeUlid } from '#codec/ulid.ts'
import { Repeater, type Clock } from '#core/clock.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { Fence } from './fencing.ts'
import type { BlockSummary, Signal, SignalStats, SignalStatus } from './signal.ts'
import { Wal, type Durability } from './wal.ts'
import { WriterGuard } from './writer-guard.ts'

/** What every signal is made with. Durations are milliseconds. */
export interface SignalOptions {
  clock: Clock
  random: Random
  files: Files
  log: Log
  bucket: Bucket
  /** The local directory of the log and of blocks that are being written. */
  directory: string
  /** The tenant below which the signal's own files lie in the bucket. */
  defaultTenant: string
  durability: Durability
  /** Forces every group of log records to the disk before its appends are acknowledged. */
  syncAlways: boolean
  /** Infinity keeps everything. */
  retentionMs: number
  /** Below this much free disk nothing is accepted. */
  freeBytesMin: number
  /** Serves queries from the bucket, and writes nothing. */
  readOnly: boolean
  /** How often the bucket is searched for blocks that other programs added or removed. */
  refreshMs: number
}

/** How much of the log the start read back, and how long that took. */
export interface Replayed {
  records: number
  bytes: number
  seconds: number
}

/** Counters of the way into the bucket, from the start of the process. */
export interface UploadStats {
  uploads: number
  failures: number
  /** Finished blocks, or chunks, that are not in the bucket yet. */
  waiting: number
  compactions: number
}

/** What is held at the moment. */
export interface Holdings {
  /** Bytes of finished blocks that are not in the bucket yet. */
  waitingBytes: number
  blocks: number
  blockBytes: number
}

export abstract class SignalFrame implements Signal {
  readonly name: SignalName
  protected readonly wal: Wal
  readonly #options: SignalOptions
  readonly #maintainEveryMs: number
  readonly #guard: WriterGuard
  readonly #epochPrefix: string
  #repeaters: Repeater[] = []
  #isReady = false
  #isClosing = false
  #replayed: Replayed = { records: 0, bytes: 0, seconds: 0 }

  constructor(name: SignalName, options: SignalOptions, maintainEveryMs: number) {
    this.name = name
    this.#options = options
    this.#maintainEveryMs = maintainEveryMs
    const { clock, files, log, bucket, directory, defaultTenant, durability, syncAlways, freeBytesMin, readOnly } =
      options
    this.#epochPrefix = `${defaultTenant}/tercet/epoch/`
    this.wal = new Wal({
      clock,
      files,
      log,
      bucket,
      bucketPrefix: `${defaultTenant}/tercet/wal/`,
      directory: `${directory}/wal`,
      durability,
      syncAlways,
    })
    this.#guard = new WriterGuard(
      { clock, files, log, signal: name, directory, freeBytesMin, readOnly },
      this.wal,
      () => this.status().backlogBytes,
    )
  }

  // --- What a signal adds ---

  abstract refresh(): Promise<void>

  /** Opens the log and brings its records back into memory. */
  protected abstract replay(): Promise<{ records: number; bytes: number }>

  /** Cuts, uploads, merges and retains what is due: the signal's share of a round of maintenance. */
  protected abstract work(): Promise<void>

  /** Cuts every head. Runs as a round of maintenance. */
  protected abstract cutAll(): Promise<void>

  protected abstract uploadCounts(): UploadStats
  protected abstract holdings(): Holdings
  abstract blockList(): BlockSummary[]

  /** Loads what the signal keeps beside its blocks, before the log is read back. */
  protected load(): Promise<void> {
    return Promise.resolve()
  }

  /** Resolves when nothing is uploaded any more, where uploads go on beside the rounds. */
  protected uploaded(): Promise<void> {
    return Promise.resolve()
  }

  /** Stops what goes on beside the rounds. */
  protected stop(): Promise<void> {
    return Promise.resolve()
  }

  // --- Open and close ---

  get ready(): boolean {
    return this.#isReady
  }

  async open(): Promise<void> {
    const { clock, bucket, random, readOnly } = this.#options
    if (!readOnly)
      this.#guard.holdFence(await Fence.claim(bucket, this.#epochPrefix, `tercet ${makeUlid(clock.nowMs(), random)}`))
    await this.refresh()
    await this.load()
    if (!readOnly) {
      const startedMs = clock.monotonicMs()
      const { records, bytes } = await this.replay()
      this.#replayed = { records, bytes, seconds: (clock.monotonicMs() - startedMs) / 1000 }
    }
    this.#isReady = true
    this.#startRepeaters()
  }

  #startRepeaters(): void {
    const { clock, log, refreshMs, readOnly } = this.#options
    const signal = this.name
    const refresh = (): Promise<void> =>
      this.refresh().catch((error: unknown) => {
        log.warn('the list of blocks could not be refreshed', { signal, error: messageOf(error) })
      })
    const maintain = (): Promise<void> =>
      this.maintain().catch((error: unknown) => {
        log.error('maintenance failed', { signal, error: messageOf(error) })
      })
    this.#repeaters.push(new Repeater(clock, refreshMs, refresh))
    if (!readOnly) this.#repeaters.push(new Repeater(clock, this.#maintainEveryMs, maintain))
  }

  async flush(): Promise<void> {
    if (this.#options.readOnly) return
    await this.#guard.inMaintenance(async () => {
      await this.requirePrefix()
      await this.cutAll()
    })
    await this.uploaded()
    // Uploads stop where they are when another writer takes over meanwhile.
    this.#guard.requirePrefix()
  }

  maintain(): Promise<void> {
    return this.#guard.inMaintenance(async () => {
      await this.#guard.watchDisk()
      await this.#guard.watchFence()
      await this.wal.tick()
      await this.work()
    })
  }

  async handOver(successor: string): Promise<void> {
    const { readOnly, bucket } = this.#options
    if (readOnly) return
    await this.#guard.handOver(bucket, this.#epochPrefix, successor, () => this.flush())
  }

  async close(): Promise<void> {
    this.#isClosing = true
    this.#isReady = false
    for (const repeater of this.#repeaters) await repeater.stop()
    await this.#guard.finished()
    if (this.#options.readOnly) return
    await this.wal.close()
    await this.stop()
  }

  // --- For the signal's own doors ---

  /** Throws UnavailableError when nothing may be appended now. */
  protected admit(): void {
    if (this.#isClosing) throw new UnavailableError('the process is shutting down', 5)
    this.#guard.admit(this.#isReady)
  }

  /** Asks the bucket whether the prefix is still ours. */
  protected mayWrite(): Promise<boolean> {
    return this.#guard.mayWrite()
  }

  /** Asks the bucket whether the prefix is still ours; throws UnavailableError when another writer took it over. */
  protected async requirePrefix(): Promise<void> {
    await this.#guard.watchFence()
    this.#guard.requirePrefix()
  }

  /** Runs `work` when no round of maintenance is under way, and holds the next one back. */
  protected betweenRounds(work: () => Promise<void>): Promise<void> {
    return this.#guard.inMaintenance(work)
  }

  /** The start of a query's time, moved to the retention: what a block holds from before it does not show. */
  protected retainedFrom(fromMs: number): number {
    const { retentionMs, clock } = this.#options
    return retentionMs === Infinity ? fromMs : Math.max(fromMs, clock.nowMs() - retentionMs)
  }

  // --- Numbers ---

  stats(): SignalStats {
    const { uploads, failures, waiting, compactions } = this.uploadCounts()
    return {
      walCommits: this.wal.commits,
      walBytes: this.wal.bytesWritten,
      walSegments: this.wal.segmentCount,
      uploads,
      uploadFailures: failures,
      uploadsWaiting: waiting,
      compactions,
      replaySeconds: this.#replayed.seconds,
      replayedRecords: this.#replayed.records,
    }
  }

  status(): SignalStatus {
    const { waitingBytes, blocks, blockBytes } = this.holdings()
    return {
      backlogBytes: this.wal.unshippedBytes + waitingBytes,
      blocks,
      blockBytes,
      problem: this.#guard.problem,
    }
  }
}
