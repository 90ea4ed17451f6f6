/**
 * A cluster's API: monitors found without configuration, pods by annotation, watches that break, rights that a
 * ClusterRole gives. Covers req-018, req-019, req-020, req-021, req-064, req-097, req-098, req-116.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { mkdirSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { urlOf } from '../url.ts'
import { KubeApi, type KubeItem, type RoleRule } from '../kube-api.ts'
import { until } from '../until.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { listening } from '../listening.ts'

const api = new KubeApi()
const directory = temporaryDirectory()
const kept = { ...process.env }
let server: Server
let port = 0
let run: Running
const scrapes: string[] = []

/** What a process needs to see all of it. */
const clusterRole: RoleRule[] = [
  {
    apiGroups: [''],
    resources: ['nodes', 'pods', 'services', 'endpoints', 'namespaces'],
    verbs: ['get', 'list', 'watch'],
  },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['networking.k8s.io'], resources: ['ingresses'], verbs: ['get', 'list', 'watch'] },
  {
    apiGroups: ['monitoring.coreos.com'],
    resources: ['servicemonitors', 'podmonitors', 'probes', 'scrapeconfigs', 'prometheusrules'],
    verbs: ['get', 'list', 'watch'],
  },
  {
    apiGroups: ['operator.victoriametrics.com'],
    resources: ['vmservicescrapes', 'vmpodscrapes', 'vmrules'],
    verbs: ['get', 'list', 'watch'],
  },
  { apiGroups: [''], resources: ['secrets', 'configmaps'], verbs: ['get'] },
]
const pod = (
  namespace: string,
  name: string,
  more: {
    labels?: Record<string, string>
    annotations?: Record<string, string>
    ports?: { name: string; containerPort: number }[]
    phase?: string
  } = {},
): KubeItem => ({
  metadata: { name, namespace, labels: more.labels ?? {}, annotations: more.annotations ?? {} },
  spec: {
    nodeName: 'n1',
    containers: [{ name: 'main', image: 'i', ports: more.ports ?? [{ name: 'web', containerPort: port }] }],
  },
  status: { podIP: '127.0.0.1', phase: more.phase ?? 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
})
function app(namespace: string, name: string, labels: Record<string, string> = {}): void {
  api.put('pods', pod(namespace, `${name}-pod`))
  api.put('services', {
    metadata: { name, namespace, labels: { app: name, ...labels } },
    spec: { ports: [{ name: 'web', port }] },
  })
  api.put('endpoints', {
    metadata: { name, namespace, labels: { app: name, ...labels } },
    subsets: [
      {
        addresses: [{ ip: '127.0.0.1', targetRef: { kind: 'Pod', name: `${name}-pod`, namespace } }],
        ports: [{ name: 'web', port }],
      },
    ],
  })
}
const monitor = (namespace: string, name: string, target: string, more: Record<string, unknown> = {}): KubeItem => ({
  metadata: { name, namespace },
  spec: {
    selector: { matchLabels: { app: target } },
    endpoints: [{ port: 'web', interval: '1s', path: `/${target}`, ...more }],
  },
})

before(async () => {
  server = createServer((request, reply) => {
    scrapes.push(request.url!)
    const path = new URL(request.url!, 'http://x').pathname,
      auth = (request.headers.authorization ?? '').slice(0, 6)
    reply.writeHead(200, { 'content-type': 'text/plain' }).end(`up_and_running{path="${path}",auth="${auth}"} 1\n`)
  })
  port = await listening(server)
  await api.start()
  api.rules = clusterRole
  for (const [namespace, name] of [
    ['one', 'a'],
    ['two', 'b'],
    ['three', 'c'],
  ] as const) {
    app(namespace, name)
    api.put('monitoring.coreos.com/servicemonitors', monitor(namespace, `mon-${name}`, name))
  }
  for (const [name, annotations] of Object.entries<Record<string, string>>({
    yes: { 'prometheus.io/scrape': 'true' },
    no: { 'prometheus.io/scrape': 'false' },
    absent: {},
    custom: {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': String(port),
      'prometheus.io/path': '/custom',
      'prometheus.io/scheme': 'http',
    },
  }))
    api.put(
      'pods',
      pod('annotated', name, {
        annotations,
        ...(name === 'custom' ? { ports: [{ name: 'other', containerPort: 1 }] } : {}),
      }),
    )
  mkdirSync(`${directory}/account`)
  writeFileSync(`${directory}/account/token`, api.token)
  writeFileSync(`${directory}/account/namespace`, 'one')
  writeFileSync(
    `${directory}/kubeconfig`,
    'apiVersion: v1\nkind: Config\ncurrent-context: here\n' +
      'contexts: [{ name: other, context: { cluster: x, user: y } }, { name: here, context: { cluster: c, ' +
      `user: u } }]\nclusters: [{ name: c, cluster: { server: "http://127.0.0.1:${api.port}" } }]\n` +
      `users: [{ name: u, user: { tokenFile: "${directory}/account/token" } }]\n`,
  )
  writeFileSync(
    `${directory}/prometheus.yml`,
    `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: pods
    kubernetes_sd_configs: [{ role: pod, namespaces: { names: [annotated] } }]
    relabel_configs:
      - { source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: 'true' }
      - { source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], action: replace,
          target_label: __scheme__, regex: (https?) }
      - { source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], action: replace,
          target_label: __metrics_path__, regex: (.+) }
      - { source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port], action: replace,
          regex: '([^:]+)(?::\\d+)?;(\\d+)', replacement: '$1:$2', target_label: __address__ }
      - { source_labels: [__meta_kubernetes_pod_name], target_label: pod }
  - { job_name: slices, kubernetes_sd_configs: [{ role: endpointslice, namespaces: { own_namespace: true } }] }
  - { job_name: nodes, kubernetes_sd_configs: [{ role: node }],
      relabel_configs: [{ source_labels: [__meta_kubernetes_node_label_zone], target_label: zone }, { action: drop }] }
  - { job_name: beside, kubernetes_sd_configs: [{ role: pod, kubeconfig_file: kubeconfig,
      namespaces: { names: [annotated] } }], relabel_configs: [{ action: drop }] }
  - { job_name: ingresses, kubernetes_sd_configs: [{ role: ingress }], relabel_configs: [{ action: drop }] }
  - { job_name: services, kubernetes_sd_configs: [{ role: service, selectors: [{ role: service, label: app=a }] }],
      relabel_configs: [{ action: drop }] }
`,
  )
  Object.assign(process.env, {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String(api.port),
    KUBERNETES_SERVICE_ACCOUNT_DIR: `${directory}/account`,
    KUBERNETES_SERVICE_SCHEME: 'http',
  })
  run = await runTercet([`scrape_config_file=${directory}/prometheus.yml`], directory)
})
after(async () => {
  await run.stop()
  await api.stop()
  for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name]
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

interface TargetJson {
  scrapePool: string
  labels: Record<string, string>
  health: string
  scrapeUrl: string
  discoveredLabels: Record<string, string>
}
const targets = async (): Promise<TargetJson[]> =>
  ((await (await fetch(`${run.url}/api/v1/targets`)).json()) as { data: { activeTargets: TargetJson[] } }).data
    .activeTargets
const dropped = async (pool: string): Promise<Record<string, string>[]> =>
  (
    (await (await fetch(`${run.url}/api/v1/targets?state=dropped`)).json()) as {
      data: { droppedTargets: { scrapePool: string; discoveredLabels: Record<string, string> }[] }
    }
  ).data.droppedTargets
    .filter(t => t.scrapePool === pool)
    .map(t => t.discoveredLabels)
const query = async (q: string): Promise<{ metric: Record<string, string> }[]> =>
  (
    (await (await fetch(urlOf(run.url, '/api/v1/query', { query: q }))).json()) as {
      data: { result: { metric: Record<string, string> }[] }
    }
  ).data.result
const pools = async (): Promise<string[]> =>
  [...new Set((await targets()).filter(t => t.health === 'up').map(t => t.scrapePool))].sort()
const poolsAre = (wanted: string[]): Promise<unknown> =>
  until(
    async () =>
      JSON.stringify((await pools()).filter(p => p.includes('/'))) === JSON.stringify(wanted) ? true : undefined,
    `pools ${wanted.join()}`,
  )

test(
  'three monitors in three namespaces, without any configuration; one comes, one goes ' + '(req-018, req-020, req-021)',
  async () => {
    await poolsAre(['serviceMonitor/one/mon-a/0', 'serviceMonitor/three/mon-c/0', 'serviceMonitor/two/mon-b/0'])
    const [series] = await until(async () => {
      const found = await query('up_and_running{path="/a"}')
      return found.length > 0 ? found : undefined
    }, 'a sample')
    assert.deepEqual(series!.metric, {
      __name__: 'up_and_running',
      path: '/a',
      job: 'a',
      namespace: 'one',
      service: 'a',
      pod: 'a-pod',
      container: 'main',
      endpoint: 'web',
      instance: `127.0.0.1:${port}`,
    })
    app('four', 'd')
    api.put('secrets', {
      metadata: { name: 'login', namespace: 'four' },
      data: { user: Buffer.from('me').toString('base64'), word: Buffer.from('pass').toString('base64') },
    })
    api.put(
      'monitoring.coreos.com/servicemonitors',
      monitor('four', 'mon-d', 'd', {
        basicAuth: { username: { name: 'login', key: 'user' }, password: { name: 'login', key: 'word' } },
        relabelings: [{ sourceLabels: ['__meta_kubernetes_pod_node_name'], targetLabel: 'node_name' }],
        metricRelabelings: [{ action: 'labeldrop', regex: 'path' }],
      }),
    )
    api.remove('monitoring.coreos.com/servicemonitors', 'two', 'mon-b')
    await poolsAre(['serviceMonitor/four/mon-d/0', 'serviceMonitor/one/mon-a/0', 'serviceMonitor/three/mon-c/0'])
    await until(
      async () => ((await query('up_and_running{job="d"}'))[0]?.metric['auth'] === 'Basic ' ? true : undefined),
      'a sample with credentials',
    )
    assert.equal((await query('up_and_running{job="d"}'))[0]!.metric['node_name'], 'n1')
    await until(
      async () => ((await query('up{job="b"}')).length === 0 ? true : undefined),
      'the series of what is gone end',
    )
    // What is wrong in one object is the matter of that object.
    api.put('monitoring.coreos.com/servicemonitors', monitor('one', 'wrong', 'a', { interval: 'often' }))
    api.put(
      'monitoring.coreos.com/servicemonitors',
      monitor('one', 'nosecret', 'a', { bearerTokenSecret: { name: 'nowhere', key: 'k' } }),
    )
    await until(
      async () => (api.refused.some(r => r.includes('secrets/nowhere')) ? true : undefined),
      'the secret is asked for',
    )
    await poolsAre(['serviceMonitor/four/mon-d/0', 'serviceMonitor/one/mon-a/0', 'serviceMonitor/three/mon-c/0'])
  },
)

test("the other kinds: pods, probes, scrape configs, VictoriaMetrics' own, rules (req-019)", async () => {
  api.put('pods', pod('one', 'worker', { labels: { app: 'worker' } }))
  // Their definitions are installed while we run: looked for again now and then.
  api.put('monitoring.coreos.com/podmonitors', {
    metadata: { name: 'workers', namespace: 'one' },
    spec: {
      selector: { matchLabels: { app: 'worker' } },
      podMetricsEndpoints: [{ port: 'web', interval: '1s', path: '/worker' }],
    },
  })
  api.put('monitoring.coreos.com/probes', {
    metadata: { name: 'sites', namespace: 'one' },
    spec: {
      interval: '1s',
      module: 'http_2xx',
      prober: { url: `127.0.0.1:${port}` },
      targets: { staticConfig: { static: ['https://example.org'], labels: { team: 'x' } } },
    },
  })
  api.put('monitoring.coreos.com/scrapeconfigs', {
    metadata: { name: 'fixed', namespace: 'one' },
    spec: {
      scrapeInterval: '1s',
      metricsPath: '/fixed',
      staticConfigs: [{ targets: [`127.0.0.1:${port}`], labels: { rack: '7' } }],
    },
  })
  api.put('operator.victoriametrics.com/vmservicescrapes', {
    metadata: { name: 'vm-a', namespace: 'one' },
    spec: {
      selector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['a', 'z'] }] },
      endpoints: [
        {
          port: 'web',
          scrape_interval: '1s',
          path: '/vma',
          relabelConfigs: [{ target_label: 'by', replacement: 'vm' }],
        },
      ],
    },
  })
  api.put('operator.victoriametrics.com/vmpodscrapes', {
    metadata: { name: 'vm-pods', namespace: 'one' },
    spec: {
      selector: { matchLabels: { app: 'worker' } },
      podMetricsEndpoints: [{ port: 'web', interval: '1s', path: '/vmp' }],
    },
  })
  api.put('monitoring.coreos.com/prometheusrules', {
    metadata: { name: 'r', namespace: 'one' },
    spec: { groups: [{ name: 'g', interval: '1s', rules: [{ record: 'from:cluster', expr: 'vector(5)' }] }] },
  })
  api.put('operator.victoriametrics.com/vmrules', {
    metadata: { name: 'r', namespace: 'one' },
    spec: { groups: [{ name: 'g', interval: '1s', rules: [{ alert: 'FromVmRule', expr: 'vector(1)' }] }] },
  })
  // A process that starts now sees them at once.
  const own = await runTercet(['self_scrape=false'])
  try {
    const shown = async (): Promise<TargetJson[]> =>
      ((await (await fetch(`${own.url}/api/v1/targets`)).json()) as { data: { activeTargets: TargetJson[] } }).data
        .activeTargets
    const found = await until(async () => {
      const list = (await shown()).filter(t => t.health === 'up')
      return [
        'podMonitor/one/workers/0',
        'probe/one/sites',
        'scrapeConfig/one/fixed',
        'serviceScrape/one/vm-a/0',
        'podScrape/one/vm-pods/0',
      ].every(p => list.some(t => t.scrapePool === p))
        ? list
        : undefined
    }, 'all kinds')
    const labels = (pool: string): Record<string, string> => found.find(t => t.scrapePool === pool)!.labels
    assert.deepEqual(labels('podMonitor/one/workers/0'), {
      container: 'main',
      endpoint: 'web',
      instance: `127.0.0.1:${port}`,
      job: 'one/workers',
      namespace: 'one',
      pod: 'worker',
    })
    assert.deepEqual(labels('probe/one/sites'), {
      instance: 'https://example.org',
      job: 'probe/one/sites',
      namespace: 'one',
      team: 'x',
    })
    assert.ok(scrapes.includes('/probe?module=http_2xx&target=https%3A%2F%2Fexample.org'))
    assert.deepEqual(labels('scrapeConfig/one/fixed'), {
      instance: `127.0.0.1:${port}`,
      job: 'scrapeConfig/one/fixed',
      rack: '7',
    })
    assert.equal(labels('serviceScrape/one/vm-a/0')['by'], 'vm')
    assert.equal(labels('podScrape/one/vm-pods/0')['pod'], 'worker')
    const { data } = (await (await fetch(`${own.url}/api/v1/rules`)).json()) as {
      data: { groups: { file: string; rules: { name: string }[] }[] }
    }
    assert.deepEqual(
      data.groups.map(g => [g.file, g.rules[0]!.name]),
      [
        ['PrometheusRule one/r', 'from:cluster'],
        ['VMRule one/r', 'FromVmRule'],
      ],
    )
  } finally {
    await own.stop()
  }
})

test(
  'four pods: only those that say so are scraped, at the port and path that they name ' + '(req-098, req-116)',
  async () => {
    const found = await until(async () => {
      const list = (await targets()).filter(t => t.scrapePool === 'pods' && t.health === 'up')
      return list.length === 2 ? list : undefined
    }, 'two pods')
    assert.deepEqual(found.map(t => [t.labels['pod'], t.scrapeUrl]).sort(), [
      ['custom', `http://127.0.0.1:${port}/custom`],
      ['yes', `http://127.0.0.1:${port}/metrics`],
    ])
    assert.equal((await dropped('pods')).length, 2)
    assert.deepEqual(
      (
        await until(async () => {
          const list = await dropped('beside')
          return list.length >= 4 ? list : undefined
        }, 'pods over a kubeconfig')
      )
        .map(t => t['__meta_kubernetes_pod_name'])
        .sort(),
      ['absent', 'custom', 'no', 'yes'],
    )
  },
)

test('watches that break are taken up again: bookmarks, 410, what happened meanwhile', async () => {
  await until(async () => (api.watches > 10 ? true : undefined), 'watches')
  api.bookmark()
  api.put('pods', pod('annotated', 'later', { annotations: { 'prometheus.io/scrape': 'true' } }))
  const has = (name: string): Promise<unknown> =>
    until(async () => ((await targets()).some(t => t.labels['pod'] === name) ? true : undefined), name)
  await has('later')
  api.forgetHistory()
  api.put('pods', pod('annotated', 'after-gone', { annotations: { 'prometheus.io/scrape': 'true' } }))
  api.remove('pods', 'annotated', 'later')
  await has('after-gone')
  await until(
    async () => ((await targets()).every(t => t.labels['pod'] !== 'later') ? true : undefined),
    'what was deleted meanwhile is gone',
  )
})

test('nodes, slices, services, ingresses', async () => {
  api.put('nodes', {
    metadata: { name: 'n1', labels: { zone: 'z' } },
    spec: { providerID: 'p' },
    status: {
      addresses: [
        { type: 'Hostname', address: 'n1' },
        { type: 'InternalIP', address: '10.0.0.1' },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    },
  })
  api.put('ingresses', {
    metadata: { name: 'i', namespace: 'one' },
    spec: {
      ingressClassName: 'nginx',
      tls: [{ hosts: ['x.example'] }],
      rules: [{ host: 'x.example', http: { paths: [{ path: '/a' }, { path: '/b' }] } }, { host: 'y.example' }],
    },
  })
  api.put('endpointslices', {
    metadata: { name: 'a-1', namespace: 'one', labels: { 'kubernetes.io/service-name': 'a' } },
    addressType: 'IPv4',
    ports: [{ name: 'web', port }],
    endpoints: [
      {
        addresses: ['127.0.0.1'],
        conditions: { ready: true },
        nodeName: 'n1',
        targetRef: { kind: 'Pod', name: 'a-pod', namespace: 'one' },
      },
    ],
  })
  const node = await until(async () => (await dropped('nodes'))[0], 'a node')
  assert.deepEqual(
    [
      node['__address__'],
      node['instance'],
      node['__meta_kubernetes_node_label_zone'],
      node['__meta_kubernetes_node_address_InternalIP'],
      node['__meta_kubernetes_node_provider_id'],
    ],
    ['10.0.0.1:10250', 'n1', 'z', '10.0.0.1', 'p'],
  )
  const paths = await until(async () => {
    const list = await dropped('ingresses')
    return list.length === 3 ? list : undefined
  }, 'ingresses')
  assert.deepEqual(
    paths
      .map(p => [p['__address__'], p['__meta_kubernetes_ingress_scheme'], p['__meta_kubernetes_ingress_path']])
      .sort(),
    [
      ['x.example', 'https', '/a'],
      ['x.example', 'https', '/b'],
      ['y.example', 'http', '/'],
    ],
  )
  const slice = await until(async () => (await targets()).find(t => t.scrapePool === 'slices'), 'a slice')
  assert.deepEqual(
    [
      'endpointslice_name',
      'endpointslice_endpoint_conditions_ready',
      'service_name',
      'service_label_app',
      'pod_container_port_name',
      'endpointslice_address_target_name',
    ].map(n => slice.discoveredLabels[`__meta_kubernetes_${n}`]),
    ['a-1', 'true', 'a', 'a', 'web', 'a-pod'],
  )
  const service = await until(async () => (await dropped('services'))[0], 'a service')
  assert.equal((await dropped('services')).length, 1)
  assert.equal(service['__address__'], `a.one.svc:${port}`)
})

test('rights: the ClusterRole is enough, and less is reported and ends nothing (req-097)', async () => {
  assert.deepEqual(
    api.refused.filter(r => r.startsWith('403')),
    [],
  )
  api.rules = clusterRole.filter(r => !r.resources.includes('nodes'))
  api.forgetHistory()
  await until(async () => (api.refused.some(r => r.startsWith('403 /api/v1/')) ? true : undefined), 'a refusal')
  assert.equal((await fetch(`${run.url}/-/healthy`)).status, 200)
  // What was found stays.
  assert.ok((await targets()).some(t => t.scrapePool === 'pods'))
})
