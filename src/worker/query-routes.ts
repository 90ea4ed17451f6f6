/** The routes of queries, made in the same way where the heads are and in workers. */
import { jaegerRoutes } from '#api/jaeger/routes.ts'
import { lokiQueries } from '#api/loki/routes.ts'
import { exportRoutes } from '#api/prometheus/export.ts'
import { prometheusQueries, type PrometheusQueryStore } from '#api/prometheus/query-routes.ts'
import { TempoAnswers } from '#api/tempo/answers.ts'
import { tempoQueries } from '#api/tempo/routes.ts'
import type { Tenancy } from '#api/tenancy.ts'
import { victoriaLogsRoutes, victoriaLogsTail } from '#api/victorialogs/routes.ts'
import type { TailingOptions } from '#api/victorialogs/tail.ts'
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import type { Overrides } from '#core/overrides.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { LogsReader } from '#logs/select.ts'
import type { Caller } from '#net/access.ts'
import type { GrpcMethod } from '#net/grpc.ts'
import type { GuardedRoute, Readiness } from '#net/route-table.ts'
import { limitSamples } from '#query/budget.ts'
import { LogqlEngine } from '#query/logql/engine.ts'
import { LogsqlEngine } from '#query/logsql/engine.ts'
import { PromqlEngine } from '#query/promql/engine.ts'
import { KeptAnswers } from '#query/promql/kept-answers.ts'
import { TraceMetrics } from '#query/traceql/metrics.ts'
import { TraceSearch } from '#query/traceql/search.ts'
import { TagFinder } from '#query/traceql/tags.ts'
import type { TracesReader } from '#traces/select.ts'
import type { RuleQuery, RuleTenants } from './rules.ts'

/** What a rule's query reads. */
const signalOf = { promql: 'metrics', logql: 'logs', traceql: 'traces' } as const satisfies Record<
  RuleQuery['language'],
  SignalName
>

/** A signal as queries see it. */
export interface QueryStore<Reader> extends Readiness {
  reader(tenant: string): Reader
}

export interface QueryWorld {
  clock: Clock
  limits: Limits
  overrides: Overrides
  tenancy: Tenancy
  /** For answers of PromQL that are kept. */
  keptAnswerBytes: number
}

/** Answers queries of all languages; the engines are for whoever asks without a request. */
export class Queries {
  readonly promql: PromqlEngine
  readonly keptAnswers: KeptAnswers
  readonly logql: LogqlEngine
  readonly traceql: TraceMetrics
  readonly tempo: TempoAnswers
  readonly #logsql: LogsqlEngine
  readonly #search: TraceSearch
  readonly #tags: TagFinder
  readonly #world: QueryWorld

  constructor(world: QueryWorld) {
    const { clock, limits } = world
    this.#world = world
    this.keptAnswers = new KeptAnswers(world.keptAnswerBytes)
    this.promql = new PromqlEngine(clock, limits, this.keptAnswers)
    this.logql = new LogqlEngine(clock, limits, { seriesMax: limits.logQuerySeriesMax, stepsMax: limits.queryStepsMax })
    this.#logsql = new LogsqlEngine(clock, limits)
    this.traceql = new TraceMetrics(clock, limits)
    this.#search = new TraceSearch(clock, limits)
    this.#tags = new TagFinder(clock, limits)
    this.tempo = new TempoAnswers({ clock, search: this.#search, tags: this.#tags, metrics: this.traceql })
  }

  /** `onIncomplete` is called for every answer that lacks something. */
  metrics(store: PrometheusQueryStore, onIncomplete: () => void): GuardedRoute[] {
    const { clock, limits, tenancy } = this.#world
    const asked = { clock, store, tenantOf: tenancy.of('metrics'), scopeOf: tenancy.scopeOf('metrics'), onIncomplete }
    const routes = [...prometheusQueries({ ...asked, limits, engine: this.promql }), ...exportRoutes(asked)]
    return this.#limited('metrics', routes)
  }

  logs(store: QueryStore<LogsReader>, onIncomplete: () => void): GuardedRoute[] {
    const { clock, limits, tenancy } = this.#world
    const { logQueryEntriesMax: entriesMax, logQueryLengthMaxMs: queryLengthMaxMs } = limits
    const asked = { clock, store, scopeOf: tenancy.scopeOf('logs'), onIncomplete }
    return this.#limited('logs', [
      ...lokiQueries({ ...asked, engine: this.logql, entriesMax, queryLengthMaxMs }),
      ...victoriaLogsRoutes({ ...asked, engine: this.#logsql, logql: this.logql }),
    ])
  }

  /** The live tail of VictoriaLogs' API. */
  logsTail(store: QueryStore<LogsReader>, onIncomplete: () => void, tailing: TailingOptions): GuardedRoute[] {
    const { clock, tenancy } = this.#world
    const asked = { clock, store, scopeOf: tenancy.scopeOf('logs'), onIncomplete }
    return this.#limited('logs', victoriaLogsTail({ ...asked, engine: this.#logsql, logql: this.logql }, tailing))
  }

  traces(store: QueryStore<TracesReader>, onIncomplete: () => void): GuardedRoute[] {
    const { clock, tenancy } = this.#world
    const asked = { store, scopeOf: tenancy.scopeOf('traces'), onIncomplete }
    return this.#limited('traces', [
      ...tempoQueries({ ...asked, answers: this.tempo }),
      ...jaegerRoutes({ ...asked, clock, search: this.#search, tags: this.#tags }),
    ])
  }

  /** The same calls, within the limits of whose traces they are about. */
  limitedCalls(methods: readonly GrpcMethod[]): GrpcMethod[] {
    return methods.map(method => ({
      ...method,
      handler: (message, caller, signal) => {
        this.#limit('traces', caller, signal)
        return method.handler(message, caller, signal)
      },
    }))
  }

  /** Lets a rule's query hold what its tenant may. */
  limitRule({ language }: RuleQuery, tenants: RuleTenants, signal: AbortSignal): void {
    this.#limitTo(tenants[signalOf[language]], signal)
  }

  #limited(signal: SignalName, routes: readonly GuardedRoute[]): GuardedRoute[] {
    return routes.map(route => ({
      ...route,
      handler: request => {
        this.#limit(signal, request, request.signal)
        return route.handler(request)
      },
    }))
  }

  #limit(signal: SignalName, caller: Caller, abort: AbortSignal): void {
    let tenants: readonly string[]
    try {
      tenants = this.#world.tenancy.scopeOf(signal)(caller).tenants
    } catch {
      // The handler refuses it, in the words of its API.
      return
    }
    this.#limitTo(tenants, abort)
  }

  #limitTo(tenants: readonly string[], abort: AbortSignal): void {
    const { overrides, limits } = this.#world
    const samplesMax = overrides.querySamplesMax(tenants, limits.querySamplesMax)
    if (samplesMax !== undefined) limitSamples(abort, samplesMax)
  }
}
