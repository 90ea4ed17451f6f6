/**
 * Log lines on their way in, as columns. Lines are ranges of `bytes`, which belongs to whoever filled the batch (a
 * request body, or the batch's own text buffer) and is not kept by the receiver. Entries of a stream are adjacent.
 */
import { grown } from '#core/grown.ts'
import { moveApart } from './apart.ts'
import { Labels } from './labels.ts'

/** Rows that columns keep room for from batch to batch: 10 MiB. */
const keptRows = 262_144

/** Entries by stream, as columns. */
export class LogBatch {
  /** Stream labels, without empty values. Entries of streams[s] are [startOf[s], startOf[s + 1]). */
  readonly streams: Labels[] = []
  readonly startOf: number[] = [0]
  count = 0
  /** Names of metadata are kept as they are: the sender's queries use them. */
  isVerbatim = false
  /** The outcome lists each entry that is refused. */
  namesRefused = false
  /** Nobody changes it any more, so an append may read it after it has waited. */
  isFrozen = false
  /** More of the same request comes when this is kept: the log does not wait for more of others. */
  isPart = false
  bytes: Uint8Array = new Uint8Array(0)
  /** Whole milliseconds since the epoch, and nanoseconds within them. */
  timesMs = new Float64Array(256)
  subNs = new Uint32Array(256)
  lineFrom = new Uint32Array(256)
  lineTo = new Uint32Array(256)
  /** Structured metadata of entry i: names and values in turn, pairs[pairsFrom[i]] ... pairs[pairsTo[i]). */
  pairsFrom = new Uint32Array(256)
  pairsTo = new Uint32Array(256)
  readonly pairs: string[] = []

  /** `bytes`: where the lines will lie. */
  clear(bytes: Uint8Array): void {
    this.streams.length = 0
    this.startOf.length = 1
    this.count = 0
    this.pairs.length = 0
    this.namesRefused = false
    this.bytes = bytes
    if (this.timesMs.length > keptRows) this.#shrink()
  }

  beginStream(labels: Labels): void {
    this.streams.push(labels)
    this.startOf[this.streams.length] = this.count
  }

  /** An entry of the stream that was begun last. Its pairs follow, by addPair. */
  addLine(ms: number, subNs: number, from: number, to: number): void {
    const i = this.count
    if (i === this.timesMs.length) this.#grow()
    this.timesMs[i] = ms
    this.subNs[i] = subNs
    this.lineFrom[i] = from
    this.lineTo[i] = to
    this.pairsFrom[i] = this.pairsTo[i] = this.pairs.length
    this.count = i + 1
    this.startOf[this.streams.length] = this.count
  }

  /** Takes the line back that was added last, with its pairs. */
  dropLine(): void {
    const i = --this.count
    this.pairs.length = this.pairsFrom[i]!
    this.startOf[this.streams.length] = i
  }

  addPair(name: string, value: string): void {
    this.pairs.push(wellFormed(name), wellFormed(value))
    this.pairsTo[this.count - 1] = this.pairs.length
  }

  #shrink(): void {
    this.timesMs = new Float64Array(256)
    this.subNs = new Uint32Array(256)
    this.lineFrom = new Uint32Array(256)
    this.lineTo = new Uint32Array(256)
    this.pairsFrom = new Uint32Array(256)
    this.pairsTo = new Uint32Array(256)
  }

  #grow(): void {
    const size = this.count * 2
    this.timesMs = grown(this.timesMs, new Float64Array(size))
    this.subNs = grown(this.subNs, new Uint32Array(size))
    this.lineFrom = grown(this.lineFrom, new Uint32Array(size))
    this.lineTo = grown(this.lineTo, new Uint32Array(size))
    this.pairsFrom = grown(this.pairsFrom, new Uint32Array(size))
    this.pairsTo = grown(this.pairsTo, new Uint32Array(size))
  }
}

/** A text as UTF-8 can hold it. */
function wellFormed(text: string): string {
  return text.isWellFormed() ? text : text.toWellFormed()
}

interface Stream {
  labels: Labels
  entries: { ms: number; subNs: number; line: string; pairs: readonly string[]; sent: number }[]
}

/** Collects lines that come as strings, in any order of streams, and lays them out as a batch. */
export class LogBatchBuilder {
  readonly #byStream = new Map<string, Stream>()
  count = 0

  /** `pairs`: names and values in turn. */
  add(labels: Labels, ms: number, subNs: number, line: string, pairs: readonly string[] = []): void {
    const stream = this.#byStream.get(labels.key) ?? this.#streamOf(labels)
    stream.entries.push({ ms, subNs, line, pairs, sent: this.count })
    this.count++
  }

  /** Texts of JSON may have half a surrogate pair, for which UTF-8 has no bytes. */
  #streamOf(sent: Labels): Stream {
    const labels = sent.pairs.every(text => text.isWellFormed())
      ? sent
      : Labels.fromObject(Object.fromEntries(sent.entries().map(pair => pair.map(wellFormed))))
    let stream = this.#byStream.get(labels.key)
    if (stream === undefined) this.#byStream.set(labels.key, (stream = { labels, entries: [] }))
    return stream
  }

  /** Equal entries of one time move on by nanoseconds, so that each is kept. */
  partDuplicates(): void {
    for (const { entries } of this.#byStream.values()) moveApart(entries)
  }

  /** By entry of the built batch: how many were added before it. */
  order(): number[] {
    return [...this.#byStream.values()].flatMap(({ entries }) => entries.map(entry => entry.sent))
  }

  build(): LogBatch {
    const batch = new LogBatch()
    let size = 0
    for (const { entries } of this.#byStream.values()) for (const { line } of entries) size += Buffer.byteLength(line)
    const bytes = Buffer.allocUnsafeSlow(size)
    let at = 0
    for (const { labels, entries } of this.#byStream.values()) {
      batch.beginStream(labels)
      for (const { ms, subNs, line, pairs } of entries) {
        const end = at + bytes.write(line, at)
        batch.addLine(ms, subNs, at, end)
        at = end
        for (let i = 0; i < pairs.length; i += 2) batch.addPair(pairs[i]!, pairs[i + 1]!)
      }
    }
    batch.bytes = bytes
    return batch
  }
}
