/**
 * What is in memory of a tenant's traces: live ones, which spans are added to, and settled ones, which got no span for a while and wait
 * for the block that they will be in. Both keep spans as the bytes that they came in.
 */
import { TraceCombiner, type Resource, type Scope, type Span, type Trace } from '#model/trace.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import type { RowSource } from './merge.ts'
import type { BlockLayout } from './schema.ts'
import { paddedTraceId, TraceShredder } from './shred.ts'

/** Spans of one scope that came in one message: as the bytes that they came in, which take a tenth of what their trees take. */
interface HeldSpans {
  resource: Resource
  schemaUrl: string
  scope: Scope
  scopeUrl: string
  message: Uint8Array
  /** [from, to) of each, one after another. */
  ranges: number[]
  /** What has no bytes of its own. */
  spans: Span[] | undefined
}

/** `isRaw`: attributes may be left where they are. */
export type SpanDecoder = (message: Uint8Array, from: number, to: number, isRaw?: boolean) => Span

export interface LiveTrace {
  readonly id: Uint8Array
  readonly held: HeldSpans[]
  spans: number
  bytes: number
  readonly createdMs: number
  lastMs: number
}

/** Rows of a segment before another one is begun: segments are what queries read at once. */
const segmentSpans = 50_000

export function idKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1')
}

/** A rough size of a span in memory and in the block. */
function sizeOf(span: Span): number {
  return span.isOutline === true
    ? 100 + span.wireTo! - span.wireFrom!
    : 160 + span.attributes.length * 48 + span.events.length * 120 + span.links.length * 100
}

/** Used from trace to trace. */
const combiner = new TraceCombiner()

/** A live trace as a tree, each resource and scope once. `more`: parts of it that came later. */
export function treeOf(live: LiveTrace, decode: SpanDecoder, isRaw = false, more: readonly LiveTrace[] = []): Trace {
  addTo(combiner, live, decode, isRaw)
  for (const part of more) addTo(combiner, part, decode, isRaw)
  return combiner.finish()
}

function addTo(into: TraceCombiner, live: LiveTrace, decode: SpanDecoder, isRaw: boolean): void {
  for (const { resource, schemaUrl, scope, scopeUrl, message, ranges, spans } of live.held) {
    const target = into.scope(resource, schemaUrl, scope, scopeUrl)
    for (let i = 0; i < ranges.length; i += 2) into.add(target, decode(message, ranges[i]!, ranges[i + 1]!, isRaw))
    if (spans !== undefined) for (const span of spans) into.add(target, span)
  }
}

/**
 * Settled traces: what their spans came in, until the block is cut. A query lays them out as rows; where none comes, they become rows once,
 * in the order of the block.
 */
export class Segment {
  readonly traces: LiveTrace[] = []
  spans = 0
  bytes = 0
  readonly #byId = new Map<string, LiveTrace[]>()
  readonly #layout: BlockLayout
  readonly #decode: SpanDecoder
  #shredder: TraceShredder | undefined
  #data: readonly ColumnData[] | undefined
  #dataRows = 0

  constructor(layout: BlockLayout, decode: SpanDecoder) {
    this.#layout = layout
    this.#decode = decode
  }

  get heldBytes(): number {
    return this.bytes + (this.#shredder?.heldBytes ?? 0)
  }

  add(live: LiveTrace): void {
    const key = idKey(live.id),
      known = this.#byId.get(key)
    if (known === undefined) this.#byId.set(key, [live])
    else known.push(live)
    this.traces.push(live)
    this.spans += live.spans
    this.bytes += live.bytes
  }

  /** Its parts of a trace. */
  find(id: Uint8Array): Trace[] {
    return (this.#byId.get(idKey(id)) ?? []).map(live => treeOf(live, this.#decode))
  }

  /** For a shredder: attributes of spans may lie in the message still. */
  rawTree(live: LiveTrace, more?: readonly LiveTrace[]): Trace {
    return treeOf(live, this.#decode, true, more)
  }

  /** Rows for what has none yet. */
  async layOut(pause: () => Promise<void>): Promise<void> {
    const shredder = (this.#shredder ??= new TraceShredder(this.#layout))
    for (let n = 0; shredder.rows < this.traces.length; n++) {
      const live = this.traces[shredder.rows]!
      shredder.add(live.id, this.rawTree(live))
      if (n % 32 === 31) await pause()
    }
  }

  /** What it has now; traces that are added later do not show. */
  source(): RowSource {
    const shredder = (this.#shredder ??= new TraceShredder(this.#layout))
    while (shredder.rows < this.traces.length) {
      const live = this.traces[shredder.rows]!
      shredder.add(live.id, this.rawTree(live))
    }
    if (this.#data === undefined || this.#dataRows !== shredder.rows) {
      this.#data = shredder.builders.map(b => b.data())
      this.#dataRows = shredder.rows
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

  get heldBytes(): number {
    return this.liveBytes + this.segments.reduce((sum, s) => sum + s.heldBytes, 0)
  }
  get settledSpans(): number {
    return this.segments.reduce((sum, s) => sum + s.spans, 0)
  }
  get liveSpans(): number {
    let sum = 0
    for (const trace of this.live.values()) sum += trace.spans
    return sum
  }

  /** Adds the spans of a request, which lie in `message` where they are outlines. `admit` says whether a span may join its trace, which may be new. */
  append(
    trace: Trace,
    message: Uint8Array,
    nowMs: number,
    admit: (span: Span, live: LiveTrace | undefined) => boolean,
  ): number {
    let added = 0
    this.#liveSource = undefined
    for (const { resource, schemaUrl, scopes } of trace.resources) {
      // A resource is held once, whatever number of traces it is of: the first one bears it.
      let resourceBytes = 200 + resource.attributes.length * 160
      for (const { scope, schemaUrl: scopeUrl, spans } of scopes) {
        let last: LiveTrace | undefined
        let lastKey = ''
        for (const span of spans) {
          const id = paddedTraceId(span.traceId)
          const key = idKey(id)
          let live = key === lastKey ? last : this.live.get(key)
          if (!admit(span, live)) continue
          if (live === undefined)
            this.live.set(
              key,
              (live = { id: Uint8Array.from(id), held: [], spans: 0, bytes: 0, createdMs: nowMs, lastMs: nowMs }),
            )
          last = live
          lastKey = key
          let held = live.held.at(-1)
          if (held === undefined || held.message !== message || held.resource !== resource || held.scope !== scope)
            live.held.push((held = { resource, schemaUrl, scope, scopeUrl, message, ranges: [], spans: undefined }))
          if (span.isOutline === true) held.ranges.push(span.wireFrom!, span.wireTo!)
          else (held.spans ??= []).push(span)
          const size = sizeOf(span) + resourceBytes
          resourceBytes = 0
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

  /** Sets traces aside that had no span since `idleSinceMs`, or began before `oldSinceMs`. */
  async settle(idleSinceMs: number, oldSinceMs: number, pause: () => Promise<void>): Promise<void> {
    for (const [key, live] of this.live) {
      if (live.lastMs > idleSinceMs && live.createdMs > oldSinceMs) continue
      this.#settleOne(key, live)
      await pause()
    }
  }

  #settleOne(key: string, live: LiveTrace): void {
    let segment = this.segments.at(-1)
    if (segment === undefined || segment.spans >= segmentSpans)
      this.segments.push((segment = new Segment(this.#layout, this.#decode)))
    segment.add(live)
    this.live.delete(key)
    this.liveBytes -= live.bytes
    this.#liveSource = undefined
  }

  treeOf(live: LiveTrace): Trace {
    return treeOf(live, this.#decode)
  }

  /** Live traces as rows of their own, for a query. */
  liveSource(): RowSource | undefined {
    if (this.live.size === 0) return undefined
    if (this.#liveSource !== undefined) return this.#liveSource
    const shredder = new TraceShredder(this.#layout)
    for (const live of this.live.values()) shredder.add(live.id, treeOf(live, this.#decode, true))
    return (this.#liveSource = { rows: shredder.rows, columns: shredder.builders.map(b => b.data()) })
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
