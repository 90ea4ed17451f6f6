/**
 * Batches between threads: the same columns without classes, in buffers of their own, which move and are not copied.
 * Texts (pairs of log lines, labels of streams and exemplars) are cloned one by one.
 */
import { FloatHistogram } from './histogram.ts'
import { Labels } from './labels.ts'
import { LogBatch } from './log-batch.ts'
import { WriteBatch, type HistogramSample, type Metadata, type RefusedHistogram } from './write-batch.ts'

/** A `LogBatch`: `streams` are the pairs of their labels. */
export interface CarriedLogs {
  readonly streams: readonly (readonly string[])[]
  readonly startOf: readonly number[]
  readonly count: number
  readonly isVerbatim: boolean
  readonly namesRefused: boolean
  readonly bytes: Uint8Array
  readonly timesMs: Float64Array
  readonly subNs: Uint32Array
  readonly lineFrom: Uint32Array
  readonly lineTo: Uint32Array
  readonly pairsFrom: Uint32Array
  readonly pairsTo: Uint32Array
  readonly pairs: readonly string[]
}

/** A batch as it is carried. `bytes` goes along where it has a buffer of its own. */
export function carryLogs(batch: LogBatch): CarriedLogs {
  const { count, bytes } = batch
  return {
    streams: batch.streams.map(labels => labels.pairs),
    startOf: batch.startOf,
    count,
    isVerbatim: batch.isVerbatim,
    namesRefused: batch.namesRefused,
    bytes: ownBuffer(bytes),
    timesMs: batch.timesMs.slice(0, count),
    subNs: batch.subNs.slice(0, count),
    lineFrom: batch.lineFrom.slice(0, count),
    lineTo: batch.lineTo.slice(0, count),
    pairsFrom: batch.pairsFrom.slice(0, count),
    pairsTo: batch.pairsTo.slice(0, count),
    pairs: batch.pairs,
  }
}

/** The batch that was carried; its columns are those of `carried`. Nothing may be added to it. */
export function logsOf(carried: CarriedLogs): LogBatch {
  const { streams, startOf, pairs, ...columns } = carried
  const batch = Object.assign(new LogBatch(), columns)
  for (const labels of streams) batch.streams.push(new Labels(labels))
  for (const start of startOf.slice(1)) batch.startOf.push(start)
  for (const text of pairs) batch.pairs.push(text)
  return batch
}

/** An exemplar of a `WriteBatch` with the pairs of its labels. */
interface CarriedExemplar {
  readonly series: number
  readonly labels: readonly string[]
  readonly value: number
  readonly timeMs: number
}

/** A `WriteBatch`: histograms are their fields. */
export interface CarriedSamples {
  readonly bytes: Uint8Array
  readonly seriesCount: number
  readonly keyFrom: Uint32Array
  readonly keyTo: Uint32Array
  readonly hashes: Uint32Array | undefined
  readonly sampleCount: number
  readonly sampleSeries: Uint32Array
  readonly timesMs: Float64Array
  readonly values: Float64Array
  readonly histograms: readonly HistogramSample[]
  readonly refusals: readonly RefusedHistogram[]
  readonly exemplars: readonly CarriedExemplar[]
  readonly metadata: readonly Metadata[]
  readonly namesRefused: boolean
}

export function carrySamples(batch: WriteBatch): CarriedSamples {
  const { seriesCount, sampleCount } = batch
  return {
    bytes: ownBuffer(batch.bytes),
    seriesCount,
    keyFrom: batch.keyFrom.slice(0, seriesCount),
    keyTo: batch.keyTo.slice(0, seriesCount),
    hashes: batch.hashes?.slice(0, seriesCount * 4),
    sampleCount,
    sampleSeries: batch.sampleSeries.slice(0, sampleCount),
    timesMs: batch.timesMs.slice(0, sampleCount),
    values: batch.values.slice(0, sampleCount),
    histograms: batch.histograms,
    refusals: batch.refusals,
    exemplars: batch.exemplars.map(exemplar => ({ ...exemplar, labels: exemplar.labels.pairs })),
    metadata: batch.metadata,
    namesRefused: batch.namesRefused,
  }
}

/** The batch that was carried; its columns are those of `carried`. Nothing may be added to it. */
export function samplesOf(carried: CarriedSamples): WriteBatch {
  const { histograms, exemplars, refusals, metadata, ...columns } = carried
  const batch = Object.assign(new WriteBatch(), columns)
  // A staleness marker travels as two words: views of one buffer stay views of one.
  batch.words = new Uint32Array(batch.values.buffer, batch.values.byteOffset, carried.sampleCount * 2)
  batch.histograms = histograms.map(sample => ({
    ...sample,
    histogram: Object.assign(new FloatHistogram(), sample.histogram),
  }))
  batch.exemplars = exemplars.map(exemplar => ({ ...exemplar, labels: new Labels(exemplar.labels) }))
  batch.refusals = [...refusals]
  batch.metadata = [...metadata]
  return batch
}

/** Buffers that move to the other thread: those of a batch's columns, each once. */
export function buffersOf(carried: CarriedLogs | CarriedSamples): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  for (const column of Object.values(carried) as unknown[])
    if (ArrayBuffer.isView(column) && column.buffer instanceof ArrayBuffer) found.add(column.buffer)
  return [...found]
}

/** Bytes that may move: a copy where they are a part of more (a kernel's memory, Node's pool of small buffers). */
function ownBuffer(bytes: Uint8Array): Uint8Array {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
  return isWhole ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
}
