/**
 * Records of the log back into memory, at a start: one head for each generation and tenant. What the bucket has already
 * is left out when all records were read.
 *
 * Live traces that a generation left were carried into the next one when all their records are there: then they are the
 * next one's. Otherwise they are still the first one's. The log alone decides, so that every start decides alike.
 */
import { addAll } from '#core/lists.ts'
import type { Span, Trace } from '#model/trace.ts'
import { requireKnownKind } from '#store/record-kind.ts'
import type { WalRecord } from '#store/wal.ts'
import type { WaitingBlock } from './block-life.ts'
import { Head } from './head.ts'
import type { BlockLayout } from './schema.ts'
import { idKey, Segment, type LiveTrace, type SpanDecoder } from './segment.ts'
import { stageSpans } from './staged-spans.ts'
import { blockIdOf, readRecord, recordKind, scopeOf, type BlockContent, type EndedGeneration } from './wal-record.ts'

export interface ReplayOptions {
  decode: (message: Uint8Array, isOutline: boolean) => Trace
  decodeSpan: SpanDecoder
  layout: BlockLayout
  nowMs: () => number
  hasBlock: (tenant: string, blockId: string) => boolean
  /** Nothing that this writer left of the tenant is read. Default: of none. */
  isDeleted?: (tenant: string, writer: string) => boolean
  /** Are the spans of the generation in blocks on the disk? */
  isStaged: (scope: string) => boolean
}

/** What a generation holds of one tenant. */
interface Part {
  scope: string
  tenant: string
  /** Spans that senders sent. */
  own: Head
  /** Spans that were carried over, by the scope of the generation that they came from. */
  carried: Map<string, { from: EndedGeneration; head: Head }>
  /** What the heads held when they were asked last. */
  segments: Map<Head, Segment[]>
}

export class Replay {
  readonly #options: ReplayOptions
  readonly #parts = new Map<string, Part>()
  /** Scopes whose live traces were all carried on. */
  readonly #carriedOn = new Set<string>()
  /** By scope: number of its last record. */
  readonly #lastRecord = new Map<string, number>()

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  /** Throws CorruptDataError. */
  read(record: WalRecord): { scopes: Iterable<string>; missing: number } {
    const { decode, nowMs, isStaged } = this.#options
    const scope = scopeOf(record.writer, record.generation)
    if (isStaged(scope)) {
      this.#lastRecord.set(scope, record.number)
      return { scopes: [scope], missing: 0 }
    }
    requireKnownKind(record, recordKind)
    const { carried, tenant, message } = readRecord(record.kind, record.payload)
    // Segments whose reading failed half-way are read from their beginning again.
    if (record.number <= (this.#lastRecord.get(scope) ?? -1)) return { scopes: [scope], missing: 0 }
    if (this.#options.isDeleted?.(tenant, record.writer) !== true) {
      const part = this.#part(scope, tenant)
      const head = carried === undefined ? part.own : this.#carriedHead(part, carried.from)
      head.show(
        stageSpans(decode(message, true), message, () => true),
        nowMs(),
      )
    }
    if (carried?.isLast === true) this.#carriedOn.add(carried.from.scope)
    this.#lastRecord.set(scope, record.number)
    return { scopes: [scope], missing: 0 }
  }

  #part(scope: string, tenant: string): Part {
    const key = `${scope} ${tenant}`
    let part = this.#parts.get(key)
    if (part === undefined)
      this.#parts.set(
        key,
        (part = { scope, tenant, own: this.#newHead(tenant), carried: new Map(), segments: new Map() }),
      )
    return part
  }

  #carriedHead({ tenant, carried }: Part, from: EndedGeneration): Head {
    let known = carried.get(from.scope)
    if (known === undefined) carried.set(from.scope, (known = { from, head: this.#newHead(tenant) }))
    return known.head
  }

  #newHead(tenant: string): Head {
    return new Head(tenant, this.#options.layout, this.#options.decodeSpan)
  }

  /** What the bucket has of the generation, as a block of its own; undefined: nothing. */
  #contentInBucket(generation: EndedGeneration, tenant: string): BlockContent | undefined {
    const contents: readonly BlockContent[] = ['all', 'idle']
    return contents.find(content => this.#options.hasBlock(tenant, blockIdOf(generation, tenant, content)))
  }

  /** Are live traces that the generation left of the next one? */
  #wasCarriedOn(generation: EndedGeneration, tenant: string): boolean {
    const content = this.#contentInBucket(generation, tenant)
    return content === 'idle' || (content === undefined && this.#carriedOn.has(generation.scope))
  }

  /**
   * What has to become blocks, as far as is known which blocks there are, and the scopes that are done when it has. May
   * be asked again when more is known.
   */
  async waiting(pause: () => Promise<void>): Promise<{ waiting: WaitingBlock[]; scopes: string[] }> {
    const waiting: WaitingBlock[] = []
    for (const part of this.#parts.values()) {
      const { scope, tenant, own, carried } = part
      const generation = { scope, lastRecord: this.#lastRecord.get(scope) ?? -1 }
      if (this.#contentInBucket(generation, tenant) !== undefined) continue
      const heads = [own]
      for (const { from, head } of carried.values()) if (this.#wasCarriedOn(from, tenant)) heads.push(head)
      let segments: Segment[] = []
      for (const head of heads) addAll(segments, await segmentsOf(part, head, pause))
      const isIdleOnly = this.#wasCarriedOn(generation, tenant)
      if (isIdleOnly) segments = await this.#withoutCarried(segments, await this.#spansCarriedFrom(part, pause), pause)
      const blockId = blockIdOf(generation, tenant, isIdleOnly ? 'idle' : 'all')
      if (segments.length > 0) waiting.push({ blockId, tenant, segments })
    }
    return { waiting, scopes: [...this.#lastRecord.keys()] }
  }

  /** By key of a trace: keys of its spans that other generations have from this one. */
  async #spansCarriedFrom({ scope, tenant }: Part, pause: () => Promise<void>): Promise<Map<string, Set<string>>> {
    const spans = new Map<string, Set<string>>()
    for (const part of this.#parts.values()) {
      const there = part.tenant === tenant ? part.carried.get(scope) : undefined
      if (there === undefined) continue
      for (const segment of await segmentsOf(part, there.head, pause))
        for (const live of segment.traces) {
          const key = idKey(live.id)
          const known = spans.get(key)
          const keys = this.#spansOf(live).map(spanKey)
          if (known === undefined) spans.set(key, new Set(keys))
          else for (const one of keys) known.add(one)
          await pause()
        }
    }
    return spans
  }

  async #withoutCarried(
    segments: readonly Segment[],
    carried: ReadonlyMap<string, ReadonlySet<string>>,
    pause: () => Promise<void>,
  ): Promise<Segment[]> {
    const { layout, decodeSpan } = this.#options
    const rest: Segment[] = []
    for (const segment of segments) {
      const own = new Segment(layout, decodeSpan)
      for (const live of segment.traces) {
        const leaving = carried.get(idKey(live.id))
        const staying = leaving === undefined ? live : this.#withoutSpans(live, leaving)
        if (staying.spans > 0) own.add(staying)
        await pause()
      }
      if (own.spans > 0) rest.push(own)
    }
    return rest
  }

  #withoutSpans(live: LiveTrace, leaving: ReadonlySet<string>): LiveTrace {
    const { decodeSpan } = this.#options
    const staying: LiveTrace = { ...live, held: [], spans: 0, bytes: 0 }
    for (const held of live.held) {
      const ranges: number[] = []
      for (let i = 0; i < held.ranges.length; i += 2) {
        const from = held.ranges[i]!
        const to = held.ranges[i + 1]!
        if (!leaving.has(spanKey(decodeSpan(held.message, from, to, true)))) ranges.push(from, to)
      }
      const spans = held.spans?.filter(span => !leaving.has(spanKey(span)))
      const count = ranges.length / 2 + (spans?.length ?? 0)
      if (count > 0) staying.held.push({ ...held, ranges, spans })
      staying.spans += count
    }
    return { ...staying, bytes: (live.bytes * staying.spans) / Math.max(1, live.spans) }
  }

  #spansOf({ held }: LiveTrace): Span[] {
    const spans: Span[] = []
    for (const { message, ranges, spans: own } of held) {
      for (let i = 0; i < ranges.length; i += 2)
        spans.push(this.#options.decodeSpan(message, ranges[i]!, ranges[i + 1]!, true))
      if (own !== undefined) addAll(spans, own)
    }
    return spans
  }
}

/** As a block knows a span: both sides of a call may have one id, their kinds tell them apart. */
function spanKey({ spanId, kind }: Span): string {
  return `${idKey(spanId)} ${kind}`
}

async function segmentsOf({ segments }: Part, head: Head, pause: () => Promise<void>): Promise<Segment[]> {
  const known = segments.get(head) ?? []
  await head.setIdleAside(Infinity, Infinity, pause)
  addAll(known, head.takeSegments())
  segments.set(head, known)
  return known
}
