/**
 * The lines of one decompressed block as columns. A block's bytes are kept as they are; lines and metadata are ranges
 * of them.
 */
import { decodeLines, kernelBytesMax, lineColumns } from '#codec/block-lines.ts'
import { TimeCursor } from '#codec/log-time.ts'
import { CorruptDataError } from '#core/errors.ts'
import { freeBytes } from '#core/freed-bytes.ts'

/** The lines of one block, as columns; in order of time, equal times as they came. Kept by a cache: read only. */
export interface Lines {
  readonly bytes: Uint8Array
  readonly count: number
  /** Whole milliseconds since the epoch, and nanoseconds within them. */
  readonly timesMs: Float64Array
  readonly subNs: Uint32Array
  /** Line i is bytes[lineFrom[i], lineTo[i]). */
  readonly lineFrom: Uint32Array
  readonly lineTo: Uint32Array
  /** Symbol pairs of line i are encoded at bytes[pairsFrom[i], pairsTo[i]). */
  readonly pairsFrom: Uint32Array
  readonly pairsTo: Uint32Array
}

/** Structured metadata of a line, names and values in turn, as they were sent. */
export function readPairs(lines: Lines, i: number, symbols: readonly string[]): string[] {
  const { bytes } = lines
  let at = lines.pairsFrom[i]!
  const end = lines.pairsTo[i]!
  if (at >= end) return []
  const next = (): number => {
    let value = 0
    let scale = 1
    while (at < end) {
      const byte = bytes[at++]!
      value += (byte & 127) * scale
      if (byte < 128) break
      scale *= 128
    }
    return value
  }
  const pairs: string[] = []
  for (let k = next() * 2; k > 0 && at < end; k--) pairs.push(symbols[next()] ?? '')
  return pairs
}

/** Times of these years: varints of nine bytes, of which the last five change every 134 ms: their meaning is kept. */
class RecentTimes {
  ms = 0
  subNs = 0
  #high = -1
  #baseMs = 0
  #baseNs = 0

  /** Reads the nine bytes at `at`; false when they are no such time. */
  read(bytes: Uint8Array, at: number): boolean {
    const b0 = bytes[at]!
    const b1 = bytes[at + 1]!
    const b2 = bytes[at + 2]!
    const b3 = bytes[at + 3]!
    const b4 = bytes[at + 4]!
    const b5 = bytes[at + 5]!
    const b6 = bytes[at + 6]!
    const b7 = bytes[at + 7]!
    const b8 = bytes[at + 8]!
    // Eight bytes that go on, one that ends; a positive number.
    if ((b0 & b1 & b2 & b3 & b4 & b5 & b6 & b7 & 128) === 0 || b8 >= 128 || (b0 & 1) !== 0) return false
    const low = (b0 & 127) | ((b1 & 127) << 7) | ((b2 & 127) << 14) | ((b3 & 127) << 21)
    const high = ((b4 & 127) | ((b5 & 127) << 7) | ((b6 & 127) << 14) | ((b7 & 127) << 21)) + b8 * 268435456
    if (high !== this.#high) this.#enter(high)
    const ns = this.#baseNs + (low >>> 1)
    const ms = (ns / 1e6) | 0
    this.ms = this.#baseMs + ms
    this.subNs = ns - ms * 1e6
    return true
  }

  #enter(high: number): void {
    this.#high = high
    // high · 2^27 nanoseconds; 15625 · 2^27 of them are 2^21 milliseconds.
    const q = Math.floor(high / 15625)
    const rest = (high - q * 15625) * 134217728
    const ms = Math.floor(rest / 1e6)
    this.#baseMs = q * 2097152 + ms
    this.#baseNs = rest - ms * 1e6
  }
}

export class BlockLines implements Lines {
  readonly bytes: Uint8Array
  readonly count: number
  /** Whole milliseconds, and nanoseconds within them. */
  readonly timesMs: Float64Array
  readonly subNs: Uint32Array
  readonly lineFrom: Uint32Array
  readonly lineTo: Uint32Array
  /**
   * Where an entry's symbol pairs begin (behind their byte length), and where they end; equal where the format has
   * none.
   */
  readonly pairsFrom: Uint32Array
  readonly pairsTo: Uint32Array

  /** `entries`: how many there are, by the block's meta. `hasPairs`: format 4. Throws CorruptDataError. */
  constructor(bytes: Uint8Array, entries: number, hasPairs: boolean) {
    if (entries > bytes.length) throw new CorruptDataError(`log block: ${entries} entries in ${bytes.length} bytes`)
    this.bytes = bytes
    this.count = entries
    const columns = bytes.length > kernelBytesMax ? lineColumns(entries) : decodeLines(bytes, entries, hasPairs)
    if (typeof columns === 'number')
      throw new CorruptDataError(`log block: ${entries} entries announced, ${columns} whole`)
    this.timesMs = columns.timesMs
    this.subNs = columns.subNs
    this.lineFrom = columns.lineFrom
    this.lineTo = columns.lineTo
    this.pairsFrom = columns.pairsFrom
    this.pairsTo = columns.pairsTo
    if (bytes.length > kernelBytesMax) this.#decode(hasPairs)
  }

  /** A block that is too large for the kernel. */
  #decode(hasPairs: boolean): void {
    const { bytes, count, timesMs, subNs, lineFrom, lineTo, pairsFrom, pairsTo } = this
    const recent = new RecentTimes()
    const time = new TimeCursor()
    const end = bytes.length
    let at = 0
    let i = 0
    for (; i < count && at < end; i++) {
      if (at + 9 <= end && recent.read(bytes, at)) {
        timesMs[i] = recent.ms
        subNs[i] = recent.subNs
        at += 9
      } else {
        at = time.read(bytes, at, end)
        timesMs[i] = time.ms
        subNs[i] = time.subNs
      }
      let length = 0
      let scale = 1
      let byte = 128
      while (at < end && scale < 4398046511104) {
        byte = bytes[at++]!
        length += (byte & 127) * scale
        if (byte < 128) break
        scale *= 128
      }
      if (byte >= 128 || length > end - at) throw new CorruptDataError(`log block: a line is cut off at ${at}`)
      lineFrom[i] = at
      at += length
      lineTo[i] = at
      if (hasPairs) {
        length = 0
        scale = 1
        byte = 128
        while (at < end && scale < 4398046511104) {
          byte = bytes[at++]!
          length += (byte & 127) * scale
          if (byte < 128) break
          scale *= 128
        }
        if (byte >= 128 || length > end - at) throw new CorruptDataError(`log block: metadata is cut off at ${at}`)
        pairsFrom[i] = at
        at += length
      } else pairsFrom[i] = at
      pairsTo[i] = at
    }
    if (i < count) throw new CorruptDataError(`log block: ${count} entries announced, ${i} there`)
  }

  /** Gives the memory back at once. Nobody may use the lines any more. */
  release(): void {
    freeBytes(this.bytes)
    // All columns lie in it.
    ;(this.timesMs.buffer as ArrayBuffer).transfer(0)
  }

  get heldBytes(): number {
    return this.bytes.length + this.count * 28
  }
}
