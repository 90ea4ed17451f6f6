/** OTLP metrics over HTTP (protobuf, JSON) and gRPC. */
import { assert } from '#core/assert.ts'
import { readJsonBody } from '#core/json-body.ts'
import { yieldEvery } from '#core/yield.ts'
import { note, refuse } from '#model/append-outcome.ts'
import type { MetricsAppendOutcome } from '#metrics/append.ts'
import { BatchBuilder, type WriteBatch } from '#model/write-batch.ts'
import { decodeOtlpMetrics, encodeOtlpMetricsResponse, otlpMetricsOfJson } from '#wire/otlp/metrics.ts'
import { translateOtlp, type TranslatedPoints } from '#wire/otlp/to-prometheus.ts'
import { decodeLargeSamples, decoderFor } from './large-bodies.ts'
import { reasonOf, serveMetrics, type MetricsProtocol, type MetricsPush } from './metrics-push.ts'
import { asOtlp, otlpFormat, otlpMediaType, otlpReply, type OtlpFormat } from './otlp.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'

export function otlpMetrics(push: MetricsPush): ServedProtocol {
  return asOtlp(
    serveMetrics(push, protocolOf(push), {
      methods: ['POST'],
      paths: ['/v1/metrics', '/opentelemetry/v1/metrics', '/api/v1/otlp/v1/metrics', '/otlp/v1/metrics'],
      grpc: {
        service: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
        method: 'Export',
        format: 'protobuf',
        answer: outcome => encodeOtlpMetricsResponse(outcome.refused, reasonOf(outcome)),
      },
    }),
  )
}

/** A batch, and which of its samples are one point. */
interface Translated {
  readonly batch: WriteBatch
  readonly points: TranslatedPoints
}

async function decode(push: MetricsPush, body: Uint8Array, format: OtlpFormat): Promise<Translated> {
  const { clock } = push
  const kind = format === 'json' ? 'otlp-metrics-json' : 'otlp-metrics'
  const decoder = decoderFor(push, kind, body)
  if (decoder !== undefined) {
    const { batch, points } = await decodeLargeSamples(decoder, kind, body)
    assert(points !== undefined, 'OTLP has points')
    return { batch, points }
  }
  const resources =
    format === 'json'
      ? otlpMetricsOfJson(await readJsonBody(body, yieldEvery(clock)), body.length)
      : decodeOtlpMetrics(body)
  const builder = new BatchBuilder()
  const points = translateOtlp(resources, builder, clock.nowMs())
  builder.batch.namesRefused = true
  return { batch: builder.batch, points }
}

function protocolOf(push: MetricsPush): MetricsProtocol<OtlpFormat> {
  return {
    formatOf: request => otlpFormat(mediaTypeOf(request, otlpMediaType)),
    async store(body, format, intake) {
      const { batch, points } = await decode(push, body, format)
      const outcome = await intake.append(batch)
      outcome.refused = refusedPoints(outcome, points)
      for (const [reason, count] of points.refused) refuse(outcome, reason, count)
      for (const text of points.notes) note(outcome, text)
      return outcome
    },
    reply: (outcome, format) => otlpReply(format, 'rejectedDataPoints', outcome.refused, reasonOf(outcome)),
  }
}

/** How many points have a part that the door refused. A point may be several samples. */
function refusedPoints({ stored, refused, refusedAt }: MetricsAppendOutcome, points: TranslatedPoints): number {
  if (refusedAt !== undefined)
    return new Set(refusedAt.map(({ at }) => points.pointOf[at] ?? -1).filter(point => point >= 0)).size
  return stored === 0 && refused > 0 ? points.count : Math.min(refused, points.count)
}
