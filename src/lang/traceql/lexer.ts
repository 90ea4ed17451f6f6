/** Tokens of a TraceQL query. Source: docs/traces.md (the language). */
import { BadQueryError } from '#core/errors.ts'
import { queryTextLimits } from '#core/limits.ts'
import { ownOf } from '#core/own.ts'
import { goEscapes, quote } from '#core/text.ts'
import type { Field, Scope } from './ast.ts'
import { attributeScopes, fieldText, intrinsics, isReserved, nameEnd } from './fields.ts'

export type Token =
  | { kind: 'symbol'; text: string; at: number }
  | { kind: 'word'; text: string; at: number }
  | { kind: 'field'; field: Field; at: number }
  | { kind: 'string'; value: string; at: number }
  /** `digits`: of a whole number that the double is not. */
  | { kind: 'number'; value: number; isInt: boolean; digits: string; at: number }
  | { kind: 'duration'; value: number; digits: string; at: number }
  /** A field that can be written, and that no query can read. */
  | { kind: 'unsupported'; message: string; at: number }
  | { kind: 'end'; at: number }

const symbols = [
  '&>>',
  '&<<',
  '!>>',
  '!<<',
  '&&',
  '||',
  '&>',
  '&<',
  '&~',
  '!>',
  '!<',
  '!~',
  '!=',
  '=~',
  '>=',
  '<=',
  '>>',
  '<<',
  '{',
  '}',
  '(',
  ')',
  '|',
  ',',
  '=',
  '<',
  '>',
  '~',
  '!',
  '+',
  '-',
  '*',
  '/',
  '%',
  '^',
]
const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 6e10,
  h: 3.6e12,
  d: 8.64e13,
  w: 6.048e14,
  y: 3.1536e16,
}

/** A query that can be read, and means nothing. */
export class RefusedQueryError extends BadQueryError {
  override name = 'RefusedQueryError'
}

/** A text that is no query of the language. */
export function failAt(text: string, at: number, message: string): never {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  throw new BadQueryError(
    `parse error at line ${line}, col ${at - before.lastIndexOf('\n')}: ${message}`,
    at,
    text.length,
  )
}

/** Nanoseconds: whole counts are summed exactly, fractions are rounded. */
function durationNs(text: string): { value: number; digits: string } {
  let whole = 0n
  let rest = 0
  for (const [, count, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|\u03bcs|ms|[smhdwy])/g))
    if (/^\d+$/.test(count!)) whole += BigInt(count!) * BigInt(unitNs[unit!]!)
    else rest += Number(count) * unitNs[unit!]!
  const total = whole + BigInt(Math.round(rest))
  const value = Number(total)
  return { value, digits: value > Number.MAX_SAFE_INTEGER ? String(total) : '' }
}

export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  const fail = (message: string, where = at): never => failAt(text, where, message)
  while (at < text.length) {
    if (tokens.length >= queryTextLimits.tokensMax)
      fail(`the query has more than ${queryTextLimits.tokensMax} words and signs, which is the limit`)
    const char = text[at]!
    if (/\s/.test(char)) {
      at++
      continue
    }
    const comment = commentAt(text, at)
    if (comment > 0) {
      at += comment
      continue
    }
    const start = at
    if (char === '"' || char === '`') {
      const { value, end } = readString(text, at)
      tokens.push({ kind: 'string', value, at: start })
      at = end
      continue
    }
    const number = readNumber(text, at)
    if (number !== undefined) {
      tokens.push(number.token)
      at = number.end
      continue
    }
    if (char === '.') {
      at = readAttribute(text, at, at + 1, 'any', tokens)
      continue
    }
    const word = /^[\p{L}_][\p{L}\p{Nd}_]*/u.exec(text.slice(at, at + 200))?.[0]
    if (word !== undefined) {
      const next = text[at + word.length]
      if (next === '.' && (attributeScopes.has(word) || word === 'parent')) {
        at = readAttribute(text, at, at + word.length + 1, word === 'parent' ? 'any' : (word as Scope), tokens)
        if (word === 'parent') tokens[tokens.length - 1] = unsupported('parent not yet supported', start)
        continue
      }
      if (next === ':') {
        at = readScopedIntrinsic(text, at, word, tokens)
        continue
      }
      at += word.length
      if (word === 'parent') {
        tokens.push(unsupported('intrinsic (parent) not yet supported', start))
        continue
      }
      const name = intrinsics.get(word)
      tokens.push(
        name === undefined
          ? { kind: 'word', text: word, at: start }
          : { kind: 'field', field: { kind: 'intrinsic', name, text: word }, at: start },
      )
      continue
    }
    const symbol = symbols.find(s => text.startsWith(s, at))
    if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol, at: start })
    else tokens.push({ kind: 'word', text: oddWord(text, at), at: start })
    at += symbol?.length ?? oddWord(text, at).length
  }
  tokens.push({ kind: 'end', at: text.length })
  return tokens
}

function unsupported(message: string, at: number): Token {
  return { kind: 'unsupported', message, at }
}

/** Length of a comment; 0 for none. */
function commentAt(text: string, at: number): number {
  if (text.startsWith('//', at)) return (text.indexOf('\n', at) + 1 || text.length + 1) - 1 - at
  if (!text.startsWith('/*', at)) return 0
  const end = text.indexOf('*/', at + 2)
  return end < 0 ? failAt(text, at, 'comment not terminated') : end + 2 - at
}

/** What is no word, number or sign of the language: a text in single quotes, or one character. */
function oddWord(text: string, at: number): string {
  return /^(?:'[^'\n]*'|.)/su.exec(text.slice(at, at + 400))![0]
}

/** A number or a duration. */
function readNumber(text: string, at: number): { token: Token; end: number } | undefined {
  const ahead = text.slice(at, at + 400)
  const duration = /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|\u03bcs|ms|[smhdwy]))+(?![\p{L}\p{Nd}_])/u.exec(ahead)
  if (duration !== null)
    return { token: { kind: 'duration', ...durationNs(duration[0]), at }, end: at + duration[0].length }
  const otherBase = /^(?:0[xXbBoO]|\d+_)[\p{L}\p{Nd}_]*/u.exec(ahead)
  if (otherBase !== null) failAt(text, at, `strconv.Atoi: parsing ${quote(otherBase[0])}: invalid syntax`)
  const number = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/.exec(ahead)?.[0]
  if (number === undefined) return undefined
  const isInt = /^\d+$/.test(number)
  const value = Number(number)
  if (isInt && value > Number.MAX_SAFE_INTEGER && BigInt(number) > intMax)
    failAt(text, at, `strconv.Atoi: parsing ${quote(number)}: value out of range`)
  if (!Number.isFinite(value)) failAt(text, at, `strconv.ParseFloat: parsing ${quote(number)}: value out of range`)
  const digits = isInt && value > Number.MAX_SAFE_INTEGER ? number.replace(/^0+/, '') : ''
  return { token: { kind: 'number', value, isInt, digits, at }, end: at + number.length }
}

const intMax = 2n ** 63n - 1n

/** Names behind the colon, where few are possible. */
const scopedNames: Readonly<Record<string, readonly string[]>> = {
  trace: ['duration', 'rootName', 'rootService', 'id'],
  event: ['name', 'timeSinceStart'],
  link: ['traceID', 'spanID'],
  instrumentation: ['name', 'version'],
  span: [],
}

function readScopedIntrinsic(text: string, start: number, scope: string, tokens: Token[]): number {
  const possible = ownOf(scopedNames, scope)
  if (possible === undefined) failAt(text, start, `unknown identifier: ${scope}`)
  const at = start + scope.length + 1
  const name = /^[\p{L}_]+/u.exec(text.slice(at, at + 200))?.[0] ?? ''
  const whole = `${scope}:${name}`
  const intrinsic = intrinsics.get(whole)
  if (intrinsic === undefined) {
    const shown = isReserved(name) ? name : name === '' ? '$end' : 'IDENTIFIER'
    const hint = possible.length === 0 ? '' : `, expecting ${possible.join(' or ')}`
    return failAt(text, at, `syntax error: unexpected ${shown}${hint}`)
  }
  tokens.push({ kind: 'field', field: { kind: 'intrinsic', name: intrinsic, text: whole }, at: start })
  return at + name.length
}

function readAttribute(text: string, start: number, nameAt: number, scope: Scope, tokens: Token[]): number {
  let at = nameAt
  let name = ''
  let isQuoted = false
  while (at < text.length && !nameEnd.test(text[at]!)) {
    if (text[at] !== '"') {
      name += text[at++]!
      continue
    }
    isQuoted = true
    at++
    for (;;) {
      const char = text[at]
      if (char === undefined) failAt(text, start, "a quoted part of an attribute's name does not end")
      at++
      if (char === '"') break
      if (char === '\\') {
        const escaped = text[at++]
        if (escaped !== '"' && escaped !== '\\')
          failAt(text, at - 1, 'only \\" and \\\\ are escapes within an attribute\'s name')
        name += escaped
      } else name += char
    }
  }
  if (name === '' && !isQuoted) failAt(text, start, 'syntax error: unexpected END_ATTRIBUTE, expecting IDENTIFIER')
  tokens.push({ kind: 'field', field: { kind: 'attribute', scope, name, text: fieldText(scope, name) }, at: start })
  return at
}

function readString(text: string, start: number): { value: string; end: number } {
  const mark = text[start]!
  let at = start + 1
  let value = ''
  for (;;) {
    const char = text[at]
    if (char === undefined || (char === '\n' && mark === '"')) failAt(text, start, 'literal not terminated')
    at++
    if (char === mark) return { value, end: at }
    if (char !== '\\' || mark === '`') {
      value += char
      continue
    }
    const escape = text[at++] ?? ''
    const simple = goEscapes.get(escape)
    if (simple !== undefined) {
      value += simple
      continue
    }
    const digits = escape === 'x' ? 2 : escape === 'u' ? 4 : escape === 'U' ? 8 : 0
    const code = digits > 0 ? text.slice(at, at + digits) : text.slice(at - 1, at + 2)
    const isOctal = digits === 0 && /^[0-7]{3}$/.test(code)
    if (!isOctal && !(digits > 0 && code.length === digits && /^[0-9a-fA-F]+$/.test(code)))
      failAt(text, start, 'invalid char escape')
    const point = Number.parseInt(code, isOctal ? 8 : 16)
    if (point > 0x10ffff) failAt(text, start, 'invalid char escape')
    value += String.fromCodePoint(point)
    at += isOctal ? 2 : digits
  }
}
