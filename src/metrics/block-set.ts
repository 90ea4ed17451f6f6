/** The blocks of one tenant, wherever they are, and what matchers find in them. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError, PlanStaleError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { isDamage, type Omissions } from '#core/omissions.ts'
import { Pace } from '#core/pace.ts'
import { workAhead } from '#core/parallel.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import { DamageList } from '#store/damage.ts'
import type { BlockBuilding } from './block-building.ts'
import { externalLabels, type BlockMeta } from './block-meta.ts'
import { ReadBuffers, type BlockReader, type BlockSelection, type LoadedChunks } from './block-reader.ts'
import { Selection, SelectionCache, type SelectionPart } from './selection-cache.ts'

/** Blocks that are asked together. */
const blocksAhead = { atOnce: 8, weightMax: Infinity, weightOf: (): number => 1 }

/** Between the blocks of one source there may be so much time without samples. */
const coverGapMs = 3_600_000

/** Label sets that are shared among blocks, and what each takes. */
const internedMax = 100_000
const internedBytes = 500

/** Whose blocks these are, and how the list of them is brought up to date. */
export interface BlockOrigin {
  readonly tenant: string
  /** `id`: the block that could not be found. */
  refresh(id: string): Promise<void>
  /** A block turned out to be damaged: local copies of it are worth nothing. */
  damaged(id: string, reason: string, isWhole: boolean): Promise<void>
}

const nowhere: BlockOrigin = { tenant: '', refresh: () => Promise.resolve(), damaged: () => Promise.resolve() }

export class BlockSet {
  readonly readers = new Map<string, BlockReader>()
  /** Blocks of Thanos without samples of their own: answers say where nothing else has their time. */
  readonly downsampled = new Map<string, BlockMeta>()
  /** Blocks that turned out to be damaged: those that are so as a whole are not asked any more. */
  readonly quarantined: DamageList
  #origin = nowhere
  readonly #clock: Clock
  readonly #selections = new SelectionCache()
  /** Memory for the chunks that queries read. */
  readonly buffers = new ReadBuffers()
  /** Grows when what a block shows has changed. */
  version = 0

  constructor(log: Log, clock: Clock) {
    this.quarantined = new DamageList(log, 'metrics')
    this.#clock = clock
  }

  /** For long work of one query. */
  pace(): Pace {
    return new Pace(this.#clock)
  }

  comesFrom(origin: BlockOrigin): void {
    this.#origin = origin
  }

  /**
   * Runs `work`; a block that is damaged is left out, and the rest is served. Throws PlanStaleError when the block was
   * replaced meanwhile.
   */
  async guarded<T>(reader: BlockReader, omissions: Omissions, fallback: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!isDamage(error)) throw error
      await this.#failWhenReplaced(reader, error)
      this.leaveOut(reader, error, true, omissions)
      return fallback
    }
  }

  /** The chunks of these series; those that are damaged cost the samples that their series have in this block. */
  load(
    reader: BlockReader,
    found: BlockSelection,
    members: readonly number[],
    time: { fromMs: number; throughMs: number },
    omissions: Omissions,
  ): Promise<LoadedChunks | undefined> {
    return this.guarded(reader, omissions, undefined, async () => {
      const broken: Error[] = []
      const loaded = await reader.chunks(found, members, time.fromMs, time.throughMs, this.buffers, error => {
        broken.push(error)
      })
      for (const error of broken) {
        await this.#failWhenReplaced(reader, error)
        this.leaveOut(reader, error, false, omissions)
      }
      return loaded
    })
  }

  /**
   * Reads all of a block and notes whether it is damaged as a whole or in part; undefined when it is not. Throws
   * PlanStaleError when it was replaced.
   */
  async findDamage(reader: BlockReader, building: BlockBuilding): Promise<Error | undefined> {
    for (;;) {
      const { meta, directory } = reader
      const problem = await building.verify(this.#origin.tenant, { meta, directory })
      if (problem === undefined) return undefined
      const { isWhole, isMissing, reason } = problem
      // A block that moved meanwhile is read again where it is now.
      if (isMissing && reader.directory !== directory) continue
      const error = isMissing ? new NotFoundError(reason) : new CorruptDataError(reason)
      await this.#failWhenReplaced(reader, error)
      this.leaveOut(reader, error, isWhole)
      return error
    }
  }

  /** Notes that a block, or a part of it, can't be read. */
  leaveOut(reader: BlockReader, error: Error, isWhole: boolean, omissions?: Omissions): void {
    const { ulid: id } = reader.meta
    const reason = messageOf(error)
    this.quarantined.add({ tenant: this.#origin.tenant, id, reason, isWhole })
    omissions?.add(id, reason)
    this.#origin.damaged(id, reason, isWhole).catch(() => {})
    if (isWhole) this.forgetSelections()
  }

  /** Adds the blocks that are left out of every answer to what this one, of the time, lacks. */
  addLeftOut(fromMs: number, throughMs: number, omissions: Omissions): void {
    for (const { id, reason, isWhole } of this.quarantined.all()) {
      const meta = this.readers.get(id)?.meta
      // Of a block without a usable meta.json nobody knows its time.
      const touches = meta === undefined || (meta.minTime <= throughMs && meta.maxTime > fromMs)
      if (isWhole && touches) omissions.add(id, reason)
    }
    for (const meta of this.downsampled.values()) {
      if (meta.minTime > throughMs || meta.maxTime <= fromMs || this.#isCovered(meta)) continue
      omissions.add(meta.ulid, 'the block is downsampled, which is not read, and samples as they came are gone')
    }
  }

  /** Is it known what the block is? */
  has(id: string): boolean {
    return this.readers.has(id) || this.downsampled.has(id)
  }

  /** Have blocks with samples of the same source the time of a downsampled one? */
  #isCovered(downsampled: BlockMeta): boolean {
    const source = externalLabels(downsampled).join('\0')
    let throughMs = downsampled.minTime
    for (const { meta } of this.inTime(downsampled.minTime, downsampled.maxTime))
      if (meta.minTime <= throughMs + coverGapMs && externalLabels(meta).join('\0') === source)
        throughMs = Math.max(throughMs, meta.maxTime)
    return throughMs + coverGapMs >= downsampled.maxTime
  }

  /** Another program is about to delete the block. */
  drop(id: string): void {
    this.readers.delete(id)
    this.downsampled.delete(id)
    this.quarantined.delete(this.#origin.tenant, id)
  }

  isLeftOut(id: string): boolean {
    return this.quarantined.size > 0 && this.quarantined.isWhole(this.#origin.tenant, id)
  }

  /** A file that is missing is damage, unless another compactor took the block away. */
  async #failWhenReplaced(reader: BlockReader, error: Error): Promise<void> {
    if (!(error instanceof NotFoundError)) return
    const { ulid } = reader.meta
    if (this.readers.get(ulid) === reader) {
      await this.#origin.refresh(ulid)
      if (this.readers.get(ulid) === reader) {
        if (await reader.hasMeta()) return
        // A deletion begins with meta.json.
        this.readers.delete(ulid)
      }
    }
    this.forgetSelections()
    throw new PlanStaleError(ulid)
  }

  /** Blocks that touch the time, oldest first: so a series' samples come out in order, and are not sorted again. */
  inTime(fromMs: number, throughMs: number): BlockReader[] {
    const found = [...this.readers.values()].filter(
      r => r.meta.minTime <= throughMs && r.meta.maxTime > fromMs && !this.isLeftOut(r.meta.ulid),
    )
    return found.sort((a, b) => a.meta.minTime - b.meta.minTime)
  }

  /** What the matchers find in these blocks. */
  async select(matchers: readonly Matcher[], blocks: readonly BlockReader[], omissions: Omissions): Promise<Selection> {
    const kept = this.#selections.find(matchers, blocks)
    if (kept !== undefined) return kept
    const found: Omit<SelectionPart, 'memberOf'>[] = []
    const { version } = this
    const pace = this.pace()
    const select = (reader: BlockReader): Promise<Omit<SelectionPart, 'memberOf'> | undefined> =>
      this.guarded(reader, omissions, undefined, async () => {
        const [selection, deleted] = await Promise.all([
          reader.select(matchers, this.#intern, pace),
          reader.tombstones(),
        ])
        return { reader, found: selection, deleted }
      })
    for await (const part of workAhead(blocks, blocksAhead, select)) {
      if (part !== undefined && part.found.count > 0) found.push(part)
      // Each block may hold many series: others get a turn in between.
      await this.#clock.yield()
    }
    const selection = await Selection.of(found, pace)
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

  /** Roughly what is kept of blocks for queries, in bytes. */
  get cacheBytes(): number {
    let bytes = this.#selections.bytes + this.buffers.bytes + this.#interned.size * internedBytes
    for (const reader of this.readers.values()) bytes += reader.indexBytes
    return bytes
  }

  /** Lets go of so many bytes of that, or all; returns how many became free. Running queries keep what they have. */
  releaseCaches(bytes: number): number {
    const before = this.cacheBytes
    this.buffers.clear()
    if (before - this.cacheBytes < bytes) this.#interned.clear()
    if (before - this.cacheBytes < bytes) this.#selections.release(bytes - (before - this.cacheBytes))
    for (const reader of this.readers.values()) {
      if (before - this.cacheBytes >= bytes) break
      reader.forget()
    }
    return before - this.cacheBytes
  }

  /** What was deleted is read again. */
  forgetTombstones(): void {
    for (const reader of this.readers.values()) reader.forgetTombstones()
    this.forgetSelections()
  }

  forgetSelections(): void {
    this.version++
    this.#selections.clear()
  }
}
