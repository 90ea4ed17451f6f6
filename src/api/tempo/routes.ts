/** Tempo's HTTP API. Source: docs/http-api.md. */
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Handler, HttpRequest, Route } from '#net/http.ts'
import type { TraceSearch } from '#query/traceql/search.ts'
import type { TagFinder } from '#query/traceql/tags.ts'
import { parseField } from '#lang/traceql/parser.ts'
import type { TracesReader } from '#traces/select.ts'
import { encodeOtlpTraces, traceToJson } from '#wire/otlp/traces.ts'
import { countParam, searchQuery, timeRange, traceId } from './params.ts'
import { ok, plain, statsJson, tempoError, traceJson } from './respond.ts'
import { metricsHandlers } from './metrics.ts'
import type { TraceMetrics } from '#query/traceql/metrics.ts'

export interface TempoOptions {
  clock: Clock
  search: TraceSearch
  tags: TagFinder
  metrics: TraceMetrics
  store: { reader(tenant: string): TracesReader }
  tenantOf: (request: HttpRequest) => string
  version: string
}

const limitMax = 262_144
const spansPerSetMax = 100

const scopes: ReadonlySet<string> = new Set(['', 'none', 'resource', 'span', 'event', 'link', 'instrumentation', 'intrinsic'])

export function tempoRoutes(options: TempoOptions): Route[] {
  const { search, tags, store, tenantOf, version } = options
  const reader = (request: HttpRequest): TracesReader => store.reader(tenantOf(request))
  const guarded = (handler: Handler): Handler => async request => {
    try {
      return await handler(request)
    } catch (error) {
      return tempoError(error)
    }
  }
  const isProtobuf = (request: HttpRequest): boolean => (request.header('accept') ?? '').includes('application/protobuf')
  const protobuf = (body: Uint8Array): { status: number; headers: Record<string, string>; body: Uint8Array } => ({ status: 200, headers: { 'content-type': 'application/protobuf' }, body })

  const byId: Handler = async request => {
    const range = timeRange(request.query, false)
    const found = await reader(request).find(traceId(request.params['id'] ?? ''), range.fromMs, range.throughMs)
    if (found === undefined) return { status: 404, body: '' }
    return isProtobuf(request) ? protobuf(encodeOtlpTraces(found)) : ok({ batches: traceToJson(found) })
  }
  const byIdV2: Handler = async request => {
    const range = timeRange(request.query, false)
    const found = await reader(request).find(traceId(request.params['id'] ?? ''), range.fromMs, range.throughMs)
    if (isProtobuf(request)) {
      // TraceByIDResponse: 1 trace, 2 metrics.
      const trace = found === undefined ? new Uint8Array(0) : encodeOtlpTraces(found)
      return protobuf(Buffer.concat([Uint8Array.of(0x0a), varint(trace.length), trace]))
    }
    return ok({ trace: found === undefined ? {} : { resourceSpans: traceToJson(found) }, metrics: {} })
  }
  const searchHandler: Handler = async request => {
    const form = await request.form()
    const { stages, hints } = searchQuery(form)
    const { traces, stats } = await search.run({ stages, hints, ...timeRange(form, true), limit: countParam(form, 'limit', 20, limitMax), spansPerSet: countParam(form, 'spss', 3, spansPerSetMax) }, reader(request), request.signal)
    return ok({ traces: traces.map(traceJson), metrics: statsJson(stats) })
  }
  const scopeOf = (form: URLSearchParams): string => {
    const scope = form.get('scope') ?? ''
    if (!scopes.has(scope)) throw new BadDataError(`invalid scope: ${scope}`)
    return scope
  }
  const tagsV1: Handler = async request => {
    const form = await request.form()
    const found = await tags.names(reader(request), timeRange(form, false), scopeOf(form), request.signal)
    return ok({ tagNames: [...new Set(found.filter(s => s.name !== 'intrinsic' || form.get('scope') === 'intrinsic').flatMap(s => s.tags))].sort(), metrics: {} })
  }
  const tagsV2: Handler = async request => {
    const form = await request.form()
    return ok({ scopes: (await tags.names(reader(request), timeRange(form, false), scopeOf(form), request.signal)).map(s => ({ name: s.name, tags: s.tags })), metrics: {} })
  }
  const values = async (request: HttpRequest, name: string): Promise<{ type: string; value: string }[]> => {
    const form = await request.form()
    return tags.values(reader(request), timeRange(form, false), parseField(name), form.get('q') ?? '', request.signal)
  }
  const valuesV2: Handler = async request => {
    // The name may have slashes: it ends where the path's last part begins.
    const name = (request.params['*'] ?? '').replace(/\/values$/, '')
    if (name === request.params['*']) return plain(404, 'not found')
    return ok({ tagValues: await values(request, name), metrics: {} })
  }
  const valuesV1: Handler = async request => {
    const name = (request.params['*'] ?? '').replace(/\/values$/, '')
    if (name === request.params['*']) return plain(404, 'not found')
    let field = name
    try { parseField(name) } catch { field = `.${name}` }
    return ok({ tagValues: [...new Set((await values(request, field)).map(v => v.value))], metrics: {} })
  }
  const get = (path: string, handler: Handler): Route => ({ methods: ['GET'], path, handler: guarded(handler) })
  const metrics = metricsHandlers(options)
  return [
    get('/api/echo', async () => plain(200, 'echo')),
    get('/api/status/buildinfo', async () => ok({ version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' })),
    get('/api/traces/:id', byId), get('/api/v2/traces/:id', byIdV2), get('/api/search', searchHandler),
    get('/api/search/tags', tagsV1), get('/api/v2/search/tags', tagsV2), get('/api/search/tag/*', valuesV1), get('/api/v2/search/tag/*', valuesV2),
    get('/api/metrics/query_range', metrics.range), get('/api/metrics/query', metrics.instant),
  ]
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  while (value >= 128) { bytes.push(value % 128 | 128); value = Math.floor(value / 128) }
  return Uint8Array.from([...bytes, value])
}
