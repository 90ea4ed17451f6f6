/** Loki's and Tempo's own configuration files: for compose, and for who starts them by hand. */
import { hostOf } from './release.ts'
import { hoursOf, type Stack } from './stack.ts'
import { defined } from './tree.ts'

const idVariable = '${S3_ACCESS_KEY_ID}',
  keyVariable = '${S3_SECRET_ACCESS_KEY}'

export function lokiConfig(stack: Stack): Record<string, unknown> {
  const { s3 } = stack
  return defined({
    auth_enabled: false,
    analytics: { reporting_enabled: false },
    server: { http_listen_port: 3100, grpc_listen_port: 9095, log_format: 'json' },
    common: {
      path_prefix: '/loki',
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' } },
      storage:
        s3 === undefined
          ? { filesystem: { chunks_directory: '/loki/chunks', rules_directory: '/loki/rules' } }
          : {
              s3: {
                endpoint: s3.endpoint === '' ? undefined : hostOf(s3.endpoint),
                region: s3.region,
                bucketnames: s3.buckets.logs,
                access_key_id: idVariable,
                secret_access_key: keyVariable,
                s3forcepathstyle: s3.endpoint !== '',
                insecure: s3.endpoint.startsWith('http://'),
              },
            },
    },
    schema_config: {
      configs: [
        {
          from: '2020-01-01',
          store: 'tsdb',
          object_store: s3 === undefined ? 'filesystem' : 's3',
          schema: 'v13',
          index: { prefix: 'index_', period: '24h' },
        },
      ],
    },
    ingester: { chunk_idle_period: '2m', max_chunk_age: '5m', wal: { enabled: true, dir: '/loki/wal' } },
    limits_config: {
      retention_period: `${hoursOf(stack.retention.logs)}h`,
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

export function tempoConfig(stack: Stack): Record<string, unknown> {
  const { s3 } = stack
  return defined({
    usage_report: { reporting_enabled: false },
    server: { http_listen_port: 3200, grpc_listen_port: 9095, log_format: 'json' },
    distributor: {
      receivers: { otlp: { protocols: { grpc: { endpoint: '0.0.0.0:4317' }, http: { endpoint: '0.0.0.0:4318' } } } },
    },
    ingester: { max_block_duration: '5m', trace_idle_period: '10s' },
    compactor: { compaction: { block_retention: `${hoursOf(stack.retention.traces)}h` } },
    storage: {
      trace:
        s3 === undefined
          ? { backend: 'local', local: { path: '/var/tempo/traces' }, wal: { path: '/var/tempo/wal' } }
          : {
              backend: 's3',
              wal: { path: '/var/tempo/wal' },
              s3: {
                bucket: s3.buckets.traces,
                endpoint: s3.endpoint === '' ? `s3.${s3.region}.amazonaws.com` : hostOf(s3.endpoint),
                region: s3.region,
                access_key: idVariable,
                secret_key: keyVariable,
                forcepathstyle: s3.endpoint !== '',
                insecure: s3.endpoint.startsWith('http://'),
              },
            },
    },
    metrics_generator: stack.signals.includes('metrics')
      ? {
          storage: {
            path: '/var/tempo/generator',
            remote_write: [{ url: 'http://metrics-store:8428/api/v1/push', send_exemplars: true }],
          },
        }
      : undefined,
    overrides: stack.signals.includes('metrics')
      ? { defaults: { metrics_generator: { processors: ['service-graphs', 'span-metrics'] } } }
      : undefined,
  })
}
