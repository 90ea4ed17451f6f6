/** Counters of a query, for the statistics of its answer. */
import type { Pipeline } from './pipeline.ts'

/** Streams, chunks, lines and bytes that a query read. */
export class QueryStats {
  streams = 0
  chunks = 0
  blocksSkipped = 0
  lines = 0
  bytes = 0
  linesPassed = 0
  entriesReturned = 0

  add(pipeline: Pipeline): void {
    this.lines += pipeline.linesSeen
    this.bytes += pipeline.bytesSeen
    this.linesPassed += pipeline.linesPassed
  }
}
