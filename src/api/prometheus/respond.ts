/** Envelopes and error types of Prometheus' HTTP API: the one place where a query's errors become status codes. */
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

const json = { 'content-type': 'application/json' } as const

/** A successful answer from finished JSON text. */
export function success(data: string, warnings: readonly string[] = [], infos: readonly string[] = []): HttpReply {
  return { status: 200, headers: json, body: `{"status":"success","data":${data}${notes(warnings, infos)}}` }
}

/** The same in pieces. */
export function successPieces(
  data: Iterable<string>,
  warnings: readonly string[],
  infos: readonly string[],
  suffix = '',
): HttpReply {
  return { status: 200, headers: json, body: wrap(data, `${suffix}}${notes(warnings, infos)}}`) }
}

function* wrap(data: Iterable<string>, end: string): Generator<string> {
  let piece = '{"status":"success","data":'
  for (const part of data) {
    piece += part
    if (piece.length > 65536) {
      yield piece
      piece = ''
    }
  }
  yield piece + end
}

function notes(warnings: readonly string[], infos: readonly string[]): string {
  return `${warnings.length > 0 ? `,"warnings":${JSON.stringify(warnings)}` : ''}${infos.length > 0 ? `,"infos":${JSON.stringify(infos)}` : ''}`
}

export function failure(
  status: number,
  errorType: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): HttpReply {
  return {
    status,
    headers: { ...json, ...headers },
    body: JSON.stringify({ status: 'error', errorType, error: message }),
  }
}

export function errorReply(error: unknown): HttpReply {
  if (error instanceof BadQueryError || error instanceof BadDataError) return failure(400, 'bad_data', error.message)
  if (error instanceof ExecutionError) return failure(422, 'execution', error.message)
  if (error instanceof LimitError)
    return error.status === 422
      ? failure(422, 'execution', error.message)
      : failure(error.status, error.status === 413 ? 'too_large' : 'bad_data', error.message)
  if (error instanceof TimeoutError) return failure(503, 'timeout', error.message)
  if (error instanceof CanceledError) return failure(499, 'canceled', error.message)
  if (error instanceof UnauthorizedError) return failure(401, 'bad_data', error.message)
  if (error instanceof NotFoundError) return failure(404, 'not_found', error.message)
  if (error instanceof UnavailableError)
    return failure(503, 'unavailable', error.message, { 'retry-after': String(error.retryAfterSeconds) })
  if (error instanceof CorruptDataError) return failure(400, 'bad_data', error.message)
  return failure(500, 'internal', messageOf(error))
}
