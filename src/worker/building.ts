/** Blocks that workers build; small ones are built where they are asked for, since that costs less than asking. */
import type {
  BlockBuilding as LogsBuilding,
  ChunkAnswer,
  ChunkQuestion,
  ErasedChunk,
  ErasePlan,
  IndexOutcome,
  IndexPlan,
  UnorderedChunk,
  VerifiedChunk,
} from '#logs/block-building.ts'
import type { ClosedChunk } from '#logs/closed-chunk.ts'
import type { IndexFile } from '#logs/index-catalogue.ts'
import type { IndexedChunk } from '#logs/index-file.ts'
import type { BlockBuilding as MetricsBuilding, BlockProblem, BlockToMerge } from '#metrics/block-building.ts'
import type { HeadColumns } from '#metrics/head-columns.ts'
import type { MergedBlock, WrittenRange } from '#metrics/merge.ts'
import type { BlockBuilding as TracesBuilding, FirstBlockPlan, MergedBlocks } from '#traces/block-building.ts'
import type { BlockMeta } from '#traces/block-meta.ts'
import type { BlockPlan, BuiltBlock } from '#traces/block-writer.ts'
import { packTraces, takeTraces, type CarriedTraces } from '#traces/carried-traces.ts'
import { Segment, type IdleTraces, type LiveTrace } from '#traces/segment.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import type { Pool } from './pool.ts'

/** Series of a block that is small: some milliseconds of work. */
const smallSeries = 1000
/** Spans of one, and bytes of blocks that are merged. */
const smallSpans = 1000
const smallBytes = 256 * 1024
/** Of logs: bytes of index files as they are packed, chunks that come, and a chunk's bytes unpacked. */
const smallIndexBytes = 8 * 1024
const smallChunks = 256
const smallKilobytes = 64
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

  verify(tenant: string, block: BlockToMerge): Promise<BlockProblem | undefined> {
    if ((block.meta.stats.numSeries ?? Infinity) <= smallSeries) return this.#local.verify(tenant, block)
    return this.#pool.run(link => link.call('metricsVerify', { tenant, block }), { timeoutMs })
  }
}

/** The same of logs. What was begun is begun again where its thread ended: it leaves nothing behind. */
export class WorkerLogsBuilding implements LogsBuilding {
  readonly #pool: Pool<WorkerCalls, MainCalls>
  readonly #local: LogsBuilding

  constructor(pool: Pool<WorkerCalls, MainCalls>, local: LogsBuilding) {
    this.#pool = pool
    this.#local = local
  }

  rewrite(plan: IndexPlan): Promise<IndexOutcome> {
    const chunks = plan.added.fromMs.length
    if (this.#isSmall(plan.files) && chunks <= smallChunks) return this.#local.rewrite(plan)
    return this.#pool.run(link => link.call('logsRewrite', plan), { timeoutMs })
  }

  chunks(question: ChunkQuestion): Promise<ChunkAnswer> {
    if (this.#isSmall(question.files)) return this.#local.chunks(question)
    return this.#pool.run(link => link.call('logsChunks', question), { timeoutMs })
  }

  #isSmall(files: readonly IndexFile[]): boolean {
    return this.#pool.isClosed || files.reduce((sum, { bytes }) => sum + bytes, 0) <= smallIndexBytes
  }

  order(chunk: UnorderedChunk): Promise<ClosedChunk> {
    if (this.#pool.isClosed || chunk.kilobytes <= smallKilobytes) return this.#local.order(chunk)
    return this.#pool.run(link => link.call('logsOrder', chunk), { timeoutMs })
  }

  erase(plan: ErasePlan): Promise<ErasedChunk> {
    if (this.#pool.isClosed || plan.chunk.kilobytes <= smallKilobytes) return this.#local.erase(plan)
    return this.#pool.run(link => link.call('logsErase', plan), { timeoutMs })
  }

  verify(tenant: string, chunk: IndexedChunk): Promise<VerifiedChunk> {
    if (this.#pool.isClosed || chunk.kilobytes <= smallKilobytes) return this.#local.verify(tenant, chunk)
    return this.#pool.run(link => link.call('logsVerify', { tenant, chunk }), { timeoutMs })
  }
}

function listed(idle: IdleTraces): readonly LiveTrace[] {
  return idle instanceof Segment ? idle.traces : Array.from({ length: idle.count }, (_, i) => idle.liveAt(i))
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
    idle: readonly IdleTraces[],
    leftOut?: ReadonlySet<string>,
  ): Promise<BuiltBlock | undefined> {
    const spans = idle.reduce((sum, traces) => sum + traces.spans, 0)
    if (spans <= smallSpans) return this.#local.first(plan, idle, leftOut)
    const carried: CarriedTraces[] = []
    for (const traces of idle) carried.push(await packTraces(takeTraces(listed(traces)), this.#pause))
    return this.#pool.run(link => link.call('tracesFirst', { plan, segments: carried, leftOut }), options)
  }

  merge(plan: BlockPlan, inputs: readonly BlockMeta[]): Promise<MergedBlocks> {
    const bytes = inputs.reduce((sum, { size }) => sum + size, 0)
    if (bytes <= smallBytes) return this.#local.merge(plan, inputs)
    return this.#pool.run(link => link.call('tracesMerge', { plan, inputs }), options)
  }

  verify(block: BlockMeta): Promise<void> {
    if (block.size <= smallBytes) return this.#local.verify(block)
    return this.#pool.run(link => link.call('tracesVerify', block), { timeoutMs })
  }
}
