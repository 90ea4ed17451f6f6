/**
 * A label set as a fraction in [0, 1), which limit_ratio samples by: xxHash64 over names and values, each behind its
 * length, as Prometheus' own programs have them in memory.
 */
import { xxhash64 } from '#codec/xxhash64.ts'
import type { Labels } from '#model/labels.ts'

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
