/** Objects of a cluster are of the tenant with the name of their namespace, and can't choose another one. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import { KubeApi } from '../kube-api.ts'
import { listening } from '../listening.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

const api = new KubeApi()
const kept = { ...process.env }
let exposed: Server
let run: Running

before(async () => {
  exposed = createServer((_request, reply) => {
    reply.writeHead(200, { 'content-type': 'text/plain' }).end('exposed 1\n')
  })
  const port = await listening(exposed)
  await api.start()
  const directory = temporaryDirectory()
  mkdirSync(`${directory}/account`)
  writeFileSync(`${directory}/account/token`, api.token)
  writeFileSync(`${directory}/account/namespace`, 'one')
  for (const namespace of ['one', 'two', 'index']) {
    api.put('monitoring.coreos.com/scrapeconfigs', {
      metadata: { name: 'own', namespace },
      spec: {
        scrapeInterval: '1s',
        scrapeTimeout: '1s',
        staticConfigs: [{ targets: [`127.0.0.1:${port}`], labels: { __tenant_id__: 'one' } }],
        relabelings: [{ targetLabel: '__tenant_id__', replacement: 'one' }],
      },
    })
    const rules = [{ record: 'recorded', expr: 'exposed', labels: { namespace } }]
    api.put('monitoring.coreos.com/prometheusrules', {
      metadata: { name: 'own', namespace },
      spec: { groups: [{ name: 'g', interval: '1s', tenant: 'one', source_tenants: ['one', 'two'], rules }] },
    })
  }
  Object.assign(process.env, {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String(api.port),
    KUBERNETES_SERVICE_ACCOUNT_DIR: `${directory}/account`,
    KUBERNETES_SERVICE_SCHEME: 'http',
  })
  run = await runTercet(['tenancy=on', 'operator_tenant=namespace'], directory)
})
after(async () => {
  await run.stop()
  await api.stop()
  for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name]
  await new Promise(resolve => exposed.close(resolve))
})

interface Found {
  data: { result: { metric: Record<string, string> }[] }
}

async function found(tenant: string, query: string): Promise<Record<string, string>[]> {
  const path = `/api/v1/query?query=${encodeURIComponent(query)}`
  const reply = await fetch(`${run.url}${path}`, { headers: { 'x-scope-orgid': tenant } })
  return ((await reply.json()) as Found).data.result.map(({ metric }) => metric)
}

test('targets and rules of a namespace are of the tenant of its name', async () => {
  for (const tenant of ['one', 'two']) {
    await untilTrue(async () => (await found(tenant, 'recorded')).length > 0, `what is recorded of ${tenant}`)
    assert.deepEqual(
      (await found(tenant, 'up')).map(({ job }) => job),
      [`scrapeConfig/${tenant}/own`],
    )
    assert.deepEqual(
      (await found(tenant, 'recorded')).map(({ namespace, job }) => [namespace, job]),
      [[tenant, `scrapeConfig/${tenant}/own`]],
    )
  }
  assert.deepEqual(await found('anonymous', 'up or recorded'), [])
  const reply = await fetch(`${run.url}/api/v1/targets`)
  const { data } = (await reply.json()) as {
    data: { activeTargets: { scrapePool: string; health: string; lastError: string }[] }
  }
  const down = data.activeTargets.filter(({ health }) => health !== 'up')
  assert.deepEqual(
    down.map(({ scrapePool, health }) => [scrapePool, health]),
    [['scrapeConfig/index/own', 'down']],
  )
  assert.match(down[0]!.lastError, /tenant ID "index" is reserved/)
})
