/** Tables of rows, by columns that say how a row's cell looks. */
import type { ComponentChildren } from 'preact'

export interface Column<Row> {
  title: string
  isNumber?: boolean
  /** Classes of the cell: `mono`, `good`, `bad` … */
  look?: string | ((row: Row) => string)
  cell: (row: Row) => ComponentChildren
}

interface TableProps<Row> {
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row, i: number) => string | number
  /** With a name, the table scrolls sideways in a region of that name. */
  label?: string
  rowsMax?: number
}

function lookOf<Row>({ isNumber = false, look = '' }: Column<Row>, row: Row): string {
  const own = typeof look === 'string' ? look : look(row)
  return isNumber ? `num ${own}` : own
}

export function Table<Row>({ columns, rows, keyOf, label, rowsMax = 500 }: TableProps<Row>) {
  const table = (
    <table>
      <thead>
        <tr>
          {columns.map(column => (
            <th key={column.title} scope="col" class={column.isNumber === true ? 'num' : ''}>
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.slice(0, rowsMax).map((row, i) => (
          <tr key={keyOf(row, i)}>
            {columns.map(column => (
              <td key={column.title} class={lookOf(column, row)}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
  if (label === undefined) return table
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      {table}
    </div>
  )
}
