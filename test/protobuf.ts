/** Protobuf messages from objects in the notation of their JSON form, for tests of decoders. */
import { ByteWriter } from '#codec/byte-writer.ts'

/** `hex`: bytes. Whole numbers may be numbers, bigints or digits. */
export type Kind = 'text' | 'hex' | 'bool' | 'varint' | 'sint' | 'fixed32' | 'fixed64' | 'double' | (() => Schema)
/** Field number, what it holds, and whether a list of it is packed. Lists are repeated fields. */
export type Schema = Readonly<Record<string, readonly [number: number, kind: Kind, form?: 'packed']>>
export type Message = Readonly<Record<string, unknown>>

const wireTypes = { text: 2, hex: 2, bool: 0, varint: 0, sint: 0, fixed32: 5, fixed64: 1, double: 1 } as const

/** The message's bytes, fields in the order of the object. A member that the schema does not name is an error. */
export function protobuf(schema: Schema, message: Message): Uint8Array {
  const out = new ByteWriter()
  for (const [name, value] of Object.entries(message)) {
    const row = schema[name]
    if (row === undefined) throw new Error(`the schema has no field ${name}`)
    const [number, kind, form] = row
    const values: readonly unknown[] = Array.isArray(value) ? value : [value]
    if (form === 'packed') {
      const packed = new ByteWriter()
      for (const one of values) write(packed, kind, one)
      writeDelimited(out, number, packed.bytes())
    } else
      for (const one of values) {
        if (typeof kind === 'function') writeDelimited(out, number, protobuf(kind(), one as Message))
        else {
          out.writeUvarint(number * 8 + wireTypes[kind])
          write(out, kind, one)
        }
      }
  }
  return out.copy()
}

function writeDelimited(out: ByteWriter, number: number, bytes: Uint8Array): void {
  out.writeUvarint(number * 8 + 2)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function write(out: ByteWriter, kind: Kind, value: unknown): void {
  switch (kind) {
    case 'text':
    case 'hex': {
      const bytes = Buffer.from(String(value), kind === 'text' ? 'utf8' : 'hex')
      out.writeUvarint(bytes.length)
      out.writeBytes(bytes)
      return
    }
    case 'double':
      out.writeF64LittleEndian(Number(value))
      return
    case 'fixed32':
    case 'fixed64': {
      let rest = BigInt.asUintN(64, BigInt(String(value)))
      for (let i = 0; i < (kind === 'fixed32' ? 4 : 8); i++, rest >>= 8n) out.writeU8(Number(rest & 255n))
      return
    }
    case 'bool':
      out.writeU8(value === true ? 1 : 0)
      return
    default: {
      const whole = BigInt(String(value))
      let rest = BigInt.asUintN(64, kind === 'sint' ? (whole << 1n) ^ (whole >> 63n) : whole)
      for (; rest >= 128n; rest >>= 7n) out.writeU8(Number(rest & 127n) | 128)
      out.writeU8(Number(rest))
    }
  }
}
