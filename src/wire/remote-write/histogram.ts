/** The Histogram message that remote write 1.0 and 2.0 and remote read share. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, skipField } from '#codec/protobuf.ts'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import {
  FloatHistogram,
  bucketsFromSpans,
  customBucketsSchema,
  type Buckets,
  type ResetHint,
  type Span,
} from '#model/histogram.ts'
import { staleHigh, staleLow } from '#model/sample-columns.ts'

/** Buckets of one sign as the message has them. Integer histograms have deltas, float histograms counts. */
interface BucketFields {
  spans: Span[]
  deltas: number[]
  counts: number[]
}

/** A Histogram message that reaches to the end of `input`. Throws CorruptDataError or BadDataError. */
export function readHistogram(input: ByteReader): { histogram: FloatHistogram; timeMs: number; startMs: number } {
  const h = new FloatHistogram()
  let timeMs = 0
  let startMs = 0
  const positive: BucketFields = { spans: [], deltas: [], counts: [] }
  const negative: BucketFields = { spans: [], deltas: [], counts: [] }
  const bounds: number[] = []
  while (input.at < input.end) {
    const tag = input.readUvarint()
    switch (tag) {
      case 0x08:
        h.count = input.readUvarint()
        h.integer = true
        break
      case 0x11:
        h.count = readF64(input)
        break
      case 0x19:
        h.sum = readF64(input)
        h.stale = isStaleAt(input, input.at - 8)
        break
      case 0x20:
        h.schema = zigzag(input.readUvarint())
        break
      case 0x29:
        h.zeroThreshold = readF64(input)
        break
      case 0x30:
        h.zeroCount = input.readUvarint()
        break
      case 0x39:
        h.zeroCount = readF64(input)
        break
      case 0x70:
        h.hint = (input.readUvarint() & 3) as ResetHint
        break
      case 0x78:
        timeMs = readInt64(input)
        break
      case 0x82:
        readPackedDoubles(input, bounds)
        break
      case 0x88:
        startMs = readInt64(input)
        break
      default:
        if (!readBucketField(input, tag, positive, negative)) skipField(input, tag)
    }
  }
  if (h.stale) return { histogram: staleHistogram(h.integer), timeMs, startMs }
  h.positive = bucketsOf(positive, h.integer, 'positive')
  h.negative = bucketsOf(negative, h.integer, 'negative')
  if (h.schema === customBucketsSchema) h.customValues = bounds
  validate(h)
  return { histogram: h, timeMs, startMs }
}

/** False: the field is none of the buckets'. */
function readBucketField(input: ByteReader, tag: number, positive: BucketFields, negative: BucketFields): boolean {
  switch (tag) {
    case 0x42:
      negative.spans.push(readSpan(input))
      return true
    case 0x48:
      negative.deltas.push(zigzag(input.readUvarint()))
      return true
    case 0x4a:
      readPackedVarints(input, negative.deltas)
      return true
    case 0x52:
      readPackedDoubles(input, negative.counts)
      return true
    case 0x5a:
      positive.spans.push(readSpan(input))
      return true
    case 0x60:
      positive.deltas.push(zigzag(input.readUvarint()))
      return true
    case 0x62:
      readPackedVarints(input, positive.deltas)
      return true
    case 0x6a:
      readPackedDoubles(input, positive.counts)
      return true
    default:
      return false
  }
}

function readF64(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return input.view.getFloat64(input.at - 8, true)
}

function isStaleAt({ view }: ByteReader, at: number): boolean {
  return view.getUint32(at, true) === staleLow && view.getUint32(at + 4, true) === staleHigh
}

function staleHistogram(isInteger: boolean): FloatHistogram {
  const stale = new FloatHistogram()
  stale.stale = true
  stale.integer = isInteger
  return stale
}

/** The lengths are compared before the buckets are laid out: a few bytes of spans can name millions of buckets. */
function bucketsOf(fields: BucketFields, isInteger: boolean, sign: 'positive' | 'negative'): Buckets {
  const wanted = fields.spans.reduce((sum, span) => sum + span.length, 0)
  const found = isInteger ? fields.deltas.length : fields.counts.length
  if (wanted !== found)
    throw new BadDataError(`histogram: the ${sign} spans need ${wanted} buckets, there are ${found}`)
  return bucketsFromSpans(fields.spans, isInteger ? absolute(fields.deltas) : fields.counts)
}

/** What Prometheus refuses beyond that: an unknown schema, counts that contradict each other, unsorted bounds. */
function validate(h: FloatHistogram): void {
  if (h.schema !== customBucketsSchema && (h.schema < -4 || h.schema > 8))
    throw new BadDataError(`histogram: schema ${h.schema} is not known; -4 to 8 and -53 are`)
  let total = h.zeroCount
  for (const counts of [h.positive.count, h.negative.count]) {
    for (const count of counts) {
      if (count < 0) throw new BadDataError(`histogram: a bucket has the negative count ${count}`)
      total += count
    }
  }
  if (h.integer && (Number.isNaN(h.sum) ? total > h.count : total !== h.count))
    throw new BadDataError(`histogram: ${total} observations in buckets, the count is ${h.count}`)
  const bounds = h.customValues
  if (bounds !== undefined)
    for (let i = 1; i < bounds.length; i++)
      if (!(bounds[i]! > bounds[i - 1]!)) throw new BadDataError('histogram: custom bounds must rise')
}

function zigzag(raw: number): number {
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
}

function absolute(deltas: readonly number[]): number[] {
  let total = 0
  return deltas.map(delta => (total += delta))
}

const bucketsMax = 100_000

function readSpan(input: ByteReader): Span {
  const end = input.readLength() + input.at
  const span: Span = { offset: 0, length: 0 }
  while (input.at < end) {
    const tag = input.readUvarint()
    if (tag === 0x08) span.offset = zigzag(input.readUvarint())
    else if (tag === 0x10) span.length = input.readUvarint()
    else skipField(input, tag)
  }
  if (span.length > bucketsMax)
    throw new CorruptDataError(`histogram: a span of ${span.length} buckets, the limit is ${bucketsMax}`)
  return span
}

function readPackedVarints(input: ByteReader, into: number[]): void {
  const end = input.readLength() + input.at
  while (input.at < end) into.push(zigzag(input.readUvarint()))
}

function readPackedDoubles(input: ByteReader, into: number[]): void {
  const end = input.readLength() + input.at
  while (input.at < end) into.push(readF64(input))
}
