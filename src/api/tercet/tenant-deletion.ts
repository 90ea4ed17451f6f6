/** A tenant is deleted, and how far that is: of all signals, or of metrics alone in the form that Mimir has for it. */
import type { TenantOf } from '#api/tenancy.ts'
import { BadDataError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { administers, administersProcess } from '#net/access.ts'
import { allowing, at, route, type GuardedRoute, type HttpReply, type HttpRequest } from '#net/route-table.ts'

/** Where a signal is with it. */
export interface TenantDeletionState {
  readonly requestedMs: number
  /** Undefined: something is left, or may be. */
  readonly finishedMs?: number | undefined
  /** Why it does not go on. */
  readonly trouble: string | undefined
}

export interface TenantDeletionOptions {
  readonly hasTenancy: boolean
  /** Whose metrics Mimir's form is about. */
  readonly tenantOf: TenantOf
  /** Resolves when all signals have noted it, and nothing acts for the tenant any more. */
  deleteAll(tenant: string): Promise<void>
  deleteMetrics(tenant: string): Promise<void>
  /** By signal; undefined: no deletion of the tenant is known. */
  stateOf(tenant: string): Readonly<Record<SignalName, TenantDeletionState | undefined>>
  /** Are there blocks of metrics of the tenant? */
  hasMetrics(tenant: string): boolean
}

const json = (value: unknown, status = 200): HttpReply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

function shown(state: TenantDeletionState | undefined): Record<string, unknown> {
  if (state === undefined) return { state: 'none' }
  const { requestedMs, finishedMs, trouble } = state
  const requested = new Date(requestedMs).toISOString()
  if (finishedMs !== undefined) return { state: 'deleted', requested, finished: new Date(finishedMs).toISOString() }
  return { state: 'deleting', requested, ...(trouble === undefined ? {} : { trouble }) }
}

export function tenantDeletionRoutes(options: TenantDeletionOptions): GuardedRoute[] {
  const { hasTenancy, tenantOf, deleteAll, deleteMetrics, stateOf, hasMetrics } = options
  const named = ({ query }: HttpRequest): string => {
    requireTenancy()
    const tenant = query.get('tenant') ?? ''
    checkTenantName(tenant)
    return tenant
  }
  const requireTenancy = (): void => {
    if (!hasTenancy) throw new BadDataError('tenants are told apart with tenancy: on')
  }
  const stateReply = (tenant: string, status: number): HttpReply => {
    const signals = Object.entries(stateOf(tenant)).map(([signal, state]) => [signal, shown(state)])
    return json({ tenant, signals: Object.fromEntries(signals) }, status)
  }
  return [
    ...allowing(administersProcess, [
      ...at(['POST'], ['/-/delete-tenant'], async request => {
        const tenant = named(request)
        await deleteAll(tenant)
        return stateReply(tenant, 202)
      }),
      ...at(['GET'], ['/-/delete-tenant'], request => Promise.resolve(stateReply(named(request), 200))),
    ]),
    // https://grafana.com/docs/mimir/latest/references/http-api/#tenant-delete-request
    ...allowing(administers('metrics'), [
      route(['POST'], '/compactor/delete_tenant', async request => {
        requireTenancy()
        await deleteMetrics(tenantOf(request))
        return { status: 200, body: '' }
      }),
      route(['GET'], '/compactor/delete_tenant_status', request => {
        const tenant = tenantOf(request)
        const { metrics } = stateOf(tenant)
        const isDeleted = metrics === undefined ? !hasMetrics(tenant) : metrics.finishedMs !== undefined
        return Promise.resolve(json({ tenant_id: tenant, blocks_deleted: isDeleted && !hasMetrics(tenant) }))
      }),
    ]),
  ]
}
