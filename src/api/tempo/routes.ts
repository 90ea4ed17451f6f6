/** Tempo's HTTP API. Source: docs/http-api.md. */
import type { Handler, HttpReply, HttpRequest, Route } from '#net/route-table.ts'
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
import { ok, plain, tempoError, type JsonObject } from './respond.ts'

export interface TempoOptions {
  answers: TempoAnswers
  store: { reader(tenant: string): TracesReader }
  tenantOf: (request: HttpRequest) => string
  version: string
}

type Answer = (
  form: URLSearchParams,
  reader: TracesReader,
  signal: AbortSignal,
  request: HttpRequest,
) => Promise<JsonObject>

export function tempoRoutes({ answers, store, tenantOf, version }: TempoOptions): Route[] {
  const reader = (request: HttpRequest): TracesReader => store.reader(tenantOf(request))
  const isProtobuf = (request: HttpRequest): boolean =>
    (request.header('accept') ?? '').includes('application/protobuf')
  const protobuf = (body: Uint8Array): HttpReply => ({
    status: 200,
    headers: { 'content-type': 'application/protobuf' },
    body,
  })
  const get = (path: string, handler: Handler): Route => ({
    methods: ['GET'],
    path,
    handler: async request => {
      try {
        return await handler(request)
      } catch (error) {
        return tempoError(error)
      }
    },
  })
  /** One answer in either form. */
  const answer = (path: string, table: MessageTable, make: Answer): Route =>
    get(path, async request => {
      const body = await make(await request.form(), reader(request), request.signal, request)
      return isProtobuf(request) ? protobuf(encodeMessage(table, body)) : ok(body)
    })

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
      return protobuf(
        encodeMessage(
          { trace: [1, 'bytes'] },
          { trace: found === undefined ? '' : Buffer.from(encodeOtlpTraces(found)).toString('base64') },
        ),
      )
    }
    return ok({ trace: found === undefined ? {} : { resourceSpans: traceToJson(found) }, metrics: {} })
  }
  // A tag's name may have slashes: it ends where the path's last part begins.
  const values = (
    path: string,
    table: MessageTable,
    make: (name: string, ...rest: Parameters<Answer>) => Promise<JsonObject>,
  ): Route => {
    const route = answer(path, table, (...rest) => make((rest[3].params['*'] ?? '').replace(/\/values$/, ''), ...rest))
    return {
      ...route,
      handler: async request =>
        (request.params['*'] ?? '').endsWith('/values') ? route.handler(request) : plain(404, 'not found'),
    }
  }
  return [
    get('/api/echo', async () => plain(200, 'echo')),
    get('/api/status/buildinfo', async () =>
      ok({ version, revision: '', branch: '', buildUser: '', buildDate: '', goVersion: '' }),
    ),
    get('/api/traces/:id', byId),
    get('/api/v2/traces/:id', byIdV2),
    answer('/api/search', searchResponse, (...q) => answers.search(q[0], q[1], q[2])),
    answer('/api/search/tags', searchTagsResponse, (...q) => answers.tags(q[0], q[1], q[2])),
    answer('/api/v2/search/tags', searchTagsV2Response, (...q) => answers.tagsByScope(q[0], q[1], q[2])),
    values('/api/search/tag/*', searchTagValuesResponse, (name, ...q) => answers.values(name, q[0], q[1], q[2])),
    values('/api/v2/search/tag/*', searchTagValuesV2Response, (name, ...q) =>
      answers.valuesWithTypes(name, q[0], q[1], q[2]),
    ),
    answer('/api/metrics/query_range', queryRangeResponse, (...q) => answers.metrics.range(q[0], q[1], q[2])),
    answer('/api/metrics/query', queryInstantResponse, (...q) => answers.metrics.instant(q[0], q[1], q[2])),
  ]
}
