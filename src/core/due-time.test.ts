import assert from 'node:assert/strict'
import test from 'node:test'
import { nextDueMs, timeOfRunMs } from './due-time.ts'

test('a key has one place in every interval, after now and at most one interval away', () => {
  for (const key of ['', 'a', 'http://127.0.0.1:9100/metrics', 'rules.yml;group']) {
    const first = nextDueMs(key, 15_000, 0)
    assert.ok(first > 0 && first <= 15_000)
    assert.equal(nextDueMs(key, 15_000, first - 1), first)
    assert.equal(nextDueMs(key, 15_000, first), first + 15_000)
  }
})

test('many keys are spread over the interval', () => {
  const quarters = [0, 0, 0, 0]
  for (let i = 0; i < 4000; i++) quarters[Math.floor((nextDueMs(`target ${i}`, 1000, 0) - 1) / 250)]!++
  assert.ok(
    quarters.every(count => count > 800),
    quarters.join(),
  )
})

test('work has its planned time, unless the clock was set meanwhile', () => {
  const dueMs = 1_700_000_000_000
  for (const lateMs of [-2, 0, 500, 70_000]) assert.equal(timeOfRunMs(dueMs, 15_000, dueMs + lateMs), dueMs)
  for (const setMs of [-10_800_000, 10_800_000]) assert.equal(timeOfRunMs(dueMs, 15_000, dueMs + setMs), dueMs + setMs)
})
