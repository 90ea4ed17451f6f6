/** Traces as trees: what OTLP carries. Times are nanoseconds since the epoch; ids are bytes. Source: the public opentelemetry-proto definitions, v1. */

export type AnyValue =
  | { kind: 'string'; value: string }
  | { kind: 'bool'; value: boolean }
  | { kind: 'int'; value: bigint }
  | { kind: 'double'; value: number }
  | { kind: 'array'; values: AnyValue[] }
  | { kind: 'map'; entries: Attribute[] }
  | { kind: 'bytes'; value: Uint8Array }
  | { kind: 'none' }

export interface Attribute { key: string; value: AnyValue }
export interface SpanEvent { timeNs: bigint; name: string; attributes: Attribute[]; dropped: number }
export interface SpanLink { traceId: Uint8Array; spanId: Uint8Array; traceState: string; attributes: Attribute[]; dropped: number; flags: number }

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

export interface Scope { name: string; version: string; attributes: Attribute[]; dropped: number }
/** Told of attributes whose texts lie in the message that is visited: keys at [keyFrom, keyTo). */
export interface AttributeSink {
  text(keyFrom: number, keyTo: number, from: number, to: number): void
  long(keyFrom: number, keyTo: number, value: bigint): void
  double(keyFrom: number, keyTo: number, value: number): void
  bool(keyFrom: number, keyTo: number, value: boolean): void
  /** Lists, maps, bytes, nothing. */
  other(keyFrom: number, keyTo: number, value: AnyValue): void
}

/** Attributes that are not taken apart: [from, to) of each in `message`, one after another. */
export interface RawAttributes { message: Uint8Array; ranges: number[]; visit: (message: Uint8Array, from: number, to: number, sink: AttributeSink) => void }

export interface ScopeSpans { scope: Scope; schemaUrl: string; spans: Span[] }
export interface Resource { attributes: Attribute[]; dropped: number }
export interface ResourceSpans { resource: Resource; schemaUrl: string; scopes: ScopeSpans[] }
/** Spans of one trace, or of several on their way in. */
export interface Trace { resources: ResourceSpans[] }

export function serviceNameOf(resource: Resource): string {
  const found = resource.attributes.find(a => a.key === 'service.name')
  return found?.value.kind === 'string' ? found.value.value : ''
}

/** One text for each value; equal values have equal texts. */
export function valueKey(value: AnyValue): string {
  switch (value.kind) {
    case 'string': return `s${value.value.length}:${value.value}`
    case 'array': return `a[${value.values.map(valueKey).join()}]`
    case 'map': return `m{${attributesKey(value.entries)}}`
    case 'bytes': return `x${Buffer.from(value.value).toString('hex')}`
    case 'none': return 'n'
    default: return `${value.kind[0]!}${value.value}`
  }
}

/** Irrespective of the order of the attributes. */
export function attributesKey(attributes: readonly Attribute[]): string {
  let key = keysOf.get(attributes)
  if (key === undefined) keysOf.set(attributes, key = makeKey(attributes))
  return key
}

/** One list is asked for again with every trace of a request. */
const keysOf = new WeakMap<readonly Attribute[], string>()

function makeKey(attributes: readonly Attribute[]): string {
  return attributes.map(a => `${a.key.length}:${a.key}=${valueKey(a.value)}`).sort().join('\0')
}

function sorted(attributes: readonly Attribute[]): Attribute[] { return [...attributes].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)) }
function hex(bytes: Uint8Array): string { return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1') }

/**
 * Parts of one trace become one: a resource and a scope stand once, whatever the order of their attributes, and a span (by id and kind)
 * stands once. Source of the rules: docs/formats/tempo-block.md.
 */
export function combineTraces(parts: readonly Trace[]): Trace {
  const resources = new Map<string, { into: ResourceSpans; scopes: Map<string, ScopeSpans> }>()
  const seen = new Set<string>()
  for (const part of parts) {
    for (const { resource, schemaUrl, scopes } of part.resources) {
      const key = attributesKey(resource.attributes)
      let found = resources.get(key)
      if (found === undefined) resources.set(key, found = { into: { resource: { ...resource, attributes: sorted(resource.attributes) }, schemaUrl, scopes: [] }, scopes: new Map() })
      for (const { scope, schemaUrl: scopeUrl, spans } of scopes) {
        const scopeKey = `${scope.name}\0${scope.version}\0${attributesKey(scope.attributes)}`
        let target = found.scopes.get(scopeKey)
        for (const span of spans) {
          const id = `${hex(span.spanId)}${span.kind}`
          if (seen.has(id)) continue
          seen.add(id)
          if (target === undefined) {
            found.scopes.set(scopeKey, target = { scope: { ...scope, attributes: sorted(scope.attributes) }, schemaUrl: scopeUrl, spans: [] })
            found.into.scopes.push(target)
          }
          target.spans.push(span)
        }
      }
    }
  }
  return { resources: [...resources.values()].map(r => r.into).filter(r => r.scopes.length > 0) }
}
