/**
 * Many small byte areas in few large pages: size classes 32 B, 64 B ... 16 KiB, a free list for each. A place is the
 * area's offset in units of 32 bytes. Areas come zeroed.
 */
import { assert } from '#core/assert.ts'
import { growLastPage, smallPageBytes } from '#core/grown.ts'

const unitBytes = 32
const pageBytes = 1 << 20
const placesPerPageLog2 = 15
const classCount = 10

export class Arena {
  readonly #pages: Uint8Array[] = []
  #used = pageBytes
  readonly #free: number[][] = Array.from({ length: classCount }, () => [])

  /** Bytes of an area of that class. */
  size(sizeClass: number): number {
    return unitBytes << sizeClass
  }

  allocate(sizeClass: number): number {
    assert(sizeClass < classCount, `an area of class ${sizeClass} was asked for, there are ${classCount}`)
    const size = this.size(sizeClass)
    const reused = this.#free[sizeClass]!.pop()
    if (reused !== undefined) {
      const offset = this.offset(reused)
      this.page(reused).fill(0, offset, offset + size)
      return reused
    }
    if (this.#used + size > pageBytes) {
      this.#pages.push(new Uint8Array(this.#pages.length === 0 ? smallPageBytes : pageBytes))
      this.#used = 0
    }
    growLastPage(this.#pages, this.#used + size, pageBytes)
    const place = (this.#pages.length - 1) * (1 << placesPerPageLog2) + this.#used / unitBytes
    this.#used += size
    return place
  }

  free(place: number, sizeClass: number): void {
    this.#free[sizeClass]!.push(place)
  }
  page(place: number): Uint8Array {
    return this.#pages[place >>> placesPerPageLog2]!
  }
  offset(place: number): number {
    return (place & ((1 << placesPerPageLog2) - 1)) * unitBytes
  }
  view(place: number, length: number): Uint8Array {
    const offset = this.offset(place)
    return this.page(place).subarray(offset, offset + length)
  }

  get bytesHeld(): number {
    return this.#pages.length * pageBytes
  }
}
