/** Memory as queries get it: laid out and packed a little at a time, while traces are set aside and get more spans. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { Omissions } from '#core/omissions.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { decodeOtlpFrames, decodeOtlpTraces, decodeSpan } from '#wire/otlp/traces.ts'
import { tracesRequest } from '../../test/otlp-schema.ts'
import { protobuf } from '../../test/protobuf.ts'
import { BlockList } from './block-list.ts'
import { BlockReader } from './block-reader.ts'
import { unpackTraces } from './carried-traces.ts'
import { TracesDoor } from './door.ts'
import { Head } from './head.ts'
import { HeadSource } from './head-source.ts'
import { defaultDedicated, layoutOf } from './schema.ts'
import { stageSpans } from './staged-spans.ts'

const clock = new VirtualClock(1_700_000_000_000)
const bucket = new MemoryBucket(clock, new MemoryFiles())
const layout = layoutOf('vParquet5', defaultDedicated)
const list = new BlockList(bucket, silentLog, clock)
const hex = (n: number, digits: number): string => (n + 2 ** 32).toString(16).padStart(digits, '0')
const nothing = (): Promise<void> => Promise.resolve()

/** A span of each of these traces. */
function show(head: Head, from: number, to: number, spanNumber = 1): void {
  const spans = Array.from({ length: to - from }, (_, i) => ({
    traceId: hex(from + i, 32),
    spanId: hex(spanNumber, 16),
    name: 'n',
  }))
  const message = protobuf(tracesRequest, { resourceSpans: [{ scopeSpans: [{ spans }] }] })
  head.show(
    stageSpans(decodeOtlpTraces(message, true), message, () => true),
    clock.nowMs(),
  )
}

/** 1,500 traces that are set aside, 3,000 live ones; at the `at`th pause all are set aside, and others come. */
function world(at: number) {
  const head = new Head('t', layout, decodeSpan)
  let pauses = 0
  const pause = async (): Promise<void> => {
    if (++pauses !== at) return
    show(head, 2000, 3000, 2)
    await head.setIdleAside(Infinity, Infinity, nothing)
    show(head, 9000, 9500)
  }
  const prepare = async (): Promise<void> => {
    show(head, 0, 1500)
    await head.setIdleAside(Infinity, Infinity, nothing)
    show(head, 1500, 4500)
  }
  const memory = { tenant: 't', waiting: () => [], head: () => head, list }
  return { head, memory, pause, prepare, pauses: () => pauses }
}

test('rows are those of one instant, each trace once, whatever is set aside while they are laid out', async () => {
  for (const at of [1, 2, 3, 10, 100]) {
    const { head, memory, pause, prepare, pauses } = world(at)
    await prepare()
    const source = new HeadSource({ ...memory, blocks: new BlockReader(bucket, 1000), layout, pause })
    const { memory: rows } = await source.plan(-Infinity, Infinity, new Omissions())
    assert.ok(pauses() >= at, `${pauses()} pauses`)
    assert.equal(
      rows.reduce((sum, one) => sum + one.rows, 0),
      4500,
      `at ${at}`,
    )
    assert.equal(head.live.size, 500)
    const { memory: later } = await source.plan(-Infinity, Infinity, new Omissions())
    assert.equal(
      later.reduce((sum, one) => sum + one.rows, 0),
      5000,
    )
  }
})

test('live traces that did not change are laid out once', async () => {
  const { memory, prepare } = world(0)
  await prepare()
  const source = new HeadSource({ ...memory, blocks: new BlockReader(bucket, 1000), layout, pause: nothing })
  const first = await source.plan(-Infinity, Infinity, new Omissions())
  const second = await source.plan(-Infinity, Infinity, new Omissions())
  assert.deepEqual(
    second.memory.map(({ columns }, i) => columns === first.memory[i]!.columns),
    [true, true],
  )
})

test('what another thread gets is of one instant, and packed as it was then', async () => {
  for (const at of [1, 2, 3, 9, 14]) {
    const { memory, pause, prepare, pauses } = world(at)
    await prepare()
    const door = new TracesDoor({ memory: () => memory, pause, requireReadable: () => {}, notJoined: () => undefined })
    const ask = { tenant: 't', fromMs: 0, throughMs: Infinity, known: [], knownLive: undefined }
    const { segments, live } = await door.plan(ask)
    assert.ok(pauses() >= at, `${pauses()} pauses`)
    const traces = [...segments.map(one => one.traces), live!].flatMap(one =>
      unpackTraces(one, decodeOtlpFrames, decodeSpan),
    )
    const ids = traces.map(({ id }) => Buffer.from(id).toString('hex')).sort()
    assert.deepEqual([ids.length, new Set(ids).size, ids.includes(hex(9000, 32))], [4500, 4500, false], `at ${at}`)
    assert.ok(traces.every(({ held }) => held.length > 0))
  }
})
