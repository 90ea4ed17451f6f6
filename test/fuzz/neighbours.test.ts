/**
 * An item of a request that is damaged in any way costs itself: what is good beside it is kept, on every door that
 * takes several items.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { send, tenantOf, type Sent } from '#ingest/ingest-kit.ts'
import { logProtocols } from '#ingest/log-protocols.ts'
import { metricsProtocols } from '#ingest/metrics-protocols.ts'
import { traceProtocols } from '#ingest/trace-protocols.ts'
import type { LogsAppender } from '#logs/append.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import type { TracesAppender } from '#traces/append.ts'
import { mutate } from '../damage.ts'
import { logsRequest, metricsRequest, tracesRequest } from '../otlp-schema.ts'
import { protobuf, type Message } from '../protobuf.ts'

const nowMs = Date.parse('2026-11-28T12:00:00Z')
const nowNs = `${nowMs}000000`
const clock = new VirtualClock(nowMs)
const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })
const limits = { decodedBytesMax: 10_000_000 }

/** What a door has kept: texts that hold the names of the good items. */
class Kept {
  readonly texts: string[] = []

  readonly logs: LogsAppender = {
    append: async (_tenant, batch) => {
      for (let i = 0; i < batch.count; i++)
        this.texts.push(Buffer.from(batch.bytes.subarray(batch.lineFrom[i], batch.lineTo[i])).toString('utf8'))
      for (const pair of batch.pairs) this.texts.push(pair)
      return { stored: batch.count, refused: 0, problems: [], status: 400, refusedAt: [] }
    },
  }
  readonly metrics: MetricsAppender = {
    append: async (_tenant, batch) => {
      for (let i = 0; i < batch.seriesCount; i++)
        this.texts.push(Buffer.from(batch.bytes.subarray(batch.keyFrom[i], batch.keyTo[i])).toString('latin1'))
      return { stored: batch.sampleCount, histograms: 0, exemplars: 0, refused: 0, problems: [] }
    },
  }
  readonly traces: TracesAppender = {
    append: async (_tenant, trace) => {
      for (const { scopes } of trace.resources)
        for (const { spans } of scopes) for (const span of spans) this.texts.push(span.name)
      return { stored: 1, refused: 0, problems: [] }
    },
    appendParts: () => assert.fail('without another thread nothing comes in parts'),
  }
}

function ask(kept: Kept, sent: Sent): Promise<unknown> {
  const served = [
    logProtocols({ appender: kept.logs, tenantOf, clock, log: silentLog, kernel, limits }),
    metricsProtocols({ appender: kept.metrics, tenantOf, clock, kernel, limits }),
    traceProtocols({ appender: kept.traces, tenantOf, clock, onStored: () => {} }),
  ]
  const path = sent.path.split('?')[0]
  const own = served.find(({ routes }) => routes.some(route => route.path === path))
  assert.ok(own !== undefined, sent.path)
  return send(own, sent)
}

interface Door {
  name: string
  /** The bytes of a good item whose name is in it. */
  item(name: string): Uint8Array
  /** The request of these items. */
  request(items: readonly Uint8Array[]): Sent
  /** Bytes that end an item, which a damaged one may not hold: they would make two of it. */
  ends?: readonly number[]
}

const joined = (items: readonly Uint8Array[]): Buffer =>
  Buffer.concat(items.flatMap(item => [Buffer.from(item), Buffer.from('\n')]))

/** A message with one field that holds the items, each behind its length. */
function framed(outer: readonly number[], tag: number, items: readonly Uint8Array[]): Uint8Array {
  const length = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...length(n >>> 7)])
  let bytes: Uint8Array = Buffer.concat(items.flatMap(item => [Buffer.from([tag, ...length(item.length)]), item]))
  for (const one of outer.toReversed()) bytes = Buffer.concat([Buffer.from([one, ...length(bytes.length)]), bytes])
  return bytes
}

/** The item alone, out of a message that holds one. */
function inner(message: Uint8Array, depth: number): Uint8Array {
  let bytes = message
  for (let i = 0; i < depth; i++) {
    let at = 1
    while (bytes[at]! >= 128) at++
    bytes = bytes.subarray(at + 1)
  }
  return bytes
}

const otlp = { 'content-type': 'application/x-protobuf' }
const doors: Door[] = [
  {
    name: 'jsonline',
    item: name => Buffer.from(`{"_time":"2026-11-28T11:59:00Z","_msg":"${name}","a":1}`),
    request: items => ({ path: '/insert/jsonline?_stream_fields=a', body: joined(items) }),
    ends: [10],
  },
  {
    name: '_bulk',
    item: name => Buffer.from(`{"_time":"2026-11-28T11:59:00Z","_msg":"${name}","a":1}`),
    request: items => ({
      path: '/insert/elasticsearch/_bulk',
      body: joined(items.flatMap(item => [Buffer.from('{"create":{}}'), item])),
    }),
    ends: [10],
  },
  {
    name: 'Influx',
    item: name => Buffer.from(`${name},host=a value=1`),
    request: items => ({ path: '/write', body: joined(items) }),
    ends: [10],
  },
  {
    name: 'pushed text',
    item: name => Buffer.from(`${name}{a="b"} 1`),
    request: items => ({ path: '/api/v1/import/prometheus', body: joined(items) }),
    ends: [10],
  },
  {
    name: 'JSON lines of metrics',
    item: name => Buffer.from(`{"metric":{"__name__":"${name}"},"values":[1],"timestamps":[${nowMs}]}`),
    request: items => ({ path: '/api/v1/import', body: joined(items) }),
    ends: [10],
  },
  {
    name: 'spans of OTLP',
    item: name => inner(protobuf(tracesRequest, { resourceSpans: [{ scopeSpans: [{ spans: [spanOf(name)] }] }] }), 3),
    request: items => ({ path: '/v1/traces', headers: otlp, body: framed([0x0a, 0x12], 0x12, items) }),
  },
  {
    name: 'log records of OTLP',
    item: name => {
      const record = { timeUnixNano: nowNs, body: { stringValue: name } }
      return inner(protobuf(logsRequest, { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] }), 3)
    },
    request: items => ({ path: '/v1/logs', headers: otlp, body: framed([0x0a, 0x12], 0x12, items) }),
  },
  {
    name: 'points of OTLP',
    item: name => {
      const point = { timeUnixNano: nowNs, asDouble: 1, attributes: [{ key: 'n', value: { stringValue: name } }] }
      const metrics = [{ gauge: { dataPoints: [point] } }]
      return inner(protobuf(metricsRequest, { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }), 5)
    },
    request: items => {
      // Metric: 0a 01 6d name, 2a gauge with the points.
      const gauge = framed([], 0x0a, items)
      const metric = Buffer.concat([Buffer.from([0x0a, 1, 0x6d]), framed([], 0x2a, [gauge])])
      return { path: '/v1/metrics', headers: otlp, body: framed([0x0a, 0x12], 0x12, [metric]) }
    },
  },
]

function spanOf(name: string): Message {
  const times = { startTimeUnixNano: nowNs, endTimeUnixNano: nowNs }
  return { traceId: '01'.repeat(16), spanId: '02'.repeat(8), name, kind: 1, ...times }
}

for (const door of doors)
  test(`${door.name}: a damaged item costs itself alone`, async () => {
    for (let seed = 1; seed <= 400; seed++) {
      const damaged = mutate(door.item('damaged'), seed).filter(byte => door.ends?.includes(byte) !== true)
      // In a bulk request an empty line is none: the lines behind it can't be told apart any more.
      if (Buffer.from(damaged).toString('latin1').trim() === '') continue
      const kept = new Kept()
      await ask(kept, door.request([door.item('first'), damaged, door.item('last')]))
      for (const name of ['first', 'last'])
        assert.ok(
          kept.texts.some(text => text.includes(name)),
          `seed ${seed}: ${name} is lost beside ${Buffer.from(damaged).toString('base64')}: ${kept.texts.join('; ')}`,
        )
    }
  })
