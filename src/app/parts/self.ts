/** The process about itself: /metrics, its own metrics and requests in its own store. */
import { defaultTenants } from '#api/tenancy.ts'
import { Repeater } from '#core/clock.ts'
import type { Registry } from '#core/counter.ts'
import { messageOf } from '#core/errors.ts'
import { readsProcess } from '#net/access.ts'
import type { RequestObserver } from '#net/http.ts'
import { allowing, at, type GuardedRoute, type Handler } from '#net/route-table.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { RequestMetrics } from '../request-metrics.ts'
import { SelfScrape } from '../self-scrape.ts'
import { SelfTraces } from '../self-traces.ts'
import { version } from '../version.ts'
import type { MetricsPart } from './metrics.ts'
import type { TracesPart } from './traces.ts'

export interface SelfPart extends Part {
  onRequest: RequestObserver
}

/** GET /metrics. */
export function metricsRoute(registry: Registry): GuardedRoute[] {
  const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }
  const expose: Handler = () => Promise.resolve({ status: 200, headers, body: registry.expose() })
  return allowing(readsProcess, at(['GET'], ['/metrics'], expose))
}

/** Version, processor time and memory, which every role has. */
export function registerProcess(registry: Registry): void {
  const cpuSeconds = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
  registry.read('tercet_build_info', 'The version that runs.', 'gauge', () => 1, { version })
  registry.read('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', 'counter', cpuSeconds)
  registry.read('process_resident_memory_bytes', 'Resident memory size in bytes.', 'gauge', () =>
    process.memoryUsage.rss(),
  )
}

function registerStart(registry: Registry, startedMs: number): void {
  registry.read(
    'process_start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    'gauge',
    () => startedMs / 1000,
  )
  registry.read('nodejs_heap_size_used_bytes', 'Heap in use.', 'gauge', () => process.memoryUsage().heapUsed)
}

export function makeSelf(context: Context, registry: Registry, metrics: MetricsPart, traces: TracesPart): SelfPart {
  const { config, world, isReader, startedMs } = context
  const { clock, random, log } = world
  const requests = new RequestMetrics(registry)
  const spans =
    config.isOn('self_trace') && !isReader
      ? new SelfTraces(traces.engine, defaultTenants.traces, clock, random, log, version)
      : undefined
  const scrape = new SelfScrape(registry, metrics.engine, clock)
  const store = (): Promise<void> =>
    scrape.store(defaultTenants.metrics).catch((error: unknown) => {
      log.warn('own metrics could not be stored', { error: messageOf(error) })
    })
  let repeater: Repeater | undefined
  let first: Promise<void> | undefined
  const part = makePart({
    name: 'own metrics',
    answersAtOnce: true,
    routes: metricsRoute(registry),
    metrics: () => {
      registerProcess(registry)
      registerStart(registry, startedMs)
    },
    start: () => {
      if (config.isOn('self_scrape') && !isReader) {
        first = store()
        repeater = new Repeater(clock, config.durationMs('metrics.scrape_interval'), store)
      }
      return Promise.resolve()
    },
    stop: async () => {
      await repeater?.stop()
      await first
    },
  })
  return {
    ...part,
    onRequest: (route, status, seconds) => {
      requests.count(route, status, seconds)
      if (traces.engine.ready) spans?.note(route, status, seconds)
    },
  }
}
