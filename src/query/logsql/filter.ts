/** LogsQL's filters as tests of an entry. Source: docs/logs.md (the VictoriaLogs part). */
import { unreachable } from '#core/assert.ts'
import { BadQueryError } from '#core/errors.ts'
import { compareText } from '#core/text.ts'
import type { Filter } from '#lang/logsql/ast.ts'
import { ipv4, toNumber } from '#lang/logsql/numbers.ts'
import { compileRe2, makeMatcher } from '#lang/regex/regex.ts'
import type { Labels } from '#model/labels.ts'
import { timeNs, type FieldSource } from './row.ts'

export type RowTest = (row: FieldSource) => boolean

const wordChar = /[\p{L}\p{Nd}_]/u

function isWordAt(text: string, at: number): boolean {
  if (at < 0 || at >= text.length) return false
  const code = text.charCodeAt(at)
  if (code < 128)
    return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95
  return wordChar.test(text[at]!)
}

/** Where the phrase begins with whole words on both sides (`isPrefix`: on the left only), from a place on; -1. */
function findPhrase(text: string, phrase: string, isPrefix: boolean, from = 0): number {
  if (phrase === '') return from <= text.length ? from : -1
  const startsWord = isWordAt(phrase, 0),
    endsWord = isWordAt(phrase, phrase.length - 1)
  for (let at = text.indexOf(phrase, from); at >= 0; at = text.indexOf(phrase, at + 1)) {
    if (startsWord && isWordAt(text, at - 1)) continue
    if (!isPrefix && endsWord && isWordAt(text, at + phrase.length)) continue
    return at
  }
  return -1
}

export function compileFilter(filter: Filter): RowTest {
  switch (filter.kind) {
    case 'and': {
      const tests = filter.parts.map(compileFilter)
      return row => tests.every(test => test(row))
    }
    case 'or': {
      const tests = filter.parts.map(compileFilter)
      return row => tests.some(test => test(row))
    }
    case 'not': {
      const test = compileFilter(filter.inner)
      return row => !test(row)
    }
    case 'any':
      return () => true
    case 'empty':
      return row => row.get(filter.field) === ''
    case 'present':
      return row => row.get(filter.field) !== ''
    case 'phrase':
    case 'prefix': {
      const isPrefix = filter.kind === 'prefix'
      if (!filter.ignoresCase) return row => findPhrase(row.get(filter.field), filter.text, isPrefix) >= 0
      const lower = filter.text.toLowerCase()
      return row => findPhrase(row.get(filter.field).toLowerCase(), lower, isPrefix) >= 0
    }
    case 'exact':
      return row => row.get(filter.field) === filter.text
    case 'exact-prefix':
      return row => row.get(filter.field).startsWith(filter.text)
    case 'substring':
      return row => row.get(filter.field).includes(filter.text)
    case 'regex': {
      const regex = compileRe2(filter.source)
      const memo = new Map<string, boolean>()
      return row => {
        const value = row.get(filter.field)
        let result = memo.get(value)
        if (result === undefined) {
          result = regex.matcher(value).find()
          if (value.length < 100 && memo.size < 10_000) memo.set(value, result)
        }
        return result
      }
    }
    case 'in': {
      const values = new Set(filter.values)
      return values.has('*') ? () => true : row => values.has(row.get(filter.field))
    }
    case 'contains-all':
      return row => filter.values.every(v => findPhrase(row.get(filter.field), v, false) >= 0)
    case 'contains-any':
      return row => filter.values.some(v => findPhrase(row.get(filter.field), v, false) >= 0)
    case 'sequence':
      return row => {
        const text = row.get(filter.field)
        let at = 0
        for (const part of filter.values) {
          const found = findPhrase(text, part, false, at)
          if (found < 0) return false
          at = found + part.length
        }
        return true
      }
    case 'range':
      return row => {
        const value = numberOf(row.get(filter.field))
        return (
          (filter.fromOpen ? value > filter.from : value >= filter.from) &&
          (filter.toOpen ? value < filter.to : value <= filter.to)
        )
      }
    case 'compare':
      return compareWith(filter.field, filter.op, filter.value)
    case 'string-range':
      return row => {
        const value = row.get(filter.field)
        return compareText(value, filter.from) >= 0 && compareText(value, filter.to) < 0
      }
    case 'length':
      return row => {
        const size = Array.from(row.get(filter.field)).length
        return size >= filter.from && size <= filter.to
      }
    case 'ipv4':
      return row => {
        const address = ipv4(row.get(filter.field))
        return address !== undefined && address >= filter.from && address <= filter.to
      }
    case 'same-field':
      return row => {
        const order = compareValues(row.get(filter.field), row.get(filter.other))
        return filter.op === '='
          ? row.get(filter.field) === row.get(filter.other)
          : filter.op === '<'
            ? order < 0
            : order <= 0
      }
    case 'time':
      return row => {
        const ms = timeNs(row.get('_time')) / 1e6
        return ms >= filter.span.fromMs && ms < filter.span.toMs
      }
    case 'day-range':
      return row => {
        const ms = (((timeNs(row.get('_time')) / 1e6 + filter.offsetMs) % 86_400_000) + 86_400_000) % 86_400_000
        return ms >= filter.fromMs && ms < filter.toMs
      }
    case 'week-range':
      return row => {
        const day = new Date(timeNs(row.get('_time')) / 1e6 + filter.offsetMs).getUTCDay()
        return filter.fromDay <= filter.toDay
          ? day >= filter.fromDay && day <= filter.toDay
          : day >= filter.fromDay || day <= filter.toDay
      }
    case 'stream': {
      const test = compileStream(filter.alternatives)
      return row => {
        const { stream } = row as unknown as { stream?: { labels: Labels } }
        return stream === undefined ? testsStreamText(row.get('_stream'), test) : test(name => stream.labels.get(name))
      }
    }
    case 'stream-id': {
      const ids = new Set(filter.ids)
      return row => ids.has(row.get('_stream_id'))
    }
    case 'in-query':
      throw new BadQueryError('a query within a filter is not possible here', 0, 0)
    default:
      return unreachable(filter)
  }
}

type StreamTest = (get: (name: string) => string) => boolean

function compileStream(alternatives: (Filter & { kind: 'stream' })['alternatives']): StreamTest {
  const sets = alternatives.map(set => set.map(m => makeMatcher(m.kind, m.name, m.value)))
  return get => sets.some(set => set.every(m => m.matches(get(m.name))))
}

/** Behind pipes only the stream's text is left. */
function testsStreamText(text: string, test: StreamTest): boolean {
  const labels = new Map<string, string>()
  for (const match of text.matchAll(/([^{},=]+)=("(?:[^"\\]|\\.)*")/g))
    labels.set(match[1]!, JSON.parse(match[2]!) as string)
  return test(name => labels.get(name) ?? '')
}

function numberOf(text: string): number {
  const time = timeNs(text)
  return Number.isNaN(time) ? toNumber(text) : time
}

function compareWith(field: string, op: '>' | '>=' | '<' | '<=', than: string): RowTest {
  const limit = numberOf(than)
  const holds = (order: number): boolean =>
    op === '>' ? order > 0 : op === '>=' ? order >= 0 : op === '<' ? order < 0 : order <= 0
  return row => {
    const text = row.get(field)
    if (text === '') return false
    const value = numberOf(text)
    if (!Number.isNaN(limit)) return !Number.isNaN(value) && holds(value - limit)
    return holds(compareText(text, than))
  }
}

/** Numbers by size, texts bytewise, numbers before texts. */
export function compareValues(a: string, b: string): number {
  if (a === b) return 0
  const x = numberOf(a),
    y = numberOf(b)
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y
  return compareText(a, b)
}

/** Times that a filter allows at most, streams that it selects, and texts of the message that it needs: for the plan. */
export function planFilter(filter: Filter): {
  fromMs: number
  toMs: number
  streams: (Filter & { kind: 'stream' }) | undefined
  needles: string[]
} {
  const plan: ReturnType<typeof planFilter> = { fromMs: -Infinity, toMs: Infinity, streams: undefined, needles: [] }
  const visit = (part: Filter): void => {
    if (part.kind === 'and') part.parts.forEach(visit)
    else if (part.kind === 'time') {
      plan.fromMs = Math.max(plan.fromMs, part.span.fromMs)
      plan.toMs = Math.min(plan.toMs, part.span.toMs)
    } else if (part.kind === 'stream') plan.streams ??= part
    else if (
      (part.kind === 'phrase' ||
        part.kind === 'prefix' ||
        part.kind === 'exact' ||
        part.kind === 'exact-prefix' ||
        part.kind === 'substring') &&
      part.field === '_msg' &&
      !part.ignoresCase &&
      part.text !== ''
    )
      plan.needles.push(part.text)
    else if ((part.kind === 'contains-all' || part.kind === 'sequence') && part.field === '_msg')
      plan.needles.push(...part.values.filter(v => v !== ''))
  }
  visit(filter)
  return plan
}
