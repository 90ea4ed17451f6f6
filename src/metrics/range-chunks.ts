/**
 * What the head holds of one block range: finished XOR chunks, samples out of order, histograms. Dropped as a whole.
 */
import { grown, growLastPage, sharedPage, smallPageBytes } from '#core/grown.ts'
import { resetHint, type FloatHistogram } from '#model/histogram.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import { appendXor } from './append-xor.ts'
import type { HeadColumnsBuilder } from './head-columns-builder.ts'

const pageBytes = 1 << 20
/** A series of 100 samples with ten buckets each. */
const histogramSeriesBytes = 40_000

/** Histogram samples of one series, in the order in which they came. */
export interface HistogramSamples {
  timesMs: number[]
  startsMs: number[]
  histograms: FloatHistogram[]
  inOrder: boolean
}

export class RangeChunks {
  readonly startMs: number
  readonly endMs: number
  /** Chunk columns: by chunk number. Times are relative to `startMs`. */
  #series = new Uint32Array(16)
  #min = new Int32Array(16)
  #max = new Int32Array(16)
  #place = new Float64Array(16)
  #length = new Uint16Array(16)
  #previous = new Int32Array(16)
  chunkCount = 0
  /** By series: number of its latest chunk + 1. */
  #latest = new Int32Array(0)
  readonly #pages: Uint8Array[] = []
  #used = pageBytes
  /** Samples out of order, as columns. */
  #lateSeries = new Uint32Array(0)
  #lateMs = new Float64Array(0)
  #lateWords = new Uint32Array(0)
  lateCount = 0
  #lateOf: Map<number, number[]> | undefined
  readonly histogramsOf = new Map<number, HistogramSamples>()
  sampleCount = 0
  minMs = Infinity
  maxMs = -Infinity

  constructor(startMs: number, endMs: number) {
    this.startMs = startMs
    this.endMs = endMs
  }

  /** Roughly what it holds in memory, in bytes; histograms by their usual size. */
  get heldBytes(): number {
    const columns = this.#series.length * 26 + this.#latest.length * 4 + this.#lateSeries.length * 20
    const pages = this.#pages.length < 2 ? (this.#pages[0]?.length ?? 0) : this.#pages.length * pageBytes
    return pages + columns + this.histogramsOf.size * histogramSeriesBytes
  }

  /** Keeps a copy of a finished chunk. */
  addChunk(series: number, bytes: Uint8Array, minMs: number, maxMs: number): void {
    if (this.#used + bytes.length > pageBytes) {
      this.#pages.push(sharedPage(this.#pages.length === 0 ? smallPageBytes : pageBytes))
      this.#used = 0
    }
    growLastPage(this.#pages, this.#used + bytes.length, pageBytes, sharedPage)
    const chunk = this.chunkCount++
    if (chunk === this.#series.length) this.#growChunks()
    this.#pages.at(-1)!.set(bytes, this.#used)
    this.#series[chunk] = series
    this.#min[chunk] = minMs - this.startMs
    this.#max[chunk] = maxMs - this.startMs
    this.#place[chunk] = (this.#pages.length - 1) * pageBytes + this.#used
    this.#length[chunk] = bytes.length
    this.#used += bytes.length
    if (series >= this.#latest.length)
      this.#latest = grown(this.#latest, new Int32Array(Math.max(series + 1, this.#latest.length * 2, 64)))
    this.#previous[chunk] = this.#latest[series]! - 1
    this.#latest[series] = chunk + 1
    this.#see(minMs, maxMs)
  }

  #see(minMs: number, maxMs: number): void {
    if (minMs < this.minMs) this.minMs = minMs
    if (maxMs > this.maxMs) this.maxMs = maxMs
  }

  #growChunks(): void {
    const size = this.#series.length * 2
    this.#series = grown(this.#series, new Uint32Array(size))
    this.#min = grown(this.#min, new Int32Array(size))
    this.#max = grown(this.#max, new Int32Array(size))
    this.#place = grown(this.#place, new Float64Array(size))
    this.#length = grown(this.#length, new Uint16Array(size))
    this.#previous = grown(this.#previous, new Int32Array(size))
  }

  addLate(series: number, timeMs: number, hi: number, lo: number): void {
    if (this.lateCount === this.#lateSeries.length) {
      const size = Math.max(16, this.lateCount * 2)
      this.#lateSeries = grown(this.#lateSeries, new Uint32Array(size))
      this.#lateMs = grown(this.#lateMs, new Float64Array(size))
      this.#lateWords = grown(this.#lateWords, new Uint32Array(size * 2))
    }
    const i = this.lateCount++
    this.#lateSeries[i] = series
    this.#lateMs[i] = timeMs
    this.#lateWords[2 * i] = lo
    this.#lateWords[2 * i + 1] = hi
    this.#see(timeMs, timeMs)
    if (this.#lateOf !== undefined) push(this.#lateOf, series, i)
  }

  addHistogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void {
    let samples = this.histogramsOf.get(series)
    if (samples === undefined)
      this.histogramsOf.set(series, (samples = { timesMs: [], startsMs: [], histograms: [], inOrder: true }))
    const isLate = samples.timesMs.length > 0 && samples.timesMs.at(-1)! >= timeMs
    if (isLate) samples.inOrder = false
    const previous = isLate ? undefined : samples.histograms.at(-1)
    samples.timesMs.push(timeMs)
    samples.startsMs.push(startMs)
    samples.histograms.push(withCheckedHint(histogram, previous))
    this.#see(timeMs, timeMs)
  }

  histogramAt(series: number, timeMs: number): FloatHistogram | undefined {
    const samples = this.histogramsOf.get(series)
    const at = samples?.timesMs.lastIndexOf(timeMs) ?? -1
    return at < 0 ? undefined : samples?.histograms[at]
  }

  hasChunks(series: number): boolean {
    return series < this.#latest.length && this.#latest[series]! > 0
  }

  late(series: number): readonly number[] {
    if (this.#lateOf === undefined) {
      this.#lateOf = new Map()
      for (let i = 0; i < this.lateCount; i++) push(this.#lateOf, this.#lateSeries[i]!, i)
    }
    return this.#lateOf.get(series) ?? []
  }

  /** Numbers of the series' finished chunks, oldest first. */
  chunksOf(series: number): number[] {
    const chunks: number[] = []
    if (series < this.#latest.length)
      for (let c = this.#latest[series]! - 1; c >= 0; c = this.#previous[c]!) chunks.push(c)
    return chunks.reverse()
  }

  chunkBytes(chunk: number): Uint8Array {
    const place = this.#place[chunk]!
    const offset = place % pageBytes
    return this.#pages[Math.floor(place / pageBytes)]!.subarray(offset, offset + this.#length[chunk]!)
  }
  chunkMinMs(chunk: number): number {
    return this.startMs + this.#min[chunk]!
  }
  chunkMaxMs(chunk: number): number {
    return this.startMs + this.#max[chunk]!
  }

  /** Adds the series' samples to `into`; not in order where late ones are among them. */
  read(series: number, fromMs: number, throughMs: number, into: SampleColumns): void {
    this.readChunks(series, fromMs, throughMs, into)
    this.readRest(series, into)
  }

  /** What is in chunks, in order. */
  readChunks(series: number, fromMs: number, throughMs: number, into: SampleColumns): void {
    for (const chunk of this.chunksOf(series)) {
      if (this.chunkMinMs(chunk) > throughMs || this.chunkMaxMs(chunk) < fromMs) continue
      appendXor(this.chunkBytes(chunk), into)
    }
  }

  /** What is in no chunk: samples out of order, and histograms. */
  readRest(series: number, into: SampleColumns): void {
    if (this.lateCount > 0)
      for (const i of this.late(series))
        into.pushWords(this.#lateMs[i]!, this.#lateWords[2 * i + 1]!, this.#lateWords[2 * i]!)
    const samples = this.histogramsOf.get(series)
    if (samples !== undefined)
      samples.timesMs.forEach((timeMs, i) => {
        into.pushHistogram(timeMs, samples.histograms[i]!)
      })
  }

  /** Has the series anything in this range? */
  has(series: number): boolean {
    return (
      this.hasChunks(series) || this.histogramsOf.has(series) || (this.lateCount > 0 && this.late(series).length > 0)
    )
  }

  /** What `readChunks` reads, as places in shared memory. */
  collectChunks(series: number, fromMs: number, throughMs: number, into: HeadColumnsBuilder): void {
    for (const chunk of this.chunksOf(series)) {
      if (this.chunkMinMs(chunk) > throughMs || this.chunkMaxMs(chunk) < fromMs) continue
      into.addShared(this.chunkBytes(chunk), this.chunkMinMs(chunk), this.chunkMaxMs(chunk))
    }
  }

  /** What `readRest` reads, copied. */
  collectRest(series: number, into: HeadColumnsBuilder): void {
    if (this.lateCount > 0)
      for (const i of this.late(series))
        into.addLate(this.#lateMs[i]!, this.#lateWords[2 * i + 1]!, this.#lateWords[2 * i]!)
    const samples = this.histogramsOf.get(series)
    if (samples !== undefined) into.addHistograms(samples.timesMs, samples.histograms)
  }

  /** Series with anything in this range, ascending. */
  series(): Uint32Array {
    const all = new Set<number>(this.histogramsOf.keys())
    for (let i = 0; i < this.lateCount; i++) all.add(this.#lateSeries[i]!)
    let count = 0
    for (let s = 0; s < this.#latest.length; s++)
      if (this.#latest[s]! > 0) {
        all.delete(s)
        count++
      }
    const out = new Uint32Array(count + all.size)
    let at = 0
    for (let s = 0; s < this.#latest.length; s++) if (this.#latest[s]! > 0) out[at++] = s
    for (const s of all) out[at++] = s
    return out.sort()
  }
}

function push(map: Map<number, number[]>, key: number, value: number): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}

/**
 * A counter's histogram, with the hint that nothing was reset where the sample before it shows that. A sender's word of
 * it is not taken: counts are compared, once, when the sample comes.
 */
function withCheckedHint(histogram: FloatHistogram, previous: FloatHistogram | undefined): FloatHistogram {
  const { hint } = histogram
  if (hint === resetHint.gauge || hint === resetHint.reset || histogram.stale) return histogram
  const unhinted = hint === resetHint.noReset ? histogram.withHint(resetHint.unknown) : histogram
  if (previous === undefined || previous.stale || previous.hint === resetHint.gauge) return unhinted
  return wasReset(unhinted, previous) ? unhinted : histogram.withHint(resetHint.noReset)
}

/** An older log may bring back histograms that are none: they are reported when they are written to a block. */
function wasReset(histogram: FloatHistogram, previous: FloatHistogram): boolean {
  try {
    return histogram.detectReset(previous)
  } catch {
    return true
  }
}
