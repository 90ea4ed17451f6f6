/** The door into the logs signal: what a protocol handler can hand over. */
import type { LogBatch } from '#model/log-batch.ts'

/** What became of a batch. Refused entries are gone for good; what stood beside them is kept. */
export interface LogAppendResult {
  lines: number
  refused: number
  /** One text for each kind of refusal, with how many entries it met. */
  problems: { message: string; count: number }[]
  /** The status that fits the refusals: 429 when sending later may help, else 400. */
  status: 400 | 429
}

export interface LogsAppender {
  /**
   * Stores what can be stored, and resolves when that is kept. Throws UnavailableError when nothing could be kept now
   * (sending again helps), LimitError (429) when the tenant sends more than its rate.
   */
  append(tenant: string, batch: LogBatch): Promise<LogAppendResult>
}
