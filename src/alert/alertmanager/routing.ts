/** The tree of routes: which of them an alert takes, and which receivers the alerts of a tenant can reach. */
import { addAll } from '#core/lists.ts'
import { tenantLabel } from '#lang/regex/constraint.ts'
import type { Labels } from '#model/labels.ts'
import type { AlertmanagerConfig, RouteSettings } from './config.ts'
import { matchesAll } from './matchers.ts'

/** The value of a label, empty where there is none. */
export type ValueOf = (labels: Labels, name: string) => string

/**
 * What matchers, `group_by` and `equal` of alertmanager.yml see of an alert. With tenancy the label `__tenant_id__` is
 * the tenant whose alert it is, whatever label of that name came with the alert.
 */
export function valuesFor(tenant: string | undefined): ValueOf {
  if (tenant === undefined) return (labels, name) => labels.get(name)
  return (labels, name) => (name === tenantLabel ? tenant : labels.get(name))
}

/** The routes that an alert takes, in order. */
export function routesOf(route: RouteSettings, labels: Labels, valueOf: ValueOf): RouteSettings[] {
  if (!matchesAll(route.matchers, name => valueOf(labels, name))) return []
  const found: RouteSettings[] = []
  for (const child of route.routes) {
    const own = routesOf(child, labels, valueOf)
    addAll(found, own)
    if (own.length > 0 && !child.isContinued) break
  }
  return found.length > 0 ? found : [route]
}

/** Names of the receivers, in their order; with a tenant, of those that its alerts can be routed to. */
export function receiverNames({ route, receivers }: AlertmanagerConfig, tenant: string | undefined): string[] {
  const names = receivers.map(({ name }) => name)
  if (tenant === undefined) return names
  const reached = new Set<string>()
  const walk = ({ matchers, receiver, routes }: RouteSettings): void => {
    if (matchers.some(matcher => matcher.name === tenantLabel && !matcher.matches(tenant))) return
    reached.add(receiver)
    for (const child of routes) walk(child)
  }
  walk(route)
  return names.filter(name => reached.has(name))
}
