/** How far back of a step a query reads, where what it says of a step depends on nothing else. */
import { metricName } from '#core/names.ts'
import { childrenOf, type Duration, type Expr } from '#lang/promql/ast.ts'

/**
 * Functions of the range itself; info() looks for the series that it joins with in all of it, and sorting says that it
 * has no effect where there are several steps.
 */
const ofWholeRange: ReadonlySet<string> = new Set([
  'start',
  'end',
  'range',
  'info',
  'sort',
  'sort_desc',
  'sort_by_label',
  'sort_by_label_desc',
])

/**
 * Milliseconds before a step that the answer at this step is made of; undefined where it is made of what comes after
 * the step, or depends on where the query's range begins or ends.
 */
export function reachOf(expr: Expr, lookbackMs: number): number | undefined {
  switch (expr.kind) {
    case 'selector': {
      if (expr.at !== undefined || expr.modifier !== undefined) return undefined
      return sum(lookbackMs, offsetOf(expr.offset))
    }
    case 'matrix':
      return sum(lengthOf(expr.range), reachOf(expr.selector, 0))
    case 'subquery': {
      if (expr.at !== undefined) return undefined
      const inside = sum(lengthOf(expr.range), expr.step === undefined ? 0 : lengthOf(expr.step))
      return sum(sum(inside, offsetOf(expr.offset)), reachOf(expr.expr, lookbackMs))
    }
    case 'aggregate':
      // Whether a group has a name goes by its last step, where some of its series have none.
      if (!expr.without && expr.grouping.includes(metricName) && hasOr(expr.expr)) return undefined
      return furthest(expr, lookbackMs)
    case 'call':
      return ofWholeRange.has(expr.name) ? undefined : furthest(expr, lookbackMs)
    default:
      return furthest(expr, lookbackMs)
  }
}

function hasOr(expr: Expr): boolean {
  return (expr.kind === 'binary' && expr.op === 'or') || childrenOf(expr).some(hasOr)
}

function furthest(expr: Expr, lookbackMs: number): number | undefined {
  let reachMs = 0
  for (const child of childrenOf(expr)) {
    const of = reachOf(child, lookbackMs)
    if (of === undefined) return undefined
    reachMs = Math.max(reachMs, of)
  }
  return reachMs
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b
}

/** A computed duration may depend on the query's range. */
function lengthOf({ ms, expr }: Duration): number | undefined {
  return expr === undefined ? ms : undefined
}

/** A negative one reads what comes after the step. */
function offsetOf(offset: Duration | undefined): number | undefined {
  if (offset === undefined) return 0
  return offset.expr === undefined && offset.ms >= 0 ? offset.ms : undefined
}
