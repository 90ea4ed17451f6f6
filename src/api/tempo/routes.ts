/** Tempo's HTTP API. Source: docs/http-api.md. */
import type { Trace } from '#model/trace.ts'
import { inDialect, route, type Handler, type HttpReply, type HttpRequest, type Route } from '#net/route-table.ts'
import type { TracesReader } from '#traces/select.ts'
import { encodeOtlpTraces, traceToJson } from '#wire/otlp/traces.ts'
import {
  encodeMessage,
  queryInstantResponse,
  queryRangeResponse,
  searchResponse,
  searchTagsResponse,
  searchTagsV2Response,
  searchTagValuesResponse,
  searchTagValuesV2Response,
  type MessageTable,
} from '#wire/tempo/messages.ts'
import type { TempoAnswers } from './answers.ts'
import { timeRange, traceId } from './params.ts'
import { ok, plain, tempoErrors, type JsonObject } from './respond.ts'

export interface TempoOptions {
  answers: TempoAnswers
  store: { reader(tenant: string): TracesReader }
  tenantOf: (request: HttpRequest) => string
  version: string
}

type Answer = (form: URLSearchParams, reader: TracesReader, signal: AbortSignal) => Promise<JsonObject>
type TagAnswer = (name: string, ...asked: Parameters<Answer>) => Promise<JsonObject>

export function tempoRoutes(options: TempoOptions): Route[] {
  return inDialect(tempoErrors, [...statusRoutes(options.version), ...traceRoutes(options), ...answerRoutes(options)])
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
function traceRoutes({ store, tenantOf }: TempoOptions): Route[] {
  const find = (request: HttpRequest): Promise<Trace | undefined> => {
    const { fromMs, throughMs } = timeRange(request.query, false)
    return store.reader(tenantOf(request)).find(traceId(request.params['id'] ?? ''), fromMs, throughMs)
  }
  return [
    get('/api/traces/:id', async request => {
      const found = await find(request)
      if (found === undefined) return { status: 404, body: '' }
      return isProtobuf(request) ? protobuf(encodeOtlpTraces(found)) : ok({ batches: traceToJson(found) })
    }),
    get('/api/v2/traces/:id', async request => {
      const found = await find(request)
      if (isProtobuf(request)) return protobuf(encodeTraceById(found))
      return ok({ trace: found === undefined ? {} : { resourceSpans: traceToJson(found) }, metrics: {} })
    }),
  ]
}

/** TraceByIDResponse: 1 trace, 2 metrics. */
function encodeTraceById(trace: Trace | undefined): Uint8Array {
  return encodeMessage(
    { trace: [1, 'bytes'] },
    { trace: trace === undefined ? '' : Buffer.from(encodeOtlpTraces(trace)).toString('base64') },
  )
}

/** What is also asked over gRPC (streams.ts): JSON, or the message of `table` where the request accepts protobuf. */
function answerRoutes({ answers, store, tenantOf }: TempoOptions): Route[] {
  const reply = async (request: HttpRequest, table: MessageTable, answer: Answer): Promise<HttpReply> => {
    const body = await answer(await request.form(), store.reader(tenantOf(request)), request.signal)
    return isProtobuf(request) ? protobuf(encodeMessage(table, body)) : ok(body)
  }
  const answered = (path: string, table: MessageTable, answer: Answer): Route =>
    get(path, request => reply(request, table, answer))
  // A tag's name may have slashes: it ends where the path's last part begins.
  const ofTag = (path: string, table: MessageTable, answer: TagAnswer): Route =>
    get(`${path}/*`, async request => {
      const rest = request.params['*'] ?? ''
      if (!rest.endsWith('/values')) return plain(404, 'not found')
      const name = rest.slice(0, -'/values'.length)
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
