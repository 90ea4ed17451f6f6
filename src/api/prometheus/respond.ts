/** Envelopes and error types of Prometheus' HTTP API. */
import { messageOf } from '#core/errors.ts'
import { inDialect, replyTo, under, type ErrorReplies, type HttpReply, type Route } from '#net/route-table.ts'

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

/** A successful answer that is a list, in pieces, from the finished JSON texts of its items. */
export function successList(items: Iterable<string>, warnings: readonly string[], heldBytes: number): HttpReply {
  return { status: 200, headers: json, body: wrap(listOf(items), `${notes(warnings, [])}}`), heldBytes }
}

function* listOf(items: Iterable<string>): Generator<string> {
  let before = '['
  for (const item of items) {
    yield before + item
    before = ','
  }
  yield before === '[' ? '[]' : ']'
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
  const list = (name: string, texts: readonly string[]): string =>
    texts.length === 0 ? '' : `,"${name}":${JSON.stringify(texts)}`
  return list('warnings', warnings) + list('infos', infos)
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

/** A query or parameter that can't be understood. */
const badData = (error: Error): HttpReply => failure(400, 'bad_data', error.message)
const failedExecution = (error: Error): HttpReply => failure(422, 'execution', error.message)

export const prometheusErrors = {
  'bad-data': badData,
  'bad-query': badData,
  canceled: error => failure(499, 'canceled', error.message),
  conflict: error => failure(500, 'internal', error.message),
  'corrupt-data': badData,
  evaluation: failedExecution,
  execution: failedExecution,
  forbidden: error => failure(403, 'forbidden', error.message),
  limit: error =>
    error.status === 422
      ? failedExecution(error)
      : failure(error.status, error.status === 413 ? 'too_large' : 'bad_data', error.message),
  'not-found': error => failure(404, 'not_found', error.message),
  timeout: error => failure(503, 'timeout', error.message),
  unauthorized: error => failure(401, 'bad_data', error.message),
  unavailable: error => failure(503, 'unavailable', error.message, { 'retry-after': String(error.retryAfterSeconds) }),
  unknown: error => failure(500, 'internal', messageOf(error)),
} satisfies ErrorReplies

/** Routes of Prometheus' API: each at the root and under /prometheus. */
export function prometheusDialect<R extends Route>(routes: readonly R[]): R[] {
  return under(['', '/prometheus'], inDialect(prometheusErrors, routes))
}

/** The reply to an error of a route that belongs to no API. */
export function errorReply(error: unknown): HttpReply {
  return replyTo(error, prometheusErrors)
}
