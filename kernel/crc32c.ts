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
export const bytesMax: usize = 64 * 1024

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
