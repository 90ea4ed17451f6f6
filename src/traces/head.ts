/**
 * What is in memory of a tenant's traces: live ones, as trees that spans are added to, and settled ones, which got no span for a
 * while and lie in columns already, as rows of the block that they will be in.
 */
import { combineTraces, type Resource, type Scope, type Span, type Trace } from '#model/trace.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { RowAssembler } from './assemble.ts'
import type { RowSource } from './merge.ts'
import type { BlockLayout } from './schema.ts'
import { paddedTraceId, TraceShredder } from './shred.ts'

/** A span as the bytes that it came in, which take a tenth of what its tree takes. */
interface PackedSpan { message: Uint8Array; from: number; to: number }
interface HeldScope { scope: Scope; schemaUrl: string; spans: (Span | PackedSpan)[] }
interface HeldResource { resource: Resource; schemaUrl: string; scopes: HeldScope[] }

export type SpanDecoder = (message: Uint8Array, from: number, to: number) => Span

export interface LiveTrace {
  readonly id: Uint8Array
  readonly resources: HeldResource[]
  spans: number
  bytes: number
  readonly createdMs: number
  lastMs: number
}

/** Rows of a segment before another one is begun: segments are what queries read at once. */
const segmentSpans = 50_000

export function idKey(id: Uint8Array): string { return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1') }

/** A rough size of a span in memory and in the block. */
function sizeOf(span: Span): number { return span.isOutline === true ? 100 + span.wireTo! - span.wireFrom! : 160 + span.attributes.length * 48 + span.events.length * 120 + span.links.length * 100 }

export class Segment {
  readonly shredder: TraceShredder
  /** Rows of each trace id. */
  readonly rowsOf = new Map<string, number[]>()
  readonly #layout: BlockLayout
  #data: readonly ColumnData[] | undefined
  #dataRows = 0

  constructor(layout: BlockLayout) {
    this.#layout = layout
    this.shredder = new TraceShredder(layout)
  }

  add(id: Uint8Array, trace: Trace): void {
    const key = idKey(id), rows = this.rowsOf.get(key)
    if (rows === undefined) this.rowsOf.set(key, [this.shredder.rows])
    else rows.push(this.shredder.rows)
    this.shredder.add(id, trace)
  }

  /** Its parts of a trace. */
  find(id: Uint8Array): Trace[] {
    const rows = this.rowsOf.get(idKey(id))
    if (rows === undefined) return []
    const assembler = new RowAssembler(this.source().columns, this.#layout.dedicated)
    return rows.map(row => assembler.row(row).trace)
  }

  /** What it has now; rows that are added later do not show. */
  source(): RowSource {
    if (this.#data === undefined || this.#dataRows !== this.shredder.rows) {
      this.#data = this.shredder.builders.map(b => b.data())
      this.#dataRows = this.shredder.rows
    }
    return { rows: this.#dataRows, columns: this.#data }
  }
}

export class TraceHead {
  readonly tenant: string
  readonly #layout: BlockLayout
  readonly #decode: SpanDecoder
  readonly live = new Map<string, LiveTrace>()
  segments: Segment[] = []
  liveBytes = 0

  constructor(tenant: string, layout: BlockLayout, decode: SpanDecoder) {
    this.#decode = decode
    this.tenant = tenant
    this.#layout = layout
  }

  get heldBytes(): number { return this.liveBytes + this.segments.reduce((sum, s) => sum + s.shredder.heldBytes, 0) }
  get settledSpans(): number { return this.segments.reduce((sum, s) => sum + s.shredder.spans, 0) }
  get liveSpans(): number { let sum = 0; for (const trace of this.live.values()) sum += trace.spans; return sum }

  /** Adds the spans of a request, which lie in `message` where they are outlines. `admit` says whether a span may join its trace, which may be new. */
  append(trace: Trace, message: Uint8Array, nowMs: number, admit: (span: Span, live: LiveTrace | undefined) => boolean): number {
    let added = 0
    this.#liveSource = undefined
    for (const { resource, schemaUrl, scopes } of trace.resources) {
      for (const { scope, schemaUrl: scopeUrl, spans } of scopes) {
        let last: LiveTrace | undefined
        let lastKey = ''
        for (const span of spans) {
          const id = paddedTraceId(span.traceId)
          const key = idKey(id)
          let live = key === lastKey ? last : this.live.get(key)
          if (!admit(span, live)) continue
          if (live === undefined) this.live.set(key, live = { id: Uint8Array.from(id), resources: [], spans: 0, bytes: 0, createdMs: nowMs, lastMs: nowMs })
          last = live
          lastKey = key
          let own = live.resources.at(-1)
          if (own?.resource !== resource) live.resources.push(own = { resource, schemaUrl, scopes: [] })
          let scoped = own.scopes.at(-1)
          if (scoped?.scope !== scope) own.scopes.push(scoped = { scope, schemaUrl: scopeUrl, spans: [] })
          scoped.spans.push(span.isOutline === true ? { message, from: span.wireFrom!, to: span.wireTo! } : span)
          const size = sizeOf(span)
          live.spans++
          live.bytes += size
          live.lastMs = nowMs
          this.liveBytes += size
          added++
        }
      }
    }
    return added
  }

  /** Moves traces into columns that had no span since `idleSinceMs`, or began before `oldSinceMs`. */
  async settle(idleSinceMs: number, oldSinceMs: number, pause: () => Promise<void>): Promise<void> {
    for (const [key, live] of this.live) {
      if (live.lastMs > idleSinceMs && live.createdMs > oldSinceMs) continue
      this.#settleOne(key, live)
      await pause()
    }
  }

  #settleOne(key: string, live: LiveTrace): void {
    let segment = this.segments.at(-1)
    if (segment === undefined || segment.shredder.spans >= segmentSpans) this.segments.push(segment = new Segment(this.#layout))
    segment.add(live.id, this.treeOf(live))
    this.live.delete(key)
    this.liveBytes -= live.bytes
    this.#liveSource = undefined
  }

  /** A live trace, each resource and scope once. */
  treeOf(live: LiveTrace): Trace {
    return combineTraces([{ resources: live.resources.map(r => ({ ...r, scopes: r.scopes.map(s => ({ ...s, spans: s.spans.map(span => ('message' in span ? this.#decode(span.message, span.from, span.to) : span)) })) })) }])
  }

  /** Live traces as rows of their own, for a query. */
  liveSource(): RowSource | undefined {
    if (this.live.size === 0) return undefined
    if (this.#liveSource !== undefined) return this.#liveSource
    const shredder = new TraceShredder(this.#layout)
    for (const live of this.live.values()) shredder.add(live.id, this.treeOf(live))
    return this.#liveSource = { rows: shredder.rows, columns: shredder.builders.map(b => b.data()) }
  }
  /** Made for a query, and good until a live trace changes. */
  #liveSource: RowSource | undefined

  /** Parts of a trace. */
  find(id: Uint8Array): Trace[] {
    const parts = this.segments.flatMap(segment => segment.find(id))
    const live = this.live.get(idKey(id))
    if (live !== undefined) parts.push(this.treeOf(live))
    return parts
  }

  /** Hands out the settled segments; new ones begin. */
  takeSegments(): Segment[] {
    const { segments } = this
    this.segments = []
    return segments
  }
}
