/** Byte strings one after another, each found again by its bytes: no text is made of what was seen before. */
import { grown } from '#core/grown.ts'
import { ByteWriter } from './byte-writer.ts'

/** Numbers byte strings from 0 on, in the order in which they were added. */
export class ByteDictionary {
  readonly bytes = new ByteWriter(64)
  /** String i lies in [offsets[i], offsets[i + 1]). */
  offsets = new Uint32Array(64)
  count = 0
  /** Open addressing: 0 is empty, else a string's number and one. */
  #slots = new Int32Array(0)
  #hashes = new Int32Array(0)

  /** Appends without looking; returns the number. */
  append(source: Uint8Array, from = 0, to = source.length): number {
    const out = this.bytes
    out.reserve(to - from)
    if (to - from < 24) {
      const { buffer } = out
      for (let i = from, at = out.at; i < to; i++, at++) buffer[at] = source[i]!
    } else out.buffer.set(source.subarray(from, to), out.at)
    out.at += to - from
    if (++this.count >= this.offsets.length) this.offsets = grown(this.offsets, new Uint32Array(this.count * 2))
    this.offsets[this.count] = out.at
    return this.count - 1
  }

  /** The number of a string, which is added when it is new. Not to be mixed with `append`. */
  entryOf(source: Uint8Array, from: number, to: number): number {
    let hash = 0x811c9dc5 ^ (to - from)
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193)
    hash ^= hash >>> 15
    if (this.count * 2 >= this.#slots.length) this.#grow()
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const number = this.#slots[slot]! - 1
      if (number < 0) break
      if (this.#hashes[number] === hash && this.#isSame(number, source, from, to)) return number
      slot = (slot + 1) & mask
    }
    const number = this.append(source, from, to)
    this.#slots[slot] = number + 1
    this.#hashes[number] = hash
    return number
  }

  #isSame(number: number, source: Uint8Array, from: number, to: number): boolean {
    const at = this.offsets[number]!
    if (this.offsets[number + 1]! - at !== to - from) return false
    const { buffer } = this.bytes
    for (let i = from, j = at; i < to; i++, j++) if (buffer[j] !== source[i]) return false
    return true
  }

  #grow(): void {
    const size = Math.max(64, this.#slots.length * 2)
    const mask = size - 1
    const hashes = grown(this.#hashes.subarray(0, this.count), new Int32Array(size))
    this.#hashes = hashes
    this.#slots = new Int32Array(size)
    for (let number = 0; number < this.count; number++) {
      let slot = hashes[number]! & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = number + 1
    }
  }

  /** Empty again; its room stays. */
  reset(): void {
    this.bytes.reset()
    this.count = 0
    this.#slots.fill(0)
  }
}
