/** A role is a list of parts, in the order of their start. What a role does not have is not even loaded. */
import type { Registry } from '#core/counter.ts'
import type { Remote } from '#forward/remote.ts'
import type { RequestObserver } from '#net/http.ts'
import type { Signal } from '#store/signal.ts'
import type { Context } from './context.ts'
import { together } from './lifecycle.ts'
import { makePart, type Part } from './part.ts'

export const roleNames = ['all', 'query', 'insert', 'agent'] as const
export type RoleName = (typeof roleNames)[number]

/** How the process as a whole is asked by its own parts. */
export interface Process {
  readonly registry: Registry
  notReady(): string | undefined
  reload(): Promise<void>
}

export interface Composition {
  parts: Part[]
  signals: Signal[]
  /** Of an agent. */
  remotes: () => Remote[]
  onRequest: RequestObserver
}

/** Signals, queries, scraping, rules and alerts: `query` leaves out what writes, `insert` refuses what asks. */
async function serving(context: Context, own: Process): Promise<Composition> {
  const [{ makeMetrics }, { makeLogs }, { makeTraces }, { makeDeriving }] = await Promise.all([
    import('./parts/metrics.ts'),
    import('./parts/logs.ts'),
    import('./parts/traces.ts'),
    import('./parts/deriving.ts'),
  ])
  const [{ makeScraping }, { makeOperators }, { makeAlerting }] = await Promise.all([
    import('./parts/scraping.ts'),
    import('./parts/operators.ts'),
    import('./parts/alerting.ts'),
  ])
  const [{ makeSelf }, { makeUi }, { makeAdmin, makeHealth }, { queryRoutes }, { defaultTenants }] = await Promise.all([
    import('./parts/self.ts'),
    import('./parts/ui.ts'),
    import('./parts/admin.ts'),
    import('./context.ts'),
    import('./tenancy.ts'),
  ])
  const metrics = await makeMetrics(context)
  const logs = await makeLogs(context)
  const deriving = makeDeriving(context, metrics)
  const traces = await makeTraces(context, metrics, deriving)
  const metricsTenantOf = context.tenancy.of('metrics')
  const scraping = makeScraping(context, {
    appender: metrics.engine,
    tenant: defaultTenants.metrics,
    metadata: request => metrics.engine.metadata(metricsTenantOf(request)),
    offered: routes => queryRoutes(context, routes),
  })
  const alerting = await makeAlerting(context, { metrics, logs, traces, scraping: scraping.scraping })
  const operators = makeOperators(context, scraping.scraping, alerting.alerting)
  const self = makeSelf(context, own.registry, metrics, traces)
  const signals = [metrics.engine, logs.engine, traces.engine]
  const ui = await makeUi(context, signals, alerting.alertmanager)
  const stores = together('signals', [metrics, logs, traces])
  const admin = makeAdmin(signals, () => own.reload())
  const health = makeHealth(() => own.notReady())
  return {
    parts: [health, stores, deriving, scraping, alerting, operators, self, ui, admin],
    signals,
    remotes: () => [],
    onRequest: self.onRequest,
  }
}

/** The modules of an agent, loaded; nothing is started. */
export async function loadAgent() {
  const { makeForwarding } = await import('./parts/forwarding.ts')
  const { makeScraping } = await import('./parts/scraping.ts')
  const { makeOperators } = await import('./parts/operators.ts')
  const { makeTailing } = await import('./parts/tailing.ts')
  const { metricsRoute, registerProcess } = await import('./parts/self.ts')
  const { makeAdmin, makeHealth } = await import('./parts/admin.ts')
  return {
    makeForwarding,
    makeScraping,
    makeOperators,
    makeTailing,
    metricsRoute,
    registerProcess,
    makeAdmin,
    makeHealth,
  }
}

/** Scrapes, receives and follows log files, and forwards: only what waits to be sent is stored. */
async function agent(context: Context, own: Process): Promise<Composition> {
  const { makeForwarding, makeScraping, makeOperators, makeTailing, ...rest } = await loadAgent()
  const { metricsRoute, registerProcess, makeAdmin, makeHealth } = rest
  const forwarding = makeForwarding(context, settings => scraping.scraping.discovery.client(settings))
  const scraping = makeScraping(context, {
    appender: forwarding.forwarder,
    tenant: '',
    metadata: () => new Map(),
    offered: routes => routes,
    prepare: forwarding.apply,
  })
  const self = makePart({
    name: 'own metrics',
    answersAtOnce: true,
    routes: metricsRoute(own.registry),
    metrics: registerProcess,
  })
  const operators = makeOperators(context, scraping.scraping, undefined)
  const tailing = makeTailing(context, forwarding)
  const admin = makeAdmin([], () => own.reload())
  const health = makeHealth(() => own.notReady())
  return {
    parts: [health, forwarding, scraping, operators, tailing, self, admin],
    signals: [],
    remotes: () => forwarding.remotes(),
    onRequest: () => {
      // An agent's memory is small: requests are not counted by route.
    },
  }
}

export const roles: Readonly<Record<RoleName, (context: Context, own: Process) => Promise<Composition>>> = {
  all: serving,
  query: serving,
  insert: serving,
  agent,
}
