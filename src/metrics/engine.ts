/** The metrics signal as a whole: log, heads, blocks, and the rounds of work between them. */
import { makeUlid } from '#codec/ulid.ts'
import type { HashSeed } from '#codec/series-key.ts'
import { Repeater, type Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Limits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { Metadata, WriteBatch } from '#model/write-batch.ts'
import { Fence } from '#store/fencing.ts'
import type { BlockSummary, Signal, SignalStats, SignalStatus } from '#store/signal.ts'
import { Wal, type Durability } from '#store/wal.ts'
import { WriterGuard } from '#store/writer-guard.ts'
import type { AppendResult, MetricsAppender } from './append.ts'
import { BatchAppender } from './batch-appender.ts'
import { BlockLife, blockBytes } from './block-life.ts'
import { BlockSet } from './block-set.ts'
import type { KeptExemplar } from './exemplars.ts'
import { Replay } from './replay.ts'
import type { MetricsReader } from './select.ts'
import { Tenant } from './tenant.ts'
import { recordKind } from './wal-record.ts'

export interface MetricsOptions {
  clock: Clock
  random: Random
  /** Of the hashes that batches bring with them. */
  hashSeed: HashSeed
  files: Files
  log: Log
  bucket: Bucket
  limits: Limits
  /** Where the log and blocks under way live. */
  directory: string
  defaultTenant: string
  durability: Durability
  syncAlways: boolean
  blockMs: number
  /** Infinity takes samples of any age. */
  outOfOrderMs: number
  /** Infinity keeps everything. */
  retentionMs: number
  retentionBytesMax: number
  /** Below this much free disk nothing is accepted. */
  freeBytesMin: number
  /** Serves what is in the bucket, writes nothing. */
  readOnly: boolean
  /** How often the bucket is looked through for blocks that others put there or took away. */
  refreshMs: number
}

const maintenanceEveryMs = 15_000

export class MetricsEngine implements Signal, MetricsAppender {
  readonly name = 'metrics'
  readonly #options: MetricsOptions
  readonly #tenants = new Map<string, Tenant>()
  readonly #wal: Wal
  readonly #guard: WriterGuard
  readonly #blocks: BlockLife
  readonly #appender: BatchAppender
  #background: Repeater[] = []
  samplesAppended = 0
  samplesRefused = 0
  ready = false
  replayed = { records: 0, bytes: 0, seconds: 0 }

  constructor(options: MetricsOptions) {
    this.#options = options
    const {
      clock,
      random,
      files,
      log,
      bucket,
      blockMs,
      outOfOrderMs,
      retentionMs,
      retentionBytesMax,
      readOnly,
      limits,
    } = options
    this.#wal = new Wal({
      clock,
      files,
      log,
      bucket,
      bucketPrefix: `${options.defaultTenant}/tercet/wal/`,
      directory: `${options.directory}/wal`,
      durability: options.durability,
      syncAlways: options.syncAlways,
    })
    this.#guard = new WriterGuard(
      {
        clock,
        files,
        log,
        signal: 'metrics',
        directory: options.directory,
        freeBytesMin: options.freeBytesMin,
        readOnly: options.readOnly,
      },
      this.#wal,
      () => this.status().backlogBytes,
    )
    this.#blocks = new BlockLife(
      {
        clock,
        random,
        files,
        log,
        bucket,
        stagingDirectory: `${options.directory}/staging`,
        blockMs,
        retentionMs,
        retentionBytesMax,
        readOnly,
      },
      this.#wal,
      this.#tenants,
      name => this.#tenant(name),
      () => this.#guard.mayWrite(),
    )
    this.#appender = new BatchAppender({
      blockMs,
      outOfOrderMs,
      futureMs: limits.futureMs,
      metadataMax: limits.metadataMax,
    })
  }

  tenants(): string[] {
    return [...this.#tenants.keys()]
  }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) {
      const { hashSeed: seed, limits, clock, log, blockMs, outOfOrderMs } = this.#options
      this.#tenants.set(name, (tenant = new Tenant(name, { seed, limits, clock, log, blockMs, outOfOrderMs })))
    }
    return tenant
  }

  async open(): Promise<void> {
    const { clock, bucket, log, random, readOnly, refreshMs } = this.#options
    if (!readOnly)
      this.#guard.holdFence(
        await Fence.claim(
          bucket,
          `${this.#options.defaultTenant}/tercet/epoch/`,
          `tercet ${makeUlid(clock.nowMs(), random)}`,
        ),
      )
    await this.refresh()
    await this.#blocks.findStaged()
    if (!readOnly) await this.#replay()
    this.ready = true
    this.#background = [
      new Repeater(clock, refreshMs, () =>
        this.refresh().catch((error: unknown) => {
          log.warn('the list of blocks could not be refreshed', { error: messageOf(error) })
        }),
      ),
    ]
    if (!readOnly)
      this.#background.push(
        new Repeater(clock, maintenanceEveryMs, () =>
          this.maintain().catch((error: unknown) => {
            log.error('maintenance failed', { error: messageOf(error) })
          }),
        ),
      )
  }

  /** Looks into the bucket for blocks that appeared or vanished. */
  refresh(): Promise<void> {
    return this.#blocks.refresh()
  }

  async #replay(): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs()
    const covered = this.#blocks.covered()
    const replay = new Replay(name => this.#tenant(name), this.#options.blockMs, covered)
    const result = await this.#wal.open(record => replay.read(record))
    this.#wal.skipTo(Math.max(-1, ...covered.values()) + 1)
    for (const [scope, through] of covered)
      if (!this.#blocks.isStagedScope(scope)) await this.#wal.release(scope, through)
    this.replayed = {
      records: result.records,
      bytes: result.bytes,
      seconds: (this.#options.clock.monotonicMs() - startedMs) / 1000,
    }
  }

  // ── Append ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async append(tenantName: string, batch: WriteBatch): Promise<AppendResult> {
    this.#guard.admit(this.ready)
    const result = this.#appendNow(tenantName, batch)
    await this.#wal.commit()
    return result
  }

  /** The synchronous part: into the head and into line for the log. */
  #appendNow(tenantName: string, batch: WriteBatch): AppendResult {
    const appender = this.#appender
    const result = appender.append(this.#tenant(tenantName), batch, this.#wal.generation, this.#options.clock.nowMs())
    if (!appender.record.isEmpty)
      this.#wal.append(recordKind.samples, appender.record.finish(tenantName), appender.scopes)
    this.samplesAppended += result.samples + result.histograms
    this.samplesRefused += result.refused
    return result
  }

  // ── Query ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  reader(tenantName: string): MetricsReader {
    const tenant = this.#tenants.get(tenantName)
    if (tenant === undefined) return new BlockSet(this.#options.log, this.#options.clock).reader(undefined)
    const inner = tenant.blocks.reader(tenant.head)
    const { retentionMs, clock } = this.#options
    // What is past its retention is gone for queries, also while its block is still there.
    const oldest = (fromMs: number): number =>
      retentionMs === Infinity ? fromMs : Math.max(fromMs, clock.nowMs() - retentionMs)
    return {
      select: (matchers, fromMs, toMs) => inner.select(matchers, oldest(fromMs), toMs),
      series: (matchers, fromMs, toMs) => inner.series(matchers, oldest(fromMs), toMs),
      labelNames: (matchers, fromMs, toMs) => inner.labelNames(matchers, oldest(fromMs), toMs),
      labelValues: (name, matchers, fromMs, toMs) => inner.labelValues(name, matchers, oldest(fromMs), toMs),
    }
  }

  metadata(tenantName: string): ReadonlyMap<string, Metadata> {
    return this.#tenants.get(tenantName)?.metadata ?? new Map()
  }

  exemplars(
    tenantName: string,
    matchers: readonly (readonly Matcher[])[],
    fromMs: number,
    toMs: number,
  ): { labels: Labels; exemplars: KeptExemplar[] }[] {
    const tenant = this.#tenants.get(tenantName)
    if (tenant === undefined) return []
    return tenant.exemplars
      .select(fromMs, toMs)
      .filter(({ labels }) => matchers.some(set => set.every(m => m.matches(labels.get(m.name)))))
  }

  /** For /api/v1/status/tsdb. */
  headStats(tenantName: string): {
    series: number
    chunks: number
    labelPairs: number
    minMs: number
    maxMs: number
    byMetric: Map<string, number>
  } {
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
  get walStats(): { commits: number; bytes: number; segments: number } {
    return { commits: this.#wal.commits, bytes: this.#wal.bytesWritten, segments: this.#wal.segmentCount }
  }
  get quarantined(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.blocks.quarantined.size, 0)
  }
  get uploadStats(): { uploads: number; failures: number; waiting: number } {
    return this.#blocks.uploadStats
  }
  get compactions(): number {
    return this.#blocks.compactions
  }
  get seriesCreated(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.head.table.created, 0)
  }

  // ── Background work ────────────────────────────────────────────────────────────────────────────────────────────────

  /** One round: watermark, log, cuts, compaction, retention. Rounds never overlap. */
  maintain(): Promise<void> {
    return this.#guard.inMaintenance(async () => {
      await this.#guard.watchDisk()
      await this.#guard.watchFence()
      await this.#wal.tick()
      await this.#blocks.cutDue()
      await this.#blocks.removeDoomed()
      await this.#blocks.compact()
      await this.#blocks.retain()
      this.#blocks.forgetIndexes()
    })
  }

  // ── Deletion ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Deletes samples of the matching series inside [minMs, maxMs], from memory and blocks alike. */
  async deleteSeries(tenantName: string, matchers: readonly Matcher[], minMs: number, maxMs: number): Promise<void> {
    this.#guard.admit(this.ready)
    const tenant = this.#tenants.get(tenantName)
    if (tenant !== undefined)
      await this.#guard.inMaintenance(() => this.#blocks.deleteSeries(tenant, matchers, minMs, maxMs))
  }

  /** Rewrites blocks that have deleted samples, so that these are really gone. */
  cleanTombstones(): Promise<void> {
    return this.#guard.inMaintenance(() => this.#blocks.cleanTombstones())
  }

  // ── Signal ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async flush(): Promise<void> {
    if (this.#options.readOnly) return
    await this.#guard.inMaintenance(() => this.#blocks.cutAll())
    await this.#blocks.drained()
  }

  /** Everything goes into the bucket, and nothing is taken in or written any more: another system is to write there. */
  async handOver(successor: string): Promise<void> {
    if (this.#options.readOnly) return
    await this.#guard.handOver(this.#options.bucket, `${this.#options.defaultTenant}/tercet/epoch/`, successor, () =>
      this.flush(),
    )
  }

  async close(): Promise<void> {
    for (const repeater of this.#background) await repeater.stop()
    await this.#guard.settled()
    if (this.#options.readOnly) return
    await this.#wal.close()
    await this.#blocks.close()
    this.ready = false
  }

  /** Blocks that are served. */
  blockList(): BlockSummary[] {
    return [...this.#tenants.values()].flatMap(tenant =>
      [...tenant.blocks.readers.values()].map(({ meta }): BlockSummary => ({
        tenant: tenant.name,
        id: meta.ulid,
        startMs: meta.minTime,
        endMs: meta.maxTime,
        bytes: blockBytes(meta),
        level: meta.compaction.level,
        count: meta.stats.numSamples ?? 0,
        unit: 'samples',
      })),
    )
  }

  stats(): SignalStats {
    const { commits, bytes, segments } = this.walStats
    const { uploads, failures, waiting } = this.uploadStats
    return {
      walCommits: commits,
      walBytes: bytes,
      walSegments: segments,
      uploads,
      uploadFailures: failures,
      uploadsWaiting: waiting,
      compactions: this.compactions,
      replaySeconds: this.replayed.seconds,
    }
  }

  status(): SignalStatus {
    let blocks = 0,
      bytes = 0
    for (const tenant of this.#tenants.values())
      for (const reader of tenant.blocks.readers.values()) {
        blocks++
        bytes += blockBytes(reader.meta)
      }
    return {
      backlogBytes: this.#wal.unshippedBytes + this.#blocks.uploadStats.waitingBytes,
      blocks,
      blockBytes: bytes,
      problem: this.#guard.problem,
    }
  }
}
