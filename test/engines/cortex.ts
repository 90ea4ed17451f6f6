/**
 * Cortex in Mimir's place: the same blocks, the same doors, other names of some keys. Its configuration is made from
 * the one that is rendered for Mimir, key by key: a key that has no counterpart here is an error.
 */
import { spawnSync } from 'node:child_process'
import { enginePath } from './programs.ts'

type Section = Record<string, unknown>

let storeAfterPath: string | undefined

/** Where Cortex has `query_store_after`: behind 1.21 it is a limit. */
export function queryStoreAfterPath(): string {
  if (storeAfterPath !== undefined) return storeAfterPath
  const { stdout, stderr } = spawnSync(enginePath('cortex')!, ['-help'], { encoding: 'utf8' })
  const isLimit = `${stdout}${stderr}`.includes('-limits.query-store-after')
  return (storeAfterPath = `${isLimit ? 'limits' : 'querier'}.query_store_after`)
}

/** A path of Mimir's file, and where Cortex has it; undefined: Cortex has no such thing, and needs none. */
const counterparts: Readonly<Record<string, string | undefined>> = {
  target: 'target',
  multitenancy_enabled: undefined,
  'usage_stats.enabled': undefined,
  // Both write a file into the working directory where they are not told otherwise, and end where they can't.
  'activity_tracker.filepath': 'querier.active_query_tracker_dir',
  'server.http_listen_port': 'server.http_listen_port',
  'server.grpc_listen_port': 'server.grpc_listen_port',
  'server.log_format': 'server.log_format',
  'ingest_storage.enabled': undefined,
  'common.storage.backend': 'blocks_storage.backend',
  'common.storage.filesystem.dir': 'blocks_storage.filesystem.dir',
  'common.storage.s3.endpoint': 'blocks_storage.s3.endpoint',
  'common.storage.s3.region': 'blocks_storage.s3.region',
  'common.storage.s3.access_key_id': 'blocks_storage.s3.access_key_id',
  'common.storage.s3.secret_access_key': 'blocks_storage.s3.secret_access_key',
  'common.storage.s3.insecure': 'blocks_storage.s3.insecure',
  'common.storage.s3.bucket_lookup_type': 'blocks_storage.s3.bucket_lookup_type',
  'blocks_storage.s3.bucket_name': 'blocks_storage.s3.bucket_name',
  'blocks_storage.tsdb.dir': 'blocks_storage.tsdb.dir',
  'blocks_storage.bucket_store.sync_dir': 'blocks_storage.bucket_store.sync_dir',
  'blocks_storage.bucket_store.ignore_blocks_within': 'blocks_storage.bucket_store.ignore_blocks_within',
  'blocks_storage.bucket_store.sync_interval': 'blocks_storage.bucket_store.sync_interval',
  'compactor.data_dir': 'compactor.data_dir',
  'compactor.cleanup_interval': 'compactor.cleanup_interval',
  'compactor.sharding_ring.kvstore.store': 'compactor.sharding_ring.kvstore.store',
  'distributor.ring.kvstore.store': 'distributor.ring.kvstore.store',
  'ingester.ring.kvstore.store': 'ingester.lifecycler.ring.kvstore.store',
  'ingester.ring.replication_factor': 'ingester.lifecycler.ring.replication_factor',
  'store_gateway.sharding_ring.kvstore.store': 'store_gateway.sharding_ring.kvstore.store',
  'store_gateway.sharding_ring.replication_factor': 'store_gateway.sharding_ring.replication_factor',
  'ruler.rule_path': 'ruler.rule_path',
  'ruler.ring.kvstore.store': 'ruler.ring.kvstore.store',
  'ruler_storage.backend': 'ruler_storage.backend',
  'ruler_storage.local.directory': 'ruler_storage.local.directory',
  'limits.compactor_blocks_retention_period': 'limits.compactor_blocks_retention_period',
  'limits.out_of_order_time_window': 'limits.out_of_order_time_window',
  'limits.max_global_series_per_user': 'limits.max_global_series_per_user',
  'limits.max_global_exemplars_per_user': 'limits.max_exemplars',
  'limits.ingestion_rate': 'limits.ingestion_rate',
  'limits.ingestion_burst_size': 'limits.ingestion_burst_size',
}

/** Values by path: `a.b.c`. */
export function leavesOf(section: Section, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(section).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? leavesOf(value as Section, `${prefix}${key}.`)
      : [[prefix + key, value] as [string, unknown]],
  )
}

export function put(section: Section, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop()!
  let at = section
  for (const key of keys) at = (at[key] ??= {}) as Section
  at[last] = value
}

/**
 * Of Mimir's configuration. It has tenants on, as Mimir has one of its own without them (`anonymous`; Cortex' is
 * `fake`): requests say who they are for, which a Service here adds. `more`: paths and values that a test wants.
 */
export function cortexConfig(mimir: Section, more: Readonly<Record<string, unknown>> = {}): Section {
  const config: Section = {
    auth_enabled: true,
    // What Mimir always has on.
    store_gateway: { sharding_enabled: true, sharding_ring: { wait_stability_min_duration: '0s' } },
    blocks_storage: { bucket_store: { bucket_index: { enabled: true } } },
    // Mimir's default; Cortex would wait half a minute before it answers to a shutdown.
    ingester: { lifecycler: { final_sleep: '0s' } },
    // Mimir's target `all` is without an Alertmanager.
    alertmanager: { data_dir: '/tmp/alertmanager', external_url: 'http://localhost/alertmanager' },
    alertmanager_storage: { backend: 'local', local: { path: '/tmp' } },
  }
  for (const [path, value] of leavesOf(mimir)) {
    if (path === 'querier.query_store_after') {
      put(config, queryStoreAfterPath(), value)
      continue
    }
    if (!(path in counterparts)) throw new Error(`${path} of Mimir's configuration has no counterpart of Cortex here`)
    const own = counterparts[path]
    if (own !== undefined) put(config, own, path === 'activity_tracker.filepath' ? `${String(value)}.d` : value)
  }
  for (const [path, value] of Object.entries(more)) put(config, path, value)
  return config
}

/** What Mimir does by itself without tenants. */
export const mimirTenant = { 'x-scope-orgid': 'anonymous' } as const
