/** The HTTP server: routes, requests with a bounded body, replies. */
import { lookup } from 'node:dns/promises'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { Clock } from '#core/clock.ts'
import { BadDataError, CanceledError, ForbiddenError, LimitError, messageOf } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { MemoryBudget, MemoryHold } from '#core/memory-budget.ts'
import { known, type Grant } from './access.ts'
import { isRefusal, type Asking, type Auth, type Refusal } from './auth.ts'
import { readBody } from './body.ts'
import { BrowserRules, guardHeaders, isGuard } from './browser-rules.ts'
import { clientSubject } from './client-certificate.ts'
import { checkPort, listenError } from './listen-error.ts'
import { cutPieces, pieceLength, piecesOf } from './paced-body.ts'
import { Pipelining } from './pipelining.ts'
import type { GuardedRoute, HttpReply, HttpRequest, Route } from './route-table.ts'
import { Router } from './router.ts'
import {
  closeGently,
  connectionsOf,
  createSecureHttpServer,
  isBodiless,
  isGone,
  isHttp2,
  quietErrors,
  StreamReader,
} from './secure-server.ts'
import { SlowSockets } from './slow-sockets.ts'
import type { TlsOptions } from './tls-options.ts'
import type { SocketRoute } from './web-socket.ts'

/** The path of the route, the status of the reply, and the seconds from the request until it was made. */
export type RequestObserver = (route: string, status: number, seconds: number) => void

/** Who tried something that the credential is not for. */
export interface Forbidden {
  readonly who: string
  readonly method: string
  readonly path: string
  readonly from: string | undefined
}

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
  /** Of addresses that have none of their own. Default: plain text. */
  tls?: TlsOptions | undefined
  /** Names that are answered to, and what pages may do. Default: pages are asked nothing, and read nothing. */
  browsers?: BrowserRules
  /** Routes that neither ask nor take in telemetry: `*` of the origins does not stand for them. Default: none. */
  isAction?: (route: GuardedRoute) => boolean
  /** Called where a credential is not enough for a route that changes something. */
  onForbidden?: (forbidden: Forbidden) => void
}

/** So long a server that closes waits for requests under way. */
const drainMs = 10_000

const gzipBytesMin = 1400
const plainText = { 'content-type': 'text/plain; charset=utf-8' } as const

/** So long an idle connection is kept: longer than senders and proxies keep theirs. */
const keepAliveMs = 72_000

/** One address that is listened at, and what ends its WebSockets. */
interface Listener {
  readonly server: Server | Http2SecureServer
  readonly connections: ReadonlySet<Socket>
  readonly endSockets: () => void
}

function pathOf(url: string): string {
  const question = url.indexOf('?')
  return question < 0 ? url : url.slice(0, question)
}

export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #listeners: Listener[] = []
  readonly #router = new Router<GuardedRoute>()
  readonly #sockets: readonly SocketRoute[]
  readonly #slow: SlowSockets | undefined
  readonly #pipelining = new Pipelining()
  #isClosing = false

  /** Throws where two routes have the same method and path. */
  constructor(routes: readonly GuardedRoute[], sockets: readonly SocketRoute[], options: HttpServerOptions) {
    this.#options = options
    this.#sockets = sockets
    for (const route of routes) for (const method of route.methods) this.#router.add(method, route.path, route)
    const { writeTimeoutMs = Infinity, after, monotonicMs, onSlowReader = () => {} } = options
    if (after !== undefined && writeTimeoutMs !== Infinity)
      this.#slow = new SlowSockets({ clock: { monotonicMs, after }, timeoutMs: writeTimeoutMs, onSlowReader })
  }

  #build(tls: TlsOptions | undefined): Server | Http2SecureServer {
    const onRequest: RequestListener = (request, response) => {
      this.#receive(request, response).catch((error: unknown) => {
        fail(response, error)
      })
    }
    const server = tls === undefined ? createServer(this.#upgrades, onRequest) : this.#buildSecure(tls, onRequest)
    // Whoever sends slowly holds no more than what it has sent: the memory of bodies has its own limit.
    return Object.assign(server, { keepAliveTimeout: keepAliveMs, requestTimeout: 0 })
  }

  /**
   * Clients that offer HTTP/2 in plain text (Java's, curl --http2) send an ordinary request. Releases of Node before
   * 24.9 that don't know the option refuse it, with 404.
   */
  get #upgrades(): ServerOptions {
    if (this.#sockets.length === 0) return {}
    return { shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket' }
  }

  #buildSecure(tls: TlsOptions, onRequest: RequestListener): Http2SecureServer {
    const { after } = this.#options
    return createSecureHttpServer(tls, onRequest, after && { after, idleMs: keepAliveMs })
  }

  /**
   * Listens; with port 0 the system chooses. Returns `host:port`. May be called for several addresses. Throws
   * BadDataError, and leaves nothing open, where the address can't be listened at.
   */
  async listen(host: string, port: number, tls = this.#options.tls): Promise<string> {
    checkPort(`${host}:${port}`)
    const [main = host, ...others] = host === 'localhost' ? await addressesOf(host) : [host]
    const address = await this.#listenAt(main, port, `${host}:${port}`, tls)
    for (const other of others) {
      // A machine may have only one of them.
      const samePort = Number(address.slice(address.lastIndexOf(':') + 1))
      await this.#listenAt(other, samePort, `${host}:${port}`, tls).catch(() => undefined)
    }
    return address
  }

  async #listenAt(host: string, port: number, shown: string, tls: TlsOptions | undefined): Promise<string> {
    const server = this.#build(tls)
    this.#slow?.watch(server)
    const listener = { server, connections: connectionsOf(server), endSockets: await this.#serveSockets(server) }
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, resolve)
      })
    } catch (error) {
      throw listenError(shown, error)
    }
    this.#listeners.push(listener)
    const address = server.address()
    if (address === null || typeof address === 'string') return `${host}:${port}`
    return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
  }

  async #serveSockets(server: Server | Http2SecureServer): Promise<() => void> {
    if (this.#sockets.length === 0) return () => {}
    // An agent has none, and goes without the library.
    const { serveSockets } = await import('./web-socket.ts')
    return serveSockets(server, this.#sockets, this.#options.auth, this.#options.browsers)
  }

  async #receive(raw: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = raw
    const header = headerOf(raw)
    if (isHttp2(raw)) this.#watchStream(raw, response)
    const { browsers, auth } = this.#options
    guard(response, browsers?.headersOf(header) ?? guardHeaders)
    const path = pathOf(url)
    const match = this.#router.find(method, path)
    // What is not there is told to those who are known.
    const access = match?.value.access ?? known
    // Probes come by any name.
    const strange = access.kind === 'open' ? undefined : browsers?.refusesHost(method, header)
    if (strange !== undefined) {
      this.#refuse(raw, response, refusalReply({ status: 403, reason: strange }), undefined)
      return
    }
    // Browsers ask with it whether they may ask, and have no credentials then.
    if (method === 'OPTIONS') {
      answerOptions(response, header, browsers)
      return
    }
    const foreign = isReading(method) ? undefined : browsers?.refusesOrigin(header, this.#isAction(match?.value))
    if (foreign !== undefined) {
      this.#refuse(raw, response, refusalReply({ status: 403, reason: foreign }), match?.value)
      return
    }
    const entered = auth.enter(access, askingOf(raw, auth))
    const admission = entered instanceof Promise ? await entered : entered
    if (isRefusal(admission)) {
      const { status, name: who = '' } = admission
      const from = clientAddressOf(raw, auth)
      if (status === 403 && this.#isAction(match?.value)) this.#options.onForbidden?.({ who, method, path, from })
      const login = status === 401 ? this.#loginOf(raw) : undefined
      if (login === undefined) this.#refuse(raw, response, this.#replyTo(admission, match?.value), match?.value)
      else finish(response, login)
      return
    }
    if (match === undefined) {
      finish(response, this.#wrongMethod(path) ?? { status: 404, headers: plainText, body: '404 page not found\n' })
      return
    }
    // Answers of HTTP/2 do not wait for one another.
    if (!isHttp2(raw)) await this.#pipelining.turn(raw, response)
    await this.#answer(match.value, match.params, raw, response, admission)
  }

  /** A connection of HTTP/2 may take some of its answers and not others. */
  #watchStream(raw: IncomingMessage, response: ServerResponse): void {
    quietErrors(raw, response)
    const end = this.#slow?.watchOne(new StreamReader(response))
    if (end !== undefined) response.once('close', end)
  }

  /** What a path answers whose routes take other methods. */
  #wrongMethod(path: string): HttpReply | undefined {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE'] as const) {
      const reply = this.#router.find(method, path)?.value.wrongMethod
      if (reply !== undefined) return reply
    }
    return undefined
  }

  #isAction(route: GuardedRoute | undefined): boolean {
    return route !== undefined && this.#options.isAction?.(route) === true
  }

  /** Where somebody is sent who has asked for a page with a browser. */
  #loginOf({ method, url = '/', headers }: IncomingMessage): HttpReply | undefined {
    const { loginPath } = this.#options.auth
    if (loginPath === undefined || method !== 'GET' || headers.accept?.includes('text/html') !== true) return undefined
    const location = `${loginPath}?${new URLSearchParams({ next: url }).toString()}`
    return { status: 302, headers: { location, 'cache-control': 'no-store' } }
  }

  /** In the dialect of the route, where it is the credential that is not enough. */
  #replyTo(refusal: Refusal, route: Route | undefined): HttpReply {
    const { status, reason } = refusal
    if (status === 403) return route?.refuse?.(new ForbiddenError(reason)) ?? refusalReply(refusal)
    const challenge = status === 401 ? { 'www-authenticate': this.#options.auth.challenge } : {}
    return refusalReply({ ...refusal, headers: { ...challenge, ...refusal.headers } })
  }

  #refuse(raw: IncomingMessage, response: ServerResponse, refusal: HttpReply, route: Route | undefined): void {
    const { status } = refusal
    finish(response, { ...refusal, ...route?.finish?.(refusal, headerOf(raw)), status })
  }

  async #answer(
    route: GuardedRoute,
    params: Record<string, string>,
    raw: IncomingMessage,
    response: ServerResponse,
    grant: Grant,
  ): Promise<void> {
    const startedMs = this.#options.monotonicMs()
    const abort = new AbortController()
    const held = holdsOf(this.#options.memory)
    let answer: HttpReply | undefined
    response.once('close', () => {
      held?.answer.close()
      if (response.writableFinished) return
      abort.abort()
      answer?.drop?.()
    })
    const request = this.#wrap(raw, params, grant, abort.signal, held)
    try {
      answer = await route.handler(request)
    } catch (error) {
      if (!(error instanceof CanceledError))
        this.#options.log.debug('request failed', { path: request.path, error: messageOf(error) })
      answer = this.#options.onError(error, request)
    }
    if (abort.signal.aborted) answer.drop?.()
    else if (answer.isLive === true) this.#attend(route, raw, response, grant)
    held?.body.close()
    this.#options.onRequest(route.path, answer.status, (this.#options.monotonicMs() - startedMs) / 1000)
    // A connection that is kept would keep the server from closing.
    if (this.#isClosing && !isHttp2(raw)) response.setHeader('connection', 'close')
    send(raw, response, route.finish === undefined ? answer : route.finish(answer, request.header))
  }

  /** An answer that goes on ends where its credential does. */
  #attend({ access }: GuardedRoute, raw: IncomingMessage, response: ServerResponse, grant: Grant): void {
    const end = (): void => {
      response.destroy()
    }
    const { auth } = this.#options
    const asking = askingOf(raw, auth)
    response.once('close', auth.attend({ access, asking: asking, grant, end }))
  }

  #wrap(
    raw: IncomingMessage,
    params: Record<string, string>,
    grant: Grant,
    signal: AbortSignal,
    held: Holds | undefined,
  ): HttpRequest {
    const { method = 'GET', url = '/' } = raw
    const path = pathOf(url)
    const query = new URLSearchParams(url.slice(path.length + 1))
    const { bodyBytesMax, decodedBytesMax } = this.#options
    const formBytesMax = Math.min(this.#options.formBytesMax ?? defaultLimits.formBytesMax, decodedBytesMax)
    const encoding = raw.headers['content-encoding']
    let read: Promise<Uint8Array> | undefined
    const body = (): Promise<Uint8Array> =>
      (read ??= readBody(raw, bodyBytesMax, decodedBytesMax, encoding, held?.body))
    const formBody = async (): Promise<Uint8Array> => {
      const bytes = await (read ??= readBody(
        raw,
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
      method,
      path,
      params,
      query,
      signal,
      header: headerOf(raw),
      grant,
      remoteAddress: clientAddressOf(raw, this.#options.auth),
      holdAnswer: held && (bytes => held.answer.take(bytes)),
      body,
      rawBody: () => (read ??= readBody(raw, bodyBytesMax, decodedBytesMax, undefined, held?.body)),
      async form() {
        const type = raw.headers['content-type'] ?? ''
        const fields = method === 'POST' ? await formFields(type, formBody) : []
        // As in Go's servers: a body goes before the URL for who asks for one value, but for a body of several parts.
        const isUrlFirst = type.toLowerCase().startsWith('multipart/')
        return new URLSearchParams(isUrlFirst ? [...query, ...fields] : [...fields, ...query])
      },
    }
  }

  /** Answers what is under way, but waits for no client without end. */
  async close(): Promise<void> {
    this.#isClosing = true
    const late = this.#options.after?.(drainMs, () => {
      for (const { connections } of this.#listeners) for (const socket of connections) socket.destroy()
    })
    for (const listener of this.#listeners) await closeListener(listener)
    late?.cancel()
    this.#slow?.close()
  }
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Before anything is answered, so that every answer has them. */
function guard(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) response.setHeader(name, headers[name]!)
}

/** A preflight of a page that is not listed is refused; whoever else asks is told nothing. */
function answerOptions(
  response: ServerResponse,
  header: (name: string) => string | undefined,
  browsers: BrowserRules | undefined,
): void {
  const isPreflight = header('origin') !== undefined && header('access-control-request-method') !== undefined
  const allowed = browsers?.preflightOf(header)
  if (isPreflight && allowed === undefined) {
    const body = '403: pages of this origin may not ask here; origins that may are in cors_origins\n'
    finish(response, { status: 403, headers: plainText, body })
    return
  }
  finish(response, { status: 204, headers: { ...allowed } })
}

/** What the answer depends on, beside what every answer of the server does. */
function withVary(response: ServerResponse, headers: Record<string, string | number>): void {
  const before = response.getHeader('vary')
  if (before !== undefined && headers['vary'] !== undefined) headers['vary'] = `${String(before)}, ${headers['vary']}`
}

async function closeListener({ server, endSockets }: Listener): Promise<void> {
  endSockets()
  await closeGently(server)
}

async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch {
    // Listening says what is wrong.
    return [host]
  }
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

function refusalReply({ status, reason, headers }: Refusal): HttpReply {
  return { status, headers: { ...plainText, ...headers }, body: `${status}: ${reason}\n` }
}

function clientAddressOf(raw: IncomingMessage, { addresses }: Auth): string | undefined {
  return addresses.of(raw.socket.remoteAddress, headerOf(raw)('x-forwarded-for'))
}

function askingOf(raw: IncomingMessage, auth: Auth): Asking {
  const { headers, socket } = raw
  return {
    authorization: headers.authorization,
    cookie: headers.cookie,
    remoteAddress: clientAddressOf(raw, auth),
    get clientSubject() {
      return clientSubject(socket)
    },
  }
}

/** HTTP/2 has the host in `:authority`. */
function headerOf(raw: IncomingMessage): (name: string) => string | undefined {
  return name => {
    const value = (name === 'host' ? raw.headers[':authority'] : undefined) ?? raw.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
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
function send(raw: IncomingMessage, response: ServerResponse, reply: HttpReply): void {
  const { status, body, isText, isLive = false, drop } = reply
  const headers: Record<string, string | number> = { ...reply.headers }
  if (body === undefined) {
    finish(response, { status, headers })
    return
  }
  const isPacked =
    !isLive &&
    !(isWhole(body) && body.length < gzipBytesMin) &&
    headers['content-encoding'] === undefined &&
    /\bgzip\b/.test(String(raw.headers['accept-encoding'] ?? ''))
  const type = headers['content-type']
  const isShort = isWhole(body) && body.length <= pieceLength
  if (!isPacked && isPlainJson(type) && (isText === true || (isShort && typeof body === 'string')))
    headers['content-type'] = `${type}; charset=utf-8`
  if (!isPacked && isShort) {
    finish(response, { status, headers, body })
    return
  }
  if (!isPacked && isWhole(body)) headers['content-length'] = Buffer.byteLength(body)
  if (isPacked) Object.assign(headers, { 'content-encoding': 'gzip', vary: 'accept-encoding' })
  withVary(response, headers)
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.statusCode = status
  if (raw.method === 'HEAD') {
    response.end()
    drop?.()
    return
  }
  pour(Readable.from(isWhole(body) ? piecesOf(body) : cutPieces(body)), response, isPacked)
}

/** The pieces go out as the client takes them; one that fails breaks the connection, or is an error if it can be. */
function pour(source: Readable, response: ServerResponse, isPacked: boolean): void {
  const onError = (error: unknown): void => {
    fail(response, error)
  }
  source.once('error', onError)
  // A client that goes away ends the making of its answer too.
  response.once('close', () => source.destroy())
  if (!isPacked) {
    source.pipe(response)
    return
  }
  const packed = createGzip({ level: 1 })
  source.once('error', error => packed.destroy(error))
  packed.once('error', onError)
  response.once('close', () => packed.destroy())
  packed.once('close', () => source.destroy())
  source.pipe(packed).pipe(response)
}

function isPlainJson(type: string | number | undefined): boolean {
  return typeof type === 'string' && type.includes('json') && !type.includes('charset')
}

/** Headers and a whole body, with its length. */
function finish(
  response: ServerResponse,
  {
    status,
    headers = {},
    body,
  }: { status: number; headers?: Readonly<Record<string, string | number>>; body?: HttpReply['body'] },
): void {
  const whole = body !== undefined && isWhole(body) ? body : undefined
  const type =
    whole === undefined || headers['content-type'] !== undefined
      ? {}
      : { 'content-type': typeof whole === 'string' ? plainText['content-type'] : 'application/octet-stream' }
  const isBare = status < 200 || status === 204 || status === 304
  const length = isBare ? {} : { 'content-length': whole === undefined ? 0 : Buffer.byteLength(whole) }
  const all = { ...headers, ...type, ...length }
  withVary(response, all)
  response.writeHead(status, all).end(isBodiless(response) ? undefined : whole)
}

/** What can't be answered: an error that can be read, or an end of the connection where the answer has begun. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || isGone(response)) {
    response.destroy()
    return
  }
  // What the answer would have been left its headers behind.
  for (const name of response.getHeaderNames()) if (!isGuard(name)) response.removeHeader(name)
  const status = error instanceof BadDataError ? 400 : 500
  finish(response, { status, headers: plainText, body: messageOf(error) })
}
