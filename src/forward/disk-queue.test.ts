/** A queue on the disk: order, positions, damage, limits, broken disks. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '#codec/crc32c.ts'
import type { AppendFile } from '#core/files.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { NewerFormatError } from '#core/own-formats.ts'
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

test('files that a newer program wrote are refused, and stay as they are', async () => {
  const f = new Fixture()
  const queue = await f.open()
  await fill(queue, 0, 2)
  await queue.close()
  const [name = ''] = await f.segments()
  const bytes = await f.files.read(`/q/${name}`)
  bytes.set(Buffer.from('TQ02'))
  await f.files.writeAtomic(`/q/${name}`, bytes)
  await assert.rejects(f.open(), NewerFormatError)
  assert.deepEqual(await f.files.read(`/q/${name}`), bytes)
  assert.deepEqual(await f.segments(), [name])
})

test('positions that a newer program wrote are refused', async () => {
  const f = new Fixture()
  await f.files.writeAtomic('/q/position.json', Buffer.from('{"version":2,"segment":1,"at":0}'))
  await assert.rejects(f.open(), NewerFormatError)
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

test('after a restart what is not finished comes again, and what is finished does not', async () => {
  const f = new Fixture()
  let queue = await f.open()
  await fill(queue, 0, 50)
  const [, second] = [await take(queue), await take(queue), await take(queue)]
  await queue.finish(second)
  await queue.close()
  queue = await f.open()
  assert.deepEqual(await drain(queue, 49), [0, ...range(2, 50)])
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

test('a process that is killed sends nothing again that was finished, in whatever order', async () => {
  const random = seededRandom(11)
  for (let round = 0; round < 20; round++) {
    const f = new Fixture()
    let queue = await f.open()
    await fill(queue, 0, 40)
    const finished: number[] = []
    for (let run = 0; run < 4; run++) {
      const taken: QueueMessage[] = []
      for (let i = 0; i < 10; i++) taken.push(await take(queue))
      for (let i = 0; i < 6; i++) {
        const [one] = taken.splice(below(random, taken.length), 1)
        await queue.finish(one!)
        finished.push(numberOf(one!))
        if (below(random, 8) === 0) await queue.savePosition()
      }
      // The process ends here: nothing is closed.
      queue = await f.open()
    }
    const rest = range(0, 40).filter(i => !finished.includes(i))
    assert.deepEqual(await drain(queue, rest.at(-1)!), rest, `seed 11, round ${round}`)
    await queue.close()
  }
})

test('damage costs the messages that it hit, and nothing behind them', async () => {
  const random = seededRandom(3)
  for (let round = 0; round < 200; round++) {
    const f = new Fixture()
    let queue = await f.open()
    await fill(queue, 0, 60)
    await queue.close()
    const segments = await f.segments()
    const path = `/q/${segments[below(random, segments.length - 1)]}`
    const bytes = Uint8Array.from(await f.files.read(path))
    const starts = [...bytes.keys()].filter(i => Buffer.from(bytes.subarray(i, i + 4)).toString() === 'TQ01')
    const at = below(random, bytes.length)
    const hit = starts.findLastIndex(start => start <= at)
    const first = Number(Buffer.from(bytes).toString('latin1').split(' ')[1])
    const numbers = starts.map((_, i) => first + i)
    const kind = round % 3
    let lost: number[]
    let after = bytes
    if (kind === 0) {
      bytes[at]! ^= 1 + below(random, 255)
      lost = [numbers[hit]!]
    } else if (kind === 1) {
      after = bytes.subarray(0, at)
      lost = numbers.slice(starts[hit] === at ? hit : hit)
    } else {
      const to = Math.min(bytes.length, at + 1 + below(random, 150))
      bytes.fill(0, at, to)
      lost = numbers.filter((_, i) => i >= hit && starts[i]! < to)
    }
    await f.files.writeAtomic(path, after)
    queue = await f.open()
    const expected = range(0, 60).filter(i => !lost.includes(i))
    assert.deepEqual(await drain(queue, expected.at(-1)!), expected, `seed 3, round ${round}, byte ${at} of ${path}`)
    assert.equal(queue.damaged > 0, kind !== 1 || starts[hit] !== at, `round ${round}`)
    await queue.close()
  }
})

test('a disk that can not be read for a while loses nothing', async () => {
  const f = new Fixture()
  const queue = await f.open()
  await fill(queue, 0, 30)
  f.files.onOperation = operation => {
    if (operation === 'read') throw new Error('EIO')
  }
  // The first one was put while its reader waited for it, and is not read again.
  assert.deepEqual(await drain(queue, 0), [0])
  await assert.rejects(queue.take(), /EIO/)
  f.files.onOperation = () => undefined
  assert.deepEqual(await drain(queue, 29), range(1, 30))
  await queue.close()
})

test('messages of an earlier version are read', async () => {
  const f = new Fixture()
  const out = await f.files.openAppend('/q/0000000001.queue')
  for (let i = 0; i < 5; i++) {
    const payload = Buffer.from(`message ${i} of old`)
    const head = Buffer.alloc(8)
    head.writeUInt32BE(payload.length, 0)
    head.writeUInt32BE(crc32c(payload), 4)
    await out.append(Buffer.concat([head, payload]))
  }
  const queue = await f.open()
  await fill(queue, 5, 7)
  assert.deepEqual(await drain(queue, 6), range(0, 7))
  assert.equal(queue.damaged, 0)
  await queue.close()
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

/** A disk that can be full, and that counts its open files; what does not fit is written in part. */
class FullFiles extends MemoryFiles {
  isFull = false
  opened = 0
  closed = 0

  override async openAppend(path: string): Promise<AppendFile> {
    if (this.isFull && !this.entries.has(path) && this.opened % 2 === 1) throw new Error('ENOSPC')
    const file = await super.openAppend(path)
    this.opened++
    return {
      append: async bytes => {
        await file.append(this.isFull ? bytes.subarray(0, bytes.length / 2) : bytes)
        if (this.isFull) throw new Error('ENOSPC')
      },
      cutTo: length => file.cutTo(length),
      sync: () => file.sync(),
      close: async () => {
        this.closed++
        await file.close()
      },
    }
  }
}

test('a full disk refuses messages, leaves no file open, and the queue goes on when there is room', async () => {
  for (const before of [0, 2]) {
    const files = new FullFiles()
    const queue = new DiskQueue({ files, log: silentLog, directory: '/q', bytesMax: 1 << 20, segmentBytes })
    await queue.open()
    await fill(queue, 0, before)
    files.isFull = true
    for (let i = 0; i < 100; i++) await assert.rejects(fill(queue, 100, 101), /ENOSPC/)
    assert.equal(files.opened - files.closed, 0)
    assert.ok((await files.list('/q')).length <= 2, 'no file is left of what was refused')
    files.isFull = false
    await fill(queue, before, 5)
    assert.deepEqual(await drain(queue, 4), range(0, 5))
    await queue.close()
    assert.equal(files.opened - files.closed, 0)
    // After a restart, torn ends of then cost nothing.
    const again = new DiskQueue({ files, log: silentLog, directory: '/q', bytesMax: 1 << 20, segmentBytes })
    await again.open()
    await fill(again, 5, 6)
    assert.deepEqual(await drain(again, 5), [5])
    await again.close()
  }
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
