/** The command line's side of metrics: a query at one time, and a chart of a range. */
import { systemClock } from '#core/clock.ts'
import { askPrometheus, type PrometheusAnswer, type RangeSeries } from './client.ts'
import type { Output } from './output.ts'
import { harmless, sparkRow } from './terminal.ts'

export interface MetricQuery {
  url: string
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
  { url, expr, isJson }: MetricQuery,
  time: string | undefined,
  output: Output,
): Promise<number> {
  const fields = { query: expr, ...(time === undefined ? {} : { time }) }
  const data = dataOf(await askPrometheus(url, '/api/v1/query', fields), isJson, output)
  if (typeof data === 'number') return data
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
  { url, expr, isJson }: MetricQuery,
  sinceMs: number,
  columns: number,
  output: Output,
): Promise<number> {
  const end = Math.floor(systemClock.nowMs() / 1000)
  const step = Math.max(1, Math.round(sinceMs / 1000 / 120))
  const start = end - Math.floor(sinceMs / 1000 / step) * step
  const fields = { query: expr, start: String(start), end: String(end), step: String(step) }
  const data = dataOf(await askPrometheus(url, '/api/v1/query_range', fields), isJson, output)
  if (typeof data === 'number') return data
  for (const { metric, values = [] } of data.result as RangeSeries[]) {
    const points = Array.from<number | undefined>({ length: Math.round((end - start) / step) + 1 })
    for (const [at, text] of values) points[Math.round((at - start) / step)] = Number(text)
    output.out(sparkRow({ name: harmless(seriesText(metric)), values: points }, columns))
  }
  return 0
}
