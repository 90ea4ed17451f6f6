/**
 * OTLP traces (ExportTraceServiceRequest, and TracesData, which has the same form), protobuf and JSON, as trees and
 * back. Source: the public opentelemetry-proto definitions, v1.
 */
import { isUtf8 } from 'node:buffer'
import { ByteDictionary } from '#codec/byte-dictionary.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { skipField } from '#codec/protobuf.ts'
import { checkMessage } from '#codec/message-shape.ts'
import { elementsMax, RecordCount, tooMany } from '#core/body-limits.ts'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { jsonBodyOf } from '#core/json-body.ts'
import { doubleOf, isRawNumber, wholeOf } from '#core/json.ts'
import { decodeUtf8, decodeUtf8Replacing } from '#core/text.ts'
import { attributesFromJson, attributesToJson, bigintOf, type JsonValue } from '#model/trace-json.ts'
import type {
  AnyValue,
  Attribute,
  AttributeSink,
  Resource,
  ResourceSpans,
  Scope,
  ScopeSpans,
  Span,
  SpanEvent,
  SpanLink,
  Trace,
} from '#model/trace.ts'
import { outlinesShape, spansShape } from './shapes.ts'

const depthMax = 32
const noBytes = new Uint8Array(0)

/** The end of a message that follows, which must lie within the one around it. */
function endOf(input: ByteReader, tag: number): number {
  if ((tag & 7) !== 2)
    throw new CorruptDataError(`protobuf: field ${tag >>> 3} has wire type ${tag & 7}, a message or text was expected`)
  return input.readLength() + input.at
}
function checkType(tag: number, type: number): void {
  if ((tag & 7) !== type)
    throw new CorruptDataError(`protobuf: field ${tag >>> 3} has wire type ${tag & 7}, ${type} was expected`)
}
function text(input: ByteReader, tag: number): string {
  checkType(tag, 2)
  const length = input.readLength()
  input.at += length
  return decodeText(input.bytes, input.at - length, input.at)
}

/** A message with texts that are no UTF-8: it is read once more, with U+FFFD in their place. */
class NotUtf8Error extends CorruptDataError {
  override name = 'NotUtf8Error'
}
/**
 * `isReplacing` is set while such a message is read again. `parts`: attributes, events, links and values that were
 * checked since the message began; they become objects later, when its sender can't be answered any more.
 */
const reading = { isReplacing: false, parts: 0, partsMax: Infinity }

function decodeText(bytes: Uint8Array, from: number, to: number): string {
  const decoded = decodeUtf8(bytes, from, to)
  if (decoded !== undefined) return decoded
  if (reading.isReplacing) return decodeUtf8Replacing(bytes, from, to)
  throw new NotUtf8Error('protobuf: a string is not UTF-8')
}
function bytes(input: ByteReader, tag: number): Uint8Array {
  checkType(tag, 2)
  return input.readBytes(input.readLength())
}
/** An id that may be missing: zeros are none. */
function optionalId(input: ByteReader, tag: number): Uint8Array {
  return withoutZeros(bytes(input, tag))
}
function withoutZeros(id: Uint8Array): Uint8Array {
  for (let i = 0; i < id.length; i++) if (id[i] !== 0) return id
  return noBytes
}
function uint(input: ByteReader, tag: number): number {
  checkType(tag, 0)
  return input.readUvarint()
}
function fixed64(input: ByteReader, tag: number): bigint {
  checkType(tag, 1)
  input.need(8)
  input.at += 8
  return input.view.getBigUint64(input.at - 8, true)
}
function fixed32(input: ByteReader, tag: number): number {
  checkType(tag, 5)
  input.need(4)
  input.at += 4
  return input.view.getUint32(input.at - 4, true)
}
function int64(input: ByteReader, tag: number): bigint {
  checkType(tag, 0)
  const { at } = input
  const small = input.readUvarint()
  if (small < 2 ** 53) return BigInt(small)
  input.at = at
  let value = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = input.readU8()
    value |= BigInt(byte & 127) << shift
    if (byte < 128) return BigInt.asIntN(64, value)
  }
}

function tooDeep({ at }: ByteReader): CorruptDataError {
  return new CorruptDataError(`OTLP: an attribute is nested more than ${depthMax} deep at byte ${at}`)
}

function readValue(input: ByteReader, end: number, depth: number): AnyValue {
  let value: AnyValue = { kind: 'none' }
  if (depth > depthMax) throw tooDeep(input)
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag >>> 3) {
      case 1:
        value = { kind: 'string', value: text(input, tag) }
        break
      case 2:
        value = { kind: 'bool', value: uint(input, tag) !== 0 }
        break
      case 3:
        value = { kind: 'int', value: int64(input, tag) }
        break
      case 4: {
        checkType(tag, 1)
        input.need(8)
        input.at += 8
        value = { kind: 'double', value: input.view.getFloat64(input.at - 8, true) }
        break
      }
      case 5: {
        const values: AnyValue[] = []
        const to = endOf(input, tag)
        while (input.at < to) {
          const inner = input.readUvarint()
          if (inner >>> 3 === 1) values.push(readValue(input, endOf(input, inner), depth + 1))
          else skipField(input, inner)
        }
        value = { kind: 'array', values }
        break
      }
      case 6: {
        const entries: Attribute[] = []
        const to = endOf(input, tag)
        while (input.at < to) {
          const inner = input.readUvarint()
          if (inner >>> 3 === 1) entries.push(readAttribute(input, endOf(input, inner), depth + 1))
          else skipField(input, inner)
        }
        value = { kind: 'map', entries }
        break
      }
      case 7:
        value = { kind: 'bytes', value: bytes(input, tag) }
        break
      default:
        skipField(input, tag)
    }
  }
  return value
}

function readAttribute(input: ByteReader, end: number, depth = 0): Attribute {
  let key = ''
  let value: AnyValue = { kind: 'none' }
  while (input.at < end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) key = text(input, tag)
    else if (tag === 0x12) value = readValue(input, endOf(input, tag), depth)
    else skipField(input, tag)
  }
  return { key, value }
}

function readEvent(input: ByteReader, end: number): SpanEvent {
  const event: SpanEvent = { timeNs: 0n, name: '', attributes: [], dropped: 0 }
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag >>> 3) {
      case 1:
        event.timeNs = fixed64(input, tag)
        break
      case 2:
        event.name = text(input, tag)
        break
      case 3:
        event.attributes.push(readAttribute(input, endOf(input, tag)))
        break
      case 4:
        event.dropped = uint(input, tag)
        break
      default:
        skipField(input, tag)
    }
  }
  return event
}

function readLink(input: ByteReader, end: number): SpanLink {
  const link: SpanLink = { traceId: noBytes, spanId: noBytes, traceState: '', attributes: [], dropped: 0, flags: 0 }
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag >>> 3) {
      case 1:
        link.traceId = optionalId(input, tag)
        break
      case 2:
        link.spanId = optionalId(input, tag)
        break
      case 3:
        link.traceState = text(input, tag)
        break
      case 4:
        link.attributes.push(readAttribute(input, endOf(input, tag)))
        break
      case 5:
        link.dropped = uint(input, tag)
        break
      case 6:
        link.flags = fixed32(input, tag)
        break
      default:
        skipField(input, tag)
    }
  }
  return link
}

/** Readers of the message that was read last: spans of one are asked for one after another. */
const visitReader = { of: new ByteReader(noBytes) }
const spanReader = { of: new ByteReader(noBytes) }

/** The message in bytes[from, to). Byte strings in it are views. `isRaw`: its attributes are left where they are. */
export function decodeSpan(message: Uint8Array, from: number, to: number, isRaw = false): Span {
  if (spanReader.of.bytes !== message) spanReader.of = new ByteReader(message)
  const input = spanReader.of
  input.at = from
  const span = readSpan(input, to, false, isRaw)
  if (span.raw !== undefined) span.raw.message = message
  return span
}

/** What was read of bytes that come again and again: senders repeat resources, scopes and names with every request. */
class Repeated<T> {
  readonly #seen = new ByteDictionary()
  #values: T[] = []

  /** `read` begins at the reader's place and ends at `to`. */
  take(input: ByteReader, to: number, read: (input: ByteReader, to: number) => T): T {
    const from = input.at
    if (to - from > 2048 || reading.isReplacing) return read(input, to)
    if (this.#values.length >= 16_384 || this.#seen.bytes.at > 4 << 20) this.#forget()
    const number = this.#seen.entryOf(input.bytes, from, to)
    if (number < this.#values.length) {
      input.at = to
      return this.#values[number]!
    }
    try {
      const value = read(input, to)
      this.#values.push(value)
      return value
    } catch (error) {
      this.#forget()
      throw error
    }
  }

  #forget(): void {
    this.#seen.reset()
    this.#values = []
  }
}
const repeated = { resources: new Repeated<Resource>(), scopes: new Repeated<Scope>(), names: new Repeated<string>() }
function readName(input: ByteReader, to: number): string {
  const name = decodeText(input.bytes, input.at, to)
  input.at = to
  return name
}

/** Calls the member of `sink` that fits the attribute in [from, to). */
function visitAttribute(message: Uint8Array, from: number, to: number, sink: AttributeSink): void {
  if (visitReader.of.bytes !== message) visitReader.of = new ByteReader(message)
  const input = visitReader.of
  input.at = from
  let keyFrom = 0
  let keyTo = 0
  let valueFrom = 0
  let valueTo = 0
  while (input.at < to) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      keyTo = input.readLength() + input.at
      keyFrom = input.at
      input.at = keyTo
    } else if (tag === 0x12) {
      valueTo = endOf(input, tag)
      valueFrom = input.at
      input.at = valueTo
    } else skipField(input, tag)
  }
  input.at = valueFrom
  // Nearly every value is one field.
  if (valueFrom < valueTo) {
    const tag = input.readUvarint()
    switch (tag) {
      case 0x0a: {
        const end = input.readLength() + input.at
        if (end === valueTo) {
          sink.text(keyFrom, keyTo, input.at, end)
          return
        }
        break
      }
      case 0x10: {
        const value = input.readUvarint()
        if (input.at === valueTo) {
          sink.bool(keyFrom, keyTo, value !== 0)
          return
        }
        break
      }
      case 0x18: {
        const value = int64(input, tag)
        if (input.at === valueTo) {
          sink.long(keyFrom, keyTo, value)
          return
        }
        break
      }
      case 0x21:
        if (valueTo - input.at === 8) {
          sink.double(keyFrom, keyTo, input.view.getFloat64(input.at, true))
          return
        }
        break
      default:
    }
  }
  const value = readValue(new ByteReader(message, valueFrom, valueTo), valueTo, 0)
  switch (value.kind) {
    case 'int':
      sink.long(keyFrom, keyTo, value.value)
      return
    case 'double':
      sink.double(keyFrom, keyTo, value.value)
      return
    case 'bool':
      sink.bool(keyFrom, keyTo, value.value)
      return
    default:
      sink.other(keyFrom, keyTo, value)
  }
}

/** An attribute, event or link of a span. */
function readPart(input: ByteReader, tag: number, span: Span): void {
  const end = endOf(input, tag)
  if (tag >>> 3 === 9) span.attributes.push(readAttribute(input, end))
  else if (tag >>> 3 === 11) span.events.push(readEvent(input, end))
  else span.links.push(readLink(input, end))
}

/**
 * Counts a part, and makes sure that it can be read: an accepted span is taken apart later, when its sender can't be
 * answered any more.
 */
function countPart(input: ByteReader, tag: number, span: Span): void {
  const end = endOf(input, tag)
  const bytes = end - input.at
  if (bytes > span.largestBytes!) span.largestBytes = bytes
  if (tag >>> 3 === 9) {
    span.attributeCount!++
    checkAttribute(input, end, 0)
  } else checkPart(input, end, tag >>> 3 === 11 ? 2 : 3, tag >>> 3 === 11 ? 3 : 4)
  if (input.at !== end) throw new CorruptDataError('protobuf: a field reaches beyond its message')
}

function checkText(input: ByteReader, tag: number): void {
  checkType(tag, 2)
  const to = input.readLength() + input.at
  const { bytes } = input
  let high = 0
  for (let i = input.at; i < to; i++) high |= bytes[i]!
  if (high >= 128 && !isUtf8(bytes.subarray(input.at, to))) throw new NotUtf8Error('protobuf: a string is not UTF-8')
  input.at = to
}

function checkAttribute(input: ByteReader, end: number, depth: number): void {
  reading.parts++
  while (input.at < end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) checkText(input, tag)
    else if (tag === 0x12) checkValue(input, endOf(input, tag), depth)
    else skipField(input, tag)
  }
}

function checkValue(input: ByteReader, end: number, depth: number): void {
  if (depth > depthMax) throw tooDeep(input)
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag >>> 3) {
      case 1:
        checkText(input, tag)
        break
      case 2:
      case 3:
        checkType(tag, 0)
        input.readUvarint()
        break
      case 4:
        checkType(tag, 1)
        input.skip(8)
        break
      case 5:
      case 6: {
        const to = endOf(input, tag)
        const isList = tag >>> 3 === 5
        while (input.at < to) {
          const inner = input.readUvarint()
          if (inner >>> 3 !== 1) skipField(input, inner)
          else if (isList) {
            reading.parts++
            checkValue(input, endOf(input, inner), depth + 1)
          } else checkAttribute(input, endOf(input, inner), depth + 1)
        }
        break
      }
      case 7:
        checkType(tag, 2)
        input.skip(input.readLength())
        break
      default:
        skipField(input, tag)
    }
  }
}

/** An event or a link: one field is a text, one an attribute. */
function checkPart(input: ByteReader, end: number, textField: number, attributeField: number): void {
  const isEvent = textField === 2
  reading.parts++
  while (input.at < end) {
    const tag = input.readUvarint()
    const field = tag >>> 3
    if (field === textField) checkText(input, tag)
    else if (field === attributeField) checkAttribute(input, endOf(input, tag), 0)
    else {
      if (isEvent ? field === 1 : false) checkType(tag, 1)
      else if (isEvent ? field === 4 : field === 5) checkType(tag, 0)
      else if (!isEvent && field <= 2) checkType(tag, 2)
      else if (!isEvent && field === 6) checkType(tag, 5)
      skipField(input, tag)
    }
  }
}

/** A span without fields, whose message is [from, to). One shape for all: every field is there from the start. */
function emptySpan(from: number, to: number, isOutline: boolean): Span {
  return {
    traceId: noBytes,
    spanId: noBytes,
    parentSpanId: noBytes,
    traceState: '',
    flags: 0,
    name: '',
    kind: 0,
    startNs: 0n,
    endNs: 0n,
    attributes: [],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
    wireFrom: from,
    wireTo: to,
    isOutline,
    attributeCount: 0,
    largestBytes: 0,
  }
}

function readStatus(input: ByteReader, to: number, span: Span): void {
  while (input.at < to) {
    const tag = input.readUvarint()
    if (tag >>> 3 === 2) span.statusMessage = text(input, tag)
    else if (tag >>> 3 === 3) span.statusCode = uint(input, tag)
    else skipField(input, tag)
  }
}

function readSpan(input: ByteReader, end: number, isOutline: boolean, isRaw = false): Span {
  const span = emptySpan(input.at, end, isOutline)
  if (isRaw) span.raw = { message: noBytes, ranges: [], visit: visitAttribute }
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag >>> 3) {
      case 1:
        span.traceId = bytes(input, tag)
        break
      case 2:
        span.spanId = bytes(input, tag)
        break
      case 3:
        span.traceState = text(input, tag)
        break
      case 4:
        span.parentSpanId = optionalId(input, tag)
        break
      case 5:
        checkType(tag, 2)
        span.name = repeated.names.take(input, input.readLength() + input.at, readName)
        break
      case 6:
        span.kind = uint(input, tag)
        break
      case 7:
        span.startNs = fixed64(input, tag)
        break
      case 8:
        span.endNs = fixed64(input, tag)
        break
      case 9:
      case 11:
      case 13:
        if (isRaw && tag >>> 3 === 9) {
          const to = endOf(input, tag)
          span.raw!.ranges.push(input.at, to)
          input.at = to
          break
        }
        if (isOutline) {
          countPart(input, tag, span)
          break
        }
        readPart(input, tag, span)
        break
      case 10:
        span.droppedAttributes = uint(input, tag)
        break
      case 12:
        span.droppedEvents = uint(input, tag)
        break
      case 14:
        span.droppedLinks = uint(input, tag)
        break
      case 15:
        readStatus(input, endOf(input, tag), span)
        break
      case 16:
        span.flags = fixed32(input, tag)
        break
      default:
        skipField(input, tag)
    }
  }
  return span
}

function readScope(input: ByteReader, end: number): Scope {
  const scope: Scope = { name: '', version: '', attributes: [], dropped: 0, key: undefined, inOrder: undefined }
  while (input.at < end) {
    const tag = input.readUvarint()
    switch (tag >>> 3) {
      case 1:
        scope.name = text(input, tag)
        break
      case 2:
        scope.version = text(input, tag)
        break
      case 3:
        scope.attributes.push(readAttribute(input, endOf(input, tag)))
        break
      case 4:
        scope.dropped = uint(input, tag)
        break
      default:
        skipField(input, tag)
    }
  }
  return scope
}

function readResource(input: ByteReader, end: number): Resource {
  const resource: Resource = { attributes: [], dropped: 0, key: undefined, inOrder: undefined }
  while (input.at < end) {
    const tag = input.readUvarint()
    if (tag >>> 3 === 1) resource.attributes.push(readAttribute(input, endOf(input, tag)))
    else if (tag >>> 3 === 2) resource.dropped = uint(input, tag)
    else skipField(input, tag)
  }
  return resource
}

/** Throws CorruptDataError where the resource or scope in [from, to) can't be read from these bytes alone. */
export function checkFrame(message: Uint8Array, from: number, to: number, kind: 'resource' | 'scope'): void {
  const input = new ByteReader(message, from, to)
  if (kind === 'resource') readResource(input, to)
  else readScope(input, to)
}

/** What is wrong in a span costs that span: it says why instead. */
function spanOrProblem(input: ByteReader, end: number, isOutline: boolean): Span {
  const from = input.at
  try {
    const span = readSpan(input, end, isOutline)
    if (isOutline && reading.parts > reading.partsMax) throw tooMany('parts', input.bytes.length, input.at)
    if (input.at === end) return span
    throw new CorruptDataError('protobuf: a field reaches beyond its span')
  } catch (error) {
    if (!(error instanceof CorruptDataError) || error instanceof NotUtf8Error) throw error
    input.at = end
    return { ...emptySpan(from, end, isOutline), problem: error.message }
  }
}

/**
 * A request as outlines, and the message that they lie in: another one than was sent where texts are no UTF-8, with
 * U+FFFD in place of their bytes. Throws CorruptDataError, and LimitError (400) for more than a body of its size may
 * hold.
 */
export function readOtlpTraces(message: Uint8Array): { trace: Trace; message: Uint8Array } {
  checkMessage(message, outlinesShape)
  reading.parts = 0
  reading.partsMax = elementsMax('parts', message.length)
  try {
    return { trace: decodeOtlpTraces(message, true), message }
  } catch (error) {
    if (!(error instanceof NotUtf8Error)) throw error
  } finally {
    // What was accepted once is read again without limits.
    reading.partsMax = Infinity
  }
  checkMessage(message, spansShape)
  const whole = decodeReplacing(message)
  const replaced = encodeOtlpTraces(whole)
  const trace = decodeOtlpTraces(replaced, true)
  const problems = spansOf(whole).map(span => span.problem)
  for (const [i, span] of spansOf(trace).entries()) if (problems[i] !== undefined) span.problem = problems[i]
  return { trace, message: replaced }
}

function decodeReplacing(message: Uint8Array): Trace {
  reading.isReplacing = true
  try {
    return decodeOtlpTraces(message)
  } finally {
    reading.isReplacing = false
  }
}

const spansOf = (trace: Trace): Span[] => trace.resources.flatMap(r => r.scopes.flatMap(s => s.spans))

/**
 * Throws CorruptDataError; a span that can't be read has a `problem` instead. Byte strings in the result are views of
 * `message`; resources and scopes may be those of other messages. With `isOutline` only the frame of each span is read.
 */
export function decodeOtlpTraces(message: Uint8Array, isOutline = false): Trace {
  return decodeMessage(message, (input, end) => spanOrProblem(input, end, isOutline))
}

/** The resources and scopes of a message that was read before, without any spans. Throws CorruptDataError. */
export function decodeOtlpFrames(message: Uint8Array): Trace {
  return decodeMessage(message, undefined)
}

type SpanReader = (input: ByteReader, end: number) => Span

/** Without `readOne` spans are passed over. */
function decodeMessage(message: Uint8Array, readOne: SpanReader | undefined): Trace {
  const input = new ByteReader(message)
  const resources: ResourceSpans[] = []
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag >>> 3 !== 1) {
      skipField(input, tag)
      continue
    }
    const end = endOf(input, tag)
    const resource: ResourceSpans = { resource: { attributes: [], dropped: 0 }, schemaUrl: '', scopes: [] }
    while (input.at < end) {
      const inner = input.readUvarint()
      switch (inner >>> 3) {
        case 1:
          resource.resource = repeated.resources.take(input, endOf(input, inner), readResource)
          break
        case 2: {
          const to = endOf(input, inner)
          const scoped: ScopeSpans = {
            scope: { name: '', version: '', attributes: [], dropped: 0 },
            schemaUrl: '',
            spans: [],
          }
          while (input.at < to) {
            const field = input.readUvarint()
            if (field >>> 3 === 1) scoped.scope = repeated.scopes.take(input, endOf(input, field), readScope)
            else if (field >>> 3 === 2 && readOne !== undefined) scoped.spans.push(readOne(input, endOf(input, field)))
            else if (field >>> 3 === 3) scoped.schemaUrl = text(input, field)
            else skipField(input, field)
          }
          resource.scopes.push(scoped)
          break
        }
        case 3:
          resource.schemaUrl = text(input, inner)
          break
        default:
          skipField(input, inner)
      }
    }
    resources.push(resource)
  }
  return { resources }
}

// --- JSON ---

type Json = Readonly<Record<string, unknown>>
const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawNumber(value) ? (value as Json) : {}
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : [])
/** Parts of a span that are objects; a number would become one of many times its bytes. */
const objects = (value: unknown): Json[] =>
  Array.isArray(value) ? value.filter((v): v is Json => typeof v === 'object' && v !== null) : []
const get = (from: Json, name: string): unknown =>
  from[name] ?? from[name.replaceAll(/[A-Z]/g, c => `_${c.toLowerCase()}`)]
const string = (from: Json, name: string): string => {
  const value = get(from, name)
  return typeof value === 'string' ? value : ''
}
const count = (from: Json, name: string): number => {
  const value = get(from, name)
  const n = Math.trunc(typeof value === 'string' ? Number(value) : doubleOf(value))
  return n > 0 ? Math.min(n, 0xffff_ffff) : 0
}
/** Throws BadDataError for a text that spells no time: the span must not get another one. */
function time(from: Json, name: string): bigint {
  const value = get(from, name)
  if (typeof value === 'string' && value !== '' && wholeOf(value) === undefined)
    throw new BadDataError(`${name} ${JSON.stringify(value.slice(0, 100))} is no number of nanoseconds`)
  return BigInt.asUintN(64, bigintOf(value))
}

/** Hexadecimal digits, as OTLP's JSON has ids; or base64, as Tempo's own answers have them. */
function id(from: Json, name: string, size: number, isTempos: boolean): Uint8Array {
  const value = string(from, name)
  if (value === '') return noBytes
  const isHex = value.length === size * 2 && /^[0-9a-fA-F]+$/.test(value)
  const decoded = Buffer.from(value, isHex ? 'hex' : 'base64')
  if (!isHex && (!isTempos || decoded.length !== size))
    throw new BadDataError(`${name} ${JSON.stringify(value)} is no id: ${size * 2} hexadecimal digits were expected`)
  return decoded
}

const kindNames = [
  'SPAN_KIND_UNSPECIFIED',
  'SPAN_KIND_INTERNAL',
  'SPAN_KIND_SERVER',
  'SPAN_KIND_CLIENT',
  'SPAN_KIND_PRODUCER',
  'SPAN_KIND_CONSUMER',
]
const statusNames = ['STATUS_CODE_UNSET', 'STATUS_CODE_OK', 'STATUS_CODE_ERROR']
const enumOf = (value: unknown, names: readonly string[]): number =>
  typeof value === 'string'
    ? Math.max(0, names.includes(value) ? names.indexOf(value) : Number(value) || 0)
    : doubleOf(value) || 0

/** What is wrong in a span costs that span: it says why instead. */
function spanFromJson(json: Json, isTempos: boolean): Span {
  try {
    return jsonSpan(json, isTempos)
  } catch (error) {
    if (!(error instanceof BadDataError)) throw error
    return { ...emptySpan(0, 0, false), problem: error.message }
  }
}

function jsonSpan(json: Json, isTempos: boolean): Span {
  const status = object(get(json, 'status'))
  return {
    traceId: id(json, 'traceId', 16, isTempos),
    spanId: id(json, 'spanId', 8, isTempos),
    parentSpanId: withoutZeros(id(json, 'parentSpanId', 8, isTempos)),
    traceState: string(json, 'traceState'),
    flags: count(json, 'flags'),
    name: string(json, 'name'),
    kind: enumOf(get(json, 'kind'), kindNames),
    startNs: time(json, 'startTimeUnixNano'),
    endNs: time(json, 'endTimeUnixNano'),
    attributes: attributesFromJson(get(json, 'attributes')),
    droppedAttributes: count(json, 'droppedAttributesCount'),
    events: objects(get(json, 'events')).map(e => ({
      timeNs: time(e, 'timeUnixNano'),
      name: string(e, 'name'),
      attributes: attributesFromJson(get(e, 'attributes')),
      dropped: count(e, 'droppedAttributesCount'),
    })),
    droppedEvents: count(json, 'droppedEventsCount'),
    links: objects(get(json, 'links')).map(l => ({
      traceId: withoutZeros(id(l, 'traceId', 16, isTempos)),
      spanId: withoutZeros(id(l, 'spanId', 8, isTempos)),
      traceState: string(l, 'traceState'),
      attributes: attributesFromJson(get(l, 'attributes')),
      dropped: count(l, 'droppedAttributesCount'),
      flags: count(l, 'flags'),
    })),
    droppedLinks: count(json, 'droppedLinksCount'),
    statusCode: enumOf(get(status, 'code'), statusNames),
    statusMessage: string(status, 'message'),
  }
}

/** The same as `otlpTracesOfJson`, from its bytes. */
export function parseOtlpTracesJson(body: Uint8Array): Trace {
  return otlpTracesOfJson(jsonBodyOf(body), body.length)
}

/**
 * A request that was `bytes` long in JSON; `batches` is what Tempo's API answers. A span that can't be read has a
 * `problem` instead. Throws BadDataError, and LimitError (400) for more spans than a body of its size may hold.
 */
export function otlpTracesOfJson(json: unknown, bytes: number): Trace {
  const records = new RecordCount(bytes)
  if (typeof json !== 'object' || json === null || Array.isArray(json) || isRawNumber(json))
    throw new BadDataError('the body is no object with "resourceSpans"')
  const root = json as Json
  const sent = get(root, 'resourceSpans')
  const isTempos = sent === undefined
  return {
    resources: list(sent ?? root['batches']).map(r => {
      const resource = object(r['resource'])
      return {
        resource: {
          attributes: attributesFromJson(resource['attributes']),
          dropped: count(resource, 'droppedAttributesCount'),
        },
        schemaUrl: string(r, 'schemaUrl'),
        scopes: list(get(r, 'scopeSpans') ?? get(r, 'instrumentationLibrarySpans')).map(s => {
          records.add()
          const scope = object(s['scope'])
          return {
            scope: {
              name: string(scope, 'name'),
              version: string(scope, 'version'),
              attributes: attributesFromJson(scope['attributes']),
              dropped: count(scope, 'droppedAttributesCount'),
            },
            schemaUrl: string(s, 'schemaUrl'),
            spans: list(s['spans']).map(span => {
              records.add()
              return spanFromJson(span, isTempos)
            }),
          }
        }),
      }
    }),
  }
}

/** As Tempo's API prints traces: ids in base64, names of enumerations, nanoseconds as texts, nothing that is empty. */
export function traceToJson(trace: Trace): JsonValue[] {
  const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64')
  const optional = (name: string, value: JsonValue, isThere: boolean): Record<string, JsonValue> =>
    isThere ? { [name]: value } : {}
  const attributes = (list: readonly Attribute[]): Record<string, JsonValue> =>
    optional('attributes', attributesToJson(list), list.length > 0)
  const dropped = (name: string, n: number): Record<string, JsonValue> => optional(name, n, n > 0)
  return trace.resources.map(({ resource, schemaUrl, scopes }) => ({
    resource: { ...attributes(resource.attributes), ...dropped('droppedAttributesCount', resource.dropped) },
    scopeSpans: scopes.map(({ scope, schemaUrl: scopeUrl, spans }) => ({
      scope: {
        ...optional('name', scope.name, scope.name !== ''),
        ...optional('version', scope.version, scope.version !== ''),
        ...attributes(scope.attributes),
        ...dropped('droppedAttributesCount', scope.dropped),
      },
      spans: spans.map(span => ({
        traceId: base64(span.traceId),
        spanId: base64(span.spanId),
        ...optional('traceState', span.traceState, span.traceState !== ''),
        ...optional('parentSpanId', base64(span.parentSpanId), span.parentSpanId.length > 0),
        ...optional('flags', span.flags, span.flags > 0),
        ...optional('name', span.name, span.name !== ''),
        ...optional('kind', kindNames[span.kind] ?? span.kind, span.kind !== 0),
        startTimeUnixNano: String(span.startNs),
        endTimeUnixNano: String(span.endNs),
        ...attributes(span.attributes),
        ...dropped('droppedAttributesCount', span.droppedAttributes),
        ...optional(
          'events',
          span.events.map(e => ({
            timeUnixNano: String(e.timeNs),
            ...optional('name', e.name, e.name !== ''),
            ...attributes(e.attributes),
            ...dropped('droppedAttributesCount', e.dropped),
          })),
          span.events.length > 0,
        ),
        ...dropped('droppedEventsCount', span.droppedEvents),
        ...optional(
          'links',
          span.links.map(l => ({
            traceId: base64(l.traceId),
            spanId: base64(l.spanId),
            ...optional('traceState', l.traceState, l.traceState !== ''),
            ...attributes(l.attributes),
            ...dropped('droppedAttributesCount', l.dropped),
            ...dropped('flags', l.flags),
          })),
          span.links.length > 0,
        ),
        ...dropped('droppedLinksCount', span.droppedLinks),
        status: {
          ...optional('message', span.statusMessage, span.statusMessage !== ''),
          ...optional('code', statusNames[span.statusCode] ?? span.statusCode, span.statusCode !== 0),
        },
      })),
      ...optional('schemaUrl', scopeUrl, scopeUrl !== ''),
    })),
    ...optional('schemaUrl', schemaUrl, schemaUrl !== ''),
  }))
}

// --- Protobuf out ---

function message(out: ByteWriter, tag: number, write: (inner: ByteWriter) => void): void {
  out.writeU8(tag)
  // One byte for the length is left; longer ones are moved.
  const lengthAt = out.at
  out.writeU8(0)
  write(out)
  const length = out.at - lengthAt - 1
  if (length < 128) {
    out.buffer[lengthAt] = length
    return
  }
  const extra = length < 16_384 ? 1 : length < 2_097_152 ? 2 : length < 268_435_456 ? 3 : 4
  out.reserve(extra)
  out.buffer.copyWithin(lengthAt + 1 + extra, lengthAt + 1, out.at)
  const end = out.at + extra
  out.at = lengthAt
  out.writeUvarint(length)
  out.at = end
}
function textField(out: ByteWriter, tag: number, value: string): void {
  if (value !== '') bytesField(out, tag, Buffer.from(value, 'utf8'))
}
function bytesField(out: ByteWriter, tag: number, value: Uint8Array): void {
  if (value.length > 0) {
    out.writeU8(tag)
    out.writeUvarint(value.length)
    out.writeBytes(value)
  }
}
function uintField(out: ByteWriter, tag: number, value: number): void {
  if (value > 0) {
    out.writeU8(tag)
    out.writeUvarint(value)
  }
}
function fixed64Field(out: ByteWriter, tag: number, value: bigint): void {
  out.writeU8(tag)
  out.reserve(8)
  out.view.setBigUint64(out.at, BigInt.asUintN(64, value), true)
  out.at += 8
}

function writeValue(out: ByteWriter, value: AnyValue): void {
  switch (value.kind) {
    case 'string': {
      const encoded = Buffer.from(value.value, 'utf8')
      out.writeU8(0x0a)
      out.writeUvarint(encoded.length)
      out.writeBytes(encoded)
      return
    }
    case 'bool':
      out.writeU8(0x10)
      out.writeU8(value.value ? 1 : 0)
      return
    case 'int': {
      out.writeU8(0x18)
      let n = BigInt.asUintN(64, value.value)
      while (n >= 128n) {
        out.writeU8(Number(n & 127n) | 128)
        n >>= 7n
      }
      out.writeU8(Number(n))
      return
    }
    case 'double':
      out.writeU8(0x21)
      out.writeF64LittleEndian(value.value)
      return
    case 'array':
      message(out, 0x2a, o => {
        for (const v of value.values)
          message(o, 0x0a, i => {
            writeValue(i, v)
          })
      })
      return
    case 'map':
      message(out, 0x32, o => {
        for (const a of value.entries) writeAttribute(o, 0x0a, a)
      })
      return
    case 'bytes':
      out.writeU8(0x3a)
      out.writeUvarint(value.value.length)
      out.writeBytes(value.value)
      return
    default:
  }
}
function writeAttribute(out: ByteWriter, tag: number, { key, value }: Attribute): void {
  message(out, tag, o => {
    textField(o, 0x0a, key)
    message(o, 0x12, i => {
      writeValue(i, value)
    })
  })
}

function writeSpan(out: ByteWriter, span: Span): void {
  bytesField(out, 0x0a, span.traceId)
  bytesField(out, 0x12, span.spanId)
  textField(out, 0x1a, span.traceState)
  bytesField(out, 0x22, span.parentSpanId)
  textField(out, 0x2a, span.name)
  uintField(out, 0x30, span.kind)
  fixed64Field(out, 0x39, span.startNs)
  fixed64Field(out, 0x41, span.endNs)
  for (const a of span.attributes) writeAttribute(out, 0x4a, a)
  uintField(out, 0x50, span.droppedAttributes)
  for (const e of span.events)
    message(out, 0x5a, o => {
      fixed64Field(o, 0x09, e.timeNs)
      textField(o, 0x12, e.name)
      for (const a of e.attributes) writeAttribute(o, 0x1a, a)
      uintField(o, 0x20, e.dropped)
    })
  uintField(out, 0x60, span.droppedEvents)
  for (const l of span.links)
    message(out, 0x6a, o => {
      bytesField(o, 0x0a, l.traceId)
      bytesField(o, 0x12, l.spanId)
      textField(o, 0x1a, l.traceState)
      for (const a of l.attributes) writeAttribute(o, 0x22, a)
      uintField(o, 0x28, l.dropped)
      if (l.flags > 0) {
        o.writeU8(0x35)
        o.reserve(4)
        o.view.setUint32(o.at, l.flags, true)
        o.at += 4
      }
    })
  uintField(out, 0x70, span.droppedLinks)
  if (span.statusCode !== 0 || span.statusMessage !== '')
    message(out, 0x7a, o => {
      textField(o, 0x12, span.statusMessage)
      uintField(o, 0x18, span.statusCode)
    })
  if (span.flags > 0) {
    out.writeUvarint(133)
    out.reserve(4)
    out.view.setUint32(out.at, span.flags, true)
    out.at += 4
  }
}

/** Bytes of a span's message, without the tag and length in front: as it came, or as it would be sent. */
export function spanSize(span: Span): number {
  if (span.wireFrom !== undefined && span.wireTo !== undefined) return span.wireTo - span.wireFrom
  const out = new ByteWriter(512)
  writeSpan(out, span)
  return out.at
}

/** TracesData (and ExportTraceServiceRequest). */
export function encodeOtlpTraces(trace: Trace): Uint8Array {
  const out = new ByteWriter(4096)
  for (const { resource, schemaUrl, scopes } of trace.resources) {
    message(out, 0x0a, r => {
      message(r, 0x0a, o => {
        for (const a of resource.attributes) writeAttribute(o, 0x0a, a)
        uintField(o, 0x10, resource.dropped)
      })
      for (const { scope, schemaUrl: scopeUrl, spans } of scopes) {
        message(r, 0x12, s => {
          message(s, 0x0a, o => {
            textField(o, 0x0a, scope.name)
            textField(o, 0x12, scope.version)
            for (const a of scope.attributes) writeAttribute(o, 0x1a, a)
            uintField(o, 0x20, scope.dropped)
          })
          for (const span of spans)
            message(s, 0x12, o => {
              writeSpan(o, span)
            })
          textField(s, 0x1a, scopeUrl)
        })
      }
      textField(r, 0x1a, schemaUrl)
    })
  }
  return out.bytes()
}
