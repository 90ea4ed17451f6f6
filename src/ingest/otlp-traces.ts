/** OTLP traces over HTTP (protobuf, JSON) and gRPC. */
import { readJsonBody } from '#core/json-body.ts'
import { yieldEvery } from '#core/yield.ts'
import { encodeOtlpMetricsResponse } from '#wire/otlp/metrics.ts'
import { otlpTracesOfJson, readOtlpTraces } from '#wire/otlp/traces.ts'
import { decodeLargeTraces, decoderFor } from './large-bodies.ts'
import { asOtlp, otlpFormat, otlpMediaType, otlpReply, type OtlpFormat } from './otlp.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'
import { batchOf, reasonOf, serveTraces, type TraceProtocol, type TracesPush } from './traces-push.ts'

export function otlpTraces(push: TracesPush): ServedProtocol {
  return asOtlp(
    serveTraces(push, protocolOf(push), {
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

function protocolOf(push: TracesPush): TraceProtocol<OtlpFormat> {
  return {
    formatOf: request => otlpFormat(mediaTypeOf(request, otlpMediaType).toLowerCase()),
    async store(body, format, intake) {
      const kind = format === 'json' ? 'otlp-traces-json' : 'otlp-traces'
      const decoder = decoderFor(push, kind, body)
      if (decoder !== undefined) return intake.append(await decodeLargeTraces(decoder, kind, body))
      if (format === 'protobuf') return intake.append(readOtlpTraces(body))
      return intake.append(batchOf(otlpTracesOfJson(await readJsonBody(body, yieldEvery(push.clock)), body.length)))
    },
    reply: (outcome, format) => otlpReply(format, 'rejectedSpans', outcome.refused, reasonOf(outcome)),
  }
}
