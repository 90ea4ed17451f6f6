/** What dies when a process dies, and what disk and bucket of a simulated world need of it. */
import type { Timer } from '#core/clock.ts'

/** What an operation of a dead process gives. */
export const forever = (): Promise<never> => new Promise(() => {})

/** Where the crash falls: before the operation did anything, in the middle of it, or after it was done. */
export type CrashEffect = 'before' | 'torn' | 'after'

/** A process: after its death none of its operations does anything, or comes back. */
export class Life {
  isDead = false
  /** Operations of disk and bucket until it dies; Infinity: it does not. */
  operationsLeft = Infinity
  crashEffect: CrashEffect = 'before'
  onDeath: () => void = () => {}

  die(): void {
    if (this.isDead) return
    this.isDead = true
    this.onDeath()
  }

  /** Counts an operation; true when the process dies in it. */
  diesNow(): boolean {
    return !this.isDead && --this.operationsLeft <= 0
  }
}

/** True time and the run's chances. */
export interface Surroundings {
  readonly nowMs: number
  below(limit: number): number
  chance(oneIn: number): boolean
  sleep(delayMs: number): Promise<void>
  after(delayMs: number, run: () => void): Timer
  note(text: string): void
}
