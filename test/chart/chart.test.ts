/**
 * What the chart refuses, gives away and says: other names of values, two releases of a namespace, rights, network
 * policies, APIs that a cluster lacks. req-072 req-082 req-085 req-097 req-103 req-105 req-107 req-171 req-175.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse, stringify } from 'yaml'
import type { KubeObject } from '#deploy/tree.ts'
import { AllowedHosts, problemOfAllowedHost } from '#net/allowed-hosts.ts'
import { chartProblems, type Workload } from './references.ts'
import { dataOf, hasHelm, notesOf, one, rendered, template, type Values } from './render.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-umbrella-'))
after(() => {
  rmSync(directory, { recursive: true })
})

const podOf = (objects: readonly KubeObject[], kind: string): Workload['spec']['template']['spec'] =>
  one<Workload>(objects, kind).spec.template.spec
const namesOf = (objects: readonly KubeObject[], kind: string): string[] =>
  objects.filter(o => o.kind === kind).map(o => o.metadata.name)

/** An umbrella with this chart under the alias that the documents give it. */
function umbrella(): string {
  const chart = join(directory, 'umbrella')
  mkdirSync(join(chart, 'charts'), { recursive: true })
  cpSync('deploy/chart', join(chart, 'charts/tercet'), { recursive: true })
  const alias = 'victoriametrics'
  const dependency = { name: 'tercet', alias, version: '0.1.0', repository: '', condition: `${alias}.enabled` }
  const own = { apiVersion: 'v2', name: 'umbrella', version: '1.0.0', dependencies: [dependency] }
  writeFileSync(join(chart, 'Chart.yaml'), stringify(own))
  return chart
}

/** As documents 001 and 003 have them, but for the image, which is another program's. */
const documentValues = {
  server: {
    retention: '14d',
    resources: { requests: { memory: '300Mi', cpu: '150m' }, limits: { memory: '600Mi', cpu: '600m' } },
    persistence: { enabled: true, size: '20Gi', storageClassName: 'fast' },
    service: { type: 'ClusterIP', port: 8428 },
  },
  vmagent: { enabled: true, resources: { limits: { memory: '150Mi' } } },
  scrape: { interval: '30s', timeout: '10s' },
}

test("the documents' own values of the subchart are taken, and said once", hasHelm, () => {
  const forms: [Values, string | undefined][] = [
    [{ victoriametrics: documentValues }, umbrella()],
    [{ victoriametrics: documentValues }, undefined],
    [documentValues, undefined],
  ]
  for (const [values, chart] of forms) {
    const objects = rendered(values, chart === undefined ? {} : { chart })
    const server = stringify(one(objects, 'StatefulSet'))
    assert.match(server, /-retentionPeriod=14d/)
    assert.match(server, /storageClassName: fast[^]*storage: 20Gi/)
    assert.match(server, /memory: 600Mi/)
    assert.match(stringify(one(objects, 'DaemonSet')), /memory: 150Mi/)
    assert.match(dataOf(one(objects, 'ConfigMap', /-agent$/))['prometheus.yml']!, /scrape_interval: 30s/)
    assert.deepEqual(chartProblems(objects), [])
  }
  const notes = notesOf({ victoriametrics: documentValues })
  for (const line of ['victoriametrics.server is server', 'server.retention is retention', 'vmagent is agent'])
    assert.equal(notes.split('\n').filter(l => l.trim() === line).length, 1, `${line}: ${notes}`)
  assert.doesNotMatch(notesOf({}), /other names/)
})

test('an image of VictoriaMetrics is refused, and the key of ours is named', hasHelm, () => {
  for (const values of [
    { server: { image: { repository: 'victoriametrics/victoria-metrics', tag: 'v1.96.0' } } },
    { vmagent: { image: { repository: 'victoriametrics/vmagent' } } },
    { victoriametrics: { server: { image: { repository: 'docker.io/victoriametrics/victoria-metrics' } } } },
  ])
    assert.match(template(values).error, /another program; image\.repository names the image of Tercet/)
})

test("what can't be is refused, with what to do", hasHelm, () => {
  const refusals: [Values, RegExp][] = [
    [{ auth: { existingSecret: 's', usernameKey: '' } }, /neither auth\.usernameKey nor auth\.tokenKey/],
    [{ tls: { clientCa: { existingSecret: 's' } } }, /needs tls\.existingSecret/],
    [
      { tls: { existingSecret: 's', clientCa: { existingSecret: 's' } } },
      /name a Secret with theirs in tls\.clientSecret/,
    ],
    [{ ca: { existingSecret: 'a', existingConfigMap: 'b' } }, /both named/],
    [{ server: { alertmanagerConfig: 'x', alertmanagerConfigSecret: { name: 's' } } }, /both given/],
    [{ server: { alertmanagerFilesSecret: 's' } }, /there is none: give server\.alertmanagerConfig/],
    [
      { server: { aliasServices: ['loki-gatway'] } },
      /loki-gatway has no ports of its own; known are alertmanager, loki/,
    ],
    [{ server: { aliasServices: [{ name: 'logs-store', ports: [80] }] } }, /two Services would be called logs-store/],
    [{ server: { aliasServices: [{ name: 'x', ports: [{ port: 80, target: 'htp' }] }] } }, /aliasServices/],
    [{ ingress: { enabled: true } }, /name a host/],
    [{ route: { enabled: true } }, /name a Gateway/],
    [{ serviceAccount: { create: false } }, /serviceAccount\.agentName is empty: the rights .* default account/],
    [
      { serviceAccount: { create: false, agentName: 'a' }, server: { operatorObjects: true } },
      /serviceAccount\.name is empty: the rights/,
    ],
    [{ serviceAccount: { name: 'a', agentName: 'a' } }, /the same, and both would be made/],
    [{ server: { retention: 'soon' } }, /retention/],
    [{ victoriametrics: { sever: {} } }, /sever/],
    [{ vmagent: { resource: {} } }, /resource/],
    [{ server: { extraEnv: ['A=b'] } }, /extraEnv/],
    [{ dashboards: { kind: 'sidecar' } }, /dashboards/],
  ]
  for (const [values, message] of refusals) assert.match(template(values).error, message, JSON.stringify(values))
})

test('two releases of a namespace: the second one takes one value; all names and selectors are apart', hasHelm, () => {
  const everything: Values = {
    server: { operatorObjects: true, alertmanagerConfig: 'route: { receiver: x }\nreceivers: [{ name: x }]\n' },
    networkPolicy: { enabled: true, toCidrs: ['10.0.0.0/8'] },
    podDisruptionBudget: { enabled: true },
    serviceMonitor: { enabled: true },
    vmServiceScrape: { enabled: true },
    prometheusRule: { enabled: true },
    dashboards: { enabled: true },
    ingress: { enabled: true, hosts: [{ host: 'tercet.example.net' }] },
    route: { enabled: true, parentRefs: [{ name: 'their-gateway' }] },
  }
  const first = rendered(everything, { release: 'first' })
  const second = rendered(
    { ...everything, server: { ...(everything['server'] as Values), sharedNames: false } },
    { release: 'second' },
  )
  assert.deepEqual(chartProblems([...first, ...second]), [])
  assert.deepEqual(namesOf(second, 'Service').sort(), [
    'second-tercet-headless',
    'second-tercet-logs-store',
    'second-tercet-metrics-store',
    'second-tercet-traces-store',
  ])
  assert.match(dataOf(one(second, 'ConfigMap', /-agent$/))['prometheus.yml']!, /\/\/second-tercet-metrics-store:8428\//)
  assert.ok(namesOf(second, 'ConfigMap').includes('second-tercet-metrics-store-client'))
  // Without it both want the same names, which the notes of the first say.
  const collision = chartProblems([...first, ...rendered(everything, { release: 'second' })])
  assert.ok(collision.includes('Service/metrics-store is there twice'))
  assert.match(notesOf({}), /another one in this namespace needs server\.sharedNames=false/)
})

test('names of ClusterRoles never meet, whatever the names of namespaces and releases', hasHelm, () => {
  for (const name of namesOf(rendered({ server: { operatorObjects: true } }), 'ClusterRole'))
    assert.match(name, /^monitoring:try-tercet:(server|agent)$/)
})

interface Rule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}
const rulesOf = (objects: readonly KubeObject[], name: RegExp): string[] =>
  (one(objects, 'ClusterRole', name)['rules'] as Rule[]).flatMap(rule =>
    rule.resources.flatMap(resource => rule.verbs.map(verb => `${verb} ${resource}`)),
  )

test('rights are no wider than what is done with them', hasHelm, () => {
  const plain = rendered({})
  assert.deepEqual(namesOf(plain, 'ClusterRole'), ['monitoring:try-tercet:agent'])
  assert.equal(podOf(plain, 'StatefulSet').automountServiceAccountToken, false)
  assert.equal(podOf(plain, 'DaemonSet').automountServiceAccountToken, true)
  assert.ok(!rulesOf(plain, /agent$/).some(rule => /secrets|configmaps|ingresses|proxy|metrics/.test(rule)))
  // The server's token and rights come and go together.
  const scraping = { job_name: 'x', kubernetes_sd_configs: [{ role: 'endpoints' }] }
  const cases: [Values, boolean][] = [
    [{ scrapeConfigs: [{ job_name: 'x', static_configs: [{ targets: ['elsewhere.example.net:1'] }] }] }, false],
    [{ scrapeConfigs: [scraping] }, true],
    [{ scrapeConfigs: [scraping], mountToken: 'off' }, false],
    [{ operatorObjects: true }, true],
    [{ mountToken: 'on' }, true],
  ]
  for (const [server, hasRights] of cases) {
    const objects = rendered({ server, agent: { enabled: false } })
    assert.equal(podOf(objects, 'StatefulSet').automountServiceAccountToken, hasRights, JSON.stringify(server))
    assert.equal(namesOf(objects, 'ClusterRoleBinding').length, hasRights ? 1 : 0, JSON.stringify(server))
  }
  const kubelet = (viaApiServer: boolean): string[] =>
    rulesOf(rendered({ agent: { kubelet: { enabled: true, viaApiServer } } }), /agent$/)
  assert.ok(kubelet(false).includes('get nodes/metrics') && !kubelet(false).includes('get nodes/proxy'))
  assert.ok(kubelet(true).includes('get nodes/proxy') && !kubelet(true).includes('get nodes/metrics'))
  const ingress = { job_name: 'y', kubernetes_sd_configs: [{ role: 'ingress' }] }
  assert.ok(rulesOf(rendered({ agent: { scrapeConfigs: [ingress] } }), /agent$/).includes('watch ingresses'))
  const secret = rendered({ server: { operatorObjects: true }, rbac: { secrets: true } })
  assert.ok(rulesOf(secret, /server$/).includes('get secrets') && !rulesOf(secret, /agent$/).includes('get secrets'))
})

test('accounts that nobody makes are named, or are the default one without rights', hasHelm, () => {
  const without = rendered({ serviceAccount: { create: false }, rbac: { create: false } })
  for (const kind of ['StatefulSet', 'DaemonSet']) assert.equal(podOf(without, kind).serviceAccountName, 'default')
  const named = rendered({ serviceAccount: { create: false, name: 'their-account' } })
  for (const kind of ['StatefulSet', 'DaemonSet']) assert.equal(podOf(named, kind).serviceAccountName, 'their-account')
  assert.deepEqual(namesOf(without, 'ServiceAccount'), [])
})

test(
  'a NetworkPolicy with networks leaves the own namespace and DNS open; an API only where it is used',
  hasHelm,
  () => {
    type Egress = { to?: Record<string, unknown>[]; ports?: { port: number }[] }[]
    const egressOf = (server: Values): Egress => {
      const objects = rendered({ server, networkPolicy: { enabled: true, toCidrs: ['10.0.0.0/8'] } })
      return (one(objects, 'NetworkPolicy', /^try-tercet$/)['spec'] as { egress: Egress }).egress
    }
    const plain = egressOf({})
    const isOpen = (rule: Egress[number]): boolean => rule.ports === undefined
    const inside = plain.find(
      rule => isOpen(rule) && rule.to?.some(to => 'podSelector' in to && !('namespaceSelector' in to)),
    )
    assert.ok(inside, 'pods of the own namespace')
    assert.ok(plain.some(rule => rule.ports?.some(p => p.port === 53)))
    assert.ok(
      plain.every(rule => rule.to !== undefined),
      'nothing is open to everybody',
    )
    const api = egressOf({ operatorObjects: true })
    assert.ok(api.some(rule => rule.to === undefined && rule.ports!.some(p => p.port === 6443)))
    assert.ok(api.some(rule => isOpen(rule) && JSON.stringify(rule.to) === '[{"namespaceSelector":{}}]'))
  },
)

test('objects of APIs that the cluster lacks are left out, and the notes say so', hasHelm, () => {
  const values = {
    serviceMonitor: { enabled: true },
    vmServiceScrape: { enabled: true },
    prometheusRule: { enabled: true },
    dashboards: { enabled: true, kind: 'grafanaOperator' },
    route: { enabled: true, parentRefs: [{ name: 'x' }] },
  }
  const kinds = new Set(rendered(values, { apis: [] }).map(o => o.kind))
  for (const kind of ['ServiceMonitor', 'VMServiceScrape', 'PrometheusRule', 'GrafanaDashboard', 'HTTPRoute'])
    assert.ok(!kinds.has(kind), kind)
  const notes = notesOf(values, { apis: [] })
  for (const what of [
    /serviceMonitor\.enabled is on, and this cluster has no API monitoring\.coreos\.com\/v1/,
    /prometheusRule\.enabled is on/,
    /vmServiceScrape\.enabled is on, and this cluster has no API operator\.victoriametrics\.com\/v1beta1/,
    /route\.enabled is on, and this cluster has no API gateway\.networking\.k8s\.io\/v1/,
    /dashboards\.kind=grafanaOperator is on/,
    /whoever reaches the host may read, write and delete/,
  ])
    assert.match(notes, what)
  assert.doesNotMatch(notesOf({ ...values, auth: { existingSecret: 'x' } }), /WARNING|BackendTLSPolicy/)
  assert.match(notesOf({ ...values, tls: { existingSecret: 'x' } }), /a BackendTLSPolicy for metrics-store/)
})

test('credentials in clear in alertmanagerConfig are noticed', hasHelm, () => {
  const withText = (text: string): string => notesOf({ server: { alertmanagerConfig: text } })
  assert.match(withText('global: { slack_api_url: "https://hooks.example.net/x" }'), /seems to hold something secret/)
  assert.doesNotMatch(withText('global: { slack_api_url_file: slack-url }'), /seems to hold something secret/)
})

test('Services under the names of other systems have the ports that their clients know', hasHelm, () => {
  const ports: Readonly<Record<string, readonly number[]>> = {
    'loki-gateway': [80, 3100, 9095],
    loki: [3100, 9095],
    'mimir-gateway': [80, 8080],
    mimir: [8080],
    tempo: [3200, 4317, 4318],
    vlinsert: [9481, 8428],
    vlselect: [9471, 8481],
    vmsingle: [8428, 8429],
    'vmsingle-victoria-metrics-k8s-stack': [8428, 8429],
    'vmalertmanager-victoria-metrics-k8s-stack': [9093],
    'victoria-logs-cluster-vlinsert': [9481],
    'victoria-logs-cluster-vlselect': [9471],
    victoriametrics: [8428],
    'victoria-logs': [9428],
    prometheus: [9090],
    alertmanager: [9093],
    mine: [80, 514],
  }
  const own = { name: 'mine', ports: [80, { port: 514, name: 'syslog-like', target: 'otlp-grpc' }] }
  const names = Object.keys(ports).filter(name => name !== 'mine')
  const objects = rendered({ server: { aliasServices: [...names, own] }, tls: { existingSecret: 'their-tls' } })
  assert.deepEqual(chartProblems(objects), [])
  for (const [name, wanted] of Object.entries(ports)) {
    const service = objects.find(o => o.kind === 'Service' && o.metadata.name === name)!
    const { ports: given } = service['spec'] as { ports: { name: string; port: number; appProtocol: string }[] }
    assert.deepEqual(
      given.map(p => p.port),
      wanted,
      name,
    )
    assert.equal(new Set(given.map(p => p.name)).size, given.length, `${name}: names of ports`)
    for (const { appProtocol } of given) assert.equal(appProtocol, 'https', name)
  }
  // Monitors choose the one Service, however many there are.
  const monitored = rendered({ server: { aliasServices: names }, serviceMonitor: { enabled: true } })
  assert.deepEqual(chartProblems(monitored), [])
  const plain = rendered({ server: { aliasServices: ['loki-gateway'] } })
  const loki = plain.find(o => o.metadata.name === 'loki-gateway')!['spec'] as { ports: { appProtocol: string }[] }
  assert.deepEqual(
    loki.ports.map(p => p.appProtocol),
    ['http', 'http', 'kubernetes.io/h2c'],
  )
})

test('the server answers to the names that its Services, its Ingress and its route have', hasHelm, () => {
  const allowed = (values: Values): AllowedHosts => {
    const config = rendered(values).find(o => o.kind === 'ConfigMap' && o.metadata.name === 'try-tercet')!
    const tercet = parse((config['data'] as Record<string, string>)['tercet.yaml']!) as { allowed_hosts: string[] }
    assert.deepEqual(tercet.allowed_hosts.map(problemOfAllowedHost), Array(tercet.allowed_hosts.length).fill(undefined))
    return new AllowedHosts(tercet.allowed_hosts)
  }
  const values = {
    server: {
      aliasServices: ['loki-gateway', { name: 'mine', ports: [80] }],
      allowedHosts: ['more.example.net'],
      corsOrigins: ['https://app.example.net'],
    },
    ingress: { enabled: true, hosts: [{ host: 'tercet.example.net' }, { host: '*.tercet.example.org' }] },
    route: { enabled: true, hostnames: ['route.example.net'], parentRefs: [{ name: 'gateway' }] },
  }
  const hosts = allowed(values)
  const services = rendered(values).filter(({ kind }) => kind === 'Service')
  assert.ok(services.length >= 6)
  for (const { metadata } of services)
    for (const end of ['', '.monitoring', '.monitoring.svc', '.monitoring.svc.cluster.local'])
      assert.ok(hosts.has(`${metadata.name}${end}:8428`), `${metadata.name}${end}`)
  for (const host of ['tercet.example.net', 'a.tercet.example.org', 'route.example.net', 'more.example.net'])
    assert.ok(hosts.has(host), host)
  for (const host of ['rebind.example', 'evil.monitoring', 'tercet.example.org']) assert.ok(!hosts.has(host), host)
  assert.ok(!allowed({ ...values, ingress: { ...values.ingress, enabled: false } }).has('tercet.example.net'))
})

test('kubelet and cAdvisor: the own node alone, by its port or through the API server', hasHelm, () => {
  interface Job {
    job_name: string
    metrics_path: string
    kubernetes_sd_configs: { role: string; selectors: { field: string }[] }[]
    relabel_configs: { target_label: string; replacement?: string }[]
    tls_config: { insecure_skip_verify?: boolean }
  }
  const jobs = (kubelet: Values): Job[] => {
    const objects = rendered({ agent: { kubelet: { enabled: true, ...kubelet } } })
    const text = dataOf(one(objects, 'ConfigMap', /-agent$/))['prometheus.yml']!
    return (parse(text) as { scrape_configs: Job[] }).scrape_configs.filter(job => job.job_name !== 'kubernetes-pods')
  }
  const own = jobs({})
  assert.deepEqual(
    own.map(job => [job.job_name, job.metrics_path, job.kubernetes_sd_configs[0]!.role]),
    [
      ['kubelet', '/metrics', 'node'],
      ['cadvisor', '/metrics/cadvisor', 'node'],
    ],
  )
  for (const job of own) {
    assert.equal(job.kubernetes_sd_configs[0]!.selectors[0]!.field, 'metadata.name=%{KUBE_NODE_NAME}')
    assert.ok(job.relabel_configs.some(rule => rule.target_label === 'metrics_path'))
    assert.equal(job.tls_config.insecure_skip_verify, true)
  }
  for (const job of jobs({ viaApiServer: true })) {
    // The API server's certificate is known.
    assert.equal(job.tls_config.insecure_skip_verify, undefined)
    const path = job.relabel_configs.find(rule => rule.target_label === '__metrics_path__')!.replacement
    assert.equal(path, `/api/v1/nodes/$1/proxy${job.metrics_path}`)
  }
})
