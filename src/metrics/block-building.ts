/** Who writes the files of blocks: this thread, or one that works beside it. */
import { NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { bucketFiles, localFiles } from './block-files.ts'
import type { BlockMeta } from './block-meta.ts'
import { BlockReader } from './block-reader.ts'
import type { HeadColumns } from './head-columns.ts'
import { mergeBlocks, writeRange, type MergedBlock, type WrittenRange } from './merge.ts'

/** A block that is to be merged, or verified: its files are in the bucket, or in a directory. */
export interface BlockToMerge {
  meta: BlockMeta
  directory: string | undefined
}

/** What is wrong with a block. */
export interface BlockProblem {
  /** Nothing of it can be read. */
  isWhole: boolean
  /** A file of it was not there. */
  isMissing: boolean
  reason: string
}

/** The first two write into a directory that is not there yet. All questions and answers can be cloned. */
export interface BlockBuilding {
  /** The columns of a range that was cut become a block. `transfer`: memory that may be handed over. */
  writeRange(directory: string, columns: HeadColumns, transfer: ArrayBuffer[]): Promise<WrittenRange>
  /** Blocks become one. Throws what reading them throws. */
  merge(directory: string, tenant: string, blocks: readonly BlockToMerge[]): Promise<MergedBlock>
  /** Reads and checks all of a block; undefined: it is whole. */
  verify(tenant: string, block: BlockToMerge): Promise<BlockProblem | undefined>
}

export interface BuildingWorld {
  files: Files
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

  writeRange(directory: string, columns: HeadColumns): Promise<WrittenRange> {
    return writeRange(this.#world.files, directory, columns, this.#world.pause)
  }

  merge(directory: string, tenant: string, blocks: readonly BlockToMerge[]): Promise<MergedBlock> {
    const { files, pause } = this.#world
    const readers = blocks.map(block => this.#reader(tenant, block))
    return mergeBlocks(files, directory, readers, pause)
  }

  async verify(tenant: string, block: BlockToMerge): Promise<BlockProblem | undefined> {
    // What is read stays in memory no longer than that takes.
    const reader = this.#reader(tenant, block)
    for (const [isWhole, read] of [
      [true, () => reader.check()],
      [false, () => reader.verify(this.#world.pause)],
    ] as const) {
      try {
        await read()
      } catch (error) {
        if (!isDamage(error)) throw error
        return { isWhole, isMissing: error instanceof NotFoundError, reason: error.message }
      }
    }
    return undefined
  }

  #reader(tenant: string, { meta, directory }: BlockToMerge): BlockReader {
    const { files, bucket } = this.#world
    const place =
      directory === undefined ? bucketFiles(bucket, `${tenant}/${meta.ulid}/`) : localFiles(files, directory)
    return new BlockReader(meta, place, directory)
  }
}
