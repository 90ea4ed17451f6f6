/** TLS of all servers: who gets in, by which version, and certificates that are replaced while connections go on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before, suite } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { silentLog } from '#core/log.ts'
import { certificateOf as filesOf, hasOpenssl, makeCertificates } from '../../test/certificates.ts'
import { known } from './access.ts'
import { noAuth } from './auth.ts'
import { listenTcp, type BytePeer } from './byte-streams.ts'
import { certificateOf } from './client-certificate.ts'
import { GrpcServer } from './grpc.ts'
import { HttpServer } from './http.ts'
import { Certificates, type ClientAuth, type TlsVersion } from './tls-options.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-tls-'))
const old = join(directory, 'old'),
  renewed = join(directory, 'renewed')
const host = '127.0.0.1'

function textsOf(at: string, hasClientCa: boolean): { cert: string; key: string; clientCa: string | undefined } {
  const { ca, cert, key } = filesOf(at, 'server')
  return { cert, key, clientCa: hasClientCa ? ca : undefined }
}

interface Opened {
  readonly port: number
  stop(): Promise<void>
}

type Kind = 'http' | 'grpc' | 'bytes'

async function open(
  kind: Kind,
  certificates: Certificates,
  clientAuth: ClientAuth,
  onPeer: (peer: BytePeer) => void = () => {},
): Promise<Opened> {
  const tls = { certificates, clientAuth }
  const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))
  if (kind === 'bytes') {
    const connectPeer = (peer: BytePeer): { data: () => undefined; close: () => void } => {
      onPeer(peer)
      return { data: () => undefined, close: () => {} }
    }
    const { address, stop } = await listenTcp(host, 0, tls, connectPeer)
    return { port: portOf(address), stop }
  }
  if (kind === 'grpc') {
    const server = new GrpcServer([], 1000, noAuth, undefined)
    return { port: portOf(await server.listen(`${host}:0`, tls)), stop: () => server.close() }
  }
  const routes = [
    { methods: ['GET'] as const, path: '/', access: known, handler: async () => ({ status: 200, body: 'ok' }) },
  ]
  const server = new HttpServer(routes, [], {
    log: silentLog,
    bodyBytesMax: 1000,
    decodedBytesMax: 1000,
    onError: () => ({ status: 500 }),
    onRequest: () => {},
    monotonicMs: () => 0,
    auth: noAuth,
    tls,
  })
  return { port: portOf(await server.listen(host, 0)), stop: () => server.close() }
}

/** A connection that the server has taken: with TLS 1.3 a client learns of a refusal after its own part. */
async function dial(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host, port, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'], ...options })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  if (socket.getProtocol() !== 'TLSv1.3') return socket
  const ended = once(socket, 'close').then(() => false)
  const session = once(socket, 'session').then(() => true)
  if (await Promise.race([ended, session])) return socket
  throw new Error('refused')
}

async function nameOf(port: number, options: ConnectionOptions): Promise<string> {
  const socket = await dial(port, options)
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

suite('certificates', hasOpenssl, () => {
  before(() => {
    mkdirSync(old)
    mkdirSync(renewed)
    makeCertificates(old, ['server', 'client'], 'IP:127.0.0.1,DNS:localhost')
    makeCertificates(renewed, ['server', 'client'], 'IP:127.0.0.1,DNS:localhost')
  })
  after(() => {
    rmSync(directory, { recursive: true })
  })
  const kinds: readonly Kind[] = ['http', 'grpc', 'bytes']

  for (const kind of kinds)
    test(`${kind}: a new pair is shown to new connections, an old connection stays`, async () => {
      const certificates = new Certificates(textsOf(old, false))
      const server = await open(kind, certificates, 'none')
      const [first, second] = [filesOf(old, 'client'), filesOf(renewed, 'client')]
      const kept = await dial(server.port, { ca: first.ca })
      const before = await nameOf(server.port, { ca: first.ca })
      assert.throws(() => {
        certificates.replace({ ...textsOf(renewed, false), key: filesOf(old, 'server').key })
      }, /the private key is of another certificate/)
      assert.equal(await nameOf(server.port, { ca: first.ca }), before)
      certificates.replace(textsOf(renewed, false))
      assert.notEqual(await nameOf(server.port, { ca: second.ca }), before)
      await assert.rejects(nameOf(server.port, { ca: first.ca }))
      assert.equal(kept.destroyed, false)
      kept.destroy()
      await server.stop()
    })

  for (const kind of kinds)
    test(`${kind}: a client of an authority that is gone gets in no more, by an old session neither`, async () => {
      const certificates = new Certificates(textsOf(old, true))
      const server = await open(kind, certificates, 'required')
      const { ca, cert, key } = filesOf(old, 'client')
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        certificates.replace(textsOf(old, true))
        await assert.rejects(dial(server.port, { ca, maxVersion }).then(closed))
        let session: Buffer | undefined
        const kept = connect({ host, port: server.port, servername: 'localhost', ca, cert, key, maxVersion })
        kept.on('session', (ticket: Buffer) => {
          session ??= ticket
        })
        await Promise.all([once(kept, 'secureConnect'), once(kept, 'session')])
        certificates.replace({ ...textsOf(old, false), clientCa: filesOf(renewed, 'client').ca })
        assert.ok(session !== undefined)
        await assert.rejects(dial(server.port, { ca, cert, key, maxVersion, session }).then(closed))
        const other = filesOf(renewed, 'client')
        ;(await dial(server.port, { ca, cert: other.cert, key: other.key, maxVersion })).destroy()
        kept.destroy()
      }
      await server.stop()
    })

  for (const kind of kinds)
    test(`${kind}: the oldest version is what was said, and no old cipher is taken`, async () => {
      const { ca } = filesOf(old, 'client')
      const of = async (minVersion: TlsVersion | undefined, options: ConnectionOptions): Promise<string | null> => {
        const server = await open(kind, new Certificates(textsOf(old, false), minVersion), 'none')
        try {
          const socket = await dial(server.port, { ca, ...options })
          const protocol = socket.getProtocol()
          socket.destroy()
          return protocol
        } finally {
          await server.stop()
        }
      }
      assert.equal(await of(undefined, {}), 'TLSv1.3')
      assert.equal(await of(undefined, { maxVersion: 'TLSv1.2' }), 'TLSv1.2')
      await assert.rejects(of('TLSv1.3', { maxVersion: 'TLSv1.2' }))
      const weak = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
      await assert.rejects(of(undefined, weak))
      await assert.rejects(of(undefined, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }))
    })

  test('a client that may show a certificate is known by a checked one alone', async () => {
    const peers: (string | undefined)[] = []
    const server = await open('bytes', new Certificates(textsOf(old, true)), 'optional', peer => {
      peers.push(peer.certificate && `${peer.certificate.subject} ${peer.certificate.names.join(' ')}`)
    })
    const { ca, cert, key } = filesOf(old, 'client')
    const other = filesOf(renewed, 'client')
    for (const shown of [{}, { cert, key }, { cert: other.cert, key: other.key }])
      (await dial(server.port, { ca, ...shown })).destroy()
    assert.deepEqual(peers, [undefined, 'CN=client IP Address:127.0.0.1 DNS:localhost', undefined])
    await server.stop()
  })

  test('a plain request to an address with TLS is refused', async () => {
    const server = await open('http', new Certificates(textsOf(old, false)), 'none')
    await assert.rejects(fetch(`http://${host}:${server.port}/`))
    const { ca } = filesOf(old, 'client')
    const call = request({ host, port: server.port, path: '/', ca, agent: false }).end()
    const [reply] = await once(call, 'response')
    assert.equal(reply.statusCode, 200)
    reply.resume()
    await server.stop()
  })

  test('what is no certificate is said before anything listens', () => {
    const texts = textsOf(old, true)
    for (const [wrong, reason] of [
      [{ cert: 'x' }, /the certificate can't be read/],
      [{ key: 'x' }, /the private key can't be read/],
      [{ clientCa: 'x' }, /the authorities of clients can't be read/],
      [{ key: filesOf(renewed, 'server').key }, /the private key is of another certificate/],
    ] as const)
      assert.throws(() => new Certificates({ ...texts, ...wrong }), reason)
  })
})

/** Rejects where the server ends a connection that looked open to the client. */
async function closed(socket: TLSSocket): Promise<void> {
  await once(socket, 'close')
  throw new Error('refused')
}

test('a subject is written as RFC 4514 has it, and names as they stand in the certificate', () => {
  const of = (subject: object, subjectaltname?: string): string => {
    const { subject: text, names } = certificateOf({ raw: Buffer.from('x'), subject, subjectaltname } as never)!
    return [text, ...names].join(' | ')
  }
  assert.equal(of({ C: 'NL', O: 'Example', OU: ['a', 'b'], CN: 'shipper' }), 'CN=shipper,OU=b,OU=a,O=Example,C=NL')
  assert.equal(of({ CN: 'a,O=Admins+x' }), String.raw`CN=a\,O\=Admins\+x`)
  assert.equal(of({ CN: ' #a\n"\\ ' }), String.raw`CN=\ #a\0a\"\\\ `)
  assert.equal(
    of({}, 'DNS:a.example, URI:spiffe://x/y, IP Address:10.0.0.7'),
    ' | DNS:a.example | URI:spiffe://x/y | IP Address:10.0.0.7',
  )
  assert.equal(of({}, 'DNS:"a, DNS:b", DNS:c'), ' | DNS:a, DNS:b | DNS:c')
  assert.equal(certificateOf({}), undefined)
})
