/** Tempo's streaming service over gRPC, for Grafana's data source: the whole answer is one message. */
import type { ScopeOf } from '#api/tenancy.ts'
import { LimitError } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import { reads } from '#net/access.ts'
import type { GrpcMethod } from '#net/grpc.ts'
import { scopedTraces } from '#query/traceql/scoped-reader.ts'
import type { TracesReader } from '#traces/select.ts'
import {
  decodeMessage,
  encodeAnswer,
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

/** A message's fields as parameters of the same request over HTTP. `change` spells the value. */
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
    // A field that a message leaves out is zero.
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

type Answer = (form: URLSearchParams, reader: TracesReader, signal: AbortSignal, tag: string) => Promise<JsonObject>

interface Call {
  method: string
  request: MessageTable
  names: Names
  reply: MessageTable
  answer: Answer
}

export function tempoStreams(
  answers: TempoAnswers,
  store: { reader(tenant: string): TracesReader },
  scopeOf: ScopeOf,
): GrpcMethod[] {
  return [...searchCalls(answers), ...metricsCalls(answers)].map(({ method, request, names, reply, answer }) => ({
    service: 'tempopb.StreamingQuerier',
    method,
    access: reads('traces'),
    isStream: true,
    handler: async (message, caller, signal) => {
      if (message.length > defaultLimits.formBytesMax)
        throw new LimitError(`the request has ${message.length} bytes, the limit is ${defaultLimits.formBytesMax}`, 413)
      const asked = decodeMessage(request, message)
      const reader = scopedTraces(store, scopeOf(caller))
      const tag = String(asked['tagName'] ?? '')
      return encodeAnswer(reply, await answer(formOf(asked, names), reader, signal, tag))
    },
  }))
}

function searchCalls(answers: TempoAnswers): Call[] {
  return [
    {
      method: 'Search',
      request: searchRequest,
      names: searchNames,
      reply: searchResponse,
      answer: (form, reader, signal) => answers.search(form, reader, signal),
    },
    {
      method: 'SearchTags',
      request: searchTagsRequest,
      names: tagNames,
      reply: searchTagsResponse,
      answer: (form, reader, signal) => answers.tags(form, reader, signal),
    },
    {
      method: 'SearchTagsV2',
      request: searchTagsRequest,
      names: tagNames,
      reply: searchTagsV2Response,
      answer: (form, reader, signal) => answers.tagsByScope(form, reader, signal),
    },
    {
      method: 'SearchTagValues',
      request: searchTagValuesRequest,
      names: valueNames,
      reply: searchTagValuesResponse,
      answer: (form, reader, signal, tag) => answers.values(tag, form, reader, signal),
    },
    {
      method: 'SearchTagValuesV2',
      request: searchTagValuesRequest,
      names: valueNames,
      reply: searchTagValuesV2Response,
      answer: (form, reader, signal, tag) => answers.valuesWithTypes(tag, form, reader, signal),
    },
  ]
}

function metricsCalls({ metrics }: TempoAnswers): Call[] {
  return [
    {
      method: 'MetricsQueryRange',
      request: queryRangeRequest,
      names: metricsNames,
      reply: queryRangeResponse,
      answer: (form, reader, signal) => metrics.range(form, reader, signal),
    },
    {
      method: 'MetricsQueryInstant',
      request: queryRangeRequest,
      names: metricsNames,
      reply: queryInstantResponse,
      answer: (form, reader, signal) => metrics.instant(form, reader, signal),
    },
  ]
}
