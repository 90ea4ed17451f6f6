/** Statistics of samples that come from noisy machines. Why these: docs/ci-gate.md. */
import { below, type Random } from '#core/random.ts'

/** Of numbers in rising order: the value below which `share` of them lie; NaN of none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return NaN
  const at = (sorted.length - 1) * share
  const lower = sorted[Math.floor(at)]!
  const upper = sorted[Math.ceil(at)]!
  return lower + (upper - lower) * (at - Math.floor(at))
}

export function sorted(values: Iterable<number>): Float64Array {
  return Float64Array.from(values).sort()
}

export function median(values: Iterable<number>): number {
  return quantile(sorted(values), 0.5)
}

/** How far the values lie from their median: of a normal distribution its standard deviation. */
export function spreadOf(values: readonly number[]): number {
  const middle = median(values)
  return 1.4826 * median(values.map(value => Math.abs(value - middle)))
}

const replicates = 200
/** Blocks of a run: enough to vary, and long enough that a pause or a busy minute is within one. */
const blocksMax = 16
const perBlock = 4

/**
 * The standard error of a quantile of values in the order of time. Blocks of neighbours are drawn, not single values:
 * a pause of the collector or a busy minute slows neighbours together, and single values would look more certain than
 * they are.
 */
export function quantileError(values: readonly number[], share: number, random: Random): number {
  const count = Math.max(2, Math.min(blocksMax, Math.floor(values.length / perBlock)))
  const starts = Array.from({ length: count + 1 }, (_, i) => Math.round((i * values.length) / count))
  const drawn: number[] = []
  const estimates = Array.from({ length: replicates }, () => {
    drawn.length = 0
    for (let i = 0; i < count; i++) {
      const block = below(random, count)
      for (let at = starts[block]!; at < starts[block + 1]!; at++) drawn.push(values[at]!)
    }
    return quantile(sorted(drawn), share)
  })
  const ordered = sorted(estimates)
  const drawnError = (quantile(ordered, 0.84) - quantile(ordered, 0.16)) / 2
  // Few blocks vary less than the values of their run do.
  const byBlocks = drawnError * Math.sqrt(count / (count - 1))
  // Of the median of independent values that are about normal.
  const bySpread = share === 0.5 ? (1.2533 * spreadOf(values)) / Math.sqrt(values.length) : 0
  return Math.max(byBlocks, bySpread)
}

/** How many standard deviations a normal value exceeds with this probability (below a half). */
export function deviationsOf(probability: number): number {
  // Abramowitz and Stegun 26.2.23: off by 0.00045 at most.
  const t = Math.sqrt(-2 * Math.log(probability))
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
}

/**
 * By how many standard deviations something happened more often in head than it would if nothing had changed: to
 * `headCount` of `headOf`, and to `baseCount` of `baseOf`, each once at most. The variance is that of drawing head's
 * from all (hypergeometric).
 */
export function shareGrowthDeviations(baseCount: number, baseOf: number, headCount: number, headOf: number): number {
  const all = baseOf + headOf
  const happened = (baseCount + headCount) / all
  const variance = (headOf * happened * (1 - happened) * baseOf) / Math.max(1, all - 1)
  return variance <= 0 ? 0 : (headCount - 0.5 - headOf * happened) / Math.sqrt(variance)
}

/** The same of what can happen any number of times, as log lines: `baseOf` and `headOf` say how much went on. */
export function countGrowthDeviations(baseCount: number, baseOf: number, headCount: number, headOf: number): number {
  const share = headOf / (baseOf + headOf)
  const all = baseCount + headCount
  const variance = all * share * (1 - share)
  return variance <= 0 ? 0 : (headCount - 0.5 - all * share) / Math.sqrt(variance)
}
