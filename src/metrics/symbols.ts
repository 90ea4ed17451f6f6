/**
 * Label names and values as numbers: each text once, as bytes in pages, found by a seeded hash. Uses are counted, and
 * the number of a text that nobody uses any more is given to another.
 */
import { decodeUtf8 } from '#core/text.ts'
import { grown, growLastPage, sharedPage, smallPageBytes } from '#core/grown.ts'

const pageBits = 20
const pageBytes = 1 << pageBits

export class SymbolTable {
  readonly #seed: number
  #pages: Uint8Array[] = []
  #pageUsed = pageBytes
  /** Where symbol i begins: page number × 2^20 + offset. */
  #place = new Float64Array(64)
  #length = new Uint32Array(64)
  #hash = new Uint32Array(64)
  #uses = new Uint32Array(64)
  #slots = new Uint32Array(256)
  #texts: (string | undefined)[] = []
  readonly #free: number[] = []
  #liveBytes = 0
  #deadBytes = 0
  #deadSlots = false
  /** Numbers that were ever given: columns by symbol need this many places. */
  count = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  /** The number of a text, given it if it is new. Each call counts as one use. */
  intern(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to, this.#seed)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const id = this.#slots[slot]! - 1
      if (id < 0) break
      if (this.#hash[id] === hash && this.#equals(id, bytes, from, to)) {
        this.#uses[id]!++
        return id
      }
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
      if (this.#hash[id] === hash && this.#equals(id, bytes, from, to)) return id
    }
  }

  #equals(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const length = this.#length[id]!
    if (to - from !== length || this.#uses[id] === 0) return false
    const place = this.#place[id]!
    const page = this.#pages[Math.floor(place / pageBytes)]!
    const offset = place % pageBytes
    for (let i = 0; i < length; i++) if (page[offset + i] !== bytes[from + i]) return false
    return true
  }

  #add(bytes: Uint8Array, from: number, to: number, hash: number, slot: number): number {
    const id = this.#free.pop() ?? this.count++
    if (id === this.#length.length) this.#growColumns()
    this.#write(id, bytes.subarray(from, to))
    this.#length[id] = to - from
    this.#hash[id] = hash
    this.#uses[id] = 1
    this.#liveBytes += to - from
    this.#slots[slot] = id + 1
    if (this.count * 2 > this.#slots.length) this.#rehash(this.#slots.length * 2)
    return id
  }

  #write(id: number, text: Uint8Array): void {
    if (this.#pageUsed + text.length > pageBytes) {
      const isFirst = this.#pages.length === 0
      this.#pages.push(sharedPage(isFirst ? smallPageBytes : Math.max(pageBytes, text.length)))
      this.#pageUsed = 0
    }
    growLastPage(this.#pages, this.#pageUsed + text.length, pageBytes, sharedPage)
    this.#pages.at(-1)!.set(text, this.#pageUsed)
    this.#place[id] = (this.#pages.length - 1) * pageBytes + this.#pageUsed
    this.#pageUsed += text.length
  }

  #growColumns(): void {
    const size = this.#length.length * 2
    this.#place = grown(this.#place, new Float64Array(size))
    this.#length = grown(this.#length, new Uint32Array(size))
    this.#hash = grown(this.#hash, new Uint32Array(size))
    this.#uses = grown(this.#uses, new Uint32Array(size))
  }

  #rehash(size: number): void {
    const slots = new Uint32Array(size)
    const mask = slots.length - 1
    for (let id = 0; id < this.count; id++) {
      if (this.#uses[id] === 0) continue
      let slot = this.#hash[id]! & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = id + 1
    }
    this.#slots = slots
  }

  /** One use less. Follow the last of several with `compact`. */
  release(id: number): void {
    if (--this.#uses[id]! > 0) return
    this.#deadBytes += this.#length[id]!
    this.#liveBytes -= this.#length[id]!
    this.#texts[id] = undefined
    this.#deadSlots = true
    this.#free.push(id)
  }

  /** Makes released numbers free for other texts, and gives back the memory of texts when most of it is unused. */
  compact(): void {
    if (this.#deadSlots) this.#rehash(this.#slots.length)
    this.#deadSlots = false
    if (this.#deadBytes < pageBytes || this.#deadBytes < this.#liveBytes) return
    const old = this.#pages
    this.#pages = []
    this.#pageUsed = pageBytes
    for (let id = 0; id < this.count; id++) {
      if (this.#uses[id] === 0) continue
      const place = this.#place[id]!
      const offset = place % pageBytes
      this.#write(id, old[Math.floor(place / pageBytes)]!.subarray(offset, offset + this.#length[id]!))
    }
    this.#deadBytes = 0
  }

  /** A view of the text's bytes. */
  bytes(id: number): Uint8Array {
    const place = this.#place[id]!
    const offset = place % pageBytes
    return this.#pages[Math.floor(place / pageBytes)]!.subarray(offset, offset + this.#length[id]!)
  }

  text(id: number): string {
    return (this.#texts[id] ??= decodeUtf8(this.bytes(id), 0, this.#length[id]!) ?? '')
  }
}

/** Four bytes a step, murmur3-like, seeded so that nobody can aim at one slot. */
export function hashBytes(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let h = seed ^ (to - from)
  let i = from
  for (; i + 4 <= to; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    k = Math.imul(k, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (; i < to; i++) tail = (tail << 8) | bytes[i]!
  h ^= Math.imul(tail, 0xcc9e2d51)
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
