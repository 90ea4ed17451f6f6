/** The door to PromQL: takes a query text and a time range, gives series or says what is wrong. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { unwrap } from '#lang/promql/ast.ts'
import { parsePromql, positionOf, typeOf } from '#lang/promql/parser.ts'
import type { MetricsReader } from '#metrics/select.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import { Budget } from '../budget.ts'
import { Annotations } from './annotations.ts'
import type { QueryContext } from './evaluation.ts'
import { Evaluator } from './evaluator.ts'
import { prepare } from './prepare.ts'
import { absent, finishNames, isHistogram, Row } from './value.ts'

export interface RangeRequest {
  query: string
  startMs: number
  endMs: number
  /** 0 for an instant query at `startMs` = `endMs`. */
  stepMs: number
  lookbackMs?: number
  timeoutMs?: number
  signal?: AbortSignal
  typeLabels?: boolean
}

/** One series of an answer: floats and histograms apart, each with its times. */
export interface ResultSeries {
  labels: Labels
  timesMs: number[]
  values: number[]
  histogramTimesMs: number[]
  histograms: FloatHistogram[]
}

export interface QueryStats {
  samples: number
  peakSamples: number
  seconds: number
  parseSeconds: number
}

export interface QueryResult {
  type: 'scalar' | 'string' | 'vector' | 'matrix'
  /** For scalar and string: one series without labels, or the text. */
  series: ResultSeries[]
  text: string
  warnings: string[]
  infos: string[]
  stats: QueryStats
}

export const defaultLookbackMs = 300_000

export class PromqlEngine {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  instant(
    reader: MetricsReader,
    query: string,
    atMs: number,
    options: Partial<RangeRequest> = {},
  ): Promise<QueryResult> {
    return this.#run(reader, { ...options, query, startMs: atMs, endMs: atMs, stepMs: 0 })
  }

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

  async #run(reader: MetricsReader, request: RangeRequest): Promise<QueryResult> {
    const startedMs = this.#clock.monotonicMs()
    const expr = parsePromql(request.query)
    const type = typeOf(expr)
    const isInstant = request.stepMs === 0
    if (!isInstant && type !== 'scalar' && type !== 'vector')
      throw new BadDataError(
        `invalid expression type "${type === 'matrix' ? 'range vector' : type}" for range query, must be ` +
          'Scalar or instant Vector',
      )
    const parsedMs = this.#clock.monotonicMs()
    const intervalMs = isInstant ? 1 : request.stepMs
    const grid = {
      startMs: request.startMs,
      intervalMs,
      steps: isInstant ? 1 : Math.floor((request.endMs - request.startMs) / intervalMs) + 1,
    }
    const annotations = new Annotations()
    const budget = new Budget(
      this.#clock,
      this.#limits.querySamplesMax,
      Math.min(request.timeoutMs ?? Infinity, this.#limits.queryTimeoutMs),
      request.signal,
    )
    const context: QueryContext = {
      query: request.query,
      reader,
      budget,
      annotations,
      lookbackMs: request.lookbackMs ?? defaultLookbackMs,
      defaultSubqueryStepMs: 60_000,
      startMs: request.startMs,
      endMs: request.endMs,
      stepMs: isInstant ? 0 : request.stepMs,
      invariant: prepare(expr, request.query, request.startMs, request.endMs, isInstant ? 0 : request.stepMs),
      typeLabels: request.typeLabels ?? false,
    }
    const evaluator = new Evaluator(context, grid)
    const result: QueryResult = {
      type: isInstant ? type : 'matrix',
      series: [],
      text: '',
      warnings: [],
      infos: [],
      stats: { samples: 0, peakSamples: 0, seconds: 0, parseSeconds: (parsedMs - startedMs) / 1000 },
    }
    const inner = unwrap(expr)
    if (inner.kind === 'matrix') {
      const found = await evaluator.selectRange(inner)
      for (const { labels, columns } of found) {
        const series: ResultSeries = { labels, timesMs: [], values: [], histogramTimesMs: [], histograms: [] }
        for (let i = 0; i < columns.count; i++) {
          const histogram = columns.histograms?.[i]
          if (histogram === undefined) {
            series.timesMs.push(columns.timesMs[i]!)
            series.values.push(columns.values[i]!)
          } else {
            series.histogramTimesMs.push(columns.timesMs[i]!)
            series.histograms.push(histogram)
          }
        }
        result.series.push(series)
      }
    } else if (inner.kind === 'subquery') {
      const { rows, grid: inside } = await evaluator.evalSubquery(inner)
      result.series = toSeries(finishNames(rows, inside.steps), inside.startMs, inside.intervalMs)
    } else {
      const value = await evaluator.eval(expr)
      if (value.kind === 'string') result.text = value.value
      else if (value.kind === 'scalar') {
        const row = new Row(Labels.empty, false, grid.steps)
        for (let step = 0; step < grid.steps; step++) row.setFloat(step, value.values[step]!)
        result.series = toSeries([row], grid.startMs, intervalMs)
      } else result.series = toSeries(finishNames(value.rows, grid.steps), grid.startMs, intervalMs)
    }
    if (!isInstant || result.type === 'matrix') result.series.sort((a, b) => compareLabels(a.labels, b.labels))
    for (const annotation of annotations.all) {
      const shown = `${annotation.text} (${positionOf(request.query, annotation.from)})`
      ;(annotation.level === 'warning' ? result.warnings : result.infos).push(shown)
    }
    result.stats.samples = budget.totalSamples
    result.stats.peakSamples = budget.peakSamples
    result.stats.seconds = (this.#clock.monotonicMs() - startedMs) / 1000
    return result
  }
}

function toSeries(rows: readonly Row[], startMs: number, intervalMs: number): ResultSeries[] {
  const out: ResultSeries[] = []
  for (const row of rows) {
    const series: ResultSeries = { labels: row.labels, timesMs: [], values: [], histogramTimesMs: [], histograms: [] }
    for (let step = 0; step < row.present.length; step++) {
      if (row.present[step] === absent) continue
      const atMs = startMs + step * intervalMs
      if (row.present[step] === isHistogram) {
        series.histogramTimesMs.push(atMs)
        series.histograms.push(row.histograms![step]!)
      } else {
        series.timesMs.push(atMs)
        series.values.push(row.values[step]!)
      }
    }
    if (series.timesMs.length + series.histogramTimesMs.length > 0) out.push(series)
  }
  return out
}
