/**
 * What a month on an object store costs in requests, and the bytes that are put: a whole Tercet in virtual time, with a
 * steady load, before a bucket that counts.
 *
 *   node bench/prices.ts [--minutes=100] [--rate=1] [--durability=local,bucket] [--skip=10] [--json] [--KEY=VALUE …]
 *
 * `rate` 1 is 10,000 samples, 1 MB of lines and 500 spans a second. What is counted begins after `skip` minutes; the
 * month is that times as much. Storage is not in it.
 */
import '../test/simulation/synchronous-zlib.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryBucket } from '#bucket/directory.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { bucketOperations } from '#bucket/store-requests.ts'
import { systemClock } from '#core/clock.ts'
import { systemFiles } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { SettlingClock } from '#core/settling-clock.ts'
import type { SignalName } from '#core/signal-name.ts'
import { LogsEngine } from '#logs/engine.ts'
import { MetricsEngine } from '#metrics/engine.ts'
import { TracesEngine } from '#traces/engine.ts'
import { decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { defaultTenants } from '../src/api/tenancy.ts'
import { withCache } from '../src/app/buckets.ts'
import { loadConfig } from '../src/app/config.ts'
import { startTercet, type Tercet } from '../src/app/tercet.ts'
import { systemWorld } from '../src/app/world.ts'
import { holdingTime } from '../src/library/held-calls.ts'
import { CountingBucket, dollarsOf, RequestLedger } from './counting-bucket.ts'
import { LineLoad, SampleLoad, SpanLoad } from './outage-load.ts'
import { figure, printRows, type ResultRow } from './result-row.ts'

const text = (name: string, fallback: string): string =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback
const own = ['minutes', 'rate', 'durability', 'skip']
const minutes = Number(text('minutes', '100'))
const skip = Number(text('skip', '10'))
const rate = Number(text('rate', '1'))
const settings = process.argv
  .filter(a => /^--[^=]+=/.test(a))
  .map(a => a.slice(2))
  .filter(a => !own.includes(a.split('=')[0]!))
const stepMs = 250
const scrapeMs = 15_000
const monthSeconds = 30 * 86_400
const bytesOfSpan = 190
/** Of lines, before they come again. */
const textBytes = 64e6
/** The run begins so long after that of a block of metrics, so that one is cut before it ends. */
const beginsAfterMs = 105 * 60_000
const blockMs = 7_200_000
const signals = ['metrics', 'logs', 'traces'] as const

interface Sent {
  samples: number
  lines: number
  lineBytes: number
  spans: number
}

interface Engines {
  metrics: MetricsEngine
  logs: LogsEngine
  traces: TracesEngine
}

function enginesOf({ signals: all }: Tercet): Engines {
  const [metrics, logs, traces] = ['metrics', 'logs', 'traces'].map(name => all.find(one => one.name === name))
  if (!(metrics instanceof MetricsEngine) || !(logs instanceof LogsEngine) || !(traces instanceof TracesEngine))
    throw new Error('a signal is missing')
  return { metrics, logs, traces }
}

class Load {
  readonly #samples = new SampleLoad(Math.round(10_000 * rate * (scrapeMs / 1000)))
  readonly #lines = new LineLoad(rate * 1e6 * (stepMs / 1000), textBytes)
  readonly #spans = new SpanLoad(500 * rate * bytesOfSpan * (stepMs / 1000), stepMs)
  readonly sent: Sent = { samples: 0, lines: 0, lineBytes: 0, spans: 0 }
  readonly refused: string[] = []
  #n = 0

  /** Pushes what came in one step; nobody waits for what was pushed before. */
  push({ metrics, logs, traces }: Engines, timeMs: number): void {
    const watch = (work: Promise<unknown>): void => {
      work.catch((error: unknown) => this.refused.push(String(error)))
    }
    const parts = scrapeMs / stepMs
    const part = this.#n % parts
    const { series } = this.#samples
    const [from, to] = [part, part + 1].map(i => Math.round((series * i) / parts))
    const samples = this.#samples.batch(timeMs, Math.floor(this.#n++ / parts), from, to)
    this.sent.samples += samples.sampleCount
    watch(metrics.append(defaultTenants.metrics, samples))
    const lines = this.#lines.batch(timeMs, stepMs)
    this.sent.lines += lines.count
    for (let i = 0; i < lines.count; i++) this.sent.lineBytes += lines.lineTo[i]! - lines.lineFrom[i]!
    watch(logs.append(defaultTenants.logs, lines))
    for (const { message, spans } of this.#spans.messages(timeMs)) {
      this.sent.spans += spans
      watch(traces.append(defaultTenants.traces, decodeOtlpTraces(message, true), message))
    }
  }
}

/** Problems are printed once each. */
function problemsOf(): Log {
  const seen = new Set<string>()
  const tell = (message: string, fields: unknown): void => {
    if (seen.has(message)) return
    seen.add(message)
    console.error(message, JSON.stringify(fields))
  }
  return { debug: () => {}, info: () => {}, warn: tell, error: tell }
}

async function measure(durability: string): Promise<ResultRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-prices-'))
  const clock = new SettlingClock(Math.floor(Date.now() / blockMs) * blockMs + beginsAfterMs)
  const ledger = new RequestLedger()
  const flags = [
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    'listen.otlp_grpc=off',
    'workers=0',
    `data_dir=${directory}/data`,
    `durability=${durability}`,
    'self_scrape=false',
    'self_trace=false',
    ...settings,
  ]
  const config = loadConfig({ environment: {}, flags })
  const heldFiles = holdingTime(systemFiles, clock)
  const openAppend: typeof systemFiles.openAppend = async path => holdingTime(await heldFiles.openAppend(path), clock)
  const files = { ...heldFiles, openAppend }
  const world = {
    ...systemWorld(problemsOf()),
    clock,
    realClock: systemClock,
    files,
    memoryBytes: 2 * 1024 * 1024 * 1024,
  }
  const buckets = new Map<SignalName, Bucket>()
  for (const signal of signals) {
    const counted = new CountingBucket(new DirectoryBucket(`${directory}/bucket/${signal}`), signal, ledger, clock)
    buckets.set(signal, holdingTime<Bucket>(await withCache(config, world, signal, counted), clock))
  }
  const tercet = await startTercet(config, { ...world, bucketOf: signal => buckets.get(signal)! }, {})
  const engines = enginesOf(tercet)
  const load = new Load()
  let before: Sent = { ...load.sent }
  const startedMs = clock.nowMs()
  for (let step = 0; step < (minutes * 60_000) / stepMs; step++) {
    if (step === (skip * 60_000) / stepMs) {
      ledger.clear()
      before = { ...load.sent }
    }
    const timeMs = startedMs + step * stepMs
    load.push(engines, timeMs)
    const behindMs = timeMs + stepMs - clock.nowMs()
    if (behindMs > 0) await clock.advance(behindMs)
    if (step % 2400 === 2399)
      console.error(`${durability}: ${(step + 1) / 240} min, ${process.cpuUsage().user / 1e6} s`)
  }
  if (load.refused.length > 0) console.error(`${load.refused.length} refused: ${load.refused[0]!}`)
  const rows = rowsOf(durability, ledger, (minutes - skip) * 60, load.sent.lineBytes - before.lineBytes)
  const closing = tercet.close()
  let isClosed = false
  closing.finally(() => (isClosed = true)).catch(() => {})
  while (!isClosed) await clock.advance(100)
  await closing
  rmSync(directory, { recursive: true, force: true })
  return rows
}

function rowsOf(durability: string, ledger: RequestLedger, seconds: number, lineBytes: number): ResultRow[] {
  const perMonth = monthSeconds / seconds
  const all = ledger.all()
  const dollars = (of: typeof all): number => of.reduce((sum, one) => sum + dollarsOf(one), 0) * perMonth
  const bytes = (of: typeof all): number => of.reduce((sum, one) => sum + (one.request === 'put' ? one.bytes : 0), 0)
  const isLog = ({ key }: { key: string }): boolean => /^(log segment|log link|joined links)$/.test(key)
  const ofLogs = all.filter(one => one.signal === 'logs')
  const where = `durability ${durability}`
  const row = (work: string, unit: string, value: number, note = ''): ResultRow => ({
    work: `${work}, ${where}`,
    unit,
    values: { tercet: value },
    note,
  })
  const kinds = bucketOperations.map(kind => `${kind} ${figure(ledger.count(kind) / (seconds / 60))}`).join(', ')
  if (!process.argv.includes('--json')) printDetails(where, all, perMonth, seconds)
  return [
    row('a month on S3', '$', dollars(all), `requests a minute: ${kinds}`),
    row('bytes put of lines', 'bytes a byte of lines', bytes(ofLogs) / lineBytes),
    row('of these log', 'bytes a byte of lines', bytes(ofLogs.filter(isLog)) / lineBytes),
    row('bytes put of all signals', 'bytes a byte of lines', bytes(all) / lineBytes),
    row('of these log', 'bytes a byte of lines of all signals', bytes(all.filter(isLog)) / lineBytes),
  ]
}

function printDetails(where: string, all: ReturnType<RequestLedger['all']>, perMonth: number, seconds: number): void {
  console.log(
    `\n${where}:\n\n| signal | request | key | a minute | MB a minute | $ a month |\n|---|---|---|---:|---:|---:|`,
  )
  for (const one of all) {
    const minute = seconds / 60
    const cells = [figure(one.count / minute), figure(one.bytes / 1e6 / minute), figure(dollarsOf(one) * perMonth)]
    console.log(`| ${one.signal} | ${one.request} | ${one.key} | ${cells.join(' | ')} |`)
  }
}

const rows: ResultRow[] = []
for (const durability of text('durability', 'local,bucket').split(',')) rows.push(...(await measure(durability)))
printRows(rows, `${minutes - skip} minutes of virtual time at ${rate} times the load`)
process.exit()
