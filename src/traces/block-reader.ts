/** Reads blocks by range, through caches of footers, filters and decoded columns. */
import { crc32 } from 'node:zlib'
import { bytesAt, type ColumnData } from '#codec/parquet/column-data.ts'
import { ParquetFile } from '#codec/parquet/file.ts'
import { CorruptDataError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import type { Trace } from '#model/trace.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { ByteLru } from '#core/byte-lru.ts'
import { RowAssembler } from './assemble.ts'
import type { HeldGroups } from './held-groups.ts'
import { blockPrefix } from './block-writer.ts'
import { BloomFilter, shardOf } from './bloom.ts'
import type { BlockMeta } from './block-meta.ts'
import { JoinedReading } from './joined-reading.ts'
import { Meetings } from './meetings.ts'
import { plainPath } from './schema.ts'
import type { TraceRows } from './select.ts'

/** A row group. */
export interface BlockRows extends Omit<TraceRows, 'leaveOut'> {
  /** Of all its columns. */
  readonly paths: readonly string[]
}

interface OpenedBlock {
  file: ParquetFile
  /** Column numbers by the path that vParquet5 has. */ columnOf: ReadonlyMap<string, number>
}

/**
 * A block that is not larger is fetched and held as a whole: a footer, ids and columns are three requests else. Where a
 * request costs more, so may be what is fetched in vain.
 */
const wholeBytesMax = 512 * 1024
const wholeGapsMax = 1.5

function heldBytes(data: ColumnData): number {
  return (
    data.count * ((data.rep === undefined ? 0 : 1) + (data.def === undefined ? 0 : 1)) +
    (data.ints?.byteLength ?? data.longs?.byteLength ?? data.doubles?.byteLength ?? data.bools?.byteLength ?? 0) +
    (data.indices?.byteLength ?? 0) +
    (data.texts === undefined ? 0 : data.texts.bytes.length + data.texts.offsets.byteLength) +
    200
  )
}

export class BlockReader {
  readonly #bucket: Bucket
  readonly #wholeBytesMax: number
  /** Columns that are being read, by block, group and number: who wants them meanwhile waits for the same answer. */
  readonly #underWay = new Map<string, Promise<ReadonlyMap<number, ColumnData>>>()
  readonly #blocks: ByteLru<OpenedBlock>
  readonly #blooms: ByteLru<BloomFilter>
  readonly #columns: ByteLru<ColumnData>
  readonly #joined: JoinedReading
  /** Traces that several blocks have, or blocks and memory. */
  readonly meetings: Meetings
  /** Ranges and objects that were fetched. */
  #reads = 0
  #readBytes = 0

  constructor(bucket: Bucket, cacheBytes: number) {
    this.#bucket = bucket
    this.#wholeBytesMax = Math.max(wholeBytesMax, (bucket.gapBytes ?? 0) * wholeGapsMax)
    this.#blocks = new ByteLru(cacheBytes / 8)
    this.#blooms = new ByteLru(cacheBytes / 8)
    this.#joined = new JoinedReading(bucket, cacheBytes / 8)
    this.#columns = new ByteLru((cacheBytes * 9) / 16)
    this.meetings = new Meetings(cacheBytes / 16)
  }

  get reads(): number {
    return this.#reads + this.#joined.reads
  }
  get readBytes(): number {
    return this.#readBytes + this.#joined.readBytes
  }

  get cacheStats(): { bytes: number; hits: number; misses: number } {
    return {
      bytes: this.#blocks.bytes + this.#blooms.bytes + this.#joined.bytes + this.#columns.bytes + this.meetings.bytes,
      hits: this.#columns.hits,
      misses: this.#columns.misses,
    }
  }

  /** Lets go of so many bytes of what is kept, the cheapest to get again first. */
  release(bytes: number): void {
    for (const cache of [this.#columns, this.meetings, this.#blocks, this.#joined, this.#blooms])
      if (bytes > 0) bytes -= cache.release(bytes)
  }

  /** `isOneOfMany`: others are opened beside it. */
  async #open(meta: BlockMeta, isOneOfMany = false): Promise<OpenedBlock> {
    const known = this.#blocks.get(meta.blockId)
    if (known !== undefined) return known
    const key = `${blockPrefix(meta.tenant, meta.blockId)}data.parquet`
    const fetch = async (from: number, to: number): Promise<Uint8Array> => {
      this.#reads++
      this.#readBytes += to - from
      const bytes = await this.#bucket.getRange(key, from, to - from)
      if (bytes.length !== to - from)
        throw new CorruptDataError(`${key} has ${bytes.length} bytes at ${from} where meta.json promises ${to - from}`)
      return bytes
    }
    const isSmall = meta.size <= this.#wholeBytesMax
    const whole = isSmall ? await fetch(0, meta.size) : undefined
    const footer = isSmall ? undefined : await this.#joined.footer(meta, isOneOfMany)
    const tail = footer === undefined ? undefined : withFileEnd(footer)
    const read = async (from: number, to: number): Promise<Uint8Array> => {
      if (whole !== undefined) return whole.subarray(from, to)
      return tail !== undefined && from === meta.size - tail.length ? tail : fetch(from, to)
    }
    const file = await ParquetFile.open(read, meta.size, meta.footerSize, meta.checksums?.footer, this.#bucket.gapBytes)
    const opened = { file, columnOf: new Map(file.columns.map(({ path }, i) => [plainPath(path), i])) }
    const wholeBytes = isSmall ? meta.size : 0
    this.#blocks.set(meta.blockId, opened, 4096 + file.columns.length * 200 * file.rowGroups.length + wholeBytes)
    return opened
  }

  /** One for each row group. */
  async rows(meta: BlockMeta, isOneOfMany = true): Promise<BlockRows[]> {
    const opened = await this.#open(meta, isOneOfMany)
    const allPaths = [...opened.columnOf.keys()]
    return opened.file.rowGroups.map(({ rows, from, to }, group) => ({
      rows,
      isInMemory: false,
      dedicated: meta.dedicated,
      bytes: to - from,
      paths: allPaths,
      columns: paths => this.#readColumns(meta, opened, group, paths),
      ...this.#aheadOf(meta, opened, group),
    }))
  }

  /** One request for all that a query will want; where requests are cheap, what it does not get to is not read. */
  #aheadOf(meta: BlockMeta, opened: OpenedBlock, group: number): Pick<TraceRows, 'ahead'> {
    if (this.#bucket.gapBytes === undefined) return {}
    return {
      ahead: paths => {
        this.#readColumns(meta, opened, group, paths).catch(() => {})
      },
    }
  }

  async #readColumns(
    { blockId }: BlockMeta,
    { file, columnOf }: OpenedBlock,
    group: number,
    paths: readonly string[],
  ): Promise<ReadonlyMap<string, ColumnData>> {
    const out = new Map<string, ColumnData>()
    const coming = new Map<number, Promise<ReadonlyMap<number, ColumnData>>>()
    const missing: number[] = []
    for (const path of paths) {
      const number = columnOf.get(path)
      if (number === undefined) continue
      const key = `${blockId} ${group} ${number}`
      const known = this.#columns.get(key)
      const underWay = known === undefined ? this.#underWay.get(key) : undefined
      if (known !== undefined) out.set(path, known)
      else if (underWay !== undefined) coming.set(number, underWay)
      else missing.push(number)
    }
    if (missing.length > 0) {
      const reading = this.#fetchColumns(blockId, file, group, missing)
      for (const number of missing) coming.set(number, reading)
    }
    for (const [number, reading] of coming) {
      const data = (await reading).get(number)
      if (data !== undefined) out.set(plainPath(data.column.path), data)
    }
    return out
  }

  #fetchColumns(
    blockId: string,
    file: ParquetFile,
    group: number,
    numbers: readonly number[],
  ): Promise<ReadonlyMap<number, ColumnData>> {
    const keyOf = (number: number): string => `${blockId} ${group} ${number}`
    const reading = file
      .read(group, numbers)
      .then(read => {
        for (const [number, data] of read) this.#columns.set(keyOf(number), data, heldBytes(data))
        return read
      })
      .finally(() => {
        for (const number of numbers) this.#underWay.delete(keyOf(number))
      })
    // Who waits for other columns first may fail by those, and never come to these.
    reading.catch(() => {})
    for (const number of numbers) this.#underWay.set(keyOf(number), reading)
    return reading
  }

  async #mayHave(meta: BlockMeta, id: Uint8Array): Promise<boolean> {
    const known = await this.#joined.mayHave(meta, id)
    if (known !== undefined) return known
    const shard = shardOf(id, meta.bloomShards)
    const key = `${meta.blockId} ${shard}`
    let filter = this.#blooms.get(key)
    if (filter === undefined) {
      filter = await this.#bloom(meta, shard)
      this.#blooms.set(key, filter, filter.heldBytes)
    }
    return filter.mayHave(id)
  }

  async #bloom(meta: BlockMeta, shard: number): Promise<BloomFilter> {
    this.#reads++
    const bytes = await this.#bucket.get(`${blockPrefix(meta.tenant, meta.blockId)}bloom-${shard}`)
    const checksum = meta.checksums?.blooms[shard]
    if (checksum !== undefined && crc32(bytes) !== checksum)
      throw new CorruptDataError(`bloom-${shard} has a wrong checksum`)
    return new BloomFilter(bytes)
  }

  /**
   * What the block has of a trace. A row group that is damaged is reported and left out, with `isData`; a filter is
   * reported and not used.
   */
  async find(
    meta: BlockMeta,
    id: Uint8Array,
    onDamage: (error: Error, isData: boolean) => Promise<void>,
    held?: HeldGroups,
  ): Promise<Trace | undefined> {
    const guarded = async <T>(isData: boolean, fallback: T, work: () => Promise<T>): Promise<T> => {
      try {
        return await work()
      } catch (error) {
        if (!isDamage(error)) throw error
        await onDamage(error, isData)
        return fallback
      }
    }
    if (!(await guarded(false, true, () => this.#mayHave(meta, id)))) return undefined
    const groups = await this.rows(meta, false)
    for (let group = 0; group < groups.length; group++) {
      const found = await guarded(true, undefined, () => this.#findIn(meta, group, groups[group]!, id, held))
      if (found !== undefined) return found
    }
    return undefined
  }

  async #findIn(
    meta: BlockMeta,
    group: number,
    rows: BlockRows,
    id: Uint8Array,
    held: HeldGroups | undefined,
  ): Promise<Trace | undefined> {
    const { file, columnOf } = await this.#open(meta)
    const ids = (await rows.columns(['TraceID'])).get('TraceID')
    if (ids === undefined || columnOf.get('TraceID') === undefined)
      throw new CorruptDataError(`block ${meta.blockId}: no column of trace ids`)
    const row = findRow(ids, id)
    if (row < 0) return undefined
    const { dedicated } = meta
    if (held === undefined) return new RowAssembler(await file.readRow(group, row), dedicated).row(row).trace
    const read = (): Promise<ColumnData[]> => file.readGroup(group)
    return held.trace({ key: `${meta.blockId} ${group}`, dedicated, read, bytesOf: heldBytes }, row)
  }

  /** Everything of a row group, in the order of the file's columns. */
  async whole(meta: BlockMeta): Promise<{ rows: number; columns: ColumnData[] }[]> {
    const { file } = await this.#open(meta)
    const groups: { rows: number; columns: ColumnData[] }[] = []
    for (let group = 0; group < file.rowGroups.length; group++)
      groups.push({ rows: file.rowGroups[group]!.rows, columns: await file.readGroup(group) })
    return groups
  }

  /** Reads and checks all of the block, nothing of which is kept. Throws CorruptDataError and NotFoundError. */
  async verify(meta: BlockMeta, pause: () => Promise<void>): Promise<void> {
    this.forget(meta)
    const { file } = await this.#open(meta)
    this.forget(meta)
    for (let group = 0; group < file.rowGroups.length; group++) {
      await file.readGroup(group)
      await pause()
    }
    for (let shard = 0; shard < meta.bloomShards; shard++) await this.#bloom(meta, shard)
  }

  /** Nothing of the block is kept. */
  forget(meta: BlockMeta): void {
    this.#blocks.delete(meta.blockId)
  }
}

/** A footer as it stands at the end of its file. */
function withFileEnd(footer: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(footer.length + 8)
  bytes.set(footer)
  new DataView(bytes.buffer).setUint32(footer.length, footer.length, true)
  bytes.set(Buffer.from('PAR1'), footer.length + 4)
  return bytes
}

/** Ids ascend. */
function findRow(ids: ColumnData, id: Uint8Array): number {
  let low = 0
  let high = ids.count - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const order = Buffer.compare(bytesAt(ids, middle), id)
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return -1
}
