/**
 * A bucket that is gone while the process runs (its directory, or the S3 bucket itself) is an outage of the store; one
 * that was emptied, or made again, gets what memory and the disk still have.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError, type ObjectInfo, type PutOptions } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { UnavailableError } from '#core/errors.ts'
import { silentLog, type Log } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { signals as signalNames } from '#core/signal-name.ts'
import { openStore, StoreWorld, type NumberedStore } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

/** Rounds until it is so: what is written and shipped beside them takes real time. */
async function untilTrue(world: GoneWorld, store: NumberedStore, isTrue: () => boolean): Promise<void> {
  for (let round = 0; round < 50 && !isTrue(); round++) await roundsOf(world, store, 1)
  assert.ok(isTrue(), isTrue.toString())
}

/** Answers as a store whose bucket was deleted. */
class DeletableBucket extends MemoryBucket {
  #isGone = false

  deleteAll(): void {
    this.objects.clear()
    this.#isGone = true
  }
  makeAgain(): void {
    this.#isGone = false
  }

  isReadOnly = false

  #look(operation: string): void {
    if (this.isReadOnly && operation !== 'get' && operation !== 'list')
      throw new BucketError(operation, 'b', 'AccessDenied', false)
    if (this.#isGone) throw new BucketError(operation, 'b', 'NoSuchBucket', false)
  }

  override async put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    this.#look('put')
    return super.put(key, bytes, options)
  }
  override async get(key: string): Promise<Uint8Array> {
    this.#look('get')
    return super.get(key)
  }
  override async list(prefix: string): Promise<ObjectInfo[]> {
    this.#look('list')
    return super.list(prefix)
  }
  override async listDirectories(prefix: string): Promise<string[]> {
    this.#look('list')
    return super.listDirectories(prefix)
  }
  override async delete(key: string): Promise<void> {
    this.#look('delete')
    return super.delete(key)
  }
}

class GoneWorld extends StoreWorld {
  override readonly bucket = new DeletableBucket(this.clock, { read: path => this.files.read(path) })
  readonly errors: string[] = []
  readonly log: Log = { ...silentLog, error: message => void this.errors.push(message) }
}

const minuteMs = 60_000

async function roundsOf(world: GoneWorld, { signal }: NumberedStore, minutes: number): Promise<void> {
  for (let i = 0; i < minutes; i++) {
    await world.clock.advance(minuteMs)
    await driving(
      world.clock,
      signal.maintain().catch(() => {}),
    )
  }
}

for (const name of signalNames)
  for (const durability of ['local', 'bucket'] as const)
    test(`${name}, ${durability}: a bucket that is gone is an outage, and gets what is kept later`, async () => {
      const world = new GoneWorld()
      const options = { durability, log: world.log, leaseMs: 5000 }
      const store = await openStore[name](world, options)
      const { signal } = store
      await driving(world.clock, store.send([{ n: 1 }, { n: 2, group: 'b' }]))
      world.bucket.deleteAll()

      const sent = driving(world.clock, store.send([{ n: 3 }, { n: 4, group: 'c' }]))
      if (durability === 'bucket') await assert.rejects(sent, UnavailableError)
      else await sent
      await roundsOf(world, store, 15)
      await assert.rejects(driving(world.clock, signal.refresh()), /NoSuchBucket/)
      assert.match(String(durability === 'bucket' ? signal.notReady : signal.status().warning), /NoSuchBucket/)
      const kept = durability === 'bucket' ? [1, 2] : [1, 2, 3, 4]
      assert.deepEqual(await store.shown(), kept, 'from memory')

      world.bucket.makeAgain()
      await roundsOf(world, store, 11)
      await untilTrue(world, store, () => signal.notReady === undefined && signal.status().warning === undefined)
      await driving(world.clock, store.send([{ n: 5 }]))
      await driving(world.clock, signal.flush())
      assert.deepEqual(await store.shown(), [...kept, 5])
      assert.ok(world.errors.some(message => message.startsWith('the bucket was emptied')))
      assert.ok(!world.errors.some(message => message.includes('another writer')))
      // As after a crash, on another machine.
      world.files = new MemoryFiles()
      const next = await openStore[name](world, options)
      assert.deepEqual(await next.shown(), [...kept, 5])
    })

for (const name of signalNames)
  test(`${name}, bucket: the log of an emptied bucket is written again as blocks, without a flush`, async () => {
    const world = new GoneWorld()
    const options = { durability: 'bucket', log: world.log, leaseMs: 5000 } as const
    const store = await openStore[name](world, options)
    await driving(world.clock, store.send([{ n: 1 }, { n: 2, group: 'b' }]))
    world.bucket.objects.clear()
    await roundsOf(world, store, 12)
    world.files = new MemoryFiles()
    const next = await openStore[name](world, options)
    assert.deepEqual(await next.shown(), [1, 2])
  })

for (const name of signalNames)
  test(`${name}: a log that is deleted on the disk is told, and what it had becomes blocks`, async () => {
    const world = new GoneWorld()
    const store = await openStore[name](world, { log: world.log, leaseMs: 5000 })
    await driving(world.clock, store.send([{ n: 1 }, { n: 2, group: 'b' }]))
    await world.files.removeDirectory('data')
    await untilTrue(world, store, () => world.errors.length > 0 && store.signal.status().blocks > 0)
    await driving(world.clock, store.send([{ n: 3 }]))
    await driving(world.clock, store.signal.flush())
    assert.ok(world.errors.some(message => message.includes('deleted on the disk')))
    assert.equal(store.signal.status().warning, undefined)
    const { files } = world
    world.files = new MemoryFiles()
    assert.deepEqual(await (await openStore[name](world)).shown(), [1, 2, 3], 'the bucket has all of it')
    world.files = files
    assert.deepEqual(await (await openStore[name](world)).shown(), [1, 2, 3], 'on the same disk')
  })

for (const name of signalNames)
  for (const durability of ['local', 'bucket'] as const)
    test(`${name}, ${durability}: a bucket that takes nothing for a while gets all of it afterwards`, async () => {
      const world = new GoneWorld()
      const options = { durability, log: world.log, leaseMs: 5000 }
      const store = await openStore[name](world, options)
      const { signal } = store
      await driving(world.clock, store.send([{ n: 1 }, { n: 2, group: 'b' }]))
      world.bucket.isReadOnly = true
      const sent = driving(world.clock, store.send([{ n: 3 }]))
      if (durability === 'bucket') await assert.rejects(sent, UnavailableError)
      else await sent
      await assert.rejects(driving(world.clock, signal.flush()), /AccessDenied/)
      await roundsOf(world, store, 15)
      const kept = durability === 'bucket' ? [1, 2] : [1, 2, 3]
      assert.deepEqual(await store.shown(), kept)
      assert.match(`${signal.notReady} ${signal.status().warning}`, /AccessDenied/)
      world.bucket.isReadOnly = false
      await untilTrue(world, store, () => signal.notReady === undefined && signal.status().warning === undefined)
      await driving(world.clock, store.send([{ n: 4 }]))
      await driving(world.clock, signal.flush())
      world.files = new MemoryFiles()
      assert.deepEqual(await (await openStore[name](world, options)).shown(), [...kept, 4])
    })

for (const name of signalNames)
  test(`${name}: a process that only reads says that the bucket is gone, and that it is there again`, async () => {
    const world = new GoneWorld()
    const writer = await openStore[name](world, { leaseMs: 5000 })
    await driving(world.clock, writer.send([{ n: 1 }]))
    await driving(world.clock, writer.signal.flush())
    const { signal } = await openStore[name](world, { readOnly: true, refreshMs: 40_000 })
    const warning = (): string | undefined => signal.status().warning
    const minutes = async (isTrue: () => boolean): Promise<void> => {
      for (let i = 0; i < 20 && !isTrue(); i++) await world.clock.advance(minuteMs)
      assert.ok(isTrue(), String(warning()))
    }
    await minutes(() => warning() === undefined)
    world.bucket.deleteAll()
    await minutes(() => warning()?.includes('NoSuchBucket') === true)
    world.bucket.makeAgain()
    await minutes(() => warning() === undefined)
  })
