/** The door into the traces signal: what a protocol handler can hand over. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'

export interface TracesAppender {
  /**
   * Stores spans of any number of traces; `message` is the same as an OTLP message. Resolves when they are kept as the
   * durability mode means it. Throws UnavailableError when nothing could be kept now (sending again helps).
   */
  append(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome>
}
