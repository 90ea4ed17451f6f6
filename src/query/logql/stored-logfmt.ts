/**
 * The wanted pairs of a logfmt line as it is stored. It stops at the last one, and makes a text of nothing else. What
 * is read so is what logfmt-line.ts reads of the line's text; an unusual line is left to that.
 */
import { labelName, type FieldSink } from './json-line.ts'
import { AsciiTexts, KeyPlaces, unusual } from './stored-fields.ts'
import type { StoredNumber } from './stored-numbers.ts'

const quote = 34
const equals = 61
const backslash = 92

/** Escapes of a quoted value that mean something: " \ / b f n r t and '. */
const escapes = new Set([34, 92, 47, 98, 102, 110, 114, 116, 39])

/** Reads one line after another. */
export class StoredLogfmt {
  readonly #keys: KeyPlaces
  readonly #sink: FieldSink
  readonly #number: StoredNumber | undefined
  readonly #texts = new AsciiTexts()

  /**
   * `wanted`: names of labels. The sink gets each of these pairs, and returns false when it wants no more; `number`
   * gets one of them instead, where it can.
   */
  constructor(wanted: ReadonlySet<string>, sink: FieldSink, number?: StoredNumber) {
    this.#number = number
    this.#keys = new KeyPlaces(wanted, (_, key) => labelName(key))
    this.#sink = sink
  }

  /** False: the line is unusual; what the sink got of it is void. */
  read(bytes: Uint8Array, from: number, end: number): boolean {
    let at = from
    for (let place = 0; ; place++) {
      while (at < end && bytes[at]! <= 32) at++
      if (at >= end) return true
      let key = this.#keys.expected(place, '', bytes, at, equals)
      if (key === undefined) {
        const to = endOfKey(bytes, at, end)
        key = to < 0 ? undefined : this.#keys.add(place, '', bytes, at, to)
        if (key === undefined) return false
      }
      const keyEnd = at + key.bytes.length
      if (keyEnd > end) return false
      let valueFrom = keyEnd
      let valueTo = keyEnd
      at = keyEnd
      if (keyEnd < end && bytes[keyEnd] === equals) {
        const isQuoted = keyEnd + 1 < end && bytes[keyEnd + 1] === quote
        valueFrom = keyEnd + (isQuoted ? 2 : 1)
        valueTo = isQuoted ? endOfQuoted(bytes, valueFrom, end, key.isWanted) : endOfWord(bytes, valueFrom, end)
        if (valueTo < 0) return false
        at = isQuoted ? valueTo + 1 : valueTo
      }
      if (!key.isWanted) continue
      for (let i = valueFrom; i < valueTo; i++) if (bytes[i]! > 127) return false
      const taken = key.name === this.#number?.name ? this.#number.take(bytes, valueFrom, valueTo) : undefined
      if (!(taken ?? this.#sink(key.name, this.#texts.text(bytes, valueFrom, valueTo)))) return true
    }
  }
}

/** Where the key ends that begins at `from`; -1 for none, and for one with a quote. */
function endOfKey(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; ; at++) {
    const code = at < end ? bytes[at]! : 32
    if (code === quote) return unusual
    if (code <= 32 || code === equals) return at === from ? unusual : at
  }
}

/** Where the value ends that begins at `from`; -1 where it has a character that is none of a value. */
function endOfWord(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  for (; at < end; at++) {
    const code = bytes[at]!
    if (code <= 32) break
    if (code === equals || code === quote) return unusual
  }
  return at
}

/** Where the closing quote is; -1 where there is none, and for escapes that are to be read, or may be wrong. */
function endOfQuoted(bytes: Uint8Array, from: number, end: number, isWanted: boolean): number {
  for (let at = from; at < end; at++) {
    const code = bytes[at]!
    if (code === quote) return at
    if (code === backslash && (isWanted || !escapes.has(bytes[++at]!))) return unusual
  }
  return unusual
}
