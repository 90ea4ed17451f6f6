/** Replies of Alertmanager's API. Its clients read the whole body as one JSON value, so errors are JSON texts. */
import { messageOf } from '#core/errors.ts'
import type { ErrorReplies, HttpReply } from '#net/route-table.ts'

export const jsonType = { 'content-type': 'application/json' } as const

export function json(value: unknown, status = 200): HttpReply {
  return { status, headers: jsonType, body: JSON.stringify(value) }
}

const failed = (error: Error): HttpReply => json(error.message, 500)

export const alertmanagerErrors = {
  'bad-data': error => json(error.message, 400),
  'bad-query': failed,
  canceled: failed,
  conflict: failed,
  'corrupt-data': failed,
  evaluation: failed,
  execution: failed,
  forbidden: error => json(error.message, 403),
  limit: error => json(error.message, error.status),
  'not-found': error => json(error.message, 404),
  timeout: failed,
  unauthorized: error => json(error.message, 401),
  unavailable: error => json(error.message, 503),
  unknown: error => json(messageOf(error), 500),
} satisfies ErrorReplies
