/** Pipes that change the fields of one row. */
import { LimitError } from '#core/errors.ts'
import { seededRandom } from '#core/random.ts'
import { xxhash53 } from '#codec/xxhash64.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { expandReplacement, replaceMatches } from '#lang/regex/replace.ts'
import { collapseNumbers, prettyNumbers } from './collapse-numbers.ts'
import { conditionOf, jsonArray, matchesName, renamed, setterOf, type Change, type PipeOf } from './change.ts'
import { formatRow } from './format.ts'
import { mathValue } from './math.ts'
import { fieldOf, timeLater, type Fields } from './row.ts'
import { shownJson } from './shown-json.ts'
import { numberText } from './stats.ts'

// --- Which fields ---

/** Keeps fields, in the order in which they are named. */
export function makeFields({ names }: PipeOf<'fields'>): Change {
  if (names.includes('*')) return row => row
  return row => {
    const out: Fields = new Map()
    for (const name of names) {
      if (name.endsWith('*')) {
        for (const [n, v] of row) if (matchesName(name, n)) out.set(n, v)
      } else if (fieldOf(row, name) !== '') out.set(name, fieldOf(row, name))
    }
    return out
  }
}

export function makeDelete({ names }: PipeOf<'delete'>): Change {
  return row => {
    for (const name of row.keys()) if (names.some(pattern => matchesName(pattern, name))) row.delete(name)
    return row
  }
}

/** One pair after the other: the second may copy what the first has made. */
export function makeCopy({ pairs }: PipeOf<'copy'>): Change {
  return row => {
    for (const [from, to] of pairs) {
      const copied = matching(row, from)
      if (copied.length === 0 && !from.endsWith('*')) row.set(to, '')
      for (const [name, value] of copied) row.set(renamed(from, to, name), value)
    }
    return row
  }
}

export function makeRename({ pairs }: PipeOf<'rename'>): Change {
  return row => {
    for (const [from, to] of pairs) {
      const moved = matching(row, from)
      for (const [name] of moved) row.delete(name)
      if (moved.length === 0 && !from.endsWith('*')) row.set(to, '')
      for (const [name, value] of moved) row.set(renamed(from, to, name), value)
    }
    return row
  }
}

function matching(row: Fields, pattern: string): [string, string][] {
  if (pattern.endsWith('*')) return [...row].filter(([name]) => matchesName(pattern, name))
  const value = row.get(pattern)
  return value === undefined ? [] : [[pattern, value]]
}

export function makeDropEmpty(): Change {
  return row => {
    for (const [name, value] of row) if (value === '') row.delete(name)
    return row
  }
}

export function makeSetStreamFields(pipe: PipeOf<'set-stream-fields'>): Change {
  const test = conditionOf(pipe.condition)
  return row => {
    if (!test(row)) return row
    const names = [...row.keys()]
      .filter(name => pipe.names.some(pattern => matchesName(pattern, name)) && row.get(name) !== '')
      .sort()
    row.set('_stream', `{${names.map(name => `${name}=${JSON.stringify(row.get(name))}`).join(',')}}`)
    row.set('_stream_id', '')
    return row
  }
}

// --- Texts made of several fields ---

export function makeFormat(pipe: PipeOf<'format'>): Change {
  const test = conditionOf(pipe.condition)
  return row => {
    if (test(row)) setterOf(row, pipe)(pipe.as, formatRow(pipe.steps, row))
    return row
  }
}

export function makePack({ format, fields, as }: PipeOf<'pack'>): Change {
  const pack = format === 'json' ? packJson : packLogfmt
  return row => {
    row.set(as, pack(fields.length === 0 ? [...row] : fields.flatMap(name => named(row, name))))
    return row
  }
}

/** The fields that a name stands for; one without a star is there in any case. */
function named(row: Fields, name: string): [string, string][] {
  return name.endsWith('*') ? matching(row, name) : [[name, fieldOf(row, name)]]
}

function packJson(fields: readonly [string, string][]): string {
  return shownJson(Object.fromEntries(fields.filter(([, value]) => value !== '')))
}

function packLogfmt(fields: readonly [string, string][]): string {
  return fields.map(([name, value]) => `${name}=${needsQuotes(value) ? shownJson(value) : value}`).join(' ')
}

function needsQuotes(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code <= 32 || code === 34 || code === 92) return true
  }
  return false
}

export function makeMath({ assignments }: PipeOf<'math'>, nowMs: number): Change {
  const world = { nowMs, random: seededRandom(nowMs) }
  return row => {
    for (const { expr, as } of assignments) row.set(as, numberText(mathValue(expr, row, world)))
    return row
  }
}

/** Characters of a field that a pipe makes: four times the longest line. */
const fieldCharactersMax = 1024 * 1024

function refuseLong(characters: number): void {
  if (characters > fieldCharactersMax)
    throw new LimitError(
      `a pipe makes a field of more than ${fieldCharactersMax} characters, which is the limit; replace by less`,
      422,
    )
}

// --- One field's text ---

/** Control sequences of terminals: parameters, intermediate bytes, a final byte. */
const controlSequence = /\p{Cc}\[[0-?]*[ -/]*[0-~]?/gu
const escape = '\u001b['

/** They are removed. */
export function makeDecolorize({ names }: PipeOf<'decolorize'>): Change {
  return row => {
    for (const name of names) {
      const value = row.get(name)
      if (value?.includes(escape) === true)
        row.set(
          name,
          value.replaceAll(controlSequence, found => (found.startsWith(escape) ? '' : found)),
        )
    }
    return row
  }
}

/** Replaces a text, everywhere or the first times. */
export function makeReplace({ old, fresh, field, limit, condition }: PipeOf<'replace'>): Change {
  const test = conditionOf(condition)
  return row => {
    const value = row.get(field)
    if (value === undefined || old === '' || !test(row)) return row
    let out = ''
    let at = 0
    let count = 0
    for (let found = value.indexOf(old); found >= 0 && (limit === 0 || count < limit); found = value.indexOf(old, at)) {
      out += value.slice(at, found) + fresh
      refuseLong(out.length)
      at = found + old.length
      count++
    }
    row.set(field, out + value.slice(at))
    return row
  }
}

/** `$1`, `${1}`, `$name` and `${name}` stand for groups, `$$` for itself. */
export function makeReplaceRegexp({ source, fresh, field, limit, condition }: PipeOf<'replace-regexp'>): Change {
  const test = conditionOf(condition)
  const regex = compileRe2(source)
  const most = limit === 0 ? Infinity : limit
  return row => {
    const value = fieldOf(row, field)
    if (value !== '' && test(row))
      row.set(
        field,
        replaceMatches(regex, value, matched => expandReplacement(fresh, matched, refuseLong), refuseLong, most),
      )
    return row
  }
}

/** Numbers become `<N>`, so that lines of one form become equal; pretty ones also say what they are part of. */
export function makeCollapseNumbers({ field, isPretty, condition }: PipeOf<'collapse-numbers'>): Change {
  const test = conditionOf(condition)
  return row => {
    const value = fieldOf(row, field)
    if (value === '' || !test(row)) return row
    const collapsed = collapseNumbers(value)
    row.set(field, isPretty ? prettyNumbers(collapsed) : collapsed)
    return row
  }
}

export function makeTimeAdd({ field, ns }: PipeOf<'time-add'>): Change {
  return derived(field, field, text => timeLater(text, ns))
}

/** Bytes in UTF-8. */
export function makeLength({ field, as }: PipeOf<'length'>): Change {
  return derived(field, as, text => String(Buffer.byteLength(text)))
}

/** xxHash of 64 bits, of which a double keeps 53. */
export function makeHash({ field, as }: PipeOf<'hash'>): Change {
  return derived(field, as, text => String(xxhash53(Buffer.from(text))))
}

/** 0 for a text that is no array. */
export function makeJsonArrayLength({ field, as }: PipeOf<'json-array-length'>): Change {
  return derived(field, as, text => String(jsonArray(text)?.length ?? 0))
}

/** A JSON array of the parts; without a separator, of the characters. */
export function makeSplit({ field, as, separator }: PipeOf<'split'>): Change {
  return derived(field, as, text => {
    if (text === '') return '[]'
    return JSON.stringify(separator === '' ? [...text] : text.split(separator))
  })
}

function derived(from: string, to: string, change: (text: string) => string): Change {
  return row => {
    row.set(to, change(fieldOf(row, from)))
    return row
  }
}
