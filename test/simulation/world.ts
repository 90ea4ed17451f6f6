/**
 * The world of a simulated run: true time, machines with disks and wall clocks, one bucket, and processes that die.
 * Everything random comes from the run's seed, and nothing takes real time.
 */
import type { Clock, Timer } from '#core/clock.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { BucketStore } from './faulty-bucket.ts'
import { Disk } from './faulty-disk.ts'
import { forever, type Life, type Surroundings } from './life.ts'

export const worldStartMs = 1_700_006_400_000
interface Entry {
  atMs: number
  sequence: number
  run: () => void
  isCancelled: boolean
}

/** A computer with a disk and a wall clock. */
export class Machine {
  readonly name: string
  readonly disk: Disk
  wallOffsetMs = 0

  constructor(name: string, world: World) {
    this.name = name
    this.disk = new Disk(world)
  }
}

/** Time as a process sees it. Its timers die with it. */
class ProcessClock implements Clock {
  readonly #world: World
  readonly #machine: Machine
  readonly #life: Life

  constructor(world: World, machine: Machine, life: Life) {
    this.#world = world
    this.#machine = machine
    this.#life = life
  }

  nowMs(): number {
    return Math.floor(this.#world.nowMs + this.#machine.wallOffsetMs)
  }
  monotonicMs(): number {
    return this.#world.nowMs
  }
  after(delayMs: number, run: () => void): Timer {
    return this.#world.after(delayMs, () => {
      if (!this.#life.isDead) run()
    })
  }
  yield(): Promise<void> {
    return this.#life.isDead ? forever() : this.#world.yield()
  }
}

export class World implements Surroundings {
  nowMs = worldStartMs
  readonly random: Random
  readonly bucket: BucketStore
  readonly machines = new Map<string, Machine>()
  /** What happened, as a number: two runs of one script have the same. */
  digest = 0
  onEvent: ((text: string) => void) | undefined
  #entries: Entry[] = []
  #sequence = 0
  #yielded: (() => void)[] = []

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.bucket = new BucketStore(this)
  }

  machine(name: string): Machine {
    let machine = this.machines.get(name)
    if (machine === undefined) this.machines.set(name, (machine = new Machine(name, this)))
    return machine
  }

  clockOf(machine: Machine, life: Life): Clock {
    return new ProcessClock(this, machine, life)
  }

  below(limit: number): number {
    return below(this.random, limit)
  }
  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  note(text: string): void {
    let { digest } = this
    for (let i = 0; i < text.length; i++) digest = (Math.imul(digest, 31) + text.charCodeAt(i)) | 0
    this.digest = (Math.imul(digest, 31) + (this.nowMs % 2 ** 31)) | 0
    this.onEvent?.(text)
  }

  // --- Time ---

  after(delayMs: number, run: () => void): Timer {
    const entry = {
      atMs: this.nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      run,
      isCancelled: false,
    }
    this.#entries.push(entry)
    return {
      cancel: () => {
        entry.isCancelled = true
      },
    }
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      this.after(delayMs, resolve)
    })
  }

  yield(): Promise<void> {
    return new Promise(resolve => {
      this.#yielded.push(resolve)
    })
  }

  /** Lets every promise settle that needs no time. */
  async #settle(): Promise<void> {
    for (;;) {
      await new Promise(resolve => {
        setImmediate(resolve)
      })
      const yielded = this.#yielded
      if (yielded.length === 0) return
      this.#yielded = []
      for (const resolve of yielded) resolve()
    }
  }

  /** Lets `byMs` pass, or less when `isDone` says so. */
  async advance(byMs: number, isDone: () => boolean = () => false): Promise<void> {
    const untilMs = this.nowMs + byMs
    await this.#settle()
    while (!isDone()) {
      const next = this.#takeDue(untilMs)
      if (next === undefined) {
        this.nowMs = untilMs
        return
      }
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.run()
      await this.#settle()
    }
  }

  #takeDue(untilMs: number): Entry | undefined {
    let best = -1
    const entries = this.#entries
    let kept = 0
    for (const entry of entries) {
      if (entry.isCancelled) continue
      entries[kept] = entry
      const first = best < 0 ? undefined : entries[best]!
      if (
        first === undefined ||
        entry.atMs < first.atMs ||
        (entry.atMs === first.atMs && entry.sequence < first.sequence)
      )
        best = kept
      kept++
    }
    entries.length = kept
    if (best < 0 || entries[best]!.atMs > untilMs) return undefined
    const [taken] = entries.splice(best, 1)
    return taken
  }

  /** Moves time until the work has ended, the life has ended, or `mostMs` have passed. */
  async drive<T>(work: Promise<T>, life: Life | undefined, mostMs: number): Promise<Outcome<T>> {
    let outcome: Outcome<T> | undefined
    work.then(
      value => {
        outcome = { kind: 'ok', value }
      },
      (error: unknown) => {
        outcome = { kind: 'failed', error }
      },
    )
    await this.advance(mostMs, () => outcome !== undefined || life?.isDead === true)
    return outcome ?? { kind: life?.isDead === true ? 'dead' : 'late' }
  }
}

export type Outcome<T> =
  | { kind: 'ok'; value: T }
  | { kind: 'failed'; error: unknown }
  /** The process died. */
  | { kind: 'dead' }
  /** It did not end in the time that it had. */
  | { kind: 'late' }
