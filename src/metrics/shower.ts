/** Records of the log become visible, when the log has them: their samples into the head, what is rare beside it. */
import type { FloatHistogram } from '#model/histogram.ts'
import type { Labels } from '#model/labels.ts'
import type { Metadata } from '#model/write-batch.ts'
import type { ExemplarStore } from './exemplars.ts'
import type { Head } from './head.ts'
import { readSamplesRecord, type SamplesVisitor } from './wal-record.ts'

/** Where the parts of a record go. */
export interface ShownParts {
  readonly head: Head
  readonly exemplars: ExemplarStore
  readonly metadata: Map<string, Metadata>
}

/** Series in a record are the tenant's own numbers: it was made by this process. */
export class RecordShower implements SamplesVisitor {
  readonly #tenant: ShownParts

  constructor(tenant: ShownParts) {
    this.#tenant = tenant
  }

  show(payload: Uint8Array): void {
    readSamplesRecord(payload, this)
  }

  tenant(): void {}

  define(series: number): void {
    this.#tenant.head.table.show(series)
  }

  samples(count: number, series: Uint32Array, timesMs: Float64Array, oneTime: boolean, words: Uint32Array): void {
    const { head } = this.#tenant
    for (let i = 0; i < count; i++)
      head.show(series[i]!, oneTime ? timesMs[0]! : timesMs[i]!, words[2 * i + 1]!, words[2 * i]!)
  }

  histogram(series: number, timeMs: number, startMs: number, histogram: FloatHistogram): void {
    this.#tenant.head.showHistogram(series, timeMs, startMs, histogram)
  }

  exemplar(series: number, labels: Labels, timeMs: number, value: number): void {
    const { exemplars, head } = this.#tenant
    exemplars.add(series, { series, labels, timeMs, value }, (s): Labels => head.table.labels(s))
  }

  metadata(metadata: Metadata): void {
    this.#tenant.metadata.set(metadata.metric, metadata)
  }
}
