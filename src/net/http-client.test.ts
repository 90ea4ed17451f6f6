/**
 * Requests to other servers: credentials from files that change, OAuth 2, TLS in both directions, proxies, limits,
 * redirects, addresses that may not be connected to.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { connect, isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { systemClock } from '#core/clock.ts'
import { BadDataError, LimitError, TimeoutError, UnavailableError } from '#core/errors.ts'
import { systemFiles } from '#core/files.ts'
import { noSecret, Secret } from '#core/secret.ts'
import { HttpClient, type ClientSettings, type ClientWorld } from './http-client.ts'
import { OutgoingGuard, type Lookup } from './outgoing-guard.ts'

const directory = mkdtempSync(join(tmpdir(), 'tercet-client-'))
const seen: { url: string; headers: IncomingMessage['headers'] }[] = []
const none = noSecret
const plain: ClientSettings = {
  basicAuth: undefined,
  authorization: undefined,
  oauth2: undefined,
  tls: undefined,
  proxyUrl: '',
  noProxy: '',
  proxyFromEnvironment: false,
  followRedirects: true,
  headers: [],
}
let clockMs = 0
const world = (more: Partial<ClientWorld> = {}): ClientWorld => ({
  clock: { ...systemClock, monotonicMs: () => clockMs },
  files: systemFiles,
  env: {},
  directory,
  guard: new OutgoingGuard(),
  ...more,
})
const answer = (incoming: IncomingMessage, reply: ServerResponse): void => {
  seen.push({ url: incoming.url ?? '', headers: incoming.headers })
  switch (new URL(incoming.url ?? '', 'http://x').pathname) {
    case '/token':
      reply
        .writeHead(200, { 'content-type': 'application/json' })
        .end(`{"access_token":"t${seen.filter(s => s.url === '/token').length}","expires_in":100}`)
      return
    case '/gzip':
      reply.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(10_000)))
      return
    case '/zstd':
      reply.writeHead(200, { 'content-encoding': 'zstd' }).end(zstdCompressSync('zstd'))
      return
    case '/bad-gzip':
      reply.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip at all')
      return
    case '/hang':
      return
    case '/moved':
      reply.writeHead(302, { location: '/here' }).end()
      return
    case '/elsewhere':
      reply.writeHead(302, { location: `http://localhost:${port}/here` }).end()
      return
    case '/to-metadata':
      reply.writeHead(302, { location: 'http://[::ffff:169.254.169.254]/latest' }).end()
      return
    case '/circle':
      reply.writeHead(302, { location: '/circle' }).end()
      return
    default:
      reply.end('hello')
  }
}
const server = createServer(answer)
/** Tunnels, and remembers to where. */
const tunnels: string[] = []
const proxy = createServer((incoming, reply) => {
  tunnels.push(incoming.url ?? '')
  incoming.pipe(
    request(incoming.url ?? '', { method: incoming.method, headers: incoming.headers }, r => {
      reply.writeHead(r.statusCode ?? 0, r.headers)
      r.pipe(reply)
    }).on('error', () => {
      reply.destroy()
    }),
  )
})
proxy.on('connect', (incoming, socket, head) => {
  tunnels.push(incoming.url ?? '')
  const [host, to] = (incoming.url ?? '').split(':')
  const out = connect(Number(to), host, () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    out.write(head)
    out.pipe(socket).pipe(out)
  })
  for (const s of [out, socket])
    s.on('error', () => {
      out.destroy()
      socket.destroy()
    })
})
let secure: ReturnType<typeof createSecure>
let port = 0,
  securePort = 0,
  proxyPort = 0
const listen = (s: {
  listen(port: number, host: string, done: () => void): unknown
  address(): unknown
}): Promise<number> =>
  new Promise(resolve => {
    s.listen(0, '127.0.0.1', () => {
      resolve((s.address() as { port: number }).port)
    })
  })

before(async () => {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  }
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=ca',
  )
  for (const name of ['server', 'client']) {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    )
    writeFileSync(join(directory, `${name}.ext`), 'subjectAltName=DNS:server.test')
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.crt`,
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
    )
  }
  const read = (name: string): Buffer => readFileSync(join(directory, name))
  secure = createSecure(
    {
      key: read('server.key'),
      cert: read('server.crt'),
      ca: read('ca.crt'),
      requestCert: true,
      rejectUnauthorized: true,
    },
    answer,
  )
  port = await listen(server)
  securePort = await listen(secure)
  proxyPort = await listen(proxy)
})
after(async () => {
  for (const s of [server, secure, proxy])
    await new Promise(resolve => {
      s.close(resolve)
      s.closeAllConnections()
    })
  rmSync(directory, { recursive: true, force: true })
})

async function get(
  path: string,
  settings: Partial<ClientSettings> = {},
  more: Partial<ClientWorld> = {},
  base = `http://127.0.0.1:${port}`,
): Promise<string> {
  const client = new HttpClient({ ...plain, ...settings }, world(more))
  try {
    const { status, body } = await client.send(base + path, { timeoutMs: 2000, bodyBytesMax: 5000 })
    return `${status} ${Buffer.from(body).toString('utf8').slice(0, 100)}`
  } finally {
    await client.close()
  }
}
const last = (): IncomingMessage['headers'] => seen.at(-1)!.headers

test('credentials: basic, bearer, from files that change, headers, OAuth 2', async () => {
  await get('/', { basicAuth: { username: new Secret('me'), password: new Secret('word') } })
  assert.equal(last().authorization, `Basic ${Buffer.from('me:word').toString('base64')}`)
  writeFileSync(join(directory, 'token'), 'first\n')
  const client = new HttpClient(
    {
      ...plain,
      authorization: { type: 'Bearer', credentials: new Secret('', 'token') },
      headers: [['X-Own', [new Secret('a'), new Secret('b')]]],
    },
    world(),
  )
  const send = (): Promise<unknown> => client.send(`http://127.0.0.1:${port}/`, { timeoutMs: 2000, bodyBytesMax: 100 })
  await send()
  assert.deepEqual([last().authorization, last()['x-own']], ['Bearer first', 'a, b'])
  writeFileSync(join(directory, 'token'), 'second')
  clockMs += 60_000
  await send()
  assert.equal(last().authorization, 'Bearer second')
  await client.close()
  await assert.rejects(
    get('/', { authorization: { type: 'Bearer', credentials: new Secret('', 'nowhere') } }),
    /unable to read file nowhere/,
  )
  const oauth = new HttpClient(
    {
      ...plain,
      oauth2: {
        clientId: 'id',
        clientSecret: new Secret('s'),
        tokenUrl: `http://127.0.0.1:${port}/token`,
        scopes: ['a'],
        endpointParams: [],
        client: plain,
      },
    },
    world(),
  )
  for (const [waitMs, token] of [
    [0, 't1'],
    [1000, 't1'],
    [100_000, 't2'],
  ] as const) {
    clockMs += waitMs
    await oauth.send(`http://127.0.0.1:${port}/`, { timeoutMs: 2000, bodyBytesMax: 100 })
    assert.equal(last().authorization, `Bearer ${token}`)
  }
  await oauth.close()
})

test('TLS: authorities, names, certificates of clients', async () => {
  const base = `https://127.0.0.1:${securePort}`
  const tls = {
    ca: new Secret('', 'ca.crt'),
    cert: new Secret('', 'client.crt'),
    key: new Secret('', 'client.key'),
    serverName: 'server.test',
    isUnverified: false,
    minVersion: 'TLS12',
    maxVersion: '',
  }
  assert.equal(await get('/', { tls }, {}, base), '200 hello')
  assert.equal(await get('/', { tls: { ...tls, ca: none, isUnverified: true } }, {}, base), '200 hello')
  await assert.rejects(get('/', { tls: { ...tls, ca: none } }, {}, base), UnavailableError)
  await assert.rejects(get('/', { tls: { ...tls, serverName: 'other.test' } }, {}, base), /altnames|other\.test/)
  await assert.rejects(get('/', { tls: { ...tls, cert: none, key: none } }, {}, base), UnavailableError)
})

test('proxies: by setting, by the environment, and who goes without', async () => {
  const proxyUrl = `http://127.0.0.1:${proxyPort}`
  assert.equal(await get('/', { proxyUrl }), '200 hello')
  assert.equal(tunnels.length, 1)
  assert.equal(await get('/', { proxyUrl, noProxy: 'example.org,127.0.0.1' }), '200 hello')
  assert.equal(
    await get('/', { proxyFromEnvironment: true }, { env: { HTTP_PROXY: proxyUrl, NO_PROXY: '.internal' } }),
    '200 hello',
  )
  assert.equal(tunnels.length, 2)
})

test('bodies: packed ones, too large ones, damaged ones, none at all', async () => {
  assert.equal(await get('/zstd'), '200 zstd')
  await assert.rejects(get('/gzip'), (error: unknown) => error instanceof LimitError && error.status === 413)
  await assert.rejects(get('/bad-gzip'), /incorrect header/)
  const client = new HttpClient(plain, world())
  await assert.rejects(client.send(`http://127.0.0.1:${port}/hang`, { timeoutMs: 50, bodyBytesMax: 10 }), TimeoutError)
  await assert.rejects(
    client.send('http://127.0.0.1:1/', { timeoutMs: 1000, bodyBytesMax: 10 }),
    (error: unknown) => error instanceof UnavailableError && /ECONNREFUSED/.test(error.message),
  )
  await client.close()
})

test('redirects: followed, not in circles, and credentials stay with whom they are for', async () => {
  assert.equal(await get('/moved'), '200 hello')
  assert.match(await get('/moved', { followRedirects: false }), /^302/)
  await assert.rejects(get('/circle'), /stopped after 10 redirects/)
  const authorization = { type: 'Bearer', credentials: new Secret('secret') }
  await get('/moved', { authorization })
  assert.equal(last().authorization, 'Bearer secret')
  await get('/elsewhere', { authorization })
  assert.equal(last().authorization, undefined)
})

test('what goes along with a request that is sent on: nothing that only its receiver may see', async () => {
  const client = new HttpClient(plain, world())
  const headers = {
    authorization: 'Bearer secret',
    'x-api-key': 'secret',
    'x-scope-orgid': 'a',
    'user-agent': 'Tercet',
  }
  const send = (path: string): Promise<unknown> =>
    client.send(`http://127.0.0.1:${port}${path}`, { headers, timeoutMs: 2000, bodyBytesMax: 100 })
  await send('/moved')
  assert.equal(last()['x-api-key'], 'secret')
  await send('/elsewhere')
  assert.equal(JSON.stringify(last()).includes('secret'), false)
  assert.deepEqual([last()['x-scope-orgid'], last()['user-agent']], ['a', 'Tercet'])
  await client.close()
})

/** Names resolve to these addresses, one set after the other; counts how often. */
function resolving(...answers: string[][]): { lookup: Lookup; count: () => number } {
  let count = 0
  return {
    count: () => count,
    lookup(_hostname, _options, callback) {
      const addresses = answers[Math.min(count++, answers.length - 1)]!
      callback(
        null,
        addresses.map(address => ({ address, family: isIP(address) })),
      )
    },
  }
}
const refused = (pattern: RegExp) => (error: unknown) => error instanceof BadDataError && pattern.test(error.message)

test('addresses that are refused are not connected to, however the URL spells them', async () => {
  for (const host of [
    '169.254.169.254',
    '0xa9fea9fe',
    '2852039166',
    '169.254.43518',
    '0251.0376.0251.0376',
    '[::ffff:169.254.169.254]',
    '[64:ff9b::a9fe:a9fe]',
    '[fe80::1]',
    '0.0.0.0',
    '[::]',
    '[::ffff:0.0.0.0]',
  ])
    await assert.rejects(get('/', {}, {}, `http://${host}:${port}`), refused(/outgoing\.allow allows it/), host)
})

test('names are decided on by the address that is connected to, which is resolved once', async () => {
  const metadata = resolving(['169.254.169.254'])
  const guardOf = ({ lookup }: { lookup: Lookup }): OutgoingGuard => new OutgoingGuard({ lookup })
  const base = `http://name.test:${port}`
  await assert.rejects(
    get('/', {}, { guard: guardOf(metadata) }, base),
    refused(/^no connection to name\.test: 169\.254/),
  )
  // A server of names that says something else to who asks again.
  const rebinding = resolving(['127.0.0.1'], ['169.254.169.254'])
  assert.equal(await get('/', {}, { guard: guardOf(rebinding) }, base), '200 hello')
  assert.equal(rebinding.count(), 1)
  const mixed = resolving(['169.254.169.254', '127.0.0.1'])
  assert.equal(await get('/', {}, { guard: guardOf(mixed) }, base), '200 hello')
})

test('a redirect is decided on as well', async () => {
  const guard = new OutgoingGuard({ lookup: resolving(['169.254.169.254']).lookup })
  await assert.rejects(get('/elsewhere', {}, { guard }), refused(/^no connection to localhost: 169\.254\.169\.254/))
  await assert.rejects(get('/to-metadata'), refused(/^no connection to \[::ffff:a9fe:a9fe\]/))
})

test("a proxy's own address is decided on, and what it is asked to connect to", async () => {
  const proxyUrl = `http://127.0.0.1:${proxyPort}`
  const before = tunnels.length
  for (const host of ['169.254.169.254', '[::ffff:169.254.169.254]', '0xa9fea9fe'])
    for (const scheme of ['http', 'https'])
      await assert.rejects(get('/', { proxyUrl }, {}, `${scheme}://${host}`), refused(/link-local/), host)
  // The proxy may take any of them.
  const mixed = new OutgoingGuard({ lookup: resolving(['127.0.0.1', 'fe80::1']).lookup })
  await assert.rejects(get('/', { proxyUrl }, { guard: mixed }, 'http://name.test'), refused(/fe80::1 is a link-local/))
  assert.equal(tunnels.length, before)
  const guard = new OutgoingGuard({ lookup: resolving(['169.254.169.254']).lookup })
  for (const scheme of ['http', 'https', 'socks5']) {
    const named = { proxyUrl: `${scheme}://proxy.test:${proxyPort}` }
    for (const target of [`http://127.0.0.1:${port}`, `https://127.0.0.1:${port}`])
      await assert.rejects(get('/', named, { guard }, target), refused(/^no connection to proxy\.test/), scheme)
  }
  await assert.rejects(
    get('/', { proxyUrl: '//me:hunter2@proxy' }),
    refused(/^the proxy \/\/<secret>@proxy is no URL$/),
  )
  await assert.rejects(get('/', { proxyUrl: 'http://169.254.169.254:3128' }), refused(/^no connection to 169\.254/))
  // A name that the proxy alone knows.
  const unknown: Lookup = (_hostname, _options, callback) => {
    callback(new Error('ENOTFOUND'), [])
  }
  await assert.rejects(
    get('/', { proxyUrl }, { guard: new OutgoingGuard({ lookup: unknown }) }, 'http://inner.test'),
    (error: unknown) => !(error instanceof BadDataError),
  )
  assert.equal(tunnels.length, before + 1)
})
