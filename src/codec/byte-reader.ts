/** A cursor over bytes that checks every length before it moves. Throws CorruptDataError and nothing else. */
import { CorruptDataError } from '#core/errors.ts'

/** A position `at` in bytes, which never passes `end`. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number
  readonly end: number

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = from
    this.end = to
    if (from > to || to > bytes.length)
      throw new CorruptDataError(`range ${from}..${to} lies outside ${bytes.length} bytes`)
  }

  /** Checks that `count` more bytes are there. */
  need(count: number): void {
    if (count < 0 || count > this.end - this.at)
      throw new CorruptDataError(`truncated: ${count} bytes wanted at ${this.at}, ${this.end - this.at} left`)
  }

  readU8(): number {
    this.need(1)
    return this.bytes[this.at++]!
  }
  readU16(): number {
    this.need(2)
    this.at += 2
    return this.view.getUint16(this.at - 2)
  }
  readU32(): number {
    this.need(4)
    this.at += 4
    return this.view.getUint32(this.at - 4)
  }
  readF64(): number {
    this.need(8)
    this.at += 8
    return this.view.getFloat64(this.at - 8)
  }

  /** Big-endian 64 bits as a number; what exceeds 2^53 is rounded. */
  readU64(): number {
    const hi = this.readU32()
    return hi * 4294967296 + this.readU32()
  }

  /** LEB128. Exact up to 2^53, rounded above. */
  readUvarint(): number {
    let result = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) throw new CorruptDataError(`truncated varint at ${this.at}`)
      const byte = this.bytes[this.at++]!
      result += (byte & 127) * scale
      if (byte < 128) return result
      scale *= 128
    }
    throw new CorruptDataError(`varint at ${this.at} is longer than 10 bytes`)
  }

  /** Zig-zag LEB128. Exact up to ±2^52. */
  readVarint(): number {
    const raw = this.readUvarint()
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
  }

  /** A length that must fit in what is left. */
  readLength(): number {
    const length = this.readUvarint()
    this.need(length)
    return length
  }

  /** A view, not a copy, of the next `count` bytes. */
  readBytes(count: number): Uint8Array {
    this.need(count)
    this.at += count
    // Not subarray: of a Buffer that would be a Buffer, which takes several times as long to make.
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.at - count, count)
  }

  skip(count: number): void {
    this.need(count)
    this.at += count
  }
}
