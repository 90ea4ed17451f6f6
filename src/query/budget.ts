/** What one query may use: samples in memory at a time, and time. Also where a query lets others run. */
import { CanceledError, LimitError, TimeoutError } from '#core/errors.ts'
import type { Clock } from '#core/clock.ts'

/** A query holds the thread at most this long before others get a turn. */
const turnMs = 8

export class Budget {
  readonly #clock: Clock
  readonly #samplesMax: number
  readonly #deadlineMs: number
  readonly #signal: AbortSignal | undefined
  #turnEndsMs: number
  samples = 0
  peakSamples = 0
  /** Samples that the query looked at, those in overlapping windows once each. */
  totalSamples = 0

  constructor(clock: Clock, samplesMax: number, timeoutMs: number, signal?: AbortSignal) {
    this.#clock = clock
    this.#samplesMax = samplesMax
    this.#deadlineMs = clock.monotonicMs() + timeoutMs
    this.#signal = signal
    this.#turnEndsMs = clock.monotonicMs() + turnMs
  }

  /** Takes `count` samples into memory. */
  take(count: number): void {
    this.samples += count
    if (this.samples > this.peakSamples) this.peakSamples = this.samples
    if (this.samples > this.#samplesMax)
      throw new LimitError('query processing would load too many samples into memory in query execution', 422)
  }

  give(count: number): void {
    this.samples -= count
  }

  /** To be awaited now and then, where it is cheap: stops a query that is out of time, and gives others a turn. */
  async pause(): Promise<void> {
    const now = this.#clock.monotonicMs()
    if (now > this.#deadlineMs) throw new TimeoutError('query timed out in expression evaluation')
    if (this.#signal?.aborted === true) throw new CanceledError('query was canceled in expression evaluation')
    if (now < this.#turnEndsMs) return
    await this.#clock.yield()
    this.#turnEndsMs = this.#clock.monotonicMs() + turnMs
  }
}
