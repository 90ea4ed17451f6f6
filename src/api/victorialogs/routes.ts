/** VictoriaLogs' query API: LogsQL, and LogQL where a query is not LogsQL. Source: docs/http-api.md. */
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, BadQueryError, LimitError } from '#core/errors.ts'
import { keyOfTexts, quote } from '#core/text.ts'
import { setOwn } from '#core/own.ts'
import type { LogqlExpr } from '#lang/logql/ast.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import type { LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { parseMoment, parseSpanMs } from '#lang/logsql/times.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import type { LogsReader } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import { RequestReaders } from '#net/request-readers.ts'
import {
  inDialect,
  queries,
  route,
  under,
  whenReady,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import type { LogqlEngine } from '#query/logql/engine.ts'
import type { FoundLine } from '#query/logql/log-query.ts'
import type { LogsqlEngine, LogsqlRange } from '#query/logsql/engine.ts'
import { timeText, type Fields } from '#query/logsql/row.ts'
import { rowJson, victoriaLogsErrors } from './respond.ts'
import { checkTailed, LogsqlTail, type TailingOptions } from './tail.ts'

export interface VictoriaLogsApiOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  clock: Clock
  engine: LogsqlEngine
  logql: LogqlEngine
  store: { reader(tenant: string): LogsReader; readonly ready: boolean; readonly notReady?: string | undefined }
  tenantOf: (request: HttpRequest) => string
}

const json = { 'content-type': 'application/json' } as const
const lines = { 'content-type': 'application/stream+json' } as const
const bucketsMax = 100_000
/** Queries and lists: whatever a request can make long. */
export function victoriaLogsRoutes(options: VictoriaLogsApiOptions): Route[] {
  const api = new VictoriaLogsApi(options)
  const both = ['GET', 'POST'] as const
  const routes = [
    route(both, '/query', api.query),
    route(both, '/hits', api.hits),
    route(both, '/stats_query', api.statsQuery),
    route(both, '/stats_query_range', api.statsQueryRange),
    route(both, '/facets', api.facets),
    route(both, '/field_names', request => api.values(request, [{ kind: 'field-names', as: 'value' }])),
    route(both, '/field_values', request => api.fieldValues(request, undefined)),
    route(both, '/streams', request => api.fieldValues(request, '_stream')),
    route(both, '/stream_ids', request => api.fieldValues(request, '_stream_id')),
    route(both, '/stream_field_names', api.streamFieldNames),
    route(both, '/stream_field_values', api.streamFieldValues),
  ]
  return queries(inOwnDialect(options, api, routes))
}

/** A tail goes on for as long as its reader likes: it is answered where the lines come in. */
export function victoriaLogsTail(options: VictoriaLogsApiOptions, tailing: TailingOptions): Route[] {
  const api = new VictoriaLogsApi(options, tailing)
  return inOwnDialect(options, api, [route(['GET', 'POST'], '/tail', api.tail)])
}

function inOwnDialect({ store }: VictoriaLogsApiOptions, { readers }: VictoriaLogsApi, routes: Route[]): Route[] {
  const noting = routes.map(one => ({ ...one, handler: readers.noting(one.handler) }))
  return under(['/select/logsql'], inDialect(victoriaLogsErrors, whenReady(store, noting)))
}

type Parsed = { kind: 'logsql'; query: LogsqlQuery } | { kind: 'logql'; expr: LogqlExpr }

class VictoriaLogsApi {
  readonly #options: VictoriaLogsApiOptions
  readonly #tailing: TailingOptions | undefined
  readonly readers: RequestReaders<LogsReader>

  constructor(options: VictoriaLogsApiOptions, tailing?: TailingOptions) {
    this.#options = options
    this.#tailing = tailing
    this.readers = new RequestReaders(request => options.store.reader(options.tenantOf(request)), options.onIncomplete)
  }

  #reader(request: HttpRequest): LogsReader {
    return this.readers.of(request)
  }

  /** Only the route of tails comes here. */
  get #tails(): TailingOptions {
    assert(this.#tailing !== undefined, 'tails are served where their options are')
    return this.#tailing
  }

  /** LogsQL; what is none, and is LogQL, is taken as that. */
  #parse(form: URLSearchParams, atMs = this.#options.clock.nowMs()): Parsed {
    const source = form.get('query') ?? ''
    if (source === '') throw new BadDataError('the parameter "query" is missing')
    try {
      return { kind: 'logsql', query: parseLogsql(source, atMs) }
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      try {
        return { kind: 'logql', expr: parseLogql(source) }
      } catch {
        throw error
      }
    }
  }

  #logsql(form: URLSearchParams, atMs?: number): LogsqlQuery {
    const parsed = this.#parse(form, atMs)
    if (parsed.kind === 'logql') throw new BadQueryError('a LogsQL query was expected here', 0, 0)
    return parsed.query
  }

  #range(form: URLSearchParams): LogsqlRange {
    const nowMs = this.#options.clock.nowMs()
    const read = (name: string): { ms: number; widthMs: number } | undefined => {
      const value = form.get(name)
      if (value === null || value === '' || value === '0') return undefined
      const moment = parseMoment(value, nowMs)
      if (moment === undefined)
        throw new BadDataError(
          `the parameter ${quote(name)} can't be read: ${quote(value)}; ` +
            'RFC 3339, a Unix time or a duration was expected',
        )
      return moment
    }
    const start = read('start'),
      end = read('end')
    return { fromMs: start?.ms ?? -Infinity, toMs: end === undefined ? Infinity : end.ms + end.widthMs }
  }

  #count(form: URLSearchParams, name: string): number {
    const value = form.get(name)
    if (value === null || value === '') return 0
    if (!/^\d+$/.test(value))
      throw new BadDataError(`the parameter ${quote(name)} must be a count, ${quote(value)} is none`)
    return Number(value)
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
    const parsed = this.#parse(form)
    const limit = this.#count(form, 'limit')
    const range = this.#range(form)
    if (parsed.kind === 'logql') return this.#logqlLines(parsed.expr, range, limit, request)
    const rows = await this.#collect(parsed.query, range, request, limit === 0 ? undefined : limit)
    return { status: 200, headers: lines, body: pieces(rows.values().map(rowJson)) }
  }

  async #logqlLines(expr: LogqlExpr, range: LogsqlRange, limit: number, request: HttpRequest): Promise<HttpReply> {
    const { clock, logql } = this.#options
    const toMs = Math.min(range.toMs, clock.nowMs() + 86_400_000),
      fromMs = Math.max(0, range.fromMs)
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
    const query = this.#logsql(form)
    checkTailed(query)
    const { tails } = this.#tails
    if (tails.running >= tails.max)
      throw new LimitError(`${tails.running} tails run, which is the limit; end one, or raise limits.tails`, 429)
    const { clock, engine, onIncomplete: onLacking = () => {} } = this.#options
    const { signal } = request
    const tail = new LogsqlTail({ clock, engine, query, reader: this.#reader(request), signal, onLacking }, this.#tails)
    return { status: 200, headers: lines, body: tail.pieces(), isLive: true }
  }

  /** Counts by step. */
  readonly hits: Handler = async request => {
    const form = await request.form()
    const query = this.#logsql(form)
    const stepMs = this.#step(form, '1d')
    const offsetMs = parseSpanMs(form.get('offset') ?? '') ?? 0
    const fields = form.getAll('field').filter(f => f !== '')
    const limit = this.#count(form, 'fields_limit')
    const rows = await this.#collect(query, this.#range(form), request)
    const groups = new Map<string, { fields: Record<string, string>; counts: Map<number, number>; total: number }>()
    for (const row of rows) {
      const values = fields.map(field => row.get(field) ?? '')
      const key = keyOfTexts(values)
      let group = groups.get(key)
      if (group === undefined)
        groups.set(
          key,
          (group = {
            fields: Object.fromEntries(fields.map((field, i) => [field, values[i]!])),
            counts: new Map(),
            total: 0,
          }),
        )
      const ms = Date.parse(row.get('_time') ?? '')
      if (Number.isNaN(ms)) continue
      const at = Math.floor((ms - offsetMs) / stepMs) * stepMs + offsetMs
      group.counts.set(at, (group.counts.get(at) ?? 0) + 1)
      group.total++
      if (group.counts.size > bucketsMax)
        throw new LimitError(`there are more than ${bucketsMax} steps, which is the limit; take a longer step`, 422)
    }
    let sorted = [...groups.values()].sort((a, b) => b.total - a.total)
    if (limit > 0 && sorted.length > limit) {
      const rest = { fields: {}, counts: new Map<number, number>(), total: 0 }
      for (const { counts, total } of sorted.slice(limit)) {
        rest.total += total
        for (const [at, n] of counts) rest.counts.set(at, (rest.counts.get(at) ?? 0) + n)
      }
      sorted = [...sorted.slice(0, limit), rest]
    }
    return {
      status: 200,
      headers: json,
      body: JSON.stringify({
        hits: sorted.map(({ fields: names, counts, total }) => {
          const points = [...counts].sort((a, b) => a[0] - b[0])
          return {
            fields: names,
            timestamps: points.map(([at]) => timeText(at, 0)),
            values: points.map(([, n]) => n),
            total,
          }
        }),
      }),
    }
  }

  #step(form: URLSearchParams, fallback: string): number {
    const value = form.get('step') ?? ''
    const ms = /^[\d.]+$/.test(value) ? Number(value) * 1000 : parseSpanMs(value === '' ? fallback : value)
    if (ms === undefined || !(ms >= 1))
      throw new BadDataError(
        `the parameter "step" must be a duration of a millisecond at least, ${quote(value)} is none`,
      )
    return ms
  }

  #lastStats(query: LogsqlQuery): Pipe & { kind: 'stats' } {
    const stats = query.pipes.find((p): p is Pipe & { kind: 'stats' } => p.kind === 'stats')
    if (stats === undefined) throw new BadQueryError('the query must end in a stats pipe', 0, 0)
    return stats
  }

  /** Stats as Prometheus answers an instant query. */
  readonly statsQuery: Handler = async request => {
    const form = await request.form()
    const nowMs = this.#options.clock.nowMs()
    const time = form.get('time')
    const atMs = time === null || time === '' ? nowMs : (parseMoment(time, nowMs)?.ms ?? nowMs)
    const parsed = this.#parse(form, atMs)
    if (parsed.kind === 'logql') {
      if (parsed.expr.kind === 'log') throw new BadQueryError('a metric query was expected here', 0, 0)
      const { series, kind, value } = await this.#options.logql.instant(
        parsed.expr,
        Math.floor(atMs),
        0,
        this.#reader(request),
        false,
        request.signal,
      )
      const result =
        kind === 'scalar'
          ? [{ metric: {}, value: [atMs / 1000, String(value)] }]
          : series.map(s => ({ metric: s.labels.toObject(), value: [atMs / 1000, String(s.values[0]!)] }))
      return {
        status: 200,
        headers: json,
        body: JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }),
      }
    }
    const stats = this.#lastStats(parsed.query)
    const rows = await this.#collect(parsed.query, this.#range(form), request)
    const names = new Set(stats.calls.map(c => c.as))
    const result = rows.flatMap(row =>
      [...row]
        .filter(([name]) => names.has(name))
        .map(([name, value]) => ({
          metric: { __name__: name, ...Object.fromEntries([...row].filter(([n]) => !names.has(n))) },
          value: [Math.floor(atMs) / 1000, value],
        })),
    )
    return {
      status: 200,
      headers: json,
      body: JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }),
    }
  }

  /** The same by step. */
  readonly statsQueryRange: Handler = async request => {
    const form = await request.form()
    const stepMs = this.#step(form, '1d')
    const parsed = this.#parse(form)
    const range = this.#range(form)
    if (parsed.kind === 'logql') {
      if (parsed.expr.kind === 'log') throw new BadQueryError('a metric query was expected here', 0, 0)
      const nowMs = this.#options.clock.nowMs()
      const { series, grid } = await this.#options.logql.range(
        parsed.expr,
        Math.max(0, range.fromMs === -Infinity ? nowMs - 3_600_000 : range.fromMs),
        Math.min(range.toMs, nowMs),
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
      return {
        status: 200,
        headers: json,
        body: JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }),
      }
    }
    const stats = this.#lastStats(parsed.query)
    if (!stats.by.some(key => key.field === '_time'))
      stats.by.push({ field: '_time', bucket: stepMs * 1e6, offset: 0, name: '_time' })
    const names = new Set(stats.calls.map(c => c.as))
    const series = new Map<string, { metric: Record<string, string>; values: [number, string][] }>()
    for (const row of await this.#collect(parsed.query, range, request)) {
      const seconds = Date.parse(row.get('_time') ?? '') / 1000
      for (const [name, value] of row) {
        if (!names.has(name)) continue
        const metric = {
          __name__: name,
          ...Object.fromEntries([...row].filter(([n]) => !names.has(n) && n !== '_time')),
        }
        const key = JSON.stringify(metric)
        let one = series.get(key)
        if (one === undefined) series.set(key, (one = { metric, values: [] }))
        one.values.push([seconds, value])
      }
    }
    const result = [...series.values()].map(s => ({ ...s, values: s.values.sort((a, b) => a[0] - b[0]) }))
    return {
      status: 200,
      headers: json,
      body: JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }),
    }
  }

  async #valued(request: HttpRequest, extra: Pipe[]): Promise<Fields[]> {
    const form = await request.form()
    const query = this.#logsql(form)
    return this.#collect({ filter: query.filter, pipes: [...query.pipes, ...extra] }, this.#range(form), request)
  }

  async values(request: HttpRequest, extra: Pipe[]): Promise<HttpReply> {
    return valuesReply(
      (await this.#valued(request, extra)).map(row => [row.get('value') ?? '', toNumber(row.get('hits') ?? '0')]),
      this.#count(await request.form(), 'limit'),
    )
  }

  async fieldValues(request: HttpRequest, fixed: string | undefined): Promise<HttpReply> {
    const form = await request.form()
    const field = fixed ?? form.get('field') ?? ''
    if (field === '') throw new BadDataError('the parameter "field" is missing')
    const rows = await this.#valued(request, [{ kind: 'field-values', field, limit: 0 }])
    return valuesReply(
      rows.map(row => [row.get(field) ?? '', toNumber(row.get('hits') ?? '0')]),
      this.#count(form, 'limit'),
    )
  }

  async #streamFields(request: HttpRequest, pick: (labels: Labels) => readonly string[]): Promise<HttpReply> {
    const form = await request.form()
    const hits = new Map<string, number>()
    for (const row of await this.#valued(request, [{ kind: 'field-values', field: '_stream', limit: 0 }])) {
      const count = toNumber(row.get('hits') ?? '0')
      for (const value of pick(labelsOfStream(row.get('_stream') ?? '')))
        hits.set(value, (hits.get(value) ?? 0) + count)
    }
    return valuesReply([...hits], this.#count(form, 'limit'))
  }

  readonly streamFieldNames: Handler = request =>
    this.#streamFields(request, labels => labels.pairs.filter((_, i) => i % 2 === 0))
  readonly streamFieldValues: Handler = async request => {
    const field = (await request.form()).get('field') ?? ''
    if (field === '') throw new BadDataError('the parameter "field" is missing')
    return this.#streamFields(request, labels => (labels.has(field) ? [labels.get(field)] : []))
  }

  readonly facets: Handler = async request => {
    const form = await request.form()
    const rows = await this.#valued(request, [
      {
        kind: 'facets',
        limit: this.#count(form, 'limit') || 10,
        maxValues: this.#count(form, 'max_values_per_field') || 1000,
        keepsConstant: form.get('keep_const_fields') === '1',
      },
    ])
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

function valuesReply(values: readonly (readonly [string, number])[], limit: number): HttpReply {
  const sorted = [...values].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
  return {
    status: 200,
    headers: json,
    body: JSON.stringify({
      values: (limit > 0 ? sorted.slice(0, limit) : sorted).map(([value, hits]) => ({ value, hits })),
    }),
  }
}

function labelsOfStream(stream: string): Labels {
  const entries: [string, string][] = []
  for (const [, name = '', value = '""'] of stream.matchAll(/([^{},=]+)=("(?:[^"\\]|\\.)*")/g))
    // The expression lets only texts in quotes through.
    entries.push([name, JSON.parse(value) as string])
  return Labels.from(entries)
}
