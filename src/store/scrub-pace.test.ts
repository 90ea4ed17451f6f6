/** When blocks are read again: in bursts, at the rate of a gibibyte an hour, and little data not all the time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { ScrubPace } from './scrub-pace.ts'

const mebibyte = 1024 ** 2
const minuteMs = 60_000

test('much is read at a time, and then nothing until it was an hour for each gibibyte', async () => {
  const clock = new VirtualClock(0)
  const pace = new ScrubPace(clock)
  const readAt: number[] = []
  await clock.advance(10 * minuteMs)
  for (let second = 0; second < 3600; second += 10) {
    await pace.round(() => {
      readAt.push(second)
      pace.spent(64 * mebibyte)
      return Promise.resolve()
    })
    await clock.advance(10_000)
  }
  const burst = Array.from({ length: 8 })
  assert.deepEqual(readAt, [...burst.map(() => 0), ...burst.map(() => 1800)])
})

test('a round reads for a second at most, and the next one goes on', async () => {
  const clock = new VirtualClock(0)
  const pace = new ScrubPace(clock)
  await clock.advance(10 * minuteMs)
  let pieces = 0
  const step = async (): Promise<void> => {
    pieces++
    pace.spent(mebibyte)
    await clock.advance(400)
  }
  await pace.round(step)
  assert.equal(pieces, 3)
  await pace.round(step)
  assert.equal(pieces, 6)
})

test('a pass over little data is followed by half an hour of rest', async () => {
  const clock = new VirtualClock(0)
  const pace = new ScrubPace(clock)
  await clock.advance(10 * minuteMs)
  const passes: number[] = []
  for (let minute = 0; minute < 90; minute++) {
    await pace.round(() => {
      pace.spent(1000)
      pace.passEnded()
      passes.push(minute)
      return Promise.resolve()
    })
    await clock.advance(minuteMs)
  }
  assert.deepEqual(passes, [0, 30, 60])
})
