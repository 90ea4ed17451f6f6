/**
 * Native histograms as queries see them: float counts, buckets as parallel index and count columns (an index is the
 * bucket's place on the grid of its schema; its upper bound is 2^(index·2^-schema), or customValues[index] for schema
 * -53).
 */
import { exponentialBounds } from './exponential-bounds.ts'

/** The schema of histograms whose bounds are listed in `customValues`. */
export const customBucketsSchema = -53

/** 0 unknown, 1 reset before this sample, 2 no reset, 3 a gauge. The numbers of the remote-write protocol. */
export type ResetHint = 0 | 1 | 2 | 3
/** Names of the numbers of `ResetHint`. */
export const resetHint = { unknown: 0, reset: 1, noReset: 2, gauge: 3 } as const

/** Ascending indices without repetition, and their counts. */
export interface Buckets {
  index: number[]
  count: number[]
}
/** `length` buckets, `offset` behind the span before. */
export interface Span {
  offset: number
  length: number
}

/** Why two histograms can't be combined: one has exponential buckets, the other custom ones. */
export type Incompatibility = 'schema'

/** One histogram sample. Methods that change it return it; others leave it as it is. */
export class FloatHistogram {
  schema = 0
  zeroThreshold = 0
  zeroCount = 0
  count = 0
  sum = 0
  hint: ResetHint = 0
  positive: Buckets = { index: [], count: [] }
  negative: Buckets = { index: [], count: [] }
  customValues: readonly number[] | undefined
  /** The staleness marker instead of a histogram. */
  stale = false
  /** All counts were whole numbers at the source: stored in integer chunks. */
  integer = false
  /** Two of the histograms that were combined into this one had opposite hints of a counter reset. */
  collided = false
  /** Custom buckets with other bounds were combined into this one: it has the bounds that all of them had. */
  reconciled = false

  get usesCustomBuckets(): boolean {
    return this.schema === customBucketsSchema
  }

  copy(): FloatHistogram {
    const copy = new FloatHistogram()
    copy.schema = this.schema
    copy.zeroThreshold = this.zeroThreshold
    copy.zeroCount = this.zeroCount
    copy.count = this.count
    copy.sum = this.sum
    copy.hint = this.hint
    copy.positive = { index: this.positive.index.slice(), count: this.positive.count.slice() }
    copy.negative = { index: this.negative.index.slice(), count: this.negative.count.slice() }
    copy.customValues = this.customValues
    copy.stale = this.stale
    copy.integer = this.integer
    return copy
  }

  /** The same with another hint; the buckets are shared. */
  withHint(hint: ResetHint): FloatHistogram {
    const copy = new FloatHistogram()
    copy.schema = this.schema
    copy.zeroThreshold = this.zeroThreshold
    copy.zeroCount = this.zeroCount
    copy.count = this.count
    copy.sum = this.sum
    copy.hint = hint
    copy.positive = this.positive
    copy.negative = this.negative
    copy.customValues = this.customValues
    copy.stale = this.stale
    copy.integer = this.integer
    copy.collided = this.collided
    copy.reconciled = this.reconciled
    return copy
  }

  /** Multiplies every count and the sum; a negative factor makes a gauge of it. */
  scale(factor: number): this {
    this.zeroCount *= factor
    this.count *= factor
    this.sum *= factor
    for (let i = 0; i < this.positive.count.length; i++) this.positive.count[i]! *= factor
    for (let i = 0; i < this.negative.count.length; i++) this.negative.count[i]! *= factor
    if (factor < 0) this.hint = resetHint.gauge
    this.integer = false
    return this
  }

  divide(divisor: number): this {
    this.zeroCount /= divisor
    this.count /= divisor
    this.sum /= divisor
    if (divisor === 0) {
      this.positive = { index: [], count: [] }
      this.negative = { index: [], count: [] }
      return this
    }
    for (let i = 0; i < this.positive.count.length; i++) this.positive.count[i]! /= divisor
    for (let i = 0; i < this.negative.count.length; i++) this.negative.count[i]! /= divisor
    if (divisor < 0) this.hint = resetHint.gauge
    this.integer = false
    return this
  }

  /** Is any count or bound, or the sum, infinite? */
  get hasOverflow(): boolean {
    return (
      isInfinite(this.zeroCount) ||
      isInfinite(this.count) ||
      isInfinite(this.sum) ||
      this.positive.count.some(isInfinite) ||
      this.negative.count.some(isInfinite) ||
      (this.customValues?.some(isInfinite) ?? false)
    )
  }

  /** Removes empty buckets. */
  compact(): this {
    this.positive = withoutEmpty(this.positive)
    this.negative = withoutEmpty(this.negative)
    return this
  }

  /** Adds (`sign` 1) or subtracts (-1) the other; it is left as it is. Returns what stands in the way, or undefined. */
  combine(other: FloatHistogram, sign: 1 | -1): Incompatibility | undefined {
    if (this.usesCustomBuckets !== other.usesCustomBuckets) return 'schema'
    this.combineHints(other)
    if (this.usesCustomBuckets) {
      this.#combineCustom(other, sign)
      return undefined
    }
    let theirs = other
    if (theirs.zeroThreshold !== this.zeroThreshold) {
      theirs = other.copy()
      reconcileZeroBuckets(this, theirs)
    }
    if (theirs.schema < this.schema) this.reduceTo(theirs.schema)
    else if (theirs.schema > this.schema) theirs = (theirs === other ? other.copy() : theirs).reduceTo(this.schema)
    this.zeroCount += sign * theirs.zeroCount
    this.count += sign * theirs.count
    this.sum += sign * theirs.sum
    this.positive = mergeBuckets(this.positive, theirs.positive, sign)
    this.negative = mergeBuckets(this.negative, theirs.negative, sign)
    return undefined
  }

  #combineCustom(other: FloatHistogram, sign: 1 | -1): void {
    const mine = this.customValues ?? []
    const theirs = other.customValues ?? []
    this.count += sign * other.count
    this.sum += sign * other.sum
    if (sameNumbers(mine, theirs)) {
      this.positive = mergeBuckets(this.positive, other.positive, sign)
      return
    }
    const common = commonBounds(mine, theirs)
    this.positive = mergeBuckets(
      intoBounds(this.positive, mine, common),
      intoBounds(other.positive, theirs, common),
      sign,
    )
    this.customValues = common
    this.reconciled = true
  }

  /** The hint of a sum with another histogram; notes where one was reset and the other was not. */
  combineHints(other: FloatHistogram): void {
    if (this.hint === other.hint || this.hint === resetHint.gauge) return
    if (other.hint === resetHint.gauge) this.hint = resetHint.gauge
    else if (this.hint !== resetHint.unknown) {
      if (other.hint !== resetHint.unknown) this.collided = true
      this.hint = resetHint.unknown
    }
  }

  /** Lowers the resolution in place. */
  reduceTo(schema: number): this {
    if (schema >= this.schema) return this
    this.positive = mergeDown(this.positive, this.schema - schema)
    this.negative = mergeDown(this.negative, this.schema - schema)
    this.schema = schema
    return this
  }

  /** Has the counter been reset between `previous` and this one? */
  detectReset(previous: FloatHistogram): boolean {
    if (this.hint === resetHint.reset) return true
    if (this.hint === resetHint.noReset) return false
    // Gauges too: whoever asks for the rate of one gets a fall as a reset.
    if (this.count < previous.count) return true
    if (this.usesCustomBuckets !== previous.usesCustomBuckets) return true
    if (this.usesCustomBuckets && !sameNumbers(this.customValues ?? [], previous.customValues ?? [])) {
      const mine = this.customValues ?? []
      const theirs = previous.customValues ?? []
      const common = commonBounds(mine, theirs)
      return anyFell(intoBounds(previous.positive, theirs, common), intoBounds(this.positive, mine, common))
    }
    if (this.schema > previous.schema) return true
    if (this.zeroThreshold < previous.zeroThreshold) return true
    let before = previous
    if (this.zeroThreshold > previous.zeroThreshold) {
      before = previous.copy()
      const threshold = widenZeroBucket(before, this.zeroThreshold)
      if (threshold !== this.zeroThreshold) return true
    }
    if (before.schema > this.schema) before = (before === previous ? previous.copy() : before).reduceTo(this.schema)
    if (this.zeroCount < before.zeroCount) return true
    return anyFell(before.positive, this.positive) || anyFell(before.negative, this.negative)
  }

  /** The same observations in the same grid; empty buckets don't count. NaN sums compare equal. */
  equals(other: FloatHistogram): boolean {
    if (
      this.schema !== other.schema ||
      this.count !== other.count ||
      (!Object.is(this.sum, other.sum) && this.sum !== other.sum)
    )
      return false
    if (this.usesCustomBuckets) {
      if (!sameNumbers(this.customValues ?? [], other.customValues ?? [])) return false
    } else if (this.zeroThreshold !== other.zeroThreshold || this.zeroCount !== other.zeroCount) return false
    return (
      sameBuckets(withoutEmpty(this.positive), withoutEmpty(other.positive)) &&
      sameBuckets(withoutEmpty(this.negative), withoutEmpty(other.negative))
    )
  }

  /**
   * Every bucket with its bounds, ascending, empty ones included; where the zero bucket reaches into its neighbours,
   * they begin at its edge.
   */
  buckets(): Bucket[] {
    const all = bucketsOnGrid(this, this.zeroCount > 0)
    if (!this.usesCustomBuckets) trimAtZero(all, this.zeroThreshold)
    return all
  }

  /** As Go prints it: {count:3, sum:4, (1,2]:3}. */
  toString(): string {
    const parts = [`count:${formatG(this.count)}`, `sum:${formatG(this.sum)}`]
    for (const b of bucketsOnGrid(this, this.zeroCount !== 0)) {
      if (b.count !== 0)
        parts.push(
          `${b.lowerInclusive ? '[' : '('}${formatG(b.lower)},${formatG(b.upper)}` +
            `${b.upperInclusive ? ']' : ')'}:${formatG(b.count)}`,
        )
    }
    return `{${parts.join(', ')}}`
  }
}

/** A bucket with its bounds. */
export interface Bucket {
  lower: number
  upper: number
  lowerInclusive: boolean
  upperInclusive: boolean
  count: number
}

/** Every bucket with its bounds on the grid, ascending. */
function bucketsOnGrid(histogram: FloatHistogram, withZero: boolean): Bucket[] {
  const all: Bucket[] = []
  for (let i = histogram.negative.index.length - 1; i >= 0; i--) {
    const index = histogram.negative.index[i]!
    all.push({
      lower: -bucketBound(index, histogram.schema),
      upper: -bucketBound(index - 1, histogram.schema),
      lowerInclusive: true,
      upperInclusive: false,
      count: histogram.negative.count[i]!,
    })
  }
  if (withZero && !histogram.usesCustomBuckets) {
    all.push({
      lower: -histogram.zeroThreshold,
      upper: histogram.zeroThreshold,
      lowerInclusive: true,
      upperInclusive: true,
      count: histogram.zeroCount,
    })
  }
  for (let i = 0; i < histogram.positive.index.length; i++) {
    const index = histogram.positive.index[i]!
    const lower = bucketBound(index - 1, histogram.schema, histogram.customValues)
    const firstCustom = histogram.usesCustomBuckets && index === 0
    all.push({
      lower,
      upper: bucketBound(index, histogram.schema, histogram.customValues),
      lowerInclusive: firstCustom,
      upperInclusive: true,
      count: histogram.positive.count[i]!,
    })
  }
  return all
}

function trimAtZero(all: Bucket[], threshold: number): void {
  for (const bucket of all) {
    if (bucket.lowerInclusive && bucket.upperInclusive) continue
    if (bucket.lower >= 0 && bucket.lower < threshold) bucket.lower = threshold
    if (bucket.upper <= 0 && bucket.upper > -threshold) bucket.upper = -threshold
  }
}

/** Go's %g with the shortest digits: exponents from 1e+06 and below 1e-4, two digits at least. */
export function formatG(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  if (Object.is(value, -0)) return '-0'
  if (value === 0 || Number.isNaN(value)) return String(value)
  const exponent = Number(value.toExponential().split('e')[1])
  if (exponent >= -4 && exponent < 6) return toPlain(value)
  const [mantissa] = value.toExponential().split('e')
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}

/** The shortest decimal digits without an exponent. */
export function toPlain(value: number): string {
  const text = String(value)
  if (!text.includes('e')) return text
  const [mantissa, exponentText] = text.split('e') as [string, string]
  const negative = mantissa.startsWith('-')
  const digits = mantissa.replace('-', '').replace('.', '')
  const point = (mantissa.replace('-', '').indexOf('.') + 1 || 2) - 1 + Number(exponentText)
  const body =
    point <= 0
      ? `0.${'0'.repeat(-point)}${digits}`
      : point >= digits.length
        ? digits + '0'.repeat(point - digits.length)
        : `${digits.slice(0, point)}.${digits.slice(point)}`
  return negative ? `-${body}` : body
}

/** Upper bound of the bucket at `index`. */
export function bucketBound(index: number, schema: number, customValues?: readonly number[]): number {
  if (schema === customBucketsSchema) {
    if (index < 0) return -Infinity
    return customValues !== undefined && index < customValues.length ? customValues[index]! : Infinity
  }
  if (schema < 0) {
    const exponent = index * 2 ** -schema
    if (exponent === 1024) return Number.MAX_VALUE
    return exponent > 1024 ? Infinity : 2 ** exponent
  }
  const perOctave = 2 ** schema
  const octave = Math.floor(index / perOctave)
  const fraction = exponentialBounds[(index - octave * perOctave) * (256 / perOctave)]!
  if (fraction === 0.5 && octave + 1 === 1025) return Number.MAX_VALUE
  return octave + 1 > 1023
    ? fraction * 2 * 2 ** octave
    : octave + 1 < -1021
      ? fraction * 2 ** (octave + 60) * 2 ** -59
      : fraction * 2 ** (octave + 1)
}

/** Buckets of spans that have a count each; missing counts are 0. */
export function bucketsFromSpans(spans: readonly Span[], counts: ArrayLike<number>): Buckets {
  const index: number[] = []
  const count: number[] = []
  let at = 0
  let k = 0
  for (const span of spans) {
    at += span.offset
    for (let i = 0; i < span.length; i++) {
      index.push(at++)
      count.push(counts[k++] ?? 0)
    }
  }
  return { index, count }
}

/** The spans of buckets, without gaps in them. */
export function spansOf(buckets: Buckets): Span[] {
  const spans: Span[] = []
  let next = 0
  for (const index of buckets.index) {
    const last = spans[spans.length - 1]
    if (last !== undefined && index === next) last.length++
    else spans.push({ offset: index - next, length: 1 })
    next = index + 1
  }
  return spans
}

function isInfinite(value: number): boolean {
  return value === Infinity || value === -Infinity
}

function withoutEmpty(buckets: Buckets): Buckets {
  if (!buckets.count.includes(0)) return buckets
  const kept: Buckets = { index: [], count: [] }
  for (let i = 0; i < buckets.index.length; i++) {
    if (buckets.count[i] !== 0) {
      kept.index.push(buckets.index[i]!)
      kept.count.push(buckets.count[i]!)
    }
  }
  return kept
}

function mergeBuckets(a: Buckets, b: Buckets, sign: 1 | -1): Buckets {
  const index: number[] = []
  const count: number[] = []
  let i = 0
  let k = 0
  while (i < a.index.length || k < b.index.length) {
    const ai = i < a.index.length ? a.index[i]! : Infinity
    const bi = k < b.index.length ? b.index[k]! : Infinity
    index.push(Math.min(ai, bi))
    if (ai < bi) count.push(a.count[i++]!)
    else if (bi < ai) count.push(sign * b.count[k++]!)
    else count.push(a.count[i++]! + sign * b.count[k++]!)
  }
  return { index, count }
}

/** Bounds that both have. */
export function commonBounds(a: readonly number[], b: readonly number[]): number[] {
  return a.filter(bound => b.includes(bound))
}

/**
 * Custom buckets of `from` bounds as buckets of `to`, which are some of them: each goes to the first bound at or
 * above its own.
 */
function intoBounds(buckets: Buckets, from: readonly number[], to: readonly number[]): Buckets {
  const merged: Buckets = { index: [], count: [] }
  let target = 0
  for (let i = 0; i < buckets.index.length; i++) {
    const bound = from[buckets.index[i]!] ?? Infinity
    while (target < to.length && to[target]! < bound) target++
    const last = merged.index.length - 1
    if (last >= 0 && merged.index[last] === target) merged.count[last]! += buckets.count[i]!
    else {
      merged.index.push(target)
      merged.count.push(buckets.count[i]!)
    }
  }
  return merged
}

function mergeDown(buckets: Buckets, bySchemas: number): Buckets {
  const merged: Buckets = { index: [], count: [] }
  const divisor = 2 ** bySchemas
  for (let i = 0; i < buckets.index.length; i++) {
    const target = Math.ceil(buckets.index[i]! / divisor)
    const last = merged.index.length - 1
    if (last >= 0 && merged.index[last] === target) merged.count[last]! += buckets.count[i]!
    else {
      merged.index.push(target)
      merged.count.push(buckets.count[i]!)
    }
  }
  return merged
}

function anyFell(before: Buckets, after: Buckets): boolean {
  let k = 0
  for (let i = 0; i < before.index.length; i++) {
    while (k < after.index.length && after.index[k]! < before.index[i]!) k++
    const now = k < after.index.length && after.index[k] === before.index[i] ? after.count[k]! : 0
    if (now < before.count[i]!) return true
  }
  return false
}

function sameBuckets(a: Buckets, b: Buckets): boolean {
  return sameNumbers(a.index, b.index) && sameNumbers(a.count, b.count)
}

export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i] && !Object.is(a[i], b[i])) return false
  return true
}

/** Brings both to one zero threshold, the larger one or beyond, so that no bucket is cut. */
function reconcileZeroBuckets(a: FloatHistogram, b: FloatHistogram): void {
  while (a.zeroThreshold !== b.zeroThreshold) {
    if (a.zeroThreshold > b.zeroThreshold) widenZeroBucket(b, a.zeroThreshold)
    if (b.zeroThreshold > a.zeroThreshold) widenZeroBucket(a, b.zeroThreshold)
  }
}

/**
 * Moves buckets below `threshold` into the zero bucket; a populated bucket that straddles it raises the threshold.
 * Returns the new one.
 */
function widenZeroBucket(histogram: FloatHistogram, threshold: number): number {
  threshold = thresholdWithoutCut(histogram, threshold)
  moveIntoZeroBucket(histogram, threshold)
  return threshold
}

/** The threshold, or the next larger one that cuts no populated bucket. */
export function thresholdWithoutCut(histogram: FloatHistogram, threshold: number): number {
  for (let again = true; again;) {
    again = false
    for (const side of [histogram.positive, histogram.negative]) {
      for (let i = 0; i < side.index.length; i++) {
        const lower = bucketBound(side.index[i]! - 1, histogram.schema)
        const upper = bucketBound(side.index[i]!, histogram.schema)
        if (lower < threshold && upper > threshold && side.count[i] !== 0) {
          threshold = upper
          again = true
        }
      }
    }
  }
  return threshold
}

/** Moves the buckets that begin below the threshold into the zero bucket. */
function moveIntoZeroBucket(histogram: FloatHistogram, threshold: number): void {
  let moved = histogram.zeroCount
  const rest = (side: Buckets): Buckets => {
    const gone = bucketsBelow(side, histogram.schema, threshold)
    for (let i = 0; i < gone; i++) moved += side.count[i]!
    return gone === 0 ? side : { index: side.index.slice(gone), count: side.count.slice(gone) }
  }
  histogram.positive = rest(histogram.positive)
  histogram.negative = rest(histogram.negative)
  histogram.zeroCount = moved
  histogram.zeroThreshold = threshold
}

/** How many of the first buckets of a side begin below the threshold. */
export function bucketsBelow(side: Buckets, schema: number, threshold: number): number {
  let below = 0
  while (below < side.index.length && bucketBound(side.index[below]! - 1, schema) < threshold) below++
  return below
}
