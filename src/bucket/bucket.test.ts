/** A bucket below a prefix of another one, and the probe at the start. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConflictError } from '#core/errors.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { BucketError, PrefixedBucket } from './bucket.ts'
import { MemoryBucket } from './memory.ts'
import { probeBucket } from './probe.ts'

test('keys below a prefix: everything that a bucket does, and nothing beside it', async () => {
  const files = new MemoryFiles()
  const inner = new MemoryBucket(new VirtualClock(5), files)
  const bucket = new PrefixedBucket(inner, 'a/b/')
  await inner.put('a/other', Uint8Array.of(9))
  await bucket.put('x/1', Uint8Array.of(1, 2, 3))
  await files.writeAtomic('local', Uint8Array.of(4))
  await bucket.putFile('y', 'local')
  assert.deepEqual([...inner.objects.keys()], ['a/other', 'a/b/x/1', 'a/b/y'])
  assert.deepEqual(await bucket.list(''), [
    { key: 'x/1', bytes: 3, modifiedMs: 5 },
    { key: 'y', bytes: 1, modifiedMs: 5 },
  ])
  assert.deepEqual(await bucket.listDirectories(''), ['x'])
  assert.deepEqual([...(await bucket.get('x/1'))], [1, 2, 3])
  assert.deepEqual([...(await bucket.getRange('x/1', 1, 1))], [2])
  assert.equal(await bucket.size('x/1'), 3)
  await assert.rejects(bucket.put('y', Uint8Array.of(5), { ifAbsent: true }), ConflictError)
  await bucket.delete('x/1')
  await bucket.delete('x/1')
  assert.deepEqual([...inner.objects.keys()], ['a/other', 'a/b/y'])
  assert.equal(bucket.description, 'memory/a/b/')
})

test('an error says what was tried, where, and why', () => {
  const cause = new Error('connection refused')
  const error = new BucketError('put', 's3://b', 'ECONNREFUSED', true, { cause })
  assert.equal(error.message, 'bucket s3://b: put failed: ECONNREFUSED: connection refused')
  assert.equal(
    new BucketError('put', 's3://b', 'AccessDenied', false).message,
    'bucket s3://b: put failed: AccessDenied',
  )
})

type Fault = 'list' | 'put' | 'bytes' | 'range' | 'condition' | 'delete'

/** A store that does one thing wrong. */
class FaultyBucket extends MemoryBucket {
  readonly #fault: Fault
  constructor(fault: Fault) {
    super(new VirtualClock(0))
    this.#fault = fault
  }
  override async listDirectories(prefix: string): Promise<string[]> {
    if (this.#fault === 'list') throw new Error('AccessDenied')
    return super.listDirectories(prefix)
  }
  override async put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    if (this.#fault === 'put') throw new Error('AccessDenied')
    await super.put(key, bytes, this.#fault === 'condition' ? undefined : options)
  }
  override async get(key: string): Promise<Uint8Array> {
    return this.#fault === 'bytes' ? Uint8Array.of(0) : super.get(key)
  }
  override async getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#fault === 'range' ? Uint8Array.of(0) : super.getRange(key, offset, length)
  }
  override async delete(key: string): Promise<void> {
    if (this.#fault === 'delete') throw new Error('AccessDenied')
    await super.delete(key)
  }
}

test('the probe names the operation that fails, and leaves nothing behind', async () => {
  const good = new MemoryBucket(new VirtualClock(0))
  await probeBucket(good, 'p/', false, seededRandom(1))
  assert.equal(good.objects.size, 0)
  const cases: [fault: Fault, problem: RegExp][] = [
    ['list', /^the bucket can't be used: list failed: AccessDenied$/],
    ['put', /: put failed: AccessDenied$/],
    ['bytes', /: get failed: other bytes came back than were put$/],
    ['range', /: ranged get failed: a range came back with other bytes$/],
    ['condition', /: conditional put failed: the store overwrote an object in spite of If-None-Match/],
    ['delete', /: delete failed: AccessDenied$/],
  ]
  for (const [fault, message] of cases) {
    const bucket = new FaultyBucket(fault)
    await assert.rejects(probeBucket(bucket, 'p/', false, seededRandom(1)), { name: 'BadDataError', message })
    assert.equal(bucket.objects.size, fault === 'delete' ? 1 : 0, fault)
  }
})

test('a process that only reads is not asked to write', async () => {
  await probeBucket(new FaultyBucket('put'), 'p/', true, seededRandom(1))
})
