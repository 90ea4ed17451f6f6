/** Long pushes of spans are stored in parts: answer, content, refusals and metrics are those of one message. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { traceProtocols } from '#ingest/trace-protocols.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Span, Trace } from '#model/trace.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import type { TracesAppender } from '#traces/append.ts'
import type { TracesEngine, TracesOptions } from '#traces/engine.ts'
import { decodeBody, type BodyDecoder } from '#wire/decode-body.ts'
import { carrySpans, spansOf } from '#wire/otlp/carried-spans.ts'
import { withoutSpansAt } from '#wire/otlp/split-traces.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces, spanSize } from '#wire/otlp/traces.ts'
import { DerivedMetrics } from '../../src/ingest/derived-metrics.ts'
import { send } from '../../src/ingest/ingest-kit.ts'
import { showWriteBatch } from '../show-batch.ts'
import { assertSameLines, showSpans } from '../show-spans.ts'
import { driving, openTraces } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const traceCount = 700

interface World {
  clock: VirtualClock
  files: MemoryFiles
  bucket: MemoryBucket
}

function makeWorld(): World {
  const clock = new VirtualClock(startMs)
  const files = new MemoryFiles()
  return { clock, files, bucket: new MemoryBucket(clock, files) }
}

function id(n: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size).fill(1)
  new DataView(bytes.buffer).setUint32(size - 4, n)
  return bytes
}
const text = (key: string, value: string) => ({ key, value: { kind: 'string', value } }) as const

/** Span `n`: some are refused, for each reason that there is. */
function span(n: number): Span {
  const endNs = BigInt(startMs - (n % 1000)) * 1_000_000n
  return {
    traceId: n % 1000 === 3 ? new Uint8Array(16) : id(n % traceCount, 16),
    spanId: n % 1000 === 5 ? id(5, 7) : id(n, 8),
    parentSpanId: n % 2 === 1 ? id(n - 1, 8) : new Uint8Array(0),
    traceState: '',
    flags: 0,
    name: `span ${n % 7}`,
    kind: 2 + (n % 2),
    startNs: endNs - 1_000_000n * BigInt(n % 50),
    endNs: n % 1000 === 7 ? endNs + 10n ** 15n : endNs,
    attributes: [
      text('n', `${n}`),
      text('peer.service', `p${n % 3}`),
      ...(n % 1000 === 9 ? [text('x', 'x'.repeat(70_000))] : []),
    ],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: n % 3,
    statusMessage: '',
  }
}

/** So many spans of ten services, from span `first` on. */
function message(count: number, first = 0): Uint8Array {
  const resources = Array.from({ length: 10 }, (_, r) => ({
    resource: { attributes: [text('service.name', `s${r}`)], dropped: 0 },
    schemaUrl: '',
    scopes: [
      {
        scope: { name: 'lib', version: '', attributes: [], dropped: 0 },
        schemaUrl: '',
        spans: Array.from({ length: count / 10 }, (_span, i) => span(first + (r * count) / 10 + i)),
      },
    ],
  }))
  return encodeOtlpTraces({ resources }).slice()
}

const limits = {
  futureMs: 3_600_000,
  traceBytesMax: 5_000_000,
  attributeBytesMax: 65_536,
  attributesMax: 1000,
  requestSpansMax: 11_000,
  liveTracesMax: 600,
}

/** As a thread does it. */
const decoder: BodyDecoder = {
  decode: async (kind, body) => {
    const options = { nowMs: startMs, decodedBytesMax: 1 << 27, seed: { a: 1, b: 2, c: 3, d: 4 } }
    const decoded = decodeBody(kind, body.slice(), options)
    assert.ok(decoded.signal === 'traces' && decoded.parts.length > 4)
    return structuredClone(decoded)
  },
}

const open = ({ clock, files, bucket }: World, options: Partial<TracesOptions> = {}): Promise<TracesEngine> =>
  openTraces(clock, { files, bucket, limits, ...options })

/** Pushes a body in parts, or stores it as one message; what became of it, and the metrics that were made. */
async function push({ clock }: World, engine: TracesEngine, body: Uint8Array, isInParts: boolean) {
  const made: string[] = []
  const append = (_tenant: string, batch: WriteBatch) => {
    // Exemplars have the time at which their part was counted.
    made.push(...showWriteBatch(batch).map(line => (line.includes(' # ') ? line.replace(/ @\d+$/, '') : line)))
    return Promise.resolve({ stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] })
  }
  const derived = new DerivedMetrics({
    clock,
    log: silentLog,
    metrics: { append },
    seriesMax: 1000,
    hasTenancy: false,
    sizeOf: spanSize,
    decode: decodeSpan,
  })
  const outcome = await (isInParts ? pushParts(clock, engine, body, derived) : storeWhole(clock, engine, body, derived))
  await clock.advance(60_000 - ((clock.nowMs() - startMs) % 60_000))
  await derived.store()
  return { outcome, made }
}

async function storeWhole(
  clock: VirtualClock,
  engine: TracesEngine,
  body: Uint8Array,
  derived: DerivedMetrics,
): Promise<AppendOutcome> {
  const trace = decodeOtlpTraces(body, true)
  const outcome = await driving(clock, engine.append('fake', trace, body))
  const refused = new Set(outcome.refusedAt!.map(({ at }) => at))
  derived.add(
    'fake',
    withoutSpansAt(trace, at => refused.has(at)),
    body,
  )
  return outcome
}

async function pushParts(
  clock: VirtualClock,
  engine: TracesEngine,
  body: Uint8Array,
  derived: DerivedMetrics,
): Promise<AppendOutcome> {
  let outcome: AppendOutcome | undefined
  const appender: TracesAppender = {
    append: () => assert.fail('the body is long'),
    appendParts: async (...of) => (outcome = await engine.appendParts(...of)),
  }
  const served = traceProtocols({ appender, tenantOf: () => 'fake', clock, decoder, onStored: derived.add })
  const { status } = await driving(clock, send(served, { path: '/v1/traces', body }))
  assert.deepEqual([status, outcome!.passes], [429, true])
  return outcome!
}

/** All that is found of the traces. */
async function stored({ clock }: World, engine: TracesEngine): Promise<string[]> {
  const reader = engine.reader('fake')
  const finds = Array.from({ length: traceCount }, (_, n) => reader.find(id(n, 16), -Infinity, Infinity))
  const traces = await driving(clock, Promise.all(finds))
  return traces.flatMap(trace => (trace === undefined ? [] : showSpans(trace).sort()))
}

function assertSameOutcome(actual: AppendOutcome, expected: AppendOutcome): void {
  const { refusedAt = [], ...rest } = actual
  const { refusedAt: expectedAt = [], ...expectedRest } = expected
  assert.deepEqual(rest, expectedRest)
  const shown = (refused: typeof refusedAt): string[] => refused.map(one => JSON.stringify(one))
  assertSameLines(shown(refusedAt), shown(expectedAt))
}

test('a long body in parts: answer, outcome, spans, metrics and a restart are as with one message', async () => {
  const whole = makeWorld()
  const parts = makeWorld()
  const one = await open(whole)
  const other = await open(parts)
  const body = message(12_000)
  assert.ok(body.length > 1024 * 1024)
  const expected = await push(whole, one, body, false)
  const actual = await push(parts, other, body, true)
  assertSameLines(actual.made, expected.made)
  const { outcome } = expected
  assertSameOutcome(actual.outcome, outcome)
  assert.ok(outcome.stored > 9000 && outcome.refused > 2500 && outcome.passes === true)
  assert.match(
    JSON.stringify(outcome.problems),
    /trace id.*span id.*future.*attribute \\"x\\".*live traces.*more than 11000 spans/,
  )
  assert.equal(outcome.refusedAt!.at(-1)!.at, 11_999)
  assert.ok(expected.made.length > 1000)
  const spans = await stored(whole, one)
  assert.equal(spans.length, outcome.stored)
  assertSameLines(await stored(parts, other), spans)
  assert.deepEqual(
    [other.spansAppended, other.spansRefused, other.liveTraces],
    [one.spansAppended, one.spansRefused, one.liveTraces],
  )
  assertSameLines(await stored(parts, await open(parts)), spans)
})

const partsOf = (bytes: Uint8Array, items = 500) =>
  carrySpans(decodeOtlpTraces(bytes, true), bytes, { items, bytes: 1 << 20 }).map(part => ({
    message: part.message,
    outlines: (): Trace => spansOf(part),
  }))

test('others are acknowledged while a long request is admitted', async () => {
  const world = makeWorld()
  const engine = await open(world)
  const acknowledged: string[] = []
  const long = engine.appendParts('fake', partsOf(message(10_000))).then(() => acknowledged.push('long'))
  const bytes = message(10)
  const short = engine.append('fake', decodeOtlpTraces(bytes, true), bytes).then(() => acknowledged.push('short'))
  await driving(world.clock, Promise.all([long, short]))
  assert.deepEqual(acknowledged, ['short', 'long'])
})

test('a trace in several parts is new once, and its size is that of all of them', async () => {
  const world = makeWorld()
  const liveTracesMax = traceCount
  const engine = await open(world, { limits: { ...limits, liveTracesMax, traceBytesMax: 2000 } })
  const outcome = await driving(world.clock, engine.appendParts('fake', partsOf(message(10_000))))
  // Fifteen spans of each trace come, of 150 bytes and more each.
  const reasons = outcome.problems.map(problem => problem.message).join()
  assert.match(reasons, /trace \w+ has more than 2000 bytes/)
  assert.doesNotMatch(reasons, /live traces/)
  assert.equal(engine.liveTraces, traceCount)
  const another = await driving(world.clock, engine.appendParts('fake', partsOf(message(10_000))))
  assert.equal(another.stored, 0)
})

test('where the log fails in between, the request is to be sent again, and is stored once', async () => {
  const world = makeWorld()
  const engine = await open(world)
  const bytes = message(10)
  await driving(world.clock, engine.append('fake', decodeOtlpTraces(bytes, true), bytes))
  let left = 1
  world.files.onOperation = (operation, path) => {
    if (operation === 'append' && path.includes('wal') && left-- <= 0) throw new Error('no space left')
  }
  const long = engine.appendParts('fake', partsOf(message(10_000), 100))
  // Something else is flushed while the parts come.
  engine.append('fake', decodeOtlpTraces(bytes, true), bytes).catch(() => {})
  await assert.rejects(driving(world.clock, long), UnavailableError)
  world.files.onOperation = () => {}
  // What the log had before it failed is kept.
  const kept = (await stored(world, engine)).length
  assert.ok(kept > 10 && kept < 5000, `${kept} spans`)
  const outcome = await driving(world.clock, engine.appendParts('fake', partsOf(message(10_000))))
  const fresh = makeWorld()
  const other = await open(fresh)
  await driving(fresh.clock, other.append('fake', decodeOtlpTraces(bytes, true), bytes))
  const whole = message(10_000)
  const once = await driving(fresh.clock, other.append('fake', decodeOtlpTraces(whole, true), whole))
  assertSameOutcome(outcome, once)
  const expected = await stored(fresh, other)
  assertSameLines(await stored(world, engine), expected)
  assert.equal(engine.liveTraces, other.liveTraces)
  assertSameLines(await stored(world, await open(world)), expected)
})

test('a body that is decoded here is stored in parts, too, where it has many spans', async () => {
  const world = makeWorld()
  const engine = await open(world)
  const stored: number[] = []
  const appender: TracesAppender = {
    append: (...of) => engine.append(...of),
    appendParts: (tenant, parts) => {
      stored.push(parts.length)
      return engine.appendParts(tenant, parts)
    },
  }
  const served = traceProtocols({ appender, tenantOf: () => 'fake', clock: world.clock })
  for (const count of [3000, 5000]) {
    const { status } = await driving(world.clock, send(served, { path: '/v1/traces', body: message(count) }))
    assert.equal(status, 429)
  }
  assert.deepEqual(stored, [6])
})

test('live traces go on into the next generation once, also where the log fails on the way', async () => {
  for (const isFailing of [false, true]) {
    const world = makeWorld()
    const { clock, files } = world
    const unlimited = { limits: { ...limits, liveTracesMax: traceCount } }
    const engine = await open(world, unlimited)
    const bytes = message(10, 20_100)
    await driving(clock, engine.append('fake', decodeOtlpTraces(bytes, true), bytes))
    // The first traces are idle when the generation ends; the others got spans just before.
    while (clock.nowMs() < startMs + 298_000) await clock.advance(2000)
    const { stored: count } = await driving(clock, engine.appendParts('fake', partsOf(message(10_000))))
    const before = await stored(world, engine)
    assert.equal(before.length, count + 10)
    let failures = 0
    if (isFailing)
      files.onOperation = (operation, path) => {
        if (operation !== 'append' || !path.includes('wal') || failures++ > 2) return
        throw new Error('no space left')
      }
    // Rounds in which the generation ends, with something in line.
    for (let i = 0; i < 3; i++) {
      await clock.advance(1000)
      engine.append('fake', decodeOtlpTraces(bytes, true), bytes).catch(() => {})
    }
    for (let i = 0; i < 20; i++) await clock.advance(1000)
    assert.equal(failures > 2, isFailing)
    assert.ok([...world.bucket.objects.keys()].some(key => key.endsWith('/meta.json')))
    assertSameLines(await stored(world, engine), before)
    assertSameLines(await stored(world, await open(world, unlimited)), before)
  }
})
