/** The metrics signal as a whole: log, heads, blocks, and the work between them. */
import { isUlid, makeUlid } from '#codec/ulid.ts'
import { Repeater, type Clock } from '#core/clock.ts'
import { BadDataError, CorruptDataError, LimitError, messageOf, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Limits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import type { Metadata, WriteBatch } from '#model/write-batch.ts'
import { listBlocks } from '#store/catalogue.ts'
import { expired, overSize, planCompaction } from '#store/compaction-plan.ts'
import { Fence } from '#store/fencing.ts'
import type { Signal, SignalStatus } from '#store/signal.ts'
import { UploadQueue, type StagedBlock } from '#store/upload-queue.ts'
import { Wal, type Durability, type WalRecord } from '#store/wal.ts'
import type { AppendResult, MetricsAppender } from './append.ts'
import { decodeMeta, encodeMeta, type BlockMeta } from './block-meta.ts'
import { BlockReader, type BlockFiles } from './block-reader.ts'
import { BlockSet } from './block-set.ts'
import { ExemplarStore } from './exemplars.ts'
import { Head, outcome, type Outcome } from './head.ts'
import { KeyTable } from './key-table.ts'
import { mergeBlocks, writeHeadBlock, type WrittenBlock } from './merge.ts'
import type { RangeChunks } from './range-chunks.ts'
import type { MetricsReader } from './select.ts'
import { addInterval, encodeTombstones } from './tombstones.ts'
import { readSamplesRecord, recordKind, SamplesRecordWriter } from './wal-record.ts'

export interface MetricsOptions {
  clock: Clock
  random: Random
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
}

/** A head is cut when its newest sample is this far, in ranges, past the start of the oldest one: as Prometheus does. */
const cutAfterRanges = 1.5
const maintenanceEveryMs = 15_000
const refreshEveryMs = 300_000
const turnMs = 10

class Tenant {
  readonly name: string
  readonly head: Head
  readonly keys = new KeyTable()
  readonly blocks: BlockSet
  readonly exemplars: ExemplarStore
  readonly metadata = new Map<string, Metadata>()
  /** By series: the generation of the log in which it was last defined. */
  definedIn = new Uint32Array(0)

  constructor(name: string, options: MetricsOptions) {
    this.name = name
    this.head = new Head(options.random.u32(), options.limits, options.blockMs, options.outOfOrderMs)
    this.blocks = new BlockSet(options.log, options.clock)
    this.exemplars = new ExemplarStore(options.limits.exemplarsMax)
  }
}

export class MetricsEngine implements Signal, MetricsAppender {
  readonly #options: MetricsOptions
  readonly #tenants = new Map<string, Tenant>()
  readonly #wal: Wal
  readonly #uploads: UploadQueue
  readonly #record = new SamplesRecordWriter()
  #fence: Fence | undefined
  #background: Repeater[] = []
  #maintenance: Promise<void> = Promise.resolve()
  #diskFull: string | undefined
  #turnStartedMs = 0
  samplesAppended = 0
  samplesRefused = 0
  seriesCreated = 0
  compactions = 0
  ready = false
  replayed = { records: 0, bytes: 0, seconds: 0 }

  constructor(options: MetricsOptions) {
    this.#options = options
    const { clock, files, log, bucket } = options
    this.#wal = new Wal({ clock, files, log, bucket, bucketPrefix: `${options.defaultTenant}/tercet/wal/`, directory: `${options.directory}/wal`, durability: options.durability, syncAlways: options.syncAlways })
    this.#uploads = new UploadQueue({ clock, files, log, bucket, mayWrite: () => this.#mayWrite(), onUploaded: block => this.#onUploaded(block) })
  }

  tenants(): string[] { return [...this.#tenants.keys()] }

  #tenant(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) this.#tenants.set(name, tenant = new Tenant(name, this.#options))
    return tenant
  }

  async open(): Promise<void> {
    const { clock, bucket, log, random, readOnly } = this.#options
    if (!readOnly) this.#fence = await Fence.claim(bucket, `${this.#options.defaultTenant}/tercet/epoch/`, `tercet ${makeUlid(clock.nowMs(), random)}`)
    await this.refresh()
    await this.#findStaged()
    if (!readOnly) await this.#replay()
    this.ready = true
    this.#background = [new Repeater(clock, refreshEveryMs, () => this.refresh().catch((error: unknown) => { log.warn('the list of blocks could not be refreshed', { error: messageOf(error) }) }))]
    if (!readOnly) this.#background.push(new Repeater(clock, maintenanceEveryMs, () => this.maintain().catch((error: unknown) => { log.error('maintenance failed', { error: messageOf(error) }) })))
  }

  /** Looks into the bucket for blocks that appeared or vanished. */
  async refresh(): Promise<void> {
    const { bucket, log } = this.#options
    const { found, ids } = await listBlocks(bucket, isUlid, (tenant, id) => this.#tenants.get(tenant)?.blocks.readers.has(id) ?? false)
    for (const { tenant, id, meta } of found) {
      try {
        this.#addBlock(tenant, decodeMeta(meta, id), bucketFiles(bucket, `${tenant}/${id}/`))
      } catch (error) {
        this.#tenant(tenant).blocks.quarantined.set(id, messageOf(error))
        log.error('a block can\'t be used', { tenant, block: id, error: messageOf(error) })
      }
    }
    for (const tenant of this.#tenants.values()) {
      const present = ids.get(tenant.name) ?? new Set()
      for (const id of tenant.blocks.readers.keys()) if (!present.has(id) && !this.#staged.has(id)) tenant.blocks.readers.delete(id)
    }
    this.#hideParents()
  }

  #addBlock(tenant: string, meta: BlockMeta, files: BlockFiles): BlockReader {
    const reader = new BlockReader(meta, files)
    this.#tenant(tenant).blocks.readers.set(meta.ulid, reader)
    return reader
  }

  /** A compaction that died between its two steps left parents beside the child: they are not needed. */
  #hideParents(): void {
    for (const tenant of this.#tenants.values()) {
      for (const reader of Array.from(tenant.blocks.readers.values())) {
        for (const parent of reader.meta.compaction.parents ?? []) if (reader.meta.tercet !== undefined && tenant.blocks.readers.has(parent.ulid)) this.#doomed.add(`${tenant.name}/${parent.ulid}`)
      }
    }
  }
  readonly #doomed = new Set<string>()

  // ── Start ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  readonly #staged = new Map<string, StagedBlock>()

  get #stagingDirectory(): string { return `${this.#options.directory}/staging` }

  /** Blocks that were finished but not uploaded before the last stop; half-written ones go. */
  async #findStaged(): Promise<void> {
    const { files } = this.#options
    for (const tenant of await files.listDirectories(this.#stagingDirectory)) {
      for (const id of await files.listDirectories(`${this.#stagingDirectory}/${tenant}`)) {
        const directory = `${this.#stagingDirectory}/${tenant}/${id}`
        const names = await files.list(directory)
        if (this.#options.readOnly) continue
        if (!names.includes('meta.json')) { await files.removeDirectory(directory); continue }
        const meta = decodeMeta(await files.read(`${directory}/meta.json`), id)
        await this.#stage(tenant, meta, directory)
      }
    }
  }

  async #stage(tenant: string, meta: BlockMeta, directory: string): Promise<BlockReader> {
    const { files } = this.#options
    const chunkFiles = (await files.list(`${directory}/chunks`)).map(name => `chunks/${name}`)
    const names = [...chunkFiles, 'index', ...(await files.list(directory)).filter(name => name === 'tombstones'), 'meta.json']
    let bytes = 0
    for (const name of names) bytes += await files.size(`${directory}/${name}`)
    const block: StagedBlock = { tenant, id: meta.ulid, directory, files: names, bytes }
    this.#staged.set(meta.ulid, block)
    const reader = this.#addBlock(tenant, meta, localFiles(files, directory))
    this.#uploads.add(block)
    return reader
  }

  async #replay(): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs()
    // Block range → record number up to which blocks hold its samples.
    const covered = new Map<string, number>()
    for (const tenant of this.#tenants.values()) {
      for (const reader of tenant.blocks.readers.values()) {
        for (const [start, through] of Object.entries(reader.meta.tercet?.walThrough ?? {})) {
          const scope = `${tenant.name}/${start}`
          covered.set(scope, Math.max(covered.get(scope) ?? -1, through))
        }
      }
    }
    let generation = -1
    const seriesOf = new Map<string, number[]>()
    const result = await this.#wal.open(record => {
      if (record.generation !== generation) { generation = record.generation; seriesOf.clear() }
      return this.#replayRecord(record, covered, seriesOf)
    })
    this.#wal.skipTo(Math.max(-1, ...covered.values()) + 1)
    for (const [scope, through] of covered) if (!this.#isStagedScope(scope)) await this.#wal.release(scope, through)
    this.replayed = { records: result.records, bytes: result.bytes, seconds: (this.#options.clock.monotonicMs() - startedMs) / 1000 }
  }

  /** Is the block that covers the scope still on its way? */
  #isStagedScope(scope: string): boolean {
    const slash = scope.lastIndexOf('/')
    for (const { tenant, id } of this.#staged.values()) {
      if (tenant === scope.slice(0, slash) && this.#tenants.get(tenant)?.blocks.readers.get(id)?.meta.tercet?.walThrough?.[scope.slice(slash + 1)] !== undefined) return true
    }
    return false
  }

  #replayRecord(record: WalRecord, covered: ReadonlyMap<string, number>, seriesOf: Map<string, number[]>): Iterable<string> {
    const scopes = new Set<string>()
    if (record.kind !== recordKind.samples) throw new CorruptDataError(`WAL record of kind ${record.kind} is not known`)
    const { blockMs } = this.#options
    let tenant!: Tenant
    let known: number[] = []
    let lastStart = NaN
    let skip = false
    const isCovered = (timeMs: number): boolean => {
      const start = Math.floor(timeMs / blockMs) * blockMs
      if (start !== lastStart) {
        const scope = `${tenant.name}/${start}`
        scopes.add(scope)
        lastStart = start
        skip = (covered.get(scope) ?? -1) >= record.number
      }
      return skip
    }
    readSamplesRecord(record.payload, {
      tenant: name => {
        tenant = this.#tenant(name)
        known = seriesOf.get(name) ?? []
        seriesOf.set(name, known)
      },
      define: (series, bytes, from, to) => {
        known[series] = tenant.head.table.resolve(bytes, from, to)
        tenant.head.reserve()
      },
      sample: (series, timeMs, hi, lo) => {
        const mine = known[series]
        if (mine === undefined) throw new CorruptDataError(`WAL record ${record.number} uses series ${series} before it is defined`)
        if (!isCovered(timeMs)) tenant.head.replay(mine, timeMs, hi, lo)
      },
      histogram: (series, timeMs, startMs, histogram) => {
        const mine = known[series]
        if (mine === undefined) throw new CorruptDataError(`WAL record ${record.number} uses series ${series} before it is defined`)
        if (!isCovered(timeMs)) tenant.head.appendHistogram(mine, timeMs, startMs, histogram, true)
      },
    })
    return scopes
  }

  // ── Append ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async append(tenantName: string, batch: WriteBatch): Promise<AppendResult> {
    this.#admit()
    const result = this.appendNow(tenantName, batch)
    await this.#wal.commit()
    return result
  }

  #admit(): void {
    if (this.#options.readOnly) throw new UnavailableError('this process serves queries only', 60)
    if (!this.ready) throw new UnavailableError('the process is starting', 2)
    if (this.#diskFull !== undefined) throw new UnavailableError(this.#diskFull, 30)
  }

  /** The synchronous part: into the head and into line for the log. */
  appendNow(tenantName: string, batch: WriteBatch): AppendResult {
    const tenant = this.#tenant(tenantName)
    const { head } = tenant
    const { table } = head
    const record = this.#record
    record.clear()
    const result: AppendResult = { samples: 0, histograms: 0, exemplars: 0, refused: 0, reason: undefined }
    const before = table.count
    const refs = new Int32Array(batch.seriesCount)
    const problems: (Error | undefined)[] = []
    const { hashes } = batch
    let limit: LimitError | undefined
    for (let i = 0; i < batch.seriesCount; i++) {
      if (hashes !== undefined) {
        const known = tenant.keys.find(hashes, i)
        if (known >= 0) { refs[i] = known; continue }
      }
      try {
        refs[i] = table.resolve(batch.bytes, batch.keyFrom[i]!, batch.keyTo[i]!)
        if (hashes !== undefined) tenant.keys.add(hashes, i, refs[i]!)
      } catch (error) {
        if (error instanceof LimitError) limit = error
        else if (!(error instanceof BadDataError)) throw error
        refs[i] = -1
        problems[i] = error
      }
    }
    this.seriesCreated += table.count - before
    head.reserve()
    this.#reserveDefined(tenant)
    const { generation } = this.#wal
    const scopes = new Set<string>()
    let lastStart = NaN
    const touch = (timeMs: number): void => {
      const start = Math.floor(timeMs / this.#options.blockMs) * this.#options.blockMs
      if (start !== lastStart) { scopes.add(`${tenant.name}/${start}`); lastStart = start }
    }
    const define = (ref: number, i: number): void => {
      if (tenant.definedIn[ref] === generation) return
      tenant.definedIn[ref] = generation
      record.define(ref, batch.bytes.subarray(batch.keyFrom[i], batch.keyTo[i]))
    }
    const futureMs = this.#options.clock.nowMs() + this.#options.limits.futureMs
    const { sampleSeries, timesMs, words } = batch
    for (let k = 0; k < batch.sampleCount; k++) {
      const i = sampleSeries[k]!
      const ref = refs[i]!
      if (ref < 0) { this.#refuse(result, 1, problems[i]!.message); continue }
      const timeMs = timesMs[k]!
      const hi = words[2 * k + 1]!, lo = words[2 * k]!
      const what: Outcome = timeMs > futureMs ? outcome.inFuture : head.append(ref, timeMs, hi, lo)
      if (what === outcome.stored) {
        define(ref, i)
        touch(timeMs)
        record.add(ref, timeMs, hi, lo)
        result.samples++
      } else if (what === outcome.repeated) result.samples++
      else this.#refuse(result, 1, describeOutcome(what, head, ref, timeMs, this.#options))
    }
    for (const { series, timeMs, startMs, histogram } of batch.histograms) {
      const ref = refs[series]!
      if (ref < 0) { this.#refuse(result, 1, problems[series]!.message); continue }
      const what: Outcome = timeMs > futureMs ? outcome.inFuture : head.appendHistogram(ref, timeMs, startMs, histogram, false)
      if (what === outcome.stored) {
        define(ref, series)
        touch(timeMs)
        record.addHistogram(ref, timeMs, startMs, histogram)
        result.histograms++
      } else if (what === outcome.repeated) result.histograms++
      else this.#refuse(result, 1, describeOutcome(what, head, ref, timeMs, this.#options))
    }
    for (const exemplar of batch.exemplars) {
      const ref = refs[exemplar.series]!
      if (ref >= 0 && tenant.exemplars.add(ref, exemplar)) result.exemplars++
    }
    for (const metadata of batch.metadata) if (tenant.metadata.size < this.#options.limits.exemplarsMax) tenant.metadata.set(metadata.metric, metadata)
    if (!record.isEmpty) this.#wal.append(recordKind.samples, record.finish(tenant.name), scopes)
    this.samplesAppended += result.samples + result.histograms
    this.samplesRefused += result.refused
    if (limit !== undefined && result.samples + result.histograms === 0) throw limit
    return result
  }

  #refuse(result: AppendResult, count: number, reason: string): void {
    result.refused += count
    result.reason ??= reason
  }

  #reserveDefined(tenant: Tenant): void {
    const { count } = tenant.head.table
    if (count <= tenant.definedIn.length) return
    const grown = new Uint32Array(Math.max(count, Math.ceil(tenant.definedIn.length * 1.5), 1024))
    grown.set(tenant.definedIn)
    tenant.definedIn = grown
  }

  // ── Query ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  reader(tenantName: string): MetricsReader {
    const tenant = this.#tenants.get(tenantName)
    if (tenant === undefined) return new BlockSet(this.#options.log, this.#options.clock).reader(undefined)
    const inner = tenant.blocks.reader(tenant.head)
    const { retentionMs, clock } = this.#options
    // What is past its retention is gone for queries, also while its block is still there.
    const oldest = (fromMs: number): number => (retentionMs === Infinity ? fromMs : Math.max(fromMs, clock.nowMs() - retentionMs))
    return {
      select: (matchers, fromMs, toMs) => inner.select(matchers, oldest(fromMs), toMs),
      series: (matchers, fromMs, toMs) => inner.series(matchers, oldest(fromMs), toMs),
      labelNames: (matchers, fromMs, toMs) => inner.labelNames(matchers, oldest(fromMs), toMs),
      labelValues: (name, matchers, fromMs, toMs) => inner.labelValues(name, matchers, oldest(fromMs), toMs),
    }
  }

  metadata(tenantName: string): ReadonlyMap<string, Metadata> { return this.#tenants.get(tenantName)?.metadata ?? new Map() }

  exemplars(tenantName: string, matchers: readonly (readonly Matcher[])[], fromMs: number, toMs: number): { labels: Labels; exemplars: { labels: Labels; value: number; timeMs: number }[] }[] {
    const tenant = this.#tenants.get(tenantName)
    if (tenant === undefined) return []
    return tenant.exemplars.select(fromMs, toMs).map(({ series, exemplars }) => ({ labels: tenant.head.table.labels(series), exemplars }))
      .filter(({ labels }) => matchers.some(set => set.every(m => m.matches(labels.get(m.name)))))
  }

  /** For /api/v1/status/tsdb. */
  headStats(tenantName: string): { series: number; chunks: number; labelPairs: number; minMs: number; maxMs: number; byMetric: Map<string, number> } {
    const head = this.#tenants.get(tenantName)?.head
    if (head === undefined) return { series: 0, chunks: 0, labelPairs: 0, minMs: 0, maxMs: 0, byMetric: new Map() }
    return { series: head.table.count, chunks: head.chunkCount, labelPairs: head.table.postings.pairCount, minMs: head.minMs, maxMs: head.maxMs, byMetric: head.table.seriesByMetric() }
  }

  get seriesCount(): number { return [...this.#tenants.values()].reduce((sum, t) => sum + t.head.table.count, 0) }
  get walStats(): { commits: number; bytes: number; segments: number } { return { commits: this.#wal.commits, bytes: this.#wal.bytesWritten, segments: this.#wal.segmentCount } }
  get quarantined(): number { return [...this.#tenants.values()].reduce((sum, t) => sum + t.blocks.quarantined.size, 0) }
  get uploadStats(): { uploads: number; failures: number; waiting: number } { return { uploads: this.#uploads.uploads, failures: this.#uploads.failures, waiting: this.#uploads.waitingBlocks } }

  // ── Background work ────────────────────────────────────────────────────────────────────────────────────────────────

  /** One round: watermark, log, cuts, compaction, retention. Rounds never overlap. */
  maintain(): Promise<void> {
    this.#maintenance = this.#maintenance.catch(() => {}).then(async () => {
      await this.#watchDisk()
      await this.#watchFence()
      await this.#wal.tick()
      await this.#cutDue()
      await this.#removeDoomed()
      await this.#compact()
      await this.#retain()
      this.#forgetIndexes()
    })
    return this.#maintenance
  }

  async #watchDisk(): Promise<void> {
    const free = await this.#options.files.freeBytes(this.#options.directory)
    if (free >= this.#options.freeBytesMin) { this.#diskFull = undefined; return }
    const backlog = this.status().backlogBytes
    this.#diskFull = `the disk of ${this.#options.directory} has ${free} bytes free, ${this.#options.freeBytesMin} are kept free; ${backlog} bytes wait for the bucket`
    this.#options.log.error('nothing is accepted: the disk is full', { free, wanted: this.#options.freeBytesMin })
  }

  async #mayWrite(): Promise<boolean> {
    await this.#watchFence()
    return this.#wal.fenced === undefined
  }

  async #watchFence(): Promise<void> {
    try {
      const newer = await this.#fence?.replacedBy()
      if (newer !== undefined && this.#wal.fenced === undefined) {
        this.#wal.fence(`another writer (epoch ${newer}) took over the bucket`)
        this.#options.log.error('another writer took over the bucket, nothing is written any more', { epoch: newer })
      }
    } catch (error) {
      this.#options.log.warn('the bucket could not be asked for its writer', { error: messageOf(error) })
    }
  }

  /** Lets requests in when this work has held the thread for long. */
  readonly #pause = async (): Promise<void> => {
    const { clock } = this.#options
    if (clock.monotonicMs() - this.#turnStartedMs < turnMs) return
    await clock.breathe()
    this.#turnStartedMs = clock.monotonicMs()
  }

  async #cutDue(): Promise<void> {
    await this.#writeUnwritten()
    const { blockMs } = this.#options
    for (const tenant of this.#tenants.values()) {
      for (const startMs of tenant.head.rangeStarts()) {
        if (tenant.head.maxMs - startMs >= blockMs * cutAfterRanges) await this.#cut(tenant, startMs)
      }
    }
  }

  async #cut(tenant: Tenant, startMs: number): Promise<void> {
    // What could not be written before goes first: a later block of the same range would claim to cover it.
    await this.#writeUnwritten()
    this.#unwritten.push({ tenant, range: tenant.head.cut(startMs), through: this.#wal.lastRecord })
    this.#wal.beginGeneration()
    await this.#writeUnwritten()
  }

  /** Ranges that have left the head and are not in a block yet: read from memory until they are. */
  readonly #unwritten: { tenant: Tenant; range: RangeChunks; through: number }[] = []

  async #writeUnwritten(): Promise<void> {
    for (let next = this.#unwritten[0]; next !== undefined; next = this.#unwritten[0]) {
      await this.#writeCut(next.tenant, next.range, next.through)
      this.#unwritten.shift()
    }
  }

  /** Names of blocks sort as they were made, also within one millisecond: after a restart they are uploaded in that order. */
  #nextUlid(): string {
    this.#lastUlidMs = Math.max(this.#options.clock.nowMs(), this.#lastUlidMs + 1)
    return makeUlid(this.#lastUlidMs, this.#options.random)
  }
  #lastUlidMs = 0

  async #writeCut(tenant: Tenant, range: RangeChunks, through: number): Promise<void> {
    const { files } = this.#options
    await this.#wal.commit().catch(() => {})
    const ulid = this.#nextUlid()
    const directory = `${this.#stagingDirectory}/${tenant.name}/${ulid}`
    const written = await writeHeadBlock(files, directory, tenant.head, range, this.#pause)
    if (written === undefined) {
      await files.removeDirectory(directory)
      tenant.head.drop(range)
      await this.#wal.release(`${tenant.name}/${range.startMs}`, through)
      return
    }
    const meta = makeMeta(ulid, written, { level: 1, sources: [ulid] }, { [String(range.startMs)]: through })
    await files.writeAtomic(`${directory}/meta.json`, encodeMeta(meta))
    await this.#stage(tenant.name, meta, directory)
    tenant.head.drop(range)
  }

  async #onUploaded(block: StagedBlock): Promise<void> {
    const { bucket, files } = this.#options
    const tenant = this.#tenants.get(block.tenant)
    const staged = tenant?.blocks.readers.get(block.id)
    // The same reader: queries under way hold it.
    staged?.relocate(bucketFiles(bucket, `${block.tenant}/${block.id}/`))
    this.#staged.delete(block.id)
    for (const [start, through] of Object.entries(staged?.meta.tercet?.walThrough ?? {})) await this.#wal.release(`${block.tenant}/${start}`, through)
    await files.removeDirectory(block.directory)
  }

  async #compact(): Promise<void> {
    const { blockMs } = this.#options
    const rangesMs = [blockMs, blockMs * 6, blockMs * 12]
    for (const tenant of this.#tenants.values()) {
      for (;;) {
        const candidates = [...tenant.blocks.readers.values()].filter(r => !this.#staged.has(r.meta.ulid) && !tenant.blocks.quarantined.has(r.meta.ulid))
        const plan = planCompaction(candidates.map(r => ({ id: r.meta.ulid, minMs: r.meta.minTime, maxMs: r.meta.maxTime, level: r.meta.compaction.level })), rangesMs, tenant.head.maxMs - blockMs / 2)
        if (plan === undefined || !(await this.#mayWrite())) break
        const done = await this.#mergeInto(tenant, plan.map(p => tenant.blocks.readers.get(p.id)!))
        if (!done) break
      }
    }
  }

  /** Writes one block in place of several. False when one of them turned out to be damaged. */
  async #mergeInto(tenant: Tenant, readers: readonly BlockReader[]): Promise<boolean> {
    const { files, log } = this.#options
    const ulid = this.#nextUlid()
    const directory = `${this.#stagingDirectory}/${tenant.name}/${ulid}`
    let written: WrittenBlock | undefined
    try {
      written = await mergeBlocks(files, directory, readers, this.#pause)
    } catch (error) {
      await files.removeDirectory(directory)
      if (!(error instanceof CorruptDataError)) throw error
      for (const reader of readers) await reader.check().catch((cause: unknown) => { tenant.blocks.quarantined.set(reader.meta.ulid, messageOf(cause)) })
      if (!readers.some(r => tenant.blocks.quarantined.has(r.meta.ulid))) for (const reader of readers) tenant.blocks.quarantined.set(reader.meta.ulid, messageOf(error))
      log.error('blocks could not be merged', { tenant: tenant.name, blocks: readers.map(r => r.meta.ulid).join(' '), error: messageOf(error) })
      return false
    }
    if (written !== undefined) {
      const walThrough: Record<string, number> = {}
      for (const reader of readers) for (const [start, through] of Object.entries(reader.meta.tercet?.walThrough ?? {})) walThrough[start] = Math.max(walThrough[start] ?? -1, through)
      const meta = makeMeta(ulid, written, {
        level: Math.max(...readers.map(r => r.meta.compaction.level)) + 1,
        sources: [...new Set(readers.flatMap(r => (r.meta.compaction.sources.length > 0 ? r.meta.compaction.sources : [r.meta.ulid])))].sort(),
        parents: readers.map(r => ({ ulid: r.meta.ulid, minTime: r.meta.minTime, maxTime: r.meta.maxTime })),
      }, walThrough)
      meta.minTime = Math.min(...readers.map(r => r.meta.minTime))
      meta.maxTime = Math.max(...readers.map(r => r.meta.maxTime))
      await files.writeAtomic(`${directory}/meta.json`, encodeMeta(meta))
      await this.#stage(tenant.name, meta, directory)
      await this.#uploads.drained()
      if (this.#staged.has(ulid)) return false
    } else await files.removeDirectory(directory)
    this.compactions++
    for (const reader of readers) await this.#removeBlock(tenant, reader)
    return true
  }

  /** Takes a block out of queries, then out of the bucket, meta.json first. */
  async #removeBlock(tenant: Tenant, reader: BlockReader): Promise<void> {
    tenant.blocks.readers.delete(reader.meta.ulid)
    await this.#deleteObjects(tenant.name, reader.meta.ulid)
  }

  async #deleteObjects(tenant: string, id: string): Promise<void> {
    const { bucket } = this.#options
    const prefix = `${tenant}/${id}/`
    await bucket.delete(`${prefix}meta.json`)
    for (const object of await bucket.list(prefix)) await bucket.delete(object.key)
  }

  async #removeDoomed(): Promise<void> {
    for (const key of this.#doomed) {
      const [tenantName, id] = key.split('/') as [string, string]
      const reader = this.#tenants.get(tenantName)?.blocks.readers.get(id)
      if (reader !== undefined && (await this.#mayWrite())) await this.#removeBlock(this.#tenants.get(tenantName)!, reader)
      this.#doomed.delete(key)
    }
  }

  async #retain(): Promise<void> {
    const { clock, retentionMs, retentionBytesMax } = this.#options
    for (const tenant of this.#tenants.values()) {
      const readers = [...tenant.blocks.readers.values()].filter(r => !this.#staged.has(r.meta.ulid))
      const planned = readers.map(r => ({ id: r.meta.ulid, minMs: r.meta.minTime, maxMs: r.meta.maxTime, level: r.meta.compaction.level, bytes: blockBytes(r.meta) }))
      const gone = new Set([...(retentionMs === Infinity ? [] : expired(planned, clock.nowMs() - retentionMs)), ...(retentionBytesMax === Infinity ? [] : overSize(planned, retentionBytesMax))].map(p => p.id))
      for (const reader of readers) if (gone.has(reader.meta.ulid) && (await this.#mayWrite())) await this.#removeBlock(tenant, reader)
    }
  }

  /** Indexes that nobody used for a while need not stay in memory. */
  #forgetIndexes(): void {
    for (const tenant of this.#tenants.values()) if (tenant.blocks.readers.size > 64) for (const reader of tenant.blocks.readers.values()) reader.forget()
  }

  // ── Deletion ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Deletes samples of the matching series inside [minMs, maxMs], from memory and blocks alike. */
  async deleteSeries(tenantName: string, matchers: readonly Matcher[], minMs: number, maxMs: number): Promise<void> {
    this.#admit()
    const tenant = this.#tenants.get(tenantName)
    if (tenant === undefined) return
    // A deletion from the head would have to survive a restart and later samples: the head is cut first, then all is blocks.
    await this.#inMaintenance(async () => {
      for (const startMs of tenant.head.rangeStarts()) if (startMs <= maxMs && startMs + this.#options.blockMs > minMs) await this.#cut(tenant, startMs)
      for (const reader of tenant.blocks.inTime(minMs, maxMs)) await this.#deleteFromBlock(tenant, reader, matchers, minMs, maxMs)
    })
  }

  async #inMaintenance(work: () => Promise<void>): Promise<void> {
    const run = this.#maintenance.catch(() => {}).then(work)
    this.#maintenance = run
    await run
  }

  async #deleteFromBlock(tenant: Tenant, reader: BlockReader, matchers: readonly Matcher[], minMs: number, maxMs: number): Promise<void> {
    const series = await reader.select(matchers, minMs, maxMs)
    if (series.length === 0) return
    const intervals = new Map(await reader.tombstones())
    for (const { ref } of series) intervals.set(ref, addInterval(intervals.get(ref) ?? [], { minMs: Math.max(minMs, reader.meta.minTime), maxMs: Math.min(maxMs, reader.meta.maxTime) }))
    const bytes = encodeTombstones(intervals)
    const staged = this.#staged.get(reader.meta.ulid)
    if (staged !== undefined) {
      await this.#options.files.writeAtomic(`${staged.directory}/tombstones`, bytes)
      if (!staged.files.includes('tombstones')) staged.files.splice(staged.files.length - 1, 0, 'tombstones')
      // The upload may have passed this file already: the bucket's copy is written too.
      await this.#uploads.drained()
    }
    await this.#options.bucket.put(`${tenant.name}/${reader.meta.ulid}/tombstones`, bytes)
    tenant.blocks.readers.get(reader.meta.ulid)?.forgetTombstones()
  }

  /** Rewrites blocks that have deleted samples, so that these are really gone. */
  async cleanTombstones(): Promise<void> {
    await this.#inMaintenance(async () => {
      for (const tenant of this.#tenants.values()) {
        for (const reader of Array.from(tenant.blocks.readers.values())) {
          if (!this.#staged.has(reader.meta.ulid) && (await reader.tombstones()).size > 0) await this.#mergeInto(tenant, [reader])
        }
      }
    })
  }

  // ── Signal ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async flush(): Promise<void> {
    if (this.#options.readOnly) return
    await this.#inMaintenance(async () => {
      for (const tenant of this.#tenants.values()) for (const startMs of tenant.head.rangeStarts()) await this.#cut(tenant, startMs)
    })
    await this.#uploads.drained()
  }

  async close(): Promise<void> {
    for (const repeater of this.#background) await repeater.stop()
    await this.#maintenance.catch(() => {})
    if (this.#options.readOnly) return
    await this.#wal.close()
    await this.#uploads.close()
    this.ready = false
  }

  status(): SignalStatus {
    let blocks = 0, bytes = 0
    for (const tenant of this.#tenants.values()) for (const reader of tenant.blocks.readers.values()) { blocks++; bytes += blockBytes(reader.meta) }
    return { backlogBytes: this.#wal.unshippedBytes + this.#uploads.waitingBytes, blocks, blockBytes: bytes, problem: this.#wal.fenced ?? this.#diskFull }
  }
}

function describeOutcome(what: Outcome, head: Head, series: number, timeMs: number, options: MetricsOptions): string {
  const shown = `${head.table.labels(series)} at ${timeMs}`
  switch (what) {
    case outcome.duplicate: return `duplicate sample for timestamp: ${shown} has another value already`
    case outcome.outOfOrder: return `out of order sample: ${shown} is older than the series' newest, and metrics.out_of_order_window is 0`
    case outcome.tooOld: return `too old sample: ${shown} is more than ${Math.max(options.outOfOrderMs, options.blockMs / 2) / 1000} s older than the newest sample (${head.maxMs})`
    case outcome.inFuture: return `out of bounds: ${shown} lies more than ${options.limits.futureMs / 1000} s in the future`
    case outcome.stored: case outcome.repeated: return ''
  }
}

function makeMeta(ulid: string, written: WrittenBlock, compaction: BlockMeta['compaction'], walThrough: Record<string, number>): BlockMeta {
  return {
    ulid, minTime: written.minMs, maxTime: written.maxMs,
    stats: { numSamples: written.samples, numFloatSamples: written.samples - written.histogramSamples, numHistogramSamples: written.histogramSamples, numSeries: written.series, numChunks: written.chunks },
    compaction, version: 1,
    thanos: {
      version: 1, labels: {}, downsample: { resolution: 0 }, source: compaction.level === 1 ? 'receive' : 'compactor',
      segment_files: written.segmentFiles.map(f => f.name),
      files: [...written.segmentFiles.map(f => ({ rel_path: `chunks/${f.name}`, size_bytes: f.bytes })), { rel_path: 'index', size_bytes: written.indexBytes }, { rel_path: 'meta.json' }],
    },
    tercet: { walThrough },
  }
}

function blockBytes(meta: BlockMeta): number {
  return meta.thanos?.files.reduce((sum, file) => sum + (file.size_bytes ?? 0), 0) ?? 0
}

function bucketFiles(bucket: Bucket, prefix: string): BlockFiles {
  return { read: name => bucket.get(prefix + name), readRange: (name, offset, length) => bucket.getRange(prefix + name, offset, length) }
}

function localFiles(files: Files, directory: string): BlockFiles {
  return { read: name => files.read(`${directory}/${name}`), readRange: (name, offset, length) => files.readRange(`${directory}/${name}`, offset, length) }
}
