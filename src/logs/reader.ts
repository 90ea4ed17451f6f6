/** What a query sees of a tenant: memory and the chunks that the bucket's indexes list, by stream. */
import { NotFoundError, PlanStaleError } from '#core/errors.ts'
import { Omissions } from '#core/omissions.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { CacheShare, ChunkReader, DamageListener } from './block-reader.ts'
import type { ChunkRef } from './chunk.ts'
import { firstDayOf, type IndexCatalogue, type IndexFile } from './index-catalogue.ts'
import { chunkName } from './merge.ts'
import type { ClosedChunk } from './closed-chunk.ts'
import type { ChunkSnapshot } from './open-chunk.ts'
import type { ChunkSource, DeletionNotice, LogsReader, StreamChunks, TailListener } from './select.ts'

/** What memory has of a stream: a chunk that lines are added to, and closed ones that wait for the bucket. */
export interface MemoryStream {
  labels: Labels
  open: ChunkSnapshot | undefined
  closed: readonly ClosedChunk[]
}

/** Where a reader finds what it reads: in this thread (head-source.ts), or in another one (view.ts). */
export interface LogsSource {
  readonly catalogue: IndexCatalogue
  readonly chunks: ChunkReader
  /** Streams with chunks of the time; what is listed in an index from this instant on may be in both. */
  memory(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    omissions: Omissions,
  ): Promise<readonly MemoryStream[]>
  /** As they were when memory was last asked. */
  deletions(): readonly DeletionNotice[]
  /** Why deletions could not be read. */
  deletionProblem(): { key: string; reason: string } | undefined
  follow(matchers: readonly Matcher[], listener: TailListener): () => void
  /** Calls `onNew` when lines have come, until the returned function is called. */
  watch(onNew: () => void): () => void
}

/** A stream with the chunks found so far, and their names: a chunk may be in memory and in an index. */
interface FoundStream {
  labels: Labels
  chunks: ChunkSource[]
  names: Set<string>
}

export class Reader implements LogsReader {
  readonly #tenant: string
  readonly #source: LogsSource
  readonly #share: CacheShare
  readonly #retainedFrom: (fromMs: number) => number
  readonly omissions = new Omissions()

  /** `retainedFrom` moves the start of a query's time to the retention. */
  constructor(tenant: string, source: LogsSource, retainedFrom: (fromMs: number) => number) {
    this.#tenant = tenant
    this.#source = source
    this.#share = source.chunks.share()
    this.#retainedFrom = retainedFrom
  }

  damaged(of: 'tenant' | 'all' = 'tenant'): readonly DamagedBlock[] {
    const { damage } = this.#source.catalogue
    return of === 'all' ? damage.all() : damage.of(this.#tenant)
  }

  async select(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<StreamChunks[]> {
    const startMs = this.#retainedFrom(fromMs)
    const found = new Map<string, FoundStream>()
    // Memory first, in one go: what is published meanwhile shows in both, and queries drop repeated lines.
    await this.#selectMemory(matchers, startMs, throughMs, found)
    await this.#selectIndexed(matchers, startMs, throughMs, found)
    this.#noteDeletions()
    for (const { chunks } of found.values()) chunks.sort((a, b) => a.fromMs - b.fromMs || a.throughMs - b.throughMs)
    return [...found.values()]
  }

  async streams(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly Labels[]> {
    return (await this.select(matchers, fromMs, throughMs)).map(s => s.labels)
  }

  subscribe(matchers: readonly Matcher[], listener: TailListener): () => void {
    return this.#source.follow(matchers, listener)
  }

  watch(onNew: () => void): () => void {
    return this.#source.watch(onNew)
  }

  deletions(): readonly DeletionNotice[] {
    return this.#source.deletions()
  }

  async #selectMemory(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    found: Map<string, FoundStream>,
  ): Promise<void> {
    for (const stream of await this.#source.memory(matchers, fromMs, throughMs, this.omissions)) {
      for (const { name, source } of this.#chunksInMemory(stream)) {
        if (source.fromMs > throughMs || source.throughMs < fromMs) continue
        const into = streamIn(found, stream.labels)
        into.names.add(name)
        into.chunks.push(source)
      }
    }
  }

  #chunksInMemory({ open, closed }: MemoryStream): { name: string; source: ChunkSource }[] {
    const { chunks } = this.#source
    const all = closed.map(chunk => ({
      name: chunkName(chunk.ref),
      source: chunks.closed(this.#tenant, chunk, this.#share, this.#listenerFor(chunk.ref, false)),
    }))
    if (open !== undefined) all.push({ name: '', source: chunks.open(open) })
    return all
  }

  async #selectIndexed(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    found: Map<string, FoundStream>,
  ): Promise<void> {
    const { catalogue, chunks: reader } = this.#source
    for (const { file, index } of await catalogue.listed(this.#tenant, fromMs, throughMs, this.omissions)) {
      for (const { labels, chunks } of index.select(matchers)) {
        let into: FoundStream | undefined
        for (const chunk of chunks) {
          if (chunk.fromMs > throughMs || chunk.throughMs < fromMs) continue
          into ??= streamIn(found, labels)
          const name = chunkName(chunk)
          if (into.names.has(name)) continue
          into.names.add(name)
          const listener = this.#listenerFor(chunk, true)
          into.chunks.push(reader.indexed(this.#tenant, chunk, this.#share, listener, this.#tablesOf(file, chunk)))
        }
      }
    }
  }

  /** What lies beside a chunk is in a table of the first day that it touches. */
  #tablesOf(file: IndexFile, chunk: ChunkRef): readonly string[] {
    const day = firstDayOf(chunk)
    if (file.tenant === undefined) return []
    if (file.day === day) return [file.key]
    return this.#source.catalogue.filesOf(file.tenant, day).map(({ key }) => key)
  }

  #noteDeletions(): void {
    const problem = this.#source.deletionProblem()
    if (problem === undefined) return
    const { key: id, reason } = problem
    this.#source.catalogue.damage.add({ tenant: id.slice(0, id.indexOf('/')), id, reason, isWhole: false })
    this.omissions.add(id, reason)
  }

  /** What is left out of a chunk is noted, for this answer and for whoever looks at the state. */
  #listenerFor(chunk: ChunkRef, isIndexed: boolean): DamageListener {
    const { catalogue, chunks } = this.#source
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
    const indexes = await this.#source.catalogue.indexes(this.#tenant, chunk.fromMs, chunk.throughMs)
    return indexes.some(index => index.streams.some(({ chunks }) => chunks.some(one => chunkName(one) === name)))
  }
}

function streamIn(found: Map<string, FoundStream>, labels: Labels): FoundStream {
  let stream = found.get(labels.key)
  if (stream === undefined) found.set(labels.key, (stream = { labels, chunks: [], names: new Set() }))
  return stream
}
