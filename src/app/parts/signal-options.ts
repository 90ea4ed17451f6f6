/** The options that the engines of all three signals have. */
import { defaultTenants } from '#api/tenancy.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { BadDataError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { SignalOptions } from '#store/signal-frame.ts'
import { retentionMsOf } from '../buckets.ts'
import type { Config } from '../config.ts'
import { prepareBucket, type Context } from '../context.ts'

/** For how long an answer of an object store about its writer is good: each answer is a request that costs. */
const leaseMs = 5000

/** The log of a bucket in a directory is written so often, unless the configuration says otherwise. */
const directoryIntervalMs = 200

/** A process that only reads finds within a minute what others write, the time of its look included. */
const readerLooksEveryMs = 40_000

/**
 * How often a signal looks into its bucket: listing a directory costs nothing, an object store is only asked often by
 * who does not write it. `writerMs`: how often its writer asks it.
 */
export function refreshMsOf({ isReader }: Pick<Context, 'isReader'>, bucket: Bucket, writerMs: number): number {
  if (isReader) return readerLooksEveryMs
  return bucket instanceof DirectoryBucket ? 60_000 : writerMs
}

/** Senders do not wait longer for an answer. */
const intervalMsMax = 60_000

/**
 * Of `durability: bucket`: writes to a directory cost nothing, those to an object store are paid for. Throws
 * BadDataError.
 */
export function commitIntervalMsOf(config: Config, bucket: Bucket): number {
  if (bucket instanceof DirectoryBucket && !config.isSet('durability_interval')) return directoryIntervalMs
  const intervalMs = config.durationMs('durability_interval')
  if (intervalMs <= intervalMsMax) return intervalMs
  throw new BadDataError('durability_interval: pushes wait so long for their answer; it may be one minute at most')
}

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
    onJoined: () => {
      context.formats.noteJoined(signal, bucket)
    },
    leaseMs: bucket instanceof DirectoryBucket ? 0 : leaseMs,
    directory: `${config.text('data_dir')}/${signal}`,
    defaultTenant: defaultTenants[signal],
    durability: config.text('durability') === 'bucket' ? 'bucket' : 'local',
    commitIntervalMs: commitIntervalMsOf(config, bucket),
    syncAlways: config.text('wal_sync') === 'always',
    retentionMs: retentionMsOf(config, signal),
    overrides: context.overrides,
    usage: context.usage[signal],
    admitMemory: () => {
      context.memory.account('heads').admit()
    },
    tenantsMax: context.limits.tenantsMax,
    freeBytesMin: config.bytes('disk_free_min'),
    readOnly: isReader,
    refreshMs,
    roundEveryMs: world.roundEveryMs,
  }
}
