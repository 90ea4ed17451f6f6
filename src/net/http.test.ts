/** The HTTP server over real sockets: requests as handlers see them, replies as clients do. */
import assert from 'node:assert/strict'
import { request as requestHttp } from 'node:http'
import { connect, type Socket } from 'node:net'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { BadDataError, messageOf } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { known, open } from './access.ts'
import { Auth, noAuth, oneToken } from './auth.ts'
import { HttpServer, type HttpServerOptions } from './http.ts'
import { allowing, route, type Finish, type Handler, type Route } from './route-table.ts'

/** Runs the work against a server with these routes. */
async function serving(
  routes: readonly Route[],
  work: (url: string) => Promise<void>,
  options: Partial<HttpServerOptions> = {},
): Promise<void> {
  const server = new HttpServer(allowing(known, routes), [], {
    log: silentLog,
    bodyBytesMax: 1000,
    decodedBytesMax: 5000,
    onError: error => ({ status: 500, body: `mapped: ${messageOf(error)}` }),
    onRequest: () => {},
    monotonicMs: () => 0,
    auth: noAuth,
    tls: undefined,
    ...options,
  })
  const url = `http://${await server.listen('127.0.0.1', 0)}`
  try {
    await work(url)
  } finally {
    for (const socket of silentSockets.splice(0)) socket.destroy()
    await server.close()
  }
}

const silentSockets: Socket[] = []

test('a form beyond its limit is refused before more of it is unpacked; a push of that size is not', async () => {
  const sizeOf: Handler = async request => ({ status: 200, body: String((await request.body()).length) })
  const nameOf: Handler = async request => ({ status: 200, body: (await request.form()).get('q') ?? '' })
  const both: Handler = async request => {
    await request.body()
    return nameOf(request)
  }
  const routes = [route(['POST'], '/push', sizeOf), route(['POST'], '/form', nameOf), route(['POST'], '/both', both)]
  const urlencoded = 'application/x-www-form-urlencoded'
  const multipart = 'multipart/form-data; boundary=XX'
  const boundary = (text: string): string =>
    `--XX\r\nContent-Disposition: form-data; name="q"\r\n\r\n${text}\r\n--XX--\r\n`
  await serving(
    routes,
    async url => {
      const post = async (path: string, type: string, body: string, isPacked = false): Promise<string> => {
        const headers = { 'content-type': type, ...(isPacked ? { 'content-encoding': 'gzip' } : {}) }
        const reply = await fetch(`${url}${path}`, { method: 'POST', headers, body: isPacked ? gzipSync(body) : body })
        return reply.text()
      }
      for (const isPacked of [false, true]) {
        assert.equal(await post('/form', urlencoded, `q=${'a'.repeat(398)}`, isPacked), 'a'.repeat(398))
        assert.match(await post('/form', urlencoded, `q=${'a'.repeat(399)}`, isPacked), /^mapped: .*400/)
        assert.match(await post('/form', multipart, boundary('a'.repeat(399)), isPacked), /^mapped: .*400/)
        assert.match(
          await post('/both', urlencoded, `q=${'a'.repeat(399)}`, isPacked),
          /^mapped: the form has 401 bytes/,
        )
        assert.equal(await post('/push', urlencoded, 'a'.repeat(401), isPacked), '401')
      }
    },
    { formBytesMax: 400 },
  )
})

test('a form of very many fields is refused', async () => {
  const count: Handler = async request => ({ status: 200, body: String((await request.form()).size) })
  await serving(
    [route(['POST'], '/form', count)],
    async url => {
      const post = async (fields: number): Promise<string> => {
        const headers = { 'content-type': 'application/x-www-form-urlencoded' }
        const body = Array.from({ length: fields }, () => 'a').join('&')
        return (await fetch(`${url}/form`, { method: 'POST', headers, body })).text()
      }
      assert.equal(await post(10_000), '10000')
      assert.equal(await post(10_001), 'mapped: the form has more than 10000 fields, which is the limit')
    },
    { bodyBytesMax: 100_000, decodedBytesMax: 100_000 },
  )
})

const echo: Handler = async request => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    method: request.method,
    path: request.path,
    params: request.params,
    query: [...request.query],
    form: [...(await request.form())],
    header: request.header('x-own'),
    missing: request.header('x-missing') ?? null,
  }),
})

test('a path answers other methods as its routes say', async () => {
  const get = { ...route(['GET'], '/only', () => Promise.resolve({ status: 200 })), wrongMethod: { status: 405 } }
  await serving([get, route(['POST'], '/other', () => Promise.resolve({ status: 200 }))], async url => {
    const statusOf = async (path: string, method: string): Promise<number> =>
      (await fetch(`${url}${path}`, { method })).status
    assert.equal(await statusOf('/only', 'GET'), 200)
    assert.equal(await statusOf('/only', 'DELETE'), 405)
    assert.equal(await statusOf('/other', 'GET'), 404)
  })
})

test('a handler sees method, path, parameters of path, URL and form, and headers', async () => {
  await serving([route(['GET', 'POST', 'PUT'], '/a/:name/b', echo)], async url => {
    const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    const cases: [
      method: string,
      path: string,
      headers: Record<string, string>,
      body: string | undefined,
      seen: object,
    ][] = [
      [
        'GET',
        '/a/x%2Fy/b?q=1&q=%20&e',
        { 'x-own': 'v' },
        undefined,
        {
          path: '/a/x%2Fy/b',
          params: { name: 'x/y' },
          query: [
            ['q', '1'],
            ['q', ' '],
            ['e', ''],
          ],
          form: [
            ['q', '1'],
            ['q', ' '],
            ['e', ''],
          ],
          header: 'v',
        },
      ],
      [
        'POST',
        '/a/n/b?q=1',
        form,
        'q=2&r=ä',
        {
          query: [['q', '1']],
          form: [
            ['q', '2'],
            ['r', 'ä'],
            ['q', '1'],
          ],
        },
      ],
      [
        'POST',
        '/a/n/b?q=1',
        { 'content-type': 'multipart/form-data; boundary=XX' },
        '--XX\r\nContent-Disposition: form-data; name="q"\r\n\r\na=b&c ä\r\n' +
          '--XX\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nno field\r\n--XX--\r\n',
        {
          form: [
            ['q', '1'],
            ['q', 'a=b&c ä'],
          ],
        },
      ],
      ['POST', '/a/n/b', { 'content-type': 'Application/X-WWW-Form-Urlencoded' }, 'q=2', { form: [['q', '2']] }],
      // A form is that of POST alone, and of that content type.
      ['PUT', '/a/n/b?q=1', form, 'q=2', { form: [['q', '1']] }],
      ['POST', '/a/n/b', { 'content-type': 'text/plain' }, 'q=2', { form: [] }],
      ['GET', '/a/n/b/', {}, undefined, { path: '/a/n/b/', params: { name: 'n' } }],
    ]
    const broken = await fetch(`${url}/a/n/b`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data' },
      body: 'x',
    })
    assert.match(`${broken.status} ${await broken.text()}`, /^500 mapped: the multipart form can't be read: /)
    for (const [method, path, headers, body, seen] of cases) {
      const reply = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) })
      const got = (await reply.json()) as Record<string, unknown>
      assert.equal(got['method'], method)
      assert.equal(got['missing'], null)
      for (const [name, value] of Object.entries(seen)) assert.deepEqual(got[name], value, `${method} ${path} ${name}`)
    }
  })
})

test('bodies are uncompressed, limited before and after, and read once whoever asks', async () => {
  const length: Handler = async request => {
    const [body, again] = await Promise.all([request.body(), request.body()])
    return { status: 200, body: `${body.length} ${body === again}` }
  }
  const raw: Handler = async request => ({ status: 200, body: String((await request.rawBody()).length) })
  await serving([route(['POST'], '/body', length), route(['POST'], '/raw', raw)], async url => {
    const post = async (path: string, body: Uint8Array, encoding?: string): Promise<string> => {
      const headers = encoding === undefined ? {} : { 'content-encoding': encoding }
      const reply = await fetch(url + path, { method: 'POST', body, headers })
      return `${reply.status} ${await reply.text()}`
    }
    const packed = gzipSync(new Uint8Array(5000))
    assert.equal(await post('/body', new Uint8Array(1000)), '200 1000 true')
    assert.equal(await post('/body', new Uint8Array(0)), '200 0 true')
    assert.equal(await post('/body', packed, 'gzip'), '200 5000 true')
    assert.equal(await post('/raw', packed, 'gzip'), `200 ${packed.length}`)
    assert.match(await post('/body', gzipSync(new Uint8Array(5001)), 'gzip'), /^500 mapped: .*5000 bytes when decoded/)
    assert.match(await post('/body', new Uint8Array(1001)), /^500 mapped: the body has 1001 bytes, the limit is 1000/)
    assert.match(await post('/body', packed, 'nope'), /^500 mapped: content encoding "nope" is not known/)
  })
})

test('replies are text, bytes or pieces, and long ones are packed where the client takes gzip', async () => {
  const long = 'x'.repeat(1500)
  async function* pieces(): AsyncGenerator<string | Uint8Array> {
    yield 'one '
    yield Buffer.from('two')
  }
  const replies: Record<string, Awaited<ReturnType<Handler>>> = {
    nothing: { status: 204 },
    short: { status: 200, body: 'short' },
    long: { status: 200, body: long },
    bytes: { status: 201, body: Buffer.from(long).subarray(10) },
    pieces: { status: 200, body: pieces() },
    list: { status: 200, body: ['a', 'b'] },
    packed: { status: 200, headers: { 'content-encoding': 'identity' }, body: long },
  }
  const reply: Handler = async request => replies[request.params['name'] ?? ''] ?? { status: 404 }
  await serving([route(['GET'], '/:name', reply)], async url => {
    const cases: [name: string, accept: string, status: number, encoding: string | null, body: string][] = [
      ['nothing', 'gzip', 204, null, ''],
      ['short', 'gzip', 200, null, 'short'],
      ['long', 'gzip', 200, 'gzip', long],
      ['long', 'br, gzip;q=0.5', 200, 'gzip', long],
      ['long', 'identity', 200, null, long],
      ['bytes', 'gzip', 201, 'gzip', long.slice(10)],
      ['bytes', 'identity', 201, null, long.slice(10)],
      ['pieces', 'gzip', 200, 'gzip', 'one two'],
      ['list', 'gzip', 200, 'gzip', 'ab'],
      ['list', 'identity', 200, null, 'ab'],
      ['packed', 'gzip', 200, 'identity', long],
    ]
    for (const [name, accept, status, encoding, body] of cases) {
      const got = await fetch(`${url}/${name}`, { headers: { 'accept-encoding': accept } })
      assert.equal(got.status, status, name)
      assert.equal(got.headers.get('content-encoding'), encoding, `${name} ${accept}`)
      assert.equal(await got.text(), body, name)
      assert.equal(got.headers.get('x-content-type-options'), 'nosniff', name)
    }
  })
})

test('a reply whose pieces fail is an error, or breaks the connection, instead of looking whole', async () => {
  async function* failing(): AsyncGenerator<string> {
    yield 'x'.repeat(100_000)
    throw new Error('the bucket is away')
  }
  await serving([route(['GET'], '/', async () => ({ status: 200, body: failing() }))], async url => {
    for (const accept of ['gzip', 'identity'])
      await assert.rejects(async () => {
        const got = await fetch(url, { headers: { 'accept-encoding': accept } })
        // Nothing was sent yet, perhaps.
        assert.equal(got.status, 200)
        await got.text()
      }, accept)
  })
})

test('a reply that fails before its first byte is an error that can be read, packed or not', async () => {
  async function* failing(): AsyncGenerator<string> {
    yield await Promise.reject<string>(new Error('the bucket is away'))
  }
  await serving([route(['GET'], '/', async () => ({ status: 200, body: failing() }))], async url => {
    for (const accept of ['gzip', 'identity']) {
      const got = await fetch(url, { headers: { 'accept-encoding': accept } })
      assert.deepEqual([got.status, got.headers.get('content-encoding')], [500, null], accept)
      assert.equal(await got.text(), 'the bucket is away', accept)
    }
  })
})

test('errors are mapped, requests observed by route, unknown paths and preflights answered', async () => {
  const counted: string[] = []
  const routes = [
    route(['GET'], '/fail/:id', () => Promise.reject(new BadDataError('no'))),
    route(['GET'], '/ok', async () => ({ status: 200, body: 'ok' })),
  ]
  const onRequest = (path: string, status: number, seconds: number): void => {
    counted.push(`${path} ${status} ${seconds}`)
  }
  let nowMs = 0
  const monotonicMs = (): number => (nowMs += 500)
  await serving(
    routes,
    async url => {
      assert.equal(await (await fetch(`${url}/fail/7`)).text(), 'mapped: no')
      assert.equal((await fetch(`${url}/ok`)).status, 200)
      const unknown = await fetch(`${url}/nosuch`)
      assert.deepEqual([unknown.status, await unknown.text()], [404, '404 page not found\n'])
      assert.equal((await fetch(`${url}/ok`, { method: 'POST' })).status, 404)
      const options = await fetch(`${url}/ok`, { method: 'OPTIONS' })
      assert.equal(options.status, 204)
      assert.equal(options.headers.get('access-control-allow-methods'), null)
      assert.deepEqual(counted, ['/fail/:id 500 0.5', '/ok 200 0.5'])
    },
    { onRequest, monotonicMs },
  )
})

test('credentials are asked for on every path but those of probes; preflights need none', async () => {
  const ok: Handler = async () => ({ status: 200, body: 'ok' })
  await serving(
    [route(['GET'], '/ok', ok), ...allowing(open, [route(['GET'], '/health', ok)])],
    async url => {
      const refused = await fetch(`${url}/ok?x=1`)
      assert.deepEqual(
        [refused.status, refused.headers.get('www-authenticate'), await refused.text()],
        [401, 'Bearer realm="tercet"', '401: credentials are missing: send an Authorization header\n'],
      )
      assert.equal((await fetch(`${url}/ok`, { headers: { authorization: 'Bearer t' } })).status, 200)
      assert.equal((await fetch(`${url}/health?x`)).status, 200)
      assert.equal((await fetch(`${url}/nosuch`)).status, 401)
      assert.equal((await fetch(`${url}/ok`, { method: 'OPTIONS' })).status, 204)
    },
    { auth: new Auth([oneToken('t')]) },
  )
})

test('a route gives every answer its form, the refusal of credentials too', async () => {
  const finish: Finish = (reply, header) => ({
    status: reply.status,
    headers: { ...reply.headers, 'x-form': header('x-own') ?? '' },
    body: `<${String(reply.body)}>`,
  })
  const ok: Handler = async () => ({ status: 200, body: 'ok' })
  await serving(
    [{ ...route(['GET'], '/a/:name', ok), finish }, route(['GET'], '/b', ok)],
    async url => {
      const shown = async (path: string, headers: Record<string, string>): Promise<string> => {
        const reply = await fetch(`${url}${path}`, { headers: { ...headers, 'x-own': 'h' } })
        return `${reply.status} ${reply.headers.get('x-form') ?? '-'} ${(await reply.text()).replaceAll('\n', '')}`
      }
      const credentials = { authorization: 'Bearer t' }
      assert.equal(await shown('/a/x', credentials), '200 h <ok>')
      assert.equal(await shown('/a/x?y=1', {}), '401 h <401: credentials are missing: send an Authorization header>')
      assert.equal(await shown('/b', credentials), '200 - ok')
      assert.equal(await shown('/b', {}), '401 - 401: credentials are missing: send an Authorization header')
    },
    { auth: new Auth([oneToken('t')]) },
  )
})

test('a client that goes away aborts the signal of its request', async () => {
  let onAborted = (): void => {}
  let onStarted = (): void => {}
  const aborted = new Promise<void>(resolve => {
    onAborted = resolve
  })
  const started = new Promise<void>(resolve => {
    onStarted = resolve
  })
  const waiting: Handler = request =>
    new Promise(resolve => {
      request.signal.addEventListener('abort', () => {
        onAborted()
        resolve({ status: 499 })
      })
      onStarted()
    })
  await serving([route(['GET'], '/', waiting)], async url => {
    const client = requestHttp(url)
    client.on('error', () => {
      // Destroyed by us.
    })
    client.end()
    await started
    client.destroy()
    await aborted
  })
})

test('an answer whose client has gone is dropped: before it is there, and while it is sent', async () => {
  let dropped = 0
  let onAsked = (): void => {}
  const drop = (): void => {
    dropped++
  }
  const late: Handler = async ({ signal }) => {
    onAsked()
    await new Promise(resolve => {
      signal.addEventListener('abort', resolve)
    })
    return { status: 200, body: ['a'], drop }
  }
  const endless: Handler = async () => ({
    status: 200,
    body: (async function* () {
      for (;;) {
        yield 'a'.repeat(1000)
        onAsked()
        await new Promise(setImmediate)
      }
    })(),
    drop,
  })
  const whole: Handler = async () => ({ status: 200, body: ['a'], drop })
  const routes = [route(['GET'], '/late', late), route(['GET'], '/endless', endless), route(['GET'], '/', whole)]
  await serving(routes, async url => {
    for (const [i, path] of ['/late', '/endless'].entries()) {
      const asked = new Promise<void>(resolve => (onAsked = resolve))
      const client = requestHttp(url + path)
      client.on('error', () => {
        // Destroyed by us.
      })
      client.end()
      await asked
      client.destroy()
      while (dropped <= i) await new Promise(setImmediate)
    }
    assert.equal(await (await fetch(url)).text(), 'a')
    assert.equal(dropped, 2)
  })
})

test('one server listens at several addresses, and two routes of one path are a bug', async () => {
  const server = new HttpServer(allowing(known, [route(['GET'], '/', async () => ({ status: 200, body: 'ok' }))]), [], {
    log: silentLog,
    bodyBytesMax: 1,
    decodedBytesMax: 1,
    onError: () => ({ status: 500 }),
    onRequest: () => {},
    monotonicMs: () => 0,
    auth: noAuth,
    tls: undefined,
  })
  const addresses = [await server.listen('127.0.0.1', 0), await server.listen('127.0.0.1', 0)]
  assert.notEqual(addresses[0], addresses[1])
  for (const address of addresses) assert.equal(await (await fetch(`http://${address}`)).text(), 'ok')
  await server.close()
  for (const address of addresses) await assert.rejects(fetch(`http://${address}`))
  const twice = route(['GET'], '/twice', async () => ({ status: 200 }))
  await assert.rejects(
    serving([twice, twice], async () => {}),
    /already declared/,
  )
})

test('a server that closes answers what is under way, and waits for no client without end', async () => {
  const clock = new VirtualClock(0)
  const started = new Set<string>()
  const gate: { open?: () => void } = {}
  const opened = new Promise<void>(resolve => {
    gate.open = resolve
  })
  const slow = (path: string, until: Promise<void>): Route =>
    route(['GET'], path, async () => {
      started.add(path)
      await until
      return { status: 200, body: 'answered' }
    })
  const routes = [slow('/slow', opened), slow('/never', new Promise(() => {}))]
  const server = new HttpServer(allowing(known, routes), [], {
    log: silentLog,
    bodyBytesMax: 1000,
    decodedBytesMax: 5000,
    onError: () => ({ status: 500 }),
    onRequest: () => {},
    monotonicMs: () => 0,
    after: (delayMs, run) => clock.after(delayMs, run),
    auth: noAuth,
    tls: undefined,
  })
  const url = `http://${await server.listen('127.0.0.1', 0)}`
  const underWay = fetch(`${url}/slow`)
  const lost = assert.rejects(fetch(`${url}/never`))
  while (started.size < 2) await clock.yield()
  const closed = server.close()
  gate.open?.()
  const reply = await underWay
  assert.equal(await reply.text(), 'answered')
  assert.equal(reply.headers.get('connection'), 'close')
  await clock.advance(10_000)
  await closed
  await lost
})

/** A client that asks and never reads. */
function askWithoutReading(url: string, path: string, headers = ''): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  silentSockets.push(socket)
  socket.on('error', () => {})
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`)
  return socket
}

/** Lets I/O run until `count` has stayed as it is for a while. */
async function untilSteady(count: () => number): Promise<void> {
  for (let same = 0, last = count(); same < 2000 || last === 0;) {
    await new Promise(setImmediate)
    same = count() === last ? same + 1 : 0
    last = count()
  }
}

/** Pieces that no compressor makes much shorter. */
function noise(seed: number): Uint8Array {
  const piece = new Uint32Array(16_384)
  for (let i = 0, x = seed + 1; i < piece.length; i++) piece[i] = x = (x * 1_664_525 + 1_013_904_223) >>> 0
  return new Uint8Array(piece.buffer)
}

test('an answer is made as it is taken, packed or not; a reader that takes nothing is disconnected', async () => {
  for (const headers of ['', 'accept-encoding: gzip\r\n']) {
    const clock = new VirtualClock(0)
    let made = 0
    let isEnded = false
    let closed = 0
    const signals: AbortSignal[] = []
    function* endless(): Generator<Uint8Array> {
      try {
        for (;;) yield noise(made++)
      } finally {
        isEnded = true
      }
    }
    const handler: Handler = async request => {
      signals.push(request.signal)
      return { status: 200, body: endless() }
    }
    const options = {
      writeTimeoutMs: 30_000,
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
      onSlowReader: () => closed++,
    }
    await serving(
      [route(['GET'], '/endless', handler)],
      async url => {
        const socket = askWithoutReading(url, '/endless', headers)
        await untilSteady(() => made)
        // What sockets keep is some MiB: no more than that is made.
        assert.ok(made < 500, `${made} pieces`)
        await clock.advance(29_000)
        assert.deepEqual([closed, isEnded], [0, false])
        // A packer may go on for a while.
        while (closed === 0) await clock.advance(1000)
        assert.ok(made < 500, `${made} pieces`)
        while (!isEnded) await new Promise(setImmediate)
        assert.ok(signals[0]!.aborted)
        socket.destroy()
      },
      options,
    )
  }
})

test('a connection that takes none of its answers, however short, is ended; one that takes some goes on', async () => {
  const clock = new VirtualClock(0)
  let asked = 0
  let closed = 0
  const handler: Handler = async () => {
    asked++
    return { status: 200, body: 'x'.repeat(60_000) }
  }
  const options = {
    writeTimeoutMs: 30_000,
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
    onSlowReader: () => closed++,
  }
  await serving(
    [route(['GET'], '/short', handler)],
    async url => {
      const sockets = [askWithoutReading(url, '/short'), askWithoutReading(url, '/short')]
      const ask = 'GET /short HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(250)
      for (const socket of sockets) socket.write(ask)
      await untilSteady(() => asked)
      const [silent, slow] = sockets as [Socket, Socket]
      let isEnded = false
      silent.once('close', () => (isEnded = true))
      for (let round = 0; round < 4; round++) {
        await clock.advance(20_000)
        assert.equal(closed, round < 1 ? 0 : 1)
        // The other takes so much that the system takes more from the server.
        for (let taken = 0; taken < 3_000_000;) {
          taken += (slow.read() as Buffer | null)?.length ?? 0
          await new Promise(setImmediate)
        }
      }
      silent.resume()
      while (!isEnded) await new Promise(setImmediate)
      assert.equal(slow.destroyed, false)
    },
    options,
  )
})

test('a reader that takes a piece now and then gets all of a long answer, with its length', async () => {
  const clock = new VirtualClock(0)
  const text = `${'x'.repeat(65_535)}\u{1f600}${'\u00e4'.repeat(3_000_000)}`
  let closed = 0
  const options = {
    writeTimeoutMs: 30_000,
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
    onSlowReader: () => closed++,
  }
  await serving(
    [route(['GET'], '/long', async () => ({ status: 200, body: text }))],
    async url => {
      for (const encoding of ['identity', 'gzip']) {
        const reply = await fetch(`${url}/long`, { headers: { 'accept-encoding': encoding } })
        const length = encoding === 'gzip' ? null : String(Buffer.byteLength(text))
        assert.equal(reply.headers.get('content-length'), length)
        assert.equal(await reply.text(), text)
      }
      await clock.advance(60_000)
      assert.equal(closed, 0)
    },
    options,
  )
})

test('bodies are held until they are answered, answers until they are read', async () => {
  const memory = new MemoryBudget(1000, {
    heads: 1,
    caches: 1,
    bodies: 1,
    queries: 1,
    answers: 1,
    tails: 1,
    other: 1,
  })
  const seen: number[] = []
  const handler: Handler = async request => {
    await request.body()
    request.holdAnswer?.(500)
    seen.push(memory.account('bodies').heldBytes, memory.account('answers').heldBytes)
    return { status: 200, body: 'done' }
  }
  await serving(
    [route(['POST'], '/', handler)],
    async url => {
      const post = (bytes: number): Promise<Response> =>
        fetch(url, { method: 'POST', body: new Uint8Array(bytes), headers: { connection: 'close' } })
      assert.equal((await post(400)).status, 200)
      assert.deepEqual(seen, [400, 500])
      while (memory.heldBytes > 0) await new Promise(setImmediate)
      memory.account('heads').take(700)
      const refused = await post(400)
      assert.match(await refused.text(), /mapped: no memory for the bodies of requests/)
    },
    { memory },
  )
})

test('pieces of a live answer arrive as they come, also at a client that takes gzip', async () => {
  let more: () => void = () => {}
  async function* live(): AsyncGenerator<string> {
    yield 'first'
    await new Promise<void>(resolve => (more = resolve))
    yield 'second'
  }
  const handler: Handler = async () => ({ status: 200, body: live(), isLive: true })
  await serving([route(['GET'], '/', handler)], async url => {
    const reply = await fetch(url, { headers: { 'accept-encoding': 'gzip' } })
    const reader = reply.body!.getReader()
    assert.equal(Buffer.from((await reader.read()).value!).toString(), 'first')
    more()
    assert.equal(Buffer.from((await reader.read()).value!).toString(), 'second')
  })
})

/** What a connection answers to texts that are sent at once, until it is closed or `isDone`. */
function answersTo(url: string, text: string, isDone: (answer: string) => boolean): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  silentSockets.push(socket)
  let answer = ''
  return new Promise(resolve => {
    const end = (): void => {
      resolve(answer)
    }
    socket.once('close', end)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      answer += chunk.toString('latin1')
      if (isDone(answer)) end()
    })
    socket.write(text)
  })
}

test('requests that come together on a connection begin one after the other, and not too many wait', async () => {
  const began: string[] = []
  let running = 0
  const slow: Handler = async ({ query }) => {
    const name = query.get('n') ?? ''
    began.push(name)
    assert.equal(++running, 1)
    await new Promise(setImmediate)
    running--
    return { status: 200, body: `<${name}>` }
  }
  await serving([route(['GET'], '/slow', slow)], async url => {
    const requests = (count: number): string =>
      Array.from({ length: count }, (_, i) => `GET /slow?n=${i} HTTP/1.1\r\nhost: x\r\n\r\n`).join('')
    const answer = await answersTo(url, requests(20), text => text.includes('<19>'))
    const numbers = Array.from({ length: 20 }, (_, i) => `${i}`)
    assert.deepEqual(began, numbers)
    assert.deepEqual(
      Array.from(answer.matchAll(/<(\d+)>/g), ([, name]) => name),
      numbers,
    )
    began.length = 0
    await answersTo(url, requests(400), () => false)
    assert.ok(began.length < 5, `${began.length} of 400 began`)
    assert.equal(await (await fetch(`${url}/slow?n=after`)).text(), '<after>')
  })
})
