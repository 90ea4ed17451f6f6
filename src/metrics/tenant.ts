/** What the signal holds of one tenant. */
import type { HashSeed } from '#codec/series-key.ts'
import type { Clock } from '#core/clock.ts'
import { grown } from '#core/grown.ts'
import type { Limits } from '#core/limits.ts'
import type { Log } from '#core/log.ts'
import type { Metadata } from '#model/write-batch.ts'
import type { LastDefinitions } from '#store/record-definitions.ts'
import { BlockSet } from './block-set.ts'
import { ChangeLog, type Changes } from './change-log.ts'
import { ExemplarStore } from './exemplars.ts'
import { Head } from './head.ts'
import { RecordShower } from './shower.ts'

/** No generation of the log has this number. */
const never = 0xffffffff

export interface TenantOptions {
  seed: HashSeed
  limits: Limits
  /** Series at a time, as it is now. Default: as `limits` have it. */
  seriesMax?: () => number
  clock: Clock
  log: Log
  blockMs: number
  outOfOrderMs: number
}

export class Tenant {
  readonly name: string
  readonly #changes: ChangeLog
  head: Head
  readonly blocks: BlockSet
  readonly exemplars: ExemplarStore
  readonly shower: RecordShower
  readonly metadata = new Map<string, Metadata>()
  /** By metric: the generation of the log that holds its metadata. */
  readonly metadataIn = new Map<string, number>()
  /** Series that the tenant's last record of a generation was the first to define: the next record repeats them. */
  lastDefinitions: LastDefinitions | undefined
  /** By series: the generation of the log in which it was last defined. */
  #definedIn = new Uint32Array(0)
  readonly #options: TenantOptions
  /** Something came in since its head was made: it counts against the limit of tenants. */
  isInUse = false
  /** When something came in last, by the monotonic clock. */
  usedMs = 0
  /** Records that wait for the log. */
  inLine = 0

  constructor(name: string, options: TenantOptions) {
    this.name = name
    this.#options = options
    // Versions of an earlier tenant of the name are lower: none is given out more often than once a microsecond.
    this.#changes = new ChangeLog(options.clock.monotonicMs() * 1000)
    this.head = this.#makeHead()
    this.blocks = new BlockSet(options.log, options.clock)
    this.exemplars = new ExemplarStore(options.limits.exemplarsMax)
    this.shower = new RecordShower(this)
  }

  #makeHead(): Head {
    const { seed, limits, blockMs, outOfOrderMs, seriesMax } = this.#options
    return new Head(seed, limits, blockMs, outOfOrderMs, this.#changes, seriesMax)
  }

  use(): void {
    this.isInUse = true
    this.usedMs = this.#options.clock.monotonicMs()
  }

  /** What answers about the tenant have changed since the version. */
  changesSince(version: number | undefined): Changes {
    this.#changes.look(this.blocks)
    return this.#changes.since(version)
  }

  /** Has the head no samples, and is none on its way there? */
  get isEmpty(): boolean {
    return this.inLine === 0 && this.head.ranges().every(range => range.maxMs < range.minMs) && !this.head.hasOpen
  }

  /** Begins again with a new head, without the series of the empty one. */
  dropHead(): void {
    this.isInUse = false
    this.head = this.#makeHead()
    this.#definedIn = new Uint32Array(0)
    this.lastDefinitions = undefined
    this.exemplars.forgetSeries()
  }

  /** Must be called after series were made and before anything is appended to them. */
  reserve(): void {
    this.head.reserve()
    const { count } = this.head.table
    if (count <= this.#definedIn.length) return
    const size = Math.max(count, Math.ceil(this.#definedIn.length * 1.5), 32)
    this.#definedIn = grown(this.#definedIn, new Uint32Array(size).fill(never, this.#definedIn.length))
  }

  /** True the first time that it is asked for a series in a generation. */
  isNewIn(generation: number, series: number): boolean {
    if (this.#definedIn[series] === generation) return false
    this.#definedIn[series] = generation
    return true
  }

  /**
   * Series without samples in memory leave it; numbers of series that left long ago become free. Only records of
   * `generation` wait for the log: the series that they use stay.
   */
  retireIdle(nowMs: number, generation: number): void {
    const isAwaited = (series: number): boolean => this.#definedIn[series] === generation
    for (const series of this.head.retireIdle(nowMs, isAwaited)) {
      this.#definedIn[series] = never
      this.exemplars.forget(series)
    }
  }

  /** The log lost what waited for it. */
  takeBack(): void {
    this.head.takeBack()
    this.inLine = 0
    this.lastDefinitions = undefined
  }
}
