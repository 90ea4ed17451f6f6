/** The reader of a scope: of several tenants, and of what has certain labels alone. */
import { ForbiddenError } from '#core/errors.ts'
import type { Scope } from '#core/scope.ts'
import type { LogsReader } from './select.ts'

/** Reads what is in the scope, and nothing else. */
export function scopedLogs(store: { reader(tenant: string): LogsReader }, { tenants, labels }: Scope): LogsReader {
  if (tenants.length > 1 || labels.length > 0) throw new ForbiddenError('this scope can not be read yet')
  return store.reader(tenants[0]!)
}
