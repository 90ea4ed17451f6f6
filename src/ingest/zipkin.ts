/** Zipkin's JSON, version 2. */
import { BadDataError } from '#core/errors.ts'
import { readJsonBody } from '#core/json-body.ts'
import { yieldEvery } from '#core/yield.ts'
import { zipkinSpansOf } from '#wire/zipkin/spans.ts'
import { decodeLargeTraces, decoderFor } from './large-bodies.ts'
import { mediaTypeOf, type ServedProtocol } from './protocol.ts'
import { acceptedReply, batchOf, serveTraces, type TraceProtocol, type TracesPush } from './traces-push.ts'

export function zipkin(push: TracesPush): ServedProtocol {
  return serveTraces(push, protocolOf(push), { paths: ['/api/v2/spans'] })
}

function protocolOf(push: TracesPush): TraceProtocol<void> {
  const { tenantOf, clock } = push
  return {
    formatOf(request) {
      const type = mediaTypeOf(request, 'application/json').toLowerCase()
      if (type !== 'application/json')
        throw new BadDataError(`content type ${JSON.stringify(type)} is not known; application/json is`)
      // A request without a tenant is refused before its body is read.
      tenantOf(request)
    },
    async store(body, _format, intake) {
      const decoder = decoderFor(push, 'zipkin', body)
      if (decoder !== undefined) return intake.append(await decodeLargeTraces(decoder, 'zipkin', body))
      const spans = zipkinSpansOf(await readJsonBody(body, yieldEvery(clock)), body.length)
      return intake.append(batchOf(spans))
    },
    reply: acceptedReply,
  }
}
