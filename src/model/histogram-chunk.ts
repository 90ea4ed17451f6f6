/** Native histograms to and from the columns of their chunks. */
import { FloatHistogram, bucketsFromSpans, resetHint, spansOf, type ResetHint } from './histogram.ts'

/** What codec/histogram-chunk.ts gives and takes, structurally. */
interface ChunkSample {
  timeMs: number
  startMs: number
  stale: boolean
  count: number
  zeroCount: number
  sum: number
  positive: readonly number[]
  negative: readonly number[]
}
interface ChunkLayout {
  schema: number
  zeroThreshold: number
  positiveSpans: readonly { offset: number; length: number }[]
  negativeSpans: readonly { offset: number; length: number }[]
  customValues: readonly number[] | undefined
}

/** The histogram of sample `i`; the chunk's flag speaks for the first sample, the others follow without a reset. */
export function histogramFromChunk(
  layout: ChunkLayout,
  sample: ChunkSample,
  i: number,
  flag: 0 | 1 | 2 | 3,
  integer: boolean,
): FloatHistogram {
  const h = new FloatHistogram()
  h.integer = integer
  if (sample.stale) {
    h.stale = true
    return h
  }
  h.schema = layout.schema
  h.zeroThreshold = layout.zeroThreshold
  h.count = sample.count
  h.zeroCount = sample.zeroCount
  h.sum = sample.sum
  h.positive = bucketsFromSpans(layout.positiveSpans, sample.positive)
  h.negative = bucketsFromSpans(layout.negativeSpans, sample.negative)
  h.customValues = layout.customValues
  h.hint = flag === 3 ? resetHint.gauge : i > 0 ? resetHint.noReset : flag === 2 ? resetHint.reset : resetHint.unknown
  return h
}

/** What samples of one chunk must share. */
export function layoutOf(h: FloatHistogram): ChunkLayout {
  return {
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    positiveSpans: spansOf(h.positive),
    negativeSpans: spansOf(h.negative),
    customValues: h.customValues,
  }
}

/** A histogram as a chunk's sample. */
export function sampleOf(h: FloatHistogram, timeMs: number, startMs: number): ChunkSample {
  return {
    timeMs,
    startMs,
    stale: h.stale,
    count: h.count,
    zeroCount: h.zeroCount,
    sum: h.sum,
    positive: h.positive.count,
    negative: h.negative.count,
  }
}

/** Can both be in one chunk? */
export function sameLayout(a: FloatHistogram, b: FloatHistogram): boolean {
  return (
    a.schema === b.schema &&
    a.zeroThreshold === b.zeroThreshold &&
    a.integer === b.integer &&
    sameList(a.positive.index, b.positive.index) &&
    sameList(a.negative.index, b.negative.index) &&
    sameList(a.customValues ?? [], b.customValues ?? [])
  )
}

function sameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}

/** How many consecutive samples from `from` on fit into one chunk, and the chunk's flag. */
export function chunkRun(
  histograms: readonly FloatHistogram[],
  from: number,
  samplesMax: number,
): { to: number; flag: 0 | 1 | 2 | 3 } {
  const first = histograms[from]!
  const gauge = first.hint === resetHint.gauge
  let to = from + 1
  while (to < histograms.length && to - from < samplesMax) {
    const next = histograms[to]!
    const previous = histograms[to - 1]!
    if (previous.stale !== next.stale && previous.stale) break
    if (!next.stale) {
      if (!sameLayout(first, next) || (next.hint === resetHint.gauge) !== gauge) break
      if (!gauge && fell(previous, next)) break
    }
    to++
  }
  const hint: ResetHint = first.hint
  const before = from > 0 ? histograms[from - 1]! : undefined
  const flag = gauge
    ? 3
    : hint === resetHint.reset
      ? 2
      : before !== undefined &&
          !before.stale &&
          !first.stale &&
          before.hint !== resetHint.gauge &&
          asUnknown(first).detectReset(asUnknown(before))
        ? 2
        : hint === resetHint.noReset
          ? 1
          : 0
  return { to, flag }
}

function asUnknown(h: FloatHistogram): FloatHistogram {
  const copy = h.copy()
  copy.hint = resetHint.unknown
  return copy
}

/** Did any count of the same layout go down? */
function fell(before: FloatHistogram, after: FloatHistogram): boolean {
  if (after.hint === resetHint.reset || after.count < before.count || after.zeroCount < before.zeroCount) return true
  return (
    after.positive.count.some((count, i) => count < before.positive.count[i]!) ||
    after.negative.count.some((count, i) => count < before.negative.count[i]!)
  )
}
