/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/line-search.wasm: which lines of a block contain a
 * text. Its host is src/codec/line-search.ts.
 */

/** Where the host puts the text that is looked for. */
export const needleAt: usize = 1024
/** Where it puts everything else. */
export const dataAt: usize = 2048

/** Makes room for so many bytes at `dataAt`, with 32 bytes behind them that may be read. */
export function reserve(size: usize): void {
  const pages = <i32>((dataAt + size + 32 + 65535) >>> 16)
  if (pages > memory.size()) memory.grow(pages - memory.size())
}

/** Capital letters of ASCII become small ones. */
function folded(bytes: v128): v128 {
  const isCapital = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(65)), i8x16.splat(26))
  return v128.or(bytes, v128.and(isCapital, i8x16.splat(32)))
}

function foldedByte(byte: u8): u8 {
  return <u8>(byte - 65) < 26 ? byte | 32 : byte
}

/** Sixteen bytes a turn: a line and a text that differ late would cost a look at each byte at every place. */
function isThere(at: usize, length: usize, isFolded: bool): bool {
  let i: usize = 0
  for (; i + 16 <= length; i += 16) {
    const bytes = v128.load(at + i)
    if (!i8x16.all_true(i8x16.eq(isFolded ? folded(bytes) : bytes, v128.load(needleAt + i)))) return false
  }
  for (; i < length; i++) {
    const byte = load<u8>(at + i)
    if ((isFolded ? foldedByte(byte) : byte) != load<u8>(needleAt + i)) return false
  }
  return true
}

/** Does [from, to) contain the text of `length` bytes? */
function contains(from: usize, to: usize, length: usize, first: v128, last: v128, isFolded: bool): bool {
  if (to - from < length) return false
  const end = to - length + 1
  // Sixteen places a turn: those where the first and the last byte are right are looked at.
  for (let at = from; at < end; at += 16) {
    let head = v128.load(at)
    let tail = v128.load(at + length - 1)
    if (isFolded) {
      head = folded(head)
      tail = folded(tail)
    }
    let places = i8x16.bitmask(v128.and(i8x16.eq(head, first), i8x16.eq(tail, last)))
    while (places != 0) {
      const place = at + <usize>ctz(places)
      if (place >= end) return false
      if (isThere(place, length, isFolded)) return true
      places &= places - 1
    }
  }
  return false
}

/**
 * Looks through the lines [0, count): line i is [from[i] - base, to[i] - base) of the bytes at `text`, `from` and `to`
 * are columns of u32. `isFolded`: the text has no capitals, and a line may have it in any case. Writes the numbers of
 * the lines that contain it to `out`, and returns how many they are.
 */
export function find(
  text: usize,
  base: u32,
  from: usize,
  to: usize,
  count: u32,
  length: usize,
  isFolded: bool,
  out: usize,
): u32 {
  const first = i8x16.splat(load<u8>(needleAt))
  const last = i8x16.splat(load<u8>(needleAt + length - 1))
  let found: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    const start = text + <usize>(load<u32>(from + ((<usize>i) << 2)) - base)
    const end = text + <usize>(load<u32>(to + ((<usize>i) << 2)) - base)
    if (!contains(start, end, length, first, last, isFolded)) continue
    store<u32>(out + ((<usize>found) << 2), i)
    found++
  }
  return found
}
