/**
 * `bucket-index.json.gz`, by which Mimir and Cortex know a tenant's blocks: read so that a start need not ask for each
 * meta.json. It may be late, damaged or missing: then it says less, and nothing depends on it.
 */
import { gunzip } from 'node:zlib'
import { promisify } from 'node:util'
import { isAway, type Bucket } from '#bucket/bucket.ts'
import { isUlid } from '#codec/ulid.ts'
import { encodeUtf8 } from '#core/text.ts'

const unpack = promisify(gunzip)
/** A tenant's index of 100,000 blocks has 30 MB. */
const indexBytesMax = 256 * 1024 * 1024

interface IndexedBlock {
  block_id?: unknown
  min_time?: unknown
  max_time?: unknown
  compaction_level?: unknown
}

/** By block: what its meta.json would say of it. Empty where there is no index that can be used. */
export async function readBucketIndex(bucket: Bucket, tenant: string): Promise<Map<string, Uint8Array>> {
  const metas = new Map<string, Uint8Array>()
  for (const block of await indexedBlocks(bucket, tenant)) {
    const { block_id: ulid, min_time: minTime, max_time: maxTime, compaction_level: level } = block
    if (typeof ulid !== 'string' || !isUlid(ulid) || typeof minTime !== 'number' || typeof maxTime !== 'number')
      continue
    const compaction = { level: typeof level === 'number' && level > 0 ? level : 1, sources: [ulid] }
    metas.set(ulid, encodeUtf8(JSON.stringify({ version: 1, ulid, minTime, maxTime, stats: {}, compaction })))
  }
  return metas
}

async function indexedBlocks(bucket: Bucket, tenant: string): Promise<IndexedBlock[]> {
  try {
    const packed = await bucket.get(`${tenant}/bucket-index.json.gz`)
    const text = (await unpack(packed, { maxOutputLength: indexBytesMax })).toString('utf8')
    const { blocks } = JSON.parse(text) as { blocks?: unknown }
    return Array.isArray(blocks) ? blocks.filter(isObject) : []
  } catch (error) {
    if (isAway(error)) throw error
    return []
  }
}

function isObject(value: unknown): value is IndexedBlock {
  return typeof value === 'object' && value !== null
}
