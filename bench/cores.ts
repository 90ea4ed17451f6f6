/**
 * What worker threads bring: heavy queries of the three signals at once, small ones one after another, and writes
 * beside heavy queries, with `workers` 0, 1 and 2.
 *
 *   node bench/cores.ts [--workers=0,1,2] [--rounds=3] [--series=1] [--only=metrics|logs|traces|small]
 *                     [--base=another checkout]
 *
 * Each process gets the same data. Rounds alternate between the processes. The table has the median of the wall of all
 * queries of a group, the mean of the processor time of the process, and the ratios to the first of the processes:
 * another checkout, which may be older than worker threads, or the first of `--workers`.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { costOf } from './process-cost.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { fillSeries } from './overload-inputs.ts'
import type { Probed } from './overload-probe.ts'

const option = (name: string, fallback: string): string =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.slice(name.length + 3) ?? fallback
const counts = option('workers', '0,1,2').split(',').map(Number)
const rounds = Number(option('rounds', '3'))
const scale = Number(option('series', '1'))
const only = option('only', '')
const base = option('base', '')
const nowMs = Math.floor(Date.now() / 1000) * 1000
const hourMs = 3_600_000
const encode = encodeURIComponent

interface Running {
  /** Of its figures. */
  name: string
  child: ChildProcess
  url: string
  directory: string
}

/** `root` is a checkout. */
async function start(name: string, root: string, options: readonly string[]): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-cores-'))
  const flags = [`--data_dir=${directory}`, '--listen.http=127.0.0.1:0', '--listen.otlp_http=off', '--log.level=error']
  flags.push('--listen.otlp_grpc=off', '--self_scrape=false', '--self_trace=false', ...options)
  const command = [join(root, 'src/app/main.ts'), 'up', ...flags]
  const child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const url = await listeningUrl(child)
  return { name, child, url, directory }
}

async function send(url: string, type: string, body: string): Promise<void> {
  const reply = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${text.slice(0, 200)}`)
}

async function fillLines(url: string): Promise<void> {
  const lines = 600_000 * scale
  for (let from = 0; from < lines; from += 10_000) {
    const streams = Array.from({ length: 8 }, (_, s) => ({
      stream: { app: `app-${s}` },
      values: Array.from({ length: 1250 }, (_line, i) => {
        const n = from + i * 8 + s
        const fields = `user=${(n * 7919) % 50_000} latency=${((n * 104_729) % 200_000) / 100}`
        const text = `level=info ${fields} path=/api/${n % 97}`
        return [String(BigInt(nowMs - hourMs + Math.floor((n * hourMs) / lines)) * 1_000_000n), text]
      }),
    }))
    await send(`${url}/loki/api/v1/push`, 'application/json', JSON.stringify({ streams }))
  }
}

async function fillSpans(url: string): Promise<void> {
  const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')
  const traces = 20_000 * scale
  for (let from = 0; from < traces; from += 500) {
    const spans = Array.from({ length: 5000 }, (_, i) => {
      const trace = from + Math.floor(i / 10)
      const startMs = nowMs - hourMs / 4 + trace * 20
      return {
        traceId: hex(trace + 1, 32),
        spanId: hex((i % 10) + 1, 16),
        parentSpanId: i % 10 === 0 ? '' : hex(i % 10, 16),
        name: `operation-${i % 10}`,
        kind: 2,
        startTimeUnixNano: `${startMs}000000`,
        endTimeUnixNano: `${startMs + (i % 100)}000000`,
        attributes: [{ key: 'http.status_code', value: { intValue: String(200 + (i % 7)) } }],
      }
    })
    const resource = { attributes: [{ key: 'service.name', value: { stringValue: `shop-${from % 8}` } }] }
    const body = { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'bench' }, spans }] }] }
    await send(`${url}/v1/traces`, 'application/json', JSON.stringify(body))
  }
}

const range = (query: string): string =>
  `/api/v1/query_range?query=${encode(query)}&start=${nowMs / 1000 - 480}&end=${nowMs / 1000}&step=1`
const logRange = (query: string): string =>
  `/loki/api/v1/query_range?query=${encode(query)}&start=${nowMs - hourMs}000000&end=${nowMs}000000&step=30&limit=5000`
const traceRange = `start=${Math.floor((nowMs - hourMs) / 1000)}&end=${Math.ceil(nowMs / 1000)}`

/** All of a group are asked at once. */
const groups: Readonly<Record<string, readonly string[]>> = {
  metrics: ['topk(5, m)', 'stddev(m)', 'sum(rate(m[1m]))', 'quantile(0.9, m)'].map(range),
  logs: [
    'sum by (path) (count_over_time({app=~".+"} | logfmt path [5m]))',
    'quantile_over_time(0.9, {app=~".+"} | logfmt latency | unwrap latency [5m]) by (app)',
    '{app=~".+"} |~ "user=49.*latency=1.*path=/api/13"',
    'sum(rate({app=~".+"} | logfmt latency | latency > 1000 [1m]))',
  ].map(logRange),
  traces: ['{ span.http.status_code = 203 } >> { name = "operation-9" }', '{ name = "operation-3" } | count() > 2']
    .map(q => `/api/search?q=${encode(q)}&${traceRange}&limit=1000`)
    .concat(
      ['{} | rate() by (name)', '{} | quantile_over_time(duration, .9) by (resource.service.name)'].map(
        q => `/api/metrics/query_range?q=${encode(q)}&${traceRange}&step=10s`,
      ),
    ),
}

/** A page of a dashboard: each asks few series, lines or traces. */
const small: readonly string[] = [
  ...Array.from({ length: 12 }, (_, i) => range(`rate(m{instance="host-${i}"}[1m])`)),
  ...Array.from({ length: 4 }, (_, i) => `/api/v1/query?query=${encode(`m{instance=~"host-1${i}."}`)}`),
  ...Array.from({ length: 4 }, (_, i) => logRange(`{app="app-${i}"} |= "user=1234${i}"`)),
]

const cpuSeconds = ({ child }: Running): number => costOf(child.pid!).cpuSeconds

async function ask(url: string, path: string): Promise<void> {
  const reply = await fetch(url + path)
  const text = await reply.text()
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${text.slice(0, 300)}`)
}

interface Measured {
  seconds: number
  cpu: number
}

async function measure(running: Running, work: () => Promise<void>): Promise<Measured> {
  const cpu = cpuSeconds(running)
  const startedMs = performance.now()
  await work()
  return { seconds: (performance.now() - startedMs) / 1000, cpu: cpuSeconds(running) - cpu }
}

const together = (running: Running, paths: readonly string[]): Promise<Measured> =>
  measure(running, async () => {
    await Promise.all(paths.map(path => ask(running.url, path)))
  })

const inTurn = (running: Running, paths: readonly string[]): Promise<Measured> =>
  measure(running, async () => {
    for (const path of paths) await ask(running.url, path)
  })

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
}

/** The wait for writes and for /health, every 50 ms, while all groups are asked. */
async function probeBeside(running: Running): Promise<Probed> {
  const probe = new Worker(new URL('overload-probe.ts', import.meta.url), {
    workerData: { url: running.url, pid: running.child.pid },
  })
  await Promise.all(Object.values(groups).map(paths => together(running, paths)))
  const probed = await new Promise<Probed>(resolve => {
    probe.once('message', resolve)
    probe.postMessage('take')
  })
  await probe.terminate()
  return probed
}

const all: Running[] = []
try {
  if (base !== '') all.push(await start('base', base, []))
  for (const workers of counts)
    all.push(await start(`workers=${workers}`, join(import.meta.dirname, '..'), [`--workers=${workers}`]))
  for (const running of all) {
    await fillSeries(running.url, scale)
    await fillLines(running.url)
    await fillSpans(running.url)
  }
  const cases: [name: string, run: (running: Running) => Promise<Measured>][] = Object.entries(groups).map(
    ([name, paths]) => [name, running => together(running, paths)],
  )
  cases.push(['small', running => inTurn(running, small)])
  for (const [name, run] of cases) {
    if (only !== '' && only !== name) continue
    // What is compiled and opened once is not measured.
    for (const running of all) for (let i = 0; i < (name === 'small' ? 5 : 2); i++) await run(running)
    const results = new Map(all.map(running => [running, [] as Measured[]]))
    for (let round = 0; round < rounds; round++)
      for (const running of all) results.get(running)!.push(await run(running))
    const baseSeconds = median(results.get(all[0]!)!.map(m => m.seconds))
    const baseCpu = mean(results.get(all[0]!)!.map(m => m.cpu))
    for (const [running, measured] of results) {
      const seconds = median(measured.map(m => m.seconds))
      const cpu = mean(measured.map(m => m.cpu))
      const figures = `wall ${seconds.toFixed(3)} s  cpu ${cpu.toFixed(3)} s`
      const ratios = `${(seconds / baseSeconds).toFixed(2)} ${(cpu / baseCpu).toFixed(2)}`
      console.log(`${name.padEnd(8)} ${running.name.padEnd(9)}  ${figures}  ratios ${ratios}`)
    }
  }
  if (only === '' || only === 'writes')
    for (const running of all) {
      const { writes, health, refusedWrites } = await probeBeside(running)
      const figures = [0.5, 0.99, 1].map(part => `${percentile(writes, part).toFixed(0)}`).join(' / ')
      const waits = [0.5, 0.999, 1].map(part => `${percentile(health, part).toFixed(0)}`).join(' / ')
      console.log(
        `beside all heavy queries, ${running.name}: ${writes.length} writes p50/p99/max ${figures} ms, ` +
          `refused ${refusedWrites}; /health p50/p99.9/max ${waits} ms`,
      )
    }
} finally {
  for (const { child, directory } of all) {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}
