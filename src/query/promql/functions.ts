/** Functions over instant vectors and scalars. Those over ranges are in range-functions.ts. */
import { addAll } from '#core/lists.ts'
import { BadRegexError, compileRe2 } from '#lang/regex/regex.ts'
import { ExecutionError } from '#core/errors.ts'
import { bucketLabel, metricName } from '#core/names.ts'
import { compareText } from '#core/text.ts'
import type { Call, Expr } from '#lang/promql/ast.ts'
import type { FunctionName } from '#lang/promql/functions.ts'
import { formatG, type FloatHistogram } from '#model/histogram.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import type { Budget } from '../budget.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { absentFrom, argumentOf, eachPiece, eachRow, textOf, type Evaluation } from './evaluation.ts'
import { absentLabels } from './prepare.ts'
import { goDate } from './go-calendar.ts'
import { KahanSum } from './kahan.ts'
import { greater, lesser, log, log10, log2 } from './math.ts'
import {
  classicFraction,
  classicQuantile,
  coalesce,
  nativeFraction,
  nativeQuantile,
  type ClassicBuckets,
} from './quantile.ts'
import { isRangeFunction, type RangeFunctionName } from './range-functions.ts'
import {
  absent,
  isFloat,
  isHistogram,
  Row,
  RowMerger,
  RowRoom,
  unitsOfHistogram,
  unitsOfRow,
  type Value,
} from './value.ts'

type InstantFunction = (evaluator: Evaluation, call: Call) => Promise<Value>
/** Functions that the evaluator calls itself. */
type Elsewhere = RangeFunctionName | 'info'

/** Units of work (Budget.worked) of a label that is made. */
const unitsOfLabel = 64
/** Characters that one label of label_replace() may get of its groups. */
const labelCharactersMax = 65_536

const vector = (rows: Row[]): Value => ({ kind: 'vector', rows })

/** Applies `f` to every float; histograms are left out. */
async function mapFloats(
  rows: readonly Row[],
  budget: Budget,
  f: (value: number, step: number) => number,
): Promise<Row[]> {
  const out: Row[] = []
  const room = new RowRoom()
  for (const row of rows) {
    const steps = row.values.length
    const result = new Row(row.labels, true, steps, room)
    let any = false
    const working = eachPiece(steps, 2, budget, (from, to) => {
      if (mapSteps(row, f, result, from, to)) any = true
    })
    if (working !== undefined) await working
    if (any) out.push(result)
    else room.giveBack(result)
  }
  return out
}

/** Maps the floats of the steps [from, to); whether there are any. */
function mapSteps(
  row: Row,
  f: (value: number, step: number) => number,
  result: Row,
  from: number,
  to: number,
): boolean {
  const { present, values } = row
  let any = false
  for (let step = from; step < to; step++) {
    if (present[step] !== isFloat) continue
    result.present[step] = isFloat
    result.values[step] = f(values[step]!, step)
    any = true
  }
  return any
}

async function mapHistograms(
  rows: readonly Row[],
  budget: Budget,
  f: (histogram: FloatHistogram) => number,
): Promise<Row[]> {
  const out: Row[] = []
  for (const row of rows) {
    if (row.histograms === undefined) continue
    const result = new Row(row.labels, true, row.values.length)
    await eachPiece(row.values.length, unitsOfHistogram, budget, (from, to) => {
      for (let step = from; step < to; step++)
        if (row.present[step] === isHistogram) result.setFloat(step, f(row.histogramAt(step)))
    })
    if (!result.isEmpty) out.push(result)
  }
  return out
}

const math =
  (f: (value: number) => number): InstantFunction =>
  async (evaluator, call) =>
    vector(await mapFloats(await evaluator.rows(argumentOf(call, 0)), evaluator.context.budget, f))
const histogram =
  (f: (histogram: FloatHistogram) => number): InstantFunction =>
  async (evaluator, call) =>
    vector(await mapHistograms(await evaluator.rows(argumentOf(call, 0)), evaluator.context.budget, f))
const constant =
  (f: (evaluator: Evaluation, step: number) => number): InstantFunction =>
  async evaluator => {
    const values = new Float64Array(evaluator.grid.steps)
    for (let step = 0; step < values.length; step++) values[step] = f(evaluator, step)
    return { kind: 'scalar', values }
  }

const pairwise =
  (f: (a: number, b: number) => number): InstantFunction =>
  async (evaluator, call) => {
    const left = await evaluator.scalars(argumentOf(call, 0))
    const right = await evaluator.scalars(argumentOf(call, 1))
    return { kind: 'scalar', values: left.map((value, step) => f(value, right[step]!)) }
  }

const date =
  (f: (date: Date, year: number) => number): InstantFunction =>
  async (evaluator, call) => {
    const at = (seconds: number): number => {
      const { date: day, year } = goDate(seconds)
      return f(day, year)
    }
    if (call.args.length > 0)
      return vector(await mapFloats(await evaluator.rows(argumentOf(call, 0)), evaluator.context.budget, at))
    const row = new Row(Labels.empty, false, evaluator.grid.steps)
    for (let step = 0; step < evaluator.grid.steps; step++) row.setFloat(step, at(evaluator.stepMs(step) / 1000))
    return vector([row])
  }

function clamp(value: number, least: number, most: number): number {
  return greater(least, lesser(most, value))
}

function variance(h: FloatHistogram): number {
  const mean = h.sum / h.count
  const sum = new KahanSum()
  for (const bucket of h.buckets()) {
    if (bucket.count === 0) continue
    let value: number
    if (h.usesCustomBuckets) value = (bucket.upper + bucket.lower) / 2
    else if (bucket.lower <= 0 && bucket.upper >= 0) value = 0
    else value = Math.sqrt(bucket.upper * bucket.lower) * (bucket.upper < 0 ? -1 : 1)
    sum.add(bucket.count * (value - mean) * (value - mean))
  }
  return (sum.sum + sum.compensation) / h.count
}

/** Digits count as numbers: a2 before a10. */
function compareNatural(a: string, b: string): number {
  const chunks = /(\d+|\D+)/g
  const as = a.match(chunks) ?? []
  const bs = b.match(chunks) ?? []
  for (let i = 0; i < as.length && i < bs.length; i++) {
    const x = as[i]!
    const y = bs[i]!
    if (x === y) continue
    if (/^\d/.test(x) && /^\d/.test(y)) {
      const difference = Number(x) - Number(y)
      if (difference !== 0) return difference
      return x.length - y.length
    }
    return compareText(x, y)
  }
  return as.length - bs.length
}

function noteSort(evaluator: Evaluation, call: Call): void {
  if (evaluator.grid.endMs !== evaluator.grid.startMs) evaluator.context.annotations.sortInRange(call)
}

const sortByLabel =
  (sign: 1 | -1): InstantFunction =>
  async (evaluator, call) => {
    const names = call.args.slice(1).map(textOf)
    const rows = await evaluator.rows(argumentOf(call, 0))
    noteSort(evaluator, call)
    const compare = (a: Row, b: Row): number => {
      for (const name of names) {
        const order = compareNatural(a.labels.get(name), b.labels.get(name))
        if (order !== 0) return sign * order
      }
      return sign * compareLabels(a.labels, b.labels)
    }
    await pacedSort(rows, compare, evaluator.context.budget)
    return vector(rows)
  }

const sortByValue =
  (sign: 1 | -1): InstantFunction =>
  async (evaluator, call) => {
    const rows = (await evaluator.rows(argumentOf(call, 0))).filter(row => row.present.includes(isFloat))
    noteSort(evaluator, call)
    if (evaluator.grid.steps > 1) return vector(rows)
    const compare = (a: Row, b: Row): number => {
      const x = a.values[0]!
      const y = b.values[0]!
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y))
      return x === y ? 0 : sign * (x - y)
    }
    await pacedSort(rows, compare, evaluator.context.budget)
    return vector(rows)
  }

/** Classic and native histograms of a vector, by their labels without `le`. */
interface HistogramGroup {
  labels: Labels
  bounds: number[]
  rows: Row[]
  native: Row | undefined
}

async function groupHistograms(rows: readonly Row[], evaluator: Evaluation, at: Expr): Promise<HistogramGroup[]> {
  const { budget } = evaluator.context
  const groups = new Map<string, HistogramGroup>()
  const le = new Set([bucketLabel])
  const group = (labels: Labels): HistogramGroup => {
    let found = groups.get(labels.key)
    if (found === undefined) groups.set(labels.key, (found = { labels, bounds: [], rows: [], native: undefined }))
    return found
  }
  const classic: { bound: number; row: Row }[] = []
  for (const row of rows) {
    if (budget.worked(unitsOfRow)) await budget.pause()
    if (row.histograms !== undefined) group(row.labels).native = row
    if (!row.present.includes(isFloat)) continue
    const bound = parseGoFloat(row.labels.get(bucketLabel))
    if (bound === undefined)
      evaluator.context.annotations.badBucketLabel(row.labels.get(metricName), row.labels.get(bucketLabel), at)
    else classic.push({ bound, row })
  }
  await pacedSort(classic, (a, b) => a.bound - b.bound, budget)
  for (const { bound, row } of classic) {
    if (budget.worked(unitsOfRow)) await budget.pause()
    const found = group(row.labels.drop(le))
    found.bounds.push(bound)
    found.rows.push(row)
  }
  return [...groups.values()]
}

function parseGoFloat(value: string): number | undefined {
  if (/^[+-]?(inf|infinity)$/i.test(value)) return value.startsWith('-') ? -Infinity : Infinity
  if (/^nan$/i.test(value)) return NaN
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value) || /^[+-]?0x[0-9a-f]+$/i.test(value)
    ? Number(value)
    : undefined
}

/** The labels of an answer, and the steps that it is wanted for. */
interface Wants {
  labelsOf: (labels: Labels) => Labels
  wants: (step: number) => boolean
}

const everyStep: Wants = { labelsOf: labels => labels, wants: () => true }

/** As OpenMetrics writes floats: with a point, or an exponent, at any rate. */
function openMetricsFloat(value: number): string {
  const text = formatG(value)
  return !Number.isFinite(value) || /[.e]/.test(text) ? text : `${text.replace(/^-0$/, '0')}.0`
}

/** Evaluates something per histogram and step: `classic` for buckets, `native` for native ones. */
async function perHistogram(
  groups: readonly HistogramGroup[],
  evaluator: Evaluation,
  at: Expr,
  { labelsOf, wants }: Wants,
  classic: (buckets: ClassicBuckets, step: number, metric: string) => number,
  native: (h: FloatHistogram, step: number, metric: string) => number,
): Promise<Row[]> {
  const out: Row[] = []
  const { budget } = evaluator.context
  for (const group of groups) {
    const row = new Row(labelsOf(group.labels), true, evaluator.grid.steps)
    const metric = group.labels.get(metricName)
    const one = (step: number): void => {
      if (!wants(step)) return
      const bounds: number[] = []
      const counts: number[] = []
      for (let i = 0; i < group.rows.length; i++) {
        if (group.rows[i]!.present[step] !== isFloat) continue
        bounds.push(group.bounds[i]!)
        counts.push(group.rows[i]!.values[step]!)
      }
      const nativeRow = group.native?.present[step] === isHistogram ? group.native : undefined
      if (bounds.length > 0 && nativeRow !== undefined) evaluator.context.annotations.mixedClassicNative(metric, at)
      else if (nativeRow !== undefined) row.setFloat(step, native(nativeRow.histogramAt(step), step, metric))
      else if (bounds.length > 0) row.setFloat(step, classic(coalesce(bounds, counts), step, metric))
    }
    const working = eachPiece(evaluator.grid.steps, unitsOfHistogram + 8 * group.rows.length, budget, (from, to) => {
      for (let step = from; step < to; step++) one(step)
    })
    if (working !== undefined) await working
    if (!row.isEmpty) out.push(row)
  }
  return out
}

function quantileRows(
  evaluator: Evaluation,
  vectorArg: Expr,
  groups: readonly HistogramGroup[],
  qs: Float64Array,
  qArg: Expr,
  /** A label that says which quantile a row has: only the steps with that one are wanted. */
  named?: { label: string; text: string },
): Promise<Row[]> {
  const { annotations } = evaluator.context
  const labelsOf = (labels: Labels): Labels => (named === undefined ? labels : labels.with(named.label, named.text))
  const wants = (step: number): boolean => named === undefined || openMetricsFloat(qs[step]!) === named.text
  for (const q of qs) if (Number.isNaN(q) || q < 0 || q > 1) annotations.invalidQuantile(q, qArg)
  return perHistogram(
    groups,
    evaluator,
    vectorArg,
    { labelsOf, wants },
    (buckets, step, metric) => {
      const { value, forced } = classicQuantile(qs[step]!, buckets)
      if (forced !== undefined) annotations.forcedMonotonicity(metric, forced, evaluator.stepMs(step), vectorArg)
      return value
    },
    (h, step, metric) => nativeQuantile(qs[step]!, h, metric, annotations, vectorArg),
  )
}

/** Any UTF-8 text but the empty one. */
function isLabelName(name: string): boolean {
  return name !== '' && name.isWellFormed()
}

/** Go's Regexp.Expand: $1, $name, ${name}, $$; an unknown reference is empty. */
function expand(template: string, groups: (name: string) => string): string {
  let added = 0
  return template.replace(
    /\$(?:\$|\{([^{}]*)\}|([A-Za-z0-9_]+))/g,
    (all, braced: string | undefined, plain: string | undefined) => {
      if (all === '$$') return '$'
      const value = groups(braced ?? plain ?? '')
      added += value.length
      if (added > labelCharactersMax)
        throw new ExecutionError(`label_replace() makes a value of more than ${labelCharactersMax} characters`)
      return value
    },
  )
}

/** Rows that got the same labels become one; they may not both have a sample at a step. */
async function mergedRows(rows: readonly Row[], { grid, context }: Evaluation): Promise<Row[]> {
  const merger = new RowMerger(grid.steps)
  await eachRow(rows, context.budget, row => {
    merger.add(row)
  })
  return merger.rows
}

/** A label that a function makes: its text is held as long as the query runs. */
async function countLabel(value: string, budget: Budget): Promise<void> {
  budget.takeBytes(value.length)
  if (budget.worked(unitsOfLabel + value.length)) await budget.pause()
}

async function labelReplace(evaluator: Evaluation, call: Call): Promise<Value> {
  const [target = '', replacement = '', source = '', pattern = ''] = call.args.slice(1).map(textOf)
  let regex
  try {
    regex = compileRe2(`^(?s:${pattern})$`)
  } catch (error) {
    if (error instanceof BadRegexError)
      throw new ExecutionError(`invalid regular expression in label_replace(): ${pattern}`)
    throw error
  }
  if (!isLabelName(target)) throw new ExecutionError(`invalid destination label name in label_replace(): ${target}`)
  const rows = await evaluator.rows(argumentOf(call, 0))
  for (const row of rows) {
    const matcher = regex.matcher(row.labels.get(source))
    if (!matcher.matches()) continue
    const named: Readonly<Record<string, number | undefined>> = regex.namedGroups()
    const value = expand(replacement, name => {
      const index = /^\d+$/.test(name) ? Number(name) : named[name]
      return index === undefined || index > matcher.groupCount() ? '' : (matcher.group(index) ?? '')
    })
    row.labels = row.labels.with(target, value)
    await countLabel(value, evaluator.context.budget)
    if (target === metricName) row.dropName = false
  }
  return vector(await mergedRows(rows, evaluator))
}

async function labelJoin(evaluator: Evaluation, call: Call): Promise<Value> {
  const [target = '', separator = '', ...sources] = call.args.slice(1).map(textOf)
  for (const source of sources)
    if (!isLabelName(source)) throw new ExecutionError(`invalid source label name in label_join(): ${source}`)
  if (!isLabelName(target)) throw new ExecutionError(`invalid destination label name in label_join(): ${target}`)
  const rows = await evaluator.rows(argumentOf(call, 0))
  for (const row of rows) {
    const value = sources.map(name => row.labels.get(name)).join(separator)
    row.labels = row.labels.with(target, value)
    await countLabel(value, evaluator.context.budget)
    if (target === metricName) row.dropName = false
  }
  return vector(await mergedRows(rows, evaluator))
}

async function absentRows(evaluator: Evaluation, call: Call): Promise<Value> {
  const rows = await evaluator.rows(argumentOf(call, 0))
  const { steps } = evaluator.grid
  const row = await absentFrom(rows, absentLabels(argumentOf(call, 0)), false, steps, evaluator.context.budget)
  return vector(row.isEmpty ? [] : [row])
}

async function scalarOf(evaluator: Evaluation, call: Call): Promise<Value> {
  const rows = await evaluator.rows(argumentOf(call, 0))
  const { steps } = evaluator.grid
  const values = new Float64Array(steps).fill(NaN)
  const counts = new Uint32Array(steps)
  await eachRow(rows, evaluator.context.budget, row => {
    for (let step = 0; step < steps; step++)
      if (row.present[step] === isFloat) values[step] = counts[step]!++ === 0 ? row.values[step]! : NaN
  })
  return { kind: 'scalar', values }
}

async function timesOf(evaluator: Evaluation, call: Call): Promise<Value> {
  const rows = await evaluator.rows(argumentOf(call, 0))
  const out: Row[] = []
  await eachRow(rows, evaluator.context.budget, row => {
    const result = new Row(row.labels, true, row.values.length)
    for (let step = 0; step < row.values.length; step++)
      if (row.present[step] !== absent) result.setFloat(step, evaluator.stepMs(step) / 1000)
    out.push(result)
  })
  return vector(out)
}

const functions: Record<Exclude<FunctionName, Elsewhere>, InstantFunction> = {
  abs: math(Math.abs),
  ceil: math(Math.ceil),
  floor: math(Math.floor),
  exp: math(Math.exp),
  sqrt: math(Math.sqrt),
  ln: math(log),
  log2: math(log2),
  log10: math(log10),
  sin: math(Math.sin),
  cos: math(Math.cos),
  tan: math(Math.tan),
  asin: math(Math.asin),
  acos: math(Math.acos),
  atan: math(Math.atan),
  sinh: math(Math.sinh),
  cosh: math(Math.cosh),
  tanh: math(Math.tanh),
  asinh: math(Math.asinh),
  acosh: math(Math.acosh),
  atanh: math(Math.atanh),
  rad: math(v => (v * Math.PI) / 180),
  deg: math(v => (v * 180) / Math.PI),
  sgn: math(v => (v < 0 ? -1 : v > 0 ? 1 : v)),
  pi: constant(() => Math.PI),
  min_of: pairwise(lesser),
  max_of: pairwise(greater),
  time: constant((evaluator, step) => evaluator.stepMs(step) / 1000),
  start: constant(evaluator => evaluator.context.startMs / 1000),
  end: constant(evaluator => evaluator.context.endMs / 1000),
  step: constant(evaluator => evaluator.context.stepMs / 1000),
  range: constant(evaluator => (evaluator.context.endMs - evaluator.context.startMs) / 1000),
  async round(evaluator, call) {
    const rows = await evaluator.rows(argumentOf(call, 0))
    const nearest = call.args.length > 1 ? await evaluator.scalars(argumentOf(call, 1)) : undefined
    return vector(
      await mapFloats(rows, evaluator.context.budget, (value, step) => {
        const inverse = 1 / (nearest === undefined ? 1 : nearest[step]!)
        return Math.floor(value * inverse + 0.5) / inverse
      }),
    )
  },
  async clamp(evaluator, call) {
    const rows = await evaluator.rows(argumentOf(call, 0))
    const least = await evaluator.scalars(argumentOf(call, 1))
    const most = await evaluator.scalars(argumentOf(call, 2))
    const { budget } = evaluator.context
    const out = await mapFloats(rows, budget, (value, step) => clamp(value, least[step]!, most[step]!))
    await eachRow(out, budget, row => {
      for (let step = 0; step < row.present.length; step++) if (most[step]! < least[step]!) row.present[step] = absent
    })
    return vector(out.filter(row => !row.isEmpty))
  },
  async clamp_min(evaluator, call) {
    const rows = await evaluator.rows(argumentOf(call, 0))
    const least = await evaluator.scalars(argumentOf(call, 1))
    const { budget } = evaluator.context
    return vector(await mapFloats(rows, budget, (value, step) => clamp(value, least[step]!, Infinity)))
  },
  async clamp_max(evaluator, call) {
    const rows = await evaluator.rows(argumentOf(call, 0))
    const most = await evaluator.scalars(argumentOf(call, 1))
    const { budget } = evaluator.context
    return vector(await mapFloats(rows, budget, (value, step) => clamp(value, -Infinity, most[step]!)))
  },
  absent: absentRows,
  scalar: scalarOf,
  async vector(evaluator, call) {
    const row = new Row(Labels.empty, false, evaluator.grid.steps)
    const values = await evaluator.scalars(argumentOf(call, 0))
    for (let step = 0; step < values.length; step++) row.setFloat(step, values[step]!)
    return vector([row])
  },
  timestamp: timesOf,
  start_timestamp: async () => vector([]),
  sort: sortByValue(1),
  sort_desc: sortByValue(-1),
  sort_by_label: sortByLabel(1),
  sort_by_label_desc: sortByLabel(-1),
  label_replace: labelReplace,
  label_join: labelJoin,
  days_in_month: date(d => new Date(Date.UTC(d.getUTCFullYear(), d.getUTCMonth() + 1, 0)).getUTCDate()),
  day_of_month: date(d => d.getUTCDate()),
  day_of_week: date(d => d.getUTCDay()),
  day_of_year: date(
    d =>
      Math.floor(
        (Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate()) - Date.UTC(d.getUTCFullYear(), 0, 1)) /
          86_400_000,
      ) + 1,
  ),
  hour: date(d => d.getUTCHours()),
  minute: date(d => d.getUTCMinutes()),
  month: date(d => d.getUTCMonth() + 1),
  year: date((_, year) => year),
  histogram_count: histogram(h => h.count),
  histogram_sum: histogram(h => h.sum),
  histogram_avg: histogram(h => h.sum / h.count),
  histogram_stdvar: histogram(variance),
  histogram_stddev: histogram(h => Math.sqrt(variance(h))),
  async histogram_quantile(evaluator, call) {
    const qs = await evaluator.scalars(argumentOf(call, 0))
    const at = argumentOf(call, 1)
    const groups = await groupHistograms(await evaluator.rows(at), evaluator, at)
    return vector(await quantileRows(evaluator, at, groups, qs, argumentOf(call, 0)))
  },
  async histogram_quantiles(evaluator, call) {
    const groups = await groupHistograms(await evaluator.rows(argumentOf(call, 0)), evaluator, argumentOf(call, 0))
    const label = textOf(argumentOf(call, 1))
    if (!isLabelName(label)) throw new ExecutionError(`invalid label name in histogram_quantiles(): ${label}`)
    const out: Row[] = []
    for (const arg of call.args.slice(2)) {
      const qs = await evaluator.scalars(arg)
      for (const text of new Set(Array.from(qs, openMetricsFloat)))
        addAll(out, await quantileRows(evaluator, argumentOf(call, 0), groups, qs, arg, { label, text }))
    }
    return vector(await mergedRows(out, evaluator))
  },
  async histogram_fraction(evaluator, call) {
    const lower = await evaluator.scalars(argumentOf(call, 0))
    const upper = await evaluator.scalars(argumentOf(call, 1))
    const { annotations } = evaluator.context
    const groups = await groupHistograms(await evaluator.rows(argumentOf(call, 2)), evaluator, argumentOf(call, 2))
    return vector(
      await perHistogram(
        groups,
        evaluator,
        argumentOf(call, 2),
        everyStep,
        (buckets, step) => classicFraction(lower[step]!, upper[step]!, buckets),
        (h, step, metric) => nativeFraction(lower[step]!, upper[step]!, h, metric, annotations, argumentOf(call, 2)),
      ),
    )
  },
}

/** Any function but those of ranges and info(). Throws ExecutionError for arguments that are not possible. */
export function callFunction(evaluator: Evaluation, call: Call): Promise<Value> {
  const { name } = call
  if (isRangeFunction(name) || name === 'info') throw new ExecutionError(`${name} is not a function of instant vectors`)
  return functions[name](evaluator, call)
}
