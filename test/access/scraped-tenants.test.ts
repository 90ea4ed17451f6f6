/** Targets of two tenants: whose series they are, who sees them, and what is of nobody. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const credentials: readonly Credential[] = [
  { name: 'a', verbs: ['read'], tenants: ['a'] },
  { name: 'b', verbs: ['read'], tenants: ['b'] },
  { name: 'all', verbs: ['read', 'admin'] },
]

let exposed: Server
let run: Running
let scrapeFile: string

const configOf = (tenantOfMoving: string): string => {
  const targets = (name: string) => [
    { targets: [`127.0.0.1:${(exposed.address() as AddressInfo).port}`], labels: { name } },
  ]
  const times = { scrape_interval: '1s', scrape_timeout: '1s' }
  const byName = { source_labels: ['name'], target_label: '__tenant_id__' }
  const dropped = { source_labels: ['name'], regex: 'dropped', action: 'drop' }
  // JSON is YAML.
  return JSON.stringify({
    scrape_configs: [
      { job_name: 'of-a', tenant: 'a', ...times, static_configs: targets('secret-a') },
      { job_name: 'of-b', tenant: 'b', ...times, static_configs: targets('secret-b'), relabel_configs: [] },
      { job_name: 'dropping-b', tenant: 'b', static_configs: targets('dropped'), relabel_configs: [dropped] },
      {
        job_name: 'shared',
        ...times,
        static_configs: [...targets('a'), ...targets('b'), ...targets('a|b')],
        relabel_configs: [byName],
      },
      { job_name: 'of-setting', ...times, static_configs: targets('x') },
      { job_name: 'moving', tenant: tenantOfMoving, ...times, static_configs: targets('x') },
    ],
  })
}

before(async () => {
  exposed = createServer((_request, reply) => {
    reply.setHeader('content-type', 'text/plain')
    reply.end('# HELP exposed Help of it.\n# TYPE exposed gauge\nexposed 1\n')
  })
  await new Promise<void>(resolve => {
    exposed.listen(0, '127.0.0.1', resolve)
  })
  const directory = temporaryDirectory()
  scrapeFile = join(directory, 'prometheus.yml')
  writeFileSync(scrapeFile, configOf('a'))
  writeFileSync(join(directory, 'credentials.yaml'), await credentialsFile(credentials))
  run = await runTercet(
    ['tenancy=on', 'scrape.tenant=d', `auth.file=${directory}/credentials.yaml`, `scrape_config_file=${scrapeFile}`],
    directory,
  )
})
after(async () => {
  await run.stop()
  await new Promise(resolve => exposed.close(resolve))
})

async function ask(name: string, path: string, tenant?: string): Promise<string> {
  const headers = {
    authorization: `Bearer token-of-${name}`,
    ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }),
  }
  const reply = await fetch(`${run.url}${path}`, { headers })
  const text = await reply.text()
  assert.equal(reply.status, 200, `${path}: ${text}`)
  return text
}

async function jobsWith(tenant: string, expr: string): Promise<string[]> {
  const text = await ask('all', `/api/v1/query?query=${encodeURIComponent(expr)}`, tenant)
  const { data } = JSON.parse(text) as { data: { result: { metric: { job: string; name: string } }[] } }
  return data.result.map(({ metric }) => `${metric.job}/${metric.name}`).sort()
}

interface Targets {
  data: {
    activeTargets: { scrapePool: string; health: string; lastError: string; discoveredLabels: Record<string, string> }[]
    droppedTargets: { scrapePool: string }[]
    droppedTargetCounts: Record<string, number>
  }
}
const targetsOf = async (name: string, tenant?: string): Promise<Targets['data']> =>
  (JSON.parse(await ask(name, '/api/v1/targets', tenant)) as Targets).data

test('series of a target are those of the tenant that its job, or its relabelling, says', async () => {
  const wanted: [tenant: string, jobs: string[]][] = [
    ['a', ['moving/x', 'of-a/secret-a', 'shared/a']],
    ['b', ['of-b/secret-b', 'shared/b']],
    ['d', ['of-setting/x']],
    ['anonymous', []],
  ]
  for (const [tenant, jobs] of wanted) {
    await untilTrue(async () => (await jobsWith(tenant, 'up')).length === jobs.length, `targets of ${tenant}`)
    for (const expr of ['up', 'exposed']) assert.deepEqual(await jobsWith(tenant, expr), jobs, `${tenant} ${expr}`)
  }
})

test('targets, pools, metadata and pages show those of the tenants of whoever asks', async () => {
  const of = async (name: string, tenant?: string): Promise<string[]> =>
    (await targetsOf(name, tenant)).activeTargets.map(({ scrapePool }) => scrapePool).sort()
  assert.deepEqual(await of('a'), ['moving', 'of-a', 'shared'])
  assert.deepEqual(await of('b'), ['of-b', 'shared'])
  assert.deepEqual(await of('all', 'a|b'), ['moving', 'of-a', 'of-b', 'shared', 'shared'])
  assert.equal((await of('all')).length, 7)
  assert.deepEqual((await targetsOf('a')).droppedTargetCounts, { 'of-a': 0, moving: 0 })
  assert.deepEqual((await targetsOf('b')).droppedTargetCounts, { 'of-b': 0, 'dropping-b': 1 })
  const pools = async (name: string): Promise<string[]> =>
    (JSON.parse(await ask(name, '/api/v1/scrape_pools')) as { data: { scrapePools: string[] } }).data.scrapePools
  assert.deepEqual(await pools('a'), ['moving', 'of-a', 'shared'])
  assert.deepEqual(await pools('b'), ['dropping-b', 'of-b', 'shared'])
  for (const path of ['/api/v1/targets', '/api/v1/targets/metadata?metric=exposed', '/targets', '/service-discovery']) {
    const own = await ask('a', path)
    assert.ok(own.includes('secret-a') && !own.includes('secret-b') && !own.includes('dropping-b'), `${path}: ${own}`)
    assert.ok((await ask('all', path)).includes('secret-b'))
  }
})

test('a target whose label is no name of a tenant is down, and of nobody', async () => {
  const down = (await targetsOf('all')).activeTargets.filter(({ health }) => health === 'down')
  assert.deepEqual(
    down.map(({ scrapePool, discoveredLabels }) => [scrapePool, discoveredLabels['name']]),
    [['shared', 'a|b']],
  )
  assert.match(down[0]!.lastError, /tenant ID "a\|b" names several tenants/)
})

test('a job that goes to another tenant ends in the old one', async () => {
  writeFileSync(scrapeFile, configOf('b'))
  const headers = { authorization: 'Bearer token-of-all' }
  assert.ok((await fetch(`${run.url}/-/reload`, { method: 'POST', headers })).ok)
  const has = async (tenant: string): Promise<boolean> => (await jobsWith(tenant, 'exposed')).includes('moving/x')
  await untilTrue(async () => (await has('b')) && !(await has('a')), 'the job in the other tenant')
  writeFileSync(scrapeFile, configOf('a b'))
  const refused = await fetch(`${run.url}/-/reload`, { method: 'POST', headers })
  assert.ok(!refused.ok)
  assert.match(await refused.text(), /tenant.* contains an unsupported character/)
})
