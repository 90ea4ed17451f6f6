/**
 * The frame that the three signals share: the write-ahead log, the fence, admission, and the order in which a signal
 * opens, works in the background, flushes, and closes. A signal extends it with its own heads, blocks and queries.
 */
import { isAway, type Bucket } from '#bucket/bucket.ts'
import { makeUlid } from '#codec/ulid.ts'
import { backoffMs, Pauses } from '#core/backoff.ts'
import { Repeater, sleep, type Clock, type Timer } from '#core/clock.ts'
import { ForbiddenError, LimitError, messageOf, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log, LogFields } from '#core/log.ts'
import { noOverrides, type Overrides } from '#core/overrides.ts'
import type { Random } from '#core/random.ts'
import type { SignalName } from '#core/signal-name.ts'
import { SteadyClock } from '#core/steady-clock.ts'
import { flushGaveUp, flushGiveUpMs } from './flush-limit.ts'
import type { BlockSummary, Signal, SignalStats, SignalStatus, TenantDeletionState, TenantRows } from './signal.ts'
import { TenantDeletions } from './tenant-deletions.ts'
import { TenantUsage, type TenantCounts } from './tenant-usage.ts'
import { Wal, type Durability, type RecordVisitor, type ReplayReport } from './wal.ts'
import { WriterGuard } from './writer-guard.ts'

/** What every signal is made with. Durations are milliseconds. */
export interface SignalOptions {
  clock: Clock
  random: Random
  files: Files
  log: Log
  bucket: Bucket
  /**
   * Tries the bucket before it is claimed. Throws when it can't be used; a bucket that is merely away is tried again.
   */
  prepareBucket?: () => Promise<void>
  /** Called when the prefix is ours and all of the log was read back; never where nothing is written. */
  onJoined?: () => void
  /** For how long an answer of the bucket about its writer is good; 0: it is asked before each reply. */
  leaseMs?: number
  /** The local directory of the log and of blocks that are being written. */
  directory: string
  /** The tenant below which the signal's own files lie in the bucket. */
  defaultTenant: string
  durability: Durability
  /** Of `bucket`: the least time between two writes of the log, milliseconds. Default: 200. */
  commitIntervalMs?: number
  /** Forces every group of log records to the disk before its appends are acknowledged. */
  syncAlways: boolean
  /** Infinity keeps everything. */
  retentionMs: number
  /** Where it is counted what comes in of each tenant. Default: nowhere else. */
  usage?: TenantUsage
  /** What single tenants have otherwise: looked at whenever it matters, since it may change. Default: nothing. */
  overrides?: Overrides
  /** Below this much free disk nothing is accepted. */
  freeBytesMin: number
  /** Throws UnavailableError while what came in holds more memory than it may. */
  admitMemory?: () => void
  /** Tenants in memory; a push for one more is refused. Without it none is. */
  tenantsMax?: number
  /** Serves queries from the bucket, and writes nothing. */
  readOnly: boolean
  /** How often the bucket is searched for blocks that other programs added or removed. */
  refreshMs: number
  /** The least time between two rounds of background work. Default: the signal's own. */
  roundEveryMs?: number | undefined
}

/** What the start read back of the log, and how long that took. */
interface Replayed extends ReplayReport {
  seconds: number
}

const nothingReplayed: Replayed = {
  records: 0,
  bytes: 0,
  skipped: 0,
  skippedBytes: 0,
  missing: 0,
  problems: [],
  seconds: 0,
}

/** How far the deletion of a tenant has come. */
interface DeletionProgress {
  /** The first generation of the log that has nothing of it; undefined: the log was not looked at yet. */
  cleanFrom: number | undefined
  /** Nothing of it was left in the bucket, at the last look. */
  isRemoved: boolean
  rounds: number
}

/** Pauses between attempts to reach a bucket that is away. */
const joinPause = { leastMs: 500, mostMs: 10_000 }

/** So long a process that stops waits for a bucket that answers nothing. */
const silentBucketMs = 6000

/** A tenant without a push for so long, of which nothing is in memory, leaves it. */
const tenantIdleMs = 3_600_000

/** Heads are not cut early more often. */
const spillEveryMs = 1000

/** So long a start waits for the bucket to answer at all. */
const firstAnswerMs = 5000

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

interface CountedOutcome {
  readonly refused: number
  readonly passes?: boolean
  readonly status?: number
}

/** Of one tenant. */
export interface TenantHoldings {
  tenant: string
  active: number
  blocks: number
  blockBytes: number
}

export abstract class SignalFrame implements Signal {
  readonly name: SignalName
  protected readonly wal: Wal
  /** What deletes because of age goes by it. */
  protected readonly steady: SteadyClock
  readonly #options: SignalOptions
  readonly #maintainEveryMs: number
  readonly #guard: WriterGuard
  readonly #owner: string
  #repeaters: Repeater[] = []
  #isReady = false
  /** All of the log was read back: what is in memory may become blocks. */
  #isComplete = false
  #isClosing = false
  #joining: Promise<void> | undefined
  readonly #pauses: Pauses
  #replayed = nothingReplayed
  readonly usage: TenantUsage
  /** Tenants that are being deleted. */
  protected readonly deletedTenants: TenantDeletions

  constructor(name: SignalName, options: SignalOptions, maintainEveryMs: number) {
    this.name = name
    this.#options = options
    this.#maintainEveryMs = Math.max(maintainEveryMs, options.roundEveryMs ?? 0)
    const { clock, files, log, bucket, directory, defaultTenant, durability, readOnly, random } = options
    const { syncAlways, freeBytesMin, commitIntervalMs = 200, leaseMs = 0 } = options
    const writer = makeUlid(clock.nowMs(), random)
    this.#owner = `tercet ${writer}`
    this.steady = new SteadyClock(clock)
    this.#pauses = new Pauses(clock)
    this.usage = options.usage ?? new TenantUsage()
    this.deletedTenants = new TenantDeletions({
      bucket,
      clock,
      files,
      path: `${directory}/tenant-deletions.json`,
      prefix: `${defaultTenant}/tercet/tenant-deletions/`,
    })
    this.#guard = new WriterGuard(
      {
        clock,
        files,
        log,
        signal: name,
        directory,
        bucket,
        durability,
        freeBytesMin,
        readOnly,
        leaseMs,
        epochPrefix: `${defaultTenant}/tercet/epoch/`,
      },
      () => this.wal,
      () => this.status().backlogBytes,
    )
    this.wal = new Wal({
      clock,
      files,
      log,
      bucket,
      durability,
      commitIntervalMs,
      syncAlways,
      writer,
      bucketPrefix: `${defaultTenant}/tercet/wal/`,
      directory: `${directory}/wal`,
      confirmPrefix: () => this.#guard.confirmPrefix(),
      mayShip: () => this.#guard.hasClaimed,
      confirmKept: isDoubtful => this.#guard.confirmKept(isDoubtful),
      onLost: () => {
        this.takeBack()
      },
    })
  }

  // --- What a signal adds ---

  /** Looks into the bucket for what other programs changed; `isPeriodic`: by the clock, not because somebody asked. */
  abstract refresh(isPeriodic?: boolean): Promise<void>

  /**
   * A writer knows which tenants are deleted; any other process reads it, before it looks for their blocks. What memory
   * has of them is older where another writer deletes them: this one takes nothing in any more.
   */
  protected async readDeletedTenants(): Promise<void> {
    if (!this.#options.readOnly && this.wal.fenced === undefined) return
    const found = await this.deletedTenants.follow()
    for (const tenant of found) this.forgetTenant(tenant)
  }

  /** What a process that only reads found in the bucket, for a line of its log. */
  protected found(): LogFields {
    return {}
  }

  /** What brings a record of the log into memory, with the blocks that are known now. */
  protected abstract visitor(): RecordVisitor

  /** Called after records of the log were brought into memory: those of the disk, then, `isComplete`, the bucket's. */
  protected abstract replayed(isComplete: boolean): Promise<void>

  /** Undoes what was set up for records that wait in line: the log lost them all. */
  protected abstract takeBack(): void

  /** Cuts, uploads, merges and retains what is due: the signal's share of a round of maintenance. */
  protected abstract work(): Promise<void>

  /** Lets go of what memory has of a tenant, whose deletion is noted. */
  protected abstract forgetTenant(tenant: string): void

  /** Lets go of what this disk has of it beside the log. */
  protected abstract dropStaged(tenant: string): Promise<void>

  /**
   * Lets go of all that memory and this disk have of a tenant, whose deletion is noted. Runs as a round of maintenance;
   * called again and again.
   */
  protected async dropTenant(tenant: string): Promise<void> {
    this.forgetTenant(tenant)
    await this.dropStaged(tenant)
  }

  /** Removes what the bucket has of it. False where something is left, or may be. Runs as a round of maintenance. */
  protected abstract removeTenant(tenant: string): Promise<boolean>

  /** Ends the log's generation, and lets go of it as soon as may be. Runs as a round of maintenance. */
  protected abstract endGeneration(): Promise<void>

  /** Has the log records of the tenant? `generation`: the first of this writer that has none. */
  protected abstract isInLog(tenant: string, generation: number): boolean

  /** Cuts every head. Runs as a round of maintenance. */
  protected abstract cutAll(): Promise<void>

  /** Cuts what holds most of the memory until so many bytes are given back. Runs as a round of maintenance. */
  protected abstract cutLargest(bytes: number): Promise<void>

  protected abstract uploadCounts(): UploadStats
  /** Why the last upload failed; undefined: it did not. */
  protected abstract uploadTrouble(): string | undefined
  protected abstract holdings(): Holdings
  abstract blockList(): BlockSummary[]
  /** Series, streams or live traces by tenant, and blocks; a tenant may come several times. */
  protected abstract tenantHoldings(): Iterable<TenantHoldings>

  /** Loads what the signal keeps on the disk beside the log, before that is read back. */
  protected loadLocal(): Promise<void> {
    return Promise.resolve()
  }

  /** Loads what the signal keeps in the bucket beside its blocks. */
  protected loadRemote(): Promise<void> {
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

  get notReady(): string | undefined {
    const { problem, awaySinceStart: reason } = this.#guard
    if (this.#isReady) return problem === undefined ? undefined : `${this.name}: ${problem}`
    return reason === undefined ? 'starting' : `${this.name}: the bucket is away: ${reason}`
  }

  get warning(): string | undefined {
    const { warning } = this.status()
    return warning === undefined ? undefined : `${this.name}: ${warning}`
  }

  async open(): Promise<void> {
    const { readOnly, durability } = this.#options
    // Without the bucket, a writer that keeps everything on its own disk can start all the same.
    const needsBucket = readOnly || durability === 'bucket'
    if (!readOnly) await this.deletedTenants.loadLocal()
    if (!readOnly) await this.loadLocal()
    const prepared = this.#prepare()
    const isJoined = (await this.#isAnswered(prepared)) && (await this.#tryToJoin(prepared))
    if (!readOnly && (isJoined || !needsBucket)) await this.#replayLocal()
    const isRead = isJoined && (readOnly || (await this.#tryToReplayRemote()))
    if (isRead) this.#noteRead()
    this.#isReady = isRead || !needsBucket
    if (!isRead) this.#joining = this.#joinLater()
    if (!readOnly) await this.#lookAtDisk()
    this.#startRepeaters()
  }

  /** A disk that is full already takes nothing from the first request on. */
  async #lookAtDisk(): Promise<void> {
    try {
      await this.#guard.watchDisk()
    } catch (error) {
      this.#options.log.warn('the free space of the disk is unknown', { signal: this.name, error: messageOf(error) })
    }
  }

  /** Is there any answer from the bucket soon? A start does not wait out the deadlines of a store that is silent. */
  async #isAnswered(prepared: Promise<void>): Promise<boolean> {
    const answer = prepared.then(
      () => true,
      () => true,
    )
    const isAnswered = await Promise.race([answer, sleep(this.#options.clock, firstAnswerMs).then(() => false)])
    if (!isAnswered) this.#guard.noteAway(`it did not answer in ${firstAnswerMs / 1000} s`)
    return isAnswered
  }

  #prepare(): Promise<void> {
    return this.#options.prepareBucket?.() ?? Promise.resolve()
  }

  /** Claims the prefix and looks through the bucket. False when the bucket is away; throws when it can't be used. */
  async #tryToJoin(prepared: Promise<void>): Promise<boolean> {
    try {
      await prepared
      if (!this.#options.readOnly) {
        await this.#guard.claim(this.#owner)
        await this.#learnDeletions(await this.deletedTenants.load())
      }
      await this.refresh()
      await this.loadRemote()
      return true
    } catch (error) {
      if (!isAway(error)) throw error
      this.#guard.noteAway(messageOf(error))
      return false
    }
  }

  /** Another writer has deleted these tenants, and perhaps taken them in anew, while this disk was away. */
  async #learnDeletions(tenants: readonly string[]): Promise<void> {
    if (!this.#isLocalRead) {
      this.deletedTenants.learn(tenants)
      for (const tenant of tenants) {
        this.forgetTenant(tenant)
        await this.dropStaged(tenant)
      }
      return
    }
    // What came in since the start stands beside it.
    const back = tenants.filter(tenant => !this.deletedTenants.has(tenant))
    if (back.length > 0)
      this.#options.log.warn('tenants were deleted while this disk was away: what it had of them is back', {
        signal: this.name,
        tenants: back.join(' '),
      })
    await this.deletedTenants.copy()
  }
  /** What the disk has of the log was read. */
  #isLocalRead = false

  /** Tries until the bucket is there. */
  async #joinLater(): Promise<void> {
    const { log, durability, readOnly } = this.#options
    const signal = this.name
    for (let attempt = 0; !this.#isClosing; attempt++) {
      if (attempt < 4)
        log.warn('the bucket is away; it is tried again', { signal, reason: this.#guard.awaySinceStart ?? '' })
      await this.#pauses.wait(backoffMs(attempt, joinPause))
      try {
        if (this.#isClosing || !(await this.#tryToJoin(this.#prepare()))) continue
        if (!readOnly && durability === 'bucket') await this.#replayLocal()
        if (!readOnly) await this.#guard.inMaintenance(() => this.#replayRemote())
        this.#noteRead()
        this.#isReady = true
        log.info('the bucket is there', { signal })
        return
      } catch (error) {
        this.#guard.noteAway(messageOf(error))
        log.error('the bucket can not be used; it is tried again', { signal, error: messageOf(error) })
      }
    }
  }

  async #replayLocal(): Promise<void> {
    await this.#replay(false, visit => this.wal.openLocal(visit))
    await this.deletedTenants.noteRead()
    this.#isLocalRead = true
  }
  /** Another writer took the prefix before the log was read. */
  #isReplacedEarly = false

  #noteRead(): void {
    const { readOnly, log, bucket } = this.#options
    if (readOnly) log.info('the bucket is read', { signal: this.name, bucket: bucket.description, ...this.found() })
    if (this.#isReplacedEarly) return
    this.#guard.noteReached()
    if (!readOnly) this.#options.onJoined?.()
  }

  /** False when the bucket is away. */
  async #tryToReplayRemote(): Promise<boolean> {
    try {
      await this.#replayRemote()
      return true
    } catch (error) {
      if (!isAway(error) && !(error instanceof UnavailableError)) throw error
      this.#guard.noteAway(messageOf(error))
      return false
    }
  }

  async #replayRemote(): Promise<void> {
    try {
      await this.#replay(true, visit => this.wal.openRemote(visit))
    } catch (error) {
      // Replaced while it started: it takes nothing in, and its answers say what they lack.
      if (this.wal.fenced === undefined) throw error
      this.#isReplacedEarly = true
    }
    // What a writer that we replaced took out of its log meanwhile is in blocks that it put just before.
    await this.refresh()
    this.#isComplete = true
  }

  async #replay(isComplete: boolean, open: (visit: RecordVisitor) => Promise<ReplayReport>): Promise<void> {
    const { clock, log } = this.#options
    const startedMs = clock.monotonicMs()
    const found = await open(this.visitor())
    await this.replayed(isComplete)
    const before = this.#replayed
    this.#replayed = {
      records: before.records + found.records,
      bytes: before.bytes + found.bytes,
      skipped: before.skipped + found.skipped,
      skippedBytes: before.skippedBytes + found.skippedBytes,
      missing: before.missing + found.missing,
      problems: [...before.problems, ...found.problems],
      seconds: before.seconds + (clock.monotonicMs() - startedMs) / 1000,
    }
    if (found.skipped + found.missing > 0)
      log.error('a part of the write-ahead log could not be read back', {
        signal: this.name,
        records: found.records,
        skipped: found.skipped,
        skippedBytes: found.skippedBytes,
        missing: found.missing,
      })
  }

  /** Why the last look into the bucket by the clock failed. */
  #refreshTrouble: string | undefined

  #startRepeaters(): void {
    const { clock, log, refreshMs, readOnly } = this.#options
    const signal = this.name
    const refresh = (): Promise<void> =>
      this.refresh(true).then(
        () => {
          this.#refreshTrouble = undefined
        },
        (error: unknown) => {
          this.#refreshTrouble = messageOf(error)
          log.warn('the list of blocks could not be refreshed', { signal, error: this.#refreshTrouble })
        },
      )
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
      await this.#askForPrefix()
      this.#guard.requirePrefix()
      await this.cutAll()
    })
    await this.#uploadedInTime()
    // Uploads stop where they are when another writer takes over meanwhile, and at the process's own end.
    this.#guard.requirePrefix()
    const { waiting } = this.uploadCounts()
    if (this.#isClosing && waiting > 0)
      throw new UnavailableError(`the process is shutting down; ${waiting} blocks are uploaded by the next one`, 5)
  }

  async #uploadedInTime(): Promise<void> {
    const { clock } = this.#options
    let timer: Timer | undefined
    const late = new Promise<never>((_, reject) => {
      timer = clock.after(flushGiveUpMs, () => {
        reject(flushGaveUp(this.uploadTrouble()))
      })
    })
    try {
      await Promise.race([this.uploaded(), late])
    } finally {
      timer?.cancel()
    }
  }

  /** Bytes of what came in and is not in a block yet. */
  abstract get headBytes(): number

  /**
   * Memory is short: heads begin to give back so many bytes, and a quarter of theirs at least, by cutting earlier than
   * they would. Returns at once; does nothing while that is under way or was a moment ago.
   */
  spillEarly(bytes: number): void {
    const { clock, log, readOnly } = this.#options
    const mayCut = this.#isReady && this.#isComplete && !readOnly && this.wal.fenced === undefined
    if (!mayCut || this.#isSpilling || clock.monotonicMs() - this.#spilledMs < spillEveryMs) return
    this.#isSpilling = true
    this.#earlyCuts++
    const wanted = Math.max(bytes, this.headBytes / 4)
    this.#guard
      .inMaintenance(() => this.cutLargest(wanted))
      .catch((error: unknown) => {
        log.warn('heads could not be cut early', { signal: this.name, error: messageOf(error) })
      })
      .finally(() => {
        this.#isSpilling = false
        this.#spilledMs = clock.monotonicMs()
      })
  }
  #isSpilling = false
  #spilledMs = -Infinity
  #earlyCuts = 0

  maintain(): Promise<void> {
    return this.#guard.inMaintenance(async () => {
      this.#watchClock()
      await this.#guard.watchDisk()
      if (!this.#isReady) return
      await this.#guard.watchFenceNow()
      await this.wal.tick()
      if (this.wal.fenced !== undefined) return
      if (this.#guard.takeEmptied()) await this.#writeAgain()
      // What only memory has now becomes blocks.
      else if (this.wal.takeDeleted()) await this.cutAll()
      await this.#goOnDeleting()
      await this.work()
    })
  }

  // --- Deletion of tenants ---

  async deleteTenant(tenant: string): Promise<void> {
    if (this.#options.readOnly) throw new UnavailableError('this process serves queries only', 60)
    if (this.#isClosing) throw new UnavailableError('the process is shutting down', 5)
    await this.betweenRounds(async () => {
      await this.requirePrefix()
      await this.deletedTenants.begin(tenant)
      await this.requireKept()
      await this.dropTenant(tenant)
    })
    this.#options.log.info('a tenant is deleted', { signal: this.name, tenant })
    // It need not wait for the next round.
    this.#maintainSoon()
  }

  #maintainSoon(): void {
    this.maintain().catch((error: unknown) => {
      this.#options.log.error('maintenance failed', { signal: this.name, error: messageOf(error) })
    })
  }

  tenantDeletion(tenant: string): TenantDeletionState | undefined {
    const found = this.deletedTenants.of(tenant)
    return found === undefined ? undefined : { ...found, trouble: this.#deletionTroubles.get(tenant) }
  }

  tenantsBeingDeleted(): readonly string[] {
    return this.deletedTenants.open().map(({ tenant }) => tenant)
  }
  readonly #deletionTroubles = new Map<string, string>()
  readonly #deleting = new Map<string, DeletionProgress>()

  async #goOnDeleting(): Promise<void> {
    if (!this.#isComplete) return
    for (const { tenant } of this.deletedTenants.open()) {
      const progress = this.#deleting.get(tenant) ?? { cleanFrom: undefined, isRemoved: false, rounds: 0 }
      this.#deleting.set(tenant, progress)
      try {
        await this.#goOnDeletingOne(tenant, progress)
        this.#lookAgain(tenant, progress)
        this.#deletionTroubles.delete(tenant)
      } catch (error) {
        const reason = messageOf(error)
        if (this.#deletionTroubles.get(tenant) !== reason)
          this.#options.log.warn('the deletion of a tenant did not go on', { signal: this.name, tenant, reason })
        this.#deletionTroubles.set(tenant, reason)
      }
    }
  }

  /** Uploads that the log waits for are done before the next round, mostly. */
  #lookAgain(tenant: string, progress: DeletionProgress): void {
    if (!this.deletedTenants.has(tenant)) return
    const delayMs = 250 * 2 ** progress.rounds++
    if (delayMs < this.#maintainEveryMs)
      this.#options.clock.after(delayMs, () => {
        if (!this.#isClosing) this.#maintainSoon()
      })
  }

  async #goOnDeletingOne(tenant: string, progress: DeletionProgress): Promise<void> {
    await this.dropTenant(tenant)
    if (!(await this.mayWrite())) return
    if (progress.cleanFrom === undefined) {
      await this.endGeneration()
      progress.cleanFrom = this.wal.generation
    }
    const isClean = !this.isInLog(tenant, progress.cleanFrom)
    // The bucket is listed for it when there is something to find, and once more at the end.
    if (progress.isRemoved && !isClean) return
    progress.isRemoved = await this.removeTenant(tenant)
    if (!progress.isRemoved || !isClean || !(await this.mayWrite())) return
    await this.deletedTenants.finish(tenant)
    this.usage.forget(tenant)
    this.#deleting.delete(tenant)
    this.#options.log.info('a tenant was deleted', { signal: this.name, tenant })
  }

  /** The bucket was emptied: what only memory and this disk still have becomes blocks, and the list is made again. */
  async #writeAgain(): Promise<void> {
    this.#options.onJoined?.()
    await this.refresh()
    await this.cutAll()
  }

  /** Logs a jump of the wall clock: what came in since has its times. */
  #watchClock(): void {
    const jumpMs = this.steady.takeJump()
    if (jumpMs !== 0)
      this.#options.log.warn('the wall clock jumped', { signal: this.name, seconds: Math.round(jumpMs / 1000) })
  }

  async handOver(successor: string): Promise<void> {
    if (!this.#options.readOnly) await this.#guard.handOver(successor, () => this.flush())
  }

  drain(): void {
    this.wal.drain()
    this.#options.bucket.windDown?.(silentBucketMs)
  }

  async close(): Promise<void> {
    this.drain()
    this.#isClosing = true
    this.#pauses.end()
    this.#isReady = false
    await this.#joining
    for (const repeater of this.#repeaters) await repeater.stop()
    await this.#guard.finished()
    if (this.#options.readOnly) return
    await this.wal.close()
    await this.stop()
    await this.#guard.stop()
  }

  // --- For the signal's own doors ---

  /** Throws UnavailableError while queries can't be answered: what the bucket and the log have is not known yet. */
  protected requireReadable(): void {
    if (!this.#isReady && !this.#isClosing) throw new UnavailableError(this.notReady ?? 'starting', 2)
  }

  /**
   * Throws LimitError (429) for a tenant that is not among the known ones when there are as many as may be, and
   * ForbiddenError for one that is being deleted.
   */
  protected admitTenant(known: ReadonlyMap<string, unknown>, name: string): void {
    if (this.deletedTenants.has(name)) this.refuseDeleted(name)
    const { tenantsMax = Infinity } = this.#options
    if (known.size < tenantsMax || known.has(name)) return
    throw new LimitError(
      `${this.name}: tenant ${JSON.stringify(name)} would be one more than the limit of ${tenantsMax} tenants; ` +
        'send as one of those that there are, or raise limits.tenants',
      429,
    )
  }

  /** Counts what becomes of so many items of a tenant. Throws what `append` throws. */
  protected async counted<T extends CountedOutcome>(
    tenant: string,
    items: number,
    append: () => Promise<T>,
  ): Promise<T> {
    try {
      const outcome = await append()
      const reason = outcome.passes === true || outcome.status === 429 ? 'limit' : 'invalid'
      if (outcome.refused > 0) this.usage.refused(tenant, reason, outcome.refused)
      return outcome
    } catch (error) {
      if (error instanceof LimitError) this.usage.refused(tenant, 'limit', items)
      else if (error instanceof ForbiddenError) this.usage.refused(tenant, 'deleted', items)
      throw error
    }
  }

  protected refuseDeleted(name: string): never {
    throw new ForbiddenError(`${this.name}: tenant ${JSON.stringify(name)} is being deleted, nothing is taken in of it`)
  }

  /** Was a tenant that was used at this time, as the monotonic clock counts, idle for so long that its head may go? */
  protected isIdle(usedMs: number): boolean {
    return this.#options.clock.monotonicMs() - usedMs >= tenantIdleMs
  }

  /** Throws UnavailableError when nothing may be appended now. */
  protected admit(): void {
    if (this.#isClosing) throw new UnavailableError('the process is shutting down', 5)
    this.#guard.admit(this.#isReady)
    this.#options.admitMemory?.()
  }

  /** What answers lack where the bucket's log was never read, and why; undefined: it was. */
  protected get notJoined(): string | undefined {
    if (this.#isReplacedEarly)
      return `this process was replaced while it started, and lacks the log: ${this.wal.fenced}`
    const { awaySinceStart } = this.#guard
    if (awaySinceStart === undefined) return undefined
    return `the bucket is away since the start, and only what this disk has is answered: ${awaySinceStart}`
  }

  /** Asks the bucket whether the prefix is still ours. */
  protected async mayWrite(): Promise<boolean> {
    return this.#isComplete && (await this.#guard.mayWrite())
  }

  /**
   * Asks the bucket whether the prefix is still ours; throws UnavailableError when another writer took it over, or when
   * it is being handed over.
   */
  protected async requirePrefix(): Promise<void> {
    await this.#askForPrefix()
    this.#guard.requireOwnPrefix()
  }

  async #askForPrefix(): Promise<void> {
    if (!this.#isComplete)
      throw new UnavailableError(`the bucket is away: ${this.#guard.awaySinceStart ?? 'it was not reached yet'}`, 5)
    await this.#guard.watchFence()
  }

  /** After a change in the bucket: throws UnavailableError when a writer that replaced us may not see it. */
  protected async requireKept(): Promise<void> {
    await this.#guard.confirmKept(true)
  }

  /** Runs `work` when no round of maintenance is under way, and holds the next one back. */
  protected betweenRounds(work: () => Promise<void>): Promise<void> {
    return this.#guard.inMaintenance(work)
  }

  /** The start of a query's time, moved to the retention: what a block holds from before it does not show. */
  protected retainedFrom(tenant: string): (fromMs: number) => number {
    const { retentionMs, clock, overrides = noOverrides } = this.#options
    const moved = overrides.retainedFrom(tenant, this.name, retentionMs)
    return fromMs => moved(fromMs, clock.nowMs())
  }

  // --- Numbers ---

  tenantRows(): TenantRows {
    const rows = new Map<string, TenantHoldings & TenantCounts>()
    const rowOf = (tenant: string): TenantHoldings & TenantCounts => {
      let row = rows.get(tenant)
      if (row === undefined) rows.set(tenant, (row = { ...emptyRow(tenant), ...this.usage.named().get(tenant) }))
      return row
    }
    for (const tenant of this.usage.named().keys()) rowOf(tenant)
    for (const { tenant, active, blocks, blockBytes } of this.tenantHoldings()) {
      const row = rowOf(tenant)
      row.active += active
      row.blocks += blocks
      row.blockBytes += blockBytes
    }
    const others = { ...emptyRow(''), ...this.usage.others }
    return { rows: [...rows.values()], others, labelled: this.usage.labelled() }
  }

  stats(): SignalStats {
    const { uploads, failures, waiting, compactions } = this.uploadCounts()
    return {
      walCommits: this.wal.commits,
      walBytes: this.wal.bytesWritten,
      walSegments: this.wal.segmentCount,
      walLost: this.wal.lostRecords,
      uploads,
      uploadFailures: failures,
      uploadsWaiting: waiting,
      compactions,
      earlyCuts: this.#earlyCuts,
      clockJumps: this.steady.jumps,
      replaySeconds: this.#replayed.seconds,
      replayedRecords: this.#replayed.records,
      replaySkipped: this.#replayed.skipped,
      replaySkippedBytes: this.#replayed.skippedBytes,
      replayMissing: this.#replayed.missing,
    }
  }

  #warning(): string | undefined {
    const { awaySinceStart, away } = this.#guard
    if (awaySinceStart !== undefined) return this.notJoined ?? `the bucket is away since the start: ${awaySinceStart}`
    if (away !== undefined) return `the bucket is away: ${away}`
    const trouble = this.uploadTrouble()
    if (trouble !== undefined) return `the bucket does not take what is finished: ${trouble}`
    if (this.#refreshTrouble !== undefined) return `the list of blocks is of before: ${this.#refreshTrouble}`
    const { problem } = this.deletedTenants
    if (problem !== undefined) return `tenants that were deleted may be back: ${problem}`
    const seconds = Math.round(this.steady.recentJumpMs / 1000)
    if (seconds === 0) return undefined
    const direction = seconds > 0 ? 'ahead' : 'back'
    return `the wall clock jumped ${direction} by ${Math.abs(seconds)} s within the last hour`
  }

  status(): SignalStatus {
    const { waitingBytes, blocks, blockBytes } = this.holdings()
    return {
      backlogBytes: this.wal.unshippedBytes + waitingBytes,
      blocks,
      blockBytes,
      problem: this.#guard.problem,
      warning: this.#warning(),
      isAway: this.#guard.away !== undefined,
    }
  }
}

function emptyRow(tenant: string): TenantHoldings & TenantCounts {
  const refused = { limit: 0, invalid: 0, deleted: 0 }
  return { tenant, active: 0, blocks: 0, blockBytes: 0, received: 0, receivedBytes: 0, refused, queries: 0 }
}
