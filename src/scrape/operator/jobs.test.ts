/**
 * Objects of operators and the scrape configurations that they ask for; each must be one that prometheus.yml may
 * have.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parse } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { readPrometheusConfig } from '../config.ts'
import type { KubeObject } from '../discovery/kube-watch.ts'
import { jobsOf, selectorRules, type JobObject, type OperatorKind } from './jobs.ts'

async function jobs(kind: OperatorKind, spec: string): Promise<JobObject[]> {
  const object = { metadata: { name: 'm', namespace: 'ns' }, spec: parse(spec) as unknown } satisfies KubeObject
  const made = await jobsOf(kind, object, (type, namespace, name, key) => {
    if (name === 'gone') return Promise.reject(new BadDataError('not there'))
    return Promise.resolve(`${type}/${namespace}/${name}/${key}`)
  })
  readPrometheusConfig(JSON.stringify({ scrape_configs: made }), 'made', { env: {} })
  return made
}
/** Relabelling as `action sources regex -> target=replacement`. */
const rulesOf = (job: JobObject | undefined): string[] =>
  ((job?.['relabel_configs'] ?? []) as Record<string, unknown>[]).map(
    r =>
      `${String(r['action'] ?? 'replace')} ${((r['source_labels'] as string[] | undefined) ?? []).join()} ` +
      `${String(r['regex'] ?? '')} -> ${String(r['target_label'] ?? '')}=${String(r['replacement'] ?? '')}`,
  )
const pod = '__meta_kubernetes_pod'

test('ServiceMonitor: a job for every endpoint, by name, with the rules of the operator in their order', async () => {
  const made = await jobs(
    'ServiceMonitor',
    `
selector: { matchLabels: { app: web } }
jobLabel: app
targetLabels: [team]
podTargetLabels: [v-1]
endpoints:
  - { port: http, interval: 10s, path: /m, relabelings: [{ sourceLabels: [a], targetLabel: b, action: Replace }] }
  - { targetPort: 9, filterRunning: false, honorLabels: true }
`,
  )
  assert.deepEqual(
    made.map(job => [job['job_name'], job['scrape_interval'], job['metrics_path'], job['honor_labels']]),
    [
      ['serviceMonitor/ns/m/0', '10s', '/m', undefined],
      ['serviceMonitor/ns/m/1', undefined, undefined, true],
    ],
  )
  assert.deepEqual(made[0]?.['kubernetes_sd_configs'], [{ role: 'endpoints', namespaces: { names: ['ns'] } }])
  const target = '__meta_kubernetes_endpoint_address_target'
  assert.deepEqual(rulesOf(made[0]), [
    'replace job  -> __tmp_prometheus_job_name=',
    'keep __meta_kubernetes_service_label_app,__meta_kubernetes_service_labelpresent_app (web);true -> =',
    'keep __meta_kubernetes_endpoint_port_name http -> =',
    `replace ${target}_kind,${target}_name Node;(.*) -> node=\${1}`,
    `replace ${target}_kind,${target}_name Pod;(.*) -> pod=\${1}`,
    'replace __meta_kubernetes_namespace  -> namespace=',
    'replace __meta_kubernetes_service_name  -> service=',
    `replace ${pod}_name  -> pod=`,
    `replace ${pod}_container_name  -> container=`,
    `drop ${pod}_phase (Failed|Succeeded) -> =`,
    'replace __meta_kubernetes_service_label_team (.+) -> team=${1}',
    `replace ${pod}_label_v_1 (.+) -> v_1=\${1}`,
    'replace __meta_kubernetes_service_name  -> job=${1}',
    'replace __meta_kubernetes_service_label_app (.+) -> job=${1}',
    'replace   -> endpoint=http',
    'replace a  -> b=',
  ])
  const second = rulesOf(made[1])
  assert.ok(second.includes(`keep ${pod}_container_port_number 9 -> =`))
  assert.ok(second.includes('replace   -> endpoint=9'))
  assert.ok(!second.some(rule => rule.startsWith('drop')))
})

test('a monitor may ask for slices, for other namespaces, and for labels of nodes', async () => {
  const spec = (more: string): string => `{ endpoints: [{ port: p }], ${more} }`
  const [slices] = await jobs(
    'ServiceMonitor',
    spec('serviceDiscoveryRole: EndpointSlice, namespaceSelector: { any: true }'),
  )
  assert.deepEqual(slices?.['kubernetes_sd_configs'], [{ role: 'endpointslice' }])
  const [others] = await jobs(
    'VMServiceScrape',
    spec('namespaceSelector: { matchNames: [a, b] }, attach_metadata: { node: true }'),
  )
  assert.equal(others?.['job_name'], 'serviceScrape/ns/m/0')
  assert.deepEqual(others['kubernetes_sd_configs'], [
    { role: 'endpoints', namespaces: { names: ['a', 'b'] }, attach_metadata: { node: true } },
  ])
})

test('PodMonitor: ports by name and by number; the job is the object', async () => {
  const [byName, byNumber] = await jobs('PodMonitor', 'podMetricsEndpoints: [{ port: http }, { portNumber: 80 }]')
  assert.ok(rulesOf(byName).includes(`keep ${pod}_container_port_name http -> =`))
  assert.ok(rulesOf(byNumber).includes(`keep ${pod}_container_port_number 80 -> =`))
  assert.ok(rulesOf(byName).includes('replace   -> job=ns/m'))
})

test('Probe: targets go into the parameter, the prober is the address', async () => {
  const [job] = await jobs(
    'Probe',
    'prober: { url: "p:9115" }\nmodule: http\ntargets: { staticConfig: { static: [a, b], labels: { l: v } } }',
  )
  assert.equal(job?.['metrics_path'], '/probe')
  assert.deepEqual(job['params'], { module: ['http'] })
  const labels = (target: string): object => ({ l: 'v', namespace: 'ns', __param_target: target })
  assert.deepEqual(job['static_configs'], [
    { targets: ['p:9115'], labels: labels('a') },
    { targets: ['p:9115'], labels: labels('b') },
  ])
  assert.ok(rulesOf(job).includes('replace __param_target  -> instance='))
})

test('ScrapeConfig: the discoveries of the file in camel case', async () => {
  const [job] = await jobs(
    'ScrapeConfig',
    'scrapeInterval: 7s\njobName: own\nstaticConfigs: [{ targets: ["h:1"], labels: { teamName: t } ' +
      '}]\nkubernetesSDConfigs: [{ role: Pod }]',
  )
  assert.equal(job?.['scrape_interval'], '7s')
  assert.deepEqual(job['static_configs'], [{ targets: ['h:1'], labels: { teamName: 't' } }])
  assert.deepEqual(job['kubernetes_sd_configs'], [{ role: 'pod' }])
  assert.ok(rulesOf(job).includes('replace   -> job=own'))
})

test('credentials and certificates come from the Secrets and ConfigMaps that an endpoint names', async () => {
  const [job] = await jobs(
    'ServiceMonitor',
    `
endpoints:
  - port: p
    basicAuth: { username: { name: s, key: u }, password: { name: s, key: p } }
    proxyUrl: http://proxy
    followRedirects: false
    tlsConfig: { ca: { configMap: { name: c, key: ca } }, certFile: /cert,
      keySecret: { name: s, key: k }, serverName: n, insecureSkipVerify: true }
`,
  )
  assert.deepEqual(job?.['basic_auth'], { username: 'secrets/ns/s/u', password: 'secrets/ns/s/p' })
  assert.deepEqual(job['tls_config'], {
    insecure_skip_verify: true,
    server_name: 'n',
    ca: 'configmaps/ns/c/ca',
    cert_file: '/cert',
    key: 'secrets/ns/s/k',
  })
  assert.deepEqual([job['proxy_url'], job['follow_redirects']], ['http://proxy', false])
  const [token] = await jobs('PodMonitor', 'podMetricsEndpoints: [{ port: p, bearerTokenSecret: { name: s, key: t } }]')
  assert.deepEqual(token?.['authorization'], { credentials: 'secrets/ns/s/t' })
  await assert.rejects(
    jobs('PodMonitor', 'podMetricsEndpoints: [{ bearerTokenSecret: { name: gone, key: t } }]'),
    BadDataError,
  )
})

test('a selector keeps and drops by labels and by their presence', () => {
  const selector = {
    matchLabels: { 'a.b': 'x+y' },
    matchExpressions: [
      { key: 'k', operator: 'In', values: ['1', '2'] },
      { key: 'k', operator: 'NotIn', values: ['3'] },
      { key: 'k', operator: 'Exists' },
      { key: 'k', operator: 'DoesNotExist' },
    ],
  }
  assert.deepEqual(
    selectorRules(selector, 'p').map(r => `${r.action} ${r.source_labels?.join()} ${r.regex}`),
    [
      'keep p_label_a_b,p_labelpresent_a_b (x\\+y);true',
      'keep p_label_k,p_labelpresent_k (1|2);true',
      'drop p_label_k,p_labelpresent_k (3);true',
      'keep p_labelpresent_k true',
      'drop p_labelpresent_k true',
    ],
  )
})

test('objects of rules ask for no jobs', async () => {
  assert.deepEqual(await jobs('PrometheusRule', '{}'), [])
})
