/**
 * LogsQL's stats functions: each gathers over the rows of a group. Source: docs/logs.md (the VictoriaLogs part).
 */
import { keyOfTexts } from '#core/text.ts'
import type { StatsCall, StatsFunction } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { compareValues, type RowTest } from './filter.ts'
import { pacedSort } from '#core/paced-sort.ts'
import type { Fields, FieldSource } from './row.ts'
import type { PipeContext } from './sink.ts'

/** What a function has seen of the rows of one group. */
export interface Gatherer {
  add(row: FieldSource, fields: () => Fields): void
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
  return String(value)
}

// --- What a call reads of a row ---

function valuesOf(call: StatsCall, row: FieldSource, fields: () => Fields): string[] {
  if (call.args.length === 0) return [...fields().values()]
  return call.args.flatMap(name =>
    name.endsWith('*')
      ? [...fields()].filter(([n]) => n.startsWith(name.slice(0, -1))).map(([, v]) => v)
      : [row.get(name)],
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

function rowJson(names: readonly string[], row: FieldSource, fields: () => Fields): string {
  return JSON.stringify(
    names.length === 0 ? Object.fromEntries(fields()) : Object.fromEntries(names.map(name => [name, row.get(name)])),
  )
}

// --- Counts ---

function makeCount(call: StatsCall): Gatherer {
  let count = 0
  return {
    add: (row, fields) => {
      if (call.args.length === 0 || valuesOf(call, row, fields).some(v => v !== '')) count++
    },
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
  const most = call.limit ?? Infinity
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
    result: () => numberText(count / seconds),
  }
}

// --- Numbers ---

function makeSum(call: StatsCall): Gatherer {
  let sum = NaN
  return {
    add: eachNumber(call, v => {
      sum = Number.isNaN(sum) ? v : sum + v
    }),
    result: () => numberText(sum),
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
  let sum = 0
  return {
    add: eachNumber(call, v => {
      sum += v
    }),
    result: () => numberText(sum / seconds),
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

/** Buckets as VictoriaMetrics' histograms have them: 18 a decade. */
function makeHistogram(call: StatsCall): Gatherer {
  const buckets = new Map<number, number>()
  let zeros = 0
  return {
    add: eachNumber(call, value => {
      if (value < 0) return
      if (value < 1e-9) {
        zeros++
        return
      }
      const index = Math.ceil(Math.log10(value) * 18 - 1e-9) - 1
      buckets.set(index, (buckets.get(index) ?? 0) + 1)
    }),
    result: () => {
      const edge = (index: number): string => (10 ** (index / 18)).toExponential(3)
      const parts = [...buckets]
        .sort((a, b) => a[0] - b[0])
        .map(([index, hits]) => ({ vmrange: `${edge(index)}...${edge(index + 1)}`, hits }))
      return JSON.stringify(zeros > 0 ? [{ vmrange: '0...1.000e-09', hits: zeros }, ...parts] : parts)
    },
  }
}

// --- Values ---

/** The smallest value with the sign 1, the largest with -1. */
function makeExtreme(call: StatsCall, sign: 1 | -1): Gatherer {
  let best: string | undefined
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields))
        if (v !== '' && (best === undefined || sign * compareValues(v, best) < 0)) best = v
    },
    result: () => best ?? '',
  }
}

function makeQuantile(call: StatsCall, q: number, { budget }: GathererContext): Gatherer {
  const all: string[] = []
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields))
        if (v !== '' && all.length < valuesMax) {
          budget.takeBytes(bytesOfText + v.length)
          all.push(v)
        }
    },
    result: () => '',
    slowResult: async () => {
      await pacedSort(all, compareValues, budget)
      return all[Math.max(0, Math.min(all.length - 1, Math.floor(q * all.length)))] ?? ''
    },
  }
}

function makeUniqValues(call: StatsCall, { budget }: GathererContext): Gatherer {
  const seen = new Set<string>()
  const most = Math.min(valuesMax, call.limit ?? Infinity)
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
      return JSON.stringify(sorted)
    },
  }
}

function makeValues(call: StatsCall, { budget }: GathererContext): Gatherer {
  const all: string[] = []
  const most = Math.min(valuesMax, call.limit ?? Infinity)
  return {
    add: (row, fields) => {
      for (const v of valuesOf(call, row, fields))
        if (all.length < most) {
          budget.takeBytes(bytesOfText + v.length)
          all.push(v)
        }
    },
    result: () => JSON.stringify(all),
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
  const most = Math.min(jsonValuesMax, call.limit ?? Infinity)
  return {
    add: (row, fields) => {
      if (all.length >= most) return
      const text = rowJson(call.args, row, fields)
      budget.takeBytes(bytesOfText + text.length)
      all.push(text)
    },
    result: () => `[${all.join(',')}]`,
  }
}

function makeRowAny(call: StatsCall): Gatherer {
  let found = ''
  return {
    add: (row, fields) => {
      if (found === '') found = rowJson(call.args, row, fields)
    },
    result: () => found,
  }
}

/** The row with the smallest value of the first field with the sign 1, with the largest value with -1. */
function makeRowExtreme(call: StatsCall, sign: 1 | -1): Gatherer {
  const [by = '', ...shown] = call.args
  let best: string | undefined
  let found = ''
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
