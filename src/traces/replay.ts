/**
 * Records of the log back into memory, at a start: one head for each generation and tenant. What the bucket has already
 * is passed over.
 */
import type { Trace } from '#model/trace.ts'
import type { WalRecord } from '#store/wal.ts'
import type { WaitingBlock } from './block-life.ts'
import { Head } from './head.ts'
import type { SpanDecoder } from './segment.ts'
import type { BlockLayout } from './schema.ts'
import { blockIdOf, readRecord } from './wal-record.ts'

export interface ReplayOptions {
  decode: (message: Uint8Array, isOutline: boolean) => Trace
  decodeSpan: SpanDecoder
  layout: BlockLayout
  nowMs: () => number
  hasBlock: (tenant: string, blockId: string) => boolean
  /** For a generation whose record of its id was lost. */
  newGenerationId: () => Uint8Array
}

export class Replay {
  readonly #options: ReplayOptions
  /** By generation. */
  readonly #idOf = new Map<number, Uint8Array>()
  readonly #heads = new Map<string, { generation: number; head: Head }>()
  readonly #generations = new Set<number>()
  spans = 0

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  /** Returns the scopes of the record. Throws CorruptDataError. */
  read(record: WalRecord): Iterable<string> {
    const { generation } = record
    this.#generations.add(generation)
    const found = readRecord(record.kind, record.payload)
    if (found.kind === 'generation') this.#idOf.set(generation, found.id)
    // Who has the generation that a span was carried from has the span from there.
    else if (
      !(found.kind === 'carried' && this.#heads.has(`${found.generation} ${found.tenant}`)) &&
      !this.#isInBucket(generation, found.tenant)
    ) {
      const key = `${generation} ${found.tenant}`
      let head = this.#heads.get(key)
      if (head === undefined)
        this.#heads.set(
          key,
          (head = { generation, head: new Head(found.tenant, this.#options.layout, this.#options.decodeSpan) }),
        )
      this.spans += head.head.append(
        this.#options.decode(found.message, true),
        found.message,
        this.#options.nowMs(),
        () => true,
      )
    }
    return [String(generation)]
  }

  #isInBucket(generation: number, tenant: string): boolean {
    const id = this.#idOf.get(generation)
    return id !== undefined && this.#options.hasBlock(tenant, blockIdOf(id, tenant))
  }

  async finish(pause: () => Promise<void>): Promise<{ waiting: WaitingBlock[]; generations: number[] }> {
    const waiting: WaitingBlock[] = []
    for (const { generation, head } of this.#heads.values()) {
      await head.setIdleAside(Infinity, Infinity, pause)
      const segments = head.takeSegments()
      if (segments.length > 0)
        waiting.push({
          generationId: this.#idOf.get(generation) ?? this.#options.newGenerationId(),
          generation,
          tenant: head.tenant,
          segments,
        })
    }
    return { waiting, generations: [...this.#generations] }
  }
}
