/** Sorting of samples: as a stable sort of pairs would, whatever runs they come in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { below, seededRandom } from '#core/random.ts'
import { Budget } from '../budget.ts'
import { sortSamples } from './sample-sort.ts'

test('samples come in order of time, those of one time as they came', async () => {
  const random = seededRandom(11)
  for (const [count, runs] of [
    [0, 1],
    [1, 1],
    [2, 2],
    [1000, 1],
    [1000, 3],
    [1000, 7],
    [20_000, 5],
    [500, 500],
  ] as const) {
    const spare = 13
    const times = new Float64Array(count + spare)
    let time = 0
    for (let i = 0; i < count; i++) {
      if (i % Math.ceil(count / runs) === 0) time = below(random, 5)
      times[i] = time
      time += below(random, 3)
    }
    const values = Float64Array.from({ length: count + spare }, (_, i) => i)
    const wanted = Array.from({ length: count }, (_, i) => [times[i]!, i] as const).sort((a, b) => a[0] - b[0])
    const sorted = await sortSamples({ times, values }, count, new Budget(new VirtualClock(0), 1e9, 1e9))
    assert.deepEqual(
      wanted.map(([, value]) => value),
      [...sorted.values.subarray(0, count)],
      `${count} samples in ${runs} runs`,
    )
    assert.deepEqual(
      wanted.map(([ms]) => ms),
      [...sorted.times.subarray(0, count)],
    )
  }
})
