import assert from 'node:assert/strict'
import test from 'node:test'
import { backoffMs, Pauses } from './backoff.ts'
import { VirtualClock } from './virtual-clock.ts'

test('each pause is twice the one before, up to the longest', () => {
  const pauses = (leastMs: number, mostMs: number, attempts: readonly number[]): number[] =>
    attempts.map(attempt => backoffMs(attempt, { leastMs, mostMs }))
  assert.deepEqual(pauses(100, 5000, [0, 1, 2, 5, 6, 7, 1e6]), [100, 200, 400, 3200, 5000, 5000, 5000])
  assert.deepEqual(pauses(0, 5000, [0, 1, 2000]), [0, 0, 0])
})

test('a pause ends after its time', async () => {
  const clock = new VirtualClock(0)
  const pauses = new Pauses(clock)
  let isOver = false
  void pauses.wait(100).then(() => {
    isOver = true
  })
  await clock.advance(99)
  assert.equal(isOver, false)
  await clock.advance(1)
  assert.equal(isOver, true)
})

test('all pauses end when their owner stops, and later ones do not begin', async () => {
  const clock = new VirtualClock(0)
  const pauses = new Pauses(clock)
  const both = Promise.all([pauses.wait(1000), pauses.wait(2000)])
  pauses.end()
  await both
  await pauses.wait(1e9)
  assert.equal(clock.nowMs(), 0)
})
