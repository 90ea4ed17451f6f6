/** Bodies by the name of their format: what comes out of another thread is what a decoder makes here. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeSnappy } from '#codec/snappy.ts'
import { samplesOf, logsOf } from '#model/carried-batch.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { Span, Trace } from '#model/trace.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { logsRequest, metricsRequest, tracesRequest } from '../../test/otlp-schema.ts'
import { protobuf } from '../../test/protobuf.ts'
import { showLogBatch, showWriteBatch } from '../../test/show-batch.ts'
import { bodyKinds, decodeBody, type BodyKind, type DecodedBody } from './decode-body.ts'
import { spansOf } from './otlp/carried-spans.ts'
import { encodeWriteRequest, encodeWriteRequestV2 } from './remote-write/encode.ts'

const options = { nowMs: 42, decodedBytesMax: 1 << 20, seed: { a: 1, b: 2, c: 3, d: 4 } }
const staleWords = [0x7ff00000, 2] as const

const attributes = [
  { key: 'service.name', value: { stringValue: 's' } },
  { key: 'big', value: { intValue: '9007199254740993' } },
]
const resource = { attributes }
const logsMessage = {
  resourceLogs: [{ resource, scopeLogs: [{ logRecords: [{ body: { stringValue: 'l ä' }, attributes }] }] }],
}
const metricsMessage = {
  resourceMetrics: [
    {
      resource,
      scopeMetrics: [
        {
          metrics: [{ name: 'm', gauge: { dataPoints: [{ timeUnixNano: '1000000000', asDouble: 1.5, attributes }] } }],
        },
      ],
    },
  ],
}
const span = { traceId: '01'.repeat(16), spanId: '02'.repeat(8), name: 'n', attributes }
const tracesMessage = { resourceSpans: [{ resource, scopeSpans: [{ spans: [span, { ...span, name: 'm' }] }] }] }
const refusedSpan = { resourceSpans: [{ scopeSpans: [{ spans: [span, { ...span, traceId: 'none' }] }] }] }

function writeRequest(): BatchBuilder {
  const builder = new BatchBuilder()
  const series = builder.addSeries(Labels.fromObject({ __name__: 'm', a: 'b' }))
  builder.batch.addSample(series, 1, 1.5)
  builder.batch.addSampleWords(series, 2, staleWords[0], staleWords[1])
  builder.batch.exemplars.push({ series, labels: Labels.fromObject({ t: '1' }), value: 2, timeMs: 1 })
  const histogram = Object.assign(new FloatHistogram(), { count: 3, sum: 1, zeroCount: 3 })
  builder.batch.addHistogram(series, 3, 0, histogram)
  builder.batch.metadata.push({ metric: 'm', type: 'gauge', help: 'h', unit: '' })
  return builder
}

const encoding = { labelsOf: undefined, added: [], isWithHistograms: true, isWithExemplars: true }
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const hex = (text: string): Uint8Array => Buffer.from(text, 'hex')
const version1 = encodeWriteRequest(writeRequest().batch, encoding).bytes.slice()

const bodies: Readonly<Record<BodyKind, [body: Uint8Array, shown: RegExp]>> = {
  'otlp-logs': [
    protobuf(logsRequest, logsMessage),
    /^\{service_name="s"\} @42\+0 l ä big=9007199254740993 service.name=s/,
  ],
  'otlp-logs-json': [json(logsMessage), /^\{service_name="s"\} @42\+0 l ä big=9007199254740993/],
  'loki-push': [
    hex('0a1f0a077b613d2262227d12140a0608c0b2a4ca0612016c1a070a016b12027631'),
    /^\{a="b"\} @\d+\+0 l k=v1$/,
  ],
  'loki-push-snappy': [
    encodeSnappy(hex('0a1f0a077b613d2262227d12140a0608c0b2a4ca0612016c1a070a016b12027631')),
    /^\{a="b"\} @\d+\+0 l k=v1$/,
  ],
  'loki-push-json': [json({ streams: [{ stream: { a: 'b' }, values: [['1', 'l']] }] }), /^\{a="b"\} @0\+1 l$/],
  'loki-push-json-of-old': [
    json({ streams: [{ labels: '{a="b"}', entries: [{ ts: '2026-11-28T12:00:00Z', line: 'l' }] }] }),
    /^\{a="b"\} @\d+\+0 l$/,
  ],
  'otlp-metrics': [protobuf(metricsRequest, metricsMessage), /m\{.*\} 1\.5 @1000/],
  'otlp-metrics-json': [json(metricsMessage), /m\{.*\} 1\.5 @1000/],
  'remote-write-1-snappy': [encodeSnappy(version1), /m.* 1\.5 @1\n.* stale @2\n.*count:3.*\n.*# \{t="1"\} 2 @1/],
  'remote-write-1': [version1, /m.* 1\.5 @1\n.* stale @2\n.*count:3.*\n.*# \{t="1"\} 2 @1/],
  'remote-write-2': [encodeWriteRequestV2(writeRequest().batch, encoding).bytes.slice(), /m.* 1\.5 @1\n.* stale @2\n/],
  'remote-write-2-snappy': [
    encodeSnappy(encodeWriteRequestV2(writeRequest().batch, encoding).bytes.slice()),
    /m.* 1\.5 @1\n.* stale @2\n/,
  ],
  'json-line': [json({ metric: { __name__: 'm' }, values: [1.5, null], timestamps: [1, 2] }), /^m.* 1\.5 @1$/],
  'otlp-traces': [protobuf(tracesRequest, tracesMessage), /^n m$/],
  'otlp-traces-json': [json(refusedSpan), /^n refused: traceId "none" is no id/],
  zipkin: [json([{ traceId: '1', id: '2', name: 'n' }]), /^n$/],
  'jaeger-thrift': [hex('0c00010b0001000000017300000f00020c0000000000'), /^$/],
  'jaeger-proto': [hex('0a210a1f0a1000000000000000000000000000000001120800000000000000021a016e'), /^n$/],
}

const spansIn = (trace: Trace): Span[] => trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans))
const pause = (): Promise<void> => Promise.resolve()

async function show(decoded: DecodedBody): Promise<string> {
  switch (decoded.signal) {
    case 'logs':
      return showLogBatch(await logsOf(decoded.batch, pause)).join('\n')
    case 'metrics':
      return showWriteBatch(samplesOf(decoded.batch)).join('\n')
    case 'traces': {
      const spans = decoded.parts.flatMap(part => spansIn(spansOf(part)))
      return spans.map(s => (s.problem === undefined ? s.name : `refused: ${s.problem}`)).join(' ')
    }
    default:
      return assert.fail()
  }
}

test('every kind of body goes through another thread unchanged, and its columns move', async () => {
  for (const kind of bodyKinds) {
    const [body, shown] = bodies[kind]
    const here = await show(decodeBody(kind, body, options))
    assert.match(here, shown, kind)
    const decoded = decodeBody(kind, body, options)
    const carried = structuredClone(decoded, { transfer: [...decoded.buffers] })
    if (decoded.signal === 'traces')
      assert.ok(decoded.parts.every(({ message }) => message.buffer instanceof SharedArrayBuffer))
    else assert.ok(decoded.buffers.length > 0, kind)
    assert.ok(
      decoded.buffers.every(buffer => buffer.detached),
      kind,
    )
    assert.equal(await show(carried), here, kind)
  }
})

test('errors are those of the decoders', () => {
  assert.throws(() => decodeBody('zipkin', json({}), options), /^BadDataError: the body is no array of spans$/)
  assert.throws(() => decodeBody('otlp-logs', hex('0aff'), options), /^CorruptDataError/)
  const many = Buffer.from(`[${'{},'.repeat(1_000_000)}{}]`)
  assert.throws(() => decodeBody('zipkin', many, options), /^LimitError: .* send smaller requests$/)
})
