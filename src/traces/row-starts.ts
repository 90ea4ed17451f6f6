/** Where the rows of a column lie. */
import type { ColumnData } from '#codec/parquet/column-data.ts'

/** By row, where a column's entries and values begin; one more at the end. */
export function rowStarts(
  { rep, def, count, column }: ColumnData,
  rows: number,
): { entries: Uint32Array; values: Uint32Array } {
  const entries = new Uint32Array(rows + 1)
  const values = new Uint32Array(rows + 1)
  let row = 0
  let k = 0
  for (let i = 0; i < count; i++) {
    if (rep === undefined || rep[i] === 0) {
      entries[row] = i
      values[row++] = k
    }
    if (def === undefined || def[i] === column.maxDef) k++
  }
  entries[rows] = count
  values[rows] = k
  return { entries, values }
}
