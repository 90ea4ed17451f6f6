/** What takes rows, and what pipes are told of their query. */
import type { LogsqlQuery } from '#lang/logsql/ast.ts'
import type { Fields } from './row.ts'

/** Takes rows. `write` returns false when no more are wanted. */
export interface Sink {
  write(row: Fields): boolean
  end(): void
}

export interface PipeContext {
  nowMs: number
  /** Length of the time that the query looks at. */
  seconds: number
  /** Rows that may be held at a time. */
  rowsMax: number
  /** Results of the queries within the query. */
  resultsOf: ReadonlyMap<LogsqlQuery, readonly Fields[]>
}
