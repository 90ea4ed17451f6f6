/** Jaeger's query service over HTTP, for its UI and Grafana's data source. Source: docs/http-api.md. */
import type { ScopeOf } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, CanceledError } from '#core/errors.ts'
import { compareText, quote } from '#core/text.ts'
import { yieldEvery } from '#core/yield.ts'
import { parseField } from '#lang/traceql/parser.ts'
import type { JsonValue } from '#model/trace-json.ts'
import { reads, readsAll } from '#net/access.ts'
import { RequestReaders } from '#net/request-readers.ts'
import {
  allowing,
  inDialect,
  queries,
  route,
  under,
  type GuardedRoute,
  type Handler,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import { scopedTraces } from '#query/traceql/scoped-reader.ts'
import type { TraceSearch } from '#query/traceql/search.ts'
import type { TagFinder } from '#query/traceql/tags.ts'
import { HeldGroups, type TracesReader } from '#traces/select.ts'
import { traceId } from '../tempo/params.ts'
import { readSearch, spanKinds } from './params.ts'
import { failure, jaegerErrors, reply } from './respond.ts'
import { jaegerTrace } from './trace.ts'

export interface Dependency {
  parent: string
  child: string
  callCount: number
}

export interface JaegerOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  clock: Clock
  search: TraceSearch
  tags: TagFinder
  store: { reader(tenant: string): TracesReader }
  scopeOf: ScopeOf
}

export interface DependencyOptions {
  clock: Clock
  /** Calls from service to service that ended in (endMs - lookbackMs, endMs]. */
  dependencies: (request: HttpRequest, endMs: number, lookbackMs: number) => Promise<Dependency[]>
}

/** Services and operations are listed of this time. */
const namesLookbackMs = 24 * 3_600_000
/** Putting traces together yields this often. */
const pauseEveryMs = 8

export function jaegerRoutes(options: JaegerOptions): GuardedRoute[] {
  const api = new JaegerApi(options)
  const get = (path: string, handler: Handler): Route => route(['GET'], path, handler)
  const common = [
    get('/services', api.services),
    get('/services/:service/operations', api.operationsOf),
    get('/operations', api.operations),
    get('/traces', api.traces),
  ]
  // At the root, /api/traces/<id> is Tempo's.
  const byId = get('/traces/:id', api.trace)
  const noting = (routes: readonly Route[]): Route[] =>
    routes.map(one => ({ ...one, handler: api.readers.noting(one.handler) }))
  const routes = inDialect(jaegerErrors, [
    ...under(['/api'], noting(common)),
    ...under(['/select/jaeger/api', '/jaeger/api'], noting([...common, byId])),
  ])
  return allowing(reads('traces'), queries(routes))
}

/** Which service calls which. */
export function jaegerDependencies({ clock, dependencies }: DependencyOptions): GuardedRoute[] {
  const handler: Handler = async request => {
    const end = request.query.get('endTs') ?? ''
    const lookback = request.query.get('lookback') ?? ''
    if (!/^\d*$/.test(end) || !/^\d*$/.test(lookback))
      throw new BadDataError("unable to parse param 'endTs' or 'lookback': milliseconds were expected")
    const list = await dependencies(
      request,
      end === '' ? clock.nowMs() : Number(end),
      lookback === '' ? namesLookbackMs : Number(lookback),
    )
    return reply(list.map(({ parent, child, callCount }) => ({ parent, child, callCount })))
  }
  const prefixes = ['/api', '/select/jaeger/api', '/jaeger/api']
  const routes = inDialect(jaegerErrors, under(prefixes, [route(['GET'], '/dependencies', handler)]))
  return allowing(readsAll('traces'), routes)
}

class JaegerApi {
  readonly #options: JaegerOptions
  readonly readers: RequestReaders<TracesReader>

  constructor(options: JaegerOptions) {
    this.#options = options
    this.readers = new RequestReaders(
      request => scopedTraces(options.store, options.scopeOf(request)),
      options.onIncomplete,
    )
  }

  #reader(request: HttpRequest): TracesReader {
    return this.readers.of(request)
  }

  async #valuesOf(request: HttpRequest, name: string, q = ''): Promise<string[]> {
    const { clock, tags } = this.#options
    const recent = { fromMs: clock.nowMs() - namesLookbackMs, throughMs: Infinity }
    const found = await tags.values(this.#reader(request), recent, parseField(name), q, request.signal)
    return found.map(v => v.value).sort()
  }

  /** Spans without a service are asked for by none. */
  readonly services: Handler = async request => {
    const names = await this.#valuesOf(request, 'resource.service.name')
    return reply(names.filter(name => name !== ''))
  }

  readonly operationsOf: Handler = async request =>
    reply(await this.#valuesOf(request, 'name', ofService(request.params['service'] ?? '')))

  readonly operations: Handler = async request => {
    const service = request.query.get('service') ?? ''
    const asked = request.query.get('spanKind') ?? ''
    if (service === '') throw new BadDataError("unable to parse param 'service': parameter 'service' is required")
    if (asked !== '' && !spanKinds.includes(asked))
      throw new BadDataError(`unable to parse param 'spanKind': ${quote(asked)} is none of ${spanKinds.join(', ')}`)
    const found = await Promise.all(
      spanKinds
        .filter(kind => asked === '' || kind === asked)
        .map(async kind => {
          const names = await this.#valuesOf(request, 'name', ofService(service, kind))
          return names.map(name => ({ name, spanKind: kind === 'unspecified' ? '' : kind }))
        }),
    )
    return reply(found.flat())
  }

  /** In the order of the ids. They are looked for in ascending order, as they lie in blocks. */
  async #byId(request: HttpRequest, ids: readonly string[]): Promise<JsonValue[]> {
    const pause = yieldEvery(this.#options.clock, pauseEveryMs)
    const held = ids.length > 1 ? new HeldGroups() : undefined
    const reader = this.#reader(request)
    const wanted = ids.map((id, place) => {
      const bytes = traceId(id)
      return { place, bytes, hex: Buffer.from(bytes).toString('hex') }
    })
    const found: (JsonValue | undefined)[] = ids.map(() => undefined)
    for (const { place, bytes, hex } of wanted.sort((a, b) => compareText(a.hex, b.hex))) {
      if (request.signal?.aborted === true) throw new CanceledError('the request was canceled')
      const trace = await reader.find(bytes, -Infinity, Infinity, held)
      if (trace !== undefined) found[place] = jaegerTrace(hex, trace)
      await pause()
    }
    return found.filter(trace => trace !== undefined)
  }

  readonly trace: Handler = async request => {
    const found = await this.#byId(request, [request.params['id'] ?? ''])
    const lacking = this.#reader(request).omissions.text()
    // Nobody knows whether what is missing has the trace.
    if (found.length === 0) return lacking === undefined ? failure(404, 'trace not found') : failure(500, lacking)
    return reply(found)
  }

  readonly traces: Handler = async request => {
    const ids = request.query.getAll('traceID')
    if (ids.length > 0) return reply(await this.#byId(request, ids))
    const search = readSearch(request.query, this.#options.clock.nowMs())
    const found = await this.#options.search.run(search, this.#reader(request), request.signal)
    return reply(
      await this.#byId(
        request,
        found.traces.map(t => t.id),
      ),
    )
  }
}

/** TraceQL for the spans of a service. */
function ofService(service: string, kind = ''): string {
  return `{ resource.service.name = ${JSON.stringify(service)}${kind === '' ? '' : ` && kind = ${kind}`} }`
}
