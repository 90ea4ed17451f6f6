/**
 * Blocks of traces: read by another reader of Parquet as by ours; damage is reported as such; places in trees.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { bytesAt } from '#codec/parquet/column-data.ts'
import {
  decodeDelta32,
  decodeDelta64,
  decodeHybrid,
  encodeDelta32,
  encodeDelta64,
  encodeHybrid,
} from '#codec/parquet/encodings.ts'
import { ParquetFile } from '#codec/parquet/file.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { RowAssembler } from './assemble.ts'
import { buildBlock } from './block-writer.ts'
import { encodeBlooms } from './bloom.ts'
import { decodeMeta, type BlockMeta } from './block-meta.ts'
import { nestedSet } from './nested-set.ts'
import type { BlockFormat, BlockLayout } from './schema.ts'
import { roundedStart, TraceShredder } from './shred.ts'

const open = (bytes: Uint8Array): Promise<ParquetFile> =>
  ParquetFile.open((from, to) => Promise.resolve(bytes.subarray(from, to)), bytes.length)
const goldens = [
  ['vParquet5', 'tempo', 'ed28f735-a3a5-45ed-830d-2029ccc68e9a', 92],
  ['vParquet4', 'tempo-vparquet4', '33268aa8-0d57-4c55-961b-9aaa2ddd9d02', 103],
] as const
const read = (
  format: BlockFormat,
  fixture: string,
  id: string,
): { base: string; data: Buffer; meta: BlockMeta; layout: BlockLayout } => {
  const base = new URL(`../../fixtures/${fixture}/bucket/single-tenant/${id}/`, import.meta.url).pathname
  const meta = decodeMeta(readFileSync(`${base}meta.json`))
  return { base, data: readFileSync(`${base}data.parquet`), meta, layout: { format, dedicated: meta.dedicated } }
}

for (const [format, fixture, id, count] of goldens) {
  const { base, data, meta, layout } = read(format, fixture, id)
  const plan = {
    blockId: meta.blockId,
    tenant: meta.tenant,
    level: meta.level,
    startMs: meta.startMs,
    endMs: meta.endMs,
    layout,
  }

  test(`${format}: every column that Tempo wrote survives a round trip; filters are the same bytes`, async () => {
    const file = await open(data)
    const columns = await file.readGroup(0)
    const assembler = new RowAssembler(columns, meta.dedicated)
    const shredder = new TraceShredder(layout)
    for (let row = 0; row < file.rows; row++) {
      const { id: traceId, trace } = assembler.row(row)
      shredder.add(traceId, trace)
    }
    assert.equal(shredder.builders.length, count)
    shredder.builders.forEach((builder, i) => {
      const ours = builder.data()
      const theirs = columns[i]!
      assert.equal(ours.column.path, theirs.column.path)
      assert.deepEqual(ours.rep, theirs.rep, ours.column.path)
      assert.deepEqual(ours.def, theirs.def, ours.column.path)
      if (theirs.texts === undefined)
        assert.deepEqual(
          ours.longs ?? ours.ints ?? ours.doubles ?? ours.bools,
          theirs.longs ?? theirs.ints ?? theirs.doubles ?? theirs.bools,
          ours.column.path,
        )
      else
        for (let k = 0; k < theirs.valueCount; k++)
          assert.equal(Buffer.compare(bytesAt(ours, k), bytesAt(theirs, k)), 0, ours.column.path)
    })
    const block = await buildBlock(plan, [{ rows: file.rows, columns }], () => Promise.resolve())
    assert.deepEqual(Buffer.from(block.blooms[0]!), readFileSync(`${base}bloom-0`))
    assert.equal(block.meta.traces, meta.traces)
    assert.equal(block.meta.format, format)
    const again = await open(block.data)
    assert.deepEqual(
      again.columns.map(c => c.path),
      file.columns.map(c => c.path),
    )
  })

  test(`${format}: another reader finds in our file what it finds in Tempo's, under the same schema`, async () => {
    const file = await open(data)
    const block = await buildBlock(plan, [{ rows: file.rows, columns: await file.readGroup(0) }], () =>
      Promise.resolve(),
    )
    const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer
    const rows = async (bytes: Uint8Array): Promise<unknown> =>
      parquetReadObjects({
        file: {
          byteLength: bytes.length,
          slice: (from: number, to?: number) => buffer(bytes.subarray(from, to ?? bytes.length)),
        },
        compressors,
      })
    assert.deepEqual(await rows(block.data), await rows(data))
    assert.deepEqual(parquetMetadata(buffer(block.data)).schema, parquetMetadata(buffer(data)).schema)
  })
}
const { data, meta } = read(...(goldens[0].slice(0, 3) as [BlockFormat, string, string]))

test('damage is refused, whatever it is', async () => {
  const random = seededRandom(11)
  let refused = 0
  for (let round = 0; round < 300; round++) {
    const bytes = Uint8Array.from(data)
    for (let n = 0; n < 3; n++) bytes[below(random, bytes.length)] = below(random, 256)
    try {
      const file = await open(bytes)
      const assembler = new RowAssembler(await file.readGroup(0), meta.dedicated)
      for (let row = 0; row < Math.min(60, file.rows); row++) assembler.row(row)
    } catch (error) {
      assert.ok(error instanceof CorruptDataError, String(error))
      refused++
    }
  }
  assert.ok(refused > 0)
})

test('encodings give back what they were given', () => {
  const random = seededRandom(12)
  for (let round = 0; round < 300; round++) {
    const count = below(random, 400)
    const width = 1 + below(random, 31)
    const shift = BigInt(below(random, 64))
    const small = new Int32Array(count)
    const any = new Int32Array(count)
    const long = new BigInt64Array(count)
    let last = 0
    for (let i = 0; i < count; i++) {
      if (below(random, 3) === 0) last = below(random, 2 ** width)
      small[i] = last
      any[i] = random.u32()
      long[i] = BigInt.asIntN(64, ((BigInt(random.u32()) << 32n) | BigInt(random.u32())) >> shift)
    }
    const hybrid = new ByteWriter()
    const into = new Int32Array(count)
    encodeHybrid(hybrid, small, 0, count, width)
    decodeHybrid(hybrid.bytes(), 0, hybrid.at, width, count, into)
    assert.deepEqual(into, small)
    const d32 = new ByteWriter()
    const d64 = new ByteWriter()
    encodeDelta32(d32, any, 0, count)
    encodeDelta64(d64, long, 0, count)
    assert.deepEqual(decodeDelta32(d32.bytes(), 0, d32.at, count).values, any)
    assert.deepEqual(decodeDelta64(d64.bytes(), 0, d64.at, count).values, long)
  }
})

test('many ids take several filters, and each has every one of its own', () => {
  const ids = Array.from({ length: 100_000 }, (_, i) => {
    const id = new Uint8Array(16)
    new DataView(id.buffer).setUint32(12, i * 2_654_435_761)
    return id
  })
  assert.equal(encodeBlooms(ids).length, 2)
})

test('places in a tree: siblings, orphans, circles, shared ids', () => {
  const span = (
    id: number,
    parent: number,
    kind = 1,
  ): { spanId: Uint8Array; parentSpanId: Uint8Array; kind: number } => ({
    spanId: Uint8Array.of(id),
    parentSpanId: parent === 0 ? new Uint8Array(0) : Uint8Array.of(parent),
    kind,
  })
  const tree = nestedSet([span(1, 0), span(2, 1), span(3, 1), span(4, 2), span(9, 8), span(6, 7), span(7, 6)])
  assert.deepEqual([...tree.left], [1, 2, 6, 3, 0, 0, 0])
  assert.deepEqual([...tree.right], [8, 5, 7, 4, 0, 0, 0])
  assert.deepEqual([...tree.parent], [-1, 1, 1, 2, 0, 0, 0])
  assert.deepEqual([...tree.children], [2, 1, 0, 0, 0, 1, 1])
  assert.deepEqual([...nestedSet([span(1, 2), span(2, 1)]).left], [0, 0])
  // A server span that has its client's id: it is the client's child.
  const shared = nestedSet([span(1, 0), span(2, 1, 3), span(2, 2, 2), span(3, 2)])
  assert.deepEqual([...shared.parent], [-1, 1, 2, 3])
  assert.deepEqual([...nestedSet([span(1, 0), span(1, 0), span(1, 0)]).left], [0, 0, 0])
})

test('a time on an edge belongs to the interval before it', () => {
  assert.deepEqual(
    [30_000_000_000n, 30_000_000_001n, 29_999_999_999n, 0n].map(ns => roundedStart(ns, 15)),
    [1, 2, 1, 0],
  )
})
