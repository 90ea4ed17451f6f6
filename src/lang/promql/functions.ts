/**
 * Signatures of PromQL's functions. A row here does not compile until query/promql/functions.ts evaluates it; functions
 * of ranges get there from range-functions.ts.
 */
import type { ValueType } from './value-type.ts'

export interface Signature {
  args: readonly ValueType[]
  /**
   * 0: exactly `args`; n > 0: the last argument may be missing or come up to n times; -1: may be missing or repeated
   * at will.
   */
  variadic: number
  returns: ValueType
}

const v = (args: readonly ValueType[], variadic = 0): Signature => ({ args, variadic, returns: 'vector' })
const overTime = v(['matrix'])
const math = v(['vector'])
const date = v(['vector'], 1)
const pair: Signature = { args: ['scalar', 'scalar'], variadic: 0, returns: 'scalar' }
const constant: Signature = { args: [], variadic: 0, returns: 'scalar' }

export const functions = {
  abs: math,
  absent: math,
  absent_over_time: overTime,
  acos: math,
  acosh: math,
  asin: math,
  asinh: math,
  atan: math,
  atanh: math,
  avg_over_time: overTime,
  ceil: math,
  changes: overTime,
  clamp: v(['vector', 'scalar', 'scalar']),
  clamp_max: v(['vector', 'scalar']),
  clamp_min: v(['vector', 'scalar']),
  cos: math,
  cosh: math,
  count_over_time: overTime,
  days_in_month: date,
  day_of_month: date,
  day_of_week: date,
  day_of_year: date,
  deg: math,
  delta: overTime,
  deriv: overTime,
  end: constant,
  exp: math,
  first_over_time: overTime,
  floor: math,
  histogram_avg: math,
  histogram_count: math,
  histogram_sum: math,
  histogram_stddev: math,
  histogram_stdvar: math,
  histogram_fraction: v(['scalar', 'scalar', 'vector']),
  histogram_quantile: v(['scalar', 'vector']),
  histogram_quantiles: v(['vector', 'string', 'scalar', 'scalar'], 10),
  double_exponential_smoothing: v(['matrix', 'scalar', 'scalar']),
  hour: date,
  idelta: overTime,
  increase: overTime,
  info: v(['vector', 'vector'], 1),
  irate: overTime,
  label_replace: v(['vector', 'string', 'string', 'string', 'string']),
  label_join: v(['vector', 'string', 'string', 'string'], -1),
  last_over_time: overTime,
  ln: math,
  log10: math,
  log2: math,
  mad_over_time: overTime,
  max_of: pair,
  max_over_time: overTime,
  min_of: pair,
  min_over_time: overTime,
  minute: date,
  month: date,
  pi: constant,
  predict_linear: v(['matrix', 'scalar']),
  present_over_time: overTime,
  quantile_over_time: v(['scalar', 'matrix']),
  rad: math,
  range: constant,
  rate: overTime,
  resets: overTime,
  round: v(['vector', 'scalar'], 1),
  scalar: { args: ['vector'], variadic: 0, returns: 'scalar' },
  sgn: math,
  sin: math,
  sinh: math,
  sort: math,
  sort_by_label: v(['vector', 'string'], -1),
  sort_by_label_desc: v(['vector', 'string'], -1),
  sort_desc: math,
  sqrt: math,
  start: constant,
  start_timestamp: math,
  stddev_over_time: overTime,
  stdvar_over_time: overTime,
  step: constant,
  sum_over_time: overTime,
  tan: math,
  tanh: math,
  time: constant,
  timestamp: math,
  ts_of_first_over_time: overTime,
  ts_of_last_over_time: overTime,
  ts_of_max_over_time: overTime,
  ts_of_min_over_time: overTime,
  vector: v(['scalar']),
  year: date,
} as const satisfies Record<string, Signature>

export type FunctionName = keyof typeof functions

export function isFunctionName(name: string): name is FunctionName {
  return Object.hasOwn(functions, name)
}
export function signatureOf(name: FunctionName): Signature {
  return functions[name]
}
