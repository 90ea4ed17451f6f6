/** The head of this thread and the list of blocks, as a reader asks for them. */
import type { Omissions } from '#core/omissions.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { BlockSet } from './block-set.ts'
import type { Changes } from './change-log.ts'
import type { Head, TimeRange } from './head.ts'
import type { HeadSelection, MetricsSource, QueryPlan, TextsPlan } from './reader.ts'

const nothing: HeadSelection = { labels: [], read: () => {} }

/** A tenant as this reads it; without a head it has blocks at most. */
export interface HeadSourceParts {
  tenant: string
  blocks: BlockSet
  head: Head | undefined
  changesSince: (version: number | undefined) => Changes
}

export class HeadSource implements MetricsSource {
  readonly tenant: string
  readonly blocks: BlockSet
  readonly #head: Head | undefined
  readonly #changesSince: (version: number | undefined) => Changes

  constructor({ tenant, blocks, head, changesSince }: HeadSourceParts) {
    this.tenant = tenant
    this.blocks = blocks
    this.#head = head
    this.#changesSince = changesSince
  }

  changes(since: number | undefined): Promise<Changes> {
    return Promise.resolve(this.#changesSince(since))
  }

  plan(matchers: readonly Matcher[], time: TimeRange, _isForLabels: boolean, omissions: Omissions): Promise<QueryPlan> {
    const head = this.#select(matchers, time)
    return Promise.resolve({ head, blocks: this.#blocksIn(time, omissions) })
  }

  texts(name: string | undefined, time: TimeRange, omissions: Omissions): Promise<TextsPlan> {
    const head = this.#head
    const isIn = head !== undefined && head.maxMs >= time.fromMs && head.minMs <= time.throughMs
    const texts = !isIn ? [] : name === undefined ? head.table.labelNames() : head.table.valuesOf(name)
    return Promise.resolve({ texts, blocks: this.#blocksIn(time, omissions) })
  }

  #blocksIn({ fromMs, throughMs }: TimeRange, omissions: Omissions): ReturnType<BlockSet['inTime']> {
    this.blocks.addLeftOut(fromMs, throughMs, omissions)
    return this.blocks.inTime(fromMs, throughMs)
  }

  #select(matchers: readonly Matcher[], { fromMs, throughMs }: TimeRange): HeadSelection {
    const head = this.#head
    if (head === undefined || head.maxMs < fromMs) return nothing
    // Held from this instant on: what leaves the head later is in no block of the list.
    const held = head.ranges()
    const found: number[] = []
    for (const series of head.select(matchers)) if (head.touches(series, fromMs, throughMs)) found.push(series)
    return {
      labels: found.map(series => head.table.labels(series)),
      read: (i, into) => {
        head.read(found[i]!, fromMs, throughMs, into, held)
      },
    }
  }
}
