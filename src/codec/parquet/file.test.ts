/** Parquet files: written and read again, by hand in the old page form, and damaged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { checkDamage } from '../../../test/damage.ts'
import { ByteReader } from '../byte-reader.ts'
import { ByteWriter } from '../byte-writer.ts'
import { encodeSnappy } from '../snappy.ts'
import { ColumnBuilder } from './column-builder.ts'
import type { ColumnData } from './column-data.ts'
import { decodeDelta32, decodeDelta64, decodeHybrid, encodeDelta32, encodeDelta64, encodeHybrid } from './encodings.ts'
import { ParquetFile } from './file.ts'
import { ParquetWriter } from './file-writer.ts'
import { readColumn, readRowOfColumn } from './pages.ts'
import { columnsOf, type SchemaGroup, type SchemaLeaf } from './schema.ts'
import { encodeStruct, readStruct } from './thrift.ts'

const leaf = (name: string, rest: Partial<SchemaLeaf>): SchemaLeaf => ({
  name,
  repetition: 'required',
  type: 'i64',
  encoding: 'plain',
  isSnappy: false,
  ...rest,
})

const root: SchemaGroup = {
  name: 'row',
  repetition: 'required',
  children: [
    leaf('id', { encoding: 'delta' }),
    leaf('small', { type: 'i32', encoding: 'delta', isSnappy: true }),
    leaf('ok', { type: 'bool' }),
    leaf('ratio', { type: 'f64', repetition: 'optional' }),
    leaf('name', { type: 'text', encoding: 'dictionary', isSnappy: true }),
    leaf('raw', { type: 'bytes', encoding: 'delta-length' }),
    {
      name: 'tags',
      repetition: 'repeated',
      logical: 'list',
      children: [leaf('tag', { type: 'text', encoding: 'delta-length' })],
    },
  ],
}

interface Row {
  id: bigint
  small: number
  ok: boolean
  ratio: number | undefined
  name: string
  raw: string
  tags: string[]
}

function someRows(count: number): Row[] {
  const random = seededRandom(count)
  return Array.from({ length: count }, (_, i) => ({
    id: BigInt(i) * 1_000_000_007n - 5n,
    small: below(random, 1000) - 500,
    ok: below(random, 2) === 0,
    ratio: below(random, 3) === 0 ? undefined : random.u32() / 7,
    name: `name ${below(random, 5)}`,
    raw: 'x'.repeat(below(random, 9)),
    tags: Array.from({ length: below(random, 3) }, (_, k) => `tag ${k}`),
  }))
}

function write(rows: readonly Row[]): Uint8Array {
  const writer = new ParquetWriter(root, 'test')
  const builders = writer.columns.map(column => new ColumnBuilder(column))
  const [id, small, ok, ratio, name, raw, tags] = builders as [
    ColumnBuilder,
    ColumnBuilder,
    ColumnBuilder,
    ColumnBuilder,
    ColumnBuilder,
    ColumnBuilder,
    ColumnBuilder,
  ]
  for (const row of rows) {
    id.addLong(0, row.id)
    small.addInt(0, row.small)
    ok.addBool(0, row.ok)
    if (row.ratio === undefined) ratio.addNull(0, 0)
    else ratio.addDouble(0, row.ratio)
    name.addText(0, row.name)
    raw.addBytes(0, Buffer.from(row.raw))
    if (row.tags.length === 0) tags.addNull(0, 0)
    row.tags.forEach((tag, i) => {
      tags.addText(i === 0 ? 0 : 1, tag)
    })
  }
  writer.addGroup(builders, rows.length)
  return writer.finish().bytes.slice()
}

const open = (bytes: Uint8Array): Promise<ParquetFile> =>
  ParquetFile.open((from, to) => Promise.resolve(bytes.subarray(from, to)), bytes.length)

/** The rows of a file's first group. */
function rowsOf(columns: readonly ColumnData[]): Row[] {
  const [id, small, ok, ratio, name, raw, tags] = columns
  const textOf = (data: ColumnData, i: number): string =>
    data.texts!.text(data.indices === undefined ? i : data.indices[i]!)
  let ratios = 0
  let entry = 0
  let value = 0
  return Array.from({ length: id!.count }, (_, i) => {
    const own: string[] = []
    do if (tags!.def![entry] === 1) own.push(textOf(tags!, value++))
    while (++entry < tags!.count && tags!.rep![entry] === 1)
    return {
      id: id!.longs![i]!,
      small: small!.ints![i]!,
      ok: ok!.bools![i] === 1,
      ratio: ratio!.def![i] === 0 ? undefined : ratio!.doubles![ratios++]!,
      name: textOf(name!, i),
      raw: textOf(raw!, i),
      tags: own,
    }
  })
}

test('rows of every type come back, in one page and in several', async () => {
  for (const count of [1, 100, 40_000]) {
    const rows = someRows(count)
    const file = await open(write(rows))
    assert.deepEqual(
      file.columns.map(c => [c.path, c.maxRep, c.maxDef]),
      columnsOf(root).map(c => [c.path, c.maxRep, c.maxDef]),
    )
    assert.equal(file.rows, count)
    assert.deepEqual(rowsOf(await file.readGroup(0)), rows)
    const some = await file.read(0, [file.columnAt('tags.tag'), file.columnAt('id')])
    assert.deepEqual([some.size, some.get(0)!.longs!.length, file.columnAt('nosuch')], [2, count, -1])
  }
})

test('a row by itself is what it is among all, in one page and in several', async () => {
  for (const count of [1, 100, 40_000]) {
    const rows = someRows(count)
    const file = await open(write(rows))
    // The first and the last ones, those on both sides of the end of a page of 32,768 entries, and others.
    const wanted = [0, 1, 2, 31, 98, 99, 32_766, 32_767, 32_768, 32_769, 39_998, 39_999].filter(row => row < count)
    for (const row of wanted) {
      const columns = await file.readRow(0, row)
      assert.deepEqual(rowsOf(columns), [rows[row]], `row ${row} of ${count}`)
      assert.ok(columns.every(({ firstRow }) => firstRow === row))
    }
    await assert.rejects(file.readRow(0, count), /no page of id has row/)
  }
})

/** A page of the second version with the entries of a column of whole numbers; `rep` is empty without lists. */
function pageV2(rep: readonly number[], rows: number, values: readonly number[], entries = rep.length): Uint8Array {
  const levels = new ByteWriter(64)
  if (rep.length > 0) encodeHybrid(levels, Uint8Array.from(rep), 0, rep.length, 1)
  const repBytes = levels.at
  encodeHybrid(levels, new Uint8Array(entries).fill(1), 0, entries, 1)
  const body = Buffer.concat([levels.bytes(), Buffer.from(Int32Array.from(values).buffer)])
  const header = encodeStruct([
    [1, 'i32', 3],
    [2, 'i32', body.length],
    [3, 'i32', body.length],
    [
      8,
      'struct',
      [
        [1, 'i32', entries],
        [2, 'i32', 0],
        [3, 'i32', rows],
        [4, 'i32', 0],
        [5, 'i32', levels.at - repBytes],
        [6, 'i32', repBytes],
        [7, 'bool', false],
      ],
    ],
  ])
  return Buffer.concat([header, body])
}

test('a row that goes on in the next page is found whole, as no writer should leave it', () => {
  const [column] = columnsOf({ ...root, children: [leaf('a', { type: 'i32', repetition: 'repeated' })] })
  const values = ({ firstRow = 0, ints, rep }: ColumnData, row: number): number[] => {
    let at = firstRow - 1
    return [...ints!].filter((_, i) => (rep![i] === 0 ? ++at : at) === row)
  }
  const kept = Buffer.concat([pageV2([0, 1, 0], 2, [1, 2, 3]), pageV2([0, 1], 1, [4, 5])])
  const split = Buffer.concat([pageV2([0, 1, 0], 2, [1, 2, 3]), pageV2([1, 0, 1], 1, [4, 5, 6])])
  const rowsIn = (bytes: Uint8Array, entries: number): number[][] =>
    [0, 1, 2].map(row => values(readRowOfColumn(column!, bytes, 0, entries, row, 3), row))
  assert.deepEqual(rowsIn(kept, 5), [[1, 2], [3], [4, 5]])
  assert.equal(readRowOfColumn(column!, kept, 0, 5, 2, 3).count, 2)
  assert.deepEqual(rowsIn(split, 6), [
    [1, 2],
    [3, 4],
    [5, 6],
  ])
})

test('pages that say wrong numbers of rows are not gone by', () => {
  const [column] = columnsOf({ ...root, children: [leaf('a', { type: 'i32', repetition: 'repeated' })] })
  const [flat] = columnsOf({ ...root, children: [leaf('a', { type: 'i32', repetition: 'optional' })] })
  const rowOf = (pages: readonly Uint8Array[], entries: number, row: number): number[] => {
    const { ints, rep, firstRow = 0 } = readRowOfColumn(column!, Buffer.concat(pages), 0, entries, row, 4)
    let at = firstRow - 1
    return [...ints!].filter((_, i) => (rep![i] === 0 ? ++at : at) === row)
  }
  const [first, second] = [
    [0, 1, 0],
    [0, 0, 1],
  ]
  for (const [a, b] of [
    [2, 2],
    // Too few or too many of all.
    [1, 2],
    [3, 2],
    [2, 9],
    [0, 0],
    // As many as there are, in other pages.
    [1, 3],
    [3, 1],
    [4, 0],
  ] as const) {
    const pages = [pageV2(first!, a, [1, 2, 3]), pageV2(second!, b, [4, 5, 6])]
    const read = [0, 1, 2, 3].map(row => rowOf(pages, 6, row))
    assert.deepEqual(read, [[1, 2], [3], [4], [5, 6]], `${a} and ${b}`)
  }
  // Of a column without lists each entry is a row, whatever the pages say.
  const flatPages = Buffer.concat([pageV2([], 1, [1, 2], 2), pageV2([], 3, [3, 4], 2)])
  assert.deepEqual([...readRowOfColumn(flat!, flatPages, 0, 4, 1, 4).ints!], [1, 2, 3, 4])
})

test('a column that has other rows than its row group is damaged', async () => {
  const bytes = write(someRows(100))
  const file = await open(bytes)
  file.rowGroups[0]!.rows = 101
  await assert.rejects(file.readGroup(0), /100 rows of id in a row group of 101/)
  await assert.rejects(file.readRow(0, 0), /100 rows of id in a row group of 101/)
  await assert.rejects(file.read(0, [file.columnAt('tags.tag')]), /100 rows of tags.tag in a row group of 101/)
})

test('a file without its end, or with a footer beyond its size, is refused', async () => {
  const bytes = write(someRows(3))
  await assert.rejects(open(bytes.subarray(0, bytes.length - 1)), CorruptDataError)
  await assert.rejects(open(bytes.subarray(0, 9)), CorruptDataError)
  await assert.rejects(open(bytes.subarray(0, 3)), CorruptDataError)
  const long = bytes.slice()
  new DataView(long.buffer).setUint32(long.length - 8, long.length, true)
  await assert.rejects(open(long), /a footer of/)
})

test('a damaged file is refused or read, nothing else', async () => {
  const bytes = write(someRows(20))
  const random = seededRandom(3)
  for (let round = 0; round < 2000; round++) {
    const bad = bytes.slice()
    for (let k = below(random, 4); k >= 0; k--) bad[below(random, bad.length)] = random.u32() & 255
    try {
      const file = await open(bad)
      for (let group = 0; group < file.rowGroups.length; group++)
        await (below(random, 2) === 0 ? file.readGroup(group) : file.readRow(group, below(random, 20)))
    } catch (error) {
      assert.ok(error instanceof CorruptDataError, `round ${round}: ${String(error)}`)
    }
  }
})

/** A column chunk of one page of the first form, whose levels and values are given as bytes. */
function pageV1(count: number, encoding: number, body: Uint8Array, packed: Uint8Array): Uint8Array {
  const header = encodeStruct([
    [1, 'i32', 0],
    [2, 'i32', body.length],
    [3, 'i32', packed.length],
    [
      5,
      'struct',
      [
        [1, 'i32', count],
        [2, 'i32', encoding],
      ],
    ],
  ])
  return Buffer.concat([header, packed])
}

test('pages of the first form, as other programs write them', () => {
  const [column] = columnsOf({ ...root, children: [leaf('a', { type: 'i32', repetition: 'optional' })] })
  // Levels with their length in front: present, absent, present; then two values.
  const body = Buffer.concat([Buffer.from([2, 0, 0, 0, 3, 0b101]), Buffer.from(Int32Array.of(7, -8).buffer)])
  const codecs: [codec: number, packed: Uint8Array][] = [
    [0, body],
    [1, encodeSnappy(body)],
    [6, zstdCompressSync(body)],
  ]
  for (const [codec, packed] of codecs) {
    const data = readColumn(column!, pageV1(3, 0, body, packed), codec, 3)
    assert.deepEqual([[...data.def!], [...data.ints!], data.count], [[1, 0, 1], [7, -8], 3])
    checkDamage(pageV1(3, 0, body, packed), bytes => readColumn(column!, bytes, codec, 3), {
      errors: [CorruptDataError],
      refusesCuts: 'always',
    })
  }
  assert.throws(() => readColumn(column!, pageV1(3, 0, body, body), 0, 2), /a page of 3 entries, 2 are left/)
  assert.throws(() => readColumn(column!, pageV1(3, 8, body, body), 0, 3), /a dictionary that is not there/)
  assert.throws(() => readColumn(column!, pageV1(3, 77, body, body), 0, 3), /the encoding 77 is not known/)
  assert.throws(() => readColumn(column!, pageV1(3, 0, body, body), 5, 3), /the codec 5 is not known/)
})

test('encodings come back at every width', () => {
  const random = seededRandom(4)
  for (let width = 1; width <= 32; width++) {
    const values = Int32Array.from({ length: 300 }, (_, i) => (i % 40 < 20 ? 1 : random.u32() >>> (32 - width)) | 0)
    const out = new ByteWriter()
    encodeHybrid(out, values, 0, values.length, width)
    const back = new Int32Array(values.length)
    assert.equal(decodeHybrid(out.bytes(), 0, out.at, width, values.length, back), out.at)
    assert.deepEqual(back, values, `hybrid, ${width} bits`)
    const deltas = new ByteWriter()
    encodeDelta32(deltas, values, 0, values.length)
    assert.deepEqual(decodeDelta32(deltas.bytes(), 0, deltas.at, 1000).values, values, `delta, ${width} bits`)
    const longs = BigInt64Array.from(values, v => BigInt.asIntN(64, BigInt(v) << BigInt(width)))
    const wide = new ByteWriter()
    encodeDelta64(wide, longs, 0, longs.length)
    assert.deepEqual(decodeDelta64(wide.bytes(), 0, wide.at, 1000).values, longs, `wide delta, ${width} bits`)
  }
})

test('encodings: damaged ones', () => {
  const ints = Int32Array.from({ length: 100 }, (_, i) => (i * i) % 70)
  const errors = [CorruptDataError]
  const hybrid = new ByteWriter()
  encodeHybrid(hybrid, ints, 0, 100, 7)
  checkDamage(hybrid.copy(), b => decodeHybrid(b, 0, b.length, 7, 100, new Int32Array(100)), { errors })
  const delta = new ByteWriter()
  encodeDelta32(delta, ints, 0, 100)
  checkDamage(delta.copy(), b => decodeDelta32(b, 0, b.length, 100), { errors })
  const wide = new ByteWriter()
  encodeDelta64(wide, BigInt64Array.from(ints, BigInt), 0, 100)
  checkDamage(wide.copy(), b => decodeDelta64(b, 0, b.length, 100), { errors })
  const parts = Uint8Array.of(128, 1, 128, 1, 2, 0)
  assert.throws(() => decodeDelta32(parts, 0, parts.length, 10), /a delta block of 128 values in 128 parts/)
})

test('Thrift: structs come back; damaged and nested ones are refused', () => {
  const bytes = encodeStruct([
    [1, 'i8', -3],
    [2, 'i32', -70_000],
    [3, 'bool', true],
    [40, 'i64', 2 ** 40],
    [41, 'binary', Buffer.from('text')],
    [42, 'struct', [[1, 'bool', false]]],
    [43, 'list-i32', Array.from({ length: 20 }, (_, i) => i)],
    [44, 'list-struct', [[[1, 'i32', 1]], []]],
    [45, 'list-binary', [Buffer.from('a')]],
  ]).slice()
  const read = readStruct(new ByteReader(bytes))
  assert.deepEqual(
    [1, 2, 3, 40].map(field => read.get(field)),
    [-3, -70_000, true, 2 ** 40],
  )
  assert.equal(Buffer.from(read.get(41) as Uint8Array).toString(), 'text')
  assert.deepEqual(read.get(42), new Map([[1, false]]))
  assert.deepEqual((read.get(43) as number[]).length, 20)
  checkDamage(bytes, b => readStruct(new ByteReader(b)), { errors: [CorruptDataError], refusesCuts: 'always' })
  const lists = new Uint8Array(100_000).fill(0x19)
  assert.throws(() => readStruct(new ByteReader(lists)), /values are nested more than 16 deep/)
})
