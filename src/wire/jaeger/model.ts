/**
 * Jaeger's spans as OTLP's, whichever way they came. Names of attributes as OpenTelemetry's mapping has them.
 * Source: Jaeger's public model.proto and jaeger.thrift, and OpenTelemetry's public description of the mapping.
 */
import { keyOfTexts } from '#core/text.ts'
import type { AnyValue, Attribute, ResourceSpans, Scope, Span, SpanEvent, SpanLink } from '#model/trace.ts'

/** A tag, which becomes an attribute or a field of the span. */
export interface JaegerTag {
  key: string
  value: AnyValue
}
/** A log of a span, which becomes an event. */
export interface JaegerLog {
  timeNs: bigint
  fields: JaegerTag[]
}
/** Another span: the parent, or one that becomes a link. */
export interface JaegerReference {
  traceId: Uint8Array
  spanId: Uint8Array
  isChildOf: boolean
}
/** The process that made spans, which becomes a resource. */
export interface JaegerProcess {
  serviceName: string
  tags: JaegerTag[]
}
/** A span as both of Jaeger's forms have it. */
export interface JaegerSpan {
  traceId: Uint8Array
  spanId: Uint8Array
  /** Empty without one; references say it too. */
  parentSpanId: Uint8Array
  operationName: string
  references: JaegerReference[]
  flags: number
  startNs: bigint
  durationNs: bigint
  tags: JaegerTag[]
  logs: JaegerLog[]
  warnings: string[]
  /** Its own, where the batch's is not meant. */
  process: JaegerProcess | undefined
  /** Why it could not be read; the rest is empty then. */
  problem?: string
}

const kinds = new Map(Object.entries({ internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }))
const textOf = (value: AnyValue): string =>
  value.kind === 'string'
    ? value.value
    : value.kind === 'bool' || value.kind === 'int' || value.kind === 'double'
      ? String(value.value)
      : ''
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

function resourceOf(process: JaegerProcess | undefined): ResourceSpans {
  const attributes: Attribute[] =
    process === undefined ? [] : [{ key: 'service.name', value: { kind: 'string', value: process.serviceName } }]
  for (const { key, value } of process?.tags ?? []) {
    if (key === 'jaeger.version')
      attributes.push({
        key: 'telemetry.exporter.version',
        value: { kind: 'string', value: `Jaeger-${textOf(value)}` },
      })
    else if (key !== 'service.name') attributes.push({ key: key === 'hostname' ? 'host.name' : key, value })
  }
  return { resource: { attributes, dropped: 0 }, schemaUrl: '', scopes: [] }
}

/** A failed request by its HTTP status: servers answer for 5xx, callers for 4xx too. */
function isHttpError(attributes: readonly Attribute[], kind: number): boolean {
  const code = attributes.find(a => a.key === 'http.status_code' || a.key === 'http.response.status_code')?.value
  if (code === undefined) return false
  const status = Number(textOf(code))
  return status >= 500 || (status >= 400 && kind === 3)
}

/** What the tags of a span say: some are fields of OTLP's spans and scopes, the others are attributes. */
interface TagFields {
  attributes: Attribute[]
  kind: number
  isError: boolean
  statusCode: number
  statusMessage: string
  traceState: string
  scope: { name: string; version: string }
}

function readTags(tags: readonly JaegerTag[]): TagFields {
  const fields: TagFields = {
    attributes: [],
    kind: 0,
    isError: false,
    statusCode: 0,
    statusMessage: '',
    traceState: '',
    scope: { name: '', version: '' },
  }
  for (const { key, value } of tags) {
    switch (key) {
      case 'span.kind':
        fields.kind = kinds.get(textOf(value).toLowerCase()) ?? 0
        break
      case 'error':
        if (textOf(value) === 'true') fields.isError = true
        else if (textOf(value) !== 'false') fields.attributes.push({ key, value })
        break
      case 'otel.status_code':
        fields.statusCode = textOf(value).toUpperCase() === 'ERROR' ? 2 : textOf(value).toUpperCase() === 'OK' ? 1 : 0
        break
      case 'otel.status_description':
        fields.statusMessage = textOf(value)
        break
      case 'w3c.tracestate':
        fields.traceState = textOf(value)
        break
      case 'otel.scope.name':
      case 'otel.library.name':
        fields.scope.name = textOf(value)
        break
      case 'otel.scope.version':
      case 'otel.library.version':
        fields.scope.version = textOf(value)
        break
      default:
        fields.attributes.push({ key, value })
    }
  }
  return fields
}

function linkOf({ traceId, spanId, isChildOf }: JaegerReference): SpanLink {
  const kind = isChildOf ? 'child_of' : 'follows_from'
  return {
    traceId,
    spanId,
    traceState: '',
    dropped: 0,
    flags: 0,
    attributes: [{ key: 'opentracing.ref_type', value: { kind: 'string', value: kind } }],
  }
}

/** The field `event` of a log is the event's name. */
function eventOf(log: JaegerLog): SpanEvent {
  const name = log.fields.find(f => f.key === 'event' && f.value.kind === 'string')
  return {
    timeNs: log.timeNs,
    name: name === undefined ? '' : textOf(name.value),
    attributes: log.fields.filter(f => f !== name),
    dropped: 0,
  }
}

function spanOf(jaeger: JaegerSpan): { span: Span; scope: { name: string; version: string } } {
  const { attributes, kind, isError, statusCode, statusMessage, traceState, scope } = readTags(jaeger.tags)
  const hasFailed = isError || (statusCode === 0 && isHttpError(attributes, kind))
  const parent = jaeger.references.find(r => r.isChildOf && isSame(r.traceId, jaeger.traceId))
  const parentSpanId = parent?.spanId ?? jaeger.parentSpanId
  const links = jaeger.references
    .filter(r => r !== parent && !(isSame(r.spanId, parentSpanId) && isSame(r.traceId, jaeger.traceId)))
    .map(linkOf)
  if (jaeger.warnings.length > 0)
    attributes.push({
      key: 'jaeger.warnings',
      value: { kind: 'array', values: jaeger.warnings.map(value => ({ kind: 'string', value })) },
    })
  return {
    scope,
    span: {
      traceId: jaeger.traceId,
      spanId: jaeger.spanId,
      parentSpanId,
      traceState,
      flags: jaeger.flags & 1,
      name: jaeger.operationName,
      kind,
      startNs: jaeger.startNs,
      endNs: jaeger.startNs + (jaeger.durationNs < 0n ? 0n : jaeger.durationNs),
      attributes,
      droppedAttributes: 0,
      events: jaeger.logs.map(eventOf),
      droppedEvents: 0,
      links,
      droppedLinks: 0,
      statusCode: hasFailed ? 2 : statusCode,
      statusMessage,
      ...(jaeger.problem === undefined ? {} : { problem: jaeger.problem }),
    },
  }
}

/** The spans of a batch, by process and scope. */
export function jaegerBatch(process: JaegerProcess | undefined, spans: readonly JaegerSpan[]): ResourceSpans[] {
  const resources = new Map<JaegerProcess | undefined, { into: ResourceSpans; scopes: Map<string, Span[]> }>()
  for (const jaeger of spans) {
    const own = jaeger.process ?? process
    let found = resources.get(own)
    if (found === undefined) resources.set(own, (found = { into: resourceOf(own), scopes: new Map() }))
    const { span, scope } = spanOf(jaeger)
    const key = keyOfTexts([scope.name, scope.version])
    let list = found.scopes.get(key)
    if (list === undefined) {
      found.scopes.set(key, (list = []))
      const whole: Scope = { ...scope, attributes: [], dropped: 0 }
      found.into.scopes.push({ scope: whole, schemaUrl: '', spans: list })
    }
    list.push(span)
  }
  return [...resources.values()].map(r => r.into)
}
