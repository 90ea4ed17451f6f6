/** The door out of the traces signal: what a query can ask of it. */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import type { Trace } from '#model/trace.ts'
import { attributePaths, type OwnPath } from './attribute-paths.ts'
import type { DedicatedColumn } from './schema.ts'

export { attributePaths, type DedicatedColumn, type OwnPath }

/**
 * Rows of traces, from memory or a block's row group. Columns have the paths of vParquet5, whatever the block's
 * version.
 */
export interface TraceRows {
  readonly rows: number
  readonly isInMemory: boolean
  readonly dedicated: readonly DedicatedColumn[]
  /** Bytes that reading all of it would take. */
  readonly bytes: number
  /** Columns by path; those that are not there are left out. */
  columns(paths: readonly string[]): Promise<ReadonlyMap<string, ColumnData>>
}

export interface TracesReader {
  /** Everything that may have spans between the times (inclusive milliseconds), newest first. */
  select(fromMs: number, throughMs: number): Promise<readonly TraceRows[]>
  /** All spans of a trace, by its 16 bytes; undefined when there are none. */
  find(id: Uint8Array, fromMs: number, throughMs: number): Promise<Trace | undefined>
}
