/** Errors on their way from one thread to another: what their kind says is kept, so that every dialect knows them. */
import { BucketError } from '#bucket/bucket.ts'
import {
  BadDataError,
  BadQueryError,
  CanceledError,
  ConflictError,
  CorruptDataError,
  EvaluationError,
  ExecutionError,
  ForbiddenError,
  LimitError,
  messageOf,
  NotFoundError,
  PlanStaleError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from '#core/errors.ts'

/** An error as data that can be cloned. */
export interface CarriedError {
  kind: string
  name: string
  message: string
  stack: string | undefined
  /** Of errors of the system, as ENOSPC: by it they are known to come from the world, not from the data. */
  code?: string
  /** Of BadQueryError: where in the query. */
  from?: number
  to?: number
  /** Of LimitError. */
  status?: 400 | 413 | 422 | 429
  /** Of UnavailableError. */
  retryAfterSeconds?: number
  /** Of BucketError. */
  transient?: boolean
}

/** The error as data; what is no Error has its text as message. */
export function packError(error: unknown): CarriedError {
  if (!(error instanceof Error)) return { kind: '', name: 'Error', message: messageOf(error), stack: undefined }
  const { name, message, stack } = error
  const packed: CarriedError = { kind: 'kind' in error ? String(error.kind) : '', name, message, stack }
  if ('code' in error && typeof error.code === 'string') packed.code = error.code
  if (error instanceof BadQueryError) return { ...packed, from: error.from, to: error.to }
  if (error instanceof LimitError) return { ...packed, status: error.status }
  if (error instanceof UnavailableError) return { ...packed, retryAfterSeconds: error.retryAfterSeconds }
  if (error instanceof BucketError) return { ...packed, transient: error.transient }
  return packed
}

const byKind: Readonly<Record<string, (carried: CarriedError) => Error>> = {
  'bad-data': ({ message }) => new BadDataError(message),
  'bad-query': ({ message, from = 0, to = 0 }) => new BadQueryError(message, from, to),
  bucket: ({ message, transient = true }) => new CarriedBucketError(message, transient),
  canceled: ({ message }) => new CanceledError(message),
  conflict: ({ message }) => new ConflictError(message),
  'corrupt-data': ({ message }) => new CorruptDataError(message),
  evaluation: ({ message }) => new EvaluationError(message),
  execution: ({ message }) => new ExecutionError(message),
  forbidden: ({ message }) => new ForbiddenError(message),
  limit: ({ message, status = 422 }) => new LimitError(message, status),
  'not-found': ({ message }) => new NotFoundError(message),
  timeout: ({ message }) => new TimeoutError(message),
  unauthorized: ({ message }) => new UnauthorizedError(message),
  unavailable: ({ name, message, retryAfterSeconds = 1 }) =>
    name === 'PlanStaleError' ? new CarriedPlanStaleError(message) : new UnavailableError(message, retryAfterSeconds),
}

/** A BucketError whose message is whole already. */
class CarriedBucketError extends BucketError {
  constructor(message: string, transient: boolean) {
    super('ask', '', '', transient)
    this.message = message
  }
}

class CarriedPlanStaleError extends PlanStaleError {
  constructor(message: string) {
    super('')
    this.message = message
  }
}

/** The error again, of the class of its kind; an Error without a kind for what has none. */
export function unpackError(carried: CarriedError): Error {
  const { kind, name, message, stack, code } = carried
  const make = byKind[kind]
  const error = make === undefined ? Object.assign(new Error(message), { name }) : make(carried)
  if (code !== undefined) Object.assign(error, { code })
  if (stack !== undefined) error.stack = stack
  return error
}
