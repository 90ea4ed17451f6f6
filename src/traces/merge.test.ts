import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import type { Span, Trace } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import { mergeRows } from './merge.ts'
import { defaultDedicated, layoutOf } from './schema.ts'
import { TraceShredder, type RowSource } from './shred.ts'

const layout = layoutOf('vParquet5', defaultDedicated)
const pause = (): Promise<void> => Promise.resolve()
const idOf = (number: number, size: number): Uint8Array => {
  const id = new Uint8Array(size)
  new DataView(id.buffer).setUint32(size - 4, number)
  return id
}

function traceOf(number: number, spans: readonly number[]): Trace {
  return {
    resources: [
      {
        resource: { attributes: [{ key: 'service.name', value: { kind: 'string', value: 'shop' } }], dropped: 0 },
        schemaUrl: '',
        scopes: [
          {
            scope: { name: 'lib', version: '', attributes: [], dropped: 0 },
            schemaUrl: '',
            spans: spans.map((s): Span => ({
              traceId: idOf(number, 16),
              spanId: idOf(s, 8),
              parentSpanId: new Uint8Array(0),
              traceState: '',
              flags: 0,
              name: `span ${s}`,
              kind: 2,
              startNs: 1000n,
              endNs: 2000n,
              attributes: s % 2 === 0 ? [] : [{ key: 'odd', value: { kind: 'int', value: BigInt(s) } }],
              droppedAttributes: 0,
              events: [],
              droppedEvents: 0,
              links: [],
              droppedLinks: 0,
              statusCode: 0,
              statusMessage: '',
            })),
          },
        ],
      },
    ],
  }
}

/** Rows of traces, by number: their spans. */
function sourceOf(traces: Readonly<Record<number, readonly number[]>>): RowSource {
  const shredder = new TraceShredder(layout)
  for (const [number, spans] of Object.entries(traces))
    shredder.add(idOf(Number(number), 16), traceOf(Number(number), spans))
  return { rows: shredder.rows, columns: shredder.builders.map(b => b.data()) }
}

/** Trace and names of its spans, by row, of every group. */
async function merge(sources: readonly RowSource[]): Promise<[trace: number, spans: string[]][]> {
  const out: [number, string[]][] = []
  await mergeRows(
    sources,
    layout,
    (group, ids) => {
      const assembler = new RowAssembler(
        group.builders.map(b => b.data()),
        layout.dedicated,
      )
      assert.equal(group.rows, ids.length)
      ids.forEach((id, row) => {
        const read = assembler.row(row)
        assert.deepEqual(read.id, id)
        const spans = read.trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans))
        for (const span of spans)
          assert.equal(span.attributes.length, Number(span.name.slice(5)) % 2, `attributes of ${span.name}`)
        out.push([Buffer.from(id).readUInt32BE(12), spans.map(s => s.name.slice(5)).sort()])
      })
    },
    pause,
  )
  return out
}

test('rows of all sources come in order of trace id', async () => {
  assert.deepEqual(await merge([sourceOf({ 3: [30], 7: [70] }), sourceOf({ 1: [10, 11], 5: [50] })]), [
    [1, ['10', '11']],
    [3, ['30']],
    [5, ['50']],
    [7, ['70']],
  ])
})

test('a trace that several sources have becomes one row, each of its spans once', async () => {
  assert.deepEqual(await merge([sourceOf({ 3: [30, 31] }), sourceOf({ 3: [31, 32], 4: [40] })]), [
    [3, ['30', '31', '32']],
    [4, ['40']],
  ])
})

test('nothing to merge makes no group', async () => {
  assert.deepEqual(await merge([]), [])
  assert.deepEqual(await merge([sourceOf({})]), [])
})

test('random traces over several sources: every span is there once', async () => {
  const random = seededRandom(31)
  const wanted = new Map<number, Set<string>>()
  const sources = Array.from({ length: 5 }, () => {
    const traces: Record<number, number[]> = {}
    for (let i = 0; i < 120; i++) {
      const number = 1 + below(random, 300)
      const spans = Array.from({ length: 1 + below(random, 4) }, () => below(random, 50))
      traces[number] = [...new Set(spans)]
    }
    for (const [number, spans] of Object.entries(traces))
      for (const span of spans) wanted.set(Number(number), (wanted.get(Number(number)) ?? new Set()).add(String(span)))
    return sourceOf(traces)
  })
  assert.deepEqual(
    await merge(sources),
    [...wanted].sort((a, b) => a[0] - b[0]).map(([number, spans]) => [number, [...spans].sort()]),
  )
})
