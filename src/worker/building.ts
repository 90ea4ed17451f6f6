/** Blocks that workers build; small ones are built where they are asked for, since that costs less than asking. */
import type { BlockBuilding, BlockToMerge } from '#metrics/block-building.ts'
import type { HeadColumns } from '#metrics/head-columns.ts'
import type { MergedBlock, WrittenRange } from '#metrics/merge.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import type { Pool } from './pool.ts'

/** Series of a block that is small: some milliseconds of work. */
const smallSeries = 1000
/** A block of many gigabytes takes minutes. */
const timeoutMs = 3_600_000
/** A directory that was begun is not begun again. */
const options = { timeoutMs, isRepeatable: () => false }

export class WorkerBuilding implements BlockBuilding {
  readonly #pool: Pool<WorkerCalls, MainCalls>
  readonly #local: BlockBuilding

  constructor(pool: Pool<WorkerCalls, MainCalls>, local: BlockBuilding) {
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
