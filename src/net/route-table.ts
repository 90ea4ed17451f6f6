/** HTTP requests and replies as handlers see them, and routes as data: prefixes, duplicates, errors by dialect. */
import {
  BadDataError,
  BadQueryError,
  CanceledError,
  ConflictError,
  CorruptDataError,
  errorKinds,
  EvaluationError,
  ExecutionError,
  ForbiddenError,
  LimitError,
  NotFoundError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from '#core/errors.ts'
import { planningAgain } from '#core/omissions.ts'
import type { Access, Caller, Grant } from './access.ts'

export interface HttpRequest extends Caller {
  method: string
  path: string
  /** Parts of the path that the route names with a colon. */
  params: Readonly<Record<string, string>>
  query: URLSearchParams
  header(name: string): string | undefined
  /** What its credential grants. */
  grant: Grant
  /** Of the client; undefined for requests of the process itself. */
  remoteAddress?: string | undefined
  /** The body, uncompressed; LimitError (413) beyond the limits, BadDataError for an encoding that is not known. */
  body(): Promise<Uint8Array>
  /** The body as it was sent. */
  rawBody(): Promise<Uint8Array>
  /** Parameters of the URL and, of a form, of the body. */
  form(): Promise<URLSearchParams>
  /** Aborted when the client goes away. */
  signal: AbortSignal
  /** Takes memory for the answer until it is sent. Throws UnavailableError, LimitError. Undefined: nobody counts. */
  holdAnswer?: ((bytes: number) => void) | undefined
}

/** The same request with another signal. */
export function withSignal(request: HttpRequest, signal: AbortSignal): HttpRequest {
  return {
    method: request.method,
    path: request.path,
    params: request.params,
    query: request.query,
    header: name => request.header(name),
    grant: request.grant,
    remoteAddress: request.remoteAddress,
    body: () => request.body(),
    rawBody: () => request.rawBody(),
    form: () => request.form(),
    signal,
    holdAnswer: request.holdAnswer,
  }
}

export interface HttpReply {
  status: number
  headers?: Readonly<Record<string, string>>
  /** Text in pieces is sent as it is made. */
  body?: string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>
  /** Each piece goes out at once: it waits for no packer to have enough. */
  isLive?: boolean
  /** The bytes of the body are a text. */
  isText?: boolean
  /** Of an answer in pieces: bytes of memory that they are made of, until the last one is sent. Default: 0. */
  heldBytes?: number
  /** It was answered from what was kept: how long that took says nothing of the next time. */
  isKept?: boolean
  /** To be called where the body is not read to its end, or at all: whoever makes it stops. */
  drop?: () => void
}

/** Shorter answers are not worth counting. */
const countedBytesMin = 65_536

function heldBytesOf({ body, heldBytes }: HttpReply): number {
  if (heldBytes !== undefined) return heldBytes
  return typeof body === 'string' || body instanceof Uint8Array ? body.length : 0
}

export type Handler = (request: HttpRequest) => Promise<HttpReply>
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

export interface Route {
  methods: readonly Method[]
  path: string
  handler: Handler
  /** What it asks of whoever asks; a route that is served has it (GuardedRoute). */
  access?: Access
  /** A request can make its work long or large: workers do it, where there are some. */
  isHeavy?: true
  /** Only so many requests of all such routes run at a time. */
  takesTurns?: true
  /** Milliseconds that a request allows, where it says so. */
  timeoutOf?: (form: URLSearchParams) => number | undefined
  /** The reply to another method at this path. Default: that of a path that is not there. */
  wrongMethod?: HttpReply
  /** The reply to an error, in the dialect of the route. */
  refuse?: (error: unknown) => HttpReply
  /** The form of every answer here, also of those that no handler makes: missing credentials, a process that starts. */
  finish?: Finish
}

/** A route as it is served. */
export type GuardedRoute = Route & { readonly access: Access }

/** The same routes; those that do not name their access yet have this one. */
export function allowing(access: Access, routes: readonly Route[]): GuardedRoute[] {
  return routes.map(route => ({ ...route, access: route.access ?? access }))
}

/** `header` reads those of the request. */
export type Finish = (reply: HttpReply, header: (name: string) => string | undefined) => HttpReply

/** Every route once below each prefix; `''` is the root. Aliases of an API are prefixes, not second routes. */
export function under<R extends Route>(prefixes: readonly string[], routes: readonly R[]): R[] {
  return prefixes.flatMap(prefix => routes.map(route => ({ ...route, path: `${prefix}${route.path}` })))
}

export function route(methods: readonly Method[], path: string, handler: Handler): Route {
  return { methods, path, handler }
}

/** Routes whose work is done by workers, where there are some. */
export function heavy<R extends Route>(routes: readonly R[]): R[] {
  return routes.map(one => ({ ...one, isHeavy: true }))
}

/** The same of routes that read what is stored: so many of these run at a time. */
export function queries<R extends Route>(routes: readonly R[], timeoutOf?: Route['timeoutOf']): R[] {
  const more = timeoutOf === undefined ? {} : { timeoutOf }
  return routes.map(one => ({ ...one, ...more, isHeavy: true, takesTurns: true }))
}

/** The same handler at several paths. */
export function at(methods: readonly Method[], paths: readonly string[], handler: Handler): Route[] {
  return paths.map(path => ({ methods, path, handler }))
}

/** The errors that have a kind, by kind: see core/errors.ts. */
interface ErrorsByKind {
  'bad-data': BadDataError
  'bad-query': BadQueryError
  canceled: CanceledError
  conflict: ConflictError
  'corrupt-data': CorruptDataError
  evaluation: EvaluationError
  execution: ExecutionError
  forbidden: ForbiddenError
  limit: LimitError
  'not-found': NotFoundError
  timeout: TimeoutError
  unauthorized: UnauthorizedError
  unavailable: UnavailableError
}
export type ErrorKind = keyof ErrorsByKind

/** A reply to each kind of error. `unknown` is for errors without a kind: a bug, or an error of the world. */
export type ByErrorKind<Reply> = { readonly [Kind in ErrorKind]: (error: ErrorsByKind[Kind]) => Reply } & {
  readonly unknown: (error: unknown) => Reply
}

/**
 * How one dialect answers each kind of error. A table `satisfies ErrorReplies`, so that a new kind fails to compile in
 * every dialect instead of becoming a 500.
 */
export type ErrorReplies = ByErrorKind<HttpReply>

function kindOf(error: unknown): ErrorKind | undefined {
  if (!(error instanceof Error) || !('kind' in error)) return undefined
  return errorKinds.find(kind => kind === error.kind)
}

/** The reply that a table has for an error. */
export function replyTo<Reply>(error: unknown, replies: ByErrorKind<Reply>): Reply {
  // The store of objects is away, or refuses: later it may answer.
  if (error instanceof Error && 'kind' in error && error.kind === 'bucket')
    return replies.unavailable(new UnavailableError(error.message, 5, { cause: error }))
  const kind = kindOf(error)
  if (kind === undefined) return replies.unknown(error)
  // The table's entry for a kind takes the error of that kind: TypeScript can't follow the pair through an index.
  return (replies[kind] as (error: unknown) => Reply)(error)
}

/** Takes the memory of a reply until it is sent. Throws UnavailableError, LimitError. */
export function holdAnswerOf(request: HttpRequest, reply: HttpReply): void {
  const heldBytes = heldBytesOf(reply)
  if (heldBytes >= countedBytesMin) request.holdAnswer?.(heldBytes)
}

/**
 * A handler whose errors are answered in its dialect. One that read a block which was replaced meanwhile is called once
 * more: what it planned with is out of date by then, and it has answered nothing yet.
 */
export function answering(replies: ErrorReplies, handler: Handler): Handler {
  return async request => {
    try {
      const reply = await planningAgain(() => handler(request))
      holdAnswerOf(request, reply)
      return reply
    } catch (error) {
      return replyTo(error, replies)
    }
  }
}

/** All routes of an API, whose errors are answered in its dialect. */
export function inDialect<R extends Route>(replies: ErrorReplies, routes: readonly R[]): R[] {
  return routes.map(route => ({
    ...route,
    handler: answering(replies, route.handler),
    refuse: error => replyTo(error, replies),
  }))
}

/** What routes ask a store before they ask it anything else. */
export interface Readiness {
  readonly ready: boolean
  /** Why it is not. */
  readonly notReady?: string | undefined
}

/** Why a store that is not ready is not. */
export function reasonOf({ notReady = 'starting' }: Readiness): string {
  return notReady === 'starting' ? 'the process is starting' : notReady
}

/** Routes that throw UnavailableError until the store is open. */
export function whenReady<R extends Route>(store: Readiness, routes: readonly R[]): R[] {
  return routes.map(route => ({
    ...route,
    handler: request => {
      if (!store.ready) throw new UnavailableError(reasonOf(store), 2)
      return route.handler(request)
    },
  }))
}

/** All routes of the process, each method and path once. Throws when two owners claim the same. */
export class RouteTable {
  readonly routes: GuardedRoute[] = []
  readonly #owners = new Map<string, string>()

  add(owner: string, routes: readonly GuardedRoute[]): void {
    for (const route of routes) {
      for (const method of route.methods) {
        const key = `${method} ${route.path}`
        const taken = this.#owners.get(key)
        if (taken !== undefined) throw new Error(`${key} belongs to ${taken} and to ${owner}`)
        this.#owners.set(key, owner)
      }
      this.routes.push(route)
    }
  }
}
