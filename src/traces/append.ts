/** The door into the traces signal: what a protocol handler can hand over. */
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'

/** Spans of a request that come in one message of several. */
export interface SpansPart {
  /** An OTLP message, in memory that nobody changes. */
  readonly message: Uint8Array
  /** Its spans as outlines, read anew with each call. */
  readonly outlines: () => Trace
}

export interface TracesAppender {
  /**
   * Stores spans of any number of traces; `message` is the same as an OTLP message. Resolves when they are kept as the
   * durability mode means it. Throws UnavailableError when nothing could be kept now (sending again helps).
   */
  append(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome>

  /**
   * The same of a long request: other requests are admitted between its parts. Acknowledged, and refused by the limits
   * of a request, as a whole. Throws UnavailableError when the log fails in between: what it has of the first parts is
   * kept, and is stored once when the request is sent again.
   */
  appendParts(tenant: string, parts: readonly SpansPart[]): Promise<AppendOutcome>
}
