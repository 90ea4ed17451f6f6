/**
 * Traces: what is taken in and what is refused, how a trace comes back, what wrong queries are answered.
 */
import assert from 'node:assert/strict'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { after, before, test } from 'node:test'
import { urlOf } from '../url.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'

let run: Running
before(async () => {
  run = await runTercet(['traces.retention=inf', 'limits.trace_attribute_size=1KiB', 'limits.trace_size=64KiB'])
})
after(async () => {
  await run.stop()
})

interface SpanJson {
  traceId: string
  spanId: string
  [key: string]: unknown
}
const nowNs = BigInt(Date.now()) * 1_000_000n
const span = (traceId: string, spanId: string, more: Record<string, unknown> = {}): SpanJson => ({
  traceId,
  spanId,
  name: 'work',
  kind: 2,
  startTimeUnixNano: String(nowNs),
  endTimeUnixNano: String(nowNs + 5_000_000n),
  ...more,
})
const envelope = (spans: SpanJson[], service = 'shop'): string =>
  JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        scopeSpans: [{ scope: { name: 'lib', version: '1' }, spans }],
      },
    ],
  })
async function send(
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const reply = await fetch(`${run.url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
  return { status: reply.status, text: await reply.text() }
}
const get = async (path: string): Promise<{ status: number; text: string }> => {
  const reply = await fetch(`${run.url}${path}`)
  return { status: reply.status, text: await reply.text() }
}
const search = async (q: string): Promise<string[]> =>
  (
    JSON.parse((await get(`/api/search?${new URLSearchParams({ q, limit: '100' }).toString()}`)).text) as {
      traces: { traceID: string }[]
    }
  ).traces
    .map(t => t.traceID)
    .sort()

test('a trace comes back as it was sent: every kind of value, events, links, status', async () => {
  const id = '0af7651916cd43dd8448eb211c80319c'
  const attributes = [
    { key: 's', value: { stringValue: 'text ü' } },
    { key: 'i', value: { intValue: '-9007199254740993' } },
    { key: 'd', value: { doubleValue: 0.1 } },
    { key: 'b', value: { boolValue: true } },
    { key: 'list', value: { arrayValue: { values: [{ intValue: '1' }, { intValue: '2' }] } } },
    { key: 'map', value: { kvlistValue: { values: [{ key: 'k', value: { stringValue: 'v' } }] } } },
    { key: 'bytes', value: { bytesValue: 'AQID' } },
    { key: 'http.status_code', value: { intValue: '404' } },
  ]
  const whole = span(id, 'b7ad6b7169203331', {
    attributes,
    traceState: 'a=b',
    events: [
      { timeUnixNano: String(nowNs + 1n), name: 'e', attributes: [{ key: 'ek', value: { stringValue: 'ev' } }] },
    ],
    links: [
      {
        traceId: '1af7651916cd43dd8448eb211c80319c',
        spanId: 'c7ad6b7169203331',
        attributes: [{ key: 'lk', value: { intValue: '3' } }],
      },
    ],
    status: { code: 2, message: 'broken' },
  })
  assert.deepEqual(await send(envelope([whole])), { status: 200, text: '{}' })
  for (const stage of ['memory', 'block']) {
    const { batches } = JSON.parse((await get(`/api/traces/${id}`)).text) as {
      batches: { resource: unknown; scopeSpans: { scope: unknown; spans: Record<string, unknown>[] }[] }[]
    }
    const found = batches[0]!.scopeSpans[0]!.spans[0]!
    assert.deepEqual(
      batches[0]!.resource,
      { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
      stage,
    )
    assert.equal(found['traceId'], Buffer.from(id, 'hex').toString('base64'))
    assert.equal(found['kind'], 'SPAN_KIND_SERVER')
    assert.deepEqual(
      (found['attributes'] as { key: string }[]).sort((a, b) => (a.key < b.key ? -1 : 1)),
      [...attributes].sort((a, b) => (a.key < b.key ? -1 : 1)),
      stage,
    )
    assert.deepEqual(found['status'], { code: 'STATUS_CODE_ERROR', message: 'broken' })
    assert.deepEqual(found['events'], [
      { timeUnixNano: String(nowNs + 1n), name: 'e', attributes: [{ key: 'ek', value: { stringValue: 'ev' } }] },
    ])
    assert.deepEqual((found['links'] as { attributes: unknown }[])[0]!.attributes, [
      { key: 'lk', value: { intValue: '3' } },
    ])
    assert.equal(found['traceState'], 'a=b')
    await run.tercet.signals[2]!.flush()
  }
  const v2 = JSON.parse((await get(`/api/v2/traces/${id}`)).text) as { trace: { resourceSpans: unknown[] } }
  assert.equal(v2.trace.resourceSpans.length, 1)
  const protobuf = await fetch(`${run.url}/api/traces/${id}`, { headers: { accept: 'application/protobuf' } })
  assert.equal(protobuf.headers.get('content-type'), 'application/protobuf')
  assert.ok((await protobuf.arrayBuffer()).byteLength > 100)
})

test('ids: unknown ones, short ones, wrong ones', async () => {
  await send(envelope([span('00000000000000001122334455667788', 'b7ad6b7169203332')]))
  assert.equal((await get('/api/traces/1122334455667788')).status, 200)
  assert.deepEqual(await get('/api/traces/ffffffffffffffffffffffffffffffff'), { status: 404, text: '' })
  assert.deepEqual(JSON.parse((await get('/api/v2/traces/ffffffffffffffffffffffffffffffff')).text), {
    trace: {},
    metrics: {},
  })
  assert.equal((await get('/api/traces/xyz')).status, 400)
})

test('compressed bodies', async () => {
  const body = envelope([span('2af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203333')], 'packed')
  assert.equal((await send(Uint8Array.from(gzipSync(body)), { 'content-encoding': 'gzip' })).status, 200)
  assert.equal((await send(Uint8Array.from(zstdCompressSync(body)), { 'content-encoding': 'zstd' })).status, 200)
  assert.deepEqual(await search('{ resource.service.name = "packed" }'), ['2af7651916cd43dd8448eb211c80319c'])
})

test('a wrong span is refused with its reason, the good ones beside it are kept', async () => {
  const good = span('3af7651916cd43dd8448eb211c80319c', 'a000000000000001')
  const year3000 = String(BigInt(Date.UTC(3000, 0)) * 1_000_000n)
  const cases: [SpanJson, RegExp][] = [
    [span('3af7', 'a000000000000002'), /traceId "3af7" is no id: 32 hexadecimal digits/],
    [span('00000000000000000000000000000000', 'a000000000000002'), /all zero/],
    [span('3af7651916cd43dd8448eb211c80319c', 'a0'), /spanId "a0" is no id: 16 hexadecimal digits/],
    [
      span('3af7651916cd43dd8448eb211c80319c', 'a000000000000003', {
        startTimeUnixNano: year3000,
        endTimeUnixNano: year3000,
      }),
      /in the future/,
    ],
    [
      span('3af7651916cd43dd8448eb211c80319c', 'a000000000000004', {
        attributes: [{ key: 'big', value: { stringValue: 'x'.repeat(2000) } }],
      }),
      /attribute "big".* has 2003 bytes, the limit is 1024/,
    ],
  ]
  for (const [bad, reason] of cases) {
    const { status, text } = await send(envelope([bad, good], 'mixed'))
    assert.equal(status, 200)
    const { partialSuccess } = JSON.parse(text) as { partialSuccess: { rejectedSpans: string; errorMessage: string } }
    assert.equal(partialSuccess.rejectedSpans, '1')
    assert.match(partialSuccess.errorMessage, reason)
  }
  assert.deepEqual(await search('{ resource.service.name = "mixed" }'), ['3af7651916cd43dd8448eb211c80319c'])
})

test('a trace that is too large, parents in a circle, bodies that are no messages', async () => {
  const id = '4af7651916cd43dd8448eb211c80319c'
  let refused = 0
  for (let round = 0; round < 10; round++) {
    const { text } = await send(
      envelope(
        Array.from({ length: 100 }, (_, i) => span(id, (round * 100 + i + 1).toString(16).padStart(16, '0'))),
        'large',
      ),
    )
    refused += Number(
      (JSON.parse(text) as { partialSuccess?: { rejectedSpans: string } }).partialSuccess?.rejectedSpans ?? 0,
    )
    if (refused > 0) assert.match(text, /more than 65536 bytes, which is the limit \(limits.trace_size\)/)
  }
  assert.ok(refused > 0 && refused < 1000)
  const circle = '5af7651916cd43dd8448eb211c80319c'
  await send(
    envelope(
      [
        span(circle, 'c000000000000001', { parentSpanId: 'c000000000000002' }),
        span(circle, 'c000000000000002', { parentSpanId: 'c000000000000001' }),
        span(circle, 'c000000000000003', { parentSpanId: 'c000000000000003' }),
      ],
      'circle',
    ),
  )
  await run.tercet.signals[2]!.flush()
  assert.deepEqual(await search('{ resource.service.name = "circle" }'), [circle])
  assert.deepEqual(await search('{ resource.service.name = "circle" } >> { }'), [])
  for (const [body, type] of [
    ['{"resourceSpans": [', 'application/json'],
    ['[]', 'application/json'],
    ['not a message', 'application/x-protobuf'],
  ] as const)
    assert.equal((await send(body, { 'content-type': type })).status, 400)
  // Field 1 (resource spans) as a varint, where a message is expected.
  assert.match(
    (await send(Uint8Array.of(0x08, 0x01), { 'content-type': 'application/x-protobuf' })).text,
    /wire type 0/,
  )
  assert.equal((await send('x', { 'content-type': 'text/plain' })).status, 415)
})

test('compare() counts values among the selected spans and the rest', async () => {
  await send(
    envelope(
      [0, 1, 2].map(n =>
        span('7af7651916cd43dd8448eb211c80319c', `e00000000000000${n + 1}`, {
          attributes: [{ key: 'zone', value: { stringValue: n === 0 ? 'a' : 'b' } }],
          status: { code: n === 2 ? 2 : 0 },
        }),
      ),
      'compared',
    ),
  )
  const q = '{ resource.service.name = "compared" } | compare({ status = error })'
  const now = Math.floor(Date.now() / 1000)
  const { series } = JSON.parse(
    (
      await get(
        `/api/metrics/query?${new URLSearchParams({ q, start: String(now - 60), end: String(now + 60) }).toString()}`,
      )
    ).text,
  ) as { series: { labels: { key: string; value: { stringValue: string } }[]; value?: number }[] }
  const found = Object.fromEntries(
    series.map(s => [s.labels.map(l => `${l.key}=${l.value.stringValue}`).join(), s.value ?? 0]),
  )
  assert.equal(found['__meta_type=selection,span.zone=b'], 1)
  assert.equal(found['__meta_type=baseline,span.zone=a'], 1)
  assert.equal(found['__meta_type=baseline,span.zone=b'], 1)
  assert.equal(found['__meta_type=baseline_total,span.zone=nil'], 2)
  assert.equal(found['__meta_type=selection,status=error'], 1)
  assert.equal(found['__meta_type=selection,resource.service.name=compared'], 1)
})

test('own requests are traces', async () => {
  const own = await runTercet(['self_trace=true'])
  try {
    await fetch(`${own.url}/-/healthy`)
    const q = '{ resource.service.name = "tercet" && kind = server }'
    const names = await until(async () => {
      const reply = await fetch(urlOf(own.url, '/api/search', { q }))
      const { traces } = (await reply.json()) as { traces: { rootTraceName: string }[] }
      return traces.length === 0 ? undefined : traces.map(t => t.rootTraceName)
    }, 'the trace of the request')
    assert.deepEqual(names, ['/-/healthy'])
  } finally {
    await own.stop()
  }
})

test('Zipkin', async () => {
  const reply = await fetch(`${run.url}/api/v2/spans`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([
      {
        traceId: '6af7651916cd43dd',
        id: 'd000000000000001',
        name: 'get',
        kind: 'SERVER',
        timestamp: Number(nowNs / 1000n),
        duration: 1500,
        localEndpoint: { serviceName: 'zip', ipv4: '10.0.0.1' },
        tags: { 'http.method': 'GET', error: 'bad' },
      },
      {
        traceId: '6af7651916cd43dd',
        id: 'd000000000000002',
        parentId: 'd000000000000001',
        name: 'db',
        kind: 'CLIENT',
        timestamp: Number(nowNs / 1000n),
        duration: 500,
        localEndpoint: { serviceName: 'zip' },
      },
    ]),
  })
  assert.equal(reply.status, 202)
  assert.deepEqual(await search('{ resource.service.name = "zip" && status = error } > { kind = client }'), [
    '6af7651916cd43dd',
  ])
  assert.equal(
    (
      await fetch(`${run.url}/api/v2/spans`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '[{"traceId":"zz","id":"1"}]',
      })
    ).status,
    400,
  )
})

test('wrong queries are answered with the place of the error', async () => {
  const cases: [string, RegExp][] = [
    ['{ span.a = }', /parse error at line 1, col 12/],
    ['{ foo = 1 }', /unknown identifier: foo/],
    ['{ status = "x" }', /must operate on the same type/],
    ['{ name =~ "(" }', /invalid regex/],
    ['{ .a } | count() + 1', /not yet supported|unexpected/],
    ['{ duration = nil }', /nil/],
    ['{ 1 + 1 }', /boolean/],
    ['{ parent.a = 1 }', /not yet supported/],
    ['coalesce()', /unexpected coalesce/],
  ]
  for (const [q, reason] of cases) {
    const { status, text } = await get(`/api/search?${new URLSearchParams({ q }).toString()}`)
    assert.equal(status, 400, q)
    assert.match(text, reason, q)
  }
  for (const [parameters, reason] of [
    ['q={}&tags=a%3Db', /tags and q/],
    ['limit=0', /positive/],
    ['start=10&end=5', /before end/],
    ['start=10', /before end/],
    ['end=10', /both or neither/],
    ['start=1&end=9999999', /exceeds/],
  ] as const) {
    const { status, text } = await get(`/api/search?${parameters}`)
    assert.equal(status, 400, parameters)
    assert.match(text, reason)
  }
  assert.equal((await get('/api/metrics/query_range?q=%7B%7D')).status, 400)
  assert.match(
    (await get(urlOf('', '/api/metrics/query_range', { q: '{} | rate()', start: '1', end: '80000', step: '1s' }))).text,
    /minimum step for given range is 7.9999s/,
  )
})

test('spans whose inside is damaged are refused when they come; texts that are no UTF-8 are kept', async () => {
  const m = (tag: number, bytes: number[]): number[] => [tag, bytes.length, ...bytes]
  const fixed = (tag: number): number[] => [tag, ...new Uint8Array(new BigUint64Array([nowNs]).buffer)]
  const text = (tag: number, value: string): number[] => m(tag, [...Buffer.from(value)])
  const good = [...text(0x0a, 'k'), ...m(0x12, text(0x0a, 'v'))]
  const notUtf8 = [0xff, 0xfe]
  const wrong: [number, number[]][] = [
    [0x4a, [...text(0x0a, 'k'), 0x12, 0x30, 1]],
    [0x4a, [0xff, 0xff, 0xff]],
    [0x4a, [...text(0x0a, 'k'), ...m(0x12, [0x12, 1, 1])]],
    [0x4a, [...text(0x0a, 'k'), ...m(0x12, [0x1a, 1, 1])]],
    [0x4a, [...text(0x0a, 'k'), ...m(0x12, [0x22, 1, 1])]],
    [0x5a, [0x08, 1]],
    [0x6a, [0x08, 1]],
  ]
  const unreadable: [number, number[]][] = [
    [0x4a, [...m(0x0a, notUtf8), ...m(0x12, text(0x0a, 'v'))]],
    [0x4a, [...text(0x0a, 'k'), ...m(0x12, m(0x0a, notUtf8))]],
    [0x4a, [...text(0x0a, 'k'), ...m(0x12, m(0x2a, m(0x0a, m(0x0a, notUtf8))))]],
    [0x4a, [...text(0x0a, 'k'), ...m(0x12, m(0x32, m(0x0a, m(0x0a, notUtf8))))]],
    [0x5a, m(0x12, notUtf8)],
    [0x5a, m(0x1a, m(0x0a, notUtf8))],
    [0x6a, m(0x1a, notUtf8)],
    [0x6a, m(0x22, m(0x0a, notUtf8))],
  ]
  let sent = 0
  const post = (part: [number, number[]]): Promise<Response> => {
    const inner = [
      ...m(0x0a, [...Buffer.from('5af7651916cd43dd8448eb211c80319c', 'hex')]),
      ...m(0x12, [1, 2, 3, 4, 5, 6, 7, ++sent]),
      ...text(0x2a, 'damaged'),
      ...fixed(0x39),
      ...fixed(0x41),
      ...m(...part),
    ]
    return fetch(`${run.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: Uint8Array.from(m(0x0a, m(0x12, m(0x12, inner)))),
    })
  }
  for (const part of wrong) {
    const reply = await post(part)
    assert.equal(reply.status, 200)
    // partial_success { rejected_spans = 1 … }
    assert.deepEqual([...new Uint8Array(await reply.arrayBuffer())].slice(2, 4), [8, 1], JSON.stringify(part))
  }
  assert.deepEqual(await search('{ name = "damaged" }'), [])
  for (const part of unreadable) {
    const reply = await post(part)
    assert.deepEqual([reply.status, await reply.text()], [200, ''], JSON.stringify(part))
  }
  assert.deepEqual(await search('{ name = "damaged" }'), ['5af7651916cd43dd8448eb211c80319c'])
  assert.equal((await post([0x4a, good])).status, 200)
  assert.equal((await search('{ name = "damaged" && span.k = "v" }')).length, 1)
  await run.tercet.signals[2]!.flush()
  assert.equal((await search('{ name = "damaged" && span.k = "v" }')).length, 1)
})
