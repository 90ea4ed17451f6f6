/**
 * How fast blocks that nobody asks for are read again, to find damage before somebody does: much at a time, then
 * nothing for long. The thread that reads them ends in between, and an idle process has none.
 */
import type { Clock } from '#core/clock.ts'

/** A terabyte is looked through in six weeks. */
const bytesPerHour = 1024 ** 3
/** So much is read at a time: half an hour's worth. */
const burstBytes = bytesPerHour / 2
/** A round of background work reads for no longer. */
const roundMs = 1000
/** A start has other things to do. */
const restMs = 600_000
const hourMs = 3_600_000
/** Little data is not read again all the time. */
const passMs = 1_800_000

export class ScrubPace {
  readonly #clock: Clock
  #nextMs: number
  #passBeganMs: number
  /** Read since the last rest. */
  #readBytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#nextMs = clock.monotonicMs() + restMs
    this.#passBeganMs = this.#nextMs
  }

  /** May the next piece be read? */
  get isDue(): boolean {
    return this.#clock.monotonicMs() >= this.#nextMs
  }

  /** Reads piece after piece by `step` while that is due, for a second at most. */
  async round(step: () => Promise<void>): Promise<void> {
    const endMs = this.#clock.monotonicMs() + roundMs
    while (this.isDue && this.#clock.monotonicMs() <= endMs) await step()
  }

  /** So much was read. */
  spent(bytes: number): void {
    this.#readBytes += bytes
    if (this.#readBytes < burstBytes) return
    this.#nextMs = this.#clock.monotonicMs() + (this.#readBytes / bytesPerHour) * hourMs
    this.#readBytes = 0
  }

  /** All was read once; the next pass begins half an hour after this one did, or later. */
  passEnded(): void {
    const nowMs = this.#clock.monotonicMs()
    this.#readBytes = 0
    this.#nextMs = Math.max(this.#nextMs, nowMs + restMs, this.#passBeganMs + passMs)
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
