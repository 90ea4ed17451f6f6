/**
 * Traces as trees: what OTLP carries. Times are nanoseconds since the epoch; ids are bytes. Source: the public
 * opentelemetry-proto definitions, v1.
 */

/** A value of an attribute. */
export type AnyValue =
  | { kind: 'string'; value: string }
  | { kind: 'bool'; value: boolean }
  | { kind: 'int'; value: bigint }
  | { kind: 'double'; value: number }
  | { kind: 'array'; values: AnyValue[] }
  | { kind: 'map'; entries: Attribute[] }
  | { kind: 'bytes'; value: Uint8Array }
  | { kind: 'none' }

/** A key with its value. */
export interface Attribute {
  key: string
  value: AnyValue
}
/** Something that happened in a span. `dropped`: attributes that the sender left out. */
export interface SpanEvent {
  timeNs: bigint
  name: string
  attributes: Attribute[]
  dropped: number
}
/** Another span that this one refers to. */
export interface SpanLink {
  traceId: Uint8Array
  spanId: Uint8Array
  traceState: string
  attributes: Attribute[]
  dropped: number
  flags: number
}

/** One operation of a trace. */
export interface Span {
  traceId: Uint8Array
  spanId: Uint8Array
  parentSpanId: Uint8Array
  traceState: string
  flags: number
  name: string
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number
  startNs: bigint
  endNs: bigint
  attributes: Attribute[]
  droppedAttributes: number
  events: SpanEvent[]
  droppedEvents: number
  links: SpanLink[]
  droppedLinks: number
  /** 0 unset, 1 ok, 2 error. */
  statusCode: number
  statusMessage: string
  /** Why it can't be accepted: it could not be read. */
  problem?: string
  /** Where its own message lies in the one that it came in, if it did. */
  wireFrom?: number
  wireTo?: number
  /** Instead of `attributes`, which are empty then. */
  raw?: RawAttributes
  /** Only its frame was read: what is in lists (attributes, events, links) is counted, not there. */
  isOutline?: boolean
  /** Of an outline: attributes, and bytes of the largest attribute, event or link. */
  attributeCount?: number
  largestBytes?: number
}

/** The library that made spans. */
export interface Scope {
  name: string
  version: string
  attributes: Attribute[]
  dropped: number
  key?: string | undefined
  inOrder?: Scope | undefined
}
/** Receives attributes whose texts lie in the message that is visited: keys at [keyFrom, keyTo). */
export interface AttributeSink {
  text(keyFrom: number, keyTo: number, from: number, to: number): void
  long(keyFrom: number, keyTo: number, value: bigint): void
  double(keyFrom: number, keyTo: number, value: number): void
  bool(keyFrom: number, keyTo: number, value: boolean): void
  /** Lists, maps, bytes, nothing. */
  other(keyFrom: number, keyTo: number, value: AnyValue): void
}

/** Attributes that are not taken apart: [from, to) of each in `message`, one after another. */
export interface RawAttributes {
  message: Uint8Array
  ranges: number[]
  visit: (message: Uint8Array, from: number, to: number, sink: AttributeSink) => void
}

/** Spans of one scope. */
export interface ScopeSpans {
  scope: Scope
  schemaUrl: string
  spans: Span[]
}
/** `key` and `inOrder` of resources and scopes: kept by trace-combiner.ts for the next trace that they are of. */
export interface Resource {
  attributes: Attribute[]
  dropped: number
  /** Kept by shared-halves.ts. */
  halfMask?: Uint8Array | undefined
  key?: string | undefined
  inOrder?: Resource | undefined
}
/** Scopes of one resource. */
export interface ResourceSpans {
  resource: Resource
  schemaUrl: string
  scopes: ScopeSpans[]
}
/** Spans of one trace, or of several on their way in. */
export interface Trace {
  resources: ResourceSpans[]
}

/** The resource's `service.name`; empty without one. */
export function serviceNameOf(resource: Resource): string {
  const found = resource.attributes.find(a => a.key === 'service.name')
  return found?.value.kind === 'string' ? found.value.value : ''
}

/** One text for each value; equal values have equal texts. */
export function valueKey(value: AnyValue): string {
  switch (value.kind) {
    case 'string':
      return `s${value.value.length}:${value.value}`
    case 'array':
      return `a[${value.values.map(valueKey).join()}]`
    case 'map':
      return `m{${attributesKey(value.entries)}}`
    case 'bytes':
      return `x${Buffer.from(value.value).toString('hex')}`
    case 'none':
      return 'n'
    default:
      return `${value.kind[0]!}${value.value}`
  }
}

/** Irrespective of the order of the attributes. */
export function attributesKey(attributes: readonly Attribute[]): string {
  return attributes
    .map(a => `${a.key.length}:${a.key}=${valueKey(a.value)}`)
    .sort()
    .join()
}
