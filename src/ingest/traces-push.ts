/** What the push protocols of traces share: what they are made of, and replies to refused spans. */
import type { Clock } from '#core/clock.ts'
import { LimitError } from '#core/errors.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { TracesAppender } from '#traces/append.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'
import type { Decoding } from './large-bodies.ts'
import { serve, type Places, type PushProtocol, type ServedProtocol, type TenantOf } from './protocol.ts'
import { plainText, retryLater } from './reply.ts'

/** Spans, and the same as an OTLP message. */
export interface TraceBatch {
  readonly trace: Trace
  readonly message: Uint8Array
}

/** What the push protocols of traces are made of. */
export interface TracesPush extends Decoding {
  readonly appender: TracesAppender
  readonly tenantOf: TenantOf
  /** Long bodies are decoded in pieces, by its time. */
  readonly clock: Clock
  /** Called with each batch of which spans were stored: metrics are derived from them. */
  readonly onStored: (tenant: string, trace: Trace, message: Uint8Array) => void
}

export type TraceProtocol<Format> = PushProtocol<Format, TraceBatch, AppendOutcome>

export function serveTraces<Format>(
  { appender, tenantOf, onStored }: TracesPush,
  protocol: TraceProtocol<Format>,
  places: Omit<Places<NoInfer<Format>, AppendOutcome>, 'methods'>,
): ServedProtocol {
  const append = async (tenant: string, { trace, message }: TraceBatch): Promise<AppendOutcome> => {
    const outcome = await appender.append(tenant, trace, message)
    if (outcome.stored > 0) onStored(tenant, outcome.refused === 0 ? trace : withoutRefused(trace, outcome), message)
    return outcome
  }
  return serve(protocol, { methods: ['POST'], ...places }, append, tenantOf)
}

/** Spans that were kept. They are numbered in the order of the tree. */
function withoutRefused(trace: Trace, { refusedAt = [] }: AppendOutcome): Trace {
  const refused = new Set(refusedAt.map(({ at }) => at))
  let next = 0
  return {
    resources: trace.resources.map(r => ({
      ...r,
      scopes: r.scopes.map(s => ({ ...s, spans: s.spans.filter(() => !refused.has(next++)) })),
    })),
  }
}

/** Spans of another protocol. */
export function batchOf(trace: Trace): TraceBatch {
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
