/** Which spans a start makes blocks of, by what the log and the bucket have: each is in one block. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Span, Trace } from '#model/trace.ts'
import type { WalRecord } from '#store/wal.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { Replay } from './replay.ts'
import { defaultDedicated, layoutOf } from './schema.ts'
import { blockIdOf, encodeCarried, encodeSpans, recordKind, scopeOf, type BlockContent } from './wal-record.ts'

const tenant = 'a'
const pause = (): Promise<void> => Promise.resolve()
const idOf = (number: number, size: number): Uint8Array => {
  const id = new Uint8Array(size)
  new DataView(id.buffer).setUint32(size - 4, number)
  return id
}

/** A span of a trace; its number is its trace's ten times, and one of ten. */
function spanOf(number: number): Span {
  return {
    traceId: idOf(Math.floor(number / 10), 16),
    spanId: idOf(number, 8),
    parentSpanId: new Uint8Array(0),
    traceState: '',
    flags: 0,
    name: '',
    kind: 2,
    startNs: 1000n,
    endNs: 2000n,
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

function messageOf(numbers: readonly number[]): Uint8Array {
  const trace: Trace = {
    resources: [
      {
        resource: { attributes: [], dropped: 0 },
        schemaUrl: '',
        scopes: [
          {
            scope: { name: '', version: '', attributes: [], dropped: 0 },
            schemaUrl: '',
            spans: numbers.map(spanOf),
          },
        ],
      },
    ],
  }
  return encodeOtlpTraces(trace)
}

type LogRecord = Omit<WalRecord, 'writer'>

const first = { scope: scopeOf('w', 1), lastRecord: 1 }
const second = { scope: scopeOf('w', 2), lastRecord: 4 }
const third = { scope: scopeOf('w', 3), lastRecord: 6 }

/** Trace 1 is idle when the first generation ends, trace 2 has an idle part and goes on, and so does trace 3. */
const records: Record<'first' | 'second' | 'third', LogRecord[]> = {
  first: [
    { number: 0, generation: 1, kind: recordKind.spans, payload: encodeSpans(tenant, messageOf([11, 12, 21])) },
    { number: 1, generation: 1, kind: recordKind.spans, payload: encodeSpans(tenant, messageOf([22, 31])) },
  ],
  second: [
    {
      number: 2,
      generation: 2,
      kind: recordKind.carried,
      payload: encodeCarried(first, 1, tenant, messageOf([22])),
    },
    {
      number: 3,
      generation: 2,
      kind: recordKind.carried,
      payload: encodeCarried(first, 0, tenant, messageOf([31])),
    },
    { number: 4, generation: 2, kind: recordKind.spans, payload: encodeSpans(tenant, messageOf([41])) },
  ],
  third: [
    {
      number: 5,
      generation: 3,
      kind: recordKind.carried,
      payload: encodeCarried(second, 0, tenant, messageOf([31])),
    },
    { number: 6, generation: 3, kind: recordKind.spans, payload: encodeSpans(tenant, messageOf([51])) },
  ],
}
/** By generation and what its block is said to have: spans that a start makes a block of. */
async function blocksOf(log: readonly LogRecord[], bucket: readonly string[] = []): Promise<Record<string, number[]>> {
  const replay = new Replay({
    decode: decodeOtlpTraces,
    decodeSpan,
    layout: layoutOf('vParquet5', defaultDedicated),
    nowMs: () => 0,
    hasBlock: (of, id) => of === tenant && bucket.includes(id),
    isStaged: () => false,
  })
  for (const record of log) replay.read({ ...record, writer: 'w' })
  const names = new Map<string, string>()
  for (const [name, generation] of Object.entries({ first, second, third }))
    for (const content of ['all', 'idle'] as const) names.set(idIn(generation, content), `${name} ${content}`)
  // A bucket that answers late is asked about again: that must change nothing.
  await replay.waiting(pause)
  const found: Record<string, number[]> = {}
  for (const { blockId, segments } of (await replay.waiting(pause)).waiting) {
    const spans = segments
      .flatMap(segment => segment.traces.map(live => segment.rawTree(live)))
      .flatMap(trace => trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans)))
    found[names.get(blockId) ?? blockId] = spans.map(span => Buffer.from(span.spanId).readUInt32BE(4)).toSorted()
  }
  return found
}

function idIn(generation: typeof first, content: BlockContent): string {
  return blockIdOf(generation, tenant, content)
}

const whole = [...records.first, ...records.second, ...records.third]

test('nothing is in the bucket: a span that was carried on is where it went last', async () => {
  assert.deepEqual(await blocksOf(whole), {
    'first idle': [11, 12, 21],
    'second idle': [22, 41],
    'third all': [31, 51],
  })
  assert.deepEqual(await blocksOf(records.first), { 'first all': [11, 12, 21, 22, 31] })
})

test('a process that ended while it carried has carried nothing', async () => {
  assert.deepEqual(await blocksOf([...records.first, records.second[0]!]), { 'first all': [11, 12, 21, 22, 31] })
  assert.deepEqual(await blocksOf([...records.first, records.second[0]!], [idIn(first, 'all')]), {})
})

test('what the bucket has is not made again, whichever of the generations it is', async () => {
  const idle = idIn(first, 'idle')
  assert.deepEqual(await blocksOf(whole, [idle]), { 'second idle': [22, 41], 'third all': [31, 51] })
  assert.deepEqual(await blocksOf(whole, [idIn(second, 'idle')]), { 'first idle': [11, 12, 21], 'third all': [31, 51] })
  assert.deepEqual(await blocksOf(whole, [idIn(third, 'all')]), { 'first idle': [11, 12, 21], 'second idle': [22, 41] })
  assert.deepEqual(await blocksOf(whole, [idle, idIn(second, 'idle'), idIn(third, 'all')]), {})
})

test('the log of a generation that is in blocks is gone: what it carried on is kept', async () => {
  const rest = [...records.second, ...records.third]
  assert.deepEqual(await blocksOf(rest), { 'second idle': [22, 41], 'third all': [31, 51] })
  assert.deepEqual(await blocksOf(records.third), { 'third all': [31, 51] })
})

test('a block of all that a generation had has what was carried on', async () => {
  assert.deepEqual(await blocksOf(records.second, [idIn(first, 'all')]), { 'second all': [41] })
})

test('a block of the idle traces of a generation stands for a carry whose end the log lost', async () => {
  const log = [...records.first, records.second[0]!, records.second[2]!]
  assert.deepEqual(await blocksOf(log, [idIn(first, 'idle')]), { 'second all': [22, 41] })
})
