/** Snappy, framed. Source: the public description, github.com/google/snappy/framing_format.txt. */
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { ByteWriter } from './byte-writer.ts'
import { crc32c } from './crc32c.ts'
import { decodeSnappy, encodeSnappy } from './snappy.ts'

const streamId = [0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59] as const
const frameBytesMax = 65536

function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** All of a framed stream. Throws LimitError beyond `bytesMax`, CorruptDataError for anything malformed. */
export function decodeSnappyFrames(source: Uint8Array, bytesMax: number): Uint8Array {
  const out = new ByteWriter(Math.min(bytesMax, source.length * 4 + 64))
  let at = 0
  while (at < source.length) {
    if (at + 4 > source.length) throw new CorruptDataError('snappy stream: a frame head is cut off')
    const type = source[at]!
    const length = source[at + 1]! | (source[at + 2]! << 8) | (source[at + 3]! << 16)
    at += 4
    if (length > source.length - at) throw new CorruptDataError('snappy stream: a frame is cut off')
    const body = source.subarray(at, at + length)
    at += length
    if (type === 0xff || type >= 0x80) continue
    if (type > 1) throw new CorruptDataError(`snappy stream: a frame of type ${type}`)
    if (length < 4) throw new CorruptDataError('snappy stream: a frame without a checksum')
    const expected = (body[0]! | (body[1]! << 8) | (body[2]! << 16) | (body[3]! << 24)) >>> 0
    const data = type === 0 ? decodeSnappy(body.subarray(4), frameBytesMax) : body.subarray(4)
    if (masked(crc32c(data)) !== expected) throw new CorruptDataError('snappy stream: a frame has a wrong checksum')
    if (out.at + data.length > bytesMax)
      throw new LimitError(`snappy stream: more than ${bytesMax} bytes when decoded`, 413)
    out.writeBytes(data)
  }
  return out.bytes()
}

/** A framed stream of `source`. */
export function encodeSnappyFrames(source: Uint8Array): Uint8Array {
  const out = new ByteWriter(source.length + 64)
  for (const byte of streamId) out.writeU8(byte)
  for (let from = 0; from < source.length; from += frameBytesMax) {
    const part = source.subarray(from, Math.min(source.length, from + frameBytesMax))
    const packed = encodeSnappy(part)
    const smaller = packed.length < part.length
    const body = smaller ? packed : part
    out.writeU8(smaller ? 0 : 1)
    const length = body.length + 4
    out.writeU8(length & 255)
    out.writeU8((length >>> 8) & 255)
    out.writeU8(length >>> 16)
    const crc = masked(crc32c(part))
    out.writeU8(crc & 255)
    out.writeU8((crc >>> 8) & 255)
    out.writeU8((crc >>> 16) & 255)
    out.writeU8(crc >>> 24)
    out.writeBytes(body)
  }
  return out.bytes()
}
