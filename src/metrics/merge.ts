/** Columns of samples into chunks, blocks into one block, a head's range into a block. */
import { encodeHistogramChunk } from '#codec/histogram-chunk.ts'
import { encodeXor } from '#codec/xor-chunk.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { isPoison } from '#core/poison.ts'
import { compareBytes } from '#core/text.ts'
import { chunkRun, layoutOf, sampleOf } from '#model/histogram-chunk.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { BlockWriter, type ChunkMeta } from './block-writer.ts'
import type { BlockReader, BlockSelection, LoadedChunks } from './block-reader.ts'
import { HeadColumnsBuilder } from './head-columns-builder.ts'
import { chunkBytesOf, hasRest, readColumns, textOf, type HeadColumns } from './head-columns.ts'
import type { Head } from './head.ts'
import type { RangeChunks } from './range-chunks.ts'
import { removeDeleted, type Interval } from './tombstones.ts'

const chunkSamplesMax = 120

export interface EncodedChunk {
  encoding: 1 | 2 | 3
  bytes: Uint8Array
  minMs: number
  maxMs: number
  samples: number
}

/** Samples in order of time, as chunks. Start timestamps are not kept: encodings 1 to 3 have no room for them. */
export function encodeColumns(columns: SampleColumns): EncodedChunk[] {
  const out: EncodedChunk[] = []
  const { timesMs, words, histograms, count } = columns
  for (let i = 0; i < count;) {
    let k = i
    if (histograms?.[i] === undefined) {
      while (k < count && k - i < chunkSamplesMax && histograms?.[k] === undefined) k++
      out.push({
        encoding: 1,
        bytes: encodeXor(timesMs, words, i, k),
        minMs: timesMs[i]!,
        maxMs: timesMs[k - 1]!,
        samples: k - i,
      })
    } else {
      while (k < count && histograms[k] !== undefined) k++
      const run = histograms.slice(i, k).map(h => h!)
      for (let from = 0; from < run.length;) {
        const { to, flag } = chunkRun(run, from, chunkSamplesMax)
        const first = run[from]!
        const samples = run.slice(from, to).map((h, n) => sampleOf(h, timesMs[i + from + n]!, 0))
        out.push({
          encoding: first.integer ? 2 : 3,
          bytes: encodeHistogramChunk(samples, layoutOf(first), flag, first.integer),
          minMs: timesMs[i + from]!,
          maxMs: timesMs[i + to - 1]!,
          samples: to - from,
        })
        from = to
      }
    }
    i = k
  }
  return out
}

export interface WrittenBlock {
  minMs: number
  /** Exclusive. */
  maxMs: number
  samples: number
  histogramSamples: number
  series: number
  chunks: number
  indexBytes: number
  segmentFiles: { name: string; bytes: number }[]
}

class Tally {
  minMs = Infinity
  maxMs = -Infinity
  samples = 0
  histogramSamples = 0

  see(chunk: { encoding: number; minMs: number; maxMs: number }, samples: number): void {
    if (chunk.minMs < this.minMs) this.minMs = chunk.minMs
    if (chunk.maxMs > this.maxMs) this.maxMs = chunk.maxMs
    this.samples += samples
    if (chunk.encoding !== 1) this.histogramSamples += samples
  }
}

function summary(writer: BlockWriter, tally: Tally): WrittenBlock | undefined {
  if (writer.seriesCount === 0) return undefined
  return {
    minMs: tally.minMs,
    maxMs: tally.maxMs + 1,
    samples: tally.samples,
    histogramSamples: tally.histogramSamples,
    series: writer.seriesCount,
    chunks: writer.chunkCount,
    indexBytes: writer.indexBytes,
    segmentFiles: writer.segmentFiles,
  }
}

/** Series of a range that are collected between two pauses. */
const collectSeries = 256

/** What a head holds of a range that was cut, as columns; undefined when that is nothing. */
export async function collectRange(
  head: Head,
  range: RangeChunks,
  pause: () => Promise<void>,
): Promise<{ columns: HeadColumns; transfer: ArrayBuffer[] } | undefined> {
  const all = range.series()
  if (all.length === 0) return undefined
  const builder = new HeadColumnsBuilder(true, all.length)
  const { postings } = head.table
  for (let from = 0; from < all.length; from += collectSeries) {
    head.collectCut(range, all.subarray(from, from + collectSeries), builder)
    const { version } = postings
    await pause()
    if (version !== postings.version) builder.forgetPairs()
  }
  return builder.finish()
}

/** A series that can't be written into a block. */
export interface PoisonedSeries {
  /** As text. */
  labels: string
  reason: string
}

/** What was written of a range, and what could not be. */
export interface WrittenRange {
  written: WrittenBlock | undefined
  poisoned: PoisonedSeries[]
}

/** Writes the columns of a range as a block; a series that can't be written is left out of it. */
export async function writeRange(
  files: Files,
  directory: string,
  columns: HeadColumns,
  pause: () => Promise<void>,
): Promise<WrittenRange> {
  const { texts, rank } = rankTexts(columns)
  await pause()
  const pairRank = rankPairs(columns, rank)
  await pause()
  const order = Uint32Array.from({ length: columns.count }, (_, i) => i)
  order.sort((a, b) => compareSeries(columns, pairRank, a, b))
  await pause()
  const writer = await BlockWriter.open(files, directory, texts)
  const tally = new Tally()
  const samples = new SampleColumns()
  const poisoned: PoisonedSeries[] = []
  for (let n = 0; n < order.length; n++) {
    const series = order[n]!
    const { pairsFrom, pairs } = columns
    const own = pairs.subarray(pairsFrom[series], pairsFrom[series + 1])
    let metas: ChunkMeta[]
    try {
      metas = await writeSeries(columns, series, samples, writer, tally)
    } catch (error) {
      if (!isPoison(error)) throw error
      const labels = new Labels(textNumbers(own).map(text => textOf(columns, text)))
      poisoned.push({ labels: labels.toString(), reason: error.message })
      continue
    }
    await writer.addSeries(
      textNumbers(own).map(text => rank[text]!),
      metas,
    )
    if ((n & 63) === 0) await pause()
  }
  await writer.finish()
  return { written: summary(writer, tally), poisoned }
}

/** The texts of pairs, names and values in turn. */
function textNumbers(pairs: Uint32Array): number[] {
  const texts: number[] = []
  for (const pair of pairs) texts.push(2 * pair, 2 * pair + 1)
  return texts
}

function writeSeries(
  columns: HeadColumns,
  series: number,
  samples: SampleColumns,
  writer: BlockWriter,
  tally: Tally,
): Promise<ChunkMeta[]> {
  if (!hasRest(columns, series)) return copyChunks(columns, series, writer, tally)
  samples.clear()
  readColumns(columns, series, samples)
  samples.normalize(-Infinity, Infinity)
  return writeColumns(samples, writer, tally)
}

/** The texts of all pairs once each, in bytewise order, and by number of a text its place among them. */
function rankTexts(columns: HeadColumns): { texts: Uint8Array[]; rank: Uint32Array } {
  const { textPage, textAt, textLength, textPages } = columns
  // A text lies in one place, however many pairs have it.
  const numberAt = new Map<number, number>()
  const distinct = new Uint32Array(textPage.length)
  const bytes: Uint8Array[] = []
  for (let i = 0; i < textPage.length; i++) {
    const place = textPage[i]! * 2 ** 32 + textAt[i]!
    let number = textLength[i] === 0 ? undefined : numberAt.get(place)
    if (number === undefined) {
      number = bytes.length
      numberAt.set(place, number)
      bytes.push(textPages[textPage[i]!]!.subarray(textAt[i], textAt[i]! + textLength[i]!))
    }
    distinct[i] = number
  }
  const order = Uint32Array.from({ length: bytes.length }, (_, i) => i)
  order.sort((a, b) => compareBytes(bytes[a]!, 0, bytes[a]!.length, bytes[b]!, 0, bytes[b]!.length))
  const places = new Uint32Array(bytes.length)
  order.forEach((number, place) => {
    places[number] = place
  })
  return { texts: Array.from(order, number => bytes[number]!), rank: distinct.map(number => places[number]!) }
}

/** By pair: its place by name, then value. Series compare as the ranks of their pairs do. */
function rankPairs({ textPage }: HeadColumns, rank: Uint32Array): Uint32Array {
  const order = Uint32Array.from({ length: textPage.length / 2 }, (_, pair) => pair)
  order.sort((a, b) => rank[2 * a]! - rank[2 * b]! || rank[2 * a + 1]! - rank[2 * b + 1]!)
  const pairRank = new Uint32Array(order.length)
  order.forEach((pair, place) => {
    pairRank[pair] = place
  })
  return pairRank
}

/** Chunks of a series as they are. */
async function copyChunks(
  columns: HeadColumns,
  series: number,
  writer: BlockWriter,
  tally: Tally,
): Promise<ChunkMeta[]> {
  const { chunksFrom, chunkMinMs, chunkMaxMs } = columns
  const metas: ChunkMeta[] = []
  for (let chunk = chunksFrom[series]!; chunk < chunksFrom[series + 1]!; chunk++) {
    const bytes = chunkBytesOf(columns, chunk)
    const meta = { minMs: chunkMinMs[chunk]!, maxMs: chunkMaxMs[chunk]!, ref: await writer.addChunk(1, bytes) }
    metas.push(meta)
    tally.see({ encoding: 1, ...meta }, (bytes[0]! << 8) | bytes[1]!)
  }
  return metas
}

/** Samples in order of time, as new chunks. */
async function writeColumns(columns: SampleColumns, writer: BlockWriter, tally: Tally): Promise<ChunkMeta[]> {
  const metas: ChunkMeta[] = []
  for (const chunk of encodeColumns(columns)) {
    metas.push({ minMs: chunk.minMs, maxMs: chunk.maxMs, ref: await writer.addChunk(chunk.encoding, chunk.bytes) })
    tally.see(chunk, chunk.samples)
  }
  return metas
}

function compareSeries({ pairsFrom, pairs }: HeadColumns, pairRank: Uint32Array, a: number, b: number): number {
  const fromA = pairsFrom[a]!
  const fromB = pairsFrom[b]!
  const lengthA = pairsFrom[a + 1]! - fromA
  const lengthB = pairsFrom[b + 1]! - fromB
  const length = Math.min(lengthA, lengthB)
  for (let i = 0; i < length; i++) {
    const difference = pairRank[pairs[fromA + i]!]! - pairRank[pairs[fromB + i]!]!
    if (difference !== 0) return difference
  }
  return lengthA - lengthB
}

/** What one of the blocks has of a series. */
interface Part {
  source: Source
  /** Its number in the source. */
  i: number
  deleted: readonly Interval[]
}

/** What blocks became, and by block how many deletions from it that knows. */
export interface MergedBlock {
  written: WrittenBlock | undefined
  deletions: Record<string, number>
}

/**
 * Merges blocks series by series; chunks are copied as they are unless they overlap or something was deleted from them.
 */
export async function mergeBlocks(
  files: Files,
  directory: string,
  readers: readonly BlockReader[],
  pause: () => Promise<void>,
): Promise<MergedBlock> {
  const sources = await Promise.all(
    readers.map(async reader => new Source(reader, await reader.select([]), await reader.tombstones())),
  )
  const { texts, numberOf } = await mergeSymbols(readers)
  const writer = await BlockWriter.open(files, directory, texts)
  const tally = new Tally()
  const columns = new SampleColumns()
  for (let n = 0; ; n++) {
    const labels = smallest(sources)
    if (labels === undefined) break
    const parts = takeParts(sources, labels)
    const metas =
      canBeCopied(parts) && !(await areSmall(parts))
        ? await copyParts(parts, writer, tally)
        : await rewriteParts(parts, columns, writer, tally)
    if (metas.length > 0)
      await writer.addSeries(
        labels.pairs.map(text => numberOf(text)),
        metas,
      )
    if ((n & 15) === 0) await pause()
  }
  await writer.finish()
  return { written: summary(writer, tally), deletions: await deletionsOf(readers) }
}

/** By block: the number of deletions from it, where there were any. */
async function deletionsOf(readers: readonly BlockReader[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const reader of readers) {
    const { count } = await reader.deleted()
    if (count > 0) counts[reader.meta.ulid] = count
  }
  return counts
}

/** Every symbol of the blocks once, in order, and the number of each. */
async function mergeSymbols(
  readers: readonly BlockReader[],
): Promise<{ texts: Uint8Array[]; numberOf: (text: string) => number }> {
  const byText = new Map<string, Uint8Array>()
  for (const reader of readers)
    for (const symbol of await reader.symbols()) byText.set(Buffer.from(symbol).toString('utf8'), symbol)
  const sorted = [...byText].sort((a, b) => compareBytes(a[1], 0, a[1].length, b[1], 0, b[1].length))
  const numbers = new Map(sorted.map(([text], i) => [text, i]))
  return {
    texts: sorted.map(([, bytes]) => bytes),
    numberOf: text => {
      const number = numbers.get(text)
      if (number === undefined) throw new CorruptDataError(`index: ${JSON.stringify(text)} is not among the symbols`)
      return number
    },
  }
}

/** Moves every source that has the series past it, and returns what they have, in order of time. */
function takeParts(sources: readonly Source[], labels: Labels): Part[] {
  const parts: Part[] = []
  for (const source of sources) {
    if (source.labels?.equals(labels) !== true) continue
    parts.push({ source, i: source.at, deleted: source.tombstones.get(source.found.refs[source.at]!) ?? [] })
    source.at++
  }
  return parts.sort((a, b) => a.source.found.firstMs(a.i) - b.source.found.firstMs(b.i))
}

/** Nothing of the parts was deleted, and they do not overlap. */
function canBeCopied(parts: readonly Part[]): boolean {
  let lastMs = -Infinity
  for (const { source, i, deleted } of parts) {
    if (deleted.length > 0 || source.found.firstMs(i) <= lastMs) return false
    lastMs = source.found.lastMs(i)
  }
  return true
}

async function copyParts(parts: readonly Part[], writer: BlockWriter, tally: Tally): Promise<ChunkMeta[]> {
  const metas: ChunkMeta[] = []
  for (const { source, i } of parts) {
    const { loaded, place } = await source.chunks(i)
    for (let k = loaded.startOf[place]!; k < loaded.startOf[place + 1]!; k++) {
      const encoding = loaded.encodingOf(k)
      const bytes = loaded.bytesOf(k)
      const minMs = source.found.minMs[loaded.numberOf[k]!]!
      const maxMs = source.found.maxMs[loaded.numberOf[k]!]!
      metas.push({ minMs, maxMs, ref: await writer.addChunk(encoding, bytes) })
      tally.see({ encoding, minMs, maxMs }, ((bytes[0]! << 8) | bytes[1]!) & (encoding >= 5 ? 0x3fff : 0xffff))
    }
  }
  return metas
}

/** `columns` is used from series to series. */
async function rewriteParts(
  parts: readonly Part[],
  columns: SampleColumns,
  writer: BlockWriter,
  tally: Tally,
): Promise<ChunkMeta[]> {
  columns.clear()
  for (const { source, i, deleted } of parts) {
    const from = columns.count
    const { loaded, place } = await source.chunks(i)
    loaded.decode(place, columns)
    if (deleted.length > 0) removeDeleted(columns, from, deleted)
  }
  columns.normalize(-Infinity, Infinity)
  return writeColumns(columns, writer, tally)
}

/** Chunks of floats with less than this many samples on average are joined. */
const joinBelowSamples = chunkSamplesMax / 2

/**
 * Would the chunks of a series take less room as fewer, larger ones? Slow scrapes fill a chunk of two hours with few
 * samples.
 */
async function areSmall(parts: readonly Part[]): Promise<boolean> {
  let chunks = 0
  let samples = 0
  for (const { source, i } of parts) {
    const { loaded, place } = await source.chunks(i)
    for (let k = loaded.startOf[place]!; k < loaded.startOf[place + 1]!; k++) {
      if (loaded.encodingOf(k) !== 1) return false
      const bytes = loaded.bytesOf(k)
      chunks++
      samples += (bytes[0]! << 8) | bytes[1]!
    }
  }
  return chunks > 1 && samples < chunks * joinBelowSamples
}

/** Series whose chunks are fetched in one go. */
const fetchSeries = 256

/** One of the blocks that are being merged, and how far it was read. */
class Source {
  readonly reader: BlockReader
  readonly found: BlockSelection
  readonly tombstones: ReadonlyMap<number, readonly Interval[]>
  #fetchedFrom = 0
  #fetched: LoadedChunks | undefined
  /** The next series. */
  at = 0

  constructor(reader: BlockReader, found: BlockSelection, tombstones: ReadonlyMap<number, readonly Interval[]>) {
    this.reader = reader
    this.found = found
    this.tombstones = tombstones
  }

  get labels(): Labels | undefined {
    return this.found.labels[this.at]
  }

  /** Every chunk of series `i`; asked for in ascending order. */
  async chunks(i: number): Promise<{ loaded: LoadedChunks; place: number }> {
    if (this.#fetched === undefined || i >= this.#fetchedFrom + fetchSeries) {
      this.#fetchedFrom = i
      const members = Array.from({ length: Math.min(fetchSeries, this.found.count - i) }, (_, k) => i + k)
      this.#fetched = await this.reader.chunks(this.found, members, -Infinity, Infinity)
    }
    return { loaded: this.#fetched, place: i - this.#fetchedFrom }
  }
}

function smallest(sources: readonly Source[]): Labels | undefined {
  let best: Labels | undefined
  for (const source of sources) {
    const { labels } = source
    if (labels !== undefined && (best === undefined || compareLabels(labels, best) < 0)) best = labels
  }
  return best
}
