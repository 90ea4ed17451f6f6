/** The memory of a worker: looked at while it works, and tidied when it rests. */
import type { Clock, Timer } from '#core/clock.ts'

export interface WatchedMemory {
  /** Memory that the worker holds now, beside what its program takes. */
  heldBytes: () => number
  /** Lets go of what nobody holds; takes up to some hundred milliseconds. */
  collectGarbage: () => void
}

/** How often memory is looked at while jobs are under way. */
const lookEveryMs = 50
/** Garbage is not collected more often while jobs are under way. */
const collectEveryMs = 500
/** But where so many times what may be held is held: much can come in half a second. */
const farBeyond = 1.25
const collectSoonMs = 100
/**
 * A worker that rests for so long collects its garbage: pages of heads that are shared with it are kept by what nobody
 * holds any more.
 */
const restMs = 10_000

/** A smaller change of what is held is not reported. */
const reportBytes = 1024 * 1024

export interface WatchOptions {
  clock: Clock
  memory: WatchedMemory
  bytesMax: number
  /** Is any work under way? */
  isBusy: () => boolean
  /** Others need memory, or there is too little for what is under way: what is only kept may go. */
  letGo?: () => void
  /** There is too little memory for what is under way. */
  onShort: () => void
  /** So much is held now: called every 50 ms at most while jobs are under way, and when the worker rests. */
  onHeld: (bytes: number) => void
}

export class MemoryWatch {
  readonly #options: WatchOptions
  #isLooking = false
  #collectedMs = -Infinity
  #rest: Timer | undefined
  #reportedBytes = 0

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** To be called when a job has begun. */
  jobBegan(): void {
    this.#rest?.cancel()
    if (this.#isLooking) return
    this.#isLooking = true
    this.#look()
  }

  /** Lets go of what nobody holds, since others need memory; not more often than every half second. */
  collect(): void {
    this.#collect()
    this.#report()
  }

  #look(): void {
    const { isBusy, clock, onShort } = this.#options
    const isShort = isBusy() && this.#isShort()
    this.#report()
    if (!isBusy()) {
      this.#isLooking = false
      this.#rest = clock.after(restMs, () => {
        this.#options.memory.collectGarbage()
        this.#report()
      })
      return
    }
    if (isShort) onShort()
    clock.after(lookEveryMs, () => {
      this.#look()
    })
  }

  #report(): void {
    const bytes = this.#options.memory.heldBytes()
    if (Math.abs(bytes - this.#reportedBytes) < reportBytes) return
    this.#reportedBytes = bytes
    this.#options.onHeld(bytes)
  }

  /** What is garbage does not count. */
  #isShort(): boolean {
    const { memory, bytesMax } = this.#options
    const heldBytes = memory.heldBytes()
    if (heldBytes <= bytesMax) return false
    return (
      this.#collect(heldBytes > farBeyond * bytesMax ? collectSoonMs : collectEveryMs) && memory.heldBytes() > bytesMax
    )
  }

  /** False: garbage was collected a moment ago. */
  #collect(everyMs = collectEveryMs): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#collectedMs < everyMs) return false
    this.#collectedMs = nowMs
    this.#options.letGo?.()
    this.#options.memory.collectGarbage()
    return true
  }
}
