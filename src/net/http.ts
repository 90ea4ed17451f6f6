/** The HTTP server: routes, requests with a bounded body, replies. Fastify does the listening and routing. */
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '#core/clock.ts'
import { BadDataError, CanceledError, LimitError, messageOf } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { MemoryBudget, MemoryHold } from '#core/memory-budget.ts'
import type { Auth } from './auth.ts'
import { readBody } from './body.ts'
import { checkPort, listenError } from './listen-error.ts'
import { cutPieces, pieceLength, piecesOf } from './paced-body.ts'
import { Pipelining } from './pipelining.ts'
import type { HttpReply, HttpRequest, Route } from './route-table.ts'
import { SlowSockets } from './slow-sockets.ts'
import { secureOptions, type TlsOptions } from './tls-options.ts'
import type { SocketRoute } from './web-socket.ts'

/** The path of the route, the status of the reply, and the seconds from the request until it was made. */
export type RequestObserver = (route: string, status: number, seconds: number) => void

export interface HttpServerOptions {
  log: Log
  bodyBytesMax: number
  decodedBytesMax: number
  /** Of a form, packed and unpacked; pushes have `decodedBytesMax`. Default: `defaultLimits.formBytesMax`. */
  formBytesMax?: number
  /** Turns what a handler threw into a reply. */
  onError: (error: unknown, request: HttpRequest) => HttpReply
  /** Called after every request. */
  onRequest: RequestObserver
  monotonicMs: () => number
  /**
   * Ends what is still under way some time after the close began, and what its reader does not take; without it all of
   * it is waited for.
   */
  after?: Clock['after']
  /** What bodies and answers draw on; without it nobody counts. */
  memory?: MemoryBudget
  /** A client that takes no 64 KiB of what waits for it in this time is disconnected. Default: none is. */
  writeTimeoutMs?: number
  /** Called for each of them. */
  onSlowReader?: () => void
  auth: Auth
  tls: TlsOptions | undefined
}

/** So long a server that closes waits for requests under way. */
const drainMs = 10_000

const gzipBytesMin = 1400
const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-allow-headers': 'Accept, Authorization, Content-Type, Origin',
  'access-control-expose-headers': 'Date',
} as const

const plainText = { 'content-type': 'text/plain; charset=utf-8' } as const

/** One address that is listened at, and what ends its WebSockets. */
interface Listener {
  readonly app: FastifyInstance
  readonly endSockets: () => void
}

function pathOf(url: string): string {
  const question = url.indexOf('?')
  return question < 0 ? url : url.slice(0, question)
}

export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #listeners: Listener[] = []
  readonly #routes: readonly Route[]
  readonly #sockets: readonly SocketRoute[]
  readonly #slow: SlowSockets | undefined
  readonly #pipelining = new Pipelining()
  #isClosing = false

  constructor(routes: readonly Route[], sockets: readonly SocketRoute[], options: HttpServerOptions) {
    this.#options = options
    this.#routes = routes
    this.#sockets = sockets
    const { writeTimeoutMs = Infinity, after, monotonicMs, onSlowReader = () => {} } = options
    if (after !== undefined && writeTimeoutMs !== Infinity)
      this.#slow = new SlowSockets({ clock: { monotonicMs, after }, timeoutMs: writeTimeoutMs, onSlowReader })
  }

  /** Throws where two routes have the same method and path. */
  #build(): FastifyInstance {
    const { tls, bodyBytesMax } = this.#options
    // With `https` Fastify's type is another one, whose difference nothing here sees.
    const app = Fastify({
      ...(tls === undefined ? {} : { https: secureOptions(tls) }),
      logger: false,
      bodyLimit: bodyBytesMax,
      exposeHeadRoutes: true,
      routerOptions: { ignoreTrailingSlash: true, maxParamLength: 2000 },
    }) as FastifyInstance
    app.removeAllContentTypeParsers()
    // Bodies are read by us, when a handler asks for them.
    app.addContentTypeParser('*', (_request, _payload, done) => {
      done(null)
    })
    for (const route of this.#routes)
      app.route({
        method: [...route.methods],
        url: route.path,
        handler: (request, reply) => this.#handle(route, request, reply),
      })
    if (this.#options.auth.isOn) requireCredentials(app, this.#options.auth, this.#routes)
    addFallbacks(app)
    return app
  }

  /**
   * Listens; with port 0 the system chooses. Returns `host:port`. May be called for several addresses. Throws
   * BadDataError, and leaves nothing open, where the address can't be listened at.
   */
  async listen(host: string, port: number): Promise<string> {
    checkPort(`${host}:${port}`)
    const app = this.#build()
    this.#slow?.watch(app.server)
    const listener = { app, endSockets: await this.#serveSockets(app) }
    try {
      await app.listen({ host, port })
    } catch (error) {
      await closeListener(listener)
      throw listenError(`${host}:${port}`, error)
    }
    this.#listeners.push(listener)
    const address = app.server.address()
    if (address === null || typeof address === 'string') return `${host}:${port}`
    return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
  }

  async #serveSockets(app: FastifyInstance): Promise<() => void> {
    if (this.#sockets.length === 0) return () => {}
    // An agent has none, and goes without the library.
    const { serveSockets } = await import('./web-socket.ts')
    return serveSockets(app.server, this.#sockets, this.#options.auth)
  }

  #handle(route: Route, raw: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const turn = this.#pipelining.turn(raw.raw, reply.raw)
    if (turn === undefined) return this.#answer(route, raw, reply)
    return turn.then(() => this.#answer(route, raw, reply))
  }

  async #answer(route: Route, raw: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const startedMs = this.#options.monotonicMs()
    const abort = new AbortController()
    const held = holdsOf(this.#options.memory)
    let answer: HttpReply | undefined
    reply.raw.once('close', () => {
      held?.answer.close()
      if (reply.raw.writableFinished) return
      abort.abort()
      answer?.drop?.()
    })
    const request = this.#wrap(raw, abort.signal, held)
    try {
      answer = await route.handler(request)
    } catch (error) {
      if (!(error instanceof CanceledError))
        this.#options.log.debug('request failed', { path: request.path, error: messageOf(error) })
      answer = this.#options.onError(error, request)
    }
    if (abort.signal.aborted) answer.drop?.()
    held?.body.close()
    this.#options.onRequest(route.path, answer.status, (this.#options.monotonicMs() - startedMs) / 1000)
    // A connection that is kept would keep the server from closing.
    if (this.#isClosing) reply.header('connection', 'close')
    return send(raw, reply, route.finish === undefined ? answer : route.finish(answer, request.header))
  }

  #wrap(raw: FastifyRequest, signal: AbortSignal, held: Holds | undefined): HttpRequest {
    const path = pathOf(raw.url)
    const query = new URLSearchParams(raw.url.slice(path.length + 1))
    const { bodyBytesMax, decodedBytesMax } = this.#options
    const formBytesMax = Math.min(this.#options.formBytesMax ?? defaultLimits.formBytesMax, decodedBytesMax)
    const encoding = raw.headers['content-encoding']
    let read: Promise<Uint8Array> | undefined
    const body = (): Promise<Uint8Array> =>
      (read ??= readBody(raw.raw, bodyBytesMax, decodedBytesMax, encoding, held?.body))
    const formBody = async (): Promise<Uint8Array> => {
      const bytes = await (read ??= readBody(
        raw.raw,
        Math.min(formBytesMax, bodyBytesMax),
        formBytesMax,
        encoding,
        held?.body,
      ))
      if (bytes.length > formBytesMax)
        throw new LimitError(`the form has ${bytes.length} bytes, the limit is ${formBytesMax}`, 413)
      return bytes
    }
    return {
      method: raw.method,
      path,
      // Fastify's router fills it with texts alone.
      params: raw.params as Record<string, string>,
      query,
      signal,
      header: headerOf(raw),
      holdAnswer: held && (bytes => held.answer.take(bytes)),
      body,
      rawBody: () => (read ??= readBody(raw.raw, bodyBytesMax, decodedBytesMax, undefined, held?.body)),
      async form() {
        const all = new URLSearchParams(query)
        const type = raw.headers['content-type'] ?? ''
        if (raw.method === 'POST') for (const [name, value] of await formFields(type, formBody)) all.append(name, value)
        return all
      },
    }
  }

  /** Answers what is under way, but waits for no client without end. */
  async close(): Promise<void> {
    this.#isClosing = true
    const late = this.#options.after?.(drainMs, () => {
      for (const { app } of this.#listeners) app.server.closeAllConnections()
    })
    for (const listener of this.#listeners) await closeListener(listener)
    late?.cancel()
    this.#slow?.close()
  }
}

async function closeListener({ app, endSockets }: Listener): Promise<void> {
  endSockets()
  app.server.closeIdleConnections()
  await app.close()
}

/** Far more than the matchers of any request. */
const formFieldsMax = 10_000

/**
 * The fields of a form, urlencoded or multipart; files are no fields. Throws BadDataError, and LimitError for a form of
 * more than `formFieldsMax`.
 */
async function formFields(type: string, body: () => Promise<Uint8Array>): Promise<[string, string][]> {
  const kind = type.split(';')[0]!.trim().toLowerCase()
  if (kind === 'application/x-www-form-urlencoded') {
    const text = Buffer.from(await body()).toString('utf8')
    checkFieldCount(text, '&')
    return [...new URLSearchParams(text)]
  }
  if (kind !== 'multipart/form-data') return []
  const bytes = Uint8Array.from(await body())
  checkFieldCount(Buffer.from(bytes.buffer).toString('latin1'), '\r\n--')
  try {
    const form = await new Response(bytes, { headers: { 'content-type': type } }).formData()
    return [...form].filter((field): field is [string, string] => typeof field[1] === 'string')
  } catch (error) {
    throw new BadDataError(`the multipart form can't be read: ${messageOf(error)}`, { cause: error })
  }
}

/** Counted before they are laid out: a field of one byte takes a hundred and more. Throws LimitError. */
function checkFieldCount(text: string, separator: string): void {
  let count = 1
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + 1))
    if (++count > formFieldsMax)
      throw new LimitError(`the form has more than ${formFieldsMax} fields, which is the limit`, 413)
}

function headerOf(raw: FastifyRequest): (name: string) => string | undefined {
  return name => {
    const value = raw.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
}

function requireCredentials(app: FastifyInstance, auth: Auth, routes: readonly Route[]): void {
  const finishers = new Map(routes.map(({ path, finish }) => [path, finish]))
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'OPTIONS') return undefined
    const problem = auth.refuses(pathOf(request.url), request.headers.authorization)
    if (problem === undefined) return undefined
    const refusal: HttpReply = {
      status: 401,
      headers: { ...plainText, 'www-authenticate': auth.challenge },
      body: `401: ${problem}\n`,
    }
    const finish = finishers.get(request.routeOptions.url ?? '')
    const { headers = {}, body } = finish === undefined ? refusal : finish(refusal, headerOf(request))
    return reply.code(401).headers(headers).send(body)
  })
}

/** CORS, unknown paths, and errors of Fastify itself. */
function addFallbacks(app: FastifyInstance): void {
  app.options('/*', async (_request, reply) => reply.code(204).headers(corsHeaders).send())
  app.setNotFoundHandler((_request, reply) => reply.code(404).headers(plainText).send('404 page not found\n'))
  app.setErrorHandler((error, _request, reply) => {
    const status = error instanceof Error && 'statusCode' in error ? error.statusCode : 500
    // A body that failed before its first byte left its headers behind.
    reply.removeHeader('content-encoding').removeHeader('vary')
    return reply.code(typeof status === 'number' ? status : 500).send(messageOf(error))
  })
}

/** What one request holds of the memory. */
interface Holds {
  readonly body: MemoryHold
  readonly answer: MemoryHold
}

function holdsOf(memory: MemoryBudget | undefined): Holds | undefined {
  if (memory === undefined) return undefined
  return { body: memory.account('bodies').hold(), answer: memory.account('answers').hold() }
}

function isWhole(body: NonNullable<HttpReply['body']>): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array
}

/** Sends a reply, packed with gzip where it is long and the client takes it. Long ones go out in pieces. */
function send(
  raw: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body, isText, isLive = false }: HttpReply,
): FastifyReply {
  reply.code(status).headers({ ...corsHeaders, ...headers })
  if (body === undefined) return reply.send()
  const isPacked =
    !isLive &&
    !(isWhole(body) && body.length < gzipBytesMin) &&
    headers?.['content-encoding'] === undefined &&
    /\bgzip\b/.test(String(raw.headers['accept-encoding'] ?? ''))
  // As Fastify does with strings.
  const type = headers?.['content-type']
  if (!isPacked && isText === true && type !== undefined && isPlainJson(type))
    reply.header('content-type', `${type}; charset=utf-8`)
  if (!isPacked && isWhole(body)) {
    if (body.length <= pieceLength) return reply.send(sendable(body))
    reply.header('content-length', Buffer.byteLength(body))
  }
  const source = Readable.from(isWhole(body) ? piecesOf(body) : cutPieces(body))
  if (!isPacked) return reply.send(source)
  reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding')
  const packed = createGzip({ level: 1 })
  source.once('error', error => packed.destroy(error))
  // A client that goes away ends the making of its answer too.
  packed.once('close', () => source.destroy())
  return reply.send(source.pipe(packed))
}

function isPlainJson(type: string): boolean {
  return type.includes('json') && !type.includes('charset')
}

function sendable(body: string | Uint8Array): string | Buffer {
  return typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.length)
}
