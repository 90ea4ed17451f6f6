/**
 * The rendered pods with TLS, certificates of clients and credentials, as processes: ready by their own probes; the
 * agent's samples and lines arrive; rules and receivers from Secrets and ConfigMaps work and are followed. req-061
 * req-085 req-095 req-137 req-159.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createPlainServer, type Server } from 'node:http'
import { createServer as createTlsServer, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { messageOf } from '#core/errors.ts'
import { certificateOf, hasOpenssl, makeCertificates } from '../certificates.ts'
import { KubeApi, type RoleRule } from '../kube-api.ts'
import { listening } from '../listening.ts'
import { untilTrue } from '../until.ts'
import { MountedPod, Services, writeVolume, type World } from './mounted-pods.ts'
import { hasHelm, one, rendered, type Values } from './render.ts'

const runs = {
  skip:
    process.platform === 'linux' ? hasHelm.skip || hasOpenssl.skip : 'NOT TESTED: needs the loopback network of Linux',
} as const
const network = `127.${100 + (process.pid % 100)}.${process.pid % 200}`
const addresses = ['127.0.0.1', ...[1, 2, 3, 4, 5, 6, 7, 8].map(i => `${network}.${i}`)]
const hosts = [
  ...addresses.map(ip => `IP:${ip}`),
  ...['metrics-store', 'logs-store', 'tercet.example.net'].map(name => `DNS:${name}`),
].join(',')

function worldOf(objects: World['objects'], directory: string): World {
  return { objects, directory, external: {}, outside: {}, env: {}, hosts: {} }
}

async function until(what: string, isSo: () => boolean | Promise<boolean>, pods: readonly MountedPod[]): Promise<void> {
  try {
    await untilTrue(isSo, what, 60)
  } catch (error) {
    throw new Error(`${messageOf(error)}${pods.map(p => `\n${p.output.slice(-1500)}`).join('')}`, { cause: error })
  }
}

interface Asked {
  status: number
  text: string
}
type Client = Partial<{ ca: string; cert: string; key: string; auth: string }>

function ask(host: string, port: number, path: string, client: Client): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, agent: false, ...client }, reply => {
      let text = ''
      reply.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      reply.on('end', () => {
        resolve({ status: reply.statusCode ?? 0, text })
      })
    })
    asked.on('error', reject)
    asked.end()
  })
}

test('a server with a certificate from a Secret becomes ready by probes over HTTPS', runs, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-tls-pod-'))
  makeCertificates(directory, ['server'], hosts)
  const { ca, cert, key } = certificateOf(directory, 'server')
  const objects = rendered({
    agent: { enabled: false },
    tls: { existingSecret: 'their-tls' },
    server: { config: { disk_free_min: '0' } },
  })
  const external = { 'Secret/their-tls': { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca } }
  const pod = new MountedPod({ ...worldOf(objects, directory), external }, 'StatefulSet', addresses[1]!)
  try {
    pod.start()
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
      await until(probe, () => pod.isFine(probe), [pod])
    assert.equal((await ask(pod.ip, 8428, '/metrics', { ca })).status, 200)
    await assert.rejects(fetch(`http://${pod.ip}:8428/health`), 'nothing answers without TLS')
  } finally {
    await pod.stop()
    rmSync(directory, { recursive: true, force: true })
  }
})

/** A kubelet's own port: TLS that nobody knows, metrics for who has the token. */
function fakeKubelet(cert: string, key: string, token: string): Server {
  return createTlsServer({ cert, key }, (asked, reply) => {
    const isKnown = asked.headers.authorization === `Bearer ${token}`
    const body = asked.url === '/metrics' ? 'kubelet_running_pods 3\n' : containerMetrics
    reply.writeHead(isKnown ? 200 : 401, { 'content-type': 'text/plain; version=0.0.4' }).end(isKnown ? body : '')
  })
}
const containerMetrics = [
  'container_memory_working_set_bytes{id="/kubepods/x",pod="a",container="c"} 7',
  'container_memory_working_set_bytes{id="/system.slice/y",pod=""} 8',
  'container_spec_cpu_period{id="/kubepods/x",pod="a"} 9',
].join('\n')

const ruleFile = (name: string): string =>
  `groups:\n  - name: ${name}\n    interval: 1s\n    rules:\n      - alert: ${name}\n        expr: vector(1)\n`

const values: Values = {
  auth: { existingSecret: 'their-auth' },
  tls: {
    existingSecret: 'their-tls',
    clientCa: { existingSecret: 'their-clients', key: 'clients.pem' },
    clientSecret: 'their-client',
  },
  scrape: { interval: '1s', timeout: '1s' },
  server: {
    filesCheckInterval: '1s',
    rulesConfigMaps: ['their-rules'],
    alertmanagerConfigSecret: { name: 'their-alerts' },
    alertmanagerFilesSecret: 'their-receivers',
    config: { disk_free_min: '0' },
  },
  agent: { logs: true, kubelet: { enabled: true }, config: { disk_free_min: '0' } },
}
const alertmanagerConfig = [
  'route: { receiver: hook, group_wait: 1s, group_interval: 1s }',
  'receivers:',
  '  - name: hook',
  '    webhook_configs: [{ url_file: hook-url }]',
].join('\n')

test(
  'certificates of clients, credentials, rules and receivers from Secrets: server and agent work together',
  runs,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tercet-mutual-pod-'))
    makeCertificates(directory, ['server', 'client'], hosts)
    const own = certificateOf(directory, 'server')
    const client = certificateOf(directory, 'client')
    const notified: string[] = []
    const hook = createPlainServer((asked, reply) => {
      asked.on('data', (chunk: Buffer) => notified.push(chunk.toString())).on('end', () => reply.end())
    })
    const api = new KubeApi()
    const kubelet = fakeKubelet(own.cert, own.key, api.token)
    await listening(hook)
    await listening(kubelet)
    await api.start()
    const portOf = (server: Server): number => (server.address() as { port: number }).port
    const objects = rendered(values)
    // What the chart's role does not give is refused.
    api.rules = one(objects, 'ClusterRole', /agent$/)['rules'] as RoleRule[]
    api.put('nodes', {
      metadata: { name: 'n1' },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: portOf(kubelet) } },
      },
    })
    const account = join(directory, 'account')
    const logs = join(directory, 'log')
    mkdirSync(join(logs, 'pods/apps_web_uid/web'), { recursive: true })
    mkdirSync(account)
    for (const [name, text] of Object.entries({ token: api.token, namespace: 'monitoring', 'ca.crt': own.ca }))
      writeFileSync(join(account, name), text)
    const world: World = {
      ...worldOf(objects, directory),
      external: {
        'Secret/their-auth': { username: 'alice', password: 'wonder' },
        'Secret/their-tls': { 'tls.crt': own.cert, 'tls.key': own.key, 'ca.crt': own.ca },
        'Secret/their-clients': { 'clients.pem': own.ca },
        'Secret/their-client': { 'tls.crt': client.cert, 'tls.key': client.key },
        'Secret/their-alerts': { 'alertmanager.yml': alertmanagerConfig },
        'Secret/their-receivers': { 'hook-url': `http://127.0.0.1:${portOf(hook)}/` },
        'ConfigMap/their-rules': { 'a.yaml': ruleFile('Before') },
      },
      outside: { '/var/run/secrets/kubernetes.io/serviceaccount': account, '/var/log': logs },
      env: {
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(api.port),
        KUBERNETES_SERVICE_SCHEME: 'http',
        KUBERNETES_SERVICE_ACCOUNT_DIR: account,
        // As other people's manifests have them.
        TERCET_PORT: 'tcp://10.0.0.1:8428',
        TERCET_PORT_8428_TCP_ADDR: '10.0.0.1',
      },
    }
    const pods = [
      new MountedPod(world, 'StatefulSet', addresses[1]!),
      new MountedPod(world, 'DaemonSet', addresses[2]!),
    ] as const
    const [server] = pods
    const services = new Services()
    const whole = { ...client, auth: 'alice:wonder' }
    const get = async (path: string): Promise<string> => (await ask(server.ip, 8428, path, whole)).text
    const query = (expression: string): Promise<string> => get(`/api/v1/query?query=${encodeURIComponent(expression)}`)
    try {
      await services.start(world, pods, i => addresses[3 + i]!)
      for (const pod of pods) pod.start()
      for (const pod of pods)
        for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
          await until(`${pod.labels['app.kubernetes.io/component']}: ${probe}`, () => pod.isFine(probe), pods)
      // Who has no certificate, or no credentials, does not get in.
      await assert.rejects(ask(server.ip, 8428, '/health', { ca: own.ca }))
      assert.equal((await ask(server.ip, 8428, '/metrics', client)).status, 401)
      assert.equal((await ask(server.ip, 8428, '/metrics', whole)).status, 200)
      // Samples of the node, by the agent, with its certificate and credentials.
      await until('samples of the kubelet', async () => (await query('kubelet_running_pods')).includes('"3"'), pods)
      const containers = '{__name__=~"container_.+"}'
      await until('samples of cAdvisor', async () => (await query(containers)).includes('cadvisor'), pods)
      const container = (await query(containers)) + (await query('kubelet_running_pods'))
      assert.match(container, /"metrics_path":"\/metrics\/cadvisor"/)
      assert.match(container, /"job":"cadvisor"/)
      assert.match(container, /"job":"kubelet"/)
      assert.match(container, /"node":"n1"/)
      assert.doesNotMatch(container, /system\.slice|container_spec/)
      // And lines.
      const line = `${new Date().toISOString()} stdout F a line of a pod\n`
      writeFileSync(join(logs, 'pods/apps_web_uid/web/0.log'), line)
      const lines = (): Promise<string> => get(`/loki/api/v1/query_range?query=${encodeURIComponent('{pod="web"}')}`)
      await until('lines of the pod', async () => (await lines()).includes('a line of a pod'), pods)
      // Alerts reach a receiver whose address is in a Secret; a ConfigMap that changes is read again.
      await until('the notification', () => notified.join('').includes('"alertname":"Before"'), pods)
      writeVolume(server.directoryOf('rules-configmap-0'), { 'a.yaml': ruleFile('After') })
      await until('the rule that is new', async () => (await get('/api/v1/rules')).includes('"name":"After"'), pods)
      assert.doesNotMatch(await get('/api/v1/rules'), /"name":"Before"/)
      for (const pod of pods) assert.doesNotMatch(pod.output, /no key and has no effect/)
      assert.deepEqual(api.refused, [])
    } finally {
      for (const pod of pods.toReversed()) await pod.stop()
      await services.stop()
      for (const other of [hook, kubelet]) {
        other.closeAllConnections()
        await new Promise(resolve => {
          other.close(resolve)
        })
      }
      await api.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  },
)
