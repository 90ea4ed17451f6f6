/**
 * Over random lines that are flushed, repeated, erased and read again: what is counted beside chunks is what their
 * lines say, and lines that a filter finds are those that hold its text when all of them are looked at.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { parseLogql, parseLogQuery } from '#lang/logql/parser.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import type { ChunkSource, LogsReader } from '#logs/select.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import { LogqlEngine, metricOf } from '../../src/query/logql/engine.ts'
import { HiddenLines } from '../../src/query/logql/scan.ts'
import { LogsqlEngine, rangeOfMs } from '../../src/query/logsql/engine.ts'
import { driving, makeWorld, openLogs, type World } from '../signal-worlds.ts'

/** Two hours before midnight: chunks lie in one day's index, and in two. */
const startMs = 1_700_006_400_000 + 86_400_000 - 7_200_000
const spanMs = 3 * 3_600_000
const words = [
  'error',
  'Error',
  'timeout after 30s',
  'GET /api/v1/items',
  '\r',
  'naïve café',
  '\u212aelvin',
  'İstanbul',
  'ß',
  '\u0001',
  '\u0001\u0001x',
  '{"level":"warn","k":"v"}',
  'level=info k=w',
  'a_b_c',
  '0123456789',
  '😀😀',
  '\t',
  '\u0000',
]
const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)]!

function lineOf(random: Random): string {
  const kind = below(random, 40)
  if (kind === 0) return ''
  if (kind === 1) return 'y'.repeat(below(random, 100_000))
  const some = Array.from({ length: 1 + below(random, 6) }, () => pick(random, words))
  return `${some.join(pick(random, [' ', '', '_']))}${kind < 20 ? ` id=${random.u32().toString(16)}` : ''}`
}

function metadataOf(random: Random): string[] {
  switch (below(random, 8)) {
    case 0:
    case 1:
      return []
    case 2:
      return ['app', 'other', 'k', 'v']
    case 3:
      return ['a.b', 'dot', 'a_b', 'line']
    case 4:
      return below(random, 12) === 0 ? ['id', random.u32().toString(16)] : ['id', 'x']
    case 5:
      return ['level', pick(random, ['warn', 'ERROR', ''])]
    default:
      return ['k', pick(random, ['v', 'w', '\u212a'])]
  }
}

/** Times of one batch lie close together, at whole seconds, at milliseconds or between them. */
function batchOf(random: Random): LogBatch {
  const builder = new LogBatchBuilder()
  const unitMs = pick(random, [1, 1000, 60_000])
  let ms = Math.floor((startMs + below(random, spanMs)) / unitMs) * unitMs
  const isOrdered = below(random, 3) > 0
  const stepMs = pick(random, [0, 1, 10, 4000])
  const app = pick(random, ['a', 'b', 'c'])
  for (let n = below(random, pick(random, [5, 200, 1500])); n > 0; n--) {
    ms += isOrdered ? below(random, stepMs + 1) * unitMs : (below(random, 2001) - 1000) * unitMs
    // Within the span, in whole units.
    ms = startMs + ((((ms - startMs) % spanMs) + spanMs) % spanMs)
    const subNs = unitMs > 1 || below(random, 2) === 0 ? 0 : pick(random, [0, 1, 500_000, 999_999])
    builder.add(Labels.fromObject({ app, env: 'prod' }), ms, subNs, lineOf(random), metadataOf(random))
  }
  const batch = builder.build()
  // Bytes that are no UTF-8.
  for (let i = 0; i < batch.bytes.length; i++) if (batch.bytes[i] === 1) batch.bytes[i] = 0xff
  return batch
}

/** The same reader, whose chunks have nothing beside them. */
function bare(reader: LogsReader): LogsReader {
  const bareChunk = ({ fromMs, throughMs, entries, kilobytes, isInMemory, open }: ChunkSource): ChunkSource => ({
    fromMs,
    throughMs,
    entries,
    kilobytes,
    isInMemory,
    open: () => open(),
  })
  return Object.assign(Object.create(reader) as LogsReader, {
    omissions: reader.omissions,
    damaged: () => reader.damaged(),
    deletions: () => reader.deletions(),
    select: async (...asked: Parameters<LogsReader['select']>) =>
      (await reader.select(...asked)).map(({ labels, chunks }) => ({ labels, chunks: chunks.map(bareChunk) })),
  })
}

const counted = [
  'sum by (app) (count_over_time({env="prod"}[WINDOW]))',
  'sum by (k, a_b) (count_over_time({env="prod"}[WINDOW]))',
  'count_over_time({env="prod"} | k="v" [WINDOW])',
  'sum by (app, app_extracted) (bytes_over_time({env="prod"}[WINDOW]))',
  'sum by (detected_level) (rate({env="prod"} | app_extracted="" [WINDOW]))',
  'sum(bytes_rate({env="prod"} | id!="x" [WINDOW]))',
]
const countedRows = [
  '{env="prod"} | stats count()',
  '{env="prod"} | stats by (app, k) count() n',
  '{env="prod"} k:v | stats by (_time:10s, a.b) count()',
  '{env="prod"} !level:warn | stats by (_time:7m offset 3s) count()',
  '{env="prod"} app:other | stats by (app, _stream) count()',
]
const regexes = [
  'error.*timeout',
  '(?i)ERROR',
  '(?i)kelvin',
  '(?i)istanbul',
  '(?i)STRASSE|ß',
  'id=[0-9a-f]{4,}',
  '(items|café)',
  'a_b_c?x?',
  '^$',
  '\\r$',
  '(?:GET )?/api/v1/items',
  'naïve( café)?',
  '(?i)get /API',
  '"level":"(warn|info)"',
  'a_b_c(_| |)0123456789',
]

async function vector(world: World, reader: LogsReader, query: string, asked: number[]): Promise<unknown> {
  const engine = new LogqlEngine(world.clock, defaultLimits, { seriesMax: 5000, stepsMax: 11_000 })
  const [fromMs, throughMs, stepMs] = asked as [number, number, number]
  const { series } = await engine.range(metricOf(parseLogql(query)), fromMs, throughMs, stepMs, reader, false)
  return series.map(({ labels, values, present }) => [labels.toString(), [...values], [...present]]).sort()
}

async function rows(
  world: World,
  reader: LogsReader,
  query: string,
  fromMs: number,
  throughMs: number,
): Promise<string[]> {
  const engine = new LogsqlEngine(world.clock, defaultLimits)
  const found: string[] = []
  await engine.run(parseLogsql(query, engine.nowNs), rangeOfMs(fromMs, throughMs), reader, undefined, row => {
    found.push(JSON.stringify([...row].sort()))
    return true
  })
  return found.sort()
}

async function lines(world: World, reader: LogsReader, query: string): Promise<string[]> {
  const engine = new LogqlEngine(world.clock, defaultLimits, { seriesMax: 5000, stepsMax: 11_000 })
  const bounds = { fromMs: startMs - spanMs, fromSubNs: 0, toMs: startMs + 3 * spanMs, toSubNs: 0 }
  const asked = { bounds, limit: 1_000_000, isBackward: false, intervalNs: 0 }
  const found = (await engine.lines(parseLogQuery(query), asked, reader)).lines.map(({ line }) => line)
  assert.deepEqual(reader.omissions.texts(), [])
  return found
}

async function check(world: World, reader: () => LogsReader, random: Random, what: string): Promise<void> {
  for (let round = 0; round < 4; round++) {
    const unitMs = pick(random, [1, 1000, 60_000])
    const fromMs = Math.floor((startMs + below(random, spanMs)) / unitMs) * unitMs
    const asked = [fromMs, fromMs + below(random, spanMs), pick(random, [997, 1000, 60_000, spanMs])]
    const query = pick(random, counted).replace('WINDOW', pick(random, ['1s', '500ms', '1m', '3h', '17s']))
    if ((asked[1]! - asked[0]!) / asked[2]! > 3000) asked[1] = asked[0]! + asked[2]! * 3000
    const shown = `${what}: ${query} ${asked.join()}`
    assert.deepEqual(
      await vector(world, reader(), query, asked),
      await vector(world, bare(reader()), query, asked),
      shown,
    )
    const rowQuery = pick(random, countedRows)
    const throughMs = fromMs + below(random, spanMs)
    assert.deepEqual(
      await rows(world, reader(), rowQuery, fromMs, throughMs),
      await rows(world, bare(reader()), rowQuery, fromMs, throughMs),
      `${what}: ${rowQuery} ${fromMs} ${throughMs}`,
    )
  }
  const all = await lines(world, bare(reader()), '{env="prod"}')
  const total = await vector(world, reader(), `sum(count_over_time({env="prod"}[4d]))`, [
    startMs + 4 * spanMs,
    startMs + 4 * spanMs,
    1000,
  ])
  assert.equal((total as [string, number[]][])[0]?.[1][0] ?? 0, all.length, what)
  for (let round = 0; round < 4; round++) {
    const source = all[below(random, Math.max(1, all.length))] ?? ''
    const from = below(random, Math.max(1, source.length - 8))
    const text = below(random, 2) === 0 ? pick(random, words) : source.slice(from, from + 1 + below(random, 12))
    if (!text.isWellFormed() || text.includes('\ufffd') || text === '') continue
    const quoted = JSON.stringify(text)
    assert.deepEqual(
      await lines(world, reader(), `{env="prod"} |= ${quoted}`),
      all.filter(line => line.includes(text)),
      `${what}: ${quoted}`,
    )
    const regex = pick(random, regexes)
    const compiled = compileRe2(regex)
    assert.deepEqual(
      await lines(world, reader(), `{env="prod"} |~ ${JSON.stringify(regex)}`),
      all.filter(line => compiled.matcher(line).find()),
      `${what}: ${regex}`,
    )
  }
}

/** Appends, flushes, erases and opens anew in random order. */
async function run(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const world = makeWorld(startMs + spanMs + 3_600_000)
  const options = {
    deletionDelayMs: 60_000,
    hides: (notices: ConstructorParameters<typeof HiddenLines>[0]) =>
      new HiddenLines(notices, () => world.clock.nowMs()),
  }
  let engine = await openLogs(world.clock, { ...world, ...options, random: seededRandom(seed) })
  const batches: LogBatch[] = []
  const append = async (batch: LogBatch): Promise<void> => {
    const { problems } = await driving(world.clock, engine.append('fake', batch))
    assert.deepEqual(problems, [])
  }
  const steps: Record<string, () => Promise<unknown>> = {
    append: async () => {
      const batch = batchOf(random)
      batches.push(batch)
      await append(batch)
    },
    repeat: async () => {
      if (batches.length > 0) await append(pick(random, batches))
    },
    flush: () => driving(world.clock, engine.flush()),
    erase: async () => {
      const query = pick(random, ['{app="a"}', '{app="b"} |= "error"', '{env="prod"} | k="v"', '{app=~".+"} |~ "^$"'])
      const fromMs = startMs + below(random, spanMs)
      await driving(world.clock, engine.requestDeletion('fake', query, fromMs, fromMs + below(random, spanMs)))
    },
    wait: async () => {
      await world.clock.advance(pick(random, [10_000, 120_000, 8_000_000]))
      await driving(world.clock, engine.maintain())
    },
    open: async () => {
      await driving(world.clock, engine.close())
      engine = await openLogs(world.clock, { ...world, ...options, random: seededRandom(seed + 1) })
    },
  }
  const order = ['append', 'append', 'append', 'repeat', 'flush', 'flush', 'erase', 'wait', 'wait', 'open']
  const done: string[] = []
  for (let step = 0; step < 14; step++) {
    const name = pick(random, order)
    done.push(name)
    await steps[name]!()
    if (step % 3 === 2) await check(world, () => engine.reader('fake'), random, `${seed} ${done.join()}`)
  }
  await driving(world.clock, engine.flush())
  const fresh = await openLogs(world.clock, { ...world, ...options, files: new MemoryFiles(), readOnly: true })
  await check(world, () => fresh.reader('fake'), random, `${seed} ${done.join()}, by another process`)
}

test('bytes that are no UTF-8 are found as what they are shown as', async () => {
  const world = makeWorld(startMs)
  const engine = await openLogs(world.clock, world)
  const builder = new LogBatchBuilder()
  for (const line of ['bad \u0001bytes here', 'good bytes here'])
    builder.add(Labels.fromObject({ app: 'a', env: 'prod' }), startMs, 0, line)
  const batch = builder.build()
  for (let i = 0; i < batch.bytes.length; i++) if (batch.bytes[i] === 1) batch.bytes[i] = 0xff
  await driving(world.clock, engine.append('fake', batch))
  await driving(world.clock, engine.flush())
  const reader = (): LogsReader => engine.reader('fake')
  for (const filter of ['|~ `\ufffdbytes h.re`', '|> `<_>\ufffdbytes here`'])
    assert.deepEqual(await lines(world, reader(), `{app="a"} ${filter}`), ['bad \ufffdbytes here'], filter)
  for (const filter of ['~"\ufffdbytes"', 'seq("bad", "\ufffd")', '="bad \ufffdbytes here"', '~"bad \ufffd"'])
    assert.equal((await rows(world, reader(), `{env="prod"} ${filter}`, startMs, startMs + 1)).length, 1, filter)
})

/** More are tried by hand. */
const seeds = Number(process.env['LOG_PROPERTY_SEEDS'] ?? 4)
for (let seed = 1; seed <= seeds; seed++)
  test(`what is counted and found is what lines say, seed ${seed}`, () => run(seed))
