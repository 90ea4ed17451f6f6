/**
 * Remote write 1.0: prometheus.WriteRequest into a batch, in place. Source: the public remote-write specification
 * 1.0.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readInt64, readTextMarking, skipField } from '#codec/protobuf.ts'
import type { WriteColumns, WriteRequestKernel } from '#codec/write-request.ts'
import { checkElements, elementsMax } from '#core/body-limits.ts'
import { CorruptDataError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'
import { Labels } from '#model/labels.ts'
import { metricTypes, WriteBatch } from '#model/write-batch.ts'
import { readHistogram } from './histogram.ts'

export type WriteKernel = WriteRequestKernel

/**
 * Fills `batch` from a snappy-compressed body; its columns are valid until the kernel's next request. Errors as the
 * kernel's.
 */
export function decodeWriteBody(
  body: Uint8Array,
  decodedBytesMax: number,
  kernel: WriteRequestKernel,
  batch: WriteBatch,
): WriteBatch {
  const bytes = kernel.unpack(body, decodedBytesMax)
  const columns = kernel.decode(bytes)
  if (columns !== undefined) return fromColumns(columns, batch)
  const plain = new WriteBatch()
  decodeWriteRequest(bytes, plain)
  return plain
}

const metadataSeries = 0xffffffff

function fromColumns(columns: WriteColumns, batch: WriteBatch): WriteBatch {
  batch.clear()
  batch.bytes = columns.bytes
  batch.seriesCount = columns.seriesCount
  batch.keyFrom = columns.keyFrom
  batch.keyTo = columns.keyTo
  batch.hashes = columns.hashes
  batch.sampleCount = columns.sampleCount
  batch.sampleSeries = columns.sampleSeries
  batch.timesMs = columns.timesMs
  batch.values = columns.values
  batch.words = columns.words
  const { rare } = columns
  for (let i = 0; i < rare.length; i += 3) {
    const from = rare[i + 1]!
    const to = rare[i + 2]!
    checkObjects(batch, columns.bytes.length)
    if (rare[i] === metadataSeries) readMetadata(new ByteReader(columns.bytes, from, to), batch)
    else readRareFields(rare[i]!, new ByteReader(columns.bytes, from, to), batch)
  }
  return batch
}

/** Metadata, exemplars and histograms become objects. Throws LimitError (400). */
export function checkObjects({ metadata, exemplars, histograms, refusals }: WriteBatch, bytes: number): void {
  checkElements('parts', metadata.length + exemplars.length + refusals.length, bytes)
  checkElements('items', histograms.length, bytes)
}

/** Exemplars and histograms of a series; its samples are there already. */
function readRareFields(series: number, input: ByteReader, batch: WriteBatch): void {
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag !== 0x1a && tag !== 0x22) {
      skipField(input, tag)
      continue
    }
    const end = input.readLength() + input.at
    const inner = new ByteReader(input.bytes, input.at, end)
    checkObjects(batch, input.bytes.length)
    if (tag === 0x1a) readExemplar(series, inner, batch)
    else readHistogram(inner, series, batch)
    input.at = end
  }
}

/** Fills `batch`, whose keys then point into `bytes` (or a copy that is larger). Errors as the kernel's. */
export function decodeWriteRequest(bytes: Uint8Array, batch: WriteBatch): void {
  batch.clear()
  batch.bytes = bytes
  batch.rowsMax = elementsMax('rows', bytes.length)
  const reader = new TimeSeriesReader(bytes, batch)
  const input = new ByteReader(bytes)
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const length = input.readLength()
      reader.read(input.at, input.at + length)
      input.at += length
    } else if (tag === 0x1a) {
      const length = input.readLength()
      checkObjects(batch, bytes.length)
      readMetadata(new ByteReader(bytes, input.at, input.at + length), batch)
      input.at += length
    } else skipField(input, tag)
  }
  reader.finish()
}

class TimeSeriesReader {
  readonly #bytes: Uint8Array
  readonly #batch: WriteBatch
  readonly #view: DataView
  /** Keys of series whose labels do not stand in one piece. */
  #extra = new Uint8Array(0)
  #extraAt = 0

  constructor(bytes: Uint8Array, batch: WriteBatch) {
    this.#bytes = bytes
    this.#batch = batch
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  read(from: number, to: number): void {
    const bytes = this.#bytes
    // Labels first and in one piece: what every sender does.
    let at = from
    while (at < to && bytes[at] === 0x0a) {
      const length = bytes[at + 1] ?? 128
      if (length >= 128) break
      at += 2 + length
    }
    const input = new ByteReader(bytes, from, to)
    input.at = Math.min(at, to)
    while (input.at < to && bytes[input.at] === 0x0a) {
      input.at++
      input.skip(input.readLength())
    }
    if (at > to) throw new CorruptDataError('remote write: a label runs past its series')
    const keyEnd = input.at
    if (this.#labelsFollow(keyEnd, to)) {
      this.#readScattered(from, to)
      return
    }
    this.#readSamples(this.#batch.addSeries(from, keyEnd), keyEnd, to)
  }

  #labelsFollow(from: number, to: number): boolean {
    const input = new ByteReader(this.#bytes, from, to)
    // The usual series ends here: one sample of at most 18 bytes.
    if (this.#bytes[from] === 0x12 && from + 2 + this.#bytes[from + 1]! === to) return false
    while (input.at < to) {
      const tag = input.readUvarint()
      if (tag === 0x0a) return true
      skipField(input, tag)
    }
    return false
  }

  #readScattered(from: number, to: number): void {
    const keyFrom = this.#bytes.length + this.#extraAt
    const input = new ByteReader(this.#bytes, from, to)
    while (input.at < to) {
      const start = input.at
      const tag = input.readUvarint()
      skipField(input, tag)
      if (tag !== 0x0a) continue
      const piece = this.#bytes.subarray(start, input.at)
      if (this.#extraAt + piece.length > this.#extra.length)
        this.#extra = grown(this.#extra, new Uint8Array((this.#extraAt + piece.length) * 2))
      this.#extra.set(piece, this.#extraAt)
      this.#extraAt += piece.length
    }
    this.#readSamples(this.#batch.addSeries(keyFrom, this.#bytes.length + this.#extraAt), from, to)
  }

  finish(): void {
    if (this.#extraAt === 0) return
    const all = new Uint8Array(this.#bytes.length + this.#extraAt)
    all.set(this.#bytes)
    all.set(this.#extra.subarray(0, this.#extraAt), this.#bytes.length)
    this.#batch.bytes = all
  }

  #readSamples(series: number, from: number, to: number): void {
    const input = new ByteReader(this.#bytes, from, to)
    while (input.at < to) {
      const tag = input.readUvarint()
      if (tag === 0x12) {
        const end = input.readLength() + input.at
        this.#readSample(series, input, end)
      } else if (tag === 0x1a) {
        const end = input.readLength() + input.at
        checkObjects(this.#batch, this.#bytes.length)
        readExemplar(series, new ByteReader(this.#bytes, input.at, end), this.#batch)
        input.at = end
      } else if (tag === 0x22) {
        const end = input.readLength() + input.at
        checkObjects(this.#batch, this.#bytes.length)
        readHistogram(new ByteReader(this.#bytes, input.at, end), series, this.#batch)
        input.at = end
      } else skipField(input, tag)
    }
  }

  #readSample(series: number, input: ByteReader, end: number): void {
    let hi = 0
    let lo = 0
    let timeMs = 0
    while (input.at < end) {
      const tag = input.readU8()
      if (tag === 0x09) {
        input.need(8)
        lo = this.#view.getUint32(input.at, true)
        hi = this.#view.getUint32(input.at + 4, true)
        input.at += 8
      } else if (tag === 0x10) timeMs = readInt64(input)
      else skipField(input, tag)
    }
    if (input.at !== end) throw new CorruptDataError('remote write: a sample runs past its end')
    this.#batch.addSampleWords(series, timeMs, hi, lo)
  }
}

function readLabel(input: ByteReader): [string, string] {
  let name = ''
  let value = ''
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) name = readTextMarking(input)
    else if (tag === 0x12) value = readTextMarking(input)
    else skipField(input, tag)
  }
  return [name, value]
}

function readMetadata(input: ByteReader, batch: WriteBatch): void {
  let type = 0
  let metric = ''
  let help = ''
  let unit = ''
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x08) type = input.readUvarint()
    else if (tag === 0x12) metric = readTextMarking(input)
    else if (tag === 0x22) help = readTextMarking(input)
    else if (tag === 0x2a) unit = readTextMarking(input)
    else skipField(input, tag)
  }
  // Nothing could be told of it: it belongs to no series of the request.
  if (![metric, help, unit].every(text => text.isWellFormed())) return
  batch.metadata.push({ metric, type: metricTypes[type] ?? 'unknown', help, unit })
}

function readExemplar(series: number, input: ByteReader, batch: WriteBatch): void {
  const entries: [string, string][] = []
  let value = 0
  let timeMs = 0
  while (input.at < input.end) {
    const tag = input.readUvarint()
    if (tag === 0x0a) {
      const end = input.readLength() + input.at
      entries.push(readLabel(new ByteReader(input.bytes, input.at, end)))
      input.at = end
    } else if (tag === 0x11) {
      input.need(8)
      value = input.view.getFloat64(input.at, true)
      input.at += 8
    } else if (tag === 0x18) timeMs = readInt64(input)
    else skipField(input, tag)
  }
  if (entries.flat().every(text => text.isWellFormed()))
    batch.exemplars.push({ series, labels: Labels.from(entries), value, timeMs })
  else batch.refusePart(series, 'a label of an exemplar is not UTF-8')
}
