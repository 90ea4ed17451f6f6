/** The blocks of one tenant, wherever they are, and what a query sees of them together with the head. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { compareText } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import type { BlockReader, BlockSeries, ChunkData, Interval } from './block-reader.ts'
import { decodeChunk } from './block-reader.ts'
import type { Head } from './head.ts'
import type { MetricsReader, SeriesSet } from './select.ts'
import { removeDeleted } from './tombstones.ts'

/** Part of a series that lies in one block. */
interface BlockPart { reader: BlockReader; series: BlockSeries; deleted: readonly Interval[]; data: Map<number, ChunkData> | undefined }
interface Merged { labels: Labels; headSeries: number; parts: BlockPart[] }

export class BlockSet {
  readonly readers = new Map<string, BlockReader>()
  /** Blocks that turned out to be damaged: reported, and not asked any more. */
  readonly quarantined = new Map<string, string>()
  readonly #log: Log
  readonly #clock: Clock

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
    const byKey = new Map<string, Merged>()
    // The head first, at one instant with the list of blocks: a range that leaves it meanwhile is still held by its drop.
    if (head !== undefined && head.maxMs >= fromMs) {
      for (const series of head.select(matchers)) {
        if (!head.touches(series, fromMs, toMs)) continue
        const labels = head.table.labels(series)
        byKey.set(labels.key, { labels, headSeries: series, parts: [] })
      }
    }
    for (const reader of this.inTime(fromMs, toMs)) {
      const found = await this.#guarded(reader, [], async () => {
        const selected = await reader.select(matchers, fromMs, toMs)
        const tombstones = await reader.tombstones()
        return selected.map(series => ({ reader, series, deleted: tombstones.get(series.ref) ?? [], data: undefined }))
      })
      for (const part of found) {
        if (part.deleted.some(d => d.minMs <= part.series.chunks[0]!.minMs && d.maxMs >= part.series.chunks.at(-1)!.maxMs)) continue
        const known = byKey.get(part.series.labels.key)
        if (known === undefined) byKey.set(part.series.labels.key, { labels: part.series.labels, headSeries: -1, parts: [part] })
        else known.parts.push(part)
      }
      // Each block may hold many series: others get a turn in between.
      await this.#clock.breathe()
    }
    return [...byKey.values()].sort((a, b) => compareLabels(a.labels, b.labels))
  }

  async #select(head: Head | undefined, matchers: readonly Matcher[], fromMs: number, toMs: number): Promise<SeriesSet> {
    // Held from the instant at which the list of blocks is made: what leaves the head later is in no block of that list.
    const held = head?.ranges() ?? []
    const merged = await this.#merge(head, matchers, fromMs, toMs)
    return {
      labels: merged.map(m => m.labels),
      load: async (from, to) => {
        const wanted = new Map<BlockReader, BlockPart[]>()
        for (let i = from; i < to; i++) {
          for (const part of merged[i]!.parts) {
            const known = wanted.get(part.reader)
            if (known === undefined) wanted.set(part.reader, [part])
            else known.push(part)
          }
        }
        for (const [reader, parts] of wanted) {
          const refs: number[] = []
          for (const part of parts) for (const chunk of part.series.chunks) refs.push(chunk.ref)
          const data = await this.#guarded(reader, undefined, () => reader.chunks(refs))
          for (const part of parts) part.data = data
        }
      },
      read(i, into) {
        const { headSeries, parts } = merged[i]!
        for (const part of parts) {
          if (part.data === undefined) continue
          const from = into.count
          for (const chunk of part.series.chunks) {
            const data = part.data.get(chunk.ref)
            if (data !== undefined) decodeChunk(data, into)
          }
          if (part.deleted.length > 0) removeDeleted(into, from, part.deleted)
        }
        if (headSeries >= 0) head!.read(headSeries, fromMs, toMs, into, held)
        into.normalize(fromMs, toMs)
      },
      release(from, to) {
        for (let i = from; i < to; i++) for (const part of merged[i]!.parts) part.data = undefined
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
