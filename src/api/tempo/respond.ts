/** Answers of Tempo's API. */
import { messageOf } from '#core/errors.ts'
import type { Omissions } from '#core/omissions.ts'
import { durationText } from '#lang/traceql/parser.ts'
import { doubleJson, type JsonValue } from '#model/trace-json.ts'
import type { ErrorReplies, HttpReply } from '#net/route-table.ts'
import type { FoundSpan, FoundTrace, SearchStats } from '#query/traceql/search.ts'
import { valueType, type Value } from '#query/traceql/span-table.ts'
import { numberText } from '#query/traceql/whole.ts'

const text = { 'content-type': 'text/plain; charset=utf-8' } as const
const json = { 'content-type': 'application/json' } as const

export interface JsonObject {
  [name: string]: JsonValue
}

export function ok(value: JsonValue): HttpReply {
  return { status: 200, headers: json, body: JSON.stringify(value) }
}
export function plain(status: number, message: string): HttpReply {
  return { status, headers: text, body: message }
}

const refused = (error: Error): HttpReply => plain(400, error.message)
const failed = (error: Error): HttpReply => plain(500, error.message)

export const tempoErrors = {
  'bad-data': refused,
  'bad-query': refused,
  canceled: () => plain(499, 'the request was cancelled by the client'),
  conflict: failed,
  'corrupt-data': failed,
  evaluation: refused,
  execution: refused,
  forbidden: error => plain(403, error.message),
  limit: error => plain(error.status, error.message),
  'not-found': () => ({ status: 404, body: '' }),
  timeout: error => plain(504, `${error.message}; narrow the time or the conditions`),
  unauthorized: error => plain(401, error.message),
  unavailable: error => ({
    status: 503,
    headers: { ...text, 'retry-after': String(error.retryAfterSeconds) },
    body: error.message,
  }),
  unknown: error => plain(500, messageOf(error)),
} satisfies ErrorReplies

const statusNames = ['unset', 'ok', 'error'],
  kindNames = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

/** A value as an AnyValue; status and kind by name, durations as Go prints them. */
export function anyValue(value: Value | undefined): JsonValue {
  if (value === undefined) return { stringValue: 'nil' }
  switch (value.type) {
    case valueType.string:
      return { stringValue: value.text }
    case valueType.int:
      return { intValue: numberText(value) }
    case valueType.float:
      return { doubleValue: doubleJson(value.num) }
    case valueType.bool:
      return { boolValue: value.num === 1 }
    case valueType.duration:
      return { stringValue: durationText(value.num) }
    case valueType.status:
      return { stringValue: statusNames[value.num] ?? String(value.num) }
    default:
      return { stringValue: kindNames[value.num] ?? String(value.num) }
  }
}

/** Several values are an array. */
function anyValues(values: readonly Value[]): JsonValue {
  return values.length === 1 ? anyValue(values[0]) : { arrayValue: { values: values.map(anyValue) } }
}

function spanJson(span: FoundSpan): JsonValue {
  return {
    spanID: span.id,
    ...(span.name === undefined || span.name === '' ? {} : { name: span.name }),
    startTimeUnixNano: String(span.startNs),
    ...(span.durationNs === 0 ? {} : { durationNanos: String(span.durationNs) }),
    ...(span.attributes.length === 0
      ? {}
      : { attributes: span.attributes.map(({ key, values }) => ({ key, value: anyValues(values) })) }),
  }
}

/** `isSummary`: of a search that asks for traces alone, without their spans. */
export function traceJson(trace: FoundTrace, isSummary: boolean): JsonObject {
  const sets = trace.sets.map((set): JsonValue => ({
    spans: set.spans.map(spanJson),
    matched: set.matched,
    ...(set.attributes.length === 0
      ? {}
      : {
          attributes: set.attributes.map(({ key, value }) => ({
            key,
            value: value !== undefined && 'length' in value ? anyValues(value) : anyValue(value),
          })),
        }),
  }))
  const durationMs = Number((trace.endNs - trace.startNs) / 1_000_000n)
  return {
    traceID: trace.id,
    rootServiceName: trace.rootService === '' ? '<root span not yet received>' : trace.rootService,
    ...(trace.rootName === '' ? {} : { rootTraceName: trace.rootName }),
    startTimeUnixNano: String(trace.startNs),
    ...(durationMs === 0 ? {} : { durationMs }),
    ...(isSummary ? {} : { spanSet: sets[0]!, spanSets: sets }),
    // Blocks in vParquet3 have none.
    ...(isSummary || trace.services.size === 0 ? {} : { serviceStats: serviceStatsJson(trace) }),
  }
}

function serviceStatsJson({ services }: FoundTrace): JsonObject {
  return Object.fromEntries(
    [...services].map(([name, { spans, errors }]) => [
      name,
      { ...(spans === 0 ? {} : { spanCount: spans }), ...(errors === 0 ? {} : { errorCount: errors }) },
    ]),
  )
}

/** The members that Tempo's answers have where something is missing. */
export function partialJson(reader: { readonly omissions: Omissions }): JsonObject {
  const message = reader.omissions.text()
  return message === undefined ? {} : { status: 'PARTIAL', message }
}

export function statsJson(stats: SearchStats, omissions: Omissions): JsonValue {
  return {
    ...(stats.traces === 0 ? {} : { inspectedTraces: stats.traces }),
    inspectedBytes: String(stats.bytes),
    ...(stats.spans === 0 ? {} : { inspectedSpans: String(stats.spans) }),
    totalBlocks: stats.blocks,
    // Clients show a search as unfinished while fewer jobs are completed than there are.
    completedJobs: 1,
    totalJobs: 1 + omissions.list().length,
  }
}
