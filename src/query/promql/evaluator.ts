/** Evaluates a checked tree over the steps of a query: series by series, all steps at once. */
import { assert } from '#core/assert.ts'
import { ExecutionError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { quote } from '#core/text.ts'
import {
  unwrap,
  type Aggregate,
  type Call,
  type Expr,
  type MatrixSelector,
  type Subquery,
  type VectorSelector,
} from '#lang/promql/ast.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { resetHint, type FloatHistogram } from '#model/histogram.ts'
import type { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Budget } from '../budget.ts'
import { aggregate } from './aggregate.ts'
import { evaluateBinary } from './binary.ts'
import {
  absentFrom,
  argumentOf,
  eachPiece,
  eachRow,
  textOf,
  unitsAtOnce,
  type Evaluation,
  type QueryContext,
} from './evaluation.ts'
import { withEdges } from './extended-range.ts'
import { callFunction } from './functions.ts'
import { keepStats } from './histogram-stats.ts'
import { evaluateInfo } from './info.ts'
import { absentLabels } from './prepare.ts'
import { extrapolateFloats, isRangeFunction, rangeFunctions, type RangeFunctionName } from './range-functions.ts'
import {
  isFloat,
  isHistogram,
  Row,
  RowRoom,
  unitsOfHistogram,
  unitsOfRow,
  unitsOfStep,
  type Grid,
  type Value,
} from './value.ts'
import { Smoothing } from './smoothed.ts'
import { Window } from './window.ts'

/** How far the reading of one series has come: steps with a sample, the first sample behind the last step. */
interface Found {
  any: number
  next: number
}

/** Series that are fetched and evaluated in one go. */
const batchSeries = 256

/** A range function on its way over the steps of one series. */
interface Sliding {
  fn: (window: Window) => boolean
  window: Window
  selector: VectorSelector | Subquery
  scalars: Float64Array[]
  labels: Labels
  dropName: boolean
  /** Made with the first value. */
  row: Row | undefined
}

/** An evaluation over one grid; subqueries make their own. */
export class Evaluator implements Evaluation {
  readonly context: QueryContext
  readonly grid: Grid
  readonly #room = new RowRoom()

  constructor(context: QueryContext, grid: Grid) {
    this.context = context
    this.grid = grid
  }

  stepMs(step: number): number {
    return this.grid.startMs + step * this.grid.intervalMs
  }

  async eval(expr: Expr): Promise<Value> {
    if (this.grid.steps > 1 && this.context.invariant.has(expr) && expr.kind !== 'number' && expr.kind !== 'string')
      return this.#evalOnce(expr)
    switch (expr.kind) {
      case 'number':
        return { kind: 'scalar', values: new Float64Array(this.grid.steps).fill(expr.value) }
      case 'string':
        return { kind: 'string', value: expr.value }
      case 'paren':
        return this.eval(expr.expr)
      case 'selector':
        return { kind: 'vector', rows: await this.selectInstant(expr, false) }
      case 'unary':
        return await this.#evalUnary(expr.op, await this.eval(expr.expr))
      case 'binary':
        return evaluateBinary(this, expr)
      case 'aggregate':
        return { kind: 'vector', rows: await this.#evalAggregate(expr) }
      case 'call':
        return this.#evalCall(expr)
      case 'matrix':
      case 'subquery':
        throw new ExecutionError("a range vector can't be evaluated here")
    }
  }

  async rows(expr: Expr): Promise<Row[]> {
    const value = await this.eval(expr)
    if (value.kind !== 'vector') throw new ExecutionError(`an instant vector was expected, got ${value.kind}`)
    return value.rows
  }

  async scalars(expr: Expr): Promise<Float64Array> {
    const value = await this.eval(expr)
    if (value.kind !== 'scalar') throw new ExecutionError(`a scalar was expected, got ${value.kind}`)
    return value.values
  }

  /** Evaluates at one step and repeats the result. */
  async #evalOnce(expr: Expr): Promise<Value> {
    const { startMs, intervalMs, steps } = this.grid
    const value = await new Evaluator(this.context, { startMs, intervalMs, steps: 1, endMs: startMs }).eval(expr)
    if (value.kind === 'string') return value
    if (value.kind === 'scalar') return { kind: 'scalar', values: new Float64Array(steps).fill(value.values[0]!) }
    this.context.budget.take(value.rows.length * steps)
    const rows: Row[] = []
    await eachRow(value.rows, this.context.budget, one => {
      const row = new Row(one.labels, one.dropName, steps)
      for (let step = 0; step < steps; step++) {
        if (one.present[0] === isFloat) row.setFloat(step, one.values[0]!)
        else if (one.present[0] === isHistogram) row.setHistogram(step, one.histogramAt(0))
      }
      rows.push(row)
    })
    return { kind: 'vector', rows }
  }

  async #evalUnary(op: '+' | '-', value: Value): Promise<Value> {
    if (op === '+' || value.kind === 'string') return value
    if (value.kind === 'scalar') return { kind: 'scalar', values: value.values.map(v => -v) }
    await eachRow(value.rows, this.context.budget, row => {
      row.dropName = true
      for (let step = 0; step < row.values.length; step++) {
        row.values[step] = -row.values[step]!
        if (row.present[step] === isHistogram) row.setHistogram(step, row.histogramAt(step).copy().scale(-1))
      }
    })
    return value
  }

  async #evalAggregate(expr: Aggregate): Promise<Row[]> {
    const param = expr.param === undefined || expr.op === 'count_values' ? undefined : await this.scalars(expr.param)
    const rows = await this.rows(expr.expr)
    const label = expr.op === 'count_values' && expr.param !== undefined ? textOf(expr.param) : ''
    if (expr.op === 'count_values' && (label === '' || !label.isWellFormed()))
      throw new ExecutionError(`invalid label name ${quote(label)}`)
    const { annotations, budget } = this.context
    await budget.pause()
    budget.give(rows.length * this.grid.steps)
    return aggregate(expr, rows, param, label, this.grid, annotations, budget)
  }

  async #evalCall(call: Call): Promise<Value> {
    if (call.name === 'info') return { kind: 'vector', rows: await evaluateInfo(this, call) }
    if (call.name === 'timestamp' || call.name === 'start_timestamp') {
      const arg = unwrap(argumentOf(call, 0))
      if (arg.kind === 'selector') {
        const rows = await this.selectInstant(arg, call.name === 'timestamp' ? 'time' : 'start')
        for (const row of rows) row.dropName = true
        return { kind: 'vector', rows }
      }
    }
    if (!isRangeFunction(call.name)) return callFunction(this, call)
    let range: MatrixSelector | Subquery | undefined
    const scalars: Float64Array[] = []
    for (const arg of call.args) {
      const inner = unwrap(arg)
      if (inner.kind === 'matrix' || inner.kind === 'subquery') range = inner
      else scalars.push(await this.scalars(arg))
    }
    assert(range !== undefined, `${call.name}() was parsed without a range`)
    const rows = await this.#evalRange(call, call.name, range, scalars)
    return { kind: 'vector', rows: call.name === 'absent_over_time' ? await this.#absentRow(rows, range) : rows }
  }

  async #evalRange(
    call: Call,
    name: RangeFunctionName,
    range: MatrixSelector | Subquery,
    scalars: Float64Array[],
  ): Promise<Row[]> {
    const window = new Window(this.context.annotations)
    window.position = placeOf(range)
    window.scalarPosition = argumentOf(call, 0)
    window.rangeMs = range.range.ms
    window.wantsDrops = name === 'rate' || name === 'increase'
    window.wantsStarts = this.context.startTimestamps && range.kind === 'matrix' && startFunctions.includes(name)
    const out: Row[] = []
    const keep = (row: Row | undefined): void => {
      if (row === undefined) return
      this.context.budget.take(this.grid.steps)
      out.push(row)
      if (name === 'rate' || name === 'increase') this.#noteNonCounter(row, range)
    }
    const keepsName = name === 'last_over_time' || name === 'first_over_time'
    const run = (labels: Labels, dropName: boolean): Promise<void> | undefined => {
      window.metric = labels.get(metricName)
      const row = this.#slide(name, window, range, scalars, labels, dropName || !keepsName)
      if (row instanceof Promise) return row.then(keep)
      keep(row)
      return undefined
    }
    if (range.kind === 'subquery') {
      const { rows, grid } = await this.evalSubquery(range)
      for (const row of rows) {
        await fillWindowFromRow(window, row, grid, this.context.budget)
        await run(row.labels, row.dropName)
      }
      this.context.budget.give(rows.length * grid.steps)
      return out
    }
    const { selector } = range
    window.modifier = selector.modifier
    checkModifier(selector, name)
    const { fromMs, toMs } = this.#reach(selector, range.range.ms)
    const { budget } = this.context
    const statsOnly = this.context.statsOnly.has(selector)
    await this.#eachSeries(selector.matchers, fromMs, toMs, (labels, columns) => {
      const { count } = columns
      if (statsOnly) keepStats(columns, fromMs)
      fillWindow(window, columns)
      budget.take(count)
      const running = run(labels, false)
      if (running !== undefined)
        return running.then(() => {
          budget.give(count)
        })
      budget.give(count)
      return undefined
    })
    return out
  }

  /** Applies a range function at every step. A promise where one series is more than a piece of work. */
  #slide(
    name: RangeFunctionName,
    window: Window,
    range: MatrixSelector | Subquery,
    scalars: Float64Array[],
    labels: Labels,
    dropName: boolean,
  ): Row | undefined | Promise<Row | undefined> {
    const { steps } = this.grid
    const selector = range.kind === 'matrix' ? range.selector : range
    const offsetMs = selector.offset?.ms ?? 0
    if (
      (name === 'rate' || name === 'increase' || name === 'delta') &&
      window.modifier === undefined &&
      window.histograms.length === 0 &&
      window.floatStarts === undefined &&
      selector.at === undefined
    ) {
      const row = new Row(labels, dropName, steps, this.#room)
      this.context.budget.totalSamples += extrapolateFloats(
        window,
        name !== 'delta',
        name === 'rate',
        this.stepMs(0) - offsetMs,
        this.grid.intervalMs,
        steps,
        row.values,
        row.present,
      )
      return row.present.includes(isFloat) ? row : undefined
    }
    window.floatFrom = window.floatTo = window.histogramFrom = window.histogramTo = window.dropFrom = 0
    const sliding: Sliding = { fn: rangeFunctions[name], window, selector, scalars, labels, dropName, row: undefined }
    const next = this.#slideFrom(0, sliding)
    return next === steps ? sliding.row : this.#slideOn(next, sliding)
  }

  async #slideOn(step: number, sliding: Sliding): Promise<Row | undefined> {
    while (step < this.grid.steps) {
      await this.context.budget.pause()
      step = this.#slideFrom(step, sliding)
    }
    return sliding.row
  }

  /** Goes on at `from` until it is time to look at the clock; the first step that is left. */
  #slideFrom(from: number, sliding: Sliding): number {
    const { fn, window, selector, scalars, labels, dropName } = sliding
    const { budget } = this.context
    const { steps } = this.grid
    const offsetMs = selector.offset?.ms ?? 0
    const before = window.modifier === undefined ? 0 : this.context.lookbackMs
    const after = window.modifier === 'smoothed' ? this.context.lookbackMs : 0
    const { floatTimes, histogramTimes, drops } = window
    const floatCount = window.floatCount
    const histogramCount = histogramTimes.length
    let { row } = sliding
    let examined = 0
    let units = 0
    let step = from
    for (; step < steps && units < unitsAtOnce; step++) {
      units++
      const stepMs = this.stepMs(step)
      const endMs = (selector.at?.kind === 'time' ? selector.at.atMs : stepMs) - offsetMs
      const startMs = endMs - window.rangeMs
      while (window.floatTo < floatCount && floatTimes[window.floatTo]! <= endMs + after) window.floatTo++
      while (window.floatFrom < window.floatTo && floatTimes[window.floatFrom]! <= startMs - before) window.floatFrom++
      while (window.histogramTo < histogramCount && histogramTimes[window.histogramTo]! <= endMs + after)
        window.histogramTo++
      while (window.histogramFrom < window.histogramTo && histogramTimes[window.histogramFrom]! <= startMs - before)
        window.histogramFrom++
      if (window.floatFrom === window.floatTo && window.histogramFrom === window.histogramTo) continue
      while (window.dropFrom < drops.length && drops[window.dropFrom]! <= window.floatFrom) window.dropFrom++
      const histograms = window.histogramTo - window.histogramFrom
      const floats = window.floatTo - window.floatFrom
      examined += floats + histograms
      units += floats + histograms * unitsOfHistogram
      window.rangeStartMs = startMs
      window.rangeEndMs = endMs
      window.stepMs = stepMs
      for (let i = 0; i < scalars.length; i++) window.scalars[i] = scalars[i]![step]!
      if (!fn(window)) continue
      row ??= new Row(labels, dropName, steps, this.#room)
      if (window.histogram === undefined) row.setFloat(step, window.value)
      else {
        row.setHistogram(step, window.histogram)
        window.histogram = undefined
      }
    }
    budget.totalSamples += examined
    budget.did(units)
    sliding.row = row
    return step
  }

  #noteNonCounter(row: Row, range: MatrixSelector | Subquery): void {
    const name = row.labels.get(metricName)
    if (name === '' || !row.present.includes(isFloat)) return
    const type = row.labels.get('__type__')
    if (this.context.typeLabels) {
      if (type !== 'counter' && type !== 'histogram')
        this.context.annotations.possibleNonCounterType(name, type, placeOf(range))
    } else if (!/_(total|sum|count|bucket)$/.test(name))
      this.context.annotations.possibleNonCounter(name, placeOf(range))
  }

  /** The raw samples of a range selector, for instant queries that end in one. */
  async selectRange(range: MatrixSelector): Promise<{ labels: Labels; columns: SampleColumns }[]> {
    const { selector } = range
    const endMs = this.#referenceMs(selector, 0)
    const out: { labels: Labels; columns: SampleColumns }[] = []
    const { fromMs, toMs } = this.#reach(selector, range.range.ms)
    await this.#eachSeries(selector.matchers, fromMs, toMs, (labels, columns) => {
      let kept = withoutStale(columns)
      if (selector.modifier !== undefined) {
        if (kept.histograms !== undefined)
          throw new ExecutionError(`${selector.modifier} modifier is not supported with histograms`)
        kept = withEdges(kept, endMs - range.range.ms, endMs, selector.modifier)
      }
      this.context.budget.take(kept.count)
      this.context.budget.totalSamples += kept.count
      if (kept.count > 0) out.push({ labels, columns: kept })
      return undefined
    })
    return out
  }

  async evalSubquery(subquery: Subquery): Promise<{ rows: Row[]; grid: Grid }> {
    const rangeMs = subquery.range.ms
    const intervalMs = subquery.step?.ms ?? this.context.defaultSubqueryStepMs
    const firstMs = this.#referenceMs(subquery, 0) - rangeMs
    const lastMs = this.#referenceMs(subquery, this.grid.steps - 1)
    let startMs = intervalMs * Math.trunc(firstMs / intervalMs)
    if (startMs <= firstMs) startMs += intervalMs
    const steps = Math.max(0, Math.floor((lastMs - startMs) / intervalMs) + 1)
    const grid = { startMs, intervalMs, steps, endMs: lastMs }
    if (steps === 0) return { rows: [], grid }
    // Whatever is evaluated over so many steps holds at least one number for each: refused before memory is taken.
    this.context.budget.take(steps)
    this.context.budget.give(steps)
    return { rows: await new Evaluator(this.context, grid).rows(subquery.expr), grid }
  }

  /** The instant whose samples a step reads: `@` and offset applied. */
  #referenceMs(node: VectorSelector | Subquery, step: number): number {
    return (node.at?.kind === 'time' ? node.at.atMs : this.stepMs(step)) - (node.offset?.ms ?? 0)
  }

  #reach(selector: VectorSelector, rangeMs: number): { fromMs: number; toMs: number } {
    const before = selector.modifier === undefined ? 0 : this.context.lookbackMs
    const after = selector.modifier === 'smoothed' ? this.context.lookbackMs : 0
    return {
      fromMs: this.#referenceMs(selector, 0) - rangeMs - before + 1,
      toMs: this.#referenceMs(selector, this.grid.steps - 1) + after,
    }
  }

  /** Calls `work` for every series that has samples; what it returns is awaited, and mostly it returns nothing. */
  async #eachSeries(
    matchers: readonly Matcher[],
    fromMs: number,
    toMs: number,
    work: (labels: Labels, columns: SampleColumns) => Promise<void> | undefined,
  ): Promise<void> {
    const set = await this.context.reader.select(matchers, fromMs, toMs)
    const columns = new SampleColumns()
    const { budget } = this.context
    for (let from = 0; from < set.labels.length; from += batchSeries) {
      const to = Math.min(from + batchSeries, set.labels.length)
      await set.load(from, to)
      await this.context.budget.pause()
      for (let i = from; i < to; i++) {
        columns.clear()
        set.read(i, columns)
        const working = columns.count > 0 ? work(set.labels[i]!, columns) : undefined
        if (working !== undefined) await working
        if (budget.worked(unitsOfRow + this.grid.steps + columns.count)) await budget.pause()
      }
      set.release()
    }
  }

  /**
   * An instant vector: at each step the latest sample inside the lookback. `want` gives its time or start time
   * instead.
   */
  async selectInstant(selector: VectorSelector, want: false | 'time' | 'start'): Promise<Row[]> {
    const { steps } = this.grid
    const { lookbackMs, budget } = this.context
    const rows: Row[] = []
    if (selector.modifier === 'smoothed' && want === false) return this.#selectSmoothed(selector)
    const { fromMs, toMs } = this.#reach({ ...selector, modifier: undefined }, lookbackMs)
    const statsOnly = this.context.statsOnly.has(selector)
    await this.#eachSeries(selector.matchers, fromMs, toMs, (labels, columns) => {
      if (statsOnly) keepStats(columns, fromMs)
      const row = new Row(labels, false, steps, this.#room)
      const found: Found = { any: 0, next: 0 }
      const keep = (): void => {
        if (found.any === 0) return
        budget.take(steps)
        budget.totalSamples += found.any
        rows.push(row)
      }
      const reading = eachPiece(steps, 1, budget, (from, to) => {
        this.#readSteps(selector, want, columns, row, found, from, to)
      })
      if (reading !== undefined) return reading.then(keep)
      keep()
      return undefined
    })
    return rows
  }

  /** A smoothed instant vector. */
  async #selectSmoothed(selector: VectorSelector): Promise<Row[]> {
    const { lookbackMs, budget, annotations } = this.context
    const { steps } = this.grid
    const rows: Row[] = []
    const { fromMs, toMs } = this.#reach(selector, 0)
    const firstMs = this.#referenceMs(selector, 0)
    const intervalMs = selector.at === undefined ? this.grid.intervalMs : 0
    const statsOnly = this.context.statsOnly.has(selector)
    await this.#eachSeries(selector.matchers, fromMs, toMs, (labels, columns) => {
      if (statsOnly) keepStats(columns, fromMs)
      const window = new Window(annotations)
      window.position = selector
      window.metric = labels.get(metricName)
      fillWindow(window, columns)
      const units = window.histograms.length === 0 ? 1 : unitsOfHistogram
      const smoothing = new Smoothing(window, lookbackMs, annotations)
      const row = new Row(labels, false, steps, this.#room)
      let any = 0
      const keep = (): void => {
        if (any === 0) return
        budget.take(steps)
        budget.totalSamples += any
        rows.push(row)
      }
      const reading = eachPiece(steps, units, budget, (from, to) => {
        any += smoothing.setSteps(row, from, to, firstMs, intervalMs)
      })
      if (reading !== undefined) return reading.then(keep)
      keep()
      return undefined
    })
    return rows
  }

  /** The steps [from, to) of an instant vector's row. */
  #readSteps(
    selector: VectorSelector,
    want: false | 'time' | 'start',
    columns: SampleColumns,
    row: Row,
    found: Found,
    from: number,
    to: number,
  ): void {
    const { lookbackMs } = this.context
    const { timesMs, values, histograms, count } = columns
    let { any, next } = found
    for (let step = from; step < to; step++) {
      const atMs = this.#referenceMs(selector, step)
      while (next < count && timesMs[next]! <= atMs) next++
      const i = next - 1
      if (i < 0 || timesMs[i]! <= atMs - lookbackMs) continue
      const value = values[i]!
      if (value !== value && columns.isStale(i)) continue
      any++
      const histogram = histograms?.[i]
      if (want === 'time') row.setFloat(step, timesMs[i]! / 1000)
      else if (want === 'start') {
        const startMs = columns.startsMs?.[i] ?? 0
        if (startMs > 0 || this.context.startTimestamps) row.setFloat(step, startMs / 1000)
      } else if (histogram !== undefined) {
        row.setHistogram(step, histogram)
      } else {
        row.present[step] = isFloat
        row.values[step] = value
      }
    }
    found.any = any
    found.next = next
  }

  async #absentRow(rows: readonly Row[], range: MatrixSelector | Subquery): Promise<Row[]> {
    const row = await absentFrom(rows, absentLabels(range), true, this.grid.steps, this.context.budget)
    return row.isEmpty ? [] : [row]
  }
}

/** Where annotations about a range point: as in the reference implementation, those about a subquery have no place. */
function placeOf(range: MatrixSelector | Subquery): { from: number } {
  return range.kind === 'subquery' ? { from: 0 } : range
}

/** Functions that look at start timestamps. */
const startFunctions: readonly string[] = ['increase', 'irate', 'rate', 'resets']
const anchoredFunctions: readonly string[] = ['changes', 'delta', 'increase', 'rate', 'resets']
const smoothedFunctions: readonly string[] = ['delta', 'increase', 'rate']

function checkModifier(selector: VectorSelector, name: string): void {
  if (selector.modifier === 'anchored' && !anchoredFunctions.includes(name))
    throw new ExecutionError(
      `anchored modifier can only be used with: ${anchoredFunctions.join(', ')} - not with ${name}`,
    )
  if (selector.modifier === 'smoothed' && !smoothedFunctions.includes(name))
    throw new ExecutionError(
      `smoothed modifier can only be used with: ${smoothedFunctions.join(', ')} - not with ${name}`,
    )
}

function withoutStale(columns: SampleColumns): SampleColumns {
  const kept = new SampleColumns()
  kept.reserve(columns.count)
  for (let i = 0; i < columns.count; i++) {
    if (columns.isStale(i)) continue
    const histogram = columns.histograms?.[i]
    if (histogram !== undefined) kept.pushHistogram(columns.timesMs[i]!, histogram)
    else kept.pushWords(columns.timesMs[i]!, columns.words[2 * i + 1]!, columns.words[2 * i]!)
  }
  return kept
}

/** Sets the window's samples from storage: stale markers out, floats and histograms apart. */
function fillWindow(window: Window, columns: SampleColumns): void {
  const { count, timesMs, values, histograms } = columns
  const starts = window.wantsStarts ? columns.startsMs : undefined
  window.histogramTimes = []
  window.histograms = []
  window.histogramStarts = starts === undefined ? undefined : []
  window.floatStarts = starts
  window.drops = []
  if (histograms === undefined && !hasNaN(values, count)) {
    // Most series have neither histograms nor stale markers: the window reads their columns in place.
    window.floats = values
    window.floatTimes = timesMs
    window.floatCount = count
    if (window.wantsDrops) for (let i = 1; i < count; i++) if (values[i]! < values[i - 1]!) window.drops.push(i)
    return
  }
  if (window.floats.length < count) {
    window.floats = new Float64Array(count * 2)
    window.floatTimes = new Float64Array(count * 2)
  }
  const { floats, floatTimes } = window
  const floatStarts = (window.floatStarts = starts === undefined ? undefined : new Float64Array(count))
  let out = 0
  for (let i = 0; i < count; i++) {
    const value = values[i]!
    if (value !== value && columns.isStale(i)) continue
    const histogram = histograms?.[i]
    if (histogram !== undefined) {
      if (histogram.stale) continue
      window.histogramTimes.push(timesMs[i]!)
      window.histograms.push(histogram)
      if (starts !== undefined) window.histogramStarts!.push(starts[i]!)
      continue
    }
    if (floatStarts !== undefined) floatStarts[out] = starts![i]!
    floatTimes[out] = timesMs[i]!
    floats[out] = value
    if (out > 0 && value < floats[out - 1]!) window.drops.push(out)
    out++
  }
  window.floatCount = out
}

function hasNaN(values: Float64Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (values[i] !== values[i]) return true
  return false
}

async function fillWindowFromRow(window: Window, row: Row, grid: Grid, budget: Budget): Promise<void> {
  window.histogramTimes = []
  window.histograms = []
  window.drops = []
  if (window.floats.length < grid.steps) {
    window.floats = new Float64Array(grid.steps * 2)
    window.floatTimes = new Float64Array(grid.steps * 2)
  }
  window.floatCount = 0
  await eachPiece(grid.steps, unitsOfStep(row), budget, (from, to) => {
    addSteps(window, row, grid, from, to)
  })
}

/**
 * A histogram of a subquery: the one before it there is not the sample that its hint tells of, so counts have to be
 * compared.
 */
function unhinted(histogram: FloatHistogram): FloatHistogram {
  const { hint } = histogram
  return hint === resetHint.noReset || hint === resetHint.reset ? histogram.withHint(resetHint.unknown) : histogram
}

/** Adds the steps [from, to) of a row to the window. */
function addSteps(window: Window, row: Row, grid: Grid, from: number, to: number): void {
  const { floats, floatTimes } = window
  let out = window.floatCount
  for (let step = from; step < to; step++) {
    const atMs = grid.startMs + step * grid.intervalMs
    if (row.present[step] === isFloat) {
      floatTimes[out] = atMs
      floats[out] = row.values[step]!
      if (out > 0 && row.values[step]! < floats[out - 1]!) window.drops.push(out)
      out++
    } else if (row.present[step] === isHistogram) {
      window.histogramTimes.push(atMs)
      window.histograms.push(unhinted(row.histogramAt(step)))
    }
  }
  window.floatCount = out
}
