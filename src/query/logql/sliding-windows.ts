/**
 * A function over the windows of all steps. Windows that overlap share most of their samples: quantiles are kept in a
 * tree of counts and extremes in a queue, so that a sample costs what it costs once, not once a window.
 */
import type { RangeOp } from '#lang/logql/ast.ts'
import type { Budget } from '../budget.ts'
import { nanFirst, selectNth } from '../order-statistic.ts'
import type { Series } from './series.ts'
import { windowFunction } from './window-functions.ts'

/** Samples in order of time, nanoseconds from the first step. */
export interface WindowSamples {
  times: Float64Array
  values: Float64Array
  count: number
}

/** Step k has the samples with k·step - range < time <= k·step. */
export interface WindowGrid {
  steps: number
  stepNs: number
  rangeNs: number
}

/** Called for each step that has samples, with the first and the end of them, in order. */
type Visit = (step: number, from: number, to: number) => void

/** Fills `out`. Lets other work run after every few thousand samples. Throws what `pause` of the budget throws. */
export async function overWindows(
  op: RangeOp,
  parameter: number,
  samples: WindowSamples,
  grid: WindowGrid,
  out: Series,
  budget: Budget,
): Promise<void> {
  const set = (step: number, value: number): void => {
    out.present[step] = 1
    out.values[step] = value
  }
  if (op === 'min_over_time' || op === 'max_over_time') {
    const queue = new ExtremeQueue(samples, op === 'max_over_time')
    await eachWindow(
      samples,
      grid,
      budget,
      () => 1,
      (step, from, to) => set(step, queue.over(from, to)),
    )
    return
  }
  if (op === 'quantile_over_time') {
    await quantiles(parameter, samples, grid, budget, set)
    return
  }
  const run = windowFunction(op, parameter, grid.rangeNs)
  const { times, values } = samples
  const visit: Visit = (step, from, to) => set(step, run(times, values, from, to, step * grid.stepNs))
  await eachWindow(samples, grid, budget, (from, to) => to - from, visit)
}

/** `unitsOf`: how much work a window is. Samples that come in are one unit each. */
async function eachWindow(
  { times, count }: WindowSamples,
  { steps, stepNs, rangeNs }: WindowGrid,
  budget: Budget,
  unitsOf: (from: number, to: number) => number,
  visit: Visit,
): Promise<void> {
  let from = 0
  let to = 0
  for (let step = 0; step < steps; step++) {
    const end = step * stepNs
    const before = to
    while (to < count && times[to]! <= end) to++
    while (from < to && times[from]! <= end - rangeNs) from++
    if (from < to) visit(step, from, to)
    if (budget.worked(1 + to - before + unitsOf(from, to))) await budget.pause()
  }
}

/** The greatest or the least number of a window that only moves forward; NaN where there are no numbers. */
class ExtremeQueue {
  readonly #values: Float64Array
  readonly #isMax: boolean
  /** Places of samples that are still the best of all behind them, the best first. */
  readonly #places: Uint32Array
  #first = 0
  #end = 0
  #to = 0

  constructor({ values, count }: WindowSamples, isMax: boolean) {
    this.#values = values
    this.#isMax = isMax
    this.#places = new Uint32Array(count)
  }

  over(from: number, to: number): number {
    const values = this.#values
    for (this.#to = Math.max(this.#to, from); this.#to < to; this.#to++) {
      const value = values[this.#to]!
      if (Number.isNaN(value)) continue
      while (this.#end > this.#first && this.#isBetter(value, values[this.#places[this.#end - 1]!]!)) this.#end--
      this.#places[this.#end++] = this.#to
    }
    while (this.#first < this.#end && this.#places[this.#first]! < from) this.#first++
    return this.#first < this.#end ? values[this.#places[this.#first]!]! : NaN
  }

  #isBetter(a: number, b: number): boolean {
    return this.#isMax ? a > b : a < b
  }
}

async function quantiles(
  q: number,
  samples: WindowSamples,
  grid: WindowGrid,
  budget: Budget,
  set: (step: number, value: number) => void,
): Promise<void> {
  const { values, count } = samples
  let inWindows = 0
  await eachWindow(
    samples,
    grid,
    budget,
    () => 1,
    (_step, from, to) => {
      inWindows += to - from
    },
  )
  if (Number.isNaN(q) || q < 0 || q > 1) {
    const value = Number.isNaN(q) ? NaN : q < 0 ? -Infinity : Infinity
    await eachWindow(
      samples,
      grid,
      budget,
      () => 1,
      step => set(step, value),
    )
    return
  }
  // The tree costs about 40 comparisons a sample, selection in a window about 3.
  if (inWindows <= 12 * count) {
    const scratch = new Float64Array(count)
    const visit: Visit = (step, from, to) => set(step, quantileIn(q, values, from, to, scratch))
    await eachWindow(samples, grid, budget, (from, to) => 4 * (to - from), visit)
    return
  }
  const tree = await RankTree.of(samples, budget)
  let first = 0
  let end = 0
  const visit: Visit = (step, from, to) => {
    while (end < to) tree.add(end++, 1)
    while (first < from) tree.add(first++, -1)
    set(
      step,
      between(q, to - from, rank => tree.at(rank)),
    )
  }
  await eachWindow(samples, grid, budget, () => 64, visit)
}

/** Linear between neighbours. */
function between(q: number, count: number, at: (rank: number) => number): number {
  const rank = q * (count - 1)
  const lower = Math.max(0, Math.floor(rank))
  const upper = Math.min(count - 1, lower + 1)
  const weight = rank - Math.floor(rank)
  return at(lower) * (1 - weight) + at(upper) * weight
}

/** NaN stands behind all numbers. */
function quantileIn(q: number, values: Float64Array, from: number, to: number, scratch: Float64Array): number {
  const count = to - from
  for (let i = 0; i < count; i++) scratch[i] = values[from + i]!
  const nans = nanFirst(scratch, count)
  return between(q, count, rank => (rank + nans < count ? selectNth(scratch, rank + nans, nans, count) : NaN))
}

/** How many samples of each value a window has, as a tree of sums: finds the sample of a rank in logarithmic time. */
class RankTree {
  /** Different values, ascending, NaN last. */
  readonly #sorted: Float64Array
  /** By sample, the place of its value. */
  readonly #places: Uint32Array
  readonly #sums: Int32Array
  readonly #top: number

  constructor(sorted: Float64Array, places: Uint32Array) {
    this.#sorted = sorted
    this.#places = places
    this.#sums = new Int32Array(sorted.length + 1)
    this.#top = 2 ** Math.floor(Math.log2(Math.max(1, sorted.length)))
  }

  static async of({ values, count }: WindowSamples, budget: Budget): Promise<RankTree> {
    const sorted = await sortedNumbers(values.subarray(0, count), budget)
    let different = 0
    for (let i = 0; i < count; i++)
      if (i === 0 || !Object.is(sorted[i], sorted[different - 1])) sorted[different++] = sorted[i]!
    const distinct = sorted.subarray(0, different)
    const places = new Uint32Array(count)
    for (let i = 0; i < count; i++) {
      places[i] = placeOf(distinct, values[i]!)
      if (budget.worked(32)) await budget.pause()
    }
    return new RankTree(distinct, places)
  }

  add(sample: number, by: 1 | -1): void {
    const sums = this.#sums
    for (let at = this.#places[sample]! + 1; at < sums.length; at += at & -at) sums[at]! += by
  }

  /** The value of a rank from 0 on, of those that were added. */
  at(rank: number): number {
    const sums = this.#sums
    let at = 0
    let left = rank
    for (let width = this.#top; width > 0; width >>= 1)
      if (at + width < sums.length && sums[at + width]! <= left) {
        at += width
        left -= sums[at]!
      }
    return this.#sorted[at]!
  }
}

/** -0 stands before 0, NaN last, as typed arrays sort. */
function isBefore(a: number, b: number): boolean {
  if (a < b) return true
  if (a > b || a !== a) return false
  return b !== b || (a === 0 && Object.is(a, -0) && !Object.is(b, -0))
}

function placeOf(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(sorted[middle]!, value)) low = middle + 1
    else high = middle
  }
  return low
}

/** Runs of so many numbers are sorted at once, in about a millisecond. */
const runLength = 16_384

/** A sorted copy, in the order of typed arrays. */
export async function sortedNumbers(values: Float64Array, budget: Budget): Promise<Float64Array> {
  const { length } = values
  let from = values.slice()
  for (let at = 0; at < length; at += runLength) {
    from.subarray(at, Math.min(length, at + runLength)).sort()
    await budget.pause()
  }
  let to = new Float64Array(length)
  for (let width = runLength; width < length; width *= 2) {
    for (let left = 0; left < length; left += 2 * width) {
      const middle = Math.min(length, left + width)
      const right = Math.min(length, middle + width)
      let a = left
      let b = middle
      for (let at = left; at < right; at++) {
        to[at] = b >= right || (a < middle && !isBefore(from[b]!, from[a]!)) ? from[a++]! : from[b++]!
        if (budget.worked(2)) await budget.pause()
      }
    }
    const swapped = from
    from = to
    to = swapped
  }
  return from
}
