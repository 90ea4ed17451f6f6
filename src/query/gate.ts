/**
 * How many queries run at a time, in all languages and for rules too. Of the others that one is next whose owner has
 * the fewest running, of these the one that came first; where the queue is full its places are shared alike. The time
 * in the queue is a part of the query's time, and whoever goes away leaves the queue.
 */
import type { Clock, Timer } from '#core/clock.ts'
import { CanceledError, TimeoutError, UnavailableError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import type { MemoryAccount } from '#core/memory-budget.ts'
import { drawOn } from './budget.ts'

export type GateLimits = Pick<Limits, 'queryConcurrencyMax' | 'queryQueueMax' | 'queryTimeoutMs'>

/** Seconds after which a query that found the queue full may come again. */
const retryAfterSeconds = 2

/** How a query waits. */
export interface Turn {
  /** In front of those that wait, as rules are, which are few and must not be late. Default: it is not. */
  readonly isFirst?: boolean
  /** Whose it is: a tenant, or a credential. Default: that of all who have no name. */
  readonly owner?: string
}

interface Waiting extends Required<Turn> {
  readonly signal: AbortSignal | undefined
  start(): void
  /** Its place is another owner's. */
  refuse(): void
}

export class QueryGate {
  readonly #clock: Clock
  readonly #limits: GateLimits
  readonly #memory: MemoryAccount | undefined
  readonly #queue: Waiting[] = []
  #running = 0
  /** By owner; nobody else is here. */
  readonly #runningOf = new Map<string, number>()
  #lastMs: number
  /** Seconds that queries waited before they ran or gave up, and how many waited at all. */
  queueSeconds = 0
  queued = 0
  /** Queries that found the queue full. */
  refused = 0

  /** With `memory` no further query begins while those that run hold half of it. */
  constructor(clock: Clock, limits: GateLimits, memory?: MemoryAccount) {
    this.#clock = clock
    this.#limits = limits
    this.#memory = memory
    this.#lastMs = clock.monotonicMs()
  }

  get running(): number {
    return this.#running
  }
  get waiting(): number {
    return this.#queue.length
  }

  /** For how long no query has run. */
  get idleMs(): number {
    return this.#running > 0 ? 0 : this.#clock.monotonicMs() - this.#lastMs
  }

  /** Does the query with this signal wait for its turn? */
  isWaiting(signal: AbortSignal): boolean {
    return this.#queue.some(one => one.signal === signal)
  }

  /**
   * Runs `work` when it is its turn. The signal that `work` gets is aborted when `signal` is, and when the time is
   * over: the least of `timeoutMs` and the limit, from now on. What the work's budget counts is held of the memory
   * until it ends. Throws UnavailableError where too many wait, TimeoutError, CanceledError, and what the work throws.
   */
  async run<T>(
    signal: AbortSignal | undefined,
    timeoutMs: number,
    work: (signal: AbortSignal) => Promise<T>,
    { isFirst = false, owner = '' }: Turn = {},
  ): Promise<T> {
    const time = new QueryTime(this.#clock, Math.min(timeoutMs, this.#limits.queryTimeoutMs), signal)
    const hold = this.#memory?.hold()
    try {
      await this.#turn(time.signal, signal, { isFirst, owner })
      try {
        if (hold !== undefined) drawOn(time.signal, hold)
        return await work(time.signal)
      } finally {
        hold?.close()
        this.#count(owner, -1)
        this.#lastMs = this.#clock.monotonicMs()
        this.#startNext()
      }
    } finally {
      time.end()
    }
  }

  #hasRoom(): boolean {
    if (this.#running >= this.#limits.queryConcurrencyMax) return false
    return this.#running === 0 || this.#memory === undefined || this.#memory.heldBytes * 2 <= this.#memory.bytesMax
  }

  /** Resolves when the query counts as running. `asked` is the signal that it came with. */
  async #turn(time: AbortSignal, asked: AbortSignal | undefined, turn: Required<Turn>): Promise<void> {
    throwIfOver(time)
    if (this.#queue.length === 0 && this.#hasRoom()) {
      this.#count(turn.owner, 1)
      return
    }
    if (!turn.isFirst && this.#queue.length >= this.#limits.queryQueueMax && !this.#makePlace(turn.owner)) {
      this.refused++
      throw this.#tooMany()
    }
    await this.#wait(time, asked, turn)
  }

  #count(owner: string, by: 1 | -1): void {
    this.#running += by
    const own = (this.#runningOf.get(owner) ?? 0) + by
    if (own === 0) this.#runningOf.delete(owner)
    else this.#runningOf.set(owner, own)
  }

  #tooMany(): UnavailableError {
    return new UnavailableError(
      `${this.#running} queries run and ${this.#queue.length} wait, the limit is ${this.#limits.queryQueueMax}; try ` +
        'again later, or raise limits.query_queue or limits.query_concurrency',
      retryAfterSeconds,
    )
  }

  /** Whoever has the most places gives up the last of them, where another owner has fewer. */
  #makePlace(owner: string): boolean {
    const waiting = new Map([[owner, 1]])
    for (const one of this.#queue) if (!one.isFirst) waiting.set(one.owner, (waiting.get(one.owner) ?? 0) + 1)
    const [most] = [...waiting].sort(([, a], [, b]) => b - a)
    if (most === undefined || most[1] <= waiting.get(owner)!) return false
    this.#queue.findLast(one => !one.isFirst && one.owner === most[0])?.refuse()
    return true
  }

  #wait(time: AbortSignal, asked: AbortSignal | undefined, turn: Required<Turn>): Promise<void> {
    const sinceMs = this.#clock.monotonicMs()
    this.queued++
    return new Promise((resolve, reject) => {
      const noteTime = (): void => {
        this.queueSeconds += (this.#clock.monotonicMs() - sinceMs) / 1000
      }
      const leave = (): void => {
        this.#queue.splice(this.#queue.indexOf(one), 1)
        noteTime()
        time.removeEventListener('abort', onEnd)
      }
      const onEnd = (): void => {
        leave()
        reject(endOf(time))
      }
      const one: Waiting = {
        ...turn,
        signal: asked,
        start: () => {
          leave()
          this.#count(turn.owner, 1)
          resolve()
        },
        refuse: () => {
          this.refused++
          const error = this.#tooMany()
          leave()
          reject(error)
        },
      }
      time.addEventListener('abort', onEnd, { once: true })
      if (turn.isFirst) this.#queue.unshift(one)
      else this.#queue.push(one)
    })
  }

  #startNext(): void {
    while (this.#queue.length > 0 && this.#hasRoom()) this.#next().start()
  }

  #next(): Waiting {
    let next = this.#queue[0]!
    const runningOf = ({ owner }: Waiting): number => this.#runningOf.get(owner) ?? 0
    if (!next.isFirst) for (const one of this.#queue) if (runningOf(one) < runningOf(next)) next = one
    return next
  }
}

function throwIfOver(time: AbortSignal): void {
  if (time.aborted) throw endOf(time)
}

/** Why a query is over before its end. */
function endOf({ reason }: AbortSignal): Error {
  return reason instanceof TimeoutError ? reason : new CanceledError('query was canceled in query queue')
}

/** A signal that is aborted with another one, and with a TimeoutError when the time is over. */
class QueryTime {
  readonly #control = new AbortController()
  readonly #asked: AbortSignal | undefined
  readonly #timer: Timer | undefined

  constructor(clock: Clock, timeoutMs: number, asked: AbortSignal | undefined) {
    this.#asked = asked
    asked?.addEventListener('abort', this.#onAbort, { once: true })
    if (asked?.aborted === true) this.#onAbort()
    if (timeoutMs === Infinity) return
    this.#timer = clock.after(timeoutMs, () => {
      this.#control.abort(new TimeoutError('query timed out in expression evaluation'))
    })
  }

  get signal(): AbortSignal {
    return this.#control.signal
  }

  readonly #onAbort = (): void => {
    this.#control.abort(this.#asked?.reason)
  }

  end(): void {
    this.#timer?.cancel()
    this.#asked?.removeEventListener('abort', this.#onAbort)
  }
}
