/**
 * The requests that Grafana 13's data sources (Prometheus, Loki, Tempo, Alertmanager) and the three Drilldown apps
 * make, as their public sources form them, each with an answer that has what the page shows. Covers req-025, req-027,
 * req-029, req-163.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'
import { urlOf } from '../url.ts'
import { postWrite, writeBody, type TestSeries } from '../write-request.ts'

const nowMs = Math.floor(Date.now() / 60_000) * 60_000
const now = nowMs / 1000
const start = now - 3600
const iso = (seconds: number): string => new Date(seconds * 1000).toISOString()
const nanos = (seconds: number): string => `${seconds}000000000`
const json = { 'content-type': 'application/json' }
const traceId = '0af7651916cd43dd8448eb211c80319c'

let running: Running

async function post(path: string, body: unknown): Promise<void> {
  const reply = await fetch(running.url + path, { method: 'POST', headers: json, body: JSON.stringify(body) })
  assert.ok(reply.ok, `${path}: ${reply.status} ${await reply.text()}`)
}

/** A counter, classic buckets, a gauge with a name of UTF-8, and target_info. */
function shopSeries(): TestSeries[] {
  const every = (name: string, more: [string, string][], slope: number): TestSeries => ({
    labels: [['__name__', name], ...more].sort(([a], [b]) => (a! < b! ? -1 : 1)) as [string, string][],
    samples: Array.from({ length: 241 }, (_, i): [number, number] => [(start + i * 15) * 1000, i * slope]),
  })
  const own: [string, string][] = [
    ['instance', 'shop-1'],
    ['job', 'shop'],
  ]
  return [
    ...['200', '500'].map((code, i) => every('http_requests_total', [['code', code], ...own], 6 - i * 5)),
    ...['0.1', '1', '+Inf'].map((le, i) => every('http_request_duration_seconds_bucket', [['le', le], ...own], i + 1)),
    every('http.server.active', own, 1),
    every('target_info', [['k8s_cluster_name', 'c1'], ...own], 0),
  ]
}

const lines = Array.from({ length: 60 }, (_, i): [string, string, Record<string, string>] => {
  const level = i % 10 === 0 ? 'error' : 'info'
  const text =
    i % 3 !== 2
      ? `level=${level} msg="order ${i} placed" duration=${i}ms bytes=${i * 100}`
      : JSON.stringify({
          level,
          msg: `order ${i} placed`,
          duration: `${i}ms`,
          user: { id: `u${Math.floor(i / 3) % 3}` },
        })
  return [nanos(start + i * 60), text, { trace_id: traceId, pod: `shop-${i % 2}` }]
})

const attributes = (values: Readonly<Record<string, string>>): object[] =>
  Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }))

/** A request through three services, with an exception in the last. */
function shopSpans(): object[] {
  const span = (id: string, parent: string, name: string, kind: number, ms: number, more: object = {}): object => ({
    traceId,
    spanId: id.padStart(16, '0'),
    ...(parent === '' ? {} : { parentSpanId: parent.padStart(16, '0') }),
    name,
    kind,
    startTimeUnixNano: nanos(now - 300),
    endTimeUnixNano: String(BigInt(nanos(now - 300)) + BigInt(ms) * 1_000_000n),
    ...more,
  })
  const exception = {
    name: 'exception',
    timeUnixNano: nanos(now - 300),
    attributes: attributes({
      'exception.type': 'PaymentError',
      'exception.message': 'card refused',
      'exception.stacktrace': 'at pay\nat main',
    }),
  }
  const of = (service: string, spans: object[]): object => ({
    resource: { attributes: attributes({ 'service.name': service, 'service.namespace': 'shop', cluster: 'c1' }) },
    scopeSpans: [{ scope: { name: 'otel', version: '1' }, spans }],
  })
  return [
    of('front', [
      span('1', '', 'GET /buy', 2, 800, { attributes: attributes({ 'http.route': '/buy' }) }),
      span('2', '1', 'call cart', 3, 500),
    ]),
    of('cart', [span('3', '2', 'POST /pay', 2, 400), span('4', '3', 'call pay', 3, 300)]),
    of('pay', [span('5', '4', 'charge', 2, 200, { status: { code: 2, message: 'refused' }, events: [exception] })]),
  ]
}

before(async () => {
  const directory = temporaryDirectory()
  writeFileSync(
    `${directory}/rules.yml`,
    'groups:\n  - { name: shop, interval: 1s, rules: [{ record: "job:requests:rate5m", ' +
      'expr: "sum by (job) (rate(http_requests_total[5m]))" }, { alert: Refused, expr: "vector(1)", ' +
      'labels: { severity: page }, annotations: { summary: "cards are refused" } }] }\n' +
      '  - { name: lines, type: loki, interval: 1s, rules: [{ alert: Errors, ' +
      `expr: 'sum(count_over_time({service_name="shop"} |= "error" [2h])) > 0' }] }\n`,
  )
  writeFileSync(`${directory}/alertmanager.yml`, 'route: { receiver: pager }\nreceivers: [{ name: pager }]\n')
  running = await runTercet(
    [
      `rule_files=${directory}/rules.yml`,
      `alertmanager_config_file=${directory}/alertmanager.yml`,
      'metrics.out_of_order_window=2h',
      'logs.out_of_order_window=2h',
    ],
    directory,
  )
  assert.equal((await postWrite(running.url, writeBody(shopSeries()))).status, 204)
  await post('/loki/api/v1/push', {
    streams: [{ stream: { service_name: 'shop', namespace: 'n', cluster: 'c1' }, values: lines }],
  })
  await post('/v1/traces', { resourceSpans: shopSpans() })
  const alerts = async (): Promise<string> => JSON.stringify(await answer('/api/v2/alerts'))
  await until(async () => (await alerts()).includes('"Refused"') || undefined, 'an alert')
})
after(() => running.stop())

async function answer(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const reply = await fetch(urlOf(running.url, path, parameters))
  const text = await reply.text()
  assert.equal(reply.status, 200, `${path} ${JSON.stringify(parameters)}: ${reply.status} ${text}`)
  return reply.headers.get('content-type')?.startsWith('application/json') === true ? JSON.parse(text) : text
}

/** What is asked, and what its answer has somewhere. */
type Asked = readonly [path: string, parameters: Readonly<Record<string, string>>, ...has: (string | RegExp)[]]

function asked(name: string, questions: readonly Asked[]): void {
  suite(name, () => {
    for (const [path, parameters, ...has] of questions) {
      const shown = Object.values(parameters).find(text => /[{("]/.test(text)) ?? ''
      test(`${path} ${shown}`.trim(), async () => {
        const found = await answer(path, parameters)
        const text = typeof found === 'string' ? found : JSON.stringify(found)
        for (const one of has)
          assert.ok(typeof one === 'string' ? text.includes(one) : one.test(text), `${one}: ${text}`)
      })
    }
  })
}

const range = { start: String(start), end: String(now) }
const filters = '{code=~"2..|5..", __ignore_usage__=""}'
const withSteps = { ...range, step: '15' }
const seriesOf = (count: number): RegExp => new RegExp(`^(?:(?!"metric").)*(?:"metric"(?:(?!"metric").)*){${count}}$`)

asked('the Prometheus data source', [
  ['/api/v1/status/buildinfo', {}, '"version":'],
  ['/api/v1/query', { query: '1+1', time: String(now) }, '"scalar"', '"2"'],
  ['/api/v1/query_range', { query: 'sum by (code) (rate(http_requests_total[1m0s]))', ...withSteps }, '"code":"500"'],
  ['/api/v1/query_exemplars', { query: 'http_requests_total', ...range }, '"data":[]'],
  ['/api/v1/labels', range, '"code"', '"le"', '"__name__"'],
  ['/api/v1/labels', { ...range, 'match[]': '{__name__="http_requests_total"}', limit: '40000' }, '"code"'],
  ['/api/v1/label/__name__/values', { ...range, limit: '40000' }, '"http_requests_total"', '"http.server.active"'],
  ['/api/v1/label/code/values', { ...range, 'match[]': '{job="shop"}' }, '"200"', '"500"'],
  ['/api/v1/series', { ...range, 'match[]': 'http_requests_total', limit: '40000' }, '"job":"shop"'],
  ['/api/v1/metadata', { limit: '40000' }, '"status":"success"'],
  ['/api/v1/metadata', { metric: 'http_requests_total' }, '"status":"success"'],
  ['/api/v1/rules', {}, '"name":"Refused"', '"state":"firing"', '"type":"recording"'],
  ['/api/v1/alerts', {}, '"alertname":"Refused"'],
  ['/api/v1/parse_query', { query: 'sum(rate(a[5m]))' }, '"type":"aggregation"'],
  ['/api/v1/format_query', { query: 'sum(rate(a[5m]))by(b)' }, 'sum by (b) (rate(a[5m]))'],
])

asked('Metrics Drilldown', [
  [
    '/api/v1/query',
    {
      query: `group by (__name__) ({__name__!=""}) unless (group by (__name__) ({__name__!=""} offset 30m))`,
      time: String(now),
    },
    '"vector"',
  ],
  [
    '/api/v1/query_range',
    { query: `avg(http_requests_total${filters} and http_requests_total${filters} > -Inf)`, ...withSteps },
    seriesOf(1),
  ],
  ['/api/v1/query_range', { query: `sum(rate(http_requests_total${filters}[1m0s]))`, ...withSteps }, seriesOf(1)],
  [
    '/api/v1/query_range',
    { query: 'sum by (le) (rate(http_request_duration_seconds_bucket{__ignore_usage__=""}[2m0s]))', ...withSteps },
    seriesOf(3),
  ],
  [
    '/api/v1/query_range',
    {
      query:
        'histogram_quantile(0.9,sum by (le) (rate(http_request_duration_seconds_bucket{__ignore_usage__=""}[2m0s])))',
      ...withSteps,
    },
    seriesOf(1),
  ],
  ['/api/v1/query_range', { query: 'avg({"http.server.active",__ignore_usage__=""})', ...withSteps }, seriesOf(1)],
  [
    '/api/v1/query_range',
    { query: 'sum by (code) (rate(http_requests_total{__ignore_usage__=""}[1m0s]))', ...withSteps },
    seriesOf(2),
  ],
  ['/api/v1/query_range', { query: 'time()-avg(http_requests_total{__ignore_usage__=""})', ...withSteps }, seriesOf(1)],
  [
    '/api/v1/query',
    { query: 'count(target_info{k8s_cluster_name!=""}) by (job, instance)', time: String(now) },
    '"job":"shop"',
  ],
  ['/api/v1/label/__name__/values', { ...range, 'match[]': '{__name__=~".*requests.*"}' }, '["http_requests_total"]'],
])

const logRange = { start: nanos(start), end: nanos(now) }
const isoRange = { start: iso(start), end: iso(now) }
const shop = '{service_name=`shop`}'
const parsed = '| json | logfmt | drop __error__, __error_details__'
const logSteps = { ...logRange, step: '60s' }

asked('the Loki data source', [
  ['/loki/api/v1/query', { query: 'vector(1)+vector(1)', time: nanos(now) }, '"2"'],
  ['/loki/api/v1/labels', logRange, '"service_name"', '"cluster"'],
  ['/loki/api/v1/label/namespace/values', { ...logRange, query: '{service_name="shop"}' }, '["n"]'],
  ['/loki/api/v1/series', { ...logRange, 'match[]': '{service_name="shop"}' }, '"namespace":"n"'],
  ['/loki/api/v1/index/stats', { ...logRange, query: '{service_name="shop"}' }, '"entries":'],
  [
    '/loki/api/v1/query_range',
    { query: '{service_name="shop"} |= `order`', ...logRange, direction: 'backward', limit: '1000', step: '15s' },
    '"streams"',
    'order 59 placed',
  ],
  [
    '/loki/api/v1/query_range',
    { query: 'sum by (level, detected_level) (count_over_time({service_name="shop"} |= `order` [2m]))', ...logSteps },
    '"detected_level":"error"',
  ],
  [
    '/loki/api/v1/query_range',
    {
      query: '{service_name="shop", cluster="c1"}',
      direction: 'forward',
      limit: '10',
      start: nanos(start + 600),
      end: nanos(start + 7800),
    },
    'order 10 placed',
    'order 19 placed',
  ],
  ['/loki/api/v1/format_query', { query: '{a="b"}|="c"' }, '{a=\\"b\\"}'],
  ['/loki/api/v1/status/buildinfo', {}, '"version"'],
  ['/prometheus/api/v1/rules', {}, '"name":"Errors"', '"state":"firing"'],
])

asked('Logs Drilldown', [
  ['/loki/api/v1/drilldown-limits', {}, '"limits"'],
  ['/loki/api/v1/labels', isoRange, '"service_name"'],
  [
    '/loki/api/v1/index/volume',
    { query: '{service_name=~`.+`}', limit: '5000', ...isoRange },
    '"service_name":"shop"',
    /"value":\[\d+,"\d{3,}"\]/,
  ],
  ['/loki/api/v1/patterns', { query: shop, step: '60s', ...isoRange }, '<_>', '"samples":[['],
  ['/loki/api/v1/detected_labels', { query: shop, ...isoRange }, '"label":"cluster"'],
  [
    '/loki/api/v1/detected_fields',
    { query: `${shop} ${parsed}`, limit: '1000', ...logRange },
    '"label":"duration"',
    '"type":"duration"',
    '"parsers":["json","logfmt"]',
    '"label":"trace_id"',
    '"jsonPath":["user","id"]',
  ],
  ['/loki/api/v1/detected_field/duration/values', { query: `${shop} ${parsed}`, limit: '1000', ...logRange }, '"10ms"'],
  [
    '/loki/api/v1/query_range',
    { query: `sum(count_over_time(${shop} | detected_level != \`\` [60s])) by (detected_level)`, ...logSteps },
    '"detected_level":"error"',
    '"detected_level":"info"',
  ],
  [
    '/loki/api/v1/query_range',
    { query: `sum by (user_id) (count_over_time(${shop} ${parsed} | user_id!="" [60s]))`, ...logSteps },
    '"user_id":"u1"',
  ],
  [
    '/loki/api/v1/query_range',
    {
      query: `avg_over_time(${shop} ${parsed} | duration!="" | unwrap duration(duration) | __error__="" [60s]) by ()`,
      ...logSteps,
    },
    seriesOf(1),
    '"0.058"',
  ],
  [
    '/loki/api/v1/query_range',
    { query: `sum by (pod) (count_over_time(${shop} | pod!="" [60s]))`, ...logSteps },
    '"pod":"shop-1"',
  ],
  [
    '/loki/api/v1/query',
    { query: `sum by (pod) (count_over_time(${shop} | keep pod [3600s]))`, time: nanos(now) },
    seriesOf(2),
    '"30"',
  ],
  [
    '/loki/api/v1/query_range',
    {
      query: `${shop} |> \`<_>order <_> placed<_>\` ${parsed} | detected_level=~"error|info"`,
      ...logRange,
      limit: '1000',
      direction: 'backward',
    },
    'order 0 placed',
  ],
  [
    '/loki/api/v1/query_range',
    { query: `sum by (service_name, detected_level) (count_over_time({service_name="shop"} [60s]))`, ...logSteps },
    '"service_name":"shop"',
  ],
])

const spanRange = { start: String(start), end: String(now) }
const all = 'nestedSetParent<0 && true'
const servers = `{${all} && kind = server}`
const nesting = 'nestedSetParent, nestedSetLeft, nestedSetRight'
const exceptionFields = 'event.exception.message,event.exception.stacktrace,event.exception.type'

asked('the Tempo data source', [
  ['/api/echo', {}, 'echo'],
  [
    '/api/search',
    { q: '{resource.service.name="front"}', limit: '20', spss: '3', ...spanRange },
    traceId.slice(1),
    '"rootServiceName":"front"',
  ],
  ['/api/v2/search/tags', { limit: '5000', ...spanRange }, '"name":"resource"', '"service.name"', '"http.route"'],
  ['/api/v2/search/tag/resource.service.name/values', { q: '{}', ...spanRange }, '"cart"', '"front"', '"pay"'],
  ['/api/v2/search/tag/status/values', { q: '{resource.service.name="pay"}', ...spanRange }, '"error"'],
  [`/api/v2/traces/${traceId}`, spanRange, '"charge"', 'card refused'],
  [`/api/traces/${traceId}`, spanRange, '"charge"'],
  ['/api/metrics/query_range', { q: '{ } | rate() by (resource.service.name)', step: '60s', ...spanRange }, '"pay"'],
  ['/api/metrics/query', { q: '{ status = error } | count_over_time()', ...spanRange }, '"value":1'],
  ['/api/status/buildinfo', {}, '"version"'],
])

asked('Traces Drilldown', [
  [
    '/api/metrics/query_range',
    { q: `{${all} && resource.service.name != nil} | rate() by(resource.service.name)`, step: '60s', ...spanRange },
    '"front"',
  ],
  ['/api/metrics/query_range', { q: '{true && status=error} | rate() ', step: '60s', ...spanRange }, '"series":[{'],
  [
    '/api/metrics/query_range',
    { q: `{${all}} | quantile_over_time(duration, 0.9, 0.5) `, step: '60s', ...spanRange },
    '"p"',
    '0.9',
  ],
  [
    '/api/metrics/query_range',
    { q: `{${all}} | histogram_over_time(duration) with(sample=true)`, step: '60s', ...spanRange },
    '__bucket',
  ],
  [
    '/api/metrics/query_range',
    { q: `{true} | compare({status = error}, 10, ${nanos(start)}, ${nanos(now)})`, step: '3600s', ...spanRange },
    '__meta_type',
    'selection',
    'baseline',
  ],
  [
    '/api/search',
    {
      q: `{true && status = error} | select(resource.service.name, ${exceptionFields}) with(most_recent=true)`,
      limit: '400',
      spss: '10',
      ...spanRange,
    },
    'card refused',
    'PaymentError',
  ],
  [
    '/api/search',
    {
      q: `(${servers} &>> { kind = server }) || (${servers}) | select(status, resource.service.name, name, ${nesting})`,
      limit: '200',
      spss: '20',
      ...spanRange,
    },
    'nestedSetLeft',
    '"charge"',
  ],
  ['/api/search', { q: `{${all}} | select(span.http.route)`, limit: '200', spss: '10', ...spanRange }, '/buy'],
  ['/api/v2/search/tag/resource.cluster/values', { q: `{${all}}`, ...spanRange }, '"c1"'],
])

asked('the Alertmanager data source', [
  ['/api/v2/status', {}, '"config"', 'pager'],
  ['/api/v2/receivers', {}, '"pager"'],
  ['/api/v2/alerts', { active: 'true', silenced: 'true', inhibited: 'true' }, '"alertname":"Refused"'],
  ['/api/v2/alerts', { filter: 'severity="page"' }, 'cards are refused'],
  ['/api/v2/alerts/groups', {}, '"receiver":{"name":"pager"}'],
  ['/api/v2/silences', {}, '[]'],
])

test('a trace as Grafana asks for it, in protobuf', async () => {
  const reply = await fetch(urlOf(running.url, `/api/v2/traces/${traceId}`, spanRange), {
    headers: { accept: 'application/protobuf' },
  })
  assert.equal(reply.headers.get('content-type'), 'application/protobuf')
  const bytes = Buffer.from(await reply.arrayBuffer())
  for (const text of ['charge', 'PaymentError', 'front']) assert.ok(bytes.includes(text), text)
})

test('a silence is made, seen, changed and ended as the Alertmanager page does it', async () => {
  const matchers = [{ name: 'alertname', value: 'Refused', isRegex: false, isEqual: true }]
  const silence = { matchers, startsAt: iso(now - 60), endsAt: iso(now + 7200), createdBy: 'me', comment: 'known' }
  const send = async (more: object): Promise<string> => {
    const body = JSON.stringify({ ...silence, ...more })
    const reply = await fetch(`${running.url}/api/v2/silences`, { method: 'POST', headers: json, body })
    assert.equal(reply.status, 200)
    return ((await reply.json()) as { silenceID: string }).silenceID
  }
  const id = await send({})
  assert.equal(await send({ id, comment: 'still known' }), id)
  const [one] = (await answer('/api/v2/silences', { filter: 'alertname="Refused"' })) as { comment: string }[]
  assert.equal(one?.comment, 'still known')
  assert.equal((await fetch(`${running.url}/api/v2/silence/${id}`, { method: 'DELETE' })).status, 200)
  const [ended] = (await answer('/api/v2/silences')) as { status: { state: string } }[]
  assert.equal(ended?.status.state, 'expired')
})
