/**
 * The Helm chart, rendered by a real Helm with many values, checked strictly: req-011 req-070 req-071 req-072 req-074
 * req-075 req-076 req-077 req-078 req-081 req-082 req-083 req-084 req-085 req-086 req-089 req-090 req-091 req-094
 * req-096 req-097 req-101 req-102 req-103 req-104 req-105 req-106 req-107 req-108 req-114 req-115 req-116 req-117
 * req-118 req-121 req-169 req-174.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isMap, isScalar, parse, parseDocument, stringify, type Node, type Pair } from 'yaml'
import { findUnresolved } from '#deploy/references.ts'
import type { KubeObject } from '#deploy/tree.ts'
import { valuesSchema } from '../../tools/values-schema.ts'
import { dataOf, hasHelm, helm, one, rendered, template, type Values } from '../chart/render.ts'
import { builtInProblems, customProblems, isBuiltIn } from '../kube-objects.ts'
import { needs, programPath } from '../peers.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-chart-'))
after(() => {
  rmSync(directory, { recursive: true })
})

type Container = {
  name: string
  image: string
  args?: string[]
  env?: { name: string; value?: string; valueFrom?: unknown }[]
  ports?: { name: string; containerPort: number }[]
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  securityContext: Record<string, unknown>
  volumeMounts: { name: string; mountPath: string }[]
}
interface Pod {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> }
  spec: {
    containers: Container[]
    volumes?: Record<string, unknown>[]
    securityContext: Record<string, unknown>
    serviceAccountName: string
    nodeSelector?: object
    tolerations?: object[]
  }
}
interface Workload extends KubeObject {
  spec: {
    replicas?: number
    serviceName?: string
    template: Pod
    volumeClaimTemplates?: { spec: { storageClassName?: string; resources: { requests: { storage: string } } } }[]
  }
}

const s3 = {
  endpoint: 'https://s3.example.net',
  region: 'minio',
  buckets: { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' },
  secrets: { metrics: 'metrics-s3-secret', logs: 'logs-s3-secret', traces: 'traces-s3-secret' },
}

const matrix: Readonly<Record<string, Values>> = {
  defaults: {},
  'persistence off': { server: { persistence: { enabled: false } } },
  '50Gi': { server: { persistence: { size: '50Gi', storageClass: 'fast', annotations: { a: 'b' } } } },
  '7d': { retention: '7d' },
  'each its own retention': { retention: '7d', logsRetention: '12h', tracesRetention: '1y' },
  '30s': { scrape: { interval: '30s' } },
  'no agent': { agent: { enabled: false } },
  'no server': { server: { enabled: false } },
  neither: { server: { enabled: false }, agent: { enabled: false } },
  disabled: { enabled: false },
  s3: { s3 },
  's3 without volume': { s3, server: { persistence: { enabled: false } } },
  's3 with mounted secrets': { s3: { ...s3, mountSecrets: true } },
  's3 with one bucket': { s3: { buckets: { metrics: 'all' }, secrets: { metrics: 'one-secret' } } },
  's3 by identity': {
    s3: { buckets: { metrics: 'all' } },
    serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn' } },
  },
  names: { fullnameOverride: 'observability', nameOverride: 'store' },
  labels: {
    commonLabels: { team: 'platform' },
    commonAnnotations: { note: 'x' },
    server: { podLabels: { a: 'b' }, podAnnotations: { c: 'd' }, service: { annotations: { e: 'f' } } },
    agent: { podLabels: { a: 'b' }, podAnnotations: { c: 'd' } },
  },
  digest: {
    image: { repository: 'registry.example.net/tercet', digest: `sha256:${'0'.repeat(64)}` },
    imagePullSecrets: [{ name: 'pull' }],
  },
  'network policy': { networkPolicy: { enabled: true, fromNamespaces: ['apps', 'grafana'], toCidrs: ['10.0.0.0/8'] } },
  'network policy, open': { networkPolicy: { enabled: true } },
  'budget and monitor': {
    podDisruptionBudget: { enabled: true },
    serviceMonitor: { enabled: true, labels: { release: 'x' }, interval: '10s' },
    reloader: { enabled: true },
  },
  'no rbac': { rbac: { create: false } },
  'no account': { serviceAccount: { create: false, name: 'mine' } },
  'objects of the operator': { server: { operatorObjects: true }, rbac: { secrets: true } },
  'rules and alerts': {
    server: {
      rules: { 'a.yml': 'groups: []\n', b: 'groups: []' },
      alertmanagerConfig: 'route: { receiver: x }\nreceivers: [{ name: x }]\n',
    },
  },
  'scraping by the server': {
    server: { scrapeConfigs: [{ job_name: 'x', static_configs: [{ targets: ['a:1'] }] }] },
    agent: {
      scrapeConfigs: [{ job_name: 'y', static_configs: [{ targets: ['b:1'] }] }],
      config: { limits: { body_size: '8MiB' } },
    },
  },
  'logs of nodes': {
    agent: {
      logs: true,
      tolerations: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' }],
      nodeSelector: { disk: 'ssd' },
      priorityClassName: 'high',
    },
  },
  'where it runs': {
    server: {
      nodeSelector: { a: 'b' },
      tolerations: [{ operator: 'Exists' }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }],
          },
        },
      },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }],
      priorityClassName: 'high',
      extraArgs: ['--log.level=debug'],
      extraEnv: [{ name: 'A', value: 'b' }],
      config: { limits: { active_series: 500000 } },
      resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '2', memory: '2Gi' } },
    },
  },
  tenancy: { tenancy: 'on', durability: 'bucket', s3 },
}

test(
  `the chart renders with ${Object.keys(matrix).length} sets of values, and every object is of its kind to the field`,
  hasHelm,
  () => {
    const all: KubeObject[] = []
    for (const [name, values] of Object.entries(matrix)) {
      const objects = rendered(values)
      const external = [
        'Secret/metrics-s3-secret',
        'Secret/logs-s3-secret',
        'Secret/traces-s3-secret',
        'Secret/one-secret',
        'Secret/pull',
        'ServiceAccount/mine',
        'host:s3.example.net',
        ...(name === 'no server' ? ['Service/metrics-store:8428'] : []),
      ]
      assert.deepEqual(findUnresolved(objects, { services: {}, external }), [], name)
      if (name === 'disabled') assert.deepEqual(objects, [], 'req-105')
      for (const object of objects) {
        const labels = object.metadata.labels ?? {}
        for (const label of [
          'app.kubernetes.io/name',
          'app.kubernetes.io/instance',
          'app.kubernetes.io/version',
          'app.kubernetes.io/managed-by',
          'helm.sh/chart',
        ])
          assert.ok(labels[label], `${name}: ${object.kind} ${object.metadata.name} has no ${label} (req-103)`)
        assert.ok(!['Ingress', 'PrometheusRule', 'Alertmanager'].includes(object.kind), 'req-121')
        if (!isBuiltIn(object)) assert.deepEqual(customProblems(object), [])
      }
      all.push(...objects)
    }
    assert.ok(all.length > 230, `${all.length} (req-086)`)
    assert.deepEqual(builtInProblems(all), [])
    // The check can fail.
    assert.match(
      builtInProblems([
        { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' }, spec: { port: 1 } } as KubeObject,
      ]).join(),
      /port/,
    )
    const lint = spawnSync(helm, ['lint', '--strict', 'deploy/chart'], { encoding: 'utf8' })
    assert.equal(lint.status, 0, lint.stdout)
  },
)

test("the defaults are the documents'", hasHelm, () => {
  const objects = rendered({})
  const server = one<Workload>(objects, 'StatefulSet')
  const agent = one<Workload>(objects, 'DaemonSet')
  const chart = parse(readFileSync('deploy/chart/Chart.yaml', 'utf8')) as { version: string; appVersion: string }
  assert.deepEqual(
    [...new Set(objects.map(o => o.kind))].sort(),
    ['ClusterRole', 'ClusterRoleBinding', 'ConfigMap', 'DaemonSet', 'Service', 'ServiceAccount', 'StatefulSet'],
    'req-104 req-089',
  )
  for (const file of [
    '_helpers.tpl',
    'statefulset.yaml',
    'daemonset.yaml',
    'service.yaml',
    'configmap.yaml',
    'serviceaccount.yaml',
    'clusterrole.yaml',
    'clusterrolebinding.yaml',
  ])
    assert.ok(readdirSync('deploy/chart/templates').includes(file), 'req-084')
  assert.equal(chart.version, '0.1.0', 'req-101')
  const [container] = server.spec.template.spec.containers
  const [agentContainer] = agent.spec.template.spec.containers
  assert.equal(container!.image, `ghcr.io/tercet/tercet:${chart.appVersion}`, 'req-075 req-101')
  assert.equal(server.spec.replicas, 1, 'req-070 req-090')
  assert.ok(objects.some(o => o.kind === 'Service' && o.metadata.name === server.spec.serviceName))
  assert.equal(server.spec.volumeClaimTemplates![0]!.spec.resources.requests.storage, '10Gi', 'req-076 req-091')
  assert.ok(container!.args!.includes('-retentionPeriod=30d'), 'req-094')
  assert.deepEqual(
    container!.resources,
    { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
    'req-077',
  )
  assert.deepEqual(
    agentContainer!.resources,
    { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '100m', memory: '128Mi' } },
    'req-077',
  )
  for (const pod of [server, agent]) {
    assert.equal(pod.spec.template.spec.securityContext['runAsNonRoot'], true)
    for (const c of pod.spec.template.spec.containers) {
      assert.equal(c.securityContext['readOnlyRootFilesystem'], true)
      assert.deepEqual(c.securityContext['capabilities'], { drop: ['ALL'] })
      assert.ok(c.resources.limits['memory'], 'req-011 req-169')
    }
  }
  assert.equal(agent.spec.template.spec.nodeSelector, undefined, 'req-096')
  assert.ok(
    agentContainer!.env!.some(e => e.name === 'KUBE_NODE_NAME' && e.valueFrom !== undefined),
    'req-071',
  )
  const role = one(objects, 'ClusterRole') as unknown as { rules: { resources: string[]; verbs: string[] }[] }
  for (const resource of ['nodes', 'pods', 'services', 'endpoints', 'endpointslices', 'namespaces'])
    assert.ok(
      role.rules.some(rule => rule.resources.includes(resource)),
      `req-097 ${resource}`,
    )
  for (const verb of role.rules.flatMap(rule => rule.verbs))
    assert.ok(['get', 'list', 'watch'].includes(verb), 'req-085')
  const services = objects.filter(o => o.kind === 'Service') as unknown as {
    metadata: { name: string }
    spec: { type: string; ports: { port: number }[] }
  }[]
  for (const service of services) assert.equal(service.spec.type, 'ClusterIP', 'req-085')
  assert.deepEqual(
    services
      .map(s => [s.metadata.name, s.spec.ports.map(p => p.port)])
      .filter(([name]) => String(name).endsWith('-store')),
    [
      ['metrics-store', [8428]],
      ['logs-store', [3100, 4317]],
      ['traces-store', [3200, 4317, 4318]],
    ],
    'req-074 req-083 req-114',
  )
  assert.deepEqual(
    dataOf(one(objects, 'ConfigMap', /-client$/)),
    { VICTORIAMETRICS_URL: 'http://metrics-store:8428', METRICS_PUSH_ENABLED: 'true', METRICS_PUSH_INTERVAL: '15s' },
    'req-081',
  )
})

test('values do what they say', hasHelm, () => {
  const server = (values: Values): Workload => one<Workload>(rendered(values), 'StatefulSet')
  const first = (w: Workload): Container => w.spec.template.spec.containers[0]!
  assert.equal(
    server({ server: { persistence: { size: '50Gi' } } }).spec.volumeClaimTemplates![0]!.spec.resources.requests
      .storage,
    '50Gi',
    'req-108',
  )
  const volatile = server({ server: { persistence: { enabled: false } } })
  assert.equal(volatile.spec.volumeClaimTemplates, undefined, 'req-076')
  assert.ok(
    volatile.spec.template.spec.volumes!.some(v => v['name'] === 'data' && v['emptyDir'] !== undefined),
    'req-009 req-054',
  )
  assert.ok(first(server({ retention: '7d' })).args!.includes('-retentionPeriod=7d'), 'req-094')
  assert.equal(
    first(server({ image: { repository: 'r.example.net/t', tag: '9.9.9' } })).image,
    'r.example.net/t:9.9.9',
    'req-075',
  )
  const config = (values: Values): Record<string, unknown> =>
    parse(dataOf(one(rendered(values), 'ConfigMap', /^try-tercet$/))['tercet.yaml']!) as Record<string, unknown>
  assert.equal(config({ s3, server: { persistence: { enabled: false } } })['durability'], 'bucket', 'req-009')
  assert.equal(config({ s3 })['durability'], 'local')
  assert.deepEqual(
    (config({ s3 })['bucket'] as { s3: object }).s3,
    {
      allow_insecure: false,
      bucket: 'mimir-blocks',
      endpoint: 'https://s3.example.net',
      path_style: true,
      region: 'minio',
    },
    'req-008',
  )
  assert.deepEqual(
    ['metrics', 'logs', 'traces'].map(
      signal => (config({ s3 })[signal] as { bucket: { s3: { bucket: string } } }).bucket.s3.bucket,
    ),
    ['mimir-blocks', 'loki-chunks', 'tempo-traces'],
    'req-124',
  )
  const env = first(server({ s3 })).env!.filter(e => e.name.includes('S3'))
  assert.equal(env.length, 6)
  for (const { value, valueFrom } of env) {
    assert.equal(value, undefined)
    assert.ok(
      (valueFrom as { secretKeyRef: { name: string } }).secretKeyRef.name.endsWith('-s3-secret'),
      'req-051 req-139 req-158',
    )
  }
  const mounted = server({ s3: { ...s3, mountSecrets: true } })
  assert.equal(first(mounted).env!.filter(e => e.name.includes('S3')).length, 0)
  assert.equal(first(mounted).volumeMounts.filter(m => m.mountPath.startsWith('/etc/tercet-s3/')).length, 3, 'req-159')
  assert.equal(
    server({ reloader: { enabled: true } }).metadata.annotations!['reloader.stakater.com/auto'],
    'true',
    'req-159',
  )
  const scrape = (
    values: Values,
  ): {
    global: Record<string, string>
    scrape_configs: {
      kubernetes_sd_configs: { role: string }[]
      relabel_configs: { action?: string; regex?: string; source_labels: string[] }[]
    }[]
  } => parse(dataOf(one(rendered(values), 'ConfigMap', /-agent$/))['prometheus.yml']!) as ReturnType<typeof scrape>
  assert.equal(scrape({}).global['scrape_interval'], '15s', 'req-078 req-115 req-118')
  assert.equal(scrape({}).global['scrape_timeout'], '10s', 'req-078')
  assert.equal(scrape({ scrape: { interval: '30s' } }).global['scrape_interval'], '30s', 'req-118')
  const [job] = scrape({}).scrape_configs
  assert.equal(job!.kubernetes_sd_configs[0]!.role, 'pod', 'req-116')
  assert.ok(
    job!.relabel_configs.some(
      r => r.action === 'keep' && r.regex === 'true' && r.source_labels[0]!.endsWith('prometheus_io_scrape'),
    ),
    'req-117',
  )
})

test("what can't be is refused, with what to do", hasHelm, () => {
  const refusals: [Values, RegExp][] = [
    [{ server: { replicas: 2 } }, /one process writes a bucket[\s\S]*graduate/],
    [{ scrape: { interval: '5s' } }, /scrape\.timeout 10s is longer than scrape\.interval 5s/],
    [{ retention: '30m' }, /retention/],
    [{ s3: { endpoint: 'http://minio:9000', buckets: { metrics: 'x' } } }, /has no TLS/],
    [{ image: { tag: 'latest' } }, /latest/],
    [{ nonsense: true }, /nonsense/],
    [{ server: { persistance: {} } }, /persistance/],
    [{ durability: 'maybe' }, /durability/],
  ]
  for (const [values, message] of refusals) assert.match(template(values).error, message, 'req-082')
})

test('as a subchart it follows its condition and its alias', hasHelm, () => {
  const umbrella = join(directory, 'umbrella')
  mkdirSync(join(umbrella, 'charts'), { recursive: true })
  cpSync('deploy/chart', join(umbrella, 'charts/tercet'), { recursive: true })
  writeFileSync(
    join(umbrella, 'Chart.yaml'),
    stringify({
      apiVersion: 'v2',
      name: 'umbrella',
      version: '1.0.0',
      dependencies: [
        {
          name: 'tercet',
          alias: 'victoriametrics',
          version: '0.1.0',
          repository: '',
          condition: 'victoriametrics.enabled',
        },
      ],
    }),
  )
  writeFileSync(
    join(umbrella, 'values.yaml'),
    stringify({ global: { region: 'x' }, victoriametrics: { enabled: true } }),
  )
  const on = rendered({ victoriametrics: { server: { persistence: { size: '50Gi' } } } }, { chart: umbrella })
  assert.equal(one<Workload>(on, 'StatefulSet').spec.volumeClaimTemplates![0]!.spec.resources.requests.storage, '50Gi')
  assert.ok(
    on.some(o => o.kind === 'Service' && o.metadata.name === 'metrics-store'),
    'req-072 req-106 req-107',
  )
  assert.deepEqual(rendered({ victoriametrics: { enabled: false } }, { chart: umbrella }), [], 'req-105')
})

test('every value is documented and typed; every one that is used is there', () => {
  const text = readFileSync('deploy/chart/values.yaml', 'utf8')
  const document = parseDocument(text)
  const walk = (node: Node | null, path: string): void => {
    if (!isMap(node) || node.items.length === 0) return
    for (const [i, pair] of (node.items as Pair<Node, Node | null>[]).entries()) {
      const name = isScalar(pair.key) ? String(pair.key.value) : ''
      const child = path === '' ? name : `${path}.${name}`
      const { value } = pair
      if (isMap(value) && value.items.length > 0 && value.flow !== true) walk(value, child)
      else
        assert.ok(
          (pair.key.commentBefore ?? (i === 0 ? node.commentBefore : '') ?? '') !== '',
          `${child} has no comment (req-102)`,
        )
    }
  }
  walk(document.contents, '')
  const templates = readdirSync('deploy/chart/templates')
    .map(file => readFileSync(join('deploy/chart/templates', file), 'utf8'))
    .join('\n')
  const values = document.toJS() as Values
  for (const [, path = ''] of templates.matchAll(/\.Values\.([A-Za-z0-9_.]+)/g)) {
    let at: unknown = values
    for (const part of path.split('.')) {
      assert.ok(typeof at === 'object' && at !== null && part in at, `.Values.${path} is not in values.yaml (req-102)`)
      at = (at as Values)[part]
    }
  }
  assert.deepEqual(
    JSON.parse(readFileSync('deploy/chart/values.schema.json', 'utf8')),
    valuesSchema(text),
    'node tools/values-schema.ts > deploy/chart/values.schema.json',
  )
})

test(
  'promtool and our own checker take the rendered scrape configuration',
  { skip: hasHelm.skip || needs('promtool').skip },
  () => {
    for (const values of [
      {},
      { scrape: { interval: '30s' } },
      { agent: { scrapeConfigs: [{ job_name: 'more', static_configs: [{ targets: ['a:1'] }] }] } },
      { agent: { kubelet: { enabled: true }, selfScrape: true }, auth: { existingSecret: 'a' } },
      { agent: { kubelet: { enabled: true, viaApiServer: true } }, tls: { existingSecret: 'a', serverName: 'b' } },
    ]) {
      const file = join(directory, 'prometheus.yml')
      // %{NAME} is ours, as vmagent has it; Prometheus takes it as it is.
      writeFileSync(file, dataOf(one(rendered(values), 'ConfigMap', /-agent$/))['prometheus.yml']!)
      const run = spawnSync(programPath('promtool')!, ['check', 'config', '--syntax-only', file], {
        encoding: 'utf8',
      })
      assert.equal(run.status, 0, run.stdout + run.stderr)
      const own = spawnSync(process.execPath, ['src/app/main.ts', 'check', 'config', file], {
        encoding: 'utf8',
        env: { ...process.env, KUBE_NODE_NAME: 'n1' },
      })
      assert.equal(own.status, 0, own.stdout + own.stderr)
    }
  },
)
