import assert from 'node:assert/strict'
import test from 'node:test'
import { VirtualClock } from './virtual-clock.ts'
import { yieldEvery } from './yield.ts'

test('yields only when it last did long enough ago', async () => {
  const clock = new VirtualClock(1000)
  let yields = 0
  clock.yield = () => {
    yields++
    return Promise.resolve()
  }
  const pause = yieldEvery(clock, 10)
  await pause()
  assert.equal(yields, 1, 'at the first call')
  await pause()
  assert.equal(yields, 1, 'not at once again')
  let nowMs = 1009
  clock.monotonicMs = () => nowMs
  await pause()
  assert.equal(yields, 1, 'nor before the time is over')
  nowMs = 1010
  await pause()
  assert.equal(yields, 2)
})
