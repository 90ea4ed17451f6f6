/**
 * VictoriaMetrics, vmagent, vmalert and Alertmanager, and VictoriaLogs and VictoriaTraces where they are here, with
 * what `deploy render` writes for the engine victoria: compose as it is; on Kubernetes the objects of the k8s-stack,
 * with the arguments that its operator makes of them. Skipped, and said so, where the programs are not here.
 * req-001 req-009 req-027 req-035 req-127 req-153.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, test } from 'node:test'
import type { KubeObject } from '#deploy/tree.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import { makeVolume, type Mount } from './pod.ts'
import { enginePath, needsEngines } from './programs.ts'
import { checkStack, doorsOf, getJson, instant } from './questions.ts'
import { clusterObjects, composeContainers, renderStack, RunningStack, type Container } from './stacks.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

const programs = ['victoria-metrics', 'vmagent', 'vmalert', 'prometheus-alertmanager']

test('compose', { timeout: 200_000, ...needsEngines({ programs: ['victoria-metrics'] }) }, async t => {
  const isHere = {
    logs: enginePath('victoria-logs') !== undefined,
    traces: enginePath('victoria-traces') !== undefined,
  }
  for (const [signal, is] of Object.entries(isHere)) if (!is) t.diagnostic(`NOT TESTED: victoria-${signal} is not here`)
  const signals = ['metrics', ...(isHere.logs ? ['logs'] : []), ...(isHere.traces ? ['traces'] : [])]
  const volumes = `${directory}/compose`
  makeVolume(volumes, 0)
  const { tree } = await renderStack(`signals: [${signals.join(', ')}]\n`, 'victoria', 'compose')
  const running = await RunningStack.start(composeContainers(tree, volumes), volumes)
  try {
    for (const { check, level, found } of await checkStack(await composeDoors(running)))
      t.diagnostic(`${level} ${check}: ${found}`)
  } finally {
    await running.stop()
  }
})

/** VictoriaLogs is one process in compose; check stack finds the receivers of spans by itself. */
async function composeDoors({ network }: RunningStack): Promise<Record<string, string>> {
  const doors: Record<string, string> = {}
  for (const [signal, port] of Object.entries({ metrics: 8428, logs: 9428, traces: 10428 }))
    if (network.hosts.has(`${signal}-store`))
      doors[`${signal}.query`] = await network.outsideUrl(`http://${signal}-store:${port}`)
  return doors
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

test(
  "the k8s-stack's objects",
  { timeout: 200_000, ...needsEngines({ programs, charts: ['victoria-metrics-k8s-stack'] }) },
  async t => {
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
  },
)
