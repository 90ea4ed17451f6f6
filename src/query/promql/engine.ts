/** The door to PromQL: a query text and a time range become series or an error. */
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, BadQueryError, LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { unwrap, type Expr } from '#lang/promql/ast.ts'
import { parsePromql, typeOf } from '#lang/promql/parser.ts'
import type { MetricsReader } from '#metrics/select.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import { Budget } from '../budget.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { Annotations } from './annotations.ts'
import { eachPiece, unitsAtOnce, type QueryContext } from './evaluation.ts'
import { Evaluator } from './evaluator.ts'
import type { KeptAnswers, KeptRange, Notes } from './kept-answers.ts'
import { prepare } from './prepare.ts'
import { absent, finishNames, isHistogram, Row, unitsOfRow, type Grid } from './value.ts'

/** A query over the steps from start to end, both inclusive. */
export interface RangeRequest {
  query: string
  startMs: number
  endMs: number
  /** 0 for an instant query at `startMs` = `endMs`. */
  stepMs: number
  /** How far back an instant selector looks for a sample; five minutes unless given. */
  lookbackMs?: number
  timeoutMs?: number
  signal?: AbortSignal
  /** Whether series carry __type__ and __unit__ labels; no unless given. */
  typeLabels?: boolean
  /** Whether functions of counters look at start timestamps; no unless given, as in Prometheus. */
  startTimestamps?: boolean
  /** All steps are evaluated, whatever is kept of earlier answers. */
  isFresh?: boolean
}

/** One series of an answer: floats and histograms apart, each with its times. */
export interface ResultSeries {
  labels: Labels
  /** Series of one answer may share them. */
  timesMs: readonly number[]
  values: number[]
  histogramTimesMs: number[]
  histograms: FloatHistogram[]
}

/** The cost of a query. */
export interface QueryStats {
  /** Samples that functions and selectors read, once for every step. */
  samples: number
  /** The most samples that were in memory at a time. */
  peakSamples: number
  seconds: number
  parseSeconds: number
}

/** An answer; annotations are texts with their place in the query. */
export interface QueryResult {
  type: 'scalar' | 'string' | 'vector' | 'matrix'
  /** The query's time, or where its range begins. */
  startMs: number
  /** For scalar and string: one series without labels, or the text. */
  series: ResultSeries[]
  text: string
  warnings: string[]
  infos: string[]
  stats: QueryStats
  /** A part of it was kept from an earlier answer: its cost says nothing. */
  isKept?: boolean
}

/** How far back an instant selector looks unless a request says otherwise. */
export const defaultLookbackMs = 300_000

/** Answers PromQL queries. */
export class PromqlEngine {
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #kept: KeptAnswers | undefined

  /** Without `kept` no answers are kept. */
  constructor(clock: Clock, limits: Limits, kept?: KeptAnswers) {
    this.#clock = clock
    this.#limits = limits
    this.#kept = kept
  }

  /**
   * The value at one instant. Throws BadQueryError, BadDataError, ExecutionError, LimitError, TimeoutError and
   * CanceledError.
   */
  instant(
    reader: MetricsReader,
    query: string,
    atMs: number,
    options: Partial<RangeRequest> = {},
  ): Promise<QueryResult> {
    return this.#run(reader, { ...options, query, startMs: atMs, endMs: atMs, stepMs: 0 })
  }

  /** The values at every step; throws as `instant` does. */
  range(reader: MetricsReader, request: RangeRequest): Promise<QueryResult> {
    if (request.endMs < request.startMs)
      throw new BadDataError('invalid parameter "end": end timestamp must not be before start time')
    if (request.stepMs <= 0)
      throw new BadDataError(
        'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a ' +
          'positive integer',
      )
    if ((request.endMs - request.startMs) / request.stepMs > this.#limits.queryStepsMax) {
      throw new LimitError(
        `exceeded maximum resolution of ${this.#limits.queryStepsMax.toLocaleString('en-US')} points per ` +
          'timeseries. Try decreasing the query resolution (?step=XX)',
        400,
      )
    }
    return this.#run(reader, request)
  }

  #run(reader: MetricsReader, request: RangeRequest): Promise<QueryResult> {
    return planningAgain(() => this.#runOnce(reader, request))
  }

  async #runOnce(reader: MetricsReader, request: RangeRequest): Promise<QueryResult> {
    const startedMs = this.#clock.monotonicMs()
    const expr = parsePromql(request.query)
    const type = typeOf(expr)
    const isInstant = request.stepMs === 0
    if (!isInstant && type !== 'scalar' && type !== 'vector')
      throw new BadQueryError(
        `invalid expression type "${type === 'matrix' ? 'range vector' : type}" for range query, must be ` +
          'Scalar or instant Vector',
        expr.from,
        expr.to,
      )
    const parsedMs = this.#clock.monotonicMs()
    const context = this.#contextOf(reader, request, expr)
    const { budget } = context
    const { series, text, warnings, infos, isKept } = await this.#answer(context, request, expr)
    const isMatrix = !isInstant || type === 'matrix'
    if (isMatrix) await pacedSort(series, (a, b) => compareLabels(a.labels, b.labels), budget)
    return {
      type: isInstant ? type : 'matrix',
      startMs: request.startMs,
      series,
      text,
      warnings: [...warnings, ...reader.omissions.texts()],
      infos: [...infos],
      stats: {
        samples: budget.totalSamples,
        peakSamples: budget.peakSamples,
        seconds: (this.#clock.monotonicMs() - startedMs) / 1000,
        parseSeconds: (parsedMs - startedMs) / 1000,
      },
      isKept,
    }
  }

  async #answer(context: QueryContext, request: RangeRequest, expr: Expr): Promise<Answer> {
    const grid = gridOf(request)
    const isKeepable = request.stepMs > 0 && request.isFresh !== true
    const range = isKeepable ? await this.#kept?.begin(context, expr, grid) : undefined
    if (range === undefined) {
      const { series, text } = await answerOf(expr, new Evaluator(context, grid))
      return { series, text, ...saidBy(context), isKept: false }
    }
    const { rows, isKept, ...said } = (await rowsOf(range, expr, context)) ?? (await freshRows(range, expr, context))
    return { series: await toSeries(rows, grid, context.budget), text: '', ...said, isKept }
  }

  #contextOf(reader: MetricsReader, request: RangeRequest, expr: Expr): QueryContext {
    const { query, startMs, endMs, stepMs } = request
    const timeoutMs = Math.min(request.timeoutMs ?? Infinity, this.#limits.queryTimeoutMs)
    return {
      query,
      reader,
      budget: new Budget(this.#clock, this.#limits.querySamplesMax, timeoutMs, request.signal),
      annotations: new Annotations(),
      lookbackMs: request.lookbackMs ?? defaultLookbackMs,
      defaultSubqueryStepMs: 60_000,
      startMs,
      endMs,
      stepMs,
      ...prepare(expr, query, { startMs, endMs, stepMs }),
      typeLabels: request.typeLabels ?? false,
      startTimestamps: request.startTimestamps ?? false,
    }
  }
}

function gridOf({ startMs, endMs, stepMs }: RangeRequest): Grid {
  if (stepMs === 0) return { startMs, intervalMs: 1, steps: 1, endMs: startMs }
  return { startMs, intervalMs: stepMs, steps: Math.floor((endMs - startMs) / stepMs) + 1, endMs }
}

interface Answer extends Notes {
  series: ResultSeries[]
  text: string
  isKept: boolean
}

interface AnswerRows extends Notes {
  rows: readonly Row[]
  isKept: boolean
}

function saidBy({ annotations, query }: QueryContext): Notes {
  return { warnings: annotations.textsOf('warning', query), infos: annotations.textsOf('info', query) }
}

/**
 * The rows of a query over a range: those that are kept, and what is missing of them evaluated. Undefined where these
 * can't be put together.
 */
async function rowsOf(range: KeptRange, expr: Expr, context: QueryContext): Promise<AnswerRows | undefined> {
  const { budget } = context
  const heldBefore = budget.samples
  const found: Row[][] = []
  for (const grid of range.missing) found.push(await evaluatedRows(expr, new Evaluator(context, grid)))
  const said = saidBy(context)
  if (!range.fits(said) || !budget.hasRoomFor(range.samplesOfJoin(found))) {
    // What was found is let go of: an evaluation of all steps may hold as much as without anything kept.
    budget.give(budget.samples - heldBefore)
    return undefined
  }
  // What is incomplete, or says something that goes by all steps, is not kept.
  const isLasting = context.reader.omissions.isEmpty && !context.annotations.isOfAllSteps
  const { rows, notes } = await range.finish(found, said, isLasting)
  return { rows, ...notes, isKept: range.isKnown }
}

/** The same with every step evaluated. */
async function freshRows(range: KeptRange, expr: Expr, context: QueryContext): Promise<AnswerRows> {
  const answer = await rowsOf(range.anew(), expr, { ...context, annotations: new Annotations() })
  assert(answer !== undefined, 'what is evaluated as a whole fits')
  return answer
}

/** The rows of a scalar or of a vector. */
async function evaluatedRows(expr: Expr, evaluator: Evaluator): Promise<Row[]> {
  const { grid, context } = evaluator
  const value = await evaluator.eval(expr)
  assert(value.kind !== 'string', 'a string has no range')
  if (value.kind === 'vector') return finishNames(value.rows, grid.steps, context.budget)
  const row = new Row(Labels.empty, false, grid.steps)
  for (let step = 0; step < grid.steps; step++) row.setFloat(step, value.values[step]!)
  return [row]
}

/** A string has a text and no series, every other type has series. */
async function answerOf(expr: Expr, evaluator: Evaluator): Promise<{ series: ResultSeries[]; text: string }> {
  const { grid } = evaluator
  const { budget } = evaluator.context
  const inner = unwrap(expr)
  if (inner.kind === 'matrix') {
    const found = await evaluator.selectRange(inner)
    const series: ResultSeries[] = []
    for (const { labels, columns } of found) {
      series.push(rawSeries(labels, columns))
      if (budget.worked(unitsOfRow + unitsOfPoint * columns.count)) await budget.pause()
    }
    return { series, text: '' }
  }
  if (inner.kind === 'subquery') {
    const { rows, grid: inside } = await evaluator.evalSubquery(inner)
    return { series: await toSeries(await finishNames(rows, inside.steps, budget), inside, budget), text: '' }
  }
  if (inner.kind === 'string') return { series: [], text: inner.value }
  return { series: await toSeries(await evaluatedRows(expr, evaluator), grid, budget), text: '' }
}

function emptySeries(labels: Labels): ResultSeries & { timesMs: number[] } {
  return { labels, timesMs: [], values: [], histogramTimesMs: [], histograms: [] }
}

/** The samples of a range selector. */
function rawSeries(labels: Labels, columns: SampleColumns): ResultSeries {
  const { count, histograms } = columns
  if (histograms === undefined) {
    const timesMs = numbersOf(columns.timesMs, count)
    return { labels, timesMs, values: numbersOf(columns.values, count), histogramTimesMs: [], histograms: [] }
  }
  const series = emptySeries(labels)
  for (let i = 0; i < count; i++) {
    const histogram = histograms[i]
    if (histogram === undefined) {
      series.timesMs.push(columns.timesMs[i]!)
      series.values.push(columns.values[i]!)
    } else {
      series.histogramTimesMs.push(columns.timesMs[i]!)
      series.histograms.push(histogram)
    }
  }
  return series
}

/** The first `count` numbers, as a list that is as long from the start. */
function numbersOf(column: Float64Array, count: number): number[] {
  const list: number[] = []
  list.length = count
  for (let i = 0; i < count; i++) list[i] = column[i]!
  return list
}

/** Adds the steps [from, to) of a row. */
function addPoints(
  row: Row,
  startMs: number,
  intervalMs: number,
  series: ResultSeries & { timesMs: number[] },
  from: number,
  to: number,
): void {
  const { present, values } = row
  const { timesMs, values: points } = series
  for (let step = from; step < to; step++) {
    if (present[step] === absent) continue
    const atMs = startMs + step * intervalMs
    if (present[step] === isHistogram) {
      series.histogramTimesMs.push(atMs)
      series.histograms.push(row.histogramAt(step))
    } else {
      timesMs.push(atMs)
      points.push(values[step]!)
    }
  }
}

/** Units of work (Budget.worked) of a point of an answer. */
const unitsOfPoint = 4

/** Rows that have a sample at any step. */
async function toSeries(rows: readonly Row[], { startMs, intervalMs }: Grid, budget: Budget): Promise<ResultSeries[]> {
  const out: ResultSeries[] = []
  let everyMs: number[] | undefined
  for (const row of rows) {
    const steps = row.present.length
    if (
      steps > 0 &&
      steps <= unitsAtOnce / unitsOfPoint &&
      row.histograms === undefined &&
      !row.present.includes(absent)
    ) {
      everyMs ??= Array.from({ length: steps }, (_, step) => startMs + step * intervalMs)
      const values = numbersOf(row.values, steps)
      out.push({ labels: row.labels, timesMs: everyMs, values, histogramTimesMs: [], histograms: [] })
      if (budget.worked(unitsOfRow + steps)) await budget.pause()
      continue
    }
    const series = emptySeries(row.labels)
    const working = eachPiece(steps, unitsOfPoint, budget, (from, to) => {
      addPoints(row, startMs, intervalMs, series, from, to)
    })
    if (working !== undefined) await working
    if (series.timesMs.length + series.histogramTimesMs.length > 0) out.push(series)
  }
  return out
}
