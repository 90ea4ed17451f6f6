/** What OTLP's three signals share: the format of a request, and the reply, which counts what was refused. */
import type { HttpReply } from '#net/route-table.ts'
import { encodeOtlpMetricsResponse } from '#wire/otlp/metrics.ts'
import { UnsupportedTypeError } from './reply.ts'

export type OtlpFormat = 'protobuf' | 'json'

export const otlpMediaType = 'application/x-protobuf'

/** Throws UnsupportedTypeError. */
export function otlpFormat(mediaType: string): OtlpFormat {
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
  const message = refused === 0 ? {} : { partialSuccess: { [name]: String(refused), errorMessage: reason } }
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(message) }
}
