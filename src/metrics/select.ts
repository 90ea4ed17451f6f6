/** The door out of the metrics signal: what a query can ask of it. */
import type { Omissions } from '#core/omissions.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockMeta } from './block-meta.ts'

/** What is in memory of a tenant. Without samples the times are infinite. */
export interface HeadStats {
  series: number
  chunks: number
  labelPairs: number
  minMs: number
  maxMs: number
  /** How many series each metric name has. */
  byMetric: Map<string, number>
}

/** Facts about a tenant's store. */
export interface MetricsFacts {
  head: HeadStats
  /** The tenant's blocks that are known to be damaged. */
  damaged: readonly DamagedBlock[]
  /** Blocks that queries read, the oldest first. */
  blocks: readonly BlockMeta[]
}

/** Series that match, in the order of their labels. Samples are fetched for a stretch of them at a time. */
export interface SeriesSet {
  readonly labels: readonly Labels[]
  /** Fetches what `read` needs for series [from, to), and lets go of what was fetched before. */
  load(from: number, to: number): Promise<void>
  /**
   * Fills `into` with the samples of series `i` inside the selected time, in order, each timestamp once. Synchronous;
   * needs `load`.
   */
  read(i: number, into: SampleColumns): void
  /** Lets go of what was fetched. */
  release(): void
}

/** How much of earlier answers is still true: those about times from `retainedMs` on, and before `fromMs`. */
export interface ReadChanges {
  version: number
  fromMs: number
  /** What is older is not shown any more; -Infinity where everything is. */
  retainedMs: number
}

/**
 * Made for one request. All times are inclusive milliseconds. Throws PlanStaleError when a block was replaced while it
 * was read; the question can be asked again then.
 */
export interface MetricsReader {
  /** What it reads, as a text: readers of the same data have the same one. */
  readonly subject: string
  /** What the answers so far lack. */
  readonly omissions: Omissions
  /** The tenant's blocks that are known to be damaged. */
  damaged(): readonly DamagedBlock[]
  /**
   * What has changed since a version that an earlier call gave; all has where that is undefined. To be asked before
   * what is kept is read.
   */
  changes(since: number | undefined): Promise<ReadChanges>
  select(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<SeriesSet>
  /** Labels alone, of series that may have samples in the time. */
  series(matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<readonly Labels[]>
  /** In bytewise order; of more than `limit` the first ones. So are values. */
  labelNames(matchers: readonly Matcher[], fromMs: number, throughMs: number, limit?: number): Promise<string[]>
  labelValues(
    name: string,
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
    limit?: number,
  ): Promise<string[]>
}
