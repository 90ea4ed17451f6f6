/**
 * How often wrong passwords may be tried: some times for one user from one address, and some more from one address
 * for all users. Who is refused waits; who is right is not counted.
 */
import { isIP } from 'node:net'
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
  waitSeconds(from: string, user: string): number {
    const address = placeOf(from)
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

  note(from: string, user: string): void {
    const address = placeOf(from)
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

/** An address of IPv4; of IPv6 the network of 64 bits, of which whoever has one address has all (RFC 6177). */
function placeOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [plain = ''] = address.split('%')
  if (isIP(plain) !== 6) return address
  const [before = [], after = []] = plain.split('::').map(part => (part === '' ? [] : part.split(':')))
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0')
  const groups = [...before, ...zeros, ...after].slice(0, 4)
  return `${groups.map(group => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}

function pairKey(address: string, user: string): string {
  return JSON.stringify([address, user.slice(0, 200)])
}
function addressKey(address: string): string {
  return JSON.stringify([address])
}
