/** Span metrics and service graphs, named as Tempo's generator names them, from spans that come in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import type { Attribute, Span, Trace } from '#model/trace.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import { DerivedMetrics } from '../../src/ingest/derived-metrics.ts'
import { runTercet } from '../run-tercet.ts'
import { until } from '../until.ts'
import { urlOf } from '../url.ts'

const none = new Uint8Array(0)
const clock = new VirtualClock(1_700_000_000_000)
const id = (n: number, size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  bytes[size - 1] = n
  return bytes
}
const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })
function span(n: number, parent: number, kind: number, seconds: number, more: Partial<Span> = {}): Span {
  const endNs = BigInt(clock.nowMs()) * 1_000_000n
  return {
    traceId: id(9, 16),
    spanId: id(n, 8),
    parentSpanId: parent === 0 ? new Uint8Array(0) : id(parent, 8),
    traceState: '',
    flags: 0,
    name: `op ${n}`,
    kind,
    startNs: endNs - BigInt(Math.round(seconds * 1e9)),
    endNs,
    attributes: [],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
    ...more,
  }
}
const of = (service: string, spans: Span[]): Trace => ({
  resources: [
    {
      resource: { attributes: [text('service.name', service)], dropped: 0 },
      schemaUrl: '',
      scopes: [{ scope: { name: '', version: '', attributes: [], dropped: 0 }, schemaUrl: '', spans }],
    },
  ],
})

/** The last value of each series, by its text. */
function valuesOf(batch: WriteBatch): Map<string, number> {
  const keys = Array.from({ length: batch.seriesCount }, (_, i) => {
    const parts: string[] = []
    // All lengths are below 128: each label is a tag and length, then name and value with theirs.
    for (let at = batch.keyFrom[i]!; at < batch.keyTo[i]!;) {
      at += 2
      for (let n = 0; n < 2; n++) {
        const length = batch.bytes[at + 1]!
        parts.push(Buffer.from(batch.bytes.subarray(at + 2, at + 2 + length)).toString())
        at += 2 + length
      }
    }
    return parts.join(' ')
  })
  const values = new Map<string, number>()
  for (let i = 0; i < batch.sampleCount; i++) values.set(keys[batch.sampleSeries[i]!]!, batch.values[i]!)
  return values
}
const find = (values: Map<string, number>, ...parts: string[]): number[] =>
  [...values].filter(([key]) => parts.every(part => key.includes(part))).map(([, value]) => value)

test('calls, latencies, sizes; edges between services, to databases, from users, to what sends no spans', async () => {
  let batch: WriteBatch | undefined
  const metrics: MetricsAppender = {
    append: (_tenant, given) => {
      batch = given
      return Promise.resolve({
        stored: given.sampleCount,
        histograms: 0,
        exemplars: given.exemplars.length,
        refused: 0,
        problems: [],
      })
    },
  }
  const derived = new DerivedMetrics({
    clock,
    log: silentLog,
    metrics,
    seriesMax: 20,
    hasTenancy: false,
    sizeOf: () => 100,
    decode: () => assert.fail('nothing is an outline here'),
  })
  derived.add(
    't',
    of('web', [
      span(1, 0, 2, 0.003),
      span(2, 1, 3, 0.002),
      span(4, 1, 3, 0.001, { attributes: [text('db.system', 'redis')] }),
      span(6, 1, 3, 0.001, { attributes: [text('db.system.name', 'redis'), text('server.address', 'cachehost')] }),
      // A mere address is no node.
      span(9, 1, 3, 0.001, { attributes: [text('server.address', 'api.example.com')] }),
      span(5, 1, 3, 0.01, { attributes: [text('peer.service', 'mailer')] }),
    ]),
    none,
  )
  derived.add('t', of('api', [span(3, 2, 2, 0.001, { statusCode: 2 })]), none)
  // Without a service there is no edge, and the span is counted without one.
  derived.add('t', of('', [span(50, 0, 2, 0.001), span(51, 50, 3, 0.001)]), none)
  derived.add('t', of('lonely', [span(52, 51, 2, 0.001)]), none)
  // An hour old: stored elsewhere, not counted.
  derived.add('t', of('old', [span(7, 0, 2, 1, { startNs: 1n, endNs: 2n })]), none)
  await derived.store()
  let values = valuesOf(batch!)
  assert.deepEqual(find(values, 'traces_spanmetrics_calls_total', 'web', 'SPAN_KIND_SERVER', 'STATUS_CODE_UNSET'), [1])
  assert.deepEqual(find(values, 'traces_spanmetrics_size_total', 'api'), [100])
  assert.deepEqual(find(values, 'traces_spanmetrics_calls_total', 'api', 'STATUS_CODE_ERROR'), [1])
  assert.deepEqual(find(values, 'traces_spanmetrics_latency_count', 'op 1'), [1])
  const [unnamed] = [...values.keys()].filter(k => k.includes('calls_total') && k.includes('op 50'))
  assert.ok(unnamed !== undefined && !/ service /.test(` ${unnamed} `), String(unnamed))
  assert.deepEqual(find(values, 'old'), [])
  assert.equal(batch!.exemplars.length > 0, true)
  assert.deepEqual([...new Set(batch!.exemplars.map(e => e.labels.pairs[0]))], ['traceID'])
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'cachehost', 'database'), [1])
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'web', 'api'), [1])
  assert.deepEqual(find(values, 'traces_service_graph_request_failed_total', 'web', 'api'), [1])
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'redis', 'database'), [1])
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'mailer'), [])
  await clock.advance(11_000)
  await derived.store()
  values = valuesOf(batch!)
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'mailer', 'virtual_node'), [1])
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'user', 'web', 'virtual_node'), [1])
  assert.deepEqual(find(values, 'traces_service_graph_request_total', 'virtual_node').length, 2)
  assert.deepEqual(find(values, 'traces_service_graph', 'lonely'), [])
  for (let n = 0; n < 100; n++) derived.add('t', of(`many-${n}`, [span(8, 0, 1, 0.1)]), none)
  assert.equal(derived.series, 20)
  assert.ok(derived.dropped > 0)
})

test('tenants wait for the log together, and one that is refused holds up no other', async () => {
  const waiting: string[] = []
  let goOn = (): void => {}
  const logged = new Promise<void>(resolve => (goOn = resolve))
  const append: MetricsAppender['append'] = async tenant => {
    waiting.push(tenant)
    if (tenant === 'refused') throw new Error('no room')
    await logged
    return { stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] }
  }
  const derived = new DerivedMetrics({
    clock,
    log: silentLog,
    metrics: { append },
    seriesMax: 100,
    hasTenancy: false,
    sizeOf: () => 1,
    decode: () => assert.fail('nothing is an outline here'),
  })
  const tenants = ['a', 'refused', 'b']
  for (const tenant of tenants) derived.add(tenant, of('web', [span(1, 0, 1, 0.1)]), none)
  const stored = derived.store()
  for (let i = 0; i < 100 && waiting.length < tenants.length; i++) await new Promise(setImmediate)
  assert.deepEqual(waiting, tenants)
  goOn()
  await stored
})

test('many series become samples a little at a time, each of them once', async () => {
  /** A clock by which each look takes a millisecond. */
  class SlowClock extends VirtualClock {
    yields = 0
    looks = 0
    override monotonicMs(): number {
      return ++this.looks
    }
    override yield(): Promise<void> {
      this.yields++
      return Promise.resolve()
    }
  }
  const slow = new SlowClock(clock.nowMs())
  const batches: WriteBatch[] = []
  const append: MetricsAppender['append'] = (_tenant, batch) => {
    batches.push(batch)
    return Promise.resolve({ stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] })
  }
  const sizeOf = (): number => 1
  const decode = (): never => assert.fail('nothing is an outline here')
  const derived = new DerivedMetrics({
    clock: slow,
    log: silentLog,
    metrics: { append },
    seriesMax: 1000,
    hasTenancy: false,
    sizeOf,
    decode,
  })
  for (let n = 0; n < 500; n++) derived.add('t', of(`many-${n}`, [span(1, 0, 1, 0.1)]), none)
  await derived.store()
  assert.ok(slow.yields > 20, `${slow.yields} pauses`)
  assert.deepEqual([batches.length, batches[0]!.isFrozen], [1, true])
  const calls = [...valuesOf(batches[0]!)].filter(([key]) => key.includes('calls_total'))
  assert.deepEqual(new Set(calls.map(([, value]) => value)), new Set([1]))
  assert.equal(calls.length, 500)
})

test('they arrive in the own store', async () => {
  const run = await runTercet(['metrics.scrape_interval=100ms'])
  try {
    const now = BigInt(Date.now()) * 1_000_000n
    const body = JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
          scopeSpans: [
            {
              spans: [
                {
                  traceId: '0af7651916cd43dd8448eb211c80319c',
                  spanId: 'b7ad6b7169203331',
                  name: 'GET',
                  kind: 2,
                  startTimeUnixNano: String(now - 3_000_000n),
                  endTimeUnixNano: String(now),
                },
              ],
            },
          ],
        },
      ],
    })
    await fetch(`${run.url}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const query = 'traces_spanmetrics_latency_bucket{service="shop",span_name="GET",le="0.004"}'
    const found = await until(async () => {
      const reply = await fetch(urlOf(run.url, '/api/v1/query', { query }))
      const { result } = ((await reply.json()) as { data: { result: { value: [number, string] }[] } }).data
      return result.length === 0 ? undefined : result.map(r => r.value[1])
    }, query)
    assert.deepEqual(found, ['1'])
  } finally {
    await run.stop()
  }
})

test('no tenant uses up the label sets or the halves of edges; one that is deleted gives its own back', async () => {
  const stored = new Map<string, WriteBatch>()
  const metrics: MetricsAppender = {
    append: (tenant, given) => {
      stored.set(tenant, given)
      return Promise.resolve({ stored: given.sampleCount, histograms: 0, exemplars: 0, refused: 0, problems: [] })
    },
  }
  const derived = new DerivedMetrics({
    clock,
    log: silentLog,
    metrics,
    seriesMax: 100,
    hasTenancy: true,
    sizeOf: () => 1,
    decode: () => assert.fail('no outline'),
  })
  const callsOf = (tenant: string): number =>
    find(valuesOf(stored.get(tenant)!), 'traces_spanmetrics_calls_total').length
  const many = Array.from({ length: 300 }, (_, n) => span(1, 0, 1, 0.1, { name: `op ${n}` }))
  derived.add('greedy', of('shop', many), none)
  derived.add('modest', of('shop', many.slice(0, 10)), none)
  derived.add('third', of('shop', many.slice(0, 10)), none)
  await derived.store()
  assert.deepEqual([callsOf('greedy'), callsOf('modest'), callsOf('third')], [50, 10, 10])
  // Each is a client whose server sends nothing: half of the halves may wait; and their label set finds no room.
  const clients = (from: number, count: number): Trace =>
    of(
      'shop',
      Array.from({ length: count }, (_, n) =>
        span(1, 0, 3, 0.1, { name: 'op 1', traceId: Buffer.from(`trace ${from + n}`.padEnd(16)) }),
      ),
    )
  const { dropped } = derived
  derived.add('greedy', clients(0, 30_000), none)
  assert.equal(derived.dropped - dropped, 50_000)
  derived.add('modest', clients(0, 100), none)
  assert.equal(derived.dropped - dropped, 50_000)
  derived.forget('greedy')
  assert.equal(derived.series, 21)
  stored.clear()
  await derived.store()
  assert.deepEqual([...stored.keys()], ['modest', 'third'])
})

test('a tenant that is deleted while it is written, or whose spans come late, is not stored', async () => {
  let derived: DerivedMetrics
  let yields = 0
  /** A clock by which each look takes a millisecond; the tenant is deleted in the middle. */
  class SlowClock extends VirtualClock {
    looks = 0
    override monotonicMs(): number {
      return ++this.looks
    }
    override yield(): Promise<void> {
      if (++yields === 5) derived.forget('t')
      return Promise.resolve()
    }
  }
  const stored: string[] = []
  const append: MetricsAppender['append'] = tenant => {
    stored.push(tenant)
    return Promise.resolve({ stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] })
  }
  const slow = new SlowClock(clock.nowMs())
  let isDeleted = false
  derived = new DerivedMetrics({
    clock: slow,
    log: silentLog,
    metrics: { append },
    seriesMax: 1000,
    hasTenancy: true,
    isDeleted: tenant => isDeleted && tenant === 't',
    sizeOf: () => 1,
    decode: () => assert.fail('no outline'),
  })
  const now = (service: string): Trace =>
    of(service, [span(1, 0, 1, 0.1, { endNs: BigInt(slow.nowMs()) * 1_000_000n })])
  for (const tenant of ['t', 'other']) derived.add(tenant, now('before'), none)
  // What nothing was counted for in a while is let go of as well.
  await slow.advance(1_000_000)
  for (let n = 0; n < 300; n++) derived.add('t', now(`many-${n}`), none)
  derived.add('other', now('shop'), none)
  await derived.store()
  assert.ok(yields >= 5)
  assert.deepEqual([stored, derived.series], [['other'], 1])
  isDeleted = true
  derived.add('t', now('later'), none)
  assert.equal(derived.series, 1)
})

test("with tenancy, spans of the tenant `single-tenant` are that tenant's metrics; without, everybody's", async () => {
  for (const [tenancy, wanted, other] of [
    ['on', 'single-tenant', 'anonymous'],
    ['off', '', ''],
  ] as const) {
    const run = await runTercet([`tenancy=${tenancy}`, 'metrics.scrape_interval=1s'])
    const headers = (tenant: string): Record<string, string> => (tenant === '' ? {} : { 'x-scope-orgid': tenant })
    const endNs = `${Date.now()}000000`
    const sent = await fetch(`${run.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers(wanted) },
      body: JSON.stringify({
        resourceSpans: [
          {
            resource: {},
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: 'a'.repeat(32),
                    spanId: 'a'.repeat(16),
                    name: 'x',
                    startTimeUnixNano: endNs,
                    endTimeUnixNano: endNs,
                  },
                ],
              },
            ],
          },
        ],
      }),
    })
    assert.equal(sent.status, 200)
    const found = async (tenant: string): Promise<number> => {
      const query = 'query=traces_spanmetrics_calls_total'
      const reply = await fetch(`${run.url}/api/v1/query?${query}`, { headers: headers(tenant) })
      return ((await reply.json()) as { data: { result: unknown[] } }).data.result.length
    }
    await until(async () => ((await found(wanted)) === 1 ? true : undefined), 'metrics of the span')
    if (other !== '') assert.equal(await found(other), 0)
    await run.stop()
  }
})
