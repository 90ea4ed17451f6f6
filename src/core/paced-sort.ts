/** Sorting that lets other work run in between: runs that are short enough to be sorted at once, then merges. */
import type { Paced } from './pace.ts'

/** 2,048 items with a comparison of 100 to 300 ns take 2 to 6 ms. */
const runLength = 2048

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
  for (let at = 0; at < count; at++) {
    list[at] = from[at]!
    if (pace.worked(1)) await pace.pause()
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
  let a = left
  let b = middle
  for (let at = left; at < right; at++) {
    const takesLeft = b >= right || (a < middle && compare(from[a]!, from[b]!) <= 0)
    to[at] = takesLeft ? from[a++]! : from[b++]!
    if (pace.worked(4)) await pace.pause()
  }
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
