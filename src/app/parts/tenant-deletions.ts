/**
 * Deletion of tenants: in all signals, and of what else knows of a tenant. A process that dies between the two finds
 * the deletion under way when it starts, and does the rest.
 */
import { tenantDeletionRoutes } from '#api/tercet/tenant-deletion.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Signal } from '#store/signal.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

const lookEveryMs = 10_000

export interface TenantDeletionsOptions {
  readonly signals: Readonly<Record<SignalName, Signal>>
  /**
   * What else knows of a tenant: rules, what is derived of its traces. Called when its deletion is noted, and perhaps
   * again.
   */
  readonly onDeleted: readonly ((tenant: string) => Promise<void> | void)[]
}

/** To be started behind the signals and all that knows of tenants. */
export function makeTenantDeletions(
  { world, tenancy, isReader }: Pick<Context, 'world' | 'tenancy' | 'isReader'>,
  { signals, onDeleted }: TenantDeletionsOptions,
): Part {
  const { clock, log } = world
  /** Tenants whose deletion is under way, of which this process has done the rest. */
  const forgotten = new Set<string>()
  let forgetting = Promise.resolve()
  /** One after the other. */
  const forget = (tenant: string): Promise<void> => {
    const done = forgetting.then(async () => {
      for (const forgetTenant of onDeleted) await forgetTenant(tenant)
      forgotten.add(tenant)
    })
    forgetting = done.catch(() => {})
    return done
  }
  const deleteAll = async (tenant: string): Promise<void> => {
    // What one of them refuses is to be asked for again; the others go on.
    await Promise.all(Object.values(signals).map(signal => signal.deleteTenant(tenant)))
    await forget(tenant)
  }
  const look = async (): Promise<void> => {
    // Metrics can be deleted alone: then rules and alerts stay.
    const deleted = new Set(signals.logs.tenantsBeingDeleted())
    for (const tenant of forgotten) if (!deleted.has(tenant)) forgotten.delete(tenant)
    for (const tenant of deleted)
      if (!forgotten.has(tenant))
        await forget(tenant).catch((error: unknown) => {
          log.warn('rules or alerts of a tenant that is deleted are still there', { tenant, error: messageOf(error) })
        })
  }
  let repeater: Repeater | undefined
  return makePart({
    name: 'deletion of tenants',
    routes: tenantDeletionRoutes({
      hasTenancy: tenancy.isOn,
      tenantOf: tenancy.of('metrics'),
      deleteAll,
      deleteMetrics: tenant => signals.metrics.deleteTenant(tenant),
      stateOf: tenant => ({
        metrics: signals.metrics.tenantDeletion(tenant),
        logs: signals.logs.tenantDeletion(tenant),
        traces: signals.traces.tenantDeletion(tenant),
      }),
      hasMetrics: tenant => signals.metrics.blockList().some(block => block.tenant === tenant),
    }),
    start: async () => {
      if (isReader || !tenancy.isOn) return
      await look()
      repeater = new Repeater(clock, lookEveryMs, look)
    },
    stop: async () => {
      await repeater?.stop()
    },
  })
}
