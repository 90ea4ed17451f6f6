/** Objects that nothing refers to: removed when they are due, noted in the bucket until then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { RetiredObjects } from './retired.ts'

interface Stage {
  clock: VirtualClock
  bucket: MemoryBucket
  retired: RetiredObjects
}

async function stage(keys: readonly string[]): Promise<Stage> {
  const clock = new VirtualClock(1_700_000_000_000)
  const bucket = new MemoryBucket(clock, new MemoryFiles())
  const retired = new RetiredObjects(bucket, clock, silentLog, 'fake')
  for (const key of keys) {
    await bucket.put(key, Buffer.from(key))
    retired.add(key, undefined, key.startsWith('late') ? 10_000 : 1000)
  }
  return { clock, bucket, retired }
}

const keysOf = (retired: RetiredObjects): string[] => Array.from(retired.all(), ({ key }) => key)

test('what is due is removed, in the order in which it was retired', async () => {
  const { clock, bucket, retired } = await stage(['a', 'late', 'b', 'c'])
  const gone: string[] = []
  const note = (key: string): void => {
    gone.push(key)
  }
  await retired.removeDue(note)
  assert.deepEqual(gone, [])
  await clock.advance(1000)
  await retired.removeDue(note)
  assert.deepEqual([gone, keysOf(retired), [...bucket.objects.keys()]], [['a', 'b', 'c'], ['late'], ['late']])
  await clock.advance(9000)
  await retired.removeDue(note)
  assert.deepEqual([gone, keysOf(retired)], [['a', 'b', 'c', 'late'], []])
})

test('what is retired is noted at once, what is gone each hour, and both at the end', async () => {
  const { clock, bucket, retired } = await stage(['a', 'late', 'b'])
  let puts = 0
  const put = bucket.put.bind(bucket)
  bucket.put = (...given) => {
    puts++
    return put(...given)
  }
  const noted = async (): Promise<string[]> => {
    const again = new RetiredObjects(bucket, clock, silentLog, 'fake')
    await again.load()
    return keysOf(again)
  }
  await retired.save()
  assert.deepEqual([puts, await noted()], [1, ['a', 'late', 'b']])
  await clock.advance(1000)
  await retired.removeDue(() => {})
  await retired.save()
  assert.deepEqual([puts, await noted()], [1, ['a', 'late', 'b']])
  await clock.advance(3_600_000)
  await retired.save()
  assert.deepEqual([puts, await noted()], [2, ['late']])
  await retired.removeDue(() => {})
  await retired.save(true)
  assert.deepEqual([puts, await noted()], [3, []])
  await retired.save(true)
  assert.equal(puts, 3)
})

test('an object that can not be removed waits with those behind it', async () => {
  const { clock, bucket, retired } = await stage(['a', 'b', 'c'])
  await clock.advance(1000)
  const remove = bucket.delete.bind(bucket)
  bucket.delete = key => (key === 'b' ? Promise.reject(new Error('no')) : remove(key))
  await retired.removeDue(() => {})
  assert.deepEqual(keysOf(retired), ['b', 'c'])
  bucket.delete = remove
  await retired.removeDue(() => {})
  assert.deepEqual(keysOf(retired), [])
})

test('what is retired, or read of the bucket, while others are removed stays', async () => {
  const { clock, bucket, retired } = await stage(['a', 'b', 'late'])
  await retired.save()
  await clock.advance(1000)
  const remove = bucket.delete.bind(bucket)
  bucket.delete = async key => {
    await remove(key)
    if (key !== 'a') return
    await retired.load()
    retired.add('new', undefined, 10_000)
  }
  await retired.removeDue(() => {})
  assert.deepEqual(keysOf(retired).slice(-2), ['late', 'new'])
  bucket.delete = remove
  await retired.removeDue(() => {})
  assert.deepEqual(keysOf(retired), ['late', 'new'])
})

test('what comes again while it, or another object, is removed is there behind the removal', async () => {
  const { clock, bucket, retired } = await stage(['a', 'b'])
  await retired.save()
  await clock.advance(1000)
  const remove = bucket.delete.bind(bucket)
  let goOn = (): void => {}
  bucket.delete = async key => {
    if (key === 'a') await new Promise<void>(resolve => (goOn = resolve))
    await remove(key)
  }
  const removed = retired.removeDue(() => {})
  const comeAgain = async (key: string): Promise<void> => {
    await retired.keep([key])
    await bucket.put(key, Buffer.from('again'))
  }
  const came = Promise.all(['a', 'b'].map(comeAgain))
  await new Promise(setImmediate)
  goOn()
  await Promise.all([removed, came])
  assert.deepEqual([...bucket.objects.keys()].sort().slice(0, 2), ['a', 'b'])
  assert.equal(Buffer.from(await bucket.get('a')).toString(), 'again')
})
