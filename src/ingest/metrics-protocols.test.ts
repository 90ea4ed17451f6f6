/** Push protocols of metrics: what is stored, and how senders are answered. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeSnappy } from '#codec/snappy.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { CorruptDataError, LimitError, UnavailableError } from '#core/errors.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { MetricsAppender, MetricsAppendOutcome } from '#metrics/append.ts'
import { nameRefused } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder, type WriteBatch } from '#model/write-batch.ts'
import { encodeWriteRequest, encodeWriteRequestV2 } from '#wire/remote-write/encode.ts'
import { answerOf, call, failureText, pathsOf, send, tenantOf, type Sent } from './ingest-kit.ts'
import { agentMetricsRoutes, metricsProtocols } from './metrics-protocols.ts'

const nowMs = Date.parse('2026-11-28T12:00:00Z')

/** Keeps samples as `tenant {labels} value @time`; refuses those whose value is negative. */
class KeptSamples implements MetricsAppender {
  readonly samples: string[] = []
  readonly sizes: number[] = []
  failure: Error | undefined
  isNaming = true
  /** While true, every append is refused. */
  isFull = false

  append(tenant: string, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    const outcome: MetricsAppendOutcome = { stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] }
    if (batch.namesRefused && this.isNaming) outcome.refusedAt = []
    this.sizes.push(batch.sampleCount)
    for (let i = 0; i < batch.sampleCount; i++) {
      if (batch.values[i]! < 0 || this.isFull) {
        if (this.isFull) outcome.passes = true
        nameRefused(outcome, 'negative', batch.sampleSeries[i]!)
        outcome.refused++
        outcome.problems.push({ message: 'negative', count: 1 })
        continue
      }
      outcome.stored++
      const series = labelsOfKey(batch, batch.sampleSeries[i]!)
      this.samples.push(`${tenant} ${series} ${batch.values[i]} @${batch.timesMs[i]! - nowMs}`)
    }
    outcome.exemplars = batch.exemplars.length
    return Promise.resolve(outcome)
  }
}

/** A series' key is fields of remote write: 0A len 0A nameLen name 12 valueLen value. */
function labelsOfKey(batch: WriteBatch, series: number): string {
  const labels: [string, string][] = []
  let at = batch.keyFrom[series]!
  const text = (): string => {
    const length = batch.bytes[at + 1]!
    const from = at + 2
    at = from + length
    return Buffer.from(batch.bytes.subarray(from, at)).toString('utf8')
  }
  while (at < batch.keyTo[series]!) {
    at += 2
    labels.push([text(), text()])
  }
  return Labels.from(labels).toString()
}

const limits = { decodedBytesMax: 2_000_000 }
const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })

function serving(): { store: KeptSamples; served: ReturnType<typeof metricsProtocols> } {
  const store = new KeptSamples()
  return {
    store,
    served: metricsProtocols({ appender: store, tenantOf, clock: new VirtualClock(nowMs), kernel, limits }),
  }
}

const plain = { labelsOf: undefined, added: [], isWithExemplars: true, isWithHistograms: true }

function batchOf(...values: number[]): WriteBatch {
  const builder = new BatchBuilder()
  for (const value of values) builder.add(Labels.fromObject({ __name__: 'm', a: '1' }), nowMs, value)
  return builder.batch
}

const v1 = (...values: number[]): Uint8Array => encodeSnappy(encodeWriteRequest(batchOf(...values), plain).bytes)
const v2 = (...values: number[]): Uint8Array => encodeSnappy(encodeWriteRequestV2(batchOf(...values), plain).bytes)
const v2Type = 'application/x-protobuf;proto=io.prometheus.write.v2.Request'
const otlp = JSON.stringify({
  resourceMetrics: [
    {
      scopeMetrics: [
        {
          metrics: [
            { name: 'g', gauge: { dataPoints: [{ asDouble: 2, timeUnixNano: `${nowMs}000000` }] } },
            {
              name: 'delta',
              sum: { aggregationTemporality: 1, isMonotonic: true, dataPoints: [{ asDouble: 1, timeUnixNano: '1' }] },
            },
          ],
        },
      ],
    },
  ],
})
const jsonLine = (value: number): string => `{"metric":{"__name__":"m"},"values":[${value}],"timestamps":[${nowMs}]}`

test('all paths are served, an agent has its own, and gRPC is OTLP alone', () => {
  const { served, store } = serving()
  assert.deepEqual(pathsOf(served), [
    'POST /api/v1/import',
    'POST /api/v1/import/prometheus',
    'POST /api/v1/otlp/v1/metrics',
    'POST /api/v1/push',
    'POST /api/v1/write',
    'POST /api/v2/write',
    'POST /influx/write',
    'POST /opentelemetry/v1/metrics',
    'POST /otlp/v1/metrics',
    'POST /prometheus/api/v1/push',
    'POST /prometheus/api/v1/write',
    'POST /v1/metrics',
    'POST /write',
    'PUT /api/v1/import',
    'PUT /api/v1/import/prometheus',
    'PUT /api/v2/write',
    'PUT /influx/write',
    'PUT /write',
  ])
  const routes = agentMetricsRoutes({ appender: store, tenantOf, clock: new VirtualClock(0), kernel, limits })
  assert.deepEqual(pathsOf({ routes, grpc: [] }), [
    'POST /api/v1/import/prometheus',
    'POST /api/v1/push',
    'POST /api/v1/write',
    'POST /opentelemetry/v1/metrics',
    'POST /prometheus/api/v1/write',
    'POST /v1/metrics',
    'PUT /api/v1/import/prometheus',
  ])
  assert.deepEqual(
    served.grpc.map(m => `${m.service}/${m.method}`),
    ['opentelemetry.proto.collector.metrics.v1.MetricsService/Export'],
  )
})

test('good bodies of every protocol and encoding are stored, and answered as each protocol answers', async () => {
  const m = 'default m{a="1"} 5 @0'
  const cases: [sent: Sent, answer: string, stored: string[]][] = [
    [{ path: '/api/v1/write', body: v1(5) }, '204', [m]],
    [{ path: '/api/v1/push', body: v1(5), headers: { 'content-encoding': 'snappy' } }, '204', [m]],
    [{ path: '/api/v1/write', body: v1(5), headers: { 'content-type': 'application/x-protobuf' } }, '204', [m]],
    [{ path: '/api/v1/write', body: v2(5), headers: { 'content-type': v2Type } }, '204', [m]],
    [
      // The kit does not decompress: this is what a body is after that.
      {
        path: '/api/v1/write',
        body: encodeWriteRequest(batchOf(5), plain).bytes,
        headers: { 'content-encoding': 'zstd' },
      },
      '204',
      [m],
    ],
    [{ path: '/api/v1/write', body: v1(5), headers: { 'x-scope-orgid': 'a' } }, '204', ['a m{a="1"} 5 @0']],
    [{ path: '/api/v1/import', body: `${jsonLine(5)}\n\n${jsonLine(6)}` }, '204', ['default m 5 @0', 'default m 6 @0']],
    [
      { path: '/api/v1/import?extra_label=a=b=c&extra_label=x=y', method: 'PUT', body: jsonLine(5) },
      '204',
      ['default m{a="b=c", x="y"} 5 @0'],
    ],
    [
      { path: '/api/v1/import/prometheus', body: `m 5 ${nowMs - 10}\nn 6\n` },
      '204',
      ['default m 5 @-10', 'default n 6 @0'],
    ],
    [{ path: `/api/v1/import/prometheus?timestamp=${nowMs + 7}`, body: 'm 5' }, '204', ['default m 5 @7']],
    [
      {
        path: '/api/v1/import/prometheus',
        body: '# TYPE m counter\nm_total 5\n# EOF\n',
        headers: { 'content-type': 'application/openmetrics-text; version=1.0.0' },
      },
      '204',
      ['default m_total 5 @0'],
    ],
    [
      { path: '/write', body: `cpu,host=a usage=5,idle=6 ${nowMs}000000\n# comment\n` },
      '204',
      ['default cpu_usage{host="a"} 5 @0', 'default cpu_idle{host="a"} 6 @0'],
    ],
    [
      { path: '/influx/write?db=d&precision=ms', body: `cpu usage=5 ${nowMs - 3}` },
      '204',
      ['default cpu_usage{db="d"} 5 @-3'],
    ],
    [{ path: '/api/v2/write?bucket=b&precision=s', body: 'cpu usage=5' }, '204', ['default cpu_usage{db="b"} 5 @0']],
    [{ path: '/write?db=&bucket=b', body: 'cpu usage=5' }, '204', ['default cpu_usage 5 @0']],
    [{ path: '/v1/metrics', body: '{}', headers: { 'content-type': 'application/json' } }, '200 {}', []],
    [{ path: '/v1/metrics', body: '' }, '200', []],
  ]
  for (const [sent, answer, stored] of cases) {
    const { served, store } = serving()
    assert.equal((await answerOf(served, sent)).trimEnd(), answer, JSON.stringify(sent))
    assert.deepEqual(store.samples, stored, JSON.stringify(sent))
  }
})

test('what is wrong with a request is said with its status, and nothing of it is stored', async () => {
  const types = 'application/x-protobuf and application/json are'
  const protos = 'application/x-protobuf with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request is'
  const cases: [sent: Sent, answer: string][] = [
    [{ path: '/api/v1/write', body: '' }, '400 the body is empty; a compressed protobuf message was expected'],
    [{ path: '/api/v1/write', body: 'hello' }, '400 snappy: the body is damaged'],
    [
      { path: '/api/v1/write', body: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0) },
      '413 snappy: the body declares 4294967295 bytes when decoded, the limit is 2000000',
    ],
    [
      { path: '/api/v1/write', headers: { 'content-type': 'text/plain' } },
      `415 content type "text/plain" is not known; ${protos}`,
    ],
    [
      { path: '/api/v1/write', headers: { 'content-type': 'application/x-protobuf; proto=other' } },
      `415 content type "application/x-protobuf; proto=other" is not known; ${protos}`,
    ],
    [
      { path: '/api/v1/write', headers: { 'content-encoding': 'gzip' } },
      '415 content encoding "gzip" is not known; snappy and zstd are',
    ],
    [{ path: '/api/v1/write', body: v1(5), headers: { 'x-scope-orgid': 'nobody' } }, '401 no org id'],
    [
      { path: '/v1/metrics', headers: { 'content-type': 'text/plain; charset=utf-8' } },
      `415 content type "text/plain" is not known; ${types}`,
    ],
    [
      { path: '/api/v1/import/prometheus?timestamp=soon', body: 'm 1' },
      '400 timestamp "soon" is not a whole number of milliseconds',
    ],
    [{ path: '/v1/metrics', headers: { 'content-type': '' } }, `415 content type "" is not known; ${types}`],
    [
      { path: '/write?precision=constructor', body: 'cpu usage=5 1' },
      '400 precision "constructor" is not known; ns, n, us, u, µ, ms, s, m, h are',
    ],
    [
      { path: '/write?precision=weeks', body: 'cpu usage=5' },
      '400 precision "weeks" is not known; ns, n, us, u, µ, ms, s, m, h are',
    ],
  ]
  for (const [sent, answer] of cases) {
    const { served, store } = serving()
    assert.equal(await answerOf(served, sent), answer, JSON.stringify(sent))
    assert.deepEqual(store.samples, [], JSON.stringify(sent))
  }
})

test('beside what is refused the good is stored; the reply counts both and gives the first reason', async () => {
  const cases: [sent: Sent, answer: RegExp][] = [
    [{ path: '/api/v1/write', body: v1(5, -1, -2) }, /^400 2 of 3 samples were refused; the first: negative$/],
    [{ path: '/api/v1/import', body: `${jsonLine(5)}\nno JSON\n${jsonLine(-1)}` }, /^400 2 of 3 .* first: line 2: /],
    [
      { path: '/api/v1/import/prometheus', body: 'm 5\nn -1\n!!\n' },
      /^400 2 of 3 samples were refused; the first: neg/,
    ],
    [{ path: '/write', body: 'm a=5\nbroken\nm b=-1' }, /^400 2 of 3 samples were refused; the first: line 2: /],
    // Empty lines count.
    [{ path: '/write', body: '\n\nm a=5\n\nbroken\n\n' }, /^400 1 of 2 samples were refused; the first: line 5: /],
    [{ path: '/api/v1/import/prometheus', body: '\n\nm 5\n\n!!\n' }, /^400 1 of 2 .* first: line 5: /],
    [{ path: '/api/v1/import', body: `\n\n${jsonLine(5)}\n\nno JSON` }, /^400 1 of 2 .* first: line 5: /],
  ]
  for (const [sent, answer] of cases) {
    const { served, store } = serving()
    assert.match(await answerOf(served, sent), answer)
    assert.equal(store.samples.length, 1)
  }
  const { served, store } = serving()
  const reply = await send(served, { path: '/v1/metrics', body: otlp, headers: { 'content-type': 'application/json' } })
  assert.equal(reply.status, 200)
  assert.match(reply.body, /^\{"partialSuccess":\{"rejectedDataPoints":"1","errorMessage":".*delta/)
  assert.deepEqual(store.samples, ['default g 2 @0'])
})

test('remote write 2.0 says how much was written, also when nothing was', async () => {
  const { served, store } = serving()
  const written = async (body: Uint8Array): Promise<(string | undefined)[]> => {
    const { status, headers } = await send(served, { path: '/api/v1/write', body, headers: { 'content-type': v2Type } })
    const count = (kind: string): string | undefined => headers[`x-prometheus-remote-write-${kind}-written`]
    return [String(status), count('samples'), count('histograms'), count('exemplars')]
  }
  assert.deepEqual(await written(v2(5, 6)), ['204', '2', '0', '0'])
  assert.deepEqual(await written(v2(5, -1)), ['400', '1', '0', '0'])
  assert.deepEqual(await written(new Uint8Array(0)), ['400', '0', '0', '0'])
  store.failure = new UnavailableError('starting', 3)
  assert.deepEqual(await written(v2(5)), ['503', '0', '0', '0'])
  const v1Reply = await send(served, { path: '/api/v1/write', body: v1(5) })
  assert.deepEqual([v1Reply.status, v1Reply.headers['retry-after']], [503, '3'])
  assert.equal('x-prometheus-remote-write-samples-written' in v1Reply.headers, false)
})

test('OTLP counts points that are refused, however many series each has', async () => {
  const times = { timeUnixNano: `${nowMs}000000` }
  const histogram = (sum: number, ...bucketCounts: string[]): object => ({
    ...times,
    count: '3',
    sum,
    bucketCounts,
    explicitBounds: [1, 5],
  })
  const request = (...dataPoints: object[]): string =>
    JSON.stringify({
      resourceMetrics: [
        { scopeMetrics: [{ metrics: [{ name: 'h', histogram: { aggregationTemporality: 2, dataPoints } }] }] },
      ],
    })
  const cases: [body: string, isNaming: boolean, rejected: string | undefined][] = [
    [request(histogram(1, '1', '1', '1')), true, undefined],
    [request(histogram(-1, '-1', '-1', '5')), true, '1'],
    [request(histogram(-1, '-1', '-1', '5'), histogram(1, '1', '1', '1'), histogram(-1, '1', '1', '1')), true, '2'],
    // A door that does not say which: never more than there are.
    [request(histogram(-1, '-1', '-1', '5')), false, '1'],
  ]
  for (const [body, isNaming, rejected] of cases) {
    const { served, store } = serving()
    store.isNaming = isNaming
    const reply = await send(served, { path: '/v1/metrics', body, headers: { 'content-type': 'application/json' } })
    const { partialSuccess } = JSON.parse(reply.body) as { partialSuccess?: { rejectedDataPoints: string } }
    assert.equal(partialSuccess?.rejectedDataPoints, rejected, body)
  }
})

test('a limit that passes is 429 on every door, though some samples were kept', async () => {
  for (const sent of [
    { path: '/v1/metrics', body: otlp, headers: { 'content-type': 'application/json' } },
    { path: '/api/v1/write', body: v1(1, -2) },
    { path: '/api/v1/import', body: jsonLine(-1) },
    { path: '/write', body: 'm f=-1' },
  ]) {
    const { served, store } = serving()
    store.isFull = true
    const { status, headers } = await send(served, sent)
    assert.deepEqual([status, headers['retry-after']], [429, '10'], sent.path)
  }
})

test('errors of the store have their status, and say when to come back', async () => {
  const cases: [failure: Error, answer: string, retry: string | undefined][] = [
    [new LimitError('too many series', 429), '429 too many series', '10'],
    [new LimitError('too large', 413), '413 too large', undefined],
    [new UnavailableError('disk full', 5), '503 disk full', '5'],
    [new CorruptDataError('torn'), '400 torn', undefined],
    [new Error('a bug'), '500 a bug', undefined],
  ]
  for (const [failure, answer, retry] of cases) {
    const { served, store } = serving()
    store.failure = failure
    for (const sent of [
      { path: '/api/v1/write', body: v1(5) },
      { path: '/api/v1/import', body: jsonLine(5) },
      { path: '/api/v1/import/prometheus', body: 'm 5' },
      { path: '/write', body: 'm a=5' },
      { path: '/v1/metrics', body: otlp, headers: { 'content-type': 'application/json' } },
    ]) {
      const { status, headers, body } = await send(served, sent)
      assert.equal(`${status} ${failureText(body)}`, answer, sent.path)
      assert.equal(headers['retry-after'], retry, sent.path)
      assert.equal(headers['x-content-type-options'], 'nosniff')
    }
  }
})

test('a long body is stored in batches, and their outcomes are one', async () => {
  const { served, store } = serving()
  const lines = Array.from({ length: 25_000 }, (_, i) => `m{i="${i % 10}"} ${i === 20_000 ? -1 : i}`)
  const answer = await answerOf(served, { path: '/api/v1/import/prometheus', body: lines.join('\n') })
  assert.equal(answer, '400 1 of 25000 samples were refused; the first: negative')
  assert.deepEqual(store.sizes, [10_000, 10_000, 5000])
  const json = Array.from({ length: 10_001 }, (_, i) => jsonLine(i))
  assert.equal((await answerOf(served, { path: '/api/v1/import', body: json.join('\n') })).trimEnd(), '204')
  assert.deepEqual(store.sizes.slice(3), [10_000, 1])
})

test('OTLP over gRPC is the same protocol', async () => {
  const service = 'opentelemetry.proto.collector.metrics.v1.MetricsService'
  const { served, store } = serving()
  assert.equal(await call(served, service, new Uint8Array(0)), '')
  assert.equal(await call(served, service, new Uint8Array(0), 'nobody'), 'unauthorized: no org id')
  assert.match(await call(served, service, Buffer.from('0aff', 'hex')), /^corrupt-data: /)
  store.failure = new UnavailableError('starting', 3)
  assert.equal(await call(served, service, new Uint8Array(0)), 'unavailable: starting')
})

test('a body that unfolds beyond the limit is refused before it is decoded', async () => {
  const { served } = serving()
  const bomb = encodeSnappy(new Uint8Array(limits.decodedBytesMax + 1))
  assert.match(await answerOf(served, { path: '/api/v1/write', body: bomb }), /^413 snappy: .* the limit is 2000000$/)
})
