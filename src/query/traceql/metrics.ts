/** TraceQL metrics: series over time from spans. Source of the rules: docs/traces.md (the language). */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { workAhead } from '#core/parallel.ts'
import { keyOfTexts } from '#core/text.ts'
import type { Field, MetricsExpr, MetricsFunction, SecondStage } from '#lang/traceql/ast.ts'
import { fieldText } from '#lang/traceql/fields.ts'
import { rowsAhead, unlessDamaged, type TraceRows, type TracesReader } from '#traces/select.ts'
import { Budgets, type Budget } from '../budget.ts'
import { columnAt, longsOf, traceIdText } from './columns.ts'
import { Comparison, comparedFields } from './compare.ts'
import { FieldCursor, fieldsOf } from './evaluate.ts'
import type { SearchStats } from './search.ts'
import { mentionsOf, shownReader, type Mention, type ShownValues } from './shown.ts'
import { firstChild, SpanTable, valueType, type Level, type Value } from './span-table.ts'
import { comparisons, compileStages, fieldsOfStages } from './spansets.ts'
import { numberText, order } from './whole.ts'

export interface MetricLabel {
  key: string
  value: Value | undefined
}
/** A span that stands for a series; NaN as its value stands for that of the series. */
export interface Exemplar {
  traceId: string
  /** Fields of the span that the query mentions. */
  labels: MetricLabel[]
  value: number
  timeMs: number
}
/** `values[i]` belongs to times[i]; NaN: no sample. */
export interface TraceSeries {
  labels: MetricLabel[]
  values: Float64Array
  exemplars: Exemplar[]
}
/** Series over the right edges of the intervals. */
export interface TraceMetricsResult {
  timesMs: number[]
  series: TraceSeries[]
  stats: SearchStats
}

/** A metrics query over a time; `exemplars` and `seriesMax` are the most of each. */
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

function gridOf({ startMs, endMs, stepMs }: MetricsRequest, nowMs: number): Grid {
  if (stepMs === 0) return { startMs, stepMs: endMs - startMs, count: 1, isInstant: true }
  const start = Math.floor(startMs / stepMs) * stepMs - stepMs
  const edge = Math.ceil(endMs / stepMs) * stepMs
  // An interval that is not over yet has no sample.
  const end = edge > nowMs && startMs < nowMs ? Math.max(start, Math.floor(nowMs / stepMs) * stepMs) : edge
  const count = Math.round((end - start) / stepMs)
  if (count > intervalsMax)
    throw new BadDataError(
      `step of ${stepMs} ms makes ${count} intervals, the limit is ${intervalsMax}; ask for a larger step or less time`,
    )
  return { startMs: start, stepMs, count, isInstant: false }
}

/** Counts and values of one set of labels, by interval. */
class Gathered {
  readonly labels: MetricLabel[]
  readonly counts: Float64Array
  readonly numbers: Float64Array
  /** Spans by bucket: the exponent of two at its upper edge. */
  readonly buckets = new Map<number, Float64Array>()
  readonly exemplars: Exemplar[] = []

  constructor(labels: MetricLabel[], intervals: number, start: number) {
    this.labels = labels
    this.counts = new Float64Array(intervals)
    this.numbers = new Float64Array(intervals).fill(start)
  }
}

/** A span that was taken as an exemplar: what it shows is read when its table is done, if it is still there then. */
interface Taken {
  into: Gathered
  span: number
  row: number
  value: number
  exemplar: Exemplar | undefined
}

/** Spans that stand for all of a query's, whatever their series: each of them is as likely. */
class ExemplarSample {
  readonly #most: number
  readonly #taken: Taken[] = []
  #seen = 0
  /** The next span that is taken. */
  #next = 0

  constructor(most: number) {
    this.#most = most
  }

  get isEmpty(): boolean {
    return this.#most === 0
  }

  /** The place for one more span; -1 for none. */
  place(): number {
    const seen = this.#seen++
    return seen < this.#next ? -1 : this.#take(seen)
  }

  #take(seen: number): number {
    if (seen < this.#most) {
      this.#next = seen + 1
      return seen
    }
    // One in seen / most spans is taken, at distances that vary around it.
    const varied = Math.imul(seen, 0x9e3779b1) >>> 0
    this.#next = seen + 1 + Math.floor(((2 * seen) / this.#most) * (varied / 4_294_967_296))
    return varied % this.#most
  }

  put(place: number, taken: Taken): void {
    this.#taken[place] = taken
  }

  /** Reads what the spans show that were taken since the last call. */
  show(exemplarOf: (taken: Taken) => Exemplar): void {
    for (const taken of this.#taken) taken.exemplar ??= exemplarOf(taken)
  }

  /** Each to its series, in the order of time. */
  giveOut(): void {
    const shown = this.#taken.flatMap(({ into, exemplar }) => (exemplar === undefined ? [] : [{ into, exemplar }]))
    for (const { into, exemplar } of shown.sort((a, b) => a.exemplar.timeMs - b.exemplar.timeMs))
      into.exemplars.push(exemplar)
  }
}

/** Answers TraceQL metrics queries. */
export class TraceMetrics {
  readonly #budgets: Budgets

  constructor(clock: Clock, limits: Limits) {
    this.#budgets = new Budgets(clock, limits)
  }

  get nowMs(): number {
    return this.#budgets.nowMs
  }

  /** Throws BadDataError, LimitError, TimeoutError and CanceledError. */
  run(request: MetricsRequest, reader: TracesReader, signal?: AbortSignal): Promise<TraceMetricsResult> {
    return planningAgain(() => this.#runOnce(request, reader, signal))
  }

  async #runOnce(
    request: MetricsRequest,
    reader: TracesReader,
    signal: AbortSignal | undefined,
  ): Promise<TraceMetricsResult> {
    const grid = gridOf(request, this.#budgets.nowMs)
    const stats: SearchStats = { traces: 0, spans: 0, bytes: 0, blocks: 0 }
    const budget = this.#budgets.begin(signal)
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
    if (expr.kind === 'staged') {
      const inner = await this.#evaluate(expr.inner, request, grid, reader, stats, budget)
      return typeof inner === 'number' ? inner : staged(expr.after, inner)
    }
    const gathered = new Map<string, Gathered>()
    const sample = new ExemplarSample(grid.isInstant ? 0 : request.exemplars)
    const comparison = expr.fn.name === 'compare' ? new Comparison(expr.fn, grid.count) : undefined
    const selected = await reader.select(grid.startMs, grid.startMs + grid.count * grid.stepMs)
    const open = async (rows: TraceRows): Promise<{ rows: TraceRows; opened: OpenedRows | undefined }> => ({
      rows,
      opened: await unlessDamaged(rows, () => openRows(rows, expr, comparison !== undefined)),
    })
    for await (const { rows, opened } of workAhead(selected, rowsAhead, open)) {
      stats.blocks++
      stats.bytes += rows.toldBytes ?? rows.bytes
      const target = { request, grid, gathered, comparison, stats, budget, sample }
      if (opened !== undefined) await unlessDamaged(rows, () => gatherRows(rows, opened, expr, target))
      await budget.pause()
    }
    if (comparison !== undefined) return comparison.series().map(s => ({ ...s, exemplars: [] }))
    sample.giveOut()
    // Without groups there is one series of counts, of nothing too.
    if (gathered.size === 0 && expr.fn.by.length === 0 && countsSpans(expr.fn))
      gathered.set('', new Gathered([], grid.count, 0))
    return staged(expr.after, finish(expr.fn, [...gathered.values()], grid))
  }
}

function countsSpans({ name }: MetricsFunction): boolean {
  return name === 'rate' || name === 'count_over_time'
}

function staged(after: readonly SecondStage[], found: TraceSeries[]): TraceSeries[] {
  let series = found
  for (const stage of after) series = applySecond(stage, series)
  return series.sort((a, b) => compareLabels(a.labels, b.labels))
}

function labelText(value: Value | undefined): string {
  return value === undefined ? 'nil' : value.type === valueType.string ? value.text : numberText(value)
}
function compareLabels(a: readonly MetricLabel[], b: readonly MetricLabel[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const x = a[i]!.value
    const y = b[i]!.value
    if (x !== undefined && y !== undefined && x.type === y.type && x.type !== valueType.string) {
      const difference = order(x.num, x.text, y.num, y.text)
      if (difference !== 0) return difference
      continue
    }
    const s = labelText(x)
    const t = labelText(y)
    if (s !== t) return s < t ? -1 : 1
  }
  return a.length - b.length
}

/** The order of series of one value: texts from the first on, numbers from the largest on. */
function rankLabels(a: readonly MetricLabel[], b: readonly MetricLabel[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const x = a[i]!.value
    const y = b[i]!.value
    const isNumeric = x !== undefined && y !== undefined && isRanked(x.type) && isRanked(y.type)
    const difference = isNumeric ? order(y.num, y.text, x.num, x.text) : compareTexts(labelText(x), labelText(y))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

const isRanked = (type: number): boolean => type === valueType.int || type === valueType.float

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The series that spans of all rows are added to. */
interface Target {
  request: MetricsRequest
  grid: Grid
  gathered: Map<string, Gathered>
  comparison: Comparison | undefined
  stats: SearchStats
  budget: Budget
  sample: ExemplarSample
}

/** What a query needs of a row group. */
interface OpenedRows {
  table: SpanTable
  compared: Field[]
  columns: Awaited<ReturnType<TraceRows['columns']>>
}

/** What is read of rows whatever is asked of them. */
const rowPaths = ['StartTimeUnixNano', 'EndTimeUnixNano', 'rs.ss.Spans.StartTimeUnixNano', 'TraceID']

async function openRows(
  rows: TraceRows,
  { stages, fn }: MetricsExpr & { kind: 'pipeline' },
  isComparison: boolean,
): Promise<OpenedRows | undefined> {
  const fields: Field[] = [...fieldsOfStages(stages), ...fn.by, ...(fn.field === undefined ? [] : [fn.field])]
  const shown = mentionsOf(stages).map(mention => mention.field)
  const needed = [...fields, ...shown, ...fieldsOf(fn.selection)]
  const table = await SpanTable.open(rows, needed, rowPaths)
  if (table === undefined) return undefined
  const compared = isComparison ? await comparedFields(rows) : []
  await table.load([...needed, ...compared])
  const columns = await rows.columns(rowPaths)
  return { table, compared, columns }
}

async function gatherRows(
  rows: TraceRows,
  { table, compared, columns }: OpenedRows,
  { stages, fn }: MetricsExpr & { kind: 'pipeline' },
  target: Target,
): Promise<void> {
  const { grid, comparison, stats, budget } = target
  const traceStarts = longsOf(columnAt(columns, 'StartTimeUnixNano'))
  const traceEnds = longsOf(columnAt(columns, 'EndTimeUnixNano'))
  const starts = longsOf(columnAt(columns, 'rs.ss.Spans.StartTimeUnixNano'))
  const fromNs = gridStartNs(grid)
  const throughNs = fromNs + gridStepNs(grid) * BigInt(grid.count)
  const intervals = new SpanIntervals(grid, starts)
  const compare = comparison?.counter(table, compared)
  const computed = [...fn.by, ...(fn.field === undefined ? [] : [fn.field])]
  const mentioned = mentionsOf([...stages, { kind: 'select', fields: computed }])
  const gatherer = new SpanGatherer(table, fn, mentioned, target, starts, columnAt(columns, 'TraceID'))
  const run = compileStages(stages, table)
  try {
    for (let row = 0; row < rows.rows; row++) {
      if (traceStarts[row]! > throughNs || traceEnds[row]! < fromNs) continue
      const size = table.spanFrom[row + 1]! - table.spanFrom[row]!
      if (size === 0) continue
      stats.traces++
      if (budget.worked(unitsOfRow + unitsOfSpan * (1 + stages.length) * size)) await budget.pause()
      for (const { spans } of run(table.spanFrom[row]!, table.spanFrom[row + 1]!)) {
        for (const i of spans) {
          stats.spans++
          const interval = intervals.of(i)
          if (interval < 0) continue
          if (compare !== undefined) compare(i, interval, starts[i]!)
          else gatherer.add(i, interval, row)
        }
      }
    }
  } finally {
    gatherer.showExemplars()
  }
}

/** Units of work (Budget.worked) of a trace, and of a span in a stage. */
const unitsOfRow = 64
const unitsOfSpan = 16

function gridStartNs(grid: Grid): bigint {
  return BigInt(Math.floor(grid.startMs * perNs))
}
function gridStepNs(grid: Grid): bigint {
  return BigInt(Math.round(grid.stepMs * perNs))
}

/** Finds the interval in which a span starts. */
class SpanIntervals {
  /**
   * Times as two words: the distance from the grid's start is exact as a number, and no bigint is made for a span.
   */
  readonly #words: Uint32Array
  readonly #fromLow: number
  readonly #fromHigh: number
  readonly #stepNs: number
  readonly #count: number

  constructor(grid: Grid, starts: BigInt64Array) {
    const fromNs = gridStartNs(grid)
    this.#words = new Uint32Array(starts.buffer, starts.byteOffset, starts.length * 2)
    this.#fromLow = Number(BigInt.asUintN(32, fromNs))
    this.#fromHigh = Number(fromNs >> 32n)
    this.#stepNs = Number(gridStepNs(grid))
    this.#count = grid.count
  }

  /** -1 for a span outside the grid. */
  of(i: number): number {
    const distance = (this.#words[2 * i + 1]! - this.#fromHigh) * 4_294_967_296 + (this.#words[2 * i]! - this.#fromLow)
    // A time on an edge belongs to the interval before it.
    const interval = distance <= 0 ? -1 : Math.floor((distance - 1) / this.#stepNs)
    return interval < this.#count ? interval : -1
  }
}

/** Adds spans of one table to the series of their labels. */
class SpanGatherer {
  readonly #table: SpanTable
  readonly #fn: MetricsFunction
  readonly #target: Target
  readonly #starts: BigInt64Array
  readonly #ids: ColumnData
  readonly #by: readonly { key: string; cursor: FieldCursor }[]
  readonly #only: FieldCursor | undefined
  readonly #measured: FieldCursor | undefined
  readonly #isInSeconds: boolean
  readonly #sample: ExemplarSample | undefined
  readonly #shown: (i: number) => ShownValues[]
  /** Series by the text of the only label. */
  readonly #byText = new Map<string, Gathered>()
  #unlabelled: Gathered | undefined

  constructor(
    table: SpanTable,
    fn: MetricsFunction,
    mentioned: readonly Mention[],
    target: Target,
    starts: BigInt64Array,
    ids: ColumnData,
  ) {
    this.#table = table
    this.#fn = fn
    this.#target = target
    this.#starts = starts
    this.#ids = ids
    this.#by = fn.by.map(field => ({ key: labelKey(field), cursor: new FieldCursor(table, field) }))
    this.#only = this.#by.length === 1 ? this.#by[0]?.cursor : undefined
    this.#measured = fn.field === undefined ? undefined : new FieldCursor(table, fn.field)
    this.#isInSeconds = showsSeconds(fn)
    this.#sample = target.sample.isEmpty ? undefined : target.sample
    const hidden = ['trace:id', 'nestedSetLeft', 'nestedSetRight', 'nestedSetParent']
    this.#shown = shownReader(
      mentioned.filter(({ field }) => field.kind === 'attribute' || !hidden.includes(field.name)),
      table,
      scopedKey,
    )
  }

  /** Span `i` of trace `row`; one whose measured field is no number is left out. */
  add(i: number, interval: number, row: number): void {
    const e = firstChild(this.#table.eventFrom, i)
    const l = firstChild(this.#table.linkFrom, i)
    const measured = this.#measured
    if (measured !== undefined && !(measured.read(i, e, l) && isMeasure(measured.type))) return
    const into = this.#seriesOf(i, e, l)
    const value = measured === undefined ? NaN : this.#isInSeconds ? inSeconds(measured) : measured.num
    gather(into, this.#fn.name, interval, measured, value)
    const sample = this.#sample
    const place = sample === undefined ? -1 : sample.place()
    if (place >= 0) sample!.put(place, { into, span: i, row, value, exemplar: undefined })
  }

  /** Reads what the exemplars of this table show. */
  showExemplars(): void {
    this.#sample?.show(({ span, row, value }) => ({
      traceId: traceIdText(this.#ids, row),
      labels: this.#shown(span).flatMap(({ key, values }): MetricLabel[] =>
        values.length === 1 ? [{ key, value: values[0] }] : [],
      ),
      value,
      timeMs: Number(this.#starts[span]! / 1_000_000n),
    }))
  }

  #seriesOf(i: number, e: number, l: number): Gathered {
    if (this.#by.length === 0) return (this.#unlabelled ??= this.#keyed(''))
    const only = this.#only
    if (only !== undefined) {
      only.read(i, e, l)
      const known = only.type === valueType.string ? this.#byText.get(only.text) : undefined
      if (known !== undefined) return known
    }
    let key = ''
    for (const { cursor } of this.#by) {
      cursor.read(i, e, l)
      const text = cursorText(cursor)
      key += `${cursor.type} ${text.length}:${text}`
    }
    const into = this.#keyed(key)
    if (only?.type === valueType.string) this.#byText.set(only.text, into)
    return into
  }

  /** The series of a key; a new one takes its labels from the cursors. Throws LimitError for one too many. */
  #keyed(key: string): Gathered {
    const { gathered, request, grid } = this.#target
    let into = gathered.get(key)
    if (into === undefined) {
      if (gathered.size >= request.seriesMax)
        throw new LimitError(
          `the query makes more than ${request.seriesMax} series, which is the limit; group by fewer attributes`,
          422,
        )
      const all = this.#by.map(({ key: name, cursor }): MetricLabel => ({ key: name, value: cursor.value }))
      // What a span has not is no label of its series, unless it has none of all.
      const there = all.filter(label => label.value !== undefined)
      const labels = there.length > 0 ? there : all.slice(0, 1)
      gathered.set(key, (into = new Gathered(labels, grid.count, startOf(this.#fn.name))))
    }
    return into
  }
}

function startOf(name: MetricsFunction['name']): number {
  return name === 'min_over_time' ? Infinity : name === 'max_over_time' ? -Infinity : 0
}

function isMeasure(type: number): boolean {
  return type === valueType.int || type === valueType.float || type === valueType.duration
}

function cursorText(cursor: FieldCursor): string {
  if (cursor.type === valueType.none) return 'nil'
  return cursor.type === valueType.string ? cursor.text : numberText(cursor)
}

/** How exemplars call a field: by the scope that its value is of. */
function scopedKey(field: Field, level: Level): string {
  if (field.kind === 'intrinsic') return field.name
  return field.scope === 'any' ? fieldText(level === 'resource' ? 'resource' : 'span', field.name) : field.text
}

/** How a field is called in labels: intrinsics by one name, however the query spells them. */
function labelKey(field: Field): string {
  return field.kind === 'intrinsic' ? field.name : field.text
}

/** A span's duration is counted in nanoseconds and shown in seconds; other durations only where they make buckets. */
function showsSeconds(fn: MetricsFunction): boolean {
  return fn.field?.name === 'duration' || fn.name.startsWith('quantile') || fn.name.startsWith('histogram')
}

function inSeconds(value: { type: number; num: number }): number {
  return value.type === valueType.duration ? value.num / 1e9 : value.num
}

const oneDouble = new Float64Array(1)
const itsWords = new Uint32Array(oneDouble.buffer)

/** The least whole number whose power of two is no less than a number from 2 on, read off the bits of the double. */
function powerAbove(value: number): number {
  oneDouble[0] = value
  const high = itsWords[1]!
  const isPower = (high & 0xfffff) === 0 && itsWords[0] === 0
  return (high >>> 20) - 1023 + (isPower ? 0 : 1)
}

/** `shown` is the measured value as it is shown. */
function gather(
  into: Gathered,
  name: MetricsFunction['name'],
  interval: number,
  value: { type: number; num: number } | undefined,
  shown: number,
): void {
  const { counts, numbers } = into
  counts[interval]!++
  if (value === undefined) return
  switch (name) {
    case 'min_over_time':
      numbers[interval] = Math.min(numbers[interval]!, shown)
      return
    case 'max_over_time':
      numbers[interval] = Math.max(numbers[interval]!, shown)
      return
    case 'sum_over_time':
    case 'avg_over_time':
      numbers[interval] = numbers[interval]! + shown
      return
    default: {
      if (value.type === valueType.float || value.num < 2) {
        counts[interval]!--
        return
      }
      const exponent = powerAbove(value.num)
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
    const valued = (values: Float64Array): Exemplar[] => seriesValued(exemplars, values, grid)
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
            exemplars: seriesValued(inBucket(exemplars, edgeOf(key)), values, grid),
          }))
      default: {
        if (own.buckets.size === 0) return []
        const found = fn.quantiles.map((q): TraceSeries => ({
          labels: [...own.labels, { key: 'p', value: { type: valueType.float, num: q, text: '' } }],
          values: Float64Array.from(counts, (_, i) => quantile(q, own.buckets, i)),
          exemplars: [],
        }))
        for (const exemplar of exemplars) nearest(found, exemplar, grid)?.exemplars.push(exemplar)
        return found
      }
    }
  })
}

/** Exemplars whose value is the series' own at their time. */
function seriesValued(exemplars: readonly Exemplar[], values: Float64Array, grid: Grid): Exemplar[] {
  return exemplars.map(x => ({ ...x, value: values[intervalOf(x.timeMs, grid)] ?? 0 }))
}

function intervalOf(timeMs: number, grid: Grid): number {
  return Math.max(0, Math.ceil((timeMs - grid.startMs) / grid.stepMs) - 1)
}

function inBucket(exemplars: readonly Exemplar[], edge: number): Exemplar[] {
  return exemplars.filter(x => x.value <= edge && x.value > edge / 2)
}

/** Of the quantiles' series, the one whose value at the exemplar's time is nearest to it. */
function nearest(series: readonly TraceSeries[], exemplar: Exemplar, grid: Grid): TraceSeries | undefined {
  const interval = intervalOf(exemplar.timeMs, grid)
  let best: TraceSeries | undefined
  let distance = Infinity
  for (const one of series) {
    const own = Math.abs((one.values[interval] ?? 0) - exemplar.value)
    if (own < distance) {
      best = one
      distance = own
    }
  }
  return best
}

/** The upper edge of a bucket, in seconds for durations. */
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
  return sorted.at(-1)?.edge ?? 0
}

function applySecond(stage: SecondStage, series: TraceSeries[]): TraceSeries[] {
  if (stage.kind === 'compare') {
    const fits = comparisons[stage.op]
    return series
      .map(s => ({ ...s, values: s.values.map(v => (fits(v, stage.value) ? v : NaN)), exemplars: [] }))
      .filter(s => s.values.some(v => !Number.isNaN(v)))
  }
  if (series.length <= stage.count) return series
  const sign = stage.kind === 'topk' ? 1 : -1
  const kept = series.map(s => ({ ...s, values: new Float64Array(s.values.length).fill(NaN) }))
  const length = series[0]?.values.length ?? 0
  for (let i = 0; i < length; i++) {
    const there = series.map((s, n) => ({ n, v: s.values[i]!, labels: s.labels })).filter(x => !Number.isNaN(x.v))
    there.sort((a, b) => sign * (b.v - a.v) || sign * rankLabels(a.labels, b.labels))
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
  const apply = (a: number, b: number): number => {
    switch (op) {
      case '+':
        return a + b
      case '-':
        return a - b
      case '*':
        return a * b
      default:
        return b === 0 ? NaN : a / b
    }
  }
  const constant = (value: number): Float64Array => new Float64Array(count).fill(value)
  const joined = (labels: MetricLabel[], a: Float64Array, b: Float64Array, exemplars: Exemplar[]): TraceSeries => ({
    labels,
    values: Float64Array.from(a, (v, i) => apply(v, b[i]!)),
    exemplars,
  })
  const sampled = (series: TraceSeries[]): TraceSeries[] => series.filter(s => s.values.some(v => !Number.isNaN(v)))
  if (typeof right === 'number')
    return typeof left === 'number'
      ? apply(left, right)
      : sampled(left.map(s => joined(s.labels, s.values, constant(right), s.exemplars)))
  if (typeof left === 'number') return sampled(right.map(s => joined(s.labels, constant(left), s.values, s.exemplars)))
  const other = right.length === 1 && plainLabels(right[0]!).length === 0 ? right[0] : undefined
  if (other !== undefined)
    return sampled(left.map(s => joined(joinedLabels(op, s, other), s.values, other.values, s.exemplars)))
  const first = left.length === 1 && plainLabels(left[0]!).length === 0 ? left[0] : undefined
  if (first !== undefined) return sampled(right.map(s => joined(s.labels, first.values, s.values, s.exemplars)))
  const byKey = new Map(right.map(s => [labelsKey(s), s]))
  return sampled(
    left.flatMap(s => {
      const partner = byKey.get(labelsKey(s))
      return partner === undefined ? [] : [joined(s.labels, s.values, partner.values, s.exemplars)]
    }),
  )
}

/** Labels that have to match: not the name of a function. */
function plainLabels(series: TraceSeries): MetricLabel[] {
  return series.labels.filter(label => label.key !== '__name__')
}

/** In the order of the groups: the same labels in another order are other ones. */
function labelsKey(series: TraceSeries): string {
  return keyOfTexts(plainLabels(series).map(label => keyOfTexts([label.key, labelText(label.value)])))
}

/** Of two series without groups a name that says how they were joined. */
function joinedLabels(op: string, left: TraceSeries, right: TraceSeries): MetricLabel[] {
  const [a, b] = [left, right].map(s => s.labels.find(label => label.key === '__name__')?.value?.text)
  if (a === undefined || b === undefined || plainLabels(left).length > 0) return left.labels
  return [{ key: '__name__', value: { type: valueType.string, num: 0, text: `(${a} ${op} ${b})` } }]
}
