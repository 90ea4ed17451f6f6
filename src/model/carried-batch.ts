/**
 * Batches between threads: the same columns without classes, in buffers of their own, which move and are not copied.
 * Texts of log lines move too: each once, as bytes, so that the thread which gets them can make strings of them a few
 * at a time. Histograms, and the labels of exemplars, are cloned one by one.
 */
import { grown } from '#core/grown.ts'
import { FloatHistogram } from './histogram.ts'
import { Labels } from './labels.ts'
import { LogBatch } from './log-batch.ts'
import { WriteBatch, type HistogramSample, type Metadata, type RefusedHistogram } from './write-batch.ts'

/** A `LogBatch`. Texts are numbers of `texts`. */
export interface CarriedLogs {
  readonly texts: CarriedTexts
  /** Labels of streams, names and values in turn; those of stream s end before `streamTo[s]`. */
  readonly streams: Uint32Array
  readonly streamTo: Uint32Array
  readonly startOf: Uint32Array
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
  readonly pairs: Uint32Array
}

/** Texts without repetitions: text i ends before byte `to[i]`, where the next one begins. */
interface CarriedTexts {
  readonly bytes: Uint8Array
  readonly to: Uint32Array
}

class TextPacker {
  readonly #numbers = new Map<string, number>()
  #bytes = new Uint8Array(4096)
  #to = new Uint32Array(256)
  #at = 0

  numberOf(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const number = this.#numbers.size
    this.#numbers.set(text, number)
    // UTF-8 has at most three bytes for each of a string's units.
    const needed = this.#at + text.length * 3
    if (needed > this.#bytes.length) {
      const size = Math.max(needed, this.#bytes.length * 2)
      this.#bytes = grown(this.#bytes, new Uint8Array(size))
    }
    if (number === this.#to.length) this.#to = grown(this.#to, new Uint32Array(number * 2))
    this.#at += encoder.encodeInto(text, this.#bytes.subarray(this.#at)).written
    this.#to[number] = this.#at
    return number
  }

  numbersOf(texts: readonly string[]): Uint32Array {
    const numbers = new Uint32Array(texts.length)
    for (let i = 0; i < texts.length; i++) numbers[i] = this.numberOf(texts[i]!)
    return numbers
  }

  packed(): CarriedTexts {
    return { bytes: this.#bytes.slice(0, this.#at), to: this.#to.slice(0, this.#numbers.size) }
  }
}

const encoder = new TextEncoder()

/** A batch as it is carried. `bytes` goes along where it has a buffer of its own. */
export function carryLogs(batch: LogBatch): CarriedLogs {
  const { count, bytes } = batch
  const texts = new TextPacker()
  const streamTo = new Uint32Array(batch.streams.length)
  const labels: string[] = []
  for (const [s, { pairs }] of batch.streams.entries()) {
    for (const text of pairs) labels.push(text)
    streamTo[s] = labels.length
  }
  const streams = texts.numbersOf(labels)
  const pairs = texts.numbersOf(batch.pairs)
  return {
    texts: texts.packed(),
    streams,
    streamTo,
    startOf: Uint32Array.from(batch.startOf),
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
    pairs,
  }
}

/** Texts, streams and pairs that are made between two calls of `pause`: about a millisecond of work. */
const pieceItems = 4096

/**
 * The batch that was carried; its columns are those of `carried`. It is frozen: nothing may be added to it. `pause` is
 * called after every millisecond or so.
 */
export async function logsOf(carried: CarriedLogs, pause: () => Promise<void>): Promise<LogBatch> {
  const { texts: packed, streams, streamTo, startOf, pairs, ...columns } = carried
  const batch = Object.assign(new LogBatch(), columns)
  const texts = await textsOf(packed, pause)
  let from = 0
  for (const [s, to] of streamTo.entries()) {
    batch.streams.push(new Labels(Array.from(streams.subarray(from, to), number => texts[number]!)))
    batch.startOf.push(startOf[s + 1]!)
    from = to
    if (s % pieceItems === 0) await pause()
  }
  for (let at = 0; at < pairs.length; at += pieceItems) {
    const end = Math.min(at + pieceItems, pairs.length)
    for (let i = at; i < end; i++) batch.pairs.push(texts[pairs[i]!]!)
    await pause()
  }
  batch.isFrozen = true
  return batch
}

async function textsOf({ bytes, to }: CarriedTexts, pause: () => Promise<void>): Promise<string[]> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const texts: string[] = []
  let from = 0
  for (const [i, end] of to.entries()) {
    texts.push(all.toString('utf8', from, end))
    from = end
    if (i % pieceItems === 0) await pause()
  }
  return texts
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

/** The batch that was carried; its columns are those of `carried`. It is frozen: nothing may be added to it. */
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
  batch.isFrozen = true
  return batch
}

/** Buffers that move to the other thread: those of a batch's columns, each once. */
export function buffersOf(carried: CarriedLogs | CarriedSamples): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  const columns: unknown[] = Object.values(carried)
  if ('texts' in carried) columns.push(carried.texts.bytes, carried.texts.to)
  for (const column of columns)
    if (ArrayBuffer.isView(column) && column.buffer instanceof ArrayBuffer) found.add(column.buffer)
  return [...found]
}

/** Bytes that may move: a copy where they are a part of more (a kernel's memory, Node's pool of small buffers). */
function ownBuffer(bytes: Uint8Array): Uint8Array {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
  return isWhole ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
}
