/** What is in the bucket, as a table or JSON. */
import { isUlid } from '#codec/ulid.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { decodeMeta } from '#metrics/block-meta.ts'
import { listBlocks } from '#store/catalogue.ts'

export async function inspectBucket(bucket: Bucket, json: boolean): Promise<string> {
  const { found } = await listBlocks(bucket, isUlid, () => false)
  const rows = []
  for (const { tenant, id, meta: bytes } of found) {
    const meta = decodeMeta(bytes, id)
    const objects = await bucket.list(`${tenant}/${id}/`)
    rows.push({ tenant, block: id, from: new Date(meta.minTime).toISOString(), to: new Date(meta.maxTime).toISOString(), level: meta.compaction.level, series: meta.stats.numSeries ?? 0, samples: meta.stats.numSamples ?? 0, bytes: objects.reduce((sum, o) => sum + o.bytes, 0) })
  }
  if (json) return `${JSON.stringify({ bucket: bucket.description, blocks: rows })}\n`
  if (rows.length === 0) return `${bucket.description}: no blocks\n`
  const header = `${'TENANT'.padEnd(12)} ${'BLOCK'.padEnd(26)} ${'FROM'.padEnd(24)} ${'TO'.padEnd(24)} LEVEL ${'SERIES'.padStart(9)} ${'SAMPLES'.padStart(12)} ${'BYTES'.padStart(12)}`
  return `${[header, ...rows.map(r => `${r.tenant.padEnd(12)} ${r.block} ${r.from} ${r.to} ${String(r.level).padStart(5)} ${String(r.series).padStart(9)} ${String(r.samples).padStart(12)} ${String(r.bytes).padStart(12)}`)].join('\n')}\n`
}
