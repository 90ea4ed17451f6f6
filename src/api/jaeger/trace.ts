/**
 * A trace as Jaeger's query service prints it, with tags named as in OpenTelemetry's mapping.
 * Source: the public model of Jaeger's UI.
 */
import { rawNumber } from '#core/json.ts'
import { resourceKey } from '#model/trace-combiner.ts'
import {
  serviceNameOf,
  type AnyValue,
  type Attribute,
  type Resource,
  type Scope,
  type Span,
  type Trace,
} from '#model/trace.ts'
import { valueToJson, type JsonValue } from '#model/trace-json.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const micros = (ns: bigint): number => Number(ns / 1000n)
const kindNames = ['', 'internal', 'server', 'client', 'producer', 'consumer']

/** Beyond 2^53 a number would be another one, for what reads it. */
const isSafe = (value: bigint): boolean => value >= -9007199254740991n && value <= 9007199254740991n

function tag({ key, value }: Attribute): JsonValue {
  switch (value.kind) {
    case 'string':
      return { key, type: 'string', value: value.value }
    case 'bool':
      return { key, type: 'bool', value: value.value }
    case 'int':
      return { key, type: 'int64', value: isSafe(value.value) ? Number(value.value) : String(value.value) }
    case 'double':
      return { key, type: 'float64', value: Number.isFinite(value.value) ? value.value : String(value.value) }
    case 'bytes':
      return { key, type: 'binary', value: Buffer.from(value.value).toString('base64') }
    default:
      return { key, type: 'string', value: JSON.stringify(plain(value)) }
  }
}

/** What a list or a map holds, without the names of types. */
function plain(value: AnyValue): JsonValue {
  switch (value.kind) {
    case 'array':
      return value.values.map(plain)
    case 'map':
      return Object.fromEntries(value.entries.map(e => [e.key, plain(e.value)]))
    case 'string':
    case 'bool':
      return value.value
    case 'int':
      // This goes into a text, which keeps all digits.
      return isSafe(value.value) ? Number(value.value) : (rawNumber(value.value) as unknown as JsonValue)
    case 'double':
      return value.value
    case 'none':
      return null
    default:
      return valueToJson(value)
  }
}

const text = (key: string, value: string): JsonValue => ({ key, type: 'string', value })

function spanJson(span: Span, scope: Scope, processId: string): JsonValue {
  const traceID = hex(span.traceId)
  const references: JsonValue[] =
    span.parentSpanId.length === 0 ? [] : [{ refType: 'CHILD_OF', traceID, spanID: hex(span.parentSpanId) }]
  for (const link of span.links) {
    if (link.traceId.length === 0) continue
    references.push({
      refType: link.attributes.some(
        a => a.key === 'opentracing.ref_type' && a.value.kind === 'string' && a.value.value === 'child_of',
      )
        ? 'CHILD_OF'
        : 'FOLLOWS_FROM',
      traceID: hex(link.traceId),
      spanID: hex(link.spanId),
    })
  }
  const warnings = span.attributes.find(a => a.key === 'jaeger.warnings')?.value
  const tags = span.attributes.filter(a => a.key !== 'jaeger.warnings').map(tag)
  if (span.kind > 0) tags.push(text('span.kind', kindNames[span.kind] ?? ''))
  if (scope.name !== '') tags.push(text('otel.scope.name', scope.name))
  if (scope.version !== '') tags.push(text('otel.scope.version', scope.version))
  if (span.statusCode > 0) tags.push(text('otel.status_code', span.statusCode === 2 ? 'ERROR' : 'OK'))
  if (span.statusCode === 2) tags.push({ key: 'error', type: 'bool', value: true })
  if (span.statusMessage !== '') tags.push(text('otel.status_description', span.statusMessage))
  if (span.traceState !== '') tags.push(text('w3c.tracestate', span.traceState))
  return {
    traceID,
    spanID: hex(span.spanId),
    operationName: span.name,
    references,
    startTime: micros(span.startNs),
    duration: micros(span.endNs - span.startNs),
    tags,
    logs: span.events.map(e => ({
      timestamp: micros(e.timeNs),
      fields: [...(e.name === '' ? [] : [text('event', e.name)]), ...e.attributes.map(tag)],
    })),
    processID: processId,
    warnings: warnings?.kind === 'array' ? warnings.values.map(w => (w.kind === 'string' ? w.value : '')) : null,
  }
}

function processOf(resource: Resource): JsonValue {
  return {
    serviceName: serviceNameOf(resource),
    tags: resource.attributes.filter(a => a.key !== 'service.name').map(tag),
  }
}

export function jaegerTrace(id: string, trace: Trace): JsonValue {
  const ids = new Map<string, string>(),
    processes: Record<string, JsonValue> = {}
  const spans: JsonValue[] = []
  for (const { resource, scopes } of trace.resources) {
    const key = resourceKey(resource)
    let processId = ids.get(key)
    if (processId === undefined) {
      ids.set(key, (processId = `p${ids.size + 1}`))
      processes[processId] = processOf(resource)
    }
    for (const { scope, spans: own } of scopes) for (const span of own) spans.push(spanJson(span, scope, processId))
  }
  return { traceID: id, spans, processes, warnings: null }
}
