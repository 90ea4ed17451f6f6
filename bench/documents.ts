/**
 * What the documents say of speed, as bars: one process, fixed sets of queries, paced writes.
 *
 *   node bench/documents.ts [--minutes=1] [--series=1000] [--step=120] [--lines=300000] [--traces=5000] [--only=TEXT]
 *
 * Rows: 10,000 samples a second are taken with a 95th percentile below 100 ms (req-055); queries over 7 days below 2 s
 * (req-056), below 3 s under /prometheus (req-134, req-156); lines of 24 hours below 1 s (req-057) and 3 s on an alias
 * as Grafana asks (req-131, req-146); /insert/jsonline below 50 ms (req-059); a trace just written below 5 s by its id
 * and by TraceQL (req-133, req-151); any signal over 24 hours below 5 s (req-165); 10 MB a second of each signal, alone
 * and together, with nothing lost (req-166); lines a second and core, which is reported (req-007). A bar that is not
 * met makes the exit code 1. Times count from when a request was due.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { below, seededRandom } from '#core/random.ts'
import type { ResourceSpans } from '#model/trace.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { costOf } from './process-cost.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { bodies, labelBytes } from './load.ts'
import { freePort } from '../test/free-port.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const only = process.argv.find(a => a.startsWith('--only='))?.slice('--only='.length) ?? ''
const seconds = option('minutes', 1) * 60
const megabyte = 1e6
const dayMs = 86_400_000
const random = seededRandom(9)
const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-documents-'))
const lokiPort = await freePort()
const child = spawn(
  process.execPath,
  [
    ...process.execArgv,
    'src/app/main.ts',
    'up',
    `--data_dir=${directory}`,
    '--listen.http=127.0.0.1:0',
    '--listen.otlp_http=off',
    '--listen.otlp_grpc=off',
    `--listen.aliases=127.0.0.1:${lokiPort}`,
    '--self_scrape=false',
    '--metrics.out_of_order_window=inf',
    '--metrics.retention=inf',
    '--log.level=warn',
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
const url = await listeningUrl(child)
const lokiUrl = `http://127.0.0.1:${lokiPort}`
const cpuSeconds = (): number => costOf(child.pid!).cpuSeconds

const problems: string[] = []
function bar(what: string, value: number, most: number, unit = ''): void {
  const isMet = value <= most
  if (!isMet) problems.push(what)
  console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}: ${Math.round(value)}${unit}, at most ${most}${unit}`)
}
function percentile(list: readonly number[], q: number): number {
  return list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? Infinity
}

type Body = string | Uint8Array
const snappy = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
const json = { 'content-type': 'application/json' }
const protobuf = { 'content-type': 'application/x-protobuf' }

/** Sends until it is taken: what is asked to wait is sent again. */
async function send(path: string, body: Body, headers: Record<string, string>): Promise<void> {
  for (;;) {
    const reply = await fetch(url + path, { method: 'POST', body: Buffer.from(body as Uint8Array), headers })
    const text = await reply.text()
    if (reply.ok) return
    if (reply.status !== 429 && reply.status !== 503) throw new Error(`${path}: ${reply.status} ${text}`)
    await sleep(1000 * Number(reply.headers.get('retry-after') ?? 1))
  }
}
async function ask<T>(address: string, parameters: Record<string, string>): Promise<{ ms: number; body: T }> {
  const from = performance.now()
  const reply = await fetch(`${address}?${new URLSearchParams(parameters).toString()}`)
  const body = (await reply.json()) as T
  if (!reply.ok) throw new Error(`${address}: ${reply.status} ${JSON.stringify(body)}`)
  return { ms: performance.now() - from, body }
}
/** Each question some times: the 95th percentile, cold ones included. */
async function p95(questions: readonly (() => Promise<{ ms: number }>)[], rounds = 5): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) for (const question of questions) times.push((await question()).ms)
  return percentile(times, 0.95)
}
/** `perSecond` requests a second from now on; the milliseconds of each from when it was due. */
async function paced(forSeconds: number, perSecond: number, request: (i: number) => Promise<void>): Promise<number[]> {
  const times: number[] = []
  const pending: Promise<void>[] = []
  const startedMs = performance.now()
  for (let i = 0; i < forSeconds * perSecond; i++) {
    const dueMs = startedMs + (i * 1000) / perSecond
    await sleep(Math.max(0, dueMs - performance.now()))
    pending.push(request(i).then(() => void times.push(performance.now() - dueMs)))
  }
  await Promise.all(pending)
  return times
}

interface Vector {
  data: { result: { value: [number, string] }[] }
}
async function countOf(path: string, query: string): Promise<number> {
  const { body } = await ask<Vector>(url + path, { query })
  return Number(body.data.result[0]?.value[1] ?? 0)
}

async function metrics(): Promise<void> {
  const now = Date.now()
  const stepMs = option('step', 120) * 1000
  const steps = Math.floor((7 * dayMs) / stepMs)
  const series = option('series', 1000)
  const keys = Array.from({ length: series }, (_, i) => labelBytes(i * 10 + 4))
  const shape = { series, seriesPerBody: 1000, startMs: now - steps * stepMs, stepMs }
  for (let step = 0; step < steps; step++)
    for (const body of bodies(keys, shape, step)) await send('/api/v1/write', body, snappy)
  await send('/-/flush', '', {})
  const over = (days: number, prefix: string, query: string) => () =>
    ask(`${url}${prefix}/api/v1/query_range`, {
      query,
      start: String(now / 1000 - days * 86_400),
      end: String(now / 1000),
      step: String((days * 86_400) / 500),
    })
  const queries = [
    'sum by (job) (rate(bench_http_requests_total_4[10m]))',
    'topk(5, sum by (handler) (increase(bench_http_requests_total_4[1h])))',
    'max(bench_http_requests_total_4{code="500"}) by (namespace)',
    'histogram_quantile(0.9, sum by (code) (rate(bench_http_requests_total_4[30m])))',
  ]
  const week = (prefix: string): (() => Promise<{ ms: number }>)[] => queries.map(query => over(7, prefix, query))
  bar(`req-056 7 days of ${series} series, p95`, await p95(week('')), 2000, ' ms')
  bar('req-134 req-156 the same under /prometheus, p95', await p95(week('/prometheus')), 3000, ' ms')
  bar('req-165 metrics of 24 hours, p95', await p95(queries.map(query => over(1, '', query))), 5000, ' ms')

  const live = Array.from({ length: 10_000 }, (_, i) => labelBytes(i + 500_000))
  const startMs = Date.now()
  const all = Array.from({ length: Math.min(seconds, 30) }, (_, second) => [
    ...bodies(live, { series: 10_000, seriesPerBody: 500, startMs, stepMs: 1000 }, second),
  ]).flat()
  const times = await paced(all.length / 20, 20, i => send('/api/v1/write', all[i]!, snappy))
  bar('req-055 10,000 samples a second, p95', percentile(times, 0.95), 100, ' ms')
}

const levels = ['info', 'info', 'info', 'warn', 'error'] as const
let lineNumber = 0
function line(): string {
  return (
    `level=${levels[below(random, levels.length)]!} caller=http.go:${below(random, 400)} msg="request done" ` +
    `path=/api/orders/${below(random, 1000)} status=${[200, 404, 500][below(random, 3)]!} ` +
    `duration=${below(random, 9000)}ms user=${below(random, 50_000)} n=${lineNumber++}`
  )
}
/** A push of so many lines from `fromMs` on, and the bytes of its lines. */
function pushOf(count: number, fromMs: number, stepMs: number, job: string): { body: string; bytes: number } {
  let bytes = 0
  const streams = Array.from({ length: 4 }, (_, app) => ({
    stream: { job, app: `app-${app}` },
    values: [] as [string, string][],
  }))
  for (let i = 0; i < count; i++) {
    const text = line()
    bytes += text.length
    streams[i % 4]!.values.push([String(BigInt(Math.round((fromMs + i * stepMs) * 1000)) * 1000n), text])
  }
  return { body: JSON.stringify({ streams }), bytes }
}

async function logs(): Promise<void> {
  const wanted = option('lines', 300_000)
  const now = Date.now()
  const stepMs = dayMs / wanted
  const [cpuFrom, from] = [cpuSeconds(), performance.now()]
  let bytes = 0
  for (let i = 0; i < wanted; i += 2000) {
    const push = pushOf(2000, now - dayMs + i * stepMs, stepMs, 'day')
    bytes += push.bytes
    await send('/loki/api/v1/push', push.body, json)
  }
  await send('/-/flush', '', {})
  const perCore = bytes / megabyte / (cpuSeconds() - cpuFrom)
  const perSecond = bytes / megabyte / ((performance.now() - from) / 1000)
  console.log(`       req-007 ${perCore.toFixed(1)} MB of lines a second of a core, ${perSecond.toFixed(1)} a second`)
  const queries = [
    '{job="day"} |= "status=500" |= "orders/17 "',
    '{job="day", app="app-2"} | logfmt | duration > 8990ms',
    'sum by (app) (count_over_time({job="day"} |= "level=error" [1h]))',
    'topk(3, sum by (path) (rate({job="day"} | logfmt | status="404" | keep path [6h])))',
  ]
  const over = (address: string) =>
    queries.map(query => () => {
      const range = { start: `${now - dayMs}000000`, end: `${now}000000`, step: '900', limit: '1000' }
      return ask(`${address}/loki/api/v1/query_range`, { query, ...range })
    })
  const found = await countOf('/loki/api/v1/query', 'sum(count_over_time({job="day"}[25h]))')
  bar('lines of the day that are missing', wanted - found, 0)
  bar(`req-057 24 hours of ${wanted} lines, p95`, await p95(over(url)), 1000, ' ms')
  bar('req-131 req-146 the same on the alias, p95', await p95(over(lokiUrl)), 3000, ' ms')
  bar('req-165 lines of 24 hours, p95', await p95(over(lokiUrl), 2), 5000, ' ms')

  const inserts = await paced(Math.min(seconds, 20), 20, async () => {
    const rows = Array.from({ length: 50 }, () =>
      JSON.stringify({ _time: new Date().toISOString(), app: 'j', _msg: line() }),
    )
    await send('/insert/jsonline?_stream_fields=app', rows.join('\n'), json)
  })
  bar('req-059 /insert/jsonline, p95', percentile(inserts, 0.95), 50, ' ms')
}

const none = new Uint8Array(0)
const service = { kind: 'string', value: 'bench' } as const
/** One trace of so many spans, with its id as text. */
function traceOf(spans: number, padding: string): { id: string; resource: ResourceSpans } {
  const traceId = Uint8Array.from({ length: 16 }, () => 1 + below(random, 255))
  const startNs = BigInt(Date.now()) * 1_000_000n
  const all = Array.from({ length: spans }, (_, i) => ({
    traceId,
    spanId: Uint8Array.from({ length: 8 }, () => 1 + below(random, 255)),
    parentSpanId: none,
    traceState: '',
    flags: 1,
    name: `step ${i}`,
    kind: 2,
    startNs,
    endNs: startNs + 5_000_000n,
    attributes: [
      { key: 'http.status_code', value: { kind: 'int', value: BigInt([200, 404, 500][i % 3]!) } as const },
      { key: 'http.url', value: { kind: 'string', value: `http://x.local/${below(random, 1000)}${padding}` } as const },
    ],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
  }))
  const scope = { name: 'bench', version: '1', attributes: [], dropped: 0 }
  return {
    id: Buffer.from(traceId).toString('hex'),
    resource: {
      resource: { attributes: [{ key: 'service.name', value: service }], dropped: 0 },
      schemaUrl: '',
      scopes: [{ scope, schemaUrl: '', spans: all }],
    },
  }
}

async function traces(): Promise<void> {
  const wanted = option('traces', 5000)
  let last = ''
  for (let i = 0; i < wanted; i += 100) {
    const batch = Array.from({ length: 100 }, () => traceOf(8, ''))
    last = batch.at(-1)!.id
    await send('/v1/traces', encodeOtlpTraces({ resources: batch.map(({ resource }) => resource) }), protobuf)
  }
  await send('/-/flush', '', {})
  const recent = traceOf(8, '-recent')
  await send('/v1/traces', encodeOtlpTraces({ resources: [recent.resource] }), protobuf)
  const now = Math.floor(Date.now() / 1000)
  const search = (q: string) => () =>
    ask(`${url}/api/search`, { q, start: String(now - 86_400), end: String(now + 60), limit: '20' })
  const byId = (id: string) => () => ask(`${url}/api/traces/${id}`, {})
  const found = await ask<{ traces: unknown[] }>(`${url}/api/search`, { q: '{ span.http.url =~ ".*-recent" }' })
  bar('req-151 a trace just written that TraceQL does not find', found.body.traces.length === 1 ? 0 : 1, 0)
  const recents = [byId(recent.id), search('{ span.http.url =~ ".*-recent" }')]
  bar('req-133 req-151 a trace just written, by id and TraceQL, p95', await p95(recents), 5000, ' ms')
  const day = [
    byId(last),
    search('{ span.http.status_code = 500 }'),
    search('{ resource.service.name = "bench" } >> { name = "step 7" }'),
  ]
  bar('req-165 traces of 24 hours, p95', await p95(day), 5000, ' ms')
}

const signals = ['metrics', 'logs', 'traces'] as const
type SignalName = (typeof signals)[number]

/** 10 MB a second of each of these signals for so long, and what came out beside what went in. */
async function rates(names: readonly SignalName[], forSeconds: number): Promise<void> {
  const name = names.join(' and ')
  const run = `rate-${names.join('-')}`
  const sent = { metrics: 0, logs: 0, traces: 0 }
  const bytes = { metrics: 0, logs: 0, traces: 0 }
  const bodiesASecond = 10
  const bodyBytes = (10 * megabyte) / bodiesASecond
  const keys = Array.from({ length: 3900 }, (_, i) => labelBytes(i + 900_000 + names.length * 100_000))
  const startMs = Date.now()
  const padding = 'p'.repeat(120)
  const sendOne: Record<SignalName, (i: number) => Promise<void>> = {
    metrics: async i => {
      const [body] = bodies(keys, { series: keys.length, seriesPerBody: keys.length, startMs, stepMs: 100 }, i)
      sent.metrics += keys.length
      // Raw: labels and samples as they are before snappy packs them.
      bytes.metrics += keys.reduce((sum, key) => sum + key.length + 18, 0)
      await send('/api/v1/write', body!, snappy)
    },
    logs: async () => {
      const push = pushOf(Math.floor(bodyBytes / 118), Date.now(), 0.01, run)
      sent.logs += Math.floor(bodyBytes / 118)
      bytes.logs += push.bytes
      await send('/loki/api/v1/push', push.body, json)
    },
    traces: async () => {
      const body = encodeOtlpTraces({
        resources: Array.from({ length: 125 }, () => traceOf(32, padding).resource),
      })
      sent.traces += 125 * 32
      bytes.traces += body.length
      await send('/v1/traces', body, protobuf)
    },
  }
  const spansBefore = await spansTaken()
  const times = await Promise.all(names.map(signal => paced(forSeconds, bodiesASecond, i => sendOne[signal](i))))
  const took = Math.max(...times.map(list => percentile(list, 1))) / 1000
  for (const signal of names)
    console.log(`       ${signal}: ${(bytes[signal] / megabyte / forSeconds).toFixed(1)} MB a second were offered`)
  bar(`req-166 10 MB/s of ${name}: seconds behind at most`, took, forSeconds)
  const range = `${forSeconds + 600}s`
  if (names.includes('metrics')) {
    const pods = `instance=~"10[.]0[.].*", cluster!=""`
    const found = await countOf('/api/v1/query', `sum(count_over_time({__name__=~"bench_http.*", ${pods}}[${range}]))`)
    bar(`req-166 samples lost (${sent.metrics} sent)`, Math.max(0, sent.metrics - found), 0)
  }
  if (names.includes('logs')) {
    const found = await countOf('/loki/api/v1/query', `sum(count_over_time({job="${run}"}[${range}]))`)
    bar(`req-166 lines lost (${sent.logs} sent)`, sent.logs - found, 0)
  }
  if (names.includes('traces'))
    bar(`req-166 spans lost (${sent.traces} sent)`, sent.traces - ((await spansTaken()) - spansBefore), 0)
}

async function spansTaken(): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^tercet_spans_appended_total\S* (\S+)$/m.exec(text)?.[1] ?? NaN)
}

const parts: Readonly<Record<string, () => Promise<void>>> = {
  metrics,
  logs,
  traces,
  ...Object.fromEntries(signals.map(name => [`rate of ${name}`, () => rates([name], Math.min(seconds, 20))])),
  'rate of all': () => rates(signals, Math.min(seconds, 20)),
}
try {
  for (const [name, run] of Object.entries(parts)) {
    if (!name.includes(only)) continue
    console.log(name)
    await run()
  }
} finally {
  child.kill('SIGTERM')
  await exited
  rmSync(directory, { recursive: true, force: true })
}
if (problems.length > 0) process.exitCode = 1
