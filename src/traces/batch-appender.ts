/** The spans of one request, decided on one by one, and what the log must hold of them. Synchronous. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'
import { SpanAdmission, type TraceLimits } from './admission.ts'
import type { Head } from './head.ts'
import type { SpanDecoder } from './segment.ts'
import { stageSpans, type StagedTrace } from './staged-spans.ts'
import { encodeSpans } from './wal-record.ts'

export interface AppendOptions {
  decodeSpan: SpanDecoder
  /** An OTLP message without the spans at these places. */
  withoutSpans: (message: Uint8Array, isDropped: (at: number) => boolean) => Uint8Array
}

export interface AdmittedSpans {
  /** For the log; undefined when nothing is stored. */
  record: Uint8Array | undefined
  /** What the record shows. */
  traces: readonly StagedTrace[]
  /** Of these: traces that have no span yet. */
  newTraces: number
  /** Spans of the record. */
  stored: number
}

/** Spans of one request, in one message or several: limits of a request count over all of them. */
export class SpanRequest {
  readonly outcome: AppendOutcome = { stored: 0, refused: 0, problems: [] }
  readonly admission: SpanAdmission
  /** By trace: bytes of earlier messages, until the log has them. */
  readonly #inLine = new Map<string, number>()

  readonly limits: TraceLimits

  constructor({ decodeSpan }: AppendOptions, limits: TraceLimits, nowMs: number) {
    this.limits = limits
    this.admission = new SpanAdmission(limits, nowMs, this.outcome, decodeSpan)
  }

  /** What is live of a trace, and what of this request will be; undefined: nothing. */
  bytesOf(head: Head, key: string): number | undefined {
    const live = head.live.get(key)?.bytes
    const inLine = this.#inLine.size === 0 ? undefined : this.#inLine.get(key)
    return inLine === undefined ? live : inLine + (live ?? 0)
  }

  /** A message of it is in line; more will come. */
  putInLine(traces: readonly StagedTrace[]): void {
    for (const { key, bytes } of traces) this.#inLine.set(key, (this.#inLine.get(key) ?? 0) + bytes)
  }

  /** The log has the message. */
  shown(traces: readonly StagedTrace[]): void {
    for (const { key, bytes } of traces) {
      const left = this.#inLine.get(key)! - bytes
      if (left > 0) this.#inLine.set(key, left)
      else this.#inLine.delete(key)
    }
  }
}

export class BatchAppender {
  readonly #options: AppendOptions

  constructor(options: AppendOptions) {
    this.#options = options
  }

  /** `limits`: of the tenant that it is for. */
  begin(limits: TraceLimits, nowMs: number): SpanRequest {
    return new SpanRequest(this.#options, limits, nowMs)
  }

  /** Decides what can be stored of a message of the request; `message` is the same as an OTLP message. */
  admit(request: SpanRequest, head: Head, trace: Trace, message: Uint8Array): AdmittedSpans {
    const { outcome, admission } = request
    const before = outcome.stored
    // The record has neither the spans that were refused nor those that are in memory already.
    const leftOut = new Set<number>()
    const isTight = mayFillUp(request.limits, head, trace)
    let repeated = 0
    let at = 0
    let awaited = head.awaited
    let lastKey: string | undefined
    let earlierBytes: number | undefined
    const traces = stageSpans(trace, message, (span, key, staged) => {
      if (key !== lastKey) {
        lastKey = key
        earlierBytes = request.bytesOf(head, key)
      }
      const bytes = staged === undefined ? earlierBytes : staged.bytes + (earlierBytes ?? 0)
      const isRepeated = isTight && bytes === undefined && head.hasIdle(key, span)
      // A trace that was set aside takes no room for spans that it has.
      const isAdmitted = admission.admit(span, isRepeated ? 0 : bytes, head.live.size + awaited, message)
      if (isAdmitted && isRepeated) repeated++
      if (!isAdmitted || isRepeated) leftOut.add(at)
      else if (bytes === undefined) awaited++
      at++
      return isAdmitted && !isRepeated
    })
    const stored = outcome.stored - before - repeated
    if (stored === 0) return { record: undefined, traces: [], newTraces: 0, stored }
    // What was refused must not come back with a replay.
    const kept = leftOut.size === 0 ? message : this.#options.withoutSpans(message, place => leftOut.has(place))
    return { record: encodeSpans(head.tenant, kept), traces, newTraces: awaited - head.awaited, stored }
  }
}

/**
 * Whether the message may have more traces than there is room for. Its sender repeats all of it then, and would never
 * get to the end of it if traces that it brought before took the room again.
 */
function mayFillUp({ liveTracesMax }: TraceLimits, head: Head, { resources }: Trace): boolean {
  let room = liveTracesMax - head.live.size - head.awaited
  for (const { scopes } of resources) for (const { spans } of scopes) room -= spans.length
  return room < 0
}
