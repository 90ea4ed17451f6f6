/**
 * What OTLP's three signals share: the format of a request, the reply, which counts what was refused, and the form of
 * failures. Source: the public OTLP specification.
 */
import { known } from '#net/access.ts'
import { allowing, at, type HttpReply } from '#net/route-table.ts'
import { encodeOtlpMetricsResponse, encodeStatus } from '#wire/otlp/metrics.ts'
import { finished, type ServedProtocol } from './protocol.ts'
import { plainText, UnsupportedTypeError } from './reply.ts'

export type OtlpFormat = 'protobuf' | 'json'

export const otlpMediaType = 'application/x-protobuf'

/** Throws UnsupportedTypeError. */
export function otlpFormat(sentType: string): OtlpFormat {
  const mediaType = sentType.toLowerCase()
  if (mediaType === otlpMediaType) return 'protobuf'
  if (mediaType === 'application/json') return 'json'
  throw new UnsupportedTypeError(
    `content type ${JSON.stringify(mediaType)} is not known; application/x-protobuf and application/json are`,
  )
}

/** 200 with a response message. `name`: the field in which the signal counts what was refused. */
export function otlpReply(
  format: OtlpFormat,
  name: 'rejectedDataPoints' | 'rejectedLogRecords' | 'rejectedSpans',
  refused: number,
  reason: string,
): HttpReply {
  if (format === 'protobuf')
    return {
      status: 200,
      headers: { 'content-type': otlpMediaType },
      body: encodeOtlpMetricsResponse(refused, reason),
    }
  const message =
    refused === 0 && reason === '' ? {} : { partialSuccess: { [name]: String(refused), errorMessage: reason } }
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(message) }
}

/** Codes of gRPC by status of HTTP. */
const grpcCodes = new Map([
  [401, 16],
  [403, 7],
  [413, 8],
  [429, 8],
  [500, 13],
  [503, 14],
])
const invalidArgument = 3

/** With OTLP's failures: a google.rpc.Status in the encoding of the request. Methods other than POST are refused. */
export function asOtlp(served: ServedProtocol): ServedProtocol {
  const otherMethods = at(
    ['GET', 'PUT', 'DELETE'],
    served.routes.map(route => route.path),
    () =>
      Promise.resolve({
        status: 405,
        headers: { ...plainText, allow: 'POST' },
        body: '405 method not allowed; POST is\n',
      }),
  )
  const { routes, grpc } = finished(served, failure)
  return { routes: [...routes, ...allowing(known, otherMethods)], grpc }
}

/** A reply that is an error, as a Status; as text where the request has no encoding that OTLP knows. */
function failure(reply: HttpReply, header: (name: string) => string | undefined): HttpReply {
  if (reply.status < 400 || typeof reply.body !== 'string') return reply
  const type = (header('content-type') ?? otlpMediaType).split(';')[0]!.trim().toLowerCase()
  const code = grpcCodes.get(reply.status) ?? invalidArgument
  const message = reply.body.trimEnd()
  if (type === otlpMediaType)
    return { ...reply, headers: { ...reply.headers, 'content-type': type }, body: encodeStatus(code, message) }
  if (type !== 'application/json') return reply
  return { ...reply, headers: { ...reply.headers, 'content-type': type }, body: JSON.stringify({ code, message }) }
}
