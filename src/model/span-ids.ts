/** Ids of spans, numbered as they come, and found again by their bytes. */
export class SpanIds {
  #ids: Uint8Array[] = []
  #hashes = new Int32Array(64)
  /** Open addressing: 0 is empty, else an id's number and one. */
  #slots = new Int32Array(128)

  get count(): number {
    return this.#ids.length
  }

  /** The number of an id, which is added when it is new. */
  add(id: Uint8Array): number {
    const hash = hashOf(id)
    const slot = this.#slotOf(id, hash)
    const found = this.#slots[slot]! - 1
    if (found >= 0) return found
    const number = this.#ids.push(id) - 1
    this.#hashes[number] = hash
    this.#slots[slot] = number + 1
    if (number + 1 === this.#hashes.length) this.#grow()
    return number
  }

  /** The number of an id; -1: it is not there. */
  find(id: Uint8Array): number {
    return this.#slots[this.#slotOf(id, hashOf(id))]! - 1
  }

  /** Where it is, or where it would be. */
  #slotOf(id: Uint8Array, hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    for (;;) {
      const number = slots[slot]! - 1
      if (number < 0 || (this.#hashes[number] === hash && isSame(this.#ids[number]!, id))) return slot
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const size = this.#hashes.length * 2
    const mask = size * 2 - 1
    const hashes = new Int32Array(size)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    this.#slots = new Int32Array(size * 2)
    for (let number = 0; number < this.#ids.length; number++) {
      let slot = hashes[number]! & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = number + 1
    }
  }

  /** Empty again; its room stays. */
  reset(): void {
    if (this.#ids.length === 0) return
    this.#ids = []
    this.#slots.fill(0)
  }
}

function hashOf(id: Uint8Array): number {
  let hash = 0x811c9dc5 ^ id.length
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id[i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
