/** WebSocket endpoints beside the HTTP ones: a route refuses a request, or takes the connection. */
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Http2SecureServer } from 'node:http2'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { messageOf } from '#core/errors.ts'
import type { Access, Caller, Grant } from './access.ts'
import { isRefusal, type Asking, type Auth } from './auth.ts'
import { guardHeaders, type BrowserRules } from './browser-rules.ts'
import { clientSubject } from './client-certificate.ts'

export interface SocketRequest extends Caller {
  path: string
  query: URLSearchParams
}

/** What a route sees of a connection. */
export interface ServerSocket {
  /** Bytes that wait to be sent. */
  readonly waitingBytes: number
  send(text: string): void
  ping(): void
  close(code: number, reason: string): void
  onClose(run: () => void): void
}

export interface SocketRoute {
  path: string
  access: Access
  /** A refusal, or what to do with the connection. */
  open(request: SocketRequest): Refusal | ((socket: ServerSocket) => void)
}

interface Refusal {
  status: number
  body: string
}

const waitingBytesMax = 16 * 1024 * 1024
const messageBytesMax = 1024 * 1024

/** Serves the routes on a listening server; returns what ends all connections. */
export function serveSockets(
  server: Server | Http2SecureServer,
  routes: readonly SocketRoute[],
  auth: Auth,
  browsers?: BrowserRules,
): () => void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: messageBytesMax })
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {
      socket.destroy()
    })
    void decide(message, routes, auth, browsers).then(decision => {
      if ('status' in decision) {
        refuse(socket, decision)
        return
      }
      const { run, access, asking, grant } = decision
      sockets.handleUpgrade(message, socket, head, connection => {
        connection.on('error', () => {
          connection.terminate()
        })
        const end = (): void => {
          connection.close(1008, 'the credential is no longer what it was')
        }
        connection.once('close', auth.attend({ access, asking, grant, end }))
        run(socketOf(connection))
      })
    })
  })
  return () => {
    for (const connection of sockets.clients) connection.terminate()
  }
}

/** A refusal, or what runs the connection, and who it is. */
type Decision =
  | Refusal
  | {
      readonly run: (socket: ServerSocket) => void
      readonly access: Access
      readonly asking: Asking
      readonly grant: Grant
    }

/** A browser asks nobody before it opens a WebSocket to another origin, and lets the page read it. */
function refuseByBrowser(message: IncomingMessage, browsers: BrowserRules | undefined): Refusal | undefined {
  const header = headerOf(message)
  const problem = browsers?.refusesHost('GET', header) ?? browsers?.refusesOrigin(header, false)
  return problem === undefined ? undefined : { status: 403, body: `403: ${problem}\n` }
}

function headerOf(message: IncomingMessage): (name: string) => string | undefined {
  return name => {
    const value = message.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
}

/** Never rejects: what fails is a refusal. */
async function decide(
  message: IncomingMessage,
  routes: readonly SocketRoute[],
  auth: Auth,
  browsers: BrowserRules | undefined,
): Promise<Decision> {
  const foreign = refuseByBrowser(message, browsers)
  if (foreign !== undefined) return foreign
  const url = message.url ?? '/'
  const question = url.indexOf('?')
  const path = question < 0 ? url : url.slice(0, question)
  const route = routes.find(r => r.path === path)
  if (route === undefined) return { status: 404, body: '404 page not found\n' }
  try {
    const { access } = route
    const { authorization, cookie } = message.headers
    const remoteAddress = auth.addresses.of(message.socket.remoteAddress, forwardedFor(message))
    const asking = { authorization, cookie, remoteAddress, clientSubject: clientSubject(message.socket) }
    const admission = await auth.enter(access, asking)
    if (isRefusal(admission)) return { status: admission.status, body: `${admission.status}: ${admission.reason}\n` }
    const opened = route.open(requestOf(message, path, admission))
    return typeof opened === 'function' ? { run: opened, access, asking, grant: admission } : opened
  } catch (error) {
    return { status: 500, body: `${messageOf(error)}\n` }
  }
}

function forwardedFor({ headers }: IncomingMessage): string | undefined {
  const value = headers['x-forwarded-for']
  return Array.isArray(value) ? value.join(',') : value
}

function requestOf(message: IncomingMessage, path: string, grant: Grant): SocketRequest {
  return {
    path,
    query: new URLSearchParams((message.url ?? '').slice(path.length + 1)),
    grant,
    header: headerOf(message),
  }
}

function refuse(socket: Duplex, { status, body }: Refusal): void {
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    ...Object.entries(guardHeaders).map(([name, value]) => `${name}: ${value}`),
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function socketOf(connection: WebSocket): ServerSocket {
  return {
    get waitingBytes() {
      return connection.bufferedAmount
    },
    send: text => {
      // Routes drop lines for a client that reads slowly; beyond this limit the connection is of no use.
      if (connection.bufferedAmount > waitingBytesMax) {
        connection.terminate()
        return
      }
      connection.send(text)
    },
    ping: () => {
      connection.ping()
    },
    close: (code, reason) => {
      connection.close(code, reason)
    },
    onClose: run => {
      connection.once('close', run)
    },
  }
}
