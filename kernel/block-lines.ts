/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/block-lines.wasm: where the lines of a log block are,
 * and when they were. Its host is src/codec/block-lines.ts.
 */

/** Where the host puts a block. */
export const blockAt: usize = 1024
/** Where the columns lie, one behind the other: times, sub, lines' ends, metadata's ends. */
export let columnsAt: usize = 0

const millisecond: i64 = 1000000

/** Makes room for a block of so many entries and for its columns. */
export function reserve(size: usize, entries: usize): void {
  columnsAt = (blockAt + size + 16 + 7) & ~7
  const pages = <i32>((columnsAt + entries * 28 + 65535) >>> 16)
  if (pages > memory.size()) memory.grow(pages - memory.size())
}

let at: usize = 0

/** A LEB128 number; `at` lies beyond the end when it is cut off. */
function readUvarint(end: usize): u64 {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) break
    const byte = <u64>load<u8>(at++)
    value |= (byte & 127) << shift
    if (byte < 128) return value
  }
  at = end + 1
  return 0
}

/** The length of what follows; `at` lies beyond the end when it does not fit. */
function readLength(end: usize): usize {
  const length = readUvarint(end)
  if (at > end || length > <u64>(end - at)) at = end + 1
  return <usize>length
}

/**
 * Reads `entries` entries of the block of `size` bytes at `blockAt`. Returns how many are whole: fewer where the block
 * ends early, or is damaged.
 */
export function decode(size: usize, entries: i32, hasPairs: bool): i32 {
  const end = blockAt + size
  const timesAt = columnsAt
  const subsAt = timesAt + <usize>entries * 8
  const lineFromAt = subsAt + <usize>entries * 4
  const lineToAt = lineFromAt + <usize>entries * 4
  const pairsFromAt = lineToAt + <usize>entries * 4
  const pairsToAt = pairsFromAt + <usize>entries * 4
  at = blockAt
  for (let i = 0; i < entries; i++) {
    const zigzag = readUvarint(end)
    if (at > end) return i
    const ns = <i64>(zigzag >> 1) ^ -(<i64>(zigzag & 1))
    let ms = ns / millisecond
    let rest = ns - ms * millisecond
    if (rest < 0) {
      rest += millisecond
      ms--
    }
    store<f64>(timesAt + <usize>i * 8, <f64>ms)
    store<u32>(subsAt + <usize>i * 4, <u32>rest)
    const length = readLength(end)
    if (at > end) return i
    store<u32>(lineFromAt + <usize>i * 4, <u32>(at - blockAt))
    at += length
    store<u32>(lineToAt + <usize>i * 4, <u32>(at - blockAt))
    const pairs: usize = hasPairs ? readLength(end) : 0
    if (at > end) return i
    store<u32>(pairsFromAt + <usize>i * 4, <u32>(at - blockAt))
    at += pairs
    store<u32>(pairsToAt + <usize>i * 4, <u32>(at - blockAt))
  }
  return entries
}
