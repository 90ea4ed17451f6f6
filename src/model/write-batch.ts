/**
 * What every metrics protocol decodes into: a list of series keys and columns of samples that point into it.
 *
 * A key is the bytes of one label set as remote write spells it: for each label `0A len 0A nameLen name 12 valueLen
 * value` (lengths as LEB128). A key is canonical when its names ascend bytewise and no value is empty; storage finds
 * a canonical key without decoding it, and sorts the others first.
 */
import { tooMany } from '#core/body-limits.ts'
import { LimitError } from '#core/errors.ts'
import { expandedBytes } from '#core/limits.ts'
import { encodeUtf8 } from '#core/text.ts'
import { grown } from '#core/grown.ts'
import type { FloatHistogram } from './histogram.ts'
import { problemOfHistogram } from './histogram-validation.ts'
import type { Labels } from './labels.ts'

/** A native histogram of a series of the batch. `startMs`: 0 is unknown. */
export interface HistogramSample {
  series: number
  timeMs: number
  histogram: FloatHistogram
  startMs: number
}
/** A histogram, or another part of a series of the batch, that no store may hold, and why. */
export interface RefusedHistogram {
  series: number
  message: string
}
/** An exemplar of a series of the batch. */
export interface ExemplarSample {
  series: number
  labels: Labels
  value: number
  timeMs: number
}
/** Types of metrics as metadata has them. */
export type MetricType =
  | 'unknown'
  | 'counter'
  | 'gauge'
  | 'histogram'
  | 'gaugehistogram'
  | 'summary'
  | 'info'
  | 'stateset'
/** What is known of a metric beside its samples. */
export interface Metadata {
  metric: string
  type: MetricType
  help: string
  unit: string
}

/** Numbers of the remote-write protocol. */
export const metricTypes: readonly MetricType[] = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
]

/** Series, and samples, that columns keep room for from batch to batch: 2 and 5 MiB. */
const keptRows = 262_144

/** The decoder that fills a batch owns it; whoever stores it copies what it keeps. Reused from request to request. */
export class WriteBatch {
  /** Keys lie in here, at [keyFrom[i], keyTo[i]). */
  bytes: Uint8Array = new Uint8Array(0)
  keyFrom: Uint32Array = new Uint32Array(64)
  keyTo: Uint32Array = new Uint32Array(64)
  seriesCount = 0
  /** Four words a series: a seeded hash of the key's bytes, where the decoder has one. */
  hashes: Uint32Array | undefined
  sampleSeries: Uint32Array = new Uint32Array(256)
  timesMs: Float64Array = new Float64Array(256)
  values: Float64Array = new Float64Array(256)
  words: Uint32Array = new Uint32Array(this.values.buffer)
  sampleCount = 0
  histograms: HistogramSample[] = []
  /** What `addHistogram` and decoders left out: refused one by one, beside what is good. */
  refusals: RefusedHistogram[] = []
  exemplars: ExemplarSample[] = []
  metadata: Metadata[] = []
  /** Series, and samples, of the body that is decoded: more are refused. Set after `clear`. */
  rowsMax = Infinity
  /** The outcome lists the series (`at`) of each sample and histogram that is refused. */
  namesRefused = false
  /** Nobody changes it any more, so an append may read it after it has waited. */
  isFrozen = false
  /** More of the same request comes when this is kept: the log does not wait for more of others. */
  isPart = false

  clear(): void {
    this.namesRefused = false
    this.isPart = false
    this.rowsMax = Infinity
    this.seriesCount = 0
    this.sampleCount = 0
    this.histograms = []
    this.refusals = []
    this.exemplars = []
    this.metadata = []
    if (this.keyFrom.length > keptRows || this.timesMs.length > keptRows) this.#shrink()
  }

  #shrink(): void {
    this.keyFrom = new Uint32Array(64)
    this.keyTo = new Uint32Array(64)
    this.sampleSeries = new Uint32Array(256)
    this.timesMs = new Float64Array(256)
    this.values = new Float64Array(256)
    this.words = new Uint32Array(this.values.buffer)
  }

  /** Throws LimitError (400) where columns would grow beyond what the body may hold. */
  #checkGrowth(count: number): void {
    if (count >= this.rowsMax) throw tooMany('rows', this.bytes.length)
  }

  /** Adds a key that lies in `bytes`; returns its number. Throws LimitError (400) beyond `rowsMax`. */
  addSeries(from: number, to: number): number {
    if (this.seriesCount === this.keyFrom.length) {
      this.#checkGrowth(this.seriesCount)
      this.keyFrom = grown(this.keyFrom, new Uint32Array(this.seriesCount * 2))
      this.keyTo = grown(this.keyTo, new Uint32Array(this.seriesCount * 2))
    }
    this.keyFrom[this.seriesCount] = from
    this.keyTo[this.seriesCount] = to
    return this.seriesCount++
  }

  #reserveSample(): void {
    if (this.sampleCount < this.timesMs.length) return
    this.#checkGrowth(this.sampleCount)
    const size = this.sampleCount * 2
    this.sampleSeries = grown(this.sampleSeries, new Uint32Array(size))
    this.timesMs = grown(this.timesMs, new Float64Array(size))
    const values = new Float64Array(size)
    this.words = grown(this.words, new Uint32Array(values.buffer))
    this.values = values
  }

  addSample(series: number, timeMs: number, value: number): void {
    this.#reserveSample()
    this.sampleSeries[this.sampleCount] = series
    this.timesMs[this.sampleCount] = timeMs
    this.values[this.sampleCount++] = value
  }

  /** The same with the value's two words, so that a staleness marker stays one. */
  addSampleWords(series: number, timeMs: number, hi: number, lo: number): void {
    this.#reserveSample()
    this.sampleSeries[this.sampleCount] = series
    this.timesMs[this.sampleCount] = timeMs
    this.words[2 * this.sampleCount] = lo
    this.words[2 * this.sampleCount + 1] = hi
    this.sampleCount++
  }

  /** Adds a histogram, or the reason why it is refused. `startMs`: 0 is unknown. */
  addHistogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void {
    const problem = problemOfHistogram(histogram)
    if (problem === undefined) this.histograms.push({ series, timeMs, startMs, histogram })
    else this.refuseHistogram(series, problem)
  }

  /** Something of a series that is left out, and why: it counts as refused. */
  refusePart(series: number, problem: string): void {
    this.refusals.push({ series, message: problem })
  }

  refuseHistogram(series: number, problem: string): void {
    this.refusals.push({ series, message: `invalid histogram: ${problem}` })
  }
}

/** Collects keys from label strings, for protocols that don't spell labels as remote write does. */
export class KeyWriter {
  bytes: Uint8Array
  at = 0

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity)
  }

  reset(): void {
    this.at = 0
  }

  #reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return
    if (this.at + count > expandedBytes.most)
      throw new LimitError(
        `the label sets of the body take more than ${expandedBytes.most} bytes, which is the limit; ` +
          'send smaller requests',
        400,
      )
    const bytes = new Uint8Array(Math.max(this.at + count, this.bytes.length * 2))
    bytes.set(this.bytes)
    this.bytes = bytes
  }

  #writeUvarint(value: number): void {
    while (value >= 128) {
      this.bytes[this.at++] = (value & 127) | 128
      value >>>= 7
    }
    this.bytes[this.at++] = value
  }

  writeLabelBytes(name: Uint8Array, value: Uint8Array): void {
    this.#reserve(name.length + value.length + 24)
    const inner = 1 + uvarintLength(name.length) + name.length + 1 + uvarintLength(value.length) + value.length
    this.bytes[this.at++] = 0x0a
    this.#writeUvarint(inner)
    this.bytes[this.at++] = 0x0a
    this.#writeUvarint(name.length)
    this.bytes.set(name, this.at)
    this.at += name.length
    this.bytes[this.at++] = 0x12
    this.#writeUvarint(value.length)
    this.bytes.set(value, this.at)
    this.at += value.length
  }

  /** Gives back room that is not used. */
  trim(): void {
    this.bytes = this.bytes.slice(0, this.at)
  }

  /** Takes over a whole key; returns where it begins. */
  writeKey(source: Uint8Array, from: number, to: number): number {
    this.#reserve(to - from)
    const start = this.at
    if (to - from < 32) {
      const { bytes } = this
      for (let i = from, at = start; i < to; i++, at++) bytes[at] = source[i]!
    } else this.bytes.set(source.subarray(from, to), start)
    this.at += to - from
    return start
  }

  /** Writes a whole key; returns where it begins. */
  writeLabels(labels: Labels): number {
    const from = this.at
    for (let i = 0; i < labels.pairs.length; i += 2) this.#writeLabel(labels.pairs[i]!, labels.pairs[i + 1]!)
    return from
  }

  /** Nearly all labels are short ASCII: an encoder would take ten times as long for them. */
  #writeLabel(name: string, value: string): void {
    const from = this.at
    if (name.length + value.length < 120) {
      this.#reserve(name.length + value.length + 24)
      this.bytes[this.at++] = 0x0a
      this.bytes[this.at++] = name.length + value.length + 4
      if (this.#writeAscii(0x0a, name) && this.#writeAscii(0x12, value)) return
      this.at = from
    }
    this.writeLabelBytes(encodeUtf8(name), encodeUtf8(value))
  }

  /** False: the text is not ASCII. */
  #writeAscii(tag: number, text: string): boolean {
    const { bytes } = this
    let at = this.at
    bytes[at++] = tag
    bytes[at++] = text.length
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 128) return false
      bytes[at++] = code
    }
    this.at = at
    return true
  }
}

function uvarintLength(value: number): number {
  return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : value < 268435456 ? 4 : 5
}

/** A batch made from label sets, for senders inside the process (rules, scrapes, self metrics, imports). */
export class BatchBuilder {
  readonly batch = new WriteBatch()
  readonly keys = new KeyWriter()

  clear(): void {
    this.batch.clear()
    this.keys.reset()
  }

  addSeries(labels: Labels): number {
    return this.addWritten(this.keys.writeLabels(labels))
  }

  /** A series whose key was written to `keys`, from there to its end. */
  addWritten(from: number): number {
    this.batch.bytes = this.keys.bytes
    return this.batch.addSeries(from, this.keys.at)
  }

  /** A series whose key was made before. */
  addKey(source: Uint8Array, from: number, to: number): number {
    return this.addWritten(this.keys.writeKey(source, from, to))
  }

  add(labels: Labels, timeMs: number, value: number): void {
    this.batch.addSample(this.addSeries(labels), timeMs, value)
  }
}
