/** Aggregation operators: rows into groups, step by step, with the groups found once. */
import { keyOfTexts } from '#core/text.ts'
import { assert, unreachable } from '#core/assert.ts'
import { ExecutionError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import { unwrap, type Aggregate } from '#lang/promql/ast.ts'
import { formatG, resetHint, toPlain } from '#model/histogram.ts'
import { HistogramMean, HistogramSum } from '#model/histogram-sum.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import type { Budget } from '../budget.ts'
import { selectNth } from '../order-statistic.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { eachRow } from './evaluation.ts'
import { labelHash } from './label-hash.ts'
import type { Annotations } from './annotations.ts'
import { KahanSum, MeanAccumulator } from './kahan.ts'
import { greater, lesser } from './math.ts'
import { quantileOf } from './quantile.ts'
import { absent, isFloat, isHistogram, Row, RowMerger, unitsOfRow, type Grid } from './value.ts'

interface Group {
  labels: Labels
  rows: Row[]
}

/**
 * `param`: the scalar parameter at every step; `valueLabel`: the label of count_values. The rows that it makes are
 * counted in the budget. Throws ExecutionError, and LimitError where there are too many.
 */
export async function aggregate(
  expr: Aggregate,
  rows: Row[],
  param: Float64Array | undefined,
  valueLabel: string,
  grid: Grid,
  annotations: Annotations,
  budget: Budget,
): Promise<Row[]> {
  if (expr.op === 'count_values') return countValues(expr, rows, valueLabel, grid, budget)
  if (grid.steps > 1 && takesFirst(expr)) rows = await inOrder(rows, budget)
  const groups = await groupRows(expr, rows, budget)
  switch (expr.op) {
    case 'topk':
    case 'bottomk':
      return extremeRows(expr, groups, rows.length, paramOf(expr, param), grid, annotations, budget)
    case 'limitk':
    case 'limit_ratio':
      return limitedRows(expr, groups, rows.length, paramOf(expr, param), grid, annotations, budget)
    case 'sum':
    case 'avg':
    case 'count':
    case 'min':
    case 'max':
    case 'group':
    case 'stddev':
    case 'stdvar':
    case 'quantile': {
      if (expr.op === 'quantile') noteQuantiles(expr, paramOf(expr, param), annotations)
      const out: Row[] = []
      for (const group of groups) {
        budget.take(grid.steps)
        const row = new Row(group.labels, dropsName(group.rows, grid.steps), grid.steps)
        await fold(expr, group.rows, row, param, annotations, budget)
        if (row.isEmpty) budget.give(grid.steps)
        else out.push(row)
        if (budget.worked(unitsOfRow + grid.steps)) await budget.pause()
      }
      return out
    }
    default:
      return unreachable(expr.op)
  }
}

/** Does it depend on the order of rows which of them it takes? Of those that are equally extreme, the first. */
function takesFirst({ op }: Aggregate): boolean {
  return op === 'topk' || op === 'bottomk' || op === 'limitk'
}

/**
 * Rows by their labels, as series of the store are: the order of others goes by what there was at the first steps, and
 * which rows are taken at a step may not.
 */
async function inOrder(rows: Row[], budget: Budget): Promise<Row[]> {
  const compare = (a: Row, b: Row): number => compareLabels(a.labels, b.labels)
  for (let i = 1; i < rows.length; i++) {
    if (budget.worked(unitsOfComparison)) await budget.pause()
    if (compare(rows[i - 1]!, rows[i]!) <= 0) continue
    const ordered = [...rows]
    await pacedSort(ordered, compare, budget)
    return ordered
  }
  return rows
}

/** Annotates the most extreme of the quantiles that are none. */
function noteQuantiles(expr: Aggregate, param: Float64Array, annotations: Annotations): void {
  const { least, most, hasNaN } = extentOf(param)
  const at = expr.param ?? expr
  if (hasNaN) annotations.invalidQuantile(NaN, at)
  if (most > 1) annotations.invalidQuantile(most, at)
  if (least < 0) annotations.invalidQuantile(least, at)
  // Beside NaN no other is named.
  if ((hasNaN || most > 1 || least < 0) && unwrap(at).kind !== 'number') annotations.extremeNamed()
}

/** Is the name of a group's result to be removed? As at the last step that has a sample, where rows differ. */
function dropsName(rows: readonly Row[], steps: number): boolean {
  const { dropName } = rows[0]!
  if (rows.every(row => row.dropName === dropName)) return dropName
  for (let step = steps - 1; step >= 0; step--) {
    const there = rows.filter(row => row.present[step] !== absent)
    if (there.length > 0) return there.some(row => row.dropName)
  }
  return dropName
}

/** The least and the greatest value of a parameter over all steps; NaN where one of them is NaN. */
function extentOf(param: Float64Array): { least: number; most: number; hasNaN: boolean } {
  let least = Number.MAX_VALUE
  let most = -Number.MAX_VALUE
  for (const value of param) {
    least = lesser(least, value)
    most = greater(most, value)
  }
  return { least, most, hasNaN: param.some(Number.isNaN) }
}

/** The parameter at every step; the parser gives one to the operators that need it. */
function paramOf(expr: Aggregate, param: Float64Array | undefined): Float64Array {
  assert(param !== undefined, `${expr.op} was parsed without its parameter`)
  return param
}

function groupingLabels(expr: Aggregate): (labels: Labels) => Labels {
  if (expr.without) {
    const names = new Set([...expr.grouping, metricName])
    return labels => labels.drop(names)
  }
  if (expr.grouping.length === 0) return () => Labels.empty
  const names = new Set(expr.grouping)
  return labels => labels.keep(names)
}

async function groupRows(expr: Aggregate, rows: Row[], budget: Budget): Promise<Group[]> {
  const labelsOf = groupingLabels(expr)
  const memo = `${expr.without ? 'without' : 'by'} ${keyOfTexts(expr.grouping)}`
  const groups = new Map<string, Group>()
  for (const row of rows) {
    const labels = row.labels.memoized(memo, labelsOf)
    const group = groups.get(labels.key)
    if (group === undefined) groups.set(labels.key, { labels, rows: [row] })
    else group.rows.push(row)
    if (budget.worked(unitsOfRow)) await budget.pause()
  }
  return [...groups.values()]
}

/** Folds the rows of one group into `out`. */
async function fold(
  expr: Aggregate,
  rows: Row[],
  out: Row,
  param: Float64Array | undefined,
  annotations: Annotations,
  budget: Budget,
): Promise<void> {
  const steps = out.values.length
  switch (expr.op) {
    case 'sum':
      await foldSum(expr, rows, out, annotations, budget)
      return
    case 'avg':
      if (rows.every(row => row.histograms === undefined)) await averageFloats(rows, out, budget)
      else
        await eachStep(steps, rows.length, budget, step => {
          foldAverage(expr, rows, out, step, annotations)
        })
      return
    case 'group':
      await eachRow(rows, budget, row => {
        for (let step = 0; step < steps; step++) if (row.present[step] !== absent) out.setFloat(step, 1)
      })
      return
    case 'count':
      await eachRow(rows, budget, row => {
        for (let step = 0; step < steps; step++) {
          if (row.present[step] === absent) continue
          out.present[step] = isFloat
          out.values[step]!++
        }
      })
      return
    case 'min':
    case 'max':
      await eachRow(rows, budget, row => {
        foldExtreme(expr, row, out, annotations)
      })
      return
    case 'stddev':
    case 'stdvar':
      await foldVariance(expr, rows, out, annotations, budget)
      return
    case 'quantile':
      await foldQuantile(expr, rows, out, paramOf(expr, param), annotations, budget)
      return
    default:
      throw new ExecutionError(`${expr.op} does not fold`)
  }
}

/** Calls `work` for every step, which looks at so many rows, and lets other work run in between. */
async function eachStep(steps: number, rows: number, budget: Budget, work: (step: number) => void): Promise<void> {
  for (let step = 0; step < steps; step++) {
    work(step)
    if (budget.worked(rows)) await budget.pause()
  }
}

function foldExtreme(expr: Aggregate, row: Row, out: Row, annotations: Annotations): void {
  const isMax = expr.op === 'max'
  for (let step = 0; step < out.values.length; step++) {
    if (row.present[step] === absent) continue
    if (row.present[step] === isHistogram) {
      annotations.histogramIgnoredInAggregation(expr.op, expr.expr)
      continue
    }
    const value = row.values[step]!
    const best = out.values[step]!
    if (out.present[step] === absent) out.setFloat(step, value)
    else if ((isMax ? best < value : best > value) || best !== best) out.values[step] = value
  }
}

async function foldQuantile(
  expr: Aggregate,
  rows: readonly Row[],
  out: Row,
  qs: Float64Array,
  annotations: Annotations,
  budget: Budget,
): Promise<void> {
  const values = new Float64Array(rows.length)
  for (let step = 0; step < out.values.length; step++) {
    let count = 0
    for (const row of rows) {
      if (row.present[step] === isFloat) values[count++] = row.values[step]!
      else if (row.present[step] === isHistogram) annotations.histogramIgnoredInAggregation('quantile', expr.expr)
    }
    if (count > 0) out.setFloat(step, quantileOf(qs[step]!, values, count))
    if (budget.worked(4 * rows.length)) await budget.pause()
  }
}

async function foldSum(
  expr: Aggregate,
  rows: Row[],
  out: Row,
  annotations: Annotations,
  budget: Budget,
): Promise<void> {
  const steps = out.values.length
  if (rows.every(row => row.histograms === undefined)) {
    // All floats: the compensated sum as two columns.
    const sums = out.values
    const compensation = new Float64Array(steps)
    await eachRow(rows, budget, ({ values, present }) => {
      for (let step = 0; step < steps; step++) {
        if (present[step] === absent) continue
        if (out.present[step] === absent) {
          out.present[step] = isFloat
          sums[step] = values[step]!
          continue
        }
        const value = values[step]!
        const sum = sums[step]!
        const total = sum + value
        if (total === Infinity || total === -Infinity) compensation[step] = 0
        else if (Math.abs(sum) >= Math.abs(value)) compensation[step]! += sum - total + value
        else compensation[step]! += value - total + sum
        sums[step] = total
      }
    })
    for (let step = 0; step < steps; step++) sums[step]! += compensation[step]!
    return
  }
  for (let step = 0; step < steps; step++) {
    if (budget.worked(unitsOfHistogram * rows.length)) await budget.pause()
    const sum = new KahanSum()
    let floats = 0
    let histograms: HistogramSum | undefined
    let isMixed = false
    let broken = false
    let first = true
    for (const row of rows) {
      if (broken) break
      if (row.present[step] === isFloat) {
        if (first) sum.sum = row.values[step]!
        else sum.add(row.values[step]!)
        floats++
      } else if (row.present[step] === isHistogram) {
        const next = row.histogramAt(step)
        // Behind a float nothing comes of histograms any more.
        if (histograms === undefined && floats > 0) isMixed = true
        else if (histograms === undefined) histograms = new HistogramSum(next)
        else if (histograms.add(next) !== undefined) {
          annotations.mixedSchemas(row.labels.get(metricName), expr.expr)
          broken = true
        }
      } else continue
      first = false
    }
    const result = { floats, value: sum.sum + sum.compensation, histograms, isMixed, broken }
    emitMixed(expr, rows, out, step, result, annotations)
  }
}

/** Have some of the histograms of a step been reset, by their hints, and others not? */
function resetsCollide(rows: readonly Row[], step: number): boolean {
  let reset = false
  let noReset = false
  for (const row of rows) {
    if (row.present[step] !== isHistogram) continue
    const { hint } = row.histogramAt(step)
    if (hint === resetHint.reset) reset = true
    else if (hint === resetHint.noReset) noReset = true
  }
  return reset && noReset
}

/**
 * What the samples of one step of a group came to. `broken`: its histograms could not be combined; `isMixed`: there are
 * some that were not.
 */
interface MixedResult {
  isMixed: boolean
  floats: number
  value: number
  histograms: HistogramSum | HistogramMean | undefined
  broken: boolean
}

function emitMixed(
  expr: Aggregate,
  rows: readonly Row[],
  out: Row,
  step: number,
  { floats, value, histograms, isMixed, broken }: MixedResult,
  annotations: Annotations,
): void {
  if (histograms?.reconciled === true) annotations.mismatchedBounds('aggregation', expr.expr)
  if (floats > 0 && (isMixed || histograms !== undefined)) {
    annotations.mixedFloatsHistogramsInAggregation(expr.expr)
    return
  }
  if (broken) return
  if (histograms === undefined) {
    if (floats > 0) out.setFloat(step, value)
    return
  }
  if (resetsCollide(rows, step)) annotations.counterResetCollision('aggregation', expr.expr)
  out.setHistogram(step, histograms.finish().compact())
}

/** Means of floats, row by row over columns; MeanAccumulator computes a step whose sum overflows. */
async function averageFloats(rows: readonly Row[], out: Row, budget: Budget): Promise<void> {
  const steps = out.values.length
  const sums = out.values
  const compensation = new Float64Array(steps)
  const counts = new Float64Array(steps)
  await eachRow(rows, budget, ({ values, present }) => {
    for (let step = 0; step < steps; step++) {
      if (present[step] === absent) continue
      const value = values[step]!
      if (counts[step]!++ === 0) {
        sums[step] = value
        continue
      }
      const sum = sums[step]!
      const total = sum + value
      if (Math.abs(sum) >= Math.abs(value)) compensation[step]! += sum - total + value
      else compensation[step]! += value - total + sum
      sums[step] = total
    }
  })
  for (let step = 0; step < steps; step++) {
    if (counts[step] === 0) continue
    out.present[step] = isFloat
    if (Number.isFinite(sums[step]!)) {
      sums[step] = sums[step]! / counts[step]! + compensation[step]! / counts[step]!
      continue
    }
    if (budget.worked(rows.length)) await budget.pause()
    let mean: MeanAccumulator | undefined
    for (const row of rows) {
      if (row.present[step] === absent) continue
      if (mean === undefined) mean = new MeanAccumulator(row.values[step]!)
      else mean.add(row.values[step]!)
    }
    sums[step] = mean === undefined ? NaN : mean.value
  }
}

function foldAverage(expr: Aggregate, rows: Row[], out: Row, step: number, annotations: Annotations): void {
  let mean: MeanAccumulator | undefined
  let floats = 0
  let histograms: HistogramMean | undefined
  let isMixed = false
  let broken = false
  for (const row of rows) {
    if (broken) break
    if (row.present[step] === isFloat) {
      if (mean === undefined) mean = new MeanAccumulator(row.values[step]!)
      else mean.add(row.values[step]!)
      floats++
    } else if (row.present[step] === isHistogram) {
      const next = row.histogramAt(step)
      if (histograms === undefined && floats > 0) isMixed = true
      else if (histograms === undefined) histograms = new HistogramMean(next)
      else if (histograms.add(next) !== undefined) {
        annotations.mixedSchemas(row.labels.get(metricName), expr.expr)
        broken = true
      }
    }
  }
  emitMixed(expr, rows, out, step, { floats, value: mean?.value ?? 0, histograms, isMixed, broken }, annotations)
}

/** By Welford's method, row by row over columns. */
async function foldVariance(
  expr: Aggregate,
  rows: readonly Row[],
  out: Row,
  annotations: Annotations,
  budget: Budget,
): Promise<void> {
  const steps = out.values.length
  const counts = new Float64Array(steps)
  const means = new Float64Array(steps)
  const squares = new Float64Array(steps)
  await eachRow(rows, budget, ({ present, values }) => {
    for (let step = 0; step < steps; step++) {
      if (present[step] === isHistogram) annotations.histogramIgnoredInAggregation(expr.op, expr.expr)
      if (present[step] !== isFloat) continue
      const value = values[step]!
      const count = ++counts[step]!
      if (count === 1) {
        means[step] = value
        squares[step] = Number.isFinite(value) ? 0 : NaN
        continue
      }
      const delta = value - means[step]!
      means[step]! += delta / count
      squares[step]! += delta * (value - means[step]!)
    }
  })
  for (let step = 0; step < steps; step++) {
    if (counts[step] === 0) continue
    const variance = squares[step]! / counts[step]!
    out.setFloat(step, expr.op === 'stdvar' ? variance : Math.sqrt(variance))
  }
}

/** Rows of which some steps are chosen, in the order in which they were chosen first. */
class ChosenRows {
  readonly #steps: number
  readonly #budget: Budget
  readonly #rows: readonly Row[]
  readonly #results: (Row | undefined)[] = []
  readonly #ordered: Row[] = []

  constructor(rows: readonly Row[], steps: number, budget: Budget) {
    this.#rows = rows
    this.#steps = steps
    this.#budget = budget
    for (let i = 0; i < rows.length; i++) this.#results.push(undefined)
  }

  has(i: number): boolean {
    return this.#results[i] !== undefined
  }

  take(i: number, step: number): void {
    let result = this.#results[i]
    const row = this.#rows[i]!
    if (result === undefined) {
      this.#budget.take(this.#steps)
      result = this.#results[i] = new Row(row.labels, row.dropName, this.#steps)
      this.#ordered.push(result)
    }
    result.copyStep(row, step)
  }

  async finish(): Promise<Row[]> {
    if (this.#steps === 1) return this.#ordered
    const merger = new RowMerger(this.#steps)
    await eachRow(this.#ordered, this.#budget, row => {
      merger.add(row)
    })
    return merger.rows
  }
}

/** The rows of all groups one behind the other, and where each group begins. */
function inGroups(groups: readonly Group[]): { rows: Row[]; from: number[] } {
  const rows: Row[] = []
  const from = [0]
  for (const group of groups) {
    for (const row of group.rows) rows.push(row)
    from.push(rows.length)
  }
  return { rows, from }
}

/** The smallest and the largest parameter that stand for a count of rows: between them int64 holds them exactly. */
const countMin = -9223372036854775808
const countMax = 9223372036854774784

/** Throws ExecutionError for a parameter that is no count of rows, unless none of them asks for a row. */
function checkCounts(param: Float64Array): void {
  const { least, most, hasNaN } = extentOf(param)
  if (most < 1) return
  if (hasNaN) throw new ExecutionError('Parameter value is NaN')
  if (least <= countMin) throw new ExecutionError(`Scalar value ${formatG(least)} underflows int64`)
  if (most >= countMax) throw new ExecutionError(`Scalar value ${formatG(most)} overflows int64`)
}

/** Throws ExecutionError for a ratio that is NaN, and annotates those that are none. */
function checkRatios(expr: Aggregate, param: Float64Array, annotations: Annotations): void {
  const { least, most, hasNaN } = extentOf(param)
  if (hasNaN) throw new ExecutionError('Ratio value is NaN')
  const at = expr.param ?? expr
  if (most > 1) annotations.invalidRatio(most, 1, at)
  if (least < -1) annotations.invalidRatio(least, -1, at)
  if ((most > 1 || least < -1) && unwrap(at).kind !== 'number') annotations.extremeNamed()
}

/** limitk, limit_ratio: some of the rows, each step on its own. */
async function limitedRows(
  expr: Aggregate,
  groups: Group[],
  rowCount: number,
  param: Float64Array,
  grid: Grid,
  annotations: Annotations,
  budget: Budget,
): Promise<Row[]> {
  const { rows, from } = inGroups(groups)
  const chosen = new ChosenRows(rows, grid.steps, budget)
  if (expr.op === 'limit_ratio') checkRatios(expr, param, annotations)
  else checkCounts(param)
  const offsets = expr.op === 'limit_ratio' ? await sampleOffsets(rows, budget) : undefined
  for (let step = 0; step < grid.steps; step++) {
    const wanted = param[step]!
    if (offsets !== undefined) {
      const ratio = Math.max(-1, Math.min(1, wanted))
      if (ratio !== 0)
        for (let i = 0; i < rows.length; i++)
          if (rows[i]!.present[step] !== absent && isSampled(offsets[i]!, ratio)) chosen.take(i, step)
    } else {
      const k = Math.min(Math.trunc(wanted), rowCount)
      for (let g = 0; g < groups.length; g++) {
        let taken = 0
        for (let i = from[g]!; i < from[g + 1]! && taken < k; i++)
          if (rows[i]!.present[step] !== absent) {
            chosen.take(i, step)
            taken++
          }
      }
    }
    if (budget.worked(rows.length)) await budget.pause()
  }
  return chosen.finish()
}

async function sampleOffsets(rows: readonly Row[], budget: Budget): Promise<Float64Array> {
  const offsets = new Float64Array(rows.length)
  for (let i = 0; i < rows.length; i++) {
    offsets[i] = labelHash(rows[i]!.labels)
    if (budget.worked(unitsOfHash)) await budget.pause()
  }
  return offsets
}

/**
 * topk, bottomk: the k largest or smallest floats of each step and group, the most extreme first, NaN last; ties keep
 * those that came first. Only rows that were not chosen at a step before are put in order.
 */
async function extremeRows(
  expr: Aggregate,
  groups: Group[],
  rowCount: number,
  param: Float64Array,
  grid: Grid,
  annotations: Annotations,
  budget: Budget,
): Promise<Row[]> {
  const { rows, from } = inGroups(groups)
  const chosen = new ChosenRows(rows, grid.steps, budget)
  checkCounts(param)
  const found = new Extremes(rows, expr.op === 'topk')
  for (let step = 0; step < grid.steps; step++) {
    const k = Math.min(Math.trunc(param[step]!), rowCount)
    if (k < 1) continue
    for (let g = 0; g < groups.length; g++) {
      const first = from[g]!
      const end = from[g + 1]!
      for (let i = first; i < end; i++)
        if (rows[i]!.present[step] === isHistogram) annotations.histogramIgnoredInAggregation(expr.op, expr)
      found.choose(first, end, step, k)
      const fresh: number[] = []
      for (let n = 0; n < found.count; n++) {
        const i = found.chosen[n]!
        if (chosen.has(i)) chosen.take(i, step)
        else fresh.push(i)
      }
      await pacedSort(fresh, found.compare, budget)
      for (const i of fresh) chosen.take(i, step)
      if (budget.worked(4 * (end - first))) await budget.pause()
    }
  }
  return chosen.finish()
}

/** Chooses the most extreme floats of one step among some rows. */
class Extremes {
  readonly #rows: readonly Row[]
  readonly #isTop: boolean
  readonly #keys: Float64Array
  readonly #scratch: Float64Array
  /** Numbers of the rows that were chosen last, ascending. */
  readonly chosen: Uint32Array
  count = 0

  constructor(rows: readonly Row[], isTop: boolean) {
    this.#rows = rows
    this.#isTop = isTop
    this.#keys = new Float64Array(rows.length)
    this.#scratch = new Float64Array(rows.length)
    this.chosen = new Uint32Array(rows.length)
  }

  /** By value, the most extreme first, NaN last; equal ones as they came. */
  readonly compare = (a: number, b: number): number => {
    const x = this.#keys[a]!
    const y = this.#keys[b]!
    if (x !== x || y !== y) return Number(x !== x) - Number(y !== y) || a - b
    return x === y ? a - b : x - y
  }

  /** Among the rows [first, end). */
  choose(first: number, end: number, step: number, k: number): void {
    const keys = this.#keys
    const scratch = this.#scratch
    let floats = 0
    let numbers = 0
    for (let i = first; i < end; i++) {
      const row = this.#rows[i]!
      if (row.present[step] !== isFloat) continue
      const value = row.values[step]!
      // Smaller keys are more extreme.
      const key = this.#isTop ? -value : value
      keys[i] = key
      this.chosen[floats++] = i
      if (key === key) scratch[numbers++] = key
    }
    this.count = Math.min(k, floats)
    if (k < floats) this.#keepBest(floats, numbers, k)
  }

  /** Keeps those of the chosen ones that stand among the first k in order. */
  #keepBest(floats: number, numbers: number, k: number): void {
    const edge = k <= numbers ? selectNth(this.#scratch, k - 1, 0, numbers) : NaN
    let better = 0
    for (let n = 0; n < floats; n++) if (this.#keys[this.chosen[n]!]! < edge) better++
    // Of those at the edge (NaN, where all numbers are in) the first ones are in.
    let atEdge = k - (edge === edge ? better : numbers)
    let kept = 0
    for (let n = 0; n < floats; n++) {
      const i = this.chosen[n]!
      const key = this.#keys[i]!
      const isBetter = edge === edge ? key < edge : key === key
      const isAtEdge = edge === edge ? key === edge : key !== key
      if (isBetter || (isAtEdge && atEdge-- > 0)) this.chosen[kept++] = i
    }
  }
}

/**
 * A series is in the sample when its label hash, as a fraction, lies below the ratio (or above 1+ratio for negative
 * ones).
 */
function isSampled(offset: number, ratio: number): boolean {
  return ratio >= 0 ? offset < ratio : offset >= 1 + ratio
}

/** The result rows of one group of rows, by their value: texts and labels are made once for each value. */
class ValueRows {
  readonly #make: (text: string) => Row
  readonly #byFloat = new Map<number, Row>()
  readonly #byText = new Map<string, Row>()

  constructor(make: (text: string) => Row) {
    this.#make = make
  }

  float(value: number): Row {
    // A map takes -0 for 0.
    if (value === 0) return this.text(formatFloat(value))
    let row = this.#byFloat.get(value)
    if (row === undefined) this.#byFloat.set(value, (row = this.text(formatFloat(value))))
    return row
  }

  text(text: string): Row {
    let row = this.#byText.get(text)
    if (row === undefined) this.#byText.set(text, (row = this.#make(text)))
    return row
  }
}

async function countValues(
  expr: Aggregate,
  rows: Row[],
  valueLabel: string,
  grid: Grid,
  budget: Budget,
): Promise<Row[]> {
  const grouping = expr.without ? expr.grouping : [...expr.grouping, valueLabel]
  const labelsOf = groupingLabels({ ...expr, grouping })
  const merger = new RowMerger(grid.steps)
  const groups = new Map<string, ValueRows>()
  let made = 0
  for (const row of rows) {
    const base = labelsOf(row.labels.with(valueLabel, ''))
    let group = groups.get(base.key)
    if (group === undefined) {
      const make = (text: string): Row => {
        const result = merger.row(labelsOf(row.labels.with(valueLabel, text)), false)
        if (merger.size > made) {
          made = merger.size
          budget.take(grid.steps)
          budget.takeBytes(bytesOfValueRow + 2 * text.length)
        }
        return result
      }
      groups.set(base.key, (group = new ValueRows(make)))
    }
    for (let step = 0; step < grid.steps; step++) {
      if (row.present[step] === absent) continue
      const isOne = row.present[step] === isFloat
      const result = isOne ? group.float(row.values[step]!) : group.text(row.histogramAt(step).toString())
      result.setFloat(step, (result.present[step] === isFloat ? result.values[step]! : 0) + 1)
      if (budget.worked(unitsOfValue)) await budget.pause()
    }
    if (budget.worked(unitsOfRow)) await budget.pause()
  }
  return merger.rows
}

/**
 * Units of work (Budget.worked) of a histogram that is added, of a label set that is hashed, of two that are compared,
 * of a value that is looked up.
 */
const unitsOfHistogram = 16
const unitsOfHash = 512
const unitsOfComparison = 4
const unitsOfValue = 16
/** Memory of a result of count_values beside its samples: labels, texts, entries of two tables. */
const bytesOfValueRow = 400

/** Go's FormatFloat(v, 'f', -1, 64). */
export function formatFloat(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return Object.is(value, -0) ? '-0' : toPlain(value)
}
