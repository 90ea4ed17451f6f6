/** A window of samples to a number. Source: docs/logs.md. */
import type { RangeOp } from '#lang/logql/ast.ts'

/**
 * Samples [from, to) in order of time (nanoseconds from the first step); `end` is the window's end. There is one at
 * least.
 */
export type WindowFunction = (
  times: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
  end: number,
) => number

/** The function of an operator over the samples of one window. */
export function windowFunction(op: RangeOp, parameter: number, rangeNs: number): WindowFunction {
  const seconds = rangeNs / 1e9
  switch (op) {
    case 'count_over_time':
      return (_t, _v, from, to) => to - from
    case 'sum_over_time':
      return (_t, values, from, to) => sum(values, from, to)
    case 'rate':
      return (_t, values, from, to) => sum(values, from, to) / seconds
    case 'avg_over_time':
      return (_t, values, from, to) => mean(values, from, to)
    case 'min_over_time':
      return (_t, values, from, to) => extreme(values, from, to, (a, b) => a < b)
    case 'max_over_time':
      return (_t, values, from, to) => extreme(values, from, to, (a, b) => a > b)
    case 'first_over_time':
      return (_t, values, from) => values[from]!
    case 'last_over_time':
      return (_t, values, _from, to) => values[to - 1]!
    case 'stdvar_over_time':
      return (_t, values, from, to) => variance(values, from, to)
    case 'stddev_over_time':
      return (_t, values, from, to) => Math.sqrt(variance(values, from, to))
    case 'quantile_over_time':
      return (_t, values, from, to) => quantile(parameter, values.slice(from, to))
    case 'rate_counter':
      return (times, values, from, to, end) => rateCounter(times, values, from, to, end, rangeNs)
    default:
      return (_t, _v, from, to) => to - from
  }
}

function sum(values: Float64Array, from: number, to: number): number {
  let total = 0
  for (let i = from; i < to; i++) total += values[i]!
  return total
}

function mean(values: Float64Array, from: number, to: number): number {
  let average = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    // An infinite mean stays what it is, unless it meets the other infinity or NaN.
    if (Number.isFinite(average) || !(average === value || Number.isFinite(value)))
      average +=
        Number.isFinite(average) && !Number.isFinite(value) ? value : value / (i - from + 1) - average / (i - from + 1)
  }
  return average
}

function extreme(values: Float64Array, from: number, to: number, isBetter: (a: number, b: number) => boolean): number {
  let best = values[from]!
  for (let i = from + 1; i < to; i++) if (isBetter(values[i]!, best) || Number.isNaN(best)) best = values[i]!
  return best
}

function variance(values: Float64Array, from: number, to: number): number {
  let average = 0
  let squares = 0
  for (let i = from; i < to; i++) {
    const delta = values[i]! - average
    average += delta / (i - from + 1)
    squares += delta * (values[i]! - average)
  }
  return squares / (to - from)
}

/** Linear between neighbours; below 0 and above 1 infinite. */
export function quantile(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return NaN
  if (q < 0) return -Infinity
  if (q > 1) return Infinity
  values.sort()
  const rank = q * (values.length - 1)
  const lower = Math.max(0, Math.floor(rank))
  const upper = Math.min(values.length - 1, lower + 1)
  const weight = rank - Math.floor(rank)
  return values[lower]! * (1 - weight) + values[upper]! * weight
}

function rateCounter(
  times: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
  end: number,
  rangeNs: number,
): number {
  if (to - from < 2) return 0
  const first = values[from]!
  const last = values[to - 1]!
  let increase = last - first
  for (let i = from + 1; i < to; i++) if (values[i]! < values[i - 1]!) increase += values[i - 1]!
  let durationToStart = (times[from]! - (end - rangeNs)) / 1e9
  let durationToEnd = (end - times[to - 1]!) / 1e9
  const sampled = (times[to - 1]! - times[from]!) / 1e9
  const gap = sampled / (to - from - 1)
  const threshold = gap * 1.1
  if (durationToStart >= threshold) durationToStart = gap / 2
  // A counter does not begin below zero.
  if (increase > 0 && first >= 0) durationToStart = Math.min(durationToStart, sampled * (first / increase))
  if (durationToEnd >= threshold) durationToEnd = gap / 2
  return (increase * ((sampled + durationToStart + durationToEnd) / sampled)) / (rangeNs / 1e9)
}
