/** The Histogram message that remote write 1.0 and 2.0 and remote read share. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, skipField } from '#codec/protobuf.ts'
import {
  FloatHistogram,
  bucketsFromSpans,
  customBucketsSchema,
  type Buckets,
  type ResetHint,
  type Span,
} from '#model/histogram.ts'
import { problemOfSpans } from '#model/histogram-validation.ts'
import { staleHigh, staleLow } from '#model/sample-columns.ts'
import type { WriteBatch } from '#model/write-batch.ts'

/** Buckets of one sign as the message has them. Integer histograms have deltas, float histograms counts. */
interface BucketFields {
  spans: Span[]
  deltas: number[]
  counts: number[]
}

/**
 * Adds a Histogram message, which reaches to the end of `input`, to a batch; one that contradicts itself is refused
 * by itself. Throws CorruptDataError where the bytes are no such message.
 */
export function readHistogram(input: ByteReader, series: number, batch: WriteBatch): void {
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
  if (h.stale) {
    batch.addHistogram(series, timeMs, startMs, staleHistogram(h.integer))
    return
  }
  const problem = problemOf(positive, h, 'positive') ?? problemOf(negative, h, 'negative')
  if (problem !== undefined) {
    batch.refuseHistogram(series, problem)
    return
  }
  h.positive = bucketsOf(positive, h.integer)
  h.negative = bucketsOf(negative, h.integer)
  if (h.schema === customBucketsSchema || bounds.length > 0) h.customValues = bounds
  batch.addHistogram(series, timeMs, startMs, h)
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
function problemOf(fields: BucketFields, h: FloatHistogram, sign: 'positive' | 'negative'): string | undefined {
  const found = h.integer ? fields.deltas.length : fields.counts.length
  return problemOfSpans(fields.spans, found, sign, h.schema === customBucketsSchema)
}

function bucketsOf({ spans, deltas, counts }: BucketFields, isInteger: boolean): Buckets {
  return bucketsFromSpans(spans, isInteger ? absolute(deltas) : counts)
}

function zigzag(raw: number): number {
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
}

function absolute(deltas: readonly number[]): number[] {
  let total = 0
  return deltas.map(delta => (total += delta))
}

function readSpan(input: ByteReader): Span {
  const end = input.readLength() + input.at
  const span: Span = { offset: 0, length: 0 }
  while (input.at < end) {
    const tag = input.readUvarint()
    if (tag === 0x08) span.offset = zigzag(input.readUvarint())
    else if (tag === 0x10) span.length = input.readUvarint()
    else skipField(input, tag)
  }
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
