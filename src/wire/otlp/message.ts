/**
 * What the OTLP messages of logs and metrics share: fields, attributes, and their JSON form. Texts that are no UTF-8
 * are not well-formed here (`decodeUtf8Marking`): logs replace what is wrong, metrics refuse it. Source: the public
 * opentelemetry-proto definitions, v1.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readTextMarking, skipField } from '#codec/protobuf.ts'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { doubleOf, isRawNumber, numberText, rawNumber, wholeOf, type RawNumber } from '#core/json.ts'

/** Keys and values in the order of the message. */
export type Attributes = [string, AttributeValue][]
/** Integers that a double can't hold exactly keep their digits. */
export type AttributeValue =
  | string
  | number
  | RawNumber
  | boolean
  | null
  | AttributeValue[]
  | { [key: string]: AttributeValue }

/** An integer of 64 bits as an attribute's value. */
function intValue(value: bigint): number | RawNumber {
  const int = BigInt.asIntN(64, value)
  return int >= -9007199254740991n && int <= 9007199254740991n ? Number(int) : rawNumber(int)
}

/** What senders are told whose attributes lack a name. */
export const namelessAttribute = 'an attribute without a name was left out'

/** Readers of a message's fields by number. */
export type Fields = Readonly<Record<number, (input: ByteReader, tag: number) => void>>
/** Readers of a message's fields by number, which put what they read into `into`: one table for all messages. */
export type FieldsOf<T> = Readonly<Record<number, (input: ByteReader, tag: number, into: T) => void>>

/** Reads a message, handing known fields on by number. */
export function readMessage(input: ByteReader, fields: Fields): void {
  while (input.at < input.end) {
    const tag = input.readUvarint()
    const read = fields[tag >>> 3]
    if (read === undefined) skipField(input, tag)
    else read(input, tag)
  }
}

/** Reads a message into `into`. */
export function readInto<T>(input: ByteReader, fields: FieldsOf<T>, into: T): void {
  while (input.at < input.end) {
    const tag = input.readUvarint()
    const read = fields[tag >>> 3]
    if (read === undefined) skipField(input, tag)
    else read(input, tag, into)
  }
}

/** A reader of the length-delimited field that follows, behind which `input` goes on. */
export function inner(input: ByteReader): ByteReader {
  const length = input.readLength()
  input.at += length
  return new ByteReader(input.bytes, input.at - length, input.at)
}

/** An unsigned number of 64 bits, rounded beyond 2^53. */
export function fixed64(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return input.view.getUint32(input.at - 4, true) * 4294967296 + input.view.getUint32(input.at - 8, true)
}
/** A signed number of 64 bits, rounded beyond 2^53. */
export function sfixed64(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return Number(input.view.getBigInt64(input.at - 8, true))
}
/** A float64. */
export function double(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return input.view.getFloat64(input.at - 8, true)
}
/** Nanoseconds to whole milliseconds; no step of it is rounded. */
export function timeMs(input: ByteReader): number {
  input.need(8)
  input.at += 8
  const high = input.view.getUint32(input.at - 4, true)
  // 2^32 is 4294 milliseconds and 967,296 ns.
  return high * 4294 + Math.floor((high * 967_296 + input.view.getUint32(input.at - 8, true)) / 1e6)
}
/** The signed number of a zig-zag varint. */
export function zigzag(raw: number): number {
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
}

/** Packed or single. */
export function repeated(input: ByteReader, tag: number, read: (input: ByteReader) => number, into: number[]): void {
  if ((tag & 7) !== 2) {
    into.push(read(input))
    return
  }
  const part = inner(input)
  while (part.at < part.end) into.push(read(part))
}

/** Values in values, and attributes in them: deeper ones are refused before the stack ends. */
const depthMax = 100

/** A varint with a sign. */
function int64(input: ByteReader): number | RawNumber {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = input.readU8()
    value |= BigInt(byte & 127) << shift
    if (byte >= 128) continue
    return intValue(value)
  }
  throw new CorruptDataError('protobuf: a varint longer than 10 bytes')
}

/** An AnyValue message that reaches to the end of `input`. Throws CorruptDataError. */
export function anyValue(input: ByteReader, depth = 0): AttributeValue {
  if (depth > depthMax)
    throw new CorruptDataError(`OTLP: a value is nested more than ${depthMax} deep at byte ${input.at}`)
  let value: AttributeValue = null
  readMessage(input, {
    1: i => {
      value = readTextMarking(i)
    },
    2: i => {
      value = i.readUvarint() !== 0
    },
    3: i => {
      value = int64(i)
    },
    4: i => {
      value = double(i)
    },
    5: i => {
      const list: AttributeValue[] = []
      readMessage(inner(i), {
        1: j => {
          list.push(anyValue(inner(j), depth + 1))
        },
      })
      value = list
    },
    6: i => {
      const map: Attributes = []
      readMessage(inner(i), {
        1: j => {
          map.push(keyValue(inner(j), depth + 1))
        },
      })
      value = Object.fromEntries(map)
    },
    7: i => {
      value = Buffer.from(i.readBytes(i.readLength())).toString('base64')
    },
  })
  return value
}

/** A KeyValue message that reaches to the end of `input`. Throws CorruptDataError. */
export function keyValue(input: ByteReader, depth = 0): [string, AttributeValue] {
  let key = ''
  let value: AttributeValue = null
  readMessage(input, {
    1: i => {
      key = readTextMarking(i)
    },
    2: i => {
      value = anyValue(inner(i), depth)
    },
  })
  return [key, value]
}

/** The library that made the records. `dropped`: attributes that the sender left out. */
export interface Scope {
  name: string
  version: string
  attributes: Attributes
  dropped: number
}

const scopeFields: FieldsOf<Scope> = {
  1: (i, _, s) => {
    s.name = readTextMarking(i)
  },
  2: (i, _, s) => {
    s.version = readTextMarking(i)
  },
  3: (i, _, s) => {
    s.attributes.push(keyValue(inner(i)))
  },
  4: (i, _, s) => {
    s.dropped = i.readUvarint()
  },
}

/** An InstrumentationScope message that reaches to the end of `input`. Throws CorruptDataError. */
export function readScope(input: ByteReader): Scope {
  const scope: Scope = { name: '', version: '', attributes: [], dropped: 0 }
  readInto(input, scopeFields, scope)
  return scope
}

const resourceFields: FieldsOf<Attributes> = {
  1: (i, _, attributes) => {
    attributes.push(keyValue(inner(i)))
  },
}

/** Adds the attributes of a Resource message that reaches to the end of `input`. Throws CorruptDataError. */
export function readResource(input: ByteReader, attributes: Attributes): void {
  readInto(input, resourceFields, attributes)
}

/** A JSON object whose members are not known. */
export type Json = Record<string, unknown>

/** The members of JSON messages: what is absent, or of another type, is the empty value. */
export const list = (value: unknown): Json[] =>
  Array.isArray(value) ? value.filter((v): v is Json => typeof v === 'object' && v !== null) : []
/** Throws BadDataError for a text that spells no number: it must not become another one. */
export function number(value: unknown): number {
  if (typeof value !== 'string') return doubleOf(value) || 0
  if (value === '' || /^(?:NaN|[+-]?Infinity)$/.test(value)) return value === '' ? 0 : Number(value)
  const read = Number(value)
  if (Number.isNaN(read)) throw new BadDataError(`${JSON.stringify(value.slice(0, 100))} is no number`)
  return read
}
export const numbers = (value: unknown): number[] => (Array.isArray(value) ? value.map(number) : [])
/** The members of a list that should be messages, whatever they are. */
export const items = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [])
/** Throws BadDataError for what is no JSON object. */
export function message(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value)) return value as Json
  throw new BadDataError(`${what} is no JSON object`)
}
export const text = (value: unknown): string => (typeof value === 'string' ? value : '')
export const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})

/** A whole number of 64 bits, as JSON's number or as a text. Throws BadDataError for a text that spells none. */
export function whole(value: unknown): bigint {
  const text = typeof value === 'string' ? value : (numberText(value) ?? '')
  if (text === '') return 0n
  const read = wholeOf(text)
  if (read === undefined) throw new BadDataError(`${JSON.stringify(text.slice(0, 100))} is no whole number`)
  return read
}
/** Nanoseconds, as a number or as digits, to whole milliseconds. */
export const nanos = (value: unknown): number => Number(BigInt.asUintN(64, whole(value)) / 1_000_000n)

/** A request in its JSON form. Throws BadDataError for another value. */
export function jsonRequest(parsed: unknown): Json {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || isRawNumber(parsed))
    throw new BadDataError('the body is not a JSON object; an export request was expected')
  return parsed as Json
}

/** An AnyValue in its JSON form. Throws BadDataError where values are nested too deep. */
export function jsonValue(value: Json, depth = 0): AttributeValue {
  if (depth > depthMax) throw new BadDataError(`OTLP: a value is nested more than ${depthMax} deep`)
  if ('stringValue' in value) return text(value['stringValue'])
  if ('boolValue' in value) return value['boolValue'] === true
  if ('intValue' in value) return intValue(whole(value['intValue']))
  if ('doubleValue' in value) return number(value['doubleValue'])
  if ('arrayValue' in value)
    return list(object(value['arrayValue'])['values']).map(inner => jsonValue(inner, depth + 1))
  if ('kvlistValue' in value)
    return Object.fromEntries(jsonAttributes(object(value['kvlistValue'])['values'], depth + 1))
  return 'bytesValue' in value ? text(value['bytesValue']) : null
}

/** A list of KeyValues in its JSON form. Throws BadDataError where values are nested too deep. */
export function jsonAttributes(value: unknown, depth = 0): Attributes {
  return list(value).map(entry => [text(entry['key']), jsonValue(object(entry['value']), depth)])
}
