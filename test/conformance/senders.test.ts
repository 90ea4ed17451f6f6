/**
 * Real senders and readers: a Prometheus and a vmagent that scrape a node_exporter and write to Tercet; promtool over
 * Tercet's API and its bucket; a Prometheus that serves a copy of that bucket. Covers req-035, req-032, req-099,
 * req-002. Skipped, and said so, for each program that is not on the PATH.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { freePort } from '../free-port.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'

const has = (name: string): boolean => spawnSync('which', [name]).status === 0
const hasPrometheus = has('prometheus') && has('prometheus-node-exporter')
const hasAgent = has('vmagent') && has('prometheus-node-exporter')
const hasPromtool = has('promtool')
for (const [name, there] of [
  ['prometheus', hasPrometheus],
  ['vmagent', hasAgent],
  ['promtool', hasPromtool],
] as const)
  if (!there)
    console.log(`SKIPPED: ${name} (or prometheus-node-exporter) is not installed; it was not tried against Tercet`)

let running: Running
const directory = temporaryDirectory()
const children: ChildProcess[] = []

function start(name: string, parameters: readonly string[]): void {
  children.push(spawn(name, parameters, { stdio: 'ignore', cwd: directory }))
}

async function stopChildren(): Promise<void> {
  for (const child of children.splice(0)) {
    const ended = new Promise(resolve => child.once('exit', resolve))
    if (child.exitCode === null && child.kill('SIGTERM')) await ended
  }
}

interface Sample {
  metric: Record<string, string>
  value: [number, string]
}
async function instant(url: string, query: string, time: number): Promise<Map<string, string>> {
  const reply = await fetch(`${url}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query, time: String(time) }),
  })
  assert.equal(reply.status, 200)
  const { data } = (await reply.json()) as { data: { result: Sample[] } }
  return new Map(data.result.map(({ metric, value }) => [JSON.stringify(Object.entries(metric).sort()), value[1]]))
}

let exporter = ''
const isAnyThere = hasPrometheus || hasAgent || hasPromtool
if (isAnyThere)
  before(async () => {
    running = await runTercet()
    if (!hasPrometheus && !hasAgent) return
    exporter = `127.0.0.1:${await freePort()}`
    start('prometheus-node-exporter', [`--web.listen-address=${exporter}`])
    await until(async () => ((await fetch(`http://${exporter}/metrics`)).ok ? true : undefined), 'node_exporter')
  })
if (isAnyThere)
  after(async () => {
    await stopChildren()
    await running.stop()
    rmSync(directory, { recursive: true, force: true })
  })

if (hasPrometheus) {
  test('a real Prometheus: every series that it has is here, with the same value', async () => {
    const port = await freePort()
    const speaksV2 =
      /version (\d+)/.exec(spawnSync('prometheus', ['--version'], { encoding: 'utf8' }).stdout)?.[1] !== '2'
    writeFileSync(
      `${directory}/prometheus.yml`,
      `global: { scrape_interval: 1s }
scrape_configs: [{ job_name: node, static_configs: [{ targets: ["${exporter}"] }] }]
remote_write:
  - { url: "${running.url}/api/v1/write"${speaksV2 ? ', protobuf_message: io.prometheus.write.v2.Request' : ''} }
`,
    )
    start('prometheus', [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/prometheus`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ])
    const prometheus = `http://127.0.0.1:${port}`
    await until(
      async () =>
        (await instant(prometheus, 'count_over_time(up{job="node"}[1m])', Date.now() / 1000))
          .values()
          .some(v => Number(v) >= 5)
          ? true
          : undefined,
      'five scrapes',
    )
    const time = Math.floor(Date.now() / 1000) - 1
    const wanted = await instant(prometheus, '{job="node"}', time)
    assert.ok(wanted.size > 200, `${wanted.size} series`)
    // The sender batches for some seconds, per shard: until then the scrape before answers. What still differs at the
    // end is shown.
    let found = new Map<string, string>()
    await until(async () => {
      found = await instant(running.url, '{job="node"}', time)
      return isDeepStrictEqual(found, wanted) ? true : undefined
    }, 'the same values').catch(() => undefined)
    assert.deepEqual(found, wanted)
    const exposition = await (await fetch(`${prometheus}/metrics`)).text()
    for (const [, value] of exposition.matchAll(/^prometheus_remote_storage_samples_failed_total\S* (\S+)$/gm))
      assert.equal(Number(value), 0, 'samples failed')
  })
}

if (hasAgent) {
  test('a real vmagent: what it scrapes is here, nothing was dropped', async () => {
    const port = await freePort()
    writeFileSync(
      `${directory}/agent.yml`,
      'global: { scrape_interval: 1s }\n' +
        `scrape_configs: [{ job_name: agent, static_configs: [{ targets: ["${exporter}"] }] }]\n`,
    )
    start('vmagent', [
      `-promscrape.config=${directory}/agent.yml`,
      `-remoteWrite.url=${running.url}/api/v1/write`,
      `-remoteWrite.tmpDataPath=${directory}/agent`,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-loggerLevel=ERROR',
      '-remoteWrite.flushInterval=1s',
    ])
    const lines = (await (await fetch(`http://${exporter}/metrics`)).text())
      .split('\n')
      .filter(line => line.startsWith('node_')).length
    const found = await until(async () => {
      const here = await instant(running.url, '{job="agent",__name__=~"node_.*"}', Date.now() / 1000)
      return here.size > 0 ? here : undefined
    }, 'series of the agent')
    assert.ok(Math.abs(found.size - lines) <= 5, `${found.size} series, the exporter shows ${lines}`)
    assert.equal((await instant(running.url, 'up{job="agent"}', Date.now() / 1000)).values().next().value, '1')
    const own = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    assert.equal(Number(/^vmagent_remotewrite_packets_dropped_total\S* (\d+)$/m.exec(own)?.[1] ?? 0), 0)
  })
}

if (hasPromtool) {
  test('promtool queries and reads the bucket; a real Prometheus on a copy of it answers the same', async () => {
    // Nothing more comes in: both stores are asked about the same samples.
    await stopChildren()
    const query = await promtool(['query', 'instant', running.url, 'count({job=~"node|agent"}) or vector(1)'])
    assert.match(query, /=> [1-9]\d* @\[/)
    assert.equal((await fetch(`${running.url}/-/flush`, { method: 'POST' })).status, 204)
    const copy = `${directory}/copy`
    cpSync(`${running.directory}/data/bucket/metrics/anonymous`, copy, { recursive: true })
    rmSync(`${copy}/tercet`, { recursive: true, force: true })
    assert.match(await promtool(['tsdb', 'list', copy]), /BLOCK ULID/)
    assert.match(await promtool(['tsdb', 'analyze', copy]), /Total Series: \d+/)
    if (!hasPrometheus) return
    const port = await freePort()
    writeFileSync(`${directory}/empty.yml`, 'global: {}\n')
    start('prometheus', [
      `--config.file=${directory}/empty.yml`,
      `--storage.tsdb.path=${copy}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ])
    const prometheus = `http://127.0.0.1:${port}`
    await until(async () => ((await fetch(`${prometheus}/-/ready`)).ok ? true : undefined), 'Prometheus on the copy')
    const time = Math.floor(Date.now() / 1000)
    for (const expr of [
      '{job=~"node|agent"} offset 10s',
      'rate(node_cpu_seconds_total[20s])',
      'count by (__name__) ({job="node"})',
      'sum by (mode) (increase(node_cpu_seconds_total[30s]))',
      'max_over_time(node_load1[1m])',
      'topk(3, node_memory_MemFree_bytes)',
    ]) {
      assert.deepEqual(
        [...(await instant(running.url, expr, time))].sort(),
        [...(await instant(prometheus, expr, time))].sort(),
        expr,
      )
    }
  })
}

/** Tercet runs in this process: nothing here may wait for a child with the thread held. */
function promtool(parameters: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('promtool', parameters, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.once('close', code => {
      if (code === 0) resolve(output)
      else reject(new Error(`promtool ${parameters.join(' ')}: ${errors}`))
    })
  })
}
