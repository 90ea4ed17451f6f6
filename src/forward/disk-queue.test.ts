/** A queue on the disk: order, positions, damage, limits, broken disks. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { DiskQueue, type QueueMessage } from './disk-queue.ts'

const segmentBytes = 1000

/** The second word of a message made by `fill` is its number. */
class Fixture {
  readonly files = new MemoryFiles()

  async open(bytesMax = 1 << 20): Promise<DiskQueue> {
    const queue = new DiskQueue({ files: this.files, log: silentLog, directory: '/q', bytesMax, segmentBytes })
    await queue.open()
    return queue
  }
  async segments(): Promise<string[]> {
    return (await this.files.list('/q')).filter(name => name.endsWith('.queue'))
  }
}
async function fill(queue: DiskQueue, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await queue.put(Buffer.from(`message ${i} ${'x'.repeat(40)}`))
}
async function take(queue: DiskQueue): Promise<QueueMessage> {
  const message = await queue.take()
  assert.ok(message)
  return message
}
const numberOf = ({ payload }: QueueMessage): number => Number(Buffer.from(payload).toString().split(' ')[1])
/** Takes and finishes up to and including message `last`. */
async function drain(queue: DiskQueue, last: number): Promise<number[]> {
  const seen: number[] = []
  while (seen.at(-1) !== last) {
    const message = await take(queue)
    seen.push(numberOf(message))
    await queue.finish(message)
  }
  return seen
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

test('messages come in the order in which they were put, over many segments', async () => {
  const f = new Fixture()
  const queue = await f.open()
  await fill(queue, 0, 100)
  assert.ok((await f.segments()).length > 4)
  assert.deepEqual(await drain(queue, 99), range(0, 100))
  assert.equal(queue.bytes, 0)
  assert.equal((await f.segments()).length, 1, 'finished segments are removed')
  await queue.close()
})

test('an empty message, and one that is larger than a segment, come as they were put', async () => {
  const queue = await new Fixture().open()
  const large = Uint8Array.from({ length: 200_000 }, (_, i) => i & 255)
  await queue.put(new Uint8Array(0))
  await queue.put(large)
  assert.equal((await take(queue)).payload.length, 0)
  assert.deepEqual((await take(queue)).payload, large)
  await queue.close()
})

test('a caller that takes from an empty queue waits for the next message; closing ends its wait', async () => {
  const queue = await new Fixture().open()
  const first = take(queue)
  await fill(queue, 7, 8)
  assert.equal(numberOf(await first), 7)
  const second = queue.take()
  await new Promise(setImmediate)
  await queue.close()
  assert.equal(await second, undefined)
})

test('after a restart the first message that is not finished comes again', async () => {
  const f = new Fixture()
  let queue = await f.open()
  await fill(queue, 0, 50)
  const [, second] = [await take(queue), await take(queue), await take(queue)]
  await queue.finish(second)
  await queue.close()
  queue = await f.open()
  assert.deepEqual(await drain(queue, 49), range(0, 50))
  await queue.close()
  queue = await f.open()
  await fill(queue, 50, 52)
  assert.deepEqual(await drain(queue, 51), [50, 51])
  await queue.close()
})

test('a position that is lost or damaged means the beginning', async () => {
  for (const damage of ['', '{', '{"segment":99,"at":0}']) {
    const f = new Fixture()
    let queue = await f.open()
    await fill(queue, 0, 5)
    await queue.finish(await take(queue))
    await queue.close()
    await f.files.writeAtomic('/q/position.json', Buffer.from(damage))
    queue = await f.open()
    assert.equal(numberOf(await take(queue)), 0, damage)
    await queue.close()
  }
})

test('damage costs the rest of one segment, wherever it is', async () => {
  const random = seededRandom(3)
  for (let round = 0; round < 40; round++) {
    const f = new Fixture()
    let queue = await f.open()
    await fill(queue, 0, 60)
    await queue.close()
    const [damaged, second] = await f.segments()
    const firstOfSecond = Number(
      Buffer.from(await f.files.read(`/q/${second}`))
        .toString()
        .split(' ')[1],
    )
    const bytes = Uint8Array.from(await f.files.read(`/q/${damaged}`))
    const at = below(random, bytes.length)
    if (round % 2 === 0) bytes[at]! ^= 1 + below(random, 255)
    await f.files.writeAtomic(`/q/${damaged}`, round % 2 === 0 ? bytes : bytes.subarray(0, at))
    queue = await f.open()
    const seen = await drain(queue, 59)
    const intact = range(firstOfSecond, 60)
    const expected = [...range(0, seen.length - intact.length), ...intact]
    assert.deepEqual(seen, expected, `seed 3, round ${round}, byte ${at}`)
    await queue.close()
  }
})

test('a queue that is full drops its oldest segments, and counts them', async () => {
  const queue = await new Fixture().open(5000)
  await fill(queue, 0, 200)
  assert.ok(queue.bytes <= 5000 + segmentBytes + 100, String(queue.bytes))
  assert.ok(queue.dropped > 5000)
  const first = numberOf(await take(queue))
  assert.ok(first > 50)
  assert.deepEqual(await drain(queue, 199), range(first + 1, 200))
  await queue.close()
})

test('a message that the disk refuses is an error of its put; later messages begin a new segment', async () => {
  const f = new Fixture()
  const queue = await f.open()
  await fill(queue, 0, 2)
  f.files.onOperation = operation => {
    if (operation === 'append') throw new Error('disk full')
  }
  await assert.rejects(fill(queue, 2, 3), /disk full/)
  f.files.onOperation = () => undefined
  await fill(queue, 3, 5)
  assert.deepEqual(await drain(queue, 4), [0, 1, 3, 4])
  await queue.close()
})

test('what is put, or a close, between the look and the wait of a taker wakes it', async () => {
  for (const act of ['put', 'close'] as const)
    for (let ticks = 0; ticks < 12; ticks++) {
      const queue = await new Fixture().open()
      const taken = queue.take()
      for (let i = 0; i < ticks; i++) await Promise.resolve()
      if (act === 'put') await queue.put(Buffer.from('late'))
      else await queue.close()
      const message = await within(taken, `${act} after ${ticks} ticks`)
      assert.equal(message !== undefined, act === 'put')
      if (act === 'put') await queue.close()
    }
})

/** `promise`, or an error when 200 turns of the event loop did not settle it. */
async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Symbol('late')
  const turns = async (): Promise<typeof late> => {
    for (let i = 0; i < 200; i++) await new Promise(resolve => setImmediate(resolve))
    return late
  }
  const first = await Promise.race([promise, turns()])
  assert.notEqual(first, late, `${what}: the taker waits for ever`)
  return first as T
}
