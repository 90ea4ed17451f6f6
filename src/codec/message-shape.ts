/**
 * What is in a protobuf message, counted before it is decoded: a message within another may take two bytes, and
 * becomes an object of hundreds. A shape says which fields are messages; the walk allocates nothing.
 */
import { elementsMax, tooMany, type ElementKind } from '#core/body-limits.ts'

/** A message, and its fields that are messages or lists of numbers, by number. */
export interface MessageShape {
  /** What it becomes; undefined: nothing that is counted. */
  readonly kind?: ElementKind
  readonly fields: Readonly<Record<number, MessageShape | 'numbers'>>
  /** Shorter messages are not looked into: they can't hold what matters. Default 0. */
  readonly looksFrom?: number
}

/** Deeper ones are not looked into: no decoder goes there. */
const depthMax = 128
/** Bodies up to this size are not looked into: they can't hold more than every body may. */
const bytesFree = 64 * 1024

/** Numbers of packed lists that count as one part: 8 to 16 B each. */
const packedNumbers = 16

/** Throws LimitError (400) for a message in bytes[from, to) that holds more than a body of its size may. */
export function checkMessage(bytes: Uint8Array, shape: MessageShape, from = 0, to = bytes.length): void {
  if (to - from > bytesFree) new Walk(bytes, from, to).message(shape, to, 0)
}

class Walk {
  readonly #bytes: Uint8Array
  readonly #itemsMax: number
  readonly #partsMax: number
  #items = 0
  #parts = 0
  readonly #size: number
  #at: number

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes
    this.#at = from
    this.#size = to - from
    this.#itemsMax = elementsMax('items', this.#size)
    this.#partsMax = elementsMax('parts', this.#size)
  }

  /** From where it is to `end`. What can't be read ends the message, as it does for decoders. */
  message(shape: MessageShape, end: number, depth: number): void {
    const { fields } = shape
    while (this.#at < end) {
      const tag = this.#varint(end)
      if (tag < 0) break
      // Fields that are numbers or texts count a quarter, as in JSON.
      this.#count(0.25)
      const inner = fields[Math.floor(tag / 8)]
      // Decoders take a field by its number, whatever its wire type says.
      if (inner === undefined ? !this.#skip(tag % 8, end) : !this.#field(inner, end, depth)) break
    }
    this.#at = end
  }

  #field(shape: MessageShape | 'numbers', end: number, depth: number): boolean {
    const length = this.#varint(end)
    if (length < 0 || length > end - this.#at) return false
    const to = this.#at + length
    if (shape === 'numbers') this.#count(length / packedNumbers)
    else {
      if (shape.kind === 'items') {
        if (++this.#items > this.#itemsMax) throw tooMany('items', this.#size, this.#at)
      } else if (shape.kind === 'parts') this.#count(1)
      if (length > 0 && length >= (shape.looksFrom ?? 0) && depth < depthMax) this.message(shape, to, depth + 1)
    }
    this.#at = to
    return true
  }

  #count(parts: number): void {
    this.#parts += parts
    if (this.#parts > this.#partsMax) throw tooMany('parts', this.#size, this.#at)
  }

  #skip(type: number, end: number): boolean {
    if (type === 0) return this.#varint(end) >= 0
    const length = type === 1 ? 8 : type === 5 ? 4 : type === 2 ? this.#varint(end) : -1
    if (length < 0 || length > end - this.#at) return false
    this.#at += length
    return true
  }

  /** -1: none. */
  #varint(end: number): number {
    const bytes = this.#bytes
    if (this.#at < end) {
      const byte = bytes[this.#at]!
      if (byte < 128) {
        this.#at++
        return byte
      }
    }
    let value = 0
    let scale = 1
    for (let i = 0; i < 10 && this.#at < end; i++) {
      const byte = bytes[this.#at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
    return -1
  }
}
