/**
 * Numbers from the columns beside chunks are those of the lines: at every step and offset, where chunks repeat lines,
 * where lines are deleted, and where columns are missing, damaged or of an older version.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { ChunkSource, DeletionNotice, LogsReader, StreamChunks } from '#logs/select.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import { countedLinesMax } from '../../src/query/logql/counted-lines.ts'
import { LogqlEngine, metricOf } from '../../src/query/logql/engine.ts'
import { driving, makeWorld, openLogs, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000
const levels = ['info', 'warn', 'error']

/** Lines of one stream over an hour; `subNs`: nanoseconds within a millisecond, of each. */
function addStream(
  builder: LogBatchBuilder,
  app: string,
  count: number,
  subNs: (i: number) => number,
  pairs: (i: number) => string[],
): void {
  const random = seededRandom(app.charCodeAt(0))
  for (let i = 0; i < count; i++) {
    const text = `${app} ${i} ${'x'.repeat(below(random, 200))} ${random.u32().toString(16)}`
    builder.add(
      Labels.fromObject({ app, env: 'prod' }),
      startMs + Math.floor((i * hourMs) / count),
      subNs(i),
      text,
      pairs(i),
    )
  }
}

async function append(world: World, engine: LogsEngine, builder: LogBatchBuilder): Promise<void> {
  const { problems } = await driving(world.clock, engine.append('fake', builder.build()))
  assert.deepEqual(problems, [])
}

/** Streams of several blocks each: of whole milliseconds, of nanoseconds, with ids of their own, and a small one. */
async function filled(world: World): Promise<LogsEngine> {
  const engine = await openLogs(world.clock, world)
  const builder = new LogBatchBuilder()
  const level = (i: number): string[] => ['level.name', levels[i % 7 === 0 ? 2 : i % 2]!, 'zone', 'a']
  addStream(builder, 'whole', 9000, () => 0, level)
  addStream(builder, 'fine', 9000, i => (i * 7919) % 1_000_000, level)
  addStream(
    builder,
    'traced',
    5000,
    () => 0,
    i => ['trace', `id${i}`],
  )
  addStream(
    builder,
    'plain',
    5000,
    i => (i % 3 === 0 ? 1 : 0),
    () => [],
  )
  addStream(builder, 'small', 50, () => 5, level)
  await append(world, engine, builder)
  await driving(world.clock, engine.flush())
  return engine
}

/** The same reader, whose chunks have no columns. */
function reading(reader: LogsReader): LogsReader {
  const bare = ({ fromMs, throughMs, entries, kilobytes, isInMemory, open }: ChunkSource): ChunkSource => ({
    fromMs,
    throughMs,
    entries,
    kilobytes,
    isInMemory,
    open,
  })
  return changed(reader, bare)
}

/** The same reader, with each chunk changed. */
function changed(reader: LogsReader, change: (chunk: ChunkSource) => ChunkSource): LogsReader {
  return withSelect(reader, streams => streams.map(({ labels, chunks }) => ({ labels, chunks: chunks.map(change) })))
}

function withSelect(
  reader: LogsReader,
  change: (streams: readonly StreamChunks[]) => StreamChunks[],
  deletions = reader.deletions(),
): LogsReader {
  return {
    omissions: reader.omissions,
    damaged: of => reader.damaged(of),
    select: async (matchers, fromMs, throughMs) => change(await reader.select(matchers, fromMs, throughMs)),
    streams: (matchers, fromMs, throughMs) => reader.streams(matchers, fromMs, throughMs),
    subscribe: (matchers, listener) => reader.subscribe(matchers, listener),
    watch: onNew => reader.watch(onNew),
    deletions: () => deletions,
  }
}

interface Asked {
  query: string
  fromMs: number
  throughMs: number
  stepMs: number
}

async function answer(world: World, reader: LogsReader, { query, fromMs, throughMs, stepMs }: Asked): Promise<unknown> {
  const engine = new LogqlEngine(world.clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
  const expr = metricOf(parseLogql(query))
  const { series } = await engine.range(expr, fromMs, throughMs, stepMs, reader, false)
  return series.map(({ labels, values, present }) => [labels.toString(), [...values], [...present]])
}

/** Keys that are fetched while the work is done. */
async function fetchedBy(world: World, work: () => Promise<unknown>): Promise<string[]> {
  const { bucket } = world
  const get = bucket.get.bind(bucket)
  const keys: string[] = []
  bucket.get = (key, ...rest) => {
    keys.push(key)
    return get(key, ...rest)
  }
  try {
    await work()
  } finally {
    bucket.get = get
  }
  return keys
}

const all: Asked = { query: '', fromMs: startMs, throughMs: startMs + hourMs, stepMs: 60_000 }
const queries = [
  'count_over_time({env="prod", app!="traced"}[1m])',
  'sum by (app) (count_over_time({env="prod"}[5m]))',
  'sum by (level_name) (rate({env="prod"}[90s]))',
  'sum(bytes_over_time({env="prod"}[1m]))',
  'sum by (app) (bytes_rate({env="prod"} | level_name="error" [7m] offset 3s))',
  'sum by (zone) (count_over_time({env="prod"} | level_name!="info" | drop zone [1h]))',
  'sum by (l) (count_over_time({env="prod"} | label_format l=level_name [2m]))',
  'sum by (level_name) (count_over_time({env="prod"} | keep level_name [1m]))',
  'absent_over_time({env="prod"} | level_name="fatal" [1m])',
]

test('columns and lines give the same numbers, at every window', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const random = seededRandom(3)
  for (const query of queries)
    for (let round = 0; round < 6; round++) {
      const fromMs = startMs + below(random, hourMs)
      const asked = {
        query,
        fromMs,
        throughMs: fromMs + 1000 + below(random, hourMs),
        stepMs: [1000, 10_007, 60_000, hourMs][below(random, 4)]!,
      }
      const counted = await answer(world, engine.reader('fake'), asked)
      assert.deepEqual(counted, await answer(world, reading(engine.reader('fake')), asked), JSON.stringify(asked))
    }
})

test('a window that begins within a millisecond is asked of the lines', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const logql = new LogqlEngine(world.clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
  const expr = metricOf(parseLogql('sum by (app) (count_over_time({app=~"fine|plain"}[10m]))'))
  for (let i = 0; i < 40; i++) {
    const ms = startMs + Math.floor(((1000 + i * 50) * hourMs) / 9000)
    const subNs = ((1000 + i * 50) * 7919 + (i % 3) - 1) % 1_000_000
    const ask = async (reader: LogsReader): Promise<unknown> =>
      (await logql.instant(expr, ms, subNs, reader, false)).series.map(s => [s.labels.toString(), [...s.values]])
    assert.deepEqual(await ask(engine.reader('fake')), await ask(reading(engine.reader('fake'))), `${ms}.${subNs}`)
  }
})

test('chunks are not fetched to be counted, but for those without columns', async () => {
  const world = makeWorld(startMs)
  await filled(world)
  const fresh = await openLogs(world.clock, { ...world, files: new MemoryFiles(), readOnly: true })
  const fetchedOf = async (app: string): Promise<string[]> => {
    const query = `sum(count_over_time({app="${app}"}[1m]))`
    const keys = await fetchedBy(world, () => answer(world, fresh.reader('fake'), { ...all, query }))
    return keys.filter(key => /:[0-9a-f]+$/.test(key))
  }
  assert.deepEqual(await fetchedOf('whole'), [])
  assert.equal((await fetchedOf('traced')).length, 1)
  assert.deepEqual(await fetchedOf('small'), [])
})

test('a chunk of very many lines is read, for its columns would take much memory at once', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const asked = { ...all, query: 'sum(count_over_time({app="whole"}[1m]))' }
  const expected = await answer(world, engine.reader('fake'), asked)
  let columnsAsked = 0
  const withEntries = (entries: number): LogsReader =>
    changed(engine.reader('fake'), chunk => ({
      ...chunk,
      entries,
      columns: () => {
        columnsAsked++
        return chunk.columns?.() ?? Promise.resolve(undefined)
      },
    }))
  assert.deepEqual(await answer(world, withEntries(countedLinesMax + 1), asked), expected)
  assert.equal(columnsAsked, 0)
  assert.deepEqual(await answer(world, withEntries(countedLinesMax), asked), expected)
  assert.ok(columnsAsked > 0)
})

test('lines that two chunks have count once', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const asked = { ...all, query: 'sum by (app) (count_over_time({app=~"whole|fine"}[10m]))' }
  const before = await answer(world, engine.reader('fake'), asked)
  const again = new LogBatchBuilder()
  addStream(
    again,
    'whole',
    9000,
    () => 0,
    i => ['level.name', levels[i % 7 === 0 ? 2 : i % 2]!, 'zone', 'a'],
  )
  await append(world, engine, again)
  await driving(world.clock, engine.flush())
  assert.deepEqual(await answer(world, engine.reader('fake'), asked), before)
})

test('lines that a deletion hides are not counted', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const notice: DeletionNotice = {
    id: '1',
    query: '{app="whole"} |= "7"',
    fromMs: startMs,
    throughMs: startMs + hourMs,
  }
  const asked = { ...all, query: 'sum by (app) (count_over_time({app=~"whole|fine"}[1h]))' }
  const hidden = withSelect(engine.reader('fake'), streams => [...streams], [notice])
  const counted = await answer(world, hidden, asked)
  assert.deepEqual(
    counted,
    await answer(
      world,
      withSelect(reading(engine.reader('fake')), s => [...s], [notice]),
      asked,
    ),
  )
  assert.notDeepEqual(counted, await answer(world, engine.reader('fake'), asked))
})

for (const [name, edit] of [
  ['missing', () => undefined],
  ['cut short', bytes => bytes.slice(0, bytes.length - 1)],
  ['with a bit lost', bytes => bytes.map((byte, i) => (i === bytes.length - 40 ? byte ^ 1 : byte))],
  ['of a newer version', bytes => bytes.map((byte, i) => (i === 4 ? byte + 1 : byte))],
] satisfies [string, (bytes: Uint8Array) => Uint8Array | undefined][])
  test(`a table ${name}: the lines are counted`, async () => {
    const world = makeWorld(startMs)
    const engine = await filled(world)
    const asked = { ...all, query: 'sum by (app, level_name) (count_over_time({env="prod"}[5m]))' }
    const before = await answer(world, reading(engine.reader('fake')), asked)
    const { objects } = world.bucket
    for (const [key, object] of objects) {
      if (!key.startsWith('fake/tercet/tables/')) continue
      const edited = edit(object.bytes)
      if (edited === undefined) objects.delete(key)
      else object.bytes = edited
    }
    const fresh = await openLogs(world.clock, { ...world, files: new MemoryFiles(), readOnly: true })
    const reader = fresh.reader('fake')
    assert.deepEqual(await answer(world, reader, asked), before)
    assert.deepEqual(reader.omissions.texts(), [])
    const needle = {
      ...all,
      throughMs: all.fromMs + hourMs,
      stepMs: hourMs,
      query: 'sum(count_over_time({app="whole"} |= "whole 4711 " [1h]))',
    }
    assert.deepEqual(await answer(world, fresh.reader('fake'), needle), [['{}', [0, 1], [0, 1]]])
  })
