/**
 * The samples of one tenant that are not in a block yet. Series are numbers; each has at most one open chunk, and
 * everything finished lies in the RangeChunks of its block range.
 */
import { OpenXorChunks } from '#codec/xor-chunk.ts'
import type { HashSeed } from '#codec/series-key.ts'
import type { Limits } from '#core/limits.ts'
import { grown } from '#core/grown.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import { appendXor, RangeChunks } from './range-chunks.ts'
import { SeriesTable } from './series-table.ts'

/** What became of a sample. */
export const sampleOutcome = { stored: 0, repeated: 1, duplicate: 2, outOfOrder: 3, tooOld: 4, inFuture: 5 } as const
export type SampleOutcome = (typeof sampleOutcome)[keyof typeof sampleOutcome]

const chunkSamplesMax = 120
/** Beyond this many bytes a chunk is finished early: the XOR slot's bit position has 16 bits. */
const chunkBytesMax = 1024

export class Head {
  readonly table: SeriesTable
  readonly rangeMs: number
  readonly #outOfOrderMs: number
  readonly #open = new OpenXorChunks()
  /** Time of the last sample of any kind, per series. */
  #lastMs = new Float64Array(0)
  /** By series: the end of the block range that its open chunk belongs to. */
  #openEndMs = new Float64Array(0)
  readonly #ranges = new Map<number, RangeChunks>()
  /** Ranges that are being written to a block: read, but not appended to. */
  readonly #leaving = new Set<RangeChunks>()
  minMs = Infinity
  maxMs = -Infinity
  samplesStored = 0

  /** `outOfOrderMs` Infinity takes samples of any age. */
  constructor(seed: HashSeed, limits: Limits, rangeMs: number, outOfOrderMs: number) {
    this.table = new SeriesTable(seed, limits)
    this.rangeMs = rangeMs
    this.#outOfOrderMs = outOfOrderMs
  }

  /** Must be called after series were made and before samples are appended to them. */
  reserve(): void {
    const count = this.table.count
    if (count <= this.#lastMs.length) return
    this.#open.reserve(count)
    const size = Math.max(count, Math.ceil(this.#lastMs.length * 1.5), 64)
    this.#lastMs = grown(this.#lastMs, new Float64Array(size).fill(-Infinity))
    this.#openEndMs = grown(this.#openEndMs, new Float64Array(size))
  }

  /** Samples older than this are refused where they would be the newest of their series. */
  get oldestMs(): number {
    return this.maxMs - Math.max(this.#outOfOrderMs, this.rangeMs / 2)
  }

  append(series: number, timeMs: number, hi: number, lo: number): SampleOutcome {
    const lastMs = this.#lastMs[series]!
    if (timeMs > lastMs) {
      if (timeMs < this.oldestMs) return sampleOutcome.tooOld
      this.#appendInOrder(series, timeMs, hi, lo)
      return sampleOutcome.stored
    }
    if (timeMs === lastMs && this.#open.count[series]! > 0 && this.#open.lastMs[series] === timeMs) {
      return this.#open.lastEquals(series, hi, lo) ? sampleOutcome.repeated : sampleOutcome.duplicate
    }
    return this.#appendLate(series, timeMs, hi, lo)
  }

  /** The same for what the log says was accepted before: age is no reason to refuse. */
  replay(series: number, timeMs: number, hi: number, lo: number): void {
    if (timeMs > this.#lastMs[series]!) this.#appendInOrder(series, timeMs, hi, lo)
    else if (
      !(
        timeMs === this.#lastMs[series] &&
        this.#open.lastMs[series] === timeMs &&
        this.#open.lastEquals(series, hi, lo)
      )
    )
      this.range(timeMs).addLate(series, timeMs, hi, lo)
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
  }

  #appendLate(series: number, timeMs: number, hi: number, lo: number): SampleOutcome {
    if (timeMs < this.maxMs - this.#outOfOrderMs)
      return this.#outOfOrderMs === 0 ? sampleOutcome.outOfOrder : sampleOutcome.tooOld
    this.range(timeMs).addLate(series, timeMs, hi, lo)
    this.#see(timeMs)
    return sampleOutcome.stored
  }

  appendHistogram(
    series: number,
    timeMs: number,
    startMs: number,
    histogram: FloatHistogram,
    isReplay: boolean,
  ): SampleOutcome {
    const lastMs = this.#lastMs[series]!
    const range = this.range(timeMs)
    if (!isReplay) {
      if (timeMs > lastMs && timeMs < this.oldestMs) return sampleOutcome.tooOld
      if (timeMs < lastMs && timeMs < this.maxMs - this.#outOfOrderMs)
        return this.#outOfOrderMs === 0 ? sampleOutcome.outOfOrder : sampleOutcome.tooOld
    }
    const known = range.histogramsOf.get(series)
    const same = timeMs <= lastMs ? (known?.timesMs.lastIndexOf(timeMs) ?? -1) : -1
    if (same >= 0) return known!.histograms[same]!.equals(histogram) ? sampleOutcome.repeated : sampleOutcome.duplicate
    range.addHistogram(series, timeMs, startMs, histogram)
    if (timeMs > lastMs) this.#lastMs[series] = timeMs
    this.#see(timeMs)
    return sampleOutcome.stored
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
   * Forgets series that have no sample in memory, once they are a tenth of all. Returns the numbers of series that left
   * long ago: these are given to new series from now on.
   */
  retireIdle(nowMs: number): number[] {
    const { table } = this
    const idle = new Uint8Array(Math.min(table.count, this.#lastMs.length))
    for (let series = 0; series < idle.length; series++)
      if (this.#open.count[series] === 0 && table.labelPairs(series).length > 0) idle[series] = 1
    for (const range of [...this.#leaving, ...this.#ranges.values()])
      for (const series of range.series()) idle[series] = 0
    let count = 0
    for (let series = 0; series < idle.length; series++) count += idle[series]!
    if (count > 0 && count * 10 >= table.liveCount) table.retire(idle, nowMs)
    const rested = table.freeRested(nowMs)
    for (const series of rested) this.#lastMs[series] = -Infinity
    return rested
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
    let inTime: RangeChunks[] | undefined
    for (const range of held) if (range.minMs <= throughMs && range.maxMs >= fromMs) (inTime ??= []).push(range)
    for (const range of this.#leaving)
      if (range.minMs <= throughMs && range.maxMs >= fromMs && !held.includes(range)) (inTime ??= []).push(range)
    for (const range of this.#ranges.values())
      if (range.minMs <= throughMs && range.maxMs >= fromMs && !held.includes(range)) (inTime ??= []).push(range)
    if (inTime !== undefined) {
      if (inTime.length > 1) inTime.sort((a, b) => a.startMs - b.startMs)
      for (const range of inTime) range.read(series, fromMs, throughMs, into)
    }
    if (this.#isOpenIn(series, fromMs, throughMs)) appendXor(this.#open.bytes(series), into)
  }
  readonly #noRanges: readonly RangeChunks[] = []

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
      if (range.hasChunks(series) || range.histogramsOf.has(series) || range.late(series).length > 0) return true
    }
    return false
  }

  get chunkCount(): number {
    let total = 0
    for (const range of [...this.#leaving, ...this.#ranges.values()]) total += range.chunkCount
    return total
  }
}
