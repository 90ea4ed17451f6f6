/** Traces into rows and back. Rules: docs/formats/tempo-block.md. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom, type Random } from '#core/random.ts'
import type { AnyValue, Attribute, Resource, Scope, Span, Trace } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import { defaultDedicated, layoutOf, type BlockFormat } from './schema.ts'
import { TraceShredder } from './shred.ts'

const bytes = (random: Random, count: number): Uint8Array => Uint8Array.from(random.bytes(count), b => b | 1)
const text = (random: Random): string =>
  ['', 'x', 'checkout', 'größe', '\u{1F600}', '"quoted"', 'a'.repeat(300)][below(random, 7)]!

/** Every kind of value that a column or JSON holds. */
const values: readonly ((random: Random) => AnyValue)[] = [
  random => ({ kind: 'string', value: text(random) }),
  random => ({ kind: 'int', value: BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32())) }),
  random => ({ kind: 'double', value: [0, -1.5, 1e300, Infinity, NaN][below(random, 5)]! }),
  random => ({ kind: 'bool', value: below(random, 2) === 0 }),
  random => ({ kind: 'array', values: [text(random), text(random)].map(value => ({ kind: 'string', value })) }),
  random => ({ kind: 'array', values: [1n, BigInt(random.u32())].map(value => ({ kind: 'int', value })) }),
  () => ({ kind: 'array', values: [0.5, -2].map(value => ({ kind: 'double', value })) }),
  () => ({ kind: 'array', values: [true, false].map(value => ({ kind: 'bool', value })) }),
  () => ({
    kind: 'array',
    values: [
      { kind: 'string', value: 'mixed' },
      { kind: 'int', value: 7n },
    ],
  }),
  random => ({ kind: 'map', entries: [{ key: 'inner', value: { kind: 'string', value: text(random) } }] }),
  random => ({ kind: 'bytes', value: bytes(random, 5) }),
]

function attributes(random: Random, dedicated: readonly string[]): Attribute[] {
  const list: Attribute[] = []
  for (let i = below(random, 6); i > 0; i--)
    list.push({ key: `key.${list.length}`, value: values[below(random, values.length)]!(random) })
  for (const key of dedicated) {
    // A value of another kind than its column's stands among the others.
    const make = values[below(random, 4)]!
    if (below(random, 2) === 0) list.push({ key, value: make(random) })
  }
  return list
}

function span(random: Random, traceId: Uint8Array, parent: Uint8Array): Span {
  const startNs = 1_700_000_000_000_000_000n + BigInt(below(random, 1e9))
  return {
    traceId,
    spanId: bytes(random, 8),
    parentSpanId: parent,
    traceState: text(random),
    flags: 0,
    name: text(random),
    kind: below(random, 6),
    startNs,
    endNs: startNs + BigInt(below(random, 1e9)),
    attributes: attributes(random, ['http.method', 'http.response.status_code', 'http.url']),
    droppedAttributes: below(random, 3),
    events: Array.from({ length: below(random, 3) }, () => ({
      timeNs: startNs + BigInt(below(random, 1e6)),
      name: text(random),
      attributes: attributes(random, []),
      dropped: below(random, 3),
    })),
    droppedEvents: below(random, 3),
    links: Array.from({ length: below(random, 3) }, () => ({
      traceId: bytes(random, 16),
      spanId: bytes(random, 8),
      traceState: text(random),
      attributes: attributes(random, []),
      dropped: below(random, 3),
      flags: 0,
    })),
    droppedLinks: below(random, 3),
    statusCode: below(random, 3),
    statusMessage: text(random),
  }
}

function trace(random: Random, id: Uint8Array): Trace {
  let parent: Uint8Array = new Uint8Array(0)
  const spans = (): Span[] =>
    Array.from({ length: 1 + below(random, 4) }, () => {
      const one = span(random, id, parent)
      parent = one.spanId
      return one
    })
  return {
    resources: Array.from({ length: 1 + below(random, 2) }, (_, r) => ({
      resource: {
        attributes: [
          { key: 'service.name', value: { kind: 'string', value: `service ${r}` } },
          ...attributes(random, ['k8s.pod.name', 'k8s.namespace.name']),
        ],
        dropped: below(random, 3),
      },
      schemaUrl: '',
      scopes: Array.from({ length: 1 + below(random, 2) }, (_v, s) => ({
        scope: { name: `lib ${s}`, version: text(random), attributes: attributes(random, []), dropped: 0 },
        schemaUrl: '',
        spans: spans(),
      })),
    })),
  }
}

/** Values as text; attributes by key: a column of its own takes an attribute out of its place in the list. */
function shownValue(value: AnyValue): string {
  switch (value.kind) {
    case 'array':
      return `[${value.values.map(shownValue).join(', ')}]`
    case 'map':
      return `{${shownList(value.entries).join(', ')}}`
    case 'bytes':
      return `bytes ${hex(value.value)}`
    case 'none':
      return 'none'
    default:
      return `${value.kind} ${value.value}`
  }
}
const shownList = (list: readonly Attribute[]): string[] => list.map(a => `${a.key}=${shownValue(a.value)}`).sort()
const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex')

function shown({ resources }: Trace): unknown {
  const one = ({ attributes: list, dropped }: Resource | Scope): unknown => [shownList(list), dropped]
  return resources.map(({ resource, scopes }) => [
    one(resource),
    scopes.map(({ scope, spans }) => [
      scope.name,
      scope.version,
      one(scope),
      spans.map(s => ({
        ...s,
        traceId: hex(s.traceId),
        spanId: hex(s.spanId),
        parentSpanId: hex(s.parentSpanId),
        attributes: shownList(s.attributes),
        events: s.events.map(e => ({ ...e, attributes: shownList(e.attributes) })),
        links: s.links.map(l => ({
          ...l,
          traceId: hex(l.traceId),
          spanId: hex(l.spanId),
          attributes: shownList(l.attributes),
        })),
      })),
    ]),
  ])
}

for (const format of ['vParquet5', 'vParquet4'] satisfies BlockFormat[]) {
  test(`${format}: random traces with values of every kind come back as they were`, () => {
    const random = seededRandom(21)
    const layout = layoutOf(format, defaultDedicated)
    const shredder = new TraceShredder(layout)
    const traces = Array.from({ length: 200 }, () => {
      const id = bytes(random, 16)
      return { id, trace: trace(random, id) }
    })
    for (const { id, trace: one } of traces) shredder.add(id, one)
    assert.equal(shredder.rows, 200)
    const assembler = new RowAssembler(
      shredder.builders.map(b => b.data()),
      layout.dedicated,
    )
    traces.forEach(({ id, trace: one }, row) => {
      const read = assembler.row(row)
      assert.equal(hex(read.id), hex(id))
      assert.deepEqual(shown(read.trace), shown(one), `row ${row}`)
    })
  })

  test(`${format}: a shredder that was reset holds nothing of before`, () => {
    const layout = layoutOf(format, defaultDedicated)
    const used = new TraceShredder(layout)
    const fresh = new TraceShredder(layout)
    const id = bytes(seededRandom(22), 16)
    used.add(id, trace(seededRandom(23), id))
    used.reset()
    for (const shredder of [used, fresh]) shredder.add(id, trace(seededRandom(24), id))
    const dataOf = (shredder: TraceShredder): unknown =>
      new RowAssembler(
        shredder.builders.map(b => b.data()),
        layout.dedicated,
      ).row(0)
    assert.deepEqual(dataOf(used), dataOf(fresh))
  })
}
