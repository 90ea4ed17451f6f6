/** What the push protocols of metrics share: what they are made of, the sum of several appends, their reply. */
import type { Clock } from '#core/clock.ts'
import { LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { addAll } from '#core/lists.ts'
import type { MetricsAppendOutcome, MetricsAppender } from '#metrics/append.ts'
import { nameRefused, refuse } from '#model/append-outcome.ts'
import { Labels } from '#model/labels.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { keyPairs } from '#wire/remote-write/encode.ts'
import type { WriteKernel } from '#wire/remote-write/v1.ts'
import type { Decoding } from './large-bodies.ts'
import { serve, type Places, type PushProtocol, type ServedProtocol, type TenantOf } from './protocol.ts'
import { plainText, retryLater } from './reply.ts'

/** What the push protocols of metrics are made of. */
export interface MetricsPush extends Decoding {
  /** The store, or what forwards. */
  readonly appender: MetricsAppender
  readonly tenantOf: TenantOf
  /** Samples without a time get this one's. */
  readonly clock: Clock
  /** Requests follow one another through it: the one of the process. */
  readonly kernel: WriteKernel
  readonly limits: Pick<Limits, 'decodedBytesMax'>
}

/** A long body is stored in batches of so many samples. */
export const batchSamples = 10_000

export type MetricsProtocol<Format> = PushProtocol<Format, WriteBatch, MetricsAppendOutcome>

export function serveMetrics<Format>(
  { appender, tenantOf }: MetricsPush,
  protocol: MetricsProtocol<Format>,
  places: Places<NoInfer<Format>, MetricsAppendOutcome>,
): ServedProtocol {
  return serve(protocol, places, {
    signal: 'metrics',
    append: (tenant, batch) => appendBatch(appender, tenant, batch),
    tenantOf,
  })
}

/** Appends a batch; histograms that its decoder refused count as refused, under their series' names. */
export async function appendBatch(
  appender: MetricsAppender,
  tenant: string,
  batch: WriteBatch,
): Promise<MetricsAppendOutcome> {
  // A decoder fills the batch again as soon as the append waits.
  const refusals = batch.refusals.map(({ series, message }) => {
    const pairs = keyPairs(batch.bytes, batch.keyFrom[series]!, batch.keyTo[series]!)
    return { series, problem: `${Labels.from(pairs).toString()}: ${message}` }
  })
  const outcome = await appender.append(tenant, batch)
  for (const { series, problem } of refusals) {
    refuse(outcome, problem)
    nameRefused(outcome, problem, series)
  }
  return outcome
}

/** Where a request of several batches begins. */
export function emptyOutcome(): MetricsAppendOutcome {
  return { stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] }
}

/** Adds what became of one batch. */
export function addOutcome(total: MetricsAppendOutcome, part: MetricsAppendOutcome): void {
  total.stored += part.stored
  total.histograms += part.histograms
  total.exemplars += part.exemplars
  total.refused += part.refused
  if (part.passes === true) total.passes = true
  if (total.problems.length === 0) addAll(total.problems, part.problems)
}

/**
 * Everything stored: 204. Some refused: 400 with the first reason, 429 where sending later helps; what was good beside
 * it is kept.
 */
export function samplesReply(
  { stored, refused, problems, passes = false }: MetricsAppendOutcome,
  headers: Readonly<Record<string, string>> = {},
): HttpReply {
  if (refused === 0) return { status: 204, headers }
  return {
    status: passes ? 429 : 400,
    headers: { ...plainText, 'x-content-type-options': 'nosniff', ...(passes ? retryLater : {}), ...headers },
    body: `${refused} of ${refused + stored} samples were refused; the first: ${problems[0]?.message ?? 'unknown'}\n`,
  }
}

/** The first reason. Throws LimitError where sending later helps. */
export function reasonOf({ problems, passes }: MetricsAppendOutcome): string {
  const reason = problems[0]?.message ?? ''
  if (passes === true) throw new LimitError(reason, 429)
  return reason
}

/** Labels that `?extra_label=name=value` adds to everything. */
export function extraLabels(request: HttpRequest): [string, string][] {
  return request.query.getAll('extra_label').map(text => {
    const equals = text.indexOf('=')
    return [text.slice(0, equals), text.slice(equals + 1)]
  })
}
