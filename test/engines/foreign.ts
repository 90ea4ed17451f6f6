/**
 * Cortex (in Mimir's place), Loki and Tempo as processes on this machine, each on a bucket of a real S3 server, with
 * what they do in hours done in seconds; and a user of that server who may only read.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { cephKeys, type Ceph } from '../ceph.ts'
import { until } from '../until.ts'
import { put, queryStoreAfterPath } from './cortex.ts'
import { enginePath } from './programs.ts'
import { freePort } from '../free-port.ts'

export interface Engine {
  url: string
  /** What it said. */
  output: () => string
  stop(): Promise<void>
}

type Settings = Record<string, unknown>

/** Starts a program with a configuration file; resolves when `path` answers 200. */
async function startEngine(
  name: string,
  directory: string,
  port: number,
  settings: Settings,
  readyPath = '/ready',
): Promise<Engine> {
  mkdirSync(directory, { recursive: true })
  const file = join(directory, 'config.yaml')
  // YAML is a superset of JSON.
  writeFileSync(file, JSON.stringify(settings))
  const child = spawn(enginePath(name)!, [`-config.file=${file}`], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GOMEMLIMIT: '700MiB' },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      appendFileSync(join(directory, 'output.log'), chunk)
    })
  const url = `http://127.0.0.1:${port}`
  let isEnded = false
  const ended = new Promise<never>((_, reject) =>
    child.once('exit', code => {
      isEnded = true
      reject(new Error(`${name} ended with ${code}: ${output.slice(0, 3000)} … ${output.slice(-3000)}`))
    }),
  )
  ended.catch(() => {})
  const ready = until(
    async () => (isEnded || (await fetch(url + readyPath)).ok ? true : undefined),
    `${name} is ready`,
    120,
  )
  await Promise.race([ready, ended]).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  return { url, output: () => output, stop: () => stopped(child) }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 40_000)
  await ended
  clearTimeout(timer)
}

const inMemory = { kvstore: { store: 'inmemory' }, instance_addr: '127.0.0.1' }
const hostOf = (ceph: Ceph): string => `127.0.0.1:${ceph.port}`

/** Blocks of thirty seconds, merged to a minute and two; marked blocks go after ten seconds. */
export async function startCortex(ceph: Ceph, bucket: string, directory: string): Promise<Engine> {
  const port = await freePort()
  const ring = { ring: inMemory }
  const empty = join(directory, 'empty')
  mkdirSync(empty, { recursive: true })
  const config = {
    auth_enabled: true,
    target: 'all',
    server: { http_listen_port: port, grpc_listen_port: await freePort(), http_listen_address: '127.0.0.1' },
    blocks_storage: {
      backend: 's3',
      s3: {
        endpoint: hostOf(ceph),
        region: 'us-east-1',
        bucket_name: bucket,
        access_key_id: cephKeys.accessKeyId,
        secret_access_key: cephKeys.secretAccessKey,
        insecure: true,
        bucket_lookup_type: 'path',
      },
      tsdb: {
        dir: join(directory, 'tsdb'),
        block_ranges_period: ['30s'],
        retention_period: '2m',
        ship_interval: '3s',
        head_compaction_interval: '3s',
        head_chunks_write_queue_size: 0,
      },
      bucket_store: {
        sync_dir: join(directory, 'sync'),
        sync_interval: '3s',
        ignore_deletion_mark_delay: '0s',
        bucket_index: { enabled: true, update_on_error_interval: '1s' },
      },
    },
    querier: { active_query_tracker_dir: join(directory, 'queries') },
    compactor: {
      data_dir: join(directory, 'compactor'),
      block_ranges: ['1m', '2m'],
      compaction_interval: '5s',
      cleanup_interval: '5s',
      deletion_delay: '10s',
      consistency_delay: '0s',
      sharding_ring: inMemory,
    },
    distributor: ring,
    ingester: { lifecycler: { ring: { kvstore: { store: 'inmemory' }, replication_factor: 1 }, address: '127.0.0.1' } },
    store_gateway: { sharding_enabled: false },
    ruler: { rule_path: join(directory, 'rules'), ring: inMemory },
    ruler_storage: { backend: 'local', local: { directory: empty } },
    alertmanager: { data_dir: join(directory, 'alertmanager'), external_url: 'http://localhost/alertmanager' },
    alertmanager_storage: { backend: 'local', local: { path: empty } },
  }
  put(config, queryStoreAfterPath(), '0s')
  return startEngine('cortex', directory, port, config)
}

export interface LokiPeriod {
  from: string
  schema: string
  store?: 'tsdb' | 'boltdb-shipper'
}

/** Chunks are cut after two idle seconds, indexes merged every ten, chunks deleted five seconds after their index. */
export async function startLoki(
  ceph: Ceph,
  bucket: string,
  directory: string,
  periods: readonly LokiPeriod[],
  isMultiTenant = false,
): Promise<Engine> {
  const port = await freePort()
  const s3 = {
    endpoint: hostOf(ceph),
    region: 'us-east-1',
    access_key_id: cephKeys.accessKeyId,
    secret_access_key: cephKeys.secretAccessKey,
    insecure: true,
  }
  const shipper = (name: string): Settings => ({
    active_index_directory: join(directory, name, 'active'),
    cache_location: join(directory, name, 'cache'),
    resync_interval: '5s',
  })
  return startEngine('loki', directory, port, {
    auth_enabled: isMultiTenant,
    server: { http_listen_port: port, grpc_listen_port: await freePort(), http_listen_address: '127.0.0.1' },
    common: {
      path_prefix: directory,
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' }, instance_addr: '127.0.0.1' },
    },
    schema_config: {
      configs: periods.map(({ from, schema, store = 'tsdb' }) => ({
        from,
        schema,
        store,
        object_store: 's3',
        index: { prefix: store === 'tsdb' ? 'loki_index_' : 'index_', period: '24h' },
      })),
    },
    storage_config: {
      use_thanos_objstore: true,
      object_store: { s3: { ...s3, bucket_name: bucket, bucket_lookup_type: 'path' } },
      tsdb_shipper: shipper('tsdb'),
      boltdb_shipper: shipper('boltdb'),
    },
    ingester: {
      chunk_idle_period: '2s',
      max_chunk_age: '20s',
      flush_check_period: '1s',
      chunk_retain_period: '0s',
      wal: { dir: join(directory, 'wal'), flush_on_shutdown: true },
    },
    limits_config: {
      allow_structured_metadata: periods.every(({ schema }) => schema >= 'v13'),
      reject_old_samples: false,
      retention_period: '720h',
      volume_enabled: true,
      deletion_mode: 'filter-and-delete',
      discover_service_name: [],
    },
    compactor: {
      working_directory: join(directory, 'compactor'),
      compaction_interval: '5s',
      apply_retention_interval: '5s',
      retention_enabled: true,
      retention_delete_delay: '5s',
      delete_request_store: 's3',
      delete_request_cancel_period: '1s',
    },
    analytics: { reporting_enabled: false },
  })
}

/** Blocks are cut after ten seconds, merged every five, and go half a minute after they were merged. */
export async function startTempo(
  ceph: Ceph,
  bucket: string,
  directory: string,
  version: string,
): Promise<Engine & { otlp: string }> {
  const [port, otlp] = [await freePort(), await freePort()]
  const engine = await startEngine('tempo', directory, port, {
    server: { http_listen_port: port, grpc_listen_port: await freePort(), http_listen_address: '127.0.0.1' },
    distributor: { receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${otlp}` } } } } },
    ingester: {
      max_block_duration: '5s',
      trace_idle_period: '1s',
      flush_check_period: '1s',
      complete_block_timeout: '20s',
      lifecycler: { ring: { kvstore: { store: 'inmemory' }, replication_factor: 1 }, address: '127.0.0.1' },
    },
    compactor: {
      compaction: { compaction_cycle: '5s', compacted_block_retention: '30s', block_retention: '1h' },
      ring: inMemory,
    },
    // What is in the bucket is searched there, however young it is.
    query_frontend: { search: { query_backend_after: '0s', query_ingesters_until: '30m' } },
    usage_report: { reporting_enabled: false },
    storage: {
      trace: {
        backend: 's3',
        blocklist_poll: '5s',
        block: { version },
        wal: { path: join(directory, 'wal') },
        local: { path: join(directory, 'blocks') },
        s3: {
          bucket,
          endpoint: hostOf(ceph),
          access_key: cephKeys.accessKeyId,
          secret_key: cephKeys.secretAccessKey,
          insecure: true,
          forcepathstyle: true,
        },
      },
    },
  })
  return { ...engine, otlp: `http://127.0.0.1:${otlp}` }
}

export const readerKeys = { id: 'reader', secret: 'readreadread' } as const

/** A user of the server who may GET and LIST what the buckets have, and nothing else. */
export async function makeReader(ceph: Ceph, directory: string, buckets: readonly string[]): Promise<void> {
  const keys = ['--access-key=reader', '--secret-key=readreadread']
  const user = ['-c', join(directory, 'ceph.conf'), 'user', 'create', '--uid=reader', '--display-name=reader']
  const made = spawnSync('radosgw-admin', user.concat(keys))
  if (made.status !== 0) throw new Error(`no user: ${made.stderr.toString().slice(-500)}`)
  for (const Bucket of buckets) {
    const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`]
    const Action = ['s3:GetObject', 's3:ListBucket', 's3:GetBucketLocation']
    const statement = { Effect: 'Allow', Principal: { AWS: ['arn:aws:iam:::user/reader'] }, Action, Resource }
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    await ceph.client.send(new PutBucketPolicyCommand({ Bucket, Policy }))
  }
}

/** What the reader asked of the server, by verb, as its own log of accesses has it; `bucket`: of that one. */
export function requestsOfReader(directory: string, bucket = ''): Record<string, number> {
  const counts: Record<string, number> = {}
  const log = readFileSync(join(directory, 'log', 'client.rgw.log'), 'latin1')
  for (const [, verb, path] of log.matchAll(/ - reader \[[^\]]*\] "(\w+) (\S+) HTTP/g)) {
    if (bucket !== '' && !new RegExp(`^/${bucket}[/?]`).test(path!)) continue
    const name = verb === 'GET' && path!.includes('list-type=2') ? 'LIST' : verb!
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
