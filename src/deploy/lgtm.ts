/** The engine lgtm: Mimir, Loki and Tempo, one process each, on the buckets that Tercet writes. */
import {
  charts,
  containerSecurity,
  hostOf,
  networkPolicyOf,
  podSecurity,
  resources,
  storeService,
  type Plan,
  type Release,
} from './release.ts'
import { hoursOf, type Stack } from './stack.ts'
import { defined, yamlText, type KubeObject } from './tree.ts'

export const images = {
  mimir: { repository: 'docker.io/grafana/mimir', tag: '3.0.1' },
  loki: { repository: 'docker.io/grafana/loki', tag: '3.7.6' },
  tempo: { repository: 'docker.io/grafana/tempo', tag: '2.10.8' },
} as const

const hours = (text: string): string => `${hoursOf(text)}h`
const idVariable = '${S3_ACCESS_KEY_ID}',
  keyVariable = '${S3_SECRET_ACCESS_KEY}'

/** Mimir's configuration that serves the blocks of a Tercet bucket. Credentials come from the environment (-config.expand-env). */
export function mimirConfig(stack: Stack): Record<string, unknown> {
  const s3 = stack.s3
  return defined({
    target: 'all',
    multitenancy_enabled: false,
    usage_stats: { enabled: false },
    server: { http_listen_port: 8080, grpc_listen_port: 9095, log_format: 'json' },
    ingest_storage: { enabled: false },
    common: {
      storage:
        s3 === undefined
          ? { backend: 'filesystem', filesystem: { dir: '/data/blocks' } }
          : {
              backend: 's3',
              s3: {
                endpoint: s3.endpoint === '' ? `s3.${s3.region}.amazonaws.com` : hostOf(s3.endpoint),
                region: s3.region,
                access_key_id: idVariable,
                secret_access_key: keyVariable,
                insecure: s3.endpoint.startsWith('http://') ? true : undefined,
                bucket_lookup_type: s3.endpoint === '' ? undefined : 'path',
              },
            },
    },
    blocks_storage: {
      ...(s3 === undefined ? {} : { s3: { bucket_name: s3.buckets.metrics } }),
      tsdb: { dir: '/data/tsdb' },
      bucket_store: { sync_dir: '/data/tsdb-sync' },
    },
    compactor: { data_dir: '/data/compactor', sharding_ring: { kvstore: { store: 'inmemory' } } },
    distributor: { ring: { kvstore: { store: 'inmemory' } } },
    ingester: { ring: { kvstore: { store: 'inmemory' }, replication_factor: 1 } },
    store_gateway: { sharding_ring: { kvstore: { store: 'inmemory' }, replication_factor: 1 } },
    ruler: { rule_path: '/data/ruler', ring: { kvstore: { store: 'inmemory' } } },
    ruler_storage: { backend: 'local', local: { directory: '/etc/mimir-rules' } },
    limits: {
      compactor_blocks_retention_period: hours(stack.retention.metrics),
      out_of_order_time_window: '1h',
      max_global_series_per_user: 0,
      ingestion_rate: 200000,
      ingestion_burst_size: 400000,
    },
  })
}

export function lokiValues(stack: Stack): Record<string, unknown> {
  const { s3, persistence } = stack
  const off = { enabled: false },
    none = { replicas: 0 }
  return defined({
    fullnameOverride: 'loki',
    deploymentMode: 'Monolithic',
    loki: {
      auth_enabled: false,
      commonConfig: { replication_factor: 1 },
      schemaConfig: {
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
      storage:
        s3 === undefined
          ? { type: 'filesystem' }
          : {
              type: 's3',
              bucketNames: { chunks: s3.buckets.logs, ruler: s3.buckets.logs, admin: s3.buckets.logs },
              s3: {
                endpoint: s3.endpoint || undefined,
                region: s3.region,
                accessKeyId: idVariable,
                secretAccessKey: keyVariable,
                s3ForcePathStyle: s3.endpoint !== '',
                insecure: s3.endpoint.startsWith('http://'),
              },
            },
      // In the bucket within five minutes: smaller chunks, and more of them.
      ingester: { chunk_idle_period: '2m', max_chunk_age: '5m' },
      limits_config: {
        retention_period: hours(stack.retention.logs),
        allow_structured_metadata: true,
        volume_enabled: true,
      },
      compactor: { retention_enabled: true, delete_request_store: s3 === undefined ? 'filesystem' : 's3' },
    },
    singleBinary: {
      replicas: 1,
      resources: resources('200m', '512Mi', '1536Mi'),
      persistence: persistence.isOn
        ? { enabled: true, size: persistence.size, storageClass: persistence.storageClass || undefined }
        : { enabled: false },
      extraEnvFrom: s3 === undefined ? undefined : [{ secretRef: { name: s3.secrets.logs } }],
      podAnnotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
    },
    read: none,
    write: none,
    backend: none,
    gateway: off,
    chunksCache: off,
    resultsCache: off,
    lokiCanary: off,
    test: off,
    minio: off,
    sidecar: { rules: off },
    monitoring: { selfMonitoring: { enabled: false, grafanaAgent: { installOperator: false } } },
  })
}

export function tempoValues(stack: Stack): Record<string, unknown> {
  const { s3, persistence } = stack
  return defined({
    fullnameOverride: 'tempo',
    replicas: 1,
    tempo: {
      memBallastSizeMbs: 0,
      multitenancyEnabled: false,
      reportingEnabled: false,
      retention: hours(stack.retention.traces),
      resources: resources('100m', '256Mi', '1Gi'),
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
      receivers: { otlp: { protocols: { grpc: { endpoint: '0.0.0.0:4317' }, http: { endpoint: '0.0.0.0:4318' } } } },
      // In the bucket within ten minutes.
      ingester: { max_block_duration: '5m', trace_idle_period: '10s' },
      metricsGenerator: stack.signals.includes('metrics')
        ? { enabled: true, remoteWriteUrl: 'http://metrics-store:8428/api/v1/push' }
        : { enabled: false },
      extraArgs: { 'config.expand-env': true },
      extraEnvFrom: s3 === undefined ? undefined : [{ secretRef: { name: s3.secrets.traces } }],
    },
    persistence: persistence.isOn
      ? { enabled: true, size: persistence.size, storageClassName: persistence.storageClass || undefined }
      : { enabled: false },
    podAnnotations: stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined,
  })
}

function mimirValues(stack: Stack): Record<string, unknown> {
  const { s3, persistence } = stack,
    probe = (path: string): Record<string, unknown> => ({
      enabled: true,
      custom: true,
      spec: { httpGet: { path, port: 8080 }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    })
  return defined({
    controllers: {
      mimir: {
        type: 'statefulset',
        annotations: { 'reloader.stakater.com/auto': 'true' },
        pod: stack.isMeshed ? { annotations: { 'linkerd.io/inject': 'enabled' } } : undefined,
        statefulset: persistence.isOn
          ? {
              volumeClaimTemplates: [
                {
                  name: 'data',
                  accessMode: 'ReadWriteOnce',
                  size: persistence.size,
                  storageClass: persistence.storageClass || undefined,
                  globalMounts: [{ path: '/data' }],
                },
              ],
            }
          : undefined,
        containers: {
          app: {
            image: images.mimir,
            args: ['-config.file=/etc/mimir/mimir.yaml', '-config.expand-env=true'],
            envFrom: s3 === undefined ? undefined : [{ secretRef: { name: s3.secrets.metrics } }],
            probes: {
              startup: {
                enabled: true,
                custom: true,
                spec: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 10, failureThreshold: 30 },
              },
              readiness: probe('/ready'),
              liveness: {
                enabled: true,
                custom: true,
                spec: { tcpSocket: { port: 8080 }, periodSeconds: 10, failureThreshold: 6 },
              },
            },
            resources: resources('200m', '512Mi', '1536Mi'),
            securityContext: containerSecurity,
          },
        },
      },
    },
    defaultPodOptions: {
      securityContext: podSecurity,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 120,
    },
    service: { app: { controller: 'mimir', ports: { http: { port: 8080 }, grpc: { port: 9095 } } } },
    configMaps: { config: { data: { 'mimir.yaml': yamlText(mimirConfig(stack)) } } },
    persistence: {
      config: {
        type: 'configMap',
        identifier: 'config',
        globalMounts: [{ path: '/etc/mimir/mimir.yaml', subPath: 'mimir.yaml', readOnly: true }],
      },
      rules: { type: 'emptyDir', globalMounts: [{ path: '/etc/mimir-rules' }] },
      tmp: { type: 'emptyDir', globalMounts: [{ path: '/tmp' }] },
      ...(persistence.isOn ? {} : { data: { type: 'emptyDir', globalMounts: [{ path: '/data' }] } }),
    },
  })
}

/** For who scrapes with kube-prometheus-stack: its values, by `valuesFrom`, and a ServiceMonitor of the store. */
function prometheusSide(): readonly KubeObject[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'kube-prometheus-stack-remote-write',
        annotations: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' },
      },
      data: {
        'values.yaml': yamlText({
          prometheus: {
            prometheusSpec: {
              remoteWrite: [
                {
                  url: 'http://metrics-store:8428/api/v1/push',
                  sendExemplars: true,
                  sendNativeHistograms: true,
                  queueConfig: {
                    capacity: 10000,
                    maxSamplesPerSend: 2000,
                    maxShards: 20,
                    minBackoff: '30ms',
                    maxBackoff: '5s',
                    sampleAgeLimit: '2h',
                  },
                },
              ],
            },
          },
        }),
      },
    },
    {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'ServiceMonitor',
      metadata: { name: 'metrics-store' },
      spec: {
        selector: { matchLabels: { 'app.kubernetes.io/name': 'metrics-store' } },
        endpoints: [{ port: 'http', path: '/metrics', interval: '30s' }],
      },
    },
  ]
}

const podsOf = (name: string): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/instance': name,
})

export function planLgtm(stack: Stack): Plan {
  const policy = (name: string, ports: readonly number[]): Record<string, readonly KubeObject[]> =>
    stack.networkPolicy.isOn ? { 'networkpolicy.yaml': [networkPolicyOf(stack, name, podsOf(name), ports)] } : {}
  const secretOf = (signal: 'metrics' | 'logs' | 'traces'): Release['secrets'] =>
    stack.s3 === undefined ? [] : [{ signal, name: stack.s3.secrets[signal] }]
  const [prometheusValues, monitor] = prometheusSide()
  const all: Record<'logs' | 'traces' | 'metrics', Release> = {
    logs: {
      name: 'loki',
      chart: charts.loki,
      values: lokiValues(stack),
      dependsOn: [],
      secrets: secretOf('logs'),
      makes: [],
      services: { loki: [3100, 9095] },
      objects: {
        'service.yaml': [storeService('logs', podsOf('loki'), [{ name: 'http', port: 3100, targetPort: 3100 }])],
        ...policy('loki', [3100, 9095]),
      },
    },
    traces: {
      name: 'tempo',
      chart: charts.tempo,
      values: tempoValues(stack),
      dependsOn: [],
      secrets: secretOf('traces'),
      makes: [],
      services: { tempo: [3200, 4317, 4318] },
      objects: {
        'service.yaml': [
          storeService('traces', podsOf('tempo'), [
            { name: 'http', port: 3200, targetPort: 3200 },
            { name: 'otlp-grpc', port: 4317, targetPort: 4317 },
            { name: 'otlp-http', port: 4318, targetPort: 4318 },
          ]),
        ],
        ...policy('tempo', [3200, 4317, 4318]),
      },
    },
    metrics: {
      name: 'mimir',
      chart: charts.appTemplate,
      values: mimirValues(stack),
      dependsOn: [],
      secrets: secretOf('metrics'),
      makes: [],
      services: { mimir: [8080, 9095] },
      objects: {
        'service.yaml': [
          storeService('metrics', podsOf('mimir'), [
            { name: 'http', port: 8428, targetPort: 8080 },
            { name: 'http-mimir', port: 8080, targetPort: 8080 },
          ]),
        ],
        'prometheus-values.yaml': [prometheusValues!],
        'servicemonitor.yaml': [monitor!],
        ...policy('mimir', [8080, 9095]),
      },
    },
  }
  const releases = (['logs', 'traces', 'metrics'] as const)
    .filter(signal => stack.signals.includes(signal))
    .map(signal => all[signal])
  if (stack.agent.isOn) releases.push(agentRelease(stack))
  return { releases, warnings: lgtmWarnings(stack) }
}

/** Tercet's agents go on scraping: the chart without its server. */
function agentRelease(stack: Stack): Release {
  return {
    name: `${stack.name}-agent`,
    chart: charts.tercet,
    secrets: [],
    services: {},
    makes: [],
    objects: {},
    dependsOn: stack.signals.includes('metrics') ? ['mimir'] : [],
    values: defined({
      fullnameOverride: stack.name,
      image: { repository: stack.image.repository, tag: stack.image.tag },
      scrape: stack.scrape,
      server: { enabled: false },
      agent: { enabled: true, logs: stack.agent.isFollowingLogs ? true : undefined },
    }),
  }
}

function lgtmWarnings(stack: Stack): { name: string; text: string }[] {
  const warnings = [
    { name: 'mimir-chart', text: 'Mimir has no chart for one process; it is deployed by the generic app-template' },
    {
      name: 'write-path',
      text: 'Mimir takes samples at /api/v1/push and queries below /prometheus; who wrote to /api/v1/write must be told',
    },
    {
      name: 'logs-grpc',
      text: 'Loki takes OpenTelemetry over HTTP alone, at logs-store:3100/otlp/v1/logs; logs-store:4317 is gone',
    },
    {
      name: 'small-chunks',
      text: 'Loki cuts chunks after five minutes, so that they are in S3 in time: more and smaller objects',
    },
    {
      name: 'tempo-blocks',
      text: 'Tempo 2.x reads blocks of vParquet4: have traces.block_version: vParquet4 in Tercet for as long as traces are kept before you change over, or run a Tempo 3',
    },
  ]
  if (!stack.persistence.isOn)
    warnings.push({
      name: 'wal-on-emptydir',
      text: 'persistence is off: what Mimir, Loki and Tempo have not put into S3 yet (Mimir: up to two hours) dies with the node',
    })
  if (stack.s3 === undefined)
    warnings.push({
      name: 'no-bucket',
      text: 'no s3 is configured: the data lies on volumes of the cluster, and Mimir, Loki and Tempo can have one process each',
    })
  return warnings
}
