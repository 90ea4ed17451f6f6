/**
 * Remote-write requests, 1.0 and 2.0, from a batch. Source: the public remote.proto and types.proto, and the
 * specification 2.0.
 */
import { ByteDictionary } from '#codec/byte-dictionary.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { readText } from '#codec/protobuf.ts'
import { metricName } from '#core/names.ts'
import { spansOf, type Buckets, type FloatHistogram } from '#model/histogram.ts'
import type { Labels } from '#model/labels.ts'
import { KeyWriter, metricTypes, type ExemplarSample, type Metadata, type WriteBatch } from '#model/write-batch.ts'

/** The labels of a key. */
export function keyPairs(bytes: Uint8Array, from: number, to: number): [string, string][] {
  const input = new ByteReader(bytes, from, to)
  const pairs: [string, string][] = []
  while (input.at < to) {
    input.readUvarint()
    const end = input.readLength() + input.at
    const pair: [string, string] = ['', '']
    while (input.at < end) {
      const tag = input.readUvarint()
      pair[tag === 0x0a ? 0 : 1] = readText(input)
    }
    pairs.push(pair)
  }
  return pairs
}

function message(out: ByteWriter, tag: number, body: ByteWriter): void {
  out.writeUvarint(tag)
  out.writeUvarint(body.at)
  out.writeBytes(body.bytes())
}
function doubleField(out: ByteWriter, tag: number, value: number): void {
  out.writeU8(tag)
  out.writeF64LittleEndian(value)
}

/** A zig-zag number that a varint holds. */
function spansField(out: ByteWriter, tag: number, buckets: Buckets): void {
  for (const { offset, length } of spansOf(buckets)) {
    const span = new ByteWriter(16)
    span.writeU8(0x08)
    span.writeVarint(offset)
    span.writeU8(0x10)
    span.writeUvarint(length)
    message(out, tag, span)
  }
}

/** Counts where spans have gaps of their own: one for each bucket of the spans. */
function bucketFields(
  out: ByteWriter,
  h: FloatHistogram,
  buckets: Buckets,
  spanTag: number,
  deltaTag: number,
  countTag: number,
): void {
  if (buckets.index.length === 0) return
  spansField(out, spanTag, buckets)
  const packed = new ByteWriter(64)
  let before = 0
  for (const count of buckets.count) {
    if (h.integer) {
      packed.writeVarint(count - before)
      before = count
    } else packed.writeF64LittleEndian(count)
  }
  message(out, h.integer ? deltaTag : countTag, packed)
}

function writeHistogram(out: ByteWriter, h: FloatHistogram, timeMs: number): void {
  if (h.integer) {
    out.writeU8(0x08)
    out.writeUvarint(h.count)
  } else doubleField(out, 0x11, h.count)
  if (h.stale) {
    out.writeU8(0x19)
    out.reserve(8)
    out.view.setUint32(out.at, 2, true)
    out.view.setUint32(out.at + 4, 0x7ff00000, true)
    out.at += 8
  } else doubleField(out, 0x19, h.sum)
  out.writeU8(0x20)
  out.writeVarint(h.schema)
  doubleField(out, 0x29, h.zeroThreshold)
  if (h.integer) {
    out.writeU8(0x30)
    out.writeUvarint(h.zeroCount)
  } else doubleField(out, 0x39, h.zeroCount)
  bucketFields(out, h, h.negative, 0x42, 0x4a, 0x52)
  bucketFields(out, h, h.positive, 0x5a, 0x62, 0x6a)
  out.writeU8(0x70)
  out.writeUvarint(h.hint)
  out.writeU8(0x78)
  out.writeProtoInt64(timeMs)
  if (h.customValues !== undefined && h.customValues.length > 0) {
    const packed = new ByteWriter(64)
    for (const bound of h.customValues) packed.writeF64LittleEndian(bound)
    message(out, 0x82, packed)
  }
}

function writeExemplar(out: ByteWriter, { labels, value, timeMs }: ExemplarSample): void {
  const key = new KeyWriter()
  const from = key.writeLabels(labels)
  out.writeBytes(key.bytes.subarray(from, key.at))
  doubleField(out, 0x11, value)
  out.writeU8(0x18)
  out.writeProtoInt64(timeMs)
}

/** A label as it stands in a key, and its name. */
export interface AddedLabel {
  name: Uint8Array
  field: Uint8Array
}

/** In the order of their names. */
export function addedLabels(pairs: readonly (readonly [string, string])[]): AddedLabel[] {
  const list = pairs
    .filter(([, value]) => value !== '')
    .map(([name, value]): AddedLabel => {
      const key = new KeyWriter(64)
      key.writeLabelBytes(Buffer.from(name), Buffer.from(value))
      return { name: Buffer.from(name), field: key.bytes.slice(0, key.at) }
    })
  return list.sort((a, b) => Buffer.compare(a.name, b.name))
}

/** Puts labels into a key where they belong; its own win. */
function writeMerged(out: ByteWriter, bytes: Uint8Array, from: number, to: number, added: readonly AddedLabel[]): void {
  const input = new ByteReader(bytes, from, to)
  let next = 0
  while (input.at < to) {
    const at = input.at
    input.readUvarint()
    const end = input.readLength() + input.at
    input.readUvarint()
    const length = input.readLength()
    const nameAt = input.at
    for (; next < added.length; next++) {
      const order = compareName(added[next]!.name, bytes, nameAt, nameAt + length)
      if (order > 0) break
      if (order < 0) out.writeBytes(added[next]!.field)
    }
    out.writeBytes(bytes.subarray(at, end))
    input.at = end
  }
  for (; next < added.length; next++) out.writeBytes(added[next]!.field)
}

function compareName(name: Uint8Array, bytes: Uint8Array, from: number, to: number): number {
  const shared = Math.min(name.length, to - from)
  for (let i = 0; i < shared; i++) if (name[i] !== bytes[from + i]) return name[i]! - bytes[from + i]!
  return name.length - (to - from)
}

/** What of a batch goes out, and with which labels. */
export interface EncodeOptions {
  /** The labels that go out; undefined: the series doesn't. Without it labels go as they are. */
  labelsOf: ((pairs: [string, string][]) => Labels | undefined) | undefined
  /** Labels that every series gets that does not have them, where `labelsOf` doesn't say. */
  added: readonly AddedLabel[]
  isWithExemplars: boolean
  isWithHistograms: boolean
  /** Only the series of this lane, by `lanesOf`; metadata of their own go with the first lane. */
  lane?: { of: Uint8Array; number: number }
}

/** Used again from request to request: nothing in here is waited for. */
const scratch = {
  out: new ByteWriter(64 * 1024),
  series: new ByteWriter(1024),
  part: new ByteWriter(256),
  labels: new ByteWriter(1024),
  keys: new KeyWriter(),
}

/** What a batch has, by series. Samples of a series follow each other in a chain. */
interface BySeries {
  first: Int32Array
  next: Int32Array
  histograms: Map<number, number[]>
  exemplars: Map<number, number[]>
}

function bySeries(batch: WriteBatch, { isWithHistograms, isWithExemplars }: EncodeOptions): BySeries {
  const first = new Int32Array(batch.seriesCount).fill(-1)
  const last = new Int32Array(batch.seriesCount)
  const next = new Int32Array(batch.sampleCount).fill(-1)
  for (let i = 0; i < batch.sampleCount; i++) {
    const s = batch.sampleSeries[i]!
    if (first[s] === -1) first[s] = i
    else next[last[s]!] = i
    last[s] = i
  }
  const histograms = new Map<number, number[]>()
  const exemplars = new Map<number, number[]>()
  if (isWithHistograms)
    batch.histograms.forEach(({ series: s }, i) => {
      const list = histograms.get(s)
      if (list === undefined) histograms.set(s, [i])
      else list.push(i)
    })
  if (isWithExemplars)
    batch.exemplars.forEach(({ series: s }, i) => {
      const list = exemplars.get(s)
      if (list === undefined) exemplars.set(s, [i])
      else list.push(i)
    })
  return { first, next, histograms, exemplars }
}

/** The labels that go out, as the fields of a key. False: the series does not go out. */
function writeLabels(out: ByteWriter, batch: WriteBatch, s: number, { labelsOf, added }: EncodeOptions): boolean {
  const from = batch.keyFrom[s]!
  const to = batch.keyTo[s]!
  const { keys } = scratch
  if (labelsOf === undefined && added.length > 0) writeMerged(out, batch.bytes, from, to, added)
  else if (labelsOf === undefined) out.writeBytes(batch.bytes.subarray(from, to))
  else {
    const labels = labelsOf(keyPairs(batch.bytes, from, to))
    if (labels === undefined || labels.size === 0) return false
    keys.reset()
    keys.writeLabels(labels)
    out.writeBytes(keys.bytes.subarray(0, keys.at))
  }
  return true
}

/** The lane of each series, below `count`: the same for a label set in whatever order its labels stand. */
export function lanesOf(batch: WriteBatch, options: EncodeOptions, count: number): Uint8Array {
  const lanes = new Uint8Array(batch.seriesCount)
  const { labels } = scratch
  const { labelsOf, added } = options
  for (let s = 0; s < batch.seriesCount; s++)
    if (labelsOf === undefined) lanes[s] = hashOfLabels(batch.bytes, batch.keyFrom[s]!, batch.keyTo[s]!, added) % count
    else {
      labels.reset()
      if (writeLabels(labels, batch, s, options)) lanes[s] = hashOfLabels(labels.buffer, 0, labels.at, []) % count
    }
  return lanes
}

/** The sum of the hashes of a key's labels, and of the added ones that it does not have. */
function hashOfLabels(bytes: Uint8Array, from: number, end: number, added: readonly AddedLabel[]): number {
  let sum = 0
  for (const { field } of added)
    sum = (sum + hashOfField(field, field.length - contentLength(field, 1), field.length)) | 0
  for (let at = from; at < end;) {
    const length = contentLength(bytes, at + 1)
    at += length < 128 ? 2 : length < 16384 ? 3 : 4
    const to = Math.min(end, at + length)
    for (const { name, field } of added)
      // Its own value stands instead of the added one.
      if (isNamed(bytes, at, to, name))
        sum = (sum - hashOfField(field, field.length - contentLength(field, 1), field.length)) | 0
    sum = (sum + hashOfField(bytes, at, to)) | 0
    at = to
  }
  return Math.imul(sum ^ (sum >>> 16), 0xc2b2ae35) >>> 0
}

/** FNV-1a, mixed. */
function hashOfField(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return hash ^ (hash >>> 13)
}

/** The length that stands at a place: of at most three bytes, as lengths of labels are. */
function contentLength(bytes: Uint8Array, at: number): number {
  const a = bytes[at]!
  const b = bytes[at + 1]!
  const c = bytes[at + 2]!
  return a < 128 ? a : b < 128 ? (a & 127) | (b << 7) : (a & 127) | ((b & 127) << 7) | (c << 14)
}

/** Whether a label, which begins with its name, has this one. */
function isNamed(bytes: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  if (name.length >= 128 || bytes[from + 1] !== name.length || from + 2 + name.length > to) return false
  for (let i = 0; i < name.length; i++) if (bytes[from + 2 + i] !== name[i]) return false
  return true
}

/** The words go as they are, so that a staleness marker stays one. */
function writeSample(out: ByteWriter, batch: WriteBatch, i: number): void {
  out.reset()
  out.writeU8(0x09)
  out.reserve(8)
  out.view.setUint32(out.at, batch.words[2 * i]!, true)
  out.view.setUint32(out.at + 4, batch.words[2 * i + 1]!, true)
  out.at += 8
  out.writeU8(0x10)
  out.writeProtoInt64(batch.timesMs[i]!)
}

/**
 * A prometheus.WriteRequest, not compressed, and how many samples are in it. The bytes are good until the next call.
 */
export function encodeWriteRequest(batch: WriteBatch, options: EncodeOptions): { bytes: Uint8Array; samples: number } {
  const { out, series, part } = scratch
  out.reset()
  const { first, next, histograms, exemplars } = bySeries(batch, options)
  const { lane } = options
  let samples = 0
  for (let s = 0; s < batch.seriesCount; s++) {
    const own = histograms.get(s)
    if ((first[s] === -1 && own === undefined) || (lane !== undefined && lane.of[s] !== lane.number)) continue
    series.reset()
    if (!writeLabels(series, batch, s, options)) continue
    for (let i = first[s]!; i >= 0; i = next[i]!) {
      writeSample(part, batch, i)
      message(series, 0x12, part)
      samples++
    }
    for (const e of exemplars.get(s) ?? []) {
      part.reset()
      writeExemplar(part, batch.exemplars[e]!)
      message(series, 0x1a, part)
    }
    for (const h of own ?? []) {
      part.reset()
      writeHistogram(part, batch.histograms[h]!.histogram, batch.histograms[h]!.timeMs)
      message(series, 0x22, part)
      samples++
    }
    message(out, 0x0a, series)
  }
  for (const { metric, type, help, unit } of lane === undefined || lane.number === 0 ? batch.metadata : []) {
    part.reset()
    part.writeU8(0x08)
    part.writeUvarint(Math.max(0, metricTypes.indexOf(type)))
    for (const [tag, text] of [
      [0x12, metric],
      [0x22, help],
      [0x2a, unit],
    ] as const) {
      const bytes = Buffer.from(text)
      if (bytes.length > 0) {
        part.writeU8(tag)
        part.writeUvarint(bytes.length)
        part.writeBytes(bytes)
      }
    }
    message(out, 0x1a, part)
  }
  return { bytes: out.bytes(), samples }
}

/** Texts of a request of version 2.0, each once, by number; the first one is empty. */
class Symbols {
  readonly #seen = new ByteDictionary()

  reset(): void {
    this.#seen.reset()
    this.#seen.entryOf(noBytes, 0, 0)
  }

  of(text: string): number {
    const bytes = Buffer.from(text)
    return this.#seen.entryOf(bytes, 0, bytes.length)
  }

  /** References of the labels in [from, to) of a key. */
  writeLabels(out: ByteWriter, key: Uint8Array, from: number, to: number): void {
    const input = new ByteReader(key, from, to)
    while (input.at < to) {
      input.readUvarint()
      const end = input.readLength() + input.at
      let name = 0
      let value = 0
      while (input.at < end) {
        const tag = input.readUvarint()
        const length = input.readLength()
        const number = this.#seen.entryOf(key, input.at, input.at + length)
        if (tag === 0x0a) name = number
        else value = number
        input.at += length
      }
      out.writeUvarint(name)
      out.writeUvarint(value)
    }
  }

  write(out: ByteWriter): void {
    const { bytes, offsets, count } = this.#seen
    for (let i = 0; i < count; i++) {
      out.writeU8(0x22)
      out.writeUvarint(offsets[i + 1]! - offsets[i]!)
      out.writeBytes(bytes.buffer.subarray(offsets[i], offsets[i + 1]))
    }
  }
}
const noBytes = new Uint8Array(0)
const symbols = new Symbols()

/** An io.prometheus.write.v2.Request, as `encodeWriteRequest`. Metadata go with the series that have them. */
export function encodeWriteRequestV2(
  batch: WriteBatch,
  options: EncodeOptions,
): { bytes: Uint8Array; samples: number } {
  const { out, series, part, labels } = scratch
  out.reset()
  symbols.reset()
  const { first, next, histograms, exemplars } = bySeries(batch, options)
  const { lane } = options
  const metadata = new Map(batch.metadata.map(m => [m.metric, m]))
  let samples = 0
  for (let s = 0; s < batch.seriesCount; s++) {
    const own = histograms.get(s)
    if ((first[s] === -1 && own === undefined) || (lane !== undefined && lane.of[s] !== lane.number)) continue
    labels.reset()
    if (!writeLabels(labels, batch, s, options)) continue
    series.reset()
    part.reset()
    symbols.writeLabels(part, labels.buffer, 0, labels.at)
    message(series, 0x0a, part)
    for (let i = first[s]!; i >= 0; i = next[i]!) {
      writeSample(part, batch, i)
      message(series, 0x12, part)
      samples++
    }
    for (const h of own ?? []) {
      part.reset()
      writeHistogram(part, batch.histograms[h]!.histogram, batch.histograms[h]!.timeMs)
      message(series, 0x1a, part)
      samples++
    }
    for (const e of exemplars.get(s) ?? []) {
      part.reset()
      writeExemplarV2(part, batch.exemplars[e]!)
      message(series, 0x22, part)
    }
    const described = metadata.size === 0 ? undefined : metadataOf(metadata, labels, own !== undefined)
    if (described !== undefined) {
      part.reset()
      part.writeU8(0x08)
      part.writeUvarint(Math.max(0, metricTypes.indexOf(described.type)))
      part.writeU8(0x18)
      part.writeUvarint(symbols.of(described.help))
      part.writeU8(0x20)
      part.writeUvarint(symbols.of(described.unit))
      message(series, 0x2a, part)
    }
    message(out, 0x2a, series)
  }
  if (samples > 0) symbols.write(out)
  return { bytes: out.bytes(), samples }
}

function metadataOf(
  metadata: ReadonlyMap<string, Metadata>,
  labels: ByteWriter,
  isHistogram: boolean,
): Metadata | undefined {
  const name = keyPairs(labels.buffer, 0, labels.at).find(([n]) => n === metricName)?.[1] ?? ''
  const found = metadata.get(name)
  if (found !== undefined || isHistogram) return found
  const family = metadata.get(name.replace(/_(?:bucket|sum|count|total)$/, ''))
  return family !== undefined &&
    (['histogram', 'gaugehistogram', 'summary'].includes(family.type) ||
      (family.type === 'counter' && name.endsWith('_total')))
    ? family
    : undefined
}

function writeExemplarV2(out: ByteWriter, { labels, value, timeMs }: ExemplarSample): void {
  const key = new KeyWriter()
  const from = key.writeLabels(labels)
  const refs = new ByteWriter(16)
  symbols.writeLabels(refs, key.bytes, from, key.at)
  message(out, 0x0a, refs)
  doubleField(out, 0x11, value)
  out.writeU8(0x18)
  out.writeProtoInt64(timeMs)
}
