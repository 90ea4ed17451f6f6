/** OTLP traces over HTTP (protobuf, JSON) and gRPC. */
import { encodeOtlpMetricsResponse } from '#wire/otlp/metrics.ts'
import { parseOtlpTracesJson, readOtlpTraces } from '#wire/otlp/traces.ts'
import { asOtlp, otlpFormat, otlpMediaType, otlpReply, type OtlpFormat } from './otlp.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'
import { batchOf, reasonOf, serveTraces, type TraceProtocol, type TracesPush } from './traces-push.ts'

export function otlpTraces(push: TracesPush): ServedProtocol {
  return asOtlp(
    serveTraces(push, protocol, {
      paths: ['/v1/traces', '/opentelemetry/v1/traces', '/insert/opentelemetry/v1/traces', '/otlp/v1/traces'],
      grpc: {
        service: 'opentelemetry.proto.collector.trace.v1.TraceService',
        method: 'Export',
        format: 'protobuf',
        answer: outcome => encodeOtlpMetricsResponse(outcome.refused, reasonOf(outcome)),
      },
    }),
  )
}

const protocol: TraceProtocol<OtlpFormat> = {
  formatOf: request => otlpFormat(mediaTypeOf(request, otlpMediaType).toLowerCase()),
  store: (body, format, intake) =>
    intake.append(
      format === 'json' ? batchOf(parseOtlpTracesJson(Buffer.from(body).toString('utf8'))) : readOtlpTraces(body),
    ),
  reply: (outcome, format) => otlpReply(format, 'rejectedSpans', outcome.refused, reasonOf(outcome)),
}
