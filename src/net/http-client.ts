/**
 * Requests to other servers: TLS, credentials from files that may change, OAuth 2, proxies, bodies with a limit,
 * addresses that may not be connected to.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { Readable, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { outside, type Clock } from '#core/clock.ts'
import { BadDataError, LimitError, messageOf, TimeoutError, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { KnownSecrets, maskUrl, type Secret } from '#core/secret.ts'
import type { OutgoingGuard } from './outgoing-guard.ts'

export interface ClientTls {
  ca: Secret
  cert: Secret
  key: Secret
  serverName: string
  isUnverified: boolean
  minVersion: string
  maxVersion: string
}
export interface ClientSettings {
  basicAuth: { username: Secret; password: Secret } | undefined
  authorization: { type: string; credentials: Secret } | undefined
  oauth2:
    | {
        clientId: string
        clientSecret: Secret
        tokenUrl: string
        scopes: string[]
        endpointParams: [string, string][]
        client: ClientSettings
      }
    | undefined
  tls: ClientTls | undefined
  proxyUrl: string
  noProxy: string
  proxyFromEnvironment: boolean
  followRedirects: boolean
  headers: [string, Secret[]][]
  /** A Unix socket that requests go to, whatever host they name. */
  socketPath?: string | undefined
}

export interface ClientWorld {
  clock: Clock
  files: Files
  env: Readonly<Record<string, string | undefined>>
  /** Relative paths of secrets' files begin here. */
  directory: string
  /** Looks at every address that is connected to, those of redirects and proxies included. */
  guard: OutgoingGuard
}

export interface ClientRequest {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
  timeoutMs: number
  /** Of the answer, uncompressed; LimitError (413) beyond. */
  bodyBytesMax: number
  /** The status says enough: what of the body is too long, damaged or late is left out. */
  isBodyOptional?: boolean
  /** What messages call the address; without it they have the address, without its credentials. */
  shownAs?: string
  signal?: AbortSignal
}
export interface ClientReply {
  status: number
  header(name: string): string | undefined
  body: Uint8Array
}
/** An answer whose body comes bit by bit. `close` ends it. */
export interface ClientStream {
  status: number
  header(name: string): string | undefined
  body: AsyncIterable<Uint8Array>
  close(): void
}

const redirectsMax = 10
const secretMs = 10_000
const tlsVersions = { TLS10: 'TLSv1', TLS11: 'TLSv1.1', TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const

/** Headers that another server may see than the one that they were meant for. The others may hold a token. */
const openHeaders =
  /^(?:accept|accept-encoding|content-type|content-encoding|user-agent|x-scope-orgid|x-prometheus-.*)$/i

function shownAs(address: string, options: Pick<ClientRequest, 'shownAs'>): string {
  return options.shownAs ?? maskUrl(address)
}

/** Throws BadDataError, which does not have the text as the system's error does. */
function parsed(address: string, shown: string, base?: URL): URL {
  if (URL.canParse(address, base)) return new URL(address, base)
  throw new BadDataError(base === undefined ? `${shown} is no URL` : `${shown}: its redirect leads to no URL`)
}

function headersForOthers(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => openHeaders.test(name)))
}

function isWithoutProxy(host: string, port: string, list: string): boolean {
  return list
    .split(',')
    .map(entry => entry.trim().toLowerCase())
    .filter(Boolean)
    .some(entry => {
      if (entry === '*') return true
      const [name = '', wanted] = isIP(entry) === 6 ? [entry] : entry.split(':')
      if (wanted !== undefined && wanted !== port) return false
      return host === name || host.endsWith(name.startsWith('.') ? name : `.${name}`)
    })
}

export class HttpClient {
  readonly #settings: ClientSettings
  readonly #world: ClientWorld
  readonly #secrets = new Map<string, { text: string; readMs: number }>()
  readonly #known = new KnownSecrets()
  #transport: Transport | undefined
  #token: { text: string; untilMs: number } | undefined

  constructor(settings: ClientSettings, world: ClientWorld) {
    this.#settings = settings
    this.#world = world
  }

  async #secret(secret: Secret): Promise<string> {
    const text = await this.#revealed(secret)
    this.#known.add(text)
    return text
  }

  async #revealed(secret: Secret): Promise<string> {
    const { file } = secret
    if (file === '') return secret.reveal()
    const { clock, files, directory } = this.#world
    const known = this.#secrets.get(file)
    if (known !== undefined && clock.monotonicMs() - known.readMs < secretMs) return known.text
    const path = file.startsWith('/') ? file : `${directory}/${file}`
    let read: string
    try {
      read = Buffer.from(await files.read(path))
        .toString('utf8')
        .trim()
    } catch (error) {
      throw new UnavailableError(`unable to read file ${file}: ${messageOf(error)}`, 10)
    }
    this.#secrets.set(file, { text: read, readMs: clock.monotonicMs() })
    return read
  }

  /** A text without the secrets that this client has used: of what a server says back. */
  hide(text: string): string {
    return this.#known.hide(text)
  }

  /** Connections are kept as long as certificates stay what they are. */
  async #connect(url: URL): Promise<Transport> {
    const { tls } = this.#settings
    const ca = tls === undefined ? '' : await this.#secret(tls.ca),
      cert = tls === undefined ? '' : await this.#secret(tls.cert),
      key = tls === undefined ? '' : await this.#secret(tls.key)
    const proxy = this.#proxyFor(url)
    this.#known.addUrl(proxy)
    const identity = `${proxy}\n${ca}\n${cert}\n${key}`
    if (this.#transport?.identity === identity) return this.#transport
    const secure = {
      ...(ca === '' ? {} : { ca }),
      ...(cert === '' ? {} : { cert, key }),
      ...(tls === undefined || tls.serverName === '' ? {} : { servername: tls.serverName }),
      rejectUnauthorized: tls?.isUnverified !== true,
      ...(tls === undefined || tls.minVersion === ''
        ? {}
        : { minVersion: tlsVersions[tls.minVersion as keyof typeof tlsVersions] }),
      ...(tls === undefined || tls.maxVersion === ''
        ? {}
        : { maxVersion: tlsVersions[tls.maxVersion as keyof typeof tlsVersions] }),
    }
    await this.#transport?.close()
    return (this.#transport =
      proxy === ''
        ? directTransport(identity, secure, this.#world.guard, this.#settings.socketPath)
        : await proxyTransport(identity, secure, proxy, this.#world.guard))
  }

  #proxyFor(url: URL): string {
    const { proxyUrl, noProxy, proxyFromEnvironment } = this.#settings
    const { env } = this.#world
    const [proxy, without] = proxyFromEnvironment
      ? [
          env[`${url.protocol.slice(0, -1).toUpperCase()}_PROXY`] ?? env[`${url.protocol.slice(0, -1)}_proxy`] ?? '',
          env['NO_PROXY'] ?? env['no_proxy'] ?? '',
        ]
      : [proxyUrl, noProxy]
    return proxy === '' || isWithoutProxy(url.hostname.toLowerCase(), url.port, without) ? '' : proxy
  }

  async #credentials(timeoutMs: number): Promise<Record<string, string>> {
    const { basicAuth, authorization, oauth2, headers } = this.#settings
    const all: Record<string, string> = {}
    for (const [name, values] of headers)
      all[name.toLowerCase()] = (await Promise.all(values.map(v => this.#secret(v)))).join(', ')
    if (basicAuth !== undefined) {
      const user = `${await this.#secret(basicAuth.username)}:${await this.#secret(basicAuth.password)}`
      const packed = Buffer.from(user).toString('base64')
      this.#known.add(packed)
      all['authorization'] = `Basic ${packed}`
    }
    if (authorization !== undefined)
      all['authorization'] = `${authorization.type} ${await this.#secret(authorization.credentials)}`
    if (oauth2 !== undefined) all['authorization'] = `Bearer ${await this.#oauth2Token(oauth2, timeoutMs)}`
    return all
  }

  async #oauth2Token(oauth2: NonNullable<ClientSettings['oauth2']>, timeoutMs: number): Promise<string> {
    const { clock } = this.#world
    if (this.#token !== undefined && clock.monotonicMs() < this.#token.untilMs) return this.#token.text
    const form = new URLSearchParams([
      ['grant_type', 'client_credentials'],
      ...(oauth2.scopes.length === 0 ? [] : [['scope', oauth2.scopes.join(' ')]]),
      ...oauth2.endpointParams,
    ])
    const client = new HttpClient(oauth2.client, this.#world)
    try {
      const basic = Buffer.from(
        `${encodeURIComponent(oauth2.clientId)}:${encodeURIComponent(await this.#secret(oauth2.clientSecret))}`,
      ).toString('base64')
      const reply = await client.send(oauth2.tokenUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${basic}` },
        body: form.toString(),
        timeoutMs,
        bodyBytesMax: 1 << 20,
      })
      const shown = maskUrl(oauth2.tokenUrl)
      if (reply.status !== 200) throw new UnavailableError(`oauth2: ${shown} answered ${reply.status}`, 10)
      const { access_token: text, expires_in: seconds = 300 } = JSON.parse(
        Buffer.from(reply.body).toString('utf8'),
      ) as { access_token?: string; expires_in?: number }
      if (text === undefined) throw new UnavailableError(`oauth2: ${shown} answered without access_token`, 10)
      this.#known.add(text)
      this.#token = { text, untilMs: clock.monotonicMs() + Math.max(0, seconds - 10) * 1000 }
      return text
    } finally {
      await client.close()
    }
  }

  /** The whole answer. Throws TimeoutError, LimitError (the body), UnavailableError (no connection). */
  send(address: string, options: ClientRequest): Promise<ClientReply> {
    return outside(this.#world.clock, this.#send(address, options))
  }

  async #send(address: string, options: ClientRequest): Promise<ClientReply> {
    const { clock } = this.#world
    const gone = new AbortController()
    const timer = clock.after(options.timeoutMs, () => {
      gone.abort(new TimeoutError(`${shownAs(address, options)}: no answer within ${options.timeoutMs / 1000} s`))
    })
    const cancel = (): void => {
      gone.abort(options.signal?.reason)
    }
    options.signal?.addEventListener('abort', cancel, { once: true })
    try {
      const { status, headers, body } = await this.#open(address, options, gone.signal)
      const encoding = one(headers['content-encoding'])
      const chunks: Uint8Array[] = []
      try {
        await readBody(shownAs(address, options), unpacked(body, encoding), options.bodyBytesMax, chunks)
      } catch (error) {
        body.destroy()
        if (options.isBodyOptional !== true) throw error
      }
      return {
        status,
        header: name => one(headers[name]),
        body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks),
      }
    } catch (error) {
      throw gone.signal.aborted && gone.signal.reason instanceof TimeoutError ? gone.signal.reason : error
    } finally {
      timer.cancel()
      options.signal?.removeEventListener('abort', cancel)
    }
  }

  /** The answer as it comes; `timeoutMs` is until it begins. */
  stream(address: string, options: Omit<ClientRequest, 'bodyBytesMax'>): Promise<ClientStream> {
    return outside(this.#world.clock, this.#stream(address, options))
  }

  async #stream(address: string, options: Omit<ClientRequest, 'bodyBytesMax'>): Promise<ClientStream> {
    const gone = new AbortController()
    const timer = this.#world.clock.after(options.timeoutMs, () => {
      gone.abort(new TimeoutError(`${shownAs(address, options)}: no answer within ${options.timeoutMs / 1000} s`))
    })
    options.signal?.addEventListener(
      'abort',
      () => {
        gone.abort(options.signal?.reason)
      },
      { once: true },
    )
    try {
      const { status, headers, body } = await this.#open(address, { ...options, bodyBytesMax: Infinity }, gone.signal)
      return {
        status,
        header: name => one(headers[name]),
        body: unpacked(body, one(headers['content-encoding'])),
        close: () => {
          gone.abort()
          body.destroy()
        },
      }
    } finally {
      timer.cancel()
    }
  }

  async #open(
    address: string,
    options: ClientRequest,
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Readable }> {
    const shown = shownAs(address, options)
    let url = parsed(address, shown)
    this.#known.addUrl(address, options.shownAs !== undefined)
    for (const [name, value] of Object.entries(options.headers ?? {}))
      if (!openHeaders.test(name)) this.#known.add(value, ...value.split(' '))
    let { method = 'GET', body } = options
    const origin = url.origin
    for (let i = 0; i <= redirectsMax; i++) {
      const transport = await this.#connect(url)
      // Credentials are for whom they were meant.
      const isOwn = url.origin === origin
      const credentials = isOwn ? await this.#credentials(options.timeoutMs) : {}
      const headers = isOwn ? options.headers : headersForOthers(options.headers)
      let reply: { status: number; headers: Record<string, string | string[] | undefined>; body: Readable }
      try {
        reply = await transport.send(
          url,
          method,
          { 'accept-encoding': 'gzip', ...headers, ...credentials },
          body,
          signal,
        )
      } catch (error) {
        if (signal.aborted || error instanceof BadDataError) throw error
        throw new UnavailableError(`${method} ${shown}: ${this.hide(causeOf(error))}`, 10)
      }
      const location = one(reply.headers['location'])
      if (
        ![301, 302, 303, 307, 308].includes(reply.status) ||
        location === undefined ||
        !this.#settings.followRedirects
      )
        return reply
      reply.body.resume()
      url = parsed(location, shown, url)
      this.#known.addUrl(url.href)
      if (reply.status <= 303 && method !== 'GET') {
        method = 'GET'
        body = undefined
      }
    }
    throw new UnavailableError(`${shown}: stopped after ${redirectsMax} redirects`, 10)
  }

  async close(): Promise<void> {
    await this.#transport?.close()
  }
}

/** How bytes go and come: directly, or over a proxy. */
interface Transport {
  readonly identity: string
  send(
    url: URL,
    method: string,
    headers: Record<string, string>,
    body: string | Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Readable }>
  close(): Promise<void>
}

function contentLength(method: string, body: string | Uint8Array | undefined): Record<string, string> {
  if (body !== undefined)
    return { 'content-length': String(typeof body === 'string' ? Buffer.byteLength(body) : body.length) }
  return method === 'GET' ? {} : { 'content-length': '0' }
}

function directTransport(
  identity: string,
  secure: Record<string, unknown>,
  guard: OutgoingGuard,
  socketPath: string | undefined,
): Transport {
  const keep = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 4, timeout: 0, lookup: guard.lookup }
  const plainAgent = new HttpAgent(keep)
  const secureAgent = new HttpsAgent({ ...keep, ...secure })
  const send: Transport['send'] = (url, method, headers, body, signal) =>
    new Promise((resolve, reject) => {
      // Addresses that are written as such are not resolved. What a Unix socket is for is no address.
      if (socketPath === undefined) guard.checkHost(url.hostname)
      const isSecure = url.protocol === 'https:'
      const options = {
        method,
        headers: { ...headers, ...contentLength(method, body) },
        signal,
        ...(socketPath === undefined ? {} : { socketPath }),
        agent: isSecure ? secureAgent : plainAgent,
      }
      const onReply = (reply: IncomingMessage): void => {
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: reply })
      }
      const request = isSecure ? httpsRequest(url, options, onReply) : httpRequest(url, options, onReply)
      request.on('error', reject)
      request.end(body)
    })
  return {
    identity,
    send,
    close() {
      plainAgent.destroy()
      secureAgent.destroy()
      return Promise.resolve()
    },
  }
}

async function proxyTransport(
  identity: string,
  secure: Record<string, unknown>,
  proxy: string,
  guard: OutgoingGuard,
): Promise<Transport> {
  // Few have one, and the library is large.
  const { ProxyAgent, request } = await import('undici')
  const proxyHost = parsed(proxy, `the proxy ${maskUrl(proxy)}`).hostname
  // A connection to the proxy is a connection too.
  const dispatcher = new ProxyAgent({ uri: proxy, requestTls: secure, proxyTls: { lookup: guard.lookup } })
  return {
    identity,
    async send(url, method, headers, body, signal) {
      guard.checkHost(proxyHost)
      await guard.checkBehindProxy(url.hostname)
      const reply = await request(url, {
        method: method as 'GET',
        headers,
        body: body ?? null,
        dispatcher,
        signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      return { status: reply.statusCode, headers: reply.headers, body: reply.body }
    },
    close: () => dispatcher.destroy(),
  }
}

/** The innermost message: the library wraps what the system said. */
function causeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0])
  return error instanceof Error && error.cause !== undefined ? causeOf(error.cause) : messageOf(error)
}
/** Adds what comes to `chunks`. Throws LimitError beyond `bytesMax`, and what the stream throws. */
async function readBody(
  address: string,
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  chunks: Uint8Array[],
): Promise<void> {
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > bytesMax)
      throw new LimitError(`the answer of ${address} is larger than the limit of ${bytesMax} bytes`, 413)
    chunks.push(chunk)
  }
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function unpacked(body: Readable, encoding: string | undefined): AsyncIterable<Uint8Array> {
  const pipe = (through: Transform): AsyncIterable<Uint8Array> => {
    body.on('error', error => {
      through.destroy(error)
    })
    through.on('close', () => {
      body.destroy()
    })
    return body.pipe(through) as AsyncIterable<Uint8Array>
  }
  switch (encoding?.toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return pipe(createGunzip())
    case 'deflate':
      return pipe(createInflate())
    case 'br':
      return pipe(createBrotliDecompress())
    case 'zstd':
      return pipe(createZstdDecompress())
    default:
      return body
  }
}
