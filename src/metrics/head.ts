/**
 * The samples of one tenant that are not in a block yet. Series are numbers; each has at most one open chunk, and
 * everything finished lies in the RangeChunks of its block range.
 *
 * A sample comes in twice: `admit` decides on it and notes it, so that the next one can be compared with it; `show`
 * makes it visible when the log has it. `takeBack` forgets what was admitted and is not shown.
 */
import type { HashSeed } from '#codec/series-key.ts'
import { OpenXorChunks } from '#codec/xor-chunk.ts'
import { grown } from '#core/grown.ts'
import type { Limits } from '#core/limits.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { AdmittedSamples } from './admitted.ts'
import { appendXor } from './append-xor.ts'
import { ChangeLog } from './change-log.ts'
import type { HeadColumnsBuilder } from './head-columns-builder.ts'
import { RangeChunks } from './range-chunks.ts'
import { SeriesTable } from './series-table.ts'

/** What became of a sample. */
export const sampleOutcome = { stored: 0, repeated: 1, duplicate: 2, outOfOrder: 3, tooOld: 4, inFuture: 5 } as const
export type SampleOutcome = (typeof sampleOutcome)[keyof typeof sampleOutcome]

/** A series with ten labels: its columns, its labels, its place among the postings, its open chunk. */
const seriesBytes = 500
const freeSeriesBytes = 60
/** Inclusive milliseconds. */
export interface TimeRange {
  fromMs: number
  throughMs: number
}

/** What a selection goes by: the ranges that were there when it began. */
export interface Held {
  ranges: readonly RangeChunks[]
  labelsOnly: boolean
}

const chunkSamplesMax = 120
/** Beyond this many bytes a chunk is finished early: the XOR slot's bit position has 16 bits. */
const chunkBytesMax = 1024

export class Head {
  readonly table: SeriesTable
  readonly rangeMs: number
  readonly #outOfOrderMs: number
  readonly #open = new OpenXorChunks()
  readonly #admitted = new AdmittedSamples()
  /** Time of the last sample of any kind, per series. */
  #lastMs = new Float64Array(0)
  /** By series: the end of the block range that its open chunk belongs to. */
  #openEndMs = new Float64Array(0)
  readonly #ranges = new Map<number, RangeChunks>()
  /** Ranges that are being written to a block: read, but not appended to. */
  readonly #leaving = new Set<RangeChunks>()
  minMs = Infinity
  maxMs = -Infinity
  /** Is told the time of every sample that becomes visible. */
  readonly #changes: ChangeLog
  samplesStored = 0

  /** `outOfOrderMs` Infinity takes samples of any age. */
  constructor(
    seed: HashSeed,
    limits: Limits,
    rangeMs: number,
    outOfOrderMs: number,
    changes = new ChangeLog(0),
    seriesMax?: () => number,
  ) {
    this.#changes = changes
    this.table = new SeriesTable(seed, limits, seriesMax)
    this.rangeMs = rangeMs
    this.#outOfOrderMs = outOfOrderMs
  }

  /** Must be called after series were made and before samples are appended to them. */
  reserve(): void {
    const count = this.table.count
    if (count <= this.#lastMs.length) return
    this.#open.reserve(count)
    const size = Math.max(count, Math.ceil(this.#lastMs.length * 1.5), 64)
    this.#admitted.reserve(size)
    this.#lastMs = grown(this.#lastMs, new Float64Array(size).fill(-Infinity))
    this.#openEndMs = grown(this.#openEndMs, new Float64Array(size))
  }

  /**
   * What the clock says; set before samples are admitted. A clock that was ahead for a while left samples that are not
   * there yet: by them nothing of now is too old.
   */
  nowMs = Infinity
  /** Set with it: later samples are there only because a clock was ahead. */
  likelyMs = Infinity

  /** Time of the newest sample that was admitted, no later than now. */
  get newestMs(): number {
    return Math.min(this.#admitted.maxMs, this.nowMs)
  }

  /** Samples older than this are refused where they would be the newest of their series. */
  get oldestMs(): number {
    return this.newestMs - Math.max(this.#outOfOrderMs, this.rangeMs / 2)
  }

  /** What becomes of a sample. Where it is `stored`, `show` must follow, or `takeBack`. */
  admit(series: number, timeMs: number, hi: number, lo: number): SampleOutcome {
    const admitted = this.#admitted
    const lastMs = admitted.timesMs[series]!
    if (timeMs > lastMs) {
      if (timeMs < this.oldestMs) return sampleOutcome.tooOld
      admitted.noteFloat(series, timeMs, hi, lo)
      return sampleOutcome.stored
    }
    if (timeMs === lastMs) {
      const comparison = admitted.compareFloat(series, hi, lo)
      if (comparison !== 'unknown') return comparison === 'same' ? sampleOutcome.repeated : sampleOutcome.duplicate
      // What was taken back is forgotten with its predecessor; the open chunk may have that.
      if (this.#open.count[series]! > 0 && this.#open.lastMs[series] === timeMs)
        return this.#open.lastEquals(series, hi, lo) ? sampleOutcome.repeated : sampleOutcome.duplicate
    }
    return this.#admitLate(series, timeMs)
  }

  #admitLate(series: number, timeMs: number): SampleOutcome {
    if (this.#isTooLate(series, timeMs)) return this.#tooLate
    if (this.#knownRange(timeMs)?.histogramAt(series, timeMs) !== undefined) return sampleOutcome.duplicate
    this.#admitted.noteLate(timeMs)
    return sampleOutcome.stored
  }

  #isTooLate(series: number, timeMs: number): boolean {
    // The newest of the series is none that anybody could send now: the sample is as good as the newest.
    if (this.#admitted.timesMs[series]! > this.likelyMs) return timeMs < this.oldestMs
    return timeMs < this.newestMs - this.#outOfOrderMs
  }
  get #tooLate(): SampleOutcome {
    return this.#outOfOrderMs === 0 ? sampleOutcome.outOfOrder : sampleOutcome.tooOld
  }

  /** The same for a histogram. */
  admitHistogram(series: number, timeMs: number, histogram: FloatHistogram): SampleOutcome {
    const admitted = this.#admitted
    const lastMs = admitted.timesMs[series]!
    if (timeMs > lastMs) {
      if (timeMs < this.oldestMs) return sampleOutcome.tooOld
      admitted.noteHistogram(series, timeMs, histogram)
      return sampleOutcome.stored
    }
    if (timeMs === lastMs) {
      const comparison = admitted.compareHistogram(series, histogram)
      if (comparison !== 'unknown') return comparison === 'same' ? sampleOutcome.repeated : sampleOutcome.duplicate
    }
    if (this.#isTooLate(series, timeMs)) return this.#tooLate
    const there = this.#knownRange(timeMs)?.histogramAt(series, timeMs)
    if (there !== undefined) return there.equals(histogram) ? sampleOutcome.repeated : sampleOutcome.duplicate
    if (this.#hasFloatAt(series, timeMs)) return sampleOutcome.duplicate
    admitted.noteLate(timeMs)
    return sampleOutcome.stored
  }

  /** Histograms out of order are rare: their series' samples of the time are read. */
  #hasFloatAt(series: number, timeMs: number): boolean {
    const columns = this.#scratch
    columns.clear()
    this.read(series, timeMs, timeMs, columns)
    columns.normalize(timeMs, timeMs)
    return columns.count > 0
  }
  readonly #scratch = new SampleColumns()

  /** Makes a sample visible: it was admitted and is in the log, or the log had it at the start. */
  show(series: number, timeMs: number, hi: number, lo: number): void {
    const lastMs = this.#lastMs[series]!
    if (timeMs > lastMs) this.#appendInOrder(series, timeMs, hi, lo)
    else if (timeMs !== lastMs || this.#open.lastMs[series] !== timeMs || !this.#open.lastEquals(series, hi, lo)) {
      this.range(timeMs).addLate(series, timeMs, hi, lo)
      this.#see(timeMs)
    }
  }

  /** The same for what the log had at the start: it was not admitted in this process. */
  showReplayed(series: number, timeMs: number, hi: number, lo: number): void {
    if (timeMs > this.#admitted.timesMs[series]!) this.#admitted.noteFloat(series, timeMs, hi, lo)
    this.show(series, timeMs, hi, lo)
  }

  showHistogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void {
    const range = this.range(timeMs)
    const lastMs = this.#lastMs[series]!
    if (timeMs <= lastMs && range.histogramAt(series, timeMs) !== undefined) return
    range.addHistogram(series, timeMs, startMs, histogram)
    if (timeMs > lastMs) this.#lastMs[series] = timeMs
    this.#see(timeMs)
  }

  showReplayedHistogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void {
    if (timeMs > this.#admitted.timesMs[series]!) this.#admitted.noteHistogram(series, timeMs, histogram)
    this.showHistogram(series, timeMs, startMs, histogram)
  }

  /** The log lost what was admitted and is not shown. */
  takeBack(): void {
    this.table.takeBack()
    this.#admitted.takeBack(this.#lastMs, this.maxMs)
  }

  #appendInOrder(series: number, timeMs: number, hi: number, lo: number): void {
    const open = this.#open
    const count = open.count[series]!
    if (
      count > 0 &&
      (count >= chunkSamplesMax || timeMs >= this.#openEndMs[series]! || open.byteLength(series) > chunkBytesMax)
    )
      this.#finish(series)
    // The range is there before the chunk moves into it: queries that hold it see it come.
    if (open.count[series] === 0) this.#openEndMs[series] = this.range(timeMs).endMs
    open.append(series, timeMs, hi, lo)
    this.#lastMs[series] = timeMs
    this.#see(timeMs)
  }

  #see(timeMs: number): void {
    this.samplesStored++
    if (timeMs > this.maxMs) this.maxMs = timeMs
    if (timeMs < this.minMs) this.minMs = timeMs
    this.#changes.note(timeMs)
  }

  /** Moves the open chunk of a series to its range. */
  #finish(series: number): void {
    const open = this.#open
    const range = this.range(open.firstMs[series]!)
    range.addChunk(series, open.bytes(series), open.firstMs[series]!, open.lastMs[series]!)
    range.sampleCount += open.count[series]!
    open.clear(series)
  }

  /** The range that a time falls into, made when there is none. */
  range(timeMs: number): RangeChunks {
    const index = Math.floor(timeMs / this.rangeMs)
    let range = this.#ranges.get(index)
    if (range === undefined)
      this.#ranges.set(index, (range = new RangeChunks(index * this.rangeMs, (index + 1) * this.rangeMs)))
    return range
  }

  /** The range that a time falls into, if there is one. */
  #knownRange(timeMs: number): RangeChunks | undefined {
    return this.#ranges.get(Math.floor(timeMs / this.rangeMs))
  }

  /** Start times of the ranges with samples, ascending, open chunks included. */
  rangeStarts(): number[] {
    const starts = new Set<number>()
    for (const [index, range] of this.#ranges) if (range.maxMs >= range.minMs) starts.add(index * this.rangeMs)
    for (let series = 0; series < this.table.count && series < this.#lastMs.length; series++) {
      if (this.#open.count[series]! > 0)
        starts.add(Math.floor(this.#open.firstMs[series]! / this.rangeMs) * this.rangeMs)
    }
    return [...starts].sort((a, b) => a - b)
  }

  /** Takes a range out to be written: nothing is appended to it any more; reads still see it until `drop`. */
  cut(startMs: number): RangeChunks {
    for (let series = 0; series < this.table.count && series < this.#lastMs.length; series++) {
      if (
        this.#open.count[series]! > 0 &&
        Math.floor(this.#open.firstMs[series]! / this.rangeMs) * this.rangeMs === startMs
      )
        this.#finish(series)
    }
    const range = this.range(startMs)
    this.#ranges.delete(Math.floor(startMs / this.rangeMs))
    this.#leaving.add(range)
    return range
  }

  /** Forgets a range that was cut: its block is visible. */
  drop(range: RangeChunks): void {
    this.#leaving.delete(range)
    this.minMs = Math.min(...this.rangeStarts(), ...[...this.#leaving].map(r => r.minMs), Infinity)
  }

  /**
   * Forgets series that have no sample in memory, once they are a tenth of all; not those for which `isAwaited`: a
   * sample of them waits for the log. Returns the numbers of series that left long ago: these are given to new series
   * from now on.
   */
  retireIdle(nowMs: number, isAwaited: (series: number) => boolean): number[] {
    const { table } = this
    const idle = new Uint8Array(Math.min(table.count, this.#lastMs.length))
    for (let series = 0; series < idle.length; series++)
      if (this.#open.count[series] === 0 && table.isShown(series) && !isAwaited(series)) idle[series] = 1
    for (const range of [...this.#leaving, ...this.#ranges.values()])
      for (const series of range.series()) idle[series] = 0
    let count = 0
    for (let series = 0; series < idle.length; series++) count += idle[series]!
    if (count > 0 && count * 10 >= table.liveCount) table.retire(idle, nowMs)
    const rested = table.freeRested(nowMs)
    for (const series of rested) {
      this.#lastMs[series] = -Infinity
      this.#admitted.forget(series)
    }
    return rested
  }

  /** Has a series an open chunk? */
  get hasOpen(): boolean {
    for (let series = 0; series < this.table.count && series < this.#lastMs.length; series++)
      if (this.#open.count[series]! > 0) return true
    return false
  }

  /** Ranges that can be cut. */
  openRanges(): IterableIterator<RangeChunks> {
    return this.#ranges.values()
  }

  /** Ranges as they are now: a query that holds them reads on although they leave the head meanwhile. */
  ranges(): RangeChunks[] {
    return [...this.#leaving, ...this.#ranges.values()]
  }

  select(matchers: readonly Matcher[]): Uint32Array {
    return this.table.select(matchers)
  }

  /** Adds the samples of a series; the caller sorts. `held` are ranges from `ranges()`, at an earlier time. */
  read(
    series: number,
    fromMs: number,
    throughMs: number,
    into: SampleColumns,
    held: readonly RangeChunks[] = this.#noRanges,
  ): void {
    const inTime = this.#rangesIn(fromMs, throughMs, held)
    for (const range of inTime) range.readChunks(series, fromMs, throughMs, into)
    if (this.#isOpenIn(series, fromMs, throughMs)) appendXor(this.#open.bytes(series), into)
    // Of two samples of one time the first stays: what is in a chunk was there before anything late.
    for (const range of inTime) range.readRest(series, into)
  }
  readonly #noRanges: readonly RangeChunks[] = []

  /** Ranges with samples of the time, oldest first: those that are held, and those that are there now. */
  #rangesIn(fromMs: number, throughMs: number, held: readonly RangeChunks[]): readonly RangeChunks[] {
    let inTime: RangeChunks[] | undefined
    const isIn = (range: RangeChunks): boolean => range.minMs <= throughMs && range.maxMs >= fromMs
    for (const range of held) if (isIn(range)) (inTime ??= []).push(range)
    for (const range of this.#leaving) if (isIn(range) && !held.includes(range)) (inTime ??= []).push(range)
    for (const range of this.#ranges.values()) if (isIn(range) && !held.includes(range)) (inTime ??= []).push(range)
    if (inTime === undefined) return this.#noRanges
    return inTime.length > 1 ? inTime.sort((a, b) => a.startMs - b.startMs) : inTime
  }

  /**
   * Adds those of the series that have samples of the time to the columns, with what `read` would read of them unless
   * labels alone are asked for. Synchronous: for a few hundred series at a time.
   */
  collect(series: Uint32Array, { fromMs, throughMs }: TimeRange, held: Held, into: HeadColumnsBuilder): void {
    const inTime = this.#rangesIn(fromMs, throughMs, held.ranges)
    const { table } = this
    for (const number of series) {
      const isOpen = this.#isOpenIn(number, fromMs, throughMs)
      if (!isOpen && !inTime.some(range => range.has(number))) continue
      if (!table.isShown(number)) continue
      into.beginSeries()
      table.addLabels(number, into)
      if (held.labelsOnly) continue
      for (const range of inTime) range.collectChunks(number, fromMs, throughMs, into)
      if (isOpen) into.addCopy(this.#open.bytes(number))
      for (const range of inTime) range.collectRest(number, into)
    }
  }

  /** Adds what a range that was cut has of the series. Synchronous: for a few hundred series at a time. */
  collectCut(range: RangeChunks, series: Uint32Array, into: HeadColumnsBuilder): void {
    for (const number of series) {
      into.beginSeries()
      this.table.addLabels(number, into)
      range.collectChunks(number, -Infinity, Infinity, into)
      range.collectRest(number, into)
    }
  }

  /** Has the open chunk of the series samples of about the time? */
  #isOpenIn(series: number, fromMs: number, throughMs: number): boolean {
    const open = this.#open
    return (
      series < open.count.length &&
      open.count[series]! > 0 &&
      open.firstMs[series]! <= throughMs &&
      open.lastMs[series]! >= fromMs
    )
  }

  /** May the series have samples in the time? */
  touches(series: number, fromMs: number, throughMs: number): boolean {
    if (this.#isOpenIn(series, fromMs, throughMs)) return true
    for (const range of [...this.#leaving, ...this.#ranges.values()]) {
      if (range.minMs > throughMs || range.maxMs < fromMs) continue
      if (range.has(series)) return true
    }
    return false
  }

  /**
   * Roughly what it holds in memory, in bytes: about 500 B a series, and its chunks. Of a series that is gone its place
   * in columns is left, for another one.
   */
  get heldBytes(): number {
    const { count, liveCount } = this.table
    let total = liveCount * seriesBytes + (count - liveCount) * freeSeriesBytes
    for (const range of this.ranges()) total += range.heldBytes
    return total
  }

  get chunkCount(): number {
    let total = 0
    for (const range of [...this.#leaving, ...this.#ranges.values()]) total += range.chunkCount
    return total
  }
}
