/** Neumaier's compensated summation, as the reference implementation uses it. */

/** A sum with compensation, by Neumaier. */
export class KahanSum {
  sum: number
  compensation = 0

  constructor(start = 0) {
    this.sum = start
  }

  add(value: number): void {
    const total = this.sum + value
    if (total === Infinity || total === -Infinity) this.compensation = 0
    else if (Math.abs(this.sum) >= Math.abs(value)) this.compensation += this.sum - total + value
    else this.compensation += value - total + this.sum
    this.sum = total
  }

  get value(): number {
    return this.sum === Infinity || this.sum === -Infinity ? this.sum : this.sum + this.compensation
  }
}

/** Direct mean with compensation, falling back to the incremental one when the sum would overflow. */
export class MeanAccumulator {
  readonly #sum: KahanSum
  #count = 1
  #incremental = false

  constructor(first: number) {
    this.#sum = new KahanSum(first)
  }

  add(value: number): void {
    this.#count++
    if (!this.#incremental) {
      const before = this.#sum.sum
      const beforeCompensation = this.#sum.compensation
      this.#sum.add(value)
      if (Math.abs(this.#sum.sum) !== Infinity) return
      this.#incremental = true
      this.#sum.sum = before / (this.#count - 1)
      this.#sum.compensation = beforeCompensation / (this.#count - 1)
    }
    const share = (this.#count - 1) / this.#count
    this.#sum.sum *= share
    this.#sum.compensation *= share
    this.#sum.add(value / this.#count)
  }

  get value(): number {
    return this.#incremental
      ? this.#sum.sum + this.#sum.compensation
      : this.#sum.sum / this.#count + this.#sum.compensation / this.#count
  }
}
