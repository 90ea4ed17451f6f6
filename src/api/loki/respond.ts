/** Errors of Loki's API: plain text, and the status that fits. The one place where a LogQL error becomes a status code. */
import {
  BadDataError,
  BadQueryError,
  CanceledError,
  CorruptDataError,
  ExecutionError,
  LimitError,
  messageOf,
  NotFoundError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from '#core/errors.ts'
import type { HttpReply } from '#net/route-table.ts'
import { EvaluationError } from '#query/logql/evaluator.ts'

const text = { 'content-type': 'text/plain; charset=utf-8' } as const
const json = { 'content-type': 'application/json; charset=UTF-8' } as const

export function ok(body: string): HttpReply {
  return { status: 200, headers: json, body: `${body}\n` }
}
export function plain(status: number, message: string): HttpReply {
  return { status, headers: text, body: message }
}

export function lokiError(error: unknown): HttpReply {
  if (error instanceof EvaluationError) return plain(500, error.message)
  if (error instanceof BadQueryError || error instanceof BadDataError || error instanceof ExecutionError)
    return plain(400, error.message)
  if (error instanceof LimitError) return plain(error.status === 422 ? 400 : error.status, error.message)
  if (error instanceof TimeoutError)
    return plain(
      504,
      'request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed',
    )
  if (error instanceof CanceledError) return plain(499, 'the request was canceled by the client')
  if (error instanceof UnauthorizedError) return plain(401, error.message)
  if (error instanceof NotFoundError) return plain(404, error.message)
  if (error instanceof UnavailableError)
    return { status: 503, headers: { ...text, 'retry-after': String(error.retryAfterSeconds) }, body: error.message }
  if (error instanceof CorruptDataError) return plain(500, error.message)
  return plain(500, messageOf(error))
}
