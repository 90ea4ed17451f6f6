/** How each API answers each kind of error: statuses, types and texts as its clients know them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { errorOfEachKind, readReply, repliesByKind } from '#net/handler-kit.ts'
import { replyTo, type ErrorReplies } from '#net/route-table.ts'
import { alertmanagerErrors } from './alertmanager/respond.ts'
import { jaegerErrors } from './jaeger/respond.ts'
import { lokiErrors } from './loki/respond.ts'
import { prometheusErrors } from './prometheus/respond.ts'
import { tempoErrors } from './tempo/respond.ts'
import { victoriaLogsErrors } from './victorialogs/respond.ts'

function prometheus(type: string, message: string): string {
  return `{"status":"error","errorType":"${type}","error":"${message}"}`
}
function jaeger(code: number, message: string): string {
  return `{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":${code},"msg":"${message}"}]}`
}

const dialects: readonly [name: string, replies: ErrorReplies, contentType: string, expected: readonly string[]][] = [
  [
    'prometheus',
    prometheusErrors,
    'application/json',
    [
      `bad-data: 400 ${prometheus('bad_data', 'bad data')}`,
      `bad-query: 400 ${prometheus('bad_data', 'bad query')}`,
      `canceled: 499 ${prometheus('canceled', 'canceled')}`,
      `conflict: 500 ${prometheus('internal', 'conflict')}`,
      `corrupt-data: 400 ${prometheus('bad_data', 'corrupt data')}`,
      `evaluation: 422 ${prometheus('execution', 'evaluation')}`,
      `execution: 422 ${prometheus('execution', 'execution')}`,
      `forbidden: 403 ${prometheus('forbidden', 'forbidden')}`,
      `limit 400: 400 ${prometheus('bad_data', 'limit')}`,
      `limit 413: 413 ${prometheus('too_large', 'limit')}`,
      `limit 422: 422 ${prometheus('execution', 'limit')}`,
      `limit 429: 429 ${prometheus('bad_data', 'limit')}`,
      `not-found: 404 ${prometheus('not_found', 'not found')}`,
      `timeout: 503 ${prometheus('timeout', 'timeout')}`,
      `unauthorized: 401 ${prometheus('bad_data', 'unauthorized')}`,
      `unavailable: 503 ${prometheus('unavailable', 'unavailable')} retry-after=7`,
      `unknown: 500 ${prometheus('internal', 'unknown')}`,
    ],
  ],
  [
    'loki',
    lokiErrors,
    'text/plain; charset=utf-8',
    [
      'bad-data: 400 bad data',
      'bad-query: 400 bad query',
      'canceled: 499 the request was canceled by the client',
      'conflict: 500 conflict',
      'corrupt-data: 500 corrupt data',
      'evaluation: 500 evaluation',
      'execution: 400 execution',
      'forbidden: 403 forbidden',
      'limit 400: 400 limit',
      'limit 413: 413 limit',
      'limit 422: 400 limit',
      'limit 429: 429 limit',
      'not-found: 404 not found',
      'timeout: 504 request timed out, decrease the duration of the request or add more label matchers ' +
        '(prefer exact match over regex match) to reduce the amount of data processed',
      'unauthorized: 401 unauthorized',
      'unavailable: 503 unavailable retry-after=7',
      'unknown: 500 unknown',
    ],
  ],
  [
    'victorialogs',
    victoriaLogsErrors,
    'text/plain; charset=utf-8',
    [
      'bad-data: 400 bad data',
      'bad-query: 400 bad query',
      'canceled: 499 canceled',
      'conflict: 500 conflict',
      'corrupt-data: 500 corrupt data',
      'evaluation: 400 evaluation',
      'execution: 400 execution',
      'forbidden: 403 forbidden',
      'limit 400: 400 limit',
      'limit 413: 413 limit',
      'limit 422: 400 limit',
      'limit 429: 429 limit',
      'not-found: 500 not found',
      'timeout: 503 the query ran out of its time; narrow its time range, or raise limits.query_timeout',
      'unauthorized: 401 unauthorized',
      'unavailable: 503 unavailable retry-after=7',
      'unknown: 500 unknown',
    ],
  ],
  [
    'tempo',
    tempoErrors,
    'text/plain; charset=utf-8',
    [
      'bad-data: 400 bad data',
      'bad-query: 400 bad query',
      'canceled: 499 the request was cancelled by the client',
      'conflict: 500 conflict',
      'corrupt-data: 500 corrupt data',
      'evaluation: 400 evaluation',
      'execution: 400 execution',
      'forbidden: 403 forbidden',
      'limit 400: 400 limit',
      'limit 413: 413 limit',
      'limit 422: 422 limit',
      'limit 429: 429 limit',
      'not-found: 404 ',
      'timeout: 504 timeout; narrow the time or the conditions',
      'unauthorized: 401 unauthorized',
      'unavailable: 503 unavailable retry-after=7',
      'unknown: 500 unknown',
    ],
  ],
  [
    'jaeger',
    jaegerErrors,
    'application/json',
    [
      `bad-data: 400 ${jaeger(400, 'bad data')}`,
      `bad-query: 400 ${jaeger(400, 'bad query')}`,
      `canceled: 499 ${jaeger(499, 'the request was cancelled by the client')}`,
      `conflict: 500 ${jaeger(500, 'conflict')}`,
      `corrupt-data: 500 ${jaeger(500, 'corrupt data')}`,
      `evaluation: 400 ${jaeger(400, 'evaluation')}`,
      `execution: 400 ${jaeger(400, 'execution')}`,
      `forbidden: 403 ${jaeger(403, 'forbidden')}`,
      `limit 400: 400 ${jaeger(400, 'limit')}`,
      `limit 413: 413 ${jaeger(413, 'limit')}`,
      `limit 422: 422 ${jaeger(422, 'limit')}`,
      `limit 429: 429 ${jaeger(429, 'limit')}`,
      `not-found: 404 ${jaeger(404, 'not found')}`,
      `timeout: 504 ${jaeger(504, 'timeout; narrow the time or the conditions')}`,
      `unauthorized: 401 ${jaeger(401, 'unauthorized')}`,
      `unavailable: 503 ${jaeger(503, 'unavailable')}`,
      `unknown: 500 ${jaeger(500, 'unknown')}`,
    ],
  ],
  [
    'alertmanager',
    alertmanagerErrors,
    'application/json',
    [
      'bad-data: 400 "bad data"',
      'bad-query: 500 "bad query"',
      'canceled: 500 "canceled"',
      'conflict: 500 "conflict"',
      'corrupt-data: 500 "corrupt data"',
      'evaluation: 500 "evaluation"',
      'execution: 500 "execution"',
      'forbidden: 403 "forbidden"',
      'limit 400: 400 "limit"',
      'limit 413: 413 "limit"',
      'limit 422: 422 "limit"',
      'limit 429: 429 "limit"',
      'not-found: 404 "not found"',
      'timeout: 500 "timeout"',
      'unauthorized: 401 "unauthorized"',
      'unavailable: 503 "unavailable"',
      'unknown: 500 "unknown"',
    ],
  ],
]

for (const [name, replies, contentType, expected] of dialects)
  test(`${name} answers each kind of error with its status and text`, async () => {
    assert.deepEqual(await repliesByKind(replies), expected)
    const { headers } = await readReply(replyTo(errorOfEachKind['bad-data'], replies))
    assert.equal(headers['content-type'], contentType)
  })
