/** `smoothed` instant selectors: at each step the value on the line between the samples on both sides. */
import { resetHint, type FloatHistogram } from '#model/histogram.ts'
import type { Annotations } from './annotations.ts'
import { between, betweenHistograms } from './extended-range.ts'
import type { Row } from './value.ts'
import type { Window } from './window.ts'

/** A selector whose values lie between samples; its window has all of them. */
export class Smoothing {
  readonly #window: Window
  readonly #lookbackMs: number
  readonly #annotations: Annotations
  /** Where the last instant's search ended. */
  #nextFloat = 0
  #nextHistogram = 0

  constructor(window: Window, lookbackMs: number, annotations: Annotations) {
    this.#window = window
    this.#lookbackMs = lookbackMs
    this.#annotations = annotations
  }

  /**
   * Sets the row's values at the steps [from, to), where it has any; step 0 is at `firstMs`. Steps ascend from call to
   * call. Returns how many values there are.
   */
  setSteps(row: Row, from: number, to: number, firstMs: number, intervalMs: number): number {
    if (this.#window.histograms.length === 0) return this.#setFloats(row, from, to, firstMs, intervalMs)
    let any = 0
    for (let step = from; step < to; step++) if (this.#set(row, step, firstMs + step * intervalMs)) any++
    return any
  }

  /** The same of a series that has floats only, which most have. */
  #setFloats(row: Row, from: number, to: number, firstMs: number, intervalMs: number): number {
    const { floatTimes: times, floats, floatCount } = this.#window
    const lookbackMs = this.#lookbackMs
    let next = this.#nextFloat
    let any = 0
    for (let step = from; step < to; step++) {
      const atMs = firstMs + step * intervalMs
      while (next < floatCount && times[next]! < atMs) next++
      if (next < floatCount && times[next] === atMs) row.setFloat(step, floats[next]!)
      else if (next === 0 || times[next - 1]! <= atMs - lookbackMs) continue
      else if (next === floatCount || times[next]! > atMs + lookbackMs) row.setFloat(step, floats[next - 1]!)
      else row.setFloat(step, between(times[next - 1]!, floats[next - 1]!, times[next]!, floats[next]!, atMs, false))
      any++
    }
    this.#nextFloat = next
    return any
  }

  #set(row: Row, step: number, atMs: number): boolean {
    const window = this.#window
    this.#moveTo(atMs)
    if (window.size === 0 && window.histogramSize === 0) return false
    if (window.mixed()) return false
    if (window.histogramSize > 0) {
      const histogram = this.#histogramAt(atMs)
      if (histogram !== undefined) row.setHistogram(step, histogram)
      return histogram !== undefined
    }
    const value = this.#floatAt(atMs)
    if (value !== undefined) row.setFloat(step, value)
    return value !== undefined
  }

  /** Sets the window's range to the lookback on both sides of the instant. */
  #moveTo(atMs: number): void {
    const window = this.#window
    const { floatTimes, histogramTimes } = window
    const fromMs = atMs - this.#lookbackMs
    const toMs = atMs + this.#lookbackMs
    while (window.floatTo < window.floatCount && floatTimes[window.floatTo]! <= toMs) window.floatTo++
    while (window.floatFrom < window.floatTo && floatTimes[window.floatFrom]! <= fromMs) window.floatFrom++
    while (window.histogramTo < histogramTimes.length && histogramTimes[window.histogramTo]! <= toMs)
      window.histogramTo++
    while (window.histogramFrom < window.histogramTo && histogramTimes[window.histogramFrom]! <= fromMs)
      window.histogramFrom++
  }

  #floatAt(atMs: number): number | undefined {
    const { floatTimes: times, floats, floatFrom, floatTo } = this.#window
    const next = (this.#nextFloat = firstFrom(times, Math.max(floatFrom, this.#nextFloat), floatTo, atMs))
    if (next < floatTo && times[next] === atMs) return floats[next]!
    if (next === floatFrom) return undefined
    if (next === floatTo) return floats[next - 1]!
    return between(times[next - 1]!, floats[next - 1]!, times[next]!, floats[next]!, atMs, false)
  }

  #histogramAt(atMs: number): FloatHistogram | undefined {
    const { histogramTimes: times, histograms, histogramFrom, histogramTo } = this.#window
    const next = (this.#nextHistogram = firstFrom(
      times,
      Math.max(histogramFrom, this.#nextHistogram),
      histogramTo,
      atMs,
    ))
    if (next < histogramTo && times[next] === atMs) return histograms[next]!.copy()
    if (next === histogramFrom) return undefined
    const before = histograms[next - 1]!
    if (next === histogramTo) return before.withHint(resetHint.unknown)
    return this.#between(next, atMs)
  }

  /** The histogram between the sample before `next` and that one. They are counters unless both are gauges. */
  #between(next: number, atMs: number): FloatHistogram | undefined {
    const { histogramTimes: times, histograms, metric, position } = this.#window
    const before = histograms[next - 1]!
    const after = histograms[next]!
    const isCounter = before.hint !== resetHint.gauge || after.hint !== resetHint.gauge
    const found = betweenHistograms(times[next - 1]!, before, times[next]!, after, atMs, isCounter)
    if (found === undefined || before.usesCustomBuckets !== after.usesCustomBuckets) {
      this.#annotations.mixedSchemas(metric, position)
      return undefined
    }
    for (const operation of found.reconciledBy) this.#annotations.mismatchedBounds(operation, position)
    return found.histogram
  }
}

/** The first of the indices [from, to) whose time is not before an instant. Instants ascend, and so do answers. */
function firstFrom(times: ArrayLike<number>, from: number, to: number, atMs: number): number {
  while (from < to && times[from]! < atMs) from++
  return from
}
