/** Answers of Tempo's API as results. */
import { bigintOf, listOf, mapOf, numberOf, textOf, type JsonMap } from './json.ts'
import type {
  AttributeMap,
  AttributeValue,
  FoundSpan,
  FoundTrace,
  RangeAnswer,
  Series,
  Span,
  SpanEvent,
  SpanKind,
  SpanStatus,
  TracesAnswer,
} from './results.ts'

/** A value of OTLP's JSON. */
function valueOf(value: unknown): AttributeValue {
  const { stringValue, intValue, doubleValue, boolValue, arrayValue, kvlistValue, bytesValue } = mapOf(value)
  if (intValue !== undefined) return wholeOf(intValue)
  if (doubleValue !== undefined) return numberOf(doubleValue)
  if (typeof boolValue === 'boolean') return boolValue
  if (arrayValue !== undefined) return listOf(mapOf(arrayValue)['values']).map(valueOf)
  if (kvlistValue !== undefined) return attributesOf(mapOf(kvlistValue)['values'])
  if (bytesValue !== undefined) return new Uint8Array(Buffer.from(textOf(bytesValue), 'base64'))
  return textOf(stringValue)
}

/** A number where it holds the value. */
function wholeOf(value: unknown): number | bigint {
  const whole = bigintOf(value)
  const number = Number(whole)
  return Number.isSafeInteger(number) ? number : whole
}

function attributesOf(list: unknown): AttributeMap {
  return Object.fromEntries(listOf(list).map(item => [textOf(mapOf(item)['key']), valueOf(mapOf(item)['value'])]))
}

function foundSpanOf(item: unknown): FoundSpan {
  const { spanID, name, startTimeUnixNano, durationNanos, attributes } = mapOf(item)
  return {
    spanId: textOf(spanID),
    name: textOf(name),
    startNs: bigintOf(startTimeUnixNano),
    durationNs: bigintOf(durationNanos),
    attributes: attributesOf(attributes),
  }
}

function foundTraceOf(item: unknown): FoundTrace {
  const { traceID, rootServiceName, rootTraceName, startTimeUnixNano, durationMs, spanSets } = mapOf(item)
  const sets = listOf(spanSets).map(mapOf)
  return {
    // Tempo leaves out zeros at the beginning.
    traceId: textOf(traceID).padStart(32, '0'),
    rootService: textOf(rootServiceName),
    rootName: textOf(rootTraceName),
    startNs: bigintOf(startTimeUnixNano),
    durationMs: durationMs === undefined ? 0 : numberOf(durationMs),
    matched: sets.reduce((sum, { matched }) => sum + numberOf(matched), 0),
    spans: sets.flatMap(({ spans }) => listOf(spans).map(foundSpanOf)),
  }
}

/** Tempo says so in the body where an answer is not whole. */
export function partialWarnings({ status, message }: JsonMap): string[] {
  return status === 'PARTIAL' ? [textOf(message)] : []
}

export function tracesAnswerOf(json: unknown): TracesAnswer {
  const body = mapOf(json)
  return { traces: listOf(body['traces']).map(foundTraceOf), warnings: partialWarnings(body) }
}

function metricSeriesOf(item: unknown): Series {
  const { labels, samples } = mapOf(item)
  const names = Object.entries(attributesOf(labels)).map(([name, value]) => [name, String(value)])
  return {
    labels: Object.fromEntries(names) as Record<string, string>,
    points: listOf(samples).map(sample => {
      const { timestampMs, value } = mapOf(sample)
      return { timeMs: numberOf(timestampMs), value: value === undefined ? 0 : numberOf(value) }
    }),
  }
}

export function traceMetricsOf(json: unknown): RangeAnswer {
  const body = mapOf(json)
  return { series: listOf(body['series']).map(metricSeriesOf), warnings: partialWarnings(body) }
}

const kinds: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const statuses: readonly SpanStatus[] = ['unset', 'ok', 'error']

/** A word of an enumeration of OTLP's: its number, or its name behind a prefix. */
function wordOf<Word extends string>(words: readonly Word[], value: unknown): Word {
  const [first] = words
  const found =
    typeof value === 'number' ? words[value] : words.find(word => textOf(value).endsWith(`_${word.toUpperCase()}`))
  return found ?? first!
}

/** Ids are base64 in Tempo's JSON. */
function idOf(value: unknown): string {
  return Buffer.from(textOf(value), 'base64').toString('hex')
}

function eventOf(item: unknown): SpanEvent {
  const { name, timeUnixNano, attributes } = mapOf(item)
  return { name: textOf(name), timeNs: bigintOf(timeUnixNano), attributes: attributesOf(attributes) }
}

function spanOf(item: unknown, resource: AttributeMap): Span {
  const { traceId, spanId, parentSpanId, name, kind, status, startTimeUnixNano, endTimeUnixNano, attributes, events } =
    mapOf(item)
  const { code, message } = mapOf(status)
  const startNs = bigintOf(startTimeUnixNano)
  return {
    traceId: idOf(traceId),
    spanId: idOf(spanId),
    parentId: idOf(parentSpanId),
    name: textOf(name),
    service: String(resource['service.name'] ?? ''),
    kind: wordOf(kinds, kind),
    status: wordOf(statuses, code),
    statusMessage: textOf(message),
    startNs,
    durationNs: bigintOf(endTimeUnixNano) - startNs,
    attributes: attributesOf(attributes),
    resource,
    events: listOf(events).map(eventOf),
  }
}

/** The spans of a trace in the order of their start. */
export function spansOf(trace: unknown): Span[] {
  const spans = listOf(mapOf(trace)['resourceSpans']).flatMap(item => {
    const { resource, scopeSpans } = mapOf(item)
    const attributes = attributesOf(mapOf(resource)['attributes'])
    return listOf(scopeSpans).flatMap(scope => listOf(mapOf(scope)['spans']).map(span => spanOf(span, attributes)))
  })
  return spans.sort((a, b) => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0))
}
