/** A cursor over the tokens of a LogsQL query, and where what is wrong stands. */
import { BadQueryError, messageOf } from '#core/errors.ts'
import { checkQueryLength, QuerySize } from '#lang/query-size.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { readQuoted } from './quotes.ts'

const tokenCharacter = /[\p{L}\p{Nd}_.]/u
const space = /\s/
const marks = new Set(['"', "'", '`'])
const pairs = new Set(['=~', '!~', '!='])

/** Tokens that end a text of several tokens where nothing else is said. */
const compoundEnds = [',', '(', ')', '[', ']', '|', ''] as const

export interface LexerState {
  token: string
  raw: string
  before: string
  isSpaced: boolean
  from: number
  at: number
}

/** The current token is `token`; a quoted one differs from its `raw` form. The empty one is the end. */
export class QueryLexer {
  readonly text: string
  readonly size: QuerySize = new QuerySize((message, at) => this.fail(message, at))
  token = ''
  raw = ''
  /** The token before this one. */
  before = ''
  /** White space stands in front of the token. */
  isSpaced = false
  /** Where the token begins. */
  from = 0
  #at = 0

  constructor(text: string) {
    checkQueryLength(text)
    this.text = text
    this.next()
  }

  fail(message: string, at = this.from): never {
    throw new BadQueryError(
      `cannot parse the query at position ${at + 1}: ${message}; context: ` +
        `[${this.text.slice(Math.max(0, at - 20), at)}\u27e8here\u27e9${this.text.slice(at, at + 20)}]`,
      at,
      this.text.length,
    )
  }

  save(): LexerState {
    const { token, raw, before, isSpaced, from } = this
    return { token, raw, before, isSpaced, from, at: this.#at }
  }

  restore({ token, raw, before, isSpaced, from, at }: LexerState): void {
    this.token = token
    this.raw = raw
    this.before = before
    this.isSpaced = isSpaced
    this.from = from
    this.#at = at
  }

  /** Goes on to the next token. */
  next(): void {
    this.before = this.token
    const start = this.#skipped()
    this.isSpaced = start > this.#at
    this.from = start
    const first = this.text.codePointAt(start)
    if (first === undefined) {
      this.#take('', start)
      return
    }
    const end = this.#endOfWord(start)
    if (end > start) {
      this.#take(this.text.slice(start, end), end)
      return
    }
    const char = String.fromCodePoint(first)
    const quoted = marks.has(char) ? readQuoted(this.text, start) : undefined
    if (quoted !== undefined) {
      this.token = quoted.text
      this.raw = this.text.slice(start, quoted.end)
      this.#at = quoted.end
      return
    }
    const pair = this.text.slice(start, start + 2)
    const token = pairs.has(pair) ? pair : char
    this.#take(token, start + token.length)
  }

  #take(token: string, end: number): void {
    this.token = this.raw = token
    this.#at = end
  }

  #skipped(): number {
    let at = this.#at
    for (;;) {
      while (at < this.text.length && space.test(this.text[at]!)) at++
      if (this.text[at] !== '#') return at
      const end = this.text.indexOf('\n', at)
      at = end < 0 ? this.text.length : end + 1
    }
  }

  #endOfWord(start: number): number {
    let at = start
    for (;;) {
      const code = this.text.codePointAt(at)
      if (code === undefined) return at
      const char = String.fromCodePoint(code)
      if (!tokenCharacter.test(char)) return at
      at += char.length
    }
  }

  get isQuoted(): boolean {
    return this.token !== this.raw
  }

  get isEnd(): boolean {
    return this.raw === ''
  }

  /** Is the token one of these words or symbols? Words in any case, a quoted text is none, the empty one is the end. */
  is(...words: readonly string[]): boolean {
    return !this.isQuoted && words.includes(this.token.toLowerCase())
  }

  /** Goes on when the token is that. */
  take(...words: readonly string[]): boolean {
    if (!this.is(...words)) return false
    this.next()
    return true
  }

  expect(word: string): void {
    if (!this.take(word)) this.fail(`${JSON.stringify(word)} was expected`)
  }

  /** The end of a pipe: of the query, of the pipe or of the parenthesis around it. */
  get isEndOfPipe(): boolean {
    return this.is('|', ')', '')
  }

  /** Tokens up to one of `ends` or to white space, as one text; a quoted one alone is unquoted. */
  compound(what: string, ends: readonly string[] = compoundEnds): string {
    this.checkQuote()
    if (this.is(...ends)) this.fail(`${what} was expected`)
    return this.#joined(ends)
  }

  /** The rest of a text that has begun; '' where white space or an end follows. */
  rest(ends: readonly string[]): string {
    let rest = ''
    while (!this.isSpaced && !this.is(...ends) && !this.isEnd) {
      rest += this.raw
      this.next()
    }
    return rest
  }

  /** An argument in parentheses: empty in front of a star. */
  argument(): string {
    return this.is('*') ? '' : this.#joined(['*', ',', '(', ')', '|', ''])
  }

  #joined(ends: readonly string[]): string {
    const { token, raw } = this
    this.next()
    const rest = this.rest(ends)
    return rest === '' ? token : raw + rest
  }

  /** Refuses a mark that begins no quoted text. */
  checkQuote(): void {
    if (this.isQuoted || !marks.has(this.token)) return
    this.fail('a quoted text does not end here, or has an escape that is none: double backslashes, or use `backquotes`')
  }

  /** Refuses an expression that does not compile. */
  checkRegex(source: string, at: number): void {
    this.size.regex(source, at)
    try {
      compileRe2(source)
    } catch (error) {
      this.fail(messageOf(error), at)
    }
  }
}
