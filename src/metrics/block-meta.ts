/** meta.json of a block: what Prometheus, Mimir and Thanos read of it, and one member of our own that they ignore. */
import { BadDataError } from '#core/errors.ts'
import { isUlid } from '#codec/ulid.ts'
import { checkSeal, sealMeta } from '#store/sealed-meta.ts'

export interface BlockMeta {
  ulid: string
  /** [minTime, maxTime) */
  minTime: number
  maxTime: number
  stats: {
    numSamples?: number
    numFloatSamples?: number
    numHistogramSamples?: number
    numSeries?: number
    numChunks?: number
    numTombstones?: number
  }
  compaction: {
    level: number
    sources: string[]
    parents?: { ulid: string; minTime: number; maxTime: number }[]
    deletable?: boolean
    failed?: boolean
    hints?: string[]
  }
  version: number
  thanos?: {
    version: number
    labels: Record<string, string>
    downsample: { resolution: number }
    source: string
    segment_files: string[]
    files: { rel_path: string; size_bytes?: number }[]
  }
  /** Ours: up to which WAL record each block range (by its start) is in here. */
  tercet?: { walThrough?: Record<string, number>; checksum?: number }
}

/** Throws BadDataError for anything that is not a usable meta.json, CorruptDataError for a wrong checksum. */
export function decodeMeta(bytes: Uint8Array, id: string): BlockMeta {
  let meta: BlockMeta
  try {
    meta = JSON.parse(Buffer.from(bytes).toString('utf8')) as BlockMeta
  } catch (error) {
    throw new BadDataError(`block ${id}: meta.json is not JSON`, { cause: error })
  }
  checkSeal(meta)
  if (meta.version !== 1) throw new BadDataError(`block ${id}: meta.json has version ${meta.version}, 1 is understood`)
  if (!isUlid(meta.ulid) || !Number.isFinite(meta.minTime) || !Number.isFinite(meta.maxTime))
    throw new BadDataError(`block ${id}: meta.json lacks ulid, minTime or maxTime`)
  if (meta.ulid !== id) throw new BadDataError(`block ${id}: meta.json names another block, ${meta.ulid}`)
  return { ...meta, stats: meta.stats ?? {}, compaction: meta.compaction ?? { level: 1, sources: [meta.ulid] } }
}

export function encodeMeta(meta: BlockMeta): Uint8Array {
  return sealMeta({ ...meta }, '\t')
}
