/**
 * Records of the log back into memory, at a start: one head for each generation and tenant. What the bucket has already
 * is left out when all records were read.
 */
import { addAll } from '#core/lists.ts'
import type { Trace } from '#model/trace.ts'
import type { WalRecord } from '#store/wal.ts'
import type { WaitingBlock } from './block-life.ts'
import { Head } from './head.ts'
import type { Segment, SpanDecoder } from './segment.ts'
import type { BlockLayout } from './schema.ts'
import { stageSpans } from './staged-spans.ts'
import { blockIdOf, readRecord, scopeOf } from './wal-record.ts'

export interface ReplayOptions {
  decode: (message: Uint8Array, isOutline: boolean) => Trace
  decodeSpan: SpanDecoder
  layout: BlockLayout
  nowMs: () => number
  hasBlock: (tenant: string, blockId: string) => boolean
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
  carried: Map<string, Head>
  /** What the heads held when they were asked last. */
  segments: Map<Head, Segment[]>
}

export class Replay {
  readonly #options: ReplayOptions
  readonly #parts = new Map<string, Part>()
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
    const { carriedFrom, tenant, message } = readRecord(record.kind, record.payload)
    // Segments whose reading failed half-way are read from their beginning again.
    if (record.number <= (this.#lastRecord.get(scope) ?? -1)) return { scopes: [scope], missing: 0 }
    const part = this.#part(scope, tenant)
    const head = carriedFrom === undefined ? part.own : this.#carriedHead(part, carriedFrom)
    head.show(
      stageSpans(decode(message, true), message, () => true),
      nowMs(),
    )
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

  #carriedHead({ tenant, carried }: Part, from: string): Head {
    let head = carried.get(from)
    if (head === undefined) carried.set(from, (head = this.#newHead(tenant)))
    return head
  }

  #newHead(tenant: string): Head {
    return new Head(tenant, this.#options.layout, this.#options.decodeSpan)
  }

  #isInBucket({ scope, tenant }: Part): boolean {
    return this.#options.hasBlock(tenant, blockIdOf(scope, this.#lastRecord.get(scope) ?? -1, tenant))
  }

  /**
   * What has to become blocks, as far as is known which blocks there are, and the scopes that are done when it has. May
   * be asked again when more is known.
   */
  async waiting(pause: () => Promise<void>): Promise<{ waiting: WaitingBlock[]; scopes: string[] }> {
    const waiting: WaitingBlock[] = []
    const missing = new Map([...this.#parts].filter(([, part]) => !this.#isInBucket(part)))
    for (const part of missing.values()) {
      const { scope, tenant, own, carried } = part
      const heads = [own]
      // Who has the generation that a span was carried from has the span from there.
      for (const [from, head] of carried) if (!missing.has(`${from} ${tenant}`)) heads.push(head)
      const segments: Segment[] = []
      for (const head of heads) addAll(segments, await segmentsOf(part, head, pause))
      const lastRecord = this.#lastRecord.get(scope) ?? -1
      if (segments.length > 0) waiting.push({ blockId: blockIdOf(scope, lastRecord, tenant), tenant, segments })
    }
    return { waiting, scopes: [...this.#lastRecord.keys()] }
  }
}

async function segmentsOf({ segments }: Part, head: Head, pause: () => Promise<void>): Promise<Segment[]> {
  const known = segments.get(head) ?? []
  await head.setIdleAside(Infinity, Infinity, pause)
  addAll(known, head.takeSegments())
  segments.set(head, known)
  return known
}
