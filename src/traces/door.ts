/**
 * What a thread that evaluates queries asks the one that has traces in memory and the list of blocks. Every question
 * and answer can be cloned; see view.ts for the other side.
 */
import { CorruptDataError } from '#core/errors.ts'
import { Omissions, type Omission } from '#core/omissions.ts'
import type { BlockMeta } from './block-meta.ts'
import { packTraces, takeTraces, type CarriedTraces } from './carried-traces.ts'
import { blocksIn, isReplaced, segmentsOf, type TenantMemory } from './head-source.ts'
import { idKey, type LiveTrace } from './segment.ts'

export interface TracesPlanAsk {
  tenant: string
  fromMs: number
  throughMs: number
  /** Segments that the asker has, and how many of their traces. */
  known: readonly (readonly [segment: number, traces: number])[]
  /** The state of the live traces that the asker has; undefined: it has none. */
  knownLive: number | undefined
}

/** A segment; `traces` has what the asker lacks. */
export interface CarriedSegment {
  number: number
  traces: CarriedTraces
}

export interface DistantTracesPlan {
  /** Oldest first. */
  segments: CarriedSegment[]
  /** The state of the live traces, and what they are where that is not the one that the asker has. */
  liveState: number | undefined
  live: CarriedTraces | undefined
  blocks: BlockMeta[]
  omissions: Omission[]
}

export interface TraceAsk {
  tenant: string
  id: Uint8Array
  fromMs: number
  throughMs: number
}

export interface DistantTracePlan {
  parts: CarriedTraces
  blocks: BlockMeta[]
  omissions: Omission[]
}

/** A block that turned out to be damaged. */
export interface TracesDamage {
  block: BlockMeta
  reason: string
  isWhole: boolean
}

/** What the door looks into. */
export interface TracesDoorSources {
  memory: (tenant: string) => TenantMemory
  /** Throws UnavailableError while nothing can be read. */
  requireReadable: () => void
  /** Why answers lack what is in the bucket; undefined: they don't. */
  notJoined: () => string | undefined
  /** Gives way to other work. */
  pause: () => Promise<void>
}

export class TracesDoor {
  readonly #sources: TracesDoorSources

  constructor(sources: TracesDoorSources) {
    this.#sources = sources
  }

  /** All of one instant; of what is laid out over there already only what came since. */
  async plan({ tenant, fromMs, throughMs, known, knownLive }: TracesPlanAsk): Promise<DistantTracesPlan> {
    this.#sources.requireReadable()
    const memory = this.#sources.memory(tenant)
    const counts = new Map(known)
    const taken = segmentsOf(memory).map(({ number, traces }) => ({
      number,
      traces: takeTraces(traces.slice(counts.get(number) ?? 0)),
    }))
    const head = memory.head()
    const liveState = head?.liveState
    const live = head === undefined || liveState === knownLive ? undefined : head.liveNow()
    const blocks = this.#blocks(memory, fromMs, throughMs)
    const { pause } = this.#sources
    const segments: CarriedSegment[] = []
    for (const { number, traces } of taken) segments.push({ number, traces: await packTraces(traces, pause) })
    return { segments, liveState, live: live && (await packTraces(live, pause)), ...blocks }
  }

  async find({ tenant, id, fromMs, throughMs }: TraceAsk): Promise<DistantTracePlan> {
    this.#sources.requireReadable()
    const memory = this.#sources.memory(tenant)
    const parts: LiveTrace[] = segmentsOf(memory).flatMap(segment => segment.partsOf(id))
    const live = memory.head()?.live.get(idKey(id))
    if (live !== undefined) parts.push(live)
    const taken = takeTraces(parts)
    const blocks = this.#blocks(memory, fromMs, throughMs, id)
    return { parts: await packTraces(taken, this.#sources.pause), ...blocks }
  }

  #blocks(
    memory: TenantMemory,
    fromMs: number,
    throughMs: number,
    traceId?: Uint8Array,
  ): { blocks: BlockMeta[]; omissions: Omission[] } {
    const omissions = new Omissions()
    const blocks = blocksIn(memory, fromMs, throughMs, omissions, traceId)
    const reason = this.#sources.notJoined()
    if (reason !== undefined) omissions.add('(all)', reason)
    return { blocks, omissions: omissions.list() }
  }

  noteReadable(block: BlockMeta): void {
    this.#sources.memory(block.tenant).list.noteReadable(block)
  }

  noteDamage({ block, reason, isWhole }: TracesDamage): void {
    this.#sources.memory(block.tenant).list.noteDamage(block, new CorruptDataError(reason), isWhole)
  }

  isReplaced(block: BlockMeta): Promise<boolean> {
    return isReplaced(this.#sources.memory(block.tenant).list, block)
  }
}
