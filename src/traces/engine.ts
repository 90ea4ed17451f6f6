/** The traces signal: takes spans in, keeps them in the bucket as Tempo's blocks, and hands them out. */
import { Repeater, type Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { makeUlid } from '#codec/ulid.ts'
import { combineTraces, type Span, type Trace } from '#model/trace.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { Fence } from '#store/fencing.ts'
import type { BlockSummary, Signal, SignalStats, SignalStatus } from '#store/signal.ts'
import { Wal, type Durability } from '#store/wal.ts'
import { WriterGuard } from '#store/writer-guard.ts'
import { SpanAdmission, type TraceLimits } from './admission.ts'
import type { TraceAppendResult, TracesAppender } from './append.ts'
import { BlockLife } from './block-life.ts'
import { BlockList } from './block-list.ts'
import { BlockReader } from './block-reader.ts'
import { TraceHead, type Segment, type SpanDecoder } from './head.ts'
import type { RowSource } from './merge.ts'
import type { BlockMeta } from './meta.ts'
import { TraceReplay } from './replay.ts'
import { plainPath, type BlockLayout } from './schema.ts'
import type { TraceRows, TracesReader } from './select.ts'
import { encodeSpans, recordKind } from './wal-record.ts'

export interface TracesOptions {
  clock: Clock
  random: Random
  files: Files
  log: Log
  bucket: Bucket
  directory: string
  defaultTenant: string
  durability: Durability
  syncAlways: boolean
  retentionMs: number
  limits: TraceLimits
  layout: BlockLayout
  /** Bytes of live and settled traces before a block is cut early. */
  headBytesMax: number
  /** Bytes of blocks that are merged into one. */
  compactBytesMax: number
  cacheBytes: number
  freeBytesMin: number
  readOnly: boolean
  refreshMs: number
  /** OTLP messages, as the log keeps them. */
  decode: (message: Uint8Array, isOutline?: boolean) => Trace
  decodeSpan: SpanDecoder
  encode: (trace: Trace) => Uint8Array
}

const maintenanceEveryMs = 5000

export class TracesEngine implements Signal, TracesAppender {
  readonly name = 'traces'
  readonly #options: TracesOptions
  readonly #heads = new Map<string, TraceHead>()
  readonly #wal: Wal
  readonly #guard: WriterGuard
  readonly #list: BlockList
  readonly #reader: BlockReader
  readonly #life: BlockLife
  #background: Repeater[] = []
  spansAppended = 0
  spansRefused = 0
  bytesAppended = 0
  ready = false
  replayed = { records: 0, bytes: 0, seconds: 0 }

  constructor(options: TracesOptions) {
    this.#options = options
    const { clock, random, files, log, bucket, layout, retentionMs, headBytesMax, compactBytesMax, encode } = options
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
        signal: 'traces',
        directory: options.directory,
        freeBytesMin: options.freeBytesMin,
        readOnly: options.readOnly,
      },
      this.#wal,
      () => this.status().backlogBytes,
    )
    this.#list = new BlockList(bucket, log, clock)
    this.#reader = new BlockReader(bucket, options.cacheBytes)
    this.#life = new BlockLife(
      { clock, random, log, bucket, layout, retentionMs, headBytesMax, compactBytesMax, encode },
      this.#wal,
      this.#heads,
      this.#list,
      this.#reader,
      () => this.#guard.mayWrite(),
    )
  }

  #head(tenant: string): TraceHead {
    let head = this.#heads.get(tenant)
    if (head === undefined)
      this.#heads.set(tenant, (head = new TraceHead(tenant, this.#options.layout, this.#options.decodeSpan)))
    return head
  }

  async open(): Promise<void> {
    const { clock, bucket, log, random, readOnly, refreshMs, layout, decode, decodeSpan } = this.#options
    if (!readOnly)
      this.#guard.holdFence(
        await Fence.claim(
          bucket,
          `${this.#options.defaultTenant}/tercet/epoch/`,
          `tercet ${makeUlid(clock.nowMs(), random)}`,
        ),
      )
    await this.#list.refresh()
    if (!readOnly) {
      const startedMs = clock.monotonicMs()
      const replay = new TraceReplay({
        decode,
        decodeSpan,
        layout,
        nowMs: () => clock.nowMs(),
        hasBlock: (tenant, blockId) => this.#list.has(tenant, blockId),
        newLot: () => Uint8Array.from({ length: 16 }, () => random.u32() & 255),
      })
      const result = await this.#wal.open(record => replay.read(record))
      const { waiting, generations } = await replay.finish(() => clock.breathe())
      this.replayed = {
        records: result.records,
        bytes: result.bytes,
        seconds: (clock.monotonicMs() - startedMs) / 1000,
      }
      this.#life.begin(waiting, generations)
    }
    this.ready = true
    this.#background = [
      new Repeater(clock, refreshMs, () =>
        this.refresh().catch((error: unknown) => {
          log.warn('the list of blocks of traces could not be refreshed', { error: messageOf(error) })
        }),
      ),
    ]
    if (!readOnly)
      this.#background.push(
        new Repeater(clock, maintenanceEveryMs, () =>
          this.maintain().catch((error: unknown) => {
            log.error('maintenance of traces failed', { error: messageOf(error) })
          }),
        ),
      )
  }

  /** Looks into the bucket for blocks that appeared or vanished. */
  refresh(): Promise<void> {
    return this.#list.refresh()
  }

  // ── Append ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What is held may be half as much again as the head: then blocks have to be cut first. */
  #refuseWhenFull(): void {
    let held = this.#life.waitingBytes
    for (const head of this.#heads.values()) held += head.heldBytes
    if (held > 1.5 * this.#options.headBytesMax)
      throw new UnavailableError(
        `${held} bytes of traces wait to become blocks, the limit is ${1.5 * this.#options.headBytesMax}`,
        5,
      )
  }

  async append(tenant: string, trace: Trace, message: Uint8Array): Promise<TraceAppendResult> {
    this.#guard.admit(this.ready)
    this.#refuseWhenFull()
    const result: TraceAppendResult = { spans: 0, refused: 0, problems: [] }
    const nowMs = this.#options.clock.nowMs()
    const admission = new SpanAdmission(this.#options.limits, nowMs, result, this.#options.decodeSpan)
    const head = this.#head(tenant)
    const refused = new Set<Span>()
    const added = head.append(trace, message, nowMs, (span, live) => {
      const isAdmitted = admission.admit(span, live, head.live.size, message)
      if (!isAdmitted) refused.add(span)
      return isAdmitted
    })
    this.spansRefused += result.refused
    if (added === 0) return result
    // What was refused must not come back with a replay.
    const kept =
      result.refused === 0 ? message : this.#options.encode(without(trace, this.#options.decode(message), refused))
    this.#life.log(recordKind.spans, encodeSpans(tenant, kept))
    this.spansAppended += added
    this.bytesAppended += message.length
    await this.#wal.commit()
    return result
  }

  // ── Query ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  reader(tenant: string): TracesReader {
    const oldest = (fromMs: number): number =>
      this.#options.retentionMs === Infinity
        ? fromMs
        : Math.max(fromMs, this.#options.clock.nowMs() - this.#options.retentionMs)
    return {
      select: (fromMs, throughMs) => this.#select(tenant, oldest(fromMs), throughMs),
      find: (id, fromMs, throughMs) => this.#find(tenant, id, oldest(fromMs), throughMs),
    }
  }

  /** Settled traces, those that wait for the bucket first. */
  #segments(tenant: string): Segment[] {
    return [
      ...this.#life.waiting.filter(w => w.tenant === tenant).flatMap(w => w.segments),
      ...(this.#heads.get(tenant)?.segments ?? []),
    ]
  }

  /** What is in memory, as it is now. */
  #memory(tenant: string): RowSource[] {
    const head = this.#heads.get(tenant)
    const live = head?.liveSource()
    return [...this.#segments(tenant).map(s => s.source()), ...(live === undefined ? [] : [live])]
  }

  #blocks(tenant: string, fromMs: number, throughMs: number): BlockMeta[] {
    return this.#list
      .of(tenant)
      .filter(b => b.startMs <= throughMs && b.endMs >= fromMs)
      .sort((a, b) => b.endMs - a.endMs)
  }

  async #select(tenant: string, fromMs: number, throughMs: number): Promise<TraceRows[]> {
    // Rows for what has none, a little at a time; then both in one go: what is published meanwhile shows once.
    for (const segment of this.#segments(tenant)) await segment.layOut(this.#life.pause)
    const blocks = this.#blocks(tenant, fromMs, throughMs)
    const { dedicated } = this.#options.layout
    const rows = this.#memory(tenant)
      .reverse()
      .map(({ rows: count, columns }): TraceRows => {
        const byPath = new Map(columns.map(c => [plainPath(c.column.path), c]))
        return {
          rows: count,
          isInMemory: true,
          dedicated,
          bytes: columns.reduce((sum, c) => sum + c.count * 2, 0),
          columns: paths =>
            Promise.resolve(
              new Map(
                paths.flatMap((p): [string, ColumnData][] => {
                  const data = byPath.get(p)
                  return data === undefined ? [] : [[p, data]]
                }),
              ),
            ),
        }
      })
    for (const block of blocks) rows.push(...((await this.#guarded(block, () => this.#reader.rows(block))) ?? []))
    return rows
  }

  async #find(tenant: string, id: Uint8Array, fromMs: number, throughMs: number): Promise<Trace | undefined> {
    const head = this.#heads.get(tenant)
    const parts: Trace[] = []
    for (const { tenant: own, segments } of this.#life.waiting)
      if (own === tenant) for (const segment of segments) parts.push(...segment.find(id))
    parts.push(...(head?.find(id) ?? []))
    const blocks = this.#blocks(tenant, fromMs, throughMs)
    let next = 0
    const work = async (): Promise<void> => {
      for (let i = next++; i < blocks.length; i = next++) {
        const block = blocks[i]!
        const found = await this.#guarded(block, () => this.#reader.find(block, id))
        if (found !== undefined) parts.push(found)
      }
    }
    await Promise.all(Array.from({ length: Math.min(16, blocks.length) }, work))
    return parts.length === 0 ? undefined : combineTraces(parts)
  }

  /** A block that is damaged is left out from now on; one that another compactor took away is looked for no more. */
  async #guarded<T>(block: BlockMeta, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (error instanceof NotFoundError) {
        await this.refresh()
        return undefined
      }
      if (!(error instanceof CorruptDataError)) throw error
      this.#list.quarantine(block, messageOf(error))
      return undefined
    }
  }

  get liveTraces(): number {
    let sum = 0
    for (const head of this.#heads.values()) sum += head.live.size
    return sum
  }
  get headBytes(): number {
    let sum = 0
    for (const head of this.#heads.values()) sum += head.heldBytes
    return sum
  }
  get walStats(): { commits: number; bytes: number; segments: number } {
    return { commits: this.#wal.commits, bytes: this.#wal.bytesWritten, segments: this.#wal.segmentCount }
  }
  get blockStats(): {
    uploads: number
    bytes: number
    compactions: number
    failures: number
    reads: number
    readBytes: number
    waiting: number
  } {
    const { uploads, uploadedBytes, compactions, failures, waiting } = this.#life
    return {
      uploads,
      bytes: uploadedBytes,
      compactions,
      failures,
      reads: this.#reader.reads,
      readBytes: this.#reader.readBytes,
      waiting: waiting.length,
    }
  }
  get cacheStats(): { bytes: number; hits: number; misses: number } {
    return this.#reader.cacheStats
  }

  // ── Background work ────────────────────────────────────────────────────────────────────────────────────────────────

  /** One round. Rounds never overlap. */
  maintain(): Promise<void> {
    return this.#guard.inMaintenance(async () => {
      await this.#guard.watchDisk()
      await this.#guard.watchFence()
      await this.#wal.tick()
      await this.#life.settle()
      await this.#life.cutDue()
      await this.#life.compact()
      await this.#life.retain()
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
    if (!this.#options.readOnly) await this.#wal.close()
    this.ready = false
  }

  /** Blocks that are served. */
  blockList(): BlockSummary[] {
    return this.#list.all().map((meta): BlockSummary => ({
      tenant: meta.tenant,
      id: meta.blockId,
      startMs: meta.startMs,
      endMs: meta.endMs,
      bytes: meta.size,
      level: meta.level,
      count: meta.traces,
      unit: 'traces',
    }))
  }

  stats(): SignalStats {
    const { commits, bytes, segments } = this.walStats
    const { uploads, failures, waiting } = this.blockStats
    return {
      walCommits: commits,
      walBytes: bytes,
      walSegments: segments,
      uploads,
      uploadFailures: failures,
      uploadsWaiting: waiting,
      compactions: this.blockStats.compactions,
      replaySeconds: this.replayed.seconds,
    }
  }

  status(): SignalStatus {
    return {
      backlogBytes: this.#wal.unshippedBytes + this.#life.waitingBytes,
      blocks: this.#list.count,
      blockBytes: this.#list.bytes,
      problem: this.#guard.problem,
    }
  }
}

/** The spans of a message that were not refused. `outline` and `whole` are the same message, read twice. */
function without(outline: Trace, whole: Trace, refused: ReadonlySet<Span>): Trace {
  return {
    resources: whole.resources.map((r, i) => ({
      ...r,
      scopes: r.scopes.map((s, j) => ({
        ...s,
        spans: s.spans.filter((_span, k) => !refused.has(outline.resources[i]!.scopes[j]!.spans[k]!)),
      })),
    })),
  }
}
