/**
 * The lines of one decompressed block as columns. A block's bytes are kept as they are; lines and metadata are ranges
 * of them.
 */
import { TimeCursor } from '#codec/log-time.ts'
import { CorruptDataError } from '#core/errors.ts'

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
    let value = 0,
      scale = 1
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

  /** `entries`: how many there are, by the block's meta. `hasPairs`: format 4. */
  constructor(bytes: Uint8Array, entries: number, hasPairs: boolean) {
    if (entries > bytes.length) throw new CorruptDataError(`log block: ${entries} entries in ${bytes.length} bytes`)
    this.bytes = bytes
    const timesMs = (this.timesMs = new Float64Array(entries))
    const subNs = (this.subNs = new Uint32Array(entries))
    const lineFrom = (this.lineFrom = new Uint32Array(entries))
    const lineTo = (this.lineTo = new Uint32Array(entries))
    const pairsFrom = (this.pairsFrom = new Uint32Array(entries))
    const pairsTo = (this.pairsTo = new Uint32Array(entries))
    const time = new TimeCursor()
    const end = bytes.length
    let at = 0
    let i = 0
    /** Times of now have nine bytes, of which the last five change only every 134 ms: what they stand for is kept. */
    let lastHigh = -1,
      baseMs = 0,
      baseNs = 0
    for (; i < entries && at < end; i++) {
      if (
        at + 9 <= end &&
        (bytes[at]! &
          bytes[at + 1]! &
          bytes[at + 2]! &
          bytes[at + 3]! &
          bytes[at + 4]! &
          bytes[at + 5]! &
          bytes[at + 6]! &
          bytes[at + 7]! &
          128) !==
          0 &&
        bytes[at + 8]! < 128 &&
        (bytes[at]! & 1) === 0
      ) {
        const low =
          (bytes[at]! & 127) |
          ((bytes[at + 1]! & 127) << 7) |
          ((bytes[at + 2]! & 127) << 14) |
          ((bytes[at + 3]! & 127) << 21)
        const high =
          ((bytes[at + 4]! & 127) |
            ((bytes[at + 5]! & 127) << 7) |
            ((bytes[at + 6]! & 127) << 14) |
            ((bytes[at + 7]! & 127) << 21)) +
          bytes[at + 8]! * 268435456
        if (high !== lastHigh) {
          lastHigh = high
          // high · 2^27 nanoseconds; 15625 · 2^27 of them are 2^21 milliseconds.
          const q = Math.floor(high / 15625)
          const rest = (high - q * 15625) * 134217728
          const ms = Math.floor(rest / 1e6)
          baseMs = q * 2097152 + ms
          baseNs = rest - ms * 1e6
        }
        const ns = baseNs + (low >>> 1)
        const ms = (ns / 1e6) | 0
        timesMs[i] = baseMs + ms
        subNs[i] = ns - ms * 1e6
        at += 9
      } else {
        at = time.read(bytes, at, end)
        timesMs[i] = time.ms
        subNs[i] = time.subNs
      }
      let length = 0,
        scale = 1,
        byte = 128
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
    if (i < entries) throw new CorruptDataError(`log block: ${entries} entries announced, ${i} there`)
    this.count = entries
  }

  get heldBytes(): number {
    return this.bytes.length + this.count * 28
  }
}
