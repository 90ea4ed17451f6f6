/** Streams of an index, and their chunks, on their way to another thread: each text once, numbers as columns. */
import { Labels } from '#model/labels.ts'
import type { IndexedChunk, IndexedStream } from './index-file.ts'

/** All of it can be cloned. */
export interface CarriedStreams {
  fingerprints: readonly string[]
  /** Names and values of labels. */
  texts: readonly string[]
  /** Labels of stream i are the texts [labelsFrom[i], labelsFrom[i + 1]) of `labels`, names and values in turn. */
  labels: Uint32Array
  labelsFrom: Uint32Array
  /** Chunks of stream i are [chunksFrom[i], chunksFrom[i + 1]). */
  chunksFrom: Uint32Array
  fromMs: Float64Array
  throughMs: Float64Array
  checksums: Float64Array
  kilobytes: Float64Array
  entries: Float64Array
}

/** Streams between two pauses. */
const stepStreams = 256

export async function packStreams(
  streams: readonly IndexedStream[],
  pause: () => Promise<void>,
): Promise<CarriedStreams> {
  let labelCount = 0
  let chunkCount = 0
  for (const { labels, chunks } of streams) {
    labelCount += labels.pairs.length
    chunkCount += chunks.length
  }
  const texts = new TextTable()
  const packed = {
    fingerprints: streams.map(stream => stream.fingerprint),
    texts: texts.texts,
    labels: new Uint32Array(labelCount),
    labelsFrom: new Uint32Array(streams.length + 1),
    chunksFrom: new Uint32Array(streams.length + 1),
    fromMs: new Float64Array(chunkCount),
    throughMs: new Float64Array(chunkCount),
    checksums: new Float64Array(chunkCount),
    kilobytes: new Float64Array(chunkCount),
    entries: new Float64Array(chunkCount),
  }
  let labelAt = 0
  let chunkAt = 0
  for (let i = 0; i < streams.length; i++) {
    for (const text of streams[i]!.labels.pairs) packed.labels[labelAt++] = texts.number(text)
    for (const chunk of streams[i]!.chunks) {
      packed.fromMs[chunkAt] = chunk.fromMs
      packed.throughMs[chunkAt] = chunk.throughMs
      packed.checksums[chunkAt] = chunk.checksum
      packed.kilobytes[chunkAt] = chunk.kilobytes
      packed.entries[chunkAt++] = chunk.entries
    }
    packed.labelsFrom[i + 1] = labelAt
    packed.chunksFrom[i + 1] = chunkAt
    if (i % stepStreams === stepStreams - 1) await pause()
  }
  return packed
}

/** The same streams, in the same order. */
export function unpackStreams(carried: CarriedStreams): IndexedStream[] {
  const { fingerprints, texts, labelsFrom, chunksFrom } = carried
  return fingerprints.map((fingerprint, i) => {
    const pairs: string[] = []
    for (let k = labelsFrom[i]!; k < labelsFrom[i + 1]!; k++) pairs.push(texts[carried.labels[k]!]!)
    const chunks: IndexedChunk[] = []
    for (let k = chunksFrom[i]!; k < chunksFrom[i + 1]!; k++)
      chunks.push({
        fingerprint,
        fromMs: carried.fromMs[k]!,
        throughMs: carried.throughMs[k]!,
        checksum: carried.checksums[k]!,
        kilobytes: carried.kilobytes[k]!,
        entries: carried.entries[k]!,
      })
    return { fingerprint, labels: new Labels(pairs), chunks }
  })
}

/** Memory of the columns that may go over with them. */
export function memoryOfStreams(carried: CarriedStreams): ArrayBuffer[] {
  const { labels, labelsFrom, chunksFrom, fromMs, throughMs, checksums, kilobytes, entries } = carried
  return [labels, labelsFrom, chunksFrom, fromMs, throughMs, checksums, kilobytes, entries].flatMap(({ buffer }) =>
    buffer instanceof ArrayBuffer ? [buffer] : [],
  )
}

/** Numbers texts in the order in which they come. */
class TextTable {
  readonly texts: string[] = []
  readonly #numbers = new Map<string, number>()

  number(text: string): number {
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.texts.length
      this.texts.push(text)
      this.#numbers.set(text, number)
    }
    return number
  }
}
