/** LogsQL's pipes. Source: docs/logs.md (the VictoriaLogs part). */
import { BadQueryError } from '#core/errors.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import {
  runningFunctions,
  statsFunctions,
  type Filter,
  type LogsqlQuery,
  type PatternStep,
  type Pipe,
  type SortKey,
} from './ast.ts'
import { unsignedOf, type FilterParser } from './filter-parser.ts'
import type { QueryLexer } from './lexer.ts'
import { MathParser } from './math-parser.ts'
import { comparableNumberOf, countOf, durationOf } from './numbers.ts'
import { readPattern } from './pattern.ts'
import { StatsParser } from './stats-parser.ts'

type ReadPipe = (parser: PipeParser, word: string) => Pipe

/** One reader under several words. */
function named(words: readonly string[], read: ReadPipe): Record<string, ReadPipe> {
  return Object.fromEntries(words.map(word => [word, read]))
}

/** Reads the pipes of a query, one after another, from the lexer that its query's parser shares with it. */
export class PipeParser {
  readonly #lexer: QueryLexer
  readonly #filters: FilterParser
  readonly #query: () => LogsqlQuery
  readonly #math: MathParser
  readonly #stats: StatsParser
  /** A pipe was a filter without the word. */
  hasBareFilter = false

  /** `query` reads a whole query, up to what ends it. */
  constructor(lexer: QueryLexer, filters: FilterParser, query: () => LogsqlQuery) {
    this.#query = query
    this.#lexer = lexer
    this.#filters = filters
    this.#math = new MathParser(lexer)
    this.#stats = new StatsParser(
      lexer,
      () => this.#condition(),
      () => this.#namesInParentheses(),
    )
  }

  /** By the word that a pipe begins with; some have several words. */
  static readonly #readers: Readonly<Record<string, ReadPipe>> = {
    ...named(['fields', 'keep'], parser => ({ kind: 'fields', names: parser.#names() })),
    ...named(['delete', 'del', 'drop', 'rm'], parser => ({ kind: 'delete', names: parser.#names() })),
    decolorize: parser => ({ kind: 'decolorize', names: [parser.#isEnd ? '_msg' : parser.#field()] }),
    ...named(['copy', 'cp'], parser => ({ kind: 'copy', pairs: parser.#pairs() })),
    ...named(['rename', 'mv'], parser => ({ kind: 'rename', pairs: parser.#pairs() })),
    ...named(['filter', 'where'], parser => ({ kind: 'filter', filter: parser.#filters.filter() })),
    ...named(['limit', 'head'], parser => ({ kind: 'limit', count: parser.#isEnd ? 10 : parser.#count() })),
    ...named(['offset', 'skip'], parser => ({ kind: 'offset', count: parser.#count() })),
    sample: parser => ({ kind: 'sample', count: parser.#positive(parser.#count()) }),
    ...named(['sort', 'order'], parser => parser.#sort()),
    ...named(['first', 'last'], (parser, word) => parser.#firstOrLast(word === 'last')),
    ...named(['stats', 'stats_remote'], parser => ({ kind: 'stats', ...parser.#stats.parts(statsFunctions) })),
    uniq: parser => parser.#uniq(),
    top: parser => parser.#top(),
    extract: parser => parser.#extract(),
    extract_regexp: parser => parser.#extractRegexp(),
    unpack_json: parser => parser.#unpack('json'),
    unpack_logfmt: parser => parser.#unpack('logfmt'),
    unpack_syslog: parser => parser.#unpack('syslog'),
    unpack_words: parser => parser.#unpackWords(),
    pack_json: parser => parser.#pack('json'),
    pack_logfmt: parser => parser.#pack('logfmt'),
    format: parser => parser.#format(),
    ...named(['math', 'eval'], parser => ({ kind: 'math', assignments: parser.#math.assignments() })),
    replace: parser => parser.#replace(),
    replace_regexp: parser => parser.#replaceRegexp(),
    field_names: parser => ({ kind: 'field-names', as: parser.#resultOr('name') }),
    blocks_count: parser => ({ kind: 'blocks-count', as: parser.#resultOr('blocks_count') }),
    block_stats: () => ({ kind: 'block-stats' }),
    field_values: parser => ({ kind: 'field-values', field: parser.#fieldInParentheses(), limit: parser.#limit() }),
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
    running_stats: parser => ({ kind: 'running-stats', ...parser.#stats.parts(runningFunctions) }),
    total_stats: parser => ({ kind: 'total-stats', ...parser.#stats.parts(runningFunctions) }),
    split: parser => parser.#split(),
    set_stream_fields: parser => parser.#setStreamFields(),
    time_add: parser => parser.#timeAdd(),
  }

  /** One pipe, from its word on. Throws BadQueryError. */
  pipe(): Pipe {
    const lexer = this.#lexer
    if (lexer.isEndOfPipe) lexer.fail('a pipe was expected')
    const word = lexer.isQuoted ? '' : lexer.token.toLowerCase()
    if (Object.hasOwn(PipeParser.#readers, word)) {
      lexer.next()
      return PipeParser.#readers[word]!(this, word)
    }
    return this.#bareStats() ?? this.#bareFilter()
  }

  /** Stats functions may stand alone. */
  #bareStats(): Pipe | undefined {
    const lexer = this.#lexer
    const start = lexer.save()
    try {
      return { kind: 'stats', ...this.#stats.parts(statsFunctions) }
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      const isStats = lexer.save().at > start.at && lexer.text[start.at] === '('
      lexer.restore(start)
      if (isStats && statsFunctions.some(name => name === start.token.toLowerCase())) throw error
      return undefined
    }
  }

  /** A filter may stand alone, too. */
  #bareFilter(): Pipe {
    const lexer = this.#lexer
    const start = lexer.save()
    try {
      const filter = this.#filters.filter()
      if (!lexer.isEndOfPipe) lexer.fail('the end of the pipe was expected')
      this.hasBareFilter = true
      return { kind: 'filter', filter }
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      if (!/^[\p{L}_]+$/u.test(start.token)) throw error
      return lexer.fail(`the pipe ${JSON.stringify(start.token)} is not known`, start.from)
    }
  }

  // --- Names, counts, conditions ---

  get #isEnd(): boolean {
    return this.#lexer.isEndOfPipe
  }

  /** A field's name, which may end with a star. */
  #name(): string {
    return this.#lexer.compound('a field') || '_msg'
  }

  #field(): string {
    const { from } = this.#lexer
    const name = this.#name()
    if (name.endsWith('*')) this.#lexer.fail(`a field without a star was expected, not ${name}`, from)
    return name
  }

  #names(): string[] {
    const names = [this.#name()]
    while (this.#lexer.take(',')) names.push(this.#name())
    return names
  }

  #namesInParentheses(): string[] {
    const lexer = this.#lexer
    lexer.expect('(')
    const names: string[] = []
    while (!lexer.take(')')) {
      names.push(this.#name())
      if (!lexer.is(')')) lexer.expect(',')
    }
    return names
  }

  #fieldsInParentheses(): string[] {
    const { from } = this.#lexer
    const names = this.#namesInParentheses()
    if (names.some(name => name.endsWith('*'))) this.#lexer.fail('fields without a star were expected', from)
    return names
  }

  #fieldInParentheses(): string {
    const lexer = this.#lexer
    const isOpen = lexer.take('(')
    const field = this.#field()
    if (isOpen) lexer.expect(')')
    return field
  }

  /** Fields behind `by`, in parentheses or without; one at least. `ends`: words that may follow. */
  #by(...ends: readonly string[]): string[] {
    const lexer = this.#lexer
    lexer.take('by')
    const names = lexer.is('(') ? this.#fieldsInParentheses() : this.#isEnd || lexer.is(...ends) ? [] : this.#names()
    if (names.length === 0) lexer.fail('a field was expected')
    return names
  }

  /** A count of any notation, `inf` too. */
  #count(): number {
    const lexer = this.#lexer
    const count = unsignedOf(lexer.token)
    if (count === undefined) return lexer.fail(`${JSON.stringify(lexer.token)} is no count`)
    lexer.next()
    return count
  }

  #positive(count: number): number {
    if (count < 1) this.#lexer.fail('a number above 0 was expected', this.#lexer.from)
    return count
  }

  /** A count in decimal digits. */
  #digits(): number {
    const lexer = this.#lexer
    const count = countOf(lexer.token)
    if (count === undefined) return lexer.fail(`${JSON.stringify(lexer.token)} is no count`)
    lexer.next()
    return count
  }

  #number(what: string): number {
    const lexer = this.#lexer
    const { from } = lexer
    const value = comparableNumberOf(lexer.compound(what))
    if (Number.isNaN(value)) lexer.fail(`${what} must be a number`, from)
    return value
  }

  /** A number in front of everything else, 1 at least. */
  #leadingCount(otherwise: number): number {
    const lexer = this.#lexer
    if (!/^[-+]?(?:\.?\d|inf$)/i.test(lexer.token)) return otherwise
    const { from } = lexer
    const count = Math.floor(this.#number('a count'))
    if (count < 1) lexer.fail('a number above 0 was expected', from)
    return count
  }

  /** `limit N`; 0 where there is none. */
  #limit(): number {
    return this.#lexer.take('limit') ? this.#digits() : 0
  }

  #condition(): Filter | undefined {
    const lexer = this.#lexer
    if (!lexer.take('if')) return undefined
    lexer.expect('(')
    const filter = lexer.is(')') ? { kind: 'any' as const } : this.#filters.filter()
    lexer.expect(')')
    return filter
  }

  /** One of two flags. */
  #flags(): { keepsOriginal: boolean; skipsEmpty: boolean } {
    const keepsOriginal = this.#lexer.take('keep_original_fields')
    return { keepsOriginal, skipsEmpty: !keepsOriginal && this.#lexer.take('skip_empty_results') }
  }

  /** The field behind `from` or `at`. */
  #fieldBehind(word: 'from' | 'at', fallback = '_msg'): string {
    return this.#lexer.take(word) ? this.#field() : fallback
  }

  /** The field of results, with or without `as`. */
  #resultOr(fallback: string): string {
    if (this.#lexer.take('as')) return this.#field()
    return this.#isEnd ? fallback : this.#field()
  }

  #pattern(): PatternStep[] {
    const lexer = this.#lexer
    const { from } = lexer
    const steps = readPattern(lexer.compound('a pattern'), message => lexer.fail(message, from))
    if (steps.some(({ field }) => field.endsWith('*'))) lexer.fail('a pattern has no fields with a star', from)
    return steps
  }

  // --- Pipes ---

  #pairs(): [string, string][] {
    const lexer = this.#lexer
    const pairs: [string, string][] = []
    do {
      const from = this.#name()
      lexer.take('as')
      pairs.push([from, this.#name()])
    } while (lexer.take(','))
    return pairs
  }

  #sortKeys(): SortKey[] {
    const lexer = this.#lexer
    if (!lexer.take('by') && !lexer.is('(')) return []
    lexer.expect('(')
    const keys: SortKey[] = []
    while (!lexer.take(')')) {
      const field = this.#field()
      const isDescending = lexer.take('desc')
      if (!isDescending) lexer.take('asc')
      keys.push({ field, isDescending })
      if (!lexer.is(')')) lexer.expect(',')
    }
    return keys
  }

  #partition(): string[] {
    this.#lexer.take('by')
    return this.#fieldsInParentheses()
  }

  #rank(): string {
    const lexer = this.#lexer
    if (lexer.take('as') && lexer.is('', '|', ')', '(')) lexer.fail('a field was expected')
    return this.#isEnd || lexer.is('limit') ? 'rank' : this.#field()
  }

  #sort(): Pipe {
    const lexer = this.#lexer
    const pipe: Pipe & { kind: 'sort' } = {
      kind: 'sort',
      keys: this.#sortKeys(),
      isDescending: false,
      offset: 0,
      limit: 0,
      rank: undefined,
      partitionBy: [],
    }
    pipe.isDescending = lexer.take('desc')
    if (!pipe.isDescending) lexer.take('asc')
    for (;;) {
      const { from } = lexer
      if (lexer.take('offset')) {
        if (pipe.offset > 0) lexer.fail('there is an "offset" already', from)
        pipe.offset = this.#digits()
      } else if (lexer.take('limit')) {
        if (pipe.limit > 0) lexer.fail('there is a "limit" already', from)
        pipe.limit = this.#digits()
      } else if (lexer.take('rank')) pipe.rank = this.#rank()
      else if (lexer.take('partition')) {
        if (pipe.partitionBy.length > 0) lexer.fail('there is a "partition by" already', from)
        pipe.partitionBy = this.#partition()
      } else break
    }
    if (pipe.partitionBy.length > 0 && pipe.limit === 0) lexer.fail('"partition by" needs a "limit"')
    return pipe
  }

  #firstOrLast(isLast: boolean): Pipe {
    const lexer = this.#lexer
    const limit = this.#isEnd || lexer.is('by', 'partition', 'rank', '(') ? 1 : this.#positive(this.#digits())
    const keys = this.#sortKeys()
    const partitionBy = lexer.take('partition') ? this.#partition() : []
    const rank = lexer.take('rank') ? this.#rank() : undefined
    return { kind: 'sort', keys, isDescending: isLast, offset: 0, limit, rank, partitionBy }
  }

  #uniq(): Pipe {
    const lexer = this.#lexer
    const by = this.#by('with', 'hits', 'limit')
    if (lexer.take('with') && !lexer.is('hits')) lexer.fail('"hits" was expected')
    const hits = lexer.take('hits') ? notIn('hits', by) : undefined
    return { kind: 'uniq', by, hits, limit: this.#limit() }
  }

  #top(): Pipe {
    const lexer = this.#lexer
    const count = this.#leadingCount(10)
    const by = this.#by('hits', 'rank')
    let hits = 'hits'
    let rank: string | undefined
    for (;;) {
      if (lexer.take('hits')) {
        lexer.take('as')
        hits = lexer.compound('a field')
      } else if (lexer.take('rank')) rank = notIn(this.#rank(), by)
      else return { kind: 'top', count, by, hits: notIn(hits, by), rank }
    }
  }

  #extract(): Pipe {
    const lexer = this.#lexer
    const condition = this.#condition()
    const { from: at } = lexer
    const steps = this.#pattern()
    for (const [i, { prefix }] of steps.entries())
      if (i > 0 && prefix === '') lexer.fail('two fields of a pattern need a text between them', at)
    if (steps.every(({ field }) => field === '')) lexer.fail('a pattern needs a field such as <name>', at)
    const from = this.#fieldBehind('from')
    return { kind: 'extract', steps, from, condition, ...this.#flags() }
  }

  #extractRegexp(): Pipe {
    const lexer = this.#lexer
    const condition = this.#condition()
    const { from: at } = lexer
    const source = lexer.compound('a regular expression')
    lexer.checkRegex(source, at)
    if (Object.keys(compileRe2(source).namedGroups()).length === 0)
      lexer.fail('the expression needs a group with a name: (?P<name>...)', at)
    const from = this.#fieldBehind('from')
    return { kind: 'extract-regexp', source, from, condition, ...this.#flags() }
  }

  #unpack(format: 'json' | 'logfmt' | 'syslog'): Pipe {
    const lexer = this.#lexer
    const condition = this.#condition()
    const words = ['fields', 'offset', 'result_prefix', 'keep_original_fields', 'skip_empty_results']
    let from = '_msg'
    if (!this.#isEnd && !lexer.is(...words)) {
      lexer.take('from')
      from = this.#field()
    }
    const fields = format !== 'syslog' && lexer.take('fields') ? this.#namesInParentheses() : []
    const offsetNs = format === 'syslog' && lexer.take('offset') ? this.#duration() : 0
    const prefix = lexer.take('result_prefix') ? lexer.compound('a prefix') : ''
    return { kind: 'unpack', format, from, fields, prefix, offsetNs, condition, ...this.#flags() }
  }

  #unpackWords(): Pipe {
    const lexer = this.#lexer
    let from = '_msg'
    if (!this.#isEnd && !lexer.is('drop_duplicates', 'as')) {
      lexer.take('from')
      from = this.#field()
    }
    const as = lexer.is('drop_duplicates') ? from : this.#resultOr(from)
    return { kind: 'unpack-words', from, as, dropsDuplicates: lexer.take('drop_duplicates') }
  }

  #pack(format: 'json' | 'logfmt'): Pipe {
    const fields = this.#lexer.take('fields') ? this.#namesInParentheses() : []
    return { kind: 'pack', format, fields: fields.includes('*') ? [] : fields, as: this.#resultOr('_msg') }
  }

  #format(): Pipe {
    const condition = this.#condition()
    const steps = this.#pattern()
    const as = this.#lexer.take('as') ? this.#field() : '_msg'
    return { kind: 'format', steps, as, condition, ...this.#flags() }
  }

  #replace(): Pipe {
    const lexer = this.#lexer
    const condition = this.#condition()
    lexer.expect('(')
    const old = lexer.compound('what to replace')
    lexer.expect(',')
    const fresh = lexer.compound('what to put in its place')
    lexer.expect(')')
    return { kind: 'replace', old, fresh, field: this.#fieldBehind('at'), limit: this.#limit(), condition }
  }

  #replaceRegexp(): Pipe {
    const lexer = this.#lexer
    const condition = this.#condition()
    lexer.expect('(')
    const { from } = lexer
    const source = lexer.compound('a regular expression')
    lexer.checkRegex(source, from)
    lexer.expect(',')
    const fresh = lexer.compound('what to put in its place')
    lexer.expect(')')
    return { kind: 'replace-regexp', source, fresh, field: this.#fieldBehind('at'), limit: this.#limit(), condition }
  }

  #facets(): Pipe {
    const lexer = this.#lexer
    const pipe = {
      kind: 'facets' as const,
      limit: this.#leadingCount(10),
      maxValues: 1000,
      maxLength: 128,
      keepsConstant: false,
    }
    for (;;) {
      const { from } = lexer
      if (lexer.take('max_values_per_field')) pipe.maxValues = Math.floor(this.#number('a count'))
      else if (lexer.take('max_value_len')) pipe.maxLength = Math.floor(this.#number('a length'))
      else if (lexer.take('keep_const_fields')) pipe.keepsConstant = true
      else return pipe
      if (pipe.maxValues < 1 || pipe.maxLength < 1) lexer.fail('a number above 0 was expected', from)
    }
  }

  #unroll(): Pipe {
    const condition = this.#condition()
    const fields = this.#by()
    if (fields.includes('*')) this.#lexer.fail('fields without a star were expected')
    return { kind: 'unroll', fields, condition }
  }

  #ofField(kind: 'length' | 'hash' | 'json-array-length'): Pipe {
    const field = this.#fieldInParentheses()
    return { kind, field, as: this.#resultOr('_msg') }
  }

  #collapseNumbers(): Pipe {
    const condition = this.#condition()
    const field = this.#fieldBehind('at')
    return { kind: 'collapse-numbers', field, isPretty: this.#lexer.take('prettify'), condition }
  }

  #join(): Pipe {
    const lexer = this.#lexer
    lexer.take('by', 'on')
    const by = this.#fieldsInParentheses()
    if (by.length === 0) lexer.fail('a field was expected')
    const query = this.#subquery()
    const isInner = lexer.take('inner')
    return { kind: 'join', by, query, isInner, prefix: lexer.take('prefix') ? lexer.compound('a prefix') : '' }
  }

  #subquery(): LogsqlQuery {
    this.#lexer.expect('(')
    const query = this.#query()
    this.#lexer.expect(')')
    return query
  }

  #streamContext(): Pipe {
    const lexer = this.#lexer
    const pipe = { kind: 'stream-context' as const, before: 0, after: 0, windowMs: 3_600_000 }
    let isSaid = false
    for (;;) {
      const { from } = lexer
      if (lexer.take('before')) pipe.before = Math.floor(this.#number('a count'))
      else if (lexer.take('after')) pipe.after = Math.floor(this.#number('a count'))
      else break
      if (pipe.before < 0 || pipe.after < 0) lexer.fail('a count of 0 or more was expected', from)
      isSaid = true
    }
    if (!isSaid) lexer.fail('"before N" or "after N" was expected')
    if (lexer.take('time_window')) pipe.windowMs = this.#duration() / 1e6
    return pipe
  }

  /** Nanoseconds. */
  #duration(): number {
    const lexer = this.#lexer
    const { from } = lexer
    const ns = durationOf(lexer.compound('a duration'))
    if (Number.isNaN(ns)) lexer.fail('a duration such as 5m was expected', from)
    return ns
  }

  #split(): Pipe {
    const separator = this.#lexer.compound('a separator')
    const field = this.#fieldBehind('from')
    return { kind: 'split', separator, field, as: this.#lexer.take('as') ? this.#field() : field }
  }

  #setStreamFields(): Pipe {
    const condition = this.#condition()
    return { kind: 'set-stream-fields', names: this.#names(), condition }
  }

  #timeAdd(): Pipe {
    return { kind: 'time-add', ns: this.#duration(), field: this.#fieldBehind('at', '_time') }
  }
}

/** A name that is none of some: an s is added until it is. */
function notIn(name: string, names: readonly string[]): string {
  let free = name
  while (names.includes(free)) free += 's'
  return free
}
