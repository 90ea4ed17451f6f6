/**
 * A Batch of jaeger.thrift in Thrift's binary protocol. Source: the public protocol description
 * (thrift-binary-protocol.md) and jaeger.thrift.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { elementsMax, tooMany } from '#core/body-limits.ts'
import { CorruptDataError } from '#core/errors.ts'
import { decodeUtf8Replacing } from '#core/text.ts'
import type { AnyValue, Trace } from '#model/trace.ts'
import {
  jaegerBatch,
  type JaegerLog,
  type JaegerProcess,
  type JaegerReference,
  type JaegerSpan,
  type JaegerTag,
} from './model.ts'

type ThriftValue = number | bigint | boolean | Uint8Array | ThriftValue[] | ThriftStruct
type ThriftStruct = Map<number, ThriftValue>

const depthMax = 16

function count(input: ByteReader, what: string): number {
  const n = input.readU32()
  if (n > input.end - input.at) throw new CorruptDataError(`thrift: a ${what} of ${n} in ${input.end - input.at} bytes`)
  return n
}

/** Counts the values of a body: a struct of one byte becomes a map of hundreds. */
class ThriftReader extends ByteReader {
  readonly #partsMax: number
  #parts = 0

  constructor(body: Uint8Array) {
    super(body)
    this.#partsMax = elementsMax('parts', body.length)
  }

  /** Throws LimitError (400). */
  count(parts: number): void {
    this.#parts += parts
    if (this.#parts > this.#partsMax) throw tooMany('parts', this.end, this.at)
  }
}

/** A map counts as three parts: it takes three times as much as an object. The smallest real tag has 25 bytes. */
const structParts = 3

function readValue(input: ThriftReader, type: number, depth: number): ThriftValue {
  if (depth > depthMax)
    throw new CorruptDataError(`thrift: values are nested more than ${depthMax} deep at byte ${input.at}`)
  input.count(0.25)
  switch (type) {
    case 2:
      return input.readU8() !== 0
    case 3:
      return (input.readU8() << 24) >> 24
    case 4:
      return input.readF64()
    case 6:
      return (input.readU16() << 16) >> 16
    case 8:
      return input.readU32() | 0
    case 10: {
      input.need(8)
      input.at += 8
      return input.view.getBigInt64(input.at - 8)
    }
    case 11:
      return input.readBytes(count(input, 'text'))
    case 12:
      return readStruct(input, depth + 1)
    case 13: {
      const keyType = input.readU8()
      const valueType = input.readU8()
      const n = count(input, 'map')
      const entries: ThriftValue[] = []
      for (let i = 0; i < n; i++)
        entries.push(readValue(input, keyType, depth + 1), readValue(input, valueType, depth + 1))
      return entries
    }
    case 14:
    case 15: {
      const inner = input.readU8()
      const n = count(input, 'list')
      const list: ThriftValue[] = []
      for (let i = 0; i < n; i++) list.push(readValue(input, inner, depth + 1))
      return list
    }
    default:
      throw new CorruptDataError(`thrift: type ${type} at byte ${input.at} is not known`)
  }
}

function readStruct(input: ThriftReader, depth: number): ThriftStruct {
  input.count(structParts)
  const fields: ThriftStruct = new Map()
  for (;;) {
    const type = input.readU8()
    if (type === 0) return fields
    fields.set(input.readU16(), readValue(input, type, depth))
  }
}

function number(from: ThriftStruct, field: number): number {
  const value = from.get(field)
  return typeof value === 'number' ? value : 0
}
function long(from: ThriftStruct, field: number): bigint {
  const value = from.get(field)
  return typeof value === 'bigint' ? value : 0n
}
function list(from: ThriftStruct, field: number): ThriftStruct[] {
  const value = from.get(field)
  return Array.isArray(value) ? value.filter(v => v instanceof Map) : []
}
function text(from: ThriftStruct, field: number): string {
  const value = from.get(field)
  if (!(value instanceof Uint8Array)) return ''
  return decodeUtf8Replacing(value, 0, value.length)
}

/** Halves of an id as its bytes; an id of zero is none. */
function bytesOf(...halves: bigint[]): Uint8Array {
  const bytes = new Uint8Array(halves.length * 8)
  const view = new DataView(bytes.buffer)
  halves.forEach((half, i) => {
    view.setBigInt64(i * 8, half)
  })
  return bytes
}

function tag(from: ThriftStruct): JaegerTag {
  const value = ((): AnyValue => {
    switch (number(from, 2)) {
      case 0:
        return { kind: 'string', value: text(from, 3) }
      case 1: {
        const double = from.get(4)
        return { kind: 'double', value: typeof double === 'number' ? double : 0 }
      }
      case 2:
        return { kind: 'bool', value: from.get(5) === true }
      case 3:
        return { kind: 'int', value: long(from, 6) }
      case 4: {
        const binary = from.get(7)
        return { kind: 'bytes', value: binary instanceof Uint8Array ? binary : new Uint8Array(0) }
      }
      default:
        return { kind: 'string', value: text(from, 3) }
    }
  })()
  return { key: text(from, 1), value }
}

function span(from: ThriftStruct): JaegerSpan {
  const parent = long(from, 4)
  return {
    traceId: bytesOf(long(from, 2), long(from, 1)),
    spanId: bytesOf(long(from, 3)),
    parentSpanId: parent === 0n ? new Uint8Array(0) : bytesOf(parent),
    operationName: text(from, 5),
    references: list(from, 6).map((r): JaegerReference => ({
      isChildOf: number(r, 1) === 0,
      traceId: bytesOf(long(r, 3), long(r, 2)),
      spanId: bytesOf(long(r, 4)),
    })),
    flags: number(from, 7),
    startNs: long(from, 8) * 1000n,
    durationNs: long(from, 9) * 1000n,
    tags: list(from, 10).map(tag),
    logs: list(from, 11).map((l): JaegerLog => ({ timeNs: long(l, 1) * 1000n, fields: list(l, 2).map(tag) })),
    warnings: [],
    process: undefined,
  }
}

/** Throws CorruptDataError, and LimitError (400) for more than a body of its size may hold. */
export function decodeJaegerThrift(body: Uint8Array): Trace {
  const batch = readStruct(new ThriftReader(body), 0)
  const owner = batch.get(1)
  if (!(owner instanceof Map))
    throw new CorruptDataError(
      'thrift: the batch has no process (field 1): a Batch of jaeger.thrift in the binary protocol was expected',
    )
  const process: JaegerProcess = { serviceName: text(owner, 1), tags: list(owner, 2).map(tag) }
  return { resources: jaegerBatch(process, list(batch, 2).map(span)) }
}
