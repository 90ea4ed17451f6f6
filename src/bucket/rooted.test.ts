import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { systemFiles } from '#core/files.ts'
import { bucketSuite } from './bucket-suite.ts'
import { MemoryBucket } from './memory.ts'
import { ReadOnlyDirectory } from './read-only.ts'
import { RootedBucket } from './rooted.ts'

const options = { tenant: 'anonymous', isBlock: (name: string): boolean => name.startsWith('BLOCK') }

bucketSuite('rooted', async () => new RootedBucket(new MemoryBucket(systemClock, systemFiles), options), 20_000_000)

test('blocks at the root are below a tenant, and so is what is asked of them', async () => {
  const inner = new MemoryBucket(systemClock)
  const bucket = new RootedBucket(inner, options)
  assert.deepEqual(await bucket.listDirectories(''), [])
  assert.equal(bucket.isFlat, false)
  await inner.put('BLOCK1/meta.json', Buffer.from('abc'))
  await inner.put('debug/x', Buffer.from(''))
  assert.deepEqual(await bucket.listDirectories(''), ['anonymous'])
  assert.equal(bucket.isFlat, true)
  assert.deepEqual(await bucket.listDirectories('anonymous/'), ['BLOCK1', 'debug'])
  const keys = (await bucket.list('anonymous/BLOCK1/')).map(({ key }) => key)
  assert.deepEqual(keys, ['anonymous/BLOCK1/meta.json'])
  assert.equal(Buffer.from(await bucket.get(keys[0]!)).toString(), 'abc')
  assert.equal(Buffer.from(await bucket.getRange(keys[0]!, 1, 1)).toString(), 'b')
  assert.equal(await bucket.size(keys[0]!), 3)
})

test('a bucket with tenants is seen as it is', async () => {
  const inner = new MemoryBucket(systemClock)
  const bucket = new RootedBucket(inner, options)
  await inner.put('anonymous/BLOCK1/meta.json', Buffer.from('abc'))
  await inner.put('other/BLOCK1/meta.json', Buffer.from('abc'))
  assert.deepEqual(await bucket.listDirectories(''), ['anonymous', 'other'])
  assert.deepEqual(await bucket.listDirectories('anonymous/'), ['BLOCK1'])
  assert.equal(await bucket.size('anonymous/BLOCK1/meta.json'), 3)
})

test('a directory that is only read refuses what would change it', async () => {
  const bucket = new ReadOnlyDirectory('/nonexistent')
  await assert.rejects(bucket.put(), /put failed: ReadOnly/)
  await assert.rejects(bucket.putFile(), /put failed: ReadOnly/)
  await assert.rejects(bucket.delete(), /delete failed: ReadOnly/)
})
