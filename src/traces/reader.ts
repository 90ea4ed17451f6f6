/** What a query sees of a tenant: traces in memory and the bucket's blocks, as rows with columns of one layout. */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { NotFoundError, PlanStaleError } from '#core/errors.ts'
import { isDamage, Omissions, planningAgain } from '#core/omissions.ts'
import { forEachParallel, workAhead } from '#core/parallel.ts'
import { withOwnIds } from '#model/shared-halves.ts'
import { combineTraces } from '#model/trace-combiner.ts'
import type { Trace } from '#model/trace.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockReader, BlockRows } from './block-reader.ts'
import type { BlockMeta } from './block-meta.ts'
import type { HeldGroups } from './held-groups.ts'
import { JoinedRows } from './joined-rows.ts'
import type { Unit } from './meetings.ts'
import { plainPath, type BlockFormat, type BlockLayout } from './schema.ts'
import type { TraceRows, TracesReader } from './select.ts'
import type { RowSource } from './shred.ts'

/** What a selection reads: rows of memory, oldest first, and blocks, all of one instant. */
export interface TracesPlan {
  memory: readonly RowSource[]
  /** Blocks that touch the time, in any order. */
  blocks: readonly BlockMeta[]
}

/** What memory has of one trace, and the blocks that may have more. */
export interface TracePlan {
  parts: Trace[]
  blocks: readonly BlockMeta[]
}

/** Where a reader finds what it reads: in this thread (head-source.ts), or in another one (view.ts). */
export interface TracesSource {
  readonly blocks: BlockReader
  readonly layout: BlockLayout
  /** Gives way to other work. */
  pause(): Promise<void>
  damaged(of: 'tenant' | 'all'): readonly DamagedBlock[]
  plan(fromMs: number, throughMs: number, omissions: Omissions): Promise<TracesPlan>
  find(id: Uint8Array, fromMs: number, throughMs: number, omissions: Omissions): Promise<TracePlan>
  /** A block that could not be read at all can be read. */
  noteReadable(block: BlockMeta): void
  noteDamage(block: BlockMeta, error: Error, isWhole: boolean): void
  /** An object of the block is missing: was the block replaced by others? */
  isReplaced(block: BlockMeta): Promise<boolean>
}

/** Blocks that are asked for one trace at a time. */
const readsAtOnce = 16
/** Blocks whose footers are read together. */
const openAhead = { atOnce: 16, weightMax: Infinity }

export class Reader implements TracesReader {
  readonly #source: TracesSource
  readonly #retainedFrom: (fromMs: number) => number
  readonly omissions = new Omissions()

  /** `retainedFrom` moves the start of a query's time to the retention. */
  constructor(source: TracesSource, retainedFrom: (fromMs: number) => number) {
    this.#source = source
    this.#retainedFrom = retainedFrom
  }

  damaged(of: 'tenant' | 'all' = 'tenant'): readonly DamagedBlock[] {
    return this.#source.damaged(of)
  }

  async select(fromMs: number, throughMs: number, traces?: 'parted'): Promise<TraceRows[]> {
    const { blocks: reader, layout } = this.#source
    const plan = await this.#source.plan(this.#retainedFrom(fromMs), throughMs, this.omissions)
    const blocks = newestFirst(plan.blocks)
    const memory = plan.memory.toReversed()
    const units = memory.map(source => unitOfMemory(source, layout))
    const openedBlocks: { block: BlockMeta; groups: readonly BlockRows[]; unit: number }[] = []
    const open = (block: BlockMeta): Promise<BlockRows[] | undefined> => this.#guarded(block, () => reader.rows(block))
    let at = 0
    for await (const groups of workAhead(blocks, { ...openAhead, weightOf: () => 1 }, open)) {
      const block = blocks[at++]!
      if (groups === undefined) continue
      this.#source.noteReadable(block)
      const { format } = block
      // What is written in older formats is never sent again.
      const unit = isBlockFormat(format) ? units.push(unitOfBlock(block, format, groups)) - 1 : -1
      openedBlocks.push({ block, groups, unit })
    }
    const joined = new JoinedRows(units, reader.meetings, () => this.#source.pause(), this.omissions)
    const columnsOf = (unit: number, group: number): Pick<TraceRows, 'columns'> => ({
      columns: paths =>
        traces === 'parted' ? units[unit]!.groups[group]!.columns(paths) : joined.columns(unit, group, paths),
    })
    return [
      ...memory.map((source, unit): TraceRows => ({
        rows: source.rows,
        isInMemory: true,
        dedicated: layout.dedicated,
        bytes: source.columns.reduce((sum, c) => sum + c.count * 2, 0),
        ...columnsOf(unit, 0),
        leaveOut: error => Promise.reject(error as Error),
      })),
      ...openedBlocks.flatMap(({ block, groups, unit }) =>
        groups.map((rows, group): TraceRows => ({
          ...rows,
          ...(unit < 0 ? {} : columnsOf(unit, group)),
          leaveOut: error => this.#leaveOut(block, error, false),
        })),
      ),
    ]
  }

  find(id: Uint8Array, fromMs: number, throughMs: number, held?: HeldGroups): Promise<Trace | undefined> {
    return planningAgain(() => this.#findOnce(id, fromMs, throughMs, held))
  }

  async #findOnce(
    id: Uint8Array,
    fromMs: number,
    throughMs: number,
    held: HeldGroups | undefined,
  ): Promise<Trace | undefined> {
    const { blocks: reader } = this.#source
    const { parts, blocks } = await this.#source.find(id, this.#retainedFrom(fromMs), throughMs, this.omissions)
    await forEachParallel(newestFirst(blocks), readsAtOnce, async block => {
      const find = (): Promise<Trace | undefined> =>
        reader.find(
          block,
          id,
          async (error, isData) => {
            // Without its filter a block is searched: the answer lacks nothing.
            if (isData) await this.#leaveOut(block, error, false)
            else this.#source.noteDamage(block, error, false)
          },
          held,
        )
      const found = await this.#guarded(block, find)
      if (found !== undefined) parts.push(found)
    })
    return parts.length === 0 ? undefined : withOwnIds(combineTraces(parts))
  }

  /** A block that is damaged is left out. */
  async #guarded<T>(block: BlockMeta, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      await this.#leaveOut(block, error, true)
      return undefined
    }
  }

  /** Throws what is no damage. An object that is missing is none when another compactor took the block away. */
  async #leaveOut(block: BlockMeta, error: unknown, isWhole: boolean): Promise<void> {
    if (!isDamage(error)) throw error
    this.#source.blocks.forget(block)
    if (error instanceof NotFoundError && (await this.#source.isReplaced(block)))
      throw new PlanStaleError(block.blockId)
    this.#source.noteDamage(block, error, isWhole)
    this.omissions.add(block.blockId, error.message)
  }
}

function newestFirst(blocks: readonly BlockMeta[]): BlockMeta[] {
  return blocks.toSorted((a, b) => b.endMs - a.endMs)
}

const memoryTimes = ['StartTimeUnixNano', 'EndTimeUnixNano']
const nsPerMs = 1_000_000n

/** Rows that were laid out before are the same unit as then. */
function unitOfMemory({ rows, columns }: RowSource, layout: BlockLayout): Unit {
  let unit = memoryUnits.get(columns)
  if (unit !== undefined) return unit
  const byPath = new Map(columns.map(c => [plainPath(c.column.path), c]))
  const columnsOf = (paths: readonly string[]): ReadonlyMap<string, ColumnData> => {
    const found = new Map<string, ColumnData>()
    for (const path of paths) {
      const data = byPath.get(path)
      if (data !== undefined) found.set(path, data)
    }
    return found
  }
  const [starts, ends] = memoryTimes.map(path => byPath.get(path)?.longs ?? new BigInt64Array(0))
  let fromNs = starts![0] ?? 0n
  let throughNs = 0n
  for (const start of starts!) if (start < fromNs) fromNs = start
  for (const end of ends!) if (end > throughNs) throughNs = end
  unit = {
    key: `memory ${++lastMemoryUnit}`,
    isInMemory: true,
    fromMs: Number(fromNs / nsPerMs),
    throughMs: Number(throughNs / nsPerMs) + 1,
    layout,
    groups: [{ rows, paths: [...byPath.keys()], columns: paths => Promise.resolve(columnsOf(paths)) }],
  }
  memoryUnits.set(columns, unit)
  return unit
}
const memoryUnits = new WeakMap<readonly ColumnData[], Unit>()
let lastMemoryUnit = 0

function isBlockFormat(format: string): format is BlockFormat {
  return format === 'vParquet5' || format === 'vParquet4'
}

function unitOfBlock(block: BlockMeta, format: BlockFormat, groups: readonly BlockRows[]): Unit {
  const { blockId, startMs, endMs, dedicated } = block
  return {
    key: blockId,
    isInMemory: false,
    fromMs: startMs,
    throughMs: endMs,
    layout: { format, dedicated },
    groups,
  }
}
