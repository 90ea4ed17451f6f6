/**
 * HTTP over TLS: HTTP/2 and HTTP/1.1 at one address, as the client chooses (ALPN). Requests and answers of HTTP/2 come
 * through Node's compatible interface; what differs is settled here.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Clock, Timer } from '#core/clock.ts'
import { followCertificates, secureOptions, type TlsOptions } from './tls-options.ts'

/**
 * What one connection may take: requests at a time, bytes of bodies that nobody has read yet (all together and of each
 * request), requests that are taken back (so many at once, and so many a second after these), wrong frames, and memory
 * for headers and frames, in MB.
 */
const session = {
  maxConcurrentStreams: 100,
  initialWindowSize: 256 * 1024,
  windowBytes: 1024 * 1024,
  streamResetBurst: 200,
  streamResetRate: 50,
  maxSessionInvalidFrames: 100,
  maxSessionMemory: 10,
} as const

const sessionsOf = new WeakMap<object, ReadonlySet<ServerHttp2Session>>()

interface Idleness {
  readonly after: Clock['after']
  readonly idleMs: number
}

/** `idleness`: a connection of HTTP/2 without a request for so long is closed. Default: none is. */
export function createSecureHttpServer(
  tls: TlsOptions,
  onRequest: RequestListener,
  idleness?: Idleness,
): Http2SecureServer {
  const { maxConcurrentStreams, initialWindowSize, windowBytes, ...limits } = session
  const server = createSecureServer(
    {
      ...secureOptions(tls),
      ...limits,
      allowHTTP1: true,
      ALPNProtocols: ['h2', 'http/1.1'],
      settings: { maxConcurrentStreams, initialWindowSize, enablePush: false },
    },
    // The compatible interface has what is used here of HTTP/1.1's; the rest goes through the functions below.
    onRequest as unknown as Parameters<typeof createSecureServer>[1],
  )
  const sessions = new Set<ServerHttp2Session>()
  sessionsOf.set(server, sessions)
  server.on('session', (one: ServerHttp2Session) => {
    sessions.add(one)
    one.once('close', () => sessions.delete(one))
    one.setLocalWindowSize(windowBytes)
    if (idleness !== undefined) closeWhenIdle(one, idleness)
    one.on('error', () => {
      // It ends with its connection, and the requests of it are aborted.
    })
  })
  // Errors of handshakes: the clients see them.
  server.on('tlsClientError', (_error, socket) => {
    socket.destroy()
  })
  followCertificates(server, tls)
  return server
}

function closeWhenIdle(one: ServerHttp2Session, { after, idleMs }: Idleness): void {
  const arm = (): Timer =>
    after(idleMs, () => {
      one.close()
    })
  let open = 0
  let timer = arm()
  one.on('stream', stream => {
    open++
    timer.cancel()
    stream.once('close', () => {
      if (--open === 0 && !one.closed) timer = arm()
    })
  })
  one.once('close', () => {
    timer.cancel()
  })
}

/** Takes no new requests on its connections, answers those that are under way, and closes. */
export function closeGently(server: Server | Http2SecureServer): Promise<void> {
  return new Promise(resolve => {
    server.close(() => {
      resolve()
    })
    for (const one of sessionsOf.get(server) ?? []) one.close()
    if ('closeIdleConnections' in server) server.closeIdleConnections()
  })
}

/** The connections of a server, those whose handshake is not done too. */
export function connectionsOf(server: Server | Http2SecureServer): ReadonlySet<Socket> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return open
}

type Stream = ServerHttp2Stream & { readonly headRequest?: boolean }

function streamOf(response: ServerResponse): Stream | undefined {
  return (response as Partial<{ stream: Stream }>).stream
}

export function isHttp2(raw: IncomingMessage): boolean {
  return raw.httpVersionMajor >= 2
}

/** Errors of one request end that request alone: without a listener they would end the process. */
export function quietErrors(raw: IncomingMessage, response: ServerResponse): void {
  for (const one of [raw, response, streamOf(response)])
    one?.on('error', () => {
      // The stream ends, which is what its reader and its writer look at.
    })
}

/** Whether nobody is there any more to take the answer. */
export function isGone(response: ServerResponse): boolean {
  return streamOf(response)?.destroyed ?? response.destroyed
}

/** Whether the request was HEAD: HTTP/2's answer takes no body then, not even one that is left out. */
export function isBodiless(response: ServerResponse): boolean {
  return streamOf(response)?.headRequest === true
}

/** An answer of HTTP/2 as `SlowSockets` looks at a connection: what was written, and what of it waits. */
export class StreamReader {
  readonly #response: ServerResponse
  #bytes = 0

  constructor(response: ServerResponse) {
    this.#response = response
    const write = response.write.bind(response) as (...parameters: unknown[]) => boolean
    response.write = (piece: unknown, ...more: unknown[]) => {
      this.#bytes += typeof piece === 'string' ? Buffer.byteLength(piece) : (piece as Uint8Array).length
      return write(piece, ...more)
    }
  }

  get bytesWritten(): number {
    return this.#bytes
  }

  get writableLength(): number {
    return this.#response.writableLength
  }

  destroy(): void {
    this.#response.destroy()
  }
}
