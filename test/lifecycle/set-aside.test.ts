/** What can't be written into a block is set aside with its reason; all else goes on, and nothing of it is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { isPoison } from '#core/poison.ts'
import { seededRandom } from '#core/random.ts'
import { ConflictError, CorruptDataError, NotFoundError, UnavailableError } from '#core/errors.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { ChunkWriter, type FinishedChunk } from '#logs/block-writer.ts'
import { chunkKey } from '#logs/chunk.ts'
import { fingerprintOf } from '#logs/head.ts'
import { TableReader } from '#logs/tables.ts'
import { RetiredObjects } from '#logs/retired.ts'
import { IndexCatalogue } from '#logs/index-catalogue.ts'
import { LocalBuilding } from '#logs/block-building.ts'
import { OpenChunk } from '#logs/open-chunk.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Trace } from '#model/trace.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { TraceSearch } from '../../src/query/traceql/search.ts'
import { driving, makeWorld, openMetrics, openTraces, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000

test('what is wrong with the world is no poison', () => {
  const world = [
    new BucketError('put', 'b', 'AccessDenied', false),
    new UnavailableError('away', 1),
    new ConflictError('taken'),
    new NotFoundError('gone'),
    Object.assign(new Error('no space'), { code: 'ENOSPC' }),
  ]
  for (const error of world) assert.equal(isPoison(error), false, error.message)
  const data = [
    new CorruptDataError('torn'),
    new RangeError('Invalid array length'),
    new SyntaxError('no number'),
    Object.assign(new TypeError('out of range'), { code: 'ERR_OUT_OF_RANGE' }),
  ]
  for (const error of data) assert.equal(isPoison(error), true, error.message)
})

function finishedChunk(app: string, fingerprint?: string): FinishedChunk {
  const labels = Labels.fromObject({ app })
  const open = new OpenChunk(startMs)
  const line = Buffer.from(`a line of ${app}`)
  open.append(startMs, 0, line, 0, line.length, [])
  const chunk = open.close('fake', fingerprintOf(labels), labels)
  return {
    tenant: 'fake',
    labels,
    chunk: fingerprint === undefined ? chunk : { ...chunk, ref: { ...chunk.ref, fingerprint } },
  }
}

test('logs: a chunk that no index can list, and one that the bucket refuses, hold up no other', async () => {
  const { clock, files, bucket } = makeWorld(startMs)
  const catalogue = new IndexCatalogue(bucket, clock, silentLog)
  const retired = new RetiredObjects(bucket, clock, silentLog, 'fake')
  const building = new LocalBuilding({
    files,
    bucket,
    isBase64: false,
    hides: () => ({ of: () => undefined }),
    pause: () => Promise.resolve(),
  })
  const writer = new ChunkWriter({
    clock,
    files,
    log: silentLog,
    bucket,
    catalogue,
    building,
    isBase64: false,
    retired,
    tables: new TableReader(bucket, 1024 * 1024, () => Promise.resolve()),
  })
  // No number: the index holds fingerprints as numbers.
  const poisoned = finishedChunk('poisoned', 'not-hex')
  const refused = finishedChunk('refused')
  const finished = [finishedChunk('a'), poisoned, refused, finishedChunk('b')]
  const put = bucket.put.bind(bucket)
  bucket.put = (key, bytes, options) =>
    key === chunkKey('fake', refused.chunk.ref, false)
      ? Promise.reject(new BucketError('put', 'memory', 'KeyTooLong', false))
      : put(key, bytes, options)
  const { waiting, unlisted } = await writer.publish(finished)
  assert.deepEqual([...waiting.keys()], [refused])
  assert.deepEqual([...unlisted.keys()], [poisoned])
  await catalogue.refresh()
  const [index] = await catalogue.indexes('fake', startMs, startMs)
  assert.deepEqual(index!.streams.map(s => s.labels.get('app')).sort(), ['a', 'b'])
  // Its bytes are in the bucket, though no index lists them.
  assert.ok(bucket.objects.has(chunkKey('fake', poisoned.chunk.ref, false)))
  // A bucket that is away is not asked for every chunk.
  let puts = 0
  bucket.put = () => {
    puts++
    return Promise.reject(new BucketError('put', 'memory', 'ECONNREFUSED', true))
  }
  const many = Array.from({ length: 100 }, (_, i) => finishedChunk(`many${i}`))
  assert.equal((await writer.publish(many)).waiting.size, 100)
  assert.ok(puts < 20, String(puts))
})

async function count(engine: MetricsEngine, name: string): Promise<number> {
  const set = await engine.reader('anonymous').select([makeMatcher('=', '__name__', name)], -Infinity, Infinity)
  const columns = new SampleColumns()
  let sum = 0
  await set.load(0, set.labels.length)
  for (let i = 0; i < set.labels.length; i++) {
    columns.clear()
    set.read(i, columns)
    sum += columns.count
  }
  return sum
}

async function append(world: World, engine: MetricsEngine, name: string): Promise<void> {
  const builder = new BatchBuilder()
  builder.add(Labels.fromObject({ __name__: name }), world.clock.nowMs(), 1)
  await driving(world.clock, engine.append('anonymous', builder.batch))
}

test('metrics: a range that can not be written stays, and the others go into the bucket', async () => {
  const world = makeWorld(startMs)
  const options = { ...world, defaultTenant: 'anonymous', outOfOrderMs: 24 * hourMs }
  let engine = await openMetrics(world.clock, options)
  await append(world, engine, 'first')
  await world.clock.advance(2 * hourMs)
  await append(world, engine, 'second')
  const writeAtomic = world.files.writeAtomic.bind(world.files)
  let failures = 0
  world.files.writeAtomic = (path, bytes) =>
    path.includes('/staging/') && path.endsWith('meta.json') && failures++ === 0
      ? Promise.reject(new RangeError('Invalid string length'))
      : writeAtomic(path, bytes)
  await driving(world.clock, engine.flush())
  const blocks = (): number => [...world.bucket.objects.keys()].filter(key => key.endsWith('/meta.json')).length
  assert.equal(blocks(), 1)
  const [damage] = engine.reader('anonymous').damaged()
  assert.equal(damage?.isSetAside, true)
  assert.match(damage.reason, /can't be written: Invalid string length/)
  assert.deepEqual([await count(engine, 'first'), await count(engine, 'second')], [1, 1])
  // A later range goes its way, and a later sample of the same range waits with it.
  await world.clock.advance(2 * hourMs)
  await append(world, engine, 'third')
  await driving(world.clock, engine.flush())
  assert.equal(blocks(), 2)
  await driving(world.clock, engine.close())
  engine = await openMetrics(world.clock, options)
  assert.deepEqual([await count(engine, 'first'), await count(engine, 'third')], [1, 1])
  await driving(world.clock, engine.flush())
  assert.equal(blocks(), 3)
})

function traceOf(names: readonly string[], firstId = 1): Trace {
  return {
    resources: [
      {
        resource: { attributes: [{ key: 'service.name', value: { kind: 'string', value: 's' } }], dropped: 0 },
        schemaUrl: '',
        scopes: [
          {
            scope: { name: '', version: '', attributes: [], dropped: 0 },
            schemaUrl: '',
            spans: names.map((name, i) => ({
              traceId: Uint8Array.from([...new Uint8Array(15), i + firstId]),
              spanId: Uint8Array.from([...new Uint8Array(7), i + firstId]),
              parentSpanId: new Uint8Array(0),
              traceState: '',
              flags: 0,
              name,
              kind: 1,
              startNs: BigInt(startMs) * 1_000_000n,
              endNs: BigInt(startMs + 1) * 1_000_000n,
              attributes: [],
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

test('traces: one that no block can hold is set aside as its messages, and the others go into the bucket', async () => {
  const world = makeWorld(startMs)
  const options = {
    ...world,
    defaultTenant: 'single-tenant',
    random: seededRandom(3),
    decodeSpan: (message: Uint8Array, from: number, to: number, isRaw?: boolean) => {
      const span = decodeSpan(message, from, to, isRaw)
      if (span.name === 'poison') throw new RangeError('a span that nothing can hold')
      return span
    },
  }
  const engine = await openTraces(world.clock, options)
  const names = async (): Promise<[string[], string[]]> => {
    const parsed = parseTraceql('{} | select(name)')
    assert.ok(parsed.kind === 'search')
    const reader = engine.reader('single-tenant')
    const { traces } = await new TraceSearch(world.clock, defaultLimits).run(
      {
        stages: parsed.stages,
        hints: parsed.hints,
        fromMs: -Infinity,
        throughMs: Infinity,
        limit: 10,
        spansPerSet: 10,
      },
      reader,
    )
    return [traces.map(t => t.sets[0]!.spans[0]!.name!).sort(), reader.omissions.texts()]
  }
  const message = encodeOtlpTraces(traceOf(['a', 'poison', 'b']))
  await driving(world.clock, engine.append('single-tenant', decodeOtlpTraces(message, true), message))
  await world.clock.advance(20_000)
  await driving(world.clock, engine.maintain())
  const inMemory = await names()
  assert.deepEqual(inMemory[0], ['a', 'b'])
  assert.equal(inMemory[1].length, 1)
  await driving(world.clock, engine.flush())
  for (const refresh of [false, true]) {
    if (refresh) await engine.refresh()
    const [found, warnings] = await names()
    assert.deepEqual(found, ['a', 'b'])
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, /a trace can't be written into a block.*a span that nothing can hold/)
  }
  const aside = [...world.bucket.objects].filter(([key]) => key.startsWith('single-tenant/tercet/set-aside/'))
  assert.equal(aside.length, 1)
  assert.deepEqual(aside[0]![1].bytes, message)
  assert.equal([...world.bucket.objects.keys()].filter(key => key.endsWith('/meta.json')).length, 1)
})

test('traces: one that no block can hold, while the bucket is away, does not keep the others in memory', async () => {
  const world = makeWorld(startMs)
  let isAway = false
  const put = world.bucket.put.bind(world.bucket)
  world.bucket.put = (...parameters) =>
    isAway ? Promise.reject(new BucketError('put', 'memory', 'ECONNREFUSED', true)) : put(...parameters)
  const headBytesMax = 20_000
  const engine = await openTraces(world.clock, {
    ...world,
    headBytesMax,
    defaultTenant: 'single-tenant',
    decodeSpan: (message: Uint8Array, from: number, to: number, isRaw?: boolean) => {
      const span = decodeSpan(message, from, to, isRaw)
      if (span.name === 'poison') throw new RangeError('a span that nothing can hold')
      return span
    },
  })
  isAway = true
  const sent = ['poison', ...Array.from({ length: 200 }, (_, i) => `span ${i}`)]
  for (const [i, name] of sent.entries()) {
    const message = encodeOtlpTraces(traceOf([name], i + 1))
    await driving(world.clock, engine.append('single-tenant', decodeOtlpTraces(message, true), message))
    await world.clock.advance(i % 10 === 0 ? 15_000 : 0)
    if (i % 10 === 0) await driving(world.clock, engine.maintain())
  }
  assert.ok(engine.status().backlogBytes > 3 * headBytesMax, 'more came in than memory may hold')
  isAway = false
  await driving(world.clock, engine.flush())
  let spans = 0
  for (const rows of await engine.reader('single-tenant').select(-Infinity, Infinity)) spans += rows.rows
  assert.equal(spans, sent.length - 1)
  assert.equal([...world.bucket.objects.keys()].filter(key => key.includes('/set-aside/')).length, 1)
})
