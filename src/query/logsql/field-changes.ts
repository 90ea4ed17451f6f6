/** Pipes that change the fields of one row. */
import { LimitError } from '#core/errors.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { findNext } from '#lang/regex/replace.ts'
import { conditionOf, jsonArray, matchesName, setterOf, type Change, type PipeOf } from './change.ts'
import { formatRow } from './format.ts'
import { mathValue } from './math.ts'
import { fieldOf, timeLater, type Fields } from './row.ts'
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

export function makeCopy({ pairs }: PipeOf<'copy'>): Change {
  return row => {
    const taken = pairs.map(([from, to]) => [to, fieldOf(row, from)] as const)
    for (const [to, value] of taken) row.set(to, value)
    return row
  }
}

export function makeRename({ pairs }: PipeOf<'rename'>): Change {
  return row => {
    const taken = pairs.map(([from, to]) => [from, to, fieldOf(row, from)] as const)
    for (const [from] of taken) row.delete(from)
    for (const [, to, value] of taken) row.set(to, value)
    return row
  }
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
    if (test(row)) setterOf(row, pipe)(pipe.as, formatRow(pipe.parts, row))
    return row
  }
}

export function makePack({ format, fields, as }: PipeOf<'pack'>): Change {
  const pack = format === 'json' ? packJson : packLogfmt
  return row => {
    const chosen = [...row].filter(
      ([name]) => fields.length === 0 || fields.some(pattern => matchesName(pattern, name)),
    )
    row.set(as, pack(chosen))
    return row
  }
}

function packJson(fields: readonly [string, string][]): string {
  return JSON.stringify(Object.fromEntries(fields.filter(([, value]) => value !== '')))
}

function packLogfmt(fields: readonly [string, string][]): string {
  return fields.map(([name, value]) => `${name}=${/[\s="]/.test(value) ? JSON.stringify(value) : value}`).join(' ')
}

export function makeMath({ assignments }: PipeOf<'math'>, nowMs: number): Change {
  return row => {
    for (const { expr, as } of assignments) row.set(as, numberText(mathValue(expr, row, nowMs)))
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

/** Escape sequences of terminals are removed. */
export function makeDecolorize({ names }: PipeOf<'decolorize'>): Change {
  return row => {
    for (const name of names) {
      const value = row.get(name)
      if (value !== undefined) row.set(name, value.replaceAll(/\p{Cc}\[[0-9;]*[A-Za-z]/gu, ''))
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

/** `$1`, `${1}` and `${name}` stand for groups. */
export function makeReplaceRegexp({ source, fresh, field, limit, condition }: PipeOf<'replace-regexp'>): Change {
  const test = conditionOf(condition)
  const regex = compileRe2(source)
  return row => {
    const value = row.get(field)
    if (value === undefined || !test(row)) return row
    const matcher = regex.matcher(value)
    let added = 0
    const groupOf = (_whole: string, name: string | undefined, digits = ''): string => {
      const group = name ?? digits
      const text = matcher.group(/^\d+$/.test(group) ? Number(group) : group) ?? ''
      refuseLong((added += text.length))
      return text
    }
    let out = ''
    let at = 0
    let count = 0
    let lastEnd = -1
    while ((limit === 0 || count < limit) && findNext(matcher, lastEnd)) {
      added = 0
      out += value.slice(at, matcher.start()) + fresh.replaceAll(/\$(?:\{(\w+)\}|(\d+))/g, groupOf)
      refuseLong(out.length)
      at = lastEnd = matcher.end()
      count++
    }
    row.set(field, out + value.slice(at))
    return row
  }
}

/** Numbers become `<N>`, so that lines of one form become equal. */
export function makeCollapseNumbers({ field }: PipeOf<'collapse-numbers'>): Change {
  return derived(field, field, text =>
    text.replaceAll(/(?<![A-Za-z0-9_])(?:\d+|[0-9a-fA-F]{4,}(?=[^A-Za-z0-9_]|$))/g, '<N>'),
  )
}

export function makeTimeAdd({ field, ns }: PipeOf<'time-add'>): Change {
  return derived(field, field, text => timeLater(text, ns))
}

/** Bytes in UTF-8. */
export function makeLength({ field, as }: PipeOf<'length'>): Change {
  return derived(field, as, text => String(Buffer.byteLength(text)))
}

/** FNV-1a of 32 bits. */
export function makeHash({ field, as }: PipeOf<'hash'>): Change {
  return derived(field, as, text => {
    let hash = 0x811c9dc5
    for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193)
    return String(hash >>> 0)
  })
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
