/** The door into the metrics signal: what a protocol handler, a scrape or a rule can hand over. */
import type { WriteBatch } from '#model/write-batch.ts'

/** What became of a batch. `refused` counts samples that will never be accepted; `reason` is about the first of them. */
export interface AppendResult {
  samples: number
  histograms: number
  exemplars: number
  refused: number
  reason: string | undefined
}

export interface MetricsAppender {
  /**
   * Stores what can be stored, and resolves when that is kept. Throws UnavailableError when nothing could be kept now
   * (sending again helps) and LimitError when the tenant has no room for new series.
   */
  append(tenant: string, batch: WriteBatch): Promise<AppendResult>
}
