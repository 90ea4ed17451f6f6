/** The reader of a scope: of several tenants, and of what has certain labels alone. */
import { ForbiddenError } from '#core/errors.ts'
import type { Scope } from '#core/scope.ts'
import type { TracesReader } from './select.ts'

/** Reads what is in the scope, and nothing else. */
export function scopedTraces(
  store: { reader(tenant: string): TracesReader },
  { tenants, labels }: Scope,
): TracesReader {
  if (tenants.length > 1 || labels.length > 0) throw new ForbiddenError('this scope can not be read yet')
  return store.reader(tenants[0]!)
}
