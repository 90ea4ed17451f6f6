/**
 * LogsQL's stats functions: each gathers over the rows of a group. Source: docs/logs.md (the VictoriaLogs part).
 */
import { setOwn } from '#core/own.ts'
import { compareText, keyOfTexts } from '#core/text.ts'
import type { StatsCall, StatsFunction } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { compareNaturally, compareValues } from './compare.ts'
import type { RowTest } from './filter.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { matchesName } from './change.ts'
import type { Fields, FieldSource } from './row.ts'
import { shownJson } from './shown-json.ts'
import type { PipeContext } from './sink.ts'

/** What a function has seen of the rows of one group. */
export interface Gatherer {
  add(row: FieldSource, fields: () => Fields): void
  /** As many rows as that: where it only counts them. */
  addTimes?: (times: number) => void
  result(): string
  /** Instead of `result`, where it may take long. */
  slowResult?: () => Promise<string>
}

/** What gatherers use of a query: the length of its time, for rates, and its budget, for what they hold. */
type GathererContext = Pick<PipeContext, 'seconds' | 'budget'>
type MakeGatherer = (call: StatsCall, context: GathererContext) => Gatherer

/** Memory of a text in a list or a table beside its characters. */
const bytesOfText = 40

const valuesMax = 1_000_000
const jsonValuesMax = 10_000

const makers = {
  avg: makeAvg,
  count: makeCount,
  count_empty: makeCountEmpty,
  count_uniq: makeCountUniq,
  count_uniq_hash: makeCountUniq,
  first: makeFirst,
  histogram: makeHistogram,
  json_values: makeJsonValues,
  last: makeLast,
  max: call => makeExtreme(call, -1),
  median: (call, context) => makeQuantile(call, 0.5, context),
  min: call => makeExtreme(call, 1),
  quantile: (call, context) => makeQuantile(call, call.parameter ?? 0.5, context),
  rate: makeRate,
  rate_sum: makeRateSum,
  row_any: makeRowAny,
  row_max: call => makeRowExtreme(call, -1),
  row_min: call => makeRowExtreme(call, 1),
  stddev: makeStddev,
  sum: makeSum,
  sum_len: makeSumLen,
  uniq_values: makeUniqValues,
  values: makeValues,
} satisfies Record<StatsFunction, MakeGatherer>

/** A gatherer of a call; rows that do not fit the condition are left out. */
export function makeGatherer(call: StatsCall, condition: RowTest | undefined, context: GathererContext): Gatherer {
  const make: MakeGatherer = makers[call.name]
  const inner = make(call, context)
  if (condition === undefined) return inner
  return {
    add: (row, fields) => {
      if (condition(row)) inner.add(row, fields)
    },
    result: () => inner.result(),
    ...(inner.slowResult === undefined ? {} : { slowResult: inner.slowResult }),
  }
}

/** As VictoriaLogs prints numbers: the shortest decimal; NaN where there is nothing. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  const text = String(value)
  return text.includes('e') ? withoutExponent(text) : text
}

/** All digits of a number that JavaScript writes with an exponent. */
function withoutExponent(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = ''] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? []
  const shift = Number(exponent)
  if (shift < 0) return `${sign}0.${'0'.repeat(-shift - 1)}${whole}${fraction}`
  return sign + whole + fraction.padEnd(shift, '0')
}

// --- What a call reads of a row ---

/** Which names are named with a star is the same for every row. */
function valuesOf(call: StatsCall, row: FieldSource, fields: () => Fields): string[] {
  const { args } = call
  if (args.length === 1 && !args[0]!.endsWith('*')) return [row.get(args[0]!)]
  if (args.includes('*')) return [...fields().values()]
  return args.flatMap(name =>
    name.endsWith('*') ? [...fields()].filter(([n]) => matchesName(name, n)).map(([, v]) => v) : [row.get(name)],
  )
}

function eachNumber(call: StatsCall, each: (value: number) => void): Gatherer['add'] {
  return (row, fields) => {
    for (const text of valuesOf(call, row, fields)) {
      const value = toNumber(text)
      if (!Number.isNaN(value)) each(value)
    }
  }
}

/** Fields without a value are left out. */
function rowJson(names: readonly string[], row: FieldSource, fields: () => Fields): string {
  const pairs = names.some(name => name.endsWith('*'))
    ? [...fields()].filter(([name]) => names.some(pattern => matchesName(pattern, name)))
    : [...new Set(names)].map((name): [string, string] => [name, row.get(name)])
  const object: Record<string, string> = {}
  pairs.sort((a, b) => compareText(a[0], b[0]))
  for (const [name, value] of pairs) if (value !== '') setOwn(object, name, value)
  return shownJson(object)
}

// --- Counts ---

function makeCount(call: StatsCall): Gatherer {
  let count = 0
  return {
    add: (row, fields) => {
      if (call.args.includes('*') || valuesOf(call, row, fields).some(v => v !== '')) count++
    },
    ...(call.args.includes('*')
      ? {
          addTimes: (times: number): void => {
            count += times
          },
        }
      : {}),
    result: () => String(count),
  }
}

function makeCountEmpty(call: StatsCall): Gatherer {
  let count = 0
  return {
    add: (row, fields) => {
      if (valuesOf(call, row, fields).every(v => v === '')) count++
    },
    result: () => String(count),
  }
}

function makeCountUniq(call: StatsCall, { budget }: GathererContext): Gatherer {
  const seen = new Set<string>()
  const most = call.limit || Infinity
  return {
    add: (row, fields) => {
      const values = valuesOf(call, row, fields)
      if (!values.some(v => v !== '') || seen.size >= most) return
      const key = keyOfTexts(values)
      if (seen.has(key)) return
      budget.takeBytes(bytesOfText + key.length)
      seen.add(key)
    },
    result: () => String(seen.size),
  }
}

function makeRate(_call: StatsCall, { seconds }: GathererContext): Gatherer {
  let count = 0
  return {
    add: () => {
      count++
    },
    result: () => numberText(count / (seconds ?? 1)),
  }
}

// --- Numbers ---

/** NaN until there is a number. */
class Sum {
  value = NaN
  #isEmpty = true

  add(value: number): void {
    this.value = this.#isEmpty ? value : this.value + value
    this.#isEmpty = false
  }
}

function makeSum(call: StatsCall): Gatherer {
  const sum = new Sum()
  return {
    add: eachNumber(call, v => {
      sum.add(v)
    }),
    result: () => numberText(sum.value),
  }
}

function makeSumLen(call: StatsCall): Gatherer {
  let sum = 0
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields)) sum += Buffer.byteLength(v)
    },
    result: () => String(sum),
  }
}

function makeRateSum(call: StatsCall, { seconds }: GathererContext): Gatherer {
  const sum = new Sum()
  return {
    add: eachNumber(call, v => {
      sum.add(v)
    }),
    result: () => numberText(sum.value / (seconds ?? 1)),
  }
}

function makeAvg(call: StatsCall): Gatherer {
  let sum = 0
  let count = 0
  return {
    add: eachNumber(call, v => {
      sum += v
      count++
    }),
    result: () => numberText(sum / count),
  }
}

/** By Welford's method. */
function makeStddev(call: StatsCall): Gatherer {
  let mean = 0
  let squares = 0
  let count = 0
  return {
    add: eachNumber(call, v => {
      count++
      const d = v - mean
      mean += d / count
      squares += d * (v - mean)
    }),
    result: () => numberText(count === 0 ? NaN : Math.sqrt(squares / count)),
  }
}

const bucketsPerDecade = 18
const decades = { least: -9, most: 18 }
const bucketCount = (decades.most - decades.least) * bucketsPerDecade

/** `1.136e+02`: three digits, and two of the exponent at least. */
function edgeText(value: number): string {
  return value.toExponential(3).replace(/([+-])(\d)$/, '$10$2')
}

/** The ranges of the buckets, each edge made of the one before. */
const bucketRanges: readonly string[] = (() => {
  const factor = 10 ** (1 / bucketsPerDecade)
  let edge = 10 ** decades.least
  return Array.from({ length: bucketCount }, () => `${edgeText(edge)}...${edgeText((edge *= factor))}`)
})()

function bucketRangeOf(value: number): string {
  const place = (Math.log10(value) - decades.least) * bucketsPerDecade
  if (place < 0) return `0...${edgeText(10 ** decades.least)}`
  if (place >= bucketCount) return `${edgeText(10 ** decades.most)}...+Inf`
  const index = Math.floor(place)
  // Powers of ten belong to the bucket that ends with them.
  return bucketRanges[index === place && index > 0 ? index - 1 : index]!
}

/** Buckets as VictoriaMetrics' histograms have them: 18 a decade. */
function makeHistogram(call: StatsCall): Gatherer {
  const buckets = new Map<string, number>()
  return {
    add: eachNumber(call, value => {
      if (value < 0) return
      const range = bucketRangeOf(value)
      buckets.set(range, (buckets.get(range) ?? 0) + 1)
    }),
    result: () =>
      JSON.stringify(
        [...buckets].sort((a, b) => compareNaturally(a[0], b[0])).map(([vmrange, hits]) => ({ vmrange, hits })),
      ),
  }
}

// --- Values ---

/** The smallest value with the sign 1, the largest with -1. */
function makeExtreme(call: StatsCall, sign: 1 | -1): Gatherer {
  let best: string | undefined
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields)) if (best === undefined || sign * compareValues(v, best) < 0) best = v
    },
    result: () => best ?? '',
  }
}

function makeQuantile(call: StatsCall, q: number, { budget }: GathererContext): Gatherer {
  const all: string[] = []
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields))
        if (all.length < valuesMax) {
          budget.takeBytes(bytesOfText + v.length)
          all.push(v)
        }
    },
    result: () => '',
    slowResult: async () => {
      await pacedSort(all, compareValues, budget)
      return all[Math.min(all.length - 1, Math.floor(q * all.length))] ?? ''
    },
  }
}

function makeUniqValues(call: StatsCall, { budget }: GathererContext): Gatherer {
  const seen = new Set<string>()
  const most = Math.min(valuesMax, call.limit || Infinity)
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields))
        if (v !== '' && seen.size < most && !seen.has(v)) {
          budget.takeBytes(bytesOfText + v.length)
          seen.add(v)
        }
    },
    result: () => '',
    slowResult: async () => {
      const sorted = [...seen]
      await pacedSort(sorted, compareValues, budget)
      return shownJson(sorted)
    },
  }
}

function makeValues(call: StatsCall, { budget }: GathererContext): Gatherer {
  const all: string[] = []
  const most = Math.min(valuesMax, call.limit || Infinity)
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields))
        if (all.length < most) {
          budget.takeBytes(bytesOfText + v.length)
          all.push(v)
        }
    },
    result: () => shownJson(all),
  }
}

function makeFirst(call: StatsCall): Gatherer {
  let found: string | undefined
  return {
    add: (row, fields) => {
      found ??= valuesOf(call, row, fields)[0] ?? ''
    },
    result: () => found ?? '',
  }
}

function makeLast(call: StatsCall): Gatherer {
  let found = ''
  return {
    add: (row, fields) => {
      found = valuesOf(call, row, fields).at(-1) ?? ''
    },
    result: () => found,
  }
}

// --- Rows ---

function makeJsonValues(call: StatsCall, { budget }: GathererContext): Gatherer {
  const all: string[] = []
  const most = Math.min(jsonValuesMax, call.limit || Infinity)
  return {
    add: (row, fields) => {
      if (all.length >= most) return
      const text = rowJson(call.args, row, fields)
      budget.takeBytes(bytesOfText + text.length)
      all.push(text)
    },
    result: () => shownJson(all),
  }
}

function makeRowAny(call: StatsCall): Gatherer {
  let found: string | undefined
  return {
    add: (row, fields) => {
      found ??= rowJson(call.args, row, fields)
    },
    result: () => found ?? '{}',
  }
}

/** The row with the smallest value of the first field with the sign 1, with the largest value with -1. */
function makeRowExtreme(call: StatsCall, sign: 1 | -1): Gatherer {
  const [by = '', ...shown] = call.args
  let best: string | undefined
  let found = '{}'
  return {
    add: (row, fields) => {
      const v = row.get(by)
      if (v !== '' && (best === undefined || sign * compareValues(v, best) < 0)) {
        best = v
        found = rowJson(shown, row, fields)
      }
    },
    result: () => found,
  }
}
