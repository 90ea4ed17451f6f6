/** LogsQL's counts from what lies beside chunks are those of the rows, and chunks are not fetched for them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { ChunkSource, LogsReader } from '#logs/select.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import { Budget } from '../../src/query/budget.ts'
import { countAhead } from '../../src/query/logql/counted-lines.ts'
import { planChunks } from '../../src/query/logql/scan.ts'
import { rowCounter } from '../../src/query/logsql/counted-rows.ts'
import { LogsqlEngine, rangeOfMs, type LogsqlRange } from '../../src/query/logsql/engine.ts'
import { driving, makeWorld, openLogs, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000

/** Three streams over an hour: of whole seconds, of milliseconds, and of nanoseconds. */
async function filled(world: World): Promise<LogsEngine> {
  const engine = await openLogs(world.clock, world)
  const builder = new LogBatchBuilder()
  for (const [app, unitMs, subNs] of [
    ['whole', 1000, 0],
    ['fine', 1, 0],
    ['finer', 1, 123_456],
  ] as const)
    for (let i = 0; i < 6000; i++) {
      const ms = startMs + Math.floor((i * hourMs) / 6000 / unitMs) * unitMs
      const level = ['info', 'warn', 'error'][i % 7 === 0 ? 2 : i % 2]!
      const pairs = i % 5 === 0 ? ['level.name', level] : ['level.name', level, 'zone', 'a']
      builder.add(Labels.fromObject({ app, env: 'prod' }), ms, subNs, `${app} ${i} ${'x'.repeat(60)}`, pairs)
    }
  await driving(world.clock, engine.append('fake', builder.build()))
  await driving(world.clock, engine.flush())
  return engine
}

/** The same reader, whose chunks have nothing beside them. */
function reading(reader: LogsReader): LogsReader {
  const bare = ({ fromMs, throughMs, entries, kilobytes, isInMemory, open }: ChunkSource): ChunkSource => ({
    fromMs,
    throughMs,
    entries,
    kilobytes,
    isInMemory,
    open,
  })
  return Object.assign(Object.create(reader) as LogsReader, {
    omissions: reader.omissions,
    damaged: () => reader.damaged(),
    deletions: () => reader.deletions(),
    select: async (...asked: Parameters<LogsReader['select']>) =>
      (await reader.select(...asked)).map(({ labels, chunks }) => ({ labels, chunks: chunks.map(bare) })),
  })
}

async function answer(world: World, reader: LogsReader, text: string, range: LogsqlRange): Promise<string[]> {
  const engine = new LogsqlEngine(world.clock, defaultLimits)
  const rows: string[] = []
  await engine.run(parseLogsql(text, engine.nowNs), range, reader, undefined, row => {
    rows.push(JSON.stringify([...row].sort()))
    return true
  })
  return rows.sort()
}

const queries = [
  '* | stats count()',
  '{env="prod"} | stats by (app) count() n',
  '{env="prod"} | stats by (app, level.name) count() a, count(*) b',
  '{app="fine"} | stats by (_time:5m) count()',
  '{env="prod"} | stats by (_time:7s offset 3s, zone) count()',
  '{env="prod"} | stats by (_time:90ms, app) count() | stats count(), sum("count(*)")',
  '{env="prod"} level.name:error | stats by (_time:1h) count()',
  '{env="prod"} !zone:a app:~"fine.*" | stats by (_stream) count()',
  '{env="prod"} (app:whole or level.name:warn) | stats by (nowhere) count() | sort by (nowhere)',
  '{env="prod"} _time:20m | stats by (app) count()',
  '* | stats by (_time:month) count()',
  '* | stats by (_msg) count() | stats count()',
  '{env="prod"} fine | stats count()',
  '{env="prod"} | stats by (app) count() if (zone:a)',
]

test('counts are those of the rows, at every bound', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  await world.clock.advance(hourMs)
  const random = seededRandom(4)
  for (const query of queries)
    for (let round = 0; round < 5; round++) {
      const fromMs = startMs + (round === 0 ? 0 : below(random, hourMs))
      const whole = rangeOfMs(fromMs, fromMs + (round === 0 ? hourMs : below(random, hourMs)))
      const range =
        round < 3 ? whole : { fromNs: whole.fromNs + BigInt(below(random, 1e6)), throughNs: whole.throughNs - 876_544n }
      assert.deepEqual(
        await answer(world, engine.reader('fake'), query, range),
        await answer(world, reading(engine.reader('fake')), query, range),
        `${query} from ${range.fromNs} through ${range.throughNs}`,
      )
    }
})

test('no chunk is fetched to count rows', async () => {
  const world = makeWorld(startMs)
  await filled(world)
  const fresh = await openLogs(world.clock, { ...world, files: new MemoryFiles(), readOnly: true })
  const get = world.bucket.get.bind(world.bucket)
  const chunks: string[] = []
  world.bucket.get = key => {
    if (/:[0-9a-f]+$/.test(key)) chunks.push(key)
    return get(key)
  }
  const range = rangeOfMs(startMs, startMs + hourMs)
  for (const query of queries.slice(0, 5)) await answer(world, fresh.reader('fake'), query, range)
  assert.deepEqual(chunks, [])
  await answer(world, fresh.reader('fake'), '{app="fine"} fine | stats count()', range)
  assert.equal(chunks.length, 1)
})

test('rows that two chunks have count once', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const range = rangeOfMs(startMs, startMs + hourMs)
  const before = await answer(world, engine.reader('fake'), queries[2]!, range)
  const again = new LogBatchBuilder()
  for (let i = 0; i < 6000; i++) {
    const level = ['info', 'warn', 'error'][i % 7 === 0 ? 2 : i % 2]!
    const pairs = i % 5 === 0 ? ['level.name', level] : ['level.name', level, 'zone', 'a']
    const ms = startMs + Math.floor((i * hourMs) / 6000)
    again.add(Labels.fromObject({ app: 'fine', env: 'prod' }), ms, 0, `fine ${i} ${'x'.repeat(60)}`, pairs)
  }
  await driving(world.clock, engine.append('fake', again.build()))
  await driving(world.clock, engine.flush())
  assert.deepEqual(await answer(world, engine.reader('fake'), queries[2]!, range), before)
})

test('what a chunk counts goes to the sink before the next chunk: the sink bounds what is held', async () => {
  const world = makeWorld(startMs)
  const engine = await filled(world)
  const { filter, pipes } = parseLogsql('{env="prod"} | stats by (_time:1s, app) count()', 0n)
  const bounds = { from: { ms: startMs, subNs: 0 }, through: { ms: startMs + hourMs, subNs: 999_999 } }
  const counter = rowCounter(filter, pipes[0], bounds)
  assert.ok(counter !== undefined)
  const budget = new Budget(world.clock, 1e9, 1e9)
  const context = { nowMs: 0, seconds: 1, rowsMax: 1e6, resultsOf: new Map(), budget, waiting: [] }
  const reader = engine.reader('fake')
  const { tasks } = await planChunks(reader, [], startMs, startMs + hourMs, () => startMs)
  let entries = 0
  let written = 0
  for await (const chunk of countAhead(tasks, counter.windows, false, budget)) {
    entries += chunk.task.chunk.entries
    await counter.add(chunk, (_, rows) => (written += rows), context)
    assert.equal(written, entries)
  }
  assert.equal(written, 18_000)
})
