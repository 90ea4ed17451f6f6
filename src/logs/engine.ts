/** The logs signal: append in, select out, and what goes on behind. */
import { makeUlid } from '#codec/ulid.ts'
import { Repeater, type Clock } from '#core/clock.ts'
import { LimitError, messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { LogBatch } from '#model/log-batch.ts'
import type { Labels } from '#model/labels.ts'
import { Fence } from '#store/fencing.ts'
import type { BlockSummary, Signal, SignalStats, SignalStatus } from '#store/signal.ts'
import { Wal, type Durability } from '#store/wal.ts'
import { WriterGuard } from '#store/writer-guard.ts'
import type { LogAppendResult } from './append.ts'
import { BatchAppender, type AdmissionLimits } from './batch-appender.ts'
import { ChunkReader } from './block-reader.ts'
import { ChunkLife } from './chunk-life.ts'
import { DeletionRequests, type DeletionRequest } from './deletion.ts'
import { ChunkEraser, type HidingTest } from './eraser.ts'
import type { StreamHead } from './head.ts'
import { dayMs, IndexCatalogue } from './index-catalogue.ts'
import { chunkName } from './merge.ts'
import { LogReplay } from './replay.ts'
import type { ChunkSource, LogsReader, StreamChunks, TailedLine } from './select.ts'
import { LogTenant } from './tenant.ts'
import { recordKind } from './wal-record.ts'

export interface LogsOptions {
  clock: Clock
  random: Random
  files: Files
  log: Log
  bucket: Bucket
  /** Chunk keys end in base64: the bucket is a directory. */
  isBase64: boolean
  directory: string
  defaultTenant: string
  durability: Durability
  syncAlways: boolean
  retentionMs: number
  /** How long after its request a deletion changes the bucket, and what it is of. */
  deletionDelayMs: number
  hides: HidingTest
  admission: AdmissionLimits
  streamsMax: number
  /** Bytes a second, a tenant; Infinity = as many as come. */
  rateBytes: number
  /** Bytes of open and finished chunks before the largest are cut early. */
  headBytesMax: number
  cacheBytes: number
  freeBytesMin: number
  readOnly: boolean
  refreshMs: number
}

const maintenanceEveryMs = 10_000

interface Subscriber {
  tenant: string
  matchers: readonly Matcher[]
  onLine: (line: TailedLine) => void
}

export class LogsEngine implements Signal {
  readonly name = 'logs'
  readonly #options: LogsOptions
  readonly #tenants = new Map<string, LogTenant>()
  readonly #wal: Wal
  readonly #guard: WriterGuard
  readonly #catalogue: IndexCatalogue
  readonly #reader: ChunkReader
  readonly #life: ChunkLife
  readonly #appender: BatchAppender
  readonly #deletions: DeletionRequests
  readonly #eraser: ChunkEraser
  readonly #subscribers = new Set<Subscriber>()
  #background: Repeater[] = []
  linesAppended = 0
  bytesAppended = 0
  linesRefused = 0
  ready = false
  replayed = { records: 0, bytes: 0, seconds: 0 }

  constructor(options: LogsOptions) {
    this.#options = options
    const { clock, files, log, bucket, isBase64, cacheBytes } = options
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
        signal: 'logs',
        directory: options.directory,
        freeBytesMin: options.freeBytesMin,
        readOnly: options.readOnly,
      },
      this.#wal,
      () => this.status().backlogBytes,
    )
    this.#catalogue = new IndexCatalogue(bucket, clock, log)
    this.#reader = new ChunkReader({ bucket, files, isBase64, cacheBytes })
    this.#deletions = new DeletionRequests(bucket, clock, options.random, options.defaultTenant)
    this.#life = new ChunkLife(
      {
        clock,
        files,
        log,
        bucket,
        isBase64,
        directory: options.directory,
        retentionMs: options.retentionMs,
        headBytesMax: options.headBytesMax,
      },
      this.#wal,
      this.#tenants,
      this.#catalogue,
      this.#reader,
      () => this.#guard.mayWrite(),
    )
    this.#eraser = new ChunkEraser(
      { clock, log, isBase64, delayMs: options.deletionDelayMs, hides: options.hides },
      this.#deletions,
      this.#catalogue,
      this.#reader,
      this.#life.writer,
      () => this.#guard.mayWrite(),
    )
    this.#appender = new BatchAppender(options.admission)
  }

  #tenant(name: string): LogTenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) this.#tenants.set(name, (tenant = new LogTenant(name, this.#options.streamsMax)))
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
    await this.#deletions.load()
    if (!readOnly) {
      await this.#life.clearStaging()
      const startedMs = clock.monotonicMs()
      const replay = new LogReplay(
        name => this.#tenant(name),
        () => clock.nowMs(),
      )
      const result = await this.#wal.open(record => replay.read(record))
      this.replayed = {
        records: result.records,
        bytes: result.bytes,
        seconds: (clock.monotonicMs() - startedMs) / 1000,
      }
      this.#life.begin()
    }
    this.ready = true
    this.#background = [
      new Repeater(clock, refreshMs, () =>
        this.refresh().catch((error: unknown) => {
          log.warn('the list of log indexes could not be refreshed', { error: messageOf(error) })
        }),
      ),
    ]
    if (!readOnly)
      this.#background.push(
        new Repeater(clock, maintenanceEveryMs, () =>
          this.maintain().catch((error: unknown) => {
            log.error('maintenance of logs failed', { error: messageOf(error) })
          }),
        ),
      )
  }

  /** Looks into the bucket for indexes that appeared or vanished. */
  refresh(): Promise<void> {
    return this.#catalogue.refresh()
  }

  // ── Append ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async append(tenantName: string, batch: LogBatch): Promise<LogAppendResult> {
    this.#guard.admit(this.ready)
    const tenant = this.#tenant(tenantName)
    this.#admitRate(tenant, batch)
    const appender = this.#appender
    appender.onLine = this.#subscribers.size === 0 ? undefined : this.#tell
    const result = appender.append(tenant, batch, this.#wal.generation, this.#options.clock.nowMs())
    if (!appender.record.isEmpty) {
      const record = appender.record.finish(tenantName)
      this.bytesAppended += record.length
      this.#wal.append(recordKind.lines, record, [String(this.#wal.generation)])
    }
    this.linesAppended += result.lines
    this.linesRefused += result.refused
    await this.#life.relieve()
    await this.#wal.commit()
    return result
  }

  #admitRate(tenant: LogTenant, batch: LogBatch): void {
    const { rateBytes, clock } = this.#options
    if (rateBytes === Infinity) return
    let size = 0
    for (let i = 0; i < batch.count; i++) size += batch.lineTo[i]! - batch.lineFrom[i]!
    const nowMs = clock.monotonicMs()
    // One and a half seconds' worth may come at once.
    const burst = rateBytes * 1.5
    const tokens =
      tenant.rateTokens === undefined
        ? burst
        : Math.min(burst, tenant.rateTokens + ((nowMs - tenant.rateAtMs) / 1000) * rateBytes)
    tenant.rateAtMs = nowMs
    tenant.rateTokens = tokens
    if (size > tokens)
      throw new LimitError(
        `ingestion rate limit exceeded for user ${tenant.name} (limit: ${rateBytes} bytes/sec) while attempting to ingest '${batch.count}' lines totaling '${size}' bytes, reduce log volume or raise limits.log_rate`,
        429,
      )
    tenant.rateTokens = tokens - size
  }

  readonly #tell = (
    tenant: string,
    stream: StreamHead,
    ms: number,
    subNs: number,
    bytes: Uint8Array,
    from: number,
    to: number,
    pairs: readonly string[],
  ): void => {
    for (const subscriber of this.#subscribers) {
      if (subscriber.tenant !== tenant || !subscriber.matchers.every(m => m.matches(stream.labels.get(m.name))))
        continue
      subscriber.onLine({
        labels: stream.labels,
        ms,
        subNs,
        line: Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8'),
        pairs,
      })
    }
  }

  // ── Query ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  reader(tenantName: string): LogsReader {
    const oldest = (fromMs: number): number =>
      this.#options.retentionMs === Infinity
        ? fromMs
        : Math.max(fromMs, this.#options.clock.nowMs() - this.#options.retentionMs)
    return {
      select: (matchers, fromMs, throughMs) => this.#select(tenantName, matchers, oldest(fromMs), throughMs),
      streams: async (matchers, fromMs, throughMs) =>
        (await this.#select(tenantName, matchers, oldest(fromMs), throughMs)).map(s => s.labels),
      subscribe: (matchers, onLine) => {
        const subscriber: Subscriber = { tenant: tenantName, matchers, onLine }
        this.#subscribers.add(subscriber)
        return () => {
          this.#subscribers.delete(subscriber)
        }
      },
      deletions: () =>
        this.#deletions
          .of(tenantName)
          .filter(d => d.status === 'received')
          .map(d => ({ id: d.id, query: d.query, fromMs: d.fromMs, throughMs: d.throughMs })),
    }
  }

  async #select(
    tenantName: string,
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
  ): Promise<StreamChunks[]> {
    const found = new Map<string, { labels: Labels; chunks: ChunkSource[]; names: Set<string> }>()
    const streamOf = (labels: Labels): { labels: Labels; chunks: ChunkSource[]; names: Set<string> } => {
      let stream = found.get(labels.key)
      if (stream === undefined) found.set(labels.key, (stream = { labels, chunks: [], names: new Set() }))
      return stream
    }
    // Memory first, in one go: what is published meanwhile shows in both, and repeated lines are told apart.
    for (const stream of this.#tenants.get(tenantName)?.streams.values() ?? []) {
      if (
        (stream.open === undefined && stream.closed.length === 0) ||
        !matchers.every(m => m.matches(stream.labels.get(m.name)))
      )
        continue
      const sources = [
        ...stream.closed.map(c => ({
          name: chunkName({ ...c.ref, kilobytes: 0, entries: 0 }),
          source: this.#reader.closed(tenantName, c),
        })),
        { name: '', source: this.#reader.open(stream) },
      ]
      for (const { name, source } of sources) {
        if (source === undefined || source.fromMs > throughMs || source.throughMs < fromMs) continue
        const into = streamOf(stream.labels)
        into.names.add(name)
        into.chunks.push(source)
      }
    }
    for (const index of await this.#catalogue.indexes(tenantName, fromMs, throughMs)) {
      for (const { labels, chunks } of index.select(matchers)) {
        let into: { chunks: ChunkSource[]; names: Set<string> } | undefined
        for (const chunk of chunks) {
          if (chunk.fromMs > throughMs || chunk.throughMs < fromMs) continue
          into ??= streamOf(labels)
          const name = chunkName(chunk)
          if (into.names.has(name)) continue
          into.names.add(name)
          into.chunks.push(this.#reader.indexed(tenantName, chunk))
        }
      }
    }
    for (const { chunks } of found.values()) chunks.sort((a, b) => a.fromMs - b.fromMs || a.throughMs - b.throughMs)
    return [...found.values()]
  }

  get streamCount(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.streams.size, 0)
  }
  get headBytes(): number {
    return [...this.#tenants.values()].reduce((sum, t) => sum + t.heldBytes, 0)
  }
  get walStats(): { commits: number; bytes: number; segments: number } {
    return { commits: this.#wal.commits, bytes: this.#wal.bytesWritten, segments: this.#wal.segmentCount }
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

  // ── Deletion ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Hides lines from queries at once; the bucket is rid of them after the delay. */
  requestDeletion(tenant: string, query: string, fromMs: number, throughMs: number): Promise<void> {
    return this.#deletions.add(tenant, query, fromMs, throughMs)
  }
  deletionRequests(tenant: string): readonly DeletionRequest[] {
    return this.#deletions.of(tenant)
  }
  cancelDeletion(tenant: string, id: string): Promise<boolean> {
    return this.#deletions.cancel(tenant, id)
  }
  get keepsForever(): boolean {
    return this.#options.retentionMs === Infinity
  }

  // ── Background work ────────────────────────────────────────────────────────────────────────────────────────────────

  /** One round: watermark, log, cuts, uploads, retention. Rounds never overlap. */
  maintain(): Promise<void> {
    return this.#guard.inMaintenance(async () => {
      await this.#guard.watchDisk()
      await this.#guard.watchFence()
      await this.#wal.tick()
      await this.#life.cutDue()
      await this.#life.publishDue()
      await this.#life.compact()
      await this.#life.retain()
      await this.#eraser.run()
      await this.#life.tidy()
    })
  }

  // ── Signal ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async flush(): Promise<void> {
    if (this.#options.readOnly) return
    await this.#guard.inMaintenance(() => this.#life.flush())
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
    await this.#life.close()
    this.ready = false
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

  stats(): SignalStats {
    const { commits, bytes, segments } = this.walStats
    const { uploads, failures, waiting } = this.chunkStats
    return {
      walCommits: commits,
      walBytes: bytes,
      walSegments: segments,
      uploads,
      uploadFailures: failures,
      uploadsWaiting: waiting,
      compactions: 0,
      replaySeconds: this.replayed.seconds,
    }
  }

  status(): SignalStatus {
    const { waitingBytes } = this.#life
    return {
      backlogBytes: this.#wal.unshippedBytes + waitingBytes,
      blocks: this.#catalogue.count,
      blockBytes: 0,
      problem: this.#guard.problem,
    }
  }
}
