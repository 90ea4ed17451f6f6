/**
 * Which texts the lines of a block can contain: a bitmap of hashes of six bytes in a row. A quarter of them, chosen by
 * their own hash, is kept; so those of a searched text that are kept must all be there. It lies beside the chunk, made
 * of it, and can be made again. Form: docs/formats/log-token-filter.md.
 *
 *   "TCTF" · u8 version 2 · u8 log2 of the bits of a block's bitmap · u16 blocks · the bitmaps · u32 CRC-32C
 *
 * Numbers are big endian. The checksum is of all that stands before it: a bit that is lost would hide lines. Version 1
 * had none, and is not used; nor is one of a version that is not known.
 */
import { bitmapBytes, bitsLog2, gramBytes } from '#codec/gram-bitmap.ts'
import { crc32c } from '#codec/crc32c.ts'
import { CorruptDataError } from '#core/errors.ts'
import { ownFormats } from '#core/own-formats.ts'

const magic = 0x54435446
const version = ownFormats['token-filter'].written
const headBytes = 8
const checksumBytes = 4

/** The bits that a block's bitmap must have for a line of it to contain the text; empty when nothing can be said. */
export function bitsOf(needle: Uint8Array): Uint32Array {
  const bits: number[] = []
  for (let at = 0; at + gramBytes <= needle.length; at++) {
    const a = needle[at]! | (needle[at + 1]! << 8) | (needle[at + 2]! << 16)
    const b = needle[at + 3]! | (needle[at + 4]! << 8) | (needle[at + 5]! << 16)
    const h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77)
    const bit = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
    if ((bit & 3) === 0) bits.push(bit >>> (32 - bitsLog2))
  }
  return Uint32Array.from(bits)
}

export function encodeFilter(bitmaps: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(headBytes + bitmaps.length * bitmapBytes + checksumBytes)
  const view = new DataView(out.buffer)
  view.setUint32(0, magic)
  view.setUint8(4, version)
  view.setUint8(5, bitsLog2)
  view.setUint16(6, bitmaps.length)
  bitmaps.forEach((bitmap, i) => {
    out.set(bitmap, headBytes + i * bitmapBytes)
  })
  view.setUint32(out.length - checksumBytes, crc32c(out, 0, out.length - checksumBytes))
  return out
}

/** A chunk's bitmaps, one for each of its blocks. */
export class TokenFilter {
  readonly #bytes: Uint8Array
  readonly blocks: number

  /** Throws CorruptDataError. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (
      bytes.length < headBytes ||
      view.getUint32(0) !== magic ||
      view.getUint8(4) !== version ||
      view.getUint8(5) !== bitsLog2
    )
      throw new CorruptDataError(`token filter: not a filter of version ${version}`)
    this.blocks = view.getUint16(6)
    if (bytes.length !== headBytes + this.blocks * bitmapBytes + checksumBytes)
      throw new CorruptDataError(`token filter: ${bytes.length} bytes for ${this.blocks} blocks`)
    if (crc32c(bytes, 0, bytes.length - checksumBytes) !== view.getUint32(bytes.length - checksumBytes))
      throw new CorruptDataError('token filter: wrong checksum')
    this.#bytes = bytes
  }

  get heldBytes(): number {
    return this.#bytes.length
  }

  /** False: no line of the block contains the text that these bits are of. */
  mayContain(block: number, bits: Uint32Array): boolean {
    const from = headBytes + block * bitmapBytes
    for (let i = 0; i < bits.length; i++) {
      const bit = bits[i]!
      if ((this.#bytes[from + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}
