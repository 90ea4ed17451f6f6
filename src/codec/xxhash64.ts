/**
 * xxHash64. Source: the public xxHash specification, 0.1.1. Numbers of 64 bits are two halves of 32 bits, which is some
 * ten times as fast as bigint.
 */

interface Halves {
  high: number
  low: number
}

const prime1: Halves = { high: 0x9e3779b1, low: 0x85ebca87 }
const prime2: Halves = { high: 0xc2b2ae3d, low: 0x27d4eb4f }
const prime3: Halves = { high: 0x165667b1, low: 0x9e3779f9 }
const prime4: Halves = { high: 0x85ebca77, low: 0xc2b2ae63 }
const prime5: Halves = { high: 0x27d4eb2f, low: 0x165667c5 }

/** One number of 64 bits, which the functions below change; its halves are signed. */
class Word {
  high = 0
  low = 0

  set({ high, low }: Halves): void {
    this.high = high | 0
    this.low = low | 0
  }

  add(high: number, low: number): void {
    const sum = (this.low >>> 0) + (low >>> 0)
    this.high = (this.high + high + (sum > 0xffffffff ? 1 : 0)) | 0
    this.low = sum | 0
  }

  xor(high: number, low: number): void {
    this.high ^= high
    this.low ^= low
  }

  /** Of the halves of 16 bits no product, and no sum of these, exceeds 32 bits. */
  multiply(by: Halves): void {
    const { high, low } = this
    const a = low & 0xffff
    const b = low >>> 16
    const c = by.low & 0xffff
    const d = by.low >>> 16
    const middle = a * d + ((a * c) >>> 16)
    const carry = b * c + (middle & 0xffff)
    const over = b * d + (middle >>> 16) + (carry >>> 16)
    this.high = (over + Math.imul(high, by.low) + Math.imul(low, by.high)) | 0
    this.low = Math.imul(low, by.low)
  }

  /** By 1 to 31 bits. */
  rotate(by: number): void {
    const { high, low } = this
    this.high = (high << by) | (low >>> (32 - by))
    this.low = (low << by) | (high >>> (32 - by))
  }

  /** With itself, moved right by 29 to 33 bits. */
  mix(by: number): void {
    const { high, low } = this
    if (by > 31) this.low ^= high >>> (by - 32)
    else this.xor(high >>> by, (low >>> by) | (high << (32 - by)))
  }

  round(high: number, low: number): void {
    input.set({ high, low })
    input.multiply(prime2)
    this.add(input.high, input.low)
    this.rotate(31)
    this.multiply(prime1)
  }

  merge(lane: Halves): void {
    merged.set(zero)
    merged.round(lane.high, lane.low)
    this.xor(merged.high, merged.low)
    this.multiply(prime1)
    this.add(prime4.high, prime4.low)
  }
}

const zero: Halves = { high: 0, low: 0 }
const input = new Word()
const merged = new Word()
const hash = new Word()
const lanes = [new Word(), new Word(), new Word(), new Word()] as const

/** Bytes that the four lanes take in one go. */
const stripeBytes = 32

/** Takes all stripes into `hash`; returns the bytes that these were. */
function hashStripes(view: DataView, seed: Halves): number {
  const [a, b, c, d] = lanes
  for (const lane of lanes) lane.set(seed)
  a.add(prime1.high, prime1.low)
  a.add(prime2.high, prime2.low)
  b.add(prime2.high, prime2.low)
  // Less the first prime: its complement and 1.
  d.add(~prime1.high, ~prime1.low)
  d.add(0, 1)
  let at = 0
  for (; at + stripeBytes <= view.byteLength; at += stripeBytes) {
    a.round(view.getInt32(at + 4, true), view.getInt32(at, true))
    b.round(view.getInt32(at + 12, true), view.getInt32(at + 8, true))
    c.round(view.getInt32(at + 20, true), view.getInt32(at + 16, true))
    d.round(view.getInt32(at + 28, true), view.getInt32(at + 24, true))
  }
  hash.set(zero)
  addRotated(a, 1)
  addRotated(b, 7)
  addRotated(c, 12)
  addRotated(d, 18)
  for (const lane of lanes) hash.merge(lane)
  return at
}

function addRotated(lane: Word, by: number): void {
  merged.set(lane)
  merged.rotate(by)
  hash.add(merged.high, merged.low)
}

/** Takes the bytes behind the stripes into `hash`. */
function hashRest(view: DataView, from: number): void {
  const { byteLength } = view
  let at = from
  for (; at + 8 <= byteLength; at += 8) {
    merged.set(zero)
    merged.round(view.getInt32(at + 4, true), view.getInt32(at, true))
    hash.xor(merged.high, merged.low)
    hash.rotate(27)
    hash.multiply(prime1)
    hash.add(prime4.high, prime4.low)
  }
  if (at + 4 <= byteLength) {
    input.set({ high: 0, low: view.getInt32(at, true) })
    input.multiply(prime1)
    hash.xor(input.high, input.low)
    hash.rotate(23)
    hash.multiply(prime2)
    hash.add(prime3.high, prime3.low)
    at += 4
  }
  for (; at < byteLength; at++) {
    input.set({ high: 0, low: view.getUint8(at) })
    input.multiply(prime5)
    hash.xor(input.high, input.low)
    hash.rotate(11)
    hash.multiply(prime1)
  }
}

/** Leaves the hash of all bytes in `hash`. */
function hashAll(bytes: Uint8Array, seed: Halves): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  if (bytes.length >= stripeBytes) at = hashStripes(view, seed)
  else {
    hash.set(seed)
    hash.add(prime5.high, prime5.low)
  }
  hash.add(Math.floor(bytes.length / 2 ** 32), bytes.length)
  hashRest(view, at)
  hash.mix(33)
  hash.multiply(prime2)
  hash.mix(29)
  hash.multiply(prime3)
  hash.mix(32)
}

/** The hash of all bytes, unsigned. */
export function xxhash64(bytes: Uint8Array, seed = 0n): bigint {
  hashAll(bytes, { high: Number(seed >> 32n), low: Number(seed & 0xffffffffn) })
  return (BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0)
}

/** The lower 53 bits of the hash of all bytes: what a double keeps. */
export function xxhash53(bytes: Uint8Array): number {
  hashAll(bytes, zero)
  return (hash.high & 0x1fffff) * 2 ** 32 + (hash.low >>> 0)
}
