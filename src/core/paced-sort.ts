/** Sorting that lets other work run in between: runs that are short enough to be sorted at once, then merges. */
import type { Paced } from './pace.ts'

/** 2,048 items with a comparison of 100 to 300 ns take 2 to 6 ms. */
const runLength = 2048
/** Items that are merged between two looks at the clock. */
const itemsAtOnce = 2048

/**
 * Sorts in place, stable as Array.prototype.sort. The list may not be read before the promise resolves. Throws what
 * `pause` throws.
 */
export async function pacedSort<T>(list: T[], compare: (a: T, b: T) => number, pace: Paced): Promise<void> {
  const count = list.length
  if (count <= runLength) {
    list.sort(compare)
    return
  }
  let from: T[] = []
  for (let at = 0; at < count; at += runLength) {
    const run = list.slice(at, at + runLength).sort(compare)
    for (const item of run) from.push(item)
    await pace.pause()
  }
  let to: T[] = [...from]
  for (let width = runLength; width < count; width *= 2) {
    for (let left = 0; left < count; left += 2 * width) {
      const middle = Math.min(count, left + width)
      await mergeRuns(from, to, left, middle, Math.min(count, middle + width), compare, pace)
    }
    const swapped = from
    from = to
    to = swapped
  }
  for (let at = 0; at < count; at += itemsAtOnce) {
    const end = Math.min(count, at + itemsAtOnce)
    for (let i = at; i < end; i++) list[i] = from[i]!
    if (pace.worked(end - at)) await pace.pause()
  }
}

/** Merges [left, middle) and [middle, right) of `from` into the same place of `to`. */
async function mergeRuns<T>(
  from: readonly T[],
  to: T[],
  left: number,
  middle: number,
  right: number,
  compare: (a: T, b: T) => number,
  pace: Paced,
): Promise<void> {
  // Most lists are in order already, or nearly so.
  const isInOrder = middle >= right || compare(from[middle - 1]!, from[middle]!) <= 0
  const merge: Merge<T> = { from, to, a: left, middle, b: middle, right, compare }
  for (let at = left; at < right; at += itemsAtOnce) {
    const end = Math.min(right, at + itemsAtOnce)
    if (isInOrder) for (let i = at; i < end; i++) to[i] = from[i]!
    else mergeItems(merge, at, end)
    if (pace.worked(4 * (end - at))) await pace.pause()
  }
}

/** Two runs of `from`, of which [a, middle) and [b, right) are left. */
interface Merge<T> {
  from: readonly T[]
  to: T[]
  a: number
  middle: number
  b: number
  right: number
  compare: (a: T, b: T) => number
}

/** Fills [at, end) of `to`. */
function mergeItems<T>(merge: Merge<T>, at: number, end: number): void {
  const { from, to, middle, right, compare } = merge
  let { a, b } = merge
  for (; at < end; at++) {
    const takesLeft = b >= right || (a < middle && compare(from[a]!, from[b]!) <= 0)
    to[at] = takesLeft ? from[a++]! : from[b++]!
  }
  merge.a = a
  merge.b = b
}

/**
 * The smallest items by `compare`, at most `count`, as a sorted list begins with them; ties keep those that came
 * first.
 */
export class SmallestItems<T> {
  readonly #count: number
  readonly #compare: (a: T, b: T) => number
  readonly #items: T[] = []
  /** Entries sorted ascending up to here; the rest waits to be looked at. */
  #worst: T | undefined

  constructor(count: number, compare: (a: T, b: T) => number) {
    this.#count = count
    this.#compare = compare
  }

  /** Whether the item may be among the smallest; what it pushes out is found when twice as many are held. */
  add(item: T): boolean {
    if (this.#worst !== undefined && this.#compare(item, this.#worst) >= 0) return false
    this.#items.push(item)
    if (this.#items.length >= Math.max(2 * this.#count, this.#count + 64)) this.#trim()
    return true
  }

  get held(): number {
    return this.#items.length
  }

  #trim(): void {
    this.#items.sort(this.#compare)
    if (this.#items.length > this.#count) this.#items.length = this.#count
    this.#worst = this.#items.length === this.#count ? this.#items.at(-1) : undefined
  }

  /** Sorted. */
  finish(): T[] {
    this.#trim()
    return this.#items
  }
}
