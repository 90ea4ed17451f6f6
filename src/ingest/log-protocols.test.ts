/** Push protocols of logs: what is stored, and how senders are answered. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { encodeSnappy } from '#codec/snappy.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { CorruptDataError, LimitError, UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { LogsAppender, LogsAppendOutcome } from '#logs/append.ts'
import { nameRefused, refuse } from '#model/append-outcome.ts'
import type { LogBatch } from '#model/log-batch.ts'
import { answerOf, call, failureText, pathsOf, send, tenantOf, type Sent } from './ingest-kit.ts'
import { logProtocols } from './log-protocols.ts'

const nowMs = Date.parse('2026-11-28T12:00:00Z')
const nowNs = `${nowMs}000000`

/** Keeps lines as `tenant {labels} text @time pairs`; refuses `bad …`, for now where it says `later`. */
class KeptLines implements LogsAppender {
  readonly lines: string[] = []
  readonly warnings: string[] = []
  failure: Error | undefined
  calls = 0

  append(tenant: string, batch: LogBatch): Promise<LogsAppendOutcome> {
    this.calls++
    if (this.failure !== undefined) return Promise.reject(this.failure)
    const outcome: LogsAppendOutcome = { stored: 0, refused: 0, problems: [], status: 400 }
    if (batch.namesRefused) outcome.refusedAt = []
    for (const [s, labels] of batch.streams.entries())
      for (let i = batch.startOf[s]!; i < batch.startOf[s + 1]!; i++) {
        const text = Buffer.from(batch.bytes.subarray(batch.lineFrom[i], batch.lineTo[i])).toString('utf8')
        if (text.startsWith('bad')) {
          refuse(outcome, text)
          nameRefused(outcome, text, i, 1, text.includes('later'))
          if (text.includes('later')) outcome.status = 429
          continue
        }
        outcome.stored++
        const pairs = batch.pairs.slice(batch.pairsFrom[i], batch.pairsTo[i])
        const rest = pairs.length === 0 ? '' : ` ${pairs.join(',')}`
        this.lines.push(`${tenant} ${labels.toString()} ${text} @${batch.timesMs[i]! - nowMs}${rest}`)
      }
    return Promise.resolve(outcome)
  }
}

const limits = { decodedBytesMax: 2_000_000 }
const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })

function serving(): { store: KeptLines; served: ReturnType<typeof logProtocols> } {
  const store = new KeptLines()
  const log = {
    ...silentLog,
    warn: (message: string) => {
      store.warnings.push(message)
    },
  }
  const served = logProtocols({ appender: store, tenantOf, clock: new VirtualClock(nowMs), log, kernel, limits })
  return { store, served }
}

const json = { 'content-type': 'application/json' }
const lokiJson = (...texts: string[]): string =>
  JSON.stringify({ streams: [{ stream: { a: 'b' }, values: texts.map(text => [nowNs, text]) }] })
/** PushRequest with one stream {a="b"} and one line `l` without a time. */
const lokiMessage = Buffer.from('0a0e0a077b613d2262227d120312016c', 'hex')
const otlp = (...texts: string[]): string =>
  JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 's' } }] },
        scopeLogs: [{ logRecords: texts.map(text => ({ timeUnixNano: nowNs, body: { stringValue: text } })) }],
      },
    ],
  })

test('all paths are served; gRPC is OTLP and Loki', () => {
  const { served } = serving()
  assert.deepEqual(pathsOf(served), [
    'DELETE /insert/elasticsearch/*',
    'GET /insert/elasticsearch',
    'GET /insert/elasticsearch/*',
    'GET /insert/elasticsearch/_license',
    'POST /api/prom/push',
    'POST /insert/elasticsearch/*',
    'POST /insert/elasticsearch/:index/_bulk',
    'POST /insert/elasticsearch/_bulk',
    'POST /insert/journald/upload',
    'POST /insert/jsonline',
    'POST /insert/loki/api/v1/push',
    'POST /insert/opentelemetry/v1/logs',
    'POST /loki/api/v1/push',
    'POST /opentelemetry/v1/logs',
    'POST /otlp/v1/logs',
    'POST /v1/logs',
    'PUT /insert/elasticsearch/*',
    'PUT /insert/elasticsearch/:index/_bulk',
    'PUT /insert/elasticsearch/_bulk',
    'PUT /insert/journald/upload',
    'PUT /insert/jsonline',
  ])
  assert.deepEqual(served.grpc.map(m => `${m.service}/${m.method}`).sort(), [
    'logproto.Pusher/Push',
    'opentelemetry.proto.collector.logs.v1.LogsService/Export',
  ])
})

test('good bodies of every protocol and encoding are stored, and answered as each protocol answers', async () => {
  const push = '/loki/api/v1/push'
  const line = 'default {a="b"} l @0'
  const deflate = { ...json, 'content-encoding': 'deflate' }
  const elastic = '{"create":{}}\n{"message":"m","x":"1"}\n{"index":{"_index":"i"}}\n{"message":"n"}\n'
  const journal = `MESSAGE=hi\n__REALTIME_TIMESTAMP=${nowMs}000\n__CURSOR=x\n_HOSTNAME=h\nPRIORITY=6\n\n`
  const created = '{"create":{"status":201}},{"index":{"status":201}}'
  const fields = 'default {} m @0 x,1'
  const cases: [sent: Sent, answer: string, stored: string[]][] = [
    [{ path: push, headers: json, body: lokiJson('l') }, '204', [line]],
    [{ path: push, headers: { 'content-type': 'Application/JSON; a=b' }, body: lokiJson('l') }, '204', [line]],
    [{ path: push, headers: deflate, body: deflateRawSync(lokiJson('l')) }, '204', [line]],
    [
      { path: '/insert/loki/api/v1/push', headers: { 'content-type': 'x/y' }, body: encodeSnappy(lokiMessage) },
      '204',
      [`default {a="b"} l @${-nowMs}`],
    ],
    [
      {
        path: '/api/prom/push',
        headers: json,
        body: '{"streams":[{"labels":"{a=\\"b\\"}","entries":[{"ts":"2026-11-28T12:00:00Z","line":"l"}]}]}',
      },
      '204',
      [line],
    ],
    [{ path: '/v1/logs', headers: json, body: otlp('l') }, '200 {}', ['default {service_name="s"} l @0']],
    [{ path: '/otlp/v1/logs', headers: json, body: otlp('l') }, '204', ['default {service_name="s"} l @0']],
    [{ path: '/v1/logs', headers: json, body: '{}' }, '200 {}', []],
    [{ path: '/v1/logs', body: '' }, '200', []],
    [{ path: '/insert/jsonline', body: '{"_msg":"m","x":"1"}\n\n' }, '200', [fields]],
    [
      {
        path: '/insert/jsonline?_msg_field=text&_stream_fields=x&extra_fields=e=f',
        method: 'PUT',
        body: '{"text":"m","x":"1"}',
      },
      '200',
      ['default {x="1"} m @0 e,f'],
    ],
    [{ path: '/insert/jsonline', headers: { 'vl-msg-field': 'text' }, body: '{"text":"m","x":"1"}' }, '200', [fields]],
    [{ path: '/insert/jsonline?debug=1', body: '{"_msg":"m"}' }, '200', []],
    [{ path: '/insert/jsonline', body: '' }, '200', []],
    [
      { path: '/insert/elasticsearch/_bulk', body: elastic },
      `200 {"took":0,"errors":false,"items":[${created}]}`,
      [fields, 'default {} n @0'],
    ],
    [{ path: '/insert/journald/upload', body: journal }, '200', ['default {_HOSTNAME="h"} hi @0 PRIORITY,6']],
    [
      { path: '/insert/journald/upload', body: `${'\n'.repeat(3_000_000)}${journal}` },
      '200',
      ['default {_HOSTNAME="h"} hi @0 PRIORITY,6'],
    ],
  ]
  for (const [sent, answer, stored] of cases) {
    const { served, store } = serving()
    assert.equal((await answerOf(served, sent)).trimEnd(), answer, JSON.stringify(sent))
    assert.deepEqual(store.lines, stored, JSON.stringify(sent))
  }
})

test('what is wrong with a request is said with its status, and nothing of it is stored', async () => {
  const push = '/loki/api/v1/push'
  const noStream = '422 error at least one valid stream is required for ingestion'
  const types = 'application/x-protobuf and application/json are'
  const large = deflateRawSync(Buffer.alloc(limits.decodedBytesMax + 1))
  const cases: [sent: Sent, answer: RegExp | string][] = [
    [{ path: push, body: 'x' }, '400 mime: no media type'],
    [{ path: push, headers: json, body: '' }, '400 EOF'],
    [{ path: push, headers: { 'content-type': 'x/y' }, body: '' }, '400 EOF'],
    [{ path: push, headers: json, body: '{"streams":[]}' }, noStream],
    [{ path: push, headers: { 'content-type': 'x/y' }, body: encodeSnappy(new Uint8Array(0)) }, noStream],
    [{ path: push, headers: { 'content-type': 'x/y' }, body: 'hello' }, /^400 snappy: corrupt input$/],
    [
      { path: push, headers: { 'content-type': 'x/y' }, body: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0) },
      /^413 snappy: the body declares 4294967295 bytes/,
    ],
    [
      { path: push, headers: { ...json, 'content-encoding': 'br' }, body: 'x' },
      '400 Content-Encoding "br" not supported',
    ],
    [{ path: push, headers: { ...json, 'content-encoding': 'deflate' }, body: 'x' }, /^400 the deflate body can't be/],
    [
      { path: push, headers: { ...json, 'content-encoding': 'deflate' }, body: large },
      '413 the body has more than 2000000 bytes when decoded, which is the limit',
    ],
    [{ path: push, headers: { ...json, 'x-scope-orgid': 'nobody' }, body: '{"streams":[]}' }, '401 no org id'],
    [
      { path: '/v1/logs', headers: { ...json, 'x-scope-orgid': 'nobody' }, body: '{}' },
      '401 {"code":16,"message":"no org id"}',
    ],
    [
      { path: '/v1/logs', headers: { 'content-type': 'text/plain' }, body: 'x' },
      `415 content type "text/plain" is not known; ${types}`,
    ],
    [
      { path: '/otlp/v1/logs', headers: json, body: '{}' },
      /^422 .*at least one valid stream is required for ingestion/,
    ],
    [{ path: '/insert/elasticsearch/:index/_bulk', body: 'no JSON' }, /^400 line 1 is no bulk command: /],
    [{ path: '/insert/elasticsearch/_bulk', body: 'null\n{}' }, /^400 line 1 is no bulk command: /],
    [
      { path: '/insert/elasticsearch/_bulk', body: '{"create":{}}\n{}\n{"remove":{}}\n' },
      '400 line 3: the bulk command "remove" is not known; create, index, update, delete are',
    ],
    [
      { path: '/insert/journald/upload', body: 'MESSAGE\nxx' },
      /^400 1 of 1 log entries were refused; .* the length of a field is cut off$/,
    ],
  ]
  for (const [sent, answer] of cases) {
    const { served, store } = serving()
    const got = await answerOf(served, sent)
    if (typeof answer === 'string') assert.equal(got, answer, JSON.stringify(sent))
    else assert.match(got, answer, JSON.stringify(sent))
    assert.deepEqual(store.lines, [], JSON.stringify(sent))
  }
})

test('beside what is refused the good is stored, and each protocol says so in its own way', async () => {
  const noDocument = 'no document follows the bulk command in line 5'
  const first = (count: number, of: number, number: number, reason: string): string =>
    `400 ${count} of ${of} log entries were refused; the first, number ${number}: ${reason}`
  const cases: [sent: Sent, answer: string | RegExp, stored: number, warnings: number][] = [
    [{ path: '/loki/api/v1/push', headers: json, body: lokiJson('l', 'bad') }, '400 bad', 1, 0],
    [
      { path: '/loki/api/v1/push', headers: json, body: lokiJson('l', 'bad', 'bad', 'bad 2') },
      '400 2 errors like: bad; 1 errors like: bad 2',
      1,
      0,
    ],
    [{ path: '/loki/api/v1/push', headers: json, body: lokiJson('l', 'bad later') }, '429 bad later', 1, 0],
    [
      { path: '/v1/logs', headers: json, body: otlp('l', 'bad') },
      '200 {"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"bad"}}',
      1,
      0,
    ],
    [{ path: '/v1/logs', headers: json, body: otlp('l', 'bad later') }, '429 {"code":8,"message":"bad later"}', 1, 0],
    [
      { path: '/otlp/v1/logs', headers: json, body: otlp('l', 'bad', 'bad 2') },
      '400 {"code":3,"message":"bad; bad 2"}',
      1,
      0,
    ],
    [
      { path: '/otlp/v1/logs', headers: json, body: otlp('l', 'bad later') },
      '429 {"code":8,"message":"bad later"}',
      1,
      0,
    ],
    [
      { path: '/insert/jsonline', body: '{"_msg":"l"}\n[1]\nno JSON\n5\n1.50\n{"_msg":"m","_time":"x"}' },
      first(5, 6, 2, 'the line is no JSON object'),
      1,
      1,
    ],
    [
      { path: '/insert/jsonline', body: `{"_msg":"l"}\n{"a":${'['.repeat(5000)}${']'.repeat(5000)}}` },
      first(1, 2, 2, 'the JSON is nested more than 100 deep at byte 104, which is the limit'),
      1,
      1,
    ],
    [
      { path: '/insert/jsonline?debug=1', body: '{"_msg":"l"}\n[1]' },
      first(1, 2, 2, 'the line is no JSON object'),
      0,
      1,
    ],
    [{ path: '/insert/jsonline', body: '{"_msg":"l"}\n{"_msg":"bad"}' }, first(1, 2, 2, 'bad'), 1, 1],
    [
      { path: '/insert/jsonline', body: '{"_msg":"bad"}\n{"_msg":"l"}\n{"_msg":"bad later"}' },
      '429 2 of 3 log entries were refused; the first, number 3: bad later',
      1,
      1,
    ],
    [
      {
        path: '/insert/elasticsearch/_bulk',
        body: '{"create":{}}\n{"message":"l"}\n{"index":{}}\n[1]\n{"create":{}}',
      },
      '200 {"took":0,"errors":true,"items":[{"create":{"status":201}},' +
        '{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"the line is no JSON object"}}},' +
        `{"create":{"status":400,"error":{"type":"illegal_argument_exception","reason":"${noDocument}"}}}]}`,
      1,
      1,
    ],
    [
      {
        path: '/insert/journald/upload',
        body: `MESSAGE=l\n__REALTIME_TIMESTAMP=${nowMs}000\n\nMESSAGE=bad\n__REALTIME_TIMESTAMP=${nowMs}000\n\n`,
      },
      first(1, 2, 2, 'bad'),
      1,
      1,
    ],
    [
      {
        path: '/insert/journald/upload',
        body: `MESSAGE=l\n__REALTIME_TIMESTAMP=${nowMs}000\n\nMESSAGE=m\n__REALTIME_TIMESTAMP=x\n\n`,
      },
      /^400 1 of 2 log entries were refused; the first, number 2: the time "x" in "__REALTIME_TIMESTAMP" can't be read/,
      1,
      1,
    ],
  ]
  for (const [sent, answer, stored, warnings] of cases) {
    const { served, store } = serving()
    const got = await answerOf(served, sent)
    if (typeof answer === 'string') assert.equal(got, answer, JSON.stringify(sent))
    else assert.match(got, answer, JSON.stringify(sent))
    assert.equal(store.lines.length, stored, JSON.stringify(sent))
    assert.equal(store.warnings.length, warnings, JSON.stringify(sent))
  }
})

test('a bulk request is judged item by item, whatever streams its documents belong to', async () => {
  const item = (action: string, status: number, type = ''): string =>
    `${action} ${status}${type === '' ? '' : ` ${type}`}`
  const never = 'illegal_argument_exception'
  const cases: [lines: string[], items: string[], stored: string[]][] = [
    [
      ['{"delete":{"_id":"1"}}', '{"create":{}}', '{"message":"after"}'],
      [item('delete', 400, never), item('create', 201)],
      ['after'],
    ],
    [
      ['{"update":{"_id":"1"}}', '{"doc":{"message":"u"}}', '{"create":{}}', '{"message":"after"}'],
      [item('update', 400, never), item('create', 201)],
      ['after'],
    ],
    [
      ['{"create":{}}', '{"message":"before"}', '{"delete":{}}', '{"delete":{}}'],
      [item('create', 201), item('delete', 400, never), item('delete', 400, never)],
      ['before'],
    ],
    [
      [
        ['{"create":{}}', '{"stream":"x","message":"one"}'],
        ['{"index":{}}', '{"stream":"y","message":"bad"}'],
        ['{"create":{}}', '{"stream":"x","message":"bad later"}'],
        ['{"index":{}}', '{"stream":"y","message":"two"}'],
        ['{"create":{}}', '{"stream":"z","message":"bad"}'],
        ['{"index":{}}', '{"stream":"x","message":"three"}'],
      ].flat(),
      [
        item('create', 201),
        item('index', 400, never),
        item('create', 429, 'es_rejected_execution_exception'),
        item('index', 201),
        item('create', 400, never),
        item('index', 201),
      ],
      ['one', 'two', 'three'],
    ],
  ]
  for (const [lines, items, stored] of cases) {
    const { served, store } = serving()
    const path = '/insert/elasticsearch/_bulk?_stream_fields=stream'
    const { status, body } = await send(served, { path, body: `${lines.join('\n')}\n` })
    const answer = JSON.parse(body) as {
      errors: boolean
      items: Record<string, { status: number; error?: { type: string; reason: string } }>[]
    }
    assert.equal(status, 200)
    assert.equal(
      answer.errors,
      items.some(text => !text.endsWith('201')),
    )
    assert.deepEqual(
      answer.items.map(one => {
        const [[action, result] = ['', { status: 0 }]] = Object.entries(one)
        return item(action, result.status, 'error' in result ? result.error?.type : undefined)
      }),
      items,
    )
    assert.deepEqual(store.lines.map(line => line.replace(/^.*\} | @.*$/g, '')).sort(), stored.toSorted())
  }
})

test('errors of the store have their status, and say when to come back', async () => {
  const cases: [failure: Error, answer: string, retry: string | undefined][] = [
    [new LimitError('too fast', 429), '429 too fast', '10'],
    [new UnavailableError('disk full', 5), '503 disk full', '5'],
    [new CorruptDataError('torn'), '400 torn', undefined],
    [new Error('a bug'), '500 a bug', undefined],
  ]
  for (const [failure, answer, retry] of cases) {
    const { served, store } = serving()
    store.failure = failure
    for (const sent of [
      { path: '/loki/api/v1/push', headers: json, body: lokiJson('l') },
      { path: '/v1/logs', headers: json, body: otlp('l') },
      { path: '/insert/jsonline', body: '{"_msg":"l"}' },
      { path: '/insert/elasticsearch/_bulk', body: '{"create":{}}\n{"message":"l"}' },
      { path: '/insert/journald/upload', body: `MESSAGE=l\n__REALTIME_TIMESTAMP=${nowMs}000\n\n` },
    ]) {
      const { status, headers, body } = await send(served, sent)
      assert.equal(`${status} ${failureText(body)}`, answer, sent.path)
      assert.equal(headers['retry-after'], retry, sent.path)
    }
  }
})

test('Loki and OTLP over gRPC are the same protocols, and refusals are errors', async () => {
  const loki = 'logproto.Pusher'
  const collector = 'opentelemetry.proto.collector.logs.v1.LogsService'
  const { served, store } = serving()
  assert.equal(await call(served, loki, lokiMessage, 'a'), '')
  assert.deepEqual(store.lines, [`a {a="b"} l @${-nowMs}`])
  assert.equal(await call(served, loki, lokiMessage, 'nobody'), 'unauthorized: no org id')
  assert.equal(await call(served, loki, new Uint8Array(0)), '')
  assert.match(await call(served, loki, Buffer.from('0aff', 'hex')), /^corrupt-data: /)
  const message = (text: string): Buffer => {
    const entry = Buffer.concat([Buffer.of(0x12, text.length), Buffer.from(text)])
    const stream = Buffer.concat([lokiMessage.subarray(2, 11), Buffer.of(0x12, entry.length), entry])
    return Buffer.concat([Buffer.of(0x0a, stream.length), stream])
  }
  assert.equal(await call(served, loki, message('bad')), 'bad-data: bad\n')
  assert.equal(await call(served, loki, message('bad later')), 'limit: bad later\n')
  assert.equal(await call(served, collector, new Uint8Array(0)), '')
  assert.equal(await call(served, collector, new Uint8Array(0), 'nobody'), 'unauthorized: no org id')
  assert.match(await call(served, collector, Buffer.from('0aff', 'hex')), /^corrupt-data: /)
})

test('what clients of Elasticsearch ask before they send is answered without a store', async () => {
  const { served, store } = serving()
  const get = (path: string): Promise<string> => answerOf(served, { method: 'GET', path })
  assert.match(await get('/insert/elasticsearch'), /^200 \{"version":\{"number":"8\.9\.0"\}/)
  assert.match(await get('/insert/elasticsearch/_license'), /^200 \{"license":\{.*"status":"active"/)
  assert.equal(await get('/insert/elasticsearch/*'), '200 {}')
  for (const sent of [
    { method: 'GET', path: '/insert/elasticsearch' },
    { method: 'GET', path: '/insert/elasticsearch/_license' },
    { method: 'PUT', path: '/insert/elasticsearch/*' },
    { path: '/insert/elasticsearch/_bulk', body: '' },
    { path: '/insert/elasticsearch/_bulk', body: 'no JSON' },
  ] as const)
    assert.equal((await send(served, sent)).headers['x-elastic-product'], 'Elasticsearch', JSON.stringify(sent))
  assert.equal(store.calls, 0)
})

test('entries of a long body are stored in batches, each refusal under its place in the body', async () => {
  const count = 40_000
  const lines = Array.from({ length: count }, (_, i) => `{"_msg":"${i === 30_000 ? 'bad' : 'l'}"}`)
  const { served, store } = serving()
  assert.equal(
    await answerOf(served, { path: '/insert/jsonline', body: lines.join('\n') }),
    `400 1 of ${count} log entries were refused; the first, number 30001: bad`,
  )
  assert.equal(store.lines.length, count - 1)
  assert.equal(store.calls, 3)
  const bulk = lines.map(line => `{"create":{}}\n${line.replace('_msg', 'message')}`).join('\n')
  const { body } = await send(served, { path: '/insert/elasticsearch/_bulk', body: bulk })
  const { items } = JSON.parse(body) as { items: { create: { status: number } }[] }
  assert.equal(items.length, count)
  assert.deepEqual(
    items.flatMap(({ create }, i) => (create.status === 201 ? [] : [i])),
    [30_000],
  )
  assert.equal(store.calls, 6)
})

test('a bulk request of very many items, and an entry of very many fields, are refused', async () => {
  const { served, store } = serving()
  const action = '{"delete":{}}\n'
  assert.match(
    await answerOf(served, { path: '/insert/elasticsearch/_bulk', body: action.repeat(40_000) }),
    /^400 the body of 560000 bytes has more than 33884 records, which is the limit for its size; send smaller /,
  )
  // As many names as fields, and one name again and again.
  for (const name of [(i: number) => `F${i}`, () => 'F']) {
    const fields = Array.from({ length: 1025 }, (_, i) => `${name(i)}=v\n`).join('')
    assert.match(
      await answerOf(served, { path: '/insert/journald/upload', body: `MESSAGE=l\n\n${fields}\n` }),
      /^400 1 of 2 .* number 2: journal: the entry at byte \d+ has more than 1024 fields, which is the limit$/,
    )
  }
  const members = Array.from({ length: 20_001 }, (_, i) => `"f${i}":"v"`).join(',')
  assert.match(
    await answerOf(served, { path: '/insert/jsonline', body: `{"_msg":"l"}\n{"_msg":"l",${members}}` }),
    /^400 1 of 2 .* number 2: the line of \d+ bytes has more than 20000 fields and elements, which is the limit$/,
  )
  assert.equal(store.lines.length, 3)
})
