/** Aggregation operators: rows into groups, step by step, with the groups found once. */
import { keyOfTexts } from '#core/text.ts'
import { assert, unreachable } from '#core/assert.ts'
import { ExecutionError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import type { Aggregate } from '#lang/promql/ast.ts'
import { resetHint, toPlain, type FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { labelHash } from './label-hash.ts'
import type { Annotations } from './annotations.ts'
import { KahanSum, MeanAccumulator } from './kahan.ts'
import { quantileOf } from './quantile.ts'
import { absent, isFloat, isHistogram, Row, RowMerger, type Grid } from './value.ts'

interface Group {
  labels: Labels
  rows: Row[]
}

/** `param`: the scalar parameter at every step; `valueLabel`: the label of count_values. Throws ExecutionError. */
export function aggregate(
  expr: Aggregate,
  rows: Row[],
  param: Float64Array | undefined,
  valueLabel: string,
  grid: Grid,
  annotations: Annotations,
): Row[] {
  if (expr.op === 'count_values') return countValues(expr, rows, valueLabel, grid)
  const groups = groupRows(expr, rows)
  switch (expr.op) {
    case 'topk':
    case 'bottomk':
    case 'limitk':
    case 'limit_ratio':
      return selectRows(expr, groups, rows.length, paramOf(expr, param), grid, annotations)
    case 'sum':
    case 'avg':
    case 'count':
    case 'min':
    case 'max':
    case 'group':
    case 'stddev':
    case 'stdvar':
    case 'quantile': {
      if (expr.op === 'quantile')
        for (const q of paramOf(expr, param))
          if (Number.isNaN(q) || q < 0 || q > 1) annotations.invalidQuantile(q, expr.param ?? expr)
      const out: Row[] = []
      for (const group of groups) {
        const row = new Row(group.labels, group.rows[0]!.dropName, grid.steps)
        fold(expr, group.rows, row, param, annotations)
        if (!row.isEmpty) out.push(row)
      }
      return out
    }
    default:
      return unreachable(expr.op)
  }
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

function groupRows(expr: Aggregate, rows: Row[]): Group[] {
  const labelsOf = groupingLabels(expr)
  const memo = `${expr.without ? 'without' : 'by'} ${keyOfTexts(expr.grouping)}`
  const groups = new Map<string, Group>()
  for (const row of rows) {
    const labels = row.labels.memoized(memo, labelsOf)
    const group = groups.get(labels.key)
    if (group === undefined) groups.set(labels.key, { labels, rows: [row] })
    else group.rows.push(row)
  }
  return [...groups.values()]
}

/** Folds the rows of one group into `out`. */
function fold(expr: Aggregate, rows: Row[], out: Row, param: Float64Array | undefined, annotations: Annotations): void {
  const steps = out.values.length
  switch (expr.op) {
    case 'sum':
      foldSum(expr, rows, out, annotations)
      return
    case 'avg':
      if (rows.every(row => row.histograms === undefined)) averageFloats(rows, out)
      else for (let step = 0; step < steps; step++) foldAverage(expr, rows, out, step, annotations)
      return
    case 'group':
      for (const row of rows)
        for (let step = 0; step < steps; step++) if (row.present[step] !== absent) out.setFloat(step, 1)
      return
    case 'count':
      for (const row of rows) {
        for (let step = 0; step < steps; step++) {
          if (row.present[step] === absent) continue
          out.present[step] = isFloat
          out.values[step]!++
        }
      }
      return
    case 'min':
    case 'max': {
      const max = expr.op === 'max'
      for (const row of rows) {
        for (let step = 0; step < steps; step++) {
          if (row.present[step] === absent) continue
          if (row.present[step] === isHistogram) {
            annotations.histogramIgnoredInAggregation(expr.op, expr.expr)
            continue
          }
          const value = row.values[step]!
          const best = out.values[step]!
          if (out.present[step] === absent) out.setFloat(step, value)
          else if ((max ? best < value : best > value) || best !== best) out.values[step] = value
        }
      }
      return
    }
    case 'stddev':
    case 'stdvar':
      for (let step = 0; step < steps; step++) foldVariance(expr, rows, out, step, annotations)
      return
    case 'quantile': {
      const qs = paramOf(expr, param)
      const values: number[] = []
      for (let step = 0; step < steps; step++) {
        values.length = 0
        for (const row of rows) {
          if (row.present[step] === isFloat) values.push(row.values[step]!)
          else if (row.present[step] === isHistogram) annotations.histogramIgnoredInAggregation('quantile', expr.expr)
        }
        if (values.length > 0) out.setFloat(step, quantileOf(qs[step]!, values))
      }
      return
    }
    default:
      throw new ExecutionError(`${expr.op} does not fold`)
  }
}

function foldSum(expr: Aggregate, rows: Row[], out: Row, annotations: Annotations): void {
  const steps = out.values.length
  if (rows.every(row => row.histograms === undefined)) {
    // All floats: the compensated sum as two columns.
    const sums = out.values
    const compensation = new Float64Array(steps)
    for (const row of rows) {
      const { values, present } = row
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
    }
    for (let step = 0; step < steps; step++) sums[step]! += compensation[step]!
    return
  }
  for (let step = 0; step < steps; step++) {
    const sum = new KahanSum()
    let floats = 0
    let histogram: FloatHistogram | undefined
    let broken = false
    let first = true
    for (const row of rows) {
      if (row.present[step] === isFloat) {
        if (first) sum.sum = row.values[step]!
        else sum.add(row.values[step]!)
        floats++
      } else if (row.present[step] === isHistogram && !broken) {
        const next = row.histogramAt(step)
        if (histogram === undefined) histogram = next.copy()
        else {
          if (histogram.combine(next, 1) !== undefined) {
            annotations.mixedSchemas(row.labels.get(metricName), expr.expr)
            broken = true
          }
        }
      } else continue
      first = false
    }
    if (histogram !== undefined) noteHistograms(expr, rows, step, histogram, annotations)
    emitMixed(expr, out, step, floats, histogram, broken, sum.sum + sum.compensation, annotations)
  }
}

/** Annotates the histograms of one step of a group. */
function noteHistograms(
  expr: Aggregate,
  rows: readonly Row[],
  step: number,
  result: FloatHistogram,
  annotations: Annotations,
): void {
  let reset = false
  let noReset = false
  for (const row of rows) {
    if (row.present[step] !== isHistogram) continue
    const { hint } = row.histogramAt(step)
    if (hint === resetHint.reset) reset = true
    else if (hint === resetHint.noReset) noReset = true
  }
  if (reset && noReset) annotations.counterResetCollision('aggregation', expr.expr)
  if (result.reconciled) annotations.mismatchedBounds('aggregation', expr.expr)
}

function emitMixed(
  expr: Aggregate,
  out: Row,
  step: number,
  floats: number,
  histogram: FloatHistogram | undefined,
  broken: boolean,
  value: number,
  annotations: Annotations,
): void {
  if (floats > 0 && histogram !== undefined) {
    annotations.mixedFloatsHistogramsInAggregation(expr.expr)
    return
  }
  if (broken) return
  if (histogram !== undefined) out.setHistogram(step, histogram.compact())
  else if (floats > 0) out.setFloat(step, value)
}

/** Means of floats, row by row over columns; MeanAccumulator computes a step whose sum overflows. */
function averageFloats(rows: readonly Row[], out: Row): void {
  const steps = out.values.length
  const sums = out.values
  const compensation = new Float64Array(steps)
  const counts = new Float64Array(steps)
  for (const { values, present } of rows) {
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
  }
  for (let step = 0; step < steps; step++) {
    if (counts[step] === 0) continue
    out.present[step] = isFloat
    if (Number.isFinite(sums[step]!)) {
      sums[step] = sums[step]! / counts[step]! + compensation[step]! / counts[step]!
      continue
    }
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
  let histogram: FloatHistogram | undefined
  let count = 0
  let broken = false
  for (const row of rows) {
    if (row.present[step] === isFloat) {
      if (mean === undefined) mean = new MeanAccumulator(row.values[step]!)
      else mean.add(row.values[step]!)
      floats++
    } else if (row.present[step] === isHistogram && !broken) {
      count++
      const next = row.histogramAt(step)
      if (histogram === undefined) {
        histogram = next.copy()
        continue
      }
      const share = next.copy().divide(count)
      const problem = share.combine(histogram.copy().divide(count), -1) ?? histogram.combine(share, 1)
      if (problem !== undefined) {
        annotations.mixedSchemas(row.labels.get(metricName), expr.expr)
        broken = true
      }
      histogram.reconciled ||= share.reconciled
    }
  }
  if (histogram !== undefined) noteHistograms(expr, rows, step, histogram, annotations)
  emitMixed(expr, out, step, floats, histogram, broken, mean?.value ?? 0, annotations)
}

function foldVariance(expr: Aggregate, rows: Row[], out: Row, step: number, annotations: Annotations): void {
  let count = 0
  let mean = 0
  let squares = 0
  for (const row of rows) {
    if (row.present[step] === isHistogram) annotations.histogramIgnoredInAggregation(expr.op, expr.expr)
    if (row.present[step] !== isFloat) continue
    const value = row.values[step]!
    count++
    if (count === 1) {
      mean = value
      squares = Number.isFinite(value) ? 0 : NaN
      continue
    }
    const delta = value - mean
    mean += delta / count
    squares += delta * (value - mean)
  }
  if (count > 0) out.setFloat(step, expr.op === 'stdvar' ? squares / count : Math.sqrt(squares / count))
}

/** topk, bottomk, limitk, limit_ratio: some of the rows, each step on its own. */
function selectRows(
  expr: Aggregate,
  groups: Group[],
  rowCount: number,
  param: Float64Array,
  grid: Grid,
  annotations: Annotations,
): Row[] {
  const merger = new RowMerger(grid.steps)
  const ordered: Row[] = []
  const results = new Map<Row, Row>()
  const take = (row: Row, step: number): void => {
    let result = results.get(row)
    if (result === undefined) {
      results.set(row, (result = new Row(row.labels, row.dropName, grid.steps)))
      ordered.push(result)
    }
    result.copyStep(row, step)
  }
  for (let step = 0; step < grid.steps; step++) {
    const wanted = param[step]!
    if (expr.op === 'limit_ratio') {
      if (Number.isNaN(wanted)) throw new ExecutionError(`Ratio value ${wanted} is NaN`)
      if (wanted < -1 || wanted > 1) annotations.invalidRatio(wanted, Math.sign(wanted), expr.param ?? expr)
      const ratio = Math.max(-1, Math.min(1, wanted))
      if (ratio === 0) continue
      for (const group of groups)
        for (const row of group.rows) if (row.present[step] !== absent && isSampled(row.labels, ratio)) take(row, step)
      continue
    }
    if (!(wanted >= -9223372036854775808 && wanted < 9223372036854775808)) {
      if (groups.length === 0) continue
      throw new ExecutionError(
        `Scalar value ${wanted === Infinity ? '+Inf' : wanted === -Infinity ? '-Inf' : wanted} overflows int64`,
      )
    }
    const k = Math.min(Math.trunc(wanted), rowCount)
    if (k < 1) continue
    for (const group of groups) {
      if (expr.op === 'limitk') {
        let taken = 0
        for (const row of group.rows)
          if (taken < k && row.present[step] !== absent) {
            take(row, step)
            taken++
          }
      } else for (const row of extremes(expr, group.rows, k, step, annotations)) take(row, step)
    }
  }
  if (grid.steps === 1) return ordered
  for (const row of ordered) merger.add(row)
  return merger.rows
}

/** The k largest or smallest floats at a step, the most extreme first, NaN last; ties keep those that came first. */
function extremes(expr: Aggregate, rows: Row[], k: number, step: number, annotations: Annotations): Row[] {
  const sign = expr.op === 'topk' ? -1 : 1
  const found: Row[] = []
  for (const row of rows) {
    if (row.present[step] === isHistogram) annotations.histogramIgnoredInAggregation(expr.op, expr)
    if (row.present[step] === isFloat) found.push(row)
  }
  found.sort((a, b) => {
    const x = a.values[step]!
    const y = b.values[step]!
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
    return x === y ? 0 : sign * (x - y)
  })
  return found.slice(0, k)
}

/**
 * A series is in the sample when its label hash, as a fraction, lies below the ratio (or above 1+ratio for negative
 * ones).
 */
function isSampled(labels: Labels, ratio: number): boolean {
  const offset = labelHash(labels)
  return ratio >= 0 ? offset < ratio : offset >= 1 + ratio
}

function countValues(expr: Aggregate, rows: Row[], valueLabel: string, grid: Grid): Row[] {
  const grouping = expr.without ? expr.grouping : [...expr.grouping, valueLabel]
  const labelsOf = groupingLabels({ ...expr, grouping })
  const merger = new RowMerger(grid.steps)
  for (const row of rows) {
    for (let step = 0; step < grid.steps; step++) {
      if (row.present[step] === absent) continue
      const text = row.present[step] === isFloat ? formatFloat(row.values[step]!) : row.histogramAt(step).toString()
      const result = merger.row(labelsOf(row.labels.with(valueLabel, text)), false)
      result.setFloat(step, (result.present[step] === isFloat ? result.values[step]! : 0) + 1)
    }
  }
  return merger.rows
}

/** Go's FormatFloat(v, 'f', -1, 64). */
export function formatFloat(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return Object.is(value, -0) ? '-0' : toPlain(value)
}
