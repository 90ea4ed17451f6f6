/** The samples of one series as columns: what storage fills and queries read. */
import { resetHint, type FloatHistogram } from './histogram.ts'

/** The words of the staleness marker as they lie in a value column (low word first). */
export const staleLow = 2
export const staleHigh = 0x7ff00000

/**
 * `count` samples in order of time. A sample is a float in `values`, or, where `histograms` has an entry at its
 * index, that histogram. Whoever made the columns owns them; they are reused from series to series.
 */
export class SampleColumns {
  timesMs = new Float64Array(0)
  values = new Float64Array(0)
  /** The same memory as `values`, two words each: the only place where a NaN keeps its payload. */
  words = new Uint32Array(0)
  histograms: (FloatHistogram | undefined)[] | undefined
  /** Start timestamps, 0 = unknown; absent when no sample has one. */
  startsMs: Float64Array | undefined
  count = 0

  /** Makes room for `extra` more samples. */
  reserve(extra: number): void {
    const needed = this.count + extra
    if (needed <= this.timesMs.length) return
    const size = Math.max(needed, this.timesMs.length * 2, 256)
    const timesMs = new Float64Array(size)
    timesMs.set(this.timesMs.subarray(0, this.count))
    const values = new Float64Array(size)
    const words = new Uint32Array(values.buffer)
    words.set(this.words.subarray(0, this.count * 2))
    this.timesMs = timesMs
    this.values = values
    this.words = words
    if (this.startsMs !== undefined) {
      const startsMs = new Float64Array(size)
      startsMs.set(this.startsMs.subarray(0, this.count))
      this.startsMs = startsMs
    }
  }

  clear(): void {
    this.count = 0
    this.histograms = undefined
    this.startsMs = undefined
  }

  /** Drops the samples from `count` on. */
  truncate(count: number): void {
    if (this.histograms !== undefined && this.histograms.length > count) this.histograms.length = count
    this.startsMs?.fill(0, count, this.count)
    this.count = count
  }

  /** Is the value at `i` the staleness marker? */
  isStale(i: number): boolean {
    return this.words[2 * i + 1] === staleHigh && this.words[2 * i] === staleLow
  }

  pushFloat(timeMs: number, value: number): void {
    this.reserve(1)
    this.timesMs[this.count] = timeMs
    this.values[this.count++] = value
  }

  pushWords(timeMs: number, hi: number, lo: number): void {
    this.reserve(1)
    this.timesMs[this.count] = timeMs
    this.words[2 * this.count] = lo
    this.words[2 * this.count + 1] = hi
    this.count++
  }

  pushHistogram(timeMs: number, histogram: FloatHistogram): void {
    this.reserve(1)
    this.timesMs[this.count] = timeMs
    // A stale histogram is a stale sample: the marker stands in the value column too.
    this.words[2 * this.count] = histogram.stale ? staleLow : 0
    this.words[2 * this.count + 1] = histogram.stale ? staleHigh : 0
    this.histograms ??= []
    this.histograms[this.count] = histogram
    this.count++
  }

  setStart(i: number, startMs: number): void {
    this.startsMs ??= new Float64Array(this.timesMs.length)
    this.startsMs[i] = startMs
  }

  /** Drops samples outside [fromMs, toMs], and of several with one timestamp all but the first; sorts where needed. */
  normalize(fromMs: number, toMs: number): void {
    let inOrder = true
    for (let i = 1; i < this.count; i++)
      if (this.timesMs[i]! <= this.timesMs[i - 1]!) {
        inOrder = false
        break
      }
    if (inOrder) {
      let from = 0
      while (from < this.count && this.timesMs[from]! < fromMs) from++
      let to = this.count
      while (to > from && this.timesMs[to - 1]! > toMs) to--
      this.#window(from, to)
      return
    }
    const order = Uint32Array.from({ length: this.count }, (_, i) => i).sort(
      (a, b) => this.timesMs[a]! - this.timesMs[b]! || a - b,
    )
    const old = {
      timesMs: this.timesMs.slice(),
      words: this.words.slice(),
      histograms: this.histograms,
      startsMs: this.startsMs?.slice(),
    }
    this.histograms = old.histograms === undefined ? undefined : []
    let out = 0
    for (const i of order) {
      const timeMs = old.timesMs[i]!
      if (timeMs < fromMs || timeMs > toMs || (out > 0 && this.timesMs[out - 1] === timeMs)) continue
      this.timesMs[out] = timeMs
      this.words[2 * out] = old.words[2 * i]!
      this.words[2 * out + 1] = old.words[2 * i + 1]!
      if (old.startsMs !== undefined) this.startsMs![out] = old.startsMs[i]!
      const histogram = old.histograms?.[i]
      // What was said of the sample before it in a chunk does not hold for the one that is there now.
      if (histogram !== undefined)
        this.histograms![out] = histogram.hint === resetHint.noReset ? histogram.withHint(resetHint.unknown) : histogram
      out++
    }
    this.count = out
  }

  /**
   * Forgets which counters were reset by their senders' words: the sample before may be another one now. Where a
   * count fell, a reset is found all the same. As Prometheus reads its chunks.
   */
  forgetResets(): void {
    const { histograms } = this
    if (histograms === undefined) return
    for (let i = 0; i < this.count; i++)
      if (histograms[i]?.hint === resetHint.reset) histograms[i] = histograms[i]!.withHint(resetHint.unknown)
  }

  #window(from: number, to: number): void {
    if (from > 0) {
      this.timesMs.copyWithin(0, from, to)
      this.words.copyWithin(0, from * 2, to * 2)
      this.startsMs?.copyWithin(0, from, to)
      if (this.histograms !== undefined) this.histograms = this.histograms.slice(from, to)
    }
    this.count = to - from
  }
}
