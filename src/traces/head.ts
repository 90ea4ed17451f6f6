/**
 * What is in memory of a tenant's traces: live ones, which spans are added to, and idle ones, which got no span for a
 * while and wait in segments for the block that they will be in. Both keep spans as the bytes that they came in.
 */
import type { Span, Trace } from '#model/trace.ts'
import { takeTraces, type TakenTraces } from './carried-traces.ts'
import type { BlockLayout } from './schema.ts'
import { idKey, Segment, treeOf, type LiveTrace, type SpanDecoder } from './segment.ts'
import type { StagedTrace } from './staged-spans.ts'

let nextState = 1

/** Rows of a segment before another one is begun: segments are what queries read at once. */
const segmentSpans = 50_000
/** Live traces that are looked at between pauses, where nothing else is done with them. */
const lookedAtOnce = 1024

export class Head {
  readonly tenant: string
  readonly #layout: BlockLayout
  readonly #decode: SpanDecoder
  readonly live = new Map<string, LiveTrace>()
  segments: Segment[] = []
  liveBytes = 0
  liveSpans = 0
  /** Traces that are not live yet: their first spans wait for the log. */
  awaited = 0
  /** Records with spans that wait for the log. */
  inLine = 0
  /** When something came in last, by the monotonic clock. */
  usedMs = 0

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

  /** Another number whenever the live traces are others than before; no other head has it. */
  get liveState(): number {
    return this.#liveState
  }
  #liveState = nextState++

  #liveChanged(): void {
    this.#liveState = nextState++
    this.#liveSegments = undefined
  }

  get isEmpty(): boolean {
    return this.live.size === 0 && this.segments.length === 0 && this.inLine === 0
  }

  /** Its tenant is deleted: nothing of it goes anywhere. */
  drop(): void {
    this.#liveChanged()
    this.live.clear()
    this.segments = []
    this.liveBytes = this.liveSpans = 0
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
      this.liveSpans += spans
    }
  }

  /** Sets traces aside that had no span since `idleSinceMs`, or began before `oldSinceMs`. */
  async setIdleAside(idleSinceMs: number, oldSinceMs: number, pause: () => Promise<void>): Promise<void> {
    let looked = 0
    for (const [key, live] of this.live) {
      const isIdle = live.lastMs <= idleSinceMs || live.createdMs <= oldSinceMs
      if (isIdle) this.#setAside(key, live)
      if (isIdle || ++looked % lookedAtOnce === 0) await pause()
    }
  }

  #setAside(key: string, live: LiveTrace): void {
    let segment = this.segments.at(-1)
    if (segment === undefined || segment.spans >= segmentSpans) this.segments.push((segment = this.#newSegment()))
    segment.add(live)
    this.live.delete(key)
    this.liveBytes -= live.bytes
    this.liveSpans -= live.spans
    this.#liveChanged()
  }

  /** Live traces as they are now. 500,000 take about 50 ms: each is looked at once, and nothing of it is copied. */
  liveNow(): TakenTraces {
    return takeTraces([...this.live.values()])
  }

  treeOf(live: LiveTrace): Trace {
    return treeOf(live, this.#decode)
  }

  /**
   * Traces that are live when this is called, for a query to be laid out a little at a time; what they get meanwhile
   * may be among them.
   */
  liveSegments(pause: () => Promise<void>): Promise<readonly Segment[]> {
    return (this.#liveSegments ??= this.#segmentsOf([...this.live.values()], pause))
  }
  /** Made for a query, and good until a live trace changes. */
  #liveSegments: Promise<readonly Segment[]> | undefined

  async #segmentsOf(traces: readonly LiveTrace[], pause: () => Promise<void>): Promise<readonly Segment[]> {
    const segments: Segment[] = []
    for (let i = 0; i < traces.length; i++) {
      let last = segments.at(-1)
      if (last === undefined || last.spans >= segmentSpans) segments.push((last = this.#newSegment()))
      last.add(traces[i]!)
      if (i % lookedAtOnce === lookedAtOnce - 1) await pause()
    }
    return segments
  }

  #newSegment(): Segment {
    return new Segment(this.#layout, this.#decode)
  }

  /** Parts of a trace. */
  find(id: Uint8Array): Trace[] {
    const parts = this.segments.flatMap(segment => segment.find(id))
    const live = this.live.get(idKey(id))
    if (live !== undefined) parts.push(this.treeOf(live))
    return parts
  }

  /** Whether an idle trace, by its key, has the span. */
  hasIdle(key: string, { spanId, kind }: Span): boolean {
    const isIt = (span: Span): boolean => span.kind === kind && Buffer.compare(span.spanId, spanId) === 0
    return this.segments.some(segment =>
      segment.partsBy(key).some(({ held }) =>
        held.some(({ message, ranges, spans }) => {
          for (let i = 0; i < ranges.length; i += 2)
            if (isIt(this.#decode(message, ranges[i]!, ranges[i + 1]!, true))) return true
          return spans?.some(isIt) === true
        }),
      ),
    )
  }

  /** Hands out the segments of idle traces; new ones begin. */
  takeSegments(): Segment[] {
    const { segments } = this
    this.segments = []
    return segments
  }
}
