/** Texts in records of the write-ahead log: uvarint length, UTF-8 bytes. */
import type { ByteReader } from '#codec/byte-reader.ts'
import type { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { decodeUtf8, encodeUtf8 } from '#core/text.ts'

export function writeText(out: ByteWriter, text: string): void {
  // Short ASCII, the usual name and value, goes in byte by byte.
  const length = text.length
  if (length < 64) {
    out.reserve(length + 2)
    const { buffer, at } = out
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 128) break
      buffer[at + 1 + i] = code
    }
    if (i === length) {
      buffer[at] = length
      out.at = at + 1 + length
      return
    }
  }
  const bytes = encodeUtf8(text)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

/** Throws CorruptDataError. */
export function readText(input: ByteReader): string {
  const length = input.readLength()
  const text = decodeUtf8(input.bytes, input.at, input.at + length)
  if (text === undefined) throw new CorruptDataError('WAL record: a text is not UTF-8')
  input.at += length
  return text
}
