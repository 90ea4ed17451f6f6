/** Queries of TraceQL that follow from a seed: filters, structures, pipelines and metrics that nobody combined. */
import type { Question } from '../question.ts'
import { Chance } from '../chance.ts'
import { wholeRange } from './search-questions.ts'

type Kind = 'text' | 'number' | 'duration' | 'status' | 'kind' | 'flag'

/** What spans of a part of the data have. */
interface Source {
  filter: string
  fields: readonly (readonly [field: string, kind: Kind, values: readonly string[]])[]
}

const spanFields: Source['fields'] = [
  ['duration', 'duration', ['1ms', '100ms', '500ms', '1s', '40ms', '1.5s', '0ns']],
  ['status', 'status', ['error', 'ok', 'unset']],
  ['kind', 'kind', ['server', 'client', 'internal', 'producer', 'consumer']],
  ['rootServiceName', 'text', ['"frontend"', '"rhythm-a"', '"wide-0"', '""']],
  ['traceDuration', 'duration', ['1s', '100ms', '3s']],
  ['span:childCount', 'number', ['0', '1', '2']],
]
const sources: readonly Source[] = [
  {
    filter: 'resource.service.name =~ "frontend|payment|mail"',
    fields: [
      ['name', 'text', ['"GET /cart"', '"POST /checkout"', '"Pay"', '"SELECT"', '"P"', '"x"']],
      ['resource.service.name', 'text', ['"frontend"', '"payment"', '"mail"']],
      ['.service.name', 'text', ['"frontend"', '"payment"']],
      ['span.http.method', 'text', ['"GET"', '"POST"', '""']],
      ['span.http.status_code', 'number', ['200', '500', '404', '200.0']],
      ['.http.status_code', 'number', ['200', '500']],
      ['span.amount', 'number', ['10.5', '50', '0', '100.0']],
      ['span.currency', 'text', ['"EUR"', '"USD"']],
      ['span.user.id', 'number', ['1000', '1003', '1002.5']],
      ['span.ratio', 'number', ['0.5', '1', '0.25']],
      ['span.vip', 'flag', ['true', 'false']],
      ['span.retries', 'number', ['0', '1', '2']],
      ['span.rows', 'number', ['3', '7']],
      ['resource.replicas', 'number', ['0', '1', '2']],
      ['resource.weight', 'number', ['0.5', '1', '2.25']],
      ['resource.canary', 'flag', ['true', 'false']],
      ['resource.k8s.pod.name', 'text', ['"front-0"', '"pay-1"']],
      ['event:name', 'text', ['"exception"', '"enqueued"', '"sent"']],
      ['event.partition', 'number', ['0', '1', '3']],
      ['event.exception.type', 'text', ['"E"']],
      ['link.why', 'text', ['"queue"']],
      ['instrumentation:name', 'text', ['"http"', '"grpc"']],
      ['statusMessage', 'text', ['"card refused"', '"upstream failed"', '""']],
      ['rootName', 'text', ['"GET /cart"', '"POST /checkout"']],
      ['.nosuch', 'text', ['"x"']],
    ],
  },
  {
    filter: 'resource.service.name =~ "rhythm-."',
    fields: [
      ['name', 'text', ['"slow"', '"fast"']],
      ['resource.zone', 'text', ['"z0"', '"z1"', '"z2"']],
      ['resource.shard', 'number', ['0', '1']],
      ['span.size', 'number', ['0', '1000', '2500', '100']],
      ['span.ratio', 'number', ['0', '-0.5', '1.5']],
      ['span.label', 'text', ['"l0"', '"l3"']],
      ['span.flag', 'flag', ['true', 'false']],
      ['span.rare', 'number', ['0', '9', '30']],
      ['resource.service.name', 'text', ['"rhythm-a"', '"rhythm-b"']],
    ],
  },
  {
    filter: 'resource.service.name =~ "wide-1?[0-9]"',
    fields: [
      ['name', 'text', ['"w0"', '"w3"', '"w7"']],
      ['span.n', 'number', ['0', '3', '5']],
      ['span.p', 'number', ['0', '2', '14']],
      ['span.half', 'number', ['0.5', '1', '3.5']],
      ['span.side', 'text', ['"even"', '"odd"']],
      ['resource.rank', 'number', ['0', '2', '7']],
      ['resource.service.name', 'text', ['"wide-1"', '"wide-10"']],
    ],
  },
  {
    filter: 'resource.service.name = "events"',
    fields: [
      ['name', 'text', ['"several"', '"one"', '"bare"']],
      ['span.k', 'text', ['"span"', '"v1"']],
      ['event:name', 'text', ['"one"', '"two"', '"bare"']],
      ['event.k', 'text', ['"v1"', '"v2"']],
      ['event.z', 'number', ['1', '2']],
      ['link.k', 'text', ['"l1"', '"l2"']],
      ['instrumentation.k', 'text', ['"scope"']],
    ],
  },
]
const regexps = [
  '".*"',
  '"P.*"',
  '"[a-f].*"',
  '".*t"',
  '"w[0-3]"',
  '"fr.nt.*"',
  '"x|GET.*"',
  '"(?i)pay"',
  '""',
  '"l[12]"',
]

const aggregates = ['avg', 'min', 'max', 'sum']
const someDurations = ['10ms', '500ms', '1s']
const someNumbers = ['1', '100', '0']
const someOperators = ['>', '<', '>=']

class Maker {
  readonly #chance: Chance
  readonly #source: Source

  constructor(seed: number) {
    this.#chance = new Chance(seed)
    this.#source = this.#chance.one(sources)
  }

  get chance(): Chance {
    return this.#chance
  }

  #field(): Source['fields'][number] {
    return this.#chance.one(this.#chance.is(25) ? spanFields : this.#source.fields)
  }

  #name(kinds?: readonly Kind[]): string {
    const all = [...this.#source.fields, ...spanFields].filter(([, kind]) => kinds?.includes(kind) !== false)
    return this.#chance.one(all)[0]
  }

  #condition(depth: number): string {
    const chance = this.#chance
    if (depth > 0 && chance.is(40)) {
      const joined = `${this.#condition(depth - 1)} ${chance.one(['&&', '&&', '||'])} ${this.#condition(depth - 1)}`
      return chance.is(50) ? `(${joined})` : joined
    }
    const [field, kind, values] = this.#field()
    const value = chance.one(values)
    if (chance.is(6)) return `${field} ${chance.one(['=', '!='])} nil`
    if (kind === 'flag') return chance.is(50) ? field : `${field} ${chance.one(['=', '!='])} ${value}`
    if (kind === 'status' || kind === 'kind') return `${field} ${chance.one(['=', '!='])} ${value}`
    if (kind === 'text')
      return chance.is(35)
        ? `${field} ${chance.one(['=~', '!~'])} ${chance.one(regexps)}`
        : `${field} ${chance.one(['=', '!=', '=', '>', '<='])} ${value}`
    if (chance.is(12)) return `${field} ${chance.one(['+', '-', '*'])} ${kind === 'number' ? '2' : '1ms'} > ${value}`
    if (chance.is(6)) return `${field} ${chance.one(['=', '<', '>='])} ${this.#name([kind])}`
    return `${field} ${chance.one(['=', '!=', '>', '>=', '<', '<='])} ${value}`
  }

  #filter(): string {
    const chance = this.#chance
    const more = chance.is(80) ? ` && ${this.#condition(2)}` : ''
    return `{ ${this.#source.filter}${more.includes('||') ? more.replace(/^ && (.*)$/, ' && ($1)') : more} }`
  }

  #spansets(): string {
    const chance = this.#chance
    if (chance.is(60)) return this.#filter()
    const operator = chance.one(['&&', '||', '>', '>>', '~', '<', '<<', '!>', '!>>', '!~', '&>', '&>>', '&~'])
    return `${this.#filter()} ${operator} ${this.#filter()}`
  }

  #stage(): string {
    const chance = this.#chance
    const number = (): string => this.#name(['number', 'duration'])
    return chance.made([
      () => `select(${chance.joined(() => this.#name(), 1, 3)})`,
      () => `by(${this.#name()})`,
      () => `count() ${chance.one(['>', '>=', '=', '<', '!='])} ${chance.below(5)}`,
      () => `${chance.one(aggregates)}(duration) ${chance.one(['>', '<'])} ${chance.one(someDurations)}`,
      () => `${chance.one(aggregates)}(${number()}) ${chance.one(someOperators)} ${chance.one(someNumbers)}`,
      () => this.#filter(),
      () => 'coalesce()',
    ])
  }

  search(): string {
    return [this.#spansets(), ...Array.from({ length: this.#chance.below(3) }, () => this.#stage())].join(' | ')
  }

  metrics(): string {
    const chance = this.#chance
    const number = (): string => this.#name(['number', 'duration'])
    const groups = chance.maybe(55, () => ` by (${chance.joined(() => this.#name(), 1, 2)})`)
    const call = chance.made([
      () => `rate()${groups}`,
      () => `count_over_time()${groups}`,
      () => `${chance.one(['min', 'max', 'avg', 'sum'])}_over_time(${number()})${groups}`,
      () => `quantile_over_time(${number()}, ${chance.one(['.5', '.9, .99', '0', '1', '.25, .75'])})${groups}`,
      () => `histogram_over_time(${number()})${groups}`,
      () => `compare({ ${this.#condition(1)} }${chance.maybe(50, () => `, ${1 + chance.below(12)}`)})`,
    ])
    const second =
      call.startsWith('compare') || chance.is(80) ? '' : ` | ${chance.one(['topk', 'bottomk'])}(${1 + chance.below(4)})`
    // Tempo counts twice by fields that a filter before compare() mentions.
    return `${call.startsWith('compare') ? '{}' : this.#filter()} | ${call}${second}`
  }
}

export function randomQuestion(baseMs: number, seed: number): Question {
  const maker = new Maker(seed)
  const { chance } = maker
  const range = wholeRange(baseMs)
  const now = baseMs / 1000
  if (chance.is(60)) {
    const q = maker.search()
    return { id: `random/${seed}: ${q}`, path: '/api/search', params: { q, ...range, limit: '100', spss: '40' } }
  }
  const q = maker.metrics()
  const [from, step] = chance.one([
    [7200, '600s'],
    [1800, '60s'],
    [1500, '45s'],
    [3600, '300s'],
  ] as const)
  // What is after now is cut off, and now moves on.
  const times = { start: String(now - from - 600), end: String(now - 600) }
  const id = `random/${seed}: ${q}`
  return chance.is(60)
    ? { id, path: '/api/metrics/query_range', params: { q, ...times, step, exemplars: '1' } }
    : { id, path: '/api/metrics/query', params: { q, ...times } }
}
