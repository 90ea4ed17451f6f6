/**
 * What a query asks of an object store when nothing is cached: requests and time of four queries, each in a process
 * that has just started over the same buckets. Each request takes `latency` milliseconds.
 *
 *   node bench/cold-gets.ts [--latency=30] [--hours=60] [--spans=20000] [--only=TEXT] [--json] [--verbose]
 *
 * Made by the engines under a virtual clock: `hours` hours of spans, one block each, `spans` an hour; 24 hours of lines
 * and of 10,000 series. What a start asks for is not counted.
 */
import '../test/simulation/synchronous-zlib.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryBucket } from '#bucket/memory.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { systemClock } from '#core/clock.ts'
import type { SignalName } from '#core/signal-name.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { encodeUtf8 } from '#core/text.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { defaultTenants } from '../src/api/tenancy.ts'
import { withCache } from '../src/app/buckets.ts'
import { loadConfig } from '../src/app/config.ts'
import { startTercet, type Tercet } from '../src/app/tercet.ts'
import { systemWorld } from '../src/app/world.ts'
import { driving, openLogs, openMetrics, openTraces } from '../test/signal-worlds.ts'
import { CountingBucket, RequestLedger } from './counting-bucket.ts'
import { LineLoad, SampleLoad, SpanLoad } from './outage-load.ts'
import { printRows, type ResultRow } from './result-row.ts'

const text = (name: string, fallback: string): string =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback
const latencyMs = Number(text('latency', '30'))
const hours = Number(text('hours', '60'))
const spansAnHour = Number(text('spans', '20000'))
const only = text('only', '')
const isVerbose = process.argv.includes('--verbose')
const hourMs = 3_600_000
const minuteMs = 60_000
const endMs = Math.floor(Date.now() / hourMs) * hourMs
const signals = ['metrics', 'logs', 'traces'] as const
const megabyte = 1024 * 1024
const seriesCount = 10_000
const lineBytesAnHour = 8e6
const needle = 'needle-7f3a9c51'
const bytesOfSpan = 190

interface Stored {
  buckets: ReadonlyMap<SignalName, MemoryBucket>
  /** A trace in the middle of the time. */
  traceId: string
}

const memory = { headBytesMax: 512 * megabyte, cacheBytes: 16 * megabyte, leaseMs: 0 }
const files = new MemoryFiles()

async function makeTraces(): Promise<{ bucket: MemoryBucket; traceId: string }> {
  const clock = new VirtualClock(endMs - hours * hourMs)
  // As a store over a network has it.
  const bucket = Object.assign(new MemoryBucket(clock, files), { gapBytes: megabyte })
  const tenant = defaultTenants.traces
  const engine = await openTraces(clock, { bucket, files, directory: 'traces', defaultTenant: tenant, ...memory })
  const load = new SpanLoad(spansAnHour * bytesOfSpan, hourMs - minuteMs)
  let traceId = ''
  for (let hour = 0; hour < hours; hour++) {
    const startMs = endMs - (hours - hour) * hourMs
    for (const { message } of load.messages(startMs)) {
      const decoded = decodeOtlpTraces(message)
      const id = decoded.resources[0]!.scopes[0]!.spans[0]!.traceId
      if (hour === hours >> 1) traceId = Buffer.from(id).toString('hex')
      await driving(clock, engine.append(tenant, decodeOtlpTraces(message, true), message))
    }
    await driving(clock, engine.flush())
    await clock.advance(Math.max(0, startMs + hourMs - clock.nowMs()))
  }
  // The last hour's block stands alone.
  await driving(clock, engine.maintain())
  await driving(clock, engine.close())
  return { bucket, traceId }
}

async function makeLogs(): Promise<MemoryBucket> {
  const clock = new VirtualClock(endMs - 24 * hourMs)
  const bucket = new MemoryBucket(clock, files)
  const tenant = defaultTenants.logs
  const engine = await openLogs(clock, { bucket, files, directory: 'logs', defaultTenant: tenant, ...memory })
  const load = new LineLoad((lineBytesAnHour / 60) * 5, 64e6)
  for (let hour = 0; hour < 24; hour++)
    for (let part = 0; part < 12; part++) {
      const startMs = endMs - (24 - hour) * hourMs + part * 5 * minuteMs
      await driving(clock, engine.append(tenant, load.batch(startMs, 5 * minuteMs)))
      if (hour === 11 && part === 6) {
        const builder = new LogBatchBuilder()
        builder.add(Labels.fromObject({ app: 'app-3', pod: 'pod-3' }), startMs + 1000, 0, `level=info ${needle}`)
        await driving(clock, engine.append(tenant, builder.build()))
      }
      await clock.advance(Math.max(0, startMs + 5 * minuteMs - clock.nowMs()))
    }
  await driving(clock, engine.flush())
  await driving(clock, engine.close())
  return bucket
}

async function makeMetrics(): Promise<MemoryBucket> {
  const clock = new VirtualClock(endMs - 24 * hourMs)
  const bucket = new MemoryBucket(clock, files)
  const tenant = defaultTenants.metrics
  const engine = await openMetrics(clock, { bucket, files, directory: 'metrics', defaultTenant: tenant, ...memory })
  const load = new SampleLoad(seriesCount)
  for (let minute = 0; minute < 24 * 60; minute++) {
    const timeMs = endMs - 24 * hourMs + minute * minuteMs
    await driving(clock, engine.append(tenant, load.batch(timeMs, minute)))
    await clock.advance(Math.max(0, timeMs + minuteMs - clock.nowMs()))
  }
  await driving(clock, engine.flush())
  await driving(clock, engine.maintain())
  await driving(clock, engine.close())
  return bucket
}

async function makeStored(): Promise<Stored> {
  const { bucket: traces, traceId } = await makeTraces()
  const buckets = new Map([
    ['traces', traces],
    ['logs', await makeLogs()],
    ['metrics', await makeMetrics()],
  ] as const)
  return { buckets, traceId }
}

interface Asked {
  work: string
  path: string
  query: Record<string, string>
  /** Does the answer hold what was asked for? */
  isRight: (body: string) => boolean
}

const seconds = (ms: number): string => String(Math.floor(ms / 1000))
const nanoseconds = (ms: number): string => `${ms}000000`

function questions(traceId: string): Asked[] {
  const startMs = endMs - hours * hourMs
  return [
    {
      work: `GETs of a trace by id in ${hours} blocks`,
      path: `/api/traces/${traceId}`,
      query: {},
      isRight: body => body.includes('spanId'),
    },
    {
      work: `GETs of TraceQL over ${hours} h`,
      path: '/api/search',
      query: {
        q: '{ resource.service.name = "service-3" && span.http.status_code = 500 && duration > 380ms } | count() > 3',
        start: seconds(startMs),
        end: seconds(endMs),
        limit: '20',
      },
      isRight: body => body.includes('traces'),
    },
    {
      work: 'GETs of a needle in 24 h of lines',
      path: '/loki/api/v1/query_range',
      query: {
        query: `{app="app-3"} |= "${needle}"`,
        start: nanoseconds(endMs - 24 * hourMs),
        end: nanoseconds(endMs),
        limit: '10',
      },
      isRight: body => body.includes(`level=info ${needle}`),
    },
    {
      work: 'GETs of PromQL of 1,000 series over 24 h',
      path: '/api/v1/query_range',
      query: {
        query: 'sum by (code) (rate(outage_requests_total_3[5m]))',
        start: seconds(endMs - 24 * hourMs),
        end: seconds(endMs),
        step: '300',
      },
      isRight: body => body.includes('"code":"404"'),
    },
  ]
}

async function openCold(stored: Stored, ledger: RequestLedger, directory: string): Promise<Tercet> {
  const flags = [
    'listen.http=127.0.0.1:0',
    'listen.otlp_http=off',
    'listen.otlp_grpc=off',
    'role=query',
    'workers=0',
    `data_dir=${directory}`,
    'self_scrape=false',
    'self_trace=false',
  ]
  const config = loadConfig({ environment: {}, flags })
  const world = { ...systemWorld(silentLog), memoryBytes: 2 * 1024 * megabyte }
  const buckets = new Map<SignalName, Bucket>()
  for (const signal of signals) {
    const counted = new CountingBucket(stored.buckets.get(signal)!, signal, ledger, systemClock, latencyMs)
    buckets.set(signal, await withCache(config, world, signal, counted))
  }
  return startTercet(config, { ...world, bucketOf: signal => buckets.get(signal)! }, {})
}

async function ask(stored: Stored, asked: Asked): Promise<ResultRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-cold-'))
  const ledger = new RequestLedger()
  const tercet = await openCold(stored, ledger, directory)
  ledger.clear()
  if (isVerbose)
    ledger.onRequest = (signal, request, key, bytes) => console.error(Date.now() % 1e5, signal, request, key, bytes)
  const startedMs = performance.now()
  const reply = await tercet.answer({
    method: 'GET',
    path: asked.path,
    query: new URLSearchParams(asked.query),
    headers: {},
    body: encodeUtf8(''),
  })
  const wallMs = performance.now() - startedMs
  const body = Buffer.from(reply.body).toString()
  if (reply.status !== 200 || !asked.isRight(body))
    throw new Error(`${asked.work}: ${reply.status} ${body.slice(0, 500)}`)
  const all = ledger.all()
  const count = all.reduce((sum, one) => sum + one.count, 0)
  const bytes = all.reduce((sum, one) => sum + one.bytes, 0)
  const note = `${all.map(one => `${one.request} ${one.key} ${one.count}`).join(', ')}; ${(bytes / 1e6).toFixed(1)} MB`
  await tercet.close()
  rmSync(directory, { recursive: true, force: true })
  return [
    { work: asked.work, unit: 'requests', values: { tercet: count }, note },
    { work: `wall of these, ${latencyMs} ms a request`, unit: 's', values: { tercet: wallMs / 1000 } },
  ]
}

const stored = await makeStored()
if (!process.argv.includes('--json'))
  for (const [signal, { objects }] of stored.buckets)
    console.log(`${signal}: ${objects.size} objects, ${(sizeOf(objects.values()) / 1e6).toFixed(1)} MB`)

function sizeOf(objects: Iterable<{ bytes: Uint8Array }>): number {
  let sum = 0
  for (const { bytes } of objects) sum += bytes.length
  return sum
}

const rows: ResultRow[] = []
for (const asked of questions(stored.traceId).filter(({ work }) => work.includes(only)))
  rows.push(...(await ask(stored, asked)))
printRows(rows, 'Cold queries')
process.exit()
