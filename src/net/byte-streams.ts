/** Plain TCP, TLS and UDP servers for protocols that are bytes and nothing else. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer as createTcp, type Socket } from 'node:net'
import { createServer as createTls, type Server as TlsServer } from 'node:tls'
import { clientCertificate, type ClientCertificate } from './client-certificate.ts'
import { checkPort, listenError } from './listen-error.ts'
import { followCertificates, secureOptions, type TlsOptions } from './tls-options.ts'

/** Who sends on a connection. */
export interface BytePeer {
  /** Of a client whose certificate was checked. */
  readonly certificate: ClientCertificate | undefined
  /** From which it comes. */
  readonly address: string | undefined
  /** Ends the connection: what comes is not of the protocol. */
  end(): void
}

/** One connection's bytes. `close` comes once, whatever ended it. */
export interface ByteReceiver {
  /** Where it returns a promise, nothing is read from the connection until that is resolved. It must not reject. */
  data(bytes: Uint8Array): Promise<void> | undefined
  close(): void
}

const keepAliveMs = 60_000

/** A server that listens. */
export interface Listening {
  /** `host:port`, with the port that was opened. */
  readonly address: string
  /** Ends all connections, and closes. */
  stop(): Promise<void>
}

/** Port 0 = any. Throws BadDataError, and leaves nothing open, where the address can't be listened at. */
export async function listenTcp(
  host: string,
  port: number,
  tls: TlsOptions | undefined,
  connect: (peer: BytePeer) => ByteReceiver,
): Promise<Listening> {
  checkPort(`${host}:${port}`)
  const open = new Set<Socket>()
  const onConnection = (socket: Socket): void => {
    open.add(socket)
    const { remoteAddress: address } = socket
    const receiver = connect({ certificate: clientCertificate(socket), address, end: () => socket.destroy() })
    socket.setKeepAlive(true, keepAliveMs)
    socket.on('data', (chunk: Buffer) => {
      const room = receiver.data(chunk)
      if (room === undefined) return
      socket.pause()
      void room.then(() => socket.resume())
    })
    socket.on('error', () => {
      socket.destroy()
    })
    socket.once('close', () => {
      open.delete(socket)
      receiver.close()
    })
  }
  const server = tls === undefined ? createTcp(onConnection) : secureServer(tls, onConnection)
  const stop = (): Promise<void> =>
    new Promise(done => {
      for (const socket of open) socket.destroy()
      server.close(() => {
        done()
      })
    })
  return opened(`${host}:${port}`, stop, (resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      resolve(`${host}:${typeof address === 'object' && address !== null ? address.port : port}`)
    })
  })
}

function secureServer(tls: TlsOptions, onConnection: (socket: Socket) => void): TlsServer {
  const server = createTls(secureOptions(tls), onConnection)
  followCertificates(server, tls)
  return server
}

/**
 * Port 0 = any. Throws BadDataError, and leaves nothing open, where the address can't be listened at. `address`: from
 * which a datagram says that it comes.
 */
export async function listenUdp(
  host: string,
  port: number,
  onMessage: (bytes: Uint8Array, address: string) => void,
): Promise<Listening> {
  checkPort(`${host}:${port}`)
  const socket: UdpSocket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (bytes, { address }) => {
    onMessage(bytes, address)
  })
  const stop = (): Promise<void> =>
    new Promise(done => {
      socket.close(() => {
        done()
      })
    })
  return opened(`${host}:${port}`, stop, (resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, host, () => {
      resolve(`${host}:${socket.address().port}`)
    })
  })
}

/** Closes what could not listen: a socket that failed to bind would keep the process alive. */
async function opened(
  wanted: string,
  stop: () => Promise<void>,
  listen: (resolve: (address: string) => void, reject: (error: Error) => void) => void,
): Promise<Listening> {
  try {
    return { address: await new Promise(listen), stop }
  } catch (error) {
    await stop()
    throw listenError(wanted, error)
  }
}
