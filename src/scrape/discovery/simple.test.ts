/**
 * Discoveries over HTTP, DNS, Docker's and Consul's APIs, with servers that answer as their documents say; what was
 * found last stays when a look fails.
 */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import { readPrometheusConfig } from '../config.ts'
import { makeDiscovery } from '../manager.ts'
import type { DiscoveryWorld, TargetGroup } from './discovery.ts'

let server: Server
let base = ''
const answers = new Map<string, unknown>()
const asked: { url: string; headers: Record<string, unknown> }[] = []
before(async () => {
  server = createServer((request, reply) => {
    asked.push({ url: request.url ?? '', headers: request.headers })
    const found = answers.get(new URL(request.url ?? '', 'http://x').pathname)
    if (found === undefined) {
      reply.writeHead(500).end()
      return
    }
    reply
      .writeHead(200, { 'content-type': 'application/json' })
      .end(typeof found === 'string' ? found : JSON.stringify(found))
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', () => {
      resolve()
    })
  })
  base = `127.0.0.1:${(server.address() as { port: number }).port}`
})
after(async () => {
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

let underWay = 0
/** Counts its requests that are under way. */
class CountedClient extends HttpClient {
  override async send(...request: Parameters<HttpClient['send']>): ReturnType<HttpClient['send']> {
    underWay++
    try {
      return await super.send(...request)
    } finally {
      underWay--
    }
  }
}

interface Looked {
  groups: () => readonly TargetGroup[]
  calls: () => number
  again: () => Promise<void>
  stop: () => Promise<void>
}
async function look(yaml: string, resolve?: Partial<DiscoveryWorld['resolve']>): Promise<Looked> {
  const clock = new VirtualClock(0)
  const files = new MemoryFiles()
  const none = (): Promise<never> => Promise.reject(new Error('not asked'))
  const world: DiscoveryWorld = {
    clock,
    files,
    log: silentLog,
    directory: '/',
    env: {},
    resolve: { srv: none, addresses: none, mx: none, ns: none, ...resolve },
    client: settings =>
      new CountedClient(settings, { clock: systemClock, files, env: {}, directory: '/', guard: new OutgoingGuard() }),
  }
  const [settings] = readPrometheusConfig(`scrape_configs: [{ job_name: a, ${yaml} }]`, 'p.yml', { env: {} }).jobs[0]!
    .discoveries
  const discovery = makeDiscovery(settings!, world)
  let groups: readonly TargetGroup[] = []
  let calls = 0
  /** Until no request has been under way for some turns of the event loop: a look asks one after the other. */
  const idle = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns++) {
      await clock.yield()
      if (underWay > 0) turns = 0
    }
  }
  discovery.start(found => {
    groups = found
    calls++
  })
  await idle()
  return {
    groups: () => groups,
    calls: () => calls,
    again: async () => {
      await clock.advance(60_000)
      await idle()
    },
    stop: () => discovery.stop(),
  }
}
const labelsOf = (group: TargetGroup | undefined, n = 0): Record<string, string> =>
  Object.fromEntries([...(group?.labels ?? []), ...(group?.targets[n] ?? [])])

test('http: groups, changes, answers that are no groups', async () => {
  answers.set('/sd', [{ targets: ['a:1', 'b:2'], labels: { team: 'x' } }])
  const found = await look(`http_sd_configs: [{ url: "http://${base}/sd", refresh_interval: 30s }]`)
  assert.deepEqual(labelsOf(found.groups()[0], 1), { team: 'x', __meta_url: `http://${base}/sd`, __address__: 'b:2' })
  assert.equal(asked.at(-1)!.headers['x-prometheus-refresh-interval-seconds'], '30')
  await found.again()
  assert.equal(found.calls(), 1, 'the same groups are announced once')
  for (const wrong of ['{', '{"targets":[]}', [{ targets: 'a' }], [{ targets: [1] }]]) {
    answers.set('/sd', wrong)
    await found.again()
    assert.equal(found.groups()[0]!.targets.length, 2)
  }
  answers.set('/sd', [])
  await found.again()
  assert.deepEqual(found.groups(), [])
  await found.stop()
})

test('dns: records of services, addresses, names', async () => {
  const srv = await look('dns_sd_configs: [{ names: [_p._tcp.x] }]', {
    srv: name => Promise.resolve([{ name: `${name}.host.`, port: 9 }]),
  })
  assert.deepEqual(labelsOf(srv.groups()[0]), {
    __address__: '_p._tcp.x.host:9',
    __meta_dns_name: '_p._tcp.x',
    __meta_dns_srv_record_target: '_p._tcp.x.host.',
    __meta_dns_srv_record_port: '9',
  })
  let isAway = false
  const six = await look('dns_sd_configs: [{ names: [x], type: AAAA, port: 80 }]', {
    addresses: (_, family) =>
      isAway ? Promise.reject(new Error('SERVFAIL')) : Promise.resolve(family === 6 ? ['::1', '::2'] : []),
  })
  assert.deepEqual(
    six.groups()[0]!.targets.map(t => t[0]![1]),
    ['[::1]:80', '[::2]:80'],
  )
  isAway = true
  await six.again()
  assert.equal(six.groups()[0]!.targets.length, 2)
  await srv.stop()
  await six.stop()
})

test('docker: containers by port and network', async () => {
  answers.set('/networks', [
    { Id: 'n1', Name: 'front', Scope: 'local', Internal: false, Ingress: false, Labels: { tier: '1' } },
    { Id: 'n2', Name: 'zone', Scope: 'local', Internal: true, Ingress: false, Labels: null },
  ])
  answers.set('/containers/json', [
    {
      Id: 'c1',
      Names: ['/web'],
      Labels: { 'com.x/app': 'web' },
      HostConfig: { NetworkMode: 'front' },
      NetworkSettings: {
        Networks: {
          zone: { NetworkID: 'n2', IPAddress: '10.0.0.9' },
          front: { NetworkID: 'n1', IPAddress: '10.0.0.2' },
        },
      },
      Ports: [
        { IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
        { PrivatePort: 53, Type: 'udp' },
      ],
    },
    {
      Id: 'c2',
      Names: ['/bare'],
      Labels: null,
      HostConfig: { NetworkMode: 'host' },
      NetworkSettings: { Networks: { host: { NetworkID: 'h', IPAddress: '' } } },
      Ports: [],
    },
  ])
  const found = await look(
    `docker_sd_configs: [{ host: "tcp://${base}", filters: [{ name: status, values: [running] }] }]`,
  )
  const [web, bare] = [0, 1].map(n => labelsOf(found.groups()[0], n))
  assert.deepEqual(
    [
      web!['__address__'],
      web!['__meta_docker_network_name'],
      web!['__meta_docker_port_public'],
      web!['__meta_docker_container_label_com_x_app'],
      web!['__meta_docker_network_label_tier'],
    ],
    ['10.0.0.2:80', 'front', '8080', 'web', '1'],
  )
  assert.equal(bare!['__address__'], 'localhost')
  assert.equal(found.groups()[0]!.targets.length, 2)
  assert.ok(asked.some(a => a.url.startsWith('/containers/json?filters=')))
  await found.stop()
  // The daemon's usual door is a socket in the file system.
  const path = join(mkdtempSync(join(tmpdir(), 'tercet-')), 'docker.sock')
  const local = createServer((request, reply) => {
    reply
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify(answers.get(new URL(request.url ?? '', 'http://x').pathname)))
  })
  await new Promise<void>(resolve => {
    local.listen(path, () => {
      resolve()
    })
  })
  const near = await look(`docker_sd_configs: [{ host: "unix://${path}" }]`)
  assert.equal(near.groups()[0]!.targets.length, 2)
  await near.stop()
  await new Promise(resolve => {
    local.close(resolve)
    local.closeAllConnections()
  })
})

test('consul: services by name and tag', async () => {
  answers.set('/v1/catalog/services', { web: ['prod', 'a'], db: ['dev'], consul: [] })
  answers.set('/v1/health/service/web', [
    {
      Node: {
        ID: 'i',
        Node: 'n',
        Address: '10.0.0.1',
        Datacenter: 'dc',
        Meta: { rack: '7' },
        TaggedAddresses: { lan: '10.0.0.1' },
      },
      Service: { ID: 'web-1', Service: 'web', Tags: ['prod', 'a'], Address: '', Port: 80, Meta: { v: '1' } },
      Checks: [{ Status: 'passing' }, { Status: 'warning' }],
    },
  ])
  const found = await look(`consul_sd_configs: [{ server: "${base}", tags: [prod], token: t }]`)
  const labels = labelsOf(found.groups()[0])
  assert.equal(found.groups().length, 1)
  assert.deepEqual(
    [
      '__address__',
      '__meta_consul_service',
      '__meta_consul_tags',
      '__meta_consul_health',
      '__meta_consul_metadata_rack',
      '__meta_consul_service_metadata_v',
      '__meta_consul_tagged_address_lan',
    ].map(n => labels[n]),
    ['10.0.0.1:80', 'web', ',prod,a,', 'warning', '7', '1', '10.0.0.1'],
  )
  assert.equal(asked.at(-1)!.headers['x-consul-token'], 't')
  await found.stop()
})
