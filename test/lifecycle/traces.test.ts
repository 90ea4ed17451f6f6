/**
 * Append -> settle -> cut -> compact -> retain, crash and replay, on a disk and a bucket in memory and a clock that is
 * moved by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import type { Span, Trace } from '#model/trace.ts'
import { TracesEngine, type TracesOptions } from '#traces/engine.ts'
import { decodeOtlpTraces, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { TraceMetrics } from '../../src/query/traceql/metrics.ts'
import { TraceSearch } from '../../src/query/traceql/search.ts'
import { driving, makeWorld, openTraces, type World } from '../signal-worlds.ts'

const hourMs = 3_600_000
const startMs = 1_700_006_400_000
let seed = 1
function opened(world: World, options: Partial<TracesOptions> = {}): Promise<TracesEngine> {
  return openTraces(world.clock, {
    ...world,
    random: seededRandom(seed++),
    defaultTenant: 'single-tenant',
    retentionMs: 48 * hourMs,
    ...options,
  })
}

function span(world: World, trace: number, number: number, parent = 0): Span {
  const id = (n: number, size: number): Uint8Array => {
    const bytes = new Uint8Array(size)
    new DataView(bytes.buffer).setUint32(size - 4, n)
    return bytes
  }
  const startNs = BigInt(world.clock.nowMs()) * 1_000_000n
  return {
    traceId: id(trace, 16),
    spanId: id(number, 8),
    parentSpanId: parent === 0 ? new Uint8Array(0) : id(parent, 8),
    traceState: '',
    flags: 0,
    name: `span ${number}`,
    kind: 2,
    startNs,
    endNs: startNs + 1_000_000n,
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
async function append(world: World, engine: TracesEngine, spans: Span[]): Promise<void> {
  const trace: Trace = {
    resources: [
      {
        resource: { attributes: [{ key: 'service.name', value: { kind: 'string', value: 'shop' } }], dropped: 0 },
        schemaUrl: '',
        scopes: [{ scope: { name: 'lib', version: '', attributes: [], dropped: 0 }, schemaUrl: '', spans }],
      },
    ],
  }
  assert.equal(
    (
      await driving(
        world.clock,
        engine.append('single-tenant', decodeOtlpTraces(encodeOtlpTraces(trace), true), encodeOtlpTraces(trace)),
      )
    ).refused,
    0,
  )
}
/** By trace: names of its spans. */
async function all(world: World, engine: TracesEngine, q = '{ }'): Promise<Record<string, string[]>> {
  const parsed = parseTraceql(`${q} | select(name)`)
  assert.equal(parsed.kind, 'search')
  const { traces } = await driving(
    world.clock,
    new TraceSearch(world.clock, defaultLimits).run(
      {
        stages: parsed.kind === 'search' ? parsed.stages : [],
        hints: parsed.hints,
        fromMs: -Infinity,
        throughMs: Infinity,
        limit: 1000,
        spansPerSet: 1000,
      },
      engine.reader('single-tenant'),
    ),
  )
  return Object.fromEntries(
    traces
      .map((t): [string, string[]] => {
        assert.equal(t.sets[0]!.matched, t.sets[0]!.spans.length)
        return [t.id, t.sets[0]!.spans.map(s => s.name!).sort()]
      })
      .sort((a, b) => (a[0] < b[0] ? -1 : 1)),
  )
}
const blocks = (world: World, name: string): string[] =>
  [...world.bucket.objects.keys()].filter(key => key.endsWith(`/${name}`)).sort()
async function maintainFor(world: World, engine: TracesEngine, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 60_000) {
    await world.clock.advance(60_000)
    await driving(world.clock, engine.maintain())
  }
}

test('blocks every five minutes, merged within their hour, gone after their time', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  for (let round = 0; round < 4; round++) {
    // Trace 7 gets a span in every round: its parts meet in the merge.
    await append(world, engine, [
      span(world, 7, 100 + round, round === 0 ? 0 : 100),
      span(world, 10 + round, 200 + round),
    ])
    await maintainFor(world, engine, 360_000)
  }
  const expected = {
    7: ['span 100', 'span 101', 'span 102', 'span 103'],
    a: ['span 200'],
    b: ['span 201'],
    c: ['span 202'],
    d: ['span 203'],
  }
  assert.deepEqual(await all(world, engine), expected)
  await maintainFor(world, engine, 600_000)
  assert.ok(engine.stats().compactions > 0)
  assert.ok(blocks(world, 'meta.json').length < 4, String(blocks(world, 'meta.json')))
  assert.deepEqual(await all(world, engine), expected)
  assert.deepEqual(await all(world, engine, '{ name = "span 100" } > { }'), { 7: ['span 101', 'span 102', 'span 103'] })
  const found = await engine
    .reader('single-tenant')
    .find(Uint8Array.from([...new Uint8Array(15), 7]), -Infinity, Infinity)
  assert.equal(found!.resources[0]!.scopes[0]!.spans.length, 4)
  // What was merged away is deleted an hour later.
  await maintainFor(world, engine, 80 * 60_000)
  assert.deepEqual(blocks(world, 'meta.compacted.json'), [])
  assert.equal(blocks(world, 'data.parquet').length, blocks(world, 'meta.json').length)
  await driving(world.clock, engine.close())
  const again = await opened({ ...world, files: new MemoryFiles() })
  assert.deepEqual(await all(world, again), expected)
  await world.clock.advance(49 * hourMs)
  await driving(world.clock, again.maintain())
  assert.deepEqual(await all(world, again), {})
  await maintainFor(world, again, 75 * 60_000)
  assert.deepEqual(blocks(world, 'data.parquet'), [])
  await driving(world.clock, again.close())
})

/** How many spans there are, and how many a search has of them by service, in the traces that it finds. */
async function counts(world: World, engine: TracesEngine): Promise<{ spans: number; inServices: number }> {
  const reader = engine.reader('single-tenant')
  const parsed = parseTraceql('{ } | count_over_time()')
  assert.ok(parsed.kind === 'metrics')
  const range = { startMs: startMs - hourMs, endMs: startMs + 24 * hourMs, stepMs: 0, exemplars: 0, seriesMax: 10 }
  const { series } = await driving(
    world.clock,
    new TraceMetrics(world.clock, defaultLimits).run({ expr: parsed.expr, ...range }, reader),
  )
  const search = parseTraceql('{ }')
  assert.ok(search.kind === 'search')
  const time = { fromMs: -Infinity, throughMs: Infinity, limit: 10_000, spansPerSet: 1 }
  const { traces } = await driving(
    world.clock,
    new TraceSearch(world.clock, defaultLimits).run({ stages: search.stages, hints: search.hints, ...time }, reader),
  )
  return {
    spans: series.reduce((sum, { values }) => sum + values[0]!, 0),
    inServices: traces.reduce((sum, { services }) => sum + (services.get('shop')?.spans ?? 0), 0),
  }
}

test('a span that is sent again counts once, whatever of its trace is live, idle, or in blocks', async () => {
  const random = seededRandom(17)
  const pick = (n: number): number => random.u32() % n
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const sent = new Map<string, Span>()
  let most = 0
  for (let round = 0; round < 24; round++) {
    const spans = Array.from({ length: 1 + pick(60) }, () => {
      const [trace, number] = [1 + pick(80), 1 + pick(5)]
      const key = `${trace} ${number}`
      // It is the same span, also when it comes hours later.
      const one = sent.get(key) ?? span(world, trace, number, number === 1 ? 0 : 1)
      sent.set(key, one)
      return one
    })
    await append(world, engine, spans)
    if (pick(3) > 0) await maintainFor(world, engine, [60_000, 60_000, 300_000][pick(3)]!)
    const expected = { spans: sent.size, inServices: sent.size }
    assert.deepEqual(await counts(world, engine), expected, `round ${round}`)
    most = Math.max(most, blocks(world, 'meta.json').length)
  }
  assert.ok(most > 2, `${most} blocks`)
  await driving(world.clock, engine.close())
})

test('a crash at any point: what was acknowledged is there once', async () => {
  // The bucket fails after so many writes; then the process is gone, and another one starts with the disk that is left.
  const blocksAtCrash = new Set<number>()
  for (let writes = 0; writes < 14; writes++) {
    const world = makeWorld(startMs)
    const engine = await opened(world, { retentionMs: Infinity })
    await append(world, engine, [span(world, 1, 11), span(world, 2, 21)])
    await maintainFor(world, engine, 60_000)
    // From here on the bucket takes so many writes and no more. Two traces get spans shortly before the block is cut.
    await world.clock.advance(232_000)
    assert.deepEqual(blocks(world, 'data.parquet'), [])
    let left = writes
    const put = world.bucket.put.bind(world.bucket)
    world.bucket.put = async (...parameters: Parameters<typeof put>) => {
      if (left-- <= 0) throw new Error('the bucket is gone')
      await put(...parameters)
    }
    await append(world, engine, [span(world, 2, 22), span(world, 3, 31)])
    await world.clock.advance(15_000)
    await driving(world.clock, engine.maintain()).catch(() => {})
    // No close: the process is killed. Its timers are stopped by what follows never being asked of them.
    blocksAtCrash.add(blocks(world, 'meta.json').length)
    const files = world.files
    const clock = new VirtualClock(world.clock.nowMs())
    const next = { clock, files, bucket: new MemoryBucket(clock, files) }
    for (const [key, object] of world.bucket.objects) next.bucket.objects.set(key, object)
    const again = await opened(next, { retentionMs: Infinity })
    const expected = { 1: ['span 11'], 2: ['span 21', 'span 22'], 3: ['span 31'] }
    assert.deepEqual(await all(next, again), expected, `after ${writes} writes, from the log`)
    await driving(next.clock, again.flush())
    assert.deepEqual(await all(next, again), expected, `after ${writes} writes, from blocks`)
    await driving(next.clock, again.close())
  }
  // Some crashes came before the block was live, some after.
  assert.deepEqual([...blocksAtCrash].sort(), [0, 1])
})

test('flush of a writer that was replaced rejects at once', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world)
  await append(world, first, [span(world, 1, 11)])
  await opened({ ...world, files: new MemoryFiles() })
  await assert.rejects(
    driving(world.clock, first.flush()),
    /^UnavailableError: another writer \(epoch 2\) took over the bucket/,
  )
})

for (const restart of ['none', 'while it is away', 'when it is back'] as const)
  test(`a bucket that is away: blocks wait on the disk and go up in order; restart: ${restart}`, async () => {
    let world = makeWorld(startMs)
    const made: string[] = []
    const away = (bucket: MemoryBucket, isAway: boolean): void => {
      const put = MemoryBucket.prototype.put.bind(bucket)
      bucket.put = async (...parameters: Parameters<typeof put>) => {
        if (isAway) throw new BucketError('put', 'memory', 'ECONNREFUSED', true)
        await put(...parameters)
        const [key] = parameters
        if (key.endsWith('/meta.json')) made.push(key.split('/')[1]!)
      }
      const get = MemoryBucket.prototype.get.bind(bucket)
      bucket.get = key => (isAway ? Promise.reject(new BucketError('get', 'memory', 'ECONNREFUSED', true)) : get(key))
    }
    // Memory for a fraction of what comes in: without the disk most of it would be refused.
    const options = { retentionMs: Infinity, headBytesMax: 60_000 }
    let engine = await opened(world, options)
    away(world.bucket, true)
    const expected: Record<string, string[]> = {}
    let number = 0
    const load = async (): Promise<void> => {
      for (let round = 0; round < 9; round++) {
        for (let i = 0; i < 50; i++) {
          number++
          expected[number.toString(16)] = [`span ${number}`]
          await append(world, engine, [span(world, number, number)])
        }
        await maintainFor(world, engine, 60_000)
      }
    }
    const restarted = async (isAway: boolean): Promise<void> => {
      const { objects } = world.bucket
      const clock = new VirtualClock(world.clock.nowMs())
      const bucket = new MemoryBucket(clock, world.files)
      for (const [key, object] of objects) bucket.objects.set(key, object)
      world = { clock, files: world.files, bucket }
      away(bucket, isAway)
      engine = await opened(world, options)
    }
    const staged = (): string[] => [...world.files.entries.keys()].filter(path => path.includes('/staging/'))
    await load()
    assert.deepEqual(await all(world, engine), expected, 'from the disk')
    const order = [...new Set(staged().flatMap(path => path.split('/')[2]!))].filter(name => name !== 'blocks.json')
    assert.ok(order.length > 2, `${order.length} blocks wait`)
    assert.ok(engine.status().backlogBytes > 60_000)
    if (restart === 'while it is away') {
      await restarted(true)
      assert.deepEqual(await all(world, engine), expected, 'from the disk, after a restart')
      await load()
    }
    if (restart === 'when it is back') await restarted(false)
    else away(world.bucket, false)
    await maintainFor(world, engine, 60_000)
    await driving(world.clock, engine.flush())
    assert.deepEqual(made.slice(0, order.length), order, 'in the order in which they were made')
    assert.deepEqual(staged(), [])
    assert.equal(engine.stats().uploadsWaiting, 0)
    assert.deepEqual(await all(world, engine), expected, 'from the bucket')
    await driving(world.clock, engine.close())
    const alone = await opened({ ...world, files: new MemoryFiles() }, options)
    assert.deepEqual(await all(world, alone), expected, 'from the bucket alone')
    await driving(world.clock, alone.close())
  })

test('a search finds as many traces as its limit where memory has several rows of each', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const count = 100
  for (let part = 0; part < 2; part++) {
    for (let trace = 1; trace <= count; trace++) {
      // By their starts, rows of one trace follow each other.
      const startNs = BigInt(startMs) * 1_000_000n + BigInt(trace * 1_000_000 + part)
      await append(world, engine, [{ ...span(world, trace, 1 + part), startNs, endNs: startNs + 1000n }])
    }
    // Each part is set aside before the next one comes.
    await world.clock.advance(30_000)
    await driving(world.clock, engine.maintain())
    await world.clock.advance(5000)
  }
  const [rows] = await driving(world.clock, engine.reader('single-tenant').select(-Infinity, Infinity))
  assert.equal(rows!.rows, 2 * count)
  const parsed = parseTraceql('{ }')
  const stages = parsed.kind === 'search' ? parsed.stages : []
  const search = new TraceSearch(world.clock, defaultLimits)
  for (const limit of [count, count / 2]) {
    const request = { stages, hints: parsed.hints, fromMs: -Infinity, throughMs: Infinity, limit, spansPerSet: 10 }
    const { traces } = await driving(world.clock, search.run(request, engine.reader('single-tenant')))
    assert.deepEqual(
      traces.map(({ id }) => parseInt(id, 16)),
      Array.from({ length: limit }, (_, i) => count - i),
    )
    assert.ok(traces.every(({ sets }) => sets.reduce((sum, { matched }) => sum + matched, 0) === 2))
  }
  await driving(world.clock, engine.close())
})
