/** PromQL text → tokens. Messages follow the reference implementation's. */
import { BadQueryError } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import { quote } from '#core/text.ts'

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

/** An `error` token ends the stream; its `value` is the message, and it matters only if the parser gets that far. `text` is what stood there, except for keywords, aggregators and operators, where it is lower case; `value` is a string's content. */
export interface Token {
  kind: TokenKind
  text: string
  raw: string
  value: string
  number: number
  from: number
  to: number
}

const keywords = new Set([
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
  'anchored',
  'smoothed',
  'fill',
  'fill_left',
  'fill_right',
])
const aggregators = new Set([
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
const wordOperators = new Set(['and', 'or', 'unless', 'atan2'])

const identifierShape = /[a-zA-Z_:][a-zA-Z0-9_:]*/y
/** Units and their order are checked when the whole is read. */
const durationShape = /(?:\d+[smhdwy]s?)+/y
const numberShape = /0[xX][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y

export function tokenize(query: string): Token[] {
  const tokens: Token[] = []
  try {
    scan(query, tokens)
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    tokens.push({ kind: 'error', text: '', raw: '', value: error.message, number: 0, from: error.from, to: error.to })
  }
  return tokens
}

function scan(query: string, tokens: Token[]): void {
  let at = 0
  const nesting: string[] = []
  const push = (
    kind: TokenKind,
    from: number,
    to: number,
    text = query.slice(from, to),
    value = '',
    number = 0,
  ): void => {
    tokens.push({ kind, text, raw: query.slice(from, to), value, number, from, to })
    at = to
  }
  const fail = (message: string, from: number, to = from + 1): never => {
    throw new BadQueryError(message, from, to)
  }
  for (;;) {
    while (at < query.length && /[ \t\n\r]/.test(query[at]!)) at++
    if (at >= query.length) break
    const char = query[at]!
    const next = query[at + 1]
    const inBraces = nesting.at(-1) === '{'
    if (char === '#') {
      while (at < query.length && query[at] !== '\n') at++
      continue
    }
    if ((char === '"' || char === "'" || char === '`') && !nesting.includes('[')) {
      const { value, to } = readString(query, at)
      push('string', at, to, query.slice(at, to), value)
      continue
    }
    identifierShape.lastIndex = at
    const word = identifierShape.exec(query)?.[0]
    if (word !== undefined && (!word.startsWith(':') || (nesting.at(-1) !== '[' && !inBraces))) {
      if (inBraces && word.includes(':')) {
        push('identifier', at, at + word.indexOf(':'))
        continue
      }
      pushWord(word)
      continue
    }
    const inBrackets = nesting.includes('[')
    if (inBraces && !'=!,}'.includes(char)) {
      if (char === '{') fail("unexpected left brace '{'", at)
      fail(`unexpected character inside braces: '${String.fromCodePoint(query.codePointAt(at)!)}'`, at)
    }
    if (/[0-9]/.test(char) || (char === '.' && next !== undefined && /[0-9]/.test(next))) {
      pushNumber()
      continue
    }
    const two = query.slice(at, at + 2)
    if (
      two === '!=' ||
      (inBraces && (two === '=~' || two === '!~')) ||
      (!inBraces && two === '==') ||
      two === '<=' ||
      two === '>=' ||
      (!inBraces && (two === '</' || two === '>/'))
    ) {
      push('operator', at, at + 2)
      continue
    }
    if (char === '=') {
      if (!inBraces && next !== undefined && /[<>!~]/.test(next)) fail(`unexpected character after '=': '${next}'`, at)
      push('operator', at, at + 1)
      continue
    }
    if (char === '!') fail(`unexpected character after '!'${inBraces ? ' inside braces' : ''}: '${next ?? ''}'`, at)
    if ('+-*/%^<>'.includes(char) && !inBraces) {
      push('operator', at, at + 1)
      continue
    }
    if ('([{'.includes(char)) {
      if (char === '{' && inBraces) fail("unexpected left brace '{'", at)
      if (char === '[' && nesting.at(-1) === '[') fail("unexpected left bracket '['", at)
      nesting.push(char)
      push('symbol', at, at + 1)
      continue
    }
    if (')]}'.includes(char)) {
      if (char === '}' && !inBraces) fail(`unexpected character: '}'`, at)
      const open = nesting.pop()
      // The reference implementation notices a parenthesis too many when it is behind it.
      if (open === undefined || '([{'.indexOf(open) !== ')]}'.indexOf(char))
        fail(`unexpected right ${char === ')' ? 'parenthesis' : 'bracket'} '${char}'`, char === ')' ? at + 1 : at)
      push('symbol', at, at + 1)
      continue
    }
    if (char === ',' || char === '@') {
      push('symbol', at, at + 1)
      continue
    }
    if (char === ':') {
      if (inBraces) fail(`unexpected character inside braces: ':'`, at)
      if (nesting.at(-1) !== '[') fail(`unexpected colon ':'`, at)
      push('symbol', at, at + 1)
      continue
    }
    fail(
      `unexpected character${inBrackets ? ' in duration expression' : ''}: '${String.fromCodePoint(query.codePointAt(at)!)}'`,
      at,
    )
  }
  const open = nesting.pop()
  if (nesting.includes('[') || open === '[')
    fail('unexpected end of input in duration expression', query.length, query.length)
  if (open === '(') fail('unclosed left parenthesis', query.length, query.length)
  if (open === '{') fail('unexpected end of input inside braces', query.length, query.length)
  push('end', query.length, query.length)

  function pushWord(word: string): void {
    const lower = word.toLowerCase()
    const to = at + word.length
    if (!word.includes(':')) {
      if (nesting.at(-1) === '{') {
        push('identifier', at, to)
        return
      }
      if (wordOperators.has(lower)) {
        push('operator', at, to, lower)
        return
      }
      if (aggregators.has(lower)) {
        push('aggregator', at, to, lower)
        return
      }
      if (keywords.has(lower)) {
        push('keyword', at, to, lower)
        return
      }
      if (lower === 'inf') {
        push('number', at, to, word, '', Infinity)
        return
      }
      if (lower === 'nan') {
        push('number', at, to, word, '', NaN)
        return
      }
    }
    push(word.includes(':') ? 'metric-identifier' : 'identifier', at, to)
  }

  function pushNumber(): void {
    durationShape.lastIndex = at
    const duration = durationShape.exec(query)?.[0] ?? ''
    if (duration !== '' && !isWordCharacter(query[at + duration.length])) {
      const ms = parseDurationMs(duration)
      if (ms === undefined) return fail(durationProblem(duration), at, at + duration.length)
      push('duration', at, at + duration.length, duration, '', ms / 1000)
      return
    }
    numberShape.lastIndex = at
    const text = numberShape.exec(query)![0]
    let end = at + text.length
    if (isWordCharacter(query[end])) {
      while (isWordCharacter(query[end])) end++
      fail(`bad number or duration syntax: ${quote(query.slice(at, end))}`, at, end)
    }
    if (query[end] === '.') fail(`bad number or duration syntax: ${quote(query.slice(at, end + 1))}`, at, end + 1)
    const number = parseNumber(text)
    if (number === Infinity)
      fail(`error parsing number: strconv.ParseFloat: parsing ${quote(text)}: value out of range`, at, end)
    push('number', at, end, text, '', number)
  }
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

const simpleEscapes: Record<string, string> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

/** Bytes of \x and octal escapes; those that are not UTF-8 become lone surrogates, which no label name may contain. */
function fromEscapedBytes(bytes: readonly number[]): string {
  const text = Buffer.from(bytes).toString('utf8')
  if (!text.includes('\ufffd')) return text
  return bytes.map(byte => String.fromCharCode(byte < 128 ? byte : 0xdc00 + byte)).join('')
}

/** What is wrong with an escape sequence that should have `count` digits from `at` on. */
function badEscape(query: string, at: number, count: number, digit: RegExp): string {
  for (let i = at; i < at + count; i++) {
    const char = query[i]
    if (char === undefined) return 'escape sequence not terminated'
    if (!digit.test(char))
      return `illegal character U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')} '${char}' in escape sequence`
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
      const simple = simpleEscapes[escape]
      if (simple === undefined || (escape !== delimiter && (escape === '"' || escape === "'"))) {
        throw new BadQueryError(
          `unknown escape sequence U+${escape.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')} '${escape}'`,
          from,
          at + 2,
        )
      }
      flush()
      value += simple
      at += 2
    }
  }
}
