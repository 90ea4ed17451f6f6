/** TraceQL metrics: series over time from spans. Source of the rules: docs/traces.md (the language). */
import type { Clock } from '#core/clock.ts'
import { BadDataError, LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import type { Field, MetricsExpr, MetricsFunction, SecondStage } from '#lang/traceql/ast.ts'
import type { TraceRows, TracesReader } from '#traces/select.ts'
import { bytesAt } from '#codec/parquet/column-data.ts'
import { Budget } from '../budget.ts'
import { Comparison, comparedFields } from './compare.ts'
import { FieldCursor, fieldsOf } from './evaluate.ts'
import { SpanTable, valueType, type Value } from './span-table.ts'
import { compileStages, fieldsOfStages } from './spansets.ts'
import type { SearchStats } from './search.ts'

export interface MetricLabel {
  key: string
  value: Value | undefined
}
export interface Exemplar {
  traceId: string
  value: number
  timeMs: number
}
/** `values[i]` belongs to times[i]; NaN: no sample. */
export interface TraceSeries {
  labels: MetricLabel[]
  values: Float64Array
  exemplars: Exemplar[]
}
export interface TraceMetricsResult {
  timesMs: number[]
  series: TraceSeries[]
  stats: SearchStats
}

export interface MetricsRequest {
  expr: MetricsExpr
  startMs: number
  endMs: number
  /** 0: one interval from start to end. */
  stepMs: number
  exemplars: number
  seriesMax: number
}

const intervalsMax = 10_000
const perNs = 1e6

/** Intervals (edges[i - 1], edges[i]]; a sample's time is its right edge. */
interface Grid {
  startMs: number
  stepMs: number
  count: number
  isInstant: boolean
}

function gridOf({ startMs, endMs, stepMs }: MetricsRequest): Grid {
  if (stepMs === 0) return { startMs, stepMs: endMs - startMs, count: 1, isInstant: true }
  const start = Math.floor(startMs / stepMs) * stepMs - stepMs
  const end = Math.ceil(endMs / stepMs) * stepMs
  const count = Math.round((end - start) / stepMs)
  if (count > intervalsMax)
    throw new BadDataError(
      `step of ${stepMs} ms makes ${count} intervals, the limit is ${intervalsMax}; ask for a larger step or less time`,
    )
  return { startMs: start, stepMs, count, isInstant: false }
}

/** What is gathered for one set of labels. */
class Gathered {
  readonly labels: MetricLabel[]
  readonly counts: Float64Array
  readonly numbers: Float64Array
  /** Spans by bucket: the exponent of two at its upper edge. */
  readonly buckets = new Map<number, Float64Array>()
  readonly exemplars: Exemplar[] = []
  seen = 0

  constructor(labels: MetricLabel[], intervals: number, start: number) {
    this.labels = labels
    this.counts = new Float64Array(intervals)
    this.numbers = new Float64Array(intervals).fill(start)
  }
}

export class TraceMetrics {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  get nowMs(): number {
    return this.#clock.nowMs()
  }

  async run(request: MetricsRequest, reader: TracesReader, signal?: AbortSignal): Promise<TraceMetricsResult> {
    const grid = gridOf(request)
    const stats: SearchStats = { traces: 0, spans: 0, bytes: 0, blocks: 0 }
    const budget = new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
    const series = await this.#evaluate(request.expr, request, grid, reader, stats, budget)
    if (typeof series === 'number') throw new BadDataError('a constant is no metrics query')
    return {
      timesMs: Array.from({ length: grid.count }, (_, i) => grid.startMs + (i + 1) * grid.stepMs),
      series,
      stats,
    }
  }

  async #evaluate(
    expr: MetricsExpr,
    request: MetricsRequest,
    grid: Grid,
    reader: TracesReader,
    stats: SearchStats,
    budget: Budget,
  ): Promise<TraceSeries[] | number> {
    if (expr.kind === 'constant') return expr.value
    if (expr.kind === 'math') {
      const left = await this.#evaluate(expr.left, request, grid, reader, stats, budget)
      const right = await this.#evaluate(expr.right, request, grid, reader, stats, budget)
      return joinMath(expr.op, left, right, grid.count)
    }
    const gathered = new Map<string, Gathered>()
    const comparison = expr.fn.name === 'compare' ? new Comparison(expr.fn, grid.count) : undefined
    for (const rows of await reader.select(grid.startMs, grid.startMs + grid.count * grid.stepMs)) {
      stats.blocks++
      stats.bytes += rows.bytes
      await gatherRows(rows, expr, grid, gathered, comparison, request, stats)
      await budget.pause()
    }
    if (comparison !== undefined) return comparison.series().map(s => ({ ...s, exemplars: [] }))
    let series = finish(expr.fn, [...gathered.values()], grid)
    for (const stage of expr.after) series = applySecond(stage, series)
    return series.sort((a, b) => compareLabels(a.labels, b.labels))
  }
}

function labelText(value: Value | undefined): string {
  return value === undefined ? 'nil' : value.type === valueType.string ? value.text : String(value.num)
}
function compareLabels(a: readonly MetricLabel[], b: readonly MetricLabel[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const x = a[i]!.value
    const y = b[i]!.value
    if (x !== undefined && y !== undefined && x.type === y.type && x.type !== valueType.string) {
      if (x.num !== y.num) return x.num - y.num
      continue
    }
    const s = labelText(x)
    const t = labelText(y)
    if (s !== t) return s < t ? -1 : 1
  }
  return a.length - b.length
}

async function gatherRows(
  rows: TraceRows,
  { stages, fn }: MetricsExpr & { kind: 'pipeline' },
  grid: Grid,
  gathered: Map<string, Gathered>,
  comparison: Comparison | undefined,
  request: MetricsRequest,
  stats: SearchStats,
): Promise<void> {
  const table = await SpanTable.open(rows)
  if (table === undefined) return
  const fields: Field[] = [...fieldsOfStages(stages), ...fn.by, ...(fn.field === undefined ? [] : [fn.field])]
  const compared = comparison === undefined ? [] : await comparedFields(rows)
  await table.load([...fields, ...compared, ...fieldsOf(fn.selection)])
  const compare = comparison?.counter(table, compared)
  const columns = await rows.columns([
    'StartTimeUnixNano',
    'EndTimeUnixNano',
    'rs.ss.Spans.StartTimeUnixNano',
    'TraceID',
  ])
  const traceStarts = columns.get('StartTimeUnixNano')!.longs!
  const traceEnds = columns.get('EndTimeUnixNano')!.longs!
  const starts = columns.get('rs.ss.Spans.StartTimeUnixNano')!.longs!
  const fromNs = BigInt(Math.floor(grid.startMs * perNs))
  const stepNs = BigInt(Math.round(grid.stepMs * perNs))
  const throughNs = fromNs + stepNs * BigInt(grid.count)
  const run = compileStages(stages, table)
  const by = fn.by.map(field => ({ key: field.text, cursor: new FieldCursor(table, field) }))
  const only = by.length === 1 ? by[0]!.cursor : undefined
  const measured = fn.field === undefined ? undefined : new FieldCursor(table, fn.field)
  // Times as two words: the distance from the start is exact as a number, and no bigint is made for a span.
  const words = new Uint32Array(starts.buffer, starts.byteOffset, starts.length * 2)
  const fromLow = Number(BigInt.asUintN(32, fromNs))
  const fromHigh = Number(fromNs >> 32n)
  const stepNumber = Number(stepNs)
  /** Series by the text of the only label, or by all. */
  const byText = new Map<string, Gathered>()
  let unlabelled: Gathered | undefined
  const seriesOf = (i: number, e: number, l: number): Gathered => {
    if (by.length === 0 && unlabelled !== undefined) return unlabelled
    if (only !== undefined) {
      only.read(i, e, l)
      const known = only.type === valueType.string ? byText.get(only.text) : undefined
      if (known !== undefined) return known
    }
    let key = ''
    for (const { cursor } of by) {
      cursor.read(i, e, l)
      key += `${cursor.type} ${cursor.type === valueType.none ? 'nil' : cursor.type === valueType.string ? cursor.text : String(cursor.num)}\0`
    }
    let into = gathered.get(key)
    if (into === undefined) {
      if (gathered.size >= request.seriesMax)
        throw new LimitError(
          `the query makes more than ${request.seriesMax} series, which is the limit; group by fewer attributes`,
          422,
        )
      gathered.set(
        key,
        (into = new Gathered(
          by.map(({ key: name, cursor }): MetricLabel => ({ key: name, value: cursor.value })),
          grid.count,
          fn.name === 'min_over_time' ? Infinity : fn.name === 'max_over_time' ? -Infinity : 0,
        )),
      )
    }
    if (by.length === 0) unlabelled = into
    else if (only?.type === valueType.string) byText.set(only.text, into)
    return into
  }
  const first = (from: Int32Array | undefined, i: number): number =>
    from !== undefined && from[i]! < from[i + 1]! ? from[i]! : -1
  const ids = columns.get('TraceID')!
  for (let row = 0; row < rows.rows; row++) {
    if (traceStarts[row]! > throughNs || traceEnds[row]! < fromNs) continue
    stats.traces++
    for (const { spans } of run(table.spanFrom[row]!, table.spanFrom[row + 1]!)) {
      for (const i of spans) {
        stats.spans++
        const distance = (words[2 * i + 1]! - fromHigh) * 4_294_967_296 + (words[2 * i]! - fromLow)
        // A time on an edge belongs to the interval before it; the one interval of an instant has both its ends.
        let interval = distance <= 0 ? -1 : Math.floor((distance - 1) / stepNumber)
        if (grid.isInstant && distance === 0) interval = 0
        if (interval < 0 || interval >= grid.count) continue
        if (compare !== undefined) {
          compare(i, interval, starts[i]!)
          continue
        }
        const e = first(table.eventFrom, i)
        const l = first(table.linkFrom, i)
        if (
          measured !== undefined &&
          (!measured.read(i, e, l) ||
            (measured.type !== valueType.int &&
              measured.type !== valueType.float &&
              measured.type !== valueType.duration))
        )
          continue
        const into = seriesOf(i, e, l)
        gather(into, fn.name, interval, measured)
        into.seen++
        if (request.exemplars > 0 && !grid.isInstant && into.exemplars.length < request.exemplars)
          into.exemplars.push({
            traceId: Buffer.from(bytesAt(ids, row))
              .toString('hex')
              .replace(/^0+(?=.)/, ''),
            value: measured === undefined ? NaN : scaled(measured),
            timeMs: Number(starts[i]! / 1_000_000n),
          })
      }
    }
  }
}

function scaled(value: { type: number; num: number }): number {
  return value.type === valueType.duration ? value.num / 1e9 : value.num
}

function gather(
  into: Gathered,
  name: MetricsFunction['name'],
  interval: number,
  value: { type: number; num: number } | undefined,
): void {
  const { counts, numbers } = into
  counts[interval]!++
  if (value === undefined) return
  switch (name) {
    case 'min_over_time':
      numbers[interval] = Math.min(numbers[interval]!, scaled(value))
      return
    case 'max_over_time':
      numbers[interval] = Math.max(numbers[interval]!, scaled(value))
      return
    case 'sum_over_time':
    case 'avg_over_time':
      numbers[interval] = numbers[interval]! + scaled(value)
      return
    default: {
      if (value.type === valueType.float || value.num < 2) {
        counts[interval]!--
        return
      }
      let exponent = Math.ceil(Math.log2(value.num))
      // The logarithm of a number near a power of two may be off by its last bit.
      if (2 ** (exponent - 1) >= value.num) exponent--
      if (2 ** exponent < value.num) exponent++
      const key = value.type === valueType.duration ? exponent : exponent + 1000
      let bucket = into.buckets.get(key)
      if (bucket === undefined) into.buckets.set(key, (bucket = new Float64Array(counts.length)))
      bucket[interval]!++
    }
  }
}

function finish(fn: MetricsFunction, gathered: readonly Gathered[], grid: Grid): TraceSeries[] {
  const named = (own: Gathered): MetricLabel[] =>
    own.labels.length > 0 ? own.labels : [{ key: '__name__', value: { type: valueType.string, num: 0, text: fn.name } }]
  const seconds = grid.stepMs / 1000
  return gathered.flatMap((own): TraceSeries[] => {
    const { counts, numbers, exemplars } = own
    const valued = (values: Float64Array): Exemplar[] =>
      exemplars.map(x =>
        Number.isNaN(x.value)
          ? { ...x, value: values[Math.max(0, Math.ceil((x.timeMs - grid.startMs) / grid.stepMs) - 1)] ?? 0 }
          : x,
      )
    switch (fn.name) {
      case 'rate': {
        const values = counts.map(c => c * (1 / seconds))
        return [{ labels: named(own), values, exemplars: valued(values) }]
      }
      case 'count_over_time':
        return [{ labels: named(own), values: counts, exemplars: valued(counts) }]
      case 'sum_over_time':
      case 'min_over_time':
      case 'max_over_time':
        return [{ labels: named(own), values: numbers.map((n, i) => (counts[i] === 0 ? NaN : n)), exemplars }]
      case 'avg_over_time':
        return [
          { labels: named(own), values: numbers.map((n, i) => (counts[i] === 0 ? NaN : n / counts[i]!)), exemplars },
        ]
      case 'histogram_over_time':
        return [...own.buckets]
          .sort((a, b) => a[0] - b[0])
          .map(([key, values]) => ({
            labels: [...own.labels, { key: '__bucket', value: { type: valueType.float, num: edgeOf(key), text: '' } }],
            values,
            exemplars: valued(values),
          }))
      default:
        return fn.quantiles.map(q => ({
          labels: [...own.labels, { key: 'p', value: { type: valueType.float, num: q, text: '' } }],
          values: Float64Array.from(counts, (_, i) => quantile(q, own.buckets, i)),
          exemplars,
        }))
    }
  })
}

/** Durations are counted in nanoseconds and shown in seconds. */
function edgeOf(key: number): number {
  return key < 500 ? 2 ** key / 1e9 : 2 ** (key - 1000)
}

/** From buckets by powers of two, exponentially between their edges. */
function quantile(q: number, buckets: ReadonlyMap<number, Float64Array>, interval: number): number {
  const sorted = [...buckets]
    .map(([key, counts]) => ({ edge: edgeOf(key), count: counts[interval]! }))
    .filter(b => b.count > 0)
    .sort((a, b) => a.edge - b.edge)
  const total = sorted.reduce((sum, b) => sum + b.count, 0)
  if (total === 0) return 0
  const rank = Math.max(1, Math.ceil(q * total))
  let before = 0
  for (let b = 0; b < sorted.length; b++) {
    const { edge, count } = sorted[b]!
    if (before + count < rank) {
      before += count
      continue
    }
    if (before + count === rank) return edge
    const lower = b === 0 ? edge / 2 : sorted[b - 1]!.edge
    return 2 ** (Math.log2(lower) + ((Math.log2(edge) - Math.log2(lower)) * (rank - before)) / count)
  }
  return sorted.at(-1)!.edge
}

const tests: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}

function applySecond(stage: SecondStage, series: TraceSeries[]): TraceSeries[] {
  if (stage.kind === 'compare') {
    const fits = tests[stage.op]!
    return series
      .map(s => ({ ...s, values: s.values.map(v => (fits(v, stage.value) ? v : NaN)) }))
      .filter(s => s.values.some(v => !Number.isNaN(v)))
  }
  if (series.length <= stage.count) return series
  const sign = stage.kind === 'topk' ? 1 : -1
  const kept = series.map(s => ({ ...s, values: new Float64Array(s.values.length).fill(NaN) }))
  const length = series[0]?.values.length ?? 0
  for (let i = 0; i < length; i++) {
    const there = series.map((s, n) => ({ n, v: s.values[i]!, labels: s.labels })).filter(x => !Number.isNaN(x.v))
    there.sort((a, b) => sign * (b.v - a.v) || sign * compareLabels(a.labels, b.labels))
    for (const { n, v } of there.slice(0, stage.count)) kept[n]!.values[i] = v
  }
  return kept.filter(s => s.values.some(v => !Number.isNaN(v)))
}

function joinMath(
  op: '+' | '-' | '*' | '/',
  left: TraceSeries[] | number,
  right: TraceSeries[] | number,
  count: number,
): TraceSeries[] | number {
  const apply = (a: number, b: number): number => (op === '+' ? a + b : op === '-' ? a - b : op === '*' ? a * b : a / b)
  if (typeof left === 'number' && typeof right === 'number') return apply(left, right)
  const constant = (value: number): Float64Array => new Float64Array(count).fill(value)
  const joined = (labels: MetricLabel[], a: Float64Array, b: Float64Array): TraceSeries => ({
    labels,
    values: Float64Array.from(a, (v, i) => apply(v, b[i]!)),
    exemplars: [],
  })
  if (typeof right === 'number') return (left as TraceSeries[]).map(s => joined(s.labels, s.values, constant(right)))
  if (typeof left === 'number') return right.map(s => joined(s.labels, constant(left), s.values))
  // The name of a function tells nothing that has to match.
  const plain = (s: TraceSeries): MetricLabel[] => s.labels.filter(x => x.key !== '__name__')
  const keyOf = (s: TraceSeries): string =>
    plain(s)
      .map(x => `${x.key}=${labelText(x.value)}`)
      .sort()
      .join('\0')
  if (right.length === 1 && plain(right[0]!).length === 0)
    return left.map(s => joined(s.labels, s.values, right[0]!.values))
  if (left.length === 1 && plain(left[0]!).length === 0)
    return right.map(s => joined(s.labels, left[0]!.values, s.values))
  const byKey = new Map(right.map(s => [keyOf(s), s]))
  return left.flatMap(s => {
    const other = byKey.get(keyOf(s))
    return other === undefined ? [] : [joined(s.labels, s.values, other.values)]
  })
}
