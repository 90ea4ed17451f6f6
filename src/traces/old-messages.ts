/**
 * What vParquet3 keeps as protobuf messages instead of columns: values of attributes of events, and a span's links.
 * Their form is OTLP's: AnyValue, and a message of Span.Link in field 1.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readTextReplacing, skipField } from '#codec/protobuf.ts'
import type { AnyValue, Attribute, SpanLink } from '#model/trace.ts'

/** Deeper values of attributes are nothing. */
const levelsMax = 32

/** The next field's message. */
function inner(input: ByteReader): ByteReader {
  const length = input.readLength()
  input.skip(length)
  return new ByteReader(input.bytes, input.at - length, input.at)
}

function copyOf(input: ByteReader): Uint8Array {
  return input.readBytes(input.readLength()).slice()
}

/** Throws CorruptDataError. */
export function decodeOldValue(bytes: Uint8Array): AnyValue {
  return readValue(new ByteReader(bytes), 0)
}

function readValue(input: ByteReader, level: number): AnyValue {
  let value: AnyValue = { kind: 'none' }
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) value = { kind: 'string', value: readTextReplacing(input) }
    else if (tag === 0x10) value = { kind: 'bool', value: input.readUvarint() !== 0 }
    else if (tag === 0x18) value = { kind: 'int', value: readBigInt(input) }
    else if (tag === 0x21) value = { kind: 'double', value: readDouble(input) }
    else if (tag === 0x2a) value = readArray(inner(input), level)
    else if (tag === 0x32) value = readMap(inner(input), level)
    else if (tag === 0x3a) value = { kind: 'bytes', value: copyOf(input) }
    else skipField(input, tag)
  }
  return value
}

function readArray(input: ByteReader, level: number): AnyValue {
  const values: AnyValue[] = []
  while (input.at < input.end && level < levelsMax) {
    const tag = input.readUvarint()
    if (tag === 0x0a) values.push(readValue(inner(input), level + 1))
    else skipField(input, tag)
  }
  return { kind: 'array', values }
}

function readMap(input: ByteReader, level: number): AnyValue {
  const entries: Attribute[] = []
  while (input.at < input.end && level < levelsMax) {
    const tag = input.readUvarint()
    if (tag === 0x0a) entries.push(readAttribute(inner(input), level + 1))
    else skipField(input, tag)
  }
  return { kind: 'map', entries }
}

function readAttribute(input: ByteReader, level: number): Attribute {
  const attribute: Attribute = { key: '', value: { kind: 'none' } }
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) attribute.key = readTextReplacing(input)
    else if (tag === 0x12) attribute.value = readValue(inner(input), level)
    else skipField(input, tag)
  }
  return attribute
}

function readDouble(input: ByteReader): number {
  input.need(8)
  const value = input.view.getFloat64(input.at, true)
  input.skip(8)
  return value
}

function readBigInt(input: ByteReader): bigint {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = input.readU8()
    value |= BigInt(byte & 127) << shift
    if (byte < 128) break
  }
  return BigInt.asIntN(64, value)
}

/** Throws CorruptDataError. */
export function decodeOldLinks(bytes: Uint8Array): SpanLink[] {
  const input = new ByteReader(bytes)
  const links: SpanLink[] = []
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) links.push(readLink(inner(input)))
    else skipField(input, tag)
  }
  return links
}

function readLink(input: ByteReader): SpanLink {
  const none = new Uint8Array(0)
  const link: SpanLink = { traceId: none, spanId: none, traceState: '', attributes: [], dropped: 0, flags: 0 }
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) link.traceId = copyOf(input)
    else if (tag === 0x12) link.spanId = copyOf(input)
    else if (tag === 0x1a) link.traceState = readTextReplacing(input)
    else if (tag === 0x22) link.attributes.push(readAttribute(inner(input), 0))
    else if (tag === 0x28) link.dropped = input.readUvarint()
    else skipField(input, tag)
  }
  return link
}
