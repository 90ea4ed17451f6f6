/** HTTP/2 and HTTP/1.1 at one address over TLS: the same routes, limits and guards. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before, suite } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { CanceledError, messageOf } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { certificateOf, hasOpenssl, makeCertificates } from '../../test/certificates.ts'
import { untilTrue } from '../../test/until.ts'
import { known } from './access.ts'
import { noAuth } from './auth.ts'
import { BrowserRules } from './browser-rules.ts'
import { clientSubject } from './client-certificate.ts'
import { HttpServer, type HttpServerOptions } from './http.ts'
import { allowing, route, type Handler, type Route } from './route-table.ts'
import { createSecureHttpServer } from './secure-server.ts'
import { Certificates, type TlsOptions } from './tls-options.ts'
import type { SocketRoute } from './web-socket.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-h2-'))
const long = 'a line of an answer\n'.repeat(20_000)

interface Served {
  readonly url: string
  readonly server: HttpServer
  readonly session: ClientHttp2Session
}

function tlsOf(): TlsOptions {
  const { ca, cert, key } = certificateOf(directory, 'server')
  return { certificates: new Certificates({ cert, key, clientCa: ca }), clientAuth: 'optional' }
}

function clientOf(): { ca: string; cert: string; key: string } {
  return certificateOf(directory, 'client')
}

async function serving(
  routes: readonly Route[],
  work: (served: Served) => Promise<void>,
  options: Partial<HttpServerOptions> = {},
  sockets: readonly SocketRoute[] = [],
): Promise<void> {
  const server = new HttpServer(allowing(known, routes), sockets, {
    log: silentLog,
    bodyBytesMax: 1_000_000,
    decodedBytesMax: 5_000_000,
    onError: error => ({ status: 500, body: `mapped: ${messageOf(error)}` }),
    onRequest: () => {},
    monotonicMs: () => 0,
    auth: noAuth,
    tls: tlsOf(),
    ...options,
  })
  const url = `https://${await server.listen('127.0.0.1', 0)}`
  const session = connect(url, { ca: clientOf().ca })
  session.on('error', () => {})
  await once(session, 'remoteSettings')
  try {
    await work({ url, server, session })
  } finally {
    session.destroy()
    await server.close()
  }
}

interface Reply {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

async function replyOf(stream: ClientHttp2Stream): Promise<Reply> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece as Buffer)
  return { status: headers[':status'], headers, body: Buffer.concat(pieces) }
}

function ask(
  session: ClientHttp2Session,
  path: string,
  more: Record<string, string> = {},
  body?: string | Buffer,
): Promise<Reply> {
  const stream = session.request({ ':path': path, ...more }, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return replyOf(stream)
}

suite('HTTP/2', hasOpenssl, () => {
  before(() => {
    makeCertificates(directory, ['server', 'client'], 'IP:127.0.0.1,DNS:localhost')
  })
  after(() => {
    rmSync(directory, { recursive: true })
  })

  test('routes, forms, packed bodies and answers, errors and guards are those of HTTP/1.1', async () => {
    async function* pieces(): AsyncGenerator<string> {
      yield 'one '
      yield 'two'
    }
    const routes = [
      route(['GET'], '/short', async () => ({ status: 200, body: 'short' })),
      route(['GET'], '/long', async () => ({ status: 200, body: long })),
      route(['GET'], '/pieces', async () => ({ status: 200, body: pieces() })),
      route(['GET'], '/nothing', async () => ({ status: 204 })),
      route(['GET'], '/fails', async () => Promise.reject(new Error('no'))),
      route(['POST'], '/form', async asked => ({ status: 200, body: (await asked.form()).get('q') ?? '' })),
      route(['POST'], '/body', async asked => ({ status: 200, body: String((await asked.body()).length) })),
      route(['GET'], '/host', async asked => ({ status: 200, body: asked.header('host') ?? '' })),
    ]
    const browsers = new BrowserRules({ allowedHosts: [], corsOrigins: [] })
    await serving(
      routes,
      async ({ url, session }) => {
        const short = await ask(session, '/short')
        assert.deepEqual([short.status, short.body.toString()], [200, 'short'])
        assert.equal(short.headers['x-content-type-options'], 'nosniff')
        assert.equal(short.headers['connection'], undefined)
        assert.equal((await ask(session, '/long')).body.toString(), long)
        const packed = await ask(session, '/long', { 'accept-encoding': 'gzip' })
        assert.equal(packed.headers['content-encoding'], 'gzip')
        assert.equal(gunzipSync(packed.body).toString(), long)
        assert.equal((await ask(session, '/pieces')).body.toString(), 'one two')
        assert.equal((await ask(session, '/nothing')).status, 204)
        for (const path of ['/short', '/long', '/pieces']) {
          const head = await ask(session, path, { ':method': 'HEAD' })
          assert.deepEqual([head.status, head.body.length], [200, 0], path)
        }
        const failed = await ask(session, '/fails')
        assert.deepEqual([failed.status, failed.body.toString()], [500, 'mapped: no'])
        assert.equal((await ask(session, '/nosuch')).status, 404)
        const form = { ':method': 'POST', 'content-type': 'application/x-www-form-urlencoded' }
        assert.equal((await ask(session, '/form', form, 'q=up')).body.toString(), 'up')
        const gzip = { ':method': 'POST', 'content-encoding': 'gzip' }
        assert.equal((await ask(session, '/body', gzip, gzipSync(long))).body.toString(), String(long.length))
        assert.equal((await ask(session, '/host')).body.toString(), new URL(url).host)
        assert.equal((await ask(session, '/short', { ':authority': 'rebind.example' })).status, 403)
        const foreign = { ':method': 'POST', origin: 'https://evil.example' }
        assert.equal((await ask(session, '/body', foreign, 'x')).status, 403)
        // A client that speaks HTTP/1.1, at the same address.
        const call = request(`${url}/short`, { ca: clientOf().ca, agent: false }).end()
        const [reply] = await once(call, 'response')
        assert.deepEqual([reply.httpVersion, reply.statusCode], ['1.1', 200])
        reply.resume()
      },
      { browsers },
    )
  })

  test('bodies have the same limits, and one that breaks off is no body', async () => {
    const seen: string[] = []
    const handler: Handler = async asked => {
      try {
        const { length } = await asked.body()
        seen.push(String(length))
        return { status: 200, body: String(length) }
      } catch (error) {
        seen.push(error instanceof CanceledError ? 'canceled' : messageOf(error))
        throw error
      }
    }
    await serving(
      [route(['POST'], '/body', handler)],
      async ({ session }) => {
        const post = { ':method': 'POST' }
        assert.equal((await ask(session, '/body', post, Buffer.alloc(1000))).body.toString(), '1000')
        assert.match((await ask(session, '/body', post, Buffer.alloc(300_000))).body.toString(), /more than 1000 bytes/)
        const declared = { ...post, 'content-length': '1001' }
        assert.match(
          (await ask(session, '/body', declared, Buffer.alloc(1001))).body.toString(),
          /1001 bytes, the limit/,
        )
        seen.length = 0
        const broken = session.request({ ':path': '/body', ...post })
        broken.on('error', () => {})
        broken.write('a part')
        await new Promise(resolve => session.ping(resolve))
        broken.close(constants.NGHTTP2_CANCEL)
        await untilTrue(() => seen.length > 0, 'the end of the request')
        assert.deepEqual(seen, ['canceled'])
        assert.equal((await ask(session, '/body', post, 'x')).body.toString(), '1', 'the connection goes on')
      },
      { bodyBytesMax: 1000 },
    )
  })

  test('an answer that nobody takes is ended after the write timeout, others of its connection go on', async () => {
    const clock = new VirtualClock(0)
    let slowReaders = 0,
      drops = 0
    const routes = [
      route(['GET'], '/long', async () => ({ status: 200, body: 'x'.repeat(5_000_000), drop: () => drops++ })),
      route(['GET'], '/short', async () => ({ status: 200, body: 'short' })),
    ]
    await serving(
      routes,
      async ({ session }) => {
        const stuck = session.request({ ':path': '/long' })
        const ended = new Promise<void>(resolve => {
          stuck.once('close', resolve)
        })
        stuck.on('error', () => {})
        await once(stuck, 'response')
        for (let second = 0; second < 29; second++) await clock.advance(1000)
        assert.equal(slowReaders, 0)
        assert.equal((await ask(session, '/short')).body.toString(), 'short')
        for (let second = 0; second < 4; second++) await clock.advance(1000)
        await untilTrue(() => slowReaders === 1, 'the end of the answer')
        stuck.resume()
        await ended
        assert.equal(drops, 1)
        assert.equal((await ask(session, '/short')).body.toString(), 'short')
        assert.equal((await ask(session, '/long')).body.length, 5_000_000)
        assert.equal(slowReaders, 1)
      },
      {
        writeTimeoutMs: 30_000,
        monotonicMs: () => clock.monotonicMs(),
        after: (delayMs, run) => clock.after(delayMs, run),
        onSlowReader: () => slowReaders++,
      },
    )
  })

  test('a server that closes answers what is under way, then ends the connection', async () => {
    let answer = (): void => {}
    const waiting = new Promise<void>(resolve => {
      answer = resolve
    })
    const handler: Handler = async () => {
      await waiting
      return { status: 200, body: 'late' }
    }
    await serving([route(['GET'], '/late', handler)], async ({ session, server }) => {
      const late = ask(session, '/late')
      await new Promise(resolve => session.ping(resolve))
      const sessionClosed = once(session, 'close')
      const closed = server.close()
      await once(session, 'goaway')
      answer()
      assert.equal((await late).body.toString(), 'late')
      await sessionClosed
      await closed
    })
  })

  test('a connection without requests is closed after a while, and one with a request is not', async () => {
    const clock = new VirtualClock(0)
    let answer = (): void => {}
    const waiting = new Promise<void>(resolve => {
      answer = resolve
    })
    const handler: Handler = async () => {
      await waiting
      return { status: 200, body: 'late' }
    }
    await serving(
      [route(['GET'], '/late', handler)],
      async ({ session }) => {
        const late = ask(session, '/late')
        await new Promise(resolve => session.ping(resolve))
        await clock.advance(100_000)
        answer()
        assert.equal((await late).body.toString(), 'late')
        await new Promise(resolve => session.ping(resolve))
        await clock.advance(71_000)
        assert.equal(session.closed, false)
        const closed = new Promise<void>(resolve => {
          session.once('close', resolve)
        })
        await clock.advance(2000)
        await closed
      },
      { monotonicMs: () => clock.monotonicMs(), after: (delayMs, run) => clock.after(delayMs, run) },
    )
  })

  test('a client that takes its requests back without end loses its connection, others keep theirs', async () => {
    let begun = 0
    const handler: Handler = async asked => {
      begun++
      await once(asked.signal, 'abort')
      throw new CanceledError('gone')
    }
    const routes = [route(['GET'], '/slow', handler), route(['GET'], '/ok', async () => ({ status: 200, body: 'ok' }))]
    await serving(routes, async ({ url, session }) => {
      assert.equal(session.remoteSettings.maxConcurrentStreams, 100)
      const hostile = connect(url, { ca: clientOf().ca })
      hostile.on('error', () => {})
      const closed = new Promise<void>(resolve => {
        hostile.once('close', resolve)
      })
      for (let i = 0; i < 2000 && !hostile.closed && !hostile.destroyed; i++) {
        const stream = hostile.request({ ':path': '/slow' })
        stream.on('error', () => {})
        stream.close(constants.NGHTTP2_CANCEL)
        if (i % 50 === 49) await new Promise(resolve => setImmediate(resolve))
      }
      await closed
      assert.ok(begun < 500, `${begun} requests were begun`)
      assert.equal((await ask(session, '/ok')).body.toString(), 'ok')
    })
  })

  test('a WebSocket opens beside it', async () => {
    const open: SocketRoute['open'] = () => socket => {
      socket.send('hello')
    }
    await serving(
      [],
      async ({ url }) => {
        const client = new WebSocket(`${url.replace('https', 'wss')}/tail`, { ca: clientOf().ca })
        const [message] = await once(client, 'message')
        assert.equal(String(message), 'hello')
        client.terminate()
      },
      {},
      [{ path: '/tail', access: known, open }],
    )
  })

  test('the subject of a client is known by either version', async () => {
    const server = createSecureHttpServer(tlsOf(), (raw, response) => {
      response.end(`${raw.httpVersion} ${String(clientSubject(raw.socket))} ${String(raw.socket.remoteAddress)}`)
    })
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = server.address() as { port: number }
    const { ca, cert, key } = clientOf()
    for (const [shown, subject] of [
      [{ cert, key }, 'CN=client'],
      [{}, 'undefined'],
    ] as const) {
      const session = connect(`https://127.0.0.1:${port}`, { ca, ...shown })
      assert.equal((await ask(session, '/')).body.toString(), `2.0 ${subject} 127.0.0.1`)
      session.destroy()
      const agent = new Agent({ ca, ...shown })
      const [reply] = await once(request({ host: '127.0.0.1', port, agent }).end(), 'response')
      let text = ''
      for await (const piece of reply) text += String(piece)
      assert.equal(text, `1.1 ${subject} 127.0.0.1`)
      agent.destroy()
    }
    await new Promise(resolve => server.close(resolve))
  })
})
