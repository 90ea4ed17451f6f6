/** Aggregations that choose rows or values agree with sorting everything, over random rows with ties, gaps and NaN. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseSeriesLine } from '#model/series-notation.ts'
import { makeHeadStore, scriptEngine } from '../../../test/head-store.ts'
import { PromqlEngine, type RangeRequest } from './engine.ts'

const steps = 4
const grid = { startMs: 0, endMs: (steps - 1) * 60_000, stepMs: 60_000 }
const nanLast = (a: number, b: number): number => Number(Number.isNaN(a)) - Number(Number.isNaN(b))
const nanFirst = (a: number, b: number): number => Number(Number.isNaN(b)) - Number(Number.isNaN(a))

/** Values by series and step; undefined where there is none. */
function randomValues(random: ReturnType<typeof seededRandom>): (number | undefined)[][] {
  const series = 1 + below(random, 30)
  const kinds = 1 + below(random, 12)
  return Array.from({ length: series }, () =>
    Array.from({ length: steps }, () => {
      const kind = below(random, 10)
      return kind === 0 ? undefined : kind === 1 ? NaN : kind === 2 ? Infinity : below(random, kinds)
    }),
  )
}

async function answer(values: readonly (number | undefined)[][], query: string): Promise<Map<string, number[]>> {
  const store = makeHeadStore()
  for (const [i, row] of values.entries()) {
    // A gap is a staleness marker, so that nothing is looked up behind it.
    const points = row.map(v => (v === undefined ? 'stale' : v === Infinity ? '+Inf' : String(v)))
    store.load(parseSeriesLine(`m{pod="${String(i).padStart(3, '0')}"} ${points.join(' ')}`), 60_000)
  }
  const { series } = await scriptEngine.range(store.reader(), { query, ...grid } satisfies RangeRequest)
  return new Map(series.map(s => [s.labels.get('pod') || s.labels.get('v'), s.timesMs.map(ms => ms / 60_000)]))
}

const shown = (steps: Map<string, number[]>): string[] => [...steps].map(([key, at]) => `${key}:${at.join()}`).sort()

test('topk and bottomk choose what a stable sort puts first', async () => {
  const seed = 20_261_131
  const random = seededRandom(seed)
  for (let i = 0; i < 60; i++) {
    const values = randomValues(random)
    const k = 1 + below(random, values.length + 2)
    for (const [op, sign] of [
      ['topk', -1],
      ['bottomk', 1],
    ] as const) {
      const wanted = new Map<string, number[]>()
      for (let step = 0; step < steps; step++) {
        const there = values.map((row, pod) => ({ pod, value: row[step] })).filter(one => one.value !== undefined)
        const order = (a: number, b: number): number => nanLast(a, b) || (a === b ? 0 : sign * (a - b) || 0)
        for (const { pod } of there.sort((a, b) => order(a.value!, b.value!)).slice(0, k)) {
          const key = String(pod).padStart(3, '0')
          wanted.set(key, [...(wanted.get(key) ?? []), step])
        }
      }
      assert.deepEqual(shown(await answer(values, `${op}(${k}, m)`)), shown(wanted), `seed ${seed}, ${i}, ${op}(${k})`)
    }
  }
})

test('quantile is between the neighbours of the sorted values, NaN first', async () => {
  const seed = 20_261_132
  const random = seededRandom(seed)
  for (let i = 0; i < 60; i++) {
    const values = randomValues(random)
    const q = below(random, 101) / 100
    const store = makeHeadStore()
    for (const [pod, row] of values.entries())
      store.load(
        parseSeriesLine(`m{pod="${pod}"} ${row.map(v => (v === Infinity ? '+Inf' : (v ?? 5))).join(' ')}`),
        60_000,
      )
    const { series } = await scriptEngine.range(store.reader(), { query: `quantile(${q}, m)`, ...grid })
    for (let step = 0; step < steps; step++) {
      const sorted = values.map(row => row[step] ?? 5).sort((a, b) => nanFirst(a, b) || (a === b ? 0 : a - b))
      const rank = q * (sorted.length - 1)
      const lower = Math.floor(rank)
      const upper = Math.min(sorted.length - 1, lower + 1)
      const wanted = sorted[lower]! * (1 - (rank - lower)) + sorted[upper]! * (rank - lower)
      assert.ok(Object.is(series[0]!.values[step], wanted), `seed ${seed}, ${i}: quantile(${q}) at ${step}`)
    }
  }
})

test('count_values counts each value at each step, and fails when there are too many', async () => {
  const values = Array.from({ length: 50 }, (_, pod) => Array.from({ length: steps }, (_unused, step) => pod * step))
  assert.equal((await answer(values, 'count_values("v", m)')).size, new Set(values.flat()).size)
  const few = new PromqlEngine(systemClock, { ...defaultLimits, querySamplesMax: 300 })
  const store = makeHeadStore()
  for (const [pod, row] of values.entries()) store.load(parseSeriesLine(`m{pod="${pod}"} ${row.join(' ')}`), 60_000)
  await assert.rejects(few.range(store.reader(), { query: 'count_values("v", m)', ...grid }), { name: 'LimitError' })
})

test('a subquery of more steps than a query may hold samples is refused before it takes memory', async () => {
  const store = makeHeadStore()
  store.load(parseSeriesLine('m 1 1 1'), 60_000)
  for (const query of ['sum_over_time(m[50y:1ms])', 'count_over_time(vector(1)[50y:1ms])'])
    await assert.rejects(scriptEngine.instant(store.reader(), query, 1e12), { name: 'LimitError' })
})
