/** Traces as trees: parts become one; span ids; values as JSON. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#core/random.ts'
import { SpanIds } from './span-ids.ts'
import { attributesFromJson, attributesToJson, bigintOf, valueFromJson, valueToJson } from './trace-json.ts'
import { combineTraces } from './trace-combiner.ts'
import { attributesKey, serviceNameOf, type AnyValue, type Attribute, type Span, type Trace } from './trace.ts'

const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })

function spanOf(name: string, id: number, kind = 1): Span {
  return {
    traceId: new Uint8Array(16),
    spanId: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, id),
    parentSpanId: new Uint8Array(0),
    traceState: '',
    flags: 0,
    name,
    kind,
    startNs: 0n,
    endNs: 0n,
    attributes: [],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
  }
}

const traceOf = (attributes: Attribute[], scope: string, ...spans: Span[]): Trace => ({
  resources: [
    {
      resource: { attributes, dropped: 0 },
      schemaUrl: '',
      scopes: [{ scope: { name: scope, version: '', attributes: [], dropped: 0 }, schemaUrl: '', spans }],
    },
  ],
})

const show = (trace: Trace): string[] =>
  trace.resources.flatMap(r =>
    r.scopes.map(s => `${serviceNameOf(r.resource)}/${s.scope.name}: ${s.spans.map(span => span.name).join(' ')}`),
  )

test('parts of a trace: resources and scopes stand once, spans by id and kind', () => {
  const a = [text('service.name', 'a'), text('x', '1')]
  const parts = [
    traceOf(a, 's', spanOf('one', 1), spanOf('again', 1)),
    traceOf([...a].reverse(), 's', spanOf('two', 2), spanOf('one as a server', 1, 2)),
    traceOf(a, 't', spanOf('three', 3)),
    traceOf([text('service.name', 'b')], 's', spanOf('four', 4, 99), spanOf('four again', 4, 99)),
    traceOf([text('service.name', 'c')], 's', spanOf('nothing new', 1)),
  ]
  assert.deepEqual(show(combineTraces(parts)), ['a/s: one two one as a server', 'a/t: three', 'b/s: four'])
  assert.deepEqual(show(combineTraces([])), [])
})

test('keys of attributes: no order, but kinds and lengths', () => {
  const list = (...values: AnyValue[]): AnyValue => ({ kind: 'array', values })
  const different: Attribute[][] = [
    [text('a', '1')],
    [{ key: 'a', value: { kind: 'int', value: 1n } }],
    [{ key: 'a', value: { kind: 'double', value: 1 } }],
    [{ key: 'a', value: { kind: 'bool', value: true } }],
    [{ key: 'a', value: { kind: 'bytes', value: Uint8Array.of(1) } }],
    [{ key: 'a', value: { kind: 'none' } }],
    [{ key: 'a', value: list({ kind: 'string', value: '1' }) }],
    [{ key: 'a', value: { kind: 'map', entries: [text('1', '')] } }],
    [text('a', '1'), text('b', '2')],
  ]
  assert.equal(new Set(different.map(attributesKey)).size, different.length)
  assert.equal(attributesKey([text('a', '1'), text('b', '2')]), attributesKey([text('b', '2'), text('a', '1')]))
})

test('span ids are numbered as they come, and found again', () => {
  const random = seededRandom(6)
  const ids = new SpanIds()
  const known: Uint8Array[] = []
  for (let round = 0; round < 2; round++) {
    known.length = 0
    for (let i = 0; i < 1000; i++) {
      const id = random.bytes(8)
      assert.equal(ids.find(id), -1)
      assert.equal(ids.add(id), i)
      known.push(id)
    }
    for (const [i, id] of known.entries()) assert.deepEqual([ids.find(id), ids.add(id.slice())], [i, i])
    assert.equal(ids.count, 1000)
    ids.reset()
    assert.deepEqual([ids.count, ids.find(known[0]!)], [0, -1])
  }
})

test('values to JSON and back', () => {
  const attributes: Attribute[] = [
    text('s', 'x'),
    { key: 'b', value: { kind: 'bool', value: false } },
    { key: 'i', value: { kind: 'int', value: -(2n ** 63n) } },
    { key: 'd', value: { kind: 'double', value: 0.5 } },
    { key: 'nan', value: { kind: 'double', value: NaN } },
    { key: 'inf', value: { kind: 'double', value: -Infinity } },
    {
      key: 'a',
      value: {
        kind: 'array',
        values: [
          { kind: 'string', value: 'y' },
          { kind: 'array', values: [] },
        ],
      },
    },
    { key: 'm', value: { kind: 'map', entries: [text('k', 'v')] } },
    { key: 'e', value: { kind: 'map', entries: [] } },
    { key: 'x', value: { kind: 'bytes', value: Buffer.from([1, 2]) } },
    { key: 'n', value: { kind: 'none' } },
  ]
  assert.deepEqual(attributesFromJson(JSON.parse(JSON.stringify(attributesToJson(attributes)))), attributes)
  assert.deepEqual(valueToJson({ kind: 'int', value: 5n }), { intValue: '5' })
})

test('values from JSON: either spelling; what is none is nothing', () => {
  const cases: [json: unknown, value: AnyValue][] = [
    [{ string_value: 'x' }, { kind: 'string', value: 'x' }],
    [{ intValue: 5 }, { kind: 'int', value: 5n }],
    [{ intValue: 'x' }, { kind: 'int', value: 0n }],
    [{ doubleValue: '0.5' }, { kind: 'double', value: 0.5 }],
    [{ doubleValue: {} }, { kind: 'double', value: NaN }],
    [{ stringValue: 5 }, { kind: 'none' }],
    [null, { kind: 'none' }],
    ['x', { kind: 'none' }],
  ]
  for (const [json, value] of cases) assert.deepEqual(valueFromJson(json), value, JSON.stringify(json))
  assert.deepEqual(
    [bigintOf(1.9), bigintOf(NaN), bigintOf('-7'), bigintOf('9'.repeat(30)), bigintOf(null)],
    [1n, 0n, -7n, 0n, 0n],
  )
  let deep: unknown = { stringValue: 'x' }
  for (let i = 0; i < 10_000; i++) deep = { arrayValue: { values: [deep] } }
  assert.equal(valueFromJson(deep).kind, 'array')
})
