/**
 * What matchers found in a set of blocks, merged by series: blocks do not change, so the same question has the same
 * answer.
 */
import type { Paced } from '#core/pace.ts'
import { pacedSort } from '#core/paced-sort.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { compareLabels, type Labels } from '#model/labels.ts'
import { ByteLru } from '#core/byte-lru.ts'
import type { BlockReader, BlockSelection } from './block-reader.ts'
import type { Interval } from './tombstones.ts'

/** What one block has of a selection. */
export interface SelectionPart {
  readonly reader: BlockReader
  readonly found: BlockSelection
  /** By series of the selection: its number in `found`, -1 where the block has none of it. */
  readonly memberOf: Int32Array
  /** By reference: what was deleted of a series. */
  readonly deleted: ReadonlyMap<number, readonly Interval[]>
}

export class Selection {
  /** Ascending, each once. */
  readonly labels: readonly Labels[]
  /** Oldest block first. */
  readonly parts: readonly SelectionPart[]
  readonly #numberOf: ReadonlyMap<string, number>

  private constructor(labels: readonly Labels[], parts: readonly SelectionPart[], numberOf: Map<string, number>) {
    this.labels = labels
    this.parts = parts
    this.#numberOf = numberOf
  }

  /** Of what blocks were found to have, oldest block first. */
  static async of(found: readonly Omit<SelectionPart, 'memberOf'>[], pace: Paced): Promise<Selection> {
    const byKey = new Map<string, Labels>()
    for (const part of found)
      for (const labels of part.found.labels) {
        if (!byKey.has(labels.key)) byKey.set(labels.key, labels)
        if (pace.worked(1)) await pace.pause()
      }
    const labels = [...byKey.values()]
    // One block's series come in order already.
    if (found.length !== 1) await pacedSort(labels, compareLabels, pace)
    const numberOf = new Map<string, number>()
    for (let i = 0; i < labels.length; i++) {
      numberOf.set(labels[i]!.key, i)
      if (pace.worked(1)) await pace.pause()
    }
    const parts: SelectionPart[] = []
    for (const part of found) {
      const memberOf = new Int32Array(labels.length).fill(-1)
      const own = part.found.labels
      for (let member = 0; member < own.length; member++) {
        memberOf[numberOf.get(own[member]!.key)!] = member
        if (pace.worked(1)) await pace.pause()
      }
      parts.push({ ...part, memberOf })
    }
    return new Selection(labels, parts, numberOf)
  }

  /** The number of a series, -1 when it is not among these. */
  numberOf(labels: Labels): number {
    return this.#numberOf.get(labels.key) ?? -1
  }

  /** Has the series a chunk in the time whose series was not deleted as a whole? */
  isVisible(series: number, fromMs: number, throughMs: number): boolean {
    for (const { found, memberOf, deleted } of this.parts) {
      const member = memberOf[series]!
      if (member < 0 || !found.touches(member, fromMs, throughMs)) continue
      if (deleted.size === 0) return true
      const intervals = deleted.get(found.refs[member]!) ?? []
      if (!intervals.some(d => d.fromMs <= found.firstMs(member) && d.throughMs >= found.lastMs(member))) return true
    }
    return false
  }

  /** Roughly what it holds, in bytes. */
  get bytes(): number {
    let bytes = 1000 + this.labels.length * 100
    for (const { found, memberOf } of this.parts)
      bytes += found.chunkCount * 25 + found.count * 20 + memberOf.length * 4
    return bytes
  }
}

/** What all kept selections may hold, and what one may. */
const bytesMax = 48 * 1024 * 1024
const selectionBytesMax = bytesMax / 4

export class SelectionCache {
  readonly #kept: ByteLru<Selection>

  constructor() {
    this.#kept = new ByteLru(bytesMax)
  }

  /** Roughly what the kept selections hold. */
  get bytes(): number {
    return this.#kept.bytes
  }

  #key(matchers: readonly Matcher[], blocks: readonly BlockReader[]): string {
    return JSON.stringify([matchers.map(m => [m.kind, m.name, m.value]), blocks.map(b => b.meta.ulid)])
  }

  find(matchers: readonly Matcher[], blocks: readonly BlockReader[]): Selection | undefined {
    return this.#kept.get(this.#key(matchers, blocks))
  }

  keep(matchers: readonly Matcher[], blocks: readonly BlockReader[], selection: Selection): void {
    const { bytes } = selection
    if (bytes <= selectionBytesMax) this.#kept.set(this.#key(matchers, blocks), selection, bytes)
  }

  /** Lets go of so many bytes, or all; returns how many became free. */
  release(bytes: number): number {
    return this.#kept.release(bytes)
  }

  /** To be called when something was deleted from a block, or a block turned out to be damaged. */
  clear(): void {
    this.#kept.clear()
  }
}
