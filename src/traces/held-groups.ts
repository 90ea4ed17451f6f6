/** Row groups that a request takes several traces of: each is read and decoded once, not once a trace. */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import type { Trace } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import type { DedicatedColumn } from './schema.ts'

/** Decoded columns that one request holds at a time; a row group of 100 MB of Parquet unfolds to about as much. */
const heldBytesMax = 128 * 1024 * 1024

interface HeldGroup {
  columns: readonly ColumnData[]
  bytes: number
  assembler: RowAssembler
  /** The row that was put together last. */
  row: number
}

/** A row group to be read, where it is not held. */
export interface GroupToHold {
  key: string
  dedicated: readonly DedicatedColumn[]
  read: () => Promise<readonly ColumnData[]>
  bytesOf: (column: ColumnData) => number
}

/** Belongs to one request, and is dropped with it. */
export class HeldGroups {
  readonly #groups = new Map<string, HeldGroup>()
  #bytes = 0
  /** Row groups that were read and decoded. */
  decoded = 0

  /** Rows of one group cost least in ascending order: the columns are gone over once. */
  async trace(group: GroupToHold, row: number): Promise<Trace> {
    let held = this.#groups.get(group.key)
    if (held === undefined) held = this.#hold(group, await group.read())
    // It goes forward only; behind an error nobody knows where it stands.
    if (row <= held.row) held.assembler = new RowAssembler(held.columns, group.dedicated)
    held.row = Infinity
    const { trace } = held.assembler.row(row)
    held.row = row
    return trace
  }

  #hold({ key, dedicated, bytesOf }: GroupToHold, columns: readonly ColumnData[]): HeldGroup {
    this.decoded++
    const bytes = columns.reduce((sum, column) => sum + bytesOf(column), 0)
    const held = { columns, bytes, assembler: new RowAssembler(columns, dedicated), row: -1 }
    this.#groups.set(key, held)
    this.#bytes += bytes
    // The oldest ones go; the one that is in use stays, whatever its size.
    for (const [other, { bytes: freed }] of this.#groups) {
      if (this.#bytes <= heldBytesMax || other === key) break
      this.#groups.delete(other)
      this.#bytes -= freed
    }
    return held
  }
}
