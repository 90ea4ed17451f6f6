/** The blocks of one tenant, wherever they are, and what a query sees of them together with the head. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { compareText } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import { LoadedChunks, type BlockReader, type BlockSeries } from './block-reader.ts'
import type { Head } from './head.ts'
import type { MetricsReader, SeriesSet } from './select.ts'
import { SelectionCache, type BlockPart, type BlocksSeries, type Selection } from './selection-cache.ts'
import { removeDeleted } from './tombstones.ts'

/** A series as one query sees it: what the head has of it and what blocks have. */
interface Merged { labels: Labels; headSeries: number; parts: readonly BlockPart[]; /** By part: its chunks, while they are loaded. */ loaded: Loaded[] | undefined }

/** Series `i` of what was fetched from a block at once. */
interface Loaded { chunks: LoadedChunks; i: number }

const noParts: readonly BlockPart[] = []
/** Of a block that turned out to be damaged, or has nothing of the time. */
const nothingLoaded = new LoadedChunks([], 0, 0)

export class BlockSet {
  readonly readers = new Map<string, BlockReader>()
  /** Blocks that turned out to be damaged: reported, and not asked any more. */
  readonly quarantined = new Map<string, string>()
  readonly #log: Log
  readonly #clock: Clock
  readonly #selections = new SelectionCache()
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
      this.#log.error('a block is damaged and is left out of queries', { block: reader.meta.ulid, error: messageOf(error) })
      return fallback
    }
  }

  /** Blocks that touch the time, oldest first: so a series' samples come out in order, and are not sorted again. */
  inTime(fromMs: number, toMs: number): BlockReader[] {
    const found = [...this.readers.values()].filter(r => r.meta.minTime <= toMs && r.meta.maxTime > fromMs && !this.quarantined.has(r.meta.ulid))
    return found.sort((a, b) => a.meta.minTime - b.meta.minTime)
  }

  /** A reader over these blocks and the head. */
  reader(head: Head | undefined): MetricsReader {
    return {
      select: (matchers, fromMs, toMs) => this.#select(head, matchers, fromMs, toMs),
      series: async (matchers, fromMs, toMs) => (await this.#merge(head, matchers, fromMs, toMs)).map(m => m.labels),
      labelNames: (matchers, fromMs, toMs) => this.#labelNames(head, matchers, fromMs, toMs),
      labelValues: (name, matchers, fromMs, toMs) => this.#labelValues(head, name, matchers, fromMs, toMs),
    }
  }

  async #merge(head: Head | undefined, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<Merged[]> {
    // The head first, at one instant with the list of blocks: a range that leaves it meanwhile is held by the query.
    const inHead: number[] = []
    if (head !== undefined && head.maxMs >= fromMs) for (const series of head.select(matchers)) if (head.touches(series, fromMs, toMs)) inHead.push(series)
    const headLabels = inHead.map(series => head!.table.labels(series))
    const { series: inBlocks, byKey } = await this.#selection(matchers, this.inTime(fromMs, toMs))
    const merged: Merged[] = []
    const headOf = new Map<number, number>()
    let inOrder = true
    for (let i = 0; i < inHead.length; i++) {
      const known = byKey.get(headLabels[i]!.key)
      if (known !== undefined) { headOf.set(known, inHead[i]!); continue }
      merged.push({ labels: headLabels[i]!, headSeries: inHead[i]!, parts: noParts, loaded: undefined })
      inOrder = false
    }
    for (let i = 0; i < inBlocks.length; i++) {
      const { labels, parts } = inBlocks[i]!
      const headSeries = headOf.get(i) ?? -1
      if (headSeries < 0 && !parts.some(part => isVisible(part, fromMs, toMs))) continue
      merged.push({ labels, headSeries, parts, loaded: undefined })
    }
    return inOrder ? merged : merged.sort((a, b) => compareLabels(a.labels, b.labels))
  }

  /** What the matchers find in these blocks. */
  async #selection(matchers: readonly Matcher[], blocks: readonly BlockReader[]): Promise<Selection> {
    const kept = this.#selections.find(matchers, blocks)
    if (kept !== undefined) return kept
    const byLabels = new Map<string, BlocksSeries>()
    const { version } = this
    for (const reader of blocks) {
      const parts = await this.#guarded(reader, [], async () => {
        const selected = await reader.select(matchers)
        const tombstones = await reader.tombstones()
        return selected.map(series => ({ reader, series, deleted: tombstones.get(series.ref) ?? [] }))
      })
      for (const part of parts) {
        const { labels } = part.series
        const known = byLabels.get(labels.key)
        if (known === undefined) byLabels.set(labels.key, { labels, parts: [part] })
        else known.parts.push(part)
      }
      // Each block may hold many series: others get a turn in between.
      await this.#clock.breathe()
    }
    const series = [...byLabels.values()].sort((a, b) => compareLabels(a.labels, b.labels))
    const selection = { blocks, series, byKey: new Map(series.map((one, i) => [one.labels.key, i])) }
    if (version === this.version) this.#selections.keep(matchers, selection)
    return selection
  }

  /** To be called when something was deleted from a block. */
  forgetSelections(): void {
    this.version++
    this.#selections.clear()
  }

  async #select(head: Head | undefined, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<SeriesSet> {
    // Held from the instant at which the list of blocks is made: what leaves the head later is in no block of that list.
    const held = head?.ranges() ?? []
    const merged = await this.#merge(head, matchers, fromMs, toMs)
    return {
      labels: merged.map(m => m.labels),
      load: async (from, to) => {
        const wanted = new Map<BlockReader, { series: BlockSeries[]; into: Loaded[] }>()
        for (let i = from; i < to; i++) {
          const of = merged[i]!
          of.loaded = []
          for (let part = 0; part < of.parts.length; part++) {
            const { reader, series } = of.parts[part]!
            const place: Loaded = { chunks: nothingLoaded, i: 0 }
            of.loaded.push(place)
            if (!series.touches(fromMs, toMs)) continue
            let list = wanted.get(reader)
            if (list === undefined) wanted.set(reader, list = { series: [], into: [] })
            place.i = list.series.length
            list.series.push(series)
            list.into.push(place)
          }
        }
        for (const [reader, { series, into }] of wanted) {
          const chunks = await this.#guarded(reader, nothingLoaded, () => reader.chunks(series, fromMs, toMs))
          for (const place of into) place.chunks = chunks
        }
      },
      read(i, into) {
        const { headSeries, parts, loaded } = merged[i]!
        for (let part = 0; part < parts.length; part++) {
          const { chunks, i: place } = loaded![part]!
          if (chunks === nothingLoaded) continue
          const from = into.count
          chunks.decode(place, into)
          if (parts[part]!.deleted.length > 0) removeDeleted(into, from, parts[part]!.deleted)
        }
        if (headSeries >= 0) head!.read(headSeries, fromMs, toMs, into, held)
        into.normalize(fromMs, toMs)
      },
      release(from, to) {
        for (let i = from; i < to; i++) merged[i]!.loaded = undefined
      },
    }
  }

  async #labelNames(head: Head | undefined, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<string[]> {
    const names = new Set<string>()
    if (matchers.length > 0) {
      for (const { labels } of await this.#merge(head, matchers, fromMs, toMs)) for (let i = 0; i < labels.pairs.length; i += 2) names.add(labels.pairs[i]!)
    } else {
      if (head !== undefined && head.maxMs >= fromMs && head.minMs <= toMs) for (const name of head.table.labelNames()) names.add(name)
      for (const reader of this.inTime(fromMs, toMs)) for (const name of await this.#guarded(reader, [], () => reader.labelNames())) names.add(name)
    }
    return [...names].sort(compareText)
  }

  async #labelValues(head: Head | undefined, name: string, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<string[]> {
    const values = new Set<string>()
    if (matchers.length > 0) {
      for (const { labels } of await this.#merge(head, matchers, fromMs, toMs)) values.add(labels.get(name))
    } else {
      if (head !== undefined && head.maxMs >= fromMs && head.minMs <= toMs) for (const value of head.table.labelValues(name)) values.add(value)
      for (const reader of this.inTime(fromMs, toMs)) for (const value of await this.#guarded(reader, [], () => reader.labelValues(name))) values.add(value)
    }
    values.delete('')
    return [...values].sort(compareText)
  }
}

/** Has the part a chunk in the time that was not deleted as a whole? */
function isVisible({ series, deleted }: BlockPart, fromMs: number, toMs: number): boolean {
  return series.touches(fromMs, toMs) && !deleted.some(d => d.minMs <= series.minMs && d.maxMs >= series.maxMs)
}
