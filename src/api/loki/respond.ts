/** Replies of Loki's API: JSON, and errors as plain text with the status that Loki answers. */
import { messageOf } from '#core/errors.ts'
import type { ErrorReplies, HttpReply } from '#net/route-table.ts'

const text = { 'content-type': 'text/plain; charset=utf-8' } as const
const json = { 'content-type': 'application/json; charset=UTF-8' } as const

export function ok(body: string): HttpReply {
  return { status: 200, headers: json, body: `${body}\n` }
}
export function plain(status: number, message: string): HttpReply {
  return { status, headers: text, body: message }
}

const refused = (error: Error): HttpReply => plain(400, error.message)
const failed = (error: Error): HttpReply => plain(500, error.message)

export const lokiErrors = {
  'bad-data': refused,
  'bad-query': refused,
  canceled: () => plain(499, 'the request was canceled by the client'),
  conflict: failed,
  'corrupt-data': failed,
  evaluation: failed,
  execution: refused,
  forbidden: error => plain(403, error.message),
  limit: error => plain(error.status === 422 ? 400 : error.status, error.message),
  'not-found': error => plain(404, error.message),
  timeout: () =>
    plain(
      504,
      'request timed out, decrease the duration of the request or add more label matchers ' +
        '(prefer exact match over regex match) to reduce the amount of data processed',
    ),
  unauthorized: error => plain(401, error.message),
  unavailable: error => ({
    status: 503,
    headers: { ...text, 'retry-after': String(error.retryAfterSeconds) },
    body: error.message,
  }),
  unknown: error => plain(500, messageOf(error)),
} satisfies ErrorReplies
