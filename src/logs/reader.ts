/** What a query sees of a tenant: memory and the chunks that the bucket's indexes list, by stream. */
import { NotFoundError, PlanStaleError } from '#core/errors.ts'
import { Omissions } from '#core/omissions.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { ChunkReader, DamageListener } from './block-reader.ts'
import type { ChunkRef } from './chunk.ts'
import type { DeletionRequests } from './deletion.ts'
import type { StreamHead } from './head.ts'
import type { IndexCatalogue } from './index-catalogue.ts'
import { chunkName } from './merge.ts'
import type { ChunkSource, DeletionNotice, LogsReader, StreamChunks, TailListener } from './select.ts'
import type { Tail } from './tail.ts'

/** Where a reader finds what it reads. */
export interface ReaderSources {
  /** The tenant's streams that are in memory. */
  streams: () => Iterable<StreamHead>
  catalogue: IndexCatalogue
  chunks: ChunkReader
  tail: Tail
  deletions: DeletionRequests
}

/** A stream with the chunks found so far, and their names: a chunk may be in memory and in an index. */
interface FoundStream {
  labels: Labels
  chunks: ChunkSource[]
  names: Set<string>
}

export class Reader implements LogsReader {
  readonly #tenant: string
  readonly #sources: ReaderSources
  readonly #retainedFrom: (fromMs: number) => number
  readonly omissions = new Omissions()

  /** `retainedFrom` moves the start of a query's time to the retention. */
  constructor(tenant: string, sources: ReaderSources, retainedFrom: (fromMs: number) => number) {
    this.#tenant = tenant
    this.#sources = sources
    this.#retainedFrom = retainedFrom
  }

  damaged(of: 'tenant' | 'all' = 'tenant'): readonly DamagedBlock[] {
    const { damage } = this.#sources.catalogue
    return of === 'all' ? damage.all() : damage.of(this.#tenant)
  }

  async select(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<StreamChunks[]> {
    const startMs = this.#retainedFrom(fromMs)
    const found = new Map<string, FoundStream>()
    // Memory first, in one go: what is published meanwhile shows in both, and queries drop repeated lines.
    this.#selectMemory(matchers, startMs, throughMs, found)
    await this.#selectIndexed(matchers, startMs, throughMs, found)
    this.#noteDeletions()
    for (const { chunks } of found.values()) chunks.sort((a, b) => a.fromMs - b.fromMs || a.throughMs - b.throughMs)
    return [...found.values()]
  }

  async streams(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly Labels[]> {
    return (await this.select(matchers, fromMs, throughMs)).map(s => s.labels)
  }

  subscribe(matchers: readonly Matcher[], listener: TailListener): () => void {
    return this.#sources.tail.follow(this.#tenant, matchers, listener)
  }

  watch(onNew: () => void): () => void {
    return this.#sources.tail.watch(this.#tenant, onNew)
  }

  deletions(): readonly DeletionNotice[] {
    return this.#sources.deletions
      .of(this.#tenant)
      .filter(d => d.status === 'received')
      .map(({ id, query, fromMs, throughMs }) => ({ id, query, fromMs, throughMs }))
  }

  #selectMemory(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    found: Map<string, FoundStream>,
  ): void {
    for (const stream of this.#sources.streams()) {
      if (stream.open === undefined && stream.closed.length === 0) continue
      if (!matchers.every(m => m.matches(stream.labels.get(m.name)))) continue
      for (const { name, source } of this.#chunksInMemory(stream)) {
        if (source.fromMs > throughMs || source.throughMs < fromMs) continue
        const into = streamIn(found, stream.labels)
        into.names.add(name)
        into.chunks.push(source)
      }
    }
  }

  #chunksInMemory(stream: StreamHead): { name: string; source: ChunkSource }[] {
    const { chunks } = this.#sources
    const all = stream.closed.map(closed => ({
      name: chunkName(closed.ref),
      source: chunks.closed(this.#tenant, closed, this.#listenerFor(closed.ref, false)),
    }))
    const open = chunks.open(stream)
    if (open !== undefined) all.push({ name: '', source: open })
    return all
  }

  async #selectIndexed(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    found: Map<string, FoundStream>,
  ): Promise<void> {
    const { catalogue, chunks: reader } = this.#sources
    for (const index of await catalogue.indexes(this.#tenant, fromMs, throughMs, this.omissions)) {
      for (const { labels, chunks } of index.select(matchers)) {
        let into: FoundStream | undefined
        for (const chunk of chunks) {
          if (chunk.fromMs > throughMs || chunk.throughMs < fromMs) continue
          into ??= streamIn(found, labels)
          const name = chunkName(chunk)
          if (into.names.has(name)) continue
          into.names.add(name)
          into.chunks.push(reader.indexed(this.#tenant, chunk, this.#listenerFor(chunk, true)))
        }
      }
    }
  }

  #noteDeletions(): void {
    const { problem } = this.#sources.deletions
    if (problem === undefined) return
    const { key: id, reason } = problem
    this.#sources.catalogue.damage.add({ tenant: id.slice(0, id.indexOf('/')), id, reason, isWhole: false })
    this.omissions.add(id, reason)
  }

  /** What is left out of a chunk is noted, for this answer and for whoever looks at the state. */
  #listenerFor(chunk: ChunkRef, isIndexed: boolean): DamageListener {
    const { catalogue, chunks } = this.#sources
    const tenant = this.#tenant
    const id = chunks.keyOf(tenant, chunk)
    const note = (error: Error, isWhole: boolean): void => {
      catalogue.noteDamage({ tenant, id, reason: error.message, isWhole })
      this.omissions.add(id, error.message)
    }
    return {
      missing: async error => {
        // An object that is missing is damage, unless the chunk was replaced: then no index lists it any more.
        if (isIndexed && error instanceof NotFoundError && catalogue.damage.get(tenant, id) === undefined) {
          await catalogue.refresh()
          if (!(await this.#isListed(chunk))) throw new PlanStaleError(id)
        }
        note(error, true)
      },
      partly: error => {
        note(error, false)
      },
    }
  }

  async #isListed(chunk: ChunkRef): Promise<boolean> {
    const name = chunkName(chunk)
    const indexes = await this.#sources.catalogue.indexes(this.#tenant, chunk.fromMs, chunk.throughMs)
    return indexes.some(index => index.streams.some(({ chunks }) => chunks.some(one => chunkName(one) === name)))
  }
}

function streamIn(found: Map<string, FoundStream>, labels: Labels): FoundStream {
  let stream = found.get(labels.key)
  if (stream === undefined) found.set(labels.key, (stream = { labels, chunks: [], names: new Set() }))
  return stream
}
