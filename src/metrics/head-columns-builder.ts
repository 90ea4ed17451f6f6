/** Makes the columns of head-columns.ts, on the side that has the head. */
import { grown } from '#core/grown.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import type { CarriedHistograms, HeadColumns } from './head-columns.ts'

/** A column that grows. */
class Numbers {
  #values = new Uint32Array(1024)
  length = 0

  push(value: number): void {
    if (this.length === this.#values.length)
      this.#values = grown(this.#values, new Uint32Array(this.#values.length * 2))
    this.#values[this.length++] = value
  }

  pushAll(values: Uint32Array): void {
    const needed = this.length + values.length
    if (needed > this.#values.length)
      this.#values = grown(this.#values, new Uint32Array(Math.max(needed, this.#values.length * 2)))
    this.#values.set(values, this.length)
    this.length = needed
  }

  finish(): Uint32Array<ArrayBuffer> {
    return this.#values.slice(0, this.length)
  }
}

/** Numbers of pages, each given once. */
class PageNumbers {
  readonly pages: Uint8Array[]
  readonly #numbers = new Map<ArrayBufferLike, number>()

  constructor(pages: Uint8Array[]) {
    this.pages = pages
  }

  of(view: Uint8Array): number {
    const { buffer } = view
    let number = this.#numbers.get(buffer)
    if (number === undefined) {
      this.#numbers.set(buffer, (number = this.pages.length))
      this.pages.push(new Uint8Array(buffer))
    }
    return number
  }
}

/** Fills the columns of a selection, a series at a time. */
export class HeadColumnsBuilder {
  readonly #hasTimes: boolean
  readonly #chunkMinMs: number[] = []
  readonly #chunkMaxMs: number[] = []
  #count = 0
  readonly #pairsFrom = new Numbers()
  readonly #pairs = new Numbers()
  /** By pair of the head: its number here + 1. */
  #numberOf = new Uint32Array(1024)
  #pairCount = 0
  readonly #textPage = new Numbers()
  readonly #textAt = new Numbers()
  readonly #textLength = new Numbers()
  readonly #textPages = new PageNumbers([])
  readonly #chunksFrom = new Numbers()
  readonly #chunkPage = new Numbers()
  readonly #chunkAt = new Numbers()
  readonly #chunkLength = new Numbers()
  #copies = new Uint8Array(4096)
  #copied = 0
  /** The first place is for the copies. */
  readonly #chunkPages = new PageNumbers([new Uint8Array(0)])
  readonly #lateFrom = new Numbers()
  readonly #lateWords = new Numbers()
  readonly #lateMs: number[] = []
  readonly #histograms = new Map<number, CarriedHistograms[]>()

  /** `hasTimes`: the times of chunks are kept, for a block. */
  constructor(hasTimes = false) {
    this.#hasTimes = hasTimes
  }

  /** Opens the next series; what it has follows. */
  beginSeries(): void {
    this.#count++
    this.#pairsFrom.push(this.#pairs.length)
    this.#chunksFrom.push(this.#chunkPage.length)
    this.#lateFrom.push(this.#lateMs.length)
  }

  /** The label pair with the head's number `pair`; `name` and `value` are asked for once for each pair. */
  addPair(pair: number, name: () => Uint8Array, value: () => Uint8Array): void {
    if (pair >= this.#numberOf.length)
      this.#numberOf = grown(this.#numberOf, new Uint32Array(Math.max(pair + 1, this.#numberOf.length * 2)))
    let number = this.#numberOf[pair]!
    if (number === 0) {
      this.#numberOf[pair] = number = ++this.#pairCount
      this.#addText(name())
      this.#addText(value())
    }
    this.#pairs.push(number - 1)
  }

  /** The head's numbers of pairs may stand for others now. */
  forgetPairs(): void {
    this.#numberOf.fill(0)
  }

  #addText(text: Uint8Array): void {
    this.#textPage.push(this.#textPages.of(text))
    this.#textAt.push(text.byteOffset)
    this.#textLength.push(text.length)
  }

  /** A chunk in shared memory, which does not change any more, and its first and last time. */
  addShared(chunk: Uint8Array, minMs: number, maxMs: number): void {
    if (this.#hasTimes) {
      this.#chunkMinMs.push(minMs)
      this.#chunkMaxMs.push(maxMs)
    }
    this.#addChunk(this.#chunkPages.of(chunk), chunk.byteOffset, chunk.length)
  }

  /** A chunk that may grow: it is copied. */
  addCopy(chunk: Uint8Array): void {
    const needed = this.#copied + chunk.length
    if (needed > this.#copies.length)
      this.#copies = grown(this.#copies, new Uint8Array(Math.max(needed, this.#copies.length * 2)))
    this.#copies.set(chunk, this.#copied)
    this.#addChunk(0, this.#copied, chunk.length)
    this.#copied = needed
  }

  #addChunk(page: number, at: number, length: number): void {
    this.#chunkPage.push(page)
    this.#chunkAt.push(at)
    this.#chunkLength.push(length)
  }

  addLate(timeMs: number, hi: number, lo: number): void {
    this.#lateMs.push(timeMs)
    this.#lateWords.push(lo)
    this.#lateWords.push(hi)
  }

  addHistograms(timesMs: readonly number[], histograms: readonly FloatHistogram[]): void {
    const series = this.#count - 1
    const carried = { timesMs: timesMs.slice(), histograms: histograms.slice() }
    const known = this.#histograms.get(series)
    if (known === undefined) this.#histograms.set(series, [carried])
    else known.push(carried)
  }

  /** Bytes of the columns so far. */
  get bytes(): number {
    const numbers = this.#pairs.length + this.#chunkPage.length * 3 + this.#count * 3 + this.#pairCount * 6
    return numbers * 4 + this.#copied + this.#lateMs.length * 16
  }

  /** The columns, and the memory that may go over with them. */
  finish(): { columns: HeadColumns; transfer: ArrayBuffer[] } {
    this.#pairsFrom.push(this.#pairs.length)
    this.#chunksFrom.push(this.#chunkPage.length)
    this.#lateFrom.push(this.#lateMs.length)
    const copies = this.#copies.slice(0, this.#copied)
    const owned = {
      pairsFrom: this.#pairsFrom.finish(),
      pairs: this.#pairs.finish(),
      textPage: this.#textPage.finish(),
      textAt: this.#textAt.finish(),
      textLength: this.#textLength.finish(),
      chunksFrom: this.#chunksFrom.finish(),
      chunkPage: this.#chunkPage.finish(),
      chunkAt: this.#chunkAt.finish(),
      chunkLength: this.#chunkLength.finish(),
      lateFrom: this.#lateFrom.finish(),
      chunkMinMs: Float64Array.from(this.#chunkMinMs),
      chunkMaxMs: Float64Array.from(this.#chunkMaxMs),
      lateMs: Float64Array.from(this.#lateMs),
      lateWords: this.#lateWords.finish(),
    }
    const columns: HeadColumns = {
      ...owned,
      count: this.#count,
      textPages: this.#textPages.pages,
      chunkPages: [copies, ...this.#chunkPages.pages.slice(1)],
      histograms: this.#histograms,
    }
    return { columns, transfer: [...Object.values(owned).map(column => column.buffer), copies.buffer] }
  }
}
