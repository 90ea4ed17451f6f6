/** Pairs in logfmt, as parameters have them: `key=value key="quoted value" key`. */
import { BadDataError } from '#core/errors.ts'

/** In their order; a key without a value has an empty one. Throws BadDataError; positions count bytes from 1. */
export function readLogfmt(text: string): [key: string, value: string][] {
  const pairs = new Map<string, string>()
  const reader = new Reader(text)
  while (reader.skipBlanks()) {
    const key = reader.key()
    const value = reader.value()
    if (pairs.has(key)) throw new BadDataError(`invalid tags: tag ${key} has been set twice`)
    pairs.set(key, value)
  }
  return [...pairs]
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Whether something follows. */
  skipBlanks(): boolean {
    while (this.#at < this.#text.length && this.#text[this.#at]! <= ' ') this.#at++
    return this.#at < this.#text.length
  }

  key(): string {
    const key = this.#word(/[^\0- ="]*/y)
    const next = this.#text[this.#at]
    if (next === '"' || (next === '=' && key === '')) this.#unexpected()
    return key
  }

  value(): string {
    if (this.#text[this.#at] !== '=') return ''
    this.#at++
    if (this.#text[this.#at] === '"') return this.#quoted()
    const value = this.#word(/[^\0- ="]*/y)
    if (this.#text[this.#at] === '=' || this.#text[this.#at] === '"') this.#unexpected()
    return value
  }

  #word(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const word = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += word.length
    return word
  }

  #quoted(): string {
    const whole = this.#word(/"(?:[^"\\]|\\[^])*"/y)
    if (whole === '')
      throw new BadDataError(`invalid tags: unterminated quoted value at pos ${this.#position(Infinity)}`)
    try {
      return JSON.parse(whole) as string
    } catch {
      throw new BadDataError(`invalid tags: invalid quoted value at pos ${this.#position(this.#at)}`)
    }
  }

  #unexpected(): never {
    throw new BadDataError(`invalid tags: unexpected '${this.#text[this.#at]}' at pos ${this.#position(this.#at)}`)
  }

  #position(at: number): number {
    return Buffer.byteLength(this.#text.slice(0, at)) + 1
  }
}
