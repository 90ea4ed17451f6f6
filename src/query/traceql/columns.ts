/** Columns of traces that every row group has. One that lacks a column, or has it in another type, is corrupt. */
import { bytesAt, textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import type { Texts } from '#codec/parquet/texts.ts'
import { CorruptDataError } from '#core/errors.ts'

type Columns = ReadonlyMap<string, ColumnData>

/** Throws CorruptDataError where the column is missing. */
export function columnAt(columns: Columns, path: string): ColumnData {
  const data = columns.get(path)
  if (data === undefined) throw new CorruptDataError(`the column ${path} is missing`)
  return data
}

/** Throws CorruptDataError where the values are no 64-bit numbers. */
export function longsOf(data: ColumnData): BigInt64Array {
  return data.longs ?? wrongType(data, '64-bit numbers')
}

/** Throws CorruptDataError where the values are no 32-bit numbers. */
export function intsOf(data: ColumnData): Int32Array {
  return data.ints ?? wrongType(data, '32-bit numbers')
}

/** Throws CorruptDataError where the values are no booleans. */
export function boolsOf(data: ColumnData): Uint8Array {
  return data.bools ?? wrongType(data, 'booleans')
}

/** Throws CorruptDataError where the values are no byte strings. */
export function textsOf(data: ColumnData): Texts {
  return data.texts ?? wrongType(data, 'texts')
}

/** Levels by entry. Throws CorruptDataError for a column that is not nested. */
export function levelsOf(data: ColumnData): { rep: Uint8Array; def: Uint8Array } {
  const { rep, def } = data
  if (rep === undefined || def === undefined) return wrongType(data, 'nested values')
  return { rep, def }
}

function wrongType(data: ColumnData, expected: string): never {
  throw new CorruptDataError(`the column ${data.column.path} has no ${expected}`)
}

/** Reads byte strings of a column as hexadecimal. */
export function hexReader(data: ColumnData): (k: number) => string {
  const { indices } = data
  const { bytes, offsets, count } = textsOf(data)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return k => {
    const i = indices === undefined ? k : indices[k]!
    if (i >= count) throw new CorruptDataError(`parquet: string ${i} of ${count}`)
    return buffer.toString('hex', offsets[i]!, offsets[i + 1]!)
  }
}

/** An id as APIs show it: hexadecimal without leading zeros. */
export function withoutZeros(hex: string): string {
  return hex.startsWith('0') ? hex.replace(/^0+(?=.)/, '') : hex
}

/** A trace id as APIs show it. */
export function traceIdText(ids: ColumnData, row: number): string {
  return withoutZeros(Buffer.from(bytesAt(ids, row)).toString('hex'))
}

/** The different texts of a column; none where there is no column. */
export function textsIn(data: ColumnData | undefined): Iterable<string> {
  if (data === undefined) return []
  if (data.indices === undefined) return new Set(Array.from({ length: data.valueCount }, (_, k) => textAt(data, k)))
  const texts = textsOf(data)
  return Array.from({ length: texts.count }, (_, i) => texts.text(i))
}
