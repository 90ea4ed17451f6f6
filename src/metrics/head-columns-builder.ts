/** Makes the columns of head-columns.ts, on the side that has the head. */
import { grown } from '#core/grown.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import type { CarriedHistograms, HeadColumns } from './head-columns.ts'

/** How long a column is to be that holds so many items now. */
type RoomFor = (needed: number) => number

const smallest = 1024

/** A column that grows. */
class Column<Values extends Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>> {
  #values: Values
  readonly #make: (length: number) => Values
  readonly #roomFor: RoomFor
  length = 0

  constructor(make: (length: number) => Values, roomFor: RoomFor) {
    this.#make = make
    this.#values = make(smallest)
    this.#roomFor = roomFor
  }

  push(value: number): void {
    if (this.length === this.#values.length) this.#grow(this.length + 1)
    this.#values[this.length++] = value
  }

  pushAll(values: ArrayLike<number>): void {
    const needed = this.length + values.length
    if (needed > this.#values.length) this.#grow(needed)
    this.#values.set(values, this.length)
    this.length = needed
  }

  #grow(needed: number): void {
    const known: { set(source: ArrayLike<number>): void } = this.#make(this.#roomFor(needed))
    known.set(this.#values)
    // It is what `make` made.
    this.#values = known as Values
  }

  /** With little room left, in the memory of the column itself. */
  finish(): Values {
    const isFull = this.length * 8 >= this.#values.length * 7
    // Of the same kind.
    return (isFull ? this.#values.subarray(0, this.length) : this.#values.slice(0, this.length)) as Values
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

/** From so many on what comes is like what came. */
const tellingSeries = 1000

/**
 * How long a column is to be that holds `needed` items with the series of so many that came: twice as long; or, where
 * these tell how long it will be when all that are expected have come, so long and a little more.
 */
export function roomFor(needed: number, series: number, seriesExpected: number): number {
  const twice = Math.max(needed * 2, smallest)
  // Where nobody knows how many will come, a little more each time would be a copy each time.
  if (series < tellingSeries || series >= seriesExpected) return twice
  return Math.max(needed, Math.min(twice, Math.ceil((needed / series) * seriesExpected * 1.04)), smallest)
}

/** Fills the columns of a selection, a series at a time. */
export class HeadColumnsBuilder {
  readonly #hasTimes: boolean
  readonly #seriesExpected: number
  readonly #roomFor: RoomFor = needed => roomFor(needed, this.#count, this.#seriesExpected)
  readonly #chunkMinMs = this.#times()
  readonly #chunkMaxMs = this.#times()
  #count = 0
  readonly #pairsFrom = this.#numbers()
  readonly #pairs = this.#numbers()
  /** By pair of the head: its number here + 1. */
  #numberOf = new Uint32Array(1024)
  #pairCount = 0
  readonly #textPage = this.#numbers()
  readonly #textAt = this.#numbers()
  readonly #textLength = this.#numbers()
  readonly #textPages = new PageNumbers([])
  readonly #chunksFrom = this.#numbers()
  readonly #chunkPage = this.#numbers()
  readonly #chunkAt = this.#numbers()
  readonly #chunkLength = this.#numbers()
  readonly #copies = new Column(length => new Uint8Array(length), this.#roomFor)
  /** The first place is for the copies. */
  readonly #chunkPages = new PageNumbers([new Uint8Array(0)])
  readonly #lateFrom = this.#numbers()
  readonly #lateWords = this.#numbers()
  readonly #lateMs = this.#times()
  readonly #histograms = new Map<number, CarriedHistograms[]>()

  /** `hasTimes`: the times of chunks are kept, for a block. `seriesExpected`: how many series there will be. */
  constructor(hasTimes = false, seriesExpected = 0) {
    this.#hasTimes = hasTimes
    this.#seriesExpected = seriesExpected
  }

  #numbers(): Column<Uint32Array<ArrayBuffer>> {
    return new Column(length => new Uint32Array(length), this.#roomFor)
  }
  #times(): Column<Float64Array<ArrayBuffer>> {
    return new Column(length => new Float64Array(length), this.#roomFor)
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
    this.#addChunk(0, this.#copies.length, chunk.length)
    this.#copies.pushAll(chunk)
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
    return numbers * 4 + this.#copies.length + this.#lateMs.length * 16
  }

  /** The columns, and the memory that may go over with them. */
  finish(): { columns: HeadColumns; transfer: ArrayBuffer[] } {
    this.#pairsFrom.push(this.#pairs.length)
    this.#chunksFrom.push(this.#chunkPage.length)
    this.#lateFrom.push(this.#lateMs.length)
    const copies = this.#copies.finish()
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
      chunkMinMs: this.#chunkMinMs.finish(),
      chunkMaxMs: this.#chunkMaxMs.finish(),
      lateMs: this.#lateMs.finish(),
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
