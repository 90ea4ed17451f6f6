/**
 * Thrift's compact protocol, as far as Parquet's footers and page headers need it. A struct is read into a map by
 * field number. Source: the public protocol description (thrift-compact-protocol.md).
 */
import { CorruptDataError } from '#core/errors.ts'
import type { ByteReader } from '../byte-reader.ts'
import { ByteWriter } from '../byte-writer.ts'

/** A value as it was read; whole numbers of all widths are numbers, rounded beyond 2^53. */
export type ThriftValue = number | boolean | Uint8Array | ThriftValue[] | ThriftStruct
/** Fields by number. */
export type ThriftStruct = Map<number, ThriftValue>

const depthMax = 16
const listMax = 1_000_000

function readValue(input: ByteReader, type: number, depth: number): ThriftValue {
  if (depth > depthMax) throw new CorruptDataError(`thrift: values are nested more than ${depthMax} deep`)
  switch (type) {
    case 1:
      return true
    case 2:
      return false
    case 3:
      return (input.readU8() << 24) >> 24
    case 4:
    case 5:
    case 6:
      return input.readVarint()
    case 7: {
      input.need(8)
      input.at += 8
      return input.view.getFloat64(input.at - 8, true)
    }
    case 8:
      return input.readBytes(input.readLength())
    case 9:
    case 10: {
      const head = input.readU8()
      const count = head >>> 4 === 15 ? input.readUvarint() : head >>> 4
      const inner = head & 15
      if (count > listMax || count > input.end - input.at)
        throw new CorruptDataError(`thrift: a list of ${count} in ${input.end - input.at} bytes`)
      const list: ThriftValue[] = []
      for (let i = 0; i < count; i++) list.push(inner <= 2 ? input.readU8() === 1 : readValue(input, inner, depth + 1))
      return list
    }
    case 12:
      return readStruct(input, depth + 1)
    default:
      throw new CorruptDataError(`thrift: type ${type} is not used in Parquet`)
  }
}

/** Reads a struct up to its stop byte. Throws CorruptDataError. */
export function readStruct(input: ByteReader, depth = 0): ThriftStruct {
  const fields: ThriftStruct = new Map()
  let number = 0
  for (;;) {
    const head = input.readU8()
    if (head === 0) return fields
    number = head >>> 4 === 0 ? input.readVarint() : number + (head >>> 4)
    fields.set(number, readValue(input, head & 15, depth))
  }
}

/** Values by field number, with the type of each. */
export type ThriftField =
  | readonly [number: number, type: 'i8' | 'i32' | 'i64' | 'bool' | 'binary', value: number | boolean | Uint8Array]
  | readonly [number: number, type: 'struct', value: readonly ThriftField[]]
  | readonly [number: number, type: 'list-i32', value: readonly number[]]
  | readonly [number: number, type: 'list-struct', value: readonly (readonly ThriftField[])[]]
  | readonly [number: number, type: 'list-binary', value: readonly Uint8Array[]]

function listHead(out: ByteWriter, count: number, type: number): void {
  if (count < 15) out.writeU8((count << 4) | type)
  else {
    out.writeU8(0xf0 | type)
    out.writeUvarint(count)
  }
}

/** Fields must come in ascending order of their numbers. */
export function writeStruct(out: ByteWriter, fields: readonly ThriftField[]): void {
  let last = 0
  for (const field of fields) {
    const [number, type] = field
    const code = {
      i8: 3,
      i32: 5,
      i64: 6,
      bool: field[2] === true ? 1 : 2,
      binary: 8,
      struct: 12,
      'list-i32': 9,
      'list-struct': 9,
      'list-binary': 9,
    }[type]
    const step = number - last
    if (step > 0 && step <= 15) out.writeU8((step << 4) | code)
    else {
      out.writeU8(code)
      out.writeVarint(number)
    }
    last = number
    switch (type) {
      case 'bool':
        break
      case 'i8':
        out.writeU8((field[2] as number) & 255)
        break
      case 'i32':
      case 'i64':
        out.writeVarint(field[2] as number)
        break
      case 'binary': {
        const bytes = field[2] as Uint8Array
        out.writeUvarint(bytes.length)
        out.writeBytes(bytes)
        break
      }
      case 'struct':
        writeStruct(out, field[2])
        break
      case 'list-i32':
        listHead(out, field[2].length, 5)
        for (const value of field[2]) out.writeVarint(value)
        break
      case 'list-struct':
        listHead(out, field[2].length, 12)
        for (const value of field[2]) writeStruct(out, value)
        break
      default:
        listHead(out, field[2].length, 8)
        for (const value of field[2]) {
          out.writeUvarint(value.length)
          out.writeBytes(value)
        }
    }
  }
  out.writeU8(0)
}

/** The bytes of one struct. */
export function encodeStruct(fields: readonly ThriftField[]): Uint8Array {
  const out = new ByteWriter(256)
  writeStruct(out, fields)
  return out.bytes()
}
