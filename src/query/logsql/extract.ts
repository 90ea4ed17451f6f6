/** Pipes that take fields out of a text: extract, extract_regexp and the unpack family. */
import { unreachable } from '#core/assert.ts'
import { isRawNumber, parseJson } from '#core/json.ts'
import type { FormatPart } from '#lang/logsql/ast.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { readLogfmt } from '../logql/logfmt-line.ts'
import { conditionOf, matchesName, setterOf, type Change, type PipeOf } from './change.ts'
import { fieldOf } from './row.ts'

type SetField = (name: string, value: string) => void

/** Fields that cannot be found become empty. */
export function makeExtract(pipe: PipeOf<'extract'>): Change {
  const test = conditionOf(pipe.condition)
  return row => {
    if (test(row)) extractPattern(pipe.parts, fieldOf(row, pipe.from), setterOf(row, pipe))
    return row
  }
}

/** Named groups become fields, empty ones where nothing matches. */
export function makeExtractRegexp(pipe: PipeOf<'extract-regexp'>): Change {
  const regex = compileRe2(pipe.source.replaceAll(/\(\?<(?![=!])/g, '(?P<'), pipe.source)
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
export function makeUnpack(pipe: PipeOf<'unpack'>): Change {
  const test = conditionOf(pipe.condition)
  const { format } = pipe
  if (format === 'words')
    return row => {
      if (test(row)) row.set(pipe.as, wordsOf(fieldOf(row, pipe.from)))
      return row
    }
  const isWanted = (name: string): boolean => pipe.fields.length === 0 || pipe.fields.some(p => matchesName(p, name))
  const named = pipe.fields.filter(name => !name.endsWith('*'))
  return row => {
    if (!test(row)) return row
    const set = setterOf(row, pipe)
    const seen = new Set<string>()
    unpack(format, fieldOf(row, pipe.from), (name, value) => {
      seen.add(name)
      if (isWanted(name)) set(pipe.prefix + name, value)
    })
    for (const name of named) if (!seen.has(name)) set(pipe.prefix + name, '')
    return row
  }
}

/** The different words of a text as a JSON array. */
function wordsOf(text: string): string {
  return JSON.stringify([...new Set(text.match(/[\p{L}\p{Nd}_]+/gu) ?? [])])
}

// --- Patterns ---

/** Fields are the texts between the literals of a pattern; a quoted one is unquoted. */
function extractPattern(parts: readonly FormatPart[], text: string, set: SetField): void {
  // -1 once a literal was not found: all further fields are empty.
  let at = 0
  const [first] = parts
  if (first !== undefined && 'literal' in first) {
    const found = text.indexOf(first.literal)
    at = found < 0 ? -1 : found + first.literal.length
  }
  for (const [i, part] of parts.entries()) {
    if ('literal' in part) continue
    const next = parts[i + 1]
    const literal = next !== undefined && 'literal' in next ? next.literal : undefined
    const found = at < 0 ? { value: '', at } : readField(text, at, literal, part.modifier === 'plain')
    at = found.at
    if (part.field !== '' && part.field !== '_') set(part.field, found.value)
  }
}

/** A field up to the literal behind it, or to the end of the text. `at`: where the next one begins, -1 for nowhere. */
function readField(
  text: string,
  at: number,
  literal: string | undefined,
  isPlain: boolean,
): { value: string; at: number } {
  const quoted = isPlain ? null : /^(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/.exec(text.slice(at))
  if (quoted !== null) {
    const end = at + quoted[0].length
    const value = quoted[0].startsWith('`') ? quoted[0].slice(1, -1) : unquote(quoted[0])
    if (literal === undefined) return { value, at: end }
    return { value, at: text.startsWith(literal, end) ? end + literal.length : -1 }
  }
  const end = literal === undefined ? text.length : text.indexOf(literal, at)
  if (end < 0) return { value: '', at: -1 }
  return { value: text.slice(at, end), at: end + (literal?.length ?? 0) }
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    return text.slice(1, -1)
  }
}

// --- Formats ---

function unpack(format: 'json' | 'logfmt' | 'syslog', text: string, onField: SetField): void {
  switch (format) {
    case 'json':
      unpackJson(text, onField)
      return
    case 'logfmt':
      readLogfmt(text, false, (name, value) => {
        onField(name, value)
        return true
      })
      return
    case 'syslog':
      unpackSyslog(text, onField)
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

const syslogStart = /^<(\d{1,3})>(1 )?(.*)$/s
const rfc5424 = {
  name: 'rfc5424',
  fields: ['timestamp', 'hostname', 'app_name', 'proc_id', 'msg_id', 'message'],
  pattern: /^(\S+) (\S+) (\S+) (\S+) (\S+) (?:-|\[.*?\]) ?(.*)$/s,
}
const rfc3164 = {
  name: 'rfc3164',
  fields: ['timestamp', 'hostname', 'app_name', 'proc_id', 'message'],
  pattern: /^([A-Z][a-z]{2} +\d+ [\d:]{8}) (\S+) ([^\s:[]+)(?:\[([^\]]+)\])?: ?(.*)$/s,
}

/** A text that is no syslog message becomes the field message. */
function unpackSyslog(text: string, onField: SetField): void {
  const [, priority = '', version, rest = ''] = syslogStart.exec(text) ?? []
  const form = version === undefined ? rfc3164 : rfc5424
  const match = form.pattern.exec(rest)
  if (match === null) {
    onField('message', text)
    return
  }
  onField('priority', priority)
  onField('facility', String(Number(priority) >>> 3))
  onField('severity', String(Number(priority) & 7))
  onField('format', form.name)
  for (const [i, name] of form.fields.entries()) {
    const value = match[i + 1] ?? ''
    if (value !== '-' && value !== '') onField(name, value)
  }
}
