/** The virtual clock, and the repeater on it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Repeater, sleep, systemClock } from './clock.ts'
import { VirtualClock } from './virtual-clock.ts'

test('timers run in the order of their time, equal ones as they were set; a cancelled one never', async () => {
  const clock = new VirtualClock(1000)
  const events: string[] = []
  const note = (text: string) => () => void events.push(`${text} at ${clock.nowMs()}`)
  clock.after(20, note('late'))
  clock.after(10, note('first'))
  clock.after(10, note('second'))
  clock.after(5, note('never')).cancel()
  clock.after(-3, note('at once'))
  await clock.advance(15)
  assert.deepEqual(events, ['at once at 1000', 'first at 1010', 'second at 1010'])
  await clock.advance(5)
  assert.deepEqual(events.at(-1), 'late at 1020')
})

test('a timer that a timer sets runs in the same advance when it is due', async () => {
  const clock = new VirtualClock(0)
  const times: number[] = []
  const again = (): void => {
    times.push(clock.nowMs())
    if (times.length < 4) clock.after(10, again)
  }
  clock.after(10, again)
  await clock.advance(35)
  assert.deepEqual(times, [10, 20, 30])
})

test('sleep resolves when its time has come', async () => {
  const clock = new VirtualClock(0)
  let isOver = false
  void sleep(clock, 100).then(() => (isOver = true))
  await clock.advance(99)
  assert.equal(isOver, false)
  await clock.advance(1)
  assert.equal(isOver, true)
})

test('a repeater counts its interval from the end of a run, and never runs twice at once', async () => {
  const clock = new VirtualClock(0)
  const begins: number[] = []
  const repeater = new Repeater(clock, 100, async () => {
    begins.push(clock.nowMs())
    await sleep(clock, 30)
  })
  await clock.advance(400)
  assert.deepEqual(begins, [100, 230, 360])
  await clock.advance(0)
  const stopped = repeater.stop()
  await clock.advance(200)
  await stopped
  assert.equal(begins.length, 3)
})

test('a repeater that is stopped waits for the run under way', async () => {
  const clock = new VirtualClock(0)
  let isDone = false
  const repeater = new Repeater(clock, 10, async () => {
    await sleep(clock, 50)
    isDone = true
  })
  await clock.advance(10)
  const stopped = repeater.stop()
  await clock.advance(50)
  await stopped
  assert.ok(isDone)
})

test('pieces of work that gave way go on one a turn of the event loop, in their order', async () => {
  let turn = 0
  let isOver = false
  const count = (): void => {
    turn++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const pieces: string[] = []
  const turns = new Set<number>()
  const work = async (name: string): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await systemClock.yield()
      pieces.push(`${name}${i}`)
      turns.add(turn)
    }
  }
  await Promise.all(['a', 'b', 'c'].map(work))
  isOver = true
  assert.deepEqual(pieces, ['a0', 'b0', 'c0', 'a1', 'b1', 'c1', 'a2', 'b2', 'c2'])
  assert.equal(turns.size, 9)
})
