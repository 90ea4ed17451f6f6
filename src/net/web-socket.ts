/** WebSocket endpoints beside the HTTP ones: a route looks at the request first, and refuses it or takes the connection. */
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { Auth } from './auth.ts'

export interface SocketRequest {
  path: string
  query: URLSearchParams
  header(name: string): string | undefined
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
  /** A refusal, or what to do with the connection. */
  open(request: SocketRequest): { status: number; body: string } | ((socket: ServerSocket) => void)
}

const waitingBytesMax = 16 * 1024 * 1024

/** Serves the routes on a listening server; returns what ends all connections. */
export function serveSockets(server: Server, routes: readonly SocketRoute[], auth: Auth): () => void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 * 1024 })
  const refuse = (socket: Duplex, status: number, body: string): void => {
    socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
  }
  server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    const url = message.url ?? '/'
    const question = url.indexOf('?')
    const path = question < 0 ? url : url.slice(0, question)
    const route = routes.find(r => r.path === path)
    socket.on('error', () => {
      socket.destroy()
    })
    if (route === undefined) {
      refuse(socket, 404, '404 page not found\n')
      return
    }
    const problem = auth.refuses(path, message.headers.authorization)
    if (problem !== undefined) {
      refuse(socket, 401, `401: ${problem}\n`)
      return
    }
    const decision = route.open({
      path,
      query: new URLSearchParams(question < 0 ? '' : url.slice(question + 1)),
      header: name => {
        const value = message.headers[name]
        return Array.isArray(value) ? value[0] : value
      },
    })
    if (typeof decision !== 'function') {
      refuse(socket, decision.status, decision.body)
      return
    }
    sockets.handleUpgrade(message, socket, head, connection => {
      connection.on('error', () => {
        connection.terminate()
      })
      decision({
        get waitingBytes() {
          return connection.bufferedAmount
        },
        send: text => {
          // Who reads this slowly has been told that lines are dropped; beyond that the connection is of no use.
          if (connection.bufferedAmount > waitingBytesMax) connection.terminate()
          else connection.send(text)
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
      })
    })
  })
  return () => {
    for (const connection of sockets.clients) connection.terminate()
  }
}
