/** What a process with `role: query` would find in its buckets: looked at as it looks, and nothing is written. */
import { existsSync } from 'node:fs'
import type { Finding } from '#bucket/s3-admin.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { isUlid } from '#codec/ulid.ts'
import { systemClock } from '#core/clock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import { silentLog, type LogFields } from '#core/log.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { IndexCatalogue } from '#logs/index-catalogue.ts'
import { foundIndexes } from '#logs/found-indexes.ts'
import { listBlocks } from '#metrics/block-list.ts'
import { decodeMeta, type BlockMeta } from '#metrics/block-meta.ts'
import { foundBlocks as foundMetrics } from '#metrics/found-blocks.ts'
import { BlockList } from '#traces/block-list.ts'
import { foundBlocks as foundTraces } from '#traces/found-blocks.ts'
import { openBucket } from '#app/buckets.ts'
import type { Config } from '#app/config.ts'
import type { World } from '#app/world.ts'
import { isMissingDirectory } from './missing-directory.ts'

const finders: Readonly<Record<SignalName, (bucket: Bucket) => Promise<LogFields>>> = {
  metrics: findMetrics,
  logs: async bucket => {
    const catalogue = new IndexCatalogue(bucket, systemClock, silentLog)
    await catalogue.refresh()
    return foundIndexes(catalogue)
  },
  traces: async bucket => {
    const list = new BlockList(bucket, silentLog, systemClock, true)
    await list.refresh()
    return foundTraces(list)
  },
}

async function findMetrics(bucket: Bucket): Promise<LogFields> {
  const { found } = await listBlocks(bucket, { isId: isUlid, isForeign: true })
  const blocks: { tenant: string; meta: BlockMeta }[] = []
  let damaged = 0
  for (const { tenant, id, meta } of found) {
    try {
      blocks.push({ tenant, meta: decodeMeta(meta, id) })
    } catch {
      damaged++
    }
  }
  return foundMetrics(blocks, damaged)
}

/** A finding for each signal. */
export async function findInBuckets(config: Config, world: World): Promise<(Finding & { bucket: string })[]> {
  const findings: (Finding & { bucket: string })[] = []
  for (const signal of signals) {
    try {
      const bucket = await openBucket(config, world, signal)
      if (isNamed(config, signal) && isMissingDirectory(bucket))
        throw new NotFoundError(`${bucket.description}: no such directory`)
      const found = await finders[signal](bucket)
      findings.push({
        bucket: signal,
        check: 'read',
        level: 'good',
        found: `${bucket.description}: ${textOf(found)}`,
        advice: adviceOf(found),
      })
    } catch (error) {
      findings.push({ bucket: signal, check: 'read', level: 'bad', found: messageOf(error), advice: '' })
    }
  }
  return findings
}

/** Did somebody say where it is? A signal without a bucket is an empty directory, which need not be there. */
function isNamed(config: Config, signal: SignalName): boolean {
  const shared = config.text('bucket.dir')
  return config.text(`${signal}.bucket.dir`) !== '' || (shared !== '' && !existsSync(shared))
}

const textOf = (found: LogFields): string =>
  Object.entries(found)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')

function adviceOf({ tenants, boltdbNotRead, downsampledNotRead }: LogFields): string {
  const advice: string[] = []
  if (tenants === 'none') advice.push('nothing is there yet, or below another prefix')
  if (boltdbNotRead !== undefined) advice.push('days of boltdb-shipper are not served: answers about them say so')
  if (downsampledNotRead !== undefined) advice.push('downsampled blocks are not served')
  return advice.join('; ')
}
