/** The command line's side of metrics: a query at one time, and a chart of a range. */
import { systemClock } from '#core/clock.ts'
import { askPrometheus, type PrometheusAnswer, type RangeSeries, type Server } from './client.ts'
import { ofMetrics } from './nothing-found.ts'
import type { Output } from './output.ts'
import { harmless, sparkRow } from './terminal.ts'

export interface MetricQuery {
  server: Server
  expr: string
  isJson: boolean
}

/** `name{label="value"}`. */
function seriesText(metric: Readonly<Record<string, string>>): string {
  const { __name__: name = '', ...labels } = metric
  return `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
    .join(', ')}}`
}

/** As JSON or as an error, where the answer is shown so; the exit code, or the data that is left to show. */
function dataOf(
  answer: PrometheusAnswer,
  isJson: boolean,
  { out, err }: Output,
): number | NonNullable<PrometheusAnswer['data']> {
  if (isJson) {
    out(JSON.stringify(answer))
    return answer.status === 'success' ? 0 : 1
  }
  for (const warning of answer.warnings ?? []) err(`warning: ${warning}`)
  if (answer.status === 'success' && answer.data !== undefined) return answer.data
  err(`tercet: ${answer.error ?? 'the answer has no data'}`)
  return 1
}

/** Prints the values of an expression, at `time` or now; the exit code. */
export async function queryMetrics(
  { server, expr, isJson }: MetricQuery,
  time: string | undefined,
  output: Output,
): Promise<number> {
  const fields = { query: expr, ...(time === undefined ? {} : { time }) }
  const data = dataOf(await askPrometheus(server, '/api/v1/query', fields), isJson, output)
  if (typeof data === 'number') return data
  if (data.result.length === 0) output.err(`tercet: ${await ofMetrics(server, expr)}`)
  for (const item of data.result) {
    // A scalar or a string is one pair of a time and a value.
    if (typeof item === 'string') output.out(item)
    if (typeof item !== 'object') continue
    const { metric, value, values = [] } = item
    const shown = value === undefined ? values.map(([, text]) => text).join(' ') : `${value[1]} @[${value[0]}]`
    output.out(`${seriesText(metric)} => ${shown}`)
  }
  return 0
}

/** Prints a small chart for each series, over the time before now; the exit code. */
export async function chartMetrics(
  { server, expr, isJson }: MetricQuery,
  sinceMs: number,
  columns: number,
  output: Output,
): Promise<number> {
  const steps = stepsOf(sinceMs)
  const fields = { query: expr, start: String(steps.start), end: String(steps.end), step: String(steps.step) }
  const data = dataOf(await askPrometheus(server, '/api/v1/query_range', fields), isJson, output)
  if (typeof data === 'number') return data
  if (data.result.length === 0) output.err(`tercet: ${await ofMetrics(server, expr)}`)
  for (const series of data.result as RangeSeries[]) output.out(chartRow(series, steps, columns))
  return 0
}

/** In seconds. */
export interface Steps {
  start: number
  end: number
  step: number
}

/** Some 120 steps until now. */
export function stepsOf(sinceMs: number): Steps {
  const end = Math.floor(systemClock.nowMs() / 1000)
  const step = Math.max(1, Math.round(sinceMs / 1000 / 120))
  return { start: end - Math.floor(sinceMs / 1000 / step) * step, end, step }
}

/** A small chart, with the name of the series. */
export function chartRow({ metric, values = [] }: RangeSeries, { start, end, step }: Steps, columns: number): string {
  const points = Array.from<number | undefined>({ length: Math.round((end - start) / step) + 1 })
  for (const [at, text] of values) points[Math.round((at - start) / step)] = Number(text)
  return sparkRow({ name: harmless(seriesText(metric)), values: points }, columns)
}
