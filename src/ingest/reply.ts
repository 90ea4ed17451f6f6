/** How senders are answered: ingestion's errors as status codes. Senders drop on 4xx, and retry on 429 and 5xx. */
import { BadDataError, messageOf } from '#core/errors.ts'
import { replyTo, type ErrorReplies, type HttpReply } from '#net/route-table.ts'

export const plainText = { 'content-type': 'text/plain; charset=utf-8' } as const
const errorHeaders = { ...plainText, 'x-content-type-options': 'nosniff' } as const

/** A content type or encoding that a protocol does not know. 415. */
export class UnsupportedTypeError extends BadDataError {
  override name = 'UnsupportedTypeError'
}

function failure(status: number, message: string, headers: Readonly<Record<string, string>> = {}): HttpReply {
  return { status, headers: { ...errorHeaders, ...headers }, body: `${message}\n` }
}

/** What sends again later finds more room. */
export const retryLater = { 'retry-after': '10' } as const

/** Kinds that nothing in ingestion throws. */
const unexpected = (error: Error): HttpReply => failure(500, error.message)

export const ingestErrors = {
  'bad-data': error =>
    error instanceof UnsupportedTypeError
      ? { status: 415, headers: plainText, body: `${error.message}\n` }
      : failure(400, error.message),
  'bad-query': unexpected,
  canceled: unexpected,
  conflict: unexpected,
  'corrupt-data': error => failure(400, error.message),
  evaluation: unexpected,
  execution: unexpected,
  forbidden: error => failure(403, error.message),
  limit: error => failure(error.status, error.message, error.status === 429 ? retryLater : {}),
  'not-found': unexpected,
  timeout: unexpected,
  unauthorized: error => failure(401, error.message),
  unavailable: error => failure(503, error.message, { 'retry-after': String(error.retryAfterSeconds) }),
  unknown: error => failure(500, messageOf(error)),
} satisfies ErrorReplies

/** The reply to an error, for what is no push protocol. */
export function ingestError(error: unknown): HttpReply {
  return replyTo(error, ingestErrors)
}
