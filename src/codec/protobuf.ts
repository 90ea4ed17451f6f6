/** The pieces of protobuf's wire format that decoders by hand need. Source: the public encoding description. */
import { CorruptDataError } from '#core/errors.ts'
import { decodeUtf8, decodeUtf8Marking, decodeUtf8Replacing } from '#core/text.ts'
import type { ByteReader } from './byte-reader.ts'

/** Skips a field of any wire type. */
export function skipField(input: ByteReader, tag: number): void {
  switch (tag & 7) {
    case 0:
      input.readUvarint()
      return
    case 1:
      input.skip(8)
      return
    case 2:
      input.skip(input.readLength())
      return
    case 5:
      input.skip(4)
      return
    default:
      throw new CorruptDataError(`protobuf: wire type ${tag & 7} at ${input.at}`)
  }
}

/** A protobuf int64 varint as a number: negative ones come as ten bytes. */
export function readInt64(input: ByteReader): number {
  let value = 0
  let scale = 1
  for (let i = 0; i < 10; i++) {
    const byte = input.readU8()
    if (i === 9 || (i === 8 && byte >= 128)) return negative(input, i)
    value += (byte & 127) * scale
    if (byte < 128) return value
    scale *= 128
  }
  throw new CorruptDataError('protobuf: a varint longer than 10 bytes')
}

/** The rare long form, read again from its start, exactly. */
function negative(input: ByteReader, consumed: number): number {
  input.at -= consumed + 1
  let big = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = input.readU8()
    big |= BigInt(byte & 127) << shift
    if (byte < 128) return Number(BigInt.asIntN(64, big))
    if (shift > 63n) throw new CorruptDataError('protobuf: a varint longer than 10 bytes')
  }
}

/** A length-delimited string; bytes that are no UTF-8 become U+FFFD. */
export function readTextReplacing(input: ByteReader): string {
  const length = input.readLength()
  input.at += length
  return decodeUtf8Replacing(input.bytes, input.at - length, input.at)
}

/** A length-delimited string that is not well-formed where its bytes are no UTF-8: see `decodeUtf8Marking`. */
export function readTextMarking(input: ByteReader): string {
  const length = input.readLength()
  input.at += length
  return decodeUtf8Marking(input.bytes, input.at - length, input.at)
}

/** A length-delimited string; CorruptDataError where it is not UTF-8. */
export function readText(input: ByteReader): string {
  const length = input.readLength()
  const text = decodeUtf8(input.bytes, input.at, input.at + length)
  if (text === undefined) throw new CorruptDataError('protobuf: a string is not UTF-8')
  input.at += length
  return text
}
