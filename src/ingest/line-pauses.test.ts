/** A body of lines gives way to other work by the number of its lines and by their bytes. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { LinePauses } from './line-pauses.ts'

test('a pause is due behind 256 lines, or 64 KiB of them', () => {
  const pausesIn = (lines: number, bytes: number): number => {
    const pauses = new LinePauses(new VirtualClock(0))
    return Array.from({ length: lines }, () => pauses.isDue(bytes)).filter(isDue => isDue).length
  }
  assert.equal(pausesIn(255, 10), 0)
  assert.equal(pausesIn(1024, 10), 4)
  assert.equal(pausesIn(1024, 0), 4)
  assert.equal(pausesIn(10, 1 << 20), 10)
  assert.equal(pausesIn(10, 32 * 1024), 5)
})
