/** What is kept of blocks for queries is counted, and given back when it is asked for; answers stay the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SignalName } from '#core/signal-name.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

/** As every engine has it. */
interface Caches {
  readonly cacheBytes: number
  readonly headBytes: number
  releaseCaches(bytes: number): void
}

const names: readonly SignalName[] = ['metrics', 'logs', 'traces']

for (const name of names)
  test(`${name}: caches are counted, and give back as much as is asked for`, async () => {
    const world = new StoreWorld()
    const store = await openStore[name](world)
    const numbers = Array.from({ length: 200 }, (_, n) => n)
    await driving(world.clock, store.send(numbers.map(n => ({ n, group: `g${n % 20}` }))))
    // Engines are signals that count what they hold.
    const engine = store.signal as typeof store.signal & Caches
    assert.ok(engine.headBytes > 0)
    await driving(world.clock, store.signal.flush())
    assert.equal(engine.cacheBytes, 0)
    assert.deepEqual(await driving(world.clock, store.shown()), numbers)
    const kept = engine.cacheBytes
    assert.ok(kept > 0)
    engine.releaseCaches(1)
    assert.ok(engine.cacheBytes < kept)
    engine.releaseCaches(Infinity)
    assert.equal(engine.cacheBytes, 0)
    assert.deepEqual(await driving(world.clock, store.shown()), numbers)
    assert.ok(engine.cacheBytes > 0)
  })
