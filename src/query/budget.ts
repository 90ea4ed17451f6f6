/** The samples that one query may hold in memory, and the time that it may take. Long queries yield here. */
import { CanceledError, LimitError, TimeoutError } from '#core/errors.ts'
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'

/** A query yields when it has held the thread for this long. */
const turnMs = 8

/** Makes budgets by the limits of a query engine. */
export class Budgets {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** The time that queries see. */
  get nowMs(): number {
    return this.#clock.nowMs()
  }

  /** For a query that begins now; `timeoutMs` shortens what the limits allow. */
  begin(signal: AbortSignal | undefined, timeoutMs = Infinity): Budget {
    const { querySamplesMax, queryTimeoutMs } = this.#limits
    return new Budget(this.#clock, querySamplesMax, Math.min(timeoutMs, queryTimeoutMs), signal)
  }
}

/** What one query has used and may still use. */
export class Budget {
  readonly #clock: Clock
  readonly #samplesMax: number
  readonly #deadlineMs: number
  readonly #signal: AbortSignal | undefined
  #turnEndsMs: number
  samples = 0
  peakSamples = 0
  /** Samples that the query read, those in overlapping windows once for each window. */
  totalSamples = 0

  constructor(clock: Clock, samplesMax: number, timeoutMs: number, signal?: AbortSignal) {
    this.#clock = clock
    this.#samplesMax = samplesMax
    this.#deadlineMs = clock.monotonicMs() + timeoutMs
    this.#signal = signal
    this.#turnEndsMs = clock.monotonicMs() + turnMs
  }

  /** Counts samples that are loaded into memory. Throws LimitError when the query holds too many. */
  take(count: number): void {
    this.samples += count
    if (this.samples > this.peakSamples) this.peakSamples = this.samples
    if (this.samples > this.#samplesMax)
      throw new LimitError('query processing would load too many samples into memory in query execution', 422)
  }

  /** Counts samples that are not held any more. */
  give(count: number): void {
    this.samples -= count
  }

  /**
   * Awaited between pieces of work: yields when the query has held the thread long enough. Throws TimeoutError and
   * CanceledError.
   */
  async pause(): Promise<void> {
    const now = this.#clock.monotonicMs()
    if (now > this.#deadlineMs) throw new TimeoutError('query timed out in expression evaluation')
    if (this.#signal?.aborted === true) throw new CanceledError('query was canceled in expression evaluation')
    if (now < this.#turnEndsMs) return
    await this.#clock.yield()
    this.#turnEndsMs = this.#clock.monotonicMs() + turnMs
  }
}
