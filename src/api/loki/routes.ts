/** Loki's HTTP API. Every path also stands under /select/logsql, so that a data source with that address works. */
import type { ScopeOf, TenantOf } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, BadQueryError } from '#core/errors.ts'
import { compareText } from '#core/text.ts'
import { logsOf } from '#lang/logql/ast.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { formatLogql } from '#lang/logql/printer.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { scopedLogs } from '#logs/scoped-reader.ts'
import type { LogsReader } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { serviceLabels } from '#model/service-name.ts'
import { administers, known, reads, readsAll } from '#net/access.ts'
import { RequestReaders } from '#net/request-readers.ts'
import {
  allowing,
  heavy,
  inDialect,
  queries,
  route,
  under,
  whenReady,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import { metricOf, type LogqlEngine, type MetricResult } from '#query/logql/engine.ts'
import type { QueryStats } from '#query/logql/stats.ts'
import { deletionHandlers, type DeletionStore } from './deletion.ts'
import { detectedFields, detectedFieldValues, detectedLabels } from './detected.ts'
import { jsonText, labelsJson, metricJson, statsJson, streamsJson } from './json.ts'
import {
  boundsParam,
  durationParam,
  instantOfMs,
  instantParam,
  isBackwardParam,
  isBefore,
  limitParam,
  parseSelector,
  refuseLong,
  refuseReversed,
  selectorParam,
  stepParam,
} from './params.ts'
import { patterns } from './patterns.ts'
import { lokiErrors, ok, plain } from './respond.ts'
import { indexShards, indexStats, indexVolume } from './volume.ts'

interface Readable {
  readonly ready: boolean
  readonly notReady?: string | undefined
}

export interface LokiQueryOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  clock: Clock
  engine: LogqlEngine
  store: Readable & { reader(tenant: string): LogsReader }
  scopeOf: ScopeOf
  entriesMax: number
  /** Longest time that a range query may span. */
  queryLengthMaxMs: number
}

/** Queries and lists: whatever a request can make long. */
export function lokiQueries(options: LokiQueryOptions): GuardedRoute[] {
  const api = new LokiApi(options)
  const reading = queries([...queryRoutes(api), ...exploreRoutes(api, options)])
  const routes = [...lokiPaths([...reading, ...heavy(textRoutes(api))]), ...queries(legacyRoutes(api))]
  const noting = routes.map(one => ({ ...one, handler: api.readers.noting(one.handler) }))
  return allowing(reads('logs'), inDialect(lokiErrors, whenReady(options.store, noting)))
}

export interface LokiOperatorOptions {
  clock: Clock
  store: Readable & DeletionStore
  tenantOf: TenantOf
  version: string
  entriesMax: number
}

/** What Loki's API answers beside queries. */
export function lokiOperatorRoutes(options: LokiOperatorOptions): GuardedRoute[] {
  const routes = lokiPaths([...deletionRoutes(options), ...statusRoutes(options)])
  return allowing(known, inDialect(lokiErrors, whenReady(options.store, routes)))
}

/** For a path that takes other methods. */
const wrongMethod: HttpReply = { status: 405 }

function lokiPaths(routes: readonly Route[]): Route[] {
  return under(['', '/select/logsql'], under(['/loki/api/v1'], routes)).map(one => ({ ...one, wrongMethod }))
}

const both = ['GET', 'POST'] as const

function queryRoutes(api: LokiApi): Route[] {
  return [
    route(both, '/query', api.query),
    route(both, '/query_range', api.queryRange),
    route(both, '/labels', api.labels),
    route(both, '/label', api.labels),
    route(both, '/label/:name/values', api.labelValues),
    route(both, '/series', api.series),
  ]
}

/** What is answered without a look at the store. */
function textRoutes(api: LokiApi): Route[] {
  return [
    route(both, '/format_query', api.formatQuery),
    // Over HTTP; the WebSocket is tail.ts.
    route(both, '/tail', api.tail),
  ]
}

/** What people who look around are shown: sizes, fields, patterns. */
function exploreRoutes(api: LokiApi, { engine, clock, queryLengthMaxMs }: LokiQueryOptions): Route[] {
  const read = (path: string, answer: Answer): Route => route(both, path, request => api.onReader(request, answer))
  return [
    read('/index/stats', (form, reader) => indexStats(form, reader, clock, queryLengthMaxMs)),
    read('/index/shards', (form, reader) => indexShards(form, reader, clock, queryLengthMaxMs)),
    read('/index/volume', (form, reader) =>
      indexVolume(form, reader, clock, { isRange: false, lengthMaxMs: queryLengthMaxMs }),
    ),
    read('/index/volume_range', (form, reader) =>
      indexVolume(form, reader, clock, { isRange: true, lengthMaxMs: Infinity }),
    ),
    read('/detected_labels', (form, reader) => detectedLabels(form, reader, clock, queryLengthMaxMs)),
    read('/detected_fields', (form, reader) => detectedFields(form, reader, engine, clock, queryLengthMaxMs)),
    read('/detected_field/:name/values', async (form, reader, { params }) =>
      (params['name'] ?? '') === ''
        ? plain(404, '404 page not found\n')
        : detectedFieldValues(params['name'] ?? '', form, reader, engine, clock, queryLengthMaxMs),
    ),
    read('/patterns', (form, reader) => patterns(form, reader, engine, clock)),
  ]
}

function deletionRoutes(options: LokiOperatorOptions): Route[] {
  const { add, list, cancel } = deletionHandlers(options)
  return [
    ...allowing(administers('logs'), [route(['POST', 'PUT'], '/delete', add), route(['DELETE'], '/delete', cancel)]),
    ...allowing(readsAll('logs'), [route(['GET'], '/delete', list)]),
  ]
}

function statusRoutes(options: LokiOperatorOptions): Route[] {
  return [
    route(['GET'], '/status/buildinfo', () => Promise.resolve(buildInfo(options))),
    route(['GET'], '/drilldown-limits', () => Promise.resolve(drilldownLimits(options))),
  ]
}

/** Paths of Loki's first versions. */
function legacyRoutes(api: LokiApi): Route[] {
  return under(
    ['/api/prom'],
    [
      route(both, '/query', api.legacyQuery),
      route(both, '/label', api.legacyLabels),
      route(both, '/label/:name/values', api.legacyLabelValues),
      route(both, '/series', api.series),
    ],
  )
}

type Answer = (form: URLSearchParams, reader: LogsReader, request: HttpRequest) => Promise<HttpReply>

/** What clients take this for. */
const lokiVersion = '3.5.0'

class LokiApi {
  readonly #options: LokiQueryOptions
  readonly readers: RequestReaders<LogsReader>

  constructor(options: LokiQueryOptions) {
    this.#options = options
    this.readers = new RequestReaders(
      request => scopedLogs(options.store, options.scopeOf(request)),
      options.onIncomplete,
    )
  }

  #reader(request: HttpRequest): LogsReader {
    return this.readers.of(request)
  }

  async onReader(request: HttpRequest, answer: Answer): Promise<HttpReply> {
    return answer(await request.form(), this.#reader(request), request)
  }

  #answer(
    request: HttpRequest,
    resultType: string,
    result: string,
    stats: QueryStats,
    startedMs: number,
    extra: { flags?: string[]; warnings?: readonly string[] } = {},
  ): HttpReply {
    const seconds = (this.#options.clock.monotonicMs() - startedMs) / 1000
    const flags = extra.flags === undefined ? '' : `"encodingFlags":${JSON.stringify(extra.flags)},`
    const warnings = warningsJson([...(extra.warnings ?? []), ...this.#reader(request).omissions.texts()])
    return ok(
      `{"status":"success","data":{"resultType":"${resultType}",${flags}"result":${result},` +
        `"stats":${statsJson(stats, seconds)}}${warnings}}`,
    )
  }

  #metricAnswer(request: HttpRequest, result: MetricResult, startedMs: number): HttpReply {
    return this.#answer(request, result.kind, metricJson(result), result.stats, startedMs, {
      warnings: result.warnings,
    })
  }

  readonly query: Handler = async request => {
    const form = await request.form()
    const startedMs = this.#options.clock.monotonicMs()
    const time = instantParam(form, 'time') ?? instantOfMs(this.#options.clock.nowMs())
    limitParam(form, 100)
    isBackwardParam(form)
    const expr = metricOf(parseLogql(form.get('query') ?? ''))
    return this.#metricAnswer(
      request,
      await this.#options.engine.instant(
        expr,
        time.ms,
        time.subNs,
        this.#reader(request),
        isPartial(request),
        request.signal,
      ),
      startedMs,
    )
  }

  readonly queryRange: Handler = async request => {
    const form = await request.form()
    const { clock, engine, entriesMax } = this.#options
    const startedMs = clock.monotonicMs()
    const { start, end } = boundsParam(form, clock.nowMs())
    refuseReversed({ start, end })
    const limit = limitParam(form, 100)
    const isBackward = isBackwardParam(form)
    const stepMs = stepParam(form, start, end)
    const intervalMs = durationParam(form, 'interval') ?? 0
    if (intervalMs < 0) throw new BadDataError('interval must be >= 0')
    const expr = parseLogql(form.get('query') ?? '')
    refuseLong(start, end, 0, this.#options.queryLengthMaxMs)
    const longestRangeMs = logsOf(expr).reduce((longest, { rangeMs }) => Math.max(longest, rangeMs), 0)
    refuseLong(start, end, longestRangeMs, this.#options.queryLengthMaxMs)
    if (expr.kind !== 'log')
      return this.#metricAnswer(
        request,
        await engine.range(
          expr,
          start.ms,
          end.subNs > 0 ? end.ms + 1 : end.ms,
          stepMs,
          this.#reader(request),
          isPartial(request),
          request.signal,
        ),
        startedMs,
      )
    if (limit > entriesMax)
      throw new BadDataError(
        `max entries limit per query exceeded, limit > max_entries_limit_per_query (${limit} > ${entriesMax})`,
      )
    const { lines, stats } = await engine.lines(
      expr,
      {
        bounds: { fromMs: start.ms, fromSubNs: start.subNs, toMs: end.ms, toSubNs: end.subNs },
        limit,
        isBackward,
        intervalNs: intervalMs * 1e6,
      },
      this.#reader(request),
      request.signal,
    )
    const flags = encodingFlags(request)
    return this.#answer(
      request,
      'streams',
      streamsJson(lines, flags?.includes('categorize-labels') === true),
      stats,
      startedMs,
      flags === undefined ? {} : { flags },
    )
  }

  readonly legacyQuery: Handler = async request => {
    const form = await request.form()
    const { clock, engine } = this.#options
    const { start, end } = boundsParam(form, clock.nowMs())
    const expr = parseLogql(form.get('query') ?? '')
    if (expr.kind !== 'log')
      throw new BadQueryError(
        'rpc error: code = Code(400) desc = legacy endpoints only support streams result type',
        0,
        0,
      )
    const pattern = form.get('regexp') ?? ''
    if (pattern !== '')
      expr.stages.unshift({ kind: 'line-filter', op: '|~', operands: [{ value: pattern, isIp: false }] })
    const startedMs = clock.monotonicMs()
    const { lines, stats } = await engine.lines(
      expr,
      {
        bounds: { fromMs: start.ms, fromSubNs: start.subNs, toMs: end.ms, toSubNs: end.subNs },
        limit: limitParam(form, 100),
        isBackward: isBackwardParam(form),
        intervalNs: 0,
      },
      this.#reader(request),
      request.signal,
    )
    const streams = JSON.parse(streamsJson(lines, false)) as {
      stream: Record<string, string>
      values: [string, string][]
    }[]
    const body = streams.map(({ stream, values }) => {
      const labels = Object.entries(stream).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      const entries = values.map(([ns, line]) => `{"ts":"${rfc3339Nano(ns)}","line":${jsonText(line)}}`)
      return `{"labels":${jsonText(`{${labels.join(', ')}}`)},"entries":[${entries.join(',')}]}`
    })
    return ok(`{"streams":[${body.join(',')}],"stats":${statsJson(stats, (clock.monotonicMs() - startedMs) / 1000)}}`)
  }

  async #streams(request: HttpRequest, form: URLSearchParams, selectors: readonly Matcher[][]): Promise<Labels[]> {
    const { start, end } = boundsParam(form, this.#options.clock.nowMs())
    if (isBefore(end, start))
      throw new BadDataError('this data is no longer available, it is past now - max_query_lookback (0s)')
    refuseLong(start, end, 0, this.#options.queryLengthMaxMs)
    const reader = this.#reader(request)
    const found = new Map<string, Labels>()
    for (const matchers of selectors.length === 0 ? [[]] : selectors)
      for (const labels of await reader.streams(matchers, start.ms, end.ms)) found.set(labels.key, labels)
    return [...found.values()]
  }

  readonly labels: Handler = async request => {
    const form = await request.form()
    const names = new Set<string>()
    for (const labels of await this.#streams(request, form, [selectorParam(form, 'empty')]))
      for (let i = 0; i < labels.pairs.length; i += 2) names.add(labels.pairs[i]!)
    return listAnswer(names, this.#reader(request))
  }

  readonly labelValues: Handler = async request => {
    const form = await request.form()
    const name = decodeURIComponent(request.params['name'] ?? '')
    if (name === '') return plain(404, '404 page not found\n')
    const values = new Set<string>()
    for (const labels of await this.#streams(request, form, [selectorParam(form, 'empty')]))
      if (labels.has(name)) values.add(labels.get(name))
    return listAnswer(values, this.#reader(request))
  }

  readonly series: Handler = async request => {
    const form = await request.form()
    const texts = [...form.getAll('match'), ...form.getAll('match[]')].filter(text => text !== '')
    const streams = await this.#streams(
      request,
      form,
      texts.map(text => parseSelector(text, 'braces')),
    )
    const warnings = warningsJson(this.#reader(request).omissions.texts())
    return ok(`{"status":"success","data":[${streams.map(labelsJson).join(',')}]${warnings}}`)
  }

  /** Without an upgrade: a query that can't be read is the first to be said. */
  readonly tail: Handler = async request => {
    parseLogql((await request.form()).get('query') ?? '')
    return plain(400, 'Bad Request\n')
  }

  /** As Loki's first versions answered lists. */
  readonly legacyLabels: Handler = async request => inValues(await this.labels(request))
  readonly legacyLabelValues: Handler = async request => inValues(await this.labelValues(request))

  readonly formatQuery: Handler = async request => {
    const text = (await request.form()).get('query') ?? ''
    try {
      return ok(`{"status":"success","data":${JSON.stringify(formatLogql(parseLogql(text)))}}`)
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      return {
        status: 400,
        headers: { 'content-type': 'application/json; charset=UTF-8' },
        body: `{"status":"invalid-query","error":${JSON.stringify(error.message)}}\n`,
      }
    }
  }
}

function buildInfo({ version }: LokiOperatorOptions): HttpReply {
  return ok(
    JSON.stringify({
      version: lokiVersion,
      revision: `tercet-${version}`,
      branch: 'main',
      buildUser: '',
      buildDate: '',
      goVersion: '',
    }),
  )
}

function drilldownLimits({ entriesMax }: LokiOperatorOptions): HttpReply {
  return ok(
    JSON.stringify({
      limits: {
        discover_log_levels: true,
        discover_service_name: serviceLabels,
        max_entries_limit_per_query: entriesMax,
        max_query_series: 500,
        query_timeout: '1m',
        volume_enabled: true,
        volume_max_series: 1000,
      },
      pattern_ingester_enabled: true,
      version: lokiVersion,
    }),
  )
}

function inValues(reply: HttpReply): HttpReply {
  if (reply.status !== 200 || typeof reply.body !== 'string') return reply
  const { data = [] } = JSON.parse(reply.body) as { data?: string[] }
  return ok(`{"values":[${data.map(jsonText).join(',')}]}`)
}

function isPartial(request: HttpRequest): boolean {
  return /(?:^|,)\s*source=grafana-lokiexplore-app/i.test(request.header('x-query-tags') ?? '')
}

function encodingFlags(request: HttpRequest): string[] | undefined {
  const header = request.header('x-loki-response-encoding-flags')
  return header === undefined || header === '' ? undefined : header.split(',').map(flag => flag.trim())
}

function listAnswer(values: ReadonlySet<string>, reader: LogsReader): HttpReply {
  const data = values.size === 0 ? '' : `,"data":[${[...values].sort(compareText).map(jsonText).join(',')}]`
  return ok(`{"status":"success"${data}${warningsJson(reader.omissions.texts())}}`)
}

/** The member that Loki's answers have where there is something to warn of. */
function warningsJson(warnings: readonly string[]): string {
  return warnings.length === 0 ? '' : `,"warnings":${JSON.stringify(warnings)}`
}

function rfc3339Nano(ns: string): string {
  const fraction = ns.slice(-9).replace(/0+$/, '')
  const seconds = new Date(Number(ns.slice(0, -9)) * 1000).toISOString().slice(0, 19)
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`
}
