/** Functions over a range of one series' samples (rate, avg_over_time ...). */
import { ExecutionError } from '#core/errors.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { resetHint } from '#model/histogram.ts'
import type { FunctionName } from '#lang/promql/functions.ts'
import { extended } from './extended-range.ts'
import { HistogramMean, HistogramSum } from '#model/histogram-sum.ts'
import { KahanSum, MeanAccumulator } from './kahan.ts'
import { quantileOf } from './quantile.ts'
import { isStartReset, overlaps } from './start-timestamps.ts'
import type { RangeFunction, Window } from './window.ts'

function extrapolated(window: Window, isCounter: boolean, isRate: boolean): boolean {
  if (window.modifier !== undefined) return extended(window, isCounter, isRate)
  if (window.mixed()) return false
  const isHistogram = window.histogramSize > 0
  const times = isHistogram ? window.histogramTimes : window.floatTimes
  const from = isHistogram ? window.histogramFrom : window.floatFrom
  const to = isHistogram ? window.histogramTo : window.floatTo
  const startMs = isCounter ? startInRange(window, isHistogram ? window.histogramStarts : window.floatStarts, from) : 0
  if (to - from < 2 && startMs === 0) return false
  let histogram: FloatHistogram | undefined
  let result = 0
  if (!isHistogram) result = floatGrowth(window, isCounter)
  else if (to - from > 1) {
    histogram = histogramRate(window, isCounter)
    if (histogram === undefined) return false
  }
  if (startMs !== 0) {
    // The counter was 0 then: that is its first sample, and nothing is extrapolated to the left.
    if (!isHistogram) result += window.floats[from]!
    else if (histogram === undefined) histogram = window.histograms[from]!.copy()
    else if (!addNoting(window, histogram, window.histograms[from]!)) return false
  }
  const factor = extrapolation(
    window,
    times,
    from,
    to,
    startMs,
    isCounter,
    zeroShare(window, isCounter, result, histogram),
  )
  const scale = isRate ? factor / (window.rangeMs / 1000) : factor
  if (histogram === undefined) return window.give(result * scale)
  return window.giveHistogram(histogram.scale(scale))
}

/** By how much the sampled interval has to be stretched to cover the range. */
function extrapolation(
  window: Window,
  times: ArrayLike<number>,
  from: number,
  to: number,
  startMs: number,
  isCounter: boolean,
  zero: number,
): number {
  const first = times[from]!
  const last = times[to - 1]!
  const sampled = (last - (startMs === 0 ? first : startMs)) / 1000
  const average = to - from > 1 ? (last - first) / 1000 / (to - from - 1) : 0
  const threshold = average * 1.1
  let toStart = startMs === 0 ? (first - window.rangeStartMs) / 1000 : 0
  let toEnd = (window.rangeEndMs - last) / 1000
  if (startMs === 0) {
    if (toStart >= threshold) toStart = average / 2
    if (isCounter && sampled * zero < toStart) toStart = sampled * zero
  }
  if (toEnd >= threshold) toEnd = average / 2
  return (sampled + toStart + toEnd) / sampled
}

/** How far before its first sample a counter was at 0, in sampled intervals; Infinity where that is open. */
function zeroShare(window: Window, isCounter: boolean, result: number, histogram: FloatHistogram | undefined): number {
  if (!isCounter) return Infinity
  const first =
    histogram === undefined ? window.floats[window.floatFrom]! : window.histograms[window.histogramFrom]!.count
  const growth = histogram === undefined ? result : histogram.count
  return growth > 0 && first >= 0 ? first / growth : Infinity
}

/** The start timestamp of the first sample where it lies inside the range and before that sample; 0 otherwise. */
function startInRange(window: Window, starts: ArrayLike<number> | undefined, from: number): number {
  const startMs = starts?.[from] ?? 0
  const firstMs = starts === window.floatStarts ? window.floatTimes[from]! : window.histogramTimes[from]!
  return startMs !== 0 && startMs > window.rangeStartMs && startMs < firstMs ? startMs : 0
}

/** How much the floats of the range grew, counters' resets added. */
function floatGrowth(window: Window, isCounter: boolean): number {
  const { floats, floatTimes: times, floatStarts: starts, floatFrom: from, floatTo: to, drops } = window
  let result = floats[to - 1]! - floats[from]!
  if (!isCounter) return result
  if (starts === undefined) {
    for (let d = window.dropFrom; d < drops.length && drops[d]! < to; d++)
      if (drops[d]! > from) result += floats[drops[d]! - 1]!
    return result
  }
  let isNoted = false
  for (let i = from + 1; i < to; i++) {
    if (!isNoted && overlaps(starts[i - 1]!, times[i - 1]!, starts[i]!)) {
      window.annotations.startOverlap(window.metric, window.position)
      isNoted = true
    }
    if (floats[i]! < floats[i - 1]! || isStartReset(starts[i - 1]!, times[i - 1]!, starts[i]!, times[i]!))
      result += floats[i - 1]!
  }
  return result
}

/** Adds another histogram in place, with annotations; false where that is not possible. */
function addNoting(window: Window, histogram: FloatHistogram, other: FloatHistogram): boolean {
  histogram.reconciled = false
  if (histogram.combine(other, 1) !== undefined) return window.refuse()
  if (histogram.reconciled) window.annotations.mismatchedBounds('addition', window.position)
  return true
}

/**
 * rate, increase and delta of a series that has floats only, at every step: `extrapolated` as one loop over columns.
 * The ranges end at firstEndMs, firstEndMs + intervalMs ...; answers go to `values`, and 1 to `present`. Returns how
 * many samples the ranges have.
 */
export function extrapolateFloats(
  window: Window,
  isCounter: boolean,
  isRate: boolean,
  firstEndMs: number,
  intervalMs: number,
  steps: number,
  values: Float64Array,
  present: Uint8Array,
): number {
  const { floatTimes, floats, floatCount, drops, rangeMs } = window
  const rangeSeconds = rangeMs / 1000
  let from = 0
  let to = 0
  let dropFrom = 0
  let examined = 0
  for (let step = 0; step < steps; step++) {
    const endMs = firstEndMs + step * intervalMs
    const startMs = endMs - rangeMs
    while (to < floatCount && floatTimes[to]! <= endMs) to++
    while (from < to && floatTimes[from]! <= startMs) from++
    examined += to - from
    if (to - from < 2) continue
    const first = floatTimes[from]!
    const last = floatTimes[to - 1]!
    const firstValue = floats[from]!
    let result = floats[to - 1]! - firstValue
    if (isCounter) {
      while (dropFrom < drops.length && drops[dropFrom]! <= from) dropFrom++
      for (let d = dropFrom; d < drops.length && drops[d]! < to; d++) result += floats[drops[d]! - 1]!
    }
    let toStart = (first - startMs) / 1000
    let toEnd = (endMs - last) / 1000
    const sampled = (last - first) / 1000
    const average = sampled / (to - from - 1)
    const threshold = average * 1.1
    if (toStart >= threshold) toStart = average / 2
    if (isCounter && result > 0 && firstValue >= 0) {
      const toZero = sampled * (firstValue / result)
      if (toZero < toStart) toStart = toZero
    }
    if (toEnd >= threshold) toEnd = average / 2
    let factor = (sampled + toStart + toEnd) / sampled
    if (isRate) factor /= rangeSeconds
    values[step] = result * factor
    present[step] = 1
  }
  return examined
}

/** The growth of a histogram over the range, resets added back, or undefined where the samples don't fit together. */
function histogramRate(window: Window, isCounter: boolean): FloatHistogram | undefined {
  const { histogramFrom: from, histogramTo: to, histograms, annotations, metric, position } = window
  let previous = histograms[from]!
  const last = histograms[to - 1]!
  let hasGauge = previous.hint === resetHint.gauge || last.hint === resetHint.gauge
  let custom = previous.usesCustomBuckets
  if (isCounter) {
    const second = histograms[from + 1]!
    if (wasHistogramReset(window, from + 1, previous)) {
      const empty = previous.copy().scale(0)
      empty.schema = second.schema
      empty.customValues = second.customValues
      empty.positive = { index: [], count: [] }
      empty.negative = { index: [], count: [] }
      empty.zeroThreshold = 0
      empty.hint = resetHint.unknown
      empty.count = empty.sum = empty.zeroCount = 0
      previous = empty
      custom = second.usesCustomBuckets
    }
  }
  if (last.usesCustomBuckets !== custom) {
    if (isCounter && hasGauge) annotations.notCounter(metric, position)
    annotations.mixedSchemas(metric, position)
    return undefined
  }
  let schema = Math.min(previous.schema, last.schema)
  for (let i = from + 1; i < to - 1 && isCounter; i++) {
    const current = histograms[i]!
    if (current.hint === resetHint.gauge) hasGauge = true
    schema = Math.min(schema, current.schema)
    if (current.usesCustomBuckets !== custom) {
      annotations.mixedSchemas(metric, position)
      return undefined
    }
  }
  if (isCounter && hasGauge) annotations.notCounter(metric, position)
  const result = last.copy()
  if (!custom) result.reduceTo(schema)
  if (result.combine(previous, -1) !== undefined) {
    window.refuse()
    return undefined
  }
  if (result.reconciled) annotations.mismatchedBounds('subtraction', position)
  if (isCounter) {
    noteHistogramOverlap(window)
    for (let i = from + 1; i < to; i++) {
      if (wasHistogramReset(window, i, previous) && !addNoting(window, result, previous)) return undefined
      previous = histograms[i]!
    }
  } else if (histograms[from]!.hint !== resetHint.gauge || last.hint !== resetHint.gauge)
    annotations.notGauge(metric, position)
  result.hint = resetHint.gauge
  return result.compact()
}

/** Was the counter reset between the histogram at `i` and the one before it, for which `previous` may stand? */
function wasHistogramReset(window: Window, i: number, previous: FloatHistogram): boolean {
  const { histogramStarts: starts, histogramTimes: times, histograms } = window
  if (starts !== undefined && isStartReset(starts[i - 1]!, times[i - 1]!, starts[i]!, times[i]!)) return true
  return histograms[i]!.detectReset(previous)
}

function noteHistogramOverlap(window: Window): void {
  const { histogramStarts: starts, histogramTimes: times, histogramFrom: from, histogramTo: to } = window
  if (starts === undefined) return
  for (let i = from + 1; i < to; i++) {
    if (!overlaps(starts[i - 1]!, times[i - 1]!, starts[i]!)) continue
    window.annotations.startOverlap(window.metric, window.position)
    return
  }
}

/** irate and idelta: from the last two samples. */
function instantaneous(window: Window, isRate: boolean): boolean {
  const found: { atMs: number; startMs: number; value: number; histogram: FloatHistogram | undefined }[] = []
  for (let i = Math.max(window.floatFrom, window.floatTo - 2); i < window.floatTo; i++) {
    const startMs = window.floatStarts?.[i] ?? 0
    found.push({ atMs: window.floatTimes[i]!, startMs, value: window.floats[i]!, histogram: undefined })
  }
  for (let i = Math.max(window.histogramFrom, window.histogramTo - 2); i < window.histogramTo; i++) {
    const startMs = window.histogramStarts?.[i] ?? 0
    found.push({ atMs: window.histogramTimes[i]!, startMs, value: 0, histogram: window.histograms[i] })
  }
  if (found.length < 2) return false
  found.sort((a, b) => a.atMs - b.atMs)
  const before = found[found.length - 2]!
  const after = found[found.length - 1]!
  const seconds = (after.atMs - before.atMs) / 1000
  if (seconds === 0) return false
  const isReset = isRate && isStartReset(before.startMs, before.atMs, after.startMs, after.atMs)
  if (before.histogram === undefined && after.histogram === undefined) {
    const change = !isRate || !(isReset || after.value < before.value) ? after.value - before.value : after.value
    return window.give(isRate ? change / seconds : change)
  }
  if (before.histogram === undefined || after.histogram === undefined) {
    window.annotations.mixedFloatsHistograms(window.metric, window.position)
    return false
  }
  const gauges = [before.histogram, after.histogram].filter(h => h.hint === resetHint.gauge).length
  if (isRate && gauges > 0) window.annotations.notCounter(window.metric, window.position)
  if (!isRate && gauges < 2) window.annotations.notGauge(window.metric, window.position)
  const result = after.histogram.copy()
  if (!isRate || !(isReset || after.histogram.detectReset(before.histogram))) {
    if (result.combine(before.histogram, -1) !== undefined) return window.refuse()
    if (result.reconciled) window.annotations.mismatchedBounds('subtraction', window.position)
  }
  result.hint = resetHint.gauge
  result.compact()
  return window.giveHistogram(isRate ? result.divide(seconds) : result)
}

function averageOverTime(window: Window): boolean {
  if (window.mixed()) return false
  if (window.size > 0) {
    const mean = new MeanAccumulator(window.floats[window.floatFrom]!)
    for (let i = window.floatFrom + 1; i < window.floatTo; i++) mean.add(window.floats[i]!)
    return window.give(mean.value)
  }
  const mean = new HistogramMean(window.histograms[window.histogramFrom]!)
  for (let i = window.histogramFrom + 1; i < window.histogramTo; i++)
    if (mean.add(window.histograms[i]!) !== undefined) return window.refuse()
  window.noteCombined(mean.reconciled)
  return window.giveHistogram(mean.finish())
}

function sumOverTime(window: Window): boolean {
  if (window.mixed()) return false
  if (window.size > 0) {
    const sum = new KahanSum()
    for (let i = window.floatFrom; i < window.floatTo; i++) sum.add(window.floats[i]!)
    return window.give(sum.value)
  }
  const sum = new HistogramSum(window.histograms[window.histogramFrom]!)
  for (let i = window.histogramFrom + 1; i < window.histogramTo; i++)
    if (sum.add(window.histograms[i]!) !== undefined) return window.refuse()
  window.noteCombined(sum.reconciled)
  return window.giveHistogram(sum.finish())
}

/** The extreme float or the time of it. `better` compares a candidate with the best so far. */
function extreme(window: Window, better: (value: number, best: number) => boolean, wantTime: boolean): boolean {
  if (window.size === 0) return false
  window.noteIgnoredHistograms()
  const { floats } = window
  let best = floats[window.floatFrom]!
  let at = window.floatFrom
  for (let i = window.floatFrom; i < window.floatTo; i++) {
    if (better(floats[i]!, best) || Number.isNaN(best)) {
      best = floats[i]!
      at = i
    }
  }
  return window.give(wantTime ? window.floatTimes[at]! / 1000 : best)
}

function maxOverTime(window: Window): boolean {
  if (window.size === 0) return false
  window.noteIgnoredHistograms()
  const { floats, floatTo } = window
  let best = floats[window.floatFrom]!
  for (let i = window.floatFrom + 1; i < floatTo; i++) if (floats[i]! > best || best !== best) best = floats[i]!
  return window.give(best)
}

function minOverTime(window: Window): boolean {
  if (window.size === 0) return false
  window.noteIgnoredHistograms()
  const { floats, floatTo } = window
  let best = floats[window.floatFrom]!
  for (let i = window.floatFrom + 1; i < floatTo; i++) if (floats[i]! < best || best !== best) best = floats[i]!
  return window.give(best)
}

function edge(window: Window, last: boolean, wantTime: boolean): boolean {
  const f = last ? window.floatTo - 1 : window.floatFrom
  const h = last ? window.histogramTo - 1 : window.histogramFrom
  const noneMs = last ? -Infinity : Infinity
  const floatMs = window.size > 0 ? window.floatTimes[f]! : noneMs
  const histogramMs = window.histogramSize > 0 ? window.histogramTimes[h]! : noneMs
  const useFloat = last ? histogramMs < floatMs : histogramMs > floatMs
  if (wantTime) return window.give((useFloat ? floatMs : histogramMs) / 1000)
  return useFloat ? window.give(window.floats[f]!) : window.giveHistogram(window.histograms[h]!.copy())
}

function quantileOverTime(window: Window): boolean {
  if (window.size === 0) return false
  const q = window.scalars[0]!
  if (Number.isNaN(q) || q < 0 || q > 1) window.annotations.invalidQuantile(q, window.scalarPosition)
  window.noteIgnoredHistograms(window.scalarPosition)
  return window.give(quantileOf(q, window.floats.slice(window.floatFrom, window.floatTo)))
}

function variance(window: Window): number {
  let count = 0
  const mean = new KahanSum()
  const squares = new KahanSum()
  for (let i = window.floatFrom; i < window.floatTo; i++) {
    count++
    const delta = window.floats[i]! - (mean.sum + mean.compensation)
    mean.add(delta / count)
    squares.add(delta * (window.floats[i]! - (mean.sum + mean.compensation)))
  }
  return (squares.sum + squares.compensation) / count
}

function deviation(window: Window, finish: (variance: number) => number): boolean {
  if (window.size === 0) return false
  window.noteIgnoredHistograms()
  return window.give(finish(variance(window)))
}

function medianDeviation(window: Window): boolean {
  if (window.size === 0) return false
  window.noteIgnoredHistograms()
  const values = window.floats.slice(window.floatFrom, window.floatTo)
  // One that is no number has no distance from the others: their median would say nothing of it.
  if (values.some(Number.isNaN)) return window.give(NaN)
  const median = quantileOf(0.5, values)
  return window.give(
    quantileOf(
      0.5,
      values.map(value => Math.abs(value - median)),
    ),
  )
}

function linearRegression(window: Window, interceptMs: number): { slope: number; intercept: number } {
  let n = 0
  const x = new KahanSum()
  const y = new KahanSum()
  const xy = new KahanSum()
  const xx = new KahanSum()
  const first = window.floats[window.floatFrom]!
  let constant = true
  for (let i = window.floatFrom; i < window.floatTo; i++) {
    const value = window.floats[i]!
    if (constant && i > window.floatFrom && value !== first) constant = false
    n++
    const at = (window.floatTimes[i]! - interceptMs) / 1000
    x.add(at)
    y.add(value)
    xy.add(at * value)
    xx.add(at * at)
  }
  if (constant) return Math.abs(first) === Infinity ? { slope: NaN, intercept: NaN } : { slope: 0, intercept: first }
  const sumX = x.sum + x.compensation
  const sumY = y.sum + y.compensation
  const sumXY = xy.sum + xy.compensation
  const sumXX = xx.sum + xx.compensation
  const slope = (sumXY - (sumX * sumY) / n) / (sumXX - (sumX * sumX) / n)
  return { slope, intercept: sumY / n - (slope * sumX) / n }
}

function regression(window: Window, finish: (window: Window) => number): boolean {
  if (window.size < 2) {
    if (window.size === 1) window.noteIgnoredHistograms()
    return false
  }
  window.noteIgnoredHistograms()
  return window.give(finish(window))
}

function exponentialSmoothing(window: Window): boolean {
  const [smoothing = NaN, trend = NaN] = window.scalars
  if (smoothing <= 0 || smoothing >= 1)
    throw new ExecutionError(`invalid smoothing factor. Expected: 0 < sf < 1, got: ${smoothing.toFixed(6)}`)
  if (trend <= 0 || trend >= 1)
    throw new ExecutionError(`invalid trend factor. Expected: 0 < tf < 1, got: ${trend.toFixed(6)}`)
  return regression(window, () => {
    const { floats, floatFrom, floatTo } = window
    let s0 = 0
    let s1 = floats[floatFrom]!
    let b = floats[floatFrom + 1]! - floats[floatFrom]!
    for (let i = floatFrom + 1; i < floatTo; i++) {
      if (i > floatFrom + 1) b = trend * (s1 - s0) + (1 - trend) * b
      const next = smoothing * floats[i]! + (1 - smoothing) * (s1 + b)
      s0 = s1
      s1 = next
    }
    return s1
  })
}

/**
 * Where the samples of an anchored range begin: with the last one, of either kind, at or before its start, or else with
 * the first one. Undefined where nothing lies behind the start.
 */
function anchorOf(window: Window): { float: number; histogram: number } | undefined {
  const { floatTimes, floatFrom, floatTo, histogramTimes, histogramFrom, histogramTo, rangeStartMs } = window
  let float = floatFrom
  while (float < floatTo && floatTimes[float]! <= rangeStartMs) float++
  let histogram = histogramFrom
  while (histogram < histogramTo && histogramTimes[histogram]! <= rangeStartMs) histogram++
  if (float === floatTo && histogram === histogramTo) return undefined
  const floatMs = float > floatFrom ? floatTimes[float - 1]! : -Infinity
  const histogramMs = histogram > histogramFrom ? histogramTimes[histogram - 1]! : -Infinity
  if (floatMs === -Infinity && histogramMs === -Infinity) return { float, histogram }
  return floatMs >= histogramMs ? { float: float - 1, histogram } : { float, histogram: histogram - 1 }
}

/** Counts the places where `differs` from one sample to the next; a float next to a histogram always does. */
function transitions(
  window: Window,
  floatsDiffer: (before: number, after: number) => boolean,
  histogramsDiffer: (before: FloatHistogram, after: FloatHistogram) => boolean,
): boolean {
  let count = 0
  let f = window.floatFrom
  let h = window.histogramFrom
  if (window.modifier === 'anchored') {
    const anchor = anchorOf(window)
    if (anchor === undefined) return false
    f = anchor.float
    h = anchor.histogram
  }
  if (h === window.histogramTo && window.floatStarts === undefined) return floatTransitions(window, floatsDiffer, f)
  let previousFloat = 0
  let previousHistogram: FloatHistogram | undefined
  let previousMs = 0
  let previousStart = 0
  let started = false
  while (f < window.floatTo || h < window.histogramTo) {
    const takeFloat =
      h >= window.histogramTo || (f < window.floatTo && window.floatTimes[f]! < window.histogramTimes[h]!)
    const atMs = takeFloat ? window.floatTimes[f]! : window.histogramTimes[h]!
    const startMs = (takeFloat ? window.floatStarts?.[f] : window.histogramStarts?.[h]) ?? 0
    const currentHistogram = takeFloat ? undefined : window.histograms[h++]!
    const currentFloat = takeFloat ? window.floats[f++]! : 0
    if (started) {
      if (isStartReset(previousStart, previousMs, startMs, atMs)) count++
      else if (previousHistogram === undefined && currentHistogram === undefined) {
        if (floatsDiffer(previousFloat, currentFloat)) count++
      } else if (previousHistogram === undefined || currentHistogram === undefined) count++
      else if (histogramsDiffer(previousHistogram, currentHistogram)) count++
    }
    started = true
    previousMs = atMs
    previousStart = startMs
    previousFloat = currentFloat
    previousHistogram = currentHistogram
  }
  return window.give(count)
}

/** The same of a range of floats without start timestamps, which most are. */
function floatTransitions(window: Window, differ: (before: number, after: number) => boolean, from: number): boolean {
  const { floats, floatTo } = window
  let count = 0
  for (let i = from + 1; i < floatTo; i++) if (differ(floats[i - 1]!, floats[i]!)) count++
  return window.give(count)
}

/** Functions of ranges: each reads the window, gives its answer to it, and returns false for none. */
export const rangeFunctions = {
  rate: w => extrapolated(w, true, true),
  increase: w => extrapolated(w, true, false),
  delta: w => extrapolated(w, false, false),
  irate: w => instantaneous(w, true),
  idelta: w => instantaneous(w, false),
  avg_over_time: averageOverTime,
  sum_over_time: sumOverTime,
  count_over_time: w => w.give(w.size + w.histogramSize),
  max_over_time: maxOverTime,
  min_over_time: minOverTime,
  ts_of_max_over_time: w => extreme(w, (value, best) => value >= best, true),
  ts_of_min_over_time: w => extreme(w, (value, best) => value <= best, true),
  first_over_time: w => edge(w, false, false),
  last_over_time: w => edge(w, true, false),
  ts_of_first_over_time: w => edge(w, false, true),
  ts_of_last_over_time: w => edge(w, true, true),
  quantile_over_time: quantileOverTime,
  stddev_over_time: w => deviation(w, Math.sqrt),
  stdvar_over_time: w => deviation(w, value => value),
  mad_over_time: medianDeviation,
  present_over_time: w => w.give(1),
  absent_over_time: w => w.give(1),
  deriv: w => regression(w, () => linearRegression(w, w.floatTimes[w.floatFrom]!).slope),
  predict_linear: w =>
    regression(w, () => {
      const { slope, intercept } = linearRegression(w, w.stepMs)
      return slope * w.scalars[0]! + intercept
    }),
  double_exponential_smoothing: exponentialSmoothing,
  changes: w =>
    transitions(
      w,
      (a, b) => b !== a && !(Number.isNaN(a) && Number.isNaN(b)),
      (a, b) => !b.equals(a),
    ),
  resets: w =>
    transitions(
      w,
      (a, b) => b < a,
      (a, b) => b.detectReset(a),
    ),
} as const satisfies Partial<Record<FunctionName, RangeFunction>>

export type RangeFunctionName = keyof typeof rangeFunctions

export function isRangeFunction(name: FunctionName): name is RangeFunctionName {
  return Object.hasOwn(rangeFunctions, name)
}
