/** What Tempo's metrics endpoints answer: /api/metrics/query_range and /api/metrics/query. Source: docs/http-api.md. */
import { BadDataError, BadQueryError } from '#core/errors.ts'
import { goDurationMs, parseDurationMs } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import type { JsonValue } from '#model/trace-json.ts'
import { doubleJson } from '#model/trace-json.ts'
import type { Literal, TraceqlQuery } from '#lang/traceql/ast.ts'
import { RefusedQueryError } from '#lang/traceql/lexer.ts'
import { durationText, parseTraceql } from '#lang/traceql/parser.ts'
import type { MetricLabel, TraceMetrics, TraceMetricsResult } from '#query/traceql/metrics.ts'
import type { TracesReader } from '#traces/select.ts'
import { anyValue, partialJson, statsJson, type JsonObject } from './respond.ts'

const rangeMaxMs = 24 * 3_600_000
const exemplarsMax = 100
const seriesMax = 10_000
const intervalsMax = 10_000

/** A refused parameter, in the words that clients of Tempo know. */
function refused(message: string): BadDataError {
  return new BadDataError(`rpc error: code = Code(400) desc = ${message}`)
}

/** Seconds (whole or not), nanoseconds or RFC 3339, in milliseconds. */
function timeParam(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  if (/^\d+$/.test(text)) return text.length > 10 ? Number(BigInt(text) / 1_000_000n) : Number(text) * 1000
  if (/^\d*\.\d+$/.test(text)) return Number(text) * 1000
  const ms = Date.parse(text)
  if (Number.isNaN(ms) || !/^\d{4}-/.test(text))
    throw refused(`could not parse '${name}' parameter: strconv.ParseInt: parsing ${quote(text)}: invalid syntax`)
  return ms
}

function rangeOf(form: URLSearchParams, nowMs: number): { startMs: number; endMs: number } {
  const since = form.get('since')
  const sinceMs = since === null || since === '' ? 3_600_000 : parseDurationMs(since)
  if (sinceMs === undefined)
    throw refused(`could not parse 'since' parameter: not a valid duration string: ${quote(since ?? '')}`)
  const endMs = timeParam(form, 'end') ?? nowMs
  const startMs = timeParam(form, 'start') ?? endMs - sinceMs
  if (startMs >= endMs) throw new BadDataError('end must be greater than start')
  if (endMs - startMs > rangeMaxMs)
    throw new BadDataError(
      `metrics query time range exceeds the maximum allowed duration of ${durationText(rangeMaxMs * 1e6)}`,
    )
  return { startMs, endMs }
}

/** About 240 intervals, of a round width. */
function defaultStep(rangeMs: number): number {
  const width = rangeMs / 240
  if (rangeMs < 60_000) return Math.max(50, Math.floor(width / 50) * 50)
  const unit = [3_600_000, 300_000, 60_000, 15_000, 5000, 1000].find(u => width >= u) ?? 1000
  return Math.max(1000, Math.floor(width / unit) * unit)
}

function stepOf(form: URLSearchParams, rangeMs: number): number {
  const text = form.get('step')
  if (text === null || text === '') return defaultStep(rangeMs)
  const ms = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : goDurationMs(text)
  if (ms === undefined) throw refused(`cannot parse ${quote(text)} to a valid duration`)
  if (ms < 0) throw refused(`cannot parse ${quote(text)}: step must be positive`)
  const leastMs = rangeMs / intervalsMax
  if (ms < leastMs)
    throw new BadDataError(
      `step of ${durationText(ms * 1e6)} is too small, minimum step for given range is ${durationText(leastMs * 1e6)}`,
    )
  return ms
}

/** The query, refused as the endpoint words it. Throws BadQueryError. */
function parseMetrics(q: string, isRange: boolean): TraceqlQuery & { kind: 'metrics' } {
  try {
    const parsed = parseTraceql(q)
    if (parsed.kind === 'metrics') return parsed
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    const isCompiled = !isRange || error instanceof RefusedQueryError
    throw new BadQueryError(isCompiled ? `compiling query: ${error.message}` : error.message, error.from, error.to)
  }
  throw new BadDataError('not a metrics query')
}

const labels = (list: readonly MetricLabel[]): JsonValue[] =>
  list.map(({ key, value }) => ({ key, value: anyValue(value) }))

/** An empty list is left out. */
function listed(series: JsonValue[]): JsonObject {
  return series.length === 0 ? {} : { series }
}

/** Answers of the two endpoints, from their parameters. */
export class MetricsAnswers {
  readonly #metrics: TraceMetrics

  constructor(metrics: TraceMetrics) {
    this.#metrics = metrics
  }

  async range(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const { timesMs, series: all, stats } = await this.#run(form, true, reader, signal)
    const { series, cut } = cutSeries(form, all)
    return {
      series: series.map(s => ({
        labels: labels(s.labels),
        samples: [...s.values].flatMap((value, i): JsonValue[] =>
          Number.isNaN(value)
            ? []
            : [{ timestampMs: String(timesMs[i]), ...(value === 0 ? {} : { value: doubleJson(value) }) }],
        ),
        ...(s.exemplars.length === 0
          ? {}
          : {
              exemplars: s.exemplars.map(x => ({
                labels: [...labels(x.labels), { key: 'trace:id', value: { stringValue: x.traceId } }],
                value: doubleJson(x.value),
                timestampMs: String(x.timeMs),
              })),
            }),
      })),
      metrics: statsJson(stats, reader.omissions),
      ...partialJson(reader),
      ...cut,
    }
  }

  async instant(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const { series: all, stats } = await this.#run(form, false, reader, signal)
    const { series, cut } = cutSeries(form, all)
    return {
      ...listed(
        series
          .filter(s => !Number.isNaN(s.values[0]!))
          .map(s => ({ labels: labels(s.labels), ...(s.values[0] === 0 ? {} : { value: doubleJson(s.values[0]!) }) })),
      ),
      metrics: statsJson(stats, reader.omissions),
      ...partialJson(reader),
      ...cut,
    }
  }

  #run(
    form: URLSearchParams,
    isRange: boolean,
    reader: TracesReader,
    signal: AbortSignal,
  ): Promise<TraceMetricsResult> {
    const parsed = parseMetrics(form.get('q') ?? form.get('query') ?? '', isRange)
    const { startMs, endMs } = rangeOf(form, this.#metrics.nowMs)
    const hint = parsed.hints.get('exemplars')
    const asked = exemplarsOf(hint, form.get('exemplars'))
    return this.#metrics.run(
      {
        expr: parsed.expr,
        startMs,
        endMs,
        stepMs: isRange ? stepOf(form, endMs - startMs) : 0,
        exemplars: Math.min(exemplarsMax, asked),
        seriesMax,
      },
      reader,
      signal,
    )
  }
}

/** As many series as the parameter `maxSeries` allows, and what tells that there may be more. */
function cutSeries<T>(form: URLSearchParams, series: T[]): { series: T[]; cut: JsonObject } {
  const most = Number(/^\d+$/.exec(form.get('maxSeries') ?? '')?.[0] ?? 0)
  if (most === 0 || series.length < most) return { series, cut: {} }
  const message =
    `Response exceeds maximum series limit of ${most}, a partial response is returned. ` +
    'Warning: the accuracy of each individual value is not guaranteed.'
  return { series: series.slice(0, most), cut: { status: 'PARTIAL', message } }
}

/** How many exemplars: as the hint says, else the parameter; what is no count, and 0, leaves the default. */
function exemplarsOf(hint: Literal | undefined, param: string | null): number {
  if (hint?.type === 'int') return hint.value
  if (hint?.type === 'bool') return hint.value ? exemplarsMax : 0
  return (/^\d+$/.test(param ?? '') && Number(param)) || exemplarsMax
}
