/** Who builds blocks: this thread, or one that works beside it. */
import { messageOf, NotFoundError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { BlockMeta } from './block-meta.ts'
import { BlockReader } from './block-reader.ts'
import { buildBlock, buildFirstBlock, type BlockPlan, type BuiltBlock } from './block-writer.ts'
import type { IdleTraces } from './segment.ts'
import type { RowSource } from './shred.ts'

/** A block of traces in memory: its times are those of their spans. */
export type FirstBlockPlan = Omit<BlockPlan, 'startMs' | 'endMs'>

/** A block that could not be read, and so not merged. */
export interface SpoiledBlock {
  blockId: string
  reason: string
  /** An object of it was not there: perhaps another compactor took it away. */
  isMissing: boolean
}

/** What blocks became; nothing, where some could not be read. */
export type MergedBlocks = { block: BuiltBlock } | { spoiled: SpoiledBlock[] }

export interface BlockBuilding {
  /** A block of idle traces, without those whose keys are left out. Undefined: none is left. */
  first(
    plan: FirstBlockPlan,
    idle: readonly IdleTraces[],
    leftOut?: ReadonlySet<string>,
  ): Promise<BuiltBlock | undefined>
  /** Blocks become one. */
  merge(plan: BlockPlan, inputs: readonly BlockMeta[]): Promise<MergedBlocks>
  /** Reads and checks all of a block. Throws CorruptDataError and NotFoundError. */
  verify(block: BlockMeta): Promise<void>
}

export interface BuildingWorld {
  /** The bucket, with what is staged for it. */
  bucket: Bucket
  /** Lets other work run. */
  pause: () => Promise<void>
}

/** Builds in this thread. */
export class LocalBuilding implements BlockBuilding {
  readonly #world: BuildingWorld

  constructor(world: BuildingWorld) {
    this.#world = world
  }

  first(
    plan: FirstBlockPlan,
    idle: readonly IdleTraces[],
    leftOut?: ReadonlySet<string>,
  ): Promise<BuiltBlock | undefined> {
    return buildFirstBlock(plan, idle, this.#world.pause, leftOut)
  }

  async merge(plan: BlockPlan, inputs: readonly BlockMeta[]): Promise<MergedBlocks> {
    const { bucket, pause } = this.#world
    // Nothing is kept: each block is read once.
    const reader = new BlockReader(bucket, 0)
    const sources: RowSource[] = []
    const spoiled: SpoiledBlock[] = []
    for (const input of inputs) {
      try {
        for (const group of await reader.whole(input)) sources.push(group)
      } catch (error) {
        if (!isDamage(error)) throw error
        const isMissing = error instanceof NotFoundError
        spoiled.push({ blockId: input.blockId, reason: messageOf(error), isMissing })
      }
      await pause()
    }
    if (spoiled.length > 0) return { spoiled }
    return { block: await buildBlock(plan, sources, pause) }
  }

  verify(block: BlockMeta): Promise<void> {
    const { bucket, pause } = this.#world
    return new BlockReader(bucket, 0).verify(block, pause)
  }
}
