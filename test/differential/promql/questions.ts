/** Questions, made of tables: functions by kinds of series, operators by pairs of kinds, and so on. */
import type { Question } from '../question.ts'
import { firstMs } from './data.ts'
import { endpointQuestions } from './endpoints.ts'
import { wrongQueries } from './wrong-queries.ts'

const minute = 60

/** One selector for each kind of series. */
const kinds: Readonly<Record<string, string>> = {
  counter: 'req_total',
  gauge: 'temp',
  odd: 'odd',
  native: 'nat',
  custom: 'nhcb',
  level: 'level',
  mixed: 'mixed',
  either: 'either',
  moved: 'moved',
  none: 'nosuch',
}

const mathFunctions = [
  'abs',
  'absent',
  'acos',
  'acosh',
  'asin',
  'asinh',
  'atan',
  'atanh',
  'ceil',
  'cos',
  'cosh',
  'deg',
  'exp',
  'floor',
  'ln',
  'log10',
  'log2',
  'rad',
  'round',
  'scalar',
  'sgn',
  'sin',
  'sinh',
  'sort',
  'sort_desc',
  'sqrt',
  'tan',
  'tanh',
  'timestamp',
  'histogram_avg',
  'histogram_count',
  'histogram_sum',
  'histogram_stddev',
  'histogram_stdvar',
]

const dateFunctions = ['day_of_month', 'day_of_week', 'day_of_year', 'days_in_month', 'hour', 'minute', 'month', 'year']

const rangeFunctions = [
  'rate',
  'increase',
  'delta',
  'irate',
  'idelta',
  'avg_over_time',
  'sum_over_time',
  'count_over_time',
  'min_over_time',
  'max_over_time',
  'last_over_time',
  'present_over_time',
  'absent_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'mad_over_time',
  'changes',
  'resets',
  'deriv',
  'first_over_time',
  'ts_of_max_over_time',
  'ts_of_min_over_time',
  'ts_of_first_over_time',
  'ts_of_last_over_time',
]

const aggregations = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar']
const operators = ['+', '-', '*', '/', '%', '^', 'atan2', '==', '!=', '>', '<', '>=', '<=', 'and', 'or', 'unless']

/** Everything that is asked; `baseMs` is now. */
export function questions(baseMs: number): Question[] {
  const maker = new Maker(baseMs)
  instantFunctions(maker)
  overRanges(maker)
  aggregated(maker)
  operated(maker)
  modified(maker)
  histograms(maker)
  extended(maker)
  filled(maker)
  trimmed(maker)
  selected(maker)
  mixedQueries(maker)
  for (const query of wrongQueries) maker.at(`wrong/${query}`, query, 60)
  return [...maker.questions, ...endpointQuestions(baseMs)]
}

/** Makes questions; times are minutes since the first sample. */
class Maker {
  readonly questions: Question[] = []
  readonly #firstMs: number

  constructor(baseMs: number) {
    this.#firstMs = firstMs(baseMs)
  }

  seconds(minutes: number): string {
    return String(this.#firstMs / 1000 + minutes * minute)
  }

  at(id: string, query: string, minutes: number): void {
    this.questions.push({ id, path: '/api/v1/query', params: { query, time: this.seconds(minutes) } })
  }

  range(id: string, query: string, from: number, to: number, step: string): void {
    const params = { query, start: this.seconds(from), end: this.seconds(to), step }
    this.questions.push({ id, path: '/api/v1/query_range', params })
  }

  /** At an instant, and over the time in which series change their kind. */
  both(id: string, query: string): void {
    this.at(id, query, 50)
    this.range(`${id}/range`, query, 36, 60, '4m')
  }
}

function instantFunctions(maker: Maker): void {
  for (const name of mathFunctions)
    for (const kind of ['gauge', 'odd', 'native', 'custom', 'mixed', 'none'])
      maker.at(`function/${name}/${kind}`, `${name}(${kinds[kind]})`, 50)
  for (const name of mathFunctions) maker.range(`function/${name}/range`, `${name}(temp)`, 20, 40, '5m')
  for (const name of dateFunctions) {
    maker.at(`date/${name}`, `${name}(when)`, 50)
    maker.range(`date/${name}/now`, `${name}()`, 20, 40, '7m')
  }
  const more: Record<string, string> = {
    'clamp/gauge': 'clamp(temp, 0, 20)',
    'clamp/odd': 'clamp(odd, -1, 1)',
    'clamp/turned': 'clamp(temp, 5, -5)',
    'clamp/nan': 'clamp(temp, NaN, 5)',
    'clamp/native': 'clamp(nat, 0, 1)',
    'clamp_min/odd': 'clamp_min(odd, 0)',
    'clamp_min/nan': 'clamp_min(temp, NaN)',
    'clamp_max/odd': 'clamp_max(odd, 0)',
    'clamp_max/scalar': 'clamp_max(temp, scalar(single))',
    'round/tenths': 'round(odd, 0.1)',
    'round/zero': 'round(temp, 0)',
    'round/negative': 'round(temp, -7)',
    'round/nan': 'round(temp, NaN)',
    'vector/number': 'vector(1.5)',
    'vector/time': 'vector(time())',
    pi: 'pi()',
    time: 'time()',
    'scalar/many': 'scalar(temp)',
    'scalar/one': 'scalar(temp{room="a"})',
    'absent/labels': 'absent(nosuch{a="b",c=~"d",e!="f"})',
    'absent/twice': 'absent(nosuch{a="b",a="c"})',
    'absent/expression': 'absent(sum(nosuch{a="b"}))',
    'absent/there': 'absent(temp)',
    'absent/over': 'absent_over_time(nosuch{a="b"}[5m])',
    'absent/over/subquery': 'absent_over_time(sum(nosuch)[5m:1m])',
    'label_replace/plain': 'label_replace(temp, "new", "r-$1", "room", "(.*)")',
    'label_replace/named': 'label_replace(temp, "new", "${x}-${1}", "room", "(?P<x>.)(.*)")',
    'label_replace/none': 'label_replace(temp, "new", "x", "room", "z")',
    'label_replace/anchored': 'label_replace(temp, "new", "x", "room", "d")',
    'label_replace/missing': 'label_replace(temp, "new", "was:$1", "nosuch", "(.*)")',
    'label_replace/removes': 'label_replace(temp, "floor", "", "room", ".*")',
    'label_replace/same': 'label_replace(temp, "room", "same", "floor", ".*")',
    'label_replace/name': 'label_replace(temp, "__name__", "renamed", "room", ".*")',
    'label_replace/dollar': 'label_replace(temp, "new", "$$-$9-$x", "room", "(.*)")',
    'label_replace/bad regex': 'label_replace(temp, "new", "x", "room", "(")',
    'label_replace/bad label': 'label_replace(temp, "", "x", "room", ".*")',
    'label_replace/utf8': 'label_replace(temp, "ü.x", "1", "room", ".*")',
    'label_replace/newline': 'label_replace(temp, "new", "a\\nb", "room", ".*")',
    'label_replace/rate': 'label_replace(rate(req_total[5m]), "__name__", "x", "job", ".*")',
    'label_join/plain': 'label_join(temp, "new", "-", "room", "floor")',
    'label_join/none': 'label_join(temp, "new", "-")',
    'label_join/missing': 'label_join(temp, "new", "-", "nosuch", "room", "nosuch")',
    'label_join/removes': 'label_join(temp, "room", "", "nosuch")',
    'label_join/bad source': 'label_join(temp, "new", "-", "")',
    'label_join/bad target': 'label_join(temp, "", "-", "room")',
    'sort_by_label/one': 'sort_by_label(temp, "room")',
    'sort_by_label/two': 'sort_by_label(temp, "floor", "room")',
    sort_by_label_desc: 'sort_by_label_desc(temp, "room")',
    'timestamp/expression': 'timestamp(temp + 1)',
    'timestamp/paren': 'timestamp((temp))',
    'timestamp/offset': 'timestamp(temp offset 10m)',
    'timestamp/at': 'timestamp(temp @ end())',
    'timestamp/old': 'timestamp(ends)',
    'info/plain': 'info(req_total{job="api"})',
    'info/build': 'info(req_total{job="api"}, {__name__="build_info"})',
    'info/all': 'info(req_total{job="api"}, {__name__=~".+_info"})',
    'info/data': 'info(req_total{job="api"}, {env="prod"})',
    'info/label': 'info(req_total{job="api"}, {zone=~".+"})',
    'info/rate': 'info(rate(req_total{job="api"}[5m]))',
    'info/name': 'info(req_total, temp)',
    'info/not': 'info(req_total{job="api"}, {__name__!="target_info"})',
    'info/empty': 'info(req_total{job="api"}, {nosuch=~".*"})',
    'info/itself': 'info({__name__=~"target_info|req_total",job="api"})',
    'info/subquery': 'info(last_over_time(req_total{job="api"}[10m:5m] offset 5m))',
    'min_of/two': 'min_of(3, -4)',
    'max_of/nan': 'max_of(NaN, 4)',
    'max_of/time': 'max_of(time(), scalar(single))',
    start: 'start()',
    end: 'end() - start()',
    step: 'step() + range()',
    'durations/step': 'count_over_time(temp[max_of(step(), 3m)])',
    'durations/range': 'count_over_time(temp[range() + 5m])',
    'start_timestamp/none': 'start_timestamp(temp)',
    'histogram_quantiles/native': 'histogram_quantiles(nat, "q", 0, 0.5, 0.99, 1)',
    'histogram_quantiles/classic': 'histogram_quantiles(lat_bucket, "q", 0.25, 1e-7)',
    'histogram_quantiles/wrong': 'histogram_quantiles(nat, "q", -1, 2, NaN)',
    'histogram_quantiles/twice': 'histogram_quantiles(nat, "q", 0.5, 0.5)',
    'histogram_quantiles/label': 'histogram_quantiles(nat, "", 0.5)',
    'histogram_quantiles/own label': 'histogram_quantiles(nat, "i", 0.5)',
  }
  for (const [id, query] of Object.entries(more)) {
    maker.at(`${id.startsWith('sort') ? 'order' : 'call'}/${id}`, query, 50)
    maker.range(`call/${id}/range`, query, 20, 40, '10m')
  }
  for (const name of ['sort', 'sort_desc']) maker.at(`order/${name}`, `${name}(temp)`, 50)
}

function overRanges(maker: Maker): void {
  for (const name of rangeFunctions) {
    for (const [kind, selector] of Object.entries(kinds))
      maker.both(`range/${name}/${kind}`, `${name}(${selector}[10m])`)
    maker.at(`range/${name}/subquery`, `${name}(temp[20m:3m])`, 50)
    maker.at(`range/${name}/subquery native`, `${name}(nat[20m:3m])`, 50)
    maker.at(`range/${name}/short`, `${name}(req_total[1m])`, 50)
    maker.at(`range/${name}/late`, `${name}(ooo[30m])`, 80)
    maker.at(`range/${name}/offset`, `${name}(req_total[10m] offset 7m)`, 60)
    maker.range(`range/${name}/at`, `${name}(req_total[10m] @ ${maker.seconds(40)})`, 30, 50, '10m')
  }
  for (const q of ['0', '0.5', '0.9', '1', '-1', '2', 'NaN'])
    for (const kind of ['gauge', 'odd', 'mixed', 'native'])
      maker.at(`range/quantile_over_time/${q}/${kind}`, `quantile_over_time(${q}, ${kinds[kind]}[10m])`, 50)
  for (const seconds of ['0', '600', '-60', 'NaN', 'Inf'])
    maker.both(`range/predict_linear/${seconds}`, `predict_linear(temp[15m], ${seconds})`)
  maker.at('range/predict_linear/mixed', 'predict_linear(mixed[10m], 60)', 50)
  for (const [smoothing, trend] of [
    ['0.5', '0.5'],
    ['0.1', '0.9'],
    ['0', '0.5'],
    ['0.5', '1'],
    ['1.5', '0.5'],
  ] as const)
    maker.both(
      `range/double_exponential_smoothing/${smoothing}/${trend}`,
      `double_exponential_smoothing(temp[15m], ${smoothing}, ${trend})`,
    )
  maker.at('range/raw', 'temp[3m]', 50)
  maker.at('range/raw/native', 'nat[2m]', 50)
  maker.at('range/raw/mixed', 'mixed[4m]', 46)
  maker.at('range/raw/stale', 'req_total{code="404"}[10m]', 62)
  maker.at('range/raw/subquery', 'temp[10m:4m]', 50)
  maker.at('range/raw/subquery rate', 'rate(req_total[5m])[10m:5m]', 50)
  maker.at('range/raw/late', 'ooo[40m]', 80)
}

function aggregated(maker: Maker): void {
  for (const op of aggregations)
    for (const kind of ['counter', 'gauge', 'odd', 'native', 'custom', 'mixed', 'either', 'none']) {
      maker.both(`aggregate/${op}/${kind}`, `${op}(${kinds[kind]})`)
      maker.at(`aggregate/${op}/${kind}/by`, `${op} by (job, floor, kind, i) (${kinds[kind]})`, 50)
      maker.at(`aggregate/${op}/${kind}/without`, `${op} without (instance, room, i) (${kinds[kind]})`, 50)
    }
  for (const op of ['topk', 'bottomk', 'limitk'])
    for (const k of ['1', '3', '100', '0', '-1', '2.9', 'NaN', '1e20', '-1e20', 'Inf'])
      maker.both(`aggregate/${op}/${k}`, op === 'limitk' ? `count(${op}(${k}, temp))` : `${op}(${k}, temp)`)
  for (const op of ['topk', 'bottomk'])
    for (const kind of ['odd', 'native', 'either', 'mixed', 'none']) {
      maker.both(`aggregate/${op}/${kind}`, `${op}(2, ${kinds[kind]})`)
      maker.both(`aggregate/${op}/${kind}/by`, `${op} by (i, kind) (1, ${kinds[kind]})`)
    }
  for (const q of ['0', '0.5', '1', '-0.5', '1.5', 'NaN', 'scalar(single)'])
    for (const kind of ['gauge', 'odd', 'either'])
      maker.both(`aggregate/quantile/${q}/${kind}`, `quantile(${q}, ${kinds[kind]})`)
  for (const ratio of ['0', '0.5', '-0.5', '1', '-1', '1.1', '-1.1', 'NaN'])
    maker.both(`aggregate/limit_ratio/${ratio}`, `limit_ratio(${ratio}, req_total)`)
  for (const kind of ['gauge', 'odd', 'native', 'custom', 'mixed', 'either'])
    maker.both(`aggregate/count_values/${kind}`, `count_values("v", ${kinds[kind]})`)
  maker.at('aggregate/count_values/by', 'count_values by (floor) ("v", temp)', 50)
  maker.at('aggregate/count_values/without', 'count_values without (room) ("v", temp)', 50)
  maker.at('aggregate/count_values/same', 'count_values by (room) ("room", temp)', 50)
  maker.at('aggregate/count_values/utf8', 'count_values("ü.v", temp)', 50)
  maker.at('aggregate/count_values/empty', 'count_values("", temp)', 50)
  maker.at('aggregate/by name', 'sum by (__name__) ({__name__=~"temp|odd"})', 50)
  maker.at('aggregate/by name of rates', 'sum by (__name__) (rate({__name__=~"req_total|temp"}[5m]))', 50)
  maker.at('aggregate/by quoted', 'sum by ("dotted.name", a) (labels)', 50)
  maker.at('aggregate/by twice', 'sum by (a, a) (labels)', 50)
  maker.at('aggregate/behind', 'sum(temp) by (floor)', 50)
  maker.at('aggregate/no labels', 'sum by () (temp)', 50)
  maker.at('aggregate/without nothing', 'sum without () (temp)', 50)
  maker.at('aggregate/nested', 'max(sum by (floor) (temp)) - min(sum by (floor) (temp))', 50)
}

function operated(maker: Maker): void {
  const operands: Record<string, string> = {
    gauge: 'temp{room=~"a|b"}',
    odd: 'odd',
    native: 'nat',
    custom: 'nhcb',
    mixed: 'mixed',
    either: 'either',
  }
  for (const op of operators) {
    const isSet = ['and', 'or', 'unless'].includes(op)
    for (const [kind, operand] of Object.entries(operands)) {
      maker.both(`operator/${op}/${kind}/itself`, `${operand} ${op} ${operand}`)
      if (isSet) continue
      maker.at(`operator/${op}/${kind}/scalar`, `${operand} ${op} 2`, 50)
      maker.at(`operator/${op}/scalar/${kind}`, `2 ${op} ${operand}`, 50)
    }
    maker.at(`operator/${op}/kinds`, `either ${op} ignoring(i) group_left nat{i="1"}`, 50)
    maker.at(`operator/${op}/other`, `temp ${op} on(floor) group_left temp_limit`, 50)
    maker.at(`operator/${op}/right`, `temp_limit ${op} on(floor) group_right temp`, 50)
    maker.at(`operator/${op}/include`, `temp ${op} on(room) group_left(owner) room_info`, 50)
    maker.at(`operator/${op}/twins`, `dup ${op} on(x) other`, 50)
    maker.at(`operator/${op}/twins right`, `other ${op} on(x) dup`, 50)
    maker.at(`operator/${op}/none`, `temp ${op} nosuch`, 50)
    maker.at(`operator/${op}/ignoring`, `dup{y="1"} ${op} ignoring(y) other`, 50)
    maker.at(`operator/${op}/names`, `temp ${op} on(__name__) temp`, 50)
    if (['==', '!=', '>', '<', '>=', '<='].includes(op)) {
      maker.both(`operator/${op}/bool`, `temp ${op} bool 20`)
      maker.at(`operator/${op}/bool vectors`, `temp ${op} bool on(room) room_info`, 50)
      maker.at(`operator/${op}/bool scalars`, `1 ${op} bool 2`, 50)
      maker.at(`operator/${op}/bool native`, `nat ${op} bool nat`, 50)
    } else if (!isSet) {
      maker.at(`operator/${op}/scalars`, `7 ${op} -2`, 50)
      maker.at(`operator/${op}/zero`, `0 ${op} 0`, 50)
      maker.at(`operator/${op}/nan`, `NaN ${op} 1`, 50)
    }
  }
  const more: Record<string, string> = {
    precedence: '2 + 3 * 4 ^ 2 ^ 0.5 - -1 % 3',
    unary: '-temp',
    'unary native': '-nat',
    'unary twice': '--temp',
    'unary power': '-2 ^ 2',
    'unary plus': '+temp',
    'or names': 'temp or odd',
    'or same': '-temp or -odd',
    'rate or rate': 'rate(req_total[5m]) or rate(temp[5m])',
    'and on': 'temp and on(floor) temp_limit{floor="1"}',
    'unless ignoring': 'temp unless ignoring(room) temp_limit{floor="1"}',
    'set chain': 'temp and temp > 0 unless temp > 30 or single',
    'subtract other': 'nhcb{i="1"} - ignoring(i) nhcb{i="2"}',
    'add other': 'nhcb{i="1"} + ignoring(i) nhcb{i="2"}',
    'add schemas': 'nat{i="1"} + ignoring(i) nat{i="2"}',
    'subtract schemas': 'nat{i="1"} - ignoring(i) nat{i="3"}',
    'add layouts': 'nat{i="1"} + ignoring(i) nhcb{i="1"}',
    'zero buckets': 'wide{i="1"} + ignoring(i) wide{i="2"}',
    'divide by zero': 'nat / 0',
    'times negative': 'nat * -1',
    'left duplicate': 'dup + on(x) group_left(y) other',
    'right duplicate': 'other + on(x) group_right dup',
    'grouping twice': 'temp * on(floor) group_left(room) room_info',
  }
  for (const [id, query] of Object.entries(more)) maker.both(`operator/more/${id}`, query)
}

function modified(maker: Maker): void {
  const queries: Record<string, string> = {
    offset: 'temp offset 5m',
    'offset back': 'temp offset -5m',
    'offset both': 'temp offset 1h offset 5m',
    'offset zero': 'temp offset 0s',
    'offset number': 'temp offset 300',
    'at start': 'temp @ start()',
    'at end': 'temp @ end()',
    'at offset': 'temp @ end() offset 10m',
    'offset at': 'temp offset 10m @ end()',
    'at negative': 'temp @ -1',
    'at fraction': `temp @ ${maker.seconds(30)}.5`,
    'range at': 'sum_over_time(temp[5m] @ start())',
    'subquery at': 'sum_over_time(temp[10m:2m] @ end())',
    'subquery offset': 'sum_over_time(temp[10m:2m] offset 5m)',
    'subquery inside': 'max_over_time(sum_over_time(temp[3m])[10m:2m])',
    'subquery default': 'sum_over_time(temp[10m:])',
    'subquery odd': 'sum_over_time(temp[10m:7m])',
    'subquery long': 'count_over_time(temp[2h:1m])',
    'subquery of subquery': 'avg_over_time(avg_over_time(temp[6m:2m])[10m:5m])',
    'subquery of at': 'sum_over_time((temp @ end())[10m:2m])',
    'subquery of number': 'sum_over_time(vector(time())[10m:2m])',
    'durations add': 'sum_over_time(temp[5m + 2m])',
    'durations parens': 'sum_over_time(temp[(1m + 30s) * 4])',
    'durations power': 'sum_over_time(temp[2 ^ 8])',
    'durations modulo': 'sum_over_time(temp[1000 % 300])',
    'durations negative': 'temp offset (1m - 3m)',
    'durations division': 'temp offset (10m / 2)',
    'number as range': 'sum_over_time(temp[300])',
    'number as fraction': 'sum_over_time(temp[90.5])',
    milliseconds: 'count_over_time(temp[59999ms])',
    compound: 'count_over_time(temp[1h5m30s])',
    stale: 'req_total{code="404"}',
    ended: 'ends',
  }
  for (const [id, query] of Object.entries(queries)) {
    maker.both(`modifier/${id}`, query)
    maker.range(`modifier/${id}/fine`, query, 58, 66, '50')
  }
}

function histograms(maker: Maker): void {
  const selectors = ['lat_bucket', 'falling_bucket', 'open_bucket', 'bad_bucket', 'cold_bucket', 'nat', 'nhcb', 'level']
  const more = ['wide', 'nonum', 'empty_h', 'moved', 'mixed', '{__name__=~"both.*"}', 'temp', 'nosuch']
  for (const selector of [...selectors, ...more]) {
    for (const q of ['0', '0.1', '0.5', '0.99', '1', '-1', '2', 'NaN'])
      maker.at(`histogram/quantile/${q}/${selector}`, `histogram_quantile(${q}, ${selector})`, 50)
    for (const [lower, upper] of [
      ['0', '1'],
      ['-Inf', '0.2'],
      ['0.3', '+Inf'],
      ['-5', '5'],
      ['1', '0'],
      ['NaN', '1'],
    ] as const)
      maker.at(
        `histogram/fraction/${lower}/${upper}/${selector}`,
        `histogram_fraction(${lower}, ${upper}, ${selector})`,
        50,
      )
    for (const name of ['count', 'sum', 'avg', 'stddev', 'stdvar'])
      maker.at(`histogram/${name}/${selector}`, `histogram_${name}(${selector})`, 50)
    maker.range(`histogram/quantile/range/${selector}`, `histogram_quantile(0.9, ${selector})`, 36, 60, '4m')
    maker.range(`histogram/rate/range/${selector}`, `histogram_quantile(0.9, rate(${selector}[10m]))`, 36, 60, '4m')
    maker.range(`histogram/sum/range/${selector}`, `histogram_quantile(0.9, sum by (le) (${selector}))`, 36, 60, '4m')
    maker.at(`histogram/count of rate/${selector}`, `histogram_count(rate(${selector}[10m]))`, 50)
    maker.at(`histogram/sum of sum/${selector}`, `histogram_sum(sum(${selector}))`, 50)
    maker.at(`histogram/plain/${selector}`, selector, 50)
  }
}

function extended(maker: Maker): void {
  for (const modifier of ['anchored', 'smoothed']) {
    for (const name of [...rangeFunctions.slice(0, 6), 'changes', 'resets'])
      for (const [kind, selector] of Object.entries(kinds))
        maker.both(`extended/${modifier}/${name}/${kind}`, `${name}(${selector}[10m30s] ${modifier})`)
    for (const [kind, selector] of Object.entries(kinds)) {
      maker.at(`extended/${modifier}/plain/${kind}`, `${selector} ${modifier}`, 50.5)
      maker.range(`extended/${modifier}/plain/${kind}/range`, `${selector} ${modifier}`, 40.3, 50, '2m')
      maker.at(`extended/${modifier}/raw/${kind}`, `${selector}[3m] ${modifier}`, 50.5)
    }
    maker.both(`extended/${modifier}/subquery`, `increase((req_total ${modifier})[5m:1m])`)
    maker.both(`extended/${modifier}/offset`, `increase(req_total[5m] ${modifier} offset 90s)`)
    maker.both(`extended/${modifier}/at`, `increase(req_total[5m] ${modifier} @ end())`)
    maker.at(`extended/${modifier}/early`, `increase(req_total[5m] ${modifier})`, 0.5)
    maker.at(`extended/${modifier}/late`, `increase(ends[5m] ${modifier})`, 43)
  }
}

function filled(maker: Maker): void {
  for (const op of ['+', '-', '==', '!=', '>', '<= bool', 'and'])
    for (const fill of ['fill(0)', 'fill_left(1)', 'fill_right(2)', 'fill_left(-1) fill_right(NaN)', 'fill(Inf)']) {
      maker.at(`fill/${op}/${fill}/plain`, `dup{y="1"} ${op} ignoring(y) ${fill} other`, 50)
      maker.at(`fill/${op}/${fill}/left`, `dup ${op} on(x) group_left ${fill} other`, 50)
      maker.at(`fill/${op}/${fill}/right`, `other ${op} on(x) group_right ${fill} dup`, 50)
      maker.range(`fill/${op}/${fill}/range`, `ends ${op} on() ${fill} late_born`, 36, 88, '4m')
    }
}

function trimmed(maker: Maker): void {
  for (const op of ['</', '>/'])
    for (const limit of ['-1', '0', '0.0005', '0.3', '1', '1.5', '4', '100', 'NaN', '+Inf', '-Inf'])
      for (const kind of ['nat', 'nhcb', 'wide', 'nonum', 'mixed', 'temp'])
        maker.at(`trim/${op}/${limit}/${kind}`, `${kind} ${op} ${limit}`, 50)
}

function selected(maker: Maker): void {
  const selectors = [
    'labels',
    'labels{a="x"}',
    'labels{a!="x"}',
    'labels{a=~"x.*"}',
    'labels{a!~"x.*"}',
    'labels{b=""}',
    'labels{b!=""}',
    'labels{nosuch=""}',
    'labels{c="Ünï"}',
    'labels{c=~"[[:alpha:]]+ words"}',
    'labels{"dotted.name"="v"}',
    '{"labels","dotted.name"="v"}',
    '{"utf8.metric"}',
    '{"utf8.metric",a="ü"}',
    '{__name__="labels"}',
    '{__name__=~"lab.*"}',
    '{__name__=~"temp|odd",floor=~"1|"}',
    'labels{a=~"x|z"}',
    'labels{a=~"(?i)X"}',
    'labels{a=~""}',
    'labels{a=~".+"}',
    "labels{a='x'}",
    'labels{a=`x`}',
    'labels{a="\\x78"}',
    'labels{a="x",}',
    ' labels # a comment',
    'labels{a="x", a!="y"}',
    'single',
    'late_born',
    '1.5e3',
    '0x1F',
    '1_000',
    '.5',
    'Inf',
    '-Inf',
    'nan',
    '"a string"',
    "'a \\u00fc'",
    '`raw \\n`',
    '1h',
    '5m30s',
    '010',
  ]
  for (const selector of selectors) maker.both(`select/${selector}`, selector)
}

function mixedQueries(maker: Maker): void {
  const queries = [
    'sum by (job) (rate(req_total{code=~"5.."}[10m])) / sum by (job) (rate(req_total[10m]))',
    'histogram_quantile(0.9, sum by (le, svc) (rate(lat_bucket[10m])))',
    'topk(2, sum by (instance) (rate(req_total[5m])))',
    'avg_over_time(temp[10m]) > on(room) group_left temp',
    'max by (floor) (temp) - on(floor) temp_limit',
    'count(temp > 10) or vector(0)',
    'sum(temp) / count(temp)',
    'rate(temp[5m])',
    'rate(lat_bucket[5m])',
    'increase(mixed[20m])',
    'sum(rate(nat[10m]))',
    'histogram_avg(sum(nat))',
    'histogram_count(sum(nat)) / 2',
    'sum(nhcb)',
    'avg(moved) + avg(nhcb)',
    'deriv(temp[10m]) * 600 + temp',
    'changes(temp[10m]) == 0',
    'label_replace(sum by (job) (req_total), "j", "$1", "job", "(.).*")',
    'absent(temp{room="z"}) * 5',
    'time() - timestamp(req_total)',
    'quantile by (floor) (0.5, temp)',
    'stddev by (floor) (temp) / avg by (floor) (temp)',
    'sum_over_time((temp > 10)[20m:5m])',
    'max_over_time(rate(req_total[5m])[20m:1m])',
    'group(temp) by (room) and on(room) room_info',
    'scalar(sum(temp)) + time() * 0',
    'sum without (instance, code) (req_total) - ignoring(x) sum by (job) (req_total offset 10m)',
    'clamp_min(temp - temp offset 10m, 0)',
    'predict_linear(temp[20m], 3600) < 0',
    'sum(nat) or sum(nhcb)',
    'quantile(2, temp) + quantile(2, odd)',
    'histogram_quantile(3, lat_bucket) / on(svc) histogram_quantile(3, lat_bucket)',
    'temp_limit > ignoring(room) group_left(floor) fill(1) late_born',
    'max_over_time(sort(temp)[1m:90s])',
    'clamp(odd, 1, NaN)',
    'clamp_max(odd, NaN)',
    'sum(temp + on() group_left nosuch) by (a:b)',
    'absent_over_time(histogram_quantiles(nat, "q", 0.5, 0.5)[10m:])',
    'count(limit_ratio(0.3, {__name__=~".+"})) + count(limit_ratio(-0.7, {__name__=~".+"}))',
    'topk(3, rate(req_total[7m30s])) * on(instance, code) group_left rate(req_total[3m])',
    'avg by (i) ({__name__=~"nat|level|wide"})',
    'stddev(odd) + stdvar(odd)',
    'histogram_count(sum_over_time(nat[10m]))',
    'histogram_sum(increase(nat[20m] anchored))',
    'histogram_quantile(0.5, rate(nhcb[10m] smoothed))',
  ]
  for (const query of queries) {
    maker.both(`query/${query}`, query)
    maker.range(`query/${query}/long`, query, -5, 95, '15m')
  }
}
