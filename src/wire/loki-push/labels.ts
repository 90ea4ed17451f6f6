/** Stream labels as text: `{app="x", env="prod"}`. Source: docs/logs.md. */
import { BadDataError } from '#core/errors.ts'
import { compareText, goEscapes, quote } from '#core/text.ts'
import { isLegacyLabelName, Labels } from '#model/labels.ts'

const memo = new Map<string, Labels>()
const memoMax = 20_000

/**
 * Throws BadDataError with the position of what is wrong. Names may be quoted; a comma may trail; a metric name may
 * lead.
 */
export function parseStreamLabels(text: string): Labels {
  const known = memo.get(text)
  if (known !== undefined) return known
  const labels = new LabelParser(text).parse()
  if (memo.size >= memoMax) memo.clear()
  memo.set(text, labels)
  return labels
}

class LabelParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  #fail(what: string): never {
    throw new BadDataError(`couldn't parse labels: 1:${this.#at + 1}: parse error: ${what}`)
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++
  }

  #name(): string | undefined {
    const match = /^[A-Za-z_][A-Za-z0-9_:.]*/.exec(this.#text.slice(this.#at))
    if (match === null) return undefined
    this.#at += match[0].length
    return match[0]
  }

  #string(): string {
    const mark = this.#text[this.#at]
    const start = this.#at++
    if (mark === '`') {
      const end = this.#text.indexOf('`', this.#at)
      if (end < 0) {
        this.#at = start
        this.#fail('unterminated raw string')
      }
      const raw = this.#text.slice(this.#at, end)
      this.#at = end + 1
      return raw
    }
    let out = ''
    for (;;) {
      const char = this.#text[this.#at]
      if (char === undefined || char === '\n') {
        this.#at = start
        this.#fail('unterminated quoted string')
      }
      this.#at++
      if (char === mark) return out
      if (char !== '\\') {
        out += char
        continue
      }
      out += this.#escape()
    }
  }

  #escape(): string {
    const rest = this.#text.slice(this.#at)
    const code = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/.exec(rest)
    if (code !== null) {
      const [all, byte, short, long, octal] = code
      const point = octal === undefined ? Number.parseInt(byte ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8)
      if (point > 0x10ffff) this.#fail(`escape sequence ${quote(all)} is no character`)
      this.#at += all.length
      return String.fromCodePoint(point)
    }
    const plain = goEscapes.get(rest[0] ?? '')
    if (plain === undefined) this.#fail(`unknown escape sequence ${quote(rest[0] ?? '')}`)
    this.#at++
    return plain
  }

  parse(): Labels {
    const entries = new Map<string, string>()
    const add = (name: string, value: string): void => {
      if (entries.has(name)) throw new BadDataError(`stream '${this.#text}' has duplicate label name: '${name}'`)
      entries.set(name.toWellFormed(), value.toWellFormed())
    }
    this.#skip()
    const metric = this.#name()
    if (metric !== undefined) add('__name__', metric)
    this.#skip()
    if (this.#text[this.#at] !== '{') {
      if (metric !== undefined && this.#at === this.#text.length) return Labels.from(entries)
      this.#fail(
        this.#at >= this.#text.length
          ? 'unexpected end of input'
          : `unexpected character: ${quote(this.#text[this.#at]!)}`,
      )
    }
    this.#at++
    for (;;) {
      this.#skip()
      if (this.#text[this.#at] === '}') break
      const quoted = this.#text[this.#at] === '"'
      const name = quoted ? this.#string() : this.#name()
      if (name === undefined)
        this.#fail(
          this.#at >= this.#text.length
            ? 'unexpected end of input inside braces'
            : `unexpected character inside braces: '${this.#text[this.#at]!}'`,
        )
      this.#skip()
      if (this.#text[this.#at] !== '=')
        this.#fail(
          `unexpected ${this.#at >= this.#text.length ? 'end of input' : quote(this.#text[this.#at]!)} in ` +
            'label set, expected "="',
        )
      this.#at++
      this.#skip()
      if (this.#text[this.#at] !== '"' && this.#text[this.#at] !== "'" && this.#text[this.#at] !== '`')
        this.#fail(
          `unexpected ${this.#at >= this.#text.length ? 'end of input' : quote(this.#text[this.#at]!)} in ` +
            'label set, expected string',
        )
      add(name, this.#string())
      this.#skip()
      if (this.#text[this.#at] === ',') {
        this.#at++
        continue
      }
      if (this.#text[this.#at] !== '}')
        this.#fail(
          this.#at >= this.#text.length
            ? 'unexpected end of input inside braces'
            : `unexpected ${quote(this.#text[this.#at]!)} in label set, expected "," or "}"`,
        )
    }
    this.#at++
    this.#skip()
    if (this.#at < this.#text.length)
      this.#fail(`unexpected ${quote(this.#text.slice(this.#at, this.#at + 10))} after the label set`)
    return Labels.from(entries)
  }
}

/** Labels that came as an object; names must be plain. Throws BadDataError with the place in the labels as a text. */
export function labelsFromObject(object: Readonly<Record<string, string>>): Labels {
  for (const name of Object.keys(object)) if (!isLegacyLabelName(name)) refuseName(name, object)
  return Labels.fromObject(object)
}

function refuseName(name: string, object: Readonly<Record<string, string>>): never {
  let at = 2
  for (const other of Object.keys(object).sort(compareText)) {
    if (other === name) break
    at += other.length + 1 + quote(object[other]!).length + 2
  }
  const good = /^(?:[A-Za-z_][A-Za-z0-9_]*)?/.exec(name)![0]
  const bad = name.slice(good.length)
  if (bad === '') throw labelsProblem(at, 'unexpected "=" in label set, expected identifier or "}"')
  const next = /^\s+([A-Za-z_][A-Za-z0-9_]*)/.exec(bad)
  if (good !== '' && next !== null)
    throw labelsProblem(
      at + good.length + next[0].length - next[1]!.length,
      `unexpected identifier ${quote(next[1]!)} in label set, expected "="`,
    )
  const sign = String.fromCodePoint(bad.codePointAt(0)!)
  throw labelsProblem(at + good.length, `unexpected character inside braces: '${sign}'`)
}

function labelsProblem(column: number, what: string): BadDataError {
  return new BadDataError(`couldn't parse labels: 1:${column}: parse error: ${what}`)
}
