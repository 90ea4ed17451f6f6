/**
 * What a process knows of the bucket, in all three signals: an old listing hides nothing that was seen, what is gone is
 * forgotten, and what was replaced stays until nobody can have it in view.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { planningAgain } from '#core/omissions.ts'
import { signals as signalNames, type SignalName } from '#core/signal-name.ts'
import { openStore, StoreWorld, type NumberedStore } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const minuteMs = 60_000

/** From now on listings are as old as this moment. */
function freezeListings({ bucket, clock }: StoreWorld): () => void {
  const old = new MemoryBucket(clock)
  for (const [key, object] of bucket.objects) old.objects.set(key, object)
  const { list, listDirectories } = bucket
  bucket.list = prefix => old.list(prefix)
  bucket.listDirectories = prefix => old.listDirectories(prefix)
  return () => {
    bucket.list = list
    bucket.listDirectories = listDirectories
  }
}

/** Sends the numbers, each some milliseconds later than the one before it in the order of numbers, and flushes. */
async function stored(world: StoreWorld, store: NumberedStore, ...numbers: number[]): Promise<void> {
  assert.equal((await driving(world.clock, store.send(numbers.map(n => ({ n }))))).refused, 0)
  await driving(world.clock, store.signal.flush())
}

const shown = (store: NumberedStore): Promise<number[]> => planningAgain(() => store.shown())

/** A process that only reads, over the same bucket. */
const reading = (world: StoreWorld, name: SignalName): Promise<NumberedStore> =>
  openStore[name](world, { files: new MemoryFiles(), readOnly: true, refreshMs: 10_000 * minuteMs })

/** Lets time pass in steps, with a round of background work after each. */
async function passing(world: StoreWorld, { signal }: NumberedStore, minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i += 5) {
    await world.clock.advance(5 * minuteMs)
    await driving(world.clock, signal.maintain())
  }
}

/** Objects that hold data. */
const dataOf = ({ bucket }: StoreWorld): string[] =>
  [...bucket.objects.keys()].filter(
    key => /\/chunks\/|data\.parquet$|^index\//.test(key) || /^fake\/[0-9a-f]+\/[^/]+$/.test(key),
  )

for (const name of signalNames) {
  test(`${name}: a listing that is older than what was published or seen hides nothing of it`, async () => {
    const world = new StoreWorld()
    const writer = await openStore[name](world)
    await stored(world, writer, 1)
    const thaw = freezeListings(world)
    await stored(world, writer, 2)
    for (const minutes of [0, 5, 120]) {
      await world.clock.advance(minutes * minuteMs)
      await driving(world.clock, writer.signal.refresh())
      assert.deepEqual(await shown(writer), [1, 2], `${minutes} minutes later`)
    }
    thaw()
    const reader = await reading(world, name)
    assert.deepEqual(await shown(reader), [1, 2])
    const empty = world.bucket.objects
    Object.assign(world.bucket, { list: () => Promise.resolve([]), listDirectories: () => Promise.resolve([]) })
    await driving(world.clock, reader.signal.refresh())
    assert.deepEqual(await shown(reader), [1, 2])
    assert.ok(empty.size > 0)
  })

  test(`${name}: a refresh that races a publish hides nothing`, async () => {
    const world = new StoreWorld()
    const writer = await openStore[name](world)
    await stored(world, writer, 1)
    const { list, listDirectories } = world.bucket
    let release = (): void => {}
    const gate = new Promise<void>(resolve => {
      release = resolve
    })
    // The answers are from before the publish, and come after it.
    world.bucket.list = async prefix => {
      const listed = await list.call(world.bucket, prefix)
      await gate
      return listed
    }
    world.bucket.listDirectories = async prefix => {
      const listed = await listDirectories.call(world.bucket, prefix)
      await gate
      return listed
    }
    const refreshed = writer.signal.refresh()
    await world.clock.advance(1)
    Object.assign(world.bucket, { list, listDirectories })
    await stored(world, writer, 2)
    release()
    await driving(world.clock, refreshed)
    assert.deepEqual(await shown(writer), [1, 2])
  })

  test(`${name}: what another program removed is gone after a refresh`, async () => {
    const world = new StoreWorld()
    const writer = await openStore[name](world)
    await stored(world, writer, 1)
    const reader = await reading(world, name)
    assert.deepEqual(await shown(reader), [1])
    for (const key of world.bucket.objects.keys()) if (!key.includes('/tercet/')) world.bucket.objects.delete(key)
    await driving(world.clock, reader.signal.refresh())
    assert.deepEqual(await shown(reader), [])
    assert.deepEqual(reader.signal.blockList(), [])
  })

  test(`${name}: what was merged stays for those who have it in view, then goes, over restarts too`, async () => {
    const world = new StoreWorld()
    const writer = await openStore[name](world)
    await stored(world, writer, 1, 900)
    await stored(world, writer, 2)
    const reader = await reading(world, name)
    const before = dataOf(world)
    await driving(world.clock, writer.signal.maintain())
    await stored(world, writer, 3)
    await driving(world.clock, writer.signal.maintain())
    const merged = await shown(writer)
    assert.deepEqual(merged, [1, 2, 3, 900])
    for (const key of before) assert.ok(world.bucket.objects.has(key), `${key} is still there`)
    assert.deepEqual(await shown(reader), [1, 2, 900])
    // One that looks now does not serve what was merged beside what it was merged into.
    const late = await reading(world, name)
    assert.deepEqual(await shown(late), [1, 2, 3, 900])
    // Killed: what is to go is found by the next one.
    const next = await openStore[name](world)
    assert.deepEqual(await shown(next), [1, 2, 3, 900])
    await passing(world, next, 180)
    assert.deepEqual(await shown(next), [1, 2, 3, 900])
    const left = dataOf(world).filter(key => before.includes(key) && (name !== 'logs' || key.startsWith('index/')))
    assert.deepEqual(left, [], 'what was merged is gone')
    // It has them in view all the same, and plans again; what it holds in memory of the old ones is as good.
    assert.deepEqual(await shown(reader), name === 'metrics' ? [1, 2, 3, 900] : [1, 2, 900])
  })
}

test('metrics: a mark is in the form of Thanos and Mimir, and goes with its block', async () => {
  const world = new StoreWorld()
  const writer = await openStore.metrics(world)
  await stored(world, writer, 1, 900)
  const [first] = writer.signal.blockList()
  await stored(world, writer, 2)
  await driving(world.clock, writer.signal.maintain())
  const key = `fake/${first!.id}/deletion-mark.json`
  const mark = JSON.parse(Buffer.from(world.bucket.objects.get(key)!.bytes).toString()) as Record<string, unknown>
  assert.equal(mark['id'], first!.id)
  assert.equal(mark['version'], 1)
  assert.equal(typeof mark['deletion_time'], 'number')
  await passing(world, writer, 30)
  assert.deepEqual(
    [...world.bucket.objects.keys()].filter(k => k.includes(first!.id)),
    [],
  )
})

test('metrics: a deletion that ended in its middle is finished by the next process, and is no damage', async () => {
  const world = new StoreWorld()
  const writer = await openStore.metrics(world)
  await stored(world, writer, 1, 900)
  const [first] = writer.signal.blockList()
  await stored(world, writer, 2)
  await driving(world.clock, writer.signal.maintain())
  world.bucket.objects.delete(`fake/${first!.id}/meta.json`)
  const next = await openStore.metrics(world)
  assert.deepEqual(await shown(next), [1, 2, 900])
  await passing(world, next, 30)
  assert.deepEqual(
    [...world.bucket.objects.keys()].filter(k => k.includes(first!.id)),
    [],
  )
})

for (const name of signalNames)
  test(`${name}: a bucket that was emptied: queries answer, and what comes in is kept`, async () => {
    const world = new StoreWorld()
    await stored(world, await openStore[name](world), 1)
    const store = await openStore[name](world)
    world.bucket.objects.clear()
    assert.deepEqual(await shown(store), [])
    await driving(world.clock, store.signal.maintain())
    assert.deepEqual([store.signal.status().problem, store.signal.notReady], [undefined, undefined])
    await stored(world, store, 2)
    await driving(world.clock, store.signal.refresh())
    assert.deepEqual(await shown(store), [2])
  })
