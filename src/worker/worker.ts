/** What a worker is made of, on either side of a port: a thread in a process, or an object in a simulation. */
import { tempoStreams } from '#api/tempo/streams.ts'
import { Tenancy } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import { addAll } from '#core/lists.ts'
import { Overrides } from '#core/overrides.ts'
import { LogsView } from '#logs/view.ts'
import { MetricsView } from '#metrics/view.ts'
import type { Caller } from '#net/access.ts'
import type { Route } from '#net/route-table.ts'
import { TracesView } from '#traces/view.ts'
import { decodeBody } from '#wire/decode-body.ts'
import { decodeOtlpFrames, decodeSpan } from '#wire/otlp/traces.ts'
import { buildingHandlers } from './building-handlers.ts'
import type { GrpcAsk, MainCalls, RuleAsk, WorkerCalls } from './calls.ts'
import { Link, type Port } from './link.ts'
import { openBucket, served, tracesBucket, type MainLink } from './main-buckets.ts'
import { MemoryWatch, type WatchedMemory } from './memory-watch.ts'
import { Queries } from './query-routes.ts'
import { evaluateRule, packSample, ruleReaders, type CarriedSample } from './rules.ts'
import { RequestServer } from './serve.ts'
import type { WorkerLogs, WorkerSettings, WorkerSignal, WorkerTraces } from './settings.ts'
import { UnderWay } from './under-way.ts'

export interface WorkerWorld extends WatchedMemory {
  clock: Clock
  files: Files
}

/** Answers what comes through the port. */
export function makeWorker(port: Port, settings: WorkerSettings, world: WorkerWorld): void {
  const { clock } = world
  const underWay = new UnderWay()
  const watch = new MemoryWatch({
    clock,
    memory: world,
    bytesMax: settings.memoryBytesMax,
    isBusy: () => underWay.isBusy,
    letGo: () => {
      forget()
    },
    onShort: () => {
      link.call('memoryShort', underWay.jobs()).catch(() => {})
    },
    onHeld: bytes => {
      link.call('memoryHeld', bytes).catch(() => {})
    },
  })
  const watched = <T>(work: T): T => {
    watch.jobBegan()
    return work
  }
  const finished = <T>(work: () => Promise<T> | T): Promise<T> => watched(underWay.finish(work))
  const link: MainLink = new Link<MainCalls, WorkerCalls>(port, {
    ping: () => ({ answer: undefined }),
    cancel: id => {
      underWay.cancel(id)
      return { answer: undefined }
    },
    collect: () => {
      watch.collect()
      return { answer: undefined }
    },
    request: ask => watched(server.request(ask)),
    pull: id => server.pull(id),
    decode: ({ kind, bytes, options }) =>
      finished(() => {
        const decoded = decodeBody(kind, bytes, options)
        return { answer: decoded, transfer: decoded.buffers }
      }),
    ...buildingHandlers(() => link, settings, world, finished),
    overrides: table => {
      overrides.use(table)
      forget()
      return { answer: undefined }
    },
    rule: ask => watched(underWay.run(ask.id, async signal => ({ answer: await rules(ask, signal) }))),
    grpc: ask => watched(underWay.run(ask.id, async signal => ({ answer: await calls(ask, signal) }))),
  })
  const overrides = new Overrides(settings.overrides)
  const { routes, rules, calls, forget } = servicesOf(link, settings, overrides, world)
  const server = new RequestServer(clock, routes, underWay)
}

interface Services {
  routes: Route[]
  rules: (ask: RuleAsk, signal: AbortSignal) => Promise<CarriedSample[]>
  calls: (ask: GrpcAsk, signal: AbortSignal) => Promise<Uint8Array>
  /** Lets go of what is kept of earlier answers. */
  forget: () => void
}

function servicesOf(link: MainLink, settings: WorkerSettings, overrides: Overrides, world: WorkerWorld): Services {
  const tenancy = new Tenancy(settings.isTenancyOn)
  const queries = new Queries({
    clock: world.clock,
    limits: settings.limits,
    overrides,
    tenancy,
    keptAnswerBytes: settings.metrics?.cacheBytes ?? 0,
  })
  const metrics = settings.metrics && metricsView(link, settings.metrics, overrides, world)
  const logs = settings.logs && logsView(link, settings.logs, overrides, world)
  const traces = settings.traces && tracesView(link, settings.traces, overrides, world)
  const routes: Route[] = []
  // What an answer lacks is counted where it is sent.
  const onIncomplete = (): void => {}
  if (metrics !== undefined) addAll(routes, queries.metrics(metrics, onIncomplete))
  if (logs !== undefined) addAll(routes, queries.logs(logs, onIncomplete))
  if (traces !== undefined) addAll(routes, queries.traces(traces, onIncomplete))
  const methods =
    traces === undefined ? [] : queries.limitedCalls(tempoStreams(queries.tempo, traces, tenancy.scopeOf('traces')))
  return {
    routes,
    rules: async ({ query, atMs, tenants }, signal) => {
      const readers = ruleReaders({ metrics, logs, traces }, tenants)
      queries.limitRule(query, tenants, signal)
      return (await evaluateRule(query, atMs, readers, queries, signal)).map(packSample)
    },
    calls: ({ method, message, tenant, grant }, signal) => {
      const caller: Caller = { header: name => (name === 'x-scope-orgid' ? tenant : undefined), grant }
      return served(methods.find(one => one.method === method)).handler(message, caller, signal)
    },
    forget: () => {
      queries.keptAnswers.clear()
    },
  }
}

function metricsView(
  link: MainLink,
  { bucket, retentionMs }: WorkerSignal,
  overrides: Overrides,
  { clock, files }: WorkerWorld,
): MetricsView {
  const opened = openBucket(link, 'metrics', bucket)
  return new MetricsView({ clock, files, bucket: opened, door: metricsDoor(link), retentionMs, overrides })
}

function logsView(
  link: MainLink,
  { bucket, ...options }: WorkerLogs,
  overrides: Overrides,
  { clock, files }: WorkerWorld,
): LogsView {
  return new LogsView({
    ...options,
    overrides,
    clock,
    files,
    bucket: openBucket(link, 'logs', bucket),
    door: {
      plan: ask => link.call('logsPlan', ask),
      noteDamage: block => link.call('logsDamage', block),
    },
  })
}

function tracesView(
  link: MainLink,
  { bucket, ...options }: WorkerTraces,
  overrides: Overrides,
  { clock }: WorkerWorld,
): TracesView {
  return new TracesView({
    ...options,
    overrides,
    clock,
    bucket: tracesBucket(link, bucket),
    door: {
      plan: ask => link.call('tracesPlan', ask),
      find: ask => link.call('tracesFind', ask),
      noteReadable: block => link.call('tracesReadable', block),
      noteDamage: note => link.call('tracesDamage', note),
      isReplaced: block => link.call('tracesReplaced', block),
    },
    decodeFrames: decodeOtlpFrames,
    decodeSpan,
  })
}

function metricsDoor(link: MainLink): ConstructorParameters<typeof MetricsView>[0]['door'] {
  return {
    plan: ask => link.call('metricsPlan', ask),
    changes: ask => link.call('metricsChanges', ask),
    texts: ask => link.call('metricsTexts', ask),
    metas: (tenant, ids) => link.call('metricsMetas', { tenant, ids }),
    noteDamage: note => link.call('metricsDamage', note),
    facts: tenant => link.call('metricsFacts', tenant),
    lookAgain: (tenant, block) => link.call('metricsLookAgain', { tenant, block }),
  }
}
