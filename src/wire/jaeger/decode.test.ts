/** Jaeger's spans in protobuf and in Thrift: the same spans, and what damaged bodies do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { checkDamage } from '../../../test/damage.ts'
import { protobuf, type Message, type Schema } from '../../../test/protobuf.ts'
import { encodeOtlpTraces, traceToJson } from '../otlp/traces.ts'
import { decodePostSpansRequest } from './proto.ts'
import { decodeJaegerThrift } from './thrift.ts'

const time: Schema = { seconds: [1, 'varint'], nanos: [2, 'varint'] }
const tag: Schema = {
  key: [1, 'text'],
  type: [2, 'varint'],
  string: [3, 'text'],
  bool: [4, 'bool'],
  int: [5, 'varint'],
  double: [6, 'double'],
  binary: [7, 'hex'],
}
const log: Schema = { timestamp: [1, () => time], fields: [2, () => tag] }
const reference: Schema = { traceId: [1, 'hex'], spanId: [2, 'hex'], type: [3, 'varint'] }
const process: Schema = { serviceName: [1, 'text'], tags: [2, () => tag] }
const span: Schema = {
  traceId: [1, 'hex'],
  spanId: [2, 'hex'],
  operationName: [3, 'text'],
  references: [4, () => reference],
  flags: [5, 'varint'],
  startTime: [6, () => time],
  duration: [7, () => time],
  tags: [8, () => tag],
  logs: [9, () => log],
  process: [10, () => process],
  warnings: [12, 'text'],
}
const batch: Schema = { spans: [1, () => span], process: [2, () => process] }
const request: Schema = { batch: [1, () => batch] }

const traceId = '000000000000000100000000000000ff'
const processTags = [
  { key: 'hostname', type: 0, string: 'h1' },
  { key: 'jaeger.version', type: 0, string: 'Go-2' },
]
const tags = [
  { key: 'span.kind', type: 0, string: 'CLIENT' },
  { key: 'http.status_code', type: 2, int: 404 },
  { key: 'ok', type: 1, bool: true },
  { key: 'half', type: 3, double: 0.5 },
  { key: 'otel.scope.name', type: 0, string: 'lib' },
]
const message = {
  batch: {
    spans: [
      {
        traceId,
        spanId: '0000000000000002',
        operationName: 'GET',
        references: [
          { traceId, spanId: '0000000000000001', type: 0 },
          { traceId, spanId: '0000000000000009', type: 1 },
        ],
        flags: 1,
        startTime: { seconds: 1_700_000_000, nanos: 1000 },
        duration: { nanos: 5000 },
        tags,
        logs: [
          {
            timestamp: { seconds: 1_700_000_000, nanos: 2000 },
            fields: [
              { key: 'event', type: 0, string: 'retry' },
              { key: 'n', type: 2, int: 3 },
            ],
          },
        ],
      },
    ],
    process: { serviceName: 'shop', tags: processTags },
  },
}

/** The span as OTLP's JSON has it. */
const shown = [
  {
    resource: {
      attributes: [
        { key: 'service.name', value: { stringValue: 'shop' } },
        { key: 'host.name', value: { stringValue: 'h1' } },
        { key: 'telemetry.exporter.version', value: { stringValue: 'Jaeger-Go-2' } },
      ],
    },
    scopeSpans: [
      {
        scope: { name: 'lib' },
        spans: [
          {
            traceId: Buffer.from(traceId, 'hex').toString('base64'),
            spanId: 'AAAAAAAAAAI=',
            parentSpanId: 'AAAAAAAAAAE=',
            flags: 1,
            name: 'GET',
            kind: 'SPAN_KIND_CLIENT',
            startTimeUnixNano: '1700000000000001000',
            endTimeUnixNano: '1700000000000006000',
            attributes: [
              { key: 'http.status_code', value: { intValue: '404' } },
              { key: 'ok', value: { boolValue: true } },
              { key: 'half', value: { doubleValue: 0.5 } },
            ],
            events: [
              {
                timeUnixNano: '1700000000000002000',
                name: 'retry',
                attributes: [{ key: 'n', value: { intValue: '3' } }],
              },
            ],
            links: [
              {
                traceId: Buffer.from(traceId, 'hex').toString('base64'),
                spanId: 'AAAAAAAAAAk=',
                attributes: [{ key: 'opentracing.ref_type', value: { stringValue: 'follows_from' } }],
              },
            ],
            status: { code: 'STATUS_CODE_ERROR' },
          },
        ],
      },
    ],
  },
]

/** A value of Thrift's binary protocol: a struct is a map by field number. */
type Thrift = string | number | bigint | boolean | { double: number } | Thrift[] | Map<number, Thrift>

const typeOf = (value: Thrift): number =>
  typeof value === 'boolean'
    ? 2
    : typeof value === 'number'
      ? 8
      : typeof value === 'bigint'
        ? 10
        : typeof value === 'string'
          ? 11
          : Array.isArray(value)
            ? 15
            : value instanceof Map
              ? 12
              : 4

function writeThrift(out: ByteWriter, value: Thrift): void {
  if (typeof value === 'boolean') out.writeU8(value ? 1 : 0)
  else if (typeof value === 'number') out.writeU32(value)
  else if (typeof value === 'bigint') {
    out.reserve(8)
    out.view.setBigInt64(out.at, value)
    out.at += 8
  } else if (typeof value === 'string') {
    out.writeU32(Buffer.byteLength(value))
    out.writeBytes(Buffer.from(value))
  } else if (Array.isArray(value)) {
    out.writeU8(value.length === 0 ? 12 : typeOf(value[0]!))
    out.writeU32(value.length)
    for (const one of value) writeThrift(out, one)
  } else if (value instanceof Map) {
    for (const [field, one] of value) {
      out.writeU8(typeOf(one))
      out.writeU16(field)
      writeThrift(out, one)
    }
    out.writeU8(0)
  } else out.writeF64(value.double)
}

function thriftTag(t: {
  key: string
  type: number
  string?: string
  bool?: boolean
  int?: number
  double?: number
}): Thrift {
  // Protobuf numbers the types in another order.
  const fields = new Map<number, Thrift>([
    [1, t.key],
    [2, [0, 2, 3, 1, 4][t.type]!],
  ])
  if (t.string !== undefined) fields.set(3, t.string)
  if (t.double !== undefined) fields.set(4, { double: t.double })
  if (t.bool !== undefined) fields.set(5, t.bool)
  if (t.int !== undefined) fields.set(6, BigInt(t.int))
  return fields
}

function thriftBatch(): Uint8Array {
  const out = new ByteWriter()
  const ids = (spanId: bigint, type: number): Map<number, Thrift> =>
    new Map<number, Thrift>([
      [1, type],
      [2, 255n],
      [3, 1n],
      [4, spanId],
    ])
  const event = [
    { key: 'event', type: 0, string: 'retry' },
    { key: 'n', type: 2, int: 3 },
  ]
  writeThrift(
    out,
    new Map<number, Thrift>([
      [
        1,
        new Map<number, Thrift>([
          [1, 'shop'],
          [2, processTags.map(thriftTag)],
        ]),
      ],
      [
        2,
        [
          new Map<number, Thrift>([
            [1, 255n],
            [2, 1n],
            [3, 2n],
            [4, 1n],
            [5, 'GET'],
            [6, [ids(1n, 0), ids(9n, 1)]],
            [7, 1],
            [8, 1_700_000_000_000_001n],
            [9, 5n],
            [10, tags.map(thriftTag)],
            [
              11,
              [
                new Map<number, Thrift>([
                  [1, 1_700_000_000_000_002n],
                  [2, event.map(thriftTag)],
                ]),
              ],
            ],
          ]),
        ],
      ],
    ]),
  )
  return out.copy()
}

test('a batch in protobuf and in Thrift is the same trace', () => {
  assert.deepEqual(traceToJson(decodePostSpansRequest(protobuf(request, message))), shown)
  assert.deepEqual(traceToJson(decodeJaegerThrift(thriftBatch())), shown)
})

test('tags that are fields of spans, and those that only look like it', () => {
  const cases: [tags: object[], member: string, value: unknown][] = [
    [[{ key: 'span.kind', string: 'constructor' }], 'kind', undefined],
    [[{ key: 'error', type: 1, bool: true }], 'status', { code: 'STATUS_CODE_ERROR' }],
    [[{ key: 'error', type: 1, bool: false }], 'status', {}],
    [[{ key: 'error', string: 'timeout' }], 'attributes', [{ key: 'error', value: { stringValue: 'timeout' } }]],
    [
      [
        { key: 'otel.status_code', string: 'OK' },
        { key: 'otel.status_description', string: 'fine' },
      ],
      'status',
      { message: 'fine', code: 'STATUS_CODE_OK' },
    ],
    [[{ key: 'w3c.tracestate', string: 'a=b' }], 'traceState', 'a=b'],
    [[{ key: 'b', type: 4, binary: '0102' }], 'attributes', [{ key: 'b', value: { bytesValue: 'AQI=' } }]],
  ]
  for (const [own, member, value] of cases) {
    const bytes = protobuf(request, { batch: { spans: [{ tags: own }] } })
    const [resource] = traceToJson(decodePostSpansRequest(bytes)) as unknown as typeof shown
    const [read] = resource!.scopeSpans[0]!.spans as unknown as Record<string, unknown>[]
    assert.deepEqual(read![member], value, JSON.stringify(own))
  }
})

test('a process of its own, and warnings', () => {
  const spans = [{ operationName: 'a', process: { serviceName: 'other' }, warnings: ['late'] }, { operationName: 'b' }]
  const bytes = protobuf(request, { batch: { spans, process: { serviceName: 'shop' } } })
  const { resources } = decodePostSpansRequest(bytes)
  assert.deepEqual(
    resources.map(r => r.resource.attributes[0]!.value),
    [
      { kind: 'string', value: 'other' },
      { kind: 'string', value: 'shop' },
    ],
  )
  assert.equal(resources[0]!.scopes[0]!.spans[0]!.attributes[0]!.key, 'jaeger.warnings')
})

test('damaged bodies', () => {
  const errors = [CorruptDataError]
  checkDamage(protobuf(request, message), bytes => encodeOtlpTraces(decodePostSpansRequest(bytes)), {
    errors,
    refusesCuts: 'protobuf',
  })
  checkDamage(thriftBatch(), bytes => encodeOtlpTraces(decodeJaegerThrift(bytes)), { errors, refusesCuts: 'always' })
})

test('lists of lists without end are refused', () => {
  const lists = Buffer.alloc(500_000 * 5)
  for (let i = 0; i < lists.length; i += 5) lists.set([15, 0, 0, 0, 1], i)
  assert.throws(() => decodeJaegerThrift(Buffer.concat([Buffer.from([15, 0, 1]), lists])), {
    name: 'CorruptDataError',
    message: /nested more than 16 deep/,
  })
})

test('texts that are no UTF-8 get U+FFFD, in protobuf and in Thrift', () => {
  const bad = (bytes: Uint8Array): Buffer =>
    Buffer.from(
      Buffer.from(bytes).toString('latin1').replaceAll('GET', 'G\u00fcT').replaceAll('CLIENT', 'CLIEN\u00ff'),
      'latin1',
    )
  for (const [form, trace] of [
    ['protobuf', decodePostSpansRequest(bad(protobuf(request, message)))],
    ['Thrift', decodeJaegerThrift(bad(thriftBatch()))],
  ] as const)
    assert.ok(JSON.stringify(traceToJson(trace)).includes('G\ufffdT'), form)
})

test('protobuf: a span that can not be read costs itself', () => {
  const one = (name: string): Message => ({ traceId, spanId: '0000000000000002', operationName: name })
  const bytes = Buffer.from(protobuf(request, { batch: { spans: [one('one'), one('bad'), one('two')] } }))
  bytes[bytes.indexOf('bad') - 2] = 0x1b
  const spans = decodePostSpansRequest(bytes).resources.flatMap(r => r.scopes.flatMap(s => s.spans))
  assert.deepEqual(spans.map(s => (s.problem === undefined ? s.name : 'problem')).sort(), ['one', 'problem', 'two'])
})
