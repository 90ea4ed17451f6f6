/**
 * What readers of fields share that read a line as it is stored, in bytes, instead of as text: the keys that lines
 * have, and texts of values. They read what is usual, and leave every other line to the reader of its text.
 */
import { errorLabel } from './entry.ts'

/** The line is left to the reader of its text. */
export const unusual = -1

/** A key at its place in a line. */
export interface KnownKey {
  /** As it stands in the line, ASCII. */
  readonly bytes: Uint8Array
  readonly prefix: string
  /** The label that its value becomes. */
  readonly name: string
  readonly isWanted: boolean
}

/** Keys by their place in the line before: lines of one program have the same ones in the same order. */
export class KeyPlaces {
  readonly #wanted: ReadonlySet<string>
  readonly #nameOf: (prefix: string, key: string) => string
  readonly #known: (KnownKey | undefined)[] = []

  constructor(wanted: ReadonlySet<string>, nameOf: (prefix: string, key: string) => string) {
    this.#wanted = wanted
    this.#nameOf = nameOf
  }

  /** The key that was at this place, where the line has it there too, followed by `behind`. */
  expected(place: number, prefix: string, line: Uint8Array, at: number, behind: number): KnownKey | undefined {
    const known = this.#known[place]
    if (known === undefined || known.prefix !== prefix) return undefined
    const { bytes } = known
    const { length } = bytes
    if (line[at + length] !== behind) return undefined
    for (let i = 0; i < length; i++) if (bytes[i] !== line[at + i]) return undefined
    return known
  }

  /** The key of these bytes; undefined for one that is not ASCII, begins or ends with a space, or names an error. */
  add(place: number, prefix: string, line: Uint8Array, from: number, to: number): KnownKey | undefined {
    for (let i = from; i < to; i++) if (line[i]! > 126) return undefined
    if (to === from || line[from]! <= 32 || line[to - 1]! <= 32) return undefined
    const bytes = line.slice(from, to)
    const name = this.#nameOf(prefix, Buffer.from(bytes).toString('latin1'))
    if (name === errorLabel) return undefined
    const key = { bytes, prefix, name, isWanted: this.#wanted.has(name) }
    if (place < placesMax) this.#known[place] = key
    return key
  }
}

const placesMax = 200

const textBytesMax = 6
const textsMax = 4096

/** Texts of values, all of them ASCII; the same object for the same short text, mostly. */
export class AsciiTexts {
  readonly #short = new Map<number, string>()
  #bytes: Uint8Array = new Uint8Array(0)
  /** The same bytes, for they make texts. */
  #buffer: Buffer = Buffer.from(this.#bytes)

  text(bytes: Uint8Array, from: number, to: number): string {
    if (to - from > textBytesMax) return this.#slice(bytes, from, to)
    let key = to - from
    for (let i = from; i < to; i++) key = key * 128 + bytes[i]!
    let text = this.#short.get(key)
    if (text === undefined) {
      text = this.#slice(bytes, from, to)
      if (this.#short.size >= textsMax) this.#short.clear()
      this.#short.set(key, text)
    }
    return text
  }

  #slice(bytes: Uint8Array, from: number, to: number): string {
    if (this.#bytes !== bytes) {
      this.#bytes = bytes
      this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    return this.#buffer.toString('latin1', from, to)
  }
}
