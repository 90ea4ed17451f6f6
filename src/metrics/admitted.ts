/**
 * The newest sample of each series that was admitted, whether it is shown or still waits for the log: what tells a
 * repeated sample from one that contradicts it.
 */
import { grown } from '#core/grown.ts'
import type { FloatHistogram } from '#model/histogram.ts'

/** What is known of the newest sample of a series. */
const known = { nothing: 0, float: 1, histogram: 2 } as const

export type Comparison = 'same' | 'other' | 'unknown'

export class AdmittedSamples {
  /** By series: time of the newest; -Infinity where there is none. */
  timesMs = new Float64Array(0)
  /** Low and high word of its value. */
  #words = new Uint32Array(0)
  #kind = new Uint8Array(0)
  readonly #histograms = new Map<number, FloatHistogram>()
  /** Of all series. */
  maxMs = -Infinity

  reserve(size: number): void {
    if (size <= this.timesMs.length) return
    this.timesMs = grown(this.timesMs, new Float64Array(size).fill(-Infinity))
    this.#words = grown(this.#words, new Uint32Array(size * 2))
    this.#kind = grown(this.#kind, new Uint8Array(size))
  }

  noteFloat(series: number, timeMs: number, hi: number, lo: number): void {
    this.timesMs[series] = timeMs
    this.#words[2 * series] = lo
    this.#words[2 * series + 1] = hi
    this.#kind[series] = known.float
    if (timeMs > this.maxMs) this.maxMs = timeMs
  }

  noteHistogram(series: number, timeMs: number, histogram: FloatHistogram): void {
    this.timesMs[series] = timeMs
    this.#kind[series] = known.histogram
    this.#histograms.set(series, histogram)
    if (timeMs > this.maxMs) this.maxMs = timeMs
  }

  /** A sample that is not the newest of its series. */
  noteLate(timeMs: number): void {
    if (timeMs > this.maxMs) this.maxMs = timeMs
  }

  /** How a float of the newest sample's time compares with it. */
  compareFloat(series: number, hi: number, lo: number): Comparison {
    const kind = this.#kind[series]
    if (kind === known.nothing) return 'unknown'
    if (kind === known.histogram) return 'other'
    return this.#words[2 * series] === lo >>> 0 && this.#words[2 * series + 1] === hi >>> 0 ? 'same' : 'other'
  }

  compareHistogram(series: number, histogram: FloatHistogram): Comparison {
    const kind = this.#kind[series]
    if (kind === known.nothing) return 'unknown'
    return kind === known.histogram && this.#histograms.get(series)?.equals(histogram) === true ? 'same' : 'other'
  }

  /** What waited for the log is lost: the newest samples are those that are shown. */
  takeBack(shownMs: Float64Array, shownMaxMs: number): void {
    for (let series = 0; series < this.timesMs.length; series++) {
      if (this.timesMs[series] === shownMs[series]) continue
      this.timesMs[series] = shownMs[series]!
      this.#kind[series] = known.nothing
      this.#histograms.delete(series)
    }
    this.maxMs = shownMaxMs
  }

  /** The series' number goes to another one. */
  forget(series: number): void {
    this.timesMs[series] = -Infinity
    this.#kind[series] = known.nothing
    this.#histograms.delete(series)
  }
}
