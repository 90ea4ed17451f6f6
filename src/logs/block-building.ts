/**
 * Who does the work on indexes and chunks whose size lines from outside decide: this thread, or one that works beside
 * it. All questions and answers can be cloned.
 */
import { crc32c } from '#codec/crc32c.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { Labels } from '#model/labels.ts'
import { readPairs, type Lines } from './block-lines.ts'
import { ChunkReader } from './block-reader.ts'
import { packStreams, unpackStreams, type CarriedStreams } from './carried-streams.ts'
import { chunkKey, openChunkObject } from './chunk.ts'
import { orderChunk, type ChunkOwner, type ClosedChunk } from './closed-chunk.ts'
import { decodeIndexFile, type IndexFile } from './index-catalogue.ts'
import type { IndexedChunk, IndexedStream, LogIndex } from './index-file.ts'
import { writeIndex, type PoisonedStream, type WrittenIndex } from './index-writing.ts'
import { chunkName, mergeIndexes } from './merge.ts'
import { OpenChunk } from './open-chunk.ts'
import type { DeletionNotice, OpenedChunk } from './select.ts'

/** Which lines deletions hide. */
export interface HiddenLines {
  /** Is a line of the stream hidden? Undefined: none of it is. */
  of(labels: Labels): ((lines: Lines, i: number, symbols: readonly string[]) => boolean) | undefined
}
export type HidingTest = (notices: readonly DeletionNotice[]) => HiddenLines

/** Keys of index files that are damaged or gone: the question is asked again without them. */
export interface UnusableFiles {
  kind: 'unusable'
  keys: string[]
}

/** What becomes of the index of a tenant and day. */
export interface IndexPlan {
  tenant: string
  /** The day's files, in the place of which the new one stands. */
  files: readonly IndexFile[]
  added: CarriedStreams
  /** Names of chunks that are listed no more. */
  leftOut: ReadonlySet<string>
  /** Chunks that end before this are listed no more either. */
  oldestMs: number
  /** Nothing is written unless chunks are too old. */
  onlyExpired: boolean
}

export interface RewrittenIndex {
  kind: 'written'
  /** Undefined: no chunk is left. */
  index: WrittenIndex | undefined
  /** Keys of the chunks that were too old. */
  expired: string[]
  poisoned: PoisonedStream[]
}

export type IndexOutcome = RewrittenIndex | UnusableFiles | { kind: 'unchanged' }

/** Which chunks of some files are asked for. Times are inclusive. */
export interface ChunkQuestion {
  tenant: string
  files: readonly IndexFile[]
  fromMs: number
  throughMs: number
  /** Only chunks of streams of which it may hide lines. */
  notice: DeletionNotice | undefined
  /** So many are passed over, and so many are answered at most. */
  skip: number
  limit: number
}

export type ChunkAnswer = UnusableFiles | { kind: 'listed'; streams: CarriedStreams; hasMore: boolean }

/** A chunk in memory whose blocks overlap. */
export interface UnorderedChunk {
  tenant: string
  fingerprint: bigint
  /** Names and values in turn. */
  labels: readonly string[]
  bytes: Uint8Array
  kilobytes: number
}

/** A chunk from which lines go. */
export interface ErasePlan {
  tenant: string
  labels: readonly string[]
  chunk: IndexedChunk
  notice: DeletionNotice
}

/** How many lines go; the chunk of the others, unless there are none, or none go. */
export interface ErasedChunk {
  hidden: number
  rest: ClosedChunk | undefined
}

/** The size of an object, and what is wrong with it. */
export interface VerifiedChunk {
  bytes: number
  problem: string | undefined
}

export interface BlockBuilding {
  /** The index that is to stand in place of several. */
  rewrite(plan: IndexPlan): Promise<IndexOutcome>
  /** Chunks that files list, in the order of the files. */
  chunks(question: ChunkQuestion): Promise<ChunkAnswer>
  /** The same lines in order of time. */
  order(chunk: UnorderedChunk): Promise<ClosedChunk>
  /** Throws CorruptDataError and NotFoundError when the chunk can't be read as a whole. */
  erase(plan: ErasePlan): Promise<ErasedChunk>
  /** Reads and checks all of a chunk; throws NotFoundError. */
  verify(tenant: string, chunk: IndexedChunk): Promise<VerifiedChunk>
}

export interface BuildingWorld {
  files: Files
  bucket: Bucket
  /** Chunk keys end in base64. */
  isBase64: boolean
  hides: HidingTest
  /** Lets other work run. */
  pause: () => Promise<void>
}

/** Does it all in this thread. */
export class LocalBuilding implements BlockBuilding {
  readonly #world: BuildingWorld
  readonly #reader: ChunkReader

  constructor(world: BuildingWorld) {
    this.#world = world
    // Nothing is kept: each chunk is read once.
    this.#reader = new ChunkReader({ ...world, cacheBytes: 0 })
  }

  async rewrite(plan: IndexPlan): Promise<IndexOutcome> {
    const { pause, isBase64 } = this.#world
    const { tenant, files, leftOut, oldestMs, onlyExpired } = plan
    const old = await this.#indexes(tenant, files)
    if (!Array.isArray(old)) return old
    const added = unpackStreams(plan.added)
    const expired = new Map<string, string>()
    for (const index of old) {
      for (const { chunks } of index.streams)
        for (const chunk of chunks)
          if (chunk.throughMs < oldestMs) expired.set(chunkName(chunk), chunkKey(tenant, chunk, isBase64))
      await pause()
    }
    if (onlyExpired && expired.size === 0) return { kind: 'unchanged' }
    const keep = (chunk: IndexedChunk): boolean => chunk.throughMs >= oldestMs && !leftOut.has(chunkName(chunk))
    const merged = (fresh: readonly IndexedStream[]): IndexedStream[] => mergeIndexes(old, fresh, keep)
    return { kind: 'written', expired: [...expired.values()], ...(await writeIndex(merged, added, pause)) }
  }

  async chunks(question: ChunkQuestion): Promise<ChunkAnswer> {
    const { hides, pause } = this.#world
    const { tenant, files, fromMs, throughMs, notice, skip, limit } = question
    const indexes = await this.#indexes(tenant, files)
    if (!Array.isArray(indexes)) return indexes
    const hidden = notice === undefined ? undefined : hides([notice])
    const found: IndexedStream[] = []
    let seen = 0
    for (const index of indexes)
      for (const stream of index.streams) {
        if (hidden !== undefined && hidden.of(stream.labels) === undefined) continue
        const chunks: IndexedChunk[] = []
        for (const chunk of stream.chunks) {
          if (chunk.fromMs > throughMs || chunk.throughMs < fromMs || seen++ < skip) continue
          if (seen > skip + limit) break
          chunks.push(chunk)
        }
        if (chunks.length > 0) found.push({ ...stream, chunks })
        if (seen > skip + limit) return { kind: 'listed', streams: await packStreams(found, pause), hasMore: true }
      }
    return { kind: 'listed', streams: await packStreams(found, pause), hasMore: false }
  }

  /** What the files have of the tenant, or which of them can't be used. */
  async #indexes(tenant: string, files: readonly IndexFile[]): Promise<LogIndex[] | UnusableFiles> {
    const indexes: LogIndex[] = []
    const keys: string[] = []
    for (const file of files) {
      try {
        const { bucket, pause } = this.#world
        const index = (await decodeIndexFile(file, await bucket.get(file.key), pause)).get(tenant)
        if (index !== undefined) indexes.push(index)
      } catch (error) {
        if (!isDamage(error)) throw error
        keys.push(file.key)
      }
      await this.#world.pause()
    }
    return keys.length > 0 ? { kind: 'unusable', keys } : indexes
  }

  order({ tenant, fingerprint, labels, bytes }: UnorderedChunk): Promise<ClosedChunk> {
    return Promise.resolve(orderChunk({ tenant, fingerprint, labels: new Labels(labels) }, bytes))
  }

  async erase({ tenant, labels: pairs, chunk, notice }: ErasePlan): Promise<ErasedChunk> {
    const labels = new Labels(pairs)
    const hides = this.#world.hides([notice]).of(labels)
    const opened = hides === undefined ? undefined : await this.#reader.indexed(tenant, chunk).open()
    if (hides === undefined || opened === undefined) return { hidden: 0, rest: undefined }
    const { rest, hidden } = withoutHidden(opened, hides)
    if (hidden === 0 || rest.entries === 0) return { hidden, rest: undefined }
    const owner = { tenant, fingerprint: BigInt(`0x${chunk.fingerprint}`), labels }
    return { hidden, rest: closedInOrder(rest, owner) }
  }

  async verify(tenant: string, chunk: IndexedChunk): Promise<VerifiedChunk> {
    const bytes = await this.#reader.read(tenant, chunk)
    try {
      if (crc32c(bytes) !== chunk.checksum) throw new CorruptDataError('the object has a wrong checksum')
      const inner = openChunkObject(bytes)
      for (let i = 0; i < inner.blocks.length; i++) {
        inner.readBlock(i)
        await this.#world.pause()
      }
      return { bytes: bytes.length, problem: undefined }
    } catch (error) {
      if (!isDamage(error)) throw error
      return { bytes: bytes.length, problem: error.message }
    }
  }
}

/** A chunk of the lines that are not hidden, and how many were. */
function withoutHidden(
  opened: OpenedChunk,
  hides: (lines: Lines, i: number, symbols: readonly string[]) => boolean,
): { rest: OpenChunk; hidden: number } {
  // When it was made is of no interest: it is closed at once.
  const rest = new OpenChunk(0)
  let hidden = 0
  for (const block of opened.blocks) {
    const lines = block.lines()
    for (let i = 0; i < lines.count; i++) {
      if (hides(lines, i, opened.symbols)) hidden++
      else
        rest.append(
          lines.timesMs[i]!,
          lines.subNs[i]!,
          lines.bytes,
          lines.lineFrom[i]!,
          lines.lineTo[i]!,
          readPairs(lines, i, opened.symbols),
        )
    }
  }
  return { rest, hidden }
}

function closedInOrder(open: OpenChunk, owner: ChunkOwner): ClosedChunk {
  const closed = open.close(owner.tenant, owner.fingerprint, owner.labels)
  return closed.overlaps && closed.bytes !== undefined ? orderChunk(owner, closed.bytes) : closed
}
