/** What goes in over each protocol comes out of a query; what is wrong gets its status and its message. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { credentials, makeGenericClientConstructor } from '@grpc/grpc-js'
import { encodeSnappy } from '#codec/snappy.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { urlOf } from '../url.ts'
import { postWrite, seriesMessage, writeBody, writeRequest } from '../write-request.ts'

let running: Running
before(async () => {
  running = await runTercet([
    'listen.otlp_grpc=127.0.0.1:0',
    'limits.labels_per_series=12',
    'limits.label_value_length=100',
    'limits.body_size=1MiB',
    'limits.decoded_size=2MiB',
    'limits.query_samples=1500',
  ])
})
after(() => running.stop())

const now = Math.floor(Date.now() / 1000) * 1000

interface Answer {
  status: string
  errorType?: string
  error?: string
  data?: { result: { metric: Record<string, string>; value: [number, string] }[] }
}

async function query(expr: string, parameters: Record<string, string> = {}): Promise<Answer> {
  const reply = await fetch(`${running.url}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: expr, time: String(now / 1000), ...parameters }),
  })
  return (await reply.json()) as Answer
}

async function valueOf(expr: string): Promise<string | undefined> {
  return (await query(expr)).data?.result[0]?.value[1]
}

test('remote write 1.0: unsorted labels are one series, labels may follow samples (req-035, req-153)', async () => {
  const a = seriesMessage(
    [
      ['__name__', 'order'],
      ['a', '1'],
      ['b', '2'],
    ],
    [[now - 2000, 1]],
  )
  const b = seriesMessage(
    [
      ['b', '2'],
      ['__name__', 'order'],
      ['a', '1'],
      ['empty', ''],
    ],
    [[now - 1000, 2]],
  )
  const c = seriesMessage(
    [
      ['__name__', 'order'],
      ['a', '1'],
      ['b', '2'],
    ],
    [[now, 3]],
    true,
  )
  const reply = await postWrite(running.url, encodeSnappy(writeRequest([a, b, c])))
  assert.equal(reply.status, 204, await reply.text())
  assert.equal(await valueOf('count(order)'), '1')
  assert.equal(await valueOf('count_over_time(order[10s])'), '3')
  assert.equal(await valueOf('order'), '3')
})

test('bad remote-write bodies: exact status and message, and the process goes on', async () => {
  const good = writeBody([{ labels: [['__name__', 'good']], samples: [[now, 1]] }])
  const cases: [name: string, body: Uint8Array, status: number, message: RegExp][] = [
    ['empty', new Uint8Array(0), 400, /^the body is empty; a compressed protobuf message was expected$/],
    ['truncated snappy', good.slice(0, good.length - 3), 400, /^snappy: the body is damaged$/],
    [
      'a header that declares 4 GB',
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0),
      413,
      /^snappy: the body declares 4294967295 bytes when decoded, the limit is 2097152$/,
    ],
    [
      'more declared than the body can hold',
      Uint8Array.of(0x80, 0x80, 0x40, 0, 0),
      400,
      /^snappy: 5 bytes can't unfold to the declared 1048576$/,
    ],
    [
      'no protobuf',
      encodeSnappy(Buffer.from('hello world, this is text')),
      400,
      /^remote write: the protobuf message is malformed$/,
    ],
    [
      'labels twice',
      encodeSnappy(
        writeRequest([
          seriesMessage(
            [
              ['__name__', 'dup'],
              ['a', '1'],
              ['a', '2'],
            ],
            [[now, 1]],
          ),
        ]),
      ),
      400,
      /^1 of 1 samples were refused; the first: label "a" stands twice: series "dup"$/,
    ],
    [
      'labels that are no UTF-8',
      encodeSnappy(
        writeRequest([
          seriesMessage(
            [
              ['__name__', 'bytes'],
              ['a', Uint8Array.of(0xff, 0xfe)],
            ],
            [[now, 1]],
          ),
        ]),
      ),
      400,
      /^1 of 1 samples were refused; the first: the value of label "a" is not UTF-8: series "bytes"$/,
    ],
    ['no labels', encodeSnappy(writeRequest([seriesMessage([], [[now, 1]])])), 400, /the series has no labels$/],
    [
      'too many labels',
      writeBody([
        { labels: Array.from({ length: 13 }, (_, i) => [`l${String(i).padStart(2, '0')}`, 'x']), samples: [[now, 1]] },
      ]),
      400,
      /the series has 13 labels, the limit is 12/,
    ],
    [
      'a long value',
      writeBody([
        {
          labels: [
            ['__name__', 'long'],
            ['a', 'x'.repeat(101)],
          ],
          samples: [[now, 1]],
        },
      ]),
      400,
      /the value of label "a" has 101 bytes, the limit is 100$/,
    ],
    [
      'far in the future',
      writeBody([{ labels: [['__name__', 'later']], samples: [[now + 3_600_000, 1]] }]),
      400,
      /out of bounds: later at \d+ lies more than 600 s in the future$/,
    ],
    ['a large body', new Uint8Array(1024 * 1024 + 1), 413, /^the body has 1048577 bytes, the limit is 1048576$/],
  ]
  for (const [name, body, status, message] of cases) {
    const reply = await postWrite(running.url, body)
    const text = (await reply.text()).trim()
    assert.equal(reply.status, status, `${name}: ${text}`)
    assert.match(text, message, name)
  }
  assert.equal((await postWrite(running.url, good)).status, 204)
  const wrongType = await postWrite(running.url, good, { 'content-type': 'text/plain' })
  assert.equal(wrongType.status, 415)
})

test('what is good beside something bad is kept', async () => {
  const body = encodeSnappy(
    writeRequest([
      seriesMessage(
        [
          ['__name__', 'beside'],
          ['n', '1'],
        ],
        [[now, 1]],
      ),
      seriesMessage(
        [
          ['__name__', 'beside'],
          ['n', '2'],
          ['n', '3'],
        ],
        [[now, 1]],
      ),
      seriesMessage(
        [
          ['__name__', 'beside'],
          ['n', '4'],
        ],
        [[now, 1]],
      ),
    ]),
  )
  assert.equal((await postWrite(running.url, body)).status, 400)
  assert.equal(await valueOf('count(beside)'), '2')
})

test('remote write 2.0 counts what was written', async () => {
  // Request{4 symbols ["", "__name__", "v2", "a", "b"], 5 series{1 refs [1,2,3,4], 2 sample{1 value, 2 time}}}
  const sample = Buffer.concat([
    Buffer.of(0x09),
    Buffer.from(new Float64Array([7]).buffer),
    Buffer.of(0x10),
    varint(now),
  ])
  const series = Buffer.concat([Buffer.of(0x0a, 4, 1, 2, 3, 4), Buffer.of(0x12, sample.length), sample])
  const symbols = ['', '__name__', 'v2', 'a', 'b'].map(s => Buffer.concat([Buffer.of(0x22, s.length), Buffer.from(s)]))
  const body = encodeSnappy(Buffer.concat([...symbols, Buffer.of(0x2a, series.length), series]))
  const reply = await postWrite(running.url, body, {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
  })
  assert.equal(reply.status, 204)
  assert.equal(reply.headers.get('x-prometheus-remote-write-samples-written'), '1')
  assert.equal(await valueOf('v2{a="b"}'), '7')
  const bad = encodeSnappy(Buffer.concat([...symbols, Buffer.of(0x2a, 4, 0x0a, 2, 1, 99)]))
  const refused = await postWrite(running.url, bad, {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
  })
  assert.equal(refused.status, 400)
  assert.match(await refused.text(), /symbol 99 is out of range, there are 5/)
})

function varint(value: number): Buffer {
  const out: number[] = []
  while (value >= 128) {
    out.push((value % 128) | 128)
    value = Math.floor(value / 128)
  }
  return Buffer.of(...out, value)
}

test('text exposition, OpenMetrics with exemplars, JSON lines, Influx lines', async () => {
  const post = (path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(running.url + path, { method: 'POST', body, headers })
  assert.equal(
    (
      await post(
        '/api/v1/import/prometheus',
        `# TYPE imported counter\nimported{a="x\\"y"} 5 ${now}\nimported_nan NaN\n`,
      )
    ).status,
    204,
  )
  assert.equal(await valueOf('imported{a="x\\"y"}'), '5')
  const openMetrics = `# TYPE om counter\nom_total{a="1"} 3 ${now / 1000} # {trace_id="abc"} 0.5 ${now / 1000}\n# EOF\n`
  assert.equal(
    (
      await post('/api/v1/import/prometheus', gzipSync(openMetrics), {
        'content-encoding': 'gzip',
        'content-type': 'application/openmetrics-text',
      })
    ).status,
    204,
  )
  const exemplars = (await (await fetch(`${running.url}/api/v1/query_exemplars?query=om_total`)).json()) as {
    data: { exemplars: { labels: object; value: string }[] }[]
  }
  assert.deepEqual(exemplars.data[0]?.exemplars[0]?.labels, { trace_id: 'abc' })
  const partly = await post('/api/v1/import/prometheus', `fine 1 ${now}\nbroken{ 2\n`)
  assert.equal(partly.status, 400)
  assert.match(await partly.text(), /line 2: a label name was expected/)
  assert.equal(await valueOf('fine'), '1')
  assert.equal(
    (
      await post(
        '/api/v1/import',
        `{"metric":{"__name__":"json","a":"b"},"values":[1,2,null],` +
          `"timestamps":[${now - 2000},${now - 1000},${now}]}\n`,
      )
    ).status,
    204,
  )
  assert.equal(await valueOf('count_over_time(json[5s])'), '2')
  const exported = await (await fetch(`${running.url}/api/v1/export?match[]=json&start=0`)).text()
  assert.deepEqual(JSON.parse(exported), {
    metric: { __name__: 'json', a: 'b' },
    values: [1, 2],
    timestamps: [now - 2000, now - 1000],
  })
  assert.equal(
    (
      await post(
        `/write?db=telegraf&precision=ms`,
        `cpu,host=a\\ b usage=12.5,idle=3i,ok=true,note="text, with comma" ${now}\n`,
      )
    ).status,
    204,
  )
  assert.equal(await valueOf('cpu_usage{host="a b",db="telegraf"}'), '12.5')
  assert.equal(await valueOf('cpu_ok'), '1')
})

const otlp = {
  resourceMetrics: [
    {
      resource: {
        attributes: [
          { key: 'service.name', value: { stringValue: 'shop' } },
          { key: 'service.instance.id', value: { stringValue: 'i1' } },
          { key: 'cloud.region', value: { stringValue: 'eu' } },
        ],
      },
      scopeMetrics: [
        {
          scope: { name: 's' },
          metrics: [
            {
              name: 'http.server.requests',
              unit: '1',
              sum: {
                aggregationTemporality: 2,
                isMonotonic: true,
                dataPoints: [
                  {
                    asInt: '42',
                    timeUnixNano: String(BigInt(now) * 1000000n),
                    attributes: [{ key: 'http.route', value: { stringValue: '/a' } }],
                  },
                ],
              },
            },
            {
              name: 'request.duration',
              unit: 's',
              histogram: {
                aggregationTemporality: 2,
                dataPoints: [
                  {
                    count: '3',
                    sum: 1.5,
                    bucketCounts: ['1', '1', '1'],
                    explicitBounds: [0.1, 1],
                    timeUnixNano: String(BigInt(now) * 1000000n),
                  },
                ],
              },
            },
            {
              name: 'memory.usage',
              unit: 'By',
              gauge: { dataPoints: [{ asDouble: 1024, timeUnixNano: String(BigInt(now) * 1000000n) }] },
            },
            {
              name: 'latency',
              exponentialHistogram: {
                aggregationTemporality: 2,
                dataPoints: [
                  {
                    count: '4',
                    sum: 8,
                    scale: 0,
                    zeroCount: '1',
                    positive: { offset: 0, bucketCounts: ['1', '2'] },
                    timeUnixNano: String(BigInt(now) * 1000000n),
                  },
                ],
              },
            },
            {
              name: 'changes',
              sum: {
                aggregationTemporality: 1,
                isMonotonic: true,
                dataPoints: [{ asInt: '1', timeUnixNano: String(BigInt(now) * 1000000n) }],
              },
            },
          ],
        },
      ],
    },
  ],
}

test('OTLP over HTTP: names, units, types, target_info, native histograms', async () => {
  const reply = await fetch(`${running.url}/v1/metrics`, {
    method: 'POST',
    body: JSON.stringify(otlp),
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(reply.status, 200)
  assert.match(await reply.text(), /metric \\"changes\\" has delta temporality; cumulative is needed/)
  assert.equal(await valueOf('http_server_requests_total{http_route="/a",job="shop",instance="i1"}'), '42')
  assert.equal(await valueOf('request_duration_seconds_bucket{le="1"}'), '2')
  assert.equal(await valueOf('request_duration_seconds_count'), '3')
  assert.equal(await valueOf('memory_usage_bytes'), '1024')
  assert.equal(await valueOf('histogram_count(latency)'), '4')
  assert.equal(await valueOf('target_info{cloud_region="eu",job="shop"}'), '1')
})

test('OTLP: exponential histograms that no native histogram can hold are rejected one by one', async () => {
  const timeUnixNano = String(BigInt(now) * 1000000n)
  const right = { count: '6', sum: 6, scale: 0, positive: { offset: 0, bucketCounts: ['1', '2', '3'] }, timeUnixNano }
  const cases: [name: string, point: Record<string, unknown>, reason: RegExp][] = [
    ['wide', { ...right, scale: -5 }, /schema -5 is not known/],
    ['off', { ...right, count: '99' }, /6 observations in buckets, the count is 99/],
    ['zeros', { ...right, zeroCount: '1' }, /7 observations in buckets, the count is 6/],
    ['below', { ...right, positive: { offset: 0, bucketCounts: ['7', '-1'] } }, /negative count -1/],
    ['halves', { ...right, positive: { offset: 0, bucketCounts: ['5.5', '0.5'] } }, /no whole number/],
  ]
  const pointsOf = (point: Record<string, unknown>): unknown => ({ aggregationTemporality: 2, dataPoints: [point] })
  for (const [name, point, reason] of cases) {
    const metrics = [
      { name: `${name}_bad`, exponentialHistogram: pointsOf(point) },
      { name: `${name}_good`, exponentialHistogram: pointsOf({ ...right, scale: 9 }) },
    ]
    const reply = await fetch(`${running.url}/v1/metrics`, {
      method: 'POST',
      body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(reply.status, 200, name)
    const { partialSuccess } = (await reply.json()) as {
      partialSuccess: { rejectedDataPoints: string; errorMessage: string }
    }
    assert.equal(partialSuccess.rejectedDataPoints, '1', name)
    assert.match(partialSuccess.errorMessage, reason)
    assert.match(partialSuccess.errorMessage, new RegExp(`^${name}_bad: `))
    assert.equal(await valueOf(`histogram_count(${name}_bad)`), undefined)
    assert.equal(await valueOf(`histogram_count(${name}_good)`), '6')
  }
})

test('OTLP over gRPC (req-126)', async () => {
  const address = running.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address
  const asIs = (bytes: Buffer): Buffer => bytes
  const Client = makeGenericClientConstructor(
    {
      export: {
        path: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    'Metrics',
  )
  const client = new Client(address, credentials.createInsecure())
  // resource_metrics{scope_metrics{metrics{name "grpc_gauge", gauge{data_points{time, as_double 5}}}}}
  const point = Buffer.concat([
    Buffer.of(0x19),
    u64(BigInt(now) * 1000000n),
    Buffer.of(0x21),
    Buffer.from(new Float64Array([5]).buffer),
  ])
  const wrap = (tag: number, inner: Buffer): Buffer => Buffer.concat([Buffer.of(tag), varint(inner.length), inner])
  const metric = Buffer.concat([wrap(0x0a, Buffer.from('grpc_gauge')), wrap(0x2a, wrap(0x0a, point))])
  const request = wrap(0x0a, wrap(0x12, wrap(0x12, metric)))
  await new Promise<void>((resolve, reject) => {
    ;(client['export'] as (m: Buffer, cb: (error: Error | null) => void) => void).call(client, request, error => {
      if (error === null) resolve()
      else reject(error)
    })
  })
  client.close()
  assert.equal(await valueOf('grpc_gauge'), '5')
})

function u64(value: bigint): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(value)
  return out
}

const whole = (text: string): RegExp => new RegExp(`^${RegExp.escape(text)}$`)

test("queries that can't be answered say why", async () => {
  const cases: [expr: string, errorType: string, message: RegExp][] = [
    ['sum(', 'bad_data', /^invalid parameter "query": 1:5: parse error: unclosed left parenthesis$/],
    [
      'rate(good)',
      'bad_data',
      whole(
        'invalid parameter "query": 1:6: parse error: ' +
          'expected type range vector in call to function "rate", got instant vector',
      ),
    ],
    ['nosuch(good)', 'bad_data', /^invalid parameter "query": 1:1: parse error: unknown function with name "nosuch"$/],
    [
      'good + on (x) {__name__=~"beside|good"}',
      'execution',
      new RegExp(
        String.raw`^found duplicate series for the match group \{\} on the right hand-side of the operation: .*;` +
          'many-to-many matching not allowed: matching labels must be unique on one side$',
      ),
    ],
    ['{__name__=~"["}', 'bad_data', /^invalid parameter "query": 1:2: parse error: /],
  ]
  for (const [expr, errorType, message] of cases) {
    const answer = await query(expr)
    assert.equal(answer.status, 'error', expr)
    assert.equal(answer.errorType, errorType, expr)
    assert.match(answer.error ?? '', message)
  }
  // Catastrophic for a backtracking engine; linear here.
  const value = 'a'.repeat(99)
  await postWrite(running.url, writeBody([{ labels: [['__name__', value]], samples: [[now, 1]] }]))
  assert.equal((await query('{__name__=~"(a+)+$"}')).data?.result.length, 1)
  assert.equal((await query('{__name__=~"(a|aa)+!"}')).data?.result.length, 0)
})

test('a query over too many samples ends with an error, the process goes on', async () => {
  const samples = Array.from({ length: 2000 }, (_, i): [number, number] => [now - 1_000_000 + i * 500, i])
  assert.equal((await postWrite(running.url, writeBody([{ labels: [['__name__', 'big']], samples }]))).status, 204)
  const reply = await fetch(`${running.url}/api/v1/query?query=sum_over_time(big[1h])&time=${now / 1000}`)
  assert.equal(reply.status, 422)
  assert.deepEqual(await reply.json(), {
    status: 'error',
    errorType: 'execution',
    error: 'query processing would load too many samples into memory in query execution',
  })
  const steps = await fetch(`${running.url}/api/v1/query_range?query=big&start=0&end=${now / 1000}&step=1`)
  assert.equal(steps.status, 400)
  assert.match(
    await steps.text(),
    /exceeded maximum resolution of 11,000 points per timeseries\. Try decreasing the query resolution \(\?step=XX\)/,
  )
  assert.equal(await valueOf('count(big)'), '1')
})

test('a look back of 0 is the default one, a time to answer of 0 is none', async () => {
  await postWrite(running.url, writeBody([{ labels: [['__name__', 'seen']], samples: [[now, 1]] }]))
  const time = String((now + 60_000) / 1000)
  const ask = async (more: Record<string, string>): Promise<string> =>
    (await fetch(urlOf(running.url, '/api/v1/query', { query: 'seen', time, ...more }))).text()
  for (const lookback_delta of ['', '0', '0s', '2m']) assert.match(await ask({ lookback_delta }), /"seen"/)
  assert.match(await ask({ lookback_delta: '30s' }), /"result":\[\]/)
  assert.match(await ask({ timeout: '' }), /"seen"/)
  assert.match(await ask({ timeout: '0' }), /"errorType":"timeout"/)
})

test('a label with more values than the stack holds: all of them, or as many as are wanted', async () => {
  const many = 130_000
  for (let from = 0; from < many; from += 26_000) {
    const lines = Array.from({ length: 26_000 }, (_, i) => `many{many_id="user-${from + i}"} 1\n`)
    const url = `${running.url}/api/v1/import/prometheus`
    assert.equal((await fetch(url, { method: 'POST', body: lines.join('') })).status, 204)
  }
  const ask = async (path: string): Promise<{ data: string[]; warnings?: string[] }> => {
    const reply = await fetch(`${running.url}/api/v1/${path}`)
    assert.equal(reply.status, 200)
    return (await reply.json()) as { data: string[]; warnings?: string[] }
  }
  const ofAll = Array.from({ length: many }, (_, i) => `user-${i}`).sort()
  for (const matcher of ['', 'match[]=many&']) {
    assert.deepEqual(await ask(`label/many_id/values?${matcher}limit=10`), {
      status: 'success',
      data: ofAll.slice(0, 10),
      warnings: ['results truncated due to limit'],
    })
    assert.deepEqual((await ask(`label/many_id/values?${matcher}`)).data, ofAll)
    assert.deepEqual((await ask(`label/many_id/values?${matcher}limit=${many}`)).warnings, undefined)
  }
  assert.equal((await ask('series?match[]=many&limit=2')).data.length, 2)
  assert.equal((await ask('series?match[]=many')).data.length, many)
  assert.deepEqual((await ask('labels?match[]=many&limit=1')).data, ['__name__'])
})

test('the probes, and nothing without authentication trouble (req-034, req-058, req-079)', async () => {
  for (const [path, expected] of [
    ['/health', 'OK'],
    ['/-/healthy', 'Tercet is healthy.\n'],
    ['/-/ready', 'Tercet is ready.\n'],
  ] as const) {
    const reply = await fetch(running.url + path)
    assert.equal(reply.status, 200)
    assert.equal(await reply.text(), expected)
  }
  const metrics = await (await fetch(`${running.url}/metrics`)).text()
  assert.match(metrics, /^tercet_samples_appended_total\{signal="metrics"\} \d+$/m)
  assert.match(metrics, /^process_resident_memory_bytes \d+$/m)
  assert.equal((await fetch(`${running.url}/prometheus/api/v1/query?query=1`)).status, 200)
})
