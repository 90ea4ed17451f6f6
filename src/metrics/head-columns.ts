/**
 * What a head has of some series, as columns that another thread can read: finished chunks and label texts lie in
 * shared pages, whatever may still change is copied.
 */
import type { Paced } from '#core/pace.ts'
import { decodeUtf8 } from '#core/text.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import { appendXor } from './append-xor.ts'

/** Native histograms of one series. */
export interface CarriedHistograms {
  timesMs: readonly number[]
  histograms: readonly FloatHistogram[]
}

/** All of it can be cloned; the memory of columns may be transferred. */
export interface HeadColumns {
  count: number
  /** Pairs of series i are pairs[pairsFrom[i]] ... before pairsFrom[i + 1]. */
  pairsFrom: Uint32Array
  pairs: Uint32Array
  /** Name and value of pair k are the texts 2k and 2k + 1: bytes [textAt, textAt + textLength) of a page. */
  textPage: Uint32Array
  textAt: Uint32Array
  textLength: Uint32Array
  textPages: readonly Uint8Array[]
  /**
   * Chunks of series i, in the order in which they are read, are [chunksFrom[i], chunksFrom[i + 1]). Empty where labels
   * alone were asked for.
   */
  chunksFrom: Uint32Array
  chunkPage: Uint32Array
  chunkAt: Uint32Array
  chunkLength: Uint32Array
  /** The first one has copies of open chunks, the others are shared. */
  chunkPages: readonly Uint8Array[]
  /** First and last time of each chunk, inclusive; only of columns that become a block. */
  chunkMinMs: Float64Array
  chunkMaxMs: Float64Array
  /** Samples out of order, likewise; two words each, low word first. */
  lateFrom: Uint32Array
  lateMs: Float64Array
  lateWords: Uint32Array
  /** By series. */
  histograms: ReadonlyMap<number, readonly CarriedHistograms[]>
}

/** A text by its number. */
export function textOf({ textPage, textAt, textLength, textPages }: HeadColumns, i: number): string {
  const at = textAt[i]!
  return decodeUtf8(textPages[textPage[i]!]!, at, at + textLength[i]!) ?? ''
}

/** The bytes of a chunk. */
export function chunkBytesOf({ chunkPage, chunkAt, chunkLength, chunkPages }: HeadColumns, i: number): Uint8Array {
  const at = chunkAt[i]!
  return chunkPages[chunkPage[i]!]!.subarray(at, at + chunkLength[i]!)
}

/** Does the series have samples that are in no chunk: out of order, or histograms? */
export function hasRest({ lateFrom, histograms }: HeadColumns, series: number): boolean {
  return lateFrom[series + 1]! > lateFrom[series]! || histograms.has(series)
}

/** The labels of all series, in their order. */
export async function labelsOf(columns: HeadColumns, pace: Paced): Promise<Labels[]> {
  const texts: string[] = []
  for (let i = 0; i < columns.textPage.length; i++) {
    texts.push(textOf(columns, i))
    if (pace.worked(1)) await pace.pause()
  }
  const labels: Labels[] = []
  for (let series = 0; series < columns.count; series++) {
    const pairs: string[] = []
    for (let i = columns.pairsFrom[series]!; i < columns.pairsFrom[series + 1]!; i++) {
      const pair = columns.pairs[i]!
      pairs.push(texts[2 * pair]!, texts[2 * pair + 1]!)
    }
    labels.push(new Labels(pairs))
    if (pace.worked(2)) await pace.pause()
  }
  return labels
}

/** Adds the samples of a series; the caller sorts. */
export function readColumns(columns: HeadColumns, series: number, into: SampleColumns): void {
  const { chunksFrom, lateFrom, lateMs, lateWords } = columns
  for (let i = chunksFrom[series]!; i < chunksFrom[series + 1]!; i++) appendXor(chunkBytesOf(columns, i), into)
  for (let i = lateFrom[series]!; i < lateFrom[series + 1]!; i++)
    into.pushWords(lateMs[i]!, lateWords[2 * i + 1]!, lateWords[2 * i]!)
  for (const { timesMs, histograms } of columns.histograms.get(series) ?? [])
    timesMs.forEach((timeMs, i) => {
      into.pushHistogram(timeMs, revived(histograms[i]!))
    })
}

/** Clones have lost their class. */
function revived(carried: FloatHistogram): FloatHistogram {
  return Object.assign(Object.create(FloatHistogram.prototype) as FloatHistogram, carried)
}
