/**
 * Files that the real promtool calls right or wrong, and Tercet too; unit tests of rules end alike in both. Covers
 * req-018, req-042, req-117.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { systemFiles } from '#core/files.ts'
import { checkConfigFiles, checkRuleFiles, runRuleTests } from '../../src/ops/check-files.ts'
import { needs, programPath } from '../peers.ts'
import { temporaryDirectory } from '../run-tercet.ts'

const directory = temporaryDirectory()
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

function promtool(args: readonly string[]): Promise<{ code: number; text: string }> {
  return new Promise(resolve => {
    execFile(programPath('promtool')!, args, { cwd: directory }, (error, out, err) => {
      resolve({ code: error === null ? 0 : 1, text: out + err })
    })
  })
}
const collect = (): { lines: string[]; out: (line: string) => void; err: (line: string) => void } => {
  const lines: string[] = []
  return {
    lines,
    out: line => {
      lines.push(line)
    },
    err: line => {
      lines.push(line)
    },
  }
}

const job = (text: string): string =>
  `scrape_configs:\n  - job_name: a\n${text
    .split('\n')
    .map(l => `    ${l}`)
    .join('\n')}\n`
const configs: string[] = [
  '',
  'global: {}',
  'global: { scrape_interval: 15s, scrape_timeout: 10s, evaluation_interval: 1m, external_labels: { a: b } }',
  'global: { scrape_interval: 5s, scrape_timeout: 10s }',
  'global: { scrape_interval: 5 }',
  'global: { scrape_interval: 1.5m }',
  'global: { unknown: 1 }',
  'globals: {}',
  'a: [',
  'scrape_configs: {}',
  job('static_configs: [{ targets: ["a:1", "b"] }]'),
  job('static_configs: [{ targets: ["http://a:1"] }]'),
  job('static_configs: [{ targets: ["a/b"] }]'),
  job('static_configs: [{ target: ["a"] }]'),
  job('scrape_interval: 1s\nscrape_timeout: 2s'),
  job('scrape_interval: 1s'),
  job('scheme: ftp'),
  job('scheme: https'),
  job('a: 1'),
  'scrape_configs: [{ static_configs: [] }]',
  'scrape_configs: [{ job_name: a }, { job_name: a }]',
  'scrape_configs: [{ job_name: a }, { job_name: b }]',
  job('metrics_path: /x\nparams: { a: [b, c] }'),
  job('params: { a: b }'),
  job('basic_auth: { username: a, password: b }'),
  job('basic_auth: { username: a, password: b, password_file: c }'),
  job('basic_auth: { username: a }\nbearer_token: x'),
  job('authorization: { credentials: x }'),
  job('authorization: { type: Basic, credentials: x }'),
  job('authorization: { type: Bearer }\nbearer_token: x'),
  job('bearer_token: a\nbearer_token_file: b'),
  job('oauth2: { client_id: a, client_secret: b, token_url: "http://x" }'),
  job('oauth2: { client_id: a, token_url: "http://x" }'),
  job('oauth2: { client_secret: a, token_url: "http://x" }'),
  job('oauth2: { client_id: a, client_secret: b }'),
  job('tls_config: { insecure_skip_verify: true, server_name: x, min_version: TLS12 }'),
  job('tls_config: { min_version: TLS9 }'),
  job('tls_config: { cert: a }'),
  job('proxy_url: http://p:1\nno_proxy: a,b'),
  job('no_proxy: a'),
  job('proxy_url: http://p:1\nproxy_from_environment: true'),
  job('follow_redirects: false\nenable_http2: false'),
  job('http_headers: { X-A: { values: [a] } }'),
  job('sample_limit: 5\nbody_size_limit: 10MB\nlabel_limit: 3\ntarget_limit: 4\nkeep_dropped_targets: 5'),
  job('sample_limit: many'),
  job('body_size_limit: 10'),
  job('body_size_limit: ten'),
  job('scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]'),
  job('scrape_protocols: [Nothing]'),
  job('scrape_protocols: [PrometheusProto, PrometheusProto]'),
  job('fallback_scrape_protocol: PrometheusText0.0.4'),
  job('fallback_scrape_protocol: none'),
  job('honor_labels: yes'),
  job('honor_labels: true\nhonor_timestamps: false\ntrack_timestamps_staleness: true'),
  job('relabel_configs: [{ source_labels: [a], target_label: b }]'),
  job('relabel_configs: [{ source_labels: [a] }]'),
  job('relabel_configs: [{ action: nothing }]'),
  job('relabel_configs: [{ action: hashmod, source_labels: [a], target_label: b }]'),
  job('relabel_configs: [{ action: hashmod, source_labels: [a], target_label: b, modulus: 4 }]'),
  job('relabel_configs: [{ action: keep, regex: "(" }]'),
  job('relabel_configs: [{ action: keep, source_labels: [a], regex: "a(?=b)" }]'),
  job('relabel_configs: [{ action: labeldrop, regex: a.* }]'),
  job('relabel_configs: [{ action: labeldrop, regex: a.*, source_labels: [b] }]'),
  job('relabel_configs: [{ action: labelmap, regex: "a(.*)" }]'),
  job('relabel_configs: [{ action: labelmap, regex: "a(.*)", replacement: "" }]'),
  job('relabel_configs: [{ action: lowercase, source_labels: [a], target_label: a }]'),
  job('relabel_configs: [{ action: uppercase, source_labels: [a] }]'),
  job('relabel_configs: [{ action: keepequal, source_labels: [a], target_label: b }]'),
  job('relabel_configs: [{ action: keepequal, source_labels: [a], target_label: b, regex: c }]'),
  job('relabel_configs: [{ action: KEEP, source_labels: [a], regex: b }]'),
  job('relabel_configs: [{ target_label: "${1}_x", source_labels: [a] }]'),
  job('relabel_configs: [{ source_labels: a, target_label: b }]'),
  job('metric_relabel_configs: [{ source_labels: [__name__], regex: "go_.*", action: drop }]'),
  job('file_sd_configs: [{ files: ["a/*.json", "b.yml"] }]'),
  job('file_sd_configs: [{ files: ["a.txt"] }]'),
  job('file_sd_configs: [{ files: [] }]'),
  job('http_sd_configs: [{ url: "http://x/y" }]'),
  job('http_sd_configs: [{ url: "x" }]'),
  job('http_sd_configs: [{}]'),
  job('dns_sd_configs: [{ names: [a] }]'),
  job('dns_sd_configs: [{ names: [a], type: A }]'),
  job('dns_sd_configs: [{ names: [a], type: A, port: 1 }]'),
  job('dns_sd_configs: [{ names: [a], type: X, port: 1 }]'),
  job('dns_sd_configs: [{ names: [] }]'),
  job('kubernetes_sd_configs: [{ role: pod }]'),
  job('kubernetes_sd_configs: [{ role: pods }]'),
  job('kubernetes_sd_configs: [{}]'),
  job(
    'kubernetes_sd_configs: [{ role: endpoints, namespaces: { names: [a], own_namespace: true }, ' +
      'selectors: [{ role: pod, label: "a=b" }], attach_metadata: { node: true } }]',
  ),
  job('kubernetes_sd_configs: [{ role: pod, selectors: [{ role: pods }] }]'),
  job('docker_sd_configs: [{ host: "unix:///var/run/docker.sock" }]'),
  job('docker_sd_configs: [{}]'),
  'remote_write: [{ url: "http://x/y" }]',
  'remote_write: [{ url: "" }]',
  'remote_write: [{ url: "http://x", queue_config: { capacity: 1, max_shards: 2, max_backoff: 5s }, ' +
    'write_relabel_configs: [{ regex: a, action: labeldrop }], headers: { X-A: b }, ' +
    'send_exemplars: true }]',
  'remote_write: [{ url: "http://x", headers: { Authorization: b } }]',
  'remote_write: [{ url: "http://x", headers: { Content-Type: b } }]',
  'remote_write: [{ url: "http://x", name: a }, { url: "http://y", name: a }]',
  'remote_write: [{ url: "http://x", queue: {} }]',
  'remote_read: [{ url: "http://x" }]',
  'alerting: { alertmanagers: [{ static_configs: [{ targets: ["a:9093"] }] }] }',
  'alerting: { alertmanagers: [{ api_version: v1, static_configs: [{ targets: ["a:9093"] }] }] }',
  'alerting: { alertmanagers: [{ scheme: https, path_prefix: /x, timeout: 5s, ' +
    'basic_auth: { username: a, password: b } }], alert_relabel_configs: [{ regex: a, ' +
    'action: labeldrop }] }',
  'alerting: { alertmanager: [] }',
  'rule_files: ["none*.yml"]',
  'rule_files: ["missing.yml"]',
  'rule_files: ["good-rules.yml"]',
  'rule_files: ["bad-rules.yml"]',
  'scrape_config_files: ["extra-*.yml"]',
  'scrape_configs: [{ job_name: extra }]\nscrape_config_files: ["extra-*.yml"]',
  'storage: { tsdb: { out_of_order_time_window: 5m }, exemplars: { max_exemplars: 5 } }',
  'otlp: { promote_resource_attributes: [a] }',
  'tracing: { endpoint: "x:1" }',
  '# only a comment\n',
  job('metric_name_validation_scheme: legacy'),
  job('metric_name_validation_scheme: ascii'),
  job('metric_name_escaping_scheme: dots'),
  job('metric_name_escaping_scheme: hex'),
  job('metric_name_validation_scheme: legacy\nmetric_name_escaping_scheme: allow-utf-8'),
  job('native_histogram_bucket_limit: 5\nnative_histogram_min_bucket_factor: 1.5'),
  job('native_histogram_bucket_limit: -5'),
  job('native_histogram_min_bucket_factor: x'),
  `global: { metric_name_validation_scheme: legacy, metric_name_escaping_scheme: allow-utf-8 }\n${job('')}`,
  'global: { metric_name_validation_scheme: legacy, metric_name_escaping_scheme: allow-utf-8 }',
  'global: { metric_name_validation_scheme: ascii }',
  'global: { metric_name_escaping_scheme: hex }',
  'scrape_configs: [{ job_name: a, job_name: b }]',
]

test('promtool check config and ours agree', needs('promtool'), async () => {
  writeFileSync(`${directory}/good-rules.yml`, 'groups: [{ name: g, rules: [{ record: a, expr: b }] }]')
  writeFileSync(`${directory}/bad-rules.yml`, 'groups: [{ name: g, rules: [{ record: a, expr: "b(" }] }]')
  writeFileSync(`${directory}/extra-1.yml`, 'scrape_configs: [{ job_name: extra }]')
  const differences: string[] = []
  for (const text of configs) {
    writeFileSync(`${directory}/prometheus.yml`, text)
    const theirs = await promtool(['check', 'config', 'prometheus.yml'])
    const ours = collect()
    const code = await checkConfigFiles([`${directory}/prometheus.yml`], systemFiles, ours)
    if (code !== theirs.code)
      differences.push(
        `${JSON.stringify(text)}\n  promtool: ${theirs.code} ${theirs.text.slice(0, 300)}\n` +
          `  tercet: ${code} ${ours.lines.join(' ').slice(0, 300)}`,
      )
  }
  assert.deepEqual(differences, [])
  assert.ok(configs.length > 90)
})

const rule = (text: string): string => `groups: [{ name: g, rules: [{ ${text} }] }]`
const rules: string[] = [
  '',
  'groups: []',
  'groups: {}',
  'group: []',
  'groups: [{}]',
  'groups: [{ name: g }]',
  'groups: [{ name: g }, { name: g }]',
  'groups: [{ name: g, interval: 1m, limit: 5, query_offset: 10s, labels: { a: b } }]',
  'groups: [{ name: g, interval: 1 }]',
  'groups: [{ name: g, what: 1 }]',
  'groups: [{ name: "" }]',
  rule('record: a, expr: b'),
  rule('record: a:b:c, expr: "sum(rate(x[5m])) by (job)"'),
  rule('record: a, expr: "b("'),
  rule('record: a, expr: ""'),
  rule('record: a'),
  rule('expr: b'),
  rule('record: a, alert: b, expr: c'),
  rule('record: "a b", expr: c'),
  rule('record: a, expr: b, labels: { x: y }'),
  rule('record: a, expr: b, labels: { __name__: y }'),
  rule('record: a, expr: b, labels: { "0": y }'),
  rule('record: a, expr: b, for: 1m'),
  rule('record: a, expr: b, keep_firing_for: 1m'),
  rule('record: a, expr: b, annotations: { x: y }'),
  rule('record: a, expr: 1'),
  rule('record: a, expr: "\'text\'"'),
  rule('record: a, expr: "x[5m]"'),
  rule('alert: A, expr: "up == 0"'),
  rule(
    'alert: A, expr: "up == 0", for: 5m, keep_firing_for: 10m, labels: { severity: page }, ' +
      'annotations: { summary: "{{ $labels.instance }} is {{ $value | humanize }}" }',
  ),
  rule('alert: A, expr: up, for: five'),
  rule('alert: A, expr: up, for: 1h30m'),
  rule('alert: A, expr: up, annotations: { a: "{{ $labels.x" }'),
  rule('alert: A, expr: up, annotations: { a: "{{ nothing 1 }}" }'),
  rule('alert: A, expr: up, labels: { a: "{{ $value }}" }'),
  rule('alert: A, expr: up, labels: { a: "{{ if }}" }'),
  rule('alert: A, expr: up, annotations: { a: "{{ range query \\"up\\" }}{{ .Labels.instance }}{{ end }}" }'),
  rule('alert: A, expr: up, annotations: { "a-b": x }'),
  rule('alert: A, expr: up, labels: { "a-b": x }'),
  rule('alert: "a b", expr: up'),
  rule('alert: A, expr: up, unknown: 1'),
  rule(
    'alert: A, expr: "up", annotations: { a: "{{ $externalLabels.region }} {{ $externalURL }} ' +
      '{{ externalURL }} {{ pathPrefix }}" }',
  ),
  rule('alert: A, expr: up, annotations: { a: "{{ define \\"x\\" }}y{{ end }}{{ template \\"x\\" }}" }'),
  rule('alert: A, expr: up, annotations: { a: "{{ .Nothing }}" }'),
  'groups:\n- name: g\n  rules:\n  - record: a\n    expr: |\n      sum(\n        b\n      )\n',
  'groups:\n- name: g\n  rules:\n  - record: a\n   expr: b\n',
]

test('promtool check rules and ours agree', needs('promtool'), async () => {
  const differences: string[] = []
  for (const text of rules) {
    writeFileSync(`${directory}/rules.yml`, text)
    const theirs = await promtool(['check', 'rules', '--lint=none', 'rules.yml'])
    const ours = collect()
    const code = await checkRuleFiles([`${directory}/rules.yml`], systemFiles, ours)
    if (code !== theirs.code)
      differences.push(
        `${JSON.stringify(text)}\n  promtool: ${theirs.code} ${theirs.text.slice(0, 300)}\n` +
          `  tercet: ${code} ${ours.lines.join(' ').slice(0, 300)}`,
      )
  }
  assert.deepEqual(differences, [])
})

const unitRules = `groups:
- name: example
  rules:
  - alert: InstanceDown
    expr: up == 0
    for: 5m
    labels: { severity: page, owner: '{{ $labels.job }}-team' }
    annotations:
      summary: 'Instance {{ $labels.instance }} down, value {{ $value }}'
      text: '{{ humanize 1234567.0 }} {{ humanize1024 1048576.0 }} {{ humanizeDuration 93784.5 }}
          {{ humanizeDuration 0.0012 }} {{ humanizePercentage 0.1234 }} {{ humanizeTimestamp 1435065584.128 }}
          {{ 1.5 | printf "%.3f" }} {{ "aXbX" | reReplaceAll "X" "-" }} {{ title "some words" }} {{ toUpper "x" }}
          {{ stripPort "h:1" }} {{ stripDomain "h.example.com:1" }} {{ graphLink "up == 0" }}
          {{ parseDuration "1h2m" }} {{ match "a.c" "xabcx" }} {{ $externalLabels.region }} {{ .ExternalURL }}'
      others: '{{ range query "up" | sortByLabel "instance" }}{{ .Labels.instance }}={{ .Value }};{{ end }}{{
          query "sum(up)" | first | value }} {{ with query "absent_thing" }}{{ . }}{{ else }}none{{ end }}
          {{ query "up" | first | label "job" }} {{ $labels.missing }}|'
  - alert: Keeps
    expr: flap > 0
    keep_firing_for: 3m
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: { from: rule }
  - alert: Slow
    expr: job:up:sum > 1
    for: 1m
- name: second
  limit: 1
  labels: { group: g, severity: none }
  rules:
  - record: twice
    expr: up * 2
  - alert: Limited
    expr: up > 0
    labels: { severity: own }
- name: histograms
  rules:
  - record: h:rate
    expr: rate(h[2m])
`
const unitTest = (tests: string, more = ''): string =>
  `rule_files: [unit-rules.yml]\nevaluation_interval: 1m\n${more}tests:\n${tests}`
const series = `    input_series:
    - { series: 'up{job="p", instance="a:1"}', values: '0x4 0 0 0 1 0x10' }
    - { series: 'up{job="p", instance="b:1"}', values: '1+0x20' }
    - { series: 'flap', values: '0 1 0 0 0 0 0 1 stale _x3 2' }
    - { series: 'h', values: '{{schema:0 sum:1 count:2 buckets:[1 1]}}+{{sum:1 count:2 buckets:[1 1]}}x10' }
`
const text =
  '1.235M 1Mi 1d 2h 3m 4s 1.2ms 12.34% 2015-06-23 13:19:44.128 +0000 UTC 1.500 a-b- Some Words X h h:1 ' +
  '/graph?g0.expr=up+%3D%3D+0&g0.tab=0 3720 true eu http://ext'
const head = (name: string): string =>
  `  - name: ${name}\n    interval: 1m\n    external_labels: { region: eu }\n    external_url: http://ext\n${series}`
const unitTests: [string, string][] = [
  [
    'an alert that fires',
    unitTest(`${head('one')}    alert_rule_test:
    - eval_time: 5m
      alertname: InstanceDown
      exp_alerts:
      - exp_labels: { severity: page, owner: p-team, job: p, instance: 'a:1' }
        exp_annotations: { summary: 'Instance a:1 down, value 0', text: '${text}', others: 'a:1=0;b:1=1;1 none p |' }
    - { eval_time: 4m, alertname: InstanceDown }
    - { eval_time: 8m, alertname: InstanceDown }
    - { eval_time: 4m30s, alertname: InstanceDown }
    - { eval_time: 3m, alertname: Keeps, exp_alerts: [{}] }
    - { eval_time: 4m, alertname: Keeps, exp_alerts: [{}] }
    - { eval_time: 5m, alertname: Keeps }
    - { eval_time: 20m, alertname: Absent }
`),
  ],
  [
    'a wrong label',
    unitTest(
      `${head('two')}    alert_rule_test: [{ eval_time: 5m, alertname: InstanceDown, ` +
        'exp_alerts: [{ exp_labels: { severity: none } }] }]\n',
    ),
  ],
  [
    'an alert that should not fire',
    unitTest(`${head('three')}    alert_rule_test: [{ eval_time: 5m, alertname: InstanceDown }]\n`),
  ],
  [
    'expressions',
    unitTest(`${head('four')}    promql_expr_test:
    - { expr: 'job:up:sum', eval_time: 2m, exp_samples: [{ labels: 'job:up:sum{job="p", from="rule"}', value: 1 }] }
    - { expr: 'up == 0', eval_time: 2m, exp_samples: [{ labels: 'up{job="p", instance="a:1"}', value: 0 }] }
    - { expr: 'count_over_time(flap[20m])', eval_time: 20m, exp_samples: [{ labels: '{}', value: 9 }] }
    - { expr: 'absent_thing', eval_time: 1m }
    - { expr: '1 + 1', eval_time: 1m, exp_samples: [{ value: 2 }] }
    - { expr: 'twice', eval_time: 3m }
    - { expr: 'histogram_count(h)', eval_time: 3m, exp_samples: [{ labels: '{}', value: 8 }] }
    - { expr: 'h', eval_time: 1m, exp_samples: [{ labels: 'h',
        histogram: '{{schema:0 sum:2 count:4 buckets:[2 2]}}' }] }
    - { expr: 'ALERTS{alertname="InstanceDown"}', eval_time: 4m,
        exp_samples: [{ value: 1, labels: 'ALERTS{alertname="InstanceDown",alertstate="pending",
          instance="a:1",job="p",owner="p-team",severity="page"}' }] }
`),
  ],
  [
    'a wrong value',
    unitTest(
      `${head('five')}    promql_expr_test: [{ expr: 'sum(up)', eval_time: 2m, exp_samples: [{ value: 5 }] }]\n`,
    ),
  ],
  [
    'almost, and exactly',
    unitTest(
      `${head('six')}    promql_expr_test: [{ expr: '0.1 + 0.2', eval_time: 0m, exp_samples: [{ value: 0.3 }] }]\n`,
    ),
  ],
  [
    'almost is enough',
    unitTest(
      `${head('seven')}    promql_expr_test: [{ expr: '0.1 + 0.2', eval_time: 0m, exp_samples: [{ value: 0.3 }] }]\n`,
      'fuzzy_compare: true\n',
    ),
  ],
  ['a query that is wrong', unitTest(`${head('eight')}    promql_expr_test: [{ expr: 'sum(', eval_time: 0m }]\n`)],
  ['series that are wrong', unitTest('  - input_series: [{ series: "a{", values: "1" }]\n')],
  ['values that are wrong', unitTest('  - input_series: [{ series: "a", values: "1 what" }]\n')],
  [
    'a histogram that is invalid',
    unitTest('  - input_series: [{ series: a, values: "{{schema:0 count:1 sum:1 buckets:[-1]}}" }]\n'),
  ],
  ['an unknown key', unitTest('  - { input: [] }\n')],
  ['no rule file', 'rule_files: [nowhere.yml]\ntests: []\n'],
  [
    'an order of groups',
    unitTest(
      `${head('nine')}    promql_expr_test: [{ expr: 'twice', eval_time: 0m }]\n`,
      'group_eval_order: [second, example]\n',
    ),
  ],
]

test('promtool test rules and ours end alike', needs('promtool'), async () => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    `${directory}/unit-rules.yml`,
    unitRules
      .replace('  - record: twice\n    expr: up * 2\n', '  - record: twice\n    expr: up{instance="none"} * 2\n')
      .replace('expr: up > 0\n', 'expr: up{instance="b:1"} > 0\n'),
  )
  const differences: string[] = []
  let good = 0
  for (const [name, content] of unitTests) {
    writeFileSync(`${directory}/tests.yml`, content)
    const theirs = await promtool(['test', 'rules', 'tests.yml'])
    const ours = collect()
    const code = await runRuleTests([`${directory}/tests.yml`], systemFiles, [], ours)
    if (code === 0) good++
    if (code !== theirs.code)
      differences.push(
        `${name}\n  promtool: ${theirs.code} ${theirs.text.slice(0, 1500)}\n` +
          `  tercet: ${code} ${ours.lines.join('\n').slice(0, 1500)}`,
      )
  }
  assert.deepEqual(differences, [])
  assert.ok(good >= 3, `${good} good`)
})
