/** Plain TCP, TLS and UDP servers for protocols that are bytes and nothing else. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer as createTcp, type Server, type Socket } from 'node:net'
import { createServer as createTls } from 'node:tls'
import type { TlsOptions } from './http.ts'

/** One connection's bytes. `close` comes once, whatever ended it. */
export interface ByteReceiver {
  data(bytes: Uint8Array): void
  close(): void
}

const keepAliveMs = 60_000

/** Listens at `host:port`, port 0 = any; returns the address and what stops it. */
export function listenTcp(
  host: string,
  port: number,
  tls: TlsOptions | undefined,
  connect: () => ByteReceiver,
): Promise<{ address: string; stop(): Promise<void> }> {
  const open = new Set<Socket>()
  const onConnection = (socket: Socket): void => {
    open.add(socket)
    const receiver = connect()
    socket.setKeepAlive(true, keepAliveMs)
    socket.on('data', (chunk: Buffer) => {
      receiver.data(chunk)
    })
    socket.on('error', () => {
      socket.destroy()
    })
    socket.once('close', () => {
      open.delete(socket)
      receiver.close()
    })
  }
  const server: Server =
    tls === undefined
      ? createTcp(onConnection)
      : createTls(
          {
            cert: tls.cert,
            key: tls.key,
            ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
          },
          onConnection,
        )
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      resolve({
        address: typeof address === 'object' && address !== null ? `${host}:${address.port}` : `${host}:${port}`,
        stop: () =>
          new Promise(done => {
            for (const socket of open) socket.destroy()
            server.close(() => {
              done()
            })
          }),
      })
    })
  })
}

export function listenUdp(
  host: string,
  port: number,
  onMessage: (bytes: Uint8Array) => void,
): Promise<{ address: string; stop(): Promise<void> }> {
  const socket: UdpSocket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', bytes => {
    onMessage(bytes)
  })
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, host, () => {
      resolve({
        address: `${host}:${socket.address().port}`,
        stop: () =>
          new Promise(done => {
            socket.close(() => {
              done()
            })
          }),
      })
    })
  })
}
