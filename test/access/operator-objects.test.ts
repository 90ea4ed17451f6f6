/** Whoever may write an object of one namespace gets no Secret of another, and no file of the process. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import { silentLog, type LogFields } from '#core/log.ts'
import { KubeApi } from '../kube-api.ts'
import { listening } from '../listening.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

const api = new KubeApi()
const kept = { ...process.env }
const seen: string[] = []
const leftOut = new Map<string, string>()
let exposed: Server
let run: Running
let port = 0
const directory = temporaryDirectory()

const secretOf = (name: string, key = 'key') => ({ basicAuth: { password: { name, key } } })
/** By name of the object: what it has of a ScrapeConfig. */
const wrong: Readonly<Record<string, Record<string, unknown>>> = {
  'up-and-down': secretOf('../../two/secrets/keys'),
  encoded: secretOf('..%2f..%2ftwo%2fsecrets%2fkeys'),
  asked: secretOf('keys?x='),
  'with-a-configmap': { tlsConfig: { ca: { configMap: { name: '../../two/secrets/keys', key: 'key' } } } },
  'with-a-prototype': secretOf('own', 'constructor'),
  'with-a-certificate': { tlsConfig: { certFile: `${directory}/planted`, keyFile: `${directory}/planted` } },
  'with-http-sd': {
    httpSDConfigs: [{ url: 'http://127.0.0.1:1/', authorization: { credentialsFile: `${directory}/planted` } }],
  },
  'beside-the-account': {
    httpSDConfigs: [{ url: 'http://127.0.0.1:1/', bearerTokenFile: `${directory}/account/../planted` }],
  },
  relative: { httpSDConfigs: [{ url: 'http://127.0.0.1:1/', basicAuth: { username: 'x', passwordFile: 'planted' } }] },
}

before(async () => {
  exposed = createServer(({ headers, url }, reply) => {
    seen.push(`${url} ${headers.authorization}`)
    reply.writeHead(200, { 'content-type': 'text/plain' }).end('exposed 1\n')
  })
  port = await listening(exposed)
  await api.start()
  mkdirSync(`${directory}/account`)
  writeFileSync(`${directory}/planted`, 'planted')
  writeFileSync(`${directory}/account/token`, api.token)
  writeFileSync(`${directory}/account/namespace`, 'one')
  for (const namespace of ['one', 'two'])
    for (const name of ['own', 'keys'])
      if (namespace === 'two' || name === 'own')
        api.put('secrets', {
          metadata: { name, namespace },
          data: { key: Buffer.from(`secret of ${namespace}`).toString('base64') },
        })
  const scrape = { scrapeInterval: '1s', scrapeTimeout: '1s' }
  const put = (name: string, spec: Record<string, unknown>): void => {
    const staticConfigs = [{ targets: [`127.0.0.1:${port}`] }]
    const metadata = { name, namespace: 'one' }
    api.put('monitoring.coreos.com/scrapeconfigs', {
      metadata,
      spec: { ...scrape, staticConfigs, metricsPath: `/${name}`, ...spec },
    })
  }
  put('right', secretOf('own'))
  for (const [name, spec] of Object.entries(wrong)) put(name, spec)
  const monitor = (name: string, endpoint: Record<string, unknown>): void => {
    api.put('monitoring.coreos.com/servicemonitors', {
      metadata: { name, namespace: 'one' },
      spec: { selector: {}, endpoints: [{ port: 'x', ...endpoint }] },
    })
  }
  monitor('monitor', { bearerTokenFile: `${directory}/planted` })
  monitor('kubelet', {
    bearerTokenFile: `${directory}/account/token`,
    tlsConfig: { caFile: `${directory}/account/ca.crt` },
  })
  Object.assign(process.env, {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String(api.port),
    KUBERNETES_SERVICE_ACCOUNT_DIR: `${directory}/account`,
    KUBERNETES_SERVICE_SCHEME: 'http',
  })
  const log = {
    ...silentLog,
    warn: (message: string, { object, error }: LogFields = {}) => {
      if (message === 'an object is left out') leftOut.set(String(object), String(error))
    },
  }
  run = await runTercet([], directory, { log })
})
after(async () => {
  await run.stop()
  await api.stop()
  for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name]
  await new Promise(resolve => exposed.close(resolve))
})

test('names of Secrets lead to those of the own namespace, and files to those of the service account', async () => {
  const right = `Basic ${Buffer.from(':secret of one').toString('base64')}`
  await untilTrue(() => seen.some(text => text === `/right ${right}`), 'a scrape with the own secret')
  assert.deepEqual(
    [...leftOut.keys()].sort(),
    [...Object.keys(wrong).map(name => `ScrapeConfig one/${name}`), 'ServiceMonitor one/monitor'].sort(),
  )
  for (const [place, error] of leftOut)
    assert.match(error, /is not the name of an object|is a file of the process|has no key constructor/, place)
  assert.deepEqual([...new Set(seen)], [`/right ${right}`])
  assert.deepEqual(
    api.requests.filter(request => /secrets|configmaps/.test(request) && !/one\/secrets\/own/.test(request)),
    [],
  )
})
