/** Stored groups of rules as the YAML that people write. */
import { stringify } from 'yaml'
import { formatDuration } from '#core/duration.ts'
import type { StoredGroup, StoredRule } from '#model/rule-group.ts'

type Pairs = readonly (readonly [string, string])[]

function mapping(name: string, pairs: Pairs): Record<string, Map<string, string>> {
  return pairs.length === 0 ? {} : { [name]: new Map(pairs) }
}

function duration(name: string, ms: number): Record<string, string> {
  return ms === 0 ? {} : { [name]: formatDuration(ms) }
}

function ruleForm({ record, alert, expr, forMs, keepFiringForMs, labels, annotations }: StoredRule): object {
  return {
    ...(record === '' ? { alert } : { record }),
    expr,
    ...duration('for', forMs),
    ...duration('keep_firing_for', keepFiringForMs),
    ...mapping('labels', labels),
    ...mapping('annotations', annotations),
  }
}

function groupForm({ name, intervalMs, queryOffsetMs, limit, labels, rules }: StoredGroup): object {
  return {
    name,
    ...duration('interval', intervalMs),
    ...(queryOffsetMs === undefined ? {} : { query_offset: formatDuration(queryOffsetMs) }),
    ...(limit === 0 ? {} : { limit }),
    ...mapping('labels', labels),
    rules: rules.map(ruleForm),
  }
}

const style = { indent: 4, lineWidth: 0 } as const

/** One group. */
export function ruleGroupYaml(group: StoredGroup): string {
  return stringify(groupForm(group), style)
}

/** Groups by namespace. */
export function ruleNamespacesYaml(namespaces: ReadonlyMap<string, readonly StoredGroup[]>): string {
  return stringify(new Map([...namespaces].map(([name, groups]) => [name, groups.map(groupForm)])), style)
}
