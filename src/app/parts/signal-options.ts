/** The options that the engines of all three signals have. */
import type { Bucket } from '#bucket/bucket.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { SignalOptions } from '#store/signal-frame.ts'
import type { Context } from '../context.ts'
import { defaultTenants } from '../tenancy.ts'

export function signalOptions(
  { config, world, isReader }: Context,
  signal: SignalName,
  bucket: Bucket,
  refreshMs: number,
): SignalOptions {
  const { clock, random, files, log } = world
  return {
    clock,
    random,
    files,
    log,
    bucket,
    directory: `${config.text('data_dir')}/${signal}`,
    defaultTenant: defaultTenants[signal],
    durability: config.text('durability') === 'bucket' ? 'bucket' : 'local',
    syncAlways: config.text('wal_sync') === 'always',
    retentionMs: config.durationMs(`${signal}.retention`),
    freeBytesMin: config.bytes('disk_free_min'),
    readOnly: isReader,
    refreshMs,
  }
}
