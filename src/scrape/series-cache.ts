/**
 * The series of one target, by a hash of their text in its exposition: the keys that storage knows them by, and in
 * which scrape they were seen last. Columns of numbers and one stretch of bytes: an agent holds a hundred thousand of
 * them in little memory.
 */
import { KeyWriter } from '#model/write-batch.ts'
import type { Labels } from '#model/labels.ts'

/** Numbers that grow. */
function grown(old: Uint32Array, size: number): Uint32Array<ArrayBuffer> {
  const fresh = new Uint32Array(size)
  fresh.set(old.subarray(0, Math.min(old.length, size)))
  return fresh
}

/** Finds a series by two hashes; series have small numbers, which a sweep gives again. */
export class SeriesCache {
  /** Open addressing: 0 is empty, else the series' number and one. A power of two long. */
  #slots = new Uint32Array(16)
  #hashA = new Uint32Array(8)
  #hashB = new Uint32Array(8)
  #from = new Uint32Array(8)
  /** 0: relabelling drops the series. */
  #to = new Uint32Array(8)
  /** Number of the scrape that had it last. 0: never. */
  #seen = new Uint32Array(8)
  /** And the one before that. */
  #before = new Uint32Array(8)
  #keys = new KeyWriter(256)
  #count = 0
  /** Series that the last scrape did not have. */
  #idle = 0

  get size(): number {
    return this.#count
  }

  /** -1: not known. */
  find(hashA: number, hashB: number): number {
    const mask = this.#slots.length - 1
    for (let slot = hashA & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1
      if (number < 0) return -1
      if (this.#hashA[number] === hashA && this.#hashB[number] === hashB) return number
    }
  }

  /** `labels` undefined: relabelling drops the series. */
  add(hashA: number, hashB: number, labels: Labels | undefined): number {
    const from = labels === undefined ? 0 : this.#keys.writeLabels(labels)
    return this.#put(hashA, hashB, from, labels === undefined ? 0 : this.#keys.at)
  }

  #put(hashA: number, hashB: number, from: number, to: number): number {
    const number = this.#count++
    if (number === this.#from.length) {
      const size = number * 2
      this.#hashA = grown(this.#hashA, size)
      this.#hashB = grown(this.#hashB, size)
      this.#from = grown(this.#from, size)
      this.#to = grown(this.#to, size)
      this.#seen = grown(this.#seen, size)
      this.#before = grown(this.#before, size)
    }
    this.#hashA[number] = hashA
    this.#hashB[number] = hashB
    this.#from[number] = from
    this.#to[number] = to
    this.#seen[number] = 0
    this.#before[number] = 0
    if (this.#count * 2 > this.#slots.length) {
      this.#slots = new Uint32Array(this.#slots.length * 2)
      for (let i = 0; i < number; i++) this.#link(i)
    }
    this.#link(number)
    return number
  }

  #link(number: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hashA[number]! & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = number + 1
  }

  isDropped(number: number): boolean {
    return this.#to[number] === 0
  }
  key(number: number): { bytes: Uint8Array; from: number; to: number } {
    return { bytes: this.#keys.bytes, from: this.#from[number]!, to: this.#to[number]! }
  }

  see(number: number, scrape: number): void {
    if (this.#seen[number] === scrape) return
    this.#before[number] = this.#seen[number]!
    this.#seen[number] = scrape
  }

  /** Series that were in scrape `good` and are not in `now`; `now` 0: a scrape that failed, maybe half-way, or none. */
  vanished(good: number, now: number): number[] {
    const gone: number[] = []
    this.#idle = 0
    for (let i = 0; i < this.#count; i++) {
      if (this.#seen[i] !== now) this.#idle++
      if (this.#to[i] === 0 || good === 0 || good === now) continue
      if (this.#seen[i] === good || (now === 0 && this.#before[i] === good)) gone.push(i)
    }
    return gone
  }

  /** Forgets what was not in scrape `now`, when that is much; gives back room that nothing needs. */
  sweep(now: number): void {
    if (this.#idle < 500 || this.#idle * 2 < this.#count) {
      if (this.#keys.bytes.length > this.#keys.at * 1.25 + 1024) this.#keys.trim()
      return
    }
    const { hashA, hashB, from, to, seen, keys, count } = {
      hashA: this.#hashA,
      hashB: this.#hashB,
      from: this.#from,
      to: this.#to,
      seen: this.#seen,
      keys: this.#keys,
      count: this.#count,
    }
    this.#keys = new KeyWriter(256)
    this.#count = 0
    this.#slots = new Uint32Array(16)
    this.#hashA = new Uint32Array(8)
    this.#hashB = new Uint32Array(8)
    this.#from = new Uint32Array(8)
    this.#to = new Uint32Array(8)
    this.#seen = new Uint32Array(8)
    this.#before = new Uint32Array(8)
    for (let old = 0; old < count; old++) {
      if (seen[old] !== now) continue
      const at = to[old] === 0 ? 0 : this.#keys.writeKey(keys.bytes, from[old]!, to[old]!)
      const number = this.#put(hashA[old]!, hashB[old]!, at, to[old] === 0 ? 0 : this.#keys.at)
      // After `#put`, which may have made larger columns.
      this.#seen[number] = now
    }
  }
}
