/** Queries of PromQL that follow from a seed: functions, aggregations and operators that nobody combined. */
import type { Question } from '../question.ts'
import { Chance } from '../chance.ts'

const counters = [
  'req_total',
  'req_total{job="api"}',
  'req_total{code=~"5..|404"}',
  'req_total{instance!="i2"}',
  'lat_bucket',
  'lat_bucket{svc="a"}',
] as const
const gauges = [
  'temp',
  'temp{floor="1"}',
  'temp{room=~"d.*"}',
  'temp_limit',
  'odd',
  'odd{kind!~"nan|mix"}',
  'labels',
  'dup',
  'other',
  'single',
  'late_born',
  'ends',
  'when',
  'ooo',
  'room_info',
  '{__name__=~"temp.*"}',
  'target_info',
] as const
const histograms = [
  'nat',
  'nat{i="1"}',
  'nat{i=~"2|3"}',
  'level',
  'wide',
  'nhcb',
  'nhcb{i="1"}',
  'moved',
  'mixed',
  'either',
  'nonum',
  'empty_h',
] as const
const labels = ['job', 'instance', 'code', 'room', 'floor', 'kind', 'a', 'x', 'y', 'i', 'svc', 'le', 'owner', 'nosuch']
const ranges = ['5m', '10m', '90s', '1m', '30m', '1h', '7m30s', '2m']
const numbers = ['0', '1', '2', '-1', '0.5', '10', '100', 'NaN', 'Inf', '1e3', '3']
const overFloats = [
  'rate',
  'increase',
  'delta',
  'irate',
  'idelta',
  'deriv',
  'changes',
  'resets',
  'avg_over_time',
  'sum_over_time',
  'min_over_time',
  'max_over_time',
  'count_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'last_over_time',
  'first_over_time',
  'present_over_time',
  'absent_over_time',
  'mad_over_time',
  'ts_of_min_over_time',
  'ts_of_max_over_time',
  'ts_of_last_over_time',
] as const
const overHistograms = [
  'rate',
  'increase',
  'delta',
  'irate',
  'idelta',
  'sum_over_time',
  'avg_over_time',
  'count_over_time',
  'last_over_time',
  'first_over_time',
  'changes',
  'resets',
  'present_over_time',
  'min_over_time',
] as const
const maths = [
  'abs',
  'ceil',
  'floor',
  'sqrt',
  'exp',
  'ln',
  'sgn',
  'cos',
  'deg',
  'log2',
  'timestamp',
  'sort',
  'hour',
  'minute',
]
const ofHistogram = ['histogram_count', 'histogram_sum', 'histogram_avg', 'histogram_stddev', 'histogram_stdvar']
const aggregations = ['sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar', 'group', 'sum', 'avg']

const chosen = ['topk', 'bottomk', 'quantile', 'limitk', 'limit_ratio']
const parameters = ['1', '2', '0.5', '3', '0', '-0.5']
const newLabels = ['new', 'job', 'a']
const replacements = ['$1', 'x', '$1-$2', '']
const replaced = ['(.*)', '(.)(.*)', '', 'a|i1']
const setOperators = ['and', 'or', 'unless']
const matchings = ['on', 'ignoring']
const groupings = ['group_left', 'group_right']

class Maker {
  readonly #chance: Chance

  constructor(seed: number) {
    this.#chance = new Chance(seed)
  }

  get chance(): Chance {
    return this.#chance
  }

  #label(): string {
    return this.#chance.one(labels)
  }

  #selector(): string {
    const chance = this.#chance
    return chance.one(chance.one([counters, gauges, gauges, histograms]))
  }

  #when(): string {
    const chance = this.#chance
    return (
      chance.maybe(8, () => ` offset ${chance.one(['1m', '-2m', '90s', '10m'])}`) +
      chance.maybe(4, () => ` @ ${chance.one(['end()', 'start()'])}`)
    )
  }

  #window(selector: string): string {
    const chance = this.#chance
    if (chance.is(8))
      return `(${selector})[${chance.one(ranges)}:${chance.one(['1m', '30s', '', '45s'])}]${this.#when()}`
    const extended = chance.maybe(8, () => ` ${chance.one(['anchored', 'smoothed'])}`)
    return `${selector}[${chance.one(ranges)}]${extended}${this.#when()}`
  }

  #overTime(): string {
    const chance = this.#chance
    if (chance.is(25)) return `${chance.one(overHistograms)}(${this.#window(chance.one(histograms))})`
    const series = chance.one(chance.one([counters, gauges, gauges]))
    return chance.made([
      () => `${chance.one(overFloats)}(${this.#window(series)})`,
      () => `${chance.one(['rate', 'increase', 'rate', 'irate'])}(${this.#window(chance.one(counters))})`,
      () => `${chance.one(overFloats)}(${this.#window(series)})`,
      () => `quantile_over_time(${chance.one(['0.5', '0.9', '0', '1', '-1', '2', 'NaN'])}, ${this.#window(series)})`,
      () => `predict_linear(${this.#window(series)}, ${chance.one(['60', '3600', '-100'])})`,
      () => `double_exponential_smoothing(${this.#window(series)}, 0.5, 0.3)`,
    ])
  }

  vector(depth: number): string {
    const chance = this.#chance
    if (depth === 0) return chance.is(55) ? this.#overTime() : this.#selector() + this.#when()
    const inner = (): string => this.vector(depth - 1)
    const names = (): string => chance.joined(() => this.#label(), 0, 3)
    const grouping = chance.maybe(70, () => `${chance.one([' by', ' by', ' without'])} (${names()})`)
    return chance.made([
      inner,
      () => `${chance.one(aggregations)}${grouping} (${inner()})`,
      () => `${chance.one(aggregations)}${grouping} (${inner()})`,
      () => `${chance.one(chosen)}${grouping} (${chance.one(parameters)}, ${inner()})`,
      () => `count_values${grouping} ("v", ${inner()})`,
      () => `${chance.one(maths)}(${inner()})`,
      () => `${chance.one(['clamp_min', 'clamp_max', 'round'])}(${inner()}, ${chance.one(numbers)})`,
      () => `clamp(${inner()}, ${chance.one(numbers)}, ${chance.one(numbers)})`,
      () => `${chance.one(ofHistogram)}(${chance.is(50) ? chance.one(histograms) : inner()})`,
      () => `histogram_quantile(${chance.one(['0.5', '0.9', '0', '1', '1.5', 'NaN'])}, ${inner()})`,
      () => `histogram_fraction(${chance.one(numbers)}, ${chance.one(numbers)}, ${inner()})`,
      () => `${inner()} ${this.#operator()} ${chance.one(numbers)}`,
      () => `${chance.one(numbers)} ${this.#operator()} ${inner()}`,
      () => `(${inner()}) ${this.#matched()} (${inner()})`,
      () => `(${inner()}) ${this.#matched()} (${inner()})`,
      () => `label_replace(${inner()}, ${this.#replacing()})`,
      () => `label_join(${inner()}, "${chance.one(['new', 'i'])}", "-", "${this.#label()}", "${this.#label()}")`,
      () =>
        `${chance.one(['absent', 'scalar', 'vector(scalar'])}(${inner()})`.replace(
          /^vector\(scalar.*$/,
          text => `${text})`,
        ),
      () => `-${inner()}`,
      () => `${chance.one(overFloats)}((${inner()})[${chance.one(['5m', '10m'])}:1m])`,
      () => `info(${inner()})`,
    ])
  }

  /** The arguments of label_replace() behind the vector. */
  #replacing(): string {
    const chance = this.#chance
    const texts = [chance.one(newLabels), chance.one(replacements), this.#label(), chance.one(replaced)]
    return texts.map(text => JSON.stringify(text)).join(', ')
  }

  #operator(): string {
    return this.#chance.one([
      '+',
      '-',
      '*',
      '/',
      '%',
      '^',
      '==',
      '!=',
      '>',
      '<',
      '>=',
      '> bool',
      '== bool',
      'atan2',
      '</',
      '>/',
    ])
  }

  #matched(): string {
    const chance = this.#chance
    const names = (): string => chance.joined(() => this.#label(), 0, 2)
    if (chance.is(25))
      return `${chance.one(setOperators)}${chance.maybe(50, () => ` ${chance.one(matchings)} (${names()})`)}`
    const matching = chance.maybe(
      60,
      () => ` ${chance.one(matchings)} (${names()})${chance.maybe(40, () => ` ${chance.one(groupings)} (${names()})`)}`,
    )
    return this.#operator() + matching
  }
}

export function randomQuestion(baseMs: number, seed: number): Question {
  const maker = new Maker(seed)
  const { chance } = maker
  const query = maker.vector(1 + chance.below(3))
  const seconds = (ms: number): string => String(ms / 1000)
  const at = (): number => baseMs - chance.below(95) * 60_000 + chance.one([0, 0, 1, 500, 15_000])
  const id = `random/${seed}: ${query}`
  if (chance.is(50)) return { id, path: '/api/v1/query', params: { query, time: seconds(at()) } }
  const end = at()
  const times = { start: seconds(end - chance.one([300, 1800, 3600]) * 1000), end: seconds(end) }
  return { id, path: '/api/v1/query_range', params: { query, ...times, step: chance.one(['60', '30s', '77', '5m']) } }
}
