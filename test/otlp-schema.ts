/** Schemas of OTLP's messages for tests: objects in OTLP's JSON form become protobuf. */
import type { Schema } from './protobuf.ts'

const arrayValue: Schema = { values: [1, () => anyValue] }
const keyValueList: Schema = { values: [1, () => keyValue] }
export const anyValue: Schema = {
  stringValue: [1, 'text'],
  boolValue: [2, 'bool'],
  intValue: [3, 'varint'],
  doubleValue: [4, 'double'],
  arrayValue: [5, () => arrayValue],
  kvlistValue: [6, () => keyValueList],
  bytesValue: [7, 'hex'],
}
const keyValue: Schema = { key: [1, 'text'], value: [2, () => anyValue] }
const resource: Schema = { attributes: [1, () => keyValue], droppedAttributesCount: [2, 'varint'] }
const scope: Schema = {
  name: [1, 'text'],
  version: [2, 'text'],
  attributes: [3, () => keyValue],
  droppedAttributesCount: [4, 'varint'],
}

const exemplar: Schema = {
  filteredAttributes: [7, () => keyValue],
  timeUnixNano: [2, 'fixed64'],
  asDouble: [3, 'double'],
  asInt: [6, 'fixed64'],
  spanId: [4, 'hex'],
  traceId: [5, 'hex'],
}
const pointTimes: Schema = { startTimeUnixNano: [2, 'fixed64'], timeUnixNano: [3, 'fixed64'] }
const numberPoint: Schema = {
  ...pointTimes,
  attributes: [7, () => keyValue],
  asDouble: [4, 'double'],
  asInt: [6, 'fixed64'],
  exemplars: [5, () => exemplar],
  flags: [8, 'varint'],
}
const histogramPoint: Schema = {
  ...pointTimes,
  attributes: [9, () => keyValue],
  count: [4, 'fixed64'],
  sum: [5, 'double'],
  bucketCounts: [6, 'fixed64', 'packed'],
  explicitBounds: [7, 'double', 'packed'],
  exemplars: [8, () => exemplar],
  flags: [10, 'varint'],
}
const exponentialBuckets: Schema = { offset: [1, 'sint'], bucketCounts: [2, 'varint', 'packed'] }
const exponentialPoint: Schema = {
  ...pointTimes,
  attributes: [1, () => keyValue],
  count: [4, 'fixed64'],
  sum: [5, 'double'],
  scale: [6, 'sint'],
  zeroCount: [7, 'fixed64'],
  positive: [8, () => exponentialBuckets],
  negative: [9, () => exponentialBuckets],
  flags: [10, 'varint'],
  exemplars: [11, () => exemplar],
  zeroThreshold: [14, 'double'],
}
const quantile: Schema = { quantile: [1, 'double'], value: [2, 'double'] }
const summaryPoint: Schema = {
  ...pointTimes,
  attributes: [7, () => keyValue],
  count: [4, 'fixed64'],
  sum: [5, 'double'],
  quantileValues: [6, () => quantile],
  flags: [8, 'varint'],
}
const data = (point: Schema): Schema => ({
  dataPoints: [1, () => point],
  aggregationTemporality: [2, 'varint'],
  isMonotonic: [3, 'bool'],
})
const metric: Schema = {
  name: [1, 'text'],
  description: [2, 'text'],
  unit: [3, 'text'],
  gauge: [5, () => data(numberPoint)],
  sum: [7, () => data(numberPoint)],
  histogram: [9, () => data(histogramPoint)],
  exponentialHistogram: [10, () => data(exponentialPoint)],
  summary: [11, () => data(summaryPoint)],
}
const scopeMetrics: Schema = { scope: [1, () => scope], metrics: [2, () => metric] }
const resourceMetrics: Schema = { resource: [1, () => resource], scopeMetrics: [2, () => scopeMetrics] }
export const metricsRequest: Schema = { resourceMetrics: [1, () => resourceMetrics] }

const logRecord: Schema = {
  timeUnixNano: [1, 'fixed64'],
  observedTimeUnixNano: [11, 'fixed64'],
  severityNumber: [2, 'varint'],
  severityText: [3, 'text'],
  body: [5, () => anyValue],
  attributes: [6, () => keyValue],
  droppedAttributesCount: [7, 'varint'],
  flags: [8, 'fixed32'],
  traceId: [9, 'hex'],
  spanId: [10, 'hex'],
  eventName: [12, 'text'],
}
const scopeLogs: Schema = { scope: [1, () => scope], logRecords: [2, () => logRecord] }
const resourceLogs: Schema = { resource: [1, () => resource], scopeLogs: [2, () => scopeLogs] }
export const logsRequest: Schema = { resourceLogs: [1, () => resourceLogs] }

const event: Schema = {
  timeUnixNano: [1, 'fixed64'],
  name: [2, 'text'],
  attributes: [3, () => keyValue],
  droppedAttributesCount: [4, 'varint'],
}
const link: Schema = {
  traceId: [1, 'hex'],
  spanId: [2, 'hex'],
  traceState: [3, 'text'],
  attributes: [4, () => keyValue],
  droppedAttributesCount: [5, 'varint'],
  flags: [6, 'fixed32'],
}
const status: Schema = { message: [2, 'text'], code: [3, 'varint'] }
const span: Schema = {
  traceId: [1, 'hex'],
  spanId: [2, 'hex'],
  traceState: [3, 'text'],
  parentSpanId: [4, 'hex'],
  name: [5, 'text'],
  kind: [6, 'varint'],
  startTimeUnixNano: [7, 'fixed64'],
  endTimeUnixNano: [8, 'fixed64'],
  attributes: [9, () => keyValue],
  droppedAttributesCount: [10, 'varint'],
  events: [11, () => event],
  droppedEventsCount: [12, 'varint'],
  links: [13, () => link],
  droppedLinksCount: [14, 'varint'],
  status: [15, () => status],
  flags: [16, 'fixed32'],
}
const scopeSpans: Schema = { scope: [1, () => scope], spans: [2, () => span], schemaUrl: [3, 'text'] }
const resourceSpans: Schema = {
  resource: [1, () => resource],
  scopeSpans: [2, () => scopeSpans],
  schemaUrl: [3, 'text'],
}
export const tracesRequest: Schema = { resourceSpans: [1, () => resourceSpans] }
