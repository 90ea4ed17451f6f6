/** OTLP metrics over HTTP (protobuf, JSON) and gRPC. */
import type { Clock } from '#core/clock.ts'
import { refuse } from '#model/append-outcome.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { decodeOtlpMetrics, encodeOtlpMetricsResponse, parseOtlpMetricsJson } from '#wire/otlp/metrics.ts'
import { translateOtlp } from '#wire/otlp/to-prometheus.ts'
import { reasonOf, serveMetrics, type MetricsProtocol, type MetricsPush } from './metrics-push.ts'
import { asOtlp, otlpFormat, otlpMediaType, otlpReply, type OtlpFormat } from './otlp.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'

export function otlpMetrics(push: MetricsPush): ServedProtocol {
  return asOtlp(
    serveMetrics(push, protocolOf(push.clock), {
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

function protocolOf(clock: Clock): MetricsProtocol<OtlpFormat> {
  return {
    formatOf: request => otlpFormat(mediaTypeOf(request, otlpMediaType)),
    async store(body, format, intake) {
      const resources =
        format === 'json' ? parseOtlpMetricsJson(Buffer.from(body).toString('utf8')) : decodeOtlpMetrics(body)
      const builder = new BatchBuilder()
      const problems = translateOtlp(resources, builder, clock.nowMs())
      const outcome = await intake.append(builder.batch)
      for (const problem of problems) refuse(outcome, problem)
      return outcome
    },
    reply: (outcome, format) => otlpReply(format, 'rejectedDataPoints', outcome.refused, reasonOf(outcome)),
  }
}
