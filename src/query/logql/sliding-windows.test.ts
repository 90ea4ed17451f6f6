/**
 * Windows that slide give what every window on its own gives, bit for bit; a sample costs a little once, not per
 * window.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { below, seededRandom } from '#core/random.ts'
import { Labels } from '#model/labels.ts'
import { Budget } from '../budget.ts'
import { makeSeries } from './series.ts'
import { overWindows, sortedNumbers } from './sliding-windows.ts'
import { windowFunction } from './window-functions.ts'

const makeBudget = (): Budget => new Budget(systemClock, Infinity, Infinity)
const ops = [
  'quantile_over_time',
  'min_over_time',
  'max_over_time',
  'sum_over_time',
  'avg_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'first_over_time',
  'last_over_time',
  'rate_counter',
  'rate',
] as const

function randomSamples(random: ReturnType<typeof seededRandom>, count: number) {
  const kinds = 1 + below(random, 60)
  const values = Float64Array.from({ length: count }, () => {
    const kind = below(random, 25)
    return kind === 0 ? NaN : kind === 1 ? Infinity : kind === 2 ? -Infinity : (below(random, kinds) - kinds / 2) / 8
  })
  const times = Float64Array.from({ length: count }, () => below(random, 4000) - 1000).sort()
  return { times, values, count }
}

test('all functions over 400 random lists of samples and grids', async () => {
  const seed = 20_261_133
  const random = seededRandom(seed)
  for (let i = 0; i < 400; i++) {
    const samples = randomSamples(random, below(random, 200))
    const stepNs = 1 + below(random, 200)
    const grid = { steps: 1 + below(random, 40), stepNs, rangeNs: 1 + below(random, stepNs * (1 + below(random, 40))) }
    const q = [-1, 0, 0.25, 0.5, 0.9, 1, 2, NaN][below(random, 8)]!
    for (const op of ops) {
      const out = makeSeries(Labels.empty, grid.steps)
      await overWindows(op, q, samples, grid, out, makeBudget())
      const run = windowFunction(op, q, grid.rangeNs)
      for (let step = 0; step < grid.steps; step++) {
        const end = step * stepNs
        const from = samples.times.findIndex(time => time > end - grid.rangeNs && time <= end)
        const to = samples.times.findLastIndex(time => time > end - grid.rangeNs && time <= end) + 1
        const at = `seed ${seed}, ${i}: ${op} ${q} at ${step}`
        assert.equal(out.present[step], from < 0 ? 0 : 1, at)
        if (from >= 0) assert.ok(sameNumber(out.values[step]!, run(samples.times, samples.values, from, to, end)), at)
      }
    }
  }
})

/** Zeros are equal with either sign. */
const sameNumber = (a: number, b: number): boolean => Object.is(a, b) || a === b

test('a quantile reads each sample a few times, though it is in hundreds of windows', async () => {
  const count = 20_000
  let reads = 0
  const times = Float64Array.from({ length: count }, (_, i) => i)
  const counted = new Proxy(
    Float64Array.from({ length: count }, (_, i) => (i * 7919) % 10_007),
    {
      get: (target, name) => {
        if (typeof name === 'string' && /^\d+$/.test(name)) reads++
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    },
  )
  const grid = { steps: 2000, stepNs: 10, rangeNs: 5000 }
  for (const op of ['quantile_over_time', 'max_over_time'] as const) {
    reads = 0
    const out = makeSeries(Labels.empty, grid.steps)
    await overWindows(op, 0.9, { times, values: counted, count }, grid, out, makeBudget())
    assert.ok(out.present.includes(1))
    assert.ok(reads < 10 * count, `${op}: ${reads} reads of ${count} samples`)
  }
})

test('between two looks at the clock there are a few thousand samples', async () => {
  let looks = 0
  const clock = {
    ...systemClock,
    monotonicMs: () => {
      looks++
      return 0
    },
  }
  const count = 200_000
  const times = Float64Array.from({ length: count }, (_, i) => i)
  const grid = { steps: 400, stepNs: 500, rangeNs: 50_000 }
  for (const op of ops) {
    looks = 0
    const out = makeSeries(Labels.empty, grid.steps)
    await overWindows(op, 0.5, { times, values: times, count }, grid, out, new Budget(clock, Infinity, Infinity))
    assert.ok(looks >= count / 16_384, `${op}: ${looks} looks`)
  }
})

test('numbers are sorted as typed arrays sort them, in runs', async () => {
  const random = seededRandom(5)
  const values = Float64Array.from({ length: 50_000 }, () => {
    const kind = below(random, 50)
    return kind === 0 ? NaN : kind === 1 ? -0 : kind === 2 ? 0 : below(random, 1000) - 500
  })
  assert.deepEqual(await sortedNumbers(values, makeBudget()), values.toSorted())
})
