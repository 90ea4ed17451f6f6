/** One batch, decided on sample by sample, into a record for the log: synchronous, column by column. */
import { BadDataError, LimitError } from '#core/errors.ts'
import type { NowRange } from '#core/steady-clock.ts'
import { nameRefused, refuse, type Refusal } from '#model/append-outcome.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import type { MetricsAppendOutcome } from './append.ts'
import { sampleOutcome, type Head, type SampleOutcome } from './head.ts'
import type { Tenant } from './tenant.ts'
import { SamplesRecordWriter } from './wal-record.ts'

export interface AppendOptions {
  blockMs: number
  outOfOrderMs: number
  /** How far into the future a sample may lie. */
  futureMs: number
  /** Metrics whose metadata is kept, a tenant. */
  metadataMax: number
}

/** Samples and exemplars of one record of a long batch, and histograms: 1 to 3 ms, and as long to show them. */
export const sliceItems = 8192
const sliceHistograms = 1024

type Admit = (tenant: Tenant, batch: WriteBatch, result: MetricsAppendOutcome, from: number, to: number) => void

/** In `#refs`: the series was not looked up further yet, or can't be had. */
const unresolved = -2
const refusedSeries = -1

/** Reused from batch to batch: what it holds is valid until the next `admit`. */
export class BatchAppender {
  readonly #options: AppendOptions
  readonly record = new SamplesRecordWriter()
  /** Names of the tenant's ranges that the record touches. */
  scopes = new Set<string>()
  #refs = new Int32Array(4096)
  /** By key: why its series can't be had. */
  #problems: Map<number, Error> | undefined
  #generation = 0
  #latestMs = 0
  #lastStart = NaN
  /** By outcome: its refusal in this batch, if there is one. */
  readonly #refusals: (Refusal | undefined)[] = Array.from({ length: Object.keys(sampleOutcome).length })

  constructor(options: AppendOptions) {
    this.#options = options
  }

  /**
   * Decides what can be stored and leaves in `record` what the log must hold of it, to be shown when it does. Throws
   * LimitError when the tenant has no room for new series and nothing was admitted.
   */
  admit(tenant: Tenant, batch: WriteBatch, generation: number, now: NowRange): MetricsAppendOutcome {
    const result = this.#begin(tenant, batch, now)
    this.#beginRecord(generation)
    this.#findSeries(tenant, batch, 0, batch.seriesCount)
    this.#admitSamples(tenant, batch, result, 0, batch.sampleCount)
    this.#admitHistograms(tenant, batch, result, 0, batch.histograms.length)
    if (result.stored === 0 && this.#problems !== undefined) throwLimit(this.#problems)
    this.#admitExemplars(tenant, batch, result, 0, batch.exemplars.length)
    this.#admitMetadata(tenant, batch, 0, batch.metadata.length)
    if (!this.record.isEmpty)
      tenant.lastDefinitions = this.record.definitions.repeat(tenant.lastDefinitions, this.#generation)
    return result
  }

  /**
   * The same of a frozen batch, in parts of about `sliceItems`: each is a record of its own, for which `onRecord` is
   * called, and which is of the generation that `generationOf` names then; `onRecord` gets how many are stored so far,
   * and what it returns is awaited before the next part, as `pause` is behind a part of which nothing is stored. The
   * outcome is that of the whole batch. Nothing else may use this appender meanwhile.
   */
  async admitSlowly(
    tenant: Tenant,
    batch: WriteBatch,
    now: NowRange,
    generationOf: () => number,
    onRecord: (stored: number) => Promise<void>,
    pause: () => Promise<void>,
  ): Promise<MetricsAppendOutcome> {
    const result = this.#begin(tenant, batch, now)
    const end = async (): Promise<void> => {
      if (this.record.isEmpty) return pause()
      tenant.lastDefinitions = this.record.definitions.repeat(tenant.lastDefinitions, this.#generation)
      return onRecord(result.stored)
    }
    const { seriesCount, sampleCount, histograms, exemplars } = batch
    if (seriesCount > this.#refs.length) this.#refs = new Int32Array(seriesCount)
    const { sampleSeries } = batch
    const slices: [count: number, size: number, seriesOf: (k: number) => number, admit: Admit][] = [
      [sampleCount, sliceItems, k => sampleSeries[k]!, this.#admitSamples],
      [histograms.length, sliceHistograms, k => histograms[k]!.series, this.#admitHistograms],
      [exemplars.length, sliceItems, k => exemplars[k]!.series, this.#admitExemplars],
    ]
    for (const [count, size, seriesOf, admit] of slices) {
      const isLast = admit === this.#admitExemplars
      if (isLast && result.stored === 0 && this.#problems !== undefined) throwLimit(this.#problems)
      for (let from = 0; from < count; from += size) {
        const to = Math.min(from + size, count)
        this.#beginRecord(generationOf())
        this.#findSeriesOf(tenant, batch, from, to, seriesOf)
        admit.call(this, tenant, batch, result, from, to)
        await end()
      }
    }
    for (let from = 0; from < batch.metadata.length; from += sliceItems) {
      this.#beginRecord(generationOf())
      this.#admitMetadata(tenant, batch, from, from + sliceItems)
      await end()
    }
    return result
  }

  #begin(tenant: Tenant, batch: WriteBatch, { earliestMs, latestMs }: NowRange): MetricsAppendOutcome {
    this.#problems = undefined
    this.#latestMs = latestMs + this.#options.futureMs
    tenant.head.nowMs = earliestMs
    tenant.head.likelyMs = earliestMs + this.#options.futureMs
    this.#refusals.fill(undefined)
    const result: MetricsAppendOutcome = { stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] }
    if (batch.namesRefused) result.refusedAt = []
    return result
  }

  #beginRecord(generation: number): void {
    this.record.clear()
    this.scopes = new Set()
    this.#lastStart = NaN
    this.#generation = generation
  }

  /** Fills `#refs` with series that are known by their hash. Others are made for the first sample that is admitted. */
  #findSeries(tenant: Tenant, { hashes, seriesCount }: WriteBatch, from: number, to: number): void {
    const { table } = tenant.head
    if (seriesCount > this.#refs.length) this.#refs = new Int32Array(seriesCount * 2)
    const refs = this.#refs
    if (hashes === undefined) refs.fill(unresolved, from, to)
    else
      for (let i = from; i < to; i++) {
        const known = table.find(hashes, i)
        refs[i] = known >= 0 ? known : unresolved
      }
  }

  /**
   * The same of the series of items [from, to): a series may have been retired since it was looked up last. Items of a
   * series follow one another, so these are adjacent but in bodies by hand.
   */
  #findSeriesOf(tenant: Tenant, batch: WriteBatch, from: number, to: number, seriesOf: (k: number) => number): void {
    let first = Infinity
    let last = -1
    for (let k = from; k < to; k++) {
      const i = seriesOf(k)
      if (i < first) first = i
      if (i > last) last = i
    }
    if (last < 0) return
    this.#findSeries(tenant, batch, first, last + 1)
    if (this.#problems === undefined) return
    for (let i = first; i <= last; i++) if (this.#problems.has(i)) this.#refs[i] = refusedSeries
  }

  /**
   * The series of key `i`, made when there is none. Where it can't be had, that is a refusal of the sample, and -1. A
   * sample that is too old or too new for any series makes none.
   */
  #seriesFor(tenant: Tenant, batch: WriteBatch, i: number, timeMs: number, result: MetricsAppendOutcome): number {
    if (this.#refs[i] === unresolved) {
      const { head } = tenant
      const outcome = this.#boundsOutcome(head, timeMs)
      if (outcome !== undefined && (batch.hashes !== undefined || !this.#isKnown(head, batch, i))) {
        this.#refuseSample(outcome, head, batch, i, timeMs, result)
        return refusedSeries
      }
      this.#refs[i] = this.#makeSeries(tenant, batch, i)
    }
    const ref = this.#refs[i]!
    if (ref === refusedSeries) this.#refuseForSeries(i, result)
    return ref
  }

  #refuseForSeries(i: number, result: MetricsAppendOutcome): void {
    const problem = this.#problems?.get(i)
    const message = problem?.message ?? ''
    const passes = problem instanceof LimitError
    refuse(result, message)
    nameRefused(result, message, i, 1, passes)
    if (passes) result.passes = true
  }

  #boundsOutcome(head: Head, timeMs: number): SampleOutcome | undefined {
    if (timeMs > this.#latestMs) return sampleOutcome.inFuture
    return timeMs < head.oldestMs ? sampleOutcome.tooOld : undefined
  }

  #isKnown(head: Head, batch: WriteBatch, i: number): boolean {
    return head.table.findKey(batch.bytes, batch.keyFrom[i]!, batch.keyTo[i]!) >= 0
  }

  #makeSeries(tenant: Tenant, { bytes, keyFrom, keyTo, hashes }: WriteBatch, i: number): number {
    const { table } = tenant.head
    try {
      const ref =
        hashes === undefined
          ? table.resolve(bytes, keyFrom[i]!, keyTo[i]!)
          : table.resolveNew(bytes, keyFrom[i]!, keyTo[i]!, hashes, i)
      tenant.reserve()
      return ref
    } catch (error) {
      if (!(error instanceof LimitError || error instanceof BadDataError)) throw error
      this.#problems ??= new Map()
      this.#problems.set(i, error)
      return refusedSeries
    }
  }

  #admitSamples(tenant: Tenant, batch: WriteBatch, result: MetricsAppendOutcome, from: number, to: number): void {
    const { head, name } = tenant
    const { record } = this
    const generation = this.#generation
    const latestMs = this.#latestMs
    const refs = this.#refs
    const { sampleSeries, timesMs, words } = batch
    for (let k = from; k < to; k++) {
      const i = sampleSeries[k]!
      const timeMs = timesMs[k]!
      let ref = refs[i]!
      if (ref < 0) {
        ref = this.#seriesFor(tenant, batch, i, timeMs, result)
        if (ref < 0) continue
      }
      const hi = words[2 * k + 1]!
      const lo = words[2 * k]!
      const what: SampleOutcome = timeMs > latestMs ? sampleOutcome.inFuture : head.admit(ref, timeMs, hi, lo)
      if (what === sampleOutcome.stored) {
        if (tenant.isNewIn(generation, ref)) this.#define(batch, ref, i)
        this.#touch(name, timeMs)
        record.add(ref, timeMs, hi, lo)
        result.stored++
      } else if (what === sampleOutcome.repeated) result.stored++
      else this.#refuseSample(what, head, batch, i, timeMs, result)
    }
  }

  #admitHistograms(tenant: Tenant, batch: WriteBatch, result: MetricsAppendOutcome, from: number, to: number): void {
    const { head } = tenant
    for (let k = from; k < to; k++) {
      const { series, timeMs, startMs, histogram } = batch.histograms[k]!
      const ref = this.#seriesFor(tenant, batch, series, timeMs, result)
      if (ref < 0) continue
      const what: SampleOutcome =
        timeMs > this.#latestMs ? sampleOutcome.inFuture : head.admitHistogram(ref, timeMs, histogram)
      if (what !== sampleOutcome.stored && what !== sampleOutcome.repeated) {
        this.#refuseSample(what, head, batch, series, timeMs, result)
        continue
      }
      result.stored++
      result.histograms++
      if (what === sampleOutcome.repeated) continue
      if (tenant.isNewIn(this.#generation, ref)) this.#define(batch, ref, series)
      this.#touch(tenant.name, timeMs)
      this.record.addHistogram(ref, timeMs, startMs, histogram)
    }
  }

  /** Those of series that have a sample. */
  #admitExemplars(tenant: Tenant, batch: WriteBatch, result: MetricsAppendOutcome, from: number, to: number): void {
    for (let k = from; k < to; k++) {
      const exemplar = batch.exemplars[k]!
      const i = exemplar.series
      let ref = this.#refs[i]!
      if (ref === unresolved && batch.hashes === undefined)
        ref = tenant.head.table.findKey(batch.bytes, batch.keyFrom[i]!, batch.keyTo[i]!)
      if (ref < 0 || !tenant.exemplars.isNew(ref, exemplar.timeMs)) continue
      if (tenant.isNewIn(this.#generation, ref)) this.#define(batch, ref, i)
      this.record.addExemplar(ref, exemplar)
      result.exemplars++
    }
  }

  #admitMetadata(tenant: Tenant, batch: WriteBatch, from: number, to: number): void {
    for (const metadata of batch.metadata.slice(from, to)) {
      const known = tenant.metadata.get(metadata.metric)
      const isSame =
        known !== undefined &&
        known.type === metadata.type &&
        known.help === metadata.help &&
        known.unit === metadata.unit
      if (isSame && tenant.metadataIn.get(metadata.metric) === this.#generation) continue
      if (known === undefined && tenant.metadata.size >= this.#options.metadataMax) continue
      tenant.metadataIn.set(metadata.metric, this.#generation)
      this.record.addMetadata(metadata)
    }
  }

  #define(batch: WriteBatch, ref: number, i: number): void {
    this.record.define(ref, batch.bytes.subarray(batch.keyFrom[i], batch.keyTo[i]))
  }

  #touch(tenant: string, timeMs: number): void {
    const start = Math.floor(timeMs / this.#options.blockMs) * this.#options.blockMs
    if (start === this.#lastStart) return
    this.scopes.add(`${tenant}/${start}`)
    this.#lastStart = start
  }

  /** One text for each outcome, about the first sample that met it. */
  #refuseSample(
    what: SampleOutcome,
    head: Head,
    { bytes, keyFrom, keyTo }: WriteBatch,
    i: number,
    timeMs: number,
    result: MetricsAppendOutcome,
  ): void {
    result.refused++
    let refusal = this.#refusals[what]
    if (refusal === undefined) {
      const shown = `${head.table.describeKey(bytes, keyFrom[i]!, keyTo[i]!)} at ${timeMs}`
      refusal = { message: describeOutcome(what, head, shown, this.#options), count: 0 }
      this.#refusals[what] = refusal
      result.problems.push(refusal)
    }
    refusal.count++
    nameRefused(result, refusal.message, i)
  }
}

function throwLimit(problems: ReadonlyMap<number, Error>): void {
  for (const problem of problems.values()) if (problem instanceof LimitError) throw problem
}

function describeOutcome(what: SampleOutcome, head: Head, shown: string, options: AppendOptions): string {
  switch (what) {
    case sampleOutcome.duplicate:
      return `duplicate sample for timestamp: ${shown} has another value already`
    case sampleOutcome.outOfOrder:
      return `out of order sample: ${shown} is older than the series' newest, and metrics.out_of_order_window is 0`
    case sampleOutcome.tooOld:
      return (
        `too old sample: ${shown} is more than ${Math.max(options.outOfOrderMs, options.blockMs / 2) / 1000} s ` +
        `older than the newest sample (${head.newestMs})`
      )
    case sampleOutcome.inFuture:
      return `out of bounds: ${shown} lies more than ${options.futureMs / 1000} s in the future`
    case sampleOutcome.stored:
    case sampleOutcome.repeated:
      return ''
  }
}
