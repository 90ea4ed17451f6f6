/** Queries of LogQL that follow from a seed: selectors, stages, functions and aggregations that nobody combined. */
import type { Question } from '../question.ts'
import { Chance } from '../chance.ts'
import { Asking } from './asking.ts'
import { starts } from './data.ts'

const minute = 60_000

interface Source {
  selector: string
  labels: readonly string[]
  fromMs: number
  toMs: number
}

const sources: readonly Source[] = [
  {
    selector: '{set="json"}',
    labels: ['a', 'b', 'c', 'a_b', 'd', 'user_id', 'n', 'lat', 'size'],
    fromMs: starts.json,
    toMs: starts.json + 3 * minute,
  },
  {
    selector: '{set="logfmt"}',
    labels: ['a', 'b', 'c', 'level', 'n', 'dur', 'size', 'lat', 'ip', 'k_e_y'],
    fromMs: starts.logfmt,
    toMs: starts.logfmt + 90_000,
  },
  {
    selector: '{set="text"}',
    labels: ['method', 'path', 'status', 'x'],
    fromMs: starts.text,
    toMs: starts.text + 30_000,
  },
  {
    selector: '{set="level"}',
    labels: ['level', 'detected_level', 'severity_number', 'lvl', 'a'],
    fromMs: starts.level,
    toMs: starts.level + minute,
  },
  {
    selector: '{set="meta"}',
    labels: ['trace_id', 'user', 'a', 'n', 'http_method', 'quoted', 'A'],
    fromMs: starts.meta,
    toMs: starts.meta + 20_000,
  },
  {
    selector: '{set=~"fields_.*"}',
    labels: ['lat', 'user_id', 'took', 'size', 'f', 'ok', 'status', 'i', 'd', 'z'],
    fromMs: starts.fields,
    toMs: starts.fields + 10_000,
  },
  {
    selector: '{set="samples"}',
    labels: ['v', 'dur', 'size', 'counter', 'status', 'path', 'level', 'host', 'dc'],
    fromMs: -80 * minute,
    toMs: -minute,
  },
  {
    selector: '{set="samples", host="a"}',
    labels: ['v', 'dur', 'size', 'counter', 'status', 'path', 'level', 'dc'],
    fromMs: -40 * minute,
    toMs: -20 * minute,
  },
  {
    selector: '{set="samples", host=~"a|c"}',
    labels: ['v', 'dur', 'counter', 'status', 'level', 'host'],
    fromMs: -30 * minute,
    toMs: -20 * minute,
  },
  {
    selector: '{set="samples", dc!="west"}',
    labels: ['v', 'dur', 'counter', 'status', 'level', 'host'],
    fromMs: -60 * minute,
    toMs: -50 * minute,
  },
  {
    selector: '{set="odd"}',
    labels: ['value', 'region', 'app', 'cluster', 'flag', 'number', 'job'],
    fromMs: -11 * minute,
    toMs: -9 * minute,
  },
  {
    selector: '{set="odd", region=""}',
    labels: ['value', 'app', 'namespace', 'pod'],
    fromMs: -11 * minute,
    toMs: -9 * minute,
  },
  { selector: '{set="hours"}', labels: ['x', 'set'], fromMs: -112 * minute, toMs: -5 * minute },
  { selector: '{set="repeated"}', labels: ['n'], fromMs: starts.repeated - 1000, toMs: starts.repeated + 2000 },
]
const words = [
  'a',
  'error',
  'level',
  '=',
  '1',
  'x',
  'line',
  '"',
  'foo',
  'status',
  'POST',
  '10.',
  'tick 1',
  '',
  'é',
  '\\',
  '}',
  'v=',
]
const regexps = [
  'a.*b',
  '^\\{',
  '\\d+',
  '(?i)ERROR',
  'x|y',
  '^$',
  'lev(el)?=',
  '[^a-z]+$',
  '.',
  '',
  'status=(4|5)..',
  '\\s',
  '(foo){2}',
  'é',
]
const literals = ['"1"', '"x"', '""', '"error"', '"info"', '"5"', '"a"', '"t1"', '"200"', '"east"']
const numbers = ['0', '1', '5', '1.5', '-1', '200', '10', '1e3', '404']
const durations = ['15ms', '1s', '5s', '1m', '0s', '1h30m', '100us']
const sizes = ['1KB', '1.5KB', '3MB', '10B', '1KiB']
const templates = [
  '{{.level}}',
  '{{.a}}-{{.b}}',
  '{{ .status | ToUpper }}',
  '{{ __line__ | len }}',
  '{{ __line__ | trunc 5 }}',
  '{{ .v | default "none" }}',
  '{{ if .a }}yes{{ else }}no{{ end }}',
  '{{ .a | replace "1" "one" }}',
  '{{ .lat | int }}',
  '{{ add 1 2 }}',
  '{{ __line__ | lower }}',
  '{{ .dur | duration_seconds }}',
  '{{ .size | bytes }}',
  '{{ printf "%-6s|" .level }}',
  '{{ .path | substr 1 3 }}',
  '{{ .a | b64enc }}',
  '{{ __line__ | regexReplaceAll "[0-9]+" "N" }}',
  '{{ .__error__ }}',
  '{{ .a | contains "1" }}',
  '{{ .a | trim | title }}',
  '{{ .user | urlencode }}',
  '{{ range $i, $e := (fromJson __line__) }}{{ $i }};{{ end }}',
  '{{ .a | hasPrefix "x" }}',
  '{{ mul .v 2 }}',
  '{{ round (divf .v 3) 2 }}',
  '{{ .n | float64 | add 1 }}',
  '{{ .a | indent 2 }}',
  '{{ eq .level "info" }}',
  '{{ and .a .b }}',
  '{{ .level | repeat 2 }}',
  '{{ max 1 .n 3 }}',
  '{{ .host }}:{{ .dc }}',
  '{{ `x` | nindent 1 }}',
  '{{ .nosuch }}',
  'plain',
  '',
  '{{ count "a" __line__ }}',
  '{{ __line__ | alignLeft 4 }}',
  '{{ __line__ | alignRight 4 }}',
  '{{ sub 5 .n }}',
]

const jsonPaths = ['a', 'a.b', 'a[0]', 'user.id', 'user["name"]', 'b', 'x.y.z', 'n', 'tags[1]']
const patterns = [
  '<ip> - <user> [<_>] "<method> <path> <_>" <status> <_>',
  '<a> <b>',
  'level=<x> v=<_>',
  '<_>=<a>',
  'tick <n>',
  '{<a>}',
]
const namedRegexps = [
  '(?P<a>\\d+)',
  '^(?P<x>\\w+)[ =](?P<b>\\w+)',
  '(?P<status>[45]\\d\\d)',
  'v=(?P<v>[0-9.]+)',
  '(?P<n>)x',
]
const connectors = ['and', 'or', ',', 'and', 'or']
const addresses = ['10.0.0.0/8', '10.0.0.5', '192.168.0.0-192.168.255.255']
const overTime = [
  'sum_over_time',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'first_over_time',
  'last_over_time',
]
const scalarOperators = ['+', '-', '*', '/', '%', '^', '>', '<', '==', '>= bool', '!= bool']
const vectorOperators = ['+', '-', '*', '/', 'and', 'or', 'unless', '>', '>= bool']
const matchings = ['on', 'ignoring']
const newLabels = ['new', 'host', 'level']
const replacements = ['$1', 'x', '$1-$2', '']
const replaced = ['(.*)', '(.).*', '', 'a|b']

class Maker {
  readonly #chance: Chance
  #source: Source = sources[0]!

  constructor(seed: number) {
    this.#chance = new Chance(seed)
    this.#source = this.#chance.one(sources)
  }

  get source(): Source {
    return this.#source
  }

  #label(): string {
    return this.#chance.is(15)
      ? this.#chance.one(['set', 'nosuch', '__error__', 'detected_level', 'service_name'])
      : this.#chance.one(this.#source.labels)
  }

  #text(text: string): string {
    return this.#chance.is(50) && !text.includes('`') ? `\`${text}\`` : JSON.stringify(text)
  }

  lines(): string {
    return `${this.#source.selector} ${this.#chance.joined(() => this.#stage(), 0, 4, ' ')}`.trim()
  }

  #lineFilter(): string {
    const chance = this.#chance
    const operator = chance.one(['|=', '|=', '!=', '|~', '!~', '|>', '!>'])
    const one = (): string => {
      if (operator.endsWith('~')) return this.#text(chance.one(regexps))
      if (operator.endsWith('>'))
        return this.#text(chance.one(['<_> <_>', 'level=<_> v=<_>', '<_>=<_> <_>', '{"<_>', 'tick <_>', '<_>error<_>']))
      return chance.is(6)
        ? `ip("${chance.one(['10.0.0.0/8', '192.168.0.1', '10.0.0.1-10.0.0.9'])}")`
        : this.#text(chance.one(words))
    }
    return `${operator} ${chance.joined(one, 1, chance.is(20) ? 3 : 1, ' or ')}`
  }

  #parser(): string {
    const chance = this.#chance
    return chance.made([
      () => 'json',
      () => 'json',
      () => `json ${chance.joined(() => `${this.#label()}="${chance.one(jsonPaths)}"`, 1, 2)}`,
      () => `json ${chance.joined(() => this.#label(), 1, 2)}`,
      () => 'logfmt',
      () => 'logfmt',
      () => `logfmt ${chance.one(['--strict', '--keep-empty', '--strict --keep-empty'])}`,
      () => `logfmt ${chance.joined(() => this.#label(), 1, 2)}`,
      () => `logfmt ${chance.maybe(30, () => '--strict ')}x="${chance.one(['level', 'a', 'v', 'msg'])}"`,
      () => 'unpack',
      () => `pattern ${this.#text(chance.one(patterns))}`,
      () => `regexp ${this.#text(chance.one(namedRegexps))}`,
    ])
  }

  #labelFilter(depth = 2): string {
    const chance = this.#chance
    if (depth > 0 && chance.is(25)) {
      const joined = `${this.#labelFilter(depth - 1)} ${chance.one(connectors)} ${this.#labelFilter(depth - 1)}`
      return chance.is(40) ? `(${joined})` : joined
    }
    const label = this.#label()
    return chance.made([
      () => `${label} ${chance.one(['=', '!='])} ${chance.one(literals)}`,
      () => `${label} ${chance.one(['=~', '!~'])} ${this.#text(chance.one(regexps))}`,
      () => `${label} ${chance.one(['=', '==', '!=', '>', '>=', '<', '<='])} ${chance.one(numbers)}`,
      () => `${label} ${chance.one(['==', '!=', '>', '>=', '<', '<='])} ${chance.one(durations)}`,
      () => `${label} ${chance.one(['==', '!=', '>', '>=', '<', '<='])} ${chance.one(sizes)}`,
      () => `${label} ${chance.one(['=', '!='])} ip("${chance.one(addresses)}")`,
    ])
  }

  #stage(): string {
    const chance = this.#chance
    return chance.made([
      () => this.#lineFilter(),
      () => this.#lineFilter(),
      () => `| ${this.#parser()}`,
      () => `| ${this.#parser()}`,
      () => `| ${this.#labelFilter()}`,
      () => `| ${this.#labelFilter()}`,
      () => `| line_format ${this.#text(chance.joined(() => chance.one(templates), 1, 2, ' '))}`,
      () => `| label_format ${this.#label()}=${chance.is(50) ? this.#label() : this.#text(chance.one(templates))}`,
      () => `| ${chance.one(['drop', 'keep'])} ${chance.joined(() => this.#dropped(), 1, 3)}`,
      () => '| decolorize',
    ])
  }

  #dropped(): string {
    return (
      this.#label() + this.#chance.maybe(25, () => this.#chance.one(['="1"', '=~"1|x"', '!="x"', '!~"e.*"', '=""']))
    )
  }

  /** What is counted in a window. */
  #window(unwrap: string): string {
    const chance = this.#chance
    const range = chance.one(['[1m]', '[5m]', '[30s]', '[2m30s]', '[10m]', '[90s]'])
    const offset = chance.maybe(12, () => ` offset ${chance.one(['1m', '30s', '-1m'])}`)
    const stages = chance.joined(() => this.#stage(), 0, 2, ' ')
    const parse =
      unwrap === ''
        ? ''
        : `| ${chance.one(['logfmt', 'logfmt', 'json'])} ${unwrap}${chance.maybe(20, () => ' | __error__=""')}`
    return `${this.#source.selector} ${stages} ${parse} ${range}${offset}`.replaceAll(/ +/g, ' ')
  }

  #unwrap(): string {
    const chance = this.#chance
    const label = chance.one(this.#source.labels)
    return chance.one([
      `| unwrap ${label}`,
      `| unwrap v`,
      `| unwrap duration(dur)`,
      `| unwrap bytes(size)`,
      `| unwrap duration_seconds(${label})`,
      '| unwrap counter',
    ])
  }

  #rangeFunction(): string {
    const chance = this.#chance
    const grouping = chance.maybe(
      25,
      () => ` ${chance.one(['by', 'without'])} (${chance.joined(() => this.#label(), 0, 2)})`,
    )
    return chance.made([
      () => `${chance.one(['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate'])}(${this.#window('')})`,
      () => `${chance.one(overTime)}(${this.#window(this.#unwrap())})${grouping}`,
      () => `quantile_over_time(${chance.one(['0.5', '0.99', '0', '1'])}, ${this.#window(this.#unwrap())})${grouping}`,
      () => `rate(${this.#window(this.#unwrap())})`,
      () => `absent_over_time(${this.#window(chance.maybe(40, () => this.#unwrap()))})`,
      () => `count_over_time(${this.#window('')})`,
    ])
  }

  #matching(): string {
    const chance = this.#chance
    const names = (): string => chance.joined(() => this.#label(), 0, 2)
    return chance.maybe(40, () => `${chance.one(matchings)} (${names()}) `)
  }

  /** The arguments of label_replace() behind the vector. */
  #replacing(): string {
    const chance = this.#chance
    const texts = [chance.one(newLabels), chance.one(replacements), this.#label(), chance.one(replaced)]
    return texts.map(text => JSON.stringify(text)).join(', ')
  }

  metric(depth = 2): string {
    const chance = this.#chance
    if (depth === 0) return this.#rangeFunction()
    const inner = (): string => this.metric(depth - 1)
    const grouping = chance.maybe(
      65,
      () => ` ${chance.one(['by', 'by', 'without'])} (${chance.joined(() => this.#label(), 0, 2)})`,
    )
    return chance.made([
      () => this.#rangeFunction(),
      () => `${chance.one(['sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar'])}${grouping} (${inner()})`,
      () => `sum${grouping} (${inner()})`,
      () => `${chance.one(['topk', 'bottomk'])}${grouping} (${chance.one(['1', '2', '3'])}, ${inner()})`,
      () => `${chance.one(['sort_desc'])}(${inner()})`,
      () => `${inner()} ${chance.one(scalarOperators)} ${chance.one(numbers)}`,
      () => `(${inner()}) ${chance.one(vectorOperators)} ${this.#matching()}(${inner()})`,
      () => `label_replace(${inner()}, ${this.#replacing()})`,
    ])
  }

  get chance(): Chance {
    return this.#chance
  }
}

export function randomQuestion(baseMs: number, seed: number): Question {
  const asking = new Asking(baseMs)
  const maker = new Maker(seed)
  const { chance, source } = maker
  const at = (ms: number): string => asking.at(ms)
  const window = { start: at(source.fromMs - minute * chance.below(3)), end: at(source.toMs + chance.below(90) * 1000) }
  const id = (text: string): string => `random/${seed}: ${text}`
  const kind = chance.below(100)
  if (kind < 42) {
    const query = maker.lines()
    // Which of the lines of one moment a limit leaves out is not defined.
    const isOfMoments = /odd|fields/.test(source.selector)
    const params: Record<string, string> = { limit: isOfMoments ? '1000' : chance.one(['1000', '1000', '10', '3']) }
    if (chance.is(40)) params['direction'] = chance.one(['forward', 'backward'])
    const headers = chance.is(25) ? { headers: { 'x-loki-response-encoding-flags': 'categorize-labels' } } : {}
    asking.range(id(query), query, { ...window, ...params }, headers)
  } else if (kind < 70) {
    const query = maker.metric()
    asking.range(id(query), query, { ...window, step: chance.one(['30s', '60', '1m', '15s', '7', '5m']) })
  } else if (kind < 90) {
    const query = maker.metric()
    asking.instant(id(query), query, { time: at(source.toMs - chance.below(60) * 1000) })
  } else {
    const query = maker.lines()
    const selector = source.selector
    chance.one([
      () => {
        asking.ask(id(`format ${query}`), '/loki/api/v1/format_query', {
          query: chance.is(50) ? query : maker.metric(),
        })
      },
      () => {
        asking.ask(id(`series ${selector}`), '/loki/api/v1/series', { 'match[]': selector, ...window })
      },
      () => {
        asking.ask(id(`labels ${selector}`), '/loki/api/v1/labels', { query: selector, ...window })
      },
      () => {
        const label = chance.one(source.labels)
        asking.ask(id(`values ${label} ${selector}`), `/loki/api/v1/label/${label}/values`, {
          query: selector,
          ...window,
        })
      },
      () => {
        asking.ask(id(`fields ${query}`), '/loki/api/v1/detected_fields', { query, ...window })
      },
      () => {
        asking.ask(id(`labels of ${selector}`), '/loki/api/v1/detected_labels', { query: selector, ...window })
      },
    ])()
  }
  return asking.questions[0]!
}
