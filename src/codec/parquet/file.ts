/** A Parquet file's footer, and its columns by range. Source: the public format description (parquet-format). */
import { crc32 } from 'node:zlib'
import { CorruptDataError } from '#core/errors.ts'
import { greatest, least } from '#core/lists.ts'
import { ByteReader } from '../byte-reader.ts'
import type { ColumnData } from './column-data.ts'
import { readColumn, readRowOfColumn, rowsBegun } from './pages.ts'
import { readSchema, type Column } from './schema.ts'
import { readStruct, type ThriftStruct } from './thrift.ts'

/** Bytes [from, to) of the file. */
export type RangeReader = (from: number, to: number) => Promise<Uint8Array>

interface ChunkPlace {
  from: number
  to: number
  entries: number
  codec: number
}
/** A row group's bytes [from, to) in the file, and its column chunks. */
export interface RowGroup {
  rows: number
  /** By column. */ places: ChunkPlace[]
  from: number
  to: number
}

/** Lengths and types that damaged bytes gave may raise errors of the language: those become CorruptDataErrors. */
function decoding<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError)
      throw new CorruptDataError(`parquet: the file is damaged: ${error.message}`, { cause: error })
    throw error
  }
}

/** Ranges that lie this near are read as one, unless it is known what a gap costs. */
const gapBytesMax = 128 * 1024

const number = (value: unknown, what: string): number => {
  if (typeof value !== 'number' || value < 0) throw new CorruptDataError(`parquet: the footer has no ${what}`)
  return value
}

/** The column, which has as many rows as its row group. Throws CorruptDataError. */
function withAllRows(data: ColumnData, rows: number): ColumnData {
  const begun = rowsBegun(data)
  if (begun === rows) return data
  throw new CorruptDataError(`parquet: ${begun} rows of ${data.column.path} in a row group of ${rows}`)
}

/** An opened file: its schema and row groups. Methods throw CorruptDataError. */
export class ParquetFile {
  readonly columns: readonly Column[]
  readonly rowGroups: readonly RowGroup[]
  readonly rows: number
  readonly #read: RangeReader
  readonly #gapBytes: number
  readonly #byPath: ReadonlyMap<string, number>

  private constructor(footer: ThriftStruct, size: number, read: RangeReader, gapBytes: number) {
    this.#read = read
    this.#gapBytes = gapBytes
    this.columns = readSchema((footer.get(2) ?? []) as ThriftStruct[])
    this.#byPath = new Map(this.columns.map(({ path }, i) => [path, i]))
    this.rows = number(footer.get(3), 'count of rows')
    this.rowGroups = ((footer.get(4) ?? []) as ThriftStruct[]).map(group => {
      const places = ((group.get(1) ?? []) as ThriftStruct[]).map(chunk => {
        const meta = chunk.get(3) as ThriftStruct | undefined
        if (meta === undefined) throw new CorruptDataError('parquet: a column chunk without metadata')
        const dataAt = number(meta.get(9), 'page offset')
        const dictionaryAt = meta.get(11)
        const from = typeof dictionaryAt === 'number' && dictionaryAt > 0 ? Math.min(dictionaryAt, dataAt) : dataAt
        const to = from + number(meta.get(7), 'size of a column chunk')
        if (to > size) throw new CorruptDataError('parquet: a column chunk runs past the file')
        return { from, to, entries: number(meta.get(5), 'count of values'), codec: number(meta.get(4), 'codec') }
      })
      if (places.length !== this.columns.length)
        throw new CorruptDataError(`parquet: ${places.length} column chunks for ${this.columns.length} columns`)
      return {
        rows: number(group.get(3), 'count of rows'),
        places,
        from: least(places.map(p => p.from)),
        to: greatest(places.map(p => p.to)),
      }
    })
  }

  /**
   * `footerSize`: of the footer without its last eight bytes, when it is known; so its CRC-32. `gapBytes`: columns that
   * lie so near are read together.
   */
  static async open(
    read: RangeReader,
    size: number,
    footerSize = 0,
    footerChecksum?: number,
    gapBytes = gapBytesMax,
  ): Promise<ParquetFile> {
    let bytes = await read(Math.max(0, size - Math.max(footerSize + 8, footerSize === 0 ? 64 * 1024 : 0)), size)
    if (bytes.length < 8) throw new CorruptDataError(`parquet: a file of ${bytes.length} bytes`)
    const tail = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 8, 8)
    if (tail.getUint32(4, true) !== 0x31524150) throw new CorruptDataError('parquet: the file does not end as one')
    const length = tail.getUint32(0, true)
    if (length + 8 > size) throw new CorruptDataError(`parquet: a footer of ${length} bytes in a file of ${size}`)
    if (length + 8 > bytes.length) bytes = await read(size - length - 8, size)
    const from = bytes.length - 8 - length
    if (footerChecksum !== undefined && crc32(bytes.subarray(from, bytes.length - 8)) !== footerChecksum)
      throw new CorruptDataError('parquet: the footer has a wrong checksum')
    return decoding(
      () => new ParquetFile(readStruct(new ByteReader(bytes, from, bytes.length - 8)), size, read, gapBytes),
    )
  }

  /** The number of a column; -1 when the file has none of this path. */
  columnAt(path: string): number {
    return this.#byPath.get(path) ?? -1
  }

  /** Columns of a row group, by number, in as few reads as make sense. */
  async read(group: number, wanted: readonly number[]): Promise<Map<number, ColumnData>> {
    const { places, rows } = this.rowGroups[group]!
    const sorted = [...new Set(wanted)].sort((a, b) => places[a]!.from - places[b]!.from)
    const out = new Map<number, ColumnData>()
    for (let i = 0; i < sorted.length;) {
      let end = i
      let to = places[sorted[i]!]!.to
      while (end + 1 < sorted.length && places[sorted[end + 1]!]!.from - to <= this.#gapBytes)
        to = Math.max(to, places[sorted[++end]!]!.to)
      const { from } = places[sorted[i]!]!
      const bytes = await this.#read(from, to)
      for (; i <= end; i++) {
        const number = sorted[i]!
        const place = places[number]!
        out.set(
          number,
          decoding(() => {
            const own = bytes.subarray(place.from - from, place.to - from)
            return withAllRows(readColumn(this.columns[number]!, own, place.codec, place.entries), rows)
          }),
        )
      }
    }
    return out
  }

  /** Every column of a row group, in one read. */
  readGroup(group: number): Promise<ColumnData[]> {
    return this.#readGroup(group, readColumn)
  }

  /** A row of a row group, its entries of every column: pages that do not have it are not unpacked. In one read. */
  readRow(group: number, row: number): Promise<ColumnData[]> {
    const { rows } = this.rowGroups[group]!
    return this.#readGroup(group, (column, bytes, codec, entries) =>
      readRowOfColumn(column, bytes, codec, entries, row, rows),
    )
  }

  async #readGroup(group: number, read: typeof readColumn): Promise<ColumnData[]> {
    const { places, from, to, rows } = this.rowGroups[group]!
    const bytes = await this.#read(from, to)
    return decoding(() =>
      this.columns.map((column, i) => {
        const place = places[i]!
        const data = read(column, bytes.subarray(place.from - from, place.to - from), place.codec, place.entries)
        return data.firstRow === undefined ? withAllRows(data, rows) : data
      }),
    )
  }
}
