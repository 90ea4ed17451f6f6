/** What Prometheus' HTTP API answers beside queries: facts about the store, and changes that an operator makes. */
import type { ScopeOf, TenantOf } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { metricName } from '#core/names.ts'
import type { Scope } from '#core/scope.ts'
import { selectorsOf } from '#lang/promql/ast.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { chooseTenants, matchersOf } from '#lang/regex/constraint.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { ofTenant, scopedMetrics } from '#metrics/scoped-reader.ts'
import type { MetricsReader } from '#metrics/select.ts'
import type { MetricsFacts } from '#metrics/select.ts'
import type { Labels } from '#model/labels.ts'
import type { Metadata } from '#model/write-batch.ts'
import { administers, administersProcess, known, reads, readsAll, readsProcess } from '#net/access.ts'
import { allowing, route, whenReady, type GuardedRoute, type HttpReply, type HttpRequest } from '#net/route-table.ts'
import { formatLabels, formatTime, formatValue } from './json.ts'
import { invalid, matcherSets, maxTimeMs, minTimeMs, timeParam } from './params.ts'
import { prometheusDialect, success } from './respond.ts'

export interface ExemplarSeries {
  labels: Labels
  exemplars: { labels: Labels; value: number; timeMs: number }[]
}

/** What these routes need of the store. */
export interface PrometheusStore {
  reader(tenant: string): MetricsReader
  metadata(tenant: string): ReadonlyMap<string, Metadata>
  exemplars(tenant: string, matchers: readonly (readonly Matcher[])[], fromMs: number, toMs: number): ExemplarSeries[]
  deleteSeries(tenant: string, matchers: readonly Matcher[], minMs: number, maxMs: number): Promise<void>
  cleanTombstones(): Promise<void>
  facts(tenant: string): Promise<MetricsFacts>
  readonly ready: boolean
  readonly notReady?: string | undefined
}

export interface PrometheusOperatorOptions {
  clock: Clock
  store: PrometheusStore
  tenantOf: TenantOf
  scopeOf: ScopeOf
  version: string
  startedMs: number
  /** Shown under /api/v1/status/flags and /config. */
  flags: Readonly<Record<string, string>>
  configText: string
  retention: string
}

export function prometheusOperatorRoutes(options: PrometheusOperatorOptions): GuardedRoute[] {
  const api = new OperatorApi(options)
  const both = ['GET', 'POST'] as const
  const change = ['POST', 'PUT'] as const
  const routes = [
    ...allowing(reads('metrics'), [
      route(both, '/api/v1/query_exemplars', api.queryExemplars),
      route(['GET'], '/api/v1/metadata', api.metadata),
    ]),
    ...allowing(administers('metrics'), [route(change, '/api/v1/admin/tsdb/delete_series', api.deleteSeries)]),
    ...allowing(administersProcess, [route(change, '/api/v1/admin/tsdb/clean_tombstones', api.cleanTombstones)]),
    ...allowing(known, [
      route(['GET'], '/api/v1/status/buildinfo', api.buildInfo),
      route(['GET'], '/api/v1/status/walreplay', api.walReplay),
    ]),
    ...allowing(readsProcess, [
      route(['GET'], '/api/v1/status/flags', api.flags),
      route(['GET'], '/api/v1/status/config', api.config),
    ]),
    ...allowing(readsAll('metrics'), [
      route(['GET'], '/api/v1/status/runtimeinfo', api.runtimeInfo),
      route(['GET'], '/api/v1/status/tsdb/blocks', api.blocks),
    ]),
  ]
  return prometheusDialect(whenReady(options.store, routes))
}

/** A limit where 0 and less, as nothing given, is none. */
function countParam(form: URLSearchParams, name: string): number {
  const text = form.get(name) ?? ''
  if (text !== '' && !/^[+-]?\d+$/.test(text)) throw new BadDataError(`${name} must be a number`)
  return Number(text)
}

/** What the series of a metric are called beside it: of histograms, summaries, counters, gauges of information. */
const seriesEndings = ['', '_bucket', '_count', '_sum', '_total', '_created', '_info', '_gcount', '_gsum']

class OperatorApi {
  readonly #options: PrometheusOperatorOptions

  constructor(options: PrometheusOperatorOptions) {
    this.#options = options
  }

  readonly metadata = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const limit = countParam(form, 'limit')
    countParam(form, 'limit_per_metric')
    const wanted = form.get('metric')
    const found = new Map<string, { type: string; help: string; unit: string }[]>()
    const scope = this.#options.scopeOf(request)
    const isVisible = await this.#visibleNames(scope)
    for (const tenant of scope.tenants)
      for (const { metric, type, help, unit } of this.#options.store.metadata(tenant).values()) {
        if (wanted !== null && wanted !== '' && metric !== wanted) continue
        if (!isVisible(metric)) continue
        const known = found.get(metric)
        if (known === undefined && limit > 0 && found.size >= limit) break
        if (known === undefined) found.set(metric, [{ type, help, unit }])
        else if (!known.some(one => one.type === type && one.help === help && one.unit === unit))
          known.push({ type, help, unit })
      }
    return success(JSON.stringify(Object.fromEntries(found)))
  }

  /** Whether a metric has series that the scope shows, under its name or with an ending of its kind. */
  async #visibleNames(scope: Scope): Promise<(metric: string) => boolean> {
    if (scope.labels.length === 0) return () => true
    const names = await scopedMetrics(this.#options.store, scope).labelValues(metricName, [], minTimeMs, maxTimeMs)
    const visible = new Set(names)
    return metric => seriesEndings.some(ending => visible.has(metric + ending))
  }

  readonly queryExemplars = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const fromMs = timeParam(form, 'start', minTimeMs),
      toMs = timeParam(form, 'end', maxTimeMs)
    if (toMs < fromMs) throw new BadDataError('end timestamp must not be before start timestamp')
    const expr = parsePromql(form.get('query') ?? '')
    const sets = selectorsOf(expr).map(s => s.matchers)
    if (sets.length === 0) return success('[]')
    const found = this.#exemplars(this.#options.scopeOf(request), sets, fromMs, toMs)
    const shown = found.map(({ labels, exemplars }) => {
      const list = exemplars.map(
        e =>
          `{"labels":${formatLabels(e.labels)},"value":"${formatValue(e.value)}","timestamp":${formatTime(e.timeMs)}}`,
      )
      return `{"seriesLabels":${formatLabels(labels)},"exemplars":[${list.join(',')}]}`
    })
    return success(`[${shown.join(',')}]`)
  }

  #exemplars(
    { tenants, labels }: Scope,
    sets: readonly (readonly Matcher[])[],
    fromMs: number,
    toMs: number,
  ): ExemplarSeries[] {
    const { store } = this.#options
    const within = sets.map(set => [...set, ...matchersOf(labels)])
    if (tenants.length === 1) return store.exemplars(tenants[0]!, within, fromMs, toMs)
    const parts = tenants.map(tenant => ({ tenant }))
    return tenants.flatMap(tenant => {
      const own = within
        .map(set => chooseTenants(parts, set))
        .filter(({ chosen }) => chosen.some(part => part.tenant === tenant))
        .map(({ rest }) => rest)
      const found = own.length === 0 ? [] : store.exemplars(tenant, own, fromMs, toMs)
      return found.map(series => ({ ...series, labels: ofTenant(series.labels, tenant) }))
    })
  }

  readonly deleteSeries = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const sets = matcherSets(form)
    if (sets.length === 0) throw new BadDataError('no match[] parameter provided')
    const fromMs = timeParam(form, 'start', minTimeMs)
    const toMs = timeParam(form, 'end', maxTimeMs)
    if (toMs < fromMs) throw invalid('end', 'end timestamp must not be before start time')
    for (const set of sets) await this.#options.store.deleteSeries(this.#options.tenantOf(request), set, fromMs, toMs)
    return { status: 204 }
  }

  readonly cleanTombstones = async (): Promise<HttpReply> => {
    await this.#options.store.cleanTombstones()
    return { status: 204 }
  }

  readonly buildInfo = async (): Promise<HttpReply> =>
    success(
      JSON.stringify({
        version: '3.14.0',
        revision: `tercet-${this.#options.version}`,
        branch: 'HEAD',
        buildUser: '',
        buildDate: '',
        goVersion: process.version,
      }),
    )
  readonly runtimeInfo = async (request: HttpRequest): Promise<HttpReply> => {
    const { head, damaged } = await this.#options.store.facts(this.#options.tenantOf(request))
    return success(
      JSON.stringify({
        startTime: new Date(this.#options.startedMs).toISOString(),
        CWD: '',
        reloadConfigSuccess: true,
        lastConfigTime: new Date(this.#options.startedMs).toISOString(),
        corruptionCount: damaged.length,
        goroutineCount: 0,
        GOMAXPROCS: 1,
        GOMEMLIMIT: 0,
        GOGC: '',
        GODEBUG: '',
        storageRetention: this.#options.retention,
        timeSeriesCount: head.series,
      }),
    )
  }
  readonly blocks = async (request: HttpRequest): Promise<HttpReply> => {
    const { blocks } = await this.#options.store.facts(this.#options.tenantOf(request))
    const shown = blocks.map(({ ulid, minTime, maxTime, stats, compaction, version }) => {
      const { numSamples = 0, numSeries = 0, numChunks = 0 } = stats
      const { level, sources } = compaction
      return {
        ulid,
        minTime,
        maxTime,
        stats: { numSamples, numSeries, numChunks },
        compaction: { level, sources },
        version,
      }
    })
    return success(JSON.stringify({ blocks: shown }))
  }
  readonly flags = async (): Promise<HttpReply> => success(JSON.stringify(this.#options.flags))
  readonly config = async (): Promise<HttpReply> => success(JSON.stringify({ yaml: this.#options.configText }))
  readonly walReplay = async (): Promise<HttpReply> => success('{"min":0,"max":0,"current":0}')
}
