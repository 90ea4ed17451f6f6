/** Line filters: whether a line contains, matches, or looks like something. Source: docs/logs.md. */
import type { LineFilterOp, LineOperand } from '#lang/logql/ast.ts'
import { parsePattern, type PatternPart } from '#lang/logql/line-pattern.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import type { Entry } from './entry.ts'
import { compileIp } from './ip-matcher.ts'

/** A compiled line filter. */
export interface LineFilter {
  /** Does the entry pass? */
  test(entry: Entry): boolean
  /** Bytes that a line must contain to pass: where to look first. */
  readonly needle: Uint8Array | undefined
  /** Passing is the same as containing the needle. */
  readonly isNeedle: boolean
  /** The needle is in small letters, and lines have it in any. */
  readonly isFolded: boolean
}

type Test = (entry: Entry) => boolean

/** Throws Error with the reason. */
export function compileLineFilter(op: LineFilterOp, operands: readonly LineOperand[]): LineFilter {
  const isNegated = op.startsWith('!')
  if (operands.some(o => o.isIp) && op !== '|=' && op !== '!=') throw new Error('ip: invalid operation')
  // An empty text among others adds nothing to a list.
  const kept =
    operands.length > 1 && !isNegated && (op === '|=' || op === '|~')
      ? operands.filter(o => o.value !== '' || o.isIp)
      : operands
  const list = kept.length === 0 ? operands.slice(0, 1) : kept
  const tests = list.map(operand => compileOperand(op, operand))
  const one: Test = tests.length === 1 ? tests[0]!.test : entry => tests.some(t => t.test(entry))
  if (isNegated) return unsearched(entry => !one(entry))
  return tests.length === 1 ? tests[0]! : unsearched(one)
}

/** A filter of which nothing can be looked for. */
function unsearched(test: Test): LineFilter {
  return { test, needle: undefined, isNeedle: false, isFolded: false }
}

function compileOperand(op: LineFilterOp, { value, isIp }: LineOperand): LineFilter {
  if (isIp) {
    const ip = compileIp(value)
    return unsearched(entry => ip.findIn(entry.line))
  }
  switch (op) {
    case '|=':
    case '!=':
      return contains(value)
    case '|~':
    case '!~':
      return matching(value)
    default: {
      const parts = parsePattern(value, 'filter')
      const longest = parts
        .filter(p => p.capture === undefined && !p.literal.includes('\ufffd'))
        .reduce((best, p) => (p.literal.length > best.length ? p.literal : best), '')
      return {
        test: entry => looksLike(entry.line, parts),
        needle: longest === '' ? undefined : Buffer.from(longest),
        isNeedle: false,
        isFolded: false,
      }
    }
  }
}

function contains(value: string): LineFilter {
  if (value === '') return unsearched(() => true)
  const needle = Buffer.from(value)
  return {
    test: entry =>
      entry.isStored
        ? Buffer.from(entry.bytes.buffer, entry.bytes.byteOffset + entry.from, entry.to - entry.from).includes(needle)
        : entry.line.includes(value),
    needle,
    isNeedle: true,
    isFolded: false,
  }
}

function matching(source: string): LineFilter {
  const plain = !/[\\^$.|?*+()[\]{}]/.test(source)
  if (plain) return contains(source)
  const regex = compileRe2(source)
  const inner = trimmedAny(source)
  if (inner !== undefined) return contains(inner)
  const alternatives = plainAlternatives(source)
  if (alternatives !== undefined) {
    const tests = alternatives.map(contains)
    return unsearched(entry => tests.some(t => t.test(entry)))
  }
  const test: Test = entry => regex.matcher(entry.line).find()
  const folded = foldedLiteral(source)
  if (folded !== undefined) return { test, needle: Buffer.from(folded.text), isNeedle: folded.isWhole, isFolded: true }
  const literal = requiredLiteral(source)
  return { test, needle: literal === undefined ? undefined : Buffer.from(literal), isNeedle: false, isFolded: false }
}

/**
 * Of an expression that begins with `(?i)`, the longest text that every match contains in small or capital letters, in
 * small ones, and whether a line that contains it matches. Letters that are other characters' small or capital ones,
 * too, are left out: `k` is that of U+212A, `s` of U+017F.
 */
export function foldedLiteral(source: string): { text: string; isWhole: boolean } | undefined {
  if (!source.startsWith('(?i)')) return undefined
  const rest = source.slice(4)
  const parts = (stretchesOf(rest) ?? []).flatMap(stretch => stretch.split(/[^\x20-\x7e]|[ks]/iu))
  const text = longestOf(parts)?.toLowerCase()
  return text === undefined ? undefined : { text, isWhole: text === rest.toLowerCase() }
}

/**
 * `.*text.*` finds what `text` finds, in a line without line breaks: in others `.*` may stop, but it may also be
 * empty.
 */
function trimmedAny(source: string): string | undefined {
  const inner = source.replace(/^\.\*/, '').replace(/\.\*$/, '')
  return inner !== source && inner !== '' && !/[\\^$.|?*+()[\]{}]/.test(inner) ? inner : undefined
}

function plainAlternatives(source: string): string[] | undefined {
  const body = /^\((?:\?:)?([^()]*)\)$/.exec(source)?.[1] ?? source
  const parts = body.split('|')
  return parts.length > 1 && parts.every(part => part !== '' && !/[\\^$.|?*+()[\]{}]/.test(part)) ? parts : undefined
}

/**
 * The longest text that every match contains, from the plain stretches at the top level; undefined when there is none
 * of three characters.
 */
export function requiredLiteral(source: string): string | undefined {
  return longestOf(stretchesOf(source) ?? [])
}

function longestOf(texts: readonly string[]): string | undefined {
  return texts.reduce<string | undefined>(
    (best, text) => (text.length >= stretchLeast && text.length > (best?.length ?? 0) ? text : best),
    undefined,
  )
}

const stretchLeast = 3

/** A quantifier in braces; braces around anything else are plain characters. */
const repeat = /\{\d+(?:,\d*)?\}/y

/** Plain stretches at the top level, of three characters or more, that every match contains; undefined: not known. */
function stretchesOf(source: string): string[] | undefined {
  // Letters may be small or capital ones from there on.
  if (/\(\?[a-zA-Z-]*i/.test(source)) return undefined
  // What stands for one character, or for many, and is longer than its letter; \0 to \7 begin octal numbers.
  if (/\\[QExpP0-9]/.test(source)) return undefined
  const stretches: string[] = []
  let current: string[] = []
  const flush = (): void => {
    const text = current.join('')
    if (text.length >= stretchLeast) stretches.push(text)
    current = []
  }
  for (let at = 0; at < source.length;) {
    const char = String.fromCodePoint(source.codePointAt(at)!)
    at += char.length
    switch (char) {
      case '|':
        return undefined
      case '\\': {
        const next = source[at++] ?? ''
        if (/[a-zA-Z]/.test(next)) flush()
        else current.push(next)
        break
      }
      case '[':
        flush()
        at = endOfClass(source, at)
        break
      case '(':
        flush()
        at = endOfGroup(source, at)
        break
      // Bytes that are no UTF-8 are that character to an expression, and stored as they are.
      case '\ufffd':
      case '.':
      case '^':
      case '$':
      case '+':
        // What stands in front of a plus is there once.
        flush()
        break
      case '?':
      case '*':
        current.pop()
        flush()
        break
      case '{':
        repeat.lastIndex = at - 1
        if (repeat.test(source)) {
          current.pop()
          flush()
          at = repeat.lastIndex
        } else current.push(char)
        break
      default:
        current.push(char)
    }
  }
  flush()
  return stretches
}

/** Where a class of characters ends of which `at` is the first. */
function endOfClass(source: string, at: number): number {
  if (source[at] === '^') at++
  if (source[at] === ']') at++
  while (at < source.length && source[at] !== ']') {
    const nameEnd = source.startsWith('[:', at) ? source.indexOf(':]', at + 2) : -1
    at = nameEnd >= 0 ? nameEnd + 2 : at + (source[at] === '\\' ? 2 : 1)
  }
  return at + 1
}

/** Where a group ends of which `at` is the first character. */
function endOfGroup(source: string, at: number): number {
  for (let depth = 1; at < source.length && depth > 0;) {
    const char = source[at++]
    if (char === '\\') at++
    else if (char === '[') at = endOfClass(source, at)
    else if (char === '(') depth++
    else if (char === ')') depth--
  }
  return at
}

/** A line against literals with gaps between: no going back. */
function looksLike(line: string, parts: readonly PatternPart[]): boolean {
  if (parts.length === 0) return line === ''
  if (line === '') return false
  let at = 0
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!
    if (part.capture !== undefined) {
      if (i === parts.length - 1) return at < line.length
      continue
    }
    const found = line.indexOf(part.literal, at)
    // What stands before a literal has a character at least; it is not looked for again.
    if (found < 0 || (i > 0 && found === at)) return false
    at = found + part.literal.length
  }
  return at === line.length
}
