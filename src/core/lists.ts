/**
 * Lists as long as the data. They are never spread into the arguments of a call: every argument goes onto the stack,
 * which ends at some 100,000 of them.
 */
import { compareText } from './text.ts'

/** Adds all items at the end. */
export function addAll<T>(into: T[], items: Iterable<T>): void {
  for (const item of items) into.push(item)
}

/** The least of the numbers: Infinity of none, NaN where one of them is. */
export function least(numbers: Iterable<number>): number {
  let found = Infinity
  for (const number of numbers) found = Math.min(found, number)
  return found
}

/** The greatest of the numbers: -Infinity of none, NaN where one of them is. */
export function greatest(numbers: Iterable<number>): number {
  let found = -Infinity
  for (const number of numbers) found = Math.max(found, number)
  return found
}

/** Different texts; of more than `limit` the first ones in bytewise order. What it holds grows with the limit alone. */
export class FirstTexts {
  readonly #limit: number
  #texts = new Set<string>()
  /** Texts from here on are known to be too many. */
  #bound: string | undefined
  /** Some were left out. */
  isCut = false

  /** Infinity for no limit. */
  constructor(limit: number) {
    this.#limit = limit
  }

  add(text: string): void {
    if (this.#bound !== undefined && compareText(text, this.#bound) > 0) return
    this.#texts.add(text)
    if (this.#texts.size > this.#limit * 2 + 100) this.#cut()
  }

  delete(text: string): void {
    this.#texts.delete(text)
  }

  #cut(): void {
    const sorted = [...this.#texts].sort(compareText)
    if (sorted.length <= this.#limit) return
    this.isCut = true
    sorted.length = this.#limit
    this.#bound = sorted.at(-1) ?? ''
    this.#texts = new Set(sorted)
  }

  /** In bytewise order. */
  sorted(): string[] {
    this.#cut()
    return [...this.#texts].sort(compareText)
  }
}
