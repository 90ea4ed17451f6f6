/**
 * The rendered pods as processes: ready in time, one agent a node, each pod scraped once, what was written there
 * after the pod is deleted, with and without a volume. And the service of compose with its health check. req-009
 * req-032 req-034 req-058 req-071 req-073 req-079 req-080 req-087 req-088 req-092 req-093 req-095 req-096 req-097
 * req-098 req-099 req-111 req-112 req-114 req-116 req-117 req-119 req-120.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, stringify } from 'yaml'
import { messageOf } from '#core/errors.ts'
import { renderCompose } from '#deploy/compose.ts'
import { readStack } from '#deploy/stack.ts'
import type { KubeObject } from '#deploy/tree.ts'
import { freePort } from '../free-port.ts'
import { KubeApi, type RoleRule } from '../kube-api.ts'
import { objectsOfText } from '../kube-objects.ts'
import { Kubelet, type Pod } from '../kubelet.ts'
import { untilTrue } from '../until.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody } from '../write-request.ts'

const helm = join(process.cwd(), 'node_modules/.bin/helm')
const runs = {
  skip:
    process.platform !== 'linux'
      ? 'NOT TESTED: needs the loopback network of Linux'
      : spawnSync(helm, ['version']).status === 0
        ? false
        : 'NOT TESTED: helm does not run here',
} as const

/** What the chart renders with these values. */
function chartObjects(valuesFile: string): KubeObject[] {
  const of = ['template', 'try', 'deploy/chart', '--namespace', 'monitoring', '--kube-version', '1.29.0']
  const { status, stdout, stderr } = spawnSync(helm, [...of, '-f', valuesFile], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return objectsOfText(stdout)
}

/** Waits, and shows what the pods printed where it waits in vain. */
async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  seconds = 60,
  pods: readonly Pod[] = [],
): Promise<void> {
  try {
    await untilTrue(isSo, what, seconds)
  } catch (error) {
    const printed = pods.map(p => `\n${p.name} (${p.restarts} restarts, ${p.killed.join()}): ${p.output.slice(-600)}`)
    throw new Error(`${messageOf(error)}${printed.join('')}`, { cause: error })
  }
}
const valueOf = async (url: string, query: string): Promise<string[]> =>
  (
    (await (await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`)).json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
  ).data.result
    .map(r => `${r.metric['pod'] ?? ''}=${r.value[1]}`)
    .sort()

/** The time of the oldest sample that a pod's exporter gave in the last hour; 0 where there is none. */
async function firstSampleMs(url: string, pod: string): Promise<number> {
  const reply = await fetch(urlOf(url, '/api/v1/query', { query: `exporter_value{pod="${pod}"}[1h]` }))
  const { data } = (await reply.json()) as { data: { result: { values: [number, string][] }[] } }
  return (data.result[0]?.values[0]?.[0] ?? 0) * 1000
}

test('a cluster of three nodes', runs, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-kubelet-'))
  const network = `${100 + (process.pid % 100)}.${process.pid % 200}`
  const api = new KubeApi()
  const exporters: Server[] = []
  const scraped = new Map<string, number>()
  await api.start()
  // Without a volume: an emptyDir, and a bucket that is not of this node.
  const values = {
    scrape: { interval: '1s', timeout: '1s' },
    server: {
      persistence: { enabled: false },
      config: { bucket: { dir: '/bucket' }, durability: 'bucket', disk_free_min: '0' },
    },
    agent: { config: { disk_free_min: '0' } },
  }
  writeFileSync(join(directory, 'values.yaml'), stringify(values))
  const objects = chartObjects(join(directory, 'values.yaml'))
  const account = join(directory, 'account')
  mkdirSync(account)
  for (const [name, text] of [
    ['token', api.token],
    ['namespace', 'monitoring'],
  ] as const)
    writeFileSync(join(account, name), text)
  // What the chart's ClusterRole does not give is refused.
  api.rules = (objects.find(o => o.kind === 'ClusterRole') as unknown as { rules: RoleRule[] }).rules
  const kubelet = new Kubelet(
    {
      objects,
      directory,
      outside: { '/bucket': join(directory, 'bucket') },
      env: {
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(api.port),
        KUBERNETES_SERVICE_SCHEME: 'http',
        KUBERNETES_SERVICE_ACCOUNT_DIR: account,
      },
    },
    network,
  )
  try {
    const nodes = ['n1', 'n2', 'n3']
    const annotations: (Record<string, string> | undefined)[] = [
      { 'prometheus.io/scrape': 'true' },
      { 'prometheus.io/scrape': 'false' },
      undefined,
      { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9999', 'prometheus.io/path': '/own' },
    ]
    for (const node of nodes)
      api.put('nodes', {
        metadata: { name: node },
        status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] },
      })
    for (const [i, own] of annotations.entries()) {
      const ip = `127.${network}.${200 + i}`
      const port = own?.['prometheus.io/port'] === undefined ? 8080 : 9999
      const exporter = createServer((request, reply) => {
        scraped.set(`pod-${i}`, (scraped.get(`pod-${i}`) ?? 0) + 1)
        if (request.url !== (own?.['prometheus.io/path'] ?? '/metrics')) {
          reply.writeHead(404).end()
          return
        }
        reply.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(`exporter_value ${i}\n`)
      })
      await new Promise<void>(resolve => {
        exporter.listen(port, ip, () => {
          resolve()
        })
      })
      exporters.push(exporter)
      api.put('pods', {
        metadata: { name: `pod-${i}`, namespace: 'apps', ...(own === undefined ? {} : { annotations: own }) },
        spec: { nodeName: nodes[i % 3], containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
        status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
      })
    }
    await kubelet.startServices()
    const [server] = kubelet.start('StatefulSet', ['n1']) as [Pod]
    const agents = kubelet.start('DaemonSet', nodes)
    const url = kubelet.serviceUrl('metrics-store', 8428)
    await until('all pods are ready', () => kubelet.pods.every(p => p.isReady), 60, kubelet.pods)
    for (const pod of kubelet.pods) assert.ok(pod.readySeconds! < 60, `${pod.name} (req-092 req-095)`)
    assert.equal(agents.length, 3, 'req-096')
    // Four requests on the one port.
    for (const path of ['/health', '/api/v1/query?query=1', '/metrics'])
      assert.equal((await fetch(url + path)).status, 200, `${path} (req-079 req-114)`)
    const timeMs = Date.now()
    assert.equal(
      (await postWrite(url, writeBody([{ labels: [['__name__', 'kept']], samples: [[timeMs, 42]] }]))).status,
      204,
    )
    // Each annotated pod by exactly one agent.
    // (req-087 req-120: written, scraped, queried, over a restart.)
    const targets = async (): Promise<string[]> =>
      (
        await Promise.all(
          agents.map(async a =>
            (
              (await (await fetch(`http://${a.ip}:8429/api/v1/targets`)).json()) as {
                data: { activeTargets: { labels: Record<string, string>; health: string }[] }
              }
            ).data.activeTargets.map(t => `${t.labels['pod']!} ${t.health}`),
          ),
        )
      )
        .flat()
        .sort()
    await until('the targets are up', async () => (await targets()).join() === 'pod-0 up,pod-3 up')
    // By remote write, from the agents (req-032 req-099).
    await until(
      'their samples are there',
      async () => (await valueOf(url, 'exporter_value')).join() === 'pod-0=0,pod-3=3',
      30,
    )
    assert.deepEqual([...scraped.keys()].sort(), ['pod-0', 'pod-3'], 'req-098')
    for (const node of nodes)
      assert.ok(
        api.requests.some(r => r.includes(`fieldSelector=spec.nodeName%3D${node}`)),
        `req-071 ${node}`,
      )
    // The ConfigMap changes, and the agent is notified: the new target is listed, on the page too (req-119).
    const first = agents[0]!
    const config = join(directory, `pod-${first.name}-config`, 'prometheus.yml')
    writeFileSync(
      config,
      readFileSync(config, 'utf8').replace(
        'scrape_configs:',
        'scrape_configs:\n  - job_name: added\n    static_configs: [{ targets: ["127.0.0.1:1"] }]',
      ),
    )
    assert.equal((await fetch(`http://${first.ip}:8429/-/reload`, { method: 'POST' })).status, 200)
    await until('the added target is listed', async () =>
      (await (await fetch(`http://${first.ip}:8429/api/v1/targets`)).text()).includes('"scrapePool":"added"'),
    )
    assert.match(await (await fetch(`http://${first.ip}:8429/targets`)).text(), /added/, 'req-119')
    // The pod goes, with its node: another one on another node has everything, though its directory is empty.
    const firstMs = await firstSampleMs(url, 'pod-0')
    assert.ok(firstMs > 0)
    const again = await kubelet.replace(server, 'StatefulSet', 'SIGKILL')
    await until('the new pod is ready', () => again.isReady)
    assert.ok(again.readySeconds! < 60, 'req-093')
    assert.deepEqual(await valueOf(url, 'last_over_time(kept[1h])'), ['=42'], 'req-009 req-093')
    // And the agents go on, which had waited; a sample that was seen but not yet acknowledged comes again.
    await until('the first sample is there', async () => (await firstSampleMs(url, 'pod-0')) === firstMs, 30)
    const before = Number((await valueOf(url, 'count_over_time(exporter_value{pod="pod-0"}[1h])'))[0]!.split('=')[1])
    await until(
      'agents go on',
      async () =>
        Number((await valueOf(url, 'count_over_time(exporter_value{pod="pod-0"}[1h])'))[0]!.split('=')[1]) > before + 2,
      30,
    )
    for (const pod of kubelet.pods) {
      assert.deepEqual(pod.killed, [], `${pod.name}: ${pod.output.slice(-500)}`)
      assert.equal(pod.restarts, 0, pod.name)
    }
    assert.ok(kubelet.pods.every(p => p.peakBytes > 0))
  } finally {
    await kubelet.stop()
    for (const exporter of exporters) {
      exporter.closeAllConnections()
      await new Promise(resolve => {
        exporter.close(resolve)
      })
    }
    await api.stop()
    rmSync(directory, { recursive: true, force: true })
  }
})

test('with a volume, what was acknowledged is there after the pod is deleted', runs, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-kubelet-'))
  const network = `${100 + (process.pid % 100)}.${200 + (process.pid % 50)}`
  writeFileSync(
    join(directory, 'values.yaml'),
    stringify({ agent: { enabled: false }, server: { config: { disk_free_min: '0' } } }),
  )
  const objects = chartObjects(join(directory, 'values.yaml'))
  const kubelet = new Kubelet({ objects, directory }, network)
  try {
    await kubelet.startServices()
    const [server] = kubelet.start('StatefulSet', ['n1']) as [Pod]
    const url = kubelet.serviceUrl('metrics-store', 8428)
    const logs = kubelet.serviceUrl('logs-store', 3100)
    await until('ready', () => server.isReady, 60, [server])
    const timeMs = Date.now()
    assert.equal(
      (await postWrite(url, writeBody([{ labels: [['__name__', 'kept']], samples: [[timeMs, 7]] }]))).status,
      204,
    )
    assert.equal(
      (
        await fetch(`${logs}/loki/api/v1/push`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [[`${timeMs}000000`, 'a kept line']] }] }),
        })
      ).status,
      204,
    )
    const again = await kubelet.replace(server, 'StatefulSet', 'SIGKILL')
    await until('ready again', () => again.isReady)
    assert.deepEqual(await valueOf(url, 'last_over_time(kept[1h])'), ['=7'], 'req-093')
    assert.match(
      await (await fetch(`${logs}/loki/api/v1/query_range?query=${encodeURIComponent('{app="a"}')}`)).text(),
      /a kept line/,
    )
    assert.deepEqual(again.killed, [])
  } finally {
    await kubelet.stop()
    rmSync(directory, { recursive: true, force: true })
  }
})

test('compose: the command runs, the health check tells up from down, the volume keeps the data', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-compose-'))
  const { tree } = renderCompose(readStack('', 'stack.yaml', 'tercet'))
  try {
    const service = (
      parse(tree.get('compose.yaml')!) as {
        services: {
          victoriametrics: {
            command: string[]
            environment: Record<string, string>
            healthcheck: { test: string[] }
            volumes: string[]
          }
        }
      }
    ).services.victoriametrics
    for (const [path, text] of tree) {
      mkdirSync(join(directory, path, '..'), { recursive: true })
      writeFileSync(join(directory, path), text)
    }
    const port = await freePort()
    const outside = (text: string): string =>
      text.replaceAll('/data', join(directory, 'volume')).replaceAll('/etc/tercet', join(directory, 'config'))
    // As the image has it, on other ports.
    const env = {
      PATH: process.env['PATH'],
      ...Object.fromEntries(Object.entries(service.environment).map(([name, value]) => [name, outside(value)])),
      TERCET_LISTEN_ALIASES: '',
      TERCET_LISTEN_HTTP: `0.0.0.0:${port}`,
      TERCET_LISTEN_OTLP_HTTP: 'off',
      TERCET_LISTEN_OTLP_GRPC: 'off',
      TERCET_LISTEN_SYSLOG_UDP: 'off',
      TERCET_DISK_FREE_MIN: '0',
    }
    const [, program, script, ...words] = service.healthcheck.test
    const health = (): number | null =>
      spawnSync(
        program === 'node' ? process.execPath : program!,
        [script!.replace('/app/tercet.js', 'src/app/main.ts'), ...words],
        { env },
      ).status
    assert.notEqual(health(), 0, 'req-112: nothing is up')
    for (const round of [1, 2]) {
      const child = spawn(process.execPath, ['src/app/main.ts', ...service.command.map(outside)], {
        env,
        stdio: 'ignore',
      })
      const ended = new Promise(resolve => {
        child.once('exit', resolve)
      })
      try {
        await until('healthy', () => health() === 0)
        const url = `http://127.0.0.1:${port}`
        if (round === 1)
          assert.equal(
            (await postWrite(url, writeBody([{ labels: [['__name__', 'kept']], samples: [[Date.now(), 5]] }]))).status,
            204,
          )
        assert.deepEqual(await valueOf(url, 'last_over_time(kept[1h])'), ['=5'], 'req-111')
        const flags = (await (await fetch(`${url}/api/v1/status/flags`)).json()) as { data: Record<string, string> }
        assert.equal(flags.data['metrics.retention'], '30d', 'req-080')
      } finally {
        child.kill('SIGTERM')
        await ended
      }
    }
    assert.notEqual(health(), 0)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
