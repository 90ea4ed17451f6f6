/**
 * Rules: as a real Prometheus evaluates them over the same exporter; alerts over a restart; LogQL and TraceQL; the
 * real vmalert against Tercet. Covers req-042.
 */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { systemFiles } from '#core/files.ts'
import { urlOf } from '../url.ts'
import { replayRules } from '../../src/ops/rules-replay.ts'
import { needs, Peer, programPath } from '../peers.ts'
import { until } from '../until.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { listening } from '../listening.ts'
import { freePort } from '../free-port.ts'

const directory = temporaryDirectory()
interface Sent {
  labels: Record<string, string>
  annotations: Record<string, string>
  startsAt: string
  endsAt: string
  generatorURL: string
}
const sent: Record<string, Sent[]> = { ours: [], theirs: [] }
let server: Server
let port = 0
let run: Running
let peer: Peer | undefined
let peerUrl = ''
let temperature = 50

const rules = `groups:
  - name: fast
    interval: 1s
    labels: { origin: group, tier: one }
    rules:
      - { record: 'job:temperature:max', expr: max by (job) (temperature), labels: { tier: two } }
      - { record: ratio, expr: 'job:temperature:max / 2' }
      - { record: broken, expr: 'temperature + on(room) group_left sum(temperature) by (room, job)' }
      - { alert: Hot, expr: 'temperature > 60', for: 2s, labels: { severity: page,
          room_name: 'r-{{ $labels.room }}' },
          annotations: { summary: '{{ $labels.room }} has {{ $value }} in {{ $externalLabels.region }}',
          q: '{{ with query "count(temperature)" }}{{ . | first | value }}{{ end }}' } }
      - { alert: Stays, expr: 'temperature > 60', keep_firing_for: 1h }
      - { alert: Never, expr: 'temperature > 1000' }
      - { alert: Twice, expr: 'label_replace(temperature, "room", "x", "", "")' }
  - { name: limited, interval: 1s, limit: 1, rules: [{ record: many, expr: temperature }] }
`
const config = (who: string): string => `
global: { scrape_interval: 1s, evaluation_interval: 1s, external_labels: { region: eu } }
rule_files: ['rules*.yml']
scrape_configs: [{ job_name: t, metrics_path: /metrics, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]
alerting:
  alert_relabel_configs: [{ source_labels: [severity], regex: page, target_label: loud, replacement: 'yes' }]
  alertmanagers: [{ path_prefix: /${who}, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]
`
before(async () => {
  server = createServer((request, reply) => {
    const parts: Buffer[] = []
    request
      .on('data', (part: Buffer) => {
        parts.push(part)
      })
      .on('end', () => {
        const path = new URL(request.url!, 'http://x').pathname
        if (path === '/metrics') {
          reply
            .writeHead(200, { 'content-type': 'text/plain' })
            .end(`temperature{room="a"} ${temperature}\ntemperature{room="b"} 20\n`)
          return
        }
        sent[path.split('/')[1]!]?.push(...(JSON.parse(Buffer.concat(parts).toString('utf8')) as Sent[]))
        reply.end()
      })
  })
  port = await listening(server)
  writeFileSync(`${directory}/rules.yml`, rules)
  writeFileSync(`${directory}/ours.yml`, config('ours'))
  writeFileSync(`${directory}/theirs.yml`, config('theirs'))
  run = await runTercet([`scrape_config_file=${directory}/ours.yml`, 'external_url=http://prom.example'], directory)
  if (programPath('prometheus') === undefined) return
  const peerPort = await freePort()
  peerUrl = `http://127.0.0.1:${peerPort}`
  peer = new Peer(
    'prometheus',
    [
      `--config.file=${directory}/theirs.yml`,
      `--storage.tsdb.path=${directory}/peer`,
      `--web.listen-address=127.0.0.1:${peerPort}`,
      '--web.external-url=http://prom.example',
    ],
    directory,
  )
  await peer.ready(`${peerUrl}/-/ready`)
})
after(async () => {
  await peer?.stop()
  await run.stop()
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})

interface RuleJson {
  name: string
  type: string
  state?: string
  health: string
  lastError?: string
  query: string
  alerts?: {
    labels: Record<string, string>
    annotations: Record<string, string>
    state: string
    value: string
    activeAt: string
    keepFiringSince?: string
  }[]
}
async function groups(url: string, query = ''): Promise<{ name: string; rules: RuleJson[] }[]> {
  return (
    (await (await fetch(`${url}/api/v1/rules${query}`)).json()) as {
      data: { groups: { name: string; rules: RuleJson[] }[] }
    }
  ).data.groups
}
/** What doesn't depend on the moment. */
const view = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, v: unknown) =>
      ['evaluationTime', 'lastEvaluation', 'activeAt', 'keepFiringSince', 'file'].includes(key) ? undefined : v,
    ),
  )
async function query(url: string, q: string): Promise<[string, string][]> {
  const { data } = (await (await fetch(urlOf(url, '/api/v1/query', { query: q }))).json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] }
  }
  return data.result
    .map(({ metric, value }): [string, string] => [JSON.stringify(Object.entries(metric).sort()), value[1]])
    .sort()
}
const stateOf = async (url: string, name: string): Promise<string | undefined> =>
  (await groups(url)).flatMap(g => g.rules).find(r => r.name === name)?.state

test(
  'a real Prometheus shows the same rules, stores the same series and sends the same alerts',
  needs('prometheus'),
  async () => {
    const both = [run.url, peerUrl]
    // Their evaluations are moments apart.
    const compare = (what: string): Promise<true> => until(() => compareOnce(what), what)
    const compareOnce = async (what: string): Promise<true> => {
      const [ours, theirs] = await Promise.all(both.map(url => groups(url)))
      for (const list of [ours!, theirs!])
        for (const rule of list.flatMap(g => g.rules)) if (rule.lastError !== undefined) rule.lastError = 'an error'
      assert.deepEqual(view(ours), view(theirs), what)
      assert.deepEqual(
        await query(run.url, '{__name__=~"job:.*|ratio|broken|many|ALERTS"}'),
        await query(peerUrl, '{__name__=~"job:.*|ratio|broken|many|ALERTS"}'),
        what,
      )
      return true
    }
    const settled = (name: string, state: string): Promise<unknown> =>
      Promise.all(
        both.map(url =>
          until(async () => ((await stateOf(url, name)) === state ? true : undefined), `${name} ${state} at ${url}`),
        ),
      )
    for (const url of both)
      await until(
        async () => ((await query(url, 'ratio')).length === 1 ? true : undefined),
        `the first evaluation at ${url}`,
      )
    await compare('nothing fires')
    temperature = 70
    await settled('Hot', 'firing')
    await compare('it fires')
    assert.deepEqual(
      view(await (await fetch(`${run.url}/api/v1/alerts`)).json()),
      view(await (await fetch(`${peerUrl}/api/v1/alerts`)).json()),
    )
    for (const who of ['ours', 'theirs'])
      await until(
        async () =>
          ['Hot', 'Stays'].every(name => sent[who]!.some(a => a.labels['alertname'] === name)) ? true : undefined,
        `alerts of ${who}`,
      )
    const first = (who: string): unknown =>
      ['Hot', 'Stays'].map(name => {
        const { labels, annotations, generatorURL } = sent[who]!.find(a => a.labels['alertname'] === name)!
        return { labels, annotations: (annotations as Record<string, string> | undefined) ?? {}, generatorURL }
      })
    assert.deepEqual(first('ours'), first('theirs'))
    temperature = 40
    await settled('Hot', 'inactive')
    await compare('one is over, one is kept')
    for (const who of ['ours', 'theirs'])
      await until(
        async () =>
          sent[who]!.some(a => a.labels['alertname'] === 'Hot' && Date.parse(a.endsAt) <= Date.now())
            ? true
            : undefined,
        `the end is sent to ${who}`,
      )
    for (const asked of [
      '?type=alert',
      '?type=record',
      '?rule_name[]=Hot',
      '?rule_group[]=limited',
      '?exclude_alerts=true',
      '?match[]={severity="page"}',
    ])
      assert.deepEqual(
        view((await groups(run.url, asked)).map(g => g.rules.map(r => r.name))),
        view((await groups(peerUrl, asked)).map(g => g.rules.map(r => r.name))),
        asked,
      )
    assert.equal((await fetch(`${run.url}/api/v1/rules?type=what`)).status, 400)
    // Own Alertmanager and the configured one.
    assert.equal(
      ((await (await fetch(`${run.url}/api/v1/alertmanagers`)).json()) as { data: { activeAlertmanagers: unknown[] } })
        .data.activeAlertmanagers.length,
      2,
    )
    assert.ok(
      ((await (await fetch(`${run.url}/api/v2/alerts?filter=alertname="Stays"`)).json()) as unknown[]).length === 1,
    )
  },
)

test('alerts wait on after a restart, and end with their rule', async () => {
  const own = temporaryDirectory()
  writeFileSync(
    `${own}/rules.yml`,
    'groups: [{ name: g, interval: 200ms, rules: [{ alert: Waits, expr: vector(1), for: 1h }, ' +
      '{ alert: Goes, expr: vector(1) }] }]',
  )
  let second = await runTercet([`rule_files=${own}/*.yml`], own)
  try {
    const active = async (name: string): Promise<{ state: string; activeAt: string } | undefined> =>
      (await groups(second.url)).flatMap(g => g.rules).find(r => r.name === name)?.alerts?.[0]
    const before = await until(() => active('Waits'), 'an alert')
    await until(async () => ((await query(second.url, 'ALERTS')).length === 2 ? true : undefined), 'stored')
    await second.tercet.close()
    const restarted = Date.now() / 1000
    second = await runTercet([`rule_files=${own}/*.yml`], own)
    // Nothing is written before the state of before is restored, after the second evaluation.
    const restored = await until(async () => {
      const now = await active('Waits')
      return (await query(second.url, `timestamp(ALERTS) > ${restarted}`)).length === 2 ? now : undefined
    }, 'the alert again')
    assert.equal(restored.state, 'pending')
    // The time that it waited counts, the time that the process was away does not.
    assert.ok(
      Math.abs(Date.parse(restored.activeAt) - Date.parse(before.activeAt)) < 5000,
      `${before.activeAt} ${restored.activeAt}`,
    )
    writeFileSync(
      `${own}/rules.yml`,
      'groups: [{ name: g, interval: 200ms, rules: [{ alert: Waits, expr: vector(1), for: 1h }] }]',
    )
    await fetch(`${second.url}/-/reload`, { method: 'POST' })
    await until(
      async () => ((await query(second.url, 'ALERTS{alertname="Goes"}')).length === 0 ? true : undefined),
      'the series of the rule that is gone end',
    )
    assert.equal((await active('Waits'))!.state, 'pending')
    writeFileSync(`${own}/rules.yml`, 'groups: [{ name: g, rules: [{ alert: Waits, expr: "vector(" }] }]')
    const reply = await fetch(`${second.url}/-/reload`, { method: 'POST' })
    assert.equal(reply.status, 400)
    assert.match(await reply.text(), /rules\.yml:1:\d+: groups\[0\]\.rules\[0\]\.expr: could not parse expression/)
    assert.equal((await active('Waits'))!.state, 'pending')
  } finally {
    await second.stop()
  }
})

test('rules over logs and traces', async () => {
  const own = temporaryDirectory()
  writeFileSync(
    `${own}/rules.yml`,
    `groups:
  - name: g
    interval: 200ms
    rules:
      - { record: errors, expr: 'sum by (app) (count_over_time({app="web"} |= "error" [5m]))' }
      - { alert: Noisy, expr: 'sum by (app) (count_over_time({app="web"} |= "error" [5m])) > 1',
          annotations: { summary: '{{ $labels.app }}: {{ $value }}' } }
      - { alert: Slow, expr: '{ resource.service.name = "shop" && status = error }
          | count_over_time() by (resource.service.name)' }
`,
  )
  const second = await runTercet([`rule_files=${own}/rules.yml`], own)
  try {
    const ns = `${Date.now()}000000`
    await fetch(`${second.url}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        streams: [
          {
            stream: { app: 'web' },
            values: [
              [ns, 'error 1'],
              [ns, 'error 2'],
              [ns, 'fine'],
            ],
          },
        ],
      }),
    })
    await fetch(`${second.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        resourceSpans: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: '0af7651916cd43dd8448eb211c80319c',
                    spanId: 'b7ad6b7169203331',
                    name: 'x',
                    startTimeUnixNano: ns,
                    endTimeUnixNano: ns,
                    status: { code: 2 },
                  },
                ],
              },
            ],
          },
        ],
      }),
    })
    await until(
      async () => ((await query(second.url, 'errors')).some(([, value]) => value === '2') ? true : undefined),
      'the recorded count',
    )
    const shown = await until(async () => {
      const list = (await (await fetch(`${second.url}/api/v2/alerts`)).json()) as {
        labels: Record<string, string>
        annotations: Record<string, string>
      }[]
      return list.length === 2 ? list : undefined
    }, 'two alerts')
    assert.deepEqual(
      shown.map(a => [a.labels['alertname'], a.annotations['summary'], a.labels['resource_service_name']]).sort(),
      [
        ['Noisy', 'web: 2', undefined],
        ['Slow', undefined, 'shop'],
      ],
    )
  } finally {
    await second.stop()
  }
})

test('the real vmalert evaluates against Tercet, writes back and notifies', needs('vmalert'), async () => {
  const own = temporaryDirectory()
  writeFileSync(
    `${own}/vm.yml`,
    'groups: [{ name: vm, interval: 1s, rules: [{ record: "vm:one", expr: "vector(41) + 1" }, ' +
      '{ alert: FromVm, expr: "vm:one > 1", labels: { by: vmalert } }] }]',
  )
  const second = await runTercet([], own)
  const vmPort = await freePort()
  const vmalert = new Peer(
    'vmalert',
    [
      `-rule=${own}/vm.yml`,
      `-datasource.url=${second.url}`,
      `-remoteWrite.url=${second.url}`,
      `-remoteRead.url=${second.url}`,
      `-notifier.url=${second.url}`,
      '-evaluationInterval=1s',
      '-remoteWrite.flushInterval=200ms',
      `-httpListenAddr=127.0.0.1:${vmPort}`,
    ],
    own,
  )
  try {
    await vmalert.ready(`http://127.0.0.1:${vmPort}/health`)
    await until(
      async () => ((await query(second.url, 'vm:one'))[0]?.[1] === '42' ? true : undefined),
      'the recorded series',
    )
    await until(
      async () => ((await query(second.url, 'ALERTS{alertname="FromVm"}')).length === 1 ? true : undefined),
      'its alert series',
    )
    await until(
      async () =>
        ((await (await fetch(`${second.url}/api/v2/alerts`)).json()) as { labels: Record<string, string> }[]).some(
          a => a.labels['by'] === 'vmalert',
        )
          ? true
          : undefined,
      'the alert',
    )
  } finally {
    await vmalert.stop()
    await second.stop()
  }
})

test('recording rules over the past: as they would have recorded, one upon another', async () => {
  const own = temporaryDirectory()
  writeFileSync(
    `${own}/rules.yml`,
    'groups: [{ name: g, interval: 1m, labels: { by: replay }, rules: [{ record: doubled, ' +
      'expr: "2 * level" }, { record: "doubled:sum", expr: "sum(doubled)" }, { alert: No, expr: up }] }]',
  )
  const second = await runTercet(['metrics.out_of_order_window=3h'], own)
  try {
    const now = Math.floor(Date.now() / 60_000) * 60_000
    await postWrite(
      second.url,
      writeBody(
        [1, 2].map(i => ({
          labels: [
            ['__name__', 'level'],
            ['i', String(i)],
          ],
          samples: Array.from({ length: 121 }, (_, k): [number, number] => [now - (120 - k) * 60_000, k * i]),
        })),
      ),
    )
    const told: string[] = []
    await replayRules(
      {
        server: second,
        files: [`${own}/rules.yml`],
        startMs: now - 3_600_000,
        endMs: now,
        intervalMs: 60_000,
        onLine: line => {
          told.push(line)
        },
      },
      systemFiles,
    )
    assert.deepEqual(told.slice(0, 2), ['g: doubled: 122 samples', 'g: doubled:sum: 61 samples'])
    const { data } = (await (
      await fetch(
        urlOf(second.url, '/api/v1/query_range', {
          query: 'doubled:sum{by="replay"}',
          start: String(now / 1000 - 3600),
          end: String(now / 1000),
          step: '60',
        }),
      )
    ).json()) as { data: { result: { values: [number, string][] }[] } }
    assert.deepEqual(
      data.result[0]!.values.map(([, v]) => Number(v)),
      Array.from({ length: 61 }, (_, k) => 6 * (k + 60)),
    )
  } finally {
    await second.stop()
  }
})
