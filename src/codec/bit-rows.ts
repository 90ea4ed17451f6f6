/**
 * Bitmaps of many blocks as rows: row r has bit r of every bitmap, so that one bit is asked of all blocks by reading
 * one row. Bits and bytes count from the low end.
 */

/** Bitmaps of one size as rows of whole bytes: bit b of row r is bit r of bitmap b. `pause` lets other work run. */
export async function rowsOfBitmaps(bitmaps: readonly Uint8Array[], pause: () => Promise<void>): Promise<Uint8Array> {
  const size = bitmaps[0]?.length ?? 0
  const rowBytes = Math.ceil(bitmaps.length / 8)
  const rows = new Uint8Array(size * 8 * rowBytes)
  for (let from = 0; from < size; from += columnsAtOnce) {
    const to = Math.min(size, from + columnsAtOnce)
    for (let eight = 0; eight < rowBytes; eight++) turnEight(bitmaps, eight, from, to, rows, rowBytes)
    await pause()
  }
  return rows
}

/** Bytes of a bitmap between two pauses. */
const columnsAtOnce = 512
const noBits = new Uint8Array(1 << 13)

/** Turns bytes [from, to) of eight bitmaps, each time 8 × 8 bits. */
function turnEight(
  bitmaps: readonly Uint8Array[],
  eight: number,
  from: number,
  to: number,
  rows: Uint8Array,
  rowBytes: number,
): void {
  const at = (k: number): Uint8Array => bitmaps[eight * 8 + k] ?? noBits
  const b0 = at(0)
  const b1 = at(1)
  const b2 = at(2)
  const b3 = at(3)
  const b4 = at(4)
  const b5 = at(5)
  const b6 = at(6)
  const b7 = at(7)
  for (let i = from; i < to; i++) {
    let low = b0[i]! | (b1[i]! << 8) | (b2[i]! << 16) | (b3[i]! << 24)
    let high = b4[i]! | (b5[i]! << 8) | (b6[i]! << 16) | (b7[i]! << 24)
    let t = (low ^ (low >>> 7)) & 0x00aa00aa
    low ^= t ^ (t << 7)
    t = (high ^ (high >>> 7)) & 0x00aa00aa
    high ^= t ^ (t << 7)
    t = (low ^ (low >>> 14)) & 0x0000cccc
    low ^= t ^ (t << 14)
    t = (high ^ (high >>> 14)) & 0x0000cccc
    high ^= t ^ (t << 14)
    t = (low ^ ((low >>> 28) | (high << 4))) & 0xf0f0f0f0
    low ^= t
    high ^= t >>> 4
    let place = i * 8 * rowBytes + eight
    for (let k = 0; k < 4; k++, place += rowBytes) rows[place] = low >>> (k * 8)
    for (let k = 0; k < 4; k++, place += rowBytes) rows[place] = high >>> (k * 8)
  }
}

/** Sets in `target` the bits from `targetBit` on that `source` has from `sourceBit` on; they were 0. */
export function addBits(
  source: Uint8Array,
  sourceBit: number,
  target: Uint8Array,
  targetBit: number,
  count: number,
): void {
  for (let done = 0; done < count;) {
    const from = sourceBit + done
    const to = targetBit + done
    const some = Math.min(8 - (to & 7), count - done)
    const pair = source[from >>> 3]! | ((source[(from >>> 3) + 1] ?? 0) << 8)
    const bits = (pair >>> (from & 7)) & ((1 << some) - 1)
    target[to >>> 3]! |= bits << (to & 7)
    done += some
  }
}

/** Is a bit set? */
export function hasBit(bytes: Uint8Array, bit: number): boolean {
  return (bytes[bit >>> 3]! & (1 << (bit & 7))) !== 0
}

/** Clears the bits of `bits` that are not set from `bit` on in `bytes`, of `count` bits. */
export function keepBits(bits: Uint8Array, bytes: Uint8Array, bit: number, count: number): void {
  const shift = bit & 7
  let at = bit >>> 3
  for (let i = 0; i < count; i += 8, at++) {
    const pair = bytes[at]! | ((bytes[at + 1] ?? 0) << 8)
    bits[i >>> 3]! &= pair >>> shift
  }
}

/** Is no bit set? */
export function isEmpty(bits: Uint8Array): boolean {
  for (let i = 0; i < bits.length; i++) if (bits[i] !== 0) return false
  return true
}
