/** The blocks of one tenant, wherever they are, and what a query sees of them together with the head. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { compareText } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import { ReadBuffers, type BlockReader, type LoadedChunks } from './block-reader.ts'
import type { Head } from './head.ts'
import type { MetricsReader, SeriesSet } from './select.ts'
import { Selection, SelectionCache, type SelectionPart } from './selection-cache.ts'
import { removeDeleted } from './tombstones.ts'

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

/** Label sets that are shared among blocks; about 500 B each. */
const internedMax = 100_000

export class BlockSet {
  readonly readers = new Map<string, BlockReader>()
  /** Blocks that turned out to be damaged: reported, and not asked any more. */
  readonly quarantined = new Map<string, string>()
  readonly #log: Log
  readonly #clock: Clock
  readonly #selections = new SelectionCache()
  readonly #buffers = new ReadBuffers()
  /** Grows when what a block shows has changed. */
  version = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Runs `work`; damage in the block quarantines it, and the rest is served. */
  async #guarded<T>(reader: BlockReader, fallback: T, work: () => Promise<T>): Promise<T> {
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
  inTime(fromMs: number, toMs: number): BlockReader[] {
    const found = [...this.readers.values()].filter(
      r => r.meta.minTime <= toMs && r.meta.maxTime > fromMs && !this.quarantined.has(r.meta.ulid),
    )
    return found.sort((a, b) => a.meta.minTime - b.meta.minTime)
  }

  /** A reader over these blocks and the head. */
  reader(head: Head | undefined): MetricsReader {
    return {
      select: (matchers, fromMs, toMs) => this.#open(head, matchers, fromMs, toMs),
      series: async (matchers, fromMs, toMs) => (await this.#merge(head, matchers, fromMs, toMs)).labels,
      labelNames: (matchers, fromMs, toMs) => this.#labelNames(head, matchers, fromMs, toMs),
      labelValues: (name, matchers, fromMs, toMs) => this.#labelValues(head, name, matchers, fromMs, toMs),
    }
  }

  async #merge(head: Head | undefined, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<Merged> {
    // The head first, at one instant with the list of blocks: a range that leaves it meanwhile is held by the query.
    const fromHead: number[] = []
    if (head !== undefined && head.maxMs >= fromMs)
      for (const series of head.select(matchers)) if (head.touches(series, fromMs, toMs)) fromHead.push(series)
    const headLabels = fromHead.map(series => head!.table.labels(series))
    const selection = await this.#select(matchers, this.inTime(fromMs, toMs))
    const headOf = new Int32Array(selection.labels.length).fill(-1)
    const labels: Labels[] = [],
      inBlocks: number[] = [],
      inHead: number[] = []
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
      if (headOf[i]! < 0 && !selection.isVisible(i, fromMs, toMs)) continue
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

  /** What the matchers find in these blocks. */
  async #select(matchers: readonly Matcher[], blocks: readonly BlockReader[]): Promise<Selection> {
    const kept = this.#selections.find(matchers, blocks)
    if (kept !== undefined) return kept
    const found: Omit<SelectionPart, 'memberOf'>[] = []
    const { version } = this
    for (const reader of blocks) {
      const part = await this.#guarded(reader, undefined, async () => ({
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

  async #open(head: Head | undefined, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<SeriesSet> {
    // Held from the instant at which the list of blocks is made: what leaves the head later is in no block of that list.
    const held = head?.ranges() ?? []
    const { labels, selection, inBlocks, inHead } = await this.#merge(head, matchers, fromMs, toMs)
    let base = 0
    let loaded: Loaded[] = []
    return {
      labels,
      load: async (from, to) => {
        base = from
        for (const { chunks } of loaded) chunks.release()
        loaded = []
        for (const part of selection.parts) {
          const placeOf = new Int32Array(to - from).fill(-1)
          const members: number[] = []
          for (let i = from; i < to; i++) {
            const member = inBlocks[i]! < 0 ? -1 : part.memberOf[inBlocks[i]!]!
            if (member < 0 || !part.found.touches(member, fromMs, toMs)) continue
            placeOf[i - from] = members.length
            members.push(member)
          }
          if (members.length === 0) continue
          const chunks = await this.#guarded(part.reader, undefined, () =>
            part.reader.chunks(part.found, members, fromMs, toMs, this.#buffers),
          )
          if (chunks !== undefined) loaded.push({ chunks, placeOf, part })
        }
      },
      read(i, into) {
        for (const { chunks, placeOf, part } of loaded) {
          const place = placeOf[i - base]!
          if (place < 0) continue
          const from = into.count
          chunks.decode(place, into)
          if (part.deleted.size === 0) continue
          const intervals = part.deleted.get(part.found.refs[part.memberOf[inBlocks[i]!]!]!)
          if (intervals !== undefined) removeDeleted(into, from, intervals)
        }
        if (inHead[i]! >= 0) head!.read(inHead[i]!, fromMs, toMs, into, held)
        into.normalize(fromMs, toMs)
      },
      release() {
        for (const { chunks } of loaded) chunks.release()
        loaded = []
      },
    }
  }

  async #labelNames(
    head: Head | undefined,
    matchers: readonly Matcher[],
    fromMs: number,
    toMs: number,
  ): Promise<string[]> {
    const names = new Set<string>()
    if (matchers.length > 0) {
      for (const labels of (await this.#merge(head, matchers, fromMs, toMs)).labels)
        for (let i = 0; i < labels.pairs.length; i += 2) names.add(labels.pairs[i]!)
    } else {
      if (head !== undefined && head.maxMs >= fromMs && head.minMs <= toMs)
        for (const name of head.table.labelNames()) names.add(name)
      for (const reader of this.inTime(fromMs, toMs))
        for (const name of await this.#guarded(reader, [], () => reader.labelNames())) names.add(name)
    }
    return [...names].sort(compareText)
  }

  async #labelValues(
    head: Head | undefined,
    name: string,
    matchers: readonly Matcher[],
    fromMs: number,
    toMs: number,
  ): Promise<string[]> {
    const values = new Set<string>()
    if (matchers.length > 0) {
      for (const labels of (await this.#merge(head, matchers, fromMs, toMs)).labels) values.add(labels.get(name))
    } else {
      if (head !== undefined && head.maxMs >= fromMs && head.minMs <= toMs)
        for (const value of head.table.labelValues(name)) values.add(value)
      for (const reader of this.inTime(fromMs, toMs))
        for (const value of await this.#guarded(reader, [], () => reader.labelValues(name))) values.add(value)
    }
    values.delete('')
    return [...values].sort(compareText)
  }
}
