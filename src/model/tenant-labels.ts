/** Labels of what belongs to one of several tenants. */
import type { Labels } from './labels.ts'

/** The labels with the tenant under `name`; what was there before is under `original`. */
export function labelsOfTenant(labels: Labels, tenant: string, name: string, original: string): Labels {
  const before = labels.get(name)
  return (before === '' ? labels : labels.with(original, before)).with(name, tenant)
}
