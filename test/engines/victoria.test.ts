/**
 * VictoriaMetrics, vmagent, vmalert and Alertmanager, VictoriaLogs and VictoriaTraces, with what `deploy render` writes
 * for the engine victoria: compose as it is; on Kubernetes the pods that Helm makes of the charts of logs and traces,
 * and the objects of the k8s-stack with the arguments that its operator makes of them. Skipped, and said so, where the
 * programs are not here. req-001 req-009 req-027 req-035 req-127 req-153.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, test } from 'node:test'
import type { KubeObject } from '#deploy/tree.ts'
import { encodeOtlpTraces, parseOtlpTracesJson } from '#wire/otlp/traces.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import { makeVolume, type Mount } from './pod.ts'
import { enginePath, needsEngines } from './programs.ts'
import { checkStack, doorsOf, getJson, instant, refusals, send } from './questions.ts'
import {
  clusterObjects,
  composeContainers,
  kubeContainers,
  renderStack,
  RunningStack,
  type Container,
} from './stacks.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

const storeCharts = ['victoria-logs-cluster', 'victoria-traces-single']
const programs = ['victoria-metrics', 'vmagent', 'vmalert', 'prometheus-alertmanager']

const stores = ['victoria-logs', 'victoria-traces']

/** Only where something answers: what Grafana asks, by the rendered URLs. */
function queryDoors(doors: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(doors).filter(([name]) => name.endsWith('.query')))
}

test('compose', needsEngines({ programs: ['victoria-metrics', ...stores] }), async t => {
  const volumes = `${directory}/compose`
  makeVolume(volumes, 0)
  const { stack, tree } = await renderStack('signals: [metrics, logs, traces]\n', 'victoria', 'compose')
  const running = await RunningStack.start(composeContainers(tree, volumes), volumes)
  try {
    const doors = await doorsOf(stack, running.network)
    for (const { check, level, found } of await checkStack(queryDoors(doors)))
      t.diagnostic(`${level} ${check}: ${found}`)
    await linesArrive(doors)
    await spansArrive(doors)
    for (const { spec, output } of running.pods) assert.deepEqual(refusals(output), [], spec.name)
  } finally {
    await running.stop()
  }
})

test('charts of logs and traces', needsEngines({ programs: stores, charts: storeCharts }), async t => {
  const volumes = `${directory}/charts`
  makeVolume(volumes, 0)
  const { stack, tree } = await renderStack('signals: [logs, traces]\n', 'victoria', 'flux')
  const objects = clusterObjects(tree, Object.fromEntries(storeCharts.map(name => [name, name])))
  const containers = kubeContainers(objects, volumes)
  assert.deepEqual(
    containers.map(({ name, user }) => `${name} ${user}`).sort(),
    ['victoria-traces-single-server-0', 'vlinsert-0', 'vlselect-0', 'vlstorage-0'].map(name => `${name} 10001`),
  )
  const running = await RunningStack.start(containers, volumes, { objects })
  try {
    const doors = await doorsOf(stack, running.network)
    await linesArrive(doors)
    await spansArrive(doors)
    for (const { spec, output } of running.pods) {
      assert.deepEqual(refusals(output), [], spec.name)
      t.diagnostic(`${spec.name}: ${spec.args.join(' ')}`)
    }
  } finally {
    await running.stop()
  }
})

/** Lines that are pushed come back by the data source's URL: all, whole, with their labels. */
async function linesArrive(doors: Readonly<Record<string, string>>): Promise<void> {
  const startMs = Date.now() - 60_000
  const lines = Array.from({ length: 300 }, (_, i) => `line ${i} of the shop`)
  const values = lines.map((line, i) => [`${startMs + i}000000`, line])
  await send(doors['logs.push']!, { streams: [{ stream: { app: 'shop', env: 'test' }, values }] })
  await until(
    async () => {
      const query = new URLSearchParams({ query: '{app="shop",env="test"} "of the shop" _time:10m', limit: '1000' })
      const reply = await fetch(`${doors['logs.query']!}/select/logsql/query?${query.toString()}`)
      const text = await reply.text()
      assert.equal(reply.status, 200, text)
      const found = text.split('\n').filter(line => line !== '')
      const messages = found.map(line => (JSON.parse(line) as { _msg: string })._msg)
      return messages.length >= lines.length
        ? (assert.deepEqual(messages.sort(), [...lines].sort()) ?? true)
        : undefined
    },
    'all lines are found',
    60,
  )
}

/** A trace that is pushed comes back by the data source's URL, as Jaeger has it. */
async function spansArrive(doors: Readonly<Record<string, string>>): Promise<void> {
  const startMs = Date.now() - 60_000
  const traceId = 'c0ffee00000000000000000000000001'
  const ids = ['00000000000000a1', '00000000000000a2', '00000000000000a3']
  const spans = ids.map((spanId, i) => ({
    traceId,
    spanId,
    ...(i === 0 ? {} : { parentSpanId: ids[0] }),
    name: `step ${i}`,
    kind: 2,
    startTimeUnixNano: `${startMs + i}000000`,
    endTimeUnixNano: `${startMs + i + 5}000000`,
  }))
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] }
  // It takes protobuf alone.
  const trace = parseOtlpTracesJson(
    Buffer.from(JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] })),
  )
  const reply = await fetch(doors['traces.push']!, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(encodeOtlpTraces(trace)),
  })
  assert.equal(reply.status, 200, await reply.text())
  const url = `${doors['traces.query']!}/api`
  await until(
    async () => {
      const { data } = (await getJson(`${url}/traces/${traceId}`, {})) as { data: JaegerTrace[] }
      const names = data.flatMap(trace => trace.spans.map(span => `${span.spanID} ${span.operationName}`)).sort()
      return names.length >= ids.length
        ? (assert.deepEqual(
            names,
            ids.map((id, i) => `${id} step ${i}`),
          ) ?? true)
        : undefined
    },
    'the trace is found',
    60,
  )
  const { data } = (await getJson(`${url}/services`, {})) as { data: string[] }
  assert.ok(data.includes('shop'), 'services')
}

interface JaegerTrace {
  spans: { spanID: string; operationName: string }[]
}

interface OperatorObject extends KubeObject {
  spec: {
    port: string
    retentionPeriod?: string
    evaluationInterval?: string
    extraArgs?: Record<string, string>
    securityContext?: { runAsUser?: number }
    datasource?: { url: string }
    remoteRead?: { url: string }
    remoteWrite?: { url: string } | { url: string }[]
    notifiers?: { url: string }[]
  }
}

const domain = 'monitoring.svc.cluster.local'

/** What the operator makes of an object: its fields as flags, data and queues on volumes. */
class Operator {
  readonly #objects: readonly KubeObject[]
  readonly #volumes: string

  constructor(objects: readonly KubeObject[], volumes: string) {
    this.#objects = objects
    this.#volumes = volumes
  }

  object(kind: string): OperatorObject {
    return this.#objects.find(o => o.kind === kind && !o.apiVersion.startsWith('v1')) as OperatorObject
  }

  #volume(path: string, name: string): Mount {
    return { path, kind: 'directory', directory: makeVolume(`${this.#volumes}/${name}`, 10001) }
  }

  container(kind: string, program: string, args: readonly string[], mounts: readonly Mount[]): Container {
    const { metadata, spec } = this.object(kind)
    const name = `${kind.toLowerCase()}-${metadata.name}`
    return {
      name: `${name}-0`,
      program: enginePath(program)!,
      args: [...args, ...Object.entries(spec.extraArgs ?? {}).map(([key, value]) => `-${key}=${value}`)],
      env: {},
      user: 10001,
      mounts: [...mounts, this.#volume('/tmp', `${name}-tmp`)],
      ready: { port: Number(spec.port), path: kind === 'VMAlertmanager' ? '/-/ready' : '/health' },
      labels: {},
      portNames: {},
      aliases: [`${name}.${domain}`, `${name}-0.${name}.${domain}`],
    }
  }

  /** Of the whole stack, with what the operator would find to scrape, and rules. */
  containers(): Container[] {
    const [single, agent, alert] = ['VMSingle', 'VMAgent', 'VMAlert'].map(kind => this.object(kind).spec)
    const target = `vmsingle-victoria-metrics-k8s-stack.${domain}:8428`
    const jobs = `[{ job_name: single, scrape_interval: 1s, static_configs: [{ targets: ['${target}'] }] }]`
    const scrape = `scrape_configs: ${jobs}\n`
    const rule =
      'groups: [{ name: g, interval: 1s, rules: [{ record: up_recorded, expr: up }, ' +
      '{ alert: AlwaysThere, expr: up == 1, labels: { severity: info } }] }]\n'
    const remoteWrite = agent!.remoteWrite as { url: string }[]
    return [
      this.container(
        'VMSingle',
        'victoria-metrics',
        [`-httpListenAddr=:${single!.port}`, `-retentionPeriod=${single!.retentionPeriod!}`, '-storageDataPath=/data'],
        [this.#volume('/data', 'single')],
      ),
      this.container(
        'VMAgent',
        'vmagent',
        [
          `-httpListenAddr=:${agent!.port}`,
          ...remoteWrite.map(({ url }) => `-remoteWrite.url=${url}`),
          '-remoteWrite.tmpDataPath=/tmp/vmagent-remotewrite-data',
          '-promscrape.config=/etc/vmagent/vmagent.yaml',
        ],
        [{ path: '/etc/vmagent', kind: 'files', files: { 'vmagent.yaml': scrape } }],
      ),
      this.container(
        'VMAlertmanager',
        'prometheus-alertmanager',
        ['--config.file=/etc/alertmanager/alertmanager.yaml', '--storage.path=/tmp/alertmanager'].concat(
          `--web.listen-address=:${this.object('VMAlertmanager').spec.port}`,
          '--cluster.listen-address=',
        ),
        [
          {
            path: '/etc/alertmanager',
            kind: 'files',
            files: { 'alertmanager.yaml': 'route: { receiver: none }\nreceivers: [{ name: none }]\n' },
          },
        ],
      ),
      this.container(
        'VMAlert',
        'vmalert',
        [
          `-httpListenAddr=:${alert!.port}`,
          `-datasource.url=${alert!.datasource!.url}`,
          `-remoteRead.url=${alert!.remoteRead!.url}`,
          `-remoteWrite.url=${(alert!.remoteWrite as { url: string }).url}`,
          ...alert!.notifiers!.map(({ url }) => `-notifier.url=${url}`),
          `-evaluationInterval=${alert!.evaluationInterval!}`,
          '-rule=/etc/vmalert/rules.yaml',
        ],
        [{ path: '/etc/vmalert', kind: 'files', files: { 'rules.yaml': rule } }],
      ),
    ]
  }
}

test("the k8s-stack's objects", needsEngines({ programs, charts: ['victoria-metrics-k8s-stack'] }), async t => {
  const volumes = `${directory}/stack`
  makeVolume(volumes, 0)
  const { stack, tree } = await renderStack('signals: [metrics]\n', 'victoria', 'flux')
  const objects = clusterObjects(tree, { 'victoria-metrics-k8s-stack': 'victoria-metrics-k8s-stack' })
  const containers = new Operator(objects, volumes).containers()
  const running = await RunningStack.start(containers, volumes)
  try {
    const single = running.pods[0]!
    await running.network.addService('metrics-store', [{ port: 8428, to: { host: single.ip, port: 8428 } }])
    const doors = await doorsOf(stack, running.network)
    for (const { check, level, found } of await checkStack({ 'metrics.query': doors['metrics.query']! }))
      t.diagnostic(`${level} ${check}: ${found}`)
    const isThere = async (query: string): Promise<true | undefined> =>
      (await instant(doors['metrics.query']!, query)).length > 0 ? true : undefined
    await until(() => isThere('up{job="single"}'), "vmagent's samples are in VMSingle", 60)
    await until(() => isThere('up_recorded{job="single"}'), "vmalert's samples are in VMSingle", 60)
    const alertmanager = await running.network.door(containers[2]!.name, 9093)
    await until(
      async () => {
        const alerts = (await getJson(`http://${alertmanager}/api/v2/alerts`, {})) as { labels: object }[]
        return JSON.stringify(alerts).includes('AlwaysThere') ? true : undefined
      },
      "vmalert's alert is in Alertmanager",
      60,
    )
    assert.equal(running.pods.filter(pod => pod.isRunning).length, 4)
  } finally {
    await running.stop()
  }
})
