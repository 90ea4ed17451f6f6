/** The spans of one request into a tenant's head, and what the log must hold of them. Synchronous. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Span, Trace } from '#model/trace.ts'
import { SpanAdmission, type TraceLimits } from './admission.ts'
import type { Head } from './head.ts'
import type { SpanDecoder } from './segment.ts'
import { encodeSpans } from './wal-record.ts'

export interface AppendOptions {
  limits: TraceLimits
  /** OTLP messages, as the log keeps them. */
  decode: (message: Uint8Array, isOutline?: boolean) => Trace
  decodeSpan: SpanDecoder
  encode: (trace: Trace) => Uint8Array
}

export class BatchAppender {
  readonly #options: AppendOptions
  /** Of the last batch: its record for the log; undefined when nothing was stored. */
  record: Uint8Array | undefined

  constructor(options: AppendOptions) {
    this.#options = options
  }

  /** Stores what can be stored; `message` is the same as an OTLP message. */
  append(head: Head, trace: Trace, message: Uint8Array, nowMs: number): AppendOutcome {
    const { limits, decode, decodeSpan, encode } = this.#options
    const outcome: AppendOutcome = { stored: 0, refused: 0, problems: [] }
    const admission = new SpanAdmission(limits, nowMs, outcome, decodeSpan)
    const refused = new Set<Span>()
    head.append(trace, message, nowMs, (span, live) => {
      const isAdmitted = admission.admit(span, live, head.live.size, message)
      if (!isAdmitted) refused.add(span)
      return isAdmitted
    })
    this.record = undefined
    if (outcome.stored === 0) return outcome
    // What was refused must not come back with a replay.
    const kept = refused.size === 0 ? message : encode(without(trace, decode(message), refused))
    this.record = encodeSpans(head.tenant, kept)
    return outcome
  }
}

/** The spans of a message that were not refused. `outline` and `whole` are the same message, read twice. */
function without(outline: Trace, whole: Trace, refused: ReadonlySet<Span>): Trace {
  return {
    resources: whole.resources.map((r, i) => ({
      ...r,
      scopes: r.scopes.map((s, j) => ({
        ...s,
        spans: s.spans.filter((_span, k) => !refused.has(outline.resources[i]!.scopes[j]!.spans[k]!)),
      })),
    })),
  }
}
