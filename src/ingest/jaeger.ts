/** What Jaeger's collector takes: a Batch in Thrift over HTTP, PostSpans over gRPC. */
import { BadDataError } from '#core/errors.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import { decodePostSpansRequest } from '#wire/jaeger/proto.ts'
import { decodeJaegerThrift } from '#wire/jaeger/thrift.ts'
import { decodeLargeTraces, decoderFor } from './large-bodies.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'
import { acceptedReply, batchOf, reasonOf, serveTraces, type TraceProtocol, type TracesPush } from './traces-push.ts'

type Format = 'thrift' | 'protobuf'

export function jaeger(push: TracesPush): ServedProtocol {
  return serveTraces(push, protocolOf(push), {
    paths: ['/api/traces'],
    grpc: { service: 'jaeger.api_v2.CollectorService', method: 'PostSpans', format: 'protobuf', answer },
  })
}

function protocolOf(push: TracesPush): TraceProtocol<Format> {
  const { tenantOf } = push
  return {
    formatOf(request) {
      const type = mediaTypeOf(request, '').toLowerCase()
      if (type !== 'application/x-thrift' && type !== 'application/vnd.apache.thrift.binary')
        throw new BadDataError(
          `content type ${JSON.stringify(type)} is not known; ` +
            'application/x-thrift and application/vnd.apache.thrift.binary are',
        )
      // A request without a tenant is refused before its body is read.
      tenantOf(request)
      return 'thrift'
    },
    async store(body, format, intake) {
      const kind = format === 'thrift' ? 'jaeger-thrift' : 'jaeger-proto'
      const decoder = decoderFor(push, kind, body)
      if (decoder !== undefined) return intake.append(await decodeLargeTraces(decoder, kind, body))
      return intake.append(batchOf(format === 'thrift' ? decodeJaegerThrift(body) : decodePostSpansRequest(body)))
    },
    reply: acceptedReply,
  }
}

/** The empty response message. Throws where a span was refused: LimitError (429) where sending later helps. */
function answer(outcome: AppendOutcome): Uint8Array {
  if (outcome.refused > 0) throw new BadDataError(reasonOf(outcome))
  return new Uint8Array(0)
}
