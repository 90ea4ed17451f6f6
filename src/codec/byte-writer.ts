/** A growing byte buffer; big endian unless a name says otherwise. `bytes()` is a view that the next write may move. */
import { assert } from '#core/assert.ts'
import { grown } from '#core/grown.ts'

/** Bytes in `buffer` up to `at`. */
export class ByteWriter {
  buffer: Uint8Array<ArrayBuffer>
  view: DataView
  at = 0

  constructor(capacity = 256) {
    this.buffer = new Uint8Array(capacity)
    this.view = new DataView(this.buffer.buffer)
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.at + count
    if (needed <= this.buffer.length) return
    this.buffer = grown(this.buffer.subarray(0, this.at), new Uint8Array(Math.max(needed, this.buffer.length * 2)))
    this.view = new DataView(this.buffer.buffer)
  }

  writeU8(value: number): void {
    this.reserve(1)
    this.buffer[this.at++] = value
  }
  writeU16(value: number): void {
    this.reserve(2)
    this.view.setUint16(this.at, value)
    this.at += 2
  }
  writeU32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.at, value)
    this.at += 4
  }
  writeF64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.at, value)
    this.at += 8
  }
  writeF64LittleEndian(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  writeU64(value: number): void {
    this.writeU32(Math.floor(value / 4294967296))
    this.writeU32(value % 4294967296)
  }

  writeUvarint(value: number): void {
    assert(value >= 0 && value < Infinity, `${value} is no unsigned number`)
    this.reserve(10)
    while (value >= 128) {
      this.buffer[this.at++] = (value % 128) | 128
      value = Math.floor(value / 128)
    }
    this.buffer[this.at++] = value
  }

  /** Zig-zag; exact for |value| <= 2^52. */
  writeVarint(value: number): void {
    this.writeUvarint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  writeBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }

  /** A protobuf varint of a signed 64-bit field (negative numbers take ten bytes). */
  writeProtoInt64(value: number): void {
    if (value >= 0) {
      this.writeUvarint(value)
      return
    }
    let big = BigInt.asUintN(64, BigInt(value))
    while (big >= 128n) {
      this.writeU8(Number(big & 127n) | 128)
      big >>= 7n
    }
    this.writeU8(Number(big))
  }

  padTo(multiple: number): void {
    const rest = this.at % multiple
    if (rest === 0) return
    this.reserve(multiple - rest)
    this.buffer.fill(0, this.at, this.at + multiple - rest)
    this.at += multiple - rest
  }

  reset(): void {
    this.at = 0
  }
  bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.subarray(0, this.at)
  }
  copy(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.at)
  }
}
