/**
 * AssemblyScript, built by `npm run build:kernel` into src/codec/bloom-positions.wasm: which bits of a bloom filter
 * stand for an id of 16 bytes. Four words of MurmurHash3 x64-128 (of the id, and of the id and a byte of 1) are
 * combined to as many places as the filter has hashes. Its host is src/codec/bloom-positions.ts.
 */

/** Where the host puts the id, and where it finds the places: words of 32 bits. */
export const idAt: usize = 1024
export const placesAt: usize = 1040
/** A filter has no more hashes. */
export const hashesMax: u32 = 64

const c1: u64 = 0x87c37b91114253d5
const c2: u64 = 0x4cf5ad432745937f

function mix(value: u64): u64 {
  let k = value
  k ^= k >>> 33
  k *= 0xff51afd7ed558ccd
  k ^= k >>> 33
  k *= 0xc4ceb9fe1a85ec53
  return k ^ (k >>> 33)
}

let first: u64 = 0
let second: u64 = 0

/** The end of the hash of so many bytes: into `first` and `second`. */
function finish(a: u64, b: u64, length: u64): void {
  let h1 = a ^ length
  let h2 = b ^ length
  h1 += h2
  h2 += h1
  h1 = mix(h1)
  h2 = mix(h2)
  first = h1 + h2
  second = h2 + first
}

/** `bits`: how many the filter has. */
export function fill(hashes: u32, bits: u64): void {
  let h1 = rotl<u64>(load<u64>(idAt) * c1, 31) * c2
  h1 = rotl<u64>(h1, 27) * 5 + 0x52dce729
  let h2 = rotl<u64>(load<u64>(idAt + 8) * c2, 33) * c1
  h2 = (rotl<u64>(h2, 31) + h1) * 5 + 0x38495ab5
  finish(h1, h2, 16)
  const h0 = first
  const w1 = second
  finish(h1 ^ (rotl<u64>(c1, 31) * c2), h2, 17)
  const w2 = first
  const w3 = second
  for (let i: u32 = 0; i < hashes; i++) {
    const base = (i & 1) === 0 ? h0 : w1
    const step = ((i + (i & 1)) & 3) >>> 1 === 0 ? w2 : w3
    store<u32>(placesAt + ((<usize>i) << 2), <u32>((base + <u64>i * step) % bits))
  }
}
