/** What a sender is told: the one place where ingestion's outcomes become status codes. Senders drop on 4xx and retry on 429 and 5xx. */
import {
  BadDataError,
  CorruptDataError,
  LimitError,
  messageOf,
  UnauthorizedError,
  UnavailableError,
} from '#core/errors.ts'
import type { HttpReply } from '#net/route-table.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'

const text = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' } as const

export function ingestError(error: unknown): HttpReply {
  if (error instanceof LimitError)
    return {
      status: error.status,
      headers: error.status === 429 ? { ...text, 'retry-after': '10' } : text,
      body: `${error.message}\n`,
    }
  if (error instanceof UnavailableError)
    return {
      status: 503,
      headers: { ...text, 'retry-after': String(error.retryAfterSeconds) },
      body: `${error.message}\n`,
    }
  if (error instanceof UnauthorizedError) return { status: 401, headers: text, body: `${error.message}\n` }
  if (error instanceof CorruptDataError || error instanceof BadDataError)
    return { status: 400, headers: text, body: `${error.message}\n` }
  return { status: 500, headers: text, body: `${messageOf(error)}\n` }
}

/** Everything stored: 204. Some refused: 400 with the first reason; what was good beside it is kept. */
export function ingestReply(result: AppendOutcome, headers: Readonly<Record<string, string>> = {}): HttpReply {
  if (result.refused === 0) return { status: 204, headers }
  return {
    status: 400,
    headers: { ...text, ...headers },
    body: `${result.refused} of ${result.refused + result.stored} samples were refused; the first: ${result.problems[0]?.message ?? 'unknown'}\n`,
  }
}
