/** Who gets in by a certificate, at each door: HTTP/2, HTTP/1.1, WebSockets and gRPC. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { WebSocket } from 'ws'
import { silentLog } from '#core/log.ts'
import { certificateOf, hasOpenssl, makeCertificates } from '../../test/certificates.ts'
import { everything, known } from './access.ts'
import { Auth } from './auth.ts'
import { GrpcServer } from './grpc.ts'
import { HttpServer } from './http.ts'
import { Certificates } from './tls-options.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-subject-'))
after(() => {
  rmSync(directory, { recursive: true })
})

test(
  'a client is known by its certificate at each door, and by that of another authority at none',
  hasOpenssl,
  async () => {
    makeCertificates(directory, ['server', 'client'], 'IP:127.0.0.1,DNS:localhost')
    const { ca, cert, key } = certificateOf(directory, 'server')
    const client = certificateOf(directory, 'client')
    makeCertificates(directory, ['client'], 'DNS:localhost')
    const stranger = certificateOf(directory, 'client')
    const seen: (string | undefined)[] = []
    const auth = new Auth([
      {
        challenge: undefined,
        admit: ({ clientSubject }) => {
          seen.push(clientSubject)
          return everything
        },
      },
    ])
    const tls = { certificates: new Certificates({ cert, key, clientCa: ca }), clientAuth: 'optional' } as const
    const handler = async (): Promise<{ status: number }> => ({ status: 204 })
    const http = new HttpServer(
      [{ methods: ['GET'], path: '/', access: known, handler }],
      [{ path: '/tail', access: known, open: () => ({ status: 400, body: 'no' }) }],
      {
        log: silentLog,
        bodyBytesMax: 1000,
        decodedBytesMax: 1000,
        onError: () => ({ status: 500 }),
        onRequest: () => {},
        monotonicMs: () => 0,
        auth,
        tls,
      },
    )
    const echo = { service: 'a.B', method: 'C', access: known, handler: async () => new Uint8Array(0) }
    const grpc = new GrpcServer([echo], 1000, auth, tls)
    const [address, grpcAddress] = [await http.listen('127.0.0.1', 0), await grpc.listen('127.0.0.1:0')]
    for (const shown of [client, { cert: stranger.cert, key: stranger.key }, {}]) {
      const options = { ...shown, ca }
      const session = connect(`https://${address}`, options)
      const first = session.request({ ':path': '/' })
      await once(first.resume(), 'close')
      session.destroy()
      const [reply] = await once(request(`https://${address}/`, { ...options, agent: false }).end(), 'response')
      reply.resume()
      const socket = new WebSocket(`wss://${address}/tail`, options)
      socket.on('error', () => {})
      const [call] = await once(socket, 'unexpected-response')
      call.destroy()
      const calls = connect(`https://${grpcAddress}`, options)
      const headers = { ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc', te: 'trailers' }
      const stream = calls.request(headers)
      stream.end(Buffer.from([0, 0, 0, 0, 0]))
      await once(stream.resume(), 'close')
      calls.destroy()
    }
    const four = (subject: string | undefined): (string | undefined)[] => [subject, subject, subject, subject]
    assert.deepEqual(seen, [...four('CN=client'), ...four(undefined), ...four(undefined)])
    await Promise.all([http.close(), grpc.close()])
  },
)
