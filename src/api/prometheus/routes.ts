/** Prometheus' HTTP API. Every path also stands under /prometheus. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, BadQueryError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { FirstTexts } from '#core/lists.ts'
import { compareText, quote } from '#core/text.ts'
import { formatExpr } from '#lang/promql/printer.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { selectorsOf } from '#lang/promql/ast.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import type { Metadata } from '#model/write-batch.ts'
import { RequestReaders } from '#net/request-readers.ts'
import { route, whenReady, type HttpReply, type HttpRequest, type Route } from '#net/route-table.ts'
import type { QueryGate } from '#query/gate.ts'
import type { PromqlEngine, QueryResult } from '#query/promql/engine.ts'
import { gated } from '../gated.ts'
import { describeExpr } from './describe.ts'
import { federate } from './federate.ts'
import { formatLabels, formatResult, formatTime, formatValue } from './json.ts'
import {
  durationParam,
  invalid,
  limitParam,
  matcherSets,
  maxTimeMs,
  minTimeMs,
  requiredTime,
  timeParam,
} from './params.ts'
import { remoteRead } from './remote-read.ts'
import { prometheusDialect, success, successPieces } from './respond.ts'

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
  headStats(tenant: string): {
    series: number
    chunks: number
    labelPairs: number
    minMs: number
    maxMs: number
    byMetric: Map<string, number>
  }
  readonly ready: boolean
  readonly notReady?: string | undefined
}

export interface PrometheusApiOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  clock: Clock
  limits: Limits
  engine: PromqlEngine
  /** Queries take their turns by it. */
  gate: QueryGate
  store: PrometheusStore
  tenantOf: (request: HttpRequest) => string
  version: string
  startedMs: number
  /** Shown under /api/v1/status/flags and /config. */
  flags: Readonly<Record<string, string>>
  configText: string
  retention: string
}

const readPath = '/api/v1/read'

export function prometheusRoutes(options: PrometheusApiOptions): Route[] {
  const api = new PrometheusApi(options)
  const noting = (one: Route): Route => ({ ...one, handler: api.readers.noting(one.handler) })
  const timeoutOf = (form: URLSearchParams): number | undefined => durationParam(form, 'timeout')
  const queries = queryRoutes(api, options).map(one => {
    const { handler } = noting(one)
    // A remote read has no form: its message is what it brings.
    const read = (request: HttpRequest): Promise<unknown> => request.rawBody()
    return { ...one, handler: gated(options.gate, handler, one.path === readPath ? { read } : { timeoutOf }) }
  })
  const others = [...textRoutes(api), ...operatorRoutes(api)].map(noting)
  return prometheusDialect(whenReady(options.store, [...queries, ...others]))
}

function queryRoutes(api: PrometheusApi, { limits, clock }: PrometheusApiOptions): Route[] {
  const both = ['GET', 'POST'] as const
  const reader = (request: HttpRequest): MetricsReader => api.readers.of(request)
  return [
    route(both, '/api/v1/query', api.query),
    route(both, '/api/v1/query_range', api.queryRange),
    route(both, '/api/v1/query_exemplars', api.queryExemplars),
    route(both, '/api/v1/series', api.series),
    route(both, '/api/v1/labels', api.labelNames),
    route(['GET'], '/api/v1/label/:name/values', api.labelValues),
    route(['POST'], readPath, request => remoteRead(request, reader(request), limits)),
    route(both, '/federate', request => federate(request, reader(request), clock)),
  ]
}

/** What is answered without a look at the store's samples. */
function textRoutes(api: PrometheusApi): Route[] {
  return [
    route(['GET'], '/api/v1/metadata', api.metadata),
    route(['GET', 'POST'], '/api/v1/format_query', api.formatQuery),
    route(['GET', 'POST'], '/api/v1/parse_query', api.parseQuery),
  ]
}

function operatorRoutes(api: PrometheusApi): Route[] {
  const change = ['POST', 'PUT'] as const
  return [
    route(change, '/api/v1/admin/tsdb/delete_series', api.deleteSeries),
    route(change, '/api/v1/admin/tsdb/clean_tombstones', api.cleanTombstones),
    route(['GET'], '/api/v1/status/buildinfo', api.buildInfo),
    route(['GET'], '/api/v1/status/runtimeinfo', api.runtimeInfo),
    route(['GET'], '/api/v1/status/flags', api.flags),
    route(['GET'], '/api/v1/status/config', api.config),
    route(['GET'], '/api/v1/status/tsdb', api.tsdb),
    route(['GET'], '/api/v1/status/walreplay', api.walReplay),
  ]
}

class PrometheusApi {
  readonly #options: PrometheusApiOptions
  readonly readers: RequestReaders<MetricsReader>

  constructor(options: PrometheusApiOptions) {
    this.#options = options
    this.readers = new RequestReaders(request => options.store.reader(options.tenantOf(request)), options.onIncomplete)
  }

  #reader(request: HttpRequest): MetricsReader {
    return this.readers.of(request)
  }

  #queryOptions(
    form: URLSearchParams,
    request: HttpRequest,
  ): { lookbackMs?: number; timeoutMs?: number; signal: AbortSignal } {
    const timeoutMs = durationParam(form, 'timeout')
    const lookbackMs = durationParam(form, 'lookback_delta')
    return {
      signal: request.signal,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(lookbackMs === undefined ? {} : { lookbackMs }),
    }
  }

  #answer(result: QueryResult, form: URLSearchParams): HttpReply {
    const limit = limitParam(form)
    const warnings = [...result.warnings]
    if (limit > 0 && result.series.length > limit) {
      result.series.length = limit
      warnings.push('results truncated due to limit')
    }
    const stats = form.get('stats')
    const suffix = stats === null || stats === '' ? '' : `,"stats":${formatStats(result, stats === 'all')}`
    const reply = successPieces(formatResult(result), warnings, result.infos, suffix)
    return { ...reply, heldBytes: heldBytesOf(result) }
  }

  readonly query = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    limitParam(form)
    const atMs = timeParam(form, 'time', this.#options.clock.nowMs())
    const query = form.get('query') ?? ''
    const result = await withParameter('query', () =>
      this.#options.engine.instant(this.#reader(request), query, atMs, this.#queryOptions(form, request)),
    )
    return this.#answer(result, form)
  }

  readonly queryRange = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    limitParam(form)
    const startMs = requiredTime(form, 'start'),
      endMs = requiredTime(form, 'end')
    if (endMs < startMs) throw invalid('end', 'end timestamp must not be before start time')
    const stepMs = durationParam(form, 'step')
    if (stepMs === undefined) throw invalid('step', `cannot parse ${quote(form.get('step') ?? '')} to a valid duration`)
    if (stepMs <= 0)
      throw invalid('step', 'zero or negative query resolution step widths are not accepted. Try a positive integer')
    const query = form.get('query') ?? ''
    const result = await withParameter('query', () =>
      this.#options.engine.range(this.#reader(request), {
        query,
        startMs,
        endMs,
        stepMs: Math.max(1, Math.floor(stepMs)),
        ...this.#queryOptions(form, request),
      }),
    )
    return this.#answer(result, form)
  }

  #time(form: URLSearchParams): { fromMs: number; toMs: number } {
    const fromMs = timeParam(form, 'start', minTimeMs),
      toMs = timeParam(form, 'end', maxTimeMs)
    if (toMs < fromMs) throw invalid('end', 'end timestamp must not be before start time')
    return { fromMs, toMs }
  }

  readonly series = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const { fromMs, toMs } = this.#time(form)
    const limit = limitParam(form)
    const sets = matcherSets(form)
    if (sets.length === 0) throw new BadDataError('no match[] parameter provided')
    const byKey = new Map<string, Labels>()
    const reader = this.#reader(request)
    for (const set of sets) for (const labels of await reader.series(set, fromMs, toMs)) byKey.set(labels.key, labels)
    let found = [...byKey.values()].sort(compareLabels)
    const truncated = limit > 0 && found.length > limit
    if (truncated) found = found.slice(0, limit)
    return success(`[${found.map(formatLabels).join(',')}]`, notesOf(reader, truncated))
  }

  /** The texts that `read` gives for each set of matchers, limited as they come. */
  async #texts(
    request: HttpRequest,
    form: URLSearchParams,
    read: (reader: MetricsReader, set: readonly Matcher[], limit: number) => Promise<string[]>,
  ): Promise<HttpReply> {
    const sets = matcherSets(form)
    const limit = limitParam(form) > 0 ? limitParam(form) : Infinity
    const reader = this.#reader(request)
    const first = new FirstTexts(limit)
    // One more than wanted shows that there are more.
    for (const set of sets.length === 0 ? [[]] : sets)
      for (const text of await read(reader, set, limit + 1)) first.add(text)
    const texts = first.sorted()
    return success(JSON.stringify(texts), notesOf(reader, first.isCut))
  }

  readonly labelNames = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const { fromMs, toMs } = this.#time(form)
    return this.#texts(request, form, (reader, set, limit) => reader.labelNames(set, fromMs, toMs, limit))
  }

  readonly labelValues = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const { fromMs, toMs } = this.#time(form)
    let name = request.params['name'] ?? ''
    // Names that are no plain identifiers come escaped: U__ and _hex_ for each odd character.
    if (name.startsWith('U__'))
      name = name.slice(3).replace(/_(_|[0-9a-fA-F]{1,6}_)/g, (found, inner: string) => {
        const point = inner === '_' ? 0x5f : Number.parseInt(inner.slice(0, -1), 16)
        return point > 0x10ffff ? found : String.fromCodePoint(point)
      })
    if (name === '') throw new BadDataError(`invalid label name: ${quote(name)}`)
    return this.#texts(request, form, (reader, set, limit) => reader.labelValues(name, set, fromMs, toMs, limit))
  }

  readonly metadata = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const limit = limitParam(form)
    const wanted = form.get('metric')
    const out: Record<string, { type: string; help: string; unit: string }[]> = {}
    for (const { metric, type, help, unit } of this.#options.store.metadata(this.#options.tenantOf(request)).values()) {
      if (wanted !== null && wanted !== '' && metric !== wanted) continue
      if (limit > 0 && Object.keys(out).length >= limit) break
      out[metric] = [{ type, help, unit }]
    }
    return success(JSON.stringify(out))
  }

  readonly queryExemplars = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const fromMs = timeParam(form, 'start', minTimeMs),
      toMs = timeParam(form, 'end', maxTimeMs)
    if (toMs < fromMs) throw invalid('end', 'end timestamp must not be before start time')
    const expr = withParameter('query', () => parsePromql(form.get('query') ?? ''))
    const sets = selectorsOf(expr).map(s => s.matchers)
    if (sets.length === 0) return success('[]')
    const found = this.#options.store.exemplars(this.#options.tenantOf(request), sets, fromMs, toMs)
    const shown = found.map(({ labels, exemplars }) => {
      const list = exemplars.map(
        e =>
          `{"labels":${formatLabels(e.labels)},"value":"${formatValue(e.value)}","timestamp":${formatTime(e.timeMs)}}`,
      )
      return `{"seriesLabels":${formatLabels(labels)},"exemplars":[${list.join(',')}]}`
    })
    return success(`[${shown.join(',')}]`)
  }

  readonly formatQuery = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    return success(JSON.stringify(formatExpr(withParameter('query', () => parsePromql(form.get('query') ?? '')))))
  }

  readonly parseQuery = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    return success(JSON.stringify(describeExpr(withParameter('query', () => parsePromql(form.get('query') ?? '')))))
  }

  readonly deleteSeries = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const sets = matcherSets(form)
    if (sets.length === 0) throw new BadDataError('no match[] parameter provided')
    const { fromMs, toMs } = this.#time(form)
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
    const { series } = this.#options.store.headStats(this.#options.tenantOf(request))
    return success(
      JSON.stringify({
        startTime: new Date(this.#options.startedMs).toISOString(),
        CWD: '',
        reloadConfigSuccess: true,
        lastConfigTime: new Date(this.#options.startedMs).toISOString(),
        corruptionCount: this.#reader(request).damaged().length,
        goroutineCount: 0,
        GOMAXPROCS: 1,
        GOMEMLIMIT: 0,
        GOGC: '',
        GODEBUG: '',
        storageRetention: this.#options.retention,
        timeSeriesCount: series,
      }),
    )
  }
  readonly flags = async (): Promise<HttpReply> => success(JSON.stringify(this.#options.flags))
  readonly config = async (): Promise<HttpReply> => success(JSON.stringify({ yaml: this.#options.configText }))
  readonly walReplay = async (): Promise<HttpReply> => success('{"min":0,"max":0,"current":0}')

  readonly tsdb = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const limit = limitParam(form) || 10
    const stats = this.#options.store.headStats(this.#options.tenantOf(request))
    const top = [...stats.byMetric]
      .sort((a, b) => b[1] - a[1] || compareText(a[0], b[0]))
      .slice(0, limit)
      .map(([name, value]) => ({ name, value }))
    const reader = this.#reader(request)
    const names = await reader.labelNames([], minTimeMs, maxTimeMs)
    const counts: { name: string; value: number }[] = []
    for (const name of names)
      counts.push({ name, value: (await reader.labelValues(name, [], minTimeMs, maxTimeMs)).length })
    counts.sort((a, b) => b.value - a.value || compareText(a.name, b.name))
    return success(
      JSON.stringify({
        headStats: {
          numSeries: stats.series,
          numLabelPairs: stats.labelPairs,
          chunkCount: stats.chunks,
          minTime: Number.isFinite(stats.minMs) ? stats.minMs : 0,
          maxTime: Number.isFinite(stats.maxMs) ? stats.maxMs : 0,
        },
        seriesCountByMetricName: top,
        labelValueCountByLabelName: counts.slice(0, limit),
        memoryInBytesByLabelName: [],
        seriesCountByLabelValuePair: [],
        damagedBlocks: reader.damaged().map(({ id, reason, isWhole }) => ({ ulid: id, reason, isWhole })),
      }),
      reader.omissions.texts(),
    )
  }
}

/** Warnings of a list: what it lacks. */
function notesOf(reader: MetricsReader, isTruncated: boolean): string[] {
  return [...(isTruncated ? ['results truncated due to limit'] : []), ...reader.omissions.texts()]
}

/** What is wrong with the query is wrong with the parameter of that name. */
/** A time and a value of a series: two numbers, in lists that have grown by halves. */
const pointBytes = 24
const histogramBytes = 400
const seriesBytes = 300

/** Roughly what a result takes in memory until its answer is sent. */
function heldBytesOf({ series }: QueryResult): number {
  let bytes = 0
  for (const { timesMs, histograms } of series)
    bytes += seriesBytes + timesMs.length * pointBytes + histograms.length * histogramBytes
  return bytes
}

function withParameter<T>(name: string, work: () => T): T {
  const rethrow = (error: unknown): never => {
    if (error instanceof BadQueryError) throw invalid(name, error.message)
    throw error
  }
  try {
    const result = work()
    return result instanceof Promise ? (result.catch(rethrow) as T) : result
  } catch (error) {
    return rethrow(error)
  }
}

function formatStats(result: QueryResult, all: boolean): string {
  const { seconds, parseSeconds, samples, peakSamples } = result.stats
  const timings = {
    evalTotalTime: seconds,
    resultSortTime: 0,
    queryPreparationTime: parseSeconds,
    innerEvalTime: seconds - parseSeconds,
    execQueueTime: 0,
    execTotalTime: seconds,
  }
  return JSON.stringify({
    timings,
    samples: { totalQueryableSamples: samples, peakSamples, ...(all ? { totalQueryableSamplesPerStep: [] } : {}) },
  })
}
