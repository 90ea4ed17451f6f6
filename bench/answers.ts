/** What an answer holds, in numbers that each dialect has: two programs that did the same work agree in them. */
import { type Column, columns, shown } from './row.ts'

export interface Answer {
  /** Series, lines, traces, spans or values. */
  count: number
  /** Values of all series. */
  points: number
  /** Of the values without their signs: those of gauges cancel each other out. */
  sum: number
  /** What has to agree beside `count`: the sum, the mean, or nothing. */
  compares: 'count' | 'sum' | 'mean'
}

/** Ways of windows and of extrapolation differ from program to program. */
const tolerances = { count: 0, sum: 0.02, mean: 0.1 } as const

type Values = readonly (readonly [number, string])[]

interface PrometheusData {
  resultType: string
  result: readonly { values?: Values; value?: readonly [number, string] }[]
}

/** Of Prometheus and Loki. */
export function prometheusAnswer(text: string, compares: Answer['compares']): Answer {
  const { data } = JSON.parse(text) as { data: PrometheusData }
  if (data.resultType === 'streams') {
    const lines = data.result.reduce((count, { values = [] }) => count + values.length, 0)
    return { count: lines, points: 0, sum: 0, compares: 'count' }
  }
  const values = data.result.flatMap(({ values: list, value }) => list ?? (value === undefined ? [] : [value]))
  return { ...numbersOf(values.map(([, value]) => Number(value))), count: data.result.length, compares }
}

function numbersOf(values: readonly number[]): { points: number; sum: number } {
  const finite = values.filter(value => Number.isFinite(value))
  return { points: finite.length, sum: finite.reduce((sum, value) => sum + Math.abs(value), 0) }
}

/** Of VictoriaLogs: lines, or rows of `stats` with their value in `valueField`. */
export function victoriaLogsAnswer(text: string, compares: Answer['compares'], valueField?: string): Answer {
  const rows = text.split('\n').filter(line => line !== '')
  if (valueField === undefined) return { count: rows.length, points: 0, sum: 0, compares: 'count' }
  const groups = new Set<string>()
  const values: number[] = []
  for (const row of rows) {
    const { _time: _, [valueField]: value, ...group } = JSON.parse(row) as Record<string, string>
    groups.add(JSON.stringify(group))
    values.push(Number(value))
  }
  return { ...numbersOf(values), count: groups.size, compares }
}

interface TempoAnswer {
  traces?: readonly unknown[]
  series?: readonly { samples?: readonly { value?: number }[] }[]
  tagValues?: readonly unknown[]
  batches?: readonly { scopeSpans: readonly { spans: readonly unknown[] }[] }[]
  trace?: { resourceSpans?: TempoAnswer['batches'] }
}

export function tempoAnswer(text: string): Answer {
  const parsed = JSON.parse(text) as TempoAnswer
  const spans = (parsed.batches ?? parsed.trace?.resourceSpans ?? []).flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(scope => scope.spans),
  )
  const series = parsed.series ?? []
  const values = series.flatMap(({ samples = [] }) => samples.map(({ value = 0 }) => value))
  const found = [parsed.traces, parsed.tagValues, series, spans].find(list => list !== undefined && list.length > 0)
  return { ...numbersOf(values), count: found?.length ?? 0, compares: series.length > 0 ? 'sum' : 'count' }
}

function isSame(one: Answer, other: Answer): boolean {
  if (one.count !== other.count) return false
  const [a, b] = one.compares === 'mean' ? [meanOf(one), meanOf(other)] : [one.sum, other.sum]
  return one.compares === 'count' || Math.abs(a - b) <= tolerances[one.compares] * Math.max(Math.abs(a), Math.abs(b))
}

const meanOf = ({ sum, points }: Answer): number => (points === 0 ? 0 : sum / points)

/** As it is printed. */
export const inWords = ({ count, points, sum, compares }: Answer): string =>
  compares === 'count' ? String(count) : `${count} of ${points} points, sum ${shown(sum)}`

/** A line for each column that does not agree with Tercet. */
export function differences(name: string, answers: ReadonlyMap<Column, Answer>): string[] {
  const own = answers.get('tercet')
  if (own === undefined) return []
  return [...answers]
    .filter(([column, answer]) => column !== 'tercet' && !isSame(own, answer))
    .map(([column, answer]) => `${name}: Tercet ${inWords(own)}; ${columns[column]} ${inWords(answer)}`)
}
