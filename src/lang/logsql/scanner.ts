/** A cursor over the text of a LogsQL query: words, quoted texts, scalars, and where what is wrong stands. */
import { BadQueryError, messageOf } from '#core/errors.ts'
import { checkQueryLength, QuerySize } from '#lang/query-size.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { toNumber } from './numbers.ts'

/** Where a bare word ends. */
const wordEnd = /[\s"'`()|,{}[\]=~<>!*:]/

export class QueryScanner {
  readonly text: string
  at = 0
  readonly size: QuerySize = new QuerySize((message, at) => this.fail(message, at))

  constructor(text: string) {
    checkQueryLength(text)
    this.text = text
  }

  fail(message: string, at = this.at): never {
    throw new BadQueryError(
      `cannot parse the query at position ${at + 1}: ${message}; context: ` +
        `[${this.text.slice(Math.max(0, at - 20), at)}\u27e8here\u27e9${this.text.slice(at, at + 20)}]`,
      at,
      this.text.length,
    )
  }

  skip(): void {
    for (;;) {
      while (this.at < this.text.length && /\s/.test(this.text[this.at]!)) this.at++
      if (this.text[this.at] !== '#') return
      const end = this.text.indexOf('\n', this.at)
      this.at = end < 0 ? this.text.length : end
    }
  }

  /** Is this the next thing? Symbols as they stand, words as whole words in any case. */
  is(what: string): boolean {
    this.skip()
    if (/\w/.test(what[0]!)) return this.peekWord().toLowerCase() === what
    return this.text.startsWith(what, this.at)
  }

  take(what: string): boolean {
    if (!this.is(what)) return false
    this.at += what.length
    return true
  }

  expect(what: string): void {
    if (!this.take(what)) this.fail(`${JSON.stringify(what)} was expected`)
  }

  peekWord(): string {
    this.skip()
    let end = this.at
    while (end < this.text.length && !wordEnd.test(this.text[end]!)) end++
    return this.text.slice(this.at, end)
  }

  atEnd(): boolean {
    this.skip()
    return this.at >= this.text.length
  }
  isQuote(): boolean {
    this.skip()
    return /["'`]/.test(this.text[this.at] ?? '')
  }

  quoted(): string {
    const mark = this.text[this.at]!
    const start = this.at++
    let out = ''
    for (;;) {
      const char = this.text[this.at]
      if (char === undefined) this.fail('a quoted text does not end', start)
      this.at++
      if (char === mark) return out
      if (char !== '\\' || mark === '`') {
        out += char
        continue
      }
      const next = this.text[this.at++] ?? ''
      const code = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(this.text.slice(this.at - 1, this.at + 6))
      if (code !== null) {
        out += String.fromCharCode(Number.parseInt(code[1] ?? code[2]!, 16))
        this.at += code[0].length - 1
      } else out += ({ n: '\n', t: '\t', r: '\r' } as Record<string, string | undefined>)[next] ?? next
    }
  }

  /** A quoted text or a bare word. */
  value(what: string): string {
    if (this.isQuote()) return this.quoted()
    const word = this.peekWord()
    if (word === '') this.fail(`${what} was expected`)
    this.at += word.length
    return word
  }

  /** Digits, letters, dots, signs: numbers, durations, sizes, also with what ends a word elsewhere. */
  scalar(what: string): string {
    if (this.isQuote()) return this.quoted()
    const match = /^[+-]?[\w.:+µ-]+/.exec(this.text.slice(this.at))
    if (match === null) this.fail(`${what} was expected`)
    this.at += match[0].length
    return match[0]
  }

  number(what: string): number {
    const at = this.at
    const value = toNumber(this.scalar(what))
    if (Number.isNaN(value)) this.fail(`${what} must be a number`, at)
    return value
  }

  /** A regular expression that compiles; groups may be named in either spelling. */
  regularExpression(): string {
    const at = this.at
    const source = this.value('a regular expression')
    this.size.regex(source, at)
    try {
      compileRe2(source.replaceAll(/\(\?<(?![=!])/g, '(?P<'), source)
    } catch (error) {
      this.fail(messageOf(error), at)
    }
    return source
  }
}
