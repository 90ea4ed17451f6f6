/** What matchers found in a set of blocks, merged by series: blocks do not change, so the same question has the same answer. */
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { BlockReader, BlockSeries, Interval } from './block-reader.ts'

/** Part of a series that lies in one block. */
export interface BlockPart { readonly reader: BlockReader; readonly series: BlockSeries; readonly deleted: readonly Interval[] }

export interface BlocksSeries { readonly labels: Labels; /** Oldest block first. */ readonly parts: BlockPart[] }

export interface Selection {
  readonly blocks: readonly BlockReader[]
  /** Ascending by labels. */
  readonly series: readonly BlocksSeries[]
  /** Number of a series, by the key of its labels. */
  readonly byKey: ReadonlyMap<string, number>
}

/** Chunks that all kept selections name together; about 30 B each. */
const chunksMax = 1_000_000

export class SelectionCache {
  readonly #kept = new Map<string, { selection: Selection; chunks: number }>()
  #chunks = 0

  #key(matchers: readonly Matcher[], blocks: readonly BlockReader[]): string {
    return JSON.stringify([matchers.map(m => [m.kind, m.name, m.value]), blocks.map(b => b.meta.ulid)])
  }

  find(matchers: readonly Matcher[], blocks: readonly BlockReader[]): Selection | undefined {
    const key = this.#key(matchers, blocks)
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    // The least recently used one comes first.
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.selection
  }

  keep(matchers: readonly Matcher[], selection: Selection): void {
    let chunks = 1
    for (const { parts } of selection.series) for (const { series } of parts) chunks += series.chunkCount + 4
    if (chunks > chunksMax / 4) return
    this.#kept.set(this.#key(matchers, selection.blocks), { selection, chunks })
    this.#chunks += chunks
    for (const [key, { chunks: size }] of this.#kept) {
      if (this.#chunks <= chunksMax) return
      this.#kept.delete(key)
      this.#chunks -= size
    }
  }

  /** To be called when something was deleted from a block, or a block turned out to be damaged. */
  clear(): void {
    this.#kept.clear()
    this.#chunks = 0
  }
}
