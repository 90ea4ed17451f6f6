/** The seeded 128-bit hash of a series key, or of one label of it: docs/decisions/0002-series-by-hash.md. */

const m1: u64 = 0x9e3779b97f4a7c15
const m2: u64 = 0xc2b2ae3d27d4eb4f

let seed1: u64 = 0
let seed2: u64 = 0

export function setSeed(a: u32, b: u32, c: u32, d: u32): void {
  seed1 = ((<u64>a) << 32) | <u64>b
  seed2 = ((<u64>c) << 32) | <u64>d
}

/** Writes the hash of the bytes at [from, to) to `target`. */
export function hashKey(from: usize, to: usize, target: usize): void {
  let h1 = seed1 ^ <u64>(to - from)
  let h2 = seed2 + <u64>(to - from)
  let at = from
  while (at + 8 <= to) {
    const word = load<u64>(at)
    h1 = rotl((h1 ^ word) * m1, 29)
    h2 = rotl((h2 + word) * m2, 37)
    at += 8
  }
  let tail: u64 = 0
  while (at < to) tail = (tail << 8) | <u64>load<u8>(at++)
  h1 = rotl((h1 ^ tail) * m1, 29)
  h2 = rotl((h2 + tail) * m2, 37)
  h1 ^= h2 >>> 32
  h1 = (h1 ^ (h1 >>> 33)) * 0xff51afd7ed558ccd
  h1 ^= h1 >>> 33
  h2 ^= h1 >>> 29
  h2 = (h2 ^ (h2 >>> 33)) * 0xc4ceb9fe1a85ec53
  h2 ^= h2 >>> 33
  store<u64>(target, h1)
  store<u64>(target + 8, h2)
}
