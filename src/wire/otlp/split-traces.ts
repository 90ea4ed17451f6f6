/**
 * OTLP messages of traces by their bytes: cut into smaller ones, or without some of their spans. Spans are spliced as
 * they came; what else a resource or a scope has, unknown fields among it, stands in each message that has spans of it.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { skipField } from '#codec/protobuf.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { Trace } from '#model/trace.ts'
import { checkFrame, decodeOtlpTraces, encodeOtlpTraces } from './traces.ts'

/** One of the messages, and how many spans it has. */
export interface SplitMessage {
  message: Uint8Array
  spans: number
}

/** When a message ends: the next span, scope or resource begins another one. */
export interface SplitLimits {
  /** Spans, scopes and resources of one message. */
  items: number
  /** Their bytes; a span that is longer is one message. */
  bytes: number
}

/** What an item counts against what a cut repeats: 250,000 of them make 64 MB of repeated resources at most. */
const itemWeight = 256

const tags = { resource: 0x0a, scope: 0x12, span: 0x12 } as const

/** A message with messages inside: its other fields, and where those inside lie. */
interface Frame {
  /** Fields that are no such messages, one after another. */
  own: Uint8Array
  /** [from, to) of the content of each one inside. */
  inside: number[]
}

/** `field`: number of the messages inside. Throws CorruptDataError for a field that reaches beyond [from, to). */
function readFrame(message: Uint8Array, from: number, to: number, field: number, kind: 'resource' | 'scope'): Frame {
  const input = new ByteReader(message, from, to)
  const own = new ByteWriter(64)
  const inside: number[] = []
  while (input.at < to) {
    const at = input.at
    const tag = input.readUvarint()
    if (tag >>> 3 === field || tag >>> 3 === 1) {
      if ((tag & 7) !== 2) throw new CorruptDataError(`protobuf: field ${tag >>> 3} is no message`)
      const end = input.readLength() + input.at
      if (tag >>> 3 === field) inside.push(input.at, end)
      else checkFrame(message, input.at, end, kind)
      input.at = end
    } else skipField(input, tag)
    if (tag >>> 3 !== field) own.writeBytes(message.subarray(at, input.at))
  }
  return { own: own.bytes(), inside }
}

function writeMessage(out: ByteWriter, tag: number, content: Uint8Array): void {
  out.writeU8(tag)
  out.writeUvarint(content.length)
  out.writeBytes(content)
}

/** Messages that are written, one after another, in memory that `allocate` gives. */
class MessagesWriter {
  readonly #limits: SplitLimits
  readonly #allocate: (bytes: number) => Uint8Array
  readonly #out = new ByteWriter(4096)
  readonly #resource = new ByteWriter(4096)
  readonly #scope = new ByteWriter(4096)
  readonly messages: SplitMessage[] = []
  #resourceFrame: Uint8Array | undefined
  #scopeFrame: Uint8Array | undefined
  /** Of the message that is written, without what it repeats. */
  #items = 0
  #bytes = 0
  #spans = 0
  /** A resource or scope begins just here: it is not cut off from what is first in it. */
  #isBeginning = false

  constructor(limits: SplitLimits, allocate: (bytes: number) => Uint8Array) {
    this.#limits = limits
    this.#allocate = allocate
  }

  /** A field of the message itself. */
  field(bytes: Uint8Array): void {
    this.#count(bytes.length)
    this.#out.writeBytes(bytes)
  }

  openResource(frame: Uint8Array): void {
    this.#count(frame.length)
    this.#resourceFrame = frame
    this.#resource.writeBytes(frame)
    this.#isBeginning = true
  }

  openScope(frame: Uint8Array): void {
    this.#count(frame.length)
    this.#scopeFrame = frame
    this.#scope.writeBytes(frame)
    this.#isBeginning = true
  }

  span(content: Uint8Array): void {
    this.#count(content.length)
    this.#spans++
    writeMessage(this.#scope, tags.span, content)
  }

  closeScope(): void {
    writeMessage(this.#resource, tags.scope, this.#scope.bytes())
    this.#scope.reset()
    this.#scopeFrame = undefined
    this.#isBeginning = false
  }

  closeResource(): void {
    writeMessage(this.#out, tags.resource, this.#resource.bytes())
    this.#resource.reset()
    this.#resourceFrame = undefined
    this.#isBeginning = false
  }

  /** One item more, which begins another message where this one is full. */
  #count(bytes: number): void {
    const repeated = (this.#resourceFrame?.length ?? 0) + (this.#scopeFrame?.length ?? 0)
    const isFull = this.#items >= this.#limits.items || this.#bytes >= this.#limits.bytes
    // A cut repeats no more than the message before it has.
    if (isFull && !this.#isBeginning && this.#bytes + this.#items * itemWeight >= repeated) this.#cut()
    this.#isBeginning = false
    this.#items++
    this.#bytes += bytes
  }

  #cut(): void {
    const resource = this.#resourceFrame
    const scope = this.#scopeFrame
    if (scope !== undefined) this.closeScope()
    if (resource !== undefined) this.closeResource()
    this.end()
    if (resource !== undefined) this.#resource.writeBytes(resource)
    if (scope !== undefined) this.#scope.writeBytes(scope)
    this.#resourceFrame = resource
    this.#scopeFrame = scope
  }

  end(): void {
    const message = this.#allocate(this.#out.at)
    message.set(this.#out.bytes())
    this.messages.push({ message, spans: this.#spans })
    this.#out.reset()
    this.#spans = 0
    this.#items = 0
    this.#bytes = 0
  }
}

/** What becomes of a span, by its place in the message. */
type SpanFate = (at: number) => 'kept' | 'emptied' | 'dropped'

function rewrite(message: Uint8Array, writer: MessagesWriter, fateOf: SpanFate): void {
  const none = new Uint8Array(0)
  let at = 0
  const scopeAt = (from: number, to: number): void => {
    const { own, inside } = readFrame(message, from, to, 2, 'scope')
    writer.openScope(own)
    for (let i = 0; i < inside.length; i += 2) {
      const fate = fateOf(at++)
      if (fate === 'dropped') continue
      writer.span(fate === 'kept' ? message.subarray(inside[i], inside[i + 1]) : none)
    }
    writer.closeScope()
  }
  const input = new ByteReader(message)
  while (input.at < input.end) {
    const from = input.at
    const tag = input.readUvarint()
    if (tag >>> 3 !== 1) {
      skipField(input, tag)
      writer.field(message.subarray(from, input.at))
      continue
    }
    if ((tag & 7) !== 2) throw new CorruptDataError('protobuf: field 1 is no message')
    const end = input.readLength() + input.at
    const { own, inside } = readFrame(message, input.at, end, 2, 'resource')
    writer.openResource(own)
    for (let i = 0; i < inside.length; i += 2) scopeAt(inside[i]!, inside[i + 1]!)
    writer.closeResource()
    input.at = end
  }
  writer.end()
}

/**
 * The message in several, each within the limits, with the same spans in the same order; those whose places `isEmptied`
 * names have no fields. `allocate` gives the memory. What is repeated takes no more than the message and 64 MB. One
 * whose fields reach beyond the message that they are in is not cut.
 */
export function splitOtlpTraces(
  message: Uint8Array,
  limits: SplitLimits,
  isEmptied: (at: number) => boolean,
  allocate: (bytes: number) => Uint8Array,
): SplitMessage[] {
  try {
    const writer = new MessagesWriter(limits, allocate)
    rewrite(message, writer, at => (isEmptied(at) ? 'emptied' : 'kept'))
    return writer.messages
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    const whole = allocate(message.length)
    whole.set(message)
    return [{ message: whole, spans: Infinity }]
  }
}

/** The message without the spans at these places. */
export function withoutSpans(message: Uint8Array, isDropped: (at: number) => boolean): Uint8Array {
  const writer = new MessagesWriter({ items: Infinity, bytes: Infinity }, bytes => new Uint8Array(bytes))
  try {
    rewrite(message, writer, at => (isDropped(at) ? 'dropped' : 'kept'))
    return writer.messages[0]!.message
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    // A field reaches beyond the message that it is in: nobody knows whose bytes it has.
    return encodeOtlpTraces(withoutSpansAt(decodeOtlpTraces(message), isDropped))
  }
}

/** The tree without the spans at these places, counted in its order; `first` is the place of the first one. */
export function withoutSpansAt({ resources }: Trace, isDropped: (at: number) => boolean, first = 0): Trace {
  let at = first
  return {
    resources: resources.map(r => ({
      ...r,
      scopes: r.scopes.map(s => ({ ...s, spans: s.spans.filter(() => !isDropped(at++)) })),
    })),
  }
}
