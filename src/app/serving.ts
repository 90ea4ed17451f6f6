/** The parts of the roles that store or answer: all, query and insert. */
import { defaultTenants } from '#api/tenancy.ts'
import type { ListedDamage } from '#api/tercet/routes.ts'
import { queryRoutes, type Context } from './context.ts'
import { together } from './lifecycle.ts'
import { makeAdmin, makeHealth } from './parts/admin.ts'
import { makeAlerting } from './parts/alerting.ts'
import { makeCredentials } from './parts/credentials.ts'
import { makeDeriving } from './parts/deriving.ts'
import { makeDoors } from './parts/doors.ts'
import { makeFormats } from './parts/formats.ts'
import { makeLogs } from './parts/logs.ts'
import { makeMemory } from './parts/memory.ts'
import { makeMetrics } from './parts/metrics.ts'
import { makeOperators } from './parts/operators.ts'
import { makePages } from './parts/pages.ts'
import { makeScraping } from './parts/scraping.ts'
import { makeSelfApi } from './parts/self-api.ts'
import { makeSelf } from './parts/self.ts'
import { makeTenantDeletions } from './parts/tenant-deletions.ts'
import { makeTenants } from './parts/tenants.ts'
import { makeTraces } from './parts/traces.ts'
import { makeUi } from './parts/ui.ts'
import { makeWatching } from './parts/watching.ts'
import { makeWorkers } from './parts/workers.ts'
import type { Composition, Process } from './role.ts'
import { makeServingContext } from './workers.ts'

/** Signals, queries, scraping, rules and alerts: `query` leaves out what writes, `insert` refuses what asks. */
export async function makeServing(base: Context, own: Process): Promise<Composition> {
  const context = makeServingContext(base)
  const metrics = await makeMetrics(context)
  const logs = await makeLogs(context)
  const deriving = makeDeriving(context, metrics)
  const traces = await makeTraces(context, deriving)
  const scraping = makeScraping(context, {
    appender: metrics.engine,
    tenant: defaultTenants.metrics,
    metadata: tenant => metrics.engine.metadata(tenant),
    offered: routes => queryRoutes(context, routes),
  })
  const alerting = await makeAlerting(context, { metrics, logs, scraping: scraping.scraping })
  const operators = makeOperators(context, scraping.scraping, alerting.alerting)
  const self = makeSelf(context, own.registry, metrics, traces)
  const signals = [metrics.engine, logs.engine, traces.engine]
  const damaged = (): ListedDamage[] =>
    [metrics, logs, traces].flatMap(({ engine, damaged: list }) =>
      list().map(block => ({ signal: engine.name, ...block })),
    )
  const buckets = { metrics: metrics.bucket, logs: logs.bucket, traces: traces.bucket }
  const ui = await makeUi(context, signals, buckets, damaged, alerting.alertmanagers, own)
  const stores = together('signals', [metrics, logs, traces])
  const admin = makeAdmin(
    signals,
    () => own.reload(),
    () => damaged().filter(block => block.isSetAside === true),
  )
  const tenants = makeTenants(context, {
    onChange: () => {
      context.workers.noteOverrides()
    },
    signals: { metrics: metrics.engine, logs: logs.engine, traces: traces.engine },
  })
  const tenantDeletions = makeTenantDeletions(context, {
    signals: { metrics: metrics.engine, logs: logs.engine, traces: traces.engine },
    onDeleted: [deriving.forget, alerting.forgetTenant],
  })
  const health = makeHealth(own)
  return {
    parts: [
      health,
      makeDoors(context),
      makeMemory(context),
      makeCredentials(context),
      tenants,
      makeFormats(context, buckets),
      stores,
      makeWorkers(context),
      deriving,
      scraping,
      alerting,
      tenantDeletions,
      operators,
      self,
      makeSelfApi(context, own),
      makePages(context, own),
      ui,
      admin,
      makeWatching(context, () => own.reload()),
    ],
    signals,
    remotes: () => [],
    onRequest: self.onRequest,
  }
}
