/**
 * xxHash64. Source: the public xxHash specification, 0.1.1. For what is hashed now and then (a new stream): 64-bit
 * arithmetic is by bigint.
 */

const prime1 = 0x9e3779b185ebca87n
const prime2 = 0xc2b2ae3d27d4eb4fn
const prime3 = 0x165667b19e3779f9n
const prime4 = 0x85ebca77c2b2ae63n
const prime5 = 0x27d4eb2f165667c5n
const mask = 0xffffffffffffffffn

function rotate(x: bigint, by: bigint): bigint {
  return ((x << by) | (x >> (64n - by))) & mask
}
function round(lane: bigint, input: bigint): bigint {
  return (rotate((lane + input * prime2) & mask, 31n) * prime1) & mask
}
function merge(hash: bigint, lane: bigint): bigint {
  return ((hash ^ round(0n, lane)) * prime1 + prime4) & mask
}

/** The hash of all bytes, unsigned. */
export function xxhash64(bytes: Uint8Array, seed = 0n): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = bytes.length
  let at = 0
  let hash: bigint
  if (length >= 32) {
    let a = (seed + prime1 + prime2) & mask
    let b = (seed + prime2) & mask
    let c = seed & mask
    let d = (seed - prime1) & mask
    for (; at + 32 <= length; at += 32) {
      a = round(a, view.getBigUint64(at, true))
      b = round(b, view.getBigUint64(at + 8, true))
      c = round(c, view.getBigUint64(at + 16, true))
      d = round(d, view.getBigUint64(at + 24, true))
    }
    hash = (rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n)) & mask
    for (const lane of [a, b, c, d]) hash = merge(hash, lane)
  } else hash = (seed + prime5) & mask
  hash = (hash + BigInt(length)) & mask
  for (; at + 8 <= length; at += 8)
    hash = (rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * prime1 + prime4) & mask
  if (at + 4 <= length) {
    hash = (rotate(hash ^ ((BigInt(view.getUint32(at, true)) * prime1) & mask), 23n) * prime2 + prime3) & mask
    at += 4
  }
  for (; at < length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]!) * prime5) & mask), 11n) * prime1) & mask
  hash = ((hash ^ (hash >> 33n)) * prime2) & mask
  hash = ((hash ^ (hash >> 29n)) * prime3) & mask
  return hash ^ (hash >> 32n)
}
