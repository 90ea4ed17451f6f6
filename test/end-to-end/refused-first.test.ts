/**
 * A series, stream or trace whose first items are refused keeps the later ones through the end of the process, by
 * whatever door they come, and so does everything that comes beside them.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { startProcess, type Started } from '../run-process.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { writeBody } from '../write-request.ts'

const nowMs = Date.now()
const dayMs = 86_400_000
const json = { 'content-type': 'application/json' }
const iso = (ms: number): string => new Date(ms).toISOString()

interface Door {
  path: string
  headers?: Record<string, string>
  /** A request with an item of a group at a time. */
  body: (group: string, ms: number) => string | Uint8Array
}

const logDoors: Record<string, Door> = {
  loki: {
    path: '/loki/api/v1/push',
    headers: json,
    body: (k, ms) => JSON.stringify({ streams: [{ stream: { k }, values: [[`${ms}000000`, `at ${ms}`]] }] }),
  },
  lokiBelowInsert: {
    path: '/insert/loki/api/v1/push',
    headers: json,
    body: (k, ms) => JSON.stringify({ streams: [{ stream: { k }, values: [[`${ms}000000`, `at ${ms}`]] }] }),
  },
  jsonline: {
    path: '/insert/jsonline?_stream_fields=k',
    body: (k, ms) => JSON.stringify({ _time: iso(ms), _msg: `at ${ms}`, k }),
  },
  bulk: {
    path: '/insert/elasticsearch/_bulk?_stream_fields=k&_time_field=@timestamp&_msg_field=message',
    body: (k, ms) => `{"create":{}}\n${JSON.stringify({ '@timestamp': iso(ms), message: `at ${ms}`, k })}\n`,
  },
  otlp: {
    path: '/v1/logs',
    headers: json,
    body: (k, ms) =>
      JSON.stringify({
        resourceLogs: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: k } }] },
            scopeLogs: [{ logRecords: [{ timeUnixNano: `${ms}000000`, body: { stringValue: `at ${ms}` } }] }],
          },
        ],
      }),
  },
  journald: {
    path: '/insert/journald/upload?_stream_fields=K',
    headers: { 'content-type': 'application/vnd.fdo.journal' },
    body: (k, ms) => `__REALTIME_TIMESTAMP=${ms}000\nK=${k}\nMESSAGE=at ${ms}\n\n`,
  },
}

const metricDoors: Record<string, Door> = {
  remoteWrite: {
    path: '/api/v1/write',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: (k, ms) =>
      writeBody([
        {
          labels: [
            ['__name__', 'kept'],
            ['k', k],
          ],
          samples: [[ms, 1]],
        },
      ]),
  },
  text: { path: '/api/v1/import/prometheus', body: (k, ms) => `kept{k="${k}"} 1 ${ms}\n` },
  jsonLines: {
    path: '/api/v1/import',
    body: (k, ms) => JSON.stringify({ metric: { __name__: 'kept', k }, values: [1], timestamps: [ms] }),
  },
  influx: { path: '/write', body: (k, ms) => `kept,k=${k} value=1 ${ms}000000` },
  otlp: {
    path: '/v1/metrics',
    headers: json,
    body: (k, ms) => {
      const attributes = [{ key: 'k', value: { stringValue: k } }]
      const dataPoints = [{ timeUnixNano: `${ms}000000`, asDouble: 1, attributes }]
      return JSON.stringify({
        resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: 'kept', gauge: { dataPoints } }] }] }],
      })
    },
  },
}

const traceOf = (k: string): string => Buffer.from(k.padStart(16).slice(-16)).toString('hex')
const traceDoors: Record<string, Door> = {
  otlp: {
    path: '/v1/traces',
    headers: json,
    body: (k, ms) => {
      const time = `${ms}000000`
      const own = { traceId: traceOf(k), spanId: `${ms}`.padStart(16, '0') }
      const span = { ...own, name: 'n', startTimeUnixNano: time, endTimeUnixNano: time }
      const resource = { attributes: [{ key: 'service.name', value: { stringValue: k } }] }
      return JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] })
    },
  },
  zipkin: {
    path: '/api/v2/spans',
    headers: json,
    body: (k, ms) => {
      const own = { traceId: traceOf(k), id: `${ms}`.padStart(16, '0'), localEndpoint: { serviceName: k } }
      return JSON.stringify([{ ...own, name: 'n', timestamp: ms * 1000, duration: 1 }])
    },
  },
}

async function send({ url }: Started, { path, headers = {}, body }: Door, group: string, ms: number): Promise<string> {
  const reply = await fetch(`${url}${path}`, { method: 'POST', headers, body: body(group, ms) })
  return `${reply.status} ${await reply.text()}`
}

async function killed({ child }: Started): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

const ask = async (url: string, params: Record<string, string>): Promise<unknown> =>
  (await fetch(`${url}?${new URLSearchParams(params).toString()}`)).json()
type Vector = { data: { result: { metric: Record<string, string>; value: [number, string] }[] } }

test('by every door of all three signals, over a kill', async t => {
  const directory = temporaryDirectory()
  t.after(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  const all = { log: logDoors, metric: metricDoors, trace: traceDoors }
  let run = await startProcess(directory, 'local')
  t.after(() => run.child.kill('SIGKILL'))
  for (const [signal, doors] of Object.entries(all))
    for (const [name, door] of Object.entries(doors)) {
      // Two days ahead is refused by all; the words are each door's own.
      const refused = await send(run, door, name, nowMs + 2 * dayMs)
      assert.match(refused, /future|ahead|too new|[Rr]ejected.*"?1"?|^400|"status":400/, `${signal} ${name}`)
      assert.doesNotMatch(refused, /^20\d (\{\})?$/, `${signal} ${name}: ${refused}`)
      const kept = await send(run, door, name, nowMs)
      assert.match(kept, /^20/, `${signal} ${name}: ${kept}`)
      assert.doesNotMatch(kept, /artial|rror":true/, `${signal} ${name}: ${kept}`)
    }
  await killed(run)
  run = await startProcess(directory, 'local')
  const time = String(Math.floor(nowMs / 1000) + 60)
  const names = (doors: Record<string, Door>): string[] => Object.keys(doors).sort()
  const lines = 'sum by (k) (label_replace(count_over_time({k=~".+"}[10m]), "k", "$1", "k", "(.*)"))'
  const services =
    'sum by (k) (label_replace(count_over_time({service_name="otlp"}[10m]), "k", "$1", "service_name", "(.*)"))'
  const journal = 'sum by (k) (label_replace(count_over_time({K="journald"}[10m]), "k", "$1", "K", "(.*)"))'
  const counted: string[] = []
  for (const query of [lines, services, journal]) {
    const { data } = (await ask(`${run.url}/loki/api/v1/query`, { query, time })) as Vector
    for (const { metric, value } of data.result) counted.push(`${metric['k']} ${value[1]}`)
  }
  assert.deepEqual(
    counted.sort(),
    names(logDoors).map(name => `${name} 1`),
  )
  const query = 'sum by (k) (count_over_time({__name__=~"kept|kept_value"}[10m]))'
  const { data } = (await ask(`${run.url}/api/v1/query`, { query, time })) as Vector
  assert.deepEqual(
    data.result.map(({ metric, value }) => `${metric['k']} ${value[1]}`).sort(),
    names(metricDoors).map(name => `${name} 1`),
  )
  for (const name of names(traceDoors)) {
    const { trace } = (await ask(`${run.url}/api/v2/traces/${traceOf(name)}`, {})) as {
      trace: { resourceSpans: { scopeSpans: { spans: object[] }[] }[] }
    }
    const spans = trace.resourceSpans.flatMap(r => r.scopeSpans.flatMap(s => s.spans))
    assert.equal(spans.length, 1, name)
  }
  await killed(run)
})
