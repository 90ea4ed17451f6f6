/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/block-columns.wasm: of each line of a log block its
 * second, its length, and which combination of metadata it has. Its host is src/codec/block-columns.ts; the form of the
 * columns is docs/formats/log-table.md's.
 */

/** Combinations as they are met: u32 each where its bytes begin in the block, their length, lines, bytes of lines. */
export const combinationsAt: usize = 1024
const combinationBytes: usize = 16
const combinationsMax: i32 = 255
/** Where the host puts a block. */
export const blockAt: usize = 8192
/** 2 · seconds since the line before, + 1 where a time is a whole second, does not exceed it. */
const stepMax: i64 = 0x7fffffff

let stepsAt: usize = 0
let placesAt: usize = 0
export let momentsAt: usize = 0
export let momentsLength: usize = 0
export let lengthsAt: usize = 0
export let lengthsLength: usize = 0

/** Makes room for a block and for what comes of it. */
export function reserve(size: usize, entries: usize): void {
  stepsAt = (blockAt + size + 16 + 7) & ~7
  placesAt = stepsAt + entries * 4
  momentsAt = placesAt + entries
  lengthsAt = momentsAt + entries * 6
  const end = lengthsAt + entries * 5 + 16
  const pages = <i32>((end + 65535) >>> 16)
  if (pages > memory.size()) memory.grow(pages - memory.size())
}

let at: usize = 0

/** A LEB128 number; beyond the block's end it is cut off. */
function readUvarint(end: usize): u64 {
  let value: u64 = 0
  for (let shift: u64 = 0; at < end && shift < 70; shift += 7) {
    const byte = <u64>load<u8>(at++)
    value |= (byte & 127) << shift
    if (byte < 128) break
  }
  return value
}

function writeUvarint(to: usize, value: u64): usize {
  while (value >= 128) {
    store<u8>(to++, <u8>value | 128)
    value >>= 7
  }
  store<u8>(to++, <u8>value)
  return to
}

function isSame(a: usize, b: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false
  return true
}

let count: i32 = 0

/** The place of the combination whose bytes are there; -1 when it is one too many. */
function placeOf(from: usize, length: usize): i32 {
  for (let place = 0; place < count; place++) {
    const entry = combinationsAt + <usize>place * combinationBytes
    if (<usize>load<u32>(entry + 4) == length && isSame(blockAt + load<u32>(entry), from, length)) return place
  }
  if (count == combinationsMax) return -1
  const entry = combinationsAt + <usize>count * combinationBytes
  store<u32>(entry, <u32>(from - blockAt))
  store<u32>(entry + 4, <u32>length)
  store<u64>(entry + 8, 0)
  return count++
}

/**
 * Reads the block of `size` bytes at `blockAt`. Returns how many combinations there are; -1 when they are too many,
 * lines are out of order, or the block has other than `entries` entries.
 */
export function columns(size: usize, entries: i32): i32 {
  const end = blockAt + size
  at = blockAt
  count = 0
  let last: i64 = i64.MIN_VALUE
  let lastSecond: i64 = 0
  let lengths = lengthsAt
  for (let i = 0; i < entries; i++) {
    if (at >= end) return -1
    const zigzag = readUvarint(end)
    const ns = <i64>(zigzag >> 1) ^ -(<i64>(zigzag & 1))
    if (ns < last) return -1
    let second = ns / 1000000000
    const rest = ns - second * 1000000000
    if (rest < 0) second--
    const step = i == 0 ? 0 : (second - lastSecond) * 2
    if (step >= stepMax) return -1
    store<u32>(stepsAt + <usize>i * 4, <u32>step | (rest == 0 ? 1 : 0))
    last = ns
    lastSecond = second
    const length = <usize>readUvarint(end)
    if (length > end - at) return -1
    at += length
    const pairs = <usize>readUvarint(end)
    if (pairs > end - at) return -1
    const place = placeOf(at, pairs)
    if (place < 0) return -1
    at += pairs
    store<u8>(placesAt + i, <u8>place)
    const entry = combinationsAt + <usize>place * combinationBytes
    store<u32>(entry + 8, load<u32>(entry + 8) + 1)
    store<u32>(entry + 12, load<u32>(entry + 12) + <u32>length)
    lengths = writeUvarint(lengths, length)
  }
  if (at != end) return -1
  lengthsLength = lengths - lengthsAt
  let moments = momentsAt
  for (let i = 0; i < entries; i++) {
    const step = <u64>load<u32>(stepsAt + <usize>i * 4)
    moments = writeUvarint(moments, step * <u64>count + <u64>load<u8>(placesAt + i))
  }
  momentsLength = moments - momentsAt
  return count
}
