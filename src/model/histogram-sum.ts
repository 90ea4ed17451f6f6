/** Sums and means of native histograms, compensated by Neumaier's method as the sums of floats are. */
import {
  bucketsBelow,
  commonBounds,
  FloatHistogram,
  sameNumbers,
  thresholdWithoutCut,
  type Buckets,
  type Incompatibility,
} from './histogram.ts'

/** Buckets of one side, and what rounding took from each of them. */
interface Side {
  index: number[]
  count: number[]
  lost: number[]
}

/** Buckets to add; those that were made of others may have lost something themselves. */
interface Addend extends Buckets {
  lost?: number[]
}

/** What rounding took, once `plus` has returned. */
let lostBy = 0

/** Adds a value to a sum from which rounding took `lost` before. */
function plus(sum: number, value: number, lost: number): number {
  const total = sum + value
  if (total === Infinity || total === -Infinity) lostBy = 0
  else if (Math.abs(sum) >= Math.abs(value)) lostBy = lost + (sum - total + value)
  else lostBy = lost + (value - total + sum)
  return total
}

/** A sum of histograms. It owns its columns, and changes them in place as long as buckets are the same. */
export class HistogramSum {
  #total: FloatHistogram
  #positive: Side
  #negative: Side
  #countLost = 0
  #sumLost = 0
  #zeroLost = 0
  /** Custom buckets with other bounds were added: the sum has the bounds that all of them had. */
  reconciled = false

  constructor(first: FloatHistogram) {
    this.#total = first.withHint(first.hint)
    this.#positive = ownSide(first.positive)
    this.#negative = ownSide(first.negative)
  }

  get schema(): number {
    return this.#total.schema
  }

  /** The same sum, to be added to on its own. */
  fork(): HistogramSum {
    const fork = new HistogramSum(nothing)
    fork.#total = Object.assign(new FloatHistogram(), this.#total)
    fork.#positive = copyOf(this.#positive)
    fork.#negative = copyOf(this.#negative)
    fork.#countLost = this.#countLost
    fork.#sumLost = this.#sumLost
    fork.#zeroLost = this.#zeroLost
    fork.reconciled = this.reconciled
    return fork
  }

  /** Adds another one, which is left as it is. Returns what stands in the way, or undefined. */
  add(other: FloatHistogram): Incompatibility | undefined {
    const total = this.#total
    if (total.usesCustomBuckets !== other.usesCustomBuckets) return 'schema'
    total.combineHints(other)
    if (!total.usesCustomBuckets) this.#addZeroBucket(other)
    total.count = plus(total.count, other.count, this.#countLost)
    this.#countLost = lostBy
    total.sum = plus(total.sum, other.sum, this.#sumLost)
    this.#sumLost = lostBy
    if (total.usesCustomBuckets) this.#addCustom(other)
    else this.#addExponential(other)
    return undefined
  }

  /** The zero bucket of the other, with those of its buckets that lie in the larger zero bucket of both. */
  #addZeroBucket(other: FloatHistogram): void {
    const total = this.#total
    let zeroCount = other.zeroCount
    if (other.zeroThreshold !== total.zeroThreshold) {
      const threshold = this.#commonThreshold(other)
      this.#widen(threshold)
      for (const side of [other.positive, other.negative])
        for (let i = bucketsBelow(side, other.schema, threshold) - 1; i >= 0; i--) zeroCount += side.count[i]!
    }
    total.zeroCount = plus(total.zeroCount, zeroCount, this.#zeroLost)
    this.#zeroLost = lostBy
  }

  #commonThreshold(other: FloatHistogram): number {
    const own = Object.assign(new FloatHistogram(), this.#total, { positive: this.#positive, negative: this.#negative })
    let threshold = Math.max(own.zeroThreshold, other.zeroThreshold)
    for (;;) {
      const wider = thresholdWithoutCut(other, thresholdWithoutCut(own, threshold))
      if (wider === threshold) return threshold
      threshold = wider
    }
  }

  #widen(threshold: number): void {
    const total = this.#total
    const rest = (side: Side): Side => {
      const gone = bucketsBelow(side, total.schema, threshold)
      if (gone === 0) return side
      for (let i = 0; i < gone; i++) {
        total.zeroCount = plus(total.zeroCount, side.count[i]!, this.#zeroLost)
        this.#zeroLost = lostBy + side.lost[i]!
      }
      return { index: side.index.slice(gone), count: side.count.slice(gone), lost: side.lost.slice(gone) }
    }
    this.#positive = rest(this.#positive)
    this.#negative = rest(this.#negative)
    total.zeroThreshold = threshold
  }

  #addExponential(other: FloatHistogram): void {
    const total = this.#total
    const { zeroThreshold } = total
    const schema = Math.min(total.schema, other.schema)
    if (total.schema > schema) {
      const divisor = 2 ** (total.schema - schema)
      this.#positive = regrouped(this.#positive, index => Math.ceil(index / divisor))
      this.#negative = regrouped(this.#negative, index => Math.ceil(index / divisor))
      total.schema = schema
    }
    const divisor = 2 ** (other.schema - schema)
    const fitting = (buckets: Buckets): Addend => {
      const from = other.zeroThreshold === zeroThreshold ? 0 : bucketsBelow(buckets, other.schema, zeroThreshold)
      const rest = from === 0 ? buckets : { index: buckets.index.slice(from), count: buckets.count.slice(from) }
      return divisor === 1 ? rest : regrouped(ownSide(rest), index => Math.ceil(index / divisor))
    }
    this.#positive = merged(this.#positive, fitting(other.positive))
    this.#negative = merged(this.#negative, fitting(other.negative))
  }

  #addCustom(other: FloatHistogram): void {
    const total = this.#total
    const mine = total.customValues ?? []
    const theirs = other.customValues ?? []
    if (sameNumbers(mine, theirs)) {
      this.#positive = merged(this.#positive, other.positive)
      return
    }
    const common = commonBounds(mine, theirs)
    this.#positive = merged(
      regrouped(this.#positive, boundFinder(mine, common)),
      regrouped(ownSide(other.positive), boundFinder(theirs, common)),
    )
    total.customValues = common
    this.reconciled = true
  }

  /** Multiplies everything. */
  scale(factor: number): this {
    return this.#map(value => value * factor)
  }

  divide(divisor: number): this {
    return this.#map(value => value / divisor)
  }

  #map(change: (value: number) => number): this {
    const total = this.#total
    total.count = change(total.count)
    total.sum = change(total.sum)
    total.zeroCount = change(total.zeroCount)
    this.#countLost = change(this.#countLost)
    this.#sumLost = change(this.#sumLost)
    this.#zeroLost = change(this.#zeroLost)
    for (const { count, lost } of [this.#positive, this.#negative]) {
      for (let i = 0; i < count.length; i++) {
        count[i] = change(count[i]!)
        lost[i] = change(lost[i]!)
      }
    }
    return this
  }

  get hasOverflow(): boolean {
    const total = this.#total
    total.positive = this.#positive
    total.negative = this.#negative
    return total.hasOverflow
  }

  /** The sum with what rounding took added again. Nothing is to be added to it any more. */
  finish(): FloatHistogram {
    const total = this.#total
    total.count += this.#countLost
    total.sum += this.#sumLost
    total.zeroCount += this.#zeroLost
    total.positive = finished(this.#positive)
    total.negative = finished(this.#negative)
    total.integer = false
    return total
  }
}

const nothing = new FloatHistogram()

/** A mean of histograms: their sum by their number; where the sum overflows, it grows by a share of each. */
export class HistogramMean {
  #sum: HistogramSum
  #count = 1
  #incremental = false
  /** No number of the sum is larger. */
  #bound: number

  constructor(first: FloatHistogram) {
    this.#sum = new HistogramSum(first)
    this.#bound = magnitudeOf(first)
  }

  get reconciled(): boolean {
    return this.#sum.reconciled
  }

  /** Adds another one, which is left as it is. Returns what stands in the way, or undefined. */
  add(other: FloatHistogram): Incompatibility | undefined {
    this.#count++
    this.#bound += magnitudeOf(other)
    if (this.#bound < boundMax) return this.#sum.add(other)
    if (!this.#incremental) {
      const next = this.#sum.fork()
      const problem = next.add(other)
      if (problem !== undefined) return problem
      if (!next.hasOverflow) {
        this.#sum = next
        return undefined
      }
      this.#incremental = true
      this.#sum.divide(this.#count - 1)
    }
    this.#sum.scale((this.#count - 1) / this.#count)
    return this.#sum.add(other.copy().divide(this.#count))
  }

  /** The mean. Nothing is to be added to it any more. */
  finish(): FloatHistogram {
    return (this.#incremental ? this.#sum : this.#sum.divide(this.#count)).finish()
  }
}

/** Far enough from the largest float: a sum below it can't overflow, and need not be looked through. */
const boundMax = 1e307

/** The largest number of a histogram, without its sign. */
function magnitudeOf({ count, sum, zeroCount, positive, negative, customValues }: FloatHistogram): number {
  let largest = Math.max(Math.abs(count), Math.abs(sum), Math.abs(zeroCount))
  for (let i = 0; i < positive.count.length; i++) largest = Math.max(largest, Math.abs(positive.count[i]!))
  for (let i = 0; i < negative.count.length; i++) largest = Math.max(largest, Math.abs(negative.count[i]!))
  return customValues?.at(-1) === Infinity ? Infinity : largest
}

/** Columns that may be changed. Indices are shared: they stay as they are. */
function ownSide({ index, count }: Buckets): Side {
  return { index, count: count.slice(), lost: count.map(() => 0) }
}

function copyOf({ index, count, lost }: Side): Side {
  return { index, count: count.slice(), lost: lost.slice() }
}

function finished({ index, count, lost }: Side): Buckets {
  for (let i = 0; i < count.length; i++) count[i]! += lost[i]!
  return { index: index.slice(), count }
}

/** Adds each bucket to the one that `target` names; targets ascend. */
function regrouped(side: Side, target: (index: number) => number): Side {
  const out: Side = { index: [], count: [], lost: [] }
  for (let i = 0; i < side.index.length; i++) {
    const index = target(side.index[i]!)
    const last = out.index.length - 1
    if (last >= 0 && out.index[last] === index) {
      out.count[last] = plus(out.count[last]!, side.count[i]!, out.lost[last]!)
      out.lost[last] = lostBy + side.lost[i]!
    } else {
      out.index.push(index)
      out.count.push(side.count[i]!)
      out.lost.push(side.lost[i]!)
    }
  }
  return out
}

/** The bucket, among those of `to`, that holds a bucket of `from`. Indices are asked for in ascending order. */
function boundFinder(from: readonly number[], to: readonly number[]): (index: number) => number {
  let target = 0
  return index => {
    const bound = from[index] ?? Infinity
    while (target < to.length && to[target]! < bound) target++
    return target
  }
}

/** The first one with the second one added: itself where both have the same buckets. */
function merged(a: Side, b: Addend): Side {
  if (a.index === b.index || sameNumbers(a.index, b.index)) return mergedEqual(a, b)
  const out: Side = { index: [], count: [], lost: [] }
  let i = 0
  let k = 0
  while (i < a.index.length || k < b.index.length) {
    const ai = i < a.index.length ? a.index[i]! : Infinity
    const bi = k < b.index.length ? b.index[k]! : Infinity
    out.index.push(Math.min(ai, bi))
    if (ai < bi) {
      out.count.push(a.count[i]!)
      out.lost.push(a.lost[i++]!)
    } else if (bi < ai) {
      out.count.push(b.count[k]!)
      out.lost.push(b.lost?.[k] ?? 0)
      k++
    } else {
      out.count.push(plus(a.count[i]!, b.count[k]!, a.lost[i++]!))
      out.lost.push(lostBy + (b.lost?.[k] ?? 0))
      k++
    }
  }
  return out
}

/** Most histograms of one metric have the same buckets. */
function mergedEqual(a: Side, b: Addend): Side {
  const { count, lost } = a
  const added = b.count
  for (let i = 0; i < count.length; i++) {
    count[i] = plus(count[i]!, added[i]!, lost[i]!)
    lost[i] = lostBy + (b.lost === undefined ? 0 : b.lost[i]!)
  }
  return a
}
