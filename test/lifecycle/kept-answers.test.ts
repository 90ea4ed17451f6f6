/**
 * Answers of PromQL that are kept while the store changes under them: samples of a restart, cuts, merges, deletions,
 * retention, damage, and blocks of other programs. An answer is always the one of an evaluation of all steps. Covers
 * req-002.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { selectorsOf } from '#lang/promql/ast.ts'
import type { MetricsEngine, MetricsOptions } from '#metrics/engine.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { PromqlEngine, type QueryResult, type RangeRequest } from '../../src/query/promql/engine.ts'
import { KeptAnswers } from '../../src/query/promql/kept-answers.ts'
import { metricsView } from '../distant-views.ts'
import { driving, makeWorld, openMetrics, type World } from '../signal-worlds.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const startMs = 1_700_006_400_000
const query = 'sum by (i) (rate(w_total[5m]))'

interface Stage {
  world: World
  engine: MetricsEngine
  /** How much of the last answer was kept: all, some, or none of its steps. */
  ask: (over?: Partial<RangeRequest>) => Promise<{ answer: QueryResult; kept: 'all' | 'some' | 'none' }>
}

/** Six hours of three series, the last of them in memory alone. */
async function filled(options: Partial<MetricsOptions> = {}, isDistant = true): Promise<Stage> {
  const world = makeWorld(startMs)
  const engine = await openMetrics(world.clock, { ...world, defaultTenant: 'anonymous', ...options })
  for (let i = 0; i < 360; i++) {
    await append(world, engine, world.clock.nowMs(), i)
    await world.clock.advance(minuteMs)
  }
  return { world, engine, ask: asking(world, engine, isDistant, options.retentionMs) }
}

/** Each answer is compared with one of which nothing is kept. */
function asking(world: World, engine: MetricsEngine, isDistant: boolean, retentionMs = Infinity): Stage['ask'] {
  const kept = new PromqlEngine(world.clock, defaultLimits, new KeptAnswers(1 << 24))
  const fresh = new PromqlEngine(world.clock, defaultLimits)
  const view = metricsView(engine.door(), { ...world, retentionMs })
  const reader = (): MetricsReader => (isDistant ? view : engine).reader('anonymous')
  return async (over = {}) => {
    const endMs = Math.floor(world.clock.nowMs() / minuteMs) * minuteMs
    const request = { query, startMs: endMs - 4 * hourMs, endMs, stepMs: minuteMs, ...over }
    const { stats: cost, isKept, ...answer } = await driving(world.clock, kept.range(reader(), request))
    const { stats, isKept: _, ...wanted } = await driving(world.clock, fresh.range(reader(), request))
    assert.deepEqual(answer, wanted)
    const share = isKept !== true ? 'none' : cost.samples === 0 ? 'all' : 'some'
    assert.ok(share !== 'some' || cost.samples <= stats.samples)
    return { answer: { ...answer, stats }, kept: share }
  }
}

async function append(world: World, engine: MetricsEngine, atMs: number, value: number, series = 3): Promise<void> {
  const builder = new BatchBuilder()
  for (let i = 0; i < series; i++)
    builder.add(Labels.fromObject({ __name__: 'w_total', i: String(i) }), atMs, value * i)
  await driving(world.clock, engine.append('anonymous', builder.batch))
}

for (const isDistant of [false, true]) {
  const where = isDistant ? ', from another thread' : ''

  test(`only new steps are evaluated while samples come in order${where}`, async () => {
    const { world, engine, ask } = await filled({}, isDistant)
    assert.equal((await ask()).kept, 'none')
    assert.equal((await ask()).kept, 'all')
    for (let i = 0; i < 5; i++) {
      await append(world, engine, world.clock.nowMs(), 400 + i)
      await world.clock.advance(minuteMs)
      assert.equal((await ask()).kept, 'some')
    }
  })

  test(`what is late, cut, deleted and cleaned shows at once${where}`, async () => {
    const { world, engine, ask } = await filled({}, isDistant)
    await ask()
    await append(world, engine, world.clock.nowMs() - 30 * minuteMs - 1, 350, 4)
    assert.equal((await ask()).kept, 'some')
    await driving(world.clock, engine.flush())
    await ask()
    assert.equal((await ask()).kept, 'all')
    const before = await ask()
    const { matchers } = selectorsOf(parsePromql('w_total{i="1"}'))[0]!
    await driving(
      world.clock,
      engine.deleteSeries('anonymous', matchers, world.clock.nowMs() - 2 * hourMs, world.clock.nowMs() - hourMs),
    )
    const after = await ask()
    assert.notDeepEqual(after.answer.series, before.answer.series)
    await driving(world.clock, engine.cleanTombstones())
    await ask()
    await world.clock.advance(30 * hourMs)
    await ask({ endMs: startMs + 6 * hourMs, startMs })
    assert.equal((await ask({ endMs: startMs + 6 * hourMs, startMs })).kept, 'all')
  })

  test(`what the retention hides is not shown, whatever is kept${where}`, async () => {
    const { world, ask } = await filled({ retentionMs: 5 * hourMs }, isDistant)
    const endMs = startMs + 6 * hourMs
    const early = { startMs: endMs - 4 * hourMs, endMs }
    assert.ok((await ask(early)).answer.series[1]!.timesMs[0]! < endMs - 3.9 * hourMs)
    assert.equal((await ask(early)).kept, 'all')
    await world.clock.advance(2 * hourMs)
    const late = await ask(early)
    assert.ok(late.answer.series[1]!.timesMs[0]! > endMs - 3 * hourMs)
    assert.equal((await ask(early)).kept, 'some')
  })
}

test('a block that turns out to be damaged is missed, and named, in the next answer', async () => {
  const { world, engine, ask } = await filled({}, false)
  await driving(world.clock, engine.flush())
  await ask()
  assert.equal((await ask()).kept, 'all')
  for (const key of world.bucket.objects.keys()) if (key.endsWith('/index')) world.bucket.objects.delete(key)
  engine.releaseCaches(Infinity)
  // Whoever reads finds it.
  assert.notEqual((await ask({ query: 'count(w_total)' })).answer.warnings.length, 0)
  const { answer, kept } = await ask()
  assert.notEqual(kept, 'all')
  assert.match(answer.warnings.join(), /incomplete/)
  assert.notEqual((await ask()).kept, 'all')
})
