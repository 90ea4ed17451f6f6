/** What a worker is started with: data that can be cloned. */
import type { Limits } from '#core/limits.ts'
import type { OverridesTable } from '#core/overrides.ts'
import type { BlockLayout } from '#traces/schema.ts'

/** Where a signal's bucket is: a directory, which the worker opens itself, or with the main thread, which it asks. */
export interface WorkerBucket {
  description: string
  directory: string | undefined
  /** As the bucket says it. */
  gapBytes: number | undefined
}

export interface WorkerSignal {
  bucket: WorkerBucket
  /** Infinity keeps everything. */
  retentionMs: number
}

/** The same of metrics. */
export interface WorkerMetrics extends WorkerSignal {
  /** For answers that are kept. */
  cacheBytes: number
}

/** The same of logs. */
export interface WorkerLogs extends WorkerSignal {
  /** Chunk keys end in base64. */
  isBase64: boolean
  /** For chunks and blocks of lines. */
  cacheBytes: number
}

/** The same of traces. */
export interface WorkerTraces extends WorkerSignal {
  layout: BlockLayout
  /** For footers, filters and columns. */
  cacheBytes: number
}

export interface WorkerSettings {
  /** Where compiled code is kept from start to start; undefined: nowhere. */
  compileCacheDirectory?: string
  limits: Limits
  /** Limits and retention of single tenants, as they are at the start. Default: none. */
  overrides?: OverridesTable
  isTenancyOn: boolean
  /** JavaScript memory and buffers that the worker may use. */
  memoryBytesMax: number
  metrics: WorkerMetrics | undefined
  logs: WorkerLogs | undefined
  traces: WorkerTraces | undefined
}
