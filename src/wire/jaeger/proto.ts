/** Jaeger's PostSpansRequest (api_v2). Source: the public model.proto and collector.proto. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readTextReplacing, skipField } from '#codec/protobuf.ts'
import { checkMessage, type MessageShape } from '#codec/message-shape.ts'
import { CorruptDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { AnyValue, Trace } from '#model/trace.ts'
import {
  jaegerBatch,
  type JaegerLog,
  type JaegerProcess,
  type JaegerReference,
  type JaegerSpan,
  type JaegerTag,
} from './model.ts'

/** Reads the fields of a message; `field` takes what it knows and answers false for the rest. */
function fields(input: ByteReader, end: number, field: (number: number, tag: number) => boolean): void {
  while (input.at < end) {
    const tag = input.readUvarint()
    if (!field(tag >>> 3, tag)) skipField(input, tag)
  }
  if (input.at > end) throw new CorruptDataError('protobuf: a field reaches beyond its message')
}
function check(tag: number, type: number): void {
  if ((tag & 7) !== type)
    throw new CorruptDataError(`protobuf: field ${tag >>> 3} has wire type ${tag & 7}, ${type} was expected`)
}
function end(input: ByteReader, tag: number): number {
  check(tag, 2)
  return input.readLength() + input.at
}
function text(input: ByteReader, tag: number): string {
  check(tag, 2)
  return readTextReplacing(input)
}
function bytes(input: ByteReader, tag: number): Uint8Array {
  check(tag, 2)
  return input.readBytes(input.readLength())
}

/** A varint of 64 bits with a sign. */
function long(input: ByteReader, tag: number): bigint {
  check(tag, 0)
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = input.readU8()
    value |= BigInt(byte & 127) << shift
    if (byte < 128) return BigInt.asIntN(64, value)
  }
  throw new CorruptDataError('protobuf: a varint longer than 10 bytes')
}

/** Timestamp and Duration: 1 seconds, 2 nanoseconds. */
function nanoseconds(input: ByteReader, tag: number): bigint {
  let ns = 0n
  fields(input, end(input, tag), (n, inner) => {
    if (n === 1) ns += long(input, inner) * 1_000_000_000n
    else if (n === 2) ns += long(input, inner)
    else return false
    return true
  })
  return ns
}

function keyValue(input: ByteReader, tag: number): JaegerTag {
  let key = ''
  let type = 0
  let string = ''
  let bool = false
  let int = 0n
  let double = 0
  let binary: Uint8Array = new Uint8Array(0)
  fields(input, end(input, tag), (n, inner) => {
    switch (n) {
      case 1:
        key = text(input, inner)
        return true
      case 2:
        type = Number(long(input, inner))
        return true
      case 3:
        string = text(input, inner)
        return true
      case 4:
        bool = long(input, inner) !== 0n
        return true
      case 5:
        int = long(input, inner)
        return true
      case 6:
        check(inner, 1)
        input.need(8)
        double = input.view.getFloat64(input.at, true)
        input.at += 8
        return true
      case 7:
        binary = bytes(input, inner)
        return true
      default:
        return false
    }
  })
  const values: AnyValue[] = [
    { kind: 'string', value: string },
    { kind: 'bool', value: bool },
    { kind: 'int', value: int },
    { kind: 'double', value: double },
    { kind: 'bytes', value: binary },
  ]
  return { key, value: values[type] ?? values[0]! }
}

function process(input: ByteReader, tag: number): JaegerProcess {
  const read: JaegerProcess = { serviceName: '', tags: [] }
  fields(input, end(input, tag), (n, inner) => {
    if (n === 1) read.serviceName = text(input, inner)
    else if (n === 2) read.tags.push(keyValue(input, inner))
    else return false
    return true
  })
  return read
}

function reference(input: ByteReader, tag: number): JaegerReference {
  const read: JaegerReference = { traceId: new Uint8Array(0), spanId: new Uint8Array(0), isChildOf: true }
  fields(input, end(input, tag), (n, inner) => {
    if (n === 1) read.traceId = bytes(input, inner)
    else if (n === 2) read.spanId = bytes(input, inner)
    else if (n === 3) read.isChildOf = long(input, inner) === 0n
    else return false
    return true
  })
  return read
}

function logOf(input: ByteReader, tag: number): JaegerLog {
  const read: JaegerLog = { timeNs: 0n, fields: [] }
  fields(input, end(input, tag), (n, inner) => {
    if (n === 1) read.timeNs = nanoseconds(input, inner)
    else if (n === 2) read.fields.push(keyValue(input, inner))
    else return false
    return true
  })
  return read
}

function emptySpan(): JaegerSpan {
  return {
    traceId: new Uint8Array(0),
    spanId: new Uint8Array(0),
    parentSpanId: new Uint8Array(0),
    operationName: '',
    references: [],
    flags: 0,
    startNs: 0n,
    durationNs: 0n,
    tags: [],
    logs: [],
    warnings: [],
    process: undefined,
  }
}

function span(input: ByteReader, tag: number): JaegerSpan {
  const read = emptySpan()
  fields(input, end(input, tag), (n, inner) => {
    switch (n) {
      case 1:
        read.traceId = bytes(input, inner)
        return true
      case 2:
        read.spanId = bytes(input, inner)
        return true
      case 3:
        read.operationName = text(input, inner)
        return true
      case 4:
        read.references.push(reference(input, inner))
        return true
      case 5:
        read.flags = Number(long(input, inner))
        return true
      case 6:
        read.startNs = nanoseconds(input, inner)
        return true
      case 7:
        read.durationNs = nanoseconds(input, inner)
        return true
      case 8:
        read.tags.push(keyValue(input, inner))
        return true
      case 9:
        read.logs.push(logOf(input, inner))
        return true
      case 10:
        read.process = process(input, inner)
        return true
      case 12:
        read.warnings.push(text(input, inner))
        return true
      default:
        return false
    }
  })
  return read
}

/** What is wrong in a span costs that span: it says why instead. */
function spanOrProblem(input: ByteReader, tag: number): JaegerSpan {
  const { at } = input
  const to = end(input, tag)
  input.at = at
  try {
    const read = span(input, tag)
    if (input.at === to) return read
    throw new CorruptDataError('protobuf: a field reaches beyond its span')
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    input.at = to
    return { ...emptySpan(), problem: error.message }
  }
}

const tagShape: MessageShape = { kind: 'parts', fields: {} }
const processShape: MessageShape = { kind: 'parts', fields: { 2: tagShape } }
const spanShape: MessageShape = {
  kind: 'items',
  fields: {
    4: tagShape,
    8: tagShape,
    9: { kind: 'parts', fields: { 2: tagShape } },
    10: processShape,
    12: tagShape,
  },
}
/** What is counted before it is decoded. */
const requestShape: MessageShape = { fields: { 1: { kind: 'items', fields: { 1: spanShape, 2: processShape } } } }

/**
 * Throws CorruptDataError, and LimitError (400) for more than a body of its size may hold; a span that can't be read
 * has a `problem` instead.
 */
export function decodePostSpansRequest(message: Uint8Array): Trace {
  checkMessage(message, requestShape)
  const input = new ByteReader(message)
  const resources: Trace['resources'] = []
  fields(input, message.length, (n, tag) => {
    if (n !== 1) return false
    const spans: JaegerSpan[] = []
    let owner: JaegerProcess | undefined
    fields(input, end(input, tag), (field, inner) => {
      if (field === 1) spans.push(spanOrProblem(input, inner))
      else if (field === 2) owner = process(input, inner)
      else return false
      return true
    })
    addAll(resources, jaegerBatch(owner, spans))
    return true
  })
  return { resources }
}
