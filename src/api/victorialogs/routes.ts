/** VictoriaLogs' query API: LogsQL, and LogQL where a query is not LogsQL. Source: docs/http-api.md. */
import type { ScopeOf } from '#api/tenancy.ts'
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, BadQueryError, LimitError } from '#core/errors.ts'
import { setOwn } from '#core/own.ts'
import { compareText } from '#core/text.ts'
import type { LogqlExpr } from '#lang/logql/ast.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import type { LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { nsOfMs } from '#lang/logsql/times.ts'
import { scopedLogs } from '#logs/scoped-reader.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { reads } from '#net/access.ts'
import { RequestReaders } from '#net/request-readers.ts'
import {
  allowing,
  inDialect,
  queries,
  route,
  under,
  whenReady,
  type ErrorReplies,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import { matchesName } from '#query/logsql/change.ts'
import { compareNaturally } from '#query/logsql/compare.ts'
import type { LogsqlEngine, LogsqlRange } from '#query/logsql/engine.ts'
import { labelsOfText } from '#query/logsql/filter.ts'
import { timeText, type Fields } from '#query/logsql/row.ts'
import {
  countOfForm,
  flagOf,
  offsetOf,
  queryTime,
  stepOf,
  withExtraFilters,
  withoutPipes,
  type QueryTime,
} from './arguments.ts'
import { hitsOf } from './hits.ts'
import { rowJson, victoriaLogsErrors, victoriaLogsStatsErrors } from './respond.ts'
import { pointsOf, secondsOf, statsQueryOf } from './stats-series.ts'
import { checkTailed, LogsqlTail, type TailingOptions } from './tail.ts'

export interface VictoriaLogsApiOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  clock: Clock
  engine: LogsqlEngine
  logql: LogqlEngine
  store: { reader(tenant: string): LogsReader; readonly ready: boolean; readonly notReady?: string | undefined }
  scopeOf: ScopeOf
}

const json = { 'content-type': 'application/json' } as const
const lines = { 'content-type': 'application/stream+json' } as const
/** What goes on, as VictoriaLogs names it. */
const liveLines = { 'content-type': 'application/x-ndjson' } as const
/** Queries and lists: whatever a request can make long. */
export function victoriaLogsRoutes(options: VictoriaLogsApiOptions): GuardedRoute[] {
  const api = new VictoriaLogsApi(options)
  const both = ['GET', 'POST'] as const
  const routes = [
    route(both, '/query', api.query),
    route(both, '/hits', api.hits),
    route(both, '/facets', api.facets),
    route(both, '/field_names', api.fieldNames),
    route(both, '/field_values', request => api.fieldValues(request, undefined)),
    route(both, '/streams', request => api.fieldValues(request, '_stream')),
    route(both, '/stream_ids', request => api.fieldValues(request, '_stream_id')),
    route(both, '/stream_field_names', api.streamFieldNames),
    route(both, '/stream_field_values', api.streamFieldValues),
  ]
  const stats = [route(both, '/stats_query', api.statsQuery), route(both, '/stats_query_range', api.statsQueryRange)]
  return queries([...inOwnDialect(options, api, routes), ...inOwnDialect(options, api, stats, victoriaLogsStatsErrors)])
}

/** A tail goes on for as long as its reader likes: it is answered where the lines come in. */
export function victoriaLogsTail(options: VictoriaLogsApiOptions, tailing: TailingOptions): GuardedRoute[] {
  const api = new VictoriaLogsApi(options, tailing)
  return inOwnDialect(options, api, [route(['GET', 'POST'], '/tail', api.tail)])
}

function inOwnDialect(
  { store }: VictoriaLogsApiOptions,
  { readers }: VictoriaLogsApi,
  routes: Route[],
  errors: ErrorReplies = victoriaLogsErrors,
): GuardedRoute[] {
  const noting = routes.map(one => ({ ...one, handler: readers.noting(one.handler) }))
  return allowing(reads('logs'), under(['/select/logsql'], inDialect(errors, whenReady(store, noting))))
}

type Parsed = { kind: 'logsql'; query: LogsqlQuery } | { kind: 'logql'; expr: LogqlExpr }

class VictoriaLogsApi {
  readonly #options: VictoriaLogsApiOptions
  readonly #tailing: TailingOptions | undefined
  readonly readers: RequestReaders<LogsReader>

  constructor(options: VictoriaLogsApiOptions, tailing?: TailingOptions) {
    this.#options = options
    this.#tailing = tailing
    this.readers = new RequestReaders(
      request => scopedLogs(options.store, options.scopeOf(request)),
      options.onIncomplete,
    )
  }

  #reader(request: HttpRequest): LogsReader {
    return this.readers.of(request)
  }

  /** Only the route of tails comes here. */
  get #tails(): TailingOptions {
    assert(this.#tailing !== undefined, 'tails are served where their options are')
    return this.#tailing
  }

  #time(form: URLSearchParams): QueryTime {
    return queryTime(form, nsOfMs(this.#options.clock.nowMs()))
  }

  /** LogsQL; what is none, and is LogQL, is taken as that. */
  #parse(form: URLSearchParams, { nowNs }: QueryTime): Parsed {
    const source = form.get('query') ?? ''
    if (source === '') throw new BadDataError('the parameter "query" is missing')
    let query: LogsqlQuery
    try {
      query = parseLogsql(source, nowNs)
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      const expr = logqlOf(source)
      if (expr === undefined) throw error
      return { kind: 'logql', expr }
    }
    // Stages of LogQL such as |= "text" and | json look like filters of LogsQL.
    const expr = query.hasBareFilter && source.trimStart().startsWith('{') ? logqlOf(source) : undefined
    if (expr !== undefined) return { kind: 'logql', expr }
    return { kind: 'logsql', query: withExtraFilters(query, form, nowNs) }
  }

  #logsql(form: URLSearchParams, time: QueryTime): LogsqlQuery {
    const parsed = this.#parse(form, time)
    if (parsed.kind === 'logql') throw new BadQueryError('a LogsQL query was expected here', 0, 0)
    return parsed.query
  }

  async #collect(query: LogsqlQuery, range: LogsqlRange, request: HttpRequest, last?: number): Promise<Fields[]> {
    const rows: Fields[] = []
    await this.#options.engine.run(
      query,
      range,
      this.#reader(request),
      last,
      row => {
        rows.push(row)
        return true
      },
      request.signal,
    )
    return rows
  }

  readonly query: Handler = async request => {
    const form = await request.form()
    const time = this.#time(form)
    const parsed = this.#parse(form, time)
    const limit = countOfForm(form, 'limit')
    if (parsed.kind === 'logql') return this.#logqlLines(parsed.expr, time.range, limit, request)
    const rows = await this.#rows(parsed.query, time.range, limit, request)
    return { status: 200, headers: lines, body: pieces(shownRows(rows)) }
  }

  /** The newest rows where there is a limit and rows keep their times; otherwise any of them. */
  async #rows(query: LogsqlQuery, range: LogsqlRange, limit: number, request: HttpRequest): Promise<Fields[]> {
    if (limit === 0) return this.#collect(query, range, request)
    if (!keepsTimes(query)) {
      const pipes: Pipe[] = [...query.pipes, { kind: 'limit', count: limit }]
      return this.#collect({ ...query, pipes }, range, request)
    }
    const rows = await this.#collect(query, range, request, limit)
    if (rows.some(row => !row.has('_time')))
      throw new BadQueryError('rows without _time have no newest ones: keep the field, or ask without a limit', 0, 0)
    return rows.reverse()
  }

  async #logqlLines(expr: LogqlExpr, range: LogsqlRange, limit: number, request: HttpRequest): Promise<HttpReply> {
    const { clock, logql } = this.#options
    const { fromMs, toMs } = millisecondsOf(range, clock.nowMs())
    if (expr.kind !== 'log') {
      const { series } = await logql.instant(
        expr,
        Math.floor(Math.min(toMs, clock.nowMs())),
        0,
        this.#reader(request),
        false,
        request.signal,
      )
      return {
        status: 200,
        headers: lines,
        body: pieces(series.map(s => JSON.stringify({ ...s.labels.toObject(), value: String(s.values[0]!) }))),
      }
    }
    const found = await logql.lines(
      expr,
      {
        bounds: { fromMs: Math.floor(fromMs), fromSubNs: 0, toMs: Math.ceil(toMs), toSubNs: 0 },
        limit: limit === 0 ? 1000 : limit,
        isBackward: true,
        intervalNs: 0,
      },
      this.#reader(request),
      request.signal,
    )
    return { status: 200, headers: lines, body: pieces(found.lines.values().map(lineJson)) }
  }

  /** Rows as they come, until the client goes. */
  readonly tail: Handler = async request => {
    const form = await request.form()
    const query = this.#logsql(form, this.#time(form))
    checkTailed(query, form)
    const { tails } = this.#tails
    if (tails.running >= tails.max)
      throw new LimitError(`${tails.running} tails run, which is the limit; end one, or raise limits.tails`, 429)
    const { clock, engine, onIncomplete: onLacking = () => {} } = this.#options
    const { signal } = request
    const tail = new LogsqlTail({ clock, engine, query, reader: this.#reader(request), signal, onLacking }, this.#tails)
    return { status: 200, headers: liveLines, body: tail.pieces(), isLive: true }
  }

  /** Counts by step. */
  readonly hits: Handler = async request => {
    const form = await request.form()
    const time = this.#time(form)
    const query = withoutPipes(this.#logsql(form, time))
    const step = { widthMs: stepOf(form), offsetMs: offsetOf(form) }
    const names = form.getAll('field')
    const limit = countOfForm(form, 'fields_limit')
    const rows = await this.#collect(query, time.range, request)
    return { status: 200, headers: json, body: JSON.stringify({ hits: hitsOf(rows, step, names, limit) }) }
  }

  /** Stats as Prometheus answers an instant query. */
  readonly statsQuery: Handler = async request => {
    const form = await request.form()
    const time = this.#time(form)
    const parsed = this.#parse(form, time)
    if (parsed.kind === 'logql') return this.#logqlInstant(parsed.expr, time, request)
    const { query, labels } = statsQueryOf(parsed.query, undefined)
    const rows = await this.#collect(query, time.range, request)
    const result = rows.flatMap(row =>
      pointsOf(row, labels, time.nowNs, false).map(({ metric, ns, value }) => ({
        metric,
        value: [secondsOf(ns), value],
      })),
    )
    return statsReply('vector', result)
  }

  async #logqlInstant(expr: LogqlExpr, { atNs }: QueryTime, request: HttpRequest): Promise<HttpReply> {
    if (expr.kind === 'log') throw new BadQueryError('a metric query was expected here', 0, 0)
    const atMs = Number(atNs / 1_000_000n)
    const { series, kind, value } = await this.#options.logql.instant(
      expr,
      atMs,
      0,
      this.#reader(request),
      false,
      request.signal,
    )
    if (kind === 'scalar') return statsReply('vector', [{ metric: {}, value: [atMs / 1000, String(value)] }])
    return statsReply(
      'vector',
      series.map(s => ({ metric: s.labels.toObject(), value: [atMs / 1000, String(s.values[0]!)] })),
    )
  }

  /** The same by step. */
  readonly statsQueryRange: Handler = async request => {
    const form = await request.form()
    const stepMs = stepOf(form)
    const time = this.#time(form)
    const parsed = this.#parse(form, time)
    if (parsed.kind === 'logql') return this.#logqlRange(parsed.expr, time.range, stepMs, request)
    const { query, labels } = statsQueryOf(parsed.query, stepMs)
    const series = new Map<string, { metric: Record<string, string>; points: [bigint, string][] }>()
    for (const row of await this.#collect(query, time.range, request))
      for (const { metric, key, ns, value } of pointsOf(row, labels, time.nowNs, true)) {
        const one = series.get(key)
        if (one === undefined) series.set(key, { metric, points: [[ns, value]] })
        else one.points.push([ns, value])
      }
    const sorted = [...series].sort((a, b) => compareText(a[0], b[0]))
    return statsReply(
      'matrix',
      sorted.map(([, { metric, points }]) => ({
        metric,
        values: points.sort((a, b) => Number(a[0] - b[0])).map(([ns, value]) => [secondsOf(ns), value]),
      })),
    )
  }

  async #logqlRange(expr: LogqlExpr, range: LogsqlRange, stepMs: number, request: HttpRequest): Promise<HttpReply> {
    if (expr.kind === 'log') throw new BadQueryError('a metric query was expected here', 0, 0)
    const nowMs = this.#options.clock.nowMs()
    const { fromMs, toMs } = millisecondsOf(range, nowMs)
    const { series, grid } = await this.#options.logql.range(
      expr,
      fromMs === 0 ? nowMs - 3_600_000 : fromMs,
      Math.min(toMs, nowMs),
      stepMs,
      this.#reader(request),
      false,
      request.signal,
    )
    const result = series.map(s => ({
      metric: s.labels.toObject(),
      values: [...s.values].flatMap((v, i) =>
        s.present[i] === 1 ? [[(grid.startMs + i * grid.stepMs) / 1000, String(v)]] : [],
      ),
    }))
    return statsReply('matrix', result)
  }

  /** Rows of one pipe over all that the query's filter finds: what the query makes of it does not count. */
  async #valued(request: HttpRequest, pipe: Pipe): Promise<Fields[]> {
    const form = await request.form()
    const time = this.#time(form)
    const query = withoutPipes(this.#logsql(form, time))
    return this.#collect({ ...query, pipes: [pipe] }, time.range, request)
  }

  readonly fieldNames: Handler = async request => {
    const rows = await this.#valued(request, { kind: 'field-names', as: 'value' })
    return valuesReply(
      rows.map(row => valueOf(row, 'value')),
      0,
    )
  }

  async fieldValues(request: HttpRequest, fixed: string | undefined): Promise<HttpReply> {
    const form = await request.form()
    const field = fixed ?? fieldOfForm(form)
    const limit = countOfForm(form, 'limit')
    const rows = await this.#valued(request, { kind: 'field-values', field, limit: 0 })
    return valuesReply(
      rows.map(row => valueOf(row, field)),
      limit,
    )
  }

  async #streamFields(
    request: HttpRequest,
    pick: (labels: [string, string][]) => readonly string[],
  ): Promise<HttpReply> {
    const limit = countOfForm(await request.form(), 'limit')
    const hits = new Map<string, number>()
    for (const row of await this.#valued(request, { kind: 'field-values', field: '_stream', limit: 0 })) {
      const [stream, count] = valueOf(row, '_stream')
      for (const value of pick(labelsOfText(stream))) hits.set(value, (hits.get(value) ?? 0) + count)
    }
    return valuesReply([...hits], limit)
  }

  readonly streamFieldNames: Handler = request => this.#streamFields(request, labels => labels.map(([name]) => name))
  readonly streamFieldValues: Handler = async request => {
    const field = fieldOfForm(await request.form())
    return this.#streamFields(request, labels => labels.filter(([name]) => name === field).map(([, value]) => value))
  }

  readonly facets: Handler = async request => {
    const form = await request.form()
    const rows = await this.#valued(request, {
      kind: 'facets',
      limit: countOfForm(form, 'limit') || 10,
      maxValues: countOfForm(form, 'max_values_per_field') || 1000,
      maxLength: countOfForm(form, 'max_value_len') || 128,
      keepsConstant: flagOf(form, 'keep_const_fields'),
    })
    const byField = new Map<string, { field_value: string; hits: number }[]>()
    for (const row of rows) {
      const name = row.get('field_name') ?? ''
      const entry = { field_value: row.get('field_value') ?? '', hits: Number(row.get('hits')) }
      const list = byField.get(name)
      if (list === undefined) byField.set(name, [entry])
      else list.push(entry)
    }
    return {
      status: 200,
      headers: json,
      body: JSON.stringify({ facets: [...byField].map(([name, values]) => ({ field_name: name, values })) }),
    }
  }
}

function lineJson(line: FoundLine): string {
  const object: Record<string, string> = {
    _time: timeText(line.ms, line.subNs),
    _stream: new Labels(line.stream).toString().replaceAll(', ', ','),
    _msg: line.line,
  }
  for (const pairs of [line.stream, line.metadata, line.parsed])
    for (let i = 0; i < pairs.length; i += 2) setOwn(object, pairs[i]!, pairs[i + 1]!)
  return JSON.stringify(object)
}

/** The texts are made as they are sent. */
function* pieces(rows: Iterable<string>): Generator<string> {
  let piece = ''
  for (const row of rows) {
    piece += `${row}\n`
    if (piece.length > 65_536) {
      yield piece
      piece = ''
    }
  }
  yield piece
}

function valueOf(row: Fields, name: string): [string, number] {
  return [row.get(name) ?? '', Number(row.get('hits') ?? '0')]
}

function fieldOfForm(form: URLSearchParams): string {
  const field = form.get('field') ?? ''
  if (field === '') throw new BadDataError('the parameter "field" is missing')
  return field
}

/** The most hits first, equal ones in the natural order of their values; hits are 0 where values are left out. */
function valuesReply(values: readonly (readonly [string, number])[], limit: number): HttpReply {
  const sorted = [...values].sort((a, b) => b[1] - a[1] || compareNaturally(a[0], b[0]))
  const isCut = limit > 0 && sorted.length > limit
  return {
    status: 200,
    headers: json,
    body: JSON.stringify({
      values: isCut
        ? sorted.slice(0, limit).map(([value]) => ({ value, hits: 0 }))
        : sorted.map(([value, hits]) => ({ value, hits })),
    }),
  }
}

function statsReply(resultType: 'vector' | 'matrix', result: readonly unknown[]): HttpReply {
  return { status: 200, headers: json, body: JSON.stringify({ status: 'success', data: { resultType, result } }) }
}

function logqlOf(source: string): LogqlExpr | undefined {
  try {
    return parseLogql(source)
  } catch {
    return undefined
  }
}

/** Whole milliseconds around a range, which ends a day ahead at most; the end is exclusive. */
function millisecondsOf({ fromNs, throughNs }: LogsqlRange, nowMs: number): { fromMs: number; toMs: number } {
  return {
    fromMs: Math.max(0, Math.floor(Number(fromNs / 1_000_000n))),
    toMs: Math.min(Number(throughNs / 1_000_000n) + 1, Math.ceil(nowMs) + 86_400_000),
  }
}

/** Pipes that make other rows of the rows that the filter found. */
const gatheringPipes: ReadonlySet<Pipe['kind']> = new Set<Pipe['kind']>([
  'block-stats',
  'blocks-count',
  'facets',
  'field-names',
  'field-values',
  'join',
  'limit',
  'offset',
  'running-stats',
  'sample',
  'sort',
  'stats',
  'top',
  'total-stats',
  'union',
  'uniq',
])

/** Does an answer show the rows that the filter found, with their times? */
function keepsTimes({ pipes }: LogsqlQuery): boolean {
  return pipes.every(pipe => {
    if (gatheringPipes.has(pipe.kind)) return false
    if (pipe.kind === 'fields') return pipe.names.some(name => matchesName(name, '_time'))
    return pipe.kind !== 'delete' || !pipe.names.some(name => matchesName(name, '_time'))
  })
}

/** Rows with no value at all are left out. */
function* shownRows(rows: Iterable<Fields>): Generator<string> {
  for (const row of rows) {
    const text = rowJson(row)
    if (text !== '{}') yield text
  }
}
