/**
 * What can be wrong with data, with a request, or with the world. One class per kind, each with a literal `kind`, so
 * that every dialect maps all kinds in one table (`ErrorReplies` in net/route-table.ts). A message is action + value
 * + limit.
 */
export const errorKinds = [
  'bad-data',
  'bad-query',
  'canceled',
  'conflict',
  'corrupt-data',
  'evaluation',
  'execution',
  'forbidden',
  'limit',
  'not-found',
  'timeout',
  'unauthorized',
  'unavailable',
] as const

/** Bytes that do not follow their format: a torn file, a wrong checksum, a declared length beyond the end. */
export class CorruptDataError extends Error {
  override name = 'CorruptDataError'
  readonly kind = 'corrupt-data'
}

/** A request that can't be understood or accepted as it is; sending it again won't help. */
export class BadDataError extends Error {
  override name = 'BadDataError'
  readonly kind = 'bad-data'
}

/** A request that does not say whose it is, where that must be said. */
export class UnauthorizedError extends Error {
  override name = 'UnauthorizedError'
  readonly kind = 'unauthorized'
}

/** Whoever asks is known, and may not have this: another tenant's data, say. */
export class ForbiddenError extends Error {
  override name = 'ForbiddenError'
  readonly kind = 'forbidden'
}

/** A query text that does not parse or type-check. `from` and `to` are UTF-16 offsets into the query. */
export class BadQueryError extends Error {
  override name = 'BadQueryError'
  readonly kind = 'bad-query'
  readonly from: number
  readonly to: number
  constructor(message: string, from: number, to: number) {
    super(message)
    this.from = from
    this.to = to
  }
}

/** A query that is well-formed but failed while it was evaluated (many-to-many matching, duplicate series ...). */
export class ExecutionError extends Error {
  override name = 'ExecutionError'
  readonly kind = 'execution'
}

/** A LogQL query that is well-formed, and that Loki answers with status 500 when it is evaluated. */
export class EvaluationError extends Error {
  override name = 'EvaluationError'
  readonly kind = 'evaluation'
}

/**
 * Something is larger than its limit. `status` is the HTTP status that fits: 413 for bodies, 422 for queries, 429 for
 * ingestion.
 */
export class LimitError extends Error {
  override name = 'LimitError'
  readonly kind = 'limit'
  readonly status: 400 | 413 | 422 | 429
  constructor(message: string, status: 400 | 413 | 422 | 429) {
    super(message)
    this.status = status
  }
}

/** The request may succeed later: the disk is full, the bucket is away, the process is draining. */
export class UnavailableError extends Error {
  override name = 'UnavailableError'
  readonly kind = 'unavailable'
  readonly retryAfterSeconds: number
  constructor(message: string, retryAfterSeconds: number, options?: { cause?: unknown }) {
    super(message, options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** Background work needed more memory than its worker may use: at once it would need as much again. */
export class WorkerMemoryError extends UnavailableError {
  override name = 'WorkerMemoryError'
}

/** A block that a query was to read was replaced meanwhile: planned again, the query reads what stands in its place. */
export class PlanStaleError extends UnavailableError {
  override name = 'PlanStaleError'
  constructor(block: string) {
    super(`block ${block} was replaced while the query ran; ask again`, 1)
  }
}

/** A query ran out of its time. */
export class TimeoutError extends Error {
  override name = 'TimeoutError'
  readonly kind = 'timeout'
}

/** The asker went away. */
export class CanceledError extends Error {
  override name = 'CanceledError'
  readonly kind = 'canceled'
}

/** An object, file or series that should be there is not. */
export class NotFoundError extends Error {
  override name = 'NotFoundError'
  readonly kind = 'not-found'
}

/** A conditional write lost: somebody else wrote first. */
export class ConflictError extends Error {
  override name = 'ConflictError'
  readonly kind = 'conflict'
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
