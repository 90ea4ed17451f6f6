/** A cache that keeps what was used last, up to a number of bytes. */

/** An entry that is larger than all of the cache is not kept. */
export class ByteLru<V> {
  readonly #bytesMax: number
  readonly #entries = new Map<string, { value: V; bytes: number }>()
  bytes = 0
  hits = 0
  misses = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  clear(): void {
    this.#entries.clear()
    this.bytes = 0
  }

  /** Lets go of what was not used for longest until so many bytes are free, or all is. Returns how many became free. */
  release(bytes: number): number {
    const before = this.bytes
    for (const [oldest, entry] of this.#entries) {
      if (before - this.bytes >= bytes) break
      this.#entries.delete(oldest)
      this.bytes -= entry.bytes
    }
    return before - this.bytes
  }

  delete(key: string): void {
    this.bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }

  set(key: string, value: V, bytes: number): void {
    const old = this.#entries.get(key)
    if (old !== undefined) {
      this.bytes -= old.bytes
      this.#entries.delete(key)
    }
    if (bytes > this.#bytesMax) return
    this.#entries.set(key, { value, bytes })
    this.bytes += bytes
    for (const [oldest, entry] of this.#entries) {
      if (this.bytes <= this.#bytesMax) break
      this.#entries.delete(oldest)
      this.bytes -= entry.bytes
    }
  }
}
