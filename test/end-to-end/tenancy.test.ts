/**
 * Several tenants: each sees its own, of all three signals; who does not say whose a request is gets 401.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'
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

test('without a tenant: 401, at every door; with a name that is none too', async () => {
  for (const question of questions)
    for (const tenant of [undefined, '..', 'a/b'])
      assert.equal((await get(question, tenant)).status, 401, `${question} ${tenant ?? ''}`)
  assert.equal(
    (await postWrite(run.url, writeBody([{ labels: [['__name__', 'own']], samples: [[Date.now(), 1]] }]))).status,
    401,
  )
  for (const path of ['/loki/api/v1/push', '/v1/traces', '/v1/metrics', '/v1/logs', '/insert/jsonline'])
    assert.equal((await fetch(`${run.url}${path}`, { method: 'POST', headers: json, body: '{}' })).status, 401, path)
  assert.equal((await get('/health')).status, 200)
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
