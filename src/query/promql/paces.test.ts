/** Long queries yield: between two looks at the clock they do a bounded amount of work, whatever the operator. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import type { Clock } from '#core/clock.ts'
import { systemClock } from '#core/clock.ts'
import { parseSeriesLine } from '#model/series-notation.ts'
import { makeHeadStore } from '../../../test/head-store.ts'
import { PromqlEngine } from './engine.ts'

const series = 2000
const steps = 60
const store = makeHeadStore()
for (let i = 0; i < series; i++) {
  const points = Array.from({ length: steps }, (_, step) => ((i * 7919 + step * 31) % 1000) / 4).join(' ')
  store.load(parseSeriesLine(`m{pod="pod-${i}",job="job-${i % 7}"} ${points}`), 60_000)
}

/** A clock that is looked at once for every pause. */
function countingClock(): { clock: Clock; looks: () => number } {
  let looks = 0
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => {
      looks++
      return 0
    },
  }
  return { clock, looks: () => looks }
}

const selecting = await looksOf('m')

async function looksOf(query: string): Promise<number> {
  const { clock, looks } = countingClock()
  const request = { query, startMs: 0, endMs: (steps - 1) * 60_000, stepMs: 60_000 }
  await new PromqlEngine(clock, defaultLimits).range(store.reader(), request)
  return looks()
}

test('a selector is looked at every few thousand samples', () => {
  assert.ok(selecting >= (series * steps) / 16_384, `${selecting} looks`)
})

for (const [query, passes] of [
  ['m + m', 2],
  ['m or m', 2],
  ['m and m', 2],
  ['m unless m', 2],
  ['m > 5', 1],
  ['-m', 1],
  ['abs(m)', 1],
  ['clamp(m, 1, 2)', 2],
  ['sum(m)', 1],
  ['avg(m)', 1],
  ['max(m)', 1],
  ['count(m)', 1],
  ['group(m)', 1],
  ['stddev(m)', 1],
  ['quantile(0.9, m)', 4],
  ['topk(5, m)', 4],
  ['topk(1e9, m)', 4],
  ['bottomk(5, m)', 4],
  ['limitk(1e9, m)', 1],
  ['limit_ratio(0.5, m)', 1],
  ['count_values("v", m)', 4],
  ['absent(m)', 1],
  ['scalar(m)', 1],
  ['timestamp(abs(m))', 2],
  ['max_over_time(m[10m])', 4],
  ['label_replace(m, "x", "$1", "pod", "(.*)")', 1],
] as const)
  test(`${query} is looked at every few thousand samples of each of its passes`, async () => {
    const looks = await looksOf(query)
    const least = (series * steps * passes) / 16_384
    assert.ok(looks >= least, `${looks} looks, ${least} are due`)
  })
