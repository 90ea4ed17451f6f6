/** One question about several tenants, as X-Scope-OrgID: a|b asks it; each answer says whose it is. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const all: Credential = { name: 'all', verbs: ['read', 'write', 'rules', 'admin'] }
const two: Credential = { name: 'two', verbs: ['read', 'write'], tenants: ['a', 'b'] }
const one: Credential = { name: 'one', verbs: ['read', 'write'], tenants: ['a'] }

const nowMs = Math.floor(Date.now() / 1000) * 1000
let run: Running
before(async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile([all, two, one]))
  run = await runTercet(['tenancy=on', `auth.file=${file}`], directory)
  for (const tenant of ['a', 'b', 'c']) await fill(tenant)
})
after(async () => {
  await run.stop()
})

function headersOf({ name }: Credential, tenant: string | undefined): Record<string, string> {
  return { authorization: `Bearer token-of-${name}`, ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }) }
}

async function fill(tenant: string): Promise<void> {
  const labels: [string, string][] = [
    ['__name__', 'own'],
    ['of', tenant],
  ]
  const nested: [string, string][] = [
    ['__name__', 'nested'],
    ['__tenant_id__', 'from inside'],
  ]
  const samples: [number, number][] = [[nowMs - 1000, 1]]
  const body = writeBody([
    { labels, samples },
    { labels: nested, samples },
  ])
  assert.equal((await postWrite(run.url, body, headersOf(all, tenant))).status, 204)
  const json = { ...headersOf(all, tenant), 'content-type': 'application/json' }
  const pushed = await fetch(`${run.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({
      streams: [{ stream: { app: 'x' }, values: [[`${nowMs - 1000}000000`, `line of ${tenant}`]] }],
    }),
  })
  assert.equal(pushed.status, 204)
  const span = {
    traceId: tenant.repeat(32).replaceAll(/[^abc]/g, ''),
    spanId: '00000000000000a1',
    name: `span of ${tenant}`,
    startTimeUnixNano: `${nowMs - 1000}000000`,
    endTimeUnixNano: `${nowMs}000000`,
  }
  // One trace that all of them have, and one of each.
  const spans = [span, { ...span, traceId: 'f'.repeat(32), spanId: `00000000000000${tenant}f` }]
  const traced = await fetch(`${run.url}/v1/traces`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ resourceSpans: [{ resource: {}, scopeSpans: [{ spans }] }] }),
  })
  assert.equal(traced.status, 200)
}

async function ask(credential: Credential, tenant: string | undefined, path: string): Promise<[number, string]> {
  const reply = await fetch(`${run.url}${path}`, { headers: headersOf(credential, tenant) })
  return [reply.status, await reply.text()]
}

async function metric(query: string, credential = two, tenant = 'a|b'): Promise<unknown> {
  const [status, body] = await ask(
    credential,
    tenant,
    `/api/v1/query?query=${encodeURIComponent(query)}&time=${nowMs / 1000}`,
  )
  assert.equal(status, 200, body)
  const { data } = JSON.parse(body) as { data: { result: { metric: object; value: [number, string] }[] } }
  return data.result.map(({ metric: labels, value }) => ({ ...labels, value: value[1] }))
}

test('series of several tenants say whose they are, and can be chosen and grouped by it', async () => {
  const of = (tenant: string) => ({ __name__: 'own', __tenant_id__: tenant, of: tenant, value: '1' })
  assert.deepEqual(await metric('own'), [of('a'), of('b')])
  assert.deepEqual(await metric('own', two, 'b|a|b'), [of('a'), of('b')])
  assert.deepEqual(await metric('own{__tenant_id__="b"}'), [of('b')])
  assert.deepEqual(await metric('own{__tenant_id__!~"b|c"}'), [of('a')])
  assert.deepEqual(await metric('own{__tenant_id__="c"}'), [])
  assert.deepEqual(await metric('sum by (__tenant_id__) (own)'), [
    { __tenant_id__: 'a', value: '1' },
    { __tenant_id__: 'b', value: '1' },
  ])
  assert.deepEqual(await metric('own', all, 'a'), [{ __name__: 'own', of: 'a', value: '1' }])
})

test('a label that is called as the tenant is there under another name', async () => {
  assert.deepEqual(await metric('nested{__tenant_id__="a"}'), [
    { __name__: 'nested', __tenant_id__: 'a', original___tenant_id__: 'from inside', value: '1' },
  ])
  assert.deepEqual(await metric('count(nested{original___tenant_id__="from inside"})'), [{ value: '2' }])
  assert.deepEqual(await metric('nested{original___tenant_id__="other"}'), [])
})

test('lists of labels have the tenants', async () => {
  const list = async (path: string): Promise<unknown> =>
    (JSON.parse((await ask(two, 'a|b', path))[1]) as { data: unknown }).data
  assert.deepEqual(await list('/api/v1/labels'), ['__name__', '__tenant_id__', 'of', 'original___tenant_id__'])
  assert.deepEqual(await list('/api/v1/label/__tenant_id__/values'), ['a', 'b'])
  assert.deepEqual(await list('/api/v1/label/of/values'), ['a', 'b'])
  assert.deepEqual(await list('/loki/api/v1/label/__tenant_id__/values'), ['a', 'b'])
  const series = await list(`/api/v1/series?match[]=${encodeURIComponent('own{__tenant_id__="b"}')}`)
  assert.deepEqual(series, [{ __name__: 'own', __tenant_id__: 'b', of: 'b' }])
})

test('lines of several tenants are streams of each; what one deletes is there in the other', async () => {
  const lines = async (query: string): Promise<unknown> => {
    const [, body] = await ask(two, 'a|b', `/loki/api/v1/query_range?query=${encodeURIComponent(query)}`)
    const { data } = JSON.parse(body) as { data: { result: { stream: object; values: [string, string][] }[] } }
    return data.result
      .flatMap(({ stream, values }) => values.map(([, line]) => `${JSON.stringify(stream)} ${line}`))
      .sort()
  }
  const of = (tenant: string): string =>
    `{"__tenant_id__":"${tenant}","app":"x","detected_level":"unknown","service_name":"x"} line of ${tenant}`
  assert.deepEqual(await lines('{app="x"}'), [of('a'), of('b')])
  assert.deepEqual(await lines('{app="x", __tenant_id__="b"}'), [of('b')])
  const deleted = await fetch(
    `${run.url}/loki/api/v1/delete?query=${encodeURIComponent('{app="x"}')}&start=${nowMs / 1000 - 60}`,
    { method: 'POST', headers: headersOf(all, 'a') },
  )
  assert.equal(deleted.status, 204)
  assert.deepEqual(await lines('{app="x"}'), [of('b')])
})

test('traces of several tenants are found together; one that several have is one by its id', async () => {
  const [, found] = await ask(
    two,
    'a|b',
    `/api/search?q={}&limit=10&start=${nowMs / 1000 - 60}&end=${nowMs / 1000 + 60}`,
  )
  const { traces } = JSON.parse(found) as { traces: { traceID: string }[] }
  assert.deepEqual(traces.map(({ traceID }) => traceID[0]).sort(), ['a', 'b', 'f'])
  const [, trace] = await ask(two, 'a|b', `/api/traces/${'f'.repeat(32)}`)
  assert.deepEqual([...trace.matchAll(/span of (\w)/g)].map(match => match[1]).sort(), ['a', 'b'])
  assert.equal((await ask(two, 'a|b', `/api/traces/${'c'.repeat(32)}`))[0], 404)
})

test('a tenant that a credential is not for is refused, also among others; so are writes to several', async () => {
  const path = `/api/v1/query?query=own`
  const statuses: [Credential, string | undefined, number][] = [
    [two, 'c', 403],
    [two, 'a|c', 403],
    [two, undefined, 401],
    [two, '|a', 403],
    [all, 'a||b', 400],
    [one, undefined, 200],
    [one, 'a', 200],
    [one, 'b', 403],
  ]
  for (const [credential, tenant, status] of statuses)
    assert.equal((await ask(credential, tenant, path))[0], status, `${credential.name} ${tenant}`)
  const [, own] = await ask(one, undefined, path)
  assert.match(own, /"of":"a"/)
  const body = writeBody([{ labels: [['__name__', 'own']], samples: [[nowMs, 1]] }])
  const several = await postWrite(run.url, body, headersOf(all, 'a|b'))
  assert.equal(several.status, 400)
  assert.match(await several.text(), /names several tenants; this request is for one/)
  const many = Array.from({ length: 101 }, (_, i) => `t${i}`).join('|')
  assert.equal((await ask(all, many, path))[0], 400)
})
