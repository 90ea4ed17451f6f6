/** A tenant is deleted: for good, from memory, log, disk and bucket, whenever the process dies, and no other one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { ForbiddenError, UnavailableError } from '#core/errors.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { openStore, StoreWorld, type NumberedStore } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const minuteMs = 60_000
const tenants = ['a', 'ab', 'A', 'fake', 'anonymous']

/** Objects below a tenant's name, but for the own files of a default tenant, and indexes of its lines. */
function objectsOf({ bucket }: StoreWorld, tenant: string): string[] {
  return [...bucket.objects.keys()].filter(
    key =>
      (key.startsWith(`${tenant}/`) && !(tenant === 'fake' && /^fake\/tercet\/(?!tables|trace-filters)/.test(key))) ||
      (key.startsWith('index/') && key.split('/')[2] === tenant),
  )
}

/** Numbers of a tenant are its own: those of one are never another's. */
class Model {
  readonly #next = new Map<string, number>()
  readonly #kept = new Map<string, number[]>()

  next(tenant: string): number {
    const n = (this.#next.get(tenant) ?? (tenants.indexOf(tenant) + 1) * 10_000) + 1
    this.#next.set(tenant, n)
    return n
  }
  keep(tenant: string, n: number): void {
    this.#kept.set(tenant, [...(this.#kept.get(tenant) ?? []), n])
  }
  delete(tenant: string): void {
    this.#kept.delete(tenant)
  }
  of(tenant: string): number[] {
    return this.#kept.get(tenant) ?? []
  }
}

class Run {
  readonly name: SignalName
  readonly world = new StoreWorld()
  readonly model = new Model()
  store!: NumberedStore

  constructor(name: SignalName) {
    this.name = name
  }

  /** Opens it, as it is after a crash where it was open: what that process does later is not on this disk. */
  async open(): Promise<void> {
    const files = new MemoryFiles()
    for (const [path, { bytes, length, synced }] of this.world.files.entries)
      files.entries.set(path, { bytes: bytes.slice(), length, synced })
    this.world.files = files
    this.store = await openStore[this.name](this.world)
  }
  async send(tenant: string, group = 'a'): Promise<void> {
    const n = this.model.next(tenant)
    await driving(this.world.clock, this.store.send([{ n, group }], tenant))
    this.model.keep(tenant, n)
  }
  async flush(): Promise<void> {
    await driving(this.world.clock, this.store.signal.flush())
  }
  async delete(tenant: string): Promise<void> {
    await driving(this.world.clock, this.store.signal.deleteTenant(tenant))
    this.model.delete(tenant)
  }
  async rounds(count = 20): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.world.clock.advance(15_000)
      await driving(this.world.clock, this.store.signal.maintain())
    }
  }
  isDone(tenant: string): boolean {
    return this.store.signal.tenantDeletion(tenant)?.finishedMs !== undefined
  }
  async check(where: string): Promise<void> {
    for (const tenant of tenants)
      assert.deepEqual(
        await driving(this.world.clock, this.store.shown(tenant)),
        this.model.of(tenant),
        `${tenant}, ${where}`,
      )
  }
}

/** The bucket removes nothing, until what is returned is called. */
function removingNothing({ bucket }: StoreWorld): () => void {
  const remove = bucket.delete.bind(bucket)
  bucket.delete = () => Promise.reject(new BucketError('delete', 'b', 'ECONNREFUSED', true))
  return () => {
    bucket.delete = remove
  }
}

/** Each tenant has a block, and something in memory. */
async function filled(name: SignalName): Promise<Run> {
  const run = new Run(name)
  await run.open()
  for (const tenant of tenants) await run.send(tenant)
  await run.flush()
  for (const tenant of tenants) await run.send(tenant, 'b')
  return run
}

for (const name of signals) {
  for (const tenant of ['a', 'fake'])
    test(`${name}: ${tenant} is gone at once and for good, then from the bucket, and may begin anew`, async () => {
      const run = await filled(name)
      const { world } = run
      const others = tenants.filter(one => one !== tenant)
      const remove = removingNothing(world)
      await run.delete(tenant)
      await run.check('when it is answered')
      await assert.rejects(driving(world.clock, run.store.send([{ n: 1 }], tenant)), ForbiddenError)
      for (const other of others) await run.send(other, 'c')
      await run.rounds()
      assert.match(run.store.signal.tenantDeletion(tenant)?.trouble ?? '', /ECONNREFUSED/)
      remove()
      await run.rounds()
      assert.ok(run.isDone(tenant))
      assert.equal(run.store.signal.tenantDeletion(tenant)?.trouble, undefined)
      assert.deepEqual(objectsOf(world, tenant), [])
      for (const other of others) assert.ok(objectsOf(world, other).length > 0, other)
      await run.check('when it is done')
      await run.open()
      await run.check('after a restart')
      await run.send(tenant)
      await run.check('anew')
      await run.flush()
      await run.rounds()
      await run.open()
      await run.check('anew, after a restart')
      assert.equal(run.store.signal.status().problem, undefined)
    })

  test(`${name}: a process that dies behind the answer does not bring it back, also without the bucket`, async () => {
    const run = await filled(name)
    const { world } = run
    const { bucket } = world
    const remove = removingNothing(world)
    await run.delete('a')
    const get = bucket.get.bind(bucket)
    const list = bucket.list.bind(bucket)
    const away = (): Promise<never> => Promise.reject(new BucketError('get', 'b', 'ECONNREFUSED', true))
    bucket.get = bucket.list = away
    await run.open()
    assert.deepEqual(await driving(world.clock, run.store.shown('a')), [])
    await assert.rejects(driving(world.clock, run.store.send([{ n: 1 }], 'a')), ForbiddenError)
    remove()
    bucket.get = get
    bucket.list = list
    await run.rounds()
    assert.ok(run.isDone('a'))
    assert.deepEqual(objectsOf(world, 'a'), [])
    await run.check('when the bucket is there')
    // A disk that was lost: the bucket knows.
    await run.delete('ab')
    world.files = new MemoryFiles()
    for (const tenant of ['A', 'fake', 'anonymous']) run.model.delete(tenant)
    await run.open()
    await run.rounds()
    assert.deepEqual(await driving(world.clock, run.store.shown('ab')), [])
    assert.deepEqual(objectsOf(world, 'ab'), [])
  })

  test(`${name}: it is not done while the log has something of it, and the log does not bring it back`, async () => {
    const run = await filled(name)
    const { bucket } = run.world
    const put = bucket.put.bind(bucket)
    const putFile = bucket.putFile.bind(bucket)
    const away = (): Promise<never> => Promise.reject(new BucketError('put', 'b', 'ECONNREFUSED', true))
    // What others have in the log can't go into blocks: their part of it stays.
    bucket.put = (key, bytes, options) => (key.includes('/tercet/') ? put(key, bytes, options) : away())
    bucket.putFile = (key, path) => (key.includes('/tercet/') ? putFile(key, path) : away())
    await run.delete('a')
    await run.rounds()
    // Lines go on into the next generation, traces into blocks on the disk: their log is free.
    if (name === 'metrics') assert.ok(!run.isDone('a'))
    assert.deepEqual(objectsOf(run.world, 'a'), [])
    await run.open()
    await run.check('after a crash')
    bucket.put = put
    bucket.putFile = putFile
    await run.rounds()
    assert.ok(run.isDone('a'))
    await run.open()
    await run.check('when it is done')
  })

  test(`${name}: a deletion that the bucket does not take is refused, and nothing is gone`, async () => {
    const run = await filled(name)
    const { world } = run
    const { bucket } = world
    const put = bucket.put.bind(bucket)
    bucket.put = (key, bytes, options) =>
      key.includes('tenant-deletions')
        ? Promise.reject(new BucketError('put', 'b', 'ECONNREFUSED', true))
        : put(key, bytes, options)
    await assert.rejects(driving(world.clock, run.store.signal.deleteTenant('a')))
    await run.check('refused')
    await run.send('a', 'c')
    await run.open()
    bucket.put = put
    await run.check('after a restart')
    await run.store.signal.close()
    await assert.rejects(run.store.signal.deleteTenant('a'), UnavailableError)
  })

  test(`${name}: a process that only reads shows nothing of it while its blocks are still there`, async () => {
    const run = await filled(name)
    const { world, model } = run
    await run.flush()
    const reader = await openStore[name](world, { readOnly: true, refreshMs: 10_000, files: new MemoryFiles() })
    const check = async (tenant: string, where: string): Promise<void> => {
      assert.deepEqual(await driving(world.clock, reader.shown(tenant)), model.of(tenant), `${tenant}, ${where}`)
    }
    for (const tenant of tenants) await check(tenant, 'before')
    const remove = removingNothing(world)
    await run.delete('a')
    await world.clock.advance(30_000)
    for (const tenant of tenants) await check(tenant, 'while nothing of it could be removed')
    assert.notDeepEqual(objectsOf(world, 'a'), [])
    remove()
    await run.rounds()
    await run.send('a')
    await run.flush()
    await world.clock.advance(30_000)
    for (const tenant of tenants) await check(tenant, 'anew')
  })

  test(`${name}: what was on its way into the bucket when it was listed does not stay there`, async () => {
    const run = new Run(name)
    await run.open()
    await run.send('a')
    const { world } = run
    const { bucket } = world
    const putFile = bucket.putFile.bind(bucket)
    const list = bucket.list.bind(bucket)
    let arrive = (): void => {}
    const mayArrive = new Promise<void>(resolve => (arrive = resolve))
    let isOnItsWay = false
    bucket.putFile = async (key, path) => {
      isOnItsWay ||= key.startsWith('a/')
      if (key.startsWith('a/')) await mayArrive
      await putFile(key, path)
    }
    bucket.list = async prefix => {
      const listed = await list(prefix)
      if (prefix === 'a/' && isOnItsWay) {
        arrive()
        await world.clock.advance(1000)
      }
      return listed
    }
    const flushed = run.store.signal.flush()
    await world.clock.advance(1000)
    await run.delete('a')
    await run.rounds()
    await driving(world.clock, flushed)
    assert.ok(run.isDone('a'))
    assert.deepEqual(objectsOf(world, 'a'), [])
    await run.open()
    await run.check('after a restart')
  })

  test(`${name}: what makes the bucket be looked through again does not bring it back`, async () => {
    const run = await filled(name)
    const { world, model } = run
    await run.flush()
    // Nothing was read yet.
    await run.open()
    const remove = removingNothing(world)
    await run.delete('a')
    // An object of another tenant is missing: whoever asks for it looks for what stands in its place.
    for (const key of objectsOf(world, 'ab'))
      if (!/^index|tercet|meta|bloom/.test(key)) world.bucket.objects.delete(key)
    for (const one of ['ab', 'A']) {
      await driving(world.clock, run.store.shown(one))
      assert.deepEqual(await driving(world.clock, run.store.shown('a')), [], `after a query of ${one}`)
    }
    model.delete('ab')
    remove()
    await run.rounds()
    assert.ok(run.isDone('a'))
  })

  test(`${name}: a process that hands over deletes no tenant any more, and its successor does not later`, async () => {
    const run = await filled(name)
    const { world, store } = run
    let handedOver: Promise<void> | undefined
    const { bucket } = world
    const { put, putFile } = { put: bucket.put.bind(bucket), putFile: bucket.putFile.bind(bucket) }
    let refused: Promise<unknown> | undefined
    // Once while it is under way, too.
    const askMeanwhile = (): void => {
      if (handedOver !== undefined)
        refused ??= assert.rejects(store.signal.deleteTenant('a'), (error: Error) => {
          assert.ok(error instanceof UnavailableError)
          return /handed over to other/.test(error.message)
        })
    }
    bucket.put = (...all) => (askMeanwhile(), put(...all))
    bucket.putFile = (...all) => (askMeanwhile(), putFile(...all))
    handedOver = store.signal.handOver('other')
    await driving(world.clock, handedOver)
    assert.ok(refused !== undefined)
    await driving(world.clock, refused)
    await assert.rejects(driving(world.clock, store.signal.deleteTenant('a')), /handed over to other/)
    assert.deepEqual(await bucket.list('fake/tercet/tenant-deletions/'), [])
    await run.open()
    await run.check('at its successor')
  })

  test(`${name}: a process that was replaced shows nothing of what its successor deletes, and all else`, async () => {
    for (const rounds of [0, 20]) {
      const run = await filled(name)
      const { world, store } = run
      const files = world.files
      world.files = new MemoryFiles()
      const successor = await openStore[name](world)
      const remove = removingNothing(world)
      if (rounds > 0) remove()
      await driving(world.clock, store.signal.maintain())
      await driving(world.clock, successor.signal.deleteTenant('a'))
      for (let i = 0; i < rounds; i++) {
        await world.clock.advance(15_000)
        await driving(world.clock, successor.signal.maintain())
      }
      assert.equal(successor.signal.tenantDeletion('a')?.finishedMs !== undefined, rounds > 0)
      world.files = files
      await driving(world.clock, store.signal.refresh())
      run.model.delete('a')
      await run.check(`${rounds} rounds`)
    }
  })

  test(`${name}: a disk that was away while it was deleted does not bring it back`, async () => {
    const run = await filled(name)
    const { world, model } = run
    const { bucket } = world
    // A block waits on the disk, where there are such.
    const { put, putFile } = { put: bucket.put.bind(bucket), putFile: bucket.putFile.bind(bucket) }
    const away = (): Promise<never> => Promise.reject(new BucketError('put', 'b', 'ECONNREFUSED', true))
    bucket.put = (key, bytes, options) => (key.includes('/tercet/') ? put(key, bytes, options) : away())
    bucket.putFile = away
    await run.flush().catch(() => {})
    for (const tenant of tenants) await run.send(tenant, 'c')
    const { files } = world
    Object.assign(bucket, { put, putFile })
    // Another disk has the bucket meanwhile: what the first one did not ship is missing there.
    world.files = new MemoryFiles()
    const known = new Map(tenants.map(tenant => [tenant, model.of(tenant)]))
    await run.open()
    await run.delete('a')
    await run.rounds()
    assert.ok(run.isDone('a'))
    await run.send('a', 'b')
    await run.flush()
    await driving(world.clock, run.store.signal.close())
    world.files = files
    for (const tenant of tenants) if (tenant !== 'a') assert.deepEqual(model.of(tenant), known.get(tenant))
    for (const where of ['back', 'after a crash']) {
      await run.open()
      await run.check(where)
    }
    await run.send('a')
    await run.open()
    await run.check('with more')
    await run.rounds()
    await run.open()
    await run.check('after some time')
  })

  test(`${name}: what such a disk takes in before it can know of the deletion is kept`, async () => {
    const run = new Run(name)
    const { world } = run
    const { bucket } = world
    await run.open()
    await run.send('a')
    const { files } = world
    world.files = new MemoryFiles()
    await run.open()
    await run.delete('a')
    await run.rounds()
    assert.ok(run.isDone('a'))
    await driving(world.clock, run.store.signal.close())
    world.files = files
    const { get, list, put } = { get: bucket.get, list: bucket.list, put: bucket.put }
    const away = (): Promise<never> => Promise.reject(new BucketError('get', 'b', 'ECONNREFUSED', true))
    Object.assign(bucket, { get: away, list: away, put: away })
    await run.open()
    await run.send('a', 'b')
    const taken = run.model.of('a').at(-1)
    Object.assign(bucket, { get, list, put })
    await world.clock.advance(60_000)
    for (let starts = 0; starts < 3; starts++) {
      assert.ok((await driving(world.clock, run.store.shown('a'))).includes(taken!), `${starts} starts`)
      await run.rounds(starts)
      await run.open()
    }
  })

  test(`${name}: whatever is done in whatever order, what was not deleted is there, and what was is not`, async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = seededRandom(seed)
      const run = new Run(name)
      await run.open()
      const chosen = (): string => tenants[below(random, tenants.length)]!
      for (let step = 0; step < 40; step++) {
        const tenant = chosen()
        const what = below(random, 12)
        if (what < 6) await run.send(tenant, 'abc'[below(random, 3)]).catch(refusedWhileDeleted(run, tenant))
        else if (what < 7) await run.delete(tenant)
        else if (what < 8) await run.flush()
        else if (what < 10) await run.rounds(1 + below(random, 8))
        else if (what < 11) await run.world.clock.advance(below(random, 130) * minuteMs)
        else await run.open()
        if (what >= 6) await run.check(`seed ${seed}, step ${step}`)
      }
      await run.rounds(40)
      for (const tenant of tenants)
        if (run.store.signal.tenantDeletion(tenant) !== undefined) assert.ok(run.isDone(tenant), tenant)
      for (const tenant of tenants)
        if (run.model.of(tenant).length === 0) assert.deepEqual(objectsOf(run.world, tenant), [], `seed ${seed}`)
      await run.open()
      await run.check(`seed ${seed}, at the end`)
      await driving(run.world.clock, run.store.signal.close())
    }
  })
}

test('logs: indexes of a form that is not read go with their tenant', async () => {
  const run = await filled('logs')
  const { bucket } = run.world
  const keyOf = (tenant: string): string => `index/index_19000/${tenant}/compactor-1.gz`
  for (const tenant of ['a', 'ab']) await bucket.put(keyOf(tenant), new Uint8Array(1))
  // A file of several tenants may have any name.
  await bucket.put('index/index_19000/a', new Uint8Array(1))
  await run.delete('a')
  await run.rounds()
  assert.ok(run.isDone('a'))
  assert.deepEqual(objectsOf(run.world, 'a'), ['index/index_19000/a'])
  assert.ok(bucket.objects.has(keyOf('ab')))
})

function refusedWhileDeleted({ store }: Run, tenant: string): (error: unknown) => void {
  return error => {
    const deletion = store.signal.tenantDeletion(tenant)
    assert.ok(error instanceof ForbiddenError && deletion !== undefined && deletion.finishedMs === undefined)
  }
}
