/**
 * The requests that Grafana's Prometheus data source makes, with and without the /prometheus prefix. Covers req-025,
 * req-027, req-029, req-134, req-163.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'
import { writeBody } from '../write-request.ts'

let running: Running
const now = Math.floor(Date.now() / 1000)
const start = now - 3600

before(async () => {
  running = await runTercet()
  const series = ['a', 'b'].map(job => ({
    labels: [
      ['__name__', 'grafana_requests_total'],
      ['job', job],
      ['le', '1'],
    ] as [string, string][],
    samples: Array.from({ length: 61 }, (_, i): [number, number] => [(start + i * 60) * 1000, i * 10]),
  }))
  const reply = await fetch(`${running.url}/api/v1/push`, {
    method: 'POST',
    body: writeBody(series),
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-scope-orgid': 'ignored-while-tenancy-is-off',
    },
  })
  assert.equal(reply.status, 204, await reply.text())
})
after(() => running.stop())

interface Envelope {
  status: string
  data: unknown
}

for (const prefix of ['', '/prometheus']) {
  const call = async (
    method: 'GET' | 'POST',
    path: string,
    parameters: Record<string, string> = {},
  ): Promise<unknown> => {
    const form = new URLSearchParams(parameters)
    const reply =
      method === 'GET'
        ? await fetch(`${running.url}${prefix}${path}?${form}`)
        : await fetch(`${running.url}${prefix}${path}`, { method: 'POST', body: form })
    assert.equal(reply.status, 200, `${path}: ${await reply.clone().text()}`)
    assert.match(reply.headers.get('content-type') ?? '', /^application\/json/)
    const envelope = (await reply.json()) as Envelope
    assert.equal(envelope.status, 'success')
    return envelope.data
  }
  const range = { start: String(start), end: String(now) }

  test(`${prefix || '/'}: the health check (req-029, req-163)`, async () => {
    const data = await call('POST', '/api/v1/query', { query: '1+1', time: String(now) })
    assert.deepEqual(data, { resultType: 'scalar', result: [now, '2'] })
    const build = (await call('GET', '/api/v1/status/buildinfo')) as Record<string, string>
    assert.match(build['version'] ?? '', /^\d+\.\d+\.\d+/)
  })

  test(
    `${prefix || '/'}: a panel's range query, by POST, with the step that Grafana computes ` + '(req-027, req-134)',
    async () => {
      const data = (await call('POST', '/api/v1/query_range', {
        query: 'sum by (job) (rate(grafana_requests_total[5m]))',
        ...range,
        step: '15',
      })) as { resultType: string; result: { metric: Record<string, string>; values: [number, string][] }[] }
      assert.equal(data.resultType, 'matrix')
      assert.deepEqual(
        data.result.map(r => r.metric),
        [{ job: 'a' }, { job: 'b' }],
      )
      assert.equal(data.result[0]!.values.at(-1)![0], now)
      assert.equal(Number(data.result[0]!.values.at(-1)![1]).toFixed(4), '0.1667')
    },
  )

  test(`${prefix || '/'}: what the query editor asks for (req-027)`, async () => {
    assert.deepEqual(await call('POST', '/api/v1/labels', { ...range, 'match[]': 'grafana_requests_total' }), [
      '__name__',
      'job',
      'le',
    ])
    assert.deepEqual(await call('GET', '/api/v1/labels', range), ['__name__', 'job', 'le'])
    assert.deepEqual(await call('GET', '/api/v1/label/__name__/values', range), ['grafana_requests_total'])
    assert.deepEqual(
      await call('GET', '/api/v1/label/job/values', { ...range, 'match[]': '{__name__="grafana_requests_total"}' }),
      ['a', 'b'],
    )
    assert.equal(
      ((await call('POST', '/api/v1/series', { ...range, 'match[]': 'grafana_requests_total{job="a"}' })) as unknown[])
        .length,
      1,
    )
    assert.deepEqual(await call('GET', '/api/v1/metadata', { limit: '10' }), {})
    assert.deepEqual(await call('GET', '/api/v1/rules'), { groups: [] })
    assert.deepEqual(await call('GET', '/api/v1/query_exemplars', { ...range, query: 'grafana_requests_total' }), [])
    assert.equal(
      await call('GET', '/api/v1/format_query', { query: 'sum(rate(foo[5m]))by(job)' }),
      'sum by (job) (rate(foo[5m]))',
    )
  })
}

test('what is wrong is said in the envelope that the data source shows (req-164)', async () => {
  const reply = await fetch(`${running.url}/api/v1/query_range`, {
    method: 'POST',
    body: new URLSearchParams({ query: 'sum(', start: '0', end: '1', step: '1' }),
  })
  assert.equal(reply.status, 400)
  const body = (await reply.json()) as { status: string; errorType: string; error: string }
  assert.equal(body.status, 'error')
  assert.equal(body.errorType, 'bad_data')
  assert.match(body.error, /^invalid parameter "query": 1:5: parse error: unclosed left parenthesis/)
})
