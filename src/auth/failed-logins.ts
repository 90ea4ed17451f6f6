/**
 * How often wrong passwords may be tried: some times for one user from one address, and some more from one address
 * for all users. Who is refused waits; who is right is not counted.
 */
import type { Clock } from '#core/clock.ts'

const windowMs = 60_000
const perUserMax = 10
const perAddressMax = 60
/** Pairs that are remembered; beyond, the oldest are forgotten. */
const entriesMax = 10_000

interface Entry {
  failures: number
  /** Of the monotonic clock. */
  sinceMs: number
}

export class FailedLogins {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #entries = new Map<string, Entry>()
  /** All that were ever noted. */
  failures = 0
  /** Tries that were not looked at. */
  refused = 0

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Seconds until another try is looked at; 0: at once. */
  waitSeconds(address: string, user: string): number {
    const waitMs = Math.max(
      this.#waitMs(pairKey(address, user), perUserMax),
      this.#waitMs(addressKey(address), perAddressMax),
    )
    if (waitMs > 0) this.refused++
    return Math.ceil(waitMs / 1000)
  }

  #waitMs(key: string, most: number): number {
    const entry = this.#entries.get(key)
    if (entry === undefined) return 0
    const leftMs = entry.sinceMs + windowMs - this.#clock.monotonicMs()
    if (leftMs <= 0) {
      this.#entries.delete(key)
      return 0
    }
    return entry.failures >= most ? leftMs : 0
  }

  note(address: string, user: string): void {
    this.failures++
    this.#count(pairKey(address, user))
    this.#count(addressKey(address))
  }

  #count(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) {
      entry.failures++
      return
    }
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= entriesMax && oldest !== undefined) this.#entries.delete(oldest)
    this.#entries.set(key, { failures: 1, sinceMs: this.#clock.monotonicMs() })
  }
}

function pairKey(address: string, user: string): string {
  return JSON.stringify([address, user.slice(0, 200)])
}
function addressKey(address: string): string {
  return JSON.stringify([address])
}
