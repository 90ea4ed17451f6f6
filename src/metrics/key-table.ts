/**
 * Numbers by the 128-bit hash of a key's bytes: no byte of the key is looked at again. The hash is seeded at random in
 * each process, and two keys of a million share one with a probability of 10^-27: that stands in for comparing the
 * bytes (docs/decisions/0002-series-by-hash.md).
 */

export class KeyTable {
  #slots = new Int32Array(64).fill(-1)
  #words = new Uint32Array(32 * 4)
  #numbers = new Uint32Array(32)
  #count = 0

  /** The number at hash words hashes[4i ... 4i+3], or -1. */
  find(hashes: Uint32Array, i: number): number {
    const a = hashes[4 * i]!
    const b = hashes[4 * i + 1]!
    const c = hashes[4 * i + 2]!
    const d = hashes[4 * i + 3]!
    const slots = this.#slots
    const words = this.#words
    const mask = slots.length - 1
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot]!
      if (entry < 0) return -1
      if (
        words[4 * entry] === a &&
        words[4 * entry + 1] === b &&
        words[4 * entry + 2] === c &&
        words[4 * entry + 3] === d
      )
        return this.#numbers[entry]!
    }
  }

  /** Several keys may lead to one number: the same labels spelled another way. */
  add(hashes: Uint32Array, i: number, number: number): void {
    if (this.#count === this.#numbers.length) this.#resize(this.#numbers.length * 2)
    const entry = this.#count++
    for (let k = 0; k < 4; k++) this.#words[4 * entry + k] = hashes[4 * i + k]!
    this.#numbers[entry] = number
    this.#place(entry)
  }

  #resize(size: number): void {
    const words = new Uint32Array(size * 4)
    const numbers = new Uint32Array(size)
    words.set(this.#words.subarray(0, this.#count * 4))
    numbers.set(this.#numbers.subarray(0, this.#count))
    this.#words = words
    this.#numbers = numbers
    this.#slots = new Int32Array(size * 2).fill(-1)
    for (let entry = 0; entry < this.#count; entry++) this.#place(entry)
  }

  #place(entry: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#words[4 * entry]! & mask
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask
    this.#slots[slot] = entry
  }

  /** Forgets the keys of all numbers marked in `gone`. */
  remove(gone: Uint8Array): void {
    let kept = 0
    for (let entry = 0; entry < this.#count; entry++) {
      const number = this.#numbers[entry]!
      if (number < gone.length && gone[number] === 1) continue
      this.#numbers[kept] = number
      this.#words.copyWithin(4 * kept, 4 * entry, 4 * entry + 4)
      kept++
    }
    if (kept === this.#count) return
    this.#count = kept
    let size = 1024
    while (size < kept * 1.25) size *= 2
    this.#resize(size)
  }
}
