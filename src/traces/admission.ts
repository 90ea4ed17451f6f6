/** Which spans are taken in. Each refusal says the limit and what was met. */
import { nameRefused, refuse, type AppendOutcome } from '#model/append-outcome.ts'
import type { AnyValue, Attribute, Span } from '#model/trace.ts'
import type { SpanDecoder } from './segment.ts'

export interface TraceLimits {
  /** Spans whose start or end lies further ahead of now are refused. */
  futureMs: number
  /** Bytes of one trace while it is live. */
  traceBytesMax: number
  /** Bytes of one attribute's name and value. */
  attributeBytesMax: number
  attributesMax: number
  /** Spans of one request. */
  requestSpansMax: number
  /** Live traces of a tenant. */
  liveTracesMax: number
}

function valueBytes(value: AnyValue): number {
  switch (value.kind) {
    case 'string':
      return value.value.length
    case 'bytes':
      return value.value.length
    case 'array':
      return value.values.reduce((sum, v) => sum + valueBytes(v), 0)
    case 'map':
      return value.entries.reduce((sum, a) => sum + a.key.length + valueBytes(a.value), 0)
    default:
      return 8
  }
}

const isZero = (id: Uint8Array): boolean => id.every(byte => byte === 0)
const hex = (id: Uint8Array): string => Buffer.from(id.subarray(0, 32)).toString('hex')

/** Reasons of refusals that one reply names. */
const reasonsMax = 20

export class SpanAdmission {
  readonly #limits: TraceLimits
  readonly #newestNs: bigint
  readonly #result: AppendOutcome
  readonly #decode: SpanDecoder
  #seen = 0
  /** The last refusal was for a limit that passes. */
  #passes = false

  constructor(limits: TraceLimits, nowMs: number, result: AppendOutcome, decode: SpanDecoder) {
    this.#decode = decode
    this.#limits = limits
    this.#newestNs = BigInt(Math.floor(nowMs + limits.futureMs)) * 1_000_000n
    this.#result = result
  }

  /**
   * Notes why not, when it returns false. `traceBytes`: what is live of its trace; undefined: it is new. `liveTraces`:
   * how many there are. An outline lies in `message`.
   */
  admit(span: Span, traceBytes: number | undefined, liveTraces: number, message: Uint8Array): boolean {
    const problem = this.#problemOf(span, traceBytes, liveTraces, message)
    if (problem === undefined) {
      this.#result.stored++
      return true
    }
    refuse(this.#result, problem, 1, reasonsMax)
    this.#result.refusedAt ??= []
    nameRefused(this.#result, problem, this.#seen - 1, 1, this.#passes)
    if (this.#passes) this.#result.passes = true
    return false
  }

  #problemOf(span: Span, traceBytes: number | undefined, liveTraces: number, message: Uint8Array): string | undefined {
    const { traceBytesMax, requestSpansMax, liveTracesMax, futureMs } = this.#limits
    this.#passes = false
    if (++this.#seen > requestSpansMax)
      return (
        `the request has more than ${requestSpansMax} spans, which is the limit (limits.trace_request_spans); ` +
        'send smaller batches'
      )
    const problem = problemOfIds(span)
    if (problem !== undefined) return problem
    if (span.startNs > this.#newestNs || span.endNs > this.#newestNs)
      return (
        `a span starts or ends more than ${Math.round(futureMs / 60_000)} minutes in the future, ` +
        "which is the limit; check the sender's clock"
      )
    const attributeProblem = this.#problemOfAttributes(span, message)
    if (attributeProblem !== undefined) return attributeProblem
    if (traceBytes === undefined && liveTraces >= liveTracesMax) {
      this.#passes = true
      return `there are ${liveTraces} live traces, which is the limit (limits.live_traces); send later, or raise it`
    }
    if (traceBytes !== undefined && traceBytes > traceBytesMax)
      return `trace ${hex(span.traceId)} has more than ${traceBytesMax} bytes, which is the limit (limits.trace_size)`
    return undefined
  }

  #problemOfAttributes(span: Span, message: Uint8Array): string | undefined {
    const { attributeBytesMax, attributesMax } = this.#limits
    const attributes = span.isOutline === true ? span.attributeCount! : span.attributes.length
    if (attributes > attributesMax)
      return (
        `span ${shown(span.name)} has ${attributes} attributes, ` +
        `the limit is ${attributesMax} (limits.trace_attributes)`
      )
    // Where no part of an outline is that large, no attribute is.
    if (span.isOutline === true && span.largestBytes! <= attributeBytesMax) return undefined
    const whole = span.isOutline === true ? this.#decode(message, span.wireFrom!, span.wireTo!) : span
    for (const attribute of attributesIn(whole)) {
      const bytes = attribute.key.length + valueBytes(attribute.value)
      if (bytes > attributeBytesMax)
        return (
          `attribute ${shown(attribute.key)} of span ${shown(span.name)} has ${bytes} bytes, ` +
          `the limit is ${attributeBytesMax} (limits.trace_attribute_size)`
        )
    }
    return undefined
  }
}

function problemOfIds({ traceId, spanId, parentSpanId, problem }: Span): string | undefined {
  if (problem !== undefined) return problem
  if ((traceId.length !== 8 && traceId.length !== 16) || isZero(traceId))
    return `trace id ${bitsOf(traceId)}; ids of 128 bits (or 64) that are not all zero were expected`
  if (spanId.length !== 8 || isZero(spanId))
    return `span id ${bitsOf(spanId)}; ids of 64 bits that are not all zero were expected`
  if (parentSpanId.length !== 0 && parentSpanId.length !== 8)
    return `parent span id ${bitsOf(parentSpanId)}; 64 were expected, or none`
  return undefined
}

function bitsOf(id: Uint8Array): string {
  return `${hex(id)} has ${id.length * 8} bits`
}

/** The beginning of a name, quoted. */
function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}

function* attributesIn(span: Span): Generator<Attribute> {
  yield* span.attributes
  for (const event of span.events) yield* event.attributes
  for (const link of span.links) yield* link.attributes
}
