/** LogsQL's filters as tests of an entry. Source: docs/logs.md (the VictoriaLogs part). */
import { BadQueryError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { compareText } from '#core/text.ts'
import type { Filter } from '#lang/logsql/ast.ts'
import { ipv4, toNumber } from '#lang/logsql/numbers.ts'
import { compileRe2, makeMatcher } from '#lang/regex/regex.ts'
import { timeNs, type FieldSource } from './row.ts'

/** Does a row match? */
export type RowTest = (row: FieldSource) => boolean

const dayMs = 86_400_000
const wordChar = /[\p{L}\p{Nd}_]/u

function isWordAt(text: string, at: number): boolean {
  if (at < 0 || at >= text.length) return false
  const code = text.charCodeAt(at)
  if (code < 128)
    return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95
  return wordChar.test(text[at]!)
}

/**
 * Where the phrase first stands from `from` on, with whole words on both sides (`isPrefix`: on the left only); -1 for
 * nowhere.
 */
function findPhrase(text: string, phrase: string, isPrefix: boolean, from = 0): number {
  if (phrase === '') return from <= text.length ? from : -1
  const startsWord = isWordAt(phrase, 0)
  const endsWord = isWordAt(phrase, phrase.length - 1)
  for (let at = text.indexOf(phrase, from); at >= 0; at = text.indexOf(phrase, at + 1)) {
    if (startsWord && isWordAt(text, at - 1)) continue
    if (!isPrefix && endsWord && isWordAt(text, at + phrase.length)) continue
    return at
  }
  return -1
}

type FilterOf<K extends Filter['kind']> = Filter & { kind: K }

const compilers: { [K in Filter['kind']]: (filter: FilterOf<K>) => RowTest } = {
  and: filter => {
    const tests = filter.parts.map(compileFilter)
    return row => tests.every(test => test(row))
  },
  or: filter => {
    const tests = filter.parts.map(compileFilter)
    return row => tests.some(test => test(row))
  },
  not: filter => {
    const test = compileFilter(filter.inner)
    return row => !test(row)
  },
  any: () => () => true,
  empty: filter => row => row.get(filter.field) === '',
  present: filter => row => row.get(filter.field) !== '',
  phrase: filter => compilePhrase(filter, false),
  prefix: filter => compilePhrase(filter, true),
  exact: filter => row => row.get(filter.field) === filter.text,
  'exact-prefix': filter => row => row.get(filter.field).startsWith(filter.text),
  substring: filter => row => row.get(filter.field).includes(filter.text),
  regex: compileRegex,
  in: filter => {
    const values = new Set(filter.values)
    return values.has('*') ? () => true : row => values.has(row.get(filter.field))
  },
  'contains-all': filter => row => filter.values.every(v => findPhrase(row.get(filter.field), v, false) >= 0),
  'contains-any': filter => row => filter.values.some(v => findPhrase(row.get(filter.field), v, false) >= 0),
  sequence: filter => row => hasSequence(row.get(filter.field), filter.values),
  range: compileRange,
  compare: filter => compareWith(filter.field, filter.op, filter.value),
  'string-range': filter => row => {
    const value = row.get(filter.field)
    return compareText(value, filter.from) >= 0 && compareText(value, filter.to) < 0
  },
  length: filter => row => {
    const size = Array.from(row.get(filter.field)).length
    return size >= filter.from && size <= filter.to
  },
  ipv4: filter => row => {
    const address = ipv4(row.get(filter.field))
    return address !== undefined && address >= filter.from && address <= filter.to
  },
  'same-field': compileSameField,
  time: filter => row => {
    const ms = timeMs(row)
    return ms >= filter.span.fromMs && ms < filter.span.toMs
  },
  'day-range': filter => row => {
    const ms = (((timeMs(row) + filter.offsetMs) % dayMs) + dayMs) % dayMs
    return ms >= filter.fromMs && ms < filter.toMs
  },
  'week-range': filter => row => {
    const day = new Date(timeMs(row) + filter.offsetMs).getUTCDay()
    return filter.fromDay <= filter.toDay
      ? day >= filter.fromDay && day <= filter.toDay
      : day >= filter.fromDay || day <= filter.toDay
  },
  stream: compileStreamFilter,
  'stream-id': filter => {
    const ids = new Set(filter.ids)
    return row => ids.has(row.get('_stream_id'))
  },
  'in-query': () => {
    throw new BadQueryError('a query within a filter is not possible here', 0, 0)
  },
}

/** A test of one row. Throws BadQueryError for a filter that needs the answer of another query. */
export function compileFilter(filter: Filter): RowTest {
  // The entry of a kind takes filters of that kind, which the compiler does not see through the union.
  return (compilers[filter.kind] as (filter: Filter) => RowTest)(filter)
}

function compilePhrase(filter: FilterOf<'phrase' | 'prefix'>, isPrefix: boolean): RowTest {
  if (!filter.ignoresCase) return row => findPhrase(row.get(filter.field), filter.text, isPrefix) >= 0
  const lower = filter.text.toLowerCase()
  return row => findPhrase(row.get(filter.field).toLowerCase(), lower, isPrefix) >= 0
}

/** Short values are remembered: fields have few of them. */
function compileRegex(filter: FilterOf<'regex'>): RowTest {
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

/** Whether the phrases stand one after the other. */
function hasSequence(text: string, phrases: readonly string[]): boolean {
  let at = 0
  for (const phrase of phrases) {
    const found = findPhrase(text, phrase, false, at)
    if (found < 0) return false
    at = found + phrase.length
  }
  return true
}

function compileRange({ field, from, to, fromOpen, toOpen }: FilterOf<'range'>): RowTest {
  return row => {
    const value = numberOf(row.get(field))
    return (fromOpen ? value > from : value >= from) && (toOpen ? value < to : value <= to)
  }
}

function compileSameField({ field, other, op }: FilterOf<'same-field'>): RowTest {
  if (op === '=') return row => row.get(field) === row.get(other)
  if (op === '<') return row => compareValues(row.get(field), row.get(other)) < 0
  return row => compareValues(row.get(field), row.get(other)) <= 0
}

function compileStreamFilter(filter: FilterOf<'stream'>): RowTest {
  const test = compileStream(filter.alternatives)
  return row => {
    const { stream } = row
    return stream === undefined ? testsStreamText(row.get('_stream'), test) : test(name => stream.labels.get(name))
  }
}

/** Milliseconds since the epoch, with a fraction; NaN where there is no time. */
function timeMs(row: FieldSource): number {
  return timeNs(row.get('_time')) / 1e6
}

type StreamTest = (get: (name: string) => string) => boolean

function compileStream(alternatives: FilterOf<'stream'>['alternatives']): StreamTest {
  const sets = alternatives.map(set => set.map(m => makeMatcher(m.kind, m.name, m.value)))
  return get => sets.some(set => set.every(m => m.matches(get(m.name))))
}

/** Rows between pipes have their stream as text alone. */
function testsStreamText(text: string, test: StreamTest): boolean {
  const labels = new Map<string, string>()
  for (const match of text.matchAll(/([^{},=]+)=("(?:[^"\\]|\\.)*")/g))
    labels.set(match[1] ?? '', JSON.parse(match[2] ?? '""') as string)
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
    if (!Number.isNaN(limit))
      return !Number.isNaN(value) && holds(value === limit ? compareWholes(text, than, limit) : value - limit)
    return holds(compareText(text, than))
  }
}

/** The order of texts whose doubles are both `rounded`: whole numbers beyond 2^53 are compared digit for digit. */
function compareWholes(a: string, b: string, rounded: number): number {
  if (Math.abs(rounded) < 2 ** 53 || !/^[+-]?\d+$/.test(a) || !/^[+-]?\d+$/.test(b)) return 0
  const x = BigInt(a),
    y = BigInt(b)
  return x < y ? -1 : x > y ? 1 : 0
}

/** Begins with an ASCII letter with which no number begins: those begin with digits, signs, points, Inf and NaN. */
function beginsAsText(text: string): boolean {
  const code = text.charCodeAt(0) | 32
  return code >= 97 && code <= 122 && code !== 105 && code !== 110
}

/** Numbers by size, texts bytewise, numbers before texts. */
export function compareValues(a: string, b: string): number {
  if (a === b) return 0
  if (beginsAsText(a) && beginsAsText(b)) return compareText(a, b)
  const x = numberOf(a)
  const y = numberOf(b)
  if (!Number.isNaN(x) && !Number.isNaN(y)) return x === y ? compareWholes(a, b, x) : x - y
  return compareText(a, b)
}

/** Bounds of the entries that can match a filter, known before any is read. */
export interface FilterPlan {
  /** Inclusive and exclusive; infinite for no bound. */
  fromMs: number
  toMs: number
  /** A filter that the streams have to match. */
  streams: FilterOf<'stream'> | undefined
  /** Texts that the message has to contain. */
  needles: string[]
}

/** Reads the plan off the parts that all have to match. */
export function planFilter(filter: Filter): FilterPlan {
  const plan: FilterPlan = { fromMs: -Infinity, toMs: Infinity, streams: undefined, needles: [] }
  narrowPlan(plan, filter)
  return plan
}

function narrowPlan(plan: FilterPlan, filter: Filter): void {
  switch (filter.kind) {
    case 'and':
      for (const part of filter.parts) narrowPlan(plan, part)
      return
    case 'time':
      plan.fromMs = Math.max(plan.fromMs, filter.span.fromMs)
      plan.toMs = Math.min(plan.toMs, filter.span.toMs)
      return
    case 'stream':
      plan.streams ??= filter
      return
    case 'phrase':
    case 'prefix':
    case 'exact':
    case 'exact-prefix':
    case 'substring':
      if (filter.field === '_msg' && !filter.ignoresCase && filter.text !== '') plan.needles.push(filter.text)
      return
    case 'contains-all':
    case 'sequence':
      if (filter.field === '_msg')
        addAll(
          plan.needles,
          filter.values.filter(v => v !== ''),
        )
      return
    default:
  }
}
