/** The end that rows are written to, and the facts of a query that its pipes use. */
import type { LogsqlQuery } from '#lang/logsql/ast.ts'
import type { Fields } from './row.ts'

/** `write` returns false when no more rows are wanted; `end` follows the last one. */
export interface Sink {
  write(row: Fields): boolean
  end(): void
}

/** Facts of a query that its pipes use. */
export interface PipeContext {
  nowMs: number
  /** Length of the query's time, for rates. */
  seconds: number
  /** The most rows, or groups, that a pipe may hold. */
  rowsMax: number
  /** Results of the queries within the query. */
  resultsOf: ReadonlyMap<LogsqlQuery, readonly Fields[]>
}
