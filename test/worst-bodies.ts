/**
 * Bodies of nothing: each repeats an element of a few bytes that would become an object of hundreds, in every place
 * where a protocol has a list. One list for the test of refusals and for the measurement of memory (bench/bodies.ts).
 */
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'

export interface WorstBody {
  readonly name: string
  /** Over HTTP; undefined: over gRPC, to `service`. */
  readonly path?: string
  readonly service?: string
  readonly headers: Readonly<Record<string, string>>
  /** Of about `bytes` bytes when decoded. */
  readonly body: (bytes: number) => Uint8Array
}

const json = { 'content-type': 'application/json' }
const protobuf = { 'content-type': 'application/x-protobuf' }

/** `open`, then `element` again and again, then `close`. */
function repeated(open: string, element: string, close: string): (bytes: number) => Uint8Array {
  return bytes => {
    const middle = Buffer.alloc(Math.max(0, bytes - open.length - close.length - 1), element)
    const whole = middle.subarray(0, middle.length - (middle.length % Buffer.byteLength(element)))
    // The last comma goes.
    const end = element.endsWith(',') ? whole.length - 1 : whole.length
    return Buffer.concat([Buffer.from(open), whole.subarray(0, end), Buffer.from(close)])
  }
}

/** Fields of these numbers, one within another; in the innermost `element` again and again, in the first `before`. */
function nested(fields: readonly number[], element: string, before = ''): (bytes: number) => Uint8Array {
  return bytes => {
    const one = Buffer.from(element, 'hex')
    const count = Math.floor(bytes / one.length)
    let inner: Uint8Array = Buffer.alloc(count * one.length, one)
    for (const [level, field] of [...fields.entries()].reverse()) {
      if (level === 0) inner = Buffer.concat([Buffer.from(before, 'hex'), inner])
      const out = new ByteWriter(inner.length + 16)
      out.writeUvarint(field * 8 + 2)
      out.writeUvarint(inner.length)
      out.writeBytes(inner)
      inner = out.bytes()
    }
    return inner
  }
}

const snappy =
  (body: (bytes: number) => Uint8Array) =>
  (bytes: number): Uint8Array =>
    encodeSnappy(body(bytes))

function otlpJson(signal: string, names: readonly [string, string, string]): WorstBody[] {
  const [resources, scopes, items] = names
  const path = `/v1/${signal}`
  const toItems = `{"${resources}":[{"${scopes}":[{"${items}":[`
  const toAttributes = `${toItems}{"attributes":[`
  const closing = (open: string): string =>
    [...open]
      .filter(c => c === '[' || c === '{')
      .reverse()
      .map(c => (c === '[' ? ']' : '}'))
      .join('')
  const places: [string, string, string][] = [
    ['resources', `{"${resources}":[`, '{},'],
    ['scopes', `{"${resources}":[{"${scopes}":[`, '{},'],
    ['records', toItems, '{},'],
    ['lists for records', toItems, '[],'],
    ['attributes', toAttributes, '{},'],
    ['numbers', toAttributes, '0,'],
    ['values', `${toAttributes}{"key":"a","value":{"arrayValue":{"values":[`, '{},'],
    ['unknown members', `{"a":[`, '[],'],
  ]
  return [
    ...places.map(([what, open, element]) => ({
      name: `OTLP ${signal}, JSON, ${what}`,
      path,
      headers: json,
      body: repeated(open, element, closing(open)),
    })),
    { name: `OTLP ${signal}, JSON, depth`, path, headers: json, body: repeated(`{"${resources}":`, '[', '') },
  ]
}

function otlpProtobuf(signal: string, service: string, places: [string, number[], string][]): WorstBody[] {
  return places.flatMap(([what, fields, element]) => {
    const body = nested(fields, element)
    return [
      { name: `OTLP ${signal}, protobuf, ${what}`, path: `/v1/${signal}`, headers: protobuf, body },
      { name: `OTLP ${signal}, gRPC, ${what}`, service, headers: {}, body },
    ]
  })
}

const traces: readonly WorstBody[] = [
  ...otlpJson('traces', ['resourceSpans', 'scopeSpans', 'spans']),
  ...otlpProtobuf('traces', 'opentelemetry.proto.collector.trace.v1.TraceService', [
    ['resources', [], '0a00'],
    ['scopes', [1], '1200'],
    ['spans', [1, 2], '1200'],
    ['attributes of resources', [1, 1], '0a00'],
    ['attributes of spans', [1, 2, 2], '4a00'],
    ['texts that are no UTF-8, and attributes', [1, 2, 2], '1a01ff4a00'],
    ['numbers', [1, 2, 2], '3000'],
  ]),
  { name: 'Zipkin', path: '/api/v2/spans', headers: json, body: repeated('[', '{},', ']') },
  {
    name: 'Zipkin, annotations',
    path: '/api/v2/spans',
    headers: json,
    body: repeated('[{"traceId":"1","id":"1","annotations":[', '{},', ']}]'),
  },
  {
    name: 'Jaeger, Thrift, structs',
    path: '/api/traces',
    headers: { 'content-type': 'application/x-thrift' },
    body: bytes => {
      const count = Buffer.alloc(4)
      count.writeUInt32BE(bytes)
      return Buffer.concat([
        Buffer.from('0c000100', 'hex'),
        Buffer.from('0f00020c', 'hex'),
        count,
        Buffer.alloc(bytes + 1),
      ])
    },
  },
  ...(
    [
      ['batches', [], '0a00'],
      ['spans', [1], '0a00'],
      ['tags', [1, 1], '4200'],
      ['logs', [1, 1], '4a00'],
      ['warnings', [1, 1], '6200'],
    ] as const
  ).map(([what, fields, element]) => ({
    name: `Jaeger, gRPC, ${what}`,
    service: 'jaeger.api_v2.CollectorService',
    headers: {},
    body: nested(fields, element),
  })),
]

const lokiLabels = '0a077b613d2262227d'
const lokiJson = (name: string, open: string, element: string, close: string): WorstBody => ({
  name: `Loki push, JSON, ${name}`,
  path: '/loki/api/v1/push',
  headers: json,
  body: repeated(open, element, close),
})

const logs: readonly WorstBody[] = [
  ...otlpJson('logs', ['resourceLogs', 'scopeLogs', 'logRecords']),
  ...otlpProtobuf('logs', 'opentelemetry.proto.collector.logs.v1.LogsService', [
    ['resources', [], '0a00'],
    ['scopes', [1], '1200'],
    ['records', [1, 2], '1200'],
    ['attributes of resources', [1, 1], '0a00'],
    ['attributes', [1, 2, 2], '3200'],
    ['values', [1, 2, 2, 5, 5], '0a00'],
    ['members', [1, 2, 2, 5, 6], '0a00'],
    ['numbers', [1, 2, 2], '1000'],
  ]),
  lokiJson('streams', '{"streams":[', '{},', ']}'),
  lokiJson('entries', '{"streams":[{"stream":{"a":"b"},"values":[', '[],', ']}]}'),
  lokiJson('depth', '{"streams":[{"stream":{"a":', '[', ''),
  {
    name: 'Loki push of old, entries',
    path: '/api/prom/push',
    headers: json,
    body: repeated('{"streams":[{"labels":"{a=\\"b\\"}","entries":[', '{},', ']}]}'),
  },
  ...(
    [
      ['streams', nested([], '0a00')],
      ['entries', nested([1], '1200', lokiLabels)],
      ['metadata', nested([1, 2], '1a00', lokiLabels)],
    ] as const
  ).flatMap(([what, body]) => [
    { name: `Loki push, snappy, ${what}`, path: '/loki/api/v1/push', headers: protobuf, body: snappy(body) },
    { name: `Loki push, gRPC, ${what}`, service: 'logproto.Pusher', headers: {}, body },
  ]),
]

const version2 = { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }
const zstd = { ...protobuf, 'content-encoding': 'zstd' }

const metrics: readonly WorstBody[] = [
  ...otlpJson('metrics', ['resourceMetrics', 'scopeMetrics', 'metrics']),
  ...otlpProtobuf('metrics', 'opentelemetry.proto.collector.metrics.v1.MetricsService', [
    ['resources', [], '0a00'],
    ['scopes', [1], '1200'],
    ['metrics', [1, 2], '1200'],
    ['points', [1, 2, 2, 5], '0a00'],
    ['points of histograms', [1, 2, 2, 9], '0a00'],
    ['attributes', [1, 2, 2, 7, 1], '3a00'],
    ['exemplars', [1, 2, 2, 5, 1], '2a00'],
    ['quantiles', [1, 2, 2, 11, 1], '3200'],
    ['buckets', [1, 2, 2, 10, 1, 8, 2], '00'],
  ]),
  ...(
    [
      ['series', nested([], '0a00')],
      ['samples', nested([1], '1200')],
      ['exemplars', nested([1], '1a00')],
      ['histograms', nested([1], '2200')],
      ['metadata', nested([], '1a00')],
    ] as const
  ).flatMap(([what, body]) => [
    { name: `remote write 1, snappy, ${what}`, path: '/api/v1/write', headers: protobuf, body: snappy(body) },
    { name: `remote write 1, zstd, ${what}`, path: '/api/v1/write', headers: zstd, body },
  ]),
  ...(
    [
      ['symbols', nested([], '2200')],
      ['series', nested([], '2a00')],
      ['samples', nested([5], '1200')],
      ['histograms', nested([5], '1a00')],
      ['exemplars', nested([5], '2200')],
    ] as const
  ).map(([what, body]) => ({
    name: `remote write 2, ${what}`,
    path: '/api/v1/write',
    headers: version2,
    body: snappy(body),
  })),
]

/** By the signal that takes them. */
export const worstBodies = { logs, metrics, traces } as const

const padded = (element: string, bytes: number): string => element.padEnd(bytes, ' ')

/** Bodies that hold nearly as much as one of their size may, and are taken: they cost the most that any costs. */
export const acceptedBodies: Readonly<Record<keyof typeof worstBodies, readonly WorstBody[]>> = {
  logs: [
    {
      name: 'lines: jsonline, empty',
      path: '/insert/jsonline',
      headers: {},
      body: repeated('', '{}\n', ''),
    },
    {
      name: 'lines: jsonline, members',
      path: '/insert/jsonline',
      headers: {},
      body: repeated('', '{"a":1,"b":2,"c":3}\n', ''),
    },
    {
      name: 'lines: jsonline, one line of members',
      path: '/insert/jsonline',
      headers: {},
      body: repeated('{', '"a":1,', '}'),
    },
    {
      name: 'lines: bulk, empty',
      path: '/insert/elasticsearch/_bulk',
      headers: {},
      body: repeated('', '{"create":{}}\n{}\n', ''),
    },
    {
      name: 'lines: bulk, documents of 400 bytes',
      path: '/insert/elasticsearch/_bulk',
      headers: {},
      body: repeated('', `{"create":{}}\n{"message":"${'x'.repeat(490)}"}\n`, ''),
    },
    {
      name: 'lines: journald, empty fields',
      path: '/insert/journald/upload',
      headers: {},
      body: repeated('', 'A=\n\n', ''),
    },
    {
      name: 'taken: OTLP logs, JSON, 500 bytes each',
      path: '/v1/logs',
      headers: json,
      body: repeated('{"resourceLogs":[{"scopeLogs":[{"logRecords":[', `${padded('{}', 499)},`, ']}]}]}'),
    },
    {
      name: 'taken: OTLP logs, protobuf, 500 bytes each',
      path: '/v1/logs',
      headers: protobuf,
      body: nested([1, 2], `12f203${'1200'.repeat(249)}`),
    },
    {
      name: 'taken: Loki push, JSON, 128 bytes each',
      path: '/loki/api/v1/push',
      headers: json,
      body: repeated(
        '{"streams":[{"stream":{"a":"b"},"values":[',
        `${padded('["1700000000000000000","x"]', 127)},`,
        ']}]}',
      ),
    },
  ],
  metrics: [
    { name: 'lines: Influx, short', path: '/write', headers: {}, body: repeated('', 'm f=1\n', '') },
    { name: 'lines: Influx, one line', path: '/write', headers: {}, body: repeated('m ', 'f=1,', 'f=1') },
    {
      name: 'lines: exposition, short',
      path: '/api/v1/import/prometheus',
      headers: {},
      body: repeated('', 'a 1\n', ''),
    },
    {
      name: 'lines: import, empty',
      path: '/api/v1/import',
      headers: {},
      body: repeated('', '{}\n', ''),
    },
    {
      name: 'lines: import, one line of numbers',
      path: '/api/v1/import',
      headers: {},
      body: repeated('{"metric":{"__name__":"m"},"timestamps":[1],"values":[', '1,', ']}'),
    },
    {
      name: 'taken: OTLP metrics, JSON, 500 bytes each',
      path: '/v1/metrics',
      headers: json,
      body: repeated(
        '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[',
        `${padded('{}', 499)},`,
        ']}}]}]}]}',
      ),
    },
  ],
  traces: [
    {
      name: 'taken: OTLP traces, JSON, 500 bytes each',
      path: '/v1/traces',
      headers: json,
      body: repeated('{"resourceSpans":[{"scopeSpans":[{"spans":[', `${padded('{}', 499)},`, ']}]}]}'),
    },
    {
      name: 'taken: Zipkin, 500 bytes each',
      path: '/api/v2/spans',
      headers: json,
      body: repeated('[', `${padded('{"traceId":"1","id":"1"}', 499)},`, ']'),
    },
  ],
}
