/** Zipkin's JSON. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { checkDamage } from '../../../test/damage.ts'
import { encodeOtlpTraces, traceToJson } from '../otlp/traces.ts'
import { parseZipkinJson as parseZipkinJsonBytes } from './spans.ts'

const parseZipkinJson = (source: string) => parseZipkinJsonBytes(Buffer.from(source))

const spans = [
  {
    traceId: '00000000000000ff',
    id: '2',
    parentId: '0000000000000001',
    kind: 'SERVER',
    name: 'get',
    timestamp: 1_700_000_000_000_001,
    duration: 5,
    localEndpoint: { serviceName: 'shop', ipv4: '10.0.0.1', port: 80 },
    remoteEndpoint: { serviceName: 'web', ipv6: '::1' },
    annotations: [{ timestamp: 1_700_000_000_000_002, value: 'retry' }],
    tags: { 'http.method': 'GET', error: 'timeout', n: 3 },
  },
  { traceId: 'f'.repeat(32), id: '3', kind: 'constructor', localEndpoint: { serviceName: 'web' } },
]

test('numbers of tags keep their text, and times all their digits', () => {
  const source =
    '[{"traceId":"1","id":"2","timestamp":1795883460123456.0,"duration":1e3,"tags":{"n":9007199254740993,"f":1.50}}]'
  const [span] = parseZipkinJson(source).resources[0]!.scopes[0]!.spans
  assert.deepEqual(
    [span!.startNs, span!.endNs, span!.attributes.map(a => a.value)],
    [
      1_795_883_460_123_456_000n,
      1_795_883_460_124_456_000n,
      [
        { kind: 'string', value: '9007199254740993' },
        { kind: 'string', value: '1.50' },
      ],
    ],
  )
})

test('spans by service, with Zipkin’s fields as attributes', () => {
  const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } })
  assert.deepEqual(traceToJson(parseZipkinJson(JSON.stringify(spans))), [
    {
      resource: { attributes: [text('service.name', 'shop')] },
      scopeSpans: [
        {
          scope: {},
          spans: [
            {
              traceId: 'AAAAAAAAAAAAAAAAAAAA/w==',
              spanId: 'AAAAAAAAAAI=',
              parentSpanId: 'AAAAAAAAAAE=',
              name: 'get',
              kind: 'SPAN_KIND_SERVER',
              startTimeUnixNano: '1700000000000001000',
              endTimeUnixNano: '1700000000000006000',
              attributes: [
                text('http.method', 'GET'),
                text('error', 'timeout'),
                text('n', '3'),
                text('net.host.ip', '10.0.0.1'),
                { key: 'net.host.port', value: { intValue: '80' } },
                text('net.peer.ip', '::1'),
                text('peer.service', 'web'),
              ],
              events: [{ timeUnixNano: '1700000000000002000', name: 'retry' }],
              status: { message: 'timeout', code: 'STATUS_CODE_ERROR' },
            },
          ],
        },
      ],
    },
    {
      resource: { attributes: [text('service.name', 'web')] },
      scopeSpans: [
        {
          scope: {},
          spans: [
            {
              traceId: '/////////////////////w==',
              spanId: 'AAAAAAAAAAM=',
              kind: 'SPAN_KIND_INTERNAL',
              startTimeUnixNano: '0',
              endTimeUnixNano: '0',
              status: {},
            },
          ],
        },
      ],
    },
  ])
})

test('what is refused', () => {
  const cases: [source: string, problem: RegExp][] = [
    ['{', /^the body is not JSON: /],
    ['{}', /^the body is no array of spans$/],
  ]
  for (const [source, message] of cases)
    assert.throws(() => parseZipkinJson(source), { name: 'BadDataError', message }, source)
})

test('a span that can not be read costs itself', () => {
  const cases: [span: string, problem: RegExp][] = [
    ['{}', /^traceId undefined is no id: 16 or 32 hexadecimal digits were expected$/],
    ['5', /^traceId undefined is no id/],
    ['{"traceId":"xyz","id":"1"}', /^traceId "xyz" is no id/],
    ['{"traceId":"1","id":"12345678901234567"}', /^id "12345678901234567" is no id: 16 hexadecimal/],
    ['{"traceId":"1","id":"1","parentId":"x"}', /^parentId "x" is no id/],
  ]
  for (const [span, problem] of cases) {
    const trace = parseZipkinJson(`[{"traceId":"1","id":"2"},${span},{"traceId":"1","id":"3"}]`)
    const read = trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans))
    assert.deepEqual(
      read.map(s => s.problem === undefined),
      [true, false, true],
    )
    assert.match(read[1]!.problem!, problem)
  }
})

test('damaged bodies', () => {
  const parse = (bytes: Uint8Array): unknown => encodeOtlpTraces(parseZipkinJson(Buffer.from(bytes).toString()))
  checkDamage(Buffer.from(JSON.stringify(spans)), parse, { errors: [BadDataError], refusesCuts: 'always' })
})

test('both halves of a call that have one id are two spans', () => {
  const source = JSON.stringify([
    { traceId: 'f1', id: 'f1', name: 'in', kind: 'SERVER', localEndpoint: { serviceName: 'front' } },
    { traceId: 'f1', parentId: 'f1', id: 'a1', name: 'call', kind: 'CLIENT', localEndpoint: { serviceName: 'front' } },
    {
      traceId: 'f1',
      parentId: 'f1',
      id: 'a1',
      name: 'serve',
      kind: 'SERVER',
      shared: true,
      localEndpoint: { serviceName: 'back' },
    },
    { traceId: 'f1', parentId: 'a1', id: 'a2', name: 'db', localEndpoint: { serviceName: 'back' } },
    { traceId: 'f1', parentId: 'a1', id: 'a3', name: 'own', localEndpoint: { serviceName: 'front' } },
  ])
  const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex')
  const read = (): Map<string, { id: string; parent: string }> =>
    new Map(
      parseZipkinJson(source).resources.flatMap(r =>
        r.scopes[0]!.spans.map(s => [s.name, { id: hex(s.spanId), parent: hex(s.parentSpanId) }] as const),
      ),
    )
  const of = read()
  assert.equal(new Set([...of.values()].map(s => s.id)).size, 5)
  assert.equal(of.get('serve')!.parent, of.get('call')!.id)
  assert.equal(of.get('db')!.parent, of.get('serve')!.id)
  assert.equal(of.get('own')!.parent, of.get('call')!.id)
  assert.equal(of.get('call')!.parent, of.get('in')!.id)
  assert.deepEqual(read(), of, 'a span that is sent again has the same id')
})
