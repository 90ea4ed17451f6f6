/** The memory of this thread, as a reader asks for it. */
import type { Matcher } from '#lang/regex/matcher.ts'
import type { ChunkReader } from './block-reader.ts'
import type { DeletionRequests } from './deletion.ts'
import type { StreamHead } from './head.ts'
import type { IndexCatalogue } from './index-catalogue.ts'
import type { ClosedChunk } from './closed-chunk.ts'
import type { OpenChunk } from './open-chunk.ts'
import type { LogsSource, MemoryStream } from './reader.ts'
import type { DeletionNotice, TailListener } from './select.ts'
import type { Tail } from './tail.ts'

/** What there is of a tenant, and of all. */
export interface HeadSourceParts {
  tenant: string
  streams: () => Iterable<StreamHead>
  catalogue: IndexCatalogue
  chunks: ChunkReader
  tail: Tail
  requests: DeletionRequests
}

export class HeadSource implements LogsSource {
  readonly catalogue: IndexCatalogue
  readonly chunks: ChunkReader
  readonly #parts: HeadSourceParts
  /**
   * Of the moment when memory was asked: a deletion that is done while indexes are read hides its lines in the chunks
   * that they still list.
   */
  #deletions: readonly DeletionNotice[] | undefined

  constructor(parts: HeadSourceParts) {
    this.#parts = parts
    this.catalogue = parts.catalogue
    this.chunks = parts.chunks
  }

  /** In one go. */
  memory(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly MemoryStream[]> {
    this.#deletions = noticesOf(this.#parts.requests, this.#parts.tenant)
    const found: MemoryStream[] = []
    for (const stream of this.#parts.streams()) {
      const one = memoryOf(stream, matchers, fromMs, throughMs)
      if (one !== undefined) found.push(one)
    }
    return Promise.resolve(found)
  }

  deletions(): readonly DeletionNotice[] {
    return this.#deletions ?? noticesOf(this.#parts.requests, this.#parts.tenant)
  }

  deletionProblem(): { key: string; reason: string } | undefined {
    return this.#parts.requests.problem
  }

  follow(matchers: readonly Matcher[], listener: TailListener): () => void {
    return this.#parts.tail.follow(this.#parts.tenant, matchers, listener)
  }

  watch(onNew: () => void): () => void {
    return this.#parts.tail.watch(this.#parts.tenant, onNew)
  }
}

/** Deletions that queries must apply. */
export function noticesOf(requests: DeletionRequests, tenant: string): DeletionNotice[] {
  return requests
    .of(tenant)
    .filter(d => d.status === 'received')
    .map(({ id, query, fromMs, throughMs }) => ({ id, query, fromMs, throughMs }))
}

/** The chunks of a stream that touch the time; undefined when there are none, or its labels do not match. */
export function memoryOf(
  { labels, open, closed }: StreamHead,
  matchers: readonly Matcher[],
  fromMs: number,
  throughMs: number,
): MemoryStream | undefined {
  const isOpen = open !== undefined && open.entries > 0 && touches(open, fromMs, throughMs)
  const inTime = closed.filter(chunk => isIn(chunk, fromMs, throughMs))
  if (!isOpen && inTime.length === 0) return undefined
  if (!matchers.every(m => m.matches(labels.get(m.name)))) return undefined
  return { labels, open: isOpen ? open.snapshot() : undefined, closed: inTime }
}

/** Its end is rounded up to whole milliseconds. */
function touches({ minMs, maxMs }: OpenChunk, fromMs: number, throughMs: number): boolean {
  return minMs <= throughMs && maxMs + 1 >= fromMs
}

function isIn({ ref }: ClosedChunk, fromMs: number, throughMs: number): boolean {
  return ref.fromMs <= throughMs && ref.throughMs >= fromMs
}
