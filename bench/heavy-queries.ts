/**
 * Queries within the default limits that hold a process longest: wall, CPU, the longest time for which the event loop
 * was held (and how much of the CPU that was), and how far the memory grew.
 *
 *   node --expose-gc bench/heavy-queries.ts [--only=A|B|C|TEXT] [--series=20000] [--lines=600000] [--spans=30000]
 *
 * Three stores in memory, filled by the appenders: A, series with 480 samples each, 15 s apart; B, log lines of a day;
 * C, one trace. Each query runs once, after a collection of garbage. A query that ends in an error shows its message.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { defaultLimits } from '#core/limits.ts'
import { systemClock } from '#core/clock.ts'
import { below, seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { nsOfMs } from '#lang/logsql/times.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import type { LogsReader } from '#logs/select.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { LogqlEngine } from '#query/logql/engine.ts'
import { LogsqlEngine, rangeOfMs } from '#query/logsql/engine.ts'
import { TraceSearch } from '#query/traceql/search.ts'
import type { Span, Trace } from '#model/trace.ts'
import type { TracesReader } from '#traces/select.ts'
import { encodeOtlpTraces, decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { makeHeadStore, scriptEngine } from '../test/head-store.ts'
import { driving, openLogs, openTraces } from '../test/signal-worlds.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const only = process.argv.find(a => a.startsWith('--only='))?.slice(7) ?? ''
const random = seededRandom(17)
const startMs = 1_700_006_400_000
const samples = 480
const stepMs = 15_000

/** A query and what it runs over. */
interface Case {
  name: string
  run: (signal: AbortSignal) => Promise<unknown>
}

// --- A: series ---

function fillMetrics(): MetricsReader {
  const store = makeHeadStore()
  const series = option('series', 20_000)
  for (let i = 0; i < series; i++) {
    const labels = Labels.fromObject({
      __name__: 'm',
      instance: `10.0.${i >>> 8}.${i & 255}:9100`,
      job: `job-${i % 20}`,
      pod: `pod-${i}`,
    })
    const points = Array.from({ length: samples }, () => below(random, 1_000_000) / 8)
    store.load({ labels, points }, stepMs)
  }
  return store.reader()
}

function metricCases(reader: MetricsReader): Case[] {
  const endMs = (samples - 1) * stepMs
  const range = (query: string): Case => ({
    name: query,
    run: signal => scriptEngine.range(reader, { query, startMs: 0, endMs, stepMs, signal }),
  })
  const instant = (query: string): Case => ({
    name: `${query}, instant`,
    run: signal => scriptEngine.instant(reader, query, endMs, { signal }),
  })
  return [
    ...['sum(m)', 'm', 'm + m', 'm or m', 'm and m', 'm > 0', '-m', 'm * on(pod) group_left m', 'stddev(m)'].map(range),
    ...['quantile(0.9, m)', 'topk(5, m)', 'topk(1e9, m)', 'bottomk(5, m)', 'limitk(1e9, m)', 'limit_ratio(0.5, m)'].map(
      range,
    ),
    ...['count_values("v", round(m / 100))', 'count_values("v", m)', 'count by (pod) (m)', 'sort(m)'].map(range),
    ...['histogram_quantile(0.9, m)', 'label_replace(m, "x", "$1", "pod", "(.*)")', 'absent(m)', 'abs(m)'].map(range),
    ...['max_over_time(m[1h])', 'quantile_over_time(0.9, m[10m])', 'rate(m[10m])'].map(range),
    ...['sort(m)', 'count_values("v", m)', 'topk(1e9, m)', 'sort_by_label(m, "pod")', 'm[2h]'].map(instant),
    ...['sum_over_time(m{pod="pod-1"}[2h:1ms])', 'max_over_time(sum(m{job="job-1"})[2h:1s])'].map(instant),
  ]
}

// --- B: lines ---

async function fillLogs(): Promise<LogsReader> {
  const clock = new VirtualClock(startMs + 86_400_000)
  const engine = await openLogs(clock, { headBytesMax: 2048 * 1024 * 1024 })
  const lines = option('lines', 600_000)
  const apps = Array.from({ length: 8 }, (_, i) => Labels.fromObject({ app: `app-${i}`, level: 'info' }))
  for (let from = 0; from < lines; from += 5000) {
    const builder = new LogBatchBuilder()
    for (let i = from; i < Math.min(lines, from + 5000); i++) {
      const ms = startMs + Math.floor((i * 86_400_000) / lines)
      const fields = `user=${below(random, 50_000)} latency=${below(random, 200_000) / 100}`
      const text = `level=info ${fields} path=/api/v1/${i % 97}`
      builder.add(apps[i % 8]!, ms, 0, text, [])
    }
    const batch = builder.build()
    batch.isVerbatim = true
    await driving(clock, engine.append('fake', batch))
  }
  return engine.reader('fake')
}

function logCases(reader: LogsReader): Case[] {
  const logql = new LogqlEngine(systemClock, defaultLimits, { seriesMax: 500, stepsMax: 20_000 })
  const logsql = new LogsqlEngine(systemClock, defaultLimits)
  const endMs = startMs + 86_400_000
  const metric = (query: string, step = 5000): Case => ({
    name: query,
    run: signal => {
      const expr = parseLogql(query)
      if (expr.kind === 'log') throw new Error('not a metric query')
      return logql.range(expr, startMs, endMs, step, reader, false, signal)
    },
  })
  const lines = (query: string): Case => ({
    name: query,
    run: signal => {
      const expr = parseLogql(query)
      if (expr.kind !== 'log') throw new Error('not a log query')
      const bounds = { fromMs: startMs, fromSubNs: 0, toMs: endMs, toSubNs: 0 }
      return logql.lines(expr, { bounds, limit: 5000, isBackward: true, intervalNs: 0 }, reader, signal)
    },
  })
  const rows = (query: string): Case => ({
    name: query,
    run: signal =>
      logsql.run(parseLogsql(query, nsOfMs(endMs)), rangeOfMs(startMs, endMs), reader, undefined, () => true, signal),
  })
  const unwrapped = '{level="info"} | logfmt latency | unwrap latency'
  const over = (op: string): Case => metric(`${op}_over_time(${unwrapped} [1h]) by (app)`)
  return [
    metric(`quantile_over_time(0.9, ${unwrapped} [1h]) by (app)`),
    ...['stddev', 'max', 'avg', 'sum', 'first'].map(op =>
      op === 'sum' ? metric(`sum by (app) (sum_over_time(${unwrapped} [1h]))`) : over(op),
    ),
    metric('sum(count_over_time({level="info"}[1h]))'),
    metric('topk(5, sum by (user) (count_over_time({level="info"} | logfmt user [1h])))', 3_600_000),
    lines('{level="info"} | logfmt | user > 49990'),
    lines('{level="info"} |~ "(l|a|t|e|n|c|y)+=[0-9]{1,20}x"'),
    rows('* | sort by (_msg)'),
    rows('* | sort by (_msg) limit 10'),
    rows('* | stats by (_msg) count()'),
    rows('* | uniq by (_msg)'),
    rows('* | stats quantile(0.9, _msg), count_uniq(_msg), uniq_values(_msg)'),
    rows('* | top 10 by (_msg)'),
    rows('* | field_values _msg'),
    rows('* | facets'),
    rows('* | unpack_logfmt | stats by (user) quantile(0.9, latency)'),
    lines('{level="info"} | line_format `{{Replace "abc" "" "y" 300000}}`'),
    lines('{app="app-1"} | line_format `{{range int 9999}}{{range int 9999}}{{end}}{{end}}`'),
  ]
}

// --- C: a trace ---

async function fillTraces(): Promise<TracesReader> {
  const clock = new VirtualClock(startMs + 3_600_000)
  const limits = {
    futureMs: 86_400_000,
    traceBytesMax: 100_000_000,
    attributeBytesMax: 65_536,
    attributesMax: 1000,
    requestSpansMax: 100_000,
    liveTracesMax: 100_000,
  }
  const engine = await openTraces(clock, { limits })
  const message = encodeOtlpTraces(treeOf(option('spans', 30_000)))
  await driving(clock, engine.append('fake', decodeOtlpTraces(message, true), message))
  return engine.reader('fake')
}

function idOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(size - 4, number)
  return bytes
}

/** Spans of a random tree: half of them below one of the last hundred, the others below any. */
function treeOf(count: number): Trace {
  const spans = Array.from({ length: count }, (_, i): Span => {
    const parent = i % 2 === 0 ? below(random, Math.max(1, i)) : Math.max(0, i - 1 - below(random, 100))
    const startNs = BigInt(startMs + i) * 1_000_000n
    return {
      traceId: idOf(1, 16),
      spanId: idOf(i + 1, 8),
      parentSpanId: i === 0 ? new Uint8Array(0) : idOf(parent + 1, 8),
      traceState: '',
      flags: 0,
      name: `operation-${i % 50}`,
      kind: i % 6,
      startNs,
      endNs: startNs + BigInt(1 + below(random, 1_000_000)),
      attributes: [],
      droppedAttributes: 0,
      events: [],
      droppedEvents: 0,
      links: [],
      droppedLinks: 0,
      statusCode: i % 3,
      statusMessage: '',
    }
  })
  const scope = { name: '', version: '', attributes: [], dropped: 0 }
  const scopes = [{ scope, schemaUrl: '', spans }]
  return { resources: [{ resource: { attributes: [], dropped: 0 }, schemaUrl: '', scopes }] }
}

function traceCases(reader: TracesReader): Case[] {
  const search = new TraceSearch(systemClock, defaultLimits)
  const operators = ['&~', '~', '!~', '>>', '&>>', '!>>', '<<', '&<<', '!<<', '>', '!>', '&>', '<', '!<', '&&', '||']
  const queries = [
    ...operators.map(op => `{ } ${op} { }`),
    '{ kind = server } >> { status = error }',
    '{ } | by(name) | count() > 1',
    '{ } | by(span:id) | count() > 0',
  ]
  return queries.map(query => ({
    name: query,
    run: signal => {
      const parsed = parseTraceql(query)
      if (parsed.kind !== 'search') throw new Error('not a search')
      const request = { ...parsed, fromMs: -Infinity, throughMs: Infinity, limit: 20, spansPerSet: 3 }
      return search.run(request, reader, signal)
    },
  }))
}

// --- Measuring ---

/** The longest time between two turns of the event loop, and the most memory that was seen at one. */
class Probe {
  #isRunning = true
  #lastMs = performance.now()
  #lastCpu = process.threadCpuUsage()
  longestMs = 0
  /** The same in time of the thread alone: what others on the machine do is not in it. */
  longestCpuMs = 0
  peakBytes = 0
  readonly #done: Promise<void>

  constructor() {
    this.#done = this.#watch()
  }

  async #watch(): Promise<void> {
    while (this.#isRunning) {
      this.#look()
      await turn()
    }
  }

  #look(): void {
    const now = performance.now()
    this.longestMs = Math.max(this.longestMs, now - this.#lastMs)
    this.#lastMs = now
    const { user, system } = process.threadCpuUsage(this.#lastCpu)
    this.longestCpuMs = Math.max(this.longestCpuMs, (user + system) / 1000)
    this.#lastCpu = process.threadCpuUsage()
    const { heapUsed, external } = process.memoryUsage()
    this.peakBytes = Math.max(this.peakBytes, heapUsed + external)
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    this.#look()
    await this.#done
  }
}

async function measure({ name, run }: Case): Promise<void> {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  const cpu = process.cpuUsage()
  const fromMs = performance.now()
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), option('timeout', 60) * 1000)
  const probe = new Probe()
  let problem = ''
  try {
    await run(abort.signal)
  } catch (error) {
    problem = `  ${error instanceof Error ? error.message.slice(0, 70) : String(error)}`
  }
  clearTimeout(timer)
  const wallMs = performance.now() - fromMs
  await probe.stop()
  const { user, system } = process.cpuUsage(cpu)
  const grownMb = Math.max(0, probe.peakBytes - heapUsed - external) / 1024 ** 2
  const numbers = [wallMs, (user + system) / 1000, probe.longestMs, probe.longestCpuMs, grownMb].map(n =>
    n.toFixed(0).padStart(8),
  )
  console.log(`${name.slice(0, 64).padEnd(64)}${numbers.join('')}${problem}`)
}

console.log(`${''.padEnd(64)} wall ms  CPU ms held ms  of CPU grown MB`)
for (const [what, cases] of [
  ['A', async () => metricCases(fillMetrics())],
  ['B', async () => logCases(await fillLogs())],
  ['C', async () => traceCases(await fillTraces())],
] as const) {
  if (only !== '' && only.length === 1 && only !== what) continue
  for (const one of await cases()) if (only.length <= 1 || one.name.includes(only)) await measure(one)
}
