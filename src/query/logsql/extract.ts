/** Pipes that take fields out of a text: extract, extract_regexp and the unpack family. */
import { unreachable } from '#core/assert.ts'
import { isRawNumber, parseJson } from '#core/json.ts'
import type { PatternStep } from '#lang/logsql/ast.ts'
import { readQuoted } from '#lang/logsql/quotes.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { conditionOf, matchesName, setterOf, type Change, type PipeOf } from './change.ts'
import { readLogfmtPairs } from './logfmt.ts'
import { fieldOf } from './row.ts'
import { readSyslog } from './syslog.ts'

type SetField = (name: string, value: string) => void

/** Fields that cannot be found become empty. */
export function makeExtract(pipe: PipeOf<'extract'>): Change {
  const test = conditionOf(pipe.condition)
  return row => {
    if (test(row)) extractPattern(pipe.steps, fieldOf(row, pipe.from), setterOf(row, pipe))
    return row
  }
}

/** Named groups become fields, empty ones where nothing matches. */
export function makeExtractRegexp(pipe: PipeOf<'extract-regexp'>): Change {
  const regex = compileRe2(pipe.source)
  const groups = Object.entries(regex.namedGroups())
  const test = conditionOf(pipe.condition)
  return row => {
    if (!test(row)) return row
    const matcher = regex.matcher(fieldOf(row, pipe.from))
    const isFound = matcher.find()
    const set = setterOf(row, pipe)
    for (const [name, group] of groups) set(name, isFound ? (matcher.group(group) ?? '') : '')
    return row
  }
}

/** Fields that a query names and that the text lacks become empty. */
export function makeUnpack(pipe: PipeOf<'unpack'>, nowMs: number): Change {
  const test = conditionOf(pipe.condition)
  const isWanted = (name: string): boolean => pipe.fields.length === 0 || pipe.fields.some(p => matchesName(p, name))
  const named = pipe.fields.filter(name => !name.endsWith('*'))
  return row => {
    if (!test(row)) return row
    const set = setterOf(row, pipe)
    const seen = new Set<string>()
    unpack(pipe, fieldOf(row, pipe.from), nowMs, (name, value) => {
      seen.add(name)
      if (isWanted(name)) set(pipe.prefix + name, value)
    })
    for (const name of named) if (!seen.has(name)) set(pipe.prefix + name, '')
    return row
  }
}

/** The words of a text as a JSON array. */
export function makeUnpackWords({ from, as, dropsDuplicates }: PipeOf<'unpack-words'>): Change {
  return row => {
    const words = fieldOf(row, from).match(/[\p{L}\p{Nd}_]+/gu) ?? []
    row.set(as, JSON.stringify(dropsDuplicates ? [...new Set(words)] : words))
    return row
  }
}

// --- Patterns ---

/** Fields are the texts between the literals of a pattern; a quoted one is unquoted. */
function extractPattern(steps: readonly PatternStep[], text: string, set: SetField): void {
  // -1 once a literal was not found: all further fields are empty.
  const first = steps[0]!.prefix
  const found = text.indexOf(first)
  let at = found < 0 ? -1 : found + first.length
  const values = steps.map(({ option }, i) => {
    const field = at < 0 ? { value: '', at } : readField(text, at, steps[i + 1]?.prefix, option === 'plain')
    at = field.at
    return field.value
  })
  for (const [i, { field }] of steps.entries()) if (field !== '') set(field, values[i]!)
}

/** A field up to the literal behind it, or to the end of the text. `at`: where the next one begins, -1 for nowhere. */
function readField(
  text: string,
  at: number,
  literal: string | undefined,
  isPlain: boolean,
): { value: string; at: number } {
  const isQuoted = !isPlain && (text[at] === '"' || text[at] === '`')
  const quoted = isQuoted ? readQuoted(text, at) : undefined
  if (quoted !== undefined) {
    const { text: value, end } = quoted
    if (literal === undefined) return { value, at: -1 }
    return { value, at: text.startsWith(literal, end) ? end + literal.length : -1 }
  }
  const end = literal === undefined ? text.length : text.indexOf(literal, at)
  if (end < 0) return { value: '', at: -1 }
  return { value: text.slice(at, end), at: end + (literal?.length ?? 0) }
}

// --- Formats ---

function unpack({ format, offsetNs }: PipeOf<'unpack'>, text: string, nowMs: number, onField: SetField): void {
  switch (format) {
    case 'json':
      unpackJson(text, onField)
      return
    case 'logfmt':
      if (text !== '') readLogfmtPairs(text, onField)
      return
    case 'syslog':
      readSyslog(text, nowMs, offsetNs, onField)
      return
    default:
      unreachable(format)
  }
}

/** Objects in objects; deeper ones make no field. */
const depthMax = 100

/** Names of nested objects are joined by dots; arrays stay JSON; null is left out. */
function unpackJson(text: string, onField: SetField): void {
  if (!text.trimStart().startsWith('{')) return
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    return
  }
  const walk = (object: object, prefix: string, depth: number): void => {
    if (depth > depthMax) return
    for (const [key, inner] of Object.entries(object) as [string, unknown][]) {
      const name = prefix === '' ? key : `${prefix}.${key}`
      if (typeof inner === 'object' && inner !== null && !Array.isArray(inner) && !isRawNumber(inner))
        walk(inner, name, depth + 1)
      else if (inner !== null) onField(name, typeof inner === 'string' ? inner : jsonText(inner))
    }
  }
  if (typeof value === 'object' && value !== null) walk(value, '', 0)
}

/** A list as JSON; empty where it is nested so deep that printing it ends the stack. */
function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (error) {
    if (error instanceof RangeError) return ''
    throw error
  }
}
