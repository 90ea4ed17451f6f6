/** How fast blocks that nobody asks for are read again, to find damage before somebody does. */
import type { Clock } from '#core/clock.ts'

/** A terabyte is looked through in six weeks. */
const bytesPerHour = 1024 ** 3
/** A start has other things to do. */
const restMs = 600_000
const hourMs = 3_600_000
/** Little data is not read again all the time. */
const passMs = 1_800_000

export class ScrubPace {
  readonly #clock: Clock
  #nextMs: number
  #passBeganMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#nextMs = clock.monotonicMs() + restMs
    this.#passBeganMs = this.#nextMs
  }

  /** May the next piece be read? */
  get isDue(): boolean {
    return this.#clock.monotonicMs() >= this.#nextMs
  }

  /** So much was read. */
  spent(bytes: number): void {
    this.#nextMs = Math.max(this.#nextMs, this.#clock.monotonicMs()) + (bytes / bytesPerHour) * hourMs
  }

  /** All was read once; the next pass begins half an hour after this one did, or later. */
  passEnded(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#nextMs = Math.max(nowMs + restMs, this.#passBeganMs + passMs)
    this.#passBeganMs = this.#nextMs
  }

  /** There was nothing to read, or it could not be read now. */
  rest(): void {
    this.#nextMs = this.#clock.monotonicMs() + restMs
  }
}

/** The first of the keys behind `last`, in their order; from the first on again behind the last one. */
export function nextKey(keys: Iterable<string>, last: string): string | undefined {
  let first: string | undefined
  let next: string | undefined
  for (const key of keys) {
    if (first === undefined || key < first) first = key
    if (key > last && (next === undefined || key < next)) next = key
  }
  return next ?? first
}
