/** The HTTP API of Jaeger's query service, as its UI and Grafana's Jaeger data source ask it. Source: docs/http-api.md. */
import type { Clock } from '#core/clock.ts'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import type { FieldExpr, Literal } from '#lang/traceql/ast.ts'
import { parseField } from '#lang/traceql/parser.ts'
import type { JsonValue } from '#model/trace-json.ts'
import type { Handler, HttpReply, HttpRequest, Route } from '#net/route-table.ts'
import type { TraceSearch } from '#query/traceql/search.ts'
import type { TagFinder } from '#query/traceql/tags.ts'
import type { TracesReader } from '#traces/select.ts'
import { tempoError } from '../tempo/respond.ts'
import { traceId } from '../tempo/params.ts'
import { jaegerTrace } from './trace.ts'

export interface Dependency {
  parent: string
  child: string
  callCount: number
}

export interface JaegerOptions {
  clock: Clock
  search: TraceSearch
  tags: TagFinder
  store: { reader(tenant: string): TracesReader }
  tenantOf: (request: HttpRequest) => string
  /** Calls from service to service that ended in (endMs - lookbackMs, endMs]. */
  dependencies: (request: HttpRequest, endMs: number, lookbackMs: number) => Promise<Dependency[]>
}

const defaultLimit = 20,
  limitMax = 1500
const defaultLookbackMs = 3_600_000
/** Services and operations are listed of this time. */
const namesLookbackMs = 24 * 3_600_000

function reply(data: JsonValue, total = Array.isArray(data) ? data.length : 1): HttpReply {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data, total, limit: 0, offset: 0, errors: null }),
  }
}
function failure(status: number, message: string): HttpReply {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: null, total: 0, limit: 0, offset: 0, errors: [{ code: status, msg: message }] }),
  }
}

const field = (name: string): FieldExpr => ({ kind: 'field', field: parseField(name) })
const compare = (name: string, op: '=' | '>=' | '<=', literal: Literal): FieldExpr => ({
  kind: 'compare',
  op,
  left: field(name),
  right: { kind: 'literal', literal },
})
const either = (list: FieldExpr[], op: '&&' | '||'): FieldExpr | undefined =>
  list.reduce<FieldExpr | undefined>(
    (left, right) => (left === undefined ? right : { kind: 'logic', op, left, right }),
    undefined,
  )

/** A tag's value is asked for as a text, whatever the attribute's type is. */
function tagCondition(key: string, value: string): FieldExpr {
  if (key === 'error' && (value === 'true' || value === 'false')) {
    const isError = compare('status', '=', { type: 'status', value: 2 })
    return value === 'true'
      ? isError
      : {
          kind: 'compare',
          op: '!=',
          left: field('status'),
          right: { kind: 'literal', literal: { type: 'status', value: 2 } },
        }
  }
  const kind = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'].indexOf(value)
  if (key === 'span.kind' && kind >= 0) return compare('kind', '=', { type: 'kind', value: kind })
  if (key === 'otel.status_code')
    return compare('status', '=', {
      type: 'status',
      value: value.toUpperCase() === 'ERROR' ? 2 : value.toUpperCase() === 'OK' ? 1 : 0,
    })
  if (key === 'otel.status_description') return compare('statusMessage', '=', { type: 'string', value })
  if (key === 'otel.scope.name') return compare('instrumentation:name', '=', { type: 'string', value })
  const name = `."${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  const ways: FieldExpr[] = [compare(name, '=', { type: 'string', value })]
  if (/^-?\d{1,15}$/.test(value)) ways.push(compare(name, '=', { type: 'int', value: Number(value) }))
  if (/^-?\d{1,15}(\.\d+)?$/.test(value)) ways.push(compare(name, '=', { type: 'float', value: Number(value) }))
  if (value === 'true' || value === 'false') ways.push(compare(name, '=', { type: 'bool', value: value === 'true' }))
  return either(ways, '||')!
}

function microsParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (!/^\d+$/.test(text))
    throw new BadDataError(`unable to parse param '${name}': ${quote(text)} is no time in microseconds`)
  return Number(text) / 1000
}

function durationParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const ms = parseDurationMs(text)
  if (ms === undefined) throw new BadDataError(`unable to parse param '${name}': ${quote(text)} is no duration`)
  return ms * 1e6
}

/** `tag=key:value`, several times, and `tags={"key":"value"}`. */
function tagsOf(query: URLSearchParams): [string, string][] {
  const tags = query.getAll('tag').map((pair): [string, string] => {
    const colon = pair.indexOf(':')
    if (colon <= 0) throw new BadDataError(`malformed 'tag' parameter, expecting key:value, received: ${pair}`)
    return [pair.slice(0, colon), pair.slice(colon + 1)]
  })
  for (const text of query.getAll('tags')) {
    if (text === '') continue
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch (error) {
      throw new BadDataError(`malformed 'tags' parameter, cannot unmarshal JSON: ${messageOf(error)}`)
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new BadDataError(`malformed 'tags' parameter: a JSON object of texts was expected, ${quote(text)} is none`)
    for (const [key, value] of Object.entries(json)) tags.push([key, String(value)])
  }
  return tags
}

export function jaegerRoutes({ clock, search, tags, store, tenantOf, dependencies }: JaegerOptions): Route[] {
  const reader = (request: HttpRequest): TracesReader => store.reader(tenantOf(request))
  const guarded =
    (handler: Handler): Handler =>
    async request => {
      try {
        return await handler(request)
      } catch (error) {
        const { status, body } = tempoError(error)
        return failure(status, typeof body === 'string' && body !== '' ? body : 'not found')
      }
    }
  const recent = (): { fromMs: number; throughMs: number } => ({
    fromMs: clock.nowMs() - namesLookbackMs,
    throughMs: Infinity,
  })
  const valuesOf = async (request: HttpRequest, name: string, q = ''): Promise<string[]> =>
    (await tags.values(reader(request), recent(), parseField(name), q, request.signal)).map(v => v.value).sort()
  const ofService = (service: string, kind = ''): string =>
    `{ resource.service.name = ${JSON.stringify(service)}${kind === '' ? '' : ` && kind = ${kind}`} }`

  const services: Handler = async request => reply(await valuesOf(request, 'resource.service.name'))
  const operationsOf: Handler = async request =>
    reply(await valuesOf(request, 'name', ofService(request.params['service'] ?? '')))
  const operations: Handler = async request => {
    const service = request.query.get('service') ?? '',
      asked = request.query.get('spanKind') ?? ''
    if (service === '') throw new BadDataError("unable to parse param 'service': parameter 'service' is required")
    const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
    if (asked !== '' && !kinds.includes(asked))
      throw new BadDataError(`unable to parse param 'spanKind': ${quote(asked)} is none of ${kinds.join(', ')}`)
    const found = await Promise.all(
      kinds
        .filter(kind => asked === '' || kind === asked)
        .map(async kind =>
          (await valuesOf(request, 'name', ofService(service, kind))).map(name => ({
            name,
            spanKind: kind === 'unspecified' ? '' : kind,
          })),
        ),
    )
    return reply(found.flat())
  }

  const byId = async (request: HttpRequest, ids: readonly string[]): Promise<JsonValue[]> => {
    const found: JsonValue[] = []
    for (const id of ids) {
      const bytes = traceId(id),
        trace = await reader(request).find(bytes, -Infinity, Infinity)
      if (trace !== undefined) found.push(jaegerTrace(Buffer.from(bytes).toString('hex'), trace))
    }
    return found
  }
  const trace: Handler = async request => {
    const found = await byId(request, [request.params['id'] ?? ''])
    return found.length === 0 ? failure(404, 'trace not found') : reply(found)
  }
  const traces: Handler = async request => {
    const { query } = request
    const ids = query.getAll('traceID')
    if (ids.length > 0) return reply(await byId(request, ids))
    const service = query.get('service') ?? '',
      operation = query.get('operation') ?? ''
    if (service === '') throw new BadDataError("parameter 'service' is required")
    const conditions = [
      compare('resource.service.name', '=', { type: 'string', value: service }),
      ...tagsOf(query).map(([key, value]) => tagCondition(key, value)),
    ]
    if (operation !== '' && operation !== 'all')
      conditions.push(compare('name', '=', { type: 'string', value: operation }))
    const least = durationParam(query, 'minDuration'),
      most = durationParam(query, 'maxDuration')
    if (least !== undefined) conditions.push(compare('duration', '>=', { type: 'duration', value: least }))
    if (most !== undefined) conditions.push(compare('duration', '<=', { type: 'duration', value: most }))
    const throughMs = microsParam(query, 'end') ?? clock.nowMs()
    const fromMs = microsParam(query, 'start') ?? throughMs - defaultLookbackMs
    if (fromMs > throughMs) throw new BadDataError("'start' must be before 'end'")
    const limitText = query.get('limit') ?? ''
    if (limitText !== '' && !/^\d+$/.test(limitText))
      throw new BadDataError(`unable to parse param 'limit': ${quote(limitText)} is no count`)
    const limit = Math.min(limitMax, limitText === '' || limitText === '0' ? defaultLimit : Number(limitText))
    const found = await search.run(
      {
        stages: [{ kind: 'filter', condition: either(conditions, '&&') }],
        hints: new Map(),
        fromMs,
        throughMs,
        limit,
        spansPerSet: 1,
      },
      reader(request),
      request.signal,
    )
    return reply(
      await byId(
        request,
        found.traces.map(t => t.id),
      ),
    )
  }
  const graph: Handler = async request => {
    const end = request.query.get('endTs') ?? '',
      lookback = request.query.get('lookback') ?? ''
    if (!/^\d*$/.test(end) || !/^\d*$/.test(lookback))
      throw new BadDataError("unable to parse param 'endTs' or 'lookback': milliseconds were expected")
    const list = await dependencies(
      request,
      end === '' ? clock.nowMs() : Number(end),
      lookback === '' ? namesLookbackMs : Number(lookback),
    )
    return reply(list.map(({ parent, child, callCount }) => ({ parent, child, callCount })))
  }
  const get = (path: string, handler: Handler): Route => ({ methods: ['GET'], path, handler: guarded(handler) })
  const under = (prefix: string): Route[] => [
    get(`${prefix}/services`, services),
    get(`${prefix}/services/:service/operations`, operationsOf),
    get(`${prefix}/operations`, operations),
    get(`${prefix}/traces`, traces),
    get(`${prefix}/dependencies`, graph),
  ]
  // At the root, /api/traces/<id> is Tempo's.
  return [
    ...under('/api'),
    ...['/select/jaeger/api', '/jaeger/api'].flatMap(prefix => [...under(prefix), get(`${prefix}/traces/:id`, trace)]),
  ]
}
