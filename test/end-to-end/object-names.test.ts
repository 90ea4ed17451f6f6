/**
 * Names that every object has already (`__proto__`, `constructor` …) are names like others: they go in by every
 * protocol, and come out by every API.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  '__lookupSetter__',
]

const nowMs = Date.now() - 60_000
const ns = `${nowMs}000000`
const valueOf = (name: string): string => `v-${name.replaceAll('_', '')}`
const pairs = names.map(name => [name, valueOf(name)] as const)
/** Text of an object: an object literal would set a prototype. */
const objectText = (all: readonly (readonly [string, string])[]): string =>
  `{${all.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
const withPairs = (...more: [string, string][]): string => objectText([...more, ...pairs])
const attributes = JSON.stringify(pairs.map(([key, stringValue]) => ({ key, value: { stringValue } })))
const exposition = pairs.map(([name, value]) => `${name}="${value}"`).join(',')

let run: Running

async function post(path: string, body: string, type = 'application/json'): Promise<void> {
  const reply = await fetch(run.url + path, { method: 'POST', headers: { 'content-type': type }, body })
  assert.ok(reply.status < 300, `${path}: ${reply.status} ${await reply.text()}`)
}

let flags: string[] = []

/** The alert was seen firing. */
async function untilEvaluated(): Promise<void> {
  const isFiring = async (): Promise<true | undefined> =>
    (await (await fetch(`${run.url}/api/v1/alerts`)).text()).includes('firing') || undefined
  await until(isFiring, 'the alert fires')
}

const relabelled = (expr: string, name: string): string =>
  `label_replace(${expr}, "${name}", "${valueOf(name)}", "", "")`

const scrapes = `
global:
  external_labels: ${withPairs()}
scrape_configs:
  - job_name: j
    scrape_interval: 1h
    static_configs:
      - targets: ['127.0.0.1:1']
        labels: ${withPairs()}
    params: {__proto__: [x], constructor: [y]}
`

const rules = `
groups:
  - name: g
    interval: 1s
    rules:
      - alert: A
        expr: ${names.reduce(relabelled, 'vector(1)')}
        labels: ${withPairs()}
        annotations:
          own: '${names.map(name => `{{ $labels.${name} }}`).join(' ')}'
${pairs.map(([name, value]) => `          ${name}: ${value}`).join('\n')}
      - record: __proto__
        expr: vector(1)
        labels: ${withPairs()}
`

before(async () => {
  const directory = temporaryDirectory()
  const file = `${directory}/rules.yml`
  writeFileSync(file, rules)
  const targets = `${directory}/prometheus.yml`
  writeFileSync(targets, scrapes)
  flags = [
    `rule_files=${file}`,
    `scrape_config_file=${targets}`,
    'logs.out_of_order_window=inf',
    'listen.syslog_tcp=127.0.0.1:0',
  ]
  run = await runTercet(flags, directory)
  for (const send of Object.values(pushes)) await send()
  await untilEvaluated()
})
after(async () => {
  await run.stop()
})

const span = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  name: 'x',
  startTimeUnixNano: ns,
  endTimeUnixNano: `${nowMs + 1}000000`,
}
const textOf = (fields: object): string => JSON.stringify(fields).slice(1, -1)

/** Every protocol sends one thing of its own name. */
const pushes = {
  text: () =>
    post(
      '/api/v1/import/prometheus',
      [
        ...names.map(name => `# HELP ${name} help of ${name}\n# TYPE ${name} gauge\n${name}{of="names"} 1 ${nowMs}\n`),
        `of_text{${exposition}} 1 ${nowMs}\n`,
      ].join(''),
      'text/plain',
    ),
  remoteWrite: async () => {
    const labels = [['__name__', 'of_remote_write'], ...pairs].sort(([a], [b]) => (a! < b! ? -1 : 1)) as [
      string,
      string,
    ][]
    assert.equal((await postWrite(run.url, writeBody([{ labels, samples: [[nowMs, 1]] }]))).status, 204)
  },
  jsonLines: () =>
    post(
      '/api/v1/import',
      `{"metric":${withPairs(['__name__', 'of_json_lines'])},"values":[1],"timestamps":[${nowMs}]}\n`,
    ),
  influx: () =>
    post(
      '/write',
      `of_influx,${pairs.map(pair => pair.join('=')).join(',')} ${names.map(n => `${n}=1`).join(',')} ${ns}\n`,
    ),
  otlpMetrics: () =>
    post(
      '/v1/metrics',
      `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"of_otlp",
      "sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"attributes":${attributes},
      "timeUnixNano":"${ns}","asDouble":1,
      "exemplars":[{"timeUnixNano":"${ns}","asDouble":1,"filteredAttributes":${attributes}}]}]}}]}]}]}`,
    ),
  loki: () =>
    post(
      '/loki/api/v1/push',
      `{"streams":[{"stream":${withPairs(['of', 'loki'])},
      "values":[["${ns}","a line",${withPairs(['of_metadata', 'loki'])}]]}]}`,
    ),
  lokiJson: () =>
    post(
      '/loki/api/v1/push',
      `{"streams":[{"stream":{"of":"loki_json"},"values":[["${ns}",${JSON.stringify(withPairs())}]]},
      {"stream":{"of":"loki_packed"},"values":[["${ns}",${JSON.stringify(withPairs(['_entry', 'a line']))}]]},
      {"stream":{"of":"loki_logfmt"},"values":[["${ns}",${JSON.stringify(pairs.map(p => p.join('=')).join(' '))}]]}]}`,
    ),
  jsonline: () =>
    post(
      '/insert/jsonline?_stream_fields=of,__proto__&_time_field=_time&_msg_field=_msg',
      `${withPairs(['of', 'jsonline'], ['_time', new Date(nowMs).toISOString()], ['_msg', 'a line'])}\n`,
      'application/stream+json',
    ),
  bulk: () =>
    post(
      '/insert/elasticsearch/_bulk?_stream_fields=of&_time_field=_time&_msg_field=_msg',
      `{"create":{}}\n${withPairs(['of', 'bulk'], ['_time', new Date(nowMs).toISOString()], ['_msg', 'a line'])}\n`,
    ),
  otlpLogs: () =>
    post(
      '/v1/logs',
      `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"of-otlp"}}]},
      "scopeLogs":[{"logRecords":[{"timeUnixNano":"${ns}","body":{"stringValue":"a line"},
      "attributes":${attributes}}]}]}]}`,
    ),
  syslog: async () => {
    const { address } = run.tercet.addresses.find(({ name }) => name === 'syslog_tcp')!
    const [host = '', port] = address.split(':')
    const socket = connect(Number(port), host)
    const parameters = pairs.map(([name, value]) => `${name}="${value}"`).join(' ')
    socket.end(`<13>1 ${new Date(nowMs).toISOString()} names app - - [sd ${parameters}] a line\n`)
    const isThere = async (): Promise<true | undefined> =>
      (await (await fetch(`${run.url}/select/logsql/query?query=${q('hostname:=names')}`)).text()) !== '' || undefined
    await until(isThere, 'the message is stored')
  },
  otlpTraces: () =>
    post(
      '/v1/traces',
      `{"resourceSpans":[{"resource":{"attributes":${attributes}},"scopeSpans":[{"spans":[{${textOf(span)},
      "attributes":${attributes},"events":[{"timeUnixNano":"${ns}","name":"e","attributes":${attributes}}]}]}]}]}`,
    ),
  zipkin: () =>
    post(
      '/api/v2/spans',
      `[{"traceId":"1af7651916cd43dd8448eb211c80319c","id":"c7ad6b7169203331","name":"z",
      "timestamp":${nowMs}000,"duration":1000,"tags":${withPairs()}}]`,
    ),
  alerts: () =>
    post('/api/v2/alerts', `[{"labels":${withPairs(['alertname', 'of_api'])},"annotations":${withPairs()}}]`),
  silences: () =>
    post(
      '/api/v2/silences',
      `{"matchers":${JSON.stringify(pairs.map(([name, value]) => ({ name, value, isRegex: false, isEqual: true })))},
      "startsAt":"${new Date(nowMs).toISOString()}","endsAt":"${new Date(nowMs + 3_600_000).toISOString()}",
      "createdBy":"a","comment":"b"}`,
    ),
}

interface Question {
  path: string
  /** What the answer has of a name; default: the name and its value as members of an object. */
  has?: (name: string, value: string) => string
}

const member = (name: string, value: string): string => `"${name}":"${value}"`
const quoted = (name: string): string => `"${name}"`
const q = encodeURIComponent
const range = `start=${Math.floor(nowMs / 1000) - 600}&end=${Math.floor(nowMs / 1000) + 600}`
const lokiRange = `start=${nowMs - 600_000}000000&end=${nowMs + 600_000}000000`
const metricsOf = ['of_text', 'of_remote_write', 'of_json_lines', 'of_otlp_total', 'of_influx_toString']
const list = names.join(',')
const pattern = names.map(name => `${name}=<${name}>`).join(' ')

const perName = (path: (name: string) => string, has?: Question['has']): Question[] =>
  names.map(name => ({ path: path(name), has: (other, value) => (other === name ? (has ?? member)(name, value) : '') }))

const questions: Question[] = [
  ...metricsOf.flatMap((metric): Question[] => [
    { path: `/api/v1/query?query=${metric}` },
    { path: `/api/v1/query_range?query=${metric}&${range}&step=60` },
    { path: `/api/v1/series?match[]=${metric}` },
    { path: `/api/v1/export?match[]=${metric}` },
    { path: `/federate?match[]=${metric}`, has: (name, value) => `${name}="${value}"` },
  ]),
  { path: `/api/v1/query?query=${q(`sum by (${list}) (of_text)`)}` },
  { path: `/api/v1/query?query=${q(`of_text * on (${list}) group_left () of_remote_write`)}` },
  { path: `/api/v1/labels`, has: quoted },
  { path: `/api/v1/label/__name__/values`, has: quoted },
  { path: '/api/v1/metadata', has: name => `"${name}":[{"type":"gauge","help":"help of ${name}","unit":""}]` },
  { path: `/api/v1/query_exemplars?query=of_otlp_total&${range}` },
  { path: `/api/v1/parse_query?query=${q(`sum by (${list}) (of_text)`)}`, has: quoted },
  { path: '/api/v1/rules' },
  { path: '/api/v1/alerts', has: () => `"own":"${pairs.map(([, value]) => value).join(' ')}"` },
  { path: '/api/v1/targets' },
  { path: '/federate?match[]=of_text', has: (name, value) => `${name}="${value}"` },
  { path: '/api/v1/alerts' },
  ...perName(
    name => `/api/v1/label/${name}/values`,
    (_, value) => quoted(value),
  ),
  ...perName(
    name => `/api/v1/metadata?metric=${name}`,
    name => `{"${name}":[`,
  ),
  ...perName(
    name => `/api/v1/query?query=${q(`count_values("${name}", of_text)`)}`,
    name => member(name, '1'),
  ),
  ...perName(
    name => `/api/v1/query?query=${q(`label_replace(vector(1), "${name}", "x", "", "")`)}`,
    name => member(name, 'x'),
  ),
  ...perName(
    name => `/api/v1/query?query=${name}`,
    name => member('__name__', name),
  ),
  { path: `/loki/api/v1/query_range?query=${q('{of="loki"}')}&${lokiRange}` },
  { path: `/loki/api/v1/query_range?query=${q('{of="loki_json"} | json')}&${lokiRange}` },
  { path: `/loki/api/v1/query_range?query=${q(`{of="loki_json"} | json ${list}`)}&${lokiRange}` },
  { path: `/loki/api/v1/query_range?query=${q('{of="loki_packed"} | unpack')}&${lokiRange}` },
  { path: `/loki/api/v1/query_range?query=${q('{of="loki_logfmt"} | logfmt')}&${lokiRange}` },
  { path: `/loki/api/v1/query_range?query=${q(`{of="loki_logfmt"} | logfmt ${list}`)}&${lokiRange}` },
  {
    path: `/loki/api/v1/query_range?query=${q(`{of="loki_logfmt"} | pattern "${pattern}"`)}&${lokiRange}`,
  },
  { path: `/loki/api/v1/query_range?query=${q('{service_name="of-otlp"}')}&${lokiRange}` },
  { path: `/loki/api/v1/query_range?query=${q(`sum by (${list}) (count_over_time({of="loki"}[1h]))`)}&${lokiRange}` },
  { path: `/loki/api/v1/series?match[]=${q('{of="loki"}')}&${lokiRange}` },
  { path: `/loki/api/v1/labels?${lokiRange}`, has: quoted },
  { path: `/loki/api/v1/detected_fields?query=${q('{of=~"loki_.*"}')}&${lokiRange}`, has: name => `"label":"${name}"` },
  { path: `/loki/api/v1/detected_labels?query=${q('{of="loki"}')}&${lokiRange}`, has: name => `"label":"${name}"` },
  ...perName(
    name => `/loki/api/v1/label/${name}/values?${lokiRange}`,
    (_, value) => quoted(value),
  ),
  ...perName(name => `/loki/api/v1/index/volume?query=${q('{of="loki"}')}&targetLabels=${name}&${lokiRange}`),
  ...perName(
    name => `/loki/api/v1/query_range?query=${q(`{of="loki_json"} | label_format ${name}="x"`)}&${lokiRange}`,
    name => member(name, 'x'),
  ),
  ...perName(
    name =>
      `/loki/api/v1/query_range?query=${q(`{of="loki_logfmt"} | logfmt | line_format "is {{.${name}}}"`)}&${lokiRange}`,
    (_, value) => `is ${value}`,
  ),
  ...['jsonline', 'bulk', 'loki'].map(of => ({ path: `/select/logsql/query?query=${q(`of:=${of}`)}&${range}` })),
  {
    path: `/select/logsql/query?query=${q('hostname:=names')}&${range}`,
    has: (name, value) => `sd.${name}":"${value}"`,
  },
  { path: `/select/logsql/query?query=${q('of:=loki_json | unpack_json')}&${range}` },
  { path: `/select/logsql/query?query=${q('of:=loki_logfmt | unpack_logfmt')}&${range}` },
  { path: `/select/logsql/query?query=${q(`of:=jsonline | fields ${list}`)}&${range}` },
  {
    path: `/select/logsql/query?query=${q('of:=jsonline | pack_json as p | fields p')}&${range}`,
    has: (name, value) => `\\"${name}\\":\\"${value}\\"`,
  },
  { path: `/select/logsql/query?query=${q(`of:=jsonline | stats by (${list}) count() n`)}&${range}` },
  {
    path: `/select/logsql/query?query=${q('of:=jsonline | stats json_values(*) as p')}&${range}`,
    has: (name, value) => JSON.stringify(JSON.stringify(member(name, value)).slice(1, -1)).slice(1, -1),
  },
  {
    path: `/select/logsql/query?query=${q('of:=jsonline | stats row_any(*) as p')}&${range}`,
    has: (name, value) => `\\"${name}\\":\\"${value}\\"`,
  },
  { path: `/select/logsql/field_names?query=*&${range}`, has: quoted },
  { path: `/select/logsql/facets?query=*&${range}&keep_const_fields=1`, has: quoted },
  { path: `/select/logsql/stats_query?query=${q(`of:=jsonline | stats by (${list}) count() n`)}&${range}` },
  {
    path: `/select/logsql/stats_query_range?query=${q(`of:=jsonline | stats by (${list}) count() n`)}&${range}&step=1h`,
  },
  { path: `/select/logsql/hits?query=${q('of:=jsonline')}&${range}&step=1h&${names.map(n => `field=${n}`).join('&')}` },
  {
    path: `/select/logsql/stream_field_names?query=*&${range}`,
    has: name => (name === '__proto__' ? quoted(name) : ''),
  },
  ...perName(
    name => `/select/logsql/field_values?query=*&field=${name}&${range}`,
    (_, value) => quoted(value),
  ),
  { path: `/api/traces/${span.traceId}`, has: (name, value) => `{"key":"${name}","value":{"stringValue":"${value}"}}` },
  {
    path: '/api/v2/traces/1af7651916cd43dd8448eb211c80319c',
    has: (name, value) => `{"key":"${name}","value":{"stringValue":"${value}"}}`,
  },
  { path: '/api/search/tags', has: quoted },
  { path: '/api/v2/search/tags', has: quoted },
  {
    path: `/api/search?q=${q(`{} | select(${names.map(n => `.${n}`).join(',')})`)}&${range}`,
    has: (name, value) => `{"key":"${name}","value":{"stringValue":"${value}"}}`,
  },
  ...perName(
    name => `/api/search/tag/${name}/values`,
    (_, value) => quoted(value),
  ),
  ...perName(
    name => `/api/search?q=${q(`{.${name}="${valueOf(name)}"}`)}&${range}`,
    () => span.traceId.slice(1),
  ),
  ...perName(
    name => `/api/metrics/query_range?q=${q(`{} | count_over_time() by (.${name})`)}&${range}&step=60s`,
    (_, value) => value,
  ),
  {
    path: '/jaeger/api/traces/0af7651916cd43dd8448eb211c80319c',
    has: (name, value) => `"key":"${name}","type":"string","value":"${value}"`,
  },
  { path: '/api/v2/alerts' },
  { path: '/api/v2/alerts/groups' },
  { path: '/api/v2/silences', has: name => `"name":"${name}"` },
]

for (const stage of ['memory', 'blocks, by worker threads'])
  test(`they come back from ${stage}`, async () => {
    if (stage !== 'memory') {
      await post('/-/flush', '')
      await run.tercet.close()
      run = await runTercet([...flags, 'workers=1'], run.directory)
      await untilEvaluated()
      // Metadata, exemplars and alerts that came from outside are in memory alone.
      await Promise.all([pushes.text(), pushes.otlpMetrics(), pushes.alerts()])
    }
    const problems: string[] = []
    for (const { path, has = member } of questions) {
      const reply = await fetch(run.url + path)
      const text = await reply.text()
      const lacking = pairs.filter(([name, value]) => !text.includes(has(name, value))).map(([name]) => name)
      if (reply.status !== 200 || lacking.length > 0)
        problems.push(`${decodeURIComponent(path)}\n    ${reply.status} lacks ${lacking.join()}: ${text.slice(0, 300)}`)
    }
    assert.deepEqual(problems, [], problems.join('\n'))
  })

test('they are no names of functions, stages, pipes, fields or settings', async () => {
  for (const name of names) {
    const queries = [
      `/api/v1/query?query=${q(`${name}(of_text)`)}`,
      `/api/v1/query?query=${q(`${name} by (a) (of_text)`)}&`,
      `/loki/api/v1/query?query=${q(`{of="loki"} | ${name}`)}`,
      `/loki/api/v1/query?query=${q(`${name}({of="loki"}[1m])`)}`,
      `/loki/api/v1/query?query=${q(`sum(${name}({of="loki"}[1m]))`)}`,
      `/loki/api/v1/query_range?query=${q(`{of="loki"} | line_format "{{ ${name} }}"`)}`,
      `/select/logsql/query?query=${q(`* | stats ${name}(x) y`)}`,
      `/api/search?q=${q(`{ ${name} = 1 }`)}`,
      `/api/search?q=${q(`{ span:${name} = 1 }`)}`,
      `/api/search?q=${q(`{ kind = ${name} }`)}`,
      `/api/search?q=${q(`{} | ${name}() > 1`)}`,
      `/api/metrics/query_range?q=${q(`{} | ${name}()`)}`,
      `/api/v1/query?query=of_text&time=${name}`,
      `/api/v1/query_range?query=of_text&${range}&step=${name}`,
      `/api/v1/targets?state=${name}`,
    ]
    for (const path of queries) {
      const reply = await fetch(run.url + path)
      const text = await reply.text()
      const isTolerant = path.startsWith('/api/v1/targets')
      assert.equal(reply.status, isTolerant ? 200 : 400, `${decodeURIComponent(path)}: ${text.slice(0, 300)}`)
    }
  }
})

test('nothing became a member of every object', () => {
  for (const prototype of [Object.prototype, Array.prototype, Function.prototype])
    assert.deepEqual(Object.keys(prototype), [])
  assert.equal(({} as Record<string, unknown>)['v-proto'], undefined)
})
