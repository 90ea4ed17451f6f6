/** Histograms of which only the count and the sum are used, with what is known of resets. */
import { FloatHistogram, resetHint, type ResetHint } from '#model/histogram.ts'
import type { SampleColumns } from '#model/sample-columns.ts'

/**
 * Puts counts and sums in place of the histograms of a series. Without buckets nothing can be compared later, so each
 * is compared now with the one before it, as far as that one lies behind `fromMs`.
 */
export function keepStats(columns: SampleColumns, fromMs: number): void {
  const { histograms, timesMs, count } = columns
  if (histograms === undefined) return
  let previous: FloatHistogram | undefined
  for (let i = 0; i < count; i++) {
    const histogram = histograms[i]
    if (histogram === undefined || histogram.stale || timesMs[i]! < fromMs) continue
    histograms[i] = statsOf(histogram, hintOf(histogram, previous))
    previous = histogram
  }
}

function hintOf(histogram: FloatHistogram, previous: FloatHistogram | undefined): ResetHint {
  if (histogram.hint !== resetHint.unknown || previous === undefined) return histogram.hint
  return histogram.detectReset(previous) ? resetHint.reset : resetHint.noReset
}

function statsOf({ schema, count, sum }: FloatHistogram, hint: ResetHint): FloatHistogram {
  const stats = new FloatHistogram()
  stats.schema = schema
  stats.count = count
  stats.sum = sum
  stats.hint = hint
  return stats
}
