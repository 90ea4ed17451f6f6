/**
 * A process that has nothing in memory asks a bucket that is far away: how many requests a query takes, and how many
 * of them one after another. Every answer takes 20 ms of a clock that is moved by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryBucket } from '#bucket/memory.ts'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import type { LabelConstraint } from '#core/scope.ts'
import type { SignalName } from '#core/signal-name.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import type { Span } from '#model/trace.ts'
import type { TracesEngine } from '#traces/engine.ts'
import { decodeOtlpTraces, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { Budget } from '../../src/query/budget.ts'
import { runLogQuery } from '../../src/query/logql/log-query.ts'
import { scopedTraces } from '../../src/query/traceql/scoped-reader.ts'
import { TraceSearch } from '../../src/query/traceql/search.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving, openLogs, openMetrics, openTraces } from '../signal-worlds.ts'

const latencyMs = 20
const hourMs = 3_600_000
const blocks = 60

/** Blocks of one item each, an hour apart. */
async function storedBlocks(name: SignalName): Promise<StoreWorld> {
  const world = new StoreWorld()
  const writer = await openStore[name](world)
  for (let n = 0; n < blocks; n++) {
    await driving(world.clock, writer.send([{ n, group: `g${n}` }]))
    await driving(world.clock, writer.signal.flush())
    await world.clock.advance(hourMs)
  }
  return world
}

/**
 * Counts requests of a work, and its rounds: the moments at which answers came. The clock also moves while a thread of
 * the runtime unpacks an index, and the longer the busier the machine is; no answer comes then.
 */
class FarBucket {
  requests = 0
  most = 0
  #underWay = 0
  readonly #moments = new Set<number>()

  constructor({ bucket, clock }: StoreWorld) {
    const far =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        this.requests++
        this.most = Math.max(this.most, ++this.#underWay)
        try {
          await new Promise<void>(resolve => clock.after(latencyMs, resolve))
          this.#moments.add(clock.monotonicMs())
          return await call(...args)
        } finally {
          this.#underWay--
        }
      }
    const { get, list } = bucket
    // The bucket's own ranges and sizes call `get`, which would count twice.
    const range: MemoryBucket['getRange'] = async (key, offset, length) =>
      (await get.call(bucket, key)).slice(offset, offset + length)
    Object.assign(bucket, {
      get: far(get.bind(bucket)),
      getRange: far(range),
      size: far(async (key: string) => (await get.call(bucket, key)).length),
      list: far(list.bind(bucket)),
    })
  }

  async measured(world: StoreWorld, work: () => Promise<unknown>): Promise<{ requests: number; rounds: number }> {
    const before = this.requests
    this.#moments.clear()
    await driving(world.clock, work())
    return { requests: this.requests - before, rounds: this.#moments.size }
  }
}

const cold = (world: StoreWorld) => ({ ...world.options(), files: new MemoryFiles(), readOnly: true }) as const

test('a search over 60 blocks of traces: one request a small block, many at once', async () => {
  const world = await storedBlocks('traces')
  const far = new FarBucket(world)
  const engine: TracesEngine = await openTraces(world.clock, cold(world))
  const query = parseTraceql('{ name = "7" }')
  assert.ok(query.kind === 'search')
  const search = new TraceSearch(world.clock, defaultLimits)
  let found = 0
  const { requests, rounds } = await far.measured(world, async () => {
    const { stages, hints } = query
    const request = { stages, hints, fromMs: -Infinity, throughMs: Infinity, limit: 20, spansPerSet: 3 }
    const { traces } = await search.run(request, engine.reader('fake'))
    found = traces.length
  })
  assert.equal(found, 1)
  assert.ok(requests <= blocks, `${requests} requests`)
  assert.ok(rounds <= 12, `${rounds} rounds`)
  assert.ok(far.most <= 32, `${far.most} at once`)
})

/** Blocks an hour apart, of so many traces with a text that does not compress. */
async function largeBlocks(count: number, traces: number): Promise<StoreWorld> {
  const world = new StoreWorld()
  const { clock } = world
  const random = seededRandom(5)
  const engine = await openTraces(clock, world.options())
  for (let block = 0; block < count; block++) {
    const startNs = BigInt(clock.nowMs()) * 1_000_000n
    const spans = Array.from({ length: traces }, (_, i): Span => ({
      ...emptySpan,
      traceId: random.bytes(16),
      spanId: random.bytes(8),
      name: `span ${i} of ${block}`,
      startNs,
      endNs: startNs + 1_000_000n,
      attributes: [{ key: 'text', value: { kind: 'string', value: Buffer.from(random.bytes(150)).toString('hex') } }],
    }))
    const scope = { scope: { name: '', version: '', attributes: [], dropped: 0 }, schemaUrl: '', spans }
    const trace = { resources: [{ resource: { attributes: [], dropped: 0 }, schemaUrl: '', scopes: [scope] }] }
    const message = encodeOtlpTraces(trace)
    await driving(clock, engine.append('fake', decodeOtlpTraces(message, true), message))
    await driving(clock, engine.flush())
    await clock.advance(hourMs)
  }
  await driving(clock, engine.close())
  return world
}

const none = new Uint8Array(0)
const emptySpan = {
  parentSpanId: none,
  traceState: '',
  flags: 1,
  kind: 1,
  droppedAttributes: 0,
  events: [],
  droppedEvents: 0,
  links: [],
  droppedLinks: 0,
  statusCode: 0,
  statusMessage: '',
}

/** Requests of a search that finds one span by its name and an attribute; by whom a constraint lets see it all, too. */
async function requestsOfSearch(world: StoreWorld, labels: LabelConstraint[] = []): Promise<number> {
  const far = new FarBucket(world)
  const engine: TracesEngine = await openTraces(world.clock, cold(world))
  const query = parseTraceql('{ name = "span 7 of 1" && span.text != "" && duration > 0s }')
  assert.ok(query.kind === 'search')
  const { stages, hints } = query
  const request = { stages, hints, fromMs: -Infinity, throughMs: Infinity, limit: 20, spansPerSet: 3 }
  const { requests } = await far.measured(world, async () => {
    const { traces } = await new TraceSearch(world.clock, defaultLimits).run(
      request,
      scopedTraces(engine, { tenants: ['fake'], labels }),
    )
    assert.equal(traces.length, 1)
  })
  return requests
}

test('where a request costs, a block of a megabyte is one, and a larger one its footer and its columns', async () => {
  const gapBytes = 1024 * 1024
  const [middling, large] = [await largeBlocks(3, 2500), await largeBlocks(3, 12_000)]
  const sizes = [middling, large].map(({ bucket }) =>
    Math.max(...Array.from(bucket.objects.values(), ({ bytes }) => bytes.length)),
  )
  assert.ok(sizes[0]! > 600_000 && sizes[0]! < 1.5 * gapBytes, `${sizes[0]} bytes`)
  assert.ok(sizes[1]! > 2 * gapBytes, `${sizes[1]} bytes`)
  for (const { bucket } of [middling, large]) Object.assign(bucket, { gapBytes })
  assert.equal(await requestsOfSearch(middling), 3)
  assert.ok((await requestsOfSearch(large)) <= 3 * 3)
  const labels: LabelConstraint[] = [{ name: 'team', op: '!=', value: 'other' }]
  assert.equal(await requestsOfSearch(middling, labels), 3)
  const constrained = await requestsOfSearch(large, labels)
  assert.ok(constrained <= 3 * 4, `${constrained} requests under a constraint`)
})

test('a trace by id in 60 blocks: a filter of each, many at once, then the block', async () => {
  const world = await storedBlocks('traces')
  const far = new FarBucket(world)
  const engine: TracesEngine = await openTraces(world.clock, cold(world))
  const id = new Uint8Array(16)
  id.set(Buffer.from('g7'))
  const { requests, rounds } = await far.measured(world, async () => {
    assert.notEqual(await engine.reader('fake').find(id, -Infinity, Infinity), undefined)
  })
  assert.ok(requests <= blocks + 1, `${requests} requests`)
  assert.ok(rounds <= 12, `${rounds} rounds`)
})

test('a needle in 60 chunks of logs: one request a small chunk, many at once', async () => {
  const world = await storedBlocks('logs')
  const far = new FarBucket(world)
  const engine: LogsEngine = await openLogs(world.clock, cold(world))
  const toMs = world.clock.nowMs()
  const bounds = { fromMs: 0, fromSubNs: 0, toMs, toSubNs: 0 }
  const { requests, rounds } = await far.measured(world, async () => {
    const { lines } = await runLogQuery(
      parseLogQuery('{group=~".+"} |= "59"'),
      { bounds, limit: 100, isBackward: true, intervalNs: 0 },
      engine.reader('fake'),
      new Budget(world.clock, 1e9, 1e9),
      () => world.clock.nowMs(),
    )
    assert.equal(lines.length, 1)
  })
  const days = Math.ceil(blocks / 24) + 1
  assert.ok(requests <= blocks + days, `${requests} requests`)
  assert.ok(rounds <= 14, `${rounds} rounds`)
})

test('series of 60 blocks of metrics: indexes of several blocks at once, then their chunks', async () => {
  const world = await storedBlocks('metrics')
  const far = new FarBucket(world)
  const engine: MetricsEngine = await openMetrics(world.clock, cold(world))
  const { length } = engine.blockList()
  const { rounds } = await far.measured(world, async () => {
    const set = await engine.reader('fake').select([makeMatcher('=', '__name__', 'm')], -Infinity, Infinity)
    assert.equal(set.labels.length, blocks)
    await set.load(0, set.labels.length)
  })
  assert.ok(rounds <= length, `${rounds} rounds for ${length} blocks`)
})
