/**
 * Logs in over every protocol, out over Loki's API, before and after a flush and a restart. Covers req-006, req-028,
 * req-044, req-045, req-046.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { createSocket } from 'node:dgram'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { after, before, test } from 'node:test'
import { Client, credentials } from '@grpc/grpc-js'
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'
import { encodeUtf8 } from '#core/text.ts'
import { urlOf } from '../url.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

let run: Running
const directory = temporaryDirectory()
const flags = ['listen.otlp_grpc=127.0.0.1:0', 'listen.syslog_tcp=127.0.0.1:0', 'listen.syslog_udp=127.0.0.1:0']
before(async () => {
  run = await runTercet(flags, directory)
})
after(async () => {
  await run.stop()
})

const nowNs = (offsetMs = 0): string => `${Date.now() + offsetMs}000000`
const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(run.url + path, {
    method: 'POST',
    body: typeof body === 'string' ? body : Buffer.from(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
const pushJson = (streams: unknown): Promise<Response> => post('/loki/api/v1/push', JSON.stringify({ streams }))

interface Stream {
  stream: Record<string, string>
  values: [string, string, unknown?][]
}
async function streams(
  query: string,
  extra: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<Stream[]> {
  const reply = await fetch(urlOf(run.url, '/loki/api/v1/query_range', { query, limit: '5000', ...extra }), {
    headers,
  })
  const text = await reply.text()
  assert.equal(reply.status, 200, text)
  return (JSON.parse(text) as { data: { result: Stream[] } }).data.result
}
const lines = async (query: string, extra: Record<string, string> = {}): Promise<string[]> =>
  (await streams(query, { direction: 'forward', ...extra })).flatMap(s => s.values.map(v => v[1]))
function pushMessage(labels: string, entries: { ns: bigint; line: string; pairs?: [string, string][] }[]): Uint8Array {
  const text = (out: ByteWriter, tag: number, bytes: Uint8Array): void => {
    out.writeU8(tag)
    out.writeUvarint(bytes.length)
    out.writeBytes(bytes)
  }
  const stream = new ByteWriter()
  text(stream, 0x0a, encodeUtf8(labels))
  for (const { ns, line, pairs = [] } of entries) {
    const time = new ByteWriter()
    const entry = new ByteWriter()
    time.writeU8(0x08)
    time.writeUvarint(Number(ns / 1_000_000_000n))
    time.writeU8(0x10)
    time.writeUvarint(Number(ns % 1_000_000_000n))
    text(entry, 0x0a, time.bytes())
    text(entry, 0x12, encodeUtf8(line))
    for (const [name, value] of pairs) {
      const pair = new ByteWriter()
      text(pair, 0x0a, encodeUtf8(name))
      text(pair, 0x12, encodeUtf8(value))
      text(entry, 0x1a, pair.bytes())
    }
    text(stream, 0x12, entry.bytes())
  }
  const out = new ByteWriter()
  text(out, 0x0a, stream.bytes())
  return out.copy()
}

test('push: protobuf with metadata, to the nanosecond; JSON plain, gzip, deflate (req-045)', async () => {
  const ns = BigInt(Date.now()) * 1_000_000n + 123_456n
  const reply = await post(
    '/loki/api/v1/push',
    encodeSnappy(
      pushMessage('{app="proto", env="t"}', [
        { ns, line: 'level=warn one', pairs: [['user.id', '7']] },
        { ns: ns + 1n, line: 'two ü' },
      ]),
    ),
    { 'content-type': 'application/x-protobuf' },
  )
  assert.equal(reply.status, 204, await reply.text())
  const found = await streams('{app="proto"}')
  assert.deepEqual(found, [
    {
      stream: { app: 'proto', detected_level: 'unknown', env: 't', service_name: 'proto' },
      values: [[String(ns + 1n), 'two ü']],
    },
    {
      stream: { app: 'proto', detected_level: 'warn', env: 't', service_name: 'proto', user_id: '7' },
      values: [[String(ns), 'level=warn one']],
    },
  ])
  const body = (line: string): string =>
    JSON.stringify({ streams: [{ stream: { app: 'packed' }, values: [[nowNs(), line]] }] })
  assert.equal((await post('/loki/api/v1/push', gzipSync(body('gzip')), { 'content-encoding': 'gzip' })).status, 204)
  assert.equal(
    (await post('/loki/api/v1/push', deflateRawSync(body('deflate')), { 'content-encoding': 'deflate' })).status,
    204,
  )
  assert.deepEqual((await lines('{app="packed"}')).sort(), ['deflate', 'gzip'])
})

test("push over gRPC, as Loki's Pusher", async () => {
  const client = new Client(
    run.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address,
    credentials.createInsecure(),
  )
  const call = (message: Uint8Array): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        '/logproto.Pusher/Push',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.from(message),
        (error, reply) => {
          if (error === null) resolve(reply!)
          else reject(error)
        },
      )
    })
  await call(pushMessage('{app="grpc"}', [{ ns: BigInt(Date.now()) * 1_000_000n, line: 'over gRPC' }]))
  assert.deepEqual(await lines('{app="grpc"}'), ['over gRPC'])
  await assert.rejects(
    call(pushMessage('{app="grpc"', [{ ns: BigInt(Date.now()) * 1_000_000n, line: 'x' }])),
    /couldn't parse labels/,
  )
  client.close()
})

test('push: what is refused, and what beside it is kept', async () => {
  const cases: [unknown, number, RegExp][] = [
    [
      [
        {
          stream: { app: 'edge' },
          values: [
            [nowNs(-8 * 86_400_000), 'old'],
            [nowNs(), 'kept 1'],
          ],
        },
      ],
      400,
      /timestamp too old/,
    ],
    [
      [
        {
          stream: { app: 'edge' },
          values: [
            [nowNs(3_600_000), 'new'],
            [nowNs(), 'kept 2'],
          ],
        },
      ],
      400,
      /timestamp too new/,
    ],
    [
      [
        {
          stream: { app: 'edge' },
          values: [
            [nowNs(), 'x'.repeat(262_145)],
            [nowNs(), 'kept 3'],
          ],
        },
      ],
      400,
      /max entry size '262144' bytes exceeded/,
    ],
    [
      [
        {
          stream: { app: 'edge' },
          values: [
            [nowNs(-7_200_000), 'behind'],
            [nowNs(), 'kept 4'],
          ],
        },
      ],
      400,
      /entry too far behind/,
    ],
    [
      [
        {
          stream: Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`l${i}`, 'v'])),
          values: [[nowNs(), 'many']],
        },
      ],
      400,
      /has 16 label names; limit 15/,
    ],
    [
      [
        { stream: { 'a.b': 'x' }, values: [[nowNs(), 'dot']] },
        { stream: { app: 'edge' }, values: [[nowNs(), 'kept 5']] },
      ],
      400,
      /couldn't parse labels/,
    ],
    [[{ stream: { app: 'edge' }, values: [[12, 'number']] }], 400, /a string of nanoseconds/],
    [[], 422, /at least one valid stream/],
  ]
  for (const [body, status, message] of cases) {
    const reply = await pushJson(body)
    assert.equal(reply.status, status)
    assert.match(await reply.text(), message)
  }
  assert.deepEqual((await lines('{app="edge"}')).sort(), ['kept 1', 'kept 2', 'kept 3', 'kept 4', 'kept 5'])
  assert.equal((await post('/loki/api/v1/push', 'junk', { 'content-type': 'application/x-protobuf' })).status, 400)
  assert.equal((await post('/loki/api/v1/push', '{', {})).status, 400)
  assert.equal(
    (await post('/loki/api/v1/push', gzipSync(Buffer.alloc(200 * 1024 * 1024)), { 'content-encoding': 'gzip' })).status,
    413,
  )
})

test('equal lines appear once; out-of-order lines come in order', async () => {
  const at = BigInt(Date.now()) * 1_000_000n
  const value = (offset: bigint, line: string, metadata = {}): unknown[] => [String(at + offset), line, metadata]
  await pushJson([
    {
      stream: { app: 'order' },
      values: [
        value(5n, 'five'),
        value(1n, 'one'),
        value(5n, 'five'),
        value(5n, 'five', { a: 'b' }),
        value(3n, 'three'),
      ],
    },
  ])
  await pushJson([{ stream: { app: 'order' }, values: [value(1n, 'one'), value(4n, 'four')] }])
  assert.deepEqual(await lines('{app="order"}'), ['five', 'one', 'three', 'four', 'five'])
  assert.deepEqual((await lines('{app="order"}', { direction: 'backward' })).sort(), [
    'five',
    'five',
    'four',
    'one',
    'three',
  ])
  assert.deepEqual(await lines('{app="order"}', { limit: '2' }), ['one', 'three'])
})

test('VictoriaLogs: JSON lines with a broken one, bulk, parameters (req-044, req-065)', async () => {
  const time = new Date().toISOString()
  const body = [
    `{"_time":"${time}","_msg":"first","host":{"name":"h1","os":"l"},"n":1,"list":[1,2]}`,
    '{broken',
    `{"_time":"${time}","_msg":"second","host":{"name":"h1"}}`,
    '"text"',
  ].join('\n')
  assert.equal(
    (await post('/insert/jsonline?_stream_fields=host.name&ignore_fields=host.os&extra_fields=env=prod', body)).status,
    400,
  )
  assert.deepEqual(await streams('{host_name="h1"} |= "first"'), [
    {
      stream: {
        detected_level: 'unknown',
        env: 'prod',
        host_name: 'h1',
        list: '[1,2]',
        n: '1',
        service_name: 'unknown_service',
      },
      values: [[`${Date.parse(time)}000000`, 'first']],
    },
  ])
  assert.deepEqual((await lines('{host_name="h1"}')).sort(), ['first', 'second'])
  const bulk = await post(
    '/insert/elasticsearch/_bulk?_time_field=@timestamp&_msg_field=message&_stream_fields=k',
    `{"create":{}}\n{"@timestamp":"${time}","message":"bulk one","k":"es"}\n` +
      `{"index":{"_index":"i"}}\n{"@timestamp":"${time}","message":"bulk two","k":"es"}\n`,
  )
  assert.equal(bulk.status, 200)
  assert.deepEqual(((await bulk.json()) as { items: unknown[] }).items.length, 2)
  assert.deepEqual((await lines('{k="es"}')).sort(), ['bulk one', 'bulk two'])
})

test('syslog over TCP (both framings) and UDP; journald (req-065)', async () => {
  const address = (name: string): [string, number] => {
    const text = run.tercet.addresses.find(a => a.name === name)!.address
    return [text.split(':')[0]!, Number(text.split(':')[1])]
  }
  const [host, port] = address('syslog_tcp')
  const message = `<34>1 ${new Date().toISOString()} mymachine su 77 ID47 [ex@1 iut="3" q="a\\"b"] counted`
  const socket = connect(port, host)
  socket.write(`${message.length} ${message}`)
  socket.end(
    `<13>${new Date().toDateString().slice(4, 7)} ${String(new Date().getDate()).padStart(2)} ` +
      `${new Date().toTimeString().slice(0, 8)} box cron[12]: by line\n`,
  )
  await untilTrue(async () => (await lines('{hostname=~"mymachine|box"}')).length === 2, 'syslog over TCP')
  const [counted] = await streams('{hostname="mymachine"}')
  assert.equal(counted!.values[0]![1], 'counted')
  assert.deepEqual(
    {
      app: counted!.stream['app_name'],
      id: counted!.stream['proc_id'],
      level: counted!.stream['detected_level'],
      iut: counted!.stream['ex_1_iut'],
      q: counted!.stream['ex_1_q'],
      msg: counted!.stream['msg_id'],
    },
    { app: 'su', id: '77', level: 'critical', iut: '3', q: 'a"b', msg: 'ID47' },
  )
  const udp = createSocket('udp4')
  const [udpHost, udpPort] = address('syslog_udp')
  udp.send(`<11>1 ${new Date().toISOString()} udphost app - - - datagram`, udpPort, udpHost, () => {
    udp.close()
  })
  await untilTrue(async () => (await lines('{hostname="udphost"}')).length === 1, 'syslog over UDP')
  const journal =
    `__CURSOR=s=1\n__REALTIME_TIMESTAMP=${Date.now()}000\n` +
    '_HOSTNAME=jhost\n_SYSTEMD_UNIT=ssh.service\n' +
    'PRIORITY=6\nMESSAGE\n'
  const long = Buffer.from('two\nlines')
  const size = Buffer.alloc(8)
  size.writeUInt32LE(long.length)
  assert.equal(
    (
      await post('/insert/journald/upload', Buffer.concat([Buffer.from(journal), size, long, Buffer.from('\n\n')]), {
        'content-type': 'application/vnd.fdo.journal',
      })
    ).status,
    200,
  )
  assert.deepEqual(await lines('{_HOSTNAME="jhost", _SYSTEMD_UNIT="ssh.service"}'), ['two\nlines'])
})

test('syslog without a priority, or with one beyond all, over TCP and UDP', async () => {
  const address = (name: string): [string, number] => {
    const text = run.tercet.addresses.find(a => a.name === name)!.address
    return [text.split(':')[0]!, Number(text.split(':')[1])]
  }
  const now = new Date()
  const old = `${now.toDateString().slice(4, 7)} ${String(now.getDate()).padStart(2)} ` + now.toTimeString().slice(0, 8)
  // Forms of one message, by host.
  const forms = (door: string): string[] => [
    `${old} ${door}-old cron[9]: no priority here`,
    `${now.toISOString()} ${door}-iso cron[9]: no priority here`,
    `1 ${now.toISOString()} ${door}-new cron 9 - - no priority here`,
    `<999>${old} ${door}-beyond cron[9]: no priority here`,
  ]
  const [host, port] = address('syslog_tcp')
  const socket = connect(port, host)
  socket.end(forms('tcp').join('\n'))
  const [udpHost, udpPort] = address('syslog_udp')
  const udp = createSocket('udp4')
  for (const form of forms('udp')) await new Promise<unknown>(sent => udp.send(form, udpPort, udpHost, sent))
  udp.close()
  const selector = '{hostname=~"(tcp|udp)-(old|iso|new|beyond)"}'
  await untilTrue(async () => (await lines(selector)).length === 8, 'eight messages')
  for (const { stream, values } of await streams(selector)) {
    const { hostname = '', app_name, proc_id } = stream
    assert.deepEqual([app_name, proc_id, values[0]![1]], ['cron', '9', 'no priority here'], hostname)
    const ms = Number(values[0]![0].slice(0, -6))
    assert.equal(ms, /old|beyond/.test(hostname) ? Math.floor(now.getTime() / 1000) * 1000 : now.getTime(), hostname)
  }
})

test('OTLP over HTTP in JSON: attributes to labels and metadata (req-065)', async () => {
  const body = {
    resourceLogs: [
      {
        resource: {
          attributes: [
            { key: 'service.name', value: { stringValue: 'shop' } },
            { key: 'team', value: { stringValue: 'x' } },
          ],
        },
        scopeLogs: [
          {
            scope: { name: 'lib', version: '1' },
            logRecords: [
              {
                timeUnixNano: nowNs(),
                severityNumber: 17,
                severityText: 'ERROR',
                body: {
                  kvlistValue: {
                    values: [
                      { key: 'b', value: { intValue: '2' } },
                      { key: 'a', value: { stringValue: 'q' } },
                    ],
                  },
                },
                attributes: [
                  { key: 'http.method', value: { stringValue: 'GET' } },
                  { key: 'd', value: { doubleValue: 1.5 } },
                ],
                traceId: '5B8EFFF798038103D269B633813FC60C',
              },
            ],
          },
        ],
      },
    ],
  }
  assert.equal((await post('/otlp/v1/logs', JSON.stringify(body))).status, 204)
  assert.deepEqual(
    (await streams('{service_name="shop"}')).map(s => [s.stream, s.values[0]![1]]),
    [
      [
        {
          d: '1.5',
          detected_level: 'error',
          http_method: 'GET',
          scope_name: 'lib',
          scope_version: '1',
          service_name: 'shop',
          severity_number: '17',
          severity_text: 'ERROR',
          team: 'x',
          trace_id: '5b8efff798038103d269b633813fc60c',
        },
        '{"a":"q","b":2}',
      ],
    ],
  )
  assert.equal((await post('/v1/logs', JSON.stringify(body))).status, 200)
  assert.equal((await post('/otlp/v1/logs', '{"resourceLogs":[]}')).status, 422)
})

test('categories, metadata endpoints, errors in plain text (req-006, req-028, req-163)', async () => {
  await pushJson([{ stream: { app: 'cat' }, values: [[nowNs(), 'a=1 b=2', { tid: 'x' }]] }])
  const [one] = await streams('{app="cat"} | logfmt', {}, { 'x-loki-response-encoding-flags': 'categorize-labels' })
  assert.deepEqual(
    [one!.stream, one!.values[0]![2]],
    [
      { app: 'cat', service_name: 'cat' },
      { structuredMetadata: { detected_level: 'unknown', tid: 'x' }, parsed: { a: '1', b: '2' } },
    ],
  )
  const get = async (path: string): Promise<[number, string]> => {
    const reply = await fetch(run.url + path)
    return [reply.status, await reply.text()]
  }
  assert.deepEqual(await get('/loki/api/v1/label/app/values?query={app="cat"}'), [
    200,
    '{"status":"success","data":["cat"]}\n',
  ])
  assert.deepEqual(await get('/loki/api/v1/labels?query={app="nope"}'), [200, '{"status":"success"}\n'])
  assert.deepEqual(await get('/loki/api/v1/series?match[]={app="cat"}'), [
    200,
    '{"status":"success","data":[{"app":"cat","service_name":"cat"}]}\n',
  ])
  assert.deepEqual(await get('/select/logsql/loki/api/v1/label/app/values?query={app="cat"}'), [
    200,
    '{"status":"success","data":["cat"]}\n',
  ])
  assert.deepEqual(await get('/loki/api/v1/query?query={app="cat"}'), [
    400,
    'log queries are not supported as an instant query type, please change your query to a range query type',
  ])
  assert.deepEqual(await get('/loki/api/v1/query_range?query={app="cat"'), [
    400,
    'parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,',
  ])
  assert.deepEqual(await get(`/loki/api/v1/query_range?query=${encodeURIComponent('{app="cat"} | x=ip("bad")')}`), [
    400,
    'parse error : stage \'| x=ip("bad")\' : ip: invalid pattern: "bad"',
  ])
  assert.deepEqual((await get('/loki/api/v1/query_range?query={app="cat"}&limit=5001'))[0], 400)
  assert.match(
    (await get('/loki/api/v1/query?query=vector(1)%2Bvector(1)&time=4'))[1],
    /"resultType":"vector","result":\[\{"metric":\{\},"value":\[4,"2"\]\}\]/,
  )
  assert.match(
    (await get(`/loki/api/v1/query?query=${encodeURIComponent('count_over_time({app="cat"} | json [5m])')}`))[1],
    /^pipeline error: 'JSONParserErr' for series:/,
  )
  assert.match(
    (
      await get(
        `/loki/api/v1/query?query=${encodeURIComponent('sum by (app) (count_over_time({app="cat"} | json [5m]))')}`,
      )
    )[1],
    /pipeline error/,
  )
  assert.deepEqual(await get(`/loki/api/v1/format_query?query=${encodeURIComponent('{a="b"}|="x"')}`), [
    200,
    '{"status":"success","data":"{a=\\"b\\"} |= \\"x\\""}\n',
  ])
  assert.match(
    (await get('/loki/api/v1/detected_fields?query={app="cat"}'))[1],
    /"label":"tid","type":"string","cardinality":1,"parsers":null/,
  )
})

test('a regular expression that would run away does not; a needle is found wherever it lies (req-046)', async () => {
  await pushJson([
    {
      stream: { app: 'regex' },
      values: [
        [nowNs(), `${'a'.repeat(3000)}!`],
        [nowNs(1), 'needle'],
        [nowNs(2), 'x needle'],
        [nowNs(3), 'need'],
        [nowNs(4), 'le'],
      ],
    },
  ])
  assert.deepEqual(await lines('{app="regex"} |~ "(a+)+$"'), [])
  assert.deepEqual(await lines('{app="regex"} |= "needle"'), ['needle', 'x needle'])
  assert.deepEqual(await lines('{app="regex"} |~ "x? ?need[l]e$" != "x"'), ['needle'])
  assert.deepEqual((await lines('{app="regex"} != "a"')).length, 4)
})

test('tail: what is there, then what comes', async () => {
  await pushJson([
    {
      stream: { app: 'tail' },
      values: [
        [nowNs(), 'before 1'],
        [nowNs(1), 'before 2'],
      ],
    },
  ])
  const socket = new WebSocket(
    `${run.url.replace('http', 'ws')}/loki/api/v1/tail?query=${encodeURIComponent('{app="tail"} != "skip"')}`,
  )
  const seen: string[] = []
  socket.addEventListener('message', event => {
    for (const s of (JSON.parse(String(event.data)) as { streams: Stream[] }).streams)
      seen.push(...s.values.map(v => v[1]))
  })
  await untilTrue(() => seen.length === 2, 'the look back')
  await pushJson([
    {
      stream: { app: 'tail' },
      values: [
        [nowNs(), 'after'],
        [nowNs(1), 'skip this'],
      ],
    },
    { stream: { app: 'other' }, values: [[nowNs(), 'other']] },
  ])
  await untilTrue(() => seen.length === 3, 'the new line')
  assert.deepEqual(seen, ['before 1', 'before 2', 'after'])
  socket.close()
  const refused = await fetch(`${run.url}/loki/api/v1/tail?query={app="tail"}`)
  assert.equal(refused.status, 400)
})

test('deletion hides lines at once', async () => {
  await pushJson([
    {
      stream: { app: 'del' },
      values: [
        [nowNs(-2000), 'secret=1'],
        [nowNs(-1000), 'public'],
      ],
    },
  ])
  const seconds = Math.floor(Date.now() / 1000)
  const reply = await fetch(
    urlOf(run.url, '/loki/api/v1/delete', { query: '{app="del"} |= "secret"', start: String(seconds - 3600) }),
    { method: 'POST' },
  )
  assert.equal(reply.status, 204, await reply.text())
  assert.deepEqual(await lines('{app="del"}'), ['public'])
  const [request] = (await (await fetch(`${run.url}/loki/api/v1/delete`)).json()) as {
    request_id: string
    status: string
  }[]
  assert.equal(request!.status, 'received')
  assert.equal(
    (await fetch(`${run.url}/loki/api/v1/delete?request_id=${request!.request_id}`, { method: 'DELETE' })).status,
    204,
  )
  assert.deepEqual((await lines('{app="del"}')).length, 2)
  assert.equal((await fetch(`${run.url}/loki/api/v1/delete?request_id=nope`, { method: 'DELETE' })).status, 404)
})

test('everything answers the same after a flush, and after a restart (req-053)', async () => {
  const queries = ['{app=~".+"}', '{hostname=~".+"}', '{app="order"} |= "e"', '{service_name="shop"} | json']
  const ask = async (): Promise<unknown> =>
    Promise.all(
      queries.map(async q =>
        (await streams(q, { start: String(Math.floor(Date.now() / 1000) - 7200), direction: 'forward' })).map(s => [
          s.stream,
          [...s.values].sort((a, b) => (a[0] + a[1] < b[0] + b[1] ? -1 : 1)),
        ]),
      ),
    )
  const first = await ask()
  assert.equal((await post('/-/flush', '')).status, 204)
  assert.deepEqual(await ask(), first)
  await pushJson([{ stream: { app: 'late' }, values: [[nowNs(), 'after the flush']] }])
  const second = await ask()
  await run.tercet.close()
  run = await runTercet(flags, directory)
  assert.deepEqual(await ask(), second)
})
