/** LogQL over a logs reader: parses, plans, evaluates, within a budget. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, BadQueryError, type LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import type { LogExpr, LogqlExpr, MetricExpr } from '#lang/logql/ast.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { Budget } from '../budget.ts'
import { compareSeries, compareSeriesText, evaluate, hasSort } from './evaluator.ts'
import { runLogQuery, type LogQuery, type LogResult } from './log-query.ts'
import { tooManySeries, type RangeContext } from './range-aggregation.ts'
import type { Grid, Series } from './series.ts'
import { QueryStats } from './stats.ts'

/** An answer of a metric query. */
export interface MetricResult {
  kind: 'scalar' | 'vector' | 'matrix'
  /** Of a scalar. */
  value: number
  series: Series[]
  grid: Grid
  stats: QueryStats
  warnings: string[]
}

/** The most series and steps of a metric query. */
export interface LogqlLimits {
  seriesMax: number
  stepsMax: number
}

/** Answers LogQL queries. */
export class LogqlEngine {
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #logLimits: LogqlLimits

  constructor(clock: Clock, limits: Limits, logLimits: LogqlLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#logLimits = logLimits
  }

  #budget(signal: AbortSignal | undefined): Budget {
    return new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
  }

  lines(expr: LogExpr, query: LogQuery, reader: LogsReader, signal?: AbortSignal): Promise<LogResult> {
    return planningAgain(() => runLogQuery(expr, query, reader, this.#budget(signal), () => this.#clock.nowMs()))
  }

  instant(
    expr: MetricExpr,
    ms: number,
    subNs: number,
    reader: LogsReader,
    isPartialAllowed: boolean,
    signal?: AbortSignal,
  ): Promise<MetricResult> {
    const grid = { startMs: ms, startSubNs: subNs, stepMs: 1, steps: 1 }
    return planningAgain(() =>
      this.#metric(expr, grid, { isInstant: true, isOfHours: false }, reader, isPartialAllowed, signal),
    )
  }

  /** The start goes down and the end up to a multiple of the step since the epoch. */
  range(
    expr: MetricExpr,
    startMs: number,
    endMs: number,
    stepMs: number,
    reader: LogsReader,
    isPartialAllowed: boolean,
    signal?: AbortSignal,
  ): Promise<MetricResult> {
    const from = Math.floor(startMs / stepMs) * stepMs
    const to = Math.ceil(endMs / stepMs) * stepMs
    const { stepsMax } = this.#logLimits
    if ((endMs - startMs) / stepMs > stepsMax)
      throw new BadDataError(
        `exceeded maximum resolution of ${stepsMax.toLocaleString('en-US')} points per time series. Try ` +
          'increasing the value of the step parameter',
      )
    const isOfHours = crossesHour(startMs, endMs)
    const grid = { startMs: from, startSubNs: 0, stepMs, steps: Math.round((to - from) / stepMs) + 1 }
    return planningAgain(() =>
      this.#metric(expr, grid, { isInstant: false, isOfHours }, reader, isPartialAllowed, signal),
    )
  }

  async #metric(
    expr: MetricExpr,
    grid: Grid,
    { isInstant, isOfHours }: { isInstant: boolean; isOfHours: boolean },
    reader: LogsReader,
    isPartialAllowed: boolean,
    signal: AbortSignal | undefined,
  ): Promise<MetricResult> {
    const stats = new QueryStats()
    const { seriesMax } = this.#logLimits
    const warnings: string[] = []
    const onTooManySeries = (): void => {
      const error: LimitError = tooManySeries(seriesMax)
      if (!isPartialAllowed) throw error
      if (warnings.length === 0)
        warnings.push(`maximum number of series (${seriesMax}) reached for a single query; returning partial results`)
    }
    const context: RangeContext = {
      reader,
      grid,
      budget: this.#budget(signal),
      stats,
      nowMs: () => this.#clock.nowMs(),
      seriesMax,
      onTooManySeries,
    }
    const result = await evaluate(expr, context)
    if (result.kind === 'scalar') {
      if (isInstant) return { kind: 'scalar', value: result.value, series: [], grid, stats, warnings }
      const values = new Float64Array(grid.steps).fill(result.value)
      return {
        kind: 'matrix',
        value: 0,
        series: [{ labels: Labels.empty, values, present: new Uint8Array(grid.steps).fill(1) }],
        grid,
        stats,
        warnings,
      }
    }
    let series = result.series.filter(s => s.present.includes(1))
    if (series.length > seriesMax) {
      onTooManySeries()
      series = series.slice(0, seriesMax)
    }
    const sort = isInstant ? hasSort(expr) : undefined
    series.sort(isOfHours ? compareSeriesText : compareSeries)
    if (sort !== undefined) series.sort((a, b) => (sort === 'sort' ? 1 : -1) * (a.values[0]! - b.values[0]!))
    stats.entriesReturned = series.length
    return { kind: isInstant ? 'vector' : 'matrix', value: 0, series, grid, stats, warnings }
  }
}

const hourMs = 3_600_000

/** Loki puts an answer together of the hours that its time covers, and then sorts otherwise than within one. */
function crossesHour(startMs: number, endMs: number): boolean {
  return Math.floor(startMs / hourMs) < Math.floor((endMs - 1) / hourMs)
}

/** The metric query in an expression; log queries are refused as instant ones. */
export function metricOf(expr: LogqlExpr): MetricExpr {
  if (expr.kind === 'log')
    throw new BadQueryError(
      'log queries are not supported as an instant query type, please change your query to a range query type',
      0,
      0,
    )
  return expr
}
