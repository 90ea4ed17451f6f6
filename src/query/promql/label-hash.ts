/**
 * A label set as a fraction in [0, 1), which limit_ratio samples by: xxHash64 over names and values, each behind its
 * length, as Prometheus' own programs have them in memory.
 */
import type { Labels } from '#model/labels.ts'

const p1 = 0x9e3779b185ebca87n
const p2 = 0xc2b2ae3d27d4eb4fn
const p3 = 0x165667b19e3779f9n
const p4 = 0x85ebca77c2b2ae63n
const p5 = 0x27d4eb2f165667c5n
const mask = 0xffffffffffffffffn
const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask
const round = (acc: bigint, input: bigint): bigint => (rotate((acc + input * p2) & mask, 31n) * p1) & mask

/** A number in [0, 1) that depends on the labels alone. */
export function labelHash(labels: Labels): number {
  const parts: Buffer[] = []
  for (const part of labels.pairs) {
    const bytes = Buffer.from(part)
    parts.push(lengthBytes(bytes.length), bytes)
  }
  return Number(xxhash64(Buffer.concat(parts))) / 2 ** 64
}

/** A byte, or FF and three bytes, little end first, from 255 on. */
function lengthBytes(length: number): Buffer {
  return length < 255 ? Buffer.of(length) : Buffer.of(255, length & 255, (length >> 8) & 255, (length >> 16) & 255)
}

/** xxHash64 with seed 0. Source: the public specification of the algorithm. */
export function xxhash64(bytes: Buffer): bigint {
  const length = bytes.length
  let at = 0
  let hash: bigint
  if (length >= 32) {
    let v1 = (p1 + p2) & mask
    let v2 = p2
    let v3 = 0n
    let v4 = -p1 & mask
    for (; at + 32 <= length; at += 32) {
      v1 = round(v1, bytes.readBigUInt64LE(at))
      v2 = round(v2, bytes.readBigUInt64LE(at + 8))
      v3 = round(v3, bytes.readBigUInt64LE(at + 16))
      v4 = round(v4, bytes.readBigUInt64LE(at + 24))
    }
    hash = (rotate(v1, 1n) + rotate(v2, 7n) + rotate(v3, 12n) + rotate(v4, 18n)) & mask
    for (const v of [v1, v2, v3, v4]) hash = ((hash ^ round(0n, v)) * p1 + p4) & mask
  } else hash = p5
  hash = (hash + BigInt(length)) & mask
  for (; at + 8 <= length; at += 8) hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * p1 + p4) & mask
  if (at + 4 <= length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * p1) & mask), 23n) * p2 + p3) & mask
    at += 4
  }
  for (; at < length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]!) * p5) & mask), 11n) * p1) & mask
  hash = ((hash ^ (hash >> 33n)) * p2) & mask
  hash = ((hash ^ (hash >> 29n)) * p3) & mask
  return hash ^ (hash >> 32n)
}
