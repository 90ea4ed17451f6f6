/** WebSocket endpoints: refusals before the upgrade, messages after it, and clients that read too slowly. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import test from 'node:test'
import { WebSocket } from 'ws'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { known } from './access.ts'
import { Auth, oneToken } from './auth.ts'
import { HttpServer, type HttpServerOptions } from './http.ts'
import { allowing, route, type GuardedRoute } from './route-table.ts'
import type { ServerSocket, SocketRoute } from './web-socket.ts'

/** Node 24 has it since 24.9. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const takesOtherUpgrades = major > 24 || (major === 24 && minor >= 9)

/** Runs the work against a server with this endpoint at /tail. */
async function serving(
  open: SocketRoute['open'],
  work: (url: string) => Promise<void>,
  bearerToken = '',
  options: Partial<HttpServerOptions> = {},
  routes: readonly GuardedRoute[] = [],
): Promise<void> {
  const server = new HttpServer(routes, [{ path: '/tail', access: known, open }], {
    log: silentLog,
    bodyBytesMax: 1000,
    decodedBytesMax: 1000,
    onError: () => ({ status: 500 }),
    onRequest: () => {},
    monotonicMs: () => 0,
    auth: new Auth(bearerToken === '' ? [] : [oneToken(bearerToken)]),
    tls: undefined,
    ...options,
  })
  const url = `ws://${await server.listen('127.0.0.1', 0)}`
  try {
    await work(url)
  } finally {
    await server.close()
  }
}

test('a client that offers HTTP/2 in plain text is answered as any other', async t => {
  if (!takesOtherUpgrades) {
    t.skip('this Node.js can not tell what is to be upgraded')
    return
  }
  const ask = (url: string, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest(url.replace('ws:', 'http:'), { method: 'POST', agent: false, headers }, reply => {
        reply.resume()
        resolve(reply.statusCode ?? 0)
      })
      sent.once('error', reject)
      sent.end('body')
    })
  const answer = route(['POST'], '/push', async request => ({
    status: (await request.body()).length === 4 ? 204 : 400,
  }))
  const offer = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA' }
  await serving(
    () => ({ status: 400, body: '' }),
    async url => {
      assert.equal(await ask(`${url}/push`, { ...offer, authorization: 'Bearer secret' }), 204)
      assert.equal(await ask(`${url}/push`, offer), 401)
    },
    'secret',
    {},
    allowing(known, [answer]),
  )
})

/** The reply to an upgrade that is refused: status and body. */
function refusal(url: string, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = new WebSocket(url, { headers })
    client.on('open', () => {
      reject(new Error('it was opened'))
    })
    client.on('error', () => {
      // Follows a refusal.
    })
    client.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('utf8')
      })
      response.on('end', () => {
        resolve(`${response.statusCode ?? 0} ${body}`)
      })
    })
  })
}

test('unknown paths, missing credentials and what the route refuses are HTTP replies', async () => {
  const open: SocketRoute['open'] = ({ path, query, header }) => ({
    status: 400,
    body: `${path} ${query.get('query') ?? 'none'} ${header('x-own') ?? 'none'}\n`,
  })
  await serving(open, async url => {
    assert.equal(await refusal(`${url}/nosuch`), '404 404 page not found\n')
    assert.equal(await refusal(`${url}/tail`), '400 /tail none none\n')
    assert.equal(await refusal(`${url}/tail?query=%7B%7D&x`, { 'x-own': 'v' }), '400 /tail {} v\n')
  })
  await serving(
    open,
    async url => {
      const missing = '401 401: credentials are missing: send an Authorization header\n'
      assert.equal(await refusal(`${url}/tail?query=x`), missing)
      assert.match(await refusal(`${url}/tail`, { authorization: 'Bearer t' }), /^400 /)
    },
    't',
  )
})

test('texts and pings go out, a close says why, and the route learns of the end', async () => {
  let onClosed = (): void => {}
  const closed = new Promise<void>(resolve => {
    onClosed = resolve
  })
  const open: SocketRoute['open'] = () => socket => {
    socket.onClose(onClosed)
    assert.equal(socket.waitingBytes, 0)
    socket.send('hello')
    socket.ping()
    socket.close(1011, 'the end')
  }
  await serving(open, async url => {
    const client = new WebSocket(`${url}/tail`)
    const events: string[] = []
    client.on('message', (data: Buffer) => {
      events.push(data.toString('utf8'))
    })
    client.on('ping', () => {
      events.push('ping')
    })
    const [code, reason] = (await once(client, 'close')) as [number, Buffer]
    await closed
    assert.deepEqual(events, ['hello', 'ping'])
    assert.deepEqual([code, reason.toString('utf8')], [1011, 'the end'])
  })
})

test('a client that reads too slowly is cut off, and so are all when the server stops', async () => {
  let onOpened: (socket: ServerSocket) => void = () => {}
  const open: SocketRoute['open'] = () => socket => {
    onOpened(socket)
  }
  const opened = (): Promise<ServerSocket> =>
    new Promise(resolve => {
      onOpened = resolve
    })
  let last: Promise<unknown[]> | undefined
  await serving(open, async url => {
    const first = opened()
    const slow = new WebSocket(`${url}/tail`)
    await once(slow, 'open')
    slow.pause()
    const socket = await first
    const cut = new Promise<void>(resolve => {
      socket.onClose(resolve)
    })
    const text = 'x'.repeat(1024 * 1024)
    // The limit, and what the system's own buffers may hold.
    for (let i = 0; i < 64 && socket.waitingBytes <= 16 * 1024 * 1024; i++) socket.send(text)
    assert.ok(socket.waitingBytes > 16 * 1024 * 1024)
    socket.send('one more')
    await cut
    slow.on('error', () => {
      // Cut off by the server.
    })
    slow.resume()
    const second = opened()
    const idle = new WebSocket(`${url}/tail`)
    await once(idle, 'open')
    await second
    last = once(idle, 'close')
  })
  await last
})

test('a client that takes nothing is cut off after the write timeout, one that reads is not', async () => {
  const clock = new VirtualClock(0)
  let slowReaders = 0
  const options = {
    writeTimeoutMs: 30_000,
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
    onSlowReader: () => slowReaders++,
  }
  let onOpened: (socket: ServerSocket) => void = () => {}
  const open: SocketRoute['open'] = () => socket => {
    onOpened(socket)
  }
  const work = async (url: string): Promise<void> => {
    const first = new Promise<ServerSocket>(resolve => {
      onOpened = resolve
    })
    const client = new WebSocket(`${url}/tail`)
    client.on('error', () => {})
    await once(client, 'open')
    const socket = await first
    client.pause()
    const text = 'x'.repeat(1024 * 1024)
    for (let i = 0; i < 64 && socket.waitingBytes <= 8 * 1024 * 1024; i++) {
      socket.send(text)
      await clock.yield()
    }
    await clock.advance(29_000)
    assert.equal(slowReaders, 0)
    // It reads again: what waited goes out, and nothing happens when the time is over.
    client.resume()
    while (socket.waitingBytes > 0) await clock.yield()
    await clock.advance(60_000)
    assert.equal(slowReaders, 0)
    client.pause()
    for (let i = 0; i < 64 && socket.waitingBytes <= 8 * 1024 * 1024; i++) {
      socket.send(text)
      await clock.yield()
    }
    const cut = new Promise<void>(resolve => {
      socket.onClose(resolve)
    })
    await clock.advance(32_001)
    await cut
    assert.equal(slowReaders, 1)
    client.terminate()
  }
  await serving(open, work, '', options)
})
