/** LogsQL's grammar. Source: docs/logs.md (the VictoriaLogs part). */
import { BadQueryError } from '#core/errors.ts'
import type { LabelMatch } from '#lang/logql/ast.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import type { Filter, FormatPart, GroupKey, LogsqlQuery, MathExpr, Pipe, SortKey, StatsCall } from './ast.ts'
import { ipv4, toNumber } from './numbers.ts'
import { parseMoment, parseSpanMs } from './times.ts'

/** Times that are relative count from `nowMs`. Throws BadQueryError. */
export function parseLogsql(text: string, nowMs: number): LogsqlQuery {
  return new Parser(text, nowMs).parse()
}

/** Where a bare word ends. */
const wordEnd = /[\s"'`()|,{}[\]=~<>!*:]/
const pipeWords: ReadonlySet<string> = new Set(['or', 'and', 'not'])

class Parser {
  readonly #text: string
  readonly #nowMs: number
  #at = 0

  constructor(text: string, nowMs: number) {
    this.#text = text
    this.#nowMs = nowMs
  }

  #fail(message: string, at = this.#at): never { throw new BadQueryError(`cannot parse the query at position ${at + 1}: ${message}; context: [${this.#text.slice(Math.max(0, at - 20), at)}⟨here⟩${this.#text.slice(at, at + 20)}]`, at, this.#text.length) }

  #skip(): void {
    for (;;) {
      while (this.#at < this.#text.length && /\s/.test(this.#text[this.#at]!)) this.#at++
      if (this.#text[this.#at] !== '#') return
      const end = this.#text.indexOf('\n', this.#at)
      this.#at = end < 0 ? this.#text.length : end
    }
  }

  /** Is this the next thing? Symbols as they stand, words as whole words in any case. */
  #is(what: string): boolean {
    this.#skip()
    if (/\w/.test(what[0]!)) return this.#peekWord().toLowerCase() === what
    return this.#text.startsWith(what, this.#at)
  }

  #take(what: string): boolean {
    if (!this.#is(what)) return false
    this.#at += what.length
    return true
  }

  #expect(what: string): void { if (!this.#take(what)) this.#fail(`${JSON.stringify(what)} was expected`) }

  #peekWord(): string {
    this.#skip()
    let end = this.#at
    while (end < this.#text.length && !wordEnd.test(this.#text[end]!)) end++
    return this.#text.slice(this.#at, end)
  }

  #atEnd(): boolean { this.#skip(); return this.#at >= this.#text.length }
  #isQuote(): boolean { this.#skip(); return /["'`]/.test(this.#text[this.#at] ?? '') }

  #quoted(): string {
    const mark = this.#text[this.#at]!
    const start = this.#at++
    let out = ''
    for (;;) {
      const char = this.#text[this.#at]
      if (char === undefined) this.#fail('a quoted text does not end', start)
      this.#at++
      if (char === mark) return out
      if (char !== '\\' || mark === '`') { out += char; continue }
      const next = this.#text[this.#at++] ?? ''
      const code = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(this.#text.slice(this.#at - 1, this.#at + 6))
      if (code !== null) { out += String.fromCharCode(Number.parseInt(code[1] ?? code[2]!, 16)); this.#at += code[0].length - 1 } else out += ({ n: '\n', t: '\t', r: '\r' } as Record<string, string | undefined>)[next] ?? next
    }
  }

  /** A quoted text or a bare word. */
  #value(what: string): string {
    if (this.#isQuote()) return this.#quoted()
    const word = this.#peekWord()
    if (word === '') this.#fail(`${what} was expected`)
    this.#at += word.length
    return word
  }

  /** Digits, letters, dots, signs: numbers, durations, sizes, also with what ends a word elsewhere. */
  #scalar(what: string): string {
    if (this.#isQuote()) return this.#quoted()
    const match = /^[+-]?[\w.:+µ-]+/.exec(this.#text.slice(this.#at))
    if (match === null) this.#fail(`${what} was expected`)
    this.#at += match[0].length
    return match[0]
  }

  #number(what: string): number {
    const at = this.#at
    const value = toNumber(this.#scalar(what))
    if (Number.isNaN(value)) this.#fail(`${what} must be a number`, at)
    return value
  }

  parse(): LogsqlQuery {
    if (this.#atEnd()) this.#fail('the query is empty')
    // options(…) in front are hints for the engine.
    if (/^options\s*\(/.test(this.#text.slice(this.#at))) this.#at = this.#text.indexOf(')', this.#at) + 1
    const filter = this.#or('_msg')
    const pipes: Pipe[] = []
    while (this.#take('|')) pipes.push(this.#pipe())
    if (!this.#atEnd()) this.#fail('nothing more was expected')
    return { filter, pipes }
  }

  // ── Filters ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #or(field: string): Filter {
    const parts = [this.#and(field)]
    while (this.#take('or')) parts.push(this.#and(field))
    return parts.length === 1 ? parts[0]! : { kind: 'or', parts }
  }

  #and(field: string): Filter {
    const parts = [this.#not(field)]
    for (;;) {
      if (this.#atEnd() || this.#is(')') || this.#is('|') || this.#is('or') || this.#is(',')) break
      this.#take('and')
      parts.push(this.#not(field))
    }
    return parts.length === 1 ? parts[0]! : { kind: 'and', parts }
  }

  #not(field: string): Filter {
    if (this.#is('!=') || this.#is('!~')) return this.#fieldFilter(field)
    if (this.#take('not') || this.#take('!')) return { kind: 'not', inner: this.#not(field) }
    this.#skip()
    if (this.#text[this.#at] === '-' && !/[\s)]/.test(this.#text[this.#at + 1] ?? ' ')) { this.#at++; return { kind: 'not', inner: this.#not(field) } }
    return this.#primary(field)
  }

  #primary(field: string): Filter {
    if (this.#take('(')) {
      const inner = this.#or(field)
      this.#expect(')')
      return inner
    }
    if (this.#is('{')) return this.#streamFilter()
    this.#skip()
    const start = this.#at
    const name = this.#isQuote() ? this.#quoted() : this.#peekWord()
    if (!/["'`]/.test(this.#text[start] ?? '')) this.#at += name.length
    if (this.#text[this.#at] === ':' && this.#at > start) {
      this.#at++
      return this.#fieldFilter(name)
    }
    this.#at = start
    return this.#fieldFilter(field)
  }

  #fieldFilter(field: string): Filter {
    this.#skip()
    if (field === '_time') return this.#time()
    if (field === '_stream' && this.#is('{')) return this.#streamFilter()
    if (field === '_stream_id') return this.#streamId()
    if (this.#take('(')) {
      const inner = this.#or(field)
      this.#expect(')')
      return inner
    }
    if (this.#is('!=') || this.#is('!~') || this.#is('!')) { this.#at++; return { kind: 'not', inner: this.#fieldFilter(field) } }
    if (this.#take('~')) return this.#regex(field)
    for (const op of ['>=', '<=', '>', '<'] as const) if (this.#take(op)) return { kind: 'compare', field, op, value: this.#scalar('a value') }
    if (this.#take('==') || this.#take('=')) {
      if (this.#is('~')) { this.#at++; return this.#regex(field) }
      const text = this.#value('a value')
      if (this.#text[this.#at] === '*') { this.#at++; return { kind: 'exact-prefix', field, text, ignoresCase: false } }
      return { kind: 'exact', field, text, ignoresCase: false }
    }
    if (this.#take('*')) {
      if (this.#isQuote() || /\w/.test(this.#text[this.#at] ?? '')) {
        const text = this.#value('a text')
        if (this.#text[this.#at] === '*') this.#at++
        return { kind: 'substring', field, text, ignoresCase: false }
      }
      return field === '_msg' ? { kind: 'any' } : { kind: 'present', field }
    }
    const isQuoted = this.#isQuote()
    const word = isQuoted ? '' : this.#peekWord()
    if (!isQuoted && this.#text[this.#at + word.length] === '(') {
      const called = this.#call(field, word.toLowerCase())
      if (called !== undefined) return called
    }
    if (!isQuoted && (/^range[([]/.test(this.#text.slice(this.#at)))) return this.#range(field)
    if (!isQuoted && pipeWords.has(word.toLowerCase())) this.#fail(`${JSON.stringify(word)} is a word of the language: quote it to search for it`)
    const text = this.#value('a word, a phrase or a filter')
    if (this.#text[this.#at] === '*') { this.#at++; return text === '' ? { kind: 'present', field } : { kind: 'prefix', field, text, ignoresCase: false } }
    return text === '' ? { kind: 'empty', field } : { kind: 'phrase', field, text, ignoresCase: false }
  }

  #regex(field: string): Filter {
    const source = this.#value('a regular expression')
    try {
      compileRe2(source)
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error))
    }
    return { kind: 'regex', field, source }
  }

  #list(): string[] {
    const values: string[] = []
    this.#expect('(')
    while (!this.#take(')')) {
      values.push(this.#is('*') ? (this.#at++, '*') : this.#scalarOrValue())
      if (!this.#is(')')) this.#expect(',')
    }
    return values
  }

  #scalarOrValue(): string { return this.#isQuote() ? this.#quoted() : this.#value('a value') }

  #call(field: string, name: string): Filter | undefined {
    const skipName = (): void => { this.#at += name.length }
    switch (name) {
      case 'in': skipName(); return { kind: 'in', field, values: this.#list() }
      case 'contains_all': skipName(); return { kind: 'contains-all', field, values: this.#list() }
      case 'contains_any': skipName(); return { kind: 'contains-any', field, values: this.#list() }
      case 'seq': skipName(); return { kind: 'sequence', field, values: this.#list() }
      case 'exact': { skipName(); this.#expect('('); const text = this.#value('a value'); const isPrefix = this.#take('*'); this.#expect(')'); return { kind: isPrefix ? 'exact-prefix' : 'exact', field, text, ignoresCase: false } }
      case 're': { skipName(); this.#expect('('); const filter = this.#regex(field); this.#expect(')'); return filter }
      case 'i': { skipName(); this.#expect('('); const text = this.#value('a text'); const isPrefix = this.#take('*'); this.#expect(')'); return { kind: isPrefix ? 'prefix' : 'phrase', field, text, ignoresCase: true } }
      case 'range': return this.#range(field)
      case 'len_range': { skipName(); const [from, to] = this.#list(); return { kind: 'length', field, from: toNumber(from ?? ''), to: to === 'inf' ? Infinity : toNumber(to ?? '') } }
      case 'string_range': { skipName(); const [from, to] = this.#list(); return { kind: 'string-range', field, from: from ?? '', to: to ?? '' } }
      case 'ipv4_range': { skipName(); return this.#ipRange(field, this.#ipList()) }
      case 'eq_field': { skipName(); return { kind: 'same-field', field, other: this.#list()[0] ?? '', op: '=' } }
      case 'lt_field': { skipName(); return { kind: 'same-field', field, other: this.#list()[0] ?? '', op: '<' } }
      case 'le_field': { skipName(); return { kind: 'same-field', field, other: this.#list()[0] ?? '', op: '<=' } }
      default: return undefined
    }
  }

  #ipList(): string[] {
    const values: string[] = []
    this.#expect('(')
    while (!this.#take(')')) {
      if (this.#isQuote()) values.push(this.#quoted())
      else { this.#skip(); const match = /^[\d./]+/.exec(this.#text.slice(this.#at)); if (match === null) this.#fail('an address was expected'); this.#at += match[0].length; values.push(match[0]) }
      if (!this.#is(')')) this.#expect(',')
    }
    return values
  }

  #ipRange(field: string, values: readonly string[]): Filter {
    const [first = '', second] = values
    const slash = first.indexOf('/')
    const from = ipv4(slash < 0 ? first : first.slice(0, slash))
    if (from === undefined) this.#fail(`${JSON.stringify(first)} is no IPv4 address`)
    if (slash >= 0) {
      const size = 2 ** (32 - Number(first.slice(slash + 1)))
      const start = Math.floor(from / size) * size
      return { kind: 'ipv4', field, from: start, to: start + size - 1 }
    }
    const to = second === undefined ? from : ipv4(second)
    if (to === undefined) this.#fail(`${JSON.stringify(second)} is no IPv4 address`)
    return { kind: 'ipv4', field, from, to }
  }

  #range(field: string): Filter {
    this.#at += 5
    this.#skip()
    const fromOpen = this.#text[this.#at] === '('
    if (!fromOpen && this.#text[this.#at] !== '[') this.#fail('"(" or "[" was expected')
    this.#at++
    const from = this.#number('the lower bound')
    this.#expect(',')
    const to = this.#number('the upper bound')
    this.#skip()
    const toOpen = this.#text[this.#at] === ')'
    if (!toOpen && this.#text[this.#at] !== ']') this.#fail('")" or "]" was expected')
    this.#at++
    return { kind: 'range', field, from, to, fromOpen, toOpen }
  }

  #streamId(): Filter {
    if (this.#is('in') && this.#text[this.#at + 2] === '(') { this.#at += 2; return { kind: 'stream-id', ids: this.#list() } }
    this.#take('=')
    return { kind: 'stream-id', ids: [this.#value('a stream id')] }
  }

  #streamFilter(): Filter {
    this.#expect('{')
    const alternatives: LabelMatch[][] = [[]]
    while (!this.#take('}')) {
      const name = this.#value('a label')
      if (this.#is('in') || this.#is('not_in')) {
        const isNegated = this.#peekWord().toLowerCase() === 'not_in'
        this.#at += isNegated ? 6 : 2
        const source = this.#list().map(v => v.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')).join('|')
        alternatives.at(-1)!.push({ kind: isNegated ? '!~' : '=~', name, value: source })
      } else {
        const kind = (['!=', '!~', '=~', '='] as const).find(op => this.#take(op))
        if (kind === undefined) this.#fail('one of = != =~ !~ was expected')
        alternatives.at(-1)!.push({ kind, name, value: this.#value('a value') })
      }
      if (this.#take('or')) { alternatives.push([]); continue }
      if (!this.#is('}')) this.#expect(',')
    }
    return { kind: 'stream', alternatives }
  }

  /** Text up to what ends a time. */
  #timeText(): string {
    if (this.#isQuote()) return this.#quoted()
    const match = /^[\w.:+µ-]+/.exec(this.#text.slice(this.#at))
    if (match === null) this.#fail('a time was expected')
    this.#at += match[0].length
    return match[0]
  }

  #moment(): { ms: number; widthMs: number } {
    this.#skip()
    const at = this.#at
    const moment = parseMoment(this.#timeText(), this.#nowMs)
    if (moment === undefined) this.#fail('the time can\'t be read: RFC 3339, a Unix time or a duration was expected', at)
    return moment
  }

  #offsetMs(): number {
    if (!this.#take('offset')) return 0
    const at = this.#at
    this.#skip()
    const ms = parseSpanMs(this.#timeText())
    if (ms === undefined) this.#fail('a duration was expected', at)
    return ms
  }

  #time(): Filter {
    for (const name of ['day_range', 'week_range'] as const) if (this.#is(name)) return this.#dayOrWeek(name)
    for (const op of ['>=', '<=', '>', '<'] as const) {
      if (!this.#take(op)) continue
      const { ms, widthMs } = this.#moment()
      const shift = this.#offsetMs()
      const span = op === '>=' ? { fromMs: ms, toMs: Infinity } : op === '>' ? { fromMs: ms + (widthMs || 1e-6), toMs: Infinity } : op === '<' ? { fromMs: -Infinity, toMs: ms } : { fromMs: -Infinity, toMs: ms + (widthMs || 1e-6) }
      return { kind: 'time', span: { fromMs: span.fromMs - shift, toMs: span.toMs - shift } }
    }
    this.#take('=')
    this.#skip()
    const open = this.#text[this.#at]
    if (open === '[' || open === '(') {
      this.#at++
      const from = this.#moment()
      this.#expect(',')
      const to = this.#moment()
      this.#skip()
      const close = this.#text[this.#at]
      if (close !== ']' && close !== ')') this.#fail('"]" or ")" was expected')
      this.#at++
      const shift = this.#offsetMs()
      return { kind: 'time', span: { fromMs: from.ms + (open === '(' ? from.widthMs || 1e-6 : 0) - shift, toMs: to.ms + (close === ']' ? to.widthMs || 1e-6 : 0) - shift } }
    }
    const at = this.#at
    const text = this.#timeText()
    const distance = parseSpanMs(text)
    if (distance !== undefined && /[a-zµ]$/.test(text)) {
      const shift = this.#offsetMs()
      return { kind: 'time', span: { fromMs: this.#nowMs - Math.abs(distance) - shift, toMs: this.#nowMs - shift + 1 } }
    }
    const moment = parseMoment(text, this.#nowMs)
    if (moment === undefined) this.#fail('the time can\'t be read: RFC 3339, a Unix time or a duration was expected', at)
    const shift = this.#offsetMs()
    return { kind: 'time', span: { fromMs: moment.ms - shift, toMs: moment.ms + (moment.widthMs || 1e-6) - shift } }
  }

  #dayOrWeek(name: 'day_range' | 'week_range'): Filter {
    this.#at += name.length
    const match = /^\s*([[(])\s*([\w:]+)\s*,\s*([\w:]+)\s*([\])])/.exec(this.#text.slice(this.#at))
    if (match === null) this.#fail('a range like [08:00, 18:00) or [Mon, Fri] was expected')
    this.#at += match[0].length
    const offsetMs = this.#offsetMs()
    if (name === 'day_range') {
      const minutes = (text: string): number => { const [h, m] = text.split(':').map(Number); return (h! * 60 + (m ?? 0)) * 60_000 }
      return { kind: 'day-range', fromMs: minutes(match[2]!) + (match[1] === '(' ? 1 : 0), toMs: minutes(match[3]!) + (match[4] === ']' ? 1 : 0), offsetMs }
    }
    const day = (text: string): number => ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'].indexOf(text.slice(0, 3).toLowerCase())
    return { kind: 'week-range', fromDay: day(match[2]!) + (match[1] === '(' ? 1 : 0), toDay: day(match[3]!) - (match[4] === ')' ? 1 : 0), offsetMs }
  }

  // ── Pipes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A field's name, with a star at its end where that is allowed. */
  #name(): string {
    const name = this.#is('*') ? '' : this.#value('a field')
    if (this.#text[this.#at] === '*') { this.#at++; return `${name}*` }
    return name
  }

  #names(): string[] {
    const names = [this.#name()]
    while (this.#take(',')) names.push(this.#name())
    return names
  }

  #groupNames(): string[] {
    this.#expect('(')
    const names: string[] = []
    while (!this.#take(')')) {
      names.push(this.#name())
      if (!this.#is(')')) this.#expect(',')
    }
    return names
  }

  #condition(): Filter | undefined {
    if (!this.#take('if')) return undefined
    this.#expect('(')
    const filter = this.#is(')') ? { kind: 'any' as const } : this.#or('_msg')
    this.#expect(')')
    return filter
  }

  /** Flags behind a pipe, in any order. */
  #flags(): { keepsOriginal: boolean; skipsEmpty: boolean } {
    const flags = { keepsOriginal: false, skipsEmpty: false }
    for (;;) {
      if (this.#take('keep_original_fields')) flags.keepsOriginal = true
      else if (this.#take('skip_empty_results')) flags.skipsEmpty = true
      else return flags
    }
  }

  #as(fallback: string): string { return this.#take('as') ? this.#value('a field') : fallback }

  #pipe(): Pipe {
    const word = this.#peekWord().toLowerCase()
    const at = this.#at
    this.#at += word.length
    switch (word) {
      case 'fields': case 'keep': return { kind: 'fields', names: this.#names() }
      case 'delete': case 'del': case 'drop': case 'rm': return { kind: 'delete', names: this.#names() }
      case 'decolorize': return { kind: 'decolorize', names: this.#isEndOfPipe() ? ['_msg'] : this.#names() }
      case 'copy': case 'cp': return { kind: 'copy', pairs: this.#pairs() }
      case 'rename': case 'mv': return { kind: 'rename', pairs: this.#pairs() }
      case 'filter': case 'where': return { kind: 'filter', filter: this.#or('_msg') }
      case 'limit': case 'head': return { kind: 'limit', count: this.#isEndOfPipe() ? 10 : this.#number('a count') }
      case 'offset': case 'skip': return { kind: 'offset', count: this.#number('a count') }
      case 'sample': return { kind: 'sample', count: this.#number('a count') }
      case 'sort': case 'order': return this.#sort()
      case 'first': case 'last': return this.#firstOrLast(word)
      case 'stats': return this.#stats()
      case 'uniq': return this.#uniq()
      case 'top': return this.#top()
      case 'extract': { const condition = this.#condition(); const parts = this.#formatParts(this.#value('a pattern')); const from = this.#take('from') ? this.#value('a field') : '_msg'; return { kind: 'extract', parts, from, condition, ...this.#flags() } }
      case 'extract_regexp': { const condition = this.#condition(); const source = this.#value('a regular expression'); const from = this.#take('from') ? this.#value('a field') : '_msg'; return { kind: 'extract-regexp', source, from, condition, ...this.#flags() } }
      case 'unpack_json': case 'unpack_logfmt': case 'unpack_syslog': case 'unpack_words': return this.#unpack(word.slice(7) as 'json' | 'logfmt' | 'syslog' | 'words')
      case 'pack_json': case 'pack_logfmt': { const fields = this.#take('fields') ? this.#groupNames() : []; return { kind: 'pack', format: word === 'pack_json' ? 'json' : 'logfmt', fields, as: this.#as('_msg') } }
      case 'format': { const condition = this.#condition(); const parts = this.#formatParts(this.#value('a text')); return { kind: 'format', parts, as: this.#as('_msg'), condition, ...this.#flags() } }
      case 'math': case 'eval': return this.#math()
      case 'replace': case 'replace_regexp': {
        const condition = this.#condition()
        this.#expect('(')
        const old = this.#value('what to replace')
        this.#expect(',')
        const fresh = this.#value('what to put in its place')
        this.#expect(')')
        const field = this.#take('at') ? this.#value('a field') : '_msg'
        const limit = this.#take('limit') ? this.#number('a count') : 0
        if (word === 'replace') return { kind: 'replace', old, fresh, field, limit, condition }
        compileRe2(old)
        return { kind: 'replace-regexp', source: old, fresh, field, limit, condition }
      }
      case 'field_names': return { kind: 'field-names', as: this.#as('name') }
      case 'blocks_count': return { kind: 'blocks-count', as: this.#as('blocks_count') }
      case 'field_values': { const field = this.#value('a field'); return { kind: 'field-values', field, limit: this.#take('limit') ? this.#number('a count') : 0 } }
      case 'facets': {
        const pipe = { kind: 'facets' as const, limit: 10, maxValues: 1000, keepsConstant: false }
        if (/^\s*\d/.test(this.#text.slice(this.#at))) pipe.limit = this.#number('a count')
        for (;;) {
          if (this.#take('max_values_per_field')) pipe.maxValues = this.#number('a count')
          else if (this.#take('max_value_len')) this.#number('a length')
          else if (this.#take('keep_const_fields')) pipe.keepsConstant = true
          else return pipe
        }
      }
      case 'unroll': { this.#condition(); this.#take('by'); return { kind: 'unroll', fields: this.#is('(') ? this.#groupNames() : this.#names() } }
      case 'len': case 'hash': case 'json_array_len': { const [field = '_msg'] = this.#groupNames(); return { kind: word === 'len' ? 'length' : word === 'hash' ? 'hash' : 'json-array-length', field, as: this.#as(field) } }
      case 'collapse_nums': { this.#condition(); const field = this.#take('at') ? this.#value('a field') : '_msg'; this.#take('prettify'); return { kind: 'collapse-numbers', field } }
      case 'drop_empty_fields': return { kind: 'drop-empty' }
      default:
        // A stats function may stand alone, and a filter too.
        this.#at = at
        if (this.#isStatsCall(word)) return this.#stats()
        if (word === '' && !this.#is('{') && !this.#isQuote()) this.#fail('a pipe was expected')
        return this.#fail(`the pipe ${JSON.stringify(word)} is not known`)
    }
  }

  #isStatsCall(word: string): boolean { return statsNames.has(word) && this.#text[this.#at + word.length] === '(' || word === 'by' }
  #isEndOfPipe(): boolean { return this.#atEnd() || this.#is('|') || this.#is(')') }

  #pairs(): [string, string][] {
    const pairs: [string, string][] = []
    do {
      const from = this.#name()
      this.#take('as')
      pairs.push([from, this.#name()])
    } while (this.#take(','))
    return pairs
  }

  #sortKeys(): SortKey[] {
    const keys: SortKey[] = []
    if (!this.#take('by') && !this.#is('(')) return keys
    this.#expect('(')
    while (!this.#take(')')) {
      const field = this.#value('a field')
      keys.push({ field, isDescending: this.#take('desc') || (this.#take('asc'), false) })
      if (!this.#is(')')) this.#expect(',')
    }
    return keys
  }

  #sort(): Pipe {
    const pipe = { kind: 'sort' as const, keys: this.#sortKeys(), isDescending: false, offset: 0, limit: Infinity, rank: undefined as string | undefined, partitionBy: [] as string[] }
    for (;;) {
      if (this.#take('desc')) pipe.isDescending = true
      else if (this.#take('asc')) pipe.isDescending = false
      else if (this.#take('offset')) pipe.offset = this.#number('a count')
      else if (this.#take('limit')) pipe.limit = this.#number('a count')
      else if (this.#take('rank')) pipe.rank = this.#as('rank')
      else if (this.#take('partition')) { this.#expect('by'); pipe.partitionBy = this.#groupNames() } else return pipe
    }
  }

  #firstOrLast(word: 'first' | 'last'): Pipe {
    const limit = /^\s*\d/.test(this.#text.slice(this.#at)) ? this.#number('a count') : 1
    const keys = this.#sortKeys()
    const partitionBy = this.#take('partition') ? (this.#expect('by'), this.#groupNames()) : []
    return { kind: 'sort', keys, isDescending: word === 'last', offset: 0, limit, rank: this.#take('rank') ? this.#as('rank') : undefined, partitionBy }
  }

  #uniq(): Pipe {
    let by: string[] = []
    if (this.#take('by') || this.#is('(')) by = this.#groupNames()
    const hits = this.#take('with') ? (this.#expect('hits'), 'hits') : undefined
    return { kind: 'uniq', by, hits, limit: this.#take('limit') ? this.#number('a count') : Infinity }
  }

  #top(): Pipe {
    const count = /^\s*\d/.test(this.#text.slice(this.#at)) ? this.#number('a count') : 10
    let by: string[] = []
    if (this.#take('by') || this.#is('(')) by = this.#is('(') ? this.#groupNames() : this.#names()
    const hits = this.#take('hits') ? this.#as('hits') : 'hits'
    return { kind: 'top', count, by, hits, rank: this.#take('rank') ? this.#as('rank') : undefined }
  }

  #unpack(format: 'json' | 'logfmt' | 'syslog' | 'words'): Pipe {
    const condition = this.#condition()
    const from = this.#take('from') ? this.#value('a field') : '_msg'
    let as = from
    if (format === 'words') as = this.#as(from)
    const fields = this.#take('fields') ? this.#groupNames() : []
    const prefix = this.#take('result_prefix') ? this.#value('a prefix') : ''
    if (format === 'syslog' && this.#take('offset')) this.#scalar('a duration')
    return { kind: 'unpack', format, from, fields, prefix, condition, as, ...this.#flags() }
  }

  #formatParts(text: string): FormatPart[] {
    const parts: FormatPart[] = []
    let at = 0
    for (const match of text.matchAll(/<([^<>\s]*)>/g)) {
      if (match.index > at) parts.push({ literal: text.slice(at, match.index) })
      const colon = match[1]!.indexOf(':')
      const modifier = colon > 0 ? match[1]!.slice(0, colon) : ''
      parts.push({ field: modifier === '' ? match[1]! : match[1]!.slice(colon + 1), modifier })
      at = match.index + match[0].length
    }
    if (at < text.length) parts.push({ literal: text.slice(at) })
    return parts
  }

  #math(): Pipe {
    const assignments: { expr: MathExpr; as: string }[] = []
    do {
      const from = this.#at
      const expr = this.#mathBinary(0)
      const text = this.#text.slice(from, this.#at).trim()
      const isNamed = this.#take('as') || this.#isQuote() || /^[\p{L}_]/u.test(this.#peekWord())
      assignments.push({ expr, as: isNamed ? this.#value('a field') : text })
    } while (this.#take(','))
    return { kind: 'math', assignments }
  }

  #mathBinary(level: number): MathExpr {
    const levels = [['default'], ['or'], ['xor'], ['&'], ['+', '-'], ['*', '/', '%'], ['^']] as const
    if (level === levels.length) return this.#mathUnary()
    let left = this.#mathBinary(level + 1)
    for (;;) {
      const op = levels[level]!.find(o => this.#take(o))
      if (op === undefined) return left
      left = { kind: 'binary', op, left, right: this.#mathBinary(op === '^' ? level : level + 1) }
    }
  }

  #mathUnary(): MathExpr {
    if (this.#take('-')) return { kind: 'negate', inner: this.#mathUnary() }
    if (this.#take('+')) return this.#mathUnary()
    if (this.#take('(')) {
      const inner = this.#mathBinary(0)
      this.#expect(')')
      return inner
    }
    if (this.#isQuote()) return { kind: 'field', name: this.#quoted() }
    this.#skip()
    const number = /^(?:\d[\w.]*|\.\d+)/.exec(this.#text.slice(this.#at))
    if (number !== null) {
      this.#at += number[0].length
      return { kind: 'number', value: toNumber(number[0]) }
    }
    const name = /^[\p{L}_][\p{L}\p{Nd}_.]*/u.exec(this.#text.slice(this.#at))?.[0]
    if (name === undefined) this.#fail('a number, a field or a function was expected')
    this.#at += name.length
    if (this.#text[this.#at] !== '(') return { kind: 'field', name }
    this.#at++
    const args: MathExpr[] = []
    while (!this.#take(')')) {
      args.push(this.#mathBinary(0))
      if (!this.#is(')')) this.#expect(',')
    }
    if (!mathNames.has(name)) this.#fail(`the function ${JSON.stringify(name)} is not known`)
    return { kind: 'call', name, args }
  }

  #stats(): Pipe {
    this.#take('stats')
    const by: GroupKey[] = []
    if (this.#take('by') || this.#is('(')) {
      this.#expect('(')
      while (!this.#take(')')) {
        by.push(this.#groupKey())
        if (!this.#is(')')) this.#expect(',')
      }
    }
    const calls: StatsCall[] = []
    do calls.push(this.#statsCall()); while (this.#take(','))
    return { kind: 'stats', by, calls }
  }

  #groupKey(): GroupKey {
    const field = this.#value('a field')
    const key: GroupKey = { field, bucket: undefined, offset: 0, name: field }
    if (this.#text[this.#at] !== ':') return key
    this.#at++
    key.bucket = this.#bucket(field)
    if (this.#take('offset')) key.offset = this.#bucket(field)
    return key
  }

  #bucket(field: string): number {
    const at = this.#at
    const text = this.#scalar('the width of a bucket')
    const units: Readonly<Record<string, number>> = { nanosecond: 1, microsecond: 1e3, millisecond: 1e6, second: 1e9, minute: 6e10, hour: 3.6e12, day: 8.64e13, week: 6.048e14 }
    const width = units[text] ?? (text.startsWith('/') ? toNumber(text.slice(1)) : toNumber(text))
    if (!(Math.abs(width) > 0)) this.#fail(`${JSON.stringify(text)} is no width of a bucket of ${field}`, at)
    return width
  }

  #statsCall(): StatsCall {
    const name = this.#peekWord().toLowerCase()
    if (!statsNames.has(name)) this.#fail(`the stats function ${JSON.stringify(name)} is not known`)
    this.#at += name.length
    let parameter: number | undefined
    this.#expect('(')
    const args: string[] = []
    if (name === 'quantile') { parameter = this.#number('the quantile'); this.#take(',') }
    while (!this.#take(')')) {
      args.push(this.#name())
      if (!this.#is(')')) this.#expect(',')
    }
    const text = `${name}(${[...(parameter === undefined ? [] : [String(parameter)]), ...(args.length === 0 ? ['*'] : args)].join(',')})`
    const limit = this.#take('limit') ? this.#number('a count') : undefined
    const condition = this.#condition()
    const isNamed = this.#take('as') || (!this.#isEndOfPipe() && !this.#is(','))
    return { name, args: args.filter(a => a !== '*'), limit, parameter, condition, as: isNamed ? this.#value('a name') : text }
  }
}

export const statsNames: ReadonlySet<string> = new Set(['avg', 'count', 'count_empty', 'count_uniq', 'count_uniq_hash', 'histogram', 'max', 'median', 'min', 'quantile', 'rate', 'rate_sum', 'row_any', 'row_max', 'row_min', 'stddev', 'sum', 'sum_len', 'uniq_values', 'values', 'json_values'])
export const mathNames: ReadonlySet<string> = new Set(['abs', 'ceil', 'exp', 'floor', 'ln', 'max', 'min', 'now', 'round'])
