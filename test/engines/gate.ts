/**
 * The router of a pod network, a process inside of it. It is told on standard input, a line of JSON each, and answers
 * with a line when it listens.
 */
import { createServer as createHttpServer, request } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export interface Place {
  host: string
  port: number
}

/** An address inside, or a socket file, which the outside reaches too. */
export type End = Place | { path: string }

export interface Order {
  from: End
  to: End
  /** Requests of HTTP get them along the way. */
  headers?: Readonly<Record<string, string>>
}

function pipe(near: Socket, far: Socket): void {
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const)
    one
      .on('error', () => {
        other.destroy()
      })
      .on('close', () => {
        other.destroy()
      })
  near.pipe(far).pipe(near)
}

/** Everything that comes to an end goes on to another. */
export function forward(to: End): Server {
  return createServer({ allowHalfOpen: true }, socket => {
    pipe(socket, connect({ ...to, allowHalfOpen: true }))
  })
}

function forwardHttp(to: End, headers: Readonly<Record<string, string>>): Server {
  const place = 'path' in to ? { socketPath: to.path } : to
  return createHttpServer((message, reply) => {
    const onward = request(
      { ...place, method: message.method, path: message.url, headers: { ...message.headers, ...headers } },
      answer => {
        reply.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(reply)
      },
    )
    onward.on('error', () => {
      if (reply.headersSent) reply.destroy()
      else reply.writeHead(502).end('nobody listens')
    })
    message.pipe(onward)
  })
}

function listen(line: string): void {
  const { from, to, headers } = JSON.parse(line) as Order
  const server = headers === undefined ? forward(to) : forwardHttp(to, headers)
  server.once('error', error => {
    console.log(`failed ${error.message}`)
  })
  server.listen(from, () => {
    console.log('listens')
  })
}

if (process.argv[2] === 'run') {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', listen)
  // The end of the test is the end of its network.
  lines.once('close', () => process.exit(0))
}
