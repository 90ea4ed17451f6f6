/** The reader of a scope: of several tenants, and of what has certain labels alone. */
import { ForbiddenError } from '#core/errors.ts'
import type { Scope } from '#core/scope.ts'
import type { MetricsReader } from './select.ts'

/** Reads what is in the scope, and nothing else. */
export function scopedMetrics(
  store: { reader(tenant: string): MetricsReader },
  { tenants, labels }: Scope,
): MetricsReader {
  if (tenants.length > 1 || labels.length > 0) throw new ForbiddenError('this scope can not be read yet')
  return store.reader(tenants[0]!)
}
