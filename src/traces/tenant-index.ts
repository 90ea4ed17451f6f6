/**
 * `index.json.gz`, which Tempo writes for each tenant: the meta.json of all blocks, read so that a start need not ask
 * for each. It may be late, damaged or missing: then it says less, and nothing depends on it.
 */
import { gunzip } from 'node:zlib'
import { promisify } from 'node:util'
import { isAway, type Bucket } from '#bucket/bucket.ts'
import { encodeUtf8 } from '#core/text.ts'

const unpack = promisify(gunzip)
const indexBytesMax = 256 * 1024 * 1024

/** By block: its meta.json. Empty where there is no index that can be used. */
export async function readTenantIndex(bucket: Bucket, tenant: string): Promise<Map<string, Uint8Array>> {
  try {
    const packed = await bucket.get(`${tenant}/index.json.gz`)
    const text = (await unpack(packed, { maxOutputLength: indexBytesMax })).toString('utf8')
    const { meta } = JSON.parse(text) as { meta?: unknown }
    return new Map(Array.isArray(meta) ? meta.flatMap(metaOf) : [])
  } catch (error) {
    if (isAway(error)) throw error
    return new Map()
  }
}

function metaOf(value: unknown): [string, Uint8Array][] {
  const id = typeof value === 'object' && value !== null && 'blockID' in value ? value.blockID : undefined
  return typeof id === 'string' ? [[id, encodeUtf8(JSON.stringify(value))]] : []
}
