/** Time and timers, handed in from the composition root. Nothing else may read the time (tools/tidy.ts checks it). */

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch, whole. */
  nowMs(): number
  /** Never goes back; milliseconds with a fraction, from an arbitrary origin. */
  monotonicMs(): number
  /** Calls `run` once after `delayMs`. Does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer
  /** Lets pending I/O and timers run, then continues. */
  yield(): Promise<void>
  /** A clock that is advanced by hand stands still until the hold is cancelled. Undefined: time goes by itself. */
  hold?(): Timer
}

/** Waits for work that takes real time: I/O, a round; a clock that is advanced by hand stands still meanwhile. */
export async function outside<T>(clock: Pick<Clock, 'hold'>, work: Promise<T>): Promise<T> {
  const held = clock.hold?.()
  try {
    return await work
  } finally {
    held?.cancel()
  }
}

/**
 * Turns of the event loop, one for each who waits: between two of them pending I/O and timers run, however many pieces
 * of work there are.
 */
class Turns {
  readonly #waiting: (() => void)[] = []
  #isArmed = false

  next(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      this.#arm()
    })
  }

  #arm(): void {
    if (this.#isArmed) return
    this.#isArmed = true
    setImmediate(() => {
      this.#isArmed = false
      this.#waiting.shift()?.()
      if (this.#waiting.length > 0) this.#arm()
    })
  }
}

const turns = new Turns()

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const handle = setTimeout(run, delayMs)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  yield: () => turns.next(),
}

/** Timers do not keep the process alive: a command that waits does, until this is cancelled. */
export function holdProcess(): Timer {
  const handle = setInterval(() => undefined, 1 << 30)
  return { cancel: () => clearInterval(handle) }
}

/** Resolves after `delayMs`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise(resolve => {
    clock.after(delayMs, resolve)
  })
}

/**
 * Runs `work` again and again, `intervalMs` after the last run ended, until stopped. `stop` waits for a run under
 * way.
 */
export class Repeater {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #work: () => Promise<void>
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #stopped = false

  constructor(clock: Clock, intervalMs: number, work: () => Promise<void>) {
    this.#clock = clock
    this.#intervalMs = intervalMs
    this.#work = work
    this.#arm()
  }

  #arm(): void {
    if (this.#stopped) return
    this.#timer = this.#clock.after(this.#intervalMs, () => {
      this.#running = outside(this.#clock, this.#work()).finally(() => {
        this.#running = undefined
        this.#arm()
      })
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#running
  }
}
