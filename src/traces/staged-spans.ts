/** The spans of one message by trace, as they go into a head: nothing of the message's tree is held beyond them. */
import { inSharedMemory } from '#core/shared-bytes.ts'
import type { Span, Trace } from '#model/trace.ts'
import { idKey, type HeldSpans } from './segment.ts'
import { paddedTraceId } from './shred.ts'

/** What a message brings of one trace. */
export interface StagedTrace {
  readonly key: string
  readonly id: Uint8Array
  readonly held: HeldSpans[]
  spans: number
  bytes: number
}

/** Says whether a span is taken; `staged` is what is taken of its trace so far. */
export type SpanTest = (span: Span, key: string, staged: StagedTrace | undefined) => boolean

/** A rough size of a span in memory and in the block. */
function sizeOf(span: Span): number {
  return span.isOutline === true
    ? 100 + span.wireTo! - span.wireFrom!
    : 160 + span.attributes.length * 48 + span.events.length * 120 + span.links.length * 100
}

/** Spans lie in `message` where they are outlines; it is held in memory that all threads read, copied if need be. */
export function stageSpans(trace: Trace, message: Uint8Array, isTaken: SpanTest): StagedTrace[] {
  const staged = new Map<string, StagedTrace>()
  let kept: Uint8Array | undefined
  let lastId: Uint8Array | undefined
  let key = ''
  let into: StagedTrace | undefined
  for (const [resourceAt, { resource, schemaUrl, scopes }] of trace.resources.entries()) {
    // A resource is held once, whatever number of traces it is of: the first one bears it.
    let resourceBytes = 200 + resource.attributes.length * 160
    for (const [scopeAt, { scope, schemaUrl: scopeUrl, spans }] of scopes.entries()) {
      for (const span of spans) {
        // Spans of one trace mostly follow one another: ids are compared before they are looked up.
        if (lastId === undefined || !isSameId(lastId, span.traceId)) {
          lastId = span.traceId
          key = idKey(paddedTraceId(lastId))
          into = staged.get(key)
        }
        if (!isTaken(span, key, into)) continue
        if (into === undefined) {
          into = { key, id: Uint8Array.from(paddedTraceId(span.traceId)), held: [], spans: 0, bytes: 0 }
          staged.set(key, into)
        }
        let held = into.held.at(-1)
        if (held === undefined || held.resource !== resource || held.scope !== scope) {
          kept ??= inSharedMemory(message)
          const source = { message: kept, resourceAt, scopeAt }
          held = { resource, schemaUrl, scope, scopeUrl, ...source, ranges: [], spans: undefined }
          into.held.push(held)
        }
        if (span.isOutline === true) held.ranges.push(span.wireFrom!, span.wireTo!)
        else (held.spans ??= []).push(span)
        into.spans++
        into.bytes += sizeOf(span) + resourceBytes
        resourceBytes = 0
      }
    }
  }
  return [...staged.values()]
}

function isSameId(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
