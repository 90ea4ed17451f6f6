/** Which metrics a rule reads, and which it stores: a rule waits until what it reads of earlier rules is stored. */
import { childrenOf, selectorsOf, type Expr } from '#lang/promql/ast.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import type { RuleSettings } from './rules-file.ts'

/** Metrics that the rule stores series of. */
export function storedMetrics({ kind, name }: RuleSettings): string[] {
  return kind === 'recording' ? [name] : ['ALERTS', 'ALERTS_FOR_STATE']
}

/** Metrics that a rule reads; undefined: which ones is not known before it is evaluated. */
export function readMetrics(
  { expr, language, annotations }: RuleSettings,
  labels: readonly (readonly [string, string])[],
): ReadonlySet<string> | undefined {
  // Templates read with the function `query`.
  if ([...labels, ...annotations].some(([, template]) => template.includes('query'))) return undefined
  return language === 'promql' ? metricsOf(parsePromql(expr)) : new Set()
}

function metricsOf(expr: Expr): ReadonlySet<string> | undefined {
  const names = new Set<string>()
  if (hasInfo(expr)) return undefined
  for (const { name, matchers } of selectorsOf(expr)) {
    const metric = name === '' ? matchers.find(m => m.name === '__name__' && m.kind === '=')?.value : name
    if (metric === undefined) return undefined
    names.add(metric)
  }
  return names
}

/** info() reads metrics that it does not name. */
function hasInfo(expr: Expr): boolean {
  return (expr.kind === 'call' && expr.name === 'info') || childrenOf(expr).some(hasInfo)
}
