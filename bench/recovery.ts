/**
 * A start from an empty disk, with 30 days in the bucket: seconds until it is ready, and memory.
 *
 *   node bench/recovery.ts [--scale=0.1] [--full] [--bucket=DIR]
 *
 * `--full` (scale 1): 1 M series-hours, 5 GB of lines, 10 M spans. The bucket is made first, by the engines under a
 * virtual clock; with `--bucket` it is kept there, and used again. Its last two hours are in the log alone, as after a
 * crash. Ends with 1 when a start took longer than 60 s or more than 512 MiB, or when answers are wrong.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryBucket } from '#bucket/directory.ts'
import { systemFiles } from '#core/files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { defaultTenants } from '../src/api/tenancy.ts'
import { costOf } from './process-cost.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { openLogs, openMetrics, openTraces } from '../test/signal-worlds.ts'
import { urlOf } from '../test/url.ts'
import { LineLoad, SampleLoad, SpanLoad } from './outage-load.ts'

const textOption = (name: string): string | undefined =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1]
const scale = process.argv.includes('--full') ? 1 : Number(textOption('scale') ?? 0.1)
const hours = 720
const logHours = 2
const hourMs = 3_600_000
const scrapeMs = 300_000
const megabyte = 1024 * 1024
const directory = mkdtempSync(join(tmpdir(), 'bench-recovery-'))
const bucket = textOption('bucket') ?? `${directory}/bucket`

interface Made {
  startMs: number
  endMs: number
  samples: number
  series: number
  lines: number
  spans: number
}

async function settled<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let isDone = false
  const watched = work.finally(() => {
    isDone = true
  })
  watched.catch(() => {})
  while (!isDone) {
    await Promise.race([watched.catch(() => {}), new Promise(resolve => setTimeout(resolve, 20))])
    if (!isDone) await clock.advance(5)
  }
  return watched
}

/** Thirty days of all signals, as the engines leave them. */
async function makeBucket(): Promise<Made> {
  const endMs = Math.floor(Date.now() / hourMs) * hourMs
  const startMs = endMs - hours * hourMs
  const clock = new VirtualClock(startMs)
  const worldOf = (signal: 'metrics' | 'logs' | 'traces') => ({
    bucket: new DirectoryBucket(`${bucket}/${signal}`),
    files: systemFiles,
    directory: `${directory}/made/${signal}`,
    defaultTenant: defaultTenants[signal],
    leaseMs: hourMs,
    headBytesMax: 128 * megabyte,
    cacheBytes: 16 * megabyte,
  })
  const metrics = await settled(clock, openMetrics(clock, worldOf('metrics')))
  const logs = await settled(clock, openLogs(clock, { ...worldOf('logs'), isBase64: true }))
  const traces = await settled(clock, openTraces(clock, { ...worldOf('traces'), compactBytesMax: 64 * megabyte }))
  const engines = [metrics, logs, traces]
  const samplesLoad = new SampleLoad(Math.max(1, Math.round((1e6 / hours) * scale)))
  const linesLoad = new LineLoad((5e9 / hours) * scale)
  const spansLoad = new SpanLoad((10e6 / hours) * scale * 190, hourMs)
  const made: Made = { startMs, endMs, samples: 0, series: samplesLoad.series, lines: 0, spans: 0 }
  for (let hour = 0; hour < hours; hour++) {
    const hourStartMs = startMs + hour * hourMs
    if (hour === hours - logHours) for (const engine of engines) await settled(clock, engine.flush())
    // What comes in lies in the hour that has passed.
    if (clock.nowMs() < hourStartMs + hourMs) await clock.advance(hourStartMs + hourMs - clock.nowMs())
    for (let n = 0; n < hourMs / scrapeMs; n++) {
      const batch = samplesLoad.batch(hourStartMs + n * scrapeMs, hour * (hourMs / scrapeMs) + n)
      made.samples += (await settled(clock, metrics.append(defaultTenants.metrics, batch))).stored
    }
    made.lines += (await settled(clock, logs.append(defaultTenants.logs, linesLoad.batch(hourStartMs, hourMs)))).stored
    for (const { message } of spansLoad.messages(hourStartMs))
      made.spans += (
        await settled(clock, traces.append(defaultTenants.traces, decodeOtlpTraces(message, true), message))
      ).stored
    for (let i = 0; i < 4; i++) for (const engine of engines) await settled(clock, engine.maintain())
    if (hour % 120 === 119) console.log(`made ${hour + 1} hours, ${(process.cpuUsage().user / 1e6) | 0} CPU-s`)
  }
  for (const engine of engines) await settled(clock, engine.close())
  return made
}

function sizeOf(root: string): { objects: number; bytes: number } {
  const sum = { objects: 0, bytes: 0 }
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) {
      sum.objects++
      sum.bytes += statSync(join(entry.parentPath, entry.name)).size
    }
  return sum
}

const peakMib = (pid: number): number => costOf(pid).peakBytes / 2 ** 20

let faults = 0
function expect(what: string, isRight: boolean): void {
  console.log(`${isRight ? 'ok   ' : 'FAULT'} ${what}`)
  if (!isRight) faults++
}

async function json<T>(url: string, path: string, parameters: Record<string, string>): Promise<T> {
  const reply = await fetch(urlOf(url, path, parameters))
  const text = await reply.text()
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${text}`)
  return JSON.parse(text) as T
}

interface Instant {
  data: { result: { value: [number, string] }[] }
}

/** Answers over the first day, and over the last one, part of which is in the log alone: readers do not have that. */
async function ask(url: string, made: Made, hasLog: boolean): Promise<void> {
  const { startMs, endMs, series, lines } = made
  const count = async (path: string, query: string, atMs: number): Promise<number> =>
    Number((await json<Instant>(url, path, { query, time: String(atMs / 1000) })).data.result[0]?.value[1] ?? 0)
  for (const [name, atMs] of [
    ['first', startMs + 24 * hourMs],
    ['last', endMs],
  ] as const) {
    if (name === 'last' && !hasLog) continue
    // A window is open at its start, and its end is one scrape behind the last sample.
    const samples = await count('/api/v1/query', 'sum(count_over_time({__name__=~"outage_.+"}[1d]))', atMs - 1)
    expect(`samples of the ${name} day: ${samples}`, samples === (series * 24 * hourMs) / scrapeMs)
    const of = await count('/loki/api/v1/query', 'sum(count_over_time({app=~".+"}[1d]))', atMs)
    expect(`lines of the ${name} day: ${of}`, Math.abs(of / (lines / 30) - 1) < 0.02)
  }
  if (!hasLog) return
  const { traces } = await json<{ traces: unknown[] }>(url, '/api/search', {
    q: '{ status = error }',
    start: String(endMs / 1000 - 3600),
    end: String(endMs / 1000),
    limit: '20',
  })
  expect(`traces with an error in the last hour: ${traces.length}`, traces.length === 20)
}

async function start(name: 'query' | 'all', made: Made): Promise<void> {
  const startedMs = performance.now()
  const buckets = ['metrics', 'logs', 'traces'].map(signal => `--${signal}.bucket.dir=${bucket}/${signal}`)
  const retention = ['metrics', 'logs', 'traces'].map(signal => `--${signal}.retention=inf`)
  const child = spawn(
    process.execPath,
    [
      'src/app/main.ts',
      'up',
      `--data_dir=${directory}/${name}`,
      '--listen.http=127.0.0.1:0',
      '--listen.otlp_http=off',
      '--listen.otlp_grpc=off',
      '--self_scrape=false',
      '--self_trace=false',
      '--log.level=warn',
      ...buckets,
      ...retention,
      `--role=${name}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = new Promise(resolve => child.once('exit', resolve))
  const url = await listeningUrl(child)
  while ((await fetch(`${url}/-/ready`)).status !== 200) await new Promise(resolve => setTimeout(resolve, 50))
  const seconds = (performance.now() - startedMs) / 1000
  const readyMib = peakMib(child.pid!)
  expect(`${name}: ready after ${seconds.toFixed(1)} s`, seconds < 60)
  expect(`${name}: ${readyMib.toFixed(0)} MiB at the most until then`, readyMib < 512)
  await ask(url, made, name === 'all')
  console.log(`      ${name}: ${peakMib(child.pid!).toFixed(0)} MiB at the most, with queries`)
  child.kill('SIGKILL')
  await ended
}

const notes = `${bucket}/made.json`
const made = existsSync(notes) ? (JSON.parse(readFileSync(notes, 'utf8')) as Made) : await makeBucket()
writeFileSync(notes, JSON.stringify(made))
const { objects, bytes } = sizeOf(bucket)
console.log(
  `${((made.series * hours) / 1e6).toFixed(2)} M series-hours, ${(made.samples / 1e6).toFixed(1)} M samples, ` +
    `${(made.lines / 1e6).toFixed(2)} M lines, ${(made.spans / 1e6).toFixed(2)} M spans; ` +
    `${objects} objects of ${(bytes / 1e6).toFixed(0)} MB`,
)
// The bucket is as it was before for each: a process that only reads comes first.
await start('query', made)
await start('all', made)
rmSync(directory, { recursive: true, force: true })
process.exitCode = faults === 0 ? 0 : 1
