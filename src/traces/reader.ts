/** What a query sees of a tenant: traces in memory and the bucket's blocks, as rows with columns of one layout. */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { NotFoundError, PlanStaleError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { isDamage, Omissions, planningAgain } from '#core/omissions.ts'
import { forEachParallel, workAhead } from '#core/parallel.ts'
import { combineTraces, type Trace } from '#model/trace.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockList } from './block-list.ts'
import type { BlockReader } from './block-reader.ts'
import type { Head } from './head.ts'
import type { BlockMeta } from './block-meta.ts'
import { plainPath, type BlockLayout, type DedicatedColumn } from './schema.ts'
import type { Segment } from './segment.ts'
import type { TraceRows, TracesReader } from './select.ts'
import type { RowSource } from './shred.ts'

/** Where a reader finds what it reads. */
export interface ReaderSources {
  /** The tenant's segments that were cut and wait for the bucket, oldest first. */
  waiting: () => readonly Segment[]
  head: () => Head | undefined
  list: BlockList
  blocks: BlockReader
  layout: BlockLayout
  /** Gives way to other work. */
  pause: () => Promise<void>
}

/** Blocks that are asked for one trace at a time. */
const readsAtOnce = 16
/** Blocks whose footers are read together. */
const openAhead = { atOnce: 16, weightMax: Infinity }

export class Reader implements TracesReader {
  readonly #tenant: string
  readonly #sources: ReaderSources
  readonly #retainedFrom: (fromMs: number) => number
  readonly omissions = new Omissions()

  /** `retainedFrom` moves the start of a query's time to the retention. */
  constructor(tenant: string, sources: ReaderSources, retainedFrom: (fromMs: number) => number) {
    this.#tenant = tenant
    this.#sources = sources
    this.#retainedFrom = retainedFrom
  }

  damaged(of: 'tenant' | 'all' = 'tenant'): readonly DamagedBlock[] {
    const { damage } = this.#sources.list
    return of === 'all' ? damage.all() : damage.of(this.#tenant)
  }

  async select(fromMs: number, throughMs: number): Promise<TraceRows[]> {
    const { pause, blocks: reader, list, layout } = this.#sources
    const startMs = this.#retainedFrom(fromMs)
    // Rows for what has none, a little at a time; then both in one go: what is published meanwhile shows once.
    for (const segment of this.#segments()) {
      await segment.layOut(pause)
      for (const [{ id }, error] of segment.poisoned)
        this.omissions.add(`in memory, trace ${Buffer.from(id).toString('hex')}`, error.message)
    }
    const blocks = this.#blocksIn(startMs, throughMs)
    const rows = this.#memory()
      .reverse()
      .map(source => rowsInMemory(source, layout.dedicated))
    this.#addUnknown()
    const open = (block: BlockMeta): Promise<Omit<TraceRows, 'leaveOut'>[] | undefined> =>
      this.#guarded(block, () => reader.rows(block))
    let at = 0
    for await (const groups of workAhead(blocks, { ...openAhead, weightOf: () => 1 }, open)) {
      const block = blocks[at++]!
      if (groups === undefined) continue
      list.noteReadable(block)
      for (const group of groups) rows.push({ ...group, leaveOut: error => this.#leaveOut(block, error, false) })
    }
    return rows
  }

  find(id: Uint8Array, fromMs: number, throughMs: number): Promise<Trace | undefined> {
    return planningAgain(() => this.#findOnce(id, fromMs, throughMs))
  }

  async #findOnce(id: Uint8Array, fromMs: number, throughMs: number): Promise<Trace | undefined> {
    const { waiting, head, blocks: reader, list } = this.#sources
    const parts = waiting().flatMap(segment => segment.find(id))
    addAll(parts, head()?.find(id) ?? [])
    this.#addUnknown()
    await forEachParallel(this.#blocksIn(this.#retainedFrom(fromMs), throughMs), readsAtOnce, async block => {
      const find = (): Promise<Trace | undefined> =>
        reader.find(block, id, async (error, isData) => {
          // Without its filter a block is searched: the answer lacks nothing.
          if (isData) await this.#leaveOut(block, error, false)
          else list.noteDamage(block, error, false)
        })
      const found = await this.#guarded(block, find)
      if (found !== undefined) parts.push(found)
    })
    return parts.length === 0 ? undefined : combineTraces(parts)
  }

  /** Segments that wait for the bucket first. */
  #segments(): Segment[] {
    return [...this.#sources.waiting(), ...(this.#sources.head()?.segments ?? [])]
  }

  /** What is in memory, as it is now. */
  #memory(): RowSource[] {
    const live = this.#sources.head()?.liveSource()
    return [...this.#segments().map(s => s.source()), ...(live === undefined ? [] : [live])]
  }

  /** Newest first. */
  #blocksIn(fromMs: number, throughMs: number): BlockMeta[] {
    return this.#sources.list
      .of(this.#tenant)
      .filter(b => b.startMs <= throughMs && b.endMs >= fromMs)
      .sort((a, b) => b.endMs - a.endMs)
  }

  /** Of blocks whose meta.json can't be used nobody knows the time: every answer may lack them. */
  #addUnknown(): void {
    const { list } = this.#sources
    for (const { id, reason } of list.damage.of(this.#tenant))
      if (!list.isLive(this.#tenant, id)) this.omissions.add(id, reason)
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
    const { list, blocks } = this.#sources
    if (!isDamage(error)) throw error
    blocks.forget(block)
    if (error instanceof NotFoundError && list.damage.get(block.tenant, block.blockId) === undefined) {
      await list.refresh()
      if (!list.isLive(block.tenant, block.blockId)) throw new PlanStaleError(block.blockId)
    }
    list.noteDamage(block, error, isWhole)
    this.omissions.add(block.blockId, error.message)
  }
}

function rowsInMemory({ rows, columns }: RowSource, dedicated: readonly DedicatedColumn[]): TraceRows {
  const byPath = new Map(columns.map(c => [plainPath(c.column.path), c]))
  const columnsOf = (paths: readonly string[]): ReadonlyMap<string, ColumnData> => {
    const found = new Map<string, ColumnData>()
    for (const path of paths) {
      const data = byPath.get(path)
      if (data !== undefined) found.set(path, data)
    }
    return found
  }
  return {
    rows,
    isInMemory: true,
    dedicated,
    bytes: columns.reduce((sum, c) => sum + c.count * 2, 0),
    columns: paths => Promise.resolve(columnsOf(paths)),
    leaveOut: error => Promise.reject(error as Error),
  }
}
