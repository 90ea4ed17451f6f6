/**
 * The samples that one query may hold in memory, and the time that it may take. Long queries yield here. What is
 * counted is taken from the memory of the process too, where the query runs by the gate (gate.ts).
 */
import type { Clock } from '#core/clock.ts'
import { CanceledError, LimitError, TimeoutError } from '#core/errors.ts'
import { queryBytesMax, type Limits } from '#core/limits.ts'
import type { MemoryHold } from '#core/memory-budget.ts'

/** A query yields when it has held the thread for this long. */
const turnMs = 8
/**
 * Units of work between two looks at the clock: 100 to 400 microseconds where a unit is a comparison or an addition.
 */
const unitsPerLook = 16_384

/** Bytes of a sample: its value and its place in a column of times or of steps. */
const sampleBytes = 16

/** What of the process' memory a query holds, by the signal that it runs with. */
const holds = new WeakMap<AbortSignal, MemoryHold>()

/** Lets the budgets of the query that runs with `signal` take what they count from the process' memory as well. */
export function drawOn(signal: AbortSignal, hold: MemoryHold): void {
  holds.set(signal, hold)
}

/** Samples that a query may hold, by the signal that it runs with, where its tenant has a limit of its own. */
const ownSamples = new WeakMap<AbortSignal, number>()

export function limitSamples(signal: AbortSignal, samplesMax: number): void {
  ownSamples.set(signal, samplesMax)
}

/** What is allowed to the query that runs with the signal, where the limits say `otherwise`. */
export function samplesMaxOf(signal: AbortSignal | undefined, otherwise: number): number {
  return (signal === undefined ? undefined : ownSamples.get(signal)) ?? otherwise
}

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
  readonly #bytesMax: number
  readonly #deadlineMs: number
  readonly #signal: AbortSignal | undefined
  readonly #hold: MemoryHold | undefined
  #turnEndsMs: number
  samples = 0
  peakSamples = 0
  /** Samples that the query read, those in overlapping windows once for each window. */
  totalSamples = 0
  /** Bytes that the query holds beside samples. */
  bytes = 0
  peakBytes = 0
  #units = 0

  constructor(clock: Clock, samplesMax: number, timeoutMs: number, signal?: AbortSignal, bytesMax = queryBytesMax) {
    this.#bytesMax = bytesMax
    this.#clock = clock
    this.#samplesMax = samplesMaxOf(signal, samplesMax)
    this.#deadlineMs = clock.monotonicMs() + timeoutMs
    this.#signal = signal
    this.#hold = signal === undefined ? undefined : holds.get(signal)
    this.#turnEndsMs = clock.monotonicMs() + turnMs
  }

  /** Counts samples that are loaded into memory. Throws LimitError when the query holds too many. */
  take(count: number): void {
    this.samples += count
    if (this.samples > this.peakSamples) this.peakSamples = this.samples
    if (this.samples > this.#samplesMax)
      throw new LimitError('query processing would load too many samples into memory in query execution', 422)
    this.#hold?.take(count * sampleBytes)
  }

  /** May the query hold so many samples more? */
  hasRoomFor(count: number): boolean {
    return this.samples + count <= this.#samplesMax
  }

  /** Counts samples that are not held any more. */
  give(count: number): void {
    this.samples -= count
    this.#hold?.give(count * sampleBytes)
  }

  /**
   * Counts bytes that the query holds beside samples: lines, rows, groups. Throws LimitError when it holds too many.
   */
  takeBytes(bytes: number): void {
    this.bytes += bytes
    if (this.bytes > this.peakBytes) this.peakBytes = this.bytes
    if (this.bytes > this.#bytesMax)
      throw new LimitError(
        `the query holds more than ${this.#bytesMax} bytes in memory, which is the limit; ` +
          'narrow its time or its filter, or group by less',
        422,
      )
    this.#hold?.take(bytes)
  }

  /** Counts bytes that are not held any more. */
  giveBytes(bytes: number): void {
    this.bytes -= bytes
    this.#hold?.give(bytes)
  }

  /** For work that can't await: throws TimeoutError and CanceledError as `pause` does. */
  check(): void {
    this.#check(this.#clock.monotonicMs())
  }

  #check(now: number): void {
    if (now > this.#deadlineMs) throw new TimeoutError('query timed out in expression evaluation')
    if (this.#signal?.aborted !== true) return
    const { reason } = this.#signal
    if (reason instanceof TimeoutError) throw reason
    throw new CanceledError('query was canceled in expression evaluation')
  }

  /** Counts work that was done where nothing can be awaited: the next `worked` knows of it. */
  did(units: number): void {
    this.#units += units
  }

  /**
   * Counts work inside a long loop: true when it is time to look at the clock. Cheap enough to be called for every
   * item;
   * `if (budget.worked(1)) await budget.pause()`.
   */
  worked(units: number): boolean {
    this.#units += units
    if (this.#units < unitsPerLook) return false
    this.#units = 0
    return true
  }

  /**
   * Awaited between pieces of work: yields when the query has held the thread long enough. Throws TimeoutError and
   * CanceledError.
   */
  async pause(): Promise<void> {
    const now = this.#clock.monotonicMs()
    this.#check(now)
    if (now < this.#turnEndsMs) return
    await this.#clock.yield()
    this.#turnEndsMs = this.#clock.monotonicMs() + turnMs
  }
}
