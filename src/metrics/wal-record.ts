/**
 * The payloads of metrics' WAL records. A generation of the log begins with no series known; each record first defines
 * the series that it is the first to use, and those that the tenant's record before it did, then holds samples as
 * columns. So no loss of one record costs samples of another.
 *
 *   kind 1 samples   str tenant · uvarint definitions · { uvarint series, uvarint keyLength, key } ...
 *                    · uvarint samples · u32le series[]
 *                    · u8 timeForm (0: one f64le time for all, 1: f64le times[]) · times · u32le words[2n]
 *                    · uvarint histograms · { uvarint series, f64le time, f64le start, histogram } ...
 *                    · uvarint exemplars
 *                      · { uvarint series, f64le time, f64le value, uvarint texts, str ... (name, value, ...) } ...
 *                    · uvarint metadata · { str metric, u8 type, str help, str unit } ...
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'
import { FloatHistogram, type Buckets, type ResetHint } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { metricTypes, type ExemplarSample, type Metadata } from '#model/write-batch.ts'
import { RecordDefinitions } from '#store/record-definitions.ts'
import { readText, writeText } from '#store/wal-text.ts'

export const recordKind = { samples: 1 } as const

/** A record in the making; reused. */
export class SamplesRecordWriter {
  readonly #out = new ByteWriter(65536)
  readonly definitions = new RecordDefinitions()
  #series = new Uint32Array(1024)
  #times = new Float64Array(1024)
  #words = new Uint32Array(2048)
  readonly #histograms = new ByteWriter(256)
  #histogramCount = 0
  readonly #exemplars = new ByteWriter(256)
  #exemplarCount = 0
  readonly #metadata = new ByteWriter(256)
  #metadataCount = 0
  count = 0

  clear(): void {
    this.definitions.clear()
    this.#histograms.reset()
    this.#histogramCount = 0
    this.#exemplars.reset()
    this.#exemplarCount = 0
    this.#metadata.reset()
    this.#metadataCount = 0
    this.count = 0
  }

  get isEmpty(): boolean {
    return this.count + this.#histogramCount + this.#exemplarCount + this.#metadataCount === 0
  }

  define(series: number, key: Uint8Array): void {
    const out = this.definitions.next()
    out.writeUvarint(series)
    out.writeUvarint(key.length)
    out.writeBytes(key)
  }

  add(series: number, timeMs: number, hi: number, lo: number): void {
    const i = this.count++
    if (i === this.#series.length) {
      this.#series = grown(this.#series, new Uint32Array(i * 2))
      this.#times = grown(this.#times, new Float64Array(i * 2))
      this.#words = grown(this.#words, new Uint32Array(i * 4))
    }
    this.#series[i] = series
    this.#times[i] = timeMs
    this.#words[2 * i] = lo
    this.#words[2 * i + 1] = hi
  }

  addHistogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void {
    this.#histogramCount++
    this.#histograms.writeUvarint(series)
    this.#histograms.writeF64LittleEndian(timeMs)
    this.#histograms.writeF64LittleEndian(startMs)
    writeHistogram(this.#histograms, histogram)
  }

  addExemplar(series: number, exemplar: ExemplarSample): void {
    const out = this.#exemplars
    this.#exemplarCount++
    out.writeUvarint(series)
    out.writeF64LittleEndian(exemplar.timeMs)
    out.writeF64LittleEndian(exemplar.value)
    out.writeUvarint(exemplar.labels.pairs.length)
    for (const text of exemplar.labels.pairs) writeText(out, text)
  }

  addMetadata(metadata: Metadata): void {
    const out = this.#metadata
    this.#metadataCount++
    writeText(out, metadata.metric)
    out.writeU8(metricTypes.indexOf(metadata.type))
    writeText(out, metadata.help)
    writeText(out, metadata.unit)
  }

  /** The finished payload; valid until the next call. */
  finish(tenant: string): Uint8Array {
    const out = this.#out
    out.reset()
    writeText(out, tenant)
    this.definitions.writeTo(out)
    out.writeUvarint(this.count)
    out.writeBytes(new Uint8Array(this.#series.buffer, 0, this.count * 4))
    let oneTime = true
    for (let i = 1; i < this.count; i++)
      if (this.#times[i] !== this.#times[0]) {
        oneTime = false
        break
      }
    out.writeU8(oneTime ? 0 : 1)
    out.writeBytes(new Uint8Array(this.#times.buffer, 0, (oneTime ? Math.min(1, this.count) : this.count) * 8))
    out.writeBytes(new Uint8Array(this.#words.buffer, 0, this.count * 8))
    out.writeUvarint(this.#histogramCount)
    out.writeBytes(this.#histograms.bytes())
    out.writeUvarint(this.#exemplarCount)
    out.writeBytes(this.#exemplars.bytes())
    out.writeUvarint(this.#metadataCount)
    out.writeBytes(this.#metadata.bytes())
    return out.bytes()
  }
}

export interface SamplesVisitor {
  tenant(tenant: string): void
  define(series: number, bytes: Uint8Array, from: number, to: number): void
  /**
   * Columns of `count` samples, valid during the call; `timesMs` holds one time for all when `oneTime`. Words are low,
   * high.
   */
  samples(count: number, series: Uint32Array, timesMs: Float64Array, oneTime: boolean, words: Uint32Array): void
  histogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void
  exemplar(series: number, labels: Labels, timeMs: number, value: number): void
  metadata(metadata: Metadata): void
}

/** Reads a samples record. Throws CorruptDataError. */
/** Whose record it is. */
export function tenantOfRecord(payload: Uint8Array): string {
  return readText(new ByteReader(payload))
}

export function readSamplesRecord(payload: Uint8Array, visitor: SamplesVisitor): void {
  const input = new ByteReader(payload)
  visitor.tenant(readText(input))
  for (let i = input.readUvarint(); i > 0; i--) {
    const series = input.readUvarint()
    const length = input.readLength()
    visitor.define(series, payload, input.at, input.at + length)
    input.skip(length)
  }
  const count = input.readUvarint()
  input.need(count * 12)
  const seriesAt = input.at
  input.skip(count * 4)
  const oneTime = input.readU8() === 0
  const timesAt = input.at
  input.skip((oneTime ? Math.min(1, count) : count) * 8)
  const wordsAt = input.at
  input.skip(count * 8)
  // Copied to where they are aligned: columns are read as arrays, not value by value.
  if (count > 0)
    visitor.samples(
      count,
      new Uint32Array(aligned(payload, seriesAt, timesAt - 1)),
      new Float64Array(aligned(payload, timesAt, wordsAt)),
      oneTime,
      new Uint32Array(aligned(payload, wordsAt, input.at)),
    )
  for (let i = input.readUvarint(); i > 0; i--) {
    const series = input.readUvarint()
    const timeMs = readF64(input)
    const startMs = readF64(input)
    visitor.histogram(series, timeMs, startMs, readHistogram(input))
  }
  for (let i = input.readUvarint(); i > 0; i--) {
    const series = input.readUvarint()
    const timeMs = readF64(input)
    const value = readF64(input)
    const texts: string[] = []
    for (let k = input.readUvarint(); k > 0; k--) texts.push(readText(input))
    visitor.exemplar(series, new Labels(texts), timeMs, value)
  }
  for (let i = input.readUvarint(); i > 0; i--) {
    const metric = readText(input)
    const type = metricTypes[input.readU8()] ?? 'unknown'
    visitor.metadata({ metric, type, help: readText(input), unit: readText(input) })
  }
  if (input.at !== input.end) throw new CorruptDataError(`WAL record: ${input.end - input.at} bytes too many`)
}

function aligned(bytes: Uint8Array, from: number, to: number): ArrayBuffer {
  const copy = new Uint8Array(to - from)
  copy.set(bytes.subarray(from, to))
  return copy.buffer
}

function readF64(input: ByteReader): number {
  input.skip(8)
  return input.view.getFloat64(input.at - 8, true)
}

function writeHistogram(out: ByteWriter, h: FloatHistogram): void {
  out.writeU8((h.stale ? 1 : 0) | (h.integer ? 2 : 0) | (h.hint << 2))
  if (h.stale) return
  out.writeVarint(h.schema)
  for (const value of [h.zeroThreshold, h.zeroCount, h.count, h.sum]) out.writeF64LittleEndian(value)
  for (const buckets of [h.positive, h.negative]) {
    out.writeUvarint(buckets.index.length)
    buckets.index.forEach((index, i) => {
      out.writeVarint(index)
      out.writeF64LittleEndian(buckets.count[i]!)
    })
  }
  out.writeUvarint(h.customValues?.length ?? 0)
  for (const bound of h.customValues ?? []) out.writeF64LittleEndian(bound)
}

function readHistogram(input: ByteReader): FloatHistogram {
  const h = new FloatHistogram()
  const flags = input.readU8()
  h.stale = (flags & 1) !== 0
  h.integer = (flags & 2) !== 0
  h.hint = ((flags >> 2) & 3) as ResetHint
  if (h.stale) return h
  h.schema = input.readVarint()
  h.zeroThreshold = readF64(input)
  h.zeroCount = readF64(input)
  h.count = readF64(input)
  h.sum = readF64(input)
  h.positive = readBuckets(input)
  h.negative = readBuckets(input)
  const bounds: number[] = []
  for (let i = input.readUvarint(); i > 0; i--) bounds.push(readF64(input))
  if (h.usesCustomBuckets) h.customValues = bounds
  return h
}

function readBuckets(input: ByteReader): Buckets {
  const buckets: Buckets = { index: [], count: [] }
  for (let i = input.readUvarint(); i > 0; i--) {
    buckets.index.push(input.readVarint())
    buckets.count.push(readF64(input))
  }
  return buckets
}
