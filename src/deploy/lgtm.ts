/** The engine lgtm: Mimir, Loki and Tempo, one process each, on the buckets that Tercet writes. */
import { alertingOf } from './alerting.ts'
import { exporterReleases } from './exporters.ts'
import {
  containerSecurity,
  hostOf,
  podSecurity,
  policyOf,
  resources,
  secretsOf,
  storeService,
  type Plan,
  type Release,
} from './release.ts'
import type { SignalName } from '#core/signal-name.ts'
import {
  generatorStorage,
  hours,
  idVariable,
  keyVariable,
  lokiSchema,
  otlpReceivers,
  tempoFrontend,
  tempoOverrides,
  tempoStorage,
} from './lgtm-config.ts'
import type { Stack, StackS3 } from './stack.ts'
import { imageValues } from './tercet.ts'
import { defined, yamlText, type KubeObject } from './tree.ts'
import { charts, images } from './versions.ts'

const inMemory = { kvstore: { store: 'inmemory' } } as const

/**
 * What Tercet wrote today lies in the bucket and in no ingester of Mimir: blocks of the last ten hours are served, too,
 * and the querier asks for them. By default the day of the hand-over would be invisible until the evening.
 */
const sinceTheHandOver = { ignore_blocks_within: '0s' } as const

/**
 * Mimir's configuration that serves the blocks of a Tercet bucket. Credentials come from the environment
 * (-config.expand-env).
 */
export function mimirConfig(stack: Stack): Record<string, unknown> {
  const { s3 } = stack
  return defined({
    target: 'all',
    multitenancy_enabled: false,
    usage_stats: { enabled: false },
    // Its default lies in the working directory, which is read-only: Mimir would not start.
    activity_tracker: { filepath: '/data/metrics-activity.log' },
    server: { http_listen_port: 8080, grpc_listen_port: 9095, log_format: 'json' },
    ingest_storage: { enabled: false },
    common: { storage: mimirStorage(s3) },
    blocks_storage: {
      ...(s3 === undefined ? {} : { s3: { bucket_name: s3.buckets.metrics } }),
      tsdb: { dir: '/data/tsdb' },
      bucket_store: { sync_dir: '/data/tsdb-sync', ...sinceTheHandOver, sync_interval: '1m' },
    },
    querier: { query_store_after: '0s' },
    compactor: { data_dir: '/data/compactor', sharding_ring: inMemory, cleanup_interval: '5m' },
    distributor: { ring: inMemory },
    ingester: { ring: { ...inMemory, replication_factor: 1 } },
    store_gateway: { sharding_ring: { ...inMemory, replication_factor: 1 } },
    ruler: { rule_path: '/data/ruler', ring: inMemory },
    ruler_storage: { backend: 'local', local: { directory: '/etc/mimir-rules' } },
    limits: {
      compactor_blocks_retention_period: hours(stack.retention.metrics),
      out_of_order_time_window: '1h',
      max_global_series_per_user: 0,
      // None are kept by default; Grafana's links from samples to traces are made of them.
      max_global_exemplars_per_user: 100000,
      ingestion_rate: 200000,
      ingestion_burst_size: 400000,
    },
  })
}

function mimirStorage(s3: StackS3 | undefined): Record<string, unknown> {
  if (s3 === undefined) return { backend: 'filesystem', filesystem: { dir: '/data/blocks' } }
  return {
    backend: 's3',
    s3: {
      endpoint: s3.endpoint === '' ? `s3.${s3.region}.amazonaws.com` : hostOf(s3.endpoint),
      region: s3.region,
      access_key_id: idVariable,
      secret_access_key: keyVariable,
      insecure: s3.endpoint.startsWith('http://') ? true : undefined,
      bucket_lookup_type: s3.endpoint === '' ? undefined : 'path',
    },
  }
}

const meshAnnotations = (stack: Stack): Record<string, string> | undefined =>
  stack.isMeshed ? { 'linkerd.io/inject': 'enabled' } : undefined

/** The keys of the store, as variables of a container. */
const keysOf = (s3: StackS3 | undefined, signal: SignalName): Record<string, unknown>[] | undefined =>
  s3 === undefined ? undefined : [{ secretRef: { name: s3.secrets[signal] } }]

/** Loki's part of the values. */
function lokiSettings({ s3, retention }: Stack): Record<string, unknown> {
  return {
    auth_enabled: false,
    commonConfig: { replication_factor: 1 },
    schemaConfig: lokiSchema(s3),
    storage:
      s3 === undefined
        ? { type: 'filesystem' }
        : {
            type: 's3',
            bucketNames: { chunks: s3.buckets.logs, ruler: s3.buckets.logs },
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
      retention_period: hours(retention.logs),
      allow_structured_metadata: true,
      volume_enabled: true,
    },
    compactor: { retention_enabled: true, delete_request_store: s3 === undefined ? 'filesystem' : 's3' },
  }
}

/** Every value path is one of the chart's own values.yaml. */
export function lokiValues(stack: Stack): Record<string, unknown> {
  const { s3, persistence } = stack
  const off = { enabled: false }
  const none = { replicas: 0 }
  return defined({
    fullnameOverride: 'loki',
    deploymentMode: 'Monolithic',
    loki: lokiSettings(stack),
    singleBinary: {
      replicas: 1,
      resources: resources('200m', '512Mi', '1536Mi'),
      persistence: persistence.isOn
        ? { enabled: true, size: persistence.size, storageClass: persistence.storageClass || undefined }
        : off,
      extraEnvFrom: keysOf(s3, 'logs'),
      podAnnotations: meshAnnotations(stack),
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
  })
}

/** Every value path is one of the chart's own values.yaml. */
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
      storage: { trace: tempoStorage(s3) },
      receivers: otlpReceivers,
      // In the bucket within ten minutes.
      ingester: { max_block_duration: '5m', trace_idle_period: '10s' },
      queryFrontend: tempoFrontend,
      ...generatorValues(stack),
      securityContext: containerSecurity,
      extraArgs: { 'config.expand-env': true },
      extraEnvFrom: keysOf(s3, 'traces'),
    },
    persistence: persistence.isOn
      ? { enabled: true, size: persistence.size, storageClassName: persistence.storageClass || undefined }
      : { enabled: false },
    podAnnotations: meshAnnotations(stack),
  })
}

/** The generator does nothing for a tenant without processors. */
function generatorValues(stack: Stack): Record<string, unknown> {
  if (!stack.signals.includes('metrics')) return { metricsGenerator: { enabled: false } }
  return { metricsGenerator: { enabled: true, storage: generatorStorage }, overrides: tempoOverrides }
}

function mimirValues(stack: Stack): Record<string, unknown> {
  return defined({
    // The chart takes both names from the release otherwise, which in an umbrella is the umbrella's.
    global: { nameOverride: 'mimir', fullnameOverride: 'mimir' },
    controllers: {
      mimir: {
        type: 'statefulset',
        replicas: 1,
        annotations: { 'reloader.stakater.com/auto': 'true' },
        pod: stack.isMeshed ? { annotations: meshAnnotations(stack) } : undefined,
        statefulset: stack.persistence.isOn ? { volumeClaimTemplates: [mimirClaim(stack)] } : undefined,
        containers: { app: mimirContainer(stack) },
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
      ...(stack.persistence.isOn ? {} : { data: { type: 'emptyDir', globalMounts: [{ path: '/data' }] } }),
    },
  })
}

function mimirClaim({ persistence }: Stack): Record<string, unknown> {
  return {
    name: 'data',
    accessMode: 'ReadWriteOnce',
    size: persistence.size,
    storageClass: persistence.storageClass || undefined,
    globalMounts: [{ path: '/data' }],
  }
}

function mimirContainer({ s3 }: Stack): Record<string, unknown> {
  const probe = (spec: Record<string, unknown>): Record<string, unknown> => ({ enabled: true, custom: true, spec })
  const ready = { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 10 }
  return {
    image: images.mimir,
    args: ['-config.file=/etc/mimir/mimir.yaml', '-config.expand-env=true'],
    envFrom: keysOf(s3, 'metrics'),
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'grpc', containerPort: 9095 },
    ],
    probes: {
      startup: probe({ ...ready, failureThreshold: 30 }),
      readiness: probe({ ...ready, timeoutSeconds: 5, failureThreshold: 6 }),
      liveness: probe({ tcpSocket: { port: 8080 }, periodSeconds: 10, failureThreshold: 6 }),
    },
    resources: resources('200m', '512Mi', '1536Mi'),
    securityContext: containerSecurity,
  }
}

/** A Service with the name and the port of the gateway that the documents have. */
function gatewayOf(stack: Stack, name: string, targetPort: number): KubeObject[] {
  if (!stack.hasAliases) return []
  const spec = { type: 'ClusterIP', selector: podsOf(name), ports: [{ name: 'http', port: 80, targetPort }] }
  return [{ apiVersion: 'v1', kind: 'Service', metadata: { name: `${name}-gateway` }, spec }]
}

/** Values of kube-prometheus-stack, by `valuesFrom`, so that it sends its samples here. */
function prometheusValues(): KubeObject {
  const remoteWrite = {
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
  }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'kube-prometheus-stack-remote-write',
      annotations: { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' },
    },
    data: { 'values.yaml': yamlText({ prometheus: { prometheusSpec: { remoteWrite: [remoteWrite] } } }) },
  }
}

/** An application of its own: without the Prometheus operator's CustomResourceDefinitions it alone fails. */
export const storeMonitor: KubeObject = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'ServiceMonitor',
  metadata: { name: 'metrics-store' },
  spec: {
    selector: { matchLabels: { 'app.kubernetes.io/name': 'metrics-store' } },
    endpoints: [{ port: 'http', path: '/metrics', interval: '30s' }],
  },
}

const podsOf = (name: string): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/instance': name,
})

/** Mimir, Loki and Tempo, and Tercet's agents where they are on. */
export function planLgtm(stack: Stack): Plan {
  const releases: Release[] = []
  if (stack.signals.includes('logs')) releases.push(lokiRelease(stack))
  if (stack.signals.includes('traces')) releases.push(tempoRelease(stack))
  if (stack.signals.includes('metrics')) releases.push(mimirRelease(stack))
  // What it scrapes needs somewhere to go.
  if (stack.agent.isOn && stack.signals.includes('metrics')) releases.push(agentRelease(stack))
  return { releases: [...releases, ...exporterReleases(stack)], warnings: lgtmWarnings(stack) }
}

function lokiRelease(stack: Stack): Release {
  return {
    name: 'loki',
    chart: charts.loki,
    values: lokiValues(stack),
    dependsOn: [],
    secrets: secretsOf(stack, 'logs'),
    makes: [],
    services: { loki: [3100, 9095] },
    objects: {
      'service.yaml': [
        storeService('logs', podsOf('loki'), [{ name: 'http', port: 3100, targetPort: 3100 }]),
        ...gatewayOf(stack, 'loki', 3100),
      ],
      ...policyOf(stack, 'loki', { matchLabels: podsOf('loki') }, [3100, 9095]),
    },
  }
}

function tempoRelease(stack: Stack): Release {
  return {
    name: 'tempo',
    chart: charts.tempo,
    values: tempoValues(stack),
    dependsOn: [],
    secrets: secretsOf(stack, 'traces'),
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
      ...policyOf(stack, 'tempo', { matchLabels: podsOf('tempo') }, [3200, 4317, 4318]),
    },
  }
}

function mimirRelease(stack: Stack): Release {
  return {
    name: 'mimir',
    chart: charts.appTemplate,
    values: mimirValues(stack),
    dependsOn: [],
    secrets: secretsOf(stack, 'metrics'),
    makes: [],
    services: { mimir: [8080, 9095] },
    objects: {
      'service.yaml': [
        storeService('metrics', podsOf('mimir'), [
          { name: 'http', port: 8428, targetPort: 8080 },
          { name: 'http-mimir', port: 8080, targetPort: 8080 },
        ]),
        ...gatewayOf(stack, 'mimir', 8080),
      ],
      'prometheus-values.yaml': [prometheusValues()],
      ...policyOf(stack, 'mimir', { matchLabels: podsOf('mimir') }, [8080, 9095]),
    },
  }
}

/** Tercet's agents go on scraping: the chart without its server. */
function agentRelease(stack: Stack): Release {
  return {
    name: `${stack.name}-agent`,
    chart: 'tercet',
    secrets: [],
    services: {},
    makes: [],
    objects: {},
    dependsOn: ['mimir'],
    values: defined({
      fullnameOverride: stack.name,
      image: imageValues(stack),
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
      text:
        'Mimir takes samples at /api/v1/push and queries below /prometheus; change senders that write to ' +
        '/api/v1/write',
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
      text:
        'Tempo 2.x reads blocks of vParquet4: have traces.block_version: vParquet4 in Tercet for as long as ' +
        'traces are kept before you change over, or run a Tempo 3',
    },
  ]
  if (alertingOf(stack).kind !== 'none')
    warnings.push({
      name: 'alerting-unused',
      text: 'nobody evaluates rules here and nobody is told of alerts: bring a ruler and an Alertmanager of your own',
    })
  if (!stack.persistence.isOn)
    warnings.push({
      name: 'wal-on-emptydir',
      text:
        'persistence is off: what Mimir, Loki and Tempo have not put into S3 yet (Mimir: up to two hours) dies ' +
        'with the node',
    })
  if (stack.s3 === undefined)
    warnings.push({
      name: 'no-bucket',
      text:
        'no s3 is configured: the data lies on volumes of the cluster, and Mimir, Loki and Tempo can have one ' +
        'process each',
    })
  return warnings
}
