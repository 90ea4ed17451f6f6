/** A worker's memory: garbage does not count, what is held too much is told, and a rest is used. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { MemoryWatch } from './memory-watch.ts'

interface Stage {
  clock: VirtualClock
  watch: MemoryWatch
  memory: { held: number; garbage: number; collected: number; kept: number }
  jobs: number[]
  short: (readonly number[])[]
  reported: number[]
}

const mebibyte = 1024 ** 2

function stage(): Stage {
  const clock = new VirtualClock(0)
  const memory = { held: 0, garbage: 0, collected: 0, kept: 0 }
  const jobs: number[] = []
  const short: (readonly number[])[] = []
  const watched = {
    heldBytes: () => (memory.held + memory.garbage + memory.kept) * mebibyte,
    collectGarbage: () => {
      memory.collected++
      memory.garbage = 0
    },
  }
  const reported: number[] = []
  const watch = new MemoryWatch({
    clock,
    memory: watched,
    bytesMax: 100 * mebibyte,
    isBusy: () => jobs.length > 0,
    letGo: () => {
      memory.kept = 0
    },
    onShort: () => {
      short.push(jobs.slice())
    },
    onHeld: bytes => {
      reported.push(bytes / mebibyte)
    },
  })
  return { clock, watch, memory, jobs, short, reported }
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

test('what is only kept goes before work is short of memory, and stays over a rest', async () => {
  const { clock, watch, memory, jobs, short } = stage()
  memory.kept = 30
  jobs.push(7)
  watch.jobBegan()
  memory.held = 50
  await clock.advance(60)
  jobs.length = 0
  await clock.advance(20_000)
  assert.equal(memory.kept, 30)
  jobs.push(8)
  watch.jobBegan()
  memory.held = 80
  await clock.advance(1000)
  assert.deepEqual([memory.kept, short], [0, []])
})

test('what is held is reported while there is work and at its end, and what is left after a rest', async () => {
  const { clock, watch, memory, jobs, reported } = stage()
  jobs.push(1)
  memory.held = 10
  watch.jobBegan()
  memory.held = 11.5
  memory.garbage = 20
  await clock.advance(40)
  assert.deepEqual(reported, [10])
  await clock.advance(20)
  assert.deepEqual(reported, [10, 31.5])
  memory.held = 12
  await clock.advance(1000)
  assert.deepEqual(reported, [10, 31.5])
  jobs.pop()
  memory.held = 2
  await clock.advance(100)
  assert.deepEqual(reported, [10, 31.5, 22])
  await clock.advance(10_000)
  assert.deepEqual(reported, [10, 31.5, 22, 2])
})

test('garbage is collected when others need memory, and not more often than every half second', () => {
  const { watch, memory, reported } = stage()
  memory.held = 5
  memory.garbage = 50
  watch.collect()
  memory.garbage = 50
  watch.collect()
  assert.deepEqual([memory.collected, reported], [1, [5, 55]])
})
