/** Long work that lets other work run in between. */
import type { Clock } from './clock.ts'

/** What long loops ask: `if (pace.worked(1)) await pace.pause()`. */
export interface Paced {
  /** Counts work; true when it is time for `pause`. Cheap enough for every item. */
  worked(units: number): boolean
  /** Lets other work run, when that did not for a while. */
  pause(): Promise<void>
}

/** So much work is done between two looks at the clock: some hundred nanoseconds a unit. */
const unitsPerLook = 4096
/** Milliseconds of work until other work runs. */
const turnMs = 8

export class Pace implements Paced {
  readonly #clock: Clock
  #units = 0
  #turnEndsMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#turnEndsMs = clock.monotonicMs() + turnMs
  }

  worked(units: number): boolean {
    this.#units += units
    if (this.#units < unitsPerLook) return false
    this.#units = 0
    return true
  }

  async pause(): Promise<void> {
    if (this.#clock.monotonicMs() < this.#turnEndsMs) return
    await this.#clock.yield()
    this.#turnEndsMs = this.#clock.monotonicMs() + turnMs
  }
}
