/** The memory of this thread and the list of blocks, as a reader asks for them. */
import { addAll } from '#core/lists.ts'
import type { Omissions } from '#core/omissions.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { BlockList } from './block-list.ts'
import type { BlockMeta } from './block-meta.ts'
import type { BlockReader } from './block-reader.ts'
import type { Head } from './head.ts'
import type { TracePlan, TracesPlan, TracesSource } from './reader.ts'
import type { BlockLayout } from './schema.ts'
import type { Segment } from './segment.ts'
import type { RowSource } from './shred.ts'

/** What there is of a tenant. */
export interface TenantMemory {
  tenant: string
  /** Segments that were cut and wait for the bucket, oldest first. */
  waiting: () => readonly Segment[]
  head: () => Head | undefined
  list: BlockList
}

export interface HeadSourceParts extends TenantMemory {
  blocks: BlockReader
  layout: BlockLayout
  /** Gives way to other work. */
  pause: () => Promise<void>
}

export class HeadSource implements TracesSource {
  readonly blocks: BlockReader
  readonly layout: BlockLayout
  readonly #parts: HeadSourceParts

  constructor(parts: HeadSourceParts) {
    this.#parts = parts
    this.blocks = parts.blocks
    this.layout = parts.layout
  }

  pause(): Promise<void> {
    return this.#parts.pause()
  }

  damaged(of: 'tenant' | 'all'): readonly DamagedBlock[] {
    const { damage } = this.#parts.list
    return of === 'all' ? damage.all() : damage.of(this.#parts.tenant)
  }

  async plan(fromMs: number, throughMs: number, omissions: Omissions): Promise<TracesPlan> {
    const { pause } = this.#parts
    // All of one instant: what is set aside or published from here on shows where it was.
    const known = segmentsOf(this.#parts).map(segment => ({ segment, count: segment.traces.length }))
    const live = this.#parts.head()?.liveSegments(pause)
    const blocks = blocksIn(this.#parts, fromMs, throughMs, omissions)
    for (const segment of (await live) ?? []) known.push({ segment, count: segment.traces.length })
    const memory: RowSource[] = []
    for (const { segment, count } of known) {
      const source = await segment.sourceOf(count, pause, laidOut => {
        notePoisoned(laidOut, omissions)
      })
      memory.push(source)
      await pause()
    }
    return { memory, blocks }
  }

  find(id: Uint8Array, fromMs: number, throughMs: number, omissions: Omissions): Promise<TracePlan> {
    const parts = this.#parts.waiting().flatMap(segment => segment.find(id))
    addAll(parts, this.#parts.head()?.find(id) ?? [])
    return Promise.resolve({ parts, blocks: blocksIn(this.#parts, fromMs, throughMs, omissions, id) })
  }

  noteReadable(block: BlockMeta): void {
    this.#parts.list.noteReadable(block)
  }

  noteDamage(block: BlockMeta, error: Error, isWhole: boolean): void {
    this.#parts.list.noteDamage(block, error, isWhole)
  }

  isReplaced(block: BlockMeta): Promise<boolean> {
    return isReplaced(this.#parts.list, block)
  }
}

/** Adds the traces of a segment that could not be laid out to what the answer lacks. */
export function notePoisoned(segment: Segment, omissions: Omissions): void {
  for (const [{ id }, error] of segment.poisoned)
    omissions.add(`in memory, trace ${Buffer.from(id).toString('hex')}`, error.message)
}

/** Segments that wait for the bucket first. */
export function segmentsOf({ waiting, head }: TenantMemory): Segment[] {
  return [...waiting(), ...(head()?.segments ?? [])]
}

/**
 * Blocks that touch the time, with the places where joined filters have them and the trace. Of those whose meta.json
 * can't be used nobody knows the time: answers may lack them.
 */
export function blocksIn(
  { tenant, list }: TenantMemory,
  fromMs: number,
  throughMs: number,
  omissions: Omissions,
  traceId?: Uint8Array,
): BlockMeta[] {
  for (const { id, reason } of list.damage.of(tenant)) if (!list.isLive(tenant, id)) omissions.add(id, reason)
  const blocks = list.of(tenant).filter(b => b.startMs <= throughMs && b.endMs >= fromMs)
  return blocks.map(block => list.joined.placed(block, traceId))
}

/** A block that was damaged before is not asked for again: its objects are missing. */
export async function isReplaced(list: BlockList, { tenant, blockId }: BlockMeta): Promise<boolean> {
  if (list.damage.get(tenant, blockId) !== undefined) return false
  await list.refresh()
  return !list.isLive(tenant, blockId)
}
