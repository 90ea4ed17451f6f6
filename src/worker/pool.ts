/**
 * Threads that do what may take long or much memory. A thread does several jobs at a time, by turns; one that uses too
 * much memory, or does not listen, is ended: the job whose fault it is fails, the others are done again elsewhere.
 */
import type { Clock, Timer } from '#core/clock.ts'
import { CanceledError, LimitError, TimeoutError, UnavailableError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { Link, type Calls, type Handlers, type Port } from './link.ts'

/** Why a thread ended: it used more memory than it may, or failed, or was told to. */
export interface ThreadEnd {
  reason: 'memory' | 'failure' | 'exit'
  message: string
}

/** A thread as the one who started it has it. */
export interface ThreadHandle {
  readonly port: Port
  /** Calls `listener` once, when the thread is gone. */
  onEnd(listener: (end: ThreadEnd) => void): void
  /** Ends it at once, whatever it does. */
  kill(): void
}

/** What the pool asks a thread, beside what the jobs ask. */
export type ThreadCalls = {
  /** Answered as soon as the thread looks at its messages. */
  ping: { ask: undefined; answer: undefined }
  /** The job is not wanted any more. */
  cancel: { ask: number; answer: undefined }
  /** Others need memory: the thread lets go of what nobody holds. */
  collect: { ask: undefined; answer: undefined }
}

/** What every thread says of itself, to its pool. */
export type ThreadReports = {
  /** Bytes that it holds, beside its program. */
  memoryHeld: { ask: number; answer: undefined }
  /** It has too little memory for what is under way: jobs, by number, of those that can be cancelled. */
  memoryShort: { ask: readonly number[]; answer: undefined }
}

/** What threads may ask, beside what they say of themselves. */
type OwnHandlers<In extends Calls> = { readonly [Name in Exclude<keyof In, keyof ThreadReports>]: Handlers<In>[Name] }

export interface PoolOptions<In extends ThreadReports> {
  clock: Clock
  log: Log
  /** Threads at a time; two more while threads don't listen. */
  threadsMax: number
  start: () => ThreadHandle
  handlers: OwnHandlers<In>
  /** Jobs of a thread at a time, but for those whose answers are being taken; others wait. Unless given, any number. */
  jobsPerThread?: number
  /** What one thread may use; for messages. */
  memoryBytesMax: number
  /** What a job that used too much memory fails with; unless given, LimitError (422). */
  memoryError?: () => Error
  /** Its jobs do not stop when they are told to: a thread that has too little memory is ended. */
  isUncancelable?: boolean
}

export interface JobOptions {
  signal?: AbortSignal | undefined
  /** The job is given up after so long: it has a limit of its own before that. */
  timeoutMs: number
  /** May it be done again, when its thread ended by another's fault? Always, unless given. */
  isRepeatable?: () => boolean
}

/** One of the times that a job is begun. */
export interface Attempt {
  /** The job was taken from the thread, or given up: what comes of this attempt does not count. */
  readonly isVoid: boolean
  /**
   * To be called when the work is done but for an answer that is made as its reader takes it: it keeps no other job
   * waiting then, and has no more limit of time.
   */
  answering(): void
}

/**
 * Work of a job on a thread; called again, with another number, where the job is done again. `id` names the job in
 * calls.
 */
export type JobWork<T, Out extends Calls, In extends Calls> = (
  link: Link<Out, In>,
  id: number,
  attempt: Attempt,
) => Promise<T>

/** So long a thread may be silent before it counts as stuck, or is ended for a job that was cancelled. */
const silenceMs = 1000
/** A thread without work ends after so long. */
const idleMs = 120_000
/** Threads beside those that don't listen. */
const spareThreads = 2
/** What holds less is not asked to collect its garbage. */
const collectedBytesMin = 16 * 1024 * 1024
/** A job is not done again when so many threads ended under it. */
const failuresMax = 2

const memoryEnd: ThreadEnd = { reason: 'memory', message: 'it used more memory than it may' }

interface Job<Out extends Calls, In extends Calls> {
  id: number
  work: JobWork<unknown, Out, In>
  isRepeatable: () => boolean
  /** How often it was begun, and how often its thread ended under it. */
  attempts: number
  failures: number
  /** Where it is, and since when; undefined while it waits. */
  thread: Thread<Out, In> | undefined
  sentMs: number
  /** Its answer is being taken. */
  isAnswering: boolean
  isSettled: boolean
  timer: Timer | undefined
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

class Thread<Out extends Calls, In extends Calls> {
  readonly handle: ThreadHandle
  readonly link: Link<Out, In>
  readonly jobs = new Set<Job<Out, In>>()
  /** It does one job and gets no other: the job may have been what ended another thread. */
  readonly isAlone: boolean
  isStuck = false
  /** When the ping that was not answered yet was sent. */
  pingedMs: number | undefined
  /** The job for whose sake it is being ended. */
  endedFor: Job<Out, In> | undefined
  idleTimer: Timer | undefined
  /** What it said last that it holds. */
  heldBytes = 0
  /** It is being ended for its memory. */
  isShort = false

  constructor(handle: ThreadHandle, isAlone: boolean, handlers: (thread: Thread<Out, In>) => Handlers<In>) {
    this.handle = handle
    this.isAlone = isAlone
    this.link = new Link(handle.port, handlers(this))
  }

  /** Jobs whose work is not done. */
  get working(): number {
    let count = 0
    for (const { isAnswering } of this.jobs) if (!isAnswering) count++
    return count
  }
}

export class Pool<Out extends ThreadCalls, In extends ThreadReports> {
  readonly #options: PoolOptions<In>
  readonly #threads = new Set<Thread<Out, In>>()
  readonly #running = new Map<number, Job<Out, In>>()
  /** Jobs that wait for room or for memory, in the order in which they came or were sent away. */
  readonly #waiting: Job<Out, In>[] = []
  #next = 1
  #isClosed = false
  #watch: Timer | undefined
  /** Jobs that came, that were done again, and that had to wait for memory. */
  jobs = 0
  repeated = 0
  parked = 0
  /** Threads that were ended for their memory or their silence. */
  endedForMemory = 0
  endedForSilence = 0

  constructor(options: PoolOptions<In>) {
    this.#options = options
  }

  /** Threads that there are now. */
  get threads(): number {
    return this.#threads.size
  }

  /** Bytes that its threads hold beside their program, as they said last. */
  get heldBytes(): number {
    let sum = 0
    for (const thread of this.#threads) sum += thread.heldBytes
    return sum
  }

  /** Others need memory: threads let go of what nobody holds, and say soon what is left. */
  collectGarbage(): void {
    for (const { link, heldBytes } of this.#threads)
      if (heldBytes >= collectedBytesMin) link.call('collect', undefined).catch(() => {})
  }

  /** Asks every thread that there is; those that are started later begin with what is true then. */
  tellAll(tell: (link: Link<Out, In>) => Promise<unknown>): void {
    for (const { link } of this.#threads) tell(link).catch(() => {})
  }

  /** It takes no jobs any more. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Jobs under way. */
  get running(): number {
    return this.#running.size
  }

  /**
   * Does a job on the thread that has the fewest. Rejects with what `work` rejects with; CanceledError when the signal
   * is aborted, TimeoutError, LimitError (422) when it used too much memory, UnavailableError when the thread failed.
   */
  run<T>(work: JobWork<T, Out, In>, options: JobOptions): Promise<T> {
    const { signal, timeoutMs, isRepeatable = () => true } = options
    if (this.#isClosed) return Promise.reject(new UnavailableError('the process stops', 5))
    if (signal?.aborted === true) return Promise.reject(new CanceledError('the request was canceled'))
    this.jobs++
    return new Promise<T>((resolve, reject) => {
      const job: Job<Out, In> = {
        id: this.#next++,
        work,
        isRepeatable,
        attempts: 0,
        failures: 0,
        thread: undefined,
        sentMs: 0,
        isAnswering: false,
        isSettled: false,
        timer: undefined,
        resolve: value => {
          // The work of this job resolves with a T.
          resolve(value as T)
        },
        reject,
      }
      this.#running.set(job.id, job)
      const onAbort = (): void => {
        // The gate of queries ends those whose time is over.
        const reason: unknown = signal?.reason
        this.#giveUp(job, reason instanceof TimeoutError ? reason : new CanceledError('the request was canceled'))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      job.timer = this.#options.clock.after(timeoutMs, () => {
        this.#giveUp(job, new TimeoutError(`the request took longer than ${Math.round(timeoutMs / 1000)} s`))
      })
      const finish = (): void => {
        job.timer?.cancel()
        signal?.removeEventListener('abort', onAbort)
      }
      const { resolve: resolved, reject: rejected } = job
      job.resolve = value => {
        finish()
        resolved(value)
      }
      job.reject = error => {
        finish()
        rejected(error)
      }
      this.#begin(job)
    })
  }

  /** Begins a job where there is room for it; else it waits until another one is done. */
  #begin(job: Job<Out, In>): void {
    const thread = this.#choose()
    if (thread.working >= (this.#options.jobsPerThread ?? Infinity)) this.#waiting.push(job)
    else this.#assign(job, thread)
  }

  /**
   * A thread uses too much memory for these jobs of it together. The one that came last waits until another one is
   * done; a job that is alone fails.
   */
  refuseMemory(oneOf: readonly number[]): void {
    const jobs = oneOf.flatMap(id => this.#running.get(id) ?? []).sort((a, b) => a.sentMs - b.sentMs || a.id - b.id)
    const last = jobs.findLast(job => job.isRepeatable())
    if (jobs.length > 1 && last !== undefined) this.#park(last)
    else if (jobs.length > 0) this.#giveUp(jobs[0]!, this.#memoryError())
  }

  #handlers(thread: Thread<Out, In>): Handlers<In> {
    const reports: Handlers<ThreadReports> = {
      memoryHeld: bytes => {
        thread.heldBytes = bytes
        return { answer: undefined }
      },
      memoryShort: jobs => {
        if (this.#options.isUncancelable !== true) this.refuseMemory(jobs)
        else if (thread.jobs.size > 0) {
          thread.isShort = true
          this.#kill(thread, undefined)
        }
        return { answer: undefined }
      },
    }
    // Together they are all that threads ask.
    return { ...this.#options.handlers, ...reports } as Handlers<In>
  }

  #park(job: Job<Out, In>): void {
    const { thread } = job
    if (thread === undefined) return
    thread.jobs.delete(job)
    thread.link.call('cancel', job.id).catch(() => {})
    job.thread = undefined
    // What it comes to on that thread is not looked at.
    job.attempts++
    this.parked++
    this.#waiting.push(job)
  }

  /** A job ended: one that waits is begun. */
  #startWaiting(): void {
    const job = this.#waiting.shift()
    if (job === undefined) return
    if (job.isSettled) this.#startWaiting()
    else this.#begin(job)
  }

  #memoryError(): Error {
    const { memoryError } = this.#options
    if (memoryError !== undefined) return memoryError()
    const mebibytes = Math.floor(this.#options.memoryBytesMax / 1048576)
    return new LimitError(
      `the query used more than ${mebibytes} MiB of memory; ask for less time, fewer series or larger steps, ` +
        'or raise memory_limit (workers may use about a quarter of it, and each 1 GiB at most)',
      422,
    )
  }

  #assign(job: Job<Out, In>, thread: Thread<Out, In>): void {
    thread.idleTimer?.cancel()
    job.thread = thread
    job.sentMs = this.#options.clock.monotonicMs()
    // What is under way of an earlier attempt, on that thread perhaps, has another number.
    if (job.attempts > 0) this.#renumber(job)
    const number = ++job.attempts
    thread.jobs.add(job)
    this.#armWatch()
    const attempt: Attempt = {
      get isVoid() {
        return job.isSettled || job.attempts !== number
      },
      answering: () => {
        if (attempt.isVoid) return
        job.isAnswering = true
        job.timer?.cancel()
        this.#startWaiting()
      },
    }
    const settle = (deliver: () => void): void => {
      if (!attempt.isVoid) this.#settle(job, deliver)
    }
    job.work(thread.link, job.id, attempt).then(
      value => {
        settle(() => {
          job.resolve(value)
        })
      },
      (error: unknown) => {
        settle(() => {
          job.reject(error)
        })
      },
    )
  }

  #renumber(job: Job<Out, In>): void {
    this.#running.delete(job.id)
    job.id = this.#next++
    this.#running.set(job.id, job)
  }

  #settle(job: Job<Out, In>, deliver: () => void): void {
    job.isSettled = true
    this.#running.delete(job.id)
    const { thread } = job
    if (thread !== undefined) {
      this.#leave(job, thread)
      if (!this.#isClosed) this.#startWaiting()
    }
    deliver()
  }

  #leave(job: Job<Out, In>, thread: Thread<Out, In>): void {
    thread.jobs.delete(job)
    if (thread.jobs.size > 0 || !this.#threads.has(thread)) return
    if (thread.isAlone) this.#kill(thread, undefined)
    else
      thread.idleTimer = this.#options.clock.after(idleMs, () => {
        if (thread.jobs.size === 0) this.#kill(thread, undefined)
      })
  }

  /** The thread with the fewest jobs; a new one where all have some and there may be more. */
  #choose(): Thread<Out, In> {
    let best: Thread<Out, In> | undefined
    let usable = 0
    let all = 0
    for (const thread of this.#threads) {
      if (thread.isAlone || thread.endedFor !== undefined) continue
      all++
      if (thread.isStuck) continue
      usable++
      if (best === undefined || thread.jobs.size < best.jobs.size) best = thread
    }
    const { threadsMax } = this.#options
    const mayStart = usable < threadsMax && all < threadsMax + spareThreads
    if (best !== undefined && (best.jobs.size === 0 || !mayStart)) return best
    if (mayStart) return this.#start(false)
    // All are stuck: one of them is ended before long.
    return [...this.#threads].sort((a, b) => a.jobs.size - b.jobs.size)[0] ?? this.#start(false)
  }

  #start(isAlone: boolean): Thread<Out, In> {
    const handle = this.#options.start()
    const thread = new Thread<Out, In>(handle, isAlone, one => this.#handlers(one))
    this.#threads.add(thread)
    handle.onEnd(end => {
      this.#ended(thread, end)
    })
    return thread
  }

  /** The job fails with `error` at once. A thread that does not take note of it is ended. */
  #giveUp(job: Job<Out, In>, error: Error): void {
    if (job.isSettled) return
    const { thread } = job
    this.#settle(job, () => {
      job.reject(error)
    })
    if (thread === undefined || !this.#threads.has(thread)) return
    const timer = this.#options.clock.after(silenceMs, () => {
      if (!this.#threads.has(thread)) return
      this.#options.log.warn('a worker did not stop when it was told to, and is replaced', { error: error.message })
      this.endedForSilence++
      this.#kill(thread, job)
    })
    const stop = (): void => {
      timer.cancel()
    }
    thread.link.call('cancel', job.id).then(stop, stop)
  }

  #kill(thread: Thread<Out, In>, culprit: Job<Out, In> | undefined): void {
    thread.endedFor = culprit
    thread.handle.kill()
  }

  #ended(thread: Thread<Out, In>, cause: ThreadEnd): void {
    if (!this.#threads.delete(thread)) return
    const end = thread.isShort ? memoryEnd : cause
    thread.idleTimer?.cancel()
    const jobs = [...thread.jobs]
    thread.jobs.clear()
    if (end.reason === 'memory') this.endedForMemory++
    if (end.reason !== 'exit') this.#options.log.warn('a worker ended and is replaced', { error: end.message })
    for (const job of jobs) this.#goOn(job, thread, end, jobs.length === 1)
    thread.link.close(new UnavailableError(`the worker ended: ${end.message}`, 1))
  }

  /** What becomes of a job whose thread is gone: where others were there too, nobody knows whose fault it was. */
  #goOn(job: Job<Out, In>, thread: Thread<Out, In>, end: ThreadEnd, wasOnly: boolean): void {
    job.thread = undefined
    const isInnocent = end.reason === 'exit' || thread.endedFor !== undefined
    const mayRepeat = ++job.failures <= failuresMax && job.isRepeatable() && !this.#isClosed
    if (mayRepeat && (isInnocent || !wasOnly)) {
      this.repeated++
      this.#assign(job, isInnocent ? this.#choose() : this.#start(true))
      return
    }
    const error =
      end.reason === 'memory' && wasOnly
        ? this.#memoryError()
        : new UnavailableError(`the worker ended before the request: ${end.message}`, 1)
    this.#settle(job, () => {
      job.reject(error)
    })
  }

  // --- Threads that do not listen ---

  #armWatch(): void {
    this.#watch ??= this.#options.clock.after(silenceMs, () => {
      this.#watch = undefined
      this.#look()
    })
  }

  /** A thread that did not answer its last ping is stuck: what it did not begin goes elsewhere. */
  #look(): void {
    let someWork = false
    for (const thread of Array.from(this.#threads)) {
      if (thread.jobs.size === 0) continue
      someWork = true
      if (thread.pingedMs !== undefined) this.#markStuck(thread, thread.pingedMs)
      else this.#ping(thread)
    }
    if (someWork) this.#armWatch()
  }

  #ping(thread: Thread<Out, In>): void {
    thread.pingedMs = this.#options.clock.monotonicMs()
    const heard = (): void => {
      thread.pingedMs = undefined
      thread.isStuck = false
    }
    thread.link.call('ping', undefined).then(heard, heard)
  }

  #markStuck(thread: Thread<Out, In>, pingedMs: number): void {
    thread.isStuck = true
    for (const job of Array.from(thread.jobs)) {
      if (job.sentMs < pingedMs || !job.isRepeatable()) continue
      thread.jobs.delete(job)
      thread.link.call('cancel', job.id).catch(() => {})
      this.repeated++
      this.#assign(job, this.#choose())
    }
  }

  /** Ends all threads; jobs under way fail with UnavailableError. */
  close(): void {
    this.#isClosed = true
    this.#watch?.cancel()
    for (const job of Array.from(this.#running.values()))
      this.#settle(job, () => {
        job.reject(new UnavailableError('the process stops', 5))
      })
    for (const thread of Array.from(this.#threads)) {
      thread.idleTimer?.cancel()
      this.#kill(thread, undefined)
    }
  }
}
