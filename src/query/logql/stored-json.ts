/**
 * The wanted fields of a JSON line as it is stored. It stops at the last one, and makes a text of nothing else. What is
 * read so is what json-line.ts reads of the line's text; an unusual line is left to that.
 */
import { joinName, type FieldSink } from './json-line.ts'
import { AsciiTexts, KeyPlaces, unusual } from './stored-fields.ts'
import type { StoredNumber } from './stored-numbers.ts'

/** How reading goes on: behind what was read, not at all, or by the text. */
type Outcome = 0 | 1 | -1
const goesOn = 0
const stopped = 1

/** Objects within each other that are read. */
const depthMax = 32

const quote = 34
const comma = 44
const colon = 58
const openBracket = 91
const backslash = 92
const closeBracket = 93
const letterN = 110
const openBrace = 123
const closeBrace = 125

function isSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9
}

/** Reads one line after another. */
export class StoredJson {
  readonly #keys: KeyPlaces
  readonly #sink: FieldSink
  readonly #number: StoredNumber | undefined
  readonly #texts = new AsciiTexts()
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #end = 0
  #place = 0

  /**
   * `wanted`: names of labels. The sink gets each of these fields, and returns false when it wants no more; `number`
   * gets one of them instead, where it can.
   */
  constructor(wanted: ReadonlySet<string>, sink: FieldSink, number?: StoredNumber) {
    this.#number = number
    this.#keys = new KeyPlaces(wanted, joinName)
    this.#sink = sink
  }

  /** False: the line is unusual; what the sink got of it is void. */
  read(bytes: Uint8Array, from: number, to: number): boolean {
    this.#bytes = bytes
    this.#at = from
    this.#end = to
    this.#place = 0
    this.#skipSpace()
    if (this.#at >= to || bytes[this.#at] !== openBrace) return false
    return this.#object('', 0) !== unusual
  }

  #skipSpace(): void {
    const bytes = this.#bytes
    const end = this.#end
    let at = this.#at
    while (at < end && isSpace(bytes[at]!)) at++
    this.#at = at
  }

  /** The character here, behind spaces; 0 at the end of the line. */
  #next(): number {
    const code = this.#at < this.#end ? this.#bytes[this.#at]! : 0
    if (code > 32) return code
    this.#skipSpace()
    return this.#at < this.#end ? this.#bytes[this.#at]! : 0
  }

  #object(prefix: string, depth: number): Outcome {
    if (depth > depthMax) return unusual
    this.#at++
    for (;;) {
      const code = this.#next()
      if (code === closeBrace) {
        this.#at++
        return goesOn
      }
      if (code !== quote) return unusual
      this.#at++
      const outcome = this.#member(prefix, depth)
      if (outcome !== goesOn) return outcome
      const behind = this.#next()
      if (behind === closeBrace) continue
      if (behind !== comma) return unusual
      this.#at++
    }
  }

  /** A key, whose opening quote is in front, and its value. */
  #member(prefix: string, depth: number): Outcome {
    const bytes = this.#bytes
    const place = this.#place++
    let key = this.#keys.expected(place, prefix, bytes, this.#at, quote)
    if (key === undefined) {
      const from = this.#at
      const to = this.#plainEnd()
      key = to < 0 ? undefined : this.#keys.add(place, prefix, bytes, from, to)
      if (key === undefined) return unusual
    }
    if (this.#at + key.bytes.length >= this.#end) return unusual
    this.#at += key.bytes.length + 1
    if (this.#next() !== colon) return unusual
    this.#at++
    const code = this.#next()
    switch (code) {
      case quote:
        return this.#string(key.isWanted, key.name)
      case openBrace:
        return this.#object(key.name, depth + 1)
      case openBracket:
        return this.#skipArray() ? goesOn : unusual
      default:
        return this.#word(code, key.isWanted, key.name)
    }
  }

  /** Where the string ends that begins here, if it has neither escapes nor an end of the line; -1 otherwise. */
  #plainEnd(): number {
    const bytes = this.#bytes
    const end = this.#end
    for (let at = this.#at; at < end; at++) {
      const code = bytes[at]!
      if (code === quote) return at
      if (code === backslash) return -1
    }
    return -1
  }

  #string(isWanted: boolean, name: string): Outcome {
    const from = ++this.#at
    if (!isWanted) return this.#skipString() ? goesOn : unusual
    const to = this.#plainEnd()
    if (to < 0) return unusual
    for (let i = from; i < to; i++) if (this.#bytes[i]! > 127) return unusual
    this.#at = to + 1
    return this.#give(name, from, to) ? goesOn : stopped
  }

  /** Hands a wanted field on. */
  #give(name: string, from: number, to: number): boolean {
    const taken = name === this.#number?.name ? this.#number.take(this.#bytes, from, to) : undefined
    return taken ?? this.#sink(name, this.#texts.text(this.#bytes, from, to))
  }

  /** Moves behind the closing quote; false when there is none. */
  #skipString(): boolean {
    const bytes = this.#bytes
    const end = this.#end
    for (let at = this.#at; at < end; at++) {
      const code = bytes[at]!
      if (code === quote) {
        this.#at = at + 1
        return true
      }
      if (code === backslash) at++
    }
    return false
  }

  /** Brackets are counted, braces are not. */
  #skipArray(): boolean {
    let depth = 0
    while (this.#at < this.#end) {
      const code = this.#bytes[this.#at++]!
      if (code === quote) {
        if (!this.#skipString()) return false
      } else if (code === openBracket) depth++
      else if (code === closeBracket && --depth === 0) return true
    }
    return false
  }

  /** A number, or a word: `null` is no field. */
  #word(code: number, isWanted: boolean, name: string): Outcome {
    const bytes = this.#bytes
    const end = this.#end
    const from = this.#at
    let at = from
    for (; at < end; at++) {
      const c = bytes[at]!
      if (c === comma || c === closeBrace || c === closeBracket || isSpace(c)) break
      if (c > 127) return unusual
    }
    this.#at = at
    const isNumber = code === 45 || (code >= 48 && code <= 57)
    if (isNumber) return !isWanted || this.#give(name, from, at) ? goesOn : stopped
    const text = this.#texts.text(bytes, from, at)
    if (text !== 'true' && text !== 'false' && text !== 'null') return unusual
    if (!isWanted || code === letterN) return goesOn
    return this.#sink(name, text) ? goesOn : stopped
  }
}
