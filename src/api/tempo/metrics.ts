/** What Tempo's metrics endpoints answer: /api/metrics/query_range and /api/metrics/query. Source: docs/http-api.md. */
import { BadDataError } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import type { JsonValue } from '#model/trace-json.ts'
import { doubleJson } from '#model/trace-json.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import type { MetricLabel, TraceMetrics, TraceMetricsResult } from '#query/traceql/metrics.ts'
import type { TracesReader } from '#traces/select.ts'
import { anyValue, partialJson, statsJson, type JsonObject } from './respond.ts'

const rangeMaxMs = 24 * 3_600_000
const exemplarsMax = 100
const seriesMax = 10_000

/** Seconds (whole or not), nanoseconds or RFC 3339, in milliseconds. */
function timeParam(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  if (/^\d+$/.test(text)) return text.length > 10 ? Number(BigInt(text) / 1_000_000n) : Number(text) * 1000
  if (/^\d*\.\d+$/.test(text)) return Number(text) * 1000
  const ms = Date.parse(text)
  if (Number.isNaN(ms))
    throw new BadDataError(
      `invalid ${name}: ${quote(text)} is no time; Unix seconds, nanoseconds or RFC 3339 were expected`,
    )
  return ms
}

function rangeOf(form: URLSearchParams, nowMs: number): { startMs: number; endMs: number } {
  const since = form.get('since')
  const sinceMs = since === null || since === '' ? 3_600_000 : parseDurationMs(since)
  if (sinceMs === undefined) throw new BadDataError(`invalid since: ${quote(since ?? '')} is no duration`)
  const endMs = timeParam(form, 'end') ?? nowMs
  const startMs = timeParam(form, 'start') ?? endMs - sinceMs
  if (startMs >= endMs) throw new BadDataError('end must be greater than start')
  if (endMs - startMs > rangeMaxMs)
    throw new BadDataError(
      `metrics query time range exceeds the maximum allowed duration of ${rangeMaxMs / 3_600_000}h`,
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
  if (text === null || text === '' || text === '0') return defaultStep(rangeMs)
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDurationMs(text)
  if (ms === undefined || ms <= 0) throw new BadDataError(`invalid step: ${quote(text)} is no duration`)
  return ms
}

const labels = (list: readonly MetricLabel[]): JsonValue[] =>
  list.map(({ key, value }) => ({ key, value: anyValue(value) }))

/** Answers of the two endpoints, from their parameters. */
export class MetricsAnswers {
  readonly #metrics: TraceMetrics

  constructor(metrics: TraceMetrics) {
    this.#metrics = metrics
  }

  async range(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const { timesMs, series, stats } = await this.#run(form, true, reader, signal)
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
                labels: [
                  ...labels(s.labels.filter(l => l.key !== '__name__' && l.key !== '__bucket' && l.key !== 'p')),
                  { key: 'trace:id', value: { stringValue: x.traceId } },
                ],
                value: doubleJson(x.value),
                timestampMs: String(x.timeMs),
              })),
            }),
      })),
      metrics: statsJson(stats, reader.omissions),
      ...partialJson(reader),
    }
  }

  async instant(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const { series, stats } = await this.#run(form, false, reader, signal)
    return {
      series: series
        .filter(s => !Number.isNaN(s.values[0]!))
        .map(s => ({ labels: labels(s.labels), ...(s.values[0] === 0 ? {} : { value: doubleJson(s.values[0]!) }) })),
      metrics: statsJson(stats, reader.omissions),
      ...partialJson(reader),
    }
  }

  #run(
    form: URLSearchParams,
    isRange: boolean,
    reader: TracesReader,
    signal: AbortSignal,
  ): Promise<TraceMetricsResult> {
    const parsed = parseTraceql(form.get('q') ?? form.get('query') ?? '')
    if (parsed.kind !== 'metrics') throw new BadDataError('not a metrics query')
    const { startMs, endMs } = rangeOf(form, this.#metrics.nowMs)
    const hint = parsed.hints.get('exemplars')
    const asked =
      hint?.type === 'int'
        ? hint.value
        : hint?.type === 'bool'
          ? hint.value
            ? exemplarsMax
            : 0
          : form.get('exemplars') === null
            ? exemplarsMax
            : Number(form.get('exemplars')) || 0
    return this.#metrics.run(
      {
        expr: parsed.expr,
        startMs,
        endMs,
        stepMs: isRange ? stepOf(form, endMs - startMs) : 0,
        exemplars: Math.min(exemplarsMax, asked),
        seriesMax: Math.min(seriesMax, Number(form.get('maxSeries') ?? 0) || seriesMax),
      },
      reader,
      signal,
    )
  }
}
