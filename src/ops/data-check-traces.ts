/** Checks blocks of traces: every checksum, and what meta.json, data and filters say of each other. */
import { uploadMarkName } from '#store/upload-mark.ts'
import { bytesAt, type ColumnData } from '#codec/parquet/column-data.ts'
import { ParquetFile } from '#codec/parquet/file.ts'
import { crc32 } from 'node:zlib'
import { CorruptDataError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import { decodeMeta, encodeMeta, isBlockId, type BlockMeta } from '#traces/block-meta.ts'
import { blockPrefix, buildBlock, deleteBlock, putBlock } from '#traces/block-writer.ts'
import { BloomFilter, encodeBlooms, shardOf } from '#traces/bloom.ts'
import { blockColumns, defaultDedicated, layoutOf, type BlockLayout } from '#traces/schema.ts'
import { damageOf, isOld, quarantine, type DataCheck, type FindingKind } from './data-check.ts'

export async function checkTraces(check: DataCheck): Promise<void> {
  for (const tenant of await check.bucket.listDirectories(''))
    for (const id of await check.bucket.listDirectories(`${tenant}/`))
      if (isBlockId(id)) await new BlockCheck(check, tenant, id).run()
}

/** A row group as it was read, whole. */
interface Group {
  rows: number
  columns: ColumnData[]
}

interface Data {
  file: ParquetFile
  size: number
  footerSize: number
  footer: number
  groups: Group[]
  /** Of groups that can't be read. */
  problems: string[]
}

class BlockCheck {
  readonly #check: DataCheck
  readonly #tenant: string
  readonly #id: string
  readonly #prefix: string

  constructor(check: DataCheck, tenant: string, id: string) {
    this.#check = check
    this.#tenant = tenant
    this.#id = id
    this.#prefix = blockPrefix(tenant, id)
  }

  async run(): Promise<void> {
    const objects = await this.#check.bucket.list(this.#prefix)
    const has = (name: string): boolean => objects.some(({ key }) => key === this.#prefix + name)
    // What was retired goes an hour later.
    if (has('meta.compacted.json')) return
    if (!has('meta.json') && (!has('data.parquet') || has(uploadMarkName))) return this.#orphan(has('data.parquet'))
    const known = await this.#meta()
    let data: Data | undefined
    const lost = await damageOf(async () => {
      data = await this.#read(known)
    })
    if (lost !== undefined || data === undefined) return this.#setAside(lost?.message ?? 'the data is gone')
    const layout = known === undefined ? layoutIn(data.file) : { format: known.format, dedicated: known.dedicated }
    if (layout === undefined)
      return this.#setAside(`${this.#metaProblem}; the columns of the data are not the usual ones`)
    if (data.problems.length > 0) return this.#rewrite(data, known, layout as BlockLayout)
    await this.#checkParts(data, known, layout as BlockLayout)
  }

  #found(kind: FindingKind, name: string, reason: string, done?: string): void {
    const key = this.#prefix + name
    this.#check.onFinding({ signal: 'traces', kind, key, reason, ...(done === undefined ? {} : { done }) })
  }

  /** `isReadable`: it could be a block. */
  async #orphan(isReadable: boolean): Promise<void> {
    const { bucket, isRepair, nowMs } = this.#check
    const objects = await bucket.list(this.#prefix)
    const mayGo = isRepair && isOld(objects, nowMs)
    if (mayGo && isReadable)
      await quarantine(
        bucket,
        this.#tenant,
        objects.map(({ key }) => key),
      )
    else if (mayGo) await deleteBlock(bucket, { tenant: this.#tenant, blockId: this.#id })
    const done = isReadable ? 'quarantined' : 'removed'
    this.#found('orphan', '', 'a block that was not uploaded or not removed to its end', mayGo ? done : undefined)
  }

  async #meta(): Promise<BlockMeta | undefined> {
    try {
      const meta = decodeMeta(await this.#check.bucket.get(`${this.#prefix}meta.json`))
      if (meta.blockId !== this.#id) throw new CorruptDataError(`meta.json names another block, ${meta.blockId}`)
      return { ...meta, tenant: this.#tenant }
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#metaProblem = error.message
      return undefined
    }
  }
  #metaProblem = ''

  async #read(known: BlockMeta | undefined): Promise<Data> {
    const { bucket } = this.#check
    const key = `${this.#prefix}data.parquet`
    const size = await bucket.size(key)
    if (known !== undefined && size !== known.size)
      throw new CorruptDataError(`data.parquet has ${size} bytes, meta.json promises ${known.size}`)
    const read = (from: number, to: number): Promise<Uint8Array> => bucket.getRange(key, from, to - from)
    const file = await ParquetFile.open(read, size, known?.footerSize, known?.checksums?.footer)
    const tail = await read(size - 8, size)
    const footerSize = new DataView(tail.buffer, tail.byteOffset, 8).getUint32(0, true)
    const footer = crc32(await read(size - 8 - footerSize, size - 8))
    const data: Data = { file, size, footerSize, footer, groups: [], problems: [] }
    for (let i = 0; i < file.rowGroups.length; i++) {
      const problem = await damageOf(async () => {
        data.groups.push({ rows: file.rowGroups[i]!.rows, columns: await file.readGroup(i) })
      })
      if (problem !== undefined) data.problems.push(problem.message)
      await this.#check.pause()
    }
    return data
  }

  async #setAside(reason: string): Promise<void> {
    const { bucket, isRepair } = this.#check
    if (isRepair) {
      const keys = (await bucket.list(this.#prefix)).map(object => object.key)
      await quarantine(bucket, this.#tenant, keys)
    }
    this.#found('damaged', '', reason, isRepair ? 'quarantined' : undefined)
  }

  /** Row groups that can be read become a block of their own, and the damaged one goes aside. */
  async #rewrite(data: Data, known: BlockMeta | undefined, layout: BlockLayout): Promise<void> {
    const { bucket, isRepair, random } = this.#check
    let done: string | undefined
    if (isRepair) {
      done = 'quarantined'
      if (data.groups.length > 0) {
        const times = timesOf(data.groups)
        const blockId = randomBlockId(() => random.u32())
        const plan = { blockId, tenant: this.#tenant, level: known?.level ?? 0, ...times, layout }
        await putBlock(bucket, await buildBlock(plan, data.groups, this.#check.pause))
        done = `quarantined; what can be read is block ${blockId}`
      }
      const keys = (await bucket.list(this.#prefix)).map(object => object.key)
      await quarantine(bucket, this.#tenant, keys)
    }
    this.#found('damaged', 'data.parquet', data.problems[0] ?? 'damaged', done)
  }

  /** All of the data is whole: what lies beside it can be made of it. */
  async #checkParts(data: Data, known: BlockMeta | undefined, layout: BlockLayout): Promise<void> {
    const { bucket, isRepair } = this.#check
    const ids = data.groups.flatMap(idsOf)
    const blooms = encodeBlooms(ids)
    const done = isRepair ? 'rebuilt' : undefined
    const shards = known?.bloomShards ?? blooms.length
    for (let shard = 0; shard < shards; shard++) {
      const problem = await damageOf(() => this.#checkBloom(shard, shards, known, ids))
      if (problem === undefined) continue
      const bloom = blooms[shard]
      if (isRepair && bloom !== undefined) await bucket.put(`${this.#prefix}bloom-${shard}`, bloom)
      this.#found('damaged', `bloom-${shard}`, problem.message, blooms.length === shards ? done : undefined)
    }
    const last = data.groups.map(group => Buffer.from(idsOf(group).at(-1)!).toString('base64'))
    const index = Buffer.from(JSON.stringify({ rowGroups: last }))
    if ((await damageOf(() => bucket.get(`${this.#prefix}index`))) !== undefined) {
      if (isRepair) await bucket.put(`${this.#prefix}index`, index)
      this.#found('missing', 'index', 'the list of row groups is gone', done)
    }
    const times = timesOf(data.groups)
    const isCovered = known !== undefined && known.startMs <= times.startMs + 1000 && known.endMs >= times.endMs - 1000
    const isRight = known !== undefined && isCovered && known.traces === ids.length
    if (isRight) return
    const reason = known === undefined ? this.#metaProblem : 'meta.json says another time or count than the data has'
    if (isRepair) {
      const meta = { blockId: this.#id, tenant: this.#tenant, level: known?.level ?? 0, ...layout, ...times }
      const { size, footerSize, footer, groups } = data
      const counts = { traces: ids.length, size, rowGroups: groups.length, bloomShards: blooms.length, footerSize }
      const checksums = { footer, blooms: blooms.map(bloom => crc32(bloom)) }
      for (let i = 0; i < blooms.length; i++) await bucket.put(`${this.#prefix}bloom-${i}`, blooms[i]!)
      await bucket.put(`${this.#prefix}meta.json`, encodeMeta({ ...meta, ...counts, checksums }))
    }
    this.#found('damaged', 'meta.json', reason, done)
  }

  async #checkBloom(
    shard: number,
    shards: number,
    known: BlockMeta | undefined,
    ids: readonly Uint8Array[],
  ): Promise<void> {
    const bytes = await this.#check.bucket.get(`${this.#prefix}bloom-${shard}`)
    const checksum = known?.checksums?.blooms[shard]
    if (checksum !== undefined && crc32(bytes) !== checksum) throw new CorruptDataError('wrong checksum')
    const filter = new BloomFilter(bytes)
    for (const id of ids)
      if (shardOf(id, shards) === shard && !filter.mayHave(id))
        throw new CorruptDataError(`the filter lacks trace ${Buffer.from(id).toString('hex')}`)
  }
}

function columnOf({ columns }: Group, path: string): ColumnData {
  const found = columns.find(c => c.column.path === path)
  if (found === undefined) throw new CorruptDataError(`parquet: no column ${path}`)
  return found
}

function idsOf(group: Group): Uint8Array[] {
  const ids = columnOf(group, 'TraceID')
  return Array.from({ length: group.rows }, (_, row) => bytesAt(ids, row).slice())
}

function timesOf(groups: readonly Group[]): { startMs: number; endMs: number } {
  let startNs = -1n
  let endNs = 0n
  for (const group of groups) {
    const starts = columnOf(group, 'StartTimeUnixNano').longs ?? []
    const ends = columnOf(group, 'EndTimeUnixNano').longs ?? []
    for (const ns of starts) if (startNs < 0n || BigInt.asUintN(64, ns) < startNs) startNs = BigInt.asUintN(64, ns)
    for (const ns of ends) if (BigInt.asUintN(64, ns) > endNs) endNs = BigInt.asUintN(64, ns)
  }
  const startMs = Number((startNs < 0n ? 0n : startNs) / 1_000_000n)
  return { startMs, endMs: Math.max(startMs, Number(endNs / 1_000_000n) + 1) }
}

/** Which columns have which attributes stands in meta.json alone: only the usual ones can be known without it. */
function layoutIn(file: ParquetFile): BlockLayout | undefined {
  const paths = file.columns.map(({ path }) => path).join()
  const layouts = (['vParquet5', 'vParquet4'] as const).flatMap(format => [
    layoutOf(format, defaultDedicated),
    layoutOf(format, []),
  ])
  return layouts.find(
    layout =>
      blockColumns(layout)
        .map(({ path }) => path)
        .join() === paths,
  )
}

function randomBlockId(u32: () => number): string {
  const bytes = Buffer.alloc(16)
  for (let i = 0; i < 4; i++) bytes.writeUInt32BE(u32(), i * 4)
  bytes[6] = (bytes[6]! & 15) | 64
  bytes[8] = (bytes[8]! & 63) | 128
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
