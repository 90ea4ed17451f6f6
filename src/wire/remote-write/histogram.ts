/** The Histogram message that remote write 1.0 and 2.0 and remote read share. */
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, skipField } from '#codec/protobuf.ts'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { FloatHistogram, bucketsFromSpans, customBucketsSchema, type ResetHint, type Span } from '#model/histogram.ts'

const staleHigh = 0x7ff00000
const staleLow = 2

export function readHistogram(input: ByteReader): { histogram: FloatHistogram; timeMs: number; startMs: number } {
  const h = new FloatHistogram()
  const { view } = input
  let timeMs = 0,
    startMs = 0
  const positiveSpans: Span[] = [],
    negativeSpans: Span[] = []
  const positiveDeltas: number[] = [],
    negativeDeltas: number[] = [],
    positiveCounts: number[] = [],
    negativeCounts: number[] = [],
    bounds: number[] = []
  const readF64 = (): number => {
    input.need(8)
    input.at += 8
    return view.getFloat64(input.at - 8, true)
  }
  while (input.at < input.end) {
    const tag = input.readUvarint()
    switch (tag) {
      case 0x08:
        h.count = input.readUvarint()
        h.integer = true
        break
      case 0x11:
        h.count = readF64()
        break
      case 0x19:
        input.need(8)
        h.stale = view.getUint32(input.at, true) === staleLow && view.getUint32(input.at + 4, true) === staleHigh
        h.sum = readF64()
        break
      case 0x20:
        h.schema = zigzag(input.readUvarint())
        break
      case 0x29:
        h.zeroThreshold = readF64()
        break
      case 0x30:
        h.zeroCount = input.readUvarint()
        break
      case 0x39:
        h.zeroCount = readF64()
        break
      case 0x42:
        negativeSpans.push(readSpan(input))
        break
      case 0x4a:
        readPackedVarints(input, negativeDeltas)
        break
      case 0x48:
        negativeDeltas.push(zigzag(input.readUvarint()))
        break
      case 0x52:
        readPackedDoubles(input, negativeCounts)
        break
      case 0x5a:
        positiveSpans.push(readSpan(input))
        break
      case 0x62:
        readPackedVarints(input, positiveDeltas)
        break
      case 0x60:
        positiveDeltas.push(zigzag(input.readUvarint()))
        break
      case 0x6a:
        readPackedDoubles(input, positiveCounts)
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
        skipField(input, tag)
    }
  }
  if (h.stale) {
    const stale = new FloatHistogram()
    stale.stale = true
    stale.integer = h.integer
    return { histogram: stale, timeMs, startMs }
  }
  h.positive = bucketsFromSpans(positiveSpans, h.integer ? absolute(positiveDeltas) : positiveCounts)
  h.negative = bucketsFromSpans(negativeSpans, h.integer ? absolute(negativeDeltas) : negativeCounts)
  if (h.schema === customBucketsSchema) h.customValues = bounds
  validate(
    h,
    spanLength(positiveSpans),
    h.integer ? positiveDeltas.length : positiveCounts.length,
    spanLength(negativeSpans),
    h.integer ? negativeDeltas.length : negativeCounts.length,
  )
  return { histogram: h, timeMs, startMs }
}

function spanLength(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + span.length, 0)
}

/** What Prometheus refuses: buckets that don't fit the spans, a count that is less than its buckets, unsorted bounds. */
function validate(
  h: FloatHistogram,
  positiveWanted: number,
  positiveFound: number,
  negativeWanted: number,
  negativeFound: number,
): void {
  if (h.schema !== customBucketsSchema && (h.schema < -4 || h.schema > 8))
    throw new BadDataError(`histogram: schema ${h.schema} is not known; -4 to 8 and -53 are`)
  if (positiveWanted !== positiveFound)
    throw new BadDataError(`histogram: the positive spans need ${positiveWanted} buckets, there are ${positiveFound}`)
  if (negativeWanted !== negativeFound)
    throw new BadDataError(`histogram: the negative spans need ${negativeWanted} buckets, there are ${negativeFound}`)
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
  while (input.at < end) {
    input.need(8)
    into.push(input.view.getFloat64(input.at, true))
    input.at += 8
  }
}
