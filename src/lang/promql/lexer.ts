/** PromQL text -> tokens. Messages follow the reference implementation's. */
import { BadQueryError } from '#core/errors.ts'
import { queryTextLimits } from '#core/limits.ts'
import { parseDurationMs } from '#core/duration.ts'
import { goEscapes, quote } from '#core/text.ts'

export type TokenKind =
  | 'end'
  | 'identifier'
  | 'metric-identifier'
  | 'string'
  | 'number'
  | 'duration'
  | 'keyword'
  | 'aggregator'
  | 'operator'
  | 'symbol'
  | 'error'

/**
 * An `error` token ends the stream; its `value` is the message, and it matters only if the parser gets that far.
 * `text` is what stood there, except for keywords, aggregators and operators, where it is lower case; `value` is a
 * string's content.
 */
export interface Token {
  kind: TokenKind
  text: string
  raw: string
  value: string
  number: number
  from: number
  to: number
}

/** Words of the language that name no function. */
export const keywords: ReadonlySet<string> = new Set([
  'offset',
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
  'start',
  'end',
  'step',
  'range',
  'min_of',
  'max_of',
  'anchored',
  'smoothed',
  'fill',
  'fill_left',
  'fill_right',
])
/** Operators over the series of a vector. */
export const aggregateOperators: ReadonlySet<string> = new Set([
  'sum',
  'avg',
  'count',
  'min',
  'max',
  'group',
  'stddev',
  'stdvar',
  'topk',
  'bottomk',
  'count_values',
  'quantile',
  'limitk',
  'limit_ratio',
])
const durationWords = new Set(['step', 'range', 'min_of', 'max_of'])
const wordOperators = new Set(['and', 'or', 'unless', 'atan2'])

const identifierShape = /[a-zA-Z_:][a-zA-Z0-9_:]*/y

/** Tokens up to the end, or up to an `error` token. Never throws. */
export function tokenize(query: string): Token[] {
  const lexer = new Lexer(query)
  try {
    lexer.run()
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    const { from, to, message } = error
    lexer.tokens.push({ kind: 'error', text: '', raw: '', value: message, number: 0, from, to })
  }
  return lexer.tokens
}

class Lexer {
  readonly tokens: Token[] = []
  readonly #query: string
  #at = 0
  /** Brackets that are open, outermost first. */
  readonly #nesting: string[] = []
  /** Have a number and a colon stood in the square bracket that is open? */
  #hasDuration = false
  #hasColon = false

  constructor(query: string) {
    this.#query = query
  }

  get #isInBraces(): boolean {
    return this.#nesting.at(-1) === '{'
  }

  #push(kind: TokenKind, to: number, text = this.#query.slice(this.#at, to), value = '', number = 0): void {
    const from = this.#at
    if (this.tokens.length >= queryTextLimits.tokensMax)
      this.#fail(`the query has more than ${queryTextLimits.tokensMax} words and signs, which is the limit`)
    this.tokens.push({ kind, text, raw: this.#query.slice(from, to), value, number, from, to })
    this.#at = to
  }

  #fail(message: string, from = this.#at, to = from + 1): never {
    throw new BadQueryError(message, from, to)
  }

  run(): void {
    for (;;) {
      while (/[ \t\n\r]/.test(this.#query[this.#at] ?? '')) this.#at++
      const char = this.#query[this.#at]
      if (char === undefined) break
      this.#next(char)
    }
    this.#checkClosed()
    this.#push('end', this.#at)
  }

  #next(char: string): void {
    if (char === '#') this.#comment()
    else if ((char === '"' || char === "'" || char === '`') && !this.#nesting.includes('[')) this.#string()
    else if (!this.#word()) this.#sign(char)
  }

  #comment(): void {
    const end = this.#query.indexOf('\n', this.#at)
    this.#at = end < 0 ? this.#query.length : end
  }

  #string(): void {
    const { value, to } = readString(this.#query, this.#at)
    this.#push('string', to, this.#query.slice(this.#at, to), value)
  }

  /** False where no word begins. */
  #word(): boolean {
    identifierShape.lastIndex = this.#at
    const word = identifierShape.exec(this.#query)?.[0]
    if (word === undefined) return false
    const inBraces = this.#isInBraces
    if (this.#nesting.includes('[') && !word.startsWith(':') && !durationWords.has(word.toLowerCase()))
      this.#failInDuration(word[0]!)
    if (word.startsWith(':') && (this.#nesting.at(-1) === '[' || inBraces)) return false
    if (inBraces && word.includes(':')) this.#push('identifier', this.#at + word.indexOf(':'))
    else this.#pushWord(word)
    return true
  }

  #failInDuration(char: string): never {
    const shown = quotedCharacter(char)
    return this.#fail(
      this.#hasDuration
        ? `unexpected character: ${shown}, expected ':'`
        : `unexpected character in duration expression: ${shown}`,
    )
  }

  #pushWord(word: string): void {
    const lower = word.toLowerCase()
    const to = this.#at + word.length
    if (word.includes(':')) this.#push('metric-identifier', to)
    else if (this.#isInBraces) this.#push('identifier', to)
    else if (wordOperators.has(lower)) this.#push('operator', to, lower)
    else if (aggregateOperators.has(lower)) this.#push('aggregator', to, lower)
    else if (keywords.has(lower)) this.#push('keyword', to, lower)
    else if (lower === 'inf') this.#push('number', to, word, '', Infinity)
    else if (lower === 'nan') this.#push('number', to, word, '', NaN)
    else this.#push('identifier', to)
  }

  /** Whatever is neither a string nor a word. */
  #sign(char: string): void {
    const inBraces = this.#isInBraces
    const next = this.#query[this.#at + 1]
    if (inBraces && !'=!,}'.includes(char)) this.#failInBraces(char)
    if (/[0-9]/.test(char) || (char === '.' && next !== undefined && /[0-9]/.test(next))) this.#number()
    else if (this.#isLongOperator(this.#query.slice(this.#at, this.#at + 2))) this.#push('operator', this.#at + 2)
    else if (char === '=') this.#equals(next)
    else if (char === '!')
      this.#fail(`unexpected character after '!'${inBraces ? ' inside braces' : ''}: ${quotedCharacter(next)}`)
    else if ('+-*/%^<>'.includes(char) && !inBraces) this.#push('operator', this.#at + 1)
    else if ('([{'.includes(char)) this.#open(char)
    else if (')]}'.includes(char)) this.#close(char)
    else if (char === ',' || char === '@') this.#push('symbol', this.#at + 1)
    else if (char === ':') this.#colon()
    else this.#failUnexpected()
  }

  #failInBraces(char: string): never {
    if (char === '{') this.#fail("unexpected left brace '{'")
    return this.#fail(`unexpected character inside braces: ${quotedCharacter(this.#character())}`)
  }

  #failUnexpected(): never {
    const where = this.#nesting.includes('[') ? ' in duration expression' : ''
    return this.#fail(`unexpected character${where}: ${quotedCharacter(this.#character())}`)
  }

  /** The whole character at the place, surrogates too. */
  #character(): string {
    return String.fromCodePoint(this.#query.codePointAt(this.#at) ?? 0)
  }

  #isLongOperator(two: string): boolean {
    if (two === '!=' || two === '<=' || two === '>=') return true
    return this.#isInBraces ? two === '=~' || two === '!~' : two === '==' || two === '</' || two === '>/'
  }

  #equals(next: string | undefined): void {
    if (!this.#isInBraces && next !== undefined && /[<>!~]/.test(next))
      this.#fail(`unexpected character after '=': ${quotedCharacter(next)}`)
    this.#push('operator', this.#at + 1)
  }

  #open(char: string): void {
    if (char === '{' && this.#isInBraces) this.#fail("unexpected left brace '{'")
    if (char === '[' && this.#nesting.at(-1) === '[') this.#fail("unexpected left bracket '['")
    if (char === '[') {
      this.#hasDuration = false
      this.#hasColon = false
    }
    this.#nesting.push(char)
    this.#push('symbol', this.#at + 1)
  }

  #close(char: string): void {
    if (char === '}' && !this.#isInBraces) this.#fail(`unexpected character: '}'`)
    // A bracket ends a duration whatever is open in it, and the parser says what is missing.
    if (char === ']' && this.#nesting.includes('[')) this.#nesting.length = this.#nesting.lastIndexOf('[') + 1
    if (char === ')' && this.#nesting.at(-1) === '[' && this.#nesting.includes('(')) {
      this.#nesting.splice(this.#nesting.lastIndexOf('('), 1)
      this.#push('symbol', this.#at + 1)
      return
    }
    const open = this.#nesting.pop()
    // The reference implementation notices a parenthesis too many when it is behind it.
    if (open === undefined || '([{'.indexOf(open) !== ')]}'.indexOf(char)) {
      const isParenthesis = char === ')'
      const what = isParenthesis ? 'parenthesis' : 'bracket'
      this.#fail(`unexpected right ${what} '${char}'`, isParenthesis ? this.#at + 1 : this.#at)
    }
    this.#push('symbol', this.#at + 1)
  }

  #colon(): void {
    if (this.#isInBraces) this.#fail(`unexpected character inside braces: ':'`)
    if (this.#nesting.at(-1) !== '[' || (this.#hasColon && this.#hasDuration)) this.#fail(`unexpected colon ':'`)
    this.#hasColon = true
    this.#push('symbol', this.#at + 1)
  }

  #checkClosed(): void {
    const { length } = this.#query
    const open = this.#nesting.at(-1)
    if (this.#nesting.includes('[') && !this.#hasDuration)
      this.#fail('unexpected end of input in duration expression', length, length)
    if (this.#nesting.includes('(') && open !== '{') this.#fail('unclosed left parenthesis', length, length)
    if (open === '[') this.#fail('unclosed left bracket', length, length)
    if (open === '{') this.#fail('unexpected end of input inside braces', length, length)
  }

  #number(): void {
    const from = this.#at
    this.#hasDuration = true
    const number = scanNumber(this.#query, from)
    if (number.isWhole) {
      this.#pushNumber(from, number.end)
      return
    }
    const duration = scanDuration(this.#query, number.end)
    const text = this.#query.slice(from, duration.end)
    if (!duration.isWhole) this.#fail(`bad number or duration syntax: ${quote(text)}`, from, duration.end)
    const ms = parseDurationMs(text)
    if (ms === undefined) this.#fail(durationProblem(text), from, duration.end)
    this.#push('duration', duration.end, text, '', ms / 1000)
  }

  #pushNumber(from: number, end: number): void {
    const text = this.#query.slice(from, end)
    const number = parseNumber(text)
    const problem = Number.isNaN(number) ? 'invalid syntax' : number === Infinity ? 'value out of range' : undefined
    if (problem !== undefined)
      this.#fail(`error parsing number: strconv.ParseFloat: parsing ${quote(text)}: ${problem}`, from, end)
    this.#push('number', end, text, '', number)
  }
}

/** How far a number or a duration goes; where it is not whole, up to what makes it wrong. */
interface Scan {
  end: number
  isWhole: boolean
}

/** A number in any notation. What may not follow a point, an exponent or an underscore belongs to the wrong text. */
function scanNumber(query: string, from: number): Scan {
  let at = from
  const accept = (characters: string): boolean => {
    const isThere = at < query.length && characters.includes(query[at]!)
    if (isThere) at++
    return isThere
  }
  const isHex = /^0[xX]/.test(query.slice(from, from + 2))
  const digits = isHex ? '0123456789abcdefABCDEF' : '0123456789'
  if (isHex) {
    at += 2
    accept('_')
  }
  accept('.')
  accept(digits)
  let hasPoint = false
  let hasExponent = false
  while (at < query.length && `${digits}._eE`.includes(query[at]!)) {
    if (accept('.')) {
      if (hasPoint) return { end: at, isWhole: false }
      hasPoint = true
      if (accept('_.') || isHex) return { end: at, isWhole: false }
    } else if (!isHex && accept('eE')) {
      if (hasExponent) return { end: at, isWhole: false }
      hasExponent = true
      accept('+-')
      if (accept('._eE') || at === query.length) return { end: at, isWhole: false }
    } else if (accept('_')) {
      if (accept('._eE') || at === query.length) return { end: at, isWhole: false }
    } else while (accept(digits));
  }
  return { end: at, isWhole: !isWordCharacter(query[at]) }
}

/** The units and further numbers of a duration, behind its first number. Units are checked when all of it is read. */
function scanDuration(query: string, from: number): Scan {
  let at = from
  for (let isFirst = true; isFirst || /[0-9]/.test(query[at] ?? ''); isFirst = false) {
    while (!isFirst && /[0-9]/.test(query[at] ?? '')) at++
    if (!(isFirst ? /[smhdwy]/ : /[smhdw]/).test(query[at] ?? '')) return { end: at, isWhole: false }
    at++
    if (query[at] === 's') at++
  }
  return isWordCharacter(query[at]) ? { end: at + 1, isWhole: false } : { end: at, isWhole: true }
}

/** Why a text of digits and unit letters is no duration. */
function durationProblem(text: string): string {
  const units = ['y', 'w', 'd', 'h', 'm', 's', 'ms']
  let last = -1
  for (const [, unit] of text.matchAll(/\d+([a-z]+)/g)) {
    const place = units.indexOf(unit!)
    if (place < 0) return `unknown unit ${quote(unit!)} in duration ${quote(text)}`
    if (place <= last) return `not a valid duration string: ${quote(text)}`
    last = place
  }
  return 'duration out of range'
}

function isWordCharacter(char: string | undefined): boolean {
  return char !== undefined && /[a-zA-Z0-9_]/.test(char)
}

/** Go's ParseInt with base 0, then ParseFloat: a leading zero means octal where the digits allow it. */
function parseNumber(text: string): number {
  const plain = text.replaceAll('_', '')
  if (/^0[0-7]+$/.test(plain)) return Number.parseInt(plain, 8)
  return Number(plain)
}

/** Bytes of \x and octal escapes; those that are not UTF-8 become lone surrogates, which no label name may contain. */
function fromEscapedBytes(bytes: readonly number[]): string {
  const text = Buffer.from(bytes).toString('utf8')
  if (!text.includes('\ufffd')) return text
  return bytes.map(byte => String.fromCharCode(byte < 128 ? byte : 0xdc00 + byte)).join('')
}

/** A character in single quotes, as Go's %q writes it; the end of the text is a character that is none. */
function quotedCharacter(char: string | undefined): string {
  if (char === undefined) return "'\ufffd'"
  const escaped = quote(char).slice(1, -1)
  return `'${char === "'" ? "\\'" : char === '"' ? '"' : escaped}'`
}

/** `U+0041`. */
function codePointText(char: string): string {
  return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** What is wrong with an escape sequence that should have `count` digits from `at` on. */
function badEscape(query: string, at: number, count: number, digit: RegExp): string {
  for (let i = at; i < at + count; i++) {
    const char = query[i]
    if (char === undefined) return 'escape sequence not terminated'
    if (!digit.test(char)) return `illegal character ${codePointText(char)} '${char}' in escape sequence`
  }
  return 'escape sequence is an invalid Unicode code point'
}

/** A quoted string from its opening quote on; backquotes take everything as it stands. */
function readString(query: string, from: number): { value: string; to: number } {
  const delimiter = query[from]!
  if (delimiter === '`') {
    const end = query.indexOf('`', from + 1)
    if (end < 0) throw new BadQueryError('unterminated raw string', from, query.length)
    return { value: query.slice(from + 1, end), to: end + 1 }
  }
  let value = ''
  const bytes: number[] = []
  const flush = (): void => {
    if (bytes.length > 0) {
      value += fromEscapedBytes(bytes)
      bytes.length = 0
    }
  }
  for (let at = from + 1; ;) {
    const char = query[at]
    if (char === undefined || char === '\n') throw new BadQueryError('unterminated quoted string', from, at)
    if (char === delimiter) {
      flush()
      return { value, to: at + 1 }
    }
    if (char !== '\\') {
      flush()
      value += char
      at++
      continue
    }
    const escape = query[at + 1]
    if (escape === undefined) throw new BadQueryError('escape sequence not terminated', from, at)
    const digits = escape === 'x' ? 2 : escape === 'u' ? 4 : escape === 'U' ? 8 : 0
    if (digits > 0) {
      const hex = query.slice(at + 2, at + 2 + digits)
      if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < digits)
        throw new BadQueryError(badEscape(query, at + 2, digits, /[0-9a-fA-F]/), from, at + 2)
      const code = Number.parseInt(hex, 16)
      if (escape === 'x') bytes.push(code)
      else {
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
          throw new BadQueryError('escape sequence is an invalid Unicode code point', from, at + 2)
        flush()
        value += String.fromCodePoint(code)
      }
      at += 2 + digits
    } else if (/[0-7]/.test(escape)) {
      const octal = query.slice(at + 1, at + 4)
      if (!/^[0-7]{3}$/.test(octal) || Number.parseInt(octal, 8) > 255)
        throw new BadQueryError(badEscape(query, at + 1, 3, /[0-7]/), from, at + 2)
      bytes.push(Number.parseInt(octal, 8))
      at += 4
    } else {
      const simple = goEscapes.get(escape)
      if (simple === undefined || (escape !== delimiter && (escape === '"' || escape === "'"))) {
        throw new BadQueryError(`unknown escape sequence ${codePointText(escape)} '${escape}'`, from, at + 2)
      }
      flush()
      value += simple
      at += 2
    }
  }
}
