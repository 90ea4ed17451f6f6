/**
 * Halves of a call that have one id: Zipkin's instrumentations give the server's span the id of the client's. Each is a
 * span of its own here, the server's half the child of the client's. The new id follows from the old one and from the
 * service, so that it is the same whenever a half comes, and is known again without the other half.
 */
import { serviceNameOf, type ResourceSpans, type Span, type Trace } from './trace.ts'

const server = 2
const client = 3
const idBytes = 8

/** Eight bytes that stand for a service, by its name. */
function serviceMask(service: string): Uint8Array {
  const mask = Buffer.alloc(idBytes)
  const name = Buffer.from(service)
  for (const [i, basis] of [0x811c9dc5, 0x9747b28c].entries()) {
    let hash = basis
    for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    mask.writeUInt32BE((hash ^ (hash >>> 16)) >>> 0, i * 4)
  }
  // An id is never given back as it was.
  mask[0]! |= 1
  return mask
}

function masked(id: Uint8Array, mask: Uint8Array): Uint8Array {
  return Uint8Array.from(mask, (byte, i) => byte ^ (id[i] ?? 0))
}

/** The id of the server's half of a call: `id` is the one that both halves came with. */
export function ownHalfId(service: string, id: Uint8Array): Uint8Array {
  return masked(id, serviceMask(service))
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1')
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < idBytes; i++) if (a[i] !== b[i]) return false
  return a.length === idBytes && b.length === idBytes
}

/** Whether the span's id was made by `ownHalfId`, of its parent's. */
function isOwnHalf({ kind, spanId, parentSpanId }: Span, mask: Uint8Array): boolean {
  if (kind !== server || parentSpanId.length !== idBytes || spanId.length !== idBytes) return false
  for (let i = 0; i < idBytes; i++) if ((spanId[i]! ^ parentSpanId[i]!) !== mask[i]) return false
  return true
}

/**
 * What a service calls while it serves is the child of its half, also where it came in another request than the half:
 * it names the client's as its parent then. Changes the lists of spans, not the spans.
 */
export function adoptByHalves(resources: readonly ResourceSpans[]): void {
  const halves = new Map<string, Map<string, Span>>()
  for (const { resource, scopes } of resources) {
    let mask: Uint8Array | undefined
    for (const { spans } of scopes)
      for (const span of spans) {
        if (span.kind !== server || span.parentSpanId.length === 0) continue
        mask ??= resource.halfMask ??= serviceMask(serviceNameOf(resource))
        if (!isOwnHalf(span, mask)) continue
        const service = serviceNameOf(resource)
        let ofService = halves.get(service)
        if (ofService === undefined) halves.set(service, (ofService = new Map()))
        ofService.set(keyOf(span.parentSpanId), span)
      }
  }
  if (halves.size === 0) return
  for (const { resource, scopes } of resources) {
    const ofService = halves.get(serviceNameOf(resource))
    if (ofService === undefined) continue
    for (const { spans } of scopes)
      for (const [i, span] of spans.entries()) {
        const half = ofService.get(keyOf(span.parentSpanId))
        if (half !== undefined && !isSame(half.spanId, span.spanId)) spans[i] = { ...span, parentSpanId: half.spanId }
      }
  }
}

/** A trace whose halves have ids of their own, for who is shown it. Other doors than Zipkin's keep the shared ones. */
export function withOwnIds(trace: Trace): Trace {
  const kinds = new Map<string, { client?: string; server?: string }>()
  for (const { resource, scopes } of trace.resources)
    for (const { spans } of scopes)
      for (const { kind, spanId } of spans) {
        if (kind !== server && kind !== client) continue
        const key = keyOf(spanId)
        let known = kinds.get(key)
        if (known === undefined) kinds.set(key, (known = {}))
        known[kind === server ? 'server' : 'client'] = serviceNameOf(resource)
      }
  const shared = new Map<string, { client: string; server: string }>()
  for (const [key, halves] of kinds)
    if (halves.client !== undefined && halves.server !== undefined)
      shared.set(key, { client: halves.client, server: halves.server })
  if (shared.size === 0) return trace
  return {
    resources: trace.resources.map(one => {
      const service = serviceNameOf(one.resource)
      const renamed = (span: Span): Span => {
        const { spanId, parentSpanId } = span
        if (span.kind === server && shared.has(keyOf(spanId)))
          return { ...span, spanId: ownHalfId(service, spanId), parentSpanId: spanId }
        const halves = shared.get(keyOf(parentSpanId))
        // What the client's own service does below its half stays there.
        if (halves === undefined || (service === halves.client && service !== halves.server)) return span
        if (isSame(spanId, parentSpanId)) return span
        return { ...span, parentSpanId: ownHalfId(halves.server, parentSpanId) }
      }
      return { ...one, scopes: one.scopes.map(scope => ({ ...scope, spans: scope.spans.map(renamed) })) }
    }),
  }
}
