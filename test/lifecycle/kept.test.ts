/**
 * Admit, log, then show, in all three signals: what is acknowledged is kept, what is refused leaves no trace, and
 * nothing is seen before the log has it. Covers req-012, req-040.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { UnavailableError } from '#core/errors.ts'
import { signals as signalNames } from '#core/signal-name.ts'
import { openStore, StoreWorld, type NumberedItem, type NumberedStore } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const item = (n: number, group = 'a'): NumberedItem => ({ n, group })

async function sent(world: StoreWorld, store: NumberedStore, items: readonly NumberedItem[]): Promise<void> {
  const { refused } = await driving(world.clock, store.send(items))
  assert.equal(refused, 0)
}

/** The numbers that a start on the same disk shows, as after kill -9: nothing is closed before. */
async function afterCrash(
  world: StoreWorld,
  name: (typeof signalNames)[number],
  options: Parameters<(typeof openStore)['metrics']>[1] = {},
): Promise<number[]> {
  return (await openStore[name](world, options)).shown()
}

for (const name of signalNames)
  for (const durability of ['local', 'bucket'] as const) {
    const open = (world: StoreWorld): Promise<NumberedStore> => openStore[name](world, { durability })
    const about = `${name}, ${durability}`

    test(`${about}: a group whose first items are refused keeps all later ones, and so do others`, async () => {
      const world = new StoreWorld()
      const store = await open(world)
      const first = await driving(world.clock, store.send([{ n: 1, isAhead: true }]))
      assert.deepEqual([first.stored, first.refused], [0, 1])
      assert.deepEqual(await store.groups(), [], 'a refusal leaves no series, stream or trace')
      await sent(world, store, [item(2)])
      await sent(world, store, [item(3, 'b'), item(4)])
      const mixed = await driving(world.clock, store.send([item(5, 'c'), { n: 6, isAhead: true }]))
      assert.deepEqual([mixed.stored, mixed.refused], [1, 1])
      assert.deepEqual(await store.shown(), [2, 3, 4, 5])
      assert.deepEqual(await afterCrash(world, name, { durability }), [2, 3, 4, 5])
    })

    test(`${about}: nothing is seen before the log has it`, async () => {
      const world = new StoreWorld()
      const store = await open(world)
      const letGo = holdLog(world)
      const acknowledged = store.send([item(1), item(2, 'b')])
      assert.deepEqual(await store.groups(), [])
      assert.deepEqual(await store.shown(), [])
      letGo()
      await driving(world.clock, acknowledged)
      assert.deepEqual(await store.shown(), [1, 2])
      assert.deepEqual(await store.groups(), ['a', 'b'])
    })

    test(`${about}: what the log could not keep shows nowhere; sent again it is kept, once`, async () => {
      const world = new StoreWorld()
      const store = await open(world)
      await sent(world, store, [item(1)])
      const heal = breakLog(world, durability)
      await assert.rejects(driving(world.clock, store.send([item(2), item(3, 'b')])), UnavailableError)
      assert.deepEqual(await store.shown(), [1])
      assert.deepEqual(await store.groups(), ['a'])
      // A sender that repeats at once meets the same.
      await assert.rejects(driving(world.clock, store.send([item(2), item(3, 'b')])), UnavailableError)
      heal()
      await sent(world, store, [item(2), item(3, 'b')])
      // It was kept by now, so that a repetition changes nothing.
      await sent(world, store, [item(2), item(3, 'b')])
      await sent(world, store, [item(4, 'b'), item(5, 'c')])
      assert.deepEqual(await store.shown(), [1, 2, 3, 4, 5])
      assert.deepEqual(await afterCrash(world, name, { durability }), [1, 2, 3, 4, 5])
    })

    test(`${about}: what was refused while others wrote costs them nothing, in blocks neither`, async () => {
      const world = new StoreWorld()
      const store = await open(world)
      await sent(world, store, [item(1)])
      const heal = breakLog(world, durability)
      await assert.rejects(driving(world.clock, store.send([item(2), item(3, 'b')])), UnavailableError)
      heal()
      await sent(world, store, [item(4, 'b')])
      await driving(world.clock, store.signal.flush())
      assert.deepEqual(await store.shown(), [1, 4])
      await sent(world, store, [item(5)])
      assert.deepEqual(await afterCrash(world, name, { durability }), [1, 4, 5])
    })
  }

/** Writes of the log come to no end until they are let go. */
function holdLog(world: StoreWorld): () => void {
  let letGo = (): void => {}
  const gate = new Promise<void>(resolve => {
    letGo = resolve
  })
  const { openAppend } = world.files
  world.files.openAppend = async path => {
    const file = await openAppend.call(world.files, path)
    return { ...file, append: bytes => gate.then(() => file.append(bytes)) }
  }
  const { put } = world.bucket
  world.bucket.put = (...call) => gate.then(() => put.apply(world.bucket, call))
  return letGo
}

/** The disk, or the bucket, takes nothing of a log until it is healed. */
function breakLog(world: StoreWorld, durability: 'local' | 'bucket'): () => void {
  if (durability === 'local') {
    world.files.onOperation = (operation, path) => {
      if (path.includes('/wal/') && operation === 'append') throw new Error('ENOSPC: no space left on device')
    }
    return () => {
      world.files.onOperation = () => {}
    }
  }
  const { put } = world.bucket
  world.bucket.put = (key, bytes, options) =>
    key.includes('/wal/')
      ? Promise.reject(new BucketError('put', 'b', 'SlowDown', true))
      : put.call(world.bucket, key, bytes, options)
  return () => {
    world.bucket.put = put
  }
}

for (const name of signalNames) {
  test(`${name}: a writer that was replaced acknowledges nothing, and shows nothing that it refused`, async () => {
    const world = new StoreWorld()
    const store = await openStore[name](world)
    await sent(world, store, [item(1)])
    // Another disk, the same bucket.
    const own = world.files
    world.files = new (own.constructor as new () => typeof own)()
    const successor = await openStore[name](world)
    await assert.rejects(driving(world.clock, store.send([item(2)])), /another writer/)
    await assert.rejects(store.signal.flush(), /another writer/)
    assert.match(store.signal.notReady ?? '', /another writer/)
    assert.deepEqual(await store.shown(), [1])
    await sent(world, successor, [item(3)])
    assert.equal(successor.signal.notReady, undefined)
    assert.deepEqual(await successor.shown(), [3])
    await driving(world.clock, successor.signal.flush())
    // What the first had acknowledged is on its disk: it comes back with that.
    world.files = own
    assert.deepEqual(await afterCrash(world, name), [1, 3])
  })

  test(`${name}: the disk's log is shown also while the bucket was never reached, and once afterwards`, async () => {
    const world = new StoreWorld()
    const before = await openStore[name](world)
    await sent(world, before, [item(1), item(2, 'b')])
    await world.clock.advance(30_000)
    await driving(world.clock, before.signal.flush())
    await sent(world, before, [item(3, 'b')])
    // Killed: what is in a block by now is still in the log, too.
    const heal = takeAway(world)
    const store = await openStore[name](world)
    assert.ok((await store.shown()).includes(3))
    await sent(world, store, [item(4)])
    heal()
    await world.clock.advance(60_000)
    assert.equal(store.signal.status().warning, undefined)
    assert.deepEqual(await store.shown(), [1, 2, 3, 4])
    await driving(world.clock, store.signal.flush())
    assert.deepEqual(await store.shown(), [1, 2, 3, 4])
  })

  test(`${name}: a bucket that is away at the start is waited for; what needs it is refused meanwhile`, async () => {
    const world = new StoreWorld()
    const before = await openStore[name](world)
    await sent(world, before, [item(1)])
    await driving(world.clock, before.signal.flush())
    await driving(world.clock, before.signal.close())
    for (const durability of ['local', 'bucket'] as const) {
      const heal = takeAway(world)
      const store = await openStore[name](world, { durability })
      const n = durability === 'local' ? 2 : 3
      if (durability === 'local') {
        await sent(world, store, [item(n)])
        assert.deepEqual((await store.shown()).includes(n), true)
        assert.match(store.signal.status().warning ?? '', /away/)
      } else {
        await assert.rejects(driving(world.clock, store.send([item(n)])), /the bucket is away/)
        await assert.rejects(store.shown(), /the bucket is away/)
        assert.match(store.signal.notReady ?? '', /the bucket is away/)
      }
      heal()
      await world.clock.advance(60_000)
      if (durability === 'bucket') await sent(world, store, [item(n)])
      assert.deepEqual(
        await store.shown(),
        Array.from({ length: n }, (_, i) => i + 1),
      )
      assert.equal(store.signal.notReady, undefined)
      await driving(world.clock, store.signal.close())
    }
  })
}

/** Nothing of the bucket answers until it is healed. */
function takeAway(world: StoreWorld): () => void {
  const { bucket } = world
  const methods = ['put', 'putFile', 'get', 'getRange', 'size', 'list', 'listDirectories', 'delete'] as const
  for (const method of methods)
    Object.defineProperty(bucket, method, {
      configurable: true,
      value: () => Promise.reject(new BucketError(method, 'the bucket', 'away', true)),
    })
  return () => {
    for (const method of methods) Reflect.deleteProperty(bucket, method)
  }
}

for (const name of signalNames)
  test(`${name}: a flush into a bucket that takes nothing ends with an error; later all of it is there`, async () => {
    const world = new StoreWorld()
    const store = await openStore[name](world)
    await sent(world, store, [item(1)])
    await world.clock.advance(20_000)
    const heal = takeNothing(world)
    await assert.rejects(
      driving(world.clock, store.signal.flush()),
      /UnavailableError: the bucket did not take all of it/,
    )
    assert.deepEqual(await store.shown(), [1])
    heal()
    await driving(world.clock, store.signal.flush())
    world.files = new (world.files.constructor as new () => typeof world.files)()
    assert.deepEqual(await afterCrash(world, name), [1])
  })

/** The bucket can be read, and takes no object that is not the log's. */
function takeNothing(world: StoreWorld): () => void {
  const { put, putFile } = world.bucket
  const refuse = (): Promise<never> => Promise.reject(new BucketError('put', 'b', 'SlowDown', true))
  world.bucket.put = (key, bytes, options) =>
    key.includes('/tercet/') ? put.call(world.bucket, key, bytes, options) : refuse()
  world.bucket.putFile = refuse
  return () => {
    world.bucket.put = put
    world.bucket.putFile = putFile
  }
}
