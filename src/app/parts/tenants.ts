/** Tenants: the file of their limits and retention, which is read again when it has changed, and what each has. */
import { tenantRoutes, type ListedTenant } from '#api/tercet/tenants.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Signal } from '#store/signal.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { registerTenants } from '../tenant-metrics.ts'
import { readTenants } from '../tenants-file.ts'

const lookEveryMs = 10_000

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
  const { clock, files, log } = world
  let used: string | undefined
  let problem: string | undefined
  const read = async (): Promise<void> => {
    try {
      const found = await readTenants(config, files)
      problem = undefined
      if (found === undefined || found.text === used) return
      const isFirst = used === undefined
      used = found.text
      overrides.use(found.table)
      options.onChange()
      if (!isFirst) log.info('limits of tenants have changed', { tenants: found.table.tenants.size })
    } catch (error) {
      problem = messageOf(error)
      throw error
    }
  }
  const look = async (): Promise<void> => {
    const before = problem
    await read().catch(() => undefined)
    if (problem !== undefined && problem !== before)
      log.error('the file of tenants is wrong; what was read before holds', { error: problem })
  }
  let repeater: Repeater | undefined
  return makePart({
    name: 'tenants',
    routes: tenantRoutes(rowsOf(options)),
    metrics: registry => {
      if (context.tenancy.isOn) registerTenants(registry, clock, Object.values(options.signals))
    },
    start: async () => {
      await read()
      if (config.text('tenants_file') !== '') repeater = new Repeater(clock, lookEveryMs, look)
    },
    stop: async () => {
      await repeater?.stop()
    },
    reload: read,
    warning: () => (problem === undefined ? undefined : `the file of tenants is wrong: ${problem}`),
  })
}
