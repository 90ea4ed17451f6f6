/**
 * The agent: scrapes and what is pushed reach the remotes, relabelled, over outages and restarts; log files of pods;
 * exporters that misbehave. Covers req-033, req-064, req-099, req-155.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { silentLog } from '#core/log.ts'
import { urlOf } from '../url.ts'
import { startTercet, type Tercet } from '../../src/app/tercet.ts'
import { loadConfig } from '../../src/app/config.ts'
import { systemWorld } from '../../src/app/world.ts'
import { needs, Peer } from '../peers.ts'
import { until } from '../until.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { listening } from '../listening.ts'
import { freePort } from '../free-port.ts'

const directory = temporaryDirectory()
let server: Server
let port = 0
let run: Running
let agent: Tercet
let storePort = 0
let scrapes = 0
const start = (own = directory, flags: string[] = []): Promise<Tercet> =>
  startTercet(
    loadConfig({
      environment: {},
      flags: [
        'role=agent',
        'listen.http=127.0.0.1:0',
        'listen.otlp_http=off',
        `data_dir=${own}/agent-data`,
        `scrape_config_file=${own}/prometheus.yml`,
        `agent.loki=http://127.0.0.1:${storePort}/loki/api/v1/push`,
        `agent.otlp=http://127.0.0.1:${storePort}`,
        `agent.log_directory=${own}/pods`,
        ...flags,
      ],
    }),
    systemWorld(silentLog),
  )

before(async () => {
  server = createServer((request, reply) => {
    const { pathname } = new URL(request.url!, 'http://x')
    if (pathname === '/hang') return
    if (pathname === '/two') {
      reply
        .writeHead(200, { 'content-type': 'application/openmetrics-text; version=1.0.0' })
        .end(
          '# HELP ticks Ticks of it.\n# TYPE ticks counter\n' +
            'ticks_total{keep="a"} 7 # {trace_id="t"} 1 1.5\n' +
            '# TYPE h histogram\nh_bucket{le="1.0"} 2\n' +
            'h_bucket{le="+Inf"} 3\nh_sum 4\n' +
            'h_count 3\n# EOF\n',
        )
      return
    }
    if (pathname === '/lies') {
      reply.writeHead(200, { 'content-type': 'text/plain', 'content-length': '1000' })
      reply.write('short 1\n')
      setTimeout(() => reply.destroy(), 50)
      return
    }
    if (pathname === '/huge') {
      reply.writeHead(200, { 'content-type': 'text/plain' })
      const part = Buffer.alloc(1 << 20, '# nothing but comments\n')
      const more = (): void => {
        while (reply.write(part)) {
          if (reply.destroyed) return
        }
        reply.once('drain', more)
      }
      more()
      return
    }
    if (pathname === '/churn') {
      reply
        .writeHead(200, { 'content-type': 'text/plain' })
        .end(Array.from({ length: 200 }, (_, i) => `churn{at="${Date.now()}",i="${i}"} 1\n`).join(''))
      return
    }
    scrapes++
    reply
      .writeHead(200, { 'content-type': 'application/openmetrics-text; version=1.0.0' })
      .end(
        `# TYPE ticks counter\nticks_total{keep="a"} ${scrapes} # {trace_id="t"} 1 ${Date.now() / 1000}\n` +
          'noise{a="1"} 1\n# EOF\n',
      )
  })
  port = await listening(server)
  storePort = await freePort()
  run = await runTercet([`listen.http=127.0.0.1:${storePort}`], directory)
  writeFileSync(
    `${directory}/prometheus.yml`,
    `
global: { scrape_interval: 200ms, scrape_timeout: 200ms, external_labels: { cluster: c1, job: never } }
remote_write:
  - url: http://127.0.0.1:${storePort}/api/v1/write
    send_exemplars: true
    write_relabel_configs: [{ source_labels: [__name__], regex: noise, action: drop }, { target_label: via,
        replacement: agent }]
    queue_config: { min_backoff: 30ms, max_backoff: 200ms }
scrape_configs:
  - { job_name: good, metrics_path: /metrics, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: hang, metrics_path: /hang, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: lies, metrics_path: /lies, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: huge, metrics_path: /huge, body_size_limit: 4MB, scrape_interval: 1s, scrape_timeout: 1s,
      static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: churn, metrics_path: /churn, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
`,
  )
  mkdirSync(`${directory}/pods`)
  agent = await start()
})
after(async () => {
  await agent.close()
  await run.stop()
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

async function query(q: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
  const reply = await fetch(urlOf(run.url, '/api/v1/query', { query: q }))
  return ((await reply.json()) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } })
    .data.result
}
const lines = async (q: string): Promise<{ stream: Record<string, string>; values: [string, string][] }[]> =>
  (
    (await (
      await fetch(urlOf(run.url, '/loki/api/v1/query_range', { query: q, limit: '1000', direction: 'forward' }))
    ).json()) as { data: { result: { stream: Record<string, string>; values: [string, string][] }[] } }
  ).data.result

test(
  'what is scraped arrives: relabelled, with exemplars, outer labels only where there are none ' + '(req-099)',
  async () => {
    const [series] = await until(async () => {
      const found = await query('ticks_total')
      return found.length > 0 ? found : undefined
    }, 'a series')
    assert.deepEqual(series!.metric, {
      __name__: 'ticks_total',
      cluster: 'c1',
      instance: `127.0.0.1:${port}`,
      job: 'good',
      keep: 'a',
      via: 'agent',
    })
    assert.equal((await query('noise')).length, 0)
    const { data } = (await (
      await fetch(`${run.url}/api/v1/query_exemplars?query=ticks_total&start=0&end=4000000000`)
    ).json()) as { data: unknown[] }
    assert.equal(data.length, 1)
  },
)

test('exporters that hang, lie about their length, never end or change everything: bounded, and seen', async () => {
  interface Target {
    scrapePool: string
    health: string
    lastError: string
  }
  const targets = await until(async () => {
    const { data } = (await (await fetch(`${agent.url}/api/v1/targets`)).json()) as {
      data: { activeTargets: Target[] }
    }
    return data.activeTargets.every(t => t.health !== 'unknown')
      ? new Map(data.activeTargets.map(t => [t.scrapePool, t]))
      : undefined
  }, 'all targets were tried')
  assert.match(targets.get('hang')!.lastError, /no answer within 0\.2 s/)
  assert.match(targets.get('lies')!.lastError, /aborted|terminated|closed|socket|no answer within 0\.2 s/i)
  assert.match(targets.get('huge')!.lastError, /larger than the limit of 4194304 bytes|no answer within 1 s/)
  assert.equal(targets.get('churn')!.health, 'up')
  await until(async () => ((await query('up{job="hang"}'))[0]?.value[1] === '0' ? true : undefined), 'up is 0')
  // Series that were there once are stale at once.
  await until(
    async () => ((await query('count(churn)'))[0]?.value[1] === '200' ? true : undefined),
    'only the last 200',
  )
})

test('pushes are handed on: remote write, OpenTelemetry, Loki, traces; what nobody would take is refused', async () => {
  assert.equal(
    (
      await postWrite(
        agent.url,
        writeBody([
          {
            labels: [
              ['__name__', 'pushed'],
              ['a', 'b'],
            ],
            samples: [[Date.now(), 7]],
          },
        ]),
      )
    ).status,
    204,
  )
  assert.equal((await postWrite(agent.url, Buffer.from('nonsense'))).status, 400)
  await until(
    async () => ((await query('pushed{via="agent",cluster="c1"}'))[0]?.value[1] === '7' ? true : undefined),
    'the pushed sample',
  )
  const ns = `${Date.now()}000000`
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${agent.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  assert.equal(
    (await post('/loki/api/v1/push', { streams: [{ stream: { app: 'relayed' }, values: [[ns, 'hello']] }] })).status,
    204,
  )
  assert.equal(
    (
      await post('/v1/traces', {
        resourceSpans: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 'relayed' } }] },
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: '0af7651916cd43dd8448eb211c80319c',
                    spanId: 'b7ad6b7169203331',
                    name: 'x',
                    startTimeUnixNano: ns,
                    endTimeUnixNano: ns,
                  },
                ],
              },
            ],
          },
        ],
      })
    ).status,
    200,
  )
  assert.equal(
    (
      await post('/v1/metrics', {
        resourceMetrics: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 's' } }] },
            scopeMetrics: [
              { metrics: [{ name: 'otlp_gauge', gauge: { dataPoints: [{ timeUnixNano: ns, asDouble: 3 }] } }] },
            ],
          },
        ],
      })
    ).status,
    200,
  )
  await until(async () => ((await lines('{app="relayed"}')).length === 1 ? true : undefined), 'the line')
  await until(
    async () =>
      (await fetch(`${run.url}/api/traces/0af7651916cd43dd8448eb211c80319c`)).status === 200 ? true : undefined,
    'the trace',
  )
  await until(
    async () => ((await query('otlp_gauge{job="s",via="agent"}'))[0]?.value[1] === '3' ? true : undefined),
    'the point',
  )
})

test('while the remote is away, and the agent restarts, nothing is lost (req-033, req-155)', async () => {
  await run.tercet.close()
  await until(
    async () => (agent.remotes.some(r => r.queue.bytes > 2000 && r.retries > 0) ? true : undefined),
    'a queue that grows',
  )
  for (let i = 0; i < 20; i++)
    assert.equal(
      (
        await postWrite(
          agent.url,
          writeBody([
            {
              labels: [
                ['__name__', 'numbered'],
                ['i', String(i)],
              ],
              samples: [[Date.now(), i]],
            },
          ]),
        )
      ).status,
      204,
    )
  await agent.close()
  agent = await start()
  for (let i = 20; i < 40; i++)
    assert.equal(
      (
        await postWrite(
          agent.url,
          writeBody([
            {
              labels: [
                ['__name__', 'numbered'],
                ['i', String(i)],
              ],
              samples: [[Date.now(), i]],
            },
          ]),
        )
      ).status,
      204,
    )
  run = await runTercet([`listen.http=127.0.0.1:${storePort}`], directory)
  await until(
    async () => ((await query('count(last_over_time(numbered[10m]))'))[0]?.value[1] === '40' ? true : undefined),
    'all forty',
  )
  await until(async () => (agent.remotes.every(r => r.queue.bytes < 2000) ? true : undefined), 'the queues are empty')
})

test('log files of pods: partial lines, traces of several lines, rotation, a restart', async () => {
  const container = `${directory}/pods/shop_web-1_0000-uid/app`
  mkdirSync(container, { recursive: true })
  const at = (i: number): string => new Date(Date.now() - 60_000 + i * 10).toISOString().replace('Z', '123456Z')
  const file = `${container}/0.log`
  writeFileSync(
    file,
    [
      `${at(0)} stdout F first`,
      `${at(1)} stdout P half `,
      `${at(1)} stdout F and half`,
      `${at(2)} stderr F Error: oops`,
      `${at(2)} stderr F     at one`,
      `${at(2)} stderr F     at two`,
      `${at(3)} stdout F last of the old`,
      'not in the format',
      '',
    ].join('\n'),
  )
  const found = async (): Promise<string[]> =>
    (await lines('{namespace="shop"}'))
      .flatMap(s => s.values.map(([, line]) => `${s.stream['stream'] ?? 'none'}: ${line}`))
      .sort()
  await until(async () => ((await found()).length === 5 ? true : undefined), 'five entries')
  assert.deepEqual(await found(), [
    'none: not in the format',
    'stderr: Error: oops\n    at one\n    at two',
    'stdout: first',
    'stdout: half and half',
    'stdout: last of the old',
  ])
  const [stream] = await lines('{namespace="shop", stream="stdout"}')
  assert.deepEqual(
    ['cluster', 'namespace', 'pod', 'container'].map(name => stream!.stream[name]),
    ['c1', 'shop', 'web-1', 'app'],
  )
  assert.ok(stream!.values[0]![0].endsWith('123456'))
  appendFileSync(file, `${at(4)} stdout F before the rotation\n`)
  renameSync(file, `${file}.20261125-000000`)
  writeFileSync(file, `${at(5)} stdout F new\n`)
  await until(async () => ((await found()).length === 7 ? true : undefined), 'what was written around the rotation')
  await agent.close()
  appendFileSync(file, `${at(6)} stdout F while away\n`)
  agent = await start()
  await until(async () => ((await found()).length === 8 ? true : undefined), 'what was written meanwhile')
  // Entries arrive in the order of the file: with the marker, everything before it has arrived as often as it does.
  appendFileSync(file, `${at(7)} stdout F marker\n`)
  await until(async () => ((await found()).includes('stdout: marker') ? true : undefined), 'the marker')
  assert.equal((await found()).length, 9, 'nothing twice')
})

test('remote write 2.0: a real Prometheus and Tercet get the same', needs('prometheus'), async () => {
  const own = temporaryDirectory()
  const peerPort = await freePort()
  writeFileSync(`${own}/peer.yml`, 'global: {}\n')
  const peer = new Peer(
    'prometheus',
    [
      `--config.file=${own}/peer.yml`,
      `--storage.tsdb.path=${own}/peer`,
      `--web.listen-address=127.0.0.1:${peerPort}`,
      '--web.enable-remote-write-receiver',
      '--enable-feature=native-histograms,exemplar-storage',
    ],
    own,
  )
  await peer.ready(`http://127.0.0.1:${peerPort}/-/ready`)
  const remote = (to: number): string =>
    `{ url: 'http://127.0.0.1:${to}/api/v1/write', protobuf_message: io.prometheus.write.v2.Request, ` +
    'send_exemplars: true, send_native_histograms: true, write_relabel_configs: [{ target_label: via, ' +
    'replacement: two }] }'
  writeFileSync(
    `${own}/prometheus.yml`,
    'global: { scrape_interval: 500ms, scrape_timeout: 500ms, external_labels: { cluster: c2 } }\n' +
      `remote_write: [${remote(peerPort)}, ${remote(storePort)}]\n` +
      'scrape_configs: [{ job_name: two, metrics_path: /two, convert_classic_histograms_to_nhcb: true, ' +
      `static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]\n`,
  )
  const second = await startTercet(
    loadConfig({
      environment: {},
      flags: [
        'role=agent',
        'listen.http=127.0.0.1:0',
        'listen.otlp_http=off',
        `data_dir=${own}/agent-data`,
        `scrape_config_file=${own}/prometheus.yml`,
      ],
    }),
    systemWorld(silentLog),
  )
  try {
    const ask = async (url: string, q: string): Promise<unknown[]> =>
      (
        (await (await fetch(urlOf(url, '/api/v1/query', { query: q }))).json()) as {
          data: { result: { metric: unknown; value?: [number, string]; histogram?: [number, unknown] }[] }
        }
      ).data.result.map(r => ({ metric: r.metric, value: r.value?.[1], histogram: r.histogram?.[1] }))
    const both = [run.url, `http://127.0.0.1:${peerPort}`]
    for (const url of both)
      await until(
        async () => ((await ask(url, 'h{via="two"}')).length > 0 ? true : undefined),
        `what was written to ${url}`,
      )
    for (const q of [
      'ticks_total{via="two"}',
      'h{via="two"}',
      'up{via="two"}',
      'histogram_quantile(0.5, h{via="two"})',
    ])
      assert.deepEqual(await ask(both[0]!, q), await ask(both[1]!, q), q)
    const exemplars = async (url: string): Promise<unknown> =>
      (
        (await (
          await fetch(
            urlOf(url, '/api/v1/query_exemplars', { query: 'ticks_total{via="two"}', start: '0', end: '100' }),
          )
        ).json()) as { data: unknown }
      ).data
    assert.deepEqual(await exemplars(both[0]!), await exemplars(both[1]!))
    // With the first message, which may arrive after the second.
    await until(
      async () =>
        (await (await fetch(`${run.url}/api/v1/metadata?metric=ticks_total`)).text()).includes('Ticks of it')
          ? true
          : undefined,
      'metadata',
    )
    assert.equal(
      second.remotes.reduce((sum, r) => sum + r.refused, 0),
      0,
    )
  } finally {
    await second.close()
    await peer.stop()
  }
})
