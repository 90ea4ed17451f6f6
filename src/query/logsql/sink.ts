/** The end that rows are written to, and the facts of a query that its pipes use. */
import type { LogsqlQuery } from '#lang/logsql/ast.ts'
import type { Budget } from '../budget.ts'
import type { Fields } from './row.ts'

/** `write` returns false when no more rows are wanted; `end` follows the last one, and may take long. */
export interface Sink {
  write(row: Fields): boolean
  /** As many rows that are like this one; only where there is nothing to tell them apart. */
  writeTimes?(row: Fields, times: number): void
  end(): Promise<void>
}

/** Facts of a query that its pipes use. */
export interface PipeContext {
  nowMs: number
  /** Length of the query's time, for rates; undefined where it has no bounds. */
  seconds: number | undefined
  /** The most rows, or groups, that a pipe may hold. */
  rowsMax: number
  /** Results of the queries within the query. */
  resultsOf: ReadonlyMap<LogsqlQuery, readonly Fields[]>
  budget: Budget
  /** Work that pipes could not do while a row was written to them: it is done before the next row comes. */
  readonly waiting: (() => Promise<void>)[]
}

/** Units of work (Budget.worked) of a row that goes through a pipe. */
const unitsOfRow = 64

/** Awaited after a row was written, where it is not undefined: does what waits, and lets other work run. */
export function afterRow(context: PipeContext): Promise<void> | undefined {
  const isDue = context.budget.worked(unitsOfRow)
  return isDue || context.waiting.length > 0 ? catchUp(context) : undefined
}

/** More rows than these of one are written in its own time, before the next row comes. */
const rowsAtOnce = 100

/** For a pipe that makes many rows of one: writes them now or, where they are many, as work that waits. */
export function writeMany(rows: Iterable<Fields>, count: number, next: Sink, context: PipeContext): boolean {
  if (count > rowsAtOnce) {
    context.waiting.push(() => writeAll(rows, next, context))
    return true
  }
  for (const row of rows) if (!next.write(row)) return false
  return true
}

/** Awaited before an end: does what waits. */
export async function catchUp({ budget, waiting }: PipeContext): Promise<void> {
  for (let work = waiting.shift(); work !== undefined; work = waiting.shift()) await work()
  await budget.pause()
}

/** Writes rows until the sink wants no more. */
export async function writeAll(rows: Iterable<Fields>, next: Sink, context: PipeContext): Promise<void> {
  for (const row of rows) {
    const wantsMore = next.write(row)
    const rest = afterRow(context)
    if (rest !== undefined) await rest
    if (!wantsMore) break
  }
}

/** Memory of a row: an entry of a map with two texts for each field, a byte for each character. */
export function bytesOfRow(row: Fields): number {
  let bytes = 100
  for (const value of row.values()) bytes += 60 + value.length
  return bytes
}
