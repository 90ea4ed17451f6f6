/** LogsQL's filters as tests of an entry. Source: docs/logs.md (the VictoriaLogs part). */
import { BadQueryError } from '#core/errors.ts'
import { compareText } from '#core/text.ts'
import type { Filter } from '#lang/logsql/ast.ts'
import { comparableNumberOf, ipv4, type Instant } from '#lang/logsql/numbers.ts'
import { leastNs, mostNs } from '#lang/logsql/times.ts'
import { readQuoted } from '#lang/logsql/quotes.ts'
import { compileRe2, makeMatcher } from '#lang/regex/regex.ts'
import { compareWholes } from './compare.ts'
import type { FieldSource } from './row.ts'

/** Does a row match? */
export type RowTest = (row: FieldSource) => boolean

const dayMs = 86_400_000
const dayNs = dayMs * 1e6
const weekDays = 7
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
  'string-range': ({ field, from, to }) => {
    if (to === undefined) return row => compareText(row.get(field), from) >= 0
    return row => compareText(row.get(field), from) >= 0 && compareText(row.get(field), to) < 0
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
  'value-type': () => {
    throw new BadQueryError('value_type() asks how values are stored, which is not known here', 0, 0)
  },
  time: compileTime,
  'day-range': ({ fromNs, throughNs, offsetNs }) =>
    onTime(time => {
      const ns = ((((time.ms % dayMs) * 1e6 + time.subNs - offsetNs) % dayNs) + dayNs) % dayNs
      return ns >= fromNs && ns <= throughNs
    }),
  'week-range': ({ fromDay, throughDay, offsetNs }) =>
    onTime(time => {
      // The epoch was a Thursday.
      const day = (((Math.floor((time.ms - offsetNs / 1e6) / dayMs) + 4) % weekDays) + weekDays) % weekDays
      return day >= fromDay && day <= throughDay
    }),
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

/** The empty phrase is an empty field, the empty prefix one that is not. */
function compilePhrase(filter: FilterOf<'phrase' | 'prefix'>, isPrefix: boolean): RowTest {
  if (filter.text === '') return row => (row.get(filter.field) !== '') === isPrefix
  // A number below zero is one word, with its sign.
  if (!isPrefix && filter.field !== '_msg' && /^\d+$/.test(filter.text))
    return row => {
      const value = row.get(filter.field)
      return findPhrase(value, filter.text, false) >= 0 && !/^-\d+$/.test(value)
    }
  if (!filter.ignoresCase) return row => findPhrase(row.get(filter.field), filter.text, isPrefix) >= 0
  const lower = filter.text.toLowerCase()
  return row => findPhrase(row.get(filter.field).toLowerCase(), lower, isPrefix) >= 0
}

/** Short values are remembered: fields have few of them. */
function compileRegex(filter: FilterOf<'regex'>): RowTest {
  // A dot matches newlines, too.
  const regex = compileRe2(`(?s)${filter.source}`, filter.source)
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

function compileRange({ field, from, to }: FilterOf<'range'>): RowTest {
  return row => {
    const text = row.get(field)
    const value = comparableNumberOf(text)
    if (!(value >= from.value && value <= to.value)) return false
    const isAtStart = value === from.value && Number.isFinite(value)
    const isAtEnd = value === to.value && Number.isFinite(value)
    if (!isAtStart && !isAtEnd) return true
    const afterStart = isAtStart ? compareRounded(text, from.text, value) : 1
    const beforeEnd = isAtEnd ? compareRounded(to.text, text, value) : 1
    return (from.isOpen ? afterStart > 0 : afterStart >= 0) && (to.isOpen ? beforeEnd > 0 : beforeEnd >= 0)
  }
}

/** A test of the row's time; a row without one does not match. */
function onTime(test: (time: Instant) => boolean): RowTest {
  return row => {
    const time = row.time()
    return time !== undefined && test(time)
  }
}

function compileTime({ span }: FilterOf<'time'>): RowTest {
  const from = instantOfNs(span.fromNs)
  const through = instantOfNs(span.throughNs)
  return onTime(
    time =>
      (time.ms > from.ms || (time.ms === from.ms && time.subNs >= from.subNs)) &&
      (time.ms < through.ms || (time.ms === through.ms && time.subNs <= through.subNs)),
  )
}

function instantOfNs(ns: bigint): Instant {
  const ms = ns >= 0n ? ns / 1_000_000n : -((-ns + 999_999n) / 1_000_000n)
  return { ms: Number(ms), subNs: Number(ns - ms * 1_000_000n) }
}

function compileSameField({ field, other, op }: FilterOf<'same-field'>): RowTest {
  if (op === '=') return row => row.get(field) === row.get(other)
  return row => {
    const a = row.get(field)
    const b = row.get(other)
    const x = comparableNumberOf(a)
    const y = Number.isNaN(x) ? NaN : comparableNumberOf(b)
    const order = Number.isNaN(x) || Number.isNaN(y) ? compareText(a, b) : x === y ? compareRounded(a, b, x) : x - y
    return op === '<' ? order < 0 : order <= 0
  }
}

function compileStreamFilter(filter: FilterOf<'stream'>): RowTest {
  const test = compileStream(filter.alternatives)
  return row => {
    const { stream } = row
    return stream === undefined ? testsStreamText(row.get('_stream'), test) : test(name => stream.labels.get(name))
  }
}

type StreamTest = (get: (name: string) => string) => boolean

function compileStream(alternatives: FilterOf<'stream'>['alternatives']): StreamTest {
  const sets = alternatives.map(set => set.map(m => makeMatcher(m.kind, m.name, m.value)))
  return get => sets.some(set => set.length > 0 && set.every(m => m.matches(get(m.name))))
}

/** Rows between pipes have their stream as text alone. */
function testsStreamText(text: string, test: StreamTest): boolean {
  const labels = new Map(labelsOfText(text))
  return test(name => labels.get(name) ?? '')
}

/** The labels of a text such as `{name="value",...}`, in its order. */
export function labelsOfText(text: string): [string, string][] {
  const labels: [string, string][] = []
  for (let at = 1; at < text.length;) {
    const equals = text.indexOf('=', at)
    const quoted = equals < 0 ? undefined : readQuoted(text, equals + 1)
    if (quoted === undefined) break
    labels.push([text.slice(at, equals), quoted.text])
    at = quoted.end + 1
  }
  return labels
}

/** The order of texts whose doubles are both `rounded`: whole numbers beyond 2^53 are compared digit for digit. */
function compareRounded(a: string, b: string, rounded: number): number {
  if (Math.abs(rounded) < 2 ** 53 || !/^-?\d+$/.test(a) || !/^-?\d+$/.test(b)) return 0
  return compareWholes(a, b)
}

/** Bounds of the entries that can match a filter, known before any is read. */
export interface FilterPlan {
  /** Both inclusive. */
  fromNs: bigint
  throughNs: bigint
  /** A filter that the streams have to match. */
  streams: FilterOf<'stream'> | undefined
  /** Texts that the message has to contain. */
  needles: string[]
}

/** Reads the plan off the parts that all have to match. */
export function planFilter(filter: Filter): FilterPlan {
  const plan: FilterPlan = { fromNs: leastNs, throughNs: mostNs, streams: undefined, needles: [] }
  narrowPlan(plan, filter)
  return plan
}

/** Bytes that are no UTF-8 are U+FFFD to a filter, and stored as they are. */
function addNeedle(plan: FilterPlan, { field, text }: { field: string; text: string }): void {
  if (field === '_msg' && text !== '' && !text.includes('\ufffd')) plan.needles.push(text)
}

function narrowPlan(plan: FilterPlan, filter: Filter): void {
  switch (filter.kind) {
    case 'and':
      for (const part of filter.parts) narrowPlan(plan, part)
      return
    case 'time':
      if (filter.span.fromNs > plan.fromNs) plan.fromNs = filter.span.fromNs
      if (filter.span.throughNs < plan.throughNs) plan.throughNs = filter.span.throughNs
      return
    case 'stream':
      plan.streams ??= filter
      return
    case 'phrase':
    case 'prefix':
      if (filter.ignoresCase) return
      addNeedle(plan, filter)
      return
    case 'exact':
    case 'exact-prefix':
    case 'substring':
      addNeedle(plan, filter)
      return
    case 'contains-all':
    case 'sequence':
      for (const text of filter.values) addNeedle(plan, { field: filter.field, text })
      return
    default:
  }
}
