/** What the push protocols of traces share: what they are made of, and replies to refused spans. */
import type { Clock } from '#core/clock.ts'
import { LimitError } from '#core/errors.ts'
import { yieldEvery } from '#core/yield.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { SpansPart, TracesAppender } from '#traces/append.ts'
import { carrySpans, spansOf } from '#wire/otlp/carried-spans.ts'
import { withoutSpansAt } from '#wire/otlp/split-traces.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'
import type { Decoding } from './large-bodies.ts'
import { serve, type Places, type PushProtocol, type ServedProtocol, type TenantOf } from './protocol.ts'
import { plainText, retryLater } from './reply.ts'

/** Spans, and the same as an OTLP message. */
export interface WholeBatch {
  readonly trace: Trace
  readonly message: Uint8Array
}

/** Spans of a request. */
export interface BatchInParts {
  readonly parts: readonly SpansPart[]
}

export type TraceBatch = WholeBatch | BatchInParts

/**
 * Spans, scopes and resources that are stored in one go: 4,000 take up to 20 ms where each is a trace of its own. A
 * body of 1 MiB has 2,000 usual spans, and 35,000 at most.
 */
const itemsAtOnce = 4000

/** What the push protocols of traces are made of. */
export interface TracesPush extends Decoding {
  readonly appender: TracesAppender
  readonly tenantOf: TenantOf
  /** Long bodies are decoded in pieces, by its time. */
  readonly clock: Clock
  /** Called with each message of which spans were stored: metrics are derived from them. Unless given, nothing is. */
  readonly onStored?: OnStored | undefined
}

export type OnStored = (tenant: string, trace: Trace, message: Uint8Array) => void

export type TraceProtocol<Format> = PushProtocol<Format, TraceBatch, AppendOutcome>

export function serveTraces<Format>(
  push: TracesPush,
  protocol: TraceProtocol<Format>,
  places: Omit<Places<NoInfer<Format>, AppendOutcome>, 'methods'>,
): ServedProtocol {
  const { appender, onStored, clock } = push
  const append = async (tenant: string, sent: TraceBatch): Promise<AppendOutcome> => {
    const batch = inPartsIfLong(sent)
    if ('parts' in batch) {
      const outcome = await appender.appendParts(tenant, batch.parts)
      if (outcome.stored > 0 && onStored !== undefined)
        await notifyOfParts(tenant, batch.parts, outcome, onStored, clock)
      return outcome
    }
    const { trace, message } = batch
    const outcome = await appender.append(tenant, trace, message)
    if (outcome.stored > 0) onStored?.(tenant, keptOf(trace, placesRefused(outcome)), message)
    return outcome
  }
  return serve(protocol, { methods: ['POST'], ...places }, { signal: 'traces', append, tenantOf: push.tenantOf })
}

/** A body that was decoded here may have many small spans. */
function inPartsIfLong(batch: TraceBatch): TraceBatch {
  if ('parts' in batch) return batch
  const { trace, message } = batch
  let items = trace.resources.length
  for (const { scopes } of trace.resources) for (const { spans } of scopes) items += 1 + spans.length
  if (items <= itemsAtOnce) return batch
  return { parts: carrySpans(trace, message).map(part => ({ message: part.message, outlines: () => spansOf(part) })) }
}

/** One part after another, when all are stored: where they are to be sent again nothing was counted. */
async function notifyOfParts(
  tenant: string,
  parts: readonly SpansPart[],
  outcome: AppendOutcome,
  onStored: OnStored,
  clock: Clock,
): Promise<void> {
  const refused = placesRefused(outcome)
  const pause = yieldEvery(clock)
  let first = 0
  for (const { message, outlines } of parts) {
    const trace = outlines()
    onStored(tenant, keptOf(trace, refused, first), message)
    for (const { scopes } of trace.resources) for (const { spans } of scopes) first += spans.length
    await pause()
  }
}

function placesRefused({ refusedAt = [] }: AppendOutcome): ReadonlySet<number> {
  return new Set(refusedAt.map(({ at }) => at))
}

/** Spans that were kept; `first` is the place of the first one. */
function keptOf(trace: Trace, refused: ReadonlySet<number>, first = 0): Trace {
  return refused.size === 0 ? trace : withoutSpansAt(trace, at => refused.has(at), first)
}

/** Spans of another protocol. */
export function batchOf(trace: Trace): WholeBatch {
  return { trace, message: encodeOtlpTraces(trace) }
}

/** Throws LimitError where sending later helps: a partial success would say that it does not. */
export function reasonOf(outcome: AppendOutcome): string {
  const reason = reasonsOf(outcome)
  if (outcome.passes === true) throw new LimitError(reason, 429)
  return reason
}

function reasonsOf({ problems }: AppendOutcome): string {
  return problems.map(p => (p.count === 1 ? p.message : `${p.count} times: ${p.message}`)).join('; ')
}

/** All stored: 202, as Zipkin and Jaeger's collector answer. Some refused: 400, or 429, with the reasons. */
export function acceptedReply(outcome: AppendOutcome): HttpReply {
  if (outcome.refused === 0) return { status: 202 }
  return {
    status: outcome.passes === true ? 429 : 400,
    headers: outcome.passes === true ? { ...plainText, ...retryLater } : plainText,
    body: `${outcome.refused} of ${outcome.refused + outcome.stored} spans were refused: ${reasonsOf(outcome)}\n`,
  }
}
