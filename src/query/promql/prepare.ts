/** What can be known of a tree before it is evaluated. */
import { BadQueryError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import {
  childrenOf,
  unwrap,
  type DurationExpr,
  type Expr,
  type Subquery,
  type VectorSelector,
} from '#lang/promql/ast.ts'
import { durationSecondsMax, positionOf } from '#lang/promql/parser.ts'
import { Labels } from '#model/labels.ts'

/** The labels that absent() and absent_over_time() can know: those that the selector sets to one value. */
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

/**
 * Computes durations that depend on the query, resolves `@ start()` and `@ end()`, and finds what is the same at
 * every step.
 */
export function prepare(expr: Expr, query: string, startMs: number, endMs: number, stepMs: number): Set<Expr> {
  const invariant = new Set<Expr>()
  const unsafe = new Set<string>([
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
  const resolve = (node: VectorSelector | Subquery): void => {
    if (node.at?.kind === 'start') node.at = { kind: 'time', atMs: startMs }
    else if (node.at?.kind === 'end') node.at = { kind: 'time', atMs: endMs }
    if (node.offset?.expr !== undefined) node.offset.ms = durationMs(node.offset.expr, true)
  }
  const visit = (node: Expr): boolean => {
    const inner = childrenOf(node).map(visit)
    let same: boolean
    switch (node.kind) {
      case 'number':
      case 'string':
        same = true
        break
      case 'selector':
        resolve(node)
        same = node.at !== undefined
        break
      case 'matrix':
        if (node.range.expr !== undefined) node.range.ms = durationMs(node.range.expr, false)
        same = inner[0]!
        break
      case 'subquery':
        resolve(node)
        if (node.range.expr !== undefined) node.range.ms = durationMs(node.range.expr, false)
        if (node.step?.expr !== undefined) node.step.ms = durationMs(node.step.expr, false)
        same = node.at !== undefined
        break
      case 'call':
        same = inner.every(Boolean) && !unsafe.has(node.name)
        break
      case 'aggregate':
        same = inner.at(-1)! && (node.param === undefined || inner[0]!)
        break
      case 'binary':
        same = inner.every(Boolean)
        break
      case 'unary':
      case 'paren':
        same = inner[0]!
        break
    }
    if (same) invariant.add(node)
    return same
  }
  const durationMs = (duration: DurationExpr, mayBeNegative: boolean): number => {
    const at = (): string => positionOf(query, duration.from)
    const compute = (node: typeof duration): number => {
      switch (node.kind) {
        case 'number':
          return node.value
        case 'duration-negative':
          return -compute(node.operand)
        case 'duration-call':
          if (node.name === 'step') return stepMs / 1000
          if (node.name === 'range') return (endMs - startMs) / 1000
          return node.name === 'min'
            ? Math.min(compute(node.args[0]!), compute(node.args[1]!))
            : Math.max(compute(node.args[0]!), compute(node.args[1]!))
        case 'duration-binary': {
          const left = compute(node.left)
          const right = compute(node.right)
          if (right === 0 && (node.op === '/' || node.op === '%'))
            throw new BadQueryError(`${at()}: ${node.op === '/' ? 'division' : 'modulo'} by zero`, node.from, node.to)
          switch (node.op) {
            case '+':
              return left + right
            case '-':
              return left - right
            case '*':
              return left * right
            case '/':
              return left / right
            case '%':
              return left % right
            case '^':
              return left ** right
          }
        }
      }
    }
    const seconds = compute(duration)
    if (seconds <= 0 && !mayBeNegative)
      throw new BadQueryError(`${at()}: duration must be greater than 0`, duration.from, duration.to)
    if (Math.abs(seconds) > durationSecondsMax)
      throw new BadQueryError(`${at()}: duration is out of range`, duration.from, duration.to)
    return Math.trunc(seconds * 1000)
  }
  visit(expr)
  return invariant
}
