/**
 * Reads the tables beside indexes (table.ts): heads, rows and columns as they are asked for, through a cache. What is
 * missing or damaged is as if it had never been written: chunks are read instead.
 */
import { NotFoundError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { hasBit, isEmpty, keepBits } from '#codec/bit-rows.ts'
import { ByteLru } from '#core/byte-lru.ts'
import { ChunkColumns } from './line-columns.ts'
import {
  checked,
  headBytesOf,
  placeOfRow,
  rangeOfPage,
  TableHead,
  type RowGroup,
  type TableChunk,
  type WholeChunk,
} from './table.ts'

/** So much is fetched of a table at first: its head, and the rows of its small groups, which come first. */
const firstBytes = 256 * 1024
/** A table that is no larger is fetched as a whole: one request instead of one for each row. */
const wholeBytesMax = 4 * 1024 * 1024
/** Over a network tables may have so much of the cache as a whole. */
const farShare = 3 / 16
/** Rows of so many grams are fetched at once; more, when blocks are left that may have the text. */
const gramsAtOnce = 4
/** Over a network a request costs more than so many bytes that nobody wants. */
const gapBytesMax = 1024 * 1024
/** All columns of a table come in one request over a network, where they are no more. */
const columnsAtOnceMax = 4 * 1024 * 1024

/** The key of an index file's table; undefined for an index that has none. */
export function tableKeyOf(indexKey: string): string | undefined {
  const match = /^index\/[^/]*?(\d{1,5})\/([^/]+)\/(\d+-[^/]*)\.tsdb(\.gz)?$/.exec(indexKey)
  return match === null ? undefined : `${match[2]}/tercet/tables/${match[1]}/${match[3]}`
}

/** What lies beside a chunk. */
export interface ChunkBeside {
  readonly blocks: number
  /**
   * By block: 0 when no line of it can contain the texts, each of which has these grams. The chunks of a query share
   * one list of texts: what was found for it is kept with it.
   */
  possible(texts: readonly Uint32Array[]): Promise<Uint8Array>
  /** What can be counted without the lines; undefined where there is nothing. */
  columns(): Promise<ChunkColumns | undefined>
  readonly whole: WholeChunk | undefined
}

/** By log2 of its bitmap: a bit for each block of the group, set where it may have a text. */
type BlockBits = ReadonlyMap<number, Uint8Array>

/** A table as far as it is known. */
export interface OpenTable {
  key: string
  head: TableHead
  /** The object, or its first bytes. */
  content: Uint8Array
}

/** Tables of indexes, by the key of the index, as one query has opened them. */
export type HeldTables = Map<string, Promise<readonly OpenTable[]>>

export class TableReader {
  readonly #bucket: Bucket
  readonly #pause: () => Promise<void>
  readonly #cacheBytes: number
  /** Heads and contents of tables, and null for what is not there. */
  readonly #tables: ByteLru<OpenTable | null>
  readonly #pages: ByteLru<Uint8Array>
  readonly #columns: ByteLru<ChunkColumns>
  /** What is being fetched, by name: who asks meanwhile waits for the same answer. */
  readonly #underWay = new Map<string, Promise<unknown>>()

  /** `pause` lets other work run. */
  constructor(bucket: Bucket, cacheBytes: number, pause: () => Promise<void>) {
    this.#bucket = bucket
    this.#pause = pause
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

  /**
   * What there is of a chunk that the index lists; undefined where its tables have nothing. `held`: one query's, which
   * opens each table once, also where the cache has no room for it.
   */
  async beside(indexKey: string, name: string, held: HeldTables = new Map()): Promise<ChunkBeside | undefined> {
    let opened = held.get(indexKey)
    if (opened === undefined) held.set(indexKey, (opened = this.#tablesOf(indexKey)))
    let tables: readonly OpenTable[]
    try {
      tables = await opened
    } catch {
      // A bucket that fails here fails again where the chunk is read, or does not.
      if (held.get(indexKey) === opened) held.delete(indexKey)
      return undefined
    }
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
    const first = key === undefined ? null : await this.#table(key, 0, this.#wholeMax)
    if (first === null) return []
    const { head } = first
    const all = head.others.reduce((sum, { bytes }) => sum + bytes, head.bytes)
    // Where all of them have room, they are fetched whole over a network.
    const wholeMax = this.#isFar && all <= this.#cacheBytes * farShare ? all : this.#wholeMax
    const isWhole = first.content.length >= head.bytes || head.bytes > wholeMax
    const own = isWhole ? first : await this.#wholeTable(first)
    const others = await Promise.all(head.others.map(other => this.#table(other.key, other.bytes, wholeMax)))
    return [own, ...others.filter(table => table !== null)]
  }

  /** The same table, fetched as a whole. Throws what the bucket throws. */
  #wholeTable(table: OpenTable): Promise<OpenTable> {
    const { key, head } = table
    return this.#once(`${key}#whole`, async () => {
      const content = await this.#bucket.get(key)
      // It can't be another one; where it is cut off, its pages say so.
      const whole = { key, head, content }
      this.#tables.set(key, whole, head.heldBytes + content.length)
      return whole
    })
  }

  /**
   * `bytes`: how many it has, where that is known; up to `wholeMax` it is fetched as a whole. Null: it can't be used.
   * Throws what the bucket throws.
   */
  #table(key: string, bytes: number, wholeMax: number): Promise<OpenTable | null> {
    const known = this.#tables.get(key)
    if (known !== undefined) return Promise.resolve(known)
    return this.#once(key, async () => {
      let table: OpenTable | null = null
      try {
        table = await this.#fetchTable(key, bytes, wholeMax)
      } catch (error) {
        if (!isDamage(error)) throw error
        if (!(error instanceof NotFoundError)) await this.#bucket.evict?.(key)
      }
      this.#tables.set(key, table, table === null ? 64 : table.head.heldBytes + table.content.length)
      return table
    })
  }

  async #fetchTable(key: string, bytes: number, wholeMax: number): Promise<OpenTable> {
    const isSmall = bytes > 0 && bytes <= wholeMax
    let content = isSmall ? await this.#bucket.get(key) : await this.#bucket.getRange(key, 0, firstBytes)
    const headBytes = headBytesOf(content)
    if (headBytes > content.length) content = await this.#bucket.getRange(key, 0, headBytes)
    const head = await TableHead.read(content, this.#pause)
    if (head.bytes > content.length && head.bytes <= wholeMax) content = await this.#bucket.get(key)
    return { key, head, content }
  }

  /** Is the bucket asked over a network? */
  get #isFar(): boolean {
    return this.#bucket.requests !== undefined
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

  /** Throws what the bucket throws. */
  #range({ key, content }: OpenTable, from: number, length: number): Promise<Uint8Array> {
    if (from + length <= content.length) return Promise.resolve(content.subarray(from, from + length))
    return this.#bucket.getRange(key, from, length)
  }

  /** Pages of a group, by number. Throws what the bucket throws, and CorruptDataError. */
  async #pagesOf(table: OpenTable, group: RowGroup, wanted: readonly number[]): Promise<Map<number, Uint8Array>> {
    const found = new Map<number, Uint8Array>()
    const underWay: Promise<void>[] = []
    const missing: number[] = []
    for (const page of new Set(wanted)) {
      const name = pageName(table, group, page)
      const known = this.#pages.get(name)
      if (known !== undefined) found.set(page, known)
      else if (this.#underWay.has(name))
        underWay.push((this.#underWay.get(name) as Promise<Uint8Array>).then(bytes => void found.set(page, bytes)))
      else missing.push(page)
    }
    const stretches = stretchesOf(group, missing, this.#isFar ? gapBytesMax : 0)
    await Promise.all([...underWay, ...stretches.map(pages => this.#fetchPages(table, group, pages, found))])
    return found
  }

  /** Fetches pages in one request; each is under way by its name. */
  #fetchPages(
    table: OpenTable,
    group: RowGroup,
    pages: readonly number[],
    found: Map<number, Uint8Array>,
  ): Promise<unknown> {
    const { from } = rangeOfPage(group, pages[0]!)
    const last = rangeOfPage(group, pages.at(-1)!)
    const fetched = this.#range(table, from, last.from + last.length - from)
    const each = pages.map(async page => {
      const name = pageName(table, group, page)
      const bytes = await this.#once(name, async () => {
        const own = rangeOfPage(group, page)
        const content = checked((await fetched).subarray(own.from - from, own.from - from + own.length), 'rows')
        // A page alone: a part of the request would keep all of it.
        const kept = pages.length === 1 ? content : content.slice()
        this.#pages.set(name, kept, kept.length + 100)
        return kept
      })
      found.set(page, bytes)
    })
    return Promise.all(each)
  }

  async #possible(
    table: OpenTable,
    { blockLogs, places }: TableChunk,
    texts: readonly Uint32Array[],
  ): Promise<Uint8Array> {
    const possible = new Uint8Array(blockLogs.length).fill(1)
    let found: BlockBits
    try {
      found = await this.#blocksWith(table, texts)
    } catch (error) {
      if (isDamage(error)) this.#damaged(table)
      return possible
    }
    for (let b = 0; b < possible.length; b++) if (!hasBit(found.get(blockLogs[b]!)!, places[b]!)) possible[b] = 0
    return possible
  }

  /** All blocks of the table that may have the texts: asked once for all chunks of a query, by its list of texts. */
  #blocksWith(table: OpenTable, texts: readonly Uint32Array[]): Promise<BlockBits> {
    let byTable = this.#found.get(texts)
    if (byTable === undefined) this.#found.set(texts, (byTable = new Map()))
    let found = byTable.get(table.key)
    if (found === undefined) byTable.set(table.key, (found = this.#findBlocks(table, texts)))
    return found
  }
  readonly #found = new WeakMap<readonly Uint32Array[], Map<string, Promise<BlockBits>>>()

  async #findBlocks(table: OpenTable, texts: readonly Uint32Array[]): Promise<BlockBits> {
    const found = new Map<number, Uint8Array>()
    for (const group of table.head.groups.values()) {
      const bits = new Uint8Array(Math.ceil(group.rowBits / 8)).fill(255)
      found.set(group.log2, bits)
      for (const grams of texts)
        for (let from = 0; from < grams.length && !isEmpty(bits); from += gramsAtOnce)
          await this.#narrowBy(bits, table, group, grams.subarray(from, from + gramsAtOnce))
    }
    return found
  }

  async #narrowBy(bits: Uint8Array, table: OpenTable, group: RowGroup, grams: Uint32Array): Promise<void> {
    const places = Array.from(grams, gram => placeOfRow(group, gram >>> (32 - group.log2)))
    const pages = await this.#pagesOf(
      table,
      group,
      places.map(({ page }) => page),
    )
    for (const { page, bit } of places) keepBits(bits, pages.get(page)!, bit, group.rowBits)
  }

  async #columnsOf(table: OpenTable, chunk: TableChunk, name: string): Promise<ChunkColumns | undefined> {
    const { columnsAt, columnsBytes, blockLogs } = chunk
    if (columnsBytes === 0) return undefined
    const known = this.#columns.get(name)
    if (known !== undefined) return known
    try {
      const bytes = await this.#columnsBytes(table, columnsAt, columnsBytes + 4)
      const columns = new ChunkColumns(checked(bytes, 'columns'), blockLogs.length)
      this.#columns.set(name, columns, columns.heldBytes)
      return columns
    } catch (error) {
      if (isDamage(error)) this.#damaged(table)
      return undefined
    }
  }

  /** Over a network the columns of all chunks come at once: most queries that want one want the others, too. */
  async #columnsBytes(table: OpenTable, from: number, length: number): Promise<Uint8Array> {
    const { key, head, content } = table
    const all = head.bytes - head.columnsAt
    if (!this.#isFar || head.bytes <= content.length || all > columnsAtOnceMax) return this.#range(table, from, length)
    const name = `${key}#columns`
    const columns =
      this.#pages.get(name) ??
      (await this.#once(name, async () => {
        const bytes = await this.#bucket.getRange(key, head.columnsAt, all)
        this.#pages.set(name, bytes, bytes.length)
        return bytes
      }))
    return columns.subarray(from - head.columnsAt, from - head.columnsAt + length)
  }

  /** It is not used any more, until it falls out of the cache. */
  #damaged({ key }: OpenTable): void {
    this.#tables.set(key, null, 64)
    this.#bucket.evict?.(key).catch(() => {})
  }
}

function pageName({ key }: OpenTable, { log2 }: RowGroup, page: number): string {
  return `${key}#${log2}.${page}`
}

/** Pages that are fetched together: those between which no more bytes lie than that. */
function stretchesOf(group: RowGroup, pages: readonly number[], gapBytes: number): number[][] {
  const stretches: number[][] = []
  let end = -Infinity
  for (const page of pages.toSorted((a, b) => a - b)) {
    const { from, length } = rangeOfPage(group, page)
    if (from - end > gapBytes) stretches.push([page])
    else stretches.at(-1)!.push(page)
    end = from + length
  }
  return stretches
}
