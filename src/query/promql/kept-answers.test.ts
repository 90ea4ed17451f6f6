/** Answers that are put together from what was kept are those of an evaluation of all steps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { Labels } from '#model/labels.ts'
import type { Point } from '#model/series-notation.ts'
import { makeHeadStore, scriptEngine } from '../../../test/head-store.ts'
import { PromqlEngine, type QueryResult, type RangeRequest } from './engine.ts'
import { Budget } from '../budget.ts'
import { KeptAnswers, packedRows } from './kept-answers.ts'
import { reachOf } from './reach.ts'
import type { ScriptStore } from './script.ts'
import { Row, RowRoom } from './value.ts'

const minute = 60_000

test('the reach of a query goes through offsets, ranges and subqueries', () => {
  const reach = (query: string): number | undefined => reachOf(parsePromql(query), 5 * minute)
  assert.equal(reach('1'), 0)
  assert.equal(reach('a'), 5 * minute)
  assert.equal(reach('a + rate(b[10m] offset 1h)'), 70 * minute)
  assert.equal(reach('max_over_time(sum(rate(a[5m]))[30m:1m])'), 36 * minute)
  assert.equal(reach('topk(scalar(b offset 20m), a)'), 25 * minute)
  assert.equal(reach('sum by (x) (a or -b)'), 5 * minute)
})

test('queries whose steps depend on the range, or on what comes after them, have none', () => {
  for (const query of [
    'a @ 100',
    'a @ end()',
    'a offset -1m',
    'sum(rate(a[5m] offset -1s))',
    'sum_over_time(a[5m:1m] @ start())',
    'rate(a[range()])',
    'a offset (step() * 2)',
    'rate(a[5m] smoothed)',
    'info(a)',
    'sort(a)',
    'a > end()',
    'sum by (__name__) (a or -b)',
  ])
    assert.equal(reachOf(parsePromql(query), minute), undefined, query)
})

const queries = [
  'a',
  'sum by (x) (a)',
  'rate(a[5m])',
  'sum(increase(a_total[7m]))',
  'avg_over_time(b[10m]) > 40',
  'topk(2, b)',
  'a / on (x) group_left () sum by (x) (b)',
  'quantile_over_time(0.7, b[6m])',
  'histogram_quantile(0.9, rate(h[5m]))',
  'histogram_quantile(0.9, sum by (le) (bucket))',
  'absent(b{x="1"})',
  'max_over_time(rate(a[3m])[10m:1m])',
  'count_values("v", round(b, 20))',
  'time() - timestamp(b offset 3m)',
  'label_replace(a, "z", "$1", "y", "(2)") or b',
  'scalar(sum(b))',
  'predict_linear(b[10m], 60)',
]

/** Everything of an answer but what it cost. */
function shown({ type, series, warnings, infos, text }: QueryResult): unknown {
  return { type, series, warnings, infos, text }
}

function point(random: Random, name: string, atMs: number): Point {
  if (below(random, 12) === 0) return 'stale'
  return name === 'b' ? below(random, 100) : Math.floor(atMs / 1000) + below(random, 5)
}

/** Samples of some series at a time. */
function append(store: ScriptStore, random: Random, atMs: number): void {
  for (const name of ['a', 'a_total', 'b'])
    for (const x of ['1', '2'])
      for (const y of ['1', '2']) {
        if (below(random, 4) === 0) continue
        const labels = Labels.fromObject({ __name__: name, x, y })
        store.load({ labels, points: [undefined, point(random, name, atMs)] }, atMs)
      }
}

function drawnRange(random: Random, nowMs: number): Pick<RangeRequest, 'startMs' | 'endMs' | 'stepMs'> {
  const stepMs = [15_000, minute][below(random, 2)]!
  const endMs = Math.floor((nowMs - below(random, 3) * minute) / stepMs) * stepMs + (below(random, 8) === 0 ? 7 : 0)
  return { startMs: endMs - [5, 20, 40][below(random, 3)]! * minute, endMs, stepMs }
}

test('while samples come, late ones among them, an answer is what it is without anything kept', async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const random = seededRandom(seed)
    const store = makeHeadStore()
    const engine = new PromqlEngine(systemClock, defaultLimits, new KeptAnswers(1 << 20))
    let nowMs = 0
    let kept = 0
    for (let round = 0; round < 250; round++) {
      nowMs += 15_000 * below(random, 3)
      append(store, random, below(random, 6) === 0 ? Math.max(1, nowMs - below(random, 30) * minute) : nowMs + 1)
      if (round < 40) continue
      const query = queries[below(random, queries.length)]!
      const request = { query, ...drawnRange(random, nowMs) }
      const [answer, fresh] = [
        await engine.range(store.reader(), request),
        await scriptEngine.range(store.reader(), request),
      ]
      assert.deepEqual(shown(answer), shown(fresh), `seed ${seed}, round ${round}: ${JSON.stringify(request)}`)
      if (answer.isKept === true) kept++
    }
    assert.ok(kept > 20, `${kept} answers were kept in part`)
  }
})

async function filledStore(): Promise<{ store: ScriptStore; engine: PromqlEngine }> {
  const store = makeHeadStore()
  const points = Array.from({ length: 60 }, (_, i) => i)
  store.load({ labels: Labels.fromObject({ __name__: 'a' }), points }, minute)
  store.load({ labels: Labels.fromObject({ __name__: 'a_total' }), points }, minute)
  return { store, engine: new PromqlEngine(systemClock, defaultLimits, new KeptAnswers(1 << 20)) }
}

const request = { query: 'sum(rate(a_total[5m]))', startMs: 10 * minute, endMs: 50 * minute, stepMs: minute }

test('steps that were asked before are not evaluated again', async () => {
  const { store, engine } = await filledStore()
  const first = await engine.range(store.reader(), request)
  assert.equal(first.isKept, false)
  const again = await engine.range(store.reader(), request)
  assert.equal(again.isKept, true)
  assert.equal(again.stats.samples, 0)
  assert.deepEqual(again.series, first.series)
  const moved = await engine.range(store.reader(), { ...request, startMs: 12 * minute, endMs: 52 * minute })
  assert.ok(moved.stats.samples > 0 && moved.stats.samples * 10 < first.stats.samples, String(moved.stats.samples))
  const fresh = await engine.range(store.reader(), { ...request, isFresh: true })
  assert.equal(fresh.stats.samples, first.stats.samples)
})

test('a sample that comes late changes the steps after it, and none before', async () => {
  const { store, engine } = await filledStore()
  const first = await engine.range(store.reader(), request)
  store.load(
    { labels: Labels.fromObject({ __name__: 'a_total', x: 'late' }), points: [undefined, 5, 900] },
    18 * minute,
  )
  store.load({ labels: Labels.fromObject({ __name__: 'a_total', x: 'late' }), points: [undefined, 50] }, 20 * minute)
  const again = await engine.range(store.reader(), request)
  assert.equal(again.isKept, true)
  const before = (answer: QueryResult): unknown => answer.series[0]!.values.slice(0, 10)
  assert.deepEqual(before(again), before(first))
  assert.deepEqual(again.series, (await scriptEngine.range(store.reader(), request)).series)
  assert.notDeepEqual(again.series, first.series)
})

test('infos of kept steps stay with the answers that they belong to', async () => {
  const { store, engine } = await filledStore()
  const untyped = { ...request, query: 'rate(a[5m])' }
  const { infos } = await engine.range(store.reader(), untyped)
  assert.equal(infos.length, 1)
  assert.deepEqual((await engine.range(store.reader(), untyped)).infos, infos)
  // What is asked for ends before the series begins: nothing is to be said of it.
  const early = { ...untyped, startMs: -60 * minute, endMs: -minute }
  assert.deepEqual((await engine.range(store.reader(), early)).infos, [])
  const moved = { ...untyped, startMs: 20 * minute, endMs: 59 * minute }
  assert.deepEqual((await engine.range(store.reader(), moved)).infos, infos)
})

test('an info that new steps place elsewhere in the query is placed as without anything kept', async () => {
  const { store, engine } = await filledStore()
  const query = 'rate(a[5m]) or rate(a[3m] offset 20m)'
  const narrow = { ...request, query, startMs: 0, endMs: 15 * minute }
  await engine.range(store.reader(), narrow)
  const wide = { ...narrow, endMs: 40 * minute }
  const { infos } = await engine.range(store.reader(), wide)
  assert.deepEqual(infos, (await scriptEngine.range(store.reader(), wide)).infos)
})

test('a warning that names the greatest of a parameter names one of all steps', async () => {
  const { store, engine } = await filledStore()
  const points = Array.from({ length: 60 }, (_, i) => (i === 12 ? NaN : i < 30 ? 0.5 : 3))
  store.load({ labels: Labels.fromObject({ __name__: 'q' }), points }, minute)
  for (const query of ['quantile(scalar(a), a)', 'quantile(scalar(q), a)'])
    for (const endMs of [15 * minute, 16 * minute, 40 * minute]) {
      const growing = { ...request, query, startMs: 10 * minute, endMs }
      const { warnings } = await engine.range(store.reader(), growing)
      assert.equal(warnings.length, 1)
      assert.deepEqual(warnings, (await scriptEngine.range(store.reader(), growing)).warnings)
    }
})

/** Values of groups of series, by group, with one sample a minute. */
function loadGroups(store: ScriptStore, series: readonly [x: string, group: string, from: number, to: number][]): void {
  for (const [x, y, from, to] of series) {
    const points = Array.from({ length: 60 }, (_, i) => (i >= from && i < to ? 1 : undefined))
    store.load({ labels: Labels.fromObject({ __name__: 'g', x, y }), points }, minute)
  }
}

test('which of several equal series are the first goes by no other step', async () => {
  for (const query of [
    'topk(1, sum by (y) (g))',
    'bottomk(1, sum by (y) (g))',
    'limitk(1, sum by (y) (g))',
    'limitk(1, topk(2, sum by (y) (g)))',
  ]) {
    const { store, engine } = await filledStore()
    // The first series of all is gone when the last steps are evaluated by themselves.
    loadGroups(store, [
      ['1', 'late', 0, 10],
      ['2', 'early', 0, 60],
      ['3', 'late', 10, 60],
    ])
    for (const endMs of [30 * minute, 50 * minute]) {
      const wide = { ...request, query, startMs: 0, endMs }
      const answer = await engine.range(store.reader(), wide)
      assert.deepEqual(shown(answer), shown(await scriptEngine.range(store.reader(), wide)), query)
      assert.equal(answer.isKept, endMs > 30 * minute)
    }
  }
})

test('what may be asked without anything kept may be asked when a part is kept', async () => {
  const store = makeHeadStore()
  const points = Array.from({ length: 60 }, (_, i) => i)
  for (const x of ['1', '2', '3', '4'])
    store.load({ labels: Labels.fromObject({ __name__: 'a_total', x }), points }, minute)
  // An info that the later steps do not have: they can't be put together with the earlier ones.
  store.load({ labels: Labels.fromObject({ __name__: 'a_gone' }), points: points.slice(0, 15) }, minute)
  for (const query of ['rate(a_total[5m])', 'rate({__name__=~"a_.*"}[5m])']) {
    const early = { ...request, query, startMs: 5 * minute, endMs: 21 * minute }
    const later = { ...request, query, startMs: 20 * minute, endMs: 59 * minute }
    const wide = { ...request, query, startMs: 6 * minute, endMs: 59 * minute }
    const asked = async (querySamplesMax: number, isKept: boolean): Promise<string> => {
      const kept = isKept ? new KeptAnswers(1 << 20) : undefined
      const engine = new PromqlEngine(systemClock, { ...defaultLimits, querySamplesMax }, kept)
      try {
        if (isKept) await engine.range(store.reader(), early)
        return JSON.stringify([
          shown(await engine.range(store.reader(), later)),
          shown(await engine.range(store.reader(), wide)),
        ])
      } catch (error) {
        return String(error)
      }
    }
    for (let samplesMax = 100; samplesMax < 600; samplesMax += 10) {
      const fresh = await asked(samplesMax, false)
      if (!fresh.startsWith('LimitError')) assert.equal(await asked(samplesMax, true), fresh, `${samplesMax}: ${query}`)
    }
    assert.ok(!(await asked(590, false)).startsWith('LimitError'))
  }
})

test('what would take a quarter of the room or more is not kept, and the oldest goes first', async () => {
  const { store } = await filledStore()
  const kept = new KeptAnswers(4 * 2500)
  const engine = new PromqlEngine(systemClock, defaultLimits, kept)
  await engine.range(store.reader(), { ...request, query: '{__name__=~"a.*"}' })
  assert.equal(kept.bytes, 0)
  for (let i = 0; i < 6; i++) await engine.range(store.reader(), { ...request, query: `a_total + ${i}` })
  assert.equal((await engine.range(store.reader(), { ...request, query: 'a_total + 5' })).isKept, true)
  assert.equal((await engine.range(store.reader(), { ...request, query: 'a_total + 0' })).isKept, false)
  kept.clear()
  assert.equal(kept.bytes, 0)
})

test('answers without series take room, too, and none are kept where there is none', async () => {
  const { store } = await filledStore()
  const kept = new KeptAnswers(1 << 16)
  const engine = new PromqlEngine(systemClock, defaultLimits, kept)
  const isKept = async (query: string, of = engine): Promise<boolean> =>
    (await of.range(store.reader(), { ...request, query })).isKept === true
  for (let i = 0; i < 200; i++) await isKept(`nothing + ${i}`)
  assert.ok(kept.bytes > 1 << 15 && kept.bytes <= 1 << 16, String(kept.bytes))
  assert.equal(await isKept('nothing + 199'), true)
  assert.equal(await isKept('nothing + 0'), false)
  // What is long in it is the query.
  const long = `nothing or vector(1) == 2 or absent(a{x="${'y'.repeat(1 << 13)}"}) == 2`
  assert.deepEqual([await isKept(long), await isKept(long)], [false, false])
  const none = new PromqlEngine(systemClock, defaultLimits, new KeptAnswers(0))
  assert.deepEqual([await isKept('nothing', none), await isKept('nothing', none)], [false, false])
})

test('what is kept holds the memory that it counts, whatever it was made beside', async () => {
  const budget = new Budget(systemClock, Infinity, Infinity)
  const steps = 100
  const rowsOf = (filled: (i: number) => boolean): Row[] => {
    const room = new RowRoom()
    return Array.from({ length: 640 }, (_, i) => {
      const row = new Row(Labels.fromObject({ i: String(i) }), false, steps, room)
      if (filled(i)) row.setFloat(7, i)
      return row
    })
  }
  const held = (rows: readonly Row[]): number =>
    [...new Set(rows.flatMap(row => [row.present.buffer, row.values.buffer]))].reduce((sum, b) => sum + b.byteLength, 0)
  for (const every of [1, 64, 300]) {
    const rows = rowsOf(i => i % every === 0)
    const packed = await packedRows({ rows, steps }, 1 << 20, budget)
    const wanted = rows.filter(row => !row.isEmpty)
    assert.deepEqual(
      packed?.rows.map(row => [row.labels.key, ...row.values]),
      wanted.map(row => [row.labels.key, ...row.values]),
    )
    assert.ok(held(packed!.rows) <= packed!.bytes, `${held(packed!.rows)} of ${packed!.bytes}`)
  }
  // Steps of a long answer, without the rest of it.
  const parts = rowsOf(() => true).map(row => row.part(7, 9))
  const packed = await packedRows({ rows: parts, steps: 2 }, 1 << 20, budget)
  assert.ok(held(packed!.rows) <= packed!.bytes)
  assert.equal(await packedRows({ rows: parts, steps: 2 }, packed!.bytes - 1, budget), undefined)
})
