/**
 * Did a span fail, and why? Its status says so; where nobody has set it, the status of its protocol does, or an
 * exception that it has.
 */
import type { Span } from '#library/results.ts'
import { attributeOf, textOf } from './span-words.ts'
import { withoutVariables } from './variable-parts.ts'

export interface Failure {
  /** Class of an exception, or `error.type`; empty where the span has none. */
  readonly type: string
  /** Without numbers and ids. */
  readonly message: string
}

/** TraceQL for spans that can have failed: `isFailed` says of each whether it did. */
export const failedCondition = [
  'status = error',
  'span.http.response.status_code >= 500',
  'span.http.status_code >= 500',
  'span.rpc.grpc.status_code > 0',
  'span.rpc.response.status_code != nil',
  'event.exception.type != nil',
  'event.exception.message != nil',
].join(' || ')

/** Codes and names of gRPC that are failures of a server; to a client all but the first are. */
const serverFailures = /^(?:2|4|12|13|14|15|UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS)$/

type Judged = Pick<Span, 'status' | 'kind' | 'attributes' | 'events'>

export function isFailed(span: Judged): boolean {
  if (span.status !== 'unset') return span.status === 'error'
  return isFailedByProtocol(span) || hasException(span)
}

function isFailedByProtocol(span: Judged): boolean {
  const http = Number(attributeOf(span, 'http.response.status_code', 'http.status_code') ?? '0')
  if (http >= 500) return true
  const rpc = procedureStatusOf(span)
  if (rpc === undefined) return false
  return span.kind === 'client' ? rpc !== '0' && rpc !== 'OK' : serverFailures.test(rpc)
}

/** The status of gRPC; other protocols have numbers of their own. */
function procedureStatusOf(span: Pick<Span, 'attributes'>): string | undefined {
  const code = attributeOf(span, 'rpc.grpc.status_code')
  if (code !== undefined) return code
  const isGrpc = attributeOf(span, 'rpc.system.name', 'rpc.system') === 'grpc'
  return isGrpc ? attributeOf(span, 'rpc.response.status_code')?.toUpperCase() : undefined
}

/** One that was caught is not marked as such by everybody: what compares has it in both runs. */
function hasException({ events, attributes }: Judged): boolean {
  const own = textOf(attributes, ['exception.type', 'exception.message'])
  if (own !== undefined) return textOf(attributes, ['exception.escaped']) !== 'false'
  return events.some(event => event.name === 'exception' && textOf(event.attributes, ['exception.escaped']) !== 'false')
}

/** The status of its protocol, where that is no success. */
function failedStatusOf(span: Span): string | undefined {
  const http = attributeOf(span, 'http.response.status_code', 'http.status_code')
  if (http !== undefined) return Number(http) >= 400 ? http : undefined
  const rpc = procedureStatusOf(span)
  return rpc === '0' || rpc === 'OK' ? undefined : rpc
}

/** Why a span failed. */
export function failureOf(span: Span): Failure {
  const exception = span.events.findLast(event => event.name === 'exception')?.attributes ?? {}
  const type = textOf(exception, ['exception.type']) ?? attributeOf(span, 'error.type', 'exception.type')
  const message =
    textOf(exception, ['exception.message']) ?? attributeOf(span, 'exception.message') ?? span.statusMessage
  const status = failedStatusOf(span)
  const fallback = message === '' && status !== undefined ? `status ${status}` : message
  const line = fallback.trimStart().split('\n', 1)[0] ?? ''
  // A status is what the failure is, not a number that varies.
  return { type: type ?? '', message: /^status \w+$/.test(line) ? line : withoutVariables(line) }
}
