/** What a thread without heads is told of the traces in memory: all of one moment, and nothing twice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import type { Span } from '#model/trace.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { tracesView } from '../../test/distant-views.ts'
import { BlockList } from './block-list.ts'
import { TracesDoor, type DistantTracesPlan } from './door.ts'
import { Head } from './head.ts'
import { defaultDedicated, layoutOf } from './schema.ts'
import type { TraceRows } from './select.ts'
import { stageSpans } from './staged-spans.ts'

const layout = layoutOf('vParquet5', defaultDedicated)
const all = { tenant: 'a', fromMs: 0, throughMs: 1e15, known: [] }

function makeMemory(pause: () => Promise<void> = () => Promise.resolve()) {
  const clock = new VirtualClock(1_000_000)
  const bucket = new MemoryBucket(clock)
  const head = new Head('a', layout, decodeSpan)
  const list = new BlockList(bucket, silentLog, clock)
  const door = new TracesDoor({
    memory: tenant => ({ tenant, waiting: () => [], head: () => (tenant === 'a' ? head : undefined), list }),
    requireReadable: () => {},
    notJoined: () => undefined,
    pause,
  })
  return { clock, bucket, head, door }
}

let nextSpan = 1

function spanOf(trace: number): Span {
  const id = (n: number, size: number): Uint8Array => {
    const bytes = new Uint8Array(size)
    new DataView(bytes.buffer).setUint32(size - 4, n + 1)
    return bytes
  }
  const none = { droppedAttributes: 0, droppedEvents: 0, droppedLinks: 0, attributes: [], events: [], links: [] }
  const ids = { traceId: id(trace, 16), spanId: id(nextSpan++, 8), parentSpanId: new Uint8Array(0), traceState: '' }
  return { ...ids, ...none, flags: 0, name: 'a', kind: 2, startNs: 1n, endNs: 2n, statusCode: 0, statusMessage: '' }
}

/** Shows spans of these traces, one each. */
function show(head: Head, ...traces: readonly number[]): void {
  const spans = traces.map(spanOf)
  const resource = { attributes: [], dropped: 0 }
  const scope = { name: 's', version: '', attributes: [], dropped: 0 }
  const message = encodeOtlpTraces({
    resources: [{ resource, schemaUrl: '', scopes: [{ scope, schemaUrl: '', spans }] }],
  })
  head.show(
    stageSpans(decodeOtlpTraces(message, true), message, () => true),
    0,
  )
}

test('live traces that the asker has are not sent again, those that changed are', async () => {
  const { head, door } = makeMemory()
  show(head, 1, 2)
  const ask = (knownLive?: number): Promise<DistantTracesPlan> => door.plan({ ...all, knownLive })
  const first = await ask()
  assert.equal(first.live?.count, 2)
  assert.equal((await ask(first.liveState)).live, undefined)
  show(head, 3)
  const second = await ask(first.liveState)
  assert.equal(second.live?.count, 3)
  await head.setIdleAside(Infinity, Infinity, () => Promise.resolve())
  const third = await ask(second.liveState)
  assert.equal(third.live?.count, 0)
  assert.equal(third.segments[0]!.traces.count, 3)
  const nobody = await door.plan({ ...all, tenant: 'b', knownLive: third.liveState })
  assert.equal(nobody.liveState, undefined)
})

test('spans and traces that come while traces are packed do not show', async () => {
  const paused: (() => void)[] = []
  const { head, door } = makeMemory(() => new Promise(resolve => paused.push(resolve)))
  show(head, ...Array.from({ length: 600 }, (_, i) => i))
  const planned = door.plan({ ...all, knownLive: undefined })
  while (paused.length === 0) await Promise.resolve()
  show(head, ...Array.from({ length: 700 }, (_, i) => i))
  await head.setIdleAside(Infinity, Infinity, () => Promise.resolve())
  let isPlanned = false
  void planned.then(() => {
    isPlanned = true
  })
  let pauses = 0
  while (!isPlanned) {
    pauses += paused.splice(0).map(go => {
      go()
    }).length
    await new Promise(setImmediate)
  }
  const { live, segments } = await planned
  assert.deepEqual(segments, [])
  assert.equal(live!.count, 600)
  assert.equal(live!.rangesFrom.at(-1), 1200)
  assert.ok(pauses >= 4, `${pauses} pauses`)
})

test('a view lays live traces out once, and again when they have changed', async () => {
  const { head, door, clock, bucket } = makeMemory()
  const view = tracesView(door, layout, { clock, files: new MemoryFiles(), bucket })
  const select = (): Promise<readonly TraceRows[]> => view.reader('a').select(0, 1e15)
  const names = ['RootSpanName']
  const columnsOf = async (rows: readonly TraceRows[]): Promise<ColumnData[]> =>
    Promise.all(rows.map(async one => (await one.columns(names)).get(names[0]!)!))
  show(head, 1)
  const first = await select()
  assert.deepEqual(
    first.map(({ rows }) => rows),
    [1],
  )
  const [laidOut] = await columnsOf(first)
  assert.ok(laidOut !== undefined)
  assert.equal((await columnsOf(await select()))[0], laidOut)
  show(head, 1, 2)
  assert.deepEqual(
    (await select()).map(({ rows }) => rows),
    [2],
  )
  await head.setIdleAside(Infinity, Infinity, () => Promise.resolve())
  show(head, 3)
  assert.deepEqual((await select()).map(({ rows }) => rows).toSorted(), [1, 2])
})
