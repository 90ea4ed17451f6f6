/** The door out of the traces signal: what a query can ask of it. */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import type { Omissions } from '#core/omissions.ts'
import type { Trace } from '#model/trace.ts'
import type { DamagedBlock } from '#store/damage.ts'
import { attributePaths, fixedAttributes, type OwnPath } from './attribute-paths.ts'
import { HeldGroups } from './held-groups.ts'
import type { DedicatedColumn } from './schema.ts'

export { attributePaths, fixedAttributes, HeldGroups, type DedicatedColumn, type OwnPath }

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
  /** What statistics say of that; 0 where whoever asks is not to know how much there is. Default: `bytes`. */
  readonly toldBytes?: number
  /** Columns by path; those that are not there are left out. */
  columns(paths: readonly string[]): Promise<ReadonlyMap<string, ColumnData>>
  /** These columns will be asked for: begins to read them together. Only where requests cost. */
  ahead?(this: void, paths: readonly string[]): void
  /**
   * Takes an error of `columns`: notes what is damaged, or throws the error where it is none. Throws PlanStaleError
   * when the block was replaced.
   */
  leaveOut(error: unknown): Promise<void>
}

/** What `work` makes of rows; undefined when they are damaged: they are left out then. */
export async function unlessDamaged<T>(rows: TraceRows, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    await rows.leaveOut(error)
    return undefined
  }
}

/**
 * Row groups whose columns are fetched ahead of their turn: so many, and so many of their bytes in the bucket. Where a
 * request takes long, more of them are under way: a query wants a quarter of their bytes, as a rule.
 */
export const rowsAhead = {
  atOnce: 12,
  weightMax: 32 * 1024 * 1024,
  weightOf: ({ bytes, ahead }: TraceRows): number => (ahead === undefined ? bytes : bytes / 4),
}

/** Made for one request. */
export interface TracesReader {
  /** What the answers so far lack. */
  readonly omissions: Omissions
  /** The tenant's blocks that are known to be damaged, or those of all tenants. */
  damaged(of?: 'tenant' | 'all'): readonly DamagedBlock[]
  /**
   * Everything that may have spans between the times (inclusive milliseconds), newest first. A trace that stands in
   * several places is one row where they share spans; `parted`: it need not be, as where nothing is counted.
   */
  select(fromMs: number, throughMs: number, traces?: 'parted'): Promise<readonly TraceRows[]>
  /**
   * All spans of a trace, by its 16 bytes; undefined when there are none. `held`: for a request that wants many traces,
   * best in ascending order.
   */
  find(id: Uint8Array, fromMs: number, throughMs: number, held?: HeldGroups): Promise<Trace | undefined>
}
