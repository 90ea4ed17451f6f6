/** The blocks of one tenant, wherever they are, and what matchers find in them. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import { ReadBuffers, type BlockReader } from './block-reader.ts'
import { Selection, SelectionCache, type SelectionPart } from './selection-cache.ts'

/** Label sets that are shared among blocks; about 500 B each. */
const internedMax = 100_000

export class BlockSet {
  readonly readers = new Map<string, BlockReader>()
  /** Blocks that turned out to be damaged: reported, and not asked any more. */
  readonly quarantined = new Map<string, string>()
  readonly #log: Log
  readonly #clock: Clock
  readonly #selections = new SelectionCache()
  /** Memory for the chunks that queries read. */
  readonly buffers = new ReadBuffers()
  /** Grows when what a block shows has changed. */
  version = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Runs `work`; damage in the block quarantines it, and the rest is served. */
  async guarded<T>(reader: BlockReader, fallback: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      this.quarantined.set(reader.meta.ulid, messageOf(error))
      this.forgetSelections()
      this.#log.error('a block is damaged and is left out of queries', {
        block: reader.meta.ulid,
        error: messageOf(error),
      })
      return fallback
    }
  }

  /** Blocks that touch the time, oldest first: so a series' samples come out in order, and are not sorted again. */
  inTime(fromMs: number, throughMs: number): BlockReader[] {
    const found = [...this.readers.values()].filter(
      r => r.meta.minTime <= throughMs && r.meta.maxTime > fromMs && !this.quarantined.has(r.meta.ulid),
    )
    return found.sort((a, b) => a.meta.minTime - b.meta.minTime)
  }

  /** What the matchers find in these blocks. */
  async select(matchers: readonly Matcher[], blocks: readonly BlockReader[]): Promise<Selection> {
    const kept = this.#selections.find(matchers, blocks)
    if (kept !== undefined) return kept
    const found: Omit<SelectionPart, 'memberOf'>[] = []
    const { version } = this
    for (const reader of blocks) {
      const part = await this.guarded(reader, undefined, async () => ({
        reader,
        found: await reader.select(matchers, this.#intern),
        deleted: await reader.tombstones(),
      }))
      if (part !== undefined && part.found.count > 0) found.push(part)
      // Each block may hold many series: others get a turn in between.
      await this.#clock.yield()
    }
    const selection = new Selection(found)
    if (version === this.version) this.#selections.keep(matchers, blocks, selection)
    return selection
  }

  readonly #interned = new Map<string, Labels>()
  readonly #intern = (labels: Labels): Labels => {
    const known = this.#interned.get(labels.key)
    if (known !== undefined) return known
    if (this.#interned.size >= internedMax) this.#interned.clear()
    this.#interned.set(labels.key, labels)
    return labels
  }

  /** To be called when something was deleted from a block. */
  forgetSelections(): void {
    this.version++
    this.#selections.clear()
  }
}
