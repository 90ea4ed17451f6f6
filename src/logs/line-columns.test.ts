/** Columns of a chunk's lines: what goes in comes out; a block without them; damage that is reported as such. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '#codec/byte-writer.ts'
import { writeTime } from '#codec/log-time.ts'
import { CorruptDataError } from '#core/errors.ts'
import { checkDamage } from '../../test/damage.ts'
import { ChunkColumns, columnsOf, encodeColumns } from './line-columns.ts'

interface Line {
  ms: number
  subNs: number
  length: number
  /** Numbers of symbols. */
  refs: number[]
}

const symbols = ['level', 'info', 'warn', 'région', 'Süd']

function blockOf(lines: readonly Line[]): Uint8Array {
  const out = new ByteWriter()
  for (const { ms, subNs, length, refs } of lines) {
    writeTime(out, ms, subNs)
    out.writeUvarint(length)
    out.writeBytes(new Uint8Array(length).fill(120))
    const pairs = new ByteWriter()
    pairs.writeUvarint(refs.length / 2)
    for (const ref of refs) pairs.writeUvarint(ref)
    out.writeUvarint(pairs.at)
    out.writeBytes(pairs.bytes())
  }
  return out.copy()
}

function infoOf(lines: readonly Line[]): Parameters<typeof encodeColumns>[0][number] {
  const first = lines[0]!
  const last = lines.at(-1)!
  const { ms: minMs, subNs: minSubNs } = first
  return { entries: lines.length, minMs, minSubNs, maxMs: last.ms, maxSubNs: last.subNs, size: 0 }
}

function packed(blocks: readonly (readonly Line[])[], texts = symbols): Uint8Array {
  const columns = blocks.map(lines => columnsOf(blockOf(lines), lines.length))
  return encodeColumns(blocks.map(infoOf), columns, texts)
}

const at = 1_700_000_000_000
const first: Line[] = [
  { ms: at, subNs: 0, length: 3, refs: [0, 1] },
  { ms: at, subNs: 0, length: 300, refs: [0, 2, 3, 4] },
  { ms: at + 100_000, subNs: 1, length: 0, refs: [0, 1] },
]
const second: Line[] = [
  { ms: at + 200_000, subNs: 7, length: 5, refs: [] },
  { ms: at + 200_999, subNs: 999_999, length: 6, refs: [0, 1] },
  { ms: at + 203_000, subNs: 0, length: 7, refs: [0, 1] },
]

test('seconds, metadata and lengths of lines, and sums by block', () => {
  const columns = new ChunkColumns(packed([first, second]), 2)
  assert.deepEqual(columns.combinations, [['level', 'info'], ['level', 'warn', 'région', 'Süd'], []])
  const [one, two] = columns.blocks
  assert.deepEqual(one!.combinations, [
    { number: 0, lines: 2, bytes: 3 },
    { number: 1, lines: 1, bytes: 300 },
  ])
  assert.deepEqual([one!.minMs, one!.maxMs, two!.minSubNs, two!.maxSubNs], [at, at + 100_000, 7, 0])
  assert.deepEqual([...columns.moments(0).timesMs], [at, at, at + 100_001])
  assert.deepEqual([...columns.moments(1).timesMs], [at + 200_001, at + 200_001, at + 203_000])
  assert.deepEqual([...columns.moments(0).numbers, ...columns.moments(1).numbers], [0, 1, 0, 2, 0, 0])
  assert.deepEqual([...columns.lengths(0), ...columns.lengths(1)], [3, 300, 0, 5, 6, 7])
})

test('all blocks as one: sums, and the first and the last time', () => {
  const whole = new ChunkColumns(packed([second, first]), 2).whole()!
  assert.deepEqual(whole.combinations, [
    { number: 0, lines: 1, bytes: 5 },
    { number: 1, lines: 4, bytes: 16 },
    { number: 2, lines: 1, bytes: 300 },
  ])
  assert.deepEqual([whole.minMs, whole.minSubNs, whole.maxMs, whole.maxSubNs], [at, 0, at + 203_000, 0])
  assert.equal(whole.entries, 6)
  const unknown = Array.from({ length: 256 }, (_, i) => ({ ms: at + i, subNs: 0, length: 1, refs: [0, i] }))
  assert.equal(new ChunkColumns(packed([first, unknown]), 2).whole(), undefined)
})

test('a block with more combinations than a byte can name, or with lines out of order, has no columns', () => {
  const many = (count: number, from: number): Line[] =>
    Array.from({ length: count }, (_, i) => ({ ms: at + i, subNs: 0, length: 1, refs: [0, from + i] }))
  assert.equal(columnsOf(blockOf(many(256, 0)), 256), undefined)
  assert.equal(columnsOf(blockOf([second[0]!, first[0]!]), 2), undefined)
  const columns = new ChunkColumns(packed([many(200, 0), many(100, 1000), many(55, 2000), many(256, 0)]), 4)
  assert.deepEqual(
    columns.blocks.map(({ entries, hasColumns }) => [entries, hasColumns]),
    [
      [200, true],
      [100, false],
      [55, true],
      [256, false],
    ],
  )
  assert.equal(columns.combinations.length, 255)
  assert.deepEqual(
    [...columns.moments(2).timesMs],
    many(55, 2000).map((_, i) => (i === 0 ? at : at + 1)),
  )
  assert.deepEqual(packed([many(256, 0)]), new Uint8Array(0))
})

test('a block whose metadata would take more bytes than a chunk has for it has no columns', () => {
  const texts = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(5000, 'é'))
  const from = (first: number, count: number): Line[] =>
    Array.from({ length: count }, (_, i) => ({ ms: at + i, subNs: 0, length: 1, refs: [first + i, first + i] }))
  const columns = new ChunkColumns(packed([from(0, 2), from(2, 5), from(0, 3), from(1, 2)], texts), 4)
  assert.deepEqual(
    columns.blocks.map(({ hasColumns }) => hasColumns),
    [true, false, true, true],
  )
  assert.equal(columns.combinations.length, 3)
  // Texts in memory are the larger part.
  assert.ok(columns.heldBytes > 3 * 2 * 5000 * 2, String(columns.heldBytes))
})

test('damaged columns are read or refused, nothing else', () => {
  const read = (damaged: Uint8Array): void => {
    const columns = new ChunkColumns(damaged, 2)
    columns.whole()
    for (let b = 0; b < columns.blocks.length; b++) {
      if (!columns.blocks[b]!.hasColumns) continue
      columns.moments(b)
      columns.lengths(b)
    }
  }
  checkDamage(packed([first, second]), read, { errors: [CorruptDataError], refusesCuts: 'always' })
})
