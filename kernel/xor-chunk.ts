/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/xor-chunk.wasm: decodes the XOR chunks of a series one
 * behind the other. Its host, which also lays out the memory and checks the counts, is src/codec/xor-run.ts; what the
 * bits mean is docs/formats/prometheus-block.md's.
 */

/** The chunk is damaged or unusual: the host decodes it itself, and says what is wrong. */
const refused: i32 = -1
/** Times have fewer bits, as whole numbers in a Float64Array have. */
const timeBits: u64 = 53

let uvarintEnd: usize = 0
let isTooLong = false

/** A LEB128 number of at most eight bytes. */
function readUvarint(at: usize): u64 {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 56; shift += 7) {
    const byte = <u64>load<u8>(at++)
    value |= (byte & 127) << shift
    if (byte < 128) {
      uvarintEnd = at
      return value
    }
  }
  isTooLong = true
  return 0
}

/** The 64 bits from `bit` on. */
function peek64(bit: usize): u64 {
  const from = bit >>> 3
  const shift = <u64>(bit & 7)
  return (bswap<u64>(load<u64>(from)) << shift) | (<u64>load<u8>(from + 8) >>> (8 - shift))
}

/** A number of `size` bits below the first `skipped` ones: the upper half, its first excluded, is negative. */
function signed(bits: u64, skipped: u64, size: u64): i64 {
  const raw = <i64>((bits << skipped) >>> (64 - size))
  return raw > 1 << (size - 1) ? raw - (1 << size) : raw
}

/** The bits that a number has, or its opposite less one. */
function magnitude(value: i64): u64 {
  return <u64>(value ^ (value >> 63))
}

let changed: i64 = 0

/** Reads into `changed` by how much a difference of times differs from the one before; the bits that it has. */
function readChange(bits: u64, bit: usize): usize {
  if (bits >>> 62 == 2) {
    changed = signed(bits, 2, 14)
    return 16
  }
  if (bits >>> 61 == 6) {
    changed = signed(bits, 3, 17)
    return 20
  }
  if (bits >>> 60 == 14) {
    changed = signed(bits, 4, 20)
    return 24
  }
  changed = <i64>peek64(bit + 4)
  return 68
}

/**
 * The `count` samples (at least one) of the chunk of `size` bytes at `from`, its two bytes of the count included: the
 * times to `times`, the bits of the values to `values`, eight bytes each. `from + size` has 32 bytes behind it that may
 * be read. Returns 0, or `refused`.
 */
export function decode(from: usize, size: usize, count: i32, times: usize, values: usize): i32 {
  isTooLong = false
  const end = (from + size) << 3
  const zigzag = readUvarint(from + 2)
  let time = <i64>(zigzag >>> 1) ^ -(<i64>(zigzag & 1))
  let bit = uvarintEnd << 3
  let value = peek64(bit)
  bit += 64
  store<f64>(times, <f64>time)
  store<u64>(values, value)
  let delta: i64 = 0
  if (count > 1) {
    delta = <i64>readUvarint(bit >>> 3)
    bit = uvarintEnd << 3
  }
  if (isTooLong) return refused
  let farthest = magnitude(time) | magnitude(delta)
  /** 0: there is no window yet. */
  let width: u64 = 0
  let trailing: u64 = 0
  for (let i = 1; i < count; i++) {
    if (bit >= end) return refused
    let bits = peek64(bit)
    if (i > 1) {
      if (bits >>> 63 == 0) {
        // 56 bits are left at least, and a window takes 13.
        bits <<= 1
        bit += 1
      } else {
        bit += readChange(bits, bit)
        if (magnitude(changed) >>> timeBits != 0) return refused
        delta += changed
        bits = peek64(bit)
      }
    }
    time += delta
    farthest |= magnitude(time)
    if (bits >>> 63 == 0) bit += 1
    else {
      if (bits >>> 62 == 3) {
        width = (bits >>> 51) & 63
        if (width == 0) width = 64
        const taken = ((bits >>> 57) & 31) + width
        if (taken > 64) return refused
        trailing = 64 - taken
        bit += 13
      } else {
        if (width == 0) return refused
        bit += 2
      }
      value ^= (peek64(bit) >>> (64 - width)) << trailing
      bit += <usize>width
    }
    times += 8
    values += 8
    store<f64>(times, <f64>time)
    store<u64>(values, value)
  }
  return bit > end || farthest >>> timeBits != 0 ? refused : 0
}
