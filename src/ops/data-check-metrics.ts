/** Checks blocks of metrics: every checksum, and what meta.json, index and chunks say of each other. */
import type { Bucket } from '#bucket/bucket.ts'
import { isUlid, makeUlid } from '#codec/ulid.ts'
import { messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { isDamage } from '#core/omissions.ts'
import { reservedFor } from '#core/tenant-name.ts'
import { decodeMeta, encodeMeta, externalLabelsOf, type BlockMeta } from '#metrics/block-meta.ts'
import { BlockReader } from '#metrics/block-reader.ts'
import { BlockWriter, type ChunkMeta } from '#metrics/block-writer.ts'
import { markName } from '#metrics/deletion-marks.ts'
import { encodeColumns } from '#metrics/merge.ts'
import { removeDeleted } from '#metrics/tombstones.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { marked, uploadMarkName } from '#store/upload-mark.ts'
import { damageOf, isOld, quarantine, type DataCheck, type FindingKind } from './data-check.ts'

/** What is in a block, or in the readable part of it. */
interface Contents {
  minMs: number
  /** Exclusive. */
  maxMs: number
  samples: number
  histograms: number
  series: number
  chunks: number
}

const seriesAtOnce = 256

export async function checkMetrics(check: DataCheck): Promise<void> {
  for (const tenant of await check.bucket.listDirectories('')) {
    if (reservedFor(tenant) !== undefined) continue
    for (const id of await check.bucket.listDirectories(`${tenant}/`))
      if (isUlid(id)) await new BlockCheck(check, tenant, id).run()
  }
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
    this.#prefix = `${tenant}/${id}/`
  }

  async run(): Promise<void> {
    const { bucket } = this.#check
    const objects = await bucket.list(this.#prefix)
    const has = (name: string): boolean => objects.some(({ key }) => key === this.#prefix + name)
    const isLeaving = has(markName)
    if (!has('meta.json') && (!has('index') || has(uploadMarkName) || isLeaving)) return this.#orphan(has('index'))
    const known = await this.#meta()
    const reader = this.#reader(known ?? emptyMeta(this.#id))
    const whole = await damageOf(() => reader.check())
    if (whole !== undefined && isLeaving) return this.#orphan(false)
    if (whole !== undefined) return this.#lost(whole)
    const part = await damageOf(() => reader.verify(this.#check.pause))
    if (part !== undefined && isLeaving) return this.#orphan(false)
    if (part !== undefined) return this.#rewrite(reader, known, part)
    if (known === undefined) return this.#rebuildMeta(reader)
    const { minMs, maxMs } = await contentsOf(reader, false)
    if (minMs < known.minTime || maxMs > known.maxTime)
      await this.#rebuildMeta(reader, `meta.json covers less time than the index does (${minMs} to ${maxMs})`)
  }

  #found(kind: FindingKind, name: string, reason: string, done?: string): void {
    const key = this.#prefix + name
    this.#check.onFinding({ signal: 'metrics', kind, key, reason, ...(done === undefined ? {} : { done }) })
  }

  async #meta(): Promise<BlockMeta | undefined> {
    try {
      return decodeMeta(await this.#check.bucket.get(`${this.#prefix}meta.json`), this.#id)
    } catch (error) {
      const isOfData = error instanceof Error && 'kind' in error && error.kind === 'bad-data'
      if (!isDamage(error) && !isOfData) throw error
      this.#metaProblem = messageOf(error)
      return undefined
    }
  }
  #metaProblem = ''

  #reader(meta: BlockMeta): BlockReader {
    return new BlockReader(meta, filesOf(this.#check.bucket, this.#prefix))
  }

  /** `isReadable`: it could be a block. */
  async #orphan(isReadable: boolean): Promise<void> {
    const { bucket, isRepair, nowMs } = this.#check
    const objects = await bucket.list(this.#prefix)
    const keys = objects.map(({ key }) => key)
    const mayGo = isRepair && isOld(objects, nowMs)
    if (mayGo && isReadable) await quarantine(bucket, this.#tenant, keys)
    else if (mayGo) for (const key of keys) await bucket.delete(key)
    const done = isReadable ? 'quarantined' : 'removed'
    this.#found('orphan', '', 'a block that was not uploaded or not removed to its end', mayGo ? done : undefined)
  }

  /** Labels are in the index alone: without it, or without what was deleted, a block is no block. */
  async #lost(error: Error): Promise<void> {
    const { bucket, isRepair } = this.#check
    if (isRepair) {
      const keys = (await bucket.list(this.#prefix)).map(object => object.key)
      await quarantine(bucket, this.#tenant, keys)
    }
    const reason = `${error.message}; the labels are nowhere else, so nothing can be made again`
    this.#found('damaged', '', reason, isRepair ? 'quarantined' : undefined)
  }

  async #rebuildMeta(reader: BlockReader, reason = this.#metaProblem): Promise<void> {
    const { bucket, isRepair } = this.#check
    if (isRepair) {
      const sizes = new Map((await bucket.list(this.#prefix)).map(o => [o.key.slice(this.#prefix.length), o.bytes]))
      const meta = metaOf(this.#tenant, this.#id, await contentsOf(reader, true), sizes, {
        level: 1,
        sources: [this.#id],
      })
      await bucket.put(`${this.#prefix}meta.json`, encodeMeta(meta))
    }
    this.#found('damaged', 'meta.json', reason, isRepair ? 'rebuilt' : undefined)
  }

  /** What can be read becomes a block of its own, and the damaged one goes aside. */
  async #rewrite(reader: BlockReader, known: BlockMeta | undefined, error: Error): Promise<void> {
    const { bucket, files, random, nowMs, isRepair, workDirectory } = this.#check
    let done: string | undefined
    if (isRepair) {
      const id = makeUlid(nowMs, random)
      const directory = `${workDirectory}/${id}`
      const written = await salvage(files, directory, reader, this.#check.pause)
      done = 'quarantined'
      if (written !== undefined) {
        const own = `${this.#tenant}/${id}/`
        const level = known?.compaction.level ?? 1
        const compaction = { level, sources: known?.compaction.sources ?? [this.#id] }
        // It does not say that it covers the log: what it lacks may be there still.
        const meta = metaOf(this.#tenant, id, written.contents, written.sizes, compaction)
        await marked(bucket, own, async () => {
          for (const name of written.sizes.keys()) await bucket.putFile(own + name, `${directory}/${name}`)
          await bucket.put(`${own}meta.json`, encodeMeta(meta))
        })
        done = `quarantined; what can be read is block ${id}`
      }
      const keys = (await bucket.list(this.#prefix)).map(object => object.key)
      await quarantine(bucket, this.#tenant, keys)
      await files.removeDirectory(directory)
    }
    this.#found('damaged', '', error.message, done)
  }
}

function filesOf(bucket: Bucket, prefix: string) {
  return {
    read: (name: string) => bucket.get(prefix + name),
    readRange: (name: string, offset: number, length: number) => bucket.getRange(prefix + name, offset, length),
  }
}

function emptyMeta(ulid: string): BlockMeta {
  return { ulid, minTime: 0, maxTime: 0, stats: {}, compaction: { level: 1, sources: [ulid] }, version: 1 }
}

function metaOf(
  tenant: string,
  ulid: string,
  { minMs, maxMs, samples, histograms, series, chunks }: Contents,
  sizes: ReadonlyMap<string, number>,
  compaction: BlockMeta['compaction'],
): BlockMeta {
  const files = [...sizes].filter(([name]) => name === 'index' || name.startsWith('chunks/'))
  return {
    ulid,
    minTime: minMs,
    maxTime: maxMs,
    stats: {
      numSamples: samples,
      numFloatSamples: samples - histograms,
      numHistogramSamples: histograms,
      numSeries: series,
      numChunks: chunks,
    },
    compaction,
    version: 1,
    thanos: {
      version: 1,
      labels: externalLabelsOf(tenant),
      downsample: { resolution: 0 },
      source: 'bucket.repair',
      segment_files: files.filter(([name]) => name !== 'index').map(([name]) => name.slice('chunks/'.length)),
      files: [...files.map(([name, bytes]) => ({ rel_path: name, size_bytes: bytes })), { rel_path: 'meta.json' }],
    },
    tercet: {},
  }
}

/** `withSamples`: counts them, for which every chunk is read. */
async function contentsOf(reader: BlockReader, withSamples: boolean): Promise<Contents> {
  const found = await reader.select([])
  const out: Contents = { minMs: Infinity, maxMs: -Infinity, samples: 0, histograms: 0, series: found.count, chunks: 0 }
  for (let i = 0; i < found.chunkCount; i++) {
    out.minMs = Math.min(out.minMs, found.minMs[i]!)
    out.maxMs = Math.max(out.maxMs, found.maxMs[i]! + 1)
  }
  out.chunks = found.chunkCount
  const columns = new SampleColumns()
  for (let from = 0; withSamples && from < found.count; from += seriesAtOnce) {
    const members = Array.from({ length: Math.min(seriesAtOnce, found.count - from) }, (_, i) => from + i)
    const loaded = await reader.chunks(found, members, -Infinity, Infinity)
    for (let place = 0; place < members.length; place++) {
      columns.clear()
      loaded.decode(place, columns)
      out.samples += columns.count
      out.histograms += columns.histograms?.filter(h => h !== undefined).length ?? 0
    }
  }
  return out
}

/** Writes what can be read of a block; undefined when that is nothing. */
async function salvage(
  files: Files,
  directory: string,
  reader: BlockReader,
  pause: () => Promise<void>,
): Promise<{ contents: Contents; sizes: Map<string, number> } | undefined> {
  const symbols = await reader.symbols()
  const numberOf = new Map(symbols.map((symbol, i) => [Buffer.from(symbol).toString('utf8'), i]))
  const deleted = await reader.tombstones()
  const found = await reader.select([])
  const writer = await BlockWriter.open(files, directory, symbols)
  const contents: Contents = { minMs: Infinity, maxMs: -Infinity, samples: 0, histograms: 0, series: 0, chunks: 0 }
  const columns = new SampleColumns()
  for (let from = 0; from < found.count; from += seriesAtOnce) {
    const members = Array.from({ length: Math.min(seriesAtOnce, found.count - from) }, (_, i) => from + i)
    const loaded = await reader.chunks(found, members, -Infinity, Infinity, undefined, () => {})
    for (let place = 0; place < members.length; place++) {
      columns.clear()
      if ((await damageOf(async () => loaded.decode(place, columns))) !== undefined) continue
      removeDeleted(columns, 0, deleted.get(found.refs[from + place]!) ?? [])
      columns.normalize(-Infinity, Infinity)
      const metas: ChunkMeta[] = []
      for (const chunk of encodeColumns(columns)) {
        metas.push({ minMs: chunk.minMs, maxMs: chunk.maxMs, ref: await writer.addChunk(chunk.encoding, chunk.bytes) })
        contents.minMs = Math.min(contents.minMs, chunk.minMs)
        contents.maxMs = Math.max(contents.maxMs, chunk.maxMs + 1)
        contents.samples += chunk.samples
        if (chunk.encoding !== 1) contents.histograms += chunk.samples
      }
      const labels = found.labels[from + place]!.pairs.map(text => numberOf.get(text) ?? 0)
      if (metas.length > 0) await writer.addSeries(labels, metas)
    }
    await pause()
  }
  await writer.finish()
  if (writer.seriesCount === 0) return undefined
  const sizes = new Map(writer.segmentFiles.map(file => [`chunks/${file.name}`, file.bytes]))
  sizes.set('index', writer.indexBytes)
  return { contents: { ...contents, series: writer.seriesCount, chunks: writer.chunkCount }, sizes }
}
