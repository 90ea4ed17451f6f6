/** Long batches that nobody changes are stored in parts: outcome, content and refusals are those of one part. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { LimitError, UnavailableError } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { BatchBuilder, type WriteBatch } from '#model/write-batch.ts'
import { Budget } from '../../src/query/budget.ts'
import { runLogQuery } from '../../src/query/logql/log-query.ts'
import { driving, makeWorld, openLogs, openMetrics, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000

const frozen = <T extends { isFrozen: boolean }>(batch: T): T => Object.assign(batch, { isFrozen: true })

/** 27,000 samples of 9,000 series; some are too old, in the future, twice, of series that can't be. */
function samplesToStore(): WriteBatch {
  const builder = new BatchBuilder()
  const { batch } = builder
  for (let i = 0; i < 9000; i++) {
    const name = i % 1000 === 17 ? { a: 'x'.repeat(5000) } : { a: `${i}` }
    const series = builder.addSeries(Labels.fromObject({ __name__: 'm', ...name }))
    batch.addSample(series, startMs - 3000, i)
    batch.addSample(series, i % 1000 === 5 ? startMs - 100 * hourMs : startMs - 2000, i)
    batch.addSample(series, i % 1000 === 7 ? startMs + 100 * hourMs : startMs - (i % 1000 === 9 ? 2000 : 1000), -i)
    const histogram = Object.assign(new FloatHistogram(), { count: 3, sum: i, zeroCount: 3 })
    if (i % 3 === 0) batch.addHistogram(series, startMs - (i % 999 === 0 ? 1000 : 500), 0, histogram)
    if (i % 4 === 0)
      batch.exemplars.push({ series, labels: Labels.fromObject({ t: `${i}` }), value: i, timeMs: startMs - 1000 })
  }
  batch.metadata.push({ metric: 'm', type: 'gauge', help: 'help', unit: '' })
  batch.namesRefused = true
  return batch
}

async function samplesOf({ clock }: World, engine: MetricsEngine): Promise<string[]> {
  const found: string[] = []
  const columns = new SampleColumns()
  const matchers = [makeMatcher('=', '__name__', 'm')]
  const set = await driving(clock, engine.reader('fake').select(matchers, -Infinity, Infinity))
  for (let i = 0; i < set.labels.length; i++) {
    await set.load(i, i + 1)
    columns.clear()
    set.read(i, columns)
    const values = Array.from({ length: columns.count }, (_, k) => `${columns.values[k]!}@${columns.timesMs[k]!}`)
    found.push(`${String(set.labels[i])} ${values.join(' ')}`)
  }
  const exemplars = engine.exemplars('fake', [matchers], -Infinity, Infinity)
  for (const { labels, exemplars: kept } of exemplars) found.push(`${String(labels)} # ${kept.length}`)
  return [...found.sort(), ...engine.metadata('fake').keys()]
}

test('samples of a long batch: the outcome, the samples and a restart are as with one record', async () => {
  const whole = makeWorld(startMs)
  const parts = makeWorld(startMs)
  const one = await openMetrics(whole.clock, whole)
  const other = await openMetrics(parts.clock, parts)
  const outcome = await driving(whole.clock, one.append('fake', samplesToStore()))
  assert.deepEqual(await driving(parts.clock, other.append('fake', frozen(samplesToStore()))), outcome)
  assert.ok(outcome.stored > 25_000 && outcome.histograms > 2500 && outcome.exemplars > 2000)
  assert.ok(outcome.refused > 30 && outcome.problems.length >= 4, JSON.stringify(outcome.problems))
  assert.deepEqual([other.samplesAppended, other.samplesRefused], [one.samplesAppended, one.samplesRefused])
  const expected = await samplesOf(whole, one)
  assert.ok(expected.length > 10_000)
  assert.deepEqual(await samplesOf(parts, other), expected)
  const again = await openMetrics(parts.clock, parts)
  assert.deepEqual(await samplesOf(parts, again), expected)
})

test('samples: others are acknowledged while a long batch is admitted', async () => {
  const world = makeWorld(startMs)
  const engine = await openMetrics(world.clock, world)
  const acknowledged: string[] = []
  const long = engine.append('fake', frozen(samplesToStore())).then(() => acknowledged.push('long'))
  const builder = new BatchBuilder()
  builder.add(Labels.fromObject({ __name__: 'n' }), startMs, 1)
  const short = engine.append('fake', builder.batch).then(() => acknowledged.push('short'))
  await driving(world.clock, Promise.all([long, short]))
  assert.deepEqual(acknowledged, ['short', 'long'])
})

test('samples: a long batch for which there is no room at all leaves nothing', async () => {
  const world = makeWorld(startMs)
  const limits = { ...defaultLimits, activeSeriesMax: 0 }
  const engine = await openMetrics(world.clock, { ...world, limits })
  await assert.rejects(driving(world.clock, engine.append('fake', frozen(samplesToStore()))), LimitError)
  assert.deepEqual(await samplesOf(world, engine), [])
  assert.equal(engine.samplesAppended, 0)
})

/** Fails when something was written to the log so often. */
function failing(files: MemoryFiles, times = 1): () => void {
  let left = times
  files.onOperation = (operation, path) => {
    if (operation === 'append' && path.includes('wal') && left-- <= 0) throw new Error('no space left')
  }
  return () => {
    files.onOperation = () => {}
  }
}

test('samples: where the log fails in between, the batch is to be sent again, and is stored once', async () => {
  const world = makeWorld(startMs)
  const engine = await openMetrics(world.clock, world)
  const builder = new BatchBuilder()
  builder.add(Labels.fromObject({ __name__: 'n' }), startMs - 3000, 1)
  await driving(world.clock, engine.append('fake', builder.batch))
  const mend = failing(world.files)
  // Something else is flushed while the parts come.
  const long = engine.append('fake', frozen(samplesToStore()))
  builder.batch.timesMs[0] = startMs - 2999
  const short = engine.append('fake', builder.batch)
  short.catch(() => {})
  await assert.rejects(driving(world.clock, long), UnavailableError)
  mend()
  // What the log had before it failed is kept.
  const kept = (await samplesOf(world, engine)).length
  assert.ok(kept > 1000 && kept < 9000, `${kept} series`)
  const outcome = await driving(world.clock, engine.append('fake', frozen(samplesToStore())))
  const fresh = makeWorld(startMs)
  const other = await openMetrics(fresh.clock, fresh)
  assert.deepEqual(await driving(fresh.clock, other.append('fake', samplesToStore())), outcome)
  const expected = await samplesOf(fresh, other)
  assert.deepEqual(await samplesOf(world, engine), expected)
  assert.deepEqual(await samplesOf(world, await openMetrics(world.clock, world)), expected)
})

test('samples and lines count when the log has them: those before a failure, and none behind it', async () => {
  const world = makeWorld(startMs)
  const metrics = await openMetrics(world.clock, world)
  const others = makeWorld(startMs)
  const logs = await openLogs(others.clock, { ...others, admission, streamsMax: 500 })
  const mends = [failing(world.files, 0), failing(others.files, 0)]
  const builder = new BatchBuilder()
  builder.add(Labels.fromObject({ __name__: 'n' }), startMs, 1)
  const lines = new LogBatchBuilder()
  lines.add(Labels.fromObject({ app: 'b' }), startMs, 0, 'line')
  await assert.rejects(driving(world.clock, metrics.append('fake', builder.batch)), UnavailableError)
  await assert.rejects(driving(others.clock, logs.append('fake', lines.build())), UnavailableError)
  assert.deepEqual([metrics.samplesAppended, logs.linesAppended, logs.bytesAppended], [0, 0, 0])
  for (const mend of mends) mend()
  // What failed is begun again with the head of a segment.
  failing(world.files, 2)
  failing(others.files, 2)
  const longSamples = metrics.append('fake', frozen(samplesToStore()))
  const short = metrics.append('fake', builder.batch).then(
    ({ stored }) => stored,
    () => 0,
  )
  await assert.rejects(driving(world.clock, longSamples), UnavailableError)
  const longLines = logs.append('fake', frozen(linesToStore()))
  logs.append('fake', lines.build()).catch(() => {})
  await assert.rejects(driving(others.clock, longLines), UnavailableError)
  const samples = (await samplesOf(world, metrics)).join(' ').match(/@\d+/g)?.length ?? 0
  assert.ok(samples > 1000 && samples < 20_000, `${samples} samples`)
  assert.equal(metrics.samplesAppended, samples + (await driving(world.clock, short)))
  const kept = (await linesOf(others, logs)).length
  assert.ok(kept > 1000 && kept < 19_000, `${kept} lines`)
  assert.equal(logs.linesAppended, kept)
})

/** 20,000 lines: of one large stream, of many small ones, of ones too many; some too old, too long, with bad pairs. */
function linesToStore(): LogBatch {
  const builder = new LogBatchBuilder()
  for (let i = 0; i < 20_000; i++) {
    const app = i % 2 === 0 ? 'large' : `a${i % 1200}`
    const ageMs = i % 1000 === 8 ? 200 * hourMs : i % 1000 === 14 ? 3 * hourMs : 20_000 - i
    const line = i % 1000 === 6 ? 'x'.repeat(300_000) : `error ${i}`
    const name = i % 1000 === 2 ? 'y'.repeat(70_000) : `v${i % 5}`
    builder.add(Labels.fromObject({ app }), startMs - ageMs, i % 7, line, i % 3 === 0 ? [] : ['k.z', name])
  }
  const batch = builder.build()
  batch.namesRefused = true
  batch.isFrozen = false
  return batch
}

const admission = {
  maxAgeMs: 100 * hourMs,
  futureMs: hourMs,
  outOfOrderMs: hourMs,
  lineBytesMax: 262_144,
  labelsPerStreamMax: 15,
  labelNameBytesMax: 1024,
  labelValueBytesMax: 2048,
  metadataPairsMax: 128,
  metadataBytesMax: 65_536,
}

async function linesOf({ clock }: World, engine: LogsEngine): Promise<string[]> {
  const bounds = { fromMs: startMs - 1000 * hourMs, fromSubNs: 0, toMs: startMs + 1000 * hourMs, toSubNs: 0 }
  const { lines } = await driving(
    clock,
    runLogQuery(
      parseLogQuery('{app=~".+"}'),
      { bounds, limit: 100_000, isBackward: false, intervalNs: 0 },
      engine.reader('fake'),
      new Budget(clock, 1e9, 1e9),
      () => clock.nowMs(),
    ),
  )
  return lines.map(entry => JSON.stringify(entry)).sort()
}

test('lines of a long batch: the outcome, the lines and a restart are as with one record', async () => {
  const whole = makeWorld(startMs)
  const parts = makeWorld(startMs)
  const one = await openLogs(whole.clock, { ...whole, admission, streamsMax: 500 })
  const other = await openLogs(parts.clock, { ...parts, admission, streamsMax: 500 })
  const outcome = await driving(whole.clock, one.append('fake', linesToStore()))
  assert.deepEqual(await driving(parts.clock, other.append('fake', frozen(linesToStore()))), outcome)
  assert.ok(outcome.stored > 10_000 && outcome.refused > 1000)
  assert.ok(outcome.problems.length >= 4 && outcome.status === 429, JSON.stringify(outcome.problems))
  assert.deepEqual([other.linesAppended, other.linesRefused], [one.linesAppended, one.linesRefused])
  const expected = await linesOf(whole, one)
  assert.equal(expected.length, outcome.stored)
  assert.deepEqual(await linesOf(parts, other), expected)
  const again = await openLogs(parts.clock, { ...parts, admission, streamsMax: 500 })
  assert.deepEqual(await linesOf(parts, again), expected)
})

test('lines: others are acknowledged while a long batch is admitted', async () => {
  const world = makeWorld(startMs)
  const engine = await openLogs(world.clock, { ...world, admission })
  const acknowledged: string[] = []
  const long = engine.append('fake', frozen(linesToStore())).then(() => acknowledged.push('long'))
  const builder = new LogBatchBuilder()
  builder.add(Labels.fromObject({ app: 'b' }), startMs, 0, 'line')
  const short = engine.append('fake', builder.build()).then(() => acknowledged.push('short'))
  await driving(world.clock, Promise.all([long, short]))
  assert.deepEqual(acknowledged, ['short', 'long'])
})

/** A clock on which every pause is due, and which counts them. */
class PausingClock extends VirtualClock {
  pauses = 0
  #ms = 0

  override monotonicMs(): number {
    return (this.#ms += 1000)
  }
  override yield(): Promise<void> {
    this.pauses++
    return Promise.resolve()
  }
}

test('a long batch of which nothing is stored gives way to others as one that is stored', async () => {
  const { files, bucket } = makeWorld(startMs)
  const clock = new PausingClock(startMs)
  const logs = await openLogs(clock, { files, bucket, admission, streamsMax: 0 })
  const lines = new LogBatchBuilder()
  for (let i = 0; i < 20_000; i++) lines.add(Labels.fromObject({ app: `${i}` }), startMs, 0, 'line')
  clock.pauses = 0
  assert.equal((await logs.append('fake', frozen(lines.build()))).refused, 20_000)
  assert.ok(clock.pauses >= 4, `${clock.pauses} pauses in 20,000 lines`)

  const metrics = await openMetrics(clock, { files, bucket })
  const builder = new BatchBuilder()
  const series = builder.addSeries(Labels.fromObject({ __name__: 'm' }))
  for (let i = 0; i < 40_000; i++) builder.batch.addSample(series, startMs + 1000 * hourMs, i)
  clock.pauses = 0
  assert.equal((await metrics.append('fake', frozen(builder.batch))).refused, 40_000)
  assert.ok(clock.pauses >= 4, `${clock.pauses} pauses in 40,000 samples`)
})

test('metadata alone makes a long batch, too', async () => {
  const world = makeWorld(startMs)
  const engine = await openMetrics(world.clock, world)
  const { batch } = new BatchBuilder()
  for (let i = 0; i < 20_000; i++) batch.metadata.push({ metric: `m${i}`, type: 'gauge', help: 'help', unit: '' })
  await driving(world.clock, engine.append('fake', frozen(batch)))
  assert.equal(engine.metadata('fake').size, 20_000)
  assert.equal((await openMetrics(world.clock, world)).metadata('fake').size, 20_000)
})
