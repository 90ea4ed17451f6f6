/** Spans in a short notation, and as OTLP's JSON. */

/** bigint: a whole number, number: a double, null: a value of no type. */
export type Any = string | bigint | number | boolean | null | Uint8Array | readonly Any[] | ReadonlyMap<string, Any>
/** Pairs: a key may be there twice. */
export type Attributes = Readonly<Record<string, Any>> | readonly (readonly [string, Any])[]

export interface EventSpec {
  name: string
  /** After the span's start. */
  afterNs?: number
  attributes?: Attributes
}

export interface LinkSpec {
  trace: string
  span: string
  attributes?: Attributes
  state?: string
}

export interface SpanSpec {
  /** Hexadecimal; zeros before it are added. */
  id: string
  parent?: string
  name?: string
  kind?: number
  status?: number
  message?: string
  /** After the trace's start. */
  afterNs?: number
  durationNs?: number
  attributes?: Attributes
  events?: readonly EventSpec[]
  links?: readonly LinkSpec[]
  state?: string
}

export interface PartSpec {
  resource: Attributes
  scope?: { name?: string; version?: string; attributes?: Attributes }
  spans: readonly SpanSpec[]
}

export interface TraceSpec {
  /** Hexadecimal; zeros before it are added. */
  id: string
  /** Its start, before the moment that is now. */
  agoNs: number
  parts: readonly PartSpec[]
}

export const second = 1e9
export const minute = 60 * second

function valueJson(value: Any): object {
  if (value === null) return {}
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'bigint') return { intValue: String(value) }
  if (typeof value === 'number') return { doubleValue: Number.isFinite(value) ? value : String(value) }
  if (typeof value === 'boolean') return { boolValue: value }
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
  if (value instanceof Map) return { kvlistValue: { values: attributesJson([...value]) } }
  return { arrayValue: { values: (value as readonly Any[]).map(valueJson) } }
}

function attributesJson(attributes: Attributes = []): object[] {
  const pairs = Array.isArray(attributes) ? attributes : Object.entries(attributes)
  return (pairs as readonly (readonly [string, Any])[]).map(([key, value]) => ({ key, value: valueJson(value) }))
}

function spanJson(span: SpanSpec, traceId: string, traceStart: bigint): object {
  const start = traceStart + BigInt(span.afterNs ?? 0)
  const id = (text: string): string => text.padStart(16, '0')
  return {
    traceId,
    spanId: id(span.id),
    ...(span.parent === undefined ? {} : { parentSpanId: id(span.parent) }),
    ...(span.state === undefined ? {} : { traceState: span.state }),
    name: span.name ?? span.id,
    ...(span.kind === undefined ? {} : { kind: span.kind }),
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(start + BigInt(span.durationNs ?? 1e6)),
    attributes: attributesJson(span.attributes),
    ...(span.status === undefined && span.message === undefined
      ? {}
      : { status: { code: span.status ?? 0, message: span.message ?? '' } }),
    ...(span.events === undefined
      ? {}
      : {
          events: span.events.map(event => ({
            timeUnixNano: String(start + BigInt(event.afterNs ?? 0)),
            name: event.name,
            attributes: attributesJson(event.attributes),
          })),
        }),
    ...(span.links === undefined
      ? {}
      : {
          links: span.links.map(link => ({
            traceId: link.trace.padStart(32, '0'),
            spanId: id(link.span),
            ...(link.state === undefined ? {} : { traceState: link.state }),
            attributes: attributesJson(link.attributes),
          })),
        }),
  }
}

/** What is sent of a trace. `baseMs`: the moment that is now. */
export function traceJson(trace: TraceSpec, baseMs: number): object {
  const start = BigInt(baseMs) * 1_000_000n - BigInt(trace.agoNs)
  const traceId = trace.id.padStart(32, '0')
  return {
    resourceSpans: trace.parts.map(part => ({
      resource: { attributes: attributesJson(part.resource) },
      scopeSpans: [
        {
          ...(part.scope === undefined
            ? {}
            : { scope: { ...part.scope, attributes: attributesJson(part.scope.attributes) } }),
          spans: part.spans.map(span => spanJson(span, traceId, start)),
        },
      ],
    })),
  }
}
