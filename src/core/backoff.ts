/** Pauses between tries that fail: each twice as long as the one before, and waiting that ends when its owner stops. */
import type { Clock, Timer } from './clock.ts'

export interface BackoffLimits {
  /** Milliseconds of the first pause. */
  leastMs: number
  /** Milliseconds that no pause exceeds. */
  mostMs: number
}

/** Beyond this many doublings a pause is at any limit. */
const doublingsMax = 50

/** Milliseconds to wait after try number `attempt`, counted from 0, has failed. */
export function backoffMs(attempt: number, { leastMs, mostMs }: BackoffLimits): number {
  return Math.min(mostMs, leastMs * 2 ** Math.min(attempt, doublingsMax))
}

/** Pauses that all end at once when their owner stops. */
export class Pauses {
  readonly #clock: Clock
  readonly #waiting = new Set<{ timer: Timer; resolve: () => void }>()
  #isEnded = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves after `ms`, or when `end` is called; at once if it was called before. */
  wait(ms: number): Promise<void> {
    if (this.#isEnded) return Promise.resolve()
    return new Promise(resolve => {
      const timer = this.#clock.after(ms, () => {
        this.#waiting.delete(pause)
        resolve()
      })
      const pause = { timer, resolve }
      this.#waiting.add(pause)
    })
  }

  end(): void {
    this.#isEnded = true
    for (const { timer, resolve } of this.#waiting) {
      timer.cancel()
      resolve()
    }
    this.#waiting.clear()
  }
}
