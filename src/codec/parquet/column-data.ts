/** One decoded column of a row group, or of one of its rows: the levels of its entries, and their values. */
import type { Column } from './schema.ts'
import type { Texts } from './texts.ts'

/** Levels are undefined where the column needs none; one of the value columns is there, by the column's type. */
export interface ColumnData {
  readonly column: Column
  /** Entries, with and without value. */
  readonly count: number
  /** The row of the first entry, where it is not the first of the row group. */
  readonly firstRow?: number
  /** Levels by entry; undefined where the highest is 0. */
  readonly rep: Uint8Array | undefined
  readonly def: Uint8Array | undefined
  readonly valueCount: number
  /** One of these, by type. */
  readonly ints?: Int32Array
  readonly longs?: BigInt64Array
  readonly doubles?: Float64Array
  readonly bools?: Uint8Array
  /** Byte strings: value k is texts[indices[k]], or texts[k] without indices. */
  readonly texts?: Texts
  readonly indices?: Int32Array
}

/** The k-th value of a column of byte strings. */
export function textAt(data: ColumnData, k: number): string {
  return data.texts!.text(data.indices === undefined ? k : data.indices[k]!)
}
/** The bytes of value `k` of a column of byte strings. */
export function bytesAt(data: ColumnData, k: number): Uint8Array {
  return data.texts!.bytesOf(data.indices === undefined ? k : data.indices[k]!)
}
