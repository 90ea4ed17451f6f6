/** LogQL's words. Source: docs/logs.md. */
import { BadQueryError } from '#core/errors.ts'
import { durationProblem, parseDurationMs } from '#core/duration.ts'
import { goEscapes } from '#core/text.ts'
import { ownOf } from '#core/own.ts'
import { rangeOps, vectorOps } from './ast.ts'

export type TokenKind =
  | 'identifier'
  | 'string'
  | 'number'
  | 'duration'
  | 'bytes'
  | 'range'
  | 'flag'
  | 'word'
  | 'function'
  | 'operator'
  | 'end'

export interface Token {
  kind: TokenKind
  /** The word in lower case, the operator, or the text as it stands. */
  text: string
  /** Value of strings (unescaped), numbers, durations (ns), bytes, ranges (ms). */
  value: string | number
  from: number
  to: number
  /** The reference system completes these by reading ahead, and then forgets on which line it was. */
  isAhead: boolean
}

const reserved: ReadonlySet<string> = new Set([
  'by',
  'without',
  'bool',
  'offset',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'or',
  'and',
  'unless',
  'json',
  'regexp',
  'logfmt',
  'unpack',
  'pattern',
  'line_format',
  'label_format',
  'decolorize',
  'drop',
  'keep',
  'unwrap',
])
const functions: ReadonlySet<string> = new Set([
  ...rangeOps,
  ...vectorOps,
  'vector',
  'label_replace',
  'bytes',
  'duration',
  'duration_seconds',
  'ip',
])
const operators = [
  '|=',
  '|~',
  '|>',
  '!=',
  '!~',
  '!>',
  '=~',
  '==',
  '>=',
  '<=',
  '{',
  '}',
  '(',
  ')',
  ',',
  '|',
  '=',
  '>',
  '<',
  '+',
  '-',
  '*',
  '/',
  '%',
  '^',
  '[',
  ']',
] as const
export const inputMax = 131_072

/** A message with its place; `line` 0 where the reference system prints that. */
export function syntaxError(text: string, at: number, to: number, message: string, isAhead = false): BadQueryError {
  const before = text.slice(0, at)
  const line = isAhead ? 0 : before.split('\n').length
  const column = Array.from(before.slice(before.lastIndexOf('\n') + 1)).length + 1
  return new BadQueryError(`parse error at line ${line}, col ${column}: ${message}`, at, to)
}

const goUnitsNs: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', 1e3],
  ['µs', 1e3],
  ['\u03bcs', 1e3],
  ['ms', 1e6],
  ['s', 1e9],
  ['m', 6e10],
  ['h', 3.6e12],
])

/** One number and its unit, as most durations are; undefined for others, and for what is none. */
function singleDurationNs(text: string): number | undefined {
  let at = 0
  let dots = 0
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 46) dots++
    else if (code < 48 || code > 57) break
  }
  if (at === dots || dots > 1) return undefined
  const unit = goUnitsNs.get(text.slice(at))
  return unit === undefined ? undefined : Number(text.slice(0, at)) * unit
}

const goDurationMaxNs = 9.223372036854775e18

/** Go's duration, in nanoseconds. */
export function parseGoDurationNs(text: string): number | undefined {
  const single = singleDurationNs(text)
  if (single !== undefined) return single > goDurationMaxNs ? undefined : Math.round(single)
  const sign = text.startsWith('-') ? -1 : 1
  const body = text.replace(/^[+-]/, '')
  if (body === '0') return 0
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|\u03bcs|ms|s|m|h))+$/.test(body)) return undefined
  let total = 0
  for (const [, number, unit] of body.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|\u03bcs|ms|s|m|h)/g))
    total += Number(number) * goUnitsNs.get(unit!)!
  return total > goDurationMaxNs ? undefined : sign * Math.round(total)
}

function durationNs(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1
  const ms = parseDurationMs(text.replace(/^-/, ''))
  return ms !== undefined ? sign * ms * 1e6 : parseGoDurationNs(text)
}

const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
  PiB: 1024 ** 5,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  Pi: 1024 ** 5,
  kiB: 1024,
}

function byteCount(text: string): number | undefined {
  const match = /^(\d+\.?\d*|\.\d+)([BikKMGTP]+)$/.exec(text)
  const unit = match === null ? undefined : ownOf(byteUnits, match[2]!)
  return unit === undefined ? undefined : Math.floor(Number(match![1]) * unit)
}

export function lexLogql(text: string): Token[] {
  if (text.length >= inputMax)
    throw new BadQueryError(`parse error : input size too long (${text.length} > ${inputMax})`, 0, text.length)
  return new Lexer(text).run()
}

class Lexer {
  readonly #text: string
  readonly #tokens: Token[] = []
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  run(): Token[] {
    for (;;) {
      this.#skipBlank()
      if (this.#at >= this.#text.length) break
      this.#next()
    }
    this.#push('end', '', '', this.#text.length, this.#text.length)
    return this.#tokens
  }

  #push(kind: TokenKind, text: string, value: string | number, from: number, to: number, isAhead = false): void {
    this.#tokens.push({ kind, text, value, from, to, isAhead })
    this.#at = to
  }

  #fail(at: number, message: string, isAhead = false): never {
    throw syntaxError(this.#text, at, this.#text.length, message, isAhead)
  }

  #skipBlank(): void {
    const text = this.#text
    for (;;) {
      const char = text[this.#at]
      if (char === ' ' || char === '\t' || char === '\r' || char === '\n') this.#at++
      else if (char === '#' || (char === '/' && text[this.#at + 1] === '/')) {
        const end = text.indexOf('\n', this.#at)
        this.#at = end < 0 ? text.length : end
      } else if (char === '/' && text[this.#at + 1] === '*') {
        const end = text.indexOf('*/', this.#at + 2)
        if (end < 0) this.#fail(this.#at, 'comment not terminated')
        this.#at = end + 2
      } else return
    }
  }

  #next(): void {
    const text = this.#text
    const at = this.#at
    const char = text[at]!
    if (char === '"') {
      this.#string()
      return
    }
    if (char === '`') {
      const end = text.indexOf('`', at + 1)
      if (end < 0) this.#fail(at, 'literal not terminated')
      this.#push('string', text.slice(at, end + 1), text.slice(at + 1, end).replaceAll('\r', ''), at, end + 1)
      return
    }
    if (char === "'") {
      this.#character()
      return
    }
    if (char === '\0') this.#fail(at, 'invalid character NUL')
    if (char === '[') {
      this.#range()
      return
    }
    if (/[0-9]/.test(char) || (char === '.' && /[0-9]/.test(text[at + 1] ?? ''))) {
      this.#number(at, at)
      return
    }
    const identifier = /^[\p{L}_][\p{L}_\p{Nd}]*/u.exec(text.slice(at, at + 2000))
    if (identifier !== null) {
      this.#word(identifier[0])
      return
    }
    const flag = /^--(strict|keep-empty)(?![\w-])/.exec(text.slice(at, at + 16))
    if (flag !== null) {
      this.#push('flag', flag[0], flag[0], at, at + flag[0].length, true)
      return
    }
    if (char === '-' && this.#negativeDuration()) return
    const operator = operators.find(op => text.startsWith(op, at))
    if (operator === undefined) {
      // A sign without a meaning stands where it may not stand, whatever it is taken for.
      const sign = String.fromCodePoint(text.codePointAt(at)!)
      this.#push(sign === '.' ? 'operator' : 'identifier', sign, sign, at, at + sign.length)
      return
    }
    this.#push('operator', operator, operator, at, at + operator.length, operator.length > 1)
  }

  /** Between single quotes stands one character, as in Go; no place takes one. */
  #character(): void {
    const at = this.#at
    const found = /^'(?:[^'\\\n]|\\.)*'/u.exec(this.#text.slice(at, at + 200))
    if (found === null) this.#fail(at, 'literal not terminated')
    if (!/^'(?:[^\\]|\\(?:[abfnrtv\\']|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))'$/u.test(found[0]))
      this.#fail(at, 'invalid char literal')
    this.#push('identifier', found[0], found[0], at, at + found[0].length)
  }

  /** `a>-1s`, `offset -5m`: a sign and a duration are one token. */
  #negativeDuration(): boolean {
    const previous = this.#tokens.at(-1)
    if (
      previous === undefined ||
      !(previous.text === 'offset' || ['>', '>=', '<', '<=', '=', '==', '!='].includes(previous.text))
    )
      return false
    const match = /^-[0-9.][0-9.a-zµ\u03bc]*/.exec(this.#text.slice(this.#at, this.#at + 64))
    const ns = match === null ? undefined : durationNs(match[0])
    if (match === null || ns === undefined || !/[a-zµ\u03bc]$/.test(match[0])) return false
    this.#push('duration', match[0], ns, this.#at, this.#at + match[0].length, true)
    return true
  }

  #word(word: string): void {
    const at = this.#at
    const lower = word.toLowerCase()
    if (reserved.has(lower)) {
      this.#push('word', lower, word, at, at + word.length)
      return
    }
    if (
      functions.has(lower) &&
      /^[ \t\r\n]*(?:\(|(?:by|without)[ \t\r\n]*\()/i.test(this.#text.slice(at + word.length, at + word.length + 200))
    ) {
      this.#push('function', lower, word, at, at + word.length)
      return
    }
    this.#push('identifier', word, word, at, at + word.length)
  }

  #number(from: number, at: number): void {
    const text = this.#text.slice(at, at + 200)
    const letters = /^[0-9.nuµ\u03bcmshdwy]*/.exec(text)![0]
    if (/[nuµ\u03bcmshdwy]/.test(letters)) {
      const ns = durationNs(letters)
      if (ns !== undefined) {
        this.#push('duration', letters, ns, from, at + letters.length, true)
        return
      }
    }
    const sized = /^[0-9.BikKMGTP]*/.exec(text)![0]
    if (/[A-Za-z]$/.test(sized)) {
      const count = byteCount(sized)
      if (count !== undefined) {
        this.#push('bytes', sized, count, from, at + sized.length, true)
        return
      }
    }
    const number = /^(?:0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*)?(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?)/.exec(text)![0]
    if (/^0[0-9]*[89]/.test(number) && !/[.eE]/.test(number))
      this.#fail(at, `invalid digit '${/[89]/.exec(number)![0]}' in octal literal`)
    const problem = numberProblem(text)
    if (problem !== undefined) this.#fail(at, problem)
    // No place takes a hexadecimal number; which place it stands at decides on the error.
    this.#push(
      'number',
      number,
      /^0[xX]/.test(number) ? NaN : Number(number.replaceAll('_', '')),
      from,
      at + number.length,
    )
  }

  #range(): void {
    const end = this.#text.indexOf(']', this.#at)
    if (end < 0) this.#fail(this.#at, "missing closing ']' in duration", true)
    const inner = this.#text.slice(this.#at + 1, end)
    const ms = parseDurationMs(inner)
    if (ms === undefined || inner === '0')
      this.#fail(
        this.#at,
        inner === '0' ? `not a valid duration string: ${JSON.stringify(inner)}` : durationProblem(inner),
        true,
      )
    this.#push('range', inner, ms, this.#at, end + 1, true)
  }

  #string(): void {
    const text = this.#text
    const start = this.#at
    let at = start + 1
    let out = ''
    /** Bytes of a run of \x and octal escapes, which may be parts of one character. */
    const escaped: number[] = []
    const settle = (): void => {
      if (escaped.length > 0) out += Buffer.from(escaped.splice(0)).toString('utf8')
    }
    for (;;) {
      const char = text[at]
      if (char === undefined || char === '\n') this.#fail(start, 'literal not terminated')
      if (char === '"') break
      if (char !== '\\') {
        settle()
        out += char
        at++
        continue
      }
      const code = /^\\(?:x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(
        text.slice(at, at + 10),
      )
      if (code !== null) {
        if (code[1] !== undefined || code[2] !== undefined)
          escaped.push(Number.parseInt(code[1] ?? code[2]!, code[1] === undefined ? 8 : 16) & 255)
        else {
          const point = Number.parseInt(code[3] ?? code[4]!, 16)
          if (point > 0x10ffff) this.#fail(start, 'invalid char escape')
          settle()
          out += String.fromCodePoint(point)
        }
        at += code[0].length
        continue
      }
      const letter = text[at + 1] ?? ''
      if (/^[4-7][0-7]{2}/.test(text.slice(at + 1, at + 4))) this.#fail(start, 'invalid syntax')
      const simple = goEscapes.get(letter)
      if (simple === undefined || letter === "'") this.#fail(start, 'invalid char escape')
      settle()
      out += simple
      at += 2
    }
    settle()
    this.#push('string', text.slice(start, at + 1), out, start, at + 1)
  }
}

/** What is wrong with the number that a text begins with, in the words of Go. */
function numberProblem(text: string): string | undefined {
  const body = /^(?:[0-9][0-9_]*)?(?:\.[0-9_]*)?/.exec(text)![0]
  const rest = text.slice(body.length)
  if (/^[eE][+-]?(?![0-9+-])/.test(rest)) return 'exponent has no digits'
  if (/^[pP]/.test(rest) && !body.startsWith('0x')) return `'${rest[0]}' exponent requires hexadecimal mantissa`
  return /__|_$|_\.|\._/.test(body) ? "'_' must separate successive digits" : undefined
}
