/**
 * A server inside the limits of the documents: in a control group of 500m CPU and 512 MiB it scrapes 200 targets of
 * 500 series each every 15 s (the load of req-100), takes in log lines, and answers LogQL over 24 hours within 3 s
 * (req-131, req-146).
 *
 *   node bench/limits.ts [--minutes=10] [--targets=200] [--series=500] [--interval=15] [--lines=200000] [--pace=50]
 *     [--cpu=0.5] [--memory=512] [--hits=0] [--warm=2] [--program=dist/program/main.js]
 *
 * `--lines`: of the day before, pushed first; `--pace`: lines a second beside. The last lines are bars; one that is not
 * met makes the exit code 1.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { below, seededRandom } from '#core/random.ts'
import { costOf } from './process-cost.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { Cgroup } from './cgroup.ts'
import { startExporters } from './exporters.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const mebibyte = 1024 ** 2
const dayMs = 86_400_000
const intervalMs = option('interval', 15) * 1000
const minutes = option('minutes', 10)
const random = seededRandom(5)

function program(): string {
  const given = process.argv.find(a => a.startsWith('--program='))?.slice('--program='.length)
  if (given !== undefined) return given
  execFileSync(process.execPath, ['tools/build-program.ts'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return 'dist/program/main.js'
}

const exporters = await startExporters({ targets: option('targets', 200), series: option('series', 500), intervalMs })
const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-limits-'))
writeFileSync(`${directory}/prometheus.yml`, exporters.prometheusYaml({}, false))
const group = Cgroup.make(`tercet-server-${process.pid}`, {
  cores: option('cpu', 0.5),
  memoryBytes: option('memory', 512) * mebibyte,
})
const [command, args] = group.command(process.execPath, [
  ...process.execArgv,
  program(),
  'up',
  '--listen.http=127.0.0.1:0',
  '--listen.otlp_http=off',
  '--listen.otlp_grpc=off',
  `--scrape_config_file=${directory}/prometheus.yml`,
  `--data_dir=${directory}/data`,
])
const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: directory } })
let end: string | undefined
const exited = new Promise<void>(resolve =>
  child.once('exit', (code, signal) => {
    end = signal ?? `exit code ${code}`
    resolve()
  }),
)
const url = await listeningUrl(child)
const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const startedMs = Date.now()
let lines = 0

/** Lines of eight applications, at times from `fromMs` on, `stepMs` apart. */
async function push(count: number, fromMs: number, stepMs: number): Promise<void> {
  const streams = Array.from({ length: 8 }, (_, app) => ({
    stream: { app: `app-${app}`, namespace: 'bench' },
    values: [] as [string, string][],
  }))
  for (let i = 0; i < count; i++) {
    const level = below(random, 20) === 0 ? 'error' : 'info'
    streams[i % 8]!.values.push([
      String(BigInt(Math.round((fromMs + i * stepMs) * 1000)) * 1000n),
      `level=${level} path=/api/orders/${below(random, 1000)} status=200 ` +
        `duration=${below(random, 9000)}ms n=${lines++}`,
    ])
  }
  const body = JSON.stringify({ streams: streams.filter(({ values }) => values.length > 0) })
  for (;;) {
    const reply = await fetch(`${url}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    if (reply.ok) return
    if (reply.status !== 429 && reply.status !== 503) throw new Error(`${reply.status} ${await reply.text()}`)
    await sleep(1000)
  }
}

const logQueries = [
  '{namespace="bench"} |= "level=error"',
  'sum by (app) (count_over_time({namespace="bench"}[1h]))',
  'sum(rate({app="app-3"} |= "orders/17 " [1h]))',
]

async function ask(path: string, parameters: Record<string, string>): Promise<{ ms: number; body: unknown }> {
  const from = performance.now()
  const reply = await fetch(`${url}${path}?${new URLSearchParams(parameters).toString()}`)
  const body: unknown = await reply.json()
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${JSON.stringify(body)}`)
  return { ms: performance.now() - from, body }
}

function askLogs(query: string): Promise<{ ms: number }> {
  const now = Date.now()
  return ask('/loki/api/v1/query_range', { query, start: `${now - dayMs}000000`, end: `${now}000000`, step: '1800' })
}

const problems: string[] = []
function bar(what: string, value: number, most: number, unit = ''): void {
  const isMet = value <= most
  if (!isMet) problems.push(what)
  console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}: ${value}${unit}, at most ${most}${unit}`)
}
const percentile = (list: readonly number[], q: number): number =>
  Math.round(list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? NaN)
const resident = (kind: 'rssBytes' | 'peakBytes'): number =>
  end !== undefined ? 0 : costOf(child.pid!)[kind] / mebibyte

const logMs: number[] = []
const metricMs: number[] = []
/** Queries take turns: one every two seconds, as one dashboard asks. */
async function askAll(untilMs: number): Promise<void> {
  for (let i = 0; Date.now() < untilMs && end === undefined; i++) {
    logMs.push((await askLogs(logQueries[i % logQueries.length]!)).ms)
    const query = `sum by (code) (rate(bench_requests_total{job="job-${i % 10}"}[1m]))`
    metricMs.push((await ask('/api/v1/query', { query })).ms)
    await sleep(2000)
  }
}
async function pushAll(untilMs: number): Promise<void> {
  const pace = option('pace', 50)
  while (Date.now() < untilMs && end === undefined) {
    const from = Date.now()
    await push(pace, from, 1000 / pace)
    await sleep(Math.max(0, 1000 - (Date.now() - from)))
  }
}

try {
  const wanted = option('lines', 200_000)
  const perPush = 2000
  const stepMs = dayMs / wanted
  for (let i = 0; i < wanted; i += perPush) await push(perPush, startedMs - dayMs + i * stepMs, stepMs)
  console.log(`${wanted} lines of a day are there after ${((Date.now() - startedMs) / 1000).toFixed(0)} s`)
  const untilMs = Date.now() + minutes * 60_000
  const load = Promise.all([askAll(untilMs), pushAll(untilMs)])
  for (let minute = 1; minute <= minutes && end === undefined; minute++) {
    await sleep(60_000)
    const all = group.counters()
    const shown = (bytes: number): string => (bytes / mebibyte).toFixed(0)
    console.log(
      `${String(minute).padStart(3)} min: RSS ${resident('rssBytes').toFixed(0)} MiB, group ${shown(all.usageBytes)} ` +
        `(anonymous ${shown(all.anonymousBytes)}, files ${shown(all.fileBytes)}), at the limit ${all.limitHits}×, ` +
        'CPU ' +
        `${all.cpuSeconds.toFixed(0)} s, throttled ${all.throttledPeriods}×, ${exporters.scrapes} scrapes`,
    )
    if (minute === option('warm', 2)) console.log(`scrapes missed while it started: ${exporters.takeMissed()}`)
  }
  await load
  exporters.stopGiving()
  await sleep(3000)
  const count = async (path: string, query: string): Promise<number> => {
    const { body } = await ask(path, { query })
    return Number((body as { data: { result: { value: [number, string] }[] } }).data.result[0]?.value[1] ?? 0)
  }
  const range = `${Math.ceil((Date.now() - startedMs) / 1000) + 60}s`
  const samples = await count('/api/v1/query', `sum(count_over_time(bench_requests_total[${range}]))`)
  const found = await count('/loki/api/v1/query', 'sum(count_over_time({namespace="bench"}[25h]))')
  bar(`processes that ended by themselves (${end ?? 'none'})`, end === undefined ? 0 : 1, 0)
  bar('scrapes that did not come once it had started', exporters.takeMissed(), 0)
  bar('samples lost', exporters.givenSamples - samples, 0)
  bar('lines lost', lines - found, 0)
  bar('LogQL over 24 h, 95th percentile', percentile(logMs, 0.95), 3000, ' ms')
  bar('PromQL beside it, 95th percentile', percentile(metricMs, 0.95), 3000, ' ms')
  bar('resident memory at its peak', Math.round(resident('peakBytes')), option('memory', 512), ' MiB')
  const { limitHits, oomKills } = group.counters()
  bar('times at the limit of memory', limitHits, option('hits', 0))
  bar('processes killed for memory', oomKills, 0)
} finally {
  child.kill('SIGTERM')
  await exited
  group.remove()
  await exporters.close()
  rmSync(directory, { recursive: true, force: true })
}
if (problems.length > 0) process.exitCode = 1
