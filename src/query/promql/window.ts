/** The samples of one series over which a range function goes, and the range of the current step. */
import type { FloatHistogram } from '#model/histogram.ts'
import { resetHint } from '#model/histogram.ts'
import type { Annotations } from './annotations.ts'

interface Position {
  from: number
}

/** The samples of one series, floats and histograms apart, without stale markers; and the range of the current step. */
export class Window {
  floatTimes = new Float64Array(0)
  floats = new Float64Array(0)
  floatCount = 0
  /** Start timestamps of the floats, 0 = unknown; undefined where none is known or wanted. So are the histograms'. */
  floatStarts: Float64Array | undefined
  histogramStarts: number[] | undefined
  wantsStarts = false
  histogramTimes: number[] = []
  histograms: FloatHistogram[] = []
  /** Indices at which a float is less than the one before it; filled for counters only. */
  drops: number[] = []
  wantsDrops = false
  /** The range: floats[floatFrom, floatTo) and histograms[histogramFrom, histogramTo). */
  floatFrom = 0
  floatTo = 0
  histogramFrom = 0
  histogramTo = 0
  /** Index into `drops` of the first that lies inside the range. */
  dropFrom = 0
  rangeStartMs = 0
  rangeEndMs = 0
  rangeMs = 0
  stepMs = 0
  modifier: 'anchored' | 'smoothed' | undefined
  /** Scalar arguments at this step, in order. */
  scalars: number[] = []
  metric = ''
  position: Position = { from: 0 }
  /** Where the function's first argument stands, for annotations about it. */
  scalarPosition: Position = { from: 0 }
  annotations: Annotations
  value = 0
  histogram: FloatHistogram | undefined

  constructor(annotations: Annotations) {
    this.annotations = annotations
  }

  get size(): number {
    return this.floatTo - this.floatFrom
  }
  get histogramSize(): number {
    return this.histogramTo - this.histogramFrom
  }

  give(value: number): true {
    this.value = value
    this.histogram = undefined
    return true
  }

  giveHistogram(histogram: FloatHistogram): true {
    this.histogram = histogram
    return true
  }

  mixed(): boolean {
    if (this.size === 0 || this.histogramSize === 0) return false
    this.annotations.mixedFloatsHistograms(this.metric, this.position)
    return true
  }

  noteIgnoredHistograms(at = this.position): void {
    if (this.histogramSize > 0) this.annotations.histogramIgnoredInMixedRange(this.metric, at)
  }

  /** Histograms that can't be combined: the function has no answer. */
  refuse(): false {
    this.annotations.mixedSchemas(this.metric, this.position)
    return false
  }

  /** Annotates histograms of the range that were combined with a loss. */
  noteCombined(isReconciled: boolean): void {
    let reset = false
    let noReset = false
    for (let i = this.histogramFrom; i < this.histogramTo; i++) {
      if (this.histograms[i]!.hint === resetHint.reset) reset = true
      else if (this.histograms[i]!.hint === resetHint.noReset) noReset = true
    }
    if (reset && noReset) this.annotations.counterResetCollision('aggregation', this.position)
    if (isReconciled) this.annotations.mismatchedBounds('aggregation', this.position)
  }
}

/** Leaves the answer in the window and returns true; false where there is none. Called only for non-empty ranges. */
export type RangeFunction = (window: Window) => boolean
