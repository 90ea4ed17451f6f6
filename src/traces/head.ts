/**
 * What is in memory of a tenant's traces: live ones, which spans are added to, and idle ones, which got no span for a
 * while and wait in segments for the block that they will be in. Both keep spans as the bytes that they came in.
 */
import type { Span, Trace } from '#model/trace.ts'
import type { BlockLayout } from './schema.ts'
import { idKey, Segment, treeOf, type LiveTrace, type SpanDecoder } from './segment.ts'
import { paddedTraceId, TraceShredder, type RowSource } from './shred.ts'

/** Rows of a segment before another one is begun: segments are what queries read at once. */
const segmentSpans = 50_000

/** A rough size of a span in memory and in the block. */
function sizeOf(span: Span): number {
  return span.isOutline === true
    ? 100 + span.wireTo! - span.wireFrom!
    : 160 + span.attributes.length * 48 + span.events.length * 120 + span.links.length * 100
}

export class Head {
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
  get idleSpans(): number {
    return this.segments.reduce((sum, s) => sum + s.spans, 0)
  }
  get liveSpans(): number {
    let sum = 0
    for (const trace of this.live.values()) sum += trace.spans
    return sum
  }

  /**
   * Adds the spans of a request, which lie in `message` where they are outlines. `admit` says whether a span may join
   * its trace, which may be new.
   */
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
  async setIdleAside(idleSinceMs: number, oldSinceMs: number, pause: () => Promise<void>): Promise<void> {
    for (const [key, live] of this.live) {
      if (live.lastMs > idleSinceMs && live.createdMs > oldSinceMs) continue
      this.#setAside(key, live)
      await pause()
    }
  }

  #setAside(key: string, live: LiveTrace): void {
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

  /** Hands out the segments of idle traces; new ones begin. */
  takeSegments(): Segment[] {
    const { segments } = this
    this.segments = []
    return segments
  }
}
