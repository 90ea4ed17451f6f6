/** Tokens of a TraceQL query. Source: docs/traces.md (the language). */
import { BadQueryError } from '#core/errors.ts'
import { queryTextLimits } from '#core/limits.ts'
import { goEscapes } from '#core/text.ts'
import type { Field, Scope } from './ast.ts'
import { attributeScopes, fieldText, intrinsics, nameEnd } from './fields.ts'

export type Token =
  | { kind: 'symbol'; text: string; at: number }
  | { kind: 'word'; text: string; at: number }
  | { kind: 'field'; field: Field; at: number }
  | { kind: 'string'; value: string; at: number }
  /** `digits`: of a whole number that the double is not. */
  | { kind: 'number'; value: number; isInt: boolean; digits: string; at: number }
  | { kind: 'duration'; value: number; digits: string; at: number }
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

export function failAt(text: string, at: number, message: string): never {
  const before = text.slice(0, at)
  const line = before.split('\n').length
  throw new BadQueryError(
    `invalid TraceQL query: parse error at line ${line}, col ${at - before.lastIndexOf('\n')}: ${message}`,
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
    const start = at
    if (char === '"' || char === '`') {
      const { value, end } = readString(text, at)
      tokens.push({ kind: 'string', value, at: start })
      at = end
      continue
    }
    const number = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/.exec(text.slice(at, at + 400))
    if (number !== null) {
      const duration = /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|\u03bcs|ms|[smhdwy]))+/.exec(text.slice(at, at + 400))
      if (duration !== null) {
        tokens.push({ kind: 'duration', ...durationNs(duration[0]), at: start })
        at += duration[0].length
        continue
      }
      const isInt = /^\d+$/.test(number[0])
      const value = Number(number[0])
      const digits = isInt && value > Number.MAX_SAFE_INTEGER ? number[0].replace(/^0+/, '') : ''
      tokens.push({ kind: 'number', value, isInt, digits, at: start })
      at += number[0].length
      if (/[\p{L}_]/u.test(text[at] ?? '')) fail(`unknown unit behind the number ${number[0]}`, start)
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
        if (word === 'parent') fail('parent attributes are not yet supported')
        at = readAttribute(text, at, at + word.length + 1, word as Scope, tokens)
        continue
      }
      if (next === ':') {
        const whole = /^[\p{L}_]+:[\p{L}_]+/u.exec(text.slice(at, at + 200))?.[0] ?? `${word}:`
        const name = intrinsics.get(whole)
        if (name === undefined) fail(`unknown identifier: ${whole}`)
        else tokens.push({ kind: 'field', field: { kind: 'intrinsic', name, text: whole }, at: start })
        at += whole.length
        continue
      }
      at += word.length
      const name = intrinsics.get(word)
      tokens.push(
        name === undefined
          ? { kind: 'word', text: word, at: start }
          : { kind: 'field', field: { kind: 'intrinsic', name, text: word }, at: start },
      )
      continue
    }
    const symbol = symbols.find(s => text.startsWith(s, at))
    if (symbol === undefined) fail(`syntax error: unexpected ${JSON.stringify(char)}`)
    else {
      tokens.push({ kind: 'symbol', text: symbol, at: start })
      at += symbol.length
    }
  }
  tokens.push({ kind: 'end', at: text.length })
  return tokens
}

function readAttribute(text: string, start: number, nameAt: number, scope: Scope, tokens: Token[]): number {
  let at = nameAt
  let name = ''
  while (at < text.length && !nameEnd.test(text[at]!)) {
    if (text[at] !== '"') {
      name += text[at++]!
      continue
    }
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
  if (name === '') failAt(text, start, "an attribute's name was expected")
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
      failAt(text, at - 2, 'invalid char escape')
    const point = Number.parseInt(code, isOctal ? 8 : 16)
    if (point > 0x10ffff) failAt(text, at - 2, 'invalid char escape')
    value += String.fromCodePoint(point)
    at += isOctal ? 2 : digits
  }
}
