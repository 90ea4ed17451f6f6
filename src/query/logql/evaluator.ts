/** Metric expressions over all steps at once: aggregation, matching, arithmetic. Source: docs/logs.md. */
import { assert, unreachable } from '#core/assert.ts'
import { BadQueryError, EvaluationError, LimitError } from '#core/errors.ts'
import { compareText } from '#core/text.ts'
import type { BinaryExpr, BinaryOp, Grouping, LabelReplace, MetricExpr, VectorAggregation } from '#lang/logql/ast.ts'
import { foldNumbers, selectorRule } from '#lang/logql/parser.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { expandReplacement } from '#lang/regex/replace.ts'
import { Labels } from '#model/labels.ts'
import type { Budget } from '../budget.ts'
import { evaluateRange, type RangeContext } from './range-aggregation.ts'
import { makeSeries, type Evaluated, type Series, type Vector } from './series.ts'

/** Aggregations of which a sum may be taken line by line. */
const pushable: ReadonlySet<string> = new Set([
  'rate',
  'count_over_time',
  'bytes_over_time',
  'bytes_rate',
  'sum_over_time',
])

/**
 * `isCounted`: whether series that the result is made of count against the limit of series, as they do in Loki where
 * they leave the place that they are made at. Throws ExecutionError where the parts of a query do not fit together,
 * LimitError, TimeoutError, CanceledError.
 */
export async function evaluate(expr: MetricExpr, context: RangeContext, isCounted = true): Promise<Evaluated> {
  const { steps } = context.grid
  switch (expr.kind) {
    case 'number':
      return { kind: 'scalar', value: expr.value }
    case 'vector': {
      const series = makeSeries(Labels.empty, steps)
      series.values.fill(expr.value)
      series.present.fill(1)
      return { kind: 'vector', series: [series] }
    }
    case 'range':
      return { kind: 'vector', series: await evaluateRange(expr, undefined, isCounted, context) }
    case 'aggregation':
      return { kind: 'vector', series: await aggregate(expr, context, isCounted) }
    case 'binary':
      return binary(expr, context)
    case 'label-replace':
      return { kind: 'vector', series: await labelReplace(expr, context) }
    default:
      return unreachable(expr)
  }
}

/** Refused where an aggregation is asked of a number that has no order among others. */
const literalRefused = 'unexpected expr type (*syntax.LiteralExpr) for Evaluator type (*logql.DefaultEvaluator) '
const ordering: ReadonlySet<string> = new Set(['topk', 'bottomk', 'sort', 'sort_desc'])

async function vectorOf({ op, inner }: VectorAggregation, context: RangeContext, isCounted: boolean): Promise<Vector> {
  const result = await evaluate(inner, context, isCounted)
  if (result.kind === 'scalar' && ordering.has(op)) throw new EvaluationError(literalRefused)
  if (result.kind === 'scalar') throw new BadQueryError(`parse error : ${selectorRule}`, 0, 0)
  return result.series
}

/** Units of work (Budget.worked) of a series that is put in order. */
const unitsOfSorted = 32

// --- Aggregation ---

/** Aggregations that are taken where the series are made, so that these never come together. */
const takenEarly: ReadonlySet<string> = new Set(['sum', 'count', 'avg', 'min', 'max'])

/** Do series of the inner expression come together, one by one? */
function countsInner({ op, inner }: VectorAggregation): boolean {
  if (!takenEarly.has(op)) return true
  if (inner.kind === 'range') return false
  return !(op === 'sum' && inner.kind === 'aggregation' && inner.op === 'sum')
}

function checkCount(series: Vector, { seriesMax, onTooManySeries }: RangeContext): Vector {
  if (series.length > seriesMax) onTooManySeries()
  return series
}

async function aggregate(expr: VectorAggregation, context: RangeContext, isCounted: boolean): Promise<Vector> {
  const result = await aggregateAny(expr, context, isCounted)
  return isCounted ? checkCount(result, context) : result
}

async function aggregateAny(expr: VectorAggregation, context: RangeContext, isCounted: boolean): Promise<Vector> {
  const { inner, op } = expr
  const isInnerCounted = countsInner(expr)
  if (op === 'approx_topk') throw new EvaluationError('approx_topk is not enabled. See -limits.shard_aggregations')
  const pushed =
    op === 'sum' && inner.kind === 'range' && pushable.has(inner.op)
      ? (expr.grouping ?? { isWithout: false, labels: [] })
      : undefined
  // Grouped as the sum is, the series of the range are those of the result: one too many is found as it comes.
  const isResult = isCounted && pushed?.isWithout === false && inner.kind === 'range' && inner.grouping === undefined
  const input =
    inner.kind === 'range'
      ? await evaluateRange(inner, pushed, isInnerCounted || isResult, context)
      : await vectorOf(expr, context, isInnerCounted)
  switch (op) {
    case 'sort':
    case 'sort_desc':
      return input
    case 'topk':
    case 'bottomk':
      return selectK(op, expr.parameter ?? 0, expr.grouping, input, context)
    default:
      return combine(op, expr.grouping, input, context)
  }
}

function groupLabels(labels: Labels, grouping: Grouping | undefined): Labels {
  if (grouping === undefined) return Labels.empty
  const names = new Set(grouping.labels)
  return grouping.isWithout ? withoutEmpty(labels.drop(names)) : labels.keep(names)
}

/** Labels without text are shown where nothing but a grouping by them has touched them. */
function withoutEmpty(labels: Labels): Labels {
  for (let i = 1; i < labels.pairs.length; i += 2)
    if (labels.pairs[i] === '') return new Labels(labels.pairs.filter((_, p) => labels.pairs[p | 1] !== ''))
  return labels
}

function groups(input: Vector, grouping: Grouping | undefined): { labels: Labels; members: Series[] }[] {
  const byKey = new Map<string, { labels: Labels; members: Series[] }>()
  for (const series of input) {
    const labels = groupLabels(series.labels, grouping)
    const group = byKey.get(labels.key)
    if (group === undefined) byKey.set(labels.key, { labels, members: [series] })
    else group.members.push(series)
  }
  return [...byKey.values()]
}

async function combine(
  op: 'sum' | 'avg' | 'min' | 'max' | 'count' | 'stddev' | 'stdvar',
  grouping: Grouping | undefined,
  input: Vector,
  { grid: { steps }, budget }: RangeContext,
): Promise<Vector> {
  const result: Vector = []
  for (const { labels, members } of groups(input, grouping)) {
    const out = makeSeries(labels, steps)
    const values: number[] = []
    for (let step = 0; step < steps; step++) {
      values.length = 0
      for (const member of members) if (member.present[step] === 1) values.push(member.values[step]!)
      if (values.length === 0) continue
      out.present[step] = 1
      out.values[step] = reduce(op, values)
      if (budget.worked(4 * members.length)) await budget.pause()
    }
    result.push(out)
  }
  return result
}

function reduce(op: 'sum' | 'avg' | 'min' | 'max' | 'count' | 'stddev' | 'stdvar', values: readonly number[]): number {
  switch (op) {
    case 'count':
      return values.length
    case 'sum':
      return values.reduce((a, b) => a + b, 0)
    case 'avg': {
      let mean = 0
      values.forEach((value, i) => {
        mean += (value - mean) / (i + 1)
      })
      return mean
    }
    case 'min':
      return values.reduce((a, b) => (b < a || Number.isNaN(a) ? b : a))
    case 'max':
      return values.reduce((a, b) => (b > a || Number.isNaN(a) ? b : a))
    default: {
      let mean = 0
      let squares = 0
      values.forEach((value, i) => {
        const delta = value - mean
        mean += delta / (i + 1)
        squares += delta * (value - mean)
      })
      return op === 'stdvar' ? squares / values.length : Math.sqrt(squares / values.length)
    }
  }
}

async function selectK(
  op: 'topk' | 'bottomk',
  k: number,
  grouping: Grouping | undefined,
  input: Vector,
  { grid: { steps }, budget }: RangeContext,
): Promise<Vector> {
  const out = new Map<Series, Series>()
  for (const { members } of groups(input, grouping)) {
    for (let step = 0; step < steps; step++) {
      const there = members.filter(m => m.present[step] === 1)
      const sign = op === 'topk' ? -1 : 1
      there.sort((a, b) => {
        const x = a.values[step]!
        const y = b.values[step]!
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : -1
        return sign * (x - y)
      })
      if (budget.worked(unitsOfSorted * (1 + there.length))) await budget.pause()
      for (const series of there.slice(0, k)) {
        let kept = out.get(series)
        if (kept === undefined) out.set(series, (kept = makeSeries(series.labels, steps)))
        kept.present[step] = 1
        kept.values[step] = series.values[step]!
      }
    }
  }
  return [...out.values()]
}

/** Characters that one label of label_replace may get of its groups. */
const labelCharactersMax = 65_536

function refuseLongLabel(characters: number): void {
  if (characters > labelCharactersMax)
    throw new LimitError(`label_replace makes a value of more than ${labelCharactersMax} characters`, 422)
}

async function labelReplace(expr: LabelReplace, context: RangeContext): Promise<Vector> {
  const result = await evaluate(expr.inner, context)
  if (result.kind === 'scalar') throw new EvaluationError(literalRefused)
  const regex = compileRe2(`^(?s:${expr.regex})$`, expr.regex)
  return result.series.map(series => {
    const labels = withoutEmpty(series.labels)
    const matcher = regex.matcher(labels.get(expr.from))
    if (!matcher.find()) return { ...series, labels }
    const value = expandReplacement(expr.replacement, matcher, refuseLongLabel)
    return { ...series, labels: labels.with(expr.to, value) }
  })
}

// --- Binary operations ---

function compares(op: BinaryOp, left: number, right: number): boolean | undefined {
  switch (op) {
    case '==':
      return left === right
    case '!=':
      return left !== right
    case '>':
      return left > right
    case '>=':
      return left >= right
    case '<':
      return left < right
    case '<=':
      return left <= right
    default:
      return undefined
  }
}

async function binary(expr: BinaryExpr, context: RangeContext): Promise<Evaluated> {
  const isSplit = [expr.left, expr.right].some(leg => leg.kind === 'number' || leg.kind === 'vector')
  const left = await evaluate(expr.left, context, isSplit)
  const right = await evaluate(expr.right, context, isSplit)
  const { op } = expr
  const { budget, grid } = context
  if (left.kind === 'scalar' && right.kind === 'scalar')
    return { kind: 'scalar', value: foldNumbers(op, left.value, right.value) }
  if (left.kind === 'vector' && right.kind === 'vector')
    return {
      kind: 'vector',
      series:
        op === 'and' || op === 'or' || op === 'unless'
          ? await setOperation(expr, op, left.series, right.series, budget)
          : await match(expr, left.series, right.series, grid.steps, budget),
    }
  if (left.kind === 'scalar' && right.kind === 'vector')
    return { kind: 'vector', series: await withScalar(expr, right.series, left.value, true, budget) }
  assert(left.kind === 'vector' && right.kind === 'scalar', 'the sides of an operator are scalars or vectors')
  return { kind: 'vector', series: await withScalar(expr, left.series, right.value, false, budget) }
}

/** A vector and a number, which may stand on the left. Comparisons keep the vector's value. */
async function withScalar(
  { op, isBool }: BinaryExpr,
  vector: Vector,
  scalar: number,
  isScalarLeft: boolean,
  budget: Budget,
): Promise<Vector> {
  return eachSeries(vector, budget, series => {
    const out = makeSeries(series.labels, series.values.length)
    for (let step = 0; step < out.values.length; step++) {
      if (series.present[step] !== 1) continue
      const value = series.values[step]!
      const a = isScalarLeft ? scalar : value
      const b = isScalarLeft ? value : scalar
      const holds = compares(op, a, b)
      if (holds === false && !isBool) continue
      out.values[step] = holds === undefined ? foldNumbers(op, a, b) : isBool ? Number(holds) : value
      out.present[step] = 1
    }
    return out
  })
}

/** What `make` makes of every series; lets other work run in between. */
async function eachSeries(vector: Vector, budget: Budget, make: (series: Series) => Series): Promise<Vector> {
  const result: Vector = []
  for (const series of vector) {
    result.push(make(series))
    if (budget.worked(64 + 2 * series.values.length)) await budget.pause()
  }
  return result
}

/** The text of the labels by which series match. */
function signatureOf(expr: BinaryExpr): (labels: Labels) => string {
  const { matching } = expr
  if (matching === undefined) return labels => labels.key
  const names = new Set(matching.labels)
  return matching.isOn ? labels => labels.keep(names).key : labels => labels.drop(names).key
}

async function setOperation(
  expr: BinaryExpr,
  op: 'and' | 'or' | 'unless',
  left: Vector,
  right: Vector,
  budget: Budget,
): Promise<Vector> {
  const signature = signatureOf(expr)
  const presence = (vector: Vector): Map<string, Uint8Array> => {
    const bySignature = new Map<string, Uint8Array>()
    for (const series of vector) {
      const key = signature(series.labels)
      const known = bySignature.get(key)
      if (known === undefined) bySignature.set(key, series.present.slice())
      else for (let step = 0; step < known.length; step++) known[step]! |= series.present[step]!
    }
    return bySignature
  }
  const keep = (series: Series, other: Uint8Array | undefined, wanted: 0 | 1): Series => {
    const out = makeSeries(series.labels, series.values.length)
    for (let step = 0; step < out.values.length; step++) {
      if (series.present[step] !== 1 || (other?.[step] ?? 0) !== wanted) continue
      out.present[step] = 1
      out.values[step] = series.values[step]!
    }
    return out
  }
  if (op === 'or') {
    const leftSide = presence(left)
    const kept = await eachSeries(right, budget, one => keep(one, leftSide.get(signature(one.labels)), 0))
    const extra = kept.filter(isThere)
    // One label set on both sides is one series, whose steps come from either.
    const merged = new Map(left.map(series => [series.labels.key, series]))
    for (const series of extra) {
      const same = merged.get(series.labels.key)
      if (same === undefined) {
        merged.set(series.labels.key, series)
        continue
      }
      const out = { labels: same.labels, values: same.values.slice(), present: same.present.slice() }
      for (let step = 0; step < out.values.length; step++)
        if (series.present[step] === 1) {
          out.present[step] = 1
          out.values[step] = series.values[step]!
        }
      merged.set(series.labels.key, out)
    }
    return [...merged.values()]
  }
  const rightSide = presence(right)
  const wanted = op === 'and' ? 1 : 0
  const kept = await eachSeries(left, budget, one => keep(one, rightSide.get(signature(one.labels)), wanted))
  return kept.filter(isThere)
}

function isThere(series: Series): boolean {
  return series.present.includes(1)
}

async function match(expr: BinaryExpr, left: Vector, right: Vector, steps: number, budget: Budget): Promise<Vector> {
  const { op, isBool, matching } = expr
  const signature = signatureOf(expr)
  const isManyRight = matching?.group === 'right'
  const many = isManyRight ? right : left
  const one = isManyRight ? left : right
  const bySignature = new Map<string, Series[]>()
  for (const series of one) {
    const key = signature(series.labels)
    const list = bySignature.get(key)
    if (list === undefined) bySignature.set(key, [series])
    else list.push(series)
  }
  refuseDuplicates(bySignature, steps, isManyRight)
  const results = new Map<string, Series>()
  /** By result and step: 1 once it has a value. */
  for (const series of many) {
    const partners = bySignature.get(signature(series.labels))
    if (partners === undefined) continue
    for (let step = 0; step < steps; step++) {
      if (budget.worked(8 + 8 * partners.length)) await budget.pause()
      if (series.present[step] !== 1) continue
      const there = partners.filter(p => p.present[step] === 1)
      if (there.length === 0) continue
      const partner = there[0]!
      const a = isManyRight ? partner.values[step]! : series.values[step]!
      const b = isManyRight ? series.values[step]! : partner.values[step]!
      const holds = compares(op, a, b)
      let value: number
      if (holds === undefined) value = foldNumbers(op, a, b)
      else if (isBool) value = holds ? 1 : 0
      else if (holds) value = a
      else continue
      const labels = withoutEmpty(resultLabels(expr, series.labels, partner.labels))
      let out = results.get(labels.key)
      if (out === undefined) results.set(labels.key, (out = makeSeries(labels, steps)))
      if (out.present[step] === 1)
        throw new EvaluationError(
          matching?.group === undefined
            ? 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)'
            : 'multiple matches for labels: grouping labels must ensure unique matches',
        )
      out.present[step] = 1
      out.values[step] = value
    }
  }
  return [...results.values()]
}

/** On the one side of an operator each series has its own labels to match by, whether any on the other has them. */
function refuseDuplicates(one: ReadonlyMap<string, Series[]>, steps: number, isManyRight: boolean): void {
  for (const same of one.values())
    for (let step = 0; same.length > 1 && step < steps; step++)
      if (same.filter(s => s.present[step] === 1).length > 1)
        throw new EvaluationError(
          `found duplicate series on the ${isManyRight ? 'left' : 'right'} hand-side;many-to-many matching not ` +
            'allowed: matching labels must be unique on one side',
        )
}

function resultLabels({ matching }: BinaryExpr, many: Labels, one: Labels): Labels {
  if (matching === undefined) return many
  const names = new Set(matching.labels)
  if (matching.group === undefined) return matching.isOn ? many.keep(names) : many.drop(names)
  let labels = many
  for (const name of matching.include) labels = labels.with(name, one.get(name))
  return labels
}

/** The order that a query names, if it does. */
export function hasSort(expr: MetricExpr): 'sort' | 'sort_desc' | undefined {
  switch (expr.kind) {
    case 'aggregation':
      return expr.op === 'sort' || expr.op === 'sort_desc' ? expr.op : hasSort(expr.inner)
    case 'binary':
      return hasSort(expr.left) ?? hasSort(expr.right)
    case 'label-replace':
      return hasSort(expr.inner)
    default:
      return undefined
  }
}

/** By names and values in turn: a set that ends sorts before one that goes on. */
export function compareSeries({ labels: a }: Series, { labels: b }: Series): number {
  const length = Math.min(a.pairs.length, b.pairs.length)
  for (let i = 0; i < length; i++) if (a.pairs[i] !== b.pairs[i]) return compareText(a.pairs[i]!, b.pairs[i]!)
  return a.pairs.length - b.pairs.length
}

/** By the text of their labels: a set that goes on sorts before one that ends. */
export function compareSeriesText(a: Series, b: Series): number {
  return compareText(a.labels.toString(), b.labels.toString())
}
