/** A tenant of a running process is deleted, in all signals, with its rules and what is derived; nobody else's is. */
import assert from 'node:assert/strict'
import { globSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { credentialsFile, type Credential } from '../access/access-world.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'

const all: Credential = { name: 'all', verbs: ['read', 'write', 'rules', 'admin'] }
const ofMetrics: Credential = { name: 'of-metrics', verbs: ['admin'], signals: ['metrics'], tenants: ['a'] }
const nowMs = Math.floor(Date.now() / 1000) * 1000
const tenants = ['a', 'ab', 'anonymous']

function headersOf(tenant: string, { name }: Credential = all): Record<string, string> {
  return { authorization: `Bearer token-of-${name}`, 'x-scope-orgid': tenant }
}

async function ask({ url }: Running, tenant: string, path: string, init: RequestInit = {}): Promise<[number, string]> {
  const headers = { ...headersOf(tenant), ...(init.headers as Record<string, string> | undefined) }
  const reply = await fetch(`${url}${path}`, { ...init, headers })
  return [reply.status, await reply.text()]
}

const json = { 'content-type': 'application/json' }
const lines = (tenant: string): string =>
  JSON.stringify({
    streams: [{ stream: { app: 'x' }, values: [[`${nowMs - 1000}000000`, `line of ${tenant}`]] }],
  })
const spans = (tenant: string): string =>
  JSON.stringify({
    resourceSpans: [
      {
        resource: {},
        scopeSpans: [
          {
            spans: [
              {
                traceId: 'f'.repeat(32),
                spanId: 'f'.repeat(16),
                name: `span of ${tenant}`,
                startTimeUnixNano: `${Date.now()}000000`,
                endTimeUnixNano: `${Date.now()}000000`,
              },
            ],
          },
        ],
      },
    ],
  })

async function fill(run: Running, tenant: string): Promise<number[]> {
  const sample = {
    labels: [['__name__', 'own']] as [string, string][],
    samples: [[nowMs - 1000, 1]] as [number, number][],
  }
  const post = (body: string): RequestInit => ({ method: 'POST', headers: json, body })
  return [
    (await postWrite(run.url, writeBody([sample]), headersOf(tenant))).status,
    (await ask(run, tenant, '/loki/api/v1/push', post(lines(tenant))))[0],
    (await ask(run, tenant, '/v1/traces', post(spans(tenant))))[0],
  ]
}

const rules = '/prometheus/config/v1/rules'
const lokiRules = '/loki/api/v1/rules'
const group = JSON.stringify({ name: 'g', rules: [{ record: 'r', expr: '1' }] })
const lokiGroup = JSON.stringify({ name: 'g', rules: [{ record: 'r', expr: 'sum(rate({app="x"}[1m]))' }] })

const silences = '/api/v2/silences'
const silence = JSON.stringify({
  matchers: [{ name: 'app', value: 'x', isRegex: false, isEqual: true }],
  startsAt: new Date(nowMs).toISOString(),
  endsAt: new Date(nowMs + 3_600_000).toISOString(),
  createdBy: 'me',
  comment: 'none',
})

/** What a tenant has: samples, lines, spans, groups of both rulers, silences. */
async function found(run: Running, tenant: string): Promise<boolean[]> {
  const [, metrics] = await ask(run, tenant, `/api/v1/query?query=own&time=${nowMs / 1000}`)
  const query = encodeURIComponent('{app="x"}')
  const [, logs] = await ask(run, tenant, `/loki/api/v1/query_range?query=${query}&start=${nowMs - 60_000}000000`)
  const [trace] = await ask(run, tenant, `/api/traces/${'f'.repeat(32)}`)
  const [own] = await ask(run, tenant, rules)
  const [loki] = await ask(run, tenant, lokiRules)
  const [, silenced] = await ask(run, tenant, silences)
  const signals = [metrics.includes('"own"'), logs.includes(`line of ${tenant}`), trace === 200]
  return [...signals, own === 200, loki === 200, silenced.trim() !== '[]']
}

/** By signal: `none`, `deleting`, `deleted`. */
async function states(run: Running, tenant: string): Promise<string[]> {
  const [status, body] = await ask(run, tenant, `/-/delete-tenant?tenant=${tenant}`)
  assert.equal(status, 200, body)
  const { signals } = JSON.parse(body) as { signals: Record<string, { state: string }> }
  return ['metrics', 'logs', 'traces'].map(signal => signals[signal]!.state)
}

async function start(directory: string): Promise<Running> {
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile([all, ofMetrics]))
  const run = await runTercet(['tenancy=on', `auth.file=${file}`, 'metrics.scrape_interval=1s'], directory)
  return { ...run, stop: () => run.tercet.close() }
}

const everything = [true, true, true, true, true, true]
const nothing = [false, false, false, false, false, false]

test('a deleted tenant is gone from all signals and rulers, and from the bucket, over a restart too', async () => {
  const directory = temporaryDirectory()
  let run = await start(directory)
  for (const tenant of tenants) {
    assert.deepEqual(await fill(run, tenant), [204, 204, 200])
    const set = { method: 'POST', body: group }
    assert.equal((await ask(run, tenant, `${rules}/space`, set))[0], 202)
    assert.equal((await ask(run, tenant, `${lokiRules}/space`, { method: 'POST', body: lokiGroup }))[0], 202)
    assert.equal((await ask(run, tenant, silences, { method: 'POST', headers: json, body: silence }))[0], 200)
  }
  assert.equal((await ask(run, 'a', '/-/flush', { method: 'POST' }))[0], 204)
  assert.deepEqual(await states(run, 'a'), ['none', 'none', 'none'])

  for (const [path, problem] of [
    ['/-/delete-tenant', /name of the tenant is empty/],
    ['/-/delete-tenant?tenant=index', /reserved/],
    ['/-/delete-tenant?tenant=a%7Cab', /names several/],
  ] as const) {
    const [status, body] = await ask(run, 'a', path, { method: 'POST' })
    assert.equal(status, 400)
    assert.match(body, problem)
  }
  const [status, body] = await ask(run, 'ab', '/-/delete-tenant?tenant=a', { method: 'POST' })
  assert.equal(status, 202, body)
  assert.deepEqual(await found(run, 'a'), nothing)
  for (const tenant of ['ab', 'anonymous']) assert.deepEqual(await found(run, tenant), everything, tenant)
  await untilTrue(async () => (await states(run, 'a')).every(state => state === 'deleted'), 'it is deleted')
  const own = (): string[] =>
    ['metrics', 'logs', 'traces'].flatMap(signal => globSync(`data/bucket/${signal}/a/**/*`, { cwd: directory }))
  assert.deepEqual(
    own().filter(path => /\.(?:json|parquet)$|chunks\/|index$/.test(path)),
    [],
  )

  await run.stop()
  run = await start(directory)
  assert.deepEqual(await found(run, 'a'), nothing)
  for (const tenant of ['ab', 'anonymous']) assert.deepEqual(await found(run, tenant), everything, tenant)
  assert.deepEqual(await states(run, 'a'), ['deleted', 'deleted', 'deleted'])
  // Metrics of its spans do not come back by themselves; it may begin anew.
  const series = await ask(run, 'a', '/api/v1/query?query=%7B__name__%3D~%22traces_.*%22%7D')
  assert.match(series[1], /"result":\[\]/)
  assert.deepEqual(await fill(run, 'a'), [204, 204, 200])
  assert.deepEqual(await found(run, 'a'), [true, true, true, false, false, false])
  const query = encodeURIComponent('{source="audit"} | json | action="POST /-/delete-tenant"')
  const [, audit] = await ask(run, 'fake', `/loki/api/v1/query_range?query=${query}&start=${nowMs - 60_000}000000`)
  assert.match(audit, /tenant=a/)
  await run.stop()
  rmSync(directory, { recursive: true, force: true })
})

test("Mimir's form deletes the metrics of the caller's tenant alone", async () => {
  const directory = temporaryDirectory()
  const run = await start(directory)
  for (const tenant of tenants) await fill(run, tenant)
  await ask(run, 'a', '/-/flush', { method: 'POST' })
  const status = async (): Promise<unknown> => {
    const reply = await fetch(`${run.url}/compactor/delete_tenant_status`, { headers: headersOf('a', ofMetrics) })
    return reply.json()
  }
  assert.deepEqual(await status(), { tenant_id: 'a', blocks_deleted: false })
  const remove = { method: 'POST', headers: headersOf('ab', ofMetrics) }
  assert.equal((await fetch(`${run.url}/compactor/delete_tenant`, remove)).status, 403)
  const own = { method: 'POST', headers: headersOf('a', ofMetrics) }
  assert.equal((await fetch(`${run.url}/-/delete-tenant?tenant=a`, own)).status, 403)
  assert.equal((await fetch(`${run.url}/compactor/delete_tenant`, own)).status, 200)
  await untilTrue(
    async () => JSON.stringify(await status()) === '{"tenant_id":"a","blocks_deleted":true}',
    'blocks are gone',
  )
  assert.deepEqual((await found(run, 'a')).slice(0, 3), [false, true, true])
  assert.deepEqual((await found(run, 'ab')).slice(0, 3), [true, true, true])
  await run.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('without tenancy there is no tenant to delete', async () => {
  const run = await runTercet()
  const reply = await fetch(`${run.url}/-/delete-tenant?tenant=anonymous`, { method: 'POST' })
  assert.match(`${reply.status} ${await reply.text()}`, /^400 .*tenancy: on/)
  await run.stop()
})
