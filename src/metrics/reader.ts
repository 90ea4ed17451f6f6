/** What a query sees of a tenant: the head and the blocks, as one set of series. */
import { FirstTexts } from '#core/lists.ts'
import { isDamage, Omissions, planningAgain } from '#core/omissions.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockReader, LoadedChunks } from './block-reader.ts'
import type { BlockSet } from './block-set.ts'
import type { Head } from './head.ts'
import type { RangeChunks } from './range-chunks.ts'
import type { MetricsReader, SeriesSet } from './select.ts'
import type { Selection, SelectionPart } from './selection-cache.ts'
import { removeDeleted } from './tombstones.ts'

/** Blocks of which chunks are fetched together. */
const partsAtOnce = 8

/** Series as one query sees them, in the order of their labels. */
interface Merged {
  labels: Labels[]
  selection: Selection
  /** By series: its number in the selection and in the head, -1 where it is in none. */
  inBlocks: Int32Array
  inHead: Int32Array
}

/** What was fetched from one block for series from `base` on: where each is among the chunks, -1 where it is not. */
interface Loaded {
  chunks: LoadedChunks
  placeOf: Int32Array
  part: SelectionPart
}

export class Reader implements MetricsReader {
  readonly #blocks: BlockSet
  readonly #head: Head | undefined
  readonly #retainedFrom: (fromMs: number) => number
  readonly omissions = new Omissions()

  /** `retainedFrom` moves the start of a query's time to the retention. */
  constructor(blocks: BlockSet, head: Head | undefined, retainedFrom: (fromMs: number) => number = fromMs => fromMs) {
    this.#blocks = blocks
    this.#head = head
    this.#retainedFrom = retainedFrom
  }

  damaged(): readonly DamagedBlock[] {
    return this.#blocks.quarantined.all()
  }

  async select(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<SeriesSet> {
    const startMs = this.#retainedFrom(fromMs)
    // Held from the instant at which the list of blocks is made: what leaves the head later is in no block of that
    // list.
    const held = this.#head?.ranges() ?? []
    const merged = await this.#merge(matchers, startMs, throughMs)
    return new MergedSeries(merged, this.#blocks, this.#head, held, startMs, throughMs, this.omissions)
  }

  async series(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly Labels[]> {
    return (await planningAgain(() => this.#merge(matchers, this.#retainedFrom(fromMs), throughMs))).labels
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
    } else {
      const startMs = this.#retainedFrom(fromMs)
      for (const name of this.#headIn(startMs, throughMs)?.table.labelNames() ?? []) names.add(name)
      await this.#addOfBlocks(names, startMs, throughMs, reader => reader.labelNames())
    }
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
    } else {
      const startMs = this.#retainedFrom(fromMs)
      for (const value of this.#headIn(startMs, throughMs)?.table.labelValues(name) ?? []) values.add(value)
      await this.#addOfBlocks(values, startMs, throughMs, reader => reader.labelValues(name))
    }
    values.delete('')
    return values.sorted().slice(0, limit)
  }

  /** Adds what each block of the time has. */
  #addOfBlocks(
    into: FirstTexts,
    fromMs: number,
    throughMs: number,
    read: (reader: BlockReader) => Promise<string[]>,
  ): Promise<void> {
    return planningAgain(async () => {
      this.#blocks.addLeftOut(fromMs, throughMs, this.omissions)
      await forEachParallel(this.#blocks.inTime(fromMs, throughMs), partsAtOnce, async reader => {
        for (const text of await this.#blocks.guarded(reader, this.omissions, [], () => read(reader))) into.add(text)
      })
    })
  }

  /** The head, when it has samples of the time. */
  #headIn(fromMs: number, throughMs: number): Head | undefined {
    const head = this.#head
    return head !== undefined && head.maxMs >= fromMs && head.minMs <= throughMs ? head : undefined
  }

  #selectHead(
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
  ): { fromHead: number[]; headLabels: Labels[] } {
    const head = this.#head
    const fromHead: number[] = []
    if (head === undefined || head.maxMs < fromMs) return { fromHead, headLabels: [] }
    for (const series of head.select(matchers)) if (head.touches(series, fromMs, throughMs)) fromHead.push(series)
    return { fromHead, headLabels: fromHead.map(series => head.table.labels(series)) }
  }

  async #merge(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<Merged> {
    // The head first, at one instant with the list of blocks: a range that leaves it meanwhile is held by the query.
    const { fromHead, headLabels } = this.#selectHead(matchers, fromMs, throughMs)
    this.#blocks.addLeftOut(fromMs, throughMs, this.omissions)
    const selection = await this.#blocks.select(matchers, this.#blocks.inTime(fromMs, throughMs), this.omissions)
    const headOf = new Int32Array(selection.labels.length).fill(-1)
    const labels: Labels[] = []
    const inBlocks: number[] = []
    const inHead: number[] = []
    for (let i = 0; i < fromHead.length; i++) {
      const known = selection.labels.length === 0 ? -1 : selection.numberOf(headLabels[i]!)
      if (known >= 0) {
        headOf[known] = fromHead[i]!
        continue
      }
      labels.push(headLabels[i]!)
      inBlocks.push(-1)
      inHead.push(fromHead[i]!)
    }
    const headOnly = labels.length
    for (let i = 0; i < headOf.length; i++) {
      if (headOf[i]! < 0 && !selection.isVisible(i, fromMs, throughMs)) continue
      labels.push(selection.labels[i]!)
      inBlocks.push(i)
      inHead.push(headOf[i]!)
    }
    if (headOnly === 0)
      return { labels, selection, inBlocks: Int32Array.from(inBlocks), inHead: Int32Array.from(inHead) }
    const order = labels.map((_, i) => i).sort((a, b) => compareLabels(labels[a]!, labels[b]!))
    return {
      labels: order.map(i => labels[i]!),
      selection,
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
  readonly #head: Head | undefined
  readonly #held: readonly RangeChunks[]
  readonly #fromMs: number
  readonly #throughMs: number
  readonly #omissions: Omissions
  /** The first series that is loaded. */
  #base = 0
  #loaded: Loaded[] = []

  constructor(
    merged: Merged,
    blocks: BlockSet,
    head: Head | undefined,
    held: readonly RangeChunks[],
    fromMs: number,
    throughMs: number,
    omissions: Omissions,
  ) {
    this.#omissions = omissions
    this.labels = merged.labels
    this.#merged = merged
    this.#blocks = blocks
    this.#head = head
    this.#held = held
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
    const { inBlocks, inHead } = this.#merged
    for (const { chunks, placeOf, part } of this.#loaded) {
      const place = placeOf[i - this.#base]!
      if (place < 0) continue
      const from = into.count
      if (!this.#decode(chunks, place, part, into)) continue
      if (part.deleted.size === 0) continue
      const intervals = part.deleted.get(part.found.refs[part.memberOf[inBlocks[i]!]!]!)
      if (intervals !== undefined) removeDeleted(into, from, intervals)
    }
    if (inHead[i]! >= 0) this.#head?.read(inHead[i]!, this.#fromMs, this.#throughMs, into, this.#held)
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
