/** One batch into a tenant's head and into a record for the log: synchronous, column by column. */
import { BadDataError, LimitError } from '#core/errors.ts'
import { refuse, type Refusal } from '#model/append-outcome.ts'
import type { Labels } from '#model/labels.ts'
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

/** Reused from batch to batch: what it holds is valid until the next `append`. */
export class BatchAppender {
  readonly #options: AppendOptions
  readonly record = new SamplesRecordWriter()
  /** Names of the tenant's ranges that the record touches. */
  scopes = new Set<string>()
  #refs = new Int32Array(4096)
  #lastStart = NaN
  /** By outcome: its refusal in this batch, if there is one. */
  readonly #refusals: (Refusal | undefined)[] = Array.from({ length: Object.keys(sampleOutcome).length })

  constructor(options: AppendOptions) {
    this.#options = options
  }

  /**
   * Stores what can be stored and leaves in `record` what the log must hold of it. Throws LimitError when the tenant
   * has no room for new series and nothing was stored.
   */
  append(tenant: Tenant, batch: WriteBatch, generation: number, nowMs: number): MetricsAppendOutcome {
    this.record.clear()
    this.scopes = new Set()
    this.#lastStart = NaN
    const result: MetricsAppendOutcome = { stored: 0, histograms: 0, exemplars: 0, refused: 0, problems: [] }
    this.#refusals.fill(undefined)
    const problems = this.#resolve(tenant, batch)
    tenant.reserve()
    const latestMs = nowMs + this.#options.futureMs
    this.#appendSamples(tenant, batch, generation, latestMs, problems, result)
    this.#appendRare(tenant, batch, generation, latestMs, problems, result)
    if (problems !== undefined && result.stored === 0)
      for (const problem of problems.values()) if (problem instanceof LimitError) throw problem
    return result
  }

  /** Fills `#refs` with the series of each key, -1 where there is none. Returns why, by key. */
  #resolve(tenant: Tenant, batch: WriteBatch): Map<number, Error> | undefined {
    const { table } = tenant.head
    const { hashes, seriesCount } = batch
    if (seriesCount > this.#refs.length) this.#refs = new Int32Array(seriesCount * 2)
    const refs = this.#refs
    let problems: Map<number, Error> | undefined
    for (let i = 0; i < seriesCount; i++) {
      const known = hashes === undefined ? -1 : table.find(hashes, i)
      if (known >= 0) {
        refs[i] = known
        continue
      }
      try {
        const from = batch.keyFrom[i]!
        const to = batch.keyTo[i]!
        refs[i] =
          hashes === undefined
            ? table.resolve(batch.bytes, from, to)
            : table.resolveNew(batch.bytes, from, to, hashes, i)
      } catch (error) {
        if (!(error instanceof LimitError || error instanceof BadDataError)) throw error
        refs[i] = -1
        problems ??= new Map()
        problems.set(i, error)
      }
    }
    return problems
  }

  #appendSamples(
    tenant: Tenant,
    batch: WriteBatch,
    generation: number,
    latestMs: number,
    problems: ReadonlyMap<number, Error> | undefined,
    result: MetricsAppendOutcome,
  ): void {
    const { head, name } = tenant
    const { record } = this
    const refs = this.#refs
    const { sampleSeries, timesMs, words, sampleCount } = batch
    for (let k = 0; k < sampleCount; k++) {
      const i = sampleSeries[k]!
      const ref = refs[i]!
      if (ref < 0) {
        refuse(result, problems!.get(i)!.message)
        continue
      }
      const timeMs = timesMs[k]!
      const hi = words[2 * k + 1]!
      const lo = words[2 * k]!
      const what: SampleOutcome = timeMs > latestMs ? sampleOutcome.inFuture : head.append(ref, timeMs, hi, lo)
      if (what === sampleOutcome.stored) {
        if (tenant.isNewIn(generation, ref)) this.#define(batch, ref, i)
        this.#touch(name, timeMs)
        record.add(ref, timeMs, hi, lo)
        result.stored++
      } else if (what === sampleOutcome.repeated) result.stored++
      else this.#refuseSample(what, head, ref, timeMs, result)
    }
  }

  /** Histograms, exemplars, metadata. */
  #appendRare(
    tenant: Tenant,
    batch: WriteBatch,
    generation: number,
    latestMs: number,
    problems: ReadonlyMap<number, Error> | undefined,
    result: MetricsAppendOutcome,
  ): void {
    const { head } = tenant
    const refs = this.#refs
    for (const { series, timeMs, startMs, histogram } of batch.histograms) {
      const ref = refs[series]!
      if (ref < 0) {
        refuse(result, problems!.get(series)!.message)
        continue
      }
      const what: SampleOutcome =
        timeMs > latestMs ? sampleOutcome.inFuture : head.appendHistogram(ref, timeMs, startMs, histogram, false)
      if (what === sampleOutcome.stored) {
        if (tenant.isNewIn(generation, ref)) this.#define(batch, ref, series)
        this.#touch(tenant.name, timeMs)
        this.record.addHistogram(ref, timeMs, startMs, histogram)
        result.stored++
        result.histograms++
      } else if (what === sampleOutcome.repeated) {
        result.stored++
        result.histograms++
      } else this.#refuseSample(what, head, ref, timeMs, result)
    }
    const labelsOf = (series: number): Labels => head.table.labels(series)
    for (const exemplar of batch.exemplars) {
      const ref = refs[exemplar.series]!
      if (ref < 0 || !tenant.exemplars.add(ref, exemplar, labelsOf)) continue
      if (tenant.isNewIn(generation, ref)) this.#define(batch, ref, exemplar.series)
      this.record.addExemplar(ref, exemplar)
      result.exemplars++
    }
    for (const metadata of batch.metadata) {
      const known = tenant.metadata.get(metadata.metric)
      const isSame =
        known !== undefined &&
        known.type === metadata.type &&
        known.help === metadata.help &&
        known.unit === metadata.unit
      if (isSame && tenant.metadataIn.get(metadata.metric) === generation) continue
      if (known === undefined && tenant.metadata.size >= this.#options.metadataMax) continue
      tenant.metadata.set(metadata.metric, metadata)
      tenant.metadataIn.set(metadata.metric, generation)
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
  #refuseSample(what: SampleOutcome, head: Head, series: number, timeMs: number, result: MetricsAppendOutcome): void {
    result.refused++
    const known = this.#refusals[what]
    if (known !== undefined) {
      known.count++
      return
    }
    const refusal = { message: describeOutcome(what, head, series, timeMs, this.#options), count: 1 }
    this.#refusals[what] = refusal
    result.problems.push(refusal)
  }
}

function describeOutcome(
  what: SampleOutcome,
  head: Head,
  series: number,
  timeMs: number,
  options: AppendOptions,
): string {
  const shown = `${head.table.labels(series)} at ${timeMs}`
  switch (what) {
    case sampleOutcome.duplicate:
      return `duplicate sample for timestamp: ${shown} has another value already`
    case sampleOutcome.outOfOrder:
      return `out of order sample: ${shown} is older than the series' newest, and metrics.out_of_order_window is 0`
    case sampleOutcome.tooOld:
      return (
        `too old sample: ${shown} is more than ${Math.max(options.outOfOrderMs, options.blockMs / 2) / 1000} s ` +
        `older than the newest sample (${head.maxMs})`
      )
    case sampleOutcome.inFuture:
      return `out of bounds: ${shown} lies more than ${options.futureMs / 1000} s in the future`
    case sampleOutcome.stored:
    case sampleOutcome.repeated:
      return ''
  }
}
