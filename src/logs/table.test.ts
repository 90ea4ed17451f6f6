/** Tables beside indexes: what goes in comes out, also when several become one; damage is met as such. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasBit } from '#codec/bit-rows.ts'
import { CorruptDataError } from '#core/errors.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { mutate } from '../../test/damage.ts'
import type { ChunkRef } from './chunk.ts'
import { Labels } from '#model/labels.ts'
import { chunkName } from './merge.ts'
import { encodeTable, partOfChunks, partOfTable, TableHead, type FilteredChunk } from './table.ts'
import { tableKeyOf, TableReader, type HeldTables } from './tables.ts'
import { TableWriter, type FreshChunk } from './table-writer.ts'
import { OpenChunk } from './open-chunk.ts'
import { encodeFilter } from './token-filter.ts'

const pause = (): Promise<void> => Promise.resolve()

function refOf(number: number): ChunkRef {
  return {
    fingerprint: (number + 10).toString(16),
    fromMs: number * 1000,
    throughMs: number * 1000 + 500,
    checksum: number,
  }
}

interface MadeChunk extends FilteredChunk {
  bitmaps: Uint8Array[]
}

/** A chunk of some blocks with bitmaps of several sizes, half of their bits set. */
function chunkOf(random: Random, number: number, blocks = 1 + below(random, 12)): MadeChunk {
  const bitmaps = Array.from({ length: blocks }, () => new Uint8Array(random.bytes((1 << (9 + below(random, 4))) / 8)))
  return { ref: refOf(number), entries: number, bitmaps, filter: encodeFilter(bitmaps, new Uint8Array(0)) }
}

/** A gram whose bit is the given one in a bitmap of 2^log2. */
function gramOf(bit: number, log2: number): number {
  return (bit << (32 - log2)) >>> 0
}

const indexKey = 'index/index_1/fake/7-compactor-1-2-3.tsdb.gz'

async function readerOf(bytes: Uint8Array): Promise<TableReader> {
  const bucket = new MemoryBucket(new VirtualClock(0))
  await bucket.put(tableKeyOf(indexKey)!, bytes)
  return new TableReader(bucket, 1 << 20, pause)
}

/** Compares what the reader says of some bits with the bitmaps. */
async function checkChunk(reader: TableReader, { ref, bitmaps }: MadeChunk, random: Random): Promise<void> {
  const beside = (await reader.beside(indexKey, chunkName(ref)))!
  assert.equal(beside.blocks, bitmaps.length)
  for (let round = 0; round < 5; round++) {
    const gram = random.u32()
    const expected = bitmaps.map(bitmap => (hasBit(bitmap, gram >>> (32 - Math.log2(bitmap.length * 8))) ? 1 : 0))
    assert.deepEqual([...(await beside.possible([Uint32Array.of(gram)]))], expected)
  }
  const [first] = bitmaps
  const log2 = Math.log2(first!.length * 8)
  const set = Array.from({ length: 1 << log2 }, (_, bit) => bit).filter(bit => hasBit(first!, bit))
  const grams = Uint32Array.from(set, bit => gramOf(bit, log2))
  assert.equal((await beside.possible([grams]))[0], 1)
}

test('a table says of each block which bits it has, and so does one of several', async () => {
  const random = seededRandom(11)
  for (const count of [1, 3, 40]) {
    const chunks = Array.from({ length: count }, (_, i) => chunkOf(random, i))
    const { bytes, headBytes } = await encodeTable([], [await partOfChunks(chunks, pause)], pause)
    const head = await TableHead.read(bytes, pause)
    assert.deepEqual([head.bytes, head.headBytes, head.chunks.length], [bytes.length, headBytes, count])
    const reader = await readerOf(bytes)
    for (const chunk of chunks) await checkChunk(reader, chunk, random)

    const more = Array.from({ length: 5 }, (_, i) => chunkOf(random, 100 + i))
    const keeps = ({ ref }: { ref: ChunkRef }): boolean => ref.checksum % 3 !== 1
    const parts = [await partOfTable(bytes, keeps, pause), await partOfChunks(more, pause)]
    const merged = await readerOf((await encodeTable([], parts, pause)).bytes)
    for (const chunk of [...chunks, ...more])
      if (chunk.ref.checksum >= 100 || keeps(chunk)) await checkChunk(merged, chunk, random)
      else assert.equal(await merged.beside(indexKey, chunkName(chunk.ref)), undefined)
  }
})

test('a large table is read by the row', async () => {
  const random = seededRandom(12)
  const chunks = Array.from({ length: 60 }, (_, i) => chunkOf(random, i, 30))
  const { bytes } = await encodeTable([], [await partOfChunks(chunks, pause)], pause)
  const bucket = new MemoryBucket(new VirtualClock(0))
  await bucket.put(tableKeyOf(indexKey)!, bytes)
  const asked: number[] = []
  bucket.getRange = (_key, offset, length) => {
    asked.push(length)
    return Promise.resolve(bytes.slice(offset, offset + length))
  }
  bucket.get = () => assert.fail('the table is fetched as a whole')
  const reader = new TableReader(bucket, 256 * 1024, pause)
  const beside = (await reader.beside(indexKey, chunkName(chunks[0]!.ref)))!
  await beside.possible([Uint32Array.of(random.u32(), random.u32())])
  assert.ok(
    asked.slice(1).every(length => length < 3000),
    asked.join(),
  )
  assert.ok(asked.length <= 1 + 2 * 4, asked.join())
})

test('over a network a table that has room is fetched whole, and rows of another with what lies between', async () => {
  const random = seededRandom(17)
  const chunks = Array.from({ length: 60 }, (_, i) => chunkOf(random, i, 30))
  const { bytes } = await encodeTable([], [await partOfChunks(chunks, pause)], pause)
  for (const cacheBytes of [16 << 20, 1 << 20]) {
    const bucket = new MemoryBucket(new VirtualClock(0))
    let requests = 0
    const far = Object.assign(bucket, {
      requests: { total: 0 } as unknown as Bucket['requests'],
      get: () => {
        requests++
        return Promise.resolve(bytes.slice())
      },
      getRange: (_key: string, offset: number, length: number) => {
        requests++
        return Promise.resolve(bytes.slice(offset, offset + length))
      },
    })
    const reader = new TableReader(far, cacheBytes, pause)
    if (cacheBytes > 1 << 20) for (const chunk of chunks) await checkChunk(reader, chunk, random)
    else {
      const beside = (await reader.beside(indexKey, chunkName(chunks[0]!.ref)))!
      await beside.possible([new Uint32Array(random.bytes(64).slice().buffer)])
    }
    // Its first bytes, then all of it; or its first bytes, then rows of each of four groups, four times.
    assert.ok(requests <= (cacheBytes > 1 << 20 ? 2 : 1 + 4 * 4), `${requests} requests`)
  }
})

test('damage of a table is met, and nothing else is thrown', async () => {
  const random = seededRandom(13)
  const chunks = [chunkOf(random, 1, 2), chunkOf(random, 2, 1)]
  const others = [{ key: 'fake/tercet/tables/1/6', headBytes: 100, bytes: 1000 }]
  const { bytes } = await encodeTable(others, [await partOfChunks(chunks, pause)], pause)
  const read = (damaged: Uint8Array): Promise<unknown> => partOfTable(damaged, () => true, pause)
  await read(bytes)
  for (let length = 0; length < bytes.length; length++)
    await assert.rejects(read(bytes.slice(0, length)), CorruptDataError, `cut off at ${length}`)
  for (let seed = 1; seed <= 2000; seed++)
    await read(mutate(bytes, seed)).catch((error: unknown) => {
      assert.ok(error instanceof CorruptDataError, `mutated with the seed ${seed}: ${String(error)}`)
    })
})

test('a table of many chunks is read, merged and written with pauses', async () => {
  const random = seededRandom(23)
  const one = chunkOf(random, 1, 1)
  const chunks = Array.from({ length: 2000 }, (_, i) => ({ ...one, ref: { ...one.ref, fingerprint: i.toString(16) } }))
  let pauses = 0
  const counting = (): Promise<void> => {
    pauses++
    return Promise.resolve()
  }
  // Each list of chunks, and each page of rows, is gone through with pauses.
  const pausesOf = async <T>(work: Promise<T>, least: number): Promise<T> => {
    const result = await work
    assert.ok(pauses >= least, String(pauses))
    pauses = 0
    return result
  }
  const part = await partOfChunks(chunks, pause)
  const { bytes } = await pausesOf(encodeTable([], [part], counting), 64 + 3 * 31)
  const { chunks: read } = await pausesOf(TableHead.read(bytes, counting), 2 * 31)
  assert.equal(read.length, 2000)
  await pausesOf(
    partOfTable(bytes, () => true, counting),
    64 + 3 * 31,
  )
})

test('a chunk whose metadata is long is counted by its columns: heads stay small', async () => {
  for (const [length, isWhole] of [
    [100, true],
    [3000, false],
  ] as const) {
    const open = new OpenChunk(0)
    for (let i = 0; i < 2; i++) open.append(i, 0, new Uint8Array(1), 0, 1, ['stack', `${i}`.padEnd(length, 'x')])
    const { ref, entries, filter } = open.close('fake', 1n, Labels.empty)
    const { chunks } = await partOfChunks([{ ref, entries, filter: filter! }], pause)
    assert.equal(chunks[0]!.whole !== undefined, isWhole)
    assert.ok(chunks[0]!.columns.length > 0)
  }
})

test('a query opens a table once, also where the cache has no room for it', async () => {
  const random = seededRandom(24)
  const chunks = Array.from({ length: 40 }, (_, i) => chunkOf(random, i))
  const { bytes } = await encodeTable([], [await partOfChunks(chunks, pause)], pause)
  const bucket = new MemoryBucket(new VirtualClock(0))
  await bucket.put(tableKeyOf(indexKey)!, bytes)
  let requests = 0
  const getRange = bucket.getRange.bind(bucket)
  bucket.getRange = (...asked) => {
    requests++
    return getRange(...asked)
  }
  const reader = new TableReader(bucket, 0, pause)
  const held: HeldTables = new Map()
  for (const { ref } of chunks) assert.ok((await reader.beside(indexKey, chunkName(ref), held)) !== undefined)
  assert.equal(requests, 1)
  bucket.getRange = () => Promise.reject(new Error('away'))
  const failed: HeldTables = new Map()
  assert.equal(await reader.beside(indexKey, chunkName(chunks[0]!.ref), failed), undefined)
  bucket.getRange = getRange
  assert.ok((await reader.beside(indexKey, chunkName(chunks[0]!.ref), failed)) !== undefined)
})

interface Written {
  bucket: MemoryBucket
  reader: TableReader
  writer: TableWriter
}

function world(): Written {
  const bucket = new MemoryBucket(new VirtualClock(0))
  const reader = new TableReader(bucket, 1 << 20, pause)
  return { bucket, reader, writer: new TableWriter(bucket, reader, pause) }
}
const keyOf = (number: number): string => `index/index_1/fake/${number}-compactor-1-2-3.tsdb.gz`
const freshOf = ({ ref, entries, filter }: FilteredChunk): FreshChunk => ({
  ref,
  entries,
  readFilter: () => Promise.resolve(filter),
})
const none = (): boolean => false

test('small tables become a part of a later one, and what is needed no more is named', async () => {
  const { bucket, reader, writer } = world()
  const random = seededRandom(14)
  const chunks: MadeChunk[] = []
  for (let number = 1; number <= 60; number++) {
    const chunk = chunkOf(random, number)
    chunks.push(chunk)
    const replaced = number === 1 ? [] : [keyOf(number - 1)]
    const change = { replaced, indexKey: keyOf(number), fresh: [freshOf(chunk)], isErased: none, isGone: none }
    const { unneeded } = await writer.write(change)
    for (const key of unneeded) await bucket.delete(key)
    assert.ok(bucket.objects.size <= 8, `${bucket.objects.size} tables`)
  }
  for (const { ref, bitmaps } of chunks)
    assert.equal((await reader.beside(keyOf(60), chunkName(ref)))?.blocks, bitmaps.length)
  const change = { replaced: [keyOf(60)], indexKey: undefined, fresh: [], isErased: none, isGone: none }
  const { unneeded } = await writer.write(change)
  assert.deepEqual(unneeded.sort(), [...bucket.objects.keys()].sort())
})

test('of an erased chunk nothing stays; a table goes when none of its chunks is listed', async () => {
  const { reader, writer } = world()
  const random = seededRandom(15)
  const chunks = [1, 2, 3, 4].map(number => chunkOf(random, number))
  const write = (
    number: number,
    fresh: readonly MadeChunk[],
    isErased: (ref: ChunkRef) => boolean,
    isGone: (ref: ChunkRef) => boolean,
  ): Promise<{ unneeded: string[] }> =>
    writer.write({
      replaced: [keyOf(number - 1)],
      indexKey: keyOf(number),
      fresh: fresh.map(freshOf),
      isErased,
      isGone,
    })
  await write(1, chunks.slice(0, 2), none, none)
  await write(2, chunks.slice(2), none, none)
  const erased = await write(3, [], ({ checksum }) => checksum === 2, none)
  assert.deepEqual(erased.unneeded.sort(), [tableKeyOf(keyOf(1)), tableKeyOf(keyOf(2))].sort().slice(0, 1))
  assert.equal(await reader.beside(keyOf(3), chunkName(chunks[1]!.ref)), undefined)
  for (const i of [0, 2, 3]) assert.ok((await reader.beside(keyOf(3), chunkName(chunks[i]!.ref))) !== undefined)
  const gone = await write(4, [], none, ({ checksum }) => checksum > 2)
  assert.ok(gone.unneeded.includes(tableKeyOf(keyOf(2))!))
  assert.ok((await reader.beside(keyOf(4), chunkName(chunks[0]!.ref))) !== undefined)
  assert.equal(await reader.beside(keyOf(4), chunkName(chunks[2]!.ref)), undefined)
})

test('a bucket that fails is no table that is gone', async () => {
  const { bucket, writer } = world()
  const random = seededRandom(16)
  const fresh = [freshOf(chunkOf(random, 1))]
  await writer.write({ replaced: [], indexKey: keyOf(1), fresh, isErased: none, isGone: none })
  const failing = new TableReader(bucket, 1 << 20, pause)
  bucket.getRange = () => Promise.reject(new Error('away'))
  const change = { replaced: [keyOf(1)], indexKey: keyOf(2), fresh: [], isErased: none, isGone: none }
  await assert.rejects(new TableWriter(bucket, failing, pause).write(change), /away/)
})
