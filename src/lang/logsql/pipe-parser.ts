/** LogsQL's pipes. Source: docs/logs.md (the VictoriaLogs part). */
import {
  mathFunctions,
  mathOperators,
  runningFunctions,
  statsFunctions,
  type Filter,
  type FormatPart,
  type GroupKey,
  type LogsqlQuery,
  type MathExpr,
  type Pipe,
  type SortKey,
  type StatsCall,
  type StatsFunction,
} from './ast.ts'
import type { FilterParser } from './filter-parser.ts'
import { toNumber } from './numbers.ts'
import type { QueryScanner } from './scanner.ts'

type ReadPipe = (parser: PipeParser, word: string) => Pipe

/** One reader under several words. */
function named(words: readonly string[], read: ReadPipe): Record<string, ReadPipe> {
  return Object.fromEntries(words.map(word => [word, read]))
}

/** Reads the pipes of a query, one after another, from the scanner that its query's parser shares with it. */
export class PipeParser {
  readonly scan: QueryScanner
  readonly filters: FilterParser

  readonly #query: () => LogsqlQuery

  /** `query` reads a whole query, up to what ends it. */
  constructor(scan: QueryScanner, filters: FilterParser, query: () => LogsqlQuery) {
    this.#query = query
    this.scan = scan
    this.filters = filters
  }

  /** A field's name, with a star at its end where that is allowed. */
  #name(): string {
    const name = this.scan.is('*') ? '' : this.scan.value('a field')
    if (this.scan.text[this.scan.at] === '*') {
      this.scan.at++
      return `${name}*`
    }
    return name
  }

  #names(): string[] {
    const names = [this.#name()]
    while (this.scan.take(',')) names.push(this.#name())
    return names
  }

  #groupNames(): string[] {
    this.scan.expect('(')
    const names: string[] = []
    while (!this.scan.take(')')) {
      names.push(this.#name())
      if (!this.scan.is(')')) this.scan.expect(',')
    }
    return names
  }

  #condition(): Filter | undefined {
    if (!this.scan.take('if')) return undefined
    this.scan.expect('(')
    const filter = this.scan.is(')') ? { kind: 'any' as const } : this.filters.or('_msg')
    this.scan.expect(')')
    return filter
  }

  /** Flags behind a pipe, in any order. */
  #flags(): { keepsOriginal: boolean; skipsEmpty: boolean } {
    const flags = { keepsOriginal: false, skipsEmpty: false }
    for (;;) {
      if (this.scan.take('keep_original_fields')) flags.keepsOriginal = true
      else if (this.scan.take('skip_empty_results')) flags.skipsEmpty = true
      else return flags
    }
  }

  #as(fallback: string): string {
    return this.scan.take('as') ? this.scan.value('a field') : fallback
  }

  /** By the word that a pipe begins with; some have several words. */
  static readonly #readers: Readonly<Record<string, ReadPipe>> = {
    ...named(['fields', 'keep'], parser => ({ kind: 'fields', names: parser.#names() })),
    ...named(['delete', 'del', 'drop', 'rm'], parser => ({ kind: 'delete', names: parser.#names() })),
    ...named(['decolorize'], parser => ({
      kind: 'decolorize',
      names: parser.#isEndOfPipe() ? ['_msg'] : parser.#names(),
    })),
    ...named(['copy', 'cp'], parser => ({ kind: 'copy', pairs: parser.#pairs() })),
    ...named(['rename', 'mv'], parser => ({ kind: 'rename', pairs: parser.#pairs() })),
    ...named(['filter', 'where'], parser => ({ kind: 'filter', filter: parser.filters.or('_msg') })),
    ...named(['limit', 'head'], parser => ({ kind: 'limit', count: parser.#isEndOfPipe() ? 10 : parser.#count() })),
    ...named(['offset', 'skip'], parser => ({ kind: 'offset', count: parser.#count() })),
    ...named(['sample'], parser => ({ kind: 'sample', count: parser.#count() })),
    ...named(['sort', 'order'], parser => parser.#sort()),
    first: parser => parser.#firstOrLast('first'),
    last: parser => parser.#firstOrLast('last'),
    stats: parser => parser.#stats(),
    uniq: parser => parser.#uniq(),
    top: parser => parser.#top(),
    extract: parser => parser.#extract(),
    extract_regexp: parser => parser.#extractRegexp(),
    unpack_json: parser => parser.#unpack('json'),
    unpack_logfmt: parser => parser.#unpack('logfmt'),
    unpack_syslog: parser => parser.#unpack('syslog'),
    unpack_words: parser => parser.#unpack('words'),
    pack_json: parser => parser.#pack('json'),
    pack_logfmt: parser => parser.#pack('logfmt'),
    format: parser => parser.#format(),
    ...named(['math', 'eval'], parser => parser.#math()),
    ...named(['replace', 'replace_regexp'], (parser, word) => parser.#replace(word === 'replace_regexp')),
    field_names: parser => ({ kind: 'field-names', as: parser.#as('name') }),
    blocks_count: parser => ({ kind: 'blocks-count', as: parser.#as('blocks_count') }),
    field_values: parser => ({ kind: 'field-values', field: parser.#field(), limit: parser.#limit() }),
    facets: parser => parser.#facets(),
    unroll: parser => parser.#unroll(),
    len: parser => parser.#ofField('length'),
    hash: parser => parser.#ofField('hash'),
    json_array_len: parser => parser.#ofField('json-array-length'),
    collapse_nums: parser => parser.#collapseNumbers(),
    drop_empty_fields: () => ({ kind: 'drop-empty' }),
    join: parser => parser.#join(),
    union: parser => ({ kind: 'union', query: parser.#subquery() }),
    stream_context: parser => parser.#streamContext(),
    running_stats: parser => ({ kind: 'running-stats', ...parser.#statsParts(runningFunctions) }),
    total_stats: parser => ({ kind: 'total-stats', ...parser.#statsParts(runningFunctions) }),
    split: parser => parser.#split(),
    set_stream_fields: parser => parser.#setStreamFields(),
    time_add: parser => parser.#timeAdd(),
  }

  /** One pipe, from its word on. Throws BadQueryError. */
  pipe(): Pipe {
    const word = this.scan.peekWord().toLowerCase()
    const at = this.scan.at
    this.scan.at += word.length
    const read = Object.hasOwn(PipeParser.#readers, word) ? PipeParser.#readers[word] : undefined
    if (read !== undefined) return read(this, word)
    // A stats function may stand alone, and a filter too.
    this.scan.at = at
    if (this.#isStatsCall(word)) return this.#stats()
    if (word === '' && !this.scan.is('{') && !this.scan.isQuote()) this.scan.fail('a pipe was expected')
    return this.scan.fail(`the pipe ${JSON.stringify(word)} is not known`)
  }

  #count(): number {
    return this.scan.number('a count')
  }

  #field(): string {
    return this.scan.value('a field')
  }

  /** `limit N`; 0 where there is none. */
  #limit(): number {
    return this.scan.take('limit') ? this.#count() : 0
  }

  /** The field behind `from` or `at`. */
  #fieldBehind(word: 'from' | 'at', fallback = '_msg'): string {
    return this.scan.take(word) ? this.#field() : fallback
  }

  #extract(): Pipe {
    const condition = this.#condition()
    const parts = this.#formatParts(this.scan.value('a pattern'))
    const from = this.#fieldBehind('from')
    return { kind: 'extract', parts, from, condition, ...this.#flags() }
  }

  #extractRegexp(): Pipe {
    const condition = this.#condition()
    const source = this.scan.regularExpression()
    const from = this.#fieldBehind('from')
    return { kind: 'extract-regexp', source, from, condition, ...this.#flags() }
  }

  #pack(format: 'json' | 'logfmt'): Pipe {
    const fields = this.scan.take('fields') ? this.#groupNames() : []
    return { kind: 'pack', format, fields, as: this.#as('_msg') }
  }

  #format(): Pipe {
    const condition = this.#condition()
    const parts = this.#formatParts(this.scan.value('a text'))
    return { kind: 'format', parts, as: this.#as('_msg'), condition, ...this.#flags() }
  }

  #replace(isRegexp: boolean): Pipe {
    const condition = this.#condition()
    this.scan.expect('(')
    const old = isRegexp ? this.scan.regularExpression() : this.scan.value('what to replace')
    this.scan.expect(',')
    const fresh = this.scan.value('what to put in its place')
    this.scan.expect(')')
    const field = this.#fieldBehind('at')
    const limit = this.#limit()
    if (isRegexp) return { kind: 'replace-regexp', source: old, fresh, field, limit, condition }
    return { kind: 'replace', old, fresh, field, limit, condition }
  }

  #facets(): Pipe {
    const pipe = { kind: 'facets' as const, limit: 10, maxValues: 1000, keepsConstant: false }
    if (/^\s*\d/.test(this.scan.text.slice(this.scan.at))) pipe.limit = this.#count()
    for (;;) {
      if (this.scan.take('max_values_per_field')) pipe.maxValues = this.#count()
      else if (this.scan.take('max_value_len')) this.scan.number('a length')
      else if (this.scan.take('keep_const_fields')) pipe.keepsConstant = true
      else return pipe
    }
  }

  #unroll(): Pipe {
    this.#condition()
    this.scan.take('by')
    return { kind: 'unroll', fields: this.scan.is('(') ? this.#groupNames() : this.#names() }
  }

  #ofField(kind: 'length' | 'hash' | 'json-array-length'): Pipe {
    const [field = '_msg'] = this.#groupNames()
    return { kind, field, as: this.#as(field) }
  }

  #collapseNumbers(): Pipe {
    this.#condition()
    const field = this.#fieldBehind('at')
    this.scan.take('prettify')
    return { kind: 'collapse-numbers', field }
  }

  #join(): Pipe {
    this.scan.take('by')
    const by = this.#groupNames()
    const query = this.#subquery()
    const isInner = this.scan.take('inner')
    return { kind: 'join', by, query, isInner, prefix: this.scan.take('prefix') ? this.scan.value('a prefix') : '' }
  }

  #split(): Pipe {
    const separator = this.scan.value('a separator')
    const field = this.#fieldBehind('from')
    return { kind: 'split', separator, field, as: this.#as(field) }
  }

  #setStreamFields(): Pipe {
    const condition = this.#condition()
    return { kind: 'set-stream-fields', names: this.#names(), condition }
  }

  #timeAdd(): Pipe {
    const { at } = this.scan
    const ns = toNumber(this.scan.scalar('a duration'))
    if (Number.isNaN(ns)) this.scan.fail('a duration was expected', at)
    return { kind: 'time-add', ns, field: this.#fieldBehind('at', '_time') }
  }

  #subquery(): LogsqlQuery {
    this.scan.expect('(')
    const query = this.#query()
    this.scan.expect(')')
    return query
  }

  #streamContext(): Pipe {
    const pipe = { kind: 'stream-context' as const, before: 0, after: 0, windowMs: 3_600_000 }
    for (;;) {
      if (this.scan.take('before')) pipe.before = this.scan.number('a count')
      else if (this.scan.take('after')) pipe.after = this.scan.number('a count')
      else if (this.scan.take('time_window')) {
        const at = this.scan.at
        pipe.windowMs = toNumber(this.scan.scalar('a duration')) / 1e6
        if (Number.isNaN(pipe.windowMs)) this.scan.fail('a duration was expected', at)
      } else return pipe
    }
  }

  #isStatsCall(word: string): boolean {
    return (
      (statsFunctions.some(name => name === word) && this.scan.text[this.scan.at + word.length] === '(') ||
      word === 'by'
    )
  }
  #isEndOfPipe(): boolean {
    return this.scan.atEnd() || this.scan.is('|') || this.scan.is(')')
  }

  #pairs(): [string, string][] {
    const pairs: [string, string][] = []
    do {
      const from = this.#name()
      this.scan.take('as')
      pairs.push([from, this.#name()])
    } while (this.scan.take(','))
    return pairs
  }

  #sortKeys(): SortKey[] {
    const keys: SortKey[] = []
    if (!this.scan.take('by') && !this.scan.is('(')) return keys
    this.scan.expect('(')
    while (!this.scan.take(')')) {
      const field = this.scan.value('a field')
      keys.push({ field, isDescending: this.scan.take('desc') || (this.scan.take('asc'), false) })
      if (!this.scan.is(')')) this.scan.expect(',')
    }
    return keys
  }

  #sort(): Pipe {
    const pipe = {
      kind: 'sort' as const,
      keys: this.#sortKeys(),
      isDescending: false,
      offset: 0,
      limit: Infinity,
      rank: undefined as string | undefined,
      partitionBy: [] as string[],
    }
    for (;;) {
      if (this.scan.take('desc')) pipe.isDescending = true
      else if (this.scan.take('asc')) pipe.isDescending = false
      else if (this.scan.take('offset')) pipe.offset = this.scan.number('a count')
      else if (this.scan.take('limit')) pipe.limit = this.scan.number('a count')
      else if (this.scan.take('rank')) pipe.rank = this.#as('rank')
      else if (this.scan.take('partition')) {
        this.scan.expect('by')
        pipe.partitionBy = this.#groupNames()
      } else return pipe
    }
  }

  #firstOrLast(word: 'first' | 'last'): Pipe {
    const limit = /^\s*\d/.test(this.scan.text.slice(this.scan.at)) ? this.scan.number('a count') : 1
    const keys = this.#sortKeys()
    const partitionBy = this.scan.take('partition') ? (this.scan.expect('by'), this.#groupNames()) : []
    return {
      kind: 'sort',
      keys,
      isDescending: word === 'last',
      offset: 0,
      limit,
      rank: this.scan.take('rank') ? this.#as('rank') : undefined,
      partitionBy,
    }
  }

  #uniq(): Pipe {
    let by: string[] = []
    if (this.scan.take('by') || this.scan.is('(')) by = this.#groupNames()
    const hits = this.scan.take('with') ? (this.scan.expect('hits'), 'hits') : undefined
    return { kind: 'uniq', by, hits, limit: this.scan.take('limit') ? this.scan.number('a count') : Infinity }
  }

  #top(): Pipe {
    const count = /^\s*\d/.test(this.scan.text.slice(this.scan.at)) ? this.scan.number('a count') : 10
    let by: string[] = []
    if (this.scan.take('by') || this.scan.is('(')) by = this.scan.is('(') ? this.#groupNames() : this.#names()
    const hits = this.scan.take('hits') ? this.#as('hits') : 'hits'
    return { kind: 'top', count, by, hits, rank: this.scan.take('rank') ? this.#as('rank') : undefined }
  }

  #unpack(format: 'json' | 'logfmt' | 'syslog' | 'words'): Pipe {
    const condition = this.#condition()
    const from = this.scan.take('from') ? this.scan.value('a field') : '_msg'
    let as = from
    if (format === 'words') as = this.#as(from)
    const fields = this.scan.take('fields') ? this.#groupNames() : []
    const prefix = this.scan.take('result_prefix') ? this.scan.value('a prefix') : ''
    if (format === 'syslog' && this.scan.take('offset')) this.scan.scalar('a duration')
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
      const from = this.scan.at
      const expr = this.#mathBinary(0)
      const text = this.scan.text.slice(from, this.scan.at).trim()
      const isNamed = this.scan.take('as') || this.scan.isQuote() || /^[\p{L}_]/u.test(this.scan.peekWord())
      assignments.push({ expr, as: isNamed ? this.scan.value('a field') : text })
    } while (this.scan.take(','))
    return { kind: 'math', assignments }
  }

  #mathBinary(level: number): MathExpr {
    const operators = mathOperators[level]
    if (operators === undefined) return this.#mathUnary()
    let left = this.#mathBinary(level + 1)
    for (;;) {
      const op = operators.find(o => this.scan.take(o))
      if (op === undefined) return left
      this.scan.size.operator(this.scan.at)
      left = { kind: 'binary', op, left, right: this.#mathBinary(op === '^' ? level : level + 1) }
    }
  }

  #mathUnary(): MathExpr {
    return this.scan.size.deeper(this.scan.at, () => this.#mathOperand())
  }

  #mathOperand(): MathExpr {
    if (this.scan.take('-')) return { kind: 'negate', inner: this.#mathUnary() }
    if (this.scan.take('+')) return this.#mathUnary()
    if (this.scan.take('(')) {
      const inner = this.#mathBinary(0)
      this.scan.expect(')')
      return inner
    }
    if (this.scan.isQuote()) return { kind: 'field', name: this.scan.quoted() }
    this.scan.skip()
    const number = /^(?:\d[\w.]*|\.\d+)/.exec(this.scan.text.slice(this.scan.at))
    if (number !== null) {
      this.scan.at += number[0].length
      return { kind: 'number', value: toNumber(number[0]) }
    }
    const name = /^[\p{L}_][\p{L}\p{Nd}_.]*/u.exec(this.scan.text.slice(this.scan.at))?.[0]
    if (name === undefined) this.scan.fail('a number, a field or a function was expected')
    this.scan.at += name.length
    if (this.scan.text[this.scan.at] !== '(') return { kind: 'field', name }
    this.scan.at++
    const args: MathExpr[] = []
    while (!this.scan.take(')')) {
      args.push(this.#mathBinary(0))
      if (!this.scan.is(')')) this.scan.expect(',')
    }
    const known = mathFunctions.find(f => f === name)
    if (known === undefined) return this.scan.fail(`the function ${JSON.stringify(name)} is not known`)
    return { kind: 'call', name: known, args }
  }

  #stats(): Pipe {
    this.scan.take('stats')
    return { kind: 'stats', ...this.#statsParts(statsFunctions) }
  }

  #statsParts(names: readonly StatsFunction[]): { by: GroupKey[]; calls: StatsCall[] } {
    const by: GroupKey[] = []
    if (this.scan.take('by') || this.scan.is('(')) {
      this.scan.expect('(')
      while (!this.scan.take(')')) {
        by.push(this.#groupKey())
        if (!this.scan.is(')')) this.scan.expect(',')
      }
    }
    const calls: StatsCall[] = []
    do calls.push(this.#statsCall(names))
    while (this.scan.take(','))
    return { by, calls }
  }

  #groupKey(): GroupKey {
    const field = this.scan.value('a field')
    const key: GroupKey = { field, bucket: undefined, offset: 0, name: field }
    if (this.scan.text[this.scan.at] !== ':') return key
    this.scan.at++
    key.bucket = this.#bucket(field)
    if (this.scan.take('offset')) key.offset = this.#bucket(field)
    return key
  }

  #bucket(field: string): number {
    const at = this.scan.at
    const text = this.scan.scalar('the width of a bucket')
    const units: Readonly<Record<string, number>> = {
      nanosecond: 1,
      microsecond: 1e3,
      millisecond: 1e6,
      second: 1e9,
      minute: 6e10,
      hour: 3.6e12,
      day: 8.64e13,
      week: 6.048e14,
    }
    const width = units[text] ?? (text.startsWith('/') ? toNumber(text.slice(1)) : toNumber(text))
    if (!(Math.abs(width) > 0)) this.scan.fail(`${JSON.stringify(text)} is no width of a bucket of ${field}`, at)
    return width
  }

  #statsCall(names: readonly StatsFunction[]): StatsCall {
    const word = this.scan.peekWord().toLowerCase()
    const name = names.find(known => known === word)
    if (name === undefined) return this.scan.fail(`the stats function ${JSON.stringify(word)} is not known`)
    this.scan.at += name.length
    let parameter: number | undefined
    this.scan.expect('(')
    const args: string[] = []
    if (name === 'quantile') {
      parameter = this.scan.number('the quantile')
      this.scan.take(',')
    }
    while (!this.scan.take(')')) {
      args.push(this.#name())
      if (!this.scan.is(')')) this.scan.expect(',')
    }
    const shown = [...(parameter === undefined ? [] : [String(parameter)]), ...(args.length === 0 ? ['*'] : args)]
    const text = `${name}(${shown.join(',')})`
    const limit = this.scan.take('limit') ? this.scan.number('a count') : undefined
    const condition = this.#condition()
    const isNamed = this.scan.take('as') || (!this.#isEndOfPipe() && !this.scan.is(','))
    return {
      name,
      args: args.filter(a => a !== '*'),
      limit,
      parameter,
      condition,
      as: isNamed ? this.scan.value('a name') : text,
    }
  }
}
