/**
 * The bucket away under load, all signals in this process: samples, lines and spans go into the engines under a virtual
 * clock, with real files, and a directory as the bucket behind a switch that makes it fail.
 *
 *   node bench/outage.ts [--minutes=120] [--rate=1]
 *   node bench/outage-s3.ts [minutes]     metrics alone, in real time, over a real S3 server
 *
 * `rate` 1 is 10,000 samples, 1 MB of lines and 1 MB of spans a second. Prints every ten virtual minutes; ends with 1
 * when something acknowledged is missing from the bucket afterwards, when blocks or segments came in another order than
 * they were made in, when anything but a full disk refused, or when memory grew by more than a half.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { BucketError, type Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { UnavailableError } from '#core/errors.ts'
import { systemFiles, type Files } from '#core/files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { openLogs, openMetrics, openTraces } from '../test/signal-worlds.ts'
import { LineLoad, SampleLoad, SpanLoad } from './outage-load.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)

const minutes = option('minutes', 120)
const rate = option('rate', 1)
const stepMs = 5000
const megabyte = 1024 * 1024
const root = mkdtempSync(join(tmpdir(), 'bench-outage-'))
const clock = new VirtualClock(Math.floor(1_790_000_000_000 / stepMs) * stepMs)
const startMs = clock.nowMs()
const tenant = 'fake'
const faults: string[] = []

function fail(what: string): void {
  console.log(`FAULT: ${what}`)
  faults.push(what)
}

/** A directory that is away at times, and notes the order in which objects come. */
class SwitchedBucket {
  isAway = false
  readonly puts: string[] = []
  readonly bucket: Bucket

  constructor(name: string) {
    const inner = new DirectoryBucket(`${root}/bucket/${name}`)
    this.bucket = new Proxy<Bucket>(inner, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target)
        if (typeof value !== 'function') return value
        return async (...given: unknown[]): Promise<unknown> => {
          const operation = String(property)
          if (this.isAway) throw new BucketError(operation, name, 'ECONNREFUSED', true)
          const result: unknown = await Reflect.apply(value, target, given)
          if (operation.startsWith('put')) this.puts.push(String(given[0]))
          return result
        }
      },
    })
  }
}

let freeBytes = Infinity
const files: Files = { ...systemFiles, freeBytes: () => Promise.resolve(freeBytes) }
const buckets = {
  metrics: new SwitchedBucket('metrics'),
  logs: new SwitchedBucket('logs'),
  traces: new SwitchedBucket('traces'),
}

/** Real time passes for the disk; virtual time only where the work waits for it. */
async function settled<T>(work: Promise<T>): Promise<T> {
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

function worldOf(signal: keyof typeof buckets, directory = `${root}/data/${signal}`) {
  return {
    bucket: buckets[signal].bucket,
    files,
    directory,
    freeBytesMin: megabyte,
    leaseMs: 5000,
    retentionMs: Infinity,
  }
}
/** As on a machine of 2 GiB. */
const memory = { headBytesMax: 256 * megabyte, cacheBytes: 16 * megabyte }
const tracesMemory = {
  ...memory,
  headBytesMax: 192 * megabyte,
  compactBytesMax: 32 * megabyte,
  // As `tercet up` has them.
  limits: {
    futureMs: 24 * 3_600_000,
    traceBytesMax: 5_000_000,
    attributeBytesMax: 65_536,
    attributesMax: 1000,
    requestSpansMax: 100_000,
    liveTracesMax: 500_000,
  },
}
const metrics = await settled(openMetrics(clock, { ...worldOf('metrics'), ...memory }))
const logs = await settled(openLogs(clock, { ...worldOf('logs'), ...memory }))
const traces = await settled(openTraces(clock, { ...worldOf('traces'), ...tracesMemory }))
const engines = [metrics, logs, traces]

const samplesLoad = new SampleLoad(Math.round(50_000 * rate))
const linesLoad = new LineLoad(rate * 1e6 * (stepMs / 1000))
const spansLoad = new SpanLoad(rate * 1e6 * (stepMs / 1000), stepMs)
const kept = { samples: 0, sum: 0, lines: 0, spans: 0 }
let refusals = 0

interface Outcome {
  refused: number
  problems: readonly { message: string }[]
}

/** Sends a request, and sends it again while the answer is a refusal that asks for that. */
async function send(what: string, append: () => Promise<Outcome>): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const { refused, problems } = await settled(append())
      if (refused > 0) fail(`${refused} ${what} refused at ${minutesNow()} min: ${problems[0]?.message ?? ''}`)
      return
    } catch (error) {
      if (!(error instanceof UnavailableError) || error.retryAfterSeconds <= 0) throw error
      refusals++
      if (attempt === 0 && refusals < 10) fail(`${what} refused at ${minutesNow()} min: ${error.message}`)
      if (attempt > 100) throw error
      await clock.advance(error.retryAfterSeconds * 1000)
    }
  }
}

const minutesNow = (): string => ((clock.nowMs() - startMs) / 60_000).toFixed(0)

async function step(n: number): Promise<void> {
  const timeMs = startMs + n * stepMs
  const samples = samplesLoad.batch(timeMs, n)
  await send('samples', () => metrics.append(tenant, samples))
  kept.samples += samples.sampleCount
  for (let i = 0; i < samples.sampleCount; i++) kept.sum += samples.values[i]!
  const lines = linesLoad.batch(timeMs, stepMs)
  await send('lines', () => logs.append(tenant, lines))
  kept.lines += lines.count
  for (const { message, spans } of spansLoad.messages(timeMs)) {
    await send('spans', () => traces.append(tenant, decodeOtlpTraces(message, true), message))
    kept.spans += spans
  }
  const behindMs = timeMs + stepMs - clock.nowMs()
  if (behindMs > 0) await clock.advance(behindMs)
  for (const engine of engines) await settled(engine.maintain())
  for (const { id, startMs: at, level } of traces.blockList()) if (level === 0) traceStarts.set(id, at)
}
/** By id of a block of level 0, merged since or not. */
const traceStarts = new Map<string, number>()

function sizeOf(directory: string): number {
  let sum = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  return sum
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function report(phase: string): number {
  collectGarbage()
  const { rss, heapUsed, external } = process.memoryUsage()
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0)
  const backlog = engines.map(engine => `${engine.name} ${mb(engine.status().backlogBytes)}`).join(', ')
  console.log(
    `${minutesNow().padStart(4)} min ${phase}: ${(kept.samples / 1e6).toFixed(1)} M samples, ` +
      `${(kept.lines / 1e6).toFixed(2)} M lines, ${(kept.spans / 1e6).toFixed(2)} M spans; backlog MB: ${backlog}; ` +
      `RSS ${mb(rss)} MB (heap ${mb(heapUsed)}, outside ${mb(external)}); ` +
      `disk ${mb(sizeOf(`${root}/data`))} MB; ${refusals} refused; ${(process.cpuUsage().user / 1e6) | 0} CPU-s`,
  )
  return rss
}

const stepsOf = (forMinutes: number): number => (forMinutes * 60_000) / stepMs
let n = 0
const before = Math.min(10, minutes / 4)
for (; n < stepsOf(before); n++) await step(n)
report('before')

for (const one of Object.values(buckets)) one.isAway = true
let early = 0
for (const from = n; n < from + stepsOf(minutes); n++) {
  await step(n)
  const passed = ((n + 1 - from) * stepMs) / 60_000
  if (passed % 10 === 0) {
    const rss = report('away')
    if (passed === 20) early = rss
  }
}
const late = report('away, at the end')
if (early > 0) {
  console.log(`RSS at the end of the outage: ${(late / early).toFixed(2)} times that after 20 minutes`)
  if (late / early > 1.5) fail('memory grew')
}

// --- The disk is full as well ---

freeBytes = 1000
for (const engine of engines) await settled(engine.maintain())
const refused: string[] = []
const atMs = startMs + n * stepMs
for (const [what, append] of [
  ['samples', () => metrics.append(tenant, samplesLoad.batch(atMs, n))],
  ['lines', () => logs.append(tenant, linesLoad.batch(atMs, stepMs))],
  [
    'spans',
    () => {
      for (const { message } of new SpanLoad(10_000, stepMs).messages(atMs))
        return traces.append(tenant, decodeOtlpTraces(message, true), message)
      return Promise.reject(new Error('there is no message'))
    },
  ],
] as const)
  try {
    await settled<unknown>(append())
    fail(`${what} were taken although the disk is full`)
  } catch (error) {
    if (error instanceof UnavailableError && error.retryAfterSeconds > 0)
      refused.push(`${what} (again after ${error.retryAfterSeconds} s)`)
    else fail(`${what}: ${String(error)}`)
  }
console.log(`disk full: refused ${refused.join(', ')}`)
freeBytes = Infinity
for (const engine of engines) await settled(engine.maintain())
await step(n++)

// --- The bucket is back ---

const puts: Record<string, string[]> = {}
for (const one of Object.values(buckets)) {
  one.puts.length = 0
  one.isAway = false
}
const backMs = clock.nowMs()
const waiting = (): number => engines.reduce((sum, engine) => sum + engine.stats().uploadsWaiting, 0)
for (let i = 0; i < 60 && waiting() > 0; i++) await step(n++)
report(`back, drained after ${((clock.nowMs() - backMs) / 1000).toFixed(0)} s`)
for (const [signal, one] of Object.entries(buckets)) puts[signal] = [...one.puts]
for (const engine of engines) await settled(engine.flush())
report('flushed')

/** Keys of one kind come in the order of what they were made from. */
function checkOrder(what: string, order: readonly (string | number)[]): void {
  for (let i = 1; i < order.length; i++)
    if (order[i - 1]! > order[i]!) return fail(`${what} came out of order: ${order[i - 1]!} before ${order[i]!}`)
  console.log(`${order.length} ${what} came in order`)
}
for (const signal of ['metrics', 'logs', 'traces'])
  checkOrder(
    `${signal} log segments`,
    puts[signal]!.filter(key => key.endsWith('.wal')).map(key => key.slice(key.lastIndexOf('/') + 1)),
  )
checkOrder(
  'blocks of traces',
  puts['traces']!.filter(key => key.endsWith('/meta.json')).flatMap(key => traceStarts.get(key.split('/')[1]!) ?? []),
)
// A ULID begins with the time at which its block was made.
checkOrder(
  'blocks of metrics',
  puts['metrics']!.filter(key => key.endsWith('/meta.json')).map(key => key.split('/')[1]!),
)

// --- From the bucket alone ---

for (const engine of engines) await settled(engine.close())
rmSync(`${root}/data`, { recursive: true, force: true })
const readOnly = { readOnly: true } as const
const all = [startMs - 1, clock.nowMs() + 3_600_000] as const

async function countSamples(): Promise<void> {
  const engine = await settled(openMetrics(clock, { ...worldOf('metrics', `${root}/second`), ...memory, ...readOnly }))
  const columns = new SampleColumns()
  let [count, sum] = [0, 0]
  for (let fromMs: number = all[0]; fromMs < all[1]; fromMs += 1_800_000) {
    const set = await settled(engine.reader(tenant).select([], fromMs, Math.min(all[1], fromMs + 1_800_000 - 1)))
    for (let i = 0; i < set.labels.length; i++) {
      if (i % 256 === 0) await settled(set.load(i, Math.min(i + 256, set.labels.length)))
      columns.clear()
      set.read(i, columns)
      count += columns.count
      for (let k = 0; k < columns.count; k++) sum += columns.values[k]!
    }
    set.release()
  }
  await settled(engine.close())
  compare('samples', kept.samples, count)
  compare('sum of samples', kept.sum, sum)
}

async function countLines(): Promise<void> {
  const engine = await settled(openLogs(clock, { ...worldOf('logs', `${root}/second`), ...memory, ...readOnly }))
  let count = 0
  for (const { chunks } of await settled(engine.reader(tenant).select([], ...all)))
    for (const chunk of chunks) for (const block of (await settled(chunk.open()))!.blocks) count += block.entries
  await settled(engine.close())
  compare('lines', kept.lines, count)
}

async function countSpans(): Promise<void> {
  const engine = await settled(
    openTraces(clock, { ...worldOf('traces', `${root}/second`), ...tracesMemory, ...readOnly }),
  )
  const path = 'rs.ss.Spans.SpanID'
  let count = 0
  for (const rows of await settled(engine.reader(tenant).select(...all)))
    count += (await settled(rows.columns([path]))).get(path)?.valueCount ?? 0
  await settled(engine.close())
  compare('spans', kept.spans, count)
}

function compare(what: string, sent: number, found: number): void {
  console.log(`${what}: acknowledged ${sent}, in the bucket ${found}`)
  if (sent !== found) fail(`${what}: ${sent} were acknowledged, the bucket has ${found}`)
}
await countSamples()
await countLines()
await countSpans()
rmSync(root, { recursive: true, force: true })
console.log(faults.length === 0 ? 'no faults' : `${faults.length} faults`)
process.exitCode = faults.length === 0 ? 0 : 1
