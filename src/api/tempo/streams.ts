/** Tempo's streaming service over gRPC, which Grafana asks when its data source streams: each call is answered by one message, the whole answer. */
import type { GrpcMethod } from '#net/grpc.ts'
import type { TracesReader } from '#traces/select.ts'
import {
  decodeMessage,
  encodeMessage,
  type JsonLike,
  type MessageTable,
  queryInstantResponse,
  queryRangeRequest,
  queryRangeResponse,
  searchRequest,
  searchResponse,
  searchTagsRequest,
  searchTagsResponse,
  searchTagsV2Response,
  searchTagValuesRequest,
  searchTagValuesResponse,
  searchTagValuesV2Response,
} from '#wire/tempo/messages.ts'
import type { TempoAnswers } from './answers.ts'
import type { JsonObject } from './respond.ts'

/** The parameters of the same request over HTTP: name in the message, name of the parameter, what becomes of the value. */
type Names = readonly (readonly [field: string, parameter: string, change?: (value: string) => string])[]

const searchNames: Names = [
  ['query', 'q'],
  ['limit', 'limit'],
  ['start', 'start'],
  ['end', 'end'],
  ['spansPerSpanSet', 'spss'],
  ['minDurationMs', 'minDuration', ms => `${ms}ms`],
  ['maxDurationMs', 'maxDuration', ms => `${ms}ms`],
]
const tagNames: Names = [
  ['scope', 'scope'],
  ['start', 'start'],
  ['end', 'end'],
  ['query', 'q'],
]
const valueNames: Names = [
  ['start', 'start'],
  ['end', 'end'],
  ['query', 'q'],
]
const metricsNames: Names = [
  ['query', 'q'],
  ['start', 'start'],
  ['end', 'end'],
  ['step', 'step', ns => String(Number(ns) / 1e9)],
  ['exemplars', 'exemplars'],
  ['maxSeries', 'maxSeries'],
]

function formOf(request: Readonly<Record<string, JsonLike>>, names: Names): URLSearchParams {
  const form = new URLSearchParams()
  for (const [field, parameter, change] of names) {
    const value = request[field]
    // What a message doesn't have and what is zero is the same.
    if (value !== undefined && value !== '' && value !== '0')
      form.set(parameter, change === undefined ? String(value) : change(String(value)))
  }
  const tags = request['tags']
  if (typeof tags === 'object' && tags !== null)
    form.set(
      'tags',
      Object.entries(tags)
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .join(' '),
    )
  return form
}

export function tempoStreams(
  answers: TempoAnswers,
  store: { reader(tenant: string): TracesReader },
  tenantOf: (tenant: string | undefined) => string,
): GrpcMethod[] {
  const service = 'tempopb.StreamingQuerier'
  const method = (
    name: string,
    request: MessageTable,
    names: Names,
    reply: MessageTable,
    answer: (form: URLSearchParams, reader: TracesReader, signal: AbortSignal, tag: string) => Promise<JsonObject>,
  ): GrpcMethod => ({
    service,
    method: name,
    isStream: true,
    handler: async (message, tenant, signal) => {
      const asked = decodeMessage(request, message)
      return encodeMessage(
        reply,
        await answer(formOf(asked, names), store.reader(tenantOf(tenant)), signal, String(asked['tagName'] ?? '')),
      )
    },
  })
  return [
    method('Search', searchRequest, searchNames, searchResponse, (...q) => answers.search(q[0], q[1], q[2])),
    method('SearchTags', searchTagsRequest, tagNames, searchTagsResponse, (...q) => answers.tags(q[0], q[1], q[2])),
    method('SearchTagsV2', searchTagsRequest, tagNames, searchTagsV2Response, (...q) =>
      answers.tagsByScope(q[0], q[1], q[2]),
    ),
    method(
      'SearchTagValues',
      searchTagValuesRequest,
      valueNames,
      searchTagValuesResponse,
      (form, reader, signal, tag) => answers.values(tag, form, reader, signal),
    ),
    method(
      'SearchTagValuesV2',
      searchTagValuesRequest,
      valueNames,
      searchTagValuesV2Response,
      (form, reader, signal, tag) => answers.valuesWithTypes(tag, form, reader, signal),
    ),
    method('MetricsQueryRange', queryRangeRequest, metricsNames, queryRangeResponse, (...q) =>
      answers.metrics.range(q[0], q[1], q[2]),
    ),
    method('MetricsQueryInstant', queryRangeRequest, metricsNames, queryInstantResponse, (...q) =>
      answers.metrics.instant(q[0], q[1], q[2]),
    ),
  ]
}
