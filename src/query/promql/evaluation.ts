/** The evaluation of a whole query, as the evaluation of one node uses it: its context, its steps, other nodes. */
import { assert } from '#core/assert.ts'
import { unwrap, type Call, type Expr, type VectorSelector } from '#lang/promql/ast.ts'
import type { MetricsReader } from '#metrics/select.ts'
import type { Budget } from '../budget.ts'
import type { Annotations } from './annotations.ts'
import type { Labels } from '#model/labels.ts'
import { absent, Row, unitsOfRow, unitsOfStep, type Grid, type Value } from './value.ts'

/** Units of work between two looks at the clock, where a loop can't stop after every step: subqueries have millions. */
export const unitsAtOnce = 16_384

/** The facts of a query that all of its nodes share. */
export interface QueryContext {
  query: string
  reader: MetricsReader
  budget: Budget
  annotations: Annotations
  lookbackMs: number
  /** Step of subqueries that name none. */
  defaultSubqueryStepMs: number
  /** The query's own range, for start(), end(), range() and step(). */
  startMs: number
  endMs: number
  stepMs: number
  /** Nodes whose value is the same at every step. */
  invariant: ReadonlySet<Expr>
  /** Selectors of whose histograms only counts and sums are used. */
  statsOnly: ReadonlySet<VectorSelector>
  /** Do series carry __type__ and __unit__ labels? */
  typeLabels: boolean
  /** Do functions of counters look at start timestamps? */
  startTimestamps: boolean
}

/** A tree that is evaluated over the steps of a grid. Rows that it returns belong to the caller. */
export interface Evaluation {
  readonly context: QueryContext
  readonly grid: Grid
  /** The time of a step, in milliseconds. */
  stepMs(step: number): number
  eval(expr: Expr): Promise<Value>
  /** The same where an instant vector is expected. Throws ExecutionError. */
  rows(expr: Expr): Promise<Row[]>
  /** The same where a scalar is expected: one number a step. Throws ExecutionError. */
  scalars(expr: Expr): Promise<Float64Array>
  /**
   * An instant vector: at each step the latest sample inside the lookback. `want` gives its time or start time
   * instead.
   */
  selectInstant(selector: VectorSelector, want: false | 'time' | 'start'): Promise<Row[]>
}

/** Calls `work` for every row, and lets other work run between rows. */
export async function eachRow(rows: readonly Row[], budget: Budget, work: (row: Row) => void): Promise<void> {
  for (const row of rows) {
    work(row)
    if (budget.worked(unitsOfRow + row.values.length * unitsOfStep(row))) await budget.pause()
  }
}

/**
 * Calls `work` for pieces of `steps` from the first to the last, and lets other work run between pieces; a step takes
 * so many units of work (Budget.worked). Nothing is to be awaited where one piece was enough: most rows are short, and
 * a promise for each would cost more than the work.
 */
export function eachPiece(
  steps: number,
  unitsEach: number,
  budget: Budget,
  work: (from: number, to: number) => void,
): Promise<void> | undefined {
  const stepsAtOnce = Math.max(1, Math.floor(unitsAtOnce / unitsEach))
  work(0, Math.min(steps, stepsAtOnce))
  if (steps > stepsAtOnce) return eachPieceFrom(stepsAtOnce, steps, unitsEach, budget, work)
  return budget.worked(unitsOfRow + steps * unitsEach) ? budget.pause() : undefined
}

async function eachPieceFrom(
  stepsAtOnce: number,
  steps: number,
  unitsEach: number,
  budget: Budget,
  work: (from: number, to: number) => void,
): Promise<void> {
  for (let from = stepsAtOnce; from < steps; from += stepsAtOnce) {
    if (budget.worked(stepsAtOnce * unitsEach)) await budget.pause()
    work(from, Math.min(steps, from + stepsAtOnce))
  }
}

/** A row with 1 where none of the rows has a sample. */
export async function absentFrom(
  rows: readonly Row[],
  labels: Labels,
  dropName: boolean,
  steps: number,
  budget: Budget,
): Promise<Row> {
  const isThere = new Uint8Array(steps)
  await eachRow(rows, budget, ({ present }) => {
    for (let step = 0; step < steps; step++) if (present[step] !== absent) isThere[step] = 1
  })
  const row = new Row(labels, dropName, steps)
  for (let step = 0; step < steps; step++) if (isThere[step] === 0) row.setFloat(step, 1)
  return row
}

/** An argument that the parser made sure of. */
export function argumentOf(call: Call, i: number): Expr {
  const argument = call.args[i]
  assert(argument !== undefined, `${call.name}() was parsed without argument ${i + 1}`)
  return argument
}

/** The text of a literal, where the parser made sure that there is one. */
export function textOf(expr: Expr): string {
  const literal = unwrap(expr)
  assert(literal.kind === 'string', `${literal.kind} was parsed in place of a text`)
  return literal.value
}
