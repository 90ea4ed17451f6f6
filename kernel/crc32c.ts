/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/crc32c.wasm: CRC-32C (Castagnoli, reflected
 * 0x82F63B78), sixteen bytes a step, each byte of them by a table of its own ("slicing-by-16"). Its host is
 * src/codec/crc32c.ts. Source: RFC 3720 appendix B.4.
 */

/** Sixteen tables of 256 words. */
const tablesAt: usize = 1024
const slices: usize = 16
/** Where the host puts bytes, and how many it puts there at most. */
export const bytesAt: usize = 1024 + 16 * 1024
export const bytesMax: usize = 1024 * 1024
/** Behind them, by frame: where it begins in the bytes; then where its content begins, and where that ends. */
export const framesAt: usize = bytesAt + bytesMax
export const framesMax: usize = 4096

function at(slice: usize, byte: usize): u32 {
  return load<u32>(tablesAt + (slice << 10) + (byte << 2))
}

/** Once, before the first checksum. */
export function fillTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    store<u32>(tablesAt + (byte << 2), crc)
  }
  for (let byte: usize = 0; byte < 256; byte++) {
    let crc = at(0, byte)
    for (let slice: usize = 1; slice < slices; slice++) {
      crc = at(0, crc & 255) ^ (crc >>> 8)
      store<u32>(tablesAt + (slice << 10) + (byte << 2), crc)
    }
  }
}

/** `crc` before the bytes, and after them: both inverted. */
export function update(crc: u32, from: usize, size: usize): u32 {
  const end = from + size
  let i = from
  for (; i + 16 <= end; i += 16) {
    const low = load<u64>(i) ^ <u64>crc
    const high = load<u64>(i + 8)
    crc =
      at(15, <usize>(low & 255)) ^
      at(14, <usize>((low >>> 8) & 255)) ^
      at(13, <usize>((low >>> 16) & 255)) ^
      at(12, <usize>((low >>> 24) & 255)) ^
      at(11, <usize>((low >>> 32) & 255)) ^
      at(10, <usize>((low >>> 40) & 255)) ^
      at(9, <usize>((low >>> 48) & 255)) ^
      at(8, <usize>(low >>> 56)) ^
      at(7, <usize>(high & 255)) ^
      at(6, <usize>((high >>> 8) & 255)) ^
      at(5, <usize>((high >>> 16) & 255)) ^
      at(4, <usize>((high >>> 24) & 255)) ^
      at(3, <usize>((high >>> 32) & 255)) ^
      at(2, <usize>((high >>> 40) & 255)) ^
      at(1, <usize>((high >>> 48) & 255)) ^
      at(0, <usize>(high >>> 56))
  }
  for (; i < end; i++) crc = at(0, (crc ^ load<u8>(i)) & 255) ^ (crc >>> 8)
  return crc
}

/** The length of a frame that is no number of 32 bits. */
const noLength: u64 = 1 << 32

let contentAt: usize = 0

/** The number before a frame's content, which then begins at `contentAt`. */
function lengthAt(at: usize, end: usize): u64 {
  let length: u64 = 0
  for (let shift: u64 = 0; shift < 35 && at < end; shift += 7) {
    const byte = <u64>load<u8>(at++)
    length |= (byte & 127) << shift
    if (byte < 128) {
      contentAt = at
      return length
    }
  }
  return noLength
}

/**
 * Checks frames in the first `size` bytes: the length of some data, a byte and the data, and the checksum of these, as
 * the chunks of Prometheus have them. The place of the content, and its end, are written beside each that is right, 0
 * for one that is not. Returns how many are not.
 */
export function checkFrames(count: usize, size: usize): u32 {
  const end = bytesAt + size
  let wrong: u32 = 0
  for (let i: usize = 0; i < count; i++) {
    const place = framesAt + (i << 2)
    const length = lengthAt(bytesAt + load<u32>(place), end)
    const behind = contentAt + 1 + <usize>length
    let isRight = length < noLength && <u64>contentAt + 1 + length + 4 <= <u64>end
    if (isRight) isRight = ~update(0xffffffff, contentAt, 1 + <usize>length) == bswap<u32>(load<u32>(behind))
    if (!isRight) wrong++
    store<u32>(place + (framesMax << 2), isRight ? <u32>(contentAt - bytesAt) : 0)
    store<u32>(place + (framesMax << 3), isRight ? <u32>(behind - bytesAt) : 0)
  }
  return wrong
}
