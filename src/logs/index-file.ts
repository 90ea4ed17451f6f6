/**
 * An index of chunks in Loki's TSDB form. Source: docs/formats/loki-index.md. Reads versions 2 to 4, writes 3.
 * An index is read as a whole: series and their chunks become columns, and label pairs lead to series.
 */
import { assert } from '#core/assert.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { CorruptDataError } from '#core/errors.ts'
import { compareText, decodeUtf8, encodeUtf8 } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { Labels, compareLabels } from '#model/labels.ts'
import type { ChunkRef } from './chunk.ts'

/** The label that names the tenant in files that hold several. */
export const tenantLabel = '__loki_tenant__'
const magic = 0xbaaad700
const tocBytes = 76
const pageChunks = 16

/** A stream in an index, and its chunks. */
export interface IndexedStream {
  fingerprint: string
  labels: Labels
  chunks: IndexedChunk[]
}
export interface IndexedChunk extends ChunkRef {
  kilobytes: number
  entries: number
}

/** What an index file holds, in order of fingerprints. */
export class LogIndex {
  readonly streams: readonly IndexedStream[]
  readonly fromMs: number
  readonly throughMs: number
  readonly chunkCount: number
  /** name -> value -> numbers of streams; made when first asked for. */
  #postings: Map<string, Map<string, number[]>> | undefined

  constructor(streams: readonly IndexedStream[], fromMs: number, throughMs: number) {
    this.streams = streams
    this.fromMs = fromMs
    this.throughMs = throughMs
    this.chunkCount = streams.reduce((sum, s) => sum + s.chunks.length, 0)
  }

  #pairs(): Map<string, Map<string, number[]>> {
    if (this.#postings !== undefined) return this.#postings
    const postings = new Map<string, Map<string, number[]>>()
    this.streams.forEach(({ labels: { pairs } }, number) => {
      for (let i = 0; i < pairs.length; i += 2) {
        let values = postings.get(pairs[i]!)
        if (values === undefined) postings.set(pairs[i]!, (values = new Map()))
        const list = values.get(pairs[i + 1]!)
        if (list === undefined) values.set(pairs[i + 1]!, [number])
        else list.push(number)
      }
    })
    return (this.#postings = postings)
  }

  /** The streams that satisfy every matcher. */
  select(matchers: readonly Matcher[]): IndexedStream[] {
    let shortest: number[] | undefined
    for (const matcher of matchers) {
      const values =
        matcher.kind === '=' && matcher.value !== ''
          ? [matcher.value]
          : matcher.kind === '=~'
            ? matcher.alternatives
            : undefined
      if (values === undefined || values.includes('')) continue
      const lists = this.#pairs().get(matcher.name)
      const found = values.flatMap(value => lists?.get(value) ?? [])
      if (shortest === undefined || found.length < shortest.length) shortest = found
    }
    const candidates =
      shortest === undefined ? this.streams : [...new Set(shortest)].map(number => this.streams[number]!)
    return candidates.filter(({ labels }) => matchers.every(m => m.matches(labels.get(m.name))))
  }
}

/** The file's own checksum: its identity in object names, and the number that its name carries. */
export function indexChecksum(bytes: Uint8Array): number {
  return new ByteReader(bytes, Math.max(0, bytes.length - 4)).readU32()
}

/** Throws CorruptDataError. */
export function decodeIndex(bytes: Uint8Array): LogIndex {
  const decoding = decodeInParts(bytes)
  for (;;) {
    const part = decoding.next()
    if (part.done === true) return part.value
  }
}

/** The same, with other work in between. */
export async function decodeIndexByTurns(bytes: Uint8Array, pause: () => Promise<void>): Promise<LogIndex> {
  const decoding = decodeInParts(bytes)
  for (;;) {
    const part = decoding.next()
    if (part.done === true) return part.value
    await pause()
  }
}

/** Chunks and streams of a part. */
const partSize = 1000

function* decodeInParts(bytes: Uint8Array): Generator<undefined, LogIndex> {
  const head = new ByteReader(bytes)
  if (bytes.length < 5 + tocBytes || head.readU32() !== magic) throw new CorruptDataError('log index: not an index')
  const version = head.readU8()
  if (version < 2 || version > 4) throw new CorruptDataError(`log index: version ${version} is not known`)
  const tocAt = bytes.length - tocBytes
  const toc = new ByteReader(bytes, tocAt)
  if (crc32c(bytes, tocAt, bytes.length - 4) !== new ByteReader(bytes, bytes.length - 4).readU32())
    throw new CorruptDataError('log index: the table of contents has a wrong checksum')
  const symbolsAt = toc.readU64()
  const seriesAt = toc.readU64()
  const labelIndicesAt = toc.readU64()
  toc.skip(32)
  const fromMs = Number(toc.view.getBigInt64(toc.at))
  const throughMs = Number(toc.view.getBigInt64(toc.at + 8))
  const symbols = readSymbols(bytes, symbolsAt)
  const seriesEnd = labelIndicesAt > seriesAt ? labelIndicesAt : tocAt
  const streams: IndexedStream[] = []
  let at = Math.ceil(seriesAt / 16) * 16
  let size = 0
  while (at < seriesEnd) {
    if (size > partSize) {
      size = 0
      yield
    }
    const input = new ByteReader(bytes, at)
    const length = input.readUvarint()
    // Behind the last series there is padding or the next section.
    if (length === 0) break
    input.need(length + 4)
    const from = input.at
    if (crc32c(bytes, from, from + length) !== input.view.getUint32(from + length))
      throw new CorruptDataError(`log index: the series at ${at} has a wrong checksum`)
    const stream = readStream(new ByteReader(bytes, from, from + length), version, symbols)
    streams.push(stream)
    size += 1 + stream.chunks.length
    at = Math.ceil((from + length + 4) / 16) * 16
  }
  return new LogIndex(streams, fromMs, throughMs)
}

function readSymbols(bytes: Uint8Array, at: number): string[] {
  const input = new ByteReader(bytes, at)
  const length = input.readU32()
  input.need(length + 4)
  if (crc32c(bytes, input.at, input.at + length) !== input.view.getUint32(input.at + length))
    throw new CorruptDataError('log index: the symbols have a wrong checksum')
  const count = input.readU32()
  if (count > length) throw new CorruptDataError(`log index: ${count} symbols in ${length} bytes`)
  const symbols: string[] = []
  for (let i = 0; i < count; i++) {
    const size = input.readLength()
    symbols.push(
      decodeUtf8(bytes, input.at, input.at + size) ??
        Buffer.from(bytes.subarray(input.at, input.at + size)).toString('utf8'),
    )
    input.at += size
  }
  return symbols
}

function readStream(input: ByteReader, version: number, symbols: readonly string[]): IndexedStream {
  const fingerprint = input.view.getBigUint64(input.at).toString(16)
  input.skip(8)
  const pairCount = input.readUvarint()
  const pairs: string[] = []
  for (let i = 0; i < pairCount * 2; i++) {
    const symbol = symbols[input.readUvarint()]
    if (symbol === undefined) throw new CorruptDataError('log index: a label refers to a symbol that is not there')
    pairs.push(symbol)
  }
  const count = input.readUvarint()
  if (version >= 3) {
    const markers = input.readU32()
    input.skip(markers)
  }
  if (count > input.end) throw new CorruptDataError(`log index: ${count} chunks in ${input.end} bytes`)
  const chunks: IndexedChunk[] = []
  let lastMaxMs = 0
  for (let i = 0; i < count; i++) {
    const fromMs = lastMaxMs + input.readVarint()
    const throughMs = fromMs + input.readUvarint()
    lastMaxMs = throughMs
    const kilobytes = input.readUvarint()
    const entries = input.readUvarint()
    const checksum = input.readU32()
    if (version >= 4) input.readUvarint()
    chunks.push({ fingerprint, fromMs, throughMs, checksum, kilobytes, entries })
  }
  return { fingerprint, labels: new Labels(pairs), chunks }
}

/** Writes an index of version 3. `streams` may be in any order; chunks of a stream too, duplicates are dropped. */
export function encodeIndex(streams: readonly IndexedStream[]): Uint8Array {
  const sorted = streams
    .map(s => ({ ...s, number: BigInt(`0x${s.fingerprint}`) }))
    .sort((a, b) => (a.number < b.number ? -1 : a.number > b.number ? 1 : compareLabels(a.labels, b.labels)))
  return new IndexWriter().encode(sorted)
}

interface NumberedStream extends IndexedStream {
  /** Its fingerprint. */
  number: bigint
}

/** The sections of one index, in the order of the file. */
class IndexWriter {
  readonly #out = new ByteWriter(4096)
  /** By name and value, and of all: references of streams, ascending. */
  readonly #postings = new Map<string, Map<string, number[]>>()
  readonly #all: number[] = []
  /** The postings offset table. */
  readonly #positions = new ByteWriter(4096)
  readonly #list = new ByteWriter(1024)
  #fromMs = Infinity
  #throughMs = -Infinity

  encode(streams: readonly NumberedStream[]): Uint8Array {
    const out = this.#out
    out.writeU32(magic)
    out.writeU8(3)
    const symbolsAt = out.at
    const symbolOf = this.#writeSymbols(streams)
    const seriesAt = out.at
    const offsets = this.#writeStreams(streams, symbolOf)
    out.padTo(4)
    const postingsAt = out.at
    this.#writePostings()
    const labelTableAt = out.at
    writeSection(out, new Uint8Array(4))
    const postingsTableAt = out.at
    writeSection(out, this.#positions.bytes())
    const offsetsAt = out.at
    const body = new ByteWriter(offsets.at + 4)
    body.writeU32(Math.ceil(streams.length / 1024))
    body.writeBytes(offsets.bytes())
    writeSection(out, body.bytes())
    this.#writeContents([symbolsAt, seriesAt, postingsAt, labelTableAt, postingsAt, postingsTableAt, offsetsAt])
    return out.copy()
  }

  /** Returns the number of each symbol. */
  #writeSymbols(streams: readonly NumberedStream[]): Map<string, number> {
    const symbols = [...new Set(streams.flatMap(s => s.labels.pairs))].sort(compareText)
    const table = new ByteWriter(4096)
    table.writeU32(symbols.length)
    for (const symbol of symbols) writeBytes(table, encodeUtf8(symbol))
    writeSection(this.#out, table.bytes())
    return new Map(symbols.map((text, number) => [text, number]))
  }

  /** Returns the sampled table of fingerprints: every 1,024th stream's. */
  #writeStreams(streams: readonly NumberedStream[], symbolOf: ReadonlyMap<string, number>): ByteWriter {
    const out = this.#out
    const offsets = new ByteWriter(256)
    const entry = new ByteWriter(4096)
    streams.forEach((stream, ordinal) => {
      out.padTo(16)
      const ref = out.at / 16
      this.#all.push(ref)
      if (ordinal % 1024 === 0) {
        offsets.writeU64(ref)
        writeBig(offsets, stream.number)
      }
      entry.reset()
      writeBig(entry, stream.number)
      this.#writeLabels(entry, stream.labels.pairs, symbolOf, ref)
      const chunks = sortChunks(stream.chunks)
      for (const chunk of chunks) {
        this.#fromMs = Math.min(this.#fromMs, chunk.fromMs)
        this.#throughMs = Math.max(this.#throughMs, chunk.throughMs)
      }
      writeChunks(entry, chunks)
      out.writeUvarint(entry.at)
      out.writeBytes(entry.bytes())
      out.writeU32(crc32c(entry.buffer, 0, entry.at))
    })
    return offsets
  }

  #writeLabels(entry: ByteWriter, pairs: readonly string[], symbolOf: ReadonlyMap<string, number>, ref: number): void {
    entry.writeUvarint(pairs.length / 2)
    for (const text of pairs) entry.writeUvarint(symbolNumber(symbolOf, text))
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i]!
      let byValue = this.#postings.get(name)
      if (byValue === undefined) this.#postings.set(name, (byValue = new Map()))
      const list = byValue.get(pairs[i + 1]!)
      if (list === undefined) byValue.set(pairs[i + 1]!, [ref])
      else list.push(ref)
    }
  }

  /** The list of all streams, then one for each pair, by name and value. */
  #writePostings(): void {
    const inOrder = [...this.#postings]
      .flatMap(([name, byValue]) => Array.from(byValue, ([value, refs]) => ({ name, value, refs })))
      .sort((a, b) => compareText(a.name, b.name) || compareText(a.value, b.value))
    this.#positions.writeU32(inOrder.length + 1)
    this.#writeList('', '', this.#all)
    for (const { name, value, refs } of inOrder) this.#writeList(name, value, refs)
  }

  #writeList(name: string, value: string, refs: readonly number[]): void {
    this.#out.padTo(4)
    this.#positions.writeUvarint(2)
    writeBytes(this.#positions, encodeUtf8(name))
    writeBytes(this.#positions, encodeUtf8(value))
    this.#positions.writeUvarint(this.#out.at)
    this.#list.reset()
    this.#list.writeU32(refs.length)
    for (const ref of refs) this.#list.writeU32(ref)
    writeSection(this.#out, this.#list.bytes())
  }

  /** The table of contents. */
  #writeContents(offsets: readonly number[]): void {
    const out = this.#out
    const startAt = out.at
    for (const offset of offsets) out.writeU64(offset)
    writeBig(out, BigInt(this.#fromMs === Infinity ? 0 : this.#fromMs))
    writeBig(out, BigInt(this.#throughMs === -Infinity ? 0 : this.#throughMs))
    out.writeU32(crc32c(out.buffer, startAt, out.at))
  }
}

function symbolNumber(symbolOf: ReadonlyMap<string, number>, text: string): number {
  const number = symbolOf.get(text)
  assert(number !== undefined, 'every label is among the symbols')
  return number
}

/** Bytes behind their length. */
function writeBytes(out: ByteWriter, bytes: Uint8Array): void {
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function sortChunks(chunks: readonly IndexedChunk[]): IndexedChunk[] {
  const sorted = [...chunks].sort((a, b) => a.fromMs - b.fromMs || a.throughMs - b.throughMs || a.checksum - b.checksum)
  return sorted.filter(
    (c, i) =>
      i === 0 ||
      c.fromMs !== sorted[i - 1]!.fromMs ||
      c.throughMs !== sorted[i - 1]!.throughMs ||
      c.checksum !== sorted[i - 1]!.checksum,
  )
}

/** Chunk records behind their page markers, by which readers seek in long lists. */
function writeChunks(entry: ByteWriter, chunks: readonly IndexedChunk[]): void {
  const records = new ByteWriter(chunks.length * 20 + 16)
  const markers = new ByteWriter(256)
  markers.writeUvarint(Math.ceil(chunks.length / pageChunks))
  let lastMaxMs = 0
  for (let page = 0; page < chunks.length; page += pageChunks) {
    const part = chunks.slice(page, page + pageChunks)
    const at = records.at
    let kilobytes = 0
    let entries = 0
    let minMs = Infinity
    let maxMs = -Infinity
    for (const chunk of part) {
      records.writeVarint(chunk.fromMs - lastMaxMs)
      records.writeUvarint(chunk.throughMs - chunk.fromMs)
      records.writeUvarint(chunk.kilobytes)
      records.writeUvarint(chunk.entries)
      records.writeU32(chunk.checksum)
      lastMaxMs = chunk.throughMs
      kilobytes += chunk.kilobytes
      entries += chunk.entries
      minMs = Math.min(minMs, chunk.fromMs)
      maxMs = Math.max(maxMs, chunk.throughMs)
    }
    markers.writeUvarint(part.length)
    markers.writeU32(kilobytes >>> 0)
    markers.writeU32(entries >>> 0)
    markers.writeUvarint(at)
    markers.writeVarint(minMs)
    markers.writeVarint(maxMs - minMs)
  }
  entry.writeUvarint(chunks.length)
  entry.writeU32(chunks.length === 0 ? 0 : markers.at)
  if (chunks.length === 0) return
  entry.writeBytes(markers.bytes())
  entry.writeBytes(records.bytes())
}

function writeSection(out: ByteWriter, body: Uint8Array): void {
  out.writeU32(body.length)
  out.writeBytes(body)
  out.writeU32(crc32c(body))
}

function writeBig(out: ByteWriter, value: bigint): void {
  out.reserve(8)
  out.view.setBigInt64(out.at, BigInt.asIntN(64, value))
  out.at += 8
}
