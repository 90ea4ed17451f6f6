/**
 * What is in memory of a tenant's traces: live ones, which spans are added to, and idle ones, which got no span for a
 * while and wait in segments for the block that they will be in. Both keep spans as the bytes that they came in.
 */
import type { Trace } from '#model/trace.ts'
import type { BlockLayout } from './schema.ts'
import { idKey, Segment, treeOf, type LiveTrace, type SpanDecoder } from './segment.ts'
import { TraceShredder, type RowSource } from './shred.ts'
import type { StagedTrace } from './staged-spans.ts'

let nextState = 1

/** Rows of a segment before another one is begun: segments are what queries read at once. */
const segmentSpans = 50_000

export class Head {
  readonly tenant: string
  readonly #layout: BlockLayout
  readonly #decode: SpanDecoder
  readonly live = new Map<string, LiveTrace>()
  segments: Segment[] = []
  liveBytes = 0
  /** Traces that are not live yet: their first spans wait for the log. */
  awaited = 0

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

  /** Another number whenever the live traces are others than before; no other head has it. */
  get liveState(): number {
    return this.#liveState
  }
  #liveState = nextState++

  #liveChanged(): void {
    this.#liveState = nextState++
    this.#liveSource = undefined
  }

  /** Adds the spans of a message, as `stageSpans` made them of it. */
  show(staged: readonly StagedTrace[], nowMs: number): void {
    this.#liveChanged()
    for (const { key, id, held, spans, bytes } of staged) {
      let live = this.live.get(key)
      if (live === undefined)
        this.live.set(key, (live = { id, held: [], spans: 0, bytes: 0, createdMs: nowMs, lastMs: nowMs }))
      for (const one of held) live.held.push(one)
      live.spans += spans
      live.bytes += bytes
      live.lastMs = nowMs
      this.liveBytes += bytes
    }
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
    this.#liveChanged()
  }

  /** Live traces as they are now: spans that are added later do not show in them. */
  liveNow(): LiveTrace[] {
    return Array.from(this.live.values(), live => ({
      ...live,
      held: live.held.map(held => ({ ...held, ranges: held.ranges.slice(), spans: held.spans?.slice() })),
    }))
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
