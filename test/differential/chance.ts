/** Choices of a seed, for questions that nobody wrote. */
import { below, seededRandom, type Random } from '#core/random.ts'

export class Chance {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** A whole number from 0 to less than `count`. */
  below(count: number): number {
    return below(this.#random, count)
  }

  /** True so often out of a hundred. */
  is(percent: number): boolean {
    return this.below(100) < percent
  }

  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  /** One of the makers, called. */
  made(makers: readonly (() => string)[]): string {
    return this.one(makers)()
  }

  /** `least` to `most` texts of a maker, joined. */
  joined(make: () => string, least: number, most: number, separator = ', '): string {
    const count = least + this.below(most - least + 1)
    return Array.from({ length: count }, make).join(separator)
  }

  /** The text, or nothing. */
  maybe(percent: number, make: () => string): string {
    return this.is(percent) ? make() : ''
  }
}
