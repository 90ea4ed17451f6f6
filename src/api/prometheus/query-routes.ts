/** Queries over Prometheus' HTTP API. Every path also stands under /prometheus. */
import type { ScopeOf, TenantOf } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { FirstTexts } from '#core/lists.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { compareText, quote } from '#core/text.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { formatExpr } from '#lang/promql/printer.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { scopedMetrics } from '#metrics/scoped-reader.ts'
import type { MetricsFacts, MetricsReader } from '#metrics/select.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import { reads, readsAll } from '#net/access.ts'
import { RequestReaders } from '#net/request-readers.ts'
import {
  allowing,
  heavy,
  queries,
  route,
  whenReady,
  type GuardedRoute,
  type HttpReply,
  type HttpRequest,
} from '#net/route-table.ts'
import { Budgets } from '#query/budget.ts'
import type { PromqlEngine, QueryResult } from '#query/promql/engine.ts'
import { describeExpr } from './describe.ts'
import { federate } from './federate.ts'
import { formatLabels, formatResult } from './json.ts'
import {
  durationFault,
  durationMs,
  durationParam,
  invalid,
  limitParam,
  matcherSets,
  maxTimeMs,
  minTimeMs,
  requiredTime,
  timeParam,
  timesOf,
  withParameter,
} from './params.ts'
import { remoteRead } from './remote-read.ts'
import { prometheusDialect, success, successList, successPieces } from './respond.ts'

/** What these routes need of the store. */
export interface PrometheusQueryStore {
  reader(tenant: string): MetricsReader
  facts(tenant: string): Promise<MetricsFacts>
  readonly ready: boolean
  readonly notReady?: string | undefined
}

export interface PrometheusQueryOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  clock: Clock
  limits: Limits
  engine: PromqlEngine
  store: PrometheusQueryStore
  tenantOf: TenantOf
  scopeOf: ScopeOf
}

/** Queries and lists: whatever a request can make long. */
export function prometheusQueries(options: PrometheusQueryOptions): GuardedRoute[] {
  const { limits, clock, store } = options
  const api = new QueryApi(options)
  const both = ['GET', 'POST'] as const
  const reader = (request: HttpRequest): MetricsReader => api.readers.of(request)
  const reading = [
    route(both, '/api/v1/query', api.query),
    route(both, '/api/v1/query_range', api.queryRange),
    route(both, '/api/v1/series', api.series),
    route(both, '/api/v1/labels', api.labelNames),
    route(['GET'], '/api/v1/label/:name/values', api.labelValues),
    route(['POST'], '/api/v1/read', request => remoteRead(request, reader(request), limits)),
    ...allowing(readsAll('metrics'), [route(['GET'], '/api/v1/status/tsdb', api.tsdb)]),
    route(both, '/federate', request => federate(request, reader(request), clock, limits)),
  ]
  const texts = [
    route(both, '/api/v1/format_query', api.formatQuery),
    route(both, '/api/v1/parse_query', api.parseQuery),
  ]
  const routes = [...queries(reading, form => durationParam(form, 'timeout')), ...heavy(texts)]
  const noting = routes.map(one => ({ ...one, handler: api.readers.noting(one.handler) }))
  return allowing(reads('metrics'), prometheusDialect(whenReady(store, noting)))
}

class QueryApi {
  readonly #options: PrometheusQueryOptions
  readonly #budgets: Budgets
  readonly readers: RequestReaders<MetricsReader>

  constructor(options: PrometheusQueryOptions) {
    this.#options = options
    this.#budgets = new Budgets(options.clock, options.limits)
    this.readers = new RequestReaders(
      request => scopedMetrics(options.store, options.scopeOf(request)),
      options.onIncomplete,
    )
  }

  #reader(request: HttpRequest): MetricsReader {
    return this.readers.of(request)
  }

  #queryOptions(
    form: URLSearchParams,
    request: HttpRequest,
  ): { lookbackMs?: number; timeoutMs?: number; signal: AbortSignal } {
    const timeoutMs = durationParam(form, 'timeout')
    const lookbackMs = lookbackOf(form)
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
    return { ...reply, heldBytes: heldBytesOf(result), isKept: result.isKept === true }
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
    if (stepMs === undefined) throw invalid('step', durationFault(form.get('step') ?? ''))
    if (stepMs <= 0)
      throw invalid('step', 'zero or negative query resolution step widths are not accepted. Try a positive integer')
    const query = form.get('query') ?? ''
    const result = await withParameter('query', () =>
      this.#options.engine.range(this.#reader(request), {
        query,
        startMs,
        endMs,
        stepMs: Math.max(1, Math.floor(stepMs)),
        isFresh: isFresh(form, request),
        ...this.#queryOptions(form, request),
      }),
    )
    return this.#answer(result, form)
  }

  readonly series = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const { fromMs, toMs } = timesOf(form)
    const limit = limitParam(form)
    const sets = matcherSets(form)
    if (sets.length === 0) throw new BadDataError('no match[] parameter provided')
    const reader = this.#reader(request)
    const budget = this.#budgets.begin(request.signal)
    let found: Labels[] = []
    const seen = new Set<string>()
    for (const set of sets)
      for (const labels of await reader.series(set, fromMs, toMs)) {
        if (budget.worked(unitsOfSeries)) await budget.pause()
        if (sets.length > 1) {
          if (seen.has(labels.key)) continue
          seen.add(labels.key)
        }
        budget.takeBytes(seriesBytes)
        found.push(labels)
      }
    await pacedSort(found, compareLabels, budget)
    const truncated = limit > 0 && found.length > limit
    if (truncated) found = found.slice(0, limit)
    return successList(found.values().map(formatLabels), notesOf(reader, truncated), found.length * seriesBytes)
  }

  /** The texts that `read` gives for each set of matchers, limited as they come. */
  async #texts(
    request: HttpRequest,
    form: URLSearchParams,
    read: (reader: MetricsReader, set: readonly Matcher[], limit: number) => Promise<string[]>,
  ): Promise<HttpReply> {
    const sets = matcherSets(form, false)
    const limit = limitParam(form) > 0 ? limitParam(form) : Infinity
    const reader = this.#reader(request)
    const first = new FirstTexts(limit)
    // One more than wanted shows that there are more.
    for (const set of sets.length === 0 ? [[]] : sets)
      for (const text of await read(reader, set, limit + 1)) first.add(text)
    const texts = first.sorted()
    const heldBytes = texts.reduce((sum, text) => sum + text.length, 0)
    const items = texts.values().map(text => JSON.stringify(text))
    return successList(items, notesOf(reader, first.isCut), heldBytes)
  }

  readonly labelNames = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const { fromMs, toMs } = timesOf(form)
    return this.#texts(request, form, (reader, set, limit) => reader.labelNames(set, fromMs, toMs, limit))
  }

  readonly labelValues = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const { fromMs, toMs } = timesOf(form)
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

  readonly tsdb = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    const limit = tsdbLimit(form)
    const { head: stats, damaged } = await this.#options.store.facts(this.#options.tenantOf(request))
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
        damagedBlocks: damaged.map(({ id, reason, isWhole }) => ({ ulid: id, reason, isWhole })),
      }),
      reader.omissions.texts(),
    )
  }

  readonly formatQuery = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    return success(JSON.stringify(formatExpr(withParameter('query', () => parsePromql(form.get('query') ?? '')))))
  }

  readonly parseQuery = async (request: HttpRequest): Promise<HttpReply> => {
    const form = await request.form()
    return success(JSON.stringify(describeExpr(withParameter('query', () => parsePromql(form.get('query') ?? '')))))
  }
}

/**
 * Is an answer wanted that nothing was kept of? As VictoriaMetrics and Mimir understand it; and statistics are those of
 * all steps.
 */
function isFresh(form: URLSearchParams, request: HttpRequest): boolean {
  if (/^(1|t|true|yes|on)$/i.test(form.get('nocache') ?? '') || (form.get('stats') ?? '') !== '') return true
  return /\bno-(store|cache)\b/i.test(request.header('cache-control') ?? '')
}

/** How far back selectors look; nothing above 0 is the default's own word. */
function lookbackOf(form: URLSearchParams): number | undefined {
  const text = form.get('lookback_delta') ?? ''
  if (text === '') return undefined
  const ms = durationMs(text)
  if (ms === undefined) throw new BadDataError(`error parsing lookback delta duration: ${durationFault(text)}`)
  return ms > 0 ? ms : undefined
}

const tsdbLimitMax = 10_000

function tsdbLimit(form: URLSearchParams): number {
  const text = form.get('limit') ?? ''
  if (text === '') return 10
  if (!/^[+-]?\d+$/.test(text) || Number(text) < 1) throw new BadDataError('limit must be a positive number')
  if (Number(text) > tsdbLimitMax) throw new BadDataError(`limit must not exceed ${tsdbLimitMax}`)
  return Number(text)
}

/** Units of work (Budget.worked) of a series whose labels are listed. */
const unitsOfSeries = 64

/** Warnings of a list: what it lacks. */
function notesOf(reader: MetricsReader, isTruncated: boolean): string[] {
  return [...(isTruncated ? ['results truncated due to limit'] : []), ...reader.omissions.texts()]
}

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
