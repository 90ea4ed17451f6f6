/** Defects in the forms that programs give them, each with what the comparison must say; and pairs that say nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import type { AddedLine, AddedSample } from '../../src/library/additions.ts'
import type { AttributeMap } from '../../src/library/results.ts'
import { compareMade, shownFindings, times, type MadeRun, type MadeSpan } from './made-run.ts'

function request(route: string, more: MadeSpan = {}, attributes: AttributeMap = {}): MadeSpan {
  const own = { 'http.request.method': 'GET', 'http.route': route, 'http.response.status_code': 200 }
  return { name: `GET ${route}`, kind: 'server', durationMs: 20, ...more, attributes: { ...own, ...attributes } }
}

function client(name: string, attributes: AttributeMap, kind: MadeSpan['kind'] = 'client'): MadeSpan {
  return { name, kind, durationMs: 1, attributes }
}

type Pair = readonly [base: MadeRun, head: MadeRun]

/** Requests that make so many of these spans. */
function looping(made: MadeSpan, from: number, to: number, requests = 10): Pair {
  const run = (count: number): MadeRun => ({
    traces: times(requests, () => request('/orders', { below: [{ name: 'load', below: times(count, () => made) }] })),
  })
  return [run(from), run(to)]
}

const select = client('SELECT', {
  'db.system.name': 'postgresql',
  'db.query.text': 'SELECT * FROM lines WHERE id = $1',
})
const send = { 'messaging.system': 'kafka', 'messaging.destination.name': 'mails' }

/** A fifth of the requests is another one. */
function sometimes(usual: MadeSpan, other: MadeSpan, before: MadeSpan = usual): Pair {
  const run = (some: MadeSpan): MadeRun => ({ traces: times(20, i => (i % 5 === 0 ? some : usual)) })
  return [run(before), run(other)]
}

function taking(count: number, base: number, head: number, root = request('/slow')): Pair {
  const run = (ms: number): MadeRun => ({
    traces: times(count, i => [
      { ...root, durationMs: ms + (i % 3) },
      ...['/b', '/c', '/d'].map(route => request(route, { durationMs: 15 + (i % 3) })),
    ]).flat(),
  })
  return [run(base), run(head)]
}

function sample(name: string, labels: Record<string, string> = {}, value = 20): AddedSample {
  return { name, labels: { job: 'shop', ...labels }, value }
}

function sampled(base: readonly AddedSample[], head: readonly AddedSample[]): Pair {
  return [{ samples: [...base, sample('up')] }, { samples: [...head, sample('up')] }]
}

function line(text: string, labels: Record<string, string> = {}): AddedLine {
  return { line: text, labels: { service_name: 'shop', ...labels } }
}

function logged(base: readonly AddedLine[], head: readonly AddedLine[]): Pair {
  return [{ lines: [...base, line('it runs')] }, { lines: [...head, line('it runs')] }]
}

const point = { timeUnixNano: '1790000030000000000' }
const histogram = { aggregationTemporality: 2, dataPoints: [{ ...point, count: '3', sum: 3, bucketCounts: ['3'] }] }
const gauge = { dataPoints: [{ ...point, asDouble: 3 }] }
const rpc = { 'rpc.system': 'grpc', 'rpc.service': 'cart.Cart', 'rpc.method': 'Add' }
const newRpc = { 'rpc.system.name': 'grpc', 'rpc.method': 'cart.Cart/Add' }
const escaped = { 'exception.type': 'Error', 'exception.message': 'no price' }
const error = (message: string): MadeSpan => ({ status: 'error', statusMessage: message })

const planted: readonly (readonly [what: string, pair: Pair, ...findings: string[]])[] = [
  ['queries of PostgreSQL', looping(select, 1, 9), 'fail queries'],
  [
    'queries, older names',
    looping(client('q', { 'db.system': 'mysql', 'db.statement': 'SELECT 1' }), 1, 9),
    'fail queries',
  ],
  ['Redis', looping(client('GET', { 'db.system': 'redis', 'db.statement': 'GET a' }), 1, 9), 'fail queries'],
  ['MongoDB', looping(client('find', { 'db.system': 'mongodb', 'db.operation': 'find' }), 1, 9), 'fail queries'],
  [
    'HTTP calls',
    looping(client('GET', { 'http.method': 'GET', 'http.url': 'http://stock/items/1' }), 1, 9),
    'fail calls',
  ],
  ['gRPC calls', looping(client('cart.Cart/Add', newRpc), 1, 9), 'fail calls'],
  ['messages of a producer', looping(client('send mails', send, 'producer'), 1, 9), 'fail calls'],
  [
    'messages of a client',
    looping(client('send', { ...send, 'messaging.operation.type': 'send' }), 1, 9),
    'fail calls',
  ],
  ['three queries, then four', looping(select, 3, 4), 'warn queries'],
  ['one query, then two', looping(select, 1, 2), 'warn queries'],
  ['a loop in one request', looping(select, 1, 9, 1), 'fail queries'],
  ['a loop behind a path without a route', pathsLooping(), 'fail queries'],
  ['a status', sometimes(request('/a'), request('/a', error('boom'))), 'fail new_errors'],
  [
    'HTTP 500 without a status',
    sometimes(request('/a'), request('/a', {}, { 'http.response.status_code': 500 })),
    'fail new_errors',
  ],
  [
    'HTTP 503, older names',
    sometimes(request('/a'), request('/a', {}, { 'http.response.status_code': 503, 'http.status_code': 503 })),
    'fail new_errors',
  ],
  [
    'gRPC 13',
    sometimes(client('a', rpc, 'server'), client('a', { ...rpc, 'rpc.grpc.status_code': 13 }, 'server')),
    'fail new_errors',
  ],
  [
    'gRPC INTERNAL',
    sometimes(
      client('a', newRpc, 'server'),
      client('a', { ...newRpc, 'rpc.response.status_code': 'INTERNAL' }, 'server'),
    ),
    'fail new_errors',
  ],
  [
    'an exception without a status',
    sometimes(request('/a'), request('/a', { events: [{ name: 'exception', attributes: escaped }] })),
    'fail new_errors',
  ],
  ['HTTP 500 on another path, without a route', pathsFailing(), 'fail new_errors'],
  [
    'HTTP 404 for everybody',
    [
      { traces: times(5, () => request('/a')) },
      { traces: times(5, () => request('/a', {}, { 'http.response.status_code': 404 })) },
    ],
    'warn new_errors',
  ],
  ['a known failure in another route', handlersFailing(), 'fail new_errors'],
  ['a failed job', sometimes({ name: 'nightly' }, { name: 'nightly', ...error('no disk') }), 'fail new_errors'],
  [
    'another type on a route that fails',
    sometimes(request('/a', error('x'), { 'error.type': 'A' }), request('/a', error('x'), { 'error.type': 'B' })),
    'fail new_errors',
  ],
  ['from 10 to 100 ms', taking(20, 10, 100), 'fail latency'],
  ['five requests', taking(5, 10, 150), 'fail latency'],
  ['three requests', taking(3, 10, 500), 'warn latency'],
  ['one request', taking(1, 10, 3000), 'warn latency'],
  ['a job of a worker', taking(12, 10, 110, { name: 'mail', kind: 'consumer' }), 'fail latency'],
  [
    'a path',
    taking(12, 10, 110, client('GET', { 'http.method': 'GET', 'http.target': '/users/7?a=1' }, 'server')),
    'fail latency',
  ],
  ['a metric', sampled([sample('orders_total')], []), 'fail vanished_metrics'],
  ['a renamed metric', sampled([sample('orders_total')], [sample('order_total')]), 'fail vanished_metrics'],
  ['a label', sampled([sample('a', { shop: 'x' })], [sample('a')]), 'warn vanished_labels'],
  [
    'a value of a label',
    sampled(
      ['/a', '/pay'].map(route => sample('a', { route })),
      [sample('a', { route: '/a' })],
    ),
    'warn vanished_values',
  ],
  ['a counter at 0', sampled([sample('orders_total')], [sample('orders_total', {}, 0)]), 'fail stopped_counters'],
  [
    'a counter that counts once',
    sampled([sample('orders_total', {}, 200)], [sample('orders_total', {}, 1)]),
    'warn stopped_counters',
  ],
  [
    'a gauge instead of a histogram',
    [{ metrics: [{ name: 'took', unit: 's', histogram }] }, { metrics: [{ name: 'took', unit: 's', gauge }] }],
    'fail changed_types',
  ],
  [
    'another unit',
    [{ metrics: [{ name: 'took', unit: 's', histogram }] }, { metrics: [{ name: 'took', unit: 'ms', histogram }] }],
    'fail vanished_metrics',
  ],
  [
    '300 users in a label',
    sampled(
      [sample('a')],
      times(300, i => sample('a', { by: `u${i}` })),
    ),
    'fail cardinality',
  ],
  [
    '20 users in a label',
    sampled(
      [sample('a')],
      times(20, i => sample('a', { by: `u${i}` })),
    ),
    'fail cardinality',
  ],
  [
    '20 users in a label of a new metric',
    sampled(
      [],
      times(20, i => sample('a', { user_id: `u${i}` })),
    ),
    'fail cardinality',
  ],
  [
    '20 users in names of metrics',
    sampled([sample('a')], [sample('a'), ...times(20, i => sample(`of_${i}_total`))]),
    'fail cardinality',
  ],
  [
    '20 users in names of spans',
    [
      { traces: times(20, () => request('/a', { below: [{ name: 'load' }] })) },
      { traces: times(20, i => request('/a', { below: [{ name: `load ${i}` }] })) },
    ],
    'fail cardinality',
  ],
  [
    '20 users in resources',
    [
      { traces: times(20, () => request('/a')) },
      { traces: times(20, i => request('/a', { resource: { user: `u${i}` } })) },
    ],
    'fail cardinality',
  ],
  [
    '20 users in streams',
    logged(
      [line('hello')],
      times(20, i => line('hello', { user: `u${i}` })),
    ),
    'fail cardinality',
  ],
  ['an error in the log', logged([], [line('db is gone', { level: 'error' })]), 'fail new_log_errors'],
  ['a warning in the log', logged([], [line('pool is full', { level: 'warn' })]), 'warn new_log_warnings'],
  ['an error of pino', logged([], [line('{"level":50,"msg":"db is gone"}')]), 'fail new_log_errors'],
  ['an error of winston', logged([], [line('{"level":"error","message":"db is gone"}')]), 'fail new_log_errors'],
  [
    'an exception without a level',
    logged([], [line('TypeError: x of undefined\n    at a (b.js:1:2)')]),
    'fail new_log_errors',
  ],
  [
    'a known error more often',
    logged(times(5, line('late', { level: 'error' })), times(50, line('late', { level: 'error' }))),
    'warn log_growth',
  ],
  [
    'a known warning more often',
    logged(times(5, line('late', { level: 'warn' })), times(50, line('late', { level: 'warn' }))),
    'warn log_growth',
  ],
]

/** Handlers of all routes have one name, and one of them fails before and after. */
function handlersFailing(): Pair {
  const ask = (route: string, more: MadeSpan): MadeSpan =>
    request(route, { below: [{ name: 'request handler', ...more }] })
  const run = (more: MadeSpan): MadeRun => ({
    traces: times(10, () => [
      ask('/broken', error('no x')),
      ask('/ok', {}),
      ask('/fine', {}),
      ask('/pay', more),
    ]).flat(),
  })
  return [run({}), run(error('no x'))]
}

/** One path fails before and after. */
function pathsFailing(): Pair {
  const ask = (path: string, code: number): MadeSpan =>
    client('GET', { 'http.request.method': 'GET', 'url.path': path, 'http.response.status_code': code }, 'server')
  const run = (code: number): MadeRun => ({
    traces: times(10, i => [ask('/broken', 500), ask(`/orders/${i}`, code)]).flat(),
  })
  return [run(200), run(500)]
}

/** Of a server whose framework is not instrumented: the name is the method, the path is an attribute. */
function pathsLooping(): Pair {
  const run = (count: number): MadeRun => ({
    traces: times(20, i => [
      { name: 'GET', kind: 'server' as const, attributes: { 'http.request.method': 'GET', 'url.path': '/health' } },
      {
        name: 'GET',
        kind: 'server' as const,
        attributes: { 'http.request.method': 'GET', 'url.path': `/orders/${i}` },
        below: times(count, () => select),
      },
    ]).flat(),
  })
  return [run(1), run(9)]
}

for (const [what, [base, head], ...findings] of planted)
  test(`found: ${what}`, async () => {
    const report = await compareMade(base, head)
    assert.deepEqual(shownFindings(report), findings, JSON.stringify(report.findings.map(({ sentence }) => sentence)))
    for (const { notes } of [report.base, report.head]) assert.deepEqual(notes, [])
    const again = await compareMade(head, head)
    assert.deepEqual(shownFindings(again), [])
  })

interface Circumstances {
  requests: number
  slower: number
  isShuffled?: boolean
}

/** The same program again: other ids, ports, hosts, times; failures, warnings and loops are there before and after. */
function unchanged(seed: number, { requests, slower, isShuffled = false }: Circumstances): MadeRun {
  const random = seededRandom(seed)
  const part = (): number => random.u32() / 2 ** 32
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => (random.u32() % 16).toString(16)).join('')
  const id = (): string => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`
  const ms = (usual: number): number => usual * slower * (0.8 + part() * 0.5)
  const port = String(30_000 + (random.u32() % 30_000))
  const resource = {
    'service.instance.id': id(),
    'host.name': `runner-${hex(6)}`,
    'process.pid': random.u32() % 60_000,
  }
  const traces = times(requests, i => [
    request('/a', {
      resource,
      durationMs: ms(20),
      below: times(3, () => client('SELECT', { 'db.system': 'x', 'db.statement': `SELECT '${id()}'` })),
    }),
    client('GET', { 'http.request.method': 'GET', 'url.path': `/raw/${random.u32()}` }, 'server'),
    request('/b', { resource, durationMs: ms(40) }, { 'http.response.status_code': i % 5 === 0 ? 500 : 200 }),
    {
      ...client('process mails', send, 'consumer'),
      durationMs: ms(5),
      ...(i % 4 === 0 ? error(`no answer of ${hex(4)}@example.org at 10.0.0.7:${port} in ${i}ms`) : {}),
    },
  ]).flat()
  if (isShuffled) traces.sort((a, b) => (a.durationMs ?? 0) - (b.durationMs ?? 0))
  const own = { instance: `127.0.0.1:${port}`, pid: hex(5) }
  return {
    traces,
    lines: times(requests, i =>
      line(`{"level":50,"pid":${port},"msg":"no stock of ${id()}","err":{"type":"Error","message":"gone ${i}"}}`, own),
    ),
    samples: [
      sample('http_requests_total', { ...own, route: '/a' }, requests),
      sample('http_requests_total', { ...own, route: '/b' }, requests),
      sample('db_errors_total', own, part() < 0.5 ? 0 : 12),
      ...['Timeout', 'Socket'].map(type => sample('nodejs_active_resources', { ...own, type }, 1)),
      ...(part() < 0.5 ? [sample('nodejs_active_resources', { ...own, type: 'FSReq' }, 1)] : []),
      sample(`queue_${hex(9)}1_depth`, own, part()),
      ...(part() < 0.5 ? [sample('nodejs_gc_duration_seconds_count', own, 12)] : []),
    ],
  }
}

const circumstances: readonly (readonly [
  what: string,
  base: Circumstances,
  head: Circumstances,
  ...findings: string[],
])[] = [
  ['the same', { requests: 12, slower: 1 }, { requests: 12, slower: 1 }],
  ['twice as many requests', { requests: 12, slower: 1 }, { requests: 24, slower: 1 }],
  ['half as many requests', { requests: 24, slower: 1 }, { requests: 12, slower: 1 }],
  ['one request of each', { requests: 1, slower: 1 }, { requests: 1, slower: 1 }],
  ['a retry', { requests: 2, slower: 1 }, { requests: 3, slower: 1 }],
  ['another order', { requests: 12, slower: 1 }, { requests: 12, slower: 1, isShuffled: true }],
  ['a machine half as fast', { requests: 12, slower: 1 }, { requests: 12, slower: 2 }, 'warn slower_run'],
  ['a machine a quarter as fast', { requests: 12, slower: 1 }, { requests: 12, slower: 4 }, 'warn slower_run'],
  ['a machine a third as fast, few requests', { requests: 4, slower: 1 }, { requests: 4, slower: 3 }],
  ['a faster machine', { requests: 12, slower: 3 }, { requests: 12, slower: 1 }],
]

for (const [what, base, head, ...findings] of circumstances)
  test(`an unchanged program, ${what}: nothing is found`, async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const report = await compareMade(unchanged(seed, base), unchanged(seed + 100, head))
      const sentences = JSON.stringify(report.findings.map(({ sentence }) => sentence))
      assert.deepEqual(shownFindings(report), findings, `seed ${seed}: ${sentences}`)
    }
  })
