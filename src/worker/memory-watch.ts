/** The memory of a worker: looked at while it works, and tidied when it rests. */
import type { Clock, Timer } from '#core/clock.ts'

export interface WatchedMemory {
  /** Memory that the worker holds now. */
  heldBytes: () => number
  /** Lets go of what nobody holds; takes up to some hundred milliseconds. */
  collectGarbage: () => void
}

/** How often memory is looked at while jobs are under way. */
const lookEveryMs = 50
/** Garbage is not collected more often while jobs are under way. */
const collectEveryMs = 500
/**
 * A worker that rests for so long collects its garbage: pages of heads that are shared with it are kept by what nobody
 * holds any more.
 */
const restMs = 10_000

export class MemoryWatch {
  readonly #clock: Clock
  readonly #memory: WatchedMemory
  readonly #bytesMax: number
  readonly #jobs: () => readonly number[]
  readonly #onShort: (jobs: readonly number[]) => void
  #isLooking = false
  #collectedMs = -Infinity
  #rest: Timer | undefined

  /** `onShort` hears of the jobs under way when there is too little memory for them. */
  constructor(
    clock: Clock,
    memory: WatchedMemory,
    bytesMax: number,
    jobs: () => readonly number[],
    onShort: (jobs: readonly number[]) => void,
  ) {
    this.#clock = clock
    this.#memory = memory
    this.#bytesMax = bytesMax
    this.#jobs = jobs
    this.#onShort = onShort
  }

  /** To be called when a job has begun. */
  jobBegan(): void {
    this.#rest?.cancel()
    if (this.#isLooking) return
    this.#isLooking = true
    this.#look()
  }

  #look(): void {
    const jobs = this.#jobs()
    if (jobs.length === 0) {
      this.#isLooking = false
      this.#rest = this.#clock.after(restMs, () => {
        this.#memory.collectGarbage()
      })
      return
    }
    if (this.#isShort()) this.#onShort(jobs)
    this.#clock.after(lookEveryMs, () => {
      this.#look()
    })
  }

  /** What is garbage does not count. */
  #isShort(): boolean {
    if (this.#memory.heldBytes() <= this.#bytesMax) return false
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#collectedMs < collectEveryMs) return false
    this.#collectedMs = nowMs
    this.#memory.collectGarbage()
    return this.#memory.heldBytes() > this.#bytesMax
  }
}
