/**
 * A limit that passes with time is never answered as final: 429 or 503 with Retry-After, UNAVAILABLE over gRPC, on
 * every door of every signal; and the same request, sent again, adds what was refused of it and nothing twice.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { exportOverGrpc, type OtlpSignal } from '../otlp-grpc.ts'
import { logsRequest, metricsRequest, tracesRequest } from '../otlp-schema.ts'
import { protobuf, type Message } from '../protobuf.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { writeBody } from '../write-request.ts'

const unavailable = 14
const json = { 'content-type': 'application/json' }
const nowMs = Date.now()
const nowNs = `${nowMs}000000`
const schemas = { metrics: metricsRequest, logs: logsRequest, traces: tracesRequest }
const attribute = (key: string, stringValue: string): object => ({ key, value: { stringValue } })

/** OTLP requests of so many series, streams or traces. */
const otlp: Record<OtlpSignal, (count: number, name: string) => Message> = {
  metrics: (count, name) => ({
    resourceMetrics: [
      {
        scopeMetrics: [
          {
            metrics: Array.from({ length: count }, (_, i) => ({
              name: `${name}_${i}`,
              gauge: { dataPoints: [{ timeUnixNano: nowNs, asDouble: i }] },
            })),
          },
        ],
      },
    ],
  }),
  logs: (count, name) => ({
    resourceLogs: Array.from({ length: count }, (_, i) => ({
      resource: { attributes: [attribute('service.name', `${name}${i}`)] },
      scopeLogs: [{ logRecords: [{ timeUnixNano: nowNs, body: { stringValue: `line ${i}` } }] }],
    })),
  }),
  traces: (count, name) => ({
    resourceSpans: [
      {
        resource: { attributes: [attribute('service.name', name)] },
        scopeSpans: [
          {
            spans: Array.from({ length: count }, (_, i) => ({
              traceId: Buffer.from(`${name}${i}`.padStart(16)).toString('hex'),
              spanId: `${i + 1}`.padStart(16, '0'),
              name: `span ${i}`,
              startTimeUnixNano: nowNs,
              endTimeUnixNano: nowNs,
            })),
          },
        ],
      },
    ],
  }),
}

interface Sent {
  path: string
  headers: Record<string, string>
  body: string | Uint8Array
}
const values = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
const lines = (count: number, of: (i: number) => string): string => values(count).map(of).join('\n')
const jsonLine = (name: string, i: number): string =>
  `{"_time":"${new Date(nowMs).toISOString()}","app":"${name}${i}","_msg":"line ${i}"}`

/** Every other door, by signal: a request of so many series, streams or traces. */
const doors: Record<OtlpSignal, ((count: number, name: string) => Sent)[]> = {
  metrics: [
    (count, name) => ({
      path: '/api/v1/write',
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
      body: writeBody(values(count).map(i => ({ labels: [['__name__', `${name}_${i}`]], samples: [[nowMs, i]] }))),
    }),
    (count, name) => ({ path: '/api/v1/import/prometheus', headers: {}, body: lines(count, i => `${name}_${i} 1`) }),
    (count, name) => ({
      path: '/api/v1/import',
      headers: {},
      body: lines(count, i => `{"metric":{"__name__":"${name}_${i}"},"values":[1],"timestamps":[${nowMs}]}`),
    }),
    (count, name) => ({ path: '/write', headers: {}, body: lines(count, i => `${name}_${i} v=1 ${nowNs}`) }),
  ],
  logs: [
    (count, name) => ({
      path: '/loki/api/v1/push',
      headers: json,
      body: JSON.stringify({
        streams: values(count).map(i => ({ stream: { app: `${name}${i}` }, values: [[nowNs, `line ${i}`]] })),
      }),
    }),
    (count, name) => ({
      path: '/insert/jsonline?_stream_fields=app',
      headers: { 'content-type': 'application/stream+json' },
      body: lines(count, i => jsonLine(name, i)),
    }),
    (count, name) => ({
      path: '/insert/loki/api/v1/push',
      headers: json,
      body: JSON.stringify({
        streams: values(count).map(i => ({ stream: { app: `${name}${i}` }, values: [[nowNs, `line ${i}`]] })),
      }),
    }),
    (count, name) => ({
      path: '/insert/opentelemetry/v1/logs',
      headers: { 'content-type': 'application/x-protobuf' },
      body: protobuf(logsRequest, otlp.logs(count, name)),
    }),
  ],
  traces: [
    (count, name) => ({
      path: '/api/v2/spans',
      headers: json,
      body: JSON.stringify(
        values(count).map(i => ({
          traceId: Buffer.from(`${name}${i}`.padStart(16)).toString('hex'),
          id: `${i + 1}`,
          name: `span ${i}`,
          timestamp: nowMs * 1000,
          duration: 1,
          localEndpoint: { serviceName: name },
        })),
      ),
    }),
  ],
}
const signals = ['metrics', 'logs', 'traces'] as const

async function started(t: TestContext, flags: string[]): Promise<Running> {
  const run = await runTercet(['listen.otlp_grpc=127.0.0.1:0', ...flags])
  t.after(() => run.stop())
  return run
}

async function post(run: Running, { path, headers, body }: Sent): Promise<Response> {
  return fetch(`${run.url}${path}`, { method: 'POST', headers, body })
}

/** The request over HTTP in both encodings, and over gRPC, is refused for now. */
async function checkRefused(run: Running, signal: OtlpSignal, request: Message, about: string): Promise<void> {
  const sent: Sent[] = [
    { path: `/v1/${signal}`, headers: json, body: JSON.stringify(request) },
    {
      path: `/v1/${signal}`,
      headers: { 'content-type': 'application/x-protobuf' },
      body: protobuf(schemas[signal], request),
    },
  ]
  for (const one of sent) await checkPasses(await post(run, one), `${about}: ${one.path}`)
  const address = run.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address
  const { code, details } = await exportOverGrpc(address, signal, protobuf(schemas[signal], request))
  assert.equal(code, unavailable, `${about}, gRPC: ${details}`)
}

async function checkPasses(reply: Response, about: string): Promise<void> {
  const text = await reply.text()
  assert.ok(reply.status === 429 || reply.status === 503, `${about}: ${reply.status} ${text}`)
  assert.ok(Number(reply.headers.get('retry-after')) >= 1, about)
  assert.doesNotMatch(text, /partialSuccess/, about)
}

/** How many series, lines or spans there are. */
async function stored(run: Running, signal: OtlpSignal, name: string): Promise<number> {
  const ask = async (path: string, params: Record<string, string>): Promise<unknown> =>
    (await fetch(`${run.url}${path}?${new URLSearchParams(params).toString()}`)).json()
  const seconds = { start: `${Math.floor(nowMs / 1000) - 600}`, end: `${Math.floor(nowMs / 1000) + 600}` }
  if (signal === 'traces') {
    const q = `{ resource.service.name = "${name}" } | count_over_time()`
    const { series } = (await ask('/api/metrics/query', { q, ...seconds })) as { series: { value?: number }[] }
    return series[0]?.value ?? 0
  }
  if (signal === 'logs') {
    const of = (label: string): string => `sum(count_over_time({${label}=~"${name}.*"}[20m]))`
    const query = `${of('service_name')} or ${of('app')}`
    const { data } = (await ask('/loki/api/v1/query', { query, time: seconds.end })) as {
      data: { result: { value: [number, string] }[] }
    }
    return Number(data.result[0]?.value[1] ?? 0)
  }
  const query = `count(count_over_time({__name__=~"${name}_.*"}[20m]))`
  const { data } = (await ask('/api/v1/query', { query, time: seconds.end })) as {
    data: { result: { value: [number, string] }[] }
  }
  return Number(data.result[0]?.value[1] ?? 0)
}

const limitOf = { metrics: 'limits.active_series=2', logs: 'limits.log_streams=2', traces: 'limits.live_traces=2' }

for (const signal of signals)
  test(`no room for more: ${limitOf[signal]}, on every door`, async t => {
    const kept = await started(t, [limitOf[signal]])
    await checkRefused(kept, signal, otlp[signal](3, 'kept'), limitOf[signal])
    assert.equal(await stored(kept, signal, 'kept'), 2, 'what was taken three times')
    for (const [i, door] of doors[signal].entries()) {
      const run = await started(t, [limitOf[signal]])
      const sent = door(3, 'own')
      for (let round = 0; round < 2; round++) await checkPasses(await post(run, sent), sent.path)
      assert.equal(await stored(run, signal, 'own'), 2, `${sent.path} ${i}`)
    }
  })

for (const signal of signals)
  test(`no disk, ${signal}: 503 on every door, and nothing is there`, async t => {
    const run = await started(t, ['disk_free_min=1048576GiB'])
    await checkRefused(run, signal, otlp[signal](1, 'full'), 'disk')
    for (const door of doors[signal]) {
      const sent = door(1, 'full')
      const reply = await post(run, sent)
      assert.equal(reply.status, 503, sent.path)
      await checkPasses(reply, sent.path)
    }
    assert.equal(await stored(run, signal, 'full'), 0)
  })

test('a bulk request has 429 for each document that waits for room', async t => {
  const run = await started(t, ['limits.log_streams=2'])
  const body = lines(3, i => `{"create":{}}\n${jsonLine('bulk', i)}`)
  const sent = { path: '/insert/elasticsearch/_bulk?_stream_fields=app', headers: json, body: `${body}\n` }
  for (let round = 0; round < 2; round++) {
    const reply = await post(run, sent)
    const { errors, items } = (await reply.json()) as { errors: boolean; items: { create: { status: number } }[] }
    assert.deepEqual([reply.status, errors, items.map(x => x.create.status)], [200, true, [201, 201, 429]])
  }
  assert.equal(await stored(run, 'logs', 'bulk'), 2)
})

test('lines faster than limits.log_rate wait, all of a request; one that never fits is taken', async t => {
  const run = await started(t, ['limits.log_rate=100'])
  const large = otlp.logs(1, 'large')
  const body = { stringValue: 'x'.repeat(400) }
  const text = JSON.stringify(large).replace('{"stringValue":"line 0"}', JSON.stringify(body))
  const first = await post(run, { path: '/v1/logs', headers: json, body: text })
  assert.equal(first.status, 200, await first.text())
  assert.equal(await stored(run, 'logs', 'large'), 1)
  await checkRefused(run, 'logs', otlp.logs(1, 'later'), 'rate')
  for (const door of doors.logs) await checkPasses(await post(run, door(1, 'later')), 'rate')
  assert.equal(await stored(run, 'logs', 'later'), 0)
})

test('a request with more traces than may be live gets to its end when it is sent again', async t => {
  const clock = new VirtualClock(nowMs)
  let isOver = false
  const time = (async () => {
    while (!isOver) {
      await clock.advance(100)
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  })()
  const run = await runTercet(['limits.live_traces=2'], undefined, { clock })
  t.after(async () => {
    const stopped = run.stop()
    await stopped
    isOver = true
    await time
  })
  const sent = { path: '/v1/traces', headers: json, body: JSON.stringify(otlp.traces(5, 'more')) }
  const statuses: number[] = []
  for (let round = 1; round <= 3; round++) {
    const reply = await post(run, sent)
    statuses.push(reply.status)
    await reply.text()
    assert.equal(await stored(run, 'traces', 'more'), Math.min(5, 2 * round), `round ${round}`)
    const idleMs = clock.nowMs() + 25_000
    while (clock.nowMs() < idleMs) await new Promise(resolve => setTimeout(resolve, 5))
  }
  assert.deepEqual(statuses, [429, 429, 200])
})
