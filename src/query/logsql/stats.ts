/** LogsQL's stats functions: each gathers over the rows of a group. Source: docs/logs.md (the VictoriaLogs part). */
import type { StatsCall } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { compareValues, type RowTest } from './filter.ts'
import type { Fields, FieldSource } from './row.ts'

export interface Gatherer {
  add(row: FieldSource, fields: () => Fields): void
  result(): string
}

/** As VictoriaLogs prints numbers: the shortest decimal; NaN where there is nothing. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}

const valuesMax = 1_000_000

/** `seconds`: the length of the time that is looked at, for rates. */
export function makeGatherer(call: StatsCall, condition: RowTest | undefined, seconds: number): Gatherer {
  const inner = makeInner(call, seconds)
  return condition === undefined
    ? inner
    : {
        add: (row, fields) => {
          if (condition(row)) inner.add(row, fields)
        },
        result: () => inner.result(),
      }
}

function valuesOf(call: StatsCall, row: FieldSource, fields: () => Fields): string[] {
  if (call.args.length === 0) return [...fields().values()]
  return call.args.flatMap(name =>
    name.endsWith('*')
      ? [...fields()].filter(([n]) => n.startsWith(name.slice(0, -1))).map(([, v]) => v)
      : [row.get(name)],
  )
}

function makeInner(call: StatsCall, seconds: number): Gatherer {
  const numbers =
    (each: (value: number) => void): Gatherer['add'] =>
    (row, fields) => {
      for (const text of valuesOf(call, row, fields)) {
        const value = toNumber(text)
        if (!Number.isNaN(value)) each(value)
      }
    }
  switch (call.name) {
    case 'count': {
      let count = 0
      return {
        add: (row, fields) => {
          if (call.args.length === 0 || valuesOf(call, row, fields).some(v => v !== '')) count++
        },
        result: () => String(count),
      }
    }
    case 'count_empty': {
      let count = 0
      return {
        add: (row, fields) => {
          if (valuesOf(call, row, fields).every(v => v === '')) count++
        },
        result: () => String(count),
      }
    }
    case 'count_uniq':
    case 'count_uniq_hash': {
      const seen = new Set<string>()
      return {
        add: (row, fields) => {
          const values = valuesOf(call, row, fields)
          if (values.some(v => v !== '') && seen.size < (call.limit ?? Infinity)) seen.add(values.join('\0'))
        },
        result: () => String(seen.size),
      }
    }
    case 'sum': {
      let sum = NaN
      return {
        add: numbers(v => {
          sum = Number.isNaN(sum) ? v : sum + v
        }),
        result: () => numberText(sum),
      }
    }
    case 'sum_len': {
      let sum = 0
      return {
        add: (row, fields) => {
          for (const v of valuesOf(call, row, fields)) sum += Buffer.byteLength(v)
        },
        result: () => String(sum),
      }
    }
    case 'rate': {
      let count = 0
      return {
        add: () => {
          count++
        },
        result: () => numberText(count / seconds),
      }
    }
    case 'rate_sum': {
      let sum = 0
      return {
        add: numbers(v => {
          sum += v
        }),
        result: () => numberText(sum / seconds),
      }
    }
    case 'avg': {
      let sum = 0,
        count = 0
      return {
        add: numbers(v => {
          sum += v
          count++
        }),
        result: () => numberText(sum / count),
      }
    }
    case 'stddev': {
      let mean = 0,
        squares = 0,
        count = 0
      return {
        add: numbers(v => {
          count++
          const d = v - mean
          mean += d / count
          squares += d * (v - mean)
        }),
        result: () => numberText(count === 0 ? NaN : Math.sqrt(squares / count)),
      }
    }
    case 'min':
    case 'max': {
      let best: string | undefined
      const sign = call.name === 'min' ? 1 : -1
      return {
        add: (row, fields) => {
          for (const v of valuesOf(call, row, fields))
            if (v !== '' && (best === undefined || sign * compareValues(v, best) < 0)) best = v
        },
        result: () => best ?? '',
      }
    }
    case 'median':
    case 'quantile': {
      const all: string[] = []
      const q = call.name === 'median' ? 0.5 : (call.parameter ?? 0.5)
      return {
        add: (row, fields) => {
          for (const v of valuesOf(call, row, fields)) if (v !== '' && all.length < valuesMax) all.push(v)
        },
        result: () => {
          if (all.length === 0) return ''
          all.sort(compareValues)
          return all[Math.max(0, Math.min(all.length - 1, Math.floor(q * all.length)))]!
        },
      }
    }
    case 'uniq_values': {
      const seen = new Set<string>()
      return {
        add: (row, fields) => {
          for (const v of valuesOf(call, row, fields))
            if (v !== '' && seen.size < Math.min(valuesMax, call.limit ?? Infinity)) seen.add(v)
        },
        result: () => JSON.stringify([...seen].sort(compareValues)),
      }
    }
    case 'values': {
      const all: string[] = []
      return {
        add: (row, fields) => {
          for (const v of valuesOf(call, row, fields))
            if (all.length < Math.min(valuesMax, call.limit ?? Infinity)) all.push(v)
        },
        result: () => JSON.stringify(all),
      }
    }
    case 'json_values': {
      const all: string[] = []
      return {
        add: (row, fields) => {
          if (all.length < Math.min(10_000, call.limit ?? Infinity)) all.push(rowJson(call.args, row, fields))
        },
        result: () => `[${all.join(',')}]`,
      }
    }
    case 'first': {
      let found: string | undefined
      return {
        add: (row, fields) => {
          found ??= valuesOf(call, row, fields)[0] ?? ''
        },
        result: () => found ?? '',
      }
    }
    case 'last': {
      let found = ''
      return {
        add: (row, fields) => {
          found = valuesOf(call, row, fields).at(-1) ?? ''
        },
        result: () => found,
      }
    }
    case 'row_any': {
      let found = ''
      return {
        add: (row, fields) => {
          if (found === '') found = rowJson(call.args, row, fields)
        },
        result: () => found,
      }
    }
    case 'row_min':
    case 'row_max': {
      const [by = '', ...rest] = call.args
      let best: string | undefined,
        found = ''
      const sign = call.name === 'row_min' ? 1 : -1
      return {
        add: (row, fields) => {
          const v = row.get(by)
          if (v !== '' && (best === undefined || sign * compareValues(v, best) < 0)) {
            best = v
            found = rowJson(rest, row, fields)
          }
        },
        result: () => found,
      }
    }
    default:
      return histogram(call)
  }
}

function rowJson(names: readonly string[], row: FieldSource, fields: () => Fields): string {
  return JSON.stringify(
    names.length === 0 ? Object.fromEntries(fields()) : Object.fromEntries(names.map(name => [name, row.get(name)])),
  )
}

/** Buckets as VictoriaMetrics' histograms have them: 18 a decade. */
function histogram(call: StatsCall): Gatherer {
  const buckets = new Map<number, number>()
  let zeros = 0
  return {
    add: (row, fields) => {
      for (const text of valuesOf(call, row, fields)) {
        const value = toNumber(text)
        if (Number.isNaN(value) || value < 0) continue
        if (value < 1e-9) {
          zeros++
          continue
        }
        const index = Math.ceil(Math.log10(value) * 18 - 1e-9) - 1
        buckets.set(index, (buckets.get(index) ?? 0) + 1)
      }
    },
    result: () => {
      const edge = (index: number): string => (10 ** (index / 18)).toExponential(3)
      const parts = [...buckets]
        .sort((a, b) => a[0] - b[0])
        .map(([index, hits]) => ({ vmrange: `${edge(index)}...${edge(index + 1)}`, hits }))
      return JSON.stringify(zeros > 0 ? [{ vmrange: '0...1.000e-09', hits: zeros }, ...parts] : parts)
    },
  }
}
