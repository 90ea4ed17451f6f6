/**
 * rate, increase and delta of `anchored` and `smoothed` ranges: values exactly at the boundaries of the range, and no
 * extrapolation. An anchored range begins with the last sample at or before its start; a smoothed one has values on the
 * line between the samples on both sides of a boundary.
 */
import { resetHint, type FloatHistogram } from '#model/histogram.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Window } from './window.ts'

/** Leaves the answer in the window and returns true; false where there is none. */
export function extended(window: Window, isCounter: boolean, isRate: boolean): boolean {
  if (window.mixed()) return false
  return window.histogramSize > 0
    ? extendedHistograms(window, isCounter, isRate)
    : extendedFloats(window, isCounter, isRate)
}

/** The first and the last sample that the range needs, or undefined where none lies in it. */
function edgesOf(
  window: Window,
  times: ArrayLike<number>,
  from: number,
  to: number,
): { first: number; last: number } | undefined {
  const { rangeStartMs, rangeEndMs } = window
  let first = from
  while (first + 1 < to && times[first + 1]! <= rangeStartMs) first++
  let last = to - 1
  if (window.modifier === 'smoothed') {
    let i = from
    while (i < last && times[i]! < rangeEndMs) i++
    last = i
  }
  if (last < from || times[last]! <= rangeStartMs) return undefined
  return window.modifier === 'smoothed' && times[first]! > rangeEndMs ? undefined : { first, last }
}

// --- Floats ---

function extendedFloats(window: Window, isCounter: boolean, isRate: boolean): boolean {
  const { floatTimes: times, floats, floatFrom, floatTo, rangeStartMs, rangeEndMs } = window
  const edges = edgesOf(window, times, floatFrom, floatTo)
  if (edges === undefined) return false
  let { first, last } = edges
  const left = leftFloat(window, first, isCounter)
  const right = rightFloat(window, last, isCounter)
  let result = right - left
  if (isCounter) {
    if (times[first]! <= rangeStartMs) first++
    if (times[last]! >= rangeEndMs) last--
    let previous = left
    for (let i = first; i <= last; i++) {
      if (floats[i]! < previous) result += previous
      previous = floats[i]!
    }
    if (right < previous) result += previous
  }
  return window.give(isRate ? result / (window.rangeMs / 1000) : result)
}

function leftFloat(window: Window, first: number, isCounter: boolean): number {
  const { floatTimes: times, floats, rangeStartMs } = window
  if (window.modifier !== 'smoothed' || times[first]! >= rangeStartMs) return floats[first]!
  return between(times[first]!, floats[first]!, times[first + 1]!, floats[first + 1]!, rangeStartMs, isCounter)
}

function rightFloat(window: Window, last: number, isCounter: boolean): number {
  const { floatTimes: times, floats, rangeEndMs } = window
  if (window.modifier !== 'smoothed' || last === window.floatFrom || times[last]! <= rangeEndMs) return floats[last]!
  return between(times[last - 1]!, floats[last - 1]!, times[last]!, floats[last]!, rangeEndMs, isCounter)
}

/** The value at an instant on the line between two samples; a counter that was reset between them began at 0. */
export function between(t1: number, y1: number, t2: number, y2: number, atMs: number, isCounter: boolean): number {
  const start = isCounter && y2 < y1 ? 0 : y1
  return start + ((y2 - start) * (atMs - t1)) / (t2 - t1)
}

/** The floats of a range with samples at both of its ends, as these would be; none where none lies in it. */
export function withEdges(
  columns: SampleColumns,
  startMs: number,
  endMs: number,
  modifier: 'anchored' | 'smoothed',
): SampleColumns {
  const { timesMs: times, values, count } = columns
  const out = new SampleColumns()
  let last = count - 1
  let first = 0
  while (first + 1 <= last && times[first + 1]! <= startMs) first++
  const isSmoothed = modifier === 'smoothed'
  for (let i = 0; isSmoothed && i < last; i++) if (times[i]! >= endMs) last = i
  if (last < 0 || times[last]! <= startMs) return out
  const at = (i: number, atMs: number): number =>
    between(times[i]!, values[i]!, times[i + 1]!, values[i + 1]!, atMs, false)
  out.pushFloat(startMs, isSmoothed && times[first]! < startMs ? at(first, startMs) : values[first]!)
  const right = isSmoothed && last > 0 && times[last]! > endMs ? at(last - 1, endMs) : values[last]!
  for (let i = first; i <= last; i++) if (times[i]! > startMs && times[i]! < endMs) out.pushFloat(times[i]!, values[i]!)
  out.pushFloat(endMs, right)
  return out
}

// --- Histograms ---

function extendedHistograms(window: Window, isCounter: boolean, isRate: boolean): boolean {
  const { annotations, metric, position } = window
  const edges = edgesOf(window, window.histogramTimes, window.histogramFrom, window.histogramTo)
  if (edges === undefined) return false
  const { first, last } = edges
  if (!fitTogether(window, first, last, isCounter)) return false
  const left = leftHistogram(window, first, isCounter)
  const right = left === undefined ? undefined : rightHistogram(window, last, isCounter)
  if (left === undefined || right === undefined) return window.refuse()
  if (!isCounter && (left.hint !== resetHint.gauge || right.hint !== resetHint.gauge))
    annotations.notGauge(metric, position)
  const result = right.copy()
  if (!combineNoting(window, result, left, -1)) return false
  if (isCounter && !addResets(window, first, last, left, right, result)) return false
  if (isRate) result.divide(window.rangeMs / 1000)
  result.hint = resetHint.gauge
  return window.giveHistogram(result.compact())
}

/** Can the histograms be combined? Annotates what is wrong with them. */
function fitTogether(window: Window, first: number, last: number, isCounter: boolean): boolean {
  const { histograms, annotations, metric, position } = window
  const custom = histograms[first]!.usesCustomBuckets
  for (let i = first; i <= last; i++) {
    const histogram = histograms[i]!
    if (histogram.usesCustomBuckets !== custom) return window.refuse()
    if (isCounter && histogram.hint === resetHint.gauge) annotations.notCounter(metric, position)
  }
  return true
}

function leftHistogram(window: Window, first: number, isCounter: boolean): FloatHistogram | undefined {
  const { histogramTimes: times, histograms, rangeStartMs } = window
  if (window.modifier !== 'smoothed' || times[first]! >= rangeStartMs) return histograms[first]!.copy()
  return interpolated(window, first, rangeStartMs, isCounter)
}

function rightHistogram(window: Window, last: number, isCounter: boolean): FloatHistogram | undefined {
  const { histogramTimes: times, histograms, rangeEndMs } = window
  if (window.modifier !== 'smoothed' || last === window.histogramFrom || times[last]! <= rangeEndMs)
    return histograms[last]!.copy()
  return interpolated(window, last - 1, rangeEndMs, isCounter)
}

/** The window's histogram at an instant between the one at `i` and the next one. */
function interpolated(window: Window, i: number, atMs: number, isCounter: boolean): FloatHistogram | undefined {
  const { histogramTimes: times, histograms, annotations, position } = window
  const found = betweenHistograms(times[i]!, histograms[i]!, times[i + 1]!, histograms[i + 1]!, atMs, isCounter)
  if (found?.reconciledBy !== undefined)
    for (const operation of found.reconciledBy) annotations.mismatchedBounds(operation, position)
  return found?.histogram
}

/** A histogram between two others, and the operations that reconciled custom bounds for it. */
export interface Between {
  histogram: FloatHistogram
  reconciledBy: readonly ('addition' | 'subtraction')[]
}

/**
 * The histogram at an instant on the line between two; a counter that was reset between them began empty. Undefined
 * where they can't be combined.
 */
export function betweenHistograms(
  t1: number,
  h1: FloatHistogram,
  t2: number,
  h2: FloatHistogram,
  atMs: number,
  isCounter: boolean,
): Between | undefined {
  if (atMs === t1) return { histogram: h1.copy(), reconciledBy: [] }
  const histogram = h2.copy()
  if (atMs === t2) return { histogram, reconciledBy: [] }
  const share = (atMs - t1) / (t2 - t1)
  if (isCounter && h2.detectReset(h1)) return { histogram: histogram.scale(share), reconciledBy: [] }
  const reconciledBy: ('addition' | 'subtraction')[] = []
  if (histogram.combine(h1, -1) !== undefined) return undefined
  if (takeReconciled(histogram)) reconciledBy.push('subtraction')
  histogram.scale(share)
  if (histogram.combine(h1, 1) !== undefined) return undefined
  if (takeReconciled(histogram)) reconciledBy.push('addition')
  return { histogram, reconciledBy }
}

function takeReconciled(histogram: FloatHistogram): boolean {
  const { reconciled } = histogram
  histogram.reconciled = false
  return reconciled
}

/** Adds or subtracts another one in place, with annotations; false where that is not possible. */
function combineNoting(window: Window, histogram: FloatHistogram, other: FloatHistogram, sign: 1 | -1): boolean {
  if (histogram.combine(other, sign) !== undefined) return window.refuse()
  if (takeReconciled(histogram))
    window.annotations.mismatchedBounds(sign === 1 ? 'addition' : 'subtraction', window.position)
  return true
}

/**
 * Adds what was counted before each reset between the boundaries. The last sample itself is not looked at: `right` is
 * it, or was made of it. Returns false where histograms can't be combined.
 */
function addResets(
  window: Window,
  first: number,
  last: number,
  left: FloatHistogram,
  right: FloatHistogram,
  result: FloatHistogram,
): boolean {
  const { histograms, histogramTimes: times } = window
  let i = first + 1
  let previous = left
  // A reset that the left boundary lies in is part of its value already.
  const isInReset =
    window.modifier === 'smoothed' &&
    times[first]! < window.rangeStartMs &&
    histograms[i]!.detectReset(histograms[first]!)
  if (isInReset) previous = histograms[i++]!
  if (i > last) return true
  for (; i < last; i++) {
    const current = histograms[i]!
    if (current.detectReset(previous) && !combineNoting(window, result, previous, 1)) return false
    previous = current
  }
  return !right.detectReset(previous) || combineNoting(window, result, previous, 1)
}
