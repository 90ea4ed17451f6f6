/** What a query sees of a tenant: the head and the blocks, as one set of series. */
import { FirstTexts } from '#core/lists.ts'
import { isDamage, Omissions, planningAgain } from '#core/omissions.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockReader, LoadedChunks } from './block-reader.ts'
import type { BlockSet } from './block-set.ts'
import type { Changes } from './change-log.ts'
import type { TimeRange } from './head.ts'
import type { MetricsReader, ReadChanges, SeriesSet } from './select.ts'
import type { Selection, SelectionPart } from './selection-cache.ts'
import { removeDeleted } from './tombstones.ts'

/** Blocks of which chunks are fetched together. */
const partsAtOnce = 8

/** Series as one query sees them, in the order of their labels. */
interface Merged {
  labels: Labels[]
  selection: Selection
  head: HeadSelection
  /** By series: its number in the selection of blocks and in that of the head, -1 where it is in none. */
  inBlocks: Int32Array
  inHead: Int32Array
}

/** What was fetched from one block for series from `base` on: where each is among the chunks, -1 where it is not. */
interface Loaded {
  chunks: LoadedChunks
  placeOf: Int32Array
  part: SelectionPart
}

/** Series of memory that a selection found. */
export interface HeadSelection {
  readonly labels: readonly Labels[]
  /** Adds the samples of its i-th series; the caller sorts. */
  read(i: number, into: SampleColumns): void
}

/** What a selection reads: memory and the list of blocks are of one instant. */
export interface QueryPlan {
  head: HeadSelection
  /** Oldest first. */
  blocks: readonly BlockReader[]
}

/** Texts of labels that memory has, and the blocks that may have more. */
export interface TextsPlan {
  texts: Iterable<string>
  blocks: readonly BlockReader[]
}

/** Where a reader gets what it merges: from memory of this thread (head-source.ts), or of another one (view.ts). */
export interface MetricsSource {
  readonly tenant: string
  readonly blocks: BlockSet
  changes(since: number | undefined): Promise<Changes>
  plan(matchers: readonly Matcher[], time: TimeRange, isForLabels: boolean, omissions: Omissions): Promise<QueryPlan>
  /** Names, or the values of `name`. */
  texts(name: string | undefined, time: TimeRange, omissions: Omissions): Promise<TextsPlan>
}

export class Reader implements MetricsReader {
  readonly #source: MetricsSource
  readonly #retainedFrom: (fromMs: number) => number
  readonly omissions = new Omissions()

  /** `retainedFrom` moves the start of a query's time to the retention. */
  constructor(source: MetricsSource, retainedFrom: (fromMs: number) => number = fromMs => fromMs) {
    this.#source = source
    this.#retainedFrom = retainedFrom
  }

  get subject(): string {
    return this.#source.tenant
  }

  async changes(since: number | undefined): Promise<ReadChanges> {
    return { ...(await this.#source.changes(since)), retainedMs: this.#retainedFrom(-Infinity) }
  }

  damaged(): readonly DamagedBlock[] {
    return this.#source.blocks.quarantined.all()
  }

  async select(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<SeriesSet> {
    const time = { fromMs: this.#retainedFrom(fromMs), throughMs }
    const merged = await this.#merge(matchers, time, false)
    return new MergedSeries(merged, this.#source.blocks, time, this.omissions)
  }

  async series(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly Labels[]> {
    const time = { fromMs: this.#retainedFrom(fromMs), throughMs }
    return (await planningAgain(() => this.#merge(matchers, time, true))).labels
  }

  async labelNames(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    limit = Infinity,
  ): Promise<string[]> {
    const names = new FirstTexts(limit)
    if (matchers.length > 0) {
      for (const { pairs } of await this.series(matchers, fromMs, throughMs))
        for (let i = 0; i < pairs.length; i += 2) names.add(pairs[i]!)
    } else await this.#addTexts(names, undefined, fromMs, throughMs)
    return names.sorted()
  }

  async labelValues(
    name: string,
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    limit = Infinity,
  ): Promise<string[]> {
    // One more, for the empty value, which is none.
    const values = new FirstTexts(limit + 1)
    if (matchers.length > 0) {
      for (const labels of await this.series(matchers, fromMs, throughMs)) values.add(labels.get(name))
    } else await this.#addTexts(values, name, fromMs, throughMs)
    values.delete('')
    return values.sorted().slice(0, limit)
  }

  /** Adds what memory and each block of the time have. */
  #addTexts(into: FirstTexts, name: string | undefined, fromMs: number, throughMs: number): Promise<void> {
    const time = { fromMs: this.#retainedFrom(fromMs), throughMs }
    const { blocks: set } = this.#source
    return planningAgain(async () => {
      const { texts, blocks } = await this.#source.texts(name, time, this.omissions)
      for (const text of texts) into.add(text)
      await forEachParallel(blocks, partsAtOnce, async reader => {
        const read = (): Promise<string[]> => (name === undefined ? reader.labelNames() : reader.labelValues(name))
        for (const text of await set.guarded(reader, this.omissions, [], read)) into.add(text)
      })
    })
  }

  async #merge(matchers: readonly Matcher[], time: TimeRange, isForLabels: boolean): Promise<Merged> {
    const { head, blocks } = await this.#source.plan(matchers, time, isForLabels, this.omissions)
    const selection = await this.#source.blocks.select(matchers, blocks, this.omissions)
    const pace = this.#source.blocks.pace()
    const headOf = new Int32Array(selection.labels.length).fill(-1)
    const labels: Labels[] = []
    const inBlocks: number[] = []
    const inHead: number[] = []
    for (let i = 0; i < head.labels.length; i++) {
      if (pace.worked(2)) await pace.pause()
      const known = selection.labels.length === 0 ? -1 : selection.numberOf(head.labels[i]!)
      if (known >= 0) {
        headOf[known] = i
        continue
      }
      labels.push(head.labels[i]!)
      inBlocks.push(-1)
      inHead.push(i)
    }
    const headOnly = labels.length
    for (let i = 0; i < headOf.length; i++) {
      if (pace.worked(2)) await pace.pause()
      if (headOf[i]! < 0 && !selection.isVisible(i, time.fromMs, time.throughMs)) continue
      labels.push(selection.labels[i]!)
      inBlocks.push(i)
      inHead.push(headOf[i]!)
    }
    if (headOnly === 0)
      return { labels, selection, head, inBlocks: Int32Array.from(inBlocks), inHead: Int32Array.from(inHead) }
    const order = labels.map((_, i) => i)
    await pacedSort(order, (a, b) => compareLabels(labels[a]!, labels[b]!), pace)
    return {
      labels: order.map(i => labels[i]!),
      selection,
      head,
      inBlocks: Int32Array.from(order, i => inBlocks[i]!),
      inHead: Int32Array.from(order, i => inHead[i]!),
    }
  }
}

/** The samples of what was merged: chunks are fetched for a stretch of series at a time. */
class MergedSeries implements SeriesSet {
  readonly labels: readonly Labels[]
  readonly #merged: Merged
  readonly #blocks: BlockSet
  readonly #fromMs: number
  readonly #throughMs: number
  readonly #omissions: Omissions
  /** The first series that is loaded. */
  #base = 0
  #loaded: Loaded[] = []

  constructor(merged: Merged, blocks: BlockSet, { fromMs, throughMs }: TimeRange, omissions: Omissions) {
    this.#omissions = omissions
    this.labels = merged.labels
    this.#merged = merged
    this.#blocks = blocks
    this.#fromMs = fromMs
    this.#throughMs = throughMs
  }

  async load(from: number, to: number): Promise<void> {
    this.release()
    this.#base = from
    const time = { fromMs: this.#fromMs, throughMs: this.#throughMs }
    // In their order whatever comes first: so the samples come out in the order of time.
    const loaded: (Loaded | undefined)[] = []
    const wanted = this.#merged.selection.parts.flatMap((part, at) => {
      const { members, placeOf } = this.#membersOf(part, from, to)
      return members.length === 0 ? [] : [{ part, members, placeOf, at }]
    })
    try {
      await forEachParallel(wanted, partsAtOnce, async ({ part, members, placeOf, at }) => {
        const chunks = await this.#blocks.load(part.reader, part.found, members, time, this.#omissions)
        if (chunks !== undefined) loaded[at] = { chunks, placeOf, part }
      })
    } finally {
      this.#loaded = loaded.filter(one => one !== undefined)
    }
  }

  /**
   * Which series of a block's selection have chunks of the time, and at which place among them each of [from, to) is.
   */
  #membersOf(part: SelectionPart, from: number, to: number): { members: number[]; placeOf: Int32Array } {
    const { inBlocks } = this.#merged
    const placeOf = new Int32Array(to - from).fill(-1)
    const members: number[] = []
    for (let i = from; i < to; i++) {
      const member = inBlocks[i]! < 0 ? -1 : part.memberOf[inBlocks[i]!]!
      if (member < 0 || !part.found.touches(member, this.#fromMs, this.#throughMs)) continue
      placeOf[i - from] = members.length
      members.push(member)
    }
    return { members, placeOf }
  }

  read(i: number, into: SampleColumns): void {
    const { inBlocks, inHead, head } = this.#merged
    for (const { chunks, placeOf, part } of this.#loaded) {
      const place = placeOf[i - this.#base]!
      if (place < 0) continue
      const from = into.count
      if (!this.#decode(chunks, place, part, into)) continue
      if (part.deleted.size === 0) continue
      const intervals = part.deleted.get(part.found.refs[part.memberOf[inBlocks[i]!]!]!)
      if (intervals !== undefined) removeDeleted(into, from, intervals)
    }
    if (inHead[i]! >= 0) head.read(inHead[i]!, into)
    into.normalize(this.#fromMs, this.#throughMs)
    into.forgetResets()
  }

  /** False when a chunk is damaged: its series has no samples from this block then. */
  #decode(chunks: LoadedChunks, place: number, { reader }: SelectionPart, into: SampleColumns): boolean {
    const from = into.count
    try {
      chunks.decode(place, into)
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      into.truncate(from)
      this.#blocks.leaveOut(reader, error, false, this.#omissions)
      return false
    }
  }

  release(): void {
    for (const { chunks } of this.#loaded) chunks.release()
    this.#loaded = []
  }
}
