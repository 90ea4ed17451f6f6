/** Tempo's HTTP API. Source: docs/http-api.md. */
import type { ScopeOf } from '#api/tenancy.ts'
import type { Trace } from '#model/trace.ts'
import { known, reads } from '#net/access.ts'
import { RequestReaders } from '#net/request-readers.ts'
import {
  allowing,
  inDialect,
  queries,
  route,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import { scopedTraces } from '#query/traceql/scoped-reader.ts'
import type { TracesReader } from '#traces/select.ts'
import { encodeOtlpTraces, traceToJson } from '#wire/otlp/traces.ts'
import {
  encodeAnswer,
  queryInstantResponse,
  queryRangeResponse,
  searchResponse,
  searchTagsResponse,
  searchTagsV2Response,
  searchTagValuesResponse,
  searchTagValuesV2Response,
  traceByIdResponse,
  type MessageTable,
} from '#wire/tempo/messages.ts'
import type { TempoAnswers } from './answers.ts'
import { timeRange, traceId } from './params.ts'
import { ok, partialJson, plain, tempoErrors, type JsonObject } from './respond.ts'

export interface TempoOptions {
  /** Called for every answer that lacks something. */
  onIncomplete?: () => void
  answers: TempoAnswers
  store: { reader(tenant: string): TracesReader }
  scopeOf: ScopeOf
}

type Answer = (form: URLSearchParams, reader: TracesReader, signal: AbortSignal) => Promise<JsonObject>
type TagAnswer = (name: string, ...asked: Parameters<Answer>) => Promise<JsonObject>

/** Queries and lists: whatever a request can make long. */
export function tempoQueries(options: TempoOptions): GuardedRoute[] {
  const readers = new RequestReaders(
    request => scopedTraces(options.store, options.scopeOf(request)),
    options.onIncomplete,
  )
  const reading = [...traceRoutes(readers), ...answerRoutes(options.answers, readers)]
  const noting = reading.map(one => ({ ...one, handler: readers.noting(one.handler) }))
  return allowing(reads('traces'), queries(inDialect(tempoErrors, noting)))
}

/** What Tempo's API answers beside queries. */
export function tempoStatusRoutes(version: string): GuardedRoute[] {
  return allowing(known, inDialect(tempoErrors, statusRoutes(version)))
}

function get(path: string, handler: Handler): Route {
  return route(['GET'], path, handler)
}

function isProtobuf(request: HttpRequest): boolean {
  return (request.header('accept') ?? '').includes('application/protobuf')
}

function protobuf(body: Uint8Array): HttpReply {
  return { status: 200, headers: { 'content-type': 'application/protobuf' }, body }
}

function statusRoutes(version: string): Route[] {
  const build = { version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' }
  return [get('/api/echo', async () => plain(200, 'echo')), get('/api/status/buildinfo', async () => ok(build))]
}

/** A trace by its id. */
function traceRoutes(readers: RequestReaders<TracesReader>): Route[] {
  const find = (request: HttpRequest): Promise<Trace | undefined> => {
    const { fromMs, throughMs } = timeRange(request.query)
    return readers.of(request).find(traceId(request.params['id'] ?? ''), fromMs, throughMs)
  }
  return [
    get('/api/traces/:id', async request => {
      const found = await find(request)
      const lacking = readers.of(request).omissions.text()
      // Nobody knows whether what is missing has the trace.
      if (found === undefined) return lacking === undefined ? { status: 404, body: '' } : plain(500, lacking)
      return isProtobuf(request) ? protobuf(encodeOtlpTraces(found)) : ok({ batches: traceToJson(found) })
    }),
    get('/api/v2/traces/:id', async request => {
      const found = await find(request)
      const partial = partialJson(readers.of(request))
      if (isProtobuf(request)) return protobuf(encodeTraceById(found, partial))
      return ok({ trace: found === undefined ? {} : { resourceSpans: traceToJson(found) }, metrics: {}, ...partial })
    }),
  ]
}

function encodeTraceById(trace: Trace | undefined, partial: JsonObject): Uint8Array {
  const bytes = trace === undefined ? '' : Buffer.from(encodeOtlpTraces(trace)).toString('base64')
  return encodeAnswer(traceByIdResponse, { trace: bytes, ...partial })
}

/** What is also asked over gRPC (streams.ts): JSON, or the message of `table` where the request accepts protobuf. */
function answerRoutes(answers: TempoAnswers, readers: RequestReaders<TracesReader>): Route[] {
  const reply = async (request: HttpRequest, table: MessageTable, answer: Answer): Promise<HttpReply> => {
    const body = await answer(await request.form(), readers.of(request), request.signal)
    return isProtobuf(request) ? protobuf(encodeAnswer(table, body)) : ok(body)
  }
  const answered = (path: string, table: MessageTable, answer: Answer): Route =>
    route(['GET', 'POST'], path, request => reply(request, table, answer))
  // A tag's name may have slashes: it ends where the path's last part begins.
  const ofTag = (path: string, table: MessageTable, answer: TagAnswer): Route =>
    route(['GET', 'POST'], `${path}/*`, async request => {
      const rest = request.params['*'] ?? ''
      if (!rest.endsWith('/values')) return plain(404, '404 page not found')
      const name = rest.slice(0, -'/values'.length)
      if (name === '' || name === '.') return plain(404, '404 page not found')
      return reply(request, table, (...asked) => answer(name, ...asked))
    })
  const { metrics } = answers
  return [
    answered('/api/search', searchResponse, (...asked) => answers.search(...asked)),
    answered('/api/search/tags', searchTagsResponse, (...asked) => answers.tags(...asked)),
    answered('/api/v2/search/tags', searchTagsV2Response, (...asked) => answers.tagsByScope(...asked)),
    ofTag('/api/search/tag', searchTagValuesResponse, (...asked) => answers.values(...asked)),
    ofTag('/api/v2/search/tag', searchTagValuesV2Response, (...asked) => answers.valuesWithTypes(...asked)),
    answered('/api/metrics/query_range', queryRangeResponse, (...asked) => metrics.range(...asked)),
    answered('/api/metrics/query', queryInstantResponse, (...asked) => metrics.instant(...asked)),
  ]
}
