/** Metrics, logs and traces on a disk and a bucket in memory and a clock that is moved by hand. */
import assert from 'node:assert/strict'
import { MemoryBucket } from '#bucket/memory.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { LogsEngine, type LogsOptions } from '#logs/engine.ts'
import { MetricsEngine, type MetricsOptions } from '#metrics/engine.ts'
import { TracesEngine, type TracesOptions } from '#traces/engine.ts'
import { defaultDedicated, layoutOf } from '#traces/schema.ts'
import { withoutSpans } from '#wire/otlp/split-traces.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import type { LogStore } from '../src/query/log-script.ts'
import type { TraceStore } from '../src/query/traceql/script.ts'
import { logsView, tracesView } from './distant-views.ts'

const hourMs = 3_600_000
const megabyte = 1024 * 1024

/** What outlives a process: its disk, its bucket, and the time. */
export interface World {
  clock: VirtualClock
  files: MemoryFiles
  bucket: MemoryBucket
}

export function makeWorld(startMs: number): World {
  const clock = new VirtualClock(startMs)
  const files = new MemoryFiles()
  return { clock, files, bucket: new MemoryBucket(clock, files) }
}

/** Advances the clock until the work is done. */
export async function driving<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let done = false
  const watched = work.finally(() => {
    done = true
  })
  watched.catch(() => {})
  for (let i = 0; i < 10_000 && !done; i++) await clock.advance(20)
  return watched
}

function frameOptions(clock: VirtualClock) {
  const files = new MemoryFiles()
  return {
    clock,
    files,
    bucket: new MemoryBucket(clock, files),
    random: seededRandom(1),
    log: silentLog,
    directory: 'data',
    defaultTenant: 'fake',
    durability: 'local',
    syncAlways: false,
    retentionMs: Infinity,
    headBytesMax: 64 * megabyte,
    cacheBytes: 16 * megabyte,
    freeBytesMin: 0,
    readOnly: false,
    refreshMs: 5 * 60_000,
  } as const
}

/** A metrics signal that takes samples up to an hour old. */
export function makeMetrics(clock: VirtualClock, options: Partial<MetricsOptions> = {}): MetricsEngine {
  return new MetricsEngine({
    ...frameOptions(clock),
    limits: defaultLimits,
    blockMs: 2 * hourMs,
    outOfOrderMs: hourMs,
    retentionBytesMax: Infinity,
    hashSeed: { a: 1, b: 2, c: 3, d: 4 },
    ...options,
  })
}

/** The same, open. */
export async function openMetrics(clock: VirtualClock, options: Partial<MetricsOptions> = {}): Promise<MetricsEngine> {
  const engine = makeMetrics(clock, options)
  await driving(clock, engine.open())
  return engine
}

/** An open logs signal that takes lines of any age. */
export async function openLogs(clock: VirtualClock, options: Partial<LogsOptions> = {}): Promise<LogsEngine> {
  const engine = new LogsEngine({
    ...frameOptions(clock),
    isBase64: false,
    deletionDelayMs: 24 * hourMs,
    hides: () => ({ of: () => undefined }),
    streamsMax: 1000,
    rateBytes: Infinity,
    admission: {
      maxAgeMs: Infinity,
      futureMs: hourMs,
      outOfOrderMs: Infinity,
      lineBytesMax: 262_144,
      labelsPerStreamMax: 15,
      labelNameBytesMax: 1024,
      labelValueBytesMax: 2048,
      metadataPairsMax: 128,
      metadataBytesMax: 65_536,
    },
    ...options,
  })
  await driving(clock, engine.open())
  return engine
}

/** An open traces signal that takes spans of any age. */
export async function openTraces(clock: VirtualClock, options: Partial<TracesOptions> = {}): Promise<TracesEngine> {
  const engine = new TracesEngine({
    ...frameOptions(clock),
    compactBytesMax: 128 * megabyte,
    limits: {
      futureMs: 24 * hourMs,
      traceBytesMax: 5_000_000,
      attributeBytesMax: 65_536,
      attributesMax: 1000,
      requestSpansMax: 100_000,
      liveTracesMax: 100_000,
    },
    layout: layoutOf('vParquet5', defaultDedicated),
    decode: decodeOtlpTraces,
    decodeSpan,
    encode: encodeOtlpTraces,
    withoutSpans,
    ...options,
  })
  await driving(clock, engine.open())
  return engine
}

/** An empty store of a script's lines. `isDistant`: read by way of clones, as another thread reads it. */
export async function makeLogStore(clock: VirtualClock, isDistant = false): Promise<LogStore> {
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock, files)
  const engine = await openLogs(clock, { files, bucket })
  const view = logsView(engine.door(), { clock, files, bucket })
  return {
    append: async batch => {
      const { problems } = await driving(clock, engine.append('fake', batch))
      assert.deepEqual(problems, [])
    },
    reader: () => (isDistant ? view : engine).reader('fake'),
  }
}

/** An empty store of a script's spans; the same of `isDistant`. */
export async function makeTraceStore(clock: VirtualClock, isDistant = false): Promise<TraceStore> {
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock, files)
  const engine = await openTraces(clock, { files, bucket })
  const layout = layoutOf('vParquet5', defaultDedicated)
  const view = tracesView(engine.door(), layout, { clock, files, bucket: engine.served })
  return {
    append: async trace => {
      const message = encodeOtlpTraces(trace)
      const { refused } = await driving(clock, engine.append('fake', decodeOtlpTraces(message, true), message))
      assert.equal(refused, 0)
    },
    reader: () => (isDistant ? view : engine).reader('fake'),
  }
}
