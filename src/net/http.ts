/** HTTP as the rest of the process sees it: routes, requests with a bounded body, replies. Fastify does the listening and routing. */
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { CanceledError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Auth } from './auth.ts'
import { readBody } from './body.ts'
import type { HttpReply, HttpRequest, Route } from './route-table.ts'
import type { SocketRoute } from './web-socket.ts'

/** The path of the route, the status of the reply, and the seconds from the request until it was made. */
export type RequestObserver = (route: string, status: number, seconds: number) => void

export interface HttpServerOptions {
  log: Log
  bodyBytesMax: number
  decodedBytesMax: number
  /** Turns what a handler threw into a reply. */
  onError: (error: unknown, request: HttpRequest) => HttpReply
  /** Called after every request. */
  onRequest: RequestObserver
  monotonicMs: () => number
  auth: Auth
  tls: TlsOptions | undefined
}

/** PEM texts. With `clientCa`, only clients with a certificate that it signed get in. */
export interface TlsOptions {
  cert: string
  key: string
  clientCa: string | undefined
}

const gzipBytesMin = 1400
const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-allow-headers': 'Accept, Authorization, Content-Type, Origin',
  'access-control-expose-headers': 'Date',
} as const

export class HttpServer {
  readonly #app: FastifyInstance
  readonly #options: HttpServerOptions
  readonly #listeners: FastifyInstance[] = []

  readonly #routes: readonly Route[]
  readonly #sockets: readonly SocketRoute[]
  readonly #endSockets: (() => void)[] = []

  constructor(routes: readonly Route[], sockets: readonly SocketRoute[], options: HttpServerOptions) {
    this.#options = options
    this.#app = this.#build(routes)
    this.#routes = routes
    this.#sockets = sockets
  }

  #build(routes: readonly Route[]): FastifyInstance {
    const { tls } = this.#options
    const secure =
      tls === undefined
        ? {}
        : {
            https: {
              cert: tls.cert,
              key: tls.key,
              ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
            },
          }
    const app = Fastify({
      ...secure,
      logger: false,
      bodyLimit: this.#options.bodyBytesMax,
      exposeHeadRoutes: true,
      routerOptions: { ignoreTrailingSlash: true, maxParamLength: 2000 },
    }) as FastifyInstance
    app.removeAllContentTypeParsers()
    // Bodies are read by us, when a handler asks for them.
    app.addContentTypeParser('*', (_request, _payload, done) => {
      done(null)
    })
    for (const route of routes)
      app.route({
        method: [...route.methods],
        url: route.path,
        handler: (request, reply) => this.#handle(route, request, reply),
      })
    const { auth } = this.#options
    if (auth.isOn) {
      app.addHook('onRequest', async (request, reply) => {
        const question = request.url.indexOf('?')
        const problem =
          request.method === 'OPTIONS'
            ? undefined
            : auth.refuses(question < 0 ? request.url : request.url.slice(0, question), request.headers.authorization)
        if (problem !== undefined)
          return reply
            .code(401)
            .headers({ 'content-type': 'text/plain; charset=utf-8', 'www-authenticate': auth.challenge })
            .send(`401: ${problem}\n`)
      })
    }
    app.options('/*', async (_request, reply) => reply.code(204).headers(corsHeaders).send())
    app.setNotFoundHandler((_request, reply) =>
      reply.code(404).headers({ 'content-type': 'text/plain; charset=utf-8' }).send('404 page not found\n'),
    )
    app.setErrorHandler((error, _request, reply) =>
      reply
        .code(
          error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
            ? error.statusCode
            : 500,
        )
        .send(messageOf(error)),
    )
    return app
  }

  /** Listens; with port 0 the system chooses. Returns `host:port`. May be called for several addresses. */
  async listen(host: string, port: number): Promise<string> {
    const app = this.#listeners.length === 0 ? this.#app : this.#build(this.#routes)
    this.#listeners.push(app)
    if (this.#sockets.length > 0) {
      // An agent has none, and goes without the library.
      const { serveSockets } = await import('./web-socket.ts')
      this.#endSockets.push(serveSockets(app.server, this.#sockets, this.#options.auth))
    }
    await app.listen({ host, port })
    const address = app.server.address()
    if (address === null || typeof address === 'string') return `${host}:${port}`
    return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`
  }

  async #handle(route: Route, raw: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const startedMs = this.#options.monotonicMs()
    const abort = new AbortController()
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) abort.abort()
    })
    const request = this.#wrap(raw, abort.signal)
    let answer: HttpReply
    try {
      answer = await route.handler(request)
    } catch (error) {
      if (!(error instanceof CanceledError))
        this.#options.log.debug('request failed', { path: request.path, error: messageOf(error) })
      answer = this.#options.onError(error, request)
    }
    this.#options.onRequest(route.path, answer.status, (this.#options.monotonicMs() - startedMs) / 1000)
    return this.#send(raw, reply, answer)
  }

  #wrap(raw: FastifyRequest, signal: AbortSignal): HttpRequest {
    const question = raw.url.indexOf('?')
    const query = new URLSearchParams(question < 0 ? '' : raw.url.slice(question + 1))
    const { bodyBytesMax, decodedBytesMax } = this.#options
    let read: Promise<Uint8Array> | undefined
    const body = (): Promise<Uint8Array> =>
      (read ??= readBody(raw.raw, bodyBytesMax, decodedBytesMax, raw.headers['content-encoding']))
    return {
      method: raw.method,
      path: question < 0 ? raw.url : raw.url.slice(0, question),
      params: raw.params as Record<string, string>,
      query,
      signal,
      header: name => {
        const value = raw.headers[name]
        return Array.isArray(value) ? value[0] : value
      },
      body,
      rawBody: () => (read ??= readBody(raw.raw, bodyBytesMax, decodedBytesMax, undefined)),
      async form() {
        const all = new URLSearchParams(query)
        if (
          raw.method === 'POST' &&
          (raw.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')
        ) {
          for (const [name, value] of new URLSearchParams(Buffer.from(await body()).toString('utf8')))
            all.append(name, value)
        }
        return all
      },
    }
  }

  #send(raw: FastifyRequest, reply: FastifyReply, answer: HttpReply): FastifyReply {
    reply.code(answer.status).headers({ ...corsHeaders, ...answer.headers })
    const { body } = answer
    if (body === undefined) return reply.send()
    const small = (typeof body === 'string' || body instanceof Uint8Array) && body.length < gzipBytesMin
    const gzip =
      !small &&
      answer.headers?.['content-encoding'] === undefined &&
      /\bgzip\b/.test(String(raw.headers['accept-encoding'] ?? ''))
    if (!gzip)
      return reply.send(
        typeof body === 'string' || body instanceof Uint8Array
          ? typeof body === 'string'
            ? body
            : Buffer.from(body.buffer, body.byteOffset, body.length)
          : Readable.from(body),
      )
    reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding')
    const source =
      typeof body === 'string' || body instanceof Uint8Array
        ? Readable.from([Buffer.from(body as Uint8Array)])
        : Readable.from(body)
    const packed = createGzip({ level: 1 })
    source.once('error', error => packed.destroy(error))
    return reply.send(source.pipe(packed))
  }

  async close(): Promise<void> {
    for (const end of this.#endSockets) end()
    for (const app of this.#listeners) {
      app.server.closeIdleConnections()
      await app.close()
    }
  }
}
