/** Bodies that another thread decodes: what is appended and answered is what it is when they are decoded here. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeSnappy } from '#codec/snappy.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { UnavailableError } from '#core/errors.ts'
import { decodedHereBytesMax } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { nameRefused, refuse, type AppendOutcome } from '#model/append-outcome.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { Span, Trace } from '#model/trace.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { bodyKinds, decodeBody, type BodyDecoder, type BodyKind } from '#wire/decode-body.ts'
import { decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { encodeWriteRequest, encodeWriteRequestV2 } from '#wire/remote-write/encode.ts'
import { logsRequest, metricsRequest, tracesRequest } from '../../test/otlp-schema.ts'
import { protobuf } from '../../test/protobuf.ts'
import { showSpans } from '../../test/show-spans.ts'
import { showLogBatch, showWriteBatch } from '../../test/show-batch.ts'
import { worstBodies } from '../../test/worst-bodies.ts'
import { call, send, tenantOf } from './ingest-kit.ts'
import { logProtocols } from './log-protocols.ts'
import { metricsProtocols } from './metrics-protocols.ts'
import { traceProtocols } from './trace-protocols.ts'
import type { ServedProtocol } from './protocol.ts'

const seed = { a: 1, b: 2, c: 3, d: 4 }
const clock = new VirtualClock(Date.parse('2026-11-28T12:00:00Z'))
const kernel = new WriteRequestKernel(seed)
const limits = { decodedBytesMax: 128 << 20 }

/** Decodes as a thread does: bytes go, columns come back. */
class CloningDecoder implements BodyDecoder {
  readonly kinds: BodyKind[] = []

  async decode(kind: BodyKind, sent: Uint8Array): Promise<ReturnType<typeof decodeBody>> {
    this.kinds.push(kind)
    const body = structuredClone(sent)
    const decoded = decodeBody(kind, body, { nowMs: clock.nowMs(), decodedBytesMax: limits.decodedBytesMax, seed })
    return structuredClone(decoded, { transfer: [...decoded.buffers] })
  }
}

/** Of each batch every 1000th item is refused. */
function judge<T extends AppendOutcome>(outcome: T, count: number, namesRefused: boolean): T {
  if (namesRefused) outcome.refusedAt = []
  outcome.stored = count
  for (let i = 0; i < count; i += 1000) {
    refuse(outcome, `no ${i % 3000}`)
    nameRefused(outcome, `no ${i % 3000}`, i)
    outcome.stored--
  }
  return outcome
}

const spansIn = (trace: Trace): Span[] => trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans))

/** Protocols, and what they append as text. */
function protocolsWith(decoder: BodyDecoder | undefined): {
  served: ServedProtocol[]
  appended: string[]
  derived: string[]
} {
  const appended: string[] = []
  const derived: string[] = []
  /** Returns how many there are. */
  const takeSpans = (outlines: Trace, message: Uint8Array): number => {
    const whole = decodeOtlpTraces(message)
    const spans = spansIn(outlines)
    for (const [i, span] of spansIn(whole).entries())
      if (spans[i]!.problem !== undefined) span.problem = spans[i]!.problem
    for (const line of showSpans(whole)) appended.push(line)
    return spans.length
  }
  const outcome = (): AppendOutcome => ({ stored: 0, refused: 0, problems: [] })
  const push = { tenantOf, clock, log: silentLog, kernel, limits, decoder }
  const logs = logProtocols({
    ...push,
    appender: {
      append: async (tenant, batch) => {
        appended.push(tenant, `${batch.isVerbatim}`, ...showLogBatch(batch))
        return judge({ ...outcome(), status: 400 as const }, batch.count, batch.namesRefused)
      },
    },
  })
  const metrics = metricsProtocols({
    ...push,
    appender: {
      append: async (tenant, batch) => {
        const { seriesCount, hashes } = batch
        const hashed = hashes === undefined ? 'none' : [...hashes.subarray(0, seriesCount * 4)].join(' ')
        appended.push(tenant, ...showWriteBatch(batch), JSON.stringify(batch.refusals), hashed)
        return judge({ ...outcome(), histograms: 0, exemplars: 0 }, seriesCount, batch.namesRefused)
      },
    },
  })
  const traces = traceProtocols({
    ...push,
    appender: {
      append: async (tenant, trace, message) => {
        appended.push(tenant)
        return judge(outcome(), takeSpans(trace, message), true)
      },
      appendParts: async (tenant, parts) => {
        assert.ok(parts.length > 1)
        appended.push(tenant)
        const spans = parts.reduce((sum, { message, outlines }) => sum + takeSpans(outlines(), message), 0)
        return judge(outcome(), spans, true)
      },
    },
    onStored: (tenant, trace) => {
      // A store refuses those that could not be read.
      for (const { spanId, problem } of spansIn(trace))
        if (problem === undefined) derived.push(`derived ${tenant} ${Buffer.from(spanId).toString('hex')}`)
    },
  })
  return { served: [logs, metrics, traces], appended, derived }
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const attribute = (key: string, text: string) => ({ key, value: { stringValue: text } })
const filler = 'ä'.repeat(90)

const logsMessage = {
  resourceLogs: many(20, r => ({
    resource: { attributes: [attribute('service.name', `s${r}`), attribute('k8s.pod.uid', `${r}`)] },
    scopeLogs: [
      {
        logRecords: many(400, i => ({
          timeUnixNano: i % 7 === 0 ? '0' : `17000000000000000${i % 10}0`,
          severityText: 'Warn',
          body: { stringValue: `${i} ${filler}` },
          attributes: [attribute('i', `${i}`), attribute('r', `${r} ✓`)],
        })),
      },
    ],
  })),
}
const metricsMessage = {
  resourceMetrics: many(20, r => ({
    resource: { attributes: [attribute('service.name', `s${r}`), attribute('service.instance.id', 'i')] },
    scopeMetrics: [
      {
        metrics: many(250, m => {
          const point = {
            timeUnixNano: '1700000000000000000',
            attributes: [attribute('a', `${m} ${filler}`)],
            flags: m % 9 === 0 ? 1 : 0,
          }
          return m % 5 === 0
            ? { name: `h${m}`, histogram: { dataPoints: [{ ...point, count: '3' }], aggregationTemporality: m % 2 } }
            : { name: `m${m}`, sum: { dataPoints: [{ ...point, asDouble: m / 3 }], aggregationTemporality: 2 } }
        }),
      },
    ],
  })),
}
const spanId = (i: number): string => i.toString(16).padStart(16, '1')
const tracesMessage = {
  resourceSpans: many(20, r => ({
    resource: { attributes: [attribute('service.name', `s${r}`)] },
    scopeSpans: [
      {
        spans: many(400, i => ({
          traceId: i % 100 === 7 ? '0102' : (r * 400 + i).toString(16).padStart(32, '2'),
          spanId: spanId(i),
          name: `n${i}`,
          startTimeUnixNano: '1700000000000000000',
          endTimeUnixNano: '1700000000000000001',
          attributes: [attribute('i', `${i} ${filler}`)],
        })),
      },
    ],
  })),
}
const lokiStreams = many(200, s => ({
  stream: { app: `a${s}`, pod: `p "${s}" ✓` },
  values: many(50, i => [`17000000000000${s}${i}`, `${i} ${filler}`, { trace: `t${s}`, n: `${i % 4}` }]),
}))
const lokiOfOld = many(100, s => ({
  labels: s % 10 === 3 ? '{a=' : `{app="a${s}"}`,
  entries: many(100, i => ({ ts: `2026-11-28T12:00:00.${i}Z`, line: `${i} ${filler}` })),
}))

/** Field 1 or 2 of these bytes. */
function field(number: number, ...parts: readonly Uint8Array[]): Buffer {
  const inner = Buffer.concat(parts)
  const head: number[] = [number * 8 + 2]
  let length = inner.length
  for (; length >= 128; length >>>= 7) head.push((length & 127) | 128)
  return Buffer.concat([Buffer.from([...head, length]), inner])
}

const time = Buffer.from('08c0b2a4ca06', 'hex')
const lokiMessage = Buffer.concat(
  many(200, s =>
    field(
      1,
      field(1, Buffer.from(s % 10 === 3 ? '{a=' : `{app="a${s}"}`)),
      ...many(50, i =>
        field(
          2,
          field(1, time),
          field(2, Buffer.from(`${i} ${filler}`)),
          field(3, field(1, Buffer.from('k')), field(2, Buffer.from(`${i}`))),
        ),
      ),
    ),
  ),
)

function writeRequest(): BatchBuilder['batch'] {
  const builder = new BatchBuilder()
  for (let i = 0; i < 12_000; i++) {
    const series = builder.addSeries(Labels.fromObject({ __name__: `m${i % 7}`, pod: `${i} ${filler}` }))
    builder.batch.addSample(series, 1000 + i, i / 7)
    if (i % 100 === 0) builder.batch.addSampleWords(series, 2000 + i, 0x7ff00000, 2)
    if (i % 100 === 1)
      builder.batch.exemplars.push({ series, labels: Labels.fromObject({ t: `${i}` }), value: 2, timeMs: 1 })
    const zeroCount = i % 200 === 0 ? 2 : 3
    const histogram = Object.assign(new FloatHistogram(), { count: 3, sum: 1, zeroCount })
    if (i % 100 === 0) builder.batch.histograms.push({ series, timeMs: 3, startMs: 0, histogram })
  }
  builder.batch.metadata.push({ metric: 'm1', type: 'gauge', help: 'h ä', unit: '' })
  return builder.batch
}

const encoding = { labelsOf: undefined, added: [], isWithHistograms: true, isWithExemplars: true }
const version1 = encodeWriteRequest(writeRequest(), encoding).bytes.slice()
// Version 2 has its labels once: a long message needs many of them.
const version2 = encodeWriteRequestV2(writeRequest(), encoding).bytes.slice()

const jaegerSpans = many(20_000, i =>
  field(
    1,
    field(1, Buffer.from((i + 1).toString(16).padStart(32, '0'), 'hex')),
    field(2, i % 1000 === 5 ? Buffer.from('01', 'hex') : Buffer.from(spanId(i), 'hex')),
    field(3, Buffer.from(`n${i} ${filler.slice(0, 30)}`)),
  ),
)

function thriftBatch(): Buffer {
  const spans = many(20_000, i => {
    const name = Buffer.from(`n${i} ${filler.slice(0, 20)}`)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(name.length)
    const id = (at: string, hex: string): Buffer => Buffer.from(`0a${at}${hex}`, 'hex')
    const ids = [id('0001', spanId(i)), id('0002', '0'.repeat(16)), id('0003', spanId(i % 1000 === 5 ? 0 : i))]
    return Buffer.concat([...ids, Buffer.from('0b0005', 'hex'), length, name, Buffer.from('00', 'hex')])
  })
  const count = Buffer.alloc(4)
  count.writeUInt32BE(spans.length)
  const head = Buffer.from('0c00010b00010000000173000f00020c', 'hex')
  return Buffer.concat([head, count, ...spans, Buffer.from('00', 'hex')])
}

const jsonType = { 'content-type': 'application/json' }
const protobufType = { 'content-type': 'application/x-protobuf' }
const version2Type = { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }
const zstd = { 'content-encoding': 'zstd' }
const loki = '/loki/api/v1/push'

type Sent = { path: string; headers: Record<string, string>; body: Uint8Array } | { service: string; body: Uint8Array }

const pushes: Readonly<Record<BodyKind, Sent>> = {
  'otlp-logs': { path: '/v1/logs', headers: protobufType, body: protobuf(logsRequest, logsMessage) },
  'otlp-logs-json': { path: '/otlp/v1/logs', headers: jsonType, body: json(logsMessage) },
  'loki-push': { service: 'logproto.Pusher', body: lokiMessage },
  'loki-push-snappy': { path: loki, headers: protobufType, body: encodeSnappy(lokiMessage) },
  'loki-push-json': { path: loki, headers: jsonType, body: json({ streams: lokiStreams }) },
  'loki-push-json-of-old': { path: '/api/prom/push', headers: jsonType, body: json({ streams: lokiOfOld }) },
  'otlp-metrics': { path: '/v1/metrics', headers: protobufType, body: protobuf(metricsRequest, metricsMessage) },
  'otlp-metrics-json': { path: '/v1/metrics', headers: jsonType, body: json(metricsMessage) },
  'remote-write-1-snappy': { path: '/api/v1/write', headers: protobufType, body: encodeSnappy(version1) },
  'remote-write-1': { path: '/api/v1/write', headers: { ...protobufType, ...zstd }, body: version1 },
  'remote-write-2': { path: '/api/v1/write', headers: { ...version2Type, ...zstd }, body: version2 },
  'remote-write-2-snappy': { path: '/api/v1/write', headers: version2Type, body: encodeSnappy(version2) },
  'json-line': {
    path: '/api/v1/import?extra_label=b=c&extra_label=a=d',
    headers: jsonType,
    body: json({ metric: { __name__: 'm', a: 'ä' }, values: many(90_000, i => i), timestamps: many(90_000, i => i) }),
  },
  'otlp-traces': { path: '/v1/traces', headers: protobufType, body: protobuf(tracesRequest, tracesMessage) },
  'otlp-traces-json': { path: '/v1/traces', headers: jsonType, body: json(tracesMessage) },
  zipkin: {
    path: '/api/v2/spans',
    headers: jsonType,
    body: json(many(12_000, i => ({ traceId: i % 1000 === 3 ? 'no' : '1', id: spanId(i), name: `n${i} ${filler}` }))),
  },
  'jaeger-thrift': {
    path: '/api/traces',
    headers: { 'content-type': 'application/x-thrift' },
    body: thriftBatch(),
  },
  'jaeger-proto': { service: 'jaeger.api_v2.CollectorService', body: field(1, ...jaegerSpans) },
}

async function answerOf(served: readonly ServedProtocol[], sent: Sent): Promise<unknown> {
  if ('service' in sent) {
    const one = served.find(({ grpc }) => grpc.some(({ service }) => service === sent.service))
    return call(one!, sent.service, sent.body, 'tenant')
  }
  const one = served.find(({ routes }) => routes.some(({ path }) => path === sent.path.split('?')[0]))
  return send(one!, { ...sent, headers: { ...sent.headers, 'x-scope-orgid': 'tenant' } })
}

test('a long body of each kind is appended and answered as when it is decoded here', async () => {
  for (const kind of bodyKinds) {
    const sent = pushes[kind]
    assert.ok(sent.body.length > 20_000, kind)
    const here = protocolsWith(undefined)
    const answer = await answerOf(here.served, sent)
    const decoder = new CloningDecoder()
    const there = protocolsWith(decoder)
    assert.deepEqual(await answerOf(there.served, sent), answer, kind)
    assert.deepEqual(decoder.kinds, [kind])
    assert.ok(here.appended.length > 1000, kind)
    assert.ok(there.appended.join('\n') === here.appended.join('\n'), kind)
    assert.ok(there.derived.join('\n') === here.derived.join('\n'), kind)
    if (/traces|zipkin|jaeger/.test(kind)) assert.ok(here.derived.length > 1000, kind)
  }
})

test('bodies of empty elements are refused with the same words, wherever they are decoded', async () => {
  const decoder = new CloningDecoder()
  const here = protocolsWith(undefined)
  const there = protocolsWith(decoder)
  for (const [i, signal] of (['logs', 'metrics', 'traces'] as const).entries())
    for (const { name, path, service, headers, body } of worstBodies[signal]) {
      if (/numbers|buckets/.test(name)) continue
      const bytes = body(decodedHereBytesMax + 1000)
      const answers = []
      for (const { served } of [here, there])
        answers.push(
          service === undefined
            ? await send(served[i]!, { path: path!, headers, body: bytes })
            : await call(served[i]!, service, bytes),
        )
      assert.deepEqual(answers[1], answers[0], name)
    }
  assert.ok(decoder.kinds.length > 50)
})

test('bodies that unfold to no more than the threshold are decoded here', async () => {
  const decoder = new CloningDecoder()
  const { served, appended } = protocolsWith(decoder)
  const line = 'x'.repeat(decodedHereBytesMax - 60)
  const small = field(1, field(1, Buffer.from('{a="b"}')), field(2, field(1, time), field(2, Buffer.from(line))))
  assert.ok(small.length <= decodedHereBytesMax)
  const path = loki
  await answerOf(served, { path, headers: protobufType, body: encodeSnappy(small) })
  assert.equal(appended.length, 3)
  assert.deepEqual(decoder.kinds, [])
  const longer = Buffer.concat([small, small])
  await answerOf(served, { path, headers: protobufType, body: encodeSnappy(longer) })
  assert.deepEqual(decoder.kinds, ['loki-push-snappy'])
})

test('a decoder that is not to be had is answered as what is tried again', async () => {
  const decode = (): Promise<never> => Promise.reject(new UnavailableError('the worker ended', 1))
  const { served, appended } = protocolsWith({ decode })
  for (const kind of [
    'loki-push-snappy',
    'otlp-logs',
    'otlp-metrics-json',
    'remote-write-1-snappy',
    'zipkin',
  ] as const) {
    const reply = (await answerOf(served, pushes[kind])) as Awaited<ReturnType<typeof send>>
    assert.deepEqual([reply.status, reply.headers['retry-after']], [503, '1'], kind)
  }
  assert.match(String(await answerOf(served, pushes['jaeger-proto'])), /^unavailable: /)
  assert.deepEqual(appended, [])
})
