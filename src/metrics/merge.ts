/** Columns of samples into chunks, blocks into one block, a head's range into a block. */
import { encodeHistogramChunk } from '#codec/histogram-chunk.ts'
import { encodeXor } from '#codec/xor-chunk.ts'
import type { Files } from '#core/files.ts'
import { compareBytes } from '#core/text.ts'
import { chunkRun, layoutOf, sampleOf } from '#model/histogram-chunk.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { BlockWriter, type ChunkMeta } from './block-writer.ts'
import type { BlockReader, BlockSelection, LoadedChunks } from './block-reader.ts'
import type { Head } from './head.ts'
import type { RangeChunks } from './range-chunks.ts'
import { removeDeleted } from './tombstones.ts'
import type { Interval } from './tombstones.ts'

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

/** Writes what a head holds of one range. Undefined when that is nothing. */
export async function writeHeadBlock(
  files: Files,
  directory: string,
  head: Head,
  range: RangeChunks,
  pause: () => Promise<void>,
): Promise<WrittenBlock | undefined> {
  const { table } = head
  const all = range.series()
  if (all.length === 0) return undefined
  const { symbols, postings } = table
  const usedPairs = new Uint8Array(postings.capacity),
    usedSymbols = new Uint8Array(symbols.count)
  for (const series of all) for (const pair of table.labelPairs(series)) usedPairs[pair] = 1
  for (let pair = 0; pair < usedPairs.length; pair++)
    if (usedPairs[pair] === 1) usedSymbols[postings.nameOf(pair)] = usedSymbols[postings.valueOf(pair)] = 1
  const inUse = marked(usedSymbols)
  const texts = Array.from(inUse, symbol => symbols.bytes(symbol))
  const order = inUse
    .map((_, i) => i)
    .sort((a, b) => compareBytes(texts[a]!, 0, texts[a]!.length, texts[b]!, 0, texts[b]!.length))
  const rank = new Uint32Array(symbols.count)
  order.forEach((position, i) => {
    rank[inUse[position]!] = i
  })
  await pause()
  // Pairs by name, then value: series compare as the ranks of their pairs do.
  const pairRank = new Uint32Array(postings.capacity)
  marked(usedPairs)
    .sort(
      (a, b) =>
        rank[postings.nameOf(a)]! - rank[postings.nameOf(b)]! ||
        rank[postings.valueOf(a)]! - rank[postings.valueOf(b)]!,
    )
    .forEach((pair, i) => {
      pairRank[pair] = i
    })
  await pause()
  all.sort((a, b) => compareRanks(table.labelPairs(a), table.labelPairs(b), pairRank))
  const writer = await BlockWriter.open(
    files,
    directory,
    Array.from(order, position => texts[position]!),
  )
  const tally = new Tally()
  const columns = new SampleColumns()
  for (let n = 0; n < all.length; n++) {
    const series = all[n]!
    const metas: ChunkMeta[] = []
    if (range.late(series).length === 0 && !range.histogramsOf.has(series)) {
      for (const chunk of range.chunksOf(series)) {
        const bytes = range.chunkBytes(chunk)
        const meta = {
          minMs: range.chunkMinMs(chunk),
          maxMs: range.chunkMaxMs(chunk),
          ref: await writer.addChunk(1, bytes),
        }
        metas.push(meta)
        tally.see({ encoding: 1, ...meta }, (bytes[0]! << 8) | bytes[1]!)
      }
    } else {
      columns.clear()
      range.read(series, -Infinity, Infinity, columns)
      columns.normalize(-Infinity, Infinity)
      for (const chunk of encodeColumns(columns)) {
        metas.push({ minMs: chunk.minMs, maxMs: chunk.maxMs, ref: await writer.addChunk(chunk.encoding, chunk.bytes) })
        tally.see(chunk, chunk.samples)
      }
    }
    const labels: number[] = []
    for (const pair of table.labelPairs(series))
      labels.push(rank[postings.nameOf(pair)]!, rank[postings.valueOf(pair)]!)
    await writer.addSeries(labels, metas)
    if ((n & 63) === 0) await pause()
  }
  await writer.finish()
  return summary(writer, tally)
}

/** The numbers that are marked, ascending. */
function marked(marks: Uint8Array): Uint32Array {
  const numbers: number[] = []
  for (let i = 0; i < marks.length; i++) if (marks[i] === 1) numbers.push(i)
  return Uint32Array.from(numbers)
}

function compareRanks(a: Uint32Array, b: Uint32Array, rank: Uint32Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = rank[a[i]!]! - rank[b[i]!]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/**
 * Merges blocks series by series; chunks are copied as they are unless they overlap or something was deleted from them.
 */
export async function mergeBlocks(
  files: Files,
  directory: string,
  readers: readonly BlockReader[],
  pause: () => Promise<void>,
): Promise<WrittenBlock | undefined> {
  const sources = await Promise.all(
    readers.map(async reader => new Source(reader, await reader.select([]), await reader.tombstones())),
  )
  const texts = new Map<string, Uint8Array>()
  for (const { reader } of sources)
    for (const symbol of await reader.symbols()) texts.set(Buffer.from(symbol).toString('utf8'), symbol)
  const sorted = [...texts].sort((a, b) => compareBytes(a[1], 0, a[1].length, b[1], 0, b[1].length))
  const numbers = new Map(sorted.map(([text], i) => [text, i]))
  const writer = await BlockWriter.open(
    files,
    directory,
    sorted.map(([, bytes]) => bytes),
  )
  const tally = new Tally()
  const columns = new SampleColumns()
  for (let n = 0; ; n++) {
    const labels = smallest(sources)
    if (labels === undefined) break
    const parts: { source: Source; i: number; deleted: readonly Interval[] }[] = []
    for (const source of sources) {
      if (source.labels?.equals(labels) !== true) continue
      parts.push({ source, i: source.at, deleted: source.tombstones.get(source.found.refs[source.at]!) ?? [] })
      source.at++
    }
    const metas: ChunkMeta[] = []
    parts.sort((a, b) => a.source.found.firstMs(a.i) - b.source.found.firstMs(b.i))
    const disjoint = parts.every(
      (part, k) => k === 0 || part.source.found.firstMs(part.i) > parts[k - 1]!.source.found.lastMs(parts[k - 1]!.i),
    )
    if (disjoint && parts.every(part => part.deleted.length === 0) && !(await areSmall(parts))) {
      for (const { source, i } of parts) {
        const { loaded, place } = await source.chunks(i)
        for (let k = loaded.startOf[place]!; k < loaded.startOf[place + 1]!; k++) {
          const encoding = loaded.encodingOf(k),
            bytes = loaded.bytesOf(k)
          const minMs = source.found.minMs[loaded.numberOf[k]!]!,
            maxMs = source.found.maxMs[loaded.numberOf[k]!]!
          metas.push({ minMs, maxMs, ref: await writer.addChunk(encoding, bytes) })
          tally.see({ encoding, minMs, maxMs }, ((bytes[0]! << 8) | bytes[1]!) & (encoding >= 5 ? 0x3fff : 0xffff))
        }
      }
    } else {
      columns.clear()
      for (const { source, i, deleted } of parts) {
        const from = columns.count
        const { loaded, place } = await source.chunks(i)
        loaded.decode(place, columns)
        if (deleted.length > 0) removeDeleted(columns, from, deleted)
      }
      columns.normalize(-Infinity, Infinity)
      for (const chunk of encodeColumns(columns)) {
        metas.push({ minMs: chunk.minMs, maxMs: chunk.maxMs, ref: await writer.addChunk(chunk.encoding, chunk.bytes) })
        tally.see(chunk, chunk.samples)
      }
    }
    if (metas.length > 0)
      await writer.addSeries(
        labels.pairs.map(text => numbers.get(text)!),
        metas,
      )
    if ((n & 15) === 0) await pause()
  }
  await writer.finish()
  return summary(writer, tally)
}

/** Chunks of floats with less than this many samples on average are joined. */
const joinBelowSamples = chunkSamplesMax / 2

/**
 * Would the chunks of a series take less room as fewer, larger ones? Slow scrapes fill a chunk of two hours with few
 * samples.
 */
async function areSmall(parts: readonly { source: Source; i: number }[]): Promise<boolean> {
  let chunks = 0,
    samples = 0
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
