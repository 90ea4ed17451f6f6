/** Label names and values as numbers: each text once, as bytes in pages, found by a seeded hash. */
import { decodeUtf8 } from '#core/text.ts'

const pageBits = 20
const pageBytes = 1 << pageBits

export class SymbolTable {
  readonly #seed: number
  #pages: Uint8Array[] = []
  #pageUsed = pageBytes
  /** Where symbol i begins: page number × 2^20 + offset. */
  #place = new Float64Array(1024)
  #length = new Uint32Array(1024)
  #hash = new Uint32Array(1024)
  #slots = new Uint32Array(4096)
  #texts: (string | undefined)[] = []
  count = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  /** The number of a text, given it if it is new. */
  intern(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to, this.#seed)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const id = this.#slots[slot]! - 1
      if (id < 0) break
      if (this.#hash[id] === hash && this.equals(id, bytes, from, to)) return id
      slot = (slot + 1) & mask
    }
    return this.#add(bytes, from, to, hash, slot)
  }

  /** The number of a text, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to, this.#seed)
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot]! - 1
      if (id < 0) return -1
      if (this.#hash[id] === hash && this.equals(id, bytes, from, to)) return id
    }
  }

  equals(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const length = this.#length[id]!
    if (to - from !== length) return false
    const place = this.#place[id]!
    const page = this.#pages[Math.floor(place / pageBytes)]!
    const offset = place % pageBytes
    for (let i = 0; i < length; i++) if (page[offset + i] !== bytes[from + i]) return false
    return true
  }

  #add(bytes: Uint8Array, from: number, to: number, hash: number, slot: number): number {
    const length = to - from
    const id = this.count++
    if (id === this.#length.length) this.#growColumns()
    if (this.#pageUsed + length > pageBytes) {
      this.#pages.push(new Uint8Array(Math.max(pageBytes, length)))
      this.#pageUsed = 0
    }
    const page = this.#pages.at(-1)!
    page.set(bytes.subarray(from, to), this.#pageUsed)
    this.#place[id] = (this.#pages.length - 1) * pageBytes + this.#pageUsed
    this.#length[id] = length
    this.#hash[id] = hash
    this.#pageUsed += length
    this.#slots[slot] = id + 1
    if (this.count * 2 > this.#slots.length) this.#rehash()
    return id
  }

  #growColumns(): void {
    const size = this.#length.length * 2
    const place = new Float64Array(size), length = new Uint32Array(size), hash = new Uint32Array(size)
    place.set(this.#place)
    length.set(this.#length)
    hash.set(this.#hash)
    this.#place = place
    this.#length = length
    this.#hash = hash
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let id = 0; id < this.count; id++) {
      let slot = this.#hash[id]! & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = id + 1
    }
    this.#slots = slots
  }

  /** A view of the text's bytes. */
  bytes(id: number): Uint8Array {
    const place = this.#place[id]!
    const offset = place % pageBytes
    return this.#pages[Math.floor(place / pageBytes)]!.subarray(offset, offset + this.#length[id]!)
  }

  text(id: number): string {
    return this.#texts[id] ??= decodeUtf8(this.bytes(id), 0, this.#length[id]!) ?? ''
  }
}

/** Four bytes a step, murmur3-like, seeded so that nobody can aim at one slot. */
export function hashBytes(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let h = seed ^ (to - from)
  let i = from
  for (; i + 4 <= to; i += 4) {
    let k = bytes[i]! | bytes[i + 1]! << 8 | bytes[i + 2]! << 16 | bytes[i + 3]! << 24
    k = Math.imul(k, 0xcc9e2d51)
    k = k << 15 | k >>> 17
    h ^= Math.imul(k, 0x1b873593)
    h = h << 13 | h >>> 19
    h = Math.imul(h, 5) + 0xe6546b64 | 0
  }
  let tail = 0
  for (; i < to; i++) tail = tail << 8 | bytes[i]!
  h ^= Math.imul(tail, 0xcc9e2d51)
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ h >>> 16) >>> 0
}
