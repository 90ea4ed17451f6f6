/**
 * Which texts the lines of a block can contain: a bitmap of hashes of six bytes in a row; those of a searched text must
 * all be there. A chunk has it until it is in the bucket, where it becomes a part of a table (table.ts); older versions
 * left it beside the chunk. Form: docs/formats/log-token-filter.md.
 *
 *   "TCTF" · u8 version 3 · u8 16 · u16 blocks · u8 log2 of the bits of each bitmap · bitmaps · rest · u32 CRC-32C
 *
 * Numbers are big endian. The checksum is of all that stands before it: a bit that is lost would hide lines. The rest
 * is columns (line-columns.ts) on its way into a table, and not read otherwise. Version 2 had bitmaps of 2^16 bits, a
 * quarter of the hashes in them, and no rest. Version 1 had no checksum, and is not used; nor is one that is not known.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { bitsLog2, gramBytes } from '#codec/gram-bitmap.ts'
import { crc32c } from '#codec/crc32c.ts'
import { CorruptDataError } from '#core/errors.ts'
import { ownFormats } from '#core/own-formats.ts'

const magic = 0x54435446
const { written, oldest, newest } = ownFormats['token-filter']
const checksumBytes = 4

/** Hashes of the text's grams: what `TokenFilter.mayContain` looks for. Empty when nothing can be said. */
export function gramsOf(needle: Uint8Array): Uint32Array {
  const count = Math.max(0, needle.length - gramBytes + 1)
  const grams = new Uint32Array(count)
  for (let at = 0; at < count; at++) {
    const a = needle[at]! | (needle[at + 1]! << 8) | (needle[at + 2]! << 16)
    const b = needle[at + 3]! | (needle[at + 4]! << 8) | (needle[at + 5]! << 16)
    const h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77)
    grams[at] = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  }
  return grams
}

/** A bitmap is halved while no more than this part of its bits would be set, down to the least size. */
const densityMax = 0.55
export const leastLog2 = 9

/** By byte: its bits in pairs, as four bits, and how many of these are set. */
const halves = new Uint8Array(256)
const halfCounts = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++)
  for (let pair = 0; pair < 4; pair++)
    if (((byte >>> (pair * 2)) & 3) !== 0) {
      halves[byte]! |= 1 << pair
      halfCounts[byte]!++
    }

/** The bitmap of a block with few grams in fewer bits: two neighbours become one, again and again. */
export function foldBitmap(bitmap: Uint8Array): Uint8Array {
  let folded = bitmap
  while (folded.length > (1 << leastLog2) / 8) {
    let set = 0
    for (const byte of folded) set += halfCounts[byte]!
    if (set > folded.length * 4 * densityMax) break
    const half = new Uint8Array(folded.length / 2)
    for (let i = 0; i < half.length; i++) half[i] = halves[folded[i * 2]!]! | (halves[folded[i * 2 + 1]!]! << 4)
    folded = half
  }
  return folded
}

/** `bitmaps`: one for each block, folded. `rest`: columns of the same blocks; none where it has no bytes. */
export function encodeFilter(bitmaps: readonly Uint8Array[], rest: Uint8Array): Uint8Array {
  const out = new ByteWriter(bitmaps.reduce((sum, { length }) => sum + length + 1, rest.length + 32))
  out.writeU32(magic)
  out.writeU8(written)
  out.writeU8(bitsLog2)
  out.writeU16(bitmaps.length)
  for (const { length } of bitmaps) out.writeU8(Math.log2(length * 8))
  for (const bitmap of bitmaps) out.writeBytes(bitmap)
  out.writeBytes(rest)
  out.writeU32(crc32c(out.buffer, 0, out.at))
  return out.copy()
}

/** A chunk's bitmaps, one for each of its blocks. */
export class TokenFilter {
  readonly #bytes: Uint8Array
  readonly blocks: number
  readonly version: number
  /** By block: where its bitmap is, and the log2 of its bits. */
  readonly #bitmapAt: Uint32Array
  readonly #bitLogs: Uint8Array
  readonly #restAt: number

  /** Throws CorruptDataError. */
  constructor(bytes: Uint8Array) {
    const input = new ByteReader(bytes, 0, Math.max(0, bytes.length - checksumBytes))
    if (input.readU32() !== magic) throw new CorruptDataError('token filter: not a filter')
    this.version = input.readU8()
    if (this.version < oldest || this.version > newest)
      throw new CorruptDataError(`token filter: version ${this.version}, and ${oldest} to ${newest} are read`)
    if (input.readU8() !== bitsLog2) throw new CorruptDataError('token filter: bitmaps of another size')
    this.blocks = input.readU16()
    this.#bitLogs = this.version === 2 ? new Uint8Array(this.blocks).fill(bitsLog2) : input.readBytes(this.blocks)
    this.#bitmapAt = new Uint32Array(this.blocks)
    for (let block = 0; block < this.blocks; block++) {
      const log2 = this.#bitLogs[block]!
      if (log2 < leastLog2 || log2 > bitsLog2) throw new CorruptDataError(`token filter: a bitmap of 2^${log2} bits`)
      this.#bitmapAt[block] = input.at
      input.skip((1 << log2) / 8)
    }
    this.#restAt = input.at
    if (this.version === 2 && input.at < input.end)
      throw new CorruptDataError(`token filter: ${bytes.length} bytes for ${this.blocks} blocks`)
    if (crc32c(bytes, 0, input.end) !== new ByteReader(bytes, input.end).readU32())
      throw new CorruptDataError('token filter: wrong checksum')
    this.#bytes = bytes
  }

  /** What stands behind the bitmaps. */
  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#restAt, this.#bytes.length - checksumBytes)
  }

  bitmap(block: number): Uint8Array {
    const from = this.#bitmapAt[block]!
    return this.#bytes.subarray(from, from + (1 << this.#bitLogs[block]!) / 8)
  }

  get heldBytes(): number {
    return this.#bytes.length + this.blocks * 5
  }

  /** False: no line of the block contains the text that has these grams. */
  mayContain(block: number, grams: Uint32Array): boolean {
    const from = this.#bitmapAt[block]!
    const shift = 32 - this.#bitLogs[block]!
    const isQuarter = this.version === 2
    for (let i = 0; i < grams.length; i++) {
      const gram = grams[i]!
      if (isQuarter && (gram & 3) !== 0) continue
      const bit = gram >>> shift
      if ((this.#bytes[from + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}
