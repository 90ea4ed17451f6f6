/** What each tenant has and does, in /metrics and for the web interface: bounded, and shown to whom it may be shown. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { credentialsFile, type Credential } from '../access/access-world.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'

const all: Credential = { name: 'all', verbs: ['read', 'write', 'rules', 'admin'] }
const given: readonly Credential[] = [
  all,
  { name: 'one', verbs: ['read'], tenants: ['a'] },
  { name: 'of-logs', verbs: ['read'], signals: ['logs'] },
  { name: 'bound', verbs: ['read'], labels: '{team="a"}' },
  { name: 'writer', verbs: ['write'] },
]
const nowMs = Math.floor(Date.now() / 1000) * 1000

const directory = temporaryDirectory()
let run: Running
before(async () => {
  const file = join(directory, 'credentials.yaml')
  const tenants = join(directory, 'tenants.yaml')
  writeFileSync(file, await credentialsFile(given))
  writeFileSync(tenants, 'overrides: { a: { limits.active_series: 2, limits.log_streams: 1 } }')
  run = await runTercet(['tenancy=on', `auth.file=${file}`, `tenants_file=${tenants}`], directory)
})
after(async () => {
  await run.stop()
  rmSync(directory, { recursive: true, force: true })
})

function headersOf(name: string, tenant?: string): Record<string, string> {
  return { authorization: `Bearer token-of-${name}`, ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }) }
}

async function write(tenant: string, series: readonly string[], timeMs = nowMs - 1000): Promise<number> {
  const body = writeBody(
    series.map(pod => ({
      labels: [
        ['__name__', 'm'],
        ['pod', pod],
      ] as [string, string][],
      samples: [[timeMs, 1]] as [number, number][],
    })),
  )
  return (await postWrite(run.url, body, headersOf('all', tenant))).status
}

async function line(tenant: string, app: string): Promise<number> {
  const values = [[`${nowMs - 1000}000000`, 'x']]
  const reply = await fetch(`${run.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { ...headersOf('all', tenant), 'content-type': 'application/json' },
    body: JSON.stringify({ streams: [{ stream: { app }, values }] }),
  })
  return reply.status
}

interface Listed {
  signal: string
  tenant: string
  active: number
  received: number
  receivedBytes: number
  refused: Record<string, number>
  queries: number
  blocks: number
  blockBytes: number
}

async function listed(name: string): Promise<Listed[]> {
  const reply = await fetch(`${run.url}/api/tercet/tenants`, { headers: headersOf(name) })
  assert.equal(reply.status, 200)
  return ((await reply.json()) as { tenants: Listed[] }).tenants
}

async function metrics(): Promise<Map<string, number>> {
  const text = await (await fetch(`${run.url}/metrics`, { headers: headersOf('all') })).text()
  const own = text.split('\n').filter(one => one.startsWith('tercet_tenant_'))
  return new Map(own.map(one => [one.slice(0, one.lastIndexOf(' ')), Number(one.slice(one.lastIndexOf(' ') + 1))]))
}

test('what came in, was refused and asked of each tenant, and what it has', async () => {
  assert.equal(await write('a', ['x', 'y']), 204)
  assert.equal(await write('a', ['z']), 429)
  assert.equal(await write('a', ['x'], nowMs + 3_600_000), 400)
  assert.equal(await write('b', ['x']), 204)
  assert.equal(await line('a', 'one'), 204)
  assert.equal(await line('a', 'two'), 429)
  const asked = await fetch(`${run.url}/api/v1/query?query=m&time=${nowMs / 1000}`, {
    headers: headersOf('all', 'a|b'),
  })
  await asked.arrayBuffer()
  for (const name of ['made-up-1', 'made-up-2'])
    await (await fetch(`${run.url}/api/v1/query?query=m`, { headers: headersOf('all', name) })).arrayBuffer()
  await fetch(`${run.url}/-/flush`, { method: 'POST', headers: headersOf('all') })
  assert.equal(await write('a', ['x', 'y'], nowMs), 204)

  const rows = await listed('all')
  const row = (signal: string, tenant: string): Listed => rows.find(r => r.signal === signal && r.tenant === tenant)!
  const { receivedBytes, blockBytes, ...counts } = row('metrics', 'a')
  assert.ok(receivedBytes > 30 && blockBytes > 100)
  assert.deepEqual(counts, {
    signal: 'metrics',
    tenant: 'a',
    active: 2,
    received: 4,
    refused: { limit: 1, invalid: 1, deleted: 0 },
    queries: 1,
    blocks: 1,
  })
  assert.deepEqual([row('metrics', 'b').received, row('metrics', 'b').queries, row('metrics', 'b').blocks], [1, 1, 1])
  assert.deepEqual(row('logs', 'a').refused, { limit: 1, invalid: 0, deleted: 0 })
  assert.deepEqual(
    rows.map(({ tenant }) => tenant).filter(tenant => tenant.startsWith('made-up')),
    [],
  )

  const shown = await metrics()
  assert.equal(shown.get('tercet_tenant_active_series{tenant="a"}'), 2)
  assert.equal(shown.get('tercet_tenant_received_total{signal="metrics",tenant="a"}'), 4)
  assert.equal(shown.get('tercet_tenant_refused_total{signal="metrics",reason="limit",tenant="a"}'), 1)
  assert.equal(shown.get('tercet_tenant_queries_total{signal="metrics",tenant="other tenants"}'), 2)
  assert.equal(shown.get('tercet_tenant_blocks{signal="metrics",tenant="b"}'), 1)
})

test('each sees its own tenants, of the signals that it may read; without a right to read, none', async () => {
  const of = async (name: string): Promise<string[]> => [
    ...new Set((await listed(name)).map(({ signal, tenant }) => `${signal} ${tenant}`)),
  ]
  assert.ok((await of('all')).includes('metrics b'))
  assert.deepEqual(
    (await of('one')).filter(one => !one.endsWith(' a')),
    [],
  )
  assert.ok((await of('one')).includes('metrics a'))
  assert.deepEqual(
    (await of('of-logs')).filter(one => !one.startsWith('logs ')),
    [],
  )
  for (const name of ['bound', 'writer']) {
    const reply = await fetch(`${run.url}/api/tercet/tenants`, { headers: headersOf(name) })
    assert.equal(reply.status, 403, name)
  }
  assert.equal((await fetch(`${run.url}/api/tercet/tenants`)).status, 401)
})

test('many tenants are at most so many in /metrics, and nothing is lost of the sums', async () => {
  for (let i = 0; i < 130; i++) assert.equal(await write(`many-${i}`, ['x']), 204)
  const shown = await metrics()
  const received = [...shown].filter(([name]) => name.startsWith('tercet_tenant_received_total{signal="metrics"'))
  assert.equal(received.length, 101)
  assert.equal(
    received.reduce((sum, [, value]) => sum + value, 0),
    5 + 130,
  )
  assert.ok(shown.get('tercet_tenant_active_series{tenant="other tenants"}')! >= 30)
  assert.ok((await listed('all')).filter(({ signal }) => signal === 'metrics').length >= 132)
})

test('a deleted tenant is in none of it', async () => {
  const remove = { method: 'POST', headers: headersOf('all') }
  assert.equal((await fetch(`${run.url}/-/delete-tenant?tenant=a`, remove)).status, 202)
  await untilTrue(async () => (await listed('all')).every(({ tenant }) => tenant !== 'a'), 'it is gone')
  assert.equal((await metrics()).get('tercet_tenant_active_series{tenant="a"}'), undefined)
})

test('without tenancy there are no series by tenant', async () => {
  const other = await runTercet()
  assert.doesNotMatch(await (await fetch(`${other.url}/metrics`)).text(), /tercet_tenant_/)
  await other.stop()
})
