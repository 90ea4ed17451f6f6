/** The door into the traces signal. */
import type { Trace } from '#model/trace.ts'

export interface TraceAppendResult {
  spans: number
  refused: number
  /** What was wrong, with how many spans were refused for it. */
  problems: { message: string; count: number }[]
}

export interface TracesAppender {
  /**
   * Stores spans of any number of traces; `message` is the same as an OTLP message. Resolves when they are kept as the durability mode
   * means it. Throws UnavailableError.
   */
  append(tenant: string, trace: Trace, message: Uint8Array): Promise<TraceAppendResult>
}
