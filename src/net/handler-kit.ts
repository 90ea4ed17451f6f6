/** For tests of handlers: requests that were never sent, and an error of each kind. */
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
  NotFoundError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from '#core/errors.ts'
import { everything, type Grant } from './access.ts'
import {
  replyTo,
  type ErrorKind,
  type ErrorReplies,
  type Handler,
  type HttpReply,
  type HttpRequest,
} from './route-table.ts'

interface SentRequest {
  method?: string
  path?: string
  params?: Readonly<Record<string, string>>
  query?: string
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
  signal?: AbortSignal
  grant?: Grant
}

/** The body is what it is after decompression; `rawBody` gives the same. */
export function requestOf(sent: SentRequest = {}): HttpRequest {
  const query = new URLSearchParams(sent.query ?? '')
  const body = (): Promise<Uint8Array> => Promise.resolve(Buffer.from(sent.body ?? ''))
  return {
    method: sent.method ?? 'GET',
    path: sent.path ?? '/',
    params: sent.params ?? {},
    query,
    header: name => sent.headers?.[name],
    grant: sent.grant ?? everything,
    body,
    rawBody: body,
    form: async () => {
      const form = new URLSearchParams(query)
      if (sent.method === 'POST')
        for (const [name, value] of new URLSearchParams(Buffer.from(await body()).toString('utf8')))
          form.append(name, value)
      return form
    },
    signal: sent.signal ?? new AbortController().signal,
  }
}

/** A reply with its whole body as text. */
export interface ReadReply {
  status: number
  headers: Readonly<Record<string, string>>
  body: string
}

export async function readReply({ status, headers = {}, body = '' }: HttpReply): Promise<ReadReply> {
  if (typeof body === 'string') return { status, headers, body }
  if (body instanceof Uint8Array) return { status, headers, body: Buffer.from(body).toString('utf8') }
  let text = ''
  for await (const piece of body) text += typeof piece === 'string' ? piece : Buffer.from(piece).toString('utf8')
  return { status, headers, body: text }
}

export async function ask(handler: Handler, sent: SentRequest = {}): Promise<ReadReply> {
  return readReply(await handler(requestOf(sent)))
}

/** Limits by status: the replies to them differ. */
export const errorOfEachKind: Readonly<Record<ErrorKind | `limit ${400 | 413 | 422 | 429}` | 'unknown', Error>> = {
  'bad-data': new BadDataError('bad data'),
  'bad-query': new BadQueryError('bad query', 0, 1),
  canceled: new CanceledError('canceled'),
  conflict: new ConflictError('conflict'),
  'corrupt-data': new CorruptDataError('corrupt data'),
  evaluation: new EvaluationError('evaluation'),
  execution: new ExecutionError('execution'),
  forbidden: new ForbiddenError('forbidden'),
  limit: new LimitError('limit', 413),
  'limit 400': new LimitError('limit', 400),
  'limit 413': new LimitError('limit', 413),
  'limit 422': new LimitError('limit', 422),
  'limit 429': new LimitError('limit', 429),
  'not-found': new NotFoundError('not found'),
  timeout: new TimeoutError('timeout'),
  unauthorized: new UnauthorizedError('unauthorized'),
  unavailable: new UnavailableError('unavailable', 7),
  unknown: new Error('unknown'),
}

/** How a dialect answers each of them, a line each: `timeout: 503 {...} retry-after=7`. */
export async function repliesByKind(replies: ErrorReplies): Promise<string[]> {
  const lines: string[] = []
  for (const [kind, error] of Object.entries(errorOfEachKind)) {
    if (kind === 'limit') continue
    const { status, headers, body } = await readReply(replyTo(error, replies))
    const retry = headers['retry-after']
    lines.push(`${kind}: ${status} ${body.trimEnd()}${retry === undefined ? '' : ` retry-after=${retry}`}`)
  }
  return lines
}
