/**
 * Jaeger: its client for Node over HTTP, spans over gRPC, its query API; Zipkin's exporter; Tempo's streaming
 * service.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { ZipkinExporter } from '@opentelemetry/exporter-zipkin'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { SpanKind } from '@opentelemetry/api'
import jaeger from 'jaeger-client'
import {
  decodeMessage,
  encodeMessage,
  queryInstantResponse,
  queryRangeRequest,
  queryRangeResponse,
  searchRequest,
  searchResponse,
  searchTagsRequest,
  searchTagsV2Response,
  searchTagValuesRequest,
  searchTagValuesV2Response,
  type JsonLike,
  type MessageTable,
} from '#wire/tempo/messages.ts'
import { urlOf } from '../url.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'

let run: Running
before(async () => {
  run = await runTercet(['listen.otlp_grpc=127.0.0.1:0'])
})
after(async () => {
  await run.stop()
})

interface JaegerSpan {
  traceID: string
  spanID: string
  operationName: string
  references: { refType: string; spanID: string; traceID: string }[]
  startTime: number
  duration: number
  tags: { key: string; type: string; value: unknown }[]
  logs: { fields: { key: string; value: unknown }[] }[]
  processID: string
}
interface JaegerTrace {
  traceID: string
  spans: JaegerSpan[]
  processes: Record<string, { serviceName: string; tags: { key: string; value: unknown }[] }>
}
const get = async (
  path: string,
): Promise<{ status: number; data: unknown; errors: { code: number; msg: string }[] | null }> => {
  const reply = await fetch(`${run.url}${path}`)
  return {
    status: reply.status,
    ...((await reply.json()) as { data: unknown; errors: { code: number; msg: string }[] | null }),
  }
}
function traces(query: Record<string, string>): Promise<JaegerTrace[]> {
  return until(
    async () => {
      const { data } = await get(`/api/traces?${new URLSearchParams(query).toString()}`)
      return (data as JaegerTrace[]).length > 0 ? (data as JaegerTrace[]) : undefined
    },
    `a trace for ${JSON.stringify(query)}`,
  )
}

test("Jaeger's client sends over HTTP, and its query API gives it back", async () => {
  const tracer = jaeger.initTracer(
    {
      serviceName: 'shop',
      sampler: { type: 'const', param: 1 },
      reporter: { collectorEndpoint: `${run.url}/api/traces`, flushIntervalMs: 100 },
    },
    {
      tags: { region: 'eu' },
      logger: {
        info() {
          /* quiet */
        },
        error(message: string) {
          assert.fail(message)
        },
      },
    },
  )
  const root = tracer.startSpan('GET /cart', {
    tags: { 'span.kind': 'server', 'http.status_code': 500, error: true, ratio: 0.5, retried: false },
  })
  root.log({ event: 'cache', hit: true })
  const child = tracer.startSpan('SELECT', { childOf: root, tags: { 'span.kind': 'client', 'db.system': 'postgres' } })
  child.finish()
  root.finish()
  await new Promise<void>(resolve => {
    tracer.close(() => {
      resolve()
    })
  })
  const [trace] = await traces({
    service: 'shop',
    operation: 'GET /cart',
    tags: '{"http.status_code":"500","error":"true"}',
    minDuration: '0ms',
  })
  assert.equal(trace!.spans.length, 2)
  const [server, client] = ['GET /cart', 'SELECT'].map(name => trace!.spans.find(s => s.operationName === name)!)
  const tag = (span: JaegerSpan, key: string): unknown => span.tags.find(t => t.key === key)?.value
  assert.deepEqual(client!.references, [{ refType: 'CHILD_OF', traceID: server!.traceID, spanID: server!.spanID }])
  assert.deepEqual(
    [
      tag(server!, 'span.kind'),
      tag(server!, 'http.status_code'),
      tag(server!, 'error'),
      tag(server!, 'ratio'),
      tag(server!, 'retried'),
      tag(client!, 'db.system'),
    ],
    ['server', 500, true, 0.5, false, 'postgres'],
  )
  assert.deepEqual(
    server!.logs[0]!.fields.map(f => [f.key, f.value]),
    [
      ['event', 'cache'],
      ['hit', true],
    ],
  )
  assert.equal(trace!.processes[server!.processID]!.serviceName, 'shop')
  assert.equal(trace!.processes[server!.processID]!.tags.find(t => t.key === 'region')!.value, 'eu')
  assert.ok(trace!.processes[server!.processID]!.tags.some(t => t.key === 'host.name'))
  assert.ok(((await get('/api/services')).data as string[]).includes('shop'))
  assert.deepEqual((await get('/api/services/shop/operations')).data, ['GET /cart', 'SELECT'])
  assert.deepEqual((await get('/select/jaeger/api/operations?service=shop&spanKind=client')).data, [
    { name: 'SELECT', spanKind: 'client' },
  ])
  assert.equal(((await get(`/select/jaeger/api/traces/${trace!.traceID}`)).data as JaegerTrace[])[0]!.spans.length, 2)
  assert.deepEqual((await get('/select/jaeger/api/traces/ffff')).errors, [{ code: 404, msg: 'trace not found' }])
  // TraceQL sees the same.
  const { traces: found } = (await (
    await fetch(
      urlOf(run.url, '/api/search', { q: '{ kind = server && status = error } >> { span.db.system = "postgres" }' }),
    )
  ).json()) as { traces: unknown[] }
  assert.equal(found.length, 1)
})

test('the query API refuses what it cannot answer, and says why', async () => {
  for (const [path, message] of [
    ['/api/traces', "parameter 'service' is required"],
    ['/api/traces?service=a&tags=x', 'cannot unmarshal JSON'],
    ['/api/traces?service=a&tag=x', 'expecting key:value'],
    ['/api/traces?service=a&minDuration=long', 'is no duration'],
    ['/api/traces?service=a&start=yesterday', 'microseconds'],
    ['/api/operations', 'required'],
    ['/select/jaeger/api/traces/xyz', 'hex'],
  ] as const) {
    const { status, errors } = await get(path)
    assert.equal(status, 400, path)
    assert.ok(errors![0]!.msg.includes(message), `${path}: ${errors![0]!.msg}`)
  }
  for (const [type, body] of [
    ['application/x-thrift', Buffer.from('nonsense')],
    ['application/x-thrift', Buffer.alloc(0)],
    ['application/x-thrift', Buffer.from([12, 0, 1, 11, 0, 1, 127, 255, 255, 255])],
    ['text/plain', Buffer.alloc(0)],
  ] as const) {
    assert.equal(
      (
        await fetch(`${run.url}/api/traces`, {
          method: 'POST',
          headers: { 'content-type': type },
          body: Uint8Array.from(body),
        })
      ).status,
      400,
    )
  }
})

const timestamp: MessageTable = { seconds: [1, 'int'], nanos: [2, 'int'] }
const keyValue: MessageTable = {
  key: [1, 'string'],
  vType: [2, 'int'],
  vStr: [3, 'string'],
  vBool: [4, 'bool'],
  vInt64: [5, 'int'],
  vFloat64: [6, 'double'],
  vBinary: [7, 'bytes'],
}
const postSpans: MessageTable = {
  batch: [
    1,
    () => ({
      spans: [
        1,
        () => ({
          traceId: [1, 'bytes'],
          spanId: [2, 'bytes'],
          operationName: [3, 'string'],
          references: [4, () => ({ traceId: [1, 'bytes'], spanId: [2, 'bytes'], refType: [3, 'int'] }), 'list'],
          startTime: [6, () => timestamp],
          duration: [7, () => timestamp],
          tags: [8, () => keyValue, 'list'],
          logs: [9, () => ({ timestamp: [1, () => timestamp], fields: [2, () => keyValue, 'list'] }), 'list'],
          warnings: [12, 'string', 'list'],
        }),
        'list',
      ],
      process: [2, () => ({ serviceName: [1, 'string'], tags: [2, () => keyValue, 'list'] })],
    }),
  ],
}
const asIs = (bytes: Buffer): Buffer => bytes
const address = (): string => run.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address

test("Jaeger's collector over gRPC", async () => {
  const client = new Client(address(), credentials.createInsecure())
  const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
  const traceId = base64('0102030405060708090a0b0c0d0e0f10')
  const otherTrace = base64('1102030405060708090a0b0c0d0e0f10')
  const seconds = Math.floor(Date.now() / 1000)
  const message = encodeMessage(postSpans, {
    batch: {
      spans: [
        {
          traceId,
          spanId: base64('a1a2a3a4a5a6a7a8'),
          operationName: 'consume',
          references: [
            { traceId, spanId: base64('b1b2b3b4b5b6b7b8'), refType: 0 },
            { traceId: otherTrace, spanId: base64('c1b2b3b4b5b6b7b8'), refType: 1 },
          ],
          startTime: { seconds, nanos: 123_456_789 },
          duration: { nanos: 5_000_000 },
          tags: [
            { key: 'span.kind', vStr: 'consumer' },
            { key: 'n', vType: 2, vInt64: '-5' },
            { key: 'raw', vType: 4, vBinary: 'AQID' },
            { key: 'otel.status_code', vStr: 'OK' },
            { key: 'otel.scope.name', vStr: 'lib' },
          ],
          warnings: ['clock skew'],
        },
      ],
      process: { serviceName: 'worker', tags: [{ key: 'zone', vStr: 'b' }] },
    },
  })
  const send = (bytes: Uint8Array): Promise<number> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        '/jaeger.api_v2.CollectorService/PostSpans',
        asIs,
        asIs,
        Buffer.from(bytes),
        (error, reply) => {
          if (error === null) resolve(reply!.length)
          else reject(error)
        },
      )
    })
  assert.equal(await send(message), 0)
  await assert.rejects(send(Uint8Array.of(0x0a, 0x7f, 1)), /3 INVALID_ARGUMENT/)
  const [trace] = await traces({ service: 'worker', tag: 'n:-5' })
  const [span] = trace!.spans
  assert.deepEqual(
    span!.references.map(r => [r.refType, r.spanID]),
    [
      ['CHILD_OF', 'b1b2b3b4b5b6b7b8'],
      ['FOLLOWS_FROM', 'c1b2b3b4b5b6b7b8'],
    ],
  )
  assert.equal(span!.startTime, seconds * 1_000_000 + 123_456)
  assert.equal(span!.duration, 5000)
  assert.deepEqual(span!.tags.map(t => t.key).sort(), ['n', 'otel.scope.name', 'otel.status_code', 'raw', 'span.kind'])
  client.close()
})

test("OpenTelemetry's Zipkin exporter", async () => {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'zip' }),
    spanProcessors: [new SimpleSpanProcessor({ exporter: new ZipkinExporter({ url: `${run.url}/api/v2/spans` }) })],
  })
  const span = provider.getTracer('lib').startSpan('pay', { kind: SpanKind.CLIENT, attributes: { amount: 5 } })
  span.addEvent('sent')
  span.end()
  await provider.shutdown()
  const [trace] = await traces({ service: 'zip', operation: 'pay' })
  assert.equal(trace!.spans[0]!.logs[0]!.fields[0]!.value, 'sent')
})

function stream(method: string, message: Uint8Array, metadata = new Metadata()): Promise<Buffer[]> {
  const client = new Client(address(), credentials.createInsecure())
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    const call = client.makeServerStreamRequest(
      `/tempopb.StreamingQuerier/${method}`,
      asIs,
      asIs,
      Buffer.from(message),
      metadata,
    )
    call
      .on('data', (part: Buffer) => {
        parts.push(part)
      })
      .on('error', reject)
      .on('end', () => {
        resolve(parts)
      })
  }).finally(() => {
    client.close()
  }) as Promise<Buffer[]>
}

test('the streaming service and protobuf over HTTP answer what JSON answers', async () => {
  const q = '{ resource.service.name = "shop" }'
  const json = async (path: string, query: Record<string, string>): Promise<Record<string, JsonLike>> =>
    (await (await fetch(`${run.url}${path}?${new URLSearchParams(query).toString()}`)).json()) as Record<
      string,
      JsonLike
    >
  const proto = async (
    path: string,
    query: Record<string, string>,
    table: MessageTable,
  ): Promise<Record<string, JsonLike>> =>
    decodeMessage(
      table,
      new Uint8Array(
        await (
          await fetch(`${run.url}${path}?${new URLSearchParams(query).toString()}`, {
            headers: { accept: 'application/protobuf' },
          })
        ).arrayBuffer(),
      ),
    )
  const one = async (
    method: string,
    request: MessageTable,
    message: Record<string, JsonLike>,
    reply: MessageTable,
  ): Promise<Record<string, JsonLike>> => {
    const parts = await stream(method, encodeMessage(request, message))
    assert.equal(parts.length, 1, method)
    return decodeMessage(reply, parts[0]!)
  }
  /** 64-bit numbers are texts in one of the two; zeros and empty objects are absent in one of the two. */
  const same = (value: JsonLike): JsonLike =>
    JSON.parse(
      JSON.stringify(value, (key, v: unknown) =>
        key === 'metrics' ? undefined : typeof v === 'number' ? String(v) : v,
      ),
    ) as JsonLike
  const whole = await json('/api/search', { q, limit: '5' })
  assert.equal((whole['traces'] as JsonLike[]).length, 1)
  assert.deepEqual(same(await one('Search', searchRequest, { query: q, limit: 5 }, searchResponse)), same(whole))
  assert.deepEqual(same(await proto('/api/search', { q, limit: '5' }, searchResponse)), same(whole))
  assert.deepEqual(
    same(await one('Search', searchRequest, { tags: { 'db.system': 'postgres' } }, searchResponse)),
    same(await json('/api/search', { tags: 'db.system=postgres' })),
  )
  assert.deepEqual(
    same(await one('SearchTagsV2', searchTagsRequest, { scope: 'span' }, searchTagsV2Response)),
    same(await json('/api/v2/search/tags', { scope: 'span' })),
  )
  assert.deepEqual(
    same(
      await one(
        'SearchTagValuesV2',
        searchTagValuesRequest,
        { tagName: 'resource.service.name' },
        searchTagValuesV2Response,
      ),
    ),
    same(await json('/api/v2/search/tag/resource.service.name/values', {})),
  )
  const grouped = '{} | count_over_time() by (resource.service.name)'
  const rangeUntil = (end: number): Promise<Record<string, JsonLike>> =>
    json('/api/metrics/query_range', { q: grouped, start: String(end - 600), end: String(end), step: '1s' })
  // An interval that is not over has no sample yet.
  const end = await until(async () => {
    const second = Math.floor(Date.now() / 1000)
    return ((await rangeUntil(second))['series'] as JsonLike[]).length >= 3 ? second : undefined
  }, 'the seconds of all spans are over')
  const start = end - 600
  const range = await one(
    'MetricsQueryRange',
    queryRangeRequest,
    {
      query: grouped,
      start: `${start}000000000`,
      end: `${end}000000000`,
      step: '1000000000',
    },
    queryRangeResponse,
  )
  assert.deepEqual(same(range), same(await rangeUntil(end)))
  assert.ok((range['series'] as JsonLike[]).length >= 3)
  assert.deepEqual(
    same(
      await one(
        'MetricsQueryInstant',
        queryRangeRequest,
        { query: '{} | count_over_time()', start: `${start}000000000`, end: `${end}000000000` },
        queryInstantResponse,
      ),
    ),
    same(await json('/api/metrics/query', { q: '{} | count_over_time()', start: String(start), end: String(end) })),
  )
  await assert.rejects(stream('Search', encodeMessage(searchRequest, { query: '{ nonsense' })), /3 INVALID_ARGUMENT/)
  await assert.rejects(stream('Search', Uint8Array.of(0x20, 0xff)), /3 INVALID_ARGUMENT/)
})
