/** Tenants that send nothing any more leave memory and limit; what is in blocks is found, and they may return. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LimitError } from '#core/errors.ts'
import { signals } from '#core/signal-name.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const minuteMs = 60_000

for (const name of signals) {
  test(`${name}: a tenant that was idle for an hour makes room for another one, and is still answered`, async () => {
    const world = new StoreWorld()
    const { clock } = world
    const store = await openStore[name](world, { tenantsMax: 2 })
    await driving(clock, store.send([{ n: 1 }], 'first'))
    await driving(clock, store.send([{ n: 2 }], 'busy'))
    await driving(clock, store.signal.flush())
    const held = store.signal.headBytes
    await assert.rejects(driving(clock, store.send([{ n: 3 }], 'third')), LimitError)
    for (let i = 0; i < 130; i++) {
      await clock.advance(minuteMs)
      await driving(clock, store.send([{ n: 10 + i }], 'busy'))
    }
    await driving(clock, store.signal.flush())
    if (name === 'metrics') assert.ok(store.signal.headBytes < held)
    await driving(clock, store.send([{ n: 3 }], 'third'))
    await assert.rejects(driving(clock, store.send([{ n: 4 }], 'first')), LimitError)
    assert.deepEqual(await driving(clock, store.shown('first')), [1])
    const busy = await driving(clock, store.shown('busy'))
    assert.deepEqual(busy, [2, ...Array.from({ length: 130 }, (_, i) => 10 + i)])
  })

  test(`${name}: a tenant that comes back after it left is taken in, over a restart too`, async () => {
    const world = new StoreWorld()
    const { clock } = world
    const store = await openStore[name](world)
    for (let n = 1; n < 4; n++) {
      await driving(clock, store.send([{ n, group: n === 2 ? 'b' : 'a' }]))
      await driving(clock, store.signal.flush())
      for (let i = 0; i < 130; i++) await clock.advance(minuteMs)
    }
    await driving(clock, store.send([{ n: 4, group: 'c' }]))
    assert.deepEqual(await driving(clock, store.shown()), [1, 2, 3, 4])
    await driving(clock, store.signal.close())
    const again = await openStore[name](world)
    assert.deepEqual(await driving(clock, again.shown()), [1, 2, 3, 4])
  })

  test(`${name}: what came in and is not in a block keeps its tenant, also while the bucket is away`, async () => {
    const world = new StoreWorld()
    const { clock, bucket } = world
    const store = await openStore[name](world, { tenantsMax: 1 })
    bucket.put = bucket.putFile = () => Promise.reject(new Error('the bucket is away'))
    await driving(clock, store.send([{ n: 1 }], 'first'))
    for (let i = 0; i < 130; i++) await clock.advance(minuteMs)
    assert.deepEqual(await driving(clock, store.shown('first')), [1])
    // Of traces it is on the disk by then.
    if (name !== 'traces') await assert.rejects(driving(clock, store.send([{ n: 2 }], 'second')), LimitError)
  })
}
