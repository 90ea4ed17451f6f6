/** A wall clock that jumps, and what may be deleted by it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteadyClock } from './steady-clock.ts'
import { VirtualClock } from './virtual-clock.ts'

const hourMs = 3_600_000

class SetClock extends VirtualClock {
  aheadMs = 0
  override nowMs(): number {
    return super.nowMs() + this.aheadMs
  }
}

test('a jump ahead is believed after an hour, a jump back and a drift at once', async () => {
  const clock = new SetClock(1_700_000_000_000)
  const steady = new SteadyClock(clock)
  const behindMs = (): number => clock.nowMs() - steady.nowMs()
  assert.equal(behindMs(), 0)
  for (let minute = 0; minute < 60; minute++) {
    clock.aheadMs += 1000
    await clock.advance(60_000)
    assert.equal(behindMs(), 0, 'it drifts')
  }
  assert.deepEqual([steady.takeJump(), steady.recentJumpMs, steady.jumps], [0, 0, 0])

  clock.aheadMs += 40 * 24 * hourMs
  assert.equal(behindMs(), 40 * 24 * hourMs)
  assert.deepEqual([steady.takeJump(), steady.takeJump(), steady.jumps], [40 * 24 * hourMs, 0, 1])
  await clock.advance(hourMs / 2)
  assert.equal(behindMs(), 40 * 24 * hourMs)
  assert.equal(steady.recentJumpMs, 40 * 24 * hourMs)
  clock.aheadMs -= 40 * 24 * hourMs
  assert.equal(behindMs(), 0)
  assert.deepEqual([steady.takeJump(), steady.jumps], [-40 * 24 * hourMs, 2])
})

test('a jump ahead that lasts is followed', async () => {
  const clock = new SetClock(1_700_000_000_000)
  const steady = new SteadyClock(clock)
  clock.aheadMs = 3 * hourMs
  assert.equal(clock.nowMs() - steady.nowMs(), 3 * hourMs)
  await clock.advance(hourMs)
  assert.equal(steady.nowMs(), clock.nowMs())
  assert.equal(steady.recentJumpMs, 0)
  clock.aheadMs = -3 * hourMs
  assert.equal(steady.nowMs(), clock.nowMs())
})
