/**
 * Every kind of constraint shows what a store would show that holds nothing else: tenant `full` has the data of all
 * owners, the tenant of each credential what its constraint fits, over HTTP, gRPC and remote read.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { credentials as grpcCredentials, makeGenericClientConstructor, Metadata } from '@grpc/grpc-js'
import { decodeSnappy, encodeSnappy } from '#codec/snappy.ts'
import {
  encodeMessage,
  queryRangeRequest,
  searchRequest,
  searchTagsRequest,
  searchTagValuesRequest,
} from '#wire/tempo/messages.ts'
import { protobuf, type Schema } from '../protobuf.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { credentialsFile, type Credential } from './access-world.ts'

/** Whose data it is, by labels; the name of the owner stands in everything that it has. */
interface Owner {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}
const owners: readonly Owner[] = [
  { name: 'anna', labels: { team: 'a', env: 'prod' } },
  { name: 'berta', labels: { team: 'b', env: 'prod' } },
  { name: 'carla', labels: { team: 'ab', env: 'dev' } },
  { name: 'doris', labels: { env: 'prod' } },
]

/** By the tenant that has the same: the constraint, and whom it shows. */
const kinds: Readonly<Record<string, readonly [labels: string, shown: readonly string[]]>> = {
  equal: ['{team="a"}', ['anna']],
  regex: ['{team=~"a|b"}', ['anna', 'berta']],
  notEqual: ['{team!="b"}', ['anna', 'carla', 'doris']],
  notRegex: ['{team!~"a.*"}', ['berta', 'doris']],
  empty: ['{team=""}', ['doris']],
  some: ['{team=~".+"}', ['anna', 'berta', 'carla']],
  missingEmpty: ['{nosuch=""}', ['anna', 'berta', 'carla', 'doris']],
  missing: ['{nosuch="x"}', []],
  several: ['{team=~".*",team!="b",env="prod"}', ['anna', 'doris']],
}

const everybody: Credential = { name: 'everybody', verbs: ['read', 'write', 'admin'] }
const bound = Object.entries(kinds).map(([name, [labels]]): Credential => ({ name, verbs: ['read'], labels }))
/** Of traces alone: metrics and logs have other names for it. */
const dotted: readonly Credential[] = [
  { name: 'dottedEqual', verbs: ['read'], labels: '{"service.name"="berta"}' },
  { name: 'dottedNotEqual', verbs: ['read'], labels: '{"service.name"!="berta"}' },
]
const startMs = Math.floor(Date.now() / 60_000) * 60_000 - 600_000
const endMs = startMs + 600_000

const runs: Running[] = []
before(async () => {
  for (const workers of ['0', '1']) runs.push(await start(workers))
})
after(async () => {
  for (const run of runs) await run.stop()
})

async function start(workers: string): Promise<Running> {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile([everybody, ...bound, ...dotted]))
  const flags = ['tenancy=on', `auth.file=${file}`, `workers=${workers}`, 'listen.otlp_grpc=127.0.0.1:0']
  const run = await runTercet(flags, directory)
  // The first half lies in blocks, the second one in memory.
  await fill(run, 0, 5)
  const flushed = await fetch(`${run.url}/-/flush`, { method: 'POST', headers: headersOf(everybody, 'full') })
  assert.ok(flushed.ok)
  await fill(run, 5, 10)
  return run
}

function headersOf({ name }: Credential, tenant: string): Record<string, string> {
  return { authorization: `Bearer token-of-${name}`, 'x-scope-orgid': tenant }
}

async function fill(run: Running, from: number, to: number): Promise<void> {
  const all = Object.entries({ ...kinds, full: ['', owners.map(({ name }) => name)] as const })
  for (const [tenant, [, shown]] of all) {
    const own = owners.filter(({ name }) => shown.includes(name))
    if (own.length === 0) continue
    const post = async (path: string, body: unknown): Promise<void> => {
      const headers = { ...headersOf(everybody, tenant), 'content-type': 'application/json' }
      const reply = await fetch(`${run.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
      assert.ok(reply.ok, `${path}: ${await reply.text()}`)
    }
    await post('/v1/metrics', { resourceMetrics: own.map(owner => metricsOf(owner, from, to)) })
    await post('/loki/api/v1/push', { streams: own.flatMap(owner => streamsOf(owner, from, to)) })
    await post('/v1/traces', { resourceSpans: spansOf(own, from, to) })
    const info = own.map(({ name, labels }) => ({
      labels: Object.entries({ __name__: 'target_info', instance: name, job: 'shop', data: name, ...labels }),
      samples: Array.from({ length: to - from }, (_, i): [number, number] => [startMs + (from + i) * 60_000, 1]),
    }))
    assert.equal((await postWrite(run.url, writeBody(info), headersOf(everybody, tenant))).status, 204)
  }
}

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const attributes = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([key, value]) => text(key, value))
const nsOf = (ms: number): string => `${ms}000000`
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

function metricsOf({ name, labels }: Owner, from: number, to: number) {
  const dataPoints = Array.from({ length: to - from }, (_, i) => ({
    timeUnixNano: nsOf(startMs + (from + i) * 60_000),
    startTimeUnixNano: nsOf(startMs),
    asDouble: from + i,
    attributes: attributes({ ...labels, instance: name, job: 'shop' }),
    exemplars: [
      {
        timeUnixNano: nsOf(startMs + (from + i) * 60_000),
        asDouble: 1,
        traceId: hex(i + 1, 32),
        spanId: hex(i + 1, 16),
        filteredAttributes: [text('who', name)],
      },
    ],
  }))
  const sum = { aggregationTemporality: 2, isMonotonic: true, dataPoints }
  const metrics = [
    { name: 'requests', unit: '1', description: 'Requests.', sum },
    { name: `only_${name}`, description: `Of ${name}.`, sum },
  ]
  return { resource: { attributes: [] }, scopeMetrics: [{ metrics }] }
}

function streamsOf({ name, labels }: Owner, from: number, to: number) {
  const lines = Array.from({ length: to - from }, (_, i) => {
    const n = from + i
    const line =
      n % 2 === 0 ? `{"n":${n},"who":"${name}","team":"a"}` : `level=info n=${n} who=${name} team=a msg="of ${name}"`
    return [nsOf(startMs + n * 60_000), line, { pod: `pod-of-${name}`, trace_id: hex(n, 32), nosuch: 'x' }]
  })
  return [{ stream: { ...labels, app: name }, values: lines }]
}

/** One trace of all owners, whose root is now of the one, now of the other, and one of each. */
function spansOf(own: readonly Owner[], from: number, to: number): unknown[] {
  return own.flatMap(owner => {
    const at = owners.indexOf(owner)
    const spans = Array.from({ length: to - from }, (_, i) => {
      const n = from + i
      const root = n % owners.length
      const make = (trace: number, parent: number | undefined) => ({
        traceId: hex(trace, 32),
        spanId: hex(trace * 16 + at + 1, 16),
        ...(parent === undefined ? {} : { parentSpanId: hex(trace * 16 + parent + 1, 16) }),
        name: `span of ${owner.name}`,
        startTimeUnixNano: nsOf(startMs + n * 60_000 + at),
        endTimeUnixNano: nsOf(startMs + n * 60_000 + at + 10),
        status: { code: n % 3 === 0 ? 2 : 0 },
        attributes: [text('who', owner.name), text('team', 'a'), text('nosuch', 'x')],
        events: [{ name: `event of ${owner.name}`, timeUnixNano: nsOf(startMs + n * 60_000) }],
        links: [{ traceId: hex(n + 1, 32), spanId: hex(1, 16), attributes: [text('who', owner.name)] }],
      })
      return [make(n + 1, at === root ? undefined : root), make(1000 + n * 10 + at, undefined)]
    })
    return [
      {
        resource: { attributes: attributes({ ...owner.labels, 'service.name': owner.name }) },
        scopeSpans: [{ scope: { name: `lib of ${owner.name}` }, spans: spans.flat() }],
      },
    ]
  })
}

const range = `start=${startMs / 1000}&end=${endMs / 1000}`
const rangeNs = `start=${nsOf(startMs)}&end=${nsOf(endMs)}`
const at = `time=${endMs / 1000 - 60}`
const encode = encodeURIComponent

const promql: readonly string[] = [
  'requests_total',
  '{__name__=~".+"}',
  'sum by (team) (rate(requests_total[5m]))',
  'requests_total * on (instance, job) group_left (data) target_info',
  'info(requests_total)',
  'info(requests_total, {data=~".+"})',
  'requests_total * on (env) requests_total',
  'absent(requests_total{team="b"})',
  'max_over_time(requests_total[5m:1m] @ end())',
  'requests_total @ start()',
  'count({team=~"b|"}) or vector(0)',
  'count by (__name__) ({__name__=~"only_.*"})',
  'label_replace(requests_total, "team", "a", "", "")',
  'scalar(sum(only_berta_total))',
]
const logql: readonly string[] = [
  '{app=~".+"}',
  '{app=~".+"} | label_format team="a"',
  '{app=~".+"} | json | logfmt | team="a"',
  '{app=~".+"} | nosuch="x"',
  '{team="b"} |= "berta"',
  'sum by (team, app) (count_over_time({app=~".+"} | json [5m]))',
  'sum by (who) (rate({app=~".+"} | logfmt [5m]))',
  'absent_over_time({app="berta"}[5m])',
  'count_over_time({team=""}[5m])',
]
const logsql: readonly string[] = [
  '*',
  'who:berta',
  'team:a | unpack_json | fields team, who, app',
  'in(* | fields app)',
  'app:in(* | fields app) | stats by (app) count() n',
  '* | union ({app="berta"} | fields app)',
  '* | fields app | join by (app) (* | fields app, env)',
  '* | stats by (_stream_id) count() n',
  '* | stats by (_stream) count() n, values(app) apps',
  '{app="berta"} | rename app as team',
  '* | stream_context before 1',
  '* | top 9 by (_stream_id)',
]
const traceql: readonly string[] = [
  '{}',
  '{ .who = "berta" }',
  '{ .team = "a" }',
  '{ span.nosuch = "x" } | select(resource.team, rootName, rootServiceName)',
  '{ event:name =~ ".*" }',
  '{ link:traceID != "" } | select(link.who)',
  '{ rootName = "span of berta" }',
  '{ nestedSetParent < 0 }',
  '{ traceDuration > 10ms }',
  '{} | count() > 1',
  '{} | by(resource.service.name)',
  '{ trace:rootService =~ "b.*" }',
]
const traceMetrics: readonly string[] = [
  '{} | rate() by (resource.service.name)',
  '{} | compare({status = error})',
  '{} | quantile_over_time(duration, .9) by (rootServiceName) with (exemplars=true)',
  '{} | count_over_time() by (event:name)',
  '{} | topk(2)',
]
const series = [
  '{team="b"}',
  '{team=""}',
  '{__name__=~".+",team!="a"}',
  '{__name__!=""}',
  '{instance=~"berta|doris"}',
  'requests_total',
]
const paths: readonly string[] = [
  ...promql.flatMap(q => [
    `/api/v1/query?query=${encode(q)}&${at}`,
    `/api/v1/query_range?query=${encode(q)}&${range}&step=60`,
    `/api/v1/query_exemplars?query=${encode(q)}&${range}`,
  ]),
  ...series.flatMap(m => [
    `/api/v1/series?${range}&match[]=${encode(m)}`,
    `/api/v1/export?${range}&match[]=${encode(m)}`,
    `/federate?match[]=${encode(m)}`,
    `/api/v1/labels?${range}&match[]=${encode(m)}`,
    `/api/v1/label/__name__/values?${range}&match[]=${encode(m)}`,
  ]),
  `/api/v1/labels?${range}`,
  ...['__name__', 'team', 'instance', 'data', 'nosuch'].map(name => `/api/v1/label/${name}/values?${range}`),
  '/api/v1/metadata?',
  '/api/v1/metadata?metric=only_berta_total',
  ...logql.map(q => `/loki/api/v1/query_range?query=${encode(q)}&${rangeNs}&step=60&limit=1000`),
  ...['{app=~".+"}', '{team="b"}', '{team=""}', '{env="prod"}'].flatMap(q => [
    `/loki/api/v1/series?${rangeNs}&match[]=${encode(q)}`,
    `/loki/api/v1/index/stats?${rangeNs}&query=${encode(q)}`,
    `/loki/api/v1/index/shards?${rangeNs}&query=${encode(q)}&targetBytesPerShard=1MB`,
    `/loki/api/v1/index/volume?${rangeNs}&query=${encode(q)}&targetLabels=team,app`,
    `/loki/api/v1/index/volume_range?${rangeNs}&query=${encode(q)}&targetLabels=app&step=60&aggregateBy=labels`,
    `/loki/api/v1/detected_fields?${rangeNs}&query=${encode(q)}`,
    `/loki/api/v1/detected_labels?${rangeNs}&query=${encode(q)}`,
    `/loki/api/v1/detected_field/who/values?${rangeNs}&query=${encode(q)}`,
    `/loki/api/v1/patterns?${rangeNs}&query=${encode(q)}`,
    `/loki/api/v1/label/app/values?${rangeNs}&query=${encode(q)}`,
    `/api/prom/query?${rangeNs}&query=${encode(q)}&limit=1000`,
  ]),
  `/loki/api/v1/labels?${rangeNs}`,
  `/loki/api/v1/label/app/values?${rangeNs}`,
  `/loki/api/v1/series?${rangeNs}`,
  `/loki/api/v1/detected_labels?${rangeNs}`,
  ...logsql.map(q => `/select/logsql/query?query=${encode(q)}&${range}`),
  ...['*', 'team:b', '{team=""}'].flatMap(q =>
    [
      'field_names?',
      'field_values?field=app&',
      'streams?',
      'stream_ids?',
      'stream_field_names?',
      'stream_field_values?field=app&',
      'hits?step=1m&field=app&',
      'facets?',
    ].map(path => `/select/logsql/${path}query=${encode(q)}&${range}`),
  ),
  ...traceql.map(q => `/api/search?q=${encode(q)}&${range}&limit=100&spss=100`),
  `/api/search?tags=${encode('service.name=berta')}&${range}`,
  ...traceMetrics.map(q => `/api/metrics/query_range?q=${encode(q)}&${range}&step=60s`),
  ...['', '{}', '{ .who = "berta" }', '{ resource.team != "a" }'].flatMap(q => [
    `/api/search/tags?${range}&q=${encode(q)}`,
    `/api/v2/search/tags?${range}&q=${encode(q)}`,
    ...['name', '.who', 'span.who', 'resource.team', 'rootName', 'rootServiceName', 'event:name', 'link.who'].map(
      tag => `/api/v2/search/tag/${encode(tag)}/values?${range}&q=${encode(q)}`,
    ),
  ]),
  ...[1, 2, 3, 4, 1000, 1001, 1002, 1003].flatMap(n => [
    `/api/traces/${hex(n, 32)}`,
    `/api/v2/traces/${hex(n, 32)}`,
    `/jaeger/api/traces/${n}`,
  ]),
  '/jaeger/api/services',
  `/jaeger/api/traces?service=berta&start=${startMs}000&end=${endMs}000&limit=100`,
]

/** Without what is counted of the work, and in an order of its own. */
function normal(body: string): unknown {
  try {
    return sorted(JSON.parse(body))
  } catch {
    return body.trim().split('\n').sort()
  }
}
const isWork = (key: string): boolean => ['stats', 'metrics', 'inspectedBytes', 'inspectedTraces'].includes(key)
/** A tenant is part of the id of a stream. */
const withoutIds = (body: string): string => body.replaceAll(/"(?:_stream_id|value)":"[0-9a-f]{32,}"/g, '"id":""')

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key]) => !isWork(key))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]).sort(([a], [b]) => (a! < b! ? -1 : 1)))
}

async function ask(url: string, credential: Credential, tenant: string, path: string) {
  const reply = await fetch(`${url}${path}`, { headers: headersOf(credential, tenant) })
  return { status: reply.status, body: withoutIds(await reply.text()) }
}

for (const [workers, way] of ['without workers', 'with a worker'].entries())
  for (const credential of bound)
    test(`${kinds[credential.name]![0]} shows what fits it and nothing else, ${way}`, async () => {
      const { url } = runs[workers]!
      const hidden = owners.map(({ name }) => name).filter(name => !kinds[credential.name]![1].includes(name))
      for (const path of paths) {
        // Everybody asks first, so that what is kept of an answer would be seen.
        await ask(url, everybody, 'full', path)
        const mine = await ask(url, credential, 'full', path)
        const wanted = await ask(url, everybody, credential.name, path)
        const shown = decodeURIComponent(path)
        assert.equal(mine.status, wanted.status, `${shown}: ${mine.body}; of the part alone: ${wanted.body}`)
        assert.deepEqual(normal(mine.body), normal(wanted.body), shown)
        for (const name of hidden)
          assert.ok(shown.includes(name) || !mine.body.includes(name), `${shown} shows ${name}: ${mine.body}`)
      }
    })

const matcher: Schema = { type: [1, 'varint'], name: [2, 'text'], value: [3, 'text'] }
const readQuery: Schema = { start: [1, 'varint'], end: [2, 'varint'], matchers: [3, () => matcher] }
const readRequest: Schema = { queries: [1, () => readQuery], accepted: [2, 'varint'] }

async function remoteRead(url: string, credential: Credential, tenant: string, accepted: number): Promise<string> {
  const queries = [{ type: 2, name: '__name__', value: '.+' }].map(one => ({
    start: startMs,
    end: endMs,
    matchers: [one],
  }))
  const reply = await fetch(`${url}/api/v1/read`, {
    method: 'POST',
    headers: { ...headersOf(credential, tenant), 'content-encoding': 'snappy' },
    body: Buffer.from(encodeSnappy(protobuf(readRequest, { queries, accepted: [accepted] }))),
  })
  const bytes = new Uint8Array(await reply.arrayBuffer())
  assert.equal(reply.status, 200, Buffer.from(bytes).toString())
  return Buffer.from(accepted === 0 ? decodeSnappy(bytes, 10_000_000) : bytes).toString('latin1')
}

const grpcCalls: readonly (readonly [method: string, request: Uint8Array])[] = [
  ['Search', encodeMessage(searchRequest, { query: '{}', limit: 100, start: startMs / 1000, end: endMs / 1000 })],
  ['SearchTags', encodeMessage(searchTagsRequest, { start: startMs / 1000, end: endMs / 1000 })],
  ['SearchTagsV2', encodeMessage(searchTagsRequest, { start: startMs / 1000, end: endMs / 1000 })],
  ['SearchTagValues', encodeMessage(searchTagValuesRequest, { tagName: 'service.name' })],
  ['SearchTagValuesV2', encodeMessage(searchTagValuesRequest, { tagName: 'span.who' })],
  ['SearchTagValuesV2', encodeMessage(searchTagValuesRequest, { tagName: 'rootName' })],
  [
    'MetricsQueryRange',
    encodeMessage(queryRangeRequest, {
      query: '{} | rate() by (span.who)',
      start: nsOf(startMs),
      end: nsOf(endMs),
      step: '60000000000',
    }),
  ],
  [
    'MetricsQueryInstant',
    encodeMessage(queryRangeRequest, {
      query: '{} | rate() by (span.who)',
      start: nsOf(startMs),
      end: nsOf(endMs),
    }),
  ],
]

function callGrpc(address: string, method: string, request: Uint8Array, headers: Record<string, string>) {
  const asIs = (bytes: Buffer): Buffer => bytes
  const client = new (makeGenericClientConstructor({}, 'any'))(address, grpcCredentials.createInsecure())
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return new Promise<string>((resolve, reject) => {
    client.makeUnaryRequest(
      `/tempopb.StreamingQuerier/${method}`,
      asIs,
      asIs,
      Buffer.from(request),
      metadata,
      (error, answer?: Buffer) => {
        client.close()
        if (error === null) resolve(answer?.toString('latin1') ?? '')
        else reject(error)
      },
    )
  })
}

for (const [workers, way] of ['without workers', 'with a worker'].entries())
  test(`remote read and the streams of Tempo over gRPC show what fits the constraint alone, ${way}`, async () => {
    const { url, tercet } = runs[workers]!
    const address = tercet.addresses.find(({ name }) => name === 'otlp_grpc')!.address
    const mentioned = (body: string): string[] => owners.map(({ name }) => name).filter(name => body.includes(name))
    for (const credential of bound) {
      const [, shown] = kinds[credential.name]!
      for (const accepted of [0, 1])
        assert.deepEqual(mentioned(await remoteRead(url, credential, 'full', accepted)), shown, credential.name)
      for (const [method, request] of grpcCalls) {
        const names = mentioned(await callGrpc(address, method, request, headersOf(credential, 'full')))
        const wanted = method.startsWith('SearchTags') ? [] : shown
        assert.deepEqual(names, wanted, `${credential.name}: ${method}`)
      }
    }
  })

test('what is counted of the work counts nothing that is hidden', async () => {
  const equal = bound.find(({ name }) => name === 'equal')!
  const questions: [path: string, counted: RegExp][] = [
    [
      `/loki/api/v1/query_range?query=${encode('{app=~".+"}')}&${rangeNs}`,
      /"total(Bytes|Lines)Processed":\d+|"totalChunksRef":\d+/g,
    ],
    [
      `/api/v1/query?stats=all&query=${encode('sum({__name__=~".+"})')}&${at}`,
      /"totalQueryableSamples":\d+|"peakSamples":\d+/g,
    ],
    [`/api/search?q={}&${range}&limit=100`, /"inspected(Traces|Spans)":"?\d+/g],
    [`/api/metrics/query_range?q=${encode('{} | rate()')}&${range}&step=60s`, /"inspected(Traces|Spans)":"?\d+/g],
  ]
  for (const { url } of runs)
    for (const [path, counted] of questions) {
      const mine = (await ask(url, equal, 'full', path)).body
      const part = (await ask(url, everybody, 'equal', path)).body
      assert.deepEqual(mine.match(counted), part.match(counted), path)
      assert.ok((mine.match(counted) ?? []).length > 1, path)
      assert.doesNotMatch(mine, /"inspectedBytes":"?[1-9]/)
    }
})

test('a constraint may name an attribute of a resource by its own name, with dots', async () => {
  for (const credential of dotted)
    for (const { url } of runs) {
      const q = encode('{} | select(resource.service.name)')
      const { body } = await ask(url, credential, 'full', `/api/search?q=${q}&${range}&limit=100&spss=100`)
      const byId = await ask(url, credential, 'full', `/api/v2/traces/${hex(1, 32)}`)
      for (const shown of [body, byId.body]) {
        const names = owners.map(({ name }) => name).filter(name => shown.includes(`"${name}"`))
        const wanted = credential.name === 'dottedEqual' ? ['berta'] : ['anna', 'carla', 'doris']
        assert.deepEqual(names, wanted, `${credential.name}: ${shown}`)
      }
    }
})

test('of several tenants a constraint shows what fits it in each', async () => {
  const { url } = runs[1]!
  for (const credential of bound.filter(({ name }) => ['equal', 'notRegex', 'empty'].includes(name))) {
    const hidden = owners.map(({ name }) => name).filter(name => !kinds[credential.name]![1].includes(name))
    for (const path of paths) {
      const { status, body } = await ask(url, credential, 'full|missingEmpty|regex', path)
      const shown = decodeURIComponent(path)
      assert.notEqual(status, 500, `${shown}: ${body}`)
      for (const name of hidden)
        assert.ok(shown.includes(name) || !body.includes(name), `${credential.name}: ${shown} shows ${name}: ${body}`)
    }
  }
})

test('the id of a stream, and what is in the way of a question, say nothing of what is hidden', async () => {
  for (const { url } of runs) {
    const all = await fetch(`${url}/select/logsql/query?query=${encode('{app="berta"}')}&${range}`, {
      headers: headersOf(everybody, 'full'),
    })
    const id = /"_stream_id":"([0-9a-f]+)"/.exec(await all.text())?.[1] ?? ''
    assert.notEqual(id, '')
    const equal = bound.find(({ name }) => name === 'equal')!
    for (const q of [`_stream_id:${id}`, `_stream_id:in(${id})`, `* | stream_context before 5 after 5`]) {
      const { status, body } = await ask(url, equal, 'full', `/select/logsql/query?query=${encode(q)}&${range}`)
      assert.ok(status === 400 || !body.includes('berta'), `${q}: ${body}`)
    }
    // Errors that name series name those of the constraint alone.
    for (const q of [
      'requests_total + on () requests_total',
      'sum(requests_total) + on (env) group_left () {__name__=~"only_.*"}',
    ]) {
      const { body } = await ask(url, equal, 'full', `/api/v1/query?query=${encode(q)}&${at}`)
      assert.doesNotMatch(body, /berta|carla|doris/)
    }
  }
})
