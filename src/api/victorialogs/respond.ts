/** Rows and errors of VictoriaLogs' query API: objects of JSON, and plain text. */
import { messageOf } from '#core/errors.ts'
import { setOwn } from '#core/own.ts'
import type { ErrorReplies, HttpReply } from '#net/route-table.ts'
import type { Fields } from '#query/logsql/row.ts'

function failure(status: number, message: string, headers: Readonly<Record<string, string>> = {}): HttpReply {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body: `${message}\n` }
}
const refused = (error: Error): HttpReply => failure(400, error.message)
const failed = (error: Error): HttpReply => failure(500, error.message)

export const victoriaLogsErrors = {
  'bad-data': refused,
  'bad-query': refused,
  canceled: error => failure(499, error.message),
  conflict: failed,
  'corrupt-data': failed,
  evaluation: refused,
  execution: refused,
  forbidden: error => failure(403, error.message),
  limit: error => failure(error.status === 422 ? 400 : error.status, error.message),
  'not-found': failed,
  timeout: () => failure(503, 'the query ran out of its time; narrow its time range, or raise limits.query_timeout'),
  unauthorized: error => failure(401, error.message),
  unavailable: error => failure(503, error.message, { 'retry-after': String(error.retryAfterSeconds) }),
  unknown: error => failure(500, messageOf(error)),
} satisfies ErrorReplies

const statsRefused = (error: Error): HttpReply => statsFailure(422, error.message)

function statsFailure(status: number, error: string, headers: Readonly<Record<string, string>> = {}): HttpReply {
  const body = JSON.stringify({ status: 'error', errorType: String(status), error })
  return { status, headers: { 'content-type': 'application/json', ...headers }, body }
}

/** Errors of stats that are answered as Prometheus answers. */
export const victoriaLogsStatsErrors = {
  ...victoriaLogsErrors,
  'bad-data': statsRefused,
  'bad-query': statsRefused,
  evaluation: statsRefused,
  execution: statsRefused,
  limit: error => statsFailure(error.status, error.message),
  timeout: () =>
    statsFailure(503, 'the query ran out of its time; narrow its time range, or raise limits.query_timeout'),
  unavailable: error => statsFailure(503, error.message, { 'retry-after': String(error.retryAfterSeconds) }),
  unknown: error => statsFailure(500, messageOf(error)),
} satisfies ErrorReplies

/** A row without its empty fields. */
export function rowJson(row: Fields): string {
  const object: Record<string, string> = {}
  for (const [name, value] of row) if (value !== '') setOwn(object, name, value)
  return JSON.stringify(object)
}
