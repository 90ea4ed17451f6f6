/** What gRPC's address takes of a client that is no client of gRPC: a browser, or one that opens calls without end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import test from 'node:test'
import { known } from './access.ts'
import { noAuth } from './auth.ts'
import { GrpcServer, type GrpcMethod } from './grpc.ts'

async function serving(
  methods: readonly GrpcMethod[],
  work: (session: ClientHttp2Session) => Promise<void>,
): Promise<void> {
  const server = new GrpcServer(methods, 1000, noAuth, undefined)
  const session = connect(`http://${await server.listen('127.0.0.1:0')}`)
  session.on('error', () => {})
  try {
    await once(session, 'remoteSettings')
    await work(session)
  } finally {
    session.destroy()
    await server.close()
  }
}

test('what a page may send without a preflight is refused, whatever its type says', async () => {
  let calls = 0
  const method: GrpcMethod = {
    service: 'some.Service',
    method: 'Export',
    access: known,
    handler: async () => {
      calls++
      return new Uint8Array(0)
    },
  }
  await serving([method], async session => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      undefined,
    ]) {
      const headers = { ':method': 'POST', ':path': '/some.Service/Export', origin: 'https://evil.example' }
      const stream = session.request({ ...headers, ...(type === undefined ? {} : { 'content-type': type }) })
      stream.on('error', () => {})
      stream.end(Buffer.from([0, 0, 0, 0, 0]))
      const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
      assert.equal(reply[':status'], 415, String(type))
      stream.destroy()
    }
  })
  assert.equal(calls, 0)
})

test('a connection has a hundred calls at a time', async () => {
  await serving([], async session => {
    assert.equal(session.remoteSettings.maxConcurrentStreams, 100)
  })
})
