/** The door into the logs signal: what a protocol handler can hand over. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { LogBatch } from '#model/log-batch.ts'

export interface LogsAppendOutcome extends AppendOutcome {
  /** The HTTP status that fits the refusals: 429 when sending later may help, else 400. */
  status: 400 | 429
}

export interface LogsAppender {
  /**
   * Stores what can be stored, and resolves when that is kept. Throws UnavailableError when nothing could be kept now
   * (sending again helps), LimitError (429) when the tenant sends more than its rate.
   */
  append(tenant: string, batch: LogBatch): Promise<LogsAppendOutcome>
}
