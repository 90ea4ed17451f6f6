/** The options that the engines of all three signals have. */
import type { Bucket } from '#bucket/bucket.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { SignalOptions } from '#store/signal-frame.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { prepareBucket, type Context } from '../context.ts'
import { defaultTenants } from '#api/tenancy.ts'

/** For how long an answer of an object store about its writer is good: each answer is a request that costs. */
const leaseMs = 5000

export function signalOptions(context: Context, signal: SignalName, bucket: Bucket, refreshMs: number): SignalOptions {
  const { config, world, isReader } = context
  const { clock, random, files, log } = world
  return {
    clock,
    random,
    files,
    log,
    bucket,
    prepareBucket: () => prepareBucket(context, signal, bucket),
    leaseMs: bucket instanceof DirectoryBucket ? 0 : leaseMs,
    directory: `${config.text('data_dir')}/${signal}`,
    defaultTenant: defaultTenants[signal],
    durability: config.text('durability') === 'bucket' ? 'bucket' : 'local',
    syncAlways: config.text('wal_sync') === 'always',
    retentionMs: config.durationMs(`${signal}.retention`),
    admitMemory: () => {
      context.memory.account('heads').admit()
    },
    tenantsMax: context.limits.tenantsMax,
    freeBytesMin: config.bytes('disk_free_min'),
    readOnly: isReader,
    refreshMs,
  }
}
