/** Facts about a tree that hold before it is evaluated. */
import { unreachable } from '#core/assert.ts'
import { BadQueryError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import {
  childrenOf,
  unwrap,
  type Duration,
  type DurationExpr,
  type Expr,
  type Subquery,
  type VectorSelector,
} from '#lang/promql/ast.ts'
import { durationSecondsMax } from '#lang/promql/parser.ts'
import { Labels } from '#model/labels.ts'
import { greater, lesser } from './math.ts'

/** The labels of what absent() and absent_over_time() return: those that the selector sets to one value. */
export function absentLabels(expr: Expr): Labels {
  const inner = unwrap(expr)
  const selector = inner.kind === 'matrix' ? inner.selector : inner
  if (selector.kind !== 'selector') return Labels.empty
  const values = new Map<string, string>()
  const seen = new Set<string>()
  for (const matcher of selector.matchers) {
    if (matcher.name === metricName) continue
    if (matcher.kind === '=' && !seen.has(matcher.name)) {
      values.set(matcher.name, matcher.value)
      seen.add(matcher.name)
    } else values.delete(matcher.name)
  }
  return Labels.from(values)
}

/** Functions whose value depends on the step even where their arguments don't. */
const stepFunctions: ReadonlySet<string> = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'hour',
  'minute',
  'month',
  'year',
  'predict_linear',
  'time',
  'timestamp',
])

/** The range of a query; `stepMs` is 0 for an instant query. */
export interface QueryRange {
  startMs: number
  endMs: number
  stepMs: number
}

/** What is known of the nodes of a tree before it is evaluated. */
export interface Prepared {
  /** Nodes whose value is the same at every step. */
  invariant: ReadonlySet<Expr>
  /** Selectors of whose histograms only counts and sums are used. */
  statsOnly: ReadonlySet<VectorSelector>
}

/**
 * Computes durations that depend on the query and resolves `@ start()` and `@ end()`, in the tree. Throws BadQueryError
 * for a duration that is not possible.
 */
export function prepare(expr: Expr, query: string, range: QueryRange): Prepared {
  const preparation = new Preparation(query, range)
  preparation.visit(expr)
  const statsOnly = new Set<VectorSelector>()
  collectStatsOnly(expr, 'whole', statsOnly)
  return { invariant: preparation.invariant, statsOnly }
}

/**
 * How much of histograms is used further out: all of them as nothing else is known, counts and sums only, or all of
 * them whatever is inside.
 */
type HistogramUse = 'whole' | 'stats' | 'buckets'

function collectStatsOnly(node: Expr, use: HistogramUse, into: Set<VectorSelector>): void {
  if (node.kind === 'selector') {
    if (use === 'stats') into.add(node)
    return
  }
  // Of a selected sample the count and the sum are read as they are: there is nothing to keep of its resets.
  if (isStatsCall(node) && node.args[0]?.kind === 'selector' && node.args[0].modifier === undefined) return
  const inside = useInside(node, use)
  for (const child of childrenOf(node)) collectStatsOnly(child, inside, into)
}

function isStatsCall(node: Expr): node is Expr & { kind: 'call' } {
  return node.kind === 'call' && ['histogram_count', 'histogram_sum', 'histogram_avg'].includes(node.name)
}

function useInside(node: Expr, use: HistogramUse): HistogramUse {
  if (node.kind === 'subquery') return 'buckets'
  if (node.kind === 'binary' && (node.op === '</' || node.op === '>/')) return 'buckets'
  if (node.kind !== 'call') return use
  switch (node.name) {
    case 'histogram_count':
    case 'histogram_sum':
    case 'histogram_avg':
      return use === 'buckets' ? use : 'stats'
    case 'histogram_quantile':
    case 'histogram_quantiles':
    case 'histogram_fraction':
      return 'buckets'
    default:
      return use
  }
}

class Preparation {
  readonly invariant = new Set<Expr>()
  readonly #query: string
  readonly #range: QueryRange

  constructor(query: string, range: QueryRange) {
    this.#query = query
    this.#range = range
  }

  visit(node: Expr): void {
    const children = childrenOf(node)
    for (const child of children) this.visit(child)
    if (node.kind === 'selector' || node.kind === 'subquery') this.#place(node)
    if (node.kind === 'matrix' || node.kind === 'subquery') this.#resolve(node.range, false)
    if (node.kind === 'subquery' && node.step !== undefined) this.#resolve(node.step, false)
    if (this.#isInvariant(node, children)) this.invariant.add(node)
  }

  #isInvariant(node: Expr, children: readonly Expr[]): boolean {
    if (node.kind === 'selector' || node.kind === 'subquery') return node.at !== undefined
    if (node.kind === 'call' && stepFunctions.has(node.name)) return false
    return children.every(child => this.invariant.has(child))
  }

  /** The offset and `@` of a selector. */
  #place(node: VectorSelector | Subquery): void {
    if (node.at?.kind === 'start') node.at = { kind: 'time', atMs: this.#range.startMs }
    else if (node.at?.kind === 'end') node.at = { kind: 'time', atMs: this.#range.endMs }
    if (node.offset !== undefined) this.#resolve(node.offset, true)
  }

  #resolve(duration: Duration, mayBeNegative: boolean): void {
    const { expr } = duration
    if (expr === undefined) return
    const at = `${this.#byteAt(expr.from)}:${this.#byteAt(expr.to)}`
    const seconds = this.#seconds(expr, at)
    if (!Number.isFinite(seconds)) throw new BadQueryError(`${at}: duration is NaN or infinite`, expr.from, expr.to)
    if (seconds <= 0 && !mayBeNegative)
      throw new BadQueryError(`${at}: duration must be greater than 0`, expr.from, expr.to)
    if (Math.abs(seconds) > durationSecondsMax)
      throw new BadQueryError(`${at}: duration is out of range`, expr.from, expr.to)
    duration.ms = Math.trunc(seconds * 1000)
  }

  /** Places in durations are bytes, as the reference implementation says them. */
  #byteAt(offset: number): number {
    return Buffer.byteLength(this.#query.slice(0, offset))
  }

  /** `at`: where the whole duration stands, for errors. */
  #seconds(node: DurationExpr, at: string): number {
    switch (node.kind) {
      case 'number':
        return node.value
      case 'duration-negative':
        return -this.#seconds(node.operand, at)
      case 'duration-call':
        return this.#callSeconds(node, at)
      case 'duration-binary': {
        const left = this.#seconds(node.left, at)
        const right = this.#seconds(node.right, at)
        if (right === 0 && (node.op === '/' || node.op === '%'))
          throw new BadQueryError(
            `${this.#byteAt(node.from)}:${this.#byteAt(node.to)}: ${node.op === '/' ? 'division' : 'modulo'} by zero`,
            node.from,
            node.to,
          )
        return durationOperators[node.op](left, right)
      }
      default:
        return unreachable(node)
    }
  }

  #callSeconds({ name, args }: DurationExpr & { kind: 'duration-call' }, at: string): number {
    const { startMs, endMs, stepMs } = this.#range
    if (name === 'step') return stepMs / 1000
    if (name === 'range') return (endMs - startMs) / 1000
    const [left = NaN, right = NaN] = args.map(arg => this.#seconds(arg, at))
    return name === 'min_of' ? lesser(left, right) : greater(left, right)
  }
}

const durationOperators: Readonly<
  Record<(DurationExpr & { kind: 'duration-binary' })['op'], (a: number, b: number) => number>
> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '^': (a, b) => a ** b,
}
