import assert from 'node:assert/strict'
import test from 'node:test'
import { CorruptDataError, NotFoundError } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { BlockReader } from './block-reader.ts'
import { Head } from './head.ts'
import { collectRange, mergeBlocks, writeRange, type WrittenBlock, type WrittenRange } from './merge.ts'
import type { RangeChunks } from './range-chunks.ts'
import { encodeTombstones } from './tombstones.ts'

const hourMs = 3_600_000
const pause = (): Promise<void> => Promise.resolve()
type Samples = readonly (readonly [name: string, timesMs: readonly number[]])[]

/** A block of these samples, whose values are their times, on the disk at `directory`. */
async function write(files: MemoryFiles, directory: string, samples: Samples): Promise<WrittenBlock | undefined> {
  const head = new Head({ a: 1, b: 2, c: 3, d: 4 }, defaultLimits, 24 * hourMs, Infinity)
  const words = new Uint32Array(2)
  const value = new Float64Array(words.buffer)
  for (const [name, timesMs] of samples) {
    const writer = new KeyWriter()
    writer.writeLabels(Labels.fromObject({ __name__: name, job: 'x' }))
    const series = head.table.resolveShown(writer.bytes, 0, writer.at)
    head.reserve()
    for (const timeMs of timesMs) {
      value[0] = timeMs
      head.showReplayed(series, timeMs, words[1]!, words[0]!)
    }
  }
  return (await writeCut(files, directory, head, head.cut(0)))?.written
}

/** By way of a clone, as another thread writes it. */
async function writeCut(
  files: MemoryFiles,
  directory: string,
  head: Head,
  range: RangeChunks,
): Promise<WrittenRange | undefined> {
  const collected = await collectRange(head, range, pause)
  if (collected === undefined) return undefined
  const columns = structuredClone(collected.columns, { transfer: collected.transfer })
  return writeRange(files, directory, columns, pause)
}

function open(files: MemoryFiles, directory: string, written: WrittenBlock | undefined): BlockReader {
  assert.ok(written !== undefined)
  const meta = { ulid: directory, minTime: written.minMs, maxTime: written.maxMs, stats: {}, version: 1 }
  return new BlockReader(
    { ...meta, compaction: { level: 1, sources: [directory] } },
    {
      read: name => files.read(`${directory}/${name}`),
      readRange: (name, offset, length) => files.readRange(`${directory}/${name}`, offset, length),
    },
  )
}

/** Name and times of every series, in the block's order; values must be the times. */
async function read(block: BlockReader): Promise<[string, number[]][]> {
  const found = await block.select([])
  const loaded = await block.chunks(found, [...found.labels.keys()], -Infinity, Infinity)
  return found.labels.map((labels, i) => {
    const columns = new SampleColumns()
    loaded.decode(i, columns)
    const timesMs = [...columns.timesMs.subarray(0, columns.count)]
    assert.deepEqual([...columns.values.subarray(0, columns.count)], timesMs)
    return [labels.get('__name__'), timesMs]
  })
}
const every = (count: number, stepMs: number, fromMs = 0): number[] =>
  Array.from({ length: count }, (_, i) => fromMs + i * stepMs)

test("a head's range becomes a block: series by labels, late samples in their places, each time once", async () => {
  const files = new MemoryFiles()
  const written = await write(files, 'A', [
    ['b', [10, 30, 20]],
    ['a', every(500, 1000)],
    ['c', [5]],
  ])
  assert.deepEqual([written?.series, written?.samples, written?.minMs, written?.maxMs], [3, 504, 0, 499_001])
  assert.deepEqual(await read(open(files, 'A', written)), [
    ['a', every(500, 1000)],
    ['b', [10, 20, 30]],
    ['c', [5]],
  ])
})

test('a range without samples is no block', async () => {
  assert.equal(await write(new MemoryFiles(), 'A', []), undefined)
})

test('merged blocks have every series of all, in order, and each sample once', async () => {
  const files = new MemoryFiles()
  const blocks: BlockReader[] = []
  for (const [id, samples] of [
    [
      'A',
      [
        ['a', every(200, 1000)],
        ['b', [1, 2, 3]],
      ],
    ],
    [
      'B',
      [
        ['a', every(200, 1000, 200_000)],
        ['c', [7]],
      ],
    ],
    [
      'C',
      [
        ['b', [2, 3, 4]],
        ['d', [9]],
      ],
    ],
  ] satisfies [string, Samples][])
    blocks.push(open(files, id, await write(files, id, samples)))
  const { written: merged } = await mergeBlocks(files, 'M', blocks, pause)
  assert.equal(merged?.samples, 406)
  assert.deepEqual(await read(open(files, 'M', merged)), [
    ['a', every(400, 1000)],
    ['b', [1, 2, 3, 4]],
    ['c', [7]],
    ['d', [9]],
  ])
})

test('small chunks are joined, large ones are copied as they are', async () => {
  const files = new MemoryFiles()
  const small = await Promise.all(
    ['A', 'B'].map(async (id, i) => open(files, id, await write(files, id, [['a', every(10, 1000, i * 100_000)]]))),
  )
  assert.equal((await mergeBlocks(files, 'small', small, pause)).written?.chunks, 1)
  const large = await Promise.all(
    ['C', 'D'].map(async (id, i) => open(files, id, await write(files, id, [['a', every(120, 1000, i * 200_000)]]))),
  )
  assert.equal((await mergeBlocks(files, 'large', large, pause)).written?.chunks, 2)
})

test('what was deleted is gone after a merge, and a series with nothing left too', async () => {
  const files = new MemoryFiles()
  const written = await write(files, 'A', [
    ['a', [1, 2, 3]],
    ['b', [1, 2]],
  ])
  const { refs } = await open(files, 'A', written).select([])
  const deleted = new Map([
    [refs[0]!, [{ fromMs: 2, throughMs: 2 }]],
    [refs[1]!, [{ fromMs: 0, throughMs: 9 }]],
  ])
  await files.writeAtomic('A/tombstones', encodeTombstones(deleted))
  const { written: merged, deletions } = await mergeBlocks(files, 'M', [open(files, 'A', written)], pause)
  assert.deepEqual(deletions, { A: 1 })
  assert.deepEqual(await read(open(files, 'M', merged)), [['a', [1, 3]]])
})

test('truncated and mutated files of a block are refused or read as they were, and nothing else', async () => {
  const files = new MemoryFiles()
  const samples: Samples = [
    ['a', every(300, 1000)],
    ['b', [1, 2, 3]],
  ]
  const written = await write(files, 'A', samples)
  const random = seededRandom(3)
  for (const name of ['index', 'chunks/000001']) {
    const whole = Uint8Array.from(await files.read(`A/${name}`))
    for (let round = 0; round < 300; round++) {
      const bytes = whole.slice(0, below(random, 3) === 0 ? below(random, whole.length) : whole.length)
      if (bytes.length > 0) bytes[below(random, bytes.length)]! ^= 1 << below(random, 8)
      await files.writeAtomic(`A/${name}`, bytes)
      try {
        for (const [series, timesMs] of await read(open(files, 'A', written)))
          assert.deepEqual(timesMs, new Map(samples).get(series))
      } catch (error) {
        assert.ok(error instanceof CorruptDataError || error instanceof NotFoundError, String(error))
      }
    }
    await files.writeAtomic(`A/${name}`, whole)
  }
})

test('a series that can not be written is reported and left out, the others are in the block', async () => {
  const files = new MemoryFiles()
  const head = new Head({ a: 1, b: 2, c: 3, d: 4 }, defaultLimits, 24 * hourMs, Infinity)
  const seriesOf = (name: string): number => {
    const writer = new KeyWriter()
    writer.writeLabels(Labels.fromObject({ __name__: name }))
    const series = head.table.resolveShown(writer.bytes, 0, writer.at)
    head.reserve()
    return series
  }
  for (const name of ['a', 'c']) head.showReplayed(seriesOf(name), 0, 0, 0)
  const poisoned = seriesOf('b')
  head.showReplayed(poisoned, 0, 0, 0)
  const range = head.cut(0)
  // Spans that are no list: what validation keeps out, and an older log may bring back.
  range.addHistogram(poisoned, 1, 0, { positiveSpans: undefined } as never)
  const outcome = await writeCut(files, 'p', head, range)
  const { written, poisoned: found } = outcome ?? { written: undefined, poisoned: [] }
  assert.deepEqual(
    found.map(({ labels }) => labels),
    ['b'],
  )
  assert.match(found[0]!.reason, /undefined/)
  assert.deepEqual(
    (await read(open(files, 'p', written))).map(([name]) => name),
    ['a', 'c'],
  )
})
