/** A worker's memory: garbage does not count, what is held too much is told, and a rest is used. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { MemoryWatch } from './memory-watch.ts'

interface Stage {
  clock: VirtualClock
  watch: MemoryWatch
  memory: { held: number; garbage: number; collected: number }
  jobs: number[]
  short: (readonly number[])[]
}

function stage(): Stage {
  const clock = new VirtualClock(0)
  const memory = { held: 0, garbage: 0, collected: 0 }
  const jobs: number[] = []
  const short: (readonly number[])[] = []
  const watched = {
    heldBytes: () => memory.held + memory.garbage,
    collectGarbage: () => {
      memory.collected++
      memory.garbage = 0
    },
  }
  const watch = new MemoryWatch(
    clock,
    watched,
    100,
    () => jobs.slice(),
    list => {
      short.push(list)
    },
  )
  return { clock, watch, memory, jobs, short }
}

test('garbage is collected before anybody hears of too little memory, and not at every look', async () => {
  const { clock, watch, memory, jobs, short } = stage()
  jobs.push(7)
  watch.jobBegan()
  memory.held = 60
  memory.garbage = 60
  await clock.advance(60)
  assert.deepEqual([memory.collected, short], [1, []])
  memory.held = 120
  await clock.advance(400)
  assert.deepEqual([memory.collected, short], [1, []])
  await clock.advance(200)
  assert.deepEqual([memory.collected, short], [2, [[7]]])
})

test('a worker that rests for ten seconds collects its garbage once', async () => {
  const { clock, watch, memory, jobs } = stage()
  jobs.push(1)
  watch.jobBegan()
  await clock.advance(100)
  jobs.pop()
  await clock.advance(9000)
  assert.equal(memory.collected, 0)
  jobs.push(2)
  watch.jobBegan()
  await clock.advance(5000)
  jobs.pop()
  await clock.advance(9900)
  assert.equal(memory.collected, 0)
  await clock.advance(60_000)
  assert.equal(memory.collected, 1)
})
