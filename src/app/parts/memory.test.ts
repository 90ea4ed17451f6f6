/** Caches give memory back when nobody asks. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits, memoryShares } from '#core/limits.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { QueryGate } from '#query/gate.ts'
import { measureMemory } from './memory.ts'

const mebibyte = 1024 ** 2

test('caches are kept while there are queries, and give back most a minute after the last one', async () => {
  const clock = new VirtualClock(0)
  const memory = new MemoryBudget(1024 * mebibyte, memoryShares)
  const gate = new QueryGate(clock, defaultLimits)
  let cached = 200 * mebibyte
  memory.account('caches').measured(() => cached)
  memory.account('caches').onShortage(bytes => {
    cached -= bytes
  })
  const after = async (ms: number): Promise<number> => {
    await clock.advance(ms)
    measureMemory({ memory, gate })
    return cached / mebibyte
  }
  assert.equal(await after(59_000), 200)
  await gate.run(undefined, Infinity, () => clock.advance(30_000))
  assert.equal(await after(59_000), 200)
  let end = (): void => {}
  const running = gate.run(undefined, Infinity, () => new Promise<void>(resolve => (end = resolve)))
  assert.equal(await after(90_000), 200)
  end()
  await running
  assert.equal(await after(59_000), 200)
  assert.equal(await after(1000), 32)
  assert.equal(await after(60_000), 32)
})
