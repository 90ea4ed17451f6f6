/**
 * What a native histogram must be before anything keeps it: the rules of Prometheus' validation of integer and float
 * histograms. A block with a histogram that breaks one of them can end a Prometheus that reads it.
 */
import { customBucketsSchema, type Buckets, type FloatHistogram, type Span } from './histogram.ts'

/** Schemas of exponential buckets. */
export const schemaMin = -4
export const schemaMax = 8

/** Buckets of one sign that a message may name. */
export const bucketsMax = 100_000
const indexMax = 2 ** 31 - 1

/** Why no store may hold a histogram; undefined: nothing is wrong with it. A staleness marker is always right. */
export function problemOfHistogram(h: FloatHistogram): string | undefined {
  if (h.stale) return undefined
  return (
    problemOfSchema(h.schema) ??
    (h.schema === customBucketsSchema ? problemOfCustom(h) : problemOfExponential(h)) ??
    problemOfBuckets(h.positive, 'positive') ??
    problemOfBuckets(h.negative, 'negative') ??
    (h.integer ? problemOfCounts(h) : undefined)
  )
}

/** The same for spans as messages have them; `found` buckets came with them. */
export function problemOfSpans(
  spans: readonly Span[],
  found: number,
  sign: 'positive' | 'negative',
  isCustom: boolean,
): string | undefined {
  let wanted = 0
  for (const [i, { offset, length }] of spans.entries()) {
    if (offset < 0 && (i > 0 || isCustom))
      return `${sign} side: span number ${i + 1} has the offset ${offset}: a span whose offset is negative`
    if (length > bucketsMax) return `${sign} side: a span of ${length} buckets, the limit is ${bucketsMax}`
    wanted += length
  }
  if (wanted !== found) return `${sign} side: the ${sign} spans need ${wanted} buckets, there are ${found}`
  return undefined
}

function problemOfSchema(schema: number): string | undefined {
  if (schema === customBucketsSchema || (Number.isInteger(schema) && schema >= schemaMin && schema <= schemaMax))
    return undefined
  return `schema ${schema} is not known; ${schemaMin} to ${schemaMax} and ${customBucketsSchema} are`
}

function problemOfCustom(h: FloatHistogram): string | undefined {
  const bounds = h.customValues ?? []
  let before = -Infinity
  for (const bound of bounds) {
    if (!(bound > before)) return `custom bounds must rise: ${bound} comes after ${before}`
    before = bound
  }
  if (before === Infinity) return 'the last +Inf bound must not be explicitly defined'
  const last = h.positive.index.at(-1) ?? -1
  if (last > bounds.length)
    return `only ${bounds.length} custom bounds defined, which is not enough for ${last + 1} buckets`
  if ((h.positive.index[0] ?? 0) < 0) return 'custom buckets begin before their first bound: a negative offset'
  if (h.zeroCount !== 0) return `custom buckets must have zero count of 0, not ${h.zeroCount}`
  if (h.zeroThreshold !== 0) return `custom buckets must have zero threshold of 0, not ${h.zeroThreshold}`
  return h.negative.index.length > 0 ? 'custom buckets must not have negative spans or buckets' : undefined
}

function problemOfExponential({ customValues }: FloatHistogram): string | undefined {
  return customValues !== undefined && customValues.length > 0
    ? 'exponential buckets must not have custom bounds'
    : undefined
}

function problemOfBuckets({ index, count }: Buckets, sign: string): string | undefined {
  if (index.length !== count.length)
    return `${sign} side: ${index.length} buckets are named, there are ${count.length} counts`
  for (let i = 0; i < index.length; i++) {
    if (i > 0 && index[i]! <= index[i - 1]!)
      return `${sign} side: bucket ${index[i]} comes after bucket ${index[i - 1]}: a span whose offset is negative`
    if (Math.abs(index[i]!) > indexMax) return `${sign} side: bucket ${index[i]} is beyond the limit of ${indexMax}`
    if (count[i]! < 0) return `${sign} side: bucket number ${i + 1} has the negative count ${count[i]}`
  }
  return undefined
}

/** Observations that are no number are in the count and in no bucket: then the sum is NaN. */
function problemOfCounts({ positive, negative, zeroCount, count, sum }: FloatHistogram): string | undefined {
  let total = 0
  for (const counts of [[zeroCount], positive.count, negative.count])
    for (const one of counts) {
      if (!Number.isInteger(one)) return `${one} observations are no whole number`
      total += one
    }
  const isRight = Number.isNaN(sum) ? total <= count : total === count
  return isRight ? undefined : `${total} observations in buckets, the count is ${count}`
}
