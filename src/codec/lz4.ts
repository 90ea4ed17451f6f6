/**
 * LZ4 frames, decoding only: old log chunks are written in them. Source: the public LZ4 frame and block format
 * descriptions.
 */
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'

/** All of a frame. Checksums of content and blocks are passed over: what holds the frame has its own. */
export function decodeLz4Frame(source: Uint8Array, bytesMax: number): Uint8Array {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  if (source.length < 7 || view.getUint32(0, true) !== 0x184d2204) throw new CorruptDataError('lz4: not a frame')
  const flags = source[4]!
  if (flags >>> 6 !== 1) throw new CorruptDataError(`lz4: frame version ${flags >>> 6}`)
  const sizeClass = (source[5]! >>> 4) & 7
  if (sizeClass < 4) throw new CorruptDataError(`lz4: block size class ${sizeClass}`)
  const blockBytesMax = 1 << (8 + 2 * sizeClass)
  let at = 6 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0) + 1
  let out = new Uint8Array(Math.min(bytesMax, Math.max(1024, source.length * 4)))
  let filled = 0
  for (;;) {
    if (at + 4 > source.length) throw new CorruptDataError('lz4: the frame is cut off')
    const word = view.getUint32(at, true)
    at += 4
    if (word === 0) return out.subarray(0, filled)
    const length = word & 0x7fffffff
    if (length > source.length - at) throw new CorruptDataError('lz4: a block is cut off')
    const needed = filled + (word >>> 31 === 1 ? length : blockBytesMax)
    if (needed > out.length) {
      out = grown(
        out.subarray(0, filled),
        new Uint8Array(Math.min(Math.max(needed, out.length * 2), Math.max(needed, bytesMax))),
      )
    }
    if (word >>> 31 === 1) {
      out.set(source.subarray(at, at + length), filled)
      filled += length
    } else filled = decodeBlock(source, at, at + length, out, filled, filled + blockBytesMax)
    if (filled > bytesMax) throw new LimitError(`lz4: more than ${bytesMax} bytes when decoded`, 413)
    at += length + (flags & 16 ? 4 : 0)
  }
}

/** Unfolds one block behind what `out` has already (blocks may refer to earlier ones); returns the new end. */
function decodeBlock(
  source: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  start: number,
  end: number,
): number {
  let at = from
  let filled = start
  const readLength = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) {
      for (;;) {
        if (at >= to) throw new CorruptDataError('lz4: a length is cut off')
        const byte = source[at++]!
        length += byte
        if (byte !== 255) break
      }
    }
    return length
  }
  while (at < to) {
    const token = source[at++]!
    const literals = readLength(token >>> 4)
    if (literals > to - at || literals > end - filled) throw new CorruptDataError('lz4: literals run past the end')
    out.set(source.subarray(at, at + literals), filled)
    at += literals
    filled += literals
    if (at >= to) break
    if (at + 2 > to) throw new CorruptDataError('lz4: an offset is cut off')
    const offset = source[at]! | (source[at + 1]! << 8)
    at += 2
    const length = readLength(token & 15) + 4
    if (offset === 0 || offset > filled || length > end - filled)
      throw new CorruptDataError('lz4: a match does not fit')
    for (let i = 0; i < length; i++) out[filled + i] = out[filled - offset + i]!
    filled += length
  }
  return filled
}
