/** The traces signal: takes spans in, keeps them in the bucket as Tempo's blocks, and hands them out. */
import { CorruptDataError, messageOf, NotFoundError, UnavailableError } from '#core/errors.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import { combineTraces, type Span, type Trace } from '#model/trace.ts'
import type { BlockSummary } from '#store/signal.ts'
import { SignalFrame, type Holdings, type SignalOptions, type UploadStats } from '#store/signal-frame.ts'
import { SpanAdmission, type TraceLimits } from './admission.ts'
import type { TracesAppender } from './append.ts'
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

export interface TracesOptions extends SignalOptions {
  limits: TraceLimits
  layout: BlockLayout
  /** Bytes of live and idle traces before a block is cut early. */
  headBytesMax: number
  /** Bytes of blocks that are merged into one. */
  compactBytesMax: number
  cacheBytes: number
  /** OTLP messages, as the log keeps them. */
  decode: (message: Uint8Array, isOutline?: boolean) => Trace
  decodeSpan: SpanDecoder
  encode: (trace: Trace) => Uint8Array
}

const maintainEveryMs = 5000
/** Blocks that are asked for one trace at a time. */
const readsAtOnce = 16

export class TracesEngine extends SignalFrame implements TracesAppender {
  readonly #options: TracesOptions
  readonly #heads = new Map<string, TraceHead>()
  readonly #list: BlockList
  readonly #reader: BlockReader
  readonly #life: BlockLife
  spansAppended = 0
  spansRefused = 0
  bytesAppended = 0

  constructor(options: TracesOptions) {
    super('traces', options, maintainEveryMs)
    this.#options = options
    const { clock, log, bucket, cacheBytes } = options
    this.#list = new BlockList(bucket, log, clock)
    this.#reader = new BlockReader(bucket, cacheBytes)
    this.#life = new BlockLife(options, this.wal, this.#heads, this.#list, this.#reader, () => this.mayWrite())
  }

  #head(tenant: string): TraceHead {
    let head = this.#heads.get(tenant)
    if (head === undefined)
      this.#heads.set(tenant, (head = new TraceHead(tenant, this.#options.layout, this.#options.decodeSpan)))
    return head
  }

  // ── The frame's hooks ──────────────────────────────────────────────────────────────────────────────────────────────

  refresh(): Promise<void> {
    return this.#list.refresh()
  }

  protected async replay(): Promise<{ records: number; bytes: number }> {
    const { clock, random, layout, decode, decodeSpan } = this.#options
    const replay = new TraceReplay({
      decode,
      decodeSpan,
      layout,
      nowMs: () => clock.nowMs(),
      hasBlock: (tenant, blockId) => this.#list.has(tenant, blockId),
      newLot: () => Uint8Array.from({ length: 16 }, () => random.u32() & 255),
    })
    const result = await this.wal.open(record => replay.read(record))
    const { waiting, generations } = await replay.finish(() => clock.yield())
    this.#life.begin(waiting, generations)
    return result
  }

  protected async work(): Promise<void> {
    await this.#life.settle()
    await this.#life.cutDue()
    await this.#life.compact()
    await this.#life.retain()
  }

  protected cutAll(): Promise<void> {
    return this.#life.flush()
  }

  protected uploadCounts(): UploadStats {
    const { uploads, failures, waiting, compactions } = this.#life
    return { uploads, failures, waiting: waiting.length, compactions }
  }

  protected holdings(): Holdings {
    return { waitingBytes: this.#life.waitingBytes, blocks: this.#list.count, blockBytes: this.#list.bytes }
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

  async append(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome> {
    this.admit()
    this.#refuseWhenFull()
    const result: AppendOutcome = { stored: 0, refused: 0, problems: [] }
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
    await this.wal.commit()
    return result
  }

  // ── Query ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  reader(tenant: string): TracesReader {
    const from = (fromMs: number): number => this.retainedFrom(fromMs)
    return {
      select: (fromMs, throughMs) => this.#select(tenant, from(fromMs), throughMs),
      find: (id, fromMs, throughMs) => this.#find(tenant, id, from(fromMs), throughMs),
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
    await forEachParallel(this.#blocks(tenant, fromMs, throughMs), readsAtOnce, async block => {
      const found = await this.#guarded(block, () => this.#reader.find(block, id))
      if (found !== undefined) parts.push(found)
    })
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
