/**
 * Labels as remote write spells them, each held once however many series of however many targets have it: a hundred
 * thousand series have some thousand different labels. Columns and one stretch of bytes; a label that no series has any
 * more is forgotten.
 */
import { grown } from '#core/grown.ts'
import { KeyWriter } from '#model/write-batch.ts'

/** Bytes of forgotten labels that are not worth moving the others for. */
const garbageBytesMin = 65_536

/** Labels have small numbers, which are given again. */
export class LabelTable {
  #keys = new KeyWriter(1024)
  #from = new Uint32Array(64)
  #to = new Uint32Array(64)
  #hashes = new Int32Array(64)
  /** Series that have the label. */
  #uses = new Uint32Array(64)
  /** The next label of the same bucket, and the next free number: its number and one; 0: none. */
  #next = new Uint32Array(64)
  #buckets = new Uint32Array(64)
  #count = 0
  #free = 0
  #garbageBytes = 0
  /** Labels that a series has. */
  size = 0

  /** Bytes of all columns. */
  get heldBytes(): number {
    return this.#keys.bytes.length + this.#buckets.byteLength + this.#from.byteLength * 5
  }

  /** The number of a label, which counts one series more. */
  hold(source: Uint8Array, from: number, to: number): number {
    let hash = 0x811c9dc5 ^ (to - from)
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193)
    hash ^= hash >>> 15
    for (let at = this.#buckets[hash & (this.#buckets.length - 1)]!; at !== 0; at = this.#next[at - 1]!)
      if (this.#hashes[at - 1] === hash && this.#isSame(at - 1, source, from, to)) {
        this.#uses[at - 1]!++
        return at - 1
      }
    return this.#add(hash, source, from, to)
  }

  #isSame(label: number, source: Uint8Array, from: number, to: number): boolean {
    let at = this.#from[label]!
    if (this.#to[label]! - at !== to - from) return false
    const { bytes } = this.#keys
    for (let i = from; i < to; i++, at++) if (bytes[at] !== source[i]) return false
    return true
  }

  #add(hash: number, source: Uint8Array, from: number, to: number): number {
    const label = this.#number()
    this.#from[label] = this.#keys.writeKey(source, from, to)
    this.#to[label] = this.#keys.at
    this.#hashes[label] = hash
    this.#uses[label] = 1
    if (++this.size > this.#buckets.length) this.#rehash(label)
    this.#link(label)
    return label
  }

  /** A number that no label has. */
  #number(): number {
    if (this.#free !== 0) {
      const label = this.#free - 1
      this.#free = this.#next[label]!
      return label
    }
    if (this.#count === this.#from.length) this.#grow()
    return this.#count++
  }

  #grow(): void {
    const size = this.#count * 2
    this.#from = grown(this.#from, new Uint32Array(size))
    this.#to = grown(this.#to, new Uint32Array(size))
    this.#hashes = grown(this.#hashes, new Int32Array(size))
    this.#uses = grown(this.#uses, new Uint32Array(size))
    this.#next = grown(this.#next, new Uint32Array(size))
  }

  #link(label: number): void {
    const bucket = this.#hashes[label]! & (this.#buckets.length - 1)
    this.#next[label] = this.#buckets[bucket]!
    this.#buckets[bucket] = label + 1
  }

  /** Twice as many buckets, for all labels but `fresh`, which is not linked yet. */
  #rehash(fresh: number): void {
    this.#buckets = new Uint32Array(this.#buckets.length * 2)
    for (let label = 0; label < this.#count; label++) if (label !== fresh && this.#uses[label]! > 0) this.#link(label)
  }

  /** One series less has the label. */
  release(label: number): void {
    if (--this.#uses[label]! > 0) return
    const bucket = this.#hashes[label]! & (this.#buckets.length - 1)
    if (this.#buckets[bucket] === label + 1) this.#buckets[bucket] = this.#next[label]!
    else {
      let at = this.#buckets[bucket]! - 1
      while (this.#next[at] !== label + 1) at = this.#next[at]! - 1
      this.#next[at] = this.#next[label]!
    }
    this.size--
    this.#garbageBytes += this.#to[label]! - this.#from[label]!
    this.#next[label] = this.#free
    this.#free = label + 1
    if (this.#garbageBytes > garbageBytesMin && this.#garbageBytes * 2 > this.#keys.at) this.#compact()
  }

  /** Gives back the bytes of labels that are forgotten. */
  #compact(): void {
    const old = this.#keys.bytes
    this.#keys = new KeyWriter(this.#keys.at - this.#garbageBytes + 1024)
    this.#garbageBytes = 0
    for (let label = 0; label < this.#count; label++) {
      if (this.#uses[label] === 0) continue
      this.#from[label] = this.#keys.writeKey(old, this.#from[label]!, this.#to[label]!)
      this.#to[label] = this.#keys.at
    }
  }

  /** Writes the label behind what `keys` has. */
  write(label: number, keys: KeyWriter): void {
    keys.writeKey(this.#keys.bytes, this.#from[label]!, this.#to[label]!)
  }
}
