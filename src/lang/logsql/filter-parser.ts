/** LogsQL's filters. Source: docs/logs.md (the VictoriaLogs part). */
import type { LabelMatch } from '#lang/logql/ast.ts'
import { BadQueryError } from '#core/errors.ts'
import type { Filter, LogsqlQuery } from './ast.ts'
import { ipv4, toNumber } from './numbers.ts'
import type { QueryScanner } from './scanner.ts'
import { parseMoment, parseSpanMs } from './times.ts'

const reservedWords: ReadonlySet<string> = new Set(['or', 'and', 'not'])

export class FilterParser {
  readonly scan: QueryScanner
  readonly #nowMs: number
  readonly #query: () => LogsqlQuery

  /** Times that are relative count from `nowMs`. `query` reads a whole query, up to what ends it. */
  constructor(scan: QueryScanner, nowMs: number, query: () => LogsqlQuery) {
    this.#query = query
    this.scan = scan
    this.#nowMs = nowMs
  }

  /** A filter up to what can't belong to it; words without a field look into `field`. */
  or(field: string): Filter {
    return this.scan.size.deeper(this.scan.at, () => this.#alternatives(field))
  }

  #alternatives(field: string): Filter {
    const parts = [this.#and(field)]
    while (this.scan.take('or')) parts.push(this.#and(field))
    return parts.length === 1 ? parts[0]! : { kind: 'or', parts }
  }

  #and(field: string): Filter {
    const parts = [this.#not(field)]
    for (;;) {
      if (this.scan.atEnd() || this.scan.is(')') || this.scan.is('|') || this.scan.is('or') || this.scan.is(',')) break
      this.scan.take('and')
      parts.push(this.#not(field))
    }
    return parts.length === 1 ? parts[0]! : { kind: 'and', parts }
  }

  #not(field: string): Filter {
    this.scan.size.part(this.scan.at)
    if (this.scan.is('!=') || this.scan.is('!~')) return this.#fieldFilter(field)
    if (this.scan.take('not') || this.scan.take('!')) return { kind: 'not', inner: this.#negated(field) }
    this.scan.skip()
    if (this.scan.text[this.scan.at] === '-' && !/[\s)]/.test(this.scan.text[this.scan.at + 1] ?? ' ')) {
      this.scan.at++
      return { kind: 'not', inner: this.#negated(field) }
    }
    return this.#primary(field)
  }

  #negated(field: string): Filter {
    return this.scan.size.deeper(this.scan.at, () => this.#not(field))
  }

  #primary(field: string): Filter {
    if (this.scan.take('(')) {
      const inner = this.or(field)
      this.scan.expect(')')
      return inner
    }
    if (this.scan.is('{')) return this.#streamFilter()
    this.scan.skip()
    const start = this.scan.at
    const name = this.scan.isQuote() ? this.scan.quoted() : this.scan.peekWord()
    if (!/["'`]/.test(this.scan.text[start] ?? '')) this.scan.at += name.length
    if (this.scan.text[this.scan.at] === ':' && this.scan.at > start) {
      this.scan.at++
      return this.#fieldFilter(name)
    }
    this.scan.at = start
    return this.#fieldFilter(field)
  }

  #fieldFilter(field: string): Filter {
    this.scan.skip()
    if (field === '_time') return this.#time()
    if (field === '_stream' && this.scan.is('{')) return this.#streamFilter()
    if (field === '_stream_id') return this.#streamId()
    if (this.scan.take('(')) {
      const inner = this.or(field)
      this.scan.expect(')')
      return inner
    }
    if (this.scan.is('!=') || this.scan.is('!~') || this.scan.is('!')) {
      this.scan.at++
      return { kind: 'not', inner: this.scan.size.deeper(this.scan.at, () => this.#fieldFilter(field)) }
    }
    if (this.scan.take('~')) return this.#regex(field)
    for (const op of ['>=', '<=', '>', '<'] as const)
      if (this.scan.take(op)) return { kind: 'compare', field, op, value: this.scan.scalar('a value') }
    if (this.scan.take('==') || this.scan.take('=')) {
      if (this.scan.is('~')) {
        this.scan.at++
        return this.#regex(field)
      }
      const text = this.scan.value('a value')
      if (this.scan.text[this.scan.at] === '*') {
        this.scan.at++
        return { kind: 'exact-prefix', field, text, ignoresCase: false }
      }
      return { kind: 'exact', field, text, ignoresCase: false }
    }
    if (this.scan.take('*')) {
      // Only what stands directly behind the star belongs to it.
      if (/["'`\w]/.test(this.scan.text[this.scan.at] ?? '')) {
        const text = this.scan.value('a text')
        if (this.scan.text[this.scan.at] === '*') this.scan.at++
        return { kind: 'substring', field, text, ignoresCase: false }
      }
      return field === '_msg' ? { kind: 'any' } : { kind: 'present', field }
    }
    const isQuoted = this.scan.isQuote()
    const word = isQuoted ? '' : this.scan.peekWord()
    if (!isQuoted && this.scan.text[this.scan.at + word.length] === '(') {
      const called = this.#call(field, word.toLowerCase())
      if (called !== undefined) return called
    }
    if (!isQuoted && /^range[([]/.test(this.scan.text.slice(this.scan.at))) return this.#range(field)
    if (!isQuoted && reservedWords.has(word.toLowerCase()))
      this.scan.fail(`${JSON.stringify(word)} is a word of the language: quote it to search for it`)
    const text = this.scan.value('a word, a phrase or a filter')
    if (this.scan.text[this.scan.at] === '*') {
      this.scan.at++
      return text === '' ? { kind: 'present', field } : { kind: 'prefix', field, text, ignoresCase: false }
    }
    return text === '' ? { kind: 'empty', field } : { kind: 'phrase', field, text, ignoresCase: false }
  }

  #regex(field: string): Filter {
    return { kind: 'regex', field, source: this.scan.regularExpression() }
  }

  #list(): string[] {
    const values: string[] = []
    this.scan.expect('(')
    while (!this.scan.take(')')) {
      values.push(this.scan.is('*') ? (this.scan.at++, '*') : this.#scalarOrValue())
      if (!this.scan.is(')')) this.scan.expect(',')
    }
    return values
  }

  /** A list of values, or a query whose results are the values. */
  #among(field: string, kind: 'in' | 'contains-all' | 'contains-any'): Filter {
    const { at } = this.scan
    try {
      return { kind, field, values: this.#list() }
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      // What is no query either is reported as a list.
      this.scan.at = at
      this.scan.expect('(')
      let query: LogsqlQuery
      try {
        query = this.#query()
      } catch {
        throw error
      }
      if (query.pipes.length === 0) throw error
      this.scan.expect(')')
      return { kind: 'in-query', field, as: kind, query }
    }
  }

  #scalarOrValue(): string {
    return this.scan.isQuote() ? this.scan.quoted() : this.scan.value('a value')
  }

  #call(field: string, name: string): Filter | undefined {
    const skipName = (): void => {
      this.scan.at += name.length
    }
    switch (name) {
      case 'in':
        skipName()
        return this.#among(field, 'in')
      case 'contains_all':
        skipName()
        return this.#among(field, 'contains-all')
      case 'contains_any':
        skipName()
        return this.#among(field, 'contains-any')
      case 'seq':
        skipName()
        return { kind: 'sequence', field, values: this.#list() }
      case 'exact': {
        skipName()
        this.scan.expect('(')
        const text = this.scan.value('a value')
        const isPrefix = this.scan.take('*')
        this.scan.expect(')')
        return { kind: isPrefix ? 'exact-prefix' : 'exact', field, text, ignoresCase: false }
      }
      case 're': {
        skipName()
        this.scan.expect('(')
        const filter = this.#regex(field)
        this.scan.expect(')')
        return filter
      }
      case 'i': {
        skipName()
        this.scan.expect('(')
        const text = this.scan.value('a text')
        const isPrefix = this.scan.take('*')
        this.scan.expect(')')
        return { kind: isPrefix ? 'prefix' : 'phrase', field, text, ignoresCase: true }
      }
      case 'range':
        return this.#range(field)
      case 'len_range': {
        skipName()
        const { at } = this.scan
        const [from = NaN, to = NaN, ...rest] = this.#list().map(toNumber)
        if (Number.isNaN(from + to) || rest.length > 0) this.scan.fail('two lengths were expected', at)
        return { kind: 'length', field, from, to }
      }
      case 'string_range': {
        skipName()
        const [from, to] = this.#list()
        return { kind: 'string-range', field, from: from ?? '', to: to ?? '' }
      }
      case 'ipv4_range': {
        skipName()
        return this.#ipRange(field, this.#ipList())
      }
      case 'eq_field': {
        skipName()
        return { kind: 'same-field', field, other: this.#list()[0] ?? '', op: '=' }
      }
      case 'lt_field': {
        skipName()
        return { kind: 'same-field', field, other: this.#list()[0] ?? '', op: '<' }
      }
      case 'le_field': {
        skipName()
        return { kind: 'same-field', field, other: this.#list()[0] ?? '', op: '<=' }
      }
      default:
        return undefined
    }
  }

  #ipList(): string[] {
    const values: string[] = []
    this.scan.expect('(')
    while (!this.scan.take(')')) {
      if (this.scan.isQuote()) values.push(this.scan.quoted())
      else {
        this.scan.skip()
        const match = /^[\d./]+/.exec(this.scan.text.slice(this.scan.at))
        if (match === null) this.scan.fail('an address was expected')
        this.scan.at += match[0].length
        values.push(match[0])
      }
      if (!this.scan.is(')')) this.scan.expect(',')
    }
    return values
  }

  #ipRange(field: string, values: readonly string[]): Filter {
    const [first = '', second] = values
    const slash = first.indexOf('/')
    const from = ipv4(slash < 0 ? first : first.slice(0, slash))
    if (from === undefined) this.scan.fail(`${JSON.stringify(first)} is no IPv4 address`)
    if (slash >= 0) {
      const size = 2 ** (32 - Number(first.slice(slash + 1)))
      const start = Math.floor(from / size) * size
      return { kind: 'ipv4', field, from: start, to: start + size - 1 }
    }
    const to = second === undefined ? from : ipv4(second)
    if (to === undefined) this.scan.fail(`${JSON.stringify(second)} is no IPv4 address`)
    return { kind: 'ipv4', field, from, to }
  }

  #range(field: string): Filter {
    this.scan.at += 5
    this.scan.skip()
    const fromOpen = this.scan.text[this.scan.at] === '('
    if (!fromOpen && this.scan.text[this.scan.at] !== '[') this.scan.fail('"(" or "[" was expected')
    this.scan.at++
    const from = this.scan.number('the lower bound')
    this.scan.expect(',')
    const to = this.scan.number('the upper bound')
    this.scan.skip()
    const toOpen = this.scan.text[this.scan.at] === ')'
    if (!toOpen && this.scan.text[this.scan.at] !== ']') this.scan.fail('")" or "]" was expected')
    this.scan.at++
    return { kind: 'range', field, from, to, fromOpen, toOpen }
  }

  #streamId(): Filter {
    if (this.scan.is('in') && this.scan.text[this.scan.at + 2] === '(') {
      this.scan.at += 2
      return { kind: 'stream-id', ids: this.#list() }
    }
    this.scan.take('=')
    return { kind: 'stream-id', ids: [this.scan.value('a stream id')] }
  }

  #streamFilter(): Filter {
    this.scan.expect('{')
    const alternatives: LabelMatch[][] = [[]]
    while (!this.scan.take('}')) {
      const name = this.scan.value('a label')
      if (this.scan.is('in') || this.scan.is('not_in')) {
        const isNegated = this.scan.peekWord().toLowerCase() === 'not_in'
        this.scan.at += isNegated ? 6 : 2
        const source = this.#list()
          .map(v => v.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&'))
          .join('|')
        alternatives.at(-1)!.push({ kind: isNegated ? '!~' : '=~', name, value: source })
      } else {
        const kind = (['!=', '!~', '=~', '='] as const).find(op => this.scan.take(op))
        if (kind === undefined) this.scan.fail('one of = != =~ !~ was expected')
        alternatives.at(-1)!.push({ kind, name, value: this.scan.value('a value') })
      }
      if (this.scan.take('or')) {
        alternatives.push([])
        continue
      }
      if (!this.scan.is('}')) this.scan.expect(',')
    }
    return { kind: 'stream', alternatives }
  }

  /** Text up to what ends a time. */
  #timeText(): string {
    if (this.scan.isQuote()) return this.scan.quoted()
    const match = /^[\w.:+µ-]+/.exec(this.scan.text.slice(this.scan.at))
    if (match === null) this.scan.fail('a time was expected')
    this.scan.at += match[0].length
    return match[0]
  }

  #moment(): { ms: number; widthMs: number } {
    this.scan.skip()
    const at = this.scan.at
    const moment = parseMoment(this.#timeText(), this.#nowMs)
    if (moment === undefined)
      this.scan.fail("the time can't be read: RFC 3339, a Unix time or a duration was expected", at)
    return moment
  }

  #offsetMs(): number {
    if (!this.scan.take('offset')) return 0
    const at = this.scan.at
    this.scan.skip()
    const ms = parseSpanMs(this.#timeText())
    if (ms === undefined) this.scan.fail('a duration was expected', at)
    return ms
  }

  #time(): Filter {
    for (const name of ['day_range', 'week_range'] as const) if (this.scan.is(name)) return this.#dayOrWeek(name)
    for (const op of ['>=', '<=', '>', '<'] as const) {
      if (!this.scan.take(op)) continue
      const { ms, widthMs } = this.#moment()
      const shift = this.#offsetMs()
      const span =
        op === '>='
          ? { fromMs: ms, toMs: Infinity }
          : op === '>'
            ? { fromMs: ms + (widthMs || 1e-6), toMs: Infinity }
            : op === '<'
              ? { fromMs: -Infinity, toMs: ms }
              : { fromMs: -Infinity, toMs: ms + (widthMs || 1e-6) }
      return { kind: 'time', span: { fromMs: span.fromMs - shift, toMs: span.toMs - shift } }
    }
    this.scan.take('=')
    this.scan.skip()
    const open = this.scan.text[this.scan.at]
    if (open === '[' || open === '(') {
      this.scan.at++
      const from = this.#moment()
      this.scan.expect(',')
      const to = this.#moment()
      this.scan.skip()
      const close = this.scan.text[this.scan.at]
      if (close !== ']' && close !== ')') this.scan.fail('"]" or ")" was expected')
      this.scan.at++
      const shift = this.#offsetMs()
      return {
        kind: 'time',
        span: {
          fromMs: from.ms + (open === '(' ? from.widthMs || 1e-6 : 0) - shift,
          toMs: to.ms + (close === ']' ? to.widthMs || 1e-6 : 0) - shift,
        },
      }
    }
    const at = this.scan.at
    const text = this.#timeText()
    const distance = parseSpanMs(text)
    if (distance !== undefined && /[a-zµ]$/.test(text)) {
      const shift = this.#offsetMs()
      return { kind: 'time', span: { fromMs: this.#nowMs - Math.abs(distance) - shift, toMs: this.#nowMs - shift + 1 } }
    }
    const moment = parseMoment(text, this.#nowMs)
    if (moment === undefined)
      this.scan.fail("the time can't be read: RFC 3339, a Unix time or a duration was expected", at)
    const shift = this.#offsetMs()
    return { kind: 'time', span: { fromMs: moment.ms - shift, toMs: moment.ms + (moment.widthMs || 1e-6) - shift } }
  }

  #dayOrWeek(name: 'day_range' | 'week_range'): Filter {
    this.scan.at += name.length
    const match = /^\s*([[(])\s*([\w:]+)\s*,\s*([\w:]+)\s*([\])])/.exec(this.scan.text.slice(this.scan.at))
    if (match === null) this.scan.fail('a range like [08:00, 18:00) or [Mon, Fri] was expected')
    this.scan.at += match[0].length
    const offsetMs = this.#offsetMs()
    if (name === 'day_range') {
      const minutes = (text: string): number => {
        const [h, m] = text.split(':').map(Number)
        return (h! * 60 + (m ?? 0)) * 60_000
      }
      return {
        kind: 'day-range',
        fromMs: minutes(match[2]!) + (match[1] === '(' ? 1 : 0),
        toMs: minutes(match[3]!) + (match[4] === ']' ? 1 : 0),
        offsetMs,
      }
    }
    const day = (text: string): number =>
      ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].indexOf(text.slice(0, 3).toLowerCase())
    return {
      kind: 'week-range',
      fromDay: day(match[2]!) + (match[1] === '(' ? 1 : 0),
      toDay: day(match[3]!) - (match[4] === ')' ? 1 : 0),
      offsetMs,
    }
  }
}
