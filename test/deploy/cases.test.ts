/** What could not work as it was rendered, one test each: kept so that it does not come back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { objectsOf, planOf, render, type Rendered } from '#deploy/render.ts'
import { secretProblems } from '#deploy/sops.ts'
import { readStack, type Engine, type Target } from '#deploy/stack.ts'
import { ownChart } from '../../src/ops/render-tree.ts'
import { recipient } from '../deployed-stacks.ts'

const base = `s3: { endpoint: 'https://s3.example.net', region: minio }\nage_recipients: [${recipient}]\n`

function make(engine: Engine, target: Target, more = ''): Promise<Rendered> {
  const text = base + more
  const stack = readStack(text, 'stack.yaml', engine)
  return render({
    stack,
    target,
    ownChart: ownChart(),
    // The name alone: what is sealed is no matter here.
    seal: (_, { name }) => Promise.resolve(`apiVersion: v1\nkind: Secret\nmetadata: { name: ${name} }\n`),
    configText: text,
  })
}

type Json = Record<string, unknown>
const at = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((v, part) => (v as Json | undefined)?.[part], value)
const valuesOf = (engine: Engine, release: string, more = ''): Json =>
  planOf(readStack(base + more, 'stack.yaml', engine)).releases.find(({ name }) => name === release)!.values

test('1: Mimir writes below its volume alone', () => {
  const files = at(valuesOf('lgtm', 'mimir'), 'configMaps.config.data') as Record<string, string>
  const config = parse(files['mimir.yaml']!) as Json
  for (const path of [
    'activity_tracker.filepath',
    'blocks_storage.tsdb.dir',
    'blocks_storage.bucket_store.sync_dir',
    'compactor.data_dir',
    'ruler.rule_path',
  ])
    assert.match(String(at(config, path)), /^\/data\//, path)
})

test('2: the pods and Services of Mimir have one name, whatever the release is called', () => {
  const { global } = valuesOf('lgtm', 'mimir') as { global: Json }
  assert.deepEqual(global, { nameOverride: 'mimir', fullnameOverride: 'mimir' })
  const [service] = planOf(readStack(base, 'x', 'lgtm')).releases.find(({ name }) => name === 'mimir')!.objects[
    'service.yaml'
  ]!
  assert.equal(at(service, 'spec.selector')!['app.kubernetes.io/name' as never], 'mimir')
})

test('3: the chart may come from a registry, from Git, or from the very repository', async () => {
  const release = async (more: string): Promise<{ spec: unknown; tree: Rendered['tree'] }> => {
    const { tree } = await make('tercet', 'flux', more)
    return { spec: objectsOf(tree).find(o => o.kind === 'HelmRelease')!['spec'], tree }
  }
  const oci = await release('chart: { oci: oci://registry.example.net/charts/tercet, version: 1.2.3 }\n')
  assert.deepEqual(at(oci.spec, 'chartRef'), { kind: 'OCIRepository', name: 'tercet' })
  const repository = objectsOf(oci.tree).find(o => o.kind === 'OCIRepository')!
  assert.deepEqual(
    [at(repository, 'spec.url'), at(repository, 'spec.ref.tag')],
    ['oci://registry.example.net/charts/tercet', '1.2.3'],
  )
  const git = await release("chart: { git: { url: 'https://git.example.net/t.git', ref: main, path: deploy/chart } }\n")
  assert.equal(at(git.spec, 'chart.spec.chart'), './deploy/chart')
  assert.deepEqual(
    at(
      objectsOf(git.tree).find(o => o.kind === 'GitRepository'),
      'spec.ref',
    ),
    { branch: 'main' },
  )
  const path = await release('chart: { path: charts/tercet }\n')
  assert.deepEqual(at(path.spec, 'chart.spec.sourceRef'), {
    kind: 'GitRepository',
    name: 'flux-system',
    namespace: 'flux-system',
  })
  for (const file of ownChart().keys()) assert.ok(path.tree.has(`charts/tercet/${file}`), file)
})

test('3: and the image by repository, tag and digest', async () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const more = `image: { repository: registry.example.net/t, tag: 1.2.3, digest: '${digest}' }\n`
  assert.deepEqual(valuesOf('tercet', 'tercet', more)['image'], {
    repository: 'registry.example.net/t',
    tag: '1.2.3',
    digest,
  })
  const { tree } = await make('tercet', 'compose', more)
  assert.match(tree.get('compose.yaml')!, new RegExp(`image: registry.example.net/t:1.2.3@${digest}`))
})

const inClear = 'alerting: { alertmanager_config: "route: {receiver: a}\\nreceivers: [{name: a}]" }\n'
const slack =
  'alerting: { alertmanager_config: "route: {receiver: a}\\n' +
  'receivers: [{name: a, slack_configs: [{api_url: https://hooks.example.net/T0/B0}]}]" }\n'

test('4: the Victoria stack gets receivers by one of two keys, which exclude each other', () => {
  const alertmanager = (more: string): Json =>
    valuesOf('victoria', 'victoria-metrics-k8s-stack', more)['alertmanager'] as Json
  assert.equal(at(alertmanager(inClear), 'spec.configRawYaml'), undefined)
  assert.equal(at(alertmanager(inClear), 'config.route.receiver'), 'a')
  assert.equal(at(alertmanager(slack), 'config'), undefined)
  assert.equal(at(alertmanager(slack), 'spec.configSecret'), 'alertmanager-config')
})

test("5: Grafana's objects go to its own namespace, not to that of the stores", async () => {
  for (const more of ['grafana: { namespace: grafana }\n', 'grafana: { enabled: true, namespace: grafana }\n']) {
    const { tree } = await make('tercet', 'flux', more)
    const own = objectsOf(tree).filter(
      o => o.apiVersion.startsWith('kustomize.toolkit') && /grafana/.test(o.metadata.name),
    )
    assert.deepEqual(
      own.map(o => at(o, 'spec.targetNamespace')),
      ['grafana'],
    )
    assert.ok(tree.has('kubernetes/apps/grafana/namespace.yaml'))
    assert.match(tree.get('kubernetes/apps/grafana/kustomization.yaml')!, /grafana(-datasources)?\/ks\.yaml/)
  }
})

test('8: credentials of receivers are in no file of a tree, and check-secrets finds them where they are', async () => {
  for (const engine of ['tercet', 'victoria', 'lgtm'] as const)
    for (const target of ['helm', 'flux', 'compose', 'grafana'] as const) {
      const { tree } = await make(engine, target, slack)
      for (const [path, text] of tree) assert.ok(!text.includes('hooks.example.net'), `${engine}, ${target}: ${path}`)
    }
  assert.notDeepEqual(
    await secretProblems(`data:\n  alertmanager.yml: |\n    global: { slack_api_url: 'https://h/x' }\n`),
    [],
  )
})

test("9: Tempo's generator has processors on Kubernetes, too", () => {
  assert.match(JSON.stringify(valuesOf('lgtm', 'tempo')), /"processors":\["service-graphs","span-metrics"\]/)
})

test('10: Grafana 13 gets plugins by the variable that it reads', async () => {
  const { tree } = await make('victoria', 'compose', 'grafana: { enabled: true }\n')
  assert.match(tree.get('compose.yaml')!, /GF_PLUGINS_PREINSTALL_SYNC: victoriametrics-logs-datasource/)
  assert.doesNotMatch(tree.get('compose.yaml')!, /GF_INSTALL_PLUGINS/)
})

test('11: what is nowhere stops a render for every target', async () => {
  const config = 'receivers: [{name: a, webhook_configs: [{url: "http://nobody:9000"}]}]'
  const more = `alerting: { alertmanager_config: 'route: {receiver: a}\n\n  ${config}' }\n`
  for (const target of ['helm', 'flux', 'compose'] as const)
    await assert.rejects(make('tercet', target, more), /no Service nobody for http:\/\/nobody:9000/, target)
})

test('12: every container of the Victoria stack has a limit, every workload of Mimir a number of replicas', () => {
  const values = valuesOf('victoria', 'victoria-metrics-k8s-stack')
  assert.equal(at(values, 'syncJob.resources.limits.memory'), '256Mi')
  assert.equal(at(valuesOf('lgtm', 'mimir'), 'controllers.mimir.replicas'), 1)
})

test('13: VictoriaTraces has a policy, and that of the logs leaves Vector alone', () => {
  const more = 'signals: [metrics, logs, traces]\nnetwork_policy: { enabled: true }\n'
  const policies = planOf(readStack(base + more, 'x', 'victoria')).releases.flatMap(
    r => r.objects['networkpolicy.yaml'] ?? [],
  )
  assert.deepEqual(
    policies.map(o => o.metadata.name),
    ['vmsingle', 'victoria-logs', 'victoria-traces'],
  )
  assert.deepEqual(at(policies[1], 'spec.podSelector.matchExpressions'), [
    { key: 'app', operator: 'In', values: ['vlinsert', 'vlselect', 'vlstorage'] },
  ])
})

test('14: a ServiceMonitor fails alone where its CustomResourceDefinition is not there', async () => {
  const { tree } = await make('lgtm', 'flux')
  const ks = objectsOf(tree).find(
    o => o.metadata.name === 'metrics-store-monitor' && o.apiVersion.startsWith('kustomize.toolkit'),
  )
  assert.ok(ks !== undefined)
  const umbrella = await make('lgtm', 'helm')
  const template = umbrella.tree.get('templates/metrics-store-monitor.yaml')!
  assert.match(template, /Capabilities\.APIVersions\.Has "monitoring\.coreos\.com\/v1"/)
})

test('16: compose publishes all ports, reads rules and receivers, and says who reads the keys', async () => {
  const { tree } = await make('tercet', 'compose')
  const compose = tree.get('compose.yaml')!
  for (const port of [3100, 3200]) assert.match(compose, new RegExp(`127\\.0\\.0\\.1:${port}:${port}`))
  assert.ok(tree.has('config/rules/example.yml') && tree.has('config/alertmanager.yml'))
  assert.match(tree.get('secrets/README.md')!, /chown 10001:10001/)
})
