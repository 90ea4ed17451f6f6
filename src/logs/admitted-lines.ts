/** Lines that wait for the log, as far as their record does not have them: it is walked over when they are shown. */
import type { StreamHead } from './head.ts'
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

  /**
   * Appends the lines to their streams: the log has the record. Returns the numbers of lines that were there before,
   * ascending.
   */
  show(payload: Uint8Array, nowMs: number): number[] {
    const repeated: number[] = []
    let stream: StreamHead | undefined
    let next = 0
    walkLines(payload, {
      stream: number => {
        stream = this.#streams.get(number)
      },
      line: (ms, subNs, entryFrom, from, to) => {
        const pairs = this.pairsOf(next++)
        if (stream?.append(nowMs, ms, subNs, payload, from, to, pairs, entryFrom) !== true) repeated.push(next - 1)
      },
    })
    for (const shown of this.#streams.values()) shown.awaited--
    return repeated
  }

  streams(): Iterable<StreamHead> {
    return this.#streams.values()
  }

  /** The stream with this number in the record. */
  streamOf(number: number): StreamHead | undefined {
    return this.#streams.get(number)
  }

  /** Metadata of a line, by its number in the record: names and values in turn. */
  pairsOf(line: number): readonly string[] {
    return this.#pairs[line] ?? noPairs
  }
}

const noPairs: readonly string[] = []
