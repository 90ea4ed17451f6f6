/**
 * Reads the tables beside indexes (table.ts): heads, rows and columns as they are asked for, through a cache. What is
 * missing or damaged is as if it had never been written: chunks are read instead.
 */
import { NotFoundError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { ByteLru } from '#core/byte-lru.ts'
import { ChunkColumns } from './line-columns.ts'
import {
  checked,
  headBytesOf,
  narrow,
  placeOfRow,
  rangeOfPage,
  TableHead,
  type RowGroup,
  type TableChunk,
  type WholeChunk,
} from './table.ts'

/** So much is fetched of a table whose head may have any size. */
const firstBytes = 64 * 1024
/** A table that is no larger is fetched as a whole: one request instead of one for each row. */
const wholeBytesMax = 4 * 1024 * 1024
/** Rows of so many grams are fetched at once; more, when blocks are left that may have the text. */
const gramsAtOnce = 8

/** The key of an index file's table; undefined for an index that has none. */
export function tableKeyOf(indexKey: string): string | undefined {
  const match = /^index\/[^/]*?(\d{1,5})\/([^/]+)\/(\d+-[^/]*)\.tsdb(\.gz)?$/.exec(indexKey)
  return match === null ? undefined : `${match[2]}/tercet/tables/${match[1]}/${match[3]}`
}

/** What lies beside a chunk. */
export interface ChunkBeside {
  readonly blocks: number
  /** By block: 0 when no line of it can contain the texts, each of which has these grams. */
  possible(texts: readonly Uint32Array[]): Promise<Uint8Array>
  /** What can be counted without the lines; undefined where there is nothing. */
  columns(): Promise<ChunkColumns | undefined>
  readonly whole: WholeChunk | undefined
}

/** A table as far as it is known. */
interface OpenTable {
  key: string
  head: TableHead
  /** The object, where it is small. */
  content: Uint8Array | undefined
}

export class TableReader {
  readonly #bucket: Bucket
  readonly #cacheBytes: number
  /** Heads and contents of tables, and null for what is not there. */
  readonly #tables: ByteLru<OpenTable | null>
  readonly #pages: ByteLru<Uint8Array>
  readonly #columns: ByteLru<ChunkColumns>
  /** What is being fetched, by name: who asks meanwhile waits for the same answer. */
  readonly #underWay = new Map<string, Promise<unknown>>()

  constructor(bucket: Bucket, cacheBytes: number) {
    this.#bucket = bucket
    this.#cacheBytes = cacheBytes
    this.#tables = new ByteLru(cacheBytes / 4)
    this.#pages = new ByteLru(cacheBytes / 4)
    this.#columns = new ByteLru(cacheBytes / 2)
  }

  get bytes(): number {
    return this.#tables.bytes + this.#pages.bytes + this.#columns.bytes
  }

  /** Lets go of so many bytes. */
  release(bytes: number): number {
    let freed = 0
    for (const cache of [this.#columns, this.#pages, this.#tables])
      if (freed < bytes) freed += cache.release(bytes - freed)
    return freed
  }

  /**
   * The heads of the tables of an index: its own comes first. Those that can't be used are left out. Throws what the
   * bucket throws.
   */
  async headsOf(indexKey: string): Promise<{ key: string; head: TableHead }[]> {
    return this.#tablesOf(indexKey)
  }

  /** What there is of a chunk that the index lists; undefined where its tables have nothing. */
  async beside(indexKey: string, name: string): Promise<ChunkBeside | undefined> {
    // A bucket that fails here fails again where the chunk is read, or does not.
    const tables = await this.#tablesOf(indexKey).catch(() => [])
    for (const table of tables) {
      const chunk = table.head.find(name)
      if (chunk !== undefined) return this.#besideIn(table, chunk, name)
    }
    return undefined
  }

  #besideIn(table: OpenTable, chunk: TableChunk, name: string): ChunkBeside {
    return {
      blocks: chunk.blockLogs.length,
      whole: chunk.whole,
      possible: texts => this.#possible(table, chunk, texts),
      columns: () => this.#columnsOf(table, chunk, name),
    }
  }

  async #tablesOf(indexKey: string): Promise<OpenTable[]> {
    const key = tableKeyOf(indexKey)
    const own = key === undefined ? null : await this.#table(key, 0)
    if (own === null) return []
    const others = await Promise.all(own.head.others.map(other => this.#table(other.key, other.bytes)))
    return [own, ...others.filter(table => table !== null)]
  }

  /** `bytes`: how many it has, where that is known. Null: it can't be used. Throws what the bucket throws. */
  #table(key: string, bytes: number): Promise<OpenTable | null> {
    const known = this.#tables.get(key)
    if (known !== undefined) return Promise.resolve(known)
    return this.#once(key, async () => {
      let table: OpenTable | null = null
      try {
        table = await this.#fetchTable(key, bytes)
      } catch (error) {
        if (!isDamage(error)) throw error
        if (!(error instanceof NotFoundError)) await this.#bucket.evict?.(key)
      }
      this.#tables.set(key, table, table === null ? 64 : table.head.heldBytes + (table.content?.length ?? 0))
      return table
    })
  }

  async #fetchTable(key: string, bytes: number): Promise<OpenTable> {
    const isSmall = bytes > 0 && bytes <= this.#wholeMax
    let content = isSmall ? await this.#bucket.get(key) : await this.#bucket.getRange(key, 0, firstBytes)
    const headBytes = headBytesOf(content)
    if (headBytes > content.length) content = await this.#bucket.getRange(key, 0, headBytes)
    const head = new TableHead(content)
    if (head.bytes > content.length && head.bytes <= this.#wholeMax) content = await this.#bucket.get(key)
    return { key, head, content: content.length >= head.bytes ? content : undefined }
  }

  get #wholeMax(): number {
    return Math.min(wholeBytesMax, this.#cacheBytes / 16)
  }

  #once<T>(name: string, work: () => Promise<T>): Promise<T> {
    const underWay = this.#underWay.get(name)
    if (underWay !== undefined) return underWay as Promise<T>
    const made = work().finally(() => this.#underWay.delete(name))
    this.#underWay.set(name, made)
    return made
  }

  /** Bytes with a checksum behind them. Throws what the bucket throws, and CorruptDataError. */
  async #range({ key, content }: OpenTable, from: number, length: number, what: string): Promise<Uint8Array> {
    const bytes =
      content === undefined ? await this.#bucket.getRange(key, from, length) : content.subarray(from, from + length)
    return checked(bytes, what)
  }

  #page(table: OpenTable, group: RowGroup, page: number): Uint8Array | Promise<Uint8Array> {
    const name = `${table.key}#${group.log2}.${page}`
    const known = this.#pages.get(name)
    if (known !== undefined) return known
    return this.#once(name, async () => {
      const { from, length } = rangeOfPage(group, page)
      const bytes = await this.#range(table, from, length, 'rows')
      this.#pages.set(name, bytes, table.content === undefined ? length + 100 : 100)
      return bytes
    })
  }

  async #possible(table: OpenTable, chunk: TableChunk, texts: readonly Uint32Array[]): Promise<Uint8Array> {
    const possible = new Uint8Array(chunk.blockLogs.length).fill(1)
    const groups = Array.from(table.head.groups.values()).filter(({ log2 }) => chunk.blockLogs.includes(log2))
    try {
      for (const grams of texts)
        for (let from = 0; from < grams.length && possible.includes(1); from += gramsAtOnce)
          await this.#narrowBy(possible, table, chunk, groups, grams.subarray(from, from + gramsAtOnce))
    } catch (error) {
      if (isDamage(error)) this.#damaged(table)
      return possible.fill(1)
    }
    return possible
  }

  async #narrowBy(
    possible: Uint8Array,
    table: OpenTable,
    chunk: TableChunk,
    groups: readonly RowGroup[],
    grams: Uint32Array,
  ): Promise<void> {
    for (const group of groups) {
      const places = Array.from(grams, gram => placeOfRow(group, gram >>> (32 - group.log2)))
      const pages = places.map(({ page }) => this.#page(table, group, page))
      // Rejections are met below, one by one.
      for (const page of pages) if (page instanceof Promise) page.catch(() => {})
      for (const [i, page] of pages.entries())
        narrow(possible, chunk, group, page instanceof Promise ? await page : page, places[i]!.bit)
    }
  }

  async #columnsOf(table: OpenTable, chunk: TableChunk, name: string): Promise<ChunkColumns | undefined> {
    const { columnsAt, columnsBytes, blockLogs } = chunk
    if (columnsBytes === 0) return undefined
    const known = this.#columns.get(name)
    if (known !== undefined) return known
    try {
      const bytes = await this.#range(table, columnsAt, columnsBytes + 4, 'columns')
      const columns = new ChunkColumns(bytes, blockLogs.length)
      this.#columns.set(name, columns, columns.heldBytes)
      return columns
    } catch (error) {
      if (isDamage(error)) this.#damaged(table)
      return undefined
    }
  }

  /** It is not used any more, until it falls out of the cache. */
  #damaged({ key }: OpenTable): void {
    this.#tables.set(key, null, 64)
    this.#bucket.evict?.(key).catch(() => {})
  }
}
