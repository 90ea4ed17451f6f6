/** Envelopes of Jaeger's query service. */
import { messageOf } from '#core/errors.ts'
import type { JsonValue } from '#model/trace-json.ts'
import type { ErrorReplies, HttpReply } from '#net/route-table.ts'

export function reply(data: JsonValue, total = Array.isArray(data) ? data.length : 1): HttpReply {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data, total, limit: 0, offset: 0, errors: null }),
  }
}

export function failure(status: number, message: string): HttpReply {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: null, total: 0, limit: 0, offset: 0, errors: [{ code: status, msg: message }] }),
  }
}

const refused = (error: Error): HttpReply => failure(400, error.message)
const failed = (error: Error): HttpReply => failure(500, error.message)

export const jaegerErrors = {
  'bad-data': refused,
  'bad-query': refused,
  canceled: () => failure(499, 'the request was cancelled by the client'),
  conflict: failed,
  'corrupt-data': failed,
  evaluation: refused,
  execution: refused,
  forbidden: error => failure(403, error.message),
  limit: error => failure(error.status, error.message),
  'not-found': () => failure(404, 'not found'),
  timeout: error => failure(504, `${error.message}; narrow the time or the conditions`),
  unauthorized: error => failure(401, error.message),
  unavailable: error => failure(503, error.message),
  unknown: error => failure(500, messageOf(error)),
} satisfies ErrorReplies
