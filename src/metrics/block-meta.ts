/** meta.json of a block: what Prometheus, Mimir and Thanos read of it, and one member of our own that they ignore. */
import { BadDataError } from '#core/errors.ts'
import { compareText } from '#core/text.ts'
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
    version?: number
    /** Every series of the block has them beside its own. */
    labels?: Record<string, string>
    /** Milliseconds; 0: the samples are as they came. */
    downsample?: { resolution?: number }
    source?: string
    segment_files?: string[]
    files?: { rel_path: string; size_bytes?: number }[]
  }
  tercet?: {
    /** Up to which WAL record, by writer, each block range (by its start) is in here. A bare number is of old. */
    walThrough?: Record<string, Record<string, number> | number>
    /** By parent: how many deletions from it are in here; none where it is not named. */
    deletions?: Record<string, number>
    checksum?: number
  }
}

/**
 * Cortex and Thanos merge no blocks without external labels. Cortex' own blocks have this one; it and Mimir show it to
 * nobody.
 */
export function externalLabelsOf(tenant: string): Record<string, string> {
  return { __org_id__: tenant }
}

/**
 * Name, value, …: labels that each series of the block has beside its own, in order of their names. Those of Mimir and
 * Cortex, which begin with two underscores, say something of the block instead.
 */
export function externalLabels({ thanos }: BlockMeta): string[] {
  return Object.entries(thanos?.labels ?? {})
    .filter(([name, value]) => !name.startsWith('__') && typeof value === 'string')
    .sort(([a], [b]) => compareText(a, b))
    .flat()
}

/** Chunks of such blocks hold sums and counts of intervals instead of samples; they can't be read here. */
export function isDownsampled({ thanos }: BlockMeta): boolean {
  return (thanos?.downsample?.resolution ?? 0) > 0
}

/** By the start of a block range and by writer: the WAL record up to which the block has the range's samples. */
export type WalThrough = Map<string, Map<string, number>>

export function walThroughOf({ tercet }: BlockMeta): WalThrough {
  const found: WalThrough = new Map()
  for (const [start, through] of Object.entries(tercet?.walThrough ?? {}))
    found.set(start, new Map(typeof through === 'number' ? [['', through]] : Object.entries(through)))
  return found
}

/** Adds what `more` covers to `into`. */
export function addWalThrough(
  into: WalThrough,
  more: Iterable<readonly [string, Iterable<readonly [string, number]>]>,
) {
  for (const [start, byWriter] of more) {
    const known = into.get(start) ?? new Map<string, number>()
    for (const [writer, through] of byWriter) known.set(writer, Math.max(known.get(writer) ?? -1, through))
    into.set(start, known)
  }
}

/** As meta.json has it. */
export function encodeWalThrough(through: WalThrough): Record<string, Record<string, number>> {
  return Object.fromEntries(Array.from(through, ([start, byWriter]) => [start, Object.fromEntries(byWriter)]))
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
