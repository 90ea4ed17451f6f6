/**
 * Checks chunks, their filters and columns, and indexes of logs: every checksum, and what indexes and chunks say of
 * each other. Chunks carry their labels, so an index can be made again of them.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import type { ObjectInfo } from '#bucket/bucket.ts'
import { crc32c } from '#codec/crc32c.ts'
import { bitmapOf } from '#codec/gram-bitmap.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import { reservedFor } from '#core/tenant-name.ts'
import { BlockLines } from '#logs/block-lines.ts'
import { chunkKey, chunkMetadata, openChunkObject, type ChunkRef, type InnerChunk } from '#logs/chunk.ts'
import { dayMs, firstDayOf, parseIndexKey, type IndexFile } from '#logs/index-catalogue.ts'
import {
  decodeIndex,
  encodeIndex,
  indexChecksum,
  type IndexedChunk,
  type IndexedStream,
  type LogIndex,
} from '#logs/index-file.ts'
import { columnsOf, encodeColumns, type BlockColumns } from '#logs/line-columns.ts'
import { chunkName, mergeIndexes } from '#logs/merge.ts'
import { TableWriter, type FreshChunk } from '#logs/table-writer.ts'
import { partOfTable, TableHead } from '#logs/table.ts'
import { TableReader, tableKeyOf } from '#logs/tables.ts'
import { encodeFilter, foldBitmap, TokenFilter } from '#logs/token-filter.ts'
import { Labels } from '#model/labels.ts'
import { damageOf, isOld, quarantine, type DataCheck, type FindingKind } from './data-check.ts'

const filterSuffix = '.tercet-tokens'
const indexBytesMax = 1024 * 1024 * 1024
/** What is known of tables for the time of a repair. */
const tableCacheBytes = 16 * 1024 * 1024

/** A chunk object; `stream`: what an index lists of it, undefined for one that can't be read. */
interface FoundChunk {
  object: ObjectInfo
  ref: ChunkRef
  stream: IndexedStream | undefined
}

/** Indexes of one tenant and day. */
interface Table {
  whole: { file: IndexFile; index: LogIndex }[]
  damaged: IndexFile[]
}

export async function checkLogs(check: DataCheck): Promise<void> {
  const indexes = await check.bucket.list('index/')
  const files = indexes.map(({ key, bytes }) => parseIndexKey(key, bytes)).filter(file => file !== undefined)
  const names = [...(await check.bucket.listDirectories('')), ...files.map(file => file.tenant ?? '')]
  const isTenant = (name: string): boolean => name !== '' && reservedFor(name) === undefined
  const tenants = new Set(names.filter(isTenant))
  for (const tenant of tenants)
    await new TenantCheck(
      check,
      tenant,
      files.filter(file => file.tenant === tenant),
    ).run()
}

class TenantCheck {
  readonly #check: DataCheck
  readonly #tenant: string
  readonly #files: readonly IndexFile[]
  /** By name. */
  readonly #chunks = new Map<string, FoundChunk>()
  readonly #tables = new Map<number, Table>()
  /** Tables of filters and columns that are whole, by key: their other tables, and names of their chunks. */
  readonly #besides = new Map<string, { others: readonly string[]; chunks: ReadonlySet<string> }>()
  /** Chunks that have a filter of their own, as older versions left it, or can't have one. */
  readonly #filtered = new Set<string>()
  #lastNanos = 0

  constructor(check: DataCheck, tenant: string, files: readonly IndexFile[]) {
    this.#check = check
    this.#tenant = tenant
    this.#files = files
  }

  async run(): Promise<void> {
    for (const file of this.#files) await this.#readIndex(file)
    const objects = (await this.#check.bucket.list(`${this.#tenant}/`)).filter(({ key }) =>
      /^[^/]+\/[0-9a-f]+\//.test(key),
    )
    const besides = await this.#check.bucket.list(`${this.#tenant}/tercet/tables/`)
    for (const object of besides) await this.#readBeside(object)
    const filters = new Map(objects.filter(o => o.key.endsWith(filterSuffix)).map(o => [o.key, o]))
    for (const object of objects) if (!object.key.endsWith(filterSuffix)) await this.#readChunk(object, filters)
    for (const object of filters.values()) await this.#orphanFilter(object)
    for (const day of this.#days()) await this.#checkDay(day)
    for (const day of this.#days()) await this.#checkBesides(day)
    await this.#checkOrphans()
    await this.#orphanBesides(besides)
  }

  async #readBeside({ key }: { key: string }): Promise<void> {
    const { bucket, pause, isRepair } = this.#check
    const problem = await damageOf(async () => {
      const bytes = await bucket.get(key)
      await partOfTable(bytes, () => true, pause)
      const { others, chunks } = await TableHead.read(bytes, pause)
      const names = new Set(chunks.map(({ ref }) => chunkName(ref)))
      this.#besides.set(key, { others: others.map(other => other.key), chunks: names })
    })
    if (problem === undefined) return
    if (isRepair) await bucket.delete(key)
    this.#found('damaged', key, problem.message, isRepair ? 'removed; made again of the chunks' : undefined)
  }

  /** Keys of the tables that an index file has. */
  #besidesOf({ key }: IndexFile): string[] {
    const own = tableKeyOf(key)
    const table = own === undefined ? undefined : this.#besides.get(own)
    return table === undefined ? [] : [own!, ...table.others.filter(other => this.#besides.has(other))]
  }

  /** Chunks without a filter, as Loki writes them, cost time and nothing else. */
  async #checkBesides(day: number): Promise<void> {
    const { bucket, pause, isRepair } = this.#check
    const files = this.#table(day).whole.map(({ file }) => file)
    const covered = new Set(
      files.flatMap(file => this.#besidesOf(file)).flatMap(key => [...this.#besides.get(key)!.chunks]),
    )
    const fresh: FreshChunk[] = []
    for (const [name, { object, ref, stream }] of this.#chunks) {
      if (stream === undefined || firstDayOf(ref) !== day || covered.has(name) || this.#filtered.has(name)) continue
      const readFilter = async (): Promise<Uint8Array> => filterOf(openChunkObject(await bucket.get(object.key)))
      fresh.push({ ref, entries: stream.chunks[0]!.entries, readFilter })
    }
    const [file] = files
    if (fresh.length === 0 || file === undefined) return
    const key = tableKeyOf(file.key) ?? file.key
    this.#found('note', key, `${fresh.length} chunks have no token filter`, isRepair ? 'rebuilt' : undefined)
    if (!isRepair) return
    const writer = new TableWriter(bucket, new TableReader(bucket, tableCacheBytes, pause), pause)
    const isNone = (): boolean => false
    const change = { replaced: [file.key], indexKey: file.key, fresh, isErased: isNone, isGone: isNone }
    for (const written of (await writer.write(change)).written) await this.#readBeside({ key: written })
  }

  /** Tables that no index has: of indexes that were replaced, unless they are about to go. */
  async #orphanBesides(objects: readonly ObjectInfo[]): Promise<void> {
    const { bucket, isRepair, nowMs } = this.#check
    const used = new Set<string>()
    for (const { whole } of this.#tables.values())
      for (const { file } of whole) for (const key of this.#besidesOf(file)) used.add(key)
    for (const object of objects) {
      if (used.has(object.key) || !this.#besides.has(object.key) || !isOld([object], nowMs)) continue
      if (isRepair) await bucket.delete(object.key)
      this.#found('orphan', object.key, 'a table that no index has', isRepair ? 'removed' : undefined)
    }
  }

  #found(kind: FindingKind, key: string, reason: string, done?: string): void {
    this.#check.onFinding({ signal: 'logs', kind, key, reason, ...(done === undefined ? {} : { done }) })
  }

  #table(day: number): Table {
    let table = this.#tables.get(day)
    if (table === undefined) this.#tables.set(day, (table = { whole: [], damaged: [] }))
    return table
  }

  async #readIndex(file: IndexFile): Promise<void> {
    const table = this.#table(file.day)
    const problem = await damageOf(async () => {
      const bytes = await this.#check.bucket.get(file.key)
      table.whole.push({ file, index: decodeIndex(file.key.endsWith('.gz') ? unpacked(bytes) : bytes) })
    })
    if (problem === undefined) return
    table.damaged.push(file)
    this.#found('damaged', file.key, problem.message, this.#check.isRepair ? 'made again of the chunks' : undefined)
  }

  async #readChunk(object: ObjectInfo, filters: Map<string, ObjectInfo>): Promise<void> {
    const { bucket, isRepair } = this.#check
    const filter = filters.get(object.key + filterSuffix)
    filters.delete(object.key + filterSuffix)
    const ref = refOf(object.key)
    // A foreign object.
    if (ref === undefined) return
    let inner: InnerChunk | undefined
    let stream: IndexedStream | undefined
    const problem = await damageOf(async () => {
      const bytes = await bucket.get(object.key)
      if (crc32c(bytes) !== ref.checksum) throw new CorruptDataError('the object has a wrong checksum')
      inner = openChunkObject(bytes)
      for (let i = 0; i < inner.blocks.length; i++)
        new BlockLines(inner.readBlock(i), inner.blocks[i]!.entries, inner.version >= 4)
      stream = streamOf(ref, bytes, inner)
    })
    this.#chunks.set(chunkName(ref), { object, ref, stream })
    if (problem !== undefined) {
      if (isRepair) {
        const keys = filter === undefined ? [object.key] : [object.key, filter.key]
        await quarantine(bucket, this.#tenant, keys)
      }
      this.#found('damaged', object.key, problem.message, isRepair ? 'quarantined' : undefined)
      return
    }
    // Bitmaps are made of blocks in the form that has metadata.
    if (filter !== undefined || inner!.version < 4) this.#filtered.add(chunkName(ref))
    if (filter === undefined) return
    await this.#checkFilter(filter.key, inner!)
  }

  async #checkFilter(key: string, inner: InnerChunk): Promise<void> {
    const { bucket, isRepair } = this.#check
    const problem = await damageOf(async () => {
      const { blocks } = new TokenFilter(await bucket.get(key))
      if (blocks !== inner.blocks.length) throw new CorruptDataError(`token filter: of ${blocks} blocks`)
    })
    if (problem === undefined) return
    if (isRepair) await bucket.put(key, filterOf(inner))
    this.#found('damaged', key, problem.message, isRepair ? 'rebuilt' : undefined)
  }

  async #orphanFilter(object: ObjectInfo): Promise<void> {
    const { bucket, isRepair, nowMs } = this.#check
    const mayGo = isRepair && isOld([object], nowMs)
    if (mayGo) await bucket.delete(object.key)
    this.#found('orphan', object.key, 'a token filter without its chunk', mayGo ? 'removed' : undefined)
  }

  /** Days that have an index, and days of chunks that have none. */
  #days(): number[] {
    const days = new Set(this.#tables.keys())
    for (const { ref } of this.#chunks.values()) for (const day of daysOf(ref)) days.add(day)
    return [...days].sort((a, b) => a - b)
  }

  /** What the indexes of a day list and what there is. */
  async #checkDay(day: number): Promise<void> {
    const { whole, damaged } = this.#table(day)
    const listed = new Map<string, IndexedChunk>()
    for (const { index } of whole)
      for (const { chunks } of index.streams) for (const chunk of chunks) listed.set(chunkName(chunk), chunk)
    let missing = 0
    for (const [name, chunk] of listed) {
      const found = this.#chunks.get(name)
      if (found?.stream !== undefined) continue
      missing++
      if (found !== undefined) continue
      const key = chunkKey(this.#tenant, chunk, this.#check.isBase64)
      const done = this.#check.isRepair ? 'taken out of the index' : undefined
      this.#found('missing', key, `the index of day ${day} lists a chunk that is not there`, done)
    }
    const unlisted = this.#unlisted(day, listed)
    if (missing === 0 && damaged.length === 0 && unlisted.length === 0) return
    if (this.#check.isRepair) await this.#rewrite(day, unlisted)
  }

  /** Chunks that the day's index should list: without a whole index all, else those that another day's index lists. */
  #unlisted(day: number, listed: ReadonlyMap<string, IndexedChunk>): FoundChunk[] {
    const { whole, damaged } = this.#table(day)
    const isLost = damaged.length > 0 || whole.length === 0
    const found: FoundChunk[] = []
    for (const [name, chunk] of this.#chunks) {
      if (listed.has(name) || chunk.stream === undefined || !daysOf(chunk.ref).includes(day)) continue
      if (!isLost && !this.#isListed(name)) continue
      found.push(chunk)
    }
    const done = this.#check.isRepair ? 'listed' : undefined
    if (whole.length === 0 && damaged.length === 0 && found.length > 0)
      this.#found('missing', `index/index_${day}/${this.#tenant}/`, `no index lists the ${found.length} chunks`, done)
    else if (!isLost)
      for (const { object } of found)
        this.#found('missing', object.key, `the index of day ${day}, which the chunk touches, lacks it`, done)
    return found
  }

  #isListed(name: string): boolean {
    for (const { whole } of this.#tables.values())
      for (const { index } of whole)
        for (const { chunks } of index.streams) if (chunks.some(chunk => chunkName(chunk) === name)) return true
    return false
  }

  /** One index for the day, of chunks that can be read; it stands there before the others go. */
  async #rewrite(day: number, unlisted: readonly FoundChunk[]): Promise<void> {
    const { bucket, nowMs } = this.#check
    const { whole, damaged } = this.#table(day)
    const added = unlisted.map(({ stream }) => stream!)
    const streams = mergeIndexes(
      whole.map(({ index }) => index),
      added,
      chunk => this.#chunks.get(chunkName(chunk))?.stream !== undefined,
    )
    if (streams.length > 0) {
      const bytes = encodeIndex(streams)
      const index = decodeIndex(bytes)
      this.#lastNanos = Math.max(this.#lastNanos + 1, nowMs * 1000)
      const checksum = indexChecksum(bytes).toString(16)
      const name = `${this.#lastNanos}000-compactor-${index.fromMs}-${index.throughMs}-${checksum}.tsdb.gz`
      const key = `index/index_${day}/${this.#tenant}/${name}`
      const isListed = (ref: ChunkRef): boolean => this.#chunks.get(chunkName(ref))?.stream !== undefined
      await this.#moveBesides(
        whole.map(({ file }) => file.key),
        key,
        ref => !isListed(ref),
      )
      await bucket.put(key, gzipSync(bytes))
      this.#tables.set(day, { whole: [{ file: { key, day, tenant: this.#tenant, bytes: 0 }, index }], damaged: [] })
    }
    for (const { file } of whole) await bucket.delete(file.key)
    await quarantine(
      bucket,
      this.#tenant,
      damaged.map(file => file.key),
    )
  }

  /** The tables of index files become those of the one that takes their place. */
  async #moveBesides(replaced: readonly string[], indexKey: string, isGone: (ref: ChunkRef) => boolean): Promise<void> {
    const { bucket, pause } = this.#check
    const writer = new TableWriter(bucket, new TableReader(bucket, tableCacheBytes, pause), pause)
    const isErased = (): boolean => false
    const { written, unneeded } = await writer.write({ replaced, indexKey, fresh: [], isErased, isGone })
    for (const key of unneeded) {
      await bucket.delete(key)
      this.#besides.delete(key)
    }
    for (const key of written) await this.#readBeside({ key })
  }

  /** Chunks that no index lists: erased or expired ones that were not removed, or such as no index can hold. */
  async #checkOrphans(): Promise<void> {
    const { bucket, isRepair, nowMs } = this.#check
    for (const [name, { object, ref, stream }] of this.#chunks) {
      if (stream === undefined || this.#isListed(name)) continue
      // Without a repair a day whose index is lost was reported already.
      if (daysOf(ref).some(day => this.#table(day).whole.length === 0 || this.#table(day).damaged.length > 0)) continue
      if (!isOld([object], nowMs)) continue
      if (isRepair) await quarantine(bucket, this.#tenant, [object.key])
      this.#found('orphan', object.key, 'a chunk that no index lists', isRepair ? 'quarantined' : undefined)
    }
  }
}

function unpacked(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: indexBytesMax })
  } catch (error) {
    throw new CorruptDataError(`log index: it can't be decompressed: ${messageOf(error)}`, { cause: error })
  }
}

function daysOf({ fromMs, throughMs }: ChunkRef): number[] {
  const first = Math.floor(fromMs / dayMs)
  return Array.from({ length: Math.floor(throughMs / dayMs) - first + 1 }, (_, i) => first + i)
}

/** What a chunk's key says of it: both spellings of its last part are met. */
function refOf(key: string): ChunkRef | undefined {
  const [, fingerprint = '', name = '', ...more] = key.split('/')
  if (more.length > 0) return undefined
  const text = name.includes(':') ? name : Buffer.from(name, 'base64').toString('latin1')
  const match = /^([0-9a-f]+):([0-9a-f]+):([0-9a-f]+)$/.exec(text)
  if (match === null) return undefined
  const [fromMs, throughMs, checksum] = match.slice(1).map(hex => Number.parseInt(hex, 16)) as [number, number, number]
  return { fingerprint, fromMs, throughMs, checksum }
}

/** What an index lists of a chunk. */
function streamOf(ref: ChunkRef, bytes: Uint8Array, inner: InnerChunk): IndexedStream {
  let metric: unknown
  try {
    metric = (JSON.parse(chunkMetadata(bytes)) as { metric?: unknown }).metric
  } catch (error) {
    if (isDamage(error)) throw error
    throw new CorruptDataError('log chunk: the envelope is no JSON', { cause: error })
  }
  if (typeof metric !== 'object' || metric === null) throw new CorruptDataError('log chunk: the envelope has no labels')
  const pairs = Object.entries(metric as Record<string, string>).filter(([name]) => name !== '__name__')
  const size = inner.blocks.reduce((sum, block) => sum + block.size, 0)
  const entries = inner.blocks.reduce((sum, block) => sum + block.entries, 0)
  const chunk = { ...ref, kilobytes: Math.round(size / 1024), entries }
  return { fingerprint: ref.fingerprint, labels: Labels.from(pairs), chunks: [chunk] }
}

/** The token filter of a chunk, made of its lines. */
function filterOf(inner: InnerChunk): Uint8Array {
  const { blocks, version } = inner
  const bitmaps: Uint8Array[] = []
  const columns: (BlockColumns | undefined)[] = []
  for (let i = 0; i < blocks.length; i++) {
    const { entries } = blocks[i]!
    const bytes = inner.readBlock(i)
    bitmaps.push(foldBitmap(bitmapOf(bytes, entries)))
    columns.push(version === 4 ? columnsOf(bytes, entries) : undefined)
  }
  return encodeFilter(bitmaps, encodeColumns(blocks, columns, inner.symbols()))
}
