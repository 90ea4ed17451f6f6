/**
 * Series by the 128-bit hash that the remote-write kernel gives of a key's bytes: no byte of the key is looked at again. The
 * hash is seeded at random in each process, and two keys of a million share one with a probability of 10^-27: that stands
 * in for comparing the bytes (docs/decisions/0002-series-by-hash.md).
 */

export class KeyTable {
  #slots = new Int32Array(8192).fill(-1)
  #words = new Uint32Array(4096 * 4)
  #series = new Uint32Array(4096)
  #count = 0

  /** The series at hash words hashes[4i … 4i+3], or -1. */
  find(hashes: Uint32Array, i: number): number {
    const a = hashes[4 * i]!, b = hashes[4 * i + 1]!, c = hashes[4 * i + 2]!, d = hashes[4 * i + 3]!
    const slots = this.#slots, words = this.#words
    const mask = slots.length - 1
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!
      if (entry < 0) return -1
      if (words[4 * entry] === a && words[4 * entry + 1] === b && words[4 * entry + 2] === c && words[4 * entry + 3] === d) return this.#series[entry]!
    }
  }

  /** Several keys may lead to one series: the same labels spelled another way. */
  add(hashes: Uint32Array, i: number, series: number): void {
    if (this.#count === this.#series.length) {
      const words = new Uint32Array(this.#words.length * 2), numbers = new Uint32Array(this.#series.length * 2)
      words.set(this.#words)
      numbers.set(this.#series)
      this.#words = words
      this.#series = numbers
      this.#slots = new Int32Array(this.#series.length * 2).fill(-1)
      for (let entry = 0; entry < this.#count; entry++) this.#place(entry)
    }
    const entry = this.#count++
    for (let k = 0; k < 4; k++) this.#words[4 * entry + k] = hashes[4 * i + k]!
    this.#series[entry] = series
    this.#place(entry)
  }

  #place(entry: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#words[4 * entry]! & mask
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry
  }
}
