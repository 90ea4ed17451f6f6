/**
 * A real Prometheus and Tercet with one prometheus.yml over the same exporters: the same series, the same target
 * states. Covers req-018, req-033, req-064, req-119.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { mkdirSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { urlOf } from '../url.ts'
import { needs, Peer } from '../peers.ts'
import { until } from '../until.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { listening } from '../listening.ts'
import { freePort } from '../free-port.ts'

const text = `# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="get",code="200"} 1027
http_requests_total{method="post",code="200",path="C:\\\\DIR\\\\\\"x\\"\\nend"} 3 
# TYPE latency histogram
latency_bucket{le="0.1"} 2
latency_bucket{le="1"} 5
latency_bucket{le="+Inf"} 6
latency_sum 7.5e-1
latency_count 6
# TYPE pause summary
pause{quantile="0.5"} 0.2
pause{quantile="1"} NaN
pause_sum 1
pause_count 2
untyped_thing 0x1p-2
instance_of{instance="mine",job="own",exported_job="taken"} 1
utf8 {a="ü",b=""} +Inf
drop_me{a="1"} 1
keep_label{secret="s",a="1"} -Inf
`.replace('untyped_thing 0x1p-2\n', '')
const openMetrics = `# TYPE jobs counter
# UNIT jobs_seconds seconds
jobs_total{kind="a"} 5 # {trace_id="abc"} 1.5 1700000000.5
jobs_created{kind="a"} 1700000000
# TYPE up_to info
up_to_info{version="1"} 1
{"quoted.metric",region="eu"} 2
# EOF
`
interface Exporter {
  type: string
  body: () => string
  status?: number
}
const exporters: Record<string, Exporter> = {
  text: { type: 'text/plain; version=0.0.4', body: () => text },
  om: { type: 'application/openmetrics-text; version=1.0.0; charset=utf-8', body: () => openMetrics },
  unfinished: { type: 'application/openmetrics-text; version=1.0.0', body: () => 'a 1\n' },
  wrong: { type: 'text/plain', body: () => 'good 1\nbad{ 2\n' },
  broken: { type: 'text/plain', body: () => 'good 1\n', status: 500 },
  untyped: { type: '', body: () => 'good 1\n' },
  page: { type: 'text/html', body: () => '<html>' },
  many: { type: 'text/plain', body: () => Array.from({ length: 20 }, (_, i) => `many{i="${i}"} 1\n`).join('') },
  large: { type: 'text/plain', body: () => `# ${'x'.repeat(20_000)}\nlarge 1\n` },
  long: { type: 'text/plain', body: () => `long{name="${'v'.repeat(100)}"} 1\n` },
  changing: { type: 'text/plain', body: () => `steady 1\nchanging{at="${Math.floor(Date.now() / 1000)}"} 1\n` },
}
const directory = temporaryDirectory()
let server: Server
let run: Running
let peer: Peer
let peerUrl = ''
let port = 0
const config = (extra = ''): string => `
global: { scrape_interval: 1s, scrape_timeout: 500ms, external_labels: { region: test } }
scrape_configs:
  - job_name: all
    metrics_path: /text
    params: { module: [a, b] }
    static_configs: [{ targets: ['127.0.0.1:${port}'], labels: { env: prod } }]
    metric_relabel_configs:
      - { source_labels: [__name__], regex: drop_.*, action: drop }
      - { regex: secret, action: labeldrop }
  - job_name: honest
    honor_labels: true
    metrics_path: /text
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
  - job_name: by-file
    file_sd_configs: [{ files: ['targets/*.json'] }]
    relabel_configs:
      - { source_labels: [__meta_path], target_label: __metrics_path__ }
      - { source_labels: [__meta_path], regex: /(.*), target_label: which, replacement: 'x-$1' }
      - { source_labels: [__meta_skip], regex: 'yes', action: drop }
      - { source_labels: [__address__], modulus: 7, target_label: shard, action: hashmod }
      - { regex: __meta_lift_(.+), action: labelmap }
  - { job_name: limited, metrics_path: /many, sample_limit: 5, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: small, metrics_path: /large, body_size_limit: 1KB,
      static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: short, metrics_path: /long, label_value_length_limit: 20,
      static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: fallback, metrics_path: /untyped, fallback_scrape_protocol: PrometheusText0.0.4,
      static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: nobody, static_configs: [{ targets: ['127.0.0.1:1'] }] }
  - { job_name: crowd, target_limit: 1, static_configs: [{ targets: ['127.0.0.1:${port}', 'localhost:${port}'] }] }
${extra}`

before(async () => {
  server = createServer((request, reply) => {
    const exporter = exporters[new URL(request.url!, 'http://x').pathname.slice(1)]
    if (exporter === undefined) {
      reply.writeHead(404).end()
      return
    }
    reply
      .writeHead(exporter.status ?? 200, exporter.type === '' ? {} : { 'content-type': exporter.type })
      .end(exporter.body())
  })
  port = await listening(server)
  mkdirSync(`${directory}/targets`)
  const groups = ['om', 'unfinished', 'wrong', 'broken', 'untyped', 'page', 'changing', 'absent'].map(name => ({
    targets: [`127.0.0.1:${port}`],
    labels: { __meta_path: `/${name}`, __meta_lift_team: 'core', __meta_skip: name === 'absent' ? 'yes' : 'no' },
  }))
  writeFileSync(`${directory}/targets/all.json`, JSON.stringify(groups))
  writeFileSync(`${directory}/prometheus.yml`, config())
  run = await runTercet([`scrape_config_file=${directory}/prometheus.yml`], directory)
})
after(async () => {
  await peer?.stop()
  await run.stop()
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

interface TargetJson {
  scrapePool: string
  scrapeUrl: string
  health: string
  labels: Record<string, string>
  discoveredLabels: Record<string, string>
  lastError: string
}
const targetsOf = async (
  url: string,
): Promise<{ activeTargets: TargetJson[]; droppedTargets: { discoveredLabels: Record<string, string> }[] }> =>
  (
    (await (await fetch(`${url}/api/v1/targets`)).json()) as {
      data: { activeTargets: TargetJson[]; droppedTargets: { discoveredLabels: Record<string, string> }[] }
    }
  ).data
async function query(url: string, q: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
  return (
    (await (await fetch(urlOf(url, '/api/v1/query', { query: q }))).json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
  ).data.result
}

test('a real Prometheus has the same series, values and target states', needs('prometheus'), async () => {
  const peerPort = await freePort()
  peerUrl = `http://127.0.0.1:${peerPort}`
  peer = new Peer(
    'prometheus',
    [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/peer`,
      `--web.listen-address=127.0.0.1:${peerPort}`,
      '--enable-feature=exemplar-storage',
    ],
    directory,
  )
  await peer.ready(`${peerUrl}/-/ready`)
  const urls = [run.url, peerUrl]
  for (const url of urls)
    await until(
      async () => {
        const { activeTargets } = await targetsOf(url)
        return activeTargets.length === 16 && activeTargets.every(t => t.health !== 'unknown') ? true : undefined
      },
      `targets of ${url}: ${JSON.stringify((await targetsOf(url)).activeTargets.map(t => [t.scrapePool, t.health]))}`,
      20,
    )
  const [ours, theirs] = await Promise.all(urls.map(targetsOf))
  const view = (targets: TargetJson[]): unknown =>
    targets
      .map(t => ({
        pool: t.scrapePool,
        url: t.scrapeUrl,
        health: t.health,
        labels: t.labels,
        discovered: t.discoveredLabels,
      }))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  assert.deepEqual(view(ours!.activeTargets), view(theirs!.activeTargets))
  assert.deepEqual(
    ours!.droppedTargets.map(t => t.discoveredLabels),
    theirs!.droppedTargets.map(t => t.discoveredLabels),
  )
  for (const target of ours!.activeTargets)
    assert.equal(target.lastError === '', target.health === 'up', target.scrapeUrl)
  // Series by series; what changes with the moment by its presence.
  const all = async (url: string): Promise<Map<string, string>> =>
    new Map(
      (
        await query(
          url,
          '{__name__!="", __name__!~"changing|prometheus_.*|scrape_duration_seconds|scrape_series_added"}',
        )
      ).map(({ metric, value }) => [JSON.stringify(Object.entries(metric).sort()), value[1]]),
    )
  assert.deepEqual([...(await all(run.url))].sort(), [...(await all(peerUrl))].sort())
  // A series that is not there any more is stale at once, in both.
  for (const url of urls) assert.equal((await query(url, 'changing')).length, 1, url)
  const exemplars = async (url: string): Promise<unknown> =>
    (
      (await (
        await fetch(`${url}/api/v1/query_exemplars?query=jobs_total&start=1600000000&end=1900000000`)
      ).json()) as { data: unknown[] }
    ).data
  assert.deepEqual(await exemplars(run.url), await exemplars(peerUrl))
  const metadata = async (url: string, metric: string): Promise<unknown> =>
    ((await (await fetch(`${url}/api/v1/metadata?metric=${metric}`)).json()) as { data: unknown }).data
  for (const metric of ['http_requests_total', 'latency', 'pause'])
    assert.deepEqual(await metadata(run.url, metric), await metadata(peerUrl, metric))
})

test('targets change, one goes, the configuration is reloaded: as it says; a wrong one changes nothing', async () => {
  await until(
    async () => ((await query(run.url, 'good{job="fallback"}')).length === 1 ? true : undefined),
    'the first scrape',
  )
  writeFileSync(`${directory}/targets/all.json`, '[{"targets": [')
  writeFileSync(`${directory}/prometheus.yml`, config().replace('job_name: fallback', 'job_name: renamed'))
  assert.equal((await fetch(`${run.url}/-/reload`, { method: 'POST' })).status, 200)
  await until(
    async () => ((await query(run.url, 'good{job="renamed"}')).length === 1 ? true : undefined),
    'the new job',
  )
  await until(
    async () => ((await query(run.url, '{job="fallback"}')).length === 0 ? true : undefined),
    "the old job's series are stale",
  )
  assert.equal((await query(run.url, 'jobs_total')).length, 1)
  writeFileSync(`${directory}/prometheus.yml`, config('  - { job_name: x, scrape_intervall: 1s }\n'))
  const reply = await fetch(`${run.url}/-/reload`, { method: 'POST' })
  assert.equal(reply.status, 400)
  assert.match(await reply.text(), /prometheus\.yml:\d+:\d+: scrape_configs\[9\]\.scrape_intervall: unknown key/)
  assert.ok((await targetsOf(run.url)).activeTargets.some(t => t.scrapePool === 'renamed'))
  assert.match(await (await fetch(`${run.url}/targets`)).text(), /renamed/)
  assert.match(await (await fetch(`${run.url}/service-discovery`)).text(), /__meta_path/)
  assert.deepEqual(
    ((await (await fetch(`${run.url}/api/v1/scrape_pools`)).json()) as { data: { scrapePools: string[] } }).data
      .scrapePools,
    ['all', 'by-file', 'crowd', 'honest', 'limited', 'nobody', 'renamed', 'short', 'small'],
  )
})

test(
  'native histograms in protobuf, with their classic buckets: as a real Prometheus takes them',
  needs('prometheus'),
  async () => {
    // A body with native histograms, as a real client library writes it.
    const sourcePort = await freePort()
    const own = temporaryDirectory()
    writeFileSync(
      `${own}/source.yml`,
      'global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: self, static_configs: [{ targets: ["127.0.0.1:' +
        sourcePort +
        '"] }] }]',
    )
    const source = new Peer(
      'prometheus',
      [
        `--config.file=${own}/source.yml`,
        `--storage.tsdb.path=${own}/source`,
        `--web.listen-address=127.0.0.1:${sourcePort}`,
      ],
      own,
    )
    let body: Uint8Array<ArrayBuffer>
    try {
      await source.ready(`http://127.0.0.1:${sourcePort}/-/ready`)
      for (let i = 0; i < 30; i++) await (await fetch(`http://127.0.0.1:${sourcePort}/api/v1/query?query=up`)).text()
      body = new Uint8Array(
        await (
          await fetch(`http://127.0.0.1:${sourcePort}/metrics`, {
            headers: {
              accept: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
            },
          })
        ).arrayBuffer(),
      )
    } finally {
      await source.stop()
    }
    const exporter = createServer((_, reply) => {
      reply
        .writeHead(200, {
          'content-type':
            'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
        })
        .end(body)
    })
    await listening(exporter)
    const target = `127.0.0.1:${(exporter.address() as { port: number }).port}`
    for (const isClassicToo of [false, true]) {
      const dir = temporaryDirectory()
      const peerPort = await freePort()
      const job = (more: string): string =>
        'global: { scrape_interval: 1s }\n' +
        'scrape_configs: [{ job_name: n, scrape_protocols: [PrometheusProto], ' +
        `${more} always_scrape_classic_histograms: ${isClassicToo}, ` +
        `static_configs: [{ targets: ['${target}'] }] }]`
      writeFileSync(`${dir}/ours.yml`, job('scrape_native_histograms: true,'))
      // In this version a flag, not a key.
      writeFileSync(`${dir}/theirs.yml`, job(''))
      const ours = await runTercet([`scrape_config_file=${dir}/ours.yml`], dir)
      const theirs = new Peer(
        'prometheus',
        [
          `--config.file=${dir}/theirs.yml`,
          `--storage.tsdb.path=${dir}/peer`,
          `--web.listen-address=127.0.0.1:${peerPort}`,
          '--enable-feature=native-histograms',
        ],
        dir,
      )
      try {
        const url = `http://127.0.0.1:${peerPort}`
        await theirs.ready(`${url}/-/ready`)
        for (const at of [ours.url, url])
          await until(
            async () => ((await query(at, 'up{job="n"}'))[0]?.value[1] === '1' ? true : undefined),
            `a scrape by ${at}`,
          )
        const all = async (at: string, q: string): Promise<unknown[]> =>
          (await query(at, q))
            .map(s =>
              JSON.stringify([
                Object.entries(s.metric).sort(),
                s.value?.[1],
                (s as unknown as { histogram?: [number, unknown] }).histogram?.[1],
              ]),
            )
            .sort()
        const natives = await all(ours.url, 'prometheus_http_request_duration_seconds')
        assert.ok(natives.length > 0 && natives.every(n => String(n).includes('buckets')))
        for (const q of [
          '{__name__!~"scrape_duration_seconds|scrape_series_added|up", job="n"}',
          'histogram_quantile(0.9, prometheus_http_request_duration_seconds)',
          'histogram_sum(prometheus_http_response_size_bytes)',
        ])
          assert.deepEqual(await all(ours.url, q), await all(url, q), q)
      } finally {
        await theirs.stop()
        await ours.stop()
      }
    }
    await new Promise(resolve => {
      exporter.close(resolve)
      exporter.closeAllConnections()
    })
  },
)

test(
  'classic histograms as native ones with custom buckets: as a real Prometheus makes them',
  needs('prometheus'),
  async () => {
    const classic = (labels: string, counts: readonly [string, number][], more = ''): string =>
      `${counts.map(([le, count]) => `h_bucket{${labels}le="${le}"} ${count}\n`).join('')}${more}`
    const text = `# HELP h a histogram
# TYPE h histogram
${classic(
  'a="1",',
  [
    ['0.1', 2],
    ['1', 5],
    ['10.5', 5],
    ['+Inf', 9],
  ],
  'h_sum{a="1"} 12.5\nh_count{a="1"} 9\n',
)}${classic(
      'a="2",',
      [
        ['0.1', 2],
        ['1', 4],
      ],
      'h_sum{a="2"} 1\nh_count{a="2"} 7\n',
    )}${classic(
      'a="3",',
      [
        ['1', 0.5],
        ['+Inf', 1.5],
      ],
      'h_sum{a="3"} 1\nh_count{a="3"} 1.5\n',
    )}${classic(
      'a="4",',
      [
        ['1', 5],
        ['2', 3],
        ['+Inf', 8],
      ],
      'h_sum{a="4"} 1\nh_count{a="4"} 8\n',
    )}${classic(
      'a="5",',
      [
        ['1', 5],
        ['+Inf', 8],
      ],
      'h_sum{a="5"} 1\n',
    )}${classic('a="6",', [['+Inf', 3]], 'h_sum{a="6"} 1\nh_count{a="6"} 3\n')}h_sum{a="7"} 3
h_count{a="7"} 2
${classic(
  'a="8",',
  [
    ['-1', 1],
    ['0', 1],
    ['1', 1],
    ['+Inf', 1],
  ],
  'h_sum{a="8"} -5\nh_count{a="8"} 1\n',
)}# TYPE g gauge
g_bucket{le="1"} 4
g_count 5
untyped_bucket{le="1"} 3
untyped_count 3
# TYPE q summary
q{quantile="0.5"} 1
q_sum 4
q_count 4
`
    const open = `# TYPE h histogram\n${classic('a="1",', [
      ['0.1', 2],
      ['1', 5],
    ])}h_bucket{a="1",le="+Inf"} 9 # {trace_id="t"} 0.5 1700000000
h_sum{a="1"} 12.5
h_count{a="1"} 9
h_created{a="1"} 1
# TYPE c counter
c_total 1
c_created 2
# TYPE made_created gauge
made_created 5
# EOF
`
    const exporter = createServer((request, reply) => {
      const isOpen = request.url === '/open'
      reply
        .writeHead(200, {
          'content-type': isOpen ? 'application/openmetrics-text; version=1.0.0' : 'text/plain; version=0.0.4',
        })
        .end(isOpen ? open : text)
    })
    await listening(exporter)
    after(() => {
      exporter.close()
      exporter.closeAllConnections()
    })
    const target = `127.0.0.1:${(exporter.address() as { port: number }).port}`
    for (const isClassicToo of [false, true]) {
      const dir = temporaryDirectory()
      const peerPort = await freePort()
      const job = (path: string): string =>
        `{ job_name: ${path}, metrics_path: /${path}, convert_classic_histograms_to_nhcb: true, ` +
        `always_scrape_classic_histograms: ${isClassicToo}, static_configs: [{ targets: ['${target}'] }] }`
      writeFileSync(`${dir}/p.yml`, `global: { scrape_interval: 1s }\nscrape_configs: [${job('text')}, ${job('open')}]`)
      const ours = await runTercet([`scrape_config_file=${dir}/p.yml`], dir)
      const theirs = new Peer(
        'prometheus',
        [
          `--config.file=${dir}/p.yml`,
          `--storage.tsdb.path=${dir}/peer`,
          `--web.listen-address=127.0.0.1:${peerPort}`,
          '--enable-feature=native-histograms',
        ],
        dir,
      )
      try {
        const url = `http://127.0.0.1:${peerPort}`
        await theirs.ready(`${url}/-/ready`)
        // Two scrapes: the second one finds its series by their text.
        for (const at of [ours.url, url])
          await until(
            async () => ((await query(at, 'min(count_over_time(up[1m]))'))[0]?.value[1] ?? '0') >= '3' || undefined,
            `scrapes by ${at}`,
          )
        const all = async (at: string, q: string): Promise<unknown[]> =>
          (await query(at, q))
            .map(s =>
              JSON.stringify([
                Object.entries(s.metric).sort(),
                s.value?.[1],
                (s as unknown as { histogram?: [number, unknown] }).histogram?.[1],
              ]),
            )
            .sort()
        const natives = await all(ours.url, 'h')
        assert.ok(natives.length >= 6 && natives.every(n => String(n).includes('buckets')), natives.join('\n'))
        for (const q of [
          '{__name__!~"scrape_duration_seconds|scrape_series_added|up", job=~".+"}',
          'histogram_quantile(0.6, h)',
          'histogram_fraction(0, 1, h)',
          'scrape_samples_scraped',
        ])
          assert.deepEqual(await all(ours.url, q), await all(url, q), `${q}, classic too: ${isClassicToo}`)
      } finally {
        await theirs.stop()
        await ours.stop()
      }
    }
  },
)
