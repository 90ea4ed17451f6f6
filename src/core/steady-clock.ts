/**
 * The wall clock for what can't be undone. A clock that jumps ahead (a step by NTP, a machine that was suspended, a
 * mistake) makes everything older at once, and may be set back soon: what deletes because of age goes by this clock,
 * which follows a jump ahead only after it has lasted. It follows a jump back, and a clock that drifts, at once.
 */
import type { Clock, Timer } from './clock.ts'

/** A step of the wall clock against the monotonic one that counts as a jump. */
export const clockJumpMs = 60_000
/** So long a clock has to stay ahead before it is believed. */
export const jumpTrustMs = 3_600_000

/**
 * What the time may be, milliseconds since the epoch: after a jump nobody knows for an hour whether the clock was wrong
 * before it or is wrong since. What comes in is too old, or too far ahead, only where it is both ways.
 */
export interface NowRange {
  earliestMs: number
  latestMs: number
}

/** The clock did not jump. */
export function exactly(nowMs: number): NowRange {
  return { earliestMs: nowMs, latestMs: nowMs }
}

export class SteadyClock implements Clock {
  readonly #clock: Clock
  /** Wall clock less monotonic clock: as it is believed, as it may be at most, and as it was when it was read last. */
  #trustedOriginMs: number
  #highestOriginMs: number
  #originMs: number
  /** When it jumped last; -Infinity: never. */
  #jumpedMs = -Infinity
  #lastJumpMs = 0
  #untoldMs = 0
  /** Jumps since the start. */
  jumps = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#trustedOriginMs = this.#highestOriginMs = this.#originMs = clock.nowMs() - clock.monotonicMs()
  }

  #look(): void {
    const monotonicMs = this.#clock.monotonicMs()
    const originMs = this.#clock.nowMs() - monotonicMs
    const stepMs = originMs - this.#originMs
    this.#originMs = originMs
    if (Math.abs(stepMs) >= clockJumpMs) {
      this.jumps++
      this.#jumpedMs = monotonicMs
      this.#lastJumpMs = stepMs
      this.#untoldMs += stepMs
    }
    const isSettled = monotonicMs - this.#jumpedMs >= jumpTrustMs
    if (isSettled || originMs - this.#trustedOriginMs < clockJumpMs) this.#trustedOriginMs = originMs
    if (isSettled || this.#highestOriginMs - originMs < clockJumpMs) this.#highestOriginMs = originMs
  }

  /** Wall clock, without a jump ahead of the last hour. */
  nowMs(): number {
    this.#look()
    return Math.floor(this.#clock.monotonicMs() + this.#trustedOriginMs)
  }

  range(): NowRange {
    this.#look()
    const monotonicMs = this.#clock.monotonicMs()
    return {
      earliestMs: Math.floor(monotonicMs + this.#trustedOriginMs),
      latestMs: Math.floor(monotonicMs + this.#highestOriginMs),
    }
  }

  /** By how much the clock jumped since this was asked last; 0: it did not. */
  takeJump(): number {
    this.#look()
    const jumpMs = this.#untoldMs
    this.#untoldMs = 0
    return jumpMs
  }

  /** The last jump, for an hour; 0: there was none. */
  get recentJumpMs(): number {
    return this.#clock.monotonicMs() - this.#jumpedMs < jumpTrustMs ? this.#lastJumpMs : 0
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }
  after(delayMs: number, run: () => void): Timer {
    return this.#clock.after(delayMs, run)
  }
  yield(): Promise<void> {
    return this.#clock.yield()
  }
  hold(): Timer {
    return this.#clock.hold?.() ?? { cancel: () => {} }
  }
}
