/**
 * Remote read: ReadRequest in, ReadResponse and ChunkedReadResponse out. Source: the public remote-read
 * specification.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { checkMessage, type MessageShape } from '#codec/message-shape.ts'
import { LimitError } from '#core/errors.ts'
import { readInt64, readText, skipField } from '#codec/protobuf.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { encodeHistogramChunk } from '#codec/histogram-chunk.ts'
import { decodeSnappy, encodeSnappy } from '#codec/snappy.ts'
import { encodeXor } from '#codec/xor-chunk.ts'
import { encodeUtf8 } from '#core/text.ts'
import { spansOf, type FloatHistogram } from '#model/histogram.ts'
import { chunkRun, layoutOf, sampleOf } from '#model/histogram-chunk.ts'
import type { Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'

/** Kinds of matchers by their numbers. */
export const matchKinds = ['=', '!=', '=~', '!~'] as const
/** A selector with its time range, both ends included. */
export interface ReadQuery {
  startMs: number
  endMs: number
  matchers: { kind: (typeof matchKinds)[number]; name: string; value: string }[]
}
/** `accepted`: response types in the order of preference, 0 samples, 1 streamed chunks. */
export interface ReadRequest {
  queries: ReadQuery[]
  accepted: number[]
}

/** Prometheus asks one query in a request; its proxies a few. */
const queriesMax = 100

/**
 * From the body as it came, snappy and all. Throws CorruptDataError, and LimitError for more than `bytesMax`, for more
 * queries than `queriesMax`, and for more than a body of its size may hold.
 */
export function decodeReadRequest(body: Uint8Array, bytesMax: number): ReadRequest {
  const bytes = decodeSnappy(body, bytesMax)
  checkMessage(bytes, readShape)
  const request: ReadRequest = { queries: [], accepted: [] }
  const input = new ByteReader(bytes)
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const end = input.readLength() + input.at
      if (request.queries.length === queriesMax)
        throw new LimitError(
          `a read request has more than ${queriesMax} queries, which is the limit; send several`,
          400,
        )
      request.queries.push(readQuery(new ByteReader(bytes, input.at, end)))
      input.at = end
    } else if (tag === 0x10) request.accepted.push(input.readUvarint())
    else if (tag === 0x12) {
      const end = input.readLength() + input.at
      while (input.at < end) request.accepted.push(input.readUvarint())
    } else skipField(input, tag)
  }
  return request
}

/** What is counted before it is decoded. */
const readShape: MessageShape = { fields: { 1: { kind: 'parts', fields: { 3: { kind: 'parts', fields: {} } } } } }

function readQuery(input: ByteReader): ReadQuery {
  const query: ReadQuery = { startMs: 0, endMs: 0, matchers: [] }
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x08) query.startMs = readInt64(input)
    else if (tag === 0x10) query.endMs = readInt64(input)
    else if (tag === 0x1a) {
      const end = input.readLength() + input.at
      query.matchers.push(readMatcher(new ByteReader(input.bytes, input.at, end)))
      input.at = end
    } else skipField(input, tag)
  }
  return query
}

function readMatcher(input: ByteReader): ReadQuery['matchers'][number] {
  let kind = 0
  let name = ''
  let value = ''
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x08) kind = input.readUvarint()
    else if (tag === 0x12) name = readText(input)
    else if (tag === 0x1a) value = readText(input)
    else skipField(input, tag)
  }
  return { kind: matchKinds[kind] ?? '=', name, value }
}

function writeMessage(out: ByteWriter, tag: number, message: Uint8Array): void {
  out.writeUvarint(tag)
  out.writeUvarint(message.length)
  out.writeBytes(message)
}

function writeLabels(out: ByteWriter, labels: Labels): void {
  const label = new ByteWriter(64)
  for (let i = 0; i < labels.pairs.length; i += 2) {
    label.reset()
    writeMessage(label, 0x0a, encodeUtf8(labels.pairs[i]!))
    writeMessage(label, 0x12, encodeUtf8(labels.pairs[i + 1]!))
    writeMessage(out, 0x0a, label.bytes())
  }
}

/** One TimeSeries message, floats and histograms. */
export function encodeTimeSeries(labels: Labels, columns: SampleColumns): Uint8Array {
  const out = new ByteWriter(1024)
  writeLabels(out, labels)
  const sample = new ByteWriter(32)
  for (let i = 0; i < columns.count; i++) {
    if (columns.histograms?.[i] !== undefined) continue
    sample.reset()
    sample.writeU8(0x09)
    // By words: a staleness marker must stay one.
    sample.view.setUint32(sample.at, columns.words[2 * i]!, true)
    sample.view.setUint32(sample.at + 4, columns.words[2 * i + 1]!, true)
    sample.at += 8
    sample.writeU8(0x10)
    sample.writeProtoInt64(columns.timesMs[i]!)
    writeMessage(out, 0x12, sample.bytes())
  }
  for (let i = 0; i < columns.count; i++) {
    const histogram = columns.histograms?.[i]
    if (histogram !== undefined) writeMessage(out, 0x22, encodeHistogram(histogram, columns.timesMs[i]!))
  }
  return out.copy()
}

/** A Histogram message, as remote write has it. */
export function encodeHistogram(h: FloatHistogram, timeMs: number): Uint8Array {
  const out = new ByteWriter(256)
  const writeDouble = (tag: number, value: number): void => {
    out.writeUvarint(tag)
    out.writeF64LittleEndian(value)
  }
  const writeCount = (intTag: number, floatTag: number, value: number): void => {
    if (h.integer) {
      out.writeUvarint(intTag)
      out.writeUvarint(value)
    } else writeDouble(floatTag, value)
  }
  writeCount(0x08, 0x11, h.count)
  if (h.stale) {
    out.writeUvarint(0x19)
    out.writeBytes(Uint8Array.of(2, 0, 0, 0, 0, 0, 0xf0, 0x7f))
  } else writeDouble(0x19, h.sum)
  out.writeUvarint(0x20)
  out.writeVarint(h.schema)
  writeDouble(0x29, h.zeroThreshold)
  writeCount(0x30, 0x39, h.zeroCount)
  for (const [buckets, spanTag, deltaTag, countTag] of [
    [h.negative, 0x42, 0x4a, 0x52],
    [h.positive, 0x5a, 0x62, 0x6a],
  ] as const) {
    const part = new ByteWriter(64)
    for (const span of spansOf(buckets)) {
      part.reset()
      part.writeU8(0x08)
      part.writeVarint(span.offset)
      part.writeU8(0x10)
      part.writeUvarint(span.length)
      writeMessage(out, spanTag, part.bytes())
    }
    if (buckets.count.length === 0) continue
    part.reset()
    buckets.count.forEach((count, i) => {
      if (h.integer) part.writeVarint(count - (i > 0 ? buckets.count[i - 1]! : 0))
      else part.writeF64LittleEndian(count)
    })
    writeMessage(out, h.integer ? deltaTag : countTag, part.bytes())
  }
  out.writeUvarint(0x70)
  out.writeUvarint(h.hint)
  out.writeUvarint(0x78)
  out.writeProtoInt64(timeMs)
  if (h.customValues !== undefined) {
    const packed = new ByteWriter(64)
    for (const bound of h.customValues) packed.writeF64LittleEndian(bound)
    writeMessage(out, 0x82, packed.bytes())
  }
  return out.copy()
}

/** A ReadResponse, snappy-compressed: for each query its TimeSeries messages. */
export function encodeReadResponse(results: readonly (readonly Uint8Array[])[]): Uint8Array {
  const out = new ByteWriter(65536)
  for (const series of results) {
    const result = new ByteWriter(65536)
    for (const one of series) writeMessage(result, 0x0a, one)
    writeMessage(out, 0x0a, result.bytes())
  }
  return encodeSnappy(out.bytes())
}

/** A chunk with the times of its first and last sample. `encoding`: 1 XOR, 2 and 3 histograms. */
export interface ReadChunk {
  encoding: number
  bytes: Uint8Array
  minMs: number
  maxMs: number
}

/** One frame of a streamed response: a stretch of one series' chunks. */
export function encodeChunkedFrame(labels: Labels, chunks: readonly ReadChunk[], query: number): Uint8Array {
  const series = new ByteWriter(1024)
  writeLabels(series, labels)
  for (const chunk of chunks) {
    const message = new ByteWriter(chunk.bytes.length + 40)
    message.writeU8(0x08)
    message.writeProtoInt64(chunk.minMs)
    message.writeU8(0x10)
    message.writeProtoInt64(chunk.maxMs)
    message.writeU8(0x18)
    message.writeUvarint(chunk.encoding)
    writeMessage(message, 0x22, chunk.bytes)
    writeMessage(series, 0x12, message.bytes())
  }
  const payload = new ByteWriter(series.at + 16)
  writeMessage(payload, 0x0a, series.bytes())
  payload.writeU8(0x10)
  payload.writeUvarint(query)
  const frame = new ByteWriter(payload.at + 16)
  frame.writeUvarint(payload.at)
  frame.writeU32(crc32c(payload.buffer, 0, payload.at))
  frame.writeBytes(payload.bytes())
  return frame.copy()
}

const chunkSamples = 120

/** A series' samples as chunks. */
export function* chunksOf(columns: SampleColumns): Generator<ReadChunk> {
  for (let i = 0; i < columns.count;) {
    let k = i
    while (k < columns.count && k - i < chunkSamples && columns.histograms?.[k] === undefined) k++
    if (k > i)
      yield {
        encoding: 1,
        bytes: encodeXor(columns.timesMs, columns.words, i, k),
        minMs: columns.timesMs[i]!,
        maxMs: columns.timesMs[k - 1]!,
      }
    const from = k
    while (k < columns.count && columns.histograms?.[k] !== undefined) k++
    if (k > from) yield* histogramChunks(columns, from, k)
    i = k
  }
}

function* histogramChunks(columns: SampleColumns, from: number, to: number): Generator<ReadChunk> {
  const run = columns.histograms!.slice(from, to).map(h => h!)
  for (let i = 0; i < run.length;) {
    const { to: end, flag } = chunkRun(run, i, chunkSamples)
    const samples = run.slice(i, end).map((h, n) => sampleOf(h, columns.timesMs[from + i + n]!, 0))
    yield {
      encoding: run[i]!.integer ? 2 : 3,
      bytes: encodeHistogramChunk(samples, layoutOf(run[i]!), flag, run[i]!.integer),
      minMs: samples[0]!.timeMs,
      maxMs: samples.at(-1)!.timeMs,
    }
    i = end
  }
}
