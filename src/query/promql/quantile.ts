/** Quantiles and fractions: of plain values, of classic histograms' buckets, of native histograms. */
import type { FloatHistogram } from '#model/histogram.ts'
import { neighbours } from '../order-statistic.ts'
import type { Annotations, Forced } from './annotations.ts'
import { exp2, log2 } from './math.ts'

const smallDelta = 1e-12

/** Of the first n of unsorted values, all unless given, as if sorted with NaN first. Changes their order. */
export function quantileOf(q: number, values: Float64Array | number[], n = values.length): number {
  if (n === 0 || Number.isNaN(q)) return NaN
  if (q < 0) return -Infinity
  if (q > 1) return Infinity
  const rank = q * (n - 1)
  const { lower, upper } = neighbours(values, n, Math.max(0, Math.floor(rank)))
  const weight = rank - Math.floor(rank)
  return lower * (1 - weight) + upper * weight
}

/** Cumulative buckets of a classic histogram at one step, ascending by bound; equal bounds are added up. */
export interface ClassicBuckets {
  bounds: number[]
  counts: number[]
}

/** Buckets that come in the order of their bounds, those with one bound added up. */
export function coalesce(bounds: readonly number[], counts: readonly number[]): ClassicBuckets {
  const out: ClassicBuckets = { bounds: [], counts: [] }
  for (let i = 0; i < bounds.length; i++) {
    const last = out.bounds.length - 1
    if (last >= 0 && out.bounds[last] === bounds[i]) out.counts[last]! += counts[i]!
    else {
      out.bounds.push(bounds[i]!)
      out.counts.push(counts[i]!)
    }
  }
  return out
}

function almostEqual(a: number, b: number, epsilon: number): boolean {
  if (a === b) return true
  const difference = Math.abs(a - b)
  const sum = Math.abs(a) + Math.abs(b)
  if (a === 0 || b === 0 || sum < 2.2250738585072014e-308) return difference < epsilon * 2.2250738585072014e-308
  return difference / Math.min(sum, Number.MAX_VALUE) < epsilon
}

/** Makes cumulative counts rise. Returns what was changed where a fall was larger than rounding explains. */
function forceMonotonic({ bounds, counts }: ClassicBuckets): Forced | undefined {
  let forced: Forced | undefined
  let previous = counts[0]!
  for (let i = 1; i < counts.length; i++) {
    const current = counts[i]!
    if (current === previous) continue
    if (almostEqual(previous, current, smallDelta)) counts[i] = previous
    else if (current < previous) {
      counts[i] = previous
      forced ??= { minBound: bounds[i]!, maxBound: bounds[i]!, maxFall: 0 }
      forced.minBound = Math.min(forced.minBound, bounds[i]!)
      forced.maxBound = Math.max(forced.maxBound, bounds[i]!)
      if (previous - current > forced.maxFall) forced.maxFall = previous - current
    } else previous = current
  }
  return forced
}

/** Linear interpolation inside the bucket that holds the rank. */
export function classicQuantile(q: number, buckets: ClassicBuckets): { value: number; forced: Forced | undefined } {
  const none = (value: number): { value: number; forced: undefined } => ({ value, forced: undefined })
  if (Number.isNaN(q)) return none(NaN)
  if (q < 0) return none(-Infinity)
  if (q > 1) return none(Infinity)
  const { bounds, counts } = buckets
  const last = bounds.length - 1
  if (bounds[last] !== Infinity) return none(NaN)
  const forced = forceMonotonic(buckets)
  if (bounds.length < 2) return none(NaN)
  const observations = counts[last]!
  if (observations === 0) return { value: NaN, forced }
  let rank = q * observations
  let b = 0
  while (b < last && !(counts[b]! >= rank)) b++
  if (b === last) return { value: bounds[last - 1]!, forced }
  if (b === 0 && bounds[0]! <= 0) return { value: bounds[0]!, forced }
  const end = bounds[b]!
  let start = 0
  let count = counts[b]!
  if (b > 0) {
    start = bounds[b - 1]!
    count -= counts[b - 1]!
    rank -= counts[b - 1]!
  }
  return { value: start + (end - start) * (rank / count), forced }
}

/** The fraction of the observations between two values, interpolated; NaN without a bucket to +Inf or observations. */
export function classicFraction(lower: number, upper: number, buckets: ClassicBuckets): number {
  const { bounds, counts } = buckets
  const count = counts.at(-1) ?? 0
  if (bounds.at(-1) !== Infinity || count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN
  if (lower >= upper) return 0
  const rankAt = (limit: number): number => {
    let rank = 0
    // Where the first bucket ends above 0 it is taken to begin there.
    let from = bounds[0]! > 0 ? 0 : -Infinity
    for (let i = 0; i < bounds.length; i++) {
      const to = bounds[i]!
      if (from >= limit) return rank
      // Nothing is known of how observations are spread in a bucket that begins at -Inf.
      if (to > limit)
        return from === -Infinity ? counts[i]! : rank + ((counts[i]! - rank) * (limit - from)) / (to - from)
      rank = counts[i]!
      from = to
    }
    return count
  }
  return (Math.min(rankAt(upper), count) - Math.min(rankAt(lower), count)) / count
}

interface Position {
  from: number
}

/** A quantile of a native histogram, interpolated inside the bucket that it falls into. */
export function nativeQuantile(
  q: number,
  histogram: FloatHistogram,
  metric: string,
  annotations: Annotations,
  at: Position,
): number {
  if (q < 0) return -Infinity
  if (q > 1) return Infinity
  if (histogram.count === 0 || Number.isNaN(q)) return NaN
  const forward = Number.isNaN(histogram.sum) || q < 0.5
  const buckets = histogram.buckets()
  if (!forward) buckets.reverse()
  let rank = forward ? q * histogram.count : (1 - q) * histogram.count
  let count = 0
  let i = 0
  let bucket = { lower: 0, upper: 0, count: 0 }
  for (; i < buckets.length; i++) {
    if (buckets[i]!.count === 0) {
      bucket = buckets[i]!
      continue
    }
    bucket = buckets[i]!
    count += bucket.count
    if (count >= rank) break
  }
  let { lower, upper } = bucket
  if (!histogram.usesCustomBuckets && lower < 0 && upper > 0) {
    if (histogram.negative.index.length === 0 && histogram.positive.index.length > 0) lower = 0
    else if (histogram.positive.index.length === 0 && histogram.negative.index.length > 0) upper = 0
  } else if (histogram.usesCustomBuckets) {
    if (lower === -Infinity) {
      if (upper <= 0) return upper
      lower = 0
    } else if (upper === Infinity) return lower
  }
  if (count > histogram.count) count = histogram.count
  if (count < rank) {
    if (Number.isNaN(histogram.sum)) {
      annotations.quantileNaNResult(metric, at)
      return NaN
    }
    return upper
  }
  rank = forward ? rank - (count - bucket.count) : count - rank
  if (Number.isNaN(histogram.sum)) {
    for (i++; i < buckets.length; i++) count += buckets[i]!.count
    if (count < histogram.count) annotations.quantileNaNSkew(metric, at)
  }
  const fraction = rank / bucket.count
  if (histogram.usesCustomBuckets || (lower <= 0 && upper >= 0)) return lower + (upper - lower) * fraction
  const logLower = log2(Math.abs(lower))
  const logUpper = log2(Math.abs(upper))
  if (lower > 0) return exp2(logLower + (logUpper - logLower) * fraction)
  return -exp2(logUpper + (logLower - logUpper) * (1 - fraction))
}

/** The fraction of the observations between two values, interpolated; NaN without observations. */
export function nativeFraction(
  lower: number,
  upper: number,
  histogram: FloatHistogram,
  metric: string,
  annotations: Annotations,
  at: Position,
): number {
  if (histogram.count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return NaN
  if (lower >= upper) return 0
  const buckets = histogram.buckets()
  const rankAt = (limit: number): number => {
    let rank = 0
    for (const bucket of buckets) {
      let from = bucket.lower
      let to = bucket.upper
      let linear = histogram.usesCustomBuckets
      if (from <= 0 && to >= 0) {
        linear = true
        if (histogram.negative.index.length === 0 && histogram.positive.index.length > 0) from = 0
        else if (histogram.positive.index.length === 0 && histogram.negative.index.length > 0) to = 0
      }
      if (from >= limit) return rank
      if (from < limit && to > limit) {
        if (linear && from === -Infinity) return bucket.count
        if (linear) return rank + (bucket.count * (limit - from)) / (to - from)
        const logFrom = log2(Math.abs(from))
        const logTo = log2(Math.abs(to))
        const logLimit = log2(Math.abs(limit))
        const fraction =
          limit > 0 ? (logLimit - logFrom) / (logTo - logFrom) : 1 - (logLimit - logTo) / (logFrom - logTo)
        return rank + bucket.count * fraction
      }
      rank += bucket.count
    }
    return Infinity
  }
  let count = histogram.count
  if (Number.isNaN(histogram.sum)) {
    count = 0
    for (const bucket of buckets) count += bucket.count
    if (count < histogram.count) annotations.fractionNaNs(metric, at)
  }
  return (Math.min(rankAt(upper), count) - Math.min(rankAt(lower), count)) / histogram.count
}
