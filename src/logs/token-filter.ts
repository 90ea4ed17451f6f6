/**
 * Which texts the lines of a block can contain: a bitmap of hashes of six bytes in a row. A quarter of them, chosen by their own
 * hash, is kept; so those of a searched text that are kept must all be there. It lies beside the chunk, made of it, and can be
 * made again. Form: docs/formats/log-token-filter.md.
 *
 *   "TCTF" · u8 version 1 · u8 log2 of the bits of a block's bitmap · u16 blocks (big endian) · the bitmaps
 */
import { CorruptDataError } from '#core/errors.ts'
import type { BlockLines } from './block-lines.ts'

const magic = 0x54435446
const headBytes = 8
const gramBytes = 6
const bitsLog2 = 16
const bitmapBytes = (1 << bitsLog2) / 8

/** A bitmap over lines that are added one after another. */
export class BitmapBuilder {
  readonly bitmap = new Uint8Array(bitmapBytes)

  add(bytes: Uint8Array, from: number, to: number): void {
    const { bitmap } = this
    if (to - from < gramBytes) return
    let a = bytes[from]! << 8 | bytes[from + 1]! << 16
    let b = bytes[from + 2]! | bytes[from + 3]! << 8 | bytes[from + 4]! << 16
    // The six bytes as two times three, pushed on by one each turn. What is not kept sets no bit, instead of being passed over:
    // a branch that goes either way costs more than the store.
    for (let i = from + 5; i < to; i++) {
      a = a >>> 8 | (b & 255) << 16
      b = b >>> 8 | bytes[i]! << 16
      const h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77)
      const bit = Math.imul(h ^ h >>> 15, 0x2c1b3c6d)
      bitmap[bit >>> 35 - bitsLog2]! |= (((bit & 3) - 1) >>> 31) << (bit >>> 32 - bitsLog2 & 7)
    }
  }

  addBlock(lines: BlockLines): void {
    for (let i = 0; i < lines.count; i++) this.add(lines.bytes, lines.lineFrom[i]!, lines.lineTo[i]!)
  }
}

/** The bits that a block's bitmap must have for a line of it to contain the text; empty when nothing can be said. */
export function bitsOf(needle: Uint8Array): Uint32Array {
  const bits: number[] = []
  for (let at = 0; at + gramBytes <= needle.length; at++) {
    const a = needle[at]! | needle[at + 1]! << 8 | needle[at + 2]! << 16
    const b = needle[at + 3]! | needle[at + 4]! << 8 | needle[at + 5]! << 16
    const h = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77)
    const bit = Math.imul(h ^ h >>> 15, 0x2c1b3c6d)
    if ((bit & 3) === 0) bits.push(bit >>> 32 - bitsLog2)
  }
  return Uint32Array.from(bits)
}

export function encodeFilter(bitmaps: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(headBytes + bitmaps.length * bitmapBytes)
  const view = new DataView(out.buffer)
  view.setUint32(0, magic)
  view.setUint8(4, 1)
  view.setUint8(5, bitsLog2)
  view.setUint16(6, bitmaps.length)
  bitmaps.forEach((bitmap, i) => { out.set(bitmap, headBytes + i * bitmapBytes) })
  return out
}

/** A chunk's bitmaps, one for each of its blocks. */
export class TokenFilter {
  readonly #bytes: Uint8Array
  readonly blocks: number

  /** Throws CorruptDataError. */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < headBytes || view.getUint32(0) !== magic || view.getUint8(4) !== 1 || view.getUint8(5) !== bitsLog2) throw new CorruptDataError('token filter: not a filter of version 1')
    this.blocks = view.getUint16(6)
    if (bytes.length !== headBytes + this.blocks * bitmapBytes) throw new CorruptDataError(`token filter: ${bytes.length} bytes for ${this.blocks} blocks`)
    this.#bytes = bytes
  }

  get heldBytes(): number { return this.#bytes.length }

  /** False: no line of the block contains the text that these bits are of. */
  mayContain(block: number, bits: Uint32Array): boolean {
    const from = headBytes + block * bitmapBytes
    for (let i = 0; i < bits.length; i++) {
      const bit = bits[i]!
      if ((this.#bytes[from + (bit >>> 3)]! & 1 << (bit & 7)) === 0) return false
    }
    return true
  }
}
