/** The spans of one request, decided on one by one, and what the log must hold of them. Synchronous. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Span, Trace } from '#model/trace.ts'
import { SpanAdmission, type TraceLimits } from './admission.ts'
import type { Head } from './head.ts'
import type { SpanDecoder } from './segment.ts'
import { stageSpans, type StagedTrace } from './staged-spans.ts'
import { encodeSpans } from './wal-record.ts'

export interface AppendOptions {
  limits: TraceLimits
  /** OTLP messages, as the log keeps them. */
  decode: (message: Uint8Array, isOutline?: boolean) => Trace
  decodeSpan: SpanDecoder
  encode: (trace: Trace) => Uint8Array
}

export interface AdmittedSpans {
  outcome: AppendOutcome
  /** For the log; undefined when nothing is stored. */
  record: Uint8Array | undefined
  /** What the record shows. */
  traces: readonly StagedTrace[]
  /** Of these: traces that have no span yet. */
  newTraces: number
}

export class BatchAppender {
  readonly #options: AppendOptions

  constructor(options: AppendOptions) {
    this.#options = options
  }

  /** Decides what can be stored; `message` is the same as an OTLP message. */
  admit(head: Head, trace: Trace, message: Uint8Array, nowMs: number): AdmittedSpans {
    const { limits, decode, decodeSpan, encode } = this.#options
    const outcome: AppendOutcome = { stored: 0, refused: 0, problems: [] }
    const admission = new SpanAdmission(limits, nowMs, outcome, decodeSpan)
    const refused = new Set<Span>()
    let awaited = head.awaited
    let lastKey: string | undefined
    let liveBytes: number | undefined
    const traces = stageSpans(trace, message, (span, key, staged) => {
      if (key !== lastKey) {
        lastKey = key
        liveBytes = head.live.get(key)?.bytes
      }
      const bytes = staged === undefined ? liveBytes : staged.bytes + (liveBytes ?? 0)
      const isAdmitted = admission.admit(span, bytes, head.live.size + awaited, message)
      if (!isAdmitted) refused.add(span)
      else if (bytes === undefined) awaited++
      return isAdmitted
    })
    const newTraces = awaited - head.awaited
    if (outcome.stored === 0) return { outcome, record: undefined, traces: [], newTraces: 0 }
    // What was refused must not come back with a replay.
    const kept = refused.size === 0 ? message : encode(without(trace, decode(message), refused))
    return { outcome, record: encodeSpans(head.tenant, kept), traces, newTraces }
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
