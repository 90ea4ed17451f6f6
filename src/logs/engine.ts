/** The logs signal: append in, select out, and what goes on behind. */
import { LimitError } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import type { LogFields } from '#core/log.ts'
import type { MemoryAccount } from '#core/memory-budget.ts'
import { leavingOut } from '#core/omissions.ts'
import { noOverrides } from '#core/overrides.ts'
import { yieldEvery } from '#core/yield.ts'
import type { LogBatch } from '#model/log-batch.ts'
import { RecordLine } from '#store/record-line.ts'
import {
  SignalFrame,
  type Holdings,
  type SignalOptions,
  type TenantHoldings,
  type UploadStats,
} from '#store/signal-frame.ts'
import type { BlockSummary } from '#store/signal.ts'
import type { RecordVisitor } from '#store/wal.ts'
import type { AdmittedLines } from './admitted-lines.ts'
import type { LogsAppendOutcome, LogsAppender } from './append.ts'
import { BatchAppender, sliceLines, type AdmissionLimits } from './batch-appender.ts'
import { LocalBuilding, type BlockBuilding, type HidingTest } from './block-building.ts'
import { BlockLife } from './block-life.ts'
import { ChunkReader } from './block-reader.ts'
import { DeletionRequests, type DeletionRequest } from './deletion.ts'
import { LogsDoor } from './door.ts'
import { ChunkEraser } from './eraser.ts'
import { foundIndexes } from './found-indexes.ts'
import { HeadSource } from './head-source.ts'
import { dayMs, IndexCatalogue } from './index-catalogue.ts'
import { Reader } from './reader.ts'
import { Replay, scopeOf } from './replay.ts'
import { RetiredObjects } from './retired.ts'
import type { LogsReader } from './select.ts'
import { Tail } from './tail.ts'
import { Tenant } from './tenant.ts'
import { recordKind } from './wal-record.ts'

export interface LogsOptions extends SignalOptions {
  /** Chunk keys end in base64: the bucket is a directory. */
  isBase64: boolean
  /** How long after its request a deletion changes the bucket. */
  deletionDelayMs: number
  /** Which lines a deletion's query finds. */
  hides: HidingTest
  /** Who does large work in the background; unless given, this thread. */
  building?: BlockBuilding
  admission: AdmissionLimits
  streamsMax: number
  /** Bytes a second, a tenant; Infinity = as many as come. */
  rateBytes: number
  /** Bytes of open and finished chunks before the largest are cut early. */
  headBytesMax: number
  /** Bytes of records that wait for one live tail; the default of the limits unless given. */
  tailBytesMax?: number
  /** What tails draw on. */
  tailMemory?: MemoryAccount
  cacheBytes: number
}

const maintainEveryMs = 10_000

export class LogsEngine extends SignalFrame implements LogsAppender {
  readonly #options: LogsOptions
  readonly #tenants = new Map<string, Tenant>()
  readonly #catalogue: IndexCatalogue
  readonly #reader: ChunkReader
  readonly #retired: RetiredObjects
  readonly #life: BlockLife
  readonly #appender: BatchAppender
  readonly #deletions: DeletionRequests
  readonly #eraser: ChunkEraser
  readonly #tail: Tail
  linesAppended = 0
  bytesAppended = 0
  linesRefused = 0

  constructor(options: LogsOptions) {
    super('logs', options, maintainEveryMs)
    this.#options = options
    const { clock, files, log, bucket, isBase64, cacheBytes } = options
    this.#catalogue = new IndexCatalogue(bucket, clock, log, undefined, name => this.deletedTenants.has(name))
    const pause = yieldEvery(clock)
    this.#reader = new ChunkReader({ bucket, files, isBase64, cacheBytes, pause })
    const { random, defaultTenant, readOnly } = options
    const directory = readOnly ? undefined : options.directory
    this.#deletions = new DeletionRequests({ bucket, clock, random, files, log, directory, defaultTenant })
    this.#retired = new RetiredObjects(bucket, this.steady, log, defaultTenant)
    const building = options.building ?? new LocalBuilding({ files, bucket, isBase64, hides: options.hides, pause })
    this.#life = new BlockLife(
      { ...options, building, steady: this.steady },
      this.wal,
      this.#tenants,
      this.#catalogue,
      this.#reader,
      this.#retired,
      () => this.mayWrite(),
    )
    this.#eraser = new ChunkEraser(
      { clock: this.steady, log, isBase64, delayMs: options.deletionDelayMs, hides: options.hides },
      this.#deletions,
      this.#catalogue,
      building,
      this.#life,
      () => this.mayWrite(),
    )
    this.#appender = new BatchAppender(options.admission)
    const { tailBytesMax: queueBytesMax = defaultLimits.tailBytesMax, tailMemory } = options
    this.#tail = new Tail({ clock, queueBytesMax, memory: tailMemory })
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    const nowMs = this.#options.clock.monotonicMs()
    if (tenant === undefined) {
      const { streamsMax, overrides = noOverrides } = this.#options
      tenant = new Tenant(name, () => overrides.of(name).logStreamsMax ?? streamsMax, nowMs)
      this.#tenants.set(name, tenant)
    }
    tenant.usedMs = nowMs
    return tenant
  }

  // --- The frame's hooks ---

  #isNoteRead = false

  async refresh(): Promise<void> {
    // A writer has what it retired, and reads what the one before it did once.
    if (this.#options.readOnly || !this.#isNoteRead) await this.#retired.load()
    this.#isNoteRead = true
    await this.readDeletedTenants()
    await this.#catalogue.refresh()
    for (const { tenant } of this.deletedTenants.open()) this.#catalogue.forgetTenant(tenant)
    this.#catalogue.replaceAll(this.#retired.all())
    if (this.#options.readOnly || this.wal.fenced !== undefined) await this.#deletions.load()
  }

  protected override found(): LogFields {
    return foundIndexes(this.#catalogue)
  }

  protected override async loadLocal(): Promise<void> {
    await this.#life.clearStaging()
    await this.#deletions.loadLocal()
  }

  protected override loadRemote(): Promise<void> {
    return this.#deletions.load()
  }

  protected visitor(): RecordVisitor {
    const replay = new Replay(
      name => this.#tenant(name),
      () => this.#options.clock.nowMs(),
      (name, writer) => this.deletedTenants.hasRecord(name, writer),
    )
    this.#replay = replay
    return record => replay.read(record)
  }
  #replay: Replay | undefined

  protected replayed(): Promise<void> {
    this.#life.hold(this.#replay?.scopes ?? [])
    this.#replay = undefined
    return Promise.resolve()
  }

  protected takeBack(): void {
    for (const tenant of this.#tenants.values()) tenant.takeBack()
    this.#life.takeBack()
  }

  protected async work(): Promise<void> {
    await this.#life.cutDue()
    await this.#life.publishDue()
    await this.#life.compact()
    await this.#life.retain()
    await this.#eraser.run()
    await this.#life.tidy()
    this.#dropIdle()
  }

  /** Tenants of which nothing was in memory for a while. At once: whoever pushes next finds a new one. */
  #dropIdle(): void {
    for (const { name, head, usedMs } of this.#tenants.values())
      if (head.streams.size === 0 && this.isIdle(usedMs)) this.#tenants.delete(name)
  }

  protected forgetTenant(name: string): void {
    this.#tenants.get(name)?.head.drop()
    this.#tenants.delete(name)
    this.#catalogue.forgetTenant(name)
  }

  protected dropStaged(name: string): Promise<void> {
    return this.#life.dropTenant(name)
  }

  protected override async dropTenant(name: string): Promise<void> {
    await super.dropTenant(name)
    await this.#deletions.dropTenant(name)
  }

  protected removeTenant(name: string): Promise<boolean> {
    return this.#life.removeTenant(name)
  }

  protected endGeneration(): Promise<void> {
    return this.#life.endGeneration()
  }

  protected isInLog(_name: string, generation: number): boolean {
    return this.#life.isInLog(generation)
  }

  protected cutAll(): Promise<void> {
    return this.#life.flush()
  }

  protected cutLargest(bytes: number): Promise<void> {
    return this.#life.cutLargest(bytes)
  }

  protected override stop(): Promise<void> {
    return this.#life.close()
  }

  protected uploadCounts(): UploadStats {
    return { ...this.#life.stats, compactions: 0 }
  }

  protected uploadTrouble(): string | undefined {
    return this.#life.trouble
  }

  /** An index counts as a block; what its chunks take is not known without reading it. */
  protected holdings(): Holdings {
    return { waitingBytes: this.#life.waitingBytes, blocks: this.#catalogue.count, blockBytes: 0 }
  }

  protected *tenantHoldings(): Generator<TenantHoldings> {
    for (const { name: tenant, head } of this.#tenants.values())
      yield { tenant, active: head.streams.size, blocks: 0, blockBytes: 0 }
    for (const { tenant, bytes: blockBytes } of this.#catalogue.all())
      if (tenant !== undefined) yield { tenant, active: 0, blocks: 1, blockBytes }
  }

  /** Indexes by day and tenant; each names the day's chunks. */
  blockList(): BlockSummary[] {
    return this.#catalogue.all().map(({ key, day, tenant, bytes }): BlockSummary => ({
      tenant: tenant ?? 'several',
      id: key.slice(key.lastIndexOf('/') + 1),
      startMs: day * dayMs,
      endMs: (day + 1) * dayMs,
      bytes,
      level: 1,
      count: 1,
      unit: 'index',
    }))
  }

  // --- Append ---

  append(tenantName: string, batch: LogBatch): Promise<LogsAppendOutcome> {
    return this.counted(tenantName, batch.count, () => this.#append(tenantName, batch))
  }

  async #append(tenantName: string, batch: LogBatch): Promise<LogsAppendOutcome> {
    this.admit()
    this.admitTenant(this.#tenants, tenantName)
    const tenant = this.#tenant(tenantName)
    this.#admitRate(tenant, batch)
    const { isPart } = batch
    const isLong = batch.isFrozen && batch.count > sliceLines
    const result = isLong ? await this.#admitLong(tenant, batch) : this.#admitBatch(tenant, batch)
    await (isPart ? this.wal.commitSoon() : this.wal.commit())
    await this.#life.spill()
    return result
  }

  /** The synchronous part: decides, and puts what is stored in line for the log, which shows it. */
  #admitBatch(tenant: Tenant, batch: LogBatch): LogsAppendOutcome {
    const appender = this.#appender
    const { generation, writer } = this.wal
    const nowMs = this.#options.clock.nowMs()
    const result = appender.admit(tenant, batch, generation, this.steady.range())
    this.linesRefused += result.refused
    if (appender.record.isEmpty) return result
    const { lines } = appender
    const record = appender.record.finish(tenant.name)
    this.wal.append(recordKind.lines, record, [scopeOf(writer, generation)], payload => {
      this.#show(tenant, payload, lines, result.stored, nowMs)
    })
    return result
  }

  /** The same of a long batch, in records of some milliseconds; others are admitted between them. */
  async #admitLong(tenant: Tenant, batch: LogBatch): Promise<LogsAppendOutcome> {
    const { wal } = this
    const { admission, clock } = this.#options
    const appender = new BatchAppender(admission)
    const line = new RecordLine(wal, clock)
    const nowMs = clock.nowMs()
    let inRecords = 0
    const put = (stored: number): Promise<void> => {
      if (this.#tenants.get(tenant.name) !== tenant) this.refuseDeleted(tenant.name)
      tenant.usedMs = clock.monotonicMs()
      const count = stored - inRecords
      inRecords = stored
      const { lines } = appender
      const record = appender.record.finish(tenant.name)
      return line.put(recordKind.lines, record, [scopeOf(wal.writer, wal.generation)], payload => {
        this.#show(tenant, payload, lines, count, nowMs)
      })
    }
    const result = await appender.admitSlowly(
      tenant,
      batch,
      this.steady.range(),
      () => wal.generation,
      put,
      () => line.pause(),
    )
    line.requireWhole()
    this.linesRefused += result.refused
    return result
  }

  /** The log has a record of so many lines: they become visible, and count. */
  #show(tenant: Tenant, payload: Uint8Array, lines: AdmittedLines, count: number, nowMs: number): void {
    this.linesAppended += count
    this.usage.received(tenant.name, count, payload.length)
    this.bytesAppended += payload.length
    this.#tail.offer(tenant.name, payload, lines, lines.show(payload, nowMs))
  }

  #admitRate(tenant: Tenant, batch: LogBatch): void {
    const { clock, overrides = noOverrides } = this.#options
    const rateBytes = overrides.of(tenant.name).logRateBytes ?? this.#options.rateBytes
    if (rateBytes === Infinity) return
    let size = 0
    for (let i = 0; i < batch.count; i++) size += batch.lineTo[i]! - batch.lineFrom[i]!
    const nowMs = clock.monotonicMs()
    // One and a half seconds' worth may come at once, and a request that is larger when nothing came for so long:
    // refused, it would be sent again for ever.
    const burst = rateBytes * 1.5
    const tokens =
      tenant.rateTokens === undefined
        ? burst
        : Math.min(burst, tenant.rateTokens + ((nowMs - tenant.rateAtMs) / 1000) * rateBytes)
    tenant.rateAtMs = nowMs
    tenant.rateTokens = tokens
    if (size > tokens && tokens < burst)
      throw new LimitError(
        `ingestion rate limit exceeded for user ${tenant.name} (limit: ${rateBytes} bytes/sec) ` +
          `while attempting to ingest '${batch.count}' lines totaling '${size}' bytes, ` +
          'reduce log volume or raise limits.log_rate',
        429,
      )
    tenant.rateTokens = tokens - size
  }

  // --- Query ---

  reader(tenantName: string): LogsReader {
    this.requireReadable()
    const source = new HeadSource({
      tenant: tenantName,
      streams: () => this.#tenants.get(tenantName)?.head.streams.values() ?? [],
      catalogue: this.#catalogue,
      chunks: this.#reader,
      tail: this.#tail,
      requests: this.#deletions,
    })
    const reader = new Reader(tenantName, source, this.retainedFrom(tenantName))
    return leavingOut(reader, this.notJoined)
  }

  /** For threads that evaluate queries. */
  door(): LogsDoor {
    return new LogsDoor({
      clock: this.#options.clock,
      streams: name => this.#tenants.get(name)?.head.streams.values() ?? [],
      catalogue: this.#catalogue,
      requests: this.#deletions,
      requireReadable: () => {
        this.requireReadable()
      },
      notJoined: () => this.notJoined,
    })
  }

  get streamCount(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.head.streams.size, 0)
  }
  get headBytes(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.head.heldBytes, 0)
  }
  get chunkStats(): {
    uploads: number
    bytes: number
    fetched: number
    skipped: number
    waiting: number
    failures: number
  } {
    return this.#life.stats
  }
  get cacheStats(): { bytes: number; hits: number; misses: number } {
    return this.#reader.cacheStats
  }
  /** Bytes of what is kept of the bucket for queries. */
  get cacheBytes(): number {
    return this.#reader.cacheStats.bytes
  }
  /** Lets go of so much of it. */
  releaseCaches(bytes: number): void {
    this.#reader.release(bytes)
  }

  // --- Deletion ---

  /** Hides lines from queries at once; the bucket is rid of them after the delay. */
  async requestDeletion(tenant: string, query: string, fromMs: number, throughMs: number): Promise<void> {
    await this.#requireWriter()
    await this.#deletions.add(tenant, query, fromMs, throughMs)
    await this.requireKept()
  }

  /** Only the writer of the prefix has the newest list of requests. */
  async #requireWriter(): Promise<void> {
    this.admit()
    await this.requirePrefix()
  }

  deletionRequests(tenant: string): readonly DeletionRequest[] {
    return this.#deletions.of(tenant)
  }
  async cancelDeletion(tenant: string, id: string): Promise<boolean> {
    await this.#requireWriter()
    const isThere = await this.#deletions.cancel(tenant, id)
    await this.requireKept()
    return isThere
  }
}
