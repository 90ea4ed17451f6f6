/** Pauses between the lines of a body, however long or short its lines are. */
import type { Clock } from '#core/clock.ts'
import { yieldEvery } from '#core/yield.ts'

/** Lines, and bytes of lines, between two pauses: some milliseconds of work. */
const linesBetween = 256
const bytesBetween = 64 * 1024

export class LinePauses {
  /** To be awaited when `isDue` says so. */
  readonly pause: () => Promise<void>
  #lines = 0
  #bytes = 0

  constructor(clock: Clock) {
    this.pause = yieldEvery(clock)
  }

  /** Whether a pause is due behind a line of so many bytes. */
  isDue(bytes: number): boolean {
    this.#lines++
    this.#bytes += bytes
    if (this.#lines < linesBetween && this.#bytes < bytesBetween) return false
    this.#lines = 0
    this.#bytes = 0
    return true
  }
}
