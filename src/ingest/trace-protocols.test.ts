/** Push protocols of traces: what is stored, and how senders are answered. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { LimitError, UnavailableError } from '#core/errors.ts'
import { nameRefused, refuse, type AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'
import type { TracesAppender } from '#traces/append.ts'
import { decodeOtlpTraces, encodeOtlpTraces, parseOtlpTracesJson } from '#wire/otlp/traces.ts'
import { answerOf, call, failureText, pathsOf, send, tenantOf, type Sent } from './ingest-kit.ts'
import { traceProtocols } from './trace-protocols.ts'

/** Keeps spans as `tenant name`, of the tree and of the message alike; refuses those whose name begins with `bad`. */
class KeptSpans implements TracesAppender {
  readonly spans: string[] = []
  readonly notified: string[] = []
  failure: Error | undefined

  append(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    const outcome: AppendOutcome = { stored: 0, refused: 0, problems: [] }
    assert.deepEqual(namesOf(decodeOtlpTraces(message)), namesOf(trace))
    for (const [i, name] of namesOf(trace).entries()) {
      if (name.startsWith('bad')) {
        refuse(outcome, name)
        outcome.refusedAt ??= []
        nameRefused(outcome, name, i)
        if (name.includes('later')) outcome.passes = true
        continue
      }
      outcome.stored++
      this.spans.push(`${tenant} ${name}`)
    }
    return Promise.resolve(outcome)
  }

  appendParts(): never {
    assert.fail('without another thread nothing comes in parts')
  }
}

function namesOf(trace: Trace): string[] {
  return trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans.map(span => span.name)))
}

function serving(): { store: KeptSpans; served: ReturnType<typeof traceProtocols> } {
  const store = new KeptSpans()
  const onStored = (tenant: string, trace: Trace): void => {
    store.notified.push(`${tenant} ${namesOf(trace).join()}`)
  }
  return { store, served: traceProtocols({ appender: store, tenantOf, clock: systemClock, onStored }) }
}

const json = { 'content-type': 'application/json' }
const thrift = { 'content-type': 'application/x-thrift' }
const otlp = (...names: string[]): string =>
  JSON.stringify({
    resourceSpans: [
      {
        scopeSpans: [
          { spans: names.map((name, i) => ({ traceId: '01'.repeat(16), spanId: `${i + 1}`.padStart(16, '0'), name })) },
        ],
      },
    ],
  })
const zipkin = (...names: string[]): string =>
  JSON.stringify(names.map((name, i) => ({ traceId: '01'.repeat(16), id: `${i + 1}`.padStart(16, '0'), name })))

/** Jaeger's Batch in Thrift's binary form: a process and one span. */
function batch(name: string): Buffer {
  const text = (field: number, value: string): Buffer => {
    const head = Buffer.from([0x0b, 0, field, 0, 0, 0, value.length])
    return Buffer.concat([head, Buffer.from(value)])
  }
  const i64 = (field: number, value: bigint): Buffer => {
    const bytes = Buffer.from([0x0a, 0, field, 0, 0, 0, 0, 0, 0, 0, 0])
    bytes.writeBigInt64BE(value, 3)
    return bytes
  }
  const end = Buffer.of(0)
  const span = Buffer.concat([i64(1, 1n), i64(2, 2n), i64(3, 3n), text(5, name), i64(8, 1000n), i64(9, 5n), end])
  const process = Buffer.concat([Buffer.from([0x0c, 0, 1]), text(1, 'service'), end])
  return Buffer.concat([process, Buffer.from([0x0f, 0, 2, 0x0c, 0, 0, 0, 1]), span, end])
}

test('all paths are served; gRPC is OTLP and Jaeger', () => {
  const { served } = serving()
  assert.deepEqual(pathsOf(served), [
    'POST /api/traces',
    'POST /api/v2/spans',
    'POST /insert/opentelemetry/v1/traces',
    'POST /opentelemetry/v1/traces',
    'POST /otlp/v1/traces',
    'POST /v1/traces',
  ])
  assert.deepEqual(served.grpc.map(m => `${m.service}/${m.method}`).sort(), [
    'jaeger.api_v2.CollectorService/PostSpans',
    'opentelemetry.proto.collector.trace.v1.TraceService/Export',
  ])
})

test('good bodies of every protocol are stored, answered as it answers, and given to what derives', async () => {
  const message = encodeOtlpTraces(parseOtlpTracesJson(Buffer.from(otlp('n'))))
  const cases: [sent: Sent, answer: string, stored: string[]][] = [
    [{ path: '/v1/traces', headers: json, body: otlp('n') }, '200 {}', ['default n']],
    [{ path: '/v1/traces', headers: { 'content-type': 'Application/JSON' }, body: otlp('n') }, '200 {}', ['default n']],
    [{ path: '/otlp/v1/traces', body: message, headers: { 'x-scope-orgid': 'a' } }, '200 ', ['a n']],
    [{ path: '/v1/traces', body: '' }, '200 ', []],
    [{ path: '/api/v2/spans', body: zipkin('n', 'm') }, '202 ', ['default n', 'default m']],
    [{ path: '/api/v2/spans', headers: json, body: '[]' }, '202 ', []],
    [{ path: '/api/traces', headers: thrift, body: batch('n') }, '202 ', ['default n']],
    [
      { path: '/api/traces', headers: { 'content-type': 'application/vnd.apache.thrift.binary; x' }, body: batch('n') },
      '202 ',
      ['default n'],
    ],
  ]
  for (const [sent, answer, stored] of cases) {
    const { served, store } = serving()
    assert.equal(await answerOf(served, sent), answer, JSON.stringify(sent))
    assert.deepEqual(store.spans, stored, JSON.stringify(sent))
    assert.equal(store.notified.length, stored.length === 0 ? 0 : 1, JSON.stringify(sent))
  }
})

test('what is wrong with a request is said with its status, and nothing of it is stored', async () => {
  const cases: [sent: Sent, answer: string | RegExp][] = [
    [
      { path: '/v1/traces', headers: { 'content-type': 'Text/Plain' } },
      '415 content type "text/plain" is not known; application/x-protobuf and application/json are',
    ],
    [{ path: '/v1/traces', headers: json, body: 'no JSON' }, /^400 /],
    [{ path: '/v1/traces', body: Buffer.from('0aff', 'hex') }, /^400 /],
    [
      { path: '/api/v2/spans', headers: { 'content-type': 'text/plain' }, body: '[]' },
      '400 content type "text/plain" is not known; application/json is',
    ],
    [{ path: '/api/v2/spans', body: 'no JSON' }, /^400 the body is not JSON: /],
    [
      { path: '/api/traces', body: batch('n') },
      '400 content type "" is not known; application/x-thrift and application/vnd.apache.thrift.binary are',
    ],
    [{ path: '/api/traces', headers: thrift, body: batch('n').subarray(0, 30) }, /^400 /],
    [
      { path: '/v1/traces', headers: { ...json, 'x-scope-orgid': 'nobody' }, body: otlp('n') },
      '401 {"code":16,"message":"no org id"}',
    ],
    // Zipkin's and Jaeger's bodies are not even read.
    [{ path: '/api/v2/spans', headers: { 'x-scope-orgid': 'nobody' }, body: 'no JSON' }, '401 no org id'],
    [{ path: '/api/traces', headers: { ...thrift, 'x-scope-orgid': 'nobody' }, body: 'x' }, '401 no org id'],
  ]
  for (const [sent, answer] of cases) {
    const { served, store } = serving()
    const got = await answerOf(served, sent)
    if (typeof answer === 'string') assert.equal(got, answer, JSON.stringify(sent))
    else assert.match(got, answer, JSON.stringify(sent))
    assert.deepEqual([...store.spans, ...store.notified], [], JSON.stringify(sent))
  }
})

test('beside what is refused the good is stored, and each protocol says so in its own way', async () => {
  const cases: [sent: Sent, answer: string, stored: number][] = [
    [
      { path: '/v1/traces', headers: json, body: otlp('n', 'bad', 'bad', 'bad 2') },
      '200 {"partialSuccess":{"rejectedSpans":"3","errorMessage":"2 times: bad; bad 2"}}',
      1,
    ],
    [
      { path: '/v1/traces', headers: json, body: otlp('n', 'bad later', 'bad') },
      '429 {"code":8,"message":"bad later; bad"}',
      1,
    ],
    [{ path: '/api/v2/spans', body: zipkin('n', 'bad later') }, '429 1 of 2 spans were refused: bad later', 1],
    [{ path: '/api/v2/spans', body: zipkin('n', 'bad') }, '400 1 of 2 spans were refused: bad', 1],
    [{ path: '/api/traces', headers: thrift, body: batch('bad') }, '400 1 of 1 spans were refused: bad', 0],
  ]
  for (const [sent, answer, stored] of cases) {
    const { served, store } = serving()
    assert.equal(await answerOf(served, sent), answer)
    assert.equal(store.spans.length, stored)
    assert.deepEqual(store.notified, stored === 0 ? [] : ['default n'])
  }
})

test('errors of the store have their status, and say when to come back', async () => {
  const cases: [failure: Error, answer: string, retry: string | undefined][] = [
    [new LimitError('too fast', 429), '429 too fast', '10'],
    [new UnavailableError('disk full', 5), '503 disk full', '5'],
    [new Error('a bug'), '500 a bug', undefined],
  ]
  for (const [failure, answer, retry] of cases) {
    const { served, store } = serving()
    store.failure = failure
    for (const sent of [
      { path: '/v1/traces', headers: json, body: otlp('n') },
      { path: '/api/v2/spans', body: zipkin('n') },
      { path: '/api/traces', headers: thrift, body: batch('n') },
    ]) {
      const { status, headers, body } = await send(served, sent)
      assert.equal(`${status} ${failureText(body)}`, answer, sent.path)
      assert.equal(headers['retry-after'], retry, sent.path)
    }
  }
})

test('OTLP and Jaeger over gRPC: an empty answer, what was refused in the response, errors as such', async () => {
  const collector = 'opentelemetry.proto.collector.trace.v1.TraceService'
  const jaeger = 'jaeger.api_v2.CollectorService'
  const message = (...names: string[]): Uint8Array => encodeOtlpTraces(parseOtlpTracesJson(Buffer.from(otlp(...names))))
  const { served, store } = serving()
  assert.equal(await call(served, collector, message('n'), 'a'), '')
  assert.deepEqual(store.spans, ['a n'])
  // ExportTraceServiceResponse: 1 partial_success { 1 rejected_spans, 2 error_message }.
  assert.equal(
    await call(served, collector, message('n', 'bad')),
    `0a070801${Buffer.from('\u0012\u0003bad').toString('hex')}`,
  )
  assert.equal(await call(served, collector, message('n', 'bad later')), 'limit: bad later')
  assert.equal(await call(served, collector, message('n'), 'nobody'), 'unauthorized: no org id')
  assert.equal(await call(served, jaeger, Buffer.from('0a00', 'hex')), '')
  // PostSpansRequest: 1 batch { 1 span { 1 trace_id, 2 span_id, 3 operation_name } }.
  const ids = Buffer.concat([Buffer.of(0x0a, 16), Buffer.alloc(16, 1), Buffer.of(0x12, 8), Buffer.alloc(8, 2)])
  const span = Buffer.concat([ids, Buffer.of(0x1a, 3), Buffer.from('bad')])
  const request = Buffer.concat([Buffer.of(0x0a, span.length + 2, 0x0a, span.length), span])
  assert.equal(await call(served, jaeger, request), 'bad-data: bad')
  assert.match(await call(served, jaeger, Buffer.from('0aff', 'hex')), /^corrupt-data: /)
})
