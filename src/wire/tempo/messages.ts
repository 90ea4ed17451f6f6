/**
 * Tempo's requests and answers as protobuf messages, named as their JSON is. Source: docs/http-api.md (the streaming
 * service).
 */
import { encodeMessage, type JsonLike, type MessageTable } from '#codec/protobuf-table.ts'

export { decodeMessage, encodeMessage, type JsonLike, type MessageTable } from '#codec/protobuf-table.ts'

const anyValue: MessageTable = {
  stringValue: [1, 'string'],
  boolValue: [2, 'bool'],
  intValue: [3, 'int'],
  doubleValue: [4, 'double'],
  arrayValue: [5, () => arrayValue],
  bytesValue: [7, 'bytes'],
}
const arrayValue: MessageTable = { values: [1, () => anyValue, 'list'] }
const keyValue: MessageTable = { key: [1, 'string'], value: [2, () => anyValue] }

const metrics: MessageTable = {
  inspectedTraces: [1, 'int'],
  inspectedBytes: [2, 'int'],
  totalBlocks: [3, 'int'],
  completedJobs: [4, 'int'],
  totalJobs: [5, 'int'],
  totalBlockBytes: [6, 'int'],
  inspectedSpans: [7, 'int'],
}

const span: MessageTable = {
  spanID: [1, 'string'],
  name: [2, 'string'],
  startTimeUnixNano: [3, 'int'],
  durationNanos: [4, 'int'],
  attributes: [5, () => keyValue, 'list'],
}
const spanSet: MessageTable = {
  spans: [1, () => span, 'list'],
  matched: [2, 'int'],
  attributes: [3, () => keyValue, 'list'],
}
const serviceStats: MessageTable = { spanCount: [1, 'int'], errorCount: [2, 'int'] }
const traceMetadata: MessageTable = {
  traceID: [1, 'string'],
  rootServiceName: [2, 'string'],
  rootTraceName: [3, 'string'],
  startTimeUnixNano: [4, 'int'],
  durationMs: [5, 'int'],
  spanSet: [6, () => spanSet],
  spanSets: [7, () => spanSet, 'list'],
  serviceStats: [8, () => serviceStats, 'map'],
}
export const searchRequest: MessageTable = {
  tags: [1, 'string', 'map'],
  minDurationMs: [2, 'int'],
  maxDurationMs: [3, 'int'],
  limit: [4, 'int'],
  start: [5, 'int'],
  end: [6, 'int'],
  query: [8, 'string'],
  spansPerSpanSet: [9, 'int'],
}
export const searchResponse: MessageTable = { traces: [1, () => traceMetadata, 'list'], metrics: [2, () => metrics] }

export const searchTagsRequest: MessageTable = {
  scope: [1, 'string'],
  start: [3, 'int'],
  end: [4, 'int'],
  query: [7, 'string'],
}
export const searchTagsResponse: MessageTable = { tagNames: [1, 'string', 'list'], metrics: [2, () => metrics] }
const tagScope: MessageTable = { name: [1, 'string'], tags: [2, 'string', 'list'] }
export const searchTagsV2Response: MessageTable = { scopes: [1, () => tagScope, 'list'], metrics: [2, () => metrics] }
export const searchTagValuesRequest: MessageTable = {
  tagName: [1, 'string'],
  query: [2, 'string'],
  start: [4, 'int'],
  end: [5, 'int'],
}
export const searchTagValuesResponse: MessageTable = { tagValues: [2, 'string', 'list'], metrics: [3, () => metrics] }
const tagValue: MessageTable = { type: [1, 'string'], value: [2, 'string'] }
export const searchTagValuesV2Response: MessageTable = {
  tagValues: [1, () => tagValue, 'list'],
  metrics: [2, () => metrics],
}

/** start, end and step in nanoseconds. */
export const queryRangeRequest: MessageTable = {
  query: [1, 'string'],
  start: [2, 'int'],
  end: [3, 'int'],
  step: [4, 'int'],
  exemplars: [16, 'int'],
  maxSeries: [17, 'int'],
}
const sample: MessageTable = { value: [1, 'double'], timestampMs: [2, 'int'] }
const exemplar: MessageTable = { labels: [1, () => keyValue, 'list'], value: [2, 'double'], timestampMs: [3, 'int'] }
const timeSeries: MessageTable = {
  labels: [1, () => keyValue, 'list'],
  samples: [2, () => sample, 'list'],
  exemplars: [4, () => exemplar, 'list'],
}
/** What an answer lacks. */
const partial: MessageTable = { status: [3, 'int'], message: [4, 'string'] }
/** `trace` is a message of its own. */
export const traceByIdResponse: MessageTable = { trace: [1, 'bytes'], metrics: [2, () => metrics], ...partial }

export const queryRangeResponse: MessageTable = {
  series: [1, () => timeSeries, 'list'],
  metrics: [2, () => metrics],
  ...partial,
}
const instantSeries: MessageTable = { labels: [1, () => keyValue, 'list'], value: [2, 'double'] }
export const queryInstantResponse: MessageTable = {
  series: [1, () => instantSeries, 'list'],
  metrics: [2, () => metrics],
  ...partial,
}

/** An answer in its JSON form as a message: the status is a number there. */
export function encodeAnswer(table: MessageTable, answer: Readonly<Record<string, JsonLike>>): Uint8Array {
  return encodeMessage(table, answer['status'] === 'PARTIAL' ? { ...answer, status: 1 } : answer)
}
