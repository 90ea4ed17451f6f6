/**
 * Filters of many blocks of traces in one object: a trace by its id is few requests, and the answers are the same where
 * the object is missing, damaged, newer, or older than the blocks.
 */
import '../simulation/synchronous-zlib.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import type { MemoryBucket } from '#bucket/memory.ts'
import { NotFoundError } from '#core/errors.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import type { TracesEngine } from '#traces/engine.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving, openTraces } from '../signal-worlds.ts'

const hourMs = 3_600_000
const minuteMs = 60_000
const blocks = 40
const gapBytes = 1024 * 1024

/** Blocks an hour apart, each of its own trace and of one that all of them have; then time for the last to settle. */
async function storedBlocks(count = blocks): Promise<StoreWorld> {
  const world = new StoreWorld()
  Object.assign(world.bucket, { gapBytes })
  const writer = await openStore.traces(world)
  await sendBlocks(world, writer, 0, count)
  await driving(world.clock, writer.signal.close())
  return world
}

async function sendBlocks(
  world: StoreWorld,
  writer: Awaited<ReturnType<typeof openStore.traces>>,
  from: number,
  to: number,
): Promise<void> {
  for (let n = from; n < to; n++) {
    await driving(world.clock, writer.send([{ n, group: `g${n}` }]))
    await driving(world.clock, writer.send([{ n: n + 1000, group: 'all' }]))
    await driving(world.clock, writer.signal.flush())
    await world.clock.advance(hourMs)
  }
  await world.clock.advance(11 * minuteMs)
}

const joinedKeys = ({ objects }: MemoryBucket): string[] =>
  [...objects.keys()].filter(key => key.includes('/tercet/trace-filters/'))

function idOf(group: string): Uint8Array {
  const id = new Uint8Array(16)
  id.set(Buffer.from(group))
  return id
}

/** What reads of the bucket ask for from here on. */
function watched(bucket: MemoryBucket): string[] {
  const keys: string[] = []
  const { objects } = bucket
  const read = (key: string): Uint8Array => {
    keys.push(key)
    const object = objects.get(key)
    if (object === undefined) throw new NotFoundError(`no object ${key}`)
    return object.bytes
  }
  Object.assign(bucket, {
    get: async (key: string) => read(key).slice(),
    getRange: async (key: string, at: number, length: number) => read(key).slice(at, at + length),
  })
  return keys
}

/** How many bytes reads of ranges ask for from here on. */
function watchedLengths(bucket: MemoryBucket): number[] {
  const lengths: number[] = []
  const { getRange } = bucket
  bucket.getRange = (key, at, length) => {
    lengths.push(length)
    return getRange.call(bucket, key, at, length)
  }
  return lengths
}

/** Numbers of a trace's spans, by a process that has nothing but the bucket. */
async function found(engine: TracesEngine, group: string): Promise<number[]> {
  const trace = await engine.reader('fake').find(idOf(group), -Infinity, Infinity)
  const spans = trace?.resources.flatMap(({ scopes }) => scopes.flatMap(scope => scope.spans)) ?? []
  return spans.map(({ name }) => Number(name)).sort((a, b) => a - b)
}

const openReader = (world: StoreWorld): Promise<TracesEngine> =>
  openTraces(world.clock, { ...world.options(), files: new MemoryFiles(), readOnly: true })

async function answersOf(world: StoreWorld): Promise<number[][]> {
  const reader = await openReader(world)
  const answers: number[][] = []
  for (const group of ['g0', 'g7', `g${blocks - 1}`, 'all', 'absent']) answers.push(await found(reader, group))
  assert.deepEqual(reader.reader('fake').damaged('all'), [])
  await driving(world.clock, reader.close())
  return answers
}

const expected = [[0], [7], [blocks - 1], Array.from({ length: blocks }, (_, n) => n + 1000), []]

test('a trace in one of 40 blocks is four requests, and one that is nowhere is one an object', async () => {
  const world = await storedBlocks()
  const objects = joinedKeys(world.bucket)
  assert.ok(objects.length >= 1 && objects.length <= 3, `${objects.length} objects`)
  const reader = await openReader(world)
  const asked = watched(world.bucket)
  assert.deepEqual(await found(reader, 'g7'), [7])
  assert.ok(asked.length <= objects.length + 1, asked.join())
  asked.length = 0
  assert.deepEqual(await found(reader, 'absent'), [])
  assert.ok(asked.length <= objects.length, asked.join())
  assert.deepEqual(await answersOf(world), expected)
})

test('where joined filters are missing or damaged, a block answers by its own', async () => {
  const world = await storedBlocks()
  const { objects } = world.bucket
  const whole = new Map(joinedKeys(world.bucket).map(key => [key, objects.get(key)!]))
  const reader = await openReader(world)
  for (const key of whole.keys()) objects.delete(key)
  assert.deepEqual(await found(reader, 'g7'), [7], 'gone since they were listed')
  assert.deepEqual(await answersOf(world), expected, 'never there')
  const damages: [string, (bytes: Uint8Array) => Uint8Array][] = [
    ['a newer version', bytes => bytes.with(4, 2)],
    ['a damaged head', bytes => bytes.with(1100, bytes[1100]! ^ 8)],
    ['damaged parts and footers', bytes => bytes.map((byte, at) => (at < 8000 ? byte : byte ^ 1))],
    ['cut off', bytes => bytes.subarray(0, 9000)],
    ['empty', () => new Uint8Array(0)],
  ]
  for (const [what, damage] of damages) {
    for (const [key, { bytes, modifiedMs }] of whole)
      objects.set(key, { bytes: Uint8Array.from(damage(bytes)), modifiedMs })
    assert.deepEqual(await answersOf(world), expected, what)
  }
})

test('an object with other bytes than its head promises is not read, and no memory taken for them', async () => {
  const world = await storedBlocks()
  const { objects } = world.bucket
  const key = joinedKeys(world.bucket)[0]!
  const { bytes, modifiedMs } = objects.get(key)!
  const forged: [string, (view: DataView, object: Uint8Array) => void][] = [
    ['a head of a million blocks', view => (view.setUint32(12, 1_000_000), view.setUint32(8, 1044 + 32_000_000))],
    ['parts of 4 GB', view => Array.from({ length: 256 }, (_, part) => view.setUint32(16 + part * 4, 0xffff_ffff))],
    ['footers of 4 GB', view => view.setUint32(1040 + 24, 0xffff_ffff)],
  ]
  for (const [what, forge] of forged) {
    const object = bytes.slice()
    const view = new DataView(object.buffer)
    const headBytes = view.getUint32(8)
    forge(view, object)
    view.setUint32(headBytes - 4, crc32(object.subarray(0, headBytes - 4)))
    objects.set(key, { bytes: object, modifiedMs })
    const asked = watchedLengths(world.bucket)
    assert.deepEqual(await answersOf(world), expected, what)
    assert.ok(Math.max(...asked) <= 1024 * 1024, `${what}: ${Math.max(...asked)} bytes were asked for`)
  }
})

test('a block that came later, was merged, or went is answered as it is, and the objects follow', async () => {
  const world = await storedBlocks(10)
  const { bucket, clock } = world
  const reader = await openReader(world)
  const before = joinedKeys(bucket)
  let writer = await openStore.traces(world)
  await sendBlocks(world, writer, 10, blocks)
  // A reader that knows the objects of then alone, of blocks that it has listed since.
  await driving(clock, reader.refresh())
  assert.deepEqual(await found(reader, 'g39'), [39])
  assert.notDeepEqual(joinedKeys(bucket), before)
  assert.ok(joinedKeys(bucket).length <= 4)
  assert.deepEqual(await answersOf(world), expected)
  await driving(clock, writer.signal.close())
  // All of it is older than the retention: nothing of the filters stays either.
  await clock.advance(100 * hourMs)
  writer = await openStore.traces(world, { retentionMs: hourMs })
  for (let i = 0; i < 30; i++) await clock.advance(5 * minuteMs)
  assert.deepEqual(joinedKeys(bucket), [])
  await driving(clock, writer.signal.close())
})

test('a bucket in a directory, whose requests cost nothing, gets no joined filters', async () => {
  const world = new StoreWorld()
  const writer = await openStore.traces(world)
  await sendBlocks(world, writer, 0, 5)
  assert.deepEqual(joinedKeys(world.bucket), [])
  await driving(world.clock, writer.signal.close())
})
