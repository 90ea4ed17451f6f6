/** Blocks of traces whose objects are missing, cut short or flipped: the rest is served, and answers say so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { defaultLimits } from '#core/limits.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseField, parseTraceql } from '#lang/traceql/parser.ts'
import type { Span, Trace } from '#model/trace.ts'
import type { TracesEngine, TracesOptions } from '#traces/engine.ts'
import { decodeOtlpTraces, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { TraceMetrics } from '../../src/query/traceql/metrics.ts'
import { TraceSearch } from '../../src/query/traceql/search.ts'
import { TagFinder } from '../../src/query/traceql/tags.ts'
import { driving, makeWorld, openTraces, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000
const tenant = 'single-tenant'

function opened(world: World, options: Partial<TracesOptions> = {}): Promise<TracesEngine> {
  return openTraces(world.clock, {
    ...world,
    random: seededRandom(world.bucket.objects.size + 1),
    defaultTenant: tenant,
    ...options,
  })
}

function idOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(size - 4, number)
  return bytes
}

function span(world: World, trace: number, number: number): Span {
  const startNs = BigInt(world.clock.nowMs()) * 1_000_000n
  return {
    traceId: idOf(trace, 16),
    spanId: idOf(number, 8),
    parentSpanId: new Uint8Array(0),
    traceState: '',
    flags: 0,
    name: `span ${number}`,
    kind: 2,
    startNs,
    endNs: startNs + 1_000_000n,
    attributes: [{ key: 'n', value: { kind: 'string', value: `v${number}` } }],
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
  const message = encodeOtlpTraces(trace)
  await driving(world.clock, engine.append(tenant, decodeOtlpTraces(message, true), message))
}

/** Two blocks, of traces 1 to 20 and 21 to 40, more than an hour apart; the prefix of the first. */
async function twoBlocks(world: World, engine: TracesEngine): Promise<string> {
  await append(
    world,
    engine,
    Array.from({ length: 20 }, (_, i) => span(world, i + 1, i + 1)),
  )
  await driving(world.clock, engine.flush())
  const [key] = [...world.bucket.objects.keys()].filter(k => k.endsWith('/data.parquet'))
  await world.clock.advance(2 * hourMs)
  await append(
    world,
    engine,
    Array.from({ length: 20 }, (_, i) => span(world, i + 21, i + 21)),
  )
  await driving(world.clock, engine.flush())
  return key!.slice(0, -'data.parquet'.length)
}

interface Answers {
  /** Names of the spans that a search finds, by trace. */
  names: string[]
  /** Spans that metrics count. */
  count: number
  values: string[]
  /** Traces that are found by id. */
  byId: number[]
  /** What the four answers say they lack. */
  warnings: string[][]
}

async function ask(world: World, engine: TracesEngine): Promise<Answers> {
  const readers = Array.from({ length: 4 }, () => engine.reader(tenant))
  const [searching, counting, listing, finding] = readers as [
    (typeof readers)[0],
    (typeof readers)[0],
    (typeof readers)[0],
    (typeof readers)[0],
  ]
  const search = parseTraceql('{ .n != nil } | select(name)')
  const rate = parseTraceql('{ .n != nil } | count_over_time()')
  assert.ok(search.kind === 'search' && rate.kind === 'metrics')
  const { traces } = await new TraceSearch(world.clock, defaultLimits).run(
    {
      stages: search.stages,
      hints: search.hints,
      fromMs: -Infinity,
      throughMs: Infinity,
      limit: 1000,
      spansPerSet: 1000,
    },
    searching,
  )
  const { series } = await new TraceMetrics(world.clock, defaultLimits).run(
    { expr: rate.expr, startMs: startMs - hourMs, endMs: startMs + 4 * hourMs, stepMs: 0, exemplars: 0, seriesMax: 10 },
    counting,
  )
  const values = await new TagFinder(world.clock, defaultLimits).values(
    listing,
    { fromMs: -Infinity, throughMs: Infinity },
    parseField('.n'),
    '',
  )
  const byId: number[] = []
  for (let i = 1; i <= 40; i++) if ((await finding.find(idOf(i, 16), -Infinity, Infinity)) !== undefined) byId.push(i)
  return {
    names: traces.flatMap(t => t.sets.flatMap(s => s.spans.map(one => `${t.id} ${one.name}`))).sort(),
    count: series[0]?.values[0] ?? 0,
    values: values.map(v => v.value).sort(),
    byId,
    warnings: readers.map(r => r.omissions.texts()),
  }
}

function flip(world: World, key: string, at: number): void {
  const object = world.bucket.objects.get(key)!
  object.bytes = object.bytes.map((byte, i) => (i === at ? byte ^ 0x10 : byte))
}
function cut(world: World, key: string, length: number): void {
  const object = world.bucket.objects.get(key)!
  object.bytes = object.bytes.slice(0, length < 0 ? object.bytes.length + length : length)
}

const wholeDamage: [name: string, act: (world: World, prefix: string) => void][] = [
  ['data missing', ({ bucket }, p) => bucket.objects.delete(`${p}data.parquet`)],
  ['data empty', (world, p) => cut(world, `${p}data.parquet`, 0)],
  ['data cut short', (world, p) => cut(world, `${p}data.parquet`, -100)],
  [
    'footer flipped',
    (world, p) => flip(world, `${p}data.parquet`, world.bucket.objects.get(`${p}data.parquet`)!.bytes.length - 300),
  ],
]

for (const [name, act] of wholeDamage)
  for (const when of ['at the start', 'while running'])
    test(`${name} ${when}: the rest is served, every answer names the block`, async () => {
      const world = makeWorld(startMs)
      let engine = await opened(world)
      const prefix = await twoBlocks(world, engine)
      const id = prefix.split('/')[1]!
      act(world, prefix)
      if (when === 'at the start') engine = await opened(world)
      for (let round = 0; round < 2; round++) {
        const { names, count, byId, warnings } = await ask(world, engine)
        assert.equal(names.length, 20)
        assert.equal(count, 20)
        assert.deepEqual(
          byId,
          Array.from({ length: 20 }, (_, i) => i + 21),
        )
        for (const texts of warnings) {
          assert.equal(texts.length, 1)
          assert.ok(texts[0]!.startsWith(`the results are incomplete: block ${id}: `), texts.join())
        }
      }
      assert.deepEqual(
        engine
          .reader(tenant)
          .damaged()
          .map(d => [d.id, d.isWhole]),
        [[id, true]],
      )
    })

const metaDamage: [name: string, reason: RegExp, act: (world: World, key: string) => void][] = [
  ['missing', /meta\.json is missing/, ({ bucket }, key) => bucket.objects.delete(key)],
  ['cut short', /meta\.json/, (world, key) => cut(world, key, 40)],
  ['with another time', /wrong checksum/, (world, key) => edit(world, key, /"endTime":"2023/, '"endTime":"2013')],
  ['with another size', /wrong checksum/, (world, key) => edit(world, key, /"size":\d/, '"size":9')],
]
function edit(world: World, key: string, from: RegExp, to: string): void {
  const object = world.bucket.objects.get(key)!
  const changed = Buffer.from(object.bytes).toString().replace(from, to)
  assert.notEqual(changed, Buffer.from(object.bytes).toString())
  object.bytes = Buffer.from(changed)
}

for (const [name, reason, act] of metaDamage)
  test(`meta.json ${name}: the rest is served, every answer names the block`, async () => {
    const world = makeWorld(startMs)
    const prefix = await twoBlocks(world, await opened(world))
    act(world, `${prefix}meta.json`)
    const { names, warnings } = await ask(world, await opened(world))
    assert.equal(names.length, 20)
    for (const texts of warnings) {
      assert.equal(texts.length, 1)
      assert.match(texts[0]!, reason)
    }
  })

for (const staging of ['memory', 'disk'])
  test(`a block whose upload from the ${staging} was cut off lacks nothing: it never was one`, async () => {
    const world = makeWorld(startMs)
    const engine = await opened(world)
    const { bucket } = world
    const put = bucket.put.bind(bucket)
    const failure = (): Promise<void> => Promise.reject(new BucketError('put', 'memory', 'SlowDown', true))
    const isLast = (key: string): boolean =>
      key.endsWith('meta.json') || (staging === 'disk' && key.endsWith('data.parquet'))
    bucket.put = (key, bytes) => (isLast(key) ? failure() : put(key, bytes))
    bucket.putFile = (key, path) =>
      key.endsWith('meta.json') ? failure() : world.files.read(path).then(bytes => put(key, bytes))
    await append(world, engine, [span(world, 1, 1)])
    void engine.flush().catch(() => {})
    for (let i = 0; i < (staging === 'disk' ? 100 : 1); i++) await world.clock.advance(100)
    assert.ok(
      [...bucket.objects.keys()].some(key => key.endsWith('/data.parquet')),
      'the upload began',
    )
    const { names, warnings } = await ask(world, await opened(world, { readOnly: true }))
    assert.deepEqual([names, warnings], [[], [[], [], [], []]])
  })

for (const [name, act] of [
  ['missing', (world: World, key: string): void => void world.bucket.objects.delete(key)],
  ['cut short', (world: World, key: string): void => cut(world, key, 20)],
  ['without bits', (world: World, key: string): void => void world.bucket.objects.get(key)!.bytes.fill(0, 24)],
] as const)
  test(`a bloom filter ${name} hides no trace`, async () => {
    const world = makeWorld(startMs)
    const prefix = await twoBlocks(world, await opened(world))
    act(world, `${prefix}bloom-0`)
    const engine = await opened(world)
    const { byId, warnings } = await ask(world, engine)
    assert.equal(byId.length, 40)
    assert.deepEqual(warnings, [[], [], [], []])
    assert.deepEqual(
      engine
        .reader(tenant)
        .damaged()
        .map(d => d.isWhole),
      [false],
    )
  })

test('whichever byte of the data is flipped, an answer is whole or says that it is not', async () => {
  const world = makeWorld(startMs)
  const prefix = await twoBlocks(world, await opened(world))
  const key = `${prefix}data.parquet`
  const whole = await ask(world, await opened(world))
  assert.deepEqual(whole.warnings, [[], [], [], []])
  const { bytes } = world.bucket.objects.get(key)!
  const random = seededRandom(7)
  let warned = 0
  for (let round = 0; round < 150; round++) {
    const at = below(random, bytes.length)
    flip(world, key, at)
    const answers = await ask(world, await opened(world, { readOnly: true }))
    const isSame = [answers.names, answers.count, answers.values, answers.byId].map(
      (answer, i) => JSON.stringify(answer) === JSON.stringify([whole.names, whole.count, whole.values, whole.byId][i]),
    )
    isSame.forEach((same, i) => {
      assert.ok(same || answers.warnings[i]!.length > 0, `byte ${at}: answer ${i} lacks something and does not say so`)
    })
    for (const name of answers.names) assert.ok(whole.names.includes(name), `byte ${at}: ${name}`)
    if (answers.warnings.some(texts => texts.length > 0)) warned++
    world.bucket.objects.get(key)!.bytes = bytes
  }
  assert.ok(warned > 10, String(warned))
})

test('a merge goes on without a damaged block, which stays', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  const keysOf = (): string[] => [...world.bucket.objects.keys()].filter(k => k.endsWith('/data.parquet'))
  for (let round = 0; round < 3; round++) {
    await append(world, engine, [span(world, round + 1, round + 1)])
    await driving(world.clock, engine.flush())
  }
  const [damaged] = keysOf()
  flip(world, damaged!, 100)
  engine = await opened(world)
  for (let i = 0; i < 20; i++) {
    await world.clock.advance(60_000)
    await driving(world.clock, engine.maintain())
  }
  assert.ok(world.bucket.objects.has(damaged!))
  assert.ok(world.bucket.objects.has(damaged!.replace('data.parquet', 'meta.json')))
  assert.equal(engine.stats().compactions, 1)
  const { names, warnings } = await ask(world, engine)
  assert.equal(names.length, 2)
  assert.equal(warnings[0]!.length, 1)
})

test('a block that another compactor replaced is no damage, a bucket that fails is none either', async () => {
  const world = makeWorld(startMs)
  const prefix = await twoBlocks(world, await opened(world))
  const reading = await opened(world, { readOnly: true })
  const get = world.bucket.getRange.bind(world.bucket)
  world.bucket.getRange = () => Promise.reject(new BucketError('get', 'memory', 'SlowDown', true))
  await assert.rejects(ask(world, reading), /SlowDown/)
  world.bucket.getRange = get
  const id = prefix.split('/')[1]!
  const moved = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`
  for (const [key, object] of Array.from(world.bucket.objects)) {
    if (!key.startsWith(prefix)) continue
    world.bucket.objects.delete(key)
    const isMeta = key.endsWith('meta.json')
    // As another program writes it: without our checksums.
    const meta = isMeta
      ? { ...(JSON.parse(Buffer.from(object.bytes).toString()) as object), blockID: moved, tercet: undefined }
      : {}
    await world.bucket.put(key.replace(id, moved), isMeta ? Buffer.from(JSON.stringify(meta)) : object.bytes)
  }
  const { names, byId, warnings } = await ask(world, reading)
  assert.equal(names.length, 40)
  assert.equal(byId.length, 40)
  assert.deepEqual(warnings, [[], [], [], []])
  assert.deepEqual(reading.reader(tenant).damaged(), [])
})

test('damage is found before a query meets it', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const prefix = await twoBlocks(world, engine)
  flip(world, `${prefix}bloom-0`, 5000)
  for (let i = 0; i < 60; i++) {
    await world.clock.advance(60_000)
    await driving(world.clock, engine.maintain())
  }
  assert.deepEqual(
    engine
      .reader(tenant)
      .damaged()
      .map(d => [d.id, d.isWhole]),
    [[prefix.split('/')[1], false]],
  )
})
