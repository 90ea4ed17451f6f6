/**
 * Loki's and Tempo's own configuration files, for compose and for those who start them by hand, and what their charts
 * share with them.
 */
import { hostOf } from './release.ts'
import { hoursOf, type Stack, type StackS3 } from './stack.ts'
import { defined } from './tree.ts'

/** Variables of the environment that the programs expand. */
export const idVariable = '${S3_ACCESS_KEY_ID}'
export const keyVariable = '${S3_SECRET_ACCESS_KEY}'

/** A retention in hours, as all three take it. */
export const hours = (retention: string): string => `${hoursOf(retention)}h`

/** What Tempo makes of spans, for the service map and for the way from traces to metrics. */
export const tempoOverrides = {
  defaults: { metrics_generator: { processors: ['service-graphs', 'span-metrics'] } },
} as const

/** Where Tempo's generator keeps its samples until the store of metrics has them. */
export const generatorStorage = {
  path: '/var/tempo/generator',
  remote_write: [{ url: 'http://metrics-store:8428/api/v1/push', send_exemplars: true }],
} as const

/**
 * What Tercet wrote a moment ago lies in the bucket and in no ingester of Tempo: it is looked for there from the first
 * second on. By default the last quarter of an hour is not.
 */
export const tempoFrontend = {
  search: { query_backend_after: '0s' },
  metrics: { query_backend_after: '0s' },
} as const

/** The schema of a Tercet bucket. */
export function lokiSchema(s3: StackS3 | undefined): Record<string, unknown> {
  const objectStore = s3 === undefined ? 'filesystem' : 's3'
  const index = { prefix: 'index_', period: '24h' }
  return { configs: [{ from: '2020-01-01', store: 'tsdb', object_store: objectStore, schema: 'v13', index }] }
}

function lokiStorage(s3: StackS3 | undefined): Record<string, unknown> {
  if (s3 === undefined) return { filesystem: { chunks_directory: '/loki/chunks', rules_directory: '/loki/rules' } }
  return {
    s3: {
      endpoint: s3.endpoint === '' ? undefined : hostOf(s3.endpoint),
      region: s3.region,
      bucketnames: s3.buckets.logs,
      access_key_id: idVariable,
      secret_access_key: keyVariable,
      s3forcepathstyle: s3.endpoint !== '',
      insecure: s3.endpoint.startsWith('http://'),
    },
  }
}

/** loki.yaml that serves the chunks of a Tercet bucket. */
export function lokiConfig(stack: Stack): Record<string, unknown> {
  const { s3 } = stack
  return defined({
    auth_enabled: false,
    analytics: { reporting_enabled: false },
    // As its chart has them: a flush of everything takes longer than half a minute to answer.
    server: {
      http_listen_port: 3100,
      grpc_listen_port: 9095,
      log_format: 'json',
      http_server_read_timeout: '10m',
      http_server_write_timeout: '10m',
    },
    common: {
      path_prefix: '/loki',
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' } },
      storage: lokiStorage(s3),
    },
    schema_config: lokiSchema(s3),
    // Paths that don't follow path_prefix: their defaults lie in the working directory, or at the root.
    ruler: { rule_path: '/loki/rules-temp', wal: { dir: '/loki/ruler-wal' } },
    // Behind 3.7 `storage` above is not read unless this says so.
    storage_config: { use_thanos_objstore: false, bloom_shipper: { working_directory: '/loki/blooms' } },
    ingester: { chunk_idle_period: '2m', max_chunk_age: '5m', wal: { enabled: true, dir: '/loki/wal' } },
    limits_config: {
      retention_period: hours(stack.retention.logs),
      allow_structured_metadata: true,
      volume_enabled: true,
    },
    compactor: {
      working_directory: '/loki/compactor',
      retention_enabled: true,
      delete_request_store: s3 === undefined ? 'filesystem' : 's3',
    },
  })
}

/** Where Tempo keeps its blocks. */
export function tempoStorage(s3: StackS3 | undefined): Record<string, unknown> {
  const wal = { path: '/var/tempo/wal' }
  if (s3 === undefined) return { backend: 'local', local: { path: '/var/tempo/traces' }, wal }
  return {
    backend: 's3',
    wal,
    s3: {
      bucket: s3.buckets.traces,
      endpoint: s3.endpoint === '' ? `s3.${s3.region}.amazonaws.com` : hostOf(s3.endpoint),
      region: s3.region,
      access_key: idVariable,
      secret_key: keyVariable,
      forcepathstyle: s3.endpoint !== '',
      insecure: s3.endpoint.startsWith('http://'),
    },
  }
}

export const otlpReceivers = {
  otlp: { protocols: { grpc: { endpoint: '0.0.0.0:4317' }, http: { endpoint: '0.0.0.0:4318' } } },
} as const

/** tempo.yaml that serves the blocks of a Tercet bucket. */
export function tempoConfig(stack: Stack): Record<string, unknown> {
  const hasMetrics = stack.signals.includes('metrics')
  return defined({
    usage_report: { reporting_enabled: false },
    server: { http_listen_port: 3200, grpc_listen_port: 9095, log_format: 'json' },
    distributor: { receivers: otlpReceivers },
    query_frontend: tempoFrontend,
    ingester: { max_block_duration: '5m', trace_idle_period: '10s' },
    compactor: { compaction: { block_retention: hours(stack.retention.traces) } },
    storage: { trace: tempoStorage(stack.s3) },
    metrics_generator: hasMetrics ? { storage: generatorStorage } : undefined,
    overrides: hasMetrics ? tempoOverrides : undefined,
  })
}
