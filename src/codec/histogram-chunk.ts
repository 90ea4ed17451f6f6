/**
 * Native histogram chunks, encodings 2 (integer) and 3 (float) of the block format, and, for reading only, 5 and 6, the
 * same with start timestamps. Source: docs/formats/prometheus-block.md
 */
import { CorruptDataError } from '#core/errors.ts'
import { BitReader, BitWriter, XorValueReader, XorValueWriter } from './bitstream.ts'

/** `length` buckets, `offset` behind the span before. */
export interface ChunkSpan {
  offset: number
  length: number
}

/** What all samples of a chunk share. */
export interface HistogramLayout {
  schema: number
  zeroThreshold: number
  positiveSpans: readonly ChunkSpan[]
  negativeSpans: readonly ChunkSpan[]
  customValues: readonly number[] | undefined
}

/** One sample; bucket counts are absolute, in the order of the layout's spans. */
export interface HistogramChunkSample {
  timeMs: number
  startMs: number
  stale: boolean
  count: number
  zeroCount: number
  sum: number
  positive: readonly number[]
  negative: readonly number[]
}

/** 0 unknown, 1 no reset before this chunk, 2 reset, 3 gauge: the two top bits of the flags. */
export type ChunkResetFlag = 0 | 1 | 2 | 3

/** The samples of a chunk with what they share. */
export interface DecodedHistogramChunk {
  flag: ChunkResetFlag
  layout: HistogramLayout
  samples: HistogramChunkSample[]
}

const customSchema = -53

function writeSpans(out: BitWriter, spans: readonly ChunkSpan[]): void {
  out.writeVarbitUint(spans.length)
  for (const span of spans) {
    out.writeVarbitUint(span.length)
    out.writeVarbitInt(span.offset)
  }
}

function readSpans(input: BitReader): ChunkSpan[] {
  const count = input.readVarbitUint()
  if (count > 65535) throw new CorruptDataError(`histogram chunk: ${count} spans`)
  const spans: ChunkSpan[] = []
  for (let i = 0; i < count; i++) {
    const length = input.readVarbitUint()
    spans.push({ length, offset: input.readVarbitInt() })
  }
  return spans
}

function bucketCount(spans: readonly ChunkSpan[]): number {
  let total = 0
  for (const span of spans) total += span.length
  if (total > 1_000_000) throw new CorruptDataError(`histogram chunk: ${total} buckets`)
  return total
}

function writeLayout(out: BitWriter, layout: HistogramLayout): void {
  const threshold = layout.zeroThreshold
  const exponent = Math.log2(threshold)
  if (threshold === 0) out.writeBits(0, 8)
  else if (Number.isInteger(exponent) && exponent >= -243 && exponent <= 10) out.writeBits(exponent + 244, 8)
  else {
    out.writeBits(255, 8)
    out.writeF64(threshold)
  }
  out.writeVarbitInt(layout.schema)
  writeSpans(out, layout.positiveSpans)
  writeSpans(out, layout.negativeSpans)
  if (layout.schema !== customSchema) return
  const bounds = layout.customValues ?? []
  out.writeVarbitUint(bounds.length)
  for (const bound of bounds) {
    const thousandths = bound * 1000
    if (thousandths >= 0 && thousandths <= 33554430 && Number.isInteger(thousandths) && thousandths / 1000 === bound)
      out.writeVarbitUint(thousandths + 1)
    else {
      out.writeBits(0, 1)
      out.writeF64(bound)
    }
  }
}

function readLayout(input: BitReader): HistogramLayout {
  const code = input.readBits(8)
  const zeroThreshold = code === 0 ? 0 : code === 255 ? input.readF64() : 2 ** (code - 244)
  const schema = input.readVarbitInt()
  const positiveSpans = readSpans(input)
  const negativeSpans = readSpans(input)
  let customValues: number[] | undefined
  if (schema === customSchema) {
    const count = input.readVarbitUint()
    if (count > 65535) throw new CorruptDataError(`histogram chunk: ${count} custom bounds`)
    customValues = []
    for (let i = 0; i < count; i++) {
      const raw = input.readVarbitUint()
      customValues.push(raw === 0 ? input.readF64() : (raw - 1) / 1000)
    }
  }
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customValues }
}

/** In-histogram deltas, as integer chunks hold them. */
function deltas(counts: readonly number[]): number[] {
  return counts.map((count, i) => count - (i > 0 ? counts[i - 1]! : 0))
}

/** Encodes samples that share a layout. With `integer`, counts must be whole numbers. */
export function encodeHistogramChunk(
  samples: readonly HistogramChunkSample[],
  layout: HistogramLayout,
  flag: ChunkResetFlag,
  integer: boolean,
): Uint8Array {
  const out = new BitWriter()
  out.writeBits(samples.length, 16)
  out.writeBits(flag << 6, 8)
  writeLayout(
    out,
    samples[0]?.stale === true
      ? { schema: 0, zeroThreshold: 0, positiveSpans: [], negativeSpans: [], customValues: undefined }
      : layout,
  )
  if (integer) encodeIntegers(out, samples)
  else encodeFloats(out, samples)
  return out.finish()
}

const staleNumber = new Float64Array(Uint32Array.of(2, 0x7ff00000).buffer)[0]!

function writeSum(writer: XorValueWriter, out: BitWriter, sample: HistogramChunkSample, first: boolean): void {
  if (!sample.stale) {
    if (first) writer.first(out, sample.sum)
    else writer.write(out, sample.sum)
  } else writer.writeStale(out, first)
}

function encodeIntegers(out: BitWriter, samples: readonly HistogramChunkSample[]): void {
  const sum = new XorValueWriter()
  let time = 0
  let count = 0
  let zero = 0
  let timeDelta = 0
  let countDelta = 0
  let zeroDelta = 0
  let buckets: number[] = []
  let bucketDeltas: number[] = []
  samples.forEach((sample, i) => {
    const now = sample.stale ? [] : [...deltas(sample.positive), ...deltas(sample.negative)]
    const sampleCount = sample.stale ? 0 : sample.count
    const sampleZero = sample.stale ? 0 : sample.zeroCount
    if (i === 0) {
      out.writeVarbitInt(sample.timeMs)
      out.writeVarbitUint(sampleCount)
      out.writeVarbitUint(sampleZero)
      writeSum(sum, out, sample, true)
      for (const delta of now) out.writeVarbitInt(delta)
      bucketDeltas = now.map(() => 0)
    } else {
      out.writeVarbitInt(sample.timeMs - time - timeDelta)
      timeDelta = sample.timeMs - time
      if (sample.stale) {
        out.writeVarbitInt(0)
        out.writeVarbitInt(0)
        writeSum(sum, out, sample, false)
        time = sample.timeMs
        return
      }
      out.writeVarbitInt(sampleCount - count - countDelta)
      out.writeVarbitInt(sampleZero - zero - zeroDelta)
      countDelta = sampleCount - count
      zeroDelta = sampleZero - zero
      writeSum(sum, out, sample, false)
      now.forEach((bucket, k) => {
        const delta = bucket - buckets[k]!
        out.writeVarbitInt(delta - bucketDeltas[k]!)
        bucketDeltas[k] = delta
      })
    }
    time = sample.timeMs
    count = sampleCount
    zero = sampleZero
    buckets = now
  })
}

function encodeFloats(out: BitWriter, samples: readonly HistogramChunkSample[]): void {
  const sum = new XorValueWriter()
  const count = new XorValueWriter()
  const zero = new XorValueWriter()
  let buckets: XorValueWriter[] = []
  let time = 0
  let timeDelta = 0
  samples.forEach((sample, i) => {
    const now = sample.stale ? [] : [...sample.positive, ...sample.negative]
    if (i === 0) {
      out.writeVarbitInt(sample.timeMs)
      count.first(out, sample.stale ? 0 : sample.count)
      zero.first(out, sample.stale ? 0 : sample.zeroCount)
      writeSum(sum, out, sample, true)
      buckets = now.map(value => {
        const writer = new XorValueWriter()
        writer.first(out, value)
        return writer
      })
    } else {
      out.writeVarbitInt(sample.timeMs - time - timeDelta)
      timeDelta = sample.timeMs - time
      if (sample.stale) {
        count.repeat(out)
        zero.repeat(out)
        writeSum(sum, out, sample, false)
      } else {
        count.write(out, sample.count)
        zero.write(out, sample.zeroCount)
        writeSum(sum, out, sample, false)
        now.forEach((value, k) => {
          buckets[k]!.write(out, value)
        })
      }
    }
    time = sample.timeMs
  })
}

/** Decodes encodings 2, 3, 5 and 6. */
export function decodeHistogramChunk(
  bytes: Uint8Array,
  from: number,
  to: number,
  encoding: number,
): DecodedHistogramChunk {
  const input = new BitReader(bytes, from, to)
  const hasStarts = encoding === 5 || encoding === 6
  const head = input.readBits(16)
  let count: number, flag: ChunkResetFlag
  let startHeader = 0
  if (hasStarts) {
    flag = (head >>> 14) as ChunkResetFlag
    count = head & 0x3fff
    startHeader = input.readBits(8)
  } else {
    count = head
    flag = (input.readBits(8) >>> 6) as ChunkResetFlag
  }
  if (count > (to - from) * 8)
    throw new CorruptDataError(`histogram chunk: ${to - from} bytes can't hold ${count} samples`)
  if (count === 0)
    return {
      flag,
      layout: { schema: 0, zeroThreshold: 0, positiveSpans: [], negativeSpans: [], customValues: undefined },
      samples: [],
    }
  const layout = readLayout(input)
  const buckets = bucketCount(layout.positiveSpans) + bucketCount(layout.negativeSpans)
  // Only a chunk of stale samples, whose layout is empty, has buckets without a bit for each.
  if (buckets > (to - from) * 8)
    throw new CorruptDataError(`histogram chunk: ${to - from} bytes can't hold ${buckets} buckets`)
  const starts = new StartReader(hasStarts ? startHeader : 0)
  const samples =
    encoding === 2 || encoding === 5
      ? decodeIntegers(input, count, layout, starts)
      : decodeFloats(input, count, layout, starts)
  return { flag, layout, samples }
}

/** The optional start timestamps behind each sample. */
class StartReader {
  readonly #hasFirst: boolean
  readonly #changesAt: number
  #start = 0
  #difference = 0

  constructor(header: number) {
    this.#hasFirst = (header & 128) !== 0
    this.#changesAt = header & 127
  }

  read(input: BitReader, i: number, timeMs: number, previousMs: number): number {
    if (i === 0) return (this.#start = this.#hasFirst ? timeMs - input.readVarint() : 0)
    if (this.#changesAt === 0 || i < this.#changesAt) return this.#start
    const delta = input.readVarbitInt()
    this.#difference = i === this.#changesAt ? delta : this.#difference + delta
    return (this.#start = previousMs - this.#difference)
  }
}

function decodeIntegers(
  input: BitReader,
  total: number,
  layout: HistogramLayout,
  starts: StartReader,
): HistogramChunkSample[] {
  const samples: HistogramChunkSample[] = []
  const positives = bucketCount(layout.positiveSpans)
  const negatives = bucketCount(layout.negativeSpans)
  const sum = new XorValueReader()
  let time = 0
  let timeDelta = 0
  let count = 0
  let countDelta = 0
  let zero = 0
  let zeroDelta = 0
  const buckets = Array.from({ length: positives + negatives }, () => 0)
  const bucketDeltas = Array.from({ length: positives + negatives }, () => 0)
  for (let i = 0; i < total; i++) {
    const previousMs = time
    if (i === 0) {
      time = input.readVarbitInt()
      count = input.readVarbitUint()
      zero = input.readVarbitUint()
      sum.first(input)
    } else {
      timeDelta += input.readVarbitInt()
      time += timeDelta
      countDelta += input.readVarbitInt()
      zeroDelta += input.readVarbitInt()
      count += countDelta
      zero += zeroDelta
      sum.next(input)
    }
    const stale = sum.isStale
    if (!stale) {
      for (let k = 0; k < buckets.length; k++) {
        const delta = input.readVarbitInt()
        if (i === 0) {
          buckets[k] = delta
          continue
        }
        bucketDeltas[k]! += delta
        buckets[k]! += bucketDeltas[k]!
      }
    }
    const startMs = starts.read(input, i, time, previousMs)
    samples.push({
      timeMs: time,
      startMs,
      stale,
      count,
      zeroCount: zero,
      sum: stale ? staleNumber : sum.value,
      positive: stale ? [] : absolute(buckets, 0, positives),
      negative: stale ? [] : absolute(buckets, positives, positives + negatives),
    })
  }
  return samples
}

function absolute(values: readonly number[], from: number, to: number): number[] {
  const out: number[] = []
  let total = 0
  for (let i = from; i < to; i++) out.push((total += values[i]!))
  return out
}

function decodeFloats(
  input: BitReader,
  total: number,
  layout: HistogramLayout,
  starts: StartReader,
): HistogramChunkSample[] {
  const samples: HistogramChunkSample[] = []
  const positives = bucketCount(layout.positiveSpans)
  const negatives = bucketCount(layout.negativeSpans)
  const sum = new XorValueReader()
  const count = new XorValueReader()
  const zero = new XorValueReader()
  const buckets = Array.from({ length: positives + negatives }, () => new XorValueReader())
  let time = 0
  let timeDelta = 0
  for (let i = 0; i < total; i++) {
    const previousMs = time
    if (i === 0) {
      time = input.readVarbitInt()
      count.first(input)
      zero.first(input)
      sum.first(input)
    } else {
      timeDelta += input.readVarbitInt()
      time += timeDelta
      count.next(input)
      zero.next(input)
      sum.next(input)
    }
    const stale = sum.isStale
    if (!stale)
      for (const bucket of buckets) {
        if (i === 0) bucket.first(input)
        else bucket.next(input)
      }
    const startMs = starts.read(input, i, time, previousMs)
    const values = stale ? [] : buckets.map(bucket => bucket.value)
    samples.push({
      timeMs: time,
      startMs,
      stale,
      count: count.value,
      zeroCount: zero.value,
      sum: sum.value,
      positive: values.slice(0, positives),
      negative: values.slice(positives),
    })
  }
  return samples
}
