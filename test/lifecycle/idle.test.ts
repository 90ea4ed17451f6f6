/** What a process asks of an object store while nothing comes in: each request costs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryBucket } from '#bucket/memory.ts'
import { signals as signalNames } from '#core/signal-name.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const minuteMs = 60_000
/** Who the writer is, once a minute, as two requests; a listing an hour; now and then a block that is read again. */
const requestsAnHourMax = 75

function counting(bucket: MemoryBucket): { requests: number } {
  const counter = { requests: 0 }
  const { get, put, list, listDirectories } = bucket
  const counted =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      counter.requests++
      return call.apply(bucket, args)
    }
  // Its ranges and sizes are made of `get`.
  Object.assign(bucket, {
    get: counted(get),
    put: counted(put),
    list: counted(list),
    listDirectories: counted(listDirectories),
  })
  return counter
}

for (const name of signalNames)
  test(`${name}: an idle writer on an object store asks it about twice a minute`, async () => {
    const world = new StoreWorld()
    const counter = counting(world.bucket)
    const store = await openStore[name](world, { leaseMs: 5000, refreshMs: 60 * minuteMs })
    await driving(world.clock, store.send([{ n: 1 }]))
    await driving(world.clock, store.signal.flush())
    for (let i = 0; i < 60; i++) await world.clock.advance(minuteMs)
    for (let hour = 0; hour < 3; hour++) {
      counter.requests = 0
      for (let i = 0; i < 60; i++) await world.clock.advance(minuteMs)
      assert.ok(counter.requests <= requestsAnHourMax, `${counter.requests} requests an hour`)
    }
  })
