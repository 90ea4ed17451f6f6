/**
 * Times of log lines: whole milliseconds (float64) and the nanoseconds within the millisecond (0 ... 999,999), in two
 * columns. Exact over all of int64 nanoseconds, and without a bigint per line. Here is how they become zig-zag
 * varints and back.
 */
import type { ByteWriter } from './byte-writer.ts'

const two28 = 268435456
const two22 = 4194304

/** Writes the int64 nanoseconds as a zig-zag varint. */
export function writeTime(out: ByteWriter, ms: number, subNs: number): void {
  out.reserve(10)
  const buffer = out.buffer
  if (ms < 0) {
    writeNegative(out, ms, subNs)
    return
  }
  // ns = a·2^28 + b. 1e6·2^22 = 15625·2^28.
  const m1 = Math.floor(ms / two22)
  const rest = (ms - m1 * two22) * 1e6 + subNs
  const carry = Math.floor(rest / two28)
  const b = rest - carry * two28
  const high = (m1 * 15625 + carry) * 2 + (b >>> 27)
  let low = (b * 2) % two28
  let at = out.at
  if (high === 0) {
    while (low >= 128) {
      buffer[at++] = (low & 127) | 128
      low >>>= 7
    }
    buffer[at++] = low
    out.at = at
    return
  }
  buffer[at] = (low & 127) | 128
  buffer[at + 1] = ((low >>> 7) & 127) | 128
  buffer[at + 2] = ((low >>> 14) & 127) | 128
  buffer[at + 3] = ((low >>> 21) & 127) | 128
  at += 4
  // The rest in two parts that are integers to the machine.
  let top = Math.floor(high / two28)
  let middle = high - top * two28
  if (top > 0) {
    buffer[at] = (middle & 127) | 128
    buffer[at + 1] = ((middle >>> 7) & 127) | 128
    buffer[at + 2] = ((middle >>> 14) & 127) | 128
    buffer[at + 3] = ((middle >>> 21) & 127) | 128
    at += 4
    while (top >= 128) {
      buffer[at++] = (top & 127) | 128
      top >>>= 7
    }
    buffer[at++] = top
  } else {
    while (middle >= 128) {
      buffer[at++] = (middle & 127) | 128
      middle >>>= 7
    }
    buffer[at++] = middle
  }
  out.at = at
}

function writeNegative(out: ByteWriter, ms: number, subNs: number): void {
  let z = BigInt.asUintN(64, -(BigInt(ms) * 1000000n + BigInt(subNs)) * 2n - 1n)
  while (z >= 128n) {
    out.writeU8(Number(z & 127n) | 128)
    z >>= 7n
  }
  out.writeU8(Number(z))
}

/** Reads such varints. `ms` and `subNs` are those of the last one. */
export class TimeCursor {
  ms = 0
  subNs = 0

  /** Returns where the varint ends; beyond `end` (by the caller's check) when it is cut off. */
  read(bytes: Uint8Array, at: number, end: number): number {
    let low = 0
    let high = 0
    let shift = 0
    let byte = 128
    while (shift < 28 && at < end) {
      byte = bytes[at++]!
      low |= (byte & 127) << shift
      if (byte < 128) break
      shift += 7
    }
    if (byte >= 128) {
      let scale = 1
      for (let i = 0; i < 6; i++) {
        if (at >= end) return end + 1
        byte = bytes[at++]!
        high += (byte & 127) * scale
        if (byte < 128) break
        scale *= 128
      }
      if (byte >= 128) return end + 1
    }
    if ((low & 1) === 1) {
      this.#negative(high, low)
      return at
    }
    // value = high·2^28 + low; ns = value / 2 = a·2^28 + b
    const a = Math.floor(high / 2)
    const b = (low >>> 1) + (high % 2) * (two28 / 2)
    const q = Math.floor(a / 15625)
    const rest = (a - q * 15625) * two28 + b
    const ms = Math.floor(rest / 1e6)
    this.ms = q * two22 + ms
    this.subNs = rest - ms * 1e6
    return at
  }

  #negative(high: number, low: number): void {
    const z = BigInt(high) * 268435456n + BigInt(low)
    const ns = -(z + 1n) / 2n
    let ms = ns / 1000000n
    if (ms * 1000000n > ns) ms -= 1n
    this.ms = Number(ms)
    this.subNs = Number(ns - ms * 1000000n)
  }
}

/** Bytes of a time of these years. */
export const recentBytes = 9

/** Times of these years: varints of nine bytes, of which the last five change every 134 ms: their meaning is kept. */
export class RecentTimes {
  ms = 0
  subNs = 0
  #high = -1
  #baseMs = 0
  #baseNs = 0

  /** Reads the nine bytes at `at`; false when they are no such time. */
  read(bytes: Uint8Array, at: number): boolean {
    const b0 = bytes[at]!
    const b1 = bytes[at + 1]!
    const b2 = bytes[at + 2]!
    const b3 = bytes[at + 3]!
    const b4 = bytes[at + 4]!
    const b5 = bytes[at + 5]!
    const b6 = bytes[at + 6]!
    const b7 = bytes[at + 7]!
    const b8 = bytes[at + 8]!
    // Eight bytes that go on, one that ends; a positive number.
    if ((b0 & b1 & b2 & b3 & b4 & b5 & b6 & b7 & 128) === 0 || b8 >= 128 || (b0 & 1) !== 0) return false
    const low = (b0 & 127) | ((b1 & 127) << 7) | ((b2 & 127) << 14) | ((b3 & 127) << 21)
    const high = ((b4 & 127) | ((b5 & 127) << 7) | ((b6 & 127) << 14) | ((b7 & 127) << 21)) + b8 * 268435456
    if (high !== this.#high) this.#enter(high)
    const ns = this.#baseNs + (low >>> 1)
    const ms = (ns / 1e6) | 0
    this.ms = this.#baseMs + ms
    this.subNs = ns - ms * 1e6
    return true
  }

  #enter(high: number): void {
    this.#high = high
    // high · 2^27 nanoseconds; 15625 · 2^27 of them are 2^21 milliseconds.
    const q = Math.floor(high / 15625)
    const rest = (high - q * 15625) * 134217728
    const ms = Math.floor(rest / 1e6)
    this.#baseMs = q * 2097152 + ms
    this.#baseNs = rest - ms * 1e6
  }
}
