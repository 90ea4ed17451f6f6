/** Zipkin's JSON, version 2. */
import { BadDataError } from '#core/errors.ts'
import { parseZipkinJson } from '#wire/zipkin/spans.ts'
import { mediaTypeOf, tenantOfRequest, type ServedProtocol } from './protocol.ts'
import { acceptedReply, batchOf, serveTraces, type TraceProtocol, type TracesPush } from './traces-push.ts'

export function zipkin(push: TracesPush): ServedProtocol {
  return serveTraces(push, protocolOf(push), { paths: ['/api/v2/spans'] })
}

function protocolOf({ tenantOf }: TracesPush): TraceProtocol<void> {
  return {
    formatOf(request) {
      const type = mediaTypeOf(request, 'application/json').toLowerCase()
      if (type !== 'application/json')
        throw new BadDataError(`content type ${JSON.stringify(type)} is not known; application/json is`)
      // A request without a tenant is refused before its body is read.
      tenantOfRequest(request, tenantOf)
    },
    store: (body, _format, intake) => intake.append(batchOf(parseZipkinJson(Buffer.from(body).toString('utf8')))),
    reply: acceptedReply,
  }
}
