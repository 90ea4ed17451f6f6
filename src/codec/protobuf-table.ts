/**
 * Protobuf messages described by tables, to and from the objects that their JSON mapping gives: for answers that
 * exist in both forms, not for hot paths. 64-bit integers are decimal texts or numbers, bytes are base64.
 */
import { CorruptDataError } from '#core/errors.ts'
import { setOwn } from '#core/own.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { readText, skipField } from './protobuf.ts'

/** What JSON can hold. */
export type JsonLike = string | number | boolean | null | JsonLike[] | { [name: string]: JsonLike }
/** What a field holds; a function gives the table of a message. */
export type FieldKind = 'string' | 'bytes' | 'int' | 'double' | 'bool' | (() => MessageTable)
/** Field number, what it holds, and whether it stands several times or is a map from texts. */
export type FieldRow = readonly [number: number, kind: FieldKind, many?: 'list' | 'map']
/** A message's fields by their JSON names. */
export type MessageTable = Readonly<Record<string, FieldRow>>

const depthMax = 32

function writeScalar(out: ByteWriter, number: number, kind: FieldKind, value: JsonLike): void {
  switch (kind) {
    case 'string':
    case 'bytes': {
      const bytes = Buffer.from(String(value), kind === 'string' ? 'utf8' : 'base64')
      out.writeUvarint(number * 8 + 2)
      out.writeUvarint(bytes.length)
      out.writeBytes(bytes)
      return
    }
    case 'int':
    case 'bool': {
      let n = BigInt.asUintN(64, kind === 'bool' ? (value === true ? 1n : 0n) : BigInt(value as string | number))
      out.writeUvarint(number * 8)
      while (n >= 128n) {
        out.writeU8(Number(n & 127n) | 128)
        n >>= 7n
      }
      out.writeU8(Number(n))
      return
    }
    case 'double': {
      out.writeUvarint(number * 8 + 1)
      out.writeF64LittleEndian(Number(value))
      return
    }
    default: {
      const inner = encodeMessage(kind(), value as { [name: string]: JsonLike })
      out.writeUvarint(number * 8 + 2)
      out.writeUvarint(inner.length)
      out.writeBytes(inner)
    }
  }
}

/** Members that the table doesn't name are left out; those that are there are written, zeros too. */
export function encodeMessage(table: MessageTable, value: Readonly<Record<string, JsonLike>>): Uint8Array {
  const out = new ByteWriter(256)
  for (const [name, member] of Object.entries(value)) {
    const row = table[name]
    if (row === undefined || member === null) continue
    const [number, kind, many] = row
    if (many === 'list') for (const one of member as JsonLike[]) writeScalar(out, number, kind, one)
    else if (many === 'map') {
      for (const [key, one] of Object.entries(member as { [name: string]: JsonLike })) {
        const entry = new ByteWriter(64)
        writeScalar(entry, 1, 'string', key)
        writeScalar(entry, 2, kind, one)
        out.writeUvarint(number * 8 + 2)
        out.writeUvarint(entry.at)
        out.writeBytes(entry.bytes())
      }
    } else writeScalar(out, number, kind, member)
  }
  return Uint8Array.from(out.bytes())
}

function varint(input: ByteReader): bigint {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = input.readU8()
    value |= BigInt(byte & 127) << shift
    if (byte < 128) return BigInt.asIntN(64, value)
  }
  throw new CorruptDataError('protobuf: a varint longer than 10 bytes')
}

function readScalar(input: ByteReader, tag: number, name: string, kind: FieldKind, depth: number): JsonLike {
  const type = kind === 'int' || kind === 'bool' ? 0 : kind === 'double' ? 1 : 2
  if ((tag & 7) !== type)
    throw new CorruptDataError(`protobuf: ${name} (field ${tag >>> 3}) has wire type ${tag & 7}, ${type} was expected`)
  switch (kind) {
    case 'string':
      return readText(input)
    case 'bytes':
      return Buffer.from(input.readBytes(input.readLength())).toString('base64')
    case 'bool':
      return varint(input) !== 0n
    case 'int':
      return String(varint(input))
    case 'double': {
      input.need(8)
      input.at += 8
      return input.view.getFloat64(input.at - 8, true)
    }
    default: {
      const end = input.readLength() + input.at
      return readFields(kind(), input, end, depth + 1)
    }
  }
}

/** What a map's entry without a value stands for. */
function absentValue(kind: FieldKind): JsonLike {
  if (typeof kind === 'function') return {}
  if (kind === 'string' || kind === 'bytes') return ''
  return kind === 'bool' ? false : '0'
}

function readFields(table: MessageTable, input: ByteReader, end: number, depth: number): { [name: string]: JsonLike } {
  if (depth > depthMax) throw new CorruptDataError(`protobuf: messages are nested more than ${depthMax} deep`)
  const value: { [name: string]: JsonLike } = {}
  const rows = new Map(Object.entries(table).map(([name, row]) => [row[0], { name, kind: row[1], many: row[2] }]))
  while (input.at < end) {
    const tag = input.readUvarint()
    const row = rows.get(tag >>> 3)
    if (row === undefined) {
      skipField(input, tag)
      continue
    }
    const { name, kind, many } = row
    if (many === 'map') {
      const to = input.readLength() + input.at
      const entry = readFields({ key: [1, 'string'], value: [2, kind] }, input, to, depth + 1)
      const map = (value[name] ??= {}) as { [key: string]: JsonLike }
      setOwn(map, String(entry['key'] ?? ''), entry['value'] ?? absentValue(kind))
    } else if (many === 'list') ((value[name] ??= []) as JsonLike[]).push(readScalar(input, tag, name, kind, depth))
    else value[name] = readScalar(input, tag, name, kind, depth)
  }
  if (input.at > end) throw new CorruptDataError('protobuf: a field reaches beyond its message')
  return value
}

/** Throws CorruptDataError. Fields that the message doesn't have are absent. */
export function decodeMessage(table: MessageTable, message: Uint8Array): { [name: string]: JsonLike } {
  return readFields(table, new ByteReader(message), message.length, 0)
}
