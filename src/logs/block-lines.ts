/**
 * The lines of one decompressed block as columns. A block's bytes are kept as they are; lines and metadata are ranges
 * of them.
 */
import { decodeLines, kernelBytesMax, lineColumns } from '#codec/block-lines.ts'
import { RecentTimes, TimeCursor } from '#codec/log-time.ts'
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
