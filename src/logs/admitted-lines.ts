/** Lines that wait for the log, as far as their record does not have them: it is walked over when they are shown. */
import type { StreamHead } from './head.ts'
import type { LineListener } from './tail.ts'
import { walkLines } from './wal-record.ts'

export class AdmittedLines {
  /** In the order of the record. A stream may come twice: where its lines follow each other, the record has it once. */
  readonly #streams = new Map<number, StreamHead>()
  /** Metadata by line. */
  readonly #pairs: (readonly string[])[] = []

  addStream(stream: StreamHead): void {
    if (this.#streams.has(stream.number)) return
    this.#streams.set(stream.number, stream)
    stream.awaited++
  }

  /** A line of the stream that was added last. */
  addLine(pairs: readonly string[]): void {
    this.#pairs.push(pairs)
  }

  /** Appends the lines to their streams: the log has the record. `onLine` hears of those that are new. */
  show(payload: Uint8Array, tenant: string, nowMs: number, onLine: LineListener | undefined): void {
    let stream: StreamHead | undefined
    let next = 0
    walkLines(payload, {
      stream: number => {
        stream = this.#streams.get(number)
      },
      line: (ms, subNs, from, to) => {
        const pairs = this.#pairs[next++] ?? []
        if (stream?.append(nowMs, ms, subNs, payload, from, to, pairs) !== true) return
        onLine?.(tenant, stream, ms, subNs, payload, from, to, pairs)
      },
    })
    for (const shown of this.#streams.values()) shown.awaited--
  }
}
