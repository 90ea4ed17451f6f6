/**
 * Snappy, block format (not framed). Source: the public format description,
 * github.com/google/snappy/format_description.txt. Decoding checks every length and offset, also the declared size,
 * before it allocates.
 */
import { CorruptDataError, LimitError } from '#core/errors.ts'

/** The uncompressed size that a block declares. */
export function snappyDeclaredSize(source: Uint8Array): { size: number; at: number } {
  let size = 0
  let scale = 1
  for (let at = 0; at < 5 && at < source.length; at++) {
    size += (source[at]! & 127) * scale
    if (source[at]! < 128) {
      if (size > 0xffffffff) break
      return { size, at: at + 1 }
    }
    scale *= 128
  }
  throw new CorruptDataError('snappy: the header is not a length')
}

/**
 * Unfolds a block. `reuse` is taken as the target when it is large enough, so the result is valid until its next use.
 * Throws LimitError (413) when the block declares more than `bytesMax`, CorruptDataError for anything malformed.
 */
export function decodeSnappy(source: Uint8Array, bytesMax: number, reuse?: Uint8Array): Uint8Array {
  const header = snappyDeclaredSize(source)
  const size = header.size
  if (size > bytesMax)
    throw new LimitError(`snappy: the body declares ${size} bytes when decoded, the limit is ${bytesMax}`, 413)
  // An element yields at most 64 bytes from 3, so a small block can't unfold to a large one: refuse before allocating.
  if (size > (source.length - header.at) * 64)
    throw new CorruptDataError(`snappy: ${source.length} bytes can't unfold to the declared ${size}`)
  const target = reuse !== undefined && reuse.length >= size ? reuse : new Uint8Array(size)
  const written = unfold(source, header.at, target, size)
  if (written !== size) throw new CorruptDataError(`snappy: ${size} bytes declared, ${written} decoded`)
  return target.subarray(0, size)
}

function unfold(source: Uint8Array, from: number, target: Uint8Array, size: number): number {
  const end = source.length
  let at = from
  let out = 0
  while (at < end) {
    const tag = source[at++]!
    let length: number
    let offset: number
    if ((tag & 3) === 0) {
      length = (tag >>> 2) + 1
      if (length > 60) {
        const extra = length - 60
        if (at + extra > end) throw new CorruptDataError('snappy: truncated literal length')
        length = 1
        for (let i = 0, scale = 1; i < extra; i++, scale *= 256) length += source[at + i]! * scale
        at += extra
      }
      if (length > end - at || length > size - out) throw new CorruptDataError('snappy: a literal runs past the end')
      if (length <= 32) for (let i = 0; i < length; i++) target[out + i] = source[at + i]!
      else target.set(source.subarray(at, at + length), out)
      at += length
      out += length
      continue
    }
    if ((tag & 3) === 1) {
      if (at >= end) throw new CorruptDataError('snappy: truncated copy')
      length = ((tag >>> 2) & 7) + 4
      offset = ((tag >>> 5) << 8) | source[at++]!
    } else if ((tag & 3) === 2) {
      if (at + 2 > end) throw new CorruptDataError('snappy: truncated copy')
      length = (tag >>> 2) + 1
      offset = source[at]! | (source[at + 1]! << 8)
      at += 2
    } else {
      if (at + 4 > end) throw new CorruptDataError('snappy: truncated copy')
      length = (tag >>> 2) + 1
      offset = (source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)) >>> 0
      at += 4
    }
    if (offset === 0 || offset > out || length > size - out)
      throw new CorruptDataError(`snappy: a copy of ${length} bytes from ${offset} back does not fit at ${out}`)
    const start = out - offset
    for (let i = 0; i < length; i++) target[out + i] = target[start + i]!
    out += length
  }
  return out
}

const hashTable = new Uint16Array(1 << 14)

/** Folds `source` into a block, 64 KiB at a time, greedy matches of four bytes and more. */
export function encodeSnappy(source: Uint8Array): Uint8Array {
  const target = new Uint8Array(32 + source.length + Math.ceil(source.length / 6))
  let out = 0
  let rest = source.length
  while (rest >= 128) {
    target[out++] = (rest & 127) | 128
    rest = Math.floor(rest / 128)
  }
  target[out++] = rest
  for (let from = 0; from < source.length; from += 65536)
    out = foldFragment(source, from, Math.min(from + 65536, source.length), target, out)
  return target.slice(0, out)
}

function foldFragment(source: Uint8Array, from: number, to: number, target: Uint8Array, out: number): number {
  hashTable.fill(0)
  let literalFrom = from
  let at = from + 1
  let misses = 32
  while (at + 4 <= to) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)
    const slot = Math.imul(word, 0x1e35a7bd) >>> 18
    const candidate = from + hashTable[slot]!
    hashTable[slot] = at - from
    if (
      candidate < at &&
      source[candidate] === source[at] &&
      source[candidate + 1] === source[at + 1] &&
      source[candidate + 2] === source[at + 2] &&
      source[candidate + 3] === source[at + 3]
    ) {
      let length = 4
      while (at + length < to && source[candidate + length] === source[at + length]) length++
      out = writeLiteral(source, literalFrom, at, target, out)
      out = writeCopy(at - candidate, length, target, out)
      at += length
      literalFrom = at
      misses = 32
    } else {
      at += misses++ >>> 5
    }
  }
  return writeLiteral(source, literalFrom, to, target, out)
}

function writeLiteral(source: Uint8Array, from: number, to: number, target: Uint8Array, out: number): number {
  const length = to - from
  if (length === 0) return out
  if (length <= 60) target[out++] = (length - 1) << 2
  else if (length <= 256) {
    target[out++] = 60 << 2
    target[out++] = length - 1
  } else {
    target[out++] = 61 << 2
    target[out++] = (length - 1) & 255
    target[out++] = (length - 1) >>> 8
  }
  target.set(source.subarray(from, to), out)
  return out + length
}

function writeCopy(offset: number, length: number, target: Uint8Array, out: number): number {
  while (length > 0) {
    const part = length > 64 ? (length < 68 ? 60 : 64) : length
    target[out++] = ((part - 1) << 2) | 2
    target[out++] = offset & 255
    target[out++] = offset >>> 8
    length -= part
  }
  return out
}
