/** prometheus.yml: defaults, inheritance from `global`, and refusals with places. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { readPrometheusConfig, type PrometheusConfig } from './config.ts'

const read = (text: string, env = {}, more: { file: string; text: string }[] = []): PrometheusConfig =>
  readPrometheusConfig(text, 'p.yml', { env }, more)

test('a job takes from `global` what it does not set; a timeout is never longer than its interval', () => {
  const { jobs, externalLabels } = read(
    `
global: { scrape_interval: 20s, sample_limit: 5, external_labels: { region: '\${R}-$Z-$$x' } }
scrape_configs:
  - { job_name: a }
  - { job_name: b, scrape_interval: 5s, sample_limit: 0, body_size_limit: 1MB, honor_labels: true,
      params: { m: [x, y] } }
`,
    { R: 'eu' },
  )
  const shown = jobs.map(j => [j.intervalMs, j.timeoutMs, j.sampleLimit, j.bodySizeLimit, j.honorLabels, j.params])
  assert.deepEqual(shown, [
    [20_000, 10_000, 5, 0, false, []],
    [5000, 5000, 0, 1 << 20, true, [['m', ['x', 'y']]]],
  ])
  assert.deepEqual(externalLabels, [['region', 'eu--$x']])
})

test('native histograms are asked for in protobuf first', () => {
  const [job] = read('scrape_configs: [{ job_name: a, scrape_native_histograms: true }]').jobs
  assert.equal(job?.protocols[0], 'PrometheusProto')
})

test('jobs of scrape_config_files are jobs like the others, with places in their own file', () => {
  const own = { file: 'more.yml', text: 'scrape_configs: [{ job_name: b }]' }
  assert.deepEqual(
    read('scrape_configs: [{ job_name: a }]', {}, [own]).jobs.map(j => j.jobName),
    ['a', 'b'],
  )
  const wrong = { file: 'more.yml', text: 'scrape_configs:\n  - { job_name: "" }' }
  assert.throws(() => read('', {}, [wrong]), /^(BadDataError: )?more\.yml:2:\d+: .*job_name is empty/)
})

test('every discovery is read with its defaults; unsupported ones are named', () => {
  const { jobs, warnings } = read(`
scrape_configs:
  - job_name: a
    static_configs: [{ targets: ['h:1'], labels: { l: v } }]
    file_sd_configs: [{ files: ['*.json'] }]
    http_sd_configs: [{ url: 'http://x/sd' }]
    dns_sd_configs: [{ names: [n] }]
    kubernetes_sd_configs: [{ role: pod, namespaces: { names: [n] } }]
    docker_sd_configs: [{ host: 'unix:///d' }]
    consul_sd_configs: [{}]
    ec2_sd_configs: [{}]
`)
  const found = jobs[0]?.discoveries ?? []
  assert.deepEqual(
    found.map(d => [d.kind, 'refreshMs' in d ? d.refreshMs : 0]),
    [
      ['static', 0],
      ['file', 300_000],
      ['http', 60_000],
      ['dns', 30_000],
      ['kubernetes', 0],
      ['docker', 60_000],
      ['consul', 30_000],
    ],
  )
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /scrape config "a": ec2_sd_configs is not supported/)
})

test('a remote has the defaults of its queue', () => {
  const [remote] = read("remote_write: [{ url: 'http://r/w', queue_config: { max_shards: 3 } }]").remoteWrite
  assert.deepEqual(
    [remote?.queue.maxShards, remote?.queue.minBackoffMs, remote?.queue.maxBackoffMs, remote?.timeoutMs],
    [3, 30, 5000, 30_000],
  )
  assert.equal(remote?.protobufMessage, 'prometheus.WriteRequest')
})

const job = (text: string): string => `scrape_configs:\n  - { job_name: a, ${text} }\n`
const remote = (text: string): string => `remote_write:\n  - { ${text} }\n`
const refusals: readonly (readonly [string, RegExp])[] = [
  ['scrape_configs: [{}]', /job_name is empty/],
  ['scrape_configs: [{ job_name: a }, { job_name: a }]', /found multiple scrape configs with job name "a"/],
  ['global: { scrape_interval: 1s, scrape_timeout: 2s }', /global scrape timeout greater than scrape interval/],
  [job('scrape_interval: 1s, scrape_timeout: 2s'), /^p\.yml:2:\d+: .*scrape timeout greater than scrape interval/],
  [job('scrape_protocols: [Smoke]'), /unknown scrape protocol Smoke/],
  [job('scrape_protocols: [PrometheusProto, PrometheusProto]'), /duplicated protocol/],
  [job('fallback_scrape_protocol: Smoke'), /invalid fallback_scrape_protocol: Smoke/],
  [job('nosuch: 1'), /^p\.yml:2:\d+: .*nosuch/],
  [job('relabel_configs: [{ action: paint }]'), /paint/],
  [job('relabel_configs: [{ regex: "(" }]'), /^p\.yml:2:\d+: /],
  [job('static_configs: [{ targets: ["http://h:1/x"] }]'), /"http:\/\/h:1\/x" is not a valid hostname/],
  [job('file_sd_configs: [{}]'), /must contain at least one path name/],
  [job('file_sd_configs: [{ files: [a.txt] }]'), /path name "a\.txt" is not valid/],
  [job('http_sd_configs: [{}]'), /URL is missing/],
  [job('http_sd_configs: [{ url: "ftp://x" }]'), /URL scheme must be/],
  [job('dns_sd_configs: [{}]'), /at least one SRV record name/],
  [job('dns_sd_configs: [{ names: [n], type: TXT }]'), /invalid DNS-SD records type TXT/],
  [job('dns_sd_configs: [{ names: [n], type: A }]'), /a port is required/],
  [job('kubernetes_sd_configs: [{}]'), /role missing \(one of: node, pod/],
  [job('kubernetes_sd_configs: [{ role: pod, namespaces: { names: ["../../x"] } }]'), /"..\/..\/x" is not the name/],
  [job('kubernetes_sd_configs: [{ role: dog }]'), /unknown Kubernetes SD role "dog"/],
  [job('kubernetes_sd_configs: [{ role: pod, kubeconfig_file: k, api_server: "http://x" }]'), /simultaneously/],
  [job('kubernetes_sd_configs: [{ role: pod, kubeconfig_file: k, proxy_url: "http://x" }]'), /custom HTTP client/],
  [job('kubernetes_sd_configs: [{ role: pod, selectors: [{ role: dog }] }]'), /invalid role "dog" in selectors/],
  [job('docker_sd_configs: [{}]'), /host missing/],
  [remote('url: nowhere'), /^p\.yml:2:\d+: .*URL scheme/],
  [remote('url: "http://r", protobuf_message: x'), /unknown remote write protobuf message x/],
  [remote('url: "http://r", headers: { Authorization: x }'), /authorization header must be changed via/],
  [remote('url: "http://r", headers: { Host: x }'), /host is a reserved header/],
  ['remote_write: [{ url: "http://a", name: n }, { url: "http://b", name: n }]', /multiple remote write configs/],
  ['alerting: { alertmanagers: [{ api_version: v1 }] }', /Alertmanager api version/],
]
for (const [text, message] of refusals)
  test(`refused: ${text.replaceAll(/\s+/g, ' ')}`, () => {
    assert.throws(
      () => read(text),
      (error: unknown) => error instanceof BadDataError && message.test(error.message),
    )
  })

test('settings that are taken and not carried out are named, with their places', () => {
  const { warnings } = read(`
global: { query_log_file: q.log }
storage: { tsdb: { out_of_order_time_window: 5m } }
scrape_configs:
  - job_name: a
    scrape_failure_log_file: f.log
    proxy_connect_header: { a: [b] }
    consul_sd_configs: [{ username: u, password: p }]
remote_write: [{ url: 'http://r/w', sigv4: {}, azuread: { a: b } }]
`)
  const named = warnings.map(
    warning => /^p\.yml:\d+:\d+: (\S+): this setting is taken and not carried out/.exec(warning)?.[1],
  )
  assert.deepEqual(named.sort(), [
    'global.query_log_file',
    'remote_write[0].azuread',
    'remote_write[0].sigv4',
    'scrape_configs[0].consul_sd_configs[0].password',
    'scrape_configs[0].consul_sd_configs[0].username',
    'scrape_configs[0].proxy_connect_header',
    'scrape_configs[0].scrape_failure_log_file',
    'storage',
  ])
})

test('which names a job takes: its own scheme, or the global one; utf8 is not asked for where it is not taken', () => {
  const namesOf = (global: string, job = ''): unknown[] => {
    const [only] = read(`global: { ${global} }\nscrape_configs: [{ job_name: a, ${job} }]`).jobs
    return [only?.nameValidation, only?.nameEscaping]
  }
  const legacy = 'metric_name_validation_scheme: legacy'
  assert.deepEqual(namesOf(''), ['utf8', 'allow-utf-8'])
  assert.deepEqual(namesOf(legacy), ['legacy', 'underscores'])
  assert.deepEqual(namesOf(legacy, 'metric_name_validation_scheme: utf8'), ['utf8', 'underscores'])
  assert.deepEqual(namesOf('metric_name_escaping_scheme: dots', legacy), ['legacy', 'dots'])
  for (const [global, job] of [
    [`${legacy}, metric_name_escaping_scheme: allow-utf-8`, ''],
    ['', `${legacy}, metric_name_escaping_scheme: allow-utf-8`],
    ['', legacy],
  ] as const)
    assert.throws(() => namesOf(global, job), /utf8 metric names requested but validation scheme is not set to UTF8/)
  assert.throws(() => namesOf('metric_name_validation_scheme: ascii'), /unknown global name validation method.*ascii/)
  assert.throws(
    () => namesOf('', 'metric_name_escaping_scheme: hex'),
    /unknown scrape config name escaping method.*hex/,
  )
})

test('an alias without an anchor is refused, not taken for nothing, and not shown', () => {
  const text = 'scrape_configs:\n- job_name: a\n  basic_auth: { username: a, password: *hunter2 }\n'
  assert.throws(
    () => readPrometheusConfig(text, 'p.yml', { env: {} }),
    (error: unknown) => {
      assert.ok(error instanceof BadDataError)
      assert.match(error.message, /^p\.yml:3:40: an alias without an anchor; a text that begins with \* needs quotes$/)
      return true
    },
  )
})
