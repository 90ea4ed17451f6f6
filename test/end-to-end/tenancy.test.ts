/**
 * Several tenants: each sees its own, of all three signals; who does not say whose a request is gets 401.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { status as grpcStatus } from '@grpc/grpc-js'
import { exportOverGrpc } from '../otlp-grpc.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

let run: Running
before(async () => {
  run = await runTercet(['tenancy=on'])
})
after(async () => {
  await run.stop()
})

const ns = `${Date.now()}000000`
const json = { 'content-type': 'application/json' }
async function fill(tenant: string): Promise<void> {
  const headers = { ...json, 'x-scope-orgid': tenant }
  assert.equal(
    (
      await postWrite(
        run.url,
        writeBody([
          {
            labels: [
              ['__name__', 'own'],
              ['of', tenant],
            ],
            samples: [[Date.now(), 1]],
          },
        ]),
        { 'x-scope-orgid': tenant },
      )
    ).status,
    204,
  )
  assert.equal(
    (
      await fetch(`${run.url}/loki/api/v1/push`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ streams: [{ stream: { of: tenant }, values: [[ns, `line of ${tenant}`]] }] }),
      })
    ).status,
    204,
  )
  assert.equal(
    (
      await fetch(`${run.url}/v1/traces`, {
        method: 'POST',
        headers,
        body: JSON.stringify({
          resourceSpans: [
            {
              resource: { attributes: [{ key: 'service.name', value: { stringValue: tenant } }] },
              scopeSpans: [
                {
                  spans: [
                    {
                      traceId: '0af7651916cd43dd8448eb211c80319c',
                      spanId: 'b7ad6b7169203331',
                      name: 'x',
                      startTimeUnixNano: ns,
                      endTimeUnixNano: ns,
                    },
                  ],
                },
              ],
            },
          ],
        }),
      })
    ).status,
    200,
  )
}
const get = async (path: string, tenant?: string): Promise<{ status: number; text: string }> => {
  const reply = await fetch(`${run.url}${path}`, { headers: tenant === undefined ? {} : { 'x-scope-orgid': tenant } })
  return { status: reply.status, text: await reply.text() }
}
const questions = [
  '/api/v1/query?query=own',
  '/loki/api/v1/query_range?query=%7Bof%3D~%22.%2B%22%7D',
  '/api/search?q=%7B%7D',
  '/api/traces/0af7651916cd43dd8448eb211c80319c',
  '/select/logsql/query?query=*',
]

test('each tenant sees its own, from memory and from blocks', async () => {
  await fill('one')
  await fill('two')
  for (const stage of ['memory', 'blocks']) {
    for (const question of questions) {
      for (const [tenant, other] of [
        ['one', 'two'],
        ['two', 'one'],
      ] as const) {
        const { status, text } = await get(question, tenant)
        assert.equal(status, 200, `${stage} ${question} ${text}`)
        assert.ok(
          text.includes(tenant) && !text.includes(other),
          `${stage} ${tenant} ${question}: ${text.slice(0, 200)}`,
        )
      }
    }
    await fetch(`${run.url}/-/flush`, { method: 'POST' })
  }
})

test('without a tenant: 401, at every door; with a name that is none of a tenant: 400', async () => {
  for (const question of questions)
    for (const tenant of [undefined, '..', 'a/b', 'a|', 'a|index', 'index', '__mimir_cluster'])
      assert.equal(
        (await get(question, tenant)).status,
        tenant === undefined ? 401 : 400,
        `${question} ${tenant ?? ''}`,
      )
  assert.equal(
    (await postWrite(run.url, writeBody([{ labels: [['__name__', 'own']], samples: [[Date.now(), 1]] }]))).status,
    401,
  )
  for (const path of ['/loki/api/v1/push', '/v1/traces', '/v1/metrics', '/v1/logs', '/insert/jsonline'])
    for (const [status, tenancy] of [
      [401, {}],
      [400, { 'x-scope-orgid': 'index' }],
      [400, { 'x-scope-orgid': 'a/b' }],
      [400, { 'x-scope-orgid': 'a|b' }],
    ] as const) {
      const headers = { ...json, ...tenancy }
      const reply = await fetch(`${run.url}${path}`, { method: 'POST', headers, body: '{}' })
      assert.equal(reply.status, status, `${path} ${await reply.text()}`)
    }
  assert.equal((await get('/health')).status, 200)
})

test('over gRPC: UNAUTHENTICATED without a tenant, INVALID_ARGUMENT with a name that is none', async () => {
  const own = await runTercet(['tenancy=on', 'listen.otlp_grpc=127.0.0.1:0'])
  try {
    const address = own.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address
    for (const signal of ['metrics', 'logs', 'traces'] as const) {
      const codeOf = async (headers: Readonly<Record<string, string>>): Promise<number> =>
        (await exportOverGrpc(address, signal, new Uint8Array(0), headers)).code
      assert.equal(await codeOf({}), grpcStatus.UNAUTHENTICATED)
      for (const tenant of ['index', 'a/b', '..'])
        assert.equal(await codeOf({ 'x-scope-orgid': tenant }), grpcStatus.INVALID_ARGUMENT, tenant)
      assert.equal(await codeOf({ 'x-scope-orgid': 'a' }), grpcStatus.OK)
    }
  } finally {
    await own.stop()
  }
})

test('names with underscores, or of what every object has, are tenants like others, over a restart too', async () => {
  const tenants = ['__own', '__proto__', 'constructor', 'toString', '.dot', 'x.json', "it's(*)!"]
  const directory = temporaryDirectory()
  const before = run
  const own = (run = await runTercet(['tenancy=on'], directory))
  try {
    for (const tenant of tenants) await fill(tenant)
    assert.equal((await fetch(`${own.url}/-/flush`, { method: 'POST' })).status, 204)
    await own.tercet.close()
    run = await runTercet(['tenancy=on'], directory)
    for (const tenant of tenants)
      for (const question of questions) {
        const { status, text } = await get(question, tenant)
        assert.equal(status, 200, `${tenant} ${question} ${text}`)
        assert.ok(text.includes(JSON.stringify(tenant).slice(1, -1)), `${tenant} ${question} ${text}`)
        for (const other of tenants)
          assert.ok(other === tenant || !text.includes(other), `${tenant} ${question} ${text}`)
      }
  } finally {
    await run.stop()
    run = before
  }
})

test('one tenant more than there may be is refused in all signals, and those that there are go on', async () => {
  const own = await runTercet(['tenancy=on', 'limits.tenants=2', 'self_scrape=false', 'self_trace=false'])
  try {
    const push = async (tenant: string): Promise<Response[]> => {
      const headers = { ...json, 'x-scope-orgid': tenant }
      const line = JSON.stringify({ streams: [{ stream: { of: tenant }, values: [[ns, `line of ${tenant}`]] }] })
      const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', name: 'x' }
      const times = { startTimeUnixNano: ns, endTimeUnixNano: ns }
      const spans = { resourceSpans: [{ scopeSpans: [{ spans: [{ ...span, ...times }] }] }] }
      const body = writeBody([{ labels: [['__name__', 'own']], samples: [[Date.now(), 1]] }])
      return [
        await postWrite(own.url, body, { 'x-scope-orgid': tenant }),
        await fetch(`${own.url}/loki/api/v1/push`, { method: 'POST', headers, body: line }),
        await fetch(`${own.url}/v1/traces`, { method: 'POST', headers, body: JSON.stringify(spans) }),
      ]
    }
    const statuses = async (tenant: string): Promise<number[]> => (await push(tenant)).map(({ status }) => status)
    assert.deepEqual(await statuses('a'), [204, 204, 200])
    assert.deepEqual(await statuses('b'), [204, 204, 200])
    for (const reply of await push('c')) {
      assert.equal(reply.status, 429)
      assert.match(await reply.text(), /tenant .*c.* would be one more than the limit of 2 tenants.*limits\.tenants/)
    }
    assert.deepEqual(await statuses('a'), [204, 204, 200])
  } finally {
    await own.stop()
  }
})
