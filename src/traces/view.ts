/**
 * The traces signal as a thread without heads sees it: blocks are opened here, traces that are in memory elsewhere are
 * laid out here, from messages in shared memory.
 */
import type { Bucket } from '#bucket/bucket.ts'
import type { Clock } from '#core/clock.ts'
import type { Omission, Omissions } from '#core/omissions.ts'
import { noOverrides, type Overrides } from '#core/overrides.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Trace } from '#model/trace.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockMeta } from './block-meta.ts'
import { BlockReader } from './block-reader.ts'
import { unpackTraces, type CarriedTraces } from './carried-traces.ts'
import type {
  CarriedSegment,
  DistantTracePlan,
  DistantTracesPlan,
  TraceAsk,
  TracesDamage,
  TracesPlanAsk,
} from './door.ts'
import { notePoisoned } from './head-source.ts'
import { Reader, type TracePlan, type TracesPlan, type TracesSource } from './reader.ts'
import type { BlockLayout } from './schema.ts'
import { Segment, treeOf, type SpanDecoder } from './segment.ts'
import type { TracesReader } from './select.ts'

/** The other thread's door (door.ts), as it is asked from here. */
export interface DistantTracesDoor {
  plan(ask: TracesPlanAsk): Promise<DistantTracesPlan>
  find(ask: TraceAsk): Promise<DistantTracePlan>
  noteReadable(block: BlockMeta): Promise<void>
  noteDamage(note: TracesDamage): Promise<void>
  isReplaced(block: BlockMeta): Promise<boolean>
}

export interface TracesViewOptions {
  clock: Clock
  /** The bucket, with what is staged for it. */
  bucket: Bucket
  layout: BlockLayout
  cacheBytes: number
  door: DistantTracesDoor
  /** Reads resources and scopes of a message, and where its spans lie. */
  decodeFrames: (message: Uint8Array) => Trace
  decodeSpan: SpanDecoder
  /** Infinity keeps everything. */
  retentionMs: number
  /** What single tenants have otherwise; it may change. Default: nothing. */
  overrides?: Overrides
}

/** From so many tenants on, those without spans in memory are forgotten: anybody may ask for a tenant that is none. */
const tenantsMax = 1000

export class TracesView {
  readonly #options: TracesViewOptions
  readonly #blocks: BlockReader
  readonly #tenants = new Map<string, TenantView>()
  /** The thread with the heads says when it is not. */
  readonly ready = true

  constructor(options: TracesViewOptions) {
    this.#options = options
    this.#blocks = new BlockReader(options.bucket, options.cacheBytes)
  }

  reader(tenant: string): TracesReader {
    const { clock, retentionMs, overrides = noOverrides } = this.#options
    let view = this.#tenants.get(tenant)
    if (view === undefined) {
      if (this.#tenants.size >= tenantsMax) this.#forgetEmpty()
      this.#tenants.set(tenant, (view = new TenantView(tenant, this.#blocks, this.#options)))
    }
    const moved = overrides.retainedFrom(tenant, 'traces', retentionMs)
    return new Reader(view, fromMs => moved(fromMs, clock.nowMs()))
  }

  /** Tenants that something is remembered of. */
  get tenantCount(): number {
    return this.#tenants.size
  }

  /** Queries under way go on with what they have. */
  #forgetEmpty(): void {
    for (const [name, view] of this.#tenants) if (view.isEmpty) this.#tenants.delete(name)
  }
}

/** Segments of one tenant that queries have laid out, and the way to the rest. */
class TenantView implements TracesSource {
  readonly blocks: BlockReader
  readonly layout: BlockLayout
  readonly #tenant: string
  readonly #options: TracesViewOptions
  readonly #pause: () => Promise<void>
  #segments = new Map<number, Segment>()
  /** The live traces as they were in one of their states, laid out once a query wanted them. */
  #live: { state: number; segment: Segment } | undefined
  /** One plan at a time: segments grow by the next one. */
  #planning: Promise<unknown> = Promise.resolve()

  constructor(tenant: string, blocks: BlockReader, options: TracesViewOptions) {
    this.#tenant = tenant
    this.blocks = blocks
    this.#options = options
    this.#pause = yieldEvery(options.clock)
    this.layout = options.layout
  }

  pause(): Promise<void> {
    return this.#pause()
  }

  /** Nothing is laid out, and no block is known to be damaged. */
  get isEmpty(): boolean {
    return this.#segments.size === 0 && this.#live === undefined && this.#damaged.size === 0
  }

  damaged(): readonly DamagedBlock[] {
    return []
  }

  plan(fromMs: number, throughMs: number, omissions: Omissions): Promise<TracesPlan> {
    const planned = this.#planning.then(() => this.#planNext(fromMs, throughMs, omissions))
    this.#planning = planned.catch(() => {})
    return planned
  }

  async #planNext(fromMs: number, throughMs: number, omissions: Omissions): Promise<TracesPlan> {
    const { segments, blocks, omissions: lacking } = await this.#ask(fromMs, throughMs)
    addAll(omissions, lacking)
    for (const segment of segments) {
      await segment.layOut(this.#pause)
      notePoisoned(segment, omissions)
    }
    return { memory: segments.map(segment => segment.source()), blocks }
  }

  /** What memory has, the live traces as a segment of their own. */
  async #ask(
    fromMs: number,
    throughMs: number,
  ): Promise<{ segments: Segment[]; blocks: BlockMeta[]; omissions: Omission[] }> {
    const known = Array.from(this.#segments, ([number, { traces }]): [number, number] => [number, traces.length])
    const ask = { tenant: this.#tenant, fromMs, throughMs, known, knownLive: this.#live?.state }
    const { segments, liveState, live, blocks, omissions } = await this.#options.door.plan(ask)
    this.#segments = new Map(segments.map(carried => [carried.number, this.#grown(carried)]))
    if (liveState === undefined) this.#live = undefined
    else if (live !== undefined) this.#live = { state: liveState, segment: this.#add(this.#newSegment(), live) }
    const all = [...this.#segments.values()]
    if (this.#live !== undefined && this.#live.segment.traces.length > 0) all.push(this.#live.segment)
    return { segments: all, blocks, omissions }
  }

  #newSegment(): Segment {
    return new Segment(this.layout, this.#options.decodeSpan)
  }

  /** The segment that is known, with what came since. */
  #grown({ number, traces }: CarriedSegment): Segment {
    return this.#add(this.#segments.get(number) ?? this.#newSegment(), traces)
  }

  #add(segment: Segment, carried: CarriedTraces): Segment {
    const { decodeFrames, decodeSpan } = this.#options
    for (const trace of unpackTraces(carried, decodeFrames, decodeSpan)) segment.add(trace)
    return segment
  }

  async find(id: Uint8Array, fromMs: number, throughMs: number, omissions: Omissions): Promise<TracePlan> {
    const { door, decodeFrames, decodeSpan } = this.#options
    const found = await door.find({ tenant: this.#tenant, id, fromMs, throughMs })
    addAll(omissions, found.omissions)
    const parts = unpackTraces(found.parts, decodeFrames, decodeSpan).map(live => treeOf(live, decodeSpan))
    return { parts, blocks: found.blocks }
  }

  noteReadable(block: BlockMeta): void {
    if (this.#damaged.delete(block.blockId)) this.#options.door.noteReadable(block).catch(() => {})
  }
  readonly #damaged = new Set<string>()

  noteDamage(block: BlockMeta, error: Error, isWhole: boolean): void {
    this.#damaged.add(block.blockId)
    this.#options.door.noteDamage({ block, reason: error.message, isWhole }).catch(() => {})
  }

  isReplaced(block: BlockMeta): Promise<boolean> {
    return this.#options.door.isReplaced(block)
  }
}

function addAll(omissions: Omissions, more: readonly Omission[]): void {
  for (const { block, reason } of more) omissions.add(block, reason)
}
