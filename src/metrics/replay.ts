/** Records of the log back into the heads, at a start. */
import { CorruptDataError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'
import type { Labels } from '#model/labels.ts'
import type { WalRecord } from '#store/wal.ts'
import type { Tenant } from './tenant.ts'
import { readSamplesRecord, recordKind } from './wal-record.ts'

export class Replay {
  readonly #tenantOf: (name: string) => Tenant
  readonly #blockMs: number
  /** By scope: the record number up to which blocks hold its samples. */
  readonly #covered: ReadonlyMap<string, number>
  /** By tenant: the series that the log's numbers stand for, in the generation that is being read. */
  readonly #seriesOf = new Map<string, Int32Array<ArrayBuffer>>()
  #generation = -1

  constructor(tenantOf: (name: string) => Tenant, blockMs: number, covered: ReadonlyMap<string, number>) {
    this.#tenantOf = tenantOf
    this.#blockMs = blockMs
    this.#covered = covered
  }

  /** Stores what no block holds, and returns the scopes of the record. Throws CorruptDataError. */
  read(record: WalRecord): Iterable<string> {
    if (record.kind !== recordKind.samples) throw new CorruptDataError(`WAL record of kind ${record.kind} is not known`)
    if (record.generation !== this.#generation) {
      this.#generation = record.generation
      this.#seriesOf.clear()
    }
    const scopes = new Set<string>()
    const blockMs = this.#blockMs
    let tenant!: Tenant
    let known = new Int32Array(0)
    /** The range that was asked for last, and whether a block covers it. */
    let startMs = NaN,
      endMs = NaN,
      isCovered = false
    const enter = (timeMs: number): void => {
      startMs = Math.floor(timeMs / blockMs) * blockMs
      endMs = startMs + blockMs
      const scope = `${tenant.name}/${startMs}`
      scopes.add(scope)
      isCovered = (this.#covered.get(scope) ?? -1) >= record.number
    }
    const seriesOf = (number: number): number => {
      const series = number < known.length ? known[number]! : -1
      if (series < 0)
        throw new CorruptDataError(`WAL record ${record.number} uses series ${number} before it is defined`)
      return series
    }
    readSamplesRecord(record.payload, {
      tenant: name => {
        tenant = this.#tenantOf(name)
        known = this.#seriesOf.get(name) ?? known
      },
      define: (number, bytes, from, to) => {
        if (number >= known.length) {
          known = grown(known, new Int32Array(Math.max(number + 1, known.length * 2, 1024)).fill(-1))
          this.#seriesOf.set(tenant.name, known)
        }
        known[number] = tenant.head.table.resolve(bytes, from, to)
        tenant.reserve()
      },
      samples: (count, series, timesMs, oneTime, words) => {
        const { head } = tenant
        for (let i = 0; i < count; i++) {
          const timeMs = oneTime ? timesMs[0]! : timesMs[i]!
          if (!(timeMs >= startMs && timeMs < endMs)) enter(timeMs)
          const number = series[i]!
          const mine = number < known.length ? known[number]! : -1
          if (mine < 0) seriesOf(number)
          if (!isCovered) head.replay(mine, timeMs, words[2 * i + 1]!, words[2 * i]!)
        }
      },
      histogram: (number, timeMs, startTimeMs, histogram) => {
        const series = seriesOf(number)
        if (!(timeMs >= startMs && timeMs < endMs)) enter(timeMs)
        if (!isCovered) tenant.head.appendHistogram(series, timeMs, startTimeMs, histogram, true)
      },
      exemplar: (number, labels, timeMs, value) => {
        const series = seriesOf(number)
        tenant.exemplars.add(series, { series, labels, timeMs, value }, (s): Labels => tenant.head.table.labels(s))
      },
      metadata: metadata => {
        tenant.metadata.set(metadata.metric, metadata)
      },
    })
    return scopes
  }
}
