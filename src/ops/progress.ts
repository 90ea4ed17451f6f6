/** Progress of long work, as one line of a terminal that is drawn again. */
import { systemClock } from '#core/clock.ts'

const width = 30
const drawMs = 100

/** Drawn ten times a second at most. */
export class Progress {
  readonly #isShown: boolean
  readonly #what: string
  #lastMs = 0

  constructor(what: string, isShown: boolean) {
    this.#what = what
    this.#isShown = isShown
  }

  /** Ends the line when all is done. `extra` stands behind the bar. */
  show(done: number, all: number, extra = ''): void {
    const nowMs = systemClock.monotonicMs()
    if (!this.#isShown || (nowMs - this.#lastMs < drawMs && done < all)) return
    this.#lastMs = nowMs
    const share = all === 0 ? 1 : done / all
    const filled = Math.round(share * width)
    const bar = `${'#'.repeat(filled)}${'.'.repeat(width - filled)}`
    const percent = (share * 100).toFixed(0).padStart(3)
    process.stderr.write(`\r${this.#what} [${bar}] ${percent} % ${extra}\x1b[K${done >= all ? '\n' : ''}`)
  }
}
