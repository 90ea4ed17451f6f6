/** Warnings of the log about what somebody outside may cause as often as they like: of each kind one a minute. */
import type { Clock } from './clock.ts'
import type { Log, LogFields } from './log.ts'

const everyMs = 60_000

export class RareLines {
  readonly #clock: Clock
  readonly #log: Log
  /** By message. */
  readonly #last = new Map<string, { atMs: number; left: number }>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** `message` is one of a few. The next line that is logged says how many were not. */
  warn(message: string, fields: LogFields = {}): void {
    const nowMs = this.#clock.monotonicMs()
    const last = this.#last.get(message)
    if (last !== undefined && nowMs - last.atMs < everyMs) {
      last.left++
      return
    }
    const since = last === undefined || last.left === 0 ? {} : { moreBefore: last.left }
    this.#last.set(message, { atMs: nowMs, left: 0 })
    this.#log.warn(message, { ...fields, ...since })
  }
}
