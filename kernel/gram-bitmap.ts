/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/gram-bitmap.wasm: sets the bits of a block's lines
 * in its bitmap. Its host, which also says what the bits mean, is src/codec/gram-bitmap.ts; the hash is
 * docs/formats/log-token-filter.md's.
 */

const bitmapAt: usize = 1024
const bitmapBytes: usize = 8192
/** A byte for each bit: 1 where it is set. Writing one costs less than setting a bit, which has to be read before. */
const marksAt: usize = 16384
const markCount: usize = 65536
/** Where the host puts a block. */
export const blockAt: usize = marksAt + markCount

export function clear(): void {
  memory.fill(marksAt, 0, markCount)
}

/** The bits that were marked. */
export function bitmap(): usize {
  for (let i: usize = 0; i < bitmapBytes; i += 2) {
    const marks = v128.load(marksAt + i * 8)
    store<u16>(bitmapAt + i, <u16>i8x16.bitmask(i8x16.neg(marks)))
  }
  return bitmapAt
}

/** Makes room for a block, with 16 bytes behind it that may be read. */
export function reserve(size: usize): void {
  const pages = <i32>((blockAt + size + 16 + 65535) >>> 16)
  if (pages > memory.size()) memory.grow(pages - memory.size())
}

function addLine(from: usize, to: usize): void {
  const first = i8x16(0, 1, 2, -1, 1, 2, 3, -1, 2, 3, 4, -1, 3, 4, 5, -1)
  const second = i8x16(3, 4, 5, -1, 4, 5, 6, -1, 5, 6, 7, -1, 6, 7, 8, -1)
  const m1 = i32x4.splat(0x9e3779b1),
    m2 = i32x4.splat(0x85ebca77),
    m3 = i32x4.splat(0x2c1b3c6d)
  let at = from
  // Four grams a turn: those that begin at `at` and the next three.
  for (; at + 9 <= to; at += 4) {
    const bytes = v128.load(at)
    const h = v128.xor(i32x4.mul(i8x16.swizzle(bytes, first), m1), i32x4.mul(i8x16.swizzle(bytes, second), m2))
    const bit = i32x4.shr_u(i32x4.mul(v128.xor(h, i32x4.shr_u(h, 15)), m3), 16)
    const low = <u64>i64x2.extract_lane(bit, 0),
      high = <u64>i64x2.extract_lane(bit, 1)
    store<u8>(marksAt + <usize>(low & 0xffff), 1)
    store<u8>(marksAt + <usize>(low >>> 32), 1)
    store<u8>(marksAt + <usize>(high & 0xffff), 1)
    store<u8>(marksAt + <usize>(high >>> 32), 1)
  }
  for (; at + 6 <= to; at++) {
    const h = ((load<u32>(at) & 0xffffff) * 0x9e3779b1) ^ ((load<u32>(at + 3) & 0xffffff) * 0x85ebca77)
    store<u8>(marksAt + <usize>(((h ^ (h >>> 15)) * 0x2c1b3c6d) >>> 16), 1)
  }
}

/**
 * The lines of the block of `size` bytes at `blockAt`, with metadata. Returns the number of entries read: the host
 * knows how many there are.
 */
export function add(size: usize): i32 {
  const end = blockAt + size
  let at = blockAt
  let entries = 0
  while (at < end) {
    while (at < end && load<u8>(at) >= 128) at++
    at++
    let length: usize = 0
    for (let shift: usize = 0; ; shift += 7) {
      if (at >= end || shift > 28) return -1
      const byte = <usize>load<u8>(at++)
      length |= (byte & 127) << shift
      if (byte < 128) break
    }
    if (length > end - at) return -1
    addLine(at, at + length)
    at += length
    length = 0
    for (let shift: usize = 0; ; shift += 7) {
      if (at >= end || shift > 28) return -1
      const byte = <usize>load<u8>(at++)
      length |= (byte & 127) << shift
      if (byte < 128) break
    }
    if (length > end - at) return -1
    at += length
    entries++
  }
  return entries
}
