/** `</` and `>/`: the observations of a histogram below or above a limit. Buckets that the limit cuts are split. */
import { bucketBound, type FloatHistogram } from '#model/histogram.ts'
import { log2 } from './math.ts'

/** A part of a bucket's observations, and the value that they are taken to have on average. */
interface Part {
  count: number
  mean: number
}

/** What a bucket holds. */
interface Bounded {
  lower: number
  upper: number
  count: number
}

/** On which side of zero a bucket lies, and whether its observations are spread evenly or on a logarithmic scale. */
interface Shape {
  isPositive: boolean
  isLinear: boolean
}

/**
 * The observations below the limit (`keepsLower`) or above it, as a new histogram. Count and sum are estimated from
 * the buckets where anything was cut off; otherwise they stay as they are.
 */
export function trim(source: FloatHistogram, limit: number, keepsLower: boolean): FloatHistogram {
  const result = source.copy()
  const trimming = new Trimming(limit, keepsLower)
  const { schema, customValues, usesCustomBuckets } = source
  for (let i = 0; i < result.positive.index.length; i++) {
    const index = result.positive.index[i]!
    const lower = bucketBound(index - 1, schema, customValues)
    const upper = bucketBound(index, schema, customValues)
    const bucket = { lower, upper, count: result.positive.count[i]! }
    result.positive.count[i] = trimming.bucket(bucket, { isPositive: true, isLinear: usesCustomBuckets })
  }
  for (let i = 0; i < result.negative.index.length; i++) {
    const index = result.negative.index[i]!
    const bucket = {
      lower: -bucketBound(index, schema),
      upper: -bucketBound(index - 1, schema),
      count: result.negative.count[i]!,
    }
    result.negative.count[i] = trimming.bucket(bucket, { isPositive: false, isLinear: false })
  }
  if (source.zeroCount > 0 && !usesCustomBuckets) result.zeroCount = trimming.zeroBucket(source)
  if (!trimming.hasCut) return result
  result.count = trimming.count
  result.sum = trimming.sum
  result.integer = false
  return result.compact()
}

/** Adds up what is kept of the buckets of one histogram. */
class Trimming {
  readonly #limit: number
  readonly #keepsLower: boolean
  hasCut = false
  count = 0
  sum = 0

  constructor(limit: number, keepsLower: boolean) {
    this.#limit = limit
    this.#keepsLower = keepsLower
  }

  /** The count that is kept of a bucket. */
  bucket(bucket: Bounded, shape: Shape): number {
    if (bucket.count === 0) return 0
    return this.#keep(bucket.count, this.#partOf(bucket, shape))
  }

  /** The count that is kept of the zero bucket; it lies on one side only where all other buckets do. */
  zeroBucket(source: FloatHistogram): number {
    const hasPositive = source.positive.count.some(isNotZero)
    const hasNegative = source.negative.count.some(isNotZero)
    const lower = hasPositive && !hasNegative ? 0 : -source.zeroThreshold
    const upper = hasNegative && !hasPositive ? 0 : source.zeroThreshold
    const count = source.zeroCount
    const limit = this.#limit
    const whole = { count, mean: (lower + upper) / 2 }
    const none = { count: 0, mean: 0 }
    if (limit <= lower) return this.#keep(count, this.#keepsLower ? none : whole)
    if (limit >= upper) return this.#keep(count, this.#keepsLower ? whole : none)
    const part = this.#keepsLower
      ? { count: (count * (limit - lower)) / (upper - lower), mean: (lower + limit) / 2 }
      : { count: (count * (upper - limit)) / (upper - lower), mean: (limit + upper) / 2 }
    return this.#keep(count, part)
  }

  #keep(whole: number, { count, mean }: Part): number {
    this.count += count
    this.sum += mean * count
    if (count !== whole) this.hasCut = true
    return count
  }

  #partOf(bucket: Bounded, shape: Shape): Part {
    const { lower, upper, count } = bucket
    const limit = this.#limit
    if (this.#keepsLower ? upper <= limit : lower >= limit) return { count, mean: middle(lower, upper, shape) }
    const reaches = this.#keepsLower ? lower < limit : upper > limit
    if (!reaches) return { count: 0, mean: 0 }
    if (lower === -Infinity) return this.#partOfLowest(bucket)
    if (upper === Infinity) return this.#partOfHighest(bucket)
    const below = count * fractionBelow(bucket, limit, shape.isLinear)
    return this.#keepsLower
      ? { count: below, mean: middle(lower, limit, shape) }
      : { count: count - below, mean: middle(limit, upper, shape) }
  }

  /**
   * A bucket from -Inf that the limit cuts. It is taken to begin at 0 where it ends above 0; nothing is known of how
   * observations are spread in it otherwise.
   */
  #partOfLowest({ upper, count }: Bounded): Part {
    const limit = this.#limit
    const mayBegin = upper > 0 && upper !== Infinity
    if (this.#keepsLower) {
      if (limit > 0 && mayBegin) return { count: (count * limit) / upper, mean: limit / 2 }
      return upper <= 0 ? { count, mean: limit } : { count: 0, mean: 0 }
    }
    if (limit >= 0 && mayBegin) return { count: count * (1 - limit / upper), mean: (limit + upper) / 2 }
    return { count: 0, mean: 0 }
  }

  /** A bucket to +Inf that the limit cuts: all of it is taken to lie above the limit. */
  #partOfHighest({ count }: Bounded): Part {
    return this.#keepsLower ? { count: 0, mean: 0 } : { count, mean: this.#limit }
  }
}

function isNotZero(count: number): boolean {
  return count !== 0
}

/** The share of a bucket's observations at or below a value inside of it. */
function fractionBelow({ lower, upper }: Bounded, value: number, isLinear: boolean): number {
  if (isLinear) return (value - lower) / (upper - lower)
  const logLower = log2(Math.abs(lower))
  const logUpper = log2(Math.abs(upper))
  const logValue = log2(Math.abs(value))
  if (value > 0) return (logValue - logLower) / (logUpper - logLower)
  return 1 - (logValue - logUpper) / (logLower - logUpper)
}

/** The value in the middle between two bounds; of an infinite range the finite end, or half of it above 0. */
function middle(lower: number, upper: number, { isPositive, isLinear }: Shape): number {
  if (Number.isFinite(lower) && Number.isFinite(upper)) {
    if (isLinear) return (lower + upper) / 2
    const geometric = Math.sqrt(Math.abs(lower * upper))
    return isPositive ? geometric : -geometric
  }
  if (Number.isFinite(lower)) return lower
  if (!Number.isFinite(upper)) return 0
  return upper > 0 ? upper / 2 : upper
}
