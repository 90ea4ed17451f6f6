/** Tenants: the file of their limits and retention, which is read again when it has changed, and what each has. */
import { tenantRoutes, type ListedTenant } from '#api/tercet/tenants.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Signal } from '#store/signal.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { Reread } from '../reread.ts'
import { registerTenants } from '../tenant-metrics.ts'
import { readTenants } from '../tenants-file.ts'

type TenantsContext = Pick<Context, 'config' | 'world' | 'overrides' | 'tenancy'>

export interface TenantsOptions {
  /** Told when other limits hold. */
  readonly onChange: () => void
  readonly signals: Readonly<Record<SignalName, Signal>>
}

function rowsOf({ signals }: TenantsOptions): () => ListedTenant[] {
  return () =>
    Object.values(signals).flatMap(signal => signal.tenantRows().rows.map(row => ({ signal: signal.name, ...row })))
}

export function makeTenants(context: TenantsContext, options: TenantsOptions): Part {
  const { config, world, overrides } = context
  const { clock, files } = world
  let used: string | undefined
  const read = async (): Promise<boolean> => {
    const found = await readTenants(config, files)
    if (found === undefined || found.text === used) return false
    const isFirst = used === undefined
    used = found.text
    overrides.use(found.table)
    options.onChange()
    return !isFirst
  }
  const reread = new Reread(world, { what: 'the file of tenants', read })
  return makePart({
    name: 'tenants',
    routes: tenantRoutes(rowsOf(options)),
    metrics: registry => {
      if (context.tenancy.isOn) registerTenants(registry, clock, Object.values(options.signals))
    },
    start: async () => {
      await reread.readAgain()
      if (config.text('tenants_file') !== '') reread.start()
    },
    stop: () => reread.stop(),
    reload: () => reread.readAgain(),
    warning: () => reread.warning,
  })
}
