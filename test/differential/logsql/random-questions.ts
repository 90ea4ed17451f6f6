/** Queries of LogsQL that follow from a seed: filters, pipes and functions in combinations that nobody wrote. */
import type { Question } from '../question.ts'
import { Chance } from '../chance.ts'
import { withMoments } from './questions.ts'

const streams: readonly [selector: string, fields: readonly string[]][] = [
  [
    'app:=web',
    [
      'level',
      'method',
      'path',
      'status',
      'took',
      'size',
      'bytes',
      'ratio',
      'ip',
      'user',
      'trace',
      'signed',
      'big',
      'due',
    ],
  ],
  ['app:=texts', ['_msg', 'n', 'parity']],
  ['app:=odd', ['n', 'v', 'w', 'u', 't', 's', 'r', '"odd name"', 'a.b', 'nested.x.y', 'nested.w', '"e=f"']],
  ['app:=series', ['value', 'float', 'label', 'group', 'took', 'sparse', 'host']],
]
const words = [
  'error',
  'GET',
  'POST',
  'api',
  'items',
  '200',
  '404',
  'line',
  'Err',
  'größe',
  'foo',
  'info',
  'x',
  '5',
  'tick',
]
const texts = [
  'an error',
  'GET /',
  '/api/v1',
  'user_1',
  '10.0',
  'status=404',
  'hello world',
  '',
  'web',
  'g1',
  'same',
  '1h30m',
]
const regexps = [
  'err.*',
  '^G',
  'o+$',
  '(?i)ERROR',
  '[0-9]{3}',
  '.',
  'a|e',
  '',
  'node-[12]',
  '^$',
  'x.z',
  '\\\\d+ms',
  'ü',
]
const numbers = [
  '0',
  '1',
  '5',
  '10',
  '200',
  '404',
  '-3',
  '0.5',
  '1000',
  '15ms',
  '1h',
  '10KB',
  '1.5',
  '1e3',
  'abc',
  '2KiB',
]
const times = [
  '@30m@',
  '@3h@',
  '@1h@',
  '@50m@',
  '@24m@',
  '@40m.min@',
  '@30m+1ns@',
  '@2h.hour@',
  '@30m.unix@',
  '@45m.ms@',
]

const functionsOfFields = ['sum', 'avg', 'min', 'max', 'sum_len', 'count_uniq', 'count_empty', 'count_uniq_hash']

const jsonOptions = ['', ' fields (a, b, c.d)', ' result_prefix p_', ' fields (a, b) result_prefix p_']
const logfmtOptions = ['', ' fields (level, took, a, user)', ' keep_original_fields']

class Maker {
  readonly #chance: Chance
  #fields: readonly string[] = []

  constructor(seed: number) {
    this.#chance = new Chance(seed)
  }

  query(): string {
    const chance = this.#chance
    const [selector, fields] = chance.one(streams)
    this.#fields = fields
    const filter = chance.is(55) ? ` ${this.#filters(2)}` : ''
    const pipes = chance.joined(() => `| ${this.#pipe()}`, 0, 3, ' ')
    return `${selector}${filter} ${pipes} ${this.#end()}`.replaceAll(/ +/g, ' ').trim()
  }

  /** The rows in an order, and few of their fields: what both servers define. */
  #end(): string {
    const chance = this.#chance
    return chance.made([
      () => `| stats ${this.#groups()}${chance.joined(() => this.#function(), 1, 3)}`,
      () => `| fields ${chance.joined(() => this.#field(), 1, 3)}`,
      () => `| count() rows, count_uniq(${this.#field()}) kinds`,
      () => `| uniq by (${chance.joined(() => this.#field(), 1, 2)})${chance.maybe(40, () => ' with hits')}`,
      () => `| top 5 by (${this.#field()}) | fields hits`,
      () => '',
    ])
  }

  #field(): string {
    return this.#chance.is(12)
      ? this.#chance.one(['_msg', '_time', '_stream', 'nosuch', 'app', 'host'])
      : this.#chance.one(this.#fields)
  }

  #regexp(): string {
    return JSON.stringify(this.#chance.one(regexps).replaceAll('\\\\', '\\'))
  }

  #quoted(text: string): string {
    return this.#chance.one([JSON.stringify(text), `'${text.replaceAll(/['\\]/g, '')}'`, `\`${text}\``])
  }

  #word(): string {
    return this.#chance.is(60) ? this.#chance.one(words) : this.#quoted(this.#chance.one(texts))
  }

  #filters(depth: number): string {
    const chance = this.#chance
    if (depth === 0 || chance.is(45)) return this.#filter()
    const joined = chance.joined(
      () => this.#filters(depth - 1),
      2,
      3,
      chance.one([' ', ' and ', ' or ', ' AND ', ' OR ']),
    )
    return chance.is(30) ? `(${joined})` : chance.is(15) ? `${chance.one(['!', 'not ', '-'])}(${joined})` : joined
  }

  #filter(): string {
    const chance = this.#chance
    const negation = chance.maybe(18, () => chance.one(['!', '-', 'not ']))
    const field = chance.maybe(75, () => `${this.#field()}:`)
    return negation + field + this.#condition(field)
  }

  #condition(field: string): string {
    const chance = this.#chance
    const word = (): string => this.#word()
    const number = (): string => chance.one(numbers)
    const [open, close] = [chance.one(['[', '(']), chance.one([']', ')'])]
    return chance.made([
      word,
      word,
      () => `${word()}*`,
      () => `=${word()}`,
      () => `=${word()}*`,
      () => `!=${word()}`,
      () => `i(${word()}${chance.maybe(30, () => '*')})`,
      () => `~${JSON.stringify(chance.one(regexps).replaceAll('\\\\', '\\'))}`,
      () => `!~${JSON.stringify(chance.one(regexps).replaceAll('\\\\', '\\'))}`,
      () => `${chance.one(['>', '>=', '<', '<='])}${number()}`,
      () => `range${open}${number()}, ${number()}${close}`,
      () => `in(${chance.joined(word, 1, 3)})`,
      () => `contains_any(${chance.joined(word, 1, 3)})`,
      () => `contains_all(${chance.joined(word, 1, 2)})`,
      () => `seq(${chance.joined(word, 1, 3)})`,
      () => `len_range(${chance.below(5)}, ${chance.one(['5', '10', 'inf', '20'])})`,
      () => `string_range(${word()}, ${word()})`,
      () => `ipv4_range(${chance.one(['10.0.0.0/8', '10.1.0.0, 10.1.255.255', '192.168.0.0/16', '10.0.0.10'])})`,
      () => `eq_field(${this.#field()})`,
      () => `lt_field(${this.#field()})`,
      () => `le_field(${this.#field()})`,
      () => '*',
      () => '""',
      () => `(${chance.joined(word, 1, 3, chance.one([' or ', ' ', ' !']))})`,
      () => `in(${chance.one(streams)[0]} | fields ${this.#field()})`,
      () =>
        `value_type(${chance.one(['string', 'uint8', 'ipv4', 'dict'])}) or ${word()}`.replace(
          /^value_type\([^)]*\) or /,
          '',
        ),
      () =>
        `pattern_match(${JSON.stringify(chance.one(['<N>ms', 'GET <W>', '<IP4>', 'status=<N>', 'tick <N>', '<N>']))})`,
      () => (field === '' ? `_time:${this.#time()}` : word()),
    ])
  }

  #time(): string {
    const chance = this.#chance
    const time = (): string => chance.one(times)
    const [open, close] = [chance.one(['[', '(']), chance.one([']', ')'])]
    return chance.made([
      () => `${open}${time()}, ${time()}${close}`,
      () => `${chance.one(['>', '>=', '<', '<='])}${time()}`,
      time,
      () => `${open}${time()}, ${time()}${close} offset ${chance.one(['1m', '-30s', '1h', '500ms'])}`,
    ])
  }

  #groups(): string {
    const chance = this.#chance
    if (chance.is(35)) return ''
    return `by (${chance.joined(() => this.#group(), 1, 2)}) `
  }

  #group(): string {
    const chance = this.#chance
    if (chance.is(55)) return this.#field()
    return chance.made([
      () => `_time:${chance.one(['1m', '1h', 'day', '10s', '5m offset 1m', 'hour', 'week', 'month', '1d'])}`,
      () => `${this.#field()}:${chance.one(['10', '100', '0.5', '1KB', '10ms', '1h', '/24', '7', '5 offset 2'])}`,
    ])
  }

  #function(): string {
    const chance = this.#chance
    const field = (): string => this.#field()
    const condition = chance.maybe(15, () => ` if (${this.#filters(1)})`)
    const name = `x${chance.below(1000)}`
    const call = chance.made([
      () => 'count()',
      () => `count(${chance.joined(field, 1, 2)})`,
      () => `${chance.one(functionsOfFields)}(${field()})`,
      () => `${chance.one(['sum', 'min', 'max', 'count_uniq', 'count_empty', 'avg'])}(${field()}, ${field()})`,
      () => `quantile(${chance.one(['0', '0.5', '0.9', '1'])}, ${chance.one(['bytes', 'status', 'value', 'n'])})`,
      () => `uniq_values(${chance.one(['level', 'status', 'label', 'parity', 'group'])})`,
      () => `rate()`,
      () => `rate_sum(${field()})`,
      () => `row_max(${chance.one(['bytes', 'n', 'float'])}, ${field()})`,
      () => `row_min(${chance.one(['bytes', 'n'])}, ${field()})`,
      () => `histogram(${chance.one(['bytes', 'took', 'value', 'n', 'ratio'])})`,
    ])
    return `${call}${condition} ${chance.maybe(30, () => 'as ')}${name}`
  }

  #pipe(): string {
    const chance = this.#chance
    const field = (): string => this.#field()
    const onlyIf = chance.maybe(15, () => ` if (${this.#filters(1)})`)
    return chance.made([
      () => `filter ${this.#filters(1)}`,
      () => `where ${this.#filters(1)}`,
      () => `math ${this.#math(2)} as m${chance.below(10)}`,
      () => `eval ${this.#math(1)} as ${field()}`,
      () => `format${onlyIf} ${JSON.stringify(this.#format())} as f${chance.below(10)}`,
      () => `extract${onlyIf} ${JSON.stringify(this.#pattern())} from ${field()}`,
      () => `extract_regexp${onlyIf} "(?P<ea>[a-z]+)[^a-z]*(?P<eb>[0-9]+)?" from ${field()}`,
      () => `replace${onlyIf} (${this.#quoted(chance.one(texts))}, "R") at ${field()}`,
      () => `replace_regexp${onlyIf} (${this.#regexp()}, "<$0>") at ${field()}`,
      () => `unpack_json${onlyIf}${chance.one(jsonOptions)}`,
      () => `unpack_logfmt${onlyIf}${chance.one(logfmtOptions)}`,
      () => `unpack_words from ${field()} as words`,
      () => `unpack_syslog${onlyIf}`,
      () => `len(${field()}) as l${chance.below(10)}`,
      () => `hash(${field()}) as h${chance.below(10)}`,
      () => `copy ${field()} as c${chance.below(10)}`,
      () => `rename ${field()} as c${chance.below(10)}`,
      () => `delete ${field()}`,
      () => `sort by (_time) limit ${1 + chance.below(20)}`,
      () => `sort by (_time desc) offset ${chance.below(5)} limit ${1 + chance.below(20)}`,
      () => 'drop_empty_fields',
      () => `collapse_nums${onlyIf} at ${field()}${chance.maybe(50, () => ' prettify')}`,
      () => `decolorize ${field()}`,
      () => `json_array_len(${field()}) as jl`,
      () => `unroll${onlyIf} by (${field()})`,
      () => `pack_json fields (${chance.joined(field, 1, 2)}) as packed`,
      () => `pack_logfmt fields (${chance.joined(field, 1, 2)}) as packed`,
      () => `union (${chance.one(streams)[0]} n:<5)`,
      () => `join by (${field()}) (${chance.one(streams)[0]} | stats by (${field()}) count() joined)`,
      () => `filter ${this.#filters(1)}`,
    ])
  }

  #math(depth: number): string {
    const chance = this.#chance
    if (depth === 0 || chance.is(30)) return chance.is(60) ? this.#field() : chance.one(numbers)
    const inner = (): string => this.#math(depth - 1)
    return chance.made([
      () => `${inner()} ${chance.one(['+', '-', '*', '/', '%', '^', 'default', '&', 'or', 'xor'])} ${inner()}`,
      () => `(${inner()} ${chance.one(['+', '-', '*', '/'])} ${inner()})`,
      () => `${chance.one(['round', 'floor', 'ceil', 'abs', 'ln', 'exp'])}(${inner()})`,
      () => `${chance.one(['min', 'max'])}(${inner()}, ${inner()})`,
      () => `round(${inner()}, ${chance.one(['10', '0.1', '5'])})`,
      () => `-${inner()}`,
    ])
  }

  #format(): string {
    const chance = this.#chance
    const forms = [
      '',
      'q:',
      'uc:',
      'lc:',
      'time:',
      'duration:',
      'ipv4:',
      'hexencode:',
      'hexnumencode:',
      'base64encode:',
      'urlencode:',
      'duration_seconds:',
    ]
    return chance.joined(
      () => `${chance.one(['', 'a ', '&lt;', '"'])}<${chance.one(forms)}${this.#field().replaceAll('"', '')}>`,
      1,
      3,
      ' ',
    )
  }

  #pattern(): string {
    return this.#chance.one([
      '<a> <b>',
      '<m> <p> status=<st> in <tk>ms',
      'a=<x> ',
      '<_>=<v>',
      '"<q>"',
      '<plain:pp>m',
      '<a>.<b>',
      'user_<u>',
    ])
  }
}

export function randomQuestion(baseMs: number, seed: number): Question {
  const query = new Maker(seed).query()
  return { id: `random/${seed}: ${query}`, path: '/select/logsql/query', params: { query: withMoments(query, baseMs) } }
}
