/** A clock that stands still until it is advanced: for users' tests and for our simulation. */
import type { Clock, Timer } from './clock.ts'

interface Entry {
  atMs: number
  sequence: number
  run: () => void
  cancelled: boolean
}

export class VirtualClock implements Clock {
  #nowMs: number
  #sequence = 0
  #entries: Entry[] = []

  constructor(startMs: number) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return Math.floor(this.#nowMs)
  }
  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, run, cancelled: false }
    this.#entries.push(entry)
    return {
      cancel: () => {
        entry.cancelled = true
      },
    }
  }

  yield(): Promise<void> {
    return new Promise(resolve => setImmediate(resolve))
  }

  /** Moves time forward by `byMs`, running due timers in order and letting their promises settle between them. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs
    for (;;) {
      await this.settle()
      const next = this.#takeDue(untilMs)
      if (next === undefined) break
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = untilMs
    await this.settle()
  }

  /** Waits between two timers for what the first one began. */
  protected settle(): Promise<void> {
    return this.yield()
  }

  #takeDue(untilMs: number): Entry | undefined {
    this.#entries = this.#entries.filter(e => !e.cancelled).sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)
    return this.#entries.length > 0 && this.#entries[0]!.atMs <= untilMs ? this.#entries.shift() : undefined
  }
}
