/** The door into the metrics signal: what a protocol handler, a scrape or a rule can hand over. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { WriteBatch } from '#model/write-batch.ts'

/** `stored` counts samples, plain and histograms alike. */
export interface MetricsAppendOutcome extends AppendOutcome {
  /** Of `stored`. */
  histograms: number
  /** Beside `stored`. */
  exemplars: number
}

export interface MetricsAppender {
  /** A batch is its caller's again when `append` has returned its promise, not only when that is settled. */
  readonly readsAtOnce?: true
  /**
   * Stores what can be stored, and resolves when that is kept. Throws UnavailableError when nothing could be kept now
   * (sending again helps) and LimitError when the tenant has no room for new series.
   */
  append(tenant: string, batch: WriteBatch): Promise<MetricsAppendOutcome>
}
