/**
 * Writes the table beside an index file (table.ts): what the new chunks bring, with what small tables before it had,
 * and the names of the larger ones.
 */
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { ChunkRef } from './chunk.ts'
import {
  encodeTable,
  partOfChunks,
  partOfTable,
  type FilteredChunk,
  type OtherTable,
  type TableHead,
  type TablePart,
} from './table.ts'
import { tableKeyOf, type TableReader } from './tables.ts'

/** An index names so many other tables; then the smallest become a part of its own. */
const othersMax = 4
/** Tables do not grow beyond this by becoming one. */
const mergedBytesMax = 32 * 1024 * 1024
/** A smaller table becomes a part of the new one while it has no more than so many times its bytes. */
const tierFactor = 2
/** Filters of new chunks in one table. */
const freshBytesMax = 16 * 1024 * 1024

/** Chunks between two pauses. */
const stepChunks = 64

/** A new chunk, and how its filter is read. */
export interface FreshChunk {
  ref: ChunkRef
  entries: number
  readFilter: () => Promise<Uint8Array>
}

export interface TableChange {
  /** Keys of the index files that are replaced. */
  replaced: readonly string[]
  /** The key of the index file that takes their place; undefined: none does. */
  indexKey: string | undefined
  fresh: readonly FreshChunk[]
  /** Is a chunk of the replaced files erased: is nothing of it to stay? */
  isErased: (ref: ChunkRef) => boolean
  /** Is it listed no more? */
  isGone: (ref: ChunkRef) => boolean
}

/** Keys of tables that were written, and of those of which nothing is needed once the new index file is there. */
export interface WrittenTables {
  written: string[]
  unneeded: string[]
}

interface KnownTable {
  key: string
  head: TableHead
}

export class TableWriter {
  readonly #bucket: Bucket
  readonly #reader: TableReader
  readonly #pause: () => Promise<void>

  constructor(bucket: Bucket, reader: TableReader, pause: () => Promise<void>) {
    this.#bucket = bucket
    this.#reader = reader
    this.#pause = pause
  }

  /** Puts the table of the new index file into the bucket, which is to happen before that file is there. */
  async write(change: TableChange): Promise<WrittenTables> {
    const old = await this.#tablesOf(change.replaced)
    const tableKey = change.indexKey === undefined ? undefined : tableKeyOf(change.indexKey)
    if (tableKey === undefined) return { written: [], unneeded: [...old.keys()] }
    const { kept, absorbed } = await choose(old, tableKey, change, this.#pause)
    const parts: TablePart[] = []
    for (const { key } of absorbed) {
      const part = await this.#partOf(key, change)
      if (part !== undefined) parts.push(part)
    }
    const others = kept.map(({ key, head }): OtherTable => ({ key, headBytes: head.headBytes, bytes: head.bytes }))
    const fresh = await this.#freshPart(change.fresh, async part => {
      others.push(await this.#put(freeKey(tableKey, old), [], [part]))
      old.set(others.at(-1)!.key, undefined)
    })
    if (fresh !== undefined) parts.push(fresh)
    const stays = new Set(kept.map(({ key }) => key))
    const written = others.filter(({ key }) => !stays.has(key)).map(({ key }) => key)
    if (others.length > 0 || parts.length > 0) written.push((await this.#put(tableKey, others, parts)).key)
    const needed = new Set([...stays, ...written])
    return { written, unneeded: [...old.keys()].filter(key => !needed.has(key)) }
  }

  /** New chunks as a part of the table; where they are many, `onFull` takes parts of their own before. */
  async #freshPart(
    fresh: readonly FreshChunk[],
    onFull: (part: TablePart) => Promise<void>,
  ): Promise<TablePart | undefined> {
    let batch: FilteredChunk[] = []
    let bytes = 0
    for (const { ref, entries, readFilter } of fresh) {
      const filter = await readFilter()
      if (batch.length > 0 && bytes + filter.length > freshBytesMax) {
        await onFull(await partOfChunks(batch, this.#pause))
        batch = []
        bytes = 0
      }
      batch.push({ ref, entries, filter })
      bytes += filter.length
    }
    return batch.length === 0 ? undefined : partOfChunks(batch, this.#pause)
  }

  async #put(key: string, others: readonly OtherTable[], parts: readonly TablePart[]): Promise<OtherTable> {
    const { bytes, headBytes } = await encodeTable(others, parts, this.#pause)
    await this.#bucket.put(key, bytes)
    return { key, headBytes, bytes: bytes.length }
  }

  /** Tables of the index files, by key. */
  async #tablesOf(indexKeys: readonly string[]): Promise<Map<string, TableHead | undefined>> {
    const tables = new Map<string, TableHead | undefined>()
    for (const indexKey of indexKeys)
      for (const { key, head } of await this.#reader.headsOf(indexKey)) tables.set(key, head)
    return tables
  }

  /** Undefined where the table is damaged or gone: what it had of chunks is lost, and they are read instead. */
  async #partOf(key: string, { isErased, isGone }: TableChange): Promise<TablePart | undefined> {
    try {
      const bytes = await this.#bucket.get(key)
      return await partOfTable(bytes, ({ ref }) => !isErased(ref) && !isGone(ref), this.#pause)
    } catch (error) {
      if (!isDamage(error)) throw error
      return undefined
    }
  }
}

/** A key beside the table's own that no table has. */
function freeKey(tableKey: string, taken: ReadonlyMap<string, unknown>): string {
  for (let i = 0; ; i++) if (!taken.has(`${tableKey}-${i}`)) return `${tableKey}-${i}`
}

/** Which tables stay as they are, and which become a part of the new one. */
async function choose(
  tables: ReadonlyMap<string, TableHead | undefined>,
  tableKey: string,
  { isErased, isGone }: TableChange,
  pause: () => Promise<void>,
): Promise<{ kept: KnownTable[]; absorbed: KnownTable[] }> {
  const kept: KnownTable[] = []
  const absorbed: KnownTable[] = []
  for (const [key, head] of tables) {
    if (head === undefined) continue
    let isNeeded = false
    let hasErased = false
    for (const [i, { ref }] of head.chunks.entries()) {
      if (i % stepChunks === 0) await pause()
      const isChunkErased = isErased(ref)
      hasErased ||= isChunkErased
      isNeeded ||= !isChunkErased && !isGone(ref)
    }
    if (!isNeeded) continue
    // Names of deleted lines' metadata go with them. What has the key of the new table is written again.
    if (key === tableKey || hasErased) absorbed.push({ key, head })
    else kept.push({ key, head })
  }
  kept.sort((a, b) => b.head.bytes - a.head.bytes)
  let bytes = absorbed.reduce((sum, { head }) => sum + head.bytes, 0)
  if (kept.length <= othersMax) return { kept, absorbed }
  const least = othersMax / 2
  for (let taken = 0; kept.length > 0; taken++) {
    const own = kept.at(-1)!.head.bytes
    if (bytes + own > mergedBytesMax || (taken >= least && own > bytes * tierFactor)) break
    absorbed.push(kept.pop()!)
    bytes += own
  }
  return { kept, absorbed }
}
