import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Fence } from './fencing.ts'

const prefix = 't/tercet/epoch/'
const makeBucket = (): MemoryBucket => new MemoryBucket(new VirtualClock(0))

test('the newest writer has the prefix, and each one before it finds that out', async () => {
  const bucket = makeBucket()
  const first = await Fence.claim(bucket, prefix, 'first')
  assert.equal(first.epoch, 1)
  assert.equal(await first.replacedBy(), undefined)
  const second = await Fence.claim(bucket, prefix, 'second')
  assert.equal(await first.replacedBy(), 2)
  assert.equal(await second.replacedBy(), undefined)
  await Fence.claim(bucket, prefix, 'third')
  assert.equal(await second.replacedBy(), 3)
})

test('old epochs are removed, but for some; a writer that slept meanwhile finds out', async () => {
  const bucket = makeBucket()
  const first = await Fence.claim(bucket, prefix, 'first')
  for (let n = 0; n < 40; n++) await Fence.claim(bucket, prefix, `writer ${n}`)
  assert.equal(bucket.objects.size, 33)
  assert.equal(await first.replacedBy(), undefined, 'the epoch after its own is gone')
  assert.equal(await first.replacedLongAgoBy(), 41)
})

test('epochs that vanished are no takeover: ours is there again', async () => {
  const bucket = makeBucket()
  const fence = await Fence.claim(bucket, prefix, 'tercet')
  bucket.objects.clear()
  assert.equal(await fence.replacedLongAgoBy(), undefined)
  assert.equal((await Fence.claim(bucket, prefix, 'next')).epoch, 2)
  assert.equal(await fence.replacedBy(), 2)
})

test('a successor knows whether the writer before it has stopped', async () => {
  const bucket = makeBucket()
  const first = await Fence.claim(bucket, prefix, 'first')
  assert.equal(first.predecessor, undefined)
  assert.deepEqual((await Fence.claim(bucket, prefix, 'second')).predecessor, { epoch: 1, hasStopped: false })
  const third = await Fence.claim(bucket, prefix, 'third')
  await third.stop()
  assert.deepEqual((await Fence.claim(bucket, prefix, 'fourth')).predecessor, { epoch: 3, hasStopped: true })
})

test('a claim by a stale listing takes no epoch that another has', async () => {
  const bucket = makeBucket()
  for (let n = 0; n < 3; n++) await Fence.claim(bucket, prefix, `writer ${n}`)
  const { list } = bucket
  bucket.list = async at => (await list.call(bucket, at)).slice(0, 1)
  assert.equal((await Fence.claim(bucket, prefix, 'next')).epoch, 4)
})

test('of two that claim at the same moment each gets an epoch of its own', async () => {
  const bucket = makeBucket()
  const fences = await Promise.all(['a', 'b', 'c'].map(owner => Fence.claim(bucket, prefix, owner)))
  assert.deepEqual(fences.map(f => f.epoch).sort(), [1, 2, 3])
})

test('a prefix that was given away names its successor until it is claimed again', async () => {
  const bucket = makeBucket()
  assert.equal(await Fence.successorOf(bucket, prefix), undefined)
  const fence = await Fence.claim(bucket, prefix, 'tercet')
  assert.equal(await Fence.successorOf(bucket, prefix), undefined)
  await fence.giveAway('Mimir')
  assert.equal(await Fence.successorOf(bucket, prefix), 'Mimir')
  assert.equal(await fence.replacedBy(), 2)
  await Fence.claim(bucket, prefix, 'tercet')
  assert.equal(await Fence.successorOf(bucket, prefix), undefined)
})

test('a writer gives away what is its own: again after a lost reply, not when another one has it', async () => {
  const bucket = makeBucket()
  const first = await Fence.claim(bucket, prefix, 'first')
  await first.giveAway('Mimir')
  await first.giveAway('Mimir')
  const second = await Fence.claim(bucket, prefix, 'second')
  await assert.rejects(first.giveAway('Loki'), /^UnavailableError: another writer \(epoch 2\) took over the bucket/)
  assert.equal(await second.replacedBy(), undefined)
})

test('a bucket that is away is an error, not an answer', async () => {
  const bucket = makeBucket()
  const fence = await Fence.claim(bucket, prefix, 'tercet')
  bucket.get = () => Promise.reject(new Error('away'))
  await assert.rejects(fence.replacedBy(), /away/)
})
