/** A metrics head without a log and without blocks, as promqltest scripts fill and query it. */
import { MemoryBucket } from '#bucket/memory.ts'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { BlockSet } from '#metrics/block-set.ts'
import { ChangeLog } from '#metrics/change-log.ts'
import { MetricsDoor } from '#metrics/door.ts'
import { HeadSource } from '#metrics/head-source.ts'
import { Head } from '#metrics/head.ts'
import { Reader } from '#metrics/reader.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { Tenant } from '#metrics/tenant.ts'
import { FloatHistogram } from '#model/histogram.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import type { SeriesLine } from '#model/series-notation.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { PromqlEngine } from '../src/query/promql/engine.ts'
import type { ScriptStore } from '../src/query/promql/script.ts'
import { metricsView } from './distant-views.ts'

const hourMs = 3_600_000
const limits = { ...defaultLimits, labelValueBytesMax: 1e6 }
const noBlocks = new BlockSet(silentLog, systemClock)
/** A staleness marker as two words. */
const staleHigh = 0x7ff00000
const staleLow = 2

/** Answers the scripts' queries. */
export const scriptEngine = new PromqlEngine(systemClock, limits)

/** An empty store. */
export function makeHeadStore(): ScriptStore {
  const changes = new ChangeLog(0)
  const head = new Head({ a: 1, b: 2, c: 3, d: 4 }, limits, 2 * hourMs, Infinity, changes)
  const starts = new Starts()
  return {
    load: (series, stepMs) => {
      loadSeries(head, series, stepMs)
      starts.note(series, stepMs)
    },
    reader: () =>
      starts.beside(
        new Reader(
          new HeadSource({ tenant: 't', blocks: noBlocks, head, changesSince: version => changes.since(version) }),
        ),
      ),
  }
}

/** Start timestamps beside a store: heads take those of histograms only, blocks of other programs have both. */
class Starts {
  /** By series and time. */
  readonly #bySeries = new Map<string, Map<number, number>>()

  note({ labels, startOffsetsMs }: SeriesLine, stepMs: number): void {
    if (startOffsetsMs === undefined) return
    const starts = new Map<number, number>()
    for (const [i, offset] of startOffsetsMs.entries())
      if (offset !== undefined) starts.set(i * stepMs, i * stepMs + offset)
    this.#bySeries.set(labels.key, starts)
  }

  /** The reader, with the start timestamps in what it reads. */
  beside(reader: MetricsReader): MetricsReader {
    if (this.#bySeries.size === 0) return reader
    return {
      subject: reader.subject,
      omissions: reader.omissions,
      changes: since => reader.changes(since),
      damaged: () => reader.damaged(),
      select: async (matchers, fromMs, throughMs) => {
        const set = await reader.select(matchers, fromMs, throughMs)
        return {
          labels: set.labels,
          load: (from, to) => set.load(from, to),
          read: (i, into) => {
            set.read(i, into)
            this.#add(set.labels[i]!.key, into)
          },
          release: () => {
            set.release()
          },
        }
      },
      series: (...question) => reader.series(...question),
      labelNames: (...question) => reader.labelNames(...question),
      labelValues: (...question) => reader.labelValues(...question),
    }
  }

  #add(key: string, into: SampleColumns): void {
    const starts = this.#bySeries.get(key)
    if (starts === undefined) return
    for (let i = 0; i < into.count; i++) {
      const startMs = starts.get(into.timesMs[i]!)
      if (startMs !== undefined) into.setStart(i, startMs)
    }
  }
}

/** The same, read by way of clones, as another thread reads it. */
export function makeDistantHeadStore(): ScriptStore {
  const clock = systemClock
  const tenant = new Tenant('t', {
    seed: { a: 1, b: 2, c: 3, d: 4 },
    limits,
    clock,
    log: silentLog,
    blockMs: 2 * hourMs,
    outOfOrderMs: Infinity,
  })
  const door = new MetricsDoor({
    clock,
    tenant: () => tenant,
    requireReadable: () => {},
    notJoined: () => undefined,
    refresh: () => Promise.resolve(),
    facts: () => Promise.reject(new Error('scripts ask for no facts')),
  })
  const files = new MemoryFiles()
  const starts = new Starts()
  const view = metricsView(door, { clock, files, bucket: new MemoryBucket(clock, files) })
  return {
    load: (series, stepMs) => {
      loadSeries(tenant.head, series, stepMs)
      starts.note(series, stepMs)
    },
    reader: () => starts.beside(view.reader('t')),
  }
}

function loadSeries(head: Head, { labels, points }: SeriesLine, stepMs: number): void {
  const key = new KeyWriter()
  key.writeLabels(labels)
  const ref = head.table.resolveShown(key.bytes, 0, key.at)
  head.reserve()
  const scratch = new Float64Array(1)
  const words = new Uint32Array(scratch.buffer)
  for (const [i, point] of points.entries()) {
    const atMs = i * stepMs
    if (point === undefined) continue
    if (point instanceof FloatHistogram) head.showReplayedHistogram(ref, atMs, 0, point)
    else if (point === 'stale') head.showReplayed(ref, atMs, staleHigh, staleLow)
    else {
      scratch[0] = point
      head.showReplayed(ref, atMs, words[1]!, words[0]!)
    }
  }
}
