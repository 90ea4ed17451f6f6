/** Reads chunks, from the bucket, from the staging disk or from memory, through caches of what was opened lately. */
import { NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { freeBytes } from '#core/freed-bytes.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { BlockLines } from './block-lines.ts'
import { chunkKey, codecs, filterKey, oldChunkKey, openChunkObject, type ChunkRef, type InnerChunk } from './chunk.ts'
import { chunkName } from './merge.ts'
import type { ClosedChunk } from './closed-chunk.ts'
import { readSnapshot, type ChunkSnapshot } from './open-chunk.ts'
import type { IndexedChunk } from './index-file.ts'
import { ByteLru } from '#core/byte-lru.ts'
import type { ChunkSource, LineBlock, OpenedChunk } from './select.ts'
import { TableReader, type ChunkBeside, type HeldTables } from './tables.ts'
import { gramsOf, TokenFilter } from './token-filter.ts'

const noLines = new BlockLines(new Uint8Array(0), 0, true)

export interface ChunkReaderOptions {
  bucket: Bucket
  files: Files
  /** Keys end in base64, as in a directory that Loki reads as a file store. */
  isBase64: boolean
  /** Lets other work run. */
  pause: () => Promise<void>
  /** Half of it is for chunks as they are, half for decompressed blocks. */
  cacheBytes: number
}

/** Hears of damage in a chunk that a query reads. */
export interface DamageListener {
  /** Nothing of the chunk can be read. Throws PlanStaleError when it was replaced. */
  missing(error: Error): Promise<void>
  /** A part of it can't. */
  partly(error: Error): void
}

/** By block: 0 when no line of it can contain all of the texts; undefined: nothing is known. */
interface Filtered {
  possible: Uint8Array | undefined
  needles: readonly Uint8Array[]
}
const unfiltered: Filtered = { possible: undefined, needles: [] }

/** Uncompressed. */
const smallKilobytes = 64

/** The first object of these that is there. */
async function firstOf(
  bucket: Bucket,
  keys: readonly string[],
): Promise<{ key: string; bytes: Uint8Array } | undefined> {
  for (const key of keys) {
    try {
      return { key, bytes: await bucket.get(key) }
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
    }
  }
  return undefined
}

/** So much of each cache one query fills. */
const queryShare = 7 / 8

/** Bytes that may still be put into a cache. */
class Allowance {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  takes(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }
}

/**
 * What one query puts into the caches. One that reads more than they hold would push out what it read first, and find
 * nothing of it when it is asked again; what is not kept also leaves memory sooner.
 */
export interface CacheShare {
  readonly chunks: Allowance
  readonly bytes: Allowance
  readonly blocks: Allowance
  /** Tables that the query has opened. */
  readonly tables: HeldTables
}

export class ChunkReader {
  readonly #options: ChunkReaderOptions
  readonly #chunks: ByteLru<InnerChunk>
  readonly #bytes: ByteLru<Uint8Array>
  /** null: the chunk has none. */
  readonly #filters: ByteLru<TokenFilter | null>
  readonly #blocks: ByteLru<BlockLines>
  readonly tables: TableReader
  fetched = 0
  fetchedBytes = 0
  /** Chunks that a token filter ruled out. */
  skipped = 0

  constructor(options: ChunkReaderOptions) {
    this.#options = options
    this.#chunks = new ByteLru(options.cacheBytes / 2)
    this.#bytes = new ByteLru(options.cacheBytes / 8)
    this.#filters = new ByteLru(options.cacheBytes / 16)
    this.tables = new TableReader(options.bucket, options.cacheBytes / 4, options.pause)
    this.#blocks = new ByteLru(options.cacheBytes / 2)
  }

  /** What a query that begins now may put into the caches. */
  share(): CacheShare {
    const { cacheBytes } = this.#options
    return {
      chunks: new Allowance((cacheBytes / 2) * queryShare),
      bytes: new Allowance((cacheBytes / 8) * queryShare),
      blocks: new Allowance((cacheBytes / 2) * queryShare),
      tables: new Map(),
    }
  }

  get cacheStats(): { bytes: number; hits: number; misses: number } {
    const filters = this.#filters.bytes + this.tables.bytes
    const bytes = this.#chunks.bytes + this.#blocks.bytes + this.#bytes.bytes + filters
    return { bytes, hits: this.#blocks.hits, misses: this.#blocks.misses }
  }

  /** Lets go of so many bytes of what is kept, the cheapest to get again first. */
  release(bytes: number): void {
    for (const cache of [this.#blocks, this.#chunks, this.#bytes, this.#filters, this.tables])
      if (bytes > 0) bytes -= cache.release(bytes)
  }

  /** The key of a chunk's object. */
  keyOf(tenant: string, chunk: ChunkRef): string {
    return chunkKey(tenant, chunk, this.#options.isBase64)
  }

  /**
   * A chunk that an index lists. Damage throws, unless somebody hears of it: then the chunk is left out. `tables`: keys
   * of the index files whose tables may have it.
   */
  indexed(
    tenant: string,
    chunk: IndexedChunk,
    share = this.share(),
    onDamage?: DamageListener,
    tables: readonly string[] = [],
  ): ChunkSource {
    const { fromMs, throughMs, entries, kilobytes } = chunk
    const key = chunkKey(tenant, chunk, false)
    let found: Promise<ChunkBeside | undefined> | undefined
    const beside = (): Promise<ChunkBeside | undefined> =>
      (found ??= this.#beside(tenant, chunk, key, tables, share.tables))
    return {
      fromMs,
      throughMs,
      entries,
      kilobytes,
      isInMemory: false,
      whole: async () => (await beside())?.whole,
      columns: async () => {
        const columns = await (await beside())?.columns()
        const counted = columns?.blocks.reduce((sum, block) => sum + block.entries, 0)
        return counted === entries ? columns : undefined
      },
      open: async needles => {
        try {
          return await this.#openIndexed(tenant, chunk, key, beside, needles ?? [], share, onDamage)
        } catch (error) {
          if (onDamage === undefined || !isDamage(error)) throw error
          this.#chunks.delete(key)
          await onDamage.missing(error)
          return undefined
        }
      },
    }
  }

  async #openIndexed(
    tenant: string,
    chunk: IndexedChunk,
    key: string,
    beside: () => Promise<ChunkBeside | undefined>,
    needles: readonly Uint8Array[],
    share: CacheShare,
    onDamage: DamageListener | undefined,
  ): Promise<OpenedChunk | undefined> {
    const grams = this.#gramsOf(needles)
    const filter = grams.length === 0 ? undefined : await beside()
    const possible = await filter?.possible(grams)
    if (possible?.includes(1) === false) {
      this.skipped++
      return undefined
    }
    return this.#opened(key, await this.#fetch(tenant, chunk, key, share), share, { possible, needles }, onDamage)
  }

  /** Of each text that says something; the same list for the same texts. */
  #gramsOf(needles: readonly Uint8Array[]): readonly Uint32Array[] {
    let grams = this.#grams.get(needles)
    if (grams === undefined) this.#grams.set(needles, (grams = needles.map(gramsOf).filter(g => g.length > 0)))
    return grams
  }
  readonly #grams = new WeakMap<readonly Uint8Array[], readonly Uint32Array[]>()

  /** What lies beside a chunk: in a table of the index, or in an object of its own, as older versions left it. */
  async #beside(
    tenant: string,
    chunk: IndexedChunk,
    key: string,
    indexKeys: readonly string[],
    held: HeldTables,
  ): Promise<ChunkBeside | undefined> {
    for (const indexKey of indexKeys) {
      const inTable = await this.tables.beside(indexKey, chunkName(chunk), held)
      if (inTable !== undefined) return inTable
    }
    const filter = this.#isSmall(chunk, key) ? undefined : await this.#filter(tenant, chunk, key)
    if (filter === undefined) return undefined
    return {
      blocks: filter.blocks,
      whole: undefined,
      columns: () => Promise.resolve(undefined),
      possible: texts =>
        Promise.resolve(
          Uint8Array.from({ length: filter.blocks }, (_, block) =>
            texts.every(grams => filter.mayContain(block, grams)) ? 1 : 0,
          ),
        ),
    }
  }

  /** A small chunk costs one request, as its filter does; a larger one is not fetched in vain. */
  #isSmall(chunk: IndexedChunk, key: string): boolean {
    return chunk.kilobytes <= smallKilobytes && this.#filters.get(key) === undefined
  }

  /** The token filter beside a chunk; undefined when there is none that can be used. */
  async #filter(tenant: string, chunk: IndexedChunk, key: string): Promise<TokenFilter | undefined> {
    const known = this.#filters.get(key)
    if (known !== undefined) return known ?? undefined
    const { bucket, isBase64 } = this.#options
    let filter: TokenFilter | null = null
    try {
      filter = new TokenFilter(await bucket.get(filterKey(tenant, chunk, isBase64)))
    } catch (error) {
      // Foreign chunks have none; a damaged filter is not used either.
      if (!isDamage(error)) return undefined
      await bucket.evict?.(filterKey(tenant, chunk, isBase64))
    }
    this.#filters.set(key, filter, filter?.heldBytes ?? 64)
    return filter ?? undefined
  }

  async #fetch(tenant: string, chunk: IndexedChunk, key: string, share: CacheShare): Promise<InnerChunk> {
    const known = this.#chunks.get(key)
    if (known !== undefined) return known
    const bytes = await this.read(tenant, chunk)
    this.fetched++
    this.fetchedBytes += bytes.length
    const inner = openChunkObject(bytes)
    if (share.chunks.takes(bytes.length)) this.#chunks.set(key, inner, bytes.length)
    return inner
  }

  /**
   * The object as it lies in the bucket; each spelling of its key is tried. A schema is for a time: what is older than
   * a chunk of schema v11 is of v11, too.
   */
  async read(tenant: string, chunk: IndexedChunk): Promise<Uint8Array> {
    const { bucket, isBase64 } = this.#options
    const spellings = [isBase64, !isBase64]
    const old = spellings.map(isCoded => oldChunkKey(tenant, chunk, isCoded))
    const usual = spellings.map(isCoded => chunkKey(tenant, chunk, isCoded))
    const [first, ...rest] = chunk.throughMs <= this.#oldThroughMs ? [...old, ...usual] : [...usual, ...old]
    try {
      return await bucket.get(first!)
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
      const found = await firstOf(bucket, rest)
      if (found === undefined) throw error
      if (old.includes(found.key)) this.#oldThroughMs = Math.max(this.#oldThroughMs, chunk.throughMs)
      return found.bytes
    }
  }
  /** Chunks that end until then have keys of schema v11. */
  #oldThroughMs = -Infinity

  /** A finished chunk that the index does not list yet. */
  closed(tenant: string, chunk: ClosedChunk, share: CacheShare, onDamage?: DamageListener): ChunkSource {
    const { fromMs, throughMs } = chunk.ref
    const key = chunkKey(tenant, chunk.ref, false)
    return {
      fromMs,
      throughMs,
      entries: chunk.entries,
      kilobytes: chunk.kilobytes,
      isInMemory: true,
      open: async () => {
        try {
          return this.#opened(key, openChunkObject(await this.#closedBytes(tenant, chunk)), share, undefined, onDamage)
        } catch (error) {
          if (onDamage === undefined || !isDamage(error)) throw error
          await onDamage.missing(error)
          return undefined
        }
      },
    }
  }

  async #closedBytes(tenant: string, chunk: ClosedChunk): Promise<Uint8Array> {
    if (chunk.bytes !== undefined) return chunk.bytes
    try {
      return await this.#options.files.read(chunk.path!)
    } catch (error) {
      // Uploaded meanwhile, and gone from the disk.
      if (error instanceof NotFoundError) return this.read(tenant, { ...chunk.ref, kilobytes: 0, entries: 0 })
      throw error
    }
  }

  /** The chunk that lines are being added to, as it was. */
  open(chunk: ChunkSnapshot): ChunkSource {
    const opened: OpenedChunk = {
      symbols: chunk.symbols,
      blocks: chunk.blocks.map(block => ({
        minMs: block.minMs,
        maxMs: block.maxMs,
        entries: block.entries,
        mayContain: () => true,
        lines: () => readSnapshot(block),
      })),
    }
    return {
      fromMs: chunk.minMs,
      throughMs: chunk.throughMs,
      entries: chunk.entries,
      kilobytes: Math.round(chunk.rawBytes / 1024),
      bytes: chunk.rawBytes,
      isInMemory: true,
      open: () => Promise.resolve(opened),
    }
  }

  #opened(
    key: string,
    inner: InnerChunk,
    share: CacheShare,
    { possible, needles }: Filtered = unfiltered,
    onDamage?: DamageListener,
  ): OpenedChunk {
    const usable = possible?.length === inner.blocks.length ? possible : undefined
    const orLeftOut = <T>(work: () => T): T | undefined => {
      try {
        return work()
      } catch (error) {
        if (onDamage === undefined || !isDamage(error)) throw error
        this.#chunks.delete(key)
        onDamage.partly(error)
        return undefined
      }
    }
    const blocks = inner.blocks.map((block, i): LineBlock => {
      const name = `${key}#${i}`
      /** Of a block that was searched, and whose lines are asked for next. */
      let searched: Uint8Array | undefined
      /** What no cache has. */
      let ownBytes: Uint8Array | undefined
      let ownLines: BlockLines | undefined
      const bytes = (): Uint8Array => {
        const known = searched ?? this.#blocks.get(name)?.bytes ?? this.#bytes.get(name)
        if (known !== undefined) return known
        const read = inner.readBlock(i)
        if (share.bytes.takes(read.length)) this.#bytes.set(name, read, read.length)
        // What is not compressed is a part of the chunk.
        else if (inner.codec !== codecs.none) ownBytes = read
        return read
      }
      return {
        minMs: block.minMs,
        maxMs: block.maxMs,
        entries: block.entries,
        // Looking through a block as one text costs less than finding its lines.
        mayContain: needle => {
          if (usable?.[i] === 0 && needles.includes(needle)) return false
          const text = orLeftOut(bytes)
          if (text === undefined) return false
          const isFound = Buffer.from(text.buffer, text.byteOffset, text.length).includes(needle)
          searched = isFound ? text : undefined
          if (!isFound && text === ownBytes) {
            freeBytes(text)
            ownBytes = undefined
          }
          return isFound
        },
        lines: () => {
          let lines = this.#blocks.get(name)
          if (lines === undefined) {
            lines = orLeftOut(() => new BlockLines(bytes(), block.entries, inner.version >= 4))
            searched = undefined
            if (lines === undefined) return noLines
            if (share.blocks.takes(lines.heldBytes)) {
              this.#blocks.set(name, lines, lines.heldBytes)
              ownBytes = undefined
            } else if (lines.bytes === ownBytes) ownLines = lines
          }
          return lines
        },
        release: () => {
          ownLines?.release()
          if (ownLines !== undefined) ownBytes = ownLines = undefined
        },
      }
    })
    return { symbols: inner.symbols(), blocks }
  }
}
