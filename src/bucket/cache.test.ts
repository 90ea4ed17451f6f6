import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { silentLog } from '#core/log.ts'
import { NotFoundError } from '#core/errors.ts'
import { CachedBucket } from './cache.ts'
import { bucketSuite } from './bucket-suite.ts'
import { MemoryBucket } from './memory.ts'
import { systemClock } from '#core/clock.ts'
import { systemFiles } from '#core/files.ts'

const mib = 1024 * 1024
const isCacheable = (key: string): boolean => key.includes('/chunks/')

/** A bucket that counts what is asked of it. */
class CountingBucket extends MemoryBucket {
  reads = 0
  override get(key: string): Promise<Uint8Array> {
    this.reads++
    return super.get(key)
  }
  override async getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    this.reads++
    return (await super.get(key)).slice(offset, offset + length)
  }
}

async function setUp(
  bytesMax: number,
): Promise<{ files: MemoryFiles; inner: CountingBucket; open: () => Promise<CachedBucket>; content: Uint8Array }> {
  const files = new MemoryFiles()
  const inner = new CountingBucket(new VirtualClock(0))
  const content = Uint8Array.from({ length: 2.5 * mib }, (_, i) => (i * 7 + (i >> 12)) & 255)
  await inner.put('t/b/chunks/000001', content)
  return {
    files,
    inner,
    content,
    open: () => CachedBucket.open(inner, { files, log: silentLog, directory: 'cache', bytesMax, isCacheable }),
  }
}

bucketSuite(
  'cached',
  async () =>
    CachedBucket.open(new MemoryBucket(systemClock, systemFiles), {
      files: new MemoryFiles(),
      log: silentLog,
      directory: 'cache',
      bytesMax: mib,
      isCacheable,
    }),
  3_000_000,
)

test('cached: a page is fetched once, also by several at once, and after a restart', async () => {
  const { inner, open, content } = await setUp(10 * mib)
  const cache = await open()
  const ranges = [
    [0, 10],
    [mib - 5, 10],
    [2.5 * mib - 3, 100],
    [mib, mib],
    [2.5 * mib, 5],
  ] as const
  for (const [offset, length] of ranges) {
    const got = await Promise.all([
      cache.getRange('t/b/chunks/000001', offset, length),
      cache.getRange('t/b/chunks/000001', offset, length, new Uint8Array(length + 7)),
    ])
    for (const bytes of got) assert.deepEqual(bytes, content.slice(offset, offset + length))
  }
  // The last page came with the one before it.
  assert.equal(inner.reads, 2)
  assert.deepEqual(await cache.get('t/b/chunks/000001'), content)
  assert.deepEqual(await (await open()).get('t/b/chunks/000001'), content)
  assert.equal(inner.reads, 2)
})

test('cached: who reads on gets what follows with it, and nothing behind the end', async () => {
  const { inner, open } = await setUp(40 * mib)
  const key = 't/b/chunks/000002'
  const content = Uint8Array.from({ length: 7 * mib }, (_, i) => (i * 5 + (i >> 10)) & 255)
  await inner.put(key, content)
  const cache = await open()
  for (let page = 0; page < 7; page++)
    assert.deepEqual(await cache.getRange(key, page * mib, mib), content.slice(page * mib, (page + 1) * mib))
  // The first page, four, then two and the end.
  assert.equal(inner.reads, 3)
  assert.equal((await cache.getRange(key, 7 * mib, 10)).length, 0)
  assert.equal(inner.reads, 3)
  assert.deepEqual(await cache.get(key), content)
  assert.equal(inner.reads, 3)
})

test('cached: stays below its size, and forgets what was deleted (req-154)', async () => {
  const { inner, files, open, content } = await setUp(1.5 * mib)
  const cache = await open()
  assert.deepEqual(await cache.get('t/b/chunks/000001'), content)
  assert.ok(cache.bytes <= 1.5 * mib)
  assert.ok([...files.entries.values()].reduce((sum, entry) => sum + entry.length, 0) <= 1.5 * mib)
  await cache.delete('t/b/chunks/000001')
  assert.equal(cache.bytes, 0)
  assert.equal(files.entries.size, 0)
  await assert.rejects(cache.getRange('t/b/chunks/000001', 0, 5), NotFoundError)
  await inner.put('t/b/meta.json', content.slice(0, 5))
  await cache.getRange('t/b/meta.json', 0, 5)
  await cache.getRange('t/b/meta.json', 0, 5)
  assert.equal(files.entries.size, 0)
})

test('cached: what several delete at once, and others push out meanwhile, is counted off once', async () => {
  const { inner, open } = await setUp(4 * mib)
  const cache = await open()
  const keys = ['t/b/chunks/000001', 't/b/chunks/000002']
  await inner.put(keys[1]!, new Uint8Array(2.5 * mib))
  const readAll = (key: string): Promise<Uint8Array> => cache.getRange(key, 0, 3 * mib)
  for (let round = 0; round < 3; round++) {
    await readAll(keys[0]!)
    await Promise.all([cache.evict('t/b/'), cache.evict('t/b/chunks/'), readAll(keys[1]!), cache.evict('t/b/')])
    await cache.evict('t/b/')
    assert.equal(cache.bytes, 0)
  }
})

test('cached: a disk that fails, or lost a page, does not fail a read', async () => {
  const { files, open, content } = await setUp(10 * mib)
  const cache = await open()
  await cache.getRange('t/b/chunks/000001', 0, 10)
  files.entries.clear()
  assert.deepEqual(await cache.getRange('t/b/chunks/000001', 0, 10), content.slice(0, 10))
  files.onOperation = operation => {
    if (operation === 'write' || operation === 'read') throw new Error('the disk is broken')
  }
  assert.deepEqual(await cache.getRange('t/b/chunks/000001', 5, 10), content.slice(5, 15))
})

test('cached: a page that is evicted while it is read takes no room any more', async () => {
  const { files, open, content } = await setUp(10 * mib)
  const cache = await open()
  await cache.get('t/b/chunks/000001')
  const read = cache.getRange('t/b/chunks/000001', 0, 10)
  await cache.evict('t/b/')
  assert.deepEqual(await read, content.slice(0, 10))
  assert.deepEqual([cache.bytes, files.entries.size], [0, 0])
})

test('cached: of an object that is written again nothing of before is served', async () => {
  const { files, open, content } = await setUp(12 * mib)
  const cache = await open()
  const key = 't/b/chunks/000001'
  await cache.get(key)
  // Too large to be kept, then shorter than before, then with a disk that takes its first page alone.
  const large = content.map(byte => byte ^ 1)
  const grown = new Uint8Array(4 * mib).fill(7)
  for (const bytes of [grown, content.slice(0, mib + 5), large]) {
    await cache.put(key, bytes)
    assert.equal(Buffer.compare(await cache.get(key), bytes), 0)
    assert.equal((await cache.getRange(key, bytes.length, 10)).length, 0)
  }
  let writes = 0
  files.onOperation = operation => {
    if (operation === 'write' && ++writes > 1) throw new Error('the disk is full')
  }
  await cache.put(key, content)
  assert.equal(Buffer.compare(await cache.get(key), content), 0)
})

test('cached: a page whose copy is damaged is fetched again, and evicted pages are too', async () => {
  const { inner, files, open, content } = await setUp(10 * mib)
  const cache = await open()
  await cache.get('t/b/chunks/000001')
  for (const path of Array.from(files.entries.keys())) {
    const bytes = (await files.read(path)).slice()
    bytes[7]! ^= 4
    await files.writeAtomic(path, bytes)
  }
  assert.deepEqual(await cache.get('t/b/chunks/000001'), content)
  assert.equal(inner.reads, 4)
  assert.deepEqual(await (await open()).get('t/b/chunks/000001'), content)
  assert.equal(inner.reads, 4)
  await cache.evict('t/c/')
  await cache.get('t/b/chunks/000001')
  assert.equal(inner.reads, 4)
  await cache.evict('t/b/')
  assert.equal(cache.bytes, 0)
  await cache.get('t/b/chunks/000001')
  assert.equal(inner.reads, 5)
})

test('cached: missing pages beside each other are one request, whoever else asks for them meanwhile', async () => {
  const { inner, open, content } = await setUp(10 * mib)
  const key = 't/b/chunks/000001'
  const cache = await open()
  const [all, last, again] = await Promise.all([
    cache.getRange(key, 5, 2.5 * mib),
    cache.getRange(key, 2 * mib, mib),
    cache.getRange(key, mib, 10),
  ])
  assert.deepEqual([all, last, again], [content.slice(5), content.slice(2 * mib), content.slice(mib, mib + 10)])
  assert.equal(inner.reads, 1)
  await cache.evict('t/b/')
  // What the disk has of it is not asked for again, and what it lacks on both sides is two requests.
  await cache.getRange(key, mib, 10)
  assert.deepEqual(await cache.getRange(key, 0, 3 * mib), content)
  assert.equal(inner.reads, 4)
  await cache.evict('t/b/')
  await cache.getRange(key, 0, 10)
  assert.deepEqual(await Promise.all([cache.get(key), cache.get(key)]), [content, content])
  assert.equal(inner.reads, 6)
  assert.deepEqual(await (await open()).getRange(key, 0, 3 * mib), content)
  assert.equal(inner.reads, 6)
})

test('cached: each who asks for an object has its bytes for itself', async () => {
  const { open, content } = await setUp(10 * mib)
  const cache = await open()
  for (let round = 0; round < 2; round++) {
    const [first, second] = await Promise.all([cache.get('t/b/chunks/000001'), cache.get('t/b/chunks/000001')])
    structuredClone(first, { transfer: [first!.buffer as ArrayBuffer] })
    assert.deepEqual(second, content)
  }
})

test('cached: what was written is not fetched to be read, within a part of the room', async () => {
  const { inner, open, content } = await setUp(16 * mib)
  const cache = await open()
  const sizes = [0, 1, mib - 1, mib, mib + 1, 2.5 * mib]
  for (const size of sizes) {
    const bytes = content.subarray(0, size)
    await cache.put(`t/put${size}/chunks/1`, bytes)
    inner.reads = 0
    assert.deepEqual(await cache.get(`t/put${size}/chunks/1`), bytes)
    if (size > 0) assert.deepEqual(await cache.getRange(`t/put${size}/chunks/1`, 0, size), bytes)
    assert.equal(inner.reads, 0, `${size} bytes`)
  }
  await cache.put('t/large/chunks/1', new Uint8Array(5 * mib))
  inner.reads = 0
  await cache.getRange('t/large/chunks/1', 0, 10)
  assert.equal(inner.reads, 1, 'too large to be kept')
  await cache.put('t/b/index', content)
  assert.ok(cache.bytes < 16 * mib)
})

test('cached: a file that was written is not fetched either, and a full disk fails no write', async () => {
  const files = new MemoryFiles()
  const inner = new CountingBucket(new VirtualClock(0), files)
  const options = { files, log: silentLog, directory: 'cache', bytesMax: 16 * mib, isCacheable }
  const cache = await CachedBucket.open(inner, options)
  const content = Uint8Array.from({ length: 1.5 * mib }, (_, i) => i & 255)
  await files.writeAtomic('staged', content)
  await cache.putFile('t/a/chunks/1', 'staged')
  assert.deepEqual(await cache.get('t/a/chunks/1'), content)
  assert.equal(inner.reads, 0)
  files.onOperation = operation => {
    if (operation === 'writeAtomic') throw new Error('ENOSPC')
  }
  await cache.putFile('t/b/chunks/1', 'staged')
  assert.deepEqual(await cache.get('t/b/chunks/1'), content)
})
