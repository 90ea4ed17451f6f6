/** Records of the log back into the heads, at a start. */
import { assert } from '#core/assert.ts'
import { grown } from '#core/grown.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import type { Labels } from '#model/labels.ts'
import type { Metadata } from '#model/write-batch.ts'
import { requireKnownKind } from '#store/record-kind.ts'
import type { WalRecord } from '#store/wal.ts'
import type { Tenant } from './tenant.ts'
import { readSamplesRecord, recordKind, tenantOfRecord, type SamplesVisitor } from './wal-record.ts'

/** By scope and writer: the record number up to which blocks hold the scope's samples. */
export type Coverage = ReadonlyMap<string, ReadonlyMap<string, number>>

export class Replay {
  readonly #tenantOf: (name: string) => Tenant
  readonly #blockMs: number
  readonly #covered: Coverage
  /** By tenant: the series that the log's numbers stand for, in the generation that is being read. */
  readonly #seriesOf = new Map<string, Int32Array<ArrayBuffer>>()
  #generation = ''
  readonly #isDeleted: (tenant: string, writer: string) => boolean

  /** `isDeleted`: nothing that this writer left of the tenant is read. */
  constructor(
    tenantOf: (name: string) => Tenant,
    blockMs: number,
    covered: Coverage,
    isDeleted: (tenant: string, writer: string) => boolean = () => false,
  ) {
    this.#isDeleted = isDeleted
    this.#tenantOf = tenantOf
    this.#blockMs = blockMs
    this.#covered = covered
  }

  /** Stores what no block holds. Throws CorruptDataError, and NewerFormatError for a record of a newer kind. */
  read(record: WalRecord): { scopes: Iterable<string>; missing: number } {
    requireKnownKind(record, recordKind)
    const generation = `${record.writer}/${record.generation}`
    if (generation !== this.#generation) {
      this.#generation = generation
      this.#seriesOf.clear()
    }
    const tenant = tenantOfRecord(record.payload)
    // The scope is released as those are of which nobody has samples.
    if (this.#isDeleted(tenant, record.writer)) return { scopes: [`${tenant}/deleted`], missing: 0 }
    const reader = new RecordReader(record, this.#tenantOf, this.#blockMs, this.#covered, this.#seriesOf)
    readSamplesRecord(record.payload, reader)
    return reader
  }
}

/** What one record holds, into the head of its tenant. */
class RecordReader implements SamplesVisitor {
  readonly #record: WalRecord
  readonly #tenantOf: (name: string) => Tenant
  readonly #blockMs: number
  readonly #covered: Coverage
  readonly #seriesOf: Map<string, Int32Array<ArrayBuffer>>
  readonly scopes = new Set<string>()
  /** Samples and exemplars of series whose definition was lost. */
  missing = 0
  #tenant: Tenant | undefined
  /** By number in the log: the series, -1 where none is defined. */
  #known = new Int32Array(0)
  /** The range that was asked for last, and whether a block covers it. */
  #startMs = NaN
  #endMs = NaN
  #isCovered = false

  constructor(
    record: WalRecord,
    tenantOf: (name: string) => Tenant,
    blockMs: number,
    covered: Coverage,
    seriesOf: Map<string, Int32Array<ArrayBuffer>>,
  ) {
    this.#record = record
    this.#tenantOf = tenantOf
    this.#blockMs = blockMs
    this.#covered = covered
    this.#seriesOf = seriesOf
  }

  /** A record begins with its tenant. */
  #owner(): Tenant {
    const tenant = this.#tenant
    assert(tenant !== undefined, 'a record begins with its tenant')
    return tenant
  }

  #enter(timeMs: number): void {
    this.#startMs = Math.floor(timeMs / this.#blockMs) * this.#blockMs
    this.#endMs = this.#startMs + this.#blockMs
    const scope = `${this.#owner().name}/${this.#startMs}`
    this.scopes.add(scope)
    this.#isCovered = (this.#covered.get(scope)?.get(this.#record.writer) ?? -1) >= this.#record.number
  }

  /** The series that a number of the log stands for; -1, counted, where its definition was lost. */
  #series(number: number): number {
    const series = number < this.#known.length ? this.#known[number]! : -1
    if (series < 0) this.missing++
    return series
  }

  tenant(name: string): void {
    this.#tenant = this.#tenantOf(name)
    this.#known = this.#seriesOf.get(name) ?? this.#known
  }

  define(number: number, bytes: Uint8Array, from: number, to: number): void {
    const tenant = this.#owner()
    if (number >= this.#known.length) {
      const room = new Int32Array(Math.max(number + 1, this.#known.length * 2, 1024)).fill(-1)
      this.#known = grown(this.#known, room)
      this.#seriesOf.set(tenant.name, this.#known)
    }
    this.#known[number] = tenant.head.table.resolveShown(bytes, from, to)
    tenant.reserve()
  }

  samples(count: number, series: Uint32Array, timesMs: Float64Array, oneTime: boolean, words: Uint32Array): void {
    const { head } = this.#owner()
    for (let i = 0; i < count; i++) {
      const timeMs = oneTime ? timesMs[0]! : timesMs[i]!
      if (!(timeMs >= this.#startMs && timeMs < this.#endMs)) this.#enter(timeMs)
      const own = this.#series(series[i]!)
      if (own >= 0 && !this.#isCovered) head.showReplayed(own, timeMs, words[2 * i + 1]!, words[2 * i]!)
    }
  }

  histogram(number: number, timeMs: number, startTimeMs: number, histogram: FloatHistogram): void {
    const series = this.#series(number)
    if (!(timeMs >= this.#startMs && timeMs < this.#endMs)) this.#enter(timeMs)
    if (series >= 0 && !this.#isCovered)
      this.#owner().head.showReplayedHistogram(series, timeMs, startTimeMs, histogram)
  }

  exemplar(number: number, labels: Labels, timeMs: number, value: number): void {
    const series = this.#series(number)
    if (series < 0) return
    const { exemplars, head } = this.#owner()
    exemplars.add(series, { series, labels, timeMs, value }, (s): Labels => head.table.labels(s))
  }

  metadata(metadata: Metadata): void {
    this.#owner().metadata.set(metadata.metric, metadata)
  }
}
