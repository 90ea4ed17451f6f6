/**
 * The memory of the process, shared out over named accounts. Two kinds of use count: what was taken and is given back
 * (bodies, queries, answers, tails), and what others hold and measure (heads, caches). Who gets nothing is refused with
 * an error that says so; before that, whoever can give something back is asked.
 */
import { LimitError, UnavailableError } from './errors.ts'
import type { MemoryShares } from './limits.ts'

export const memoryAccounts = ['heads', 'caches', 'bodies', 'queries', 'answers', 'tails', 'other'] as const
export type MemoryAccountName = (typeof memoryAccounts)[number]

/** What each account is for, as a refusal names it. */
const uses: Readonly<Record<MemoryAccountName, string>> = {
  heads: 'what came in and is not in a block yet',
  caches: 'what was read from blocks',
  bodies: 'the bodies of requests',
  queries: 'the queries that run',
  answers: 'answers that wait for their readers',
  tails: 'live tails',
  other: 'other work',
}

/** The status of a request that needs more than all of its account. */
const tooLargeStatus: Readonly<Record<MemoryAccountName, 413 | 422 | 429>> = {
  heads: 413,
  caches: 422,
  bodies: 413,
  queries: 422,
  answers: 422,
  tails: 429,
  other: 422,
}

/** Seconds after which a refused request may be tried again: bodies and queries come and go within that. */
const retryAfterSeconds = 2

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 ** 2)} MiB`

export class MemoryBudget {
  /** Bytes that all accounts may hold together. */
  readonly bytesMax: number
  readonly #accounts: Readonly<Record<MemoryAccountName, MemoryAccount>>

  constructor(bytesMax: number, shares: MemoryShares) {
    this.bytesMax = bytesMax
    const account = (name: MemoryAccountName): MemoryAccount => new MemoryAccount(name, bytesMax * shares[name], this)
    this.#accounts = {
      heads: account('heads'),
      caches: account('caches'),
      bodies: account('bodies'),
      queries: account('queries'),
      answers: account('answers'),
      tails: account('tails'),
      other: account('other'),
    }
  }

  account(name: MemoryAccountName): MemoryAccount {
    return this.#accounts[name]
  }

  all(): MemoryAccount[] {
    return memoryAccounts.map(name => this.#accounts[name])
  }

  /** Bytes that all accounts hold. */
  get heldBytes(): number {
    const { heads, caches, bodies, queries, answers, tails, other } = this.#accounts
    return (
      heads.heldBytes +
      caches.heldBytes +
      bodies.heldBytes +
      queries.heldBytes +
      answers.heldBytes +
      tails.heldBytes +
      other.heldBytes
    )
  }

  /** Asks everybody what they hold. To be called every second or so, and before somebody is refused. */
  measure(): void {
    for (const name of memoryAccounts) this.#accounts[name].measure()
  }

  /** Asks all that can give back until `bytes` more fit, or nobody has more. Caches come first. */
  reclaim(bytes: number): void {
    for (const name of ['caches', 'heads', 'queries', 'other'] as const) {
      const missing = this.heldBytes + bytes - this.bytesMax
      if (missing <= 0) return
      this.#accounts[name].reclaim(missing)
    }
  }
}

export class MemoryAccount {
  readonly name: MemoryAccountName
  readonly bytesMax: number
  readonly #budget: MemoryBudget
  readonly #readers: (() => number)[] = []
  readonly #givers: ((bytes: number) => void)[] = []
  #takenBytes = 0
  #measuredBytes = 0
  /** How often somebody got nothing. */
  refused = 0

  constructor(name: MemoryAccountName, bytesMax: number, budget: MemoryBudget) {
    this.name = name
    this.bytesMax = Math.floor(bytesMax)
    this.#budget = budget
  }

  /** Bytes that were taken, and that were held when that was measured last. */
  get heldBytes(): number {
    return this.#takenBytes + this.#measuredBytes
  }

  /** Adds a holder that says how much it holds when it is asked. */
  measured(read: () => number): void {
    this.#readers.push(read)
  }

  /**
   * Adds somebody who is asked to give back so many bytes when there is a shortage: it does so at once, or begins to,
   * or does nothing.
   */
  onShortage(give: (bytes: number) => void): void {
    this.#givers.push(give)
  }

  measure(): void {
    let sum = 0
    for (const read of this.#readers) sum += read()
    this.#measuredBytes = sum
  }

  reclaim(bytes: number): void {
    if (this.#givers.length === 0) return
    const before = this.heldBytes
    for (const give of this.#givers) {
      give(bytes - (before - this.heldBytes))
      this.measure()
      if (before - this.heldBytes >= bytes) return
    }
  }

  #fits(bytes: number): boolean {
    return this.heldBytes + bytes <= this.bytesMax && this.#budget.heldBytes + bytes <= this.#budget.bytesMax
  }

  /** Whether so many bytes more are there now. Others are asked to give back where they are not. */
  hasRoom(bytes: number): boolean {
    if (this.#fits(bytes)) return true
    this.#budget.measure()
    const missing = this.heldBytes + bytes - this.bytesMax
    if (missing > 0) this.reclaim(missing)
    this.#budget.reclaim(bytes)
    return this.#fits(bytes)
  }

  /** Takes so many bytes until `give`. Throws UnavailableError where they are not there. */
  take(bytes: number): void {
    if (!this.hasRoom(bytes)) throw this.refusal(bytes)
    this.#takenBytes += bytes
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes
  }

  /** Throws UnavailableError while more is held than the account may have. */
  admit(): void {
    if (!this.hasRoom(0)) throw this.refusal(0)
  }

  /** The error for whoever gets nothing; it is counted. */
  refusal(bytes: number): UnavailableError {
    this.refused++
    const { heldBytes, bytesMax } = this
    const isOwn = heldBytes + bytes > bytesMax
    return new UnavailableError(
      isOwn
        ? `no memory for ${uses[this.name]}: ${mebibytes(heldBytes)} are held and ${mebibytes(bytes)} more were ` +
            `asked for, the limit is ${mebibytes(bytesMax)}; try again later, or raise memory_limit`
        : `no memory for ${uses[this.name]}: the process holds ${mebibytes(this.#budget.heldBytes)} of ` +
            `${mebibytes(this.#budget.bytesMax)} and ${mebibytes(bytes)} more were asked for; try again later, ` +
            'or raise memory_limit',
      retryAfterSeconds,
    )
  }

  /** For one request, whose use is given back as a whole. */
  hold(): MemoryHold {
    return new MemoryHold(this)
  }
}

/** What one request holds of an account. */
export class MemoryHold {
  readonly #account: MemoryAccount
  #bytes = 0
  #isClosed = false

  constructor(account: MemoryAccount) {
    this.#account = account
  }

  get bytes(): number {
    return this.#bytes
  }

  /**
   * Throws UnavailableError where so many bytes are not there, and LimitError where the request would need more than
   * its whole account. Does nothing behind `close`.
   */
  take(bytes: number): void {
    if (this.#isClosed) return
    this.check(bytes)
    this.#account.take(bytes)
    this.#bytes += bytes
  }

  /** Throws as `take` does, and takes nothing. */
  check(bytes: number): void {
    const { bytesMax, name } = this.#account
    const needed = this.#bytes + bytes
    if (needed > bytesMax) {
      this.#account.refused++
      throw new LimitError(
        `one request would need ${mebibytes(needed)} of the memory for ${uses[name]}, the limit for all of them is ` +
          `${mebibytes(bytesMax)}; ask for less, or raise memory_limit`,
        tooLargeStatus[name],
      )
    }
    if (!this.#account.hasRoom(bytes)) throw this.#account.refusal(bytes)
  }

  give(bytes: number): void {
    const given = Math.min(bytes, this.#bytes)
    this.#bytes -= given
    this.#account.give(given)
  }

  /** Gives back all of it, once. */
  close(): void {
    this.give(this.#bytes)
    this.#isClosed = true
  }
}
