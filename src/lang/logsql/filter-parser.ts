/** LogsQL's filters. Source: docs/logs.md (the VictoriaLogs part). */
import type { LabelMatch } from '#lang/logql/ast.ts'
import { BadQueryError } from '#core/errors.ts'
import type { Filter, LogsqlQuery, Pipe } from './ast.ts'
import type { QueryLexer } from './lexer.ts'
import { comparableNumberOf, durationOf, ipv4, sizeOf } from './numbers.ts'
import { isPipeWord, quotedWhereNeeded } from './shown.ts'
import { TimeFilterParser } from './time-filter-parser.ts'

const message = '_msg'
/** What a stream filter's label and value end at. */
const labelEnds = ['=', '!=', '=~', '!~', ',', '{', '}', "'", '"', '`', '']
const labelValueEnds = [',', '{', '}', '(', "'", '"', '`', '']
const phraseEnds = ['*', ',', '(', ')', '[', ']', '|', '']
const openers = new Set(['', ':', '(', '!', '-', 'not'])

type Call = (parser: FilterParser, field: string, args: string[], at: number, name: string) => Filter

/** Functions that take a list of texts. */
const calls: Readonly<Record<string, Call>> = {
  eq_field: (parser, field, args, at) => parser.sameField(field, '=', args, at),
  le_field: (parser, field, args, at) => parser.sameField(field, '<=', args, at),
  lt_field: (parser, field, args, at) => parser.sameField(field, '<', args, at),
  ipv4_range: (parser, field, args, at) => parser.addressRange(field, args, at),
  len_range: (parser, field, args, at) => parser.lengthRange(field, args, at),
  re: (parser, field, args, at) => parser.regex(field, parser.onlyOf(args, at, 're'), at),
  seq: (_parser, field, values) => ({ kind: 'sequence', field, values }),
  string_range: (parser, field, args, at) => {
    const [from, to] = parser.twoOf(args, at)
    const shown = `string_range(${quotedWhereNeeded(from)}, ${quotedWhereNeeded(to)})`
    return { kind: 'string-range', field, from, to, shown }
  },
  value_type: (parser, field, args, at) => ({
    kind: 'value-type',
    field,
    type: parser.onlyOf(args, at, 'value_type'),
  }),
}
const lists = { in: 'in', contains_all: 'contains-all', contains_any: 'contains-any' } as const

export class FilterParser {
  readonly lexer: QueryLexer
  readonly #times: TimeFilterParser
  readonly #query: () => LogsqlQuery

  /** Times that are relative count from `nowNs`. `query` reads a whole query, up to what ends it. */
  constructor(lexer: QueryLexer, nowNs: bigint, query: () => LogsqlQuery) {
    this.lexer = lexer
    this.#query = query
    this.#times = new TimeFilterParser(lexer, nowNs)
  }

  /** A whole filter, up to what ends a pipe. */
  filter(): Filter {
    const { lexer } = this
    if (lexer.isEndOfPipe) lexer.fail('a filter was expected')
    const first = lexer.raw.toLowerCase()
    if (isPipeWord(first))
      lexer.fail(`${JSON.stringify(lexer.raw)} begins a pipe: quote it to search for it, or write "*" in front`)
    return this.#or('')
  }

  /** Words without a field look into `field`, '' for messages. */
  #or(field: string): Filter {
    return this.lexer.size.deeper(this.lexer.from, () => this.#alternatives(field))
  }

  #alternatives(field: string): Filter {
    const { lexer } = this
    const parts = [this.#and(field)]
    while (!lexer.isEndOfPipe) {
      if (lexer.take('or') && lexer.isEnd) lexer.fail('a filter was expected behind "or"')
      parts.push(this.#and(field))
    }
    return parts.length === 1 ? parts[0]! : { kind: 'or', parts }
  }

  #and(field: string): Filter {
    const { lexer } = this
    const parts = [this.#one(field)]
    while (!lexer.is('or', '|', ')', '')) {
      if (lexer.take('and') && lexer.isEnd) lexer.fail('a filter was expected behind "and"')
      parts.push(this.#one(field))
    }
    return parts.length === 1 ? parts[0]! : { kind: 'and', parts }
  }

  /** A filter of one field, or what stands in parentheses. */
  #one(field: string): Filter {
    const { lexer } = this
    lexer.size.part(lexer.from)
    const name = field === '' ? message : field
    if (lexer.is('{')) {
      if (field !== '' && field !== '_stream') lexer.fail(`a stream filter can't be used for the field ${field}`)
      return this.#stream()
    }
    if (lexer.take(':')) {
      if (lexer.isEnd) lexer.fail('a filter was expected behind ":"')
      return this.#deeper(field)
    }
    if (lexer.take('*')) return this.#star(name)
    if (lexer.is('(')) return this.#parenthesis(field)
    if (lexer.take('>')) return this.#more(name)
    if (lexer.take('<')) return this.#less(name)
    if (lexer.take('=')) return this.#exact(name)
    if (lexer.take('!=')) return { kind: 'not', inner: this.#exact(name) }
    if (lexer.is('~')) return this.#tilde(name)
    if (lexer.is('!~')) return { kind: 'not', inner: this.#tilde(name) }
    if (lexer.is('not', '!', '-')) return this.#not(field)
    return this.#function(field, name) ?? this.#word(field)
  }

  #deeper(field: string): Filter {
    return this.lexer.size.deeper(this.lexer.from, () => this.#one(field))
  }

  #star(field: string): Filter {
    const { lexer } = this
    if (lexer.is(':')) lexer.fail('a field has a whole name, without a star')
    const inner = this.#betweenStars()
    if (inner !== undefined) return { kind: 'substring', field, text: inner }
    return field === message ? { kind: 'any' } : { kind: 'prefix', field, text: '', ignoresCase: false }
  }

  /** A text directly between two stars is searched for wherever it stands. */
  #betweenStars(): string | undefined {
    const { lexer } = this
    if (lexer.isSpaced || (!lexer.isQuoted && !/^[\p{L}\p{Nd}_.]+$/u.test(lexer.token))) return undefined
    const start = lexer.save()
    const { token } = lexer
    lexer.next()
    if (!lexer.isSpaced && lexer.take('*')) return token
    lexer.restore(start)
    return undefined
  }

  #parenthesis(field: string): Filter {
    const { lexer } = this
    if (!lexer.isSpaced && !openers.has(lexer.before.toLowerCase()))
      lexer.fail(`white space is missing behind ${JSON.stringify(lexer.before)}`)
    lexer.next()
    if (lexer.isEnd) lexer.fail('a filter was expected behind "("')
    const inner = this.#or(field)
    lexer.expect(')')
    return inner
  }

  #not(field: string): Filter {
    const { lexer } = this
    lexer.next()
    if (lexer.isEnd) lexer.fail('a filter was expected')
    const inner = this.#deeper(field)
    return inner.kind === 'not' ? inner.inner : { kind: 'not', inner }
  }

  // --- Words ---

  #word(field: string): Filter {
    const { lexer } = this
    lexer.checkQuote()
    if (lexer.is(...phraseEnds)) lexer.fail('a word, a phrase or a filter was expected')
    const { token, raw } = lexer
    lexer.next()
    const rest = lexer.rest(field === '' ? [...phraseEnds, ':'] : phraseEnds)
    return this.#phrase(rest === '' ? token : raw + rest, field)
  }

  /** A phrase that was read: it is searched for, or it is the name of a field. */
  #phrase(phrase: string, field: string): Filter {
    const { lexer } = this
    if (field !== '' || !lexer.is(':')) {
      const name = field === '' ? message : field
      if (!lexer.is('*') || lexer.isSpaced) return { kind: 'phrase', field: name, text: phrase, ignoresCase: false }
      lexer.next()
      if (lexer.is(':')) lexer.fail('a field has a whole name, without a star')
      return { kind: 'prefix', field: name, text: phrase, ignoresCase: false }
    }
    lexer.next()
    if (lexer.isEnd) lexer.fail(`a filter was expected behind the field ${JSON.stringify(phrase)}`)
    switch (phrase) {
      case '_time':
        return this.#times.filter()
      case '_stream_id':
        return this.#streamId()
      case '_stream':
        return this.#stream()
      default:
        return this.#deeper(phrase === '' ? message : phrase)
    }
  }

  /** A word of the language that no parenthesis follows is a word to search for. */
  #plainWord(word: string, field: string): Filter {
    const rest = this.lexer.rest(field === '' ? [...phraseEnds, ':'] : phraseEnds)
    return this.#phrase(word + rest, field)
  }

  // --- Functions ---

  #function(field: string, name: string): Filter | undefined {
    const { lexer } = this
    if (lexer.isQuoted) return undefined
    const word = lexer.token.toLowerCase()
    if (Object.hasOwn(lists, word)) return this.#among(field, name, word as keyof typeof lists)
    if (word === 'exact' || word === 'i') return this.#maybePrefix(field, name, word)
    if (word === 'range') return this.#range(field, name)
    if (!Object.hasOwn(calls, word)) return undefined
    const { token, from } = lexer
    lexer.next()
    if (!lexer.is('(')) return this.#plainWord(token, field)
    return calls[word]!(this, name, this.#arguments(), from, word)
  }

  #maybePrefix(field: string, name: string, word: 'exact' | 'i'): Filter {
    const { lexer } = this
    const { token } = lexer
    lexer.next()
    if (!lexer.take('(')) return this.#plainWord(token, field)
    if (lexer.isEnd) lexer.fail('a text was expected')
    const text = lexer.argument()
    const isPrefix = !lexer.isSpaced && lexer.take('*')
    lexer.expect(')')
    if (word === 'exact') return { kind: isPrefix ? 'exact-prefix' : 'exact', field: name, text }
    return { kind: isPrefix ? 'prefix' : 'phrase', field: name, text, ignoresCase: true }
  }

  /** The arguments of a call, in their parentheses. */
  #arguments(): string[] {
    const { lexer } = this
    lexer.expect('(')
    const args: string[] = []
    while (!lexer.is(')')) {
      if (lexer.is(',', '(')) lexer.fail('a value was expected')
      lexer.checkQuote()
      const arg = lexer.argument()
      args.push(arg === '' && lexer.take('*') ? '*' : arg)
      if (lexer.is(')')) break
      lexer.expect(',')
      if (lexer.isEnd) lexer.fail('a value was expected')
    }
    lexer.next()
    return args
  }

  /** A list of values, or a query whose results are the values. */
  #among(field: string, name: string, word: keyof typeof lists): Filter {
    const { lexer } = this
    const { token } = lexer
    lexer.next()
    if (!lexer.is('(')) return this.#plainWord(token, field)
    const kind = lists[word]
    const values = this.#valuesOrQuery()
    if (!Array.isArray(values))
      return values.from === '*'
        ? { kind: 'any' }
        : { kind: 'in-query', field: name, as: kind, from: values.from, query: values.query }
    return values.length === 1 && values[0] === '*' ? { kind: 'any' } : { kind, field: name, values }
  }

  /** `from`: the field of the query's results, or a star for a query of everything. */
  #valuesOrQuery(): string[] | { query: LogsqlQuery; from: string } {
    const { lexer } = this
    const start = lexer.save()
    try {
      return this.#arguments()
    } catch (error) {
      if (!(error instanceof BadQueryError)) throw error
      lexer.restore(start)
      return this.#queryOr(error)
    }
  }

  /** What is no query either is refused as a list. */
  #queryOr(error: BadQueryError): { query: LogsqlQuery; from: string } {
    const { lexer } = this
    lexer.expect('(')
    const { from: at } = lexer
    let query: LogsqlQuery
    try {
      query = this.#query()
    } catch {
      throw error
    }
    lexer.expect(')')
    if (query.pipes.length === 0 && query.filter.kind === 'any') return { query, from: '*' }
    const from = fieldOfResults(query.pipes.at(-1))
    if (from === undefined)
      return lexer.fail('a query for values must end with "fields" or "uniq by" and one field', at)
    return { query, from }
  }

  onlyOf(args: readonly string[], at: number, name: string): string {
    if (args.length !== 1) this.lexer.fail(`${name}() takes one argument, ${args.length} were given`, at)
    return args[0]!
  }

  twoOf(args: readonly string[], at: number): [string, string] {
    if (args.length !== 2) this.lexer.fail(`two arguments were expected, ${args.length} were given`, at)
    return [args[0]!, args[1]!]
  }

  sameField(field: string, op: '=' | '<' | '<=', args: readonly string[], at: number): Filter {
    return { kind: 'same-field', field, other: this.onlyOf(args, at, 'a comparison of fields') || message, op }
  }

  lengthRange(field: string, args: readonly string[], at: number): Filter {
    const [from, to] = this.twoOf(args, at).map(text => {
      const length = unsignedOf(text)
      return length ?? this.lexer.fail(`${JSON.stringify(text)} is no length`, at)
    })
    return { kind: 'length', field, from: from!, to: to!, shown: `len_range(${args.join(', ')})` }
  }

  addressRange(field: string, args: readonly string[], at: number): Filter {
    if (args.length === 1) {
      const [address = '', bits = '32', ...more] = args[0]!.split('/')
      const from = ipv4(address)
      if (from === undefined || more.length > 0 || !/^(?:0|[1-9]\d?)$/.test(bits) || Number(bits) > 32)
        return this.lexer.fail(`${JSON.stringify(args[0])} is no IPv4 address and no IPv4 network`, at)
      const size = 2 ** (32 - Number(bits))
      const start = Math.floor(from / size) * size
      return { kind: 'ipv4', field, from: start, to: start + size - 1 }
    }
    const [from, to] = this.twoOf(args, at).map(text => {
      const address = ipv4(text)
      return address ?? this.lexer.fail(`${JSON.stringify(text)} is no IPv4 address`, at)
    })
    return { kind: 'ipv4', field, from: from!, to: to! }
  }

  // --- Comparisons ---

  #tilde(field: string): Filter {
    const { lexer } = this
    lexer.next()
    const { from } = lexer
    return this.regex(field, lexer.compound('a regular expression'), from)
  }

  /** A dot matches newlines too, unless the expression says otherwise. */
  regex(field: string, source: string, at: number): Filter {
    if (source === '' || source === '.*') return { kind: 'any' }
    if (source === '.+') return { kind: 'prefix', field, text: '', ignoresCase: false }
    this.lexer.checkRegex(source, at)
    return { kind: 'regex', field, source }
  }

  #exact(field: string): Filter {
    const { lexer } = this
    lexer.checkQuote()
    const text = lexer.argument()
    if (lexer.isSpaced || !lexer.is('*')) return { kind: 'exact', field, text }
    lexer.next()
    return { kind: 'exact-prefix', field, text }
  }

  #more(field: string): Filter {
    const isOpen = !this.lexer.take('=')
    const text = this.lexer.compound('a value')
    const shown = `${isOpen ? '>' : '>='}${quotedWhereNeeded(text)}`
    const value = boundOf(text)
    if (value === undefined)
      return { kind: 'string-range', field, from: isOpen ? `${text}\0` : text, to: undefined, shown }
    return {
      kind: 'range',
      field,
      from: { value, text, isOpen },
      to: { value: Infinity, text: 'inf', isOpen: false },
      shown,
    }
  }

  #less(field: string): Filter {
    const isOpen = !this.lexer.take('=')
    const text = this.lexer.compound('a value')
    const shown = `${isOpen ? '<' : '<='}${quotedWhereNeeded(text)}`
    const value = boundOf(text)
    if (value === undefined) return { kind: 'string-range', field, from: '', to: isOpen ? text : `${text}\0`, shown }
    return {
      kind: 'range',
      field,
      from: { value: -Infinity, text: '-inf', isOpen: false },
      to: { value, text, isOpen },
      shown,
    }
  }

  #range(field: string, name: string): Filter {
    const { lexer } = this
    const { token } = lexer
    lexer.next()
    if (!lexer.is('(', '[')) return this.#plainWord(token, field)
    const fromOpen = lexer.is('(')
    lexer.next()
    const from = this.#bound(fromOpen)
    lexer.expect(',')
    const to = this.#bound(false)
    if (!lexer.is(')', ']')) lexer.fail('")" or "]" was expected')
    const toOpen = lexer.is(')')
    lexer.next()
    const shown = `range${fromOpen ? '(' : '['}${from.text}, ${to.text}${toOpen ? ')' : ']'}`
    return { kind: 'range', field: name, from, to: { ...to, isOpen: toOpen }, shown }
  }

  #bound(isOpen: boolean): { value: number; text: string; isOpen: boolean } {
    const at = this.lexer.from
    const text = this.lexer.compound('a number')
    const value = boundOf(text)
    if (value === undefined) return this.lexer.fail(`${JSON.stringify(text)} is no number`, at)
    return { value, text, isOpen }
  }

  // --- Streams ---

  #streamId(): Filter {
    const { lexer } = this
    const { from } = lexer
    if (!lexer.is('in')) return { kind: 'stream-id', ids: [this.#checkedId(lexer.compound('a stream id'), from)] }
    lexer.next()
    const values = this.#valuesOrQuery()
    if (Array.isArray(values)) return { kind: 'stream-id', ids: values.map(id => this.#checkedId(id, from)) }
    if (values.from === '*') return { kind: 'any' }
    return { kind: 'in-query', field: '_stream_id', as: 'in', from: values.from, query: values.query }
  }

  #checkedId(id: string, at: number): string {
    if (!/^[0-9a-fA-F]{48}$/.test(id)) this.lexer.fail('a stream id of 48 hexadecimal digits was expected', at)
    return id.toLowerCase()
  }

  #stream(): Filter {
    const { lexer } = this
    lexer.expect('{')
    if (lexer.isEnd) lexer.fail('"}" was expected')
    const alternatives: LabelMatch[][] = []
    for (;;) {
      alternatives.push(this.#labels())
      if (lexer.take('}')) return { kind: 'stream', alternatives }
      lexer.expect('or')
      if (lexer.is('}', '')) lexer.fail('a label was expected behind "or"')
    }
  }

  #labels(): LabelMatch[] {
    const { lexer } = this
    const matches: LabelMatch[] = []
    while (!lexer.is('}')) {
      matches.push(this.#label())
      if (lexer.is('or', '}')) break
      lexer.expect(',')
      if (lexer.isEnd) lexer.fail('a label was expected')
    }
    return matches
  }

  #label(): LabelMatch {
    const { lexer } = this
    const name = lexer.compound('a label', labelEnds)
    const { from } = lexer
    if (lexer.is('in', 'not_in')) {
      const kind = lexer.is('in') ? '=~' : '!~'
      lexer.next()
      const values = this.#arguments()
      const escaped = values.map(value => value.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&'))
      return { kind, name, value: values.length === 1 && values[0] === '*' ? '.*' : escaped.join('|') }
    }
    if (!lexer.is('=', '!=', '=~', '!~')) lexer.fail('one of = != =~ !~ in not_in was expected')
    const kind = lexer.token as LabelMatch['kind']
    lexer.next()
    const value = lexer.compound('a value', labelValueEnds)
    if (kind === '=~' || kind === '!~') lexer.checkRegex(value, from)
    return { kind, name, value }
  }
}

/** A number with or without a unit, a time or an address; undefined for anything else. */
function boundOf(text: string): number | undefined {
  const value = comparableNumberOf(text)
  return Number.isNaN(value) && text.toLowerCase() !== 'nan' ? undefined : value
}

/** The one field that the last pipe of a query for values leaves. */
function fieldOfResults(last: Pipe | undefined): string | undefined {
  const names = last?.kind === 'fields' ? last.names : last?.kind === 'uniq' ? last.by : []
  return names.length === 1 && !names[0]!.endsWith('*') ? names[0] : undefined
}

/** Lengths and counts: whole numbers of any base, sizes, durations, `inf`; undefined for anything else. */
export function unsignedOf(text: string): number | undefined {
  if (/^\+?inf$/i.test(text)) return Infinity
  if (/^(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|\d+)$/.test(text))
    return Number(/^0\d/.test(text) ? `0o${text.slice(1)}` : text)
  const value = Number.isNaN(sizeOf(text)) ? durationOf(text) : sizeOf(text)
  return value >= 0 ? value : undefined
}
