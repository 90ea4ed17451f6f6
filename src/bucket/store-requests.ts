/** Requests to an object store: at most so many at once, each with a deadline, all of them counted. */
import type { Clock } from '#core/clock.ts'

/** What a request does, as far as counting goes. */
export const bucketOperations = ['put', 'get', 'head', 'list', 'delete'] as const
export type BucketOperation = (typeof bucketOperations)[number]

/** How a request ended: with an answer, refused for a reason that lasts, failed for one that may pass, too late. */
export const requestOutcomes = ['ok', 'refused', 'failed', 'timeout'] as const
export type RequestOutcome = (typeof requestOutcomes)[number]

/** Counters of requests, from the start of the process. */
export class RequestCounts {
  readonly #counts = new Map<string, number>()
  readonly #seconds = new Map<BucketOperation, number>()

  count(operation: BucketOperation, outcome: RequestOutcome): number {
    return this.#counts.get(`${operation} ${outcome}`) ?? 0
  }
  /** All the time that requests of this kind took. */
  seconds(operation: BucketOperation): number {
    return this.#seconds.get(operation) ?? 0
  }
  add(operation: BucketOperation, outcome: RequestOutcome, seconds: number): void {
    const key = `${operation} ${outcome}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    this.#seconds.set(operation, this.seconds(operation) + seconds)
  }
}

/** The store did not answer, or stopped in the middle of its answer. */
export class NoAnswerError extends Error {
  override name = 'NoAnswerError'
  readonly code = 'Timeout'
}

/** So long a request, or a pause between two pieces of its answer, may take beside the transfer itself. */
const silenceMs = 15_000
/** Whoever transfers less than this is taken for dead. */
const bytesPerMsMin = 128
/** So long a request waits for a free connection. */
const queueMs = 30_000

/** Milliseconds that a request may take which transfers so many bytes. */
export function deadlineMs(bytes: number): number {
  return silenceMs + bytes / bytesPerMsMin
}

/** One attempt at a request. */
export interface Attempt {
  readonly signal: AbortSignal
  /** A piece of the answer is there, which has `bytes` bytes in all: the next piece has its own time. */
  noteProgress(bytes: number): void
}

export interface RequestOptions {
  operation: BucketOperation
  /** What is sent, in bytes. */
  bytes: number
  /** Milliseconds, where the caller has less time than the deadline of such a request. */
  withinMs?: number
  outcomeOf: (error: unknown) => RequestOutcome
}

/** A number of connections, given out in the order in which they are asked for. */
class Slots {
  readonly #waiting: (() => void)[] = []
  #free: number
  constructor(count: number) {
    this.#free = count
  }
  async take(clock: Clock, withinMs: number): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    await new Promise<void>((resolve, reject) => {
      const timer = clock.after(withinMs, () => {
        const at = this.#waiting.indexOf(go)
        if (at < 0) return
        this.#waiting.splice(at, 1)
        reject(new NoAnswerError(`no connection was free in ${Math.round(withinMs / 1000)} s`))
      })
      const go = (): void => {
        timer.cancel()
        resolve()
      }
      this.#waiting.push(go)
    })
  }
  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

export class StoreRequests {
  readonly counts = new RequestCounts()
  readonly #clock: Clock
  /** Reads never take the connections of writes: a large query holds up no acknowledgement. */
  readonly #reads: Slots
  readonly #writes: Slots
  readonly #underWay = new Set<(error: NoAnswerError) => void>()
  #graceMs: number | undefined
  #answeredMs = -Infinity
  #isOver = false

  /** `connections` for reads, and as many for writes. */
  constructor(clock: Clock, connections: number) {
    this.#clock = clock
    this.#reads = new Slots(connections)
    this.#writes = new Slots(connections)
  }

  /** Nothing is asked of the store any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Runs one attempt. Rejects with NoAnswerError when it takes too long, whatever becomes of `work`. */
  async run<T>(options: RequestOptions, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { operation, bytes, withinMs = Infinity, outcomeOf } = options
    const slots = operation === 'put' || operation === 'delete' ? this.#writes : this.#reads
    const askedMs = this.#clock.monotonicMs()
    this.#requireOpen()
    await slots.take(this.#clock, Math.min(queueMs, withinMs))
    const startedMs = this.#clock.monotonicMs()
    try {
      const result = await this.#within(Math.min(deadlineMs(bytes), withinMs - (startedMs - askedMs)), work)
      this.counts.add(operation, 'ok', (this.#clock.monotonicMs() - startedMs) / 1000)
      this.#answeredMs = this.#clock.monotonicMs()
      return result
    } catch (error) {
      const outcome = error instanceof NoAnswerError ? 'timeout' : outcomeOf(error)
      this.counts.add(operation, outcome, (this.#clock.monotonicMs() - startedMs) / 1000)
      if (outcome === 'ok') this.#answeredMs = this.#clock.monotonicMs()
      throw error
    } finally {
      slots.give()
    }
  }

  #requireOpen(): void {
    if (this.#isOver) throw new NoAnswerError('the process is shutting down, and the store did not answer')
  }

  #within<T>(firstMs: number, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    this.#requireOpen()
    const clock = this.#clock
    const startedMs = clock.monotonicMs()
    let quietUntilMs = startedMs + firstMs
    let endMs = Infinity
    const controller = new AbortController()
    return new Promise<T>((resolve, reject) => {
      const fail = (error: NoAnswerError): void => {
        end()
        reject(error)
        controller.abort(error)
      }
      const watch = (): void => {
        const nowMs = clock.monotonicMs()
        const dueMs = Math.min(quietUntilMs, endMs)
        if (nowMs < dueMs) timer = clock.after(dueMs - nowMs, watch)
        else fail(new NoAnswerError(`no answer in ${((nowMs - startedMs) / 1000).toFixed(1)} s`))
      }
      let timer = clock.after(firstMs, watch)
      const end = (): void => {
        timer.cancel()
        this.#underWay.delete(fail)
      }
      this.#underWay.add(fail)
      const attempt: Attempt = {
        signal: controller.signal,
        noteProgress(bytes) {
          const nowMs = clock.monotonicMs()
          if (endMs === Infinity) endMs = nowMs + deadlineMs(bytes)
          quietUntilMs = nowMs + silenceMs
        },
      }
      work(attempt).then(
        value => {
          end()
          resolve(value)
        },
        (error: unknown) => {
          end()
          reject(error instanceof Error ? error : new Error(String(error)))
        },
      )
    })
  }

  /** From now on a store that answers nothing for `graceMs` is asked nothing more; what is under way is given up. */
  windDown(graceMs: number): void {
    if (this.#graceMs !== undefined) return
    this.#graceMs = graceMs
    const beganMs = this.#clock.monotonicMs()
    const watch = (): void => {
      const leftMs = Math.max(beganMs, this.#answeredMs) + graceMs - this.#clock.monotonicMs()
      if (leftMs > 0) this.#clock.after(leftMs, watch)
      else this.#giveUp()
    }
    this.#clock.after(graceMs, watch)
  }

  #giveUp(): void {
    this.#isOver = true
    for (const fail of Array.from(this.#underWay))
      fail(new NoAnswerError('the process is shutting down, and the store did not answer'))
  }
}
