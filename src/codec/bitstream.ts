/**
 * Bits, most significant first, for the chunk formats that are not on the hottest path (xor-chunk.ts has its own
 * inlined).
 */
import { CorruptDataError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'

const scratch = new DataView(new ArrayBuffer(8))

/** Appends bits to a growing buffer. */
export class BitWriter {
  bytes = new Uint8Array(128)
  bitEnd = 0

  #reserve(bits: number): void {
    const needed = (this.bitEnd + bits + 7) >>> 3
    if (needed <= this.bytes.length) return
    this.bytes = grown(this.bytes, new Uint8Array(Math.max(needed, this.bytes.length * 2)))
  }

  /** The low `count` <= 32 bits of `value`. */
  writeBits(value: number, count: number): void {
    this.#reserve(count)
    while (count > 0) {
      const free = 8 - (this.bitEnd & 7)
      const take = Math.min(free, count)
      this.bytes[this.bitEnd >>> 3]! |= ((value >>> (count - take)) & ((1 << take) - 1)) << (free - take)
      this.bitEnd += take
      count -= take
    }
  }

  /** The low `count` <= 64 bits of a two's complement whole number; exact for |value| <= 2^53. */
  writeWide(value: number, count: number): void {
    if (count > 32) this.writeBits(Math.floor(value / 4294967296) | 0, count - 32)
    this.writeBits((value % 4294967296) | 0, Math.min(count, 32))
  }

  writeF64(value: number): void {
    scratch.setFloat64(0, value)
    this.writeBits(scratch.getUint32(0), 32)
    this.writeBits(scratch.getUint32(4), 32)
  }

  /** A signed whole number in 1 to 72 bits. */
  writeVarbitInt(value: number): void {
    if (value === 0) {
      this.writeBits(0, 1)
      return
    }
    for (let i = 0; i < varbitWidths.length; i++) {
      const width = varbitWidths[i]!
      const half = 2 ** (width - 1)
      if (value >= -(half - 1) && value <= half) {
        this.#writePrefixed(i, value, width)
        return
      }
    }
    this.writeBits(0xff, 8)
    this.writeWide(value, 64)
  }

  /** The same for an unsigned one. */
  writeVarbitUint(value: number): void {
    if (value === 0) {
      this.writeBits(0, 1)
      return
    }
    for (let i = 0; i < varbitWidths.length; i++) {
      const width = varbitWidths[i]!
      if (value < 2 ** width) {
        this.#writePrefixed(i, value, width)
        return
      }
    }
    this.writeBits(0xff, 8)
    this.writeWide(value, 64)
  }

  #writePrefixed(index: number, value: number, width: number): void {
    this.writeBits(2 ** (index + 2) - 2, index + 2)
    this.writeWide(value, width)
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, (this.bitEnd + 7) >>> 3)
  }
}

/** Widths behind the prefixes 10, 110, 1110 ... */
const varbitWidths = [3, 6, 9, 12, 18, 25, 56] as const

/** A cursor over the bits of bytes[from, to). Throws CorruptDataError at their end. */
export class BitReader {
  readonly #bytes: Uint8Array
  #at: number
  readonly #end: number

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes
    this.#at = from * 8
    this.#end = to * 8
  }

  readBit(): number {
    return this.readBits(1)
  }

  /** `count` <= 32 bits, unsigned. */
  readBits(count: number): number {
    if (this.#at + count > this.#end) throw new CorruptDataError('chunk: truncated bit stream')
    let value = 0
    while (count > 0) {
      const left = 8 - (this.#at & 7)
      const take = Math.min(left, count)
      value = value * 2 ** take + ((this.#bytes[this.#at >>> 3]! >>> (left - take)) & ((1 << take) - 1))
      this.#at += take
      count -= take
    }
    return value
  }

  /** `count` <= 64 bits, unsigned; rounded above 2^53. */
  readWide(count: number): number {
    if (count <= 32) return this.readBits(count)
    const hi = this.readBits(count - 32)
    return hi * 4294967296 + this.readBits(32)
  }

  readF64(): number {
    scratch.setUint32(0, this.readBits(32))
    scratch.setUint32(4, this.readBits(32))
    return scratch.getFloat64(0)
  }

  readUvarint(): number {
    let value = 0
    for (let i = 0, scale = 1; i < 10; i++, scale *= 128) {
      const byte = this.readBits(8)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw new CorruptDataError('chunk: a varint longer than 10 bytes')
  }

  readVarint(): number {
    const raw = this.readUvarint()
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
  }

  #prefix(): number {
    let ones = 0
    while (ones < 8 && this.readBit() === 1) ones++
    return ones
  }

  readVarbitInt(): number {
    const ones = this.#prefix()
    if (ones === 0) return 0
    if (ones === 8) {
      const hi = this.readBits(32) | 0
      return hi * 4294967296 + this.readBits(32)
    }
    const width = varbitWidths[ones - 1]!
    const raw = this.readWide(width)
    return raw > 2 ** (width - 1) ? raw - 2 ** width : raw
  }

  readVarbitUint(): number {
    const ones = this.#prefix()
    if (ones === 0) return 0
    return ones === 8 ? this.readWide(64) : this.readWide(varbitWidths[ones - 1]!)
  }
}

/**
 * The XOR coding of one stream of float64s (V in docs/formats/prometheus-block.md), as float histograms hold several
 * of.
 */
export class XorValueWriter {
  #hi = 0
  #lo = 0
  #leading = -1
  #trailing = 0

  first(out: BitWriter, value: number): void {
    out.writeF64(value)
    this.#set(value)
  }

  #set(value: number): void {
    scratch.setFloat64(0, value)
    this.#hi = scratch.getUint32(0)
    this.#lo = scratch.getUint32(4)
  }

  /** Writes the staleness marker, whose payload a number would lose. */
  writeStale(out: BitWriter, first: boolean): void {
    if (first) {
      this.#hi = 0x7ff00000
      this.#lo = 2
      out.writeBits(this.#hi, 32)
      out.writeBits(this.#lo, 32)
    } else this.#writeWords(out, 0x7ff00000, 2)
  }

  /** Writes the last value once more. */
  repeat(out: BitWriter): void {
    out.writeBits(0, 1)
  }

  write(out: BitWriter, value: number): void {
    scratch.setFloat64(0, value)
    this.#writeWords(out, scratch.getUint32(0), scratch.getUint32(4))
  }

  #writeWords(out: BitWriter, hi: number, lo: number): void {
    const xorHi = (hi ^ this.#hi) >>> 0
    const xorLo = (lo ^ this.#lo) >>> 0
    this.#hi = hi
    this.#lo = lo
    if (xorHi === 0 && xorLo === 0) {
      out.writeBits(0, 1)
      return
    }
    const leading = Math.min(31, xorHi !== 0 ? Math.clz32(xorHi) : 32 + Math.clz32(xorLo))
    const trailing = xorLo !== 0 ? 31 - Math.clz32(xorLo & -xorLo) : 63 - Math.clz32(xorHi & -xorHi)
    if (this.#leading >= 0 && leading >= this.#leading && trailing >= this.#trailing) {
      out.writeBits(2, 2)
      writeShifted(out, xorHi, xorLo, this.#trailing, 64 - this.#leading - this.#trailing)
      return
    }
    this.#leading = leading
    this.#trailing = trailing
    const significant = 64 - leading - trailing
    out.writeBits(3, 2)
    out.writeBits(leading, 5)
    out.writeBits(significant & 63, 6)
    writeShifted(out, xorHi, xorLo, trailing, significant)
  }
}

function writeShifted(out: BitWriter, hi: number, lo: number, shift: number, count: number): void {
  const low = shift === 0 ? lo : shift < 32 ? ((lo >>> shift) | (hi << (32 - shift))) >>> 0 : hi >>> (shift - 32)
  const high = shift === 0 ? hi : shift < 32 ? hi >>> shift : 0
  if (count > 32) out.writeBits(high, count - 32)
  out.writeBits(low, Math.min(count, 32))
}

/** Reads a stream that XorValueWriter wrote. Throws CorruptDataError. */
export class XorValueReader {
  #hi = 0
  #lo = 0
  #leading = -1
  #trailing = 0

  get value(): number {
    scratch.setUint32(0, this.#hi)
    scratch.setUint32(4, this.#lo)
    return scratch.getFloat64(0)
  }

  /** The two halves, for callers that must keep the payload of a NaN. */
  get isStale(): boolean {
    return this.#hi === 0x7ff00000 && this.#lo === 2
  }

  first(input: BitReader): void {
    this.#hi = input.readBits(32)
    this.#lo = input.readBits(32)
  }

  next(input: BitReader): void {
    if (input.readBit() === 0) return
    if (input.readBit() === 1) {
      this.#leading = input.readBits(5)
      const significant = input.readBits(6) || 64
      this.#trailing = 64 - this.#leading - significant
      if (this.#trailing < 0) throw new CorruptDataError('chunk: a value window wider than 64 bits')
    } else if (this.#leading < 0) {
      throw new CorruptDataError('chunk: a value reuses a window before there is one')
    }
    const count = 64 - this.#leading - this.#trailing
    const high = count > 32 ? input.readBits(count - 32) : 0
    const low = input.readBits(Math.min(count, 32))
    const shift = this.#trailing
    this.#hi =
      (this.#hi ^
        (shift === 0 ? high : shift < 32 ? (high << shift) | (low >>> (32 - shift)) : low << (shift - 32))) >>>
      0
    this.#lo = (this.#lo ^ (shift < 32 ? low << shift : 0)) >>> 0
  }
}
