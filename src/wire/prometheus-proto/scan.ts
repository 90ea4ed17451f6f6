/**
 * A scrape's body as protobuf: MetricFamily messages, each with its length in front. Native histograms come this way.
 * Source: the public metrics.proto of client_model.
 */
import { keyOfTexts } from '#core/text.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, readText, skipField } from '#codec/protobuf.ts'
import { checkMessage, type MessageShape } from '#codec/message-shape.ts'
import { CorruptDataError } from '#core/errors.ts'
import { bucketsFromSpans, FloatHistogram, resetHint, type Span } from '#model/histogram.ts'
import { problemOfSpans } from '#model/histogram-validation.ts'
import { Labels } from '#model/labels.ts'
import type { MetricType } from '#model/write-batch.ts'
import { boundText, hashes, hashText, type ScrapedExemplar, type ScrapeSink } from '../prometheus-text/scan.ts'

const part: MessageShape = { kind: 'parts', fields: {} }
// Labels count a quarter, as every field: some families have 100,000 metrics with ten labels.
const exemplarShape: MessageShape = { kind: 'parts', fields: {} }
const simpleShape: MessageShape = { fields: { 2: exemplarShape } }
const histogramShape: MessageShape = {
  kind: 'parts',
  fields: {
    3: { kind: 'parts', fields: { 3: exemplarShape } },
    9: part,
    10: 'numbers',
    12: part,
    13: 'numbers',
    16: exemplarShape,
  },
}
/** What is counted of a family before it is decoded. */
const familyShape: MessageShape = {
  fields: {
    4: {
      kind: 'parts',
      fields: {
        2: simpleShape,
        3: simpleShape,
        4: { fields: { 3: part } },
        5: simpleShape,
        7: histogramShape,
      },
    },
  },
}

const types: readonly MetricType[] = ['counter', 'gauge', 'summary', 'unknown', 'histogram', 'gaugehistogram']

/** Which form of a histogram is wanted. */
export interface ProtoOptions {
  /** Take native histograms as such. */
  isNative: boolean
  /** Take the classic buckets of native histograms too. */
  isClassicToo: boolean
  /** For metrics that have a native histogram, where the others are to be converted. */
  unconverted?: ScrapeSink | undefined
}

function each(input: ByteReader, end: number, field: (number: number, tag: number) => boolean): void {
  while (input.at < end) {
    const tag = input.readUvarint()
    if (!field(tag >>> 3, tag)) skipField(input, tag)
  }
  if (input.at > end) throw new CorruptDataError('protobuf: a field reaches beyond its message')
}
function endOf(input: ByteReader, tag: number): number {
  if ((tag & 7) !== 2)
    throw new CorruptDataError(`protobuf: field ${tag >>> 3} has wire type ${tag & 7}, a message was expected`)
  return input.readLength() + input.at
}
function double(input: ByteReader, tag: number): number {
  if ((tag & 7) !== 1)
    throw new CorruptDataError(`protobuf: field ${tag >>> 3} has wire type ${tag & 7}, 1 was expected`)
  return readDouble(input)
}
function readDouble(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return input.view.getFloat64(input.at - 8, true)
}
/** A zig-zag number of 64 bits. */
function signed(input: ByteReader): number {
  return input.readVarint()
}
function repeated(input: ByteReader, tag: number, read: (input: ByteReader) => number, into: number[]): void {
  if ((tag & 7) !== 2) {
    into.push(read(input))
    return
  }
  const end = endOf(input, tag)
  while (input.at < end) into.push(read(input))
}

interface Bucket {
  count: number
  bound: number
  exemplar: ScrapedExemplar | undefined
}
interface ProtoHistogram {
  count: number
  sum: number
  buckets: Bucket[]
  isFloat: boolean
  schema: number
  zeroThreshold: number
  zeroCount: number
  positiveSpans: Span[]
  negativeSpans: Span[]
  positive: number[]
  negative: number[]
  exemplars: ScrapedExemplar[]
  isNative: boolean
}
interface ProtoMetric {
  labels: [string, string][]
  value: number | undefined
  exemplar: ScrapedExemplar | undefined
  timeMs: number | undefined
  summary: { count: number; sum: number; quantiles: [number, number][] } | undefined
  histogram: ProtoHistogram | undefined
}

function labelPair(input: ByteReader, tag: number): [string, string] {
  const pair: [string, string] = ['', '']
  each(input, endOf(input, tag), number => {
    if (number === 1) pair[0] = readText(input)
    else if (number === 2) pair[1] = readText(input)
    else return false
    return true
  })
  return pair
}

function exemplarOf(input: ByteReader, tag: number): ScrapedExemplar {
  const labels: [string, string][] = []
  let value = 0
  let timeMs: number | undefined
  each(input, endOf(input, tag), (number, inner) => {
    if (number === 1) labels.push(labelPair(input, inner))
    else if (number === 2) value = double(input, inner)
    else if (number === 3) {
      timeMs = 0
      each(input, endOf(input, inner), part => {
        if (part === 1) timeMs! += readInt64(input) * 1000
        else if (part === 2) timeMs! += Math.floor(readInt64(input) / 1e6)
        else return false
        return true
      })
    } else return false
    return true
  })
  return { labels: Labels.from(labels), value, timeMs }
}

/** Counter, gauge and untyped: 1 value, 2 exemplar. */
function simple(input: ByteReader, tag: number, metric: ProtoMetric): void {
  metric.value = 0
  each(input, endOf(input, tag), (number, inner) => {
    if (number === 1) metric.value = double(input, inner)
    else if (number === 2) metric.exemplar = exemplarOf(input, inner)
    else return false
    return true
  })
}

function summaryOf(input: ByteReader, tag: number): NonNullable<ProtoMetric['summary']> {
  const summary: NonNullable<ProtoMetric['summary']> = { count: 0, sum: 0, quantiles: [] }
  each(input, endOf(input, tag), (number, inner) => {
    if (number === 1) summary.count = input.readUvarint()
    else if (number === 2) summary.sum = double(input, inner)
    else if (number === 3) {
      const quantile: [number, number] = [0, 0]
      each(input, endOf(input, inner), (part, partTag) => {
        if (part === 1 || part === 2) quantile[part - 1] = double(input, partTag)
        else return false
        return true
      })
      summary.quantiles.push(quantile)
    } else return false
    return true
  })
  return summary
}

function spanOf(input: ByteReader, tag: number): Span {
  const span: Span = { offset: 0, length: 0 }
  each(input, endOf(input, tag), number => {
    if (number === 1) span.offset = signed(input)
    else if (number === 2) span.length = input.readUvarint()
    else return false
    return true
  })
  return span
}

function bucketOf(input: ByteReader, tag: number): Bucket {
  const bucket: Bucket = { count: 0, bound: 0, exemplar: undefined }
  each(input, endOf(input, tag), (number, inner) => {
    switch (number) {
      case 1:
        bucket.count = input.readUvarint()
        return true
      case 2:
        bucket.bound = double(input, inner)
        return true
      case 3:
        bucket.exemplar = exemplarOf(input, inner)
        return true
      case 4:
        bucket.count = double(input, inner)
        return true
      default:
        return false
    }
  })
  return bucket
}

function emptyHistogram(): ProtoHistogram {
  return {
    count: 0,
    sum: 0,
    buckets: [],
    isFloat: false,
    schema: 0,
    zeroThreshold: 0,
    zeroCount: 0,
    positiveSpans: [],
    negativeSpans: [],
    positive: [],
    negative: [],
    exemplars: [],
    isNative: false,
  }
}

function summed(deltas: readonly number[]): number[] {
  let sum = 0
  return deltas.map(delta => (sum += delta))
}

function histogramOf(input: ByteReader, tag: number): ProtoHistogram {
  const h = emptyHistogram()
  const positiveDeltas: number[] = []
  const negativeDeltas: number[] = []
  each(input, endOf(input, tag), (number, inner) => {
    switch (number) {
      case 1:
        h.count = input.readUvarint()
        return true
      case 2:
        h.sum = double(input, inner)
        return true
      case 3:
        h.buckets.push(bucketOf(input, inner))
        return true
      case 4:
        h.count = double(input, inner)
        h.isFloat = true
        return true
      case 10:
        repeated(input, inner, signed, negativeDeltas)
        return true
      case 13:
        repeated(input, inner, signed, positiveDeltas)
        return true
      case 16:
        h.exemplars.push(exemplarOf(input, inner))
        return true
      default:
        return nativeField(input, number, inner, h)
    }
  })
  if (positiveDeltas.length > 0) h.positive = summed(positiveDeltas)
  if (negativeDeltas.length > 0) h.negative = summed(negativeDeltas)
  h.isNative = h.positiveSpans.length > 0 || h.negativeSpans.length > 0 || h.zeroThreshold > 0 || h.zeroCount > 0
  return h
}

/** Fields of native histograms alone, but for the deltas. */
function nativeField(input: ByteReader, number: number, tag: number, h: ProtoHistogram): boolean {
  switch (number) {
    case 5:
      h.schema = signed(input)
      return true
    case 6:
      h.zeroThreshold = double(input, tag)
      return true
    case 7:
      h.zeroCount = input.readUvarint()
      return true
    case 8:
      h.zeroCount = double(input, tag)
      h.isFloat = true
      return true
    case 9:
      h.negativeSpans.push(spanOf(input, tag))
      return true
    case 11:
      repeated(input, tag, readDouble, h.negative)
      return true
    case 12:
      h.positiveSpans.push(spanOf(input, tag))
      return true
    case 14:
      repeated(input, tag, readDouble, h.positive)
      return true
    default:
      return false
  }
}

function metricOf(input: ByteReader, tag: number): ProtoMetric {
  const metric: ProtoMetric = {
    labels: [],
    value: undefined,
    exemplar: undefined,
    timeMs: undefined,
    summary: undefined,
    histogram: undefined,
  }
  each(input, endOf(input, tag), (number, inner) => {
    switch (number) {
      case 1:
        metric.labels.push(labelPair(input, inner))
        return true
      case 2:
      case 3:
      case 5:
        simple(input, inner, metric)
        return true
      case 4:
        metric.summary = summaryOf(input, inner)
        return true
      case 6:
        metric.timeMs = readInt64(input)
        return true
      case 7:
        metric.histogram = histogramOf(input, inner)
        return true
      default:
        return false
    }
  })
  return metric
}

/** The histogram, or why it is none: spans are checked before the buckets are laid out. */
function nativeOf(h: ProtoHistogram, isGauge: boolean): FloatHistogram | string {
  const problem =
    problemOfSpans(h.positiveSpans, h.positive.length, 'positive', false) ??
    problemOfSpans(h.negativeSpans, h.negative.length, 'negative', false)
  if (problem !== undefined) return problem
  const histogram = Object.assign(new FloatHistogram(), {
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCount: h.zeroCount,
    count: h.count,
    sum: h.sum,
    integer: !h.isFloat,
  })
  histogram.positive = bucketsFromSpans(h.positiveSpans, h.positive)
  histogram.negative = bucketsFromSpans(h.negativeSpans, h.negative)
  histogram.hint = isGauge ? resetHint.gauge : resetHint.unknown
  return histogram
}

/** Throws CorruptDataError, and LimitError (400) for a family of more than a body of its size may hold. */
export function scanProtobuf(body: Uint8Array, options: ProtoOptions, sink: ScrapeSink): void {
  const input = new ByteReader(body)
  while (input.at < input.end) {
    const end = input.readLength() + input.at
    checkMessage(body, familyShape, input.at, end)
    let name = ''
    let help = ''
    let unit = ''
    let type: MetricType = 'counter'
    const metrics: ProtoMetric[] = []
    each(input, end, (number, tag) => {
      switch (number) {
        case 1:
          name = readText(input)
          return true
        case 2:
          help = readText(input)
          return true
        case 3:
          type = types[input.readUvarint()] ?? 'unknown'
          return true
        case 4:
          metrics.push(metricOf(input, tag))
          return true
        case 5:
          unit = readText(input)
          return true
        default:
          return false
      }
    })
    if (name === '') throw new CorruptDataError('a metric family has no name')
    sink.metadata({ metric: name, type, help, unit })
    for (const metric of metrics)
      emit(
        name,
        type,
        metric,
        options,
        options.isNative && metric.histogram?.isNative === true ? (options.unconverted ?? sink) : sink,
      )
  }
}

/** Hands one metric's samples to the sink. */
function emit(
  name: string,
  type: MetricType,
  { labels, value, exemplar, timeMs, summary, histogram }: ProtoMetric,
  options: ProtoOptions,
  sink: ScrapeSink,
): void {
  const series = (suffix: string, extra?: [string, string]): number => {
    const all: [string, string][] = [['__name__', name + suffix], ...labels, ...(extra === undefined ? [] : [extra])]
    const key = keyOfTexts(all.flat())
    hashText(key)
    const hashA = hashes[0]!
    const hashB = hashes[1]!
    const known = sink.find(hashA, hashB)
    return known >= 0 ? known : sink.add(hashA, hashB, all, { metric: name, type })
  }
  if (value !== undefined) sink.sample(series(''), value, timeMs, exemplar)
  if (summary !== undefined) {
    sink.sample(series('_count'), summary.count, timeMs, undefined)
    sink.sample(series('_sum'), summary.sum, timeMs, undefined)
    for (const [quantile, at] of summary.quantiles)
      sink.sample(series('', ['quantile', boundText(quantile)]), at, timeMs, undefined)
  }
  if (histogram === undefined) return
  const isNative = histogram.isNative && options.isNative
  if (isNative) {
    const exemplars =
      histogram.exemplars.length > 0
        ? histogram.exemplars
        : histogram.buckets.flatMap(b => (b.exemplar === undefined ? [] : [b.exemplar]))
    const native = nativeOf(histogram, type === 'gaugehistogram')
    if (typeof native === 'string') sink.refuse(series(''), native)
    else
      sink.histogram(
        series(''),
        native,
        timeMs,
        exemplars.filter(e => e.timeMs !== undefined),
      )
    if (!options.isClassicToo || histogram.buckets.length === 0) return
  }
  sink.sample(series('_count'), histogram.count, timeMs, undefined)
  sink.sample(series('_sum'), histogram.sum, timeMs, undefined)
  let isInfinite = false
  for (const bucket of histogram.buckets) {
    isInfinite ||= bucket.bound === Infinity
    sink.sample(series('_bucket', ['le', boundText(bucket.bound)]), bucket.count, timeMs, bucket.exemplar)
  }
  if (!isInfinite) sink.sample(series('_bucket', ['le', '+Inf']), histogram.count, timeMs, undefined)
}
