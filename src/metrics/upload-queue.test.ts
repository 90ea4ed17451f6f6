import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { UploadQueue, type StagedBlock } from './upload-queue.ts'

interface World {
  clock: VirtualClock
  bucket: MemoryBucket
  queue: UploadQueue
  uploaded: string[]
  /** Whether the prefix is ours. */
  isOurs: boolean
}

async function makeWorld(): Promise<World> {
  const clock = new VirtualClock(0)
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock, files)
  for (const id of ['A', 'B'])
    for (const name of ['index', 'meta.json']) await files.writeAtomic(`staging/${id}/${name}`, Buffer.from(id))
  const world: Omit<World, 'queue'> = { clock, bucket, uploaded: [], isOurs: true }
  const queue = new UploadQueue({
    clock,
    files,
    log: silentLog,
    bucket,
    onUploaded: ({ id }) => {
      world.uploaded.push(id)
      return Promise.resolve()
    },
    mayWrite: () => Promise.resolve(world.isOurs),
  })
  return Object.assign(world, { queue })
}

const block = (id: string, tenant = 't'): StagedBlock => ({
  tenant,
  id,
  directory: `staging/${id}`,
  files: ['index', 'meta.json'],
  bytes: 2,
})

test('blocks go in order, the file that makes each visible last', async () => {
  const { queue, bucket, uploaded } = await makeWorld()
  queue.add(block('A'))
  queue.add(block('B'))
  assert.equal(queue.waitingBytes, 4)
  await queue.drained()
  assert.deepEqual([...bucket.objects.keys()], ['t/A/index', 't/A/meta.json', 't/B/index', 't/B/meta.json'])
  assert.deepEqual(uploaded, ['A', 'B'])
  assert.equal(queue.waitingBlocks, 0)
})

test('blocks of several tenants go beside each other, and those of one in order', async () => {
  const { queue, bucket, uploaded, clock } = await makeWorld()
  const put = bucket.putFile.bind(bucket)
  let isAway = true
  bucket.putFile = (key, path) => (isAway && key.startsWith('t/A') ? Promise.reject(new Error('away')) : put(key, path))
  queue.add(block('A'))
  queue.add(block('B'))
  queue.add(block('A', 'other'))
  queue.add(block('B', 'other'))
  await clock.advance(5000)
  assert.deepEqual([uploaded, queue.waitingBlocks], [['A', 'B'], 2])
  assert.ok(bucket.objects.has('other/B/meta.json') && !bucket.objects.has('t/B/meta.json'))
  isAway = false
  await clock.advance(60_000)
  await queue.drained()
  assert.deepEqual(uploaded, ['A', 'B', 'A', 'B'])
})

test('a block has a mark beside it while it is not whole', async () => {
  const { queue, bucket, clock } = await makeWorld()
  const put = bucket.putFile.bind(bucket)
  let isAway = true
  bucket.putFile = (key, path) =>
    isAway && key.endsWith('meta.json') ? Promise.reject(new Error('away')) : put(key, path)
  queue.add(block('A'))
  await clock.advance(100)
  assert.deepEqual([...bucket.objects.keys()], ['t/A/tercet-upload-mark', 't/A/index'])
  isAway = false
  await clock.advance(1000)
  await queue.drained()
  assert.deepEqual([...bucket.objects.keys()], ['t/A/index', 't/A/meta.json'])
})

test('what waits while the prefix is not ours yet goes on later: by a round, or by who waits for it', async () => {
  for (const goOn of ['resume', 'drained'] as const) {
    const world = await makeWorld()
    const { queue, uploaded } = world
    world.isOurs = false
    queue.add(block('A'))
    await queue.drained()
    world.isOurs = true
    void queue[goOn]()
    await world.clock.advance(1000)
    assert.deepEqual(uploaded, ['A'])
  }
})

test('a bucket that is away is asked again, later and later', async () => {
  const { queue, bucket, clock } = await makeWorld()
  const put = bucket.putFile.bind(bucket)
  let attempts = 0
  bucket.putFile = (...parameters) => (++attempts <= 3 ? Promise.reject(new Error('away')) : put(...parameters))
  queue.add(block('A'))
  await clock.advance(249)
  assert.equal(attempts, 1)
  await clock.advance(1)
  assert.equal(attempts, 2)
  await clock.advance(499)
  assert.equal(attempts, 2)
  await clock.advance(1 + 1000)
  await queue.drained()
  assert.equal(queue.failures, 3)
  assert.equal(queue.uploads, 1)
})

test('nothing is uploaded once another writer has the prefix, and nobody waits for it', async () => {
  const world = await makeWorld()
  const { queue, bucket } = world
  world.isOurs = false
  queue.add(block('A'))
  await queue.drained()
  assert.equal(bucket.objects.size, 0)
  assert.equal(queue.waitingBlocks, 1)
  await queue.drained()
})

test('a queue that is closed uploads nothing more', async () => {
  const { queue, bucket } = await makeWorld()
  await queue.close()
  queue.add(block('A'))
  await queue.drained()
  assert.equal(bucket.objects.size, 0)
})
