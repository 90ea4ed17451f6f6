/** What a page of another origin can do with a visitor's browser: nothing. Over whole processes, by raw requests. */
import assert from 'node:assert/strict'
import { request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { runTercet, type Running } from '../run-tercet.ts'

interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

/** `fetch` would choose Host and other headers by itself. */
function send(
  running: Running,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): Promise<Reply> {
  const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const call = request(running.url + path, { method, headers: { ...headers, ...length }, agent: false }, reply => {
      let text = ''
      reply.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      reply.on('end', () => {
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text })
      })
    })
    call.on('error', reject)
    call.end(body)
  })
}

async function running(flags: readonly string[], work: (running: Running) => Promise<void>): Promise<void> {
  const one = await runTercet(flags)
  try {
    await work(one)
  } finally {
    await one.stop()
  }
}

const now = Date.now()
const lines = JSON.stringify({ streams: [{ stream: { job: 'evil' }, values: [[`${now}000000`, 'a line']] }] })
const alerts = JSON.stringify([{ labels: { alertname: 'Evil' } }])
const spans = JSON.stringify([{ traceId: '1'.repeat(16), id: '2'.repeat(16), name: 'evil', timestamp: now * 1000 }])

/** What a page can send without being allowed to: as a form, as text, as an image. */
const pushes: readonly (readonly [method: string, path: string, body: string])[] = [
  ['POST', '/api/v1/import/prometheus', 'evil 1\n'],
  ['POST', '/write', 'evil value=1\n'],
  ['POST', '/loki/api/v1/push', lines],
  [
    'POST',
    '/insert/jsonline',
    `${JSON.stringify({ _time: new Date(now).toISOString(), _msg: 'evil', job: 'evil' })}\n`,
  ],
  ['POST', '/api/v2/spans', spans],
  ['POST', '/api/v2/alerts', alerts],
  ['POST', '/alertmanager/api/v2/alerts', alerts],
  ['POST', '/api/v2/silences', '{}'],
  ['POST', '/-/flush', ''],
  ['POST', '/-/reload', ''],
  ['POST', '/-/hand-over?to=evil', ''],
  ['POST', '/api/v1/admin/tsdb/delete_series?match[]=up', ''],
  ['POST', '/loki/api/v1/delete?query={job="x"}&start=1', ''],
  ['POST', '/log_level', 'log_level=error'],
  ['POST', '/api/v1/query', 'query=up'],
  ['DELETE', '/api/tercet/queries/1', ''],
  ['PUT', '/insert/elasticsearch/_bulk', '{"create":{}}\n{"_msg":"evil"}\n'],
  ['POST', '/nosuch', ''],
]

/** Nothing of the pushes is there. */
async function assertUntouched(one: Running): Promise<void> {
  const text = async (path: string): Promise<string> => (await send(one, 'GET', path)).text
  assert.match(await text('/api/v1/series?match[]={__name__=~"evil.*"}'), /"data":\[\]/)
  assert.match(await text('/loki/api/v1/labels'), /^(?!.*"job")/)
  assert.match(await text('/api/search?q={}'), /"traces":\[\]/)
  assert.equal((await text('/api/v2/alerts')).trim(), '[]')
  assert.equal((await text('/api/v2/silences')).trim(), '[]')
}

test('whatever a page of another origin sends is refused, and leaves no trace', async () => {
  await running([], async one => {
    const text = { 'content-type': 'text/plain' }
    const pages: readonly Record<string, string>[] = [
      { ...text, origin: 'https://evil.example' },
      { ...text, origin: 'null' },
      { ...text, origin: one.url.replace(/\d+$/, '1') },
      { ...text, 'sec-fetch-site': 'cross-site' },
      { ...text, 'sec-fetch-site': 'same-site' },
      // The name of the page was made to lead here.
      { ...text, origin: 'http://rebind.example:8428', host: 'rebind.example:8428' },
    ]
    for (const [method, path, body] of pushes)
      for (const page of pages) {
        const reply = await send(one, method, path, page, body)
        assert.equal(reply.status, 403, `${method} ${path} ${JSON.stringify(page)}: ${reply.text}`)
      }
    await assertUntouched(one)
    // The same from a program, and from a page of its own.
    for (const headers of [text, { ...text, origin: one.url }, { ...text, host: 'tercet.monitoring:8428' }]) {
      assert.equal((await send(one, 'POST', '/api/v1/import/prometheus', headers, 'evil 1\n')).status, 204)
      assert.equal((await send(one, 'POST', '/api/v2/alerts', headers, alerts)).status, 200)
    }
  })
})

test('by the name of another server nothing is read, on any route; probes answer by any name', async () => {
  await running(['allowed_hosts=tercet.example.net', 'external_url=https://outer.example.net/'], async one => {
    const paths = [
      '/',
      '/ui',
      '/metrics',
      '/config',
      '/api/v1/query?query=1',
      '/api/traces/1',
      '/assets/x.js',
      '/nosuch',
    ]
    for (const path of paths)
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        const reply = await send(one, method, path, { host: 'rebind.example' })
        assert.equal(reply.status, 403, `${method} ${path}`)
      }
    const refused = await send(one, 'GET', '/config', { host: 'rebind.example' })
    assert.match(refused.text, /^403: this server does not answer to the name "rebind\.example".* allowed_hosts/)
    for (const host of [
      'localhost:1',
      'tercet',
      'tercet.monitoring.svc:8428',
      'tercet.example.net',
      'outer.example.net',
    ])
      assert.equal((await send(one, 'GET', '/api/v1/query?query=1', { host })).status, 200, host)
    for (const path of ['/health', '/ready', '/-/healthy', '/-/ready'])
      assert.equal((await send(one, 'GET', path, { host: 'rebind.example' })).status, 200, path)
    assert.match((await send(one, 'GET', '/-/ready')).text, /warning: .*rebind\.example.*allowed_hosts/)
  })
})

test('HTTP/1.0 without a Host is a program', async () => {
  await running([], async one => {
    const { hostname, port } = new URL(one.url)
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.end('GET /api/v1/query?query=1 HTTP/1.0\r\n\r\n'))
      let all = ''
      socket.setEncoding('utf8').on('data', (piece: string) => {
        all += piece
      })
      socket.on('end', () => {
        resolve(all)
      })
      socket.on('error', reject)
    })
    assert.match(text, /^HTTP\/1\.1 200 /)
  })
})

test('every answer is nothing but what it says it is, and stands in no frame', async () => {
  await running([], async one => {
    const asked: readonly (readonly [method: string, path: string, headers?: Record<string, string>])[] = [
      ['GET', '/'],
      ['GET', '/ui/metrics', { accept: 'text/html' }],
      ['GET', '/assets/nosuch.js'],
      ['GET', '/api/v1/query?query=up'],
      ['GET', '/api/v1/query?query=('],
      ['GET', '/loki/api/v1/labels'],
      ['GET', '/api/search?q=('],
      ['GET', '/metrics'],
      ['GET', '/metrics', { 'accept-encoding': 'gzip' }],
      ['GET', '/health'],
      ['HEAD', '/metrics'],
      ['GET', '/nosuch'],
      ['POST', '/metrics'],
      ['GET', '/graph'],
      ['OPTIONS', '/api/v1/query'],
      ['GET', '/config', { host: 'rebind.example' }],
      ['POST', '/-/flush', { origin: 'https://evil.example' }],
      ['POST', '/-/flush'],
      ['GET', '/%E0%A4%A'],
    ]
    for (const [method, path, headers = {}] of asked) {
      const reply = await send(one, method, path, { origin: 'https://evil.example', ...headers })
      const about = `${method} ${path}: ${reply.status}`
      assert.equal(reply.headers['x-content-type-options'], 'nosniff', about)
      assert.equal(reply.headers['cross-origin-resource-policy'], 'same-origin', about)
      assert.equal(reply.headers['x-frame-options'], 'DENY', about)
      assert.match(String(reply.headers['content-security-policy']), /frame-ancestors 'none'/, about)
      assert.equal(reply.headers['referrer-policy'], 'same-origin', about)
      assert.deepEqual(
        Object.keys(reply.headers).filter(name => name.startsWith('access-control')),
        [],
        about,
      )
    }
  })
})

test('a page of a listed origin sends telemetry and reads answers; errors and refusals too', async () => {
  const origin = 'https://app.example.net'
  await running([`cors_origins=${origin}`], async one => {
    const preflight = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-scope-orgid',
    }
    for (const path of ['/v1/traces', '/v1/logs', '/v1/metrics', '/loki/api/v1/push', '/api/v2/spans']) {
      const allowed = await send(one, 'OPTIONS', path, preflight)
      assert.equal(allowed.status, 204)
      assert.equal(allowed.headers['access-control-allow-origin'], origin)
      assert.match(String(allowed.headers['access-control-allow-methods']), /\bPOST\b/)
      assert.match(String(allowed.headers['access-control-allow-headers']), /content-type.*x-scope-orgid/i)
      assert.equal(allowed.headers['access-control-max-age'], '600')
      const refused = await send(one, 'OPTIONS', path, { ...preflight, origin: 'https://evil.example' })
      assert.equal(refused.status, 403)
      assert.equal(refused.headers['access-control-allow-origin'], undefined)
      assert.equal(refused.headers['vary'], 'origin')
    }
    const json = { 'content-type': 'application/json', origin }
    const pushed = await send(one, 'POST', '/v1/traces', json, '{"resourceSpans":[]}')
    assert.deepEqual([pushed.status, pushed.headers['access-control-allow-origin']], [200, origin])
    const wrong = await send(one, 'GET', '/api/v1/query?query=(', { origin })
    assert.deepEqual([wrong.status, wrong.headers['access-control-allow-origin']], [400, origin])
    const packed = await send(one, 'GET', '/metrics', { origin, 'accept-encoding': 'gzip' })
    assert.equal(packed.headers['vary'], 'origin, accept-encoding')
    assert.equal((await send(one, 'POST', '/-/flush', { origin })).status, 204)
    assert.equal((await send(one, 'POST', '/v1/traces', { ...json, origin: 'null' }, '{}')).status, 403)
  })
})

/** What a tail says to a WebSocket: `open`, or the status of the refusal. */
function openTail(one: Running, path: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = new WebSocket(`${one.url.replace('http', 'ws')}${path}?query={job="x"}`, { headers })
    client.on('open', () => {
      client.terminate()
      resolve('open')
    })
    client.on('error', reject)
    client.on('unexpected-response', (call, response) => {
      resolve(`${response.statusCode ?? 0} ${String(response.headers['x-content-type-options'])}`)
      call.destroy()
    })
  })
}

test('a WebSocket is opened for programs and pages of this server, and for no other page', async () => {
  await running(['cors_origins=https://app.example.net'], async one => {
    for (const path of ['/loki/api/v1/tail', '/api/prom/tail', '/select/logsql/loki/api/v1/tail']) {
      assert.equal(await openTail(one, path, {}), 'open')
      assert.equal(await openTail(one, path, { origin: one.url }), 'open')
      assert.equal(await openTail(one, path, { origin: 'https://app.example.net' }), 'open')
      for (const headers of [
        { origin: 'https://evil.example' },
        { origin: 'null' },
        { origin: 'http://rebind.example', host: 'rebind.example' },
        { host: 'rebind.example' },
      ])
        assert.equal(await openTail(one, path, headers), '403 nosniff', JSON.stringify(headers))
    }
  })
})
