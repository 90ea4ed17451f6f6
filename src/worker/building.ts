/** Blocks that workers build; small ones are built where they are asked for, since that costs less than asking. */
import type { BlockBuilding as MetricsBuilding, BlockToMerge } from '#metrics/block-building.ts'
import type { HeadColumns } from '#metrics/head-columns.ts'
import type { MergedBlock, WrittenRange } from '#metrics/merge.ts'
import type { BlockBuilding as TracesBuilding, FirstBlockPlan, MergedBlocks } from '#traces/block-building.ts'
import type { BlockMeta } from '#traces/block-meta.ts'
import type { BlockPlan, BuiltBlock } from '#traces/block-writer.ts'
import { packTraces, type CarriedTraces } from '#traces/carried-traces.ts'
import type { Segment } from '#traces/segment.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import type { Pool } from './pool.ts'

/** Series of a block that is small: some milliseconds of work. */
const smallSeries = 1000
/** Spans of one, and bytes of blocks that are merged. */
const smallSpans = 1000
const smallBytes = 256 * 1024
/** A block of many gigabytes takes minutes. */
const timeoutMs = 3_600_000
/** A directory that was begun is not begun again. */
const options = { timeoutMs, isRepeatable: () => false }

export class WorkerMetricsBuilding implements MetricsBuilding {
  readonly #pool: Pool<WorkerCalls, MainCalls>
  readonly #local: MetricsBuilding

  constructor(pool: Pool<WorkerCalls, MainCalls>, local: MetricsBuilding) {
    this.#pool = pool
    this.#local = local
  }

  writeRange(directory: string, columns: HeadColumns, transfer: ArrayBuffer[]): Promise<WrittenRange> {
    if (columns.count <= smallSeries) return this.#local.writeRange(directory, columns, transfer)
    return this.#pool.run(link => link.call('metricsWrite', { directory, columns }, transfer), options)
  }

  merge(directory: string, tenant: string, blocks: readonly BlockToMerge[]): Promise<MergedBlock> {
    const series = blocks.reduce((sum, { meta }) => sum + (meta.stats.numSeries ?? Infinity), 0)
    if (series <= smallSeries) return this.#local.merge(directory, tenant, blocks)
    return this.#pool.run(link => link.call('metricsMerge', { directory, tenant, blocks }), options)
  }
}

export class WorkerTracesBuilding implements TracesBuilding {
  readonly #pool: Pool<WorkerCalls, MainCalls>
  readonly #local: TracesBuilding
  readonly #pause: () => Promise<void>

  constructor(pool: Pool<WorkerCalls, MainCalls>, local: TracesBuilding, pause: () => Promise<void>) {
    this.#pool = pool
    this.#local = local
    this.#pause = pause
  }

  async first(
    plan: FirstBlockPlan,
    segments: readonly Segment[],
    leftOut?: ReadonlySet<string>,
  ): Promise<BuiltBlock | undefined> {
    const spans = segments.reduce((sum, segment) => sum + segment.spans, 0)
    if (spans <= smallSpans) return this.#local.first(plan, segments, leftOut)
    const carried: CarriedTraces[] = []
    for (const { traces } of segments) {
      carried.push(packTraces(traces))
      await this.#pause()
    }
    return this.#pool.run(link => link.call('tracesFirst', { plan, segments: carried, leftOut }), options)
  }

  merge(plan: BlockPlan, inputs: readonly BlockMeta[]): Promise<MergedBlocks> {
    const bytes = inputs.reduce((sum, { size }) => sum + size, 0)
    if (bytes <= smallBytes) return this.#local.merge(plan, inputs)
    return this.#pool.run(link => link.call('tracesMerge', { plan, inputs }), options)
  }
}
