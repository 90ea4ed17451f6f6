/** Tercet's own metrics: at /metrics, and into its own store. */
import { Counter, Distribution, type Registry } from '#core/counter.ts'
import type { Clock } from '#core/clock.ts'
import type { CachedBucket } from '#bucket/cache.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { TracesEngine } from '#traces/engine.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { parseExposition } from '#wire/prometheus-text/parse.ts'

const latencyBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export class SelfMetrics {
  readonly #registry: Registry
  readonly #metrics: MetricsEngine
  readonly #clock: Clock
  readonly #requests = new Map<string, Counter>()
  readonly #durations = new Map<string, Distribution>()
  readonly #builder = new BatchBuilder()
  readonly #startedMs: number

  constructor(
    registry: Registry,
    metrics: MetricsEngine,
    logs: LogsEngine,
    traces: TracesEngine,
    cache: CachedBucket | undefined,
    clock: Clock,
    version: string,
  ) {
    this.#registry = registry
    this.#metrics = metrics
    this.#clock = clock
    this.#startedMs = clock.nowMs()
    const { read } = { read: registry.read.bind(registry) }
    read('tercet_build_info', 'The version that runs.', 'gauge', () => 1, { version })
    read('tercet_samples_appended_total', 'Samples stored.', 'counter', () => metrics.samplesAppended, {
      signal: 'metrics',
    })
    read('tercet_samples_refused_total', 'Samples refused for good.', 'counter', () => metrics.samplesRefused, {
      signal: 'metrics',
    })
    read('tercet_head_series', 'Series in memory.', 'gauge', () => metrics.seriesCount)
    read('tercet_head_series_created_total', 'Series that were new.', 'counter', () => metrics.seriesCreated)
    read('tercet_blocks', 'Blocks that are served.', 'gauge', () => metrics.status().blocks, { signal: 'metrics' })
    read('tercet_blocks_bytes', 'Bytes of these blocks.', 'gauge', () => metrics.status().blockBytes, {
      signal: 'metrics',
    })
    read('tercet_blocks_quarantined', 'Blocks that are damaged and left out.', 'gauge', () => metrics.quarantined, {
      signal: 'metrics',
    })
    read('tercet_backlog_bytes', 'Accepted, and not in the bucket yet.', 'gauge', () => metrics.status().backlogBytes, {
      signal: 'metrics',
    })
    read(
      'tercet_upload_blocks_waiting',
      'Finished blocks that wait for the bucket.',
      'gauge',
      () => metrics.uploadStats.waiting,
      { signal: 'metrics' },
    )
    read('tercet_uploads_total', 'Blocks uploaded.', 'counter', () => metrics.uploadStats.uploads, {
      signal: 'metrics',
    })
    read(
      'tercet_upload_failures_total',
      'Uploads that failed and were tried again.',
      'counter',
      () => metrics.uploadStats.failures,
      { signal: 'metrics' },
    )
    read('tercet_wal_commits_total', 'Groups of records committed.', 'counter', () => metrics.walStats.commits, {
      signal: 'metrics',
    })
    read('tercet_wal_bytes_total', 'Bytes committed.', 'counter', () => metrics.walStats.bytes, { signal: 'metrics' })
    read('tercet_wal_segments', 'Segments that are kept.', 'gauge', () => metrics.walStats.segments, {
      signal: 'metrics',
    })
    read(
      'tercet_wal_replay_seconds',
      'Time that the last start took to replay the log.',
      'gauge',
      () => metrics.replayed.seconds,
      { signal: 'metrics' },
    )
    read('tercet_compactions_total', 'Blocks written by merging others.', 'counter', () => metrics.compactions, {
      signal: 'metrics',
    })
    read('tercet_spans_appended_total', 'Spans stored.', 'counter', () => traces.spansAppended)
    read('tercet_spans_refused_total', 'Spans refused for good.', 'counter', () => traces.spansRefused)
    read('tercet_live_traces', 'Traces that still get spans.', 'gauge', () => traces.liveTraces)
    read('tercet_trace_head_bytes', 'Bytes of live and settled traces in memory.', 'gauge', () => traces.headBytes)
    read(
      'tercet_trace_reads_total',
      'Objects and ranges of blocks that were read for queries.',
      'counter',
      () => traces.blockStats.reads,
    )
    read('tercet_blocks', 'Blocks that are served.', 'gauge', () => traces.status().blocks, { signal: 'traces' })
    read('tercet_blocks_bytes', 'Bytes of these blocks.', 'gauge', () => traces.status().blockBytes, {
      signal: 'traces',
    })
    read('tercet_backlog_bytes', 'Accepted, and not in the bucket yet.', 'gauge', () => traces.status().backlogBytes, {
      signal: 'traces',
    })
    read(
      'tercet_upload_blocks_waiting',
      'Finished blocks that wait for the bucket.',
      'gauge',
      () => traces.blockStats.waiting,
      { signal: 'traces' },
    )
    read('tercet_uploads_total', 'Blocks uploaded.', 'counter', () => traces.blockStats.uploads, { signal: 'traces' })
    read(
      'tercet_upload_failures_total',
      'Uploads that failed and were tried again.',
      'counter',
      () => traces.blockStats.failures,
      { signal: 'traces' },
    )
    read(
      'tercet_compactions_total',
      'Blocks written by merging others.',
      'counter',
      () => traces.blockStats.compactions,
      { signal: 'traces' },
    )
    read('tercet_wal_commits_total', 'Groups of records committed.', 'counter', () => traces.walStats.commits, {
      signal: 'traces',
    })
    read('tercet_wal_bytes_total', 'Bytes committed.', 'counter', () => traces.walStats.bytes, { signal: 'traces' })
    read('tercet_wal_segments', 'Segments that are kept.', 'gauge', () => traces.walStats.segments, {
      signal: 'traces',
    })
    read(
      'tercet_wal_replay_seconds',
      'Time that the last start took to replay the log.',
      'gauge',
      () => traces.replayed.seconds,
      { signal: 'traces' },
    )
    read('tercet_log_lines_appended_total', 'Log lines stored.', 'counter', () => logs.linesAppended)
    read('tercet_log_lines_refused_total', 'Log lines refused for good.', 'counter', () => logs.linesRefused)
    read('tercet_log_bytes_appended_total', 'Bytes of log records.', 'counter', () => logs.bytesAppended)
    read('tercet_log_streams', 'Log streams in memory.', 'gauge', () => logs.streamCount)
    read('tercet_log_head_bytes', 'Bytes of chunks in memory.', 'gauge', () => logs.headBytes)
    read('tercet_log_chunks_uploaded_total', 'Chunks put into the bucket.', 'counter', () => logs.chunkStats.uploads)
    read(
      'tercet_log_chunks_fetched_total',
      'Chunks read from the bucket for queries.',
      'counter',
      () => logs.chunkStats.fetched,
    )
    read(
      'tercet_log_chunks_skipped_total',
      'Chunks that a token filter ruled out.',
      'counter',
      () => logs.chunkStats.skipped,
    )
    read(
      'tercet_log_cache_bytes',
      'Chunks and blocks kept in memory for queries.',
      'gauge',
      () => logs.cacheStats.bytes,
    )
    read('tercet_backlog_bytes', 'Accepted, and not in the bucket yet.', 'gauge', () => logs.status().backlogBytes, {
      signal: 'logs',
    })
    read(
      'tercet_upload_blocks_waiting',
      'Finished blocks that wait for the bucket.',
      'gauge',
      () => logs.chunkStats.waiting,
      { signal: 'logs' },
    )
    read(
      'tercet_upload_failures_total',
      'Uploads that failed and were tried again.',
      'counter',
      () => logs.chunkStats.failures,
      { signal: 'logs' },
    )
    read('tercet_wal_commits_total', 'Groups of records committed.', 'counter', () => logs.walStats.commits, {
      signal: 'logs',
    })
    read('tercet_wal_bytes_total', 'Bytes committed.', 'counter', () => logs.walStats.bytes, { signal: 'logs' })
    read('tercet_wal_segments', 'Segments that are kept.', 'gauge', () => logs.walStats.segments, { signal: 'logs' })
    read(
      'tercet_wal_replay_seconds',
      'Time that the last start took to replay the log.',
      'gauge',
      () => logs.replayed.seconds,
      { signal: 'logs' },
    )
    if (cache !== undefined) {
      read('tercet_cache_bytes', 'Local copies of what lies in the bucket.', 'gauge', () => cache.bytes, {
        signal: 'metrics',
      })
      read('tercet_cache_hits_total', 'Pages that were read from the local copy.', 'counter', () => cache.hits, {
        signal: 'metrics',
      })
      read('tercet_cache_misses_total', 'Pages that had to be fetched.', 'counter', () => cache.misses, {
        signal: 'metrics',
      })
    }
    read('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', 'counter', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    })
    read('process_resident_memory_bytes', 'Resident memory size in bytes.', 'gauge', () => process.memoryUsage.rss())
    read(
      'process_start_time_seconds',
      'Start time of the process since unix epoch in seconds.',
      'gauge',
      () => this.#startedMs / 1000,
    )
    read('nodejs_heap_size_used_bytes', 'Heap in use.', 'gauge', () => process.memoryUsage().heapUsed)
  }

  request(route: string, status: number, seconds: number): void {
    const key = `${route} ${status}`
    let counter = this.#requests.get(key)
    if (counter === undefined)
      this.#requests.set(
        key,
        (counter = this.#registry.counter('tercet_http_requests_total', 'Requests answered.', {
          path: route,
          code: String(status),
        })),
      )
    counter.increment()
    let duration = this.#durations.get(route)
    if (duration === undefined)
      this.#durations.set(
        route,
        (duration = this.#registry.distribution(
          'tercet_http_request_duration_seconds',
          'Time from the request to its answer.',
          latencyBounds,
          { path: route },
        )),
      )
    duration.observe(seconds)
  }

  expose(): string {
    return this.#registry.expose()
  }

  /** Puts the present values into the store, as a scrape of ourselves would. */
  async store(tenant: string): Promise<void> {
    const nowMs = this.#clock.nowMs()
    this.#builder.clear()
    const own: [string, string][] = [
      ['instance', 'self'],
      ['job', 'tercet'],
    ]
    for (const sample of parseExposition(this.expose()).samples)
      this.#builder.add(Labels.from([...sample.labels, ...own]), nowMs, sample.value)
    this.#builder.add(Labels.from([['__name__', 'up'], ...own]), nowMs, 1)
    await this.#metrics.append(tenant, this.#builder.batch)
  }
}
