/**
 * XOR chunks, encoding 1 of Prometheus' block format (docs/formats/prometheus-block.md): the one place where a
 * float sample turns into bits and back. Values travel as two 32-bit words, because a NaN's payload (the staleness
 * marker 0x7FF0000000000002) does not survive JavaScript's numbers.
 */
import { CorruptDataError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'
import { Arena } from './arena.ts'

/** Words of the staleness marker. */
export const staleHi = 0x7ff00000
export const staleLo = 2

/** Bytes that the next sample can need at most: 4+64 bits of time, 2+5+6+64 of value. */
const sampleBytesMax = 19
const noWindow = 255

/**
 * Chunks that are still being appended to, one per slot, as columns. 46 bytes of state a slot plus the chunk itself,
 * which lies in an arena and moves to twice the room when it is full. What lies there is a valid chunk at any time.
 */
export class OpenXorChunks {
  readonly arena = new Arena()
  count = new Uint16Array(0)
  firstMs = new Float64Array(0)
  lastMs = new Float64Array(0)
  #deltaMs = new Float64Array(0)
  #hi = new Int32Array(0)
  #lo = new Int32Array(0)
  #leading = new Uint8Array(0)
  #trailing = new Uint8Array(0)
  #bitEnd = new Uint16Array(0)
  #place = new Uint32Array(0)
  #sizeClass = new Uint8Array(0)

  /** Makes sure that slots below `slots` exist. */
  reserve(slots: number): void {
    if (slots <= this.count.length) return
    const size = Math.max(slots, Math.ceil(this.count.length * 1.5), 64)
    this.count = grown(this.count, new Uint16Array(size))
    this.firstMs = grown(this.firstMs, new Float64Array(size))
    this.lastMs = grown(this.lastMs, new Float64Array(size))
    this.#deltaMs = grown(this.#deltaMs, new Float64Array(size))
    this.#hi = grown(this.#hi, new Int32Array(size))
    this.#lo = grown(this.#lo, new Int32Array(size))
    this.#leading = grown(this.#leading, new Uint8Array(size))
    this.#trailing = grown(this.#trailing, new Uint8Array(size))
    this.#bitEnd = grown(this.#bitEnd, new Uint16Array(size))
    this.#place = grown(this.#place, new Uint32Array(size))
    this.#sizeClass = grown(this.#sizeClass, new Uint8Array(size))
  }

  /** Bytes of the chunk in `slot`. */
  byteLength(slot: number): number {
    return (this.#bitEnd[slot]! + 7) >>> 3
  }

  /** The chunk's bytes, a view that the next append to any slot may invalidate. */
  bytes(slot: number): Uint8Array {
    return this.arena.view(this.#place[slot]!, this.byteLength(slot))
  }

  /** Same words as the last sample of `slot`? */
  lastEquals(slot: number, hi: number, lo: number): boolean {
    return this.#hi[slot] === (hi | 0) && this.#lo[slot] === (lo | 0)
  }

  /** Gives the slot's room back; the next append starts a new chunk. */
  clear(slot: number): void {
    if (this.count[slot] === 0) return
    this.arena.free(this.#place[slot]!, this.#sizeClass[slot]!)
    this.count[slot] = 0
    this.#bitEnd[slot] = 0
  }

  /** Appends a sample; `timeMs` must be greater than the last one's, and the caller keeps count <= 240. */
  append(slot: number, timeMs: number, hi: number, lo: number): void {
    hi |= 0
    lo |= 0
    const count = this.count[slot]!
    if (count === 0) this.#start(slot, timeMs, hi, lo)
    else {
      this.#makeRoom(slot)
      const page = this.arena.page(this.#place[slot]!)
      const base = this.arena.offset(this.#place[slot]!)
      const deltaMs = timeMs - this.lastMs[slot]!
      let bit = base * 8 + this.#bitEnd[slot]!
      // Numbers that may not fit 31 bits take paths of their own: one large value in a function makes all of it slow.
      if (count === 1)
        bit = deltaMs < 0x7fffffff ? putUvarint(page, bit, deltaMs | 0) : putLargeUvarint(page, bit, deltaMs)
      else {
        const change = deltaMs - this.#deltaMs[slot]!
        if (change === 0) bit += 1
        else
          bit = change >= -524287 && change <= 524288 ? putTime(page, bit, change | 0) : putWideTime(page, bit, change)
      }
      this.#deltaMs[slot] = deltaMs
      bit = this.#putValue(page, bit, slot, hi, lo)
      this.#bitEnd[slot] = bit - base * 8
      page[base] = (count + 1) >>> 8
      page[base + 1] = (count + 1) & 255
      this.count[slot] = count + 1
    }
    this.lastMs[slot] = timeMs
    this.#hi[slot] = hi
    this.#lo[slot] = lo
  }

  #start(slot: number, timeMs: number, hi: number, lo: number): void {
    this.#sizeClass[slot] = 0
    const place = (this.#place[slot] = this.arena.allocate(0))
    const page = this.arena.page(place)
    const base = this.arena.offset(place)
    page[base + 1] = 1
    let bit = putLargeUvarint(page, (base + 2) * 8, timeMs >= 0 ? timeMs * 2 : -timeMs * 2 - 1)
    bit = putBits(page, bit, hi, 32)
    bit = putBits(page, bit, lo, 32)
    this.#bitEnd[slot] = bit - base * 8
    this.#leading[slot] = noWindow
    this.firstMs[slot] = timeMs
    this.count[slot] = 1
  }

  #makeRoom(slot: number): void {
    const used = this.byteLength(slot)
    const sizeClass = this.#sizeClass[slot]!
    if (used + sampleBytesMax <= this.arena.size(sizeClass)) return
    const old = this.#place[slot]!
    const place = this.arena.allocate(sizeClass + 1)
    this.arena.view(place, used).set(this.arena.view(old, used))
    this.arena.free(old, sizeClass)
    this.#place[slot] = place
    this.#sizeClass[slot] = sizeClass + 1
  }

  #putValue(page: Uint8Array, bit: number, slot: number, hi: number, lo: number): number {
    const xorHi = hi ^ this.#hi[slot]!
    const xorLo = lo ^ this.#lo[slot]!
    if (xorHi === 0 && xorLo === 0) return bit + 1
    const leading = xorHi !== 0 ? Math.min(31, Math.clz32(xorHi)) : 31
    const trailing = xorLo !== 0 ? 31 - Math.clz32(xorLo & -xorLo) : 63 - Math.clz32(xorHi & -xorHi)
    let windowLeading = this.#leading[slot]!
    let windowTrailing = this.#trailing[slot]!
    if (windowLeading !== noWindow && leading >= windowLeading && trailing >= windowTrailing) {
      const width = 64 - windowLeading - windowTrailing
      if (width <= 30) {
        // The usual case, in one go.
        const low =
          windowTrailing === 0
            ? xorLo
            : windowTrailing < 32
              ? (xorLo >>> windowTrailing) | (xorHi << (32 - windowTrailing))
              : xorHi >>> (windowTrailing - 32)
        return putBits(page, bit, (2 << width) | (low & ((1 << width) - 1)), width + 2)
      }
      bit = putBits(page, bit, 2, 2)
    } else {
      this.#leading[slot] = windowLeading = leading
      this.#trailing[slot] = windowTrailing = trailing
      bit = putBits(page, bit, 0x1800 | (leading << 6) | ((64 - leading - trailing) & 63), 13)
    }
    const shift = windowTrailing
    const width = 64 - windowLeading - windowTrailing
    const low =
      shift === 0 ? xorLo : shift < 32 ? (xorLo >>> shift) | (xorHi << (32 - shift)) : (xorHi >>> (shift - 32)) | 0
    if (width > 32) {
      bit = putBits(page, bit, shift === 0 ? xorHi : shift < 32 ? (xorHi >>> shift) | 0 : 0, width - 32)
      return putBits(page, bit, low, 32)
    }
    return putBits(page, bit, low, width)
  }
}

/** ORs the low `count` <= 32 bits of `value` into zeroed bytes at bit position `bit`; returns the next position. */
function putBits(page: Uint8Array, bit: number, value: number, count: number): number {
  let at = bit >>> 3
  const free = 8 - (bit & 7)
  if (count <= free) {
    page[at]! |= (count === 32 ? value : value & ((1 << count) - 1)) << (free - count)
    return bit + count
  }
  let rest = count - free
  page[at++]! |= (value >>> rest) & ((1 << free) - 1)
  while (rest >= 8) {
    rest -= 8
    page[at++] = value >>> rest
  }
  if (rest > 0) page[at] = (value & ((1 << rest) - 1)) << (8 - rest)
  return bit + count
}

/** A whole number below 2^31. */
function putUvarint(page: Uint8Array, bit: number, value: number): number {
  while (value >= 128) {
    bit = putBits(page, bit, (value & 127) | 128, 8)
    value >>>= 7
  }
  return putBits(page, bit, value, 8)
}

/** A whole number below 2^53, in two halves of 28 bits and the rest. */
function putLargeUvarint(page: Uint8Array, bit: number, value: number): number {
  const high = Math.floor(value / 268435456)
  let low = (value - high * 268435456) | 0
  if (high === 0) return putUvarint(page, bit, low)
  for (let i = 0; i < 4; i++) {
    bit = putBits(page, bit, (low & 127) | 128, 8)
    low >>>= 7
  }
  return putUvarint(page, bit, high | 0)
}

/** A delta of deltas of 14, 17 or 20 bits behind its prefix; not 0. */
function putTime(page: Uint8Array, bit: number, value: number): number {
  if (value >= -8191 && value <= 8192) return putBits(page, bit, (2 << 14) | (value & 0x3fff), 16)
  if (value >= -65535 && value <= 65536) return putBits(page, bit, (6 << 17) | (value & 0x1ffff), 20)
  return putBits(page, bit, (14 << 20) | (value & 0xfffff), 24)
}

/** The 64-bit form. */
function putWideTime(page: Uint8Array, bit: number, value: number): number {
  bit = putBits(page, bit, 15, 4)
  bit = putBits(page, bit, Math.floor(value / 4294967296) | 0, 32)
  return putBits(page, bit, (value - Math.floor(value / 4294967296) * 4294967296) | 0, 32)
}

/** Samples that the chunk in `bytes[from, to)` declares: check it before making room for them. */
export function xorSampleCount(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < 2) throw new CorruptDataError('xor chunk: shorter than its header')
  const count = (bytes[from]! << 8) | bytes[from + 1]!
  // 17 bytes hold the first sample, and each further one takes two bits at least.
  if (count > 0 && (to - from) * 8 < 80 + (count - 1) * 2)
    throw new CorruptDataError(`xor chunk: ${to - from} bytes can't hold ${count} samples`)
  return count
}

/** A sample has 157 bits at most, and 40 more are looked at. */
const slackBytes = 32
const padded = new Uint8Array(65536 * 20)

/** Copies a chunk at the end of its buffer into `padded`: a damaged one may make the reader look that far ahead. */
function copyPadded(bytes: Uint8Array, from: number, to: number): void {
  if (to - from + slackBytes > padded.length) throw new CorruptDataError(`xor chunk: ${to - from} bytes are too long`)
  padded.set(bytes.subarray(from, to))
  padded.fill(0, to - from, to - from + slackBytes)
}

/** Where the varint that `readUvarint` read last ends. */
let uvarintEnd = 0

/** A LEB128 number of at most ten bytes at byte `at`. */
function readUvarint(bytes: Uint8Array, at: number, name: string): number {
  let value = 0
  for (let scale = 1, i = 0; ; i++, scale *= 128) {
    const byte = bytes[at + i]!
    value += (byte & 127) * scale
    if (byte < 128) {
      uvarintEnd = at + i + 1
      return value
    }
    if (i >= 9) throw new CorruptDataError(`xor chunk: the ${name} timestamp is longer than 10 bytes`)
  }
}

/**
 * Decodes a chunk into `timesMs[at...]` and the words of the values into `words[2·at...]` (low word first, as a
 * Float64Array lies in memory); returns the number of samples. The caller has made room for xorSampleCount() of them.
 * Throws CorruptDataError.
 */
export function decodeXor(
  bytes: Uint8Array,
  from: number,
  to: number,
  timesMs: Float64Array,
  words: Uint32Array,
  at: number,
): number {
  const count = xorSampleCount(bytes, from, to)
  if (count === 0) return 0
  if (to + slackBytes > bytes.length) {
    copyPadded(bytes, from, to)
    bytes = padded
    to -= from
    from = 0
  }
  decodeSamples(bytes, from, to, count, timesMs, words, at)
  return count
}

/**
 * The samples of a chunk in `bytes[from, to)`, with slack behind it. One loop in one function: a loop of its own that
 * gets the first sample as parameters was a third slower.
 */
function decodeSamples(
  bytes: Uint8Array,
  from: number,
  to: number,
  count: number,
  timesMs: Float64Array,
  words: Uint32Array,
  at: number,
): void {
  const zigzag = readUvarint(bytes, from + 2, 'first')
  let timeMs = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  let bit = uvarintEnd * 8
  const end = to * 8
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let hi = peek32(view, bit)
  let lo = peek32(view, bit + 32)
  bit += 64
  timesMs[at] = timeMs
  words[2 * at] = lo
  words[2 * at + 1] = hi
  let deltaMs = 0
  if (count > 1) {
    deltaMs = readUvarint(bytes, bit >>> 3, 'second')
    bit = uvarintEnd * 8
  }
  let leading = noWindow
  let trailing = 0
  let width = 0
  for (let i = 1; i < count; i++) {
    if (bit >= end) throw new CorruptDataError(`xor chunk: ends after ${i} of ${count} samples`)
    if (i > 1) {
      const head = peek32(view, bit)
      if (head >>> 31 === 0) bit += 1
      else if (head >>> 30 === 2) {
        const raw = (head >>> 16) & 0x3fff
        deltaMs += raw > 8192 ? raw - 16384 : raw
        bit += 16
      } else if (head >>> 29 === 6) {
        const raw = (head >>> 12) & 0x1ffff
        deltaMs += raw > 65536 ? raw - 131072 : raw
        bit += 20
      } else if (head >>> 28 === 14) {
        const raw = (head >>> 8) & 0xfffff
        deltaMs += raw > 524288 ? raw - 1048576 : raw
        bit += 24
      } else {
        deltaMs += peek32(view, bit + 4) * 4294967296 + (peek32(view, bit + 36) >>> 0)
        bit += 68
      }
    }
    timeMs += deltaMs
    const control = peek32(view, bit)
    if (control >>> 31 === 0) bit += 1
    else {
      if (control >>> 30 === 3) {
        leading = (control >>> 25) & 31
        width = (control >>> 19) & 63 || 64
        trailing = 64 - leading - width
        if (trailing < 0) throw new CorruptDataError('xor chunk: a value window wider than 64 bits')
        bit += 13
      } else {
        if (leading === noWindow) throw new CorruptDataError('xor chunk: a value reuses a window before there is one')
        bit += 2
      }
      const high = width > 32 ? peek32(view, bit) >>> (64 - width) : 0
      const low = width > 32 ? peek32(view, bit + width - 32) : peek32(view, bit) >>> (32 - width)
      bit += width
      if (trailing >= 32) hi ^= low << (trailing - 32)
      else {
        hi ^= trailing === 0 ? high : (high << trailing) | (low >>> (32 - trailing))
        lo ^= low << trailing
      }
    }
    timesMs[at + i] = timeMs
    words[2 * (at + i)] = lo
    words[2 * (at + i) + 1] = hi
  }
  if (bit > end) throw new CorruptDataError(`xor chunk: ${count} samples need more than ${to - from} bytes`)
}

/** 32 bits from any bit position, as a signed word. */
function peek32(view: DataView, bit: number): number {
  const i = bit >>> 3
  const shift = bit & 7
  // A shift by 32 - 0 would be one by 0: the next byte is taken in two steps.
  return (view.getInt32(i) << shift) | ((view.getUint8(i + 4) >>> 1) >>> (7 - shift))
}

/** Encodes samples of one series, given as columns, into one chunk. At most 240 of them. */
export function encodeXor(timesMs: Float64Array, words: Uint32Array, from: number, to: number): Uint8Array {
  scratchChunk.reserve(1)
  scratchChunk.clear(0)
  for (let i = from; i < to; i++) scratchChunk.append(0, timesMs[i]!, words[2 * i + 1]!, words[2 * i]!)
  return scratchChunk.bytes(0).slice()
}

const scratchChunk = new OpenXorChunks()
