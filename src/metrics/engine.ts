/** The metrics signal as a whole: log, heads, blocks, and the rounds of work between them. */
import type { HashSeed } from '#codec/series-key.ts'
import type { Limits } from '#core/limits.ts'
import type { LogFields } from '#core/log.ts'
import { leavingOut } from '#core/omissions.ts'
import { noOverrides } from '#core/overrides.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { Metadata, WriteBatch } from '#model/write-batch.ts'
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
import type { MetricsAppendOutcome, MetricsAppender } from './append.ts'
import { BatchAppender, sliceItems, type AppendOptions } from './batch-appender.ts'
import type { BlockBuilding } from './block-building.ts'
import { BlockLife, bytesOfBlock } from './block-life.ts'
import type { BlockMeta } from './block-meta.ts'
import { BlockSet } from './block-set.ts'
import { allChanged } from './change-log.ts'
import { MetricsDoor } from './door.ts'
import type { KeptExemplar } from './exemplars.ts'
import { foundBlocks } from './found-blocks.ts'
import { HeadSource } from './head-source.ts'
import { Reader } from './reader.ts'
import { Replay } from './replay.ts'
import type { HeadStats, MetricsFacts, MetricsReader } from './select.ts'
import { Tenant } from './tenant.ts'
import { recordKind } from './wal-record.ts'

export interface MetricsOptions extends SignalOptions {
  /** Of the hashes that batches bring with them. */
  hashSeed: HashSeed
  limits: Limits
  blockMs: number
  /** Infinity takes samples of any age. */
  outOfOrderMs: number
  retentionBytesMax: number
  /** Who writes the files of blocks; unless given, this thread. */
  building?: BlockBuilding
}

const maintainEveryMs = 15_000
/** A tenant with a series or two. */
const tenantBytes = 65_536
/** One of which there are only blocks. */
const idleTenantBytes = 8192

export class MetricsEngine extends SignalFrame implements MetricsAppender {
  readonly #options: MetricsOptions
  readonly #tenants = new Map<string, Tenant>()
  /** Those with something in memory, or a push not long ago. */
  readonly #inUse = new Map<string, Tenant>()
  readonly #blocks: BlockLife
  /** Series of heads that went. */
  #createdBefore = 0
  readonly #appenderOptions: AppendOptions
  readonly #appender: BatchAppender
  samplesAppended = 0
  samplesRefused = 0

  constructor(options: MetricsOptions) {
    super('metrics', options, maintainEveryMs)
    this.#options = options
    const { blockMs, outOfOrderMs, limits } = options
    this.#blocks = new BlockLife(
      {
        ...options,
        steady: this.steady,
        stagingDirectory: `${options.directory}/staging`,
        isDeleted: name => this.deletedTenants.has(name),
      },
      this.wal,
      this.#tenants,
      name => this.#tenant(name),
      () => this.mayWrite(),
    )
    const { futureMs, metadataMax } = limits
    this.#appenderOptions = { blockMs, outOfOrderMs, futureMs, metadataMax }
    this.#appender = new BatchAppender(this.#appenderOptions)
  }

  tenants(): string[] {
    return [...this.#tenants.keys()]
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) {
      const { hashSeed: seed, limits, clock, log, blockMs, outOfOrderMs, overrides = noOverrides } = this.#options
      const seriesMax = (): number => overrides.of(name).activeSeriesMax ?? limits.activeSeriesMax
      tenant = new Tenant(name, { seed, limits, seriesMax, clock, log, blockMs, outOfOrderMs })
      this.#tenants.set(name, tenant)
    }
    return tenant
  }

  /** A tenant that something comes in of. */
  #used(name: string): Tenant {
    const tenant = this.#tenant(name)
    tenant.use()
    this.#inUse.set(name, tenant)
    return tenant
  }

  /**
   * Heads that were empty for a while go, with their series, and tenants that have no blocks either. At once: whoever
   * pushes next finds a new one.
   */
  #dropIdle(): void {
    for (const [name, tenant] of this.#inUse) {
      if (!this.isIdle(tenant.usedMs) || !tenant.isEmpty) continue
      this.#createdBefore += tenant.head.table.created
      tenant.dropHead()
      this.#inUse.delete(name)
      const { readers, quarantined } = tenant.blocks
      if (readers.size === 0 && quarantined.size === 0) this.#tenants.delete(name)
    }
  }

  // --- The frame's hooks ---

  async refresh(isPeriodic = false): Promise<void> {
    await this.readDeletedTenants()
    for (const { tenant } of this.deletedTenants.open()) this.forgetTenant(tenant)
    await this.#blocks.refresh(isPeriodic)
  }

  protected override found(): LogFields {
    let damaged = 0
    const blocks: { tenant: string; meta: BlockMeta }[] = []
    for (const { name: tenant, blocks: set } of this.#tenants.values()) {
      damaged += set.quarantined.size
      for (const { meta } of set.readers.values()) blocks.push({ tenant, meta })
      for (const meta of set.downsampled.values()) blocks.push({ tenant, meta })
    }
    return foundBlocks(blocks, damaged)
  }

  protected override loadLocal(): Promise<void> {
    return this.#blocks.findStaged()
  }

  protected visitor(): RecordVisitor {
    const replay = new Replay(
      name => this.#used(name),
      this.#options.blockMs,
      this.#blocks.covered(),
      (name, writer) => this.deletedTenants.hasRecord(name, writer),
    )
    return record => replay.read(record)
  }

  protected async replayed(): Promise<void> {
    for (const [scope, through] of this.#blocks.covered())
      if (!this.#blocks.isStagedScope(scope)) await this.wal.release(scope, through)
  }

  /** Definitions that were lost with their records are logged again. */
  protected takeBack(): void {
    for (const tenant of this.#tenants.values()) tenant.takeBack()
    this.wal.beginGeneration()
  }

  protected async work(): Promise<void> {
    await this.#blocks.cutDue()
    await this.#blocks.removeRetired()
    await this.#blocks.compact()
    await this.#blocks.retain()
    this.#blocks.forgetIndexes()
    this.#dropIdle()
  }

  protected forgetTenant(name: string): void {
    const tenant = this.#tenants.get(name)
    if (tenant !== undefined) this.#createdBefore += tenant.head.table.created
    this.#tenants.delete(name)
    this.#inUse.delete(name)
  }

  protected dropStaged(name: string): Promise<void> {
    return this.#blocks.dropTenant(name)
  }

  protected removeTenant(name: string): Promise<boolean> {
    return this.#blocks.removeTenant(name)
  }

  protected async endGeneration(): Promise<void> {
    await this.#blocks.cutAll()
    await new Promise<void>(resolve => {
      this.wal.beginGeneration(resolve)
    })
    await this.wal.collect()
  }

  protected isInLog(name: string): boolean {
    return [...this.wal.scopes()].some(scope => scope.startsWith(`${name}/`))
  }

  protected cutAll(): Promise<void> {
    return this.#blocks.cutAll()
  }

  protected cutLargest(bytes: number): Promise<void> {
    return this.#blocks.cutLargest(bytes)
  }

  protected override uploaded(): Promise<void> {
    return this.#blocks.drained()
  }

  protected override stop(): Promise<void> {
    return this.#blocks.close()
  }

  protected uploadCounts(): UploadStats {
    return { ...this.#blocks.uploadStats, compactions: this.#blocks.compactions }
  }

  protected uploadTrouble(): string | undefined {
    return this.#blocks.uploadTrouble
  }

  protected holdings(): Holdings {
    let blocks = 0
    let blockBytes = 0
    for (const tenant of this.#tenants.values())
      for (const reader of tenant.blocks.readers.values()) {
        blocks++
        blockBytes += bytesOfBlock(reader.meta)
      }
    return { waitingBytes: this.#blocks.uploadStats.waitingBytes, blocks, blockBytes }
  }

  protected *tenantHoldings(): Generator<TenantHoldings> {
    for (const { name: tenant, head, blocks } of this.#tenants.values()) {
      let blockBytes = 0
      for (const { meta } of blocks.readers.values()) blockBytes += bytesOfBlock(meta)
      yield { tenant, active: head.table.liveCount, blocks: blocks.readers.size, blockBytes }
    }
  }

  /** Blocks that are served. */
  blockList(): BlockSummary[] {
    return [...this.#tenants.values()].flatMap(tenant =>
      [...tenant.blocks.readers.values()].map(({ meta }): BlockSummary => ({
        tenant: tenant.name,
        id: meta.ulid,
        startMs: meta.minTime,
        endMs: meta.maxTime,
        bytes: bytesOfBlock(meta),
        level: meta.compaction.level,
        count: meta.stats.numSamples ?? 0,
        unit: 'samples',
      })),
    )
  }

  // --- Append ---

  append(tenantName: string, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    const samples = batch.sampleCount + batch.histograms.length
    return this.counted(tenantName, samples, () => this.#append(tenantName, batch))
  }

  async #append(tenantName: string, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    this.admit()
    this.admitTenant(this.#inUse, tenantName)
    const tenant = this.#used(tenantName)
    const { sampleCount, histograms, exemplars, metadata } = batch
    const items = sampleCount + histograms.length + exemplars.length + metadata.length
    const { isPart } = batch
    const isLong = batch.isFrozen && items > sliceItems
    const result = isLong ? await this.#admitLong(tenant, batch) : this.#admitBatch(tenant, batch)
    await (isPart ? this.wal.commitSoon() : this.wal.commit())
    return result
  }

  /** The same of a long batch, in records of some milliseconds; others are admitted between them. */
  async #admitLong(tenant: Tenant, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    const { wal } = this
    const { clock } = this.#options
    const appender = new BatchAppender(this.#appenderOptions)
    const line = new RecordLine(wal, clock)
    let inRecords = 0
    const put = (stored: number): Promise<void> => {
      if (this.#tenants.get(tenant.name) !== tenant) this.refuseDeleted(tenant.name)
      const count = stored - inRecords
      inRecords = stored
      tenant.use()
      tenant.inLine++
      return line.put(recordKind.samples, appender.record.finish(tenant.name), appender.scopes, payload => {
        tenant.inLine--
        this.samplesAppended += count
        this.usage.received(tenant.name, count, payload.length)
        tenant.shower.show(payload)
      })
    }
    const pause = (): Promise<void> => line.pause()
    const now = this.steady.range()
    const result = await appender.admitSlowly(tenant, batch, now, () => wal.generation, put, pause)
    line.requireWhole()
    // Samples that were there already stand in no record.
    this.samplesAppended += result.stored - inRecords
    this.samplesRefused += result.refused
    return result
  }

  /** The synchronous part: decides, and puts what is stored in line for the log, which shows it. */
  #admitBatch(tenant: Tenant, batch: WriteBatch): MetricsAppendOutcome {
    const appender = this.#appender
    const result = appender.admit(tenant, batch, this.wal.generation, this.steady.range())
    // A sample that was there already stands in no record.
    if (appender.record.isEmpty) this.samplesAppended += result.stored
    else {
      tenant.inLine++
      this.wal.append(recordKind.samples, appender.record.finish(tenant.name), appender.scopes, payload => {
        tenant.inLine--
        this.samplesAppended += result.stored
        this.usage.received(tenant.name, result.stored, payload.length)
        tenant.shower.show(payload)
      })
    }
    this.samplesRefused += result.refused
    return result
  }

  // --- Query ---

  reader(tenantName: string): MetricsReader {
    this.requireReadable()
    const tenant = this.#tenants.get(tenantName)
    const blocks = tenant?.blocks ?? new BlockSet(this.#options.log, this.#options.clock)
    const source = new HeadSource({
      tenant: tenantName,
      blocks,
      head: tenant?.head,
      changesSince: version => tenant?.changesSince(version) ?? allChanged,
    })
    return leavingOut(new Reader(source, this.retainedFrom(tenantName)), this.notJoined)
  }

  /** For threads that evaluate queries. */
  door(): MetricsDoor {
    return new MetricsDoor({
      clock: this.#options.clock,
      tenant: name => this.#tenants.get(name),
      requireReadable: () => {
        this.requireReadable()
      },
      notJoined: () => this.notJoined,
      refresh: () => this.refresh(),
      facts: name => this.facts(name),
    })
  }

  metadata(tenantName: string): ReadonlyMap<string, Metadata> {
    return this.#tenants.get(tenantName)?.metadata ?? new Map()
  }

  exemplars(
    tenantName: string,
    matchers: readonly (readonly Matcher[])[],
    fromMs: number,
    throughMs: number,
  ): { labels: Labels; exemplars: KeptExemplar[] }[] {
    const tenant = this.#tenants.get(tenantName)
    if (tenant === undefined) return []
    return tenant.exemplars
      .select(fromMs, throughMs)
      .filter(({ labels }) => matchers.some(set => set.every(m => m.matches(labels.get(m.name)))))
  }

  /** For /api/v1/status/tsdb. */
  facts(tenantName: string): Promise<MetricsFacts> {
    const blocks = this.#tenants.get(tenantName)?.blocks
    const metas = Array.from(blocks?.readers.values() ?? [], ({ meta }) => meta)
    return Promise.resolve({
      head: this.headStats(tenantName),
      damaged: blocks?.quarantined.all() ?? [],
      blocks: metas.sort((a, b) => a.minTime - b.minTime),
    })
  }

  headStats(tenantName: string): HeadStats {
    const head = this.#tenants.get(tenantName)?.head
    if (head === undefined) return { series: 0, chunks: 0, labelPairs: 0, minMs: 0, maxMs: 0, byMetric: new Map() }
    return {
      series: head.table.liveCount,
      chunks: head.chunkCount,
      labelPairs: head.table.postings.pairCount,
      minMs: head.minMs,
      maxMs: head.maxMs,
      byMetric: head.table.seriesByMetric(),
    }
  }

  get seriesCount(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.head.table.liveCount, 0)
  }
  /** Bytes of what is not in a block yet. */
  get headBytes(): number {
    return [...this.#tenants.values()].reduce(
      (sum, t) => sum + (t.isInUse ? tenantBytes : idleTenantBytes) + t.head.heldBytes,
      0,
    )
  }
  /** Bytes of what is kept of blocks for queries. */
  get cacheBytes(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.blocks.cacheBytes, 0)
  }
  /** Lets go of so much of what is kept of blocks for queries. */
  releaseCaches(bytes: number): void {
    for (const { blocks } of this.#tenants.values()) if (bytes > 0) bytes -= blocks.releaseCaches(bytes)
  }
  get quarantined(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.blocks.quarantined.size, 0)
  }
  get seriesCreated(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.head.table.created, this.#createdBefore)
  }

  // --- Deletion ---

  /** Deletes samples of the matching series inside [fromMs, throughMs], from memory and blocks alike. */
  async deleteSeries(
    tenantName: string,
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
  ): Promise<void> {
    this.admit()
    const tenant = this.#tenants.get(tenantName)
    if (tenant !== undefined)
      await this.betweenRounds(async () => {
        await this.requirePrefix()
        await this.#blocks.deleteSeries(tenant, matchers, fromMs, throughMs)
        await this.requireKept()
      })
  }

  /** Rewrites blocks that have deleted samples, so that these are really gone. */
  async cleanTombstones(): Promise<void> {
    this.admit()
    await this.betweenRounds(() => this.#blocks.cleanTombstones())
  }
}
