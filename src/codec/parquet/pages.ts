/**
 * Column chunks: a dictionary page and data pages (V1 and V2), into columns in memory. Source: the public format
 * description (parquet-format).
 */
import { crc32, zstdDecompressSync, gunzipSync } from 'node:zlib'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import { ByteReader } from '../byte-reader.ts'
import { decodeSnappy } from '../snappy.ts'
import type { ColumnData } from './column-data.ts'
import { bitWidthOf, decodeDelta32, decodeDelta64, decodeHybrid } from './encodings.ts'
import { physicalTypes, type Column } from './schema.ts'
import { Texts } from './texts.ts'
import { readStruct, type ThriftStruct } from './thrift.ts'

const pageBytesMax = 256 * 1024 * 1024

/** Compression codecs by their numbers in the footer. */
export const codecNumbers = { none: 0, snappy: 1, gzip: 2, zstd: 6 } as const
/** Encodings by their numbers in page headers. */
export const encodingNumbers = {
  plain: 0,
  plainDictionary: 2,
  rle: 3,
  delta: 5,
  deltaLength: 6,
  dictionary: 8,
} as const

function unpackPage(codec: number, bytes: Uint8Array, size: number): Uint8Array {
  if (size > pageBytesMax) throw new CorruptDataError(`parquet: a page of ${size} bytes`)
  try {
    switch (codec) {
      case codecNumbers.none:
        return bytes
      case codecNumbers.snappy:
        return bytes.length === 0 ? bytes : decodeSnappy(bytes, size)
      case codecNumbers.gzip:
        return gunzipSync(bytes, { maxOutputLength: size })
      case codecNumbers.zstd:
        return zstdDecompressSync(bytes, { maxOutputLength: size })
      default:
        throw new CorruptDataError(`parquet: the codec ${codec} is not known`)
    }
  } catch (error) {
    throw error instanceof CorruptDataError
      ? error
      : new CorruptDataError(`parquet: a page can't be decompressed: ${messageOf(error)}`, { cause: error })
  }
}

/** The struct in a field of a page header. */
function structOf(header: ThriftStruct, field: number): ThriftStruct {
  const value = header.get(field)
  if (!(value instanceof Map)) throw new CorruptDataError(`parquet: field ${field} of a page header is missing`)
  return value
}

function int(struct: ThriftStruct, field: number, fallback?: number): number {
  const value = struct.get(field) ?? fallback
  if (typeof value !== 'number' || value < 0)
    throw new CorruptDataError(`parquet: field ${field} of a page header is missing`)
  return value
}

/** Entries of a page, of which its column chunk has `entriesMax` left: checked before there is room for them. */
function entriesOf(header: ThriftStruct, entriesMax: number): number {
  const count = int(header, 1)
  if (count === 0) throw new CorruptDataError('parquet: a page without entries')
  if (count > entriesMax || count > pageBytesMax)
    throw new CorruptDataError(`parquet: a page of ${count} entries, ${entriesMax} are left`)
  return count
}

/** Values of one page or dictionary. */
interface Values {
  ints?: Int32Array
  longs?: BigInt64Array
  doubles?: Float64Array
  bools?: Uint8Array
  texts?: Texts
  indices?: Int32Array
}

/** Offsets of plain byte strings: each has its length in front. */
function plainTexts(bytes: Uint8Array, from: number, to: number, count: number): Texts {
  if (count * 4 > to - from) throw new CorruptDataError(`parquet: ${count} strings in ${to - from} bytes`)
  const input = new ByteReader(bytes, from, to)
  const out = new Uint8Array(to - from - 4 * count)
  const offsets = new Uint32Array(count + 1)
  let at = 0
  for (let i = 0; i < count; i++) {
    input.need(4)
    const length = input.view.getUint32(input.at, true)
    input.at += 4
    input.need(length)
    out.set(bytes.subarray(input.at, input.at + length), at)
    input.at += length
    offsets[i + 1] = at += length
  }
  return new Texts(out, offsets)
}

/** Not slice: of a Buffer, as decompression gives them, that would be a view of all that the buffer is part of. */
function copyOf(bytes: Uint8Array, from: number, length: number): ArrayBuffer {
  return new Uint8Array(bytes.subarray(from, from + length)).buffer
}

function readPlain(physical: number, bytes: Uint8Array, from: number, to: number, count: number): Values {
  const need = (size: number): void => {
    if (to - from < size) throw new CorruptDataError(`parquet: ${count} values in ${to - from} bytes`)
  }
  switch (physical) {
    case 0: {
      need((count + 7) >>> 3)
      const bools = new Uint8Array(count)
      for (let i = 0; i < count; i++) bools[i] = (bytes[from + (i >>> 3)]! >>> (i & 7)) & 1
      return { bools }
    }
    case 1: {
      need(count * 4)
      return { ints: new Int32Array(copyOf(bytes, from, count * 4)) }
    }
    case 2: {
      need(count * 8)
      return { longs: new BigInt64Array(copyOf(bytes, from, count * 8)) }
    }
    case 5: {
      need(count * 8)
      return { doubles: new Float64Array(copyOf(bytes, from, count * 8)) }
    }
    default:
      return { texts: plainTexts(bytes, from, to, count) }
  }
}

function readDeltaLength(bytes: Uint8Array, from: number, to: number, count: number): Values {
  const { values: lengths, at } = decodeDelta32(bytes, from, to, count)
  if (lengths.length !== count) throw new CorruptDataError(`parquet: ${lengths.length} lengths for ${count} strings`)
  const offsets = new Uint32Array(count + 1)
  let sum = 0
  for (let i = 0; i < count; i++) {
    if (lengths[i]! < 0 || (sum += lengths[i]!) > to - at)
      throw new CorruptDataError('parquet: strings run past their page')
    offsets[i + 1] = sum
  }
  return { texts: new Texts(bytes.subarray(at, at + sum), offsets) }
}

function readValues(
  physical: number,
  encoding: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  count: number,
  dictionary: Values | undefined,
): Values {
  switch (encoding) {
    case encodingNumbers.plain:
      return readPlain(physical, bytes, from, to, count)
    case encodingNumbers.delta: {
      if (count === 0) return physical === 1 ? { ints: new Int32Array(0) } : { longs: new BigInt64Array(0) }
      const decoded = physical === 1 ? decodeDelta32(bytes, from, to, count) : decodeDelta64(bytes, from, to, count)
      if (decoded.values.length !== count)
        throw new CorruptDataError(`parquet: ${decoded.values.length} values where ${count} were announced`)
      return physical === 1 ? { ints: decoded.values as Int32Array } : { longs: decoded.values as BigInt64Array }
    }
    case encodingNumbers.deltaLength:
      return count === 0
        ? { texts: new Texts(new Uint8Array(0), new Uint32Array(1)) }
        : readDeltaLength(bytes, from, to, count)
    case encodingNumbers.dictionary:
    case encodingNumbers.plainDictionary: {
      if (dictionary === undefined)
        throw new CorruptDataError('parquet: a page refers to a dictionary that is not there')
      const indices = new Int32Array(count)
      if (count > 0) decodeHybrid(bytes, from + 1, to, bytes[from]!, count, indices)
      return lookUp(dictionary, indices)
    }
    case encodingNumbers.rle: {
      if (physical !== 0) throw new CorruptDataError('parquet: run lengths of what is not boolean')
      const bools = new Uint8Array(count)
      if (count > 0) decodeHybrid(bytes, from + 4, to, 1, count, bools)
      return { bools }
    }
    default:
      throw new CorruptDataError(`parquet: the encoding ${encoding} is not known`)
  }
}

function lookUp(dictionary: Values, indices: Int32Array): Values {
  const size =
    dictionary.texts?.count ??
    dictionary.ints?.length ??
    dictionary.longs?.length ??
    dictionary.doubles?.length ??
    dictionary.bools?.length ??
    0
  for (let i = 0; i < indices.length; i++)
    if (indices[i]! >>> 0 >= size)
      throw new CorruptDataError(`parquet: entry ${indices[i]! >>> 0} of a dictionary of ${size}`)
  if (dictionary.texts !== undefined) return { texts: dictionary.texts, indices }
  const { longs, doubles, ints } = dictionary
  if (longs !== undefined) return { longs: BigInt64Array.from(indices, i => longs[i]!) }
  if (doubles !== undefined) return { doubles: Float64Array.from(indices, i => doubles[i]!) }
  if (ints === undefined) throw new CorruptDataError('parquet: a dictionary of booleans')
  return { ints: Int32Array.from(indices, i => ints[i]!) }
}

interface Page {
  values: Values
  count: number
  valueCount: number
  rep: Uint8Array | undefined
  def: Uint8Array | undefined
}

/** How many of the entries [from, to) have a value. */
function countPresent(def: Uint8Array | undefined, maxDef: number, from: number, to: number): number {
  if (def === undefined) return to - from
  let present = 0
  let i = from
  for (; i < to && ((def.byteOffset + i) & 3) !== 0; i++) if (def[i] === maxDef) present++
  if (i === to) return present
  const words = new Uint32Array(def.buffer, def.byteOffset + i, (to - i) >>> 2)
  present += countBytes(words, maxDef)
  for (i += words.length * 4; i < to; i++) if (def[i] === maxDef) present++
  return present
}

/** How many bytes of the words are `byte`: of a difference the bytes that are 0 keep their highest bit to the end. */
function countBytes(words: Uint32Array, byte: number): number {
  const pattern = Math.imul(byte, 0x01010101)
  let count = 0
  for (let i = 0; i < words.length; i++) {
    const difference = words[i]! ^ pattern
    const zeros = ~(((difference & 0x7f7f7f7f) + 0x7f7f7f7f) | difference | 0x7f7f7f7f)
    count += Math.imul((zeros >>> 7) & 0x01010101, 0x01010101) >>> 24
  }
  return count
}

function readDataV1(
  column: Column,
  header: ThriftStruct,
  entriesMax: number,
  bytes: Uint8Array,
  dictionary: Values | undefined,
): Page {
  const count = entriesOf(header, entriesMax)
  let at = 0
  const levels = (max: number): Uint8Array | undefined => {
    if (max === 0) return undefined
    const input = new ByteReader(bytes, at)
    input.need(4)
    const length = input.view.getUint32(at, true)
    const into = new Uint8Array(count)
    decodeHybrid(bytes, at + 4, Math.min(bytes.length, at + 4 + length), bitWidthOf(max), count, into)
    at += 4 + length
    return into
  }
  const rep = levels(column.maxRep)
  const def = levels(column.maxDef)
  const valueCount = countPresent(def, column.maxDef, 0, count)
  return {
    values: readValues(
      physicalTypes[column.leaf.type],
      int(header, 2),
      bytes,
      at,
      bytes.length,
      valueCount,
      dictionary,
    ),
    count,
    valueCount,
    rep,
    def,
  }
}

function readDataV2(
  column: Column,
  header: ThriftStruct,
  entriesMax: number,
  raw: Uint8Array,
  size: number,
  codec: number,
  dictionary: Values | undefined,
): Page {
  const count = entriesOf(header, entriesMax)
  const defBytes = int(header, 5)
  const repBytes = int(header, 6)
  if (defBytes + repBytes > raw.length) throw new CorruptDataError('parquet: levels run past their page')
  const levels = (from: number, to: number, max: number): Uint8Array | undefined => {
    if (max === 0) return undefined
    const into = new Uint8Array(count)
    decodeHybrid(raw, from, to, bitWidthOf(max), count, into)
    return into
  }
  const rep = levels(0, repBytes, column.maxRep)
  const def = levels(repBytes, repBytes + defBytes, column.maxDef)
  const valueCount = countPresent(def, column.maxDef, 0, count)
  const packed = raw.subarray(repBytes + defBytes)
  const bytes = header.get(7) === false ? packed : unpackPage(codec, packed, Math.max(0, size - repBytes - defBytes))
  return {
    values: readValues(physicalTypes[column.leaf.type], int(header, 4), bytes, 0, bytes.length, valueCount, dictionary),
    count,
    valueCount,
    rep,
    def,
  }
}

/** A page as it lies in its column chunk. */
interface RawPage {
  kind: number
  header: ThriftStruct
  bytes: Uint8Array
  /** Of the bytes when they are unpacked. */
  size: number
}

function nextPage(input: ByteReader): RawPage {
  const header = readStruct(input)
  const bytes = input.readBytes(int(header, 3))
  return { kind: int(header, 1), header, bytes, size: int(header, 2) }
}

/** Throws CorruptDataError. */
function checkPage({ header, bytes }: RawPage): void {
  const checksum = header.get(4)
  if (typeof checksum === 'number' && (crc32(bytes) | 0) !== checksum)
    throw new CorruptDataError('parquet: a page has a wrong checksum')
}

const pageKinds = { dataV1: 0, dictionary: 2, dataV2: 3 } as const

function readDictionary(column: Column, { header, bytes, size }: RawPage, codec: number): Values {
  const plain = unpackPage(codec, bytes, size)
  return readPlain(physicalTypes[column.leaf.type], plain, 0, plain.length, int(structOf(header, 7), 1))
}

/** The entries of a page of data, of which its column chunk has `left` left. */
function readData(column: Column, page: RawPage, left: number, codec: number, dictionary: Values | undefined): Page {
  const { kind, header, bytes, size } = page
  return kind === pageKinds.dataV1
    ? readDataV1(column, structOf(header, 5), left, unpackPage(codec, bytes, size), dictionary)
    : readDataV2(column, structOf(header, 8), left, bytes, size, codec, dictionary)
}

function isData({ kind }: RawPage): boolean {
  return kind === pageKinds.dataV1 || kind === pageKinds.dataV2
}

/** Decodes the pages in `bytes`, which must hold `entries` entries. Throws CorruptDataError. */
export function readColumn(column: Column, bytes: Uint8Array, codec: number, entries: number): ColumnData {
  const input = new ByteReader(bytes)
  const pages: Page[] = []
  let dictionary: Values | undefined
  for (let left = entries; left > 0;) {
    const raw = nextPage(input)
    checkPage(raw)
    if (raw.kind === pageKinds.dictionary) dictionary = readDictionary(column, raw, codec)
    else if (isData(raw)) {
      const page = readData(column, raw, left, codec, dictionary)
      pages.push(page)
      left -= page.count
    }
  }
  const [first] = pages
  return first !== undefined && pages.length === 1 ? { column, ...first, ...first.values } : joinPages(column, pages)
}

/** Where row `row` of a page begins; the page's end where it has no such row. */
function startOfRow(rep: Uint8Array | undefined, row: number, count: number): number {
  if (rep === undefined) return Math.min(row, count)
  let at = 0
  for (let begun = 0; at < count; at++) if (rep[at] === 0 && begun++ === row) break
  return at
}

/** Row `rowInPage` of a page alone, which is row `row` of the row group. */
function entriesOfRow(column: Column, page: Page, rowInPage: number, row: number): ColumnData {
  const { rep, def, count, values } = page
  const from = startOfRow(rep, rowInPage, count)
  let to = from + 1
  while (to < count && rep !== undefined && rep[to] !== 0) to++
  const first = countPresent(def, column.maxDef, 0, from)
  const valueCount = countPresent(def, column.maxDef, from, to)
  const end = first + valueCount
  return {
    column,
    count: to - from,
    firstRow: row,
    rep: rep?.subarray(from, to),
    def: def?.subarray(from, to),
    valueCount,
    ...valuesBetween(values, first, end),
  }
}

function valuesBetween({ ints, longs, doubles, bools, texts, indices }: Values, from: number, to: number): Values {
  if (ints !== undefined) return { ints: ints.subarray(from, to) }
  if (longs !== undefined) return { longs: longs.subarray(from, to) }
  if (doubles !== undefined) return { doubles: doubles.subarray(from, to) }
  if (bools !== undefined) return { bools: bools.subarray(from, to) }
  if (texts === undefined) return {}
  return { texts, indices: indices?.subarray(from, to) ?? Int32Array.from({ length: to - from }, (_, i) => from + i) }
}

/** Is the first entry of a page of the second version the first one of a row? */
function beginsWithRow({ maxRep }: Column, { header, bytes }: RawPage): boolean {
  if (maxRep === 0) return true
  const first = new Uint8Array(1)
  decodeHybrid(bytes, 0, Math.min(bytes.length, int(structOf(header, 8), 6)), bitWidthOf(maxRep), 1, first)
  return first[0] === 0
}

/** Rows of a page, as its header says them; undefined where it says nothing, or what can't be. */
function rowsOfPage(column: Column, page: RawPage): number | undefined {
  if (page.kind === pageKinds.dataV1 || !beginsWithRow(column, page)) return undefined
  const header = structOf(page.header, 8)
  const rows = int(header, 3)
  return column.maxRep === 0 && rows !== int(header, 1) ? undefined : rows
}

/** How many rows begin in the entries. */
export function rowsBegun({ rep, count }: Pick<ColumnData, 'rep' | 'count'>): number {
  return rep === undefined ? count : countPresent(rep, 0, 0, count)
}

/**
 * Decodes a row of the row group of `rows` from the pages in `bytes`: those of the second version say how many rows
 * they have, and begin with one. Where they do not, or say what is not so, all are decoded. Throws CorruptDataError.
 */
export function readRowOfColumn(
  column: Column,
  bytes: Uint8Array,
  codec: number,
  entries: number,
  row: number,
  rows: number,
): ColumnData {
  if (row >= rows) throw new CorruptDataError(`parquet: no page of ${column.path} has row ${row}`)
  const input = new ByteReader(bytes)
  let dictionary: RawPage | undefined
  let found: { page: RawPage; left: number; firstRow: number; rows: number } | undefined
  let firstRow = 0
  const readAll = (): ColumnData => readColumn(column, bytes, codec, entries)
  for (let left = entries; left > 0;) {
    const page = nextPage(input)
    if (page.kind === pageKinds.dictionary) dictionary = page
    else if (isData(page)) {
      const own = rowsOfPage(column, page)
      if (own === undefined) return readAll()
      if (row >= firstRow && row < firstRow + own) found = { page, left, firstRow, rows: own }
      firstRow += own
      left -= entriesOf(structOf(page.header, 8), left)
    }
  }
  if (found === undefined || firstRow !== rows) return readAll()
  for (const page of [dictionary, found.page]) if (page !== undefined) checkPage(page)
  const values = dictionary === undefined ? undefined : readDictionary(column, dictionary, codec)
  const page = readData(column, found.page, found.left, codec, values)
  return rowsBegun(page) === found.rows ? entriesOfRow(column, page, row - found.firstRow, row) : readAll()
}

function joinPages(column: Column, pages: readonly Page[]): ColumnData {
  const count = pages.reduce((sum, page) => sum + page.count, 0)
  const valueCount = pages.reduce((sum, page) => sum + page.valueCount, 0)
  const joined = <T extends { set(from: T, at: number): void; length: number }>(
    into: T,
    part: (page: Page) => T | undefined,
  ): T => {
    let at = 0
    for (const page of pages) {
      const from = part(page)
      if (from !== undefined) {
        into.set(from, at)
        at += from.length
      }
    }
    return into
  }
  const base = {
    column,
    count,
    valueCount,
    rep: column.maxRep === 0 ? undefined : joined(new Uint8Array(count), p => p.rep),
    def: column.maxDef === 0 ? undefined : joined(new Uint8Array(count), p => p.def),
  }
  switch (physicalTypes[column.leaf.type]) {
    case 0:
      return { ...base, bools: joined(new Uint8Array(valueCount), p => p.values.bools) }
    case 1:
      return { ...base, ints: joined(new Int32Array(valueCount), p => p.values.ints) }
    case 2:
      return { ...base, longs: joined(new BigInt64Array(valueCount), p => p.values.longs) }
    case 5:
      return { ...base, doubles: joined(new Float64Array(valueCount), p => p.values.doubles) }
    default:
  }
  const shared = pages[0]?.values.texts
  if (shared !== undefined && pages.every(p => p.values.texts === shared && p.values.indices !== undefined))
    return { ...base, texts: shared, indices: joined(new Int32Array(valueCount), p => p.values.indices) }
  // Plain pages, or some with a dictionary and some without: every value in its place.
  const parts = pages.map(p => p.values)
  const offsets = new Uint32Array(valueCount + 1)
  const chunks: Uint8Array[] = []
  let k = 0
  let sum = 0
  for (const { texts, indices } of parts) {
    const n = indices?.length ?? texts?.count ?? 0
    for (let i = 0; i < n; i++) {
      const bytes = texts!.bytesOf(indices === undefined ? i : indices[i]!)
      chunks.push(bytes)
      offsets[++k] = sum += bytes.length
    }
  }
  return { ...base, texts: new Texts(Buffer.concat(chunks), offsets) }
}
